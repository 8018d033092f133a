//! One fixture and one sentence for each rule of planning; what is shown of a plan stands in snapshots.

use super::*;
use crate::events::{Event, RowPlace};
use crate::plan::forecast::{Forecast, forecast};
use crate::plan::{PlannedItem, show};
use crate::playbook::{Flow, LimitsPatch, PollingPatch, Release, Step, VarDeclaration};
use crate::problem::Place;
use crate::tenant::*;
use crate::yaml::Spanned;
use proptest::prelude::*;
use std::time::Duration;

mod order;

/// The playbook's text; [`at`] finds the places of its parts.
const TEXT: &str = r#"version: 1
name: contain
vars: {ticket: {required: true}, level: {default: "8"}}
comment: "{{ vars.ticket }} at {{ vars.level }}"
steps:
  - {name: kill, action: kill-process, where: 'verdict == "BAD"'}
  - {name: quarantine, action: quarantine-file, where: 'int(score) >= int(vars.level)'}
"#;

fn at(part: &str) -> Place {
    let start = TEXT.find(part).unwrap_or_else(|| panic!("{part} is in the text"));
    let line_start = TEXT[..start].rfind('\n').map_or(0, |end| end + 1);
    let number = |count: usize| u32::try_from(count).expect("small");
    Place {
        line: number(TEXT[..start].matches('\n').count() + 1),
        column: number(TEXT[line_start..start].chars().count() + 1),
        length: number(part.chars().count()),
        byte: Some(start as u64),
    }
}

fn spanned(part: &str) -> Spanned<String> {
    Spanned { value: part.to_owned(), place: at(part) }
}

fn playbook() -> Playbook {
    let step = |name: &str, action: &str, filter: &str| Step {
        name: spanned(name),
        action: spanned(action),
        filter: Some(spanned(filter)),
        flow: Flow::default(),
    };
    let variable = |name: &str, required, default: Option<&str>| VarDeclaration {
        name: spanned(name),
        required,
        default: default.map(str::to_owned),
    };
    Playbook {
        file: "playbooks/contain.yaml".into(),
        text: TEXT.into(),
        name: "contain".into(),
        description: String::new(),
        tenant: None,
        vars: vec![variable("ticket", true, None), variable("level", false, Some("8"))],
        comment: Some(spanned("{{ vars.ticket }} at {{ vars.level }}")),
        events: Vec::new(),
        target: None,
        steps: vec![
            step("kill", "kill-process", "verdict == \"BAD\""),
            step("quarantine", "quarantine-file", "int(score) >= int(vars.level)"),
        ],
        limits: LimitsPatch::default(),
        polling: PollingPatch::default(),
        caution: crate::playbook::Caution::default(),
        release: Release::default(),
        require_approval: None,
        guards: Guards::default(),
        protected: Protected::default(),
        reports: Vec::new(),
    }
}

fn tenant() -> Tenant {
    let action = |name: &str, id, kind, reversible| Action { reversible, ..Action::plain(name, id, kind) };
    let hour = |calls| Some(Rate { calls, window: Duration::from_secs(3600) });
    Tenant {
        name: "prod-eu".into(),
        base_url: "https://gateway.qg2.apps.qualys.eu".into(),
        api_version: ApiVersion::V1,
        user: "svc-edr".into(),
        user_id: "42fc0000-0000-0000-0000-000000000000".into(),
        auth: Auth::TokenEnv("QUELL_TOKEN".into()),
        actions: vec![
            action("kill-process", 2, EventType::Process, false),
            action("quarantine-file", 3, EventType::File, true),
            action("release-file", 5, EventType::File, true),
        ],
        statuses: Statuses {
            succeeded: vec!["success".into()],
            failed: vec!["failed".into()],
            pending: vec!["queued".into()],
        },
        limits: Limits { keep_free: hour(60), ..Limits::default() },
        polling: Polling::default(),
        columns: Vec::new(),
        guards: Guards::default(),
        protected: Protected::default(),
    }
}

