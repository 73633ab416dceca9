//! Configurations: of topics, brokers and groups, shown and changed.

use std::collections::BTreeMap;

use ottla_protocol::message::{
    AlterConfigsResourceResponse, DescribeConfigsRequest, DescribeConfigsResource,
    DescribeConfigsResourceResult, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, IncrementalAlterableConfig,
};

use super::Admin;
use crate::error::{Error, check};

/// Whose configuration is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// A broker, by its id.
    Broker(i32),
    /// What all brokers have unless it is set for one of them.
    AllBrokers,
    /// A group, by its id (KIP-848).
    Group(String),
}

impl ConfigResource {
    /// Type and name on the wire.
    fn wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Broker(id) => (4, id.to_string()),
            Self::AllBrokers => (4, String::new()),
            Self::Group(id) => (32, id.clone()),
        }
    }
}

/// Where the value of an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigSource {
    /// It was set for the topic.
    Topic,
    /// It was set for this broker while it ran.
    Broker,
    /// It was set for all brokers while they ran.
    AllBrokers,
    /// The broker was started with it.
    Static,
    /// Nobody set it.
    Default,
    /// It was set for the logger of a broker.
    BrokerLogger,
    /// It was set for the metrics of clients.
    ClientMetrics,
    /// It was set for the group.
    Group,
    /// The broker says something that this client does not know.
    Unknown,
}

impl ConfigSource {
    fn from_wire(source: i8) -> Self {
        match source {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::AllBrokers,
            4 => Self::Static,
            5 => Self::Default,
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

/// The type of the value of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// A number of 32 bits.
    Int,
    /// A number of 16 bits.
    Short,
    /// A number of 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Values separated by commas, to which some may be appended.
    List,
    /// The name of a class.
    Class,
    /// A secret.
    Password,
    /// The broker does not say, or something that this client does not know.
    Unknown,
}

impl ConfigType {
    fn from_wire(config_type: i8) -> Self {
        match config_type {
            1 => Self::Boolean,
            2 => Self::String,
            3 => Self::Int,
            4 => Self::Short,
            5 => Self::Long,
            6 => Self::Double,
            7 => Self::List,
            8 => Self::Class,
            9 => Self::Password,
            _ => Self::Unknown,
        }
    }
}

/// An entry of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// The value; none when it is withheld or not set.
    pub value: Option<String>,
    /// Whether the entry cannot be changed.
    pub read_only: bool,
    /// Whether the value is a secret.
    pub is_sensitive: bool,
    /// Whether nobody set the value.
    pub is_default: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// The type of the value.
    pub config_type: ConfigType,
    /// All values that were set or would hold otherwise, the one in effect first.
    pub synonyms: Vec<ConfigSynonym>,
    /// What the entry means, if the broker says so.
    pub documentation: Option<String>,
}

/// A value that an entry has, or would have if others were not set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigSynonym {
    /// The name under which it was set, which may be that of a setting of the broker.
    pub name: String,
    /// The value; none when it is withheld or not set.
    pub value: Option<String>,
    /// Where it was set.
    pub source: ConfigSource,
}

/// A change of one entry of a configuration (KIP-339).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// The entry has this value from now on.
    Set(String),
    /// The entry has its default from now on.
    Delete,
    /// These values, separated by commas, are added to a list.
    Append(String),
    /// These values, separated by commas, are taken from a list.
    Subtract(String),
}

impl ConfigChange {
    /// The operation on the wire, and its value.
    fn wire(self) -> (i8, Option<String>) {
        match self {
            Self::Set(value) => (0, Some(value)),
            Self::Delete => (1, None),
            Self::Append(value) => (2, Some(value)),
            Self::Subtract(value) => (3, Some(value)),
        }
    }
}

