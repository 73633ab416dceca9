//! The fixed 61-byte head of a v2 record batch, and its attribute bits.
//!
//! Pure. Decoding checks what can be known from the head alone; the CRC is checked by
//! [`BatchHeader::verify_crc`], because not every reader needs to pay for it.

/// Bytes from the start of a batch to its first record.
pub const HEADER_LEN: usize = 61;

/// The only record batch format accepted and written.
const MAGIC: i8 = 2;

/// Where every batch format keeps its magic.
const MAGIC_AT: usize = 16;

/// The CRC covers everything from the attributes to the end of the batch.
const CRC_START: usize = 21;

/// Why the head of a batch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer bytes than the head, or than the batch says it has.
    #[error("record batch is truncated")]
    Truncated,
    /// `batch_length` is smaller than the head.
    #[error("record batch length {0} is smaller than a batch header")]
    Length(i32),
    /// A format other than v2.
    #[error("record batch magic {0} is not supported; only 2 is")]
    Magic(i8),
    /// The compression bits name no known codec.
    #[error("record batch uses unknown compression type {0}")]
    Compression(u8),
    /// The stored CRC-32C is not that of the bytes.
    #[error("record batch checksum does not match its bytes")]
    Crc,
}

/// The codec of a batch's records: attribute bits 0 to 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Records in clear.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, raw or in xerial framing.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Compression {
    /// The codec that `bits` names, or `None` for a number without a codec.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    /// Kafka's name of this codec, as in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The number of this codec in the attribute bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the timestamps of a batch mean: attribute bit 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// Each record carries the producer's time.
    #[default]
    CreateTime,
    /// All records have the time at which the broker appended the batch.
    LogAppendTime,
}

/// The attribute bits of a batch, with accessors for each meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The codec, or its unknown number.
    ///
    /// # Errors
    /// [`HeaderError::Compression`] when the bits name no codec.
    pub fn compression(self) -> Result<Compression, HeaderError> {
        let bits = u8::try_from(self.0 & Self::COMPRESSION).unwrap_or(u8::MAX);
        Compression::from_bits(bits).ok_or(HeaderError::Compression(bits))
    }

    /// Whether timestamps are the producer's or the broker's.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// The batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// The batch holds a control record (a transaction marker), not data.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// `base_timestamp` holds the time after which tombstones may go (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// These attributes with another codec.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self((self.0 & !Self::COMPRESSION) | i16::from(compression.bits()))
    }

    /// These attributes with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    /// These attributes with the transactional bit set or cleared.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        Self(if on {
            self.0 | Self::TRANSACTIONAL
        } else {
            self.0 & !Self::TRANSACTIONAL
        })
    }

    /// These attributes with the delete horizon bit set or cleared.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        Self(if on {
            self.0 | Self::DELETE_HORIZON
        } else {
            self.0 & !Self::DELETE_HORIZON
        })
    }

    /// These attributes with the control bit set or cleared.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        Self(if on {
            self.0 | Self::CONTROL
        } else {
            self.0 & !Self::CONTROL
        })
    }
}

/// The head of a v2 record batch. Field names are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes of the batch after this field.
    pub batch_length: i32,
    /// Leader epoch under which the batch was appended.
    pub partition_leader_epoch: i32,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// Offset of the last record relative to the first.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, or the delete horizon, in milliseconds.
    pub base_timestamp: i64,
    /// Largest timestamp of the batch, in milliseconds.
    pub max_timestamp: i64,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Epoch of the producer, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

/// The `N` bytes of `head` from `at`. Only called with constants inside the head.
fn field<const N: usize>(head: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let bytes = head.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().unwrap_or([0; N])
}

impl BatchHeader {
    /// Bytes that `batch_length` does not count: the base offset and the length itself.
    pub(super) const LENGTH_PREFIX: usize = 12;

    /// Reads the head at the start of `bytes`, which may end before the batch does.
    ///
    /// # Errors
    /// [`HeaderError`] when `bytes` holds no whole head, or one that cannot be a v2 batch.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        // Formats before v2 have the magic at the same place but shorter heads.
        match bytes.get(MAGIC_AT).map(|byte| byte.cast_signed()) {
            Some(MAGIC) => {}
            Some(magic) => return Err(HeaderError::Magic(magic)),
            None => return Err(HeaderError::Truncated),
        }
        let head = bytes
            .first_chunk::<HEADER_LEN>()
            .ok_or(HeaderError::Truncated)?;
        let header = Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length: i32::from_be_bytes(field(head, 8)),
            partition_leader_epoch: i32::from_be_bytes(field(head, 12)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: Attributes(i16::from_be_bytes(field(head, 21))),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        };
        match usize::try_from(header.batch_length) {
            Ok(length) if length >= HEADER_LEN - Self::LENGTH_PREFIX => Ok(header),
            _ => Err(HeaderError::Length(header.batch_length)),
        }
    }

    /// The 61 bytes of this head.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut head = [0; HEADER_LEN];
        let fields: [&[u8]; 13] = [
            &self.base_offset.to_be_bytes(),
            &self.batch_length.to_be_bytes(),
            &self.partition_leader_epoch.to_be_bytes(),
            &MAGIC.to_be_bytes(),
            &self.crc.to_be_bytes(),
            &self.attributes.0.to_be_bytes(),
            &self.last_offset_delta.to_be_bytes(),
            &self.base_timestamp.to_be_bytes(),
            &self.max_timestamp.to_be_bytes(),
            &self.producer_id.to_be_bytes(),
            &self.producer_epoch.to_be_bytes(),
            &self.base_sequence.to_be_bytes(),
            &self.record_count.to_be_bytes(),
        ];
        for (to, from) in head.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        head
    }

    /// Bytes of the whole batch, head included.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.batch_length)
            .unwrap_or(0)
            .saturating_add(Self::LENGTH_PREFIX)
    }

    /// Offset of the last record. Saturates instead of wrapping on a forged head.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record; sequences wrap from `i32::MAX` to 0. -1 without one.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta.max(0));
        i32::try_from(sum & i64::from(i32::MAX)).unwrap_or(0)
    }

    /// The time, in milliseconds, after which tombstones or a marker of the batch may go (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<i64> {
        self.attributes
            .has_delete_horizon()
            .then_some(self.base_timestamp)
    }

    /// Whether an idempotent producer wrote the batch.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }

    /// The CRC-32C that a batch with this head and `records` behind it must carry.
    #[must_use]
    pub fn compute_crc(&self, records: &[u8]) -> u32 {
        let head = self.encode();
        let covered = head.get(CRC_START..).unwrap_or_default();
        crc32c::crc32c_append(crc32c::crc32c(covered), records)
    }

    /// Checks the CRC of the batch that starts at `batch[0]`.
    ///
    /// # Errors
    /// [`HeaderError::Truncated`] when `batch` is shorter than the head says,
    /// [`HeaderError::Crc`] when the bytes are not those that were summed.
    pub fn verify_crc(&self, batch: &[u8]) -> Result<(), HeaderError> {
        let covered = batch
            .get(CRC_START..self.size())
            .ok_or(HeaderError::Truncated)?;
        if crc32c::crc32c(covered) == self.crc {
            Ok(())
        } else {
            Err(HeaderError::Crc)
        }
    }
}

#[cfg(test)]
mod tests;
