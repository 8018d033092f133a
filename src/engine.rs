//! The run as a state machine without IO: [`Engine::turn`] takes the time and one input, and says which facts to
//! write down, which calls to start, and what to wait for.
//!
//! Every decision is a fact, and state changes only when a fact is applied: live and replay are one path, so resuming
//! is applying the journal's facts. There is no clock, timer, random source or channel in here, and no text of an item
//! is kept: only numbers. What belongs to one process alone (calls in flight, polling cadence) is not in the journal.

pub mod call;
pub mod fact;
pub mod items;
pub mod limiter;
pub mod pairing;
pub mod poller;
pub mod queue;
pub mod sent_or_not;
pub mod state;
pub mod tag;

use crate::tenant::Meaning;
use call::{ActReply, Call, CallWhat, Detail, LimitHeaders, PollReply, Reply, ReplyBody};
use fact::{BatchId, CallId, Fact, Moment, NotCarriedOut, RemediationRef, Settled, StopReason, What};
use limiter::Opening;
use pairing::{End, Named, fingerprint};
pub use state::{Engine, Illegal, Progress};
use state::{Flight, Stage};

/// Times in a row that acts could surely not be sent before the run gives up.
const NOT_SENT_MAX: u32 = 5;
/// Acts in a row that were left without a readable answer before the run stops acting.
const UNANSWERED_MAX: u32 = 2;
/// How long polling goes on after the first signal.
const DRAIN_MS: u64 = 20_000;
/// The longest that a batch that is not full waits for more items.
const LINGER_MAX_MS: u64 = 30_000;
/// Polls that may go unrecorded before they are tallied.
const TALLY_MAX: u32 = 100;

/// What the outside tells the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The process is ready to work on the run; the first input.
    Started,
    /// A call was answered.
    Replied {
        /// The call.
        call: CallId,
        /// The answer.
        reply: Reply,
    },
    /// After a crash: nobody knows what became of this act.
    Lost {
        /// Its batch.
        batch: BatchId,
        /// Whether its bytes may have left.
        may_have_left: bool,
    },
    /// Time has passed.
    Ticked,
    /// Somebody asks to stop.
    Stop(StopReason),
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "append `record` durably before starting `calls`"]
pub struct Turn {
    /// What happened, to be written down first.
    pub record: Vec<Fact>,
    /// Calls to reserve durably in the budget, together with the facts.
    pub charge: u32,
    /// Calls to start.
    pub calls: Vec<Call>,
    /// What to wait for.
    pub then: Then,
}

/// See [`Turn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next input, or `Ticked` at this moment.
    WaitUntil(Moment),
    /// The next input.
    WaitForInput,
    /// Nothing more will happen in this process.
    Finished,
}

/// The final or present state of an item, as users name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The API called it a success.
    Succeeded,
    /// The API called it a failure.
    Failed,
    /// The API refused it; it was not carried out.
    Rejected,
    /// The deadline passed and the API still calls it pending.
    StillQueued,
    /// The deadline passed without a status we know.
    TimedOut,
    /// Accepted, or awaiting its answer, when the run stopped.
    Open,
    /// Sent, no readable answer.
    Unknown,
    /// Accepted, but no id can be told to be its own.
    Unmatched,
    /// Nothing to do, and why.
    Skipped,
    /// A rule forbade it.
    Blocked,
    /// The run stopped, or an earlier step did not succeed, before it.
    NotStarted,
}

impl Engine {
    /// Hears one input at the time `now` and decides. The facts of the turn are already applied when it returns.
    pub fn turn(&mut self, now: Moment, input: Input) -> Result<Turn, Illegal> {
        self.now = self.now.max(now);
        let mut turn = Turn { record: Vec::new(), charge: 0, calls: Vec::new(), then: Then::Finished };
        self.hear(input, &mut turn.record)?;
        self.start_calls(&mut turn)?;
        turn.then = self.conclude(&mut turn.record)?;
        Ok(turn)
    }

    /// One decision: applied, then written down.
    fn note(&mut self, record: &mut Vec<Fact>, what: What) -> Result<(), Illegal> {
        let fact = Fact { at: self.now, what };
        self.apply(&fact)?;
        record.push(fact);
        Ok(())
    }

