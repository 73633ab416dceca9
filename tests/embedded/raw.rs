//! Requests handed to a broker one by one, and those that most tests need.

use std::io;

use bytes::Bytes;
use ottla_broker::Broker;
use ottla_broker::env::SEEDED_START_MS;
use ottla_protocol::message::{
    CreatableTopic, CreateTopicsRequest, FetchPartition, FetchRequest, FetchTopic,
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, PartitionData,
    PartitionProduceData, ProduceRequest, RequestMessage, SyncGroupRequest,
    SyncGroupRequestAssignment, TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions};
use ottla_protocol::service::{Answer, Connection, Service};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

/// The newest version of an API.
pub(crate) fn newest<R: RequestMessage>() -> i16 {
    R::API_KEY.api().max
}

/// A connection without a client around it.
pub(crate) struct Raw(Box<dyn Connection>);

impl Raw {
    pub(crate) fn connect(service: &dyn Service) -> Self {
        Self(service.connect().unwrap())
    }

    pub(crate) fn to(broker: &Broker) -> Self {
        Self::connect(&broker.in_process())
    }

    /// Hands a request over in the newest version; the answer waits.
    pub(crate) fn send<R: RequestMessage>(&self, request: R) -> Answer {
        let client_id = StrBytes::from_static("raw");
        self.0.call(request.into(), newest::<R>(), &client_id)
    }

    pub(crate) async fn try_call<R: RequestMessage>(&self, request: R) -> io::Result<R::Response> {
        let response = self.send(request).await?.expect("an answer");
        Ok(R::Response::try_from(response).expect("an answer of the same API"))
    }

    pub(crate) async fn call<R: RequestMessage>(&self, request: R) -> R::Response {
        self.try_call(request).await.unwrap()
    }

    /// Makes a topic of one partition.
    pub(crate) async fn create_topic(&self, name: &str) -> Uuid {
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.call(request).await;
        assert_eq!(response.topics[0].error_code, ErrorCode::None);
        response.topics[0].topic_id
    }

    /// What a fetch of the topic's only partition gives.
    pub(crate) async fn fetch(&self, topic: Uuid, offset: i64) -> PartitionData {
        let mut response = self.call(fetch(topic, offset, 0)).await;
        response.responses.remove(0).partitions.remove(0)
    }

    pub(crate) async fn join(&self, member_id: &StrBytes) -> JoinGroupResponse {
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            member_id: member_id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.call(request).await
    }

    /// Takes part in a group, from the first JoinGroup to the assignment.
    pub(crate) async fn become_member(&self) -> JoinGroupResponse {
        let refused = self.join(&StrBytes::new()).await;
        assert_eq!(refused.error_code, ErrorCode::MemberIdRequired);
        let joined = self.join(&refused.member_id).await;
        assert_eq!(joined.error_code, ErrorCode::None);
        self.sync(&joined).await;
        joined
    }

    /// Takes part in a generation; the leader gives everything to itself.
    pub(crate) async fn sync(&self, joined: &JoinGroupResponse) {
        let assignment = SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"everything"),
        };
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![assignment],
            ..Default::default()
        };
        let answer = self.call(request).await;
        assert_eq!(answer.error_code, ErrorCode::None);
    }

    pub(crate) async fn heartbeat(&self, joined: &JoinGroupResponse) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        self.call(request).await.error_code
    }
}

const GROUP: &str = "group";

/// Records for the only partition of a topic, with all acks.
pub(crate) fn produce(topic: Uuid, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            topic_id: topic,
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Asks for at least one byte of the only partition of a topic.
pub(crate) fn fetch(topic: Uuid, offset: i64, max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic_id: topic,
            partitions: vec![FetchPartition {
                partition: 0,
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A batch of one record, made when a seeded broker starts.
pub(crate) fn batch(value: &[u8]) -> Bytes {
    batch_at(0, value)
}

/// A batch of one record, made so many milliseconds after a seeded broker starts.
pub(crate) fn batch_at(after_ms: i64, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let timestamp = SEEDED_START_MS + after_ms;
    builder.append(timestamp, None, Some(value), &[]).unwrap();
    builder.build().unwrap()
}
