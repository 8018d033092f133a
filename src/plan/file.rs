//! A plan as a file that people review and quell carries out: JSON lines, the same bytes for the same plan.
//!
//! First the digest, then a line for each key of the header (for each element of a list), for each event with the items
//! made of it, and for each row without an item, and last the counts with a sum over all bytes before. `docs/plans.md` has
//! the form. Foreign texts stand in it escaped, so that none acts on who reads it.
//!
//! Reading refuses whatever writing would not give back byte for byte, as it goes: it holds the plan and one line. It
//! proves that the file is whole and says what its digest says; it is no signature.

mod lines;
mod read;
mod sound;

pub use read::read;

use super::{Plan, PlannedItem};
use lines::Lines;
use std::io::{self, Write};

/// The format's name and version, which the file begins with.
const FORMAT: &str = "plan/1";
/// How every plan file begins, whatever its version.
pub const BEGINNING: &[u8] = br#"{"quell":"plan/"#;
/// The longest line, in bytes with its end.
pub const LINE_BYTES_MAX: usize = 32 << 20;
/// The longest header, in bytes.
pub const HEADER_BYTES_MAX: usize = 256 << 20;
/// The longest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 8 << 30;

/// Why a plan cannot be written to a file, or read from one.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as one.
    #[error("this is no plan file: its first line does not begin with {{\"quell\":\"plan/")]
    NoPlan,
    /// It is of another version.
    #[error("its format is {found:?}, this quell reads {FORMAT:?}")]
    Format {
        /// What it says.
        found: String,
    },
    /// A line is not as quell writes it, or cannot be true.
    #[error("{what}")]
    Line {
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It is larger than a plan file may be.
    #[error("{what} has more than {bytes_max} bytes")]
    TooLarge {
        /// `line 7`, `the header`, `the file`
        what: String,
        /// The limit.
        bytes_max: u64,
    },
}

/// Writes a plan. The same plan gives the same bytes.
///
/// # Errors
/// When `out` cannot be written to, or when the file would be larger than one that can be read.
pub fn write(plan: &Plan, out: &mut dyn Write) -> Result<(), PlanFileError> {
    let mut lines = Lines::new(out);
    lines.first(&plan.header)?;
    for line in lines::of_header(&plan.header)? {
        lines.push(&line)?;
    }
    let by_event = items_by_event(&plan.items);
    let mut from = 0;
    let mut line = Vec::new();
    for (number, event) in (0_u32..).zip(&plan.events) {
        let rest = &by_event[from..];
        let items = &rest[..rest.iter().take_while(|item| plan.items[**item as usize].event == number).count()];
        from += items.len();
        lines::of_event(event, items.iter().map(|item| (*item, plan.items[*item as usize])), &plan.header, &mut line)?;
        lines.push(&line)?;
    }
    if from != by_event.len() {
        return Err(io::Error::other("an item of the plan has no event: this is a bug in quell").into());
    }
    for row in &plan.rows_without_item {
        lines::of_row(row, &mut line)?;
        lines.push(&line)?;
    }
    lines.last(plan.events.len(), plan.items.len(), plan.rows_without_item.len())
}

/// Numbers of items, ordered by event, then number. They mostly are already.
fn items_by_event(items: &[PlannedItem]) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..).zip(items).map(|(number, _)| number).collect();
    numbers.sort_by_key(|number| items[*number as usize].event);
    numbers
}

#[cfg(test)]
mod tests;
