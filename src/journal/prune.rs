//! Forgetting old runs, and never one that anybody may still need.
//!
//! Only runs that ended complete go, each in one transaction, and only after everything in the journal was proven. What
//! keeps a later run from acting twice stays: acts of which nobody knows what became, successes inside the widest window
//! that any run ever had, and what undid either of them. The newest run always stays: its head file guards the rest.

use super::acts;
use super::folder;
use super::head;
use super::history::counts;
use super::keys::ItemKeys;
use super::list;
use super::lock;
use super::reader::RunReader;
use super::schema::{self, from_sqlite};
use super::verify;
use super::{Journal, StoreError};
use crate::engine::fact::{ItemId, Moment};
use crate::plan::{ActKey, PlannedStep};
use crate::run::RunMeta;
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// Successes are kept at least so long, whatever the windows of the runs: a playbook's default, 30 days.
const WINDOW_MIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// What became of each run.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The runs that went, or would go.
    pub gone: Vec<RunMeta>,
    /// The others, each with the first reason that was found.
    pub spared: Vec<(RunMeta, Spared)>,
    /// Journals of which nothing went, because another process has them or because they are not whole.
    pub refused: Vec<StoreError>,
}

/// Why a run stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Spared {
    /// It is the tenant's newest run.
    #[error("it is the newest run of its tenant")]
    Newest,
    /// A process works on it.
    #[error("a process works on it")]
    Live,
    /// It has not ended, or left something to do.
    #[error("it did not end complete")]
    NotComplete,
    /// It ended not long enough ago.
    #[error("it ended not long enough ago")]
    Recent,
    /// Nobody knows what became of some of its acts.
    #[error("what became of {0} of its acts is not known: poll or resolve them")]
    Unresolved(usize),
    /// Its successes still keep later runs from repeating them.
    #[error("{0} of its successes keep later runs from repeating them")]
    Deduplicates(usize),
    /// Its window is the widest: it says how long successes are kept.
    #[error("its dedupe_window, the widest of all, says how long successes are kept")]
    Widest,
    /// Without its acts, what they undid would look as if it still held.
    #[error("its acts undid those of another run, which is kept")]
    Undoes,
}

/// Removes the runs of one tenant, or of all, that ended complete longer than `older_than` before `now` and that nobody
/// needs. When `dry`, it only says which. The file does not shrink: later runs use the room again.
pub fn prune(
    state: &Path,
    tenant: Option<&str>,
    older_than: Duration,
    now: Moment,
    dry: bool,
) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    if let Some(tenant) = tenant {
        if folder::database_in(&state.join(tenant))?.is_none() {
            return Err(StoreError::NoRun(format!("run of tenant {tenant:?}")));
        }
        prune_tenant(state, tenant, older_than, now, dry, &mut pruned)?;
        return Ok(pruned);
    }
    for folder in folder::tenants(state)? {
        let Some(tenant) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        let is_there = folder::database_in(&folder);
        let done = is_there.and_then(|database| match database {
            Some(_) => prune_tenant(state, tenant, older_than, now, dry, &mut pruned),
            None => Ok(()),
        });
        pruned.refused.extend(done.err());
    }
    Ok(pruned)
}

fn prune_tenant(
    state: &Path,
    tenant: &str,
    older_than: Duration,
    now: Moment,
    dry: bool,
    pruned: &mut Pruned,
) -> Result<(), StoreError> {
    let mut journal = Journal::open(state, tenant)?;
    let whole = Whole::prove(&journal, now)?;
    for run in &whole.runs {
        match whole.why_spared(run, older_than, now) {
            Some(why) => pruned.spared.push((run.meta.clone(), why)),
            None if dry => pruned.gone.push(run.meta.clone()),
            None => {
                journal.forget(run)?;
                pruned.gone.push(run.meta.clone());
            }
        }
    }
    Ok(())
}

/// A run as it was when everything was proven.
struct Candidate {
    key: i64,
    meta: RunMeta,
    steps: Vec<PlannedStep>,
    window: Duration,
    last: Moment,
    complete: bool,
    live: bool,
    acts: Vec<acts::Act>,
    /// The items that still keep later runs from repeating them.
    needed: HashSet<ItemId>,
}

/// All runs of a journal that is whole, oldest first.
struct Whole {
    runs: Vec<Candidate>,
    /// What would undo an item that is still needed.
    undone_by: HashSet<ActKey>,
    /// The newest run with the widest window, when that is wider than the default.
    widest: Option<i64>,
}

