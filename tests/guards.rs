//! What holds a run, on the real binary against a simulated tenant: each refusal leaves its ledger empty, reads no token
//! and touches no journal; and what is left out stands in the report with its reason.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod bench;

use bench::{Bench, Done};
use quell::simulator::{Delay, Options, Simulator};
use serde_json::Value;
use std::fs;

/// Ten file events, one on each of ten hosts: `host-0` to `host-9`.
fn bench() -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(10);
    // Whoever reads the token leaves a trace.
    bench.change_tenant("token_command: [echo, any-token-will-do]", "token_command: [tee, token-was-read]");
    fs::write(bench.path("hosts.txt"), "# all of them\nagent-1\nagent-2 # the second\n\nagent-1\n").expect("a list");
    (bench, simulator)
}

fn playbook(bench: &Bench, name: &str, action: &str, more: &str) {
    let text = format!(
        "version: 1\nname: p\ntenant: simulator\nevents: [{{file: events.csv}}]\n\
         steps: [{{name: s, action: {action}}}]\n{more}\n"
    );
    fs::write(bench.path(name), text).expect("a playbook");
}

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

/// A dry run shows all of it and exits 3, and so does the run, which sends nothing, reads no token and begins nothing.
fn check_held((bench, simulator): &(Bench, Simulator), arguments: &str, holds: &[&str]) {
    let arguments = format!("{arguments} --tenant tenant.yaml");
    let dry = quell(bench, &format!("plan {arguments}"));
    assert_eq!(dry.code, Some(3), "{arguments}: {}{}", dry.stdout, dry.stderr);
    for format in ["text", "markdown", "json"] {
        let shown = quell(bench, &format!("plan {arguments} --format {format}"));
        let whole = if format == "json" { "\"rows_without_item\":[]}\n" } else { "nothing was sent" };
        assert!(shown.code == Some(3) && shown.stdout.contains(whole), "{arguments}: {}", shown.stdout);
    }
    let run = quell(bench, &format!("run {arguments} --yes --quiet"));
    assert_eq!(run.code, Some(3), "{arguments}: {}", run.stderr);
    for hold in holds {
        assert!(dry.stdout.contains(&format!("\nHELD by {hold}\n")), "{arguments}: {}", dry.stdout);
    }
    let told: Vec<&str> = run.stderr.lines().collect();
    let expected: Vec<String> = std::iter::once("error: this plan is held, nothing was sent".to_owned())
        .chain(holds.iter().map(|hold| format!("HELD by {hold}")))
        .collect();
    assert_eq!(told, expected, "{arguments}");
    untouched(bench, simulator, &arguments);
}

fn untouched(bench: &Bench, simulator: &Simulator, what: &str) {
    assert_eq!(simulator.ledger().entries.len(), 0, "{what}");
    assert_eq!(simulator.counters().posts, 0, "{what}");
    assert!(!bench.state().exists(), "{what}: no journal was begun");
    assert!(!bench.path("token-was-read").exists(), "{what}: no token was read");
}

#[test]
fn each_guard_holds_a_run_of_an_events_file_and_nothing_is_sent() {
    let world = bench();
    for (guards, hold) in [
        ("--max-items 9", "max_items: 10 items, at most 9; raise it with --max-items 10"),
        ("--max-hosts 9", "max_hosts: 10 hosts, at most 9; raise it with --max-hosts 10"),
        (
            "--max-per-host 0",
            "max_per_host: 1 item on the host 00000000-0000-4000-8000-000000000000, at most 0; raise it with \
             --max-per-host 1",
        ),
        (
            "--max-per-action quarantine-file=9",
            "max_per_action: 10 items of quarantine-file, at most 9; raise it with \
          --max-per-action quarantine-file=10",
        ),
        (
            "--max-percent-of 99=10%",
            "max_percent_of: 10 hosts where 10% of 99 are allowed, at most 9; raise it with \
          --max-percent-of 99=11",
        ),
        (
            "--max-percent-of hosts.txt=50",
            "max_percent_of: 10 hosts where 50% of 2 in hosts.txt are allowed, at most 1; \
          there are more hosts than it is a share of: count those that there are, and correct `of`",
        ),
    ] {
        check_held(&world, &format!("events.csv --action quarantine-file {guards}"), &[hold]);
    }
    check_held(
        &world,
        "events.csv --action delete-file",
        &["max_irreversible: 10 items of irreversible actions, at most 0; raise it with --max-irreversible 10"],
    );
}

