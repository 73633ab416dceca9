//! CreateTopics, DeleteTopics and CreatePartitions.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
    CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest, MetadataRequest,
};
use uuid::Uuid;

use crate::support::{Client, Server, batch, creatable, text, versions};

async fn create(client: &mut Client, version: i16, topic: CreatableTopic) -> CreatableTopicResult {
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    client.call(version, request).await.topics.remove(0)
}

/// The names and partition counts of all topics.
async fn all(client: &mut Client) -> Vec<(String, usize)> {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let topics = client.call(9, request).await.topics;
    topics
        .iter()
        .map(|t| (t.name.as_deref().unwrap().to_owned(), t.partitions.len()))
        .collect()
}

fn config(name: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig {
        name: text(name),
        value: value.map(text),
    }
}

fn assigned(partitions: &[(i32, i32)]) -> CreatableTopic {
    let assignment = |(partition_index, broker): &(i32, i32)| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: vec![*broker],
    };
    let assignments = partitions.iter().map(assignment).collect();
    CreatableTopic {
        assignments,
        replication_factor: -1,
        ..creatable("t", -1)
    }
}

#[tokio::test]
async fn every_version_creates_a_topic_that_can_be_written_to_at_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<CreateTopicsRequest>() {
        let name = format!("v{version}");
        let created = create(&mut client, version, creatable(&name, 2)).await;
        assert_eq!(
            (created.error_code, created.error_message),
            (ErrorCode::None, None)
        );
        let told = if version >= 5 { (2, 1) } else { (-1, -1) };
        assert_eq!((created.num_partitions, created.replication_factor), told);
        assert_eq!(
            created.configs.is_some_and(|configs| !configs.is_empty()),
            version >= 5
        );
        assert_eq!(created.topic_id.is_nil(), version < 7);
        let topic = crate::support::Topic {
            name: text(&name),
            id: Uuid::nil(),
        };
        let answer = client.produce(9, &topic, batch(&["x"])).await;
        assert_eq!(answer.error_code, ErrorCode::None);
    }
}

#[tokio::test]
async fn minus_1_stands_for_the_defaults_of_the_broker() {
    let server = Server::with(&[("num.partitions", "4")]).await;
    let mut client = server.connect().await;
    let topic = CreatableTopic {
        replication_factor: -1,
        ..creatable("t", -1)
    };
    let created = create(&mut client, 5, topic).await;
    assert_eq!(created.error_code, ErrorCode::None);
    assert_eq!((created.num_partitions, created.replication_factor), (4, 1));
}

#[tokio::test]
async fn the_answer_shows_the_configuration_that_the_topic_got() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let configs = vec![config("retention.ms", Some("12345"))];
    let created = create(
        &mut client,
        5,
        CreatableTopic {
            configs,
            ..creatable("t", 1)
        },
    )
    .await;
    let configs = created.configs.unwrap();
    let entry = |name| configs.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(entry("retention.ms").value.as_deref(), Some("12345"));
    assert_eq!(entry("retention.ms").config_source, 1, "set for the topic");
    assert_eq!(entry("cleanup.policy").config_source, 5, "a default");
}

