//! Groups of the consumer protocol: ConsumerGroupHeartbeat and ConsumerGroupDescribe, offsets at member
//! epochs, and the settings of single groups.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    ConfigResource, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DescribeConfigsRequest, DescribeConfigsResource,
    DescribedConsumerGroup, HeartbeatTopicPartitions, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource, IncrementalAlterableConfig, JoinGroupRequest,
    ListConfigResourcesRequest, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
};

use crate::groups::join_request;
use crate::support::{Client, Server, Topic, text, versions};

fn joining(member_id: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: text("g"),
        member_id: text(member_id),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![text("t")]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

async fn filled() -> (Server, Client, Topic) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 2).await;
    (server, client, topic)
}

async fn join(client: &mut Client) -> ConsumerGroupHeartbeatResponse {
    let joined = client.call(1, joining("m")).await;
    assert_eq!(joined.error_code, ErrorCode::None);
    joined
}

async fn describe(client: &mut Client, version: i16, group: &str) -> DescribedConsumerGroup {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![text(group)],
        ..Default::default()
    };
    client.call(version, request).await.groups.remove(0)
}

#[tokio::test]
async fn every_version_joins_goes_on_and_leaves() {
    for version in versions::<ConsumerGroupHeartbeatRequest>() {
        let (_server, mut client, topic) = filled().await;
        let own_id = if version == 0 { "" } else { "m" };
        let joined = client.call(version, joining(own_id)).await;
        assert_eq!(joined.error_code, ErrorCode::None);
        assert_eq!(
            (joined.member_epoch, joined.heartbeat_interval_ms),
            (1, 5_000)
        );
        let member_id = joined.member_id.unwrap();
        let assignment = joined.assignment.unwrap().topic_partitions;
        let all = HeartbeatTopicPartitions {
            topic_id: topic.id,
            partitions: vec![0, 1],
        };
        assert_eq!(assignment, [all]);
        let beat = |member_epoch| ConsumerGroupHeartbeatRequest {
            group_id: text("g"),
            member_id: member_id.clone(),
            member_epoch,
            topic_partitions: Some(assignment.clone()),
            ..Default::default()
        };
        let kept = client.call(version, beat(1)).await;
        assert_eq!((kept.member_epoch, kept.assignment), (1, None));
        let left = client.call(version, beat(-1)).await;
        assert_eq!((left.error_code, left.member_epoch), (ErrorCode::None, -1));
        let unknown = client.call(version, beat(1)).await;
        assert_eq!(unknown.error_code, ErrorCode::UnknownMemberId);
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (_server, mut client, _) = filled().await;
    let refused = [
        (
            ConsumerGroupHeartbeatRequest {
                group_id: text(""),
                ..joining("m")
            },
            ErrorCode::InvalidRequest,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                member_epoch: 3,
                ..joining("m")
            },
            ErrorCode::GroupIdNotFound,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                server_assignor: Some(text("none")),
                ..joining("m")
            },
            ErrorCode::UnsupportedAssignor,
        ),
        (
            ConsumerGroupHeartbeatRequest {
                subscribed_topic_regex: Some(text("(")),
                ..joining("m")
            },
            ErrorCode::InvalidRegularExpression,
        ),
    ];
    for (request, code) in refused {
        let answer = client.call(1, request).await;
        assert_eq!(answer.error_code, code);
        assert!(answer.error_message.is_some(), "{code:?}");
    }
}

#[tokio::test]
async fn a_topic_that_is_created_deleted_or_grown_reaches_the_members() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = join(&mut client).await;
    assert_eq!(joined.assignment.unwrap().topic_partitions, []);
    let topic = client.create_topic("t", 2).await;
    let beat = |member_epoch| ConsumerGroupHeartbeatRequest {
        group_id: text("g"),
        member_id: text("m"),
        member_epoch,
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let told = client.call(1, beat(1)).await;
    assert_eq!(
        told.assignment.unwrap().topic_partitions[0].topic_id,
        topic.id
    );
    client.delete_topic("t").await;
    let told = client.call(1, beat(told.member_epoch)).await;
    assert_eq!(told.assignment.unwrap().topic_partitions, []);
}

