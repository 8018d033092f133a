//! Which runs there are: the list of a state folder, and the one that a name, its beginning or its age means.
//!
//! It reads without a lock and looks only at what is short: names, counts, heads, last facts. It proves nothing; whoever
//! goes on to read a run does. A journal that cannot be read does not hide those of other tenants, and is never passed
//! over in silence: whoever asks is told, or refused where the answer may stand in it.

use super::folder;
use super::head;
use super::reader::{RunReader, parse, stored_head};
use super::schema::{damage, from_sqlite, open_for_reading};
use super::{Journal, StoreError};
use crate::engine::fact::{Moment, What};
use crate::run::RunMeta;
use rusqlite::{Connection, OptionalExtension, Row};
use std::path::Path;

/// One line of the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummaryRow {
    /// What is known of the run.
    pub meta: RunMeta,
    /// How many facts it has.
    pub facts: u64,
    /// When the last of them happened.
    pub last: Option<Moment>,
    /// How many items it has.
    pub items: u32,
    /// How many rows became no item.
    pub rows_without_item: u32,
    /// `complete` of its last fact when that is [`What::Ended`]; `None` while it goes on or after a crash.
    pub ended: Option<bool>,
}

/// The runs of a state folder, as far as they can be read.
#[derive(Debug)]
pub struct Listed {
    /// Oldest first.
    pub runs: Vec<RunSummaryRow>,
    /// What is wrong with the journals that cannot be read.
    pub unreadable: Vec<StoreError>,
}

impl Listed {
    /// The newest run that is not finished. It fails when a journal that cannot be read may have a newer one.
    pub fn newest_unfinished(self) -> Result<Option<RunSummaryRow>, StoreError> {
        none_hidden("which run is the newest cannot be told: name the run", &self.unreadable)?;
        Ok(self.runs.into_iter().rev().find(|run| run.ended != Some(true)))
    }
}

/// All runs of all tenants of a state folder. None when the folder is not there. It fails when there are journals and
/// none of them can be read.
pub fn runs(state: &Path) -> Result<Listed, StoreError> {
    let summaries = |path: &Path, connection: &Connection| {
        let keys = keys(connection).map_err(|e| from_sqlite("read", path, e))?;
        keys.into_iter().map(|key| summary(connection, path, key)).collect()
    };
    let Found { found: mut runs, unreadable } = in_each_database(state, summaries)?;
    runs.sort_by(|a, b| (a.meta.created, &a.meta.id).cmp(&(b.meta.created, &b.meta.id)));
    Ok(Listed { runs, unreadable })
}

/// Opens the run that is meant: by its exact name, else as the only one that begins so, else (none given) as the newest.
pub(super) fn open(state: &Path, given: Option<&str>) -> Result<RunReader, StoreError> {
    let candidates = |path: &Path, connection: &Connection| {
        let found = candidates_in(connection, given).map_err(|e| from_sqlite("read", path, e))?;
        Ok(found.into_iter().map(|candidate| (path.to_owned(), candidate)).collect())
    };
    let Found { found, unreadable } = in_each_database(state, candidates)?;
    if given.is_none() {
        none_hidden("which run is the newest cannot be told: name the run", &unreadable)?;
    }
    let chosen = choose(given, found.iter().map(|(_, candidate)| candidate)).map_err(|error| match error {
        StoreError::NoRun(what) => match none_hidden(&format!("no {what} was found"), &unreadable) {
            Ok(()) => StoreError::NoRun(what),
            Err(hidden) => hidden,
        },
        other => other,
    })?;
    let (path, candidate) = &found[chosen];
    RunReader::open_in(path, candidate.key)
}

/// A run that may be the one that is meant.
pub(super) struct Candidate {
    pub(super) key: i64,
    pub(super) id: String,
    created: i64,
}

