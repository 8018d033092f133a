//! How a plan is released, as people read it: waves, gates, the failure budget, the worst case before a stop.

use super::inert;
use crate::noun::count;
use crate::plan::forecast::{self, Forecast};
use crate::plan::release::WorstCase;
use crate::plan::{DroppedWave, Plan, PlannedStep, Promote, When};
use crate::tenant::{EventType, show_duration};
use serde_json::json;

/// How many waves are told one by one.
const WAVES_SHOWN_MAX: usize = 10;

/// What a step says of its turn: `after kill failed, once for each target, may fail, events at most 1h old`.
pub(super) fn turn(plan: &Plan, step: &PlannedStep) -> String {
    let flow = &step.flow;
    let mut parts = Vec::new();
    if let Some((awaited, when)) = flow.after {
        let name = plan.header.steps.get(usize::from(awaited)).map_or("?", |step| &step.name);
        let ended = if when == When::Succeeded { String::new() } else { format!(" {}", when.as_str()) };
        parts.push(format!("after {}{ended}", inert(name)));
    }
    if flow.once {
        parts.push("once for each target".to_owned());
    }
    if flow.allow_failure {
        parts.push("may fail".to_owned());
    }
    if let Some(age) = flow.max_event_age {
        parts.push(format!("events at most {} old", show_duration(age)));
    }
    if parts.is_empty() { "in order".to_owned() } else { parts.join(", ") }
}

/// What a step without a filter takes.
pub(super) fn every(plan: &Plan, step: &PlannedStep) -> &'static str {
    let leads = |step: &PlannedStep| !step.flow.once || step.filter.is_some();
    match step.flow.once {
        false => "every event",
        true if plan.header.steps.iter().any(leads) => "what other steps take",
        true => "every target",
    }
}

/// Whether any step says something of its turn.
pub(super) fn has_turns(plan: &Plan) -> bool {
    plan.header.steps.iter().any(|step| step.flow != Default::default())
}

/// What calls there are for, where they are what there is least of, and what cannot end well.
pub(super) fn priced(plan: &Plan, forecast: &Forecast) -> Vec<String> {
    let pass = forecast.pass.map(|pass| {
        format!(
            "poll budget: {} a pass over all items; up to {} for an item that never settles",
            show_duration(forecast::whole(pass)),
            count(forecast.polls_most, "poll")
        )
    });
    let warnings =
        forecast::warnings(plan, forecast).into_iter().map(|warning| format!("WARNING: {}", inert(&warning)));
    pass.into_iter().chain(warnings).collect()
}

/// The lines of a plan about its release.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let release = &plan.header.release;
    let mut lines = Vec::new();
    if let Some(column) = &release.target {
        lines.push(format!("targets: rows with the same {}", inert(column)));
    }
    if !release.waves.is_empty() {
        let ends: Vec<String> = release.waves.iter().take(WAVES_SHOWN_MAX).map(u32::to_string).collect();
        let more = if release.waves.len() > WAVES_SHOWN_MAX { ", …" } else { "" };
        lines.push(format!("waves: {}{more} targets, each with those before it", ends.join(", ")));
        lines.push(format!("the next wave begins when {}", gate(&release.promote)));
    }
    lines.extend(dropped(&release.dropped));
    if let Some(budget) = &release.budget {
        let min = match budget.min_settled {
            0 => String::new(),
            min => format!(
                ", judged once {} settled",
                if min == 1 { "1 item has".into() } else { format!("{min} items have") }
            ),
        };
        let strict = if budget.strict { ", open items counted" } else { "" };
        let of =
            if budget.written.ends_with('%') { format!("{} of the items, ", budget.written) } else { String::new() };
        lines.push(format!(
            "failure budget: {of}{} tolerated, one more stops the run{min}{strict}",
            count(budget.tolerated, "failure")
        ));
    }
    if !plan.items.is_empty() && release.budget.is_some() {
        lines.push(format!("worst case before a stop: {}", worst_case(&worst_cases(plan))));
    }
    if let Some(file) = &release.stop_file {
        lines.push(format!("stops while {} is there", inert(file)));
    }
    if let Some(url) = &release.go_url {
        lines.push(format!("acts only while {} answers 200", inert(url)));
    }
    for (spans, words) in
        [(&release.schedule.windows, "acts only in"), (&release.schedule.blackouts, "does not act in")]
    {
        if !spans.is_empty() {
            let spans: Vec<String> = spans.iter().map(ToString::to_string).collect();
            lines.push(format!("{words} {}; checked when it begins and before every act", inert(&spans.join("; "))));
        }
    }
    let by_pid = |step: &&PlannedStep| {
        step.flow.max_event_age.is_none() && step.action.event_types.contains(&EventType::Process)
    };
    let by_pid: Vec<String> = plan.header.steps.iter().filter(by_pid).map(|step| inert(&step.name)).collect();
    if !by_pid.is_empty() {
        lines.push(format!(
            "no max_event_age: {} acts on process ids, which may belong to something else by now",
            by_pid.join(", ")
        ));
    }
    lines
}