/// One event a line: type, agent, event id, the row's action or `-`, attributes.
fn events(lines: &[&str]) -> Events {
    let rows = lines.iter().zip(1_u32..).map(|(line, row)| {
        let mut parts = line.splitn(5, ' ');
        let mut next = || parts.next().unwrap_or_else(|| panic!("five parts in {line}"));
        let kind = next();
        Event {
            event_type: EventType::parse(kind).expect("a type"),
            agent_id: next().into(),
            event_id: next().into(),
            action: Some(next()).filter(|action| *action != "-").map(|action| action.replace('+', " ").into()),
            attributes: next().into(),
            pid: if kind == "PROCESS" { 7 } else { 0 },
            unique_id: "-1".into(),
            place: RowPlace { row, source: 0, line: row + 1 },
        }
    });
    Events { sources: vec!["hits.csv".into()], rows: rows.collect(), ..Events::default() }
}

const HITS: [&str; 6] = [
    r#"PROCESS host-a p1 - {"Verdict":"BAD","Score":"9"}"#,
    r#"FILE host-a f1 - {"Verdict":"BAD","Score":"9"}"#,
    r#"FILE host-b f2 - {"Verdict":"OK","Score":"2"}"#,
    r#"FILE host-a f1 - {"Verdict":"OK","Score":"10"}"#,
    r#"NETWORK host-c n1 - {"Verdict":"BAD","Score":"9"}"#,
    r#"FILE host-c f3 - {"Verdict":"BAD","Score":"8"}"#,
];

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn plan_of(playbook: &Playbook, events: Events) -> Result<Plan, Vec<Problem>> {
    let (tenant, vars) = (tenant(), given(&[("ticket", "INC-7")]));
    let work = Work::Playbook(playbook);
    build(Request {
        work,
        tenant: &tenant,
        vars,
        events,
        narrowing: Narrowing::default(),
        partial: false,
        simulated: false,
        files: Vec::new(),
    })
}

fn ad_hoc(ad_hoc: AdHoc, events: Events, partial: bool) -> Result<Plan, Vec<Problem>> {
    let work = Work::AdHoc(AdHoc { name: "hits".into(), ..ad_hoc });
    build(Request {
        work,
        tenant: &tenant(),
        vars: BTreeMap::new(),
        events,
        narrowing: Narrowing::default(),
        partial,
        simulated: false,
        files: Vec::new(),
    })
}

fn by_action(name: &str) -> AdHoc {
    AdHoc { action: Some(name.into()), ..AdHoc::default() }
}

/// `row/step` of every item, and `row: reason` of every other row.
fn outline(plan: &Plan) -> (String, Vec<String>) {
    let item = |item: &PlannedItem| {
        let row = plan.events[item.event as usize].place.row;
        format!("{row}/{}@{}", plan.header.steps[usize::from(item.step)].name, item.target)
    };
    let without = plan.rows_without_item.iter().map(|row| format!("{}: {}", row.row, row.reason)).collect();
    (plan.items.iter().map(item).collect::<Vec<_>>().join(" "), without)
}

/// Acts, polls and time of a forecast.
fn least(plan: &Plan) -> (u64, u64, Duration) {
    let Forecast { acts, polls, least_time, .. } = forecast(plan);
    (acts, polls, least_time)
}

/// `file:line:column: message | help`
fn said(result: Result<Plan, Vec<Problem>>) -> Vec<String> {
    let problems = result.expect_err("problems");
    let line = |problem: &Problem| {
        let Problem { file, place, message, help, .. } = problem;
        let help = help.as_deref().map_or_else(String::new, |help| format!(" | {help}"));
        format!("{file}:{}:{}: {message}{help}", place.line, place.column)
    };
    problems.iter().map(line).collect()
}

#[test]
fn every_row_is_an_item_or_has_a_reason() {
    let plan = plan_of(&playbook(), events(&HITS)).expect("a plan");
    let (items, without) = outline(&plan);
    assert_eq!(items, "1/kill@0 2/quarantine@0 6/quarantine@1");
    assert_eq!(
        without,
        [
            "3: no step selects it: kill does not take FILE, quarantine: its filter says no",
            "4: duplicate of row 2",
            "5: no step selects it: event type NETWORK, kill takes PROCESS, quarantine takes FILE",
        ]
    );
    assert_eq!((plan.header.comment.as_str(), plan.header.rows, plan.events.len()), ("INC-7 at 8", 6, 3));
}

