//! Producers and their transactions, as the batches of a log tell. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::record::{
    BatchBuilder, BatchOptions, EndTransactionMarker, ProducerIdentity, RecordBatch,
    TransactionResult,
};
use ottla_storage::log::{Append, Marker};

use crate::ledger::{Sent, Topic};

/// Epoch of the coordinator that writes the markers.
pub(crate) const COORDINATOR: i32 = 5;

/// A producer of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Producer {
    /// Without idempotence.
    Plain,
    /// Idempotent.
    Idempotent,
    /// Transactional; the epoch stays.
    Classic,
    /// Transactional; the epoch rises with each end (KIP-890).
    Bumping,
}

impl Producer {
    pub(crate) fn id(self) -> i64 {
        match self {
            Self::Plain => -1,
            Self::Idempotent => 11,
            Self::Classic => 12,
            Self::Bumping => 13,
        }
    }

    fn of(id: i64) -> Option<Self> {
        let all = [Self::Idempotent, Self::Classic, Self::Bumping];
        all.into_iter().find(|producer| producer.id() == id)
    }

    fn is_transactional(self) -> bool {
        matches!(self, Self::Classic | Self::Bumping)
    }
}

/// A transaction that was aborted, and where its records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) last_offset: i64,
    pub(crate) offsets: Vec<i64>,
}

/// The transactions of a log.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// First offset of each open one, by producer.
    pub(crate) open: BTreeMap<i64, i64>,
    pub(crate) aborted: Vec<Aborted>,
}

impl Transactions {
    pub(crate) fn of(sent: &[Sent]) -> Self {
        let mut all = Self::default();
        let mut offsets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (at, sent) in (0..).zip(sent) {
            let header = &sent.append.header;
            let id = header.producer_id;
            match sent.ends {
                Some(result) => {
                    let began = all.open.remove(&id).is_some();
                    let offsets = offsets.remove(&id).unwrap_or_default();
                    if began && result == TransactionResult::Abort {
                        all.aborted.push(Aborted {
                            producer_id: id,
                            last_offset: at,
                            offsets,
                        });
                    }
                }
                None if header.attributes.is_transactional() => {
                    all.open.entry(id).or_insert(at);
                    offsets.entry(id).or_default().push(at);
                }
                None => {}
            }
        }
        all
    }
}

impl Topic {
    /// The newest epoch of a producer here, and the sequence that follows in it.
    fn next_sequence(&self, producer: Producer) -> (i16, i32) {
        let mine = self
            .sent
            .iter()
            .map(|sent| &sent.append.header)
            .filter(|header| header.producer_id == producer.id());
        mine.fold((0, 0), |(epoch, next), header| {
            let of_marker = header.base_sequence < 0;
            match header.producer_epoch > epoch {
                true if of_marker => (header.producer_epoch, 0),
                true => (header.producer_epoch, header.base_sequence + 1),
                false if of_marker => (epoch, next),
                false => (epoch, header.base_sequence + 1),
            }
        })
    }

    /// The batches whose repetition must be seen: the last five of the newest epoch, with offsets.
    pub(crate) fn remembered(&self, producer: Producer) -> Vec<(i64, Append)> {
        let (epoch, _) = self.next_sequence(producer);
        let mine = (0..).zip(&self.sent).filter(|(_, sent)| {
            let header = &sent.append.header;
            header.producer_id == producer.id()
                && header.producer_epoch == epoch
                && header.base_sequence >= 0
        });
        let mut mine: Vec<_> = mine.map(|(at, sent)| (at, sent.append.clone())).collect();
        mine.split_off(mine.len().saturating_sub(5))
    }

    /// Producers with an open transaction.
    pub(crate) fn open(&self) -> Vec<Producer> {
        let open = Transactions::of(&self.sent).open;
        open.keys().filter_map(|id| Producer::of(*id)).collect()
    }
}

/// The next batch of a producer for a log with this ledger; `epoch` is its newest anywhere.
pub(crate) fn next_batch(
    topic: &Topic,
    producer: Producer,
    epoch: i16,
    timestamp: i64,
    value: &Bytes,
) -> Sent {
    let (known, next) = topic.next_sequence(producer);
    let identity = match producer {
        Producer::Plain => ProducerIdentity::NONE,
        _ => ProducerIdentity {
            producer_id: producer.id(),
            producer_epoch: epoch,
            base_sequence: if epoch == known { next } else { 0 },
        },
    };
    let options = BatchOptions {
        producer: identity,
        transactional: producer.is_transactional(),
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).expect("no codec");
    let next_offset = i64::try_from(topic.sent.len()).expect("an offset");
    let key = topic.keys.map(|keys| (next_offset % keys).to_be_bytes());
    let key = key.as_ref().map(|key| &key[..]);
    builder
        .append(timestamp, key, Some(value), &[])
        .expect("a first record");
    Sent {
        append: parsed(builder.build().expect("no codec")),
        ends: None,
    }
}

/// The newest epoch of a producer in any log.
pub(crate) fn newest_epoch<'a>(
    topics: impl IntoIterator<Item = &'a Topic>,
    producer: Producer,
) -> i16 {
    let epochs = topics
        .into_iter()
        .map(|topic| topic.next_sequence(producer).0);
    epochs.max().unwrap_or(0)
}

/// The marker that ends a producer's transaction, and the batch that it becomes at time `now_ms`.
pub(crate) fn marker(
    producer: Producer,
    epoch: i16,
    result: TransactionResult,
    now_ms: i64,
) -> (Marker, Sent) {
    let bumps_epoch = producer == Producer::Bumping;
    let marker = Marker {
        producer_id: producer.id(),
        producer_epoch: epoch + i16::from(bumps_epoch),
        end: EndTransactionMarker {
            result,
            coordinator_epoch: COORDINATOR,
        },
        bumps_epoch,
    };
    let bytes = marker
        .end
        .build(marker.producer_id, marker.producer_epoch, now_ms);
    let sent = Sent {
        append: parsed(bytes),
        ends: Some(result),
    };
    (marker, sent)
}

fn parsed(bytes: Bytes) -> Append {
    let (batch, _) = RecordBatch::parse(bytes).expect("a batch that was just built");
    Append {
        header: *batch.header(),
        body: batch.body(),
    }
}
