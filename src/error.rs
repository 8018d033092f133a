//! Categories of failure and the public exit codes; the one place that maps the first to the second.

use crate::api::TokenError;
use crate::driver::DriverError;
use crate::engine::Outcome;
use crate::engine::fact::StopReason;
use crate::inert;
use crate::journal::StoreError;
use crate::problem::{self, Problem};
use crate::report::ReportError;

/// The public exit codes. They are never reused for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything acted on succeeded, or there was nothing to do.
    Fine = 0,
    /// An unexpected error: a bug.
    Bug = 1,
    /// Usage, playbook, tenant or events invalid; nothing was sent.
    Invalid = 2,
    /// Held back by a guard, an approval or another run's lock; nothing was sent.
    Held = 3,
    /// Finished; some items failed, were rejected, timed out, were blocked or not started, or rows were refused.
    SomeFailed = 4,
    /// Some items are unknown or unmatched: a person must look.
    Unclear = 5,
    /// Stopped early; `resume` goes on.
    Stopped = 6,
    /// The journal or state folder cannot be used, or a report could not be written.
    Store = 7,
    /// The API cannot be reached, is not where the tenant says, or sign-in failed.
    Unreachable = 8,
    /// Finished well, but some items are still queued.
    StillQueued = 9,
    /// Only of `plan --detailed-exitcode`: the plan has items to act on, or differs from the other.
    HasItems = 10,
}

/// The text of the codes, for `--help`. `plan --detailed-exitcode` alone gives 10, and nothing that carries out does.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  everything acted on succeeded, or there was nothing to do
  1  unexpected error: a bug
  2  usage, playbook, tenant or events invalid; nothing was sent
  3  held back by a guard, a window, a stop file, a missing approval or confirmation, or another run's lock; nothing was sent
  4  finished; some items failed, were rejected, timed out, were blocked or not started, or rows were refused; a test failed
  5  some items are unknown or unmatched: a person must look
  6  stopped early; `quell resume` or `quell promote` goes on
  7  the journal or state folder cannot be used, or a report could not be written
  8  the API cannot be reached, is not where the tenant says, or sign-in failed
  9  finished well, but some items are still queued
 10  `plan --detailed-exitcode` only: the plan has items to act on, or differs from the other
Where several apply: 7, 1, 5, 6, 8, 4, 9.";

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Files that a person wrote are wrong.
    #[error("{}", problem::render(.0, false))]
    Problems(Vec<Problem>),
    /// The command line is wrong, or asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// Nobody agreed, or somebody else is at it.
    #[error("{0}")]
    Held(String),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The token, before anything was sent.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The API, before anything was sent.
    #[error("{0}")]
    Api(String),
    /// The run broke off.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// What must not happen.
    #[error("{0}")]
    Bug(String),
}

impl Failure {
    /// The failure as people see it.
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Problems(problems) => problem::render(problems, colour).trim_end().to_owned(),
            Self::Store(none @ StoreError::NoRun(_)) => {
                format!("error: {none}\nhelp: `quell runs` lists those that are; --state-dir names another folder")
            }
            Self::Store(damaged @ StoreError::Damaged { .. }) => {
                let words = inert::lines(&damaged.to_string()).into_owned();
                format!(
                    "error: {words}\nhelp: leave the folder as it is: \"When it is refused\" in docs/journal.md says what to do"
                )
            }
            other => format!("error: {}", inert::lines(&other.to_string())),
        }
    }

    /// The code for it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Problems(_) | Self::Usage(_) => ExitCode::Invalid,
            Self::Held(_) | Self::Store(StoreError::Held { .. }) => ExitCode::Held,
            Self::Store(StoreError::NoRun(_) | StoreError::Ambiguous { .. }) => ExitCode::Invalid,
            Self::Store(_) | Self::Report(_) | Self::Driver(DriverError::Store { .. }) => ExitCode::Store,
            Self::Token(_) | Self::Api(_) => ExitCode::Unreachable,
            Self::Driver(DriverError::Illegal { .. }) | Self::Bug(_) => ExitCode::Bug,
        }
    }
}

