//! Opening a tenant's journal for writing: its gate, its schema, the proof that no run of it was cut short.
//!
//! An open journal begins one run or takes one up, and becomes it. It never repairs: what does not reach its head file is
//! refused, for whichever run it is, because acts may be missing from the history that later runs rely on.

use super::acts::{self, Replayed, RunActs, Tally, Unanswered};
use super::chain::PlanHash;
use super::folder::{self, TenantFolder, io_error};
use super::head::{self, HeadFile};
use super::list;
use super::migrate;
use super::proof;
use super::reader::{self, RunReader};
use super::schema::{self, damage, from_sqlite};
use super::{Head, SqliteRun, StoreError, budget, lock};
use crate::engine::fact::Moment;
use crate::plan::{Plan, PlanHeader};
use crate::run::RunMeta;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The part of a run's name that comes from the playbook is at most this long.
const STEM_CHARS_MAX: usize = 40;
const NAME_BYTES_MAX: usize = 100;

/// A tenant's journal, with this process alone at its gate. Runs that have begun go on meanwhile.
#[derive(Debug)]
pub struct Journal {
    // First, so that the database is closed before the gate is free.
    connection: Connection,
    folder: TenantFolder,
    state: PathBuf,
    path: PathBuf,
}

/// A run that was taken up again. Its facts, items and rows are read through [`SqliteRun::reader`].
#[derive(Debug)]
pub struct Resumed {
    /// Where its next facts go.
    pub run: SqliteRun,
    /// What is known of it.
    pub meta: RunMeta,
    /// What holds for all its items.
    pub header: PlanHeader,
    /// The end of its chain, which was proven from its beginning.
    pub head: Head,
    /// The machine that wrote last, when it is not this one: the folder may be a copy of one that is still in use.
    pub other_host: Option<String>,
}

impl Journal {
    /// Opens the journal of a tenant, creating what is missing, and stays at its gate until dropped, or until the first
    /// facts of the run that it begins or takes up are durable. It fails when another process stays there for long, when its schema is newer, or when a run in
    /// it does not reach its head file.
    pub fn open(state: &Path, tenant: &str) -> Result<Self, StoreError> {
        let folder = TenantFolder::take(state, tenant)?;
        let path = folder.database();
        let with_head = head::runs_with_head(&folder.path)?;
        if !folder::is_plain_file(&path)? {
            if let Some(run) = with_head.first() {
                return Err(damage(&path, format!("it is gone, but the head of run {run} is there")));
            }
            folder::open_or_create(&path)?;
        }
        let connection = schema::open_for_writing(&path)?;
        let mut journal = Self { state: state.to_owned(), folder, path, connection };
        with_head.iter().try_for_each(|run| journal.check_reaches_head(run))?;
        migrate::to_present(&mut journal.connection, &journal.path, &journal.folder.path)?;
        Ok(journal)
    }

    /// A name for a new run that no run of this state folder has: `contain-0612-7f3`. The same seed gives the same name
    /// as long as it is free.
    pub fn free_run_id(&self, playbook: &str, day: jiff::civil::Date, seed: u64) -> Result<String, StoreError> {
        let taken: HashSet<String> = list::names(&self.state)?.into_iter().collect();
        let stem = format!("{}-{:02}{:02}", stem_of(playbook), day.month(), day.day());
        let mut random = fastrand::Rng::with_seed(seed);
        // Sixteen tries with three digits, sixteen with four, and so on: it ends, however many runs there are.
        let mut names = (3..=15).flat_map(|digits| std::iter::repeat_n(digits, 16)).map(|digits: usize| {
            let number = random.u64(0..1 << (4 * digits));
            format!("{stem}-{number:0digits$x}")
        });
        let free = names.find(|name| !taken.contains(&name.to_ascii_lowercase()));
        free.ok_or_else(|| io_error("name a run in", &self.path, "every name that was tried is taken"))
    }

    /// The moments from which the calls of all runs of the tenant age, oldest first, when it is `now` on the clock of the
    /// run that asks. What live runs have reserved is not among them.
    pub fn spent(&self, now: Moment) -> Result<Vec<Moment>, StoreError> {
        budget::spent(&self.connection, &self.folder.path, &self.path, now)
    }

