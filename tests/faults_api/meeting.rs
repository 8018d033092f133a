//! A case is met: the binary runs between its tenant and its relay, and what came of it is looked at, with the fault and
//! after it.

use crate::bench::{Bench, Done, GUARDS};
use crate::case::{CANARY, Case, Ending};
use crate::invariants::{self, Scene};
use crate::relay::{Call, Kind, Relay};
use crate::wire::Request;
use quell::engine::fact::What;
use quell::journal::RunReader;
use quell::simulator::Simulator;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest that a command may take.
const TIME_MAX: Duration = Duration::from_secs(60);

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

impl Case {
    /// What is wrong with what came of it.
    pub(crate) fn meet(&self) -> Vec<String> {
        let (bench, simulator) = Bench::serving(self.options.clone());
        let state = bench.state();
        let watch = move |request: &Request| without_intent(&state, request);
        let relay = Relay::new(&bench.url, bench.folder.path(), self.reach, self.faults.clone(), watch);
        self.prepare(&bench, &relay);
        let mut run = bench.quell(&["run", "events.csv", "--action", self.action, "--tenant", "tenant.yaml", "--yes"]);
        run.args(GUARDS).args(["--report", "json=r.json", "--report", "csv=r.csv", "--report", "markdown=r.md"]);
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
        if broken.is_empty() && !self.lasts {
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
            time_max: TIME_MAX,
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
        if !self.ends.is_empty() && !self.ends.iter().any(|ending| ending.is_met(done, &report, simulator)) {
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
