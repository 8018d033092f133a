//! `quell poll`: polls what is still open, and looks once more at what was open at its deadline.
//!
//! It cannot act: calls go through [`OnlyPolls`], which has no way to send an act, and the engine is told to start none.
//! A token that may only read is enough.

use super::progress::announce;
use super::run::{connect, drive, runtime, wall_clock};
use super::taken::{Sends, Taken};
use super::{report_paths, tell, unresolved};
use crate::cli::{Running, Taking};
use crate::driver::{Driver, OnlyPolls, RunClock};
use crate::engine::Beginning;
use crate::engine::fact::Before;
use crate::error::{ExitCode, Failure, worst};
use crate::journal;
use std::path::Path;
use std::sync::Arc;

/// What a poll may still change.
const OPEN: [Before; 3] = [Before::Open, Before::StillQueued, Before::TimedOut];

/// Polls one run, or every run that has something to poll; the gravest of their codes.
pub fn execute(run: Option<&str>, taking: &Taking, running: &Running, state: &Path) -> Result<ExitCode, Failure> {
    report_paths::check(running, None, state)?;
    let runs = match run {
        Some(run) => vec![unresolved::named(run, state)?],
        None => unresolved::runs_with(state, &OPEN)?,
    };
    if runs.is_empty() {
        tell("no run of this state folder has anything to poll");
    }
    if runs.len() > 1 && !running.reports.is_empty() {
        return Err(Failure::Usage("--report: several runs have something to poll; name the run".to_owned()));
    }
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let mut code = ExitCode::Fine;
    for (tenant, id) in runs {
        match runtime.block_on(poll(&tenant, &id, taking, running, state)) {
            Ok(this) => code = worst(code, this),
            Err(failure) => match journal::holder_of_run(state, &tenant, &id)? {
                // Whoever works on it polls it too, and says how it ended.
                Some(holder) if run.is_none() => {
                    tell(&format!("{holder} is working on run {id}: left to it"));
                    code = worst(code, ExitCode::StillQueued);
                }
                _ => return Err(failure),
            },
        }
    }
    Ok(code)
}

async fn poll(tenant: &str, id: &str, taking: &Taking, running: &Running, state: &Path) -> Result<ExitCode, Failure> {
    let taken = Taken::up(state, tenant, id, taking, running, Sends::Nothing).await?;
    let adopted = taken.adopted(taking);
    let first = taken.first_words();
    let Taken { resumed, engine, simulator, .. } = taken;
    let header = Arc::new(resumed.header);
    let api = connect(&header, simulator.as_ref(), running)?;
    api.check_token().await?;
    announce(running, "polled", &format!("run {id} is polled; nothing is sent"), serde_json::json!({"run": id}));
    let clock = RunClock::starting_at(wall_clock().max(engine.now()));
    let (store, head, api) = (resumed.run, resumed.head, Arc::new(OnlyPolls(api)));
    let beginning = Beginning { by: running.operator.clone(), only_polls: true, adopted, ..first };
    let driver = Driver { run: id.to_owned(), header, engine, store, head, api, clock, beginning };
    drive(driver, id, running, state).await
}
