//! The one function that changes what is durable of the engine's state: [`Engine::apply`].
//!
//! Live and replay both come through here. Facts that cannot follow each other are refused, never ignored.

use super::fact::{BatchId, Fact, ItemId, Moment, RemediationRef, Settled, What};
use super::items::State;
use super::pairing::{Batch, Member, fingerprint};
use super::state::{Engine, Illegal, Stage};
use super::unclear::Unclear;
use crate::tenant::{EventType, Meaning};

/// The end of the year 9999. No clock shows more; sums with it stay far from the end of the numbers.
const MOMENT_MAX: Moment = Moment(253_402_300_799_999);

impl Engine {
    /// Changes the state by one fact. Facts that cannot follow each other are an error, never ignored.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), Illegal> {
        if fact.at > MOMENT_MAX {
            return Err(Illegal(format!("a fact is dated {} ms after 1970", fact.at.0)));
        }
        if !self.started && fact.what != What::Started {
            return Err(Illegal("something happened before the run began".to_owned()));
        }
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
            What::Resumed { only_polls, .. } => {
                self.resumed(*only_polls, fact.at);
                Ok(())
            }
            What::DoneBefore { items, became, .. } => self.done_before(items, became.is_done(), fact.at),
            What::Permitted { items, .. } => {
                if let Some(item) = items.iter().find(|item| self.items.state(**item).is_none()) {
                    return Err(Illegal(format!("item {} was permitted and is not in the plan", item.0)));
                }
                self.permitted.extend(items);
                Ok(())
            }
            What::Adopted { .. } => Ok(()),
            What::Held { step } => {
                self.held.insert(self.action_of(*step)?);
                Ok(())
            }
            What::Released { step } => {
                let action = self.action_of(*step)?;
                self.held.remove(&action);
                Ok(())
            }
            What::Continued { .. } => {
                self.held.clear();
                self.unclear.values_mut().for_each(|unclear| unclear.holds = false);
                Ok(())
            }
            What::Resolved { items, .. } => {
                for item in items {
                    match self.unclear.remove(item) {
                        Some(unclear) if unclear.outcome != Settled::StillQueued => {
                            self.resolved.insert(*item, unclear);
                        }
                        None if self.resolved.contains_key(item) => {}
                        _ => return Err(Illegal(format!("item {} was resolved and is not unclear", item.0))),
                    }
                }
                Ok(())
            }
            What::Submitting { batch, step, event_type, items } => self.submitting(*batch, *step, *event_type, items),
            What::Accepted { batch, ids } => self.accepted(*batch, ids, fact.at),
            What::Rejected { batch, .. } => {
                let ended = self.end_batch(*batch)?;
                self.progress.failed += ended;
                Ok(())
            }
            What::Unanswered { batch, lost, .. } => {
                let ended = self.end_batch(*batch)?;
                self.progress.unclear += ended;
                let unclear = Unclear { outcome: Settled::Unknown, of: None, holds: !lost };
                self.unclear.extend(self.just_ended.iter().map(|item| (*item, unclear)));
                Ok(())
            }
            What::Returned { batch, .. } => self.returned(*batch, fact.at),
            What::Seen { of, .. } if !self.poller.watches(*of) => {
                Err(Illegal(format!("id {} of batch {} was seen and is not open", of.index, of.batch.0)))
            }
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
                if !self.items.has_failed(*target, *step) {
                    return Err(Illegal(format!("step {step} bars target {target} and has not failed there")));
                }
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
            What::Ended { complete: true } if !self.is_complete() => {
                Err(Illegal("the run ended as complete with items that have no outcome".to_owned()))
            }
            What::Ended { complete } => {
                self.ended = Some(*complete);
                Ok(())
            }
        }
    }

    fn resumed(&mut self, only_polls: bool, at: Moment) {
        for of in std::mem::take(&mut self.late).into_keys() {
            self.poller.forget(of);
        }
        self.only_polls = only_polls;
        if only_polls {
            let may_change = |unclear: &Unclear| matches!(unclear.outcome, Settled::StillQueued | Settled::TimedOut);
            let late = self.unclear.iter().filter(|(_, unclear)| may_change(unclear));
            self.late = late.filter_map(|(item, unclear)| Some((unclear.of?, *item))).collect();
            self.late.keys().for_each(|of| self.poller.watch_once(*of, at));
        }
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

    /// Items that this run does not send: an earlier one did, or may have.
    fn done_before(&mut self, items: &[ItemId], succeeded: bool, at: Moment) -> Result<(), Illegal> {
        for item in items {
            match self.items.state(*item) {
                Some(State::Waiting) => self.waiting -= 1,
                Some(State::Ready) => {
                    let key = (self.items.step(*item), self.items.event_type(*item));
                    let agent = self.items.agent(*item);
                    if !self.lanes.get_mut(&key).is_some_and(|lane| lane.remove(agent, *item)) {
                        return Err(Illegal(format!("item {} is ready and in no lane", item.0)));
                    }
                }
                state => return Err(Illegal(format!("item {} was done before and is {state:?}", item.0))),
            }
            let ready = self.items.settle(*item, succeeded);
            self.waiting -= ready.len();
            self.enqueue(&ready, at);
        }
        self.progress.settled += items.len() as u64;
        self.progress.skipped += items.len() as u64;
        Ok(())
    }

    fn enqueue(&mut self, ready: &[ItemId], at: Moment) {
        for item in ready {
            let key = (self.items.step(*item), self.items.event_type(*item));
            self.lanes.entry(key).or_default().push(self.items.agent(*item), *item, at);
        }
    }

    fn submitting(&mut self, id: BatchId, step: u16, kind: EventType, items: &[ItemId]) -> Result<(), Illegal> {
        if items.is_empty() || self.batches.contains_key(&id) || id.0 < self.next_batch || id.0 == u32::MAX {
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
        if ids.len() > usize::from(u16::MAX) {
            return Err(Illegal(format!("batch {} has {} ids", id.0, ids.len())));
        }
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
        if of.is_some_and(|of| self.late.get(&of) == Some(&item)) {
            return self.settled_late(item, outcome);
        }
        // An id of another batch is never this item's own, whatever its position.
        let batch = self.items.batch(item).filter(|own| of.is_none_or(|of| of.batch == *own));
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
        *self.count_of(outcome) += 1;
        if !matches!(outcome, Settled::Succeeded | Settled::Failed) {
            self.unclear.insert(item, Unclear { outcome, of, holds: outcome == Settled::Unknown });
        }
        if let Some(of) = of {
            self.poller.forget(of);
        }
        self.forget_what_is_done(batch);
        Ok(())
    }

    /// What was still open at its deadline has another outcome by now. Later steps of its target stay barred.
    fn settled_late(&mut self, item: ItemId, outcome: Settled) -> Result<(), Illegal> {
        let Some(before) = self.unclear.remove(&item) else {
            return Err(Illegal(format!("item {} settled late and was clear already", item.0)));
        };
        *self.count_of(before.outcome) -= 1;
        *self.count_of(outcome) += 1;
        if !matches!(outcome, Settled::Succeeded | Settled::Failed) {
            self.unclear.insert(item, Unclear { outcome, ..before });
        }
        Ok(())
    }

    fn count_of(&mut self, outcome: Settled) -> &mut u64 {
        match outcome {
            Settled::Succeeded => &mut self.progress.succeeded,
            Settled::Failed | Settled::TimedOut => &mut self.progress.failed,
            Settled::StillQueued => &mut self.progress.still_queued,
            Settled::Unknown | Settled::Unmatched => &mut self.progress.unclear,
        }
    }
}
