//! A night with quell as its people have it: the files of `examples/walkthrough`, the commands as they are typed, at a
//! terminal where one is needed. What `docs/walkthrough.md` shows is what was printed here.
//!
//! Of the files only the tenant's address and its token are others, and the events are of today. The tenant's limits and
//! waits are as written: for the programs under test the clock goes faster (`support/hurry.c`).

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;
#[path = "experience/night.rs"]
mod night;
#[path = "support/signers.rs"]
mod signers;

use night::{Night, SHA};
use quell::simulator::{Delay, Script, ScriptedAnswer};
use std::fs;
use std::time::Duration;

/// Hosts on which a file cannot be put in quarantine.
const UNCLEAN: [&str; 2] = ["6b1f0c52-8a1e-4f6b-9d51-000000000007", "6b1f0c52-8a1e-4f6b-9d51-000000000013"];
const AD_HOC: &str = "quell run hits.csv --tenant tenants/prod-eu.yaml --action quarantine-file";

#[test]
fn an_incident_is_planned_reviewed_approved_carried_out_and_undone_as_the_walk_through_shows() {
    let night = Night::new(Delay::None);
    let (mut alice, mut bob) = (night.person("alice"), night.person("bob"));
    bob.does("quell check playbooks tenants", 0);
    let vars = format!("--var ticket=INC-7 --var sha256={SHA}");
    bob.does(&format!("quell plan playbooks/contain.yaml --events hits.csv {vars} -o INC-7.plan"), 0);
    bob.does("quell show INC-7.plan --format markdown", 0);
    alice.answers("quell approve INC-7.plan", "37", 0);
    assert_eq!(night.simulator.counters().posts, 0, "nothing was sent so far");
    let failing = UNCLEAN.map(|host| ("quarantine-file".to_owned(), host.to_owned())).to_vec();
    night.simulator.script(Script { failing, ..Script::default() });
    let mut going = bob.begins("quell apply INC-7.plan", "37");
    night.waits_for_a_person(&mut going);
    assert_eq!(night.acts(), [(2, 1), (3, 1)].into(), "one host was tried");
    alice.does("quell show", 0);
    alice.does("quell promote", 0);
    bob.ends(going, 4);
    assert_eq!(night.acts(), [(0, 2), (2, 37), (3, 37)].into(), "two hosts were cut off");
    bob.does("quell show", 0);
    let run = night.run("contain");
    bob.does(&format!("quell retry {run} --outcome failed,not_started -o INC-7b.plan"), 0);
    bob.does(&format!("quell undo {run} -o undo.plan"), 0);
    bob.does("quell apply undo.plan", 3);
    alice.answers("quell approve undo.plan", "37", 0);
    let mut going = bob.begins("quell apply undo.plan", "37");
    night.waits_for_a_person(&mut going);
    alice.does("quell promote", 0);
    bob.ends(going, 0);
    assert_eq!(night.acts(), [(0, 2), (1, 2), (2, 37), (3, 37), (5, 35)].into(), "all that can be undone is");
    assert!(night.simulator.ledger().carried_out_more_than_once().is_empty());
    night.is_told_by_the_walk_through(&[&alice, &bob]);
}

