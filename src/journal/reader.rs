//! Reading runs without a lock, also while they are going on.
//!
//! A reader proves what it reads: the chain of facts while it walks it, the plan on request. Facts are only ever added
//! and plans never change, so it reads in short portions and never holds up the writer. It writes nothing.

use super::chain::PlanHash;
use super::folder;
use super::list;
use super::schema::{damage, from_sqlite, open_for_reading};
use super::{Head, StoreError, head, proof};
use crate::engine::fact::{Fact, Moment, What};
use crate::events::{Event, RowPlace};
use crate::plan::{ItemRow, PlanHeader, PlannedItem, RowWithoutItem};
use crate::run::RunMeta;
use crate::tenant::EventType;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::path::{Path, PathBuf};

/// Rows that are read at once.
const PORTION_ROWS: u32 = 4096;

/// One run, read beside its writer or long after it.
#[derive(Debug)]
pub struct RunReader {
    connection: Connection,
    path: PathBuf,
    key: i64,
    meta: RunMeta,
    header: PlanHeader,
    stored: StoredPlan,
}

/// What `runs` says of a plan beside its texts.
#[derive(Debug)]
struct StoredPlan {
    meta_text: String,
    header_text: String,
    first_event: i64,
    events: u32,
    items: u32,
    rows_without_item: u32,
    seed: [u8; 32],
}

impl RunReader {
    /// Opens a run by its name or an unambiguous beginning of it, in any tenant; the newest when none is given.
    pub fn open(state: &Path, run: Option<&str>) -> Result<Self, StoreError> {
        list::open(state, run)
    }

    /// Opens a run of this tenant by its whole name, whatever is wrong with other tenants' journals.
    pub fn of_tenant(state: &Path, tenant: &str, run: &str) -> Result<Self, StoreError> {
        let no_run = || StoreError::NoRun(format!("run {run:?}"));
        if !folder::is_tenant_name(tenant) {
            return Err(no_run());
        }
        let path = folder::database_in(&state.join(tenant))?.ok_or_else(no_run)?;
        let connection = open_for_reading(&path)?.ok_or_else(no_run)?;
        let key = list::key_of(&connection, run).map_err(|e| from_sqlite("read", &path, e))?;
        Self::open_in(&path, key.ok_or_else(no_run)?)
    }

    /// Opens a run of this database.
    pub(super) fn open_in(path: &Path, key: i64) -> Result<Self, StoreError> {
        let connection = open_for_reading(path)?.ok_or_else(|| damage(path, "it is empty"))?;
        let sql = "SELECT meta, header, first_event, events, items, rows_without_item, seed, id FROM runs \
                   WHERE run = ?1";
        let (stored, id) = connection
            .query_row(sql, [key], |row| {
                let stored = StoredPlan {
                    meta_text: row.get(0)?,
                    header_text: row.get(1)?,
                    first_event: row.get(2)?,
                    events: row.get(3)?,
                    items: row.get(4)?,
                    rows_without_item: row.get(5)?,
                    seed: row.get(6)?,
                };
                Ok((stored, row.get::<_, String>(7)?))
            })
            .map_err(|e| from_sqlite("read", path, e))?;
        let meta: RunMeta = parse(path, "a run's name", &stored.meta_text)?;
        if meta.id != id || !super::open::is_run_name(&id) {
            return Err(damage(path, format!("run {} is listed as {id}", meta.id)));
        }
        let header = parse(path, "a plan's header", &stored.header_text)?;
        Ok(Self { connection, path: path.to_owned(), key, meta, header, stored })
    }

    /// What is known of the run.
    pub fn meta(&self) -> &RunMeta {
        &self.meta
    }

    /// What holds for all its items.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// When the last of its facts happened, or else when it began. It proves nothing.
    pub fn last_moment(&self) -> Result<Moment, StoreError> {
        let sql = "SELECT at FROM facts WHERE run = ?1 ORDER BY seq DESC LIMIT 1";
        let read = self.connection.query_row(sql, [self.key], |row| row.get::<_, i64>(0)).optional();
        let last = read.map_err(|e| from_sqlite("read", &self.path, e))?;
        Ok(last.map_or(self.meta.created, |at| Moment(at.cast_unsigned())))
    }

    /// Whether its last fact says that nothing is left to do. It proves nothing.
    pub fn is_complete(&self) -> Result<bool, StoreError> {
        list::summary(&self.connection, &self.path, self.key).map(|summary| summary.ended == Some(true))
    }

