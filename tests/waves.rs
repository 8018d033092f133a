//! Runs that are released bit by bit and stopped from outside: waves, gates, the failure budget, stop files, `quell stop`
//! and `quell promote`. Each by the real binary, held against the tenant's ledger.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests script the tenant")]
mod bench;

use bench::{Bench, Done};
use quell::simulator::{Delay, Options, Simulator};
use serde_json::Value;
use std::fs;
use std::time::Duration;

fn options() -> Options {
    Options { settle: Delay::None, ..Options::default() }
}

/// A tenant, `events.csv` with so many hosts, and a playbook that quarantines and says this of its release.
fn bench(options: Options, hosts: usize, release: &str) -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(options);
    bench.events(hosts);
    let playbook = format!(
        "version: 1\nname: sweep\nevents: [{{file: events.csv}}]\n\
         steps: [{{name: quarantine, action: quarantine-file}}]\n{release}\n"
    );
    fs::write(bench.path("sweep.yaml"), playbook).expect("a playbook");
    (bench, simulator)
}

const RUN: [&str; 6] = ["run", "sweep.yaml", "--tenant", "tenant.yaml", "--yes", "--quiet"];

fn run(bench: &Bench) -> Done {
    bench.done(bench.quell(&[&RUN[..], &["--operator", "alice", "--report", "json=r.json"]].concat()))
}

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

fn count(report: &Value, outcome: &str) -> u64 {
    report["summary"]["outcomes"][outcome].as_u64().expect("a count")
}

fn newest(bench: &Bench) -> String {
    let runs = quell(bench, "runs").stdout;
    runs.split_whitespace().next().expect("a run").to_owned()
}

fn report(bench: &Bench) -> Value {
    serde_json::from_str(&quell(bench, "report --format json").stdout).expect("JSON")
}

fn carried_out(bench: &Bench) -> usize {
    bench.ledger()["entries"].as_array().expect("entries").len()
}

#[test]
fn a_wave_that_fails_keeps_the_next_one_back_until_a_person_says_why_it_may_begin() {
    let failing = Options { fail_percent: 100.0, ..options() };
    let (bench, _simulator) = bench(failing, 10, "waves: [1, 100%]\nfailure_budget: {percent: 100}");
    let done = run(&bench);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert_eq!(carried_out(&bench), 1);
    let told = report(&bench);
    assert_eq!((count(&told, "failed"), count(&told, "not_started")), (1, 9));
    assert_eq!(told["summary"]["waves"]["begun"], 1);
    assert_eq!(told["run"]["stopped"], "gate");
    let next = done.stdout.lines().find(|line| line.starts_with("next: ")).expect("what goes on");
    assert!(next.starts_with("next: quell promote ") && next.ends_with(" --reason TEXT"), "{next}");

    let held = quell(&bench, "promote");
    assert_eq!(held.code, Some(3), "{}", held.stderr);
    assert!(held.stderr.contains("wave 2 of 2") && held.stderr.contains("1 of 1 released items"), "{}", held.stderr);
    assert_eq!(carried_out(&bench), 1);
    let done = bench.done(bench.quell(&["promote", "--reason", "the first host was off", "--operator", "bob"]));
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
    assert_eq!(carried_out(&bench), 10);
    let told = report(&bench);
    bench.check_truth(&told);
    let opened = told["summary"]["waves"]["opened"][0].as_str().expect("who opened it");
    assert_eq!(opened, "wave 2 by bob, although its conditions did not hold: the first host was off");
    assert_eq!(quell(&bench, "promote").code, Some(2), "nothing waits any more");
}

