//! One JSON object as an event: its members in order, values as they were written.
//!
//! Numbers keep their digits, and nothing is parsed that will not be parsed again: a key that stands twice, a depth
//! of more than 64, a lone surrogate and a number out of range are refused.

use super::field::Given;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// How deep a record may nest.
const DEPTH_MAX: usize = 64;

/// The members of an object in the order in which they stand there.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Parses and checks it whole.
    pub(super) fn parse(raw: &'a str) -> Result<Self, serde_json::Error> {
        let object = Self::open(raw)?;
        let mut whole = serde_json::Deserializer::from_str(raw);
        Sound { depth: 1 }.deserialize(&mut whole)?;
        Ok(object)
    }

    fn open(raw: &'a str) -> Result<Self, serde_json::Error> {
        let Members(members) = serde_json::from_str(raw)?;
        Ok(Self { members: members.into_iter().map(|(key, value)| (key, value.get())).collect() })
    }

    /// The index of a member by its exact name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|(key, _)| key == name)
    }

    /// The value at a path: a member of that exact name, or else a walk along the dots through objects and, by index,
    /// arrays.
    pub(super) fn find(&self, path: &str) -> Option<&'a str> {
        if let Some(index) = self.position(path) {
            return Some(self.members[index].1);
        }
        let (first, rest) = path.split_once('.')?;
        walk(self.members[self.position(first)?].1, rest)
    }

    /// Its paths for messages: names, and those inside objects with dots; at most `most`.
    pub(super) fn paths(&self, most: usize) -> Vec<String> {
        let mut paths = Vec::new();
        collect_paths(self, "", &mut paths, most);
        paths
    }
}

/// Reads a value for one of the event's own fields.
pub(super) fn given(raw: &str) -> Given<'_> {
    match raw.as_bytes().first() {
        Some(b'n') => Given::Missing,
        Some(b'"') => match serde_json::from_str(raw) {
            Ok(Key(text)) if text.is_empty() => Given::Missing,
            Ok(Key(text)) => Given::Text(text),
            Err(_) => Given::Other("unreadable text"),
        },
        Some(b'{') => Given::Other("an object"),
        Some(b'[') => Given::Other("an array"),
        Some(b't' | b'f') => Given::Other("true or false"),
        _ if raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => Given::Integer(raw),
        _ => Given::Other("a number with a fraction or an exponent"),
    }
}

/// Appends a value without the space around its parts; strings and numbers stay as they were written.
pub(super) fn push_compact(out: &mut String, raw: &str) {
    let mut in_string = false;
    let mut escaped = false;
    let mut start = 0;
    for (at, byte) in raw.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else if byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_whitespace() {
            out.push_str(&raw[start..at]);
            start = at + 1;
        }
    }
    out.push_str(&raw[start..]);
}

/// What a JSON error says, without the place that its text ends with.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    if let Some((found, expected)) = text.strip_prefix("invalid type: ").and_then(|types| types.split_once(", ")) {
        let found = match found.split(' ').next().unwrap_or_default() {
            "sequence" => "an array",
            "map" => "an object",
            "string" => "text",
            "boolean" => "true or false",
            "integer" | "floating" | "number" => "a number",
            _ => found,
        };
        return format!("{expected}, found {found}");
    }
    match text {
        "expected value" => "a value is missing or is no JSON".to_owned(),
        "key must be a string" => "a member's name must stand in quotes".to_owned(),
        "trailing characters" => "something follows the object".to_owned(),
        text if text.starts_with("EOF while parsing") => "it ends too early: the file was probably cut".to_owned(),
        text => text.to_owned(),
    }
}

/// Where a JSON error is on a line: column and length in characters.
pub(super) fn span_of(error: &serde_json::Error, line: &str) -> Option<(u32, u32)> {
    let before = line.get(..error.column().checked_sub(1)?).filter(|_| error.line() == 1)?;
    Some((u32::try_from(before.chars().count()).ok()? + 1, 1))
}

/// Where a part of a line is: column and length in characters. `part` is a slice of `line` itself.
pub(super) fn span_within(part: &str, line: &str) -> Option<(u32, u32)> {
    let start = (part.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    let before = line.get(..start).filter(|before| line[before.len()..].starts_with(part))?;
    Some((u32::try_from(before.chars().count()).ok()? + 1, u32::try_from(part.chars().count()).ok()?))
}

fn walk<'a>(raw: &'a str, path: &str) -> Option<&'a str> {
    if raw.starts_with('{') {
        return Object::open(raw).ok()?.find(path);
    }
    if !raw.starts_with('[') {
        return None;
    }
    let (index, rest) = match path.split_once('.') {
        Some((index, rest)) => (index, Some(rest)),
        None => (path, None),
    };
    let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    let element = elements.get(index.parse::<usize>().ok()?)?.get();
    rest.map_or(Some(element), |rest| walk(element, rest))
}

