//! What is known and decided when a process begins to work on a run, and how the engine hears it.
//!
//! Some of it was decided before the run was there, and counts only for its very first process: who approved, what is
//! protected. It stands in the first facts, and whoever takes up a run that never came to them says it again.

use super::fact::{Before, Fact, ItemId, What};
use super::items::State;
use super::state::{Engine, Illegal};
use super::waves::Promotion;
use serde::{Deserialize, Serialize};

/// What is known and decided when a process begins to work on a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beginning {
    /// The operator, as far as known.
    pub by: Option<String>,
    /// Whether this process only polls.
    pub only_polls: bool,
    /// What earlier runs did, or may have done, of the items that are still pending.
    pub done_before: Vec<DoneBefore>,
    /// Items that may be sent although earlier runs may have carried them out.
    pub permitted: Option<Permission>,
    /// Why a journal that another machine wrote last is taken over, when it is.
    pub adopted: Option<String>,
    /// Why acting goes on although items are unknown or the failure budget is used up, when a person says so.
    pub continued: Option<String>,
    /// Items that a rule protects, with its name. Heard when the run begins.
    pub blocked: Vec<(Vec<ItemId>, String)>,
    /// Who approved the plan. Heard when the run begins.
    pub approvals: Vec<Approval>,
    /// Who lets the next wave begin.
    pub promotion: Option<Promotion>,
}

/// What an operator permitted to be sent although an earlier run may have carried it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The items.
    pub items: Vec<ItemId>,
    /// Who, as far as known.
    pub by: Option<String>,
    /// Why.
    pub reason: String,
}

/// An approval that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Whose signature it is.
    pub by: String,
    /// The fingerprint of the key.
    pub key: String,
    /// When it was given: RFC 3339.
    pub given: String,
    /// Until when it holds: RFC 3339.
    pub expires: String,
}

/// Items that an earlier run carried out, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneBefore {
    /// The items of this run.
    pub items: Vec<ItemId>,
    /// The earlier run's name.
    pub run: String,
    /// What became of them there.
    pub became: Before,
}

impl Engine {
    pub(super) fn begin(&mut self, beginning: Beginning, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let Beginning { by, only_polls, adopted, done_before, permitted, continued, .. } = beginning;
        let first = !self.started;
        if first {
            self.note(record, What::Started)?;
            for Approval { by, key, given, expires } in beginning.approvals {
                self.note(record, What::Approved { by, key, given, expires })?;
            }
            for (items, rule) in beginning.blocked {
                self.note(record, What::Blocked { items, rule })?;
            }
        }
        if !first || only_polls {
            self.note(record, What::Resumed { by: by.clone(), only_polls })?;
        }
        if let Some(reason) = adopted {
            self.note(record, What::Adopted { by: by.clone(), reason })?;
        }
        if let Some(Permission { items, by, reason }) = permitted {
            self.note(record, What::Permitted { items, by, reason })?;
        }
        if let Some(reason) = continued {
            self.note(record, What::Continued { by, reason })?;
        }
        // All of them before anything is barred: a later step may have been done by another run than the one before it.
        for DoneBefore { mut items, run, became } in done_before {
            // What a rule protects is said to be so, whatever became of it before.
            items.retain(|item| matches!(self.items.state(*item), Some(State::Waiting | State::Ready)));
            if !items.is_empty() {
                self.note(record, What::DoneBefore { items, run, became })?;
            }
        }
        self.shut_what_cannot_come(0..self.items.released(), record)?;
        match beginning.promotion {
            Some(promotion) => self.promoted(promotion, record),
            None => Ok(()),
        }
    }
}
