//! The durable store: a run's plan and facts, the locks, and what runs beside each other share of the tenant's limits.
//!
//! It keeps what it is given and proves that it is whole; it decides nothing and never waits for the network. One
//! SQLite database per tenant; each run in it is written by one process. `docs/journal.md` says how it is read without
//! quell and what is promised. A journal that cannot be shown to be whole is refused, never repaired.

mod acts;
mod budget;
mod chain;
mod folder;
mod head;
mod history;
mod keys;
mod list;
mod lock;
mod memory;
mod migrate;
mod open;
mod place;
mod proof;
mod prune;
mod reader;
mod requests;
mod run;
mod schema;
mod unresolved;
mod slots;
mod to_come;
mod verify;

#[cfg(test)]
mod tests;

pub use history::{Question, done_before};
pub use list::{Listed, RunSummaryRow, run_of_plan, runs};
pub use lock::{PlaybookLock, holder_of_run};
pub use memory::{FailAt, MemoryStore};
pub use open::{Journal, Resumed};
pub use place::{Place, place_of};
pub use prune::{Pruned, Spared, prune};
pub use reader::RunReader;
pub use requests::{Requests, stop_of_all};
pub use run::SqliteRun;
pub use unresolved::{Unresolved, UnresolvedRun, unresolved};
pub use verify::{Verified, verify};

use crate::engine::call::ItemBody;
use crate::engine::fact::{Fact, ItemId, RemediationRef};
use crate::engine::{Ask, Granted, Wish};

/// The end of a run's chain of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many facts there are.
    pub sequence: u64,
    /// The hash over all of them.
    pub hash: [u8; 32],
}

/// One run's durable facts, as its driver sees them.
pub trait Store {
    /// Appends in one durable transaction: when it returns, the facts survive a power cut. It fails when `expected` is
    /// not the present head (someone else has taken over). After any failure the store refuses everything.
    fn append(&mut self, expected: Head, facts: &[Fact]) -> Result<Head, StoreError>;
    /// Reserves calls durably, as many as the window of all runs of the tenant has room for: no call leaves without.
    fn reserve(&mut self, ask: &Ask) -> Result<Granted, StoreError>;
    /// How many calls of this process may be in flight from now on, so that no more of all runs of the tenant are than
    /// the tenant allows. What is in flight beyond that goes on.
    fn slots(&mut self, wish: &Wish) -> Result<u16, StoreError>;
    /// What is sent for these items, in the order asked for.
    fn bodies(&mut self, items: &[ItemId]) -> Result<Vec<ItemBody>, StoreError>;
    /// The text of a returned remediation id.
    fn remediation_id(&mut self, of: RemediationRef) -> Result<String, StoreError>;
}

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds it.
    #[error("{holder} {at}")]
    Held {
        /// Process and run, as far as known.
        holder: String,
        /// What it does: `is using this state folder`, `is carrying out the playbook "contain"`, …
        at: String,
    },
    /// Reading or writing failed: a full disk, a removed folder, a failed sync.
    #[error("cannot {doing} {path}: {cause}")]
    Io {
        /// `write`, `read`, `open`, …
        doing: &'static str,
        /// Which file.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// What is there is not whole, or does not reach its head.
    #[error("the journal {path} is damaged: {what}")]
    Damaged {
        /// Which file.
        path: String,
        /// What was found.
        what: String,
    },
    /// It was written by a newer quell.
    #[error("the journal {path} has schema {found}, this quell reads up to {known}")]
    Newer {
        /// Which file.
        path: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The state folder does not outlast a restart.
    #[error(
        "{warning}\nhelp: name a folder on a disk with --state-dir, or give --allow-volatile-state when losing the \
         history is acceptable"
    )]
    Volatile {
        /// What it is.
        warning: String,
    },
    /// The state folder knows nothing of earlier runs, and the command was told that it must.
    #[error(
        "the state folder {state} holds no run of {tenant}, and --require-history was given\n\
         help: is it the right folder, and was it restored? leave --require-history out for the very first run"
    )]
    NoHistory {
        /// The tenant's name.
        tenant: String,
        /// The state folder.
        state: String,
    },
    /// Another machine wrote to a run last: its journal may be a copy of one that is still in use.
    #[error(
        "run {run} was last written on another machine ({host}), where it may still go on\n\
         help: two copies of a journal know nothing of each other's acts; when the other one is surely at rest, give \
         --adopt --reason TEXT"
    )]
    OtherHost {
        /// The run.
        run: String,
        /// The other machine.
        host: String,
    },
    /// No such run: `run "contain-0612-7f3"`, `unfinished run`, `run`.
    #[error("there is no {0} in this state folder")]
    NoRun(String),
    /// The beginning of a run's name that was given fits several.
    #[error("{given:?} fits more than one run: {}; write more of the name", runs.join(", "))]
    Ambiguous {
        /// What was given.
        given: String,
        /// The runs it fits.
        runs: Vec<String>,
    },
    /// What was asked for may stand in a journal that cannot be read.
    #[error("{what}; what cannot be read: {}", unreadable.join("; "))]
    Hidden {
        /// `no run "contain-0612-7f3" was found`, …
        what: String,
        /// What is wrong with each of them.
        unreadable: Vec<String>,
    },
    /// Someone else appended, or an earlier failure ended this store.
    #[error("this process no longer owns the run: {0}")]
    TakenOver(String),
}
