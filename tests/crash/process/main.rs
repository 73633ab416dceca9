//! The `ottla` process in adversity: what keeps it from starting, signals, a full disk, too few descriptors.

mod descriptors;
mod disk_full;
mod epochs;
mod ledger;
mod start;
mod stop;
