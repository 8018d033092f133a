//! `quell resume`: takes up an unfinished run where its journal ends. Inputs are not read again; nothing is sent twice.

use super::progress::announce;
use super::run::{connect, drive, finish, runtime, spent_until, wall_clock};
use super::{overlap, report_paths, tell};
use crate::cli::Running;
use crate::driver::{Driver, RunClock};
use crate::engine::fact::{Fact, ItemId, Moment, What};
use crate::engine::items::ItemShape;
use crate::engine::{Beginning, Engine, Illegal};
use crate::error::{ExitCode, Failure};
use crate::journal::{self, Journal, RunReader, StoreError};
use crate::simulator::{Options, SimAction, SimItem, Simulator, Submitter};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Takes the run up.
pub fn execute(run: Option<&str>, running: &Running, state: &Path) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
    runtime.block_on(resume(run, running, state))
}

async fn resume(run: Option<&str>, running: &Running, state: &Path) -> Result<ExitCode, Failure> {
    let Some((id, tenant)) = choose(run, state)? else {
        tell("there is no unfinished run in this state folder");
        return Ok(ExitCode::Fine);
    };
    let preview = RunReader::of_tenant(state, &tenant, &id)?;
    let playbook = overlap::take_playbook(state, preview.header(), Some(&id), running).await?;
    let journal = Journal::open(state, &tenant)?;
    report_paths::check(running, None, state)?;
    let spent = spent_before(wall_clock(), &preview, &journal)?;
    drop(preview);
    let mut taken = journal.resume(&id)?;
    taken.run.keep(playbook, &id)?;
    if running.priority {
        taken.run.go_first();
    }
    let reader = taken.run.reader()?;
    let (engine, simulator) = restore(&reader, &id, spent)?;
    if engine.is_over() {
        tell(&format!("run {id} is complete: there is nothing left to do"));
        return finish(false, &tenant, &id, running, state);
    }
    if let Some(host) = &taken.other_host {
        warn_of_other_host(&id, host, running);
    }
    let header = Arc::new(taken.header);
    let api = connect(&header, simulator.as_ref(), running)?;
    api.check_token().await?;
    announce(running, "resumed", &format!("run {id} is taken up"), serde_json::json!({"run": id}));
    let clock = RunClock::starting_at(wall_clock().max(engine.now()));
    drop(reader);
    let (store, head, api) = (taken.run, taken.head, Arc::new(api));
    let beginning = Beginning { by: running.operator.clone(), ..Beginning::default() };
    let driver = Driver { run: id.clone(), header, engine, store, head, api, clock, beginning };
    drive(driver, &id, running, state).await
}

/// The run that was named, or the newest unfinished one; with its tenant.
fn choose(run: Option<&str>, state: &Path) -> Result<Option<(String, String)>, Failure> {
    if let Some(run) = run {
        let reader = RunReader::open(state, Some(run))?;
        return Ok(Some((reader.meta().id.clone(), reader.meta().tenant.clone())));
    }
    let newest = journal::runs(state)?.newest_unfinished()?;
    Ok(newest.map(|run| (run.meta.id, run.meta.tenant)))
}

/// Said even when it is quiet: two copies of a journal know nothing of each other's acts.
fn warn_of_other_host(id: &str, host: &str, running: &Running) {
    let words = format!("run {id} was last written on another machine: make sure that it does not go on there");
    let fields = serde_json::json!({"run": id, "host": host});
    announce(&Running { quiet: false, ..running.clone() }, "other_host", &words, fields);
}

/// The moments from which earlier calls age, on the run's clock, which never goes back: its engine begins where its last
/// fact ended. By a wall clock that was set back, calls of just now would lie ahead of it.
pub fn spent_before(wall: Moment, run: &RunReader, journal: &Journal) -> Result<Vec<Moment>, Failure> {
    spent_until(wall.max(run.last_moment()?), run.header(), journal)
}

/// The engine as the facts left it; for a simulated run also the simulator, with what it had accepted.
fn restore(reader: &RunReader, id: &str, spent: Vec<Moment>) -> Result<(Engine, Option<Simulator>), Failure> {
    let mut shapes = Vec::new();
    let simulated = reader.meta().simulated;
    let mut items = Vec::new();
    reader.for_each_item(|row| {
        let event = &row.event;
        shapes.push(ItemShape::new(row.step, row.target, event.event_type, &event.agent_id, &event.unique_id));
        if simulated {
            items.push(SimItem {
                action_id: reader.header().steps[usize::from(row.step)].action.id,
                agent_id: event.agent_id.to_string(),
                event_id: event.event_id.to_string(),
                event_type: event.event_type,
                pid: event.pid,
                unique_id: event.unique_id.to_string(),
            });
        }
        Ok(())
    })?;
    let mut engine = Engine::new(id, reader.header(), shapes.into_iter(), spent);
    let simulator = simulated.then(|| {
        let actions = reader.header().steps.iter().map(|step| SimAction::from(&step.action)).collect();
        Simulator::new(Options { actions, latency: crate::simulator::Delay::None, ..Options::default() })
    });
    let mut accepted = Accepted { items, batches: HashMap::new() };
    let mut illegal: Option<Illegal> = None;
    let path = reader.path().to_owned();
    reader.for_each_fact(|fact| {
        if illegal.is_none() {
            illegal = engine.apply(&fact).err();
        }
        if let Some(simulator) = &simulator {
            accepted.hear(&fact, simulator, reader);
        }
        Ok(())
    })?;
    match illegal {
        Some(Illegal(what)) => Err(StoreError::Damaged { path: path.display().to_string(), what }.into()),
        None => Ok((engine, simulator)),
    }
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
