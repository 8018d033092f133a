//! A playbook: the YAML file that says which events, which actions in which steps, under which limits, with which
//! reports.
//!
//! This file holds the validated types. What depends on the tenant or on the events is checked where a plan is made;
//! templates and filters are kept as they are written. It opens no other file.

mod approval;
mod caution;
mod control;
mod flow;
mod file;
mod check;
mod released;
mod schedule;
mod tighten;

pub use approval::RequireApproval;
pub use caution::{Caution, DEDUPE_WINDOW, OnUnknown, Overlap, Window};
pub(crate) use check::read_sources;
pub use control::{FailureBudget, MIN_SETTLED, Percent, Promote, Release, Tolerated, WaveSize};
pub(crate) use file::SourceFile;
pub use file::schema;
pub use flow::{After, Flow, When};
pub use schedule::{Schedule, Span};

use crate::problem::Problem;
use crate::tenant::{Columns, Guards, Protected};
use crate::yaml::Spanned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads a playbook's text; `file` is what problems call it. All problems are found at once.
pub fn read(file: &Path, text: &str) -> Result<Playbook, Vec<Problem>> {
    match check::read(file, text) {
        (Some(playbook), problems) if problems.is_empty() => Ok(playbook),
        (_, problems) => Err(problems),
    }
}

/// All problems of a playbook, and what of it could be read: for checks with its tenant that find more problems in the
/// same pass. A playbook with problems is never to be carried out.
pub fn read_in_part(file: &Path, text: &str) -> (Option<Playbook>, Vec<Problem>) {
    check::read(file, text)
}

/// A playbook as it was read; every name still carries its place, for problems found later.
#[derive(Debug, Clone, PartialEq)]
pub struct Playbook {
    /// The file it came from, as the user typed it.
    pub file: PathBuf,
    /// The file's text, for excerpts in later problems.
    pub text: std::sync::Arc<str>,
    /// `name`: letters, digits, `-`, `_`; it becomes part of the run's name.
    pub name: String,
    /// `description`, empty when absent.
    pub description: String,
    /// The tenant's name, when the playbook gives one.
    pub tenant: Option<Spanned<String>>,
    /// Declared variables, in file order.
    pub vars: Vec<VarDeclaration>,
    /// A template over `vars`.
    pub comment: Option<Spanned<String>>,
    /// Where events come from; may be empty when `--events` gives them.
    pub events: Vec<Source>,
    /// The column that says which target an event belongs to; absent: the host.
    pub target: Option<Spanned<String>>,
    /// At least one.
    pub steps: Vec<Step>,
    /// What tightens the tenant's limits.
    pub limits: LimitsPatch,
    /// What tightens the tenant's polling.
    pub polling: PollingPatch,
    /// What it says about acts that may have been carried out already.
    pub caution: Caution,
    /// How it is released, and what stops it by itself.
    pub release: Release,
    /// Who must have signed a plan of it.
    pub require_approval: Option<RequireApproval>,
    /// How much its plans may do before they are held.
    pub guards: Guards,
    /// What must not be acted on, besides what the tenant protects.
    pub protected: Protected,
    /// Reports to write at the end.
    pub reports: Vec<ReportRequest>,
}

/// `vars: {ticket: {required: true}}`
#[derive(Debug, Clone, PartialEq)]
pub struct VarDeclaration {
    /// The name, an identifier.
    pub name: Spanned<String>,
    /// Whether a run without it is refused.
    pub required: bool,
    /// What stands for it when it is not given. `None` and not required: the empty text.
    pub default: Option<String>,
}

/// One place that events come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// File, standard input, or events written in the playbook.
    pub from: SourceFrom,
    /// How columns are named there.
    pub columns: Option<Spanned<ColumnsChoice>>,
    /// Whether a source without rows is fine (`empty: ok`).
    pub empty_ok: bool,
    /// The file that names it: the playbook, or the test that replaces the playbook's own.
    pub file: PathBuf,
}

/// See [`Source`].
#[derive(Debug, Clone, PartialEq)]
pub enum SourceFrom {
    /// A path; relative ones are relative to the folder of [`Source::file`]. The format follows the ending.
    File(Spanned<String>),
    /// `file: "-"`
    Stdin,
    /// `inline:`: a list of mappings, as JSON objects; each with its place.
    Inline(Vec<Spanned<serde_json::Map<String, serde_json::Value>>>),
}

/// `columns: console` or `columns: {agent_id: Agent ID}`.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnsChoice {
    /// One of the tenant's named mappings.
    Named(String),
    /// A mapping written in place.
    InPlace(Columns),
}

/// One action over the events that its filter selects.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Unique within the playbook.
    pub name: Spanned<String>,
    /// The tenant's action, by name.
    pub action: Spanned<String>,
    /// A CEL expression over the event's columns and `vars`; absent: every event of the action's types.
    pub filter: Option<Spanned<String>>,
    /// How it follows the other steps, and how old its events may be.
    pub flow: Flow,
}

/// The playbook's `limits`; each may only tighten the tenant's.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "as in `tenant::Limits`")]
pub struct LimitsPatch {
    pub requests: Option<Spanned<crate::tenant::Rate>>,
    pub keep_free: Option<Spanned<crate::tenant::Rate>>,
    pub concurrency: Option<Spanned<u16>>,
    pub batch_size: Option<Spanned<u16>>,
    pub act_timeout: Option<Spanned<Duration>>,
    pub poll_timeout: Option<Spanned<Duration>>,
}

/// The playbook's `polling`; each may only tighten the tenant's.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "as in `tenant::Polling`")]
pub struct PollingPatch {
    pub first_after: Option<Spanned<Duration>>,
    pub interval: Option<Spanned<Duration>>,
    pub interval_max: Option<Spanned<Duration>>,
    pub deadline: Option<Spanned<Duration>>,
    pub not_found_grace: Option<Spanned<Duration>>,
}

/// A report to write at the end: `{html: "out/{{ run.id }}.html"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportRequest {
    /// How.
    pub format: ReportFormat,
    /// Where: a template over `run.id`, `run.playbook`, `run.tenant`; relative to the working folder.
    pub path: Spanned<String>,
}

/// The formats a report can be written in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ReportFormat {
    Text,
    Markdown,
    Json,
    Csv,
    Html,
    /// A user's own Tera template, by its file.
    Template(PathBuf),
}

#[cfg(test)]
mod tests;