/// The table at the end of `docs/waves.md`: exit codes of `resume`, of it with `--continue`, and of `promote` without and
/// with a reason, one after the other, and how many acts there were at last.
#[test]
fn what_resume_continue_and_promote_do_after_a_stop_is_what_the_page_says() {
    let failing = || Options { fail_percent: 100.0, ..options() };
    let all = "failure_budget: {percent: 100}";
    for (of, options, release, codes, acts) in [
        ("the gate", failing(), format!("waves: [1, 100%]\n{all}"), [6, 2, 3, 4], 6),
        (
            "confirm_within",
            options(),
            format!("waves: [1, 100%]\npromote: {{confirm_within: 1s}}\n{all}"),
            [6, 2, 0, 2],
            6,
        ),
        ("the budget", failing(), "waves: [3, 100%]\nfailure_budget: {count: 1}".to_owned(), [6, 6, 3, 4], 6),
    ] {
        let (bench, _simulator) = bench(options, 6, &release);
        let done = run(&bench);
        assert_eq!(done.code, Some(6), "{of}: {}{}", done.stdout, done.stderr);
        // The budget is lifted by `--continue`, and the gate behind it by a reason.
        let go_on: &[&str] = &["resume", "--continue", "--reason", "known", "--quiet"];
        let steps: [&[&str]; 4] =
            [&["resume", "--quiet"], go_on, &["promote", "--quiet"], &["promote", "--reason", "known", "--quiet"]];
        let done = steps.map(|step| bench.done(bench.quell(step)));
        let said: Vec<&str> = done.iter().map(|done| done.stderr.as_str()).collect();
        assert_eq!(done.each_ref().map(|done| done.code), codes.map(Some), "{of}: {said:#?}");
        assert_eq!(carried_out(&bench), acts, "{of}");
    }
}

#[test]
fn a_strict_budget_stops_at_the_failure_that_the_plan_names() {
    let failing = Options { fail_percent: 100.0, ..options() };
    let budget = "failure_budget: {percent: 10, min_settled: 0, strict: true}";
    let (bench, _simulator) = bench(failing, 50, budget);
    let plan = quell(&bench, "plan sweep.yaml --tenant tenant.yaml");
    assert!(plan.stdout.contains("failure budget: 10% of the items, 5 failures tolerated"), "{}", plan.stdout);
    assert!(plan.stdout.contains("worst case before a stop: 6 items\n"), "{}", plan.stdout);
    let done = run(&bench);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert_eq!(carried_out(&bench), 6);
    assert!(done.stdout.contains("--continue --reason TEXT"), "{}", done.stdout);
    assert_eq!(quell(&bench, "resume").code, Some(6));
    assert_eq!(carried_out(&bench), 6, "resuming alone sends nothing");
    let done = bench.done(bench.quell(&["resume", "--continue", "--reason", "known"]));
    assert_eq!(done.code, Some(6), "{}", done.stdout);
    assert_eq!(carried_out(&bench), 12, "as many once more");
}

#[test]
fn a_stop_file_forbids_the_first_act_and_every_later_one() {
    let (bench, _simulator) = bench(options(), 10, "stop_file: halt");
    let refused = run(&bench);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("stop_file: halt") && refused.stderr.contains("absolute path"),
        "{}",
        refused.stderr
    );
    let playbook = fs::read_to_string(bench.path("sweep.yaml")).expect("a playbook");
    let halt = format!("stop_file: {}", bench.path("halt").display());
    fs::write(bench.path("sweep.yaml"), playbook.replace("stop_file: halt", &halt)).expect("a playbook");
    for sign in ["halt", "state/STOP"] {
        let path = bench.path(sign);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, "").expect("a sign");
        let done = run(&bench);
        assert_eq!(done.code, Some(3), "{sign}: {}", done.stderr);
        assert!(done.stderr.contains("the stop file") && done.stderr.contains("nothing was sent"), "{}", done.stderr);
        fs::remove_file(&path).expect("it is there");
    }
    assert_eq!(carried_out(&bench), 0);
    assert_eq!(run(&bench).code, Some(0));
    assert_eq!(carried_out(&bench), 10);
}

#[test]
fn nothing_is_sent_outside_of_windows_in_blackouts_or_without_a_yes() {
    let (bench, _simulator) = bench(options(), 5, "");
    let playbook = fs::read_to_string(bench.path("sweep.yaml")).expect("a playbook");
    let tenant = fs::read_to_string(bench.path("tenant.yaml")).expect("a tenant");
    let base = tenant
        .lines()
        .find_map(|line| line.strip_prefix("base_url: "))
        .expect("its address")
        .trim_matches('"')
        .to_owned();
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (yesterday, tomorrow) = (now.yesterday().expect("a day"), now.tomorrow().expect("a day"));
    for (release, told) in [
        ("windows: [2020-01-01 to 2020-01-02 UTC]".to_owned(), "it is not in its windows now"),
        (format!("blackouts: [{yesterday} to {tomorrow} UTC]"), "it may act again from"),
        (format!("go_url: {base}/nowhere"), "answered 404; only 200 is a yes"),
        ("go_url: http://127.0.0.1:1/".to_owned(), "did not answer"),
    ] {
        fs::write(bench.path("sweep.yaml"), format!("{playbook}{release}\n")).expect("a playbook");
        let done = run(&bench);
        assert_eq!(done.code, Some(3), "{release}: {}", done.stderr);
        assert!(done.stderr.contains(told) && done.stderr.contains("nothing was sent"), "{release}: {}", done.stderr);
    }
    assert_eq!(carried_out(&bench), 0);
    let release = format!("windows: [{yesterday} to {tomorrow} UTC]\ngo_url: {base}/_simulator/ledger");
    fs::write(bench.path("sweep.yaml"), format!("{playbook}{release}\n")).expect("a playbook");
    assert_eq!((run(&bench).code, carried_out(&bench)), (Some(0), 5));
}