    fn hear(&mut self, input: Input, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        match input {
            Input::Started if self.started => self.note(record, What::Resumed),
            Input::Started => self.note(record, What::Started),
            Input::Lost { batch, may_have_left: true } => {
                let message = "the process ended before an answer was recorded".to_owned();
                self.unanswered(batch, message, record)
            }
            Input::Lost { batch, may_have_left: false } => {
                let message = "the process ended before it was sent".to_owned();
                self.note(record, What::Returned { batch, why: NotCarriedOut::NotSent, message })
            }
            Input::Ticked => Ok(()),
            Input::Stop(StopReason::SignalAgain) => {
                self.leaving = true;
                self.stop(StopReason::SignalAgain, record)
            }
            Input::Stop(why) => {
                self.drain_until.get_or_insert(Moment(self.now.0 + DRAIN_MS));
                self.stop(why, record)
            }
            Input::Replied { call, reply } => self.hear_reply(call, reply, record),
        }
    }

    fn hear_reply(&mut self, call: CallId, reply: Reply, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let Some(flight) = self.in_flight.remove(&call) else {
            return Err(Illegal(format!("an answer to call {} that was never made", call.0)));
        };
        self.limiter.finish(self.now, &reply.limits);
        match (flight, reply.body) {
            (Flight::Act(batch), ReplyBody::Act(body)) => {
                self.hear_act(batch, body, reply.token, &reply.limits, record)
            }
            (Flight::Poll { of, started }, ReplyBody::Poll(body)) => {
                self.tally_gets += 1;
                self.hear_poll(of, started, body, reply.token, &reply.limits, record)
            }
            (flight, _) => Err(Illegal(format!("an answer of the other kind to {flight:?}"))),
        }
    }

    fn hear_act(
        &mut self,
        batch: BatchId,
        body: ActReply,
        token: u32,
        limits: &LimitHeaders,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        match body {
            ActReply::Accepted { ids } => {
                self.acting_works(token);
                self.note(record, What::Accepted { batch, ids })?;
                self.rule(batch, record)
            }
            ActReply::Rejected { status, message } => {
                self.acting_works(token);
                self.note(record, What::Rejected { batch, status, message })?;
                self.bar_after(batch, record)
            }
            ActReply::NotCarriedOut { why, message } => {
                self.note(record, What::Returned { batch, why, message })?;
                self.not_carried_out(why, token, limits, record)
            }
            ActReply::Unreadable { message } => {
                if limits.wait.is_some() {
                    self.shut(limits);
                }
                self.unanswered_in_a_row += 1;
                self.unanswered(batch, message, record)?;
                if self.unanswered_in_a_row >= UNANSWERED_MAX {
                    self.stop(StopReason::Unanswered, record)?;
                }
                Ok(())
            }
        }
    }

    fn unanswered(&mut self, batch: BatchId, message: String, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        self.note(record, What::Unanswered { batch, message })?;
        self.bar_after(batch, record)
    }

    fn not_carried_out(
        &mut self,
        why: NotCarriedOut,
        token: u32,
        limits: &LimitHeaders,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        match why {
            NotCarriedOut::Throttled => {
                self.tally_throttled += 1;
                self.shut(limits);
                Ok(())
            }
            NotCarriedOut::NotSent => {
                // Calls that fail together are one trouble: a moment's outage must not end a run with many in flight.
                self.not_sent_in_a_row += u32::from(self.limiter.shut_until(self.now).is_none());
                self.shut(limits);
                if self.not_sent_in_a_row >= NOT_SENT_MAX {
                    self.stop(StopReason::Unreachable, record)?;
                }
                Ok(())
            }
            NotCarriedOut::NotSentForGood => self.stop(StopReason::Unreachable, record),
            NotCarriedOut::Unauthorized => self.token_refused(token, record),
            NotCarriedOut::WrongPlace => self.stop(StopReason::WrongPlace, record),
        }
    }

    /// A token that was refused gets one successor; when that is refused too, sign-in has failed.
    fn token_refused(&mut self, token: u32, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        match self.token_refused {
            Some(refused) if token > refused => {
                self.leaving = true;
                self.stop(StopReason::SignIn, record)
            }
            _ => {
                self.token_refused = Some(self.token_refused.unwrap_or(token).max(token));
                Ok(())
            }
        }
    }

    fn hear_poll(
        &mut self,
        of: RemediationRef,
        started: Moment,
        body: PollReply,
        token: u32,
        limits: &LimitHeaders,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        match body {
            PollReply::Detail(detail) => {
                self.all_is_well(token);
                self.read_detail(of, started, *detail, record)
            }
            PollReply::NotFound { status } => {
                self.all_is_well(token);
                self.nothing_yet(of, started, true, format!("the API answered {status} for its id"), record)
            }
            PollReply::Throttled => {
                self.tally_throttled += 1;
                self.poller.again_now(of, self.now);
                self.shut(limits);
                Ok(())
            }
            PollReply::Unauthorized => {
                self.poller.again_now(of, self.now);
                self.token_refused(token, record)
            }
            PollReply::Failed { message } => {
                if limits.wait.is_some() {
                    self.shut(limits);
                }
                self.nothing_yet(of, started, true, message, record)
            }
            PollReply::NoAnswer { message, for_good: false } => {
                self.shut(limits);
                self.nothing_yet(of, started, false, message, record)
            }
            PollReply::NoAnswer { for_good: true, .. } => {
                self.leaving = true;
                self.stop(StopReason::Unreachable, record)
            }
        }
    }

