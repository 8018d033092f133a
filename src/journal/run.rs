//! The run that this process writes: facts go in by whole transactions, bodies and ids come out by their number.
//!
//! The first error is final. A failed sync is not tried again: what the system then says about the file is not to be
//! trusted, and only reading it anew from the start can tell what is there.

use super::acts::RunActs;
use super::budget::Budget;
use super::folder::TenantFolder;
use super::head::HeadFile;
use super::keys::ItemKeys;
use super::lock::{Lock, PlaybookLock};
use super::reader::{self, RunReader};
use super::schema::{self, damage, from_sqlite};
use super::slots::Slots;
use super::{Head, ItemBody, Store, StoreError};
use crate::engine::fact::{BatchId, Fact, ItemId, RemediationRef, What};
use crate::engine::{Ask, Granted, Wish};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Batches whose ids are kept at hand. Polls go through a batch together, so few are in use at a time.
const BATCHES_KEPT: usize = 64;
/// How long a write waits for other runs of the tenant: one that begins stores a whole plan in one transaction.
const OTHERS_WAIT: Duration = Duration::from_secs(60);

/// A run being written. Its locks are held until it is dropped.
#[derive(Debug)]
pub struct SqliteRun {
    // First, so that the database is closed before the locks go.
    connection: Connection,
    head_file: HeadFile,
    path: PathBuf,
    key: i64,
    head: Head,
    host: String,
    /// `None` for a simulated run: it acts on nothing.
    acts: Option<RunActs>,
    recent_ids: VecDeque<(BatchId, Vec<String>)>,
    /// Why it refuses everything, once it does.
    ended: Option<String>,
    budget: Budget,
    slots: Slots,
    playbook: Option<PlaybookLock>,
    _lock: Lock,
    /// Held while this process may still send something.
    acting: Option<Lock>,
    /// Nobody else begins or is taken up before the first append: it says what this run will not send, and two that began
    /// at once would otherwise miss each other.
    gate: Option<TenantFolder>,
}

impl SqliteRun {
    /// A run whose every proof is done: from now on, closing the database folds its log in. The gate stays shut until its
    /// first facts are durable.
    pub(super) fn new(
        folder: TenantFolder,
        (lock, acting): (Lock, Lock),
        mut connection: Connection,
        head_file: HeadFile,
        key: i64,
        head: Head,
        acts: Option<RunActs>,
    ) -> Result<Self, StoreError> {
        let path = folder.database();
        let ready = schema::fold_log_on_close(&connection, true).and_then(|()| connection.busy_timeout(OTHERS_WAIT));
        let budget = ready.and_then(|()| Budget::open(&mut connection, &folder.path, key));
        let budget = budget.map_err(|e| from_sqlite("open", &path, e))?;
        Ok(Self {
            connection,
            head_file,
            path,
            key,
            head,
            host: super::folder::this_host(),
            acts,
            recent_ids: VecDeque::new(),
            ended: None,
            budget,
            slots: Slots::new(&folder.path),
            playbook: None,
            _lock: lock,
            acting: Some(acting),
            gate: Some(folder),
        })
    }

    /// Keeps the lock of its playbook as long as its own, and says in it which run this is.
    pub fn keep(&mut self, playbook: PlaybookLock, run: &str) -> Result<(), StoreError> {
        playbook.announce(run)?;
        self.playbook = Some(playbook);
        Ok(())
    }

    /// This process sends nothing of the run: what is in its plan is nobody's any more, and others may begin.
    pub fn sends_nothing(&mut self) {
        self.acting = None;
        self.gate = None;
    }

    /// From now on its calls go before those of runs that do not go first.
    pub fn go_first(&mut self) {
        self.slots.go_first();
    }

    /// The end of the chain: what the next append expects.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Reads this run through a connection of its own.
    pub fn reader(&self) -> Result<RunReader, StoreError> {
        RunReader::open_in(&self.path, self.key)
    }

    /// Its connection, for reading.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Where its database stands.
    pub(super) fn database(&self) -> &Path {
        &self.path
    }

    /// Its number in the database.
    pub(super) fn key(&self) -> i64 {
        self.key
    }

    /// What its items do; `None` for a simulated run.
    pub(super) fn item_keys(&self) -> Option<&ItemKeys> {
        self.acts.as_ref().map(|acts| &acts.keys)
    }

