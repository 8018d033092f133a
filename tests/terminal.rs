//! The question before a run, and before a signature, on a terminal of the test's own: asked there also when standard input is the events, and
//! answered by nothing else.
//!
//! `setsid` gives the program a session whose terminal is ours, or none. Nothing sleeps: the answer is typed when the
//! question has been read.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod bench;

use bench::Bench;
use quell::simulator::{Delay, Options, Simulator};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const QUESTION: &str = "to carry this out: ";

fn bench() -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(3);
    (bench, simulator)
}

/// A terminal: our end, and the other one as a standard input.
fn terminal() -> (File, Stdio) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it can be opened");
    let name = ptsname(&ours, Vec::new()).expect("its name");
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
    (File::from(ours), Stdio::from(theirs))
}

/// Runs this in a session whose terminal is ours, types the answer once the question stands there, and gives the exit
/// code, the question, and what was said on standard error.
fn answered(bench: &Bench, shell: &str, args: &[&str], answer: &str) -> (Option<i32>, String, String) {
    answered_to(bench, shell, args, QUESTION, answer)
}

/// The same for a question with this in it.
fn answered_to(bench: &Bench, shell: &str, args: &[&str], asks: &str, answer: &str) -> (Option<i32>, String, String) {
    let (mut ours, theirs) = terminal();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "sh", "-c", shell, env!("CARGO_BIN_EXE_quell")]).args(args);
    let mut command = bench.at_home(command);
    let going = bench.start({
        command.stdin(theirs);
        command
    });
    let (mut shown, mut buffer) = (String::new(), [0; 1024]);
    while !shown.contains(asks) {
        // The last process that has the terminal open closes it: nothing is asked any more.
        match ours.read(&mut buffer) {
            Ok(length) if length > 0 => shown += &String::from_utf8_lossy(&buffer[..length]),
            _ => break,
        }
    }
    if shown.contains(asks) {
        writeln!(ours, "{answer}").expect("it can be typed on");
    }
    let done = going.wait();
    let question = shown.lines().find(|line| line.contains(asks)).unwrap_or_default().to_owned();
    (done.code, question, done.stderr)
}

const RUN: [&str; 7] = ["run", "-", "--action", "quarantine-file", "--tenant", "tenant.yaml", "--quiet"];
const FROM_EVENTS: &str = "exec \"$0\" \"$@\" < events.csv";

#[test]
fn the_terminal_is_asked_when_standard_input_is_the_events() {
    let (bench, simulator) = bench();
    let (code, question, errors) = answered(&bench, FROM_EVENTS, &RUN, "3");
    assert_eq!(question, "simulator, 3 hosts, 3 items: type 3 to carry this out: ");
    assert_eq!((code, simulator.ledger().entries.len()), (Some(0), 3), "{errors}");
}

#[test]
fn it_is_asked_when_a_source_of_the_playbook_is_standard_input_or_none_is() {
    let (bench, simulator) = bench();
    let steps = "steps: [{name: away, action: quarantine-file}]";
    let playbook = |file: &str| format!("version: 1\nname: p\nevents: [{{file: \"{file}\"}}]\n{steps}\n");
    fs::write(bench.path("stdin.yaml"), playbook("-")).expect("a playbook");
    fs::write(bench.path("file.yaml"), playbook("events.csv")).expect("a playbook");
    let run = |file| ["run", file, "--tenant", "tenant.yaml", "--quiet"];
    let (code, _, errors) = answered(&bench, FROM_EVENTS, &run("stdin.yaml"), " 3 ");
    assert_eq!((code, simulator.ledger().entries.len()), (Some(0), 3), "{errors}");
    // All of it is done already, so nothing is left to ask for.
    let (code, question, errors) = answered(&bench, "exec \"$0\" \"$@\"", &run("file.yaml"), "3");
    assert_eq!((code, question.as_str(), simulator.ledger().entries.len()), (Some(0), "", 3), "{errors}");
    bench.events(4);
    let (code, question, errors) = answered(&bench, "exec \"$0\" \"$@\"", &run("file.yaml"), "1");
    assert_eq!(question, "simulator, 1 host, 1 item: type 1 to carry this out: ", "{errors}");
    assert_eq!((code, simulator.ledger().entries.len()), (Some(0), 4), "{errors}");
}

#[test]
fn any_other_answer_sends_nothing() {
    let (bench, simulator) = bench();
    for answer in ["", "y", "yes", "4", "03", "3 hosts"] {
        let (code, question, errors) = answered(&bench, FROM_EVENTS, &RUN, answer);
        assert!(question.ends_with(QUESTION), "{question} {errors}");
        assert_eq!(code, Some(3), "{answer:?}: {errors}");
        assert!(errors.ends_with("error: not confirmed; nothing was sent\n"), "{answer:?}: {errors}");
    }
    assert_eq!(simulator.ledger().entries.len(), 0);
    assert_eq!(simulator.counters().posts, 0);
}

#[test]
fn without_a_terminal_nobody_is_asked_and_nothing_is_sent() {
    let (bench, simulator) = bench();
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-c", FROM_EVENTS, env!("CARGO_BIN_EXE_quell")]).args(RUN);
    let done = bench.done(bench.at_home(command));
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(
        done.stderr.contains("there is no terminal to ask on; nothing was sent\nhelp: look at `quell plan` first"),
        "{}",
        done.stderr
    );
    assert_eq!(simulator.counters().posts, 0);
}

