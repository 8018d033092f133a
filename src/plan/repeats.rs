//! The same deed twice. What counts is what would be sent, as in [`super::act_key`]: for a host its agent alone, else the
//! whole event after the action's `fill`. Other columns may differ: the first row that is selected stands for it.
//!
//! Events are compared by 128 bits of SHA-256, so that a million rows need 24 MB and no copies of their texts.

use super::act_key::{self, filled, fingerprint};
use super::select::{Chosen, ReadyStep};
use crate::events::Event;

/// Repeats among what was chosen: indices into it, ascending, each with the index of the event that stands for it. Steps
/// with the same action repeat each other too, unless another step undoes it.
pub(super) fn find(chosen: &[Chosen], steps: &[ReadyStep], events: &[Event]) -> Vec<(u32, u32)> {
    let is_undone: Vec<bool> = steps
        .iter()
        .map(|step| steps.iter().any(|other| step.action.inverse.as_ref() == Some(&other.action.name)))
        .collect();
    let entries = entries(chosen, |one| {
        let action = &steps[usize::from(one.step)].action;
        act_key::key(action, action.id, events[one.event as usize].sent())
    });
    let mut repeats: Vec<(u32, u32)> = Vec::new();
    let same = |one: &Entry, other: &Entry| {
        one.event == other.event && (one.step == other.step || !is_undone[usize::from(one.step)])
    };
    for same in entries.chunk_by(same) {
        let first = same.iter().map(|entry| entry.index).min().unwrap_or(0);
        let original = chosen[first as usize].event;
        repeats.extend(same.iter().filter(|entry| entry.index != first).map(|entry| (entry.index, original)));
    }
    repeats.sort_unstable();
    repeats
}

/// One event of one agent under different steps by different rows: the first row's choice and a later one's, in order of
/// the latter. Rows that name the same event contradict each other whatever else they say of it.
pub(super) fn contradictions(chosen: &[Chosen], steps: &[ReadyStep], events: &[Event]) -> Vec<(Chosen, Chosen)> {
    let entries = entries(chosen, |one| {
        let [agent, id, _] = filled(&steps[usize::from(one.step)].action, &events[one.event as usize].sent());
        fingerprint(&[agent.as_bytes(), id.as_bytes()])
    });
    let mut found: Vec<(Chosen, Chosen)> = Vec::new();
    for same_event in entries.chunk_by(|one, other| one.event == other.event) {
        let first = same_event.iter().map(|entry| entry.index).min().unwrap_or(0);
        let first = chosen[first as usize];
        for same_step in same_event.chunk_by(|one, other| one.step == other.step) {
            let original = chosen[same_step[0].index as usize];
            if original.event != first.event && original.step != first.step {
                found.push((first, original));
            }
        }
    }
    found.sort_by_key(|(_, other)| (other.event, other.step));
    found
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    event: [u8; 16],
    step: u16,
    index: u32,
}

/// What was chosen, sorted by what identifies its event, then step, then row.
fn entries(chosen: &[Chosen], identity: impl Fn(&Chosen) -> [u8; 16]) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        (0..).zip(chosen).map(|(index, one)| Entry { event: identity(one), step: one.step, index }).collect();
    entries.sort_unstable();
    entries
}
