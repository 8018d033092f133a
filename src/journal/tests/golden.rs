//! Journals as they were released, kept as texts: what stands in them is read for ever.

use super::history::{every_way, plain_plan};
use super::*;
use crate::commands::standing::Standing;
use crate::engine::Engine;
use crate::engine::fact::{Before, Finding, StopReason};
use crate::engine::items::ItemShape;
use crate::report::{Folded, Folding};
use rusqlite::Connection;
use std::fs;
use std::path::PathBuf;

/// With this variable set to a folder, the journal of today's schema is written there, to be kept here with
/// `sqlite3 journal.sqlite .dump` and the two pragmas at its end.
const WRITE_TO: &str = "QUELL_TEST_GOLDEN";

const SCHEMA_1: &str = include_str!("schema_1.sql");
const SCHEMA_2: &str = include_str!("schema_2.sql");

/// Every kind of fact, with every field, as an engine takes them.
fn every_fact() -> Vec<Vec<Fact>> {
    let of = |index| RemediationRef { batch: BatchId(1), index };
    let (by, reason) = (Some("nina".to_owned()), "seen in the console".to_owned());
    let items = |items: &[u32]| items.iter().copied().map(ItemId).collect::<Vec<_>>();
    let found = What::Resolved {
        items: items(&[4]),
        finding: Finding::Succeeded,
        note: String::new(),
        by: by.clone(),
        remediation: Some("RM-4".to_owned()),
        status: Some("Success".to_owned()),
    };
    let why = [
        StopReason::Signal,
        StopReason::SignalAgain,
        StopReason::Unreachable,
        StopReason::WrongPlace,
        StopReason::SignIn,
        StopReason::Unanswered,
        StopReason::Held,
    ];
    let mut facts = every_way();
    facts.extend([
        vec![at(20, What::Held { step: 1 }), at(21, What::Released { step: 1 })],
        vec![at(22, What::Stopping { why: StopReason::Held }), at(23, What::Ended { complete: false })],
        vec![at(24, What::Resumed { by: by.clone(), only_polls: true }), at(24, What::Ended { complete: false })],
        vec![at(25, What::Resumed { by: None, only_polls: false })],
        vec![
            at(26, What::Permitted { items: items(&[12]), by: by.clone(), reason: reason.clone() }),
            at(26, What::Continued { by: by.clone(), reason }),
            at(
                26,
                What::DoneBefore { items: items(&[12]), run: "contain-0612-7f3".to_owned(), became: Before::Planned },
            ),
        ],
        vec![at(27, found)],
        vec![at(28, What::Seen { of: of(8), status: "In Progress".to_owned() })],
        vec![at(29, What::Paired { of: of(8), item: ItemId(8), by: PairedBy::Agent })],
        vec![at(30, What::Barred { target: 13, step: 0 }), at(31, What::Tallied { gets: 7, throttled: 1 })],
        why.map(|why| at(32, What::Stopping { why })).to_vec(),
    ]);
    facts
}

fn tenant(state: &Path) -> PathBuf {
    state.join(TENANT)
}

/// A state folder with the journal of this text.
fn golden(text: &str, heads: &[(&str, &[u8])]) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    drop(Journal::open(state.path(), TENANT).unwrap());
    let database = tenant(state.path()).join("journal.sqlite");
    fs::remove_file(&database).unwrap();
    Connection::open(&database).unwrap().execute_batch(text).unwrap();
    heads
        .iter()
        .for_each(|(run, head)| fs::write(tenant(state.path()).join(run).with_extension("head"), head).unwrap());
    state
}

pub(super) fn schema_1() -> tempfile::TempDir {
    golden(SCHEMA_1, &[("contain-0612-7f3", include_bytes!("schema_1.head"))])
}

fn schema_2() -> tempfile::TempDir {
    let every = include_bytes!("schema_2_every.head");
    golden(SCHEMA_2, &[("contain-0612-7f3", include_bytes!("schema_2.head")), ("every-0613-001", every)])
}

