//! What the items of a run do, as keys: computed from what is stored of its plan, in one pass or for one item.
//!
//! Keys are never stored with a plan: they follow from it. Whoever computes them for a run that this process did not
//! begin has to prove its plan first.

use super::StoreError;
use super::reader;
use super::schema::{damage, from_sqlite};
use crate::engine::fact::ItemId;
use crate::plan::{self, ActKey, PlannedStep, Sent};
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row, params};
use std::path::Path;

/// What is sent of an item, with its step; `i`, `e` as in the queries below.
const COLUMNS: &str = "i.step, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id, i.item, i.target";

/// A run whose items' keys can be told.
#[derive(Debug)]
pub(super) struct ItemKeys {
    run: i64,
    first_event: i64,
    items: u32,
    steps: Vec<PlannedStep>,
}

/// One item's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) item: ItemId,
    /// The step of its plan.
    pub(super) step: u16,
    /// What its plan acts on there.
    pub(super) target: u32,
    /// What it does.
    pub(super) does: ActKey,
    /// What would undo it, where the tenant knows such an action.
    pub(super) undone_by: Option<ActKey>,
}

impl ItemKeys {
    /// Those of the run with this key and these steps.
    pub(super) fn of_run(connection: &Connection, run: i64, steps: &[PlannedStep]) -> rusqlite::Result<Self> {
        let sql = "SELECT first_event, items FROM runs WHERE run = ?1";
        let (first_event, items) = connection.query_row(sql, [run], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self { run, first_event, items, steps: steps.to_vec() })
    }

    /// What this item does.
    pub(super) fn of_item(&self, connection: &Connection, item: ItemId) -> rusqlite::Result<ActKey> {
        let sql = format!(
            "SELECT {COLUMNS} FROM items i JOIN events e ON e.id = ?3 + i.event WHERE i.run = ?1 AND i.item = ?2"
        );
        let read = |row: &Row<'_>| self.keys(row);
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![self.run, item.0, self.first_event], read)?.does)
    }

    /// Hands over the keys of all items, in their order. The connection should be in a transaction: it is one query.
    pub(super) fn for_each(
        &self,
        connection: &Connection,
        path: &Path,
        mut each: impl FnMut(Keys),
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM items i JOIN events e ON e.id = ?2 + i.event WHERE i.run = ?1 ORDER BY i.item"
        );
        let mut next = 0;
        let mut look = || -> rusqlite::Result<bool> {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![self.run, self.first_event])?;
            while let Some(row) = rows.next()? {
                let keys = self.keys(row)?;
                if keys.item.0 != next {
                    return Ok(false);
                }
                next += 1;
                each(keys);
            }
            Ok(true)
        };
        if !look().map_err(|e| from_sqlite("read", path, e))? || next != self.items {
            return Err(damage(path, format!("item {next} or its event is missing")));
        }
        Ok(())
    }

    fn keys(&self, row: &Row<'_>) -> rusqlite::Result<Keys> {
        let number: u16 = row.get(0)?;
        let step = self.steps.get(usize::from(number));
        let step = step.ok_or_else(|| FromSqlError::Other("an item's step is not in its plan".into()))?;
        let sent = Sent {
            agent_id: row.get_ref(1)?.as_str()?,
            event_id: row.get_ref(2)?.as_str()?,
            event_type: reader::event_type(row, 3)?,
            pid: row.get(4)?,
            unique_id: row.get_ref(5)?.as_str()?,
        };
        let (item, target) = (ItemId(row.get(6)?), row.get(7)?);
        let (does, undone_by) = (plan::act_key(step, sent), plan::inverse_key(step, sent));
        Ok(Keys { item, step: number, target, does, undone_by })
    }
}
