//! What is done with the journal itself: `quell journal verify` proves a run, `quell prune` forgets old ones.

use super::run::wall_clock;
use super::{say, tell};
use crate::error::{ExitCode, Failure};
use crate::inert;
use crate::journal::{self, Verified};
use crate::report::words;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// Proves a run and says what was proven. It changes nothing and needs no lock.
pub fn verify(run: Option<&str>, state: &Path) -> Result<ExitCode, Failure> {
    let Verified { meta, schema, events, items, rows_without_item, head, head_file, acts, acts_of_all_runs } =
        journal::verify(state, run)?;
    let hash: String = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let marked = head_file.map_or_else(|| "none, as the run is finished".to_owned(), |fact| format!("fact {fact}"));
    let index = match (acts, acts_of_all_runs) {
        (Some(own), Some(all)) => format!("{own} of this run, {all} of all runs of the tenant"),
        _ => "none, as the journal is of schema 1".to_owned(),
    };
    say(&format!(
        "run {} is whole\n  schema     {schema}\n  plan       {events} events, {items} items, {rows_without_item} rows \
         without item\n  facts      {}, chain {hash}\n  head file  {marked}\n  acts       {index}\n",
        meta.id, head.sequence
    ))?;
    Ok(ExitCode::Fine)
}

/// Removes runs that ended long ago and that nobody needs.
pub fn prune(older_than: Duration, tenant: Option<&str>, dry: bool, state: &Path) -> Result<ExitCode, Failure> {
    let pruned = journal::prune(state, tenant, older_than, wall_clock(), dry)?;
    let mut out = String::new();
    let wrong = |_| Failure::Bug("text cannot be put together".to_owned());
    let gone = if dry { "would go" } else { "gone" };
    for run in &pruned.gone {
        writeln!(out, "{gone}  {}  {}  {}", run.id, inert::terminal(&run.tenant), words::time(run.created))
            .map_err(wrong)?;
    }
    for (run, why) in &pruned.spared {
        writeln!(out, "kept  {}  {}  {why}", run.id, inert::terminal(&run.tenant)).map_err(wrong)?;
    }
    let (went, kept) = (pruned.gone.len(), pruned.spared.len());
    writeln!(out, "{went} {}, {kept} kept", if dry { "would go" } else { "gone" }).map_err(wrong)?;
    say(&out)?;
    let mut refused = pruned.refused.into_iter().map(Failure::from);
    let Some(first) = refused.next() else { return Ok(ExitCode::Fine) };
    for failure in refused {
        tell(&failure.render(std::io::stderr().is_terminal()));
    }
    Err(first)
}
