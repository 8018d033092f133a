//! Which items of a run that is going on will still be sent, by its plan and its facts so far.
//!
//! It judges one run and knows no other. What was sent and is, or may be, done stands in the index of acts and is not
//! looked at here.

use super::StoreError;
use super::keys::Keys;
use super::reader::RunReader;
use crate::engine::fact::{BatchId, Fact, Finding, ItemId, Settled, What};
use crate::plan::PlannedStep;
use std::collections::{HashMap, HashSet};

/// What a run will not send any more: items that ended or were left out, and steps that have no turn on a target.
#[derive(Debug, Default)]
pub(super) struct NotToCome {
    items: HashSet<ItemId>,
    /// Step and target whose condition cannot come true.
    unmet: HashSet<(u16, u32)>,
    /// By target, the first step that keeps those behind it from their turn.
    barred: HashMap<u32, u16>,
    /// By step, whether it has its turn by a condition of its own.
    conditional: Vec<bool>,
    /// What was sent and has no answer yet.
    sent: HashMap<BatchId, Vec<ItemId>>,
}

impl NotToCome {
    /// Reads it off a run's facts, in one pass.
    pub(super) fn of(reader: &RunReader) -> Result<Self, StoreError> {
        let conditional = |step: &PlannedStep| step.flow.after.is_some();
        let conditional = reader.header().steps.iter().map(conditional).collect();
        let mut not_to_come = Self { conditional, ..Self::default() };
        reader.for_each_fact(|fact| {
            not_to_come.hear(fact);
            Ok(())
        })?;
        Ok(not_to_come)
    }

    /// Whether this item will not be sent any more.
    pub(super) fn holds(&self, keys: &Keys) -> bool {
        let is_barred = || {
            let follows = !self.conditional.get(usize::from(keys.step)).copied().unwrap_or(false);
            follows && self.barred.get(&keys.target).is_some_and(|first| *first < keys.step)
        };
        self.items.contains(&keys.item) || self.unmet.contains(&(keys.step, keys.target)) || is_barred()
    }

    fn hear(&mut self, fact: Fact) {
        match fact.what {
            What::Submitting { batch, items, .. } => drop(self.sent.insert(batch, items)),
            What::Rejected { batch, .. } => self.items.extend(self.sent.remove(&batch).unwrap_or_default()),
            What::Returned { batch, .. } | What::Accepted { batch, .. } | What::Unanswered { batch, .. } => {
                self.sent.remove(&batch);
            }
            What::Settled { item, outcome: Settled::Failed, .. } => drop(self.items.insert(item)),
            What::Resolved { items, finding: Finding::NotCarriedOut | Finding::Failed, .. }
            | What::DoneBefore { items, .. }
            | What::Blocked { items, .. }
            | What::Expired { items } => self.items.extend(items),
            What::Unmet { step, targets } => self.unmet.extend(targets.into_iter().map(|target| (step, target))),
            What::Barred { target, step } => {
                let first = self.barred.entry(target).or_insert(step);
                *first = step.min(*first);
            }
            What::Started
            | What::Resumed { .. }
            | What::Adopted { .. }
            | What::Permitted { .. }
            | What::Held { .. }
            | What::Released { .. }
            | What::Continued { .. }
            | What::Resolved { .. }
            | What::Seen { .. }
            | What::Paired { .. }
            | What::Settled { .. }
            | What::Approved { .. }
            | What::Awaiting { .. }
            | What::Promoted { .. }
            | What::Stopping { .. }
            | What::Tallied { .. }
            | What::Ended { .. } => {}
        }
    }
}
