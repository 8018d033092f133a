//! Items of which nobody knows for sure what became, what they hold back, and what a person finds out about them.

use super::call::Detail;
use super::fact::{BatchId, Fact, Finding, ItemId, Moment, PairedBy, RemediationRef, Settled, What};
use super::items::State;
use super::state::{Engine, Illegal};
use super::tag;
use crate::tenant::Meaning;

/// An item that ended without anybody knowing for sure how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclear {
    pub(super) outcome: Settled,
    /// The remediation that it was read from.
    pub(super) of: Option<RemediationRef>,
    /// Whether its becoming unknown holds its action back.
    pub(super) holds: bool,
    /// Whether a person found that it went well.
    pub(super) well: bool,
}

/// What a person found out about items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The items.
    pub items: Vec<ItemId>,
    /// What was found.
    pub finding: Finding,
    /// How, in the person's words.
    pub note: String,
    /// Who, as far as known.
    pub by: Option<String>,
    /// The remediation whose detail proved it.
    pub remediation: Option<String>,
    /// Its status word.
    pub status: Option<String>,
}

impl Engine {
    /// Whether acts of this step are held back until a person has looked.
    pub(super) fn is_held(&self, step: u16) -> bool {
        !self.held.is_empty() && self.action_of(step).is_ok_and(|action| self.held.contains(&action))
    }

    /// Whether the acts of any action are held back.
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether there are items that would be sent if their action were not held back.
    pub(super) fn holds_ready_items(&self) -> bool {
        self.lanes.iter().any(|((step, _), lane)| !lane.is_empty() && self.is_held(*step))
    }

    /// Whether an item of this step's action is unknown and holds the action back.
    fn has_unknown(&self, step: u16) -> bool {
        let same = |item: &ItemId| self.action_of(self.items.step(*item)) == self.action_of(step);
        self.unclear.iter().any(|(item, unclear)| unclear.holds && same(item))
    }

    /// Items that ended without anybody knowing for sure how, and that no person has resolved, in item order.
    pub fn unclear(&self) -> impl Iterator<Item = (ItemId, Settled)> + '_ {
        self.unclear.iter().map(|(item, unclear)| (*item, unclear.outcome))
    }

    /// Items that a person may resolve, or has resolved and may correct: unknown, unmatched or timed out.
    pub fn resolvable(&self) -> impl Iterator<Item = (ItemId, Settled)> + '_ {
        let all = self.unclear.iter().chain(&self.resolved);
        all.map(|(item, unclear)| (*item, unclear.outcome)).filter(|(_, outcome)| *outcome != Settled::StillQueued)
    }

    /// Items that a person permitted to be sent although an earlier run may have carried them out.
    pub fn permitted(&self) -> Vec<ItemId> {
        self.permitted.iter().copied().collect()
    }

    /// Items that are still to be sent: an earlier step of theirs may have to succeed first.
    pub fn pending(&self) -> impl Iterator<Item = ItemId> + '_ {
        (0..self.items.len() as u32)
            .map(ItemId)
            .filter(|item| matches!(self.items.state(*item), Some(State::Waiting | State::Ready)))
    }

    /// The item to resolve, or to correct, whose remediation this detail is, proven by the tag of the item's own batch, its agent, and its
    /// unique id where the action compares it: what a person may have copied from anywhere must prove itself.
    pub fn proven_by(&self, detail: &Detail) -> Option<(ItemId, Settled)> {
        let comments = detail.comments.as_deref().unwrap_or_default();
        self.resolvable().find(|(item, _)| {
            let (step, batch) = (self.items.step(*item), self.items.batch(*item).unwrap_or_default());
            let named = self.config.named(step, batch, detail);
            let whole = if self.config.steps[usize::from(step)].compares_unique_id {
                PairedBy::AgentAndUniqueId
            } else {
                PairedBy::Agent
            };
            comments.contains(&tag::tag(&self.config.run, batch)) && self.names(*item, step, named) == Some(whole)
        })
    }

    /// What a status word means to this run.
    pub fn meaning(&self, status: &str) -> Meaning {
        self.config.statuses.meaning(status)
    }

    /// The last batch that an item was sent in.
    pub fn batch_of(&self, item: ItemId) -> Option<BatchId> {
        self.items.batch(item).filter(|batch| batch.0 > 0)
    }

    /// A person found out what became of items that are unknown, unmatched or timed out. The facts to append: nothing
    /// is started, and what the finding released goes on with the next process.
    pub fn resolve(&mut self, now: Moment, finding: Resolution) -> Result<Vec<Fact>, Illegal> {
        let Resolution { items, finding, note, by, remediation, status } = finding;
        if let Some(other) = items.iter().find(|item| !self.resolvable().any(|(known, _)| known == **item)) {
            return Err(Illegal(format!("item {} is not unknown, unmatched or timed out", other.0)));
        }
        self.now = self.now.max(now);
        let mut record = Vec::new();
        self.note(&mut record, What::Resolved { items, finding, note, by, remediation, status })?;
        for step in 0..self.config.steps.len() as u16 {
            if self.is_held(step) && !self.has_unknown(step) {
                self.note(&mut record, What::Released { step })?;
            }
        }
        let complete = self.is_complete();
        self.note(&mut record, What::Ended { complete })?;
        Ok(record)
    }

    pub(super) fn action_of(&self, step: u16) -> Result<i64, Illegal> {
        let step = self.config.steps.get(usize::from(step));
        step.map(|step| step.action).ok_or_else(|| Illegal("a step that the plan does not have".to_owned()))
    }
}
