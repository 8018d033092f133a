//! Targets, steps that go once for a target, ages of events, waves and budgets, as plans freeze them.

use super::*;
use crate::plan::forecast::warnings;
use crate::plan::{PlanHeader, When};
use crate::playbook::{After, FailureBudget, Percent, Promote, Tolerated, WaveSize};

fn spanned_of<T>(value: T) -> Spanned<T> {
    Spanned { value, place: Place { line: 9, column: 3, length: 1, byte: None } }
}

/// kill, quarantine after kill settled, isolate once for each target after quarantine failed.
fn contain() -> Playbook {
    let mut playbook = playbook();
    let after = |step: &str, when| Some(spanned_of(After { step: step.into(), when }));
    playbook.steps[0].filter = None;
    playbook.steps[1].filter = Some(spanned_of("int(score) >= 9".to_owned()));
    playbook.steps[1].flow.after = after("kill", When::Settled);
    let flow = Flow { once: true, after: after("quarantine", When::Failed), ..Flow::default() };
    let step = Step {
        name: spanned_of("isolate".to_owned()),
        action: spanned_of("isolate-host".to_owned()),
        filter: None,
        flow,
    };
    playbook.steps.push(step);
    playbook
}

fn contained(playbook: &Playbook, lines: &[&str]) -> Result<Plan, Vec<Problem>> {
    let mut tenant = tenant();
    let fill = vec![(FillField::EventId, FillField::AgentId), (FillField::UniqueId, FillField::AgentId)];
    let isolate = Action { fill, ..Action::plain("isolate-host", 0, EventType::Agent) };
    tenant.actions.push(isolate);
    let (work, vars) = (Work::Playbook(playbook), given(&[("ticket", "INC-7")]));
    let (events, narrowing, files) = (events(lines), Narrowing::default(), Vec::new());
    build(Request { work, tenant: &tenant, vars, events, narrowing, partial: false, simulated: false, files })
}

const ROWS: [&str; 6] = [
    r#"FILE host-a f1 - {"Site":"north","Score":"9"}"#,
    r#"PROCESS host-a p1 - {"Site":"north","Score":"9"}"#,
    r#"FILE host-b f2 - {"Site":"south","Score":"2"}"#,
    r#"FILE host-b f3 - {"Site":"south","Score":"9"}"#,
    r#"NETWORK host-c n1 - {"Site":"south","Score":"9"}"#,
    r#"AGENT host-d a1 - {"Site":"south","Score":"9"}"#,
];

#[test]
fn a_step_that_goes_once_has_one_item_for_each_target_of_which_another_step_takes_something() {
    let plan = contained(&contain(), &ROWS).expect("a plan");
    let (items, without) = outline(&plan);
    assert_eq!(items, "1/quarantine@0 1/isolate@0 2/kill@0 4/quarantine@1 4/isolate@1");
    assert_eq!(
        without,
        [
            "3: no step selects it: kill does not take FILE, quarantine: its filter says no, isolate goes once for its \
             target, by another row",
            "5: no step selects it: kill does not take NETWORK, quarantine does not take NETWORK, isolate goes once for each \
             target of which another step takes something",
            "6: no step selects it: kill does not take AGENT, quarantine does not take AGENT, isolate goes once for each \
             target of which another step takes something",
        ]
    );
    let isolated = &plan.events[plan.items[1].event as usize];
    assert_eq!((&*isolated.agent_id, isolated.event_type, isolated.pid), ("host-a", EventType::Agent, 0));
    let flows: Vec<_> = plan.header.steps.iter().map(|step| step.flow.after).collect();
    assert_eq!(flows, [None, Some((0, When::Settled)), Some((1, When::Failed))]);
}

#[test]
fn a_step_that_goes_once_takes_the_targets_that_its_filter_selects() {
    let mut playbook = contain();
    playbook.steps[2].filter = Some(spanned_of("int(score) < 5 || event_type == \"AGENT\"".to_owned()));
    let (items, without) = outline(&contained(&playbook, &ROWS).expect("a plan"));
    assert_eq!(items, "1/quarantine@0 2/kill@0 3/isolate@1 4/quarantine@1 6/isolate@2");
    assert_eq!(without.len(), 1);
    // Alone, and without a filter, it takes every target.
    playbook.steps.drain(..2);
    playbook.steps[0].filter = None;
    playbook.steps[0].flow.after = None;
    let (items, without) = outline(&contained(&playbook, &ROWS).expect("a plan"));
    assert_eq!(items, "1/isolate@0 3/isolate@1 5/isolate@2 6/isolate@3");
    assert_eq!(without.len(), 2);
}

