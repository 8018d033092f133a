//! The life of one seed: processes one after the other over one run, people between them, later runs over the same
//! items, and the verdict after each.
//!
//! Whatever happened, a last process that nothing disturbs ends its run, or leaves it held for a person.

use super::kinds::{Kind, Seen};
use super::model::{Client, Model};
use super::process::{Fate, live};
use super::store::SeedStore;
use super::world::World;
use crate::driver::{Driver, RunClock};
use crate::engine::fact::{Before, Finding, ItemId, Moment, Settled, StopReason, What};
use crate::engine::{Beginning, DoneBefore, Engine, Outcome, Permission, Promotion, Resolution};
use crate::journal::{MemoryStore, Store};
use crate::report::Folded;
use crate::tenant::Meaning;
use fastrand::Rng;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::Instant;

/// When every world begins, by the wall.
pub(super) const START: u64 = 1_700_000_000_000;
const DAY: u64 = 24 * 3_600_000;

/// What a seed came to.
pub(super) struct Came {
    pub(super) seen: Seen,
    pub(super) wrong: Vec<String>,
    /// All facts and reports, to the byte.
    pub(super) bytes: String,
}

pub(super) struct Life {
    pub(super) world: Arc<World>,
    pub(super) model: Model,
    chance: Rng,
    pub(super) stores: Vec<MemoryStore>,
    began: Instant,
    /// How far the wall clock is from the time that has passed since the start.
    skew: i64,
    /// Items of a run that may be sent again, by run.
    pub(super) permitted: HashSet<(usize, u32)>,
    pub(super) killed_in_a_row: u32,
}

/// Lives a seed from its beginning to its end.
pub(super) fn of_seed(seed: u64, story: bool, keeps_bytes: bool) -> Came {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread starts").block_on(async {
        let mut chance = Rng::with_seed(seed);
        let world = Arc::new(World::new(&mut chance));
        let model = Model::new(&world, chance.fork(), story);
        model.state().tell(|| format!("{world:#?}"));
        let (began, stores) = (Instant::now(), Vec::new());
        let (skew, permitted, killed_in_a_row) = (0, HashSet::new(), 0);
        let mut life = Life { world, model, chance, stores, began, skew, permitted, killed_in_a_row };
        life.live().await;
        let bytes = if keeps_bytes { life.bytes() } else { String::new() };
        let mut state = life.model.state();
        Came { seen: state.seen.clone(), wrong: std::mem::take(&mut state.wrong), bytes }
    })
}

impl Life {
    async fn live(&mut self) {
        self.begin();
        self.chaos(0).await;
        let abandoned = self.chance.u32(0..8) == 0;
        if !abandoned {
            self.finish(0).await;
        }
        if abandoned || self.chance.u32(0..4) == 0 {
            self.later_run().await;
        }
        if abandoned && self.chance.u32(0..4) > 0 {
            self.model.state().seen.note(Kind::BackToTheFirst);
            self.finish(0).await;
        }
        // What is still on its way arrives.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let now = self.model.state().now();
        self.model.state().deliver(now);
        for run in 0..self.stores.len() {
            let folded = self.fold(run);
            self.judge(run, &folded);
            let mut state = self.model.state();
            folded.totals.outcomes.iter().for_each(|(of, count)| state.seen.note_outcomes(of, u64::from(count)));
        }
        self.judge_over_runs();
    }

    fn begin(&mut self) {
        let mut state = self.model.state();
        state.seen.runs += 1;
        state.runs.add(format!("seed-{}", self.stores.len()), self.world.items.len());
        self.stores.push(MemoryStore::with_bodies(self.world.bodies()));
    }

