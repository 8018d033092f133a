//! Whether a plan may be carried out at all, by what it says of itself: one place that every command asks.

use super::{Plan, show};

/// Why nothing of this plan may be sent, a line for each reason; empty when it may be.
pub fn is_held(plan: &Plan) -> Vec<String> {
    show::holds(plan)
}
