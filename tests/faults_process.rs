//! What can go wrong with the process, the disk, the clock and the people at it, and what must happen: each case is one
//! injected fault met by the real binary against a tenant on loopback, with its exit codes and counts of outcomes.
//!
//! A case says how it saw that its fault did bite; one that did not is a failure. After each, the same invariants are
//! read from the tenant's ledger, the journal, the reports and the files. The rows are those of the table of faults;
//! 61, 62, 63, 80 and 97 are about runs beside and after each other and are held where these are: see [`ELSEWHERE`].
//!
//! `QUELL_TEST_STRACE=1 cargo test --test faults_process -- eio` fails every sync of a run in the system itself.

#[path = "support/bench.rs"]
mod bench;
#[path = "faults_process/disk.rs"]
mod disk;
#[path = "faults_process/eio.rs"]
mod eio;
#[path = "support/intents.rs"]
mod intents;
#[path = "support/invariants.rs"]
mod invariants;
#[path = "faults_process/journal.rs"]
mod journal;
#[path = "faults_process/operator.rs"]
mod operator;
#[path = "faults_process/process.rs"]
mod process;
#[path = "faults_process/time.rs"]
mod time;
#[path = "faults_process/truth.rs"]
mod truth;
#[path = "faults_process/world.rs"]
mod world;

use bench::Done;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use world::World;

/// The rows of the table that are held here.
const OWNED: [u32; 26] =
    [54, 55, 56, 57, 58, 59, 60, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 95, 96, 98];

/// Rows of the same groups that need several runs at once or a history: they are held by the tests of these.
const ELSEWHERE: [(u32, &str); 5] = [
    (61, "two processes start the same playbook on one state folder"),
    (62, "the same plan from two machines with a state folder each"),
    (63, "a scheduled run starts while the last one still polls"),
    (80, "a schedule fires twice, or late"),
    (97, "run anew instead of resume"),
];

/// Cases that go on at the same time: most of them wait.
const AT_ONCE: usize = 4;

/// A fault, and what must come of it.
struct Case {
    row: u32,
    what: String,
    inject: Box<dyn Fn() -> Met + Send + Sync>,
    /// Exit code of the process that met the fault; none when a signal killed it.
    code: Option<i32>,
    /// Words that it says.
    says: &'static str,
    then: Then,
}

/// What is expected after the process that met the fault.
enum Then {
    /// It ended the run: its report has these outcomes, and all other items succeeded.
    Stands(Outcomes),
    /// It left something: a plain `resume` ends with this code and these outcomes, and all other items succeeded.
    Resumes(i32, Outcomes),
    /// A plain `resume` ends the run: unknown is just what had an intent and no durable answer, all others succeeded.
    ResumesInDoubt,
    /// The case has looked at everything itself: it begins no run, or is about several.
    Said,
}

/// How many items are to have an outcome.
type Outcomes = &'static [(&'static str, u64)];

/// What came of a fault.
struct Met {
    world: World,
    done: Done,
    /// What shows that the fault did bite, and whether it is so.
    fired: (bool, &'static str),
    /// Items that earlier processes of the case left in doubt.
    doubt: BTreeSet<u64>,
}

impl Met {
    fn new(world: World, done: Done, fired: bool, proof: &'static str) -> Self {
        Self { world, done, fired: (fired, proof), doubt: BTreeSet::new() }
    }
}

/// A case whose process ends well and has done everything.
fn case(row: u32, what: impl Into<String>, inject: impl Fn() -> Met + Send + Sync + 'static) -> Case {
    Case { row, what: what.into(), inject: Box::new(inject), code: Some(0), says: "", then: Then::Stands(&[]) }
}

/// A case that no real process can be brought into without a way in that nobody else needs: a unit test holds it.
fn held_by_unit_test(row: u32, what: &str, file: &'static str, test: &'static str) -> Case {
    case(row, format!("{what}: {file}, {test}"), move || {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(source).unwrap_or_default();
        let is_test = text.lines().any(|line| line.trim_start().contains(&format!("fn {test}()")));
        let done = Done { code: Some(0), stdout: String::new(), stderr: String::new() };
        Met::new(World::new(1, world::prompt()), done, is_test, "the unit test is there")
    })
    .said(0)
}

impl Case {
    fn ends(self, code: i32, outcomes: Outcomes) -> Self {
        Self { code: Some(code), then: Then::Stands(outcomes), ..self }
    }

    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    fn killed(self) -> Self {
        Self { code: None, then: Then::ResumesInDoubt, ..self }
    }

    fn breaks_off(self, code: i32) -> Self {
        Self { code: Some(code), then: Then::ResumesInDoubt, ..self }
    }

