//! One fault: a tenant, a relay that spoils its calls, the real binary between them, and what must come of it.
//!
//! After its own expectations every case is held against the invariants; then its fault is healed, the run is taken up
//! to its end, and everything is held once more. A fault that did not take place fails its case.

use crate::bench::{Bench, Done, Going};
use crate::invariants::{self, Scene};
use crate::relay::{Call, Deed, Exchange, Fault, Inject, Kind, Reach, Relay};
use crate::wire::Request;
use quell::engine::fact::What;
use quell::journal::RunReader;
use quell::simulator::{Delay, Options, Simulator};
use serde_json::Value;
use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What every token begins with, and what stands nowhere.
pub(crate) const CANARY: &str = "eyJhbGciOi.CANARY-4711";
const TOKEN: &str = "eyJhbGciOi.CANARY-4711.first";

/// Repeating it does no more harm than doing it once: acting goes on after an unknown item.
pub(crate) const QUARANTINE: &str = "quarantine-file";
/// It is not to be repeated: an unknown item holds it back.
pub(crate) const DELETE: &str = "delete-file";

/// Outcomes that there are, and how many items have them.
pub(crate) type Counts = &'static [(&'static str, u64)];

/// A fault, and what must come of it. By default six items on as many hosts go out in three acts, one after the other.
pub(crate) struct Case {
    pub(crate) row: u32,
    pub(crate) what: String,
    /// Whether it takes so long that it has to begin early.
    pub(crate) is_slow: bool,
    action: &'static str,
    items: usize,
    batch: usize,
    concurrency: usize,
    options: Options,
    edits: Vec<(&'static str, String)>,
    files: Vec<(&'static str, String)>,
    reach: Reach,
    url: Option<fn(&Relay) -> String>,
    variables: Vec<(&'static str, fn(&Relay) -> String)>,
    wrap: Option<Wrap>,
    beside: Option<fn(&Relay) -> Box<dyn Any>>,
    faults: Vec<Fault>,
    meanwhile: Option<fn(&mut Going, &Relay, &Bench)>,
    took_place: Option<fn(&Met<'_>) -> bool>,
    ends: Vec<Ending>,
    later: Option<Ending>,
    holds: Vec<(String, Judge)>,
    calls_max: usize,
    time_max: Duration,
}

/// Another command around the binary; whether the fault is over.
type Wrap = fn(&Bench, Command, bool) -> Command;

type Judge = Box<dyn Fn(&Met<'_>) -> bool + Send>;

/// How a run may end: with this code, these outcomes, and so many items carried out.
#[derive(Debug, Clone, Copy)]
struct Ending {
    code: i32,
    counts: Counts,
    carried_out: u64,
}

/// What came of a fault.
pub(crate) struct Met<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) relay: &'a Relay,
    pub(crate) simulator: &'a Simulator,
    pub(crate) done: &'a Done,
    pub(crate) report: Value,
    pub(crate) facts: Vec<What>,
    pub(crate) calls: Vec<Call>,
}

/// A case that does nothing yet.
pub(crate) fn case(row: u32, what: impl Into<String>) -> Case {
    Case {
        row,
        what: what.into(),
        is_slow: false,
        action: QUARANTINE,
        items: 6,
        batch: 2,
        concurrency: 1,
        options: Options { settle: Delay::None, ..Options::default() },
        edits: Vec::new(),
        files: Vec::new(),
        reach: Reach::Plain,
        url: None,
        variables: vec![("QUELL_TOKEN", |_| TOKEN.to_owned())],
        wrap: None,
        beside: None,
        faults: Vec::new(),
        meanwhile: None,
        took_place: None,
        ends: Vec::new(),
        later: None,
        holds: Vec::new(),
        calls_max: 80,
        time_max: Duration::from_secs(60),
    }
}

/// What a fault does to a call.
pub(crate) fn inject(inject: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Inject {
    Arc::new(inject)
}

/// The first act meets this and leaves its items unknown; acting goes on. `executes` says whether the fault has the
/// tenant carry the act out.
pub(crate) fn unknown(row: u32, what: &str, executes: bool, fault: &Inject) -> Case {
    case(row, format!("{what}, and acting goes on"))
        .acts(0..1, fault)
        .ends(5, &[("unknown", 2), ("succeeded", 4)], if executes { 6 } else { 4 })
        .holds("three acts", |met| met.relay.count(Kind::Act) == 3)
}

/// The same for an action that is not to be repeated: acting is held back, also when the run is taken up.
pub(crate) fn held(row: u32, what: &str, executes: bool, fault: &Inject) -> Case {
    let carried_out = if executes { 2 } else { 0 };
    case(row, format!("{what}, and acting is held back"))
        .action(DELETE)
        .acts(0..1, fault)
        .ends(5, &[("unknown", 2), ("not_started", 4)], carried_out)
        .later(5, &[("unknown", 2), ("not_started", 4)], carried_out)
        .holds("one act", |met| met.relay.count(Kind::Act) == 1)
}

/// One of the two, in turn: of many faults that are alike, each half meets the one kind of action.
pub(crate) fn unknown_or_held(turn: usize, row: u32, what: &str, executes: bool, fault: &Inject) -> Case {
    if turn.is_multiple_of(2) { unknown(row, what, executes, fault) } else { held(row, what, executes, fault) }
}

/// The first poll meets this, and it makes no difference: it is made again.
pub(crate) fn repeated(row: u32, what: &str, fault: &Inject) -> Case {
    case(row, what)
        .polls(0..1, fault)
        .ends(0, &[("succeeded", 6)], 6)
        .holds("it was made again", |met| met.relay.count(Kind::Poll) >= 7)
}

impl Case {
    pub(crate) fn action(self, action: &'static str) -> Self {
        Self { action, ..self }
    }

    pub(crate) fn items(self, items: usize, batch: usize) -> Self {
        Self { items, batch, ..self }
    }

    pub(crate) fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    pub(crate) fn tenant(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Changes the tenant file.
    pub(crate) fn edit(mut self, from: &'static str, to: impl Into<String>) -> Self {
        self.edits.push((from, to.into()));
        self
    }

    /// A file of this user alone, with this content.
    pub(crate) fn file(mut self, name: &'static str, content: String) -> Self {
        self.files.push((name, content));
        self
    }

    /// The time from acceptance to the last poll.
    pub(crate) fn deadline(self, deadline: &str) -> Self {
        self.edit("deadline: 20s", format!("deadline: {deadline}"))
    }

    /// The time in which acts and polls must be answered.
    pub(crate) fn hurried(self) -> Self {
        self.edit("act_timeout: 20s, poll_timeout: 20s", "act_timeout: 2s, poll_timeout: 2s")
    }

    pub(crate) fn reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The tenant's address, where it is not the relay's own.
    pub(crate) fn url(self, url: fn(&Relay) -> String) -> Self {
        Self { url: Some(url), ..self }
    }

    pub(crate) fn variable(mut self, name: &'static str, value: fn(&Relay) -> String) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn wrapped(self, wrap: Wrap) -> Self {
        Self { wrap: Some(wrap), ..self }
    }

    /// What has to be there while the binary works.
    pub(crate) fn beside(self, beside: fn(&Relay) -> Box<dyn Any>) -> Self {
        Self { beside: Some(beside), ..self }
    }

    pub(crate) fn acts(mut self, range: Range<usize>, fault: &Inject) -> Self {
        self.faults.push(Fault::Calls(Kind::Act, range, Arc::clone(fault)));
        self
    }

    pub(crate) fn polls(mut self, range: Range<usize>, fault: &Inject) -> Self {
        self.faults.push(Fault::Calls(Kind::Poll, range, Arc::clone(fault)));
        self
    }

    pub(crate) fn tunnels(mut self, range: Range<usize>, fault: &Inject) -> Self {
        self.faults.push(Fault::Calls(Kind::Tunnel, range, Arc::clone(fault)));
        self
    }

    pub(crate) fn connections(mut self, range: Range<usize>, deed: Deed) -> Self {
        self.faults.push(Fault::Connections(range, deed));
        self
    }

    /// What happens while the binary works.
    pub(crate) fn meanwhile(self, meanwhile: fn(&mut Going, &Relay, &Bench)) -> Self {
        Self { meanwhile: Some(meanwhile), ..self }
    }

    /// What shows that the fault took place, where the relay cannot count it.
    pub(crate) fn took_place(self, took_place: fn(&Met<'_>) -> bool) -> Self {
        Self { took_place: Some(took_place), ..self }
    }

    /// How it may end; said twice, either is right.
    pub(crate) fn ends(mut self, code: i32, counts: Counts, carried_out: u64) -> Self {
        self.ends.push(Ending { code, counts, carried_out });
        self
    }

    /// How it ends when it is taken up after the fault.
    pub(crate) fn later(self, code: i32, counts: Counts, carried_out: u64) -> Self {
        Self { later: Some(Ending { code, counts, carried_out }), ..self }
    }

    pub(crate) fn holds(mut self, what: &str, judge: impl Fn(&Met<'_>) -> bool + Send + 'static) -> Self {
        self.holds.push((what.to_owned(), Box::new(judge)));
        self
    }

    /// The most calls that it may cost, resumes included.
    pub(crate) fn calls_max(self, calls_max: usize) -> Self {
        Self { calls_max, ..self }
    }

    pub(crate) fn time_max(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    pub(crate) fn slow(self) -> Self {
        Self { is_slow: true, ..self }
    }

    /// What is wrong with what came of it.
    pub(crate) fn meet(&self) -> Vec<String> {
        let (bench, simulator) = Bench::serving(self.options.clone());
        let state = bench.state();
        let watch = move |request: &Request| without_intent(&state, request);
        let relay = Relay::new(&bench.url, bench.folder.path(), self.reach, self.faults.clone(), watch);
        self.prepare(&bench, &relay);
        let mut run = bench.quell(&["run", "events.csv", "--action", self.action, "--tenant", "tenant.yaml", "--yes"]);
        run.args(["--report", "json=r.json", "--report", "csv=r.csv", "--report", "markdown=r.md"]);
        run.args(["--report", "html=r.html"]);
        let _beside = self.beside.map(|beside| beside(&relay));
        let began = Instant::now();
        let mut going = bench.start(self.around(&bench, &relay, run, false));
        if let Some(meanwhile) = self.meanwhile {
            meanwhile(&mut going, &relay, &bench);
        }
        let done = going.wait();
        let mut broken = self.look(&bench, &relay, &simulator, &done, "r.json", began.elapsed());
        broken.extend(self.judge(&bench, &relay, &simulator, &done));
        if broken.is_empty() {
            relay.heal();
            broken = self.end(&bench, &relay, &simulator);
        }
        if !broken.is_empty() {
            broken.push(format!("exit {:?}\n{}\n{}", done.code, done.stdout, done.stderr));
        }
        broken
    }

    fn prepare(&self, bench: &Bench, relay: &Relay) {
        bench.events(self.items);
        std::fs::write(bench.path("ca.pem"), include_bytes!("../support/tls/ca.pem")).expect("a file");
        for (name, content) in &self.files {
            std::fs::write(bench.path(name), content).expect("a file");
            std::fs::set_permissions(bench.path(name), PermissionsExt::from_mode(0o600)).expect("its mode is set");
        }
        let url = self.url.map_or_else(|| relay.url(), |url| url(relay));
        let size = format!("concurrency: {}, batch_size: {}", self.concurrency, self.batch);
        let edits: [(&str, &str); 6] = [
            (&bench.url, &url),
            ("concurrency: 8, batch_size: 50", &size),
            ("act_timeout: 30s, poll_timeout: 10s", "act_timeout: 20s, poll_timeout: 20s"),
            (
                "first_after: 200ms, interval: 500ms, interval_max: 5s",
                "first_after: 30ms, interval: 60ms, interval_max: 250ms",
            ),
            ("deadline: 5m", "deadline: 20s"),
            ("auth: {token_command: [echo, any-token-will-do]}", "auth: {token_env: QUELL_TOKEN}"),
        ];
        let own = self.edits.iter().map(|(from, to)| (*from, to.as_str()));
        edits.into_iter().chain(own).for_each(|(from, to)| bench.change_tenant(from, to));
    }

    fn around(&self, bench: &Bench, relay: &Relay, command: Command, is_over: bool) -> Command {
        let mut command = match self.wrap {
            Some(wrap) => bench.at_home(wrap(bench, command, is_over)),
            None => command,
        };
        command.envs(self.variables.iter().map(|(name, value)| (name, value(relay)))).env("SSL_CERT_FILE", "ca.pem");
        command
    }

    /// The invariants, and what holds for all calls.
    fn look(
        &self,
        bench: &Bench,
        relay: &Relay,
        simulator: &Simulator,
        done: &Done,
        report: &str,
        took: Duration,
    ) -> Vec<String> {
        let mut broken = invariants::check(&Scene {
            bench,
            done,
            report,
            secret: CANARY,
            secret_is_in: &["token"],
            strangers: relay.strangers(),
            acts: relay.count(Kind::Act).max(simulator.counters().posts as usize),
            polls: relay.count(Kind::Poll).max(simulator.counters().gets as usize),
            calls_max: self.calls_max,
            took,
            time_max: self.time_max,
        });
        broken.extend(relay.complaints());
        let calls = relay.calls();
        let acts: Vec<&Call> = calls.iter().filter(|call| call.kind == Kind::Act).collect();
        if acts.iter().any(|act| act.before > 0) {
            broken.push("I1: an act went out on a connection that had served before".to_owned());
        }
        // The tenant's path prefix and version, and never another.
        let path = |call: &Call| call.target.split('?').next().unwrap_or_default().to_owned();
        let act_path = acts.first().map_or_else(|| ACT_PATH.to_owned(), |act| path(act));
        let base = act_path.trim_end_matches("performAction");
        let is_right = |call: &Call| match call.kind {
            Kind::Act => path(call) == act_path,
            Kind::Poll => path(call).starts_with(&format!("{base}activityLog/")),
            Kind::Tunnel => call.target == "tenant.invalid:443",
        };
        let astray = calls.iter().filter(|call| !is_right(call));
        broken.extend(astray.map(|call| format!("I7: a call to {}", call.target)));
        broken
    }

    /// What this case expects beyond that.
    fn judge(&self, bench: &Bench, relay: &Relay, simulator: &Simulator, done: &Done) -> Vec<String> {
        if !bench.path("r.json").exists() {
            return vec!["there is no report".to_owned()];
        }
        let report = bench.report("r.json");
        let mut broken = Vec::new();
        if !self.ends.iter().any(|ending| ending.is_met(done, &report, simulator)) {
            broken.push(format!("it ended with {}, expected {:?}", Ending::met(done, &report, simulator), self.ends));
        }
        let facts = facts(bench);
        let calls = relay.calls();
        let met = Met { bench, relay, simulator, done, report, facts, calls };
        if !self.took_place.map_or(relay.fired() > 0, |took_place| took_place(&met)) {
            broken.push("the fault did not take place".to_owned());
        }
        let missed = self.holds.iter().filter(|(_, holds)| !holds(&met));
        broken.extend(missed.map(|(what, _)| format!("it does not hold that {what}: {}", met.told())));
        broken
    }

    /// The fault is over.
    fn end(&self, bench: &Bench, relay: &Relay, simulator: &Simulator) -> Vec<String> {
        let id = bench.report("r.json")["run"]["id"].as_str().expect("a name").to_owned();
        let go_on = |report: &str| {
            let resume = bench.quell(&["resume", &id, "--report", &format!("json={report}")]);
            self.around(bench, relay, resume, true)
        };
        let mut broken = Vec::new();
        let began = Instant::now();
        let done = invariants::check_end(bench, "r.json", go_on, || relay.count(Kind::Act), &mut broken);
        broken.extend(self.look(bench, relay, simulator, &done, "end.json", began.elapsed()));
        let report = bench.report("end.json");
        if self.later.is_some_and(|later| !later.is_met(&done, &report, simulator)) {
            let met = Ending::met(&done, &report, simulator);
            broken.push(format!("taken up, it ended with {met}, expected {:?}", self.later));
        }
        if !broken.is_empty() {
            broken.push(format!("resume: exit {:?}\n{}\n{}", done.code, done.stdout, done.stderr));
        }
        broken
    }
}

const ACT_PATH: &str = "/ioc/v1/remediation-actions/performAction";

impl Ending {
    fn is_met(&self, done: &Done, report: &Value, simulator: &Simulator) -> bool {
        let expected: BTreeMap<String, u64> = self.counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let carried_out = simulator.counters().carried_out;
        done.code == Some(self.code) && counts(report) == expected && carried_out == self.carried_out
    }

    fn met(done: &Done, report: &Value, simulator: &Simulator) -> String {
        format!("{:?}, {:?}, {} carried out", done.code, counts(report), simulator.counters().carried_out)
    }
}

fn counts(report: &Value) -> BTreeMap<String, u64> {
    let all = report["summary"]["outcomes"].as_object().cloned().unwrap_or_default();
    all.into_iter().filter_map(|(name, n)| Some((name, n.as_u64().filter(|n| *n > 0)?))).collect()
}

impl Met<'_> {
    /// The field of every item that has that outcome.
    pub(crate) fn of(&self, outcome: &str, field: &str) -> Vec<String> {
        let items = self.report["items"].as_array().into_iter().flatten();
        let having = items.filter(|item| item["outcome"] == outcome);
        having.map(|item| item[field].as_str().map_or_else(|| item[field].to_string(), str::to_owned)).collect()
    }

    /// The time between each call and the next.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.calls.windows(2).map(|two| two[1].at - two[0].at).collect()
    }

    fn told(&self) -> String {
        let calls: Vec<String> =
            self.calls.iter().map(|call| format!("{:?} {} ({} before)", call.kind, call.target, call.before)).collect();
        format!("\n{}\n{}\n{:?}", calls.join("\n"), self.report["items"], self.facts)
    }
}

/// What happened in the newest run.
pub(crate) fn facts(bench: &Bench) -> Vec<What> {
    let mut facts = Vec::new();
    let Ok(reader) = RunReader::open(&bench.state(), None) else { return facts };
    let walked = reader.for_each_fact(|fact| {
        facts.push(fact.what);
        Ok(())
    });
    walked.expect("the chain of facts is whole");
    facts
}

/// I4, looked at when it matters: the intent of an act that has just come is in the journal already.
fn without_intent(state: &Path, request: &Request) -> Option<String> {
    let complaint = || Some(format!("I4: no intent was durable when this came: {}", request.target()));
    let comment = decoded(request.target().rsplit_once("comment=")?.1);
    let Some((run, batch)) = comment.strip_prefix("[quell ").and_then(|tag| tag.strip_suffix(']')?.split_once('/'))
    else {
        return complaint();
    };
    let mut is_there = false;
    let reader = RunReader::open(state, Some(run)).expect("the run is there");
    let walked = reader.for_each_fact(|fact| {
        is_there |= matches!(fact.what, What::Submitting { batch: known, .. } if known.0.to_string() == batch);
        Ok(())
    });
    walked.expect("the chain of facts is whole");
    if is_there { None } else { complaint() }
}

/// A value of a query, as text.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digits = |rest: &mut std::str::Bytes<'_>| String::from_utf8(rest.take(2).collect()).unwrap_or_default();
        bytes.push(match byte {
            b'%' => u8::from_str_radix(&digits(&mut rest), 16).unwrap_or(b'?'),
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap_or_default()
}
