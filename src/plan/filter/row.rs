//! One event as a filter sees it: only the columns that filters name are taken out of its text.

use super::{BUILT_IN, ColumnUse, Filter, value_of};
use crate::events::{Event, snake_case};
use cel::common::types::{CelBool, CelInt, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// How many different column names are remembered; a file of records that all differ has no use for it.
const NAMES_MAX: usize = 10_000;

/// Takes the columns that some filters name out of events.
#[derive(Debug)]
pub struct ColumnReader {
    names: Vec<Box<str>>,
    /// The input's name of a column to its index in `names`, if it has one.
    known: HashMap<Box<str>, Option<usize>>,
}

/// The values of one event. A column that this event does not have is null.
#[derive(Debug)]
pub struct Row<'e> {
    event: &'e Event,
    names: &'e [Box<str>],
    cells: Vec<Cell<'e>>,
}

#[derive(Debug)]
enum Cell<'e> {
    Missing,
    Text(Cow<'e, str>),
    Other(Box<dyn Val>),
}

impl ColumnReader {
    /// For these filters together.
    pub fn new<'f>(filters: impl Iterator<Item = &'f Filter>) -> Self {
        Self::of_names(filters.flat_map(Filter::columns).map(|ColumnUse { name, .. }| &**name))
    }

    /// For these columns.
    pub fn of_names<'n>(columns: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names: Vec<Box<str>> = Vec::new();
        for name in columns {
            if !BUILT_IN.contains(&name) && !names.iter().any(|known| **known == *name) {
                names.push(name.into());
            }
        }
        Self { names, known: HashMap::new() }
    }

    /// The event's values.
    ///
    /// # Errors
    /// When two of its columns have the same name in a filter, or its text is not one JSON object.
    pub fn read<'e>(&'e mut self, event: &'e Event) -> Result<Row<'e>, String> {
        let mut cells = Vec::new();
        if !self.names.is_empty() {
            cells.resize_with(self.names.len(), || Cell::Missing);
            let mut json = serde_json::Deserializer::from_str(&event.attributes);
            let fields = Fields { names: &self.names, known: &mut self.known, cells: &mut cells };
            fields.deserialize(&mut json).map_err(|error| plain(&error))?;
        }
        Ok(Row { event, names: &self.names, cells })
    }

    /// The named columns that no event has. Reads only as many events as it takes to see them all: one, in a table.
    pub fn missing(&mut self, events: &[Event]) -> Vec<Box<str>> {
        let mut missing: BTreeSet<Box<str>> = self.names.iter().cloned().collect();
        for event in events {
            if missing.is_empty() {
                break;
            }
            if let Ok(row) = self.read(event) {
                for (name, cell) in row.names.iter().zip(&row.cells) {
                    if !matches!(cell, Cell::Missing) {
                        missing.remove(name);
                    }
                }
            }
        }
        missing.into_iter().collect()
    }

    /// The names of all columns of these events, as filters write them, and the built-in ones.
    pub fn all_names(events: &[Event]) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = BUILT_IN.iter().map(|name| (*name).to_owned()).collect();
        for event in events {
            if let Ok(fields) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&event.attributes) {
                names.extend(fields.keys().map(|name| snake_case(name)));
            }
            if names.len() > NAMES_MAX {
                break;
            }
        }
        names
    }
}

impl Row<'_> {
    /// One of its values as text: a number or a truth value as it is written; `None` where it is missing or null.
    ///
    /// # Errors
    /// When it is a list or an object.
    pub fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, String> {
        match name {
            "agent_id" => return Ok(Some(Cow::Borrowed(&self.event.agent_id))),
            "event_id" => return Ok(Some(Cow::Borrowed(&self.event.event_id))),
            "event_type" => return Ok(Some(Cow::Borrowed(self.event.event_type.as_str()))),
            "unique_id" => return Ok(Some(Cow::Borrowed(&self.event.unique_id))),
            "pid" => return Ok(Some(Cow::Owned(self.event.pid.to_string()))),
            _ => {}
        }
        let index = self.names.iter().position(|known| **known == *name);
        match index.and_then(|index| self.cells.get(index)) {
            None | Some(Cell::Missing) => Ok(None),
            Some(Cell::Text(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(Cell::Other(value)) => {
                let of_null = value.downcast_ref::<CelNull>().map(|_| None);
                let of_number = value.downcast_ref::<CelInt>().map(|n| Some(Cow::Owned(n.inner().to_string())));
                let of_truth = value.downcast_ref::<CelBool>().map(|is| Some(Cow::Owned(is.inner().to_string())));
                let plain = of_null.or(of_number).or(of_truth);
                plain.ok_or_else(|| format!("`{name}` is neither text nor a whole number"))
            }
        }
    }
}

impl VariableResolver for Row<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        match name {
            "agent_id" => text(&self.event.agent_id),
            "event_id" => text(&self.event.event_id),
            "event_type" => text(self.event.event_type.as_str()),
            "unique_id" => text(&self.event.unique_id),
            "pid" => Some(CowVal::owned(CelInt::from(i64::from(self.event.pid)))),
            _ => {
                let index = self.names.iter().position(|known| **known == *name)?;
                match self.cells.get(index)? {
                    Cell::Missing => Some(CowVal::owned(CelNull)),
                    Cell::Text(cell) => text(cell),
                    Cell::Other(value) => Some(CowVal::Borrowed(value.as_ref())),
                }
            }
        }
    }
}

/// Reads the object and keeps the named fields.
struct Fields<'a, 'e> {
    names: &'e [Box<str>],
    known: &'a mut HashMap<Box<str>, Option<usize>>,
    cells: &'a mut [Cell<'e>],
}

impl Fields<'_, '_> {
    fn index_of(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.known.get(name) {
            return *index;
        }
        let snake = snake_case(name);
        let index = self.names.iter().position(|known| **known == *snake);
        if self.known.len() < NAMES_MAX {
            self.known.insert(name.into(), index);
        }
        index
    }
}

impl<'e> DeserializeSeed<'e> for Fields<'_, 'e> {
    type Value = ();
    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'e> Visitor<'e> for Fields<'_, 'e> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }
    fn visit_map<A: MapAccess<'e>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key::<Text<'e>>()? {
            match self.index_of(&name) {
                Some(index) if matches!(self.cells[index], Cell::Missing) => self.cells[index] = map.next_value()?,
                Some(index) => {
                    let name = &self.names[index];
                    return Err(serde::de::Error::custom(format!("two columns are called {name} in a filter")));
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'e>(#[serde(borrow)] Cow<'e, str>);

impl<'e> serde::Deserialize<'e> for Cell<'e> {
    fn deserialize<D: Deserializer<'e>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'e serde_json::value::RawValue>::deserialize(deserializer)?;
        let wrong = |error: serde_json::Error| serde::de::Error::custom(plain(&error));
        if raw.get().starts_with('"') {
            let Text(text) = serde_json::from_str(raw.get()).map_err(wrong)?;
            return Ok(Cell::Text(text));
        }
        let value = serde_json::from_str(raw.get()).map_err(wrong)?;
        value_of(value).map(Cell::Other).map_err(serde::de::Error::custom)
    }
}

/// The error without its position, which is one in our own encoding and would mislead.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
