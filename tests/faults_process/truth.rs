//! What must hold after every case, read from the tenant's ledger, the journal, the reports and the files.
//!
//! It decides by comparing, and panics with what does not agree. What a case expects of its own is not its business.

use super::world::{CANARY, CONCURRENCY, World};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What is true of a run that a process has left: its report, the exit code that was given, and whether items may be
/// carried out that are not in this report because they belong to an earlier one.
pub(crate) fn check(world: &World, report: &Value, code: Option<i32>) {
    let ledger = world.bench.ledger();
    // I1, I2, I3: once, accounted for, and said to be what it is.
    world.bench.check_truth(report);
    // I4: nothing arrived without an intent that was there before.
    let intents = world.intents().expect("a run");
    intents.check_covers(&ledger);
    let posts = ledger["counters"]["posts"].as_u64().expect("a count");
    assert!(posts <= intents.items.len() as u64, "{posts} acts arrived, {} were intended", intents.items.len());
    // I5: the exit code is what the report says, and never 0 for what is not whole.
    assert_eq!(report["run"]["exit_code"].as_i64(), code.map(i64::from), "the exit code is the report's");
    check_code(report);
    // I6: the token is in no file.
    check_no_canary(world.bench.folder.path());
    // I8: as many calls at once as the tenant allows; those of a process that was killed may still be going.
    let at_once = ledger["counters"]["max_in_flight"].as_u64().expect("a count");
    assert!(at_once <= 2 * CONCURRENCY, "{at_once} calls at once");
    check_inert(world);
}

/// I9: once more sends nothing and reports the same.
pub(crate) fn check_settled(world: &World, code: Option<i32>) {
    let (report, before) = (fs::read(world.path("r.json")).expect("a report"), world.simulator.counters());
    let again = world.done(world.go_on());
    assert_eq!(again.code, code, "once more: {}", again.stderr);
    assert_eq!(world.simulator.counters().posts, before.posts, "once more sends no act");
    assert!(report == fs::read(world.path("r.json")).expect("a report"), "once more reports the same");
}

fn check_code(report: &Value) {
    let count = |outcome: &str| report["summary"]["outcomes"][outcome].as_u64().unwrap_or(0);
    let total: u64 = report["summary"]["outcomes"].as_object().expect("outcomes").values().filter_map(Value::as_u64).sum();
    let unclear = count("unknown") + count("unmatched");
    let fine = count("succeeded") + count("skipped");
    match report["run"]["exit_code"].as_i64().expect("a code") {
        0 => assert_eq!(fine, total, "exit code 0 is for what is whole"),
        5 => assert!(unclear > 0, "exit code 5 is for what is unclear"),
        6 | 8 => assert!(unclear == 0 && count("open") + count("not_started") > 0, "something is left to go on with"),
        4 => assert!(unclear == 0 && fine < total),
        9 => assert!(count("still_queued") > 0 && unclear == 0),
        code => panic!("exit code {code}"),
    }
}

/// Every file of the bench but the tenant's own part: a token stands only in the environment.
fn check_no_canary(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if entry.file_type().expect("a type").is_dir() {
            check_no_canary(&path);
        } else if let Ok(content) = fs::read(&path) {
            let canary = CANARY.as_bytes();
            assert!(!content.windows(canary.len()).any(|part| part == canary), "the token is in {}", path.display());
        }
    }
}

/// I10: no control character reaches a report or a terminal, no cell begins as a formula does.
fn check_inert(world: &World) {
    for entry in fs::read_dir(world.bench.folder.path()).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().into_string().expect("a name");
        if !["r.", "stdout", "stderr"].iter().any(|begin| name.starts_with(begin)) || name.ends_with(".tera") {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        assert!(!text.contains('\u{1b}'), "{name} acts on a terminal");
        if name.ends_with(".csv") {
            let cells = csv::Reader::from_reader(text.as_bytes()).into_records().flat_map(|row| {
                let row = row.expect("a row");
                row.iter().map(str::to_owned).collect::<Vec<_>>()
            });
            cells.for_each(|cell| assert!(!cell.starts_with(['=', '@', '\t']), "{name} holds the formula {cell}"));
        }
    }
}
