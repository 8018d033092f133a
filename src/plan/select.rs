//! Which steps select which rows, and why a row is selected by none.
//!
//! A row is judged whole: when one step's filter cannot judge it, no step has it.

use super::event_age;
use super::filter::{ColumnReader, Filter};
use super::{OnUnknown, PlannedFlow, PlannedStep, RowWithoutItem};
use crate::events::{Event, RowPlace};
use crate::inert::escaped;
use crate::problem::{Place, listed};
use crate::tenant::{Action, EventType, FillField, action_by_word};
use std::collections::HashMap;

/// How many steps a reason speaks of.
const STEPS_IN_REASON_MAX: usize = 3;

/// A step whose action is known and whose filter is compiled.
#[derive(Debug)]
pub(super) struct ReadyStep {
    pub(super) name: String,
    pub(super) action: Action,
    /// Index of the action in the tenant.
    pub(super) action_index: usize,
    /// As written, where, compiled.
    pub(super) filter: Option<(String, Place, Filter)>,
    pub(super) flow: PlannedFlow,
}

impl ReadyStep {
    /// `on_unknown` as the playbook says, or else whatever suits the action.
    pub(super) fn into_planned(self, on_unknown: Option<OnUnknown>, actions: &[Action]) -> PlannedStep {
        let careful = if self.action.repeat_safe { OnUnknown::Continue } else { OnUnknown::Stop };
        let inverse = self.action.inverse.as_ref();
        let inverse = inverse.and_then(|name| actions.iter().find(|action| action.name == *name));
        PlannedStep {
            name: self.name,
            filter: self.filter.map(|(source, ..)| source),
            on_unknown: on_unknown.unwrap_or(careful),
            inverse_id: inverse.map(|action| action.id),
            inverse: inverse.cloned(),
            flow: self.flow,
            action: self.action,
        }
    }
}

/// A row and a step that selects it, by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) event: u32,
    pub(super) step: u16,
}

/// A row that cannot be judged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) place: RowPlace,
    pub(super) byte: Option<u64>,
    pub(super) reason: String,
    /// The filter that cannot judge it; `None` where something else is wrong with it.
    pub(super) filter: Option<FailedFilter>,
}

/// A filter that cannot judge a row, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FailedFilter {
    pub(super) of: FilterOf,
    pub(super) why: String,
}

/// Whose filter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FilterOf {
    /// That of the step with this index.
    Step(u16),
    /// `--where` beside a playbook.
    Flag,
}

/// Why a row cannot be judged.
struct Unjudged {
    reason: String,
    filter: Option<FailedFilter>,
}

impl From<String> for Unjudged {
    fn from(reason: String) -> Self {
        Self { reason, filter: None }
    }
}

/// What became of all rows.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// In order of rows, then steps.
    pub(super) chosen: Vec<Chosen>,
    pub(super) without: Vec<RowWithoutItem>,
    pub(super) bad: Vec<BadRow>,
    /// What the other steps say of events that only steps with `once: target` take, in order of events.
    besides: Vec<(u32, String)>,
}

/// Judges every row. With `named_only`, a row that names no action is selected by no step.
pub(super) fn select(
    steps: &[ReadyStep],
    actions: &[Action],
    events: &[Event],
    bytes: &[Option<u64>],
    named_only: bool,
) -> Selection {
    let mut reader =
        ColumnReader::new(steps.iter().filter_map(|step| step.filter.as_ref()).map(|(_, _, filter)| filter));
    let mut words = Words { actions, known: HashMap::new() };
    let mut selection = Selection::default();
    let mut verdicts = Vec::with_capacity(steps.len());
    for (index, event) in (0_u32..).zip(events) {
        verdicts.clear();
        let judged = words.asked(event).map_err(Unjudged::from).and_then(|asked| {
            if named_only && asked.is_none() {
                verdicts.push(Verdict::NamesNone);
                return Ok(());
            }
            judge(steps, event, asked, &mut reader, &mut verdicts)
        });
        if let Err(Unjudged { reason, filter }) = judged {
            let byte = bytes.get(index as usize).copied().flatten();
            selection.bad.push(BadRow { place: event.place, byte, reason, filter });
            continue;
        }
        let before = selection.chosen.len();
        for (step, verdict) in (0_u16..).zip(&verdicts) {
            if matches!(verdict, Verdict::Selects) {
                selection.chosen.push(Chosen { event: index, step });
            }
        }
        if selection.chosen.len() == before {
            let reason = no_step(steps, event, &verdicts);
            selection.without.push(row_without_item(event.place, reason));
        } else if selection.chosen[before..].iter().all(|chosen| steps[usize::from(chosen.step)].flow.once) {
            let clauses = clauses(steps, event, &verdicts);
            if !clauses.is_empty() {
                selection.besides.push((index, said(clauses.into_iter())));
            }
        }
    }
    selection
}

