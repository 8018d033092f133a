//! A run that a command has taken up: its journal is held and proven, and its engine stands where the facts left it.
//!
//! Whatever must be refused before anything is done with a run is refused here: a journal that another machine wrote
//! last, a tenant file that says something else than the run was planned with.

use super::run::{spent_until, wall_clock};
use super::{apply, held, inputs, overlap, room, tell};
use crate::cli::{Running, Taking};
use crate::engine::fact::{Fact, ItemId, Moment, What};
use crate::engine::items::ItemShape;
use crate::engine::{Beginning, DoneBefore, Engine, Illegal};
use crate::error::Failure;
use crate::journal::{Journal, Question, Requests, Resumed, RunReader, StoreError};
use crate::plan::PlanHeader;
use crate::simulator::{Options, SimAction, SimItem, Simulator, Submitter};
use crate::tenant::{Action, Tenant};
use std::collections::HashMap;
use std::path::Path;

/// See the module.
pub struct Taken {
    /// The journal's part.
    pub resumed: Resumed,
    /// The run as its facts left it.
    pub engine: Engine,
    /// What stands in for the tenant, when the run was simulated.
    pub simulator: Option<Simulator>,
    /// The moments from which earlier calls age.
    pub spent: Vec<Moment>,
}

/// What the process will do with the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// It may act.
    Acts,
    /// It only polls, or writes findings down.
    Nothing,
}

impl Taken {
    /// Takes up a run of this tenant by its whole name; to act, once no other run of its playbook goes on. Nobody else can
    /// begin then until its first new facts say what this process will not send.
    pub async fn up(
        state: &Path,
        tenant: &str,
        id: &str,
        taking: &Taking,
        running: &Running,
        sends: Sends,
    ) -> Result<Self, Failure> {
        let preview = RunReader::of_tenant(state, tenant, id)?;
        same_tenant(preview.header(), taking)?;
        let playbook = match sends {
            Sends::Acts => Some(overlap::take_playbook(state, preview.header(), Some(id), running).await?),
            Sends::Nothing => None,
        };
        let journal = Journal::open(state, tenant)?;
        let spent = spent_before(wall_clock(), &preview, &journal)?;
        drop(preview);
        // Before it is taken up: what is refused stays as it is.
        if let (Some(host), None) = (journal.other_host(id)?, &taking.adopt) {
            return Err(StoreError::OtherHost { run: id.to_owned(), host }.into());
        }
        let mut resumed = journal.resume(id)?;
        // The run is this process's from here on: what was asked before was meant for another one.
        Requests::of_run(state, tenant, id).clear()?;
        match playbook {
            Some(playbook) => resumed.run.keep(playbook, id)?,
            None => resumed.run.sends_nothing(),
        }
        if running.priority {
            resumed.run.go_first();
        }
        let reader = resumed.run.reader()?;
        let (engine, simulator) = restore(&reader, id, spent.clone())?;
        drop(reader);
        Ok(Self { resumed, engine, simulator, spent })
    }

    /// What the first process of a run says in its first facts: said again by whoever takes it up, for that one may have been
    /// killed before.
    pub fn first_words(&self) -> Beginning {
        let Resumed { header, meta, head, .. } = &self.resumed;
        let permitted = || apply::permitted_by(header.origin.as_ref(), meta.operator.as_deref());
        let permitted = (head.sequence == 0).then(permitted).flatten();
        let (blocked, approvals) = (held::blocked(header), meta.approvals.clone());
        Beginning { permitted, blocked, approvals, ..Beginning::default() }
    }

    /// What other runs did, or may have done, of what is still to be sent.
    pub fn done_before(&self) -> Result<Vec<DoneBefore>, Failure> {
        let window = self.resumed.header.dedupe_window;
        let mut permitted = self.engine.permitted();
        permitted.extend(self.first_words().permitted.into_iter().flat_map(|unheard| unheard.items));
        let question = Question { now: wall_clock(), window, permitted: &permitted };
        Ok(self.resumed.run.done_before(self.engine.pending(), question)?)
    }

    /// Why the journal is taken over, when another machine wrote it last.
    pub fn adopted(&self, taking: &Taking) -> Option<String> {
        taking.adopt.clone().filter(|_| self.resumed.other_host.is_some())
    }
}

/// A run goes on with the tenant it was planned with. A tenant file that is given says whether that is still meant.
pub fn same_tenant(header: &PlanHeader, taking: &Taking) -> Result<(), Failure> {
    let Some(file) = taking.tenant.as_ref().filter(|_| !header.tenant.simulated) else { return Ok(()) };
    let tenant = inputs::tenant_of(file)?;
    let planned = &header.tenant;
    let version = |version| format!("{version:?}");
    for (what, then, now) in [
        ("name", &planned.name, &tenant.name),
        ("base_url", &planned.base_url, &tenant.base_url),
        ("api_version", &version(planned.api_version), &version(tenant.api_version)),
        ("user", &planned.user, &tenant.user),
        ("user_id", &planned.user_id, &tenant.user_id),
    ] {
        if then != now {
            let show = |text: &str| crate::report::inert::terminal(text).into_owned();
            return Err(Failure::Held(format!(
                "{}: `{what}` is {} now, and the run was planned with {}; nothing was sent\n\
                 help: a run goes on with the tenant it was planned with: leave --tenant out, or begin a new run",
                file.display(),
                show(now),
                show(then)
            )));
        }
    }
    same_actions(header, &tenant, file)
}

