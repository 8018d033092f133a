//! Which runs have acts of which nobody knows for sure what became: what a person, or a later poll, has to look at.
//!
//! It reads without a lock. The index of acts answers after it was proven; where there is none, in a journal of schema 1
//! and for simulated runs, the facts do. A journal that cannot be read is told of, never passed over.

use super::StoreError;
use super::acts::{self, Replayed};
use super::list::{self, Found, in_each_database};
use super::reader::RunReader;
use super::schema::{self, from_sqlite};
use crate::engine::fact::Before;
use crate::run::RunMeta;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// The runs of a state folder with unresolved acts, as far as they can be read.
#[derive(Debug)]
pub struct Unresolved {
    /// Oldest first.
    pub runs: Vec<UnresolvedRun>,
    /// What is wrong with the journals that cannot be read: there may be more in them.
    pub unreadable: Vec<StoreError>,
}

/// A run with unresolved acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedRun {
    /// What is known of the run.
    pub meta: RunMeta,
    /// How many of its items are open, still queued, timed out, unknown or unmatched; no count is 0.
    pub acts: BTreeMap<Before, u64>,
}

/// All runs of all tenants with acts that are open, still queued, timed out, unknown or unmatched. It fails when there
/// are journals and none of them can be read.
pub fn unresolved(state: &Path) -> Result<Unresolved, StoreError> {
    let Found { found: mut runs, unreadable } = in_each_database(state, in_database)?;
    runs.sort_by(|a, b| (a.meta.created, &a.meta.id).cmp(&(b.meta.created, &b.meta.id)));
    Ok(Unresolved { runs, unreadable })
}

fn in_database(path: &Path, connection: &Connection) -> Result<Vec<UnresolvedRun>, StoreError> {
    let mut indexed: BTreeMap<i64, BTreeMap<Before, u64>> = BTreeMap::new();
    let has_index = schema::version(connection, path)?.is_some_and(|version| version > 1);
    if has_index {
        acts::prove(connection, path, |run, act| count(indexed.entry(run).or_default(), act.became.0))?;
    }
    let mut runs = Vec::new();
    for key in list::keys(connection).map_err(|e| from_sqlite("read", path, e))? {
        let reader = RunReader::open_in(path, key)?;
        let acts = match has_index && !reader.meta().simulated {
            true => indexed.remove(&key).unwrap_or_default(),
            false => by_facts(&reader)?,
        };
        if !acts.is_empty() {
            runs.push(UnresolvedRun { meta: reader.meta().clone(), acts });
        }
    }
    Ok(runs)
}

fn by_facts(reader: &RunReader) -> Result<BTreeMap<Before, u64>, StoreError> {
    let mut replayed = Replayed::default();
    reader.for_each_fact(|fact| {
        replayed.hear(&fact);
        Ok(())
    })?;
    let mut acts = BTreeMap::new();
    replayed.acts.values().for_each(|left| count(&mut acts, left.became));
    Ok(acts)
}

fn count(acts: &mut BTreeMap<Before, u64>, became: Before) {
    if !became.is_done() {
        *acts.entry(became).or_default() += 1;
    }
}
