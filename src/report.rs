//! Reports: plan and facts folded into a view, the view rendered. It never sees the journal.
//!
//! [`fold::fold`] turns facts into endings; [`write()`] and [`write_file`] render a [`Source`] in one of the formats. JSON
//! and CSV stream and hold every item, the other formats show what needs a person first and say what they left out.
//! Nothing is rendered whose counts do not add up, and no foreign text is live where it lands (see [`inert`]).

mod ending;
mod explain;
pub mod fold;
pub mod totals;
pub mod words;
pub mod inert;

mod attributes;
mod view;
mod pick;

mod json;
mod csv;
mod text;
mod markdown;
mod html;
mod template;
mod fields;
mod file;

pub use ending::{Ending, Remediation, Resolution, Skipped};
pub use file::{render_path, write_file};
pub use fold::{FoldError, Folded, Folding, Oddity, fold};
pub use template::render_text as render_template;
pub use text::text;
pub use totals::{Outcomes, RowsWithoutItem, Summary, Totals};

use crate::plan::{ItemRow, PlanHeader, RowWithoutItem};
use crate::playbook::ReportFormat;
use crate::run::RunMeta;
use std::io::{self, Write};
use std::path::PathBuf;

/// Hands an item to a report; its error must be passed on.
pub type Visitor<'a> = dyn FnMut(ItemRow) -> io::Result<()> + 'a;

/// Everything a report shows.
pub struct Source<'a> {
    /// The run.
    pub run: &'a RunMeta,
    /// What holds for all items.
    pub header: &'a PlanHeader,
    /// What became of them.
    pub folded: &'a Folded,
    /// Streams all items in item order; it is called more than once and must stop at the visitor's first error.
    pub items: &'a dyn Fn(&mut Visitor<'_>) -> Result<(), ReportError>,
    /// Rows that no item stands for, in input order.
    pub rows_without_item: &'a [RowWithoutItem],
    /// The exit code that the command ends with.
    pub exit_code: u8,
}

/// Why a report could not be made. The outcomes are in the journal: it can be made again.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Writing a report's file failed.
    #[error("cannot {doing} {path}: {cause}")]
    File {
        /// `create`, `write`, …
        doing: &'static str,
        /// Which file.
        path: String,
        /// The system's words.
        cause: io::Error,
    },
    /// The report's path is a link or no plain file.
    #[error("cannot write the report {path}: there is {what} at this path, and it is not followed or replaced")]
    Occupied {
        /// Which file.
        path: String,
        /// `a symbolic link`, `a folder`, …
        what: &'static str,
    },
    /// Writing to the given output failed: a closed pipe, a full disk.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
    /// The items could not be read back.
    #[error("cannot read the items of the run: {0}")]
    Items(String),
    /// Plan, items and facts contradict each other.
    #[error("the run does not add up: {0}; no report was made of it")]
    DoesNotAddUp(String),
    /// A template is wrong, or needs what the report does not have.
    #[error("{}: {message}", located(path, *line, *column))]
    Template {
        /// The template's file, or the path template itself.
        path: String,
        /// From 1; 0 where unknown.
        line: usize,
        /// From 1; 0 where unknown.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// No such format.
    #[error("there is no report format {0:?}; use text, markdown, json, csv, html or template:PATH")]
    Format(String),
}

/// Reads a format as plans keep it: `json`, `template:report.md.tera`.
pub fn parse_format(word: &str) -> Result<ReportFormat, ReportError> {
    match word {
        "text" => Ok(ReportFormat::Text),
        "markdown" => Ok(ReportFormat::Markdown),
        "json" => Ok(ReportFormat::Json),
        "csv" => Ok(ReportFormat::Csv),
        "html" => Ok(ReportFormat::Html),
        _ => match word.strip_prefix("template:") {
            Some(path) if !path.is_empty() => Ok(ReportFormat::Template(PathBuf::from(path))),
            _ => Err(ReportError::Format(word.to_owned())),
        },
    }
}

