//! How much one client may take: connections, time, bytes.

use std::time::Duration;

use ottla_protocol::message::{
    ApiVersionsRequest, ConsumerGroupDescribeRequest, DescribeGroupsRequest,
    DescribeProducersRequest, DescribeProducersTopic, DescribeTransactionsRequest, FetchRequest,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::support::{Client, Server, fetch_request, header, text};

async fn is_served(client: &mut Client) -> bool {
    client.send(0, ApiVersionsRequest::default()).await;
    client.frame().await.is_some()
}

/// A connection from another address of this machine.
async fn connect_from(address: &str, server: &Server) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    Client::over(socket.connect(server.address()).await.unwrap())
}

#[tokio::test]
async fn a_connection_above_max_connections_is_closed_until_another_leaves() {
    let server = Server::with(&[("max.connections", "2")]).await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    assert!(!is_served(&mut server.connect().await).await);
    drop(two);
    // The broker has to notice that there is room again; each attempt lets it run.
    while !is_served(&mut server.connect().await).await {}
    assert!(is_served(&mut one).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_above_max_connections_per_ip_is_refused_and_others_are_not() {
    let server = Server::with(&[("max.connections.per.ip", "1")]).await;
    let mut first = server.connect().await;
    assert!(is_served(&mut first).await);
    assert!(!is_served(&mut server.connect().await).await);
    assert!(is_served(&mut connect_from("127.0.0.2:0", &server).await).await);
    assert!(is_served(&mut first).await);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_its_time() {
    let server = Server::with(&[("connections.max.idle.ms", "60000")]).await;
    let mut client = server.connect().await;
    assert!(is_served(&mut client).await);
    let started = Instant::now();
    client.assert_closed().await;
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(60) && waited < Duration::from_secs(61),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_used_now_and_then_stays_open() {
    let server = Server::with(&[("connections.max.idle.ms", "60000")]).await;
    let mut client = server.connect().await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(is_served(&mut client).await);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_answer_is_not_idleness() {
    let server = Server::with(&[("connections.max.idle.ms", "10000")]).await;
    let topic = server.connect().await.create_topic("t", 1).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        let request = FetchRequest {
            max_wait_ms: 40_000,
            min_bytes: 1,
            ..fetch_request(&topic, 0)
        };
        client.call(12, request).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_stops_half_way_is_given_up_after_30_seconds() {
    let server = Server::start().await;
    for bytes in [&[0, 0][..], &[0, 0, 0, 9], &[0, 0, 0, 9, 0, 18, 0]] {
        let mut client = server.connect().await;
        client.send_bytes(bytes).await;
        let started = Instant::now();
        client.assert_closed().await;
        let waited = started.elapsed();
        assert!(
            waited >= Duration::from_secs(30) && waited < Duration::from_secs(31),
            "{waited:?}"
        );
    }
}

#[tokio::test]
async fn long_frames_that_are_only_announced_keep_nobody_out() {
    let server = Server::start().await;
    let mut announcing = Vec::new();
    for _ in 0..200 {
        let mut client = server.connect().await;
        client.send_bytes(&(100_i32 << 20).to_be_bytes()).await;
        client.send_bytes(&header(0, 9, 1, true)).await;
        announcing.push(client);
    }
    server.assert_alive().await;
}

#[tokio::test]
async fn unfinished_long_frames_do_not_keep_small_requests_out() {
    let settings = [
        ("socket.request.max.bytes", "1048576"),
        ("queued.max.request.bytes", "2097152"),
    ];
    let server = Server::with(&settings).await;
    let mut crowd = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await;
        client.send_bytes(&(1_i32 << 20).to_be_bytes()).await;
        client.send_bytes(&header(0, 9, 1, true)).await;
        client.send_bytes(&vec![0; 900_000]).await;
        crowd.push(client);
    }
    server.assert_alive().await;
}

/// An answer can be much larger than the question, so it must not repeat itself.
#[tokio::test]
async fn what_is_asked_for_repeatedly_is_told_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let thrice = vec![text("x"); 3];

    let groups = thrice.clone();
    let request = DescribeGroupsRequest {
        groups,
        ..Default::default()
    };
    assert_eq!(client.call(5, request).await.groups.len(), 1);

    let group_ids = thrice.clone();
    let request = ConsumerGroupDescribeRequest {
        group_ids,
        ..Default::default()
    };
    assert_eq!(client.call(1, request).await.groups.len(), 1);

    let transactional_ids = thrice;
    let request = DescribeTransactionsRequest { transactional_ids };
    let described = client.call(0, request).await;
    assert_eq!(described.transaction_states.len(), 1);

    let topic = DescribeProducersTopic {
        name: text("t"),
        partition_indexes: vec![0; 3],
    };
    let topics = vec![topic.clone(), topic];
    let producers = client.call(0, DescribeProducersRequest { topics }).await;
    let partitions = producers.topics.iter().map(|topic| topic.partitions.len());
    assert_eq!(partitions.sum::<usize>(), 1);

    let topic = OffsetFetchRequestTopics {
        name: text("t"),
        partition_indexes: vec![0; 3],
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: text("x"),
        topics: Some(vec![topic.clone(), topic]),
        member_epoch: -1,
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![group.clone(), group],
        ..Default::default()
    };
    let fetched = client.call(9, request).await;
    let [group] = &fetched.groups[..] else {
        panic!("one group")
    };
    let partitions = group.topics.iter().map(|topic| topic.partitions.len());
    assert_eq!(partitions.sum::<usize>(), 1);
}
