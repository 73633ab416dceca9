//! Futures that are dropped at every point at which they wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ottla_client::admin::{CommittedOffset, OffsetSpec};
use ottla_client::config::GroupProtocol;
use ottla_client::consumer::{Consumer, Event};
use tokio::time::sleep;

use super::{World, assigned, manual, partitions, records, seconds, value};
use crate::stage::with_each_protocol;

with_each_protocol! {
    #[tokio::test(start_paused = true)]
    no_event_is_lost_or_doubled_by_dropping_the_wait_for_it,
    a_commit_that_nobody_waits_for_is_made_all_the_same,
    a_commit_of_offsets_that_nobody_waits_for_is_made_all_the_same,
    a_commit_that_was_never_polled_changes_nothing,
    questions_may_be_dropped_at_any_point,
    a_close_that_nobody_waits_for_commits_and_leaves_all_the_same,
    building_may_be_dropped,
    a_stream_survives_the_loss_of_every_wait,
}

/// Polls a future at most `polls` times, and drops it then.
async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    struct AtMost<F>(usize, Pin<Box<F>>);
    impl<F: Future> Future for AtMost<F> {
        type Output = Option<F::Output>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            if self.0 == 0 {
                return Poll::Ready(None);
            }
            self.0 -= 1;
            match self.1.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if self.0 == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        }
    }
    AtMost(polls, Box::pin(future)).await
}

/// The next event, through futures that are dropped after `polls` polls again and again.
async fn stubborn(consumer: &mut Consumer, polls: usize) -> Event {
    loop {
        if let Some(event) = at_most(polls, consumer.next_event()).await {
            return event.unwrap();
        }
        tokio::task::yield_now().await;
        sleep(std::time::Duration::from_millis(1)).await;
    }
}

async fn no_event_is_lost_or_doubled_by_dropping_the_wait_for_it(protocol: GroupProtocol) {
    for polls in 1..5 {
        let world = World::of(protocol, 3).await;
        let mut consumer = world.start().await;
        let producing = async {
            for partition in 0..3 {
                world.produce(partition, 0..50).await;
            }
        };
        let consuming = async {
            let mut next = [0; 3];
            let mut assigned = 0;
            while next != [50; 3] {
                match stubborn(&mut consumer, polls).await {
                    Event::Assigned(partitions) => assigned += partitions.len(),
                    Event::Records(batch) => {
                        let at = &mut next[batch.partition().partition as usize];
                        for record in &batch {
                            assert_eq!(value(record), *at);
                            *at += 1;
                        }
                        consumer.ack(&batch);
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(assigned, 3);
        };
        tokio::join!(producing, consuming);
    }
}

async fn a_commit_that_nobody_waits_for_is_made_all_the_same(protocol: GroupProtocol) {
    for polls in 1..4 {
        let world = World::of(protocol, 1).await;
        world.produce(0, 0..1).await;
        let mut consumer = world.member().with(manual).build().await.unwrap();
        let batch = records(&mut consumer).await;
        consumer.ack(&batch);
        let _ = at_most(polls, consumer.commit()).await;
        sleep(seconds(1)).await;
        let committed = consumer.committed(partitions([0])).await.unwrap();
        assert_eq!(committed[&partitions([0])[0]].offset, 1);
        // And the next one is not held up by it.
        consumer.commit().await.unwrap();
    }
}

async fn a_commit_of_offsets_that_nobody_waits_for_is_made_all_the_same(protocol: GroupProtocol) {
    for polls in 1..4 {
        let world = World::of(protocol, 1).await;
        world.produce(0, 0..2).await;
        let mut consumer = world.member().with(manual).build().await.unwrap();
        records(&mut consumer).await;
        let partition = partitions([0]).remove(0);
        let offsets = [(partition.clone(), CommittedOffset::new(1))].into();
        let _ = at_most(polls, consumer.commit_offsets(offsets)).await;
        sleep(seconds(1)).await;
        let committed = consumer.committed([partition.clone()]).await.unwrap();
        assert_eq!(committed[&partition].offset, 1);
    }
}

async fn a_commit_that_was_never_polled_changes_nothing(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..1).await;
    let mut consumer = world.member().with(manual).build().await.unwrap();
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    assert!(at_most(0, consumer.commit()).await.is_none());
    sleep(seconds(60)).await;
    assert!(
        consumer
            .committed(partitions([0]))
            .await
            .unwrap()
            .is_empty()
    );
}

async fn questions_may_be_dropped_at_any_point(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..3).await;
    let consumer = world.start().await;
    for polls in 0..8 {
        let _ = at_most(polls, consumer.committed(partitions([0]))).await;
        let _ = at_most(polls, consumer.end_offsets(partitions([0]))).await;
        let _ = at_most(polls, consumer.beginning_offsets(partitions([0]))).await;
        let latest = [(partitions([0]).remove(0), OffsetSpec::Latest)].into();
        let _ = at_most(polls, consumer.list_offsets(&latest)).await;
        let end = consumer.end_offsets(partitions([0])).await.unwrap();
        assert_eq!(end[&partitions([0])[0]], 3);
        consumer.committed(partitions([0])).await.unwrap();
    }
}

async fn a_close_that_nobody_waits_for_commits_and_leaves_all_the_same(protocol: GroupProtocol) {
    for polls in 1..4 {
        let world = World::of(protocol, 1).await;
        world.produce(0, 0..1).await;
        let mut consumer = world.start().await;
        let batch = records(&mut consumer).await;
        consumer.ack(&batch);
        if polls % 2 == 0 {
            let _ = at_most(polls, consumer.close(seconds(10))).await;
        } else {
            let _ = at_most(polls, consumer.into_stream().close(seconds(10))).await;
        }
        sleep(seconds(1)).await;
        let group = world.client.admin().describe_group("g").await.unwrap();
        assert_eq!(group.state, "Empty");
        let offsets = world.client.admin().list_group_offsets("g").await.unwrap();
        assert_eq!(offsets[&partitions([0])[0]].offset, 1);
    }
}

async fn building_may_be_dropped(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    drop(Box::pin(world.member().build()));
    let mut consumer = world.start().await;
    assert_eq!(assigned(&mut consumer).await.len(), 1);
}

async fn a_stream_survives_the_loss_of_every_wait(protocol: GroupProtocol) {
    use futures_util::StreamExt as _;
    for polls in 1..4 {
        let world = World::of(protocol, 1).await;
        let mut stream = world.start().await.into_stream();
        for number in 0..30 {
            if number % 3 == 0 {
                let _ = at_most(polls, async { sleep(seconds(1)).await }).await;
            }
            // Dropped while nothing is there.
            if let Some(early) = at_most(polls, stream.next()).await {
                panic!("{early:?}");
            }
            world.produce(0, number..number + 1).await;
            let record = loop {
                if let Some(record) = at_most(polls, stream.next()).await {
                    break record.unwrap().unwrap();
                }
                sleep(std::time::Duration::from_millis(1)).await;
            };
            assert_eq!(value(&record), number);
        }
    }
}
