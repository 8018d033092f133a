//! The tenant's limits as a server counts them: so many calls in a window, so many at once.
//!
//! Pure: whoever asks brings the time, in nanoseconds since the simulator's start.

use super::options::{Options, ThrottleKind};
use crate::tenant::Rate;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Limiter {
    rate: Option<Counted>,
    concurrency: Option<u16>,
    refusals_cost: bool,
    running: u32,
}

/// What the limits said to a call, and how they stand after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) verdict: Verdict,
    pub(super) rate: Option<Rate>,
    pub(super) remaining: u32,
    pub(super) concurrency: Option<u16>,
    pub(super) running: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted,
    /// Too many calls; so long until one is let through.
    TooMany(Duration),
    /// Too many at once.
    Busy,
}

impl Limiter {
    pub(super) fn new(options: &Options) -> Self {
        let rate = options.requests.map(|rate| match options.throttle_kind {
            ThrottleKind::RollingWindow => Counted::Window { rate, calls: VecDeque::new() },
            ThrottleKind::TokenBucket => Counted::Bucket { rate, tokens: f64::from(rate.calls), at: 0 },
        });
        Self { rate, concurrency: options.concurrency, refusals_cost: options.refusals_cost, running: 0 }
    }

    /// A call asks to be let through. An admitted one must [`leave`](Self::leave) again.
    pub(super) fn ask(&mut self, now: u64) -> Standing {
        let busy = self.concurrency.is_some_and(|most| self.running >= u32::from(most));
        let wait = self.rate.as_mut().map_or(Duration::ZERO, |rate| rate.wait(now));
        let verdict = match (busy, wait) {
            (true, _) => Verdict::Busy,
            (false, Duration::ZERO) => Verdict::Admitted,
            (false, wait) => Verdict::TooMany(wait),
        };
        let admitted = verdict == Verdict::Admitted;
        if let Some(rate) = &mut self.rate
            && (admitted || self.refusals_cost)
        {
            rate.spend(now);
        }
        self.running += u32::from(admitted);
        // A refusal that cost something has moved the end of the wait.
        let verdict = match (verdict, &mut self.rate) {
            (Verdict::TooMany(_), Some(rate)) => Verdict::TooMany(rate.wait(now)),
            (other, _) => other,
        };
        Standing {
            verdict,
            rate: self.rate.as_ref().map(Counted::rate),
            remaining: self.rate.as_ref().map_or(0, Counted::remaining),
            concurrency: self.concurrency,
            running: self.running,
        }
    }

    pub(super) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

#[derive(Debug)]
enum Counted {
    /// When each call came that still counts.
    Window { rate: Rate, calls: VecDeque<u64> },
    /// How many tokens there were at that time.
    Bucket { rate: Rate, tokens: f64, at: u64 },
}

impl Counted {
    /// How long until one more call fits, after the time has been brought up to `now`.
    fn wait(&mut self, now: u64) -> Duration {
        match self {
            Self::Window { rate, calls } => {
                let window = nanos(rate.window);
                while calls.front().is_some_and(|&first| first.saturating_add(window) <= now) {
                    calls.pop_front();
                }
                // With costly refusals there may be more calls than fit: all but `rate.calls - 1` must go.
                let too_many = (calls.len() + 1).checked_sub(rate.calls as usize).filter(|&n| n > 0);
                let last_to_go = too_many.and_then(|n| calls.get(n - 1));
                last_to_go.map_or(Duration::ZERO, |&at| Duration::from_nanos(at.saturating_add(window) - now))
            }
            Self::Bucket { rate, tokens, at } => {
                let refill = f64::from(rate.calls) / nanos(rate.window).max(1) as f64;
                *tokens = (*tokens + (now - *at) as f64 * refill).min(f64::from(rate.calls));
                *at = now;
                // A millionth of a token is rounding, not a call that came too early.
                let missing = 1.0 - *tokens;
                if missing < 1e-6 { Duration::ZERO } else { Duration::from_nanos((missing / refill).ceil() as u64) }
            }
        }
    }

    fn spend(&mut self, now: u64) {
        match self {
            Self::Window { calls, .. } => calls.push_back(now),
            Self::Bucket { tokens, .. } => *tokens = (*tokens - 1.0).max(0.0),
        }
    }

    fn rate(&self) -> Rate {
        match self {
            Self::Window { rate, .. } | Self::Bucket { rate, .. } => *rate,
        }
    }

    fn remaining(&self) -> u32 {
        match self {
            Self::Window { rate, calls } => rate.calls.saturating_sub(u32::try_from(calls.len()).unwrap_or(u32::MAX)),
            Self::Bucket { tokens, .. } => (*tokens + 1e-6) as u32,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