#[test]
fn each_guard_holds_a_run_of_a_playbook_and_nothing_is_sent() {
    let world = bench();
    for (action, guards, hold) in [
        ("quarantine-file", "{max_items: 9}", "max_items: 10 items, at most 9; raise it with guards: {max_items: 10}"),
        ("quarantine-file", "{max_hosts: 9}", "max_hosts: 10 hosts, at most 9; raise it with guards: {max_hosts: 10}"),
        (
            "quarantine-file",
            "{max_per_action: {quarantine-file: 0}}",
            "max_per_action: 10 items of quarantine-file, at most 0; raise it with guards: {max_per_action: \
             {quarantine-file: 10}}",
        ),
        (
            "quarantine-file",
            "{max_percent_of: {of: hosts.txt, percent: 99%}}",
            "max_percent_of: 10 hosts where 99% of 2 in hosts.txt are allowed, at most 1; there are more hosts than \
             it is a share of: count those that there are, and correct `of`",
        ),
        (
            "delete-file",
            "{}",
            "max_irreversible: 10 items of irreversible actions, at most 0; raise it with guards: {max_irreversible: 10}",
        ),
    ] {
        playbook(&world.0, "p.yaml", action, &format!("guards: {guards}"));
        let place = if hold.contains("raise it with") { " in the playbook" } else { "" };
        check_held(&world, "p.yaml", &[&format!("{hold}{place}")]);
    }
}

#[test]
fn the_tenants_ceilings_bind_playbooks_and_flags() {
    let (bench, simulator) = bench();
    bench.change_tenant("statuses:", "guards: {max_items: 5, max_per_action: {quarantine-file: 3}}\nstatuses:");
    let world = (bench, simulator);
    check_held(
        &world,
        "events.csv --action quarantine-file",
        &[
            "max_items: 10 items, at most 5; the tenant allows no more than 5: take fewer, or raise the tenant's guards \
             first and then --max-items 10",
            "max_per_action: 10 items of quarantine-file, at most 3; the tenant allows no more than 3: take fewer, or \
             raise the tenant's guards first and then --max-per-action quarantine-file=10",
        ],
    );
    let (bench, simulator) = world;
    playbook(&bench, "p.yaml", "quarantine-file", "guards: {max_items: 10}");
    for command in [
        "run p.yaml --tenant tenant.yaml --yes",
        "run events.csv --action quarantine-file --max-items 10 --tenant tenant.yaml --yes",
    ] {
        let done = quell(&bench, command);
        assert_eq!(done.code, Some(2), "{command}: {}", done.stderr);
        assert!(
            done.stderr.contains("`max_items` (10) is more than the tenant simulator allows, 5"),
            "{}",
            done.stderr
        );
        untouched(&bench, &simulator, command);
    }
}

#[test]
fn what_is_raised_is_carried_out_and_a_retry_keeps_it() {
    let (bench, simulator) = bench();
    bench.change_tenant("token_command: [tee, token-was-read]", "token_command: [echo, any]");
    let command = "run events.csv --action delete-file --tenant tenant.yaml --yes --quiet --report json=r.json";
    let done = quell(&bench, &format!("{command} --max-per-action delete-file=10"));
    assert_eq!((done.code, simulator.ledger().entries.len()), (Some(0), 10), "{}", done.stderr);
}

