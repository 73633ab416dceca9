//! Shell. What a crash has left of transactions that the coordinator does not know.
//!
//! The coordinator's record goes in front of what it is about, but a crash may take it and leave
//! the rest: what bypasses the journal, or the first appends of a log that the journal has not
//! seen yet. None of that was acknowledged, and nobody else would ever end it. Called before
//! anyone produces.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use ottla_storage::log::Log;

use super::shell::marker;
use super::{MarkerOrder, Participant, Transaction};
use crate::core::Core;
use crate::group;

/// Aborts transactions in partitions and groups that the coordinator does not have there.
pub(crate) fn free(core: &Core) {
    free_partitions(core);
    free_groups(core);
}

/// What the coordinator has in its transactions, with their producers.
fn known<P: Clone + Eq + Hash>(
    core: &Core,
    of: fn(&Transaction) -> &BTreeSet<P>,
) -> HashSet<(i64, P)> {
    core.transactions.inspect(|coordinator| {
        let all = coordinator.iter();
        all.flat_map(|(_, transaction)| {
            let parts = of(transaction).iter().cloned();
            parts.map(|part| (transaction.producer_id, part))
        })
        .collect()
    })
}

fn free_partitions(core: &Core) {
    let known = known(core, |transaction| &transaction.partitions);
    for topic in core.topics.all() {
        for index in 0..topic.partition_count() {
            let partition = i32::try_from(index).unwrap_or(i32::MAX);
            let Ok(found) = topic.partition(partition) else {
                continue;
            };
            let participant = Participant {
                topic: Arc::from(&*topic.name),
                topic_id: topic.id.into_bytes(),
                partition,
            };
            abort_unknown(core, found.log(), &participant, &known);
        }
    }
}

fn abort_unknown(
    core: &Core,
    log: &Log,
    participant: &Participant,
    known: &HashSet<(i64, Participant)>,
) {
    let offsets = log.offsets();
    if offsets.last_stable_offset == offsets.high_watermark {
        return;
    }
    for producer in log.producers() {
        let is_open = producer.current_transaction_first_offset.is_some();
        if !is_open || known.contains(&(producer.producer_id, participant.clone())) {
            continue;
        }
        let order = MarkerOrder {
            participant: participant.clone(),
            producer_id: producer.producer_id,
            // The producer may still be about to send again what is aborted here. In the old epoch that
            // would pass for written, and its transaction could be committed without it.
            producer_epoch: producer.producer_epoch.saturating_add(1),
            commit: false,
        };
        let (topic, partition) = (&*participant.topic, participant.partition);
        let producer_id = producer.producer_id;
        let marker = marker(&order, core.store.leader_epoch());
        match log.append_marker(marker, core.env.now().wall_ms) {
            Ok(_) => tracing::warn!(topic, partition, producer_id, "hanging transaction aborted"),
            Err(error) => {
                tracing::error!(topic, partition, producer_id, %error, "transaction hangs");
            }
        }
    }
}

fn free_groups(core: &Core) {
    let known = known(core, |transaction| &transaction.groups);
    let pending = core.groups.inspect(|groups| groups.pending_transactions());
    for (producer_id, group_id) in pending.into_iter().filter(|of| !known.contains(of)) {
        tracing::warn!(
            group_id = &*group_id,
            producer_id,
            "hanging offsets aborted"
        );
        core.groups.tell(group::Event::TransactionEnded {
            producer_id,
            committed: false,
            group_ids: vec![group_id],
        });
    }
}
