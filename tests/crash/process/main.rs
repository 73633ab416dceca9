//! The `ottla` process in adversity: what keeps it from starting, signals, a full disk, too few descriptors,
//! too little memory.

mod descriptors;
mod disk_full;
mod epochs;
mod ledger;
mod memory;
mod start;
mod stop;
