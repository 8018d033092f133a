//! Tests of a playbook, written beside it in YAML: what the simulator does, what people do, and what is expected.
//!
//! This file holds the validated types. Nothing is carried out here, and no other file is opened.

mod file;
mod read;
mod statuses;

#[cfg(test)]
mod tests;

pub use file::schema;
pub use read::read;

use crate::engine::Outcome;
use crate::playbook::Source;
use crate::problem::Place;
use crate::tenant::Rate;
use crate::yaml::Spanned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The tests of one playbook: a file that ends with `.test.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// The file it came from, as the user typed it.
    pub file: PathBuf,
    /// The file's text, for excerpts in later problems.
    pub text: Arc<str>,
    /// The playbook, relative to the folder of this file.
    pub playbook: Spanned<String>,
    /// At least one; their names differ.
    pub tests: Vec<Scenario>,
}

/// One test: a run in virtual time against the simulator, and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it shows.
    pub name: Spanned<String>,
    /// A tenant file in place of the one that the playbook names, relative to the folder of this file.
    pub tenant: Option<Spanned<String>>,
    /// Values of the playbook's variables.
    pub vars: Vec<(Spanned<String>, String)>,
    /// Events in place of the playbook's own; their files are relative to the folder of this file.
    pub events: Option<Vec<Source>>,
    /// What time it is when the run begins, in milliseconds since 1970.
    pub begins: u64,
    /// How the tenant behaves.
    pub simulator: Behaviour,
    /// What people say to the run while it goes on, in the order of time.
    pub people: Vec<Saying>,
    /// What has to come of it.
    pub expect: Expected,
}

/// How the simulated tenant behaves. Its limits are those that the tenant file gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// From a call to its answer.
    pub latency: Duration,
    /// From acceptance to the final status, where nothing is scripted.
    pub settle: Duration,
    /// How long a new remediation answers 404.
    pub not_found_for: Duration,
    /// How many calls it really lets through, where it is not what the tenant file says.
    pub requests: Option<Rate>,
    /// What the statuses of certain items are.
    pub items: Vec<ScriptedItems>,
    /// What becomes of certain acts.
    pub acts: Vec<ScriptedCall>,
    /// What becomes of certain polls.
    pub polls: Vec<ScriptedCall>,
}

/// Items of the plan: those of a step, of a row, of which a filter says so; all of these where several are given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pick {
    /// The step's name.
    pub step: Option<Spanned<String>>,
    /// The number of the row, from 1.
    pub row: Option<Spanned<u32>>,
    /// A CEL expression over the event's columns and `vars`.
    pub filter: Option<Spanned<String>>,
}

/// What the details of some items show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedItems {
    /// Which.
    pub of: Spanned<Pick>,
    /// One for each poll, from the first on; the last one stays. At least one.
    pub statuses: Vec<String>,
    /// Where they are written.
    pub place: Place,
}

/// What becomes of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedCall {
    /// Which call of its kind, from 1.
    pub number: Spanned<u32>,
    /// What.
    pub becomes: Becomes,
}

/// See [`ScriptedCall`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// The connection dies before anything is carried out.
    LostBefore,
    /// It is carried out, and then the connection dies.
    LostAfter,
    /// It is not carried out: an answer of this status, which may say how long to wait.
    Refused {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`.
        wait: Option<Duration>,
    },
    /// It is carried out, and the answer comes so much later.
    Late(Duration),
}

/// What a person says to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// How long after the run began.
    pub after: Spanned<Duration>,
    /// What.
    pub what: Said,
}

/// See [`Saying`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The next wave may begin; with a reason also where its conditions do not hold.
    Promote(Option<String>),
    /// No further act.
    Stop,
}

/// What has to come of a test. What is not given is not looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expected {
    /// The plan is refused, with a message that contains this.
    pub refused: Option<Spanned<String>>,
    /// The plan is held, and each of these stands in what it is told; empty: it is not held.
    pub held: Vec<Spanned<String>>,
    /// Whether the plan needs approval.
    pub approval: Option<Spanned<bool>>,
    /// The run's exit code.
    pub exit_code: Option<Spanned<u8>>,
    /// How many items have each outcome; those that are not named: none.
    pub outcomes: Option<Spanned<OutcomeCounts>>,
    /// What became of certain items.
    pub items: Vec<ExpectedItems>,
    /// How many acts arrived.
    pub acts: Option<Spanned<u32>>,
    /// How many polls arrived at most.
    pub polls_at_most: Option<Spanned<u32>>,
    /// How many calls a limit refused at most.
    pub throttled_at_most: Option<Spanned<u32>>,
    /// How many waves began.
    pub waves: Option<Spanned<u16>>,
    /// How long it took at most.
    pub took_at_most: Option<Spanned<Duration>>,
}

/// Outcomes and how many items have each.
pub type OutcomeCounts = Vec<(Spanned<Outcome>, Spanned<u32>)>;

/// What became of some items: all that are picked, and there has to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedItems {
    /// Which.
    pub of: Spanned<Pick>,
    /// What each of them came to.
    pub outcome: Option<Spanned<Outcome>>,
    /// How many they are.
    pub count: Option<Spanned<u32>>,
    /// What is contained in the reason or the API's words of each of them.
    pub reason: Option<Spanned<String>>,
}

impl Expected {
    /// Whether no run follows: the plan is refused or held.
    pub fn ends_with_the_plan(&self) -> bool {
        self.refused.is_some() || !self.held.is_empty()
    }
}
