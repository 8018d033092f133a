//! When each open remediation is looked at next: the one that has been due longest comes first.
//!
//! Cadence is soft state: after a resume the choices may differ, the outcomes may not.

use super::fact::{BatchId, Moment, RemediationRef};
use crate::tenant::Polling;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The schedule of all open remediations.
#[derive(Debug)]
pub struct Poller {
    polling: Polling,
    due: BinaryHeap<Reverse<(Moment, RemediationRef)>>,
    watched: HashMap<RemediationRef, Watch>,
}

/// What is known of one open remediation.
#[derive(Debug, Clone)]
struct Watch {
    accepted: Moment,
    interval_ms: u64,
    /// When it is due; entries of the heap that say otherwise are stale. `None` while its poll is in flight.
    due: Option<Moment>,
    /// Fingerprint of the last status word and whether that word is a listed pending one.
    seen: Option<(u64, bool)>,
}

impl Poller {
    /// Nothing is open yet.
    pub fn new(polling: Polling) -> Self {
        Self { polling, due: BinaryHeap::new(), watched: HashMap::new() }
    }

    /// A remediation was accepted.
    pub fn watch(&mut self, of: RemediationRef, accepted: Moment) {
        let due = Moment(accepted.0 + ms(self.polling.first_after));
        let watch = Watch { accepted, interval_ms: ms(self.polling.interval), due: Some(due), seen: None };
        self.watched.insert(of, watch);
        self.due.push(Reverse((due, of)));
    }

    /// A remediation whose deadline has passed is looked at once more.
    pub fn watch_once(&mut self, of: RemediationRef, now: Moment) {
        let accepted = Moment(now.0.saturating_sub(ms(self.polling.deadline)));
        let watch = Watch { accepted, interval_ms: ms(self.polling.interval), due: Some(now), seen: None };
        self.watched.insert(of, watch);
        self.due.push(Reverse((now, of)));
    }

    /// A remediation needs no more polls.
    pub fn forget(&mut self, of: RemediationRef) {
        self.watched.remove(&of);
    }

    /// Whether a remediation is open.
    pub fn watches(&self, of: RemediationRef) -> bool {
        self.watched.contains_key(&of)
    }

    /// The remediation that has been due longest, and since when.
    pub fn longest_due(&mut self) -> Option<(Moment, RemediationRef)> {
        while let Some(Reverse((due, of))) = self.due.peek().copied() {
            if self.watched.get(&of).is_some_and(|watch| watch.due == Some(due)) {
                return Some((due, of));
            }
            self.due.pop();
        }
        None
    }

    /// How many remediations are due; no more than `most` are counted.
    pub fn count_due(&mut self, now: Moment, most: usize) -> usize {
        let mut due = Vec::new();
        while due.len() < most
            && let Some(next) = self.longest_due().filter(|(since, _)| *since <= now)
        {
            self.due.pop();
            due.push(next);
        }
        let count = due.len();
        self.due.extend(due.into_iter().map(Reverse));
        count
    }

    /// Its poll starts.
    pub fn start(&mut self, of: RemediationRef) {
        if let Some(watch) = self.watched.get_mut(&of) {
            watch.due = None;
        }
    }

    /// Its poll brought nothing for good: look again after a growing pause, at the deadline at the latest. A poll that
    /// began before the deadline and ended after it is followed by the last one at once.
    pub fn again_later(&mut self, of: RemediationRef, started: Moment, now: Moment, found: bool) {
        let Some(watch) = self.watched.get_mut(&of) else { return };
        let deadline = Moment(watch.accepted.0 + ms(self.polling.deadline));
        // An id that is not there yet is expected soon: for a while the pauses do not grow.
        let expected = !found && now.0 < watch.accepted.0.saturating_add(ms(self.polling.not_found_grace));
        let pause = watch.interval_ms;
        let mut due = Moment(now.0 + pause);
        if started < deadline {
            due = due.min(deadline.max(now));
        }
        if !expected {
            watch.interval_ms = (watch.interval_ms.saturating_mul(3) / 2).min(ms(self.polling.interval_max));
        }
        watch.due = Some(due);
        self.due.push(Reverse((due, of)));
    }

    /// Its poll did not count (a limit, the token): it is due as it was.
    pub fn again_now(&mut self, of: RemediationRef, now: Moment) {
        if let Some(watch) = self.watched.get_mut(&of) {
            watch.due = Some(now);
            self.due.push(Reverse((now, of)));
        }
    }

    /// Whether a poll that started then was the last one that this remediation gets, if it was answered.
    pub fn was_last(&self, of: RemediationRef, started: Moment) -> bool {
        self.watched
            .get(&of)
            .is_some_and(|watch| started.0 >= watch.accepted.0.saturating_add(ms(self.polling.deadline)))
    }

