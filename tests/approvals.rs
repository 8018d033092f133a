//! Approvals as their users meet them: a run that is held, a plan that is signed, and what is refused. Keys are made from
//! fixed seeds; no agent, no git and no ssh-keygen is asked.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;
#[path = "support/signers.rs"]
mod signers;

use bench::{Bench, Done};
use clap::Parser;
use quell::approval::{Requirement, Subject, verify};
use quell::cli::{Approving, Command, Typed};
use quell::commands::approve::{Read, approve};
use quell::commands::inputs;
use quell::plan::Plan;
use quell::simulator::{Delay, Options};
use signers::signer;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const PLAYBOOK: &str = "version: 1
name: contain
tenant: example
events: [{file: ../events.csv}]
steps: [{name: quarantine, action: quarantine-file}]
";
const EVENTS: &str = "agent_id,event_id,event_type,pid,unique_id,host\na1,e1,FILE,0,u1,WS-1\na2,e2,FILE,0,u2,WS-2\n";
const NEEDED: &str = "1 signature needed, not the operator's, at most 24h old";

/// A repository with a tenant, a playbook that asks for approval, events, and two people who may give it.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new(approval: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = Self(folder);
        assert_eq!(repository.quell(&["init", "."]).0, Some(0));
        repository.write("playbooks/contain.yaml", &format!("{PLAYBOOK}require_approval: {approval}\n"));
        repository.write("events.csv", EVENTS);
        repository.write("allowed_signers", &(signer("alice@example.com", 1) + &signer("bob@example.com", 2)));
        repository
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it is written");
    }

    /// Exit code, and all that is said.
    fn quell(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_quell"));
        command.args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        let output = command.env("QUELL_STATE_DIR", self.path("state")).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    }

    fn plan(&self) -> Plan {
        let playbook = self.path("playbooks/contain.yaml");
        let typed = Typed::try_parse_from([Path::new("quell"), Path::new("plan"), &playbook]).expect("arguments");
        let Ok(Command::Plan { selection, .. }) = typed.command() else { panic!("it is a plan") };
        inputs::prepare(&selection, false).map_err(|failure| failure.render(false)).expect("a plan").plan
    }

    /// Signs with the test key of that number; what is said when it does not come to that.
    fn approve(&self, key: u8, change: impl FnOnce(&mut Approving)) -> Result<(), String> {
        let file = self.path(&format!("key-{key}"));
        fs::write(&file, signers::key(key)).expect("it is written");
        self.write("a.plan", "what is in it is told by who calls");
        let mut order = Approving {
            plan: self.path("a.plan"),
            key: Some(file),
            default_key: None,
            author: None,
            ttl: None,
            note: None,
            yes: true,
        };
        change(&mut order);
        let plan = self.plan();
        let signers_text = fs::read_to_string(self.path("allowed_signers")).expect("a file");
        let subject = subject(&plan);
        let read =
            Read { subject: &subject, plan: &plan, signers_name: "allowed_signers", signers_text: &signers_text };
        approve(&order, read, now()).map(drop).map_err(|failure| failure.render(false))
    }

    fn signatures(&self) -> String {
        fs::read_to_string(self.path("a.plan.sig")).unwrap_or_default()
    }

    fn verdict(&self, operator: &str) -> String {
        let plan = self.plan();
        let requirement = Requirement::of(plan.header.approval.as_ref().expect("it asks")).expect("it needs one");
        let signers = fs::read_to_string(self.path("allowed_signers")).expect("a file");
        match verify(&requirement, &subject(&plan), &self.signatures(), &signers, Some(operator), now()) {
            Ok(valid) => valid.iter().map(|valid| valid.author.as_str()).collect::<Vec<_>>().join(", "),
            Err(refused) => refused.to_string(),
        }
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-22T03:40:00.5Z".parse().expect("a time")
}

fn subject(plan: &Plan) -> Subject {
    Subject { plan_digest: plan.header.digest.clone(), file_sha256: [7; 32] }
}

