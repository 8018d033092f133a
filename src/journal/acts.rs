//! The index of acts: which items were sent and may have been carried out, so that a later run finds them without reading
//! the facts of all earlier ones.
//!
//! It is written in the transaction of the facts it follows from, and says nothing that they do not. No chain covers it:
//! each run keeps a sum over its rows beside its head, and nobody relies on a row before the rows of all runs were read
//! and their sums fit. What does not fit is damage, never repaired. Simulated runs act on nothing and have no rows.

use super::StoreError;
use super::keys::ItemKeys;
use super::schema::{damage, from_sqlite};
use crate::engine::fact::{BatchId, Before, Fact, Finding, ItemId, Moment, Settled, What};
use crate::plan::{ActKey, PlannedStep};
use crate::run::RunMeta;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// An item that was sent, and was or may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) item: ItemId,
    /// What it does, over all runs of the tenant.
    pub(super) key: ActKey,
    pub(super) became: Became,
    /// Its place in the order in which all runs of the tenant sent.
    pub(super) sent: i64,
    /// When it became so: the time of the fact.
    pub(super) at: Moment,
}

/// What became of an act, as it stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Became(pub(super) Before);

impl Became {
    /// As it stands in a row. The view `act_items` has the words.
    const CODES: [(i64, Before); 7] = [
        (1, Before::Open),
        (2, Before::Succeeded),
        (3, Before::CarriedOut),
        (4, Before::StillQueued),
        (5, Before::TimedOut),
        (6, Before::Unknown),
        (7, Before::Unmatched),
    ];

    fn code(self) -> Option<i64> {
        Self::CODES.iter().find(|(_, became)| *became == self.0).map(|(code, _)| *code)
    }
}

impl FromSql for Became {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        let known = Self::CODES.iter().find(|(known, _)| *known == code);
        known
            .map(|(_, became)| Self(*became))
            .ok_or_else(|| FromSqlError::Other(format!("no act is in state {code}").into()))
    }
}

impl ToSql for Became {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let code = self.code().ok_or_else(|| format!("an act cannot become {:?}", self.0));
        code.map(ToSqlOutput::from).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
    }
}

/// What a fact changes in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// These items became so.
    Set(Vec<ItemId>, Before),
    /// Nothing of these was carried out, or it failed: a later run may send them.
    Forget(Vec<ItemId>),
}

/// The items of the batches that have no answer yet: facts about a whole batch name only its number.
#[derive(Debug, Clone, Default)]
pub(super) struct Unanswered(HashMap<BatchId, Vec<ItemId>>);

impl Unanswered {
    /// What this fact, the next one of the run, changes.
    pub(super) fn hear(&mut self, what: &What) -> Option<Change> {
        match what {
            What::Submitting { batch, items, .. } => {
                self.0.insert(*batch, items.clone());
                Some(Change::Set(items.clone(), Before::Open))
            }
            What::Accepted { batch, .. } => {
                self.0.remove(batch);
                None
            }
            What::Rejected { batch, .. } | What::Returned { batch, .. } => self.0.remove(batch).map(Change::Forget),
            What::Unanswered { batch, .. } => self.0.remove(batch).map(|items| Change::Set(items, Before::Unknown)),
            What::Settled { item, outcome, .. } => Some(settled(*item, *outcome)),
            What::Resolved { items, finding, .. } => Some(match finding {
                Finding::CarriedOut => Change::Set(items.clone(), Before::CarriedOut),
                Finding::Succeeded => Change::Set(items.clone(), Before::Succeeded),
                Finding::NotCarriedOut | Finding::Failed => Change::Forget(items.clone()),
            }),
            What::Adopted { .. }
            | What::Started
            | What::Resumed { .. }
            | What::DoneBefore { .. }
            | What::Permitted { .. }
            | What::Held { .. }
            | What::Released { .. }
            | What::Continued { .. }
            | What::Seen { .. }
            | What::Paired { .. }
            | What::Barred { .. }
            | What::Unmet { .. }
            | What::Blocked { .. }
            | What::Expired { .. }
            | What::Approved { .. }
            | What::Awaiting { .. }
            | What::Promoted { .. }
            | What::Stopping { .. }
            | What::Tallied { .. }
            | What::Ended { .. } => None,
        }
    }
}

