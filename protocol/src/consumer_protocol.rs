//! What consumers tell each other through a classic group, opaque to the broker: a version and
//! the fields of that version.
//!
//! Pure. A blob of a newer version is read as the newest version known here, because versions
//! only ever append fields.

use bytes::Bytes;

use crate::declare::message;
use crate::error::{DecodeError, EncodeError};
use crate::primitive::{Reader, StrBytes, Version, Wire, Writer};

#[cfg(test)]
mod tests;

/// The newest version of both blobs.
pub const MAX_VERSION: i16 = 3;

message! {
    /// What a member wants to read: its metadata in JoinGroup.
    pub struct ConsumerProtocolSubscription {
        /// The topics.
        pub topics: Vec<StrBytes>,
        /// Whatever the assignor wants to add.
        pub user_data: Option<Bytes>,
        /// What the member reads now, for cooperative rebalancing (KIP-429).
        pub owned_partitions: Vec<TopicPartitions> [1..],
        /// The generation in which it got them, or -1 (KIP-792).
        pub generation_id: i32 [2..] = -1,
        /// The rack that the member is in (KIP-881).
        pub rack_id: Option<StrBytes> [3..],
    }

    /// What a member gets to read: its assignment in SyncGroup.
    pub struct ConsumerProtocolAssignment {
        /// The partitions.
        pub assigned_partitions: Vec<TopicPartitions>,
        /// Whatever the assignor wants to add.
        pub user_data: Option<Bytes>,
    }

    /// Partitions of one topic. Kafka's schema calls it `TopicPartition`.
    pub struct TopicPartitions {
        /// The topic.
        pub topic: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }
}

impl ConsumerProtocolSubscription {
    /// The blob in `version`.
    ///
    /// # Errors
    /// [`EncodeError`] when the version is not known or a field too long.
    pub fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        to_bytes(self, version)
    }

    /// Reads a blob and says which version it has.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no subscription.
    pub fn from_bytes(blob: Bytes) -> Result<(i16, Self), DecodeError> {
        from_bytes(blob)
    }
}

impl ConsumerProtocolAssignment {
    /// The blob in `version`.
    ///
    /// # Errors
    /// [`EncodeError`] when the version is not known or a field too long.
    pub fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        to_bytes(self, version)
    }

    /// Reads a blob and says which version it has.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no assignment.
    pub fn from_bytes(blob: Bytes) -> Result<(i16, Self), DecodeError> {
        from_bytes(blob)
    }
}

fn to_bytes<T: Wire>(message: &T, number: i16) -> Result<Bytes, EncodeError> {
    if !(0..=MAX_VERSION).contains(&number) {
        return Err(EncodeError::Version(number));
    }
    let version = Version::new(number, false);
    let mut writer = Writer::new();
    number.encode(&mut writer, version);
    message.encode(&mut writer, version);
    Ok(writer.finish()?.concat().into())
}

/// Bytes behind the last field known are left alone: they are fields of a newer version.
fn from_bytes<T: Wire>(blob: Bytes) -> Result<(i16, T), DecodeError> {
    let mut reader = Reader::new(blob);
    let number = i16::decode(&mut reader, Version::new(0, false))?;
    if number < 0 {
        return Err(DecodeError::Version(number));
    }
    let version = Version::new(number.min(MAX_VERSION), false);
    let message = T::decode(&mut reader, version)?;
    if number <= MAX_VERSION {
        reader.finish()?;
    }
    Ok((number, message))
}