impl Admin {
    /// Shows the configuration of a topic, broker or group, by entry, with the sources of its
    /// values and what the broker says about their meaning.
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
        let (resource_type, resource_name) = resource.wire();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configuration_keys: None,
            }],
            include_synonyms: true,
            include_documentation: true,
        };
        let operation = "DescribeConfigs";
        let code = |response: &ottla_protocol::message::DescribeConfigsResponse| {
            let result = response.results.first();
            result.map_or(ottla_protocol::ErrorCode::None, |result| result.error_code)
        };
        let response = match resource {
            // Each broker knows its own.
            ConfigResource::Broker(id) => self.node(operation, id, request, 0, code).await?,
            _ => self.any(operation, request).await?,
        };
        let missing = || Error::Corrupt("no configuration in the answer".to_owned());
        let result = response.results.into_iter().next().ok_or_else(missing)?;
        check(
            operation,
            result.error_code,
            result.error_message.as_deref(),
        )?;
        let entry = |entry: DescribeConfigsResourceResult| (entry.name.to_string(), entry.into());
        Ok(result.configs.into_iter().map(entry).collect())
    }

    /// Changes entries of the configuration of a topic, broker or group; the others stay as they
    /// are (KIP-339). Either all of the changes are made or none.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] with `INVALID_CONFIG` for an entry that does not
    /// exist or cannot have the value, and when there is no such topic or broker.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the changes made.
    pub async fn alter_configs<S: Into<String>>(
        &self,
        resource: &ConfigResource,
        changes: impl IntoIterator<Item = (S, ConfigChange)>,
    ) -> Result<(), Error> {
        self.change_configs(resource, changes, false).await
    }

    /// Asks whether [`alter_configs`](Self::alter_configs) would succeed, and changes nothing.
    ///
    /// # Errors
    /// As [`alter_configs`](Self::alter_configs).
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn validate_configs<S: Into<String>>(
        &self,
        resource: &ConfigResource,
        changes: impl IntoIterator<Item = (S, ConfigChange)>,
    ) -> Result<(), Error> {
        self.change_configs(resource, changes, true).await
    }

    async fn change_configs<S: Into<String>>(
        &self,
        resource: &ConfigResource,
        changes: impl IntoIterator<Item = (S, ConfigChange)>,
        validate_only: bool,
    ) -> Result<(), Error> {
        let change = |(name, change): (S, ConfigChange)| {
            let (config_operation, value) = change.wire();
            IncrementalAlterableConfig {
                name: name.into().into(),
                config_operation,
                value: value.map(Into::into),
            }
        };
        let (resource_type, resource_name) = resource.wire();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![IncrementalAlterConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configs: changes.into_iter().map(change).collect(),
            }],
            validate_only,
        };
        let operation = "IncrementalAlterConfigs";
        let outcome = |response: &IncrementalAlterConfigsResponse| {
            let outcome: Option<&AlterConfigsResourceResponse> = response.responses.first();
            outcome.map_or(ottla_protocol::ErrorCode::None, |outcome| {
                outcome.error_code
            })
        };
        let response = match resource {
            ConfigResource::Broker(id) => self.node(operation, *id, request, 0, outcome).await?,
            _ => self.controller(operation, request).await?,
        };
        let missing = || Error::Corrupt("no outcome in the answer".to_owned());
        let outcome = response.responses.into_iter().next().ok_or_else(missing)?;
        check(
            operation,
            outcome.error_code,
            outcome.error_message.as_deref(),
        )
    }
}

impl From<DescribeConfigsResourceResult> for ConfigEntry {
    fn from(entry: DescribeConfigsResourceResult) -> Self {
        let source = ConfigSource::from_wire(entry.config_source);
        let synonyms = entry.synonyms.into_iter().map(|synonym| ConfigSynonym {
            name: synonym.name.to_string(),
            value: synonym.value.map(|value| value.to_string()),
            source: ConfigSource::from_wire(synonym.source),
        });
        Self {
            value: entry.value.map(|value| value.to_string()),
            read_only: entry.read_only,
            is_sensitive: entry.is_sensitive,
            is_default: source == ConfigSource::Default,
            source,
            config_type: ConfigType::from_wire(entry.config_type),
            synonyms: synonyms.collect(),
            documentation: entry.documentation.map(|text| text.to_string()),
        }
    }
}
