//! Arguments of the commands for what a run left behind: `resolve` and `retry`.

use super::values::{default_operator, operator, reason};
use crate::engine::Outcome;
use crate::engine::fact::Finding;
use crate::report::words;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What a person found out, as it was typed.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").args(["ids", "batch"])))]
pub(super) struct ResolvingArgs {
    /// The run [default: the newest that has such items], then numbers of items, as `quell show` has them
    #[arg(value_name = "RUN|ITEM")]
    names: Vec<String>,
    /// A file of remediation ids from the console, one a line: each is read, and its detail must prove whose it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["as", "note"])]
    ids: Option<PathBuf>,
    /// All such items of this batch
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// What became of them
    #[arg(long = "as", value_enum, value_name = "FINDING", requires = "note")]
    r#as: Option<Seen>,
    /// How it was found out
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    note: Option<String>,
    /// A file whose whole content is the token; only `--ids` needs one
    #[arg(long, value_name = "FILE", requires = "ids")]
    token_file: Option<PathBuf>,
    /// Who is at it, for the journal [default: the user of the CI job or of this machine]
    #[arg(long, value_name = "NAME", value_parser = operator)]
    operator: Option<String>,
}

/// What a person can say of an item.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Seen {
    CarriedOut,
    NotCarriedOut,
}

/// What a person found out.
#[derive(Debug, Clone)]
pub struct Resolving {
    /// The run, or the newest that has such items.
    pub run: Option<String>,
    /// What was found, of which items.
    pub found: Found,
    /// The token, for reading details.
    pub token_file: Option<PathBuf>,
    /// Who is at it.
    pub operator: Option<String>,
}

/// See [`Resolving`].
#[derive(Debug, Clone)]
pub enum Found {
    /// Remediation ids, in a file.
    Ids(PathBuf),
    /// What became of these items, or of those of a batch.
    Items {
        /// Numbers of items.
        items: Vec<u32>,
        /// Number of a batch.
        batch: Option<u32>,
        /// What became of them.
        finding: Finding,
        /// How it was found out.
        note: String,
    },
}

impl ResolvingArgs {
    pub(super) fn resolving(self) -> Result<Resolving, String> {
        let (run, items) = run_and_items(self.names)?;
        let found = match (self.ids, self.r#as, self.note) {
            (Some(ids), ..) if items.is_empty() => Found::Ids(ids),
            (Some(_), ..) => {
                return Err("--ids says by itself which items it is about: leave their numbers out".to_owned());
            }
            (None, Some(seen), Some(note)) => {
                if self.batch.is_some() != items.is_empty() {
                    return Err("which items is it about? give either their numbers or --batch N".to_owned());
                }
                let finding = match seen {
                    Seen::CarriedOut => Finding::CarriedOut,
                    Seen::NotCarriedOut => Finding::NotCarriedOut,
                };
                Found::Items { items, batch: self.batch, finding, note }
            }
            (None, ..) => return Err("give --ids FILE, or items with --as FINDING and --note TEXT".to_owned()),
        };
        let operator = self.operator.or_else(default_operator);
        Ok(Resolving { run, found, token_file: self.token_file, operator })
    }
}

/// Which run's next wave begins.
#[derive(Debug, Clone)]
pub struct Promoting {
    /// The run, or the one whose next wave waits.
    pub run: Option<String>,
    /// Why, although its conditions do not hold.
    pub reason: Option<String>,
}

