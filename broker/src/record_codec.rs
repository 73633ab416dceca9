//! The stored form of a machine's record: version, CRC-32, bincode.
//!
//! Pure. bincode is used in this module and in storage's `state_codec` only.

use bincode::config::{self, Configuration};
use bincode::{Decode, Encode};

/// A record larger than this is not one of ours.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// Version byte and CRC-32 of what follows.
const HEAD: usize = 5;

fn format() -> Configuration<config::LittleEndian, config::Varint, config::Limit<MAX_RECORD_BYTES>>
{
    config::standard().with_limit::<MAX_RECORD_BYTES>()
}

/// The stored form of `record` under `version`.
pub(crate) fn encode<T: Encode>(version: u8, record: &T) -> Vec<u8> {
    // Encoding plain data into a Vec cannot fail; an empty record would be refused on load.
    let body = bincode::encode_to_vec(record, format()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.push(version);
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// The record of a stored form, or why it is not one.
pub(crate) fn decode<T: Decode<()>>(version: u8, bytes: &[u8]) -> Result<T, String> {
    let Some(([found, crc @ ..], body)) = bytes.split_first_chunk::<HEAD>() else {
        return Err("record is too short".to_owned());
    };
    if *found != version {
        return Err(format!("record has version {found}, this program reads {version}"));
    }
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err("record checksum does not match".to_owned());
    }
    match bincode::decode_from_slice(body, format()) {
        Ok((record, read)) if read == body.len() => Ok(record),
        Ok(_) => Err("record has bytes left over".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_seen() {
        let stored = encode(1, &(7_i64, "seven".to_owned()));
        assert_eq!(decode(1, &stored), Ok((7_i64, "seven".to_owned())));
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(i64, String)>(1, &bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_seen() {
        let stored = encode(1, &vec![1_u64, 2, 3]);
        for len in 0..stored.len() {
            assert!(decode::<Vec<u64>>(1, &stored[..len]).is_err(), "length {len}");
        }
    }
}
