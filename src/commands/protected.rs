//! What a tenant protects today, asked of a plan that takes up a run. The run was judged by the rules of its own day.
//!
//! It judges what the journal kept: the rows of the items. What a row without an item said of a host is not there any more.

use super::{beside, inputs, tell};
use crate::cli::Taking;
use crate::error::Failure;
use crate::inert;
use crate::plan::{self, FileRole, Plan, PlanHeader};
use std::path::PathBuf;

/// Judges the plan by the tenant file that was given, or else by the one that the run was planned with, as it is now. Where
/// neither can be read nobody knows what is protected by now, and the plan is not made; of the simulator it is only said.
pub(super) fn judge_again(plan: &mut Plan, run: &PlanHeader, taking: &Taking) -> Result<(), Failure> {
    let planned = || run.files.iter().find(|file| file.role == FileRole::Tenant).map(|file| PathBuf::from(&file.name));
    let Some(path) = taking.tenant.clone().or_else(planned) else {
        return not_judged(run, "the run names no tenant file");
    };
    let shown = inert::terminal(&path.to_string_lossy()).into_owned();
    if taking.tenant.is_none() && !path.is_file() {
        return not_judged(run, &format!("there is no {shown} here"));
    }
    let mut problems = Vec::new();
    let (tenant, file) = inputs::read_tenant_file(&path, &mut problems).ok_or(Failure::Problems(problems))?;
    if taking.tenant.is_none() && !run.tenant.simulated && tenant.name != run.tenant.name {
        return not_judged(run, &format!("{shown} is another tenant's"));
    }
    let rules = beside::planned_files(&tenant.guards, Some(&tenant.protected));
    let rules = rules.into_iter().filter(|file| file.role == FileRole::Protected);
    plan::protect(plan, &tenant, std::iter::once(file).chain(rules).collect()).map_err(Failure::Problems)
}

fn not_judged(run: &PlanHeader, why: &str) -> Result<(), Failure> {
    if run.tenant.simulated {
        tell(&format!("what the tenant protects today was not asked of this plan: {why}"));
        return Ok(());
    }
    Err(Failure::Held(format!(
        "what the tenant protects today is not known: {why}; nothing was sent\nhelp: give --tenant FILE"
    )))
}