impl Whole {
    /// Nobody takes a run up meanwhile: this process is at the gate. What is live goes on, and stays as it is.
    fn prove(journal: &Journal, now: Moment) -> Result<Self, StoreError> {
        let (connection, path, folder) = (journal.connection(), journal.path(), journal.folder());
        let failed = |e| from_sqlite("read", path, e);
        schema::check_structure(connection, path)?;
        let mut live = HashSet::new();
        for (key, name) in acts::names(connection, path)? {
            if lock::is_live(folder, &name)? {
                live.insert(key);
            }
        }
        let mut indexed: HashMap<i64, Vec<acts::Act>> = HashMap::new();
        let names = acts::prove(connection, path, |run, act| indexed.entry(run).or_default().push(*act))?;
        let (mut window, mut runs) = (WINDOW_MIN, Vec::with_capacity(names.len()));
        for key in names.into_keys() {
            let reader = RunReader::open_in(path, key)?;
            let acts = indexed.remove(&key).unwrap_or_default();
            let live = live.contains(&key);
            if !live {
                verify::of_run(&reader, folder, head::read(folder, &reader.meta().id)?, Some(&acts))?;
            }
            let summary = list::summary(connection, path, key)?;
            let complete = summary.ended == Some(true);
            let last = summary.last.unwrap_or(summary.meta.created);
            let (steps, of_run) = (reader.header().steps.clone(), reader.header().dedupe_window);
            window = window.max(of_run);
            let (meta, needed) = (summary.meta, HashSet::new());
            runs.push(Candidate { key, meta, steps, window: of_run, last, complete, live, acts, needed });
        }
        let mut undone_by: HashSet<ActKey> = HashSet::new();
        for run in &mut runs {
            let needed = run.acts.iter().filter(|act| counts(act.became.0, act.at, now, window));
            run.needed = needed.map(|act| act.item).collect();
            if run.needed.is_empty() {
                continue;
            }
            let keys = ItemKeys::of_run(connection, run.key, &run.steps).map_err(failed)?;
            keys.for_each(connection, path, |keys| {
                undone_by.extend(keys.undone_by.filter(|_| run.needed.contains(&keys.item)));
            })?;
        }
        let widest = runs.iter().filter(|run| run.window == window && window > WINDOW_MIN).map(|run| run.key).max();
        Ok(Self { runs, undone_by, widest })
    }

    fn why_spared(&self, run: &Candidate, older_than: Duration, now: Moment) -> Option<Spared> {
        let newest = self.runs.iter().map(|run| run.key).max();
        let unresolved = run.acts.iter().filter(|act| !act.became.0.is_done()).count();
        match run {
            _ if newest == Some(run.key) => Some(Spared::Newest),
            _ if run.live => Some(Spared::Live),
            _ if !run.complete => Some(Spared::NotComplete),
            _ if u128::from(now.0.saturating_sub(run.last.0)) <= older_than.as_millis() => Some(Spared::Recent),
            _ if self.widest == Some(run.key) => Some(Spared::Widest),
            _ if unresolved > 0 => Some(Spared::Unresolved(unresolved)),
            _ if !run.needed.is_empty() => Some(Spared::Deduplicates(run.needed.len())),
            _ if run.acts.iter().any(|act| self.undone_by.contains(&act.key)) => Some(Spared::Undoes),
            _ => None,
        }
    }
}

impl Journal {
    /// Removes a run and its head file. Nobody has taken it up since it was looked at: this process is at the gate.
    fn forget(&mut self, run: &Candidate) -> Result<(), StoreError> {
        // First: a head file whose run is gone would look like a lost run. A finished run needs none.
        folder::remove(&head::path_of(self.folder(), &run.meta.id))?;
        let path = self.path().to_owned();
        delete(self.connection_mut(), run).map_err(|e| from_sqlite("write", &path, e))
    }
}

fn delete(connection: &mut Connection, run: &Candidate) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (first, count): (i64, i64) =
        transaction.query_row("SELECT first_event, events FROM runs WHERE run = ?1", [run.key], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let events = "DELETE FROM events WHERE run = ?1 AND id >= ?2 AND id < ?3";
    transaction.execute(events, params![run.key, first, first + count])?;
    for table in ["facts", "items", "rows_without_item", "accepted", "acts", "reserved", "heads", "runs"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE run = ?1"), [run.key])?;
    }
    transaction.commit()?;
    schema::fold_log_on_close(connection, true)
}
