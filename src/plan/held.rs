//! Whether a plan may be carried out at all, by what it says of itself: one place that every command asks.

use super::Plan;

/// Why nothing of this plan may be sent, a line for each reason; empty when it may be. No part of a plan holds it yet.
pub fn is_held(_: &Plan) -> Vec<String> {
    Vec::new()
}
