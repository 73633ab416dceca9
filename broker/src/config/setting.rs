//! Pure. What one setting is: its name, type, default, what it allows and what it is for.

use std::fmt;

use super::error::{ConfigError, Problem};

/// The type of a setting's value, as DescribeConfigs names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Bool,
    /// Free text, or one of a few words.
    String,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A floating point number.
    Double,
    /// Words separated by commas.
    List,
}

impl ConfigType {
    /// The code in a DescribeConfigs response.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }
}

impl fmt::Display for ConfigType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "`true` or `false`",
            Self::String => "text",
            Self::Int => "an integer",
            Self::Long => "a long integer",
            Self::Double => "a number",
            Self::List => "words separated by commas",
        })
    }
}

/// The values that a setting takes, within its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowed {
    /// Every value of the type.
    Any,
    /// Any text or list but the empty one.
    NotEmpty,
    /// Integers from this one up.
    AtLeast(i64),
    /// Integers from the first to the second, both included.
    Between(i64, i64),
    /// Numbers from 0 to 1, both included.
    Ratio,
    /// Numbers above 0.
    Positive,
    /// One of these words; for a list, any number of them.
    OneOf(&'static [&'static str]),
    /// One value, because Ottla does not do what another one would ask for.
    Only {
        /// The value.
        value: &'static str,
        /// Why, as the end of a sentence.
        because: &'static str,
    },
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::NotEmpty => f.write_str(", not empty"),
            Self::AtLeast(least) => write!(f, ", at least {least}"),
            Self::Between(least, most) => write!(f, " from {least} to {most}"),
            Self::Ratio => f.write_str(" from 0 to 1"),
            Self::Positive => f.write_str(" above 0"),
            Self::OneOf(words) => write!(f, ": {}", words.join(", ")),
            Self::Only { value, because } => write!(f, ": only `{value}`, because {because}"),
        }
    }
}

/// The unit of a broker setting that is the default of a topic setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The topic's own unit.
    Same,
    /// Minutes, where the topic's setting is in milliseconds.
    Minutes,
    /// Hours, where the topic's setting is in milliseconds.
    Hours,
}

impl Unit {
    /// How many of the topic's units one of these is.
    #[must_use]
    pub fn factor(self) -> i64 {
        match self {
            Self::Same => 1,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
        }
    }
}

/// A broker setting that is the default of a topic setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker setting.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
}

/// Where a setting can be set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scope {
    /// On the broker.
    Broker {
        /// An older name of the same setting, which counts when this one is absent.
        alias: Option<&'static str>,
    },
    /// On a topic; without a value there, the first of these broker settings that has one counts.
    /// The last one carries the default.
    Topic(&'static [Synonym]),
    /// On a group; without a value there, this broker setting counts.
    Group(&'static str),
    /// On the broker, as the default of this topic setting.
    TopicDefault {
        /// The topic setting.
        topic: &'static str,
        /// The unit of the broker's value.
        unit: Unit,
    },
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of the value.
    pub config_type: ConfigType,
    /// The value when nobody sets it; `None` for no value at all.
    pub default: Option<&'static str>,
    /// The values it takes.
    pub allowed: Allowed,
    /// Where it can be set.
    pub scope: Scope,
    /// Whether clients can change it while the broker runs.
    pub dynamic: bool,
    /// What it does, in full sentences.
    pub doc: &'static str,
}

/// A value of the type of its setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a [`ConfigType::Bool`].
    Bool(bool),
    /// Of a [`ConfigType::Int`] or [`ConfigType::Long`].
    Integer(i64),
    /// Of a [`ConfigType::Double`].
    Double(f64),
    /// Of a [`ConfigType::String`].
    Text(String),
    /// Of a [`ConfigType::List`].
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            // Kafka prints a double with its point, and the exponent of a large one with `E`.
            Self::Double(value) => f.write_str(&format!("{value:?}").replace('e', "E")),
            Self::Text(value) => value.fmt(f),
            Self::List(words) => f.write_str(&words.join(",")),
        }
    }
}

impl Setting {
    /// Reads a value of this setting.
    ///
    /// # Errors
    ///
    /// The value is not of the type, or not allowed.
    pub fn parse(&self, value: &str) -> Result<Value, ConfigError> {
        self.parse_typed(value)
            .filter(|value| self.allows(value))
            .ok_or_else(|| {
                let problem = Problem::BadValue {
                    value: value.trim().to_owned(),
                    expected: self.expected(),
                };
                ConfigError::new(self.name, problem)
            })
    }

    /// What this setting takes, as the end of a sentence.
    #[must_use]
    pub fn expected(&self) -> String {
        match self.allowed {
            Allowed::Only { value: "", because } => {
                format!("nothing, because {because}")
            }
            Allowed::Only { value, because } => format!("`{value}`, because {because}"),
            Allowed::OneOf(words) if self.config_type == ConfigType::List => {
                format!("a list of {}", words.join(", "))
            }
            Allowed::OneOf(words) => format!("one of {}", words.join(", ")),
            allowed => format!("{}{allowed}", self.config_type),
        }
    }

    fn parse_typed(&self, value: &str) -> Option<Value> {
        let value = value.trim();
        match self.config_type {
            ConfigType::Bool if value.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            ConfigType::Bool if value.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            ConfigType::Bool => None,
            ConfigType::Int => value
                .parse()
                .ok()
                .map(|number: i32| Value::Integer(number.into())),
            ConfigType::Long => value.parse().ok().map(Value::Integer),
            ConfigType::Double => value
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Value::Double),
            ConfigType::String => Some(Value::Text(value.to_owned())),
            ConfigType::List => Some(Value::List(list(value))),
        }
    }

    fn allows(&self, value: &Value) -> bool {
        match (self.allowed, value) {
            (Allowed::Any, _) => true,
            (Allowed::NotEmpty, Value::Text(text)) => !text.is_empty(),
            (Allowed::NotEmpty, Value::List(words)) => !words.is_empty(),
            (Allowed::AtLeast(least), Value::Integer(number)) => *number >= least,
            (Allowed::Between(least, most), Value::Integer(number)) => {
                (least..=most).contains(number)
            }
            (Allowed::Ratio, Value::Double(number)) => (0.0..=1.0).contains(number),
            (Allowed::Positive, Value::Double(number)) => *number > 0.0,
            (Allowed::OneOf(allowed), Value::List(words)) => {
                words.iter().all(|word| allowed.contains(&word.as_str()))
            }
            (Allowed::OneOf(allowed), value) => allowed.contains(&value.to_string().as_str()),
            (Allowed::Only { value: only, .. }, value) => value.to_string() == only,
            _ => false,
        }
    }
}

fn list(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