#[test]
fn a_run_that_needs_approval_is_held_before_any_token_is_read_and_says_how_to_go_on() {
    let repository = Repository::new("{when: plan.hosts > 1}");
    let (code, said) = repository.quell(&["run", "playbooks/contain.yaml", "--yes"]);
    assert_eq!(
        (code, said.as_str()),
        (
            Some(3),
            "error: this plan needs approval (1 signature needed, not the operator's, at most 24h old: plan.hosts > 1); \
             nothing was sent\nhelp: write it to a file with `quell plan … -o PLAN`, have it signed with `quell approve PLAN`, \
             then `quell apply PLAN`\n"
        )
    );
    assert!(!repository.path("state").exists(), "there is no run, and no state");
}

#[test]
fn a_run_whose_condition_is_false_is_not_held() {
    let repository = Repository::new("{when: plan.hosts > 2}");
    let (code, said) = repository.quell(&["run", "playbooks/contain.yaml", "--yes"]);
    assert!(code == Some(8) && said.contains("approval: not needed: plan.hosts > 2 is false"), "{code:?} {said}");
}

#[test]
fn a_plan_says_what_it_needs_in_every_format() {
    let repository = Repository::new("{}");
    for (format, expected) in [
        ("text", format!("approval: {NEEDED}\n")),
        ("markdown", format!("- approval: {NEEDED}\n")),
        (
            "json",
            "\"approval\":{\"needed\":true,\"min\":1,\"not_author\":true,\"ttl\":\"24h\",\"when\":null},\n".to_owned(),
        ),
    ] {
        let (code, said) = repository.quell(&["plan", "playbooks/contain.yaml", "--format", format]);
        assert!(code == Some(0) && said.contains(&expected), "{code:?} {said}");
    }
}

#[test]
fn the_simulator_is_not_held_and_says_that_in_earnest_it_would_be() {
    let repository = Repository::new("{}");
    let (code, said) = repository.quell(&["run", "playbooks/contain.yaml", "--simulate", "--yes"]);
    let line = format!("approval: this is simulated; in earnest the plan would be held ({NEEDED})\n");
    assert!(code == Some(0) && said.contains(&line), "{code:?} {said}");
    // A retry of it is one of the simulator too.
    fs::remove_file(repository.path("allowed_signers")).expect("it is there");
    let (code, said) = repository.quell(&["run", "playbooks/contain.yaml", "--simulate", "--yes"]);
    assert_eq!(code, Some(0), "the simulator needs nobody: {said}");
}

#[test]
fn who_may_approve_has_to_be_known_when_the_plan_is_made() {
    let missing = Repository::new("{}");
    fs::remove_file(missing.path("allowed_signers")).expect("it is there");
    let named = Repository::new("{allowed_signers: ../who}");
    let wrong = Repository::new("{}");
    wrong.write("allowed_signers", "alice@example.com cert-authority ssh-ed25519 AAAA\n");
    for (repository, expected) in [
        (
            &missing,
            "error: there is no allowed_signers beside this playbook or above it, so nobody could approve its plan\n --> playbooks/contain.yaml:6:19\n",
        ),
        (&named, "error: there is no file `../who` beside this playbook\n --> playbooks/contain.yaml:6:37\n"),
        (&wrong, "error: a certificate authority is not followed\n --> playbooks/../allowed_signers:1:19\n"),
    ] {
        let (code, said) = repository.quell(&["plan", "playbooks/contain.yaml"]);
        assert!(code == Some(2) && said.starts_with(expected), "{code:?} {said}");
    }
    named.write("who", &signer("carol@example.com", 3));
    assert_eq!(named.quell(&["plan", "playbooks/contain.yaml"]).0, Some(0));
}

