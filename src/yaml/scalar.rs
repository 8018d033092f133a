//! What an unquoted word means: fewer things than YAML allows, so that nothing is altered by being read.
//!
//! A number is what JSON would write the same way. `007`, `1.10`, `0x1F`, `1_000` and `yes` are text.

use super::tree::Node;
use serde_json::Number;

/// The meaning of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'n> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'n str),
}

impl<'n> Scalar<'n> {
    pub(super) fn of(text: &'n str, plain: bool) -> Self {
        if !plain {
            return Self::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ => Self::number(text).unwrap_or(Self::Text(text)),
        }
    }

    fn number(text: &'n str) -> Option<Self> {
        // Most words are told from numbers by their first letter.
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(())?;
        if let Ok(n) = text.parse::<u64>() {
            return (n.to_string() == text).then_some(Self::Unsigned(n));
        }
        if let Ok(n) = text.parse::<i64>() {
            return (n.to_string() == text).then_some(Self::Signed(n));
        }
        let n = text.parse::<f64>().ok()?;
        (Number::from_f64(n)?.to_string() == text).then_some(Self::Float(n))
    }
}

/// What stands there, in words: `the number 5`, `text "lots"`, `a list`.
pub(super) fn describe(node: &Node<'_>, hidden: bool) -> String {
    let (text, plain) = match node {
        Node::Scalar { text, plain, .. } => (text, *plain),
        Node::List { items, .. } if items.is_empty() => return "an empty list".to_owned(),
        Node::List { .. } => return "a list".to_owned(),
        Node::Mapping { .. } => return "a mapping".to_owned(),
        Node::Refused { .. } => return "something that cannot be read".to_owned(),
    };
    match Scalar::of(text, plain) {
        Scalar::Null => "nothing".to_owned(),
        _ if hidden => "something else".to_owned(),
        Scalar::Bool(value) => format!("`{value}`"),
        Scalar::Text(text) => format!("text \"{}\"", shortened(text)),
        Scalar::Unsigned(_) | Scalar::Signed(_) | Scalar::Float(_) => format!("the number {text}"),
    }
}

/// At most 60 characters of it.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_json_writes_the_same_way_and_all_else_is_text() {
        for (text, meaning) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("null", Scalar::Null),
            ("true", Scalar::Bool(true)),
            ("false", Scalar::Bool(false)),
            ("0", Scalar::Unsigned(0)),
            ("18446744073709551615", Scalar::Unsigned(u64::MAX)),
            ("-9223372036854775808", Scalar::Signed(i64::MIN)),
            ("-1.5", Scalar::Float(-1.5)),
        ] {
            assert_eq!(Scalar::of(text, true), meaning, "{text}");
            assert_eq!(Scalar::of(text, false), Scalar::Text(text), "{text} in quotes");
        }
        for text in [
            "007",
            "+5",
            "-0",
            "1.10",
            "0x1F",
            "0o17",
            "1_000",
            "1e3",
            ".5",
            ".inf",
            ".nan",
            "nan",
            "inf",
            "yes",
            "no",
            "on",
            "off",
            "True",
            "18446744073709551616",
            "12:30:45",
            "2026-01-02",
            "-",
            "0.1e400",
        ] {
            assert_eq!(Scalar::of(text, true), Scalar::Text(text), "{text}");
        }
    }
}
