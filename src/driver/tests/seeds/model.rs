//! A model of the API and of the network in front of it, in virtual time. It alone knows what was carried out.
//!
//! It answers each call as the seed's faults say, at the level of what a client sees, and keeps a ledger. What is wrong
//! with a call is noted at once; what is wrong with facts is the checker's.

use super::acts::ActPlan;
use super::budget::Budget;
use super::checker::Runs;
use super::kinds::{Kind, Seen};
use super::watch::Watch;
use super::world::World;
use crate::driver::Caller;
use crate::engine::call::{ItemBody, LimitHeaders, Reply};
use crate::engine::fact::Fact;
use crate::tenant::Action;
use fastrand::Rng;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;
use tokio::time::Instant;

/// More calls than any seed needs. Those that come after are never answered.
const CALLS_MAX: u64 = 20_000;

/// The model, as a caller and its processes share it.
#[derive(Clone)]
pub(super) struct Model(Arc<Mutex<State>>);

/// See the module. Times are milliseconds since the world began.
pub(super) struct State {
    pub(super) world: Arc<World>,
    pub(super) chance: Rng,
    began: Instant,
    /// No fault of a call occurs any more. What remediations are stays.
    pub(super) calm: bool,
    /// Number of the process that works now, and the run it works on.
    pub(super) process: u32,
    pub(super) run: usize,
    pub(super) only_polls: bool,
    /// The token that the client has, and the last one that is refused.
    pub(super) token: u32,
    pub(super) revoked: u32,
    next_call: u64,
    pub(super) rems: Vec<Rem>,
    pub(super) by_id: HashMap<String, usize>,
    /// Which batches an id was returned for.
    pub(super) named_for: HashMap<String, Vec<(usize, u32)>>,
    /// Acts that are on their way though nobody waits for them.
    orphans: Vec<(u64, ActPlan)>,
    /// What details each id showed, in the order in which they came.
    pub(super) shown: HashMap<String, Vec<Shown>>,
    /// The process in which an id was last answered for good.
    pub(super) answered: HashMap<String, u32>,
    pub(super) runs: Runs,
    pub(super) budget: Budget,
    pub(super) watch: Watch,
    pub(super) seen: Seen,
    pub(super) wrong: Vec<String>,
    /// Whether everything is printed as it happens.
    story: bool,
}

/// A remediation.
#[derive(Debug, Clone)]
pub(super) struct Rem {
    pub(super) id: String,
    /// Run, batch, item; `None` for what is not ours.
    pub(super) of: Option<(usize, u32, u32)>,
    pub(super) agent: String,
    pub(super) unique: String,
    pub(super) action: String,
    pub(super) comment: String,
    /// What it shows from when on: word, what the word means, and its status.
    pub(super) words: Vec<(u64, Word)>,
    pub(super) hidden_until: u64,
    pub(super) gone_from: u64,
    pub(super) quirk: Option<Kind>,
    pub(super) polls: u32,
}

/// A status word and what it means by the tenant's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: Option<String>,
    pub(super) means: crate::tenant::Meaning,
}

/// A detail that an id showed.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) process: u32,
    pub(super) word: Word,
    /// The remediation that it was about.
    pub(super) about: usize,
}

/// The model as the API of one process.
pub(super) struct Client {
    pub(super) model: Model,
}

impl Model {
    pub(super) fn new(world: &Arc<World>, chance: Rng, story: bool) -> Self {
        let state = State {
            watch: Watch::new(&world.header.limits),
            world: Arc::clone(world),
            chance,
            began: Instant::now(),
            calm: false,
            process: 0,
            run: 0,
            only_polls: false,
            token: 1,
            revoked: 0,
            next_call: 0,
            rems: Vec::new(),
            by_id: HashMap::new(),
            named_for: HashMap::new(),
            orphans: Vec::new(),
            shown: HashMap::new(),
            answered: HashMap::new(),
            runs: Runs::default(),
            budget: Budget::default(),
            seen: Seen::default(),
            wrong: Vec::new(),
            story,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        match self.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // One thread: to wait would be to wait for ever.
            Err(TryLockError::WouldBlock) => panic!("the model is in use already"),
        }
    }

    /// Facts of a run are durable.
    pub(super) fn durable(&self, run: usize, facts: &[Fact]) {
        let mut state = self.state();
        for fact in facts {
            state.tell(|| format!("      {}", serde_json::to_string(&fact.what).unwrap_or_default()));
            state.hear(run, fact);
        }
    }
}

