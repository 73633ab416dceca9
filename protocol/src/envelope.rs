//! Whole frames: header and body together, from and to bytes.
//!
//! Pure. The server decodes requests and encodes responses; the client the other way around.

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError, RequestError};
use crate::header::{RequestHeader, ResponseHeader};
use crate::message::{Request, Response, supported};
use crate::primitive::{Frame, Reader, StrBytes};

/// Reads a request frame, without its length prefix. String and byte fields keep it alive.
///
/// Only what [`api`](crate::api) says is served gets through.
///
/// # Errors
/// [`RequestError`], by how to answer.
pub fn decode_request(frame: Bytes) -> Result<(RequestHeader, Request), RequestError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).map_err(RequestError::MalformedHeader)?;
    let key = ApiKey::try_from(header.api_key).ok();
    let Some(api) = key.map(ApiKey::api).filter(|api| api.served) else {
        return Err(RequestError::UnknownApiKey { header });
    };
    if !api.supports(header.api_version) {
        return Err(RequestError::UnsupportedVersion { header });
    }
    header
        .decode_tags(&mut reader)
        .map_err(RequestError::MalformedHeader)?;
    match Request::read(api.key, api.version(header.api_version), reader) {
        Ok(request) => Ok((header, request)),
        Err(source) => Err(RequestError::MalformedBody { header, source }),
    }
}

/// Writes a response frame in the version that the request had.
///
/// # Errors
/// [`EncodeError`] when the version is not supported or a field too long.
pub fn encode_response(
    response: &Response,
    api_version: i16,
    correlation_id: i32,
) -> Result<Frame, EncodeError> {
    let key = response.api_key();
    let version = supported(key, api_version)?;
    Frame::build(|writer| {
        ResponseHeader { correlation_id }.encode(writer, key.api(), api_version);
        response.write(writer, version);
    })
}

/// Writes a request frame.
///
/// # Errors
/// [`EncodeError`] when the version is not supported or a field too long.
pub fn encode_request(
    request: &Request,
    api_version: i16,
    correlation_id: i32,
    client_id: Option<&StrBytes>,
) -> Result<Frame, EncodeError> {
    let key = request.api_key();
    let version = supported(key, api_version)?;
    let header = RequestHeader {
        api_key: key.into(),
        api_version,
        correlation_id,
        client_id: client_id.cloned(),
    };
    Frame::build(|writer| {
        header.encode(writer);
        request.write(writer, version);
    })
}

/// Reads a response frame, without its length prefix, to a request of `api_key` in
/// `api_version`. String and byte fields keep it alive.
///
/// A broker that does not know the version of an ApiVersions request answers in version 0, so the
/// caller tries that next.
///
/// # Errors
/// [`DecodeError`] when the bytes are not that response in that version.
pub fn decode_response(
    api_key: ApiKey,
    api_version: i16,
    frame: Bytes,
) -> Result<(ResponseHeader, Response), DecodeError> {
    let api = api_key.api();
    if !api.supports(api_version) {
        return Err(DecodeError::Version(api_version));
    }
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, api, api_version)?;
    let response = Response::read(api_key, api.version(api_version), reader)?;
    Ok((header, response))
}

#[cfg(test)]
mod tests;
