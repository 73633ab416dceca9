//! Administration: topics, configurations, groups, offsets, the cluster.
//!
//! Calls about several things give an outcome for each; the call itself fails only when no broker
//! answered. All calls are repeated until `default.api.timeout.ms` while that can help.

mod groups;
mod offsets;
mod topics;

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DescribeClusterRequest, DescribeConfigsRequest, DescribeConfigsResource, RequestMessage,
};

use crate::client::Client;
use crate::cluster::Lane;
use crate::error::{Error, check};
use crate::retry::Attempt;
use crate::transport::Endpoint;

pub use groups::{GroupDescription, GroupFilter, GroupListing, GroupMember};
pub use offsets::{CommittedOffset, FoundOffset, OffsetSpec};
pub use topics::{NewTopic, PartitionDescription, TopicDescription};

/// Outcomes by the name of what they are about.
pub type Outcomes<T> = BTreeMap<String, Result<T, Error>>;

/// Whose configuration is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// A broker, by its id.
    Broker(i32),
}

/// An entry of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The value; none when it is withheld or not set.
    pub value: Option<String>,
    /// Whether the entry cannot be changed.
    pub read_only: bool,
    /// Whether the value is a secret.
    pub is_sensitive: bool,
    /// Whether nobody set the value.
    pub is_default: bool,
}

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The id of the cluster.
    pub cluster_id: String,
    /// The broker that controls the cluster, if there is one.
    pub controller_id: Option<i32>,
    /// Where its brokers are, by their ids.
    pub brokers: BTreeMap<i32, Endpoint>,
}

/// The source of a value that nobody set, as DescribeConfigs says it.
const DEFAULT_CONFIG: i8 = 5;

/// A handle for administration. Made by [`Client::admin`].
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Sends `request` to the controller until it is answered.
    async fn controller<R: RequestMessage + Clone>(
        &self,
        operation: &'static str,
        request: R,
    ) -> Result<R::Response, Error> {
        let cluster = self.client.cluster();
        cluster
            .retry(operation, cluster.deadline(), || async {
                Ok(cluster.call_controller(request.clone(), i16::MAX).await?)
            })
            .await
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

    /// The brokers that are known.
    fn nodes(&self) -> Vec<i32> {
        let metadata = self.client.cluster().metadata();
        metadata.brokers.keys().copied().collect()
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
        let cluster = self.client.cluster();
        let timeout = cluster.config.request_timeout;
        let code = &code;
        let request = &request;
        cluster
            .retry(operation, cluster.deadline(), || async move {
                let node = cluster.find_coordinator(group).await?;
                let response = cluster
                    .call(node, Lane::GENERAL, request.clone(), cap, timeout)
                    .await
                    .map_err(|error| Attempt::from(error.error))?;
                unless_it_passes(operation, code(&response))?;
                Ok(response)
            })
            .await
    }

    /// Shows the cluster.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let request = DescribeClusterRequest::default();
        let response = self.any("DescribeCluster", request).await?;
        check(
            "DescribeCluster",
            response.error_code,
            response.error_message.as_deref(),
        )?;
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            Some((
                broker.broker_id,
                Endpoint {
                    host: broker.host.to_string(),
                    port,
                },
            ))
        });
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.to_string(),
            controller_id: Some(response.controller_id).filter(|id| *id >= 0),
            brokers: brokers.collect(),
        })
    }

    /// Shows the configuration of a topic or broker, by entry.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] when there is no such topic or broker.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_configs(
        &self,
        resource: ConfigResource,
    ) -> Result<BTreeMap<String, ConfigEntry>, Error> {
        let (resource_type, resource_name) = match resource {
            ConfigResource::Topic(name) => (2, name),
            ConfigResource::Broker(id) => (4, id.to_string()),
        };
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configuration_keys: None,
            }],
            ..DescribeConfigsRequest::default()
        };
        let response = self.any("DescribeConfigs", request).await?;
        let missing = || Error::Corrupt("no configuration in the answer".to_owned());
        let result = response.results.into_iter().next().ok_or_else(missing)?;
        check(
            "DescribeConfigs",
            result.error_code,
            result.error_message.as_deref(),
        )?;
        let entry = |entry: ottla_protocol::message::DescribeConfigsResourceResult| {
            let described = ConfigEntry {
                value: entry.value.map(|value| value.to_string()),
                read_only: entry.read_only,
                is_sensitive: entry.is_sensitive,
                is_default: entry.config_source == DEFAULT_CONFIG,
            };
            (entry.name.to_string(), described)
        };
        Ok(result.configs.into_iter().map(entry).collect())
    }
}

/// An attempt that another may improve on, if this code says so.
fn unless_it_passes(operation: &'static str, code: ErrorCode) -> Result<(), Attempt> {
    match check(operation, code, None) {
        Err(error) if code.is_retriable() => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
