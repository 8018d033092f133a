//! What the endings of a run add up to, and the proof that nothing is missing.

use super::words::OUTCOMES;
use crate::engine::Outcome;
use crate::engine::fact::{Moment, StopReason};
use crate::plan::RowWithoutItem;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What a run's facts add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items by outcome.
    pub outcomes: Outcomes,
    /// Items by outcome where what a person found counts as the outcome: success or failure.
    pub judged: Outcomes,
    /// Items that a person resolved.
    pub resolved: u64,
    /// Acts whose intent was written: each may have been sent.
    pub posts: u64,
    /// Polls that were recorded.
    pub gets: u64,
    /// Whether there may have been more: a process was killed before it had recorded all, or has not done so yet.
    pub gets_at_least: bool,
    /// Calls that a limit refused.
    pub throttled: u64,
    /// The first fact's moment.
    pub first: Option<Moment>,
    /// The last fact's moment.
    pub last: Option<Moment>,
    /// Why the last process sent no further act, where it stopped early.
    pub stopped: Option<StopReason>,
    /// Whether the last process that ended its work left nothing to do.
    pub complete: bool,
    /// Whether the last process ended its work: neither still running nor killed.
    pub ended: bool,
    /// Waves that began after the first.
    pub promoted: u16,
    /// Whether a person is asked to let the next one begin.
    pub asks: bool,
    /// Who let a wave begin, and why although its conditions did not hold: one sentence each.
    pub promotions: Vec<String>,
    /// Who approved the plan: one sentence each.
    pub approvals: Vec<String>,
}

impl Totals {
    /// Polls, as they are said: `17 polls`, `at least 17 polls`.
    pub(super) fn polls(&self) -> String {
        let least = if self.gets_at_least { "at least " } else { "" };
        format!("{least}{}", crate::noun::count(self.gets, "poll"))
    }

    /// Items that a person must look at and has not resolved.
    pub(super) fn needs_person(&self) -> u64 {
        self.outcomes.sum(&super::words::NEEDS_PERSON) - self.resolved
    }
}

/// Items by outcome; all outcomes are present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes([u32; OUTCOMES.len()]);

impl Outcomes {
    /// How many items have it.
    pub fn of(&self, outcome: Outcome) -> u32 {
        self.0[outcome as usize]
    }

    /// Each outcome with its count, in reporting order.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u32)> {
        OUTCOMES.into_iter().zip(self.0)
    }

    /// The sum over some outcomes.
    pub fn sum(&self, of: &[Outcome]) -> u64 {
        of.iter().map(|&outcome| u64::from(self.of(outcome))).sum()
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }
}

impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(OUTCOMES.len()))?;
        for (outcome, count) in self.iter() {
            map.serialize_entry(super::words::outcome(outcome), &count)?;
        }
        map.end()
    }
}

/// The counts of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Rows of the input.
    pub rows: u64,
    /// Rows that at least one item stands for, as counted over the items.
    pub rows_with_item: u64,
    /// Rows that no item stands for, by why.
    pub rows_without_item: RowsWithoutItem,
    /// Items of the plan, as counted over the items.
    pub items: u64,
    /// What the facts add up to.
    pub totals: Totals,
}

impl Summary {
    /// Whether every item has one outcome and every row is an item's or listed.
    pub fn adds_up(&self) -> bool {
        self.items == self.totals.outcomes.sum(&OUTCOMES)
            && self.rows == self.rows_with_item + self.rows_without_item.all()
    }
}

/// Rows that no item stands for, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsWithoutItem {
    /// The same as an earlier row.
    pub duplicate: u64,
    /// No step selects them.
    pub not_selected: u64,
    /// They could not be read.
    pub refused: u64,
    /// Any other reason.
    pub other: u64,
}

impl RowsWithoutItem {
    /// Counts rows.
    pub fn of(rows: &[RowWithoutItem]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            match WhyNoItem::of(row) {
                WhyNoItem::Duplicate => counts.duplicate += 1,
                WhyNoItem::NotSelected => counts.not_selected += 1,
                WhyNoItem::Refused => counts.refused += 1,
                WhyNoItem::Other => counts.other += 1,
            }
        }
        counts
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.duplicate + self.not_selected + self.refused + self.other
    }
}

/// Why a row became no item, by the first words of its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhyNoItem {
    Duplicate,
    NotSelected,
    Refused,
    Other,
}

impl WhyNoItem {
    pub(super) fn of(row: &RowWithoutItem) -> Self {
        match row.reason.as_str() {
            reason if reason.starts_with("duplicate") => Self::Duplicate,
            reason if reason.starts_with("no step selects") => Self::NotSelected,
            reason if reason.starts_with("refused") => Self::Refused,
            _ => Self::Other,
        }
    }
}
