//! A serde deserializer over the tree. Whatever goes wrong is reported at the node where it goes wrong, in the words
//! of somebody who writes YAML; the error that serde then passes on only says so.

use super::access::{EntryAccess, ItemAccess, KindAccess, OneAccess, SpannedAccess, WordAccess};
use super::scalar::{Scalar, describe};
use super::tree::{Entry, Node};
use super::{Field, Reader};
use crate::problem::{listed, nearest};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Newtype of [`Field`]: a failure inside ends here.
pub(super) const FIELD: &str = "quell::Field";
/// Newtype of [`super::Spanned`]: the value comes with its place.
pub(super) const SPANNED: &str = "quell::Spanned";
/// Newtype of [`super::AnyText`]: the scalar's text, whatever it looks like.
pub(super) const AS_WRITTEN: &str = "quell::AsWritten";
/// An enum of this name takes its variant from what stands there: `text`, `list` or `mapping`.
pub(super) const BY_KIND: &str = "quell::ByKind";

/// Reads the tree's root.
pub(super) fn read<T: DeserializeOwned>(reader: &Reader<'_>, root: &Node<'_>) -> Field<T> {
    let node = NodeDe { node: root, reader, hidden: false };
    // A field reports its own failure, so there is nothing in the error that is not in the reader already.
    Field::deserialize(node).unwrap_or(Field::Refused)
}

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Error {
    /// The reader knows.
    Reported,
    /// Something else was expected here.
    Expected(String),
    /// What is wrong.
    Said(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("the problem is reported"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::Said(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Said(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Said(format!("missing key `{field}`"))
    }
}

/// One node on its way into a type.
#[derive(Clone, Copy)]
pub(super) struct NodeDe<'n, 'a> {
    pub(super) node: &'n Node<'a>,
    pub(super) reader: &'n Reader<'a>,
    /// Whether the value must not be shown.
    pub(super) hidden: bool,
}

impl<'n> NodeDe<'n, '_> {
    /// Reports a failure here, once.
    pub(super) fn settle(self, error: Error) -> Error {
        let place = self.node.at().into();
        match error {
            Error::Reported => {}
            Error::Said(message) => self.reader.report(place, message),
            Error::Expected(what) => {
                let what = in_our_words(&what);
                let message = format!("expected {what}, found {}", describe(self.node, self.hidden));
                match self.help(what) {
                    Some(help) => self.reader.report_help(place, message, help),
                    None => self.reader.report(place, message),
                }
            }
        }
        Error::Reported
    }

    fn settled<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| self.settle(error))
    }

    fn expected<T>(self, what: &str) -> Result<T, Error> {
        match self.node {
            Node::Refused { .. } => Err(Error::Reported),
            _ => Err(self.settle(Error::Expected(what.to_owned()))),
        }
    }

    /// What to do about the wrong kind of value.
    fn help(self, expected: &str) -> Option<&'static str> {
        match (expected, self.scalar()) {
            (_, Some(Scalar::Null)) => Some("give it a value, or remove the key"),
            ("text", Some(Scalar::Bool(_) | Scalar::Unsigned(_) | Scalar::Signed(_) | Scalar::Float(_))) => {
                Some("put it in quotes to make it text")
            }
            ("a list", Some(_)) => Some("put it in brackets: `[…]`"),
            ("a mapping", None) if matches!(self.node, Node::List { .. }) => {
                Some("write `key: value` lines, without a dash or brackets around them")
            }
            _ if self.hidden => {
                Some("a token never stands in a file, only where it is: the name of a variable, file or program")
            }
            _ => None,
        }
    }

    fn scalar(self) -> Option<Scalar<'n>> {
        match self.node {
            Node::Scalar { text, plain, .. } => Some(Scalar::of(text, *plain)),
            _ => None,
        }
    }

    fn text<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.scalar() {
            Some(Scalar::Text(text)) => self.settled(visitor.visit_str(text)),
            _ => self.expected("text"),
        }
    }

    fn as_written<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::Scalar { text, .. } if self.scalar() != Some(Scalar::Null) => self.settled(visitor.visit_str(text)),
            _ => self.expected("text"),
        }
    }

    /// The entries that a struct with these fields can take; all others are reported.
    fn known(self, entries: &'n [Entry<'n>], fields: &'static [&'static str]) -> Vec<&'n Entry<'n>> {
        let (known, unknown): (Vec<_>, Vec<_>) =
            entries.iter().filter(|entry| !entry.skip).partition(|entry| fields.contains(&&*entry.key.text));
        for Entry { key, .. } in unknown {
            let message = format!("unknown key `{}`", key.text);
            let hint = self.reader.hints.iter().find(|hint| hint.key == key.text);
            let help = match (hint, nearest(&key.text, fields.iter().copied())) {
                (Some(hint), _) => hint.help.to_owned(),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("the keys known here are {}", listed(fields.iter().copied())),
            };
            self.reader.report_help(key.at.into(), message, help);
        }
        known
    }

    fn word<V: Visitor<'n>>(self, words: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let Node::Scalar { text, .. } = self.node else { return self.expected(&listed(words.iter().copied())) };
        if let Some(&word) = words.iter().find(|word| **word == *text) {
            return self.settled(visitor.visit_enum(WordAccess(word)));
        }
        let expected = if words.len() == 1 {
            listed(words.iter().copied())
        } else {
            format!("one of {}", listed(words.iter().copied()))
        };
        let message = format!("expected {expected}, found {}", describe(self.node, self.hidden));
        match nearest(text, words.iter().copied()) {
            Some(near) => {
                self.reader.report_help(self.node.at().into(), message, format!("did you mean `{near}`?"));
                Err(Error::Reported)
            }
            None => Err(self.settle(Error::Said(message))),
        }
    }

    fn by_kind<V: Visitor<'n>>(self, kinds: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let kind = match self.node {
            Node::Refused { .. } => return Err(Error::Reported),
            Node::Scalar { .. } if self.scalar() == Some(Scalar::Null) => "nothing",
            Node::Scalar { .. } => "text",
            Node::List { .. } => "list",
            Node::Mapping { .. } => "mapping",
        };
        if kinds.contains(&kind) {
            return self.settled(visitor.visit_enum(KindAccess { kind, node: self }));
        }
        let named = |kind: &&str| if *kind == "text" { "text".to_owned() } else { format!("a {kind}") };
        self.expected(&kinds.iter().map(named).collect::<Vec<_>>().join(" or "))
    }
}

