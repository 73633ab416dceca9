//! A transactional loop: it reads records, writes copies, and commits both or neither.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ottla_broker::env::SEEDED_START_MS;
use ottla_protocol::message::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    InitProducerIdRequest, OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
    PartitionProduceData, ProduceRequest, TopicProduceData, TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, ProducerIdentity};
use ottla_protocol::{ErrorCode, StrBytes};
use tokio::time::sleep;

use crate::history::{Event, Moment, Place};
use crate::link::{Found, Link, Lost, read, value};
use crate::world::{COPIES, ORDERS, PUMP, World};

const TRANSACTIONAL_ID: &str = "pump";
/// After this a transaction is aborted.
const TIMEOUT_MS: i32 = 8_000;
const PARTITIONS: i32 = 2;

/// Why a transaction did not come to its end.
enum Failure {
    /// It may be tried again, as a new instance.
    Again,
    /// Another instance has taken over.
    Fenced,
}

impl From<Lost> for Failure {
    fn from(_: Lost) -> Self {
        Self::Again
    }
}

struct Pump {
    world: World,
    link: Link,
    /// Whether requests add to transactions by themselves (KIP-890).
    implicit: bool,
    instance: u32,
    /// The producer id and epoch that this instance began with.
    initialised: (i64, i16),
    /// Those of its next request.
    producer: (i64, i16),
    sequences: BTreeMap<i32, i32>,
    positions: BTreeMap<i32, i64>,
    output: u32,
}

/// Copies until everything is copied, or another instance has taken over.
pub(crate) async fn run(world: World, implicit: bool) {
    let link = world.link("pump");
    let output = world.number();
    let mut pump = Pump {
        world,
        link,
        implicit,
        instance: 0,
        initialised: (-1, -1),
        producer: (-1, -1),
        sequences: BTreeMap::new(),
        positions: BTreeMap::new(),
        output,
    };
    loop {
        match pump.live().await {
            Ok(()) => {
                pump.world.complete(COPIES);
                return;
            }
            Err(Failure::Fenced) if pump.is_replaced() => return,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The committed offset of a group, 0 if there is none.
pub(crate) async fn fetch_offsets(
    world: &World,
    link: &mut Link,
    group: &'static str,
    place: Place,
    require_stable: bool,
) -> Result<i64, Lost> {
    let topic = OffsetFetchRequestTopics {
        name: place.topic.into(),
        topic_id: world.topic_id(place.topic),
        partition_indexes: vec![place.partition],
    };
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![topic]),
            ..Default::default()
        }],
        require_stable,
        ..Default::default()
    };
    let asked = world.history.now();
    let answer = link.ask(request).await?;
    let group_answer = answer.groups.first().ok_or(Lost)?;
    let topic = group_answer.topics.first().ok_or(Lost)?;
    let partition = topic.partitions.first().ok_or(Lost)?;
    if group_answer.error_code != ErrorCode::None || partition.error_code != ErrorCode::None {
        return Err(Lost);
    }
    let offset = partition.committed_offset.max(0);
    world.history.add(Event::Fetched {
        group,
        place,
        offset,
        asked,
    });
    Ok(offset)
}

impl Pump {
    fn is_replaced(&self) -> bool {
        self.world.instance.load(Ordering::Relaxed) > self.instance
    }

    /// One instance, until it fails or all is done.
    async fn live(&mut self) -> Result<(), Failure> {
        self.initialise().await?;
        for partition in 0..PARTITIONS {
            let place = Place {
                topic: ORDERS,
                partition,
            };
            let (world, link) = (&self.world, &mut self.link);
            let position = fetch_offsets(world, link, PUMP, place, true).await?;
            self.positions.insert(partition, position);
        }
        loop {
            if self.transaction().await? == 0 {
                if self.world.is_complete(ORDERS) {
                    return Ok(());
                }
                self.world.pause(800).await;
            }
        }
    }

