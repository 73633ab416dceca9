//! Field types and their form on the wire.

use bytes::Bytes;
use uuid::Uuid;

use super::{Reader, StrBytes, Version, Writer};
use crate::error::DecodeError;

/// A type that fields of messages have.
pub trait Wire: Sized {
    /// The fewest bytes that any value takes, by which array counts are bounded.
    #[must_use]
    fn min_size(version: Version) -> usize;

    /// Writes the value.
    fn encode(&self, writer: &mut Writer, version: Version);

    /// Reads a value.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no value of this type.
    fn decode(reader: &mut Reader, version: Version) -> Result<Self, DecodeError>;

    /// The bytes that [`Wire::encode`] would write.
    fn encoded_size(&self, version: Version) -> usize {
        let mut counter = Writer::counter();
        self.encode(&mut counter, version);
        counter.len()
    }
}

/// A type whose absence has a form on the wire.
///
/// What is provided here is the form of structs: a byte before the value, 1 or -1 for null.
pub trait Nullable: Wire + Default {
    /// The fewest bytes, null included.
    #[must_use]
    fn min_size_nullable(_: Version) -> usize {
        1
    }

    /// Writes the value or null.
    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        let marker: i8 = if value.is_some() { 1 } else { -1 };
        marker.encode(writer, version);
        if let Some(value) = value {
            value.encode(writer, version);
        }
    }

    /// Reads a value or null.
    ///
    /// # Errors
    /// As [`Wire::decode`].
    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        match i8::decode(reader, version)? {
            -1 => Ok(None),
            1 => Self::decode(reader, version).map(Some),
            marker => Err(DecodeError::StructMarker(marker)),
        }
    }
}

/// Null in a version that has no null is written as the empty value.
impl<T: Nullable> Wire for Option<T> {
    fn min_size(version: Version) -> usize {
        if version.nullable {
            T::min_size_nullable(version)
        } else {
            T::min_size(version)
        }
    }

    fn encode(&self, writer: &mut Writer, version: Version) {
        match self {
            value if version.nullable => T::encode_nullable(value.as_ref(), writer, version),
            Some(value) => value.encode(writer, version),
            None => T::default().encode(writer, version),
        }
    }

    fn decode(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        if version.nullable {
            T::decode_nullable(reader, version)
        } else {
            T::decode(reader, version).map(Some)
        }
    }
}

macro_rules! fixed {
    ($($ty:ty),*) => {$(
        impl Wire for $ty {
            fn min_size(_: Version) -> usize {
                size_of::<$ty>()
            }

            fn encode(&self, writer: &mut Writer, _: Version) {
                writer.put(&self.to_be_bytes());
            }

            fn decode(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
                reader.array().map(<$ty>::from_be_bytes)
            }
        }
    )*};
}

fixed!(i8, i16, i32, i64, u16, u32, f64);

impl Wire for bool {
    fn min_size(_: Version) -> usize {
        1
    }

    fn encode(&self, writer: &mut Writer, _: Version) {
        writer.put(&[u8::from(*self)]);
    }

    /// Anything but zero is true, as in Kafka.
    fn decode(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.array().map(|[byte]| byte != 0)
    }
}

impl Wire for Uuid {
    fn min_size(_: Version) -> usize {
        16
    }

    fn encode(&self, writer: &mut Writer, _: Version) {
        writer.put(self.as_bytes());
    }

    fn decode(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.array().map(Self::from_bytes)
    }
}

impl Wire for StrBytes {
    fn min_size(version: Version) -> usize {
        if version.flexible { 1 } else { 2 }
    }

    fn encode(&self, writer: &mut Writer, version: Version) {
        Self::encode_nullable(Some(self), writer, version);
    }

    fn decode(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        Self::decode_nullable(reader, version)?.ok_or(DecodeError::UnexpectedNull)
    }
}

impl Nullable for StrBytes {
    fn min_size_nullable(version: Version) -> usize {
        Self::min_size(version)
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        writer.put_string_length(value.map(|string| string.len()), version.flexible);
        if let Some(string) = value {
            writer.put(string.as_bytes());
        }
    }

    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        let len = if version.flexible {
            reader.compact_length()?
        } else {
            length(i32::from(i16::decode(reader, version)?))?
        };
        len.map(|len| reader.take_str(len)).transpose()
    }
}

impl Wire for Bytes {
    fn min_size(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }

    fn encode(&self, writer: &mut Writer, version: Version) {
        Self::encode_nullable(Some(self), writer, version);
    }

    fn decode(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        Self::decode_nullable(reader, version)?.ok_or(DecodeError::UnexpectedNull)
    }
}

/// Byte fields, and `records` fields, which have the same form.
impl Nullable for Bytes {
    fn min_size_nullable(version: Version) -> usize {
        Self::min_size(version)
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        writer.put_length(value.map(Self::len), version.flexible);
        if let Some(bytes) = value {
            writer.put_shared(bytes);
        }
    }

    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        let len = count(reader, version)?;
        len.map(|len| reader.take(len)).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn min_size(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }

    fn encode(&self, writer: &mut Writer, version: Version) {
        Self::encode_nullable(Some(self), writer, version);
    }

    fn decode(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        Self::decode_nullable(reader, version)?.ok_or(DecodeError::UnexpectedNull)
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn min_size_nullable(version: Version) -> usize {
        Self::min_size(version)
    }

    fn encode_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        writer.put_length(value.map(Self::len), version.flexible);
        for element in value.into_iter().flatten() {
            element.encode(writer, version);
        }
    }

    fn decode_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        let Some(count) = count(reader, version)? else {
            return Ok(None);
        };
        reader.reserve(count, T::min_size(version), size_of::<T>())?;
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(reader, version)?);
        }
        Ok(Some(elements))
    }
}

fn count(reader: &mut Reader, version: Version) -> Result<Option<usize>, DecodeError> {
    if version.flexible {
        reader.compact_length()
    } else {
        length(i32::decode(reader, version)?)
    }
}

fn length(raw: i32) -> Result<Option<usize>, DecodeError> {
    match raw {
        -1 => Ok(None),
        _ => usize::try_from(raw)
            .map(Some)
            .map_err(|_| DecodeError::NegativeLength(raw.into())),
    }
}
