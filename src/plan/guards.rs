//! Guards: how much a plan may do before it is held. They are on by default, and part of the plan.
//!
//! `bounds::effective` says what holds for a plan: defaults, what a playbook or flags raise, and the tenant's ceilings
//! over both. [`judge`] counts. Blocked items count nowhere: nothing is done with them. It asks nobody and raises nothing.

pub(super) mod bounds;
pub(super) mod show;

use super::Plan;
use crate::tenant::Guards;
use crate::yaml::Spanned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// How many items a plan has, unless something raises it.
pub const MAX_ITEMS: u32 = 200;
/// How many hosts.
pub const MAX_HOSTS: u32 = 100;
/// How many items on one host.
pub const MAX_PER_HOST: u32 = 50;
/// How many items of irreversible actions without a cap of their own.
pub const MAX_IRREVERSIBLE: u32 = 0;

/// The guards of a plan, and what they said. Plans that were stored before there were guards have none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlannedGuards {
    /// Each that holds, in the order of [`Guard`]; what is not here has no bound.
    pub bounds: Vec<Bound>,
    /// Whether flags raise them, there being no playbook.
    pub by_flags: bool,
    /// What exceeds them, and what is protected. A plan that has any is not carried out.
    pub holds: Vec<Hold>,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Items.
    MaxItems,
    /// Hosts: different agent ids, as they are sent.
    MaxHosts,
    /// Items on one host.
    MaxPerHost,
    /// Items of irreversible actions that have no cap of their own.
    MaxIrreversible,
    /// Hosts, as a share of all there are.
    MaxPercentOf(Share),
    /// Items of this action.
    MaxPerAction(String),
    /// Items that match this rule.
    Protected(String),
}

/// A share of all hosts there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    /// How many hosts there are.
    pub of: u32,
    /// Which share of them, 0 to 100.
    pub percent: u8,
    /// The file that lists them, and the SHA-256 of its bytes.
    pub file: Option<(String, String)>,
}

/// A guard of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What is counted.
    pub guard: Guard,
    /// How many there may be.
    pub most: u32,
    /// How many there may be where nobody says otherwise; `None`: any number.
    pub default: Option<u32>,
    /// How many the tenant allows at most; `None`: it does not say.
    pub ceiling: Option<u32>,
    /// Who says so.
    pub set_by: SetBy,
}

/// Who says what a guard's bound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// Nobody.
    Default,
    /// The tenant's ceiling, which is below the default.
    Tenant,
    /// The playbook.
    Playbook,
    /// A flag.
    Flag,
}

/// Why a plan is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What is too much.
    pub guard: Guard,
    /// The host of which there is too much, for [`Guard::MaxPerHost`]: the one with most items.
    pub host: Option<String>,
    /// How many there are.
    pub found: u32,
    /// How many there may be.
    pub limit: u32,
    /// How many the tenant allows at most, where it says so.
    pub ceiling: Option<u32>,
    /// What to write so that it holds no more, as far as the tenant allows it; empty where nobody can say.
    pub raise: String,
    /// Rows of the first items that are concerned, for what is protected.
    pub rows: Vec<u32>,
}

/// Items that a rule keeps from being carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The rule's name.
    pub rule: String,
    /// The items, ascending.
    pub items: Vec<u32>,
}

impl PlannedGuards {
    /// What a playbook or flag raised above its default, as one text each: `max_items 200 → 1500 (playbook)`.
    pub fn raised(&self) -> Vec<String> {
        show::raised(self)
    }

    /// Whether every guard is there and none is above what this tenant allows: in a plan that was put together by hand they
    /// may be any.
    pub fn are_within(&self, tenant: &Guards) -> bool {
        let ceiling = |written: &Option<Spanned<u32>>| written.as_ref().map_or(u32::MAX, |most| most.value);
        let mut ceilings = vec![
            (Guard::MaxItems, ceiling(&tenant.max_items)),
            (Guard::MaxHosts, ceiling(&tenant.max_hosts)),
            (Guard::MaxPerHost, ceiling(&tenant.max_per_host)),
            (Guard::MaxIrreversible, ceiling(&tenant.max_irreversible)),
        ];
        let caps = tenant.max_per_action.iter();
        ceilings.extend(caps.map(|(action, most)| (Guard::MaxPerAction(action.value.clone()), most.value)));
        let within =
            |(guard, most): &(Guard, u32)| self.bounds.iter().any(|bound| bound.guard == *guard && bound.most <= *most);
        let has_share = self.bounds.iter().any(|bound| matches!(bound.guard, Guard::MaxPercentOf(_)));
        ceilings.iter().all(within) && (tenant.max_percent_of.is_none() || has_share)
    }

