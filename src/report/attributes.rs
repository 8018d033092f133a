//! The other columns of an event, read back from their JSON object in column order.
//!
//! Numbers keep their digits: a unique id that lost its last ones would name something else.

use super::ReportError;
use crate::plan::ItemRow;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Names and values in column order.
pub(super) struct Attributes(pub(super) Vec<(String, Box<RawValue>)>);

/// The item's attributes.
pub(super) fn of(row: &ItemRow) -> Result<Attributes, ReportError> {
    serde_json::from_str(&row.event.attributes).map_err(|error| {
        ReportError::DoesNotAddUp(format!("the attributes of item {} are no JSON object: {error}", row.item))
    })
}

/// A value as the text of one cell: strings as they are, null as nothing, anything else as its JSON.
pub(super) fn as_text(value: &RawValue) -> String {
    match serde_json::from_str(value.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) => String::new(),
        _ => value.get().to_owned(),
    }
}

/// A value for a template. A number that would not come back digit by digit stays text.
pub(super) fn as_value(value: &RawValue) -> Value {
    match serde_json::from_str(value.get()) {
        Ok(Value::Number(number)) if number.to_string() != value.get() => Value::String(value.get().to_owned()),
        Ok(value) => value,
        Err(_) => Value::String(value.get().to_owned()),
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Attributes(all))
            }
        }
        deserializer.deserialize_map(Columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order_and_digits() {
        let text = r#"{"z":"a\"b","n":12345678901234567890123,"e":1.0,"x":null,"b":true,"o":{"k": [1]}}"#;
        let all: Attributes = serde_json::from_str(text).expect("an object");
        let cells: Vec<_> = all.0.iter().map(|(name, value)| (name.as_str(), as_text(value))).collect();
        let expected = [
            ("z", "a\"b"),
            ("n", "12345678901234567890123"),
            ("e", "1.0"),
            ("x", ""),
            ("b", "true"),
            ("o", r#"{"k": [1]}"#),
        ];
        assert_eq!(cells, expected.map(|(name, cell)| (name, cell.to_owned())));
        let values: Vec<_> = all.0.iter().map(|(_, value)| as_value(value)).collect();
        assert_eq!(
            serde_json::to_string(&values).expect("JSON"),
            r#"["a\"b","12345678901234567890123",1.0,null,true,{"k":[1]}]"#
        );
    }
}
