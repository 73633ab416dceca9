//! What the batches of a log tell without their records: producers, epochs, intact or not.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use ottla_protocol::record::{BatchHeader, EndTransactionMarker, HEADER_LEN, Limits, RecordBatch};

use super::transaction;

use crate::disk::DiskFile;
use crate::error::ReadError;
use crate::leader_epochs::LeaderEpochs;
use crate::producer_snapshot::{self, Snapshot};
use crate::producer_state::{CompletedTransaction, ProducerState};
use crate::segment::{
    AbortedSummary, Batch, ScanError, Scanner, Segment, SegmentHome, as_u64, check_header,
};

/// Bytes searched at once for an intact batch.
const SEARCH_WINDOW: usize = 1 << 20;

/// State that is kept beside the log and can be rebuilt from it.
pub(super) struct Rebuilt {
    pub(super) producers: ProducerState,
    pub(super) leader_epochs: LeaderEpochs,
    /// The epoch of appends: the one that was given, unless the log has seen a later one.
    pub(super) leader_epoch: i32,
    /// The stored state was not complete.
    pub(super) replayed: bool,
}

/// Loads what is stored of producers and epochs and completes it from the batches of `records`.
pub(super) fn rebuild(
    home: &SegmentHome,
    segments: &[Arc<Segment>],
    records: Range<i64>,
    leader_epoch: i32,
) -> Result<Rebuilt, ReadError> {
    let end = records.end;
    // Deleted records may still be in their segment, and tell of producers. What came between a
    // snapshot and the first segment is not known: such a snapshot would refuse what is next.
    let first_base = segments.first().map_or(0, |first| first.base_offset());
    let (snapshot_offset, snapshot) = producer_snapshot::load(&*home.disk, &home.dir, end)?
        .filter(|(offset, _)| *offset >= first_base)
        .unwrap_or((first_base, Snapshot::default()));
    let (mut producers, summaries) = snapshot.into_parts();
    let indexed = reset_aborted(segments, &summaries)?;
    let stored_epochs = LeaderEpochs::load(&*home.disk, &home.dir)?;
    // Epochs are stored whenever a snapshot is, so what follows it has the newer ones.
    let epochs_from = stored_epochs.as_ref().map_or(0, |_| snapshot_offset);
    let mut leader_epochs = stored_epochs.unwrap_or_default();
    leader_epochs.truncate_from_end(end);
    let leader_epoch = leader_epoch.max(leader_epochs.latest().unwrap_or(leader_epoch));
    let from = snapshot_offset.min(epochs_from).max(first_base);
    // An index that is not there is made anew, for which all batches are gone through; the state
    // of the snapshot knows more of producers than they do.
    let mut from_start = (!indexed).then(ProducerState::default);
    let start = if indexed { from } else { first_base };
    for_each_batch(segments, start, |segment, header, marker| {
        // The CRC does not cover the epoch. One from the future is damaged; readers are told.
        if header.partition_leader_epoch <= leader_epoch && header.last_offset() >= from {
            leader_epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
        let is_new = header.base_offset >= snapshot_offset;
        let ended = is_new
            .then(|| take_in(&mut producers, header, marker))
            .flatten();
        let first_unstable = producers.first_unstable_offset();
        let aborted = match &mut from_start {
            Some(state) => take_in(state, header, marker)
                .and_then(|ended| transaction::aborted(&ended, state.first_unstable_offset())),
            None => ended.and_then(|ended| transaction::aborted(&ended, first_unstable)),
        };
        if let Some(aborted) = aborted {
            segment.add_aborted(aborted);
        }
    })?;
    leader_epochs.truncate_from_start(records.start);
    Ok(Rebuilt {
        producers,
        leader_epochs,
        leader_epoch,
        replayed: from < end || !indexed,
    })
}

/// Goes back to the aborted transactions that a snapshot knows of. `false`, and none are known,
/// when not all of them are in their files.
fn reset_aborted(
    segments: &[Arc<Segment>],
    summaries: &BTreeMap<i64, AbortedSummary>,
) -> io::Result<bool> {
    let first_base = segments.first().map_or(0, |first| first.base_offset());
    let is_there = |base: &i64| {
        segments
            .binary_search_by_key(base, |segment| segment.base_offset())
            .is_ok()
    };
    // Compaction has made one of several since.
    if !summaries
        .range(first_base..)
        .all(|(base, _)| is_there(base))
    {
        return forget_aborted(segments).map(|()| false);
    }
    for segment in segments {
        let summary = summaries.get(&segment.base_offset()).copied();
        if !segment.reset_aborted(summary)? {
            return forget_aborted(segments).map(|()| false);
        }
    }
    Ok(true)
}

fn forget_aborted(segments: &[Arc<Segment>]) -> io::Result<()> {
    segments
        .iter()
        .try_for_each(|segment| segment.reset_aborted(None).map(drop))
}

fn take_in(
    producers: &mut ProducerState,
    header: &BatchHeader,
    marker: Option<EndTransactionMarker>,
) -> Option<CompletedTransaction> {
    match marker {
        Some(marker) => producers.replay_marker(header, marker),
        None => {
            producers.replay(header);
            None
        }
    }
}

/// Calls `visit` with the head of each batch that ends at offset `from` or after, and with the
/// marker that it holds.
fn for_each_batch(
    segments: &[Arc<Segment>],
    from: i64,
    mut visit: impl FnMut(&Segment, &BatchHeader, Option<EndTransactionMarker>),
) -> Result<(), ReadError> {
    let first = super::read::first_segment(segments, from);
    for segment in segments.iter().skip(first) {
        let size = segment.size();
        let start = if from <= segment.base_offset() {
            0
        } else {
            match segment.locate(from, size)? {
                Some(batch) => batch.position,
                None => continue,
            }
        };
        let mut scanner = segment.scanner(start..size)?;
        while let Some(batch) = scanner
            .next_batch()
            .map_err(|error| segment.corrupt(error))?
        {
            let marker = if batch.header.attributes.is_control() {
                marker_of(&mut scanner, &batch).map_err(|error| segment.corrupt(error))?
            } else {
                None
            };
            visit(segment, &batch.header, marker);
        }
    }
    Ok(())
}

/// The marker in a control batch. Other control records tell nothing of producers.
fn marker_of(
    scanner: &mut Scanner,
    batch: &Batch,
) -> Result<Option<EndTransactionMarker>, ScanError> {
    let invalid = |error| ScanError::invalid(batch.position, error);
    let (records, _) = RecordBatch::parse(scanner.read(batch)?).map_err(invalid)?;
    let mut records = records.records(&Limits::stored()).map_err(invalid)?;
    match records.next() {
        Some(record) => EndTransactionMarker::parse(&record.map_err(invalid)?).map_err(invalid),
        None => Ok(None),
    }
}

/// The first batch of a log that goes on at `next_offset` that lies intact in this range of a file,
/// at whatever position: what is in front of it may be of any length.
pub(crate) fn find_intact_batch(
    file: &dyn DiskFile,
    range: Range<u64>,
    next_offset: i64,
) -> io::Result<Option<Batch>> {
    let mut start = range.start;
    while range.end.saturating_sub(start) >= as_u64(HEADER_LEN) {
        let room = usize::try_from(range.end - start).unwrap_or(usize::MAX);
        let window = file.read_at(start, room.min(SEARCH_WINDOW))?;
        for (at, head) in window.windows(HEADER_LEN).enumerate() {
            let Ok(header) = BatchHeader::decode(head) else {
                continue;
            };
            let position = start + as_u64(at);
            if is_plausible(&header, next_offset, range.end - position) {
                let batch = file.read_at(position, header.size())?;
                if header.verify_crc(&batch).is_ok() {
                    return Ok(Some(Batch { position, header }));
                }
            }
        }
        // The last header of this window may be cut off.
        start += as_u64(window.len() - (HEADER_LEN - 1));
    }
    Ok(None)
}

fn is_plausible(header: &BatchHeader, next_offset: i64, room: u64) -> bool {
    check_header(header, None, room).is_ok()
        && header.base_offset >= next_offset
        && header.base_offset - next_offset <= i64::from(i32::MAX)
        && header.attributes.compression().is_ok()
        && header.record_count >= 0
}