fn settled(item: ItemId, outcome: Settled) -> Change {
    let items = vec![item];
    match outcome {
        Settled::Succeeded => Change::Set(items, Before::Succeeded),
        Settled::Failed => Change::Forget(items),
        Settled::StillQueued => Change::Set(items, Before::StillQueued),
        Settled::TimedOut => Change::Set(items, Before::TimedOut),
        Settled::Unknown => Change::Set(items, Before::Unknown),
        Settled::Unmatched => Change::Set(items, Before::Unmatched),
    }
}

/// What a run keeps of its rows beside its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// How many rows it has.
    pub(super) rows: i64,
    /// The sum of their checks, in any order, modulo 2^128.
    sum: u128,
    /// The highest place in the order of sending that it ever gave out.
    pub(super) sent: i64,
}

impl Tally {
    /// With one row more.
    pub(super) fn add(&mut self, run: i64, act: &Act) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(check_of_act(run, act));
        self.sent = self.sent.max(act.sent);
    }

    fn remove(&mut self, run: i64, act: &Act) {
        self.rows -= 1;
        self.sum = self.sum.wrapping_sub(check_of_act(run, act));
    }

    /// What is stored as the sum: it covers the two numbers beside it too.
    pub(super) fn sealed(&self, run: i64) -> [u8; 16] {
        self.sum.wrapping_add(self.check_of_numbers(run)).to_be_bytes()
    }

    fn check_of_numbers(&self, run: i64) -> u128 {
        check(&[b"run", &run.to_be_bytes(), &self.rows.to_be_bytes(), &self.sent.to_be_bytes()])
    }

    fn read(run: i64, row: &Row<'_>) -> rusqlite::Result<Self> {
        let sealed = u128::from_be_bytes(row.get("acts_sum")?);
        let tally = Self { rows: row.get("acts")?, sum: 0, sent: row.get("sent")? };
        Ok(Self { sum: sealed.wrapping_sub(tally.check_of_numbers(run)), ..tally })
    }
}

/// 128 bits of SHA-256 over fields of fixed size, which fit in one block.
fn check_of_act(run: i64, act: &Act) -> u128 {
    let state = act.became.code().unwrap_or_default().to_be_bytes();
    let (run, item, sent) = (run.to_be_bytes(), act.item.0.to_be_bytes(), act.sent.to_be_bytes());
    check(&[b"act ", &act.key, &run, &item, &state[7..], &sent, &act.at.0.to_be_bytes()])
}

fn check(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(first)
}

/// The rows of the run that is being written.
#[derive(Debug)]
pub(super) struct RunActs {
    pub(super) keys: ItemKeys,
    tally: Tally,
    unanswered: Unanswered,
}

impl RunActs {
    /// Those of the run with this key, whose plan and facts were proven.
    pub(super) fn open(
        connection: &Connection,
        run: i64,
        steps: &[PlannedStep],
        unanswered: Unanswered,
    ) -> rusqlite::Result<Self> {
        let sql = "SELECT acts, acts_sum, sent FROM heads WHERE run = ?1";
        let tally = connection.query_row(sql, [run], |row| Tally::read(run, row))?;
        Ok(Self { keys: ItemKeys::of_run(connection, run, steps)?, tally, unanswered })
    }

