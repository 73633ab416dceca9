//! Puts settings together: flags outweigh the environment, which outweighs the file.

use std::ffi::OsString;

use ottla_broker::config::{BrokerConfig, ConfigMap, Origin, broker_setting, foreign};

use crate::args::Options;
use crate::failure::Failure;
use crate::file;

/// The configuration, and what is to be said about it.
pub(crate) struct Settings {
    pub(crate) config: BrokerConfig,
    /// Each a clause.
    pub(crate) warnings: Vec<String>,
}

/// Reads all that a command is told.
pub(crate) fn gather(
    options: &Options,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Settings, Failure> {
    let mut map = ConfigMap::new();
    if let Some(path) = &options.config {
        for (key, value) in file::read(path)? {
            map.set(&key, value, Origin::File(path.clone()));
        }
    }
    let mut warnings = from_environment(environment, &mut map);
    from_flags(options, &mut map)?;
    let config = BrokerConfig::from_map(&map)?;
    warnings.extend(config.warnings().iter().map(ToString::to_string));
    Ok(Settings { config, warnings })
}

/// The flags of their own come last: they outweigh `--set`.
fn from_flags(options: &Options, map: &mut ConfigMap) -> Result<(), Failure> {
    for pair in &options.set {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::NotAPair("--set", pair.clone()))?;
        map.set(key.trim(), value, Origin::Flag("--set".to_owned()));
    }
    let flags = [
        ("--listen", "listeners", &options.listen),
        ("--advertise", "advertised.listeners", &options.advertise),
        ("--data-dir", "log.dirs", &options.data_dir),
    ];
    for (flag, key, value) in flags {
        if let Some(value) = value {
            map.set(key, value, Origin::Flag(flag.to_owned()));
        }
    }
    Ok(())
}

/// Other tools use the prefix too, so that a name which is no setting earns a warning only. An
/// empty value is none.
fn from_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    map: &mut ConfigMap,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (variable, value) in environment {
        let Some(variable) = variable.to_str() else {
            continue;
        };
        let Some(key) = variable.strip_prefix("KAFKA_").map(setting_name) else {
            continue;
        };
        if broker_setting(&key).is_err() && foreign(&key).is_none() {
            warnings.push(format!(
                "environment variable {variable} is ignored: no setting `{key}`"
            ));
            continue;
        }
        match value.into_string() {
            Ok(value) if value.trim().is_empty() => {}
            Ok(value) => map.set(&key, value, Origin::Environment(variable.to_owned())),
            Err(_) => {
                warnings.push(format!(
                    "environment variable {variable} is ignored: not UTF-8"
                ));
            }
        }
    }
    warnings.sort();
    warnings
}

/// `LOG_DIRS` is `log.dirs`; two underscores stand for one and three for a dash, as in Kafka's
/// own container images.
fn setting_name(variable: &str) -> String {
    variable
        .to_lowercase()
        .replace("___", "-")
        .replace("__", "\0")
        .replace('_', ".")
        .replace('\0', "_")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn set(pairs: &[&str]) -> Options {
        Options {
            set: pairs.iter().map(|&pair| pair.to_owned()).collect(),
            ..Options::default()
        }
    }

    fn refusal(options: &Options, variables: &[(&str, &str)]) -> String {
        match gather(options, environment(variables)) {
            Ok(_) => panic!("accepted"),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn nothing_at_all_is_the_default() {
        let settings = gather(&Options::default(), []).unwrap();
        assert_eq!(settings.config.listener.to_string(), "127.0.0.1:9092");
        assert_eq!(settings.config.log_dir, PathBuf::from("./ottla-data"));
        assert!(settings.warnings.is_empty());
    }

    #[test]
    fn a_flag_outweighs_the_environment_and_that_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ottla.toml");
        std::fs::write(&path, "num.partitions = 1\nnode.id = 1\ngroup.max.size = 1").unwrap();
        let options = Options {
            config: Some(path.clone()),
            ..set(&["num.partitions=3"])
        };
        let variables = [("KAFKA_NUM_PARTITIONS", "2"), ("KAFKA_BROKER_ID", "2")];
        let config = gather(&options, environment(&variables)).unwrap().config;
        assert_eq!(
            (config.num_partitions, config.node_id, config.group_max_size),
            (3, 2, 1)
        );
        let origin = |name| config.origin(name).unwrap().clone();
        assert_eq!(origin("num.partitions"), Origin::Flag("--set".to_owned()));
        assert_eq!(
            origin("broker.id"),
            Origin::Environment("KAFKA_BROKER_ID".to_owned())
        );
        assert_eq!(origin("group.max.size"), Origin::File(path));
    }

    #[test]
    fn a_flag_of_its_own_outweighs_set() {
        let options = Options {
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some("/data".to_owned()),
            advertise: Some("broker.example:9092".to_owned()),
            ..set(&["listeners=127.0.0.1:1", "log.dirs=/other"])
        };
        let config = gather(&options, []).unwrap().config;
        assert_eq!(config.listener.port, 0);
        assert_eq!(config.log_dir, PathBuf::from("/data"));
        assert_eq!(config.advertised_listener.unwrap().host, "broker.example");
    }

    #[test]
    fn a_variable_that_is_no_setting_earns_a_warning() {
        let variables = [
            ("KAFKA_HEAP_OPTS", "-Xmx1G"),
            ("HOME", "/"),
            ("KAFKA_BROKER_RACK", ""),
        ];
        let settings = gather(&Options::default(), environment(&variables)).unwrap();
        assert_eq!(
            settings.warnings,
            ["environment variable KAFKA_HEAP_OPTS is ignored: no setting `heap.opts`"]
        );
    }

    #[test]
    fn a_variable_that_is_a_setting_must_be_right() {
        assert_eq!(
            refusal(&Options::default(), &[("KAFKA_NUM_PARTITIONS", "0")]),
            "environment variable KAFKA_NUM_PARTITIONS: the setting `num.partitions` is `0`, but \
             must be an integer, at least 1"
        );
        let refused = refusal(
            &Options::default(),
            &[("KAFKA_SASL_ENABLED_MECHANISMS", "PLAIN")],
        );
        assert!(refused.contains("is not supported"), "{refused}");
    }

    #[test]
    fn underscores_become_dots_underscores_and_dashes() {
        assert_eq!(setting_name("A_B__C___D"), "a.b_c-d");
    }

    #[test]
    fn a_mistake_is_told_in_one_sentence() {
        assert_eq!(
            refusal(&set(&["x"]), &[]),
            "--set takes `key=value`, not `x`"
        );
        assert_eq!(
            refusal(&set(&["num.partition=1"]), &[]),
            "--set: there is no setting `num.partition`; did you mean `num.partitions`?"
        );
        let options = Options {
            listen: Some("9092".to_owned()),
            ..Options::default()
        };
        assert_eq!(
            refusal(&options, &[]),
            "--listen: the setting `listeners` is `9092`, but must be `host:port` or \
             `PLAINTEXT://host:port`"
        );
    }
}