fn choose<'a>(
    given: Option<&str>,
    candidates: impl Iterator<Item = &'a Candidate> + Clone,
) -> Result<usize, StoreError> {
    let Some(given) = given else {
        let newest = candidates.enumerate().max_by_key(|(_, candidate)| (candidate.created, candidate.key));
        return newest.map(|(index, _)| index).ok_or_else(|| StoreError::NoRun("run".to_owned()));
    };
    let exact: Vec<_> =
        candidates.clone().enumerate().filter(|(_, candidate)| candidate.id.eq_ignore_ascii_case(given)).collect();
    let fitting = if exact.is_empty() { candidates.enumerate().collect() } else { exact };
    match fitting.as_slice() {
        [] => Err(StoreError::NoRun(format!("run {given:?}"))),
        [(index, _)] => Ok(*index),
        several => {
            let runs = several.iter().map(|(_, candidate)| candidate.id.clone()).collect();
            Err(StoreError::Ambiguous { given: given.to_owned(), runs })
        }
    }
}

/// The runs of a database whose name begins so, or all of them.
pub(super) fn candidates_in(connection: &Connection, beginning: Option<&str>) -> rusqlite::Result<Vec<Candidate>> {
    let sql = "SELECT run, id, created FROM runs \
               WHERE substr(id, 1, length(?1)) = ?1 COLLATE NOCASE ORDER BY run";
    let read = |row: &Row<'_>| Ok(Candidate { key: row.get(0)?, id: row.get(1)?, created: row.get(2)? });
    connection.prepare_cached(sql)?.query_map([beginning.unwrap_or_default()], read)?.collect()
}

/// The run of exactly this name.
pub(super) fn key_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("SELECT run FROM runs WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()
}

/// The names of all runs of a state folder, in lower case, as far as they can be read. A name that stands in one that
/// cannot is taken again only by chance, and then by a run of another tenant.
pub(super) fn names(state: &Path) -> Result<Vec<String>, StoreError> {
    let names = |path: &Path, connection: &Connection| {
        let found = candidates_in(connection, None).map_err(|e| from_sqlite("read", path, e))?;
        Ok(found.into_iter().map(|candidate| candidate.id.to_ascii_lowercase()).collect())
    };
    Ok(in_each_database(state, names)?.found)
}

/// The newest run of this tenant that carries out the plan of this digest, or did so.
pub fn run_of_plan(state: &Path, tenant: &str, digest: &str) -> Result<Option<RunSummaryRow>, StoreError> {
    let folder = state.join(tenant);
    if !folder::is_tenant_name(tenant) {
        return Err(folder::io_error("use", &folder, "that cannot be a tenant's name"));
    }
    if !folder.is_dir() {
        return Ok(None);
    }
    let found = in_database_of(&folder, &|path, connection| of_plan(connection, path, digest))?;
    Ok(found.and_then(|mut runs| runs.pop()))
}

impl Journal {
    /// As [`run_of_plan`], by who stands at the gate: nobody begins another meanwhile.
    pub fn run_of_plan(&self, digest: &str) -> Result<Option<RunSummaryRow>, StoreError> {
        of_plan(self.connection(), self.path(), digest).map(|mut runs| runs.pop())
    }
}

/// The newest run with a plan of this digest, alone.
fn of_plan(connection: &Connection, path: &Path, digest: &str) -> Result<Vec<RunSummaryRow>, StoreError> {
    let sql = "SELECT run FROM runs WHERE json_extract(header, '$.digest') = ?1 ORDER BY run DESC LIMIT 1";
    let read = || -> rusqlite::Result<Option<i64>> {
        connection.prepare_cached(sql)?.query_row([digest], |row| row.get(0)).optional()
    };
    let key = read().map_err(|e| from_sqlite("read", path, e))?;
    key.map(|key| summary(connection, path, key)).into_iter().collect()
}