#[test]
fn a_rows_own_action_picks_the_step_whatever_its_spelling() {
    let lines = [
        "FILE a f1 Quarantine+File {}",
        "FILE a f2 release_file {}",
        "FILE a f3 - {}",
        "PROCESS a p1 QUARANTINEFILE {}",
    ];
    let plan = ad_hoc(by_action("quarantine-file"), events(&lines), false).expect("a plan");
    let (items, without) = outline(&plan);
    assert_eq!(items, "1/quarantine-file@0 3/quarantine-file@0");
    assert_eq!(
        without,
        [
            "2: no step selects it: quarantine-file is not the row's action `release_file`",
            "4: no step selects it: event type PROCESS, quarantine-file takes FILE",
        ]
    );
}

#[test]
fn without_an_action_the_rows_say_what_to_do() {
    let lines =
        ["FILE a f1 release-file {}", "FILE b f2 quarantine-file {}", "FILE a f3 - {}", "FILE b f4 release+file {}"];
    let plan = ad_hoc(AdHoc::default(), events(&lines), false).expect("a plan");
    let (items, without) = outline(&plan);
    assert_eq!(items, "1/release-file@0 2/quarantine-file@1 4/release-file@1");
    assert_eq!(without, ["3: no step selects it: the row names no action"]);
    assert_eq!(plan.header.playbook, "hits");
}

#[test]
fn no_action_at_all_is_a_problem() {
    assert_eq!(
        said(ad_hoc(AdHoc::default(), events(&["FILE a f1 - {}"]), false)),
        ["--action:0:0: nothing says which action to take: the events name none | \
            give --action NAME; the tenant prod-eu has `kill-process`, `quarantine-file` and `release-file`"]
    );
}

#[test]
fn an_unknown_word_in_the_action_column_is_a_bad_row() {
    let lines = ["FILE a f1 quarantine-file {}", "FILE a f2 erase {}"];
    assert_eq!(
        said(ad_hoc(AdHoc::default(), events(&lines), false)),
        [
            "hits.csv:3:0: row 2: there is no action `erase`; the tenant has `kill-process`, `quarantine-file` and `release-file` | \
            mend the row, or leave such rows out with --partial-input"
        ]
    );
    let plan = ad_hoc(AdHoc::default(), events(&lines), true).expect("partial input is allowed");
    let (items, without) = outline(&plan);
    assert_eq!(items, "1/quarantine-file@0");
    assert_eq!(
        without,
        ["2: refused: there is no action `erase`; the tenant has `kill-process`, `quarantine-file` and `release-file`"]
    );
}

#[test]
fn contradictory_actions_for_one_event_are_refused_unless_steps_order_them() {
    let lines = ["FILE a f1 quarantine-file {}", "FILE a f2 - {}", "FILE a f1 release-file {}"];
    let expected =
        ["hits.csv:4:0: row 3: release-file contradicts row 1, which asks quarantine-file for the same event | \
        keep one of them, or write a playbook whose steps say which comes first"];
    assert_eq!(said(ad_hoc(AdHoc::default(), events(&lines), false)), expected);
    assert_eq!(said(ad_hoc(AdHoc::default(), events(&lines), true)), expected);

    let mut ordered = playbook();
    ordered.steps.remove(0);
    ordered.steps[0].filter = None;
    ordered.steps.push(Step {
        name: Spanned { value: "release".into(), place: Place::default() },
        action: Spanned { value: "release-file".into(), place: Place::default() },
        filter: None,
        flow: Flow::default(),
    });
    let plan = plan_of(&ordered, events(&lines)).expect("ordered steps");
    assert_eq!(outline(&plan).0, "1/quarantine@0 2/quarantine@0 2/release@0 3/release@0");
}

