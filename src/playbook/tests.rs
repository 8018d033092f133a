//! What is read from playbooks, and what people are told of those that cannot be read.

use super::*;
use crate::problem::{Place, render};
use crate::tenant::{Limits, Polling};
use insta::assert_snapshot;
use serde_json::{Value, json};

const NIGHTLY: &str = r#"version: 1
name: nightly
tenant: prod-eu
comment: nightly sweep
events: [{file: export.csv, columns: console, empty: ok}]
steps:
  - {name: kill, action: kill-process, where: 'verdict == "MALICIOUS"'}
  - {name: quarantine, action: quarantine-file, where: 'int(score) >= 8'}
reports: [{html: "out/{{ run.id }}.html"}, {json: "out/{{ run.id }}.json"}]
"#;

const CONTAIN: &str = r#"version: 1
name: contain
description: |
  Ends an outbreak by its hash.
  For the on-call.
tenant: prod-eu
vars: {ticket: {required: true}, sha256: {required: true}, score: {default: 1.10}, note: {}}
comment: "{{ vars.ticket }}"
events:
  - {file: "-", columns: console}
  - inline:
      - {agent_id: a1, event_id: e1, event_type: FILE, unique_id: -72349823749823749, pid: 0007}
      - {agent_id: a2, nested: {deep: [1, 1.5, true, ~, 18446744073709551616]}}
    columns: {agent_id: agent_id, pid: {column: nested.pid, default: 0}, source: {constant: inline}}
steps:
  - {name: kill, action: kill-process, where: 'sha256 == vars.sha256'}
  - {name: isolate, action: isolate-host}
limits: {requests: 100/h, keep_free: 80/h, concurrency: 1, batch_size: 10, act_timeout: 1m, poll_timeout: 10s}
polling: {first_after: 20s, interval: 1m, interval_max: 20m, deadline: 30m, not_found_grace: 1m}
guards: {max_items: 5, max_percent_of: {of: 2000, percent: 5}, max_per_action: {isolate-host: 50}}
protected: {on_match: skip, rules: [{name: mine, host: [ME-*]}]}
reports: [{text: a.txt}, {markdown: a.md}, {csv: a.csv}, {template: page.html.tera, path: "out/{{ run.id }}.html"}]
"#;

const SMALL: &str = "version: 1\nname: p\nsteps: [{name: s, action: a}]\n";

fn problems(text: &str) -> String {
    match read(Path::new("playbooks/p.yaml"), text) {
        Ok(playbook) => format!("no problem: {playbook:#?}"),
        Err(problems) => render(&problems, false),
    }
}

fn is_valid(text: &str) -> bool {
    let document: Value = serde_saphyr::from_str(text).expect("valid YAML");
    jsonschema::validator_for(&schema()).expect("a valid schema").is_valid(&document)
}

#[test]
fn every_key_is_read() {
    for (name, text) in [("nightly", NIGHTLY), ("contain", CONTAIN)] {
        let playbook = read(Path::new("p.yaml"), text).expect("a playbook");
        assert_eq!(&*playbook.text, text);
        insta::assert_debug_snapshot!(name, Playbook { text: "".into(), ..playbook });
    }
}

#[test]
fn inline_events_lose_nothing() {
    let playbook = read(Path::new("p.yaml"), CONTAIN).expect("a playbook");
    let SourceFrom::Inline(events) = &playbook.events[1].from else { panic!("inline events") };
    let values: Vec<Value> = events.iter().map(|event| Value::Object(event.value.clone())).collect();
    let expected = json!([
        {"agent_id": "a1", "event_id": "e1", "event_type": "FILE", "unique_id": -72349823749823749_i64, "pid": "0007"},
        {"agent_id": "a2", "nested": {"deep": [1, 1.5, true, null, "18446744073709551616"]}},
    ]);
    assert_eq!(Value::Array(values), expected);
    assert_eq!((events[1].place.line, events[1].place.column), (13, 9));
}

