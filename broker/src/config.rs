//! Pure. The one table of settings, under Kafka's names, and the typed configurations made from it.
//!
//! Nothing here reads a file, an argument or the environment: whoever starts a broker does that and
//! hands over a [`ConfigMap`]. A setting that would have no effect is refused, except those of
//! Kafka's settings that have no meaning on one node ([`foreign`]).

mod broker;
mod broker_settings;
mod change;
mod describe;
mod endpoint;
mod error;
mod foreign;
mod group;
mod map;
mod setting;
mod table;
#[cfg(test)]
mod tests;
mod topic;
mod topic_settings;
mod values;

pub use broker::{BrokerConfig, ConfigWarning};
pub(crate) use change::{ConfigChange, ConfigOperation};
pub use describe::{
    ConfigEntry, ConfigSource, ConfigSynonym, describe_broker, describe_cluster_defaults,
    describe_topic,
};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ConfigError, Problem};
pub use foreign::{Foreign, Verdict, foreign};
pub(crate) use group::{GroupOverrides, describe_group, group_setting};
pub use map::{ConfigMap, Origin};
pub use setting::{Allowed, ConfigType, Scope, Setting, Synonym, Unit, Value};
pub use table::{broker_setting, broker_settings, topic_setting, topic_settings};
pub use topic::{
    CleanupPolicy, EffectiveTopicConfig, Recompression, TopicConfig, validate_topic_override,
};
