//! What goes before each message body.
//!
//! Pure. Which header version goes with which API version is in [`crate::api`].

use crate::api::{Api, ApiKey};
use crate::error::DecodeError;
use crate::primitive::{Nullable, Reader, StrBytes, Version, Wire, Writer};

/// The head of a request: what it asks, and of whom the answer is expected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHeader {
    /// The API, by its raw number, which may be unknown.
    pub api_key: i16,
    /// The version of the request and of its response.
    pub api_version: i16,
    /// Repeated in the response.
    pub correlation_id: i32,
    /// The name that the client gives itself.
    pub client_id: Option<StrBytes>,
}

/// The head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation_id: i32,
}

/// The client id is never compact, whatever the header version.
const CLASSIC: Version = Version {
    number: 1,
    flexible: false,
    nullable: true,
};

impl RequestHeader {
    /// Writes header version 1, or 2 for flexible versions of an API.
    pub fn encode(&self, writer: &mut Writer) {
        self.api_key.encode(writer, CLASSIC);
        self.api_version.encode(writer, CLASSIC);
        self.correlation_id.encode(writer, CLASSIC);
        StrBytes::encode_nullable(self.client_id.as_ref(), writer, CLASSIC);
        if is_flexible(self.api_key, self.api_version) {
            writer.put_unsigned_varint(0);
        }
    }

    /// Reads what all header versions have. What follows depends on whether the API and its
    /// version are known: see [`RequestHeader::decode_tags`].
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no header.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            api_key: Wire::decode(reader, CLASSIC)?,
            api_version: Wire::decode(reader, CLASSIC)?,
            correlation_id: Wire::decode(reader, CLASSIC)?,
            client_id: StrBytes::decode_nullable(reader, CLASSIC)?,
        })
    }

    /// Reads the tag section that ends header version 2, and nothing for version 1.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no tag section.
    pub fn decode_tags(&self, reader: &mut Reader) -> Result<(), DecodeError> {
        if is_flexible(self.api_key, self.api_version) {
            skip_tags(reader)?;
        }
        Ok(())
    }
}

impl ResponseHeader {
    /// Writes header version 0, or 1 where the response has a flexible header.
    pub fn encode(&self, writer: &mut Writer, api: &Api, api_version: i16) {
        self.correlation_id.encode(writer, CLASSIC);
        if api.has_flexible_response_header(api_version) {
            writer.put_unsigned_varint(0);
        }
    }

    /// Reads the header of a response of `api`.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no header.
    pub fn decode(reader: &mut Reader, api: &Api, api_version: i16) -> Result<Self, DecodeError> {
        let correlation_id = Wire::decode(reader, CLASSIC)?;
        if api.has_flexible_response_header(api_version) {
            skip_tags(reader)?;
        }
        Ok(Self { correlation_id })
    }
}

fn is_flexible(api_key: i16, api_version: i16) -> bool {
    ApiKey::try_from(api_key).is_ok_and(|key| key.api().is_flexible(api_version))
}

fn skip_tags(reader: &mut Reader) -> Result<(), DecodeError> {
    reader.tags(|reader, _| {
        reader.skip();
        Ok(())
    })
}
