//! `quell stop` and `quell promote`: what another process asks of a run that goes on. A run that nobody works on is taken
//! up by `promote`, as `resume` does.

use super::standing::Standing;
use super::{resume, tell, unresolved};
use crate::cli::{Promoting, Running, Taking};
use crate::engine::fact::What;
use crate::engine::{Gate, Promotion};
use crate::error::{ExitCode, Failure};
use crate::inert;
use crate::journal::{self, Requests, RunReader, StoreError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a run is waited for that was asked something. It looks every second.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it has heard.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The run has taken it.
    Yes,
    /// Nobody works on the run any more. Whoever takes it up clears what was asked before.
    NobodyThere,
}

/// `quell stop`
pub fn stop(run: Option<&str>, state: &Path) -> Result<ExitCode, Failure> {
    let (tenant, id) = match run {
        Some(run) => unresolved::named(run, state)?,
        None => live(state)?,
    };
    let requests = Requests::of_run(state, &tenant, &id);
    let heard = match journal::holder_of_run(state, &tenant, &id)? {
        None => Heard::NobodyThere,
        Some(_) => {
            requests.ask_to_stop()?;
            await_heard((state, &tenant, &id), &requests, Requests::is_asked_to_stop)?
        }
    };
    if heard == Heard::NobodyThere {
        let next = match Standing::of_tenant(state, &tenant, &id)?.is_complete() {
            true => format!("it is finished: `quell show {id}` says what came of it"),
            false => format!("it sends nothing; `quell resume {id}` goes on with it"),
        };
        return Err(Failure::Usage(format!("nobody works on run {id}: there is nothing to stop\nhelp: {next}")));
    }
    let is_stopping = |stopping: bool, what: &What| match what {
        What::Stopping { .. } | What::Ended { .. } => true,
        What::Resumed { .. } => false,
        _ => stopping,
    };
    if !comes_to((state, &tenant, &id), is_stopping)? {
        return Err(Failure::Held(format!(
            "run {id} was taken up by another process meanwhile, and goes on\nhelp: `quell stop {id}` asks it once more"
        )));
    }
    tell(&format!("run {id} stops: no further acts, open items are polled for a while"));
    Ok(ExitCode::Fine)
}

/// Whether what was heard shows in the run's facts, as `follow` tells it from one to the next. What a run has heard it writes
/// down at once, so this is waited for only where it is not to come.
fn comes_to((state, tenant, id): (&Path, &str, &str), follow: impl Fn(bool, &What) -> bool) -> Result<bool, Failure> {
    let began = Instant::now();
    loop {
        let mut came = false;
        RunReader::of_tenant(state, tenant, id)?.for_each_fact(|fact| {
            came = follow(came, &fact.what);
            Ok(())
        })?;
        if came || began.elapsed() >= PATIENCE {
            return Ok(came);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the run has taken what it is asked, or nobody works on it any more. What is not taken in time stays there, and
/// that is said.
fn await_heard(
    (state, tenant, id): (&Path, &str, &str),
    requests: &Requests,
    lies_there: impl Fn(&Requests) -> Result<bool, StoreError>,
) -> Result<Heard, Failure> {
    let began = Instant::now();
    loop {
        if !lies_there(requests)? {
            return Ok(Heard::Yes);
        }
        let Some(holder) = journal::holder_of_run(state, tenant, id)? else {
            // It may have heard it as the last thing that it did.
            return Ok(if lies_there(requests)? { Heard::NobodyThere } else { Heard::Yes });
        };
        if began.elapsed() >= PATIENCE {
            return Err(Failure::Held(format!(
                "{holder} works on run {id} and has not heard it for {} s\n\
                 help: is that process stopped, or does it wait for a disk or its go_url? it hears the request when it goes on; \
                 once it is gone, `quell resume {id}` takes the run up",
                PATIENCE.as_secs()
            )));
        }
        std::thread::sleep(LOOK_EVERY);
    }
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
        let requests = Requests::of_run(state, &tenant, &id);
        requests.ask_to_promote(&promotion)?;
        if await_heard((state, &tenant, &id), &requests, Requests::is_asked_to_promote)? == Heard::Yes {
            let begins =
                |began: bool, what: &What| began || matches!(what, What::Promoted { wave, .. } if *wave == gate.wave);
            if comes_to((state, &tenant, &id), begins)? {
                tell(&format!("wave {} of {} of run {id} begins", gate.wave, gate.waves));
                return Ok(ExitCode::Fine);
            }
            let gate = Standing::of_tenant(state, &tenant, &id)?.gate()?.filter(|now| now.wave == gate.wave);
            return Err(Failure::Held(match gate {
                Some(gate) if !gate.met => unmet(&id, gate),
                _ => format!(
                    "run {id} has heard it and begins no wave: it is stopping\nhelp: once it has ended, `quell promote {id}` \
                     takes it up"
                ),
            }));
        }
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
    let Gate { wave, waves, released, settled, failures, shows, .. } = gate;
    let off = if shows { "" } else { ", and no host of the newest wave has answered" };
    format!(
        "wave {wave} of {waves} of run {id} may not begin: {settled} of {released} released items have an outcome, \
         {failures} of them count as failures{off}; nothing was sent\n\
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
