//! What differs between two plans: what holds for all items first, then items that are new, gone, or other than before.
//!
//! An item is the same when its step's name and what it acts on are: agent, event, type, process, unique id. Rows and
//! targets are numbered anew in every plan, so their numbers tell nothing; which items share a target does. The same two
//! plans give the same text.

use super::act_key::fingerprint;
use super::{Plan, PlanHeader, PlannedItem};
use crate::inert;
use crate::noun::count;
use crate::tenant::show_duration;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

/// How long a value of the header, or of a column, may be where it is shown, in characters.
const VALUE_CHARS_MAX: usize = 200;
/// How many columns that differ are listed of one item.
const COLUMNS_SHOWN_MAX: usize = 5;

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Keys of the header, each as one line.
    pub header: Vec<String>,
    /// Numbers of items that only the new plan has.
    pub added: Vec<u32>,
    /// Numbers of items that only the old plan had.
    pub removed: Vec<u32>,
    /// Numbers of items in the old and the new plan, and what is other about them.
    pub changed: Vec<(u32, u32, String)>,
    /// How many items are as before.
    pub same: usize,
    /// How many rows without an item there were, and are.
    pub rows_without_item: (usize, usize),
    /// Whether all else that differs is which rows have no item, or why.
    pub other_rows: bool,
}

/// Compares two plans.
pub fn diff(old: &Plan, new: &Plan) -> Diff {
    let pairs = pairs(old, new);
    let mut diff = Diff {
        header: header(&old.header, &new.header),
        rows_without_item: (old.rows_without_item.len(), new.rows_without_item.len()),
        other_rows: reasons(old) != reasons(new),
        added: pairs.added,
        removed: pairs.removed,
        ..Diff::default()
    };
    let mut targets = Targets::default();
    for (before, after) in pairs.both {
        let what = changes(old, new, (before, after), &mut targets);
        match what.is_empty() {
            true => diff.same += 1,
            false => diff.changed.push((before, after, what.join("; "))),
        }
    }
    diff
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.header.is_empty()
            && self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && !self.other_rows
    }

    /// Writes it as text.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write(&self, old: &Plan, new: &Plan, out: &mut dyn Write) -> io::Result<()> {
        if self.is_empty() {
            return writeln!(out, "no difference: both plans are the same ({})", count(new.items.len(), "item"));
        }
        writeln!(out, "digest  {}", old.header.digest)?;
        writeln!(out, "     →  {}", new.header.digest)?;
        if !self.header.is_empty() {
            writeln!(out, "\nwhat holds for all items:")?;
            self.header.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        let (added, removed, changed) = (self.added.len(), self.removed.len(), self.changed.len());
        writeln!(out, "\nitems: {added} added, {removed} removed, {changed} changed, {} as before", self.same)?;
        self.added.iter().try_for_each(|item| writeln!(out, "  + {}", described(new, *item)))?;
        self.removed.iter().try_for_each(|item| writeln!(out, "  - {}", described(old, *item)))?;
        for (_, item, what) in &self.changed {
            writeln!(out, "  ~ {}: {what}", described(new, *item))?;
        }
        if self.other_rows {
            let (before, after) = self.rows_without_item;
            writeln!(out, "\nrows without an item: {before} before, {after} now, or for other reasons")?;
        }
        Ok(())
    }
}

/// Items of both plans by their identity, in order of their numbers.
struct Pairs {
    both: Vec<(u32, u32)>,
    added: Vec<u32>,
    removed: Vec<u32>,
}

fn pairs(old: &Plan, new: &Plan) -> Pairs {
    let identities = |plan: &Plan| {
        let mut all: Vec<([u8; 16], u32)> =
            (0..).zip(&plan.items).map(|(number, item)| (identity(plan, item), number)).collect();
        all.sort_unstable();
        all
    };
    let (before, after) = (identities(old), identities(new));
    let mut pairs = Pairs { both: Vec::new(), added: Vec::new(), removed: Vec::new() };
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    // The same identity twice is the same item in the order of its numbers.
    loop {
        match (before.peek(), after.peek()) {
            (Some((one, number)), Some((other, counterpart))) if one == other => {
                pairs.both.push((*number, *counterpart));
                before.next();
                after.next();
            }
            (Some((one, number)), other) if other.is_none_or(|(other, _)| one < other) => {
                pairs.removed.push(*number);
                before.next();
            }
            (_, Some((_, number))) => {
                pairs.added.push(*number);
                after.next();
            }
            (_, None) => break,
        }
    }
    pairs.both.sort_unstable_by_key(|(_, after)| *after);
    pairs.added.sort_unstable();
    pairs.removed.sort_unstable();
    pairs
}

fn identity(plan: &Plan, item: &PlannedItem) -> [u8; 16] {
    let event = &plan.events[item.event as usize];
    fingerprint(&[
        plan.header.steps[usize::from(item.step)].name.as_bytes(),
        event.agent_id.as_bytes(),
        event.event_id.as_bytes(),
        event.event_type.as_str().as_bytes(),
        &event.pid.to_le_bytes(),
        event.unique_id.as_bytes(),
    ])
}

/// Which target of the old plan is which of the new one, as far as items said it.
#[derive(Default)]
struct Targets {
    now: HashMap<u32, u32>,
    before: HashMap<u32, u32>,
}

impl Targets {
    /// Whether items that shared a target still do, and no others.
    fn still(&mut self, before: u32, now: u32) -> bool {
        *self.now.entry(before).or_insert(now) == now && *self.before.entry(now).or_insert(before) == before
    }
}

