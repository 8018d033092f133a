//! The database's schema, its version, and how a connection is set up; SQLite's errors in our words.
//!
//! Version 1 has no index of acts. It stays readable as it is; opening it for writing makes it version 2. A database of a
//! newer schema is refused as it stands.

use super::StoreError;
use super::folder;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, ffi};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// The schema that this quell writes.
pub(super) const SCHEMA: u32 = 2;
/// `quel` in ASCII: tells a journal from any other SQLite file.
const APPLICATION_ID: u32 = 0x7175_656c;
/// How long a connection waits for another one while it opens or reads. A run that writes waits longer.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// The log is cut back to this size after it was folded into the database.
const LOG_BYTES_KEPT: u32 = 16 << 20;

/// Plain integers and texts, no extensions, so that any `sqlite3` since 3.31 reads it. `events` and `items` are the bulk:
/// an event is found by `runs.first_event` plus its number, which saves an index.
const TABLES_1: &str = "
CREATE TABLE runs(
  run INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE COLLATE NOCASE, created INTEGER NOT NULL,
  meta TEXT NOT NULL, header TEXT NOT NULL,
  first_event INTEGER NOT NULL, events INTEGER NOT NULL, items INTEGER NOT NULL, rows_without_item INTEGER NOT NULL,
  seed BLOB NOT NULL);
CREATE TABLE events(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, row INTEGER NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL,
  agent_id TEXT NOT NULL, event_id TEXT NOT NULL, event_type TEXT NOT NULL, pid INTEGER NOT NULL,
  unique_id TEXT NOT NULL, action TEXT, attributes TEXT NOT NULL);
CREATE TABLE items(
  run INTEGER NOT NULL, item INTEGER NOT NULL, event INTEGER NOT NULL, step INTEGER NOT NULL, target INTEGER NOT NULL,
  PRIMARY KEY(run, item)) WITHOUT ROWID;
CREATE TABLE rows_without_item(
  run INTEGER NOT NULL, n INTEGER NOT NULL, row INTEGER NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL,
  byte INTEGER, reason TEXT NOT NULL, PRIMARY KEY(run, n)) WITHOUT ROWID;
CREATE TABLE facts(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB,
  kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.fact')) VIRTUAL,
  PRIMARY KEY(run, seq)) WITHOUT ROWID;
CREATE TABLE heads(
  run INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL, host TEXT NOT NULL);
CREATE TABLE accepted(
  run INTEGER NOT NULL, batch INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(run, batch)) WITHOUT ROWID;
CREATE TABLE budget(at INTEGER NOT NULL, calls INTEGER NOT NULL, run INTEGER NOT NULL);
CREATE INDEX budget_by_time ON budget(at);
CREATE VIEW timeline AS
  SELECT r.id AS run, f.seq, strftime('%Y-%m-%dT%H:%M:%fZ', f.at / 1000.0, 'unixepoch') AS at, f.kind, f.body
  FROM facts f JOIN runs r ON r.run = f.run;
CREATE VIEW item_events AS
  SELECT r.id AS run, i.item, json_extract(r.header, '$.steps[' || i.step || '].name') AS step, i.target,
    e.row, e.source, e.line, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id, e.action, e.attributes
  FROM items i JOIN runs r ON r.run = i.run JOIN events e ON e.id = r.first_event + i.event;
";

/// What version 2 adds. New databases are made of both texts in turn, so that they are those that were migrated. Calls
/// were reserved in blocks without an account: each may have been spent until the next one, and for as long as a call
/// takes, an hour at most.
const TABLES_2: &str = "
CREATE TABLE acts(
  run INTEGER NOT NULL, item INTEGER NOT NULL, key BLOB NOT NULL, state INTEGER NOT NULL, sent INTEGER NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY(run, item)) WITHOUT ROWID;
ALTER TABLE heads ADD COLUMN acts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heads ADD COLUMN acts_sum BLOB NOT NULL DEFAULT x'';
ALTER TABLE heads ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
CREATE TABLE spent(at INTEGER NOT NULL, calls INTEGER NOT NULL, run INTEGER NOT NULL);
CREATE INDEX spent_by_time ON spent(at);
CREATE TABLE reserved(run INTEGER PRIMARY KEY, calls INTEGER NOT NULL);
CREATE TABLE budget_clock(boot TEXT NOT NULL, zero INTEGER NOT NULL);
INSERT INTO spent(at, calls, run)
  SELECT coalesce(min(n.now, lead(b.at) OVER (ORDER BY b.at, b.rowid) + 3600000), n.now), b.calls, b.run
  FROM budget b, (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now) n;
DROP TABLE budget;
CREATE VIEW act_items AS
  SELECT r.id AS run, a.item, CASE a.state WHEN 1 THEN 'open' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'carried_out'
    WHEN 4 THEN 'still_queued' WHEN 5 THEN 'timed_out' WHEN 6 THEN 'unknown' WHEN 7 THEN 'unmatched' END AS state,
    a.sent, strftime('%Y-%m-%dT%H:%M:%fZ', a.at / 1000.0, 'unixepoch') AS at,
    lower(hex(a.key)) AS key, json_extract(r.header, '$.steps[' || i.step || '].action.name') AS action,
    e.row, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id
  FROM acts a JOIN runs r ON r.run = a.run JOIN items i ON i.run = a.run AND i.item = a.item
    JOIN events e ON e.id = r.first_event + i.event;
";

