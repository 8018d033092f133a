//! The engine's state, and what can be asked of it. What is durable of it changes in [`Engine::apply`] alone.

use super::fact::{BatchId, CallId, ItemId, Moment, RemediationRef, StopReason};
use super::hosts::Hosts;
use super::items::{ItemShape, Items, Rule};
use super::limiter::Limiter;
use super::pairing::{Batch, fingerprint};
use super::poller::Poller;
use super::queue::Lane;
use super::unclear::Unclear;
use super::waves::NewestWave;
use crate::plan::{Budget, OnUnknown, PlanHeader, PlannedStep, Promote};
use crate::tenant::{EventType, FillField, Statuses, fold};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A lane's key: index of the step, event type.
pub type LaneKey = (u16, EventType);

/// The state machine of one run.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Config,
    pub(super) items: Items,
    pub(super) hosts: Hosts,
    pub(super) lanes: BTreeMap<LaneKey, Lane>,
    pub(super) batches: HashMap<BatchId, Stage>,
    pub(super) limiter: Limiter,
    pub(super) poller: Poller,
    pub(super) in_flight: HashMap<CallId, Flight>,
    pub(super) next_call: u64,
    pub(super) next_batch: u32,
    pub(super) now: Moment,
    pub(super) started: bool,
    /// The last process ended its work; whether it left nothing to do.
    pub(super) ended: Option<bool>,
    pub(super) leaving: bool,
    pub(super) stopping: Option<StopReason>,
    pub(super) drain_until: Option<Moment>,
    pub(super) drain_ms: u64,
    /// The latest token that was refused to acts, and to polls, since one of that kind was last let in.
    pub(super) act_token_refused: Option<u32>,
    pub(super) poll_token_refused: Option<u32>,
    pub(super) not_sent_in_a_row: u32,
    pub(super) throttled_in_a_row: u32,
    pub(super) unanswered_in_a_row: u32,
    /// Last polls in a row, one for each time the gate opened, that brought no answer.
    pub(super) last_polls_unanswered: u32,
    /// Acts wait until then on their own: polls that work must not hide that acts are refused.
    pub(super) acts_shut_until: Moment,
    pub(super) acted_last: bool,
    /// Acts start only in turns in which somebody has just looked whether they may; whether this is one.
    pub(super) asks_before_acts: bool,
    pub(super) cleared: Option<Moment>,
    /// Items that were sent and have no outcome yet.
    pub(super) open_items: u64,
    /// Items that failed, as the failure budget counts it.
    pub(super) failures: u64,
    /// … of which an operator said to go on all the same, and of which a person opened a gate all the same.
    pub(super) forgiven: u64,
    pub(super) forgiven_by_gate: u64,
    /// What the wave that was released last has shown.
    pub(super) newest_wave: NewestWave,
    /// Since when the present wave runs in this process, and since when a person is asked.
    pub(super) gate_since: Moment,
    pub(super) awaiting_since: Option<Moment>,
    /// Batches whose intent is written and whose answer is not.
    pub(super) submitted: usize,
    /// Items that a batch's refusal or lost answer has just ended.
    pub(super) just_ended: Vec<ItemId>,
    /// Items that ended without anybody knowing for sure how, and that no person has resolved.
    pub(super) unclear: BTreeMap<ItemId, Unclear>,
    /// Items that a person has resolved: a later finding may correct an earlier one.
    pub(super) resolved: BTreeMap<ItemId, Unclear>,
    /// Ids of the actions of which no further act is sent until a person has looked.
    pub(super) held: BTreeSet<i64>,
    /// Items that a person permitted to be sent although an earlier run may have carried them out.
    pub(super) permitted: BTreeSet<ItemId>,
    /// This process only polls.
    pub(super) only_polls: bool,
    /// What was still open at its deadline, and this process looks at once more.
    pub(super) late: BTreeMap<RemediationRef, ItemId>,
    pub(super) tally_gets: u32,
    pub(super) tally_throttled: u32,
    pub(super) progress: Progress,
}

