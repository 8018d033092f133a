//! What a poll sees of a remediation in the model: its detail, another one's, or none.
//!
//! A detail may name too little, or be about something else. But one that misleads shows in at least one of its fields
//! that it is not about the item that it is read for: what nobody could tell apart is not asked of the engine.

use super::kinds::Kind;
use super::model::{Shown, State, Word};
use super::world::{Names, pick};
use crate::engine::call::{Detail, LimitHeaders, PollReply, Reply, ReplyBody};
use crate::engine::fact::{BatchId, RemediationRef};
use crate::tenant::Action;
use std::time::Duration;

/// The answer to a poll.
pub(super) struct PollAnswer {
    pub(super) reply: Reply,
    /// The remediation that its detail is about, and its word.
    about: Option<(usize, Word)>,
    /// How long it takes from the start, when that is longer than others.
    pub(super) takes: Option<u64>,
}

impl State {
    /// A poll leaves: its id must be one that an answer of this run named and that still matters.
    pub(super) fn check_poll(&mut self, action: &Action, id: &str) {
        self.seen.polls += 1;
        let (now, run) = (self.now(), self.run);
        let log = &self.runs.0[run];
        let refs =
            self.named_for.get(id).into_iter().flatten().filter(|batch| batch.0 == run).filter_map(|(_, number)| {
                let batch = log.batches.get(number)?;
                let index = batch.ids.iter().position(|known| known == id)? as u16;
                let fits = self.world.header.steps[usize::from(batch.step)].action == *action;
                fits.then_some((RemediationRef { batch: BatchId(*number), index }, batch))
            });
        // Several answers may be heard at once: what one of them settles may have been asked for because of another.
        let open = |item: &u32| log.ends[*item as usize].is_none() || log.ended_at[*item as usize] == now;
        let finished = |of: &RemediationRef| log.finished.get(of).is_some_and(|at| *at < now);
        let useful = refs.map(|(of, batch)| match finished(&of) {
            true => self.only_polls,
            false => batch.items.iter().any(open),
        });
        match useful.reduce(|one, other| one || other) {
            None => self.wrong(format!("{id:?} is polled, which no durable answer of this run named")),
            Some(false) => self.wrong(format!("{id:?} is polled, of which everything is settled")),
            Some(true) => {}
        }
    }

    /// It has arrived; what its client will see. `None` when its task dies.
    pub(super) fn answer_poll(&mut self, id: &str) -> Option<PollAnswer> {
        let now = self.now();
        self.deliver(now);
        let (mut about, mut takes, mut limits) = (None, None, LimitHeaders::default());
        let token = self.token;
        let body = match self.fault_of_poll() {
            Some(Kind::PollDies) => return None,
            Some(Kind::PollNoAnswer | Kind::Outage) => {
                takes = Some(self.world.header.limits.poll_timeout.as_millis() as u64);
                PollReply::NoAnswer { message: "no answer".to_owned(), for_good: false }
            }
            Some(Kind::PollNoAnswerForGood) => {
                PollReply::NoAnswer { message: "the certificate is none".to_owned(), for_good: true }
            }
            Some(Kind::PollUnauthorized) => PollReply::Unauthorized,
            Some(Kind::PollThrottledTold) => {
                limits.wait = Some(Duration::from_secs(self.chance.u64(0..100)));
                PollReply::Throttled
            }
            Some(Kind::PollThrottledUntold) => PollReply::Throttled,
            Some(Kind::PollFailedTold) => {
                limits.wait = Some(Duration::from_secs(self.chance.u64(0..100)));
                PollReply::Failed { message: "HTTP 503".to_owned() }
            }
            Some(_) => PollReply::Failed { message: "HTTP 500".to_owned() },
            None => {
                limits = self.headers();
                let (body, of) = self.look_up(id);
                about = of;
                body
            }
        };
        Some(PollAnswer { reply: Reply { token, limits, body: ReplyBody::Poll(body) }, about, takes })
    }

