//! What a case plays in: a tenant on loopback, a folder, the real binary in it, and what of the system can be changed
//! around it: limits, open files, the system calls themselves.
//!
//! The token is a canary, and one row of the input holds what spreadsheets take for a formula.

use super::bench::{Bench, Done, Going};
use super::intents::Intents;
use quell::journal::RunReader;
use quell::simulator::{Delay, Options, Simulator};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// A token as sign-in gives them: its `exp` was in 2001. The tenant lets it in all the same.
pub(crate) const CANARY: &str = "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDAwMDAwMDAsInN1YiI6IkNBTkFSWSJ9.Q0FOQVJZ";
/// Items in an act.
pub(crate) const BATCH: u64 = 5;
/// Calls at once.
pub(crate) const CONCURRENCY: u64 = 2;
/// Bytes of a page in the journal's log, with what stands before it.
pub(crate) const FRAME: usize = 24 + 4096;
/// What the host of the first row is called.
pub(crate) const HOSTILE: &str = "=cmd|' /C calc'!A0";

/// So many milliseconds.
pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A tenant that answers within milliseconds and settles soon.
pub(crate) fn prompt() -> Options {
    Options {
        latency: Delay::Fixed(ms(3)),
        settle: Delay::Fixed(ms(20)),
        token: Some(CANARY.to_owned()),
        ..Options::default()
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) simulator: Simulator,
    pub(crate) items: u64,
    changed: Mutex<Changed>,
}

/// What commands that go on find changed: the variables of their system, and arguments that are given them.
#[derive(Debug, Default)]
struct Changed {
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl World {
    /// One event on each of so many hosts; two acts of five items at once.
    pub(crate) fn new(items: u64, options: Options) -> Self {
        let (bench, simulator) = Bench::serving(options);
        bench.events(items as usize);
        let events = fs::read_to_string(bench.path("events.csv")).expect("events");
        fs::write(bench.path("events.csv"), events.replacen("host-0", HOSTILE, 1)).expect("the events are written");
        bench.change_tenant("batch_size: 50", &format!("batch_size: {BATCH}"));
        bench.change_tenant("concurrency: 8", &format!("concurrency: {CONCURRENCY}"));
        bench.change_tenant("first_after: 200ms, interval: 500ms", "first_after: 50ms, interval: 100ms");
        Self { bench, simulator, items, changed: Mutex::default() }
    }

    /// From now on, commands that go on have these variables in a changed system, and these further arguments.
    pub(crate) fn change_later(&self, variables: &[(&str, &str)], arguments: &[&str]) {
        let mut changed = self.changed.lock().expect("nobody panics with it");
        changed.variables.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        changed.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    /// A file of the tenant's part of the state folder.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.bench.state().join("simulator").join(name)
    }

    /// `quell` with these arguments, apart by spaces, and the token.
    pub(crate) fn quell(&self, arguments: &str) -> Command {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut command = self.bench.quell(&arguments);
        command.env("QUELL_TOKEN", CANARY);
        command
    }

    /// A new run over all events, with reports.
    pub(crate) fn run(&self) -> Command {
        let mut command = self.bench.run(&["--report", "json=r.json", "--report", "csv=r.csv"]);
        command.env("QUELL_TOKEN", CANARY);
        command
    }

    /// The command that goes on: `resume` of the run by its name, or the run itself when none has begun.
    pub(crate) fn go_on(&self) -> Command {
        self.go_on_into("r.json")
    }

    /// The same with another JSON report.
    pub(crate) fn go_on_into(&self, report: &str) -> Command {
        let mut command = match self.intents() {
            Some(intents) => self.quell(&format!("resume {} --report json={report} --report csv=r.csv", intents.run)),
            None => self.run(),
        };
        let changed = self.changed.lock().expect("nobody panics with it");
        command.args(&changed.arguments);
        let faults: Vec<_> = changed.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if faults.is_empty() { command } else { self.in_system(command, &faults) }
    }

    /// Carries a command out.
    pub(crate) fn done(&self, command: Command) -> Done {
        self.bench.done(command)
    }

    /// A command started through a shell that first does this; its process id stands in the file `pid`.
    pub(crate) fn through(&self, shell: &str, command: &Command) -> Command {
        let mut outer = Command::new("sh");
        outer.args(["-c", &format!("echo $$ > pid.new && mv pid.new pid && {shell} && exec \"$@\""), "sh"]);
        outer.arg(command.get_program()).args(command.get_args());
        let mut outer = self.bench.at_home(outer);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        outer
    }

    /// Starts a command whose limits can be changed while it goes on.
    pub(crate) fn start(&self, command: &Command) -> Going {
        self.bench.start(self.through("true", command))
    }

    /// Lowers a limit of the process that was started last.
    pub(crate) fn limit(&self, resource: Resource, to: u64) {
        let pid = fs::read_to_string(self.path("pid")).expect("it has said who it is");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
        let new = Rlimit { current: Some(to), maximum: None };
        let old = rustix::process::getrlimit(resource);
        let new = Rlimit { maximum: old.maximum, ..new };
        rustix::process::prlimit(Some(pid), resource, new).expect("the limit of one's own child can be lowered");
    }

    /// The same command in a system with these faults; see `system.c`.
    pub(crate) fn in_system(&self, mut command: Command, faults: &[(&str, &str)]) -> Command {
        command.env("LD_PRELOAD", system()).env("QUELL_FAULT_FOLDER", self.bench.state());
        command.env("QUELL_FAULT_LOG", self.path("system.log"));
        command.envs(faults.iter().copied());
        command
    }

    /// What the changed system wrote down, each as what happened and to which file.
    pub(crate) fn system_log(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.path("system.log")).unwrap_or_default();
        let line = |line: &str| line.split_once(' ').map(|(what, path)| (what.to_owned(), path.to_owned()));
        text.lines().filter_map(line).collect()
    }