    /// A detail says whose it is and how far it is.
    fn read_detail(
        &mut self,
        of: RemediationRef,
        started: Moment,
        detail: Detail,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        let Some(Stage::Accepted(batch)) = self.batches.get_mut(&of.batch) else { return Ok(()) };
        let place = usize::from(of.index);
        let named = self.config.named(batch.step, of.batch, &detail);
        match batch.evidence(place, named) {
            Some((item, by)) => self.note(record, What::Paired { of, item, by })?,
            None => batch.remember(place, named),
        }
        let word = detail.status.unwrap_or_default();
        let meaning = self.config.statuses.meaning(&word);
        let outcome = match meaning {
            Meaning::Succeeded => Some(Settled::Succeeded),
            Meaning::Failed => Some(Settled::Failed),
            Meaning::Pending | Meaning::Unlisted => {
                let pending = meaning == Meaning::Pending;
                if self.poller.see(of, fingerprint(&word), pending) {
                    self.note(record, What::Seen { of, status: word.clone() })?;
                }
                let late = if pending { Settled::StillQueued } else { Settled::TimedOut };
                self.poller.was_last(of, started, true).then_some(late)
            }
        };
        let Some(outcome) = outcome else {
            self.poller.again_later(of, started, self.now);
            return self.rule(of.batch, record);
        };
        self.end(of, End { outcome, status: Some(word), message: detail.status_message }, record)
    }

    /// A poll that brought no detail.
    fn nothing_yet(
        &mut self,
        of: RemediationRef,
        started: Moment,
        answered: bool,
        message: String,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        if !self.poller.was_last(of, started, answered) {
            self.poller.again_later(of, started, self.now);
            return Ok(());
        }
        let outcome = if self.poller.is_pending(of) { Settled::StillQueued } else { Settled::TimedOut };
        self.end(of, End { outcome, status: None, message: Some(message) }, record)
    }

    fn end(&mut self, of: RemediationRef, end: End, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        self.poller.forget(of);
        if let Some(Stage::Accepted(batch)) = self.batches.get_mut(&of.batch) {
            batch.end(usize::from(of.index), end);
        }
        self.rule(of.batch, record)
    }

    /// Settles what a batch can say by now, and stops reading what no longer matters.
    fn rule(&mut self, id: BatchId, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let Some(Stage::Accepted(batch)) = self.batches.get(&id) else { return Ok(()) };
        for ruling in batch.rulings() {
            let of = ruling.index.map(|index| RemediationRef { batch: id, index });
            let End { outcome, status, message } = ruling.end;
            self.note(record, What::Settled { item: ruling.item, outcome, of, by: ruling.by, status, message })?;
            if let Some((target, step)) = self.items.bars(ruling.item) {
                self.note(record, What::Barred { target, step })?;
            }
        }
        self.forget_what_is_done(id);
        Ok(())
    }

    /// After a whole batch came to nothing: its targets' later steps are barred.
    fn bar_after(&mut self, batch: BatchId, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        for item in std::mem::take(&mut self.just_ended) {
            if let Some((target, step)) = self.items.bars(item) {
                self.note(record, What::Barred { target, step })?;
            }
        }
        self.batches.remove(&batch);
        Ok(())
    }

    fn stop(&mut self, why: StopReason, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        if self.stopping.is_some() && why != StopReason::SignalAgain {
            return Ok(());
        }
        self.note(record, What::Stopping { why })
    }

    /// An act was answered. Polls that work say nothing of this: a server may read well and fail every act.
    fn acting_works(&mut self, token: u32) {
        self.not_sent_in_a_row = 0;
        self.unanswered_in_a_row = 0;
        self.all_is_well(token);
    }

    fn all_is_well(&mut self, token: u32) {
        self.limiter.cleared();
        if self.token_refused.is_some_and(|refused| token > refused) {
            self.token_refused = None;
        }
    }

    fn shut(&mut self, limits: &LimitHeaders) {
        self.limiter.shut(self.now, limits.wait, mixed(self.config.seed, self.next_call));
    }