/// What the plan says that the engine has to know beside its items.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) run: String,
    pub(super) seed: u64,
    pub(super) batch_size: u16,
    pub(super) statuses: Statuses,
    pub(super) steps: Vec<StepConfig>,
    /// Cumulative numbers of targets; one wave when there are no others.
    pub(super) waves: Vec<u32>,
    pub(super) promote: Promote,
    pub(super) budget: Option<Budget>,
}

#[derive(Debug)]
pub(super) struct StepConfig {
    pub(super) action: i64,
    pub(super) on_unknown: OnUnknown,
    pub(super) compares_unique_id: bool,
    pub(super) allow_failure: bool,
    shown_as: Vec<String>,
}

/// Where a batch stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its intent is written.
    Submitting { step: u16, items: Vec<ItemId> },
    /// The API named its remediations.
    Accepted(Batch),
}

/// A call of this process that was not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    Act(BatchId),
    Poll { of: RemediationRef, started: Moment },
}

/// A fact or an answer that cannot be: a damaged journal, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Illegal(pub String);

/// How far the run is, for show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Items in all.
    pub items: u64,
    /// Items that were sent and not returned.
    pub sent: u64,
    /// Items with an outcome, barred ones included.
    pub settled: u64,
    /// … of which succeeded.
    pub succeeded: u64,
    /// … of which failed, were rejected or timed out.
    pub failed: u64,
    /// … of which a person must look at: unknown, unmatched.
    pub unclear: u64,
    /// … of which are still queued at the deadline.
    pub still_queued: u64,
    /// … of which will not be sent because an earlier step did not succeed.
    pub barred: u64,
    /// … of which are skipped: an earlier run did them or may have, what their step waits for did not come true, or their
    /// event is too old.
    pub skipped: u64,
    /// … of which a rule protects.
    pub blocked: u64,
    /// Waves released, and how many there are.
    pub waves: (u16, u16),
    /// Acts started.
    pub posts: u64,
    /// Polls answered.
    pub gets: u64,
    /// Calls refused for a limit.
    pub throttled: u64,
    /// Calls in flight.
    pub in_flight: u16,
    /// Calls left in the tightest window, when there is one.
    pub calls_left: Option<u32>,
    /// Until when a refusal or the network makes everybody wait.
    pub waits_until: Option<Moment>,
    /// The wave that begins once a person says so, and until when it may.
    pub awaits: Option<(u16, Moment)>,
    /// Whether no further act will be sent.
    pub stopping: bool,
}

impl Engine {
    /// The engine of a run that has no facts yet. `spent` are the moments of calls that earlier processes made within
    /// the tenant's window, oldest first.
    pub fn new(
        run: &str,
        header: &PlanHeader,
        items: impl Iterator<Item = ItemShape>,
        spent: impl IntoIterator<Item = Moment>,
    ) -> Self {
        let items = Items::new(items, Rule::of(header));
        let release = &header.release;
        let waves = if release.waves.is_empty() { vec![items.targets()] } else { release.waves.clone() };
        let config = Config {
            waves,
            promote: release.promote,
            budget: release.budget.clone(),
            run: run.to_owned(),
            seed: fingerprint(run),
            batch_size: header.limits.batch_size,
            statuses: header.statuses.clone(),
            steps: header.steps.iter().map(StepConfig::new).collect(),
        };
        Self {
            config,
            hosts: Hosts::new(items.agents()),
            open_items: 0,
            failures: 0,
            forgiven: 0,
            forgiven_by_gate: 0,
            newest_wave: NewestWave::default(),
            gate_since: Moment(0),
            awaiting_since: None,
            progress: Progress { items: items.len() as u64, ..Progress::default() },
            items,
            lanes: BTreeMap::new(),
            batches: HashMap::new(),
            limiter: Limiter::new(&header.limits, spent),
            poller: Poller::new(header.polling.clone()),
            in_flight: HashMap::new(),
            next_call: 1,
            next_batch: 1,
            now: Moment(0),
            started: false,
            ended: None,
            leaving: false,
            stopping: None,
            drain_until: None,
            drain_ms: super::DRAIN_MS,
            act_token_refused: None,
            poll_token_refused: None,
            not_sent_in_a_row: 0,
            throttled_in_a_row: 0,
            unanswered_in_a_row: 0,
            last_polls_unanswered: 0,
            acts_shut_until: Moment(0),
            acted_last: false,
            asks_before_acts: false,
            cleared: None,
            submitted: 0,
            just_ended: Vec::new(),
            unclear: BTreeMap::new(),
            resolved: BTreeMap::new(),
            held: BTreeSet::new(),
            permitted: BTreeSet::new(),
            only_polls: false,
            late: BTreeMap::new(),
            tally_gets: 0,
            tally_throttled: 0,
        }
    }

