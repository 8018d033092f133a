//! JSON, schema `quell.report/1`: everything, one item a line, so that diffs and line tools work on it.
//!
//! Values are exact. Characters that would act on a terminal are written as `\u` escapes, which changes no value.

use super::view::{ItemView, RowView, RunView, SCHEMA, SummaryView};
use super::{ReportError, Source, inert};
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::value::RawValue;
use std::io::{self, Write};

pub(super) fn write(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let summary = source.summary()?;
    out.write_all(b"{\"schema\":")?;
    value(out, SCHEMA)?;
    out.write_all(b",\n\"run\":")?;
    value(out, &RunView::of(source))?;
    out.write_all(b",\n\"summary\":")?;
    value(out, &SummaryView::of(&summary))?;
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
    let mut serializer = serde_json::Serializer::with_formatter(out, OneInertLine);
    value.serialize(&mut serializer).map_err(|error| ReportError::Output(error.into()))
}

/// Compact, on one line, with acting characters escaped; they can only stand inside of strings.
struct OneInertLine;

impl Formatter for OneInertLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        escaped(writer, fragment)
    }

    /// JSON that is kept as it was read; line ends in it stand between its tokens.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.contains(['\n', '\r', '\t']) {
            return escaped(writer, &fragment.replace(['\n', '\r', '\t'], " "));
        }
        escaped(writer, fragment)
    }
}

fn escaped<W: ?Sized + Write>(writer: &mut W, mut text: &str) -> io::Result<()> {
    while let Some((at, found)) = text.char_indices().find(|&(_, c)| inert::acts(c)) {
        writer.write_all(&text.as_bytes()[..at])?;
        for unit in found.encode_utf16(&mut [0; 2]) {
            write!(writer, "\\u{unit:04x}")?;
        }
        text = &text[at + found.len_utf8()..];
    }
    writer.write_all(text.as_bytes())
}
