//! Facts folded into endings: what became of each item, and what the run cost.
//!
//! The fold believes the facts and nothing else; it never guesses which id is whose. A fact that contradicts the plan or
//! an earlier fact is a [`FoldError`] with its number, for a report over a journal that cannot be true would be a lie.

mod oddity;

pub use oddity::{FoldError, Oddity};

use super::ending::{Ending, Life, Remediation, Resolution, note_of, outcome_of, settled_reason, skipped_of};
use super::totals::{Outcomes, Totals};
use super::words;
use crate::engine::Outcome;
use crate::engine::fact::{BatchId, Fact, ItemId, PairedBy, RemediationRef, Settled, What};
use crate::plan::PlanHeader;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// All endings of a run, by item, and its totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// One for each item, in item order.
    pub endings: Vec<Ending>,
    /// What they add up to.
    pub totals: Totals,
}

/// Folds a run's facts, in their order, over its items' steps and targets, in item order.
pub fn fold(
    header: &PlanHeader,
    steps_and_targets: impl Iterator<Item = (u16, u32)>,
    facts: impl Iterator<Item = Fact>,
) -> Result<Folded, FoldError> {
    let mut folding = Folding::new(header, steps_and_targets)?;
    for fact in facts {
        folding.add(fact)?;
    }
    Ok(folding.finish(header))
}

/// A fold to which facts are added one by one, as a journal hands them out.
pub struct Folding {
    state: State,
    facts: u64,
}

impl Folding {
    /// A fold over the items of a plan, in item order, before any fact.
    pub fn new(header: &PlanHeader, steps_and_targets: impl Iterator<Item = (u16, u32)>) -> Result<Self, FoldError> {
        Ok(Self { state: State::new(header, steps_and_targets)?, facts: 0 })
    }

    /// Adds the next fact.
    pub fn add(&mut self, fact: Fact) -> Result<(), FoldError> {
        self.facts += 1;
        self.state.apply(fact).map_err(|what| FoldError { fact: self.facts, what })
    }

    /// What the facts come to.
    pub fn finish(self, header: &PlanHeader) -> Folded {
        self.state.finish(header)
    }
}

/// What is known while folding.
struct State {
    steps: usize,
    targets: u32,
    items: Vec<Item>,
    batches: HashMap<u32, Batch>,
    /// The earliest step that did not succeed, by target.
    barred: HashMap<u32, u16>,
    /// Target and step that waited in vain.
    unmet: HashSet<(u32, u16)>,
    totals: Totals,
    /// A process has begun and not ended its work.
    at_work: bool,
    /// One of them never did.
    cut_short: bool,
    texts: Texts,
}

struct Item {
    step: u16,
    target: u32,
    batch: Option<BatchId>,
    life: Life,
    of: Option<RemediationRef>,
    by: Option<PairedBy>,
    status: Option<Arc<str>>,
    message: Option<Arc<str>>,
    resolution: Option<Arc<Resolution>>,
}

struct Batch {
    items: Vec<ItemId>,
    answered: bool,
    ids: Vec<Arc<str>>,
    /// The last word seen of each id.
    statuses: Vec<Option<Arc<str>>>,
}

impl State {
    fn new(header: &PlanHeader, steps_and_targets: impl Iterator<Item = (u16, u32)>) -> Result<Self, FoldError> {
        let steps = header.steps.len();
        let mut targets = 0;
        let mut items = Vec::new();
        for (step, target) in steps_and_targets {
            if usize::from(step) >= steps {
                return Err(FoldError { fact: 0, what: Oddity::Step(step) });
            }
            targets = targets.max(target.saturating_add(1));
            let (life, none) = (Life::Pending, None);
            let (status, message, resolution) = (None, None, None);
            items.push(Item { step, target, batch: none, life, of: None, by: None, status, message, resolution });
        }
        let (totals, texts) = (Totals::default(), Texts::default());
        let (batches, barred, unmet) = (HashMap::new(), HashMap::new(), HashSet::new());
        Ok(Self { steps, targets, items, batches, barred, unmet, totals, at_work: false, cut_short: false, texts })
    }

