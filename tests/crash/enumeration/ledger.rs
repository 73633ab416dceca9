//! What was asked of a store and what it promised, and whether an opened store keeps the promises.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_protocol::record::{BatchHeader, HEADER_LEN, TransactionResult};
use ottla_storage::log::{Append, Bound, Log};
use ottla_storage::store::Store;

use crate::transactions::Transactions;

/// A batch of one record, as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) append: Append,
    /// How the transaction ends, when it is a marker.
    pub(crate) ends: Option<TransactionResult>,
}

/// A topic of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topic {
    pub(crate) id: u128,
    /// By offset.
    pub(crate) sent: Vec<Sent>,
    /// Records acknowledged.
    pub(crate) acknowledged: i64,
    /// Records that no loss of power may take.
    pub(crate) durable: i64,
    /// Where the log was asked to start, and where it said that it starts.
    pub(crate) start_asked: i64,
    pub(crate) start: i64,
    /// It is compacted; its records have so many keys, in turn.
    pub(crate) keys: Option<i64>,
    /// It goes through the journal since it was last opened.
    pub(crate) journaled: bool,
    /// Its creation or deletion is under way or has failed.
    pub(crate) uncertain: bool,
}

/// Records of several logs with one fate: topic, its id, offset.
pub(crate) type Group = Vec<(String, u128, i64)>;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) topics: BTreeMap<String, Topic>,
    /// Ids of the topics whose deletion was acknowledged.
    pub(crate) deleted: BTreeSet<u128>,
    /// The newest leader epoch that was used.
    pub(crate) leader_epoch: i32,
    pub(crate) groups: Vec<Group>,
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use ensure;

impl Ledger {
    /// Holds what `store` serves after a crash against the promises.
    pub(crate) fn verify(&self, store: &Store, power_lost: bool) -> Result<(), String> {
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
        self.verify_logs(store, power_lost, true)
    }

    /// Holds what `store` serves against the promises. What is `recovered` is all visible.
    pub(crate) fn verify_logs(
        &self,
        store: &Store,
        power_lost: bool,
        recovered: bool,
    ) -> Result<(), String> {
        let quarantined = store.quarantined();
        for log in store.logs() {
            let id = log.identity().topic_id.as_u128();
            ensure!(!self.deleted.contains(&id), "deleted {log:?} is back");
        }
        for (name, topic) in &self.topics {
            if let Some(found) = quarantined
                .iter()
                .find(|q| q.directory == format!("{name}-0"))
            {
                // Without the journal, a torn tail may have intact batches behind it.
                let may_be = topic.uncertain || (!topic.journaled && power_lost);
                ensure!(may_be, "{found:?}");
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
                .verify(&log, power_lost, recovered)
                .map_err(|error| format!("{name}: {error}"))?;
        }
        if recovered {
            self.verify_groups(store)?;
        }
        Ok(())
    }

    /// All of a group is there, or nothing of it.
    fn verify_groups(&self, store: &Store) -> Result<(), String> {
        for group in &self.groups {
            let there = group.iter().filter_map(|(name, id, offset)| {
                let log = store.log(name, 0)?;
                let same = log.identity().topic_id.as_u128() == *id;
                same.then(|| *offset < log.offsets().log_end_offset)
            });
            let there: Vec<bool> = there.collect();
            ensure!(
                there.array_windows().all(|[a, b]| a == b),
                "a group was split: {group:?} {there:?}"
            );
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
        self.groups.clear();
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
            topic.journaled = log.is_journaled();
            topic.uncertain = false;
            topic.id == log.identity().topic_id.as_u128()
        });
    }
}

impl Topic {
    /// Reads a log in every way, on a disk that may refuse: what is answered must be right.
    pub(crate) fn look(&self, log: &Log) -> Result<(), String> {
        let offsets = log.offsets();
        if self.keys.is_some() {
            return Ok(());
        }
        for at in offsets.log_start_offset..offsets.high_watermark {
            let Ok(read) = log.read(at, 1, true, Bound::HighWatermark) else {
                continue;
            };
            let header = BatchHeader::decode(&read.records).map_err(|error| error.to_string())?;
            let sent = self.sent.get(index(at));
            let is_right = header.base_offset == at
                && sent.is_some_and(|sent| sent.is(&header, &read.records));
            ensure!(is_right, "offset {at} holds what was not sent there");
            // Timestamps rise with the offsets.
            if let Ok(found) = log.offset_for_timestamp(header.max_timestamp) {
                let offset = found.map(|found| found.offset);
                ensure!(
                    offset == Some(at),
                    "the time of {at} is found at {offset:?}"
                );
            }
        }
        Ok(())
    }

