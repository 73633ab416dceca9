//! Whole batches as readers get them.

use bytes::Bytes;
use ottla_protocol::record::BatchHeader;

use super::{Batch, ScanError, Segment, as_u64, check_header};
use crate::error::ReadError;
use crate::leader_epochs::LeaderEpochs;

impl Segment {
    /// Whole batches from `first` on, below position `limit`: at most `max_bytes`, but at least
    /// one batch if `at_least_one`. With the offset after the last one. What the CRC leaves out is
    /// checked: offsets follow each other, epochs are those of their offsets.
    pub(crate) fn read(
        &self,
        first: Batch,
        limit: u64,
        max_bytes: usize,
        at_least_one: bool,
        epochs: &LeaderEpochs,
    ) -> Result<Option<(Bytes, i64)>, ReadError> {
        let size = first.header.size();
        let wanted = if at_least_one {
            max_bytes.max(size)
        } else {
            max_bytes
        };
        if size > wanted {
            return Ok(None);
        }
        let room = limit.saturating_sub(first.position);
        let len = usize::try_from(room).map_or(wanted, |room| room.min(wanted));
        let file = self.file()?;
        let bytes = file.read_at(first.position, len)?;
        let mut end = 0;
        let mut next_offset = first.header.base_offset;
        let mut stopped = "the batch is not there any more";
        let mut span = None;
        while let Some(rest) = bytes.get(end..).filter(|rest| !rest.is_empty()) {
            let Ok(header) = BatchHeader::decode(rest) else {
                break;
            };
            if let Err(reason) = check_header(&header, Some(next_offset), as_u64(rest.len())) {
                stopped = reason;
                break;
            }
            if span.is_none_or(|(_, until)| next_offset >= until) {
                span = epochs.span(next_offset);
            }
            if span.is_some_and(|(epoch, _)| epoch != header.partition_leader_epoch) {
                stopped = "the leader epoch is not that of the offset";
                break;
            }
            end += header.size();
            next_offset = header.next_offset();
        }
        if end == 0 {
            return Err(self.corrupt(ScanError::invalid(first.position, stopped)));
        }
        // What follows is a batch that does not fit, or one that is damaged: the next read, which
        // starts there, tells.
        Ok(Some((bytes.slice(..end), next_offset)))
    }
}
