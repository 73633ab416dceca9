//! The shell around a logged machine: appends, waits for durability, lets replies out, keeps time.
//!
//! Shell. Contains no rules.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use ottla_storage::error::AppendError;
use ottla_storage::log::{Append, Appended, Log};
use ottla_storage::offsets::Offsets;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::journal::{LoadError, MachineLog};
use super::{EffectsOf, Machine, Token};
use crate::env::Env;
use crate::partition::Partition;

/// The machine's log cannot be written, so it cannot decide anything now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the internal log is not available")]
pub(crate) struct Unavailable;

/// Runs the commands of a machine.
type Execute<C> = Box<dyn Fn(C) + Send + Sync>;

/// Appends a batch to the machine's log and what is attached to it elsewhere, all or nothing.
/// Called with the driver locked.
type Attach<A> =
    Box<dyn Fn(&Arc<Log>, Append, Vec<A>, i64) -> Result<Appended, AppendError> + Send + Sync>;

/// Appends to the log of a machine that attaches nothing.
pub(crate) fn alone<A>(
    log: &Arc<Log>,
    batch: Append,
    _attachments: Vec<A>,
    now_ms: i64,
) -> Result<Appended, AppendError> {
    log.append(batch, now_ms)
}

/// Between attempts to load a log again that could not be read, and of ticks that could not be
/// written.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stopping broker waits for held replies; a full disk could hold them for ever.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Drives one machine.
pub(crate) struct Driver<M: Machine> {
    state: Mutex<State<M>>,
    /// Wakes [`Driver::run`]: the high watermark or the deadline has moved.
    wake: Arc<Notify>,
    env: Env,
    execute: Execute<M::Command>,
    attach: Attach<M::Attachment>,
}

struct State<M: Machine> {
    machine: M,
    /// The machine is ahead of its log, which could not be read again: it decides nothing. The
    /// task tries again at this time.
    stale: Option<Instant>,
    /// No tick before this: the last one could not be written, and would be due again at once.
    no_tick_before: Option<Instant>,
    log: MachineLog<M>,
    next_token: Token,
    waiting: HashMap<Token, oneshot::Sender<M::Reply>>,
    /// Effects whose records are not durable yet, oldest first.
    held: VecDeque<Held<M>>,
    /// End of the log behind the newest record.
    end: i64,
    /// A snapshot before which the log can be cut when its end is durable: (begin, end).
    snapshot: Option<(i64, i64)>,
}

struct Held<M: Machine> {
    end: i64,
    replies: Vec<(oneshot::Sender<M::Reply>, M::Reply)>,
    commands: Vec<M::Command>,
}

impl<M: Machine> State<M> {
    fn durable(&self) -> i64 {
        self.log.log().offsets().high_watermark
    }

    /// The high watermark at which there is something to do.
    fn wanted(&self) -> Option<i64> {
        let held = self.held.front().map(|held| held.end);
        let snapshot = self.snapshot.map(|(_, end)| end);
        held.into_iter().chain(snapshot).min()
    }
}

impl<M: Machine> Driver<M> {
    /// Loads the machine from its log.
    pub(crate) fn load(
        partition: Arc<Partition>,
        env: Env,
        new: impl Fn() -> M + Send + Sync + 'static,
        execute: impl Fn(M::Command) + Send + Sync + 'static,
        attach: impl Fn(&Arc<Log>, Append, Vec<M::Attachment>, i64) -> Result<Appended, AppendError>
        + Send
        + Sync
        + 'static,
    ) -> Result<Arc<Self>, LoadError> {
        let mut log = MachineLog::new(partition, new);
        let (machine, end) = log.load()?;
        let state = State {
            machine,
            stale: None,
            no_tick_before: None,
            log,
            next_token: 0,
            waiting: HashMap::new(),
            held: VecDeque::new(),
            end,
            snapshot: None,
        };
        let driver = Arc::new(Self {
            state: Mutex::new(state),
            wake: Arc::new(Notify::new()),
            env,
            execute: Box::new(execute),
            attach: Box::new(attach),
        });
        {
            let mut state = driver.state.lock();
            let effects = state.machine.loaded(driver.env.now());
            driver.commit(&mut state, effects);
        }
        Ok(driver)
    }

    /// Whether the machine's log is behind the journal.
    pub(crate) fn is_journaled(&self) -> bool {
        self.state.lock().log.log().is_journaled()
    }

    /// The offsets of the machine's log.
    pub(crate) fn offsets(&self) -> Offsets {
        self.state.lock().log.log().offsets()
    }

    /// The machine's partition, and the end of its log behind the newest record.
    pub(crate) fn newest(&self) -> (Arc<Partition>, i64) {
        let state = self.state.lock();
        (Arc::clone(state.log.partition()), state.end)
    }

