//! What a seed chooses before anything happens: the plan, the tenant's limits, how the API behaves, which faults occur.
//!
//! A seed has few kinds of faults at once, so that calm runs, single faults and storms all come about.

use super::kinds::Kind;
use super::life::START;
use super::release;
use crate::engine::call::ItemBody;
use crate::engine::fact::ItemId;
use crate::engine::items::ItemShape;
use crate::plan::{OnUnknown, PlanHeader, PlannedStep, PlannedTenant};
use crate::tenant::{Action, ApiVersion, Auth, EventType, FillField, Limits, Polling, Rate, Statuses};
use fastrand::Rng;
use std::time::Duration;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) header: PlanHeader,
    pub(super) events: Vec<ItemBody>,
    /// By item: index of its event, step, target.
    pub(super) items: Vec<(usize, u16, u32)>,
    /// The items as the engine wants them; made once, for hashing is what costs most.
    pub(super) shapes: Vec<ItemShape>,
    /// Faults of calls, each with how often in 100 it occurs.
    pub(super) faults: Vec<(Kind, u32)>,
    /// What every detail of this API names of its item.
    pub(super) names: Names,
    pub(super) headers: Headers,
    /// Whether ids hold their agent, as real ones do.
    pub(super) plain_ids: bool,
    /// Milliseconds there, and as many back: less than any time limit of the client.
    pub(super) latency_max: u64,
    pub(super) settle_max: u64,
    pub(super) fails_percent: u32,
    /// Items that a rule protects.
    pub(super) protected: Vec<ItemId>,
    /// From when to when there is no network.
    pub(super) outage: Option<(u64, u64)>,
}

/// What a detail names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Both,
    Agent,
    Unique,
    Nothing,
}

/// What the headers of every answer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    Nothing,
    Window,
    LittleRemains,
    Concurrency(u16),
    Nonsense,
}

/// Faults that a call, a list of ids or a remediation can have.
const CALL_FAULTS: [Kind; 42] = [
    Kind::NotSent,
    Kind::NotSentForGood,
    Kind::ExecutedNoAnswer,
    Kind::ExecutedLate,
    Kind::NotExecutedNoAnswer,
    Kind::ExecutedUnreadable,
    Kind::NotExecutedUnreadable,
    Kind::ExecutedServerError,
    Kind::NotExecutedServerError,
    Kind::Redirected,
    Kind::Conflict,
    Kind::FilterPage,
    Kind::Rejected,
    Kind::ThrottledTold,
    Kind::ThrottledUntold,
    Kind::ThrottledFar,
    Kind::ConflictLimited,
    Kind::Unauthorized,
    Kind::SignInFails,
    Kind::WrongPlace,
    Kind::ActDies,
    Kind::Shuffled,
    Kind::TooFew,
    Kind::TooMany,
    Kind::Repeated,
    Kind::EmptyList,
    Kind::Unusable,
    Kind::Stranger,
    Kind::OtherAction,
    Kind::ForeignTag,
    Kind::CutTag,
    Kind::UnlistedWord,
    Kind::NoWord,
    Kind::Flips,
    Kind::NeverSettles,
    Kind::NotFoundAWhile,
    Kind::NotFoundForEver,
    Kind::Gone,
    Kind::PollFailed,
    Kind::PollThrottledTold,
    Kind::PollNoAnswer,
    Kind::PollUnauthorized,
];

/// Those that are rarer, or go with few others.
const RARE_FAULTS: [Kind; 7] = [
    Kind::PollFailedTold,
    Kind::PollThrottledUntold,
    Kind::PollNoAnswerForGood,
    Kind::PollDies,
    Kind::OddWord,
    Kind::AnotherItem,
    Kind::Wanders,
];

