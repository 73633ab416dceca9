//! The one frame around everything the broker writes down about itself: a version, a checksum and
//! a bincode body. A frame that does not open is an error, never a guess.
//!
//! Pure. Equal values have equal bytes, so a frame can serve as the key of a compacted log.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};

/// The layout written today. Raised when a body's meaning changes.
const VERSION: u8 = 1;
/// Version byte and CRC-32 in front of the body.
const HEADER: usize = 5;
/// A body claiming more than this is refused before anything is allocated for it.
const MAX_BODY: usize = 64 << 20;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<MAX_BODY>> = bincode::config::standard()
    .with_fixed_int_encoding()
    .with_limit::<MAX_BODY>();

/// Why a stored frame could not be read, or a value not be framed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// Fewer bytes than a frame has at least.
    #[error("record of {0} bytes is shorter than its header")]
    Short(usize),
    /// Written by a version of Ottla this one does not know.
    #[error("record version {0} is not known to this version of Ottla")]
    Version(u8),
    /// The bytes are not those that were written.
    #[error("record checksum is {found:#010x}, computed {computed:#010x}")]
    Checksum {
        /// The checksum in the frame.
        found: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The checksum holds but the body is not one of this type.
    #[error("record body: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    /// The value is larger than a record may be.
    #[error("record body: {0}")]
    Encode(#[from] bincode::error::EncodeError),
    /// Bytes were left over after the body.
    #[error("record has {0} bytes after its body")]
    Trailing(usize),
}

/// A record as an internal log takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EncodedRecord {
    /// Equal for all records of one fact; the last one counts.
    pub(crate) key: Vec<u8>,
    /// None is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
}

/// Frames `value`.
///
/// # Errors
/// When the value exceeds the largest record there may be.
pub(crate) fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, RecordError> {
    let body = bincode::encode_to_vec(value, CONFIG)?;
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.push(VERSION);
    frame.extend_from_slice(&checksum(VERSION, &body).to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Opens a frame made by [`encode`].
///
/// # Errors
/// When version, checksum or body are not what [`encode`] writes.
pub(crate) fn decode<T: Decode<()>>(frame: &[u8]) -> Result<T, RecordError> {
    let Some((&[version, a, b, c, d], body)) = frame.split_first_chunk::<HEADER>() else {
        return Err(RecordError::Short(frame.len()));
    };
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let found = u32::from_le_bytes([a, b, c, d]);
    let computed = checksum(version, body);
    if found != computed {
        return Err(RecordError::Checksum { found, computed });
    }
    let (value, read) = bincode::decode_from_slice(body, CONFIG)?;
    match body.len() - read {
        0 => Ok(value),
        left => Err(RecordError::Trailing(left)),
    }
}

fn checksum(version: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_opens_to_what_was_framed() {
        let frame = encode(&("orders".to_owned(), 7_i64)).unwrap();
        assert_eq!(
            decode::<(String, i64)>(&frame).unwrap(),
            ("orders".to_owned(), 7)
        );
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let frame = encode(&("orders".to_owned(), 7_i64)).unwrap();
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(String, i64)>(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn any_truncation_is_noticed() {
        let frame = encode(&("orders".to_owned(), 7_i64)).unwrap();
        for len in 0..frame.len() {
            assert!(
                decode::<(String, i64)>(&frame[..len]).is_err(),
                "{len} bytes"
            );
        }
    }
}
