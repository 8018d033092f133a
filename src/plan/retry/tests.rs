//! Items of a plan, planned once more.

use super::super::{AdHoc, Request, Work, build};
use super::*;
use crate::events::{Event, Events, RowPlace};
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
    };
    build(request).expect("a plan")
}

fn row(item: u32, step: u16, target: u32, row: u32) -> ItemRow {
    ItemRow { item, step, target, event: event(row) }
}

#[test]
fn items_share_their_event_and_targets_are_numbered_anew() {
    let mut header = first().header;
    header.steps.push(header.steps[0].clone());
    let plan = retry(&header, vec![row(3, 0, 7, 2), row(4, 1, 7, 2), row(9, 1, 2, 5)]);
    let items: Vec<_> = plan.items.iter().map(|item| (item.event, item.step, item.target)).collect();
    assert_eq!(items, [(0, 0, 0), (0, 1, 0), (1, 1, 1)]);
    assert_eq!((plan.events.len(), plan.header.rows), (2, 2));
}

#[test]
fn its_digest_is_its_own_and_that_of_the_same_items() {
    let first = first();
    let digest = |rows| retry(&first.header, rows).header.digest;
    assert_ne!(digest(vec![row(0, 0, 0, 1)]), first.header.digest);
    assert_eq!(digest(vec![row(3, 0, 7, 2)]), digest(vec![row(8, 0, 5, 2)]));
    assert_ne!(digest(vec![row(3, 0, 7, 2)]), digest(vec![row(3, 0, 7, 3)]));
}
