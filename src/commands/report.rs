//! `quell report`: a report of a run, on standard output or in a file.

use super::standing::Standing;
use crate::error::{ExitCode, Failure};
use crate::playbook::ReportFormat;
use std::path::Path;

/// Writes the report.
pub fn execute(
    run: Option<&str>,
    format: &ReportFormat,
    output: Option<&Path>,
    state: &Path,
) -> Result<ExitCode, Failure> {
    let standing = Standing::read(state, run)?;
    match output {
        Some(path) => standing.write_file(format, path)?,
        None => standing.say(format)?,
    }
    Ok(ExitCode::Fine)
}
