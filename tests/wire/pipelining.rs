//! Several requests on one connection: all are answered, in their order.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    ApiVersionsRequest, FetchRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol,
    MetadataRequest, ProduceRequest,
};

use crate::support::{Server, batch, fetch_request, only_partition, produce_request, text, values};

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(
            client
                .send(9, produce_request(&topic, Some(batch(&["x"]))))
                .await,
        );
    }
    for (offset, id) in (0..).zip(ids) {
        let response = client.receive::<ProduceRequest>(9, id).await;
        assert_eq!(
            response.responses[0].partition_responses[0].base_offset,
            offset
        );
    }
}

#[tokio::test]
async fn more_requests_than_may_wait_are_all_answered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut ids = Vec::new();
    for _ in 0..500 {
        ids.push(client.send(0, ApiVersionsRequest::default()).await);
    }
    for id in ids {
        client.receive::<ApiVersionsRequest>(0, id).await;
    }
}

#[tokio::test]
async fn a_request_behind_a_waiting_fetch_is_answered_after_it() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        ..fetch_request(&topic, 0)
    };
    let fetch = client.send(12, request).await;
    let metadata = client.send(9, MetadataRequest::default()).await;
    server
        .connect()
        .await
        .produce(9, &topic, batch(&["wake"]))
        .await;
    let read = only_partition(client.receive::<FetchRequest>(12, fetch).await);
    assert_eq!(values(read.records), [(0, "wake".to_owned())]);
    client.receive::<MetadataRequest>(9, metadata).await;
}

#[tokio::test]
async fn a_produce_behind_a_waiting_fetch_of_its_own_connection_is_applied_and_ends_the_wait() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        ..fetch_request(&topic, 0)
    };
    let fetch = client.send(12, request).await;
    let produce = client
        .send(9, produce_request(&topic, Some(batch(&["own"]))))
        .await;
    client.receive::<FetchRequest>(12, fetch).await;
    client.receive::<ProduceRequest>(9, produce).await;
}

#[tokio::test]
async fn acks_0_gets_no_answer() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let request = ProduceRequest {
        acks: 0,
        ..produce_request(&topic, Some(batch(&["quiet"])))
    };
    client.send(9, request).await;
    let read = client.fetch(12, &topic, 0).await;
    assert_eq!(values(read.records), [(0, "quiet".to_owned())]);
}

#[tokio::test]
async fn acks_0_with_an_error_closes_the_connection() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut topic = client.create_topic("t", 1).await;
    topic.name = text("nope");
    client
        .send(
            9,
            ProduceRequest {
                acks: 0,
                ..produce_request(&topic, Some(batch(&["x"])))
            },
        )
        .await;
    client.assert_closed().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn what_was_asked_before_an_error_that_closes_the_connection_is_still_answered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let first = client
        .send(9, produce_request(&topic, Some(batch(&["x"]))))
        .await;
    client
        .send(
            9,
            ProduceRequest {
                acks: 0,
                ..produce_request(&topic, None)
            },
        )
        .await;
    client.receive::<ProduceRequest>(9, first).await;
    client.assert_closed().await;
}

#[tokio::test]
async fn what_was_asked_before_a_malformed_request_is_still_answered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let first = client
        .send(9, produce_request(&topic, Some(batch(&["x"]))))
        .await;
    let second = client.send(9, MetadataRequest::default()).await;
    client.send_frame(&[0xff; 20]).await;
    client.receive::<ProduceRequest>(9, first).await;
    client.receive::<MetadataRequest>(9, second).await;
    client.assert_closed().await;
}

#[tokio::test]
async fn a_client_that_goes_away_while_its_fetch_waits_harms_nobody() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    for _ in 0..10 {
        let mut leaving = server.connect().await;
        let request = FetchRequest {
            max_wait_ms: 600_000,
            min_bytes: 1,
            ..fetch_request(&topic, 0)
        };
        leaving.send(12, request).await;
    }
    let answer = client.produce(9, &topic, batch(&["x"])).await;
    assert_eq!(answer.error_code, ErrorCode::None);
    server.assert_alive().await;
}

#[tokio::test]
async fn requests_of_different_apis_on_one_connection_keep_their_order_behind_a_waiting_join() {
    let server = Server::with(&[("group.initial.rebalance.delay.ms", "50")]).await;
    let mut client = server.connect().await;
    let protocols = vec![JoinGroupRequestProtocol {
        name: text("range"),
        ..Default::default()
    }];
    let join = JoinGroupRequest {
        group_id: text("g"),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: text("consumer"),
        protocols,
        ..Default::default()
    };
    let first = client.send(3, join).await;
    let heartbeat = HeartbeatRequest {
        group_id: text("g"),
        ..Default::default()
    };
    let second = client.send(3, heartbeat).await;
    let third = client.send(0, ApiVersionsRequest::default()).await;
    let joined = client.receive::<JoinGroupRequest>(3, first).await;
    assert_eq!(joined.error_code, ErrorCode::None);
    let beaten = client.receive::<HeartbeatRequest>(3, second).await;
    assert_eq!(beaten.error_code, ErrorCode::UnknownMemberId);
    client.receive::<ApiVersionsRequest>(0, third).await;
}
