//! Shell. The task of a connection without bytes: requests are handed over in order, and answers
//! come back in that order.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use ottla_protocol::message::Response;
use ottla_protocol::service::{Answer, Connection};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::throttle::throttle;
use super::{ConnectionOptions, MAX_IN_FLIGHT, Outgoing, Reply};
use crate::error::{CallError, Error};

/// Who waits for the answer in the same place of the queue.
struct Waiting {
    deadline: Instant,
    /// None when the request wanted no answer.
    reply: Option<Reply>,
}

struct Calls {
    broker: Box<dyn Connection>,
    answers: FuturesOrdered<Answer>,
    waiting: VecDeque<Waiting>,
}

pub(super) async fn run(
    broker: Box<dyn Connection>,
    mut requests: mpsc::Receiver<Outgoing>,
    options: ConnectionOptions,
) {
    let mut calls = Calls {
        broker,
        answers: FuturesOrdered::new(),
        waiting: VecDeque::new(),
    };
    let reason = calls.exchange(&mut requests, &options).await;
    requests.close();
    for reply in calls.waiting.drain(..).filter_map(|waiting| waiting.reply) {
        let _ = reply.send(Err(CallError::lost(reason.clone())));
    }
    while let Ok(outgoing) = requests.try_recv() {
        let _ = outgoing.reply.send(Err(CallError::unsent(reason.clone())));
    }
}

impl Calls {
    /// Runs until the connection is of no more use, and says why.
    async fn exchange(
        &mut self,
        requests: &mut mpsc::Receiver<Outgoing>,
        options: &ConnectionOptions,
    ) -> Error {
        let mut muted_until = None::<Instant>;
        let mut open = true;
        while open || !self.waiting.is_empty() {
            let room = self.waiting.len() < MAX_IN_FLIGHT;
            let timer = self.waiting.iter().map(|waiting| waiting.deadline).min();
            let timer = timer.unwrap_or_else(|| Instant::now() + options.max_idle);
            tokio::select! {
                biased;
                Some(answer) = self.answers.next() => match answer {
                    Ok(response) => muted_until = self.answered(response).or(muted_until),
                    Err(error) => return Error::Unavailable(error.to_string()),
                },
                outgoing = requests.recv(), if open && room && muted_until.is_none() => {
                    match outgoing {
                        Some(outgoing) => self.hand_over(outgoing, options),
                        None => open = false,
                    }
                }
                () = sleep_until(muted_until.unwrap_or(timer)), if muted_until.is_some() => {
                    muted_until = None;
                }
                () = sleep_until(timer) => {
                    let text = if self.waiting.is_empty() { "idle" } else { "no answer in time" };
                    return Error::Unavailable(text.to_owned());
                }
            }
        }
        Error::Closed
    }

    fn hand_over(&mut self, outgoing: Outgoing, options: &ConnectionOptions) {
        let Outgoing {
            request,
            version,
            timeout,
            answered,
            reply,
        } = outgoing;
        if reply.is_closed() {
            // Nobody waits, and nothing was applied: as if it had never been queued.
            return;
        }
        let answer = self.broker.call(request, version, &options.client_id);
        self.answers.push_back(answer);
        let mut reply = Some(reply);
        if let Some(reply) = reply.take_if(|_| !answered) {
            let _ = reply.send(Ok(None));
        }
        self.waiting.push_back(Waiting {
            deadline: Instant::now() + timeout,
            reply,
        });
    }

    /// Hands an answer to who waits for it. Returns until when nothing may be sent, if the broker
    /// asks for that.
    fn answered(&mut self, response: Option<Response>) -> Option<Instant> {
        let pause = response.as_ref().map(throttle).unwrap_or_default();
        let waiting = self.waiting.pop_front();
        if let Some(reply) = waiting.and_then(|waiting| waiting.reply) {
            let _ = reply.send(Ok(response));
        }
        (!pause.is_zero()).then(|| Instant::now() + pause)
    }
}