    fn then_resumes(self, code: i32, outcomes: Outcomes) -> Self {
        Self { then: Then::Resumes(code, outcomes), ..self }
    }

    fn said(self, code: i32) -> Self {
        Self { code: Some(code), then: Then::Said, ..self }
    }

    /// Lets it happen; panics with what is wrong.
    fn meet(&self) {
        let Met { world, done, fired: (fired, proof), mut doubt } = (self.inject)();
        assert!(fired, "the fault did not bite: {proof}\n{}{}", done.stdout, done.stderr);
        assert_eq!(done.code, self.code, "{}{}", done.stdout, done.stderr);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(said.contains(self.says), "{:?} is missing in {said}", self.says);
        match self.then {
            Then::Said => {}
            Then::Stands(outcomes) => check_end(&world, &done, self.code, outcomes),
            Then::Resumes(code, outcomes) => {
                check_left(&world);
                check_end(&world, &world.done(world.go_on()), Some(code), outcomes);
            }
            Then::ResumesInDoubt => {
                doubt.extend(check_left(&world));
                let done = world.done(world.go_on());
                let code = Some(if doubt.is_empty() { 0 } else { 5 });
                check_end(&world, &done, code, &[("unknown", doubt.len() as u64)]);
                assert_eq!(items_with(&world.report(), "unknown"), doubt, "unknown is just what was in doubt");
            }
        }
    }
}

/// What must hold once the run is over.
fn check_end(world: &World, done: &Done, code: Option<i32>, outcomes: &[(&str, u64)]) {
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    check_counts(world, outcomes);
    truth::check(world, done);
    truth::check_settled(world, code);
}

/// What a process has left: nothing was carried out without an intent. The items of intents without a durable answer.
fn check_left(world: &World) -> BTreeSet<u64> {
    let Some(intents) = world.intents() else {
        assert_eq!(world.posts(), 0, "there is no run, so nothing was sent");
        return BTreeSet::new();
    };
    intents.check_covers(&world.bench.ledger());
    intents.in_doubt().into_iter().map(|item| u64::from(item.0)).collect()
}

fn check_counts(world: &World, outcomes: &[(&str, u64)]) {
    let others: u64 = outcomes.iter().map(|(_, n)| n).sum();
    let all = outcomes.iter().copied().chain([("succeeded", world.items - others)]);
    let expected: BTreeMap<String, u64> = all.filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect();
    let report = world.report();
    let counts = report["summary"]["outcomes"].as_object().expect("outcomes").iter();
    let met: BTreeMap<String, u64> =
        counts.filter_map(|(name, n)| Some((name.clone(), n.as_u64().filter(|n| *n > 0)?))).collect();
    assert_eq!(met, expected, "outcomes");
}

fn items_with(report: &Value, outcome: &str) -> BTreeSet<u64> {
    let items = report["items"].as_array().expect("items").iter().filter(|item| item["outcome"] == outcome);
    items.map(|item| item["item"].as_u64().expect("a number")).collect()
}

fn cases() -> Vec<Case> {
    [process::cases(), disk::cases(), journal::cases(), time::cases(), operator::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// What it panicked with, and how long it took.
fn outcome_of(case: &Case) -> (Option<String>, Duration) {
    let began = Instant::now();
    let wrong = catch_unwind(AssertUnwindSafe(|| case.meet())).err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    (wrong, began.elapsed())
}

#[test]
fn every_owned_row_holds() {
    let cases = cases();
    let only = std::env::var("QUELL_TEST_ROW").ok().map(|row| row.parse::<u32>().expect("QUELL_TEST_ROW is a number"));
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(String::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if only.is_some_and(|row| row != case.row) {
                        continue;
                    }
                    let (why, took) = outcome_of(case);
                    println!("row {}, {}: {} ms", case.row, case.what, took.as_millis());
                    if let Some(why) = why {
                        let mut wrong = wrong.lock().expect("nobody panics with it");
                        writeln!(wrong, "row {}, {}: {why}", case.row, case.what).expect("text can be written");
                    }
                }
            });
        }
    });
    let met: BTreeSet<u32> = cases.iter().map(|case| case.row).collect();
    println!(
        "{} of {} owned rows, {} cases; {} rows are held elsewhere",
        met.len(),
        OWNED.len(),
        cases.len(),
        ELSEWHERE.len()
    );
    let wrong = wrong.into_inner().expect("nobody panics with it");
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(met, BTreeSet::from(OWNED), "an owned row has no case");
    assert!(ELSEWHERE.iter().all(|(row, _)| !met.contains(row)), "a row is held twice");
}