fn schema_of(state: &Path) -> u32 {
    let database = Connection::open(tenant(state).join("journal.sqlite")).unwrap();
    database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// What all reports of a run are made of.
fn folded(state: &Path, run: &str) -> Folded {
    let reader = RunReader::open(state, Some(run)).unwrap();
    let mut folding = Folding::new(reader.header(), reader.item_steps_and_targets().unwrap().into_iter()).unwrap();
    facts_of(&reader).unwrap().into_iter().for_each(|fact| folding.add(fact).unwrap());
    folding.finish(reader.header())
}

fn report(state: &Path, run: &str) -> String {
    let standing = Standing::read(state, Some(run)).unwrap();
    let to = state.join("report.json");
    standing.write_file(&crate::playbook::ReportFormat::Json, &to).unwrap();
    fs::read_to_string(to).unwrap()
}

#[test]
fn a_journal_of_schema_1_is_read_as_it_is_and_becomes_todays_when_it_is_written() {
    let (old, new) = (schema_1(), schema_2());
    let said = folded(old.path(), "contain-0612-7f3");
    assert_eq!(said, folded(new.path(), "contain-0612-7f3"));
    assert_eq!(runs(old.path()).unwrap().runs[0], runs(new.path()).unwrap().runs[0]);
    assert_eq!((schema_of(old.path()), schema_of(new.path())), (1, 2), "readers write nothing");
    for state in [old, new] {
        let resumed = resume(state.path(), Some("contain-0612-7f3")).unwrap();
        let reader = resumed.run.reader().unwrap();
        assert_eq!(facts_of(&reader).unwrap(), flat(&history()));
        assert_eq!((resumed.meta, &resumed.header.digest), (meta("contain-0612-7f3", 1), &header(12).digest));
        assert_eq!(reader.rows_without_item().unwrap(), plan(12).rows_without_item);
        assert_eq!(schema_of(state.path()), 2);
        drop(resumed.run);
        assert_eq!(said, folded(state.path(), "contain-0612-7f3"));
    }
}

#[test]
fn every_kind_of_fact_is_read_back_and_taken_by_an_engine() {
    let state = schema_2();
    let resumed = resume(state.path(), Some("every-0613-001")).unwrap();
    let reader = resumed.run.reader().unwrap();
    let facts = facts_of(&reader).unwrap();
    assert_eq!(facts, flat(&every_fact()));
    let shape = |e: &Event, i: &PlannedItem| ItemShape::new(i.step, i.target, e.event_type, &e.agent_id, &e.unique_id);
    let plan = plain_plan(0..14, 1);
    let shapes: Vec<_> = plan.items.iter().map(|i| shape(&plan.events[i.event as usize], i)).collect();
    let mut engine = Engine::new("every-0613-001", &resumed.header, shapes.into_iter(), []);
    let refused: Vec<_> = facts.iter().filter(|fact| engine.apply(fact).is_err()).map(|fact| &fact.what).collect();
    // Written by hand: it bars a target of which no step failed, which no run does.
    assert_eq!(refused, [&What::Barred { target: 13, step: 0 }]);
    assert!(report(state.path(), "every").contains("nina"));
}

#[test]
fn the_schema_is_the_one_that_was_released() {
    let state = written(&history());
    let database = Connection::open(tenant(state.path()).join("journal.sqlite")).unwrap();
    let mut statement = database.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").unwrap();
    let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in tables {
        assert!(SCHEMA_2.contains(&table), "not in schema 2: {table}");
    }
}

#[test]
fn todays_journal_is_written_where_it_is_asked_for() {
    let state = written(&history());
    let every = RunMeta {
        operator: Some("nina".to_owned()),
        retry_of: Some("contain-0612-7f3".to_owned()),
        ..meta("every-0613-001", 2)
    };
    let mut run = Journal::open(state.path(), TENANT).unwrap().begin(&every, &plain_plan(0..14, 1)).unwrap();
    append_all(&mut run, &every_fact());
    drop(run);
    if let Some(to) = std::env::var_os(WRITE_TO) {
        for name in ["journal.sqlite", "contain-0612-7f3.head", "every-0613-001.head"] {
            fs::copy(tenant(state.path()).join(name), Path::new(&to).join(name)).unwrap();
        }
    }
    // What would be kept is what is kept, but for the machine and for what older versions left out of a header.
    let said = |state: &Path| report(state, "every-0613-001");
    assert_eq!(said(state.path()), said(schema_2().path()));
}
