//! The workload of a broker: one request after the other, with what was asked and what was answered noted.

use std::sync::Arc;

use bytes::Bytes;
use ottla_broker::Broker;
use ottla_protocol::message::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, CreatableTopic,
    CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest, EndTxnRequest,
    HeartbeatTopicPartitions, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterableConfig, InitProducerIdRequest, JoinGroupRequest, JoinGroupRequestProtocol,
    JoinGroupResponse, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    PartitionProduceData, ProduceRequest, SyncGroupRequest, SyncGroupRequestAssignment,
    TopicProduceData, TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, ProducerIdentity};
use ottla_protocol::{ErrorCode, StrBytes};
use parking_lot::Mutex;
use uuid::Uuid;

use super::promises::{
    CLASSIC, CONSUMER, Fate, LOG, MEMBER, Promises, Rising, SALES, SELLERS, SETTING, SIMPLE,
};
use super::requests::{Client, refused};

/// Heartbeats until a member has come to the epoch of its group, at most.
const HEARTBEATS: usize = 4;

/// See the module.
pub(super) struct Work {
    promises: Arc<Mutex<Promises>>,
    client: Option<Client>,
    rounds: i64,
    log: Uuid,
    sales: Uuid,
    producer: ProducerIdentity,
    owned: Vec<HeartbeatTopicPartitions>,
}

impl Work {
    pub(super) fn new(promises: Arc<Mutex<Promises>>) -> Self {
        Self {
            promises,
            client: None,
            rounds: 0,
            log: Uuid::nil(),
            sales: Uuid::nil(),
            producer: ProducerIdentity::NONE,
            owned: Vec::new(),
        }
    }

