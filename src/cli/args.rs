//! Groups of arguments that several commands share.

use super::values::{
    default_operator, default_state_dir, drain, duration, operator, pair, percent, rate, reason, report,
};
use crate::playbook::{ReportFormat, Tolerated, WaveSize};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct StateArg {
    /// Where runs are kept [default: the XDG state folder's `quell`]
    #[arg(long, value_name = "DIR", env = "QUELL_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

/// Which tenant.
#[derive(Debug, Clone, Args)]
pub struct TenantArg {
    /// The tenant file [default: `tenants/NAME.yaml` beside the playbook or above it, NAME being what it says]
    #[arg(long, value_name = "FILE", env = "QUELL_TENANT")]
    pub tenant: Option<PathBuf>,
}

/// Whether the history may be lost.
#[derive(Debug, Clone, Args)]
pub(super) struct VolatileArg {
    /// Keep the journal even on a file system that does not outlast a restart
    #[arg(long, env = "QUELL_ALLOW_VOLATILE_STATE", value_parser = clap::builder::BoolishValueParser::new())]
    allow_volatile_state: bool,
}

/// What a new run asks of its state folder.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// Whether one that knows of no earlier run is refused.
    pub require_history: bool,
    /// Whether one that does not outlast a restart is taken.
    pub allow_volatile: bool,
}

impl VolatileArg {
    pub(super) fn keeping(self) -> Keeping {
        Keeping { require_history: false, allow_volatile: self.allow_volatile_state }
    }
}

/// How a run is taken up again, as it was typed.
#[derive(Debug, Clone, Args)]
pub(super) struct TakingArgs {
    /// A tenant file that must still say what the run was planned with: name, base URL, API version, user
    #[arg(long, value_name = "FILE", env = "QUELL_TENANT")]
    tenant: Option<PathBuf>,
    /// Take over a journal that another machine wrote last; needs --reason
    #[arg(long, requires = "reason")]
    adopt: bool,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(super) reason: Option<String>,
}

/// How a run is taken up again.
#[derive(Debug, Clone)]
pub struct Taking {
    /// A tenant file that must still say what the run was planned with.
    pub tenant: Option<PathBuf>,
    /// Why a journal that another machine wrote last is taken over.
    pub adopt: Option<String>,
}

impl TakingArgs {
    /// `used` says whether something else needs the reason.
    pub(super) fn taking(self, used: bool) -> Result<Taking, String> {
        if self.reason.is_some() && !self.adopt && !used {
            return Err(
                "--reason says why something is done that is not done otherwise; nothing of that kind was asked for"
                    .to_owned(),
            );
        }
        Ok(Taking { tenant: self.tenant, adopt: self.reason.filter(|_| self.adopt) })
    }
}

/// What to work on.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// A playbook (.yaml), or an events file (.csv, .tsv, .json, .jsonl; `-` for standard input)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which tenant.
    #[command(flatten)]
    pub tenant: TenantArg,
    /// Events in place of the playbook's own files; may be given several times
    #[arg(long, value_name = "FILE")]
    pub events: Vec<PathBuf>,
    /// The value of a playbook's variable
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub vars: Vec<(String, String)>,
    /// For an events file: the action, unless the file has an action column
    #[arg(long, value_name = "NAME")]
    pub action: Option<String>,
    /// Only events for which this CEL expression over their columns is true; beside a playbook, of those that its steps
    /// select
    #[arg(long = "where", value_name = "CEL")]
    pub filter: Option<String>,
    /// Only the first so many rows of those that are selected
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Only hosts that stand in this file, one agent id a line
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,
    /// For an events file: the comment that every act carries
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// For an events file: which column holds a field; may be given several times
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = pair)]
    pub map: Vec<(String, String)>,
    /// For an events file: hosts that are released together, as cumulative sizes: `1,5%,100%` [default: all at once]
    #[arg(long, value_name = "SIZE", value_delimiter = ',')]
    pub waves: Vec<WaveSize>,
    /// For an events file: how many failures are tolerated, `5` or `10%` of the items; one more stops the run [default: 10%]
    #[arg(long, value_name = "N")]
    pub failure_budget: Option<Tolerated>,
    /// Leave bad rows out and list them, rather than refusing the file
    #[arg(long)]
    pub partial_input: bool,
    /// How much may be done with an events file.
    #[command(flatten)]
    pub guards: super::GuardArgs,
}

