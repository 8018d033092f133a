//! The plan that undoes a run: the inverse of what it carried out, newest first, and a list of all that is left as it is.
//!
//! Which items were carried out is not decided here; see `commands/undo.rs`. It guesses nothing: what nobody knows is
//! left alone and told, and so is what the tenant names no inverse for.

use super::origin::{kept_files, ranges};
use super::release::Sizes;
use super::{ItemRow, RowWithoutItem, digest, guards};
use super::{Leaving, LeftOut, Origin, OriginKind, Plan, PlanHeader, PlannedFlow, PlannedItem, PlannedStep};
use crate::inert::shorten;
use crate::noun::count;
use crate::tenant::{Action, EventType};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a comment may be, in characters, as in a playbook.
const COMMENT_CHARS_MAX: usize = 400;

/// What became of an item, as far as undoing goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was carried out, and that was known at this time, in milliseconds of the run's clock.
    Done(u64),
    /// Nobody knows: the word of its outcome.
    NobodyKnows(&'static str),
    /// It was not carried out: the word of its outcome.
    NotDone(&'static str),
}

/// Plans the inverse of these items of a run. Rows of which nothing is undone are listed with the reason.
pub fn undo(earlier: &PlanHeader, run: &str, items: Vec<(ItemRow, Fate)>) -> Plan {
    let mut left = Left::default();
    // Rows stay together, since reports count them by their change; each stands where its newest item does.
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    for (row, fate) in items {
        let step = &earlier.steps[usize::from(row.step)];
        let of_row = rows.entry(row.event.place.row).or_default();
        let why = match fate {
            Fate::Done(at) => match inverse_of(step, row.event.event_type) {
                Ok(_) => {
                    of_row.newest = of_row.newest.max(at);
                    of_row.undone.push(row);
                    continue;
                }
                Err(why) => (Leaving::CannotBeUndone, why),
            },
            Fate::NobodyKnows(word) => {
                (Leaving::NobodyKnows, format!("its outcome is {word}: nobody knows whether it was done"))
            }
            Fate::NotDone(word) => (Leaving::NothingToUndo, format!("its outcome is {word}: there is nothing to undo")),
        };
        of_row.without(&row, &format!("not undone: {}: {}", step.name, why.1));
        left.add(row.step, why, row.item);
    }
    let mut header = header_of(earlier, run);
    let numbers = steps_of(earlier, rows.values().flat_map(|row| &row.undone), &mut header);
    header.origin = Some(Origin {
        kind: OriginKind::Undo,
        run: run.to_owned(),
        permitted: None,
        left_out: left.listed(&earlier.steps),
    });
    let mut plan = Plan { header, events: Vec::new(), items: Vec::new(), rows_without_item: Vec::new() };
    plan.header.rows = rows.len() as u32;
    let (mut with, without): (Vec<Row>, Vec<Row>) = rows.into_values().partition(|row| !row.undone.is_empty());
    with.sort_by_key(|row| Reverse(row.newest));
    plan.rows_without_item = without.into_iter().filter_map(|row| row.without).collect();
    // Items have other numbers now.
    plan.header.blocked = Vec::new();
    number(&mut plan, with, &numbers);
    plan.header.guards.holds = guards::judge(&plan);
    plan.header.digest = digest::digest(&plan);
    plan
}

/// The items of one row of the input.
#[derive(Default)]
struct Row {
    newest: u64,
    undone: Vec<ItemRow>,
    without: Option<RowWithoutItem>,
}

impl Row {
    /// Adds a reason why it may have no item.
    fn without(&mut self, row: &ItemRow, reason: &str) {
        let place = row.event.place;
        let (row, source, line) = (place.row, place.source, place.line);
        let listed = || RowWithoutItem { row, source, line, byte: None, reason: String::new() };
        let listed = self.without.get_or_insert_with(listed);
        if !listed.reason.is_empty() {
            listed.reason.push_str("; ");
        }
        listed.reason.push_str(reason);
    }
}

/// The action that undoes a step on events of this type, or why there is none.
fn inverse_of(step: &PlannedStep, kind: EventType) -> Result<&Action, String> {
    let inverse = inverse_of_step(step)?;
    if inverse.event_types.contains(&kind) {
        return Ok(inverse);
    }
    Err(format!("{}, which undoes it, does not take {kind} events", inverse.name))
}

fn inverse_of_step(step: &PlannedStep) -> Result<&Action, String> {
    let name = &step.action.name;
    match (&step.inverse, step.inverse_id) {
        _ if !step.action.reversible => Err(format!("{name} is irreversible")),
        (Some(inverse), _) => Ok(inverse),
        (None, None) => Err(format!("the tenant names no action that undoes {name}")),
        (None, Some(id)) => Err(format!(
            "the run was planned by an older quell, which kept only the number of what undoes {name}: {id}"
        )),
    }
}

fn header_of(earlier: &PlanHeader, run: &str) -> PlanHeader {
    let comment = match earlier.comment.as_str() {
        "" => format!("undo of {run}"),
        comment => format!("undo of {run}: {comment}"),
    };
    PlanHeader {
        description: format!("undo of {run}"),
        comment: shorten(&comment, COMMENT_CHARS_MAX).into_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        files: kept_files(earlier),
        steps: Vec::new(),
        ..earlier.clone()
    }
}

/// Adds the steps that undo those of these items, the last first; gives the new number of each old one.
fn steps_of<'a>(
    earlier: &PlanHeader,
    undone: impl Iterator<Item = &'a ItemRow>,
    header: &mut PlanHeader,
) -> HashMap<u16, u16> {
    let used: BTreeSet<u16> = undone.map(|row| row.step).collect();
    let mut numbers = HashMap::new();
    for (new, old) in (0..).zip(used.into_iter().rev()) {
        let step = &earlier.steps[usize::from(old)];
        let Ok(inverse) = inverse_of_step(step) else { continue };
        header.steps.push(PlannedStep {
            name: format!("undo-{}", step.name),
            action: inverse.clone(),
            filter: None,
            on_unknown: step.on_unknown,
            // Whether the tenant says so or not: what is undone here undid whatever it undoes. An older act of the
            // inverse is no reason to leave it out.
            inverse_id: Some(step.action.id),
            inverse: Some(step.action.clone()),
            flow: PlannedFlow::default(),
        });
        numbers.insert(old, new);
    }
    numbers
}

