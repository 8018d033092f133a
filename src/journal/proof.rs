//! The proof that a run is whole: its chain of facts from its plan to the head that its head file names.
//!
//! It reads and decides nothing else: what does not fit is damage, and is named.

use super::reader::RunReader;
use super::schema::damage;
use super::{Head, StoreError, head as head_files};
use crate::engine::fact::{Fact, What};
use std::path::Path;

/// Proves a run's chain, and that it reaches what its head file, the one in `folder`, says. Hands over each fact; returns
/// the end of the chain.
pub(super) fn facts(
    reader: &RunReader,
    folder: &Path,
    marked: Option<Head>,
    mut each: impl FnMut(Fact) -> Result<(), StoreError>,
) -> Result<Head, StoreError> {
    let id = &reader.meta().id;
    let mut reached = marked.is_none_or(|marked| marked == reader.seed());
    let mut finished = false;
    let head = reader.walk(|head, at, body| {
        reached |= marked == Some(head);
        let fact = Fact { at, what: reader.parse_fact(head.sequence, body)? };
        finished = fact.what == What::Ended { complete: true };
        each(fact)
    })?;
    if let (Some(marked), false) = (marked, reached) {
        return Err(not_reached(reader.path(), id, head, marked));
    }
    if marked.is_none() && !finished {
        return Err(head_gone(folder, id));
    }
    Ok(head)
}

/// What to say when the chain does not have the fact that the head file names.
pub(super) fn not_reached(path: &Path, run: &str, head: Head, marked: Head) -> StoreError {
    damage(
        path,
        match head.sequence < marked.sequence {
            true => {
                format!("run {run} ends at fact {}, but its head file names fact {}", head.sequence, marked.sequence)
            }
            false => format!("fact {} of run {run}, which its head file names, is missing or changed", marked.sequence),
        },
    )
}

/// What to say when a run has no head file: only finished runs need none.
pub(super) fn head_gone(folder: &Path, run: &str) -> StoreError {
    damage(&head_files::path_of(folder, run), format!("it is gone, but run {run} is not finished"))
}
