//! `ottla config`: what holds, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use ottla_broker::config::{
    BrokerConfig, ConfigEntry, Scope, TopicConfig, broker_settings, describe_broker, describe_topic,
};

use crate::args::Options;
use crate::failure::Failure;
use crate::settings::gather;

/// Prints one line for each setting that has a value: name, value, origin.
pub(crate) fn show(options: &Options) -> Result<(), Failure> {
    let settings = gather(options, std::env::vars_os())?;
    for warning in &settings.warnings {
        // A warning that cannot be written is not worth more than the answer.
        let _ = writeln!(std::io::stderr(), "ottla: warning: {warning}");
    }
    let text = table(&effective(&settings.config));
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::Output)
}

/// The settings that count: neither an older name nor one that another outweighs.
fn effective(config: &BrokerConfig) -> Vec<[String; 3]> {
    let scopes: BTreeMap<_, _> = broker_settings()
        .iter()
        .map(|setting| (setting.name, setting.scope))
        .collect();
    let aliases: BTreeSet<_> = scopes
        .values()
        .filter_map(|scope| match scope {
            Scope::Broker { alias } => *alias,
            _ => None,
        })
        .collect();
    let topics = describe_topic(&TopicConfig::default(), config);
    let counting: BTreeSet<_> = topics
        .iter()
        .filter_map(|topic| Some(topic.synonyms.first()?.name))
        .collect();
    describe_broker(config)
        .into_iter()
        .filter(|entry| match scopes.get(entry.name) {
            Some(Scope::TopicDefault { .. }) => counting.contains(entry.name),
            _ => !aliases.contains(entry.name),
        })
        .filter_map(|entry| line(entry, config))
        .collect()
}

fn line(entry: ConfigEntry, config: &BrokerConfig) -> Option<[String; 3]> {
    let origin = entry
        .synonyms
        .first()
        .and_then(|synonym| config.origin(synonym.name));
    let origin = origin.map_or_else(|| "default".to_owned(), ToString::to_string);
    Some([entry.name.to_owned(), entry.value?, origin])
}

fn table(lines: &[[String; 3]]) -> String {
    let width = |cell: fn(&[String; 3]) -> &String| {
        lines
            .iter()
            .map(|line| cell(line).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (names, values) = (width(|[name, ..]| name), width(|[_, value, _]| value));
    lines
        .iter()
        .map(|[name, value, origin]| format!("{name:names$}  {value:values$}  {origin}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(entries: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
        let config = BrokerConfig::from_entries(entries.iter().copied()).unwrap();
        let lines = effective(&config).into_iter();
        lines
            .map(|[name, value, origin]| (name, (value, origin)))
            .collect()
    }

    fn line(value: &str, origin: &str) -> Option<(String, String)> {
        Some((value.to_owned(), origin.to_owned()))
    }

    #[test]
    fn each_thing_is_shown_once_under_the_name_that_counts() {
        let defaults = shown(&[]);
        assert_eq!(
            defaults.get("log.retention.hours").cloned(),
            line("168", "default")
        );
        assert_eq!(defaults.get("node.id").cloned(), line("1", "default"));
        assert!(!defaults.contains_key("broker.id"));
        assert!(!defaults.contains_key("broker.rack"));
        let given = shown(&[("log.retention.ms", "5"), ("broker.id", "4")]);
        assert_eq!(given.get("log.retention.ms").cloned(), line("5", "program"));
        assert!(!given.contains_key("log.retention.hours"));
        assert_eq!(given.get("node.id").cloned(), line("4", "program"));
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let text = table(&[row(["a", "1", "default"]), row(["bbb", "22", "--set"])]);
        assert_eq!(text, "a    1   default\nbbb  22  --set\n");
    }
}
