//! DescribeConfigs (key 32): settings with their values, sources and meanings;
//! ListConfigResources (74): whose settings there are.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::message::{
    ConfigResource, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
    ListConfigResourcesRequest, ListConfigResourcesResponse, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use crate::config::{
    ConfigEntry, describe_broker, describe_cluster_defaults, describe_group, describe_topic,
};
use crate::core::Core;
use crate::service::Context;
use crate::topic_name;

/// The code of a topic's configuration.
pub(super) const TOPIC: i8 = 2;
/// The code of a broker's configuration.
pub(super) const BROKER: i8 = 4;
/// The code of the log levels of a broker.
pub(super) const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
/// The code of a group's configuration.
pub(super) const GROUP: i8 = 32;

pub(crate) fn describe(core: &Arc<Core>, request: DescribeConfigsRequest) -> Response {
    // Each resource once, so that an answer is not much larger than all there is to tell.
    let mut told = HashSet::new();
    let results = request
        .resources
        .iter()
        .filter(|resource| told.insert((resource.resource_type, resource.resource_name.clone())))
        .map(|resource| match entries(core, resource) {
            Ok(entries) => DescribeConfigsResult {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                configs: entries
                    .into_iter()
                    .filter(|entry| is_wanted(resource, entry.name))
                    .map(|entry| described(entry, &request))
                    .collect(),
                ..Default::default()
            },
            Err((error_code, message)) => DescribeConfigsResult {
                error_code,
                error_message: Some(StrBytes::from(message)),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                ..Default::default()
            },
        })
        .collect();
    Response::DescribeConfigs(DescribeConfigsResponse {
        results,
        ..Default::default()
    })
}

fn entries(
    core: &Core,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    let name = &resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            topic_name::check(name).map_err(|why| (ErrorCode::InvalidTopicException, why))?;
            let Some(topic) = core.topics.by_name(name) else {
                return Err((
                    ErrorCode::UnknownTopicOrPartition,
                    "This server does not host this topic-partition.".to_owned(),
                ));
            };
            Ok(describe_topic(&topic.overrides, &core.live_config.get()))
        }
        // The empty name stands for what is set for every broker.
        BROKER if name.is_empty() => Ok(describe_cluster_defaults(&core.live_config.get())),
        BROKER if name.parse() == Ok(core.config.node_id) => {
            Ok(describe_broker(&core.live_config.get()))
        }
        BROKER => Err((
            ErrorCode::InvalidRequest,
            format!(
                "Unexpected broker id, expected {} or empty string, but received {name}",
                core.config.node_id
            ),
        )),
        GROUP if name.is_empty() => Err((
            ErrorCode::InvalidRequest,
            "Group name must not be empty.".to_owned(),
        )),
        GROUP => {
            let entries = core.live_config.group(name);
            Ok(describe_group(&entries, &core.live_config.get()))
        }
        other => Err((
            ErrorCode::InvalidRequest,
            format!(
                "Resource type {other} has no settings here; topics (2), brokers (4) and groups \
                 (32) have."
            ),
        )),
    }
}

/// The first ListConfigResources version that is not about client metrics alone.
const FIRST_ALL_KINDS: i16 = 1;

pub(crate) fn list(
    core: &Core,
    context: &Context,
    request: &ListConfigResourcesRequest,
) -> Response {
    const KINDS: &[i8] = &[GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];
    let asked = match request.resource_types.as_slice() {
        _ if context.api_version < FIRST_ALL_KINDS => &[CLIENT_METRICS],
        [] => KINDS,
        some => some,
    };
    if asked.iter().any(|kind| !KINDS.contains(kind)) {
        return Response::ListConfigResources(ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion,
            ..Default::default()
        });
    }
    let resource = |resource_type, resource_name| ConfigResource {
        resource_name,
        resource_type,
    };
    let mut config_resources = Vec::new();
    if asked.contains(&BROKER) {
        let id = StrBytes::from(core.config.node_id.to_string());
        config_resources.push(resource(BROKER, id));
    }
    if asked.contains(&TOPIC) {
        let topics = core.topics.all().into_iter();
        config_resources.extend(topics.map(|topic| resource(TOPIC, topic.name.clone())));
    }
    if asked.contains(&GROUP) {
        let groups = core.live_config.groups().into_keys();
        config_resources.extend(groups.map(|group| resource(GROUP, StrBytes::from(group))));
    }
    Response::ListConfigResources(ListConfigResourcesResponse {
        config_resources,
        ..Default::default()
    })
}

fn is_wanted(resource: &DescribeConfigsResource, name: &str) -> bool {
    resource
        .configuration_keys
        .as_ref()
        .is_none_or(|keys| keys.iter().any(|key| *key == name))
}

fn described(
    entry: ConfigEntry,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let synonyms = if request.include_synonyms {
        entry.synonyms
    } else {
        Vec::new()
    };
    DescribeConfigsResourceResult {
        name: StrBytes::from_static(entry.name),
        value: entry.value.map(StrBytes::from),
        read_only: entry.read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms
            .into_iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: StrBytes::from_static(synonym.name),
                value: synonym.value.map(StrBytes::from),
                source: synonym.source.code(),
            })
            .collect(),
        config_type: entry.config_type.code(),
        documentation: request
            .include_documentation
            .then(|| StrBytes::from_static(entry.documentation)),
    }
}