#[test]
fn what_is_protected_holds_a_run_or_is_refused_where_it_is_named() {
    let (bench, simulator) = bench();
    fs::create_dir(bench.path("protected")).expect("a folder");
    let core = "version: 1\nrules:\n- {name: the first, host: [HOST-0]}\n- {name: the agent, agent_id: [no-one]}\n";
    fs::write(bench.path("protected/core.yaml"), core).expect("rules");
    bench.change_tenant("statuses:", "protected: {files: [protected/core.yaml]}\nstatuses:");
    let world = (bench, simulator);
    check_held(
        &world,
        "events.csv --action quarantine-file",
        &["protected \"the first\": 1 item (row 1); leave their agents out by a filter on agent_id"],
    );
    playbook(&world.0, "p.yaml", "quarantine-file", "protected: {rules: [{name: mine, host: ['host-?'], tag: [x]}]}");
    check_held(
        &world,
        "p.yaml",
        &[
            "protected \"the first\": 1 item (row 1); leave their agents out by a filter on agent_id, or have them blocked with protected: \
             {on_match: skip}",
            "protected \"mine\": 9 items (rows 2, 3, 4, 5, 6, …); all for want of tags, where only `if_missing: ignore` in \
             the rule would let them pass; leave their agents out by a filter on agent_id, or have them blocked with protected: \
             {on_match: skip}",
        ],
    );
    let (bench, simulator) = world;
    for (core, told) in [
        ("version: 1\nrules: [{name: n, hosts: [a]}]\n", "--> protected/core.yaml:2:19"),
        ("version: 2\nrules: []\n", "version 2 is unknown"),
        ("", "protected/core.yaml"),
    ] {
        fs::write(bench.path("protected/core.yaml"), core).expect("rules");
        let done = quell(&bench, "run events.csv --action quarantine-file --tenant tenant.yaml --yes");
        assert!(done.code == Some(2) && done.stderr.contains(told), "{core}: {}", done.stderr);
        untouched(&bench, &simulator, core);
    }
    fs::remove_file(bench.path("protected/core.yaml")).expect("it was there");
    let done = quell(&bench, "run events.csv --action quarantine-file --tenant tenant.yaml --yes");
    let told = "error: protected/core.yaml cannot be read: there is no such file\n--> tenant.yaml:";
    assert!(done.code == Some(2) && done.stderr.starts_with(told), "{}", done.stderr);
    untouched(&bench, &simulator, "no file of rules");
}

#[test]
fn lists_of_hosts_are_read_or_refused() {
    let (bench, simulator) = bench();
    for (list, told) in [
        ("agent 1\n", "hosts.txt:1: \nan agent id is"),
        ("# nobody\n\n", "no agent id stands in this file"),
        ("agent-ü\n", "an agent id is 1 to 256 printable ASCII characters without spaces"),
    ] {
        fs::write(bench.path("hosts.txt"), list).expect("a list");
        for command in [
            "run events.csv --action quarantine-file --tenant tenant.yaml --yes --hosts hosts.txt",
            "run events.csv --action quarantine-file --tenant tenant.yaml --yes --max-percent-of hosts.txt=10",
        ] {
            let done = quell(&bench, command);
            let told = told.rsplit('\n').next().expect("a text");
            assert!(done.code == Some(2) && done.stderr.contains(told), "{list}: {}", done.stderr);
            untouched(&bench, &simulator, list);
        }
    }
    fs::remove_file(bench.path("hosts.txt")).expect("it was there");
    for command in ["--hosts hosts.txt", "--max-percent-of hosts.txt=10"] {
        let done =
            quell(&bench, &format!("run events.csv --action quarantine-file --tenant tenant.yaml --yes {command}"));
        assert!(done.code == Some(2) && done.stderr.contains("there is no such file"), "{}", done.stderr);
        untouched(&bench, &simulator, command);
    }
}

