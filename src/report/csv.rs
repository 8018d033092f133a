//! CSV (RFC 4180) for spreadsheets: one row per item in input order, the input's other columns first, ours after them.
//!
//! A row of the input without an item is a row here too, with the outcome `refused` or `skipped` and its reason, so that
//! every row of the input is found. Our columns always have the names of the JSON report; a column of the input that
//! has such a name is headed `input.NAME`. Cells that a spreadsheet would take for a formula are defused.

use super::attributes::{self, Attributes, as_text};
use super::totals::WhyNoItem;
use super::view::{ItemView, RowView};
use super::{ReportError, Source, fields, inert, words};
use std::collections::{HashMap, HashSet};
use std::io::Write;

/// Our columns, in order: what templates see of an item; of these the last, its attributes, are columns of their own.
const OURS: [&str; 21] = *fields::ITEM.first_chunk().expect("an item has that many fields");

pub(super) fn write(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let columns = Columns::of(source)?;
    let mut table = Table { csv: writer(out), columns };
    table.head()?;
    let mut without = source.rows_without_item.iter().peekable();
    source.each_item(|row, ending| {
        while let Some(earlier) = without.next_if(|other| other.row < row.event.place.row) {
            table.row_without_item(&RowView::of(source, earlier)?, WhyNoItem::of(earlier))?;
        }
        let attributes = attributes::of(&row)?;
        table.item(&ItemView::of(source, &row, ending, attributes)?)
    })?;
    for row in without {
        table.row_without_item(&RowView::of(source, row)?, WhyNoItem::of(row))?;
    }
    table.csv.flush()?;
    Ok(())
}

fn writer(out: &mut dyn Write) -> ::csv::Writer<&mut dyn Write> {
    ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out)
}

struct Table<'a> {
    csv: ::csv::Writer<&'a mut dyn Write>,
    columns: Columns,
}

impl Table<'_> {
    fn head(&mut self) -> Result<(), ReportError> {
        let taken: HashSet<&str> = OURS.into_iter().chain(self.columns.names.iter().map(String::as_str)).collect();
        let mut heads: Vec<String> = Vec::new();
        for name in &self.columns.names {
            let mut head = name.clone();
            while OURS.contains(&head.as_str()) || (head != *name && taken.contains(head.as_str())) {
                head.insert_str(0, "input.");
            }
            heads.push(head);
        }
        self.record(heads.iter().map(String::as_str).chain(OURS))
    }

    fn item(&mut self, item: &ItemView<'_, Attributes>) -> Result<(), ReportError> {
        let mut cells = vec![String::new(); self.columns.names.len()];
        for (name, value) in &item.attributes.0 {
            if let Some(&at) = self.columns.places.get(name) {
                cells[at] = as_text(value);
            }
        }
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        cells.extend([
            item.item.to_string(),
            item.row.to_string(),
            item.file.to_owned(),
            item.line.to_string(),
            item.step.to_owned(),
            item.event_id.to_owned(),
            item.agent_id.to_owned(),
            item.event_type.to_owned(),
            item.pid.to_string(),
            item.unique_id.to_owned(),
            item.action.to_owned(),
            item.action_id.to_string(),
            words::outcome(item.outcome).to_owned(),
            text(item.reason),
            text(item.remediation_id),
            text(item.paired_by.map(words::paired_by)),
            text(item.status),
            text(item.status_message),
            item.batch.map(|batch| batch.to_string()).unwrap_or_default(),
            text(item.resolution),
            text(item.resolution_note),
        ]);
        self.record(cells.iter().map(String::as_str))
    }

    fn row_without_item(&mut self, row: &RowView<'_>, why: WhyNoItem) -> Result<(), ReportError> {
        let outcome = if why == WhyNoItem::Refused { "refused" } else { "skipped" };
        let (number, line) = (row.row.to_string(), row.line.to_string());
        let empty = vec![""; self.columns.names.len()];
        let ours = OURS.map(|column| match column {
            "row" => number.as_str(),
            "file" => row.file,
            "line" => line.as_str(),
            "outcome" => outcome,
            "reason" => row.reason,
            _ => "",
        });
        self.record(empty.into_iter().chain(ours))
    }

    fn record<'c>(&mut self, cells: impl Iterator<Item = &'c str>) -> Result<(), ReportError> {
        let cells = cells.map(inert::csv_cell);
        let written = self.csv.write_record(cells.map(|cell| cell.as_bytes().to_vec()));
        written.map_err(|error| match error.into_kind() {
            ::csv::ErrorKind::Io(error) => ReportError::Output(error),
            other => ReportError::DoesNotAddUp(format!("a row does not fit the table: {other:?}")),
        })
    }
}

/// The attributes' names, in the order in which they are first seen.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    fn of(source: &Source<'_>) -> Result<Self, ReportError> {
        let mut columns = Self::default();
        source.each_item(|row, _| {
            for (name, _) in attributes::of(&row)?.0 {
                if !columns.places.contains_key(&name) {
                    columns.places.insert(name.clone(), columns.names.len());
                    columns.names.push(name);
                }
            }
            Ok(())
        })?;
        Ok(columns)
    }
}
