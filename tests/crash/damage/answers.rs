//! What a store answers, and what may be different about it after damage.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::record::BatchHeader;
use ottla_storage::log::{Bound, Log};
use ottla_storage::store::Store;

use crate::golden::TOPICS;

/// What a log answers when all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogAnswers {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) stable: i64,
    /// By base offset.
    pub(crate) batches: BTreeMap<i64, Bytes>,
    /// Of some timestamps, and the offsets found.
    times: Vec<(i64, Option<i64>)>,
    aborted: Vec<(i64, i64)>,
    producers: String,
}

pub(crate) type Answers = BTreeMap<&'static str, LogAnswers>;

pub(crate) fn answers(store: &Store) -> Answers {
    let logs = TOPICS.map(|topic| (topic, store.log(topic, 0).unwrap()));
    logs.into_iter()
        .map(|(topic, log)| (topic, of(&log)))
        .collect()
}

fn of(log: &Log) -> LogAnswers {
    let offsets = log.offsets();
    let mut batches = BTreeMap::new();
    let mut at = offsets.log_start_offset;
    while at < offsets.high_watermark {
        let batch = read(log, at).unwrap();
        let header = BatchHeader::decode(&batch).unwrap();
        at = header.next_offset();
        batches.insert(header.base_offset, batch);
    }
    let times = batches
        .values()
        .step_by(7)
        .map(|batch| BatchHeader::decode(batch).unwrap().max_timestamp);
    LogAnswers {
        start: offsets.log_start_offset,
        end: offsets.high_watermark,
        stable: offsets.last_stable_offset,
        times: times
            .map(|time| (time, offset_at(log, time).unwrap()))
            .collect(),
        aborted: aborted(log).unwrap(),
        producers: format!("{:?}", log.producers()),
        batches,
    }
}

fn read(log: &Log, at: i64) -> Result<Bytes, String> {
    let read = log.read(at, 1, true, Bound::HighWatermark);
    read.map(|read| read.records)
        .map_err(|error| error.to_string())
}

fn offset_at(log: &Log, time: i64) -> Result<Option<i64>, String> {
    let found = log.offset_for_timestamp(time);
    found
        .map(|found| found.map(|found| found.offset))
        .map_err(|error| error.to_string())
}

fn aborted(log: &Log) -> Result<Vec<(i64, i64)>, String> {
    let offsets = log.offsets();
    let found = log.aborted_transactions(offsets.log_start_offset, offsets.high_watermark);
    let found = found.map_err(|error| error.to_string())?;
    Ok(found
        .iter()
        .map(|found| (found.producer_id, found.last_offset))
        .collect())
}

/// What a client can tell of a log against what it should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Base offsets of batches that the log does not give.
    pub(crate) refused: Vec<i64>,
    /// Those that it gives, but whose checksum is not theirs.
    pub(crate) spoiled: Vec<i64>,
}

impl Told {
    pub(crate) fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.spoiled.is_empty()
    }
}

impl LogAnswers {
    /// Compares with what `log` answers. The error is an answer that is wrong and does not look so.
    pub(crate) fn compare(&self, log: &Log) -> Result<Told, String> {
        let offsets = log.offsets();
        let found = (
            offsets.log_start_offset,
            offsets.high_watermark,
            offsets.last_stable_offset,
        );
        if found != (self.start, self.end, self.stable) {
            return Err(format!("its offsets are {offsets:?}"));
        }
        let mut told = Told::default();
        for (offset, expected) in &self.batches {
            match read(log, *offset) {
                Ok(found) if found == *expected => {}
                Ok(found) => {
                    let header = BatchHeader::decode(&found);
                    if header.is_ok_and(|header| header.verify_crc(&found).is_ok()) {
                        let head = found.get(..61.min(found.len()));
                        return Err(format!("another batch is at {offset}: {head:?}"));
                    }
                    told.spoiled.push(*offset);
                }
                Err(_) => told.refused.push(*offset),
            }
        }
        for (time, expected) in &self.times {
            if let Ok(found) = offset_at(log, *time)
                && found != *expected
            {
                return Err(format!("{found:?} is found at {time}, not {expected:?}"));
            }
        }
        if let Ok(found) = aborted(log)
            && found != self.aborted
        {
            return Err(format!("aborted are {found:?}"));
        }
        let producers = format!("{:?}", log.producers());
        if producers != self.producers {
            return Err(format!("producers are {producers}, not {}", self.producers));
        }
        Ok(told)
    }

    /// Compares what a repaired log has with what it had: how many batches are lost.
    pub(crate) fn lost_after_repair(&self, log: &Log) -> Result<usize, String> {
        let offsets = log.offsets();
        if offsets.log_start_offset > self.start || offsets.high_watermark != self.end {
            return Err(format!("after the repair, its offsets are {offsets:?}"));
        }
        let mut lost = 0;
        for (offset, expected) in &self.batches {
            let found = read(log, *offset).map_err(|error| format!("after the repair: {error}"))?;
            if found == *expected {
                continue;
            }
            let header = BatchHeader::decode(&found).map_err(|error| error.to_string())?;
            let is_gap = header.record_count == 0 && header.verify_crc(&found).is_ok();
            if !is_gap {
                return Err(format!("after the repair, another batch is at {offset}"));
            }
            lost += 1;
        }
        Ok(lost)
    }
}
