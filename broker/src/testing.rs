//! A broker under simulation: its log on a disk of the test's, and faults on the way to it.
//!
//! Nothing here is part of a broker that serves. With a paused clock and a seed, all of it is
//! deterministic.

mod connection;
mod rule;
mod storage;

pub use self::connection::{Faults, Faulty};
pub use self::rule::{Action, Requests, Trigger};
pub use self::storage::SimulatedStorage;
pub use ottla_storage::disk::simulated as disk;
pub use ottla_storage::store::JournalOptions;
