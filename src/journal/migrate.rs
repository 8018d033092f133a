//! Making a journal of an older schema one of today's, when it is opened for writing.
//!
//! Only what is proven is built upon: plan and chain of every run first, and that each reaches its head file. It is one
//! transaction, so that there is never half of it: the index follows from the facts, and the calls of the budget move.
//! Readers need none of it.

use super::acts::{self, Act, Became, Replayed, Tally};
use super::head::{self, HeadFile};
use super::keys::ItemKeys;
use super::reader::{self, RunReader};
use super::schema::{self, from_sqlite};
use super::{StoreError, list, proof};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::path::Path;

/// Brings the database to today's schema; `folder` holds the head files.
pub(super) fn to_present(connection: &mut Connection, path: &Path, folder: &Path) -> Result<(), StoreError> {
    let failed = |e| from_sqlite("write", path, e);
    if schema::version(connection, path)? != Some(1) {
        return Ok(());
    }
    schema::check_structure(connection, path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Whoever held the database until now may have done it.
    if schema::version(&transaction, path)? != Some(1) {
        return Ok(());
    }
    schema::add_acts(&transaction).map_err(failed)?;
    for run in list::keys(&transaction).map_err(failed)? {
        let reader = RunReader::open_in(path, run)?;
        reader.verify_plan()?;
        let id = &reader.meta().id;
        let mut marked = head::read(folder, id)?;
        if marked.is_none() && reader::stored_head(&transaction, run).map_err(failed)? == reader.seed() {
            // A crash right after a run began left no head file, then.
            HeadFile::create(folder, id, reader.seed())?;
            marked = Some(reader.seed());
        }
        let mut replayed = Replayed::default();
        proof::facts(&reader, folder, marked, |fact| {
            replayed.hear(&fact);
            Ok(())
        })?;
        index(&transaction, run, &reader, &replayed).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// The rows that the run's facts leave. What is known of the order over all runs is when each act was sent.
fn index(transaction: &Transaction<'_>, run: i64, reader: &RunReader, replayed: &Replayed) -> rusqlite::Result<()> {
    let keys = ItemKeys::of_run(transaction, run, &reader.header().steps)?;
    let mut tally = Tally::default();
    let simulated = reader.meta().simulated;
    for (item, left) in replayed.acts.iter().filter(|_| !simulated) {
        let (key, sent) = (keys.of_item(transaction, *item)?, left.sent_at.0.cast_signed());
        let act = Act { item: *item, key, became: Became(left.became), sent, at: left.at };
        acts::store(transaction, run, &act)?;
        tally.add(run, &act);
    }
    let sql = "UPDATE heads SET acts = ?2, acts_sum = ?3, sent = ?4 WHERE run = ?1";
    transaction.execute(sql, params![run, tally.rows, tally.sealed(run), tally.sent]).map(drop)
}
