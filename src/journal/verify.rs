//! Proving a run whole on request: its plan, its chain of facts up to its head file, the database's structure, and that
//! the index of acts holds what its facts leave, no more and no less.
//!
//! It reads one snapshot, without a lock, also while the run goes on, and writes nothing. What does not fit is damage;
//! nothing is repaired.

use super::acts::{self, Act, Replayed};
use super::keys::ItemKeys;
use super::reader::RunReader;
use super::schema::{self, damage, from_sqlite};
use super::{Head, StoreError, head, list, proof};
use crate::engine::fact::ItemId;
use crate::plan::ActKey;
use crate::run::RunMeta;
use std::collections::HashMap;
use std::path::Path;

/// What was checked and found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The run.
    pub meta: RunMeta,
    /// The schema of its journal.
    pub schema: u32,
    /// Events of its plan, …
    pub events: u32,
    /// … items, …
    pub items: u32,
    /// … and rows without an item.
    pub rows_without_item: u32,
    /// The end of its chain: how many facts there are, and the hash over plan and facts.
    pub head: Head,
    /// The fact that its head file names; a finished run needs none.
    pub head_file: Option<u64>,
    /// Its rows in the index of acts; `None` in a journal of schema 1, which has no index.
    pub acts: Option<u64>,
    /// The rows of all runs of its tenant there, whose sums fit.
    pub acts_of_all_runs: Option<u64>,
}

/// Proves a run, by its name or an unambiguous beginning of it; the newest when none is given.
pub fn verify(state: &Path, run: Option<&str>) -> Result<Verified, StoreError> {
    of_reader(&list::open(state, run)?)
}

fn of_reader(reader: &RunReader) -> Result<Verified, StoreError> {
    let (path, connection) = (reader.path(), reader.connection());
    let folder = path.parent().unwrap_or(Path::new("."));
    // Before the snapshot: the head file is written after the facts, and must not be ahead of what is read of them.
    let marked = head::read(folder, &reader.meta().id)?;
    let snapshot = connection.unchecked_transaction().map_err(|e| from_sqlite("read", path, e))?;
    // The snapshot begins with the first look.
    let version = schema::version(connection, path)?.ok_or_else(|| damage(path, "it is empty"))?;
    if marked.is_none() && head::read(folder, &reader.meta().id)?.is_some() {
        // The run has just begun, or was just taken up again.
        drop(snapshot);
        return of_reader(reader);
    }
    schema::check_texts(connection, path, version)?;
    schema::check_structure(connection, path)?;
    let (mut own, mut all) = (Vec::new(), 0);
    if version > 1 {
        acts::prove_in(connection, path, |run, act| {
            all += 1;
            if run == reader.key() {
                own.push(*act);
            }
        })?;
    }
    let indexed = (version > 1).then_some(own);
    let head = of_run(reader, folder, marked, indexed.as_deref())?;
    let [events, items, rows_without_item] = reader.counts();
    Ok(Verified {
        meta: reader.meta().clone(),
        schema: version,
        events,
        items,
        rows_without_item,
        head,
        head_file: marked.map(|marked| marked.sequence),
        acts: indexed.as_ref().map(|own| own.len() as u64),
        acts_of_all_runs: indexed.map(|_| all),
    })
}

/// Proves what is a run's own: its plan, its chain up to what its head file names, and its rows in the index, whose sums
/// were found to fit. Returns the end of its chain.
pub(super) fn of_run(
    reader: &RunReader,
    folder: &Path,
    marked: Option<Head>,
    rows: Option<&[Act]>,
) -> Result<Head, StoreError> {
    reader.verify_plan()?;
    let mut acts = Replayed::default();
    let head = proof::facts(reader, folder, marked, |fact| {
        acts.hear(&fact);
        Ok(())
    })?;
    if let Some(rows) = rows {
        compare(reader, rows, &acts)?;
    }
    Ok(head)
}

/// That the rows are those that the facts leave, and in the order in which they were sent.
fn compare(reader: &RunReader, rows: &[Act], replayed: &Replayed) -> Result<(), StoreError> {
    let (run, path) = (&reader.meta().id, reader.path());
    let wrong = |what: String| damage(path, format!("{what} of run {run} in the index of acts"));
    let nothing = Replayed::default();
    let replayed = if reader.meta().simulated { &nothing } else { replayed };
    let keys = keys_of(reader, rows)?;
    let mut order = Vec::with_capacity(rows.len());
    for row in rows {
        let left = replayed.acts.get(&row.item);
        let left = left.ok_or_else(|| wrong(format!("no fact leaves item {}", row.item.0)))?;
        let said = (left.became, left.at, keys.get(&row.item));
        if (row.became.0, row.at, Some(&row.key)) != said {
            return Err(wrong(format!("the facts say otherwise about item {}", row.item.0)));
        }
        order.push((left.sent, row.sent));
    }
    if let Some(item) = replayed.acts.keys().find(|item| !keys.contains_key(item)) {
        return Err(wrong(format!("there is no item {}", item.0)));
    }
    order.sort_unstable();
    match order.is_sorted_by_key(|(_, stored)| *stored) {
        true => Ok(()),
        false => Err(wrong("the items were sent in another order than those".to_owned())),
    }
}

/// What the items of these rows do, by the plan.
fn keys_of(reader: &RunReader, rows: &[Act]) -> Result<HashMap<ItemId, ActKey>, StoreError> {
    let path = reader.path();
    let mut keys: HashMap<ItemId, ActKey> = rows.iter().map(|row| (row.item, ActKey::default())).collect();
    let item_keys = ItemKeys::of_run(reader.connection(), reader.key(), &reader.header().steps);
    item_keys.map_err(|e| from_sqlite("read", path, e))?.for_each(reader.connection(), path, |item| {
        if let Some(key) = keys.get_mut(&item.item) {
            *key = item.does;
        }
    })?;
    Ok(keys)
}
