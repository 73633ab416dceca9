//! The `ottla` process in adversity: what keeps it from starting, signals, a full disk, too few descriptors.

mod start;
mod stop;