    fn verify(&self, log: &Log, power_lost: bool, recovered: bool) -> Result<(), String> {
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
            !recovered || offsets.high_watermark == offsets.log_end_offset,
            "what was recovered is not visible: {offsets:?}"
        );
        ensure!(
            offsets.high_watermark >= promised,
            "{promised} records were promised, the log ends at {}",
            offsets.high_watermark
        );
        ensure!(
            (self.start..=self.start_asked).contains(&offsets.log_start_offset),
            "starts at {}, not in {}..={}",
            offsets.log_start_offset,
            self.start,
            self.start_asked
        );
        self.verify_records(log)?;
        if recovered {
            self.verify_transactions(log)?;
        }
        Ok(())
    }

    /// Each record is what was sent; compaction may have taken those that have a newer one.
    fn verify_records(&self, log: &Log) -> Result<(), String> {
        let offsets = log.offsets();
        let end = offsets.high_watermark;
        let mut at = offsets.log_start_offset;
        while at < end {
            let read = log
                .read(at, 1, true, Bound::HighWatermark)
                .map_err(|error| format!("offset {at}: {error}"))?;
            let header =
                BatchHeader::decode(&read.records).map_err(|error| format!("{at}: {error}"))?;
            let intact = header.verify_crc(&read.records).is_ok();
            ensure!(intact, "the batch at {at} is not intact");
            let gap = header.record_count == 0;
            match self.keys.filter(|_| gap) {
                Some(keys) => {
                    let newest = (at..header.next_offset()).find(|gone| gone + keys >= end);
                    ensure!(newest.is_none(), "the newest of a key is gone: {newest:?}");
                }
                None => {
                    let sent = self.sent.get(index(at));
                    ensure!(
                        header.base_offset == at
                            && sent.is_some_and(|sent| sent.is(&header, &read.records)),
                        "offset {at} holds what was not sent there: {header:?}"
                    );
                }
            }
            at = header.next_offset();
        }
        Ok(())
    }

    /// Readers of committed records see what they must, and no more.
    fn verify_transactions(&self, log: &Log) -> Result<(), String> {
        let offsets = log.offsets();
        let (start, end) = (offsets.log_start_offset, offsets.high_watermark);
        let sent = self.sent.get(..index(end)).unwrap_or(&self.sent);
        let expected = Transactions::of(sent);
        let first_unstable = expected.open.values().min().copied().unwrap_or(end);
        ensure!(
            offsets.last_stable_offset == first_unstable.clamp(start, end),
            "open: {:?}, but {offsets:?}",
            expected.open
        );
        let found = log
            .aborted_transactions(start, end)
            .map_err(|error| error.to_string())?;
        // A transaction with no records left may be told or not.
        let found: BTreeSet<_> = found
            .iter()
            .map(|found| (found.producer_id, found.last_offset))
            .collect();
        for aborted in &expected.aborted {
            let is_left = aborted.offsets.iter().any(|offset| *offset >= start);
            let told = found.contains(&(aborted.producer_id, aborted.last_offset));
            ensure!(told || !is_left, "{aborted:?} is not in {found:?}");
        }
        for told in &found {
            let known = expected
                .aborted
                .iter()
                .any(|aborted| *told == (aborted.producer_id, aborted.last_offset));
            ensure!(known, "{told:?} was not aborted");
        }
        Ok(())
    }
}

impl Sent {
    /// Whether this batch is what was sent.
    fn is(&self, header: &BatchHeader, bytes: &Bytes) -> bool {
        let sent = &self.append.header;
        let same = |a: &BatchHeader, b: &BatchHeader| {
            (a.producer_id, a.producer_epoch, a.base_sequence)
                == (b.producer_id, b.producer_epoch, b.base_sequence)
                && a.attributes == b.attributes
                && a.max_timestamp == b.max_timestamp
        };
        same(sent, header) && bytes.get(HEADER_LEN..header.size()) == Some(&*self.append.body)
    }
}

pub(crate) fn index(offset: i64) -> usize {
    usize::try_from(offset).expect("an offset")
}