impl World {
    pub(super) fn new(chance: &mut Rng) -> Self {
        let steps = steps(chance);
        let fill = steps.iter().any(|step| !step.action.fill.is_empty());
        let events = events(chance, fill);
        let items = items(chance, &steps, &events);
        let names =
            *pick(chance, &[Names::Both, Names::Both, Names::Both, Names::Agent, Names::Unique, Names::Nothing]);
        let headers = match chance.u32(0..10) {
            0 => Headers::Window,
            1 => Headers::LittleRemains,
            2 => Headers::Concurrency(chance.u16(1..4)),
            3 => Headers::Nonsense,
            _ => Headers::Nothing,
        };
        let outage = (chance.u32(0..12) == 0).then(|| {
            let from = chance.u64(0..60_000);
            (from, from + chance.u64(1_000..6 * 3_600_000))
        });
        let settle_max = *pick(chance, &[1, 2_000, 20_000, 200_000]);
        let shapes = shapes(chance, &steps, &events, &items);
        let mut header = header(chance, steps);
        let targets = items.iter().map(|(.., target)| target + 1).max().unwrap_or(0);
        header.release = release::release(chance, targets, items.len() as u32);
        Self {
            faults: faults(chance, names),
            header,
            shapes,
            protected: release::protected(chance, items.len() as u32),
            events,
            items,
            names,
            headers,
            plain_ids: chance.u32(0..4) > 0,
            latency_max: *pick(chance, &[1, 50, 400, 1_900]),
            settle_max,
            fails_percent: *pick(chance, &[0, 0, 10, 50]),
            outage,
        }
    }

    pub(super) fn event(&self, item: u32) -> &ItemBody {
        &self.events[self.items[item as usize].0]
    }

    pub(super) fn step(&self, item: u32) -> &PlannedStep {
        &self.header.steps[usize::from(self.items[item as usize].1)]
    }

    pub(super) fn bodies(&self) -> Vec<ItemBody> {
        self.items.iter().map(|(event, ..)| self.events[*event].clone()).collect()
    }

    /// The unique id that an act of this item sends.
    pub(super) fn unique_sent(&self, item: u32) -> &str {
        let event = self.event(item);
        if self.compares_unique(item) { &event.unique_id } else { &event.agent_id }
    }

    /// Whether a detail's unique id says anything of this item's.
    pub(super) fn compares_unique(&self, item: u32) -> bool {
        self.step(item).action.fill.is_empty()
    }
}

pub(super) fn pick<'a, T>(chance: &mut Rng, of: &'a [T]) -> &'a T {
    &of[chance.usize(0..of.len())]
}

fn faults(chance: &mut Rng, names: Names) -> Vec<(Kind, u32)> {
    let many = *pick(chance, &[0, 1, 2, 3, 4, 6, 9]);
    let mut faults: Vec<(Kind, u32)> = Vec::new();
    for _ in 0..many {
        let among = if chance.u32(0..5) == 0 { &RARE_FAULTS[..] } else { &CALL_FAULTS };
        let kind = *pick(chance, among);
        // An API whose details name nobody and that also answers about other items cannot be understood by anyone.
        let misleads = matches!(kind, Kind::AnotherItem | Kind::Wanders) && names != Names::Both;
        if !misleads && !faults.iter().any(|(known, _)| *known == kind) {
            faults.push((kind, *pick(chance, &[2, 8, 25, 60])));
        }
    }
    faults
}

/// One to three steps, most with an action of their own.
fn steps(chance: &mut Rng) -> Vec<PlannedStep> {
    let shared = chance.u32(0..5) == 0;
    let filled = chance.u32(0..6) == 0;
    let shown = chance.bool();
    let mut flows = release::flows(chance, 3).into_iter();
    (0..chance.i64(1..4))
        .map(|step| {
            let id = if shared { 7 } else { step + 1 };
            let repeat_safe = chance.u32(0..3) == 0;
            let action = Action {
                repeat_safe,
                event_types: vec![EventType::File, EventType::Process],
                fill: if filled { vec![(FillField::UniqueId, FillField::AgentId)] } else { Vec::new() },
                shown_as: if shown { vec![format!("Action {id}"), "Handeln".to_owned()] } else { Vec::new() },
                ..Action::plain(&format!("action-{id}"), id, EventType::File)
            };
            let by_default = if repeat_safe { OnUnknown::Continue } else { OnUnknown::Stop };
            let on_unknown = *pick(chance, &[by_default, by_default, OnUnknown::Stop, OnUnknown::Continue]);
            PlannedStep {
                name: format!("step-{step}"),
                action,
                filter: None,
                on_unknown,
                inverse_id: None,
                inverse: None,
                flow: flows.next().unwrap_or_default(),
            }
        })
        .collect()
}

/// Events on one to twelve hosts. With a filled unique id a host's events are told apart by their event id alone.
fn events(chance: &mut Rng, filled: bool) -> Vec<ItemBody> {
    let most = *pick(chance, &[3, 6, 10, 15]);
    let hosts = chance.usize(1..13);
    let alike = chance.u32(0..6) == 0 && !filled;
    let two_kinds = chance.u32(0..3) == 0;
    (0..chance.usize(1..=most))
        .map(|n| {
            let host = if n < hosts && chance.bool() { n } else { chance.usize(0..hosts) };
            let event_type = if two_kinds && chance.bool() { EventType::Process } else { EventType::File };
            ItemBody {
                agent_id: format!("agent-{host}").into(),
                event_id: format!("RTF_{n}").into(),
                event_type,
                pid: if event_type == EventType::Process { n as u32 + 1 } else { 0 },
                unique_id: if alike { "0".into() } else { format!("u{n}").into() },
            }
        })
        .collect()
}