/// The rows without an item, by their reason, and how many items there are.
fn left_out(bench: &Bench, arguments: &str) -> (u64, Vec<(String, Vec<u64>)>, String) {
    let done = quell(bench, &format!("plan {arguments} --tenant tenant.yaml --format json"));
    assert_eq!(done.code, Some(0), "{arguments}: {}{}", done.stdout, done.stderr);
    let plan: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let mut reasons: Vec<(String, Vec<u64>)> = Vec::new();
    for row in plan["rows_without_item"].as_array().expect("rows") {
        let (reason, row) = (row["reason"].as_str().expect("a reason"), row["row"].as_u64().expect("a number"));
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, rows)) => rows.push(row),
            None => reasons.push((reason.to_owned(), vec![row])),
        }
    }
    (plan["counts"]["items"].as_u64().expect("a count"), reasons, done.stderr)
}

#[test]
fn what_is_left_out_stands_in_the_plan_with_its_reason() {
    let (bench, _) = bench();
    let agent = |n: usize| format!("00000000-0000-4000-8000-{n:012x}");
    let list = format!("{} # the first\n{}\nnobody\n", agent(0), agent(7));
    fs::write(bench.path("hosts.txt"), list).expect("a list");
    playbook(&bench, "p.yaml", "quarantine-file", "");
    let reason = |text: &str, rows: &[u64]| (text.to_owned(), rows.to_vec());
    for work in ["p.yaml", "events.csv --action quarantine-file"] {
        let (items, reasons, told) = left_out(&bench, &format!("{work} --hosts hosts.txt"));
        assert_eq!(
            (items, reasons),
            (2, vec![reason("left out: not in --hosts hosts.txt", &[2, 3, 4, 5, 6, 7, 9, 10])])
        );
        assert_eq!(told, "1 id of --hosts hosts.txt is in no row: nobody\n");
        let (items, reasons, _) = left_out(&bench, &format!("{work} --limit 8"));
        assert_eq!((items, reasons), (8, vec![reason("left out: --limit 8", &[9, 10])]));
    }
    let (items, reasons, told) = left_out(&bench, "p.yaml --where host.endsWith('1')||host>='host-8' --limit 2");
    let no = reason("left out: --where says no", &[1, 3, 4, 5, 6, 7, 8]);
    assert_eq!((items, reasons, told.as_str()), (2, vec![no, reason("left out: --limit 2", &[10])], ""));
    // In a playbook whose step has two filters' worth of a say, its own comes first.
    let own = "version: 1\nname: p\nevents: [{file: events.csv}]\n\
               steps: [{name: s, action: quarantine-file, where: 'host != \"host-0\"'}]\n";
    fs::write(bench.path("own.yaml"), own).expect("a playbook");
    let (items, reasons, _) = left_out(&bench, "own.yaml --where host<'host-2'");
    let says_no = reason("no step selects it: s: its filter says no", &[1]);
    assert_eq!((items, reasons), (1, vec![says_no, reason("left out: --where says no", &[3, 4, 5, 6, 7, 8, 9, 10])]));
    for (flags, told) in [
        ("--where hots=='a'", "did you mean `host`?"),
        (
            "--where host",
            "--where cannot judge 10 rows: the filter gives text, not true or false (rows 1, 2, 3, 4, 5, …)",
        ),
        ("--limit 0", "0 is not in 1.."),
    ] {
        let done = quell(&bench, &format!("plan p.yaml {flags} --tenant tenant.yaml"));
        assert!(done.code == Some(2) && done.stderr.contains(told), "{flags}: {}", done.stderr);
    }
}