#[test]
fn a_condition_is_checked_without_events_and_without_a_tenant() {
    let repository = Repository::new("{when: plan.hots > 2 || plan.items / plan.items > 1}");
    let (code, said) = repository.quell(&["check", "playbooks/contain.yaml"]);
    assert!(code == Some(2) && said.contains("a plan has no total `hots`"), "{said}");
    repository.write(
        "playbooks/contain.yaml",
        &format!("{PLAYBOOK}require_approval: {{when: 'plan.items / plan.items > 1'}}\n"),
    );
    let (code, said) = repository.quell(&["check", "playbooks/contain.yaml"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn signatures_are_written_one_after_the_other_and_count() {
    let repository = Repository::new("{min: 2}");
    assert_eq!(repository.approve(1, |_| {}), Ok(()));
    let first = repository.signatures();
    assert!(
        first.contains(
            "\"author\":\"alice@example.com\",\"at\":\"2026-11-22T03:40:00Z\",\"expires\":\"2026-11-23T03:40:00Z\"}\n"
        ),
        "{first}"
    );
    assert_eq!(repository.verdict("carol"), "1 of 2 approvals");
    let note = Some("INC-7".to_owned());
    assert_eq!(repository.approve(2, |order| order.note = note), Ok(()));
    assert!(repository.signatures().starts_with(&first), "the first one stays as it is");
    assert_eq!(repository.verdict("carol"), "alice@example.com, bob@example.com");
    assert!(
        repository.verdict("bob").contains("approval 2, by bob@example.com, does not count: it is the operator's own")
    );
    let left: Vec<String> = fs::read_dir(repository.0.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".quell"))
        .collect();
    assert_eq!(left, [""; 0], "nothing is left beside it");
}

#[test]
fn what_could_never_count_is_refused_before_anything_is_written() {
    let repository = Repository::new("{}");
    let unknown = "error: a signature by carol with SHA256:DJ8L9JTnmRORvhFlqjTyQ7HvPwWGNe8NiGbMZ75GR0Q would not count: its key is \
                   not in the allowed signers file; nothing was signed\nhelp: allowed_signers says whose keys count; give --key \
                   or --author, or have your line added there and plan again";
    let said = repository.approve(3, |order| order.author = Some("carol".to_owned())).expect_err("refused");
    assert_eq!(said.split("SHA256:").next(), unknown.split("SHA256:").next());
    assert_eq!(
        said.split_once(" would"),
        said.split_once(" would").map(|(before, _)| (before, unknown.split_once(" would").expect("it has one").1))
    );
    for (change, expected) in [
        (
            Box::new(|order: &mut Approving| order.author = Some("bob@example.com".to_owned()))
                as Box<dyn FnOnce(&mut Approving)>,
            "would not count: the allowed signers file does not give its key to that name; nothing was signed",
        ),
        (
            Box::new(|order: &mut Approving| order.author = Some("a b".to_owned())),
            "error: --author: a signer's name has no ` `",
        ),
        (
            Box::new(|order: &mut Approving| order.ttl = Some(std::time::Duration::from_secs(90_000))),
            "error: --ttl 25h: this plan takes no signature for longer than 24h",
        ),
        (
            Box::new(|order: &mut Approving| order.ttl = Some(std::time::Duration::from_millis(999))),
            "error: --ttl is at least 1s",
        ),
        (
            Box::new(|order: &mut Approving| order.key = Some(order.plan.clone())),
            "this is no SSH key, and there is none in",
        ),
        (
            Box::new(|order: &mut Approving| order.note = Some(" x".to_owned())),
            "error: a note is not empty and has no spaces around it",
        ),
    ] {
        let said = repository.approve(1, change).expect_err("refused");
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(repository.signatures(), "");
}

#[test]
fn a_plan_that_needs_nobody_is_not_signed() {
    let repository = Repository::new("{when: plan.hosts > 2}");
    let said = repository.approve(1, |_| {}).expect_err("refused");
    assert_eq!(
        said,
        "error: this plan needs no approval: not needed: plan.hosts > 2 is false\nhelp: `quell apply` carries it out as it is"
    );
}

#[test]
fn signatures_that_were_changed_are_told_and_left_as_they_are() {
    let repository = Repository::new("{}");
    assert_eq!(repository.approve(1, |_| {}), Ok(()));
    let changed = repository.signatures().replace("alice", "alicf");
    repository.write("a.plan.sig", &changed.replace("{\"approval", "{ \"approval"));
    let said = repository.approve(2, |_| {}).expect_err("refused");
    assert!(
        said.starts_with("error: the signatures cannot be read: line 1: it is not written as quell writes it\n"),
        "{said}"
    );
    assert_eq!(repository.signatures(), changed.replace("{\"approval", "{ \"approval"));
    // One whose form is whole is kept; that its signature is not good is said, and it does not count.
    repository.write("a.plan.sig", &changed);
    assert_eq!(repository.approve(2, |_| {}), Ok(()));
    assert!(repository.signatures().starts_with(&changed));
    assert_eq!(repository.verdict("carol"), "bob@example.com");
}

#[test]
fn a_plan_of_anything_else_is_not_approved() {
    let repository = Repository::new("{}");
    assert_eq!(repository.approve(1, |_| {}), Ok(()));
    assert_eq!(repository.verdict("carol"), "alice@example.com");
    for (file, text) in [
        ("events.csv", EVENTS.replace("a1,e1", "a1,e9")),
        ("playbooks/contain.yaml", format!("{PLAYBOOK}comment: x\nrequire_approval: {{}}\n")),
    ] {
        let before = fs::read_to_string(repository.path(file)).expect("a file");
        repository.write(file, &text);
        let said = repository.verdict("carol");
        assert!(said.ends_with("does not count: it approves another plan"), "{file}: {said}");
        repository.write(file, &before);
    }
    assert_eq!(repository.verdict("carol"), "alice@example.com");
}

#[test]
fn a_plan_file_is_reviewed_signed_and_applied_and_nothing_else_is() {
    let repository = Repository::new("{}");
    fs::write(repository.path("key"), signers::key(1)).expect("written");
    assert_eq!(repository.quell(&["plan", "playbooks/contain.yaml", "-o", "a.plan"]).0, Some(0));
    let apply = |operator: &str| repository.quell(&["apply", "a.plan", "--yes", "--operator", operator]);
    let held = |expected: &str, operator: &str| {
        let (code, said) = apply(operator);
        assert!(code == Some(3) && said.contains(expected), "{code:?} {said}");
    };
    held(
        "error: a.plan is not approved: 0 of 1 approval\nnothing was sent\nhelp: `quell approve a.plan` signs it",
        "carol",
    );
    let (code, said) = repository.quell(&["approve", "a.plan", "--key", "key", "--note", "INC-7", "--yes"]);
    assert!(
        code == Some(0) && said.contains("\n1 of 1 approval: `quell apply a.plan` carries it out\n"),
        "{code:?} {said}"
    );
    // Approved: what is missing now is the token.
    let (code, said) = apply("carol");
    assert!(code == Some(8) && said.contains("approved by alice@example.com at "), "{code:?} {said}");
    held("does not count: it is the operator's own", "alice");
    let signatures = repository.signatures();
    for at in (0..signatures.len()).step_by(37) {
        let mut changed = signatures.clone().into_bytes();
        changed[at] ^= 1;
        fs::write(repository.path("a.plan.sig"), changed).expect("it is written");
        assert_eq!(apply("carol").0, Some(3), "byte {at}");
    }
    repository.write("a.plan.sig", &signatures);
    let signers = fs::read_to_string(repository.path("allowed_signers")).expect("a file");
    repository.write("allowed_signers", &(signers.clone() + &signer("eve@example.com", 3)));
    held("allowed signers allowed_signers was", "carol");
    repository.write("allowed_signers", &signers);
    // Planned again after a change that does not matter: the digest is another, and so is the file.
    repository.write("playbooks/contain.yaml", &format!("# reviewed\n{PLAYBOOK}require_approval: {{}}\n"));
    assert_eq!(repository.quell(&["plan", "playbooks/contain.yaml", "-o", "a.plan"]).0, Some(0));
    held("does not count: it approves another plan", "carol");
    assert!(!repository.path("state").exists(), "no run was begun");
}

#[test]
fn who_may_approve_a_run_may_approve_its_undo_and_retry_wherever_their_plans_lie() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(2);
    for folder in ["who", "mine"] {
        fs::create_dir(bench.path(folder)).expect("a folder");
    }
    let write = |name: &str, text: &str| fs::write(bench.path(name), text).expect("it is written");
    let [alice, eve] = [signer("alice@example.com", 1), signer("eve@example.com", 3)];
    write("who/may", &alice);
    // The nearest one to each plan file, and not the one that the playbook names.
    write("allowed_signers", &(alice.clone() + &eve));
    write("mine/allowed_signers", &eve);
    for (name, number) in [("alice", 1), ("eve", 3)] {
        write(name, &signers::key(number));
    }
    write(
        "p.yaml",
        "version: 1\nname: contain\nevents: [{file: events.csv}]\nrequire_approval: {allowed_signers: who/may}\n\
         steps: [{name: q, action: quarantine-file}]\n",
    );
    let quell = |command: &str| -> Done { bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>())) };
    let check = |command: &str, code: i32, words: &str| {
        let done = quell(command);
        assert!(done.code == Some(code) && done.stderr.contains(words), "{command}: {:?} {}", done.code, done.stderr);
    };
    let acts = || simulator.ledger().entries.len();
    check("plan p.yaml --tenant tenant.yaml -o p.plan", 0, "");
    check("approve p.plan --key eve --author eve@example.com --yes", 3, "would not count");
    check("approve p.plan --key alice --yes", 0, "");
    check("apply p.plan --yes --operator carol", 0, "approved by alice@example.com");
    assert_eq!(acts(), 2);
    check("undo contain -o mine/u.plan", 0, "");
    check("approve mine/u.plan --key eve --author eve@example.com --yes", 3, "who/may says whose keys count");
    check("approve mine/u.plan --key alice --yes", 0, "");
    // Signers that came later count for what is planned later.
    write("who/may", &eve);
    check("apply mine/u.plan --yes --operator carol", 3, "who/may");
    check("undo contain -o mine/u.plan", 0, "");
    check("apply mine/u.plan --yes --operator carol", 3, "does not count");
    write("who/may", &alice);
    check("undo contain -o mine/u.plan", 0, "");
    fs::remove_file(bench.path("mine/u.plan.sig")).expect("it is there");
    check("approve mine/u.plan --key alice --yes", 0, "");
    assert_eq!(acts(), 2);
    check("apply mine/u.plan --yes --operator carol", 0, "approved by alice@example.com");
    assert_eq!(acts(), 4);
    fs::remove_file(bench.path("who/may")).expect("it is there");
    let runs = quell("runs").stdout;
    let first = runs.split_whitespace().find(|word| word.starts_with("contain-")).expect("a run").to_owned();
    check(&format!("undo {first} -o again.plan"), 2, "who/may");
}

