//! The lines of a plan file, one by one: what each says, and how it is written. Reader and writer share them, so that
//! what is read can be held against what would be written.

use super::{FILE_BYTES_MAX, FORMAT, HEADER_BYTES_MAX, LINE_BYTES_MAX, PlanFileError};
use crate::events::{Event, RowPlace};
use crate::inert;
use crate::plan::{PlanHeader, PlannedItem, RowWithoutItem};
use crate::tenant::EventType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::{self, Write};

/// Keys of the header that stand in the first line.
const IN_FIRST_LINE: [&str; 2] = ["digest", "tool_version"];
/// What a header's key ends with when the line has one element of its list.
const ELEMENT: &str = "[]";

/// The first line.
#[derive(Serialize, Deserialize)]
pub(super) struct First<'a> {
    #[serde(borrow)]
    pub(super) quell: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) tool: Cow<'a, str>,
}

/// A key of the header, or one element of its list.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    header: Cow<'a, str>,
    value: Value,
}

/// An event and the items made of it.
#[derive(Serialize, Deserialize)]
pub(super) struct EventLine<'a> {
    #[serde(borrow)]
    event: WrittenEvent<'a>,
    #[serde(borrow)]
    items: Vec<WrittenItem<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenEvent<'a> {
    row: u32,
    source: u16,
    line: u32,
    #[serde(borrow)]
    agent_id: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    event_type: EventType,
    pid: u32,
    #[serde(borrow)]
    unique_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Cow<'a, str>>,
    /// Where they can stand in the line as they are, and be read back as they were.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
    /// Where they cannot: with characters that act on a reader, or when they are no JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attributes_text: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenItem<'a> {
    item: u32,
    step: u16,
    #[serde(borrow)]
    name: Cow<'a, str>,
    target: u32,
}

/// A row without an item.
#[derive(Serialize, Deserialize)]
pub(super) struct RowLine<T> {
    pub(super) row_without_item: T,
}

/// The last line.
#[derive(Serialize, Deserialize)]
pub(super) struct Last<'a> {
    pub(super) end: Counts,
    #[serde(borrow)]
    pub(super) sha256: Cow<'a, str>,
}

/// How many lines of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) events: usize,
    pub(super) items: usize,
    pub(super) rows_without_item: usize,
}

/// Lines on their way out, counted and summed up.
pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    sum: Sha256,
    bytes: u64,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, sum: Sha256::new(), bytes: 0, number: 0 }
    }

    pub(super) fn first(&mut self, header: &PlanHeader) -> Result<(), PlanFileError> {
        self.push(&of_first(header)?)
    }

    /// A line with its end.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<(), PlanFileError> {
        self.number += 1;
        self.bytes += line.len() as u64;
        if line.len() > LINE_BYTES_MAX {
            let bytes_max = LINE_BYTES_MAX as u64;
            return Err(PlanFileError::TooLarge { what: format!("line {}", self.number), bytes_max });
        }
        if self.bytes > FILE_BYTES_MAX {
            return Err(PlanFileError::TooLarge { what: "the file".to_owned(), bytes_max: FILE_BYTES_MAX });
        }
        self.sum.update(line);
        Ok(self.out.write_all(line)?)
    }

    pub(super) fn last(mut self, events: usize, items: usize, rows: usize) -> Result<(), PlanFileError> {
        let sum = hexadecimal(self.sum.clone());
        self.push(&of_last(Counts { events, items, rows_without_item: rows }, &sum)?)
    }
}

/// The first line of a file with this header.
pub(super) fn of_first(header: &PlanHeader) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let (quell, digest, tool) = (FORMAT.into(), (&header.digest).into(), (&header.tool_version).into());
    put(&First { quell, digest, tool }, &mut line)?;
    Ok(line)
}

