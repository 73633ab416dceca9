//! A broker some of whose answers are replaced or held back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_broker::InProcess;
use ottla_protocol::StrBytes;
use ottla_protocol::message::{Request, Response};
use ottla_protocol::service::{Answer, Connection, Service};

/// What happens to a request.
#[expect(clippy::large_enum_variant, reason = "one of these lives for a moment")]
pub enum Fate {
    /// The broker answers it.
    Pass,
    /// This is the answer, and the broker does not see it.
    Answer(Response),
    /// The broker answers it after this time.
    Late(Duration),
    /// There never is an answer.
    Silence,
}

/// Decides about a request before the broker sees it.
type Rule = Box<dyn FnMut(&Request) -> Fate + Send>;

/// A broker behind rules.
#[derive(Clone)]
pub struct Faulty {
    broker: InProcess,
    rule: Arc<Mutex<Rule>>,
}

impl Faulty {
    pub fn new(broker: InProcess, rule: impl FnMut(&Request) -> Fate + Send + 'static) -> Self {
        Self {
            broker,
            rule: Arc::new(Mutex::new(Box::new(rule))),
        }
    }
}

impl Service for Faulty {
    fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        Ok(Box::new(FaultyConnection {
            connection: self.broker.connect()?,
            rule: Arc::clone(&self.rule),
        }))
    }
}

struct FaultyConnection {
    connection: Box<dyn Connection>,
    rule: Arc<Mutex<Rule>>,
}

impl Connection for FaultyConnection {
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> Answer {
        let fate = (self.rule.lock().unwrap())(&request);
        match fate {
            Fate::Pass => self.connection.call(request, api_version, client_id),
            Fate::Answer(response) => Box::pin(std::future::ready(Ok(Some(response)))),
            Fate::Late(pause) => {
                let answer = self.connection.call(request, api_version, client_id);
                Box::pin(async move {
                    tokio::time::sleep(pause).await;
                    answer.await
                })
            }
            Fate::Silence => Box::pin(std::future::pending()),
        }
    }
}
