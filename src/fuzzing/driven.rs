//! Runs driven by bytes: they choose the plan, the limits, every answer, its delay, crashes, signals and what people say.
//!
//! Facts are never invented: the engine writes them. After the bytes are used up the API behaves, and the run must end.
//! Checked on the way: replay gives what live had, nothing is sent twice, a success was said of that very item, no window
//! holds more calls than allowed, and the report agrees.

mod api;
mod checks;

use super::ground::{self, Process, START};
use crate::engine::call::{ActReply, Call, CallWhat, LimitHeaders, PollReply, Reply, ReplyBody};
use crate::engine::fact::{BatchId, Before, Fact, Finding, ItemId, Moment, RemediationRef, Settled, StopReason, What};
use crate::engine::{Beginning, DoneBefore, Input, Permission, Progress, Resolution, Then};
use crate::events::{RefusedRow, RowPlace};
use crate::plan::{OnUnknown, Plan};
use crate::report::{Folded, fold};
use crate::tenant::{EventType, Rate};
use checks::{known, spent_before};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Inputs that bytes may choose, and those that the calm end may take.
const INPUTS_MAX: usize = 400;
const CALM_INPUTS_MAX: usize = 20_000;
/// Processes that work on one run, and those that come when it is over: each replays all facts.
const PROCESSES_MAX: u32 = 20;
const OVER_MAX: u32 = 2;
const FINDINGS: [Finding; 4] = [Finding::CarriedOut, Finding::NotCarriedOut, Finding::Succeeded, Finding::Failed];

/// A run that was driven to its end.
pub struct Driven {
    /// Its plan.
    pub plan: Plan,
    /// Its facts.
    pub facts: Vec<Fact>,
    /// Where it ended.
    pub progress: Progress,
    /// The facts folded.
    pub folded: Folded,
}

/// Checks a run; see the module.
pub(super) fn run(data: &[u8]) {
    drive(data);
}

/// Drives a run by these bytes, calmly to its end, and checks it. `None` when they give no plan.
pub fn drive(data: &[u8]) -> Option<Driven> {
    let mut choices = Choices(data);
    let plan = plan(&mut choices)?;
    let mut world = World::new(plan, choices);
    world.begin(Beginning::default());
    for _ in 0..INPUTS_MAX {
        if world.choices.0.is_empty() || world.processes > PROCESSES_MAX || world.over > OVER_MAX {
            break;
        }
        world.step();
    }
    world.calm();
    Some(world.checked())
}

/// Bytes as choices; zeros once they are used up.
struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n.max(1)
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

fn plan(choices: &mut Choices<'_>) -> Option<Plan> {
    let types = [EventType::File, EventType::Process, EventType::Agent, EventType::File];
    let rows = 1 + choices.below(9) as u32;
    let (mut events, mut refused) = (Vec::new(), Vec::new());
    for row in 1..=rows {
        let (agent, own, kind) = (choices.below(4) as u32, choices.below(8) as u32, choices.below(9));
        if kind == 8 {
            let place = RowPlace { row, source: 0, line: row + 1 };
            refused.push(RefusedRow { place, byte: u64::from(row) * 40, reason: "its pid is no number".to_owned() });
        } else {
            events.push(ground::event(row, agent, own, types[kind % 4]));
        }
    }
    let mut plan = ground::plan_of(events, refused)?;
    let header = &mut plan.header;
    let window = Duration::from_secs(choices.one_of(&[1, 10, 60, 3_600]));
    header.limits.requests = choices.one_of(&[None, Some(1), Some(3), Some(40)]).map(|calls| Rate { calls, window });
    header.limits.keep_free = choices.one_of(&[None, None, Some(Rate { calls: 2, window })]);
    header.limits.concurrency = choices.one_of(&[1, 2, 8]);
    header.limits.batch_size = choices.one_of(&[1, 2, 50]);
    header.limits.act_timeout = Duration::from_secs(120);
    header.limits.poll_timeout = Duration::from_secs(20);
    header.polling.deadline = Duration::from_secs(choices.one_of(&[600, 60]));
    for step in &mut header.steps {
        step.on_unknown = choices.one_of(&[OnUnknown::Stop, OnUnknown::Continue]);
    }
    Some(plan)
}

/// A call as a server may count it: at any moment from its start to its end.
struct Made {
    start: Moment,
    end: Option<Moment>,
    process: u32,
}

struct World<'d> {
    choices: Choices<'d>,
    plan: Plan,
    process: Process,
    processes: u32,
    /// How often the run was found to be over.
    over: u32,
    /// Every eighth item from this one on never settles; from 8 on there is none.
    stuck: usize,
    charges: Vec<(Moment, u32)>,
    facts: Vec<Fact>,
    then: Then,
    in_flight: Vec<(Call, usize)>,
    made: Vec<Made>,
    /// Whose each id of an answer is.
    ids: HashMap<BatchId, Vec<Option<ItemId>>>,
    /// Details that called a remediation a success, and the item that it may have been of.
    said: HashSet<(RemediationRef, ItemId)>,
}

