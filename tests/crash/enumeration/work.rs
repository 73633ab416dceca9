//! The workload: everything that a store is used for, stopped in every way.

use ottla_protocol::record::TransactionResult;
use ottla_storage::disk::simulated::{Loss, SECTORS};

use crate::transactions::Producer;
use crate::world::{CACHED, KEYED, LEDGERS, MIXED, OFFSETS, TOPICS, World};

/// Does `rounds` rounds, each of which ends with another kind of stop.
pub(crate) fn work(world: &mut World, rounds: usize) {
    for round in 0..rounds {
        append(world, round);
        transact(world, round);
        change(world, round);
        leave_in_the_journal(world);
        stop(world, round);
    }
    world.append("a", 10);
}

fn append(world: &mut World, round: usize) {
    for step in 0..12 {
        let topic = TOPICS[(step * 3 + step / 3 + round) % TOPICS.len()];
        world.append(topic, [60, 700, 1500, 20][step % 4]);
    }
    for _ in 0..3 {
        world.produce("b", Producer::Idempotent, 120);
    }
    world.burst("a", &["b", "c", "b"]);
}

fn transact(world: &mut World, round: usize) {
    let [t, u] = LEDGERS;
    world.produce(t, Producer::Classic, 100);
    world.produce(u, Producer::Bumping, 900);
    world.produce(u, Producer::Classic, 400);
    world.append(t, 700);
    let result = if round.is_multiple_of(2) {
        TransactionResult::Commit
    } else {
        TransactionResult::Abort
    };
    world.end_transaction(Producer::Classic, result);
    world.produce(t, Producer::Bumping, 50);
    world.end_transaction(Producer::Bumping, TransactionResult::Abort);
    world.append(OFFSETS, 40);
    world.produce(t, Producer::Classic, 1200);
    world.roll(t);
    // Round after round, one is left open over the stop.
    world.produce(u, Producer::Bumping, 70);
}

fn change(world: &mut World, round: usize) {
    world.roll("b");
    world.delete_records("a");
    world.append("a", 100);
    world.checkpoint();
    world.append("c", 300);
    world.delete("c");
    world.append("d", 2500);
    world.create("c");
    world.burst("c", &["a", "d"]);
    world.tick();
    world.append(CACHED, 900);
    world.append(CACHED, 1200);
    world.append(MIXED, 500);
    if round % 4 == 1 {
        world.make_durable();
        world.append(MIXED, 300);
        world.tick();
        world.append(MIXED, 200);
    }
    for step in 0..9 {
        world.append(KEYED, [500, 900, 200][step % 3]);
    }
    world.roll(KEYED);
    world.compact();
    world.append(KEYED, 100);
    world.retain("d");
    if round % 3 == 2 {
        world.retain(LEDGERS[0]);
        world.delete_records(LEDGERS[1]);
    }
}

/// What only the journal has when the power goes: also the name of a new segment.
fn leave_in_the_journal(world: &mut World) {
    world.append("d", 200);
    world.roll("b");
    world.produce("b", Producer::Idempotent, 90);
    world.produce(LEDGERS[0], Producer::Classic, 80);
}

fn stop(world: &mut World, round: usize) {
    match round % 4 {
        0 => {
            world.store = None;
            world.disk.kill();
        }
        1 => world.close(),
        2 => lose_power(world, Loss::Everything),
        _ => {
            let loss = Loss::Random {
                seed: round as u64,
                sector: SECTORS[0],
            };
            lose_power(world, loss);
        }
    }
    world.reopen(round.is_multiple_of(2));
}

fn lose_power(world: &mut World, loss: Loss) {
    world.disk.lose_power(loss);
    world.ledger.lock().power_lost();
    world.store = None;
}
