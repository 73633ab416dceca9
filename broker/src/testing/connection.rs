//! Shell. A layer on the way to a broker in this process that delays, loses and cuts.

use std::future::ready;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ottla_protocol::StrBytes;
use ottla_protocol::message::Request;
use ottla_protocol::service::{Answer, Connection, Service};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::rule::{Action, Requests, Rules, Trigger};

/// Faults of connections. Cheap to clone; clones share the rules.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<State>>);

struct State {
    rules: Rules,
    random: StdRng,
    open: Vec<Weak<Wire>>,
}

/// One connection, from the inside.
struct Wire {
    broker: Box<dyn Connection>,
    cut: CancellationToken,
    /// Resolves when the newest request that was delayed has been applied.
    newest: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Faults {
    /// No faults; `seed` is of those that strike by chance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rules: Rules::default(),
            random: StdRng::seed_from_u64(seed),
            open: Vec::new(),
        })))
    }

    /// Adds a rule. Of those that strike a request, the oldest decides.
    pub fn on(&self, requests: Requests, trigger: Trigger, action: Action) {
        self.0.lock().rules.add(requests, trigger, action);
    }

    /// Takes all rules away. What is silent stays so until its connection ends.
    pub fn clear(&self) {
        self.0.lock().rules.clear();
    }

    /// Ends all connections.
    pub fn cut(&self) {
        let open = std::mem::take(&mut self.0.lock().open);
        for wire in open.iter().filter_map(Weak::upgrade) {
            wire.cut.cancel();
        }
    }

    /// `service` with these faults on the way to it.
    pub fn before<S: Service>(&self, service: S) -> Faulty<S> {
        Faulty {
            service,
            faults: self.clone(),
        }
    }

    fn decide(&self, request: &Request, client_id: &str) -> Option<Action> {
        let State { rules, random, .. } = &mut *self.0.lock();
        rules.decide(request.api_key(), client_id, Instant::now(), random)
    }
}

/// A service with faults on the way to it. Made by [`Faults::before`].
pub struct Faulty<S> {
    service: S,
    faults: Faults,
}

impl<S: Service> Service for Faulty<S> {
    fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let wire = Arc::new(Wire {
            broker: self.service.connect()?,
            cut: CancellationToken::new(),
            newest: Mutex::new(None),
        });
        let mut state = self.faults.0.lock();
        state.open.retain(|wire| wire.strong_count() > 0);
        state.open.push(Arc::downgrade(&wire));
        drop(state);
        Ok(Box::new(FaultyConnection {
            wire,
            faults: self.faults.clone(),
        }))
    }
}

struct FaultyConnection {
    wire: Arc<Wire>,
    faults: Faults,
}

impl Connection for FaultyConnection {
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> Answer {
        let wire = &self.wire;
        if wire.cut.is_cancelled() {
            return Box::pin(ready(Err(reset())));
        }
        let none = Duration::ZERO;
        match self.faults.decide(&request, client_id) {
            None => wire.answer(wire.hand_over(request, api_version, client_id, none), none),
            Some(Action::Delay(arrives, returns)) => {
                let answer = wire.hand_over(request, api_version, client_id, arrives);
                wire.answer(answer, returns)
            }
            Some(Action::DisconnectBefore) => {
                wire.cut.cancel();
                Box::pin(ready(Err(reset())))
            }
            Some(Action::DisconnectAfter) => {
                let answer = wire.hand_over(request, api_version, client_id, none);
                let cut = wire.cut.clone();
                Box::pin(async move {
                    drop(answer.await);
                    cut.cancel();
                    Err(reset())
                })
            }
            Some(Action::SilenceBefore) => wire.silence(),
            Some(Action::SilenceAfter) => {
                drop(wire.hand_over(request, api_version, client_id, none));
                wire.silence()
            }
        }
    }
}

impl Wire {
    /// Applies a request after `pause`, and after those that were handed over before.
    fn hand_over(
        self: &Arc<Self>,
        request: Request,
        api_version: i16,
        client_id: &StrBytes,
        pause: Duration,
    ) -> Answer {
        let mut newest = self.newest.lock();
        let before = newest.take().and_then(|mut before| {
            let pending = before.try_recv() == Err(oneshot::error::TryRecvError::Empty);
            pending.then_some(before)
        });
        if pause.is_zero() && before.is_none() {
            return self.broker.call(request, api_version, client_id);
        }
        let (applied, done) = oneshot::channel::<()>();
        *newest = Some(done);
        let (sender, receiver) = oneshot::channel();
        let (wire, client_id) = (Arc::clone(self), client_id.clone());
        let late = async move {
            if let Some(before) = before {
                // An error says the same: it was applied.
                let _ = before.await;
            }
            sleep(pause).await;
            if wire.cut.is_cancelled() {
                return;
            }
            let answer = wire.broker.call(request, api_version, &client_id);
            drop(applied);
            // Nobody may wait any more.
            let _ = sender.send(answer.await);
        };
        // A task of its own: what was sent arrives even when nobody waits for the answer.
        tokio::spawn(late);
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(reset())) })
    }

    /// `answer` after `pause`, unless the connection ends before.
    fn answer(&self, answer: Answer, pause: Duration) -> Answer {
        let cut = self.cut.clone();
        let late = async move {
            let answer = answer.await;
            if !pause.is_zero() {
                sleep(pause).await;
            }
            answer
        };
        Box::pin(async move {
            tokio::select! {
                biased;
                () = cut.cancelled() => Err(reset()),
                answer = late => answer,
            }
        })
    }

    /// The wait for an answer that never comes.
    fn silence(&self) -> Answer {
        let cut = self.cut.clone();
        Box::pin(async move {
            cut.cancelled().await;
            Err(reset())
        })
    }
}

fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was cut")
}
