//! Shell. Appends the coordinator's decisions with their markers, and writes those that go apart.

use std::sync::Arc;

use ottla_protocol::record::{EndTransactionMarker, TransactionResult};
use ottla_storage::error::AppendError;
use ottla_storage::log::{Append, Appended, Change, Log, Marker, Part, append_together};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Attachment, Command, Event, Fate, MarkerOrder, Participant};
use crate::catalog::{CatalogEvent, CatalogReply, PRODUCER_ID_BLOCK};
use crate::core::Core;
use crate::group::{self, GroupCoordinator};
use crate::machine::Driver;
use crate::partition::Partition;
use crate::topics::Topics;

/// What a decision is carried out with.
pub(crate) struct Logs {
    pub(crate) topics: Arc<Topics>,
    pub(crate) groups: Arc<Driver<GroupCoordinator>>,
    /// Written into every marker: a later one fences those before.
    pub(crate) coordinator_epoch: i32,
}

/// How the marker of a partition can be written, when the coordinator's log is journaled or not.
pub(crate) fn fate(topics: &Topics, journaled: bool, participant: &Participant) -> Fate {
    let Some(topic) = topics.by_id(Uuid::from_bytes(participant.topic_id)) else {
        return Fate::Gone;
    };
    match topic.partition(participant.partition) {
        Ok(partition) => {
            let log = partition.log();
            if log.is_journaled() == journaled && log.failure().is_none() {
                Fate::Shared
            } else {
                Fate::Apart
            }
        }
        Err(_) => Fate::Apart,
    }
}

impl Logs {
    fn partition(&self, participant: &Participant) -> Option<Arc<Partition>> {
        let topic = self.topics.by_id(Uuid::from_bytes(participant.topic_id))?;
        topic.partition(participant.partition).ok().cloned()
    }

    fn marker(&self, order: &MarkerOrder) -> Marker {
        marker(order, self.coordinator_epoch)
    }

    /// Appends a decision with everything that is attached to it.
    pub(crate) fn append(
        &self,
        own: &Arc<Log>,
        batch: Append,
        attachments: Vec<Attachment>,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let mut parts = vec![part(own, batch)];
        let mut offsets = None;
        for attachment in attachments {
            match attachment {
                Attachment::Marker(order) => {
                    if let Some(partition) = self.partition(&order.participant) {
                        parts.push(Part {
                            log: Arc::clone(partition.log()),
                            change: Change::Marker(self.marker(&order)),
                        });
                    }
                }
                Attachment::Offsets {
                    producer_id,
                    commit,
                    group_ids,
                } => {
                    let ended = group::Event::TransactionEnded {
                        producer_id,
                        committed: commit,
                        group_ids,
                    };
                    if offsets.replace(ended).is_some() {
                        return Err(AppendError::Invalid("a batch ends two transactions"));
                    }
                }
            }
        }
        let Some(offsets) = offsets else {
            return first(append_together(parts, now_ms)?);
        };
        let mut decided = None;
        self.groups.join(offsets, |group| {
            let own_parts = parts.len();
            parts.extend(group.map(|(log, batch)| part(&log, batch)));
            let mut appended = append_together(parts, now_ms)?;
            let end = match appended.get(own_parts) {
                Some(Ok(group)) => group.last_offset + 1,
                _ => 0,
            };
            appended.truncate(own_parts);
            decided = Some(first(appended)?);
            Ok(end)
        })?;
        decided.ok_or(AppendError::Closed)
    }
}

pub(super) fn marker(order: &MarkerOrder, coordinator_epoch: i32) -> Marker {
    Marker {
        producer_id: order.producer_id,
        producer_epoch: order.producer_epoch,
        end: EndTransactionMarker {
            result: if order.commit {
                TransactionResult::Commit
            } else {
                TransactionResult::Abort
            },
            coordinator_epoch,
        },
        // Orders are never late: the next transaction begins when all are carried out.
        bumps_epoch: false,
    }
}

fn part(log: &Arc<Log>, batch: Append) -> Part {
    Part {
        log: Arc::clone(log),
        change: Change::Batch(batch, None),
    }
}

/// The answer for the coordinator's own batch. Markers that were left out are of transactions
/// that a newer epoch has ended already.
fn first(appended: Vec<Result<Appended, AppendError>>) -> Result<Appended, AppendError> {
    appended
        .into_iter()
        .next()
        .unwrap_or(Err(AppendError::Closed))
}

/// Orders of markers that may wait. Those beyond are left out: the coordinator repeats them.
const MAX_ORDERS: usize = 1_000;

/// Markers to write for a transaction.
#[derive(Debug)]
struct Order {
    transactional_id: Arc<str>,
    producer: (i64, i16),
    markers: Vec<MarkerOrder>,
}

/// Takes the coordinator's commands. Never waits.
pub(crate) struct Commands {
    orders: mpsc::Sender<Order>,
    reserve: Arc<Notify>,
}

/// Commands that wait to be run.
pub(crate) struct Waiting {
    orders: mpsc::Receiver<Order>,
    reserve: Arc<Notify>,
}

