//! Pure. Settings as they were given, from several places, before they mean anything.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::table::{broker_setting, family};

/// Where a value was given. Later variants count more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A command line flag.
    Flag(String),
    /// The program that the broker is a part of.
    Program,
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Environment(_) => 1,
            Self::Flag(_) => 2,
            Self::Program => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Program => f.write_str("program"),
        }
    }
}

/// Keys and values with their origins. Where several origins give the same thing, be it under
/// different names (`log.retention.ms` and `log.retention.hours`), the weightiest one counts,
/// whatever the order in which they are set; of equals, the last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigMap {
    entries: BTreeMap<String, (String, Origin)>,
}

impl ConfigMap {
    /// A map without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts in one value. Nothing is checked here.
    pub fn set(&mut self, key: &str, value: impl Into<String>, origin: Origin) {
        let names = match broker_setting(key) {
            Ok(setting) => family(setting.name),
            Err(_) => vec![key],
        };
        let outweighs = |other: &str, by: &dyn Fn(u8, u8) -> bool| {
            let given = self.entries.get(other);
            given.is_some_and(|(_, given)| by(given.rank(), origin.rank()))
        };
        if names
            .iter()
            .any(|name| outweighs(name, &|given, new| given > new))
        {
            return;
        }
        let lighter: Vec<&str> = names
            .into_iter()
            .filter(|name| outweighs(name, &|given, new| given < new))
            .collect();
        for name in lighter {
            self.entries.remove(name);
        }
        self.entries.insert(key.to_owned(), (value.into(), origin));
    }

    /// Every entry, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        self.entries
            .iter()
            .map(|(key, (value, origin))| (key.as_str(), value.as_str(), origin))
    }
}