#[test]
fn six_mistakes_are_six_problems_in_one_pass() {
    let text = "\
version: 1
name: night ly
comment: 5
vars: {ticket: {required: true, default: x}}
steps:
  - {name: kill, action: kill-process, when: 'true'}
  - {name: kill, action: kill-process}
  - name: quarantine
limits: {batch_size: lots}
";
    let problems = read(Path::new("p.yaml"), text).expect_err("it is refused");
    let places: Vec<(u32, u32)> = problems.iter().map(|problem| (problem.place.line, problem.place.column)).collect();
    assert_eq!(places, [(2, 7), (4, 42), (6, 40), (7, 12), (8, 5), (9, 22)]);
    assert_snapshot!(render(&problems, false));
}

#[test]
fn mistakes_are_told_where_they_are() {
    let cases: &[(&str, String)] = &[
        ("no steps", SMALL.replace("[{name: s, action: a}]", "[]")),
        ("steps that are no list", SMALL.replace("[{name: s, action: a}]", "{name: s, action: a}")),
        ("a step without action", SMALL.replace(", action: a", "")),
        ("a filter that is empty", SMALL.replace("action: a", "action: a, where: ''")),
        (
            "what is not carried out yet",
            format!("{SMALL}waves: [1, 100%]\nnotify: []\nfailure_budget: {{}}\n")
                .replace("action: a", "action: a, after: x settled, once: target, max_event_age: 1h"),
        ),
        ("a var that cannot be a name", format!("{SMALL}vars: {{1st: {{}}, a-b: {{}}, ok: {{}}}}\n")),
        ("a var without a mapping", format!("{SMALL}vars: {{ticket: INC-7, other:}}\n")),
        ("file and inline", format!("{SMALL}events: [{{file: a, inline: []}}, {{columns: c}}]\n")),
        ("events that are no mappings", format!("{SMALL}events: [{{inline: [a, {{b: c}}, [d]]}}]\n")),
        ("standard input twice", format!("{SMALL}events:\n  - {{file: '-'}}\n  - {{file: '-'}}\n")),
        ("another word for empty", format!("{SMALL}events: [{{file: a, empty: fine}}, {{file: b, empty: true}}]\n")),
        ("columns", format!("{SMALL}events: [{{file: a, columns: [b]}}, {{file: b, columns: {{event-id: x}}}}]\n")),
        ("an unknown report", format!("{SMALL}reports: [{{pdf: a}}, {{html: a, json: b}}, html]\n")),
        ("half a template", format!("{SMALL}reports: [{{template: a}}, {{path: b}}, {{json: c, path: d}}]\n")),
        ("two reports to one path", format!("{SMALL}reports:\n  - {{html: a}}\n  - {{json: a}}\n")),
        ("unlimited", format!("{SMALL}limits: {{requests: unlimited}}\n")),
        ("a mistake in a block", "version: 1\nname: p\nsteps:\n  - name: s\n    action: a\n   where: x\n".to_owned()),
    ];
    let told: Vec<String> = cases.iter().map(|(name, text)| format!("=== {name}\n{}", problems(text))).collect();
    assert!(told.iter().all(|text| text.contains("error: ")), "{told:#?}");
    assert_snapshot!(told.join("\n"));
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    for text in [NIGHTLY, CONTAIN, SMALL] {
        assert!(is_valid(text), "{text}");
    }
    for text in [
        SMALL.replace("name: p", "nam: p"),
        SMALL.replace("action: a", "action: a, wher: x"),
        SMALL.replace("[{name: s, action: a}]", "[]"),
        format!("{SMALL}events: [{{file: a, inline: []}}]\n"),
        format!("{SMALL}events: [{{file: a, empty: fine}}]\n"),
        format!("{SMALL}vars: {{a: {{required: true, default: x}}}}\n"),
        format!("{SMALL}vars: {{a-b: {{}}}}\n"),
        format!("{SMALL}reports: [{{html: a, json: b}}]\n"),
        format!("{SMALL}reports: [{{template: a}}]\n"),
        format!("{SMALL}reports: [{{html: a, path: b}}]\n"),
        format!("{SMALL}limits: {{batch_size: lots}}\n"),
        format!("{SMALL}notify: []\n"),
        format!("{SMALL}waves: [0, 100%]\n"),
        format!("{SMALL}waves: []\n"),
        format!("{SMALL}waves: [1, 101%]\n"),
        format!("{SMALL}failure_budget: {{}}\n"),
        format!("{SMALL}failure_budget: {{count: 1, percent: 5}}\n"),
        format!("{SMALL}promote: {{settled: most}}\n"),
        SMALL.replace("action: a", "action: a, once: host"),
        SMALL.replace("action: a", "action: a, after: s fails"),
        SMALL.replace("action: a", "action: a, max_event_age: soon"),
    ] {
        assert!(!is_valid(&text), "{text}");
        assert!(read(Path::new("p.yaml"), &text).is_err(), "{text}");
    }
}