fn collect_paths(object: &Object<'_>, prefix: &str, paths: &mut Vec<String>, most: usize) {
    for (key, value) in &object.members {
        if paths.len() >= most {
            return;
        }
        let path = format!("{prefix}{key}");
        match Object::open(value) {
            Ok(inner) if value.starts_with('{') => collect_paths(&inner, &format!("{path}."), paths, most),
            _ => paths.push(path),
        }
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// Parses a value for nothing but to know that it can be parsed, at any time later and by anyone.
#[derive(Clone, Copy)]
struct Sound {
    depth: usize,
}

impl Sound {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        // A container at depth 1 is the record itself.
        if self.depth > DEPTH_MAX {
            return Err(E::custom(format_args!("it nests deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Sound {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while elements.next_element_seed(inner)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(Key(key)) = members.next_key()? {
            if keys.contains(&key) {
                return Err(de::Error::custom(format_args!("the key {} stands twice", super::field::shown(&key))));
            }
            keys.insert(key);
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(raw: &str) -> String {
        reason(&Object::parse(raw).unwrap_err())
    }

    #[test]
    fn what_cannot_be_parsed_again_is_refused() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(Object::parse(&nested(64)).is_ok());
        assert_eq!(refusal(&nested(65)), "it nests deeper than 64");
        assert_eq!(refusal(&nested(100_000)), "it nests deeper than 64");
        assert_eq!(refusal(r#"{"a":1,"b":2,"a":3}"#), "the key \"a\" stands twice");
        assert_eq!(refusal(r#"{"a":1,"\u0061":3}"#), "the key \"a\" stands twice");
        assert_eq!(refusal(r#"{"a":[{"b":1,"b":1}]}"#), "the key \"b\" stands twice");
        assert_eq!(refusal(r#"{"a":1e999}"#), "number out of range");
        assert_eq!(refusal(r#"{"a":"\ud800"}"#), "unexpected end of hex escape");
        assert_eq!(refusal(r#"{"a":1"#), "it ends too early: the file was probably cut");
        assert_eq!(refusal(r#"{"a":01}"#), "invalid number");
        assert_eq!(refusal("[1]"), "expected an object, found an array");
        assert_eq!(refusal("{} x"), "something follows the object");
    }

    #[test]
    fn values_are_found_by_name_and_by_path() {
        let raw = r#"{"asset": {"agentId": "x", "tags": ["a", {"b": 7}]}, "asset.agentId": 5, "e\u0041": null}"#;
        let object = Object::parse(raw).unwrap();
        assert_eq!(object.find("asset.agentId"), Some("5"));
        assert_eq!(object.find("asset.tags.1.b"), Some("7"));
        assert_eq!(object.find("asset.tags.0"), Some("\"a\""));
        for none in ["asset.tags.2", "asset.tags.x", "asset.none", "none", "asset.tags.0.b", "asset."] {
            assert_eq!(object.find(none), None, "{none}");
        }
        assert_eq!(object.position("eA"), Some(2));
        assert_eq!(object.paths(9), ["asset.agentId", "asset.tags", "asset.agentId", "eA"]);
    }

    #[test]
    fn own_fields_keep_their_digits() {
        assert_eq!(given("-9223372036854775808"), Given::Integer("-9223372036854775808"));
        assert_eq!(given("123456789012345678901"), Given::Integer("123456789012345678901"));
        assert_eq!(given("1.5"), Given::Other("a number with a fraction or an exponent"));
        assert_eq!(given("1e5"), Given::Other("a number with a fraction or an exponent"));
        assert_eq!(given(r#""a\u0041""#), Given::Text("aA".into()));
        assert_eq!((given("null"), given("\"\"")), (Given::Missing, Given::Missing));
        assert_eq!(given("true"), Given::Other("true or false"));
    }

    #[test]
    fn compact_text_means_the_same() {
        let raw = "{ \"a b\" : [ 1.10 , \"x \\\" y\\\\\" ] ,\r\n\t\"c\":12345678901234567890123 }";
        let mut out = String::new();
        push_compact(&mut out, raw);
        assert_eq!(out, "{\"a b\":[1.10,\"x \\\" y\\\\\"],\"c\":12345678901234567890123}");
    }
}
