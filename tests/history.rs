//! Runs that know of each other: what an earlier run did, or may have done, is not done again. Each by the real binary,
//! held against the tenant's ledger.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at the ledger through it")]
mod bench;

use bench::{Bench, Done};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer, Simulator};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

fn bench(options: Options) -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(options);
    bench.events(10);
    bench.change_tenant("batch_size: 50", "batch_size: 2");
    bench.change_tenant("concurrency: 8", "concurrency: 1");
    (bench, simulator)
}

fn prompt() -> Options {
    Options { settle: Delay::None, ..Options::default() }
}

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

/// Carries one action out over the events file, in a run of its own.
fn act(bench: &Bench, action: &str) -> (Option<i32>, Value) {
    let command = format!("run events.csv --action {action} --tenant tenant.yaml --yes --quiet --report json=r.json");
    let command = format!("{command} {}", bench::GUARDS.join(" "));
    let done = quell(bench, &command);
    let report = done.code.filter(|code| *code != 3 && *code != 7).map(|_| bench.report("r.json"));
    (done.code, report.unwrap_or_else(|| panic!("no report: {}", done.stderr)))
}

fn count(report: &Value, outcome: &str) -> u64 {
    report["summary"]["outcomes"][outcome].as_u64().expect("a count")
}

fn name(report: &Value) -> &str {
    report["run"]["id"].as_str().expect("a name")
}

/// Fates of all acts on each event under each action, in the order in which they were carried out.
fn fates(simulator: &Simulator) -> BTreeMap<(i64, String), Vec<String>> {
    let mut all: BTreeMap<(i64, String), Vec<String>> = BTreeMap::new();
    for entry in simulator.ledger().entries {
        let fate = serde_json::to_value(entry.fate).expect("a fate").as_str().expect("a word").to_owned();
        all.entry((entry.item.action_id, entry.item.event_id)).or_default().push(fate);
    }
    all
}

#[test]
fn the_same_file_again_acts_on_nothing_that_succeeded() {
    let (bench, simulator) = bench(prompt());
    let (code, first) = act(&bench, "quarantine-file");
    assert_eq!((code, count(&first, "succeeded")), (Some(0), 10));
    let (code, again) = act(&bench, "quarantine-file");
    assert_eq!((code, count(&again, "skipped"), simulator.ledger().entries.len()), (Some(0), 10, 10));
    let reason = again["items"][0]["reason"].as_str().expect("a reason");
    assert_eq!(reason, format!("it succeeded in run {}", name(&first)));
    let posts = simulator.counters().posts;
    let (code, other) = act(&bench, "delete-file");
    assert_eq!((code, count(&other, "succeeded")), (Some(0), 10), "another action is another deed");
    assert!(simulator.counters().posts > posts);
}

#[test]
fn it_is_the_deed_that_counts_and_not_the_playbook_or_its_step() {
    let (bench, simulator) = bench(prompt());
    assert_eq!(act(&bench, "quarantine-file").0, Some(0));
    let steps = "steps: [{name: away, action: quarantine-file}, {name: gone, action: delete-file}]\nguards: {max_irreversible: 10}";
    let playbook = format!("version: 1\nname: other\ntenant: simulator\nevents: [{{file: events.csv}}]\n{steps}\n");
    fs::write(bench.path("other.yaml"), playbook).expect("a playbook");
    let done = quell(&bench, "run other.yaml --tenant tenant.yaml --yes --quiet --report json=r.json");
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let report = bench.report("r.json");
    assert_eq!((count(&report, "skipped"), count(&report, "succeeded")), (10, 10), "the second step builds on it");
    assert_eq!(simulator.ledger().entries.len(), 20);
}

#[test]
fn what_was_undone_since_may_be_done_again() {
    let (bench, simulator) = bench(prompt());
    for (action, skipped) in [
        ("quarantine-file", 0),
        ("quarantine-file", 10),
        ("release-file", 0),
        ("release-file", 10),
        ("quarantine-file", 0),
        ("quarantine-file", 10),
    ] {
        let (code, report) = act(&bench, action);
        assert_eq!((code, count(&report, "skipped")), (Some(0), skipped), "{action}");
    }
    assert_eq!(simulator.ledger().entries.len(), 30);
}

#[test]
fn a_success_is_repeated_once_it_is_older_than_the_window() {
    let (bench, simulator) = bench(prompt());
    let steps = "steps: [{name: away, action: quarantine-file}]\ndedupe_window: 1m";
    let playbook = format!("version: 1\nname: short\ntenant: simulator\nevents: [{{file: events.csv}}]\n{steps}\n");
    fs::write(bench.path("short.yaml"), playbook).expect("a playbook");
    let run = || quell(&bench, "run short.yaml --tenant tenant.yaml --yes --quiet").code;
    assert_eq!((run(), run(), simulator.ledger().entries.len()), (Some(0), Some(0), 10));
}

