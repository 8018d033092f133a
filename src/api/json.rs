//! JSON as an answer brings it: read whole or not at all, within bounds.
//!
//! A key that comes twice in one object makes the text unreadable, at any depth: readers disagree about which of the two
//! counts. Values are counted, so that a small text of a million empty lists cannot become a large tree.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

/// The most values one text may hold: a detail has some hundred.
const VALUES_MAX: u32 = 100_000;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    /// Numbers and booleans as their text.
    Scalar(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    #[error("it is not JSON")]
    NotJson,
    #[error("the key \"{0}\" comes twice")]
    DuplicateKey(String),
    #[error("it holds too many values")]
    TooManyValues,
}

impl Json {
    /// Reads a whole text; a byte order mark before it is ignored.
    pub(super) fn read(text: &[u8]) -> Result<Self, JsonError> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let reading = Reading { values_left: Cell::new(VALUES_MAX), found: RefCell::new(None) };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = One(&reading).deserialize(&mut deserializer);
        match value.and_then(|value| deserializer.end().map(|()| value)) {
            Ok(value) => Ok(value),
            Err(_) => Err(reading.found.into_inner().unwrap_or(JsonError::NotJson)),
        }
    }

    /// The value under a key of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Text, and the text of numbers and booleans.
    pub(super) fn as_shown(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Scalar(text) => Some(text),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }
}

/// What a reading keeps beside the tree: serde's own errors are text, ours must be told apart.
struct Reading {
    values_left: Cell<u32>,
    found: RefCell<Option<JsonError>>,
}

impl Reading {
    fn refuse<E: de::Error>(&self, why: JsonError) -> E {
        let error = E::custom(&why);
        self.found.replace(Some(why));
        error
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct One<'a>(&'a Reading);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        match self.0.values_left.get().checked_sub(1) {
            Some(left) => self.0.values_left.set(left),
            None => return Err(self.0.refuse(JsonError::TooManyValues)),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(self.0.refuse(JsonError::DuplicateKey(key)));
            }
            members.push((key, map.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read() {
        let object = |key: &str, value| Json::Object(vec![(key.to_owned(), value)]);
        let table = [
            ("null", Json::Null),
            (" true ", Json::Scalar("true".to_owned())),
            ("-9223372036854775808", Json::Scalar("-9223372036854775808".to_owned())),
            ("18446744073709551615", Json::Scalar("18446744073709551615".to_owned())),
            ("\u{feff}{\"a\":\"\\u00e9\"}", object("a", Json::Text("é".to_owned()))),
            ("{\"a\":[{}]}", object("a", Json::List(vec![Json::Object(vec![])]))),
        ];
        for (text, expected) in table {
            assert_eq!(Json::read(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read() {
        let many = format!("[{}0]", "[],".repeat(VALUES_MAX as usize));
        let deep = "[".repeat(100_000);
        let table = [
            ("", JsonError::NotJson),
            ("{\"a\":1", JsonError::NotJson),
            ("{} {}", JsonError::NotJson),
            ("<html>", JsonError::NotJson),
            ("{\"a\":1e999}", JsonError::NotJson),
            ("{\"a\":\"\\ud800\"}", JsonError::NotJson),
            ("{\"a\":\"\u{1}\"}", JsonError::NotJson),
            (&deep, JsonError::NotJson),
            (&many, JsonError::TooManyValues),
            ("{\"a\":1,\"b\":2,\"a\":1}", JsonError::DuplicateKey("a".to_owned())),
            ("{\"a\":1,\"\\u0061\":1}", JsonError::DuplicateKey("a".to_owned())),
            ("[{\"x\":{\"k\":1,\"k\":1}}]", JsonError::DuplicateKey("k".to_owned())),
        ];
        for (text, expected) in table {
            assert_eq!(Json::read(text.as_bytes()), Err(expected), "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(Json::read(b"\"\xff\""), Err(JsonError::NotJson));
    }
}