    /// Begins a run: its plan is durable when this returns. `meta.id` comes from [`Journal::free_run_id`].
    pub fn begin(mut self, meta: &RunMeta, plan: &Plan) -> Result<SqliteRun, StoreError> {
        if !is_run_name(&meta.id) {
            return Err(io_error("begin a run in", &self.path, format!("{:?} cannot be a run's name", meta.id)));
        }
        self.folder.announce(&meta.id)?;
        let lock = lock::take_run(&self.folder.path, &meta.id)?;
        let acting = lock::take_acting(&self.folder.path, &meta.id)?;
        let finished = self.check_what_is_built_upon()?;
        let failed = |e| from_sqlite("write", &self.path, e);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let (key, head) = store_plan(&transaction, meta, plan).map_err(failed)?;
        // Before the run is there: one that is not finished and has no head file has lost it, and perhaps its facts. One
        // that names no fact, of a run that never came to be, says nothing.
        let head_file = HeadFile::create(&self.folder.path, &meta.id, head)?;
        transaction.commit().map_err(failed)?;
        // Finished runs need no head file once a newer run has one: that one shows when the database is replaced by an
        // older copy.
        finished.iter().try_for_each(|run| folder::remove(&head::path_of(&self.folder.path, run)))?;
        let acts = self.acts_of(key, meta, &plan.header, Unanswered::default())?;
        SqliteRun::new(self.folder, (lock, acting), self.connection, head_file, key, head, acts)
    }

    /// Takes up a run by its whole name, unless another process works on it. Its plan and its whole chain of facts are proven first, and that the chain
    /// reaches the head file.
    pub fn resume(self, id: &str) -> Result<Resumed, StoreError> {
        let key = list::key_of(&self.connection, id).map_err(|e| from_sqlite("read", &self.path, e))?;
        let key = key.ok_or_else(|| StoreError::NoRun(format!("run {id:?}")))?;
        self.folder.announce(id)?;
        self.check_what_is_built_upon()?;
        let reader = RunReader::open_in(&self.path, key)?;
        // As it was written when it began: the head file's name depends on it, and the lock's.
        let id = &reader.meta().id;
        let lock = lock::take_run(&self.folder.path, id)?;
        let acting = lock::take_acting(&self.folder.path, id)?;
        reader.verify_plan()?;
        let marked = head::read(&self.folder.path, id)?;
        let mut acts = Replayed::default();
        let head = proof::facts(&reader, &self.folder.path, marked, |fact| {
            acts.hear(&fact);
            Ok(())
        })?;
        let host = self.last_host(key)?;
        // From here on the head file is there again, also for a finished run that gets new facts.
        let head_file = HeadFile::create(&self.folder.path, id, head)?;
        let (meta, header) = (reader.meta().clone(), reader.header().clone());
        drop(reader);
        let acts = self.acts_of(key, &meta, &header, acts.into_unanswered())?;
        let run = SqliteRun::new(self.folder, (lock, acting), self.connection, head_file, key, head, acts)?;
        Ok(Resumed { run, meta, header, head, other_host: (host != folder::this_host()).then_some(host) })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Where the database stands.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the head files stand.
    pub(super) fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// What no chain of facts covers: the structure of the database, the index of acts, and that every run that is not
    /// finished has its head file. Returns the names of the finished ones.
    fn check_what_is_built_upon(&self) -> Result<Vec<String>, StoreError> {
        schema::check_structure(&self.connection, &self.path)?;
        acts::prove(&self.connection, &self.path, |_, _| {})?;
        let mut finished_runs = Vec::new();
        let keys = list::keys(&self.connection).map_err(|e| from_sqlite("read", &self.path, e))?;
        let newest = keys.last().copied();
        for key in keys {
            let summary = list::summary(&self.connection, &self.path, key)?;
            let (id, finished) = (summary.meta.id, summary.ended == Some(true));
            // The newest run keeps its own when it is finished: it shows an older copy of the database.
            let has_head = head::read(&self.folder.path, &id)?.is_some();
            if !has_head && (!finished || newest == Some(key)) {
                return Err(proof::head_gone(&self.folder.path, &id));
            }
            // Who works on a finished run may add facts.
            if finished && !lock::is_live(&self.folder.path, &id)? {
                finished_runs.push(id);
            }
        }
        Ok(finished_runs)
    }

    fn acts_of(
        &self,
        key: i64,
        meta: &RunMeta,
        header: &PlanHeader,
        unanswered: Unanswered,
    ) -> Result<Option<RunActs>, StoreError> {
        if meta.simulated {
            return Ok(None);
        }
        let acts = RunActs::open(&self.connection, key, &header.steps, unanswered);
        acts.map(Some).map_err(|e| from_sqlite("read", &self.path, e))
    }

    /// The quick check of every run with a head file: the database has the very transaction that the file names.
    fn check_reaches_head(&self, run: &str) -> Result<(), StoreError> {
        let Some(marked) = head::read(&self.folder.path, run)? else { return Ok(()) };
        let failed = |e| from_sqlite("read", &self.path, e);
        let Some(key) = list::key_of(&self.connection, run).map_err(failed)? else {
            return match marked.sequence {
                0 => Ok(()),
                _ => Err(damage(&self.path, format!("run {run} is missing, but its head is there"))),
            };
        };
        let there = reader::stored_hash(&self.connection, key, marked.sequence).map_err(failed)?;
        if there == Some(marked.hash) {
            return Ok(());
        }
        let head = reader::stored_head(&self.connection, key).map_err(failed)?;
        Err(proof::not_reached(&self.path, run, head, marked))
    }

    /// The machine that wrote last to a run, when it is not this one.
    pub fn other_host(&self, id: &str) -> Result<Option<String>, StoreError> {
        let key = list::key_of(&self.connection, id).map_err(|e| from_sqlite("read", &self.path, e))?;
        let key = key.ok_or_else(|| StoreError::NoRun(format!("run {id:?}")))?;
        self.last_host(key).map(|host| Some(host).filter(|host| *host != folder::this_host()))
    }

    fn last_host(&self, key: i64) -> Result<String, StoreError> {
        let read = self.connection.query_row("SELECT host FROM heads WHERE run = ?1", [key], |row| row.get(0));
        read.map_err(|e| from_sqlite("read", &self.path, e))
    }
}

/// Stores everything of a plan.
fn store_plan(transaction: &Transaction<'_>, meta: &RunMeta, plan: &Plan) -> rusqlite::Result<(i64, Head)> {
    let to_text = |e| rusqlite::Error::ToSqlConversionFailure(Box::new(e));
    let meta_text = serde_json::to_string(meta).map_err(to_text)?;
    let header_text = serde_json::to_string(&plan.header).map_err(to_text)?;
    let mut hash = PlanHash::new(&meta_text, &header_text);
    let next = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let key = next("SELECT coalesce(max(run), 0) + 1 FROM runs")?;
    let first_event = next("SELECT coalesce(max(id), 0) + 1 FROM events")?;
    store_events(transaction, key, first_event, plan, &mut hash)?;
    store_items(transaction, key, plan, &mut hash)?;
    store_rows_without_item(transaction, key, plan, &mut hash)?;
    let head = hash.finish();
    transaction.execute(
        "INSERT INTO runs(run, id, created, meta, header, first_event, events, items, rows_without_item, seed) \
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            key,
            meta.id,
            meta.created.0.cast_signed(),
            meta_text,
            header_text,
            first_event,
            plan.events.len() as i64,
            plan.items.len() as i64,
            plan.rows_without_item.len() as i64,
            head.hash
        ],
    )?;
    let heads = "INSERT INTO heads(run, sequence, hash, host, acts, acts_sum, sent) VALUES(?1, 0, ?2, ?3, 0, ?4, 0)";
    let no_acts = Tally::default().sealed(key);
    transaction.execute(heads, params![key, head.hash, folder::this_host(), no_acts])?;
    Ok((key, head))
}

