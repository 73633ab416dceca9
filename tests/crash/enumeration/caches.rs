//! Indexes are caches (L5): what a store answers with them and without them.

use std::path::{Path, PathBuf};

use ottla_storage::disk::Disk;
use ottla_storage::disk::simulated::SimulatedDisk;
use ottla_storage::log::{Bound, Log};
use ottla_storage::store::Store;

/// Everything that a log answers.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    log: String,
    batches: Vec<String>,
    times: Vec<String>,
    aborted: Vec<(i64, i64)>,
    producers: String,
    epochs: Vec<(i32, i64)>,
}

fn answers(store: &Store) -> Vec<Answers> {
    let logs = store.logs();
    logs.iter().map(|log| answers_of(log)).collect()
}

fn answers_of(log: &Log) -> Answers {
    let offsets = log.offsets();
    let (start, end) = (offsets.log_start_offset, offsets.high_watermark);
    let read = |at| {
        format!(
            "{:?}",
            log.read(at, 1, true, Bound::HighWatermark)
                .map(|read| read.records)
        )
    };
    let newest = log.max_timestamp();
    let latest = newest
        .as_ref()
        .map_or(0, |found| found.map_or(0, |found| found.timestamp));
    let times = (0..8).map(|step| format!("{:?}", log.offset_for_timestamp(latest - 3 * step)));
    let aborted = log.aborted_transactions(start, end).unwrap_or_default();
    Answers {
        log: format!("{log:?}"),
        batches: (start..end).map(read).collect(),
        times: times.chain([format!("{newest:?}")]).collect(),
        // Where a transaction began that lost its first records to DeleteRecords, only the file knows.
        aborted: aborted
            .iter()
            .filter(|aborted| aborted.first_offset >= start)
            .map(|aborted| (aborted.producer_id, aborted.last_offset))
            .collect(),
        producers: format!("{:?}", log.producers()),
        epochs: (0..store_epochs(log))
            .map(|epoch| log.end_offset_for_epoch(epoch))
            .collect(),
    }
}

fn store_epochs(log: &Log) -> i32 {
    log.leader_epoch() + 2
}

/// Takes every index away and opens again: the answers are the same.
pub(crate) fn are_not_needed(
    disk: &SimulatedDisk,
    open: impl Fn() -> Result<Store, String>,
) -> Result<(), String> {
    let store = open()?;
    let with = answers(&store);
    drop(store);
    disk.kill();
    for path in indexes(disk) {
        disk.remove(&path).map_err(|error| error.to_string())?;
    }
    let store = open()?;
    let without = answers(&store);
    drop(store);
    disk.kill();
    if let Some((with, without)) = with.iter().zip(&without).find(|(a, b)| a != b) {
        // The epoch of the second start is not an answer that an index gives.
        let (with, without) = (strip(with), strip(without));
        if with != without {
            return Err(format!("with indexes {with:?}, without {without:?}"));
        }
    }
    Ok(())
}

fn strip(answers: &Answers) -> String {
    let Answers {
        log,
        batches,
        times,
        aborted,
        producers,
        ..
    } = answers;
    format!("{log} {batches:?} {times:?} {aborted:?} {producers}")
}

fn indexes(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let data = Path::new("data");
    let dirs = disk.list(data).unwrap_or_default();
    let dirs = dirs.into_iter().filter(|entry| entry.is_dir);
    let files = dirs.flat_map(|dir| {
        let dir = data.join(dir.name);
        let files = disk.list(&dir).unwrap_or_default();
        files.into_iter().map(move |file| dir.join(file.name))
    });
    files
        .filter(|path| path.to_string_lossy().ends_with("index"))
        .collect()
}
