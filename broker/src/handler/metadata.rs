//! Metadata (key 3) and DescribeTopicPartitions (key 75): topics and who leads their partitions.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::message::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::operations;
use super::topics::{create_topic, new_topic};
use crate::core::Core;
use crate::service::Context;
use crate::topic_name;
use crate::topics::Topic;

/// The first version in which a client can forbid creation on demand.
const FIRST_ALLOW_CREATION: i16 = 4;

/// Partitions in one DescribeTopicPartitions answer at the most.
const MAX_DESCRIBED_PARTITIONS: usize = 2_000;

pub(crate) fn metadata(
    core: &Arc<Core>,
    context: &Context,
    request: MetadataRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    let version = context.api_version;
    let endpoint = core.endpoint(context);
    let operations = operations::of_topic(request.include_topic_authorized_operations);
    let of_cluster = request.include_cluster_authorized_operations;
    let cluster_authorized_operations = operations::of_cluster(of_cluster);
    async move {
        let may_create = core.config.auto_create_topics_enable
            && (version < FIRST_ALLOW_CREATION || request.allow_auto_topic_creation);
        let wanted = request
            .topics
            .filter(|topics| version > 0 || !topics.is_empty());
        let mut topics = match wanted {
            None => core
                .topics
                .all()
                .iter()
                .map(|topic| describe(&core, topic))
                .collect(),
            Some(wanted) => {
                // Told once however often it is asked for, so that an answer is not much larger
                // than all there is to tell.
                let mut told = HashSet::new();
                let mut topics = Vec::new();
                for topic in wanted {
                    if !told.insert((topic.topic_id, topic.name.clone())) {
                        continue;
                    }
                    topics.push(look_up(&core, topic, may_create).await);
                }
                topics
            }
        };
        for topic in &mut topics {
            if topic.error_code == ErrorCode::None {
                topic.topic_authorized_operations = operations;
            }
        }
        Response::Metadata(MetadataResponse {
            cluster_authorized_operations,
            brokers: vec![MetadataResponseBroker {
                node_id: core.config.node_id,
                host: StrBytes::from(endpoint.host),
                port: i32::from(endpoint.port),
                ..Default::default()
            }],
            cluster_id: Some(StrBytes::from(core.store.cluster_id())),
            controller_id: core.config.node_id,
            topics,
            ..Default::default()
        })
    }
}

async fn look_up(
    core: &Arc<Core>,
    wanted: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    if !wanted.topic_id.is_nil() {
        return match core.topics.by_id(wanted.topic_id) {
            Some(topic) => describe(core, &topic),
            None => missing(None, wanted.topic_id, ErrorCode::UnknownTopicId),
        };
    }
    let name = wanted.name.unwrap_or_default();
    if let Some(topic) = core.topics.by_name(&name) {
        return describe(core, &topic);
    }
    if topic_name::check(&name).is_err() {
        return missing(Some(name), Uuid::nil(), ErrorCode::InvalidTopicException);
    }
    if !may_create {
        return missing(Some(name), Uuid::nil(), ErrorCode::UnknownTopicOrPartition);
    }
    if topic_name::check_new(&name).is_err() {
        return missing(Some(name), Uuid::nil(), ErrorCode::InvalidTopicException);
    }
    let created = create_topic(core, new_topic(core, &name)).await;
    match (core.topics.by_name(&name), created) {
        (Some(topic), _) => describe(core, &topic),
        (None, Err((code, _))) => missing(Some(name), Uuid::nil(), code),
        (None, Ok(())) => missing(Some(name), Uuid::nil(), ErrorCode::LeaderNotAvailable),
    }
}

fn missing(name: Option<StrBytes>, topic_id: Uuid, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code,
        name,
        topic_id,
        ..Default::default()
    }
}

/// Whether clients should treat the topic as the broker's own. It is the name that tells, as in
/// Kafka.
fn is_internal(name: &str) -> bool {
    matches!(
        name,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}

fn describe(core: &Core, topic: &Topic) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: (0..topic.partition_count())
            .map(|index| {
                let place = Place::of(core, topic, index);
                MetadataResponsePartition {
                    error_code: place.error_code,
                    partition_index: place.index,
                    leader_id: place.leader,
                    leader_epoch: core.store.leader_epoch(),
                    replica_nodes: place.replicas,
                    isr_nodes: place.in_sync,
                    offline_replicas: place.offline,
                }
            })
            .collect(),
        ..Default::default()
    }
}

