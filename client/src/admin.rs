//! Administration: topics, configurations, groups, offsets, transactions, the cluster.
//!
//! Calls about several things give an outcome for each; the call itself fails only when no broker
//! answered. All calls are repeated until `default.api.timeout.ms` while that can help.

mod cluster;
mod configs;
mod groups;
mod offsets;
mod topics;
mod transactions;

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::RequestMessage;

use crate::client::Client;
use crate::cluster::{Coordinated, Lane, Topics};
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::retry::Attempt;

pub use cluster::{ClusterDescription, Features, LogDir};
pub use configs::{
    ConfigChange, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym, ConfigType,
};
pub use groups::{GroupDescription, GroupFilter, GroupListing, GroupMember};
pub use offsets::{CommittedOffset, FoundOffset, OffsetSpec};
pub use topics::{NewTopic, PartitionDescription, TopicDescription};
pub use transactions::{
    ProducerState, TransactionDescription, TransactionFilter, TransactionListing,
};

/// Outcomes by the name of what they are about.
pub type Outcomes<T> = BTreeMap<String, Result<T, Error>>;

/// A handle for administration. Made by [`Client::admin`].
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Sends `request` to the controller until it is answered. Who that is may have changed when it
    /// cannot be reached.
    async fn controller<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        request: R,
    ) -> Result<R::Response, Error> {
        let cluster = self.client.cluster();
        let mut is_first = true;
        let attempt = || {
            let refresh = !std::mem::take(&mut is_first);
            let request = request.clone();
            async move {
                if refresh {
                    cluster.refresh(&Topics::none(), false).await?;
                }
                Ok(cluster.call_controller(request, i16::MAX).await?)
            }
        };
        cluster.retry(operation, cluster.deadline(), attempt).await
    }

    /// Sends `request` to any broker until it is answered.
    async fn any<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        request: R,
    ) -> Result<R::Response, Error> {
        let cluster = self.client.cluster();
        cluster
            .retry(operation, cluster.deadline(), || async {
                Ok(cluster.call_any(request.clone(), i16::MAX).await?)
            })
            .await
    }

    /// The brokers that there are now.
    async fn nodes(&self) -> Result<Vec<i32>, Error> {
        let cluster = self.client.cluster();
        let refresh = || async { Ok(cluster.refresh(&Topics::none(), false).await?) };
        let deadline = cluster.deadline();
        cluster.retry("Metadata", deadline, refresh).await?;
        Ok(cluster.metadata().brokers.keys().copied().collect())
    }

    /// Sends `request` to one broker, in version `floor` or newer, until it gives an answer in
    /// which `code` finds no error that passes.
    async fn node<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        node: i32,
        request: R,
        floor: i16,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, Error> {
        let cluster = self.client.cluster();
        let (code, request) = (&code, &request);
        cluster
            .retry(operation, cluster.deadline(), || async move {
                let connection = cluster.node(node, Lane::GENERAL).await;
                let connection = connection.map_err(|error| error.error)?;
                if connection.serves_less(R::API_KEY, floor) {
                    let text = format!("{operation} of version {floor}");
                    return Err(Error::Unsupported(text).into());
                }
                let timeout = cluster.config.request_timeout;
                let answer = connection.call(request.clone(), i16::MAX, timeout).await;
                let response = answer.map_err(|error| error.error)?;
                unless_it_passes(operation, code(&response))?;
                Ok(response)
            })
            .await
    }

    /// Sends `request` to the leader of `partition`, whoever that comes to be, until it gives an
    /// answer in which `code` finds no error that passes.
    async fn leader<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        partition: &TopicPartition,
        request: R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, Error> {
        let cluster = self.client.cluster();
        let deadline = cluster.deadline();
        let topic = Topics::Named([partition.topic.clone()].into());
        let (code, request, topic) = (&code, &request, &topic);
        let mut is_first = true;
        let attempt = || {
            let refresh = !std::mem::take(&mut is_first);
            async move {
                if refresh {
                    cluster.refresh(topic, false).await?;
                }
                let leader = cluster.leader(partition, deadline).await?;
                let timeout = cluster.config.request_timeout;
                let (node, lane) = (leader.node_id, Lane::GENERAL);
                let answer = cluster.call(node, lane, request.clone(), i16::MAX, timeout);
                let response = answer.await.map_err(|error| error.error)?;
                unless_it_passes(operation, code(&response))?;
                Ok(response)
            }
        };
        cluster.retry(operation, deadline, attempt).await
    }

    /// Sends `request` to the coordinator of `group` until it gives an answer in which `code` finds
    /// no error that passes.
    async fn coordinator<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        group: &str,
        request: R,
        cap: i16,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, Error> {
        let of = Coordinated::Group(group);
        let answer = self.coordinator_of(operation, of, request, cap, code).await;
        answer.map(|(_, response)| response)
    }

    /// As [`coordinator`](Self::coordinator) of anything that has one; also gives the broker that
    /// it is.
    async fn coordinator_of<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        of: Coordinated<'_>,
        request: R,
        cap: i16,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<(i32, R::Response), Error> {
        let cluster = self.client.cluster();
        let timeout = cluster.config.request_timeout;
        let (code, request) = (&code, &request);
        cluster
            .retry(operation, cluster.deadline(), || async move {
                let node = cluster.find_coordinator_of(of).await?;
                let answer = cluster.call(node, Lane::GENERAL, request.clone(), cap, timeout);
                let response = answer.await.map_err(|error| error.error)?;
                unless_it_passes(operation, code(&response))?;
                Ok((node, response))
            })
            .await
    }
}

/// An attempt that another may improve on, if this code says so.
fn unless_it_passes(operation: &'static str, code: ErrorCode) -> Result<(), Attempt> {
    match check(operation, code, None) {
        Err(error) if code.is_retriable() => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
