//! One seed, from an empty disk to the verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_broker::testing::disk::Loss;
use ottla_protocol::ErrorCode;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::chaos;
use crate::checker::{Checker, Pump};
use crate::history::{Place, Remains, Stored};
use crate::link::{EARLIEST, Found, Lost, read};
use crate::workload::pump::fetch_offsets;
use crate::workload::{books, brief, consumer, member, producer, pump, reader, trim};
use crate::world::{
    BOOKKEEPERS, BOOKS, CACHED, COPIES, GROUP, LIBRARY, NOTES, ORDERS, PUMP, TRIMMED, World, places,
};

/// A run that is not over by then never will be.
const DEADLINE: Duration = Duration::from_secs(1_800);

/// What became of a run.
pub(crate) struct Outcome {
    pub(crate) trace: u64,
    pub(crate) events: u64,
    pub(crate) violations: Vec<String>,
}

/// Runs `seed`; with `told`, prints all of it.
pub(crate) fn run(seed: u64, told: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new(seed, told);
        world.set_up().await;
        live(&world).await;
        let remains = bury(&world).await;
        let events = world.history.events();
        let mut checker = Checker::new(&events, &remains);
        checker.weak = &[CACHED];
        checker.pumps = &[
            Pump {
                group: PUMP,
                from: ORDERS,
                to: COPIES,
            },
            Pump {
                group: BOOKKEEPERS,
                from: ORDERS,
                to: BOOKS,
            },
        ];
        checker.retained = if world.retains { &[TRIMMED] } else { &[] };
        let found = checker.check().into_iter();
        let found = found.map(|(violation, what)| format!("{violation:?}: {what}"));
        let violations = world.broken().into_iter().chain(found).collect();
        world.kill();
        Outcome {
            trace: world.history.trace(),
            events: events.len() as u64,
            violations,
        }
    })
}

/// Clients do what they do while things fail, and come to an end when they do not any more.
async fn live(world: &World) {
    let mut tasks = JoinSet::new();
    let mut names = BTreeMap::new();
    let mut spawn = |name: &'static str, id: tokio::task::AbortHandle| names.insert(id.id(), name);
    let w = || world.clone();
    let records = |least: u64| least + world.below(16);
    let (orders, notes, cached, trimmed) = (records(12), records(4), records(4), records(20));
    spawn(
        "orders",
        tasks.spawn(producer::produce(w(), ORDERS, 2, true, orders)),
    );
    spawn(
        "notes",
        tasks.spawn(producer::produce(w(), NOTES, 1, false, notes)),
    );
    spawn(
        "cached",
        tasks.spawn(producer::produce(w(), CACHED, 1, true, cached)),
    );
    spawn(
        "trimmed",
        tasks.spawn(producer::produce(w(), TRIMMED, 1, true, trimmed)),
    );
    if !world.retains {
        spawn("trim", tasks.spawn(trim::trim(w())));
    }
    spawn("brief", tasks.spawn(brief::live(w())));
    spawn("books a", tasks.spawn(books::keep(w(), "books a")));
    if world.chance(30) {
        spawn("books b", tasks.spawn(books::keep(w(), "books b")));
    }
    let implicit = world.chance(60);
    spawn("pump", tasks.spawn(pump::run(w(), implicit)));
    if world.chance(40) {
        let (world, after) = (w(), world.below(6_000));
        spawn(
            "second pump",
            tasks.spawn(async move {
                sleep(Duration::from_millis(after)).await;
                pump::run(world, implicit).await;
            }),
        );
    }
    spawn("member a", tasks.spawn(member::take_part(w(), "a")));
    spawn("member b", tasks.spawn(member::take_part(w(), "b")));
    for _ in 0..1 + world.below(2) {
        spawn("consumer", tasks.spawn(consumer::take_part(w())));
    }
    for place in places() {
        spawn(
            "reader",
            tasks.spawn(reader::follow(w(), place, world.chance(50))),
        );
    }
    spawn("chaos", tasks.spawn(chaos::reign(w())));
    let over = timeout(DEADLINE, async {
        while let Some(ended) = tasks.join_next_with_id().await {
            match ended {
                // Without a broker nothing comes to an end any more.
                Ok((id, ())) if names.remove(&id) == Some("chaos") && !world.is_running() => {
                    return;
                }
                Ok(_) => {}
                Err(error) => world.broke(error),
            }
        }
    });
    if over.await.is_err() {
        world.broke(format_args!(
            "not over: {:?}",
            names.values().collect::<Vec<_>>()
        ));
    }
}

