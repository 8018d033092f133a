//! What was typed, and what is used. It alone knows the arguments and the environment.

use crate::error::EXIT_CODES;
use crate::playbook::ReportFormat;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "quell",
    version,
    about = "Mass remediation on Qualys EDR from files kept in git",
    long_about = "Mass remediation on Qualys EDR from files kept in git: plans, shows exactly what will happen, submits in \
                  batches within the tenant's limits, never does an action twice, waits until every remediation has \
                  settled, and tells the truth about each one.",
    after_help = EXIT_CODES,
    after_long_help = EXIT_CODES,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Args)]
struct StateArg {
    /// Where runs are kept [default: the XDG state folder's `quell`]
    #[arg(long, value_name = "DIR", env = "QUELL_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// Check playbooks and tenants: every problem of all files in one pass
    Check {
        /// Playbooks, tenants, or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The tenant to check every playbook with [default: the one that each playbook names]
        #[arg(long, value_name = "FILE")]
        tenant: Option<PathBuf>,
    },
    /// Show what a run would do: a dry run, without token and connection
    Plan {
        #[command(flatten)]
        selection: Selection,
        /// How to show it
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        /// Let the built-in simulator stand in for the tenant
        #[arg(long)]
        simulate: bool,
    },
    /// Plan, show, ask, and carry out
    Run {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// The same as `plan`
        #[arg(long, conflicts_with_all = ["yes", "reports", "token_file", "quiet", "log"])]
        dry_run: bool,
        /// Run against the built-in simulator, in this process, with a tenant, limits and polling of its own
        #[arg(long, conflicts_with = "token_file")]
        simulate: bool,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// Take up an unfinished run: nothing is sent twice
    Resume {
        /// The run [default: the newest unfinished one]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// List the runs of the state folder
    Runs {
        /// How to show them
        #[arg(long, value_enum, default_value_t = ListFormat::Text)]
        format: ListFormat,
        #[command(flatten)]
        state: StateArg,
    },
    /// Show how a run stands
    Show {
        /// The run [default: the newest]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        state: StateArg,
    },
    /// Write a report of a run
    Report {
        /// The run [default: the newest]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        /// text, markdown, json, csv or html
        #[arg(long, value_name = "FORMAT", value_parser = report_format, required_unless_present = "template")]
        format: Option<ReportFormat>,
        /// A Tera template of your own
        #[arg(long, value_name = "FILE", conflicts_with = "format")]
        template: Option<PathBuf>,
        /// Where to write it; `-` is standard output [default: standard output]
        #[arg(long, short, value_name = "PATH")]
        output: Option<PathBuf>,
        #[command(flatten)]
        state: StateArg,
    },
    /// Be a tenant on loopback, with a ledger of what was carried out
    Simulate(Box<SimulateArgs>),
    /// Write a starter folder: a tenant, a playbook and events that work at once with `--simulate`
    Init {
        /// The folder
        #[arg(default_value = ".", value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the JSON Schema of a kind of file
    Schema {
        /// Which kind
        #[arg(value_enum)]
        kind: SchemaKind,
    },
}

/// Which tenant.
#[derive(Debug, Clone, Args)]
pub struct TenantArg {
    /// The tenant file [default: `tenants/NAME.yaml` beside the playbook or above it, NAME being what it says]
    #[arg(long, value_name = "FILE", env = "QUELL_TENANT")]
    pub tenant: Option<PathBuf>,
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
    /// For an events file: which events, as a CEL expression over their columns
    #[arg(long = "where", value_name = "CEL")]
    pub filter: Option<String>,
    /// For an events file: the comment that every act carries
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// For an events file: which column holds a field; may be given several times
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = pair)]
    pub map: Vec<(String, String)>,
    /// Leave bad rows out and list them, rather than refusing the file
    #[arg(long)]
    pub partial_input: bool,
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
}

/// What is used.
#[derive(Debug)]
#[expect(missing_docs, reason = "one for each subcommand, with what was typed for it")]
pub enum Command {
    Check { files: Vec<PathBuf>, tenant: Option<PathBuf> },
    Plan { selection: Selection, format: PlanFormat, simulate: bool },
    Run { selection: Selection, yes: bool, simulate: bool, running: Running, state: PathBuf },
    Resume { run: Option<String>, running: Running, state: PathBuf },
    Runs { format: ListFormat, state: PathBuf },
    Show { run: Option<String>, state: PathBuf },
    Report { run: Option<String>, format: ReportFormat, output: Option<PathBuf>, state: PathBuf },
    Simulate(Box<SimulateArgs>),
    Init { folder: PathBuf },
    Schema(SchemaKind),
}

impl Typed {
    /// From what was typed to what is used.
    pub fn command(self) -> Result<Command, String> {
        Ok(match self.command {
            TypedCommand::Check { files, tenant } => Command::Check { files, tenant },
            TypedCommand::Plan { selection, format, simulate } => Command::Plan { selection, format, simulate },
            TypedCommand::Run { selection, dry_run: true, simulate, .. } => {
                Command::Plan { selection, format: PlanFormat::Text, simulate }
            }
            TypedCommand::Run { selection, yes, simulate, running, state, .. } => {
                Command::Run { selection, yes, simulate, running: running.complete(), state: state.folder()? }
            }
            TypedCommand::Resume { run, running, state } => {
                Command::Resume { run, running: running.complete(), state: state.folder()? }
            }
            TypedCommand::Runs { format, state } => Command::Runs { format, state: state.folder()? },
            TypedCommand::Show { run, state } => Command::Show { run, state: state.folder()? },
            TypedCommand::Report { run, format, template, output, state } => {
                let format = format.or_else(|| template.map(ReportFormat::Template));
                let format = format.ok_or_else(|| "give --format or --template".to_owned())?;
                let output = output.filter(|path| path.as_os_str() != "-");
                Command::Report { run, format, output, state: state.folder()? }
            }
            TypedCommand::Simulate(args) => Command::Simulate(args),
            TypedCommand::Init { folder } => Command::Init { folder },
            TypedCommand::Schema { kind } => Command::Schema(kind),
        })
    }
}

impl Running {
    fn complete(self) -> Self {
        Self { operator: self.operator.or_else(default_operator), ..self }
    }
}

impl StateArg {
    fn folder(self) -> Result<PathBuf, String> {
        self.state_dir.map_or_else(default_state_dir, Ok)
    }
}

/// The XDG state folder's `quell`: `~/.local/state/quell` unless the environment says otherwise.
fn default_state_dir() -> Result<PathBuf, String> {
    use etcetera::BaseStrategy;
    etcetera::base_strategy::Xdg::new()
        .ok()
        .and_then(|dirs| dirs.state_dir())
        .map(|state| state.join("quell"))
        .ok_or_else(|| "no home folder is known; give --state-dir or QUELL_STATE_DIR".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn report_format(word: &str) -> Result<ReportFormat, String> {
    crate::report::parse_format(word).map_err(|e| e.to_string())
}

fn report(text: &str) -> Result<(ReportFormat, PathBuf), String> {
    let (format, path) = pair(text).map_err(|_| "expected FORMAT=PATH, for example json=report.json".to_owned())?;
    if path.is_empty() {
        return Err("the path is missing after `=`".to_owned());
    }
    Ok((report_format(&format)?, PathBuf::from(path)))
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e| format!("{e}; expected for example `30s`"))?;
    std::time::Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected a number from 0 to 100".to_owned()),
    }
}

/// The longest name of an operator, in characters.
const OPERATOR_CHARS_MAX: usize = 100;

fn operator(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is not empty".to_owned()),
        name if name.chars().any(char::is_control) => Err("a name has no control characters".to_owned()),
        name if name.chars().count() > OPERATOR_CHARS_MAX => {
            Err(format!("a name has at most {OPERATOR_CHARS_MAX} characters"))
        }
        name => Ok(name.to_owned()),
    }
}

/// Who is at it when nobody says so: the user of the CI job, else of this machine.
fn default_operator() -> Option<String> {
    let known = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "SUDO_USER", "USER", "LOGNAME"];
    let mut names = known.iter().filter_map(|name| std::env::var(name).ok());
    names.find_map(|name| operator(&name).ok())
}

fn rate(text: &str) -> Result<crate::tenant::Rate, String> {
    text.parse()
}
