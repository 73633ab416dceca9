//! Pure. What a client asks to change, and the entries that this makes of those before.

use std::collections::BTreeMap;

use super::error::{ConfigError, Problem};
use super::setting::{ConfigType, Setting};

/// A change of the entries of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigChange {
    /// These entries and no others.
    Replace(BTreeMap<String, String>),
    /// One entry after the other (KIP-339).
    Each(Vec<(String, ConfigOperation)>),
}

/// What is done to one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigOperation {
    /// It has this value.
    Set(String),
    /// It has the value that holds without it.
    Delete,
    /// The list has these words too.
    Append(String),
    /// The list has none of these words.
    Subtract(String),
}

impl ConfigChange {
    /// The entries that this makes of `current`. They still have to be checked.
    ///
    /// # Errors
    /// A list operation on what is no list.
    pub(crate) fn apply(
        &self,
        current: &BTreeMap<String, String>,
        find: impl Fn(&str) -> Result<&'static Setting, ConfigError>,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let operations = match self {
            Self::Replace(entries) => return Ok(entries.clone()),
            Self::Each(operations) => operations,
        };
        let mut entries = current.clone();
        for (key, operation) in operations {
            let value = match operation {
                ConfigOperation::Set(value) => value.clone(),
                // As in Kafka, a name that never was can be deleted too.
                ConfigOperation::Delete => {
                    entries.remove(key);
                    continue;
                }
                ConfigOperation::Append(words) => {
                    let mut list = list(&entries, find(key)?)?;
                    for word in split(words) {
                        if !list.contains(&word) {
                            list.push(word);
                        }
                    }
                    list.join(",")
                }
                ConfigOperation::Subtract(words) => {
                    let mut list = list(&entries, find(key)?)?;
                    let gone: Vec<_> = split(words).collect();
                    list.retain(|word| !gone.contains(word));
                    list.join(",")
                }
            };
            entries.insert(key.clone(), value);
        }
        Ok(entries)
    }
}

/// The words of a list entry or, as in Kafka, of the table's default: not of another layer's.
fn list(
    entries: &BTreeMap<String, String>,
    setting: &'static Setting,
) -> Result<Vec<String>, ConfigError> {
    if setting.config_type != ConfigType::List {
        return Err(ConfigError::new(setting.name, Problem::NotAList));
    }
    let own = entries.get(setting.name).map(String::as_str);
    Ok(split(own.or(setting.default).unwrap_or_default()).collect())
}

fn split(words: &str) -> impl Iterator<Item = String> {
    let words = words.split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}
