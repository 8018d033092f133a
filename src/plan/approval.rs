//! Whether a plan needs people's approval, judged by its totals when it is made.
//!
//! The verdict is part of the plan and of its digest. Signatures are not looked at here: whether they are there, and
//! still count, is judged when the plan is carried out.

use super::Plan;
use super::build::Work;
use super::filter::{Filter, Totals};
use super::problems::{Origin, Problems};
use crate::noun::count;
use crate::playbook::{Playbook, RequireApproval, VarDeclaration};
use crate::problem::Problem;
use crate::tenant::{Tenant, show_duration};
use crate::yaml::Spanned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a playbook asks of people, and whether this plan needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedApproval {
    /// How many people must have signed, at least 1.
    pub min: u16,
    /// Whether the signature of the operator who applies the plan does not count.
    pub not_author: bool,
    /// How long a signature counts.
    pub ttl: Duration,
    /// The condition over the plan's totals, as written.
    pub when: Option<String>,
    /// Whether it is needed: the condition is true, or there is none, and the plan has items.
    pub needed: bool,
    /// The values of the variables that the condition names, so that it can be judged again; none in plans that were made
    /// before they were kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
}

impl PlannedApproval {
    /// In one line, for a plan that sends so many items: what is needed, or why nothing is.
    pub fn shown(&self, items: usize) -> String {
        let values: Vec<String> = self.vars.iter().map(|(name, value)| format!("{name} {value:?}")).collect();
        let with = if values.is_empty() { String::new() } else { format!(" with {}", values.join(", ")) };
        let when = self.when.as_ref().map(|when| format!("{when}{with}"));
        match (&when, self.needed) {
            (Some(when), false) if items > 0 => format!("not needed: {when} is false"),
            (_, false) => "not needed: there is nothing to send".to_owned(),
            (when, true) => {
                let whose = if self.not_author { ", not the operator's" } else { "" };
                let why = when.as_ref().map_or_else(String::new, |when| format!(": {when}"));
                format!(
                    "{} needed{whose}, at most {} old{why}",
                    count(u32::from(self.min), "signature"),
                    show_duration(self.ttl),
                )
            }
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let Self { min, not_author, ttl, when, needed, vars } = self;
        let ttl = show_duration(*ttl);
        let mut json = serde_json::json!({
            "needed": needed, "min": min, "not_author": not_author, "ttl": ttl, "when": when
        });
        if !vars.is_empty() {
            json["vars"] = serde_json::json!(vars);
        }
        json
    }
}

/// What stands against a playbook's condition, whatever the events.
pub(super) fn check(
    work: &Work<'_>,
    tenant: Option<&Tenant>,
    vars: &BTreeMap<String, String>,
    origin: &Origin,
    problems: &mut Problems,
) {
    let Some(RequireApproval { when: Some(when), .. }) = required(work) else { return };
    let actions = tenant.map(|tenant| tenant.actions.iter().map(|action| (action.name.clone(), 0)).collect());
    compiled(when, vars, &Totals { actions, ..Totals::default() }, origin, problems);
}

/// How much a plan would do; what is blocked is not done. Hosts are agents, whatever the playbook's steps follow.
pub(super) fn totals(plan: &Plan, tenant: &Tenant) -> Totals {
    let mut actions: BTreeMap<String, u64> = tenant.actions.iter().map(|action| (action.name.clone(), 0)).collect();
    let (mut items, mut irreversible, mut hosts) = (0, 0, BTreeSet::new());
    for (_, item) in plan.to_send() {
        let action = &plan.header.steps[usize::from(item.step)].action;
        items += 1;
        irreversible += u64::from(!action.reversible);
        hosts.insert(plan.agent_of(item));
        *actions.entry(action.name.clone()).or_default() += 1;
    }
    let rows = u64::from(plan.header.rows);
    Totals { items, hosts: hosts.len() as u64, irreversible, rows, actions: Some(actions) }
}

/// What the playbook asks for, judged for a plan with these totals. A plan without items does nothing, so nobody needs
/// to approve it; its condition is tried all the same, and only what follows from the missing items is forgiven.
pub(super) fn planned(
    work: &Work<'_>,
    vars: &BTreeMap<String, String>,
    totals: &Totals,
    origin: &Origin,
    problems: &mut Problems,
) -> Option<PlannedApproval> {
    let RequireApproval { min, not_author, ttl, when, .. } = required(work)?;
    let is_true = match when {
        None => true,
        Some(when) => match compiled(when, vars, totals, origin, problems)?.holds() {
            Ok(Ok(answer)) => answer,
            Ok(Err(kind)) => {
                let message = format!("the condition gives {kind}, not true or false");
                let help = Some("compare it with something, as in plan.hosts > 10".to_owned());
                problems.push(origin.problem(when.place, "", message, help));
                return None;
            }
            Err(_) if totals.items == 0 => false,
            Err(why) => {
                let message = format!("the condition cannot be judged: {why}");
                problems.push(origin.problem(when.place, "", message, None));
                return None;
            }
        },
    };
    Some(PlannedApproval {
        min: *min,
        not_author: *not_author,
        ttl: *ttl,
        when: when.as_ref().map(|when| when.value.clone()),
        needed: is_true && totals.items > 0,
        vars: when.as_ref().map(|when| named(&when.value, vars)).unwrap_or_default(),
    })
}

/// What the playbook asks for, judged again for a plan that is said to be made of it, with the values of variables that the
/// plan kept.
///
/// # Errors
/// The condition cannot be judged.
pub fn approval_asked(
    playbook: &Playbook,
    plan: &Plan,
    tenant: &Tenant,
) -> Result<Option<PlannedApproval>, Vec<Problem>> {
    let (work, mut problems) = (Work::Playbook(playbook), Problems::default());
    let origin = Origin::of(&work);
    let kept = plan.header.approval.as_ref().map(|approval| &approval.vars);
    let value = |var: &VarDeclaration| {
        let value = kept.and_then(|kept| kept.get(&var.name.value)).or(var.default.as_ref());
        (var.name.value.clone(), value.cloned().unwrap_or_default())
    };
    let vars = playbook.vars.iter().map(value).collect();
    let asked = planned(&work, &vars, &totals(plan, tenant), &origin, &mut problems);
    problems.none()?;
    Ok(asked)
}

/// The variables of which `vars.NAME` stands in a condition.
fn named(when: &str, vars: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let words = when.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let after_vars = words.clone().zip(words.skip(1)).filter(|(word, _)| *word == "vars");
    let names: BTreeSet<&str> = after_vars.map(|(_, name)| name).collect();
    let named = vars.iter().filter(|(name, _)| names.contains(name.as_str()));
    named.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn required<'a>(work: &Work<'a>) -> Option<&'a RequireApproval> {
    match work {
        Work::Playbook(Playbook { require_approval, .. }) => require_approval.as_ref(),
        Work::AdHoc(_) => None,
    }
}

fn compiled(
    when: &Spanned<String>,
    vars: &BTreeMap<String, String>,
    totals: &Totals,
    origin: &Origin,
    problems: &mut Problems,
) -> Option<Filter> {
    match Filter::over_plan(&when.value, vars, totals) {
        Ok(filter) => Some(filter),
        Err(errors) => {
            errors.into_iter().for_each(|error| problems.push(origin.filter_problem(&when.value, when.place, error)));
            None
        }
    }
}

#[cfg(test)]
mod tests;