    fn has_own_cap(&self, action: &str) -> bool {
        self.bounds.iter().any(|bound| {
            matches!(&bound.guard, Guard::MaxPerAction(name) if name == action)
                && matches!(bound.set_by, SetBy::Playbook | SetBy::Flag)
        })
    }
}

impl Guard {
    /// The word that files and flags have for it: `max_items`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::MaxItems => "max_items",
            Self::MaxHosts => "max_hosts",
            Self::MaxPerHost => "max_per_host",
            Self::MaxIrreversible => "max_irreversible",
            Self::MaxPercentOf(_) => "max_percent_of",
            Self::MaxPerAction(_) => "max_per_action",
            Self::Protected(_) => "protected",
        }
    }
}

/// What of the plan exceeds its guards, in their order. What is protected is judged where rules are known.
pub fn judge(plan: &Plan) -> Vec<Hold> {
    let counts = Counts::of(plan);
    let guards = &plan.header.guards;
    let exceeded = guards.bounds.iter().filter_map(|bound| {
        let (found, host) = counts.found(&bound.guard);
        (found > bound.most).then(|| Hold {
            raise: show::raise(bound, found, guards.by_flags),
            guard: bound.guard.clone(),
            host: host.map(str::to_owned),
            found,
            limit: bound.most,
            ceiling: bound.ceiling,
            rows: Vec::new(),
        })
    });
    exceeded.collect()
}

/// What guards count, of the items that will be acted on.
struct Counts<'p> {
    items: u32,
    irreversible: u32,
    of_actions: BTreeMap<&'p str, u32>,
    of_hosts: HashMap<&'p str, u32>,
    /// The first of the hosts that have most.
    fullest: Option<&'p str>,
}

impl<'p> Counts<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut counts =
            Self { items: 0, irreversible: 0, of_actions: BTreeMap::new(), of_hosts: HashMap::new(), fullest: None };
        let steps = &plan.header.steps;
        let needs_consent: Vec<bool> = steps
            .iter()
            .map(|step| !step.action.reversible && !plan.header.guards.has_own_cap(&step.action.name))
            .collect();
        let mut hosts = Vec::new();
        for (step, host) in acted_on(plan) {
            counts.items += 1;
            counts.irreversible += u32::from(needs_consent[step]);
            *counts.of_actions.entry(&steps[step].action.name).or_default() += 1;
            let of_host = counts.of_hosts.entry(host).or_default();
            *of_host += 1;
            if *of_host == 1 {
                hosts.push(host);
            }
        }
        // Of equals the last is found, so they are looked at from the end.
        counts.fullest = hosts.into_iter().rev().max_by_key(|host| counts.of_hosts[host]);
        counts
    }

    /// How many there are, and the host that is meant.
    fn found(&self, guard: &Guard) -> (u32, Option<&'p str>) {
        match guard {
            Guard::MaxItems => (self.items, None),
            Guard::MaxHosts | Guard::MaxPercentOf(_) => (u32::try_from(self.of_hosts.len()).unwrap_or(u32::MAX), None),
            Guard::MaxPerHost => (self.fullest.map_or(0, |host| self.of_hosts[host]), self.fullest),
            Guard::MaxIrreversible => (self.irreversible, None),
            Guard::MaxPerAction(name) => (self.of_actions.get(name.as_str()).copied().unwrap_or(0), None),
            // It has no bound: whatever matches is a hold of its own.
            Guard::Protected(_) => (0, None),
        }
    }
}

/// Step and agent, as it is sent, of each item that is not blocked.
fn acted_on(plan: &Plan) -> impl Iterator<Item = (usize, &str)> {
    plan.to_send().map(|(_, item)| (usize::from(item.step), plan.agent_of(item)))
}

#[cfg(test)]
mod tests;
