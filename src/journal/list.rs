//! Which runs there are: the list of a state folder, and the one that a name, its beginning or its age means.
//!
//! It reads without a lock and looks only at what is short: names, counts, heads, last facts. It proves nothing; whoever
//! goes on to read a run does.

use super::StoreError;
use super::folder::{self, DATABASE};
use super::reader::{parse, stored_head};
use super::schema::{from_sqlite, open_for_reading};
use crate::engine::fact::{Moment, What};
use crate::run::RunMeta;
use rusqlite::{Connection, OptionalExtension, Row};
use std::path::{Path, PathBuf};

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

/// All runs of all tenants of a state folder, oldest first. None when the folder is not there.
pub fn runs(state: &Path) -> Result<Vec<RunSummaryRow>, StoreError> {
    let mut found = Vec::new();
    for (path, connection) in databases(state)? {
        for key in keys(&connection).map_err(|e| from_sqlite("read", &path, e))? {
            let (summary, _) = summary(&connection, &path, key)?;
            found.push(summary);
        }
    }
    found.sort_by(|a, b| (a.meta.created, &a.meta.id).cmp(&(b.meta.created, &b.meta.id)));
    Ok(found)
}

/// A run that may be the one that is meant.
pub(super) struct Candidate {
    pub(super) key: i64,
    pub(super) id: String,
    created: i64,
}

/// Picks the run that is meant: the exact name, else the only one that begins so, else (none given) the newest.
pub(super) fn choose<'a>(
    given: Option<&str>,
    candidates: impl Iterator<Item = &'a Candidate> + Clone,
    what: &str,
) -> Result<usize, StoreError> {
    let Some(given) = given else {
        let newest = candidates.enumerate().max_by_key(|(_, candidate)| (candidate.created, candidate.key));
        return newest.map(|(index, _)| index).ok_or_else(|| StoreError::NoRun(what.to_owned()));
    };
    let exact: Vec<_> =
        candidates.clone().enumerate().filter(|(_, candidate)| candidate.id.eq_ignore_ascii_case(given)).collect();
    let fitting = if exact.is_empty() { candidates.enumerate().collect() } else { exact };
    match fitting.as_slice() {
        [] => Err(StoreError::NoRun(format!("{what} {given:?}"))),
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

/// The names of all runs of a state folder, in lower case.
pub(super) fn names(state: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for (path, connection) in databases(state)? {
        let found = candidates_in(&connection, None).map_err(|e| from_sqlite("read", &path, e))?;
        names.extend(found.into_iter().map(|candidate| candidate.id.to_ascii_lowercase()));
    }
    Ok(names)
}

/// One run's line, and whether it is finished: nothing is left to do.
pub(super) fn summary(connection: &Connection, path: &Path, key: i64) -> Result<(RunSummaryRow, bool), StoreError> {
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
    Ok((RunSummaryRow { meta, facts: head.sequence, last, items, rows_without_item, ended }, ended == Some(true)))
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

/// The databases of all tenants of a state folder; unfinished ones hold no run and are left out.
pub(super) fn databases(state: &Path) -> Result<Vec<(PathBuf, Connection)>, StoreError> {
    let mut open = Vec::new();
    for folder in folder::tenants(state)? {
        let path = folder.join(DATABASE);
        if let Some(connection) = open_for_reading(&path)? {
            open.push((path, connection));
        }
    }
    Ok(open)
}
