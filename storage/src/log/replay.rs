//! What the batches of a log tell without their records: producers, epochs, intact or not.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use ottla_protocol::record::{BatchHeader, HEADER_LEN};

use crate::disk::DiskFile;
use crate::error::ReadError;
use crate::leader_epochs::LeaderEpochs;
use crate::producer_snapshot;
use crate::producer_state::ProducerState;
use crate::segment::{Segment, SegmentHome, as_u64, check_header};

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
    let (snapshot_offset, mut producers) = producer_snapshot::load(&*home.disk, &home.dir, end)?
        .filter(|(offset, _)| *offset >= first_base)
        .unwrap_or((first_base, ProducerState::default()));
    let stored_epochs = LeaderEpochs::load(&*home.disk, &home.dir)?;
    // Epochs are stored whenever a snapshot is, so what follows it has the newer ones.
    let epochs_from = stored_epochs.as_ref().map_or(0, |_| snapshot_offset);
    let mut leader_epochs = stored_epochs.unwrap_or_default();
    leader_epochs.truncate_from_end(end);
    let leader_epoch = leader_epoch.max(leader_epochs.latest().unwrap_or(leader_epoch));
    let from = snapshot_offset.min(epochs_from).max(first_base);
    for_each_header(segments, from, |header| {
        // The CRC does not cover the epoch. One from the future is damaged; readers are told.
        if header.partition_leader_epoch <= leader_epoch {
            leader_epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
        if header.base_offset >= snapshot_offset {
            producers.replay(header);
        }
    })?;
    leader_epochs.truncate_from_start(records.start);
    Ok(Rebuilt {
        producers,
        leader_epochs,
        leader_epoch,
        replayed: from < end,
    })
}

/// Calls `visit` with the head of each batch that ends at offset `from` or after.
fn for_each_header(
    segments: &[Arc<Segment>],
    from: i64,
    mut visit: impl FnMut(&BatchHeader),
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
            visit(&batch.header);
        }
    }
    Ok(())
}

/// Whether some batch of a log that goes on at `next_offset` lies intact in this range of a file,
/// at whatever position: what is in front of it may be of any length.
pub(super) fn has_intact_batch(
    file: &dyn DiskFile,
    range: Range<u64>,
    next_offset: i64,
) -> io::Result<bool> {
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
                    return Ok(true);
                }
            }
        }
        // The last header of this window may be cut off.
        start += as_u64(window.len() - (HEADER_LEN - 1));
    }
    Ok(false)
}

fn is_plausible(header: &BatchHeader, next_offset: i64, room: u64) -> bool {
    check_header(header, None, room).is_ok()
        && header.base_offset >= next_offset
        && header.base_offset - next_offset <= i64::from(i32::MAX)
        && header.attributes.compression().is_ok()
        && header.record_count >= 0
}