/// Whether a report of this format can be made at all: a template of the user's is read and checked.
pub fn check_format(format: &ReportFormat) -> Result<(), ReportError> {
    match format {
        ReportFormat::Template(path) => template::check(path),
        ReportFormat::Text | ReportFormat::Markdown | ReportFormat::Json | ReportFormat::Csv | ReportFormat::Html => {
            Ok(())
        }
    }
}

/// Writes a report. Text is written without colour; a terminal's is [`text()`].
pub fn write(format: &ReportFormat, source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    match format {
        ReportFormat::Text => text(source, text::Colour::Never, out),
        ReportFormat::Markdown => markdown::write(source, out),
        ReportFormat::Json => json::write(source, out),
        ReportFormat::Csv => csv::write(source, out),
        ReportFormat::Html => html::write(source, out),
        ReportFormat::Template(path) => template::write(source, path, out),
    }
}

pub use text::Colour;

impl Source<'_> {
    /// The counts, with one pass over the items; an error when they do not add up.
    pub fn summary(&self) -> Result<Summary, ReportError> {
        self.each_item(|_, _| Ok(()))
    }

    /// Visits every item with its ending and holds items, plan and facts against each other on the way.
    fn each_item(
        &self,
        mut visit: impl FnMut(ItemRow, &Ending) -> Result<(), ReportError>,
    ) -> Result<Summary, ReportError> {
        let mut seen = Seen::default();
        let mut failure = None;
        let passed = (self.items)(&mut |row| {
            let result = self.ending(&row, &mut seen).and_then(|ending| visit(row, ending));
            result.map_err(|error| {
                failure = Some(error);
                io::Error::other("the report stopped reading items")
            })
        });
        match failure {
            Some(error) => return Err(error),
            None => passed?,
        }
        let summary = Summary {
            rows: u64::from(self.header.rows),
            rows_with_item: seen.rows,
            rows_without_item: RowsWithoutItem::of(self.rows_without_item),
            items: seen.items as u64,
            totals: self.folded.totals.clone(),
        };
        if seen.items == self.folded.endings.len() && summary.adds_up() { Ok(summary) } else { Err(broken(&summary)) }
    }

    fn ending(&self, row: &ItemRow, seen: &mut Seen) -> Result<&Ending, ReportError> {
        let wrong = |what: &str| ReportError::DoesNotAddUp(format!("item {} {what}", row.item));
        if row.item as usize != seen.items {
            return Err(wrong("comes out of order"));
        }
        if usize::from(row.step) >= self.header.steps.len() {
            return Err(wrong("names a step that the plan does not have"));
        }
        if self.file(row.event.place.source).is_none() {
            return Err(wrong("names a source that the plan does not have"));
        }
        let ending = self.folded.endings.get(seen.items).ok_or_else(|| wrong("has no outcome"))?;
        seen.items += 1;
        seen.rows += u64::from(seen.last_row.replace(row.event.place.row) != Some(row.event.place.row));
        Ok(ending)
    }

    /// Who approved the plan: as its facts say, or as was known when it began.
    fn approvals(&self) -> Vec<String> {
        let before = || self.run.approvals.iter().map(|of| words::approval(&of.by, &of.given, &of.expires)).collect();
        let said = &self.folded.totals.approvals;
        if said.is_empty() { before() } else { said.clone() }
    }

    fn file(&self, source: u16) -> Option<&str> {
        self.header.sources.get(usize::from(source)).map(String::as_str)
    }
}

/// What a pass over the items has counted; items are ordered by row, so a new row is a change of row.
#[derive(Default)]
struct Seen {
    items: usize,
    rows: u64,
    last_row: Option<u32>,
}

fn broken(summary: &Summary) -> ReportError {
    ReportError::DoesNotAddUp(format!(
        "{} items with {} outcomes, {} rows of which {} have an item and {} are listed without",
        summary.items,
        summary.totals.outcomes.sum(&words::OUTCOMES),
        summary.rows,
        summary.rows_with_item,
        summary.rows_without_item.all(),
    ))
}

fn located(path: &str, line: usize, column: usize) -> String {
    match (line, column) {
        (0, _) => path.to_owned(),
        (line, 0) => format!("{path}:{line}"),
        (line, column) => format!("{path}:{line}:{column}"),
    }
}

#[cfg(test)]
mod tests;