#[test]
fn a_report_names_every_row_that_was_left_out() {
    let (bench, simulator) = bench();
    bench.change_tenant("token_command: [tee, token-was-read]", "token_command: [echo, any]");
    playbook(&bench, "p.yaml", "quarantine-file", "");
    let done = quell(&bench, "run p.yaml --tenant tenant.yaml --yes --quiet --limit 4 --report json=r.json");
    assert_eq!((done.code, simulator.ledger().entries.len()), (Some(0), 4), "{}", done.stderr);
    let report = bench.report("r.json");
    let rows = report["rows_without_item"].as_array().expect("rows");
    assert!(rows.len() == 6 && rows.iter().all(|row| row["reason"] == "left out: --limit 4"), "{rows:?}");
    bench.check_truth(&report);
}

#[test]
fn what_is_blocked_is_never_sent_and_the_rest_is_carried_out() {
    let (bench, simulator) = bench();
    bench.change_tenant("token_command: [tee, token-was-read]", "token_command: [echo, any]");
    let rules = "protected: {on_match: skip, rules: [{name: the even ones, host: [host-0, host-2]}]}";
    bench.change_tenant("statuses:", &format!("{rules}\nstatuses:"));
    let dry = quell(&bench, "plan events.csv --action quarantine-file --tenant tenant.yaml");
    assert_eq!(dry.code, Some(0), "{}", dry.stdout);
    assert!(dry.stdout.contains("\n2 items are blocked, never sent, by \"the even ones\"\n"), "{}", dry.stdout);
    let done = quell(
        &bench,
        "run events.csv --action quarantine-file --tenant tenant.yaml --yes --quiet --report json=r.json --max-items 8",
    );
    assert_eq!((done.code, simulator.ledger().entries.len()), (Some(4), 8), "{}{}", done.stdout, done.stderr);
    let report = bench.report("r.json");
    let blocked: Vec<&Value> =
        report["items"].as_array().expect("items").iter().filter(|item| item["outcome"] == "blocked").collect();
    let rows: Vec<u64> = blocked.iter().filter_map(|item| item["row"].as_u64()).collect();
    assert_eq!(rows, [1, 3]);
    assert!(blocked.iter().all(|item| item["reason"] == "protected by the rule the even ones"), "{blocked:?}");
    bench.check_truth(&report);
}

