//! Groups of the consumer protocol from outside.

mod joining;
mod migration;
mod mixed;
mod offsets;
mod property;
mod reconciling;
mod static_member;
mod subscribing;
mod transition;

use super::super::consumer::ConsumerState;
use super::*;

/// A client of the consumer protocol: it does what it is told with the next heartbeat.
#[derive(Debug, Clone)]
struct Reader {
    member_id: Arc<str>,
    instance: Option<Arc<str>>,
    names: Vec<Arc<str>>,
    regex: Option<Arc<str>>,
    epoch: i32,
    owned: Assignment,
}

impl Reader {
    fn new(member_id: &str) -> Self {
        Self {
            member_id: member_id.into(),
            instance: None,
            names: vec!["orders".into()],
            regex: None,
            epoch: 0,
            owned: Assignment::default(),
        }
    }

    fn fixed(member_id: &str, instance: &str) -> Self {
        Self {
            instance: Some(instance.into()),
            ..Self::new(member_id)
        }
    }

    fn reading(member_id: &str, names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| Arc::from(*name)).collect(),
            ..Self::new(member_id)
        }
    }

    fn matching(member_id: &str, regex: &str) -> Self {
        Self {
            regex: Some(regex.into()),
            ..Self::reading(member_id, &[])
        }
    }

    /// What it says first.
    fn joining(&self) -> ConsumerHeartbeatRequest {
        ConsumerHeartbeatRequest {
            member_epoch: 0,
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(self.names.clone()),
            subscribed_topic_regex: self.regex.clone(),
            owned: Some(Assignment::default()),
            ..self.beating()
        }
    }

    /// What it says when it has nothing to say but what it owns.
    fn beating(&self) -> ConsumerHeartbeatRequest {
        ConsumerHeartbeatRequest {
            api_version: 1,
            client_id: "client".into(),
            client_host: "127.0.0.1".into(),
            group_id: GROUP.into(),
            member_id: self.member_id.clone(),
            member_epoch: self.epoch,
            group_instance_id: self.instance.clone(),
            rack_id: None,
            rebalance_timeout_ms: -1,
            subscribed_topic_names: None,
            subscribed_topic_regex: None,
            server_assignor: None,
            owned: Some(self.owned.clone()),
        }
    }

    fn leaving(&self, epoch: i32) -> ConsumerHeartbeatRequest {
        ConsumerHeartbeatRequest {
            member_epoch: epoch,
            owned: None,
            ..self.beating()
        }
    }

    fn join(&mut self, bench: &mut Bench) {
        self.owned = Assignment::default();
        let reply = bench.beat(self.joining()).expect("it may join");
        self.take(reply);
    }

    fn beat(&mut self, bench: &mut Bench) -> Option<GroupError> {
        match bench.beat(self.beating()) {
            Ok(reply) => {
                self.take(reply);
                None
            }
            Err(refusal) => Some(refusal.error),
        }
    }

    fn take(&mut self, reply: ConsumerHeartbeatReply) {
        assert_eq!(reply.member_id, self.member_id);
        self.epoch = reply.member_epoch;
        if let Some(assignment) = reply.assignment {
            self.owned = assignment;
        }
    }

    fn partitions(&self) -> Vec<(u8, i32)> {
        let short = |(topic, partition): ([u8; 16], i32)| (topic[0], partition);
        self.owned.iter().map(short).collect()
    }
}

impl Bench {
    fn beat(
        &mut self,
        request: ConsumerHeartbeatRequest,
    ) -> Result<ConsumerHeartbeatReply, Refusal> {
        let token = self.send(|token| Event::ConsumerHeartbeat(token, request));
        match self.replies.remove(&token) {
            Some(Reply::ConsumerHeartbeat(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn consumer_error(&mut self, request: ConsumerHeartbeatRequest) -> Option<GroupError> {
        self.beat(request).err().map(|refusal| refusal.error)
    }

    fn consumer(&self) -> &super::super::consumer::ConsumerGroup {
        self.group().consumer.as_deref().expect("a consumer group")
    }

    fn consumer_state(&self) -> ConsumerState {
        self.consumer().state()
    }

    /// Everybody's heartbeats, until nobody is told anything new.
    fn settle(&mut self, readers: &mut [&mut Reader]) {
        for _ in 0..10 {
            for reader in &mut *readers {
                assert_eq!(reader.beat(self), None, "{}", reader.member_id);
            }
        }
        assert_eq!(self.consumer_state(), ConsumerState::Stable);
    }

    fn describe_consumer(&mut self) -> Result<DescribedConsumerGroup, Refusal> {
        let token = self.send(|token| Event::DescribeConsumerGroups(token, vec![GROUP.into()]));
        match self.replies.remove(&token) {
            Some(Reply::DescribeConsumerGroups(mut groups)) => groups.remove(0).1,
            other => panic!("{other:?}"),
        }
    }
}

/// `a` and `b`, each with two of the four partitions of `orders`.
fn pair(bench: &mut Bench) -> (Reader, Reader) {
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    a.join(bench);
    b.join(bench);
    bench.settle(&mut [&mut a, &mut b]);
    (a, b)
}
