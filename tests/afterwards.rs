//! What comes after a run that did not go well: what a person must look at, what they find, what is polled later and what
//! is done again. Each by the real binary, held against the tenant's ledger.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests signal what goes on")]
mod bench;

use bench::{Bench, Done};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer, Simulator};
use serde_json::Value;
use std::fs;
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Ten file events on ten hosts, two an act, one act at a time, an action that is not safe to repeat.
fn bench() -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(10);
    bench.change_tenant("batch_size: 50", "batch_size: 2");
    bench.change_tenant("concurrency: 8", "concurrency: 1");
    (bench, simulator)
}

fn delete(bench: &Bench) -> Done {
    let args = ["run", "events.csv", "--action", "delete-file", "--tenant", "tenant.yaml", "--yes", "--quiet"];
    bench.done(bench.quell(&[&args[..], &bench::GUARDS, &["--operator", "alice", "--report", "json=r.json"]].concat()))
}

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

fn count(report: &Value, outcome: &str) -> u64 {
    report["summary"]["outcomes"][outcome].as_u64().expect("a count")
}

fn report(bench: &Bench) -> Value {
    let done = quell(bench, "report --format json");
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn outcomes(report: &Value) -> Vec<(u64, String, Option<String>)> {
    let item = |item: &Value| {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        (item["item"].as_u64().expect("a number"), text("outcome").expect("an outcome"), text("resolution"))
    };
    report["items"].as_array().expect("items").iter().map(item).collect()
}

/// Ids of all that was carried out of these rows, from the ledger.
fn ids(bench: &Bench, rows: &[usize]) -> Vec<String> {
    let ledger = bench.ledger();
    let entries = ledger["entries"].as_array().expect("entries");
    let of_row = |row: &usize| {
        let event = format!("RTF_{row}_1");
        let entry = entries.iter().find(|entry| entry["event_id"] == event.as_str()).expect("it was carried out");
        entry["remediation_id"].as_str().expect("an id").to_owned()
    };
    rows.iter().map(of_row).collect()
}

/// The second act's answer is lost although it was carried out; nothing of the action goes after it.
fn with_an_unknown_batch(carried_out: bool) -> (Bench, Simulator) {
    let (bench, simulator) = bench();
    let lost = if carried_out { ScriptedAnswer::cut_after() } else { ScriptedAnswer::cut_before() };
    simulator.script(Script { acts: vec![ScriptedAnswer::default(), lost], ..Script::default() });
    let done = delete(&bench);
    assert_eq!(done.code, Some(5), "{}{}", done.stdout, done.stderr);
    assert_eq!(simulator.counters().posts, 2, "nothing of the action went after the unknown act");
    let report = bench.report("r.json");
    assert_eq!((count(&report, "succeeded"), count(&report, "unknown"), count(&report, "not_started")), (2, 2, 6));
    (bench, simulator)
}

#[test]
fn after_an_unknown_act_a_resume_only_polls_until_a_person_lets_it_go_on() {
    let (bench, simulator) = with_an_unknown_batch(true);
    let done = quell(&bench, "resume");
    assert_eq!((done.code, simulator.counters().posts), (Some(5), 2), "{}", done.stdout);
    let done = quell(&bench, "resume --continue");
    assert_eq!(done.code, Some(2), "a reason is needed: {}", done.stderr);
    let mut command = bench.quell(&["resume", "--continue", "--reason", "the gateway was restarted"]);
    let done = bench.done({
        command.args(["--operator", "bob"]);
        command
    });
    assert_eq!((done.code, simulator.counters().posts), (Some(5), 5), "{}{}", done.stdout, done.stderr);
    bench.check_truth(&report(&bench));
}

#[test]
fn what_needs_a_person_is_listed_with_the_tag_to_look_for_and_the_command_that_goes_on() {
    let (bench, _simulator) = with_an_unknown_batch(true);
    let said = quell(&bench, "show --needs-me").stdout;
    for words in ["2 unknown", "item 2: step delete-file", "event RTF_2_1", "/2]", "quell resolve events-"] {
        assert!(said.contains(words), "{words:?} is missing in {said}");
    }
    let (healthy, _simulator) = self::bench();
    assert_eq!(delete(&healthy).code, Some(0));
    assert_eq!(quell(&healthy, "show --needs-me").stdout, "nothing needs you\n");
}

#[test]
fn ids_from_the_console_prove_whose_they_are_and_release_the_action() {
    let (bench, simulator) = with_an_unknown_batch(true);
    fs::write(bench.path("console.txt"), format!("# copied\n\n{}\n", ids(&bench, &[2, 3]).join("\n"))).expect("a file");
    let done = quell(&bench, "resolve --ids console.txt --operator alice");
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("resolved as succeeded") && done.stdout.contains("quell resume"), "{}", done.stdout);
    let now = report(&bench);
    assert_eq!(count(&now, "unknown"), 2, "the outcome stays as it was");
    let resolved: Vec<_> = outcomes(&now).into_iter().filter_map(|(item, _, found)| Some((item, found?))).collect();
    assert_eq!(resolved, [(2, "succeeded".to_owned()), (3, "succeeded".to_owned())]);
    assert!(now["items"][2]["resolution_note"].as_str().expect("a note").contains("by alice"));
    let done = quell(&bench, "resume");
    assert_eq!((done.code, simulator.counters().posts), (Some(0), 5), "{}{}", done.stdout, done.stderr);
    bench.check_truth(&report(&bench));
}

