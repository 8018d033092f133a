//! Whether a plan is held: by its guards, or by what is protected. A held plan is shown whole and never carried out.

use super::progress::announce;
use crate::cli::Running;
use crate::engine::fact::ItemId;
use crate::error::{ExitCode, Failure};
use crate::plan::{Blocked, Plan, PlanHeader, is_held, show};
use serde_json::json;

/// Refuses a plan that is held, before anything of the state folder or the token is touched. It is shown first.
pub(super) fn refuse(plan: &Plan, running: &Running) -> Result<(), Failure> {
    let holds = is_held(plan);
    if !holds.is_empty() {
        let facts = json!({"playbook": plan.header.playbook, "tenant": plan.header.tenant.name, "holds": holds});
        announce(running, "held", &show::text(plan), facts);
    }
    check(plan, "nothing was sent")
}

/// The same without showing it; says what was not done.
pub(super) fn check(plan: &Plan, not_done: &str) -> Result<(), Failure> {
    let holds = is_held(plan);
    if holds.is_empty() {
        return Ok(());
    }
    Err(Failure::Held(format!("this plan is held, {not_done}\n{}", holds.join("\n"))))
}

/// The items that a rule protects, for the beginning of a run. Given whenever a process begins to work on one: it may have
/// been stopped before its first fact.
pub(super) fn blocked(header: &PlanHeader) -> Vec<(Vec<ItemId>, String)> {
    let ids = |blocked: &Blocked| blocked.items.iter().copied().map(ItemId).collect();
    header.blocked.iter().map(|blocked| (ids(blocked), blocked.rule.clone())).collect()
}

/// The exit code of a dry run.
pub(super) fn code(plan: &Plan) -> ExitCode {
    if is_held(plan).is_empty() { ExitCode::Fine } else { ExitCode::Held }
}
