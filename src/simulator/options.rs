//! What a simulated tenant is like: how slow, how limited, how faulty. The defaults are a healthy tenant that settles
//! within a second.
//!
//! Percentages are of 100; nothing is checked, as every number has a meaning: above 100 is always, below 0 never.

use crate::tenant::{Action, EventType, Rate, RequestType};
use std::collections::BTreeSet;
use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// From a call's arrival to its answer. An act is carried out on arrival: who gives up waiting has acted.
    pub latency: Delay,
    /// From acceptance to the final status.
    pub settle: Delay,
    /// Of all items: those that stay queued for ever.
    pub never_settle_percent: f64,
    /// Of the items that settle: those that fail.
    pub fail_percent: f64,
    /// How long a new remediation answers 404.
    pub not_found_for: Duration,
    /// Whether an act's ids come back in another order than its items.
    pub shuffle_ids: bool,
    /// Of all ids: those that are left out of the answer.
    pub drop_ids_percent: f64,
    /// Of all ids in acts of several items: those in whose place another item's id is given.
    pub repeat_ids_percent: f64,
    /// How many calls are let through, acts and polls together.
    pub requests: Option<Rate>,
    /// How these are counted.
    pub throttle_kind: ThrottleKind,
    /// How many calls may run at once.
    pub concurrency: Option<u16>,
    /// How a limit refuses.
    pub throttle_status: ThrottleStatus,
    /// Whether a refused call counts against the rate.
    pub refusals_cost: bool,
    /// Whether answers carry the limit headers, and refusals how long to wait.
    pub announce_limits: bool,
    /// Of all acts: those whose connection dies before they are carried out.
    pub break_before_percent: f64,
    /// Of all acts that would be carried out: those that are, and whose connection dies without an answer.
    pub break_after_percent: f64,
    /// Of all polls: those whose connection dies.
    pub break_poll_percent: f64,
    /// The only bearer token that is let in; none: any that is not empty.
    pub token: Option<String>,
    /// The only `user` that may act (403); none: any that is not empty.
    pub user: Option<String>,
    /// The only `userId` that may act (403); none: any that is not empty.
    pub user_id: Option<String>,
    /// An act that names one of these agents is refused whole (403).
    pub forbidden_agents: BTreeSet<String>,
    /// The actions this tenant knows.
    pub actions: Vec<SimAction>,
    /// The words in a detail's `status`.
    pub status_words: StatusWords,
    /// Month and year in remediation ids.
    pub month: (u8, u16),
    /// What time it is when the simulator starts, in milliseconds since the Unix epoch.
    pub epoch_ms: u64,
}

/// How long something takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    /// No time at all.
    None,
    /// Always the same.
    Fixed(Duration),
    /// Log-normally distributed, as waiting times are.
    LogNormal {
        /// Half take longer.
        median: Duration,
        /// Standard deviation of the logarithm; 0 is fixed, 1 spreads nine in ten between a fifth and five medians.
        sigma: f64,
    },
}

/// How a rate is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleKind {
    /// Any window of that length holds at most that many calls.
    RollingWindow,
    /// A bucket of that many tokens, refilled evenly over the window.
    TokenBucket,
}

/// The status of a call that a limit refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleStatus {
    /// 429, as gateways do.
    TooManyRequests,
    /// 409, as the vendor's classic APIs do.
    Conflict,
}

/// One action of the simulated tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimAction {
    /// Its name in the tenant file.
    pub name: String,
    /// The `actionId`.
    pub id: i64,
    /// What it can be applied to; anything else is refused.
    pub event_types: Vec<EventType>,
    /// The detail's `action`.
    pub shown_as: String,
    /// The only endpoint that shows its remediations.
    pub request_type: RequestType,
}

/// The words for an item's states.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct StatusWords {
    pub queued: String,
    pub succeeded: String,
    pub failed: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Delay::None,
            settle: Delay::Fixed(Duration::from_secs(1)),
            never_settle_percent: 0.0,
            fail_percent: 0.0,
            not_found_for: Duration::ZERO,
            shuffle_ids: false,
            drop_ids_percent: 0.0,
            repeat_ids_percent: 0.0,
            requests: None,
            throttle_kind: ThrottleKind::RollingWindow,
            concurrency: None,
            throttle_status: ThrottleStatus::TooManyRequests,
            refusals_cost: false,
            announce_limits: true,
            break_before_percent: 0.0,
            break_after_percent: 0.0,
            break_poll_percent: 0.0,
            token: None,
            user: None,
            user_id: None,
            forbidden_agents: BTreeSet::new(),
            actions: SimAction::defaults(),
            status_words: StatusWords::default(),
            month: (2, 2025),
            epoch_ms: 1_740_565_130_495, // 2025-02-26T10:18:50.495Z, the time in the vendor's sample
        }
    }
}

impl Default for StatusWords {
    fn default() -> Self {
        Self { queued: "queued".into(), succeeded: "success".into(), failed: "failed".into() }
    }
}

impl SimAction {
    /// The actions of a simulator that was told of none. The ids are chosen far from the small numbers seen in public
    /// samples, so that nobody takes them for real ones.
    pub fn defaults() -> Vec<Self> {
        let action = |name: &str, id, event_type, shown_as: &str| Self {
            name: name.into(),
            id,
            event_types: vec![event_type],
            shown_as: shown_as.into(),
            request_type: RequestType::ActivityLog,
        };
        vec![
            action("kill-process", 9001, EventType::Process, "Kill Process"),
            action("quarantine-file", 9002, EventType::File, "Quarantine File"),
            action("release-file", 9003, EventType::File, "Unquarantine File"),
            action("delete-file", 9004, EventType::File, "Delete File"),
            action("isolate-host", 9005, EventType::Agent, "Quarantine Host"),
            action("release-host", 9006, EventType::Agent, "Unquarantine Host"),
        ]
    }
}

/// So that the simulator can stand in for a tenant whose file is there.
impl From<&Action> for SimAction {
    fn from(action: &Action) -> Self {
        Self {
            name: action.name.clone(),
            id: action.id,
            event_types: action.event_types.clone(),
            shown_as: action.shown_as.first().unwrap_or(&action.name).clone(),
            request_type: action.request_type,
        }
    }
}
