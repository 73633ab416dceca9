//! Writes fields to a list of chunks; record payloads go through without a copy.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::EncodeError;

/// From this length on a byte field becomes a chunk of its own. Below it a copy is cheaper than
/// one more slice in a vectored write.
const SHARE_FROM: usize = 1024;

/// Room for a small message, so that most are written without growing.
const INITIAL_CAPACITY: usize = 256;

/// Collects the bytes of one message.
///
/// The first field that does not fit its length field is remembered and reported at the end, so
/// that writing itself has no errors to pass on.
#[derive(Debug)]
pub struct Writer {
    small: BytesMut,
    /// Byte fields taken as they are, each with the length of `small` that goes before it.
    shared: Vec<(usize, Bytes)>,
    len: usize,
    counting: bool,
    error: Option<EncodeError>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty message.
    #[must_use]
    pub fn new() -> Self {
        Self::with_counting(false)
    }

    /// A writer that keeps no bytes and only counts them.
    #[must_use]
    pub fn counter() -> Self {
        Self::with_counting(true)
    }

    fn with_counting(counting: bool) -> Self {
        let capacity = if counting { 0 } else { INITIAL_CAPACITY };
        let small = BytesMut::with_capacity(capacity);
        Self {
            small,
            shared: Vec::new(),
            len: 0,
            counting,
            error: None,
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` to the end.
    pub fn put(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len());
        if !self.counting {
            self.small.put_slice(bytes);
        }
    }

    /// Puts `bytes` at the end, without a copy if they are many.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if self.counting || bytes.len() < SHARE_FROM {
            self.put(bytes);
        } else {
            self.len = self.len.saturating_add(bytes.len());
            self.shared.push((self.small.len(), bytes.clone()));
        }
    }

    /// An unsigned variable-length integer.
    pub fn put_unsigned_varint(&mut self, value: u32) {
        self.put_unsigned(u64::from(value));
    }

    /// A zigzag variable-length integer of 32 bits.
    pub fn put_varint(&mut self, value: i32) {
        self.put_unsigned_varint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A zigzag variable-length integer of 64 bits.
    pub fn put_varlong(&mut self, value: i64) {
        self.put_unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// The length of a string: 16 bits, or compact. `None` is null.
    pub fn put_string_length(&mut self, len: Option<usize>, compact: bool) {
        if compact {
            self.put_compact_length(len);
        } else {
            let len = len.map_or(Some(-1), |len| self.fit(len, i16::try_from(len)));
            self.put(&len.unwrap_or_default().to_be_bytes());
        }
    }

    /// The length of a byte field or the count of an array: 32 bits, or compact. `None` is null.
    pub fn put_length(&mut self, len: Option<usize>, compact: bool) {
        if compact {
            self.put_compact_length(len);
        } else {
            let len = len.map_or(Some(-1), |len| self.fit(len, i32::try_from(len)));
            self.put(&len.unwrap_or_default().to_be_bytes());
        }
    }

    /// One field of a tag section: tag, size, and what `field` writes. `field` runs twice.
    pub fn put_tagged(&mut self, tag: u32, field: impl Fn(&mut Self)) {
        let mut counter = Self::counter();
        field(&mut counter);
        let size = counter.len();
        let written = self.fit(size, u32::try_from(size)).unwrap_or_default();
        self.put_unsigned_varint(tag);
        self.put_unsigned_varint(written);
        field(self);
    }

    /// The message as chunks in order. Large byte fields are chunks of their own.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when a field did not fit.
    pub fn finish(self) -> Result<Vec<Bytes>, EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut small = self.small.freeze();
        let mut chunks = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut taken = 0;
        for (before, bytes) in self.shared {
            if before > taken {
                chunks.push(small.split_to(before - taken));
                taken = before;
            }
            chunks.push(bytes);
        }
        if !small.is_empty() {
            chunks.push(small);
        }
        Ok(chunks)
    }

    fn put_unsigned(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut len = 0;
        for slot in &mut bytes {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            len += 1;
            *slot = if value == 0 { low & 0x7f } else { low | 0x80 };
            if value == 0 {
                break;
            }
        }
        self.put(bytes.get(..len).unwrap_or_default());
    }

    fn put_compact_length(&mut self, len: Option<usize>) {
        let raw = len.map_or(Some(0), |len| {
            self.fit(len, i32::try_from(len))
                .map(|len| len.cast_unsigned() + 1)
        });
        self.put_unsigned_varint(raw.unwrap_or_default());
    }

    fn fit<T, E>(&mut self, len: usize, fitted: Result<T, E>) -> Option<T> {
        let fitted = fitted.ok();
        if fitted.is_none() {
            self.error.get_or_insert(EncodeError::TooLong(len));
        }
        fitted
    }
}

/// A whole frame, length prefix first, as chunks for a vectored write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// Prepends the length to what `fill` writes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] when a field or the frame does not fit its length.
    pub fn build(fill: impl FnOnce(&mut Writer)) -> Result<Self, EncodeError> {
        let mut writer = Writer::new();
        writer.put(&[0; 4]);
        fill(&mut writer);
        let len = writer.len();
        let body = len.saturating_sub(4);
        let prefix = i32::try_from(body).map_err(|_| EncodeError::TooLong(body))?;
        if let Some(slot) = writer.small.first_chunk_mut::<4>() {
            *slot = prefix.to_be_bytes();
        }
        Ok(Self {
            chunks: writer.finish()?,
            len,
        })
    }

    /// Bytes of the frame with its prefix.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a frame has at least its prefix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks in order.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The chunks in order, by value.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// The frame in one piece; copies if it has more than one chunk.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match <[Bytes; 1]>::try_from(self.chunks) {
            Ok([bytes]) => bytes,
            Err(chunks) => chunks.concat().into(),
        }
    }
}
