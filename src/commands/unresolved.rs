//! `quell show --needs-me`: what a person must look at, over all runs, each with the command that goes on.

use super::standing::Standing;
use super::{plan_file, say, tell};
use crate::engine::Outcome;
use crate::engine::fact::Before;
use crate::error::{ExitCode, Failure};
use crate::journal::{self, RunReader, Unresolved};
use crate::noun::count;
use crate::report::inert;
use crate::report::words;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

/// The outcomes that are listed, the most urgent first.
const LISTED: [Outcome; 5] =
    [Outcome::Unknown, Outcome::Unmatched, Outcome::TimedOut, Outcome::Open, Outcome::StillQueued];
/// The same as the journal's index of acts calls them.
const DOUBTFUL: [Before; 5] = [Before::Unknown, Before::Unmatched, Before::TimedOut, Before::Open, Before::StillQueued];
/// Items of one run and outcome that are listed by number.
const SHOWN_MAX: usize = 20;

/// Lists them; of one run when it is named.
pub fn execute(run: Option<&str>, state: &Path) -> Result<ExitCode, Failure> {
    let mut out = String::new();
    match run {
        Some(name) if plan_file::is_meant(name) => {
            let name = inert::terminal(name);
            return Err(Failure::Usage(format!(
                "{name} is a plan, of which nothing has run: --needs-me is for runs\nhelp: `quell show {name}` shows what it \
                 would do; `quell runs` lists the runs"
            )));
        }
        Some(run) => tell_of(&Standing::read(state, Some(run))?, &mut out)?,
        None => {
            for (tenant, id) in runs_with(state, &DOUBTFUL)? {
                if let Some(holder) = journal::holder_of_run(state, &tenant, &id)? {
                    tell(&format!("{holder} is working on run {id}: what will need you is known when it ends"));
                    continue;
                }
                tell_of(&Standing::of_tenant(state, &tenant, &id)?, &mut out)?;
            }
        }
    }
    if out.is_empty() {
        out.push_str("nothing needs you\n");
    }
    say(&out)?;
    Ok(ExitCode::Fine)
}

/// Tenant and name of the run that was named, by its beginning perhaps.
pub(super) fn named(run: &str, state: &Path) -> Result<(String, String), Failure> {
    let reader = RunReader::open(state, Some(run))?;
    Ok((reader.meta().tenant.clone(), reader.meta().id.clone()))
}

/// Tenants and names of the runs with acts that became one of these, oldest first.
pub fn runs_with(state: &Path, became: &[Before]) -> Result<Vec<(String, String)>, Failure> {
    let Unresolved { runs, unreadable } = journal::unresolved(state)?;
    for error in unreadable {
        tell(&Failure::from(error).render(std::io::stderr().is_terminal()));
    }
    let wanted = runs.into_iter().filter(|run| run.acts.keys().any(|known| became.contains(known)));
    Ok(wanted.map(|run| (run.meta.tenant, run.meta.id)).collect())
}

fn tell_of(standing: &Standing, out: &mut String) -> Result<(), Failure> {
    let run = standing.meta();
    let mut all: Vec<(u32, Outcome)> = standing.unresolved().filter(|(_, of)| LISTED.contains(of)).collect();
    if all.is_empty() {
        return Ok(());
    }
    all.sort_by_key(|(item, of)| (LISTED.iter().position(|listed| listed == of), *item));
    let wrong = |_| Failure::Bug("text cannot be put together".to_owned());
    writeln!(out, "run {} ({}): {}", run.id, inert::terminal(&run.tenant), count(all.len(), "item")).map_err(wrong)?;
    for same in all.chunk_by(|one, other| one.1 == other.1) {
        let of = same[0].1;
        let described = standing.described(same.iter().take(SHOWN_MAX).map(|(item, _)| *item))?;
        writeln!(out, "  {} {}", same.len(), words::outcome(of)).map_err(wrong)?;
        for line in described {
            writeln!(out, "    {line}").map_err(wrong)?;
        }
        if same.len() > SHOWN_MAX {
            writeln!(out, "    and {} more: all are in `quell report {} --format csv`", same.len() - SHOWN_MAX, run.id)
                .map_err(wrong)?;
        }
        for line in next(of, &run.id) {
            writeln!(out, "    {line}").map_err(wrong)?;
        }
    }
    Ok(())
}

/// What to do about such items.
fn next(of: Outcome, run: &str) -> Vec<String> {
    match of {
        Outcome::Open => vec![format!("next: quell resume {run} (or quell poll {run}, which sends nothing)")],
        Outcome::StillQueued => vec![format!("next: quell poll {run}, once its hosts are back")],
        Outcome::TimedOut => vec![format!("next: quell poll {run}; {}", by_person(run))],
        _ => vec![format!("next: look for the tag in the console's comments; {}", by_person(run))],
    }
}

fn by_person(run: &str) -> String {
    format!(
        "quell resolve {run} --ids FILE, or quell resolve {run} ITEM.. --as carried-out|not-carried-out --note TEXT"
    )
}
