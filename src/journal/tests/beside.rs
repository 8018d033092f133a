//! Runs beside each other: who may begin, who is there, and what is left of the tenant's window for each.

use super::*;
use crate::engine::Ask;
use std::process::Command;
use std::time::Duration;

/// With this variable set, the first test below is the other process.
const OTHER_PROCESS: &str = "QUELL_TEST_JOURNAL_STATE";
const HOUR: u64 = 3_600_000;

/// What opening the journal says when it is not waited for.
fn at_the_gate(state: &Path) -> String {
    text(folder::TenantFolder::take_within(state, TENANT, Duration::from_millis(60)), state)
}

#[test]
fn at_the_gate_there_is_one_value_and_one_process_and_a_run_that_has_begun_leaves_it() {
    if let Some(state) = std::env::var_os(OTHER_PROCESS) {
        println!("said: {}", at_the_gate(Path::new(&state)));
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let other_process = || {
        let name = "at_the_gate_there_is_one_value_and_one_process_and_a_run_that_has_begun_leaves_it";
        let output = Command::new(std::env::current_exe().unwrap())
            .args([&format!("journal::tests::beside::{name}"), "--exact", "--nocapture"])
            .env(OTHER_PROCESS, state.path())
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let (_, said) = output.split_once("said: ").expect("the other process says what happened");
        said.lines().next().unwrap().to_owned()
    };
    let holder = format!("process {} is using this state folder", std::process::id());
    let journal = Journal::open(state.path(), TENANT).unwrap();
    assert_eq!((other_process(), at_the_gate(state.path())), (holder.clone(), holder));
    assert_eq!(text(Journal::open(state.path(), "other"), state.path()), "no error");
    let mut run = journal.begin(&meta("contain-0612-7f3", 1), &plan(1)).unwrap();
    assert_ne!(other_process(), "no error", "it is not known yet what this run will not send");
    run.append(run.head(), &[at(1, What::Started)]).unwrap();
    assert_eq!(other_process(), "no error");
    drop(run);
}

#[test]
fn runs_are_written_beside_each_other_and_each_by_one_process() {
    let state = tempfile::tempdir().unwrap();
    let mut one = begin(state.path(), "a", 1);
    let mut two = begin(state.path(), "b", 2);
    for facts in history() {
        one.append(one.head(), &facts).unwrap();
        two.append(two.head(), &facts).unwrap();
    }
    assert_eq!(facts_of(&one.reader().unwrap()).unwrap(), facts_of(&two.reader().unwrap()).unwrap());
    assert_eq!(lock::live_runs(&state.path().join(TENANT)).unwrap(), ["a", "b"]);
    let process = std::process::id();
    let held = format!("process {process} is working on run a");
    assert_eq!(text(resume(state.path(), Some("a")), state.path()), held);
    let holder = holder_of_run(state.path(), TENANT, "a").unwrap();
    assert_eq!(holder.as_deref(), Some(&*format!("process {process}")));
    drop(one);
    assert_eq!(lock::live_runs(&state.path().join(TENANT)).unwrap(), ["b"]);
    assert_eq!(holder_of_run(state.path(), TENANT, "a").unwrap(), None);
    let taken = resume(state.path(), Some("a")).unwrap();
    assert_eq!(taken.head.sequence, flat(&history()).len() as u64);
}

/// Its head file is what shows a lost fact, and a run that somebody works on may get new ones.
#[test]
fn a_finished_run_that_somebody_works_on_keeps_its_head() {
    let state = tempfile::tempdir().unwrap();
    let ended = || [at(1, What::Ended { complete: true })];
    let mut finished = begin(state.path(), "a", 1);
    finished.append(finished.head(), &ended()).unwrap();
    let mut newer = begin(state.path(), "b", 2);
    assert!(state.path().join(TENANT).join("a.head").exists());
    newer.append(newer.head(), &ended()).unwrap();
    drop((finished, newer));
    drop(begin(state.path(), "c", 3));
    assert!(!state.path().join(TENANT).join("a.head").exists());
}

fn ask(at: u64, calls: u32, answered: &[u64], open: u32) -> Ask {
    let answered = answered.iter().copied().map(Moment).collect();
    Ask { at: Moment(at), calls, most: 10, window_ms: HOUR, answered, open }
}

#[test]
fn what_one_run_has_reserved_or_spent_the_others_do_not_get() {
    let state = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (begin(state.path(), "a", 1), begin(state.path(), "b", 2));
    assert_eq!(one.reserve(&ask(HOUR, 4, &[], 0)).unwrap().calls, 4);
    // Their clocks need not agree.
    assert_eq!(two.reserve(&ask(9 * HOUR, 9, &[], 0)).unwrap().calls, 6);
    let none = one.reserve(&ask(HOUR + 5, 1, &[HOUR + 1, HOUR + 2], 2)).unwrap();
    assert_eq!(none.calls, 0);
    let (free, wait) = (2 * HOUR + 2, none.next.0);
    assert!(wait.abs_diff(free) <= 2, "the first call ages an hour after its answer: {wait} and not {free}");
    // What was reserved and not used comes back.
    assert_eq!(two.reserve(&ask(9 * HOUR, 0, &[], 0)).unwrap().calls, 0);
    assert_eq!(one.reserve(&ask(HOUR + 9, 10, &[HOUR + 6; 2], 0)).unwrap().calls, 6);
}

#[test]
fn what_a_process_that_is_gone_had_reserved_counts_from_when_that_is_found() {
    let state = tempfile::tempdir().unwrap();
    let mut one = begin(state.path(), "a", 1);
    let mut two = begin(state.path(), "b", 2);
    assert_eq!(one.reserve(&ask(HOUR, 7, &[], 0)).unwrap().calls, 7);
    // It is alive: nobody knows when its calls will age.
    let soon = two.reserve(&ask(0, 4, &[], 0)).unwrap();
    assert_eq!(soon.calls, 3);
    let soon = two.reserve(&ask(0, 1, &[], 3)).unwrap();
    assert!(soon.calls == 0 && soon.next.0 < 1000, "{soon:?}");
    drop(one);
    let late = two.reserve(&ask(0, 1, &[], 3)).unwrap();
    assert!(late.calls == 0 && late.next.0.abs_diff(HOUR) <= 2, "{late:?}");
    drop(two);
    // Whoever begins next is told of the seven that age and of the three that were just found.
    let spent = Journal::open(state.path(), TENANT).unwrap().spent(Moment(5 * HOUR)).unwrap();
    assert_eq!(spent.len(), 10);
    assert!(spent.iter().all(|moment| moment.0 > 5 * HOUR - 60_000 && moment.0 <= 5 * HOUR), "{spent:?}");
}

#[test]
fn a_run_that_is_taken_up_counts_what_its_last_process_had_reserved() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "a", 1);
    assert_eq!(run.reserve(&ask(0, 8, &[], 0)).unwrap().calls, 8);
    drop(run);
    let mut again = resume(state.path(), Some("a")).unwrap().run;
    assert_eq!(again.reserve(&ask(0, 8, &[], 0)).unwrap().calls, 2);
}

