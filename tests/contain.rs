//! A playbook for the worst night over a thousand events: held as it is shipped, and once its guards were raised and it
//! was approved, carried out wave by wave in the order that it says. By the real binary, against the tenant's ledger.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;
#[path = "support/signers.rs"]
mod signers;

use bench::{Bench, Done};
use quell::engine::fact::What;
use quell::journal::RunReader;
use quell::simulator::{Delay, Entry, Fate, Options, Script, Simulator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

const HOSTS: usize = 300;
const SHA: &str = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
const KILL: i64 = 9001;
const QUARANTINE: i64 = 9002;
const ISOLATE: i64 = 9005;

/// The files of the walk-through: a tenant that answers at once, with the ceilings of theirs, and their playbook.
fn bench() -> (Bench, Simulator) {
    let settle = Delay::Fixed(Duration::from_millis(100));
    let (bench, simulator) = Bench::serving(Options { settle, ..Options::default() });
    let guards = shipped("tenants/prod-eu.yaml");
    let guards = guards.lines().find(|line| line.starts_with("guards: ")).expect("ceilings").to_owned();
    bench.change_tenant("name: simulator", &format!("name: prod-eu\n{guards}"));
    bench.change_tenant("deadline: 5m", "deadline: 4h");
    // Whoever reads the token leaves a trace.
    bench.change_tenant("token_command: [echo, any-token-will-do]", "token_command: [sh, token.sh]");
    fs::write(bench.path("token.sh"), "touch token-was-read; echo any").expect("a program");
    fs::write(bench.path("contain.yaml"), shipped("playbooks/contain.yaml")).expect("a playbook");
    fs::write(bench.path("allowed_signers"), signers::signer("alice@example.com", 1)).expect("who may approve");
    fs::write(bench.path("alice"), signers::key(1)).expect("a key");
    fs::write(bench.path("hits.csv"), export()).expect("events");
    (bench, simulator)
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/walkthrough").join(name);
    fs::read_to_string(path).expect("it is there")
}

fn host(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// A thousand events on 300 hosts: on each a process and a file with the hash, on a hundred of them a second such file,
/// and on each a file with another hash.
fn export() -> String {
    let detected = jiff::Timestamp::now();
    let mut csv = "Agent ID,Event ID,Type,Unique ID,PID,Detected,host,sha256\n".to_owned();
    let mut rows = 0_u64;
    let mut row = |n: usize, event: &str, kind: &str, pid: usize, sha: &str| {
        rows += 1;
        csv += &format!("{},{event}_{n},{kind},{},{pid},{detected},ws-{n},{sha}\n", host(n), 7_000_000_000_000 + rows);
    };
    for n in 0..HOSTS {
        row(n, "RTP", "PROCESS", 4_000 + n, SHA);
        row(n, "RTF", "FILE", 0, SHA);
        row(n, "RTX", "FILE", 0, &SHA.replace('5', "6"));
    }
    for n in 0..100 {
        row(n, "RTG", "FILE", 0, SHA);
    }
    assert_eq!(rows, 1_000);
    csv
}

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

/// What selects the plan.
fn selection() -> String {
    format!("contain.yaml --tenant tenant.yaml --events hits.csv --var ticket=INC-7 --var sha256={SHA}")
}

#[track_caller]
fn untouched(bench: &Bench, simulator: &Simulator) {
    assert_eq!((simulator.ledger().entries.len(), simulator.counters().posts, simulator.counters().gets), (0, 0, 0));
    assert!(!bench.path("token-was-read").exists(), "no token was read");
    assert!(!bench.state().exists(), "no run was begun");
}

#[test]
fn a_thousand_events_are_held_by_a_playbook_meant_for_few_and_it_says_what_raising_each_guard_takes() {
    let (bench, simulator) = bench();
    let holds = [
        "HELD by max_items: 1000 items, at most 200; raise it with guards: {max_items: 1000} in the playbook \
         (the tenant allows 1500)",
        "HELD by max_hosts: 300 hosts, at most 100; raise it with guards: {max_hosts: 300} in the playbook (the tenant \
         allows 300)",
        "HELD by max_irreversible: 300 items of irreversible actions, at most 50; raise it with guards: \
         {max_irreversible: 300} in the playbook (the tenant allows 300)",
        "HELD by max_per_action: 300 items of isolate-host, at most 50; the tenant allows no more than 50: take fewer, \
         or raise the tenant's guards first and then guards: {max_per_action: {isolate-host: 300}} in the playbook",
    ];
    let plan = quell(&bench, &format!("plan {} -o INC-7.plan", selection()));
    assert_eq!(plan.code, Some(3), "{}", plan.stderr);
    assert!(plan.stdout.contains("\n1000 items on 300 hosts, 300 of them irreversible\n"), "{}", plan.stdout);
    let held = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("HELD by ")).map(str::to_owned).collect()
    };
    assert_eq!(held(&plan.stdout), holds);
    let run = quell(&bench, &format!("run {} --yes --quiet", selection()));
    assert_eq!((run.code, held(&run.stderr)), (Some(3), holds.map(str::to_owned).to_vec()));
    // Nobody signs what nobody could carry out, and nobody carries it out.
    for (command, told) in [
        ("approve INC-7.plan --key alice --yes", "error: this plan is held, nothing was signed"),
        ("apply INC-7.plan --yes --operator bob", "error: this plan is held, nothing was sent"),
    ] {
        let done = quell(&bench, command);
        assert_eq!((done.code, done.stderr.lines().next()), (Some(3), Some(told)), "{}", done.stderr);
        assert_eq!(held(&done.stderr), holds);
    }
    assert!(!bench.path("INC-7.plan.sig").exists());
    untouched(&bench, &simulator);
}

