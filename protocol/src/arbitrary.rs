//! Messages for property tests, made from a string of random bytes.
//!
//! Fields that a version lacks keep their default, so that a round trip gives back the same. When
//! the bytes run out everything is zero, empty or null, so proptest shrinks by shortening them.

use bytes::Bytes;
use uuid::Uuid;

use crate::error_code::ErrorCode;
use crate::primitive::{Nullable, StrBytes, Version};

/// The most elements of a generated array.
const MAX_ELEMENTS: u8 = 3;

/// Where randomness comes from.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
        }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or_default()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}

/// A type of which values can be made up.
pub(crate) trait Arbitrary: Sized {
    fn arbitrary(source: &mut Source<'_>, version: Version) -> Self;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Arbitrary for $ty {
            fn arbitrary(source: &mut Source<'_>, _: Version) -> Self {
                Self::from_be_bytes(source.array())
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u16);

/// A number that equals itself.
impl Arbitrary for f64 {
    fn arbitrary(source: &mut Source<'_>, version: Version) -> Self {
        i32::arbitrary(source, version).into()
    }
}

impl Arbitrary for bool {
    fn arbitrary(source: &mut Source<'_>, _: Version) -> Self {
        source.byte() & 1 == 1
    }
}

impl Arbitrary for ErrorCode {
    fn arbitrary(source: &mut Source<'_>, version: Version) -> Self {
        Self::from(i16::arbitrary(source, version))
    }
}

impl Arbitrary for Uuid {
    fn arbitrary(source: &mut Source<'_>, _: Version) -> Self {
        Self::from_bytes(source.array())
    }
}

impl Arbitrary for StrBytes {
    fn arbitrary(source: &mut Source<'_>, _: Version) -> Self {
        let len = source.byte() % 12;
        (0..len)
            .map(|_| char::from(source.byte()))
            .collect::<String>()
            .into()
    }
}

impl Arbitrary for Bytes {
    /// Sometimes long enough to be written without a copy.
    fn arbitrary(source: &mut Source<'_>, _: Version) -> Self {
        match source.byte() {
            len @ 0..250 => (0..len % 16).map(|_| source.byte()).collect(),
            filler => vec![filler; 2000].into(),
        }
    }
}

impl<T: Arbitrary> Arbitrary for Vec<T> {
    fn arbitrary(source: &mut Source<'_>, version: Version) -> Self {
        let count = source.byte() % (MAX_ELEMENTS + 1);
        (0..count).map(|_| T::arbitrary(source, version)).collect()
    }
}

impl<T: Arbitrary + Nullable> Arbitrary for Option<T> {
    fn arbitrary(source: &mut Source<'_>, version: Version) -> Self {
        let some = !version.nullable || !source.byte().is_multiple_of(4);
        some.then(|| T::arbitrary(source, version))
    }
}
