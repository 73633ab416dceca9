use ottla_client::Error;
use ottla_client::config::GroupProtocol;
use ottla_client::consumer::{Acknowledged, Event};
use tokio::time::{Instant, sleep};

use super::{World, assigned, drain, event, holds, partitions, records, seconds, value};
use crate::stage::with_each_protocol;

with_each_protocol! {
    #[tokio::test(start_paused = true)]
    a_member_stuck_in_its_handler_is_replaced_while_the_rest_goes_on,
    explicit_offsets_of_a_lost_partition_are_fenced_at_once,
    an_idle_consumer_stays_a_member,
    a_paused_consumer_stays_a_member,
    acknowledging_part_of_what_was_handed_out_is_progress,
    an_extension_holds_the_interval_open_up_to_its_cap,
    a_slow_application_stops_fetching_and_not_heartbeating,
}

const INTERVAL: u64 = 300;

async fn a_member_stuck_in_its_handler_is_replaced_while_the_rest_goes_on(protocol: GroupProtocol) {
    let world = World::of(protocol, 2).await;
    let mut stuck = world.start().await;
    assert_eq!(assigned(&mut stuck).await.len(), 2);
    let mut other = drain(world.start().await);
    let mine = holds(&mut stuck, 1).await;
    let (mine, theirs) = (mine[0].partition, 1 - mine[0].partition);
    world.produce(mine, 0..1).await;
    let batch = records(&mut stuck).await;
    let start = Instant::now();

    // Stuck. The other one goes on at once.
    for number in 10..20 {
        world.produce(theirs, number..number + 1).await;
        assert_eq!(other.recv().await, Some(number));
    }
    assert!(start.elapsed() < seconds(10));
    // What the stuck one was handed comes to the other within the interval.
    assert_eq!(other.recv().await, Some(0));
    let elapsed = start.elapsed();
    assert!(
        elapsed >= seconds(INTERVAL) && elapsed < seconds(INTERVAL + 10),
        "{elapsed:?}"
    );

    // Back from its handler, the member learns what happened, and nothing is lost silently.
    assert_eq!(stuck.ack(&batch), Acknowledged::Fenced);
    assert!(matches!(stuck.commit().await, Err(Error::Fenced(_))));
    assert!(matches!(
        event(&mut stuck).await,
        Event::PollIntervalExceeded
    ));
    let Event::Lost(lost) = event(&mut stuck).await else {
        panic!("not lost");
    };
    assert_eq!(lost, partitions([mine]));
    assert_eq!(assigned(&mut stuck).await.len(), 1);
}

async fn explicit_offsets_of_a_lost_partition_are_fenced_at_once(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let mut consumer = world.start().await;
    world.produce(0, 0..1).await;
    let batch = records(&mut consumer).await;
    sleep(seconds(INTERVAL + 1)).await;
    let offsets = [(batch.partition().clone(), batch.next())].into();
    let refused = consumer.commit_offsets(offsets).await;
    assert!(matches!(refused, Err(Error::Fenced(_))), "{refused:?}");
}

async fn an_idle_consumer_stays_a_member(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let mut consumer = world.start().await;
    world.produce(0, 0..1).await;
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    let before = consumer.group_metadata().unwrap();
    sleep(seconds(3600)).await;
    assert_eq!(consumer.group_metadata().unwrap(), before);
    world.produce(0, 1..2).await;
    assert_eq!(
        value(&records(&mut consumer).await.into_iter().next().unwrap()),
        1
    );
}

async fn a_paused_consumer_stays_a_member(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let mut consumer = world.start().await;
    world.produce(0, 0..1).await;
    let batch = records(&mut consumer).await;
    consumer.pause(&partitions([0])).unwrap();
    let before = consumer.group_metadata().unwrap();
    sleep(seconds(3600)).await;
    consumer.resume(&partitions([0])).unwrap();
    assert_eq!(consumer.ack(&batch), Acknowledged::Taken);
    consumer.commit().await.unwrap();
    assert_eq!(consumer.group_metadata().unwrap(), before);
}

async fn acknowledging_part_of_what_was_handed_out_is_progress(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..3).await;
    let mut consumer = world.start().await;
    let mut batches = Vec::new();
    while batches
        .iter()
        .map(|batch: &ottla_client::consumer::Records| batch.len())
        .sum::<usize>()
        < 3
    {
        batches.push(records(&mut consumer).await);
    }
    for batch in &batches {
        for record in batch {
            sleep(seconds(INTERVAL - 1)).await;
            let done = consumer.ack_before(batch, record.offset + 1);
            assert_eq!(done, Acknowledged::Taken);
        }
    }
    consumer.commit().await.unwrap();
}

async fn an_extension_holds_the_interval_open_up_to_its_cap(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..1).await;
    let mut consumer = world.start().await;
    let batch = records(&mut consumer).await;
    let extension = consumer.extend_poll_interval(seconds(3000));
    sleep(seconds(2999)).await;
    drop(extension);
    assert_eq!(consumer.ack(&batch), Acknowledged::Taken);

    world.produce(0, 1..2).await;
    let batch = records(&mut consumer).await;
    // The cap is an hour.
    let _extension = consumer.extend_poll_interval(seconds(1_000_000));
    sleep(seconds(3601)).await;
    assert_eq!(consumer.ack(&batch), Acknowledged::Fenced);
}

async fn a_slow_application_stops_fetching_and_not_heartbeating(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let slow = |config| super::earliest(config).buffer_memory(1_usize << 20);
    let slow = move |config| slow(config).max_partition_fetch_bytes(64_usize << 10);
    let mut consumer = world.member().with(slow).build().await.unwrap();
    let producer = world.client.producer().build().await.unwrap();
    for _ in 0..100 {
        let record = ottla_client::ProducerRecord::new(super::TOPIC).partition(0);
        producer.send(record.value(vec![7; 30_000])).await.unwrap();
    }
    let batch = records(&mut consumer).await;
    let before = consumer.group_metadata().unwrap();
    // Four sessions, and less than the interval.
    sleep(seconds(200)).await;
    assert_eq!(consumer.group_metadata().unwrap(), before);
    assert!(consumer.buffered_bytes() <= 1 << 20);
    assert_eq!(consumer.ack(&batch), Acknowledged::Taken);
    consumer.commit().await.unwrap();
    drop(batch);
    let mut count = 1;
    while count < 100 {
        let batch = records(&mut consumer).await;
        count += batch.len();
        consumer.ack(&batch);
    }
}
