//! What the coordinator is asked and told, what it answers, and what it has done. Pure.

use std::ops::Range;
use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::{Participant, Transaction};
use crate::machine::Token;

/// Whether a partition's marker can be appended together with the coordinator's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Both are durable by the same means.
    Shared,
    /// The partition is made durable by itself, or cannot be written at the moment.
    Apart,
    /// The partition exists no more.
    Gone,
}

/// InitProducerId with a transactional id.
#[derive(Debug, Clone)]
pub(crate) struct InitRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) timeout_ms: i32,
    /// What the producer has, or -1.
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

/// Partitions and groups that a producer writes to.
#[derive(Debug, Clone)]
pub(crate) struct AddRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) partitions: Vec<Participant>,
    pub(crate) groups: Vec<Arc<str>>,
    /// They must be in the transaction already.
    pub(crate) verify_only: bool,
}

/// EndTxn.
#[derive(Debug, Clone)]
pub(crate) struct EndRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) committed: bool,
    /// The second protocol.
    pub(crate) bumps_epoch: bool,
}

/// What can happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Init(Token, InitRequest),
    Add(Token, AddRequest),
    End(Token, EndRequest),
    /// These producer ids are free to be used.
    ProducerIds(Range<i64>),
    /// None could be reserved.
    NoProducerIds,
    /// Ordered markers are written and durable.
    MarkersWritten {
        transactional_id: Arc<str>,
        /// Id and epoch of the order.
        producer: (i64, i16),
        done: Vec<Participant>,
    },
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Done; go on with this id and epoch.
    Producer {
        producer_id: i64,
        producer_epoch: i16,
    },
    /// Done.
    Added,
    /// Refused.
    Error(ErrorCode),
}

impl Reply {
    /// Go on with what this has.
    pub(super) fn of(value: &Transaction) -> Self {
        Self::Producer {
            producer_id: value.producer_id,
            producer_epoch: value.producer_epoch,
        }
    }
}

/// A marker to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkerOrder {
    pub(crate) participant: Participant,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) commit: bool,
}

/// What is appended together with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attachment {
    Marker(MarkerOrder),
    /// The offsets that groups hold for the transaction come into force, or not.
    Offsets {
        producer_id: i64,
        commit: bool,
        group_ids: Vec<Arc<str>>,
    },
}

/// What the shell does once a decision is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// More producer ids will be needed.
    ReserveProducerIds,
    /// Append these markers, make them durable and tell.
    WriteMarkers {
        transactional_id: Arc<str>,
        producer: (i64, i16),
        orders: Vec<MarkerOrder>,
    },
    /// Tell the operator that a transaction was aborted because it took too long.
    TimedOut {
        transactional_id: Arc<str>,
        timeout_ms: i32,
    },
}
