//! `quell resume`: takes up an unfinished run where its journal ends. Inputs are not read again; nothing is sent twice.

use super::progress::announce;
use super::run::{connect, drive, finish, runtime, wall_clock};
use super::taken::{Sends, Taken, same_tenant};
use super::{confirm, overseer, report_paths, tell, unresolved};
use crate::api::Api;
use crate::cli::{Running, Taking};
use crate::driver::{Driver, RunClock};
use crate::engine::{Beginning, Promotion};
use crate::error::{ExitCode, Failure};
use crate::journal::{self, RunReader};
use std::path::Path;
use std::sync::Arc;

/// What was asked.
pub struct Order {
    /// The run, or the newest unfinished one.
    pub run: Option<String>,
    /// How it is taken up.
    pub taking: Taking,
    /// Why acting goes on although items are unknown, or the failure budget is used up.
    pub go_on: Option<String>,
    /// Who lets the next wave begin.
    pub promotion: Option<Promotion>,
    /// How to work.
    pub running: Running,
    /// The state folder.
    pub state: std::path::PathBuf,
}

/// Takes the run up.
pub fn execute(order: &Order) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let _entered = runtime.enter();
    runtime.block_on(resume(order))
}

async fn resume(order: &Order) -> Result<ExitCode, Failure> {
    let Order { taking, running, state, .. } = order;
    let Some((tenant, id)) = choose(order.run.as_deref(), state)? else {
        tell("there is no unfinished run in this state folder");
        return Ok(ExitCode::Fine);
    };
    report_paths::check(running, None, state)?;
    let ready = ready_to_send(&tenant, &id, order).await?;
    let taken = Taken::up(state, &tenant, &id, taking, running, Sends::Acts).await?;
    let adopted = taken.adopted(taking);
    if order.go_on.is_some() && !taken.engine.holds_back() && !taken.engine.is_over_budget() {
        return Err(Failure::Usage(format!(
            "--continue: nothing is held back in run {id}, and its failure budget is not used up; nothing was sent"
        )));
    }
    let over = taken.engine.is_over();
    let done_before = if over { Vec::new() } else { taken.done_before()? };
    let first = taken.first_words();
    let Taken { resumed, engine, simulator, .. } = taken;
    if over {
        tell(&format!("run {id} is complete: there is nothing left to do"));
        // Nobody waits for a report that is slow to be written.
        drop(resumed);
        return finish(false, &tenant, &id, running, state);
    }
    let header = Arc::new(resumed.header);
    let api = match ready {
        Some(api) => api,
        None => connect(&header, simulator.as_ref(), running)?,
    };
    announce(running, "resumed", &format!("run {id} is taken up"), serde_json::json!({"run": id}));
    let clock = RunClock::starting_at(wall_clock().max(engine.now()));
    let (store, head, api) = (resumed.run, resumed.head, Arc::new(api));
    let (by, continued) = (running.operator.clone(), order.go_on.clone());
    confirm::tell_of_earlier(&done_before, running);
    let promotion = order.promotion.clone();
    let beginning = Beginning { by, adopted, continued, done_before, promotion, ..first };
    let driver = Driver { run: id.clone(), header, engine, store, head, api, clock, beginning };
    drive(driver, &id, running, state).await
}

/// The way to the API of a run that is not complete, with a token that was read: nobody shall wait at the gate for that.
/// A simulated run needs none.
async fn ready_to_send(tenant: &str, id: &str, order: &Order) -> Result<Option<Api>, Failure> {
    let preview = RunReader::of_tenant(&order.state, tenant, id)?;
    same_tenant(preview.header(), &order.taking)?;
    if preview.is_complete()? {
        return Ok(None);
    }
    overseer::refuse_if_forbidden(&order.state, preview.header()).await?;
    if preview.meta().simulated {
        return Ok(None);
    }
    let api = connect(preview.header(), None, &order.running)?;
    api.check_token().await?;
    Ok(Some(api))
}

/// The run that was named, or the newest unfinished one; with its tenant.
fn choose(run: Option<&str>, state: &Path) -> Result<Option<(String, String)>, Failure> {
    if let Some(run) = run {
        return unresolved::named(run, state).map(Some);
    }
    let newest = journal::runs(state)?.newest_unfinished()?;
    Ok(newest.map(|run| (run.meta.tenant, run.meta.id)))
}