/// Sizes that are written and make no wave: who wrote them believes that they do.
fn dropped(dropped: &[DroppedWave]) -> Option<String> {
    let one = |wave: &DroppedWave| {
        format!("{} ({}, after {})", inert(&wave.written), count(wave.targets, "target"), wave.before)
    };
    let shown: Vec<String> = dropped.iter().take(WAVES_SHOWN_MAX).map(one).collect();
    let more = if dropped.len() > WAVES_SHOWN_MAX { ", …" } else { "" };
    (!shown.is_empty()).then(|| format!("waves dropped, as they release no further target: {}{more}", shown.join(", ")))
}

fn gate(promote: &Promote) -> String {
    let settled = match promote.settled.0 {
        100 => "all items so far have an outcome".to_owned(),
        percent => format!("{percent}% of the items so far have an outcome"),
    };
    let failures = match promote.failures {
        0 => "none failed".to_owned(),
        failures => format!("at most {failures} failed"),
    };
    let within = promote.within.map(|time| format!(", within {}", show_duration(time))).unwrap_or_default();
    let person = promote.confirm_within.map(|time| format!(", and a person says yes within {}", show_duration(time)));
    format!("{settled} and {failures}{within}{}", person.unwrap_or_default())
}

pub(super) fn worst_cases(plan: &Plan) -> Vec<WorstCase> {
    let targets = crate::plan::targets::count(&plan.items);
    let mut items = vec![0; targets as usize];
    plan.to_send().for_each(|(_, item)| items[item.target as usize] += 1);
    plan.header.release.worst_cases(&items)
}

/// `3 items on 1 target in wave 1, 6 items after it`
fn worst_case(cases: &[WorstCase]) -> String {
    let told = |case: &WorstCase| match case.bad == case.items {
        true => format!("{} on {}", count(case.bad, "item"), count(case.targets, "target")),
        false => count(case.bad, "item"),
    };
    match cases {
        [] => "nothing".to_owned(),
        [only] => told(only),
        [first, rest @ ..] if rest.iter().all(|case| case.bad < case.items && case.bad == rest[0].bad) => {
            format!("{} in wave 1, {} after it", told(first), count(rest[0].bad, "item"))
        }
        all => {
            let shown: Vec<String> =
                all.iter().take(WAVES_SHOWN_MAX).map(|case| format!("{} in wave {}", told(case), case.wave)).collect();
            let more = if all.len() > WAVES_SHOWN_MAX { ", …" } else { "" };
            format!("{}{more}", shown.join(", "))
        }
    }
}

/// The same for programs.
pub(super) fn json(plan: &Plan) -> serde_json::Value {
    let release = &plan.header.release;
    let cases: Vec<_> = worst_cases(plan)
        .into_iter()
        .map(|case| json!({"wave": case.wave, "targets": case.targets, "items": case.items, "bad": case.bad}))
        .collect();
    let budget = release.budget.as_ref().map(|budget| {
        json!({"tolerated": budget.tolerated, "written": budget.written, "min_settled": budget.min_settled,
            "strict": budget.strict})
    });
    let time = |time: Option<std::time::Duration>| time.map(show_duration);
    json!({
        "target": release.target,
        "waves": release.waves,
        "waves_dropped": release.dropped,
        "promote": {"settled": release.promote.settled, "failures": release.promote.failures,
            "within": time(release.promote.within), "confirm_within": time(release.promote.confirm_within)},
        "failure_budget": budget,
        "stop_file": release.stop_file,
        "go_url": release.go_url,
        "windows": release.schedule.windows,
        "blackouts": release.schedule.blackouts,
        "worst_case": cases,
    })
}
