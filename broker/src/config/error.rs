//! Why a setting was refused: the key, what is wrong with it and what would be right.

use std::fmt;

use super::Origin;

/// A setting that cannot be taken as given. On the wire it is INVALID_CONFIG; the `Display` text is
/// one sentence without its full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    key: String,
    origin: Option<Origin>,
    problem: Problem,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Neither Ottla nor Kafka has a setting of this name.
    Unknown {
        /// The known name that is most like it.
        nearest: Option<&'static str>,
    },
    /// A setting of Kafka's that Ottla does not honour.
    Unsupported {
        /// Why, as a clause.
        reason: &'static str,
    },
    /// A setting of the broker that clients cannot change.
    NotDynamic,
    /// An entry of a list was to be added or taken away, and the setting is no list.
    NotAList,
    /// A value that the setting does not take.
    BadValue {
        /// The value.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// A value that does not go with another setting.
    Conflict {
        /// The value.
        value: String,
        /// What it does not go with, as a clause.
        reason: String,
    },
}

impl ConfigError {
    pub(super) fn new(key: &str, problem: Problem) -> Self {
        Self {
            key: key.to_owned(),
            origin: None,
            problem,
        }
    }

    pub(super) fn bad_value(key: &str, value: &str, expected: &str) -> Self {
        let problem = Problem::BadValue {
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        Self::new(key, problem)
    }

    pub(super) fn conflict(key: &str, value: impl fmt::Display, reason: String) -> Self {
        Self::new(
            key,
            Problem::Conflict {
                value: value.to_string(),
                reason,
            },
        )
    }

    #[must_use]
    pub(super) fn at(self, origin: Option<&Origin>) -> Self {
        Self {
            origin: origin.cloned(),
            ..self
        }
    }

    /// The key as it was given.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the key was given, if that is known.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = Quoted(&self.key);
        if let Some(origin) = self
            .origin
            .as_ref()
            .filter(|origin| **origin != Origin::Program)
        {
            write!(f, "{origin}: ")?;
        }
        match &self.problem {
            Problem::Unknown {
                nearest: Some(nearest),
            } => {
                write!(f, "there is no setting {key}; did you mean `{nearest}`?")
            }
            Problem::Unknown { nearest: None } => write!(f, "there is no setting {key}"),
            Problem::Unsupported { reason } => {
                write!(f, "the setting {key} is not supported: {reason}")
            }
            Problem::NotDynamic => write!(
                f,
                "the setting {key} cannot be changed while the broker runs; set it where the \
                 broker is started"
            ),
            Problem::NotAList => write!(
                f,
                "the setting {key} is not a list, so nothing can be appended to it or subtracted \
                 from it"
            ),
            Problem::BadValue { value, expected } => {
                write!(
                    f,
                    "the setting {key} is {}, but must be {expected}",
                    Quoted(value)
                )
            }
            Problem::Conflict { value, reason } => {
                write!(f, "the setting {key} is {}, but {reason}", Quoted(value))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Text of a stranger's: one line, of bounded length.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 120;
        f.write_str("`")?;
        for c in self.0.chars().take(LONGEST) {
            write!(f, "{}", if c.is_control() { '\u{fffd}' } else { c })?;
        }
        f.write_str(if self.0.chars().nth(LONGEST).is_some() {
            "…`"
        } else {
            "`"
        })
    }
}
