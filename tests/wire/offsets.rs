//! OffsetCommit, OffsetFetch and OffsetDelete.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    JoinGroupRequest, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic, OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
};
use uuid::Uuid;

use crate::groups::{join_request, sync_request};
use crate::support::{Client, Server, Topic, text, versions};

async fn filled() -> (Server, Client, Topic) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 2).await;
    (server, client, topic)
}

/// A commit for partition 0 by nobody in particular.
fn commit_request(topic: &Topic, committed_offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        committed_offset,
        committed_leader_epoch: 3,
        committed_metadata: Some(text("note")),
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: text("g"),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![partition],
        }],
        ..Default::default()
    }
}

fn only_code(response: &OffsetCommitResponse) -> ErrorCode {
    response.topics[0].partitions[0].error_code
}

impl Client {
    async fn commit(&mut self, version: i16, request: OffsetCommitRequest) -> ErrorCode {
        only_code(&self.call(version, request).await)
    }

    /// The offset, epoch and metadata of partition 0 in any version.
    async fn committed(&mut self, version: i16, topic: &Topic) -> (i64, i32, String) {
        let mut response = self
            .call(version, fetch_request(version, Some(topic)))
            .await;
        if version < 8 {
            assert_eq!(response.error_code, ErrorCode::None);
            let found = response.topics.remove(0).partitions.remove(0);
            assert_eq!(found.error_code, ErrorCode::None);
            let metadata = found.metadata.unwrap().to_string();
            return (
                found.committed_offset,
                found.committed_leader_epoch,
                metadata,
            );
        }
        let mut group = response.groups.remove(0);
        assert_eq!((&*group.group_id, group.error_code), ("g", ErrorCode::None));
        let found = group.topics.remove(0).partitions.remove(0);
        assert_eq!(found.error_code, ErrorCode::None);
        (
            found.committed_offset,
            found.committed_leader_epoch,
            found.metadata.unwrap().to_string(),
        )
    }
}

/// Asks for partition 0 of a topic, or for everything.
fn fetch_request(version: i16, topic: Option<&Topic>) -> OffsetFetchRequest {
    let indexes = vec![0];
    if version < 8 {
        let topics = topic.map(|topic| {
            vec![OffsetFetchRequestTopic {
                name: topic.name.clone(),
                partition_indexes: indexes,
            }]
        });
        return OffsetFetchRequest {
            group_id: text("g"),
            topics,
            ..Default::default()
        };
    }
    let topics = topic.map(|topic| {
        vec![OffsetFetchRequestTopics {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_indexes: indexes,
        }]
    });
    let group = OffsetFetchRequestGroup {
        group_id: text("g"),
        topics,
        ..Default::default()
    };
    OffsetFetchRequest {
        groups: vec![group],
        ..Default::default()
    }
}

#[tokio::test]
async fn what_is_committed_in_every_version_is_fetched_in_every_version() {
    let (_server, mut client, topic) = filled().await;
    for (offset, commit) in (1..).zip(versions::<OffsetCommitRequest>()) {
        let code = client.commit(commit, commit_request(&topic, offset)).await;
        assert_eq!(code, ErrorCode::None, "version {commit}");
        for fetch in versions::<OffsetFetchRequest>() {
            let epoch = if commit >= 6 && fetch >= 5 { 3 } else { -1 };
            let found = client.committed(fetch, &topic).await;
            assert_eq!(
                found,
                (offset, epoch, "note".to_owned()),
                "{commit}, {fetch}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_never_committed_is_minus_1_without_an_error() {
    let (_server, mut client, topic) = filled().await;
    for version in versions::<OffsetFetchRequest>() {
        assert_eq!(
            client.committed(version, &topic).await,
            (-1, -1, String::new())
        );
    }
}

#[tokio::test]
async fn null_asks_for_all_offsets_of_a_group_from_version_2_on() {
    let (_server, mut client, topic) = filled().await;
    client.commit(8, commit_request(&topic, 5)).await;
    let other = client.create_topic("other", 1).await;
    client.commit(8, commit_request(&other, 6)).await;
    for version in 2..=10 {
        let response = client.call(version, fetch_request(version, None)).await;
        let mut offsets: Vec<i64> = if version < 8 {
            response
                .topics
                .iter()
                .map(|t| t.partitions[0].committed_offset)
                .collect()
        } else {
            response.groups[0]
                .topics
                .iter()
                .map(|t| t.partitions[0].committed_offset)
                .collect()
        };
        offsets.sort_unstable();
        assert_eq!(offsets, [5, 6], "version {version}");
    }
}

#[tokio::test]
async fn several_groups_are_fetched_at_once_from_version_8_on() {
    let (_server, mut client, topic) = filled().await;
    client.commit(8, commit_request(&topic, 5)).await;
    let mut request = fetch_request(8, Some(&topic));
    let other = OffsetFetchRequestGroup {
        group_id: text("h"),
        ..request.groups[0].clone()
    };
    request.groups.push(other);
    let response = client.call(8, request).await;
    let offset = |at: usize| response.groups[at].topics[0].partitions[0].committed_offset;
    assert_eq!((&*response.groups[0].group_id, offset(0)), ("g", 5));
    assert_eq!((&*response.groups[1].group_id, offset(1)), ("h", -1));
}

#[tokio::test]
async fn every_partition_of_a_commit_has_an_outcome_of_its_own() {
    let (_server, mut client, topic) = filled().await;
    let mut request = commit_request(&topic, 5);
    for partition_index in [9, 1, -1] {
        let first = request.topics[0].partitions[0].clone();
        request.topics[0]
            .partitions
            .push(OffsetCommitRequestPartition {
                partition_index,
                ..first
            });
    }
    let response = client.call(8, request).await;
    let mut codes: Vec<_> = response
        .topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|p| (p.partition_index, p.error_code))
        })
        .collect();
    codes.sort_by_key(|(index, _)| *index);
    let (none, unknown) = (ErrorCode::None, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(codes, [(-1, unknown), (0, none), (1, none), (9, unknown)]);
}

#[tokio::test]
async fn a_commit_for_a_topic_that_is_not_there_is_refused_by_name_or_by_id() {
    let (_server, mut client, _) = filled().await;
    for id in [Uuid::from_u128(5), Uuid::nil()] {
        let unknown = Topic {
            name: text("nope"),
            id,
        };
        let code = client.commit(9, commit_request(&unknown, 1)).await;
        assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
        let code = client.commit(10, commit_request(&unknown, 1)).await;
        assert_eq!(code, ErrorCode::UnknownTopicId);
    }
}

#[tokio::test]
async fn offsets_of_a_topic_id_that_is_not_there_are_unknown() {
    let (_server, mut client, _) = filled().await;
    for id in [Uuid::from_u128(5), Uuid::nil()] {
        let unknown = Topic {
            name: text("nope"),
            id,
        };
        let response = client.call(10, fetch_request(10, Some(&unknown))).await;
        let found = &response.groups[0].topics[0].partitions[0];
        assert_eq!(
            (found.error_code, found.committed_offset),
            (ErrorCode::UnknownTopicId, -1)
        );
    }
}

#[tokio::test]
async fn metadata_longer_than_4096_bytes_is_too_large() {
    let (_server, mut client, topic) = filled().await;
    for (len, code) in [
        (4096, ErrorCode::None),
        (4097, ErrorCode::OffsetMetadataTooLarge),
    ] {
        let mut request = commit_request(&topic, 5);
        request.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(len)));
        assert_eq!(client.commit(8, request).await, code);
    }
}