/// The playbook with what the holds asked for, in the playbook and in the tenant, and a budget for a hard night.
fn raise(bench: &Bench) {
    let change = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replace(from, to)
    };
    let playbook = fs::read_to_string(bench.path("contain.yaml")).expect("a playbook");
    let guards = "guards: {max_per_host: 50, max_items: 1000, max_hosts: 300, max_irreversible: 300, \
                  max_per_action: {isolate-host: 300}}";
    let playbook = change(&playbook, "guards: {max_per_host: 50, max_irreversible: 50}", guards);
    let playbook = change(&playbook, "failure_budget: {count: 5,", "failure_budget: {count: 40,");
    fs::write(bench.path("contain.yaml"), playbook).expect("a playbook");
    bench.change_tenant("isolate-host: 50", "isolate-host: 300");
}

/// Hosts whose files cannot be put in quarantine: twelve, the first four of them with two files.
fn unclean() -> BTreeSet<String> {
    (0..HOSTS).filter(|n| n % 25 == 7).map(host).collect()
}

/// Hosts whose process cannot be killed.
fn unkilled() -> BTreeSet<String> {
    (0..HOSTS).filter(|n| n % 100 == 50).map(host).collect()
}

#[test]
fn raised_and_approved_it_cuts_off_exactly_the_hosts_whose_quarantine_failed_each_step_in_its_turn() {
    let (bench, simulator) = bench();
    raise(&bench);
    let failing = [("quarantine-file", unclean()), ("kill-process", unkilled())];
    let failing =
        failing.into_iter().flat_map(|(action, hosts)| hosts.into_iter().map(|host| (action.to_owned(), host)));
    let failing = failing.collect();
    simulator.script(Script { failing, ..Script::default() });
    let plan = quell(&bench, &format!("plan {} -o INC-7.plan", selection()));
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
    for line in [
        "1000 items on 300 hosts, 300 of them irreversible",
        "approval: 1 signature needed, not the operator's, at most 24h old: plan.hosts > 10",
        "worst case before a stop: 4 items on 1 target in wave 1, 41 items after it",
    ] {
        assert!(plan.stdout.contains(&format!("\n{line}\n")), "{line:?} is not in {}", plan.stdout);
    }
    let held = quell(&bench, "apply INC-7.plan --yes --operator bob");
    assert_eq!(held.code, Some(3), "{}", held.stderr);
    assert!(held.stderr.contains("INC-7.plan is not approved: 0 of 1 approval\nnothing was sent"), "{}", held.stderr);
    untouched(&bench, &simulator);
    let signed = quell(&bench, "approve INC-7.plan --key alice --yes --note INC-7");
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    untouched(&bench, &simulator);

    let apply = "apply INC-7.plan --yes --quiet --operator bob --report json=r.json --report html=r.html";
    let mut going = bench.start(bench.quell(&apply.split(' ').collect::<Vec<_>>()));
    let asks = || quell(&bench, "show").stdout.contains("the next one waits for a person");
    assert!(going.wait_until(|| simulator.counters().gets >= 3 && asks()), "wave 2 waits for a person");
    let first_wave = simulator.ledger().entries.len();
    assert_eq!(first_wave, 3, "one host: its process and its two files");
    assert_eq!(quell(&bench, "promote --operator carol").code, Some(0));
    let done = going.wait();
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
    let report = bench.report("r.json");
    bench.check_truth(&report);
    assert!(simulator.ledger().carried_out_more_than_once().is_empty());
    check_ledger(&simulator.ledger().entries, first_wave);
    check_journal(&bench.state());
    check_items(&report);
    check_explanations(&report, &done.stdout, &fs::read_to_string(bench.path("r.html")).expect("a report"));
}

