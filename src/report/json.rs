//! JSON, schema `quell.report/1`: everything, one item a line, so that diffs and line tools work on it.
//!
//! Values are exact. Characters that would act on a terminal are written as `\u` escapes, which changes no value.

use super::view::{ItemView, RowView, RunView, SCHEMA, SummaryView};
use super::{ReportError, Source};
use crate::inert;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::Write;

pub(super) fn write(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let summary = source.summary()?;
    out.write_all(b"{\"schema\":")?;
    value(out, SCHEMA)?;
    out.write_all(b",\n\"run\":")?;
    value(out, &RunView::of(source))?;
    out.write_all(b",\n\"summary\":")?;
    value(out, &SummaryView::of(source, &summary)?)?;
    out.write_all(b",\n\"items\":[")?;
    let mut before: &[u8] = b"\n";
    source.each_item(|row, ending| {
        let attributes: &RawValue = serde_json::from_str(&row.event.attributes).map_err(|error| {
            ReportError::DoesNotAddUp(format!("the attributes of item {} are no JSON: {error}", row.item))
        })?;
        out.write_all(before)?;
        before = b",\n";
        value(out, &ItemView::of(source, &row, ending, attributes)?)
    })?;
    out.write_all(b"\n],\n\"rows_without_item\":[")?;
    before = b"\n";
    for row in source.rows_without_item {
        out.write_all(before)?;
        before = b",\n";
        value(out, &RowView::of(source, row)?)?;
    }
    out.write_all(b"\n]}\n")?;
    Ok(())
}

fn value<T: Serialize + ?Sized>(out: &mut dyn Write, value: &T) -> Result<(), ReportError> {
    inert::json(out, value).map_err(ReportError::Output)
}