#[tokio::test]
async fn every_version_describes_a_group_with_its_members() {
    let (_server, mut client, topic) = filled().await;
    join(&mut client).await;
    let classic = JoinGroupRequest {
        group_id: text("classic"),
        ..join_request("")
    };
    client.call(9, classic).await;
    for version in versions::<ConsumerGroupDescribeRequest>() {
        let group = describe(&mut client, version, "g").await;
        assert_eq!(
            (group.error_code, &*group.group_state),
            (ErrorCode::None, "Stable")
        );
        assert_eq!((group.group_epoch, group.assignment_epoch), (1, 1));
        assert_eq!(&*group.assignor_name, "uniform");
        let [member] = &group.members[..] else {
            panic!("one member")
        };
        assert_eq!((&*member.member_id, member.member_epoch), ("m", 1));
        assert_eq!(
            (&*member.client_id, &*member.client_host),
            ("wire", "/127.0.0.1")
        );
        assert_eq!(member.subscribed_topic_names, [text("t")]);
        assert_eq!(member.member_type, if version == 0 { -1 } else { 1 });
        let assigned = &member.assignment.topic_partitions[0];
        assert_eq!((assigned.topic_id, &*assigned.topic_name), (topic.id, "t"));
        assert_eq!(member.assignment, member.target_assignment);
        for (other, why) in [
            ("nope", "Group nope not found."),
            ("classic", "Group classic is not a consumer group."),
        ] {
            let group = describe(&mut client, version, other).await;
            assert_eq!(group.error_code, ErrorCode::GroupIdNotFound);
            assert_eq!(group.error_message.as_deref(), Some(why));
        }
    }
}

#[tokio::test]
async fn offsets_are_committed_and_fetched_at_a_members_epoch() {
    let (_server, mut client, topic) = filled().await;
    join(&mut client).await;
    let commit = |version: i16, member_epoch| OffsetCommitRequest {
        group_id: text("g"),
        member_id: text("m"),
        generation_id_or_member_epoch: member_epoch,
        topics: vec![OffsetCommitRequestTopic {
            name: if version < 10 { text("t") } else { text("") },
            topic_id: if version < 10 {
                Default::default()
            } else {
                topic.id
            },
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 5,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let fetch = |version: i16, member_epoch| OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: text("g"),
            member_id: Some(text("m")),
            member_epoch,
            topics: Some(vec![OffsetFetchRequestTopics {
                name: if version < 10 { text("t") } else { text("") },
                topic_id: if version < 10 {
                    Default::default()
                } else {
                    topic.id
                },
                partition_indexes: vec![0],
            }]),
        }],
        ..Default::default()
    };
    for version in [9, 10] {
        let mut code = async |epoch| {
            let answer = client.call(version, commit(version, epoch)).await;
            answer.topics[0].partitions[0].error_code
        };
        assert_eq!(code(1).await, ErrorCode::None);
        assert_eq!(code(2).await, ErrorCode::StaleMemberEpoch);
        let fetched = client
            .call(version, fetch(version, 1))
            .await
            .groups
            .remove(0);
        assert_eq!(fetched.topics[0].partitions[0].committed_offset, 5);
        let stale = client
            .call(version, fetch(version, 2))
            .await
            .groups
            .remove(0);
        assert_eq!(stale.error_code, ErrorCode::StaleMemberEpoch);
    }
    let old = client.call(8, commit(8, 1)).await;
    let code = old.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::UnsupportedVersion);
}

const GROUP: i8 = 32;

async fn set(client: &mut Client, group: &str, value: &str) -> ErrorCode {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![IncrementalAlterConfigsResource {
            resource_type: GROUP,
            resource_name: text(group),
            configs: vec![IncrementalAlterableConfig {
                name: text("consumer.heartbeat.interval.ms"),
                value: Some(text(value)),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    client.call(1, request).await.responses[0].error_code
}

#[tokio::test]
async fn a_group_can_be_given_settings_that_its_members_are_told() {
    let (_server, mut client, _) = filled().await;
    assert_eq!(set(&mut client, "g", "7000").await, ErrorCode::None);
    assert_eq!(set(&mut client, "g", "1").await, ErrorCode::InvalidConfig);
    assert_eq!(
        set(&mut client, "", "7000").await,
        ErrorCode::InvalidRequest
    );
    assert_eq!(join(&mut client).await.heartbeat_interval_ms, 7_000);
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: GROUP,
            resource_name: text("g"),
            configuration_keys: None,
        }],
        ..Default::default()
    };
    let described = client.call(4, request).await.results.remove(0);
    let told: Vec<_> = described
        .configs
        .iter()
        .map(|entry| {
            (
                &*entry.name,
                entry.value.as_deref().unwrap(),
                entry.config_source,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("consumer.heartbeat.interval.ms", "7000", 8),
            ("consumer.session.timeout.ms", "45000", 5),
        ]
    );
    let request = ListConfigResourcesRequest {
        resource_types: vec![GROUP],
    };
    let listed = client.call(1, request).await.config_resources;
    let group = ConfigResource {
        resource_name: text("g"),
        resource_type: GROUP,
    };
    assert_eq!(listed, [group]);
}
