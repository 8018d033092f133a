//! The one function that changes what is durable of the engine's state: [`Engine::apply`].
//!
//! Live and replay both come through here. Facts that cannot follow each other are refused, never ignored.

use super::fact::{BatchId, Fact, ItemId, Moment, RemediationRef, Settled, What};
use super::items::{End, State};
use super::pairing::{Batch, Member, fingerprint};
use super::state::{Engine, Illegal, Stage};
use super::unclear::Unclear;
use super::waves::NewestWave;
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
                self.release_next(fact.at);
                Ok(())
            }
            What::Resumed { only_polls, .. } => {
                self.resumed(*only_polls, fact.at);
                Ok(())
            }
            What::DoneBefore { items, became, .. } => {
                let end = if became.is_done() { End::Succeeded } else { End::Other };
                self.leave_out(items, end, fact.at)?;
                self.progress.skipped += items.len() as u64;
                Ok(())
            }
            What::Blocked { items, .. } => {
                self.leave_out(items, End::Other, fact.at)?;
                self.progress.blocked += items.len() as u64;
                Ok(())
            }
            What::Expired { items } => {
                self.leave_out(items, End::Other, fact.at)?;
                self.progress.skipped += items.len() as u64;
                Ok(())
            }
            What::Permitted { items, .. } => {
                if let Some(item) = items.iter().find(|item| self.items.state(**item).is_none()) {
                    return Err(Illegal(format!("item {} was permitted and is not in the plan", item.0)));
                }
                self.permitted.extend(items);
                Ok(())
            }
            What::Adopted { .. } | What::Approved { .. } => Ok(()),
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
                self.forgiven = self.failures;
                self.unclear.values_mut().for_each(|unclear| unclear.holds = false);
                Ok(())
            }
            What::Resolved { items, finding, .. } => {
                items.iter().try_for_each(|item| self.found(*item, finding.is_well()))
            }
            What::Submitting { batch, step, event_type, items } => self.submitting(*batch, *step, *event_type, items),
            What::Accepted { batch, ids } => self.accepted(*batch, ids, fact.at),
            What::Rejected { batch, .. } => {
                let ended = self.end_batch(*batch, Settled::Failed, fact.at)?;
                self.progress.failed += ended;
                Ok(())
            }
            What::Unanswered { batch, lost, .. } => {
                let ended = self.end_batch(*batch, Settled::Unknown, fact.at)?;
                self.progress.unclear += ended;
                let unclear = Unclear { outcome: Settled::Unknown, of: None, holds: !lost, well: false };
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
            What::Barred { target, step } => self.barred(*target, *step, fact.at),
            What::Unmet { step, targets } => targets.iter().try_for_each(|target| self.unmet(*target, *step, fact.at)),
            What::Awaiting { wave } => {
                self.expect_gate(*wave)?;
                self.awaiting_since = Some(fact.at);
                Ok(())
            }
            What::Promoted { wave, reason, held, .. } => {
                self.expect_gate(*wave)?;
                if reason.is_some() && !held {
                    self.forgiven_by_gate = self.failures;
                }
                self.release_next(fact.at);
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
        self.gate_since = at;
        self.awaiting_since = None;
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

    /// The targets of the next wave are released.
    fn release_next(&mut self, at: Moment) {
        let released = self.items.released();
        let next = self.config.waves.iter().copied().find(|end| *end > released);
        let ready = self.items.release(next.unwrap_or(released));
        self.newest_wave = NewestWave::beginning_with(released);
        self.gate_since = at;
        self.awaiting_since = None;
        self.enqueue(&ready, at);
    }

    fn expect_gate(&self, wave: u16) -> Result<(), Illegal> {
        match self.gate() {
            Some(gate) if gate.wave == wave => Ok(()),
            _ => Err(Illegal(format!("wave {wave} is not the next one"))),
        }
    }

    /// Items that this run does not send.
    fn leave_out(&mut self, items: &[ItemId], end: End, at: Moment) -> Result<(), Illegal> {
        for item in items {
            let (step, agent) = match self.items.state(*item) {
                Some(State::Waiting | State::Ready) => (self.items.step(*item), self.items.agent(*item)),
                state => return Err(Illegal(format!("item {} is not sent after all and is {state:?}", item.0))),
            };
            let mut freed = Vec::new();
            if self.items.state(*item) == Some(State::Ready) && !self.hosts.forget(agent, step, *item) {
                let key = (step, self.items.event_type(*item));
                if !self.lanes.get_mut(&key).is_some_and(|lane| lane.remove(agent, *item)) {
                    return Err(Illegal(format!("item {} is ready and in no lane", item.0)));
                }
                freed = self.hosts.leave(agent);
            }
            let ready = self.items.settle(*item, end);
            self.push(&freed, at);
            self.enqueue(&ready, at);
        }
        self.progress.settled += items.len() as u64;
        Ok(())
    }

    fn barred(&mut self, target: u32, step: u16, at: Moment) -> Result<(), Illegal> {
        if !self.items.bars(target, step) {
            return Err(Illegal(format!("step {step} bars target {target} and has not failed there")));
        }
        let (shut, ready) = self.items.bar(target, step);
        self.progress.barred += shut.len() as u64;
        self.progress.settled += shut.len() as u64;
        self.enqueue(&ready, at);
        Ok(())
    }

    fn unmet(&mut self, target: u32, step: u16, at: Moment) -> Result<(), Illegal> {
        if !self.items.is_unmet(target, step) {
            return Err(Illegal(format!("step {step} waits in vain on target {target} and need not")));
        }
        let (shut, ready) = self.items.pass_over(target, step);
        self.progress.skipped += shut.len() as u64;
        self.progress.settled += shut.len() as u64;
        self.enqueue(&ready, at);
        Ok(())
    }

    /// The turn of these items has come: they go into their lanes, or wait for their host.
    fn enqueue(&mut self, ready: &[ItemId], at: Moment) {
        for item in ready {
            if self.hosts.admit(self.items.agent(*item), self.items.step(*item), *item) {
                self.push(&[*item], at);
            }
        }
    }

    fn push(&mut self, admitted: &[ItemId], at: Moment) {
        for item in admitted {
            let key = (self.items.step(*item), self.items.event_type(*item));
            self.lanes.entry(key).or_default().push(self.items.agent(*item), *item, at);
        }
    }

    /// An item that was sent has its outcome.
    fn end_item(&mut self, item: ItemId, outcome: Settled, at: Moment) {
        let end = match outcome {
            Settled::Succeeded => End::Succeeded,
            Settled::Failed | Settled::TimedOut => End::Failed,
            Settled::StillQueued | Settled::Unknown | Settled::Unmatched => End::Other,
        };
        self.open_items -= 1;
        self.failures += u64::from(self.is_failure(item, outcome));
        let freed = self.hosts.leave(self.items.agent(item));
        let ready = self.items.settle(item, end);
        self.push(&freed, at);
        self.enqueue(&ready, at);
    }

    /// A person found out what became of an item, or corrects what was found before.
    fn found(&mut self, item: ItemId, well: bool) -> Result<(), Illegal> {
        let before = match (self.unclear.get(&item), self.resolved.get(&item)) {
            (Some(unclear), _) if unclear.outcome != Settled::StillQueued => *unclear,
            (None, Some(resolved)) => *resolved,
            _ => return Err(Illegal(format!("item {} was resolved and is not unclear", item.0))),
        };
        let counted = u64::from(self.is_failure(item, before.outcome));
        self.failures += u64::from(!well) * counted;
        self.failures -= u64::from(!before.well) * counted;
        self.forgive_no_more_than_there_are();
        self.unclear.remove(&item);
        self.resolved.insert(item, Unclear { well, ..before });
        Ok(())
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
        self.open_items += items.len() as u64;
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
    fn end_batch(&mut self, id: BatchId, outcome: Settled, at: Moment) -> Result<u64, Illegal> {
        let (_, items) = self.take_submitted(id)?;
        for item in &items {
            self.end_item(*item, outcome, at);
        }
        self.progress.settled += items.len() as u64;
        let ended = items.len() as u64;
        self.just_ended = items;
        Ok(ended)
    }

    fn returned(&mut self, id: BatchId, at: Moment) -> Result<(), Illegal> {
        let (_, items) = self.take_submitted(id)?;
        self.progress.sent -= items.len() as u64;
        self.open_items -= items.len() as u64;
        for item in &items {
            self.items.set(*item, State::Ready);
        }
        self.push(&items, at);
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
        self.end_item(item, outcome, at);
        self.progress.settled += 1;
        *self.count_of(outcome) += 1;
        self.newest_wave.hear(self.items.target(item), outcome);
        if !matches!(outcome, Settled::Succeeded | Settled::Failed) {
            self.unclear.insert(item, Unclear { outcome, of, holds: outcome == Settled::Unknown, well: false });
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
        let target = self.items.target(item);
        if before.outcome == Settled::StillQueued {
            self.newest_wave.found(target);
        }
        self.newest_wave.hear(target, outcome);
        self.failures -= u64::from(self.is_failure(item, before.outcome));
        self.failures += u64::from(self.is_failure(item, outcome));
        self.forgive_no_more_than_there_are();
        if !matches!(outcome, Settled::Succeeded | Settled::Failed) {
            self.unclear.insert(item, Unclear { outcome, ..before });
        }
        Ok(())
    }

    /// A failure that was none after all is forgiven to nobody else.
    fn forgive_no_more_than_there_are(&mut self) {
        self.forgiven = self.forgiven.min(self.failures);
        self.forgiven_by_gate = self.forgiven_by_gate.min(self.failures);
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