impl<'d> World<'d> {
    fn new(plan: Plan, mut choices: Choices<'d>) -> Self {
        let stuck = choices.below(16);
        let process = Process::new(ground::engine_of(&plan, Vec::new()), START);
        let (then, ids, said) = (Then::Finished, HashMap::new(), HashSet::new());
        let (charges, facts, in_flight, made) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { choices, plan, process, processes: 0, over: 0, stuck, charges, facts, then, in_flight, made, ids, said }
    }

    fn hear(&mut self, input: Input) {
        let shown = format!("{input:?}");
        let heard = self.process.hear(input);
        let (record, calls, then) =
            heard.unwrap_or_else(|illegal| panic!("{illegal}, after {shown}: {:#?}", self.facts));
        self.charges.append(&mut self.process.charges);
        self.facts.extend(record);
        for call in calls {
            self.made.push(Made { start: self.process.now, end: None, process: self.processes });
            self.in_flight.push((call, self.made.len() - 1));
        }
        self.then = then;
    }

    /// A process takes the run up, or begins it.
    fn begin(&mut self, beginning: Beginning) {
        self.processes += 1;
        let lost = self.process.engine.unanswered_acts();
        self.hear(Input::Started(Box::new(beginning)));
        for batch in lost {
            self.hear(Input::Lost { batch });
        }
    }

    /// The process is gone: another engine, from the facts alone.
    fn replay(&mut self) {
        let now = self.process.now;
        for (_, made) in self.in_flight.drain(..) {
            self.made[made].end = Some(now);
        }
        let mut engine = ground::engine_of(&self.plan, spent_before(now, &self.charges));
        for fact in &self.facts {
            engine.apply(fact).unwrap_or_else(|illegal| panic!("{illegal}: {:#?}", self.facts));
        }
        let whole = self.then == Then::Finished;
        assert_eq!(known(&mut engine, whole), known(&mut self.process.engine, whole), "replay is not what live was");
        self.process = Process::new(engine, now);
    }

    fn step(&mut self) {
        if self.then == Then::Finished {
            return self.between_processes();
        }
        match self.choices.below(16) {
            0..=9 if !self.in_flight.is_empty() => {
                let delay = self.choices.one_of(&[0, 1, 300, 5_000]);
                let which = self.choices.below(self.in_flight.len());
                if self.wait_until(Moment(self.process.now.0 + delay)) {
                    self.answer(which, false);
                }
            }
            14 => self.hear(Input::Stop(self.stop_reason())),
            15 => {
                let pause = self.choices.one_of(&[0, 500, 61_000]);
                self.process.now.0 += pause;
                self.then = Then::WaitForInput;
                self.replay();
                self.then = Then::Finished;
            }
            _ => self.tick(),
        }
    }

    fn stop_reason(&self) -> StopReason {
        let stopping = |fact: &&Fact| matches!(fact.what, What::Stopping { .. } | What::Resumed { .. });
        match self.facts.iter().rev().find(stopping).map(|fact| &fact.what) {
            Some(What::Stopping { .. }) => StopReason::SignalAgain,
            _ => StopReason::Signal,
        }
    }

    /// Nobody works on the run: a person may look at what is unclear, and somebody takes it up.
    fn between_processes(&mut self) {
        self.replay();
        let unclear: Vec<ItemId> = self.process.engine.unclear().filter(resolvable).map(|(item, _)| item).collect();
        if !unclear.is_empty() && self.choices.below(3) == 0 {
            let items = vec![self.choices.one_of(&unclear)];
            let finding = self.choices.one_of(&FINDINGS);
            let note = "seen".to_owned();
            let found = Resolution { items, finding, note, by: None, remediation: None, status: None };
            let facts = self.process.engine.resolve(self.process.now, found).expect("it is unclear");
            self.facts.extend(facts);
            self.replay();
        }
        let over = self.process.engine.is_over();
        self.over += u32::from(over);
        if over && self.choices.below(2) == 0 {
            self.over = OVER_MAX + 1;
            return;
        }
        let pending: Vec<ItemId> = self.process.engine.pending().collect();
        let mut beginning = Beginning { only_polls: over || self.choices.below(5) == 0, ..Beginning::default() };
        if !over && self.choices.below(3) == 0 {
            beginning.continued = Some("seen".to_owned());
        }
        if !pending.is_empty() && self.choices.below(4) == 0 {
            let all = [Before::Succeeded, Before::CarriedOut, Before::Open, Before::TimedOut, Before::Unknown];
            let (items, became) = (vec![self.choices.one_of(&pending)], self.choices.one_of(&all));
            beginning.done_before = vec![DoneBefore { items, run: "earlier".to_owned(), became }];
        } else if !pending.is_empty() && self.choices.below(6) == 0 {
            let (items, reason) = (vec![self.choices.one_of(&pending)], "seen".to_owned());
            beginning.permitted = Some(Permission { items, by: None, reason });
        }
        self.begin(beginning);
    }

