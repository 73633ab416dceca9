//! DescribeCluster, DescribeQuorum, UnregisterBroker, UpdateFeatures, FindCoordinator and
//! InitProducerId.

use std::collections::HashSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DescribeClusterRequest, DescribeQuorumRequest, FeatureUpdate, FindCoordinatorRequest,
    InitProducerIdRequest, MetadataRequest, QuorumPartition, QuorumTopic, UnregisterBrokerRequest,
    UpdateFeaturesRequest,
};

use crate::support::{NOW_MS, Server, text, versions};

#[tokio::test]
async fn every_version_describes_the_cluster_as_metadata_does() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let metadata = client.call(9, MetadataRequest::default()).await;
    for version in versions::<DescribeClusterRequest>() {
        let cluster = client
            .call(version, DescribeClusterRequest::default())
            .await;
        assert_eq!(cluster.error_code, ErrorCode::None);
        assert_eq!(Some(cluster.cluster_id), metadata.cluster_id);
        assert_eq!(cluster.controller_id, metadata.controller_id);
        assert_eq!(cluster.brokers.len(), 1);
        assert_eq!(cluster.brokers[0].broker_id, metadata.brokers[0].node_id);
        assert_eq!(cluster.brokers[0].port, metadata.brokers[0].port);
        assert!(!cluster.brokers[0].is_fenced);
        assert_eq!(cluster.cluster_authorized_operations, i32::MIN);
    }
}

#[tokio::test]
async fn a_broker_is_no_endpoint_for_controllers_nor_for_types_that_do_not_exist() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (endpoint_type, code) in [
        (2, ErrorCode::MismatchedEndpointType),
        (9, ErrorCode::UnsupportedEndpointType),
    ] {
        for version in [1, 2] {
            let request = DescribeClusterRequest {
                endpoint_type,
                ..Default::default()
            };
            let cluster = client.call(version, request).await;
            assert_eq!(cluster.error_code, code);
            assert!(cluster.error_message.is_some());
        }
    }
}

#[tokio::test]
async fn versions_0_to_3_find_the_coordinator_of_one_group() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 0..=3 {
        let request = FindCoordinatorRequest {
            key: text("g"),
            ..Default::default()
        };
        let found = client.call(version, request).await;
        assert_eq!(found.error_code, ErrorCode::None);
        assert_eq!((found.node_id, &*found.host), (1, "127.0.0.1"));
        assert_eq!(found.port, i32::from(server.address().port()));
    }
}

#[tokio::test]
async fn versions_from_4_find_the_coordinators_of_several_groups() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 4..=6 {
        let coordinator_keys = vec![text("one"), text(""), text("two")];
        let request = FindCoordinatorRequest {
            coordinator_keys,
            ..Default::default()
        };
        let found = client.call(version, request).await.coordinators;
        let answers: Vec<_> = found
            .iter()
            .map(|c| (&*c.key, c.error_code, c.node_id))
            .collect();
        let none = ErrorCode::None;
        // Offsets may be committed without the name of a group, as once they could.
        assert_eq!(answers, [("one", none, 1), ("", none, 1), ("two", none, 1)]);
    }
}

#[tokio::test]
async fn coordinators_of_share_groups_are_refused_in_words() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for key_type in [2, 9] {
        let request = FindCoordinatorRequest {
            key: text("x"),
            key_type,
            ..Default::default()
        };
        let found = client.call(3, request).await;
        assert!(found.error_code.is_error());
        assert!(
            found
                .error_message
                .is_some_and(|message| !message.is_empty())
        );
        let coordinator_keys = vec![text("x")];
        let request = FindCoordinatorRequest {
            coordinator_keys,
            key_type,
            ..Default::default()
        };
        let found = client.call(4, request).await.coordinators.remove(0);
        assert!(found.error_code.is_error());
        assert!(
            found
                .error_message
                .is_some_and(|message| !message.is_empty())
        );
    }
}

fn idempotent() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transaction_timeout_ms: i32::MAX,
        ..Default::default()
    }
}

