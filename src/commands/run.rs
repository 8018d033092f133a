//! `quell run`: plan, show, ask, carry out, report.

use super::confirm::{self, Approved, Asking};
use super::overseer::{self, Watch};
use super::progress::{Teller, announce};
use super::standing::Standing;
use super::typed::{self, Asked, Typed};
use super::{apply, approvals, held, inputs, overlap, report_paths, room, tell};
use crate::api::{Api, Http, InProcess, TokenSource};
use crate::cli::{Keeping, LogFormat, Running, Selection};
use crate::driver::{Caller, Driver, DriverError, Order as Said, RunClock};
use crate::engine::fact::{Fact, Moment, StopReason, What};
use crate::engine::items::ItemShape;
use crate::engine::{Approval, Beginning, Engine, Permission, Progress};
use crate::error::{ExitCode, Failure};
use crate::journal::{Journal, Question, RunReader, SqliteRun};
use crate::plan::{OriginKind, Plan, PlanHeader};
use crate::report::Colour;
use crate::run::RunMeta;
use crate::simulator::Simulator;
use crate::tenant::show_duration;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What was asked.
pub struct Order {
    /// What to work on.
    pub selection: Selection,
    /// Whether nobody is asked.
    pub yes: bool,
    /// Whether the simulator stands in.
    pub simulate: bool,
    /// How to work.
    pub running: Running,
    /// What is asked of the state folder.
    pub keeping: Keeping,
    /// The state folder.
    pub state: PathBuf,
}

/// Plans and carries out.
pub fn execute(order: &Order) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    // The simulator's time is the runtime's.
    let _entered = runtime.enter();
    let prepared = inputs::prepare(&order.selection, order.simulate)?;
    report_paths::check(&order.running, Some(&order.selection), &order.state)?;
    let Order { running, state, keeping, yes, .. } = order;
    // Before approvals: whoever would sign it first would sign what nobody can carry out.
    held::refuse(&prepared.plan, running)?;
    approvals::refuse_without(&prepared.plan, running)?;
    let asking = Asking { yes: *yes, look_first: "`quell plan`", runtime: &runtime };
    let approved = confirm::show_and_ask(&prepared.plan, &[], &asking, running, (state, *keeping))?;
    let going = Going { running, state, permitted: None, once: false, approved };
    runtime.block_on(carry_out(prepared, going))
}

/// How a new run is carried out.
pub struct Going<'a> {
    /// How to work.
    pub running: &'a Running,
    /// The state folder.
    pub state: &'a Path,
    /// Items that may be sent although they may have been carried out.
    pub permitted: Option<Permission>,
    /// Whether a plan that a run carried out already is refused.
    pub once: bool,
    /// What was said before.
    pub approved: Approved,
}

/// The runtime of a run: two workers carry calls, the main thread drives and writes the journal.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    room::for_threads()?;
    room::for_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::Bug(format!("the runtime cannot start: {e}")))?;
    let _entered = runtime.enter();
    survive_file_size_limit()?;
    Ok(runtime)
}

/// A write beyond the limit on file sizes shall fail, not kill the process: then it is told like a full disk. Once
/// somebody listens to the signal its default is off for good, whoever listens on.
fn survive_file_size_limit() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    signal(kind).map(drop).map_err(|e| Failure::Bug(format!("signals cannot be heard: {e}")))
}

/// Carries a plan out as a new run.
pub async fn carry_out(prepared: inputs::Prepared, going: Going<'_>) -> Result<ExitCode, Failure> {
    let inputs::Prepared { plan, simulator } = prepared;
    let Going { running, state, permitted, once, approved } = going;
    let Approved { skipped, state_warning, approvals } = approved;
    overseer::refuse_if_forbidden(state, &plan.header).await?;
    let api = connect(&plan.header, simulator.as_ref(), running)?;
    if !plan.items.is_empty() {
        // Better now than after a run has begun; a run with nothing to do needs none.
        api.check_token().await?;
    }
    let playbook = overlap::take_playbook(state, &plan.header, None, running).await?;
    let journal = Journal::open(state, &plan.header.tenant.name)?;
    // A question, another run, or whoever was at the gate may have been waited for meanwhile.
    approvals_still_hold(&approvals)?;
    let created = wall_clock();
    if once {
        // Here nobody else begins, so that of two that carry out one plan at once the second sees the first.
        apply::refuse_carried_out(journal.run_of_plan(&plan.header.digest)?)?;
    }
    let spent = spent_until(created, &plan.header, &journal)?;
    let today = jiff::Timestamp::from_millisecond(created.0.cast_signed()).unwrap_or_default();
    let day = today.to_zoned(jiff::tz::TimeZone::system()).date();
    let id = journal.free_run_id(&plan.header.playbook, day, fastrand::u64(..))?;
    let origin = plan.header.origin.as_ref();
    let of_origin = |kind| origin.filter(|origin| origin.kind == kind).map(|origin| origin.run.clone());
    let meta = RunMeta {
        id: id.clone(),
        playbook: plan.header.playbook.clone(),
        tenant: plan.header.tenant.name.clone(),
        created,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        simulated: simulator.is_some(),
        state_warning,
        operator: running.operator.clone(),
        retry_of: of_origin(OriginKind::Retry),
        undo_of: of_origin(OriginKind::Undo),
        approvals,
    };
    let mut store = journal.begin(&meta, &plan)?;
    store.keep(playbook, &id)?;
    if running.priority {
        store.go_first();
    }
    let fitted = room::fitted(&plan.header)?;
    let engine = Engine::new(&id, &fitted, shapes(&plan), spent);
    let may_be_repeated = permitted.as_ref().map_or(&[][..], |permitted| &permitted.items);
    let question = Question { now: created, window: plan.header.dedupe_window, permitted: may_be_repeated };
    let skipped_before = skipped.clone();
    let done_before = confirm::and_what_was_shown(store.done_before(engine.pending(), question)?, skipped);
    if done_before != skipped_before {
        confirm::tell_of_earlier(&done_before, running);
    }
    let header = Arc::new(plan.header.clone());
    drop(fitted);
    // From here on everything is in the journal; what is left of the plan would only take memory.
    drop(plan);
    announce(running, "started", &format!("run {id}"), json!({"run": id}));
    let head = store.head();
    // Not `created`: a clock that begins late would date calls too early, and a later run would count them too short.
    let clock = RunClock::starting_at(wall_clock().max(created));
    let (blocked, approvals, by) = (held::blocked(&header), meta.approvals, meta.operator);
    let beginning = Beginning { by, permitted, done_before, blocked, approvals, ..Beginning::default() };
    let driver = Driver { run: id.clone(), header, engine, store, head, api: Arc::new(api), clock, beginning };
    drive(driver, &id, running, state).await
}

