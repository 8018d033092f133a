//! Runs by hand, and the plans that undo them.

use super::*;
use crate::events::{Event, Events, RowPlace};
use crate::plan::{AdHoc, Request, Work, build, show};

const TENANT: &str = "{version: 1, name: t, base_url: https://h.example, api_version: v1, user: u, user_id: i, \
    actions: {kill: {id: 2, event_types: [PROCESS]}, \
    quarantine: {id: 3, event_types: [FILE], reversible: true, inverse: release}, \
    release: {id: 5, event_types: [FILE], reversible: true, inverse: quarantine}, \
    mark: {id: 7, event_types: [FILE], reversible: true}}}";

fn header() -> PlanHeader {
    let tenant = crate::tenant::read("tenant.yaml", TENANT).expect("a tenant");
    let header = |action: &str| {
        let ad_hoc = AdHoc { name: "hits".into(), action: Some(action.into()), ..AdHoc::default() };
        let events = Events { sources: vec!["hits.csv".into()], ..Events::default() };
        let (work, vars, files) = (Work::AdHoc(ad_hoc), BTreeMap::new(), Vec::new());
        let request = Request {
            work,
            tenant: &tenant,
            vars,
            events,
            narrowing: Default::default(),
            partial: false,
            simulated: false,
            files,
        };
        build(request).expect("a plan").header
    };
    let mut all = header("kill");
    all.steps.extend(["quarantine", "release", "mark"].map(|action| header(action).steps.remove(0)));
    all
}

fn row(item: u32, step: u16, row: u32, event_type: EventType) -> ItemRow {
    let event = Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: format!("a{}", row % 3).into(),
        event_id: format!("e{row}").into(),
        event_type,
        pid: 0,
        unique_id: "1".into(),
        action: None,
        attributes: "{}".into(),
    };
    ItemRow { item, step, target: row % 3, event }
}

use EventType::{File, Process};

#[test]
fn the_newest_comes_first_and_the_last_step_before_the_earlier_ones() {
    let plan = undo(
        &header(),
        "hits-0612-7f3",
        vec![
            (row(0, 1, 1, File), Fate::Done(50)),
            (row(1, 1, 2, File), Fate::Done(70)),
            (row(2, 2, 2, File), Fate::Done(40)),
            (row(3, 1, 3, File), Fate::Done(60)),
        ],
    );
    let steps: Vec<_> =
        plan.header.steps.iter().map(|step| (step.name.as_str(), step.action.id, step.inverse_id)).collect();
    assert_eq!(steps, [("undo-release", 3, Some(5)), ("undo-quarantine", 5, Some(3))]);
    let items: Vec<_> =
        plan.items.iter().map(|item| (plan.events[item.event as usize].place.row, item.step, item.target)).collect();
    assert_eq!(items, [(2, 0, 0), (2, 1, 0), (3, 1, 1), (1, 1, 2)]);
    assert_eq!((plan.events.len(), plan.header.rows, plan.rows_without_item.len()), (3, 3, 0));
    assert_eq!(plan.header.steps[1].inverse.as_ref().map(|action| action.id), Some(3), "an undo can be undone");
}

#[test]
fn whatever_is_left_as_it_is_is_listed_with_its_reason() {
    let plan = undo(
        &header(),
        "hits-0612-7f3",
        vec![
            (row(0, 0, 1, Process), Fate::Done(1)),
            (row(1, 1, 2, File), Fate::NobodyKnows("unknown")),
            (row(2, 1, 3, File), Fate::NotDone("failed")),
            (row(3, 3, 4, File), Fate::Done(1)),
            (row(4, 1, 5, File), Fate::Done(1)),
            (row(5, 3, 5, File), Fate::Done(1)),
            (row(6, 0, 6, Process), Fate::Done(1)),
            (row(7, 0, 7, Process), Fate::Done(1)),
        ],
    );
    assert_eq!((plan.items.len(), plan.header.rows), (1, 7));
    insta::assert_snapshot!(show::text(&plan));
    let rows: Vec<_> = plan.rows_without_item.iter().map(|row| (row.row, row.reason.as_str())).collect();
    assert_eq!(rows[1], (2, "not undone: quarantine: its outcome is unknown: nobody knows whether it was done"));
    assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 7]);
}

#[test]
fn what_an_older_quell_did_not_keep_is_not_guessed() {
    let mut header = header();
    header.steps[1].inverse = None;
    let plan = undo(&header, "r", vec![(row(0, 1, 1, File), Fate::Done(1))]);
    assert!(plan.items.is_empty());
    let reason = &plan.rows_without_item[0].reason;
    assert!(reason.ends_with("planned by an older quell, which kept only the number of what undoes quarantine: 5"));
}

#[test]
fn an_inverse_that_does_not_take_the_event_undoes_nothing() {
    let mut header = header();
    header.steps[1].inverse = header.steps[1].inverse.clone().map(|release| Action { event_types: vec![], ..release });
    let plan = undo(&header, "r", vec![(row(0, 1, 1, File), Fate::Done(1))]);
    assert_eq!(
        plan.rows_without_item[0].reason,
        "not undone: quarantine: release, which undoes it, does not take FILE events"
    );
}

#[test]
fn the_comment_says_what_is_undone_and_stays_as_long_as_comments_may_be() {
    for (comment, expected) in [("", "undo of r".to_owned()), ("INC-7", "undo of r: INC-7".to_owned())] {
        let header = PlanHeader { comment: comment.into(), ..header() };
        assert_eq!(undo(&header, "r", vec![]).header.comment, expected);
    }
    let long = PlanHeader { comment: "x".repeat(400), ..header() };
    assert_eq!(undo(&long, "r", vec![]).header.comment.chars().count(), COMMENT_CHARS_MAX);
}

#[test]
fn an_undo_is_foreseen_by_step() {
    let mut plan = undo(&header(), "r", vec![(row(4, 1, 5, File), Fate::Done(1)), (row(5, 1, 6, File), Fate::Done(1))]);
    plan.header.steps = header().steps[..2].to_vec();
    plan.items[1].step = 1;
    assert_eq!(
        foreseen(&plan),
        ["kill: 1 item cannot be undone: kill is irreversible", "quarantine: 1 item can be undone by release"]
    );
}

#[test]
fn only_what_undoes_a_step_of_the_run_is_an_undo_of_it() {
    let header = header();
    let mut plan = undo(&header, "r", vec![(row(0, 1, 1, File), Fate::Done(1))]);
    let made = plan.clone();
    assert_eq!(crate::plan::amiss_with(&plan, &made), None);
    plan.header.steps[0].action = header.steps[0].action.clone();
    assert_eq!(crate::plan::amiss_with(&plan, &made), Some("steps"));
}