#[tokio::test]
async fn a_generation_of_a_group_that_is_not_there_is_refused_as_the_version_knows() {
    let (_server, mut client, topic) = filled().await;
    for version in versions::<OffsetCommitRequest>() {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: 1,
            member_id: text("m"),
            ..commit_request(&topic, 1)
        };
        let code = if version < 9 {
            ErrorCode::IllegalGeneration
        } else {
            ErrorCode::GroupIdNotFound
        };
        assert_eq!(client.commit(version, request).await, code);
    }
}

#[tokio::test]
async fn only_members_of_the_generation_commit_while_a_group_has_members() {
    let (_server, mut client, topic) = filled().await;
    let joined = client.join(9).await;
    let by = |member: &str, generation| OffsetCommitRequest {
        generation_id_or_member_epoch: generation,
        member_id: text(member),
        ..commit_request(&topic, 5)
    };
    let member = &*joined.member_id;
    let generation = joined.generation_id;
    assert_eq!(
        client.commit(8, by(member, generation)).await,
        ErrorCode::RebalanceInProgress
    );
    client.call(5, sync_request(&joined)).await;
    assert_eq!(
        client.commit(8, by("", -1)).await,
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        client.commit(8, by("x", generation)).await,
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        client.commit(8, by(member, generation + 1)).await,
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        client.commit(8, by(member, generation)).await,
        ErrorCode::None
    );
}

#[tokio::test]
async fn the_offsets_of_a_deleted_topic_are_gone() {
    let (_server, mut client, topic) = filled().await;
    client.commit(8, commit_request(&topic, 5)).await;
    client.delete_topic("t").await;
    let again = client.create_topic("t", 1).await;
    assert_eq!(client.committed(9, &again).await.0, -1);
}

fn delete_request(group: &str, partitions: &[i32]) -> OffsetDeleteRequest {
    let partition = |index: &i32| OffsetDeleteRequestPartition {
        partition_index: *index,
    };
    let partitions = partitions.iter().map(partition).collect();
    OffsetDeleteRequest {
        group_id: text(group),
        topics: vec![OffsetDeleteRequestTopic {
            name: text("t"),
            partitions,
        }],
    }
}

#[tokio::test]
async fn a_deleted_offset_is_gone() {
    let (_server, mut client, topic) = filled().await;
    client.commit(8, commit_request(&topic, 5)).await;
    let response = client.call(0, delete_request("g", &[0])).await;
    assert_eq!(response.error_code, ErrorCode::None);
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::None);
    assert_eq!(client.committed(9, &topic).await.0, -1);
}

#[tokio::test]
async fn offsets_of_a_group_that_is_not_there_cannot_be_deleted() {
    let (_server, mut client, _) = filled().await;
    let response = client.call(0, delete_request("nope", &[0])).await;
    assert_eq!(response.error_code, ErrorCode::GroupIdNotFound);
}

#[tokio::test]
async fn the_offset_of_a_topic_that_the_group_reads_is_kept() {
    let (_server, mut client, topic) = filled().await;
    client.commit(8, commit_request(&topic, 5)).await;
    // A subscription of version 0 to the one topic `t`, without user data.
    let subscription = [&[0, 0, 0, 0, 0, 1, 0, 1][..], b"t", &[0xff; 4]].concat();
    let mut request = join_request("");
    for protocol in &mut request.protocols {
        protocol.metadata = subscription.clone().into();
    }
    let given = client.call(9, request.clone()).await.member_id;
    let joined = client
        .call(
            9,
            JoinGroupRequest {
                member_id: given,
                ..request
            },
        )
        .await;
    client.call(5, sync_request(&joined)).await;
    let response = client.call(0, delete_request("g", &[0])).await;
    let code = response.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::GroupSubscribedToTopic);
    assert_eq!(client.committed(9, &topic).await.0, 5);
}