/// The graver of two codes, as the published order has it.
pub fn worst(one: ExitCode, other: ExitCode) -> ExitCode {
    use ExitCode::*;
    let order = [Store, Bug, Unclear, Stopped, Unreachable, SomeFailed, StillQueued];
    order.into_iter().find(|code| *code == one || *code == other).unwrap_or(one)
}

/// What of a run decides its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunVerdict {
    /// Whether every item has its final outcome.
    pub complete: bool,
    /// Why acting stopped, if it did.
    pub stopped: Option<StopReason>,
    /// Whether rows of the input were refused and left out.
    pub refused_rows: bool,
    /// Whether a task of the run died.
    pub bug: bool,
}

/// The code of a run, by what became of its items. `count` says how many items have an outcome.
pub fn run_exit_code(verdict: RunVerdict, count: impl Fn(Outcome) -> u64) -> ExitCode {
    let any = |outcomes: &[Outcome]| outcomes.iter().any(|outcome| count(*outcome) > 0);
    let cut_off =
        matches!(verdict.stopped, Some(StopReason::Unreachable | StopReason::WrongPlace | StopReason::SignIn));
    if verdict.bug {
        ExitCode::Bug
    } else if any(&[Outcome::Unknown, Outcome::Unmatched]) {
        ExitCode::Unclear
    } else if !verdict.complete && !cut_off {
        ExitCode::Stopped
    } else if cut_off && !verdict.complete {
        ExitCode::Unreachable
    } else if verdict.refused_rows
        || any(&[Outcome::Failed, Outcome::Rejected, Outcome::TimedOut, Outcome::Blocked, Outcome::NotStarted])
    {
        ExitCode::SomeFailed
    } else if any(&[Outcome::StillQueued]) {
        ExitCode::StillQueued
    } else {
        ExitCode::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_run_follows_the_published_order() {
        use Outcome::*;
        use StopReason::*;
        let done = RunVerdict { complete: true, stopped: None, refused_rows: false, bug: false };
        let open = |stopped| RunVerdict { complete: false, stopped, refused_rows: false, bug: false };
        for (name, verdict, outcomes, code) in [
            ("all well", done, vec![Succeeded, Skipped], 0),
            ("nothing to do", done, vec![], 0),
            ("a dead task", RunVerdict { bug: true, ..done }, vec![Unknown], 1),
            ("failed", done, vec![Succeeded, Failed], 4),
            ("rejected", done, vec![Rejected, StillQueued], 4),
            ("timed out", done, vec![TimedOut], 4),
            ("barred", done, vec![Failed, NotStarted], 4),
            ("rows that were refused", RunVerdict { refused_rows: true, ..done }, vec![Succeeded], 4),
            ("blocked", done, vec![Blocked], 4),
            ("unknown wins over a stop", open(Some(Signal)), vec![Unknown, Open], 5),
            ("unmatched wins over the network", open(Some(Unreachable)), vec![Unmatched], 5),
            ("a signal", open(Some(Signal)), vec![Succeeded, Open, Failed], 6),
            ("a kill", open(None), vec![NotStarted], 6),
            ("no way to the API", open(Some(Unreachable)), vec![NotStarted], 8),
            ("sign-in", open(Some(SignIn)), vec![NotStarted, Failed], 8),
            ("wrong place", open(Some(WrongPlace)), vec![NotStarted], 8),
            (
                "stopped by a signal when nothing was left",
                RunVerdict { stopped: Some(Signal), ..done },
                vec![Succeeded],
                0,
            ),
            ("still queued", done, vec![Succeeded, StillQueued], 9),
        ] {
            let got = run_exit_code(verdict, |outcome| outcomes.iter().filter(|o| **o == outcome).count() as u64);
            assert_eq!(got as u8, code, "{name}");
        }
    }
}