    /// The database it is read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands over every fact that is there now, in order, and returns the head they reach. The chain is only known to
    /// be whole, and to reach the fact that the run's head file names, when this has returned: until then, what was
    /// handed over is to be held back from users.
    pub fn for_each_fact(&self, each: impl FnMut(Fact) -> Result<(), StoreError>) -> Result<Head, StoreError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // First: it is written after the facts, and must not be ahead of what is read of them.
        proof::facts(self, folder, head::read(folder, &self.meta.id)?, each)
    }

    /// Hands over every item with its event, in the items' order.
    pub fn for_each_item(&self, mut each: impl FnMut(ItemRow) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let sql = "SELECT e.row, e.source, e.line, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id, e.action, \
                   e.attributes, i.item, i.step, i.target FROM items i JOIN events e ON e.id = ?4 + i.event \
                   WHERE i.run = ?1 AND i.item >= ?2 AND i.item < ?3 ORDER BY i.item";
        let read = |row: &Row<'_>| {
            let item = row.get(10)?;
            Ok((item, ItemRow { event: event_of(row)?, item, step: row.get(11)?, target: row.get(12)? }))
        };
        self.in_portions(
            self.stored.items,
            "items",
            |from, to| self.read_all(sql, params![self.key, from, to, self.stored.first_event], read),
            &mut each,
        )
    }

    /// Every item's step and target, in the items' order: what an engine needs of them.
    pub fn item_steps_and_targets(&self) -> Result<Vec<(u16, u32)>, StoreError> {
        let mut all = Vec::with_capacity(self.stored.items as usize);
        self.for_each_planned_item(|item| {
            all.push((item.step, item.target));
            Ok(())
        })?;
        Ok(all)
    }

    /// The rows that no item stands for, in input order.
    pub fn rows_without_item(&self) -> Result<Vec<RowWithoutItem>, StoreError> {
        let mut all = Vec::with_capacity(self.stored.rows_without_item as usize);
        self.for_each_row_without_item(|row| {
            all.push(row);
            Ok(())
        })?;
        Ok(all)
    }

    /// Proves the plan whole: its header, events, items and rows are those with which the run began.
    pub fn verify_plan(&self) -> Result<(), StoreError> {
        let mut hash = PlanHash::new(&self.stored.meta_text, &self.stored.header_text);
        self.for_each_event(|event| {
            hash.event(&event);
            Ok(())
        })?;
        self.for_each_planned_item(|item| {
            hash.item(&item);
            Ok(())
        })?;
        self.for_each_row_without_item(|row| {
            hash.row_without_item(&row);
            Ok(())
        })?;
        match hash.finish() == self.seed() {
            true => Ok(()),
            false => Err(damage(&self.path, format!("the plan of run {} is not the one it began with", self.meta.id))),
        }
    }

    /// Its number in the database.
    pub(super) fn key(&self) -> i64 {
        self.key
    }

    /// Its connection, for what it does not read itself.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How many events, items and rows without an item its plan has.
    pub(super) fn counts(&self) -> [u32; 3] {
        [self.stored.events, self.stored.items, self.stored.rows_without_item]
    }

    /// The head before the first fact.
    pub(super) fn seed(&self) -> Head {
        Head { sequence: 0, hash: self.stored.seed }
    }

    pub(super) fn parse_fact(&self, sequence: u64, body: &str) -> Result<What, StoreError> {
        let what = format!("fact {sequence} of run {}", self.meta.id);
        parse(&self.path, &what, body)
    }

    /// Walks the stored facts and proves their chain, up to the head that the run has when the walk begins.
    pub(super) fn walk(
        &self,
        mut each: impl FnMut(Head, Moment, &str) -> Result<(), StoreError>,
    ) -> Result<Head, StoreError> {
        let end = stored_head(&self.connection, self.key).map_err(|e| from_sqlite("read", &self.path, e))?;
        let sql =
            "SELECT seq, at, body, hash FROM facts WHERE run = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
        let mut head = self.seed();
        let mut proven = 0;
        while head.sequence < end.sequence {
            let (from, to) = (head.sequence.cast_signed(), end.sequence.cast_signed());
            let facts = self.read_all(sql, params![self.key, from, to, PORTION_ROWS], stored_fact)?;
            if facts.is_empty() {
                return Err(self.broken(&format!("fact {} is missing", head.sequence + 1)));
            }
            for fact in facts {
                if fact.sequence != head.sequence + 1 {
                    return Err(self.broken(&format!("fact {} is missing", head.sequence + 1)));
                }
                head = head.then(fact.at, &fact.body);
                if fact.hash.is_some_and(|hash| hash != head.hash) {
                    return Err(self.broken(&format!("facts {} to {} were changed", proven + 1, head.sequence)));
                }
                proven = if fact.hash.is_some() { head.sequence } else { proven };
                each(head, fact.at, &fact.body)?;
            }
        }
        match head {
            _ if head == end => Ok(head),
            _ if proven == head.sequence => Err(self.broken("the stored head is not that of the last fact")),
            _ => Err(self.broken(&format!("facts {} to {} were changed", proven + 1, head.sequence))),
        }
    }

    fn broken(&self, what: &str) -> StoreError {
        damage(&self.path, format!("{what} in run {}", self.meta.id))
    }

    fn for_each_event(&self, mut each: impl FnMut(Event) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let sql = "SELECT row, source, line, agent_id, event_id, event_type, pid, unique_id, action, attributes, \
                   id - ?4 FROM events WHERE id >= ?2 AND id < ?3 AND run = ?1 ORDER BY id";
        let first = self.stored.first_event;
        self.in_portions(
            self.stored.events,
            "events",
            |from, to| {
                self.read_all(sql, params![self.key, first + i64::from(from), first + i64::from(to), first], |row| {
                    Ok((row.get(10)?, event_of(row)?))
                })
            },
            &mut each,
        )
    }

    fn for_each_planned_item(
        &self,
        mut each: impl FnMut(PlannedItem) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql =
            "SELECT item, event, step, target FROM items WHERE run = ?1 AND item >= ?2 AND item < ?3 ORDER BY item";
        let read = |row: &Row<'_>| {
            Ok((row.get(0)?, PlannedItem { event: row.get(1)?, step: row.get(2)?, target: row.get(3)? }))
        };
        self.in_portions(
            self.stored.items,
            "items",
            |from, to| self.read_all(sql, params![self.key, from, to], read),
            &mut each,
        )
    }

    fn for_each_row_without_item(
        &self,
        mut each: impl FnMut(RowWithoutItem) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT row, source, line, byte, reason, n FROM rows_without_item \
                   WHERE run = ?1 AND n >= ?2 AND n < ?3 ORDER BY n";
        let read = |row: &Row<'_>| {
            let found = RowWithoutItem {
                row: row.get(0)?,
                source: row.get(1)?,
                line: row.get(2)?,
                byte: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                reason: row.get(4)?,
            };
            Ok((row.get(5)?, found))
        };
        self.in_portions(
            self.stored.rows_without_item,
            "rows without an item",
            |from, to| self.read_all(sql, params![self.key, from, to], read),
            &mut each,
        )
    }

    /// Reads rows 0 to `count` in portions, each whole and in order, and hands them over with no statement open.
    fn in_portions<T>(
        &self,
        count: u32,
        what: &str,
        read: impl Fn(u32, u32) -> Result<Vec<(u32, T)>, StoreError>,
        each: &mut impl FnMut(T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut from = 0;
        while from < count {
            let to = from.saturating_add(PORTION_ROWS).min(count);
            let rows = read(from, to)?;
            // The numbers are in no hash: what stands under another number than its place is as good as missing.
            if !rows.iter().map(|(number, _)| *number).eq(from..to) {
                return Err(self.broken(&format!("some of the {what} {from} to {} are missing", to - 1)));
            }
            rows.into_iter().try_for_each(|(_, row)| each(row))?;
            from = to;
        }
        Ok(())
    }

    fn read_all<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || self.connection.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<_, _>>();
        all().map_err(|e| from_sqlite("read", &self.path, e))
    }
}