#[test]
fn a_retry_and_an_undo_are_judged_by_what_the_tenant_protects_today() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(4);
    let run = "run events.csv --action quarantine-file --tenant tenant.yaml --yes --quiet";
    assert_eq!(quell(&bench, run).code, Some(0));
    let runs = quell(&bench, "runs").stdout;
    let name = runs.split_whitespace().next().expect("a run").to_owned();
    let undo = format!("undo {name} -o u.plan");
    assert_eq!(quell(&bench, &undo).code, Some(0), "nothing was protected yet");
    fs::write(bench.path("core.yaml"), "version: 1\nrules: [{name: the first, host: [HOST-0]}]\n").expect("rules");
    bench.change_tenant("statuses:", "protected: {files: [core.yaml]}\nstatuses:");
    let held = quell(&bench, &undo);
    let hold = "HELD by protected \"the first\": 1 item (row 1); the tenant protects it today";
    assert!(held.code == Some(3) && held.stderr.contains(hold), "{}{}", held.stdout, held.stderr);
    let apply = quell(&bench, "apply u.plan --yes --quiet");
    assert!(apply.code == Some(3) && apply.stderr.contains(hold), "{}", apply.stderr);
    // Where the tenant has it skipped, the rest is undone.
    bench.change_tenant("protected: {files", "protected: {on_match: skip, files");
    assert_eq!(quell(&bench, &undo).code, Some(0));
    assert_eq!(simulator.ledger().entries.len(), 4);
    // What the plan was judged by must still be there.
    fs::write(bench.path("core.yaml"), "version: 1\nrules: [{name: the first, host: [HOST-?]}]\n").expect("rules");
    let apply = quell(&bench, "apply u.plan --yes --quiet");
    assert!(apply.code == Some(3) && apply.stderr.contains("protected core.yaml was "), "{}", apply.stderr);
    fs::write(bench.path("core.yaml"), "version: 1\nrules: [{name: the first, host: [HOST-0]}]\n").expect("rules");
    assert_eq!(quell(&bench, &undo).code, Some(0));
    let apply = quell(&bench, "apply u.plan --yes --quiet --report json=u.json");
    assert_eq!((apply.code, simulator.ledger().entries.len()), (Some(4), 7), "{}", apply.stderr);
    assert_eq!(bench.report("u.json")["summary"]["outcomes"]["blocked"], 1);
    // A tenant file that is wrong is told; where there is none, or another tenant's, nothing is planned.
    let undone = quell(&bench, "runs").stdout.split_whitespace().next().expect("a run").to_owned();
    bench.change_tenant("protected: {", "x-protected: {");
    let broken = quell(&bench, &format!("undo {undone} -o again.plan"));
    assert!(broken.code == Some(2) && broken.stderr.contains("x-protected"), "{}", broken.stderr);
    fs::rename(bench.path("tenant.yaml"), bench.path("moved.yaml")).expect("it is there");
    for (there, why) in [(false, "there is no tenant.yaml here"), (true, "tenant.yaml is another tenant's")] {
        if there {
            let moved = fs::read_to_string(bench.path("moved.yaml")).expect("it is there");
            let other = moved.replace("x-protected: {", "protected: {").replacen("name: ", "name: other-", 1);
            fs::write(bench.path("tenant.yaml"), other).expect("it is written");
        }
        let again = quell(&bench, &format!("undo {undone} -o again.plan"));
        let held = format!("protects today is not known: {why}; nothing was sent\nhelp: give --tenant FILE");
        assert!(again.code == Some(3) && again.stderr.contains(&held), "{}", again.stderr);
        assert!(!bench.path("again.plan").exists());
    }
    let moved = fs::read_to_string(bench.path("moved.yaml")).expect("it is there");
    fs::write(bench.path("moved.yaml"), moved.replace("x-protected: {", "protected: {")).expect("it is written");
    let again = quell(&bench, &format!("undo {undone} -o again.plan --tenant moved.yaml"));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}

#[test]
fn a_retry_from_where_no_tenant_file_is_acts_only_once_one_is_given() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, fail_percent: 100.0, ..Options::default() });
    bench.events(3);
    assert_eq!(bench.done(bench.run(&["--quiet"])).code, Some(4));
    fs::rename(bench.path("tenant.yaml"), bench.path("moved.yaml")).expect("it is there");
    let retry = quell(&bench, "retry events --outcome failed --yes --quiet");
    assert_eq!((retry.code, simulator.ledger().entries.len()), (Some(3), 3), "{}", retry.stderr);
    assert!(retry.stderr.contains("help: give --tenant FILE"), "{}", retry.stderr);
    let retry = quell(&bench, "retry events --outcome failed --yes --quiet --tenant moved.yaml");
    assert_eq!((retry.code, simulator.ledger().entries.len()), (Some(4), 6), "{}", retry.stderr);
}

#[test]
fn a_retry_of_what_is_protected_by_now_is_held() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, fail_percent: 100.0, ..Options::default() });
    bench.events(3);
    assert_eq!(bench.done(bench.run(&["--quiet"])).code, Some(4));
    bench.change_tenant("statuses:", "protected: {rules: [{name: last, host: [host-2]}]}\nstatuses:");
    let retry = quell(&bench, "retry events --outcome failed --yes --quiet");
    assert_eq!((retry.code, simulator.ledger().entries.len()), (Some(3), 3), "{}", retry.stderr);
    assert!(retry.stderr.contains("HELD by protected \"last\": 1 item (row 3)"), "{}", retry.stderr);
    bench.change_tenant("protected: {", "protected: {on_match: skip, ");
    let retry = quell(&bench, "retry events --outcome failed --yes --quiet");
    assert_eq!((retry.code, simulator.ledger().entries.len()), (Some(4), 5), "{}", retry.stderr);
}
