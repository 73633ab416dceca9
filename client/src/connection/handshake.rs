//! What a connection does first: learn which versions the broker serves.
//!
//! A broker that does not know our ApiVersions answers in version 0 with UNSUPPORTED_VERSION and
//! the range that it does know (KIP-511).

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use ottla_protocol::frame::{FrameCodec, FrameLimits};
use ottla_protocol::message::{ApiVersionsRequest, ApiVersionsResponse, Response};
use ottla_protocol::{ApiKey, ErrorCode, decode_response, encode_request};
use tokio_util::codec::Framed;

use super::ConnectionOptions;
use crate::error::Error;
use crate::transport::{ByteStream, Direct, Link};

/// The feature whose level says how transactions are run.
const TRANSACTION_VERSION: &str = "transaction.version";

/// What a broker serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Oldest and newest version, by API.
    apis: BTreeMap<i16, (i16, i16)>,
    transaction_version: i16,
}

impl Versions {
    fn new(response: &ApiVersionsResponse) -> Self {
        let rows = response.api_keys.iter();
        let mut features = response.finalized_features.iter();
        let transactions = features.find(|feature| &*feature.name == TRANSACTION_VERSION);
        Self {
            apis: rows
                .map(|row| (row.api_key, (row.min_version, row.max_version)))
                .collect(),
            transaction_version: transactions.map_or(0, |feature| feature.max_version_level),
        }
    }

    /// The level of `transaction.version` in force; 0 when the broker says none.
    pub(crate) fn transaction_version(&self) -> i16 {
        self.transaction_version
    }

    /// The newest version that the broker and this client know, up to `cap`.
    pub(crate) fn choose(&self, key: ApiKey, cap: i16) -> Result<i16, Error> {
        let unsupported = || Error::Unsupported(key.name().to_owned());
        let (min, max) = *self.apis.get(&key.into()).ok_or_else(unsupported)?;
        let api = key.api();
        let version = max.min(api.max).min(cap);
        if version < min.max(api.min) {
            return Err(unsupported());
        }
        Ok(version)
    }
}

/// A link that knows nothing of versions yet, ready for requests.
pub(super) enum Ready {
    Bytes(Framed<Box<dyn ByteStream>, FrameCodec>),
    Direct(Box<dyn Direct>),
}

/// Learns the broker's versions.
pub(super) async fn handshake(
    link: Link,
    options: &ConnectionOptions,
) -> Result<(Ready, Versions), Error> {
    let mut ready = match link {
        Link::Bytes(stream) => {
            let limits = FrameLimits::uniform(options.receive_max_bytes);
            Ready::Bytes(Framed::new(stream, FrameCodec::new(limits)))
        }
        Link::Direct(direct) => Ready::Direct(direct),
    };
    let newest = ApiKey::ApiVersions.api().max;
    let mut response = ask(&mut ready, newest, options).await?;
    if response.error_code == ErrorCode::UnsupportedVersion {
        let version = Versions::new(&response)
            .choose(ApiKey::ApiVersions, newest - 1)
            .unwrap_or(0);
        response = ask(&mut ready, version, options).await?;
    }
    crate::error::check("ApiVersions", response.error_code, None)?;
    Ok((ready, Versions::new(&response)))
}

async fn ask(
    ready: &mut Ready,
    version: i16,
    options: &ConnectionOptions,
) -> Result<ApiVersionsResponse, Error> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla-client".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    let response = match ready {
        Ready::Bytes(framed) => {
            let frame = encode_request(&request.into(), version, 0, Some(&options.client_id))?;
            framed.send(frame).await.map_err(unavailable)?;
            let answer = framed.next().await.transpose().map_err(unavailable)?;
            let closed = || Error::Unavailable("closed during ApiVersions".to_owned());
            decode(version, answer.ok_or_else(closed)?)?
        }
        Ready::Direct(direct) => direct
            .call(request.into(), version, &options.client_id)
            .await
            .map_err(unavailable)?
            .ok_or_else(|| Error::Corrupt("no answer to ApiVersions".to_owned()))?,
    };
    ApiVersionsResponse::try_from(response)
        .map_err(|_| Error::Corrupt("answer of another API".to_owned()))
}

/// The error code comes first in every version, so it can be read before the version is known.
fn decode(version: i16, frame: Bytes) -> Result<Response, Error> {
    let code = frame.get(4..).and_then(|body| body.first_chunk::<2>());
    let refused =
        code.map(|code| i16::from_be_bytes(*code)) == Some(ErrorCode::UnsupportedVersion.code());
    let version = if refused { 0 } else { version };
    Ok(decode_response(ApiKey::ApiVersions, version, frame)?.1)
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use ottla_protocol::encode_response;
    use ottla_protocol::message::ApiVersion;

    use super::*;

    fn versions(min: i16, max: i16) -> Versions {
        Versions {
            apis: [(i16::from(ApiKey::Fetch), (min, max))].into(),
            ..Versions::default()
        }
    }

    #[test]
    fn the_newest_common_version_is_chosen_up_to_the_cap() {
        let ours = ApiKey::Fetch.api().max;
        assert_eq!(versions(4, 100).choose(ApiKey::Fetch, i16::MAX), Ok(ours));
        assert_eq!(versions(4, 100).choose(ApiKey::Fetch, 12), Ok(12));
        assert_eq!(versions(0, 7).choose(ApiKey::Fetch, i16::MAX), Ok(7));
    }

    #[test]
    fn no_common_version_is_unsupported() {
        let unsupported = Err(Error::Unsupported("Fetch".to_owned()));
        assert_eq!(versions(0, 3).choose(ApiKey::Fetch, i16::MAX), unsupported);
        assert_eq!(
            versions(100, 101).choose(ApiKey::Fetch, i16::MAX),
            unsupported
        );
        assert_eq!(versions(13, 18).choose(ApiKey::Fetch, 12), unsupported);
        assert_eq!(
            Versions::default().choose(ApiKey::Fetch, i16::MAX),
            unsupported
        );
    }

    #[test]
    fn a_refusal_is_read_as_version_zero_whatever_was_asked() {
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion,
            api_keys: vec![ApiVersion {
                api_key: 18,
                min_version: 0,
                max_version: 2,
            }],
            ..ApiVersionsResponse::default()
        };
        let frame = encode_response(&refusal.clone().into(), 0, 0).unwrap();
        let bytes = Bytes::from(frame.chunks().concat()).slice(4..);
        assert_eq!(decode(4, bytes).unwrap(), refusal.into());
    }
}
