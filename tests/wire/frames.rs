//! The frame around a request: its length, its header, and what ends a connection.

use ottla_protocol::message::{ApiVersionsRequest, MetadataRequest};
use ottla_protocol::{ApiKey, encode_request};

use crate::support::{Server, header};

#[tokio::test]
async fn a_length_that_is_not_positive_ends_the_connection() {
    let server = Server::start().await;
    for length in [0, -1, i32::MIN] {
        let mut client = server.connect().await;
        client.send_bytes(&i32::to_be_bytes(length)).await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_length_above_every_limit_ends_the_connection_before_anything_else_arrives() {
    let server = Server::start().await;
    for length in [i32::MAX, (100 << 20) + 1] {
        let mut client = server.connect().await;
        client.send_bytes(&i32::to_be_bytes(length)).await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn only_produce_may_be_as_long_as_socket_request_max_bytes() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send_bytes(&(17_i32 << 20).to_be_bytes()).await;
    client
        .send_bytes(&header(ApiKey::Metadata.into(), 1, 1, false))
        .await;
    client.assert_closed().await;
    let mut client = server.connect().await;
    client.send_bytes(&(17_i32 << 20).to_be_bytes()).await;
    client
        .send_bytes(&header(ApiKey::Produce.into(), 9, 1, true))
        .await;
    client.finish().await;
    client.assert_closed().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn a_frame_longer_than_socket_request_max_bytes_ends_the_connection() {
    let settings = [("socket.request.max.bytes", "2048")];
    let server = Server::with(&settings).await;
    let mut client = server.connect().await;
    client.send_frame(&[0; 2049]).await;
    client.assert_closed().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn a_header_that_stops_short_ends_the_connection() {
    let server = Server::start().await;
    let whole = header(ApiKey::ApiVersions.into(), 3, 1, true);
    for cut in 1..whole.len() {
        let mut client = server.connect().await;
        client.send_frame(&whole[..cut]).await;
        client.finish().await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_client_id_that_is_longer_than_the_frame_ends_the_connection() {
    let server = Server::start().await;
    for length in [i16::MAX, -2, i16::MIN] {
        let mut bytes = header(ApiKey::ApiVersions.into(), 0, 1, false);
        bytes[8..10].copy_from_slice(&length.to_be_bytes());
        let mut client = server.connect().await;
        client.send_frame(&bytes).await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn bytes_behind_the_body_end_the_connection() {
    let server = Server::start().await;
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    };
    for version in [1, 9] {
        let frame = encode_request(&request.clone().into(), version, 1, None).unwrap();
        let mut bytes = frame.into_bytes()[4..].to_vec();
        bytes.push(0);
        let mut client = server.connect().await;
        client.send_frame(&bytes).await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_body_that_stops_anywhere_ends_the_connection() {
    let server = Server::start().await;
    let request = ApiVersionsRequest {
        client_software_name: "name".into(),
        client_software_version: "1".into(),
    };
    let bytes = encode_request(&request.into(), 3, 1, None)
        .unwrap()
        .into_bytes();
    for cut in 5..bytes.len() {
        let mut client = server.connect().await;
        client.send_frame(&bytes[4..cut]).await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn a_frame_cut_off_by_the_client_harms_nobody() {
    let server = Server::start().await;
    let mut other = server.connect().await;
    let bytes = encode_request(&MetadataRequest::default().into(), 9, 1, None).unwrap();
    let bytes = bytes.into_bytes();
    for cut in 1..bytes.len() {
        let mut client = server.connect().await;
        client.send_bytes(&bytes[..cut]).await;
        client.finish().await;
        client.assert_closed().await;
    }
    other.call(0, ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn a_request_may_arrive_byte_by_byte() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = ApiVersionsRequest::default();
    let bytes = encode_request(&request.into(), 0, 5, None)
        .unwrap()
        .into_bytes();
    for byte in &bytes {
        client.send_bytes(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.frame().await.unwrap()[..4], [0, 0, 0, 5]);
}

#[tokio::test]
async fn an_unknown_api_key_ends_only_its_own_connection() {
    let server = Server::start().await;
    let mut other = server.connect().await;
    for key in [-1, 4, 6, 17, 36, 71, 95, i16::MAX, i16::MIN] {
        let mut client = server.connect().await;
        client.send_frame(&header(key, 0, 1, false)).await;
        client.assert_closed().await;
    }
    other.call(0, ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn an_unsupported_version_ends_only_its_own_connection() {
    let server = Server::start().await;
    let mut other = server.connect().await;
    for key in ApiKey::ALL
        .iter()
        .filter(|key| **key != ApiKey::ApiVersions)
    {
        let api = key.api();
        for version in [api.min - 1, api.max + 1, i16::MAX] {
            let mut client = server.connect().await;
            client
                .send_frame(&header((*key).into(), version, 1, true))
                .await;
            client.assert_closed().await;
        }
    }
    other.call(0, ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn an_api_that_is_not_served_ends_the_connection() {
    let server = Server::start().await;
    for key in ApiKey::ALL.iter().filter(|key| !key.api().served) {
        let api = key.api();
        let mut client = server.connect().await;
        client
            .send_frame(&header((*key).into(), api.max, 1, api.is_flexible(api.max)))
            .await;
        client.assert_closed().await;
    }
    server.assert_alive().await;
}