/// The actions that rows name, in order of first appearance.
pub(super) fn actions_of_rows<'a>(actions: &'a [Action], events: &[Event]) -> Vec<&'a str> {
    let mut words = Words { actions, known: HashMap::new() };
    let mut seen: Vec<usize> = Vec::new();
    for event in events {
        match words.asked(event) {
            Ok(Some(action)) if !seen.contains(&action) => seen.push(action),
            // An unknown word is reported with its row when rows are judged.
            _ => {}
        }
    }
    seen.into_iter().map(|action| actions[action].name.as_str()).collect()
}

impl Selection {
    /// What the steps without `once: target` say of an event that only those with it take.
    pub(super) fn take_besides(&mut self, event: u32) -> Option<String> {
        let found = self.besides.binary_search_by_key(&event, |(index, _)| *index).ok()?;
        Some(std::mem::take(&mut self.besides[found].1))
    }

    /// Takes repeated events out of what was chosen; a row that has nothing left is a duplicate.
    pub(super) fn leave_out(&mut self, repeats: &[(u32, u32)], events: &[Event]) {
        if repeats.is_empty() {
            return;
        }
        let mut dropped = repeats.iter().peekable();
        let mut kept: Vec<Chosen> = Vec::with_capacity(self.chosen.len() - repeats.len());
        let mut position = 0;
        while let Some(&Chosen { event, .. }) = self.chosen.get(position) {
            let (before, mut first) = (kept.len(), None);
            while let Some(&one) = self.chosen.get(position).filter(|one| one.event == event) {
                match dropped.next_if(|(index, _)| *index as usize == position) {
                    Some(&(_, original)) => first = first.or(Some(original)),
                    None => kept.push(one),
                }
                position += 1;
            }
            if let (true, Some(first)) = (kept.len() == before, first) {
                let reason = format!("duplicate of row {}", events[first as usize].place.row);
                self.without.push(row_without_item(events[event as usize].place, reason));
            }
        }
        self.chosen = kept;
    }
}

impl BadRow {
    pub(super) fn into_row_without_item(self) -> RowWithoutItem {
        let byte = self.byte;
        RowWithoutItem { byte, ..row_without_item(self.place, format!("refused: {}", self.reason)) }
    }
}

/// What a step says to a row.
#[derive(Debug)]
enum Verdict {
    Selects,
    OtherType,
    OtherAction,
    FilterSaysNo,
    NamesNone,
}

fn judge<'e>(
    steps: &[ReadyStep],
    event: &'e Event,
    asked: Option<usize>,
    reader: &'e mut ColumnReader,
    verdicts: &mut Vec<Verdict>,
) -> Result<(), Unjudged> {
    let takes = |step: &ReadyStep| step.flow.once || step.action.event_types.contains(&event.event_type);
    let meant = |step: &ReadyStep| asked.is_none_or(|asked| asked == step.action_index);
    // Columns are read once for all steps, and not at all where no filter has a say.
    let needed = steps.iter().any(|step| step.filter.is_some() && takes(step) && meant(step));
    let row = if needed { Some(reader.read(event)?) } else { None };
    for (number, step) in (0_u16..).zip(steps) {
        verdicts.push(if !takes(step) {
            Verdict::OtherType
        } else if !meant(step) {
            Verdict::OtherAction
        } else if let (Some((_, _, filter)), Some(row)) = (&step.filter, &row) {
            match filter.selects(row) {
                Ok(true) => Verdict::Selects,
                Ok(false) => Verdict::FilterSaysNo,
                Err(why) => {
                    let reason = format!("step {}: {why}", step.name);
                    return Err(Unjudged { reason, filter: Some(FailedFilter { of: FilterOf::Step(number), why }) });
                }
            }
        } else {
            Verdict::Selects
        });
        if matches!(verdicts.last(), Some(Verdict::Selects)) {
            sendable(&step.action, event, step.flow.once)?;
            if step.flow.max_event_age.is_some() {
                event_age::moment_of(event).map_err(|reason| format!("step {}: {reason}", step.name))?;
            }
        }
    }
    Ok(())
}