#[test]
fn a_run_that_goes_on_hears_stop_and_promote_from_another_terminal() {
    let release = "waves: [2, 100%]\npromote: {confirm_within: 10m}";
    let (bench, simulator) = bench(options(), 10, release);
    let args = [&RUN[..], &["--operator", "alice"]].concat();
    let mut going = bench.start(bench.quell(&args));
    let asks = |bench: &Bench| quell(bench, "show").stdout.contains("the next one waits for a person");
    assert!(going.wait_until(|| simulator.counters().gets >= 2 && asks(&bench)), "it waits for a person");
    assert_eq!(carried_out(&bench), 2);
    let done = bench.done(bench.quell(&["promote", "--operator", "bob"]));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let done = going.wait();
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("opened    wave 2 by bob"), "{}", done.stdout);
    assert!(done.stderr.contains("wave 2 of 2 waits: `quell promote sweep-"), "{}", done.stderr);
    assert_eq!(carried_out(&bench), 10);

    // A new run over other hosts that is stopped while it waits: it says so, and can be taken up.
    let events = fs::read_to_string(bench.path("events.csv")).expect("events").replace("RTF_", "RTX_");
    fs::write(bench.path("events.csv"), events).expect("events");
    let mut going = bench.start(bench.quell(&args));
    assert!(going.wait_until(|| simulator.counters().posts >= 3 && asks(&bench)), "it waits for a person");
    let done = quell(&bench, "stop");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let done = going.wait();
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("`quell stop` was given"), "{}", done.stdout);
    assert_eq!(carried_out(&bench), 12);
    assert_eq!(quell(&bench, "stop").code, Some(2), "nothing goes on");
    let stop = quell(&bench, &format!("stop {}", newest(&bench)));
    assert!(stop.code == Some(2) && stop.stderr.contains("`quell resume sweep-"), "{}", stop.stderr);
    let done = quell(&bench, "promote");
    assert_eq!((done.code, carried_out(&bench)), (Some(0), 20), "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_run_that_does_not_hear_is_not_said_to_have_heard() {
    let (bench, simulator) = bench(options(), 10, "waves: [2, 100%]\npromote: {confirm_within: 10m}");
    let mut going = bench.start(bench.quell(&RUN));
    let asks = |bench: &Bench| quell(bench, "show").stdout.contains("the next one waits for a person");
    assert!(going.wait_until(|| simulator.counters().gets >= 2 && asks(&bench)), "it waits for a person");
    let run = newest(&bench);
    let deaf = format!("error: process {} works on run {run} and has not heard it for 5 s\n", going.id());
    going.signal(rustix::process::Signal::STOP);
    for ask in ["promote", "stop"] {
        let done = quell(&bench, &format!("{ask} {run}"));
        assert_eq!(done.code, Some(3), "{ask}: {}", done.stderr);
        assert!(
            done.stderr.starts_with(&deaf) && done.stderr.contains(&format!("`quell resume {run}`")),
            "{}",
            done.stderr
        );
    }
    // Killed, it hears nothing of it any more, and neither does whoever takes the run up.
    going.signal(rustix::process::Signal::KILL);
    assert_eq!(going.wait().code, None);
    let done = quell(&bench, &format!("stop {run}"));
    assert!(done.code == Some(2) && done.stderr.contains("it sends nothing; `quell resume sweep-"), "{}", done.stderr);
    let done = quell(&bench, &format!("promote {run}"));
    assert_eq!((done.code, carried_out(&bench)), (Some(0), 10), "{}{}", done.stdout, done.stderr);
    let done = quell(&bench, &format!("stop {run}"));
    assert!(done.code == Some(2) && done.stderr.contains("it is finished: `quell show sweep-"), "{}", done.stderr);
}

