//! The engine's state, and the one function that changes what is durable of it: [`Engine::apply`].

use super::fact::{BatchId, CallId, Fact, ItemId, Moment, RemediationRef, Settled, StopReason, What};
use super::items::{ItemShape, Items, State};
use super::limiter::Limiter;
use super::pairing::{Batch, Member, fingerprint};
use super::poller::Poller;
use super::queue::Lane;
use crate::plan::{PlanHeader, PlannedStep};
use crate::tenant::{EventType, FillField, Meaning, Statuses, fold};
use std::collections::{BTreeMap, HashMap};

/// A lane's key: index of the step, event type.
pub type LaneKey = (u16, EventType);

/// The state machine of one run.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: Config,
    pub(super) items: Items,
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
    /// Items whose earlier steps are not done.
    pub(super) waiting: usize,
    /// Batches whose intent is written and whose answer is not.
    pub(super) submitted: usize,
    /// Items that a batch's refusal or lost answer has just ended.
    pub(super) just_ended: Vec<ItemId>,
    pub(super) tally_gets: u32,
    pub(super) tally_throttled: u32,
    progress: Progress,
}

/// What the plan says that the engine has to know beside its items.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) run: String,
    pub(super) seed: u64,
    pub(super) batch_size: u16,
    pub(super) statuses: Statuses,
    pub(super) steps: Vec<StepConfig>,
}

#[derive(Debug)]
pub(super) struct StepConfig {
    compares_unique_id: bool,
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
        let items = Items::new(items);
        let config = Config {
            run: run.to_owned(),
            seed: fingerprint(run),
            batch_size: header.limits.batch_size,
            statuses: header.statuses.clone(),
            steps: header.steps.iter().map(StepConfig::new).collect(),
        };
        Self {
            config,
            waiting: items.len(),
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
            act_token_refused: None,
            poll_token_refused: None,
            not_sent_in_a_row: 0,
            throttled_in_a_row: 0,
            unanswered_in_a_row: 0,
            last_polls_unanswered: 0,
            acts_shut_until: Moment(0),
            acted_last: false,
            submitted: 0,
            just_ended: Vec::new(),
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
            gets: self.progress.gets + u64::from(self.tally_gets),
            throttled: self.progress.throttled + u64::from(self.tally_throttled),
            ..self.progress
        }
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

