//! Runs of one playbook on one tenant do not overlap: the later one ends at once, or waits as its playbook says.
//!
//! Others are not waited for here: runs of other playbooks go on beside each other. A signal ends the waiting as it ends
//! any program; nothing has begun by then.

use super::progress::announce;
use crate::cli::Running;
use crate::error::Failure;
use crate::journal::{PlaybookLock, StoreError, holder_of_run};
use crate::plan::{Overlap, PlanHeader};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is tried again.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Takes the lock of the plan's playbook. A `run` that is taken up is not waited for while another process works on it:
/// that one does what is to be done.
pub(super) async fn take_playbook(
    state: &Path,
    header: &PlanHeader,
    run: Option<&str>,
    running: &Running,
) -> Result<PlaybookLock, Failure> {
    let (tenant, playbook) = (header.tenant.name.as_str(), header.playbook.as_str());
    let longest = match header.overlap {
        Overlap::Forbid => Duration::ZERO,
        Overlap::Wait(longest) => longest,
    };
    let began = Instant::now();
    let mut told = false;
    loop {
        let held = match PlaybookLock::take(state, tenant, playbook) {
            Err(held @ StoreError::Held { .. }) => held,
            other => return Ok(other?),
        };
        if let Some(run) = run
            && let Some(holder) = holder_of_run(state, tenant, run)?
        {
            return Err(StoreError::Held { holder, at: format!("is working on run {run}") }.into());
        }
        let left = longest.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(held.into());
        }
        if !told {
            let words = format!("{held}: waiting for it");
            announce(running, "waiting", &words, serde_json::json!({"for": held.to_string()}));
            told = true;
        }
        tokio::time::sleep(TRY_EVERY.min(left)).await;
    }
}
