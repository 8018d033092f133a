//! `quell plan`: the dry run. It needs no token, opens no connection, changes no state, and says so. What it shows it
//! also writes to a file that `quell apply` carries out, or holds against an older one.

use super::{held, inputs, learned, plan_file, say, tell};
use crate::cli::{PlanFormat, Planning, Selection};
use crate::error::{ExitCode, Failure};
use crate::inert;
use crate::plan::{Plan, diff, is_held, show, undo};
use crate::report::ReportError;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const FIRST: &str = "dry run: no token is needed, no connection is opened, nothing is sent";
const LAST: &str = "dry run: no connection was opened, nothing was sent";

/// Plans, and shows what came of it.
pub fn execute(
    selection: &Selection,
    format: PlanFormat,
    simulate: bool,
    planning: &Planning,
) -> Result<ExitCode, Failure> {
    if let Some(path) = &planning.output {
        // Before standard input is read, which may take a person.
        let inputs = [&selection.file].into_iter().chain(&selection.events).chain(&selection.tenant.tenant);
        plan_file::check_place(path, inputs)?;
    }
    let older = planning.diff.as_deref().map(plan_file::read).transpose()?;
    let plan = inputs::prepare(selection, simulate)?.plan;
    if let Some(older) = older {
        return differ(&older, &plan, planning.detailed_exitcode);
    }
    if let Some(path) = &planning.output {
        plan_file::write(&plan, path)?;
    }
    let foreseen = if planning.with_undo { undo::foreseen(&plan) } else { Vec::new() };
    let undo = |mark: &str| -> String {
        let lines = foreseen.iter().map(|line| format!("{mark}{}\n", inert::terminal(line)));
        lines.collect()
    };
    match format {
        PlanFormat::Text if planning.with_undo => {
            say(&format!("{FIRST}\n\n{}\nundo:\n{}\n{LAST}\n", show::text(&plan), undo("  ")))?;
        }
        PlanFormat::Text => say(&format!("{FIRST}\n\n{}\n{LAST}\n", show::text(&plan)))?,
        PlanFormat::Markdown if planning.with_undo => {
            let lines: Vec<String> =
                foreseen.iter().map(|line| format!("- {}\n", crate::report::inert::markdown(line))).collect();
            say(&format!("*{FIRST}*\n\n{}\n**undo**\n\n{}\n*{LAST}*\n", show::markdown(&plan), lines.concat()))?;
        }
        PlanFormat::Markdown => say(&format!("*{FIRST}*\n\n{}\n*{LAST}*\n", show::markdown(&plan)))?,
        PlanFormat::Json if planning.with_undo => {
            return Err(Failure::Usage(
                "--with-undo is for text and Markdown: in JSON each step has `reversible`".to_owned(),
            ));
        }
        PlanFormat::Json => say_json(&plan)?,
    }
    if let Some(path) = &planning.output {
        tell_next(&plan, path);
    }
    if let Some(state) = &planning.state_dir {
        learned::tell_of(&plan, state);
    }
    held::check(&plan, "nothing was sent")?;
    let acts = planning.detailed_exitcode && plan.counts().0 > 0;
    Ok(if acts { ExitCode::HasItems } else { ExitCode::Fine })
}

/// The plan as one JSON document on standard output. A reader that went away has what it wanted.
pub(super) fn say_json(plan: &Plan) -> Result<(), Failure> {
    to_stdout(|out| show::json(plan, out))
}

fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(ReportError::Output(e))?,
        _ => Ok(()),
    }
}

fn differ(older: &Plan, plan: &Plan, detailed: bool) -> Result<ExitCode, Failure> {
    let diff = diff::diff(older, plan);
    to_stdout(|out| diff.write(older, plan, out))?;
    Ok(if detailed && !diff.is_empty() { ExitCode::HasItems } else { ExitCode::Fine })
}

/// What is done with a plan file next.
pub(super) fn tell_next(plan: &Plan, path: &Path) {
    let shown = inert::terminal(&path.to_string_lossy()).into_owned();
    let next = if !is_held(plan).is_empty() {
        "it is held, and `quell apply` refuses it".to_owned()
    } else if plan.items.is_empty() {
        "it has no item".to_owned()
    } else if plan.counts().0 == 0 {
        "all of its items are blocked".to_owned()
    } else if plan.header.approval.as_ref().is_some_and(|approval| approval.needed) && !plan.header.tenant.simulated {
        format!("`quell approve {shown}` signs it, and then `quell apply {shown}` carries it out")
    } else {
        format!("`quell apply {shown}` carries it out")
    };
    tell(&format!("the plan is written to {shown}; {next}"));
}