const RELEASED: &str = "version: 1
name: p
target: site
steps:
  - {name: kill, action: k, max_event_age: 1h, allow_failure: true}
  - {name: quarantine, action: q, after: kill settled}
  - {name: isolate, action: i, once: target, after: quarantine failed}
waves: [1, 5%, 100%]
promote: {settled: 90%, failures: 2, within: 20m, confirm_within: 30m}
failure_budget: {count: 5, min_settled: 0, strict: true}
";

#[test]
fn order_waves_and_budgets_are_read() {
    assert!(is_valid(RELEASED));
    let playbook = read(Path::new("p.yaml"), RELEASED).expect("a playbook");
    let flows: Vec<String> = playbook.steps.iter().map(|step| format!("{:?}", step.flow)).collect();
    assert_snapshot!(format!("{:?}\n{:#?}\n{}", playbook.target, playbook.release, flows.join("\n")));
    for (keys, min_settled) in [
        ("", 20),
        ("failure_budget: {percent: 5}", 20),
        ("failure_budget: {percent: 5%, strict: true}", 0),
        ("failure_budget: {count: 5}", 0),
        ("failure_budget: {count: 5, min_settled: 7}", 7),
    ] {
        let budget = read(Path::new("p"), &format!("{SMALL}{keys}\n")).expect(keys).release.failure_budget;
        assert_eq!(budget.min_settled, min_settled, "{keys}");
    }
}

#[test]
fn mistakes_of_order_waves_and_budgets_are_told_where_they_are() {
    let told: Vec<String> = [
        ("kill settled", "quarantine settled"),
        ("after: quarantine failed", "after: qarantine failed"),
        ("name: kill, action: k,", "name: kill, action: k, after: isolate,"),
        ("once: target,", "once: target, max_event_age: 1h,"),
        ("[1, 5%, 100%]", "[1, 5%]"),
        ("[1, 5%, 100%]", "[1, 0%, 1.5, 200%, -1, 100%]"),
        ("[1, 5%, 100%]", "[]"),
        ("waves: [1, 5%, 100%]\n", ""),
        ("settled: 90%", "settled: 90.5%"),
        ("settled: 90%", "settled: 0%"),
        ("within: 20m,", "within: 0s,"),
        ("min_settled: 0", "min_settled: 5"),
        ("{count: 5, min_settled: 0, strict: true}", "{strict: true}"),
        ("{count: 5, min_settled: 0, strict: true}", "{count: 5, percent: 5}"),
        ("{count: 5, min_settled: 0, strict: true}", "{count: -1}"),
    ]
    .iter()
    .map(|(from, to)| {
        assert!(RELEASED.contains(from), "{from}");
        format!("=== {from} => {to}\n{}", problems(&RELEASED.replace(from, to)))
    })
    .collect();
    assert!(told.iter().all(|text| text.contains("error: ")), "{told:#?}");
    assert_snapshot!(told.join("\n"));
}

