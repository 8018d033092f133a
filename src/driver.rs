//! The IO shell around the engine: turn, append, start calls, wait.
//!
//! It decides nothing. What the engine says is appended durably before any call of that turn starts; several ready
//! answers are heard together and appended in one transaction. The first failure of the store ends the run in
//! this process: what could not be recorded is handed back, never dropped.

mod caller;
mod orders;

pub use caller::{Caller, OnlyPolls};
pub use orders::{NobodyLooks, Order, Overseer};

use crate::engine::call::{ActReply, Call, CallWhat, LimitHeaders, PollReply, Reply, ReplyBody};
use crate::engine::fact::{BatchId, CallId, Fact, Moment, What};
use crate::engine::{Beginning, Engine, Illegal, Input, Progress, Then, Turn, tag};
use crate::journal::{Head, Store, StoreError};
use crate::plan::PlanHeader;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Answers that are heard before their facts are appended in one transaction.
const INPUTS_PER_COMMIT_MAX: usize = 512;
/// How often a process looks for the slots that it lacks while others have them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The run clock: a moment at the start, monotonic time since.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    start: Moment,
    started: Instant,
}

impl RunClock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Moment) -> Self {
        Self { start, started: Instant::now() }
    }

    fn now(&self) -> Moment {
        Moment(self.start.0 + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2))
    }

    fn instant(&self, moment: Moment) -> Instant {
        self.started + Duration::from_millis(moment.0.saturating_sub(self.start.0))
    }
}

/// What a driver works with.
pub struct Driver<S, C> {
    /// The run's name, for the tags of its acts.
    pub run: String,
    /// The plan, as far as calls need it.
    pub header: Arc<PlanHeader>,
    /// The machine, with all earlier facts applied.
    pub engine: Engine,
    /// Where facts go.
    pub store: S,
    /// The end of what is there.
    pub head: Head,
    /// Who carries calls.
    pub api: Arc<C>,
    /// What is known and decided at the start.
    pub beginning: Beginning,
    /// The time.
    pub clock: RunClock,
}

/// Why a run ended before the engine said so.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The store failed. The ids are remediations that the API named and that could not be recorded.
    #[error("{cause}")]
    Store {
        /// Why.
        #[source]
        cause: StoreError,
        /// Remediation ids that are known to nobody else: batch, ids.
        unrecorded: Vec<(BatchId, Vec<String>)>,
    },
    /// A fact or an answer that cannot be: a bug. What had been heard before is recorded.
    #[error("the run met something that cannot be: {cause}")]
    Illegal {
        /// What.
        cause: Illegal,
        /// Remediation ids that came too late to be recorded: batch, ids.
        unrecorded: Vec<(BatchId, Vec<String>)>,
    },
}

/// How a run ended in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// How far it is.
    pub progress: Progress,
    /// Calls whose task died: a bug, though the run went on.
    pub died: u32,
}

impl<S: Store, C: Caller> Driver<S, C> {
    /// Carries the run on until it is finished or stopped. `watch` sees each round's facts after they are durable.
    pub async fn run(
        mut self,
        mut stops: mpsc::Receiver<Order>,
        mut overseer: impl Overseer,
        mut watch: impl FnMut(&Progress, &[Fact]),
    ) -> Result<Ending, DriverError> {
        if overseer.look_every().is_some() {
            self.engine.asks_before_acts();
        }
        let mut calls = Calls::default();
        let promotion = self.beginning.promotion.take();
        let mut inputs = vec![Input::Started(Box::new(std::mem::take(&mut self.beginning)))];
        let lost = self.engine.unanswered_acts();
        inputs.extend(lost.into_iter().map(|batch| Input::Lost { batch }));
        // After what is lost: only then is it known whether a gate's conditions hold.
        inputs.extend(promotion.map(Input::Promote));
        loop {
            let (round, illegal) = self.hear(inputs);
            if let Err(cause) = self.append(&round.record) {
                let unrecorded = self.await_acts(&round.record, calls, stops).await;
                return Err(DriverError::Store { cause, unrecorded });
            }
            if let Some(cause) = illegal {
                return Err(DriverError::Illegal { cause, unrecorded: self.await_acts(&[], calls, stops).await });
            }
            let (then, asks) = (round.then, round.asks);
            inputs = match self.go_on(round, &mut calls, &mut watch) {
                Ok(inputs) => inputs,
                Err(cause) => {
                    let unrecorded = self.await_acts(&[], calls, stops).await;
                    return Err(DriverError::Store { cause, unrecorded });
                }
            };
            if then == Then::Finished {
                return Ok(Ending { progress: self.engine.progress(), died: calls.died });
            }
            if asks {
                let heard = calls.look(&mut overseer, &mut stops).await;
                // What came in the meantime is heard with it: nothing is decided that an answer or a signal forbids.
                inputs.extend(heard);
            }
            if inputs.is_empty() {
                let look = overseer.look_every().map(|every| Instant::now() + every);
                let until = self.until(then).into_iter().chain(look).min();
                let mut heard = calls.wait(until, &mut stops).await;
                heard.extend(overseer.heard().into_iter().map(Input::from));
                // Before anything starts: somebody else may go first by now.
                inputs = match self.share() {
                    Ok(inputs) => inputs,
                    Err(cause) => {
                        let (round, _) = self.hear(heard);
                        let unrecorded = self.await_acts(&round.record, calls, stops).await;
                        return Err(DriverError::Store { cause, unrecorded });
                    }
                };
                inputs.extend(heard);
            }
        }
    }