/// What was carried out on each host, in the order in which it came, and that each came after what it waits for.
fn check_ledger(entries: &[Entry], first_wave: usize) {
    let mut hosts: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        hosts.entry(&entry.item.agent_id).or_default().push(entry);
    }
    assert_eq!(hosts.len(), HOSTS);
    for n in 0..HOSTS {
        let (agent, entries) = (host(n), &hosts[host(n).as_str()]);
        let actions: Vec<i64> = entries.iter().map(|entry| entry.item.action_id).collect();
        let mut expected = vec![KILL, QUARANTINE];
        expected.extend((n < 100).then_some(QUARANTINE));
        expected.extend(unclean().contains(&agent).then_some(ISOLATE));
        assert_eq!(actions, expected, "{agent}");
        for (before, after) in entries.iter().zip(&entries[1..]) {
            if before.item.action_id != after.item.action_id {
                let settled = entries.iter().filter(|entry| entry.item.action_id == before.item.action_id);
                let settled = settled.map(|entry| entry.settles_ms.expect("everything settles here")).max();
                assert!(settled <= Some(after.accepted_ms), "{agent}: {after:?} came before {settled:?}");
            }
        }
        let failed: Vec<i64> =
            entries.iter().filter(|entry| entry.fate == Fate::Fails).map(|entry| entry.item.action_id).collect();
        let mut expected = if unkilled().contains(&agent) { vec![KILL] } else { vec![] };
        expected.extend(actions.iter().filter(|action| unclean().contains(&agent) && **action == QUARANTINE));
        assert_eq!(failed, expected, "{agent}");
    }
    let (first, second) = entries.split_at(first_wave);
    assert!(first.iter().all(|entry| entry.item.agent_id == host(0)), "wave 1 is the host that the events name first");
    assert!(second.iter().all(|entry| entry.item.agent_id != host(0)));
    let settled = first.iter().filter_map(|entry| entry.settles_ms).max();
    let begins = second.iter().map(|entry| entry.accepted_ms).min();
    assert!(settled <= begins, "wave 1 had settled at {settled:?}, and wave 2 began at {begins:?}");
    let repeated = second.chunk_by(|a, b| a.batch == b.batch).any(|batch| {
        let agents: BTreeSet<&str> = batch.iter().map(|entry| entry.item.agent_id.as_str()).collect();
        agents.len() != batch.len()
    });
    assert!(!repeated, "a batch holds one item of a host at most");
}

