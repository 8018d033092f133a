//! A plan for people (text, Markdown for a pull request) and for programs (JSON, one item a line).
//!
//! The same plan gives the same bytes. Everything that came from files is made inert: no control characters, no
//! direction marks, no markup.

mod items;
mod known;
mod release;

use super::forecast::{self, Forecast, forecast};
use super::{OnUnknown, OriginKind, Plan, PlanHeader, PlannedItem, PlannedStep, guards, undo};
use crate::events::Event;
use crate::inert;
use crate::noun::count;
use crate::tenant::{ApiVersion, show_duration};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// How many kinds of reasons are listed for rows without an item, and how many rows of each.
const REASONS_SHOWN_MAX: usize = 20;
const ROWS_OF_REASON_SHOWN_MAX: usize = 5;
/// How long one text from a file may be where it is shown, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// The plan as text for a terminal, without colour.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for (name, value) in facts(plan) {
        out += &format!("{name:<9}{value}\n");
    }
    out += "\n";
    out += &columns(&step_table(plan));
    out += "\n";
    totals(plan).iter().for_each(|line| out += &format!("{line}\n"));
    let reasons = reasons(plan);
    if !reasons.is_empty() {
        out += &format!("\n{} without an item:\n", count(plan.rows_without_item.len(), "row"));
        reasons.iter().for_each(|line| out += &format!("  {line}\n"));
    }
    let left = left_as_it_was(plan);
    if !left.is_empty() {
        out += "\nnot undone:\n";
        left.iter().for_each(|line| out += &format!("  {line}\n"));
    }
    if !plan.items.is_empty() {
        out += "\n";
        out += &items::text(plan);
    }
    if let Some(more) = items::more(plan) {
        out += &format!("{more}\n");
    }
    for line in holds(plan) {
        out += &format!("\n{line}\n");
    }
    out + &format!("\ndigest   {}\n", plan.header.digest)
}

/// Why the plan is held, one line each; empty when it is not.
pub fn holds(plan: &Plan) -> Vec<String> {
    guards::show::holds(&plan.header.guards)
}

/// The plan as Markdown.
pub fn markdown(plan: &Plan) -> String {
    let header = &plan.header;
    let mut out = format!(
        "### quell plan: {} on {}\n\n",
        escaped(&inert(&header.playbook)),
        escaped(&inert(&header.tenant.name))
    );
    for (name, value) in facts(plan) {
        out += &format!("- **{name}:** {}\n", escaped(&value));
    }
    out += "\n";
    out += &table(&step_table(plan));
    out += "\n";
    totals(plan).iter().for_each(|line| out += &format!("- {}\n", escaped(line)));
    let reasons = reasons(plan);
    if !reasons.is_empty() {
        out += &format!("\n**{} without an item**\n\n", count(plan.rows_without_item.len(), "row"));
        reasons.iter().for_each(|line| out += &format!("- {}\n", escaped(line)));
    }
    let left = left_as_it_was(plan);
    if !left.is_empty() {
        out += "\n**not undone**\n\n";
        left.iter().for_each(|line| out += &format!("- {}\n", escaped(line)));
    }
    if !plan.items.is_empty() {
        let summary = count(plan.items.len(), "item");
        let blocked = match plan.blocked().count() {
            0 => String::new(),
            blocked => format!(", {blocked} of them blocked"),
        };
        out += &format!("\n<details><summary>{summary}{blocked}</summary>\n\n{}", table(&items::rows(plan)));
        if let Some(more) = items::more(plan) {
            out += &format!("\n{}\n", escaped(&more));
        }
        out += "\n</details>\n";
    }
    for line in holds(plan) {
        out += &format!("\n**{}**\n", escaped(&line));
    }
    out + &format!("\ndigest: `{}`\n", header.digest)
}

