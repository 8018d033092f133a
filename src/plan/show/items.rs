//! The items of a plan, one by one: which host, which process or file, since when, and whether a rule blocks it.
//!
//! In a terminal an item has two lines, so that both fit on 120 columns; Markdown has a column for whatever any shown item
//! has. What is cut there stands whole in JSON, which has every column of the input.

use super::known::Known;
use super::{event, inert, source};
use crate::inert::shorten;
use crate::plan::{BlockedItems, Plan, PlannedItem};
use serde_json::json;

/// How many items are listed; JSON lists all.
pub(super) const ITEMS_SHOWN_MAX: usize = 50;
/// How wide a line about an item may be, in characters.
const LINE_CHARS_MAX: usize = 118;
/// How much of a step's name, a host's name, an agent id, a process, a path, a hash and a rule's name a terminal shows.
const STEP_CHARS_MAX: usize = 20;
const HOST_CHARS_MAX: usize = 24;
const AGENT_CHARS_MAX: usize = 40;
const PROCESS_CHARS_MAX: usize = 30;
const PATH_CHARS_MAX: usize = 48;
const HASH_CHARS_MAX: usize = 16;
const RULE_CHARS_MAX: usize = 40;

/// The items for a terminal.
pub(super) fn text(plan: &Plan) -> String {
    let blocked = plan.blocked();
    let items: Vec<_> = shown(plan).map(|(number, item)| (number, *item, Known::of(event(plan, *item)))).collect();
    let has_hosts = items.iter().any(|(.., known)| known.host.is_some());
    let mut heads = vec![["row", "step", "type", "agent"].map(str::to_owned).to_vec()];
    let mut abouts = vec![(None, String::new())];
    for (number, item, known) in &items {
        let event = event(plan, *item);
        heads.push(vec![
            event.place.row.to_string(),
            cut(&plan.header.steps[usize::from(item.step)].name, STEP_CHARS_MAX),
            event.event_type.to_string(),
            cut(&event.agent_id, AGENT_CHARS_MAX),
        ]);
        abouts.push((blocked.rule_of(*number), about(plan, *item, known)));
    }
    if has_hosts {
        let host =
            |known: &Known| known.host.as_deref().map_or_else(|| "-".to_owned(), |host| cut(host, HOST_CHARS_MAX));
        let hosts = std::iter::once("host".to_owned()).chain(items.iter().map(|(.., known)| host(known)));
        heads.iter_mut().zip(hosts).for_each(|(head, host)| head.insert(3, host));
    }
    let indent = heads.iter().map(|head| head[0].len()).max().unwrap_or(0) + 2;
    let lines = super::columns(&heads);
    let mut out = String::new();
    for (line, (rule, about)) in lines.lines().zip(abouts) {
        out += &format!("{line}\n");
        // Where nothing of the input can stand: a path may say of itself whatever it likes.
        if let Some(rule) = rule {
            out += &format!("{:indent$}BLOCKED by \"{}\", never sent\n", "!", cut(rule, RULE_CHARS_MAX));
        }
        if !about.is_empty() {
            out += &format!("{:indent$}{}\n", "", shorten(&about, LINE_CHARS_MAX - indent));
        }
    }
    if out.contains('…') {
        out += "what is cut (…) stands whole in `--format json`\n";
    }
    out
}

/// What is acted on: `pid 7, C:\a.exe, 2026-06-12T03:40:00Z, sha256 ab…`. What has a comma of its own is quoted, so that it
/// cannot look like several of these.
fn about(plan: &Plan, item: PlannedItem, known: &Known) -> String {
    let event = event(plan, item);
    let mut parts = Vec::new();
    let is_in_path = |process: &&str| known.path.as_deref().is_some_and(|path| ends_in(path, process));
    let process = known.process.as_deref().filter(|process| !is_in_path(process));
    parts.extend(process.map(|process| quoted(middle(process, PROCESS_CHARS_MAX))));
    parts.extend((event.pid > 0).then(|| format!("pid {}", event.pid)));
    parts.extend(known.path.as_deref().map(|path| quoted(middle(path, PATH_CHARS_MAX))));
    parts.extend(known.time.as_deref().map(|time| quoted(inert(time))));
    parts.extend(known.hash.as_ref().map(|(name, hash)| format!("{name} {}", quoted(cut(hash, HASH_CHARS_MAX)))));
    // Where the input says nothing else, this is what tells the item from others.
    let says_more = known.process.is_some() || known.path.is_some() || known.hash.is_some();
    if !says_more && event.event_id != event.agent_id {
        parts.push(format!("event {}", quoted(inert(&event.event_id))));
    }
    parts.join(", ")
}

