//! One file for each subcommand; each wires the parts together. What a command prints for people to keep goes to
//! standard output, everything else to standard error.

mod above;
mod again;
pub mod apply;
pub mod approvals;
pub mod approve;
mod beside;
pub mod check;
mod confirm;
mod excerpts;
mod held;
pub mod init;
pub mod inputs;
pub mod keep;
mod learned;
mod located;
mod overlap;
mod overseer;
pub mod plan;
mod plan_file;
mod planned_files;
pub mod poll;
pub mod progress;
mod protected;
pub mod report;
pub mod report_paths;
pub mod request;
pub mod resolve;
pub mod resume;
pub mod retry;
mod room;
pub mod run;
pub mod runs;
pub mod schema;
pub mod show;
pub mod simulate;
mod sources;
pub mod standing;
pub mod taken;
mod terminal;
pub mod test;
mod typed;
pub mod undo;
pub mod unresolved;

use crate::cli::Command;
use crate::error::{ExitCode, Failure};
use std::io::{self, Write};

/// Does what was asked.
pub fn execute(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check { files, tenant } => check::execute(&files, tenant.as_deref()),
        Command::Plan { selection, format, simulate, planning } => {
            plan::execute(&selection, format, simulate, &planning)
        }
        Command::Apply(applying) => apply::execute(&applying),
        Command::Approve(order) => approve::execute(&order),
        Command::Undo { run, output, taking, state } => undo::execute(&run, &output, &taking, &state),
        Command::Run { selection, yes, simulate, keeping, running, state } => {
            run::execute(&run::Order { selection, yes, simulate, keeping, running, state })
        }
        Command::Resume { run, taking, go_on, running, state } => {
            resume::execute(&resume::Order { run, taking, go_on, promotion: None, running, state })
        }
        Command::Stop { run, state } => request::stop(run.as_deref(), &state),
        Command::Promote { promoting, taking, running, state } => {
            request::promote(&promoting, &taking, &running, &state)
        }
        Command::Poll { run, taking, running, state } => poll::execute(run.as_deref(), &taking, &running, &state),
        Command::Resolve { resolving, taking, state } => resolve::execute(&resolving, &taking, &state),
        Command::Retry { retrying, taking, keeping, running, state } => {
            retry::execute(&retry::Order { retrying, taking, keeping, running, state })
        }
        Command::Runs { format, state } => runs::execute(format, &state),
        Command::Show { run, needs_me: true, state, .. } => unresolved::execute(run.as_deref(), &state),
        Command::Show { run, needs_me: false, format, state } => show::execute(run.as_deref(), format, &state),
        Command::Report { run, format, output, state } => {
            report::execute(run.as_deref(), &format, output.as_deref(), &state)
        }
        Command::Verify { run, state } => keep::verify(run.as_deref(), &state),
        Command::Prune { older_than, tenant, dry, state } => keep::prune(older_than, tenant.as_deref(), dry, &state),
        Command::Simulate(args) => simulate::execute(&args),
        Command::Init { folder } => init::execute(&folder),
        Command::Test { files, only } => test::execute(&files, only.as_deref()),
        Command::Schema(kind) => schema::execute(kind),
    }
}

/// Writes to standard output. A reader that went away is no error: it has what it wanted.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Report(crate::report::ReportError::Output(e))),
        _ => Ok(()),
    }
}

/// Tells people something on standard error. Nobody listening is no reason to stop.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