#[tokio::test]
async fn a_topic_that_cannot_be_created_has_kafkas_error_and_a_reason() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("there.is", 1).await;
    let with = |configs| CreatableTopic {
        configs,
        ..creatable("t", 1)
    };
    let replicas = |factor| CreatableTopic {
        replication_factor: factor,
        ..creatable("t", 1)
    };
    let cases = [
        (creatable("a/b", 1), ErrorCode::InvalidTopicException),
        (creatable("", 1), ErrorCode::InvalidTopicException),
        (creatable("..", 1), ErrorCode::InvalidTopicException),
        (
            creatable(&"x".repeat(250), 1),
            ErrorCode::InvalidTopicException,
        ),
        (creatable("there_is", 1), ErrorCode::InvalidTopicException),
        (creatable("there.is", 1), ErrorCode::TopicAlreadyExists),
        (creatable("t", 0), ErrorCode::InvalidPartitions),
        (creatable("t", -2), ErrorCode::InvalidPartitions),
        (creatable("t", i32::MAX), ErrorCode::InvalidPartitions),
        (replicas(0), ErrorCode::InvalidReplicationFactor),
        (replicas(2), ErrorCode::InvalidReplicationFactor),
        (replicas(i16::MIN), ErrorCode::InvalidReplicationFactor),
        (assigned(&[(0, 7)]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[(1, 1)]), ErrorCode::InvalidReplicaAssignment),
        (
            assigned(&[(0, 1), (0, 1)]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            CreatableTopic {
                num_partitions: 1,
                ..assigned(&[(0, 1)])
            },
            ErrorCode::InvalidRequest,
        ),
        (
            with(vec![config("no.such.setting", Some("1"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            with(vec![config("retention.ms", Some("soon"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            with(vec![config("retention.ms", None)]),
            ErrorCode::InvalidConfig,
        ),
    ];
    for (topic, code) in cases {
        for version in [2, 7] {
            let refused = create(&mut client, version, topic.clone()).await;
            assert_eq!(refused.error_code, code, "{topic:?}");
            assert!(
                refused
                    .error_message
                    .is_some_and(|message| !message.is_empty())
            );
        }
    }
    assert_eq!(all(&mut client).await, [("there.is".to_owned(), 1)]);
}

#[tokio::test]
async fn an_explicit_assignment_to_the_one_broker_counts_the_partitions() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let created = create(&mut client, 5, assigned(&[(1, 1), (0, 1)])).await;
    assert_eq!(
        (created.error_code, created.num_partitions),
        (ErrorCode::None, 2)
    );
}

#[tokio::test]
async fn a_topic_that_a_request_names_twice_is_refused_once_and_the_others_are_created() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topics = vec![
        creatable("twice", 1),
        creatable("once", 1),
        creatable("twice", 1),
    ];
    let response = client
        .call(
            7,
            CreateTopicsRequest {
                topics,
                ..Default::default()
            },
        )
        .await;
    let mut codes: Vec<_> = response
        .topics
        .iter()
        .map(|t| (&*t.name, t.error_code))
        .collect();
    codes.sort_by_key(|(name, _)| *name);
    assert_eq!(
        codes,
        [
            ("once", ErrorCode::None),
            ("twice", ErrorCode::InvalidRequest)
        ]
    );
    assert_eq!(all(&mut client).await, [("once".to_owned(), 1)]);
}

#[tokio::test]
async fn validate_only_says_what_would_happen_and_does_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("old", 1).await;
    let topics = vec![
        creatable("new", 3),
        creatable("old", 1),
        creatable("bad/", 1),
    ];
    let request = CreateTopicsRequest {
        topics,
        validate_only: true,
        ..Default::default()
    };
    let response = client.call(7, request).await;
    let codes: Vec<_> = response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::TopicAlreadyExists,
        ErrorCode::InvalidTopicException,
    ];
    assert_eq!(codes, expected);
    assert_eq!(response.topics[0].num_partitions, 3);
    assert_eq!(all(&mut client).await, [("old".to_owned(), 1)]);
}

#[tokio::test]
async fn two_clients_that_create_the_same_topic_do_so_once() {
    let server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        let request = CreateTopicsRequest {
            topics: vec![creatable("t", 1)],
            ..Default::default()
        };
        let id = client.send(7, request).await;
        clients.push((client, id));
    }
    let mut created = 0;
    for (client, id) in &mut clients {
        let response = client.receive::<CreateTopicsRequest>(7, *id).await;
        match response.topics[0].error_code {
            ErrorCode::None => created += 1,
            code => assert_eq!(code, ErrorCode::TopicAlreadyExists),
        }
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn topics_are_deleted_by_name_in_versions_1_to_5() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 1..=5 {
        client.create_topic("t", 1).await;
        let topic_names = vec![text("t"), text("nope")];
        let request = DeleteTopicsRequest {
            topic_names,
            ..Default::default()
        };
        let response = client.call(version, request).await;
        let codes: Vec<_> = response.responses.iter().map(|t| t.error_code).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
        assert_eq!(all(&mut client).await, []);
    }
}

#[tokio::test]
async fn version_6_deletes_by_name_or_by_id_but_not_by_both_nor_by_neither() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let one = client.create_topic("one", 1).await;
    let two = client.create_topic("two", 1).await;
    let three = client.create_topic("three", 1).await;
    let state = |name: Option<&str>, topic_id| DeleteTopicState {
        name: name.map(text),
        topic_id,
    };
    let topics = vec![
        state(Some("one"), Uuid::nil()),
        state(None, two.id),
        state(None, Uuid::from_u128(7)),
        state(Some("three"), three.id),
        state(None, Uuid::nil()),
    ];
    let request = DeleteTopicsRequest {
        topics,
        ..Default::default()
    };
    let responses = client.call(6, request).await.responses;
    let codes: Vec<_> = responses.iter().map(|topic| topic.error_code).collect();
    let invalid = ErrorCode::InvalidRequest;
    let expected = [
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::UnknownTopicId,
        invalid,
        invalid,
    ];
    assert_eq!(codes, expected);
    assert_eq!(
        (&responses[0].topic_id, responses[1].name.as_deref()),
        (&one.id, Some("two"))
    );
    assert_eq!(all(&mut client).await, [("three".to_owned(), 1)]);
}

#[tokio::test]
async fn deletion_can_be_disabled() {
    let server = Server::with(&[("delete.topic.enable", "false")]).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let request = DeleteTopicsRequest {
        topic_names: vec![text("t")],
        ..Default::default()
    };
    let response = client.call(5, request).await;
    assert_eq!(
        response.responses[0].error_code,
        ErrorCode::TopicDeletionDisabled
    );
}

#[tokio::test]
async fn a_topic_created_again_is_empty() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let first = client.create_topic("t", 1).await;
    client.produce(9, &first, batch(&["old"])).await;
    client.delete_topic("t").await;
    let second = client.create_topic("t", 1).await;
    assert_eq!(client.fetch(12, &second, 0).await.high_watermark, 0);
    let gone = client.fetch(13, &first, 0).await;
    assert_eq!(gone.error_code, ErrorCode::UnknownTopicId);
}

fn grown(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic {
        name: text(name),
        count,
        assignments: None,
    }
}

async fn grow(client: &mut Client, version: i16, topic: CreatePartitionsTopic) -> ErrorCode {
    let request = CreatePartitionsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    client.call(version, request).await.results[0].error_code
}

#[tokio::test]
async fn every_version_adds_partitions_and_keeps_what_is_there() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    client.produce(9, &topic, batch(&["kept"])).await;
    for (version, count) in versions::<CreatePartitionsRequest>().zip(2..) {
        assert_eq!(
            grow(&mut client, version, grown("t", count)).await,
            ErrorCode::None
        );
        let partitions = usize::try_from(count).unwrap();
        assert_eq!(all(&mut client).await, [("t".to_owned(), partitions)]);
    }
    assert_eq!(client.fetch(12, &topic, 0).await.high_watermark, 1);
}

#[tokio::test]
async fn a_topic_does_not_shrink_nor_grow_to_what_it_is() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 3).await;
    let assignment = |broker| CreatePartitionsAssignment {
        broker_ids: vec![broker],
    };
    let to = |broker| CreatePartitionsTopic {
        assignments: Some(vec![assignment(broker)]),
        ..grown("t", 4)
    };
    let short = CreatePartitionsTopic {
        assignments: Some(Vec::new()),
        ..grown("t", 4)
    };
    let cases = [
        (grown("t", 3), ErrorCode::InvalidPartitions),
        (grown("t", 2), ErrorCode::InvalidPartitions),
        (grown("t", 0), ErrorCode::InvalidPartitions),
        (grown("t", -1), ErrorCode::InvalidPartitions),
        (grown("t", i32::MIN), ErrorCode::InvalidPartitions),
        (grown("t", i32::MAX), ErrorCode::InvalidPartitions),
        (grown("nope", 4), ErrorCode::UnknownTopicOrPartition),
        (to(9), ErrorCode::InvalidReplicaAssignment),
        (short, ErrorCode::InvalidReplicaAssignment),
        (to(1), ErrorCode::None),
    ];
    for (topic, code) in cases {
        assert_eq!(grow(&mut client, 3, topic.clone()).await, code, "{topic:?}");
    }
}

#[tokio::test]
async fn partitions_are_only_validated_when_that_is_what_was_asked() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let topics = vec![grown("t", 5)];
    let request = CreatePartitionsRequest {
        topics,
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(
        client.call(3, request).await.results[0].error_code,
        ErrorCode::None
    );
    assert_eq!(all(&mut client).await, [("t".to_owned(), 1)]);
}
