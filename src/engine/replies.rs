//! What answers mean for the run: each becomes facts, and opens or shuts the way for further calls.
//!
//! It starts no calls; [`super::Engine::turn`] does when the answer has been heard.

use super::call::{ActReply, Detail, LimitHeaders, PollReply, Reply, ReplyBody};
use super::fact::{
    BatchId, CallId, Fact, ItemId, Moment, NotCarriedOut, PairedBy, RemediationRef, Settled, StopReason, What,
};
use super::limiter::backoff_ms;
use super::pairing::{End, Named, fingerprint};
use super::state::{Config, Engine, Flight, Illegal, Stage};
use super::tag;
use crate::plan::OnUnknown;
use crate::tenant::Meaning;

/// Times in a row that acts could surely not be sent before the run gives up.
const NOT_SENT_MAX: u32 = 5;
/// Times in a row that acts were refused for a limit, each after the wait it was told, before the run gives up.
const THROTTLED_MAX: u32 = 20;
/// Acts in a row that were left without a readable answer before the run stops acting.
const UNANSWERED_MAX: u32 = 2;
/// Last polls in a row, one for each opening of the gate, that bring no answer before the run leaves its items open.
const LAST_POLLS_UNANSWERED_MAX: u32 = 3;

impl Engine {
    pub(super) fn hear_reply(&mut self, call: CallId, reply: Reply, record: &mut Vec<Fact>) -> Result<(), Illegal> {
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
                self.bar_after(record)
            }
            ActReply::NotCarriedOut { why, message } => {
                self.note(record, What::Returned { batch, why, message })?;
                self.not_carried_out(why, token, limits, record)
            }
            ActReply::Unreadable { message } => {
                if limits.wait.is_some() {
                    self.shut(limits);
                }
                let step = self.step_of(RemediationRef { batch, index: 0 });
                self.note(record, What::Unanswered { batch, message, lost: false })?;
                self.bar_after(record)?;
                if self.config.steps[usize::from(step)].on_unknown == OnUnknown::Stop {
                    return self.hold(step, record);
                }
                self.unanswered_in_a_row += 1;
                if self.unanswered_in_a_row >= UNANSWERED_MAX {
                    self.stop(StopReason::Unanswered, record)?;
                }
                Ok(())
            }
        }
    }

    /// No further act of this step's action until a person has looked.
    fn hold(&mut self, step: u16, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        if self.is_held(step) { Ok(()) } else { self.note(record, What::Held { step }) }
    }

    fn not_carried_out(
        &mut self,
        why: NotCarriedOut,
        token: u32,
        limits: &LimitHeaders,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        // Calls that fail together are one trouble: a moment's outage must not end a run with many in flight.
        let once = u32::from(self.limiter.shut_until(self.now).is_none());
        match why {
            NotCarriedOut::Throttled => {
                self.tally_throttled += 1;
                self.throttled_in_a_row += once;
                self.shut_acts(self.throttled_in_a_row, limits);
                if self.throttled_in_a_row >= THROTTLED_MAX {
                    self.stop(StopReason::Unreachable, record)?;
                }
                Ok(())
            }
            NotCarriedOut::NotSent => {
                self.not_sent_in_a_row += once;
                self.shut_acts(self.not_sent_in_a_row, limits);
                if self.not_sent_in_a_row >= NOT_SENT_MAX {
                    self.stop(StopReason::Unreachable, record)?;
                }
                Ok(())
            }
            NotCarriedOut::NotSentForGood => self.stop(StopReason::Unreachable, record),
            NotCarriedOut::Unauthorized => {
                let (known, gone) = refuse(self.act_token_refused, token);
                self.act_token_refused = known;
                self.sign_in_failed_if(gone, record)
            }
            NotCarriedOut::WrongPlace => self.stop(StopReason::WrongPlace, record),
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
                self.polling_works(token);
                self.read_detail(of, started, *detail, record)
            }
            PollReply::NotFound { status } => {
                self.polling_works(token);
                self.nothing_yet(of, started, false, format!("the API answered {status} for its id"), record)
            }
            PollReply::Throttled => {
                self.tally_throttled += 1;
                self.count_last_poll_unanswered(of, started, record)?;
                self.poller.again_now(of, self.now);
                self.shut(limits);
                Ok(())
            }
            PollReply::Unauthorized => {
                self.poller.again_now(of, self.now);
                let (known, gone) = refuse(self.poll_token_refused, token);
                self.poll_token_refused = known;
                self.sign_in_failed_if(gone, record)
            }
            PollReply::Failed { message } => {
                if limits.wait.is_some() {
                    self.shut(limits);
                }
                self.last_polls_unanswered = 0;
                self.nothing_yet(of, started, true, message, record)
            }
            PollReply::NoAnswer { for_good: false, .. } => {
                self.count_last_poll_unanswered(of, started, record)?;
                self.poller.again_later(of, started, self.now, true);
                self.shut(limits);
                Ok(())
            }
            PollReply::NoAnswer { for_good: true, .. } => {
                self.leaving = true;
                self.stop(StopReason::Unreachable, record)
            }
        }
    }

    /// Nothing times out because the network is gone: after a few last polls without an answer the process leaves, and
    /// what is open stays so for `resume`.
    fn count_last_poll_unanswered(
        &mut self,
        of: RemediationRef,
        started: Moment,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        if !self.poller.was_last(of, started) || self.limiter.shut_until(self.now).is_some() {
            return Ok(());
        }
        self.last_polls_unanswered += 1;
        if self.last_polls_unanswered < LAST_POLLS_UNANSWERED_MAX {
            return Ok(());
        }
        self.leaving = true;
        self.stop(StopReason::Unreachable, record)
    }

    /// A detail says whose it is and how far it is.
    fn read_detail(
        &mut self,
        of: RemediationRef,
        started: Moment,
        detail: Detail,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        if let Some(item) = self.late.get(&of).copied() {
            return self.read_late(of, item, detail, record);
        }
        let Some(Stage::Accepted(batch)) = self.batches.get_mut(&of.batch) else { return Ok(()) };
        let place = usize::from(of.index);
        let named = self.config.named(batch.step, of.batch, &detail);
        if let Some(item) = batch.contradicts(place, named) {
            return self.describes_something_else(of, item, detail.status, record);
        }
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
                self.poller.was_last(of, started).then_some(late)
            }
        };
        let Some(outcome) = outcome else {
            self.poller.again_later(of, started, self.now, true);
            return self.rule(of.batch, record);
        };
        self.end(of, End { outcome, status: Some(word), message: detail.status_message }, record)
    }

    /// What was still open at its deadline is looked at once more. Only a detail that names the item changes anything.
    fn read_late(
        &mut self,
        of: RemediationRef,
        item: ItemId,
        detail: Detail,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        self.poller.forget(of);
        let step = self.items.step(item);
        let named = self.config.named(step, of.batch, &detail);
        let Some(by) = self.names(item, step, named) else { return Ok(()) };
        let word = detail.status.unwrap_or_default();
        let outcome = match self.config.statuses.meaning(&word) {
            Meaning::Succeeded => Settled::Succeeded,
            Meaning::Failed => Settled::Failed,
            Meaning::Pending => Settled::StillQueued,
            Meaning::Unlisted => Settled::TimedOut,
        };
        if self.unclear.get(&item).is_none_or(|unclear| unclear.outcome == outcome) {
            return Ok(());
        }
        let (of, by) = (Some(of), Some(by));
        self.note(record, What::Settled { item, outcome, of, by, status: Some(word), message: detail.status_message })
    }

    /// How a detail names this very item, if it does and contradicts it in nothing.
    pub(super) fn names(&self, item: ItemId, step: u16, named: Named) -> Option<PairedBy> {
        let (agent, unique) = self.items.fingerprints(item);
        let unique_named = named.unique.filter(|_| self.config.steps[usize::from(step)].compares_unique_id);
        let fits = named.agent.is_none_or(|named| named == agent) && unique_named.is_none_or(|named| named == unique);
        match (named.agent, unique_named) {
            _ if named.foreign || !fits => None,
            (Some(_), Some(_)) => Some(PairedBy::AgentAndUniqueId),
            (Some(_), None) => Some(PairedBy::Agent),
            (None, Some(_)) => Some(PairedBy::UniqueId),
            (None, None) => None,
        }
    }

    /// An id that was proven to be an item's own now shows another event or action: its word counts for nobody.
    fn describes_something_else(
        &mut self,
        of: RemediationRef,
        item: ItemId,
        status: Option<String>,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        let message = Some("its remediation id later described something else".to_owned());
        let outcome = Settled::Unmatched;
        self.note(record, What::Settled { item, outcome, of: Some(of), by: None, status, message })?;
        self.bar(item, record)?;
        self.rule(of.batch, record)
    }

    /// An answered poll that brought no detail; `found` unless the id is not there.
    fn nothing_yet(
        &mut self,
        of: RemediationRef,
        started: Moment,
        found: bool,
        message: String,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        if self.late.contains_key(&of) {
            self.poller.forget(of);
            return Ok(());
        }
        if !self.poller.was_last(of, started) {
            self.poller.again_later(of, started, self.now, found);
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
            self.bar(ruling.item, record)?;
            let step = self.items.step(ruling.item);
            if outcome == Settled::Unknown && self.config.steps[usize::from(step)].on_unknown == OnUnknown::Stop {
                self.hold(step, record)?;
            }
        }
        self.forget_what_is_done(id);
        Ok(())
    }

    /// After a whole batch came to nothing: its targets' later steps are barred.
    pub(super) fn bar_after(&mut self, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        for item in std::mem::take(&mut self.just_ended) {
            self.bar(item, record)?;
        }
        Ok(())
    }

    /// After an item ended: steps of its target whose turn cannot come any more.
    pub(super) fn bar(&mut self, item: ItemId, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let target = self.items.target(item);
        self.shut_what_cannot_come(target..target + 1, record)
    }

    fn sign_in_failed_if(&mut self, gone: bool, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        if !gone {
            return Ok(());
        }
        self.leaving = true;
        self.stop(StopReason::SignIn, record)
    }

    /// An act was answered. Polls that work say nothing of this: a server may read well and refuse every act.
    fn acting_works(&mut self, token: u32) {
        self.limiter.cleared();
        self.not_sent_in_a_row = 0;
        self.throttled_in_a_row = 0;
        self.unanswered_in_a_row = 0;
        self.acts_shut_until = Moment(0);
        self.act_token_refused = self.act_token_refused.filter(|refused| token <= *refused);
    }

    /// A poll was answered.
    fn polling_works(&mut self, token: u32) {
        self.limiter.cleared();
        self.last_polls_unanswered = 0;
        self.poll_token_refused = self.poll_token_refused.filter(|refused| token <= *refused);
    }

    /// Everybody waits, and acts by themselves for longer with each refusal in a row.
    fn shut_acts(&mut self, in_a_row: u32, limits: &LimitHeaders) {
        self.shut(limits);
        self.acts_shut_until = self.acts_shut_until.max(Moment(self.now.0 + backoff_ms(in_a_row)));
    }

    fn shut(&mut self, limits: &LimitHeaders) {
        self.limiter.shut(self.now, limits.wait, mixed(self.config.seed, self.next_call));
    }
}

/// A token that was refused gets one successor; when that is refused too, sign-in has failed. The latest refused one,
/// and whether it was a successor.
fn refuse(refused: Option<u32>, token: u32) -> (Option<u32>, bool) {
    (Some(refused.unwrap_or(token).max(token)), refused.is_some_and(|refused| token > refused))
}

impl Config {
    /// What a detail names, as far as it tells the items of its batch apart.
    pub(super) fn named(&self, step: u16, batch: BatchId, detail: &Detail) -> Named {
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
