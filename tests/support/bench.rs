//! A folder of one's own, a simulated tenant in it, and the real binary working against it over loopback.
//!
//! Whatever is started is ended with the bench. Nothing waits for longer than [`PATIENCE`].

use quell::simulator::{Options, Served, Simulator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Every program under test is done by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Guards that hold nothing that a test does, and a budget that stops nothing: what they do has tests of its own.
pub(crate) const GUARDS: [&str; 10] = [
    "--max-items",
    "100000",
    "--max-hosts",
    "100000",
    "--max-per-host",
    "100000",
    "--max-irreversible",
    "100000",
    "--failure-budget",
    "100%",
];

/// See the module.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    /// Whatever serves the tenant, until the bench goes.
    pub(crate) _tenant: Box<dyn std::any::Any>,
}

/// A simulator served by this very process, so that a test can script it.
struct Serving {
    _served: Served,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// A tenant like this, served by the test itself; the simulator is there to be scripted.
    pub(crate) fn serving(options: Options) -> (Self, Simulator) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (simulator, served) = runtime.block_on(async {
            let simulator = Simulator::new(options);
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            let served = simulator.serve(listener).expect("loopback");
            (simulator, served)
        });
        let url = served.base_url();
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tenant.yaml"), simulator.tenant_yaml(&url)).expect("the tenant is written");
        let tenant = Box::new(Serving { _served: served, _runtime: runtime });
        (Self { folder, url, _tenant: tenant }, simulator)
    }

    /// A path in the bench's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes `events.csv`: one file event on each of so many hosts.
    pub(crate) fn events(&self, hosts: usize) {
        let mut csv = "agent_id,event_id,event_type,pid,unique_id,host\n".to_owned();
        for n in 0..hosts {
            csv.push_str(&format!(
                "00000000-0000-4000-8000-{n:012x},RTF_{n}_1,FILE,0,{},host-{n}\n",
                7_000_000_000_000 + n
            ));
        }
        fs::write(self.path("events.csv"), csv).expect("the events are written");
    }

    /// Changes the tenant file; what is to be replaced has to be there.
    pub(crate) fn change_tenant(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("tenant.yaml")).expect("the tenant is there");
        assert!(text.contains(from), "{from:?} is not in {text}");
        fs::write(self.path("tenant.yaml"), text.replace(from, to)).expect("the tenant is written");
    }

    /// `quell` with these arguments, in the bench's folder.
    pub(crate) fn quell(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
        command.args(args);
        self.at_home(command)
    }

    /// A command in the bench's folder, with its state folder and nothing of this machine's environment but PATH.
    pub(crate) fn at_home(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("QUELL_ALLOW_VOLATILE_STATE", "true")
            .env("QUELL_STATE_DIR", self.state())
            .stdin(Stdio::null());
        command
    }

    /// `quell run events.csv --action quarantine-file --tenant tenant.yaml --yes`, not held by any guard, and more.
    pub(crate) fn run(&self, more: &[&str]) -> Command {
        let mut args = vec!["run", "events.csv", "--action", "quarantine-file", "--tenant", "tenant.yaml", "--yes"];
        args.extend(GUARDS);
        args.extend(more);
        self.quell(&args)
    }

    /// Starts a command; its outputs go to files, so that it never waits for a reader.
    pub(crate) fn start(&self, mut command: Command) -> Going {
        let output = |kind: &str| {
            let number = fs::read_dir(self.folder.path()).expect("the folder is there").count();
            let path = self.path(&format!("{kind}-{number}"));
            (File::create(&path).expect("an output file"), path)
        };
        let ((out, stdout), (err, stderr)) = (output("stdout"), output("stderr"));
        let child = command.stdout(out).stderr(err).spawn().expect("it starts");
        Going { child, stdout, stderr }
    }

    /// Carries a command out to its end.
    pub(crate) fn done(&self, command: Command) -> Done {
        self.start(command).wait()
    }

    /// The JSON report in that file.
    pub(crate) fn report(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path(name)).expect("the report is there");
        serde_json::from_str(&text).expect("the report is JSON")
    }

    /// What the tenant carried out.
    pub(crate) fn ledger(&self) -> Value {
        get(&self.url, "/_simulator/ledger")
    }

    /// Holds a JSON report of a run that is done against the ledger, row by row.
    pub(crate) fn check_truth(&self, report: &Value) {
        let ledger = self.ledger();
        let mut done: BTreeMap<String, &Value> = BTreeMap::new();
        for entry in ledger["entries"].as_array().expect("entries") {
            assert!(done.insert(deed(entry), entry).is_none(), "carried out twice: {entry}");
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut rows = BTreeSet::new();
        for item in report["items"].as_array().expect("items") {
            let outcome = item["outcome"].as_str().expect("an outcome");
            *counts.entry(outcome.to_owned()).or_default() += 1;
            rows.insert(item["row"].as_u64().expect("a row"));
            check_item(item, outcome, done.remove(&deed(item)));
        }
        assert!(done.is_empty(), "carried out and in no report: {done:?}");
        let said = report["summary"]["outcomes"].as_object().expect("outcomes");
        let said: BTreeMap<String, u64> =
            said.iter().filter_map(|(name, n)| Some((name.clone(), n.as_u64().filter(|n| *n > 0)?))).collect();
        assert_eq!(counts, said, "the summary counts what the items say");
        let without = report["rows_without_item"].as_array().expect("rows").len();
        assert_eq!(report["summary"]["rows"], (rows.len() + without) as u64, "every row is accounted for");
    }
}

