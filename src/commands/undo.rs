//! `quell undo`: from a run to the plan that undoes it. It carries nothing out: `quell apply` does, by its own rules.
//!
//! What the run carried out is undone: what the API called a success, and what a person found to be carried out. Of
//! everything else it is said why it is left alone.

use super::standing::Standing;
use super::taken::same_tenant;
use super::{approvals, held, plan, plan_file, protected, say, tell};
use crate::cli::Taking;
use crate::engine::Outcome;
use crate::engine::fact::{Finding, Moment, What};
use crate::error::{ExitCode, Failure};
use crate::journal::{RunReader, holder_of_run};
use crate::plan::undo::{self, Fate};
use crate::plan::{Plan, show};
use crate::report::{Ending, words};
use std::path::Path;

/// Plans the undo of a run and writes the plan.
pub fn execute(run: &str, output: &Path, taking: &Taking, state: &Path) -> Result<ExitCode, Failure> {
    plan_file::check_place(output, &taking.tenant.clone().into_iter().collect::<Vec<_>>())?;
    let standing = Standing::read(state, Some(run))?;
    same_tenant(standing.header(), taking)?;
    let (tenant, id) = (standing.meta().tenant.clone(), standing.meta().id.clone());
    if let Some(holder) = holder_of_run(state, &tenant, &id)? {
        return Err(Failure::Held(format!(
            "{holder} is working on run {id}: what it will have done is not known yet\n\
             help: wait for its end, or stop it; then undo it"
        )));
    }
    let mut plan = plan_of(&standing, state)?;
    if plan.items.is_empty() {
        let left = plan.header.origin.iter().flat_map(undo::left_lines).map(|line| format!("\n  {line}"));
        let left: String = left.collect();
        return Err(Failure::Usage(format!("run {id} has nothing that can be undone; no plan was written{left}")));
    }
    protected::judge_again(&mut plan, standing.header(), taking)?;
    plan_file::write(&plan, output)?;
    say(&show::text(&plan))?;
    if !standing.is_complete() {
        tell(&format!("run {id} is not finished: what `quell resume {id}` does later is not undone by this plan"));
    }
    plan::tell_next(&plan, output);
    held::check(&plan, "nothing was sent")?;
    Ok(ExitCode::Fine)
}

/// The plan that undoes what the run did, as far as that is known now; not yet judged by what is protected.
pub(super) fn plan_of(standing: &Standing, state: &Path) -> Result<Plan, Failure> {
    let reader = RunReader::of_tenant(state, &standing.meta().tenant, &standing.meta().id)?;
    let settled = settled(&reader, standing.endings().len())?;
    let fate = |(ending, at): (&Ending, &Moment)| fate_of(ending, *at);
    let fates = standing.endings().iter().zip(&settled).map(fate);
    let items = standing.rows()?.into_iter().zip(fates).collect();
    Ok(undo::undo(&approvals::with_signers_of_now(standing.header())?, &standing.meta().id, items))
}

/// When the last word on each item was heard: that of the API, or of a person.
fn settled(reader: &RunReader, items: usize) -> Result<Vec<Moment>, Failure> {
    let mut settled = vec![Moment(0); items];
    reader.for_each_fact(|fact| {
        let concerned = match &fact.what {
            What::Settled { item, .. } => std::slice::from_ref(item),
            What::Resolved { items, .. } => items.as_slice(),
            _ => &[],
        };
        for item in concerned {
            if let Some(last) = settled.get_mut(item.0 as usize) {
                *last = fact.at;
            }
        }
        Ok(())
    })?;
    Ok(settled)
}

fn fate_of(ending: &Ending, at: Moment) -> Fate {
    let word = words::outcome(ending.outcome);
    match (ending.resolution.as_ref().map(|resolution| resolution.finding), ending.outcome) {
        (Some(Finding::CarriedOut | Finding::Succeeded), _) | (None, Outcome::Succeeded) => Fate::Done(at.0),
        (Some(Finding::NotCarriedOut | Finding::Failed), _) => Fate::NotDone("not carried out, as a person found"),
        (None, Outcome::Unknown | Outcome::Unmatched | Outcome::StillQueued | Outcome::TimedOut | Outcome::Open) => {
            Fate::NobodyKnows(word)
        }
        // What an earlier run had done is that run's to undo.
        (None, Outcome::Failed | Outcome::Rejected | Outcome::NotStarted | Outcome::Skipped | Outcome::Blocked) => {
            Fate::NotDone(word)
        }
    }
}
