//! What comes back from a broker, and what it means for a batch and its partition.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use tokio::time::Instant;

use super::{Accumulator, batch_options};
use crate::error::{CallError, Error};
use crate::producer::batch::Batch;
use crate::producer::delivery::Outcome;
use crate::producer::transaction::machine::UNFINISHED_PAUSE;

/// What a broker, or the lack of an answer, says of a batch.
#[derive(Debug, Clone)]
pub(in crate::producer) enum Verdict {
    Written {
        base_offset: i64,
        log_append_time: Option<i64>,
    },
    Refused {
        code: ErrorCode,
        message: Option<String>,
    },
    Unanswered(CallError),
}

/// What follows from a verdict.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    Again,
    Split,
    Fail,
}

impl Accumulator {
    /// A batch came back. Returns the memory that it no longer takes. `fraction` is random.
    pub(in crate::producer) fn complete(
        &mut self,
        mut batch: Batch,
        verdict: Verdict,
        now: Instant,
        fraction: f64,
    ) -> usize {
        let next = self.judge(&mut batch, &verdict, now);
        let index = usize::try_from(batch.partition).unwrap_or(usize::MAX);
        let topic = self.topics.get_mut(&batch.topic);
        let Some(queue) = topic.and_then(|topic| topic.partitions.get_mut(index)) else {
            return 0;
        };
        queue.in_flight.remove(&batch.order);
        let memory = batch.memory;
        match next {
            Next::Done => {
                if let Some(numbers) = batch.numbers {
                    queue.sequence.written(numbers, batch.count);
                }
                queue.backoff.reset();
                queue.not_before = None;
                self.written(&batch, &verdict);
            }
            Next::Again => {
                if is_unfinished(&verdict) {
                    queue.not_before = Some(now + UNFINISHED_PAUSE);
                } else {
                    queue.pause(now, fraction);
                }
                queue.again.insert(batch.order, batch);
                return 0;
            }
            Next::Split => match batch.split(batch_options(&self.config)) {
                Ok([first, second]) => {
                    *self.outstanding.entry(first.id).or_default() += 1;
                    queue.again.insert(first.order, first);
                    queue.again.insert(second.order, second);
                    return 0;
                }
                Err(failed) => {
                    let (whole, error) = *failed;
                    queue.sequence.failed();
                    self.gave_up(&whole, &error);
                    self.fail(&whole, error);
                    self.settled(whole.id);
                    return memory;
                }
            },
            Next::Fail => {
                if batch.numbers.is_some() {
                    queue.sequence.failed();
                }
                let error = error(verdict);
                self.gave_up(&batch, &error);
                self.fail(&batch, error);
            }
        }
        self.settled(batch.id);
        memory
    }

    /// A batch is in the log. If that is known too late for who waits for it, it has failed.
    fn written(&mut self, batch: &Batch, verdict: &Verdict) {
        if let Some(expired) = &batch.expired {
            let error = expired.error.clone();
            self.gave_up(batch, &error);
            self.fail(batch, error);
            return;
        }
        let done = done(verdict);
        let base_offset = match &done {
            Outcome::Written { base_offset, .. } => *base_offset,
            _ => -1,
        };
        batch.sendings.written(batch.partition, base_offset);
        batch.slot.complete(done);
        self.note(
            batch,
            || Ok(Some(base_offset).filter(|offset| *offset >= 0)),
        );
    }

