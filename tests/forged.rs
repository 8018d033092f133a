//! Plan files that were put together by hand, with digest and sums that fit: whatever their run does not bear out is refused
//! before anything is sent, and so is a plan of which more is known by now.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;

#[path = "support/signers.rs"]
#[expect(dead_code, reason = "other tests sign")]
mod signers;

use bench::{Bench, Done};
use quell::plan::{FileRole, OnUnknown, Permitted, Plan, PlannedApproval, PlannedItem, file, protect};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer, Simulator};
use serde_json::Value;
use std::fs;

const PLAN: &str = "plan events.csv --action quarantine-file --tenant tenant.yaml -o p.plan";

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

#[track_caller]
fn says(bench: &Bench, command: &str, code: i32, words: &str) -> Done {
    let done = quell(bench, command);
    assert!(
        done.code == Some(code) && (done.stderr.contains(words) || done.stdout.contains(words)),
        "{command}: {words:?} is not in what ended with {:?}:\n{}{}",
        done.code,
        done.stdout,
        done.stderr
    );
    done
}

fn count(report: &Value, outcome: &str) -> u64 {
    report["summary"]["outcomes"][outcome].as_u64().expect("a count")
}

fn run_of(report: &Value) -> String {
    report["run"]["id"].as_str().expect("a name").to_owned()
}

/// Changes a plan file and makes its digest and sums fit again, as somebody would who puts one together by hand.
fn forge(bench: &Bench, name: &str, change: impl FnOnce(&mut Plan)) {
    let bytes = fs::read(bench.path(name)).expect("a plan file");
    let mut plan = file::read(&mut &*bytes).expect("a plan");
    change(&mut plan);
    // Judged by a tenant that protects nothing, a plan gets the digest of what it holds.
    let text = fs::read_to_string(bench.path("tenant.yaml")).expect("a tenant");
    let text: String = text.lines().filter(|line| !line.starts_with("protected:")).map(|l| format!("{l}\n")).collect();
    let tenant = quell::tenant::read("tenant.yaml", &text).expect("a tenant");
    protect(&mut plan, &tenant, Vec::new()).expect("it is judged");
    let mut bytes = Vec::new();
    file::write(&plan, &mut bytes).expect("memory can be written");
    fs::write(bench.path(name), bytes).expect("the plan is written");
}

/// Checks that a plan with this change is refused in these words, and that nothing is sent.
#[track_caller]
fn refused((bench, simulator): &(Bench, Simulator), name: &str, words: &str, change: impl FnOnce(&mut Plan)) {
    let whole = fs::read(bench.path(name)).expect("a plan file");
    forge(bench, name, change);
    let posts = simulator.counters().posts;
    says(bench, &format!("apply {name} --yes --quiet"), 3, words);
    assert_eq!(simulator.counters().posts, posts, "{words}: something was sent");
    fs::write(bench.path(name), whole).expect("the plan is written");
}

/// Ten items, of which two each failed, succeeded, and are unknown, whatever the rest did; the run's name.
fn mixed() -> ((Bench, Simulator), String, Value) {
    let options = Options { settle: Delay::None, fail_percent: 50.0, seed: 3, ..Options::default() };
    let (bench, simulator) = Bench::serving(options);
    bench.events(10);
    bench.change_tenant("batch_size: 50", "batch_size: 2");
    bench.change_tenant("concurrency: 8", "concurrency: 1");
    let act = ScriptedAnswer::default;
    simulator.script(Script { acts: vec![act(), ScriptedAnswer::cut_after(), act()], ..Script::default() });
    let run = "run events.csv --action quarantine-file --tenant tenant.yaml --yes --quiet --failure-budget 100% \
               --report json=r.json";
    says(&bench, run, 5, "");
    let report = bench.report("r.json");
    assert!(
        count(&report, "succeeded") > 1 && count(&report, "failed") > 1 && count(&report, "unknown") == 2,
        "{report}"
    );
    let run = run_of(&report);
    ((bench, simulator), run, report)
}

/// The events of the run's items with this outcome.
fn events_of(report: &Value, outcome: &str) -> Vec<u64> {
    let items = report["items"].as_array().expect("items").iter();
    items.filter(|item| item["outcome"] == outcome).filter_map(|item| item["row"].as_u64()).collect()
}

