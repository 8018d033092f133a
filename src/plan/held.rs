//! Whether a plan may be carried out at all, by what it says of itself: one place that every command asks.

use super::{Plan, guards};

/// Why nothing of this plan may be sent, a line for each reason; empty when it may be. What is counted is counted again: a
/// plan file that was put together by hand may leave out what was found.
pub fn is_held(plan: &Plan) -> Vec<String> {
    let mut found = plan.header.guards.clone();
    let again = guards::judge(plan).into_iter().filter(|hold| !plan.header.guards.holds.contains(hold));
    found.holds.extend(again);
    guards::show::holds(&found)
}