/// The plan as one JSON document with one item, and one row without item, a line.
///
/// # Errors
/// When `out` cannot be written to.
pub fn json(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let forecast = forecast(plan);
    let Forecast { acts, polls, least_time, pass, polls_most } = forecast;
    let (items, hosts) = plan.counts();
    let header = &plan.header;
    let tenant = &header.tenant;
    writeln!(out, "{{\"schema\":\"quell.plan/1\",\"digest\":{},", json!(header.digest))?;
    let about = [
        ("playbook", json!(header.playbook)),
        ("description", json!(header.description)),
        ("comment", json!(header.comment)),
        (
            "tenant",
            json!({"name": tenant.name, "base_url": tenant.base_url, "api_version": tenant.api_version,
                "user": tenant.user, "user_id": tenant.user_id, "simulated": tenant.simulated}),
        ),
        ("steps", json!(header.steps.iter().map(step_json).collect::<Vec<_>>())),
        ("limits", limits_json(header)),
        ("release", release::json(plan)),
        ("guards", guards::show::json_of(&header.guards)),
        ("blocked", json!(header.blocked)),
        ("sources", json!(header.sources)),
        ("files", json!(header.files)),
        ("origin", json!(header.origin)),
        ("reports", json!(header.reports)),
        (
            "counts",
            json!({"rows": header.rows, "items": items, "hosts": hosts,
                "irreversible": irreversible(plan), "blocked": plan.blocked().count(),
                "rows_without_item": plan.rows_without_item.len()}),
        ),
        ("polls_of_an_item_at_most", json!(polls_most)),
        ("warnings", json!(forecast::warnings(plan, &forecast))),
        (
            "at_least",
            json!({"acts": acts, "polls": polls, "calls": acts + polls, "milliseconds": milliseconds(least_time),
                "pass_milliseconds": pass.map(milliseconds)}),
        ),
    ];
    let approval = header.approval.as_ref().map(|approval| ("approval", approval.json()));
    for (name, value) in about.into_iter().chain(approval) {
        write!(out, "\"{name}\":")?;
        inert::json(out, &value)?;
        writeln!(out, ",")?;
    }
    let blocked = plan.blocked();
    let items = (0_u32..).zip(&plan.items).map(|(number, item)| items::json(plan, *item, number, &blocked));
    lines(out, "items", items)?;
    writeln!(out, ",")?;
    lines(
        out,
        "rows_without_item",
        plan.rows_without_item.iter().map(|row| {
            json!({"row": row.row, "source": source(header, row.source), "line": row.line, "byte": row.byte,
                "reason": row.reason})
        }),
    )?;
    writeln!(out, "}}")
}

fn lines(out: &mut dyn Write, name: &str, values: impl Iterator<Item = serde_json::Value>) -> io::Result<()> {
    write!(out, "\"{name}\":[")?;
    let mut separator = "";
    for value in values {
        writeln!(out, "{separator}")?;
        inert::json(out, &value)?;
        separator = ",";
    }
    write!(out, "]")
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn step_json(step: &PlannedStep) -> serde_json::Value {
    let PlannedStep { name, action, filter, on_unknown, inverse_id: _, inverse: _, flow } = step;
    json!({"name": name, "action": action.name, "action_id": action.id, "event_types": action.event_types,
        "reversible": action.reversible, "repeat_safe": action.repeat_safe, "on_unknown": on_unknown, "where": filter,
        "after": flow.after, "once": flow.once, "allow_failure": flow.allow_failure,
        "max_event_age": flow.max_event_age.map(show_duration)})
}

fn limits_json(header: &PlanHeader) -> serde_json::Value {
    let limits = &header.limits;
    json!({"requests": limits.requests.map(|rate| rate.to_string()), "keep_free": limits.keep_free.map(|rate| rate.to_string()),
        "concurrency": limits.concurrency, "batch_size": limits.batch_size,
        "act_timeout": show_duration(limits.act_timeout), "poll_timeout": show_duration(limits.poll_timeout),
        "first_after": show_duration(header.polling.first_after), "deadline": show_duration(header.polling.deadline)})
}

fn source(header: &PlanHeader, index: u16) -> &str {
    header.sources.get(usize::from(index)).map_or("", String::as_str)
}

fn event(plan: &Plan, item: PlannedItem) -> &Event {
    &plan.events[item.event as usize]
}

/// Different agents, as acts name them.
fn hosts<'a>(plan: &'a Plan, items: impl Iterator<Item = &'a PlannedItem>) -> usize {
    items.map(|item| plan.agent_of(item)).collect::<BTreeSet<_>>().len()
}