/// What is to be done again, as it was typed.
#[derive(Debug, Args)]
pub(super) struct RetryingArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Which items, by their outcome: failed, rejected, not_started; unknown, unmatched and timed_out as far as they were
    /// resolved as not carried out
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',', value_parser = outcome, required = true)]
    outcome: Vec<Outcome>,
    /// Numbers of items, as `quell show` has them, that may have been carried out and are sent all the same; needs --reason
    #[arg(long, value_name = "ITEM", value_delimiter = ',', requires = "reason")]
    permit_repeat: Vec<u32>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with_all = ["yes", "reports", "token_file", "quiet", "log"])]
    dry_run: bool,
    /// Write the plan of the retry to a file, to be carried out with `quell apply`, and do nothing
    #[arg(long, short, value_name = "PLAN",
        conflicts_with_all = ["yes", "dry_run", "reports", "token_file", "quiet", "log", "priority", "operator"])]
    output: Option<PathBuf>,
}

/// What is to be done again.
#[derive(Debug, Clone)]
pub struct Retrying {
    /// The run.
    pub run: String,
    /// Which items, by their outcome.
    pub outcomes: Vec<Outcome>,
    /// Items that may have been carried out and are sent all the same, and why.
    pub permit: Option<(Vec<u32>, String)>,
    /// Whether nobody is asked.
    pub yes: bool,
    /// Whether it is only shown.
    pub dry_run: bool,
    /// The file that the plan is written to, instead of being carried out.
    pub output: Option<PathBuf>,
}

impl RetryingArgs {
    pub(super) fn retrying(self, reason: Option<String>) -> Result<Retrying, String> {
        let permit = match (self.permit_repeat.is_empty(), reason) {
            (true, _) => None,
            (false, Some(reason)) => Some((self.permit_repeat, reason)),
            (false, None) => return Err("--permit-repeat needs --reason TEXT".to_owned()),
        };
        let Self { run, outcome: outcomes, yes, dry_run, output, .. } = self;
        Ok(Retrying { run, outcomes, permit, yes, dry_run, output })
    }
}

/// The outcomes after which an item can be tried again at all.
const AGAIN: [Outcome; 6] =
    [Outcome::Failed, Outcome::Rejected, Outcome::NotStarted, Outcome::Unknown, Outcome::Unmatched, Outcome::TimedOut];

fn outcome(word: &str) -> Result<Outcome, String> {
    let known = words::OUTCOMES.into_iter().find(|of| words::outcome(*of) == word.replace('-', "_"));
    let possible = AGAIN.map(words::outcome).join(", ");
    match known {
        Some(of) if AGAIN.contains(&of) => Ok(of),
        Some(of) => Err(format!("what is {} is not tried again; possible are {possible}", words::outcome(of))),
        None => Err(format!("there is no such outcome; possible are {possible}")),
    }
}

/// A run's name holds more than digits; an item's number does not.
fn run_and_items(mut names: Vec<String>) -> Result<(Option<String>, Vec<u32>), String> {
    let is_number = |name: &String| !name.is_empty() && name.bytes().all(|c| c.is_ascii_digit());
    let run = names.first().filter(|name| !is_number(name)).cloned();
    if run.is_some() {
        names.remove(0);
    }
    let number = |name: &String| {
        let number = name.parse::<u32>().ok().filter(|_| is_number(name));
        number.ok_or_else(|| format!("{name:?} is not the number of an item"))
    };
    Ok((run, names.iter().map(number).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_before_numbers_of_items() {
        let read = |names: &[&str]| run_and_items(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(read(&[]), Ok((None, vec![])));
        assert_eq!(read(&["3", "17"]), Ok((None, vec![3, 17])));
        assert_eq!(read(&["contain-0612-7f3", "3"]), Ok((Some("contain-0612-7f3".to_owned()), vec![3])));
        for names in [&["contain-0612-7f3", "x"][..], &["3", "contain"], &["99999999999"], &["a", "-1"]] {
            assert!(read(names).is_err(), "{names:?}");
        }
    }

    #[test]
    fn only_what_can_be_tried_again_is_an_outcome_to_retry() {
        assert_eq!(outcome("not-started"), Ok(Outcome::NotStarted));
        for word in ["succeeded", "open", "still_queued", "skipped", "", "fail"] {
            assert!(outcome(word).is_err(), "{word}");
        }
    }
}
