//! Internal state as bytes: bincode behind a head that says kind, version, length and checksum.
//!
//! Pure. The only module that knows bincode; FORMAT.md draws the head.

use bincode::{Decode, Encode};

/// The first bytes of every file of internal state.
const MAGIC: [u8; 4] = *b"OTLS";
/// Magic 4, kind 2, version 2, payload length 4, CRC-32 4.
const HEAD_LEN: usize = 16;
/// No state of ours is larger; a limit that bincode knows at compile time.
const LARGEST_PAYLOAD: usize = 256 << 20;

/// What a piece of state is. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub u16);

impl Kind {
    /// Producer state of a partition.
    pub(crate) const PRODUCER_SNAPSHOT: Self = Self(1);
    /// Identity of a data directory.
    pub(crate) const META: Self = Self(2);
    /// Recovery points of a data directory.
    pub(crate) const CHECKPOINT: Self = Self(3);
}

/// Why bytes were not taken for state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    /// Shorter than the head, or than the head says.
    #[error("state is truncated")]
    Truncated,
    /// Not a file of state.
    #[error("state does not start with its magic bytes")]
    Magic,
    /// State of another kind.
    #[error("state is of kind {0}")]
    Kind(u16),
    /// A version that this release does not know.
    #[error("state has unknown version {0}")]
    Version(u16),
    /// More than the reader accepts, or than the format can hold.
    #[error("state is too large")]
    TooLarge,
    /// The checksum is not that of the bytes.
    #[error("state checksum does not match its bytes")]
    Checksum,
    /// The payload is not what the kind and the version promise.
    #[error("state cannot be decoded: {0}")]
    Payload(String),
}

/// `value` behind its head.
///
/// # Errors
/// [`StateError::TooLarge`] past the limit of the format.
pub(crate) fn encode<T: Encode>(
    kind: Kind,
    version: u16,
    value: &T,
) -> Result<Vec<u8>, StateError> {
    let payload = bincode::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| StateError::Payload(error.to_string()))?;
    if payload.len() > LARGEST_PAYLOAD {
        return Err(StateError::TooLarge);
    }
    let length = u32::try_from(payload.len()).map_err(|_| StateError::TooLarge)?;
    let mut bytes = Vec::with_capacity(HEAD_LEN + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&kind.0.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&checksum(kind.0, version, length, &payload).to_be_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// The value in `bytes`, which may go on behind it.
///
/// # Errors
/// [`StateError`] when the bytes are not state of this kind and version, intact and of at most
/// `limit` bytes.
pub(crate) fn decode<T: Decode<()>>(
    kind: Kind,
    version: u16,
    bytes: &[u8],
    limit: usize,
) -> Result<T, StateError> {
    let (magic, rest) = bytes.split_first_chunk().ok_or(StateError::Truncated)?;
    if *magic != MAGIC {
        return Err(StateError::Magic);
    }
    let (found_kind, rest) = rest.split_first_chunk().ok_or(StateError::Truncated)?;
    let (found_version, rest) = rest.split_first_chunk().ok_or(StateError::Truncated)?;
    let (length, rest) = rest.split_first_chunk().ok_or(StateError::Truncated)?;
    let (sum, rest) = rest.split_first_chunk().ok_or(StateError::Truncated)?;
    let found_kind = u16::from_be_bytes(*found_kind);
    let found_version = u16::from_be_bytes(*found_version);
    let length = u32::from_be_bytes(*length);
    let payload_len = usize::try_from(length).map_err(|_| StateError::TooLarge)?;
    if payload_len > limit.min(LARGEST_PAYLOAD) {
        return Err(StateError::TooLarge);
    }
    let payload = rest.get(..payload_len).ok_or(StateError::Truncated)?;
    if checksum(found_kind, found_version, length, payload) != u32::from_be_bytes(*sum) {
        return Err(StateError::Checksum);
    }
    if found_kind != kind.0 {
        return Err(StateError::Kind(found_kind));
    }
    if found_version != version {
        return Err(StateError::Version(found_version));
    }
    let config = bincode::config::standard().with_limit::<LARGEST_PAYLOAD>();
    match bincode::decode_from_slice(payload, config) {
        Ok((value, used)) if used == payload.len() => Ok(value),
        Ok(_) => Err(StateError::Payload("bytes are left over".to_owned())),
        Err(error) => Err(StateError::Payload(error.to_string())),
    }
}

fn checksum(kind: u16, version: u16, length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&kind.to_be_bytes());
    hasher.update(&version.to_be_bytes());
    hasher.update(&length.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind(9);

    #[test]
    fn state_survives_the_round_trip() {
        let value = (7_u64, "seven".to_owned(), vec![-1_i64, i64::MAX]);
        let mut bytes = encode(KIND, 3, &value).unwrap();
        bytes.push(0);
        assert_eq!(decode(KIND, 3, &bytes, 100), Ok(value));
    }

    #[test]
    fn another_kind_or_version_is_refused() {
        let bytes = encode(KIND, 3, &1_u8).unwrap();
        assert_eq!(
            decode::<u8>(Kind(8), 3, &bytes, 100),
            Err(StateError::Kind(9))
        );
        assert_eq!(
            decode::<u8>(KIND, 2, &bytes, 100),
            Err(StateError::Version(3))
        );
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let bytes = encode(KIND, 3, &vec![0_u8; 50]).unwrap();
        assert_eq!(
            decode::<Vec<u8>>(KIND, 3, &bytes, 50),
            Err(StateError::TooLarge)
        );
    }

    #[test]
    fn each_flipped_bit_and_each_cut_is_seen() {
        let bytes = encode(KIND, 3, &(1_u64 << 40, "text".to_owned())).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                decode::<(u64, String)>(KIND, 3, &bytes, 100).is_err(),
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(
                decode::<(u64, String)>(KIND, 3, &bytes[..len], 100).is_err(),
                "cut at {len}"
            );
        }
    }
}
