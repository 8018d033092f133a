//! The index of acts says what the facts say, or it is refused; who asks without writing is answered by it too.

use super::history::{became, begin_with, every_way, plain_plan};
use super::*;
use crate::engine::fact::{Before, Finding};
use rusqlite::Connection;
use std::time::Duration;

fn database(state: &Path) -> Connection {
    Connection::open(state.join(TENANT).join("journal.sqlite")).unwrap()
}

/// A finished run `first` in which items ended in every way, and a run `second` that goes on.
fn two_runs() -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    append_all(&mut begin_with(state.path(), "first", &plain_plan(0..14, 1)), &every_way());
    let mut second = begin_with(state.path(), "second", &plain_plan(14..20, 1));
    append_all(&mut second, &[vec![at(1, What::Started)], vec![at(2, submitting(1, 0..4))]]);
    state
}

#[test]
fn a_changed_index_is_refused_to_whoever_would_rely_on_it() {
    let of_run = |run: &str| format!("the rows of run {run} in the index of acts are not those that it wrote");
    let (first, second) = (of_run("first"), of_run("second"));
    for (sql, expected) in [
        ("UPDATE acts SET state = 2 WHERE run = 1 AND item = 4", first.as_str()),
        (
            "UPDATE acts SET state = 9 WHERE run = 1 AND item = 4",
            "Conversion error from type Integer at index: 2, no act is in state 9",
        ),
        ("UPDATE acts SET at = at + 1 WHERE run = 1 AND item = 0", &first),
        ("UPDATE acts SET sent = sent + 1 WHERE run = 2 AND item = 1", &second),
        ("UPDATE acts SET item = 100 WHERE run = 1 AND item = 0", &first),
        ("UPDATE acts SET run = 2 WHERE run = 1 AND item = 9", &first),
        (
            "UPDATE acts SET run = 3 WHERE run = 1 AND item = 9",
            "the index of acts has a row of run 3, which is not there",
        ),
        ("UPDATE acts SET key = zeroblob(16) WHERE run = 1 AND item = 4", &first),
        (
            "UPDATE acts SET key = zeroblob(15) WHERE run = 1 AND item = 4",
            "Conversion error from type Blob at index: 1, Cannot read 16 byte value out of 15 byte blob",
        ),
        ("UPDATE acts SET key = (SELECT key FROM acts WHERE run = 1 AND item = 5) WHERE run = 1 AND item = 4", &first),
        ("DELETE FROM acts WHERE run = 1 AND item = 11", &first),
        ("DELETE FROM acts", &first),
        ("DELETE FROM acts; UPDATE heads SET acts = 0", &first),
        ("INSERT INTO acts VALUES(1, 13, zeroblob(16), 6, 1, 1)", &first),
        ("UPDATE heads SET acts = acts + 1 WHERE run = 1", &first),
        ("UPDATE heads SET sent = 0 WHERE run = 1", &first),
        ("UPDATE heads SET acts_sum = zeroblob(16) WHERE run = 2", &second),
        ("UPDATE heads SET acts_sum = (SELECT acts_sum FROM heads WHERE run = 1) WHERE run = 2", &second),
        ("DELETE FROM heads WHERE run = 1", "a run has no head, or a head has no run"),
        ("DELETE FROM runs WHERE run = 1", "run first is missing, but its head is there"),
        (
            "INSERT INTO heads SELECT 9, sequence, hash, host, acts, acts_sum, sent FROM heads WHERE run = 1",
            "a run has no head, or a head has no run",
        ),
        ("UPDATE runs SET id = 'FIRST' WHERE run = 1", "run first is listed as FIRST"),
        ("DROP VIEW act_items", "act_items is not as schema 2 has it"),
        ("ALTER TABLE acts ADD COLUMN more", "acts is not as schema 2 has it"),
    ] {
        let state = two_runs();
        database(state.path()).execute_batch(sql).unwrap();
        let before = std::fs::read(state.path().join(TENANT).join("journal.sqlite")).unwrap();
        let begun = Journal::open(state.path(), TENANT).and_then(|j| j.begin(&meta("third", 3), &plain_plan(0..14, 1)));
        let expected = format!("the journal STATE/prod-eu/journal.sqlite is damaged: {expected}");
        assert_eq!(text(begun, state.path()), expected, "begin: {sql}");
        assert_eq!(text(resume(state.path(), Some("second")), state.path()), expected, "resume: {sql}");
        assert_eq!(text(verify(state.path(), Some("second")), state.path()), expected, "verify: {sql}");
        let after = std::fs::read(state.path().join(TENANT).join("journal.sqlite")).unwrap();
        assert!(before == after, "what is refused is left as it is: {sql}");
    }
}

