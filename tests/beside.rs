//! Runs of the real binary beside each other on one tenant: what they share, what keeps them apart, who goes first, and
//! that nothing of it outlives a process. The tenant counts its calls itself and does not announce its limits.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "these runs need less of it than those that are held against the ledger row by row")]
mod bench;

use bench::{Bench, Done, Going};
use quell::simulator::{Delay, Options, Simulator};
use quell::tenant::Rate;
use rustix::process::Signal;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// 20 calls a second, two at once.
fn narrow() -> Options {
    Options {
        latency: Delay::Fixed(ms(20)),
        settle: Delay::None,
        requests: Some(Rate { calls: 20, window: ms(1000) }),
        concurrency: Some(2),
        announce_limits: false,
        refusals_cost: true,
        ..Options::default()
    }
}

fn bench(options: Options) -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(options);
    bench.change_tenant("batch_size: 50", "batch_size: 10");
    bench.change_tenant("first_after: 200ms, interval: 500ms", "first_after: 50ms, interval: 200ms");
    (bench, simulator)
}

/// Writes a playbook, and events on so many hosts of its own.
fn playbook(bench: &Bench, name: &str, hosts: usize, more: &str) {
    let mut csv = "agent_id,event_id,event_type,pid,unique_id\n".to_owned();
    for n in 0..hosts {
        csv.push_str(&format!("host-{name}-{n},RTF_{n},FILE,0,{}\n", 7_000_000_000_000 + n));
    }
    fs::write(bench.path(&format!("{name}.csv")), csv).expect("the events are written");
    let text = format!(
        "version: 1\nname: {name}\ntenant: simulator\nevents: [{{file: {name}.csv}}]\n{more}\
         steps: [{{name: quarantine, action: quarantine-file}}]\n\
         guards: {{max_items: 10000, max_hosts: 10000}}\nfailure_budget: {{percent: 100}}\n"
    );
    fs::write(bench.path(&format!("{name}.yaml")), text).expect("the playbook is written");
}

fn run(bench: &Bench, name: &str, more: &[&str]) -> Command {
    let report = format!("json={name}.json");
    let file = format!("{name}.yaml");
    let mut args = vec!["run", &file, "--tenant", "tenant.yaml", "--yes", "--report", &report];
    args.extend(more);
    bench.quell(&args)
}

/// Starts it, and waits until so many items of its playbook were carried out.
fn under_way(bench: &Bench, simulator: &Simulator, name: &str, more: &[&str], items: usize) -> Going {
    let mut going = bench.start(run(bench, name, more));
    let hosts = format!("host-{name}-");
    let count = || simulator.ledger().entries.iter().filter(|entry| entry.item.agent_id.starts_with(&hosts)).count();
    assert!(going.wait_until(|| count() >= items), "it ended before");
    going
}

fn succeeded(bench: &Bench, name: &str) -> u64 {
    let report = bench.report(&format!("{name}.json"));
    report["summary"]["outcomes"]["succeeded"].as_u64().expect("a count")
}

fn fine(done: &Done) {
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
}

#[test]
fn two_playbooks_at_once_keep_the_tenants_limits_together() {
    let (bench, simulator) = bench(narrow());
    for name in ["one", "two"] {
        playbook(&bench, name, 60, "");
    }
    let one = under_way(&bench, &simulator, "one", &[], 10);
    let mut two = under_way(&bench, &simulator, "two", &[], 10);
    assert!(!two.has_ended());
    fine(&one.wait());
    fine(&two.wait());
    assert_eq!((succeeded(&bench, "one"), succeeded(&bench, "two")), (60, 60));
    let counters = simulator.counters();
    assert_eq!((counters.carried_out, counters.throttled, counters.max_in_flight), (120, 0, 2), "{counters:?}");
}

#[test]
fn eight_playbooks_at_once_on_two_slots_all_come_to_their_end() {
    let (bench, simulator) = bench(narrow());
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    names.iter().for_each(|name| playbook(&bench, name, 10, ""));
    let going: Vec<Going> = names.iter().map(|name| bench.start(run(&bench, name, &[]))).collect();
    going.into_iter().for_each(|going| fine(&going.wait()));
    assert!(names.iter().all(|name| succeeded(&bench, name) == 10));
    let counters = simulator.counters();
    assert_eq!((counters.carried_out, counters.throttled), (80, 0), "{counters:?}");
    assert!(counters.max_in_flight <= 2, "{counters:?}");
}

