//! What becomes of an act in the model: whether it arrives, whether it is carried out, what its client sees of it.

use super::kinds::Kind;
use super::model::{Rem, State, Word};
use super::world::pick;
use crate::engine::call::{ActReply, ItemBody, LimitHeaders, Reply, ReplyBody};
use crate::engine::fact::NotCarriedOut;
use crate::engine::sent_or_not::{Answered, NoAnswer, Phase, Seen, SeenBody, judge};
use crate::tenant::{Action, Meaning};
use std::time::Duration;

/// What the model has in mind for one act.
#[derive(Debug, Clone)]
pub(super) struct ActPlan {
    /// Run and batch.
    pub(super) batch: (usize, u32),
    items: Vec<u32>,
    comment: String,
    fault: Option<Kind>,
    /// Whether it is carried out when it arrives.
    pub(super) executes: bool,
    token: u32,
    rems: Vec<usize>,
}

/// Faults of which nothing is carried out, whatever was sent.
const NEVER_EXECUTED: [Kind; 12] = [
    Kind::NotSent,
    Kind::NotSentForGood,
    Kind::NotExecutedNoAnswer,
    Kind::NotExecutedUnreadable,
    Kind::NotExecutedServerError,
    Kind::Rejected,
    Kind::ThrottledTold,
    Kind::ThrottledUntold,
    Kind::ThrottledFar,
    Kind::ConflictLimited,
    Kind::Unauthorized,
    Kind::WrongPlace,
];

/// Faults of which it depends.
const PERHAPS_EXECUTED: [Kind; 4] = [Kind::Redirected, Kind::Conflict, Kind::FilterPage, Kind::ActDies];

const ALWAYS_EXECUTED: [Kind; 4] =
    [Kind::ExecutedNoAnswer, Kind::ExecutedLate, Kind::ExecutedUnreadable, Kind::ExecutedServerError];

impl ActPlan {
    /// How long it is on its way, and its answer.
    pub(super) fn takes(&self, state: &mut State) -> (u64, u64) {
        let (there, back) = (state.latency(), state.latency());
        let timeout = state.world.header.limits.act_timeout.as_millis() as u64;
        match self.fault {
            Some(Kind::ExecutedNoAnswer | Kind::NotExecutedNoAnswer | Kind::ExecutedLate) => {
                (there.min(timeout), timeout.saturating_sub(there))
            }
            _ => (there, back),
        }
    }
}

impl State {
    /// An act leaves: everything about it must be as the durable intent says.
    pub(super) fn plan_act(&mut self, action: &Action, bodies: &[ItemBody], comment: &str) -> ActPlan {
        self.seen.acts += 1;
        if self.only_polls {
            self.wrong("a process that only polls acts".to_owned());
        }
        let named = comment.rsplit_once("[quell ").and_then(|(_, tag)| tag.strip_suffix(']')?.rsplit_once('/'));
        let found = named.and_then(|(run, batch)| Some((self.runs.index_of(run)?, batch.parse().ok()?)));
        let (batch, items) = match found.map(|batch| (batch, self.runs.leaves(batch))) {
            Some((batch, Ok(items))) => (batch, items),
            Some((batch, Err(wrong))) => {
                self.wrong(wrong);
                (batch, Vec::new())
            }
            None => {
                self.wrong(format!("an act without a tag: {comment:?}"));
                ((0, 0), Vec::new())
            }
        };
        let same = |(item, body): (&u32, &ItemBody)| self.world.event(*item) == body;
        let as_meant = items.len() == bodies.len() && items.iter().zip(bodies).all(same);
        if !as_meant || items.iter().any(|item| self.world.step(*item).action != *action) {
            self.wrong(format!("batch {} is sent otherwise than its intent says", batch.1));
        }
        let (fault, executes) = self.fault_of_act();
        self.tell(|| format!("act {batch:?} of items {items:?}, fault {fault:?}, will be carried out: {executes}"));
        ActPlan { batch, items, comment: comment.to_owned(), fault, executes, token: self.token, rems: Vec::new() }
    }

    fn fault_of_act(&mut self) -> (Option<Kind>, bool) {
        if self.is_outage() {
            self.seen.note(Kind::Outage);
            return (Some(Kind::NotSent), false);
        }
        if self.occurs(Kind::SignInFails) {
            self.revoked = self.token + 1;
        } else if self.occurs(Kind::Unauthorized) {
            self.revoked = self.token;
        }
        if self.token <= self.revoked {
            return (Some(Kind::Unauthorized), false);
        }
        let of = |kind: &Kind| *kind != Kind::Unauthorized;
        let all = NEVER_EXECUTED.iter().chain(&PERHAPS_EXECUTED).chain(&ALWAYS_EXECUTED).filter(|kind| of(kind));
        let fault = all.copied().find(|kind| self.occurs(*kind));
        let executes = match fault {
            Some(kind) if NEVER_EXECUTED.contains(&kind) => false,
            Some(kind) if PERHAPS_EXECUTED.contains(&kind) => self.chance.bool(),
            _ => true,
        };
        (fault, executes)
    }

