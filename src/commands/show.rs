//! `quell show`: how a run stands at a glance, or what a plan file holds.

use super::standing::Standing;
use super::{plan, plan_file, say};
use crate::cli::PlanFormat;
use crate::error::{ExitCode, Failure};
use crate::plan::show;
use crate::report::Colour;
use std::io::IsTerminal;
use std::path::Path;

/// Prints the summary of a run, or the plan in a file.
pub fn execute(name: Option<&str>, format: Option<PlanFormat>, state: &Path) -> Result<ExitCode, Failure> {
    if let Some(path) = name.filter(|name| plan_file::is_meant(name)) {
        return show_plan(Path::new(path), format.unwrap_or(PlanFormat::Text));
    }
    if format.is_some() {
        let (what, run) = name.map_or_else(
            || ("no file is named".to_owned(), String::new()),
            |name| (format!("there is no plan file {name}"), format!(" {name}")),
        );
        return Err(Failure::Usage(format!(
            "--format is for plan files, and {what}\nhelp: `quell report{run} --format …` writes a report of a run"
        )));
    }
    let standing = Standing::read(state, name)?;
    let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
    standing.say_text(colour)?;
    Ok(ExitCode::Fine)
}

fn show_plan(path: &Path, format: PlanFormat) -> Result<ExitCode, Failure> {
    let plan = plan_file::read(path)?;
    match format {
        PlanFormat::Text => say(&show::text(&plan))?,
        PlanFormat::Markdown => say(&show::markdown(&plan))?,
        PlanFormat::Json => plan::say_json(&plan)?,
    }
    Ok(ExitCode::Fine)
}