#[test]
fn a_nightly_job_is_reviewed_without_a_token_and_carried_out_where_its_history_is() {
    let night = Night::new(Delay::None);
    let mut job = night.person("ci");
    fs::rename(night.bench.path("token"), night.bench.path("token.later")).expect("it is there");
    job.does("quell check playbooks tenants && quell test tests", 0);
    job.does("quell plan playbooks/nightly.yaml --events tests/export.csv --format markdown >> summary.md", 0);
    let summary = fs::read_to_string(night.bench.path("summary.md")).expect("a summary");
    assert!(
        summary.contains("### quell plan: nightly on prod-eu") && summary.contains("domain controllers"),
        "{summary}"
    );
    job.does(&format!("{AD_HOC} --where 'int(score) >= 8' --comment INC-7 --waves 1,100% --dry-run"), 0);
    assert!(!night.bench.state().exists(), "no state either");
    fs::rename(night.bench.path("token.later"), night.bench.path("token")).expect("it is there");
    fs::create_dir(night.bench.path("srv")).expect("a folder");
    let export = fs::read_to_string(night.bench.path("tests/export.csv")).expect("events");
    let export: Vec<&str> = export.lines().filter(|line| !line.contains("BER-DC01")).collect();
    night.write("srv/edr.csv", &(export.join("\n") + "\n"));
    let run = "quell run playbooks/nightly.yaml --events srv/edr.csv --state-dir srv/quell";
    let in_shell = |line: &str| format!("rc=0; {line} || rc=$?\ncase $rc in 0|9) ;; *) exit $rc;; esac");
    // The first night knows nothing of earlier ones, and says so with the code that pages somebody.
    job.does(&in_shell(&format!("{run} --require-history --yes")), 7);
    job.does(&in_shell(&format!("{run} --yes")), 0);
    let once = night.acts();
    assert_eq!(once, [(2, 3), (3, 8)].into());
    job.does(&in_shell(&format!("{run} --require-history --yes")), 0);
    assert_eq!(night.acts(), once, "what was done in the first night is not done again");
    let reports = fs::read_dir(night.bench.path("out")).expect("reports").count();
    assert_eq!(reports, 4, "two nights, two formats");
}

#[test]
fn lost_answers_are_looked_up_resolved_and_tried_again_and_what_is_open_is_polled() {
    let night = Night::new(Delay::None);
    let mut bob = night.person("bob");
    // Thirty-seven files in one act and seven in the other. The one that comes first is carried out, the other never is.
    let acts = vec![ScriptedAnswer::cut_after(), ScriptedAnswer::cut_before()];
    night.simulator.script(Script { acts, ..Script::default() });
    bob.does(&format!("{AD_HOC} --comment INC-7 --failure-budget 100% --yes"), 5);
    bob.does("quell show --needs-me", 0);
    let told = bob.last();
    assert!(told.contains("44 unknown") && told.contains("quell resolve"), "{told}");
    let ids: Vec<String> = night.simulator.ledger().entries.iter().map(|entry| entry.remediation_id.clone()).collect();
    let lost = if ids.len() == 37 { 2 } else { 1 };
    assert!(matches!(ids.len(), 7 | 37), "{}", ids.len());
    night.write("console.txt", &(ids.join("\n") + "\n"));
    bob.does("quell resolve --ids console.txt", 0);
    let note = "\"not in the console at 03:40\"";
    bob.does(&format!("quell resolve --batch {lost} --as not-carried-out --note {note}"), 0);
    bob.does("quell show --needs-me", 0);
    assert_eq!(bob.last(), "nothing needs you\n");
    let run = night.run("hits");
    bob.does(&format!("quell retry {run} --outcome unknown -o again.plan"), 0);
    bob.does("quell apply again.plan --yes", 0);
    assert_eq!(night.acts(), [(3, 44)].into());
    assert!(night.simulator.ledger().carried_out_more_than_once().is_empty());
}

#[test]
fn a_run_that_is_stopped_is_polled_by_a_token_that_cannot_act() {
    let night = Night::new(Delay::Fixed(Duration::from_secs(4)));
    let (mut alice, mut bob) = (night.person("alice"), night.person("bob"));
    let mut going = bob.starts(&format!("{AD_HOC} --comment INC-7 --waves 1,100% --yes"));
    assert!(going.wait_until(|| night.simulator.counters().posts == 1), "it has acted");
    alice.does("quell stop", 0);
    bob.ends(going, 6);
    fs::rename(night.bench.path("token"), night.bench.path("read-only")).expect("it is there");
    alice.does("quell poll --token-file read-only", 6);
    assert_eq!((night.acts(), night.simulator.counters().posts), ([(3, 1)].into(), 1));
    assert!(alice.last().contains("\n        1 succeeded\n"), "{}", alice.last());
}