#[test]
fn the_same_event_is_acted_on_once_for_each_step_across_files() {
    let mut both = events(&["FILE a f1 - {}", "FILE a f1 quarantine-file {}", "FILE a f11 - {}", "FILE a1 f1 - {}"]);
    both.sources.push("more.csv".into());
    both.rows[1].place.source = 1;
    let plan = ad_hoc(by_action("quarantine-file"), both, false).expect("a plan");
    let (items, without) = outline(&plan);
    assert_eq!(items, "1/quarantine-file@0 3/quarantine-file@0 4/quarantine-file@1");
    assert_eq!(without, ["2: duplicate of row 1"]);
}

#[test]
fn a_repeated_row_that_no_step_selects_is_not_called_a_duplicate() {
    let lines = [r#"FILE a f1 - {"n":1}"#, r#"FILE a f1 - {"n":2}"#, r#"FILE a f1 - {"n":2}"#];
    let filtered = AdHoc { filter: Some("n == 2".into()), ..by_action("quarantine-file") };
    let (items, without) = outline(&ad_hoc(filtered, events(&lines), false).expect("a plan"));
    assert_eq!(items, "2/quarantine-file@0");
    assert_eq!(without, ["1: no step selects it: quarantine-file: its filter says no", "3: duplicate of row 2"]);
}

#[test]
fn all_problems_come_in_one_pass_each_at_its_place() {
    let mut wrong = playbook();
    wrong.tenant = Some(Spanned { value: "test-us".into(), place: at("contain") });
    wrong.steps[0].action.value = "kil-process".into();
    wrong.steps[1].filter = Some(spanned("int(score) >= int(vars.level)"));
    wrong.steps[0].filter = Some(Spanned { value: "verdikt == \"BAD\"".into(), place: at("'verdict ==") });
    wrong.comment = Some(Spanned { value: "{{ vars.tikcet }}".into(), place: at("{{ vars") });
    wrong.limits.batch_size = Some(Spanned { value: 100, place: at("8") });
    wrong.polling.first_after = Some(Spanned { value: Duration::from_secs(1), place: at("8") });
    let rows = events(&[r#"FILE a f1 - {"Verdict":"BAD"}"#]);
    let (tenant, vars) = (tenant(), given(&[("tickets", "INC-7")]));
    let work = Work::Playbook(&wrong);
    let result = build(Request {
        work,
        tenant: &tenant,
        vars,
        events: rows,
        narrowing: Narrowing::default(),
        partial: true,
        simulated: false,
        files: Vec::new(),
    });
    assert_eq!(
        said(result),
        [
            "--var tickets:0:0: there is no variable `tickets` | did you mean `ticket`?",
            "playbooks/contain.yaml:3:8: the variable `ticket` has no value | give --var ticket=VALUE",
            "playbooks/contain.yaml:4:11: the comment cannot be made: field `tikcet` is not defined | \
                a comment may use `{{ vars.level }}` and `{{ vars.ticket }}`",
            "playbooks/contain.yaml:3:52: `batch_size` (100) is more than the tenant's 50 | \
                a playbook may only tighten what the tenant allows",
            "playbooks/contain.yaml:3:52: `first_after` (1s) is shorter than the tenant's 15s | \
                a playbook may only tighten what the tenant allows",
            "playbooks/contain.yaml:2:7: this playbook is for the tenant `test-us`, not for `prod-eu` | \
                give --tenant the file of `test-us`, or correct this name",
            "playbooks/contain.yaml:6:26: there is no action `kil-process` | \
                did you mean `kill-process`? the tenant prod-eu has `kill-process`, `quarantine-file` and `release-file`",
            "playbooks/contain.yaml:6:47: no event has a column `verdikt` | did you mean `verdict`?",
            "playbooks/contain.yaml:7:61: no event has a column `score` | \
                the events have agent_id, event_id, event_type, pid, unique_id, verdict",
        ]
    );
}

#[test]
fn a_column_that_no_row_has_is_a_problem_and_one_that_some_lack_is_null() {
    let filtered = |filter: &str| AdHoc { filter: Some(filter.into()), ..by_action("quarantine-file") };
    let lines = [r#"FILE a f1 - {"Verdict":"BAD"}"#, r#"FILE a f2 - {"score":9}"#];
    assert_eq!(
        said(ad_hoc(filtered("pid == 0 && verdict_ == 'BAD'"), events(&lines), true)),
        ["--where:1:13: no event has a column `verdict_` | did you mean `verdict`?"]
    );
    let plan = ad_hoc(filtered("verdict == null || verdict == 'OK'"), events(&lines), false).expect("a plan");
    assert_eq!(outline(&plan).0, "2/quarantine-file@0");
}

#[test]
fn a_row_that_the_filter_cannot_judge_refuses_the_plan_or_is_left_out() {
    let filtered = AdHoc { filter: Some("int(score) >= 8".into()), ..by_action("quarantine-file") };
    let rows = || events(&[r#"FILE a f1 - {"score":"high"}"#, r#"FILE a f2 - {"score":"9"}"#]);
    let reason = "step quarantine-file: int() is given a text that is no whole number";
    let again = AdHoc { filter: filtered.filter.clone(), ..by_action("quarantine-file") };
    let refused = said(ad_hoc(filtered, rows(), false));
    assert!(
        refused[0].starts_with("--where:1:1: the filter of step quarantine-file cannot judge 1 row: "),
        "{refused:?}"
    );
    let mut partial = rows();
    partial.refused.push(RefusedRow {
        place: RowPlace { row: 3, source: 0, line: 4 },
        byte: 99,
        reason: "7 fields, the header has 8".into(),
    });
    let plan = ad_hoc(again, partial, true).expect("partial input is allowed");
    let (items, without) = outline(&plan);
    assert_eq!(items, "2/quarantine-file@0");
    assert_eq!(without, [format!("1: refused: {reason}"), "3: refused: 7 fields, the header has 8".to_owned()]);
    assert_eq!((plan.header.rows, plan.rows_without_item[1].byte), (3, Some(99)));
}

#[test]
fn many_bad_rows_are_counted_and_not_all_listed() {
    let lines: Vec<String> = (0..60).map(|number| format!("FILE a f{number} nonsense {{}}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let problems = said(ad_hoc(by_action("quarantine-file"), events(&lines), false));
    assert_eq!(problems.len(), 51);
    assert_eq!(problems[50], "hits.csv:52:0: row 51: 10 more rows cannot be judged");
}

#[test]
fn what_is_sent_must_be_there_after_fill() {
    let mut rows = events(&["FILE a f1 - {}"]);
    rows.rows[0].event_id = "".into();
    let expected = "hits.csv:2:0: row 1: quarantine-file needs event_id, which is empty | \
        mend the row, or leave such rows out with --partial-input";
    assert_eq!(said(ad_hoc(by_action("quarantine-file"), rows, false)), [expected]);
    let mut rows = events(&["FILE a f1 - {}"]);
    rows.rows[0].event_id = "".into();
    let mut filled = tenant();
    filled.actions[1].fill.push((FillField::EventId, FillField::AgentId));
    let work = Work::AdHoc(by_action("quarantine-file"));
    let vars = BTreeMap::new();
    let plan = build(Request {
        work,
        tenant: &filled,
        vars,
        events: rows,
        narrowing: Narrowing::default(),
        partial: false,
        simulated: false,
        files: Vec::new(),
    });
    assert_eq!(plan.expect("the fill provides it").items.len(), 1);
}

#[test]
fn a_comment_is_short_plain_and_made_of_known_variables() {
    let comment = |template: &str| {
        let playbook =
            Playbook { comment: Some(Spanned { value: template.to_owned(), place: Place::default() }), ..playbook() };
        match plan_of(&playbook, events(&HITS)) {
            Ok(plan) => Ok(plan.header.comment),
            Err(problems) => Err(problems[0].message.clone()),
        }
    };
    assert_eq!(comment("nightly sweep"), Ok("nightly sweep".into()));
    assert_eq!(comment("{{ vars.ticket | lower }} <b>&"), Ok("inc-7 <b>&".into()));
    assert_eq!(comment(&"x".repeat(400)), Ok("x".repeat(400)));
    let errors = [
        ("x".repeat(401), "the comment has 401 characters, at most 400 are sent"),
        ("a\u{1b}b".into(), "the comment contains the control character U+001B"),
        ("{% for i in range(end=9) %}x{% endfor %}".into(), "a comment has no statements"),
        ("{{ vars.tick }}".into(), "the comment cannot be made: field `tick` is not defined"),
        ("{{ range(end=1000000000) }}".into(), "the comment cannot be made: a comment cannot count"),
    ];
    for (template, expected) in errors {
        assert_eq!(comment(&template), Err(expected.to_owned()), "{template}");
    }
}

#[test]
fn limits_and_polling_are_only_tightened() {
    let rate = |calls, seconds| Rate { calls, window: Duration::from_secs(seconds) };
    let requests = |value| {
        let mut playbook = playbook();
        playbook.limits.requests = Some(Spanned { value, place: Place::default() });
        match plan_of(&playbook, events(&HITS)) {
            Ok(plan) => Ok(plan.header.limits.requests),
            Err(problems) => Err(problems[0].message.clone()),
        }
    };
    assert_eq!(requests(rate(200, 3600)), Ok(Some(rate(200, 3600))));
    assert_eq!(requests(rate(200, 7200)), Ok(Some(rate(200, 7200))));
    assert_eq!(requests(rate(400, 7200)), Err("`requests` (400/2h) may exceed the tenant's 300/h".into()));
    assert_eq!(requests(rate(1, 1)), Err("`requests` (1/s) may exceed the tenant's 300/h".into()));
    assert_eq!(requests(rate(60, 3600)), Err("keeping 60/h free leaves nothing of 60/h".into()));

    let mut tight = playbook();
    tight.limits.batch_size = Some(Spanned { value: 10, place: Place::default() });
    tight.limits.keep_free = Some(Spanned { value: rate(90, 3600), place: Place::default() });
    tight.polling.deadline = Some(Spanned { value: Duration::from_secs(1800), place: Place::default() });
    let header = plan_of(&tight, events(&HITS)).expect("tighter").header;
    assert_eq!((header.limits.batch_size, header.limits.keep_free), (10, Some(rate(90, 3600))));
    assert_eq!(header.polling.deadline, Duration::from_secs(1800));
    assert_eq!(header.limits.concurrency, 2);
}

#[test]
fn the_digest_changes_with_what_is_done_and_not_with_where_it_is_planned() {
    type Change = dyn Fn(&mut Playbook, &mut Events);
    let digest = |change: &Change| {
        let (mut playbook, mut events) = (playbook(), events(&HITS));
        change(&mut playbook, &mut events);
        plan_of(&playbook, events).expect("a plan").header.digest
    };
    let same = digest(&|_, _| {});
    assert_eq!(same.len(), 64);
    assert_eq!(same, digest(&|_, _| {}));
    assert_eq!(
        same,
        digest(&|playbook, events| {
            playbook.file = "/elsewhere/contain.yaml".into();
            events.sources[0] = "/srv/exports/hits.csv".into();
        })
    );
    let changes: [&Change; 7] = [
        &|playbook, _| playbook.description = "x".into(),
        &|playbook, _| playbook.steps[0].name.value = "kill2".into(),
        &|playbook, _| playbook.steps[0].filter = None,
        &|playbook, _| playbook.limits.batch_size = Some(Spanned { value: 49, place: Place::default() }),
        &|_, events| events.rows[1].unique_id = "-2".into(),
        &|_, events| events.rows[0].attributes = r#"{"Verdict":"BAD","Score":"99"}"#.into(),
        &|_, events| events.sources[0] = "other.csv".into(),
    ];
    let mut seen = vec![same];
    for change in changes {
        let digest = digest(change);
        assert!(!seen.contains(&digest), "change {} is not in the digest", seen.len());
        seen.push(digest);
    }
}

#[test]
fn the_forecast_is_a_lower_bound_from_the_plan_alone() {
    let lines: Vec<String> = (0..120)
        .map(|number| format!("FILE host-{} f{number} - {{}}", number % 40))
        .chain((0..7).map(|number| format!("FILE host-1 more{number} - {{}}")))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let plan = ad_hoc(by_action("quarantine-file"), events(&lines), false).expect("a plan");
    // 127 items fit 3 batches of 50, but one host has 10 of them.
    let seconds = Duration::from_secs;
    assert_eq!(least(&plan), (10, 127, seconds(15)));

    let mut tight = tenant();
    tight.limits.requests = Some(Rate { calls: 100, window: seconds(3600) });
    let work = Work::AdHoc(by_action("quarantine-file"));
    let request = Request {
        work,
        tenant: &tight,
        vars: BTreeMap::new(),
        events: events(&lines),
        narrowing: Narrowing::default(),
        partial: false,
        simulated: false,
        files: Vec::new(),
    };
    // 137 calls, 40 an hour: the last ones go out after three more hours.
    assert_eq!(forecast(&build(request).expect("a plan")).least_time, seconds(3 * 3600));

    let two_steps = plan_of(&playbook(), events(&HITS)).expect("a plan");
    assert_eq!(least(&two_steps), (2, 3, seconds(30)));
}

#[test]
fn an_empty_plan_is_shown_and_costs_nothing() {
    let plan = plan_of(&playbook(), events(&[])).expect("a plan without rows");
    assert_eq!(least(&plan), (0, 0, Duration::ZERO));
    assert!(show::text(&plan).contains("0 items on 0 hosts, 0 of them irreversible"));
}

fn small_plan() -> Plan {
    let mut described = playbook();
    described.description = "kills, then takes the file away".into();
    plan_of(&described, events(&HITS)).expect("a plan")
}

#[test]
fn text_for_a_terminal() {
    insta::assert_snapshot!(show::text(&small_plan()));
}

#[test]
fn markdown_for_a_pull_request() {
    insta::assert_snapshot!(show::markdown(&small_plan()));
}

#[test]
fn json_for_programs() {
    let mut out = Vec::new();
    show::json(&small_plan(), &mut out).expect("memory can be written to");
    let text = String::from_utf8(out).expect("UTF-8");
    let whole: serde_json::Value = serde_json::from_str(&text).expect("one JSON document");
    assert_eq!(whole["items"].as_array().map(Vec::len), Some(3));
    insta::assert_snapshot!(text);
}

#[test]
fn text_from_files_is_inert_wherever_it_is_shown() {
    let evil = "\u{1b}[31m<img src=x>|`@you`\u{202e}\u{85}\nhttps://evil [a](b)";
    let mut playbook = playbook();
    playbook.description = evil.into();
    let mut rows = events(&HITS);
    rows.sources[0] = evil.into();
    rows.rows[0].attributes = serde_json::json!({"Verdict": "BAD", "Score": "9", "name": evil}).to_string().into();
    let plan = plan_of(&playbook, rows).expect("a plan");
    let mut json = Vec::new();
    show::json(&plan, &mut json).expect("memory can be written to");
    let json = String::from_utf8(json).expect("UTF-8");
    for (format, shown) in [("text", show::text(&plan)), ("markdown", show::markdown(&plan)), ("json", json.clone())] {
        let alive = shown.chars().find(|letter| (letter.is_control() && *letter != '\n') || *letter == '\u{202e}');
        assert_eq!(alive, None, "{format}");
    }
    let markdown = show::markdown(&plan);
    for markup in ["<img", "](b)", "`@", "https://evil"] {
        assert!(!markdown.contains(markup), "{markup} in {markdown}");
    }
    let whole: serde_json::Value = serde_json::from_str(&json).expect("one JSON document");
    assert_eq!(whole["description"], evil, "JSON keeps the text itself");
}

#[test]
fn long_plans_list_fifty_items() {
    let lines: Vec<String> = (0..60).map(|number| format!("FILE host-{number} f{number} - {{}}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let plan = ad_hoc(by_action("quarantine-file"), events(&lines), false).expect("a plan");
    let text = show::text(&plan);
    assert!(text.contains("\n… and 10 more (`--format json` lists all)\n"), "{text}");
    assert_eq!(text.matches("quarantine-file  FILE  host-").count(), 50);
}

fn any_line() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["FILE", "PROCESS", "AGENT"]);
    let action = prop::sample::select(vec!["-", "-", "Quarantine+File", "release_file", "nonsense"]);
    (kind, 0..3_u8, 0..4_u8, action, 0..12_u8).prop_map(|(kind, agent, event, action, score)| {
        let score = if score == 11 { "high".to_owned() } else { score.to_string() };
        format!(r#"{kind} host-{agent} e{event} {action} {{"Score":"{score}","verdict":"BAD"}}"#)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_in_items_or_listed_and_never_both(lines in prop::collection::vec(any_line(), 0..40)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (tenant, playbook, vars) = (tenant(), playbook(), given(&[("ticket", "INC-7")]));
        let make = || build(Request {
            work: Work::Playbook(&playbook), tenant: &tenant, vars: vars.clone(), events: events(&lines),
            narrowing: Narrowing::default(), partial: true, simulated: false, files: Vec::new(),
        }).expect("a plan");
        let plan = make();
        let mut seen = std::collections::HashSet::new();
        for item in &plan.items {
            let event = &plan.events[item.event as usize];
            prop_assert!(seen.insert((event.agent_id.clone(), event.event_id.clone(), event.event_type, item.step)));
        }
        let with: std::collections::BTreeSet<u32> = plan.events.iter().map(|event| event.place.row).collect();
        prop_assert_eq!(with.len(), plan.events.len());
        let listed: Vec<u32> = plan.rows_without_item.iter().map(|row| row.row).collect();
        let mut all: Vec<u32> = with.into_iter().chain(listed).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (1..=u32::try_from(lines.len()).expect("few")).collect::<Vec<_>>());
        prop_assert_eq!(make().header.digest, plan.header.digest);
    }

    #[test]
    fn rows_of_another_host_change_nothing_for_the_others(
        lines in prop::collection::vec(any_line(), 0..20),
        more in prop::collection::vec(any_line(), 0..20),
    ) {
        let more: Vec<String> = more.iter().map(|line| line.replace("host-", "other-")).collect();
        let some: Vec<&str> = lines.iter().map(String::as_str).collect();
        let all: Vec<&str> = some.iter().copied().chain(more.iter().map(String::as_str)).collect();
        let (tenant, playbook, vars) = (tenant(), playbook(), given(&[("ticket", "INC-7")]));
        let make = |lines: &[&str]| build(Request {
            work: Work::Playbook(&playbook), tenant: &tenant, vars: vars.clone(), events: events(lines),
            narrowing: Narrowing::default(), partial: true, simulated: false, files: Vec::new(),
        }).expect("a plan");
        let (fewer, whole) = (make(&some), make(&all));
        prop_assert_eq!(&whole.items[..fewer.items.len()], &fewer.items[..]);
        prop_assert_eq!(&whole.rows_without_item[..fewer.rows_without_item.len()], &fewer.rows_without_item[..]);
    }
}

/// Prints what a row costs from selection to digest; a cost that grows with the number of rows fails.
#[test]
fn a_plan_costs_microseconds_a_row() {
    let cost = |rows: usize| {
        let lines: Vec<String> = (0..rows)
            .map(|number| {
                format!(r#"FILE host-{} f{number} - {{"Verdict":"BAD","score":"{}"}}"#, number % 997, number % 10)
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let events = events(&lines);
        let started = std::time::Instant::now();
        let plan = plan_of(&playbook(), events).expect("a plan");
        assert_eq!(plan.items.len(), rows / 5);
        started.elapsed() / u32::try_from(rows).expect("few")
    };
    let (few, many) = (cost(1_000), cost(10_000));
    println!("{few:?} for each of 1,000 rows, {many:?} for each of 10,000");
    assert!(many < few * 4 + Duration::from_micros(50), "{few:?}, {many:?}");
}
