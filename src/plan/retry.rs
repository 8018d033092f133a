//! The plan of a retry: some items of an earlier run, under the same header, as a plan of their own.
//!
//! Which items these may be is not decided here; see `commands/retry.rs`.

use super::{ItemRow, Plan, PlanHeader, PlannedItem, digest, guards};
use std::collections::HashMap;

/// Plans these items, in the items' order, once more. Steps, limits and tenant are those of the earlier plan; targets are
/// numbered anew, and rows without an item stay with the earlier run.
pub fn retry(earlier: &PlanHeader, rows: Vec<ItemRow>) -> Plan {
    let mut plan =
        Plan { header: earlier.clone(), events: Vec::new(), items: Vec::new(), rows_without_item: Vec::new() };
    let mut targets: HashMap<u32, u32> = HashMap::new();
    for row in rows {
        let next = targets.len() as u32;
        let target = *targets.entry(row.target).or_insert(next);
        // Items of one event follow each other.
        if plan.events.last() != Some(&row.event) {
            plan.events.push(row.event);
        }
        plan.items.push(PlannedItem { event: plan.events.len() as u32 - 1, step: row.step, target });
    }
    // Sizes are cumulative numbers of targets, of which there are fewer now.
    let all = targets.len() as u32;
    plan.header.release.waves.iter_mut().for_each(|end| *end = all.min(*end));
    plan.header.release.waves.dedup();
    plan.header.rows = plan.events.len() as u32;
    // What was blocked does not go again; what is left is counted anew.
    plan.header.blocked = Vec::new();
    plan.header.guards.holds = guards::judge(&plan);
    plan.header.digest = digest::digest(&plan);
    plan
}

#[cfg(test)]
mod tests;
