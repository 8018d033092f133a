//! The moment before a run's first fact: what is judged once more, and what whoever takes up a run that was killed there
//! says in its first process's stead.

use super::{bench, ms};
use bench::Bench;
use quell::approval::Subject;
use quell::cli::Approving;
use quell::commands::approve::{Read, approve};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer};
use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest, Sha256};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Command;
use std::time::{Duration, Instant};

/// Everything that is said before the run is there, the last of it with this word.
const LAST_WORD: &str = "\"event\":\"planned\"";

/// Starts a command that begins a run, and kills it once the run is there and before its first fact: it is stuck telling
/// the run's name to somebody who does not listen. Its name.
fn killed_before_its_first_fact(bench: &Bench, mut command: Command, last_word: &str) -> String {
    let known = runs(bench);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let to_run = writer.try_clone().expect("its other end");
    let mut child = command.args(["--log", "json"]).stderr(to_run).spawn().expect("it starts");
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    while !line.contains(last_word) {
        line.clear();
        assert!(reader.read_line(&mut line).expect("it can be read") > 0, "it ended before");
    }
    // Nobody reads from here on, and there is no room for another word.
    let fill = std::thread::spawn(move || while writer.write_all(&[b'\n'; 4096]).is_ok() {});
    let began = Instant::now();
    let begun = loop {
        let new = runs(bench).into_iter().find(|run| !known.contains(run));
        if let Some(run) = new {
            break run;
        }
        assert!(began.elapsed() < bench::PATIENCE && child.try_wait().is_ok_and(|ended| ended.is_none()));
        std::thread::sleep(ms(5));
    };
    std::thread::sleep(ms(100));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::KILL).expect("it is there");
    child.wait().expect("it is gone");
    drop(reader);
    fill.join().expect("it has ended");
    assert_eq!(begun["facts"], 0, "{begun}");
    assert_eq!(runs(bench).iter().find(|run| run["id"] == begun["id"]), Some(&begun), "it has no fact yet");
    begun["id"].as_str().expect("a name").to_owned()
}

fn runs(bench: &Bench) -> Vec<Value> {
    let done = bench.done(bench.quell(&["runs", "--format", "json"]));
    done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn ok(bench: &Bench, command: &str) -> bench::Done {
    let done = bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()));
    assert_eq!(done.code, Some(0), "{command}: {}{}", done.stdout, done.stderr);
    done
}

/// Writes `p.plan`, which asks for an approval, and `key`, with which alice may give it.
fn planned_for_approval(bench: &Bench) {
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]));
    let public = key.public_key().to_openssh().expect("a public key");
    fs::write(bench.path("allowed_signers"), format!("alice@example.com {public}\n")).expect("written");
    fs::write(bench.path("key"), key.to_openssh(LineEnding::LF).expect("a key")).expect("written");
    let playbook = "version: 1\nname: contain\nevents: [{file: events.csv}]\nrequire_approval: {}\n\
                    steps: [{name: q, action: quarantine-file}]\n";
    fs::write(bench.path("p.yaml"), playbook).expect("written");
    ok(bench, "plan p.yaml --tenant tenant.yaml -o p.plan");
}

/// Signs `p.plan` as if it had been a minute ago, but for so many seconds, for the minute that is the least.
fn approved_until_in(bench: &Bench, seconds: u64) {
    let bytes = fs::read(bench.path("p.plan")).expect("a plan");
    let plan = quell::plan::file::read(&mut &*bytes).expect("a plan");
    let subject = Subject { plan_digest: plan.header.digest.clone(), file_sha256: Sha256::digest(&bytes).into() };
    let (minute, signers) =
        (Duration::from_secs(60), fs::read_to_string(bench.path("allowed_signers")).expect("signers"));
    let (file, key) = (bench.path("p.plan"), Some(bench.path("key")));
    let order =
        Approving { plan: file, key, default_key: None, author: None, ttl: Some(minute), note: None, yes: true };
    let read = Read { subject: &subject, plan: &plan, signers_name: "allowed_signers", signers_text: &signers };
    let now = jiff::Timestamp::now() - (minute - Duration::from_secs(seconds));
    assert!(approve(&order, read, now).is_ok());
}