    /// It has arrived; what its client will see. `None` when its task dies.
    pub(super) fn answer_act(&mut self, mut plan: ActPlan) -> ((usize, u32), Option<Reply>) {
        let now = self.now();
        self.deliver(now);
        let batch = plan.batch;
        match plan.fault {
            Some(Kind::ExecutedLate) => {
                let later = self.chance.u64(0..120_000);
                self.leave_alone(now + later, plan.clone());
            }
            _ if plan.executes => self.carry_out(&mut plan),
            _ => {}
        }
        if plan.fault == Some(Kind::ActDies) {
            self.runs.batch_mut(batch).died = true;
            return (batch, None);
        }
        let (seen, wait) = self.seen_of(&plan);
        let limits = match plan.fault {
            None | Some(Kind::Rejected) => self.headers(),
            _ => LimitHeaders { wait, ..LimitHeaders::default() },
        };
        let reply = judge(&seen);
        if !is_class_of(plan.fault, &reply) {
            self.wrong(format!("{:?} counts as {reply:?}", plan.fault));
        }
        (batch, Some(Reply { token: plan.token, limits, body: ReplyBody::Act(reply) }))
    }

    fn seen_of(&mut self, plan: &ActPlan) -> (Seen, Option<Duration>) {
        let taken = |body_taken, phase| {
            Seen::NoAnswer(NoAnswer { phase, body_taken, timed_out: body_taken, what: "the model".to_owned() })
        };
        let words = || SeenBody::NoIds("no".to_owned());
        let page = || SeenBody::NotJson("<html><body>gateway</body></html>".to_owned());
        let told = |n: u64| Some(Duration::from_secs(n));
        let chance = &mut self.chance;
        match plan.fault {
            Some(Kind::NotSent) => {
                let phases = [Phase::Local, Phase::Lookup, Phase::Connect, Phase::Tls, Phase::After];
                (taken(false, *pick(chance, &phases)), None)
            }
            Some(Kind::NotSentForGood) => (taken(false, *pick(chance, &[Phase::Certificate, Phase::Proxy])), None),
            Some(Kind::ExecutedNoAnswer | Kind::NotExecutedNoAnswer | Kind::ExecutedLate) => {
                (taken(true, *pick(chance, &[Phase::After, Phase::Tls, Phase::Connect])), None)
            }
            Some(Kind::ExecutedUnreadable | Kind::NotExecutedUnreadable) => {
                let bodies = [
                    page(),
                    words(),
                    SeenBody::Empty,
                    SeenBody::CutShort(17),
                    SeenBody::TimedOut(17),
                    SeenBody::TooLong(8 << 20),
                    SeenBody::TooManyValues,
                    SeenBody::DuplicateKey("remediationIds".to_owned()),
                    SeenBody::Ids(vec![None; 1_001]),
                ];
                (answered(*pick(chance, &[200, 201, 202, 204]), false, pick(chance, &bodies).clone()), None)
            }
            Some(Kind::ExecutedServerError | Kind::NotExecutedServerError) => {
                let status = *pick(chance, &[500, 502, 503, 504, 520]);
                let wait = if status == 503 { told(chance.u64(0..90)) } else { None };
                (answered(status, false, if chance.bool() { page() } else { words() }), wait)
            }
            Some(Kind::Redirected) => (answered(*pick(chance, &[301, 302, 303, 307, 308]), false, page()), None),
            Some(Kind::Conflict) => (answered(409, false, words()), None),
            Some(Kind::FilterPage) => (answered(*pick(chance, &[400, 403, 413, 422]), false, page()), None),
            Some(Kind::Rejected) => (answered(*pick(chance, &[400, 403, 413, 422]), false, words()), None),
            Some(Kind::ThrottledTold) => (answered(429, chance.bool(), words()), told(chance.u64(0..200))),
            Some(Kind::ThrottledUntold) => (answered(429, false, page()), None),
            Some(Kind::ThrottledFar) => (answered(429, true, SeenBody::Empty), Some(Duration::MAX)),
            Some(Kind::ConflictLimited) => (answered(409, true, words()), told(chance.u64(1..60))),
            Some(Kind::Unauthorized) => (answered(401, false, words()), None),
            Some(Kind::WrongPlace) => (answered(*pick(chance, &[404, 405, 410, 415]), false, page()), None),
            _ => (answered(200, false, SeenBody::Ids(self.ids_of(plan))), None),
        }
    }

