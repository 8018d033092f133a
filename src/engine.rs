//! The run as a state machine without IO: [`Engine::turn`] takes the time and one input, and says which facts to
//! write down, which calls to start, and what to wait for.
//!
//! Every decision is a fact, and state changes only when a fact is applied: live and replay are one path, so resuming
//! is applying the journal's facts. There is no clock, timer, random source or channel in here, and no text of an item
//! is kept: only numbers. What belongs to one process alone (calls in flight, polling cadence) is not in the journal.

mod apply;
mod beginning;
pub mod call;
pub mod fact;
mod hosts;
pub mod items;
pub mod limiter;
pub mod pairing;
pub mod poller;
pub mod queue;
mod replies;
pub mod sent_or_not;
mod share;
pub mod state;
pub mod tag;
mod unclear;
mod waves;

pub use beginning::{Approval, Beginning, DoneBefore, Permission};
use call::{Call, CallWhat, Reply};
use fact::{BatchId, CallId, Fact, ItemId, Moment, RemediationRef, StopReason, What};
use limiter::Opening;
pub use limiter::{Ask, Granted, Wish};
use state::Flight;
pub use state::{Engine, Illegal, Progress};
use std::collections::BTreeSet;
pub use unclear::Resolution;
use waves::Turnstile;
pub use waves::{Gate, Promotion};

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
    Started(Box<Beginning>),
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
    },
    /// Time has passed.
    Ticked,
    /// How many calls this process may have in flight from now on: its share of what all runs of the tenant may.
    Slots(u16),
    /// Calls were reserved, in answer to [`Engine::ask`].
    Granted(Granted),
    /// Somebody has just looked whether acts may start, at this time by the wall, and nothing forbids it: it holds for this
    /// turn. The run's clock stands still while the machine sleeps; events grow old all the same.
    Cleared(Moment),
    /// A person lets the next wave begin.
    Promote(Promotion),
    /// Somebody asks to stop.
    Stop(StopReason),
}

/// What to do now.
#[derive(Debug, PartialEq, Eq, Default)]
#[must_use = "append `record` durably before starting `calls`"]
pub struct Turn {
    /// What happened, to be written down first.
    pub record: Vec<Fact>,
    /// Calls to start.
    pub calls: Vec<Call>,
    /// Whether an act is ready that starts only after [`Input::Cleared`].
    pub asks: bool,
    /// What to wait for.
    pub then: Then,
}