/// Takes the power away once more and looks at what is left.
async fn bury(world: &World) -> Remains {
    let mut remains = Remains::default();
    world.disk.heal();
    world.disk.lose_power(Loss::Everything);
    world.power_lost();
    world.kill();
    if let Err(error) = world.start().await {
        world.broke(format_args!("it does not start at the end: {error}"));
        return remains;
    }
    for place in world.last_places() {
        let all = read_all(world, place, false).await;
        let committed = read_all(world, place, true).await;
        let (Some(all), Some(committed)) = (all, committed) else {
            if place.topic != CACHED {
                world.broke(format_args!("{place:?} cannot be read at the end"));
            }
            continue;
        };
        let stored = all.iter().map(|found| Stored {
            offset: found.offset,
            id: found.id,
            transaction: found.transaction,
            committed: committed.contains(found),
        });
        let stored: Vec<_> = stored.collect();
        let seen = stored.iter().filter(|stored| stored.committed).count();
        if seen != committed.len() {
            world.broke(format_args!(
                "{place:?}: committed records that are not there"
            ));
        }
        remains.logs.insert(place, stored);
        if place.topic == TRIMMED {
            match world.link("end").list_offset(place, EARLIEST).await {
                Ok(start) => drop(remains.starts.insert(place, start)),
                Err(Lost) => world.broke(format_args!("no start of {place:?}")),
            }
        }
    }
    for id in world.gone() {
        let fetched = world.link("end").fetch(id, 0, 0, false, 1, 0).await;
        if !fetched.is_ok_and(|data| data.error_code == ErrorCode::UnknownTopicId) {
            world.broke("a deleted topic is back");
        }
    }
    let mut link = world.link("end");
    for group in [PUMP, GROUP, LIBRARY, BOOKKEEPERS] {
        for partition in 0..2 {
            let place = Place {
                topic: ORDERS,
                partition,
            };
            match fetch_offsets(world, &mut link, group, place, true).await {
                Ok(offset) => {
                    remains.offsets.insert((group, place), offset);
                }
                Err(Lost) => world.broke(format_args!("no offset of {group} at {place:?}")),
            }
        }
    }
    remains
}

/// All records of a partition; `None` when it cannot be read.
async fn read_all(world: &World, place: Place, committed: bool) -> Option<Vec<Found>> {
    let mut link = world.link("end");
    let topic = world.topic_id(place.topic);
    let (mut records, mut position) = (Vec::new(), 0);
    loop {
        let fetched = link.fetch(topic, place.partition, position, committed, 1 << 20, 0);
        let data = fetched.await.ok()?;
        if data.error_code == ErrorCode::OffsetOutOfRange && position == 0 {
            let start = link.list_offset(place, EARLIEST).await.ok();
            position = start.filter(|start| *start > 0)?;
            continue;
        }
        if data.error_code != ErrorCode::None {
            world.history.tell((place, data.error_code));
            return None;
        }
        let (found, next) = read(&data, position);
        records.extend(found);
        if next == position {
            if next != data.high_watermark {
                world.broke(format_args!(
                    "{place:?} is held at {next} of {}",
                    data.high_watermark
                ));
            }
            return Some(records);
        }
        position = next;
    }
}
