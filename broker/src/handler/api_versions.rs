//! ApiVersions (key 18): what this broker serves, from the one version table.

use ottla_protocol::api;
use ottla_protocol::message::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, Response,
    SupportedFeatureKey,
};
use ottla_protocol::{ErrorCode, StrBytes};

use crate::service::Context;

/// The first version in which a client names its software (KIP-511).
const FIRST_NAMED_VERSION: i16 = 3;

/// The first version that lists features whose minimum is 0.
const FIRST_ZERO_VERSION: i16 = 4;

/// A feature, and the level that is served. Levels are fixed.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) level: i16,
}

/// The features that clients can find here.
pub(crate) const FEATURES: &[Feature] = &[
    // The consumer protocol of groups (KIP-848), beside the classic one.
    Feature {
        name: "group.version",
        level: 1,
    },
    // Which transaction protocol to use: writing adds partitions, and each end raises the epoch
    // (KIP-890). Both protocols are served.
    Feature {
        name: "transaction.version",
        level: 2,
    },
];

pub(crate) fn api_versions(context: &Context, request: &ApiVersionsRequest) -> Response {
    let named = context.api_version >= FIRST_NAMED_VERSION;
    let valid = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if named && !valid {
        return Response::ApiVersions(ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest,
            ..Default::default()
        });
    }
    // Parsers of older clients refuse a minimum of 0.
    let knows_zero = context.api_version >= FIRST_ZERO_VERSION;
    let supported = |feature: &Feature| SupportedFeatureKey {
        name: StrBytes::from_static(feature.name),
        min_version: 0,
        max_version: feature.level,
    };
    let finalized = |feature: &Feature| FinalizedFeatureKey {
        name: StrBytes::from_static(feature.name),
        max_version_level: feature.level,
        min_version_level: feature.level,
    };
    Response::ApiVersions(ApiVersionsResponse {
        api_keys: api::advertised().collect(),
        supported_features: FEATURES
            .iter()
            .filter(|_| knows_zero)
            .map(supported)
            .collect(),
        finalized_features_epoch: 0,
        finalized_features: FEATURES.iter().map(finalized).collect(),
        ..Default::default()
    })
}

/// The answer to a version of ApiVersions that is not served. It goes out in version 0, which
/// every client can read, and tells which versions are.
pub(crate) fn unsupported_version() -> Response {
    let own = i16::from(ottla_protocol::ApiKey::ApiVersions);
    let api_keys: Vec<ApiVersion> = api::advertised().filter(|api| api.api_key == own).collect();
    Response::ApiVersions(ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys,
        ..Default::default()
    })
}

/// Letters, digits, dots and dashes, with a letter or digit at both ends.
fn is_software_name(name: &str) -> bool {
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_letters_and_digits_with_dots_and_dashes_inside() {
        for good in ["a", "librdkafka", "2.15.0", "apache-kafka-java"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
