//! A topic that is made, written, deleted and made again; the last one stays.

use std::time::Duration;

use ottla_broker::env::SEEDED_START_MS;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    CreatableTopic, CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest, MetadataRequest,
    MetadataRequestTopic, PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions};
use tokio::time::sleep;
use uuid::Uuid;

use crate::history::{Event, Place};
use crate::link::{Link, Lost, value};
use crate::world::World;

/// What the topic is called.
const NAME: &str = "brief";
/// What one topic of that name after the other is called here.
const LIVES: [&str; 3] = ["brief 1", "brief 2", "brief 3"];
const BACKOFF: Duration = Duration::from_millis(200);

struct Brief {
    world: World,
    link: Link,
    producer: u32,
    /// How many records were sent.
    sent: u32,
}

/// Goes through some lives of the topic.
pub(crate) async fn live(world: World) {
    let lives = 1 + usize::try_from(world.below(3)).expect("a number");
    let mut brief = Brief {
        link: world.link("brief"),
        producer: world.number(),
        sent: 0,
        world,
    };
    for (life, topic) in (1..).zip(&LIVES[..lives]) {
        let id = brief.create().await;
        let place = Place {
            topic,
            partition: 0,
        };
        for _ in 0..brief.world.below(6) {
            brief.write(place, id).await;
        }
        brief.world.pause(1_500).await;
        if life == lives {
            return brief.world.stays(place, id);
        }
        brief.delete().await;
        brief.world.is_gone(id);
    }
}

impl Brief {
    /// Makes the topic, or finds that an attempt of which nothing was heard has made it.
    async fn create(&mut self) -> Uuid {
        loop {
            match self.try_create().await {
                Ok(Some(id)) => return id,
                Ok(None) => {
                    if let Ok(Some(id)) = self.find().await {
                        return id;
                    }
                }
                Err(Lost) => {}
            }
            sleep(BACKOFF).await;
        }
    }

    async fn try_create(&mut self) -> Result<Option<Uuid>, Lost> {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: NAME.into(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            }],
            timeout_ms: 5_000,
            ..Default::default()
        };
        let answer = self.link.ask(request).await?;
        let topic = answer.topics.first().ok_or(Lost)?;
        Ok((topic.error_code == ErrorCode::None).then_some(topic.topic_id))
    }

    async fn find(&mut self) -> Result<Option<Uuid>, Lost> {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(NAME.into()),
                ..Default::default()
            }]),
            ..Default::default()
        };
        let answer = self.link.ask(request).await?;
        let topic = answer.topics.first().ok_or(Lost)?;
        Ok((topic.error_code == ErrorCode::None).then_some(topic.topic_id))
    }

    /// Writes a record, once or more often, until it is acknowledged.
    async fn write(&mut self, place: Place, topic_id: Uuid) {
        let id = u64::from(self.producer) << 32 | u64::from(self.sent);
        self.sent += 1;
        self.world.history.add(Event::Sent {
            producer: self.producer,
            once: false,
            place,
            id,
        });
        loop {
            match self.try_write(topic_id, id).await {
                Ok((ErrorCode::None, offset)) => {
                    let acknowledged = Event::Acknowledged { place, offset, id };
                    return self.world.history.add(acknowledged);
                }
                Ok((ErrorCode::UnknownTopicId, _)) => {
                    return self.world.broke("a topic that was made is not there");
                }
                _ => sleep(BACKOFF).await,
            }
        }
    }

    async fn try_write(&mut self, topic_id: Uuid, id: u64) -> Result<(ErrorCode, i64), Lost> {
        let mut builder = BatchBuilder::new(BatchOptions::default()).expect("a builder");
        let appended = builder.append(SEEDED_START_MS, None, Some(&value(id, 0, 100)), &[]);
        appended.expect("room");
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 2_000,
            topic_data: vec![TopicProduceData {
                topic_id,
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(builder.build().expect("a batch")),
                }],
                ..Default::default()
            }],
        };
        let answer = self.link.ask(request).await?;
        let topic = answer.responses.first().ok_or(Lost)?;
        let partition = topic.partition_responses.first().ok_or(Lost)?;
        Ok((partition.error_code, partition.base_offset))
    }

    /// Deletes the topic, or finds that an attempt of which nothing was heard has deleted it.
    async fn delete(&mut self) {
        loop {
            let request = DeleteTopicsRequest {
                topics: vec![DeleteTopicState {
                    name: Some(NAME.into()),
                    ..Default::default()
                }],
                timeout_ms: 5_000,
                ..Default::default()
            };
            if let Ok(answer) = self.link.ask(request).await
                && let Some(topic) = answer.responses.first()
                && matches!(
                    topic.error_code,
                    ErrorCode::None | ErrorCode::UnknownTopicOrPartition
                )
            {
                return;
            }
            sleep(BACKOFF).await;
        }
    }
}
