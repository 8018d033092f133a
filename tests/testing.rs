//! `quell test` as its users meet it: the shipped tests pass, what differs is told at its line, and nothing is touched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "playbooks/folder.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod folder;

use folder::{Folder, stdout};
use std::fs;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Kill, quarantine, and isolate where that failed; one host first, and a person who says yes; by day.
const PLAYBOOK: &str = "\
version: 1
name: contain
events: [{file: \"-\"}]
steps:
  - {name: kill, action: kill-process, max_event_age: 1h}
  - {name: quarantine, action: quarantine-file, after: kill settled}
  - {name: isolate, action: isolate-host, once: target, after: quarantine failed}
guards: {max_irreversible: 50}
waves: [1, 100%]
promote: {failures: 1, confirm_within: 30m}
windows: [\"mon-fri 08:00-18:00 Europe/Berlin\"]
require_approval: {min: 1, when: 'plan.hosts > 2'}
";

/// A process and a file on each of three hosts, at ten to eight.
fn events() -> String {
    let rows = (0..3).map(|n| {
        let at = "2026-06-12T07:50:00Z";
        format!("a{n},P{n},PROCESS,1{n},up{n},h{n},{at}\na{n},F{n},FILE,0,uf{n},h{n},{at}\n")
    });
    "agent_id,event_id,event_type,pid,unique_id,host,event_time\n".to_owned() + &rows.collect::<String>()
}

/// The exit code, and what it prints: standard output and standard error.
fn quell(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = folder.command().args(arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn folder(tests: &str) -> Folder {
    let folder = Folder::with_what_is_shipped();
    fs::create_dir(folder.path().join("mine")).expect("a folder");
    folder.write("mine/contain.yaml", PLAYBOOK);
    folder.write("mine/three.csv", &events());
    folder.write("mine/contain.test.yaml", &format!("version: 1\nplaybook: contain.yaml\ntests:\n{tests}"));
    folder
}

fn test(name: &str, keys: &str) -> String {
    let begins = "begins: 2026-06-12T08:00:00Z";
    let begins = if keys.contains("begins:") { "" } else { begins };
    let events = if keys.contains("events:") { "" } else { "events: [{file: three.csv}]" };
    let lines: String =
        [begins, events].iter().filter(|line| !line.is_empty()).map(|line| format!("    {line}\n")).collect();
    format!("  - name: {name}\n{lines}{keys}")
}

#[test]
fn the_shipped_tests_pass_and_every_playbook_that_has_some_names_itself() {
    let folder = Folder::with_what_is_shipped();
    let told = stdout(folder.command().args(["test", "playbooks"]));
    assert!(told.contains("13 tests, 0 failed"), "{told}");
    let told = stdout(folder.command().args(["test", "examples/walkthrough"]));
    assert!(told.contains("6 tests, 0 failed"), "{told}");
    for suite in fs::read_dir(folder.path().join("playbooks/tests")).expect("a folder") {
        let name = suite.expect("an entry").file_name().into_string().expect("a name");
        if let Some(stem) = name.strip_suffix(".test.yaml") {
            assert!(
                folder.read(&format!("playbooks/tests/{name}")).contains(&format!("playbook: ../{stem}.yaml\n")),
                "{name}"
            );
            assert!(stdout(folder.command().args(["test", &format!("playbooks/{stem}.yaml")])).contains(", 0 failed"));
        }
    }
}

#[test]
fn a_workflow_is_tested_in_virtual_time() {
    let tests = [
        test(
            "a person says yes",
            "    people: [{after: 10m, say: promote}]\n    \
             expect: {waves: 2, exit_code: 0, approval: true, outcomes: {succeeded: 6, skipped: 3}}\n",
        ),
        test(
            "nobody says yes",
            "    expect: {waves: 1, exit_code: 6, outcomes: {succeeded: 2, skipped: 1, not_started: 6}, took_at_most: 31m}\n",
        ),
        test(
            "where a file cannot be taken away its host leaves the net",
            "    simulator: {items: [{step: quarantine, where: 'host == \"h0\"', statuses: queued ×3 → failed}]}\n    \
             people: [{after: 10m, say: promote, reason: looked at h0}]\n    \
             expect:\n      exit_code: 4\n      items:\n        \
             - {step: isolate, where: 'host == \"h0\"', outcome: succeeded}\n        \
             - {step: isolate, where: 'host != \"h0\"', outcome: skipped, count: 2, reason: has not failed}\n",
        ),
        test("at the weekend it does not begin", "    begins: 2026-06-13T08:00:00Z\n    expect: {held: [windows]}\n"),
        test(
            "the day ends",
            "    begins: 2026-06-12T15:59:59Z\n    simulator: {settle: 1m}\n    expect: {exit_code: 6, waves: 1}\n",
        ),
        test(
            "what was seen four hours ago is no longer killed",
            "    begins: 2026-06-12T12:00:00Z\n    people: [{after: 10m, say: promote}]\n    \
             expect: {exit_code: 4, items: [{step: kill, outcome: skipped, reason: older}]}\n",
        ),
        test("a stop ends it", "    people: [{after: 5m, say: stop}]\n    expect: {exit_code: 6, took_at_most: 6m}\n"),
        test(
            "two lost answers",
            "    simulator: {acts: [{number: 1, lose: call}, {number: 2, lose: answer}]}\n    expect: {exit_code: 5}\n",
        ),
    ];
    let folder = folder(&tests.concat());
    let (code, told, wrong) = quell(&folder, &["test", "mine"]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{told}");
    insta::assert_snapshot!(told);
    assert_eq!(quell(&folder, &["test", "mine/contain.yaml"]).1, told, "a playbook stands for its tests");
    assert!(!folder.path().join(".quell").exists() && !folder.path().join("out").exists(), "nothing is written");
    let (code, told, _) = quell(&folder, &["test", "mine", "--only", "says yes"]);
    assert!(code == Some(0) && told.contains("2 tests, 0 failed"), "{told}");
    let (code, _, wrong) = quell(&folder, &["test", "mine", "--only", "no such"]);
    assert!(code == Some(2) && wrong.contains("no test's name contains"), "{wrong}");
}

#[test]
fn what_came_otherwise_is_told_at_the_line_that_expects_it() {
    let tests = [
        test(
            "everything is expected wrongly",
            "    people: [{after: 10m, say: promote}, {after: 5h, say: stop}]\n    \
             simulator: {acts: [{number: 9, lose: answer}]}\n    \
             expect:\n      approval: false\n      exit_code: 9\n      waves: 1\n      acts: 3\n      polls_at_most: 1\n      \
             took_at_most: 5m\n      outcomes: {succeeded: 5, failed: 1}\n      items:\n        \
             - {step: kill, outcome: failed}\n        \
             - {step: kill, count: 2}\n        \
             - {step: isolate, reason: tea time}\n",
        ),
        test(
            "words that mean nothing",
            "    expect:\n      items:\n        - {step: kil, outcome: failed}\n        \
             - {where: 'hots == \"h0\"', outcome: failed}\n        - {where: 'host ==', outcome: failed}\n        \
             - {row: 70, outcome: failed}\n",
        ),
        test("it is held after all", "    begins: 2026-06-13T08:00:00Z\n    expect: {exit_code: 0}\n"),
        test("it is not held", "    expect: {held: [max_items]}\n"),
        test("it is held for something else", "    begins: 2026-06-13T08:00:00Z\n    expect: {held: [max_items]}\n"),
        test("it is not refused", "    expect: {refused: anything}\n"),
        test("it is refused", "    events: [{file: nowhere.csv}]\n    expect: {exit_code: 0}\n"),
        test("it is refused for something else", "    events: [{file: nowhere.csv}]\n    expect: {refused: rain}\n"),
        test("its columns are wrong", "    events: [{file: three.csv, columns: nosuch}]\n    expect: {exit_code: 0}\n"),
        test("its own events are wrong", "    events: [{inline: [{agent_id: a}]}]\n    expect: {exit_code: 0}\n"),
        "  - name: it would wait for standard input\n    expect: {exit_code: 0}\n".to_owned(),
        test("there is no such tenant", "    tenant: nowhere.yaml\n    expect: {exit_code: 0}\n"),
        test("there is no such variable", "    vars: {tikcet: x}\n    expect: {exit_code: 0}\n"),
        test(
            "a script that is never played",
            "    people: [{after: 0s, say: promote}, {after: 10m, say: promote}]\n    \
             simulator: {items: [{step: isolate, statuses: failed}]}\n    expect: {exit_code: 0}\n",
        ),
        test(
            "statuses behind the last one that is looked at",
            "    people: [{after: 10m, say: promote}]\n    \
             simulator: {items: [{step: kill, statuses: success → failed}]}\n    expect: {exit_code: 0}\n",
        ),
        test(
            "a status that is almost one",
            "    simulator: {items: [{step: kill, statuses: queued → faild}]}\n    expect: {exit_code: 4}\n",
        ),
        test(
            "a scripted refusal is one too",
            "    simulator: {acts: [{number: 1, status: 429, wait: 1s}]}\n    people: [{after: 10m, say: promote}]\n    \
             expect: {throttled_at_most: 0}\n",
        ),
        test(
            "two scripts for one item",
            "    simulator: {items: [{step: kill, statuses: failed}, {row: 3, statuses: queued}]}\n    expect: {exit_code: 0}\n",
        ),
        test(
            "a script that means nobody",
            "    simulator: {items: [{row: 70, statuses: failed}]}\n    expect: {exit_code: 0}\n",
        ),
    ];
    let (code, told, wrong) = quell(&folder(&tests.concat()), &["test", "mine"]);
    assert_eq!((code, wrong.as_str()), (Some(4), ""), "{told}");
    assert!(told.contains("19 tests, 19 failed"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_that_is_wrong_is_refused_whole_and_no_test_runs() {
    let folder = folder(&test("one", "    expect: {exit_code: 0, acts: -1}\n"));
    let (code, told, wrong) = quell(&folder, &["test", "mine", "playbooks"]);
    assert_eq!((code, told.as_str()), (Some(2), ""));
    assert!(wrong.contains("mine/contain.test.yaml:7:"), "{wrong}");
    let (code, _, wrong) = quell(&folder, &["check", "mine"]);
    assert!(code == Some(2) && wrong.contains("mine/contain.test.yaml:7:"), "{wrong}");
    let gone = "version: 1\nplaybook: gone.yaml\ntests: [{name: t, expect: {refused: no such file}}]\n";
    folder.write("mine/gone.test.yaml", gone);
    for (arguments, words) in [
        (&["test", "mine/three.csv"][..], "ends with .test.yaml"),
        (&["test", "playbooks/cryptominer.yaml"], "cryptominer.test.yaml"),
        (&["test", "examples/jobs"], "there is no file that ends with .test.yaml"),
        (&["test", "nowhere"], "nowhere"),
        (&["test", "mine/gone.test.yaml"], "there is no such playbook"),
        (&["check", "mine/gone.test.yaml"], "there is no such playbook"),
        (&["plan", "mine/contain.test.yaml"], "`quell test mine/contain.test.yaml` runs them"),
    ] {
        let (code, _, wrong) = quell(&folder, arguments);
        assert!(code == Some(2) && wrong.contains(words), "{arguments:?}: {wrong}");
    }
}

#[test]
fn a_test_says_the_same_every_time_and_wherever_it_runs() {
    let told = |zone: &str| {
        let mut test = folder::command(ROOT);
        stdout(test.env("TZ", zone).args(["test", "playbooks"]))
    };
    assert_eq!(told("Pacific/Auckland"), told("America/St_Johns"));
}