/// What is other about an item, one phrase for each.
fn changes(old: &Plan, new: &Plan, (before, after): (u32, u32), targets: &mut Targets) -> Vec<String> {
    let (before, after) = (&old.items[before as usize], &new.items[after as usize]);
    let (was, is) = (&old.events[before.event as usize], &new.events[after.event as usize]);
    let mut what = Vec::new();
    if was.attributes != is.attributes {
        what.push(columns(&was.attributes, &is.attributes));
    }
    if was.action != is.action {
        let shown = |action: &Option<Box<str>>| action.as_deref().map_or_else(|| "none".to_owned(), short);
        what.push(format!("action column {} → {}", shown(&was.action), shown(&is.action)));
    }
    if !targets.still(before.target, after.target) {
        what.push("shares its target with other items".to_owned());
    }
    let wave = |plan: &Plan, item: &PlannedItem| plan.header.release.wave_of(item.target) + 1;
    let (wave_before, wave_now) = (wave(old, before), wave(new, after));
    if wave_before != wave_now {
        what.push(format!("wave {wave_before} → {wave_now}"));
    }
    what
}

/// The columns that differ between two texts of attributes.
fn columns(was: &str, is: &str) -> String {
    let parsed = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text);
    let (Ok(was), Ok(is)) = (parsed(was), parsed(is)) else { return "other columns".to_owned() };
    let gone = was.keys().filter(|name| !is.contains_key(*name));
    let differing: Vec<&String> = is.keys().chain(gone).filter(|name| was.get(*name) != is.get(*name)).collect();
    if differing.is_empty() {
        // Digits, order or spelling that no value shows.
        return "columns written in another way".to_owned();
    }
    let mut shown: Vec<String> = differing
        .iter()
        .take(COLUMNS_SHOWN_MAX)
        .map(|name| format!("{} {} → {}", short(name), value(was.get(*name)), value(is.get(*name))))
        .collect();
    if differing.len() > COLUMNS_SHOWN_MAX {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

fn described(plan: &Plan, item: u32) -> String {
    let item = &plan.items[item as usize];
    let (event, step) = (&plan.events[item.event as usize], &plan.header.steps[usize::from(item.step)].name);
    let pid = if event.pid == 0 { String::new() } else { format!(" pid {}", event.pid) };
    let (agent, id, unique) = (short(&event.agent_id), short(&event.event_id), short(&event.unique_id));
    format!("{} on agent {agent}: {} event {id}{pid} unique id {unique}", short(step), event.event_type)
}

/// Rows without an item and why, whatever their numbers.
fn reasons(plan: &Plan) -> Vec<[u8; 16]> {
    let mut all: Vec<_> = plan
        .rows_without_item
        .iter()
        .map(|row| fingerprint(&[&row.row.to_le_bytes(), row.reason.as_bytes()]))
        .collect();
    all.sort_unstable();
    all
}

/// The keys of the header that differ, each as one line: `limits.batch_size: 50 → 20`.
fn header(old: &PlanHeader, new: &PlanHeader) -> Vec<String> {
    let leaves = |header: &PlanHeader| {
        let mut leaves = Vec::new();
        // Headers are plain data; one that could not be told in JSON could not have been stored either.
        if let Ok(Value::Object(keys)) = serde_json::to_value(header) {
            keys.iter().filter(|(key, _)| *key != "digest").for_each(|(key, value)| flatten(key, value, &mut leaves));
        }
        leaves
    };
    let (before, now) = (leaves(old), leaves(new));
    let by_path = |leaves: &[(String, String)]| leaves.iter().cloned().collect::<HashMap<String, String>>();
    let (was, is) = (by_path(&before), by_path(&now));
    let gone = before.iter().filter(|(path, _)| !is.contains_key(path)).map(|(path, _)| path);
    let none = || "none".to_owned();
    now.iter()
        .map(|(path, _)| path)
        .chain(gone)
        .filter(|path| was.get(*path) != is.get(*path))
        .map(|path| {
            let of = |leaves: &HashMap<String, String>| leaves.get(path).cloned().unwrap_or_else(none);
            format!("{path}: {} → {}", of(&was), of(&is))
        })
        .collect()
}

/// All values below this one with their paths; elements of a list go by their name, where they have one.
fn flatten(path: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(keys) => match duration(keys) {
            Some(time) => leaves.push((path.to_owned(), show_duration(time))),
            None => keys.iter().for_each(|(key, value)| flatten(&format!("{path}.{}", short(key)), value, leaves)),
        },
        Value::Array(elements) if elements.iter().all(|element| !element.is_object() && !element.is_array()) => {
            leaves.push((path.to_owned(), self::value(Some(value))));
        }
        Value::Array(elements) => {
            for (number, element) in (1..).zip(elements) {
                let text = |key: &str| element.get(key).and_then(Value::as_str).map(short);
                let name = match (text("role"), text("name")) {
                    (Some(role), Some(name)) => format!("{role} {name}"),
                    (None, Some(name)) => name,
                    (_, None) => number.to_string(),
                };
                flatten(&format!("{path}.{name}"), element, leaves);
            }
        }
        Value::Null => {}
        plain => leaves.push((path.to_owned(), self::value(Some(plain)))),
    }
}

/// How times are stored.
fn duration(keys: &serde_json::Map<String, Value>) -> Option<Duration> {
    match (keys.len(), keys.get("secs")?.as_u64(), keys.get("nanos")?.as_u64()) {
        (2, Some(secs), Some(nanos)) => Some(Duration::new(secs, u32::try_from(nanos).ok()?)),
        _ => None,
    }
}

fn value(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| short(&value.to_string()))
}

fn short(text: &str) -> String {
    inert::shorten(&inert::terminal(text), VALUE_CHARS_MAX).into_owned()
}

#[cfg(test)]
mod tests;