    fn apply(&mut self, fact: Fact) -> Result<(), Oddity> {
        self.totals.first.get_or_insert(fact.at);
        self.totals.last = Some(fact.at);
        self.totals.ended = matches!(fact.what, What::Ended { .. });
        match fact.what {
            What::Started => self.at_work = true,
            What::Resumed { .. } => {
                self.totals.stopped = None;
                self.totals.asks = false;
                self.cut_short |= std::mem::replace(&mut self.at_work, true);
            }
            What::DoneBefore { items, run, became } => self.left_out(&items, Life::DoneBefore(became), Some(&run))?,
            What::Blocked { items, rule } => self.left_out(&items, Life::Blocked, Some(&rule))?,
            What::Expired { items } => self.left_out(&items, Life::Expired, None)?,
            What::Unmet { step, targets } => {
                for target in targets {
                    self.check_group(target, step)?;
                    self.unmet.insert((target, step));
                }
            }
            What::Permitted { items, .. } => items.iter().try_for_each(|item| self.item(*item).map(drop))?,
            What::Adopted { .. } | What::Held { .. } | What::Released { .. } | What::Continued { .. } => {}
            What::Approved { by, given, expires, .. } => {
                self.totals.approvals.push(words::approval(&by, &given, &expires));
            }
            What::Awaiting { .. } => self.totals.asks = true,
            What::Promoted { wave, by, reason, held } => {
                self.totals.promoted += 1;
                self.totals.asks = false;
                self.totals.promotions.extend(promotion(wave, by, reason, held));
            }
            What::Resolved { items, finding, note, by, remediation, status } => {
                let note = note_of(&note, by.as_deref(), remediation.as_deref(), status.as_deref());
                self.resolved(&items, Resolution { finding, note })?;
            }
            What::Submitting { batch, step, event_type: _, items } => self.submitting(batch, step, items)?,
            What::Accepted { batch, ids } => self.accepted(batch, ids)?,
            What::Rejected { batch, status, message } => self.answered(batch, Life::Rejected(status), &message)?,
            What::Returned { batch, why, message } => self.answered(batch, Life::Returned(why), &message)?,
            What::Unanswered { batch, message, .. } => self.answered(batch, Life::Unanswered, &message)?,
            What::Seen { of, status } => {
                let status = self.texts.keep(&status);
                *self.status_of(of)? = Some(status);
            }
            What::Paired { of, item, by } => {
                self.status_of(of)?;
                let item = self.item(item)?;
                (item.of, item.by) = (Some(of), Some(by));
            }
            What::Settled { item, outcome, of, by, status, message } => {
                self.settled(item, outcome, of, by, status.as_deref(), message.as_deref())?;
            }
            What::Barred { target, step } => self.barred(target, step)?,
            What::Stopping { why } => self.totals.stopped = Some(why),
            What::Tallied { gets, throttled } => {
                self.totals.gets += u64::from(gets);
                self.totals.throttled += u64::from(throttled);
            }
            What::Ended { complete } => (self.totals.complete, self.at_work) = (complete, false),
        }
        self.totals.gets_at_least = (self.at_work || self.cut_short) && self.totals.posts > 0;
        Ok(())
    }

    fn submitting(&mut self, batch: BatchId, step: u16, items: Vec<ItemId>) -> Result<(), Oddity> {
        if usize::from(step) >= self.steps {
            return Err(Oddity::Step(step));
        }
        if self.batches.contains_key(&batch.0) {
            return Err(Oddity::BatchAgain(batch.0));
        }
        for &id in &items {
            let item = self.item(id)?;
            if let (Some(before), false) = (item.batch, matches!(item.life, Life::Returned(_))) {
                return Err(Oddity::ItemAgain { item: id.0, batch: before.0 });
            }
            (item.batch, item.life, item.message) = (Some(batch), Life::Sent, None);
        }
        self.totals.posts += 1;
        self.batches.insert(batch.0, Batch { items, answered: false, ids: Vec::new(), statuses: Vec::new() });
        Ok(())
    }

    fn accepted(&mut self, batch: BatchId, ids: Vec<String>) -> Result<(), Oddity> {
        self.answered(batch, Life::Accepted, "")?;
        let known = self.batches.get_mut(&batch.0).ok_or(Oddity::Batch(batch.0))?;
        known.statuses = vec![None; ids.len()];
        known.ids = ids.into_iter().map(Arc::from).collect();
        Ok(())
    }

    /// An act's answer, or that there is none: it holds for all items of the batch that have not settled already.
    fn answered(&mut self, batch: BatchId, life: Life, message: &str) -> Result<(), Oddity> {
        let known = self.batches.get_mut(&batch.0).ok_or(Oddity::Batch(batch.0))?;
        if std::mem::replace(&mut known.answered, true) {
            return Err(Oddity::AnswerAgain(batch.0));
        }
        let message = (!message.is_empty()).then(|| self.texts.keep(message));
        for id in &known.items {
            let item = self.items.get_mut(id.0 as usize).ok_or(Oddity::Item(id.0))?;
            if item.life == Life::Sent {
                (item.life, item.message) = (life, message.clone());
            }
        }
        Ok(())
    }