/// One run's line.
pub(super) fn summary(connection: &Connection, path: &Path, key: i64) -> Result<RunSummaryRow, StoreError> {
    let run_sql = "SELECT meta, items, rows_without_item FROM runs WHERE run = ?1";
    let last_sql = "SELECT at, body FROM facts WHERE run = ?1 ORDER BY seq DESC LIMIT 1";
    let read = || {
        let (meta, items, rows): (String, u32, u32) =
            connection.query_row(run_sql, [key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let last: Option<(i64, String)> =
            connection.query_row(last_sql, [key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok((meta, items, rows, last, stored_head(connection, key)?))
    };
    let (meta, items, rows_without_item, last, head) = read().map_err(|e| from_sqlite("read", path, e))?;
    let (last, ended) = match last {
        None => (None, None),
        Some((at, body)) => (Some(Moment(at.cast_unsigned())), ended_by(&parse(path, "a run's last fact", &body)?)),
    };
    let meta = parse(path, "a run's name", &meta)?;
    Ok(RunSummaryRow { meta, facts: head.sequence, last, items, rows_without_item, ended })
}

fn ended_by(last: &What) -> Option<bool> {
    match last {
        What::Ended { complete } => Some(*complete),
        _ => None,
    }
}

/// Keys of all runs of a database.
pub(super) fn keys(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached("SELECT run FROM runs ORDER BY run")?.query_map([], |row| row.get(0))?.collect()
}

/// What was found in the databases of a state folder, and what is wrong with the others.
pub(super) struct Found<T> {
    pub(super) found: Vec<T>,
    pub(super) unreadable: Vec<StoreError>,
}

/// Looks into the databases of all tenants; unfinished ones hold no run and are left out. It fails when none of those
/// that are there can be read.
pub(super) fn in_each_database<T>(
    state: &Path,
    look: impl Fn(&Path, &Connection) -> Result<Vec<T>, StoreError>,
) -> Result<Found<T>, StoreError> {
    let (mut found, mut unreadable, mut readable) = (Vec::new(), Vec::new(), 0);
    for folder in folder::tenants(state)? {
        match in_database_of(&folder, &look) {
            Ok(None) => {}
            Ok(Some(more)) => {
                found.extend(more);
                readable += 1;
            }
            Err(error) => unreadable.push(error),
        }
    }
    match unreadable.len() {
        1 if readable == 0 => Err(unreadable.remove(0)),
        _ if readable == 0 => none_hidden("no journal can be read", &unreadable).map(|()| Found { found, unreadable }),
        _ => Ok(Found { found, unreadable }),
    }
}

/// Looks into the database of one tenant; `None` when there is none yet. A journal that is gone or empty, or whose log was
/// dropped, is no empty journal when a head says that a run was there.
fn in_database_of<T>(
    folder: &Path,
    look: &impl Fn(&Path, &Connection) -> Result<Vec<T>, StoreError>,
) -> Result<Option<Vec<T>>, StoreError> {
    // Before the database is looked at: a run that begins is in it before it has a head.
    let heads = head::runs_with_head(folder)?;
    let path = folder::database_in(folder)?;
    let opened = path.map(|path| open_for_reading(&path).map(|opened| opened.map(|connection| (path, connection))));
    let Some((path, connection)) = opened.transpose()?.flatten() else {
        return heads.first().map_or(Ok(None), |run| {
            Err(damage(&folder.join("journal.sqlite"), format!("it is gone, but the head of run {run} is there")))
        });
    };
    for run in heads {
        // A head that names no fact is that of a run that never came to be, or is just beginning.
        let is_marked = head::read(folder, &run)?.is_some_and(|head| head.sequence > 0);
        if is_marked && key_of(&connection, &run).map_err(|e| from_sqlite("read", &path, e))?.is_none() {
            return Err(damage(&path, format!("run {run} is missing, but its head is there")));
        }
    }
    look(&path, &connection).map(Some)
}

/// Fails when something may stand in a journal that cannot be read.
fn none_hidden(what: &str, unreadable: &[StoreError]) -> Result<(), StoreError> {
    if unreadable.is_empty() {
        return Ok(());
    }
    let unreadable = unreadable.iter().map(ToString::to_string).collect();
    Err(StoreError::Hidden { what: what.to_owned(), unreadable })
}
