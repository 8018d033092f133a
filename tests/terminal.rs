//! The question before a run, on a terminal of the test's own: asked there also when standard input is the events, and
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
    let (mut ours, theirs) = terminal();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "sh", "-c", shell, env!("CARGO_BIN_EXE_quell")]).args(args);
    let mut command = bench.at_home(command);
    let going = bench.start({
        command.stdin(theirs);
        command
    });
    let (mut shown, mut buffer) = (String::new(), [0; 1024]);
    while !shown.contains(QUESTION) {
        // The last process that has the terminal open closes it: nothing is asked any more.
        match ours.read(&mut buffer) {
            Ok(length) if length > 0 => shown += &String::from_utf8_lossy(&buffer[..length]),
            _ => break,
        }
    }
    if shown.contains(QUESTION) {
        writeln!(ours, "{answer}").expect("it can be typed on");
    }
    let done = going.wait();
    let question = shown.lines().find(|line| line.contains(QUESTION)).unwrap_or_default().to_owned();
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
        done.stderr.contains("there is no terminal to ask on\nhelp: look at `quell plan` first"),
        "{}",
        done.stderr
    );
    assert_eq!(simulator.counters().posts, 0);
}
