//! YAML with places: text becomes a tree of located nodes, the tree becomes types, and every problem is found at once.
//!
//! A `Reader` reads ordinary serde structs whose fields are `Field`s: a field that cannot be read is reported where
//! it stands and reading goes on, so one pass finds all problems of a file, and what could be read can still be
//! checked. Unknown and repeated keys are always problems, whatever the struct says. It refuses YAML's surprises
//! (aliases, tags, merge keys, `yes` for true, numbers for text) and decides nothing about what the values mean.

mod tree;
mod scalar;
mod de;
mod access;
mod field;
mod written;
mod file;
mod secrets;
mod words;

pub(crate) use field::{Entries, Field};
pub use file::{FILE_BYTES_MAX, load};
pub(crate) use written::{AnyText, Count, FromText, NumberOrText, Refusal, Version, Written};

use crate::problem::{Place, Problem};
use serde::de::DeserializeOwned;
use serde_saphyr::granit_parser::ErrorKind;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// More would help nobody.
const PROBLEMS_MAX: usize = 100;

/// A value together with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// Another value at the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), place: self.place }
    }
}

/// What is known of keys that a file may not have: why not, and what to do instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hint {
    /// The key.
    pub(crate) key: &'static str,
    /// What to do instead.
    pub(crate) help: &'static str,
}

/// Reads one file and collects its problems.
pub(crate) struct Reader<'a> {
    file: Arc<str>,
    text: &'a str,
    hints: &'static [Hint],
    /// Keys whose values are never shown, in no message and no excerpt.
    hidden: &'static [&'static str],
    reports: RefCell<Vec<Report>>,
    secrets: RefCell<Vec<Range<usize>>>,
}

struct Report {
    place: Place,
    message: String,
    help: Option<String>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &str, text: &'a str) -> Self {
        Self {
            file: file.into(),
            text,
            hints: &[],
            hidden: &[],
            reports: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// What to say of certain unknown keys.
    pub(crate) fn with_hints(mut self, hints: &'static [Hint]) -> Self {
        self.hints = hints;
        self
    }

    /// The values of these keys are never shown.
    pub(crate) fn with_hidden(mut self, hidden: &'static [&'static str]) -> Self {
        self.hidden = hidden;
        self
    }

    /// Reads the whole file. What is wrong is reported; [`Field::Refused`] when not even the outermost mapping is there.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Field<T> {
        if self.text.len() > FILE_BYTES_MAX {
            self.report_whole_file(file::too_big(), "put events into a file of their own, as CSV or JSON lines");
            return Field::Refused;
        }
        let Some(root) = tree::build(self) else { return Field::Refused };
        self.secrets.replace(secrets::of_tree(&root, self.hidden));
        de::read(self, &root)
    }

    pub(crate) fn report(&self, place: Place, message: impl Into<String>) {
        self.reports.borrow_mut().push(Report { place, message: message.into(), help: None });
    }

    pub(crate) fn report_help(&self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.reports.borrow_mut().push(Report { place, message: message.into(), help: Some(help.into()) });
    }

    /// The value of a key that must be there; a missing one is reported at the mapping it belongs into.
    pub(crate) fn require<T>(&self, field: Field<T>, key: &str, mapping: Place) -> Option<Spanned<T>> {
        if let Field::Absent = field {
            self.report_help(mapping, format!("missing key `{key}`"), format!("add `{key}: …` to this mapping"));
        }
        field.read()
    }

    /// The value, unless there is a problem: then all of them, by place.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match self.end(value) {
            (Some(value), problems) if problems.is_empty() => Ok(value),
            (_, problems) => Err(problems),
        }
    }

    /// The value as far as it could be read, with all problems by place; there is at least one where there is no value.
    pub(crate) fn end<T>(self, value: Option<T>) -> (Option<T>, Vec<Problem>) {
        let mut reports = self.reports.into_inner();
        if value.is_none() && reports.is_empty() {
            let message = "the file cannot be read, and no reason was found: this is a bug in quell".to_owned();
            reports.push(Report { place: Place::default(), message, help: None });
        }
        reports.sort_by_key(|report| (report.place.line, report.place.column));
        reports.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let more = reports.len().saturating_sub(PROBLEMS_MAX);
        reports.truncate(PROBLEMS_MAX);
        let shown = secrets::redact(self.text, self.secrets.into_inner());
        let problem = |report: Report| {
            let problem = Problem::new(self.file.clone(), report.place, report.message).with_line_of(&shown);
            Problem { help: report.help, ..problem }
        };
        let mut problems: Vec<Problem> = reports.into_iter().map(problem).collect();
        if more > 0 {
            let place = problems.last().map(|last| last.place).unwrap_or_default();
            problems.push(Problem::new(self.file.clone(), place, format!("and {more} more problems in this file")));
        }
        (value, problems)
    }

    fn report_whole_file(&self, message: String, help: &str) {
        self.report_help(Place::default(), message, help);
    }

    /// Reports what the parser refused. The tree is missing then, so secrets are told by their keys' spelling.
    fn report_invalid(&self, place: Place, kind: &ErrorKind) {
        self.secrets.replace(secrets::of_text(self.text));
        let (message, help) = words::of_invalid(kind);
        match help {
            Some(help) => self.report_help(place, message, help),
            None => self.report(place, message),
        }
    }

    /// Whether so much is wrong that reading on is of no use.
    fn is_full(&self) -> bool {
        self.reports.borrow().len() >= PROBLEMS_MAX
    }
}

#[cfg(test)]
mod tests;
