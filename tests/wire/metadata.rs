//! Metadata: which topics are told, which are created, and what clients rely on.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use uuid::Uuid;

use crate::support::{Client, Server, text, versions};

fn named(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some(text(name)),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        ..Default::default()
    }
}

fn names(response: &MetadataResponse) -> Vec<&str> {
    response
        .topics
        .iter()
        .map(|topic| topic.name.as_deref().unwrap())
        .collect()
}

async fn only(
    client: &mut Client,
    version: i16,
    request: MetadataRequest,
) -> MetadataResponseTopic {
    let mut response = client.call(version, request).await;
    assert_eq!(response.topics.len(), 1);
    response.topics.remove(0)
}

#[tokio::test]
async fn every_version_describes_a_topic_led_by_the_one_broker() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 2).await;
    for version in versions::<MetadataRequest>() {
        let response = client.call(version, named(&["t"])).await;
        let [broker] = &response.brokers[..] else {
            panic!("one broker")
        };
        assert_eq!(broker.host, "127.0.0.1");
        assert_eq!(broker.port, i32::from(server.address().port()));
        assert_eq!(response.cluster_id.is_some(), version >= 2);
        assert_eq!(
            response.controller_id,
            if version >= 1 { broker.node_id } else { -1 }
        );
        let described = &response.topics[0];
        assert_eq!(described.error_code, ErrorCode::None);
        assert_eq!(
            described.topic_id,
            if version >= 10 { topic.id } else { Uuid::nil() }
        );
        assert_eq!(described.topic_authorized_operations, i32::MIN);
        for (index, partition) in (0..).zip(&described.partitions) {
            assert_eq!(
                (partition.error_code, partition.partition_index),
                (ErrorCode::None, index)
            );
            assert_eq!(partition.leader_id, broker.node_id);
            assert_eq!(partition.replica_nodes, [broker.node_id]);
            assert_eq!(partition.isr_nodes, [broker.node_id]);
            assert_eq!(partition.leader_epoch >= 0, version >= 7);
        }
        assert_eq!(described.partitions.len(), 2);
    }
}

#[tokio::test]
async fn null_asks_for_all_topics_and_an_empty_list_for_none_but_in_version_0_for_all() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("a", 1).await;
    client.create_topic("b", 1).await;
    assert_eq!(names(&client.call(0, named(&[])).await), ["a", "b"]);
    for version in 1..=13 {
        let response = client.call(version, named(&[])).await;
        assert_eq!(names(&response), [""; 0]);
        let all = MetadataRequest {
            topics: None,
            ..Default::default()
        };
        assert_eq!(names(&client.call(version, all).await), ["a", "b"]);
    }
}

#[tokio::test]
async fn a_topic_is_created_on_demand_unless_the_client_forbids_it() {
    let server = Server::with(&[("num.partitions", "3")]).await;
    let mut client = server.connect().await;
    for version in versions::<MetadataRequest>() {
        let name = format!("v{version}");
        let forbidden = MetadataRequest {
            allow_auto_topic_creation: false,
            ..named(&[&name])
        };
        if version >= 4 {
            let topic = only(&mut client, version, forbidden).await;
            assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition);
            assert_eq!(topic.name.as_deref(), Some(&*name));
        }
        let topic = only(&mut client, version, named(&[&name])).await;
        assert_eq!(
            (topic.error_code, topic.partitions.len()),
            (ErrorCode::None, 3)
        );
    }
}

#[tokio::test]
async fn no_topic_is_created_on_demand_when_the_broker_forbids_it() {
    let server = Server::with(&[("auto.create.topics.enable", "false")]).await;
    let mut client = server.connect().await;
    for version in [0, 3, 4, 13] {
        let topic = only(&mut client, version, named(&["t"])).await;
        assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition);
    }
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    assert_eq!(names(&client.call(9, all).await), [""; 0]);
}

#[tokio::test]
async fn a_name_that_no_topic_may_have_is_an_invalid_topic() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
        for version in [0, 4, 13] {
            let topic = only(&mut client, version, named(&[bad])).await;
            assert_eq!(
                topic.error_code,
                ErrorCode::InvalidTopicException,
                "{bad:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_topic_can_be_asked_for_by_id() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    for version in [12, 13] {
        for (id, code, name) in [
            (topic.id, ErrorCode::None, Some("t")),
            (Uuid::from_u128(5), ErrorCode::UnknownTopicId, None),
        ] {
            let wanted = MetadataRequestTopic {
                topic_id: id,
                name: None,
            };
            let request = MetadataRequest {
                topics: Some(vec![wanted]),
                ..Default::default()
            };
            let answer = only(&mut client, version, request).await;
            assert_eq!((answer.error_code, answer.topic_id), (code, id));
            assert_eq!(answer.name.as_deref(), name);
        }
    }
}

#[tokio::test]
async fn a_topic_that_is_named_twice_is_told_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("a", 1).await;
    client.create_topic("b", 1).await;
    let response = client.call(9, named(&["b", "a", "b", "b"])).await;
    assert_eq!(names(&response), ["b", "a"]);
}

#[tokio::test]
async fn a_topic_created_again_has_another_id() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let first = client.create_topic("t", 1).await;
    client.delete_topic("t").await;
    let second = client.create_topic("t", 1).await;
    assert_ne!(first.id, second.id);
    let topic = only(&mut client, 13, named(&["t"])).await;
    assert_eq!(topic.topic_id, second.id);
}

#[tokio::test]
async fn the_cluster_id_is_the_same_for_everybody() {
    let server = Server::start().await;
    let first = server.connect().await.call(9, named(&[])).await.cluster_id;
    let second = server.connect().await.call(2, named(&[])).await.cluster_id;
    assert_eq!(first, second);
    assert_eq!(first.unwrap().len(), 22);
}

#[tokio::test]
async fn the_internal_logs_of_the_broker_are_not_topics() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let all = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    assert_eq!(names(&client.call(9, all).await), [""; 0]);
    let forbidden = MetadataRequest {
        allow_auto_topic_creation: false,
        ..named(&["__ottla_groups"])
    };
    let topic = only(&mut client, 9, forbidden).await;
    assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn asking_for_an_internal_log_does_not_make_it_a_topic() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for name in [
        "__cluster_metadata",
        "__ottla_groups",
        "__ottla_transactions",
    ] {
        let topic = only(&mut client, 9, named(&[name])).await;
        assert_eq!(topic.error_code, ErrorCode::InvalidTopicException, "{name}");
    }
    client.create_topic("t", 1).await;
    let topic = only(&mut client, 9, named(&["t"])).await;
    assert_eq!(topic.error_code, ErrorCode::None);
}
