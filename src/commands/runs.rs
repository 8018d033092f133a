//! `quell runs`: the runs of the state folder, newest first.

use super::{say, tell};
use crate::cli::ListFormat;
use crate::error::{ExitCode, Failure};
use crate::journal::{self, Listed, RunSummaryRow};
use crate::noun::count;
use crate::report::{inert, words};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

/// Prints the list.
pub fn execute(format: ListFormat, state: &Path) -> Result<ExitCode, Failure> {
    let Listed { mut runs, unreadable } = journal::runs(state)?;
    for error in unreadable {
        tell(&Failure::from(error).render(std::io::stderr().is_terminal()));
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.meta.created));
    match format {
        ListFormat::Text => say(&text(&runs))?,
        ListFormat::Json => say(&json(&runs))?,
    }
    Ok(ExitCode::Fine)
}

fn text(runs: &[RunSummaryRow]) -> String {
    if runs.is_empty() {
        return "no runs in this state folder\n".to_owned();
    }
    let width = runs.iter().map(|run| run.meta.id.len()).max().unwrap_or(0);
    let mut out = String::new();
    for run in runs {
        let created = words::time(run.meta.created);
        let tenant = inert::terminal(&run.meta.tenant);
        let (id, items) = (&run.meta.id, run.items);
        let of = [("retry", &run.meta.retry_of), ("undo", &run.meta.undo_of)];
        let of = of.iter().filter_map(|(kind, of)| Some(format!("  {kind} of {}", inert::terminal(of.as_deref()?))));
        let _ = writeln!(
            out,
            "{id:width$}  {created}  {tenant}  {}  {}{}",
            count(items, "item"),
            state_of(run),
            of.collect::<String>()
        );
    }
    out
}

fn json(runs: &[RunSummaryRow]) -> String {
    let mut out = String::new();
    for run in runs {
        let row = serde_json::json!({
            "id": run.meta.id,
            "playbook": run.meta.playbook,
            "tenant": run.meta.tenant,
            "created": words::time(run.meta.created),
            "items": run.items,
            "facts": run.facts,
            "state": state_of(run),
            "simulated": run.meta.simulated,
            "retry_of": run.meta.retry_of,
            "undo_of": run.meta.undo_of,
        });
        let _ = writeln!(out, "{row}");
    }
    out
}

fn state_of(run: &RunSummaryRow) -> &'static str {
    match run.ended {
        Some(true) => "finished",
        Some(false) => "stopped",
        None => "unfinished",
    }
}
