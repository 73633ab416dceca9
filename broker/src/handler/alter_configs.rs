//! AlterConfigs (key 33) and IncrementalAlterConfigs (44): changes of settings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ottla_protocol::message::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, IncrementalAlterableConfig, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::configs::{BROKER, BROKER_LOGGER, GROUP, TOPIC};
use super::topics::{Refusal, accepted};
use crate::catalog::{CatalogEvent, ConfigScope, ConfigTarget};
use crate::config::{ConfigChange, ConfigOperation};
use crate::core::Core;
use crate::topic_name;

/// Type and name of a resource.
type Resource = (i8, StrBytes);

/// What is asked of one resource, or what is wrong with the question.
type Change = (Resource, Result<ConfigChange, Refusal>);

pub(crate) fn alter(
    core: &Arc<Core>,
    request: AlterConfigsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let changes = request.resources.into_iter().map(replacement).collect();
    let outcomes = apply(core, changes, request.validate_only);
    async move {
        Response::AlterConfigs(AlterConfigsResponse {
            responses: outcomes.await,
            ..Default::default()
        })
    }
}

pub(crate) fn alter_incrementally(
    core: &Arc<Core>,
    request: IncrementalAlterConfigsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let changes = request.resources.into_iter().map(increment).collect();
    let outcomes = apply(core, changes, request.validate_only);
    async move {
        Response::IncrementalAlterConfigs(IncrementalAlterConfigsResponse {
            responses: outcomes.await,
            ..Default::default()
        })
    }
}

fn replacement(resource: AlterConfigsResource) -> Change {
    let mut entries = BTreeMap::new();
    let mut without_value = Vec::new();
    for config in resource.configs {
        match config.value {
            Some(value) => {
                entries.insert(config.name.to_string(), value.to_string());
            }
            None => without_value.push(config.name.to_string()),
        }
    }
    let change = if without_value.is_empty() {
        Ok(ConfigChange::Replace(entries))
    } else {
        Err(null_values(&without_value))
    };
    ((resource.resource_type, resource.resource_name), change)
}

fn increment(resource: IncrementalAlterConfigsResource) -> Change {
    let mut named = HashSet::new();
    let twice = !resource
        .configs
        .iter()
        .all(|config| named.insert(config.name.clone()));
    let change = if twice {
        let why = "Each setting may be changed at most once per resource.".to_owned();
        Err((ErrorCode::InvalidRequest, why))
    } else {
        let operations: Result<_, _> = resource.configs.into_iter().map(operation).collect();
        operations.map(ConfigChange::Each)
    };
    ((resource.resource_type, resource.resource_name), change)
}

fn operation(config: IncrementalAlterableConfig) -> Result<(String, ConfigOperation), Refusal> {
    let name = config.name.to_string();
    let value = config.value.map(|value| value.to_string());
    let operation = match (config.config_operation, value) {
        (1, _) => ConfigOperation::Delete,
        (0 | 2 | 3, None) => return Err(null_values(&[name])),
        (0, Some(value)) => ConfigOperation::Set(value),
        (2, Some(value)) => ConfigOperation::Append(value),
        (3, Some(value)) => ConfigOperation::Subtract(value),
        (other, _) => {
            let why = format!(
                "Operation {other} on {name} is unknown; there are 0 (set), 1 (delete), \
                 2 (append) and 3 (subtract)."
            );
            return Err((ErrorCode::InvalidRequest, why));
        }
    };
    Ok((name, operation))
}

fn null_values(names: &[String]) -> Refusal {
    (
        ErrorCode::InvalidRequest,
        format!("Null value not supported for: {}", names.join(", ")),
    )
}

/// Asks the catalog for each change, in their order; the future waits for the outcomes.
fn apply(
    core: &Arc<Core>,
    changes: Vec<Change>,
    validate_only: bool,
) -> impl Future<Output = Vec<AlterConfigsResourceResponse>> + Send + use<> {
    let mut named: HashMap<Resource, usize> = HashMap::new();
    for (resource, _) in &changes {
        *named.entry(resource.clone()).or_default() += 1;
    }
    let mut calls = Vec::with_capacity(changes.len());
    for (resource, change) in changes {
        let once = match named.get(&resource) {
            Some(1) => change,
            _ => Err((
                ErrorCode::InvalidRequest,
                "Each resource must appear at most once.".to_owned(),
            )),
        };
        let event = once.and_then(|change| Ok((target(core, &resource)?, change)));
        let call = event.map(|(target, change)| {
            core.catalog.call(|token| CatalogEvent::AlterConfigs {
                token,
                target,
                change,
                validate_only,
                started: Arc::clone(core.live_config.started()),
            })
        });
        calls.push((resource, call));
    }
    async move {
        let mut outcomes = Vec::with_capacity(calls.len());
        for (resource, call) in calls {
            let outcome = match call {
                Ok(call) => accepted(call.await),
                Err(refusal) => Err(refusal),
            };
            outcomes.push(answer(resource, outcome));
        }
        outcomes
    }
}

/// Whose settings these are, if they are someone's that has some.
fn target(core: &Core, (resource_type, name): &Resource) -> Result<ConfigTarget, Refusal> {
    let invalid = |why: String| Err((ErrorCode::InvalidRequest, why));
    match *resource_type {
        TOPIC if name.is_empty() => {
            invalid("Default topic resources are not allowed.".to_owned())
        }
        TOPIC => {
            topic_name::check(name).map_err(|why| (ErrorCode::InvalidTopicException, why))?;
            Ok(ConfigTarget::Topic(name.to_string()))
        }
        BROKER if name.is_empty() => Ok(ConfigTarget::Broker(ConfigScope::Cluster)),
        BROKER if name.parse() == Ok(core.config.node_id) => {
            Ok(ConfigTarget::Broker(ConfigScope::Broker(core.config.node_id)))
        }
        BROKER => invalid(format!(
            "Unexpected broker id, expected {} or empty string, but received {name}",
            core.config.node_id
        )),
        GROUP if name.is_empty() => invalid("Group name must not be empty.".to_owned()),
        GROUP => Ok(ConfigTarget::Group(name.to_string())),
        BROKER_LOGGER => invalid(
            "Log levels cannot be changed while the broker runs; use --log-level where it is started."
                .to_owned(),
        ),
        other => invalid(format!(
            "Resource type {other} has no settings here; topics (2), brokers (4) and groups (32) have."
        )),
    }
}

fn answer(
    (resource_type, resource_name): Resource,
    outcome: Result<(), Refusal>,
) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err((code, why)) => (code, Some(StrBytes::from(why))),
    };
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type,
        resource_name,
    }
}
