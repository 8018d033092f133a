//! Arguments of the commands for plan files: what `plan` makes of a plan, and how `apply` and `undo` take one.

use super::{Keeping, Running, Taking};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;

/// What is made of a plan beside showing it.
#[derive(Debug, Clone, Default, Args)]
pub struct Planning {
    /// Write the plan to a file too, to be reviewed and carried out with `quell apply`
    #[arg(long, short, value_name = "PLAN", conflicts_with = "diff")]
    pub output: Option<PathBuf>,
    /// Show only what differs from this older plan file
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["format", "with_undo"])]
    pub diff: Option<PathBuf>,
    /// Exit with 10 when the plan has items to act on, or with --diff when the plans differ
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Learn from the runs that are kept here how long items take; it is said on standard error, and is no part of the plan
    #[arg(long, value_name = "DIR", env = "QUELL_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Show too what `quell undo` could restore of each step, and what not
    #[arg(long)]
    pub with_undo: bool,
}

/// A plan file that is to be carried out.
#[derive(Debug, Clone)]
pub struct Applying {
    /// The plan file.
    pub plan: PathBuf,
    /// Whether nobody is asked.
    pub yes: bool,
    /// Whether it has to be a plan for the simulator.
    pub simulate: bool,
    /// A tenant file that must still say what the plan was made with.
    pub taking: Taking,
    /// How to work.
    pub running: Running,
    /// What is asked of the state folder.
    pub keeping: Keeping,
    /// The state folder.
    pub state: PathBuf,
}

/// What a plan was made with, and what nobody may say again when it is carried out. It takes these only to refuse them
/// with a word on why; they stand in no help.
#[derive(Debug, Clone, Default)]
pub(super) struct AsItIs(Option<&'static str>);

/// Flags of `plan` and `run` with a value.
const WITH_VALUE: [&str; 19] = [
    "failure-budget",
    "events",
    "var",
    "action",
    "where",
    "comment",
    "map",
    "limit",
    "hosts",
    "waves",
    "max-items",
    "max-hosts",
    "max-per-host",
    "max-irreversible",
    "max-per-action",
    "max-percent-of",
    "outcome",
    "permit-repeat",
    "reason",
];
/// … and without.
const WITHOUT_VALUE: [&str; 1] = ["partial-input"];

impl AsItIs {
    /// Refuses what was given.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.0 {
            None => Ok(()),
            Some(flag) => Err(format!(
                "--{flag}: a plan is carried out as it is; plan again\n\
                 help: `quell plan … -o PLAN` takes what selects events, and `quell apply PLAN` none of it"
            )),
        }
    }
}

impl Args for AsItIs {
    fn augment_args(command: Command) -> Command {
        let hidden = |name: &'static str| Arg::new(name).long(name).hide(true).action(ArgAction::Append);
        let flags = WITHOUT_VALUE.map(|name| Arg::new(name).long(name).hide(true).action(ArgAction::SetTrue));
        command.args(WITH_VALUE.map(hidden)).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AsItIs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = WITH_VALUE.into_iter().find(|name| matches.contains_id(name));
        Ok(Self(given.or_else(|| WITHOUT_VALUE.into_iter().find(|name| matches.get_flag(name)))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