#[test]
fn an_approval_that_expires_while_a_run_waits_to_begin_counts_no_more() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(1);
    planned_for_approval(&bench);
    fs::create_dir_all(bench.state().join("simulator")).expect("a folder");
    let gate = fs::File::create(bench.state().join("simulator/lock")).expect("a file");
    gate.lock().expect("nobody else is there");
    approved_until_in(&bench, 3);
    let mut going = bench.start(bench.quell(&["apply", "p.plan", "--yes", "--operator", "carol"]));
    let began = Instant::now();
    assert!(going.wait_until(|| began.elapsed() > ms(4000)), "it waits");
    drop(gate);
    let done = going.wait();
    assert!(done.code == Some(3) && done.stderr.contains("while it was waited; nothing was sent"), "{}", done.stderr);
    assert!(done.stderr.contains("approved by alice@example.com"), "it counted before: {}", done.stderr);
    assert_eq!(simulator.ledger().entries.len(), 0);
}

#[test]
fn killed_before_its_first_fact_a_run_still_says_who_approved_it() {
    for how in ["resume", "poll"] {
        let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
        bench.events(3);
        planned_for_approval(&bench);
        ok(&bench, "approve p.plan --key key --yes");
        let apply = bench.quell(&["apply", "p.plan", "--yes", "--operator", "carol"]);
        let run = killed_before_its_first_fact(&bench, apply, "no_history");
        let approved = |when: &str| {
            let report: Value =
                serde_json::from_str(&ok(&bench, &format!("report {run} --format json")).stdout).expect("JSON");
            let by = report["summary"]["approvals"].as_array().expect("approvals").clone();
            assert!(
                by.len() == 1 && by[0].as_str().is_some_and(|by| by.starts_with("alice@example.com, given ")),
                "{when}: {by:?}"
            );
        };
        approved("before it is taken up");
        if how == "poll" {
            bench.done(bench.quell(&["poll", &run]));
        }
        ok(&bench, &format!("resume {run}"));
        assert_eq!(simulator.ledger().entries.len(), 3);
        approved("at its end");
        let state = bench.state().join("simulator/journal.sqlite");
        let sql = "SELECT seq, body FROM timeline WHERE kind = 'approved'";
        let journal = rusqlite::Connection::open_with_flags(state, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("a journal");
        let (seq, body): (u32, String) =
            journal.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("one fact");
        assert!(seq == 2 && body.contains("SHA256:"), "{seq}: {body}");
    }
}

#[test]
fn killed_before_its_first_fact_a_retry_still_knows_what_was_permitted_and_by_whom() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(1);
    simulator.script(Script { acts: vec![ScriptedAnswer::cut_after()], ..Script::default() });
    let first = bench.done(bench.run(&["--quiet", "--report", "json=r.json"]));
    assert_eq!(first.code, Some(5), "{}", first.stderr);
    let first = bench.report("r.json")["run"]["id"].as_str().expect("a name").to_owned();
    let retry = [
        "retry",
        &first,
        "--outcome",
        "failed",
        "--permit-repeat",
        "0",
        "--reason",
        "harmless twice",
        "--yes",
        "--operator",
        "carol",
    ];
    let run = killed_before_its_first_fact(&bench, bench.quell(&retry), LAST_WORD);
    assert_eq!(simulator.ledger().entries.len(), 1);
    ok(&bench, &format!("resume {run} --operator dave"));
    assert_eq!(simulator.ledger().entries.len(), 2, "it was permitted");
    let journal = rusqlite::Connection::open(bench.state().join("simulator/journal.sqlite")).expect("a journal");
    let sql = "SELECT body FROM timeline WHERE kind = 'permitted'";
    let body: String = journal.query_row(sql, [], |row| row.get(0)).expect("one fact");
    assert!(body.contains("\"by\":\"carol\"") && body.contains("harmless twice"), "{body}");
}
