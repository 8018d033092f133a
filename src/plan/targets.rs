//! Which target each event belongs to, the one item that stands for a target in a step with `once: target`, and the
//! numbers of targets.
//!
//! Targets are numbered in order of first appearance, so that waves are ranges of numbers.

use super::filter::ColumnReader;
use super::problems::{Origin, Problems};
use super::select::{BadRow, Chosen, ReadyStep, Selection};
use super::{Plan, PlannedItem};
use crate::events::Event;
use crate::problem::nearest;
use crate::tenant::EventType;
use crate::yaml::Spanned;
use std::collections::{HashMap, HashSet};

/// How many column names a help lists.
const COLUMNS_SHOWN_MAX: usize = 20;

/// The target of each event that was chosen, by the event's index.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// For each event its target, dense from 0 in order of first appearance; `u32::MAX` where nothing was chosen.
    of_event: Vec<u32>,
}

/// Finds the target of every chosen event. A row without a value in the column is bad.
pub(super) fn targets(
    column: Option<&Spanned<String>>,
    selection: &mut Selection,
    (events, bytes): (&[Event], &[Option<u64>]),
) -> Targets {
    let mut of_event = vec![u32::MAX; events.len()];
    let mut numbers: HashMap<Box<str>, u32> = HashMap::new();
    let mut reader = column.map(|column| ColumnReader::of_names([column.value.as_str()]));
    let mut bad: HashSet<u32> = HashSet::new();
    for &Chosen { event: index, .. } in &selection.chosen {
        let event = &events[index as usize];
        if of_event[index as usize] != u32::MAX || bad.contains(&index) {
            continue;
        }
        let key: Result<Box<str>, String> = match (&mut reader, column) {
            (Some(reader), Some(column)) => reader.read(event).and_then(|row| {
                let text = row.text(&column.value)?.filter(|text| !text.is_empty());
                let none = || format!("it has no `{}`, by which `target` groups rows", column.value);
                text.map(Box::from).ok_or_else(none)
            }),
            _ => Ok(event.agent_id.clone()),
        };
        match key {
            Ok(key) => {
                let next = numbers.len() as u32;
                of_event[index as usize] = *numbers.entry(key).or_insert(next);
            }
            Err(reason) => {
                bad.insert(index);
                let byte = bytes.get(index as usize).copied().flatten();
                selection.bad.push(BadRow { place: event.place, byte, reason, filter: None });
            }
        }
    }
    selection.chosen.retain(|chosen| !bad.contains(&chosen.event));
    Targets { of_event }
}

/// The column that groups rows must be one that a row has.
pub(super) fn check_column(column: Option<&Spanned<String>>, events: &[Event], origin: &Origin, found: &mut Problems) {
    let Some(column) = column else { return };
    if events.is_empty() || ColumnReader::of_names([column.value.as_str()]).missing(events).is_empty() {
        return;
    }
    let names = ColumnReader::all_names(events);
    let help = match nearest(&column.value, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = names.iter().take(COLUMNS_SHOWN_MAX).map(String::as_str).collect();
            let more = if names.len() > COLUMNS_SHOWN_MAX { ", …" } else { "" };
            format!("the events have {}{more}", known.join(", "))
        }
    };
    let message = format!("no event has a column `{}`", column.value);
    found.push(origin.problem(column.place, "", message, Some(help)));
}

/// The events with those that stand for whole targets put in behind the first of each, and what was chosen of them.
pub(super) struct Expanded {
    pub(super) events: Vec<Event>,
    pub(super) targets: Targets,
    /// Rows of targets that no single item can stand for.
    pub(super) split: Vec<BadRow>,
}

/// Makes of what steps with `once: target` chose one item for each target: an event of the kind AGENT, made from the
/// target's first event. Such a step without a filter takes the targets of which another step takes something, and is made
/// from the first event that it takes.
pub(super) fn once(
    steps: &[ReadyStep],
    selection: &mut Selection,
    (events, bytes): (Vec<Event>, &[Option<u64>]),
    targets: Targets,
) -> Expanded {
    if !steps.iter().any(|step| step.flow.once) {
        return Expanded { events, targets, split: Vec::new() };
    }
    let step = |chosen: &Chosen| &steps[usize::from(chosen.step)];
    let follows = |chosen: &Chosen| step(chosen).flow.once && step(chosen).filter.is_none();
    let target = |chosen: &Chosen| targets.of_event[chosen.event as usize];
    let leads: HashSet<u32> =
        selection.chosen.iter().filter(|chosen| !follows(chosen)).map(|chosen| chosen.event).collect();
    let all_follow = steps.iter().all(|step| step.flow.once && step.filter.is_none());
    // The event that stands for a target in a step, and the agent that it is about.
    let mut stands: HashMap<(u32, u16), u32> = HashMap::new();
    let mut two_agents: HashSet<u32> = HashSet::new();
    for chosen in selection.chosen.iter().filter(|chosen| step(chosen).flow.once) {
        if follows(chosen) && !all_follow && !leads.contains(&chosen.event) {
            continue;
        }
        let first = *stands.entry((target(chosen), chosen.step)).or_insert(chosen.event);
        if events[first as usize].agent_id != events[chosen.event as usize].agent_id {
            two_agents.insert(target(chosen));
        }
    }
    let mut split: Vec<BadRow> = Vec::new();
    for (&(_, number), &first) in stands.iter().filter(|((of, _), _)| two_agents.contains(of)) {
        let name = &steps[usize::from(number)].name;
        let reason =
            format!("step {name}: its target has several agents, and `once: target` makes one item of one agent");
        let byte = bytes.get(first as usize).copied().flatten();
        split.push(BadRow { place: events[first as usize].place, byte, reason, filter: None });
    }
    split.sort_by(|one, other| (one.place, &one.reason).cmp(&(other.place, &other.reason)));
    Expanded { split, ..rebuild(steps, selection, events, &targets, &stands) }
}