    /// What follows once the facts of a round are durable: its calls start, and what is lacking is taken.
    fn go_on(
        &mut self,
        round: Turn,
        calls: &mut Calls,
        watch: &mut impl FnMut(&Progress, &[Fact]),
    ) -> Result<Vec<Input>, StoreError> {
        for call in round.calls {
            self.start(call, calls)?;
        }
        watch(&self.engine.progress(), &round.record);
        if round.then == Then::Finished {
            return self.settle().map(|()| Vec::new());
        }
        self.share()
    }

    /// Until when there is nothing to do but wait.
    fn until(&mut self, then: Then) -> Option<Instant> {
        let until = match then {
            Then::WaitUntil(moment) => Some(self.clock.instant(moment)),
            Then::WaitForInput | Then::Finished => None,
        };
        let lacks_slots = self.engine.wish().slots > self.engine.slots();
        let look = lacks_slots.then(|| Instant::now() + LOOK_EVERY);
        until.into_iter().chain(look).min()
    }

    /// Hears all that is there, then decides. What was heard before something illegal still counts.
    fn hear(&mut self, inputs: Vec<Input>) -> (Turn, Option<Illegal>) {
        let mut turn = Turn::default();
        let heard = inputs.into_iter().try_for_each(|input| self.engine.hear(self.clock.now(), input, &mut turn));
        let illegal = heard.and_then(|()| self.engine.decide(&mut turn)).err();
        (turn, illegal)
    }

    fn append(&mut self, record: &[Fact]) -> Result<(), StoreError> {
        if !record.is_empty() {
            self.head = self.store.append(self.head, record)?;
        }
        Ok(())
    }

    /// Takes what the engine wishes for of what all runs of the tenant share, as far as it is there. Nothing to hear
    /// means that nothing has changed.
    fn share(&mut self) -> Result<Vec<Input>, StoreError> {
        let wish = self.engine.wish();
        let slots = self.store.slots(&wish)?;
        let mut inputs = Vec::new();
        if slots != self.engine.slots() {
            inputs.push(Input::Slots(slots));
        }
        if wish.calls > 0
            && slots > wish.in_flight
            && let Some(ask) = self.engine.ask(self.clock.now(), wish.calls)
        {
            inputs.push(Input::Granted(self.store.reserve(&ask)?));
        }
        Ok(inputs)
    }

    /// The process ends: what it did with its reservations is entered, and the rest given back.
    fn settle(&mut self) -> Result<(), StoreError> {
        let Some(account) = self.engine.settle(self.clock.now()) else { return Ok(()) };
        self.store.reserve(&account).map(drop)
    }

    /// Starts a call whose intent is durable. Its texts are loaded here: the engine has only numbers.
    fn start(&mut self, call: Call, calls: &mut Calls) -> Result<(), StoreError> {
        let (api, header) = (Arc::clone(&self.api), Arc::clone(&self.header));
        match call.what {
            CallWhat::Act { batch, step, items } => {
                let bodies = self.store.bodies(&items)?;
                let comment = tag::comment_of(&self.header.comment, &self.run, batch);
                calls.spawn(call.id, Some(batch), async move {
                    api.act(&header.steps[usize::from(step)].action, &bodies, &comment).await
                });
            }
            CallWhat::Poll { of, step } => {
                let id = self.store.remediation_id(of)?;
                calls.spawn(call.id, None, async move { api.poll(&header.steps[usize::from(step)].action, &id).await });
            }
        }
        Ok(())
    }

