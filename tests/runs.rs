//! Whole runs of the real binary against a tenant on loopback: what is reported is what the tenant's ledger holds, and
//! the exit code says how it went.

#[path = "support/bench.rs"]
mod bench;

use bench::{Bench, Done};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A healthy tenant that settles at once.
fn prompt() -> Options {
    Options { settle: Delay::None, ..Options::default() }
}

/// `quell simulate` in a process of its own; ended by a signal, as a user would.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Bench {
    /// A tenant served by `quell simulate` with these options.
    fn simulate(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bench = Self { folder, url: String::new(), _tenant: Box::new(()) };
        let mut command = bench.quell(&["simulate", "--port", "0", "--write-tenant", "tenant.yaml"]);
        let mut child = command.args(options).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut first = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut first).expect("it says where it listens");
        bench.url = first.trim().strip_prefix("simulated tenant on ").expect("its URL").to_owned();
        bench._tenant = Box::new(Process(child));
        bench
    }
}

fn count(report: &Value, outcome: &str) -> u64 {
    report["summary"]["outcomes"][outcome].as_u64().expect("a count")
}

/// The `host` column is kept, so that a row can be followed from the input to the report.
fn check_rows(report: &Value, rows: u64) {
    let items = report["items"].as_array().expect("items");
    for (n, item) in items.iter().enumerate() {
        assert_eq!((&item["row"], &item["line"]), (&(n + 1).into(), &(n + 2).into()));
        assert_eq!(item["attributes"]["host"], format!("host-{n}"));
    }
    assert_eq!(items.len() as u64, rows);
}

#[test]
fn a_thousand_items_are_all_accounted_for_and_agree_with_the_ledger_row_by_row() {
    let bench = Bench::simulate(&[]);
    bench.events(1000);
    let done = bench.done(bench.run(&["--report", "json=r.json"]));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let report = bench.report("r.json");
    check_rows(&report, 1000);
    assert_eq!(count(&report, "succeeded"), 1000);
    bench.check_truth(&report);
    let ledger = bench.ledger();
    assert_eq!(report["summary"]["calls"]["posts"], 20);
    assert_eq!(report["summary"]["calls"]["gets"], ledger["counters"]["gets"]);
}

#[test]
fn failures_shuffled_ids_and_fifty_calls_a_second_change_nothing_of_the_truth_and_are_never_refused() {
    let bench = Bench::simulate(&["--fail", "5", "--shuffle-ids", "--requests", "50/s", "--seed", "7"]);
    bench.events(1000);
    let done = bench.done(bench.run(&["--report", "json=r.json", "--log", "json"]));
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let report = bench.report("r.json");
    check_rows(&report, 1000);
    assert_eq!(count(&report, "succeeded") + count(&report, "failed"), 1000);
    assert!((20..=90).contains(&count(&report, "failed")), "about five in a hundred");
    bench.check_truth(&report);
    assert_eq!(bench.ledger()["counters"]["throttled"], 0);
    assert_eq!(report["summary"]["calls"]["throttled"], 0);
    check_log(&done, &report);
}

/// What was told came as JSON lines alone, from the plan to the end; progress is of numbers that only grow.
fn check_log(done: &Done, report: &Value) {
    let lines: Vec<Value> =
        done.stderr.lines().map(|line| serde_json::from_str(line).expect("nothing but JSON lines")).collect();
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events.len(), lines.len(), "each line says what it is: {}", done.stderr);
    assert_eq!((&events[..3], events.last()), (&["planned", "no_history", "started"][..], Some(&"finished")));
    let progress: Vec<&Value> = lines.iter().filter(|line| line["event"] == "progress").collect();
    assert!(progress.len() >= 3, "a line every few seconds: {}", done.stderr);
    let mut settled = 0;
    for line in progress {
        assert_eq!((&line["run"], &line["items"]), (&report["run"]["id"], &1000.into()));
        let now = line["settled"].as_u64().expect("a number");
        assert!(now >= settled && now <= 1000);
        settled = now;
    }
}

