//! The event's own fields: their names, and the one check that each value passes, whatever format it came from.
//!
//! No value is altered: nothing is trimmed, folded or rounded. What does not fit is refused by name.

use super::{Event, RowPlace};
use crate::tenant::EventType;
use std::borrow::Cow;

/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 256;
/// An agent id that holds this row's event id looks like swapped columns; shorter event ids occur by chance.
const SWAPPED_BYTES_MIN: usize = 8;
/// How much of a value a message shows, in characters.
const SHOWN_CHARS: usize = 60;

/// A field that means something to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Field {
    AgentId,
    EventId,
    EventType,
    Pid,
    UniqueId,
    Action,
}

impl Field {
    pub(super) const COUNT: usize = 6;
    /// All of them; each stands at its own index.
    pub(super) const ALL: [Self; Self::COUNT] =
        [Self::AgentId, Self::EventId, Self::EventType, Self::Pid, Self::UniqueId, Self::Action];
    /// What no event can do without.
    pub(super) const REQUIRED: [Self; 4] = [Self::AgentId, Self::EventId, Self::EventType, Self::UniqueId];

    /// Our name for it.
    pub(super) fn name(self) -> &'static str {
        self.names()[0]
    }

    /// The names that are understood without a mapping: ours, then the API's.
    pub(super) fn names(self) -> [&'static str; 2] {
        match self {
            Self::AgentId => ["agent_id", "agentId"],
            Self::EventId => ["event_id", "eventId"],
            Self::EventType => ["event_type", "eventType"],
            Self::Pid => ["pid", "pid"],
            Self::UniqueId => ["unique_id", "uniqueId"],
            Self::Action => ["action", "action"],
        }
    }

    /// The field that is called so natively.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.names().contains(&name))
    }
}