/// A repository whose plan needs approval, and a key that may give it.
fn to_approve(bench: &Bench, protected: &str) {
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    let public = key.public_key().to_openssh().expect("a public key");
    fs::write(bench.path("allowed_signers"), format!("alice@example.com {public}\n")).expect("signers");
    let text = key.to_openssh(ssh_key::LineEnding::LF).expect("a key");
    fs::write(bench.path("key"), text.as_bytes()).expect("a key");
    let playbook = "version: 1\nname: p\nevents: [{file: events.csv}]\nrequire_approval: {}\n\
                    steps: [{name: away, action: quarantine-file}]\n";
    fs::write(bench.path("p.yaml"), format!("{playbook}{protected}")).expect("a playbook");
}

const PLAN: [&str; 6] = ["plan", "p.yaml", "--tenant", "tenant.yaml", "-o", "p.plan"];
const APPROVE: [&str; 4] = ["approve", "p.plan", "--key", "key"];
const ALONE: &str = "exec \"$0\" \"$@\" < /dev/null";

/// Without any terminal.
fn alone(bench: &Bench, args: &[&str]) -> bench::Done {
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-c", ALONE, env!("CARGO_BIN_EXE_quell")]).args(args);
    bench.done(bench.at_home(command))
}

#[test]
fn approve_asks_on_the_terminal_also_when_standard_input_is_something_else() {
    let (bench, _) = bench();
    to_approve(&bench, "protected: {on_match: skip, rules: [{name: one, host: [host-0]}]}\n");
    assert_eq!(alone(&bench, &PLAN).code, Some(0));
    let done = alone(&bench, &APPROVE);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(
        done.stderr.ends_with(
            "error: there is no terminal to ask on; nothing was signed\nhelp: look at `quell show PLAN` first, then give --yes\n"
        ),
        "{}",
        done.stderr
    );
    for (answer, code) in [("3", 3), ("y", 3), ("2", 0)] {
        let (shown, question, errors) = answered_to(&bench, ALONE, &APPROVE, "SHA256:", answer);
        // What is blocked is not among what is approved.
        assert!(
            question.starts_with("simulator, 2 hosts, 2 items: type 2 to approve this as alice@example.com with"),
            "{question}"
        );
        assert_eq!((shown, bench.path("p.plan.sig").exists()), (Some(code), code == 0), "{answer}: {errors}");
    }
}

#[test]
fn a_plan_that_is_held_is_not_signed() {
    let (bench, _) = bench();
    to_approve(&bench, "guards: {max_hosts: 2}\n");
    assert_eq!(alone(&bench, &PLAN).code, Some(3));
    let done = alone(&bench, &[&APPROVE[..], &["--yes"]].concat());
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(
        done.stderr.starts_with("error: this plan is held, nothing was signed\nHELD by max_hosts: 3 hosts, at most 2"),
        "{}",
        done.stderr
    );
    assert!(!bench.path("p.plan.sig").exists());
}

#[test]
fn whatever_else_refuses_is_said_before_that_nobody_can_be_asked() {
    let (bench, simulator) = bench();
    to_approve(&bench, "");
    assert_eq!(alone(&bench, &PLAN).code, Some(0));
    let apply = ["apply", "p.plan"];
    let done = alone(&bench, &apply);
    assert!(done.code == Some(3) && done.stderr.contains("p.plan is not approved: 0 of 1 approval"), "{}", done.stderr);
    assert_eq!(alone(&bench, &[&APPROVE[..], &["--yes"]].concat()).code, Some(0));
    let done = alone(&bench, &apply);
    assert!(
        done.code == Some(3) && done.stderr.contains("error: there is no terminal to ask on; nothing was sent"),
        "{}",
        done.stderr
    );
    fs::create_dir_all(bench.state()).expect("a state folder");
    fs::write(bench.state().join("STOP"), "").expect("a stop file");
    let done = alone(&bench, &apply);
    assert!(done.code == Some(3) && done.stderr.contains("STOP is there; nothing was sent"), "{}", done.stderr);
    assert_eq!(simulator.counters().posts, 0);
}

#[test]
fn a_wave_that_waits_is_let_begin_by_the_word_that_is_typed_on_the_runs_own_terminal() {
    let (bench, simulator) = bench();
    let playbook = "version: 1\nname: p\nevents: [{file: events.csv}]\nwaves: [1, 100%]\n\
                    promote: {confirm_within: 1m}\nsteps: [{name: away, action: quarantine-file}]\n";
    fs::write(bench.path("p.yaml"), playbook).expect("a playbook");
    let run = ["run", "p.yaml", "--tenant", "tenant.yaml", "--yes", "--operator", "alice"];
    // Standard error is the terminal, so that the question is read there.
    let shell = "exec \"$0\" \"$@\" 2>&0";
    let (code, question, _) = answered_to(&bench, shell, &run, "lets it begin", "promote");
    assert!(question.contains("wave 2 of 2 waits: type promote, or: `quell promote p-"), "{question}");
    assert_eq!((code, simulator.ledger().entries.len()), (Some(0), 3));
    let report = bench.done(bench.quell(&["report", "--format", "json"])).stdout;
    assert!(report.contains("wave 2 by alice"), "{report}");
}

#[test]
fn nothing_else_that_is_typed_lets_a_wave_begin() {
    let (bench, simulator) = bench();
    let playbook = "version: 1\nname: p\nevents: [{file: events.csv}]\nwaves: [1, 100%]\n\
                    promote: {confirm_within: 5s}\nsteps: [{name: away, action: quarantine-file}]\n";
    fs::write(bench.path("p.yaml"), playbook).expect("a playbook");
    let run = ["run", "p.yaml", "--tenant", "tenant.yaml", "--yes"];
    let (code, _, _) = answered_to(&bench, "exec \"$0\" \"$@\" 2>&0", &run, "lets it begin", "y\n2\npromote 2\npromot");
    assert_eq!((code, simulator.ledger().entries.len()), (Some(6), 1));
}
