//! What befalls a run: crashes, failing disks, bad connections, and time that passes.

use std::time::Duration;

use ottla_broker::testing::disk::{Fault, FaultKind, Loss, Operation, SECTORS};
use ottla_broker::testing::{Action, Requests, Trigger};
use ottla_protocol::ApiKey;
use tokio::time::sleep;

use crate::world::{Shared, World};

/// Attempts to start while the disk fails, before it is made whole.
const STARTS: u32 = 3;

const OPERATIONS: [Operation; 13] = [
    Operation::Open,
    Operation::Create,
    Operation::List,
    Operation::CreateDir,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncDir,
    Operation::Size,
    Operation::Write,
    Operation::Read,
    Operation::Reserve,
    Operation::Truncate,
    Operation::Sync,
];

const APIS: [ApiKey; 9] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::JoinGroup,
    ApiKey::InitProducerId,
    ApiKey::EndTxn,
    ApiKey::TxnOffsetCommit,
    ApiKey::Metadata,
];

/// Goes on for a while, and then heals everything.
pub(crate) async fn reign(world: World) {
    let acts = 1 + world.below(4);
    for _ in 0..acts {
        world.pause(1_500).await;
        act(&world).await;
    }
    world.pause(500).await;
    world.faults.clear();
    world.faults.cut();
    world.disk.heal();
    if !world.is_running() || world.chance(50) {
        crash(&world, false).await;
    } else {
        // A failed journal stays failed until a restart.
        world.kill();
        world.disk.kill();
        start(&world).await;
    }
    world.calm_down();
}

async fn act(world: &Shared) {
    match world.below(12) {
        0..3 => crash(world, true).await,
        3 => {
            world.history.tell("kill");
            world.kill();
            world.disk.kill();
            world.pause(400).await;
            start(world).await;
        }
        4 => {
            world.history.tell("stop");
            world.stop().await;
            world.disk.kill();
            start(world).await;
        }
        5 => die_midway(world).await,
        6..8 => fail(world).await,
        8 => fill(world).await,
        9 => {
            world.history.tell("cut");
            world.faults.cut();
        }
        10 => {
            let passed = Duration::from_secs(10 + world.below(30));
            world.history.tell(passed);
            sleep(passed).await;
        }
        _ => connections(world).await,
    }
}

fn loss(world: &Shared) -> Loss {
    match world.below(5) {
        0 => Loss::Everything,
        1 => Loss::Lengths,
        2 => Loss::After(usize::try_from(world.below(12)).expect("a number")),
        _ => Loss::Random {
            seed: world.below(u64::MAX),
            sector: SECTORS[usize::from(world.chance(50))],
        },
    }
}

fn lose_power(world: &Shared) {
    let loss = loss(world);
    world.history.tell(loss);
    world.disk.lose_power(loss);
    world.power_lost();
    world.kill();
}

/// The power goes; with `twice`, now and then once more in the recovery.
async fn crash(world: &Shared, twice: bool) {
    lose_power(world);
    world.pause(500).await;
    while twice && world.chance(30) {
        world.disk.die_after(world.below(60));
        if let Err(error) = world.start().await {
            world.history.tell(error.to_string());
        }
        world.pause(5).await;
        lose_power(world);
    }
    start(world).await;
}

/// The disk is gone between one operation and the next, and a little later so is the machine.
async fn die_midway(world: &Shared) {
    let after = world.below(25);
    world.history.tell(("dies after", after));
    world.disk.die_after(after);
    world.pause(300).await;
    if world.chance(70) {
        crash(world, true).await;
    } else {
        world.kill();
        world.disk.kill();
        start(world).await;
    }
}

/// An operation fails, once or from then on.
async fn fail(world: &Shared) {
    let pick = |count: usize| usize::try_from(world.below(count as u64)).expect("an index");
    let operation = OPERATIONS[pick(OPERATIONS.len())];
    let kinds: Vec<_> = FaultKind::ALL
        .into_iter()
        .filter(|kind| kind.suits(operation))
        .collect();
    let fault = Fault {
        operation: Some(operation),
        path: String::new(),
        after: world.below(12),
        kind: kinds[pick(kinds.len())],
        lasting: world.chance(30),
    };
    world.history.tell(&fault);
    world.disk.inject(fault);
    world.pause(1_000).await;
    if world.chance(50) {
        world.disk.heal();
        world.pause(300).await;
    }
    if world.chance(50) {
        crash(world, true).await;
    } else {
        world.kill();
        world.disk.kill();
        start(world).await;
    }
}

/// The disk is full for a while, and then it is not: no restart is needed.
async fn fill(world: &Shared) {
    world.history.tell("full");
    world.disk.fill("");
    world.pause(3_000).await;
    world.disk.heal();
    world.history.tell("not full");
}

/// Requests and answers are late or lost, and connections end.
async fn connections(world: &Shared) {
    let rules = 1 + world.below(3);
    for _ in 0..rules {
        let requests = if world.chance(40) {
            Requests::all()
        } else {
            let at = world.below(APIS.len() as u64);
            Requests::of(APIS[usize::try_from(at).expect("an index")])
        };
        let ms = |limit| Duration::from_millis(world.below(limit));
        let action = match world.below(6) {
            0 => Action::DisconnectBefore,
            1 => Action::DisconnectAfter,
            2 => Action::SilenceBefore,
            3 => Action::SilenceAfter,
            4 => Action::Delay(ms(6_000), ms(50)),
            _ => Action::Delay(ms(100), ms(3_000)),
        };
        let trigger = match world.below(3) {
            0 => Trigger::Times(1 + world.below(3)),
            1 => Trigger::Nth(world.below(6)),
            _ => Trigger::Probability(0.15),
        };
        world.history.tell((&requests, trigger, action));
        world.faults.on(requests, trigger, action);
    }
    world.pause(4_000).await;
    world.faults.clear();
}

/// Starts a broker; while the disk fails that may fail as well.
async fn start(world: &Shared) {
    for attempt in 0..STARTS {
        match world.start().await {
            Ok(()) => return world.history.tell("started"),
            Err(error) => world.history.tell((attempt, error.to_string())),
        }
        world.kill();
        world.disk.kill();
    }
    world.disk.heal();
    if let Err(error) = world.start().await {
        world.broke(format_args!("it does not start: {error}"));
    }
}
