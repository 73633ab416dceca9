//! Configuration files: TOML, whose nested tables become dotted names, or Java properties.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use crate::failure::Failure;
use crate::properties;

/// The settings in a file.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// The extension decides; without a known one, what looks like TOML is read as TOML.
fn parse(path: &Path, text: &str) -> Result<Vec<(String, String)>, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => parse_toml(path, text),
        Some("properties") => parse_properties(path, text),
        _ => parse_toml(path, text).or_else(|mistake| {
            if has_toml_syntax(text) {
                Err(mistake)
            } else {
                parse_properties(path, text)
            }
        }),
    }
}

/// Whether a line is a table or has a quoted value or a list, which properties would keep as text.
fn has_toml_syntax(text: &str) -> bool {
    text.lines().any(|line| {
        let value = line.split_once('=').map_or("", |(_, value)| value);
        line.trim_start().starts_with('[') || value.trim_start().starts_with(['"', '\'', '['])
    })
}

fn parse_properties(path: &Path, text: &str) -> Result<Vec<(String, String)>, Failure> {
    properties::parse(text).map_err(|error| Failure::Syntax {
        path: path.to_owned(),
        line: error.line,
        message: error.message.to_owned(),
    })
}

fn parse_toml(path: &Path, text: &str) -> Result<Vec<(String, String)>, Failure> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let end = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(end).filter(|byte| *byte == b'\n').count();
        let message = error.message().lines().collect::<Vec<_>>().join(" ");
        Failure::Syntax {
            path: path.to_owned(),
            line,
            message,
        }
    })?;
    let mut settings = BTreeMap::new();
    flatten("", &table, &mut settings).map_err(|message| Failure::Syntax {
        path: path.to_owned(),
        line: 1,
        message,
    })?;
    Ok(settings.into_iter().collect())
}

fn flatten(
    prefix: &str,
    table: &Table,
    settings: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        if let Value::Table(table) = value {
            flatten(&name, table, settings)?;
            continue;
        }
        let Some(value) = plain(value) else {
            return Err(format!(
                "`{name}` is neither text, a number, a boolean nor a list of these"
            ));
        };
        if settings.insert(name.clone(), value).is_some() {
            return Err(format!("`{name}` is set twice"));
        }
    }
    Ok(())
}

/// A value as it would stand in a properties file.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Array(values) => {
            let words: Option<Vec<String>> = values.iter().map(plain).collect();
            Some(words?.join(","))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Vec<(String, String)> {
        parse(Path::new(name), text).unwrap()
    }

    fn refusal(name: &str, text: &str) -> String {
        parse(Path::new(name), text).unwrap_err().to_string()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn toml_tables_become_dotted_names_and_its_types_text() {
        let text = "num.partitions = 3\n\"node.id\" = 1\n[log]\ndirs = ['/a']\n[log.cleaner]\n\
                    min.cleanable.ratio = 0.25\n[log.cleanup]\npolicy = ['compact', 'delete']\n\
                    [delete.topic]\nenable = false\n";
        assert_eq!(
            read("ottla.toml", text),
            pairs(&[
                ("delete.topic.enable", "false"),
                ("log.cleaner.min.cleanable.ratio", "0.25"),
                ("log.cleanup.policy", "compact,delete"),
                ("log.dirs", "/a"),
                ("node.id", "1"),
                ("num.partitions", "3"),
            ])
        );
    }

    #[test]
    fn the_extension_decides_and_then_the_content() {
        let text = "log.dirs=/tmp/x\n";
        let expected = pairs(&[("log.dirs", "/tmp/x")]);
        assert_eq!(read("server.properties", text), expected);
        assert_eq!(read("server.conf", text), expected);
        assert_eq!(read("server.conf", "log.dirs='/tmp/x'"), expected);
        assert!(refusal("server.toml", text).starts_with("server.toml, line 1: "));
    }

    #[test]
    fn a_mistake_in_toml_is_told_whatever_the_extension() {
        for text in [
            "log.dirs = \"/a\"\nnum.partitions = three\n",
            "[log]\ndirs = /a\n",
            "log.dirs = ['/a'\n",
        ] {
            let refused = refusal("server.conf", text);
            assert_eq!(
                refused,
                refusal("server.toml", text).replace(".toml", ".conf")
            );
        }
    }

    #[test]
    fn what_is_not_a_setting_is_refused_in_one_line() {
        let broken = refusal("a.toml", "x = 1\n\ny = = 2\n");
        assert!(
            broken.starts_with("a.toml, line 3: ") && !broken.contains('\n'),
            "{broken}"
        );
        assert!(refusal("a.toml", "x = 1979-05-27").contains("`x` is neither text"));
        assert!(refusal("a.toml", "a.b = 1\n\"a.b\" = 2").contains("`a.b` is set twice"));
        assert!(refusal("a.properties", "a=\\u00").contains("line 1"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = super::read(Path::new("/nowhere/ottla.toml"))
            .unwrap_err()
            .to_string();
        assert!(failure.starts_with("cannot read the configuration file /nowhere/ottla.toml: "));
    }
}