#[test]
fn a_row_that_is_changed_while_a_run_goes_on_is_found_before_it_is_relied_on() {
    let state = two_runs();
    let third = begin_with(state.path(), "third", &plain_plan(0..14, 1));
    database(state.path()).execute_batch("UPDATE acts SET state = 2, at = 0 WHERE run = 1 AND item = 4").unwrap();
    let told = third.done_before((0..14).map(ItemId), at_any_time(Duration::ZERO));
    assert!(
        text(told, state.path()).ends_with("the rows of run first in the index of acts are not those that it wrote")
    );
}

#[test]
fn verify_says_what_it_checked_and_finds_what_the_sums_do_not() {
    let state = two_runs();
    let checked = |run: &str| {
        let found = verify(state.path(), Some(run)).unwrap();
        (found.meta.id, found.schema, found.events, found.items, found.head.sequence, found.head_file, found.acts)
    };
    assert_eq!(checked("first"), ("first".to_owned(), 2, 14, 14, 20, Some(20), Some(9)));
    assert_eq!(checked("second"), ("second".to_owned(), 2, 6, 6, 2, Some(2), Some(4)));
    assert_eq!(verify(state.path(), None).unwrap().acts_of_all_runs, Some(13));
    assert_eq!(
        text(verify(state.path(), Some("none")), state.path()),
        r#"there is no run "none" in this state folder"#
    );

    // Facts and sums that fit, and rows that are not those of the facts: no accident, but a bug or a hand.
    let mut run = resume(state.path(), Some("second")).unwrap().run;
    run.append(run.head(), &[at(9, became(0, Settled::Failed)), at(9, became(1, Settled::Failed))]).unwrap();
    drop(run);
    let damaged = |hurt: &dyn Fn(&mut Vec<acts::Act>)| {
        let copied = copy(state.path());
        rewrite(copied.path(), 2, hurt);
        let said = text(verify(copied.path(), Some("second")), copied.path());
        said.strip_prefix("the journal STATE/prod-eu/journal.sqlite is damaged: ").unwrap_or(&said).to_owned()
    };
    let of = "of run second in the index of acts";
    assert_eq!(damaged(&|_| {}), "no error");
    assert_eq!(damaged(&|acts| acts.truncate(1)), format!("there is no item 3 {of}"));
    assert_eq!(damaged(&|acts| acts[0].item = ItemId(0)), format!("no fact leaves item 0 {of}"));
    let otherwise = |item: u32| format!("the facts say otherwise about item {item} {of}");
    assert_eq!(damaged(&|acts| acts[0].became = acts::Became(Before::Succeeded)), otherwise(2));
    assert_eq!(damaged(&|acts| acts[1].at = Moment(0)), otherwise(3));
    assert_eq!(damaged(&|acts| acts[1].key = acts[0].key), otherwise(3));
}

#[test]
fn the_order_of_sending_is_that_of_the_facts() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin_with(state.path(), "second", &plain_plan(0..4, 1));
    append_all(&mut run, &[vec![at(1, submitting(1, 0..2)), at(2, submitting(2, 2..4))]]);
    drop(run);
    assert_eq!(text(verify(state.path(), None), state.path()), "no error");
    rewrite(state.path(), 1, &|acts| acts[3].sent = 0);
    let said = text(verify(state.path(), None), state.path());
    assert!(
        said.ends_with("the items were sent in another order than those of run second in the index of acts"),
        "{said}"
    );
}