/// See [`Turn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// The next input, or `Ticked` at this moment.
    WaitUntil(Moment),
    /// The next input.
    #[default]
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
        let mut turn = Turn::default();
        self.hear(now, input, &mut turn)?;
        self.decide(&mut turn)?;
        Ok(turn)
    }

    /// Hears one input at the time `now`; the facts that it means are added to the turn. Whoever has several hears all of
    /// them before [`Engine::decide`]: no act is decided on while an answer that forbids it lies there unheard.
    pub fn hear(&mut self, now: Moment, input: Input, turn: &mut Turn) -> Result<(), Illegal> {
        self.now = self.now.max(now);
        self.hear_input(input, &mut turn.record)
    }

    /// Decides after what was heard in this turn.
    pub fn decide(&mut self, turn: &mut Turn) -> Result<(), Illegal> {
        loop {
            self.look_at_gates(&mut turn.record)?;
            self.start_calls(turn)?;
            // What turned out to be too old may be all that a gate waited for.
            if !matches!(self.turnstile(), Some(Turnstile::Opens | Turnstile::Asks)) {
                break;
            }
        }
        turn.then = self.conclude(&mut turn.record)?;
        self.cleared = None;
        Ok(())
    }

    /// From now on acts start only in turns that heard [`Input::Cleared`].
    pub fn asks_before_acts(&mut self) {
        self.asks_before_acts = true;
    }

    /// How long open items are polled once this process was asked to stop; 20 seconds unless it is said.
    pub fn drains_for(&mut self, drain: std::time::Duration) {
        self.drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
    }

    /// One decision: applied, then written down.
    fn note(&mut self, record: &mut Vec<Fact>, what: What) -> Result<(), Illegal> {
        let fact = Fact { at: self.now, what };
        self.apply(&fact)?;
        record.push(fact);
        Ok(())
    }

    fn hear_input(&mut self, input: Input, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        match input {
            Input::Started(beginning) => self.begin(*beginning, record),
            Input::Lost { batch } => {
                let message = "the process ended before an answer was recorded".to_owned();
                self.note(record, What::Unanswered { batch, message, lost: true })?;
                self.bar_after(record)
            }
            Input::Promote(promotion) => self.promoted(promotion, record),
            Input::Cleared(wall) => {
                self.cleared = Some(wall);
                Ok(())
            }
            Input::Ticked => Ok(()),
            Input::Slots(slots) => {
                self.limiter.share(slots);
                Ok(())
            }
            Input::Granted(granted) => {
                self.limiter.grant(self.now, granted);
                Ok(())
            }
            Input::Stop(StopReason::SignalAgain) => {
                self.leaving = true;
                self.stop(StopReason::SignalAgain, record)
            }
            Input::Stop(why) => {
                self.drain_until.get_or_insert(Moment(self.now.0.saturating_add(self.drain_ms)));
                self.stop(why, record)
            }
            Input::Replied { call, reply } => self.hear_reply(call, reply, record),
        }
    }

    fn stop(&mut self, why: StopReason, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        if self.stopping.is_some() && why != StopReason::SignalAgain {
            return Ok(());
        }
        self.note(record, What::Stopping { why })
    }

    fn start_calls(&mut self, turn: &mut Turn) -> Result<(), Illegal> {
        while !self.leaving && self.limiter.opening(self.now) == Opening::Now {
            let poll = self.next_poll().filter(|(due, _)| *due <= self.now).map(|(_, of)| of);
            let act = self.next_act().filter(|(ready, _)| *ready <= self.now).map(|(_, lane)| lane);
            let forbidden = self.asks_before_acts && self.cleared.is_none();
            match (act, poll) {
                (Some(lane), poll) if poll.is_none() || !self.acted_last => {
                    if forbidden {
                        // It keeps its turn: polls that took it would leave no call for acts.
                        turn.asks = true;
                        break;
                    }
                    self.start_act(lane, turn)?;
                }
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
        let items = self.lanes[&lane].peek(self.batch_size());
        let at = self.cleared.map_or(self.now, |wall| wall.max(self.now));
        let expired: Vec<ItemId> = items.iter().copied().filter(|item| self.items.is_expired(*item, at.0)).collect();
        if !expired.is_empty() {
            // Whatever is left of the batch is put together anew.
            let targets: BTreeSet<u32> = expired.iter().map(|item| self.items.target(*item)).collect();
            self.note(&mut turn.record, What::Expired { items: expired })?;
            return targets
                .into_iter()
                .try_for_each(|target| self.shut_what_cannot_come(target..target + 1, &mut turn.record));
        }
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
        let step = self.step_of(of);
        self.start(Flight::Poll { of, started: self.now }, CallWhat::Poll { of, step }, turn);
    }

    fn start(&mut self, flight: Flight, what: CallWhat, turn: &mut Turn) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.limiter.start();
        self.in_flight.insert(id, flight);
        turn.calls.push(Call { id, what });
    }

    /// How many items the next act may hold.
    fn batch_size(&self) -> usize {
        let most = usize::from(self.config.batch_size);
        self.room_in_budget().map_or(most, |room| most.min(usize::try_from(room).unwrap_or(most)))
    }

    /// The lane to send from next, and from when on: at once when a batch is full or no more items can join it, else
    /// after lingering for as long as a call costs.
    fn next_act(&self) -> Option<(Moment, state::LaneKey)> {
        // While acts are refused, one at a time feels its way.
        let refused = self.throttled_in_a_row + self.not_sent_in_a_row > 0;
        let full = self.batch_size();
        if self.stopping.is_some() || self.only_polls || full == 0 || refused && self.submitted > 0 {
            return None;
        }
        let shut = self.acts_shut_until;
        let linger = self.limiter.call_cost_ms().min(LINGER_MAX_MS);
        self.lanes
            .iter()
            .filter(|((step, _), lane)| !lane.is_empty() && !self.is_held(*step))
            .map(|(key, lane)| {
                let more = self.items.waiting() > 0 || self.hosts.keeps_some();
                let waits = more && lane.agents() < full;
                (shut.max(if waits { Moment(lane.since().0 + linger) } else { Moment(0) }), *key)
            })
            .min()
    }

    fn next_poll(&mut self) -> Option<(Moment, RemediationRef)> {
        if self.drain_until.is_some_and(|until| until <= self.now) { None } else { self.poller.longest_due() }
    }

    /// Whether the process is done, and what to wait for if not.
    fn conclude(&mut self, record: &mut Vec<Fact>) -> Result<Then, Illegal> {
        if self.ended.is_some() {
            return Ok(Then::Finished);
        }
        let poll = self.next_poll().map(|(due, _)| due);
        let act = self.next_act().map(|(ready, _)| ready);
        let drained = self.drain_until.is_some_and(|until| until <= self.now);
        let gate = self.turnstile();
        let is_met = || self.gate().is_some_and(|gate| gate.met);
        let asks = matches!(gate, Some(Turnstile::Waits(Some(_)))) && self.awaiting_since.is_some() && is_met();
        let idle = self.in_flight.is_empty() && self.submitted == 0 && act.is_none() && (poll.is_none() || drained);
        let idle = idle && !asks;
        if self.leaving && (self.in_flight.is_empty() || self.stopping == Some(StopReason::SignalAgain)) || idle {
            self.tally(record)?;
            if self.stopping.is_none() && self.holds_ready_items() {
                self.note(record, What::Stopping { why: StopReason::Held })?;
            }
            if self.stopping.is_none() && gate.is_some() {
                self.note(record, What::Stopping { why: StopReason::Gate })?;
            }
            let complete = self.is_complete();
            self.note(record, What::Ended { complete })?;
            return Ok(Then::Finished);
        }
        let wanted = poll.into_iter().chain(act).min().filter(|_| !self.leaving);
        let call = match (wanted, self.limiter.opening(self.now)) {
            (None, _) | (_, Opening::AfterReply) => None,
            // What is due by now is wished for, and comes with what is granted.
            (Some(wanted), Opening::AfterGrant) => Some(wanted).filter(|wanted| *wanted > self.now),
            (Some(wanted), Opening::Now) => Some(wanted),
            (Some(wanted), Opening::At(open)) => Some(wanted.max(open)),
        };
        let drain = self.drain_until.filter(|until| *until > self.now);
        let late = match gate {
            Some(Turnstile::Waits(until)) if !self.leaving => until,
            _ => None,
        };
        Ok(call.into_iter().chain(drain).chain(late).min().map_or(Then::WaitForInput, Then::WaitUntil))
    }

    fn tally(&mut self, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let (gets, throttled) = (self.tally_gets, self.tally_throttled);
        if gets == 0 && throttled == 0 {
            return Ok(());
        }
        self.note(record, What::Tallied { gets, throttled })
    }
}

#[cfg(test)]
mod tests;