/// The items for Markdown: the columns that any shown item has.
pub(super) fn rows(plan: &Plan) -> Vec<Vec<String>> {
    const NAMES: [&str; 12] =
        ["row", "step", "host", "agent", "type", "pid", "process", "path", "hash", "time", "event", "blocked by"];
    let blocked = plan.blocked();
    let rows: Vec<[String; NAMES.len()]> = shown(plan)
        .map(|(number, item)| {
            let event = event(plan, *item);
            let Known { host, process, path, hash, time } = Known::of(event);
            let text = |text: Option<String>| text.map(|text| inert(&text)).unwrap_or_default();
            [
                event.place.row.to_string(),
                inert(&plan.header.steps[usize::from(item.step)].name),
                text(host),
                inert(&event.agent_id),
                event.event_type.to_string(),
                if event.pid > 0 { event.pid.to_string() } else { String::new() },
                text(process),
                text(path),
                text(hash.map(|(name, hash)| format!("{name} {hash}"))),
                text(time),
                inert(&event.event_id),
                text(blocked.rule_of(number).map(str::to_owned)),
            ]
        })
        .collect();
    let has: Vec<bool> = (0..NAMES.len()).map(|column| rows.iter().any(|row| !row[column].is_empty())).collect();
    let with = |row: [String; NAMES.len()]| row.into_iter().zip(&has).filter(|(_, has)| **has).map(|(cell, _)| cell);
    std::iter::once(NAMES.map(str::to_owned)).chain(rows).map(|row| with(row).collect()).collect()
}

/// An item for programs.
pub(super) fn json(plan: &Plan, item: PlannedItem, number: u32, blocked: &BlockedItems<'_>) -> serde_json::Value {
    let event = event(plan, item);
    let attributes = serde_json::from_str(&event.attributes).unwrap_or_else(|_| json!(event.attributes));
    json!({"item": number, "row": event.place.row, "source": source(&plan.header, event.place.source),
        "line": event.place.line, "step": plan.header.steps[usize::from(item.step)].name, "target": item.target,
        "agent_id": event.agent_id, "event_id": event.event_id, "event_type": event.event_type, "pid": event.pid,
        "unique_id": event.unique_id, "blocked_by": blocked.rule_of(number), "attributes": attributes})
}

/// Where the rest is.
pub(super) fn more(plan: &Plan) -> Option<String> {
    let more = plan.items.len().checked_sub(ITEMS_SHOWN_MAX).filter(|more| *more > 0)?;
    Some(format!("… and {more} more (`--format json` lists all)"))
}

fn shown(plan: &Plan) -> impl Iterator<Item = (u32, &PlannedItem)> {
    (0_u32..).zip(&plan.items).take(ITEMS_SHOWN_MAX)
}

/// Whether this is the path's file name.
fn ends_in(path: &str, name: &str) -> bool {
    path.rsplit(['/', '\\']).next().is_some_and(|last| last.eq_ignore_ascii_case(name))
}

fn quoted(text: String) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\\\"")) } else { text }
}

/// Inert, its end left out where it is too long.
fn cut(text: &str, characters_max: usize) -> String {
    shorten(&inert(text), characters_max).into_owned()
}

/// Inert, its middle left out where it is too long: of a path the end tells most.
fn middle(text: &str, characters_max: usize) -> String {
    let text = inert(text);
    let length = text.chars().count();
    if length <= characters_max {
        return text;
    }
    let first = characters_max / 3;
    let rest = characters_max - first - 1;
    text.chars().take(first).chain(['…']).chain(text.chars().skip(length - rest)).collect()
}

#[cfg(test)]
mod tests;