/// Changes a run's rows and makes its sum fit them.
fn rewrite(state: &Path, run: i64, hurt: &dyn Fn(&mut Vec<acts::Act>)) {
    let mut database = database(state);
    let mut rows = Vec::new();
    acts::prove(&database, Path::new("x"), |of, act| rows.extend((of == run).then_some(*act))).unwrap();
    let sent = rows.iter().map(|act| act.sent).max().unwrap();
    hurt(&mut rows);
    let transaction = database.transaction().unwrap();
    transaction.execute("DELETE FROM acts WHERE run = ?1", [run]).unwrap();
    let mut tally = acts::Tally::default();
    tally.sent = sent;
    for act in &rows {
        acts::store(&transaction, run, act).unwrap();
        tally.add(run, act);
    }
    let sums = rusqlite::params![run, tally.rows, tally.sealed(run), tally.sent];
    transaction.execute("UPDATE heads SET acts = ?2, acts_sum = ?3, sent = ?4 WHERE run = ?1", sums).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_run_is_proven_while_it_is_written() {
    let state = two_runs();
    let run = resume(state.path(), Some("second")).unwrap().run;
    let (mut run, state) = (run, state.path().to_owned());
    let writer = std::thread::spawn(move || {
        for batch in 2..40 {
            let lost = What::Unanswered { batch: BatchId(batch - 1), message: String::new(), lost: false };
            run.append(run.head(), &[at(20, lost), at(20, submitting(batch, 4..6))]).unwrap();
        }
    });
    let mut proven = 0;
    while !writer.is_finished() || proven == 0 {
        verify(&state, Some("second")).unwrap();
        proven += 1;
    }
    writer.join().unwrap();
    assert_eq!(verify(&state, Some("second")).unwrap().head.sequence, 2 + 38 * 2);
}

#[test]
fn runs_with_unresolved_acts_are_listed_with_their_counts() {
    let state = two_runs();
    let listed = |state: &Path| -> Vec<(String, Vec<(Before, u64)>)> {
        let unresolved = unresolved(state).unwrap();
        assert!(unresolved.unreadable.is_empty());
        unresolved.runs.into_iter().map(|run| (run.meta.id, run.acts.into_iter().collect())).collect()
    };
    use Before::{Open, StillQueued, TimedOut, Unknown, Unmatched};
    let first = ("first".to_owned(), vec![(Open, 2), (StillQueued, 1), (TimedOut, 1), (Unknown, 2), (Unmatched, 1)]);
    let second = ("second".to_owned(), vec![(Open, 4)]);
    assert_eq!(listed(state.path()), [first.clone(), second.clone()]);
    // The facts of a simulated run answer for it: it has no rows.
    let played = RunMeta { simulated: true, ..meta("played", 9) };
    let journal = Journal::open(state.path(), TENANT).unwrap();
    append_all(&mut journal.begin(&played, &plain_plan(0..14, 1)).unwrap(), &every_way());
    assert_eq!(listed(state.path()), [first.clone(), second, ("played".to_owned(), first.1)]);
    // What was found out is resolved, whatever was found.
    let mut run = resume(state.path(), Some("second")).unwrap().run;
    let resolved = |items: &[u32], finding| What::Resolved {
        items: items.iter().copied().map(ItemId).collect(),
        finding,
        note: String::new(),
        by: None,
        remediation: None,
        status: None,
    };
    let unknown = What::Unanswered { batch: BatchId(1), message: String::new(), lost: true };
    run.append(run.head(), &[at(8, unknown), at(9, resolved(&[0, 1], Finding::CarriedOut))]).unwrap();
    run.append(run.head(), &[at(9, resolved(&[2, 3], Finding::NotCarriedOut))]).unwrap();
    drop(run);
    let names: Vec<_> = listed(state.path()).into_iter().map(|(run, _)| run).collect();
    assert_eq!(names, ["first", "played"]);
    database(state.path()).execute_batch("UPDATE acts SET at = 1 WHERE run = 1").unwrap();
    assert!(text(unresolved(state.path()), state.path()).contains("the rows of run first in the index of acts"));
    assert!(unresolved(&state.path().join("nothing-here")).unwrap().runs.is_empty());
}

/// What this thread computed, as Linux counts it; elsewhere nothing.
fn cpu_time() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(said.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default())
}

/// A million items against a million acts of an earlier run. By default a hundredth of it; with this variable set, so
/// many.
const ITEMS: &str = "QUELL_TEST_HISTORY_ITEMS";

#[test]
fn the_past_of_many_items_is_found_in_one_pass() {
    let items: u32 = std::env::var(ITEMS).map_or(10_000, |items| items.parse().unwrap());
    let state = tempfile::tempdir().unwrap();
    let plan = plain_plan(0..items, 1);
    let mut first = begin_with(state.path(), "first", &plan);
    first.append(first.head(), &[at(1, submitting(1, 0..items))]).unwrap();
    drop(first);
    let (start, wall) = (cpu_time(), std::time::Instant::now());
    let second = begin_with(state.path(), "second", &plan);
    let begun = (cpu_time() - start, wall.elapsed());
    let (start, wall) = (cpu_time(), std::time::Instant::now());
    acts::prove(second.connection(), second.database(), |_, _| {}).unwrap();
    let proven = (cpu_time() - start, wall.elapsed());
    let (start, wall) = (cpu_time(), std::time::Instant::now());
    let told = second.done_before((0..items).map(ItemId), at_any_time(Duration::ZERO)).unwrap();
    let found = (cpu_time() - start, wall.elapsed());
    println!(
        "{items} items (CPU, wall): begun in {begun:?}, index proven in {proven:?}, their past found in {found:?}"
    );
    assert_eq!(told.iter().map(|told| told.items.len()).sum::<usize>(), items as usize);
    assert_eq!(told.len() as u32, items.div_ceil(1000));
}
