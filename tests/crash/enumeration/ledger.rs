//! What was asked of a store and what it promised, and whether an opened store keeps the promises.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_protocol::record::BatchHeader;
use ottla_storage::log::{Bound, Log};
use ottla_storage::store::Store;

/// Topics with this prefix bypass the journal.
pub(crate) const CACHED: &str = "cached";

/// A topic of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topic {
    pub(crate) id: u128,
    /// Bodies of the batches that were sent, each one record.
    pub(crate) sent: Vec<Bytes>,
    /// Records acknowledged.
    pub(crate) acknowledged: i64,
    /// Records that no loss of power may take.
    pub(crate) durable: i64,
    /// Where the log was asked to start, and where it said that it starts.
    pub(crate) start_asked: i64,
    pub(crate) start: i64,
    /// Its creation or deletion is under way or has failed.
    pub(crate) uncertain: bool,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) topics: BTreeMap<String, Topic>,
    /// Ids of the topics whose deletion was acknowledged.
    pub(crate) deleted: BTreeSet<u128>,
    /// The newest leader epoch that was used.
    pub(crate) leader_epoch: i32,
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

impl Ledger {
    /// Holds what `store` serves after a crash against the promises.
    pub(crate) fn verify(&self, store: &Store, power_lost: bool) -> Result<(), String> {
        let quarantined = store.quarantined();
        for log in store.logs() {
            let id = log.identity().topic_id.as_u128();
            ensure!(!self.deleted.contains(&id), "deleted {log:?} is back");
        }
        ensure!(
            store.leader_epoch() >= self.leader_epoch,
            "the leader epoch went back from {} to {}",
            self.leader_epoch,
            store.leader_epoch()
        );
        ensure!(
            store.recovery_report().clean || store.leader_epoch() > self.leader_epoch,
            "the leader epoch {} did not rise",
            self.leader_epoch
        );
        for (name, topic) in &self.topics {
            let cached = name.starts_with(CACHED);
            if let Some(found) = quarantined
                .iter()
                .find(|q| q.directory == format!("{name}-0"))
            {
                // Without the journal, a torn tail may have intact batches behind it.
                ensure!(cached && power_lost, "{found:?}");
                continue;
            }
            let Some(log) = store.log(name, 0) else {
                ensure!(topic.uncertain, "{name} is gone");
                continue;
            };
            if topic.uncertain && log.identity().topic_id.as_u128() != topic.id {
                continue;
            }
            topic
                .verify(&log, power_lost)
                .map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// Only what was durable is promised from now on.
    pub(crate) fn power_lost(&mut self) {
        for topic in self.topics.values_mut() {
            topic.acknowledged = topic.durable;
        }
    }

    /// The largest topic id so far.
    pub(crate) fn newest_id(&self) -> u128 {
        let there = self.topics.values().map(|topic| topic.id);
        there.chain(self.deleted.iter().copied()).max().unwrap_or(0)
    }

    /// Takes over what `store` serves: what a crash took was never sent.
    pub(crate) fn adopt(&mut self, store: &Store) {
        self.leader_epoch = store.leader_epoch();
        self.topics.retain(|name, topic| {
            let Some(log) = store.log(name, 0) else {
                return false;
            };
            let offsets = log.offsets();
            topic.sent.truncate(index(offsets.log_end_offset));
            topic.acknowledged = offsets.high_watermark;
            // Recovery syncs what it keeps before it serves it.
            topic.durable = offsets.high_watermark;
            topic.start = offsets.log_start_offset;
            topic.start_asked = offsets.log_start_offset;
            topic.uncertain = false;
            topic.id == log.identity().topic_id.as_u128()
        });
    }
}

impl Topic {
    fn verify(&self, log: &Log, power_lost: bool) -> Result<(), String> {
        let offsets = log.offsets();
        let promised = if power_lost {
            self.durable
        } else {
            self.acknowledged
        };
        ensure!(
            log.identity().topic_id.as_u128() == self.id,
            "another topic's id"
        );
        ensure!(
            offsets.high_watermark == offsets.log_end_offset,
            "what was recovered is not visible: {offsets:?}"
        );
        ensure!(
            offsets.log_end_offset >= promised,
            "{promised} records were promised, the log ends at {}",
            offsets.log_end_offset
        );
        ensure!(
            (self.start..=self.start_asked).contains(&offsets.log_start_offset),
            "starts at {}, not in {}..={}",
            offsets.log_start_offset,
            self.start,
            self.start_asked
        );
        let mut at = offsets.log_start_offset;
        while at < offsets.log_end_offset {
            let read = log
                .read(at, 1, true, Bound::HighWatermark)
                .map_err(|error| format!("offset {at}: {error}"))?;
            let header =
                BatchHeader::decode(&read.records).map_err(|error| format!("{at}: {error}"))?;
            ensure!(header.base_offset == at, "no batch at {at}: {header:?}");
            let intact = header.verify_crc(&read.records).is_ok();
            ensure!(intact, "the batch at {at} is not intact");
            let sent = self.sent.get(index(at));
            ensure!(
                sent.is_some_and(|sent| read.records[61..] == **sent),
                "offset {at} holds what was not sent there"
            );
            at = header.next_offset();
        }
        Ok(())
    }
}

pub(crate) fn index(offset: i64) -> usize {
    usize::try_from(offset).expect("an offset")
}