#[test]
fn both_versions_of_the_api_are_spoken() {
    let bench = Bench::simulate(&[]);
    bench.events(60);
    bench.change_tenant("api_version: v1", "api_version: unversioned");
    let done = bench.done(bench.run(&["--report", "json=r.json", "--quiet"]));
    let fresh = "this state folder knows of no earlier run on simulator: whatever was done before is done again\n";
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), fresh), "--quiet leaves nothing else to say");
    let report = bench.report("r.json");
    assert_eq!(count(&report, "succeeded"), 60);
    bench.check_truth(&report);
}

#[test]
fn after_a_failed_step_the_later_steps_of_that_host_alone_are_not_started_and_say_why() {
    let bench = Bench::simulate(&["--fail", "20"]);
    bench.events(100);
    let playbook = "\
version: 1
name: two-steps
tenant: simulator
events: [{file: events.csv}]
steps:
  - {name: quarantine, action: quarantine-file}
  - {name: delete, action: delete-file}
guards: {max_irreversible: 100}
reports: [{json: \"{{ run.id }}.json\"}]
";
    std::fs::write(bench.path("two-steps.yaml"), playbook).expect("the playbook is written");
    let done = bench.done(bench.quell(&[
        "run",
        "two-steps.yaml",
        "--tenant",
        "tenant.yaml",
        "--yes",
        "--report",
        "json=r.json",
    ]));
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let report = bench.report("r.json");
    bench.check_truth(&report);
    let items = report["items"].as_array().expect("items");
    assert_eq!(items.len(), 200);
    let failed_first = |row: &Value| {
        items.iter().any(|item| item["row"] == *row && item["step"] == "quarantine" && item["outcome"] == "failed")
    };
    for item in items.iter().filter(|item| item["step"] == "delete") {
        assert_eq!(item["outcome"] == "not_started", failed_first(&item["row"]), "{item}");
        if item["outcome"] == "not_started" {
            let reason = item["reason"].as_str().expect("a reason");
            assert!(reason.contains("quarantine"), "{reason}");
        }
    }
    assert!(count(&report, "not_started") > 5);
    let planned = format!("{}.json", report["run"]["id"].as_str().expect("a name"));
    assert_eq!(bench.report(&planned), report, "the playbook's own report is the same");
}

#[test]
fn ids_that_do_not_come_back_leave_unknown_items_and_exit_5() {
    let bench = Bench::simulate(&["--drop-ids", "10"]);
    bench.events(200);
    let done = bench.done(bench.run(&["--report", "json=r.json", "--quiet"]));
    assert_eq!(done.code, Some(5));
    let report = bench.report("r.json");
    bench.check_truth(&report);
    assert_eq!(count(&report, "succeeded") + count(&report, "unknown"), 200);
    assert!(count(&report, "unknown") > 5);
    assert_eq!(bench.ledger()["counters"]["carried_out"], 200);
}

#[test]
fn what_never_settles_is_still_queued_at_the_deadline_and_exit_9() {
    let bench = Bench::simulate(&["--never-settle", "20"]);
    bench.events(100);
    bench.change_tenant("deadline: 5m", "deadline: 2s");
    let done = bench.done(bench.run(&["--report", "json=r.json", "--quiet"]));
    assert_eq!(done.code, Some(9), "{}", done.stdout);
    let report = bench.report("r.json");
    bench.check_truth(&report);
    assert_eq!(count(&report, "succeeded") + count(&report, "still_queued"), 100);
}

#[test]
fn an_api_that_is_not_there_ends_the_run_with_exit_8_and_everything_unsent() {
    let (bench, _) = Bench::serving(prompt());
    bench.events(100);
    // A port that was free a moment ago, and that nobody listens on.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bench.change_tenant(&bench.url, &format!("http://{}", free.expect("a free port")));
    let done = bench.done(bench.run(&["--report", "json=r.json", "--quiet"]));
    assert_eq!(done.code, Some(8), "{}", done.stdout);
    let report = bench.report("r.json");
    assert_eq!((count(&report, "not_started"), &report["run"]["stopped"]), (100, &"unreachable".into()));
    bench.check_truth(&report);
}

#[test]
fn an_api_at_another_path_ends_the_run_with_exit_8_after_one_round() {
    let (bench, simulator) = Bench::serving(prompt());
    bench.events(1000);
    bench.change_tenant(&bench.url, &format!("{}/elsewhere", bench.url));
    let done = bench.done(bench.run(&["--report", "json=r.json", "--quiet"]));
    assert_eq!(done.code, Some(8), "{}", done.stdout);
    let report = bench.report("r.json");
    assert_eq!((count(&report, "not_started"), &report["run"]["stopped"]), (1000, &"wrong_place".into()));
    assert!(simulator.counters().posts <= 8, "only those that were in flight together");
    bench.check_truth(&report);
}

#[test]
fn a_token_that_is_not_let_in_ends_the_run_with_exit_8_and_is_shown_nowhere() {
    let (bench, simulator) = Bench::serving(Options { token: Some("the-right-token".into()), ..prompt() });
    bench.events(100);
    let mut run = bench.run(&["--report", "json=r.json"]);
    run.env("QUELL_TOKEN", "a-canary-that-sings");
    let done = bench.done(run);
    assert_eq!(done.code, Some(8), "{}", done.stderr);
    assert_eq!(count(&bench.report("r.json"), "not_started"), 100);
    assert_eq!(simulator.counters().carried_out, 0);
    for file in std::fs::read_dir(bench.folder.path()).expect("the folder is there") {
        let path = file.expect("an entry").path();
        let content = std::fs::read(&path).unwrap_or_default();
        assert!(!content.windows(19).any(|w| w == b"a-canary-that-sings"), "{}", path.display());
    }
    let done = bench.done({
        let mut resume = bench.quell(&["resume", "--report", "json=r.json"]);
        resume.env("QUELL_TOKEN", "the-right-token");
        resume
    });
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let report = bench.report("r.json");
    assert_eq!(count(&report, "succeeded"), 100);
    bench.check_truth(&report);
}

#[test]
fn a_token_that_is_missing_is_said_before_anything_is_sent() {
    let (bench, simulator) = Bench::serving(Options { token: Some("the-right-token".into()), ..prompt() });
    bench.events(3);
    let done = bench.done(bench.run(&["--quiet"]));
    assert_eq!(done.code, Some(8), "{}", done.stderr);
    assert!(done.stderr.contains("QUELL_TOKEN"), "{}", done.stderr);
    assert_eq!((simulator.counters().posts, bench.state().exists()), (0, false));
}

/// Forty calls in the first second: 60 acts of one item each are not all sent by then.
fn slow() -> Options {
    Options { requests: Some("40/s".parse().expect("a rate")), ..prompt() }
}

#[test]
fn a_signal_stops_acting_writes_the_reports_and_resume_completes() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (bench, simulator) = Bench::serving(slow());
        bench.events(60);
        bench.change_tenant("batch_size: 50", "batch_size: 1");
        let mut going = bench.start(bench.run(&["--report", "json=r.json", "--report", "csv=r.csv"]));
        assert!(going.wait_until(|| simulator.counters().acts_carried_out >= 3));
        going.signal(signal);
        let done = going.wait();
        assert_eq!(done.code, Some(6), "{signal:?}: {}", done.stderr);
        assert!(done.stderr.contains("no further acts"), "{}", done.stderr);
        let report = bench.report("r.json");
        assert_eq!((&report["run"]["stopped"], &report["run"]["exit_code"]), (&"signal".into(), &6.into()));
        assert!(count(&report, "not_started") > 0 && count(&report, "succeeded") > 0);
        assert_eq!(count(&report, "unknown"), 0, "acts in flight were awaited");
        bench.check_truth(&report);
        assert_eq!(csv_outcomes(&bench).len(), 60);
        let done = bench.done(bench.quell(&["resume", "--quiet", "--report", "json=r.json"]));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let report = bench.report("r.json");
        assert_eq!((count(&report, "succeeded"), &report["run"]["complete"]), (60, &true.into()));
        bench.check_truth(&report);
        assert_eq!(simulator.counters().throttled, 0, "the resumed run knows what the stopped one spent");
    }
}

