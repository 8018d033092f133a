//! Whether a plan that takes up a run is the one that quell makes of this run today: it is planned once more and compared.
//!
//! A plan file that was put together by hand could name items that the run never had or that may have been carried out,
//! undo what was not done, raise a guard, ask for fewer approvals, or leave out what the tenant protects. Nothing is sent
//! on the word of the file alone: what it says of the run has to come out of the journal.

use super::standing::Standing;
use super::taken::same_tenant;
use super::{held, protected, retry, undo};
use crate::cli::Taking;
use crate::error::Failure;
use crate::inert;
use crate::journal::{RunReader, StoreError};
use crate::plan::{FileRole, Origin, OriginKind, Plan, amiss_with};
use std::path::{Path, PathBuf};

/// Refuses what another plan than that of its run would do. `taking` names the tenant's file where one was given.
pub(super) fn check(plan: &Plan, origin: &Origin, state: &Path, taking: &Taking) -> Result<(), Failure> {
    let run = inert::terminal(&origin.run).into_owned();
    let tenant = &plan.header.tenant;
    let reader = match RunReader::of_tenant(state, &tenant.name, &origin.run) {
        Err(StoreError::NoRun(_)) => {
            return Err(Failure::Held(format!(
                "this plan takes up run {run}, which this state folder does not know; nothing was sent\n\
                 help: give --state-dir of the folder with that run"
            )));
        }
        read => read?,
    };
    if reader.header().tenant != *tenant {
        return Err(Failure::Held(format!("this plan is for another tenant than run {run}; nothing was sent")));
    }
    let standing = Standing::of(reader, false)?;
    let mut made = match origin.kind {
        OriginKind::Retry => retry::again(plan, origin, &standing)?,
        OriginKind::Undo => undo::plan_of(&standing, state)?,
    };
    let judged_by = taking.tenant.clone().or_else(|| tenant_file(plan));
    if judged_by.is_some() || !tenant.simulated {
        let by = Taking { tenant: judged_by, adopt: None };
        same_tenant(standing.header(), &by)?;
        protected::judge_again(&mut made, standing.header(), &by)?;
    }
    // What is protected by now holds it, whatever the file says of that.
    held::check(&made, "nothing was sent")?;
    let Some(what) = amiss_with(plan, &made) else { return Ok(()) };
    let verb = match origin.kind {
        OriginKind::Retry => "retry",
        OriginKind::Undo => "undo",
    };
    Err(Failure::Held(format!(
        "this plan's {what} are not those of the {verb} of run {run} as it would be planned now; nothing was sent\n\
         help: plan it again with `quell {verb} … -o PLAN`, since more is known of the run by now, or the plan was put \
         together by hand"
    )))
}

fn tenant_file(plan: &Plan) -> Option<PathBuf> {
    let file = plan.header.files.iter().find(|file| file.role == FileRole::Tenant)?;
    Some(PathBuf::from(&file.name))
}
