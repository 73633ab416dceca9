//! Zigzag variable-length integers and the cursor that reads records with them.
//!
//! Pure. Only records use this encoding; messages use the unsigned one.

use super::error::RecordError;

/// Bytes of the longest varint (32 bits).
const MAX_VARINT: usize = 5;

/// Bytes of the longest varlong (64 bits).
const MAX_VARLONG: usize = 10;

/// Bytes that `value` takes as a varint or, being the same encoding, as a varlong.
pub(super) fn size(value: i64) -> usize {
    let significant = 64 - (zigzag(value) | 1).leading_zeros();
    significant.div_ceil(7) as usize
}

/// Appends `value` as a varint or varlong.
pub(super) fn write(value: i64, out: &mut impl bytes::BufMut) {
    let mut rest = zigzag(value);
    while rest > 0x7f {
        out.put_u8(low_bits(rest) | 0x80);
        rest >>= 7;
    }
    out.put_u8(low_bits(rest));
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn low_bits(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

/// A position in a batch's records. Every read is checked; none panics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordError> {
        let byte = *self.bytes.get(self.at).ok_or(RecordError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<i32, RecordError> {
        let value = self.unsigned(MAX_VARINT)?;
        i32::try_from(unzigzag(value)).map_err(|_| RecordError::Varint)
    }

    pub(super) fn varlong(&mut self) -> Result<i64, RecordError> {
        self.unsigned(MAX_VARLONG).map(unzigzag)
    }

    /// Steps over `length` bytes and returns where they are.
    pub(super) fn skip(&mut self, length: usize) -> Result<std::ops::Range<usize>, RecordError> {
        if length > self.remaining() {
            return Err(RecordError::Truncated);
        }
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }

    fn unsigned(&mut self, max: usize) -> Result<u64, RecordError> {
        let mut value = 0_u64;
        for index in 0..max {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for a single bit.
            if index == MAX_VARLONG - 1 && bits > 1 {
                return Err(RecordError::Varint);
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Varint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_survives_the_round_trip_at_its_announced_size() {
        let edges = (0..64).flat_map(|bit| {
            let edge = 1_i64.wrapping_shl(bit);
            [edge, edge.wrapping_sub(1), edge.wrapping_neg(), !edge]
        });
        for value in edges.chain([0, i64::MAX, i64::MIN]) {
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            assert_eq!(bytes.len(), size(value), "{value}");
            assert_eq!(Cursor::new(&bytes, 0).varlong(), Ok(value));
            let narrow = Cursor::new(&bytes, 0).varint();
            assert_eq!(narrow.ok(), i32::try_from(value).ok(), "{value}");
        }
    }

    #[test]
    fn too_long_an_integer_is_malformed_and_a_short_one_truncated() {
        assert_eq!(
            Cursor::new(&[0x80; 6], 0).varint(),
            Err(RecordError::Varint)
        );
        assert_eq!(
            Cursor::new(&[0xff; 11], 0).varlong(),
            Err(RecordError::Varint)
        );
        assert_eq!(
            Cursor::new(&[0x80], 0).varint(),
            Err(RecordError::Truncated)
        );
    }
}
