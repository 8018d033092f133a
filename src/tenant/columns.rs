//! Column mappings: which column of an event file is which field. Tenants name them, playbooks may write them in place.

use super::{ColumnSource, Columns, fold};
use crate::yaml::{AnyText, Entries, Field, Reader, Spanned};
use schemars::JsonSchema;
use serde::Deserialize;

/// The event's own fields; all other names become attributes.
const OWN_FIELDS: [&str; 6] = ["agent_id", "event_id", "event_type", "pid", "unique_id", "action"];

/// `agent_id: Agent ID`, in file order.
pub(crate) type ColumnEntries = Entries<ColumnFile>;

/// Where a field's text comes from.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename = "quell::ByKind", rename_all = "lowercase")]
#[schemars(rename = "Column", untagged)]
pub(crate) enum ColumnFile {
    /// A column by its exact header, or a dotted path into a JSON record.
    Text(String),
    /// A column with a default, or a constant.
    Mapping(ColumnSourceFile),
}

/// A column with a default, or a constant.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ColumnSource", extend("oneOf" = [{"required": ["column"]}, {"required": ["constant"]}]))]
#[schemars(extend("dependentRequired" = {"default": ["column"]}))]
pub(crate) struct ColumnSourceFile {
    /// The column's exact header, or a dotted path into a JSON record.
    #[serde(default)]
    column: Field<String>,
    /// What stands for a missing or empty cell.
    #[serde(default)]
    default: Field<AnyText>,
    /// The same text in every row.
    #[serde(default)]
    constant: Field<AnyText>,
}

/// Checks a mapping; what is wrong is reported.
pub(crate) fn read_columns(reader: &Reader<'_>, entries: Spanned<ColumnEntries>) -> Columns {
    let mut columns = Vec::new();
    if entries.value.0.is_empty() {
        reader.report(entries.place, "expected at least one column, found none");
    }
    for (name, source) in entries.value.0 {
        check_field_name(reader, &name);
        if let Some(source) = source.read().and_then(|source| read_source(reader, source)) {
            columns.push((name.value, source));
        }
    }
    Columns(columns)
}

/// The event's own field that a mapping probably means by a name that is none.
pub(crate) fn misspelt_field(name: &str) -> Option<&'static str> {
    OWN_FIELDS.into_iter().find(|own| fold(own) == fold(name) && *own != name)
}

/// A field's name that is nearly one of the event's own would quietly become an attribute.
fn check_field_name(reader: &Reader<'_>, name: &Spanned<String>) {
    if let Some(own) = misspelt_field(&name.value) {
        let message = format!("`{}` is not a field of an event", name.value);
        reader.report_help(name.place, message, format!("did you mean `{own}`?"));
    }
    if name.value.trim().is_empty() || name.value.chars().any(char::is_control) {
        reader.report(name.place, "a field's name is text without control characters");
    }
}

fn read_source(reader: &Reader<'_>, source: Spanned<ColumnFile>) -> Option<ColumnSource> {
    let place = source.place;
    let named = |name: String, default| {
        if name.is_empty() {
            reader.report(place, "expected a column's header, found an empty text");
        }
        ColumnSource::Column { name, default }
    };
    let ColumnSourceFile { column, default, constant } = match source.value {
        ColumnFile::Text(name) => return Some(named(name, None)),
        ColumnFile::Mapping(mapping) => mapping,
    };
    match (column.is_present(), constant.is_present()) {
        (true, false) => Some(named(column.value()?, default.value().map(|text| text.0))),
        (false, true) => {
            if let Some(default) = default.read() {
                reader.report(default.place, "a constant has no use for a default");
            }
            Some(ColumnSource::Constant(constant.value()?.0))
        }
        _ => {
            reader.report(place, "expected exactly one of `column` and `constant`");
            None
        }
    }
}
