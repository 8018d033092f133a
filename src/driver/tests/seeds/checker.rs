//! Hears every fact once it is durable, and holds it against what the model knows: nothing is believed that no answer
//! said, nothing follows that may not.
//!
//! It keeps its own small account of each run, made from the facts in their order and from the model's ledger. What can
//! only be judged when a process has ended is in [`super::verdict`].

use super::kinds::Kind;
use super::model::State;
use super::release::Released;
use crate::engine::call::ActReply;
use crate::engine::fact::{Fact, RemediationRef, Settled, What};
use crate::plan::OnUnknown;
use crate::tenant::Meaning;
use std::collections::{BTreeMap, BTreeSet};

/// All runs of a seed.
#[derive(Default)]
pub(super) struct Runs(pub(super) Vec<RunLog>);

/// One run by its facts.
pub(super) struct RunLog {
    pub(super) name: String,
    pub(super) facts: Vec<Fact>,
    pub(super) batches: BTreeMap<u32, BatchLog>,
    /// By item: how it ended, and the last batch it was sent in.
    pub(super) ends: Vec<Option<End>>,
    pub(super) last_batch: Vec<Option<u32>>,
    /// Remediations by item that the model carried out for it.
    pub(super) rems: Vec<Vec<usize>>,
    /// Remediations that an item was settled by, and when each item ended: milliseconds of the world.
    pub(super) finished: BTreeMap<RemediationRef, u64>,
    pub(super) ended_at: Vec<u64>,
    pub(super) now: u64,
    /// The last word of each remediation that a fact noted as seen, by whether it is a listed pending one.
    pending: BTreeMap<RemediationRef, bool>,
    /// Unresolved items that hold their action back.
    pub(super) holding: BTreeSet<u32>,
    pub(super) stopping: bool,
    /// Items that may be skipped in this process.
    pub(super) done_before: BTreeMap<u32, bool>,
    /// How items ended before they settled late.
    pub(super) first_ends: BTreeMap<u32, End>,
    /// Waves and failures.
    pub(super) released: Released,
}

/// One act by its facts, and what the model knows of it.
#[derive(Default)]
pub(super) struct BatchLog {
    pub(super) items: Vec<u32>,
    pub(super) step: u16,
    pub(super) process: u32,
    left: bool,
    pub(super) died: bool,
    /// What its client was told.
    pub(super) delivered: Option<ActReply>,
    /// Whether its answer is durable.
    pub(super) answer: Option<Answer>,
    pub(super) ids: Vec<String>,
    accepted_at: u64,
    /// A detail of one of its own ids named too little, or contradicted it.
    pub(super) vague: bool,
    pub(super) contradicted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Rejected,
    Returned,
    Unanswered,
}

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Settled(Settled),
    Rejected,
    Unanswered,
    Barred,
    /// An earlier run did it; or may have.
    Before(bool),
    /// Its step waits in vain, its event is too old, a rule protects it.
    Unmet,
    Expired,
    Blocked,
}

impl Runs {
    pub(super) fn add(&mut self, name: String, items: usize) {
        self.0.push(RunLog {
            name,
            facts: Vec::new(),
            batches: BTreeMap::new(),
            ends: vec![None; items],
            last_batch: vec![None; items],
            rems: vec![Vec::new(); items],
            finished: BTreeMap::new(),
            ended_at: vec![0; items],
            now: 0,
            pending: BTreeMap::new(),
            holding: BTreeSet::new(),
            stopping: false,
            done_before: BTreeMap::new(),
            first_ends: BTreeMap::new(),
            released: Released::default(),
        });
    }

    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|run| run.name == name)
    }

    pub(super) fn name_of(&self, run: usize) -> &str {
        &self.0[run].name
    }

    pub(super) fn items_of(&self, (run, batch): (usize, u32)) -> &[u32] {
        self.0[run].batches.get(&batch).map_or(&[], |batch| &batch.items)
    }

    pub(super) fn batch_mut(&mut self, (run, batch): (usize, u32)) -> &mut BatchLog {
        self.0[run].batches.entry(batch).or_default()
    }

    /// An act leaves: its items by its intent, which must be durable and not be used up.
    pub(super) fn leaves(&mut self, (run, number): (usize, u32)) -> Result<Vec<u32>, String> {
        match self.0[run].batches.get_mut(&number) {
            None => Err(format!("batch {number} leaves without a durable intent")),
            Some(batch) if batch.left || batch.answer.is_some() => Err(format!("batch {number} leaves again")),
            Some(batch) => {
                batch.left = true;
                Ok(batch.items.clone())
            }
        }
    }

    /// The client of an act was told this.
    pub(super) fn answered(&mut self, batch: (usize, u32), reply: ActReply) {
        self.batch_mut(batch).delivered = Some(reply);
    }

    /// The model carried an item out.
    pub(super) fn executed(&mut self, (run, number): (usize, u32), item: u32, rem: usize) -> Option<String> {
        let log = &mut self.0[run];
        let rems = log.rems.get_mut(item as usize)?;
        rems.push(rem);
        if rems.len() > 1 {
            return Some(format!("item {item} is carried out {} times in run {run}", rems.len()));
        }
        let answer = log.batches.get(&number).and_then(|batch| batch.answer);
        let denied = matches!(answer, Some(Answer::Returned | Answer::Rejected));
        denied.then(|| format!("batch {number} is carried out although it counts as {answer:?}"))
    }
}

