//! The calls that all processes of a seed share, by the machine's own clock, as the journal's budget keeps them: setting
//! the wall clock makes no call older.

use crate::engine::fact::Moment;
use crate::engine::{Ask, Granted};
use std::time::Duration;
use tokio::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// When calls were answered, or found to have been reserved by a process that is gone.
    spent: Vec<Instant>,
    /// What the process that works now has reserved and not accounted for.
    reserved: u32,
}

impl Budget {
    /// A process begins: whatever the one before had reserved may have been spent until now.
    pub(super) fn take_over(&mut self) {
        let reserved = std::mem::take(&mut self.reserved) as usize;
        self.spent.extend(std::iter::repeat_n(Instant::now(), reserved));
    }

    /// The moments from which calls age, on a clock that shows `now`, oldest first.
    pub(super) fn spent(&self, now: Moment) -> Vec<Moment> {
        let mut moments: Vec<Moment> =
            self.spent.iter().map(|spent| Moment(now.0.saturating_sub(milliseconds(spent.elapsed())))).collect();
        moments.sort_unstable();
        moments
    }

    pub(super) fn reserve(&mut self, ask: &Ask) -> Granted {
        let now = Instant::now();
        let ages = ask.answered.iter().map(|answered| Duration::from_millis(ask.at.0.saturating_sub(answered.0)));
        self.spent.extend(ages.map(|age| now.checked_sub(age).unwrap_or(now)));
        let window = Duration::from_millis(ask.window_ms);
        let counting: Vec<Instant> = self.spent.iter().copied().filter(|spent| spent.elapsed() <= window).collect();
        let counted = (counting.len() as u32).saturating_add(ask.open);
        let calls = ask.most.saturating_sub(counted).min(ask.calls);
        self.reserved = ask.open + calls;
        let oldest = counting.iter().min().copied().unwrap_or(now);
        let wait = window.saturating_sub(oldest.elapsed());
        Granted { calls, next: Moment(ask.at.0 + milliseconds(wait) + 1) }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