struct StoredFact {
    sequence: u64,
    at: Moment,
    body: String,
    hash: Option<[u8; 32]>,
}

/// The head that the database itself names.
pub(super) fn stored_head(connection: &Connection, key: i64) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT sequence, hash FROM heads WHERE run = ?1")?
        .query_row([key], |row| Ok(Head { sequence: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? }))
}

/// The hash that was stored with this sequence number; `None` when no transaction ended there.
pub(super) fn stored_hash(connection: &Connection, key: i64, sequence: u64) -> rusqlite::Result<Option<[u8; 32]>> {
    if sequence == 0 {
        return connection.query_row("SELECT seed FROM runs WHERE run = ?1", [key], |row| row.get(0));
    }
    let sql = "SELECT hash FROM facts WHERE run = ?1 AND seq = ?2";
    Ok(connection.query_row(sql, params![key, sequence.cast_signed()], |row| row.get(0)).optional()?.flatten())
}

fn stored_fact(row: &Row<'_>) -> rusqlite::Result<StoredFact> {
    Ok(StoredFact {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Moment(row.get::<_, i64>(1)?.cast_unsigned()),
        body: row.get(2)?,
        hash: row.get(3)?,
    })
}

/// The event in the first ten columns.
fn event_of(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        place: RowPlace { row: row.get(0)?, source: row.get(1)?, line: row.get(2)? },
        agent_id: row.get(3)?,
        event_id: row.get(4)?,
        event_type: event_type(row, 5)?,
        pid: row.get(6)?,
        unique_id: row.get(7)?,
        action: row.get(8)?,
        attributes: row.get(9)?,
    })
}

/// An event's kind, which was written by its exact word.
pub(super) fn event_type(row: &Row<'_>, column: usize) -> rusqlite::Result<EventType> {
    let word = row.get_ref(column)?.as_str()?;
    let known = EventType::ALL.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| FromSqlError::Other(format!("unknown event type {word:?}").into()).into())
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &Path, what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| damage(path, format!("{what} cannot be read: {e}")))
}