/// What is not blocked.
fn to_send(plan: &Plan) -> impl Iterator<Item = &PlannedItem> {
    plan.to_send().map(|(_, item)| item)
}

fn irreversible(plan: &Plan) -> usize {
    to_send(plan).filter(|item| !plan.header.steps[usize::from(item.step)].action.reversible).count()
}

fn facts(plan: &Plan) -> Vec<(&'static str, String)> {
    let header = &plan.header;
    let tenant = &header.tenant;
    let version = match tenant.api_version {
        ApiVersion::V1 => "v1",
        ApiVersion::Unversioned => "unversioned",
    };
    let simulated = if tenant.simulated { " (simulated: nothing real is reached)" } else { "" };
    let mut facts = vec![
        ("playbook", inert(&header.playbook)),
        ("tenant", format!("{}{simulated}", inert(&tenant.name))),
        ("api", format!("{} (API {version})", inert(&tenant.base_url))),
        ("account", format!("{} ({})", inert(&tenant.user), inert(&tenant.user_id))),
        ("comment", if header.comment.is_empty() { "none".into() } else { inert(&header.comment) }),
    ];
    if !header.description.is_empty() {
        facts.insert(1, ("about", inert(&header.description)));
    }
    // That of an undo says so itself.
    if let Some(origin) = header.origin.as_ref().filter(|origin| origin.kind == OriginKind::Retry) {
        facts.push(("retry of", inert(&origin.run)));
    }
    let sources: Vec<String> = header.sources.iter().map(|source| inert(source)).collect();
    facts.push(("events", format!("{} from {}", count(header.rows, "row"), sources.join(", "))));
    facts
}

/// What an undo leaves alone, a line for each step and reason.
fn left_as_it_was(plan: &Plan) -> Vec<String> {
    plan.header.origin.iter().flat_map(undo::left_lines).map(|line| inert(&line)).collect()
}

fn step_table(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows = vec![["step", "action", "actionId", "undo", "items", "hosts", "where"].map(str::to_owned).to_vec()];
    let has_turns = release::has_turns(plan);
    if has_turns {
        rows[0].insert(6, "turn".to_owned());
    }
    for (number, step) in (0_u16..).zip(&plan.header.steps) {
        let items = || to_send(plan).filter(|item| item.step == number);
        rows.push(vec![
            inert(&step.name),
            inert(&step.action.name),
            step.action.id.to_string(),
            if step.action.reversible { "reversible" } else { "IRREVERSIBLE" }.to_owned(),
            items().count().to_string(),
            hosts(plan, items()).to_string(),
            step.filter.as_deref().map_or_else(|| release::every(plan, step).to_owned(), inert),
        ]);
        if let (true, Some(row)) = (has_turns, rows.last_mut()) {
            row.insert(6, release::turn(plan, step));
        }
    }
    rows
}

fn totals(plan: &Plan) -> Vec<String> {
    let forecast = forecast(plan);
    let mut lines = calls_and_cautions(plan, &forecast);
    lines.extend(release::priced(plan, &forecast));
    lines.extend(release::lines(plan));
    lines
}

fn calls_and_cautions(plan: &Plan, forecast: &Forecast) -> Vec<String> {
    let limits = &plan.header.limits;
    let (items, hosts) = plan.counts();
    let (items, hosts) = (count(items, "item"), count(hosts, "host"));
    let calls = match (limits.requests, limits.keep_free) {
        (None, _) => "no limit on calls".to_owned(),
        (Some(rate), None) => format!("{rate} calls"),
        (Some(rate), Some(kept)) => {
            let usable = limits.usable_calls().map_or_else(String::new, |usable| format!(", {} usable", usable.calls));
            format!("{rate} calls, {kept} kept free{usable}")
        }
    };
    let mut totals = vec![
        format!("{items} on {hosts}, {} of them irreversible", irreversible(plan)),
        format!(
            "at least {}, {} and {} in all, and at least {}",
            count(forecast.acts, "act"),
            count(forecast.polls, "poll"),
            count(forecast.calls(), "call"),
            show_duration(forecast.least_time),
        ),
        format!("limits: {calls}, {} at once, {} a batch", limits.concurrency, count(limits.batch_size, "item")),
        format!(
            "polling: first after {}, until {} after acceptance",
            show_duration(plan.header.polling.first_after),
            show_duration(plan.header.polling.deadline),
        ),
        format!(
            "checked when it begins: what earlier runs did, or may have done, is skipped; successes for {}",
            days_or_less(plan.header.dedupe_window),
        ),
        format!("after an unknown item: {}", listed_cautions(plan)),
    ];
    totals.extend(
        plan.header.approval.as_ref().map(|approval| format!("approval: {}", inert(&approval.shown(plan.counts().0)))),
    );
    totals.extend(guards::show::line(&plan.header.guards));
    totals.extend(guards::show::blocked(&plan.header.blocked));
    totals
}