    /// Reads from the machine what may be known before it is durable.
    pub(crate) fn inspect<T>(&self, read: impl FnOnce(&M) -> T) -> T {
        read(&self.state.lock().machine)
    }

    /// Handles an event now, in the order of calls; the returned future waits for the reply.
    ///
    /// Dropping the future tells the machine that nobody waits.
    pub(crate) fn call(self: &Arc<Self>, event: impl FnOnce(Token) -> M::Event) -> Call<M> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.next_token += 1;
        let token = state.next_token;
        if self.is_live(&mut state) {
            state.waiting.insert(token, sender);
            let effects = state.machine.handle(event(token), self.env.now());
            self.commit(&mut state, effects);
        }
        drop(state);
        Call {
            driver: Arc::clone(self),
            token,
            receiver,
            done: false,
        }
    }

    /// Handles an event that nobody waits for.
    pub(crate) fn tell(&self, event: M::Event) {
        let mut state = self.state.lock();
        if self.is_live(&mut state) {
            let effects = state.machine.handle(event, self.env.now());
            self.commit(&mut state, effects);
        }
    }

    /// Whether the machine may decide; one that is stale is loaded again first.
    fn is_live(&self, state: &mut State<M>) -> bool {
        if state.stale.is_some() {
            self.reload(state);
        }
        state.stale.is_none()
    }

    /// Handles an event now and lets `then` see the reply before it is durable, with the machine
    /// locked. For what is appended next: the journal keeps the order.
    pub(crate) fn decide<T>(
        &self,
        event: impl FnOnce(Token) -> M::Event,
        then: impl FnOnce(M::Reply) -> T,
    ) -> Result<T, Unavailable> {
        let mut state = self.state.lock();
        if !self.is_live(&mut state) {
            return Err(Unavailable);
        }
        state.next_token += 1;
        let token = state.next_token;
        let mut effects = state.machine.handle(event(token), self.env.now());
        let at = effects.replies.iter().position(|(of, _)| *of == token);
        let reply = at.map(|at| effects.replies.swap_remove(at).1);
        if self.commit(&mut state, effects) {
            reply.map(then).ok_or(Unavailable)
        } else {
            Err(Unavailable)
        }
    }

    /// Handles an event whose records `append` appends together with others; it gets none when the
    /// event changes nothing, and answers the end of this machine's log behind them.
    pub(crate) fn join(
        &self,
        event: M::Event,
        append: impl FnOnce(Option<(Arc<Log>, Append)>) -> Result<i64, AppendError>,
    ) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        if !self.is_live(&mut state) {
            return Err(AppendError::Closed);
        }
        let now = self.env.now();
        let effects = state.machine.handle(event, now);
        let result = if effects.records.is_empty() {
            append(None).map(drop)
        } else {
            let log = Arc::clone(state.log.log());
            let batch = state.log.batch(&effects.records, now.wall_ms);
            batch.and_then(|batch| {
                let bytes = batch.header.size();
                state.end = append(Some((log, batch)))?;
                state.log.appended(bytes);
                Ok(())
            })
        };
        match &result {
            Ok(()) => self.hold(&mut state, effects),
            Err(_) => self.reload(&mut state),
        }
        result
    }

    /// Whether the effects are appended; if not, the machine is loaded again.
    fn commit(&self, state: &mut State<M>, effects: EffectsOf<M>) -> bool {
        let applied = self.apply(state, effects);
        if let Err(error) = &applied {
            tracing::error!(%error, "an internal log could not be written; its state is loaded again");
            self.reload(state);
        }
        applied.is_ok()
    }

    /// Appends the records and holds the rest until they are durable. On an error the machine is
    /// ahead of its log.
    fn apply(&self, state: &mut State<M>, mut effects: EffectsOf<M>) -> Result<(), AppendError> {
        if !effects.records.is_empty() {
            let now_ms = self.env.now().wall_ms;
            let attachments = std::mem::take(&mut effects.attachments);
            let batch = state.log.batch(&effects.records, now_ms)?;
            let bytes = batch.header.size();
            let appended = (self.attach)(state.log.log(), batch, attachments, now_ms)?;
            state.log.appended(bytes);
            state.end = appended.last_offset + 1;
        }
        self.hold(state, effects);
        Ok(())
    }

    /// Keeps replies and commands until the records before them are durable.
    fn hold(&self, state: &mut State<M>, effects: EffectsOf<M>) {
        let replies = effects
            .replies
            .into_iter()
            .filter_map(|(token, reply)| Some((state.waiting.remove(&token)?, reply)))
            .collect();
        state.held.push_back(Held {
            end: state.end,
            replies,
            commands: effects.commands,
        });
        self.release(state);
        self.wake.notify_one();
    }

    /// Forgets the machine, and everyone who waits, and reads the log again.
    fn reload(&self, state: &mut State<M>) {
        state.waiting.clear();
        self.release(state);
        if state.log.log().failure().is_some() {
            // What is not durable by now is not going to be.
            state.held.clear();
        }
        state.stale = match self.go_live(state) {
            Ok(()) => None,
            Err(reason) => {
                tracing::error!(reason, "an internal log could not be loaded again");
                Some(Instant::now() + RELOAD_INTERVAL)
            }
        };
        self.wake.notify_one();
    }

    fn go_live(&self, state: &mut State<M>) -> Result<(), String> {
        let (machine, end) = state.log.load().map_err(|error| error.to_string())?;
        state.machine = machine;
        state.end = end;
        let effects = state.machine.loaded(self.env.now());
        self.apply(state, effects)
            .map_err(|error| error.to_string())
    }

    /// Lets out everything that has become durable.
    fn release(&self, state: &mut State<M>) {
        let durable = state.durable();
        while let Some(held) = state.held.pop_front_if(|held| held.end <= durable) {
            for command in held.commands {
                (self.execute)(command);
            }
            for (sender, reply) in held.replies {
                // Whoever asked may have gone; that is no concern of the machine.
                let _ = sender.send(reply);
            }
        }
    }

    /// Keeps the machine's time and lets replies out until `stop`, and then until none is held.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing; held replies wait for the next run.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let partition = Arc::clone(self.state.lock().log.partition());
        let mut give_up: Option<Instant> = None;
        loop {
            let (deadline, wanted) = {
                let mut state = self.state.lock();
                self.release(&mut state);
                if give_up.is_some() && state.held.is_empty() {
                    return;
                }
                self.tick(&mut state);
                self.compact(&mut state);
                (self.deadline(&state), state.wanted())
            };
            let _registration = wanted.map(|offset| partition.wake_at(offset, &self.wake));
            if self.has_moved() {
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if give_up.is_none() => {
                    give_up = Some(Instant::now() + DRAIN_TIMEOUT);
                }
                () = at(give_up), if give_up.is_some() => return,
                () = at(deadline) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    fn deadline(&self, state: &State<M>) -> Option<Instant> {
        let of_machine = || {
            let deadline = self.env.instant(state.machine.deadline()?);
            Some(state.no_tick_before.map_or(deadline, |at| at.max(deadline)))
        };
        state.stale.or_else(of_machine)
    }

    fn tick(&self, state: &mut State<M>) {
        if self
            .deadline(state)
            .is_none_or(|deadline| deadline > Instant::now())
        {
            return;
        }
        if state.stale.is_some() {
            return self.reload(state);
        }
        let effects = state.machine.tick(self.env.now());
        let written = self.commit(state, effects);
        state.no_tick_before = (!written).then(|| Instant::now() + RELOAD_INTERVAL);
    }

    /// Whether there is something to do since the wake-up was asked for: what is wanted is
    /// durable, or can no longer become so.
    fn has_moved(&self) -> bool {
        let mut state = self.state.lock();
        if state.log.log().failure().is_some() && !state.held.is_empty() {
            self.reload(&mut state);
            return true;
        }
        let durable = state.durable();
        state.wanted().is_some_and(|offset| offset <= durable)
    }

    fn compact(&self, state: &mut State<M>) {
        let durable = state.durable();
        if let Some((begin, _)) = state.snapshot.take_if(|(_, end)| *end <= durable)
            && let Err(error) = state.log.log().advance_log_start(begin)
        {
            tracing::warn!(%error, "cannot cut an internal log before its snapshot");
        }
        // What was decided before the snapshot must be done when it is all that is left of it.
        let busy = state.held.iter().any(|held| !held.commands.is_empty());
        if busy
            || state.stale.is_some()
            || state.snapshot.is_some()
            || !state.log.wants_compaction()
        {
            return;
        }
        let State { machine, log, .. } = state;
        match log.compact(machine, self.env.now().wall_ms) {
            Ok(snapshot) => {
                state.end = snapshot.1;
                state.snapshot = Some(snapshot);
            }
            // What there is of it has no end mark, and says nothing.
            Err(error) => tracing::warn!(%error, "an internal log could not be compacted"),
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The wait for a reply.
///
/// # Cancel safety
/// Dropping it withdraws the request from the machine's waiting ones; what was decided stays.
pub(crate) struct Call<M: Machine> {
    driver: Arc<Driver<M>>,
    token: Token,
    receiver: oneshot::Receiver<M::Reply>,
    done: bool,
}

impl<M: Machine> Future for Call<M> {
    type Output = Result<M::Reply, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.receiver.poll_unpin(context);
        self.done = polled.is_ready();
        polled.map_err(|_| Unavailable)
    }
}

impl<M: Machine> Drop for Call<M> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let abandoned = self
            .driver
            .state
            .lock()
            .waiting
            .remove(&self.token)
            .is_some();
        if let (true, Some(event)) = (abandoned, M::abandoned(self.token)) {
            self.driver.tell(event);
        }
    }
}
