//! Crashes of a whole broker: what it has answered about topics, settings, records, groups of both protocols, their
//! offsets and transactions is so after the loss of power, at every change of the disk, and of real files.

mod promises;
mod requests;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_broker::Broker;
use ottla_broker::config::BrokerConfig;
use ottla_broker::testing::SimulatedStorage;
use ottla_storage::disk::simulated::{Call, SimulatedDisk, Snapshot};
use ottla_storage::disk::{Disk, OsDisk};
use ottla_storage::store::JournalOptions;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use self::promises::Promises;
use self::work::Work;
use crate::parallel::in_parallel;
use crate::recorded::{RecordingDisk, restore};

/// Lives of the broker in the workload, each ended by a kill, and rounds of each.
const LIVES: usize = 2;
const ROUNDS: usize = 2;
/// Losses made of each moment in a usual run.
const LOSSES: usize = 2;
/// Moments of real files, and losses made of each.
const REAL_MOMENTS: usize = 12;
const REAL_LOSSES: usize = 4;

/// A moment at which the power may go, and what was promised by then.
struct Moment {
    snapshot: Snapshot,
    promises: Promises,
    call: Call,
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    builder.build().expect("a runtime")
}

fn config() -> BrokerConfig {
    let settings = [
        ("log.segment.bytes", "2000"),
        ("auto.create.topics.enable", "false"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "1"),
    ];
    BrokerConfig::from_entries(settings).expect("settings")
}

/// A broker without threads.
async fn start(disk: Arc<dyn Disk>, data_dir: &Path) -> Result<Broker, String> {
    let storage = SimulatedStorage {
        disk,
        data_dir: data_dir.to_owned(),
        journal: JournalOptions {
            first_file_bytes: 16 << 10,
            file_bytes: 32 << 10,
            max_files: 3,
            group_bytes: 16 << 10,
            queue_bytes: 64 << 10,
        },
    };
    let broker = Broker::builder()
        .simulated(storage)
        .config(config())
        .seed(7);
    broker.start().await.map_err(|error| error.to_string())
}

/// Runs the workload on `disk`, which ends up on `model`, and keeps each moment after a change.
fn record(disk: &Arc<dyn Disk>, model: &SimulatedDisk, data_dir: &Path) -> Vec<Moment> {
    let promises = Arc::new(Mutex::new(Promises::default()));
    let moments = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let (model, promises, moments) = (model.clone(), Arc::clone(&promises), moments.clone());
        move |call: &Call| {
            if call.operation.is_change() && !call.failed {
                moments.lock().push(Moment {
                    snapshot: model.snapshot(),
                    promises: promises.lock().clone(),
                    call: call.clone(),
                });
            }
        }
    };
    model.observe(Arc::new(observer));
    let mut work = Work::new(promises);
    for _ in 0..LIVES {
        // A runtime of its own, so that nothing of a life goes on in the next.
        runtime().block_on(async {
            let broker = start(Arc::clone(disk), data_dir).await.expect("a broker");
            work.begin(&broker).await;
            for _ in 0..ROUNDS {
                work.round().await;
            }
        });
    }
    std::mem::take(&mut *moments.lock())
}

#[test]
fn after_every_crash_the_broker_keeps_what_it_answered() {
    let wanted = std::env::var("OTTLA_CRASH_STATES").ok();
    let wanted = wanted.and_then(|text| text.parse::<usize>().ok());
    let disk = SimulatedDisk::new();
    let data = PathBuf::from("data");
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let moments = record(&shared, &disk, &data);
    // A tenth of what is wanted of the store: a start takes longer.
    let losses = wanted.map_or(LOSSES, |wanted| {
        (wanted / 10).div_ceil(moments.len()).max(2)
    });
    let states = AtomicUsize::new(0);
    in_parallel(moments.len(), |number| {
        let moment = &moments[number];
        for loss in moment.snapshot.losses(losses, number as u64) {
            let crashed = moment.snapshot.crash(loss);
            let held = runtime().block_on(async {
                let broker = start(Arc::new(crashed), &data).await?;
                moment.promises.hold(&broker).await
            });
            if let Err(error) = held {
                panic!("after {loss:?} at {:?}: {error}", moment.call);
            }
            states.fetch_add(1, Ordering::Relaxed);
        }
    });
    eprintln!(
        "{} states of a broker, of {} moments, at most {losses} losses each",
        states.into_inner(),
        moments.len()
    );
}

#[test]
fn what_a_broker_on_real_files_answered_survives_the_loss_of_power() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = RecordingDisk::new(dir.path());
    let model = disk.model();
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let moments = record(&shared, &model, &dir.path().join("data"));
    let step = moments.len().div_ceil(REAL_MOMENTS);
    let mut states = 0;
    for (moment, seed) in moments.iter().skip(step / 2).step_by(step).zip(1..) {
        for loss in moment.snapshot.losses(REAL_LOSSES, seed) {
            let dir = tempfile::tempdir().expect("a directory");
            let data = dir.path().join("data");
            restore(&moment.snapshot.crash(loss), Path::new("data"), &data);
            let held = runtime().block_on(async {
                let broker = start(Arc::new(OsDisk::new()), &data).await?;
                moment.promises.hold(&broker).await
            });
            if let Err(error) = held {
                panic!("after {loss:?} at {:?}: {error}", moment.call);
            }
            states += 1;
        }
    }
    eprintln!(
        "{states} states of a broker on real files, of {} moments",
        moments.len()
    );
}
