//! `quell apply`: carries out exactly what a plan file holds, or less: what earlier runs did is skipped.
//!
//! Nothing is selected here. The plan is read whole or refused; the files it names must be what they were; it must be
//! meant for this tenant, not be held, be approved where it asks for that, and not have been carried out before. All of
//! it is looked at before a token is read, and whether it was carried out once more where runs begin.

use super::confirm::{Approved, Asking};
use super::inputs::{self, Prepared};
use super::run::{Going, carry_out, runtime};
use super::taken::{same_tenant, simulator_of};
use super::{again, approvals, confirm, held, plan_file, planned_files, report_paths, tell};
use crate::cli::{Applying, Taking};
use crate::engine::fact::ItemId;
use crate::engine::{Approval, Permission};
use crate::error::{ExitCode, Failure};
use crate::inert;
use crate::journal::{self, RunSummaryRow};
use crate::plan::{FileRole, Origin, OriginKind, Plan, PlannedFile, STDIN};
use crate::report;
use std::path::PathBuf;

/// What is said of a plan that no quell writes.
const BY_HAND: &str = "this plan was put together by hand";

/// Reads, looks, shows, asks, and carries out.
pub fn execute(order: &Applying) -> Result<ExitCode, Failure> {
    let Applying { yes, running, state, keeping, .. } = order;
    let plan = plan_file::read(&order.plan)?;
    let runtime = runtime()?;
    // The simulator's time is the runtime's.
    let _entered = runtime.enter();
    let inputs = [order.plan.clone()].into_iter().chain(plan_file::inputs_of(&plan)).collect::<Vec<_>>();
    report_paths::check_beside(running, &inputs, state)?;
    let approvals = look(&plan, order)?;
    let simulator = plan.header.tenant.simulated.then(|| simulator_of(&plan.header));
    let permitted = permitted_by(plan.header.origin.as_ref(), running.operator.as_deref());
    let may_be_repeated = permitted.as_ref().map_or(&[][..], |permitted| &permitted.items);
    let asking = Asking { yes: *yes, look_first: "`quell show PLAN`", runtime: &runtime };
    let asked = confirm::show_and_ask(&plan, may_be_repeated, &asking, running, (state, *keeping))?;
    let approved = Approved { approvals, ..asked };
    let going = Going { running, state, permitted, once: true, approved };
    runtime.block_on(carry_out(Prepared { plan, simulator }, going))
}

/// Whether the plan may be carried out, by all that can be known before a person is asked; who approved it.
fn look(plan: &Plan, order: &Applying) -> Result<Vec<Approval>, Failure> {
    let tenant = &plan.header.tenant;
    if order.simulate && !tenant.simulated {
        return Err(Failure::Usage(format!(
            "--simulate: this plan was not made for the built-in simulator: it reaches {}; nothing was sent\n\
             help: `quell plan … --simulate -o PLAN` makes one that is",
            inert::terminal(&tenant.name)
        )));
    }
    held::check(plan, "nothing was sent")?;
    let files = &plan.header.files;
    planned_files::check_unchanged(files)?;
    if files.iter().any(|file| file.name == STDIN) && !order.running.quiet {
        tell("standard input was read for this plan; it is not read again");
    }
    for planned in &plan.header.reports {
        // Better now than after everything was carried out.
        let made = report::parse_format(&planned.format).and_then(|format| report::check_format(&format));
        made.map_err(|e| Failure::Held(format!("a report of this plan cannot be made: {e}; nothing was sent")))?;
    }
    same_tenant(&plan.header, &order.taking)?;
    is_of_its_tenant(plan, order)?;
    let approvals = approvals::check(plan, &order.plan, order.running.operator.as_deref())?;
    refuse_carried_out(journal::run_of_plan(&order.state, &tenant.name, &plan.header.digest)?)?;
    Ok(approvals)
}

/// Whether the plan's tenant is that of the file, or of the run, that it was made from. A plan that was put together by
/// hand could name any.
fn is_of_its_tenant(plan: &Plan, order: &Applying) -> Result<(), Failure> {
    let planned = &plan.header.tenant;
    if let Some(origin) = &plan.header.origin {
        return again::check(plan, origin, &order.state, &order.taking);
    }
    if planned.simulated {
        return Ok(());
    }
    let is_tenant = |file: &&PlannedFile| file.role == FileRole::Tenant;
    let Some(file) = plan.header.files.iter().find(is_tenant) else {
        return Err(Failure::Held("this plan names no tenant file; nothing was sent\nhelp: plan again".to_owned()));
    };
    let path = PathBuf::from(&file.name);
    same_tenant(&plan.header, &Taking { tenant: Some(path.clone()), adopt: None })?;
    let tenant = inputs::tenant_of(&path)?;
    if !plan.header.guards.are_within(&tenant.guards) {
        return Err(Failure::Held(format!(
            "{BY_HAND}: its guards are not within those of {}; nothing was sent",
            inert::terminal(&file.name)
        )));
    }
    if tenant.auth != planned.auth {
        return Err(Failure::Held(format!(
            "{}: `auth` is not what the plan says; nothing was sent\nhelp: plan again",
            inert::terminal(&file.name)
        )));
    }
    Ok(())
}

/// The items that a plan sends although they may have been carried out, as this operator permitted.
pub(super) fn permitted_by(origin: Option<&Origin>, operator: Option<&str>) -> Option<Permission> {
    let permitted = origin.filter(|origin| origin.kind == OriginKind::Retry)?.permitted.as_ref()?;
    Some(Permission {
        items: permitted.items.iter().map(|item| ItemId(*item)).collect(),
        by: operator.map(str::to_owned),
        reason: permitted.reason.clone(),
    })
}

/// Refuses a plan that a run carried out already, or still does.
pub(super) fn refuse_carried_out(run: Option<RunSummaryRow>) -> Result<(), Failure> {
    let Some(run) = run else { return Ok(()) };
    let id = &run.meta.id;
    Err(Failure::Held(match run.ended {
        Some(true) => format!(
            "this plan was carried out before; nothing was sent\n\
             help: `quell show {id}` says what came of it, and `quell retry` tries again what failed"
        ),
        _ => {
            format!("the run of this plan is not finished; nothing was sent\nhelp: `quell resume {id}` goes on with it")
        }
    }))
}
