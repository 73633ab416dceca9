//! The cluster: its brokers, its features, and the disks of its brokers.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    ApiVersionsRequest, DescribeClusterRequest, DescribeLogDirsRequest, DescribeLogDirsResponse,
};

use super::{Admin, Outcomes};
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::transport::Endpoint;

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

/// What a cluster can do and does (KIP-584), by the names of the features.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// The lowest and highest level that the broker which was asked can run with.
    pub supported: BTreeMap<String, (i16, i16)>,
    /// The level that the cluster runs with; features at level 0 are left out.
    pub finalized: BTreeMap<String, i16>,
    /// Rises with every change of `finalized`; none when the broker does not say.
    pub epoch: Option<i64>,
}

/// A directory in which a broker keeps its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDir {
    /// Bytes of the volume, if the broker says so.
    pub total_bytes: Option<u64>,
    /// Bytes of the volume that can still be used, if the broker says so.
    pub usable_bytes: Option<u64>,
    /// Bytes of each log.
    pub logs: BTreeMap<TopicPartition, u64>,
}

impl Admin {
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
        let message = response.error_message.as_deref();
        check("DescribeCluster", response.error_code, message)?;
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let endpoint = Endpoint {
                host: broker.host.to_string(),
                port: u16::try_from(broker.port).ok()?,
            };
            Some((broker.broker_id, endpoint))
        });
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.to_string(),
            controller_id: Some(response.controller_id).filter(|id| *id >= 0),
            brokers: brokers.collect(),
        })
    }

    /// Shows the features of the cluster, as `group.version` or `transaction.version`.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_features(&self) -> Result<Features, Error> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla-client".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let response = self.any("ApiVersions", request).await?;
        check("ApiVersions", response.error_code, None)?;
        let supported = response.supported_features.into_iter().map(|feature| {
            let levels = (feature.min_version, feature.max_version);
            (feature.name.to_string(), levels)
        });
        let finalized = response.finalized_features.into_iter();
        let finalized =
            finalized.map(|feature| (feature.name.to_string(), feature.max_version_level));
        let epoch = response.finalized_features_epoch;
        Ok(Features {
            supported: supported.collect(),
            finalized: finalized.collect(),
            epoch: (epoch >= 0).then_some(epoch),
        })
    }

    /// Shows the directories of a broker, by their paths, and what is in them.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`]; in an outcome, what is wrong with a directory.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Outcomes<LogDir>, Error> {
        let operation = "DescribeLogDirs";
        let request = DescribeLogDirsRequest { topics: None };
        let code = |response: &DescribeLogDirsResponse| response.error_code;
        let response = self.node(operation, broker, request, 0, code).await?;
        // Before version 3 a refusal is an answer about nothing.
        if response.error_code == ErrorCode::None && response.results.is_empty() {
            return Err(Error::Corrupt("a broker without directories".to_owned()));
        }
        check(operation, response.error_code, None)?;
        let directory = |found: ottla_protocol::message::DescribeLogDirsResult| {
            let mut logs = BTreeMap::new();
            for topic in &found.topics {
                for log in &topic.partitions {
                    let partition = TopicPartition::new(&*topic.name, log.partition_index);
                    logs.insert(
                        partition,
                        u64::try_from(log.partition_size).unwrap_or_default(),
                    );
                }
            }
            let described = check(operation, found.error_code, None).map(|()| LogDir {
                total_bytes: u64::try_from(found.total_bytes).ok(),
                usable_bytes: u64::try_from(found.usable_bytes).ok(),
                logs,
            });
            (found.log_dir.to_string(), described)
        };
        Ok(response.results.into_iter().map(directory).collect())
    }
}
