//! Reading records: groups, positions, back-pressure.

mod group_metadata;

pub use group_metadata::ConsumerGroupMetadata;
