//! ApiVersions, the one API that every client can ask.

use ottla_protocol::message::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::{ApiKey, ErrorCode, api, decode_response};

use crate::support::{Client, Server, header, text, versions};

fn request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: text("ottla-tests"),
        client_software_version: text("0.1.0"),
    }
}

#[tokio::test]
async fn every_version_lists_what_the_table_serves() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<ApiVersionsRequest>() {
        let response = client.call(version, request()).await;
        assert_eq!(response.error_code, ErrorCode::None);
        assert_eq!(response.api_keys, api::advertised().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn produce_is_advertised_from_version_0_and_served_from_3() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let response = client.call(4, request()).await;
    let produce = response
        .api_keys
        .iter()
        .find(|api| api.api_key == 0)
        .unwrap();
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
    for version in 0..3 {
        let mut client = server.connect().await;
        client.send_frame(&header(0, version, 1, false)).await;
        client.assert_closed().await;
    }
}

#[tokio::test]
async fn apis_of_other_rooms_are_not_advertised() {
    let server = Server::start().await;
    let response = server.connect().await.call(4, request()).await;
    let keys: Vec<i16> = response.api_keys.iter().map(|api| api.api_key).collect();
    for absent in [4, 5, 6, 7, 17, 36, 71, 72, 76, 78, 88] {
        assert!(!keys.contains(&absent), "{absent}");
    }
}

async fn refused(client: &mut Client, version: i16) -> ApiVersionsResponse {
    client.send_frame(&header(18, version, 7, true)).await;
    let frame = client.frame().await.unwrap();
    let (header, response) = decode_response(ApiKey::ApiVersions, 0, frame).unwrap();
    assert_eq!(header.correlation_id, 7);
    response.try_into().unwrap()
}

#[tokio::test]
async fn an_unknown_version_is_answered_in_version_0_with_its_own_range() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in [5, 99, i16::MAX, -1] {
        let response = refused(&mut client, version).await;
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion);
        let own: Vec<_> = api::advertised().filter(|api| api.api_key == 18).collect();
        assert_eq!(response.api_keys, own);
    }
    let response = client.call(4, request()).await;
    assert_eq!(response.error_code, ErrorCode::None);
}

#[tokio::test]
async fn the_response_header_has_no_tag_section_in_any_version() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<ApiVersionsRequest>() {
        let id = client.send(version, request()).await;
        let frame = client.frame().await.unwrap();
        assert_eq!(frame[..4], id.to_be_bytes());
        assert_eq!(
            frame[4..6],
            [0, 0],
            "the error code follows the correlation id at once"
        );
    }
}

#[tokio::test]
async fn a_software_name_that_is_not_a_name_is_an_invalid_request() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for bad in ["", "-dash", "a b", "a\n", "dot."] {
        let name = ApiVersionsRequest {
            client_software_name: text(bad),
            ..request()
        };
        let version = ApiVersionsRequest {
            client_software_version: text(bad),
            ..request()
        };
        for request in [name, version] {
            let response = client.call(3, request).await;
            assert_eq!(response.error_code, ErrorCode::InvalidRequest, "{bad:?}");
        }
    }
}

#[tokio::test]
async fn no_feature_with_a_minimum_of_0_is_told_to_old_clients() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 0..=3 {
        let response = client.call(version, request()).await;
        assert!(
            response
                .supported_features
                .iter()
                .all(|feature| feature.min_version > 0)
        );
    }
}