    fn fault_of_poll(&mut self) -> Option<Kind> {
        if self.is_outage() {
            self.seen.note(Kind::Outage);
            return Some(Kind::Outage);
        }
        if self.occurs(Kind::PollUnauthorized) {
            self.revoked = self.token;
        }
        if self.token <= self.revoked {
            return Some(Kind::PollUnauthorized);
        }
        let faults = [
            Kind::PollDies,
            Kind::PollNoAnswer,
            Kind::PollNoAnswerForGood,
            Kind::PollThrottledTold,
            Kind::PollThrottledUntold,
            Kind::PollFailedTold,
            Kind::PollFailed,
        ];
        faults.into_iter().find(|kind| self.occurs(*kind))
    }

    fn look_up(&mut self, id: &str) -> (PollReply, Option<(usize, Word)>) {
        let now = self.now();
        let Some(&asked) = self.by_id.get(id) else {
            self.wrong(format!("the id {id:?}, which no answer named, is polled"));
            return (PollReply::NotFound { status: 404 }, None);
        };
        let rem = &mut self.rems[asked];
        rem.polls += 1;
        if now < rem.hidden_until {
            let status = *pick(&mut self.chance, &[404, 204, 200]);
            return (PollReply::NotFound { status }, None);
        }
        if now >= rem.gone_from {
            return (PollReply::NotFound { status: 410 }, None);
        }
        let about = self.about(asked);
        let mut detail = self.detail_of(about);
        self.reveal(&mut detail, asked, about, id);
        let word = self.rems[about].word(now);
        detail.status = word.text.clone();
        (PollReply::Detail(Box::new(detail)), Some((about, word)))
    }

    /// Which remediation the detail shows: mostly the one that was asked for.
    fn about(&mut self, asked: usize) -> usize {
        let (quirk, polls, others) = (self.rems[asked].quirk, self.rems[asked].polls, self.rems.len());
        let strays = quirk == Some(Kind::AnotherItem) || quirk == Some(Kind::Wanders) && polls > 1;
        if strays && others > 1 { (asked + self.chance.usize(1..others)) % others } else { asked }
    }

    /// What this API shows of a remediation, as far as its details name anything.
    fn detail_of(&mut self, about: usize) -> Detail {
        let rem = &self.rems[about];
        let names = self.world.names;
        let named = |is: bool, text: &str| is.then(|| text.to_owned());
        let mut detail = Detail {
            agent_id: named(matches!(names, Names::Both | Names::Agent), &rem.agent),
            unique_id: named(matches!(names, Names::Both | Names::Unique), &rem.unique),
            action: Some(rem.action.clone()).filter(|_| names == Names::Both),
            comments: Some(rem.comment.clone()).filter(|_| names != Names::Nothing),
            ..Detail::default()
        };
        match names {
            Names::Both => {}
            Names::Agent => self.seen.note(Kind::NoUnique),
            Names::Unique => self.seen.note(Kind::NoAgent),
            Names::Nothing => self.seen.note(Kind::NoNames),
        }
        match rem.quirk {
            Some(Kind::OtherAction) => detail.action = Some("Something else".to_owned()),
            Some(Kind::ForeignTag) => detail.comments = Some("[quell other-0101-aaa/3]".to_owned()),
            Some(Kind::CutTag) => detail.comments = Some(rem.comment[..rem.comment.len() - 2].to_owned()),
            _ => {}
        }
        detail
    }

    /// Names more until it is not mistaken for what it is not about.
    fn reveal(&mut self, detail: &mut Detail, asked: usize, about: usize, id: &str) {
        let mut order = [0, 1, 2, 3];
        self.chance.shuffle(&mut order);
        for clue in order {
            if !self.misleads(detail, asked, about, id) {
                return;
            }
            let rem = &self.rems[about];
            match clue {
                0 => detail.agent_id = Some(rem.agent.clone()),
                1 => detail.unique_id = Some(rem.unique.clone()),
                2 => detail.action = Some(rem.action.clone()),
                _ => detail.comments = Some(rem.comment.clone()),
            }
        }
    }

