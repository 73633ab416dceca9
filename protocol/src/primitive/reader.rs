//! Reads fields from a frame: bounded, zero-copy, never panicking.

use bytes::{Buf, Bytes};

use super::StrBytes;
use crate::error::DecodeError;

/// Memory that a decoded message may take per byte of its frame.
const BUDGET_PER_BYTE: usize = 8;

/// Memory that any message may take, however short its frame.
const BUDGET_BASE: usize = 64 * 1024;

/// The most bytes that a 32-bit variable-length integer has.
const VARINT_LEN: u32 = 5;

/// The most bytes that a 64-bit variable-length integer has.
const VARLONG_LEN: u32 = 10;

/// A cursor over one frame.
///
/// Strings in UTF-8 and byte fields are slices of the frame and keep it alive. Arrays are charged against
/// a budget of eight times the frame and 64 KiB, so that no message can cost much more memory
/// than it took to send.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    budget: usize,
}

impl Reader {
    /// Starts at the first byte, with the whole budget.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        let budget = bytes
            .len()
            .saturating_mul(BUDGET_PER_BYTE)
            .saturating_add(BUDGET_BASE);
        Self { bytes, budget }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Everything that is left.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.bytes
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] when bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    /// The next `len` bytes, without a copy.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.need(len)?;
        Ok(self.bytes.split_to(len))
    }

    /// The next `len` bytes as UTF-8, without a copy. What is no UTF-8 becomes replacement
    /// characters, as in Kafka.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]; [`DecodeError::Utf8`] when the replacement is too long to be
    /// sent back.
    pub fn take_str(&mut self, len: usize) -> Result<StrBytes, DecodeError> {
        let bytes = self.take(len)?;
        if let Ok(text) = StrBytes::try_from(bytes.clone()) {
            return Ok(text);
        }
        let text = String::from_utf8_lossy(&bytes);
        if i16::try_from(text.len()).is_err() {
            return Err(DecodeError::Utf8);
        }
        Ok(text.into_owned().into())
    }

    /// The next `N` bytes by value.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        self.need(N)?;
        self.bytes.copy_to_slice(&mut out);
        Ok(out)
    }

    /// An unsigned variable-length integer.
    ///
    /// # Errors
    /// [`DecodeError::Varint`] also for encodings longer than needed, of which Kafka writes none.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let value = self.unsigned(VARINT_LEN)?;
        u32::try_from(value).map_err(|_| DecodeError::Varint)
    }

    /// A zigzag variable-length integer of 32 bits.
    ///
    /// # Errors
    /// As [`Reader::unsigned_varint`].
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A zigzag variable-length integer of 64 bits.
    ///
    /// # Errors
    /// As [`Reader::unsigned_varint`].
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.unsigned(VARLONG_LEN)?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A compact length: one more than the length, or 0 for null.
    ///
    /// # Errors
    /// As [`Reader::unsigned_varint`].
    pub fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        let raw = self.unsigned_varint()?;
        raw.checked_sub(1)
            .map(|len| usize::try_from(len).map_err(|_| DecodeError::Varint))
            .transpose()
    }

    /// Makes sure that `count` elements can follow, then pays for them.
    ///
    /// # Errors
    /// [`DecodeError::Count`] when `count` elements of `wire_size` bytes cannot be left,
    /// [`DecodeError::Budget`] when their `memory_size` exceeds what the frame may cost.
    pub fn reserve(
        &mut self,
        count: usize,
        wire_size: usize,
        memory_size: usize,
    ) -> Result<(), DecodeError> {
        let possible = self.remaining() / wire_size.max(1);
        if count > possible {
            return Err(DecodeError::Count { count, possible });
        }
        let cost = count.saturating_mul(memory_size);
        self.budget = self
            .budget
            .checked_sub(cost)
            .ok_or_else(|| DecodeError::Budget(cost.saturating_sub(self.budget)))?;
        Ok(())
    }

    /// A tag section. `field` gets each tag with a reader that ends where the field ends; it must
    /// read all of it, or [`Reader::skip`] a tag that it does not know.
    ///
    /// # Errors
    /// [`DecodeError::TagOrder`], [`DecodeError::TrailingBytes`], and those of `field`.
    pub fn tags<F>(&mut self, mut field: F) -> Result<(), DecodeError>
    where
        F: FnMut(&mut Self, u32) -> Result<(), DecodeError>,
    {
        let mut next = 0_u64;
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            if u64::from(tag) < next {
                return Err(DecodeError::TagOrder(tag));
            }
            next = u64::from(tag) + 1;
            let size = self.unsigned_varint()?;
            let size = usize::try_from(size).map_err(|_| DecodeError::Varint)?;
            self.need(size)?;
            let rest = self.bytes.split_off(size);
            field(self, tag)?;
            if self.remaining() > 0 {
                return Err(DecodeError::TrailingBytes(self.remaining()));
            }
            self.bytes = rest;
        }
        Ok(())
    }

    /// Drops all that is left, as for an unknown tag.
    pub fn skip(&mut self) {
        self.bytes.clear();
    }

    fn need(&self, needed: usize) -> Result<(), DecodeError> {
        let remaining = self.remaining();
        if needed > remaining {
            return Err(DecodeError::Truncated { needed, remaining });
        }
        Ok(())
    }

    /// Seven bits a byte, lowest first; the last byte has a clear top bit and is not zero unless
    /// it is the only one.
    fn unsigned(&mut self, max_len: u32) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for position in 0..max_len {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * position);
            if shifted >> (7 * position) != bits {
                return Err(DecodeError::Varint);
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return if byte == 0 && position > 0 {
                    Err(DecodeError::Varint)
                } else {
                    Ok(value)
                };
            }
        }
        Err(DecodeError::Varint)
    }
}
