//! The server's own truth: what it carried out, what it refused, and what it counted.
//!
//! Tests and reports hold a client's claims against it. It names nothing that was not carried out.

use super::options::Options;
use super::state::{Fate, SimItem, State};
use http::StatusCode;
use serde::{Serialize, Serializer};

/// How many refusals are kept word for word; all are counted.
pub(super) const REFUSED_MAX: usize = 1_000;

/// A copy of everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ledger {
    /// What was counted.
    pub counters: Counters,
    /// Every item that was carried out, in order.
    pub entries: Vec<Entry>,
    /// The first 1,000 requests that were refused for what they are.
    pub refused: Vec<Refused>,
}

/// One item that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its remediation id, whether or not an answer named it.
    pub remediation_id: String,
    /// What it is.
    #[serde(flatten)]
    pub item: SimItem,
    /// The act's comment, empty when it had none.
    pub comment: String,
    /// Number of the act among those carried out, from 1; 0 for what was put back.
    pub batch: u32,
    /// Position among all items carried out, from 1.
    pub order: u32,
    /// When it was accepted, in milliseconds since the simulator's start.
    pub accepted_ms: u64,
    /// What it comes to.
    pub fate: Fate,
    /// When it comes to that, on the same clock; an item that never settles, never.
    pub settles_ms: Option<u64>,
    /// Whether an earlier process accepted it.
    pub restored: bool,
}

/// A request that was refused for what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Number of the call, from 1.
    pub call: u64,
    /// The status it was answered with.
    #[serde(serialize_with = "as_number")]
    pub status: StatusCode,
    /// Why.
    pub message: String,
}

/// What was counted. Every act is exactly one of: carried out, refused, throttled, unauthorized, broken before,
/// untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Acts that arrived.
    pub posts: u64,
    /// Polls that arrived.
    pub gets: u64,
    /// Acts that were carried out.
    pub acts_carried_out: u64,
    /// Items that were carried out, without those put back.
    pub carried_out: u64,
    /// Calls that were refused for what they are.
    pub refused: u64,
    /// Calls that a limit refused.
    pub throttled: u64,
    /// Calls without a token that is let in.
    pub unauthorized: u64,
    /// Acts whose connection died before they were carried out.
    pub broken_before: u64,
    /// Acts that were carried out, and whose answer did not come whole.
    pub broken_after: u64,
    /// Polls whose answer did not come whole.
    pub broken_polls: u64,
    /// Calls that a script answered or left unanswered without looking at them.
    pub untouched: u64,
    /// Polls of remediations that are not there, or not there yet.
    pub not_found: u64,
    /// The most calls that ran at once, refused ones included.
    pub max_in_flight: u64,
}

impl Ledger {
    /// The groups of entries with the same action, agent, event, process id and unique id: what was done more than
    /// once. Each in the order in which it was carried out.
    pub fn carried_out_more_than_once(&self) -> Vec<Vec<&Entry>> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by(|a, b| deed(a).cmp(&deed(b)));
        let repeated = entries.chunk_by(|a, b| deed(a) == deed(b)).filter(|group| group.len() > 1);
        let mut repeated: Vec<Vec<&Entry>> = repeated.map(<[_]>::to_vec).collect();
        repeated.sort_by_key(|group| group[0].order);
        repeated
    }
}

impl State {
    pub(super) fn ledger(&self, options: &Options) -> Ledger {
        let entry = |(order, item): (u32, &super::state::Item)| Entry {
            remediation_id: self.id_of(options, order - 1, item),
            item: SimItem {
                action_id: options.actions[usize::from(item.action)].id,
                agent_id: item.agent_id().into(),
                event_id: item.event_id().into(),
                event_type: item.event_type,
                pid: item.pid,
                unique_id: item.unique_id().into(),
            },
            comment: item.submission.by.comment.clone(),
            batch: item.submission.batch,
            order,
            accepted_ms: item.accepted,
            fate: item.fate,
            settles_ms: item.settles(),
            restored: item.restored,
        };
        Ledger {
            counters: self.counters,
            entries: (1..).zip(&self.items).map(entry).collect(),
            refused: self.refused.clone(),
        }
    }
}

fn deed(entry: &Entry) -> (i64, &str, &str, u32, &str) {
    let SimItem { action_id, agent_id, event_id, pid, unique_id, .. } = &entry.item;
    (*action_id, agent_id, event_id, *pid, unique_id)
}

fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
