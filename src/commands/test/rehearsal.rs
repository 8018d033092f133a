//! One run of a test: the engine, the driver and the API as in earnest, against the simulator, in virtual time and in memory.

use super::people::People;
use super::pick::Picking;
use super::verdict::place_of;
use crate::api::{Api, InProcess, TokenSource};
use crate::commands::{held, run};
use crate::driver::{Driver, DriverError, RunClock};
use crate::engine::fact::{Moment, What};
use crate::engine::{Beginning, Engine};
use crate::error::{ExitCode, Failure, RunVerdict, run_exit_code};
use crate::journal::MemoryStore;
use crate::plan::{Plan, PlanHeader};
use crate::problem::{Place, Problem, nearest};
use crate::report::{Folded, Folding, ReportError, RowsWithoutItem};
use crate::scenario::{Becomes, Behaviour, Scenario, ScriptedCall, ScriptedItems};
use crate::simulator::{
    Counters, Delay, Options, Script, ScriptedAnswer, ScriptedItem, SimAction, SimItem, Simulator, StatusWords,
};
use crate::yaml::Spanned;
use http::{HeaderValue, StatusCode, header};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The run's name.
const RUN: &str = "test-0101-000";
/// No run takes longer: by then every deadline has passed many times.
const TOOK_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What came of a run.
pub(super) struct Came {
    pub(super) folded: Folded,
    pub(super) exit_code: ExitCode,
    pub(super) counters: Counters,
    /// From the beginning to the end, in the run's own time.
    pub(super) took: Duration,
    /// Waves that began.
    pub(super) waves: u16,
    /// Whether more happened than a test may take.
    pub(super) had_enough: bool,
    /// How much of what people were to say came after the end.
    pub(super) unsaid: usize,
    /// Waves that a person let begin.
    pub(super) promoted: usize,
    /// How many of the statuses that are scripted for some items polls have shown, for each entry of the test.
    pub(super) shown: Vec<usize>,
}

