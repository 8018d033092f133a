//! Everything that stands against a plan, each at its place: in the playbook, on the command line, in a row.

use super::build::Work;
use super::filter::FilterError;
use super::select::{BadRow, Chosen, ReadyStep};
use crate::events::{Event, RowPlace};
use crate::problem::{Place, Problem};
use std::sync::Arc;

/// How many rows of one kind are named one by one.
const ROWS_SHOWN_MAX: usize = 50;

/// Where problems of the work itself are located.
#[derive(Debug)]
pub(super) enum Origin {
    File { name: Arc<str>, text: Arc<str> },
    CommandLine,
}

impl Origin {
    pub(super) fn of(work: &Work<'_>) -> Self {
        match work {
            Work::Playbook(playbook) => {
                Self::File { name: playbook.file.display().to_string().into(), text: Arc::clone(&playbook.text) }
            }
            Work::AdHoc(_) => Self::CommandLine,
        }
    }

    /// A problem at a place of the playbook, or of the flag that stands for it.
    pub(super) fn problem(&self, place: Place, flag: &str, message: String, help: Option<String>) -> Problem {
        match self {
            Self::File { name, text } => {
                let line_text = usize::try_from(place.line)
                    .ok()
                    .and_then(|line| line.checked_sub(1))
                    .and_then(|line| text.lines().nth(line))
                    .map(str::to_owned);
                Problem { file: Arc::clone(name), place, message, line_text, help }
            }
            Self::CommandLine => Problem { file: flag.into(), place, message, line_text: None, help },
        }
    }

    pub(super) fn filter_problem(&self, source: &str, place: Place, error: FilterError) -> Problem {
        let before = source.get(..error.range.start).map_or(0, |text| text.chars().count());
        let length = source.get(error.range.clone()).map_or(1, |text| text.chars().count().max(1));
        let (before, length) = (u32::try_from(before).unwrap_or(u32::MAX), u32::try_from(length).unwrap_or(1));
        match self {
            Self::CommandLine => Problem {
                file: "--where".into(),
                place: Place { line: 1, column: before + 1, length, byte: None },
                message: error.message,
                line_text: (!source.contains('\n')).then(|| source.to_owned()),
                help: error.help,
            },
            Self::File { .. } => {
                let mut problem = self.problem(place, "", error.message, error.help);
                // The place is the scalar's. Only where the line holds the expression as it is, unescaped and
                // unfolded, can it be narrowed to what is wrong.
                let line = problem.line_text.as_deref().unwrap_or_default();
                let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(0);
                let from = line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte);
                if let Some(offset) = line[from..].find(source) {
                    let skipped = line[from..from + offset].chars().count();
                    problem.place.column += u32::try_from(skipped).unwrap_or(0) + before;
                    problem.place.length = length;
                    problem.place.byte = None;
                }
                problem
            }
        }
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn none(&mut self) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.0)) }
    }
}

/// Rows with which something is wrong, one by one. What a filter cannot judge is told of the filter.
pub(super) fn report_bad_rows(bad: &[BadRow], sources: &[String], problems: &mut Problems) {
    let bad: Vec<&BadRow> = bad.iter().filter(|row| row.filter.is_none()).collect();
    for row in bad.iter().take(ROWS_SHOWN_MAX) {
        let help = "mend the row, or leave such rows out with --partial-input".to_owned();
        problems.push(row_problem(row.place, row.byte, sources, row.reason.clone(), Some(help)));
    }
    if let Some(next) = bad.get(ROWS_SHOWN_MAX) {
        let message = format!("{} more rows cannot be judged", bad.len() - ROWS_SHOWN_MAX);
        problems.push(row_problem(next.place, next.byte, sources, message, None));
    }
}

/// The rows that problems are about.
pub(super) struct Rows<'a> {
    pub(super) events: &'a [Event],
    pub(super) bytes: &'a [Option<u64>],
    pub(super) sources: &'a [String],
}

pub(super) fn report_contradictions(
    contradictions: &[(Chosen, Chosen)],
    steps: &[ReadyStep],
    rows: &Rows<'_>,
    problems: &mut Problems,
) {
    let event = |chosen: Chosen| &rows.events[chosen.event as usize];
    let action = |chosen: Chosen| &steps[usize::from(chosen.step)].action.name;
    for (index, &(first, other)) in contradictions.iter().enumerate() {
        let (place, byte) = (event(other).place, rows.bytes.get(other.event as usize).copied().flatten());
        if index == ROWS_SHOWN_MAX {
            let message = format!("{} more rows contradict earlier ones", contradictions.len() - index);
            problems.push(row_problem(place, byte, rows.sources, message, None));
            return;
        }
        let (row, here, there) = (event(first).place.row, action(other), action(first));
        let message = format!("{here} contradicts row {row}, which asks {there} for the same event");
        let help = Some("keep one of them, or write a playbook whose steps say which comes first".to_owned());
        problems.push(row_problem(place, byte, rows.sources, message, help));
    }
}

fn row_problem(
    place: RowPlace,
    byte: Option<u64>,
    sources: &[String],
    message: String,
    help: Option<String>,
) -> Problem {
    let file = sources.get(usize::from(place.source)).map_or("<events>", String::as_str);
    Problem {
        file: file.into(),
        place: Place { line: place.line, byte, ..Place::default() },
        message: match byte {
            Some(byte) => format!("row {}, byte {byte}: {message}", place.row),
            None => format!("row {}: {message}", place.row),
        },
        line_text: None,
        help,
    }
}