    /// Nothing can be recorded any more: acts in flight are awaited, so that ids they bring are at least told to the
    /// operator. A signal ends the waiting.
    async fn await_acts(
        &self,
        record: &[Fact],
        mut calls: Calls,
        mut stops: mpsc::Receiver<Order>,
    ) -> Vec<(BatchId, Vec<String>)> {
        let mut unrecorded: Vec<(BatchId, Vec<String>)> = Vec::new();
        for fact in record {
            if let What::Accepted { batch, ids } = &fact.what {
                unrecorded.push((*batch, ids.clone()));
            }
        }
        loop {
            tokio::select! {
                biased;
                answered = calls.next_act() => match answered {
                    Some((batch, Reply { body: ReplyBody::Act(ActReply::Accepted { ids }), .. })) => {
                        unrecorded.push((batch, ids));
                    }
                    Some(_) => {}
                    None => return unrecorded,
                },
                Some(_) = stops.recv() => return unrecorded,
            }
        }
    }
}

/// The calls in flight.
#[derive(Default)]
struct Calls {
    tasks: JoinSet<Reply>,
    /// Which call each task makes; for acts, the batch.
    ids: HashMap<tokio::task::Id, (CallId, Option<BatchId>)>,
    died: u32,
}

impl Calls {
    fn spawn(&mut self, call: CallId, batch: Option<BatchId>, task: impl Future<Output = Reply> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.ids.insert(handle.id(), (call, batch));
    }

    /// Has somebody look whether acts may start. A signal ends the looking, and then nothing is cleared.
    async fn look(&mut self, overseer: &mut impl Overseer, stops: &mut mpsc::Receiver<Order>) -> Vec<Input> {
        let mut inputs = tokio::select! {
            biased;
            Some(order) = stops.recv() => vec![order.into()],
            orders = overseer.before_act() => {
                let orders = orders.into_iter().map(Input::from);
                std::iter::once(Input::Cleared(overseer.wall())).chain(orders).collect()
            }
        };
        while inputs.len() < INPUTS_PER_COMMIT_MAX
            && let Some(ended) = self.tasks.try_join_next_with_id()
        {
            inputs.push(self.answered(ended));
        }
        inputs.extend(std::iter::from_fn(|| stops.try_recv().ok()).map(Input::from));
        inputs
    }

    /// Waits for an answer, a stop, or the time; takes every answer that is ready.
    async fn wait(&mut self, until: Option<Instant>, stops: &mut mpsc::Receiver<Order>) -> Vec<Input> {
        let timer = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let mut inputs = Vec::new();
        let mut last = None;
        // In this order, not in a random one: the same answers at the same times give the same facts.
        tokio::select! {
            biased;
            Some(order) = stops.recv() => last = Some(order.into()),
            Some(ended) = self.tasks.join_next_with_id() => inputs.push(self.answered(ended)),
            () = timer => last = Some(Input::Ticked),
        }
        while inputs.len() < INPUTS_PER_COMMIT_MAX
            && let Some(ended) = self.tasks.try_join_next_with_id()
        {
            inputs.push(self.answered(ended));
        }
        // A stop comes after the answers that were there with it: what ends the run must be the last thing heard.
        inputs.extend(last);
        inputs
    }

    fn answered(&mut self, ended: Result<(tokio::task::Id, Reply), tokio::task::JoinError>) -> Input {
        let (task, reply) = match ended {
            Ok((task, reply)) => (task, Some(reply)),
            Err(died) => (died.id(), None),
        };
        let (call, batch) = self.ids.remove(&task).expect("every task was entered when it was spawned");
        let reply = reply.unwrap_or_else(|| {
            self.died += 1;
            reply_of_the_dead(batch.is_some())
        });
        Input::Replied { call, reply }
    }

    /// The next act's answer, when one is in flight; polls are dropped.
    async fn next_act(&mut self) -> Option<(BatchId, Reply)> {
        loop {
            if !self.ids.values().any(|(_, batch)| batch.is_some()) {
                return None;
            }
            match self.tasks.join_next_with_id().await? {
                Ok((task, reply)) => {
                    if let Some((_, Some(batch))) = self.ids.remove(&task) {
                        return Some((batch, reply));
                    }
                }
                Err(died) => {
                    self.ids.remove(&died.id());
                }
            }
        }
    }
}

/// A task that died may have sent its act: nobody knows. A poll is simply made again.
fn reply_of_the_dead(is_act: bool) -> Reply {
    let message = "the task that made this call died; this is a bug".to_owned();
    let body = if is_act {
        ReplyBody::Act(ActReply::Unreadable { message })
    } else {
        // Not an answer: what was never answered must not time out by it.
        ReplyBody::Poll(PollReply::NoAnswer { message, for_good: false })
    };
    Reply { token: 0, limits: LimitHeaders::default(), body }
}

#[cfg(test)]
mod tests;