#[test]
fn a_second_signal_leaves_at_once_and_what_was_accepted_is_open() {
    let (bench, simulator) = Bench::serving(Options { never_settle_percent: 100.0, ..prompt() });
    bench.events(20);
    bench.change_tenant("deadline: 5m", "deadline: 4s");
    let mut going = bench.start(bench.run(&["--report", "json=r.json"]));
    assert!(going.wait_until(|| simulator.counters().gets >= 20));
    let stopped = Instant::now();
    going.signal(Signal::INT);
    let stderr = bench.path("stderr-3");
    assert!(going.wait_until(|| std::fs::read_to_string(&stderr).is_ok_and(|text| text.contains("stopping"))));
    going.signal(Signal::INT);
    let done = going.wait();
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(stopped.elapsed() < ms(3_000), "{:?}", stopped.elapsed());
    assert_eq!(count(&bench.report("r.json"), "open"), 20);
    let done = bench.done(bench.quell(&["resume", "--quiet", "--report", "json=r.json"]));
    assert_eq!(done.code, Some(9), "{}", done.stderr);
    bench.check_truth(&bench.report("r.json"));
    assert_eq!(simulator.counters().posts, 1);
}

#[test]
fn a_run_that_is_complete_sends_nothing_when_it_is_resumed_and_reports_the_same_bytes() {
    let (bench, simulator) = Bench::serving(Options { fail_percent: 10.0, ..prompt() });
    bench.events(50);
    let first = bench.done(bench.run(&["--quiet", "--report", "json=a.json"]));
    let calls = simulator.counters();
    let id = bench.report("a.json")["run"]["id"].as_str().expect("a name").to_owned();
    let again = bench.done(bench.quell(&["resume", &id, "--quiet", "--report", "json=b.json"]));
    assert_eq!((first.code, again.code), (Some(4), Some(4)), "{}", again.stderr);
    assert_eq!(simulator.counters(), calls, "not even a poll");
    assert_eq!(std::fs::read(bench.path("a.json")).ok(), std::fs::read(bench.path("b.json")).ok());
    let none = bench.done(bench.quell(&["resume", "--quiet"]));
    assert_eq!(none.code, Some(0), "there is no unfinished run: {}", none.stderr);
}