/// Opens the database for its one writer; an empty file becomes a journal. Closing it leaves the log as it is until
/// [`fold_log_on_close`] says otherwise: once it is proven that nothing of the log was dropped.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    refuse_links(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = |e| from_sqlite("open", path, e);
    // Folding removes the log, and with it whatever stands in it behind a damage.
    fold_log_on_close(&connection, false).map_err(failed)?;
    match version(&connection, path)? {
        None => create(&connection).map_err(failed)?,
        Some(version) => check_texts(&connection, path, version)?,
    }
    keep_log(&connection, path)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.pragma_update(None, "fullfsync", true).map_err(failed)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true).map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(failed)?;
    Ok(connection)
}

/// Puts a new database into the mode in which it is written. The answer comes before that is durable: only the end of the
/// statement says whether it is.
fn keep_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let change = || {
        let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
        let (mut rows, mut mode) = (statement.query([])?, String::new());
        while let Some(row) = rows.next()? {
            mode = row.get(0)?;
        }
        Ok(mode)
    };
    let mode = change().map_err(|e| from_sqlite("open", path, e))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(folder::io_error("write", path, format!("its journal mode stays {mode:?}")))
}

/// Opens the database beside its writer. `None` when it was never finished: it holds no run.
pub(super) fn open_for_reading(path: &Path) -> Result<Option<Connection>, StoreError> {
    refuse_links(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    if was_cut_off_while_made(&connection) {
        return Ok(None);
    }
    Ok(version(&connection, path)?.is_some().then_some(connection))
}

/// Whether whoever made the database died over it: only then is there a journal to roll back, which a reader cannot do and
/// the next writer does.
fn was_cut_off_while_made(connection: &Connection) -> bool {
    let look = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    matches!(look, Err(rusqlite::Error::SqliteFailure(e, _)) if e.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

/// Looks for structural damage that no hash covers: in free pages and indexes, which the next write would build upon.
pub(super) fn check_structure(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| from_sqlite("read", path, e))?;
    if found == "ok" { Ok(()) } else { Err(damage(path, found.replace('\n', " "))) }
}

/// Whether closing the connection folds the log into the database.
pub(super) fn fold_log_on_close(connection: &Connection, fold: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !fold).map(drop)
}

/// SQLite's error in our words: what cannot be right in an undamaged file is damage, all else is the system's.
pub(super) fn from_sqlite(doing: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::Error;
    let damaged = match &error {
        Error::SqliteFailure(e, _) => matches!(e.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows => true,
        _ => false,
    };
    let cause = match &error {
        Error::QueryReturnedNoRows => "a row is missing".to_owned(),
        Error::SqliteFailure(e, _) if e.code == ErrorCode::DiskFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    if damaged { damage(path, cause) } else { folder::io_error(doing, path, cause) }
}

/// A damage that was found in this file.
pub(super) fn damage(path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Damaged { path: path.display().to_string(), what: what.into() }
}

fn refuse_links(path: &Path) -> Result<(), StoreError> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        folder::is_plain_file(Path::new(&name))?;
    }
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(connection)
    };
    open().map_err(|e| from_sqlite("open", path, e))
}

/// The schema of a journal that we can read; `None` when it is empty.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<Option<u32>, StoreError> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let look = || {
        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((number("application_id")?, number("user_version")?, tables))
    };
    match look().map_err(|e| from_sqlite("read", path, e))? {
        (APPLICATION_ID, found @ 1..=SCHEMA, _) => Ok(Some(found)),
        (APPLICATION_ID, found, _) if found > SCHEMA => {
            Err(StoreError::Newer { path: path.display().to_string(), found, known: SCHEMA })
        }
        (0, 0, 0) => Ok(None),
        _ => Err(damage(path, "it is not a journal of quell")),
    }
}

/// Proves that tables and views are those of its version, to the letter: a changed word in them could change what a row
/// means. What others added to it is their own.
pub(super) fn check_texts(connection: &Connection, path: &Path, version: u32) -> Result<(), StoreError> {
    // Making it takes longer than all else that opening does, and it is always the same.
    static RELEASED: [OnceLock<Texts>; SCHEMA as usize] = [const { OnceLock::new() }; SCHEMA as usize];
    let failed = |e| from_sqlite("read", path, e);
    let place = &RELEASED[version as usize - 1];
    let released = match place.get() {
        Some(released) => released,
        None => place.get_or_init({
            let released = released_texts(version).map_err(failed)?;
            || released
        }),
    };
    let found = texts(connection).map_err(failed)?;
    match released.iter().find(|text| !found.contains(text)) {
        None => Ok(()),
        Some([_, name, ..]) => {
            let name = name.as_deref().unwrap_or_default();
            Err(damage(path, format!("{name} is not as schema {version} has it")))
        }
    }
}

/// Of each table, index and view: its kind, its name, its table, how it was made.
type Texts = Vec<[Option<String>; 4]>;

fn texts(connection: &Connection) -> rusqlite::Result<Texts> {
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    let read = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn released_texts(version: u32) -> rusqlite::Result<Texts> {
    let memory = Connection::open_in_memory()?;
    memory.execute_batch(TABLES_1)?;
    if version > 1 {
        memory.execute_batch(TABLES_2)?;
    }
    texts(&memory)
}

/// What version 2 has and version 1 has not; the rows of the index are not among it.
pub(super) fn add_acts(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES_2)?;
    transaction.pragma_update(None, "user_version", SCHEMA)
}

/// The schema is in the file itself, not in the log, before the first run is: its version can always be read.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES_1)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    add_acts(&transaction)?;
    transaction.commit()
}
