//! `quell stop` and `quell promote`: what another process asks of a run that goes on. A run that nobody works on is taken
//! up by `promote`, as `resume` does.

use super::standing::Standing;
use super::{resume, tell, unresolved};
use crate::cli::{Promoting, Running, Taking};
use crate::engine::{Gate, Promotion};
use crate::error::{ExitCode, Failure};
use crate::inert;
use crate::journal::{self, Requests};
use std::path::Path;

/// `quell stop`
pub fn stop(run: Option<&str>, state: &Path) -> Result<ExitCode, Failure> {
    let (tenant, id) = match run {
        Some(run) => unresolved::named(run, state)?,
        None => live(state)?,
    };
    if journal::holder_of_run(state, &tenant, &id)?.is_none() {
        return Err(Failure::Usage(format!("nobody works on run {id}: there is nothing to stop")));
    }
    Requests::of_run(state, &tenant, &id).ask_to_stop()?;
    tell(&format!("run {id} is asked to stop: no further acts, open items are polled for a while"));
    Ok(ExitCode::Fine)
}

/// `quell promote`
pub fn promote(promoting: &Promoting, taking: &Taking, running: &Running, state: &Path) -> Result<ExitCode, Failure> {
    let (tenant, id) = match &promoting.run {
        Some(run) => unresolved::named(run, state)?,
        None => waiting(state)?,
    };
    let standing = Standing::of_tenant(state, &tenant, &id)?;
    let Some(gate) = standing.gate()? else {
        return Err(Failure::Usage(format!("run {id} has no further wave to begin")));
    };
    if !gate.met && promoting.reason.is_none() {
        return Err(Failure::Held(unmet(&id, gate)));
    }
    let by = running.operator.clone();
    let promotion = Promotion { wave: Some(gate.wave), by, reason: promoting.reason.clone() };
    if journal::holder_of_run(state, &tenant, &id)?.is_some() {
        Requests::of_run(state, &tenant, &id).ask_to_promote(&promotion)?;
        tell(&format!("run {id} is asked to begin wave {} of {}", gate.wave, gate.waves));
        return Ok(ExitCode::Fine);
    }
    resume::execute(&resume::Order {
        run: Some(id),
        taking: taking.clone(),
        go_on: None,
        promotion: Some(promotion),
        running: running.clone(),
        state: state.to_owned(),
    })
}

fn unmet(id: &str, gate: Gate) -> String {
    let Gate { wave, waves, released, settled, failures, .. } = gate;
    format!(
        "wave {wave} of {waves} of run {id} may not begin: {settled} of {released} released items have an outcome, \
         {failures} of them count as failures; nothing was sent\n\
         help: `quell show {id}` says more; to begin it all the same, give --reason TEXT"
    )
}

/// The one run that goes on.
fn live(state: &Path) -> Result<(String, String), Failure> {
    let mut live = Vec::new();
    for run in journal::runs(state)?.runs {
        if journal::holder_of_run(state, &run.meta.tenant, &run.meta.id)?.is_some() {
            live.push((run.meta.tenant, run.meta.id));
        }
    }
    one_of(live, "goes on")
}

/// The one run whose next wave waits.
fn waiting(state: &Path) -> Result<(String, String), Failure> {
    let mut waiting = Vec::new();
    for run in journal::runs(state)?.runs.into_iter().filter(|run| run.ended != Some(true)) {
        let standing = Standing::of_tenant(state, &run.meta.tenant, &run.meta.id)?;
        if !standing.header().release.waves.is_empty() && standing.gate()?.is_some() {
            waiting.push((run.meta.tenant, run.meta.id));
        }
    }
    one_of(waiting, "has a wave that waits")
}

fn one_of(mut runs: Vec<(String, String)>, what: &str) -> Result<(String, String), Failure> {
    match (runs.pop(), runs.as_slice()) {
        (Some(run), []) => Ok(run),
        (None, _) => Err(Failure::Usage(format!("no run of this state folder {what}"))),
        (Some(last), others) => {
            let names: Vec<&str> = others.iter().chain([&last]).map(|(_, id)| id.as_str()).collect();
            Err(Failure::Usage(format!("more than one run {what}: {}; name one", inert::terminal(&names.join(", ")))))
        }
    }
}