/// What the input gave for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given<'a> {
    /// No such column, an empty cell, null.
    Missing,
    /// Text as written.
    Text(Cow<'a, str>),
    /// The digits of a JSON integer as written.
    Integer(&'a str),
    /// Anything else, by what it is: `an array`.
    Other(&'static str),
}

/// The checked fields of one event.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) agent_id: Box<str>,
    pub(super) event_id: Box<str>,
    pub(super) event_type: EventType,
    pub(super) pid: u32,
    pub(super) unique_id: Box<str>,
    pub(super) action: Option<Box<str>>,
}

impl Fields {
    /// The event of a row; `attributes` is the text of a JSON object.
    pub(super) fn into_event(self, place: RowPlace, attributes: &str) -> Event {
        let Self { agent_id, event_id, event_type, pid, unique_id, action } = self;
        Event { place, agent_id, event_id, event_type, pid, unique_id, action, attributes: attributes.into() }
    }
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadValue {
    #[error("is missing or empty")]
    Missing,
    #[error("is {0}, not text")]
    NotText(&'static str),
    #[error("has {length} bytes; at most {ID_BYTES_MAX} are allowed: {shown}")]
    TooLong { length: usize, shown: String },
    #[error("has a space at byte {byte}: {shown}")]
    Space { byte: usize, shown: String },
    #[error("has {char:?} (U+{:04X}) at byte {byte}, which no id has: {shown}", u32::from(*.char))]
    Character { char: char, byte: usize, shown: String },
    #[error("is a number as a spreadsheet rewrites it, its digits are lost: {shown}")]
    Spreadsheet { shown: String },
    #[error("contains the row's event_id: the two columns look swapped: {shown}")]
    Swapped { shown: String },
    #[error("is no event type: {shown}")]
    EventType { shown: String },
    #[error("is no process id, a whole number from 0 to 4294967295 in plain digits: {shown}")]
    Pid { shown: String },
    #[error("is 0 or missing, and a PROCESS event needs it")]
    NoPid,
}

impl BadValue {
    /// What to do about it, where there is something to say.
    pub(super) fn help(&self) -> Option<String> {
        match self {
            Self::Spreadsheet { .. } => Some("export again and do not save the file from a spreadsheet".to_owned()),
            Self::Space { .. } => Some("ids are taken as they are; nothing is trimmed".to_owned()),
            Self::Character { .. } => Some("ids are printable ASCII; copy them from the source".to_owned()),
            Self::EventType { .. } => Some(format!("known: {}", EventType::ALL.map(EventType::as_str).join(", "))),
            Self::Swapped { .. } => Some("swap the names of the two columns, in the header or the mapping".to_owned()),
            _ => None,
        }
    }
}

/// Checks all fields of a row and names every one that is wrong.
pub(super) fn check(given: [Given<'_>; Field::COUNT]) -> Result<Fields, Vec<(Field, BadValue)>> {
    let [agent_id, event_id, event_type, pid, unique_id, action] = given;
    let mut bad = Vec::new();
    let mut note = |field, value: BadValue| bad.push((field, value));

    let agent_id = plain_id(agent_id).map_err(|why| note(Field::AgentId, why)).ok();
    let event_id = plain_id(event_id).map_err(|why| note(Field::EventId, why)).ok();
    let event_type = self::event_type(event_type).map_err(|why| note(Field::EventType, why)).ok();
    let pid = process_id(pid, event_type).map_err(|why| note(Field::Pid, why)).ok();
    let unique_id = id(unique_id).map_err(|why| note(Field::UniqueId, why)).ok();
    let action = self::action(action).map_err(|why| note(Field::Action, why)).ok();
    if let (Some(agent), Some(event)) = (&agent_id, &event_id)
        && looks_swapped(agent, event)
    {
        note(Field::AgentId, BadValue::Swapped { shown: shown(agent) });
    }

    match (agent_id, event_id, event_type, pid, unique_id, action) {
        (Some(agent_id), Some(event_id), Some(event_type), Some(pid), Some(unique_id), Some(action))
            if bad.is_empty() =>
        {
            Ok(Fields { agent_id, event_id, event_type, pid, unique_id, action })
        }
        _ => Err(bad),
    }
}

/// Whether a text could be this field's value; used to recognise rows that a stray quote swallowed.
pub(super) fn is_plausible(field: Field, text: &str) -> bool {
    let given = Given::Text(Cow::Borrowed(text));
    match field {
        Field::AgentId | Field::EventId => plain_id(given).is_ok(),
        Field::UniqueId => id(given).is_ok(),
        Field::EventType => EventType::parse(text).is_some(),
        Field::Pid => text.is_empty() || process_id(given, None).is_ok(),
        Field::Action => true,
    }
}

/// A foreign text for a message: quoted, inert, shortened.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn text(given: Given<'_>) -> Result<Cow<'_, str>, BadValue> {
    match given {
        Given::Missing => Err(BadValue::Missing),
        Given::Text(text) if text.is_empty() => Err(BadValue::Missing),
        Given::Text(text) => Ok(text),
        Given::Integer(digits) => Ok(Cow::Borrowed(digits)),
        Given::Other(what) => Err(BadValue::NotText(what)),
    }
}

/// Printable ASCII without spaces, 1 to [`ID_BYTES_MAX`] bytes, unaltered.
fn id(given: Given<'_>) -> Result<Box<str>, BadValue> {
    let text = text(given)?;
    refuse_characters(&text, u8::is_ascii_graphic)?;
    if text.len() > ID_BYTES_MAX {
        return Err(BadValue::TooLong { length: text.len(), shown: shown(&text) });
    }
    if is_spreadsheet_number(&text) {
        return Err(BadValue::Spreadsheet { shown: shown(&text) });
    }
    Ok(text.into())
}

/// Agent and event ids have a smaller alphabet than unique ids.
fn plain_id(given: Given<'_>) -> Result<Box<str>, BadValue> {
    let id = id(given)?;
    refuse_characters(&id, |byte| byte.is_ascii_alphanumeric() || b"._:#@+-".contains(byte))?;
    Ok(id)
}

fn refuse_characters(text: &str, fits: impl Fn(&u8) -> bool) -> Result<(), BadValue> {
    let Some(byte) = text.bytes().position(|byte| !fits(&byte)) else { return Ok(()) };
    let shown = shown(text);
    match text[byte..].chars().next() {
        Some(char) if char != ' ' => Err(BadValue::Character { char, byte, shown }),
        _ => Err(BadValue::Space { byte, shown }),
    }
}

/// `1.2E+12`, `1,2E+12`, `12E5`, `1234.0`, `-0`: no id looks so, and what the digits were is lost.
fn is_spreadsheet_number(text: &str) -> bool {
    if text == "-0" {
        return true;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let decimal = |part: &str| match part.split_once(['.', ',']) {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(part),
    };
    if let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) {
        return decimal(mantissa) && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    }
    unsigned
        .split_once(['.', ','])
        .is_some_and(|(whole, zeros)| digits(whole) && !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0'))
}

/// Event ids can embed the id of their agent; the other way round is two swapped columns.
fn looks_swapped(agent_id: &str, event_id: &str) -> bool {
    event_id.len() >= SWAPPED_BYTES_MIN && agent_id.len() > event_id.len() && agent_id.contains(event_id)
}

fn event_type(given: Given<'_>) -> Result<EventType, BadValue> {
    let word = text(given)?;
    EventType::parse(&word).ok_or_else(|| BadValue::EventType { shown: shown(&word) })
}

/// Plain digits without sign or leading zeros; missing is 0; 0 is refused for `PROCESS`.
fn process_id(given: Given<'_>, event_type: Option<EventType>) -> Result<u32, BadValue> {
    let pid = match text(given) {
        Ok(text) => {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            let number = if plain { text.parse().ok() } else { None };
            number.ok_or_else(|| BadValue::Pid { shown: shown(&text) })?
        }
        Err(BadValue::Missing) => 0,
        Err(BadValue::NotText(what)) => return Err(BadValue::Pid { shown: what.to_owned() }),
        Err(other) => return Err(other),
    };
    if pid == 0 && event_type == Some(EventType::Process) { Err(BadValue::NoPid) } else { Ok(pid) }
}

fn action(given: Given<'_>) -> Result<Option<Box<str>>, BadValue> {
    match given {
        Given::Integer(_) => Err(BadValue::NotText("a number")),
        other => match text(other) {
            Ok(word) => Ok(Some(word.into())),
            Err(BadValue::Missing) => Ok(None),
            Err(why) => Err(why),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(field: Field, text: &str) -> [Given<'_>; Field::COUNT] {
        let mut given = ["agent-1", "E_1", "FILE", "", "-57", ""].map(|text| Given::Text(Cow::Borrowed(text)));
        given[field as usize] = Given::Text(Cow::Borrowed(text));
        given
    }

    fn refusal(field: Field, text: &str) -> String {
        let bad = check(row(field, text)).unwrap_err();
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert_eq!(bad[0].0, field);
        bad[0].1.to_string()
    }

    #[test]
    fn ids_are_taken_unaltered_or_refused_by_name() {
        let long = "x".repeat(256);
        for good in ["0012", "aB", "RTF_a-b_5-2024_c", "a###b", "123e", "e5", "1e5f", "1.2.3", "1.5", "x1.0", &long] {
            let fields = check(row(Field::EventId, good)).unwrap();
            assert_eq!(&*fields.event_id, good);
        }
        for good in ["-9223372036854775808", "4bf85eb9-206f-3abb-b03f-1e9bbe845d3c", "a/b=c'"] {
            assert_eq!(&*check(row(Field::UniqueId, good)).unwrap().unique_id, good);
        }
        for (bad, why) in [
            ("", "is missing or empty"),
            ("a b", r#"has a space at byte 1: "a b""#),
            (" a", r#"has a space at byte 0: " a""#),
            ("a\u{a0}", r#"has '\u{a0}' (U+00A0) at byte 1, which no id has: "a\u{a0}""#),
            ("xаb", r#"has 'а' (U+0430) at byte 1, which no id has: "xаb""#),
            ("a\tb", r#"has '\t' (U+0009) at byte 1, which no id has: "a\tb""#),
            ("1.2E+12", r#"is a number as a spreadsheet rewrites it, its digits are lost: "1.2E+12""#),
            ("1,2E+12", r#"is a number as a spreadsheet rewrites it, its digits are lost: "1,2E+12""#),
            ("-12e5", r#"is a number as a spreadsheet rewrites it, its digits are lost: "-12e5""#),
            ("17.0", r#"is a number as a spreadsheet rewrites it, its digits are lost: "17.0""#),
            ("-0", r#"is a number as a spreadsheet rewrites it, its digits are lost: "-0""#),
        ] {
            assert_eq!(refusal(Field::UniqueId, bad), why);
        }
        assert_eq!(refusal(Field::AgentId, "a'b"), r#"has '\'' (U+0027) at byte 1, which no id has: "a'b""#);
        assert_eq!(
            refusal(Field::AgentId, &"x".repeat(257)),
            format!(r#"has 257 bytes; at most 256 are allowed: "{}"…"#, "x".repeat(60))
        );
    }

    #[test]
    fn swapped_columns_are_refused() {
        let mut given = row(Field::EventId, "x82xx34x-5xxx");
        given[0] = Given::Text("RTF_x82xx34x-5xxx_1".into());
        let bad = check(given.clone()).unwrap_err();
        assert_eq!(bad, [(Field::AgentId, BadValue::Swapped { shown: r#""RTF_x82xx34x-5xxx_1""#.to_owned() })]);
        given.swap(0, 1);
        assert!(check(given).is_ok());
    }

    #[test]
    fn event_types_are_the_known_ones() {
        assert_eq!(check(row(Field::EventType, "registry")).unwrap().event_type, EventType::Registry);
        assert_eq!(refusal(Field::EventType, "FILES"), r#"is no event type: "FILES""#);
        assert_eq!(
            BadValue::EventType { shown: String::new() }.help().unwrap(),
            "known: FILE, PROCESS, AGENT, MUTEX, NETWORK, REGISTRY"
        );
    }

    #[test]
    fn a_pid_is_plain_digits_and_a_process_has_one() {
        for (text, pid) in [("", 0), ("0", 0), ("1", 1), ("4294967295", u32::MAX)] {
            assert_eq!(check(row(Field::Pid, text)).unwrap().pid, pid);
        }
        for bad in ["-1", "+1", "4294967296", "1.0", "1e3", "0x10", "010", "00", " 1", "1 ", "١"] {
            assert_eq!(
                refusal(Field::Pid, bad),
                format!("is no process id, a whole number from 0 to 4294967295 in plain digits: {bad:?}")
            );
        }
        for pid in ["", "0"] {
            let mut given = row(Field::Pid, pid);
            given[Field::EventType as usize] = Given::Text("PROCESS".into());
            assert_eq!(check(given).unwrap_err(), [(Field::Pid, BadValue::NoPid)]);
        }
    }

    #[test]
    fn every_wrong_field_of_a_row_is_named() {
        let given = [
            Given::Missing,
            Given::Other("an array"),
            Given::Missing,
            Given::Missing,
            Given::Integer("-5"),
            Given::Integer("5"),
        ];
        let bad = check(given).unwrap_err();
        let fields: Vec<_> = bad.iter().map(|(field, why)| format!("{} {why}", field.name())).collect();
        assert_eq!(
            fields,
            [
                "agent_id is missing or empty",
                "event_id is an array, not text",
                "event_type is missing or empty",
                "action is a number, not text"
            ]
        );
    }
}