fn store_events(
    transaction: &Transaction<'_>,
    key: i64,
    first: i64,
    plan: &Plan,
    hash: &mut PlanHash,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO events(id, run, row, source, line, agent_id, event_id, event_type, pid, unique_id, action, attributes) \
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for (id, event) in (first..).zip(&plan.events) {
        let place = event.place;
        hash.event(event);
        insert.execute(params![
            id,
            key,
            place.row,
            place.source,
            place.line,
            event.agent_id,
            event.event_id,
            event.event_type.as_str(),
            event.pid,
            event.unique_id,
            event.action,
            event.attributes
        ])?;
    }
    Ok(())
}

fn store_items(transaction: &Transaction<'_>, key: i64, plan: &Plan, hash: &mut PlanHash) -> rusqlite::Result<()> {
    let sql = "INSERT INTO items(run, item, event, step, target) VALUES(?1, ?2, ?3, ?4, ?5)";
    let mut insert = transaction.prepare(sql)?;
    for (number, item) in (0i64..).zip(&plan.items) {
        hash.item(item);
        insert.execute(params![key, number, item.event, item.step, item.target])?;
    }
    Ok(())
}

fn store_rows_without_item(
    transaction: &Transaction<'_>,
    key: i64,
    plan: &Plan,
    hash: &mut PlanHash,
) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO rows_without_item(run, n, row, source, line, byte, reason) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut insert = transaction.prepare(sql)?;
    for (n, row) in (0i64..).zip(&plan.rows_without_item) {
        hash.row_without_item(row);
        let byte = row.byte.map(u64::cast_signed);
        insert.execute(params![key, n, row.row, row.source, row.line, byte, row.reason])?;
    }
    Ok(())
}

/// The playbook's name as part of a run's name and of a file's: other characters become `-`.
fn stem_of(playbook: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let stem: String = playbook.chars().map(plain).take(STEM_CHARS_MAX).collect();
    let stem = stem.trim_matches(['-', '_']);
    if stem.is_empty() { "run".to_owned() } else { stem.to_owned() }
}

pub(super) fn is_run_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}