#[test]
fn a_closed_stdout_kills_no_run() {
    let (bench, _) = Bench::serving(prompt());
    bench.events(100);
    let mut run = bench.run(&["--report", "json=r.json"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    drop(child.stderr.take());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    bench.check_truth(&bench.report("r.json"));
}

#[test]
fn a_second_run_on_the_same_state_folder_and_tenant_is_held_back_at_once_and_told_by_whom() {
    let (bench, simulator) = Bench::serving(Options { latency: Delay::Fixed(ms(20)), ..prompt() });
    bench.events(300);
    let mut first = bench.start(bench.run(&["--report", "json=r.json"]));
    assert!(first.wait_until(|| simulator.counters().posts > 0));
    let process = format!("error: process {} ", first.id());
    for (second, does) in [
        (bench.run(&["--quiet"]), "with run events-"),
        (bench.quell(&["resume", "--quiet"]), "is working on run events-"),
    ] {
        let done = bench.done(second);
        assert_eq!(done.code, Some(3), "{}", done.stderr);
        let said = done.stderr.find(&process).map(|at| &done.stderr[at + process.len()..]);
        assert!(said.is_some_and(|said| said.starts_with(does)), "it names the holder: {}", done.stderr);
        assert_eq!(done.stderr.matches("events-").count(), 1, "and the run once: {}", done.stderr);
    }
    assert!(!first.has_ended(), "it was held back while the first went on");
    assert_eq!(first.wait().code, Some(0));
    bench.check_truth(&bench.report("r.json"));
}

#[test]
fn a_rejected_batch_is_reported_with_the_apis_words() {
    let agent = format!("00000000-0000-4000-8000-{:012x}", 7);
    let (bench, _) = Bench::serving(Options { forbidden_agents: [agent].into(), ..prompt() });
    bench.events(40);
    bench.change_tenant("batch_size: 50", "batch_size: 10");
    let done = bench.done(bench.run(&["--quiet", "--report", "json=r.json"]));
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    let report = bench.report("r.json");
    assert_eq!((count(&report, "rejected"), count(&report, "succeeded")), (10, 30));
    bench.check_truth(&report);
}

#[test]
fn an_unreadable_answer_leaves_its_batch_unknown_and_is_never_sent_again() {
    let (bench, simulator) = Bench::serving(prompt());
    bench.events(30);
    bench.change_tenant("batch_size: 50", "batch_size: 10");
    simulator.script(Script { acts: vec![ScriptedAnswer::cut_after()], ..Script::default() });
    let done = bench.done(bench.run(&["--quiet", "--report", "json=r.json"]));
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    let report = bench.report("r.json");
    assert_eq!((count(&report, "unknown"), count(&report, "succeeded")), (10, 20));
    bench.check_truth(&report);
    assert_eq!(bench.done(bench.quell(&["resume", "--quiet"])).code, Some(0), "nothing is unfinished");
    assert_eq!(simulator.counters().posts, 3);
}

#[test]
fn a_report_that_cannot_be_written_keeps_no_other_from_being_so_and_exits_7() {
    let (bench, _) = Bench::serving(prompt());
    bench.events(5);
    std::fs::create_dir(bench.path("r.csv")).expect("a folder in the report's place");
    let done = bench.done(bench.run(&["--quiet", "--report", "csv=r.csv", "--report", "json=r.json"]));
    assert_eq!(done.code, Some(7), "{}", done.stderr);
    assert!(done.stderr.contains("r.csv"), "{}", done.stderr);
    assert_eq!(count(&bench.report("r.json"), "succeeded"), 5);
    assert!(done.stdout.contains("5 succeeded"), "{}", done.stdout);
}

fn csv_outcomes(bench: &Bench) -> Vec<String> {
    let mut csv = csv::Reader::from_path(bench.path("r.csv")).expect("the report is there");
    let column = csv.headers().expect("a header").iter().position(|name| name == "outcome").expect("outcomes");
    csv.records().map(|row| row.expect("a row")[column].to_owned()).collect()
}

#[test]
fn all_formats_of_one_run_agree_on_the_counts() {
    let (bench, _) = Bench::serving(Options { fail_percent: 15.0, drop_ids_percent: 5.0, ..prompt() });
    bench.events(120);
    let formats = ["json=r.json", "csv=r.csv", "markdown=r.md", "html=r.html", "text=r.txt"];
    let mut args = vec!["--quiet"];
    formats.iter().for_each(|format| args.extend(["--report", format]));
    let done = bench.done(bench.run(&args));
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    let report = bench.report("r.json");
    bench.check_truth(&report);
    let read = |name| std::fs::read_to_string(bench.path(name)).expect("the report is there");
    let (markdown, html, text, rows) = (read("r.md"), read("r.html"), read("r.txt"), csv_outcomes(&bench));
    assert_eq!(text, done.stdout, "the summary is the text report");
    for outcome in ["succeeded", "failed", "unknown"] {
        let n = count(&report, outcome);
        assert!(n > 0, "{outcome} does occur");
        assert_eq!(rows.iter().filter(|row| *row == outcome).count() as u64, n, "csv: {outcome}");
        assert!(markdown.contains(&format!("| {outcome} | {n} |")), "markdown: {outcome}");
        let cell = format!("<td class=\"outcome\">{outcome}</td><td class=\"n\">{n}</td>");
        assert!(html.contains(&cell), "html: {outcome}");
        assert!(text.lines().any(|line| line.trim() == format!("{n} {outcome}")), "text: {outcome}");
    }
    let later = bench.done(bench.quell(&["report", "--format", "json"]));
    assert_eq!((later.code, later.stdout), (Some(0), read("r.json")), "a later report is the same");
}
