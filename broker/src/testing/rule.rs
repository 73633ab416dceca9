//! Pure. Which requests meet with which fault.

use std::time::Duration;

use ottla_protocol::ApiKey;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::Instant;

/// The requests that a rule is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// Of this API; of all if `None`.
    pub api: Option<ApiKey>,
    /// Of the client that calls itself so; of all if `None`.
    pub client_id: Option<String>,
}

impl Requests {
    /// All requests.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The requests of an API.
    #[must_use]
    pub fn of(api: ApiKey) -> Self {
        Self {
            api: Some(api),
            client_id: None,
        }
    }

    /// Those of them that this client makes.
    #[must_use]
    pub fn from(self, client_id: impl Into<String>) -> Self {
        Self {
            client_id: Some(client_id.into()),
            ..self
        }
    }

    fn include(&self, api: ApiKey, client_id: &str) -> bool {
        self.api.is_none_or(|only| only == api)
            && self.client_id.as_ref().is_none_or(|only| only == client_id)
    }
}

/// Which of its requests a rule strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trigger {
    /// The next one.
    Once,
    /// The one after so many others.
    Nth(u64),
    /// The next so many.
    Times(u64),
    /// Each one.
    Always,
    /// Each with this probability, from 0 to 1.
    Probability(f64),
    /// Each from the first moment up to, but not at, the second.
    Between(Instant, Instant),
}

impl Trigger {
    /// Whether it strikes the request after `seen` others.
    fn strikes(self, seen: u64, now: Instant, random: &mut StdRng) -> bool {
        match self {
            Self::Once => seen == 0,
            Self::Nth(at) => seen == at,
            Self::Times(count) => seen < count,
            Self::Always => true,
            Self::Probability(probability) => random.random::<f64>() < probability,
            Self::Between(from, to) => (from..to).contains(&now),
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It arrives after the first time, and its answer takes the second one to come back. Requests
    /// of a connection arrive in order, so later ones wait for it.
    Delay(Duration, Duration),
    /// The connection ends before the request is applied.
    DisconnectBefore,
    /// The request is applied, and the connection ends when its answer should come.
    DisconnectAfter,
    /// The request is lost on a connection that stays: never applied, never answered.
    SilenceBefore,
    /// The request is applied, and its answer never comes.
    SilenceAfter,
}

#[derive(Debug)]
struct Rule {
    requests: Requests,
    trigger: Trigger,
    action: Action,
    seen: u64,
}

/// Rules in the order in which they were made; the first that strikes decides.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn add(&mut self, requests: Requests, trigger: Trigger, action: Action) {
        self.0.push(Rule {
            requests,
            trigger,
            action,
            seen: 0,
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What becomes of a request made now, if anything does.
    pub(super) fn decide(
        &mut self,
        api: ApiKey,
        client_id: &str,
        now: Instant,
        random: &mut StdRng,
    ) -> Option<Action> {
        let mut decided = None;
        for rule in &mut self.0 {
            if rule.requests.include(api, client_id) {
                let strikes = rule.trigger.strikes(rule.seen, now, random);
                rule.seen += 1;
                decided = decided.or(strikes.then_some(rule.action));
            }
        }
        decided
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn struck(trigger: Trigger) -> Vec<bool> {
        let mut rules = Rules::default();
        let requests = Requests::of(ApiKey::Fetch).from("me");
        rules.add(requests, trigger, Action::SilenceAfter);
        let (now, mut random) = (Instant::now(), StdRng::seed_from_u64(1));
        let mut ask = |api, client| rules.decide(api, client, now, &mut random);
        assert_eq!(ask(ApiKey::Produce, "me"), None);
        assert_eq!(ask(ApiKey::Fetch, "you"), None);
        (0..4).map(|_| ask(ApiKey::Fetch, "me").is_some()).collect()
    }

    #[test]
    fn a_trigger_counts_the_requests_of_its_rule() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let (never, always) = ([false; 4], [true; 4]);
        for (trigger, strikes) in [
            (Trigger::Once, [true, false, false, false]),
            (Trigger::Nth(2), [false, false, true, false]),
            (Trigger::Times(3), [true, true, true, false]),
            (Trigger::Always, always),
            (Trigger::Probability(0.0), never),
            (Trigger::Probability(1.0), always),
            (Trigger::Between(now, now + 3600 * second), always),
            (Trigger::Between(now - second, now), never),
        ] {
            assert_eq!(struck(trigger), strikes, "{trigger:?}");
        }
    }

    #[test]
    fn the_first_rule_that_strikes_decides() {
        let mut rules = Rules::default();
        rules.add(Requests::all(), Trigger::Nth(1), Action::DisconnectBefore);
        rules.add(Requests::all(), Trigger::Always, Action::DisconnectAfter);
        let (now, mut random) = (Instant::now(), StdRng::seed_from_u64(1));
        let mut ask = || rules.decide(ApiKey::Fetch, "", now, &mut random);
        assert_eq!(ask(), Some(Action::DisconnectAfter));
        assert_eq!(ask(), Some(Action::DisconnectBefore));
        assert_eq!(ask(), Some(Action::DisconnectAfter));
    }
}
