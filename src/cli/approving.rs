//! Arguments of `quell approve`.

use super::values::reason;
use crate::playbook::Window;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// What is signed, with what, in whose name, as it was typed.
#[derive(Debug, Clone, Args)]
pub(super) struct ApprovingArgs {
    /// The plan file
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// The SSH key to sign with; a .pub file where an agent or a hardware key has the other half [default: git's
    /// `user.signingkey`, else ~/.ssh/id_ed25519]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// In whose name [default: whose the key is in the allowed signers file]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// How long the signature counts [default: as long as the plan takes it]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<Window>,
    /// What is to be remembered, signed with the plan
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    note: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What is signed, with what, in whose name.
#[derive(Debug, Clone)]
pub struct Approving {
    /// The plan file.
    pub plan: PathBuf,
    /// The key.
    pub key: Option<PathBuf>,
    /// The key when neither this nor git names one.
    pub default_key: Option<PathBuf>,
    /// In whose name.
    pub author: Option<String>,
    /// How long the signature counts.
    pub ttl: Option<Duration>,
    /// What is to be remembered.
    pub note: Option<String>,
    /// Whether nobody is asked.
    pub yes: bool,
}

impl ApprovingArgs {
    pub(super) fn approving(self) -> Approving {
        let Self { plan, key, author, ttl, note, yes } = self;
        let default_key = etcetera::home_dir().ok().map(|home| home.join(".ssh/id_ed25519"));
        Approving { plan, key, default_key, author, ttl: ttl.map(|Window(ttl)| ttl), note, yes }
    }
}
