//! What a plan was made from: the files that were read for it, or the earlier run whose items it takes up.
//!
//! It reads nothing. Who reads a file says what its bytes were; who takes up a run says which and why.

use super::{Plan, PlanHeader};
use serde::{Deserialize, Serialize};

/// A file that was read for a plan, so that it can be read again and compared before the plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// What it was read as.
    pub role: FileRole,
    /// Its path, relative to the working folder; `-` is standard input.
    pub name: String,
    /// SHA-256 of the very bytes that were read, in hexadecimal.
    pub sha256: String,
}

/// What a file is to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// The playbook.
    Playbook,
    /// The tenant's file, also where the simulator stands in for it.
    Tenant,
    /// Events.
    Events,
    /// Rules for protected targets.
    Protected,
    /// The list of hosts that a percentage is of.
    Inventory,
    /// The list of hosts that `--hosts` names.
    Hosts,
    /// Who may approve.
    AllowedSigners,
}

impl FileRole {
    /// The word for it in a sentence, and in a plan's digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Playbook => "playbook",
            Self::Tenant => "tenant",
            Self::Events => "events",
            Self::Protected => "protected",
            Self::Inventory => "inventory",
            Self::Hosts => "hosts",
            Self::AllowedSigners => "allowed_signers",
        }
    }
}

/// The files of a run that a plan keeps which takes the run up: who may approve is for the run's playbook to say, not for
/// the folder that the new plan is written to.
pub(super) fn kept_files(run: &PlanHeader) -> Vec<PlannedFile> {
    run.files.iter().filter(|file| file.role == FileRole::AllowedSigners).cloned().collect()
}

/// What of a plan that takes up a run is not as it is in the plan that was made of this run just now; `None` when they do
/// the same. Which files they were judged by, and which quell made them, may differ.
pub fn amiss_with(plan: &Plan, made: &Plan) -> Option<&'static str> {
    let (said, run) = (&plan.header, &made.header);
    let names = |header: &PlanHeader| kept_files(header).into_iter().map(|file| file.name).collect::<Vec<_>>();
    let is_signed = run.approval.as_ref().is_some_and(|approval| approval.needed) && !run.tenant.simulated;
    let is_amiss = [
        (said.tenant != run.tenant, "tenant"),
        (said.approval != run.approval, "approval"),
        (is_signed && names(run) != names(said), "allowed signers"),
        (said.guards != run.guards, "guards"),
        (said.steps != run.steps, "steps"),
        (plan.events != made.events || plan.items != made.items, "items"),
        (plan.rows_without_item != made.rows_without_item, "rows without an item"),
        (said.blocked != run.blocked, "protected items"),
        (said.release != run.release, "waves, budget and signs to stop"),
        (said.limits != run.limits || said.polling != run.polling, "limits and polling"),
        (said.statuses != run.statuses, "statuses"),
        (said.dedupe_window != run.dedupe_window || said.overlap != run.overlap, "window of what was done before"),
        // Last, and with all that will be added to a header.
        (!is_same_besides_files(said, run), "name, comment, reports or origin"),
    ];
    is_amiss.into_iter().find_map(|(is_amiss, what)| is_amiss.then_some(what))
}

fn is_same_besides_files(said: &PlanHeader, run: &PlanHeader) -> bool {
    let PlanHeader { tool_version, files, digest, .. } = run.clone();
    PlanHeader { tool_version, files, digest, ..said.clone() } == *run
}

/// What [`PlannedFile::name`] is where standard input was read.
pub const STDIN: &str = "-";

/// The run whose items a plan takes up; its files were that run's, and are not read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What is done with them.
    pub kind: OriginKind,
    /// The run's name.
    pub run: String,
    /// Items of this plan that are sent although they may have been carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted: Option<Permitted>,
    /// What of the run is left as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// See [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// They are tried again.
    Retry,
    /// They are undone.
    Undo,
}

/// A permission to repeat what may have been carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permitted {
    /// Numbers of items of the plan, ascending.
    pub items: Vec<u32>,
    /// Why, in the words of who permitted it.
    pub reason: String,
}

/// Items of one step of the run that are left as they are, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The step of the run.
    pub step: String,
    /// How grave that is.
    pub state: Leaving,
    /// Why, as one line.
    pub reason: String,
    /// How many items.
    pub count: u32,
    /// Their numbers in the run, as ranges: `0-3, 17`.
    pub items: String,
}

/// What leaving an item as it is means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// It was carried out and stays so.
    CannotBeUndone,
    /// Nobody knows whether it was carried out.
    NobodyKnows,
    /// It was not carried out.
    NothingToUndo,
}

/// Ascending numbers as ranges: `0-3, 17`.
pub(super) fn ranges(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let shown = runs.map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        for (numbers, expected) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[0, 1], "0-1"),
            (&[0, 1, 2, 5, 7, 8], "0-2, 5, 7-8"),
            (&[u32::MAX - 1, u32::MAX], "4294967294-4294967295"),
        ] {
            assert_eq!(ranges(numbers), expected);
        }
    }
}
