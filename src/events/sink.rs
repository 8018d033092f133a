//! Where rows and problems go: it numbers rows, puts refused ones aside or makes problems of them, and caps those.
//!
//! It reads nothing and judges nothing.

use super::text::Broken;
use super::{Event, Events, RefusedRow, RowPlace};
use crate::problem::{Place, Problem};
use std::sync::Arc;

/// Problems that are listed for one source; the rest is counted.
const PROBLEMS_MAX: usize = 100;
/// The sources of one reading.
const SOURCES_MAX: usize = u16::MAX as usize;
/// The rows of one reading; one less than the numbers, so that a count of them fits too.
const ROWS_MAX: u32 = u32::MAX - 1;
/// How much of a line a problem shows, in characters.
const LINE_CHARS_MAX: usize = 200;

/// A row that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowAt {
    pub(super) place: RowPlace,
    /// Its offset in the original bytes, where there are bytes.
    pub(super) byte: Option<u64>,
    /// Its column: 0, but for events that are written in a playbook.
    pub(super) column: u32,
}

impl RowAt {
    fn message(&self, what: &str) -> String {
        match self.byte {
            Some(byte) => format!("row {}, byte {byte}: {what}", self.place.row),
            None => format!("row {}: {what}", self.place.row),
        }
    }
}

/// One thing that is wrong with a row.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) reason: String,
    pub(super) help: Option<String>,
    /// The wrong part of the row's line: column and length in characters.
    pub(super) span: Option<(u32, u32)>,
}

impl Bad {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), help: None, span: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

pub(super) struct Sink {
    partial: bool,
    events: Events,
    problems: Vec<Problem>,
    file: Arc<str>,
    /// Rows and problems of the present source.
    rows_here: u32,
    problems_here: usize,
    rows: u32,
}

impl Sink {
    pub(super) fn new(partial: bool) -> Self {
        Self {
            partial,
            events: Events::default(),
            problems: Vec::new(),
            file: Arc::from(""),
            rows_here: 0,
            problems_here: 0,
            rows: 0,
        }
    }

    pub(super) fn begin(&mut self, name: &str) {
        self.file = Arc::from(name);
        self.events.sources.push(name.to_owned());
        self.rows_here = 0;
        self.problems_here = 0;
    }

    /// Ends a source with its digest or with what ended its reading.
    pub(super) fn end(&mut self, digest: Result<String, Problem>, empty_ok: bool) {
        if self.problems_here > PROBLEMS_MAX {
            let message = format!("… and {} more", self.problems_here - PROBLEMS_MAX);
            self.problems.push(Problem { help: None, ..self.of_file(message, "") });
        }
        match digest {
            Ok(_) if self.rows_here == 0 && self.problems_here == 0 && !empty_ok => {
                self.problems.push(self.of_file("it has no rows", "`empty: ok` at the source allows that"));
            }
            Ok(digest) => self.events.digests.push(digest),
            Err(problem) => self.problems.push(problem),
        }
    }

    pub(super) fn finish(self) -> Result<Events, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.events) } else { Err(self.problems) }
    }

    /// Numbers the row that begins here.
    pub(super) fn row(&mut self, line: u32, byte: Option<u64>, column: u32) -> Result<RowAt, Problem> {
        if self.rows == ROWS_MAX {
            return Err(self.of_file(format!("there are more than {ROWS_MAX} rows"), "split the input"));
        }
        let Ok(source) = u16::try_from(self.events.sources.len() - 1) else {
            return Err(self.of_file(format!("there are more than {SOURCES_MAX} sources"), "join some of them"));
        };
        self.rows += 1;
        self.rows_here += 1;
        Ok(RowAt { place: RowPlace { row: self.rows, source, line }, byte, column })
    }

    /// The number that the next row will have.
    pub(super) fn next_row(&self) -> u32 {
        self.rows.saturating_add(1)
    }

    /// Takes a good row. Once there is a problem nothing will come of the rows, so they are not kept.
    pub(super) fn take(&mut self, event: Event, at: RowAt) {
        if self.problems.is_empty() {
            self.events.bytes.push(at.byte);
            self.events.rows.push(event);
        }
    }

    /// The last cell of this column may have been cut.
    pub(super) fn unended(&mut self, column: &str) {
        self.events.unended.push(column.to_owned());
    }

    /// Puts a row aside, or makes a problem of each thing that is wrong with it.
    pub(super) fn refuse(&mut self, at: RowAt, bad: Vec<Bad>, line: Option<&str>) {
        if self.partial {
            let reasons: Vec<_> = bad.into_iter().map(|bad| bad.reason).collect();
            let reason = reasons.join("; ");
            self.events.refused.push(RefusedRow { place: at.place, byte: at.byte.unwrap_or(0), reason });
            return;
        }
        for bad in bad {
            self.problems_here += 1;
            // Formatting a million problems to drop them would be slow.
            if self.problems_here > PROBLEMS_MAX {
                continue;
            }
            let mut problem = Problem { help: bad.help, ..self.of_row(at, &bad.reason, "") };
            if self.problems_here == 1 {
                const PARTIAL: &str = "--partial-input leaves such rows out";
                problem.help = Some(match problem.help {
                    None => PARTIAL.to_owned(),
                    // What mends all rows at once is better advice.
                    Some(help) if help.starts_with("did you mean") => help,
                    Some(help) => format!("{help}; {PARTIAL}"),
                });
            }
            if let Some(line) = line {
                problem.line_text = Some(shortened(line));
                if let Some((column, length)) = bad.span
                    && (column + length) as usize <= LINE_CHARS_MAX
                {
                    problem.place.column = column;
                    problem.place.length = length;
                }
            }
            self.problems.push(problem);
        }
    }

    /// A problem of the source as a whole.
    pub(super) fn of_file(&self, message: impl Into<String>, help: impl Into<String>) -> Problem {
        self.of_line(0, None, message, help)
    }

    /// A problem on a line.
    pub(super) fn of_line(
        &self,
        line: u32,
        byte: Option<u64>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let place = Place { line, byte, ..Place::default() };
        let file = Arc::clone(&self.file);
        Problem { file, place, message: message.into(), line_text: None, help: Some(help.into()) }
    }

    /// A problem of a row.
    pub(super) fn of_row(&self, at: RowAt, what: &str, help: impl Into<String>) -> Problem {
        let mut problem = self.of_line(at.place.line, at.byte, at.message(what), help);
        problem.place.column = at.column;
        problem.place.length = u32::from(at.column > 0);
        problem
    }

    /// A problem of the bytes themselves.
    pub(super) fn broken(&self, broken: &Broken, line: u32) -> Problem {
        let line = if broken.byte().is_some() { line } else { 0 };
        self.of_line(line, broken.byte(), broken.to_string(), broken.help())
    }
}

/// A line for a problem, cut where it is long.
pub(super) fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
