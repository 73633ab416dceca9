//! The Rust client's consumer and its transactions: what is made of the records it was given and the offsets after them
//! count together.

use std::time::Duration;

use ottla_client::config::IsolationLevel;
use ottla_client::consumer::{Event as Happened, Records, SeekTo};
use ottla_client::{Client, Consumer, Error, Producer, ProducerRecord, Transaction};
use tokio::time::timeout;

use crate::history::{Event, Place};
use crate::link::{found, value};
use crate::workload::consumer::settings;
use crate::world::{BOOKKEEPERS, BOOKS, ORDERS, World};

struct Keeper {
    world: World,
    client: Client,
    name: &'static str,
    number: u32,
    producer: Producer,
    consumer: Consumer,
}

/// Copies until everything is copied.
pub(crate) async fn keep(world: World, name: &'static str) {
    let settings_of_client = [
        ("client.id", name),
        ("request.timeout.ms", "3000"),
        ("transaction.timeout.ms", "8000"),
        ("max.block.ms", "20000"),
        ("delivery.timeout.ms", "20000"),
    ];
    let client = Client::builder()
        .in_process(world.service())
        .seed(world.below(u64::MAX))
        .properties(settings_of_client)
        .expect("settings");
    let Ok(client) = client.connect().await else {
        return world.broke(format_args!("{name} could not connect"));
    };
    let new_protocol = world.chance(40);
    let consumer = client.consumer(BOOKKEEPERS).with(|config| {
        let committed = IsolationLevel::ReadCommitted;
        settings(config, new_protocol).isolation_level(committed)
    });
    let consumer = consumer.subscribe([ORDERS]).build().await;
    let mut keeper = Keeper {
        producer: producer(&world, &client, name).await,
        number: world.number(),
        consumer: consumer.expect("a consumer"),
        world,
        client,
        name,
    };
    keeper.consume().await;
    let closed = keeper.consumer.close(Duration::from_secs(30)).await;
    if let Err(error) = closed {
        keeper.world.history.tell(error.to_string());
    }
}

/// A producer that has taken over from the one before.
async fn producer(world: &World, client: &Client, name: &'static str) -> Producer {
    loop {
        match client.producer().transactional_id(name).build().await {
            Ok(producer) => return producer,
            Err(error) => world.history.tell(error.to_string()),
        }
        world.pause(1_000).await;
    }
}

impl Keeper {
    async fn consume(&mut self) {
        loop {
            let wait = Duration::from_millis(500);
            match timeout(wait, self.consumer.next_event()).await {
                Ok(Ok(Happened::Records(records))) => self.copy(&records).await,
                Ok(Ok(Happened::Revoking(revoking))) => revoking.done(),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    return self.world.broke(format_args!("{}: {error}", self.name));
                }
                Err(_) => {
                    if self.world.is_complete(ORDERS) && self.is_at_end() {
                        return self.world.complete(BOOKS);
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

    /// One transaction; what does not count is read again.
    async fn copy(&mut self, records: &Records) {
        let number = self.world.number();
        let copied = match self.producer.begin_transaction().await {
            Ok(mut transaction) => self.transact(&mut transaction, number, records).await,
            Err(error) => Err(error),
        };
        let Err(error) = copied else {
            self.consumer.ack(records);
            return;
        };
        self.world.history.tell(error.to_string());
        self.world.pause(200).await;
        if !error.is_abortable() {
            self.producer = producer(&self.world, &self.client, self.name).await;
        }
        // It may have been taken away meanwhile.
        let _ = self.consumer.seek(records.partition(), SeekTo::Committed);
    }

    async fn transact(
        &self,
        transaction: &mut Transaction,
        number: u32,
        records: &Records,
    ) -> Result<(), Error> {
        let written = self.write(transaction, number, records).await;
        let wanted = written.is_ok() && !self.world.chance(15);
        if wanted {
            transaction.commit().await?;
        } else {
            transaction.abort().await?;
        }
        self.world.history.add(Event::Ended {
            transaction: number,
            committed: wanted,
        });
        written?;
        if wanted {
            Ok(())
        } else {
            Err(Error::Abortable("it was not wanted".to_owned()))
        }
    }

    async fn write(
        &self,
        transaction: &Transaction,
        number: u32,
        records: &Records,
    ) -> Result<(), Error> {
        let Some(group) = self.consumer.group_metadata() else {
            return Err(Error::Abortable("no member of the group".to_owned()));
        };
        for record in records.iter() {
            let id = found(record).id;
            let place = Place {
                topic: BOOKS,
                partition: i32::from(!id.is_multiple_of(3)),
            };
            self.world.history.add(Event::Sent {
                producer: self.number,
                once: false,
                place,
                id,
            });
            let copy = ProducerRecord::new(BOOKS)
                .partition(place.partition)
                .value(value(id, number, 20));
            let delivery = transaction.enqueue(copy).await?;
            let history = self.world.history.clone();
            tokio::spawn(async move {
                if let Ok(written) = delivery.await
                    && let Some(offset) = written.offset
                {
                    history.add(Event::Acknowledged { place, offset, id });
                }
            });
        }
        if self.world.chance(4) && !self.world.is_calm() {
            // So long that the transaction is aborted.
            self.world.pause(20_000).await;
        }
        let offsets = [(records.partition().clone(), records.next())].into();
        transaction.send_offsets(offsets, &group).await
    }
}
