//! Fetch sessions (KIP-227) as clients see them.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{FetchRequest, FetchResponse, ForgottenTopic};

use crate::support::{
    Client, Server, Topic, base_offsets, batch, fetch_partition, fetch_request, only_partition,
};

/// The versions that have sessions: by name and by id.
const BY_NAME: i16 = 12;
const BY_ID: i16 = 18;

/// A full fetch of these partitions from offset 0, which offers a session.
fn full(topic: &Topic, partitions: &[i32]) -> FetchRequest {
    let mut request = FetchRequest {
        session_epoch: 0,
        ..fetch_request(topic, 0)
    };
    let wanted = partitions.iter().map(|index| fetch_partition(*index, 0));
    request.topics[0].partitions = wanted.collect();
    request
}

/// An incremental fetch that changes nothing.
fn incremental(session_id: i32, session_epoch: i32) -> FetchRequest {
    FetchRequest {
        session_id,
        session_epoch,
        max_bytes: 1 << 20,
        ..Default::default()
    }
}

fn told(response: &FetchResponse) -> Vec<i32> {
    let topics = response.responses.iter();
    topics
        .flat_map(|topic| topic.partitions.iter().map(|p| p.partition_index))
        .collect()
}

/// A topic of three partitions whose first has two records.
async fn filled(server: &Server) -> (Client, Topic) {
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 3).await;
    client.produce(9, &topic, batch(&["x", "y"])).await;
    (client, topic)
}

#[tokio::test]
async fn an_incremental_fetch_reads_what_the_session_holds_and_tells_what_is_new() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    for version in [7, BY_NAME, 13, BY_ID] {
        let began = client.call(version, full(&topic, &[0, 1, 2])).await;
        assert_eq!(began.error_code, ErrorCode::None);
        assert!(began.session_id > 0);
        assert_eq!(told(&began), [0, 1, 2], "all is told at first");

        // The position of partition 0 has not changed: its records come again.
        let again = client.call(version, incremental(began.session_id, 1)).await;
        assert_eq!(again.session_id, began.session_id);
        assert_eq!(told(&again), [0]);

        let mut moved = incremental(began.session_id, 2);
        moved.topics = fetch_request(&topic, 2).topics;
        let quiet = client.call(version, moved).await;
        assert_eq!(quiet.error_code, ErrorCode::None);
        assert_eq!(told(&quiet), Vec::<i32>::new());
    }
}

#[tokio::test]
async fn a_waiting_incremental_fetch_is_woken_by_an_append() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    let mut request = full(&topic, &[0, 1]);
    request.topics[0].partitions[0].fetch_offset = 2;
    let began = client.call(BY_NAME, request).await;
    let wait = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        ..incremental(began.session_id, 1)
    };
    let id = client.send(BY_NAME, wait).await;
    let mut producer = server.connect().await;
    producer.produce(9, &topic, batch(&["z"])).await;
    let woken = client.receive::<FetchRequest>(BY_NAME, id).await;
    assert_eq!(base_offsets(only_partition(woken).records), [2]);
}

#[tokio::test]
async fn partitions_join_and_leave_a_session() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    let began = client.call(BY_ID, full(&topic, &[0, 1])).await;
    let change = FetchRequest {
        topics: full(&topic, &[2]).topics,
        forgotten_topics_data: vec![ForgottenTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![0],
        }],
        ..incremental(began.session_id, 1)
    };
    let changed = client.call(BY_ID, change).await;
    assert_eq!(told(&changed), [2], "0 has left and would be told");
}

#[tokio::test]
async fn a_session_outlives_its_connection() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    let began = client.call(BY_NAME, full(&topic, &[0])).await;
    drop(client);
    let mut client = server.connect().await;
    let response = client.call(BY_NAME, incremental(began.session_id, 1)).await;
    assert_eq!(told(&response), [0]);
}

#[tokio::test]
async fn a_partition_with_an_error_is_told_each_time() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    let mut request = full(&topic, &[0, 9]);
    request.topics[0].partitions[0].fetch_offset = 2;
    let began = client.call(BY_NAME, request).await;
    for epoch in 1..=3 {
        let response = client
            .call(BY_NAME, incremental(began.session_id, epoch))
            .await;
        let only = only_partition(response);
        assert_eq!(only.partition_index, 9);
        assert_eq!(only.error_code, ErrorCode::UnknownTopicOrPartition);
    }
}

#[tokio::test]
async fn a_topic_that_is_made_again_is_unknown_to_a_session_by_id_and_found_by_one_by_name() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    let by_id = client.call(BY_ID, full(&topic, &[0])).await;
    let by_name = client.call(BY_NAME, full(&topic, &[0])).await;
    client.delete_topic("t").await;
    client.create_topic("t", 3).await;
    let gone = client.call(BY_ID, incremental(by_id.session_id, 1)).await;
    let gone = only_partition(gone).error_code;
    assert_eq!(gone, ErrorCode::UnknownTopicId);
    let again = client
        .call(BY_NAME, incremental(by_name.session_id, 1))
        .await;
    let again = only_partition(again);
    assert_eq!(
        (again.error_code, again.high_watermark),
        (ErrorCode::None, 0)
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_session_is_the_error_of_the_whole_answer() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    let id = client.call(BY_NAME, full(&topic, &[0])).await.session_id;
    for (version, session_id, epoch, code) in [
        (
            BY_NAME,
            id.wrapping_add(1),
            1,
            ErrorCode::FetchSessionIdNotFound,
        ),
        (BY_NAME, 0, 1, ErrorCode::FetchSessionIdNotFound),
        (BY_NAME, id, 2, ErrorCode::InvalidFetchSessionEpoch),
        (BY_ID, id, 1, ErrorCode::FetchSessionTopicIdError),
    ] {
        let response = client.call(version, incremental(session_id, epoch)).await;
        assert_eq!(response.error_code, code);
        assert_eq!((response.session_id, response.responses.len()), (0, 0));
    }
    let response = client.call(BY_NAME, incremental(id, 1)).await;
    assert_eq!(told(&response), [0], "the session is as it was");
}

#[tokio::test]
async fn a_full_fetch_closes_the_session_that_it_names() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    for epoch in [0, -1] {
        let id = client.call(BY_NAME, full(&topic, &[0])).await.session_id;
        let close = FetchRequest {
            session_id: id,
            session_epoch: epoch,
            ..full(&topic, &[0])
        };
        let closed = client.call(BY_NAME, close).await;
        assert_eq!(
            base_offsets(closed.responses[0].partitions[0].records.clone()),
            [0]
        );
        assert_eq!(closed.session_id != 0, epoch == 0);
        let gone = client.call(BY_NAME, incremental(id, 1)).await;
        assert_eq!(gone.error_code, ErrorCode::FetchSessionIdNotFound);
    }
}

#[tokio::test]
async fn a_client_that_gets_no_session_is_answered_in_full() {
    let none = [("max.incremental.fetch.session.cache.slots", "0")];
    let server = Server::with(&none).await;
    let (mut client, topic) = filled(&server).await;
    let response = client.call(BY_NAME, full(&topic, &[0, 1])).await;
    assert_eq!((response.session_id, told(&response)), (0, vec![0, 1]));
}

#[tokio::test]
async fn versions_without_sessions_are_answered_in_full() {
    let server = Server::start().await;
    let (mut client, topic) = filled(&server).await;
    for version in 4..7 {
        let response = client.call(version, full(&topic, &[0, 1])).await;
        assert_eq!((response.session_id, told(&response)), (0, vec![0, 1]));
    }
}
