//! The Rust client's consumer as a member of a group.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_client::config::{AutoOffsetReset, ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{Consumer, Event as Happened, Records};
use ottla_client::{Client, TopicPartition};
use tokio::time::timeout;

use crate::history::{Event, Moment, Place};
use crate::link::found;
use crate::world::{LIBRARY, ORDERS, World};

struct Member {
    world: World,
    consumer: Consumer,
    /// When each partition was given, and who reads it since.
    given: BTreeMap<i32, (Moment, Option<u32>)>,
    /// What may be committed of each partition.
    next: BTreeMap<i32, i64>,
}

/// Settings of the one or the other group protocol; a group changes its protocol with its members.
pub(super) fn settings(config: ConsumerConfig, new_protocol: bool) -> ConsumerConfig {
    let config = config
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(false)
        .fetch_max_wait(Duration::from_secs(1))
        .max_poll_records(4_usize);
    if new_protocol {
        config.group_protocol(GroupProtocol::Consumer)
    } else {
        config
            .session_timeout(Duration::from_secs(6))
            .heartbeat_interval(Duration::from_secs(1))
    }
}

/// Takes part until everything is read and committed.
pub(crate) async fn take_part(world: World) {
    // Longer than any request is late: as in Kafka, one that is repeated and comes late after all
    // would undo later commits.
    let settings_of_client = [("client.id", "consumer"), ("request.timeout.ms", "60000")];
    let client = Client::builder()
        .in_process(world.service())
        .seed(world.below(u64::MAX))
        .properties(settings_of_client)
        .expect("settings");
    let Ok(client) = client.connect().await else {
        return world.broke("a consumer could not connect");
    };
    let new_protocol = world.chance(40);
    let builder = client.consumer(LIBRARY);
    let builder = builder.with(|config| settings(config, new_protocol));
    let builder = builder.subscribe([ORDERS]);
    let consumer = builder.build().await.expect("a consumer");
    let mut member = Member {
        world,
        consumer,
        given: BTreeMap::new(),
        next: BTreeMap::new(),
    };
    member.consume().await;
    let closed = member.consumer.close(Duration::from_secs(30)).await;
    if let Err(error) = closed {
        member.world.history.tell(error.to_string());
    }
}

impl Member {
    async fn consume(&mut self) {
        loop {
            let wait = Duration::from_millis(500);
            match timeout(wait, self.consumer.next_event()).await {
                Ok(Ok(Happened::Records(records))) => self.read(&records).await,
                Ok(Ok(Happened::Assigned(partitions))) => {
                    let now = self.world.history.now();
                    for given in partitions {
                        self.given.insert(given.partition, (now, None));
                    }
                }
                Ok(Ok(Happened::Revoking(revoking))) => {
                    self.forget(revoking.partitions());
                    revoking.done();
                }
                Ok(Ok(Happened::Lost(partitions))) => self.forget(&partitions),
                Ok(Ok(Happened::PollIntervalExceeded)) => {}
                Ok(Err(error)) => return self.world.broke(format_args!("a consumer: {error}")),
                Err(_) => {
                    if self.world.is_complete(ORDERS) && self.is_at_end() && self.commit().await {
                        return;
                    }
                }
            }
        }
    }

    fn is_at_end(&self) -> bool {
        let assignment = self.consumer.assignment();
        assignment
            .iter()
            .all(|partition| self.consumer.lag(partition) == Some(0))
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for gone in partitions {
            self.given.remove(&gone.partition);
            self.next.remove(&gone.partition);
        }
    }

    async fn read(&mut self, records: &Records) {
        let partition = records.partition().partition;
        let history = &self.world.history;
        let place = Place {
            topic: ORDERS,
            partition,
        };
        let Some((asked, reader)) = self.given.get_mut(&partition) else {
            return self
                .world
                .broke(format_args!("records of {place:?}, which was not given"));
        };
        let found: Vec<_> = records.iter().map(found).collect();
        let reader = *reader.get_or_insert_with(|| {
            let (reader, offset) = (self.world.number(), found[0].offset);
            history.add(Event::Fetched {
                group: LIBRARY,
                place,
                offset,
                asked: *asked,
            });
            history.add(Event::ReadFrom {
                reader,
                committed: false,
                place,
                offset,
            });
            reader
        });
        for found in found {
            let (offset, id) = (found.offset, found.id);
            history.add(Event::Read { reader, offset, id });
        }
        self.consumer.ack(records);
        self.next.insert(partition, records.next().offset);
        if self.world.chance(40) {
            self.commit().await;
        }
        if self.world.chance(3) && !self.world.is_calm() {
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
    }

    /// Commits what was read; whether all of it is committed.
    async fn commit(&mut self) -> bool {
        let next = self.next.clone();
        if let Err(error) = self.consumer.commit().await {
            self.world.history.tell(error.to_string());
            return false;
        }
        for (partition, offset) in next {
            let place = Place {
                topic: ORDERS,
                partition,
            };
            self.world.history.add(Event::Committed {
                group: LIBRARY,
                generation: -1,
                place,
                offset,
                asked: 0,
            });
        }
        true
    }
}
