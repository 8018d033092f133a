//! The plan of a retry: some items of an earlier run, under the same header, as a plan of their own.
//!
//! Which items these may be is not decided here; see `commands/retry.rs`.

use super::origin::kept_files;
use super::release::Sizes;
use super::{ItemRow, Origin, Plan, PlanHeader, PlannedItem, digest, guards};
use std::collections::HashMap;

/// Plans these items, in the items' order, once more. Steps, limits and tenant are those of the earlier plan; targets are
/// numbered anew, and rows without an item stay with the earlier run. Its files are not read again, since what they held is
/// known; only who may approve is taken over.
pub fn retry(earlier: &PlanHeader, rows: Vec<ItemRow>, origin: Origin) -> Plan {
    let header = PlanHeader {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        files: kept_files(earlier),
        origin: Some(origin),
        ..earlier.clone()
    };
    let mut plan = Plan { header, events: Vec::new(), items: Vec::new(), rows_without_item: Vec::new() };
    let mut targets: HashMap<u32, u32> = HashMap::new();
    for row in rows {
        let next = targets.len() as u32;
        let target = *targets.entry(row.target).or_insert(next);
        // Items of one event follow each other. A row has more than one where a step goes once for its target.
        if plan.events.last() != Some(&row.event) {
            plan.events.push(row.event);
        }
        plan.items.push(PlannedItem { event: plan.events.len() as u32 - 1, step: row.step, target });
    }
    plan.header.rows = plan.events.chunk_by(|one, other| one.place.row == other.place.row).count() as u32;
    // What was blocked does not go again; what is left is counted anew.
    plan.header.blocked = Vec::new();
    plan.header.release = earlier.release.among(Sizes::of(&plan));
    plan.header.guards.holds = guards::judge(&plan);
    plan.header.digest = digest::digest(&plan);
    plan
}

#[cfg(test)]
mod tests;