/// quell itself knew that the quarantine had failed when it began to cut a host off, and knew nothing open of wave 1 when
/// it opened wave 2.
fn check_journal(state: &Path) {
    let reader = RunReader::open(state, None).expect("the run");
    let mut items = BTreeMap::new();
    reader
        .for_each_item(|row| {
            let step = reader.header().steps[usize::from(row.step)].name.clone();
            items.insert(row.item, (step, row.event.agent_id.to_string()));
            Ok(())
        })
        .expect("the items");
    let (mut open, mut settled, mut cut_off, mut promoted) = (0_i64, BTreeMap::<String, usize>::new(), 0, 0);
    let walked = reader.for_each_fact(|fact| {
        match &fact.what {
            What::Submitting { items: sent, .. } => {
                open += sent.len() as i64;
                for (step, agent) in sent.iter().map(|item| &items[&item.0]) {
                    let files = if *agent < host(100) { 2 } else { 1 };
                    let is_due = step != "isolate" || settled.get(agent) == Some(&files);
                    assert!(is_due, "{agent} is cut off before its quarantine was known to have failed");
                    cut_off += usize::from(step == "isolate");
                }
            }
            What::Settled { item, .. } => {
                open -= 1;
                let (step, agent) = &items[&item.0];
                *settled.entry(agent.clone()).or_default() += usize::from(step == "quarantine");
            }
            What::Promoted { .. } => {
                assert_eq!(open, 0, "what wave 1 had sent is settled");
                promoted += 1;
            }
            _ => {}
        }
        Ok(())
    });
    walked.expect("the chain of facts is whole");
    assert_eq!((open, cut_off, promoted), (0, 12, 1));
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}

/// Outcome and reason of every item, counted.
fn check_items(report: &Value) {
    let mut counts: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for item in report["items"].as_array().expect("items") {
        *counts.entry((text(item, "step"), text(item, "outcome"), text(item, "reason"))).or_default() += 1;
        let (agent, failed) = (text(item, "agent_id").to_owned(), text(item, "outcome") == "failed");
        match text(item, "step") {
            "kill" => assert_eq!(failed, unkilled().contains(&agent), "{item}"),
            "quarantine" => assert_eq!(failed, unclean().contains(&agent), "{item}"),
            _ => assert_eq!(text(item, "outcome") == "succeeded", unclean().contains(&agent), "{item}"),
        }
        if failed {
            assert_eq!(text(item, "status"), "failed", "it is said what the API said: {item}");
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|((step, outcome, reason), n)| format!("{n} {step} {outcome}: {reason}")).collect();
    insta::assert_snapshot!(counts.join("\n"));
    let summary = &report["summary"];
    assert_eq!((summary["rows"].as_u64(), summary["items"].as_u64()), (Some(1_000), Some(1_000)));
    assert_eq!(summary["rows_without_item"], 300);
    let reasons: BTreeSet<&str> =
        report["rows_without_item"].as_array().expect("rows").iter().map(|row| text(row, "reason")).collect();
    let reasons: Vec<&str> = reasons.into_iter().collect();
    assert_eq!(
        reasons,
        ["no step selects it: kill does not take FILE, quarantine: its filter says no, isolate goes once for its \
             target, by another row"]
    );
    let outcomes = &summary["outcomes"];
    let [succeeded, failed, skipped] = ["succeeded", "failed", "skipped"].map(|name| outcomes[name].as_u64());
    assert_eq!((succeeded, failed, skipped), (Some(693), Some(19), Some(288)), "{outcomes}");
}

/// The report says by itself how it came to all this: in JSON, on the terminal, and on its page.
fn check_explanations(report: &Value, shown: &str, page: &str) {
    let summary = &report["summary"];
    assert_eq!((summary["waves"]["begun"].as_u64(), summary["waves"]["all"].as_u64()), (Some(2), Some(2)));
    assert_eq!(summary["waves"]["opened"], serde_json::json!(["wave 2 by carol"]));
    let approval = summary["approvals"][0].as_str().expect("one approval");
    assert!(approval.starts_with("alice@example.com, given "), "{approval}");
    let raised =
        ["max_items 200 → 1000 (playbook)", "max_hosts 100 → 300 (playbook)", "max_irreversible 0 → 300 (playbook)"];
    assert_eq!(summary["raised"], serde_json::json!(raised));
    assert_eq!((text(&report["run"], "operator"), report["run"]["exit_code"].as_u64()), ("bob", Some(4)));
    for (kind, said) in [("text", shown), ("HTML", page)] {
        for words in ["2 of 2 began", "wave 2 by carol", "alice@example.com, given ", "bob", "693", "19", "288"]
            .into_iter()
            .chain(raised)
        {
            assert!(said.contains(words), "the {kind} report does not say {words:?}: {said}");
        }
    }
}