    /// Acts whose intent is written and whose answer is not: what a crash leaves.
    pub fn unanswered_acts(&self) -> Vec<BatchId> {
        let mut batches: Vec<BatchId> = self
            .batches
            .iter()
            .filter(|(_, stage)| matches!(stage, Stage::Submitting { .. }))
            .map(|(batch, _)| *batch)
            .collect();
        batches.sort_unstable();
        batches
    }

    /// How far the run is.
    pub fn progress(&mut self) -> Progress {
        Progress {
            in_flight: self.limiter.in_flight(),
            calls_left: self.limiter.left(self.now),
            waits_until: self.limiter.shut_until(self.now),
            stopping: self.stopping.is_some(),
            awaits: self.gate().filter(|_| self.stopping.is_none()).and_then(|gate| Some((gate.wave, gate.awaits?))),
            waves: self.waves(),
            gets: self.progress.gets + u64::from(self.tally_gets),
            throttled: self.progress.throttled + u64::from(self.tally_throttled),
            ..self.progress
        }
    }

    fn waves(&self) -> (u16, u16) {
        let all = self.config.waves.len() as u16;
        (self.gate().map_or(all, |gate| gate.wave - 1), all)
    }

    /// The time of the latest fact or turn.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Whether every item has its final outcome.
    pub fn is_complete(&self) -> bool {
        self.progress.settled == self.progress.items
    }

    /// Whether the run ended with every item having its final outcome: no process has anything left to do.
    pub fn is_over(&self) -> bool {
        self.ended == Some(true)
    }

    /// The step that a remediation belongs to.
    pub(super) fn step_of(&self, of: RemediationRef) -> u16 {
        match (self.late.get(&of), self.batches.get(&of.batch)) {
            (Some(item), _) => self.items.step(*item),
            (None, Some(Stage::Accepted(batch))) => batch.step,
            (None, Some(Stage::Submitting { step, .. })) => *step,
            (None, None) => 0,
        }
    }

    /// Stops reading ids that no longer matter, and drops a batch of which every item has its outcome.
    pub(super) fn forget_what_is_done(&mut self, id: BatchId) {
        let Some(Stage::Accepted(batch)) = self.batches.get(&id) else { return };
        let mut still: Vec<u16> = batch.worth_reading().collect();
        let first = RemediationRef { batch: id, index: 0 };
        let last = RemediationRef { batch: id, index: u16::MAX };
        still.extend(self.late.range(first..=last).map(|(of, _)| of.index));
        self.poller.keep_only(id, batch.ids(), &still);
        if batch.is_done() {
            self.batches.remove(&id);
        }
    }
}

impl StepConfig {
    fn new(step: &PlannedStep) -> Self {
        Self {
            action: step.action.id,
            on_unknown: step.on_unknown,
            allow_failure: step.flow.allow_failure,
            compares_unique_id: !step.action.fill.iter().any(|(field, _)| *field == FillField::UniqueId),
            shown_as: step.action.shown_as.iter().map(|word| fold(word)).collect(),
        }
    }

    /// Whether a detail's `action` may be this step's: nothing is compared when the tenant lists no words.
    pub(super) fn is_shown_as(&self, action: &str) -> bool {
        self.shown_as.is_empty() || self.shown_as.contains(&fold(action))
    }
}