    /// The first terminal outcome stays: a later one only replaces what a poll may still change.
    fn settled(
        &mut self,
        id: ItemId,
        outcome: Settled,
        of: Option<RemediationRef>,
        by: Option<PairedBy>,
        status: Option<&str>,
        message: Option<&str>,
    ) -> Result<(), Oddity> {
        let status = status.map(|text| self.texts.keep(text));
        let message = message.map(|text| self.texts.keep(text));
        if let Some(of) = of {
            let seen = self.status_of(of)?;
            if status.is_some() {
                seen.clone_from(&status);
            }
        }
        let item = self.item(id)?;
        if item.resolution.is_some() {
            return Err(Oddity::SettledAfterFinding(id.0));
        }
        match item.life {
            Life::Pending | Life::Returned(_) | Life::DoneBefore(_) | Life::Blocked | Life::Expired | Life::Unmet => {
                return Err(Oddity::NeverSent(id.0));
            }
            Life::Sent | Life::Accepted | Life::Settled(Settled::StillQueued | Settled::TimedOut) => {}
            Life::Rejected(_) | Life::Unanswered | Life::Settled(_) => return Ok(()),
        }
        item.life = Life::Settled(outcome);
        if outcome == Settled::Unmatched {
            // Whatever was taken for its own before has been refuted.
            (item.of, item.by) = (None, None);
        }
        item.of = of.or(item.of);
        item.by = by.or(item.by);
        (item.status, item.message) = (status, message);
        Ok(())
    }

    fn left_out(&mut self, items: &[ItemId], life: Life, message: Option<&str>) -> Result<(), Oddity> {
        let message = message.map(|text| self.texts.keep(text));
        for id in items {
            let item = self.item(*id)?;
            if !matches!(item.life, Life::Pending | Life::Returned(_)) {
                return Err(Oddity::SentAndLeftOut(id.0));
            }
            (item.life, item.message) = (life, message.clone());
        }
        Ok(())
    }

    fn resolved(&mut self, items: &[ItemId], resolution: Resolution) -> Result<(), Oddity> {
        let resolution = Arc::new(resolution);
        for id in items {
            let item = self.item(*id)?;
            if !matches!(outcome_of(item.life), Outcome::Unknown | Outcome::Unmatched | Outcome::TimedOut) {
                return Err(Oddity::NotUnclear(id.0));
            }
            item.resolution = Some(resolution.clone());
        }
        Ok(())
    }

    fn check_group(&self, target: u32, step: u16) -> Result<(), Oddity> {
        if target >= self.targets {
            return Err(Oddity::Target(target));
        }
        if usize::from(step) >= self.steps {
            return Err(Oddity::Step(step));
        }
        Ok(())
    }

    fn barred(&mut self, target: u32, step: u16) -> Result<(), Oddity> {
        self.check_group(target, step)?;
        let first = self.barred.entry(target).or_insert(step);
        *first = step.min(*first);
        Ok(())
    }

    fn item(&mut self, id: ItemId) -> Result<&mut Item, Oddity> {
        self.items.get_mut(id.0 as usize).ok_or(Oddity::Item(id.0))
    }

    /// The last status word of a remediation; that the remediation exists is checked on the way.
    fn status_of(&mut self, of: RemediationRef) -> Result<&mut Option<Arc<str>>, Oddity> {
        let batch = self.batches.get_mut(&of.batch.0).ok_or(Oddity::Batch(of.batch.0))?;
        let odd = Oddity::Remediation { batch: of.batch.0, index: of.index };
        batch.statuses.get_mut(usize::from(of.index)).ok_or(odd)
    }

    fn finish(mut self, header: &PlanHeader) -> Folded {
        let items = std::mem::take(&mut self.items);
        let (mut outcomes, mut judged, mut resolved) = (Outcomes::default(), Outcomes::default(), 0);
        let endings = items.into_iter().map(|item| {
            let ending = self.ending(item, header);
            outcomes.add(ending.outcome);
            judged.add(ending.judged());
            resolved += u64::from(ending.resolution.is_some());
            ending
        });
        let endings = endings.collect();
        (self.totals.outcomes, self.totals.judged, self.totals.resolved) = (outcomes, judged, resolved);
        Folded { endings, totals: self.totals }
    }

    fn ending(&mut self, mut item: Item, header: &PlanHeader) -> Ending {
        if item.life == Life::Pending && self.unmet.contains(&(item.target, item.step)) {
            item.life = Life::Unmet;
        }
        let outcome = outcome_of(item.life);
        let status = self.status_at_end(&item, outcome);
        let (message, reason) = self.words(&item, status.as_deref(), header);
        let remediation = item.of.and_then(|of| {
            let id = self.batches.get(&of.batch.0)?.ids.get(usize::from(of.index))?;
            (!id.is_empty()).then(|| Remediation { of, id: id.clone() })
        });
        let reason = reason.map(|text| self.texts.keep(&text));
        let skipped = skipped_of(item.life);
        let Item { by: paired_by, batch, resolution, .. } = item;
        let status_message = message;
        Ending { outcome, reason, remediation, paired_by, status, status_message, batch, resolution, skipped }
    }