impl<'n, 'a: 'n> Deserializer<'n> for NodeDe<'n, 'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.settled(match self.node {
            Node::Refused { .. } => Err(Error::Reported),
            Node::List { items, .. } => visitor.visit_seq(ItemAccess::new(self, items)),
            Node::Mapping { entries, .. } => {
                visitor.visit_map(EntryAccess::new(self, entries.iter().filter(|entry| !entry.skip).collect()))
            }
            Node::Scalar { text, plain, .. } => match Scalar::of(text, *plain) {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Unsigned(n) => visitor.visit_u64(n),
                Scalar::Signed(n) => visitor.visit_i64(n),
                Scalar::Float(n) => visitor.visit_f64(n),
                Scalar::Text(text) => visitor.visit_str(text),
            },
        })
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        // `key:` and `key: null` are not "no key": where nothing is meant, nothing should be written.
        self.settled(visitor.visit_some(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            FIELD => visitor.visit_seq(OneAccess::new(self)),
            SPANNED => visitor.visit_seq(SpannedAccess::new(self)),
            AS_WRITTEN => self.as_written(visitor),
            _ => self.settled(visitor.visit_newtype_struct(self)),
        }
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::List { .. } => self.deserialize_any(visitor),
            _ => self.expected("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::Mapping { .. } => self.deserialize_any(visitor),
            _ => self.expected("a mapping"),
        }
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.node {
            Node::Mapping { entries, .. } => {
                self.settled(visitor.visit_map(EntryAccess::new(self, self.known(entries, fields))))
            }
            _ => self.expected("a mapping"),
        }
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == BY_KIND { self.by_kind(variants, visitor) } else { self.word(variants, visitor) }
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { <W: Visitor<'n>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier
    }
}

/// serde's names of its own types, for a reader of YAML.
fn in_our_words(expected: &str) -> &str {
    match expected {
        "a string" | "a borrowed string" => "text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" => "a whole number",
        "f32" | "f64" => "a number",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    }
}