    /// Changes the state by one fact. Facts that cannot follow each other are an error, never ignored.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), Illegal> {
        self.now = self.now.max(fact.at);
        match &fact.what {
            What::Started if self.started => Err(Illegal("the run began twice".to_owned())),
            What::Started => {
                self.started = true;
                let ready = self.items.open_first();
                self.waiting -= ready.len();
                self.enqueue(&ready, fact.at);
                Ok(())
            }
            What::Resumed => {
                self.resumed();
                Ok(())
            }
            What::Submitting { batch, step, event_type, items } => self.submitting(*batch, *step, *event_type, items),
            What::Accepted { batch, ids } => self.accepted(*batch, ids, fact.at),
            What::Rejected { batch, .. } => {
                let ended = self.end_batch(*batch)?;
                self.progress.failed += ended;
                Ok(())
            }
            What::Unanswered { batch, .. } => {
                let ended = self.end_batch(*batch)?;
                self.progress.unclear += ended;
                Ok(())
            }
            What::Returned { batch, .. } => self.returned(*batch, fact.at),
            What::Seen { of, status } => {
                let pending = self.config.statuses.meaning(status) == Meaning::Pending;
                self.poller.see(*of, fingerprint(status), pending);
                Ok(())
            }
            What::Paired { of, item, by } => {
                let paired = match self.batches.get_mut(&of.batch) {
                    Some(Stage::Accepted(batch)) => batch.pair(usize::from(of.index), *item, *by),
                    _ => false,
                };
                if paired { Ok(()) } else { Err(Illegal(format!("item {} was paired outside its batch", item.0))) }
            }
            What::Settled { item, outcome, of, .. } => self.settled(*item, *outcome, *of, fact.at),
            What::Barred { target, step } => {
                let barred = self.items.bar(*target, *step);
                self.waiting -= barred;
                self.progress.barred += barred as u64;
                self.progress.settled += barred as u64;
                Ok(())
            }
            What::Stopping { why } => {
                self.stopping = Some(*why);
                Ok(())
            }
            What::Tallied { gets, throttled } => {
                self.progress.gets += u64::from(*gets);
                self.progress.throttled += u64::from(*throttled);
                self.tally_gets = 0;
                self.tally_throttled = 0;
                Ok(())
            }
            What::Ended { complete } => {
                self.ended = Some(*complete);
                Ok(())
            }
        }
    }

    pub(super) fn step_of(&self, batch: BatchId) -> u16 {
        match self.batches.get(&batch) {
            Some(Stage::Accepted(batch)) => batch.step,
            Some(Stage::Submitting { step, .. }) => *step,
            None => 0,
        }
    }

    /// Stops reading ids that no longer matter, and drops a batch of which every item has its outcome.
    pub(super) fn forget_what_is_done(&mut self, id: BatchId) {
        let Some(Stage::Accepted(batch)) = self.batches.get(&id) else { return };
        let still: Vec<u16> = batch.worth_reading().collect();
        self.poller.keep_only(id, batch.ids(), &still);
        if batch.is_done() {
            self.batches.remove(&id);
        }
    }

    fn resumed(&mut self) {
        self.ended = None;
        self.leaving = false;
        self.stopping = None;
        self.drain_until = None;
        self.act_token_refused = None;
        self.poll_token_refused = None;
        self.not_sent_in_a_row = 0;
        self.throttled_in_a_row = 0;
        self.unanswered_in_a_row = 0;
        self.last_polls_unanswered = 0;
    }

    fn enqueue(&mut self, ready: &[ItemId], at: Moment) {
        for item in ready {
            let key = (self.items.step(*item), self.items.event_type(*item));
            self.lanes.entry(key).or_default().push(self.items.agent(*item), *item, at);
        }
    }

    fn submitting(&mut self, id: BatchId, step: u16, kind: EventType, items: &[ItemId]) -> Result<(), Illegal> {
        if items.is_empty() || self.batches.contains_key(&id) || id.0 < self.next_batch {
            return Err(Illegal(format!("batch {} was submitted twice or is empty", id.0)));
        }
        for item in items {
            let agent = match self.items.state(*item) {
                Some(State::Ready) => self.items.agent(*item),
                state => return Err(Illegal(format!("item {} was submitted while {state:?}", item.0))),
            };
            if !self.lanes.get_mut(&(step, kind)).is_some_and(|lane| lane.take(agent, *item)) {
                return Err(Illegal(format!("item {} was submitted in another step's batch", item.0)));
            }
            self.items.submit(*item, id);
        }
        self.next_batch = id.0 + 1;
        self.submitted += 1;
        self.progress.posts += 1;
        self.progress.sent += items.len() as u64;
        self.batches.insert(id, Stage::Submitting { step, items: items.to_vec() });
        Ok(())
    }

    fn accepted(&mut self, id: BatchId, ids: &[String], at: Moment) -> Result<(), Illegal> {
        let (step, items) = self.take_submitted(id)?;
        let members = items
            .iter()
            .map(|item| {
                let (agent, unique) = self.items.fingerprints(*item);
                Member::new(*item, agent, unique)
            })
            .collect();
        for item in items {
            self.items.set(item, State::Accepted);
        }
        let batch = Batch::new(step, members, ids, self.config.steps[usize::from(step)].compares_unique_id);
        for index in batch.worth_reading() {
            self.poller.watch(RemediationRef { batch: id, index }, at);
        }
        self.batches.insert(id, Stage::Accepted(batch));
        Ok(())
    }

    /// Every item of a batch that was rejected or left unanswered has its outcome.
    fn end_batch(&mut self, id: BatchId) -> Result<u64, Illegal> {
        let (_, items) = self.take_submitted(id)?;
        for item in &items {
            self.items.settle(*item, false);
        }
        self.progress.settled += items.len() as u64;
        let ended = items.len() as u64;
        self.just_ended = items;
        Ok(ended)
    }

    fn returned(&mut self, id: BatchId, at: Moment) -> Result<(), Illegal> {
        let (_, items) = self.take_submitted(id)?;
        self.progress.sent -= items.len() as u64;
        for item in &items {
            self.items.set(*item, State::Ready);
        }
        self.enqueue(&items, at);
        Ok(())
    }

    fn take_submitted(&mut self, id: BatchId) -> Result<(u16, Vec<ItemId>), Illegal> {
        match self.batches.remove(&id) {
            Some(Stage::Submitting { step, items }) => {
                self.submitted -= 1;
                Ok((step, items))
            }
            _ => Err(Illegal(format!("batch {} was answered without being submitted", id.0))),
        }
    }

    fn settled(
        &mut self,
        item: ItemId,
        outcome: Settled,
        of: Option<RemediationRef>,
        at: Moment,
    ) -> Result<(), Illegal> {
        let batch = self.items.batch(item);
        let known = batch.and_then(|batch| match self.batches.get_mut(&batch) {
            Some(Stage::Accepted(open)) => open.settle(item, of.map(|of| usize::from(of.index))).then_some(batch),
            _ => None,
        });
        let Some(batch) = known else {
            return Err(Illegal(format!("item {} settled twice or outside an accepted batch", item.0)));
        };
        let ready = self.items.settle(item, outcome == Settled::Succeeded);
        self.waiting -= ready.len();
        self.enqueue(&ready, at);
        self.progress.settled += 1;
        match outcome {
            Settled::Succeeded => self.progress.succeeded += 1,
            Settled::Failed | Settled::TimedOut => self.progress.failed += 1,
            Settled::StillQueued => self.progress.still_queued += 1,
            Settled::Unknown | Settled::Unmatched => self.progress.unclear += 1,
        }
        if let Some(of) = of {
            self.poller.forget(of);
        }
        self.forget_what_is_done(batch);
        Ok(())
    }
}

impl StepConfig {
    fn new(step: &PlannedStep) -> Self {
        Self {
            compares_unique_id: !step.action.fill.iter().any(|(field, _)| *field == FillField::UniqueId),
            shown_as: step.action.shown_as.iter().map(|word| fold(word)).collect(),
        }
    }

    /// Whether a detail's `action` may be this step's: nothing is compared when the tenant lists no words.
    pub(super) fn is_shown_as(&self, action: &str) -> bool {
        self.shown_as.is_empty() || self.shown_as.contains(&fold(action))
    }
}
