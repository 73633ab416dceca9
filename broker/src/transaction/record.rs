//! What the transaction coordinator writes down. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::record_codec::{self, EncodedRecord, RecordError};

/// Where a transaction stands. Ongoing → Prepare → Complete; the next one begins from Empty or
/// Complete. Where all markers share the journal with the coordinator, Prepare is not stopped at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) enum State {
    /// Nothing was written since the producer id was given.
    Empty,
    /// Partitions or groups are in it.
    Ongoing,
    /// Committed; markers are missing.
    PrepareCommit,
    /// Aborted; markers are missing.
    PrepareAbort,
    /// Committed everywhere.
    CompleteCommit,
    /// Aborted everywhere.
    CompleteAbort,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's spelling.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Decided, with markers still to be written.
    pub(crate) fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}

/// A partition in a transaction. The id is that of the topic, which a topic created later under
/// the same name does not share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub(crate) struct Participant {
    pub(crate) topic: Arc<str>,
    pub(crate) topic_id: [u8; 16],
    pub(crate) partition: i32,
}

/// What is known of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// The id before its epochs ran out, or -1.
    pub(crate) previous_producer_id: i64,
    /// The epoch with which the present one was asked for, or -1: what a repeated request has.
    pub(crate) last_producer_epoch: i16,
    /// The id to go on with once the transaction is complete, or -1: this one's epochs ran out.
    pub(crate) next_producer_id: i64,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    /// When prepared: those without a marker.
    pub(crate) partitions: BTreeSet<Participant>,
    pub(crate) groups: BTreeSet<Arc<str>>,
    /// When the transaction began, in milliseconds since the Unix epoch; -1 when none has.
    pub(crate) start_ms: i64,
    /// When anything changed, in milliseconds since the Unix epoch.
    pub(crate) last_update_ms: i64,
}

/// A change of hard state.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum TransactionRecord {
    /// The transactional id is as this says.
    Set {
        transactional_id: Arc<str>,
        value: Transaction,
    },
    /// The transaction goes on, or begins, with more in it.
    Added {
        transactional_id: Arc<str>,
        partitions: Vec<Participant>,
        groups: Vec<Arc<str>>,
        now_ms: i64,
    },
    /// The transactional id has expired.
    Removed { transactional_id: Arc<str> },
}

impl TransactionRecord {
    /// Key and value for the log. The key says what the record is about.
    pub(super) fn encode(&self) -> Result<EncodedRecord, RecordError> {
        let (Self::Set {
            transactional_id, ..
        }
        | Self::Added {
            transactional_id, ..
        }
        | Self::Removed { transactional_id }) = self;
        Ok(EncodedRecord {
            key: record_codec::encode(transactional_id)?,
            value: Some(record_codec::encode(self)?),
        })
    }

    /// Reads back what [`TransactionRecord::encode`] wrote.
    pub(super) fn decode(_key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        record_codec::decode(value.unwrap_or_default())
    }
}