    /// Runs one operation; its failure ends the store.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(why) = &self.ended {
            return Err(StoreError::TakenOver(format!("an earlier failure ended it: {why}")));
        }
        work(self).map_err(|error| {
            self.ended = Some(match schema::fold_log_on_close(&self.connection, false) {
                Ok(()) => error.to_string(),
                Err(also) => format!("{error}; {also}"),
            });
            error
        })
    }

    fn commit(&mut self, facts: &[Fact]) -> Result<Head, StoreError> {
        let mut bodies = Vec::with_capacity(facts.len());
        for fact in facts {
            let body = serde_json::to_string(&fact.what);
            bodies.push(body.map_err(|e| super::folder::io_error("write", &self.path, e))?);
        }
        let committed = self.commit_texts(facts, &bodies).map_err(|e| from_sqlite("write", &self.path, e))?;
        committed.ok_or_else(|| StoreError::TakenOver("another process has written to it".to_owned()))
    }

    /// `None` when the head in the database is not ours.
    fn commit_texts(&mut self, facts: &[Fact], bodies: &[String]) -> rusqlite::Result<Option<Head>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut head = self.head;
        for (index, (fact, body)) in facts.iter().zip(bodies).enumerate() {
            head = head.then(fact.at, body);
            let seq = head.sequence.cast_signed();
            let hash = (index + 1 == facts.len()).then_some(head.hash);
            transaction
                .prepare_cached("INSERT INTO facts(run, seq, at, body, hash) VALUES(?1, ?2, ?3, ?4, ?5)")?
                .execute(params![self.key, seq, fact.at.0.cast_signed(), body, hash])?;
            if let What::Accepted { batch, .. } = fact.what {
                transaction
                    .prepare_cached("INSERT INTO accepted(run, batch, seq) VALUES(?1, ?2, ?3)")?
                    .execute(params![self.key, batch.0, seq])?;
            }
        }
        let sql = "UPDATE heads SET sequence = ?2, hash = ?3, host = ?4 WHERE run = ?1 AND sequence = ?5 AND hash = ?6";
        let (new, old) = (head.sequence.cast_signed(), self.head.sequence.cast_signed());
        let owned = transaction.prepare_cached(sql)?.execute(params![
            self.key,
            new,
            head.hash,
            self.host,
            old,
            self.head.hash
        ])?;
        if owned != 1 {
            return Ok(None);
        }
        if let (Some(acts), false) = (&mut self.acts, facts.is_empty()) {
            acts.put_down(&transaction, self.key, facts)?;
        }
        transaction.commit()?;
        Ok(Some(head))
    }

    fn body(&self, item: ItemId) -> Result<ItemBody, StoreError> {
        let read = || {
            let sql = "SELECT e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id FROM items i \
                       JOIN runs r ON r.run = i.run JOIN events e ON e.id = r.first_event + i.event \
                       WHERE i.run = ?1 AND i.item = ?2";
            let body = |row: &rusqlite::Row<'_>| {
                Ok(ItemBody {
                    agent_id: row.get(0)?,
                    event_id: row.get(1)?,
                    event_type: reader::event_type(row, 2)?,
                    pid: row.get(3)?,
                    unique_id: row.get(4)?,
                })
            };
            self.connection.prepare_cached(sql)?.query_row(params![self.key, item.0], body).optional()
        };
        let found = read().map_err(|e| from_sqlite("read", &self.path, e))?;
        found.ok_or_else(|| damage(&self.path, format!("item {} is missing", item.0)))
    }

    /// The ids that the answer to this batch named, from its fact.
    fn ids_of(&self, batch: BatchId) -> Result<Vec<String>, StoreError> {
        let read = || {
            let sql = "SELECT f.body FROM accepted a JOIN facts f ON f.run = a.run AND f.seq = a.seq \
                       WHERE a.run = ?1 AND a.batch = ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_row(params![self.key, batch.0], |row| row.get::<_, String>(0)).optional()
        };
        let found = read().map_err(|e| from_sqlite("read", &self.path, e))?;
        let body = found.ok_or_else(|| damage(&self.path, format!("the answer to batch {} is missing", batch.0)))?;
        match reader::parse(&self.path, "the answer to a batch", &body)? {
            What::Accepted { batch: named, ids } if named == batch => Ok(ids),
            _ => Err(damage(&self.path, format!("what is kept as the answer to batch {} is none", batch.0))),
        }
    }

    fn keep_ids(&mut self, batch: BatchId, ids: Vec<String>) {
        if self.recent_ids.len() == BATCHES_KEPT {
            self.recent_ids.pop_front();
        }
        self.recent_ids.push_back((batch, ids));
    }

    fn find_id(&mut self, of: RemediationRef) -> Result<String, StoreError> {
        if !self.recent_ids.iter().any(|(batch, _)| *batch == of.batch) {
            let ids = self.ids_of(of.batch)?;
            self.keep_ids(of.batch, ids);
        }
        let ids = self.recent_ids.iter().find(|(batch, _)| *batch == of.batch).map(|(_, ids)| ids);
        let id = ids.and_then(|ids| ids.get(usize::from(of.index))).cloned();
        id.ok_or_else(|| damage(&self.path, format!("the answer to batch {} has no id {}", of.batch.0, of.index)))
    }
}

impl Store for SqliteRun {
    fn append(&mut self, expected: Head, facts: &[Fact]) -> Result<Head, StoreError> {
        self.guarded(|run| {
            if expected != run.head {
                return Err(StoreError::TakenOver("another process has written to it".to_owned()));
            }
            let head = run.commit(facts)?;
            run.head = head;
            // What an act or an end rests on must not vanish unseen; for the rest, a killed process is covered.
            let synced = facts.iter().any(|f| matches!(f.what, What::Submitting { .. } | What::Ended { .. }));
            if !facts.is_empty() {
                run.head_file.write(head, synced)?;
            }
            for fact in facts {
                if let What::Accepted { batch, ids } = &fact.what {
                    run.keep_ids(*batch, ids.clone());
                }
            }
            run.gate = None;
            Ok(head)
        })
    }

    fn reserve(&mut self, ask: &Ask) -> Result<Granted, StoreError> {
        self.guarded(|run| run.budget.reserve(&mut run.connection, &run.path, ask))
    }

    fn slots(&mut self, wish: &Wish) -> Result<u16, StoreError> {
        self.guarded(|run| run.slots.share(wish))
    }

    fn bodies(&mut self, items: &[ItemId]) -> Result<Vec<ItemBody>, StoreError> {
        self.guarded(|run| items.iter().map(|item| run.body(*item)).collect())
    }

    fn remediation_id(&mut self, of: RemediationRef) -> Result<String, StoreError> {
        self.guarded(|run| run.find_id(of))
    }
}
