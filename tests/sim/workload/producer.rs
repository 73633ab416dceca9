//! The Rust client's producer, with and without idempotence.

use ottla_client::{Client, ProducerRecord};

use crate::history::{Event, Place};
use crate::link::value;
use crate::world::World;

/// Sends `count` records to the partitions of `topic` and waits for all outcomes.
pub(crate) async fn produce(
    world: World,
    topic: &'static str,
    partitions: i32,
    once: bool,
    count: u64,
) {
    let producer_number = world.number();
    let settings = [
        ("client.id", format!("producer-{topic}")),
        ("enable.idempotence", once.to_string()),
        ("acks", "all".to_owned()),
        ("linger.ms", world.below(20).to_string()),
        ("batch.size", (100 + world.below(900)).to_string()),
        ("request.timeout.ms", "2000".to_owned()),
        ("delivery.timeout.ms", "120000".to_owned()),
        (
            "max.in.flight.requests.per.connection",
            (1 + world.below(5)).to_string(),
        ),
    ];
    let client = Client::builder()
        .in_process(world.service())
        .seed(world.below(u64::MAX))
        .properties(settings)
        .expect("settings");
    let Ok(client) = client.connect().await else {
        return world.broke(format!("the producer of {topic} could not connect"));
    };
    let producer = client.producer().build().await.expect("a producer");
    let mut outcomes = Vec::new();
    for number in 0..count {
        let id = u64::from(producer_number) << 32 | number;
        let at = world.below(partitions.unsigned_abs().into());
        let partition = i32::try_from(at).expect("a partition");
        let place = Place { topic, partition };
        let filling = usize::try_from(world.below(120)).expect("a length");
        let record = ProducerRecord::new(topic)
            .partition(partition)
            .value(value(id, 0, filling));
        world.history.add(Event::Sent {
            producer: producer_number,
            once,
            place,
            id,
        });
        match producer.enqueue(record).await {
            Ok(delivery) => {
                let history = world.history.clone();
                outcomes.push(tokio::spawn(async move {
                    if let Ok(written) = delivery.await
                        && let Some(offset) = written.offset
                    {
                        history.add(Event::Acknowledged { place, offset, id });
                    }
                }));
            }
            Err(error) => world.history.tell(error.to_string()),
        }
        if world.chance(30) {
            world.pause(200).await;
        }
    }
    for outcome in outcomes {
        outcome.await.expect("an outcome");
    }
    world.complete(topic);
}
