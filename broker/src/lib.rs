//! Under construction.

pub mod group;
mod record_codec;
