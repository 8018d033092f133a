//! The same event twice. What counts is what would be sent: agent, event id, type, process id, unique id, and the step.
//! Other columns may differ: the first row that a step selects stands for the event.
//!
//! Events are compared by 128 bits of SHA-256, so that a million rows need 24 MB and no copies of their texts.

use super::select::Chosen;
use crate::events::Event;
use sha2::{Digest, Sha256};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Indices into what was chosen, ascending, each with the index of the event that stands for it.
    pub(super) dropped: Vec<(u32, u32)>,
    /// One event under different steps by different rows: the first row's choice and a later one's, in order of the latter.
    pub(super) contradictions: Vec<(Chosen, Chosen)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    event: [u8; 16],
    step: u16,
    index: u32,
}

/// Finds all repeats among what was chosen.
pub(super) fn find(chosen: &[Chosen], events: &[Event]) -> Repeats {
    let mut entries: Vec<Entry> = Vec::with_capacity(chosen.len());
    let mut last: Option<(u32, [u8; 16])> = None;
    for (index, one) in (0_u32..).zip(chosen) {
        let event = match last {
            Some((event, identity)) if event == one.event => identity,
            _ => identity(&events[one.event as usize]),
        };
        last = Some((one.event, event));
        entries.push(Entry { event, step: one.step, index });
    }
    entries.sort_unstable();
    let mut repeats = Repeats::default();
    for same_event in entries.chunk_by(|one, other| one.event == other.event) {
        let first_of_all = same_event.iter().map(|entry| entry.index).min().unwrap_or(0);
        for same_step in same_event.chunk_by(|one, other| one.step == other.step) {
            // Entries are sorted by index within the step: the first is the earliest row.
            let original = chosen[same_step[0].index as usize];
            let dropped = same_step[1..].iter().map(|entry| (entry.index, original.event));
            repeats.dropped.extend(dropped);
            let first = chosen[first_of_all as usize];
            if original.event != first.event {
                repeats.contradictions.push((first, original));
            }
        }
    }
    repeats.dropped.sort_unstable();
    repeats.contradictions.sort_by_key(|(_, other)| (other.event, other.step));
    repeats
}

fn identity(event: &Event) -> [u8; 16] {
    let mut hash = Sha256::new();
    for text in [&event.agent_id, &event.event_id, &event.unique_id] {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(event.event_type.as_str().as_bytes());
    hash.update(event.pid.to_le_bytes());
    let mut identity = [0; 16];
    identity.copy_from_slice(&hash.finalize()[..16]);
    identity
}