impl State {
    /// A fact is durable.
    pub(super) fn hear(&mut self, run: usize, fact: &Fact) {
        self.seen.facts += 1;
        let result = self.judge(run, fact);
        if let Err(wrong) = result {
            self.wrong(format!("run {run}, fact {}: {wrong}: {fact:?}", self.runs.0[run].facts.len() + 1));
        }
        self.runs.0[run].facts.push(fact.clone());
    }

    fn judge(&mut self, run: usize, fact: &Fact) -> Result<(), String> {
        if run != self.run {
            return Err("a process writes to another run".to_owned());
        }
        let (process, world) = (self.process, std::sync::Arc::clone(&self.world));
        let now = self.now();
        let log = &mut self.runs.0[run];
        log.now = now;
        if log.facts.last().is_some_and(|last| last.at > fact.at) {
            return Err("the run's clock goes back".to_owned());
        }
        log.hear_release(&world, fact)?;
        if let Some(kind) = Kind::of_release(&fact.what) {
            self.seen.note(kind);
        }
        match &fact.what {
            What::Started if !log.facts.is_empty() => return Err("it begins twice".to_owned()),
            What::Started | What::Resumed { .. } => log.stopping = false,
            What::DoneBefore { items, became, .. } => {
                for item in items {
                    if log.done_before.get(&item.0) != Some(&became.is_done()) {
                        return Err(format!("item {} was not done before", item.0));
                    }
                    log.end(item.0, End::Before(became.is_done()))?;
                }
            }
            What::Submitting { batch, step, items, event_type } => {
                let items: Vec<u32> = items.iter().map(|item| item.0).collect();
                log.may_submit(&world, *step, *event_type, &items)?;
                log.may_be_released(&world, *step, fact.at.0, &items)?;
                if self.only_polls || log.batches.contains_key(&batch.0) {
                    return Err("it may not be sent".to_owned());
                }
                items.iter().for_each(|item| log.last_batch[*item as usize] = Some(batch.0));
                log.batches.insert(batch.0, BatchLog { items, step: *step, process, ..BatchLog::default() });
            }
            What::Accepted { batch, ids } => {
                let known = log.answer(batch.0, Answer::Accepted)?;
                if !matches!(&known.delivered, Some(ActReply::Accepted { ids: told }) if told == ids) {
                    return Err(format!("it was told {:?}", known.delivered));
                }
                known.ids.clone_from(ids);
                known.accepted_at = fact.at.0;
            }
            What::Rejected { batch, .. } => {
                let known = log.answer(batch.0, Answer::Rejected)?;
                if !matches!(&known.delivered, Some(ActReply::Rejected { .. })) {
                    return Err(format!("it was told {:?}", known.delivered));
                }
                log.end_batch(batch.0, End::Rejected)?;
            }
            What::Returned { batch, why, .. } => {
                let known = log.answer(batch.0, Answer::Returned)?;
                if !matches!(&known.delivered, Some(ActReply::NotCarriedOut { why: told, .. }) if told == why) {
                    return Err(format!("it was told {:?}", known.delivered));
                }
            }
            What::Unanswered { batch, lost, .. } => {
                let known = log.answer(batch.0, Answer::Unanswered)?;
                let unreadable = known.died || matches!(known.delivered, Some(ActReply::Unreadable { .. }));
                if *lost != (known.process < process) || !lost && !unreadable {
                    return Err(format!("it was told {:?} in process {}", known.delivered, known.process));
                }
                let items = log.end_batch(batch.0, End::Unanswered)?;
                let stops = |item: &u32| !lost && world.step(*item).on_unknown == OnUnknown::Stop;
                log.holding.extend(items.into_iter().filter(stops));
            }
            What::Seen { of, status } => {
                log.pending.insert(*of, world.header.statuses.meaning(status) == Meaning::Pending);
            }
            What::Settled { item, outcome, of, status, .. } => {
                self.judge_settled(run, fact, item.0, *outcome, *of, status.as_deref())?;
                self.settle(run, item.0, *outcome, *of)?;
            }
            What::Barred { target, step } => log.bar(&world, *target, *step)?,
            What::Stopping { .. } => log.stopping = true,
            What::Ended { complete } => {
                if *complete != log.ends.iter().all(Option::is_some) {
                    return Err("it is complete when every item has an outcome".to_owned());
                }
            }
            What::Resolved { items, .. } => items.iter().for_each(|item| _ = log.holding.remove(&item.0)),
            What::Continued { .. } => log.holding.clear(),
            What::Adopted { .. } | What::Permitted { .. } | What::Held { .. } | What::Released { .. } => {}
            What::Paired { .. } | What::Tallied { .. } => {}
            What::Unmet { .. } | What::Blocked { .. } | What::Expired { .. } | What::Awaiting { .. } => {}
            What::Promoted { .. } | What::Approved { .. } => {}
        }
        Ok(())
    }

