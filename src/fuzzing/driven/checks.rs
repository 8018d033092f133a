//! What must hold of a driven run, whatever happened in it.

use super::{Made, World};
use crate::engine::fact::{BatchId, ItemId, Moment, Settled, What};
use crate::engine::{Engine, Progress};
use std::collections::HashMap;

impl World<'_> {
    pub(super) fn nothing_was_sent_twice(&self) {
        let mut sent: HashMap<ItemId, BatchId> = HashMap::new();
        for fact in &self.facts {
            match &fact.what {
                What::Submitting { batch, items, .. } => {
                    for item in items {
                        assert_eq!(sent.insert(*item, *batch), None, "item {} was sent twice", item.0);
                    }
                }
                What::Returned { batch, .. } => sent.retain(|_, in_batch| in_batch != batch),
                _ => {}
            }
        }
    }

    pub(super) fn every_success_was_said(&self) {
        for fact in &self.facts {
            if let What::Settled { item, outcome: Settled::Succeeded, of, .. } = &fact.what {
                let of = of.expect("a success was read from somewhere");
                assert!(self.said.contains(&(of, *item)), "nobody called item {} a success: {:#?}", item.0, self.facts);
            }
        }
    }

    /// However a server counts: no more calls may have been in any window, nor at once in one process.
    pub(super) fn no_window_held_more(&self) {
        let limits = &self.plan.header.limits;
        for (place, made) in self.made.iter().enumerate() {
            let together = |of: &&Made| of.process == made.process && of.end.is_none_or(|end| end > made.start);
            let at_once = 1 + self.made[..place].iter().filter(together).count();
            assert!(at_once <= usize::from(limits.concurrency), "{at_once} calls at once");
        }
        let Some(rate) = limits.requests else { return };
        let window = rate.window.as_millis() as u64;
        // Moments are rounded down: a call may have ended almost a millisecond later.
        let in_window = |of: &&Made, start: Moment| of.end.is_none_or(|end| end.0 + 1 + window > start.0);
        let kept = limits.keep_free.map_or(0, |kept| kept.calls);
        let most = rate.calls.saturating_sub(kept).max(1) as usize;
        for (place, made) in self.made.iter().enumerate() {
            let counted = 1 + self.made[..place].iter().filter(|of| in_window(of, made.start)).count();
            assert!(counted <= most, "{counted} calls in a window that holds {most}");
        }
    }
}

/// What can be asked of an engine and comes from facts; with the counts of calls when they were tallied.
pub(super) fn known(engine: &mut Engine, whole: bool) -> String {
    let live = engine.progress();
    let calls = if whole { (live.gets, live.throttled) } else { (0, 0) };
    let counts =
        Progress { in_flight: 0, calls_left: None, waits_until: None, gets: calls.0, throttled: calls.1, ..live };
    let unclear: Vec<(ItemId, Settled)> = engine.unclear().collect();
    let pending: Vec<ItemId> = engine.pending().collect();
    let batches: Vec<_> = (0..live.items as u32).map(|item| engine.batch_of(ItemId(item))).collect();
    let ends = (engine.is_complete(), engine.is_over(), engine.permitted());
    format!("{counts:?} {unclear:?} {pending:?} {:?} {batches:?} {ends:?}", engine.unanswered_acts())
}

/// The moments from which what earlier processes reserved ages: a block was spent before the next one was reserved, and
/// its last call took no longer than a call may; the last block may have been spent until now.
pub(super) fn spent_before(now: Moment, charges: &[(Moment, u32)]) -> Vec<Moment> {
    const CALL_MAX_MS: u64 = 120_000;
    let mut spent = Vec::new();
    for (place, (_, calls)) in charges.iter().enumerate() {
        let until = charges.get(place + 1).map_or(now, |(next, _)| Moment(next.0 + CALL_MAX_MS)).min(now);
        spent.extend(std::iter::repeat_n(until, *calls as usize));
    }
    spent
}
