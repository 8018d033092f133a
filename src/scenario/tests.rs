//! What is read from files of tests, and what people are told of those that cannot be read.

use super::*;
use crate::playbook::SourceFrom;
use crate::problem::render;
use insta::assert_snapshot;
use std::path::Path;

/// Every key there is.
const FULL: &str = "\
version: 1
playbook: contain.yaml
defaults:
  {tenant: d.yaml, vars: {ticket: 8, family: f}, begins: 2026-06-13T00:00:00Z, events: [{file: d.csv}]}
tests:
  - name: all there is
    tenant: ../tenants/t.yaml
    vars: {ticket: 7, sha256: aa}
    begins: 2026-06-12T05:40:00+02:00
    events:
      - {file: hits.csv, columns: console, empty: ok}
      - {inline: [{agent_id: a}]}
    simulator:
      latency: 200ms
      settle: 20s
      not_found_for: 5s
      requests: 100/h
      items:
        - {step: kill, row: 3, where: 'host == \"h\"', statuses: queued ×3 → failed}
      acts:
        - {number: 3, lose: call}
        - {number: 1, status: 429, wait: 7s}
        - {number: 2, lose: answer}
      polls: [{number: 5, late: 3m}, {number: 4, status: 503}]
    people:
      - {after: 10m, say: promote, reason: looked}
      - {after: 10m, say: promote}
      - {after: 1h, say: stop}
    expect:
      approval: true
      exit_code: 4
      outcomes: {succeeded: 5, failed: 1, not_started: 0}
      items:
        - {step: kill, where: 'pid == 1', outcome: failed, count: 1, reason: denied}
        - {row: 2, count: 2}
      acts: 3
      polls_at_most: 20
      throttled_at_most: 0
      waves: 2
      took_at_most: 1h 1m
  - name: a plan that is held
    expect: {held: [max_items, domain controllers]}
  - name: a plan that is refused
    expect: {refused: no column}
";

fn problems(text: &str) -> String {
    match read(Path::new("playbooks/p.test.yaml"), text) {
        Ok(suite) => format!("no problem: {suite:#?}"),
        Err(problems) => render(&problems, false),
    }
}

#[test]
fn every_key_is_read() {
    let suite = read(Path::new("playbooks/p.test.yaml"), FULL).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!((suite.playbook.value.as_str(), suite.tests.len()), ("contain.yaml", 3));
    let test = &suite.tests[0];
    assert_eq!(test.begins, 1_781_235_600_000);
    assert_eq!(
        test.vars.iter().map(|(name, value)| (&*name.value, &**value)).collect::<Vec<_>>(),
        [("ticket", "7"), ("sha256", "aa"), ("family", "f")]
    );
    let by_default = &suite.tests[1];
    assert_eq!(by_default.begins, 1_781_308_800_000);
    assert_eq!(by_default.tenant.as_ref().map(|tenant| tenant.value.as_str()), Some("d.yaml"));
    assert_eq!((by_default.vars.len(), by_default.events.as_ref().map(Vec::len)), (2, Some(1)));
    let events = test.events.as_deref().expect("events");
    assert!(events.iter().all(|source| source.file == Path::new("playbooks/p.test.yaml")));
    assert!(matches!(&events[0].from, SourceFrom::File(name) if name.value == "hits.csv") && events[0].empty_ok);
    let statuses = &test.simulator.items[0].statuses;
    assert_eq!(statuses, &["queued", "queued", "queued", "failed"]);
    let acts: Vec<_> = test.simulator.acts.iter().map(|call| (call.number.value, call.becomes)).collect();
    let refused = Becomes::Refused { status: 429, wait: Some(Duration::from_secs(7)) };
    assert_eq!(acts, [(1, refused), (2, Becomes::LostAfter), (3, Becomes::LostBefore)]);
    let polls: Vec<_> = test.simulator.polls.iter().map(|call| call.becomes).collect();
    assert_eq!(polls, [Becomes::Refused { status: 503, wait: None }, Becomes::Late(Duration::from_secs(180))]);
    let said: Vec<_> = test.people.iter().map(|saying| &saying.what).collect();
    assert_eq!(said, [&Said::Promote(Some("looked".to_owned())), &Said::Promote(None), &Said::Stop]);
    let expect = &test.expect;
    assert_eq!(expect.outcomes.as_ref().map(|outcomes| outcomes.value.len()), Some(3));
    assert_eq!(expect.took_at_most.as_ref().map(|took| took.value), Some(Duration::from_secs(3660)));
    assert!(!expect.ends_with_the_plan() && suite.tests[1].expect.ends_with_the_plan());
    assert!(suite.tests[2].expect.ends_with_the_plan());
}