#[test]
fn a_playbook_that_is_being_carried_out_is_not_begun_again_and_its_run_is_named() {
    let (bench, simulator) = bench(narrow());
    playbook(&bench, "nightly", 60, "");
    let mut first = under_way(&bench, &simulator, "nightly", &[], 10);
    let second = bench.done(run(&bench, "nightly", &[]));
    let third = bench.done(bench.quell(&["resume"]));
    assert!(!first.has_ended(), "they did not wait for it");
    let process = first.id();
    for (done, is, does) in [
        (&second, "with run nightly-", r#"is carrying out the playbook "nightly""#),
        (&third, "is working on run nightly-", ""),
    ] {
        assert_eq!(done.code, Some(3), "{}", done.stderr);
        let holder = format!("error: process {process} {is}");
        assert!(done.stderr.contains(&holder) && done.stderr.contains(does), "{}", done.stderr);
    }
    fine(&first.wait());
    assert_eq!(simulator.counters().carried_out, 60);
}

#[test]
fn of_eight_starts_at_once_exactly_one_runs() {
    let (bench, simulator) = bench(narrow());
    playbook(&bench, "nightly", 30, "");
    let going: Vec<Going> = (0..8).map(|_| bench.start(run(&bench, "nightly", &[]))).collect();
    let done: Vec<Done> = going.into_iter().map(Going::wait).collect();
    let mut codes: Vec<_> = done.iter().map(|done| done.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [[Some(0)].as_slice(), &[Some(3); 7]].concat(), "{done:?}");
    assert_eq!(simulator.counters().carried_out, 30);
    assert!(done.iter().filter(|done| done.code == Some(3)).all(|done| done.stderr.contains("error: process ")));
}

#[test]
fn a_playbook_that_waits_follows_when_the_one_before_ends_and_gives_up_in_time() {
    let (bench, simulator) = bench(narrow());
    playbook(&bench, "sweep", 60, "overlap: wait 1m\n");
    let first = under_way(&bench, &simulator, "sweep", &[], 10);
    let process = first.id();
    // The same playbook with other events, and one that does not wait so long.
    playbook(&bench, "more", 10, "");
    let second = bench.start(run(&bench, "sweep", &["--events", "more.csv", "--report", "json=second.json"]));
    let text = fs::read_to_string(bench.path("sweep.yaml")).expect("the playbook");
    fs::write(bench.path("hasty.yaml"), text.replace("wait 1m", "wait 1s")).expect("the playbook is written");
    let hasty = bench.done(run(&bench, "hasty", &[]));
    assert_eq!(hasty.code, Some(3), "{}", hasty.stderr);
    let first = first.wait();
    fine(&first);
    let second = second.wait();
    fine(&second);
    for done in [&second, &hasty] {
        let waits = format!("process {process} with run sweep-");
        let said = done.stderr.lines().filter(|line| line.starts_with(&waits) && line.ends_with(": waiting for it"));
        assert_eq!(said.count(), 1, "{}", done.stderr);
    }
    let order: Vec<bool> =
        simulator.ledger().entries.iter().map(|entry| entry.item.agent_id.starts_with("host-more-")).collect();
    assert_eq!(order, [[false; 60].as_slice(), &[true; 10]].concat(), "one after the other");
    assert_eq!(succeeded(&bench, "second"), 10);
}

#[test]
fn a_killed_process_holds_nothing_any_more_and_what_it_may_have_spent_counts() {
    // A killed client's calls go on at the tenant for a moment, so only the rate is held against it.
    let (bench, simulator) = bench(Options { concurrency: None, ..narrow() });
    bench.change_tenant("concurrency: 8", "concurrency: 2");
    for name in ["one", "two"] {
        playbook(&bench, name, 60, "");
    }
    let two = under_way(&bench, &simulator, "two", &[], 10);
    let one = under_way(&bench, &simulator, "one", &["--priority"], 30);
    one.signal(Signal::KILL);
    assert_eq!(one.wait().code, None);
    let runs = bench.done(bench.quell(&["runs"]));
    let killed = runs.stdout.split_whitespace().find(|word| word.starts_with("one-"));
    let killed = killed.unwrap_or_else(|| panic!("its run is listed: {runs:?}")).to_owned();
    let resumed = bench.done(bench.quell(&["resume", &killed, "--report", "json=one.json"]));
    assert!(matches!(resumed.code, Some(0 | 5)), "{}", resumed.stderr);
    fine(&two.wait());
    let report = bench.report("one.json");
    let outcomes = &report["summary"]["outcomes"];
    let count = |name: &str| outcomes[name].as_u64().expect("a count");
    assert_eq!(count("succeeded") + count("unknown"), 60, "{outcomes}");
    let counters = simulator.counters();
    assert_eq!(counters.throttled, 0, "{counters:?}");
    let locks = fs::read_dir(bench.state().join("simulator")).expect("the tenant's folder");
    let locks: Vec<_> = locks.map(|entry| entry.expect("a file").file_name().into_string().expect("a name")).collect();
    let passing = |name: &&String| name.starts_with("run-") || name.starts_with("playbook-");
    assert_eq!(locks.iter().filter(passing).count(), 0, "{locks:?}");
}

/// Time is compared with time: what the small run takes alone, beside a big one, and beside it and first.
#[test]
fn a_run_that_goes_first_takes_about_as_long_as_alone() {
    let (bench, simulator) = bench(narrow());
    playbook(&bench, "nightly", 400, "");
    for name in ["alone", "beside", "first"] {
        playbook(&bench, name, 50, "");
    }
    let takes = |name: &str, more: &[&str]| {
        let began = Instant::now();
        fine(&bench.done(run(&bench, name, more)));
        began.elapsed()
    };
    let alone = takes("alone", &[]);
    let mut nightly = under_way(&bench, &simulator, "nightly", &[], 50);
    let first = takes("first", &["--priority"]);
    let beside = takes("beside", &[]);
    assert!(!nightly.has_ended(), "it was there all the time");
    let said = format!("alone {alone:?}, first {first:?}, beside {beside:?}");
    // What was spent when it came has to age: a window's length.
    assert!(first < alone.mul_f64(1.3) + ms(1000), "{said}");
    assert!(first < beside, "{said}");
    println!("{said}");
    nightly.signal(Signal::TERM);
    nightly.signal(Signal::TERM);
    nightly.wait();
    let counters = simulator.counters();
    assert_eq!((counters.throttled, counters.max_in_flight), (0, 2), "{counters:?}");
}
