//! Whether a plan is held: by its guards, or by what is protected. A held plan is shown whole and never carried out.

use super::progress::announce;
use crate::cli::Running;
use crate::error::{ExitCode, Failure};
use crate::plan::{Plan, show};
use serde_json::json;

/// Refuses a plan that is held, before anything of the state folder or the token is touched. It is shown first.
pub(super) fn refuse(plan: &Plan, running: &Running) -> Result<(), Failure> {
    let holds = show::holds(plan);
    if holds.is_empty() {
        return Ok(());
    }
    let facts = json!({"playbook": plan.header.playbook, "tenant": plan.header.tenant.name, "holds": holds});
    announce(running, "held", &show::text(plan), facts);
    Err(Failure::Held(format!("this plan is held, nothing was sent\n{}", holds.join("\n"))))
}

/// The exit code of a dry run.
pub(super) fn code(plan: &Plan) -> ExitCode {
    if show::holds(plan).is_empty() { ExitCode::Fine } else { ExitCode::Held }
}
