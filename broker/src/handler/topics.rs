//! CreateTopics (key 19), DeleteTopics (20) and CreatePartitions (37).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::message::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreatePartitionsRequest,
    CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
    CreateTopicsRequest, CreateTopicsResponse, DeletableTopicResult, DeleteTopicState,
    DeleteTopicsRequest, DeleteTopicsResponse, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use crate::catalog::{CatalogEvent, CatalogReply, TopicEntry};
use crate::config::{TopicConfig, describe_topic};
use crate::core::Core;
use crate::service::Context;
use crate::topic_name;
use crate::topics::stored_config;

/// The first DeleteTopics version that names topics by id.
const FIRST_TOPIC_ID_DELETE: i16 = 6;

/// Most partitions of one topic.
const MAX_PARTITIONS: i32 = 100_000;

/// Most topics of one request for new ones, as in Kafka's controller.
const MAX_TOPICS: usize = 10_000;

/// Why a change was refused.
pub(super) type Refusal = (ErrorCode, String);

/// A topic as it is created on demand.
pub(super) fn new_topic(core: &Core, name: &str) -> TopicEntry {
    TopicEntry {
        name: name.to_owned(),
        id: core.env.uuid(),
        partitions: core.config.num_partitions,
        overrides: BTreeMap::new(),
    }
}

/// Creates a topic and waits until it is durable. A topic that is there already is an error.
///
/// # Cancel safety
/// The catalog takes the event at the first poll; dropping the wait does not undo it.
pub(super) async fn create_topic(core: &Arc<Core>, topic: TopicEntry) -> Result<(), Refusal> {
    accepted(
        core.catalog
            .call(|token| CatalogEvent::Create(token, topic))
            .await,
    )
}

pub(super) fn accepted(
    reply: Result<CatalogReply, crate::machine::Unavailable>,
) -> Result<(), Refusal> {
    match reply {
        Ok(CatalogReply::Refused(code, reason)) => Err((code, reason)),
        Ok(_) => Ok(()),
        Err(error) => Err((ErrorCode::KafkaStorageError, error.to_string())),
    }
}

pub(crate) fn create(
    core: &Arc<Core>,
    _context: &Context,
    request: CreateTopicsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    async move {
        let mut named = times_named(request.topics.iter().map(|topic| &topic.name));
        let is_too_large = named.len() > MAX_TOPICS;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let count = named.remove(&topic.name);
            let outcome = match count {
                Some(_) if is_too_large => Err(too_many()),
                Some(1) => create_one(&core, &topic, request.validate_only).await,
                Some(_) => Err(duplicate()),
                None => continue,
            };
            topics.push(created(&core, topic.name, outcome));
        }
        Response::CreateTopics(CreateTopicsResponse {
            topics,
            ..Default::default()
        })
    }
}

/// How often a request names each topic.
fn times_named<'a>(names: impl Iterator<Item = &'a StrBytes>) -> HashMap<StrBytes, usize> {
    let mut named = HashMap::new();
    for name in names {
        *named.entry(name.clone()).or_default() += 1;
    }
    named
}

fn too_many() -> Refusal {
    (
        ErrorCode::PolicyViolation,
        format!("One request may name {MAX_TOPICS} topics; send several requests."),
    )
}

fn duplicate() -> Refusal {
    (
        ErrorCode::InvalidRequest,
        "The request names this topic more than once.".to_owned(),
    )
}