/// Whole days as days, as files may write them.
fn days_or_less(window: std::time::Duration) -> String {
    const DAY_SECS: u64 = 24 * 3600;
    match (window.as_secs() / DAY_SECS, window.as_secs() % DAY_SECS) {
        (days @ 1.., 0) => format!("{days}d"),
        _ => show_duration(window),
    }
}

/// What happens to each action once an item of it is unknown.
fn listed_cautions(plan: &Plan) -> String {
    let steps = &plan.header.steps;
    let names = |of: OnUnknown| {
        let names: BTreeSet<String> =
            steps.iter().filter(|step| step.on_unknown == of).map(|step| inert(&step.action.name)).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    match (names(OnUnknown::Stop).as_str(), names(OnUnknown::Continue).as_str()) {
        ("", "") => "nothing is sent".to_owned(),
        (stop, "") => format!("no further {stop} until a person has looked"),
        ("", go_on) => format!("{go_on} goes on"),
        (stop, go_on) => format!("no further {stop} until a person has looked; {go_on} goes on"),
    }
}

/// One line for each reason, the commonest first; `duplicate of row N` is one reason.
fn reasons(plan: &Plan) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
    for row in &plan.rows_without_item {
        let kind = if row.reason.starts_with("duplicate of row ") { "duplicate" } else { row.reason.as_str() };
        groups.entry(kind).or_default().push((row.row, &row.reason));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, rows)| (std::cmp::Reverse(rows.len()), rows[0].0));
    let mut lines: Vec<String> =
        groups.iter().take(REASONS_SHOWN_MAX).map(|(kind, rows)| reason_line(kind, rows)).collect();
    if let Some(more) = groups.len().checked_sub(REASONS_SHOWN_MAX).filter(|more| *more > 0) {
        lines.push(format!("… and {} more (`--format json` lists all)", count(more, "reason")));
    }
    lines
}

fn reason_line(kind: &str, rows: &[(u32, &str)]) -> String {
    let shown: Vec<String> = rows
        .iter()
        .take(ROWS_OF_REASON_SHOWN_MAX)
        .map(|(row, reason)| match reason.strip_prefix("duplicate of ") {
            Some(original) => format!("{row} ({original})"),
            None => row.to_string(),
        })
        .collect();
    let more = if rows.len() > ROWS_OF_REASON_SHOWN_MAX { ", …" } else { "" };
    let word = if rows.len() == 1 { "row" } else { "rows" };
    format!("{}× {}: {word} {}{more}", rows.len(), inert(kind), shown.join(", "))
}

fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line += &format!("{cell:<0$}  ", width(column).unwrap_or(0));
        }
        out += line.trim_end();
        out += "\n";
    }
    out
}

fn table(rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        out += &format!("| {} |\n", cells.join(" | "));
        if index == 0 {
            out += &format!("|{}\n", " --- |".repeat(row.len()));
        }
    }
    out
}

/// One line without control characters, direction marks and invisible characters, at most 400 characters.
fn inert(text: &str) -> String {
    inert::terminal(&inert::shorten(text, TEXT_CHARS_MAX)).into_owned()
}

/// Inert text as Markdown that shows it as it is: every character that can mean something is written as an entity, so that neither
/// a backslash before it nor a code fence around it brings the meaning back.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '&' | '@' | '$' | '!' => {
                out += &format!("&#{};", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    // A bare address becomes a link.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}
