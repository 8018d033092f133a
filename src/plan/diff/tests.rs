//! Two plans and what is said of their difference.

use super::*;
use crate::events::{Event, Events, RowPlace};
use crate::plan::{AdHoc, FileRole, PlannedFile, Request, RowWithoutItem, Work, build};
use crate::tenant::EventType;
use std::collections::BTreeMap;

const TENANT: &str = "{version: 1, name: t, base_url: https://h.example, api_version: v1, user: u, user_id: i, \
                      actions: {quarantine: {id: 3, event_types: [FILE]}}}";

/// `host event {attributes}`
fn plan(tenant: &str, rows: &[&str]) -> Plan {
    let tenant = crate::tenant::read("tenant.yaml", tenant).expect("a tenant");
    let event = |(row, words): (u32, &&str)| {
        let mut words = words.splitn(3, ' ');
        let mut next = || words.next().expect("three words");
        Event {
            place: RowPlace { row, source: 0, line: row + 1 },
            agent_id: next().into(),
            event_id: next().into(),
            event_type: EventType::File,
            pid: 0,
            unique_id: "1".into(),
            action: None,
            attributes: next().into(),
        }
    };
    let rows = (1..).zip(rows).map(event).collect();
    let events = Events { sources: vec!["hits.csv".into()], rows, ..Events::default() };
    let work = Work::AdHoc(AdHoc { name: "hits".into(), action: Some("quarantine".into()), ..AdHoc::default() });
    let file = PlannedFile { role: FileRole::Events, name: "hits.csv".into(), sha256: "0".repeat(64) };
    let vars = BTreeMap::new();
    let request = Request {
        work,
        tenant: &tenant,
        vars,
        events,
        narrowing: Default::default(),
        partial: false,
        simulated: false,
        files: vec![file],
    };
    build(request).expect("a plan")
}

fn told(old: &Plan, new: &Plan) -> String {
    let mut out = Vec::new();
    diff(old, new).write(old, new, &mut out).expect("memory can be written");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn a_plan_does_not_differ_from_itself() {
    let one = plan(TENANT, &["h1 e1 {}", "h2 e2 {}"]);
    assert!(diff(&one, &one).is_empty());
    assert_eq!(told(&one, &one), "no difference: both plans are the same (2 items)\n");
}

#[test]
fn everything_that_differs_is_told() {
    let old = plan(TENANT, &["h1 e1 {\"score\":8}", "h1 e2 {}", "h2 e3 {\"x\":1e0}", "h3 e4 {}"]);
    let other = TENANT.replace("{id: 3", "{id: 4").replace("actions", "limits: {batch_size: 20}, actions");
    let rows = ["h9 e9 {}", "h1 e1 {\"score\":9,\"n\":\"\\u202e\"}", "h2 e3 {\"x\":1.0}", "h3 e4 {}"];
    let mut new = plan(&other, &rows);
    new.header.files[0].sha256 = "1".repeat(64);
    new.rows_without_item.push(RowWithoutItem { row: 9, source: 0, line: 9, byte: None, reason: "x".into() });
    let diff = diff(&old, &new);
    assert_eq!((diff.added.as_slice(), diff.removed.as_slice(), diff.same), (&[0][..], &[1][..], 1));
    insta::assert_snapshot!(told(&old, &new).replace(&old.header.digest, "OLD").replace(&new.header.digest, "NEW"));
}

#[test]
fn numbers_of_rows_and_targets_tell_nothing_but_who_shares_a_target_does() {
    let old = plan(TENANT, &["h1 e1 {}", "h1 e2 {}", "h2 e3 {}"]);
    let new = plan(TENANT, &["h0 e0 {}", "h2 e3 {}", "h1 e1 {}", "h1 e2 {}"]);
    let found = diff(&old, &new);
    assert_eq!((found.added.len(), found.removed.len(), found.changed.len(), found.same), (1, 0, 0, 3));
    let mut moved = old.clone();
    moved.items[1].target = 1;
    let found = diff(&old, &moved);
    let changed: Vec<_> = found.changed.iter().map(|(_, item, what)| (*item, what.as_str())).collect();
    let what = "shares its target with other items";
    assert_eq!(changed, [(1, what)], "the second left its target and joined the third");
}

#[test]
fn waves_are_told_by_item() {
    let old = plan(TENANT, &["h1 e1 {}", "h2 e2 {}", "h3 e3 {}"]);
    let mut new = old.clone();
    new.header.release.waves = vec![1, 3];
    let changed = diff(&old, &new).changed;
    assert_eq!(changed, [(1, 1, "wave 1 → 2".to_owned()), (2, 2, "wave 1 → 2".to_owned())]);
}

#[test]
fn the_same_identity_twice_is_two_items() {
    let once = plan(TENANT, &["h1 e1 {}"]);
    let mut twice = once.clone();
    twice.items.push(twice.items[0]);
    let found = diff(&once, &twice);
    assert_eq!((found.added.as_slice(), found.same), (&[1][..], 1));
    assert_eq!(diff(&twice, &once).removed, [1]);
}
