//! What was typed, and what is used. It alone knows the arguments and the environment.

mod approving;
mod args;
mod guards;
mod plans;
mod values;

mod later;

pub use approving::Approving;
pub use args::{
    Keeping, ListFormat, LogFormat, PlanFormat, Running, SchemaKind, Selection, SimulateArgs, Taking, TenantArg,
};
pub use guards::GuardArgs;
pub use later::{Found, Promoting, Resolving, Retrying};
pub use plans::{Applying, Planning};

use crate::error::EXIT_CODES;
use crate::playbook::{ReportFormat, Window};
use approving::ApprovingArgs;
use args::{StateArg, TakingArgs, VolatileArg};
use clap::{Parser, Subcommand};
use later::{ResolvingArgs, RetryingArgs};
use plans::AsItIs;
use std::path::PathBuf;
use std::time::Duration;
use values::report_format;

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
    /// Run the tests of playbooks: against the simulator, in virtual time, without token and connection
    Test {
        /// Files that end with .test.yaml, playbooks that have one, or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Only tests whose name contains this
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
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
        #[command(flatten)]
        planning: Planning,
    },
    /// Carry out a plan file: exactly what it holds, or less
    Apply {
        /// What `quell plan … -o PLAN` wrote
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Refuse the plan unless it was made for the built-in simulator
        #[arg(long, conflicts_with = "token_file")]
        simulate: bool,
        /// A tenant file that must still say what the plan was made with
        #[arg(long, value_name = "FILE", env = "QUELL_TENANT")]
        tenant: Option<PathBuf>,
        /// Refuse to begin where the state folder knows of no earlier run of the tenant
        #[arg(long, conflicts_with = "simulate")]
        require_history: bool,
        #[command(flatten)]
        as_it_is: AsItIs,
        #[command(flatten)]
        volatile: VolatileArg,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// Sign a plan file, once you have seen what it would do
    Approve(ApprovingArgs),
    /// Plan, show, ask, and carry out
    Run {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// The same as `plan`
        #[arg(long, conflicts_with_all = ["yes", "reports", "token_file", "quiet", "log", "priority", "operator", "require_history"])]
        dry_run: bool,
        /// Run against the built-in simulator, in this process, with a tenant, limits and polling of its own
        #[arg(long, conflicts_with = "token_file")]
        simulate: bool,
        /// Refuse to begin where the state folder knows of no earlier run of the tenant
        #[arg(long, conflicts_with = "simulate")]
        require_history: bool,
        #[command(flatten)]
        volatile: VolatileArg,
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
        /// Let actions go on that an unknown item holds back; needs --reason
        #[arg(long = "continue", requires = "reason")]
        go_on: bool,
        #[command(flatten)]
        taking: TakingArgs,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// Ask a run that goes on to stop: no further acts, open items are polled for a while
    Stop {
        /// The run [default: the one that goes on]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        state: StateArg,
    },
    /// Let the next wave of a run begin; a run that nobody works on is taken up
    Promote {
        /// The run [default: the one whose next wave waits]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        taking: TakingArgs,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// Poll what is still open, and look once more at what was open at its deadline; it cannot act
    Poll {
        /// The run [default: every run that has something to poll]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        taking: TakingArgs,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// Write down what a person found out about items that are unknown, unmatched or timed out
    Resolve {
        #[command(flatten)]
        resolving: ResolvingArgs,
        #[command(flatten)]
        taking: TakingArgs,
        #[command(flatten)]
        state: StateArg,
    },
    /// Plan and carry out items of a run again, as a new run that is linked to it
    Retry {
        #[command(flatten)]
        retrying: RetryingArgs,
        #[command(flatten)]
        taking: TakingArgs,
        #[command(flatten)]
        volatile: VolatileArg,
        #[command(flatten)]
        running: Running,
        #[command(flatten)]
        state: StateArg,
    },
    /// Plan the inverse of what a run carried out, newest first; `quell apply` carries it out
    Undo {
        /// The run
        #[arg(value_name = "RUN")]
        run: String,
        /// The file that the plan is written to
        #[arg(long, short, value_name = "PLAN")]
        output: PathBuf,
        /// A tenant file that must still say what the run was planned with
        #[arg(long, value_name = "FILE", env = "QUELL_TENANT")]
        tenant: Option<PathBuf>,
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
    /// Show how a run stands, or what a plan file holds
    Show {
        /// The run, or a plan file [default: the newest run; with --needs-me: all]
        #[arg(value_name = "RUN|PLAN")]
        run: Option<String>,
        /// How to show a plan file [default: text]
        #[arg(long, value_enum, conflicts_with = "needs_me")]
        format: Option<PlanFormat>,
        /// List what a person must look at, each with the command that goes on
        #[arg(long)]
        needs_me: bool,
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
    /// Look after the journal
    Journal {
        #[command(subcommand)]
        what: JournalCommand,
    },
    /// Remove runs from the journal that ended long ago and that nobody needs any more
    Prune {
        /// Runs that ended longer ago than this: `90d`, `36h`
        #[arg(long, value_name = "DURATION")]
        older_than: Window,
        /// Only those of this tenant, by its name [default: all]
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Show what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
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

/// What can be done with the journal.
#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Prove that a run is whole: its plan, every fact, its head file, its part of the index of acts
    Verify {
        /// The run [default: the newest]
        #[arg(value_name = "RUN")]
        run: Option<String>,
        #[command(flatten)]
        state: StateArg,
    },
}

/// What is used.
#[derive(Debug)]
#[expect(missing_docs, reason = "one for each subcommand, with what was typed for it")]
pub enum Command {
    Check { files: Vec<PathBuf>, tenant: Option<PathBuf> },
    Test { files: Vec<PathBuf>, only: Option<String> },
    Plan { selection: Selection, format: PlanFormat, simulate: bool, planning: Planning },
    Apply(Box<Applying>),
    Approve(Approving),
    Run { selection: Selection, yes: bool, simulate: bool, keeping: Keeping, running: Running, state: PathBuf },
    Resume { run: Option<String>, taking: Taking, go_on: Option<String>, running: Running, state: PathBuf },
    Stop { run: Option<String>, state: PathBuf },
    Promote { promoting: Promoting, taking: Taking, running: Running, state: PathBuf },
    Poll { run: Option<String>, taking: Taking, running: Running, state: PathBuf },
    Resolve { resolving: Resolving, taking: Taking, state: PathBuf },
    Retry { retrying: Retrying, taking: Taking, keeping: Keeping, running: Running, state: PathBuf },
    Undo { run: String, output: PathBuf, taking: Taking, state: PathBuf },
    Runs { format: ListFormat, state: PathBuf },
    Show { run: Option<String>, needs_me: bool, format: Option<PlanFormat>, state: PathBuf },
    Report { run: Option<String>, format: ReportFormat, output: Option<PathBuf>, state: PathBuf },
    Verify { run: Option<String>, state: PathBuf },
    Prune { older_than: Duration, tenant: Option<String>, dry: bool, state: PathBuf },
    Simulate(Box<SimulateArgs>),
    Init { folder: PathBuf },
    Schema(SchemaKind),
}

impl Typed {
    /// From what was typed to what is used.
    pub fn command(self) -> Result<Command, String> {
        Ok(match self.command {
            TypedCommand::Check { files, tenant } => Command::Check { files, tenant },
            TypedCommand::Test { files, only } => Command::Test { files, only },
            TypedCommand::Plan { selection, format, simulate, planning } => {
                Command::Plan { selection, format, simulate, planning }
            }
            TypedCommand::Run { selection, dry_run: true, simulate, .. } => {
                Command::Plan { selection, format: PlanFormat::Text, simulate, planning: Planning::default() }
            }
            TypedCommand::Run { selection, yes, simulate, require_history, volatile, running, state, .. } => {
                let keeping = Keeping { require_history, ..volatile.keeping() };
                let (running, state) = (running.complete(), state.folder()?);
                Command::Run { selection, yes, simulate, keeping, running, state }
            }
            TypedCommand::Apply {
                plan,
                yes,
                simulate,
                tenant,
                require_history,
                as_it_is,
                volatile,
                running,
                state,
            } => {
                as_it_is.check()?;
                let keeping = Keeping { require_history, ..volatile.keeping() };
                let (running, state) = (running.complete(), state.folder()?);
                let taking = Taking { tenant, adopt: None };
                Command::Apply(Box::new(Applying { plan, yes, simulate, taking, keeping, running, state }))
            }
            TypedCommand::Undo { run, output, tenant, state } => {
                Command::Undo { run, output, taking: Taking { tenant, adopt: None }, state: state.folder()? }
            }
            TypedCommand::Approve(approving) => Command::Approve(approving.approving()),
            TypedCommand::Resume { run, go_on, taking, running, state } => {
                let go_on_because = taking.reason.clone().filter(|_| go_on);
                let taking = taking.taking(go_on)?;
                let running = running.complete();
                Command::Resume { run, taking, go_on: go_on_because, running, state: state.folder()? }
            }
            TypedCommand::Stop { run, state } => Command::Stop { run, state: state.folder()? },
            TypedCommand::Promote { run, taking, running, state } => {
                let promoting = Promoting { run, reason: taking.reason.clone() };
                let taking = taking.taking(true)?;
                Command::Promote { promoting, taking, running: running.complete(), state: state.folder()? }
            }
            TypedCommand::Poll { run, taking, running, state } => Command::Poll {
                run,
                taking: taking.taking(false)?,
                running: running.complete(),
                state: state.folder()?,
            },
            TypedCommand::Resolve { resolving, taking, state } => Command::Resolve {
                resolving: resolving.resolving()?,
                taking: taking.taking(false)?,
                state: state.folder()?,
            },
            TypedCommand::Retry { retrying, taking, volatile, running, state } => {
                let reason = taking.reason.clone();
                let retrying = retrying.retrying(reason)?;
                let taking = taking.taking(retrying.permit.is_some())?;
                if taking.adopt.is_some() {
                    return Err("--adopt: a retry begins a run of its own and takes none over".to_owned());
                }
                Command::Retry {
                    taking,
                    retrying,
                    keeping: volatile.keeping(),
                    running: running.complete(),
                    state: state.folder()?,
                }
            }
            TypedCommand::Runs { format, state } => Command::Runs { format, state: state.folder()? },
            TypedCommand::Show { run, needs_me, format, state } => {
                Command::Show { run, needs_me, format, state: state.folder()? }
            }
            TypedCommand::Report { run, format, template, output, state } => {
                let format = format.or_else(|| template.map(ReportFormat::Template));
                let format = format.ok_or_else(|| "give --format or --template".to_owned())?;
                let output = output.filter(|path| path.as_os_str() != "-");
                Command::Report { run, format, output, state: state.folder()? }
            }
            TypedCommand::Journal { what: JournalCommand::Verify { run, state } } => {
                Command::Verify { run, state: state.folder()? }
            }
            TypedCommand::Prune { older_than: Window(older_than), tenant, dry_run: dry, state } => {
                Command::Prune { older_than, tenant, dry, state: state.folder()? }
            }
            TypedCommand::Simulate(args) => Command::Simulate(args),
            TypedCommand::Init { folder } => Command::Init { folder },
            TypedCommand::Schema { kind } => Command::Schema(kind),
        })
    }
}