    /// The ids that the answer names.
    fn ids_of(&mut self, plan: &ActPlan) -> Vec<Option<String>> {
        let mut ids: Vec<Option<String>> = plan.rems.iter().map(|rem| Some(self.rems[*rem].id.clone())).collect();
        let own = ids.clone();
        if ids.len() > 1 && self.occurs(Kind::Shuffled) {
            self.chance.shuffle(&mut ids);
        }
        if self.occurs(Kind::TooFew) {
            (0..self.chance.usize(1..=ids.len())).for_each(|_| _ = ids.remove(self.chance.usize(0..ids.len())));
        }
        if !ids.is_empty() && self.occurs(Kind::Stranger) {
            let place = self.chance.usize(0..ids.len());
            ids[place] = Some(self.stranger(plan));
        }
        if self.occurs(Kind::TooMany) {
            for _ in 0..self.chance.usize(1..4) {
                let place = self.chance.usize(0..=ids.len());
                ids.insert(place, Some(self.stranger(plan)));
            }
        }
        if self.occurs(Kind::Repeated) {
            let again = pick(&mut self.chance, &own).clone();
            let place = self.chance.usize(0..=ids.len());
            if place < ids.len() && self.chance.bool() { ids[place] = again } else { ids.insert(place, again) }
        }
        if !ids.is_empty() && self.occurs(Kind::Unusable) {
            let place = self.chance.usize(0..ids.len());
            let long = "9".repeat(10_000);
            ids[place] = pick(&mut self.chance, &[None, Some("../x"), Some(""), Some("//host"), Some(long.as_str())])
                .map(str::to_owned);
        }
        if self.occurs(Kind::EmptyList) {
            ids.clear();
        }
        for id in ids.iter().flatten() {
            let batches = self.named_for.entry(id.clone()).or_default();
            if !batches.contains(&plan.batch) {
                batches.push(plan.batch);
            }
        }
        ids
    }

    /// The id of a remediation that is not of this batch.
    fn stranger(&mut self, plan: &ActPlan) -> String {
        let others = self.rems.iter().filter(|rem| rem.of.map(|(run, batch, _)| (run, batch)) != Some(plan.batch));
        let others: Vec<String> = others.map(|rem| rem.id.clone()).collect();
        if !others.is_empty() && self.chance.bool() {
            return pick(&mut self.chance, &others).clone();
        }
        let item = *pick(&mut self.chance, &plan.items);
        let (agent, unique) = (self.world.event(item).agent_id.to_string(), format!("u{}", self.rems.len() + 100));
        let word = Word { text: Some("success".to_owned()), means: Meaning::Succeeded };
        let now = self.now();
        let rem = Rem {
            id: format!("RTF_{agent}_foreign_{}", self.rems.len()),
            of: None,
            agent,
            unique,
            action: self.world.step(item).action.shown_as.first().cloned().unwrap_or_default(),
            comment: "INC-9 [quell other-0101-aaa/1]".to_owned(),
            words: vec![(now, word)],
            hidden_until: 0,
            gone_from: u64::MAX,
            quirk: None,
            polls: 0,
        };
        self.keep(rem)
    }

    fn keep(&mut self, rem: Rem) -> String {
        let id = rem.id.clone();
        self.by_id.insert(id.clone(), self.rems.len());
        self.rems.push(rem);
        id
    }

    /// The act is carried out: each item of it for good.
    pub(super) fn carry_out(&mut self, plan: &mut ActPlan) {
        let batch = plan.batch;
        self.tell(|| format!("the API carries out {batch:?}, items {:?}", plan.items));
        for item in plan.items.clone() {
            let event = self.world.event(item);
            let number = self.rems.len();
            let id = if self.world.plain_ids {
                format!("RTF_{}_11-2026_{number:04x}", event.agent_id)
            } else {
                format!("r.{number}")
            };
            let agent = event.agent_id.to_string();
            let rem = self.remediation(id, plan, item, agent);
            plan.rems.push(self.rems.len());
            self.keep(rem);
            let wrong = self.runs.executed(batch, item, number);
            wrong.into_iter().for_each(|wrong| self.wrong(wrong));
        }
    }

