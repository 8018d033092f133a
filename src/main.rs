//! The binary: parse, run, exit code.

use clap::Parser;
use quell::cli::Typed;
use quell::commands;
use quell::error::{ExitCode, Failure};
use std::io::IsTerminal;

fn main() -> std::process::ExitCode {
    let outcome = match Typed::try_parse() {
        Ok(typed) => typed.command().map_err(Failure::Usage).and_then(commands::execute),
        Err(e) => {
            // Help and version are answers, not errors; nobody listening is no error either.
            let _ = e.print();
            let code = if e.use_stderr() { ExitCode::Invalid } else { ExitCode::Fine };
            return std::process::ExitCode::from(code as u8);
        }
    };
    let code = match outcome {
        Ok(code) => code,
        Err(failure) => {
            commands::tell(&failure.render(std::io::stderr().is_terminal()));
            failure.exit_code()
        }
    };
    std::process::ExitCode::from(code as u8)
}