/// Who leads and who holds a partition: on one machine always this broker.
struct Place {
    index: i32,
    error_code: ErrorCode,
    leader: i32,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    offline: Vec<i32>,
}

impl Place {
    fn of(core: &Core, topic: &Topic, index: usize) -> Self {
        let node = core.config.node_id;
        let available = topic.is_available(index);
        let here = |is: bool| if is { vec![node] } else { Vec::new() };
        Self {
            index: i32::try_from(index).unwrap_or(i32::MAX),
            error_code: if available {
                ErrorCode::None
            } else {
                ErrorCode::LeaderNotAvailable
            },
            leader: if available { node } else { -1 },
            replicas: vec![node],
            in_sync: here(available),
            offline: here(!available),
        }
    }
}

pub(crate) fn describe_topic_partitions(
    core: &Arc<Core>,
    request: DescribeTopicPartitionsRequest,
) -> Response {
    let mut page = Page::new(request.response_partition_limit, request.cursor);
    let topics = if request.topics.is_empty() {
        let from = page.from.as_ref().map_or("", |cursor| &cursor.topic_name);
        core.topics
            .from(from, MAX_DESCRIBED_PARTITIONS + 1)
            .into_iter()
            .map(Ok)
            .collect()
    } else {
        requested(
            core,
            request.topics.into_iter().map(|topic| topic.name).collect(),
            &page,
        )
    };
    for topic in topics {
        if page.next.is_some() {
            break;
        }
        match topic {
            Ok(topic) => page.add(core, &topic),
            Err(missing) => page.topics.push(missing),
        }
    }
    Response::DescribeTopicPartitions(DescribeTopicPartitionsResponse {
        topics: page.topics,
        next_cursor: page.next,
        ..Default::default()
    })
}

type Described = Result<Arc<Topic>, DescribeTopicPartitionsResponseTopic>;

/// The topics asked for, in the order of their names, from the cursor on.
fn requested(core: &Core, mut names: Vec<StrBytes>, page: &Page) -> Vec<Described> {
    names.sort();
    names.dedup();
    if let Some(cursor) = &page.from {
        names.retain(|name| *name >= cursor.topic_name);
    }
    let find = |name: StrBytes| {
        core.topics
            .by_name(&name)
            .ok_or_else(|| DescribeTopicPartitionsResponseTopic {
                error_code: match topic_name::check(&name) {
                    Ok(()) => ErrorCode::UnknownTopicOrPartition,
                    Err(_) => ErrorCode::InvalidTopicException,
                },
                name: Some(name),
                ..Default::default()
            })
    };
    names.into_iter().map(find).collect()
}

/// One answer of DescribeTopicPartitions, filled up to its limit (KIP-966).
struct Page {
    from: Option<Cursor>,
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl Page {
    fn new(limit: i32, from: Option<Cursor>) -> Self {
        let left = usize::try_from(limit)
            .unwrap_or(0)
            .clamp(1, MAX_DESCRIBED_PARTITIONS);
        Self {
            from,
            left,
            topics: Vec::new(),
            next: None,
        }
    }

    fn add(&mut self, core: &Core, topic: &Topic) {
        let first = match &self.from {
            Some(cursor) if cursor.topic_name == topic.name => {
                usize::try_from(cursor.partition_index).unwrap_or(0)
            }
            _ => 0,
        };
        let end = topic.partition_count().min(first.saturating_add(self.left));
        if end < topic.partition_count() {
            self.next = Some(Cursor {
                topic_name: topic.name.clone(),
                partition_index: i32::try_from(end).unwrap_or(i32::MAX),
            });
        }
        if first >= end && self.next.is_some() {
            return;
        }
        self.left -= end.saturating_sub(first);
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: is_internal(&topic.name),
            partitions: (first..end)
                .map(|index| partition(core, topic, index))
                .collect(),
            topic_authorized_operations: operations::of_topic(true),
            ..Default::default()
        });
    }
}

fn partition(core: &Core, topic: &Topic, index: usize) -> DescribeTopicPartitionsResponsePartition {
    let place = Place::of(core, topic, index);
    DescribeTopicPartitionsResponsePartition {
        error_code: place.error_code,
        partition_index: place.index,
        leader_id: place.leader,
        leader_epoch: core.store.leader_epoch(),
        replica_nodes: place.replicas,
        isr_nodes: place.in_sync,
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: place.offline,
    }
}
