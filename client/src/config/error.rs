//! Why a setting was refused.

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("unknown setting `{name}`{}", .nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name given.
        name: String,
        /// The setting whose name is nearest, if any is near.
        nearest: Option<&'static str>,
    },
    /// Kafka's Java client has the setting and this client does not.
    #[error("setting `{name}` is not supported: {reason}")]
    Unsupported {
        /// The name given.
        name: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// The value is not one that the setting takes.
    #[error("setting `{name}` cannot be `{value}`: {expected}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// What the setting takes.
        expected: String,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Conflict(String),
}
