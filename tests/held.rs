//! Every refusal of plans, guards and approvals in the words of the binary, and that each left the tenant alone: nothing
//! was carried out, nothing was asked, no token was read and no run begun.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;
#[path = "support/signers.rs"]
mod signers;

use bench::Bench;
use quell::approval::Subject;
use quell::cli::Approving;
use quell::commands::approve::{Read, approve};
use quell::plan::file;
use quell::simulator::{Delay, Options, Simulator};
use sha2::{Digest, Sha256};
use std::fs;
use std::time::Duration;

const PLAN: &str = "plan p.yaml --tenant tenant.yaml -o p.plan";
const APPLY: &str = "apply p.plan --yes --quiet --operator carol";
const RUN: &str = "run p.yaml --tenant tenant.yaml --yes --quiet --operator carol";

/// What is told of refusals, one after the other.
#[derive(Default)]
struct Told(String);

/// A folder in which something is about to be refused.
struct Scene {
    bench: Bench,
    simulator: Simulator,
}

impl Told {
    /// A plan of three hosts, which these lines of the playbook are about; then something is done that must go well, and
    /// the last command is refused with this code.
    fn refused(&mut self, lines: &str, prepare: impl FnOnce(&Scene), command: &str, code: i32) {
        let scene = Scene::new(lines);
        prepare(&scene);
        self.refused_in(&scene, command, code);
        let carried_out = scene.simulator.ledger().entries.len();
        let counters = scene.simulator.counters();
        assert_eq!((carried_out, counters.posts, counters.gets), (0, 0, 0), "{command}: something was sent");
        assert!(!scene.bench.path("token-was-read").exists(), "{command}: a token was read");
        assert!(!scene.bench.state().exists(), "{command}: a run was begun");
    }

    fn refused_in(&mut self, scene: &Scene, command: &str, code: i32) {
        let done = scene.quell(command);
        assert_eq!(done.code, Some(code), "{command}: {}{}", done.stdout, done.stderr);
        let mut said = done.stderr;
        for (pattern, by) in
            [("[0-9a-f]{64}", "<sha256>"), (r"p-\d{4}-[0-9a-f]{3}", "p-RUN"), (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME")]
        {
            said = regex::Regex::new(pattern).expect("a pattern").replace_all(&said, by).into_owned();
        }
        self.0 += &format!("$ quell {command}\nexit {code}\n{said}\n");
    }
}

impl Scene {
    fn new(lines: &str) -> Self {
        let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
        let scene = Self { bench, simulator };
        scene.bench.events(3);
        // Whoever reads the token leaves a trace.
        scene.bench.change_tenant("token_command: [echo, any-token-will-do]", "token_command: [sh, token.sh]");
        scene.write("token.sh", "touch token-was-read; echo any");
        scene.write("hosts.txt", "agent-1\nagent-2\n");
        let file = "events: [{file: events.csv}]";
        let step = "{name: q, action: quarantine-file}";
        let lines = if lines.contains("steps:") { lines.to_owned() } else { format!("steps: [{step}]\n{lines}") };
        scene.write("p.yaml", &format!("version: 1\nname: p\n{file}\n{lines}\n"));
        scene.write("allowed_signers", &(signers::signer("alice@example.com", 1) + &signers::signer("carol", 2)));
        for (name, number) in [("alice", 1), ("carol", 2), ("eve", 3)] {
            scene.write(name, &signers::key(number));
        }
        scene
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.bench.path(name), text).expect("it is written");
    }

    fn change(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.bench.path(name)).expect("it is there");
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.write(name, &text.replacen(from, to, 1));
    }

    fn quell(&self, command: &str) -> bench::Done {
        self.bench.done(self.bench.quell(&command.split(' ').collect::<Vec<_>>()))
    }

    #[track_caller]
    fn does(&self, command: &str) {
        let done = self.quell(command);
        assert_eq!(done.code, Some(0), "{command}: {}{}", done.stdout, done.stderr);
    }

    /// Alice signed the plan so long ago that it does not count any more.
    fn sign_two_days_ago(&self) {
        let order = Approving {
            plan: self.bench.path("p.plan"),
            key: Some(self.bench.path("alice")),
            default_key: None,
            author: None,
            ttl: Some(Duration::from_secs(3600)),
            note: None,
            yes: true,
        };
        let bytes = fs::read(&order.plan).expect("it is there");
        let plan = file::read(&mut &bytes[..]).expect("a plan");
        let subject = Subject { plan_digest: plan.header.digest.clone(), file_sha256: Sha256::digest(&bytes).into() };
        let signers_text = fs::read_to_string(self.bench.path("allowed_signers")).expect("it is there");
        let read =
            Read { subject: &subject, plan: &plan, signers_name: "allowed_signers", signers_text: &signers_text };
        let then = jiff::Timestamp::now() - Duration::from_secs(2 * 86_400);
        approve(&order, read, then).map_err(|failure| failure.render(false)).expect("it is signed");
    }
}

