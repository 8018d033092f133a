//! The texts that a row has in some columns: a cell's own, and of lists and objects all that is in them.

use crate::events::{Event, snake_case};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// How many different column names are remembered; records that all differ have no use for it.
const NAMES_MAX: usize = 10_000;

/// Takes some columns, by their names in snake case, out of events.
#[derive(Debug, Default)]
pub(super) struct ColumnTexts {
    names: Vec<String>,
    /// The input's name of a column to its index in `names`, if it has one.
    known: HashMap<Box<str>, Option<usize>>,
}

impl ColumnTexts {
    /// The index of a column; a new one is read from then on.
    pub(super) fn index_of(&mut self, name: &str) -> usize {
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return index;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    /// The columns that are read.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The texts of each column, empty ones left out. Two columns of the input that have one name here are one.
    pub(super) fn read(&mut self, event: &Event) -> Result<Vec<Vec<String>>, serde_json::Error> {
        let mut texts = vec![Vec::new(); self.names.len()];
        if !self.names.is_empty() {
            let mut json = serde_json::Deserializer::from_str(&event.attributes);
            Fields { columns: self, texts: &mut texts }.deserialize(&mut json)?;
        }
        Ok(texts)
    }

    fn known(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.known.get(name) {
            return *index;
        }
        let snake = snake_case(name);
        let index = self.names.iter().position(|known| *known == snake);
        if self.known.len() < NAMES_MAX {
            self.known.insert(name.into(), index);
        }
        index
    }
}

struct Fields<'a> {
    columns: &'a mut ColumnTexts,
    texts: &'a mut [Vec<String>],
}

impl<'e> DeserializeSeed<'e> for Fields<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'e> Visitor<'e> for Fields<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }
    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'e, str>>()? {
            match self.columns.known(&name) {
                Some(index) => gather(map.next_value()?, &mut self.texts[index]),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// All that can be read in a value, in order.
fn gather(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => {
            let text = text.trim();
            if !text.is_empty() {
                texts.push(text.to_owned());
            }
        }
        Value::Bool(_) | Value::Number(_) => texts.push(value.to_string()),
        Value::Array(values) => values.into_iter().for_each(|value| gather(value, texts)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, value)| gather(value, texts)),
    }
}
