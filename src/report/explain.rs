//! Whether one attribute's value explains the failures: "38 of 40 failures: platform LINUX".
//!
//! A value explains them when nearly all of them have it and few of the other items that were acted on do. It is a hint for
//! a person, counted over the items as they are, and never more than one.

use super::{Ending, ReportError, Source};
use crate::engine::Outcome;
use crate::plan::ItemRow;
use std::collections::HashMap;

/// From so many failures on a share says something.
const FAILURES_MIN: u64 = 5;
/// How many of the failures must have the value, in hundredths.
const SHARE_MIN: u64 = 90;
/// How many of the other items may have it, in hundredths.
const OTHERS_MAX: u64 = 50;
/// Different values that are counted; what has more of them explains nothing.
const VALUES_MAX: usize = 10_000;
/// The longest value that is shown, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// What explains the failures.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Explained {
    /// All failures: failed, rejected, timed out, unknown, unmatched.
    pub(super) failures: u64,
    /// … of which have the value.
    pub(super) have_it: u64,
    /// The other items that were acted on and have it too, and how many there are.
    pub(super) others_have_it: u64,
    pub(super) others: u64,
    /// The column: an attribute, `step`, `event_type` or `agent_id`.
    pub(super) column: String,
    pub(super) value: String,
}

impl Explained {
    pub(super) fn words(&self) -> String {
        format!("{} of {} failures: {} {}", self.have_it, self.failures, self.column, self.value)
    }
}

/// Looks for what explains the failures, in one or two passes over the items.
pub(super) fn explained(source: &Source<'_>) -> Result<Option<Explained>, ReportError> {
    let failed: &[Outcome] =
        &[Outcome::Failed, Outcome::Rejected, Outcome::TimedOut, Outcome::Unknown, Outcome::Unmatched];
    let well: &[Outcome] = &[Outcome::Succeeded, Outcome::StillQueued];
    let (failures, others) = (source.folded.totals.outcomes.sum(failed), source.folded.totals.outcomes.sum(well));
    if failures < FAILURES_MIN || others == 0 {
        return Ok(None);
    }
    let among = count(source, failed, |_| true)?;
    let likely: HashMap<(String, String), u64> =
        among.into_iter().filter(|(_, n)| n * 100 >= failures * SHARE_MIN).collect();
    if likely.is_empty() {
        return Ok(None);
    }
    let elsewhere = count(source, well, |key| likely.contains_key(key))?;
    let candidates = likely.into_iter().map(|(key, have_it)| {
        let others_have_it = elsewhere.get(&key).copied().unwrap_or(0);
        let (column, value) = key;
        Explained { failures, have_it, others_have_it, others, column, value }
    });
    let found = candidates.filter(|found| found.others_have_it * 100 <= others * OTHERS_MAX);
    // The one that the others have least, then the one that most failures have, then by name.
    let order = |found: &Explained| (found.others_have_it, u64::MAX - found.have_it, found.column.clone());
    Ok(found.min_by_key(order))
}

/// How many items with one of these outcomes have each value.
fn count(
    source: &Source<'_>,
    of: &[Outcome],
    wanted: impl Fn(&(String, String)) -> bool,
) -> Result<HashMap<(String, String), u64>, ReportError> {
    let mut counts: HashMap<(String, String), u64> = HashMap::new();
    source.each_item(|row, ending: &Ending| {
        if !of.contains(&ending.outcome) {
            return Ok(());
        }
        for key in values(source, &row) {
            if !wanted(&key) {
                continue;
            }
            if let Some(n) = counts.get_mut(&key) {
                *n += 1;
            } else if counts.len() < VALUES_MAX {
                counts.insert(key, 1);
            }
        }
        Ok(())
    })?;
    Ok(counts)
}

/// The columns of an item with their values, as far as they are short texts, numbers or truth values.
fn values(source: &Source<'_>, row: &ItemRow) -> Vec<(String, String)> {
    let event = &row.event;
    let step = source.header.steps.get(usize::from(row.step)).map_or("", |step| &step.name);
    let mut values = vec![
        ("step".to_owned(), step.to_owned()),
        ("event_type".to_owned(), event.event_type.as_str().to_owned()),
        ("agent_id".to_owned(), event.agent_id.to_string()),
    ];
    let attributes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&event.attributes).unwrap_or_default();
    for (column, value) in attributes {
        let text = match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(is) => is.to_string(),
            _ => continue,
        };
        if !text.is_empty() && text.chars().count() <= VALUE_CHARS_MAX {
            values.push((column, text));
        }
    }
    values
}