#[test]
fn what_a_guard_holds_is_told_with_what_raising_it_takes() {
    let mut told = Told::default();
    for guards in [
        "{max_items: 2}",
        "{max_hosts: 2}",
        "{max_per_host: 0}",
        "{max_per_action: {quarantine-file: 2}}",
        "{max_percent_of: {of: hosts.txt, percent: 50%}}",
    ] {
        told.refused(&format!("guards: {guards}"), |_| {}, RUN, 3);
    }
    let irreversible = "steps: [{name: d, action: delete-file}]";
    told.refused(irreversible, |_| {}, RUN, 3);
    let planned = |scene: &Scene| assert_eq!(scene.quell(PLAN).code, Some(3));
    told.refused(irreversible, planned, APPLY, 3);
    let ceiling = |scene: &Scene| scene.change("tenant.yaml", "statuses:", "guards: {max_items: 2}\nstatuses:");
    told.refused("", ceiling, RUN, 3);
    told.refused("guards: {max_items: 3}", ceiling, RUN, 2);
    told.refused("", ceiling, "run events.csv --action quarantine-file --tenant tenant.yaml --yes --max-items 3", 2);
    insta::assert_snapshot!(told.0);
}

#[test]
fn what_is_protected_or_has_no_age_is_told_by_its_rows() {
    let mut told = Told::default();
    let rule = "protected: {rules: [{name: crown jewels, host: [HOST-1]}]}";
    told.refused(rule, |_| {}, RUN, 3);
    told.refused(rule, |scene| assert_eq!(scene.quell(PLAN).code, Some(3)), APPLY, 3);
    let young = "steps: [{name: q, action: quarantine-file, max_event_age: 1h}]";
    told.refused(young, |_| {}, RUN, 2);
    insta::assert_snapshot!(told.0);
}

#[test]
fn a_plan_that_is_not_what_was_reviewed_is_told_from_one_that_was_carried_out() {
    let mut told = Told::default();
    let planned = |scene: &Scene| scene.does(PLAN);
    let digest = |scene: &Scene| {
        planned(scene);
        let plan = fs::read_to_string(scene.bench.path("p.plan")).expect("a plan");
        let at = plan.find("\"digest\":\"").expect("its digest") + "\"digest\":\"".len();
        let other = if plan[at..].starts_with('0') { "1" } else { "0" };
        scene.write("p.plan", &format!("{}{other}{}", &plan[..at], &plan[at + 1..]));
    };
    told.refused("", digest, APPLY, 3);
    let gone = |scene: &Scene| {
        planned(scene);
        fs::remove_file(scene.bench.path("events.csv")).expect("it is there");
    };
    told.refused("", gone, APPLY, 3);
    let other = |scene: &Scene| {
        planned(scene);
        fs::copy(scene.bench.path("tenant.yaml"), scene.bench.path("other.yaml")).expect("it is copied");
        scene.change("other.yaml", "name: simulator", "name: elsewhere");
    };
    told.refused("", other, &format!("{APPLY} --tenant other.yaml"), 3);
    told.refused("", planned, &format!("{APPLY} --where true"), 2);
    // What was carried out once is not carried out again.
    let scene = Scene::new("");
    scene.does(PLAN);
    scene.does(APPLY);
    assert_eq!(scene.simulator.ledger().entries.len(), 3);
    told.refused_in(&scene, APPLY, 3);
    assert_eq!((scene.simulator.ledger().entries.len(), scene.simulator.counters().posts), (3, 1));
    insta::assert_snapshot!(told.0);
}

#[test]
fn an_approval_that_does_not_count_is_told_with_its_reason() {
    const ASKS: &str = "require_approval: {when: plan.hosts > 2}";
    let mut told = Told::default();
    told.refused(ASKS, |_| {}, RUN, 3);
    let planned = |scene: &Scene| scene.does(PLAN);
    told.refused(ASKS, planned, APPLY, 3);
    let expired = |scene: &Scene| {
        planned(scene);
        scene.sign_two_days_ago();
    };
    told.refused(ASKS, expired, APPLY, 3);
    told.refused(ASKS, planned, "approve p.plan --key eve --author eve@example.com --yes", 3);
    // Eve may approve while she signs, and not any more when the plan is carried out: it was made with others.
    let eve = |scene: &Scene| {
        let may = fs::read_to_string(scene.bench.path("allowed_signers")).expect("it is there");
        scene.write("allowed_signers", &(may.clone() + &signers::signer("eve@example.com", 3)));
        planned(scene);
        scene.does("approve p.plan --key eve --yes");
        scene.write("allowed_signers", &may);
        planned(scene);
    };
    told.refused(ASKS, eve, APPLY, 3);
    let author = |scene: &Scene| {
        planned(scene);
        scene.does("approve p.plan --key carol --yes");
    };
    told.refused(ASKS, author, APPLY, 3);
    // As many as are asked for, and each of them a person of their own.
    let twice = |scene: &Scene| {
        planned(scene);
        scene.does("approve p.plan --key alice --yes");
        scene.does("approve p.plan --key alice --yes");
    };
    told.refused("require_approval: {min: 2}", twice, APPLY, 3);
    insta::assert_snapshot!(told.0);
}