#[test]
fn ids_that_prove_nothing_change_nothing() {
    let (bench, _simulator) = with_an_unknown_batch(true);
    let others = ids(&bench, &[0]);
    fs::write(bench.path("console.txt"), format!("{}\nno-such-id\n", others[0])).expect("a file");
    let done = quell(&bench, "resolve --ids console.txt");
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert!(done.stderr.contains("line 1") && done.stderr.contains("line 2"), "{}", done.stderr);
    assert!(outcomes(&report(&bench)).iter().all(|(_, _, found)| found.is_none()));
    fs::write(bench.path("console.txt"), "../../etc/passwd\n").expect("a file");
    let done = quell(&bench, "resolve --ids console.txt");
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("console.txt:1:1"), "{}", done.stderr);
}

#[test]
fn a_batch_that_was_not_carried_out_is_resolved_by_word_and_tried_again_as_a_linked_run() {
    let (bench, simulator) = with_an_unknown_batch(false);
    let done = bench.done(bench.quell(&["resolve", "--batch", "2", "--as", "not-carried-out", "--note", "not there"]));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("item 2: step delete-file, agent"), "it says of whom: {}", done.stdout);
    let run = report(&bench)["run"]["id"].as_str().expect("a name").to_owned();
    let resolve = |found: &str| bench.done(bench.quell(&["resolve", &run, "2", "--as", found, "--note", "oh"])).code;
    assert_eq!((resolve("carried-out"), resolve("not-carried-out")), (Some(0), Some(0)), "a finding can be corrected");
    assert_eq!(quell(&bench, "resume --quiet").code, Some(4), "not carried out is not done");
    let run = report(&bench)["run"]["id"].as_str().expect("a name").to_owned();
    let done = quell(&bench, &format!("retry {run} --outcome unknown --yes --quiet"));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let retried = report(&bench);
    assert_eq!((count(&retried, "succeeded"), &retried["run"]["retry_of"]), (2, &Value::from(run)));
    assert_eq!(simulator.ledger().entries.len(), 10);
    assert!(simulator.ledger().carried_out_more_than_once().is_empty());
}