fn in_database(state: &Path, sql: &str) {
    let database = rusqlite::Connection::open(state.join(TENANT).join("journal.sqlite")).unwrap();
    database.execute_batch(sql).unwrap();
}

/// A machine that was started anew goes by the wall again.
#[test]
fn calls_before_a_restart_and_calls_of_a_clock_far_ahead_count_on_and_age_from_then() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "a", 1);
    assert_eq!(run.reserve(&ask(HOUR, 8, &[HOUR - 1000; 3], 0)).unwrap().calls, 7);
    assert_eq!(run.reserve(&ask(HOUR, 0, &[HOUR; 2], 0)).unwrap().calls, 0);
    drop(run);
    in_database(state.path(), "UPDATE budget_clock SET boot = 'before'; UPDATE spent SET at = at * 2 WHERE calls = 2");
    let spent = || Journal::open(state.path(), TENANT).unwrap().spent(Moment(HOUR)).unwrap();
    assert_eq!((spent().len(), spent()[4]), (5, Moment(HOUR)));
    let mut run = begin(state.path(), "b", 2);
    assert_eq!(run.reserve(&ask(HOUR, 9, &[], 0)).unwrap().calls, 5);
    let none = run.reserve(&ask(HOUR, 9, &[], 5)).unwrap();
    assert!(none.calls == 0 && none.next.0.abs_diff(2 * HOUR) < 60_000, "{none:?}");
}

/// Blocks of the first schema had no account: each may have been spent until the next one, and for as long as a call takes.
#[test]
fn blocks_that_an_older_quell_reserved_count_on() {
    let state = golden::schema_1();
    let now = jiff::Timestamp::now().as_millisecond();
    let day = 24 * HOUR as i64;
    in_database(
        state.path(),
        &format!(
            "INSERT INTO budget VALUES({}, 4, 1), ({}, 2, 1), ({}, 1, 1)",
            now - 3 * day,
            now - 2 * day,
            now + 3650 * day
        ),
    );
    let spent = Journal::open(state.path(), TENANT).unwrap().spent(Moment(100 * HOUR)).unwrap();
    let ages: Vec<u64> = spent.iter().map(|moment| (100 * HOUR - moment.0 + HOUR / 2) / HOUR).collect();
    assert_eq!(ages, [47, 47, 47, 47, 0, 0, 0]);
    let mut run = begin(state.path(), "b", 2);
    assert_eq!(run.reserve(&ask(0, 10, &[], 0)).unwrap().calls, 7);
}

#[test]
fn a_clock_set_back_between_a_crash_and_its_resume_forgets_no_call() {
    let state = tempfile::tempdir().unwrap();
    let mut plan = plan(3);
    let window = Duration::from_secs(3600);
    plan.header.limits.requests = Some(crate::tenant::Rate { calls: 300, window });
    let start = at(0, What::Started).at.0;
    let mut run = Journal::open(state.path(), TENANT).unwrap().begin(&meta("a", start), &plan).unwrap();
    assert_eq!(run.reserve(&ask(start, 2, &[], 0)).unwrap().calls, 2);
    run.append(run.head(), &[at(1000, What::Started)]).unwrap();
    drop(run);
    let journal = Journal::open(state.path(), TENANT).unwrap();
    let run = RunReader::of_tenant(state.path(), TENANT, "a").unwrap();
    let spent = |wall| crate::commands::taken::spent_before(Moment(wall), &run, &journal).unwrap();
    // The run's clock stands at its last fact, and does not follow the wall back.
    assert_eq!(spent(start - 24 * HOUR), [Moment(start + 1000); 2]);
    assert_eq!(spent(start + 5000), [Moment(start + 5000); 2]);
}