    /// Puts down what these facts, the next ones of the run, change. A failure leaves it behind the facts: the run's
    /// store must refuse everything then.
    pub(super) fn put_down(&mut self, transaction: &Transaction<'_>, run: i64, facts: &[Fact]) -> rusqlite::Result<()> {
        for fact in facts {
            match self.unanswered.hear(&fact.what) {
                None => {}
                Some(Change::Forget(items)) => self.forget(transaction, run, &items)?,
                Some(Change::Set(items, became)) => self.set(transaction, run, &items, Became(became), fact.at)?,
            }
        }
        let sql = "UPDATE heads SET acts = ?2, acts_sum = ?3, sent = ?4 WHERE run = ?1";
        let tally = &self.tally;
        transaction.prepare_cached(sql)?.execute(params![run, tally.rows, tally.sealed(run), tally.sent]).map(drop)
    }

    /// The number of an act that is sent now, higher than any of the tenant.
    fn next_sent(&self, transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
        let sql = "SELECT coalesce(max(sent), 0) FROM heads";
        let last: i64 = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        // Facts of one append take a number each, and `heads` has none of them yet.
        Ok(last.max(self.tally.sent).saturating_add(1))
    }

    fn forget(&mut self, transaction: &Transaction<'_>, run: i64, items: &[ItemId]) -> rusqlite::Result<()> {
        for item in items {
            if let Some(act) = act_of(transaction, run, *item)? {
                let sql = "DELETE FROM acts WHERE run = ?1 AND item = ?2";
                transaction.prepare_cached(sql)?.execute(params![run, item.0])?;
                self.tally.remove(run, &act);
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        transaction: &Transaction<'_>,
        run: i64,
        items: &[ItemId],
        became: Became,
        at: Moment,
    ) -> rusqlite::Result<()> {
        let mut next = None;
        for item in items {
            let old = act_of(transaction, run, *item)?;
            let (key, sent) = match (&old, next) {
                (Some(old), _) => (old.key, old.sent),
                (None, Some(next)) => (self.keys.of_item(transaction, *item)?, next),
                (None, None) => (self.keys.of_item(transaction, *item)?, *next.insert(self.next_sent(transaction)?)),
            };
            let act = Act { item: *item, key, became, sent, at };
            old.iter().for_each(|old| self.tally.remove(run, old));
            self.tally.add(run, &act);
            store(transaction, run, &act)?;
        }
        Ok(())
    }
}

/// Writes one row, in place of the item's old one.
pub(super) fn store(transaction: &Transaction<'_>, run: i64, act: &Act) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO acts(run, item, key, state, sent, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
    let at = act.at.0.cast_signed();
    let row = params![run, act.item.0, act.key, act.became, act.sent, at];
    transaction.prepare_cached(sql)?.execute(row).map(drop)
}

fn act_of(connection: &Connection, run: i64, item: ItemId) -> rusqlite::Result<Option<Act>> {
    let sql = "SELECT item, key, state, sent, at FROM acts WHERE run = ?1 AND item = ?2";
    connection.prepare_cached(sql)?.query_row(params![run, item.0], read_act).optional()
}

/// The act in the first five columns.
fn read_act(row: &Row<'_>) -> rusqlite::Result<Act> {
    Ok(Act {
        item: ItemId(row.get(0)?),
        key: row.get(1)?,
        became: row.get(2)?,
        sent: row.get(3)?,
        at: Moment(row.get::<_, i64>(4)?.cast_unsigned()),
    })
}

/// Reads every row of the database and proves that they are those that were written, none less and none more. What is
/// handed over is to be relied on only once this has returned. Returns the runs' names by their keys.
///
/// It is one snapshot: other processes may write meanwhile. The connection must be in no transaction.
pub(super) fn prove(
    connection: &Connection,
    path: &Path,
    each: impl FnMut(i64, &Act),
) -> Result<BTreeMap<i64, String>, StoreError> {
    let _snapshot = connection.unchecked_transaction().map_err(|e| from_sqlite("read", path, e))?;
    prove_in(connection, path, each)
}

/// [`prove`] in the transaction that the connection is in.
pub(super) fn prove_in(
    connection: &Connection,
    path: &Path,
    mut each: impl FnMut(i64, &Act),
) -> Result<BTreeMap<i64, String>, StoreError> {
    let failed = |e| from_sqlite("read", path, e);
    let names = names(connection, path)?;
    let stored = tallies(connection).map_err(failed)?;
    let mut found: BTreeMap<i64, Tally> = stored.keys().map(|run| (*run, Tally::default())).collect();
    if !stored.keys().eq(names.keys()) {
        return Err(damage(path, "a run has no head, or a head has no run"));
    }
    let mut look = || -> rusqlite::Result<Option<i64>> {
        let mut statement = connection.prepare("SELECT item, key, state, sent, at, run FROM acts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (run, act) = (row.get(5)?, read_act(row)?);
            let Some(tally) = found.get_mut(&run) else { return Ok(Some(run)) };
            tally.add(run, &act);
            each(run, &act);
        }
        Ok(None)
    };
    if let Some(run) = look().map_err(failed)? {
        return Err(damage(path, format!("the index of acts has a row of run {run}, which is not there")));
    }
    for (run, stored) in stored {
        let found = found.get(&run).copied().unwrap_or_default();
        // A row that was taken away again may have had the highest number.
        if found.sent > stored.sent || (Tally { sent: stored.sent, ..found }) != stored {
            let name = names.get(&run).map(String::as_str).unwrap_or_default();
            return Err(damage(
                path,
                format!("the rows of run {name} in the index of acts are not those that it wrote"),
            ));
        }
    }
    Ok(names)
}

fn tallies(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, Tally>> {
    let mut statement = connection.prepare("SELECT run, acts, acts_sum, sent FROM heads ORDER BY run")?;
    let read = |row: &Row<'_>| {
        let run = row.get("run")?;
        Ok((run, Tally::read(run, row)?))
    };
    statement.query_map([], read)?.collect()
}

/// The names of all runs by their keys: each as it stands in two places.
pub(super) fn names(connection: &Connection, path: &Path) -> Result<BTreeMap<i64, String>, StoreError> {
    let read = || -> rusqlite::Result<Vec<(i64, String, String)>> {
        let mut statement = connection.prepare("SELECT run, id, meta FROM runs ORDER BY run")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    };
    let mut names = BTreeMap::new();
    for (run, id, meta) in read().map_err(|e| from_sqlite("read", path, e))? {
        let meta: RunMeta = super::reader::parse(path, "a run's name", &meta)?;
        if meta.id != id {
            return Err(damage(path, format!("run {} is listed as {id}", meta.id)));
        }
        names.insert(run, id);
    }
    Ok(names)
}

/// The rows that a run's facts leave, built without the database.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    unanswered: Unanswered,
    pub(super) acts: BTreeMap<ItemId, Left>,
    sent: i64,
    latest: Moment,
}

/// What the facts leave of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) became: Before,
    /// When it became so.
    pub(super) at: Moment,
    /// When it was sent, and its place in the run's own order of sending.
    pub(super) sent_at: Moment,
    pub(super) sent: i64,
}

impl Replayed {
    /// Hears the run's next fact.
    pub(super) fn hear(&mut self, fact: &Fact) {
        self.latest = self.latest.max(fact.at);
        match self.unanswered.hear(&fact.what) {
            None => {}
            Some(Change::Forget(items)) => items.iter().for_each(|item| {
                self.acts.remove(item);
            }),
            Some(Change::Set(items, became)) => {
                self.sent += 1;
                let new = Left { became, at: fact.at, sent_at: self.latest, sent: self.sent };
                for item in items {
                    let left = self.acts.entry(item).or_insert(new);
                    (left.became, left.at) = (became, fact.at);
                }
            }
        }
    }

    /// The batches that have no answer yet.
    pub(super) fn into_unanswered(self) -> Unanswered {
        self.unanswered
    }
}
