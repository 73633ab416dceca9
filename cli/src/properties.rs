//! Pure. Java's properties format, read from UTF-8.

use std::iter::Peekable;
use std::str::Chars;

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) message: &'static str,
}

/// The keys and values, in their order.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, SyntaxError> {
    let mut entries = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while continues(&logical) {
            logical.pop();
            let Some((next, _)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        entries.push(entry(&logical).map_err(|message| SyntaxError { line, message })?);
    }
    Ok(entries)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Whether a line ends in a backslash that does not belong to another one.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first blank, `=` or `:` that is not escaped.
fn entry(line: &str) -> Result<(String, String), &'static str> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(c) = chars.next_if(|c| !is_blank(*c) && !matches!(c, '=' | ':')) {
        key.push(if c == '\\' { escape(&mut chars)? } else { c });
    }
    skip_blanks(&mut chars);
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        value.push(if c == '\\' { escape(&mut chars)? } else { c });
    }
    Ok((key, value))
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| is_blank(*c)).is_some() {}
}

/// The character that the text after a backslash stands for.
fn escape(chars: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    const BAD_UNICODE: &str = "`\\u` needs four hexadecimal digits of one character";
    match chars.next() {
        Some('t') => Ok('\t'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('f') => Ok('\x0c'),
        Some('u') => {
            let digits: Option<Vec<u32>> = (0..4).map(|_| chars.next()?.to_digit(16)).collect();
            let code = digits
                .ok_or(BAD_UNICODE)?
                .into_iter()
                .fold(0, |code, digit| code * 16 + digit);
            char::from_u32(code).ok_or(BAD_UNICODE)
        }
        Some(other) => Ok(other),
        None => Ok('\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let mut entries = parse(text).unwrap();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn every_separator_ends_a_key() {
        for text in [
            "a.b=c d",
            "a.b = c d",
            "a.b:c d",
            "a.b c d",
            "  a.b\t:  c d",
            "a.b=c d\r\n",
        ] {
            assert_eq!(one(text), pair("a.b", "c d"), "{text:?}");
        }
    }

    #[test]
    fn a_value_may_hold_separators_and_be_empty() {
        assert_eq!(
            one("listeners=PLAINTEXT://:9092"),
            pair("listeners", "PLAINTEXT://:9092")
        );
        assert_eq!(one("a==b"), pair("a", "=b"));
        assert_eq!(one("a="), pair("a", ""));
        assert_eq!(one("a"), pair("a", ""));
    }

    #[test]
    fn comments_and_empty_lines_are_passed_over() {
        assert_eq!(one("# x=1\n\n  ! y=2\n \t\na=1"), pair("a", "1"));
        assert_eq!(one("a=1 # no comment"), pair("a", "1 # no comment"));
    }

    #[test]
    fn a_backslash_joins_lines() {
        assert_eq!(one("a=1,\\\n   2,\\\n\t3"), pair("a", "1,2,3"));
        assert_eq!(
            parse("a=1\\\\\nb=2").unwrap(),
            [pair("a", "1\\"), pair("b", "2")]
        );
        assert_eq!(one("a=1\\"), pair("a", "1"));
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(one(r"a\ b\=c=\u0041\t\q\\"), pair("a b=c", "A\tq\\"));
    }

    #[test]
    fn a_bad_escape_is_refused_with_its_line() {
        for text in [r"\u12", r"\u12x4", r"\ud800"] {
            let error = parse(&format!("a=1\n\nb={text}")).unwrap_err();
            assert_eq!(error.line, 3, "{text}");
        }
    }
}