#[test]
fn a_retry_that_needs_approval_says_how_a_retry_is_written_to_a_file() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, fail_percent: 100.0, ..Options::default() });
    bench.events(2);
    fs::write(bench.path("allowed_signers"), signer("alice@example.com", 1)).expect("it is written");
    fs::write(bench.path("alice"), signers::key(1)).expect("it is written");
    let playbook = "version: 1\nname: contain\nevents: [{file: events.csv}]\nrequire_approval: {}\n\
                    steps: [{name: q, action: quarantine-file}]\n";
    fs::write(bench.path("p.yaml"), playbook).expect("it is written");
    let quell = |command: &str| -> Done { bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>())) };
    for (command, code) in [
        ("plan p.yaml --tenant tenant.yaml -o p.plan", 0),
        ("approve p.plan --key alice --yes", 0),
        ("apply p.plan --yes --operator carol", 4),
    ] {
        let done = quell(command);
        assert_eq!(done.code, Some(code), "{command}: {}", done.stderr);
    }
    let retry = quell("retry contain --outcome failed --yes --operator carol");
    let help = "help: write it to a file with `quell retry … -o PLAN`, have it signed with `quell approve PLAN`";
    assert!(retry.code == Some(3) && retry.stderr.contains(help), "{}", retry.stderr);
    assert_eq!(simulator.ledger().entries.len(), 2);
}
