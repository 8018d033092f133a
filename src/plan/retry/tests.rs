//! Items of a plan, planned once more.

use super::super::{AdHoc, Request, Work, build};
use super::*;
use crate::events::{Event, Events, RowPlace};
use crate::plan::{FileRole, OriginKind};
use crate::tenant::EventType;
use std::collections::BTreeMap;

const TENANT: &str = "{version: 1, name: t, base_url: https://h.example, api_version: v1, user: u, user_id: i, \
                      actions: {kill: {id: 2, event_types: [PROCESS]}}, statuses: {succeeded: [ok]}}";

fn event(row: u32) -> Event {
    Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: format!("a{}", row % 2).into(),
        event_id: format!("e{row}").into(),
        event_type: EventType::Process,
        pid: 7,
        unique_id: "1".into(),
        action: None,
        attributes: "{}".into(),
    }
}

fn first() -> Plan {
    let tenant = crate::tenant::read("tenant.yaml", TENANT).expect("a tenant");
    let events = Events { sources: vec!["hits.csv".into()], rows: (1..=5).map(event).collect(), ..Events::default() };
    let work = Work::AdHoc(AdHoc { name: "hits".into(), action: Some("kill".into()), ..AdHoc::default() });
    let request = Request {
        work,
        tenant: &tenant,
        vars: BTreeMap::new(),
        events,
        narrowing: crate::plan::Narrowing::default(),
        partial: false,
        simulated: false,
        files: Vec::new(),
    };
    build(request).expect("a plan")
}

fn row(item: u32, step: u16, target: u32, row: u32) -> ItemRow {
    ItemRow { item, step, target, event: event(row) }
}

fn origin() -> Origin {
    Origin { kind: OriginKind::Retry, run: "hits-0612-7f3".into(), permitted: None, left_out: Vec::new() }
}

#[test]
fn items_share_their_event_and_targets_are_numbered_anew() {
    let mut header = first().header;
    header.steps.push(header.steps[0].clone());
    let plan = retry(&header, vec![row(3, 0, 7, 2), row(4, 1, 7, 2), row(9, 1, 2, 5)], origin());
    let items: Vec<_> = plan.items.iter().map(|item| (item.event, item.step, item.target)).collect();
    assert_eq!(items, [(0, 0, 0), (0, 1, 0), (1, 1, 1)]);
    assert_eq!((plan.events.len(), plan.header.rows), (2, 2));
}

#[test]
fn its_digest_is_its_own_and_that_of_the_same_items() {
    let first = first();
    let digest = |rows| retry(&first.header, rows, origin()).header.digest;
    assert_ne!(digest(vec![row(0, 0, 0, 1)]), first.header.digest);
    assert_eq!(digest(vec![row(3, 0, 7, 2)]), digest(vec![row(8, 0, 5, 2)]));
    assert_ne!(digest(vec![row(3, 0, 7, 2)]), digest(vec![row(3, 0, 7, 3)]));
}

#[test]
fn waves_keep_their_sizes_and_a_share_of_failures_is_one_of_the_items_that_are_left() {
    let mut header = first().header;
    header.release.waves = vec![1, 3, 5];
    for (count, waves) in [(1, &[][..]), (2, &[1, 2]), (3, &[1, 3]), (4, &[1, 3, 4]), (5, &[1, 3, 5])] {
        let again = retry(&header, (0..count).map(|item| row(item, 0, item, item + 1)).collect(), origin());
        assert_eq!(again.header.release.waves, waves, "{count} targets");
        assert_eq!(again.header.release.budget.expect("a budget").tolerated, 0, "a tenth of {count} items");
    }
}

#[test]
fn a_plan_that_says_more_than_its_run_could_is_told_from_one_of_the_run() {
    use crate::plan::{Permitted, PlannedApproval, PlannedFile, amiss_with};
    let mut run = first().header;
    let approval = PlannedApproval {
        min: 2,
        not_author: true,
        ttl: std::time::Duration::from_secs(3600),
        when: None,
        needed: true,
        vars: BTreeMap::new(),
    };
    run.approval = Some(approval);
    let file = |role| PlannedFile { role, name: "who/may".into(), sha256: "0".repeat(64) };
    run.files = vec![file(FileRole::Events), file(FileRole::AllowedSigners)];
    let plan = retry(&run, vec![row(3, 0, 7, 2), row(4, 0, 6, 3)], origin());
    let made = plan.clone();
    assert_eq!((plan.header.files.as_slice(), amiss_with(&plan, &made)), (&[file(FileRole::AllowedSigners)][..], None));
    let changed = |what: &str, change: fn(&mut PlanHeader)| {
        let mut plan = plan.clone();
        change(&mut plan.header);
        assert_eq!(amiss_with(&plan, &made), Some(what));
    };
    changed("tenant", |header| header.tenant.user.push('x'));
    changed("approval", |header| header.approval = None);
    changed("approval", |header| header.approval.as_mut().expect("it is there").min = 1);
    changed("allowed signers", |header| header.files.clear());
    changed("allowed signers", |header| header.files[0].name = "mine".into());
    changed("guards", |header| header.guards.bounds[0].most += 1);
    changed("waves, budget and signs to stop", |header| header.release.budget = None);
    changed("waves, budget and signs to stop", |header| header.release.stop_file = Some("/mine".into()));
    changed("limits and polling", |header| header.limits.batch_size += 1);
    changed("statuses", |header| header.statuses.succeeded.push("error".into()));
    changed("window of what was done before", |header| header.dedupe_window = std::time::Duration::ZERO);
    changed("steps", |header| header.steps[0].action.id += 1);
    changed("steps", |header| header.steps[0].on_unknown = crate::plan::OnUnknown::Continue);
    changed("steps", |header| header.steps[0].flow.allow_failure = true);
    changed("name, comment, reports or origin", |header| header.playbook.push('x'));
    changed("name, comment, reports or origin", |header| {
        let permitted = Permitted { items: vec![1], reason: "r".into() };
        header.origin.as_mut().expect("it is a retry").permitted = Some(permitted);
    });
    let mut fewer = plan.clone();
    fewer.items.pop();
    assert_eq!(amiss_with(&fewer, &made), Some("items"));
}