    /// What may be said of an item by what its batch's ids showed in this process.
    fn judge_settled(
        &self,
        run: usize,
        fact: &Fact,
        item: u32,
        outcome: Settled,
        of: Option<RemediationRef>,
        status: Option<&str>,
    ) -> Result<(), String> {
        let log = &self.runs.0[run];
        let number = log.last_batch[item as usize].ok_or("it was never sent")?;
        let batch = &log.batches[&number];
        if batch.answer != Some(Answer::Accepted) || of.is_some_and(|of| of.batch.0 != number) {
            return Err("it settles outside an accepted batch".to_owned());
        }
        let id = of.and_then(|of| batch.ids.get(usize::from(of.index)));
        let shown =
            |id: &String| self.shown.get(id).into_iter().flatten().filter(|shown| shown.process == self.process);
        let about = |rem: usize| self.rems[rem].of == Some((run, number, item));
        let own = log.rems[item as usize].first().map(|rem| &self.rems[*rem].id);
        let own = own.filter(|id| batch.ids.contains(*id));
        let clean = !batch.vague && !batch.contradicted;
        match outcome {
            Settled::Succeeded | Settled::Failed => {
                let means = if outcome == Settled::Succeeded { Meaning::Succeeded } else { Meaning::Failed };
                let id = id.filter(|id| !id.is_empty()).ok_or("it settles by no id")?;
                if !batch.ids.iter().any(|id| shown(id).any(|shown| about(shown.about) && shown.word.means == means)) {
                    return Err("no detail about it said so".to_owned());
                }
                let ends = |means| matches!(means, Meaning::Succeeded | Meaning::Failed);
                let first = shown(id).find(|shown| ends(shown.word.means));
                if clean && !first.is_some_and(|first| about(first.about) && first.word.means == means) {
                    return Err(format!("its own first word was {first:?}"));
                }
            }
            Settled::StillQueued | Settled::TimedOut => {
                let (id, of) = (id.ok_or("it ends by no id")?, of.ok_or("it ends by no id")?);
                if self.answered.get(id) != Some(&self.process) {
                    return Err("it times out without a poll of this process that was answered".to_owned());
                }
                if fact.at.0 < batch.accepted_at + self.world.header.polling.deadline.as_millis() as u64 {
                    return Err("it times out before its deadline".to_owned());
                }
                let last = shown(id).next_back().map(|shown| &shown.word);
                let pending = match status {
                    Some(_) => last.is_some_and(|word| word.means == Meaning::Pending),
                    None => log.pending.get(&of) == Some(&true),
                };
                if pending != (outcome == Settled::StillQueued) {
                    return Err(format!("its last word was {last:?}"));
                }
            }
            Settled::Unknown => {
                if clean && own.is_some_and(|id| shown(id).next().is_some()) {
                    return Err("an id of its own showed what became of it".to_owned());
                }
            }
            Settled::Unmatched => {
                let of_batch = |id: &String| {
                    self.by_id
                        .get(id)
                        .is_some_and(|rem| self.rems[*rem].of.is_some_and(|of| (of.0, of.1) == (run, number)))
                };
                if clean && batch.ids.iter().all(of_batch) {
                    return Err("every detail of its batch named one item of it".to_owned());
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, run: usize, item: u32, outcome: Settled, of: Option<RemediationRef>) -> Result<(), String> {
        let only_polls = self.only_polls;
        let world = std::sync::Arc::clone(&self.world);
        let stop = world.step(item).on_unknown == OnUnknown::Stop;
        let log = &mut self.runs.0[run];
        match log.ends[item as usize] {
            Some(End::Settled(Settled::StillQueued | Settled::TimedOut)) if only_polls => {
                self.seen.note(Kind::SettledLate);
                if let Some(first) = log.ends[item as usize].take() {
                    log.first_ends.entry(item).or_insert(first);
                }
            }
            _ => {}
        }
        log.end(item, End::Settled(outcome))?;
        log.forgive_no_more(&world);
        log.finished.extend(of.map(|of| (of, log.now)));
        if outcome == Settled::Unknown && stop {
            log.holding.insert(item);
        }
        Ok(())
    }
}
