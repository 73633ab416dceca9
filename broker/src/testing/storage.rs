//! Shell. The data directory of a simulated broker, and the task that commits for it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_storage::disk::Disk;
use ottla_storage::store::{JournalOptions, OpenError, Store, StoreOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::env::Env;

/// The longest pause between an append and its commit, in microseconds.
const COMMIT_PAUSE_MICROS: u64 = 3_000;

/// Where a simulated broker keeps its log; see
/// [`BrokerBuilder::simulated`](crate::BrokerBuilder::simulated).
#[derive(Clone)]
pub struct SimulatedStorage {
    /// The disk, for instance a [`SimulatedDisk`](super::disk::SimulatedDisk).
    pub disk: Arc<dyn Disk>,
    /// The data directory on it.
    pub data_dir: PathBuf,
    /// Sizes of the journal. With small ones a short run sees files change.
    pub journal: JournalOptions,
}

impl fmt::Debug for SimulatedStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedStorage")
            .field("data_dir", &self.data_dir)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

impl SimulatedStorage {
    /// Opens the directory and starts the task that commits what is appended, until `stop`.
    pub(crate) fn open(
        self,
        options: StoreOptions,
        env: &Env,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<Store>, OpenError> {
        let options = StoreOptions {
            journal: self.journal,
            threads: false,
            ..options
        };
        let store = Arc::new(Store::open(self.disk, &self.data_dir, options)?);
        let appended = Arc::new(Notify::new());
        let signal = Arc::clone(&appended);
        store.defer(move || signal.notify_one());
        tasks.spawn(commit(
            Arc::clone(&store),
            appended,
            env.clone(),
            stop.clone(),
        ));
        Ok(store)
    }
}

async fn commit(store: Arc<Store>, appended: Arc<Notify>, env: Env, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = appended.notified() => {}
        }
        let pause = Duration::from_micros(env.random_u64() % COMMIT_PAUSE_MICROS);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        store.drive();
    }
}