/// Approvals count until they expire, however long was waited since they were looked at.
fn approvals_still_hold(approvals: &[Approval]) -> Result<(), Failure> {
    let now = jiff::Timestamp::now();
    let expired = |approval: &&Approval| approval.expires.parse::<jiff::Timestamp>().is_ok_and(|until| until <= now);
    match approvals.iter().find(expired) {
        Some(Approval { by, expires, .. }) => Err(Failure::Held(format!(
            "the approval by {} expired at {expires}, while it was waited; nothing was sent",
            crate::inert::terminal(by)
        ))),
        None => Ok(()),
    }
}

/// Drives a run to its end in this process, then writes its summary and reports. Also for `resume`.
pub async fn drive(
    mut driver: Driver<SqliteRun, impl Caller>,
    id: &str,
    running: &Running,
    state: &std::path::Path,
) -> Result<ExitCode, Failure> {
    driver.engine.drains_for(running.drain);
    let stops = stop_signals(running)?;
    let teller = Teller::new(id, running);
    let tenant = driver.header.tenant.name.clone();
    let asked = Asked::default();
    let typed = Typed::find(asked.clone());
    let answers_here = typed.as_ref().is_some_and(Typed::is_in_front);
    let typed = typed.map(|typed| (typed, running.operator.clone()));
    let watch = Watch::of_run(state, &driver.header, (id, driver.beginning.only_polls), typed)?;
    let tell_all = |progress: &Progress, facts: &[Fact]| {
        teller.hear(progress);
        tell_of_release(progress, facts, (id, answers_here), running, &asked);
    };
    let ended = driver.run(stops, watch, tell_all).await;
    drop(teller);
    let ending = match ended {
        Ok(ending) => ending,
        Err(e) => {
            tell_unrecorded(&e);
            if matches!(e, DriverError::Store { .. }) {
                tell(&format!(
                    "nothing more is sent; once the state folder can be written, `quell resume {id}` goes on"
                ));
            }
            return Err(e.into());
        }
    };
    finish(ending.died > 0, &tenant, id, running, state)
}

/// Waves that begin or wait, and why a run stops by itself: said when it happens, for a person may be waited for.
fn tell_of_release(
    progress: &Progress,
    facts: &[Fact],
    (id, answers_here): (&str, bool),
    running: &Running,
    asked: &Asked,
) {
    let (_, waves) = progress.waves;
    for fact in facts {
        if matches!(fact.what, What::Stopping { .. }) {
            asked.for_none();
        }
        let (loud, event, words) = match &fact.what {
            What::Awaiting { wave } => {
                asked.for_wave(*wave);
                let here = if answers_here { format!("type {}, or: ", typed::WORD) } else { String::new() };
                (true, "awaiting", format!("wave {wave} of {waves} waits: {here}`quell promote {id}` lets it begin"))
            }
            What::Promoted { wave, .. } => {
                asked.for_none();
                (false, "promoted", format!("wave {wave} of {waves} begins"))
            }
            What::Stopping { why: StopReason::Budget } => (
                true,
                "stopping",
                "stopping: more failures than the failure budget takes; open items are polled to their end".to_owned(),
            ),
            What::Stopping { why: StopReason::Gate } => (
                true,
                "stopping",
                "stopping: the next wave may not begin; open items are polled to their end".to_owned(),
            ),
            _ => continue,
        };
        let quiet = running.quiet && !loud;
        announce(&Running { quiet, ..running.clone() }, event, &words, json!({"run": id}));
    }
}