/// An event of the run in the place of the plan's first one.
fn with_event_of(bench: &Bench, plan: &mut Plan, row: u64) {
    let bytes = fs::read(bench.path("p.plan")).expect("a plan of all rows");
    let all = file::read(&mut &*bytes).expect("a plan");
    let event = all.events.into_iter().find(|event| u64::from(event.place.row) == row).expect("a row");
    plan.events.push(event);
    plan.events.sort_by_key(|event| event.place.row);
    plan.header.rows += 1;
    let item = |event| PlannedItem { event, step: 0, target: event };
    plan.items = (0..plan.events.len() as u32).map(item).collect();
}

#[test]
fn a_retry_put_together_by_hand_sends_nothing_that_the_run_does_not_let_go_again() {
    let (served, run, report) = mixed();
    let (bench, simulator) = &served;
    says(bench, PLAN, 0, "");
    says(bench, &format!("retry {run} --outcome failed -o again.plan"), 0, "");
    let forged = |words: &str, change: &dyn Fn(&mut Plan)| refused(&served, "again.plan", words, change);
    for outcome in ["succeeded", "unknown"] {
        let row = events_of(&report, outcome)[0];
        forged("which is not surely not done, of run", &|plan| with_event_of(bench, plan, row));
    }
    forged("help: plan the retry again", &|plan| {
        plan.events[0].agent_id = "00000000-0000-4000-8000-0000000000ff".into()
    });
    forged("item 0 of this plan is none of run", &|plan| plan.events[0].event_id = "RTF_77_1".into());
    forged("--permit-repeat: item ", &|plan| {
        let permitted = Permitted { items: vec![0], reason: "r".into() };
        plan.header.origin.as_mut().expect("a retry").permitted = Some(permitted);
    });
    forged("this plan's name, comment, reports or origin are not those", &|plan| plan.header.playbook = "other".into());
    forged("this plan's steps are not those", &|plan| plan.header.steps[0].flow.allow_failure = true);
    // What is left alone is carried out, also where the file of another quell says so.
    forge(bench, "again.plan", |plan| plan.header.tool_version = "0.0.9".into());
    let before = simulator.ledger().entries.len();
    quell(bench, "apply again.plan --yes --quiet");
    let failed = count(&report, "failed") as usize;
    assert_eq!(simulator.ledger().entries.len(), before + failed);
}

#[test]
fn a_retry_planned_before_more_was_known_of_its_run_is_refused() {
    let (served, run, report) = mixed();
    let (bench, simulator) = &served;
    let row = events_of(&report, "unknown")[0];
    let item = row - 1;
    says(bench, &format!("retry {run} --outcome failed --permit-repeat {item} --reason looked -o again.plan"), 0, "");
    says(bench, &format!("resolve {run} {item} --as carried-out --note seen"), 0, "");
    let posts = simulator.counters().posts;
    says(bench, "apply again.plan --yes --quiet", 3, &format!("item {item} was found to be carried out"));
    assert_eq!(simulator.counters().posts, posts);
}

#[test]
fn an_undo_put_together_by_hand_undoes_nothing_that_was_not_done() {
    let (served, run, report) = mixed();
    let (bench, _) = &served;
    says(bench, PLAN, 0, "");
    says(bench, &format!("undo {run} -o u.plan"), 0, "");
    let forged = |words: &str, change: &dyn Fn(&mut Plan)| refused(&served, "u.plan", words, change);
    for outcome in ["failed", "unknown"] {
        let row = events_of(&report, outcome)[0];
        forged("this plan's items are not those of the undo of run", &|plan| with_event_of(bench, plan, row));
    }
    forged("this plan's items are not those", &|plan| plan.events[0].event_id = "RTF_77_1".into());
    forged("this plan's steps are not those", &|plan| plan.header.steps[0].flow.allow_failure = true);
    forged("this plan's steps are not those", &|plan| plan.header.steps[0].on_unknown = OnUnknown::Stop);
    forged("this plan's name, comment, reports or origin are not those", &|plan| plan.header.playbook = "other".into());
    // What is known better since is planned again.
    let item = events_of(&report, "unknown")[0] - 1;
    says(bench, &format!("resolve {run} {item} --as carried-out --note seen"), 0, "");
    says(bench, "apply u.plan --yes --quiet", 3, "help: plan it again with `quell undo … -o PLAN`");
    says(bench, &format!("undo {run} -o u.plan"), 0, "");
    quell(bench, "apply u.plan --yes --quiet --report json=u.json");
    let undone = bench.report("u.json")["items"].as_array().expect("items").len() as u64;
    assert_eq!(undone, count(&report, "succeeded") + 1);
}

