//! What a topic may be called. Pure.

use crate::internal_log;

/// Longest topic name; with a partition number it still is a file name.
const MAX_LEN: usize = 249;

/// Accepts `[a-zA-Z0-9._-]{1,249}` but not `.` and `..`.
///
/// # Errors
/// What is wrong with the name, as one sentence.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() {
        Err("The topic name is empty.".to_owned())
    } else if matches!(name, "." | "..") {
        Err(format!("A topic cannot be named '{name}'."))
    } else if name.len() > MAX_LEN {
        Err(format!(
            "The topic name is {} characters long; {MAX_LEN} are allowed.",
            name.len()
        ))
    } else if !name.bytes().all(legal) {
        Err(format!(
            "Topic name '{}' is illegal: only ASCII letters, digits, '.', '_' and '-' are allowed.",
            name.escape_debug()
        ))
    } else {
        Ok(())
    }
}

/// Accepts what [`check`] does, but for the names of logs of the broker's own.
///
/// # Errors
/// What is wrong with the name, as one sentence.
pub(crate) fn check_new(name: &str) -> Result<(), String> {
    check(name)?;
    if internal_log::is_name(name) {
        return Err(format!(
            "'{name}' is a log of the broker's own; a topic needs another name."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_the_brokers_own_are_no_names_for_topics() {
        for log in [
            "__cluster_metadata",
            "__ottla_groups",
            "__ottla_transactions",
            "..",
        ] {
            assert!(check_new(log).is_err(), "{log}");
        }
        assert!(check_new("__consumer_offsets").is_ok());
    }

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a\0b",
            "ä",
            " ",
            &"x".repeat(250),
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a.b_c-D9", "...", &"x".repeat(249)] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }
}