#[test]
fn what_may_have_been_carried_out_is_tried_again_only_by_name_and_never_when_that_is_not_safe() {
    let (bench, simulator) = with_an_unknown_batch(true);
    let run = report(&bench)["run"]["id"].as_str().expect("a name").to_owned();
    let done = quell(&bench, &format!("retry {run} --outcome unknown --yes"));
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("they may have been carried out: 2 items (2, 3)"), "{}", done.stderr);
    let command = ["retry", &run, "--outcome", "unknown", "--permit-repeat", "2", "--reason", "sure", "--yes"];
    let done = bench.done(bench.quell(&command));
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("not call repeat_safe"), "{}", done.stderr);
    assert_eq!(simulator.counters().posts, 2);
}

#[test]
fn a_repeat_that_is_safe_is_permitted_by_name_with_a_reason() {
    let (bench, simulator) = bench();
    bench.change_tenant("batch_size: 2", "batch_size: 1");
    let acts = vec![ScriptedAnswer::default(), ScriptedAnswer::cut_after()];
    simulator.script(Script { acts, ..Script::default() });
    assert_eq!(bench.done(bench.run(&["--quiet"])).code, Some(5));
    let run = report(&bench)["run"]["id"].as_str().expect("a name").to_owned();
    let command = ["retry", &run, "--outcome", "failed", "--permit-repeat", "1", "--reason", "harmless twice", "--yes"];
    let done = bench.done(bench.quell(&command));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let ledger = simulator.ledger();
    let twice = ledger.carried_out_more_than_once();
    assert_eq!((twice.len(), ledger.entries.len()), (1, 11), "this one and no other");
}

#[test]
fn an_item_goes_again_only_when_the_steps_before_it_are_done_or_go_with_it() {
    let (bench, simulator) = bench();
    let steps =
        "steps: [{name: q, action: quarantine-file}, {name: d, action: delete-file}]\nguards: {max_irreversible: 10}";
    let playbook = format!("version: 1\nname: two\ntenant: simulator\nevents: [{{file: events.csv}}]\n{steps}\n");
    fs::write(bench.path("two.yaml"), playbook).expect("a playbook");
    let refused = ScriptedAnswer::of(http::StatusCode::BAD_REQUEST, "{\"message\":\"no\"}");
    simulator.script(Script { acts: vec![refused], ..Script::default() });
    let done = quell(&bench, "run two.yaml --tenant tenant.yaml --yes --quiet");
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
    let run = report(&bench)["run"]["id"].as_str().expect("a name").to_owned();
    let alone = quell(&bench, &format!("retry {run} --outcome not_started --dry-run"));
    assert_eq!(alone.code, Some(2), "{}{}", alone.stdout, alone.stderr);
    assert!(alone.stderr.contains("earlier step on the same target is not done in run"), "{}", alone.stderr);
    let done = quell(&bench, &format!("retry {run} --outcome rejected,not_started --yes --quiet"));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert_eq!(simulator.ledger().entries.len(), 20);
    assert!(simulator.ledger().carried_out_more_than_once().is_empty());
}

#[test]
fn what_was_still_queued_is_settled_by_a_later_poll_that_cannot_act() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::Fixed(ms(2500)), ..Options::default() });
    bench.events(6);
    bench.change_tenant("deadline: 5m", "deadline: 1s");
    let done = bench.done(bench.run(&["--quiet"]));
    assert_eq!(done.code, Some(9), "{}{}", done.stdout, done.stderr);
    let posts = simulator.counters().posts;
    // Done at the first poll after they settled; until then each poll leaves them as they are.
    let mut last = None;
    for _ in 0..100 {
        let done = quell(&bench, "poll --quiet");
        last = done.code;
        assert!(matches!(last, Some(0 | 9)), "{}{}", done.stdout, done.stderr);
        if last == Some(0) {
            break;
        }
    }
    assert_eq!((last, simulator.counters().posts), (Some(0), posts));
    let now = report(&bench);
    assert_eq!(count(&now, "succeeded"), 6);
    bench.check_truth(&now);
    assert!(quell(&bench, "poll").stderr.contains("has anything to poll"));
}
