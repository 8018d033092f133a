//! Conditions over a plan's totals: what they say of one plan, and what is said of those that cannot be used.

use crate::events::{self, Input, SourceRequest};
use crate::plan::{self, Plan, Request, Work, show};
use crate::problem::render;
use crate::yaml::Spanned;
use crate::{playbook, tenant};
use std::collections::BTreeMap;
use std::path::Path;

const TENANT: &str = "version: 1
name: prod
base_url: https://gateway.example
user: u
user_id: 42fc0000-0000-0000-0000-000000000000
actions:
  quarantine-file: {id: 3, event_types: [FILE], reversible: true}
  delete-file: {id: 4, event_types: [FILE]}
  isolate-host: {id: 0, event_types: [AGENT], reversible: true}
statuses: {succeeded: [success], failed: [failed], pending: [queued]}
limits: {requests: unlimited}
";

/// Three files on two hosts: 3 quarantined, 2 deleted, 5 items.
fn build(approval: &str, rows: usize) -> Result<Plan, String> {
    let text = format!(
        "version: 1\nname: p\nvars: {{level: {{default: \"4\"}}}}\nsteps:\n  - {{name: q, action: quarantine-file}}\n  \
         - {{name: d, action: delete-file, where: 'event_id != \"e3\"'}}\n{approval}"
    );
    let said = |problems: Vec<crate::problem::Problem>| render(&problems, false);
    let playbook = playbook::read(Path::new("p.yaml"), &text).map_err(said)?;
    let tenant = tenant::read("t.yaml", TENANT).map_err(said)?;
    let event = |(agent, event): (&str, &str)| {
        let fields = serde_json::json!({"agent_id": agent, "event_id": event, "event_type": "FILE", "pid": 0, "unique_id": event});
        Spanned { value: fields.as_object().expect("an object").clone(), place: crate::problem::Place::default() }
    };
    let rows: Vec<_> = [("a1", "e1"), ("a1", "e2"), ("a2", "e3")].into_iter().take(rows).map(event).collect();
    let events = rows.into_iter().map(|row| (row.place, row.value)).collect();
    let input = Input::Inline { name: "p.yaml".to_owned(), events };
    let source = SourceRequest { input, columns: None, mappings: &[], empty_ok: true, format: None };
    let events = events::read(&events::Request { sources: vec![source], partial: false }).map_err(said)?;
    let work = Work::Playbook(&playbook);
    let request = Request {
        work,
        tenant: &tenant,
        vars: BTreeMap::new(),
        events,
        narrowing: Default::default(),
        partial: false,
        simulated: false,
        files: Vec::new(),
    };
    plan::build(request).map_err(said)
}

fn shown(approval: &str, rows: usize) -> String {
    match build(approval, rows) {
        Ok(plan) => {
            let text = show::text(&plan);
            let line = text.lines().find_map(|line| line.strip_prefix("approval: "));
            line.unwrap_or("nothing is asked for").to_owned()
        }
        Err(problems) => problems.lines().next().unwrap_or_default().to_owned(),
    }
}

#[test]
fn a_condition_is_judged_by_the_plans_totals() {
    const ALL: &str = "1 signature needed, not the operator's, at most 24h old";
    for (approval, expected) in [
        ("", "nothing is asked for".to_owned()),
        ("require_approval: {}", ALL.to_owned()),
        ("require_approval: {min: 2, not_author: false, ttl: 36h}", "2 signatures needed, at most 36h old".to_owned()),
        ("require_approval: {when: plan.hosts > 1}", format!("{ALL}: plan.hosts > 1")),
        ("require_approval: {when: plan.hosts > 2}", "not needed: plan.hosts > 2 is false".to_owned()),
        ("require_approval: {when: plan.items == 5}", format!("{ALL}: plan.items == 5")),
        ("require_approval: {when: plan.rows == 3}", format!("{ALL}: plan.rows == 3")),
        ("require_approval: {when: plan.irreversible == 2}", format!("{ALL}: plan.irreversible == 2")),
        (
            "require_approval: {when: 'plan.actions[\"delete-file\"] == 2'}",
            format!("{ALL}: plan.actions[\"delete-file\"] == 2"),
        ),
        (
            "require_approval: {when: 'plan.actions[\"isolate-host\"] > 0'}",
            "not needed: plan.actions[\"isolate-host\"] > 0 is false".to_owned(),
        ),
        (
            "require_approval: {when: plan.items > int(vars.level)}",
            format!("{ALL}: plan.items > int(vars.level) with level \"4\""),
        ),
        ("require_approval: {when: has(plan.items)}", format!("{ALL}: has(plan.items)")),
        (
            "require_approval: {when: '[1, 5].exists(plan, plan == 5)'}",
            format!("{ALL}: [1, 5].exists(plan, plan == 5)"),
        ),
    ] {
        assert_eq!(shown(approval, 3), expected, "{approval}");
    }
}

#[test]
fn a_plan_without_items_needs_nobody() {
    for condition in ["", "when: plan.items < 10", "when: plan.hosts > 10", "when: 10 / plan.items > 1"] {
        assert_eq!(
            shown(&format!("require_approval: {{{condition}}}"), 0),
            "not needed: there is nothing to send",
            "{condition}"
        );
    }
}

#[test]
fn a_condition_that_cannot_be_used_is_told_with_its_place() {
    let said: Vec<String> = [
        "plan.hots > 10",
        "plan.hosts > 10 || plan.hots > 3",
        "hosts > 10",
        "plan > 10",
        "plan.actions > 10",
        "plan.actions['isolate-hosts'] > 1",
        "plan.actions[vars.level] > 1",
        "plan[\"hosts\"] > 1",
        "has(plan.agents)",
        "plan.hosts",
        "plan.hosts / (plan.hosts - 2) > 1",
        "plan.hosts > \"10\"",
        "plan.hosts >",
        "verdict == 'BAD'",
        "vars.nothing == '1'",
        "",
    ]
    .iter()
    .map(|when| {
        let yaml = format!("require_approval: {{when: {}}}", serde_json::Value::from(*when));
        build(&yaml, 3).map_or_else(|problems| problems, |plan| format!("a plan: {:?}\n", plan.header.approval))
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_part_of_it_is_in_the_digest() {
    let digest = |approval: &str| build(approval, 3).expect("a plan").header.digest;
    let all = [
        "",
        "require_approval: {}",
        "require_approval: {min: 2}",
        "require_approval: {not_author: false}",
        "require_approval: {ttl: 25h}",
        "require_approval: {when: plan.hosts > 1}",
        "require_approval: {when: plan.hosts > 2}",
    ];
    let digests: std::collections::BTreeSet<String> = all.iter().map(|approval| digest(approval)).collect();
    assert_eq!(digests.len(), all.len());
}

#[test]
fn the_values_that_a_condition_rests_on_are_kept_and_are_part_of_the_digest() {
    let vars = |approval: &str| {
        let plan = build(approval, 3).expect("a plan");
        let kept = plan.header.approval.clone().expect("it asks for approval").vars;
        let mut without = plan.clone();
        without.header.approval.as_mut().expect("it asks for approval").vars.clear();
        let is_other = plan::digest::digest(&without) != plan.header.digest;
        (kept, is_other)
    };
    let level = BTreeMap::from([("level".to_owned(), "4".to_owned())]);
    assert_eq!(vars("require_approval: {when: plan.items > int(vars.level)}"), (level, true));
    assert_eq!(vars("require_approval: {when: plan.items > 4}"), (BTreeMap::new(), false));
}
