//! What earlier runs on a tenant teach about a plan: how long its actions took to be known to have settled. It is said on
//! standard error, and never becomes part of a plan: the same files give the same bytes whatever ran before.
//!
//! Times are those of the journal: from the answer that accepted an item to the poll that showed its end. So they hold the
//! pauses between polls of the runs that they come from.

use super::tell;
use crate::engine::fact::{BatchId, ItemId, Moment, Settled, What};
use crate::inert;
use crate::journal::{self, RunReader, RunSummaryRow, StoreError};
use crate::noun::count;
use crate::plan::forecast::forecast;
use crate::plan::{Plan, PlanHeader};
use crate::report::words;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// How many of the newest runs are read.
const RUNS_MAX: usize = 20;
/// How many facts of them, so that a plan does not wait for the history of years.
const FACTS_MAX: u64 = 2_000_000;

/// What became of the items of one action, over several runs.
#[derive(Debug, Default)]
struct Learned {
    /// From acceptance to a known end, in milliseconds.
    settled: Vec<u64>,
    /// Items whose deadline passed without one.
    still_queued: usize,
}

/// Says what the runs of this state folder teach about the plan. What cannot be read is said too, and is no reason not to
/// plan.
pub(super) fn tell_of(plan: &Plan, state: &Path) {
    match learn(plan, state) {
        Ok((runs, learned)) => lines(plan, runs, &learned).iter().for_each(|line| tell(line)),
        Err(e) => tell(&format!("nothing is learned from earlier runs: {}", inert::terminal(&e.to_string()))),
    }
}

fn learn(plan: &Plan, state: &Path) -> Result<(usize, BTreeMap<String, Learned>), StoreError> {
    let tenant = &plan.header.tenant;
    let is_of_it = |run: &RunSummaryRow| run.meta.tenant == tenant.name && run.meta.simulated == tenant.simulated;
    let listed = journal::runs(state)?.runs;
    let (mut runs, mut facts, mut learned) = (0, 0, BTreeMap::new());
    for run in listed.iter().rev().filter(|run| is_of_it(run)).take(RUNS_MAX) {
        facts += run.facts;
        if facts > FACTS_MAX {
            break;
        }
        let reader = RunReader::of_tenant(state, &tenant.name, &run.meta.id)?;
        learn_of(&reader, &mut learned)?;
        runs += 1;
    }
    Ok((runs, learned))
}

fn learn_of(reader: &RunReader, learned: &mut BTreeMap<String, Learned>) -> Result<(), StoreError> {
    let steps: Vec<u16> = reader.item_steps_and_targets()?.into_iter().map(|(step, _)| step).collect();
    let mut sent: HashMap<BatchId, Vec<ItemId>> = HashMap::new();
    let mut accepted: HashMap<ItemId, Moment> = HashMap::new();
    reader.for_each_fact(|fact| {
        match fact.what {
            What::Submitting { batch, items, .. } => {
                sent.insert(batch, items);
            }
            What::Accepted { batch, .. } => {
                accepted.extend(sent.remove(&batch).into_iter().flatten().map(|item| (item, fact.at)));
            }
            What::Settled { item, outcome, .. } => {
                if let (Some(since), Some(of)) = (accepted.remove(&item), action_of(reader.header(), &steps, item)) {
                    let of = learned.entry(of.to_owned()).or_default();
                    match outcome {
                        Settled::Succeeded | Settled::Failed => of.settled.push(fact.at.0.saturating_sub(since.0)),
                        Settled::StillQueued | Settled::TimedOut => of.still_queued += 1,
                        Settled::Unknown | Settled::Unmatched => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(())
}

fn action_of<'h>(header: &'h PlanHeader, steps: &[u16], item: ItemId) -> Option<&'h str> {
    let step = steps.get(item.0 as usize)?;
    header.steps.get(usize::from(*step)).map(|step| step.action.name.as_str())
}

/// What is said: a line for each action of the plan that runs know of, and how long the plan would take if it went so again.
fn lines(plan: &Plan, runs: usize, learned: &BTreeMap<String, Learned>) -> Vec<String> {
    if runs == 0 {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let mut chain = 0_u64;
    let mut is_known = true;
    for step in &plan.header.steps {
        let name = &step.action.name;
        let times = learned.get(name).map(|of| (sorted(&of.settled), of.still_queued));
        let Some((times, queued)) = times.filter(|(times, _)| !times.is_empty()) else {
            is_known = false;
            continue;
        };
        // At least so many of a hundred had settled by then.
        let at = |share: usize| times[(times.len() * share).div_ceil(100) - 1];
        chain += at(90);
        let queued = if queued == 0 { String::new() } else { format!("; {queued} more had not at their deadline") };
        let line = format!(
            "{}: half had settled after {}, nine in ten after {} (of {}){queued}",
            inert::terminal(name),
            words::duration(at(50)),
            words::duration(at(90)),
            count(times.len(), "item"),
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return Vec::new();
    }
    lines.insert(0, format!("learned from {}, not part of the plan:", count(runs, "earlier run")));
    let waves = plan.header.release.waves.len().max(1) as u64;
    let least = u64::try_from(forecast(plan).least_time.as_millis()).unwrap_or(u64::MAX);
    if is_known {
        let about = least.max(chain.saturating_mul(waves));
        lines.push(format!("if it goes so again, nine in ten are known after about {}", words::duration(about)));
    }
    lines
}

fn sorted(times: &[u64]) -> Vec<u64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times
}