/// Puts the events that stand for targets in, each behind the one that it is made from.
fn rebuild(
    steps: &[ReadyStep],
    selection: &mut Selection,
    events: Vec<Event>,
    targets: &Targets,
    stands: &HashMap<(u32, u16), u32>,
) -> Expanded {
    let chosen = std::mem::take(&mut selection.chosen);
    let mut chosen = chosen.into_iter().peekable();
    let mut out = Expanded { events: Vec::new(), targets: Targets::default(), split: Vec::new() };
    for (index, event) in (0_u32..).zip(events) {
        let of = targets.of_event[index as usize];
        let (mut own, mut whole) = (Vec::new(), Vec::new());
        let mut left_out = None;
        while let Some(one) = chosen.next_if(|one| one.event == index) {
            match steps[usize::from(one.step)].flow.once {
                false => own.push(one.step),
                true if stands.get(&(of, one.step)) == Some(&index) => whole.push(one.step),
                true => left_out = Some(one.step),
            }
        }
        if let (Some(step), true, true) = (left_out, own.is_empty(), whole.is_empty()) {
            let others = selection.take_besides(index).map(|said| format!("{said}, ")).unwrap_or_default();
            let once = match stands.contains_key(&(of, step)) {
                true => "goes once for its target, by another row",
                false => "goes once for each target of which another step takes something",
            };
            let reason = format!("no step selects it: {others}{} {once}", steps[usize::from(step)].name);
            selection.without.push(super::select::row_without_item(event.place, reason));
        }
        let agent = (!whole.is_empty()).then(|| Event { event_type: EventType::Agent, pid: 0, ..event.clone() });
        for (event, steps) in [(Some(event), own), (agent, whole)] {
            let Some(event) = event else { continue };
            let index = out.events.len() as u32;
            selection.chosen.extend(steps.into_iter().map(|step| Chosen { event: index, step }));
            out.events.push(event);
            out.targets.of_event.push(of);
        }
    }
    out
}

/// Rows that are without an item although another item of theirs stayed: an item for the whole target was left out as a
/// repeat.
pub(super) fn forget_rows_with_item(selection: &mut Selection, events: &[Event]) {
    let with: HashSet<u32> = selection.chosen.iter().map(|chosen| events[chosen.event as usize].place.row).collect();
    selection.without.retain(|row| !with.contains(&row.row));
    selection.without.sort_by_key(|row| row.row);
    selection.without.dedup_by_key(|row| row.row);
}

/// Keeps the events that became items, and numbers the targets that are left.
pub(super) fn number(all: Vec<Event>, chosen: &[Chosen], targets: &Targets) -> (Vec<Event>, Vec<PlannedItem>) {
    let mut used = chosen.iter().map(|chosen| chosen.event).peekable();
    let mut kept = Vec::new();
    for (index, event) in (0_u32..).zip(all) {
        if used.peek() == Some(&index) {
            kept.push(event);
            while used.next_if_eq(&index).is_some() {}
        }
    }
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut items = Vec::with_capacity(chosen.len());
    let (mut event, mut last) = (0_u32, None);
    for one in chosen {
        event += u32::from(last.is_some_and(|last| last != one.event));
        last = Some(one.event);
        let next = numbers.len() as u32;
        let target = *numbers.entry(targets.of_event[one.event as usize]).or_insert(next);
        items.push(PlannedItem { event, step: one.step, target });
    }
    (kept, items)
}

/// Numbers targets on which everything is blocked after all others, so that a first wave is of targets on which something
/// is done.
pub(super) fn blocked_last(plan: &mut Plan) {
    let blocked = plan.header.blocked.iter().flat_map(|blocked| blocked.items.iter().copied()).collect();
    renumber(&mut plan.items, &blocked);
}

/// How many targets these items have.
pub(super) fn count(items: &[PlannedItem]) -> u32 {
    items.iter().map(|item| item.target + 1).max().unwrap_or(0)
}

fn renumber(items: &mut [PlannedItem], blocked: &HashSet<u32>) {
    if blocked.is_empty() {
        return;
    }
    let acted: HashSet<u32> =
        (0..).zip(items.iter()).filter(|(item, _)| !blocked.contains(item)).map(|(_, item)| item.target).collect();
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let (mut next, mut last) = (0_u32, acted.len() as u32);
    for item in items {
        let free = if acted.contains(&item.target) { &mut next } else { &mut last };
        item.target = *numbers.entry(item.target).or_insert_with(|| std::mem::replace(free, *free + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_on_which_everything_is_blocked_come_last_in_their_order() {
        let items = |targets: &[u32]| -> Vec<PlannedItem> {
            (0..).zip(targets).map(|(event, target)| PlannedItem { event, step: 0, target: *target }).collect()
        };
        let numbered = |blocked: &[u32]| -> Vec<u32> {
            let mut items = items(&[0, 1, 0, 2, 3]);
            renumber(&mut items, &blocked.iter().copied().collect());
            items.iter().map(|item| item.target).collect()
        };
        assert_eq!(numbered(&[]), [0, 1, 0, 2, 3]);
        assert_eq!(numbered(&[0]), [0, 1, 0, 2, 3], "one item of target 0 goes");
        assert_eq!(numbered(&[0, 2, 3]), [2, 0, 2, 3, 1]);
        assert_eq!(numbered(&[0, 1, 2, 3, 4]), [0, 1, 0, 2, 3]);
    }
}