    fn start_calls(&mut self, turn: &mut Turn) -> Result<(), Illegal> {
        while !self.leaving && self.limiter.opening(self.now) == Opening::Now {
            let poll = self.next_poll().filter(|(due, _)| *due <= self.now).map(|(_, of)| of);
            let act = self.next_act().filter(|(ready, _)| *ready <= self.now).map(|(_, lane)| lane);
            match (act, poll) {
                (Some(lane), poll) if poll.is_none() || !self.acted_last => self.start_act(lane, turn)?,
                (_, Some(of)) => self.start_poll(of, turn),
                (_, None) => break,
            }
        }
        if self.tally_gets >= TALLY_MAX {
            self.tally(&mut turn.record)?;
        }
        Ok(())
    }

    fn start_act(&mut self, lane: state::LaneKey, turn: &mut Turn) -> Result<(), Illegal> {
        let items = self.lanes[&lane].peek(usize::from(self.config.batch_size));
        let batch = BatchId(self.next_batch);
        let (step, event_type) = lane;
        self.note(&mut turn.record, What::Submitting { batch, step, event_type, items: items.clone() })?;
        self.acted_last = true;
        self.start(Flight::Act(batch), CallWhat::Act { batch, step, items }, turn);
        Ok(())
    }

    fn start_poll(&mut self, of: RemediationRef, turn: &mut Turn) {
        self.acted_last = false;
        self.poller.start(of);
        let step = self.step_of(of.batch);
        self.start(Flight::Poll { of, started: self.now }, CallWhat::Poll { of, step }, turn);
    }

    fn start(&mut self, flight: Flight, what: CallWhat, turn: &mut Turn) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        turn.charge += self.limiter.start();
        self.in_flight.insert(id, flight);
        turn.calls.push(Call { id, what });
    }

    /// The lane to send from next, and from when on: at once when a batch is full or no more items can join it, else
    /// after lingering for as long as a call costs.
    fn next_act(&self) -> Option<(Moment, state::LaneKey)> {
        if self.stopping.is_some() {
            return None;
        }
        let linger = self.limiter.call_cost_ms().min(LINGER_MAX_MS);
        let full = usize::from(self.config.batch_size);
        self.lanes
            .iter()
            .filter(|(_, lane)| !lane.is_empty())
            .map(|(key, lane)| {
                let waits = self.waiting > 0 && lane.agents() < full;
                (if waits { Moment(lane.since().0 + linger) } else { Moment(0) }, *key)
            })
            .min()
    }

    fn next_poll(&mut self) -> Option<(Moment, RemediationRef)> {
        if self.drain_until.is_some_and(|until| until <= self.now) { None } else { self.poller.longest_due() }
    }

    /// Whether the process is done, and what to wait for if not.
    fn conclude(&mut self, record: &mut Vec<Fact>) -> Result<Then, Illegal> {
        if self.ended {
            return Ok(Then::Finished);
        }
        let poll = self.next_poll().map(|(due, _)| due);
        let act = self.next_act().map(|(ready, _)| ready);
        let drained = self.drain_until.is_some_and(|until| until <= self.now);
        let idle = self.in_flight.is_empty() && self.submitted == 0 && act.is_none() && (poll.is_none() || drained);
        if self.leaving && (self.in_flight.is_empty() || self.stopping == Some(StopReason::SignalAgain)) || idle {
            self.tally(record)?;
            let complete = self.is_complete();
            self.note(record, What::Ended { complete })?;
            return Ok(Then::Finished);
        }
        let wanted = poll.into_iter().chain(act).min().filter(|_| !self.leaving);
        let call = match (wanted, self.limiter.opening(self.now)) {
            (None, _) | (_, Opening::AfterReply) => None,
            (Some(wanted), Opening::Now) => Some(wanted),
            (Some(wanted), Opening::At(open)) => Some(wanted.max(open)),
        };
        let drain = self.drain_until.filter(|until| *until > self.now);
        Ok(call.into_iter().chain(drain).min().map_or(Then::WaitForInput, Then::WaitUntil))
    }

    fn tally(&mut self, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let (gets, throttled) = (self.tally_gets, self.tally_throttled);
        if gets == 0 && throttled == 0 {
            return Ok(());
        }
        self.note(record, What::Tallied { gets, throttled })
    }
}

impl state::Config {
    /// What a detail names, as far as it tells the items of its batch apart.
    fn named(&self, step: u16, batch: BatchId, detail: &Detail) -> Named {
        let step = &self.steps[usize::from(step)];
        let print = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(fingerprint);
        let other_action = detail.action.as_deref().is_some_and(|action| !step.is_shown_as(action));
        let other_tag = detail.comments.as_deref().is_some_and(|text| tag::is_foreign(text, &self.run, batch));
        Named { agent: print(&detail.agent_id), unique: print(&detail.unique_id), foreign: other_action || other_tag }
    }
}

/// A number that looks random and is the same for the same two numbers (splitmix64): spreads pauses.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
