//! Every byte of everything that a person approved, and of what the approval rests on, changed after the approval: it is
//! refused before anything is sent. The library's `apply` for each byte, the binary for some.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;
#[path = "support/signers.rs"]
mod signers;

use bench::Bench;
use clap::Parser;
use quell::cli::Typed;
use quell::commands;
use quell::error::{ExitCode, Failure};
use quell::simulator::{Delay, Options, Simulator};
use std::fs;

const PLAYBOOK: &str = "version: 1
name: contain
events: [{file: hits.csv}]
steps: [{name: q, action: quarantine-file, where: 'score == \"9\"'}]
guards: {max_percent_of: {of: hosts.txt, percent: 100}}
require_approval: {}
";
/// Whoever reads the token leaves a trace.
const TENANT: &str = "version: 1
name: t
base_url: URL
user: u
user_id: i
auth: {token_command: [sh, -c, \"touch TRACE; echo any\"]}
actions: {quarantine-file: {id: 9002, event_types: [FILE], reversible: true}}
limits: {requests: unlimited}
polling: {first_after: 200ms}
protected: {files: [core.yaml]}
";
const EVENTS: &str =
    "agent_id,event_id,event_type,pid,unique_id,host,score\na1,e1,FILE,0,u1,WS-1,9\na2,e2,FILE,0,u2,WS-2,9\n";
const RULES: &str = "version: 1\nrules: [{name: core, host: [\"DC-*\"]}]\n";

/// A plan, its approval, and all files that they rest on: two halves, which take about as long as each other.
const HALVES: [&[&str]; 2] =
    [&["a.plan", "hosts.txt"], &["a.plan.sig", "allowed_signers", "p.yaml", "tenant.yaml", "hits.csv", "core.yaml"]];

/// A folder with a plan that is approved and could be applied. Commands are given where all such folders lie, since the
/// library knows one working folder.
struct Approved {
    bench: Bench,
    simulator: Simulator,
}

impl Approved {
    fn new() -> Self {
        let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
        let write = |name: &str, text: &str| fs::write(bench.path(name), text).expect("it is written");
        let trace = bench.path("token-was-read").display().to_string();
        write("tenant.yaml", &TENANT.replace("URL", &bench.url).replace("TRACE", &trace));
        write("p.yaml", PLAYBOOK);
        write("hits.csv", EVENTS);
        write("hosts.txt", "a1\na2\n");
        write("core.yaml", RULES);
        write("allowed_signers", &signers::signer("alice@example.com", 1));
        write("key", &signers::key(1));
        let approved = Self { bench, simulator };
        let path = |name| approved.path(name);
        approved.binary(&["plan", &path("p.yaml"), "--tenant", &path("tenant.yaml"), "-o", &path("a.plan")], 0);
        approved.binary(&["approve", &path("a.plan"), "--key", &path("key"), "--note", "INC-7", "--yes"], 0);
        approved
    }

    fn path(&self, name: &str) -> String {
        let folder = self.bench.folder.path().file_name().expect("a name");
        format!("{}/{name}", folder.to_str().expect("UTF-8"))
    }

    fn apply(&self) -> [String; 8] {
        let words = ["apply", "PLAN", "--yes", "--operator", "carol", "--quiet", "--state-dir", "STATE"];
        words.map(|word| match word {
            "PLAN" => self.path("a.plan"),
            "STATE" => self.path("state"),
            word => word.to_owned(),
        })
    }

    /// As the binary does it, in this process.
    fn applied(&self) -> Result<ExitCode, Failure> {
        let typed = Typed::try_parse_from(["quell".to_owned()].into_iter().chain(self.apply())).expect("arguments");
        typed.command().map_err(Failure::Usage).and_then(commands::execute)
    }

    fn binary(&self, arguments: &[&str], code: u8) {
        let mut command = self.bench.quell(arguments);
        let done = self.bench.done({
            command.current_dir(std::env::temp_dir());
            command
        });
        assert_eq!(done.code, Some(i32::from(code)), "{arguments:?}: {}", done.stderr);
    }

    #[track_caller]
    fn is_untouched(&self, what: &str) {
        let counters = self.simulator.counters();
        assert_eq!((counters.posts, counters.gets), (0, 0), "{what}: something was sent");
        assert!(!self.bench.state().exists(), "{what}: a run was begun");
        assert!(!self.bench.path("token-was-read").exists(), "{what}: the token was read");
    }

    /// Changes each byte of a file; all of it is refused.
    fn refuses_every_change_of(&self, file: &str) {
        let original = fs::read(self.bench.path(file)).expect("it is there");
        let by_the_binary = [0, original.len() / 2, original.len() - 1];
        let apply = self.apply();
        let apply: Vec<&str> = apply.iter().map(String::as_str).collect();
        for at in 0..original.len() {
            for (how, changed) in changes(&original, at) {
                let what = format!("{file}, byte {at}: {how}");
                fs::write(self.bench.path(file), changed).expect("it is written");
                let Err(failure) = self.applied() else { panic!("{what}: it was carried out") };
                let code = failure.exit_code();
                assert!(matches!(code, ExitCode::Invalid | ExitCode::Held), "{what}: {}", failure.render(false));
                if by_the_binary.contains(&at) {
                    self.binary(&apply, code as u8);
                }
            }
        }
        fs::write(self.bench.path(file), &original).expect("it is written");
        self.is_untouched(file);
    }
}

/// The file with one byte changed, in each of these ways.
fn changes(bytes: &[u8], at: usize) -> [(&'static str, Vec<u8>); 2] {
    let (mut flipped, mut more) = (bytes.to_vec(), bytes.to_vec());
    flipped[at] ^= 1;
    more.insert(at, b' ');
    [("one bit is another", flipped), ("there is another one before it", more)]
}

#[test]
fn one_byte_changed_after_approval_is_refused() {
    std::env::set_current_dir(std::env::temp_dir()).expect("this process has one test");
    std::thread::scope(|scope| {
        for half in HALVES {
            scope.spawn(move || {
                let approved = Approved::new();
                half.iter().for_each(|file| approved.refuses_every_change_of(file));
                // For the change alone: as it was approved it is carried out.
                let code = approved.applied().map_err(|failure| failure.render(false)).expect("it is carried out");
                assert_eq!((code, approved.simulator.ledger().entries.len()), (ExitCode::Fine, 2));
            });
        }
    });
}