/// Carries the plan of a test out. `Err` of the inner result: something in the test's file is wrong.
pub(super) fn carry_out(test: &Scenario, picking: &Picking<'_>) -> Result<Result<Came, Problem>, Failure> {
    let (script, scripted) = match script_of(&test.simulator, picking) {
        Ok(script) => script,
        Err(problem) => return Ok(Err(problem)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|e| Failure::Bug(format!("the runtime cannot start: {e}")))?;
    runtime.block_on(async {
        let simulator = Simulator::new(options(test, &picking.plan.header));
        simulator.script(script);
        let mut came = in_virtual_time(test, picking.plan, &simulator).await?;
        let of = |item: &u32| simulator.shown(&sim_item(picking.plan, *item));
        came.shown = scripted.iter().map(|items| items.iter().map(of).max().unwrap_or(0)).collect();
        Ok(Ok(came))
    })
}

async fn in_virtual_time(test: &Scenario, plan: &Plan, simulator: &Simulator) -> Result<Came, Failure> {
    let header = Arc::new(plan.header.clone());
    let transport = InProcess::new(simulator.router(), &header.limits, run::simulator_cut);
    let api = Api::new(&header.tenant, TokenSource::Given("simulated".into()), transport)
        .map_err(|e| Failure::Usage(e.to_string()))?;
    let store = MemoryStore::new(plan);
    let looking_on = store.observer();
    let head = store.head();
    let engine = Engine::new(RUN, &header, run::shapes(plan), []);
    let clock = RunClock::starting_at(Moment(test.begins));
    let beginning = Beginning { blocked: held::blocked(&header), ..Beginning::default() };
    let driver = Driver {
        run: RUN.to_owned(),
        header: Arc::clone(&header),
        engine,
        store,
        head,
        api: Arc::new(api),
        clock,
        beginning,
    };
    let (_nobody, stops) = mpsc::channel(1);
    let mut people = People::new(test.begins, &test.people, &header.release.schedule);
    let began = Instant::now();
    let ended = tokio::time::timeout(TOOK_MAX, driver.run(stops, &mut people, |_, _| {})).await;
    let ending =
        ended.map_err(|_| Failure::Bug("the run of the test did not end within a year of its time".to_owned()))?;
    let ending = ending.map_err(|e: DriverError| Failure::from(e))?;
    let took = began.elapsed();
    let steps_and_targets = plan.items.iter().map(|item| (item.step, item.target));
    let wrong = |e: crate::report::FoldError| ReportError::DoesNotAddUp(e.to_string());
    let mut folding = Folding::new(&header, steps_and_targets).map_err(wrong)?;
    let mut promoted = 0;
    for fact in looking_on.facts()? {
        promoted += usize::from(matches!(fact.what, What::Promoted { by: Some(_), .. }));
        folding.add(fact).map_err(wrong)?;
    }
    let folded = folding.finish(&header);
    let totals = &folded.totals;
    let refused_rows = RowsWithoutItem::of(&plan.rows_without_item).refused > 0;
    let verdict = RunVerdict { complete: totals.complete, stopped: totals.stopped, refused_rows, bug: ending.died > 0 };
    let exit_code = run_exit_code(verdict, |outcome| u64::from(totals.judged.of(outcome)));
    let waves = totals.promoted + 1;
    Ok(Came {
        exit_code,
        counters: simulator.counters(),
        took,
        waves,
        had_enough: people.had_enough(),
        unsaid: people.sayings.len(),
        promoted,
        shown: Vec::new(),
        folded,
    })
}

/// The tenant, as the test wants it: its limits and words are those of the plan.
fn options(test: &Scenario, header: &PlanHeader) -> Options {
    let Behaviour { latency, settle, not_found_for, requests, .. } = test.simulator;
    let delay = |time: Duration| if time.is_zero() { Delay::None } else { Delay::Fixed(time) };
    let own = StatusWords::default();
    let first = |words: &[String], own: String| words.first().cloned().unwrap_or(own);
    Options {
        latency: delay(latency),
        settle: delay(settle),
        not_found_for,
        requests: requests.or(header.limits.requests),
        concurrency: Some(header.limits.concurrency),
        actions: header.steps.iter().map(|step| SimAction::from(&step.action)).collect(),
        status_words: StatusWords {
            queued: first(&header.statuses.pending, own.queued),
            succeeded: first(&header.statuses.succeeded, own.succeeded),
            failed: first(&header.statuses.failed, own.failed),
        },
        epoch_ms: test.begins,
        ..Options::default()
    }
}

/// The script, and the items that each of its entries means.
fn script_of(behaviour: &Behaviour, picking: &Picking<'_>) -> Result<(Script, Vec<Vec<u32>>), Problem> {
    let (mut items, mut meant) = (Vec::new(), Vec::new());
    let mut known: HashMap<u32, Place> = HashMap::new();
    for scripted in &behaviour.items {
        misspelt(scripted, picking)?;
        let of = picking.items(&scripted.of)?;
        meant.push(of.clone());
        for item in of {
            if let Some(place) = known.insert(item, scripted.of.place) {
                let message =
                    format!("the statuses of {} stand on line {} already", place_of(picking.plan, item), place.line);
                return Err(picking.problem(&scripted.of, message));
            }
            items.push(ScriptedItem { item: sim_item(picking.plan, item), statuses: scripted.statuses.clone() });
        }
    }
    let (acts, polls) = (answers(&behaviour.acts), answers(&behaviour.polls));
    Ok((Script { acts, polls, items, ..Script::default() }, meant))
}

/// A status may be any word, as the API's may; one that is almost a word of the tenant's is a slip that would test something
/// else.
fn misspelt(scripted: &ScriptedItems, picking: &Picking<'_>) -> Result<(), Problem> {
    let statuses = &picking.plan.header.statuses;
    let known = || [&statuses.pending, &statuses.succeeded, &statuses.failed].into_iter().flatten().map(String::as_str);
    let is_known = |word: &str| known().any(|known| known.eq_ignore_ascii_case(word));
    for word in scripted.statuses.iter().filter(|word| !is_known(word)) {
        if let Some(near) = nearest(word, known()) {
            let at = Spanned { value: (), place: scripted.place };
            let problem = picking.problem(&at, format!("the tenant has no status `{word}`"));
            return Err(problem.with_help(format!("did you mean `{near}`?")));
        }
    }
    Ok(())
}

/// What the API gets of an item.
fn sim_item(plan: &Plan, item: u32) -> SimItem {
    let item = &plan.items[item as usize];
    let event = &plan.events[item.event as usize];
    let [agent_id, event_id, unique_id] = plan.ids_of(item).map(str::to_owned);
    SimItem {
        action_id: plan.header.steps[usize::from(item.step)].action.id,
        agent_id,
        event_id,
        event_type: event.event_type,
        pid: event.pid,
        unique_id,
    }
}

/// One answer for each call up to the last that something is scripted for.
fn answers(calls: &[ScriptedCall]) -> Vec<ScriptedAnswer> {
    let mut answers: Vec<ScriptedAnswer> = Vec::new();
    for call in calls {
        answers.resize(call.number.value as usize - 1, ScriptedAnswer::default());
        answers.push(answer(call.becomes));
    }
    answers
}

fn answer(becomes: Becomes) -> ScriptedAnswer {
    match becomes {
        Becomes::LostBefore => ScriptedAnswer::cut_before(),
        Becomes::LostAfter => ScriptedAnswer::cut_after(),
        Becomes::Late(delay) => ScriptedAnswer { delay, ..ScriptedAnswer::default() },
        Becomes::Refused { status, wait } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let answer = ScriptedAnswer::of(status, r#"{"message":"as scripted"}"#)
                .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            match wait {
                // Whole seconds, as the header has them.
                Some(wait) => {
                    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                    answer.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
                }
                None => answer,
            }
        }
    }
}