    /// Remembers the status word; true when it is a new one.
    pub fn see(&mut self, of: RemediationRef, word: u64, pending: bool) -> bool {
        let Some(watch) = self.watched.get_mut(&of) else { return false };
        let new = watch.seen != Some((word, pending));
        watch.seen = Some((word, pending));
        new
    }

    /// Whether the last word seen is a listed pending one.
    pub fn is_pending(&self, of: RemediationRef) -> bool {
        self.watched.get(&of).and_then(|watch| watch.seen).is_some_and(|(_, pending)| pending)
    }

    /// Forgets every remediation of a batch that is not in `still`.
    pub fn keep_only(&mut self, batch: BatchId, ids: u16, still: &[u16]) {
        for index in (0..ids).filter(|index| !still.contains(index)) {
            self.forget(RemediationRef { batch, index });
        }
    }
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ONE: RemediationRef = RemediationRef { batch: BatchId(1), index: 0 };
    const TWO: RemediationRef = RemediationRef { batch: BatchId(1), index: 1 };

    fn poller() -> Poller {
        Poller::new(Polling {
            first_after: Duration::from_secs(15),
            interval: Duration::from_secs(30),
            interval_max: Duration::from_secs(60),
            deadline: Duration::from_secs(200),
            not_found_grace: Duration::from_secs(100),
        })
    }

    #[test]
    fn pauses_grow_to_their_longest_and_end_at_the_deadline() {
        let mut poller = poller();
        poller.watch(ONE, Moment(0));
        let mut polled = Vec::new();
        while let Some((due, of)) = poller.longest_due() {
            polled.push(due.0 / 1000);
            poller.start(of);
            if poller.was_last(of, due) {
                poller.forget(of);
            } else {
                poller.again_later(of, due, due, true);
            }
        }
        assert_eq!(polled, [15, 45, 90, 150, 200]);
    }

    #[test]
    fn pauses_do_not_grow_while_an_id_is_expected_to_appear() {
        let mut poller = poller();
        poller.watch(ONE, Moment(0));
        let mut polled = Vec::new();
        while let Some((due, of)) = poller.longest_due().filter(|(due, _)| due.0 < 200_000) {
            polled.push(due.0 / 1000);
            poller.start(of);
            poller.again_later(of, due, due, false);
        }
        assert_eq!(polled, [15, 45, 75, 105, 135, 180]);
    }

    #[test]
    fn a_poll_across_the_deadline_is_followed_by_the_last_one_at_once() {
        let mut poller = poller();
        poller.watch(ONE, Moment(0));
        poller.start(ONE);
        assert!(!poller.was_last(ONE, Moment(199_000)));
        poller.again_later(ONE, Moment(199_000), Moment(203_000), true);
        assert_eq!(poller.longest_due(), Some((Moment(203_000), ONE)));
        assert!(poller.was_last(ONE, Moment(203_000)));
    }

    #[test]
    fn the_longest_due_comes_first_and_one_in_flight_does_not_come_twice() {
        let mut poller = poller();
        poller.watch(TWO, Moment(10));
        poller.watch(ONE, Moment(20));
        let (_, first) = poller.longest_due().expect("due");
        assert_eq!(first, TWO);
        poller.start(TWO);
        assert_eq!(poller.longest_due().map(|(_, of)| of), Some(ONE));
        poller.again_now(TWO, Moment(5));
        assert_eq!(poller.longest_due().map(|(_, of)| of), Some(TWO));
        poller.forget(TWO);
        assert_eq!(poller.longest_due().map(|(_, of)| of), Some(ONE));
        poller.forget(ONE);
        assert_eq!(poller.longest_due(), None);
    }

    #[test]
    fn what_is_due_is_counted_and_stays() {
        let mut poller = poller();
        poller.watch(TWO, Moment(10));
        poller.watch(ONE, Moment(20));
        let due = |n: u64| Moment(15_000 + n);
        assert_eq!([9, 10, 20].map(|n| poller.count_due(due(n), 8)), [0, 1, 2]);
        assert_eq!((poller.count_due(due(20), 1), poller.longest_due()), (1, Some((due(10), TWO))));
    }

    #[test]
    fn a_status_word_is_new_once() {
        let mut poller = poller();
        poller.watch(ONE, Moment(0));
        assert!(poller.see(ONE, 7, true));
        assert!(!poller.see(ONE, 7, true));
        assert!(poller.is_pending(ONE));
        assert!(poller.see(ONE, 8, false));
        assert!(!poller.is_pending(ONE));
    }
}
