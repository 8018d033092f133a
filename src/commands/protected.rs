//! What a tenant protects today, asked of a plan that takes up a run. The run was judged by the rules of its own day.
//!
//! It judges what the journal kept: the rows of the items. What a row without an item said of a host is not there any more.

use super::{beside, inputs, tell};
use crate::cli::Taking;
use crate::error::Failure;
use crate::inert;
use crate::plan::{self, FileRole, Plan, PlanHeader};
use std::path::{Path, PathBuf};

/// Judges the plan by the tenant file that was given, or else by the one that the run was planned with, as it is now. Where
/// neither can be read that is said: the plan then rests on what was judged for the run.
pub(super) fn judge_again(plan: &mut Plan, run: &PlanHeader, taking: &Taking) -> Result<(), Failure> {
    let planned = || run.files.iter().find(|file| file.role == FileRole::Tenant).map(|file| PathBuf::from(&file.name));
    let Some(path) = taking.tenant.clone().or_else(planned) else {
        tell_not_judged("the run names no tenant file");
        return Ok(());
    };
    let shown = inert::terminal(&path.to_string_lossy()).into_owned();
    if taking.tenant.is_none() && !path.is_file() {
        tell_not_judged(&format!("there is no {shown} here"));
        return Ok(());
    }
    judge_by(plan, &path, taking.tenant.is_some(), &shown)
}

fn judge_by(plan: &mut Plan, path: &Path, was_given: bool, shown: &str) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let (tenant, file) = inputs::read_tenant_file(path, &mut problems).ok_or(Failure::Problems(problems))?;
    if !was_given && !plan.header.tenant.simulated && tenant.name != plan.header.tenant.name {
        tell_not_judged(&format!("{shown} is another tenant's"));
        return Ok(());
    }
    let rules = beside::planned_files(&tenant.guards, Some(&tenant.protected));
    let rules = rules.into_iter().filter(|file| file.role == FileRole::Protected);
    plan::protect(plan, &tenant, std::iter::once(file).chain(rules).collect()).map_err(Failure::Problems)
}

fn tell_not_judged(why: &str) {
    tell(&format!(
        "what the tenant protects today is not known, and was not asked of this plan: {why}\nhelp: give --tenant FILE"
    ));
}