/// The header's lines, in the order of its keys.
pub(super) fn of_header(header: &PlanHeader) -> Result<Vec<Vec<u8>>, PlanFileError> {
    let Value::Object(keys) = serde_json::to_value(header).map_err(io::Error::from)? else {
        return Err(io::Error::other("the header of a plan is no JSON object: this is a bug in quell").into());
    };
    let mut lines = Vec::new();
    let mut add = |header: Cow<'_, str>, value| -> io::Result<()> {
        let mut line = Vec::new();
        put(&Entry { header, value }, &mut line)?;
        lines.push(line);
        Ok(())
    };
    for (key, value) in keys {
        match value {
            _ if IN_FIRST_LINE.contains(&key.as_str()) => {}
            Value::Array(elements) if !elements.is_empty() => {
                elements.into_iter().try_for_each(|element| add(format!("{key}{ELEMENT}").into(), element))?;
            }
            value => add(key.into(), value)?,
        }
    }
    if lines.iter().map(Vec::len).sum::<usize>() > HEADER_BYTES_MAX {
        let bytes_max = HEADER_BYTES_MAX as u64;
        return Err(PlanFileError::TooLarge { what: "the header".to_owned(), bytes_max });
    }
    Ok(lines)
}

impl Entry<'_> {
    /// Adds it to the header's keys; an error when it cannot be there.
    pub(super) fn add_to(self, keys: &mut serde_json::Map<String, Value>) -> Result<(), String> {
        let Some(list) = self.header.strip_suffix(ELEMENT) else {
            return match keys.insert(self.header.clone().into_owned(), self.value) {
                None => Ok(()),
                Some(_) => Err("this key of the header is there twice".to_owned()),
            };
        };
        match keys.entry(list).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(elements) => elements.push(self.value),
            _ => return Err("this key of the header is there twice".to_owned()),
        }
        Ok(())
    }
}

/// The line of an event and its items, each with its number, into `line`.
pub(super) fn of_event(
    event: &Event,
    items: impl Iterator<Item = (u32, PlannedItem)>,
    header: &PlanHeader,
    line: &mut Vec<u8>,
) -> io::Result<()> {
    line.clear();
    // Taken apart by name, so that a new field cannot be forgotten here.
    let Event { place, agent_id, event_id, event_type, pid, unique_id, action, attributes } = event;
    let RowPlace { row, source, line: at } = *place;
    let raw = raw_of(attributes);
    let written = WrittenEvent {
        row,
        source,
        line: at,
        agent_id: Cow::Borrowed(agent_id),
        event_id: Cow::Borrowed(event_id),
        event_type: *event_type,
        pid: *pid,
        unique_id: Cow::Borrowed(unique_id),
        action: action.as_deref().map(Cow::Borrowed),
        attributes: raw,
        attributes_text: if raw.is_none() { Some(Cow::Borrowed(attributes)) } else { None },
    };
    let items = items.map(|(item, PlannedItem { event: _, step, target })| {
        let name = header.steps.get(usize::from(step)).map_or("", |step| step.name.as_str());
        WrittenItem { item, step, name: name.into(), target }
    });
    put(&EventLine { event: written, items: items.collect() }, line)
}

impl EventLine<'_> {
    /// The event and its items with their numbers, the event having this number.
    pub(super) fn into_parts(self, number: u32) -> (Event, Vec<(u32, PlannedItem)>) {
        let Self { event, items } = self;
        let attributes = event.attributes.map(RawValue::get).map(Box::from);
        let event = Event {
            place: RowPlace { row: event.row, source: event.source, line: event.line },
            agent_id: event.agent_id.into(),
            event_id: event.event_id.into(),
            event_type: event.event_type,
            pid: event.pid,
            unique_id: event.unique_id.into(),
            action: event.action.map(Box::from),
            attributes: attributes.or_else(|| event.attributes_text.map(Box::from)).unwrap_or_default(),
        };
        let item =
            |item: WrittenItem<'_>| (item.item, PlannedItem { event: number, step: item.step, target: item.target });
        (event, items.into_iter().map(item).collect())
    }
}

/// A JSON object that stands in a line as it is and is read back as it was.
fn raw_of(attributes: &str) -> Option<&RawValue> {
    if !attributes.starts_with('{') || attributes.contains(inert::acts) {
        return None;
    }
    serde_json::from_str::<&RawValue>(attributes).ok().filter(|raw| raw.get() == attributes)
}

/// The line of a row without an item, into `line`.
pub(super) fn of_row(row: &RowWithoutItem, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    put(&RowLine { row_without_item: row }, line)
}

/// The last line.
pub(super) fn of_last(end: Counts, sum: &str) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    put(&Last { end, sha256: sum.into() }, &mut line)?;
    Ok(line)
}

pub(super) fn hexadecimal(sum: Sha256) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put<T: Serialize>(value: &T, line: &mut Vec<u8>) -> io::Result<()> {
    inert::json(line, value)?;
    line.push(b'\n');
    Ok(())
}
