//! What can go wrong with the network and with the API, and what must happen: each case is one injected fault met by the
//! real binary against a server on loopback, with the exit code, the outcomes and the deeds that are expected.
//!
//! Between the binary and a simulated tenant stands a relay that spoils connections, requests and answers. Every case is
//! held against the shared invariants, with the fault and after it. The rows are those of the table of faults that are
//! about never acting twice: 19 to 53, but for 28 (certificates) and 46 (the vendor's sample limits).

#[path = "faults_api/answers.rs"]
mod answers;
#[path = "support/bench.rs"]
mod bench;
#[path = "faults_api/case.rs"]
mod case;
#[path = "faults_api/details.rs"]
mod details;
#[path = "support/invariants.rs"]
mod invariants;
#[path = "faults_api/namespaces.rs"]
mod namespaces;
#[path = "faults_api/network.rs"]
mod network;
#[path = "faults_api/refusals.rs"]
mod refusals;
#[path = "support/relay.rs"]
mod relay;
#[path = "support/wire.rs"]
mod wire;

use case::Case;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// The rows of the table that are held here.
const OWNED: [u32; 33] = [
    19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49,
    50, 51, 52, 53,
];

/// Cases that go on beside one another: most of them wait most of the time.
const AT_ONCE: usize = 16;

#[test]
fn every_owned_row_holds() {
    let mut cases: Vec<Case> =
        [network::cases(), answers::cases(), details::cases(), refusals::cases()].into_iter().flatten().collect();
    let met: BTreeSet<u32> = cases.iter().map(|case| case.row).collect();
    println!("{} of {} owned rows, {} cases", met.len(), OWNED.len(), cases.len());
    // For looking at one row alone.
    if let Ok(only) = std::env::var("QUELL_TEST_FAULT") {
        cases.retain(|case| format!("row {}, {}", case.row, case.what).contains(&only));
    }
    cases.sort_by_key(|case| !case.is_slow);
    let wrong = wrong_of(cases);
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(met, BTreeSet::from(OWNED), "an owned row has no case");
}

/// What is wrong with these cases, in the order of their rows.
fn wrong_of(cases: Vec<Case>) -> String {
    let queue = Mutex::new(VecDeque::from(cases));
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = queue.lock().ok().and_then(|mut queue| queue.pop_front()) {
                    let t = std::time::Instant::now();
                    let met = catch_unwind(AssertUnwindSafe(|| case.meet()));
                    let broken = met.unwrap_or_else(|panic| vec![format!("it panicked: {}", words_of(panic.as_ref()))]);
                    eprintln!("TIME {:?} {} {}", t.elapsed().as_millis(), case.row, case.what);
                    if !broken.is_empty() {
                        found.lock().expect("no case holds it").push((case.row, case.what.clone(), broken));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no case holds it");
    found.sort();
    let mut wrong = String::new();
    for (row, what, broken) in found {
        let _ = writeln!(wrong, "row {row}, {what}: {}", broken.join("\n  "));
    }
    wrong
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
}
