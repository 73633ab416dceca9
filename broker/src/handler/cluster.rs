//! What one broker says about its cluster: FindCoordinator (10), DescribeCluster (60).

use std::sync::Arc;

use ottla_protocol::message::{
    Coordinator, DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use crate::core::Core;
use crate::service::Context;

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
        GROUP if key.is_empty() => Some((ErrorCode::InvalidGroupId, "The group id is empty.")),
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
    Response::DescribeCluster(DescribeClusterResponse {
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