/// What an action does, and whether it may be repeated, must still be what it was.
fn same_actions(header: &PlanHeader, tenant: &Tenant, file: &Path) -> Result<(), Failure> {
    for step in &header.steps {
        let planned = &step.action;
        let now = tenant.actions.iter().find(|action| action.name == planned.name);
        let told = |action: &Action| {
            let kinds = (action.event_types.clone(), action.reversible, action.repeat_safe);
            (action.id, action.request_type, kinds, action.fill.clone())
        };
        if now.map(told) != Some(told(planned)) {
            return Err(Failure::Held(format!(
                "{}: the action {} is not what the run was planned with; nothing was sent\n\
                 help: leave --tenant out to go on as planned, or begin a new run",
                file.display(),
                crate::report::inert::terminal(&planned.name)
            )));
        }
    }
    Ok(())
}

/// The moments from which earlier calls age, on the run's clock, which never goes back: its engine begins where its last
/// fact ended. By a wall clock that was set back, calls of just now would lie ahead of it.
pub fn spent_before(wall: Moment, run: &RunReader, journal: &Journal) -> Result<Vec<Moment>, Failure> {
    spent_until(wall.max(run.last_moment()?), run.header(), journal)
}

/// The engine as the facts left it; for a simulated run also the simulator, with what it had accepted.
fn restore(reader: &RunReader, id: &str, spent: Vec<Moment>) -> Result<(Engine, Option<Simulator>), Failure> {
    let simulator = reader.meta().simulated.then(|| simulator_of(reader.header()));
    let mut accepted = Accepted { items: Vec::new(), batches: HashMap::new() };
    if simulator.is_some() {
        reader.for_each_item(|row| {
            let event = &row.event;
            accepted.items.push(SimItem {
                action_id: reader.header().steps[usize::from(row.step)].action.id,
                agent_id: event.agent_id.to_string(),
                event_id: event.event_id.to_string(),
                event_type: event.event_type,
                pid: event.pid,
                unique_id: event.unique_id.to_string(),
            });
            Ok(())
        })?;
    }
    let fitted = room::fitted(reader.header())?;
    let engine = replayed(
        reader,
        |shapes| Engine::new(id, &fitted, shapes.into_iter(), spent),
        |fact| {
            if let Some(simulator) = &simulator {
                accepted.hear(fact, simulator, reader);
            }
        },
    )?;
    Ok((engine, simulator))
}

/// The engine of a run as its facts left it, for a look.
pub fn engine_of(reader: &RunReader) -> Result<Engine, Failure> {
    replayed(reader, |shapes| Engine::new(&reader.meta().id, reader.header(), shapes.into_iter(), []), |_| {})
}

/// An engine begun with the run's items that has heard all its facts, and whoever else hears them.
fn replayed(
    reader: &RunReader,
    begin: impl FnOnce(Vec<ItemShape>) -> Engine,
    mut also: impl FnMut(&Fact),
) -> Result<Engine, Failure> {
    let mut shapes = Vec::new();
    reader.for_each_item(|row| {
        shapes.push(ItemShape::of(reader.header(), (row.step, row.target), &row.event));
        Ok(())
    })?;
    let mut engine = begin(shapes);
    let mut illegal: Option<Illegal> = None;
    reader.for_each_fact(|fact| {
        if illegal.is_none() {
            illegal = engine.apply(&fact).err();
        }
        also(&fact);
        Ok(())
    })?;
    match illegal {
        Some(Illegal(what)) => Err(StoreError::Damaged { path: reader.path().display().to_string(), what }.into()),
        None => Ok(engine),
    }
}

/// A simulator that knows the actions of a plan.
pub fn simulator_of(header: &PlanHeader) -> Simulator {
    let actions = header.steps.iter().map(|step| SimAction::from(&step.action)).collect();
    Simulator::new(Options { actions, latency: crate::simulator::Delay::None, ..Options::default() })
}

/// Puts back into a new simulator what the one that ended with its process had accepted.
struct Accepted {
    items: Vec<SimItem>,
    batches: HashMap<u32, Vec<ItemId>>,
}

impl Accepted {
    fn hear(&mut self, fact: &Fact, simulator: &Simulator, reader: &RunReader) {
        match &fact.what {
            What::Submitting { batch, items, .. } => {
                self.batches.insert(batch.0, items.clone());
            }
            What::Accepted { batch, ids } => {
                let by = Submitter {
                    user: reader.header().tenant.user.clone(),
                    user_id: reader.header().tenant.user_id.clone(),
                    comment: crate::engine::tag::comment_of(&reader.header().comment, &reader.meta().id, *batch),
                };
                for (item, id) in self.batches.remove(&batch.0).into_iter().flatten().zip(ids) {
                    if let Some(item) = self.items.get(item.0 as usize)
                        && let Err(e) = simulator.restore(id, item, &by)
                    {
                        tell(&format!("the simulator cannot remember {}: {e}", crate::report::inert::terminal(id)));
                    }
                }
            }
            _ => {}
        }
    }
}