    fn judge(&mut self, batch: &mut Batch, verdict: &Verdict, now: Instant) -> Next {
        let in_time = now < batch.deadline && batch.expired.is_none();
        let again = if batch.attempts <= self.config.retries && in_time {
            Next::Again
        } else {
            Next::Fail
        };
        match verdict {
            Verdict::Written { .. } => Next::Done,
            Verdict::Refused {
                code: ErrorCode::DuplicateSequenceNumber,
                ..
            } => Next::Done,
            Verdict::Refused {
                code: ErrorCode::MessageTooLarge,
                ..
            } if batch.count > 1 && batch.expired.is_none() => Next::Split,
            Verdict::Refused {
                code:
                    ErrorCode::OutOfOrderSequenceNumber
                    | ErrorCode::UnknownProducerId
                    | ErrorCode::InvalidProducerEpoch,
                ..
            } if batch.numbers.is_some() => {
                let first = self.refused(batch);
                if first && self.transactions.is_some() {
                    Next::Fail
                } else {
                    again
                }
            }
            Verdict::Refused { code, .. } => {
                // The broker may have appended and failed later.
                batch.may_have_been_written |= matches!(
                    code,
                    ErrorCode::RequestTimedOut
                        | ErrorCode::NotEnoughReplicasAfterAppend
                        | ErrorCode::UnknownServerError
                        | ErrorCode::KafkaStorageError
                );
                if code.is_retriable() {
                    again
                } else {
                    Next::Fail
                }
            }
            Verdict::Unanswered(CallError { error, sent }) => {
                batch.may_have_been_written |= sent;
                match error {
                    Error::Unavailable(_) | Error::Corrupt(_) | Error::Closed => again,
                    _ => Next::Fail,
                }
            }
        }
    }

    /// A batch failed. Its transaction can then only be aborted, and with some errors the
    /// producer is at its end.
    pub(super) fn gave_up(&mut self, batch: &Batch, error: &Error) {
        self.leaves_gap(batch);
        let Some(machine) = &mut self.transactions else {
            return;
        };
        let last = matches!(
            error,
            Error::Refused {
                code: ErrorCode::TransactionalIdAuthorizationFailed
                    | ErrorCode::ClusterAuthorizationFailed
                    | ErrorCode::InvalidProducerIdMapping,
                ..
            } | Error::Fenced(_)
                | Error::Unsupported(_)
        );
        if last {
            machine.kill(error.clone());
        } else {
            let partition = format!("{}-{}", batch.topic, batch.partition);
            machine.fail(Error::Abortable(format!("{partition}: {error}")));
        }
    }

    /// A number was refused. Behind a batch that is not settled that is no wonder; otherwise
    /// numbering starts again. Returns whether it was the first.
    fn refused(&mut self, batch: &mut Batch) -> bool {
        let index = usize::try_from(batch.partition).unwrap_or(usize::MAX);
        let topic = self.topics.get_mut(&Arc::clone(&batch.topic));
        if let Some(queue) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
            let before = queue
                .in_flight
                .first()
                .is_some_and(|order| *order < batch.order)
                || queue
                    .again
                    .keys()
                    .next()
                    .is_some_and(|order| *order < batch.order);
            if !before {
                queue.sequence.refused();
            }
            return !before;
        }
        true
    }
}

/// Whether the coordinator still ends the transaction before, which takes milliseconds.
fn is_unfinished(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Refused {
            code: ErrorCode::ConcurrentTransactions,
            ..
        }
    )
}

fn done(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Written {
            base_offset,
            log_append_time,
        } => Outcome::Written {
            base_offset: *base_offset,
            log_append_time: *log_append_time,
        },
        _ => Outcome::Written {
            base_offset: -1,
            log_append_time: None,
        },
    }
}

fn error(verdict: Verdict) -> Error {
    match verdict {
        Verdict::Refused {
            code: ErrorCode::ProducerFenced,
            ..
        } => Error::Fenced("another producer took over".to_owned()),
        Verdict::Refused { code, message } if !code.is_retriable() => Error::Refused {
            operation: "Produce",
            code,
            message,
        },
        Verdict::Refused { code, .. } => Error::Timeout {
            operation: "delivery",
            reason: code.name().to_owned(),
        },
        Verdict::Unanswered(CallError {
            error: Error::Unavailable(reason),
            ..
        }) => Error::Timeout {
            operation: "delivery",
            reason,
        },
        Verdict::Unanswered(CallError { error, .. }) => error,
        Verdict::Written { .. } => Error::Closed,
    }
}
