//! DescribeCluster, FindCoordinator and InitProducerId.

use std::collections::HashSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DescribeClusterRequest, FindCoordinatorRequest, InitProducerIdRequest, MetadataRequest,
};

use crate::support::{Server, text, versions};

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
        let invalid = ErrorCode::InvalidGroupId;
        assert_eq!(
            answers,
            [("one", none, 1), ("", invalid, -1), ("two", none, 1)]
        );
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