/// Whether everything that the act sends of this event is there, after the action's `fill`.
fn sendable(action: &Action, event: &Event, once: bool) -> Result<(), String> {
    let value = |field: FillField| match field {
        FillField::AgentId => &event.agent_id,
        FillField::EventId => &event.event_id,
        FillField::UniqueId => &event.unique_id,
    };
    for (field, name) in
        [(FillField::AgentId, "agent_id"), (FillField::EventId, "event_id"), (FillField::UniqueId, "unique_id")]
    {
        let source = action.fill.iter().find(|(to, _)| *to == field).map_or(field, |(_, from)| *from);
        if value(source).is_empty() {
            return Err(format!("{} needs {name}, which is empty", action.name));
        }
    }
    if event.event_type == EventType::Process && event.pid == 0 && !once {
        return Err(format!("{} needs a process id above 0", action.name));
    }
    Ok(())
}

fn no_step(steps: &[ReadyStep], event: &Event, verdicts: &[Verdict]) -> String {
    if matches!(verdicts, [Verdict::NamesNone]) {
        return "no step selects it: the row names no action".into();
    }
    if verdicts.iter().all(|verdict| matches!(verdict, Verdict::OtherType)) {
        let names = said(steps.iter().map(|step| {
            let types: Vec<&str> = step.action.event_types.iter().map(|kind| kind.as_str()).collect();
            format!("{} takes {}", step.name, types.join(" and "))
        }));
        return format!("no step selects it: event type {}, {names}", event.event_type);
    }
    format!("no step selects it: {}", said(clauses(steps, event, verdicts).into_iter()))
}

/// Why each step that does not select the row does not.
fn clauses(steps: &[ReadyStep], event: &Event, verdicts: &[Verdict]) -> Vec<String> {
    let asked = escaped(event.action.as_deref().unwrap_or_default());
    let clause = |(step, verdict): (&ReadyStep, &Verdict)| match verdict {
        Verdict::OtherType => Some(format!("{} does not take {}", step.name, event.event_type)),
        Verdict::OtherAction => Some(format!("{} is not the row's action `{asked}`", step.name)),
        Verdict::FilterSaysNo => Some(format!("{}: its filter says no", step.name)),
        Verdict::Selects | Verdict::NamesNone => None,
    };
    steps.iter().zip(verdicts).filter_map(clause).collect()
}

fn said(clauses: impl Iterator<Item = String>) -> String {
    let clauses: Vec<String> = clauses.collect();
    let shown = clauses[..clauses.len().min(STEPS_IN_REASON_MAX)].join(", ");
    match clauses.len().saturating_sub(STEPS_IN_REASON_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

pub(super) fn row_without_item(place: RowPlace, reason: String) -> RowWithoutItem {
    RowWithoutItem { row: place.row, source: place.source, line: place.line, byte: None, reason }
}

/// What the words of the action column mean to this tenant.
struct Words<'a> {
    actions: &'a [Action],
    known: HashMap<Box<str>, Option<usize>>,
}

/// How many words are remembered; a column with more different ones holds no actions.
const WORDS_MAX: usize = 1000;

impl Words<'_> {
    /// The action that the row names, if it names any.
    fn asked(&mut self, event: &Event) -> Result<Option<usize>, String> {
        let Some(word) = event.action.as_deref() else { return Ok(None) };
        let found = match self.known.get(word) {
            Some(found) => *found,
            None => {
                let found = action_by_word(self.actions, word);
                if self.known.len() < WORDS_MAX {
                    self.known.insert(word.into(), found);
                }
                found
            }
        };
        let known = || listed(self.actions.iter().map(|action| action.name.as_str()));
        found.map(Some).ok_or_else(|| format!("there is no action `{}`; the tenant has {}", escaped(word), known()))
    }
}