/// How to work.
#[derive(Debug, Clone, Args)]
pub struct Running {
    /// Write a report at the end; may be given several times
    #[arg(long = "report", value_name = "FORMAT=PATH", value_parser = report)]
    pub reports: Vec<(ReportFormat, PathBuf)>,
    /// A file whose whole content is the token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Who is at it, for the journal [default: the user of the CI job or of this machine]
    #[arg(long, value_name = "NAME", value_parser = operator)]
    pub operator: Option<String>,
    /// Go before other runs of the tenant: they start no call while this one lacks one
    #[arg(long)]
    pub priority: bool,
    /// How long open items are polled after a signal or another request to stop; a second signal leaves at once
    #[arg(long, value_name = "DURATION", value_parser = drain, default_value = "20s")]
    pub drain: std::time::Duration,
    /// No progress; problems and the summary remain
    #[arg(long, short)]
    pub quiet: bool,
    /// How progress is told on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Human, conflicts_with = "quiet")]
    pub log: LogFormat,
}

/// The simulator's ways.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// The port on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
    /// The same seed gives the same fates
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write a tenant file for it here
    #[arg(long, value_name = "FILE")]
    pub write_tenant: Option<PathBuf>,
    /// How long every answer takes
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub latency: std::time::Duration,
    /// How long a remediation takes to settle, as a median
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub settle: std::time::Duration,
    /// The spread of settle times (sigma of their logarithm); 0: all alike
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    pub settle_sigma: f64,
    /// Per cent of the items that never settle
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub never_settle: f64,
    /// Per cent of the items that fail
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub fail: f64,
    /// How long a new remediation id answers 404
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub not_found_for: std::time::Duration,
    /// Return remediation ids in another order
    #[arg(long)]
    pub shuffle_ids: bool,
    /// Per cent of the remediation ids that are left out of answers
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub drop_ids: f64,
    /// Per cent of the remediation ids in whose place another item's id is said once more
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub repeat_ids: f64,
    /// A limit such as `50/s` or `300/h`
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub requests: Option<crate::tenant::Rate>,
    /// Calls at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: Option<u16>,
    /// Per cent of the acts whose connection breaks before they are carried out
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub break_before: f64,
    /// Per cent of the acts that are carried out and whose connection breaks without an answer
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub break_after: f64,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PlanFormat {
    Text,
    Markdown,
    Json,
}

/// How a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ListFormat {
    Text,
    Json,
}

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Bars on a terminal, plain lines elsewhere.
    Human,
    /// One JSON object a line.
    Json,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SchemaKind {
    Playbook,
    Tenant,
    Protected,
    Tests,
}

impl Selection {
    /// A playbook with these variables, and a tenant file in place of the one that it names.
    pub fn of_playbook(file: PathBuf, tenant: Option<PathBuf>, vars: Vec<(String, String)>) -> Self {
        Self {
            file,
            tenant: TenantArg { tenant },
            vars,
            events: Vec::new(),
            action: None,
            filter: None,
            limit: None,
            hosts: None,
            comment: None,
            map: Vec::new(),
            waves: Vec::new(),
            failure_budget: None,
            partial_input: false,
            guards: super::GuardArgs::default(),
        }
    }
}

impl Running {
    pub(super) fn complete(self) -> Self {
        Self { operator: self.operator.or_else(default_operator), ..self }
    }
}

impl StateArg {
    pub(super) fn folder(self) -> Result<PathBuf, String> {
        self.state_dir.map_or_else(default_state_dir, Ok)
    }
}