/// A way for commands from the coordinator to [`run`].
pub(crate) fn commands() -> (Commands, Waiting) {
    let (sender, receiver) = mpsc::channel(MAX_ORDERS);
    let reserve = Arc::new(Notify::new());
    let commands = Commands {
        orders: sender,
        reserve: Arc::clone(&reserve),
    };
    let waiting = Waiting {
        orders: receiver,
        reserve,
    };
    (commands, waiting)
}

impl Commands {
    /// Has a command run, or does at once what needs no waiting.
    pub(crate) fn give(&self, command: Command) {
        match command {
            Command::ReserveProducerIds => self.reserve.notify_one(),
            Command::TimedOut {
                transactional_id,
                timeout_ms,
            } => tracing::warn!(
                transactional_id = &*transactional_id,
                timeout_ms,
                "transaction aborted: it took longer than its timeout"
            ),
            Command::WriteMarkers {
                transactional_id,
                producer,
                orders,
            } => {
                let order = Order {
                    transactional_id,
                    producer,
                    markers: orders,
                };
                if let Err(mpsc::error::TrySendError::Full(order)) = self.orders.try_send(order) {
                    let transactional_id = &*order.transactional_id;
                    tracing::warn!(transactional_id, "markers have to wait for others");
                }
            }
        }
    }
}

/// Runs the coordinator's commands, one after the other, until `stop`, which it does not outlast: what
/// it waits for may never come when others have stopped before it.
///
/// # Cancel safety
/// Dropping it loses nothing: markers that are missing are ordered again at the next start.
pub(crate) async fn run(core: Arc<Core>, waiting: Waiting, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = run_all(&core, waiting) => {}
    }
}

async fn run_all(core: &Arc<Core>, mut waiting: Waiting) {
    loop {
        tokio::select! {
            biased;
            () = waiting.reserve.notified() => reserve_producer_ids(core).await,
            order = waiting.orders.recv() => match order {
                None => return,
                Some(Order { transactional_id, producer, markers }) => {
                    write_markers(core, transactional_id, producer, markers).await;
                }
            },
        }
    }
}

/// Gets the coordinator producer ids to give out.
pub(crate) async fn reserve_producer_ids(core: &Core) {
    match core.catalog.call(CatalogEvent::ReserveProducerIds).await {
        Ok(CatalogReply::ProducerIds(first)) => {
            let ids = first..first.saturating_add(PRODUCER_ID_BLOCK);
            core.transactions.tell(Event::ProducerIds(ids));
        }
        Ok(_) | Err(_) => {
            tracing::error!("no producer ids could be reserved");
            core.transactions.tell(Event::NoProducerIds);
        }
    }
}

/// Writes the markers of partitions that are made durable by themselves.
async fn write_markers(
    core: &Arc<Core>,
    transactional_id: Arc<str>,
    producer: (i64, i16),
    mut orders: Vec<MarkerOrder>,
) {
    // An order may have been repeated while it waited here.
    core.transactions.inspect(|coordinator| {
        let known = coordinator.get(&transactional_id).filter(|known| {
            known.state.is_prepared() && (known.producer_id, known.producer_epoch) == producer
        });
        orders.retain(|order| known.is_some_and(|k| k.partitions.contains(&order.participant)));
    });
    if orders.is_empty() {
        return;
    }
    let (topics, epoch) = (Arc::clone(&core.topics), core.store.leader_epoch());
    let now_ms = core.env.now().wall_ms;
    let write = move || {
        let is_done = |order: &MarkerOrder| write_marker(&topics, order, epoch, now_ms);
        let done = orders.into_iter().filter(is_done);
        done.map(|order| order.participant).collect::<Vec<_>>()
    };
    if let Ok(done) = core.blocking(write).await {
        core.transactions.tell(Event::MarkersWritten {
            transactional_id,
            producer,
            done,
        });
    }
}

/// Whether the partition needs no marker any more.
fn write_marker(topics: &Topics, order: &MarkerOrder, epoch: i32, now_ms: i64) -> bool {
    let participant = &order.participant;
    let Some(topic) = topics.by_id(Uuid::from_bytes(participant.topic_id)) else {
        return true;
    };
    let Ok(partition) = topic.partition(participant.partition) else {
        return false;
    };
    let log = partition.log();
    let written = match log.append_marker(marker(order, epoch), now_ms) {
        Ok(_) => log.flush().map_err(|error| error.to_string()).map(|_| ()),
        Err(error) if error.is_fenced() => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = &written {
        let (topic, partition) = (&*participant.topic, participant.partition);
        tracing::error!(
            topic,
            partition,
            error,
            "a transaction marker could not be written"
        );
    }
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: usize) -> Command {
        Command::WriteMarkers {
            transactional_id: Arc::from(id.to_string()),
            producer: (0, 0),
            orders: Vec::new(),
        }
    }

    #[tokio::test]
    async fn orders_beyond_the_bound_are_left_out_and_ids_are_reserved_all_the_same() {
        let (commands, mut waiting) = commands();
        for id in 0..=MAX_ORDERS {
            commands.give(order(id));
        }
        commands.give(Command::ReserveProducerIds);
        commands.give(Command::ReserveProducerIds);
        drop(commands);
        waiting.reserve.notified().await;
        let mut taken = 0;
        while waiting.orders.recv().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, MAX_ORDERS);
    }
}