    /// Goes to work with a broker that was just started.
    pub(super) async fn begin(&mut self, broker: &Broker) {
        self.client = Some(Client::of(broker));
        if self.rounds == 0 {
            self.log = self.create(LOG, 1).await;
            self.sales = self.create(SALES, 2).await;
        }
        let request = InitProducerIdRequest {
            transactional_id: Some("seller".into()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.error_code).expect("a producer");
        self.producer = ProducerIdentity {
            producer_id: answer.producer_id,
            producer_epoch: answer.producer_epoch,
            base_sequence: 0,
        };
    }

    /// A bit of everything.
    pub(super) async fn round(&mut self) {
        self.rounds += 1;
        let brief = format!("brief-{}", self.rounds);
        self.create(&brief, 1).await;
        for _ in 0..2 {
            self.note(|promises| promises.records.asked += 1);
            let records = batch(ProducerIdentity::NONE);
            self.produce(self.log, 0, None, records).await;
            self.note(|promises| promises.records.answered += 1);
        }
        self.commit(SIMPLE, StrBytes::new(), -1).await;
        self.join_classic().await;
        self.join_consumer().await;
        self.transact().await;
        self.alter().await;
        self.delete(&brief).await;
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("a broker")
    }

    fn note(&self, change: impl FnOnce(&mut Promises)) {
        change(&mut self.promises.lock());
    }

    fn fate(&self, topic: &str, fate: Fate) {
        self.promises.lock().topics.insert(topic.to_owned(), fate);
    }

    async fn create(&self, name: &str, num_partitions: i32) -> Uuid {
        self.fate(name, Fate::Open);
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.into(),
                num_partitions,
                replication_factor: 1,
                ..Default::default()
            }],
            timeout_ms: 10_000,
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.topics[0].error_code).expect("a topic");
        let id = answer.topics[0].topic_id;
        self.fate(name, Fate::There(id));
        id
    }

    async fn delete(&self, name: &str) {
        self.fate(name, Fate::Open);
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(name.into()),
                ..Default::default()
            }],
            timeout_ms: 10_000,
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.responses[0].error_code).expect("no topic any more");
        self.fate(name, Fate::Gone);
    }

    async fn produce(
        &self,
        topic: Uuid,
        index: i32,
        transactional_id: Option<&str>,
        records: Bytes,
    ) {
        let request = ProduceRequest {
            transactional_id: transactional_id.map(Into::into),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                topic_id: topic,
                partition_data: vec![PartitionProduceData {
                    index,
                    records: Some(records),
                }],
                ..Default::default()
            }],
        };
        let answer = self.client().ask(request).await.expect("an answer");
        let partition = &answer.responses[0].partition_responses[0];
        refused(partition.error_code).expect("an append");
    }

    /// Commits the number of the round.
    async fn commit(&self, group: &'static str, member_id: StrBytes, generation: i32) {
        let offset = self.rounds;
        self.note(|promises| promises.offsets.entry(group).or_default().asked = offset);
        let request = OffsetCommitRequest {
            group_id: group.into(),
            generation_id_or_member_epoch: generation,
            member_id,
            topics: vec![OffsetCommitRequestTopic {
                name: LOG.into(),
                topic_id: self.log,
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.topics[0].partitions[0].error_code).expect("a commit");
        self.note(|promises| promises.offsets.entry(group).or_default().answered = offset);
    }

    /// Joins, or joins again, and commits in the new generation.
    async fn join_classic(&self) {
        self.note(|promises| promises.generation.asked += 1);
        let mut member_id = self.promises.lock().classic.clone();
        let joined = loop {
            let joined = self.ask_to_join(&member_id).await;
            member_id.clone_from(&joined.member_id);
            if joined.error_code != ErrorCode::MemberIdRequired {
                break joined;
            }
        };
        refused(joined.error_code).expect("a generation");
        let request = SyncGroupRequest {
            group_id: CLASSIC.into(),
            generation_id: joined.generation_id,
            member_id: member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: member_id.clone(),
                assignment: Bytes::from_static(b"all"),
            }],
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.error_code).expect("an assignment");
        self.note(|promises| {
            promises.classic = member_id.clone();
            promises.generation = Rising {
                asked: joined.generation_id.into(),
                answered: joined.generation_id.into(),
            };
        });
        self.commit(CLASSIC, member_id, joined.generation_id).await;
    }

    async fn ask_to_join(&self, member_id: &StrBytes) -> JoinGroupResponse {
        // A protocol that is another one each time makes the leader's rejoin a new generation.
        let metadata = Bytes::from(self.rounds.to_be_bytes().to_vec());
        let request = JoinGroupRequest {
            group_id: CLASSIC.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: member_id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata,
            }],
            ..Default::default()
        };
        self.client().ask(request).await.expect("an answer")
    }

    /// One member stays and another comes and goes.
    async fn join_consumer(&mut self) {
        let guest = format!("guest-{}", self.rounds);
        // Every heartbeat may take the member further than it is told.
        self.note(|promises| promises.epoch.asked = i64::MAX);
        if self.rounds == 1 {
            self.beat(MEMBER, 0).await;
        }
        self.beat(&guest, 0).await;
        self.catch_up().await;
        let epoch = self.promises.lock().epoch.answered;
        let epoch = i32::try_from(epoch).expect("an epoch");
        self.commit(CONSUMER, MEMBER.into(), epoch).await;
        self.beat(&guest, -1).await;
        self.catch_up().await;
        self.note(|promises| promises.epoch.asked = promises.epoch.answered);
    }

    /// Heartbeats of the member that stays, until nothing changes.
    async fn catch_up(&mut self) {
        for _ in 0..HEARTBEATS {
            let epoch = self.promises.lock().epoch.answered;
            let epoch = i32::try_from(epoch).expect("an epoch");
            self.beat(MEMBER, epoch).await;
        }
    }

    async fn beat(&mut self, member: &str, epoch: i32) -> ConsumerGroupHeartbeatResponse {
        let stays = member == MEMBER;
        let owned = if stays {
            self.owned.clone()
        } else {
            Vec::new()
        };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: CONSUMER.into(),
            member_id: member.into(),
            member_epoch: epoch,
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(vec![LOG.into()]),
            topic_partitions: Some(owned),
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.error_code).expect("a heartbeat");
        if stays {
            if let Some(assignment) = &answer.assignment {
                self.owned.clone_from(&assignment.topic_partitions);
            }
            let owns = !self.owned.is_empty();
            self.note(|promises| {
                promises.epoch.answered = answer.member_epoch.into();
                promises.owns = owns;
            });
        }
        answer
    }

    /// A record in both partitions and an offset, committed together.
    async fn transact(&mut self) {
        self.note(|promises| promises.transactions.asked += 1);
        let number = self.promises.lock().transactions.asked;
        for partition in 0..2 {
            let records = batch(self.producer);
            self.produce(self.sales, partition, Some("seller"), records)
                .await;
        }
        let ProducerIdentity {
            producer_id,
            producer_epoch,
            ..
        } = self.producer;
        let request = TxnOffsetCommitRequest {
            transactional_id: "seller".into(),
            group_id: SELLERS.into(),
            producer_id,
            producer_epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: LOG.into(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: number,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.topics[0].partitions[0].error_code).expect("an offset");
        let request = EndTxnRequest {
            transactional_id: "seller".into(),
            producer_id,
            producer_epoch,
            committed: true,
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.error_code).expect("a commit");
        self.producer.producer_id = answer.producer_id;
        self.producer.producer_epoch = answer.producer_epoch;
        self.note(|promises| promises.transactions.answered += 1);
    }

    async fn alter(&self) {
        let value = 1_000_000 + self.rounds;
        self.note(|promises| promises.setting.asked = value);
        let request = IncrementalAlterConfigsRequest {
            resources: vec![IncrementalAlterConfigsResource {
                resource_type: 2,
                resource_name: LOG.into(),
                configs: vec![IncrementalAlterableConfig {
                    name: SETTING.into(),
                    config_operation: 0,
                    value: Some(value.to_string().as_str().into()),
                }],
            }],
            ..Default::default()
        };
        let answer = self.client().ask(request).await.expect("an answer");
        refused(answer.responses[0].error_code).expect("a setting");
        self.note(|promises| promises.setting.answered = value);
    }
}

fn batch(producer: ProducerIdentity) -> Bytes {
    let options = BatchOptions {
        producer,
        transactional: producer.producer_id >= 0,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).expect("no codec");
    let value = Bytes::from(vec![b'.'; 200]);
    let appended = builder.append(0, None, Some(&value), &[]);
    appended.expect("room");
    builder.build().expect("a batch")
}