impl State {
    /// Milliseconds since the world began.
    pub(super) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.story {
            println!("{:>9} {}", self.now(), what());
        }
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.tell(|| format!("WRONG: {what}"));
        self.wrong.push(what);
    }

    /// Whether a fault occurs now; when it does, it counts as seen.
    pub(super) fn occurs(&mut self, kind: Kind) -> bool {
        let Some((_, percent)) = self.world.faults.iter().find(|(known, _)| *known == kind) else { return false };
        let occurs = !self.calm && self.chance.u32(0..100) < *percent;
        if occurs {
            self.seen.note(kind);
        }
        occurs
    }

    pub(super) fn is_outage(&self) -> bool {
        let now = self.now();
        !self.calm && self.world.outage.is_some_and(|(from, until)| (from..until).contains(&now))
    }

    /// At least one millisecond: no answer is heard at the moment at which its call was decided on.
    pub(super) fn latency(&mut self) -> u64 {
        let max = self.world.latency_max;
        self.chance.u64(1..=max)
    }

    /// A process begins to work on a run.
    pub(super) fn begin_process(&mut self, run: usize, only_polls: bool) {
        self.process += 1;
        self.seen.processes += 1;
        (self.run, self.only_polls, self.token, self.revoked) = (run, only_polls, 1, 0);
        self.watch.process();
    }

    fn start_call(&mut self) -> u64 {
        self.next_call += 1;
        let (now, call) = (self.now(), self.next_call);
        if let Some(wrong) = self.watch.start(now, call) {
            self.wrong(wrong);
        }
        if call == CALLS_MAX {
            self.wrong("the run does not come to an end".to_owned());
        }
        call
    }

    /// The network delivers what it still holds for nobody.
    pub(super) fn deliver(&mut self, until: u64) {
        let due: Vec<_> = self.orphans.extract_if(.., |(at, _)| *at <= until).collect();
        for (_, mut plan) in due {
            self.carry_out(&mut plan);
        }
    }

    /// An act that nobody waits for arrives then.
    pub(super) fn leave_alone(&mut self, at: u64, plan: ActPlan) {
        self.orphans.push((at, plan));
    }

    /// An answer reached the client: what it says about limits holds from now on.
    pub(super) fn hand_over(&mut self, limits: &LimitHeaders) {
        let now = self.now();
        if let Some(most) = limits.concurrency.filter(|most| *most > 0) {
            self.watch.told_concurrency(now, most);
        }
        if let (Some(0), Some(wait)) = (limits.remaining, limits.wait) {
            self.watch.told_to_wait(now, wait.as_millis() as u64);
        }
    }

    /// What an answer says about limits, whatever else it says.
    pub(super) fn headers(&mut self) -> LimitHeaders {
        use super::world::Headers;
        let rate = self.world.header.limits.requests;
        let none = LimitHeaders::default();
        let occurs = !self.calm && self.chance.u32(0..4) == 0;
        match (self.world.headers, rate) {
            (_, _) if !occurs => none,
            (Headers::Nothing, _) | (Headers::Window | Headers::LittleRemains, None) => none,
            (Headers::Window, Some(rate)) => {
                self.seen.note(Kind::WindowTold);
                LimitHeaders { limit: Some(rate.calls), window: Some(rate.window), ..none }
            }
            (Headers::LittleRemains, Some(rate)) => {
                self.seen.note(Kind::LittleRemains);
                let (remaining, wait) = (self.chance.u32(0..2), self.chance.u64(0..60));
                let (limit, window) = (Some(rate.calls), Some(rate.window));
                LimitHeaders { limit, window, remaining: Some(remaining), wait: Some(secs(wait)), ..none }
            }
            (Headers::Concurrency(most), _) => {
                self.seen.note(Kind::ConcurrencyTold);
                LimitHeaders { concurrency: Some(most), ..none }
            }
            (Headers::Nonsense, _) => {
                self.seen.note(Kind::NonsenseTold);
                let number = *super::world::pick(&mut self.chance, &[0, 1, u32::MAX]);
                let window = *super::world::pick(&mut self.chance, &[0, 1, u64::MAX]);
                let window = Some(Duration::from_millis(window));
                LimitHeaders { limit: Some(number), window, concurrency: Some(0), ..none }
            }
        }
    }
}

/// A call whose process may die before it is answered.
struct Waiting {
    model: Model,
    call: u64,
    /// The act that may arrive all the same, and when.
    act: Option<(u64, ActPlan)>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.model.state();
        let now = state.now();
        state.watch.end(now, self.call);
        if let Some((at, plan)) = self.act.take()
            && plan.executes
            && state.chance.bool()
        {
            state.seen.note(Kind::ArrivesAfterDeath);
            let later = if state.chance.bool() { 0 } else { state.chance.u64(0..60_000) };
            state.leave_alone(at + later, plan);
        }
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

async fn never_if(endless: bool) {
    if endless {
        std::future::pending::<()>().await;
    }
}

/// A task dies. The runtime catches it; the hook that would print it is passed by.
fn die() -> Reply {
    std::panic::resume_unwind(Box::new("the task dies"))
}

impl Caller for Client {
    async fn act(&self, action: &Action, items: &[ItemBody], comment: &str) -> Reply {
        let (mut waiting, there, back) = {
            let mut state = self.model.state();
            let call = state.start_call();
            let plan = state.plan_act(action, items, comment);
            let (there, back) = plan.takes(&mut state);
            let act = Some((state.now() + there, plan));
            (Waiting { model: self.model.clone(), call, act }, there, back)
        };
        sleep(there).await;
        never_if(waiting.call > CALLS_MAX).await;
        let (_, plan) = waiting.act.take().expect("it is taken once");
        let (batch, reply) = self.model.state().answer_act(plan);
        sleep(back).await;
        let Some(reply) = reply else { return die() };
        self.model.state().hand_over_act(batch, &reply);
        reply
    }

    async fn poll(&self, action: &Action, remediation_id: &str) -> Reply {
        let (waiting, there, back) = {
            let mut state = self.model.state();
            let call = state.start_call();
            state.check_poll(action, remediation_id);
            let (there, back) = (state.latency(), state.latency());
            (Waiting { model: self.model.clone(), call, act: None }, there, back)
        };
        sleep(there).await;
        never_if(waiting.call > CALLS_MAX).await;
        let Some(answer) = self.model.state().answer_poll(remediation_id) else { return die() };
        sleep(answer.takes.map_or(back, |takes| takes.saturating_sub(there))).await;
        self.model.state().hand_over_poll(remediation_id, &answer);
        drop(waiting);
        answer.reply
    }
}