#[test]
fn mistakes_are_told_where_they_are() {
    let told: Vec<String> = [
        ("playbook: contain.yaml\n", ""),
        ("name: a plan that is refused", "name: a plan that is held"),
        ("queued ×3 → failed", "queued ×0 → failed"),
        ("queued ×3 → failed", "→ failed"),
        ("{number: 3, lose: call}", "{number: 3, lose: call, status: 500}"),
        ("{number: 3, lose: call}", "{number: 3, lose: call, wait: 3s}"),
        ("{number: 3, lose: call}", "{number: 0, lose: call}"),
        ("{number: 3, lose: call}", "{number: 2, lose: call}"),
        ("status: 429", "status: 200"),
        ("{after: 1h, say: stop}", "{after: 1m, say: stop}"),
        ("{after: 1h, say: stop}", "{after: 1h, say: stop, reason: x}"),
        ("{after: 1h, say: stop}", "{say: shout}"),
        ("succeeded: 5", "suceeded: 5"),
        ("outcome: failed, ", "outcome: gone, "),
        ("{row: 2, count: 2}", "{row: 2}"),
        ("begins: 2026-06-12T05:40:00+02:00", "begins: 2026-06-12 05:40"),
        ("expect: {refused: no column}", "expect: {}"),
        ("expect: {refused: no column}", "expect: {refused: no column, acts: 0}"),
        ("expect: {refused: no column}", "expect: {held: []}"),
        ("    expect: {refused: no column}", "    people: [{after: 1m, say: stop}]\n    expect: {refused: no column}"),
        ("exit_code: 4", "exit_code: 11"),
        ("expect: {refused: no column}", "expect: {refused: \"\"}"),
        ("expect: {refused: no column}", "expect: {refused: no column, approval: true}"),
        ("expect: {refused: no column}", "expect: {refused: no column, held: [x]}"),
        ("held: [max_items, domain controllers]", "held: [max_items, \" \"]"),
        ("reason: denied", "reason: \"\""),
        ("reason: looked", "reason: \" \""),
        ("name: all there is", "name: \"\""),
        ("      - {file: hits.csv, columns: console, empty: ok}\n      - {inline: [{agent_id: a}]}\n", "      []\n"),
        ("expect: {refused: no column}", "expect: {items: []}"),
        ("expect: {refused: no column}", "expect: {acts: -1}"),
        ("    expect: {refused: no column}", "    simulator: {settle: 1m}\n    expect: {refused: no column}"),
    ]
    .iter()
    .map(|(from, to)| {
        assert!(FULL.contains(from), "{from}");
        format!("=== {from} => {to}\n{}", problems(&FULL.replacen(from, to, 1)))
    })
    .collect();
    assert!(told.iter().all(|text| text.contains("error: ")), "{told:#?}");
    assert_snapshot!(told.join("\n"));
}

#[test]
fn statuses_are_read_as_they_are_written() {
    use crate::yaml::FromText;
    let read = |text: &str| statuses::Statuses::from_text(text).map(|statuses| statuses.0.join(" "));
    assert_eq!(
        read("queued x2 -> in progress ×2 → success").as_deref(),
        Ok("queued queued in progress in progress success")
    );
    assert_eq!(read("success").as_deref(), Ok("success"));
    assert_eq!(read("x3").as_deref(), Ok("x3"), "a word without a number of times is a word");
    for text in ["", " → ", "queued ×10001", "queued ×"] {
        let read = read(text);
        assert!(read.is_err() || text == "queued ×", "{text}: {read:?}");
    }
}

#[test]
fn the_schema_is_as_documented_and_takes_what_is_read() {
    assert_snapshot!(serde_json::to_string_pretty(&schema()).expect("JSON"));
    let json: serde_json::Value = serde_saphyr::from_str(FULL).expect("valid YAML");
    let problems: Vec<String> = jsonschema::validator_for(&schema())
        .expect("a schema")
        .iter_errors(&json)
        .map(|problem| problem.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}
