//! What a plan will ask of the API, from the plan and the tenant's settings alone: no history, no clock.
//!
//! Every number is a bound, not a guess: the least that a run can do with, and the polls of an item that never settles.

use super::Plan;
use crate::tenant::{EventType, Polling, show_duration};
use std::collections::BTreeMap;
use std::time::Duration;

/// Beyond so many polls of one item nobody counts.
const POLLS_MAX: u32 = 100_000;

/// The least a run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Acts: in each lane of one step and one event type, what fits in a batch, with at most one item per agent in it.
    pub acts: u64,
    /// Polls: at least one for each item.
    pub polls: u64,
    /// The least time that the limits and the wait before the first poll allow.
    pub least_time: Duration,
    /// How long one poll of every item takes when calls are what there is least of; `None` when they are not.
    pub pass: Option<Duration>,
    /// Polls of one item that never settles, until its deadline.
    pub polls_most: u32,
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
    // The two bounds overlap in time: a run waits for its first poll while its window fills. The larger one holds.
    let (by_rate, by_chain) = (rate_bound(plan, acts + polls), chain_bound(plan));
    let pass = (by_rate > by_chain).then(|| pass(plan, polls)).flatten();
    Forecast { acts, polls, least_time: by_rate.max(by_chain), pass, polls_most: polls_most(&plan.header.polling) }
}

/// How many items, and how many of them for each agent.
type Lane<'a> = (u64, BTreeMap<&'a str, u64>);

fn acts(plan: &Plan) -> u64 {
    let batch_size = u64::from(plan.header.limits.batch_size.max(1));
    // By step and type: how many items, and how many of them on each host.
    let mut lanes: BTreeMap<(u16, EventType), Lane<'_>> = BTreeMap::new();
    for item in &plan.items {
        let lane = lanes.entry((item.step, plan.events[item.event as usize].event_type)).or_default();
        lane.0 += 1;
        *lane.1.entry(plan.agent_of(item)).or_default() += 1;
    }
    lanes
        .values()
        .map(|(items, hosts)| items.div_ceil(batch_size).max(hosts.values().copied().max().unwrap_or(0)))
        .sum()
}

/// One poll of every item, at the rate that is left to polls.
fn pass(plan: &Plan, items: u64) -> Option<Duration> {
    let usable = plan.header.limits.usable_calls()?;
    let millis = u128::from(items) * usable.window.as_millis() / u128::from(usable.calls.max(1));
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

/// Each pause between polls is half as long again as the one before, up to the longest.
fn polls_most(polling: &Polling) -> u32 {
    let (mut at, mut pause, mut polls) = (polling.first_after, polling.interval, 0_u32);
    while at < polling.deadline && polls < POLLS_MAX {
        polls += 1;
        at += pause;
        pause = (pause + pause / 2).min(polling.interval_max).max(Duration::from_millis(1));
    }
    // The last one is at the deadline itself.
    polls + 1
}

/// What in the plan's own settings keeps it from ending well, one sentence each.
pub fn warnings(plan: &Plan) -> Vec<String> {
    let Forecast { least_time, pass, .. } = forecast(plan);
    let deadline = plan.header.polling.deadline;
    let mut warnings = Vec::new();
    if let Some(pass) = pass.filter(|pass| *pass > deadline) {
        warnings.push(format!(
            "the poll budget does not suffice: one pass over all items takes {}, and an item is given up after {}",
            show_duration(whole(pass)),
            show_duration(deadline)
        ));
    }
    if let Some(longest) = plan.header.release.schedule.longest_window()
        && least_time > longest
    {
        warnings.push(format!(
            "it cannot end within one window: it takes at least {}, and the longest window is {}",
            show_duration(whole(least_time)),
            show_duration(longest)
        ));
    }
    warnings
}

/// Without fractions that nobody reads: whole minutes above an hour, whole seconds above a minute.
pub(super) fn whole(time: Duration) -> Duration {
    match time.as_secs() {
        0..60 => time,
        60..3600 => Duration::from_secs(time.as_secs()),
        secs => Duration::from_secs(secs / 60 * 60),
    }
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