/// Numbers events, items and targets in this order of rows.
fn number(plan: &mut Plan, rows: Vec<Row>, steps: &HashMap<u16, u16>) {
    let mut targets: HashMap<u32, u32> = HashMap::new();
    for mut row in rows {
        row.undone.sort_by_key(|item| (steps.get(&item.step).copied(), item.item));
        let first = plan.events.len();
        for ItemRow { step, target, event, .. } in row.undone {
            let Some(step) = steps.get(&step).copied() else { continue };
            let next = targets.len() as u32;
            let target = *targets.entry(target).or_insert(next);
            let known = plan.events[first..].iter().position(|known| *known == event);
            let number = first + known.unwrap_or(plan.events.len() - first);
            if known.is_none() {
                plan.events.push(event);
            }
            plan.items.push(PlannedItem { event: number as u32, step, target });
        }
    }
    plan.header.release = plan.header.release.among(Sizes::of(plan));
}

/// What is left as it is, by step, what that means, and why.
#[derive(Default)]
struct Left(BTreeMap<(u16, Leaving, String), Vec<u32>>);

impl Left {
    fn add(&mut self, step: u16, (state, reason): (Leaving, String), item: u32) {
        self.0.entry((step, state, reason)).or_default().push(item);
    }

    fn listed(self, steps: &[PlannedStep]) -> Vec<LeftOut> {
        let listed = self.0.into_iter().map(|((step, state, reason), items)| LeftOut {
            step: steps[usize::from(step)].name.clone(),
            state,
            reason,
            count: items.len() as u32,
            items: ranges(&items),
        });
        listed.collect()
    }
}

/// What an undo of a run of this plan could restore, and what not: a line for each step that has items.
pub fn foreseen(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, step) in (0_u16..).zip(&plan.header.steps) {
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for item in plan.items.iter().filter(|item| item.step == number) {
            let kind = plan.events[item.event as usize].event_type;
            let words = match inverse_of(step, kind) {
                Ok(inverse) => format!("can be undone by {}", inverse.name),
                Err(why) => format!("cannot be undone: {why}"),
            };
            *outcomes.entry(words).or_default() += 1;
        }
        lines.extend(
            outcomes.into_iter().map(|(words, items)| format!("{}: {} {words}", step.name, count(items, "item"))),
        );
    }
    lines
}

/// What is left as it is, a line for each step and reason; what cannot be undone first.
pub fn left_lines(origin: &Origin) -> Vec<String> {
    let mut left: Vec<&LeftOut> = origin.left_out.iter().collect();
    left.sort_by_key(|left| left.state);
    let line = |left: &LeftOut| {
        let LeftOut { step, state: _, reason, count: items, items: numbers } = left;
        format!(
            "{step}: {}: {reason} ({} {numbers} of the run)",
            count(*items, "item"),
            if *items == 1 { "item" } else { "items" }
        )
    };
    left.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests;
