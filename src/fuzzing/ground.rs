//! What the targets stand on: a tenant, a playbook, plans of them, and one process at work on a run.

use crate::engine::call::Call;
use crate::engine::fact::{Fact, Moment};
use crate::engine::items::ItemShape;
use crate::engine::{Engine, Granted, Illegal, Input, Outcome, Then, Turn};
use crate::events::{Event, Events, RefusedRow, RowPlace};
use crate::plan::{self, Plan, PlanHeader};
use crate::playbook::{self, Playbook};
use crate::report::Folded;
use crate::tenant::{self, EventType, Tenant};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// The run's name.
pub(super) const RUN: &str = "fuzz-0612-7f3";
/// When runs begin.
pub(super) const START: Moment = Moment(1_718_161_200_000);

const PLAYBOOK: &str = "\
version: 1
name: fuzz
tenant: simulator
comment: INC-7
steps:
  - {name: kill, action: kill-process}
  - {name: quarantine, action: quarantine-file}
  - {name: delete, action: delete-file}
";

/// The tenant of all targets.
pub(super) static TENANT: LazyLock<Tenant> = LazyLock::new(|| {
    tenant::read("tenant.yaml", include_str!("../../examples/tenant.yaml")).expect("the example can be read")
});

static STEPS: LazyLock<Playbook> =
    LazyLock::new(|| playbook::read(Path::new("fuzz.yaml"), PLAYBOOK).expect("the playbook can be read"));

/// The plan of three steps over these rows; `None` when no row becomes an item.
pub(super) fn plan_of(rows: Vec<Event>, refused: Vec<RefusedRow>) -> Option<Plan> {
    let sources = vec!["events.csv".to_owned()];
    let events = Events { sources, rows, refused, digests: vec![String::new()], ..Events::default() };
    let work = plan::Work::Playbook(&STEPS);
    let request = plan::Request {
        work,
        tenant: &TENANT,
        vars: BTreeMap::new(),
        events,
        narrowing: plan::Narrowing::default(),
        partial: true,
        simulated: false,
        files: Vec::new(),
    };
    plan::build(request).ok().filter(|plan| !plan.items.is_empty())
}

/// A row: on this agent, with this number of its own.
pub(super) fn event(row: u32, agent: u32, own: u32, event_type: EventType) -> Event {
    Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: format!("agent-{agent}").into(),
        event_id: format!("event-{own}").into(),
        event_type,
        pid: if event_type == EventType::Process { 4_000 + own } else { 0 },
        unique_id: own.to_string().into(),
        action: None,
        attributes: format!(r#"{{"host":"ws-{agent}","score":{own},"path":"C:\\=cmd","verdict":"MALICIOUS"}}"#).into(),
    }
}

/// Five items of two rows and two hosts: the plan of the targets that do not make their own.
pub(super) fn small_plan() -> Plan {
    let rows = vec![
        event(1, 0, 1, EventType::File),
        event(2, 1, 2, EventType::File),
        event(3, 0, 3, EventType::Process),
        event(4, 0, 1, EventType::File),
    ];
    plan_of(rows, Vec::new()).expect("these rows become items")
}

/// Two files on two hosts, each in two steps.
pub(super) fn two_files() -> Plan {
    let rows = vec![event(1, 0, 1, EventType::File), event(2, 1, 2, EventType::File)];
    plan_of(rows, Vec::new()).expect("these rows become items")
}

/// The engine of a run without facts.
pub(super) fn engine_of(plan: &Plan, spent: Vec<Moment>) -> Engine {
    let shapes = plan.items.iter().map(|item| {
        let event = &plan.events[item.event as usize];
        ItemShape::new(item.step, item.target, event.event_type, &event.agent_id, &event.unique_id)
    });
    Engine::new(RUN, &plan.header, shapes, spent)
}

/// One process at work: what the engine asks for, as the driver hears it.
pub(super) struct Process {
    pub(super) engine: Engine,
    pub(super) now: Moment,
    /// Calls of the budget, each block with the moment at which it was reserved.
    pub(super) charges: Vec<(Moment, u32)>,
}

impl Process {
    pub(super) fn new(engine: Engine, now: Moment) -> Self {
        Self { now: now.max(engine.now()), engine, charges: Vec::new() }
    }

    /// One input, and what follows from it: facts, calls, and what to wait for.
    pub(super) fn hear(&mut self, input: Input) -> Result<(Vec<Fact>, Vec<Call>, Then), Illegal> {
        let Turn { mut record, mut calls, mut then, .. } = self.engine.turn(self.now, input)?;
        while then != Then::Finished
            && let Some(share) = self.share()
        {
            let turn = self.engine.turn(self.now, share)?;
            record.extend(turn.record);
            calls.extend(turn.calls);
            then = turn.then;
        }
        Ok((record, calls, then))
    }

    /// What the engine wishes for of what runs share; it is alone here, and gets all of it.
    fn share(&mut self) -> Option<Input> {
        let wish = self.engine.wish();
        if wish.slots != self.engine.slots() {
            return Some(Input::Slots(wish.slots));
        }
        let ask = self.engine.ask(self.now, Some(wish.calls).filter(|calls| *calls > 0)?)?;
        self.charges.push((self.engine.now(), ask.calls));
        Some(Input::Granted(Granted { calls: ask.calls, next: self.now }))
    }
}

/// Engine and report say the same of the same facts.
pub(super) fn agree(engine: &mut Engine, header: &PlanHeader, folded: &Folded) {
    let (live, totals) = (engine.progress(), &folded.totals);
    let n = |outcomes: &[Outcome]| totals.outcomes.sum(outcomes);
    let not_started = n(&[Outcome::NotStarted]);
    let pending = engine.pending().count() as u64;
    for (what, engine, report) in [
        ("items", live.items, folded.endings.len() as u64),
        ("succeeded", live.succeeded, n(&[Outcome::Succeeded])),
        ("failed", live.failed, n(&[Outcome::Failed, Outcome::Rejected, Outcome::TimedOut])),
        ("unclear", live.unclear, n(&[Outcome::Unknown, Outcome::Unmatched])),
        ("still queued", live.still_queued, n(&[Outcome::StillQueued])),
        ("skipped", live.skipped, n(&[Outcome::Skipped])),
        ("not started", pending + live.barred, not_started),
        ("settled", live.settled, live.items - n(&[Outcome::Open]) - pending),
        ("sent", live.sent, live.items - n(&[Outcome::Skipped]) - not_started),
        ("acts", live.posts, totals.posts),
    ] {
        assert_eq!(engine, report, "{what}: the engine and the report of {} differ", header.playbook);
    }
    for item in engine.pending() {
        assert_eq!(folded.endings[item.0 as usize].outcome, Outcome::NotStarted, "item {} is pending", item.0);
    }
    for (item, outcome) in engine.unclear() {
        let reported = folded.endings[item.0 as usize].outcome;
        assert_eq!(format!("{reported:?}"), format!("{outcome:?}"), "item {} is unclear", item.0);
    }
    if totals.complete && totals.ended {
        assert_eq!(live.settled, live.items, "a run that ended as complete has nothing left to do");
    }
}