    fn misleads(&self, detail: &Detail, asked: usize, about: usize, id: &str) -> bool {
        self.named_for.get(id).into_iter().flatten().any(|batch| {
            let own = asked == about && self.rems[about].of.is_some_and(|(run, number, _)| (run, number) == *batch);
            let is = |item: u32| self.rems[about].of == Some((batch.0, batch.1, item));
            let items = self.runs.items_of(*batch);
            !own && items.iter().any(|item| !is(*item) && self.fits(detail, *batch, *item))
        })
    }

    /// Whether nothing in a detail contradicts that it is about this item of this batch.
    fn fits(&self, detail: &Detail, batch: (usize, u32), item: u32) -> bool {
        let event = self.world.event(item);
        let step = self.world.step(item);
        let tag = format!("[quell {}/{}]", self.runs.name_of(batch.0), batch.1);
        let whole_tag = detail.comments.as_deref().and_then(|text| text.rfind("[quell ").map(|at| &text[at..]));
        let compares = self.world.compares_unique(item);
        detail.agent_id.as_deref().is_none_or(|agent| *agent == *event.agent_id)
            && (!compares || detail.unique_id.as_deref().is_none_or(|unique| *unique == *event.unique_id))
            && detail
                .action
                .as_ref()
                .is_none_or(|word| step.action.shown_as.is_empty() || step.action.shown_as.contains(word))
            && whole_tag.is_none_or(|text| text == tag || !text.contains(']'))
    }

    /// The client has the answer to a poll.
    pub(super) fn hand_over_poll(&mut self, id: &str, answer: &PollAnswer) {
        let ReplyBody::Poll(body) = &answer.reply.body else { return };
        self.tell(|| format!("answer to poll {id}: {body:?}, {:?}", answer.reply.limits.wait));
        self.hand_over(&answer.reply.limits);
        let now = self.now();
        let wait = answer.reply.limits.wait.map_or(0, |wait| wait.as_millis().min(3_600_000) as u64);
        match body {
            PollReply::Throttled => self.watch.told_to_wait(now, wait.max(1_000)),
            PollReply::Failed { .. } => self.watch.told_to_wait(now, wait),
            PollReply::Unauthorized if answer.reply.token == self.token => self.token += 1,
            _ => {}
        }
        if matches!(body, PollReply::Detail(_) | PollReply::NotFound { .. } | PollReply::Failed { .. }) {
            self.answered.insert(id.to_owned(), self.process);
        }
        if let (PollReply::Detail(detail), Some((about, word))) = (body, &answer.about) {
            self.note_shown(id, detail, *about, word);
        }
    }

    fn note_shown(&mut self, id: &str, detail: &Detail, about: usize, word: &Word) {
        let (process, of) = (self.process, rem_of(self.rems[about].of));
        let asked = self.by_id.get(id).copied();
        let batches = self.named_for.get(id).cloned().unwrap_or_default();
        for batch in batches {
            let items = self.runs.items_of(batch);
            let fitting = items.iter().filter(|item| self.fits(detail, batch, **item)).count();
            let names = |item: &u32| {
                detail.agent_id.is_some() || detail.unique_id.is_some() && self.world.compares_unique(*item)
            };
            let names = items.first().is_some_and(names);
            let own = asked.is_some_and(|asked| rem_of(self.rems[asked].of) == Some(batch));
            let log = self.runs.batch_mut(batch);
            log.vague |= own && asked == Some(about) && fitting > 0 && (fitting > 1 || !names);
            log.contradicted |= own && (asked != Some(about) || fitting == 0);
            log.vague |= !own && of == Some(batch);
        }
        let shown = Shown { process, word: word.clone(), about };
        self.shown.entry(id.to_owned()).or_default().push(shown);
    }
}

fn rem_of(of: Option<(usize, u32, u32)>) -> Option<(usize, u32)> {
    of.map(|(run, batch, _)| (run, batch))
}

impl super::model::Rem {
    pub(super) fn word(&self, now: u64) -> Word {
        let shown = self.words.iter().rev().find(|(from, _)| *from <= now);
        shown.map_or_else(|| self.words[0].1.clone(), |(_, word)| word.clone())
    }
}
