//! What a broker has answered, and whether one that is started on what a crash left keeps it.

use std::collections::BTreeMap;

use ottla_broker::Broker;
use ottla_protocol::message::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DescribeConfigsRequest,
    DescribeConfigsResource, HeartbeatRequest, MetadataRequest,
};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::requests::{Client, refused};

/// Takes records, is read by all groups, and has its settings changed.
pub(super) const LOG: &str = "log";
/// Takes the records of transactions, in two partitions.
pub(super) const SALES: &str = "sales";
/// A group that only stores offsets, one of each protocol, and one whose offsets are in transactions.
pub(super) const SIMPLE: &str = "simple";
pub(super) const CLASSIC: &str = "classic";
pub(super) const CONSUMER: &str = "consumer";
pub(super) const SELLERS: &str = "sellers";
/// The member of the consumer group that stays.
pub(super) const MEMBER: &str = "member";
/// The setting that is changed.
pub(super) const SETTING: &str = "retention.ms";

/// A number that is only ever raised.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rising {
    pub(super) asked: i64,
    pub(super) answered: i64,
}

impl Rising {
    fn hold(self, found: i64, what: &str) -> Result<(), String> {
        let Self { asked, answered } = self;
        if (answered..=asked).contains(&found) {
            return Ok(());
        }
        Err(format!("{what} is {found}, not in {answered}..={asked}"))
    }

    /// Whether nothing was asked for that was not answered.
    fn is_settled(self) -> bool {
        self.asked == self.answered
    }
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Its creation or deletion was asked for and not answered.
    Open,
    There(Uuid),
    Gone,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises {
    pub(super) topics: BTreeMap<String, Fate>,
    /// Records of [`LOG`].
    pub(super) records: Rising,
    /// Committed offsets by group.
    pub(super) offsets: BTreeMap<&'static str, Rising>,
    /// Transactions, each with a record in both partitions of [`SALES`] and an offset.
    pub(super) transactions: Rising,
    /// Value of [`SETTING`].
    pub(super) setting: Rising,
    /// The member of the classic group, and its generation.
    pub(super) classic: StrBytes,
    pub(super) generation: Rising,
    /// Epoch of [`MEMBER`], and what it has.
    pub(super) epoch: Rising,
    pub(super) owns: bool,
}

impl Promises {
    /// Holds what a started broker answers against the promises.
    pub(super) async fn hold(&self, broker: &Broker) -> Result<(), String> {
        let client = Client::of(broker);
        let topics = self.hold_topics(&client).await?;
        if let Some(log) = topics.get(LOG) {
            self.records.hold(client.end(LOG).await?, "the end")?;
            self.hold_setting(&client).await?;
            for (group, offset) in &self.offsets {
                let found = client.committed(group, (LOG, *log)).await?;
                offset.hold(found, group)?;
            }
            if let Some(sales) = topics.get(SALES) {
                self.hold_transactions(&client, *log, *sales).await?;
            }
        }
        self.hold_classic(&client).await?;
        self.hold_consumer(&client).await
    }

    /// Answers the ids of the topics that are there.
    async fn hold_topics(&self, client: &Client) -> Result<BTreeMap<String, Uuid>, String> {
        let answer = client.ask(MetadataRequest::default()).await?;
        let found: BTreeMap<String, Uuid> = answer
            .topics
            .into_iter()
            .filter_map(|topic| Some((topic.name?.to_string(), topic.topic_id)))
            .collect();
        for (name, fate) in &self.topics {
            let found = found.get(name);
            let is_kept = match fate {
                Fate::Open => true,
                Fate::There(id) => found == Some(id),
                Fate::Gone => found.is_none(),
            };
            if !is_kept {
                return Err(format!("topic {name} is {fate:?}, and found {found:?}"));
            }
        }
        Ok(found)
    }

    async fn hold_setting(&self, client: &Client) -> Result<(), String> {
        if self.setting.asked == 0 {
            return Ok(());
        }
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: 2,
                resource_name: LOG.into(),
                configuration_keys: Some(vec![SETTING.into()]),
            }],
            ..Default::default()
        };
        let answer = client.ask(request).await?;
        let result = answer.results.first().ok_or("no settings")?;
        let setting = result.configs.first().ok_or("no setting")?;
        let value = setting.value.as_deref().unwrap_or_default();
        let value: i64 = value.parse().map_err(|_| format!("{SETTING} is {value}"))?;
        // Before the first change it is the default.
        if self.setting.answered == 0 && value > self.setting.asked {
            return Ok(());
        }
        self.setting.hold(value, SETTING)
    }

    /// Both records and the offset of a transaction count, or none of them.
    async fn hold_transactions(
        &self,
        client: &Client,
        log: Uuid,
        sales: Uuid,
    ) -> Result<(), String> {
        let offset = client.committed(SELLERS, (LOG, log)).await?;
        let first = client.commits(sales, 0).await?;
        let second = client.commits(sales, 1).await?;
        if first != second || first != offset {
            return Err(format!("a split transaction: {first}, {second}, {offset}"));
        }
        self.transactions.hold(offset, "the number of transactions")
    }

    /// The member of the classic group need not notice a crash.
    async fn hold_classic(&self, client: &Client) -> Result<(), String> {
        if self.generation.answered == 0 {
            return Ok(());
        }
        let request = HeartbeatRequest {
            group_id: CLASSIC.into(),
            generation_id: i32::try_from(self.generation.answered).expect("a generation"),
            member_id: self.classic.clone(),
            ..Default::default()
        };
        match client.ask(request).await?.error_code {
            ErrorCode::None => Ok(()),
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress
                if !self.generation.is_settled() =>
            {
                Ok(())
            }
            code => Err(format!(
                "the heartbeat in {:?}: {}",
                self.generation,
                code.name()
            )),
        }
    }

    /// Nor need the one of the consumer group.
    async fn hold_consumer(&self, client: &Client) -> Result<(), String> {
        if self.epoch.answered == 0 {
            return Ok(());
        }
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![CONSUMER.into()],
            ..Default::default()
        };
        let answer = client.ask(request).await?;
        let group = answer.groups.first().ok_or("no group")?;
        refused(group.error_code)?;
        let member = group
            .members
            .iter()
            .find(|found| &*found.member_id == MEMBER);
        let member = member.ok_or("the member of the consumer group is gone")?;
        self.epoch
            .hold(member.member_epoch.into(), "the member's epoch")?;
        if group.group_epoch < member.member_epoch {
            return Err(format!(
                "{} is behind {}",
                group.group_epoch, member.member_epoch
            ));
        }
        if self.owns && member.assignment.topic_partitions.is_empty() {
            return Err("what the member had is not its any more".to_owned());
        }
        let request = ConsumerGroupHeartbeatRequest {
            group_id: CONSUMER.into(),
            member_id: MEMBER.into(),
            member_epoch: i32::try_from(self.epoch.answered).expect("an epoch"),
            ..Default::default()
        };
        match client.ask(request).await?.error_code {
            ErrorCode::None => Ok(()),
            ErrorCode::FencedMemberEpoch if !self.epoch.is_settled() => Ok(()),
            code => Err(format!(
                "the heartbeat in {:?}: {}",
                self.epoch,
                code.name()
            )),
        }
    }
}
