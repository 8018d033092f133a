//! Values of one word, as people write them: checked when they are read, described by the same type in the schema.

use super::de::AS_WRITTEN;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Why a text is not a value of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is something else altogether: what was expected and what was found says enough.
    SomethingElse,
    /// What is wrong with it.
    Because(String),
}

/// A value that is written as one piece of text: a duration, a rate, a name.
pub(crate) trait FromText: Sized {
    /// What it is, with an example: "a duration like `30s`".
    fn expected() -> String;
    /// Reads it.
    fn from_text(text: &str) -> Result<Self, Refusal>;
    /// Reads it from the command line, where what is wrong is one line of words.
    fn from_flag(text: &str) -> Result<Self, String> {
        Self::from_text(text).map_err(|refusal| match refusal {
            Refusal::Because(why) => why,
            Refusal::SomethingElse => format!("expected {}", Self::expected()),
        })
    }
    /// What the schema says of it.
    fn schema() -> Schema;
}

/// A value read from its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written<T>(pub(crate) T);

impl<'de, T: FromText> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor(PhantomData))
    }
}

struct WrittenVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for WrittenVisitor<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::expected())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written<T>, E> {
        match T::from_text(text) {
            Ok(value) => Ok(Written(value)),
            Err(Refusal::SomethingElse) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            Err(Refusal::Because(why)) => Err(E::custom(why)),
        }
    }
}

impl<T: FromText> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::expected().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count<const LEAST: u16, const MOST: u16>(pub(crate) u16);

impl<'de, const LEAST: u16, const MOST: u16> Deserialize<'de> for Count<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor::<LEAST, MOST>)
    }
}

struct CountVisitor<const LEAST: u16, const MOST: u16>;

impl<const LEAST: u16, const MOST: u16> Visitor<'_> for CountVisitor<LEAST, MOST> {
    type Value = Count<LEAST, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {LEAST} to {MOST}")
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Self::Value, E> {
        match u16::try_from(n) {
            Ok(n) if (LEAST..=MOST).contains(&n) => Ok(Count(n)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Unsigned(n), &self)),
        }
    }
}

impl<const LEAST: u16, const MOST: u16> JsonSchema for Count<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("number from {LEAST} to {MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}

/// Text that may look like a number or a boolean; it is kept as it is written: `0`, `007`, `1.10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnyText(pub(crate) String);

impl<'de> Deserialize<'de> for AnyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AS_WRITTEN, AnyTextVisitor)
    }
}

struct AnyTextVisitor;

impl Visitor<'_> for AnyTextVisitor {
    type Value = AnyText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<AnyText, E> {
        Ok(AnyText(text.to_owned()))
    }
}

impl JsonSchema for AnyText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

/// A value that is written as one piece of text, or as a number: `5`, `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberOrText<T>(pub(crate) T);

impl<'de, T: FromText> Deserialize<'de> for NumberOrText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = WrittenVisitor(PhantomData);
        deserializer.deserialize_newtype_struct(AS_WRITTEN, visitor).map(|Written(value)| Self(value))
    }
}

impl<T: FromText> JsonSchema for NumberOrText<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::expected().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

/// `version: 1`, which every file of ours begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VersionVisitor)
    }
}

struct VersionVisitor;

impl Visitor<'_> for VersionVisitor {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the version of the file's form, which is `1`")
    }

    fn visit_u64<E: Error>(self, version: u64) -> Result<Version, E> {
        match version {
            1 => Ok(Version),
            _ => Err(E::custom(format!("version {version} is unknown: this quell reads version 1"))),
        }
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"const": 1})
    }
}
