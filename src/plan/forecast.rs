//! What a plan will ask of the API, from the plan and the tenant's settings alone: no history, no clock.
//!
//! Every number is a bound, not a guess: the least that a run can do with in which everything succeeds and no person
//! opens a wave early, and the polls of an item that never settles.

mod least;

use super::{Plan, event_age};
use crate::tenant::{Polling, show_duration};
use least::Least;
use std::time::Duration;

/// Beyond so many polls of one item nobody counts.
const POLLS_MAX: u32 = 100_000;

/// The least a run needs, when all goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Acts: in each wave, and there in each lane of one step and one event type, what fits in a batch, with at most one
    /// item per agent in it.
    pub acts: u64,
    /// Polls: at least one for each item that is sent.
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
    let Least { acts, items: polls, rounds } = least::least(plan);
    // The two bounds overlap in time: a run waits for its first poll while its window fills. The larger one holds.
    let (by_rate, by_chain) = (rate_bound(plan, acts + polls), plan.header.polling.first_after.saturating_mul(rounds));
    let pass = (by_rate > by_chain).then(|| pass(plan, polls)).flatten();
    Forecast { acts, polls, least_time: by_rate.max(by_chain), pass, polls_most: polls_most(&plan.header.polling) }
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

/// What in the plan's own settings and events keeps it from ending well, one sentence each.
pub fn warnings(plan: &Plan, forecast: &Forecast) -> Vec<String> {
    let Forecast { least_time, pass, .. } = *forecast;
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
    warnings.extend(event_age::implausible(plan));
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
