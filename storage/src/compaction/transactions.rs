//! Which batches and markers the transactions of a log have no use for any more.
//!
//! Pure. Batches are shown in the order of the log, from its start. A marker stays for as long as
//! a batch of its transaction does, be it an empty one: without it, the transaction would be open.

use std::collections::{HashMap, HashSet};

use ottla_protocol::record::{BatchHeader, TransactionResult};

use crate::index::AbortedTransaction;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// By producer, ascending: what was aborted.
    aborted: HashMap<i64, Vec<AbortedTransaction>>,
    /// Producers that a batch was seen of since their last marker.
    seen: HashSet<i64>,
}

/// What becomes of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkerUse {
    /// A batch of its transaction is there still; with the entry of the index, if it was aborted.
    Needed(Option<AbortedTransaction>),
    /// Nothing is left of its transaction.
    Unneeded,
}

impl Transactions {
    /// The transactions of a log of which these were `aborted`.
    pub(crate) fn new(aborted: Vec<AbortedTransaction>) -> Self {
        let mut transactions = Self::default();
        for entry in aborted {
            let of_producer = transactions.aborted.entry(entry.producer_id).or_default();
            of_producer.push(entry);
        }
        transactions
    }

    /// Whether a batch of data belongs to a transaction that was aborted.
    pub(crate) fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.attributes.is_transactional()
            && self
                .entry(header.producer_id, header.base_offset)
                .is_some_and(|entry| entry.first_offset <= header.base_offset)
    }

    /// Takes note of a batch of data that was there when compaction began.
    pub(crate) fn see(&mut self, header: &BatchHeader) {
        if header.attributes.is_transactional() {
            self.seen.insert(header.producer_id);
        }
    }

    /// Takes in a control batch. `result` is that of its marker, `None` without a record.
    pub(crate) fn end(
        &mut self,
        header: &BatchHeader,
        result: Option<TransactionResult>,
    ) -> MarkerUse {
        let was_seen = self.seen.remove(&header.producer_id);
        match result {
            None => MarkerUse::Unneeded,
            Some(_) if !was_seen => MarkerUse::Unneeded,
            Some(TransactionResult::Commit) => MarkerUse::Needed(None),
            Some(TransactionResult::Abort) => {
                let entry = self.entry(header.producer_id, header.base_offset);
                let entry = entry.filter(|entry| entry.last_offset == header.base_offset);
                MarkerUse::Needed(entry)
            }
        }
    }

    /// The first aborted transaction of a producer that ends at `offset` or after.
    fn entry(&self, producer_id: i64, offset: i64) -> Option<AbortedTransaction> {
        let entries = self.aborted.get(&producer_id)?;
        let at = entries.partition_point(|entry| entry.last_offset < offset);
        entries.get(at).copied()
    }
}
