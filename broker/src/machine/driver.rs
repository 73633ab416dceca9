//! The shell around a logged machine: appends, waits for durability, lets replies out, keeps time.
//!
//! Shell. Contains no rules.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use ottla_storage::error::AppendError;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::journal::{LoadError, MachineLog};
use super::{Effects, Machine, Token};
use crate::env::Env;
use crate::partition::Partition;

/// The machine's log cannot be written, so it cannot decide anything now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the internal log is not available")]
pub(crate) struct Unavailable;

/// Runs the commands of a machine.
type Execute<C> = Box<dyn Fn(C) + Send + Sync>;

/// Drives one machine.
pub(crate) struct Driver<M: Machine> {
    state: Mutex<State<M>>,
    /// Wakes [`Driver::run`]: the high watermark or the deadline has moved.
    wake: Arc<Notify>,
    env: Env,
    execute: Execute<M::Command>,
}

struct State<M: Machine> {
    machine: M,
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

impl<M: Machine> Driver<M> {
    /// Loads the machine from its log.
    pub(crate) fn load(
        partition: Arc<Partition>,
        env: Env,
        new: impl Fn() -> M + Send + Sync + 'static,
        execute: impl Fn(M::Command) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, LoadError> {
        let mut log = MachineLog::new(partition, new);
        let machine = log.load()?;
        let end = log.partition().log().offsets().log_end_offset;
        let state = State {
            machine,
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
        });
        {
            let mut state = driver.state.lock();
            let effects = state.machine.loaded(driver.env.now());
            driver.commit(&mut state, effects);
        }
        Ok(driver)
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
        state.waiting.insert(token, sender);
        let effects = state.machine.handle(event(token), self.env.now());
        self.commit(&mut state, effects);
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
        let effects = state.machine.handle(event, self.env.now());
        self.commit(&mut state, effects);
    }

    fn commit(&self, state: &mut State<M>, effects: Effects<M::Record, M::Reply, M::Command>) {
        if !effects.records.is_empty() {
            match state.log.append(&effects.records, self.env.now().wall_ms) {
                Ok(end) => state.end = end,
                Err(error) => return reload(state, &error),
            }
        }
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

    /// Lets out everything that has become durable.
    fn release(&self, state: &mut State<M>) {
        let durable = state.log.partition().log().offsets().high_watermark;
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

    /// Keeps the machine's time and lets replies out until `stop`.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing; held replies wait for the next run.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let partition = Arc::clone(self.state.lock().log.partition());
        loop {
            let (deadline, held_until) = {
                let mut state = self.state.lock();
                self.tick(&mut state);
                self.compact(&mut state);
                (
                    state.machine.deadline(),
                    state.held.front().map(|held| held.end),
                )
            };
            let _registration = held_until.map(|offset| partition.wake_at(offset, &self.wake));
            if self.release_or_fail() {
                continue;
            }
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(self.env.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = timer => {}
                () = self.wake.notified() => {}
            }
        }
    }

    fn tick(&self, state: &mut State<M>) {
        let now = self.env.now();
        if state
            .machine
            .deadline()
            .is_some_and(|at| at <= now.monotonic)
        {
            let effects = state.machine.tick(now);
            self.commit(state, effects);
        }
    }

    /// Releases what is durable; drops what can no longer become so. True if anything was held
    /// and is now gone.
    fn release_or_fail(&self) -> bool {
        let mut state = self.state.lock();
        let before = state.held.len();
        self.release(&mut state);
        if state.log.partition().log().failure().is_some() && !state.held.is_empty() {
            state.held.clear();
            state.waiting.clear();
        }
        state.held.len() < before && !state.held.is_empty()
    }

    fn compact(&self, state: &mut State<M>) {
        let log = Arc::clone(state.log.partition().log());
        if let Some((begin, end)) = state.snapshot {
            if log.offsets().high_watermark >= end {
                state.snapshot = None;
                if let Err(error) = log.advance_log_start(begin) {
                    tracing::warn!(%error, "cannot cut an internal log before its snapshot");
                }
            }
        } else if state.log.wants_compaction() {
            let State { machine, log, .. } = state;
            match log.compact(machine, self.env.now().wall_ms) {
                Ok(snapshot) => {
                    state.end = snapshot.1;
                    state.snapshot = Some(snapshot);
                }
                Err(error) => reload(state, &error),
            }
        }
    }
}

/// The machine is ahead of its log: forget it, and everyone who waits, and read the log again.
fn reload<M: Machine>(state: &mut State<M>, error: &AppendError) {
    if matches!(error, AppendError::Closed) {
        // The broker has stopped: there is nothing left to be right about.
        state.waiting.clear();
        return;
    }
    tracing::error!(%error, "an internal log could not be written; its state is loaded again");
    state.waiting.clear();
    match state.log.load() {
        Ok(machine) => {
            state.machine = machine;
            state.end = state.log.partition().log().offsets().log_end_offset;
        }
        Err(error) => tracing::error!(%error, "an internal log could not be read again"),
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