/// The outcome of one item against what was carried out of it.
fn check_item(item: &Value, outcome: &str, entry: Option<&Value>) {
    let fate = entry.map(|entry| entry["fate"].as_str().expect("a fate"));
    let truthful = match outcome {
        "succeeded" => fate == Some("succeeds"),
        "failed" => fate == Some("fails"),
        "still_queued" | "timed_out" => fate == Some("never_settles"),
        "unknown" | "unmatched" | "open" => true,
        _ => fate.is_none(),
    };
    assert!(truthful, "{fate:?} is said to be {item}");
    if let (Some(id), Some(entry)) = (item["remediation_id"].as_str(), entry) {
        assert_eq!(id, entry["remediation_id"], "the id is the item's own");
    }
}

/// What tells one deed from another, in a report and in a ledger. What is done to a host is about no event: an action's
/// `fill` sends other ids than the row has.
fn deed(of: &Value) -> String {
    let fields: &[&str] = match of["event_type"].as_str() {
        Some("AGENT") => &["action_id", "agent_id"],
        _ => &["action_id", "agent_id", "event_id", "pid", "unique_id"],
    };
    fields.iter().map(|field| of[*field].to_string()).collect::<Vec<_>>().join(" ")
}

/// A command that goes on.
pub(crate) struct Going {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// `None` when a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Going {
    /// Sends a signal to it.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.id().cast_signed()).expect("its number is above 0");
        rustix::process::kill_process(pid, signal).expect("it is there to be signalled");
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state is known").is_some()
    }

    /// Waits until something is so; false when the command ended before.
    pub(crate) fn wait_until(&mut self, mut holds: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        while !holds() {
            if self.has_ended() {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "it never came true: {}", read(&self.stderr));
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Done {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its state is known") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", read(&self.stderr));
            // Whoever takes long is looked at less often: many may be waited for at once.
            std::thread::sleep((began.elapsed() / 20).clamp(Duration::from_millis(2), Duration::from_millis(50)));
        };
        Done { code: status.code(), stdout: read(&self.stdout), stderr: read(&self.stderr) }
    }
}

/// A test that fails leaves nothing running.
impl Drop for Going {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The JSON at that path of the tenant.
fn get(url: &str, path: &str) -> Value {
    let address = url.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("the tenant listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it is asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).expect("JSON")
}
