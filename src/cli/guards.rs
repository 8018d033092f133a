//! The flags that stand for a playbook's `guards` when there is none: for event files.

use crate::tenant::{Guards, PercentOf, percent_of};
use clap::Args;

/// Where help lists them.
const HEADING: &str = "Guards, for an events file";

/// How much may be done with an events file before the plan is held.
#[derive(Debug, Clone, Default, Args)]
pub struct GuardArgs {
    /// Items in all [default: 200]
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_items: Option<u32>,
    /// Hosts in all [default: 100]
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_hosts: Option<u32>,
    /// Items on one host [default: 50]
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_per_host: Option<u32>,
    /// Items of irreversible actions that have no --max-per-action [default: 0]
    #[arg(long, help_heading = HEADING, value_name = "N")]
    max_irreversible: Option<u32>,
    /// Items of an action; may be given several times
    #[arg(long, help_heading = HEADING, value_name = "NAME=N", value_parser = cap)]
    max_per_action: Vec<(String, u32)>,
    /// Hosts, as a share of a number of hosts or of those that a file lists: `2000=10%`, `hosts.txt=10%`
    #[arg(long, help_heading = HEADING, value_name = "FILE_OR_N=PERCENT", value_parser = percent_of)]
    max_percent_of: Option<PercentOf>,
}

impl GuardArgs {
    /// The flags that were given, each with the key that says the same in a playbook.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = [
            (self.max_items.is_some(), "--max-items", "guards: {max_items: N}"),
            (self.max_hosts.is_some(), "--max-hosts", "guards: {max_hosts: N}"),
            (self.max_per_host.is_some(), "--max-per-host", "guards: {max_per_host: N}"),
            (self.max_irreversible.is_some(), "--max-irreversible", "guards: {max_irreversible: N}"),
            (!self.max_per_action.is_empty(), "--max-per-action", "guards: {max_per_action: {NAME: N}}"),
            (self.max_percent_of.is_some(), "--max-percent-of", "guards: {max_percent_of: {of: N, percent: P}}"),
        ];
        all.into_iter().filter(|(given, ..)| *given).map(|(_, flag, key)| (flag, key))
    }

    /// What they say.
    pub fn guards(&self) -> Result<Guards, String> {
        let caps = &self.max_per_action;
        if let Some((name, _)) =
            caps.iter().zip(0..).find_map(|(cap, at)| caps[..at].iter().find(|(name, _)| *name == cap.0))
        {
            return Err(format!("--max-per-action {name} is given twice"));
        }
        let numbers = [self.max_items, self.max_hosts, self.max_per_host, self.max_irreversible];
        Ok(Guards::of_flags(numbers, caps.clone(), self.max_percent_of.clone()))
    }
}

fn cap(text: &str) -> Result<(String, u32), String> {
    let (name, cap) = super::values::pair(text).map_err(|_| "expected NAME=N".to_owned())?;
    let cap = cap.parse().map_err(|_| format!("{cap:?} is not a number of items"))?;
    Ok((name, cap))
}
