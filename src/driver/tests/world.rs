//! A plan, a simulator and a store, with one check of what must hold between them.

use super::super::*;
use crate::api::{Api, InProcess, TokenSource};
use crate::engine::fact::{ItemId, Settled};
use crate::engine::items::ItemShape;
use crate::events::{Event, RowPlace};
use crate::journal::MemoryStore;
use crate::plan::{OnUnknown, Plan, PlannedItem, PlannedStep, PlannedTenant};
use crate::simulator::{Broken, Fate, Options, Simulator};
use crate::tenant::EventType;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The run's name in all tests.
pub(super) const RUN: &str = "test-0612-7f3";
const START: Moment = Moment(1_700_000_000_000);

/// One item on each of so many hosts.
pub(super) fn hosts(n: u32) -> Vec<PlannedItem> {
    (0..n).map(|event| PlannedItem { event, step: 0, target: event }).collect()
}

/// Two steps on each of so many hosts.
pub(super) fn two_steps(n: u32) -> Vec<PlannedItem> {
    (0..2 * n).map(|item| PlannedItem { event: item / 2, step: (item % 2) as u16, target: item / 2 }).collect()
}

/// See the module.
pub(super) struct World {
    pub(super) simulator: Simulator,
    pub(super) header: PlanHeader,
    pub(super) store: MemoryStore,
    plan: Plan,
    began: Instant,
}

impl World {
    /// To be made inside the runtime whose time it follows.
    pub(super) fn new(options: Options, items: Vec<PlannedItem>) -> Self {
        let simulator = Simulator::new(options);
        let header = header_of(&simulator);
        let count = items.iter().map(|item| item.event + 1).max().unwrap_or(0);
        let events = (0..count).map(event).collect();
        let plan = Plan { header: header.clone(), events, items, rows_without_item: Vec::new() };
        let store = MemoryStore::new(&plan);
        Self { simulator, header, store: store.take_over(), plan, began: Instant::now() }
    }

    /// Carries the run out to its end.
    pub(super) async fn run(&mut self) -> Ending {
        let (_send, stops) = mpsc::channel(1);
        self.run_until(stops).await.expect("the store is well")
    }

    /// Takes the run over, as a new process does, and carries it on.
    pub(super) async fn run_until(&mut self, stops: mpsc::Receiver<Order>) -> Result<Ending, DriverError> {
        let driver = self.driver();
        driver.run(stops, crate::driver::NobodyLooks, |_, _| {}).await
    }

    /// The items of intents without a durable answer.
    pub(super) fn lost(&self) -> HashSet<ItemId> {
        let mut open = HashMap::new();
        for fact in self.facts() {
            match fact.what {
                What::Submitting { batch, items, .. } => {
                    open.insert(batch, items);
                }
                What::Accepted { batch, .. }
                | What::Rejected { batch, .. }
                | What::Returned { batch, .. }
                | What::Unanswered { batch, .. } => {
                    open.remove(&batch);
                }
                _ => {}
            }
        }
        open.into_values().flatten().collect()
    }

    pub(super) fn driver(&mut self) -> Driver<MemoryStore, Api> {
        let header = Arc::new(self.header.clone());
        let facts = self.facts();
        let mut engine = Engine::new(RUN, &header, self.shapes(), self.spent());
        for fact in &facts {
            engine.apply(fact).expect("facts replay");
        }
        self.store = self.store.take_over();
        let store = self.store.take_over();
        let cut = |extensions: &http::Extensions| extensions.get::<Broken>().map(|broken| broken.carried_out);
        let transport = InProcess::new(self.simulator.router(), &header.limits, cut);
        let token = TokenSource::Given("a-token-of-the-test".into());
        let api = Api::new(&header.tenant, token, transport).expect("the simulator's URL is one");
        let clock = RunClock::starting_at(Moment(START.0 + self.elapsed().as_millis() as u64).max(engine.now()));
        let (head, beginning) = (store.head(), Beginning::default());
        Driver { run: RUN.to_owned(), header, engine, head, store, api: Arc::new(api), clock, beginning }
    }

    /// What earlier processes have spent of the budget, or may have.
    fn spent(&self) -> Vec<Moment> {
        let now = Moment(START.0 + self.elapsed().as_millis() as u64);
        self.store.spent(now)
    }