#[test]
fn the_schema_is_as_documented() {
    assert_snapshot!(serde_json::to_string_pretty(&schema()).expect("JSON"));
}

/// What tightening the default limits and polling by these keys comes to.
fn tighten(keys: &str) -> Result<(Limits, Polling), Vec<String>> {
    let playbook = read(Path::new("p.yaml"), &format!("{SMALL}{keys}\n")).expect("a playbook");
    let said = |wider: Vec<(Place, String)>| {
        wider.into_iter().map(|(place, what)| format!("{}:{}: {what}", place.line, place.column)).collect::<Vec<_>>()
    };
    let limits = Limits::default().tightened_by(&playbook.limits).map_err(said)?;
    let polling = Polling::default().tightened_by(&playbook.polling).map_err(said)?;
    Ok((limits, polling))
}

#[test]
fn a_playbook_tightens() {
    assert_eq!(tighten(""), Ok((Limits::default(), Polling::default())));
    let (limits, polling) = tighten(
        "limits: {requests: 5/m, keep_free: 10/h, concurrency: 1, batch_size: 50, act_timeout: 1m, poll_timeout: 20s}\n\
         polling: {first_after: 1m, interval: 10m, interval_max: 1h, deadline: 2h, not_found_grace: 30s}",
    )
    .expect("all are tighter");
    insta::assert_debug_snapshot!((limits, polling));
}

#[test]
fn a_playbook_does_not_widen() {
    for (keys, told) in [
        (
            "limits: {requests: 301/h, concurrency: 3, batch_size: 51, act_timeout: 3m, poll_timeout: 21s}",
            &[
                "4:20: `requests` (301/h) may exceed the tenant's 300/h",
                "4:40: `concurrency` (3) is more than the tenant's 2",
                "4:55: `batch_size` (51) is more than the tenant's 50",
                "4:72: `act_timeout` (3m) is longer than the tenant's 2m",
                "4:90: `poll_timeout` (21s) is longer than the tenant's 20s",
            ][..],
        ),
        (
            "polling: {first_after: 1s, interval: 29s, interval_max: 9m, deadline: 5h, not_found_grace: 3m}",
            &[
                "4:24: `first_after` (1s) is shorter than the tenant's 15s",
                "4:38: `interval` (29s) is shorter than the tenant's 30s",
                "4:57: `interval_max` (9m) is shorter than the tenant's 10m",
                "4:71: `deadline` (5h) is longer than the tenant's 4h",
                "4:92: `not_found_grace` (3m) is longer than the tenant's 2m",
            ],
        ),
        ("polling: {interval: 11m}", &["4:21: `interval` (11m) is longer than `interval_max` (10m)"]),
        ("polling: {deadline: 10s}", &["4:21: the first poll (after 15s) is not before the deadline (10s)"]),
        ("limits: {keep_free: 300/h}", &["4:21: keeping 300/h free leaves nothing of 300/h"]),
    ] {
        assert_eq!(tighten(keys).expect_err(keys), told, "{keys}");
    }
    let free = |keys: &str| read(Path::new("p"), &format!("{SMALL}limits: {{{keys}}}\n")).expect("a playbook").limits;
    let tenant = free("keep_free: 60/h").keep_free.map(|rate| rate.value);
    let limits = Limits { keep_free: tenant, ..Limits::default() };
    assert!(limits.tightened_by(&free("keep_free: 59/h")).is_err());
    assert!(limits.tightened_by(&free("keep_free: 61/h")).is_ok());
    let limits = Limits { requests: None, ..Limits::default() };
    assert!(limits.tightened_by(&free("requests: 100000/s")).is_ok());
    assert!(limits.tightened_by(&free("keep_free: 1/h")).is_err());
}