/// The run is left with items that are unknown, open and not started; then it is run anew instead of being resumed.
#[test]
fn a_run_that_was_stopped_and_run_anew_repeats_nothing_that_may_have_been_carried_out() {
    let (bench, simulator) = bench(Options { settle: Delay::Fixed(Duration::from_secs(60)), ..Options::default() });
    let held = ScriptedAnswer { delay: Duration::from_secs(20), ..ScriptedAnswer::default() };
    simulator.script(Script { acts: vec![ScriptedAnswer::default(), held], ..Script::default() });
    let mut going = bench.start(bench.run(&["--quiet"]));
    assert!(going.wait_until(|| simulator.counters().posts >= 2));
    going.signal(Signal::KILL);
    assert_eq!(going.wait().code, None);
    let held_items = 2;
    let mut going = bench.start(bench.run(&["--quiet", "--report", "json=r.json"]));
    assert!(going.wait_until(|| simulator.counters().posts >= 2 + 3));
    going.signal(Signal::INT);
    going.signal(Signal::INT);
    assert_eq!(going.wait().code, Some(6));
    let report = bench.report("r.json");
    assert_eq!(count(&report, "skipped"), 2 + held_items, "what is open and what is in doubt");
    assert!(fates(&simulator).values().all(|fates| fates.len() == 1));
}

#[test]
fn what_is_unknown_blocks_until_a_person_has_resolved_it() {
    let (bench, simulator) = bench(prompt());
    simulator.script(Script { acts: vec![ScriptedAnswer::cut_before()], ..Script::default() });
    let (code, first) = act(&bench, "delete-file");
    assert_eq!((code, count(&first, "unknown"), count(&first, "not_started")), (Some(5), 2, 8));
    for _ in 0..2 {
        let (code, report) = act(&bench, "delete-file");
        assert_eq!(code, Some(4), "what may have been done is not surely done");
        assert!(report["items"][0]["reason"].as_str().expect("a reason").starts_with("it is unknown in run"));
        assert_eq!(fates(&simulator).len(), 8, "the two unknown ones are left alone");
    }
    let resolve = ["resolve", name(&first), "--batch", "1", "--as", "not-carried-out", "--note", "looked it up"];
    assert_eq!(bench.done(bench.quell(&resolve)).code, Some(0));
    let (code, report) = act(&bench, "delete-file");
    assert_eq!((code, count(&report, "succeeded"), count(&report, "skipped")), (Some(0), 2, 8));
    assert!(fates(&simulator).values().all(|fates| fates.len() == 1));
}

#[test]
fn a_folder_without_history_is_refused_when_history_is_required_and_told_of_when_it_is_not() {
    let (bench, simulator) = bench(prompt());
    let done = bench.done(bench.run(&["--quiet", "--require-history"]));
    assert_eq!((done.code, simulator.counters().posts), (Some(7), 0), "{}", done.stderr);
    assert!(done.stderr.contains("holds no run of simulator"), "{}", done.stderr);
    let done = bench.done(bench.run(&["--quiet"]));
    assert!(done.stderr.contains("knows of no earlier run on simulator"), "{}", done.stderr);
    let done = bench.done(bench.run(&["--quiet", "--require-history"]));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

/// A nightly job over the same export: some items fail, some hosts are offline, one act's answer is lost, and one night
/// is cut short.
#[test]
fn five_nights_over_the_same_export_act_once_on_each_item_and_again_only_on_what_failed_or_was_not_sent() {
    let options = Options { fail_percent: 20.0, never_settle_percent: 15.0, seed: 7, ..prompt() };
    let (bench, simulator) = bench(options);
    bench.events(60);
    bench.change_tenant("deadline: 5m", "deadline: 1s");
    let act = || ScriptedAnswer::default();
    simulator.script(Script { acts: vec![act(), ScriptedAnswer::cut_after(), act()], ..Script::default() });
    let steps = "steps: [{name: away, action: quarantine-file}]";
    let playbook = format!("version: 1\nname: nightly\ntenant: simulator\nevents: [{{file: events.csv}}]\n{steps}\n");
    fs::write(bench.path("nightly.yaml"), playbook).expect("a playbook");
    let mut failed_before = 60;
    for night in 1..=5 {
        let carried_out = simulator.counters().carried_out;
        let command = "run nightly.yaml --tenant tenant.yaml --yes --quiet --report json=r.json";
        let mut going = bench.start(bench.quell(&command.split(' ').collect::<Vec<_>>()));
        if night == 2 && going.wait_until(|| simulator.counters().carried_out > carried_out) {
            going.signal(Signal::TERM);
        }
        let done = going.wait();
        assert!(matches!(done.code, Some(4..=6)), "night {night}: {:?} {}", done.code, done.stderr);
        let report = bench.report("r.json");
        let tried = simulator.counters().carried_out - carried_out;
        assert!(tried <= failed_before, "night {night}: {tried} acts, {failed_before} items had to be tried");
        failed_before = count(&report, "failed") + count(&report, "not_started");
        if night > 1 {
            let skipped = report["items"].as_array().expect("items").iter().filter(|item| item["outcome"] == "skipped");
            let reasons: Vec<&str> = skipped.filter_map(|item| item["reason"].as_str()).collect();
            let of = |words: &str| reasons.iter().filter(|reason| reason.starts_with(words)).count();
            assert_eq!(of("it is unknown in run"), 2, "night {night}");
            assert!(
                of("it is still queued in run") > 2 && of("it succeeded in run") > 10,
                "night {night}: {reasons:?}"
            );
        }
    }
    let fates = fates(&simulator);
    assert_eq!(fates.len(), 60, "every item was carried out");
    let mut again = 0;
    for (deed, fates) in fates {
        let (_, before) = fates.split_last().expect("at least one act");
        assert!(before.iter().all(|fate| fate == "fails"), "{deed:?} was done again after {before:?}");
        again += before.len();
    }
    assert!(again > 5, "failed items were tried again");
}