#[test]
fn waves_of_an_events_file_come_from_the_command_line() {
    let (bench, simulator) = bench(options(), 20, "");
    let args = "run events.csv --action quarantine-file --tenant tenant.yaml --yes --quiet --waves 1,50%,100%";
    let done = quell(&bench, args);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("waves     3 of 3 began"), "{}", done.stdout);
    assert_eq!((carried_out(&bench), simulator.counters().posts), (20, 3));
    for (args, told) in [
        (
            "plan events.csv --action quarantine-file --tenant tenant.yaml --waves 1,50%",
            "leaves 10 of 20 targets unreleased",
        ),
        ("plan events.csv --action quarantine-file --tenant tenant.yaml --waves 0", "a wave has at least one target"),
        ("plan sweep.yaml --tenant tenant.yaml --waves 1,100%", "--waves is for events files"),
    ] {
        let done = quell(&bench, args);
        assert_eq!(done.code, Some(2), "{args}");
        assert!(done.stderr.contains(told), "{args}: {}", done.stderr);
    }
}

#[test]
fn a_step_waits_for_the_one_it_names_and_goes_once_for_its_host() {
    let (bench, _simulator) = Bench::serving(Options { forbidden_agents: ["host-2".to_owned()].into(), ..options() });
    let playbook = "version: 1\nname: contain\nevents: [{file: e.csv}]\nlimits: {batch_size: 1}\nsteps:\n  \
         - {name: quarantine, action: quarantine-file, allow_failure: true}\n  \
         - {name: isolate, action: isolate-host, once: target, after: quarantine failed}\n  \
         - {name: again, action: delete-file, after: quarantine}\nguards: {max_irreversible: 10}\n";
    fs::write(bench.path("contain.yaml"), playbook).expect("a playbook");
    fs::write(
        bench.path("e.csv"),
        "agent_id,event_id,event_type,pid,unique_id\nhost-1,RTF_1,FILE,0,11\nhost-1,RTF_2,FILE,0,12\nhost-2,RTF_3,FILE,0,13\n",
    )
    .expect("events");
    let done = quell(&bench, "run contain.yaml --tenant tenant.yaml --yes --quiet --report json=r.json");
    let told = bench.report("r.json");
    bench.check_truth(&told);
    let items: Vec<String> = told["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}: {}", text("agent_id"), text("step"), text("outcome"), text("reason"))
        })
        .collect();
    insta::assert_snapshot!(items.join("\n"));
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
}

#[test]
fn an_event_that_is_too_old_or_of_the_future_is_skipped_and_one_without_a_time_is_refused() {
    let (bench, _simulator) = Bench::serving(options());
    let playbook = "version: 1\nname: young\nevents: [{file: e.csv}]\nsteps:\n  \
         - {name: quarantine, action: quarantine-file, max_event_age: 1h}\n";
    fs::write(bench.path("young.yaml"), playbook).expect("a playbook");
    let now = jiff::Timestamp::now();
    let events = |times: &[String]| {
        let rows = times.iter().zip(1..).map(|(time, n)| format!("host-{n},RTF_{n},FILE,0,1{n},{time}\n"));
        format!("agent_id,event_id,event_type,pid,unique_id,Event Time\n{}", rows.collect::<String>())
    };
    let old = now - Duration::from_secs(2 * 3600);
    fs::write(bench.path("e.csv"), events(&[now.to_string(), old.to_string(), "2099-01-01T00:00:00Z".to_owned()]))
        .expect("events");
    let done = quell(&bench, "run young.yaml --tenant tenant.yaml --yes --quiet");
    assert_eq!((done.code, carried_out(&bench)), (Some(4), 1), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("2 of 3 items did not succeed"), "{}", done.stdout);
    assert!(done.stdout.contains("older than its step allows"), "{}", done.stdout);
    fs::write(bench.path("e.csv"), events(&[now.to_string(), "2026-06-12 03:40".to_owned()])).expect("events");
    let done = quell(&bench, "run young.yaml --tenant tenant.yaml --yes --quiet");
    assert_eq!((done.code, carried_out(&bench)), (Some(2), 1), "{}", done.stderr);
    assert!(done.stderr.contains("is no time with a zone"), "{}", done.stderr);
}