#[test]
fn rows_belong_together_by_the_column_that_target_names() {
    let mut playbook = contain();
    playbook.steps.truncate(2);
    playbook.target = Some(spanned_of("site".into()));
    let plan = contained(&playbook, &ROWS).expect("a plan");
    assert_eq!(outline(&plan).0, "1/quarantine@0 2/kill@0 4/quarantine@1");
    assert_eq!(plan.header.release.target.as_deref(), Some("site"));

    playbook.target = Some(spanned_of("sites".into()));
    assert_eq!(
        said(contained(&playbook, &ROWS)),
        ["playbooks/contain.yaml:9:3: no event has a column `sites` | did you mean `site`?"]
    );
    playbook.target = Some(spanned_of("site".into()));
    let rows = [ROWS[0], r#"FILE host-b f2 - {"Site":"","Score":"9"}"#, r#"FILE host-c f3 - {"Score":"9"}"#];
    let help = " | mend the row, or leave such rows out with --partial-input";
    assert_eq!(
        said(contained(&playbook, &rows)),
        [2, 3].map(|row| format!(
            "hits.csv:{}:0: row {row}: it has no `site`, by which `target` groups rows{help}",
            row + 1
        ))
    );
}

#[test]
fn one_item_cannot_stand_for_several_agents() {
    let mut playbook = contain();
    playbook.target = Some(spanned_of("site".into()));
    let rows = [ROWS[0], r#"FILE host-b f2 - {"Site":"north","Score":"9"}"#];
    let told = said(contained(&playbook, &rows));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("step isolate: its target has several agents"), "{told:?}");
}

#[test]
fn a_step_that_goes_once_needs_an_action_on_hosts() {
    let mut playbook = contain();
    playbook.steps[2].action = spanned_of("quarantine-file".to_owned());
    let told = said(contained(&playbook, &ROWS));
    assert!(told[0].contains("`once: target` makes an item of the type AGENT, which `quarantine-file` does not take"));
}

#[test]
fn an_age_needs_a_time_with_a_zone_in_every_row_that_the_step_selects() {
    let mut playbook = contain();
    playbook.steps.truncate(1);
    playbook.steps[0].flow.max_event_age = Some(spanned_of(Duration::from_secs(3600)));
    let row = |time: &str| format!(r#"PROCESS host-a p1 - {{"Event Time":"{time}"}}"#);
    let plan = contained(&playbook, &[&row("2026-06-12T03:40:00Z")]).expect("a plan");
    let expires = crate::plan::event_age::expires(&plan.header.steps[0], &plan.events[0]);
    assert_eq!(expires, Ok(Some(1_781_239_200_000)));
    for (time, why) in [
        ("2026-06-12T03:40:00", "`event_time` is no time with a zone, as 2026-06-12T03:40:00Z"),
        ("", "it has no `event_time`, by which `max_event_age` judges"),
    ] {
        let told = said(contained(&playbook, &[&row(time)]));
        assert!(told[0].contains(why), "{told:?}");
    }
    // Where no row has one it is told once, and not at all where no row could need one.
    let told = said(contained(&playbook, &ROWS));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("no event has a column `event_time`, by which `max_event_age` judges"), "{told:?}");
    assert!(contained(&playbook, &ROWS[2..4]).is_ok());
}

/// Waves and budget over so many hosts with one file each.
fn released(playbook: &Playbook, hosts: usize) -> Result<PlanHeader, Vec<String>> {
    let rows: Vec<String> = (0..hosts).map(|host| format!(r#"FILE host-{host} f{host} - {{"Score":"9"}}"#)).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    match contained(playbook, &rows) {
        Ok(plan) => Ok(plan.header),
        problems => Err(said(problems)),
    }
}

#[test]
fn waves_are_cumulative_rounded_up_and_those_that_do_not_grow_are_dropped() {
    let mut playbook = contain();
    playbook.steps = vec![playbook.steps[1].clone()];
    playbook.steps[0].flow = Flow::default();
    let size = |text: &str| spanned_of(text.parse::<WaveSize>().expect(text));
    for (sizes, hosts, ends) in [
        (&["1", "5%", "100%"][..], 1000, &[1, 50, 1000][..]),
        (&["1", "5%", "100%"], 37, &[1, 2, 37]),
        (&["1", "5%", "100%"], 20, &[1, 20]),
        (&["1", "5%", "100%"], 1, &[]),
        (&["5", "3", "100%"], 37, &[5, 37]),
        (&["100%"], 37, &[]),
        (&["10", "40"], 37, &[10, 37]),
        (&[], 37, &[]),
    ] {
        playbook.release.waves = sizes.iter().map(|text| size(text)).collect();
        let header = released(&playbook, hosts).expect("a plan");
        assert_eq!(header.release.waves, ends, "{sizes:?} of {hosts}");
    }
    playbook.release.waves = vec![size("1"), size("10")];
    assert_eq!(
        released(&playbook, 37),
        Err(vec![
            "playbooks/contain.yaml:9:3: the last wave (10) leaves 27 of 37 targets unreleased | sizes are cumulative: \
             end with `100%`, or select fewer events"
                .to_owned()
        ])
    );
}

#[test]
fn the_worst_case_before_a_stop_is_one_line() {
    let mut playbook = contain();
    playbook.steps = vec![playbook.steps[1].clone()];
    playbook.steps[0].flow = Flow::default();
    let strict = |count| FailureBudget { tolerated: Tolerated::Count(count), min_settled: 0, strict: true };
    let size = |text: &str| spanned_of(text.parse::<WaveSize>().expect(text));
    let confirm = Promote { confirm_within: Some(Duration::from_secs(1800)), ..Promote::default() };
    for (waves, budget, promote, hosts) in [
        (vec![size("1"), size("100%")], strict(5), Some(confirm), 37),
        (vec![], FailureBudget::default(), None, 50),
        (vec![], strict(0), None, 50),
        (vec![size("1"), size("10%"), size("100%")], FailureBudget::default(), Some(Promote::default()), 50),
        (
            vec![size("1"), size("100%")],
            FailureBudget { tolerated: Tolerated::Percent(Percent(100)), min_settled: 1, strict: false },
            Some(Promote {
                settled: Percent(90),
                failures: 2,
                within: Some(Duration::from_secs(1200)),
                confirm_within: None,
            }),
            3,
        ),
    ] {
        playbook.release.waves = waves;
        playbook.release.failure_budget = budget;
        playbook.release.promote = promote.map(spanned_of);
        let rows: Vec<String> =
            (0..hosts).map(|host| format!(r#"FILE host-{host} f{host} - {{"Score":"9"}}"#)).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let plan = contained(&playbook, &rows).expect("a plan");
        let text = show::text(&plan);
        let told: Vec<&str> = text
            .lines()
            .filter(|line| {
                ["waves:", "the next wave", "failure budget:", "worst case"].iter().any(|word| line.starts_with(word))
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}

#[test]
fn a_plan_says_what_its_steps_wait_for() {
    let mut playbook = contain();
    playbook.steps[0].flow.allow_failure = true;
    let plan = contained(&playbook, &ROWS).expect("a plan");
    let text = show::text(&plan);
    let table: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("step ")).take(4).collect();
    insta::assert_snapshot!(table.join("\n"));
    assert!(text.contains("no max_event_age: kill acts on process ids"), "{text}");
}

#[test]
fn a_plan_says_what_the_poll_budget_costs_and_what_cannot_end_well() {
    let rows: Vec<String> = (0..800).map(|n| format!(r#"FILE host-{n} f{n} - {{"Score":"9"}}"#)).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let mut playbook = contain();
    playbook.steps = vec![playbook.steps[1].clone()];
    playbook.steps[0].flow = Flow::default();
    let plan = contained(&playbook, &rows).expect("a plan");
    // 240 calls an hour are usable.
    let text = show::text(&plan);
    assert!(text.contains("poll budget: 3h 20m a pass over all items; up to 31 polls for an item"), "{text}");
    assert_eq!(warnings(&plan, &forecast(&plan)), [""; 0]);
    playbook.polling.deadline = Some(spanned_of(Duration::from_secs(3600)));
    let night = "22:00-01:00 UTC".to_owned().try_into().expect("a window");
    playbook.release.schedule.windows = vec![night];
    let plan = contained(&playbook, &rows).expect("a plan");
    assert_eq!(
        warnings(&plan, &forecast(&plan)),
        [
            "the poll budget does not suffice: one pass over all items takes 3h 20m, and an item is given up after 1h",
            "it cannot end within one window: it takes at least 3h, and the longest window is 3h",
        ][..1]
    );
    playbook.release.schedule.windows = vec!["22:00-00:30 UTC".to_owned().try_into().expect("a window")];
    let plan = contained(&playbook, &rows).expect("a plan");
    assert_eq!(warnings(&plan, &forecast(&plan)).len(), 2);
}