    /// Whether that happened in the changed system.
    pub(crate) fn has_happened(&self, what: &str) -> bool {
        self.system_log().iter().any(|(happened, _)| happened == what)
    }

    /// What the journal says of the acts.
    pub(crate) fn intents(&self) -> Option<Intents> {
        Intents::read(&self.bench.state())
    }

    /// How many acts arrived.
    pub(crate) fn posts(&self) -> u64 {
        self.simulator.counters().posts
    }

    /// Starts the run and kills it as soon as this is so.
    pub(crate) fn killed_when(&self, holds: impl FnMut() -> bool) -> Done {
        let mut going = self.bench.start(self.run());
        assert!(going.wait_until(holds), "it ended before it could be killed");
        going.signal(Signal::KILL);
        let done = going.wait();
        self.await_quiet();
        done
    }

    /// Waits until nothing comes to the tenant any more: what a process had sent when it was killed may still be under way.
    pub(crate) fn await_quiet(&self) {
        let mut last = None;
        while last != Some(self.simulator.counters()) {
            last = Some(self.simulator.counters());
            std::thread::sleep(ms(40));
        }
    }

    /// Everything the state folder holds that is more than an opening's trace: no lock, no index over the log, no empty log.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.state("")).expect("a folder").map(|entry| entry.expect("an entry"));
        let named = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().expect("a name");
            let counts = name != "lock"
                && !name.ends_with(".lock")
                && !name.ends_with("-shm")
                && entry.file_type().expect("a type").is_file();
            counts.then(|| (name, fs::read(entry.path()).expect("its content")))
        });
        named.filter(|(_, content)| !content.is_empty()).collect()
    }

    /// Changes one file of the tenant's part of the state folder.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = fs::read(self.state(name)).expect("the file is there");
        change(&mut content);
        fs::write(self.state(name), content).expect("it can be written");
    }

    /// The name of the newest run's head file.
    pub(crate) fn head(&self) -> String {
        format!("{}.head", self.intents().expect("a run").run)
    }

    /// Whether the head file names the last fact and the log ends with a whole transaction: what a kill leaves is in most
    /// cases so, and otherwise the last transaction may still vanish without a trace, as nothing rested on it.
    pub(crate) fn is_at_its_head(&self) -> bool {
        let head = fs::read_to_string(self.state(&self.head())).expect("a head file");
        let marked = head.lines().filter_map(|line| line.trim().strip_prefix("sequence ")?.parse::<u64>().ok()).max();
        let mut facts = 0;
        let reader = RunReader::open(&self.bench.state(), None).expect("a run");
        let counted = reader.for_each_fact(|_| {
            facts += 1;
            Ok(())
        });
        counted.expect("the chain of facts is whole");
        let log = fs::read(self.state("journal.sqlite-wal")).expect("a log");
        let last = log.len().checked_sub(FRAME).map(|at| &log[at + 4..at + 8]);
        marked == Some(facts) && (log.len() - 32).is_multiple_of(FRAME) && last.is_some_and(|pages| pages != [0; 4])
    }

    /// The JSON report that was written last.
    pub(crate) fn report(&self) -> Value {
        self.bench.report("r.json")
    }
}

/// What stands before the C library; made once, by the compiler that SQLite was made with.
fn system() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (made, kept) = (folder.join(format!("system.{}.so", std::process::id())), folder.join("system.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults_process/system.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let built = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(source).status();
        assert!(built.expect("README asks for a C compiler").success(), "system.c does not compile");
        fs::rename(made, &kept).expect("it is put in place");
        kept
    })
}

/// Copies a folder with all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("it is copied")),
        }
    }
}
