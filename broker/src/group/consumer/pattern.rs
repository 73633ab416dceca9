//! Patterns that members subscribe by, in the syntax of RE2. Pure.
//!
//! RE2 and the `regex` crate promise the same: time linear in what is matched, and no look-around or
//! back-references. What RE2 has and the crate has not, quoting by `\Q` and `\E`, is written out here.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::group::topics::TopicImage;

/// Longest pattern in bytes.
const MAX_PATTERN: usize = 4_096;
/// Largest compiled pattern in bytes. It lives only while topics are matched.
const MAX_PROGRAM: usize = 1 << 20;

/// Compiles a pattern that is to match a whole topic name.
///
/// # Errors
/// Why it is none, in words.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("it is longer than {MAX_PATTERN} bytes"));
    }
    let pattern = unquoted(pattern);
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(MAX_PROGRAM)
            .build()
            .map_err(|error| error.to_string())
    };
    // Alone first: what is no pattern by itself must not become one in parentheses.
    build(&pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

/// The topics that a pattern matches now.
pub(super) fn resolve(pattern: &str, topics: &TopicImage) -> BTreeSet<Arc<str>> {
    // One that was stored by another version of Ottla may not compile; it matches nothing.
    let Ok(regex) = compile(pattern) else {
        return BTreeSet::new();
    };
    let matching = topics.names().filter(|name| regex.is_match(name));
    matching.cloned().collect()
}

/// The pattern with what stands between `\Q` and `\E` escaped character by character.
fn unquoted(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = find_quote(rest) {
        let (before, quoted) = rest.split_at(at);
        plain.push_str(before);
        let quoted = quoted.get(2..).unwrap_or_default();
        let (literal, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        plain.push_str(&regex::escape(literal));
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// Where `\Q` stands that is not an escaped backslash and a Q.
fn find_quote(pattern: &str) -> Option<usize> {
    let mut chars = pattern.char_indices();
    while let Some((at, char)) = chars.next() {
        if char == '\\' && chars.next()?.1 == 'Q' {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        compile(pattern).unwrap().is_match(topic)
    }

    #[test]
    fn a_pattern_matches_whole_names_only() {
        assert!(matches("orders", "orders"));
        assert!(!matches("order", "orders"));
        assert!(!matches("rders", "orders"));
        assert!(matches("a|b", "b"), "alternatives are anchored too");
        assert!(!matches("a|b", "ab"));
    }

    #[test]
    fn the_syntax_of_re2_is_understood() {
        for (pattern, topic) in [
            (r"(?i)ORDERS-\d+", "orders-12"),
            (r"(?P<name>o)\w{2,9}", "orders"),
            (r"[[:alpha:]]+", "orders"),
            (r"\pL+", "orders"),
            (r"\Qa.b\E.*", "a.b-c"),
            (r"\Qa.b", "a.b"),
            (r"^orders$", "orders"),
            (r"a.*?b", "a-b"),
        ] {
            assert!(matches(pattern, topic), "{pattern}");
        }
        assert!(!matches(r"\Qa.b\E", "a-b"));
        assert!(
            !matches(r"\\Q.", r"Q."),
            "an escaped backslash quotes nothing"
        );
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        let long = "a".repeat(MAX_PATTERN + 1);
        for bad in [
            "(",
            "[a",
            "a)(b",
            "*a",
            r"(?=a)",
            r"\1",
            "(a{1000}){1000}",
            &long,
        ] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }
}