#[tokio::test]
async fn every_producer_gets_an_id_of_its_own_in_every_version() {
    let server = Server::start().await;
    let mut seen = HashSet::new();
    for version in versions::<InitProducerIdRequest>() {
        let mut client = server.connect().await;
        for _ in 0..500 {
            let given = client.call(version, idempotent()).await;
            assert_eq!(
                (given.error_code, given.producer_epoch),
                (ErrorCode::None, 0)
            );
            assert!(given.producer_id >= 0);
            assert!(
                seen.insert(given.producer_id),
                "{} was given twice",
                given.producer_id
            );
        }
    }
}

fn quorum_of(topic: &str, partitions: &[i32]) -> DescribeQuorumRequest {
    let partition = |index: &i32| QuorumPartition {
        partition_index: *index,
    };
    DescribeQuorumRequest {
        topics: vec![QuorumTopic {
            topic_name: text(topic),
            partitions: partitions.iter().map(partition).collect(),
        }],
    }
}

#[tokio::test]
async fn the_quorum_is_this_broker_and_what_it_has_logged() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut ends = Vec::new();
    for version in versions::<DescribeQuorumRequest>() {
        client.create_topic(&format!("t{version}"), 1).await;
        let quorum = client
            .call(version, quorum_of("__cluster_metadata", &[0]))
            .await;
        assert_eq!(quorum.error_code, ErrorCode::None);
        let partition = &quorum.topics[0].partitions[0];
        assert_eq!(partition.error_code, ErrorCode::None);
        assert_eq!((partition.leader_id, partition.leader_epoch), (1, 0));
        assert_eq!(
            (partition.current_voters.len(), partition.observers.len()),
            (1, 0)
        );
        let voter = &partition.current_voters[0];
        assert_eq!(voter.replica_id, 1);
        assert_eq!(voter.log_end_offset, partition.high_watermark);
        ends.push(voter.log_end_offset);
        assert_eq!(voter.last_fetch_timestamp >= NOW_MS, version >= 1);
        assert_eq!(voter.replica_directory_id.is_nil(), version < 2);
        let nodes: Vec<_> = quorum.nodes.iter().map(|node| node.node_id).collect();
        assert_eq!(nodes, vec![1; usize::from(version >= 2)]);
    }
    assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
}

#[tokio::test]
async fn only_the_log_of_the_metadata_has_a_quorum() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for version in versions::<DescribeQuorumRequest>() {
        for request in [
            quorum_of("t", &[0]),
            quorum_of("__cluster_metadata", &[1]),
            quorum_of("__cluster_metadata", &[0, 0]),
        ] {
            let quorum = client.call(version, request).await;
            let unknown = ErrorCode::UnknownTopicOrPartition;
            assert_eq!(quorum.topics[0].partitions[0].error_code, unknown);
        }
    }
}

#[tokio::test]
async fn there_is_no_other_broker_to_forget() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (broker_id, code) in [
        (2, ErrorCode::BrokerIdNotRegistered),
        (-1, ErrorCode::BrokerIdNotRegistered),
        (1, ErrorCode::InvalidRequest),
    ] {
        let answer = client.call(0, UnregisterBrokerRequest { broker_id }).await;
        assert_eq!(answer.error_code, code);
        assert!(answer.error_message.is_some());
    }
}

#[tokio::test]
async fn features_have_the_one_level_that_is_served() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<UpdateFeaturesRequest>() {
        for (feature, max_version_level, upgrade_type, accepted) in [
            ("transaction.version", 2, 1, true),
            ("transaction.version", 3, 1, false),
            ("transaction.version", 1, 2, false),
            ("transaction.version", 0, 3, false),
            ("no.such.feature", 1, 1, false),
        ] {
            let request = UpdateFeaturesRequest {
                feature_updates: vec![FeatureUpdate {
                    feature: text(feature),
                    max_version_level,
                    upgrade_type,
                    allow_downgrade: true,
                }],
                ..Default::default()
            };
            let answer = client.call(version, request).await;
            let code = match answer.results.first() {
                Some(result) => result.error_code,
                None => answer.error_code,
            };
            assert_eq!(answer.results.len(), usize::from(version < 2));
            let expected = if accepted {
                ErrorCode::None
            } else {
                ErrorCode::InvalidUpdateVersion
            };
            assert_eq!(code, expected, "{feature} {max_version_level}");
        }
    }
}
