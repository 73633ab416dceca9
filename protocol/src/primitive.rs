//! The types that Kafka's message fields are made of, and their form on the wire.
//!
//! Pure. [`Reader`] and [`Writer`] know bytes, [`Wire`] knows types. What peers send is bounded
//! here: nothing is allocated before the remaining bytes could hold it, and nothing panics.

mod reader;
mod wire;
mod writer;

#[cfg(test)]
mod tests;

pub use bytestring::ByteString as StrBytes;
pub use reader::Reader;
pub use wire::{Nullable, Wire};
pub use writer::{Frame, Writer};

/// How the fields of one message are written: its version and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The number in the request header, or at the head of a versioned blob.
    pub number: i16,
    /// Lengths are compact and structs end in a tag section (KIP-482).
    pub flexible: bool,
    /// The field at hand may be null. Only `Option` fields look at it.
    pub nullable: bool,
}

impl Version {
    /// Version `number` of a message, flexible or not.
    #[must_use]
    pub fn new(number: i16, flexible: bool) -> Self {
        Self {
            number,
            flexible,
            nullable: true,
        }
    }

    /// The same version for a field that may or may not be null in it.
    #[must_use]
    pub fn with_nullable(self, nullable: bool) -> Self {
        Self { nullable, ..self }
    }
}
