//! What a plan will ask of the API at least, from the plan alone: no history, no clock.
//!
//! Every number is a bound that a run cannot undercut, not a guess at what it will take.

use super::Plan;
use crate::tenant::EventType;
use std::collections::BTreeMap;
use std::time::Duration;

/// The least a run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Acts: in each lane of one step and one event type, what fits in a batch, with at most one item per agent in it.
    pub acts: u64,
    /// Polls: at least one for each item.
    pub polls: u64,
    /// The least time that the limits and the wait before the first poll allow.
    pub least_time: Duration,
}

impl Forecast {
    /// Acts and polls.
    pub fn calls(&self) -> u64 {
        self.acts + self.polls
    }
}

/// Forecasts the plan.
pub fn forecast(plan: &Plan) -> Forecast {
    let acts = acts(plan);
    let polls = plan.items.len() as u64;
    let forecast = Forecast { acts, polls, least_time: Duration::ZERO };
    // The two bounds overlap in time: a run waits for its first poll while its window fills. The larger one holds.
    let least_time = rate_bound(plan, forecast.calls()).max(chain_bound(plan));
    Forecast { least_time, ..forecast }
}

fn acts(plan: &Plan) -> u64 {
    let batch_size = u64::from(plan.header.limits.batch_size.max(1));
    // By step and type: how many items, and how many of them on each host.
    let mut lanes: BTreeMap<(u16, EventType), (u64, BTreeMap<u32, u64>)> = BTreeMap::new();
    for item in &plan.items {
        let lane = lanes.entry((item.step, plan.events[item.event as usize].event_type)).or_default();
        lane.0 += 1;
        *lane.1.entry(item.target).or_default() += 1;
    }
    lanes
        .values()
        .map(|(items, hosts)| items.div_ceil(batch_size).max(hosts.values().copied().max().unwrap_or(0)))
        .sum()
}

/// When the last call may go out: the first window's calls go at once, the next ones after each further window.
fn rate_bound(plan: &Plan, calls: u64) -> Duration {
    match plan.header.limits.usable_calls() {
        Some(usable) => {
            let windows = calls.saturating_sub(1) / u64::from(usable.calls);
            usable.window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
        }
        None => Duration::ZERO,
    }
}

/// On one host a step begins when the one before it has settled, and nothing settles before its first poll.
fn chain_bound(plan: &Plan) -> Duration {
    let mut steps_of: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
    for item in &plan.items {
        let steps = steps_of.entry(item.target).or_default();
        if !steps.contains(&item.step) {
            steps.push(item.step);
        }
    }
    let longest = steps_of.values().map(Vec::len).max().unwrap_or(0);
    plan.header.polling.first_after.saturating_mul(u32::try_from(longest).unwrap_or(u32::MAX))
}