/// Ordered by row, then step. Steps that share an action share no event: else one act would be planned twice.
fn items(chance: &mut Rng, steps: &[PlannedStep], events: &[ItemBody]) -> Vec<(usize, u16, u32)> {
    let mut targets: Vec<&str> = Vec::new();
    let mut items = Vec::new();
    let share = |one: &PlannedStep, two: &PlannedStep| one.action.id == two.action.id;
    for (event, body) in events.iter().enumerate() {
        let mut taken: Vec<usize> = Vec::new();
        for (step, planned) in steps.iter().enumerate() {
            let free = !taken.iter().any(|other| share(&steps[*other], planned));
            let wanted = chance.u32(0..4) > 0 || (taken.is_empty() && step + 1 == steps.len());
            if free && wanted && items.len() < 30 {
                let target = targets.iter().position(|known| **known == *body.agent_id).unwrap_or_else(|| {
                    targets.push(&body.agent_id);
                    targets.len() - 1
                });
                taken.push(step);
                items.push((event, step as u16, target as u32));
            }
        }
    }
    items
}

/// Events of steps that ask for it have an age: most are young enough for a while.
fn shapes(chance: &mut Rng, steps: &[PlannedStep], events: &[ItemBody], items: &[(usize, u16, u32)]) -> Vec<ItemShape> {
    let shape = |(event, step, target): &(usize, u16, u32)| {
        let event = &events[*event];
        let aged = steps[usize::from(*step)].flow.max_event_age.is_some();
        let expires = aged.then(|| START - 5_000 + chance.u64(0..400_000));
        let shape = ItemShape::new(*step, *target, event.event_type, &event.agent_id, &event.unique_id);
        ItemShape { expires, ..shape }
    };
    items.iter().map(shape).collect()
}

fn header(chance: &mut Rng, steps: Vec<PlannedStep>) -> PlanHeader {
    let secs = Duration::from_secs;
    let rate = |chance: &mut Rng| Rate { calls: chance.u32(2..40), window: secs(chance.u64(1..200)) };
    let requests = (chance.u32(0..3) > 0).then(|| rate(chance));
    let limits = Limits {
        requests,
        keep_free: (chance.u32(0..6) == 0).then(|| rate(chance)),
        concurrency: chance.u16(1..5),
        batch_size: chance.u16(1..7),
        act_timeout: secs(chance.u64(4..60)),
        poll_timeout: secs(chance.u64(4..20)),
    };
    let deadline = *pick(chance, &[20, 60, 300]);
    let polling = Polling {
        first_after: Duration::from_millis(*pick(chance, &[0, 500, 3_000, 15_000])),
        interval: secs(chance.u64(1..8) * deadline / 60 + 1),
        interval_max: secs(deadline),
        deadline: secs(deadline),
        not_found_grace: secs(chance.u64(0..30)),
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    PlanHeader {
        playbook: "seed".into(),
        description: String::new(),
        comment: if chance.bool() { "INC-7".into() } else { String::new() },
        steps,
        limits,
        polling,
        statuses: Statuses {
            succeeded: words(&["success", "Erledigt"]),
            failed: words(&["failed", "error"]),
            pending: words(&["queued", "in progress"]),
        },
        dedupe_window: crate::playbook::DEDUPE_WINDOW,
        overlap: crate::plan::Overlap::Forbid,
        release: crate::plan::PlannedRelease::default(),
        guards: crate::plan::PlannedGuards::default(),
        blocked: Vec::new(),
        sources: vec!["events.csv".into()],
        rows: 0,
        reports: Vec::new(),
        tool_version: "0.1.0".to_owned(),
        files: Vec::new(),
        origin: None,
        approval: None,
        digest: String::new(),
        tenant: PlannedTenant {
            name: "seed".into(),
            base_url: "https://gateway.example.invalid".into(),
            api_version: ApiVersion::V1,
            user: "user".into(),
            user_id: "1".into(),
            auth: Auth::TokenEnv("QUELL_TOKEN".into()),
            simulated: false,
        },
    }
}