    /// Processes to which things happen.
    async fn chaos(&mut self, run: usize) {
        for _ in 0..*super::world::pick(&mut self.chance, &[0, 1, 1, 2, 3, 5, 8]) {
            let fate = Fate::new(&mut self.chance);
            let again = !self.model.state().runs.0[run].facts.is_empty();
            let fate = if again && self.chance.u32(0..8) == 0 {
                self.model.state().seen.note(Kind::CrashInRecovery);
                Fate::Dies(1, crate::journal::FailAt::After)
            } else {
                fate
            };
            if again && self.chance.u32(0..8) == 0 {
                self.set_clock();
            }
            let only_polls = again && self.chance.u32(0..20) == 0;
            self.process(run, fate, Beginning { only_polls, ..Beginning::default() }).await;
            let pause = self.chance.u64(0..60_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn set_clock(&mut self) {
        let (ahead, far) = (self.chance.bool(), self.chance.u64(1..3));
        let kind = if ahead { Kind::ClockForward } else { Kind::ClockBack };
        self.skew += if ahead { (far * 365 * DAY).cast_signed() } else { -DAY.cast_signed() };
        let mut state = self.model.state();
        state.seen.note(kind);
        state.tell(|| format!("{kind:?}"));
    }

    fn wall(&self) -> Moment {
        Moment((START + self.began.elapsed().as_millis() as u64).saturating_add_signed(self.skew))
    }

    /// Undisturbed processes and people, until nothing is left to do.
    async fn finish(&mut self, run: usize) {
        self.model.state().calm = true;
        // A gate that shut because a wave took too long gives the next process as much time again.
        let mut may_go_on = false;
        for round in 0.. {
            self.process(run, Fate::Ends, Beginning::default()).await;
            let engine = self.engine(run);
            if engine.is_over() {
                break;
            }
            let why = self.left_because(run).filter(|_| round < 120);
            match (why, self.chance.u32(0..8)) {
                (Some(StopReason::Budget), 0) => break,
                (Some(StopReason::Gate), 0) => {
                    may_go_on = true;
                    break;
                }
                (Some(StopReason::Gate), _) => {
                    let (by, reason) = (Some("operator".to_owned()), Some("seen".to_owned()));
                    let reason = reason.filter(|_| !engine.gate().is_some_and(|gate| gate.met));
                    let promotion = Some(Promotion { wave: None, by, reason });
                    self.process(run, Fate::Ends, Beginning { promotion, ..Beginning::default() }).await;
                    continue;
                }
                (Some(StopReason::Budget), _) => {
                    let continued = Some("seen".to_owned());
                    self.process(run, Fate::Ends, Beginning { continued, ..Beginning::default() }).await;
                    continue;
                }
                (Some(StopReason::Held), _) => self.model.state().seen.note(Kind::Held),
                (why, _) => {
                    self.model.state().wrong(format!("run {run} left because of {why:?} after {round} rounds"));
                    break;
                }
            }
            match self.chance.u32(0..5) {
                0 => break,
                1 => {
                    self.model.state().seen.note(Kind::Continued);
                    let continued = Some("seen".to_owned());
                    self.process(run, Fate::Ends, Beginning { continued, ..Beginning::default() }).await;
                }
                _ => self.resolve(run).await,
            }
        }
        if may_go_on {
            self.model.state().calm = false;
            return;
        }
        self.once_more(run).await;
        if self.chance.u32(0..6) == 0 {
            self.model.state().seen.note(Kind::OnlyPolled);
            tokio::time::sleep(Duration::from_secs(600)).await;
            self.process(run, Fate::Ends, Beginning { only_polls: true, ..Beginning::default() }).await;
            self.once_more(run).await;
        }
        self.model.state().calm = false;
    }

    /// Why the last process left before the end.
    fn left_because(&self, run: usize) -> Option<StopReason> {
        let state = self.model.state();
        state.runs.0[run].facts.iter().rev().find_map(|fact| match fact.what {
            What::Stopping { why } => Some(Some(why)),
            What::Resumed { .. } => Some(None),
            _ => None,
        })?
    }

    /// A person looks into the console, some time later, and says what became of items. It is the truth.
    async fn resolve(&mut self, run: usize) {
        tokio::time::sleep(Duration::from_secs(300)).await;
        let now = self.model.state().now();
        self.model.state().deliver(now);
        let mut engine = self.engine(run);
        let mut found: BTreeMap<Finding, Vec<ItemId>> = BTreeMap::new();
        for (item, outcome) in engine.unclear() {
            if outcome != Settled::StillQueued && (found.is_empty() || self.chance.u32(0..4) > 0) {
                found.entry(self.finding(run, item.0)).or_default().push(item);
            }
        }
        if found.is_empty() {
            self.model.state().wrong("an action is held and nothing is unclear".to_owned());
        }
        for (finding, items) in found {
            self.model.state().seen.note(Kind::Resolved);
            let (note, by) = ("looked it up".to_owned(), Some("operator".to_owned()));
            let finding = Resolution { items, finding, note, by, remediation: None, status: None };
            let facts = engine.resolve(self.wall(), finding).expect("it is unclear");
            let mut store = self.store(run);
            let head = store.inner.head();
            store.append(head, &facts).expect("the store is well");
        }
    }

    fn finding(&self, run: usize, item: u32) -> Finding {
        let state = self.model.state();
        let Some(rem) = state.runs.0[run].rems[item as usize].first() else { return Finding::NotCarriedOut };
        match state.rems[*rem].word(u64::MAX).means {
            Meaning::Succeeded => Finding::Succeeded,
            Meaning::Failed => Finding::Failed,
            Meaning::Pending | Meaning::Unlisted => Finding::CarriedOut,
        }
    }

    /// A new owner's hold on a run.
    fn store(&self, run: usize) -> SeedStore {
        let inner = self.stores[run].take_over();
        SeedStore { inner, model: self.model.clone(), run, read_fails: Arc::new(AtomicU64::new(0)), dies: None }
    }

    /// One more resume changes nothing.
    async fn once_more(&mut self, run: usize) {
        let before = self.fold(run);
        let acts = self.model.state().seen.acts;
        self.process(run, Fate::Ends, Beginning::default()).await;
        let after = self.fold(run);
        let mut state = self.model.state();
        // Why the run left something is each process's own: one that only polls was never stopped.
        let left = |ending: &crate::report::Ending| ending.outcome == Outcome::NotStarted;
        let same = |(before, after): &(&_, &_)| before == after || left(before) && left(after);
        let differ = before.endings.iter().zip(&after.endings).find(|pair| !same(pair));
        if state.seen.acts != acts || differ.is_some() {
            state.wrong(format!("one more resume of run {run} changes something: {differ:#?}"));
        }
    }

    /// The same items in a run of their own.
    async fn later_run(&mut self) {
        self.model.state().seen.note(Kind::LaterRun);
        let pause = self.chance.u64(0..600_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let run = self.stores.len();
        self.begin();
        if self.chance.u32(0..4) == 0 {
            self.permit(run);
        }
        self.chaos(run).await;
        self.finish(run).await;
    }

    /// An operator permits some items of a run although an earlier one may have carried them out.
    fn permit(&mut self, run: usize) {
        let history = History::new(self, run);
        for item in 0..self.world.items.len() as u32 {
            let safe = self.world.step(item).action.repeat_safe;
            if safe && history.before(item).is_some() && self.chance.bool() {
                self.permitted.insert((run, item));
                self.model.state().seen.note(Kind::Permitted);
            }
        }
    }

    fn done_before(&mut self, run: usize, engine: &Engine) -> Vec<DoneBefore> {
        let mut groups: BTreeMap<(usize, Before), Vec<ItemId>> = BTreeMap::new();
        let history = History::new(self, run);
        for item in engine.pending().filter(|item| !self.permitted.contains(&(run, item.0))) {
            if let Some(key) = history.before(item.0) {
                groups.entry(key).or_default().push(item);
            }
        }
        let mut state = self.model.state();
        let expected = groups.iter().flat_map(|((_, became), items)| items.iter().map(|i| (i.0, became.is_done())));
        state.runs.0[run].done_before = expected.collect();
        if !groups.is_empty() {
            state.seen.note(Kind::DoneBefore);
        }
        let group = |((other, became), items)| DoneBefore { items, run: format!("seed-{other}"), became };
        groups.into_iter().map(group).collect()
    }

    /// The engine as the run's durable facts leave it.
    pub(super) fn engine(&self, run: usize) -> Engine {
        let state = self.model.state();
        let log = &state.runs.0[run];
        let now = self.wall().max(log.facts.iter().map(|fact| fact.at).max().unwrap_or_default());
        let spent = state.budget.spent(now);
        let mut engine = Engine::new(&log.name, &self.world.header, self.world.shapes.iter().copied(), spent);
        log.facts.iter().for_each(|fact| engine.apply(fact).expect("facts replay"));
        engine
    }

    async fn process(&mut self, run: usize, fate: Fate, beginning: Beginning) {
        self.model.state().budget.take_over();
        let engine = self.engine(run);
        let only_polls = beginning.only_polls;
        let mut beginning = Beginning { by: Some("operator".to_owned()), ..beginning };
        if !only_polls {
            beginning.done_before = self.done_before(run, &engine);
        }
        let first = self.model.state().runs.0[run].facts.is_empty();
        if first {
            let items: Vec<ItemId> = self.permitted.iter().filter(|of| of.0 == run).map(|of| ItemId(of.1)).collect();
            if !self.world.protected.is_empty() {
                beginning.blocked = vec![(self.world.protected.clone(), "core".to_owned())];
            }
            let (by, reason) = (beginning.by.clone(), "it is safe".to_owned());
            beginning.permitted = (!items.is_empty()).then(|| Permission { items: sorted(items), by, reason });
        }
        let mut store = self.store(run);
        let head = store.inner.head();
        fate.prepare(&mut store);
        {
            let mut state = self.model.state();
            state.begin_process(run, only_polls);
            let process = state.process;
            state.tell(|| format!("process {process} of run {run}, fate {fate:?}, {beginning:?}"));
        }
        let clock = RunClock::starting_at(self.wall().max(engine.now()));
        let header = Arc::new(self.world.header.clone());
        let api = Arc::new(Client { model: self.model.clone() });
        let name = self.model.state().runs.name_of(run).to_owned();
        let driver = Driver { run: name, header, engine, store, head, api, clock, beginning };
        let ended = live(&self.model, fate, driver).await;
        self.after(run, fate, &ended);
    }
}

/// What other runs did, or may have done: a small model of the history.
struct History(Vec<(usize, Folded)>);

impl History {
    /// What stands in the journals of all runs but this one.
    fn new(life: &Life, run: usize) -> Self {
        let others = (0..life.stores.len()).filter(|other| *other != run);
        Self(others.map(|other| (other, life.fold(other))).collect())
    }

    fn before(&self, item: u32) -> Option<(usize, Before)> {
        let became = |folded: &Folded| {
            let ending = &folded.endings[item as usize];
            match ending.resolution.as_ref().map(|resolution| resolution.finding) {
                Some(Finding::CarriedOut | Finding::Succeeded) => return Some(Before::CarriedOut),
                Some(Finding::NotCarriedOut | Finding::Failed) => return None,
                None => {}
            }
            match ending.outcome {
                Outcome::Succeeded => Some(Before::Succeeded),
                Outcome::Open => Some(Before::Open),
                Outcome::StillQueued => Some(Before::StillQueued),
                Outcome::TimedOut => Some(Before::TimedOut),
                Outcome::Unknown => Some(Before::Unknown),
                Outcome::Unmatched => Some(Before::Unmatched),
                _ => None,
            }
        };
        let mut found: Vec<_> = self.0.iter().filter_map(|(other, folded)| Some((*other, became(folded)?))).collect();
        found.sort_by_key(|(_, became)| !became.is_done());
        found.first().copied()
    }
}

fn sorted(mut items: Vec<ItemId>) -> Vec<ItemId> {
    items.sort_unstable();
    items
}
