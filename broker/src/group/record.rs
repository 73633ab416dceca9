//! What the groups write down: the hard state, one key per fact, fit for a compacted log.
//!
//! Pure. A tombstone is a key without a value.

use std::sync::Arc;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use bytes::Bytes;

use super::consumer::{ConsumerGroupValue, MemberValue as ConsumerMemberValue};
use crate::record_codec;
pub(crate) use crate::record_codec::{EncodedRecord, RecordError};

/// One change of hard state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupRecord {
    /// A generation of a group, with its members and their assignments.
    GroupMetadata(GroupMetadata),
    /// The group is not one of the classic protocol any more; its offsets stay.
    GroupDeleted {
        /// The group.
        group_id: Arc<str>,
    },
    /// An offset.
    OffsetCommitted(OffsetKey, CommittedOffset),
    /// An offset is gone.
    OffsetDeleted(OffsetKey),
    /// An offset that comes into force if the transaction of this producer commits.
    OffsetPending(i64, OffsetKey, CommittedOffset),
    /// The transaction of a producer has ended.
    TransactionEnded {
        /// The group.
        group_id: Arc<str>,
        /// The producer.
        producer_id: i64,
        /// Whether its offsets come into force.
        committed: bool,
    },
    /// A group of the consumer protocol.
    ConsumerGroup {
        /// The group.
        group_id: Arc<str>,
        /// Its epochs.
        value: ConsumerGroupValue,
    },
    /// The group is not one of the consumer protocol any more.
    ConsumerGroupDeleted {
        /// The group.
        group_id: Arc<str>,
    },
    /// A member of a group of the consumer protocol; none if it is gone.
    ConsumerMember {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
        /// All about it.
        value: Option<Box<ConsumerMemberValue>>,
    },
    /// Everything of the group is gone.
    GroupRemoved {
        /// The group.
        group_id: Arc<str>,
    },
    /// The topic is gone, and with it the offsets that any group has for it.
    TopicRemoved {
        /// Topic name.
        topic: Arc<str>,
    },
}

/// A group as of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupMetadata {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// Generation and members.
    pub(crate) value: GroupValue,
}

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GroupValue {
    /// Generation.
    pub(crate) generation_id: i32,
    /// `consumer` and the like.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// Protocol chosen, while there are members.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// Member id of the leader, while there are members.
    pub(crate) leader: Option<Arc<str>>,
    /// When the group came into its state, milliseconds since the Unix epoch.
    pub(crate) current_state_timestamp_ms: i64,
    /// Members by member id.
    pub(crate) members: Vec<MemberValue>,
}

/// What is known of a member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MemberValue {
    /// Member id.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// Client id.
    pub(crate) client_id: Arc<str>,
    /// Address.
    pub(crate) client_host: Arc<str>,
    /// Session timeout in milliseconds.
    pub(crate) session_timeout_ms: u32,
    /// Rebalance timeout in milliseconds.
    pub(crate) rebalance_timeout_ms: u32,
    /// All protocols offered, with their metadata, in order of preference.
    pub(crate) protocols: Vec<(Arc<str>, Blob)>,
    /// What the leader assigned.
    pub(crate) assignment: Blob,
}

/// Which offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub(crate) struct OffsetKey {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// Topic name.
    pub(crate) topic: Arc<str>,
    /// Partition.
    pub(crate) partition: i32,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CommittedOffset {
    /// Topic id, if it was known.
    pub(crate) topic_id: Option<[u8; 16]>,
    /// The next offset to read.
    pub(crate) committed_offset: i64,
    /// Leader epoch of the last record read, −1 if unknown.
    pub(crate) leader_epoch: i32,
    /// The client's note.
    pub(crate) metadata: Arc<str>,
    /// When it was committed, milliseconds since the Unix epoch.
    pub(crate) commit_timestamp_ms: i64,
    /// When it expires, if the client said so (OffsetCommit 2–4).
    pub(crate) expire_timestamp_ms: Option<i64>,
}

/// Shared bytes, stored as a byte string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blob(pub Bytes);

impl Encode for Blob {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.as_ref().encode(encoder)
    }
}

