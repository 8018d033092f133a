//! The same event twice. What counts is what would be sent: agent, event id, type, process id, unique id, each after the
//! action's `fill`, and the step. Other columns may differ: the first row that a step selects stands for the event.
//!
//! Events are compared by 128 bits of SHA-256, so that a million rows need 24 MB and no copies of their texts.

use super::act_key::{filled, fingerprint};
use super::select::{Chosen, ReadyStep};
use crate::events::Event;

/// Repeats among what was chosen: indices into it, ascending, each with the index of the event that stands for it.
pub(super) fn find(chosen: &[Chosen], steps: &[ReadyStep], events: &[Event]) -> Vec<(u32, u32)> {
    let entries = entries(chosen, |one| {
        let event = &events[one.event as usize];
        let [agent, id, unique] = filled(&steps[usize::from(one.step)].action, &event.sent());
        let pid = event.pid.to_le_bytes();
        fingerprint(&[agent.as_bytes(), id.as_bytes(), unique.as_bytes(), event.event_type.as_str().as_bytes(), &pid])
    });
    let mut repeats: Vec<(u32, u32)> = Vec::new();
    for same in entries.chunk_by(|one, other| one.event == other.event && one.step == other.step) {
        // Entries are sorted by index within the step: the first is the earliest row.
        let original = chosen[same[0].index as usize].event;
        repeats.extend(same[1..].iter().map(|entry| (entry.index, original)));
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
