//! What became of one item, in the words of a report.

use crate::engine::Outcome;
use crate::engine::fact::{BatchId, Before, Finding, NotCarriedOut, PairedBy, RemediationRef, Settled};
use std::sync::Arc;

/// What became of one item. Texts that repeat are stored once for the whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its final or present outcome.
    pub outcome: Outcome,
    /// Why, where the outcome does not say it: our words.
    pub reason: Option<Arc<str>>,
    /// The remediation that was proved to be its own.
    pub remediation: Option<Remediation>,
    /// How the two were tied together.
    pub paired_by: Option<PairedBy>,
    /// The API's latest status word as it came; `HTTP 400` for a rejected item.
    pub status: Option<Arc<str>>,
    /// The API's words on it.
    pub status_message: Option<Arc<str>>,
    /// The last batch that it was sent in.
    pub batch: Option<BatchId>,
    /// What a person found out about it.
    pub resolution: Option<Arc<Resolution>>,
    /// Why it was skipped, when it was.
    pub skipped: Option<Skipped>,
}

/// Why an item was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// An earlier run had done it for certain.
    DoneBefore,
    /// An earlier run may have done it, or one that is going on has it in its plan.
    MayBeDone,
    /// What its step waits for did not come true on its target.
    Unmet,
    /// Its event was too old.
    Expired,
}

/// What a person found out about an item: it stands beside the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What was found.
    pub finding: Finding,
    /// How, by whom, and the remediation that proves it: one sentence.
    pub note: String,
}

/// A remediation and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remediation {
    /// Where in the answers the id stands.
    pub of: RemediationRef,
    /// The id as it came; never empty.
    pub id: Arc<str>,
}

impl Ending {
    /// Whether it is done, so that later steps may build on it: it succeeded, a person found that it was carried out, or
    /// an earlier run had done it.
    pub fn is_done(&self) -> bool {
        self.skipped == Some(Skipped::DoneBefore) || self.judged() == Outcome::Succeeded
    }

    /// Whether it was surely not carried out, or failed, so that nobody has to permit a repeat; `None` when nobody knows,
    /// or when it went well.
    pub fn surely_not_done(&self) -> Option<bool> {
        match (self.outcome, self.resolution.as_ref().map(|resolution| resolution.finding)) {
            (Outcome::Failed | Outcome::Rejected | Outcome::NotStarted, _) => Some(true),
            (_, Some(Finding::NotCarriedOut | Finding::Failed)) => Some(true),
            (_, Some(Finding::CarriedOut | Finding::Succeeded)) => Some(false),
            (_, None) => None,
        }
    }

    /// Its outcome for the sum of the run: what a person found counts where one did, and what was skipped because an
    /// earlier run only may have done it, or because its event was too old, counts as not started.
    pub(super) fn judged(&self) -> Outcome {
        match self.resolution.as_ref().map(|resolution| resolution.finding) {
            None if matches!(self.skipped, Some(Skipped::MayBeDone | Skipped::Expired)) => Outcome::NotStarted,
            None => self.outcome,
            Some(Finding::CarriedOut | Finding::Succeeded) => Outcome::Succeeded,
            Some(Finding::NotCarriedOut | Finding::Failed) => Outcome::Failed,
        }
    }
}

/// Where an item stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Pending,
    /// An earlier run did it, or may have; which one stands in the message.
    DoneBefore(Before),
    /// A rule protects it; its name stands in the message.
    Blocked,
    /// Its event was too old when its turn came.
    Expired,
    /// What its step waits for did not come true on its target.
    Unmet,
    /// Sent before, surely not carried out, pending again.
    Returned(NotCarriedOut),
    Sent,
    Accepted,
    Rejected(u16),
    Unanswered,
    Settled(Settled),
}

/// How a finding was made, in one sentence.
pub(super) fn note_of(note: &str, by: Option<&str>, remediation: Option<&str>, status: Option<&str>) -> String {
    let status = status.map(|word| format!(" is {word}")).unwrap_or_default();
    let proof = remediation.map(|id| format!("remediation {id}{status}"));
    let by = by.map(|name| format!("by {name}"));
    let note = Some(note.to_owned()).filter(|note| !note.is_empty());
    [note, proof, by].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

pub(super) fn outcome_of(life: Life) -> Outcome {
    match life {
        Life::Pending | Life::Returned(_) => Outcome::NotStarted,
        Life::DoneBefore(_) | Life::Expired | Life::Unmet => Outcome::Skipped,
        Life::Blocked => Outcome::Blocked,
        Life::Sent | Life::Accepted => Outcome::Open,
        Life::Rejected(_) => Outcome::Rejected,
        Life::Unanswered => Outcome::Unknown,
        Life::Settled(Settled::Succeeded) => Outcome::Succeeded,
        Life::Settled(Settled::Failed) => Outcome::Failed,
        Life::Settled(Settled::StillQueued) => Outcome::StillQueued,
        Life::Settled(Settled::TimedOut) => Outcome::TimedOut,
        Life::Settled(Settled::Unknown) => Outcome::Unknown,
        Life::Settled(Settled::Unmatched) => Outcome::Unmatched,
    }
}

pub(super) fn skipped_of(life: Life) -> Option<Skipped> {
    match life {
        Life::DoneBefore(became) if became.is_done() => Some(Skipped::DoneBefore),
        Life::DoneBefore(_) => Some(Skipped::MayBeDone),
        Life::Unmet => Some(Skipped::Unmet),
        Life::Expired => Some(Skipped::Expired),
        _ => None,
    }
}

pub(super) fn settled_reason(outcome: Settled, status: Option<&str>, batch: u32) -> Option<String> {
    match (outcome, status) {
        (Settled::Succeeded | Settled::Failed, _) => None,
        (Settled::StillQueued, _) => Some("the deadline passed while the API still called it pending".to_owned()),
        (Settled::TimedOut, Some(_)) => Some("the deadline passed with a status word that no list has".to_owned()),
        (Settled::TimedOut, None) => Some("the deadline passed without a status".to_owned()),
        (Settled::Unknown, _) => Some(format!("sent in batch {batch}, and nothing readable says what became of it")),
        (Settled::Unmatched, _) => Some(format!("accepted in batch {batch}, and no id can be told to be its own")),
    }
}