async fn create_one(
    core: &Arc<Core>,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<TopicEntry, Refusal> {
    let entry = requested(core, topic)?;
    if validate_only {
        let check = core
            .catalog
            .inspect(|catalog| catalog.may_create(&entry.name, entry.partitions));
        accepted(check.map_or_else(Ok, |()| Ok(CatalogReply::Done)))?;
    } else {
        create_topic(core, entry.clone()).await?;
    }
    Ok(entry)
}

/// The topic that a request describes, or what is wrong with the description.
fn requested(core: &Core, topic: &CreatableTopic) -> Result<TopicEntry, Refusal> {
    topic_name::check_new(&topic.name).map_err(|why| (ErrorCode::InvalidTopicException, why))?;
    let partitions = if topic.assignments.is_empty() {
        replicated_once(topic.replication_factor)?;
        partition_count(core, topic.num_partitions)?
    } else {
        assigned_partitions(core, topic)?
    };
    let mut given = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let why = format!(
                "Null value not supported for topic configs: {}",
                config.name
            );
            return Err((ErrorCode::InvalidConfig, why));
        };
        given.insert(&*config.name, &**value);
    }
    let config = TopicConfig::from_entries(given)
        .map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))?;
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let overrides = config.iter().map(own).collect();
    Ok(TopicEntry {
        partitions,
        overrides,
        ..new_topic(core, &topic.name)
    })
}

fn replicated_once(factor: i16) -> Result<(), Refusal> {
    match factor {
        -1 | 1 => Ok(()),
        ..=0 => Err((
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        )),
        _ => Err((
            ErrorCode::InvalidReplicationFactor,
            format!("Replication factor {factor} needs {factor} brokers; there is 1."),
        )),
    }
}

fn partition_count(core: &Core, count: i32) -> Result<i32, Refusal> {
    match count {
        -1 => Ok(core.config.num_partitions),
        1..=MAX_PARTITIONS => Ok(count),
        ..=0 => Err((
            ErrorCode::InvalidPartitions,
            "Number of partitions must be larger than 0, or -1 to use the default value."
                .to_owned(),
        )),
        _ => Err((
            ErrorCode::InvalidPartitions,
            format!("A topic has at most {MAX_PARTITIONS} partitions."),
        )),
    }
}

/// Assignments are accepted when they say what is the case: every partition on this broker.
fn assigned_partitions(core: &Core, topic: &CreatableTopic) -> Result<i32, Refusal> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let why = "A topic with replica assignments has neither partition count nor replication \
                   factor; both must be -1.";
        return Err((ErrorCode::InvalidRequest, why.to_owned()));
    }
    let mut indexes: Vec<i32> = topic
        .assignments
        .iter()
        .map(|assignment| assignment.partition_index)
        .collect();
    indexes.sort_unstable();
    let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
    let consecutive = indexes.into_iter().eq(0..count);
    if consecutive
        && topic
            .assignments
            .iter()
            .all(|a| a.broker_ids == [core.config.node_id])
    {
        return partition_count(core, count);
    }
    let why = format!(
        "Partitions must be numbered from 0 and assigned to broker {} only.",
        core.config.node_id
    );
    Err((ErrorCode::InvalidReplicaAssignment, why))
}

fn created(
    core: &Core,
    name: StrBytes,
    outcome: Result<TopicEntry, Refusal>,
) -> CreatableTopicResult {
    let topic = match outcome {
        Ok(topic) => topic,
        Err((error_code, reason)) => {
            return CreatableTopicResult {
                name,
                error_code,
                error_message: Some(StrBytes::from(reason)),
                ..Default::default()
            };
        }
    };
    let config = stored_config(&topic);
    let configs = describe_topic(&config, &core.live_config.get())
        .into_iter()
        .map(|entry| CreatableTopicConfigs {
            name: StrBytes::from_static(entry.name),
            value: entry.value.map(StrBytes::from),
            read_only: entry.read_only,
            config_source: entry.source.code(),
            is_sensitive: entry.is_sensitive,
        })
        .collect();
    CreatableTopicResult {
        name,
        topic_id: topic.id,
        num_partitions: topic.partitions,
        replication_factor: 1,
        configs: Some(configs),
        ..Default::default()
    }
}

pub(crate) fn delete(
    core: &Arc<Core>,
    context: &Context,
    request: DeleteTopicsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    let by_state = context.api_version >= FIRST_TOPIC_ID_DELETE;
    async move {
        let wanted: Vec<DeleteTopicState> = if by_state {
            request.topics
        } else {
            let named = |name| DeleteTopicState {
                name: Some(name),
                topic_id: Uuid::nil(),
            };
            request.topic_names.into_iter().map(named).collect()
        };
        let mut responses = Vec::with_capacity(wanted.len());
        for topic in wanted {
            responses.push(delete_one(&core, topic).await);
        }
        Response::DeleteTopics(DeleteTopicsResponse {
            responses,
            ..Default::default()
        })
    }
}

