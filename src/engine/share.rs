//! What a process wants of what all runs of the tenant share: calls at once, and calls of the window.

#[cfg(doc)]
use super::Input;
use super::fact::Moment;
use super::state::Engine;
use super::{Ask, Wish};

impl Engine {
    /// What this process wants of what all runs of the tenant share, after its latest turn.
    pub fn wish(&mut self) -> Wish {
        let due = if self.leaving || self.ended.is_some() { 0 } else { self.due() };
        self.limiter.wish(self.now, due)
    }

    /// The reservation of that many calls; `None` without a limit. Its answer is the next [`Input::Granted`].
    pub fn ask(&mut self, at: Moment, calls: u32) -> Option<Ask> {
        self.limiter.ask(at, calls)
    }

    /// The account that a process gives when it ends; `None` when there is nothing to tell.
    pub fn settle(&mut self, at: Moment) -> Option<Ask> {
        self.limiter.settle(at)
    }

    /// See [`Input::Slots`].
    pub fn slots(&self) -> u16 {
        self.limiter.slots()
    }

    /// About how many calls are due that have not started; no more are counted than could start.
    fn due(&mut self) -> usize {
        let room = usize::from(self.limiter.room());
        let acts = match self.next_act() {
            Some((ready, _)) if ready <= self.now => self.batches_ready(),
            _ => 0,
        };
        let polls = if self.next_poll().is_some() { self.poller.count_due(self.now, room) } else { 0 };
        (acts + polls).min(room)
    }

    fn batches_ready(&self) -> usize {
        let full = self.batch_size().max(1);
        let lanes = self.lanes.iter().filter(|((step, _), _)| !self.is_held(*step));
        lanes.map(|(_, lane)| lane.len().div_ceil(full)).sum()
    }
}