    fn shapes(&self) -> impl Iterator<Item = ItemShape> + '_ {
        self.plan.items.iter().map(|item| {
            let event = &self.plan.events[item.event as usize];
            ItemShape::new(item.step, item.target, event.event_type, &event.agent_id, &event.unique_id)
        })
    }

    /// How long the test has taken, in its own time.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The durable facts.
    pub(super) fn facts(&self) -> Vec<Fact> {
        self.store.facts().expect("facts are read back")
    }

    /// How many items of that fate were carried out.
    pub(super) fn ledger_of(&self, fate: Fate) -> u64 {
        self.simulator.ledger().entries.iter().filter(|entry| entry.fate == fate).count() as u64
    }

    /// Every end of every item, in order; `None` stands for rejected and barred. A sound run has one for each.
    pub(super) fn outcomes(&self) -> BTreeMap<ItemId, Vec<Option<Settled>>> {
        let mut ends: BTreeMap<ItemId, Vec<Option<Settled>>> = BTreeMap::new();
        let mut batches = HashMap::new();
        for fact in self.facts() {
            match fact.what {
                What::Submitting { batch, items, .. } => {
                    batches.insert(batch, items);
                }
                What::Settled { item, outcome, .. } => ends.entry(item).or_default().push(Some(outcome)),
                What::Rejected { batch, .. } => {
                    batches[&batch].iter().for_each(|item| ends.entry(*item).or_default().push(None));
                }
                What::Unanswered { batch, .. } => {
                    let unknown = Some(Settled::Unknown);
                    batches[&batch].iter().for_each(|item| ends.entry(*item).or_default().push(unknown));
                }
                What::Barred { target, step } => {
                    for (number, _) in (0..).zip(&self.plan.items).filter(|(_, i)| i.target == target && i.step > step)
                    {
                        ends.entry(ItemId(number)).or_default().push(None);
                    }
                }
                _ => {}
            }
        }
        ends
    }

    /// What must hold between ledger and journal however a finished run went.
    pub(super) fn check_truth(&self) {
        let ledger = self.simulator.ledger();
        let twice = ledger.carried_out_more_than_once();
        assert!(twice.is_empty(), "carried out more than once: {twice:?}");
        let facts = self.facts();
        let intents: HashMap<String, &Vec<ItemId>> = facts
            .iter()
            .filter_map(|fact| match &fact.what {
                What::Submitting { batch, items, .. } => Some((tag::tag(RUN, *batch), items)),
                _ => None,
            })
            .collect();
        let mut done: HashMap<ItemId, (Fate, &str)> = HashMap::new();
        for entry in &ledger.entries {
            let intent = intents.get(&entry.comment).expect("what was carried out has a durable intent");
            let item = intent.iter().find(|item| self.is(**item, &entry.item)).expect("and stands in it");
            done.insert(*item, (entry.fate, &entry.remediation_id));
        }
        let outcomes = self.outcomes();
        assert_eq!(outcomes.len(), self.plan.items.len(), "every item has an outcome");
        for (item, ends) in outcomes {
            assert_eq!(ends.len(), 1, "item {} has one outcome: {ends:?}", item.0);
            let fate = done.get(&item).map(|(fate, _)| *fate);
            let truthful = match ends[0] {
                Some(Settled::Succeeded) => fate == Some(Fate::Succeeds),
                Some(Settled::Failed) => fate == Some(Fate::Fails),
                Some(Settled::StillQueued | Settled::TimedOut) => fate == Some(Fate::NeverSettles),
                Some(Settled::Unknown | Settled::Unmatched) => true,
                None => fate.is_none(),
            };
            assert!(truthful, "item {} is said to be {:?} and is {fate:?}", item.0, ends[0]);
        }
        self.check_ids(&facts, &done);
    }

    /// The remediation that an item's outcome was read from is the item's own.
    fn check_ids(&self, facts: &[Fact], done: &HashMap<ItemId, (Fate, &str)>) {
        let mut answers = HashMap::new();
        for fact in facts {
            match &fact.what {
                What::Accepted { batch, ids } => {
                    answers.insert(*batch, ids);
                }
                What::Settled { item, of: Some(of), .. } => {
                    assert_eq!(answers[&of.batch][usize::from(of.index)], done[item].1, "item {}", item.0);
                }
                _ => {}
            }
        }
    }

    fn is(&self, item: ItemId, done: &crate::simulator::SimItem) -> bool {
        let planned = self.plan.items[item.0 as usize];
        let event = &self.plan.events[planned.event as usize];
        let action = self.header.steps[usize::from(planned.step)].action.id;
        (action, &*event.agent_id, &*event.unique_id) == (done.action_id, &*done.agent_id, &*done.unique_id)
    }
}

fn event(n: u32) -> Event {
    Event {
        place: RowPlace { row: n + 1, source: 0, line: n + 2 },
        agent_id: format!("00000000-0000-4000-8000-{n:012x}").into(),
        event_id: format!("RTF_{n}").into(),
        event_type: EventType::File,
        pid: 0,
        unique_id: format!("{n:032x}").into(),
        action: None,
        attributes: "{}".into(),
    }
}

/// The simulator's own tenant, quick to poll; two actions that files can have.
fn header_of(simulator: &Simulator) -> PlanHeader {
    let yaml = simulator.tenant_yaml("http://127.0.0.1");
    let tenant = crate::tenant::read("tenant.yaml", &yaml).expect("the simulator's tenant can be read");
    let step = |action: &str| PlannedStep {
        name: action.to_owned(),
        action: tenant.actions.iter().find(|known| known.name == action).expect("a known action").clone(),
        filter: None,
        on_unknown: OnUnknown::Continue,
        inverse_id: None,
        inverse: None,
        flow: crate::plan::PlannedFlow::default(),
    };
    PlanHeader {
        playbook: "test".into(),
        description: String::new(),
        comment: String::new(),
        steps: vec![step("quarantine-file"), step("delete-file")],
        limits: tenant.limits.clone(),
        polling: tenant.polling.clone(),
        statuses: tenant.statuses.clone(),
        dedupe_window: crate::playbook::DEDUPE_WINDOW,
        overlap: crate::plan::Overlap::Forbid,
        release: crate::plan::PlannedRelease::default(),
        guards: crate::plan::PlannedGuards::default(),
        blocked: Vec::new(),
        sources: vec!["events.csv".into()],
        rows: 0,
        reports: Vec::new(),
        tool_version: "0.1.0".to_owned(),
        files: Vec::new(),
        origin: None,
        approval: None,
        digest: String::new(),
        tenant: PlannedTenant {
            name: tenant.name.clone(),
            base_url: tenant.base_url.clone(),
            api_version: tenant.api_version,
            user: tenant.user.clone(),
            user_id: tenant.user_id.clone(),
            auth: tenant.auth.clone(),
            simulated: true,
        },
    }
}