    /// A word that was seen after an item settled for the time being is newer than the one it settled with.
    fn status_at_end(&mut self, item: &Item, outcome: Outcome) -> Option<Arc<str>> {
        if let Life::Rejected(status) = item.life {
            return Some(self.texts.keep(&format!("HTTP {status}")));
        }
        let may_change = matches!(outcome, Outcome::Open | Outcome::StillQueued | Outcome::TimedOut);
        let seen = item.of.filter(|_| may_change).and_then(|of| self.status_of(of).ok()?.clone());
        seen.or_else(|| item.status.clone())
    }

    /// The API's words and ours. A message that came with a status word is the API's, one without is our reason.
    fn words(&self, item: &Item, status: Option<&str>, header: &PlanHeader) -> (Option<Arc<str>>, Option<String>) {
        let api = item.message.clone();
        let batch = item.batch.map_or(0, |batch| batch.0);
        match item.life {
            Life::Pending | Life::Returned(_) => (None, Some(self.why_not_started(item, header))),
            Life::DoneBefore(became) => {
                let run = api.unwrap_or_default();
                (None, Some(format!("it {} run {run}", words::before(became))))
            }
            Life::Blocked => (None, Some(format!("protected by the rule {}", api.unwrap_or_default()))),
            Life::Expired => (None, Some("its event was older than its step allows, or of the future".to_owned())),
            Life::Unmet => (None, Some(why_unmet(item.step, header))),
            Life::Sent => (None, Some(format!("sent in batch {batch}, its answer is still awaited"))),
            Life::Accepted => (None, Some(format!("accepted in batch {batch}, not settled yet"))),
            Life::Rejected(_) => (api, Some(format!("the API refused batch {batch}; it was not carried out"))),
            Life::Unanswered => {
                let seen = api.map(|text| format!(": {text}")).unwrap_or_default();
                (None, Some(format!("sent in batch {batch}, no readable answer came{seen}")))
            }
            Life::Settled(outcome) => match (item.status.is_some(), api) {
                (false, Some(reason)) => (None, Some(reason.to_string())),
                (_, api) => (api, settled_reason(outcome, status, batch)),
            },
        }
    }

    fn why_not_started(&self, item: &Item, header: &PlanHeader) -> String {
        let follows = header.steps.get(usize::from(item.step)).is_none_or(|step| step.flow.after.is_none());
        let barred = self.barred.get(&item.target).filter(|&&step| follows && step < item.step);
        if let Some(step) = barred.and_then(|&step| header.steps.get(usize::from(step))) {
            return format!("step `{}` did not succeed on this target", step.name);
        }
        let stopped = match (self.totals.stopped, self.totals.ended) {
            (Some(why), _) => format!("the run stopped before it: {}", words::stop_reason(why)),
            (None, true) => "the run stopped before it".to_owned(),
            (None, false) => "the run has not reached it".to_owned(),
        };
        match (item.life, item.batch) {
            (Life::Returned(why), Some(batch)) => {
                let seen = item.message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                let why = words::not_carried_out(why);
                format!("{stopped}; batch {} was not carried out, {why}{seen}", batch.0)
            }
            _ => stopped,
        }
    }
}

/// Who let a wave begin, when a person did.
fn promotion(wave: u16, by: Option<String>, reason: Option<String>, held: bool) -> Option<String> {
    let who = match (&by, &reason) {
        (None, None) => return None,
        (Some(by), _) => format!(" by {by}"),
        (None, Some(_)) => String::new(),
    };
    let although = if held { "" } else { ", although its conditions did not hold" };
    let why = reason.map(|reason| format!("{although}: {reason}")).unwrap_or_default();
    Some(format!("wave {wave}{who}{why}"))
}

/// What a step waited for in vain, in one sentence.
fn why_unmet(step: u16, header: &PlanHeader) -> String {
    let after = header.steps.get(usize::from(step)).and_then(|step| step.flow.after);
    match after.and_then(|(awaited, when)| Some((header.steps.get(usize::from(awaited))?, when))) {
        Some((awaited, when)) => format!("step `{}` has not {} on this target", awaited.name, when.as_str()),
        None => "what it waits for did not come true on this target".to_owned(),
    }
}

/// Each text once.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.0.get(text) {
            return kept.clone();
        }
        let kept: Arc<str> = text.into();
        self.0.insert(kept.clone());
        kept
    }
}

#[cfg(test)]
mod tests;