async fn delete_one(core: &Arc<Core>, wanted: DeleteTopicState) -> DeletableTopicResult {
    let refused = |error_code, name, topic_id| DeletableTopicResult {
        error_code,
        error_message: Some(StrBytes::from_static(match error_code {
            ErrorCode::TopicDeletionDisabled => "delete.topic.enable is false.",
            ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
            ErrorCode::InvalidRequest => "A topic is deleted by its name or by its id, not both.",
            _ => "This server does not host this topic-partition.",
        })),
        name,
        topic_id,
    };
    if wanted.name.is_some() != wanted.topic_id.is_nil() {
        return refused(ErrorCode::InvalidRequest, wanted.name, wanted.topic_id);
    }
    if !core.config.delete_topic_enable {
        return refused(
            ErrorCode::TopicDeletionDisabled,
            wanted.name,
            wanted.topic_id,
        );
    }
    let name = wanted.name.clone().unwrap_or_default();
    let topic = match core
        .topics
        .find(&name, wanted.topic_id, wanted.name.is_none())
    {
        Ok(topic) => topic,
        Err(code) => return refused(code, wanted.name, wanted.topic_id),
    };
    let id = topic.id;
    let reply = core
        .catalog
        .call(|token| CatalogEvent::Delete(token, id))
        .await;
    let (error_code, error_message) = match accepted(reply) {
        Ok(()) => (ErrorCode::None, None),
        Err((code, reason)) => (code, Some(StrBytes::from(reason))),
    };
    DeletableTopicResult {
        name: Some(topic.name.clone()),
        topic_id: id,
        error_code,
        error_message,
    }
}

pub(crate) fn create_partitions(
    core: &Arc<Core>,
    request: CreatePartitionsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    async move {
        let named = times_named(request.topics.iter().map(|topic| &topic.name));
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let outcome = if named.get(&topic.name).is_some_and(|times| *times > 1) {
                Err(duplicate())
            } else {
                add_partitions(&core, topic, request.validate_only).await
            };
            let (error_code, error_message) = match outcome {
                Ok(()) => (ErrorCode::None, None),
                Err((code, reason)) => (code, Some(StrBytes::from(reason))),
            };
            results.push(CreatePartitionsTopicResult {
                name: topic.name.clone(),
                error_code,
                error_message,
            });
        }
        Response::CreatePartitions(CreatePartitionsResponse {
            results,
            ..Default::default()
        })
    }
}

async fn add_partitions(
    core: &Arc<Core>,
    wanted: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let count = wanted.count;
    if count > MAX_PARTITIONS {
        partition_count(core, count)?;
    }
    let grown = core.catalog.inspect(|catalog| {
        let before = catalog.topics().find(|topic| topic.name == *wanted.name);
        let before = before.map_or(0, |topic| topic.partitions);
        catalog.grown(&wanted.name, count).map(|_| before)
    });
    let before = match grown {
        Ok(before) => before,
        Err(refusal) => return accepted(Ok(refusal)),
    };
    if let Some(assignments) = &wanted.assignments {
        let right_count = i64::try_from(assignments.len()) == Ok(i64::from(count - before));
        if !right_count
            || !assignments
                .iter()
                .all(|a| a.broker_ids == [core.config.node_id])
        {
            let why = format!(
                "Each of the {} new partitions must be assigned to broker {} only.",
                count - before,
                core.config.node_id
            );
            return Err((ErrorCode::InvalidReplicaAssignment, why));
        }
    }
    if validate_only {
        return Ok(());
    }
    let topic = wanted.name.to_string();
    let event = |token| CatalogEvent::AddPartitions {
        token,
        topic,
        count,
    };
    accepted(core.catalog.call(event).await)
}