    fn remediation(&mut self, id: String, plan: &ActPlan, item: u32, agent: String) -> Rem {
        let now = self.now();
        let settle = now + self.chance.u64(0..=self.world.settle_max);
        let grace = self.world.header.polling.not_found_grace.as_millis() as u64;
        let hidden_until = if self.occurs(Kind::NotFoundForEver) {
            u64::MAX
        } else if self.occurs(Kind::NotFoundAWhile) {
            now + self.chance.u64(0..=2 * grace)
        } else {
            0
        };
        let gone = self.occurs(Kind::Gone);
        let gone_from = if gone { now + self.chance.u64(0..=self.world.settle_max) } else { u64::MAX };
        let quirks = [Kind::OtherAction, Kind::ForeignTag, Kind::CutTag, Kind::AnotherItem, Kind::Wanders];
        Rem {
            id,
            of: Some((plan.batch.0, plan.batch.1, item)),
            agent,
            unique: self.world.unique_sent(item).to_owned(),
            action: self.world.step(item).action.shown_as.last().cloned().unwrap_or_else(|| "Anything".to_owned()),
            comment: plan.comment.clone(),
            words: self.words(now, settle),
            hidden_until,
            gone_from,
            quirk: quirks.into_iter().find(|kind| self.occurs(*kind)),
            polls: 0,
        }
    }

    /// What it shows from when on.
    fn words(&mut self, now: u64, settle: u64) -> Vec<(u64, Word)> {
        let word = |text: &str, means| Word { text: Some(text.to_owned()), means };
        let unlisted = self.occurs(Kind::UnlistedWord);
        let (strange, queued) = (
            ["Wird verarbeitet", "successful", "null", "succes\u{441}", "queue"],
            ["queued", "In Progress", " QUEUED"],
        );
        let before = if unlisted {
            let text: &&str = pick(&mut self.chance, &strange);
            word(text, Meaning::Unlisted)
        } else if self.occurs(Kind::NoWord) {
            let text = if self.chance.bool() { None } else { Some(String::new()) };
            Word { text, means: Meaning::Unlisted }
        } else {
            let text: &&str = pick(&mut self.chance, &queued);
            word(text, Meaning::Pending)
        };
        let mut words = vec![(now, before)];
        if self.occurs(Kind::NeverSettles) || unlisted && self.chance.bool() {
            return words;
        }
        let odd = self.occurs(Kind::OddWord);
        let failed = self.chance.u32(0..100) < self.world.fails_percent;
        let end = |failed: bool| match (failed, odd) {
            (false, false) => word("success", Meaning::Succeeded),
            (false, true) => word(" SUCCESS\t", Meaning::Succeeded),
            (true, false) => word("failed", Meaning::Failed),
            (true, true) => word("Error ", Meaning::Failed),
        };
        words.push((settle, end(failed)));
        if self.occurs(Kind::Flips) {
            words.push((settle + self.chance.u64(0..20_000), end(!failed)));
        }
        words
    }

    /// The client has the answer to an act.
    pub(super) fn hand_over_act(&mut self, batch: (usize, u32), reply: &Reply) {
        let ReplyBody::Act(body) = &reply.body else { return };
        self.tell(|| format!("answer to act {batch:?}: {body:?}, {:?}", reply.limits.wait));
        self.hand_over(&reply.limits);
        let now = self.now();
        let wait = reply.limits.wait.map(|wait| wait.as_millis().min(3_600_000) as u64);
        match body {
            ActReply::NotCarriedOut { why: NotCarriedOut::Throttled, .. } => {
                self.watch.told_to_wait(now, wait.unwrap_or(0).max(1_000));
            }
            ActReply::Unreadable { .. } => self.watch.told_to_wait(now, wait.unwrap_or(0)),
            ActReply::NotCarriedOut { why: NotCarriedOut::Unauthorized, .. } if reply.token == self.token => {
                self.token += 1;
            }
            _ => {}
        }
        self.runs.answered(batch, body.clone());
    }
}

fn answered(status: u16, limited: bool, body: SeenBody) -> Seen {
    let content_type = match body {
        SeenBody::NotJson(_) => Some("text/html; charset=utf-8".to_owned()),
        _ => Some("application/json".to_owned()),
    };
    Seen::Answer(Answered { status, content_type, limited, body })
}

/// Whether what an act counts as is what follows from what happened to it: only what surely was not carried out goes
/// back, and only what the API refused is rejected.
fn is_class_of(fault: Option<Kind>, reply: &ActReply) -> bool {
    let back = match fault {
        None => return matches!(reply, ActReply::Accepted { .. }),
        Some(Kind::Rejected) => return matches!(reply, ActReply::Rejected { .. }),
        Some(Kind::NotSent) => NotCarriedOut::NotSent,
        Some(Kind::NotSentForGood) => NotCarriedOut::NotSentForGood,
        Some(Kind::ThrottledTold | Kind::ThrottledUntold | Kind::ThrottledFar | Kind::ConflictLimited) => {
            NotCarriedOut::Throttled
        }
        Some(Kind::Unauthorized) => NotCarriedOut::Unauthorized,
        Some(Kind::WrongPlace) => NotCarriedOut::WrongPlace,
        Some(_) => return matches!(reply, ActReply::Unreadable { .. }),
    };
    matches!(reply, ActReply::NotCarriedOut { why, .. } if *why == back)
}