    async fn initialise(&mut self) -> Result<(), Failure> {
        let request = InitProducerIdRequest {
            transactional_id: Some(TRANSACTIONAL_ID.into()),
            transaction_timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let answer = self.link.ask(request).await?;
        self.check(answer.error_code)?;
        self.instance = self.world.instance.fetch_add(1, Ordering::Relaxed) + 1;
        self.initialised = (answer.producer_id, answer.producer_epoch);
        self.producer = self.initialised;
        self.world.history.add(Event::Initialised {
            producer: self.initialised,
        });
        self.sequences.clear();
        Ok(())
    }

    fn check(&self, code: ErrorCode) -> Result<(), Failure> {
        match code {
            ErrorCode::None => Ok(()),
            ErrorCode::InvalidProducerEpoch | ErrorCode::ProducerFenced => Err(Failure::Fenced),
            _ => Err(Failure::Again),
        }
    }

    fn accepted(&self, asked: Moment) {
        self.world.history.add(Event::Accepted {
            producer: self.initialised,
            asked,
        });
    }

    /// Copies some records; answers how many.
    async fn transaction(&mut self) -> Result<usize, Failure> {
        let transaction = self.world.number();
        let mut copied = 0;
        let mut positions = self.positions.clone();
        for partition in 0..PARTITIONS {
            let at = positions.entry(partition).or_default();
            let topic = self.world.topic_id(ORDERS);
            let data = self
                .link
                .fetch(topic, partition, *at, true, 500, 200)
                .await?;
            self.check(data.error_code)?;
            let (found, next) = read(&data, *at);
            if found.is_empty() {
                continue;
            }
            self.write(&found, transaction).await?;
            copied += found.len();
            *at = next;
        }
        if copied == 0 {
            return Ok(0);
        }
        if self.world.chance(5) && !self.world.is_calm() {
            // Sometimes so long that the transaction is aborted, or another instance takes over.
            self.world.pause(20_000).await;
        }
        self.commit_offsets(&positions).await?;
        let committed = !self.world.chance(15);
        self.end(transaction, committed).await?;
        if committed {
            self.positions = positions;
        }
        Ok(copied)
    }

    async fn write(&mut self, found: &[Found], transaction: u32) -> Result<(), Failure> {
        let mut by_partition: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
        for found in found {
            let partition = if found.id % 2 == 0 { 0 } else { 1 };
            by_partition.entry(partition).or_default().push(found.id);
        }
        for (partition, ids) in by_partition {
            if !self.implicit {
                self.add_partition(partition).await?;
            }
            let place = Place {
                topic: COPIES,
                partition,
            };
            for id in &ids {
                self.world.history.add(Event::Sent {
                    producer: self.output,
                    once: false,
                    place,
                    id: *id,
                });
            }
            let records = self.batch(partition, &ids, transaction);
            let asked = self.world.history.now();
            let base = match self.produce(partition, records.clone()).await {
                // Once more the same: it is written once.
                Err(Failure::Again) if self.world.chance(60) => {
                    self.produce(partition, records).await?
                }
                other => other?,
            };
            self.accepted(asked);
            for (offset, id) in (base..).zip(ids) {
                self.world
                    .history
                    .add(Event::Acknowledged { place, offset, id });
            }
        }
        Ok(())
    }

    fn batch(&mut self, partition: i32, ids: &[u64], transaction: u32) -> Bytes {
        let sequence = self.sequences.entry(partition).or_default();
        let options = BatchOptions {
            producer: ProducerIdentity {
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                base_sequence: *sequence,
            },
            transactional: true,
            ..BatchOptions::default()
        };
        *sequence += i32::try_from(ids.len()).expect("a small batch");
        let mut builder = BatchBuilder::new(options).expect("a builder");
        for id in ids {
            let value = value(*id, transaction, 30);
            let appended = builder.append(SEEDED_START_MS, None, Some(&value), &[]);
            appended.expect("room");
        }
        builder.build().expect("a batch")
    }

    async fn add_partition(&mut self, partition: i32) -> Result<(), Failure> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: TRANSACTIONAL_ID.into(),
            v3_and_below_producer_id: self.producer.0,
            v3_and_below_producer_epoch: self.producer.1,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: COPIES.into(),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let asked = self.world.history.now();
        let answer = self.link.ask_in(3, request).await?;
        let topic = answer.results_by_topic_v3_and_below.first().ok_or(Lost)?;
        let partition = topic.results_by_partition.first().ok_or(Lost)?;
        self.check(partition.partition_error_code)?;
        self.accepted(asked);
        Ok(())
    }

    /// Answers the offset of the first record.
    async fn produce(&mut self, partition: i32, records: Bytes) -> Result<i64, Failure> {
        let request = ProduceRequest {
            transactional_id: Some(TRANSACTIONAL_ID.into()),
            acks: -1,
            timeout_ms: 2_000,
            topic_data: vec![TopicProduceData {
                name: COPIES.into(),
                topic_id: self.world.topic_id(COPIES),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(records),
                }],
            }],
        };
        let version = if self.implicit { 13 } else { 11 };
        let answer = self.link.ask_in(version, request).await?;
        let topic = answer.responses.first().ok_or(Lost)?;
        let partition = topic.partition_responses.first().ok_or(Lost)?;
        self.check(partition.error_code)?;
        Ok(partition.base_offset)
    }

    async fn commit_offsets(&mut self, positions: &BTreeMap<i32, i64>) -> Result<(), Failure> {
        if !self.implicit {
            let request = AddOffsetsToTxnRequest {
                transactional_id: TRANSACTIONAL_ID.into(),
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                group_id: PUMP.into(),
            };
            let asked = self.world.history.now();
            let answer = self.link.ask_in(3, request).await?;
            self.check(answer.error_code)?;
            self.accepted(asked);
        }
        let partition = |(partition, offset): (&i32, &i64)| TxnOffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: TRANSACTIONAL_ID.into(),
            group_id: PUMP.into(),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            member_id: StrBytes::new(),
            topics: vec![TxnOffsetCommitRequestTopic {
                name: ORDERS.into(),
                partitions: positions.iter().map(partition).collect(),
            }],
            ..Default::default()
        };
        let version = if self.implicit { 5 } else { 4 };
        let asked = self.world.history.now();
        let answer = self.link.ask_in(version, request).await?;
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            self.check(partition.error_code)?;
        }
        self.accepted(asked);
        Ok(())
    }

    async fn end(&mut self, transaction: u32, committed: bool) -> Result<(), Failure> {
        let version = if self.implicit { 5 } else { 4 };
        for _ in 0..4 {
            let request = EndTxnRequest {
                transactional_id: TRANSACTIONAL_ID.into(),
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                committed,
            };
            let asked = self.world.history.now();
            let Ok(answer) = self.link.ask_in(version, request).await else {
                sleep(Duration::from_millis(200)).await;
                continue;
            };
            if answer.error_code.is_retriable() {
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            self.check(answer.error_code)?;
            self.accepted(asked);
            self.world.history.add(Event::Ended {
                transaction,
                committed,
            });
            if self.implicit {
                self.producer = (answer.producer_id, answer.producer_epoch);
                self.sequences.clear();
            }
            return Ok(());
        }
        Err(Failure::Again)
    }
}
