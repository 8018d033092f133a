//! `quell show`: how a run stands, at a glance.

use super::standing::Standing;
use crate::error::{ExitCode, Failure};
use crate::report::Colour;
use std::io::IsTerminal;
use std::path::Path;

/// Prints the summary of a run.
pub fn execute(run: Option<&str>, state: &Path) -> Result<ExitCode, Failure> {
    let standing = Standing::read(state, run)?;
    let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
    standing.say_text(colour)?;
    Ok(ExitCode::Fine)
}
