//! What must hold after every case: the invariants that all tables of faults share, and what this one has beside them.

use super::bench::{Done, PATIENCE};
use super::invariants::{self, Scene};
use super::world::{CANARY, CONCURRENCY, World};
use std::time::Duration;

/// Calls that one item may cost at most, acts and polls together.
const CALLS_PER_ITEM_MAX: u64 = 60;

/// What is true of the run that a process has left: it wrote `r.json` and ended so.
pub(crate) fn check(world: &World, done: &Done) {
    let counters = world.simulator.counters();
    let broken = invariants::check(&Scene {
        bench: &world.bench,
        done,
        report: "r.json",
        secret: CANARY,
        secret_is_in: &[],
        strangers: 0,
        acts: counters.posts as usize,
        polls: counters.gets as usize,
        calls_max: (world.items * CALLS_PER_ITEM_MAX) as usize,
        took: Duration::ZERO,
        time_max: PATIENCE,
    });
    assert!(broken.is_empty(), "{broken:#?}");
    // Those of a process that was killed may still be going when the next one begins.
    let at_once = counters.max_in_flight;
    assert!(at_once <= 2 * CONCURRENCY, "{at_once} calls at once");
    check_formulas(world);
}

/// Once more sends nothing and reports the same.
pub(crate) fn check_settled(world: &World, code: Option<i32>) {
    let mut broken = Vec::new();
    let go_on = |report: &str| world.go_on_into(report);
    let again = invariants::check_end(&world.bench, "r.json", go_on, || world.posts() as usize, &mut broken);
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(again.code, code, "once more: {}", again.stderr);
}

/// No cell begins as a formula does.
fn check_formulas(world: &World) {
    let mut csv = csv::Reader::from_path(world.path("r.csv")).expect("a report");
    for row in csv.records() {
        let row = row.expect("a row");
        let formula = row.iter().find(|cell| cell.starts_with(['=', '@', '\t']));
        assert_eq!(formula, None, "a cell begins as a formula does");
    }
}
