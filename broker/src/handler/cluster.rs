//! What one broker says about its cluster: FindCoordinator (10), DescribeQuorum (55),
//! DescribeCluster (60), UnregisterBroker (64).

use std::sync::Arc;

use ottla_protocol::message::{
    Coordinator, DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, DescribedQuorumPartition, DescribedQuorumTopic,
    FindCoordinatorRequest, FindCoordinatorResponse, QuorumListener, QuorumNode, QuorumPartition,
    QuorumReplica, QuorumTopic, Response, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::operations;
use crate::core::Core;
use crate::internal_log;
use crate::service::Context;

/// The log whose quorum can be described.
const METADATA_LOG: (&str, i32) = (internal_log::CATALOG.0, 0);

/// The first FindCoordinator version that asks for several keys.
const FIRST_BATCHED_VERSION: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// `endpoint_type` of a request for brokers.
const BROKERS: i8 = 1;

/// `endpoint_type` of a request for controllers.
const CONTROLLERS: i8 = 2;

pub(crate) fn find_coordinator(
    core: &Arc<Core>,
    context: &Context,
    request: FindCoordinatorRequest,
) -> Response {
    let key_type = request.key_type;
    let batched = context.api_version >= FIRST_BATCHED_VERSION;
    let keys = if batched {
        request.coordinator_keys
    } else {
        vec![request.key]
    };
    let mut coordinators: Vec<Coordinator> = keys
        .into_iter()
        .map(|key| coordinator(core, context, key, key_type))
        .collect();
    if batched {
        return Response::FindCoordinator(FindCoordinatorResponse {
            coordinators,
            ..Default::default()
        });
    }
    let only = coordinators.pop().unwrap_or_default();
    Response::FindCoordinator(FindCoordinatorResponse {
        error_code: only.error_code,
        error_message: only.error_message,
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..Default::default()
    })
}

fn coordinator(core: &Core, context: &Context, key: StrBytes, key_type: i8) -> Coordinator {
    let refusal = match key_type {
        GROUP | TRANSACTION => None,
        _ => Some((
            ErrorCode::InvalidRequest,
            "This broker has no coordinator of that type.",
        )),
    };
    match refusal {
        Some((error_code, message)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code,
            error_message: Some(StrBytes::from_static(message)),
            ..Default::default()
        },
        None => {
            let endpoint = core.endpoint(context);
            Coordinator {
                key,
                node_id: core.config.node_id,
                host: StrBytes::from(endpoint.host),
                port: i32::from(endpoint.port),
                ..Default::default()
            }
        }
    }
}

pub(crate) fn describe(
    core: &Arc<Core>,
    context: &Context,
    request: DescribeClusterRequest,
) -> Response {
    if context.api_version >= 1 && request.endpoint_type != BROKERS {
        let (error_code, message) = if request.endpoint_type == CONTROLLERS {
            (
                ErrorCode::MismatchedEndpointType,
                "This is the endpoint of a broker, not a controller.",
            )
        } else {
            (
                ErrorCode::UnsupportedEndpointType,
                "There are no endpoints of that type.",
            )
        };
        return Response::DescribeCluster(DescribeClusterResponse {
            error_code,
            error_message: Some(StrBytes::from_static(message)),
            endpoint_type: request.endpoint_type,
            ..Default::default()
        });
    }
    let endpoint = core.endpoint(context);
    let cluster_authorized_operations =
        operations::of_cluster(request.include_cluster_authorized_operations);
    Response::DescribeCluster(DescribeClusterResponse {
        cluster_authorized_operations,
        cluster_id: StrBytes::from(core.store.cluster_id()),
        controller_id: core.config.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: core.config.node_id,
            host: StrBytes::from(endpoint.host),
            port: i32::from(endpoint.port),
            ..Default::default()
        }],
        ..Default::default()
    })
}

/// The quorum is this broker. Its replica is the log of the catalog.
pub(crate) fn describe_quorum(
    core: &Arc<Core>,
    context: &Context,
    request: DescribeQuorumRequest,
) -> Response {
    let is_asked_for = |topic: &QuorumTopic| {
        let (name, index) = METADATA_LOG;
        let partition = QuorumPartition {
            partition_index: index,
        };
        topic.topic_name == name && topic.partitions == [partition]
    };
    if !matches!(request.topics.as_slice(), [only] if is_asked_for(only)) {
        return unknown_quorum(request);
    }
    let offsets = core.catalog.offsets();
    let now_ms = core.env.now().wall_ms;
    let voter = QuorumReplica {
        replica_id: core.config.node_id,
        replica_directory_id: core.store.directory_id(),
        log_end_offset: offsets.log_end_offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    let partition = DescribedQuorumPartition {
        partition_index: METADATA_LOG.1,
        leader_id: core.config.node_id,
        leader_epoch: core.store.leader_epoch(),
        high_watermark: offsets.high_watermark,
        current_voters: vec![voter],
        ..Default::default()
    };
    let endpoint = core.endpoint(context);
    let node = QuorumNode {
        node_id: core.config.node_id,
        listeners: vec![QuorumListener {
            name: StrBytes::from_static("PLAINTEXT"),
            host: StrBytes::from(endpoint.host),
            port: endpoint.port,
        }],
    };
    Response::DescribeQuorum(DescribeQuorumResponse {
        topics: vec![DescribedQuorumTopic {
            topic_name: StrBytes::from_static(METADATA_LOG.0),
            partitions: vec![partition],
        }],
        nodes: vec![node],
        ..Default::default()
    })
}

fn unknown_quorum(request: DescribeQuorumRequest) -> Response {
    let partition = |partition: QuorumPartition| DescribedQuorumPartition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition,
        ..Default::default()
    };
    let topic = |topic: QuorumTopic| DescribedQuorumTopic {
        topic_name: topic.topic_name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    Response::DescribeQuorum(DescribeQuorumResponse {
        topics: request.topics.into_iter().map(topic).collect(),
        ..Default::default()
    })
}

/// Only a broker that is gone can be forgotten, and there is none.
pub(crate) fn unregister(core: &Core, request: &UnregisterBrokerRequest) -> Response {
    let (error_code, why) = if request.broker_id == core.config.node_id {
        let why = "This broker is the only one and cannot be forgotten.".to_owned();
        (ErrorCode::InvalidRequest, why)
    } else {
        let why = format!("There is no broker {}.", request.broker_id);
        (ErrorCode::BrokerIdNotRegistered, why)
    };
    Response::UnregisterBroker(UnregisterBrokerResponse {
        error_code,
        error_message: Some(StrBytes::from(why)),
        ..Default::default()
    })
}