    fn tick(&mut self) {
        let until = match self.then {
            Then::WaitUntil(at) => at,
            _ => Moment(self.process.now.0 + 1_000),
        };
        if self.wait_until(until) {
            self.hear(Input::Ticked);
        }
    }

    /// Time passes; false when a call's own time was up before, and was heard.
    fn wait_until(&mut self, until: Moment) -> bool {
        let ends = |(call, made): &(Call, usize)| {
            let limits = &self.plan.header.limits;
            let act = matches!(call.what, CallWhat::Act { .. });
            let time = if act { limits.act_timeout } else { limits.poll_timeout };
            self.made[*made].start.0 + time.as_millis() as u64
        };
        let first = (0..self.in_flight.len()).min_by_key(|which| ends(&self.in_flight[*which]));
        match first.filter(|which| ends(&self.in_flight[*which]) <= until.0) {
            Some(which) => {
                self.process.now = self.process.now.max(Moment(ends(&self.in_flight[which])));
                let message = "timed out".to_owned();
                let body = match self.in_flight[which].0.what {
                    CallWhat::Act { .. } => ReplyBody::Act(ActReply::Unreadable { message }),
                    CallWhat::Poll { .. } => ReplyBody::Poll(PollReply::NoAnswer { message, for_good: false }),
                };
                self.reply(which, Reply { token: 1, limits: LimitHeaders::default(), body });
                false
            }
            None => {
                self.process.now = self.process.now.max(until);
                true
            }
        }
    }

    fn reply(&mut self, which: usize, reply: Reply) {
        let (call, made) = self.in_flight.swap_remove(which);
        self.made[made].end = Some(self.process.now);
        self.hear(Input::Replied { call: call.id, reply });
    }

    fn answer(&mut self, which: usize, well: bool) {
        let what = self.in_flight[which].0.what.clone();
        let body = match &what {
            CallWhat::Act { batch, items, .. } => ReplyBody::Act(self.act_reply(*batch, items, well)),
            CallWhat::Poll { of, .. } => ReplyBody::Poll(self.poll_reply(*of, well)),
        };
        let limits = if well || self.choices.below(8) > 0 { LimitHeaders::default() } else { self.limits() };
        let token = 1 + if well { self.processes } else { self.choices.below(3) as u32 };
        self.reply(which, Reply { token, limits, body });
    }

    /// From here on everything answers well: the run ends, at the latest once a person let it go on.
    fn calm(&mut self) {
        let mut processes = 0;
        for _ in 0..CALM_INPUTS_MAX {
            match self.then {
                Then::Finished => {
                    self.replay();
                    if self.process.engine.is_over() {
                        return;
                    }
                    processes += 1;
                    assert!(processes <= 3, "it does not come to an end: {:#?}", self.facts);
                    let continued = (processes > 1).then(|| "seen".to_owned());
                    self.begin(Beginning { continued, ..Beginning::default() });
                }
                _ if !self.in_flight.is_empty() => {
                    if self.wait_until(Moment(self.process.now.0 + 50)) {
                        self.answer(0, true);
                    }
                }
                Then::WaitUntil(at) => {
                    self.process.now = self.process.now.max(at);
                    self.hear(Input::Ticked);
                }
                Then::WaitForInput => panic!("it waits for what never comes: {:#?}", self.facts),
            }
        }
        panic!("it goes on for ever: {:#?}", self.facts);
    }

    fn checked(mut self) -> Driven {
        self.nothing_was_sent_twice();
        self.every_success_was_said();
        self.no_window_held_more();
        let header = &self.plan.header;
        let shapes = self.plan.items.iter().map(|item| (item.step, item.target));
        let folded = fold(header, shapes, self.facts.iter().cloned()).expect("the report takes what the engine wrote");
        ground::agree(&mut self.process.engine, header, &folded);
        let live = self.process.engine.progress();
        assert_eq!((live.gets, live.throttled), (folded.totals.gets, folded.totals.throttled), "calls");
        Driven { plan: self.plan, facts: self.facts, progress: live, folded }
    }
}

fn resolvable((_, outcome): &(ItemId, Settled)) -> bool {
    *outcome != Settled::StillQueued
}