impl<C> Decode<C> for Blob {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Vec::<u8>::decode(decoder).map(|bytes| Self(Bytes::from(bytes)))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Blob {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

#[derive(Encode, Decode)]
enum Key {
    Group(Arc<str>),
    Offset(OffsetKey),
    Pending(i64, OffsetKey),
    Transaction(i64, Arc<str>),
    ConsumerGroup(Arc<str>),
    ConsumerMember(Arc<str>, Arc<str>),
    GroupRemoved(Arc<str>),
    TopicRemoved(Arc<str>),
}

impl GroupRecord {
    /// The group the record belongs to; none if it is about all of them.
    #[must_use]
    pub(crate) fn group_id(&self) -> Option<&Arc<str>> {
        Some(match self {
            Self::TopicRemoved { .. } => return None,
            Self::GroupMetadata(metadata) => &metadata.group_id,
            Self::GroupDeleted { group_id } | Self::GroupRemoved { group_id } => group_id,
            Self::OffsetCommitted(key, _)
            | Self::OffsetDeleted(key)
            | Self::OffsetPending(_, key, _) => &key.group_id,
            Self::TransactionEnded { group_id, .. }
            | Self::ConsumerGroup { group_id, .. }
            | Self::ConsumerGroupDeleted { group_id }
            | Self::ConsumerMember { group_id, .. } => group_id,
        })
    }

    /// Key and value for the log.
    ///
    /// # Errors
    /// When the record is larger than a record may be, which the coordinator's limits rule out.
    pub(crate) fn encode(&self) -> Result<EncodedRecord, RecordError> {
        let key = match self {
            Self::GroupMetadata(metadata) => Key::Group(metadata.group_id.clone()),
            Self::GroupDeleted { group_id } => Key::Group(group_id.clone()),
            Self::GroupRemoved { group_id } => Key::GroupRemoved(group_id.clone()),
            Self::TopicRemoved { topic } => Key::TopicRemoved(topic.clone()),
            Self::OffsetCommitted(key, _) | Self::OffsetDeleted(key) => Key::Offset(key.clone()),
            Self::OffsetPending(producer_id, key, _) => Key::Pending(*producer_id, key.clone()),
            Self::TransactionEnded {
                group_id,
                producer_id,
                ..
            } => Key::Transaction(*producer_id, group_id.clone()),
            Self::ConsumerGroup { group_id, .. } | Self::ConsumerGroupDeleted { group_id } => {
                Key::ConsumerGroup(group_id.clone())
            }
            Self::ConsumerMember {
                group_id,
                member_id,
                ..
            } => Key::ConsumerMember(group_id.clone(), member_id.clone()),
        };
        let value = match self {
            Self::GroupMetadata(metadata) => Some(record_codec::encode(&metadata.value)?),
            Self::OffsetCommitted(_, offset) | Self::OffsetPending(_, _, offset) => {
                Some(record_codec::encode(offset)?)
            }
            Self::TransactionEnded { committed, .. } => Some(record_codec::encode(committed)?),
            Self::ConsumerGroup { value, .. } => Some(record_codec::encode(value)?),
            Self::ConsumerMember { value, .. } => {
                value.as_ref().map(record_codec::encode).transpose()?
            }
            Self::GroupDeleted { .. }
            | Self::GroupRemoved { .. }
            | Self::TopicRemoved { .. }
            | Self::OffsetDeleted(_)
            | Self::ConsumerGroupDeleted { .. } => None,
        };
        Ok(EncodedRecord {
            key: record_codec::encode(&key)?,
            value,
        })
    }

    /// Reads back what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When key or value are damaged or of an unknown version.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        Ok(match (record_codec::decode(key)?, value) {
            (Key::Group(group_id), Some(value)) => Self::GroupMetadata(GroupMetadata {
                group_id,
                value: record_codec::decode(value)?,
            }),
            (Key::Group(group_id), None) => Self::GroupDeleted { group_id },
            (Key::Offset(key), Some(value)) => {
                Self::OffsetCommitted(key, record_codec::decode(value)?)
            }
            (Key::Offset(key), None) => Self::OffsetDeleted(key),
            (Key::Pending(producer_id, key), value) => {
                let offset = record_codec::decode(value.unwrap_or_default())?;
                Self::OffsetPending(producer_id, key, offset)
            }
            (Key::Transaction(producer_id, group_id), value) => Self::TransactionEnded {
                group_id,
                producer_id,
                committed: record_codec::decode(value.unwrap_or_default())?,
            },
            (Key::ConsumerGroup(group_id), Some(value)) => Self::ConsumerGroup {
                group_id,
                value: record_codec::decode(value)?,
            },
            (Key::ConsumerGroup(group_id), None) => Self::ConsumerGroupDeleted { group_id },
            (Key::ConsumerMember(group_id, member_id), value) => Self::ConsumerMember {
                group_id,
                member_id,
                value: value.map(record_codec::decode).transpose()?,
            },
            (Key::GroupRemoved(group_id), _) => Self::GroupRemoved { group_id },
            (Key::TopicRemoved(topic), _) => Self::TopicRemoved { topic },
        })
    }
}