#[test]
fn a_plan_of_a_run_that_leaves_out_what_is_protected_today_is_held() {
    let (served, run, report) = mixed();
    let (bench, _) = &served;
    let host = |outcome: &str| events_of(&report, outcome)[0] - 1;
    for (command, name, outcome) in [("retry", "again.plan", "failed"), ("undo", "u.plan", "succeeded")] {
        let outcomes = if command == "retry" { " --outcome failed" } else { "" };
        let plan = format!("{command} {run}{outcomes} -o {name}");
        says(bench, &plan, 0, "");
        let rules = format!("protected: {{rules: [{{name: crown, host: [host-{}]}}]}}\nstatuses:", host(outcome));
        bench.change_tenant("statuses:", &rules);
        // Without the tenant's file and its sum, as if nobody had judged it.
        refused(&served, name, "HELD by protected \"crown\": 1 item", |plan| {
            plan.header.files.retain(|file| file.role != FileRole::Tenant);
        });
        bench.change_tenant("protected: {rules", "protected: {on_match: skip, rules");
        says(bench, &plan, 0, "1 item is blocked");
        // The tenant's file is named, and what it has blocked is not.
        refused(&served, name, "are not those of the", |plan| plan.header.blocked.clear());
        let text = fs::read_to_string(bench.path("tenant.yaml")).expect("a tenant");
        let without: String =
            text.lines().filter(|line| !line.starts_with("protected:")).map(|l| format!("{l}\n")).collect();
        fs::write(bench.path("tenant.yaml"), without).expect("it is written");
    }
}

#[test]
fn a_plan_that_says_its_condition_is_false_is_judged_again() {
    let (bench, simulator) = Bench::serving(Options { settle: Delay::None, ..Options::default() });
    bench.events(3);
    fs::write(bench.path("allowed_signers"), signers::signer("alice@example.com", 1)).expect("it is written");
    let playbook = "version: 1\nname: contain\nevents: [{file: events.csv}]\nvars: {most: {default: \"2\"}}\n\
                    require_approval: {when: 'plan.hosts > int(vars.most)'}\nsteps: [{name: q, action: quarantine-file}]\n";
    fs::write(bench.path("p.yaml"), playbook).expect("it is written");
    let needs = "1 signature needed, not the operator's, at most 24h old: plan.hosts > int(vars.most) with most \"2\"";
    says(&bench, "plan p.yaml --tenant tenant.yaml -o p.plan", 0, needs);
    let served = (bench, simulator);
    let words = "p.yaml asks for other approvals than this plan says; nothing was sent";
    let approval = |plan: &mut Plan, change: fn(&mut PlannedApproval)| {
        change(plan.header.approval.as_mut().expect("it asks for approval"));
    };
    refused(&served, "p.plan", words, |plan| approval(plan, |approval| approval.needed = false));
    refused(&served, "p.plan", words, |plan| approval(plan, |approval| approval.min = 0));
    refused(&served, "p.plan", words, |plan| plan.header.approval = None);
    let (bench, simulator) = &served;
    // One of before the values were kept is judged by the playbook's own.
    refused(&served, "p.plan", "is not approved", |plan| approval(plan, |approval| approval.vars.clear()));
    says(bench, "apply p.plan --yes --quiet", 3, "is not approved");
    // What was given counts, and is part of what is approved.
    let given = "not needed: plan.hosts > int(vars.most) with most \"3\" is false";
    says(bench, "plan p.yaml --tenant tenant.yaml --var most=3 -o p.plan", 0, given);
    assert_eq!(simulator.ledger().entries.len(), 0);
    says(bench, "apply p.plan --yes --quiet", 0, "");
    assert_eq!(simulator.ledger().entries.len(), 3);
}