/// The summary, the reports, the exit code. A report that cannot be written does not keep the others from being so.
/// `bug` says that a task of the run died.
pub fn finish(
    bug: bool,
    tenant: &str,
    id: &str,
    running: &Running,
    state: &std::path::Path,
) -> Result<ExitCode, Failure> {
    let standing = Standing::of(RunReader::of_tenant(state, tenant, id)?, bug)?;
    let mut failures = standing.write_planned();
    failures.extend(running.reports.iter().filter_map(|(format, path)| standing.write_file(format, path).err()));
    let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
    failures.extend(standing.say_text(colour).err());
    if running.log == LogFormat::Json {
        let outcomes = serde_json::to_value(standing.outcomes()).map_err(|e| Failure::Bug(e.to_string()))?;
        let code = standing.exit_code() as u8;
        announce(running, "finished", "", json!({"run": id, "exit_code": code, "outcomes": outcomes}));
    }
    let Some(last) = failures.pop() else { return Ok(standing.exit_code()) };
    for failure in failures {
        tell(&failure.render(std::io::stderr().is_terminal()));
    }
    Err(last)
}

/// Remediation ids that only this process knows: the operator has to keep them.
fn tell_unrecorded(error: &DriverError) {
    let (DriverError::Store { unrecorded, .. } | DriverError::Illegal { unrecorded, .. }) = error;
    for (batch, ids) in unrecorded {
        tell(&format!("batch {} was accepted and could not be recorded; its remediation ids are:", batch.0));
        for id in ids {
            tell(&format!("  {}", crate::report::inert::terminal(id)));
        }
    }
}

/// The way to the API: over the network, or to the simulator in this process.
pub fn connect(header: &PlanHeader, simulator: Option<&Simulator>, running: &Running) -> Result<Api, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::Usage(e.to_string());
    match simulator {
        Some(_) if running.token_file.is_some() => {
            Err(Failure::Usage("--token-file: the simulator of this run takes no token".to_owned()))
        }
        Some(simulator) => {
            let transport = InProcess::new(simulator.router(), &header.limits, simulator_cut);
            Api::new(&header.tenant, TokenSource::Given("simulated".into()), transport).map_err(|e| wrong(&e))
        }
        None => {
            let token = TokenSource::new(&header.tenant.auth, running.token_file.as_deref());
            let transport =
                Http::new(&header.tenant.base_url, &header.limits).map_err(|e| Failure::Api(e.to_string()))?;
            if let Some(proxy) = transport.proxy().filter(|_| !running.quiet) {
                tell(&format!("calls go through the proxy {proxy}"));
            }
            Api::new(&header.tenant, token, transport).map_err(|e| wrong(&e))
        }
    }
}

/// How a connection that the simulator cut is told from an answer.
pub(super) fn simulator_cut(extensions: &http::Extensions) -> Option<bool> {
    extensions.get::<crate::simulator::Broken>().map(|broken| broken.carried_out)
}

/// Now, by the wall.
pub fn wall_clock() -> Moment {
    Moment(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0))
}

/// The moments from which the calls of earlier processes age, as far as they count in the window of this run.
pub fn spent_until(now: Moment, header: &PlanHeader, journal: &Journal) -> Result<Vec<Moment>, Failure> {
    let Some(rate) = header.limits.requests else { return Ok(Vec::new()) };
    let window = millis(rate.window);
    let mut spent = journal.spent(now)?;
    spent.retain(|until| until.0 + window >= now.0);
    Ok(spent)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

/// The items of a plan as the engine wants them.
pub(super) fn shapes(plan: &Plan) -> impl Iterator<Item = ItemShape> + '_ {
    plan.items
        .iter()
        .map(|item| ItemShape::of(&plan.header, (item.step, item.target), &plan.events[item.event as usize]))
}

/// The first signal drains, the second leaves at once.
fn stop_signals(running: &Running) -> Result<mpsc::Receiver<Said>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (send, stops) = mpsc::channel(8);
    let listen = |kind| signal(kind).map_err(|e| Failure::Bug(format!("signals cannot be heard: {e}")));
    // Asked before anybody listens: `nohup` has it ignored, and that is meant to last.
    let hup_ignored = is_ignored(SignalKind::hangup());
    let (mut int, mut term, mut hup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    let running = running.clone();
    tokio::spawn(async move {
        let mut again = false;
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hup.recv(), if !hup_ignored => {}
            }
            let (reason, words) = if again {
                (StopReason::SignalAgain, "leaving at once; `quell resume` goes on".to_owned())
            } else {
                let drain = show_duration(running.drain);
                let words =
                    format!("stopping: no further acts, open items are polled for {drain}; again: leave at once");
                (StopReason::Signal, words)
            };
            // Said even when it is quiet: who sent the signal waits for a sign.
            announce(&Running { quiet: false, ..running.clone() }, "stopping", &words, json!({"at_once": again}));
            again = true;
            if send.send(Said::Stop(reason)).await.is_err() {
                return;
            }
        }
    });
    Ok(stops)
}

/// Whether the process was started with this signal ignored; where the system does not say, it was not.
fn is_ignored(kind: tokio::signal::unix::SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
