//! How many calls may start, and when the next one may: rolling windows, concurrency, and the gate that a refusal
//! closes for everybody.
//!
//! It counts a call from its start until a whole window after its answer, which is the longest that any server could
//! count it: so no window of the server can hold more calls than ours. It knows no clock; every method is told the time.

use super::call::LimitHeaders;
use super::fact::Moment;
use crate::tenant::{Limits, Rate};
use std::collections::VecDeque;

/// The longest that anybody can make us wait, whatever a header says.
const GATE_MAX_MS: u64 = 3_600_000;
/// The first pause after a refusal or a failed connection; it doubles with each one in a row.
const BACKOFF_FIRST_MS: u64 = 1_000;
/// The longest of our own pauses.
const BACKOFF_MAX_MS: u64 = 600_000;
/// The longest window that a server may announce: a day. A longer one is taken for a day.
const TOLD_WINDOW_MAX_MS: u64 = 24 * 3_600_000;
/// The most calls of an announced window that are told apart; more are as good as no limit.
const TOLD_CALLS_MAX: u32 = 100_000;
/// Calls reserved at once in the durable budget: a twentieth of the window, within these bounds.
const RESERVE_MIN: u32 = 1;
const RESERVE_MAX: u32 = 500;

/// When a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Now.
    Now,
    /// Not before this moment.
    At(Moment),
    /// Not before a call in flight is answered.
    AfterReply,
}

/// The limiter of one run.
#[derive(Debug)]
pub struct Limiter {
    windows: Vec<Window>,
    keep_free: Option<Rate>,
    concurrency: u16,
    concurrency_told: Option<u16>,
    in_flight: u16,
    shut_until: Moment,
    strikes: u32,
    reserve_left: u32,
}

/// One rolling window. `spent` holds the moments from which counted calls age.
#[derive(Debug)]
struct Window {
    told: bool,
    calls: u32,
    length_ms: u64,
    spent: VecDeque<Moment>,
}

impl Limiter {
    /// A limiter for these limits, with `spent` calls (oldest first) that earlier processes made.
    pub fn new(limits: &Limits, spent: impl IntoIterator<Item = Moment>) -> Self {
        let mut windows = Vec::new();
        if let Some(rate) = limits.requests {
            let calls = rate.calls.saturating_sub(kept_of(limits.keep_free, length_ms(rate))).max(1);
            windows.push(Window { told: false, calls, length_ms: length_ms(rate), spent: spent.into_iter().collect() });
        }
        Self {
            windows,
            keep_free: limits.keep_free,
            concurrency: limits.concurrency.max(1),
            concurrency_told: None,
            in_flight: 0,
            shut_until: Moment(0),
            strikes: 0,
            reserve_left: 0,
        }
    }

    /// When the next call may start.
    pub fn opening(&mut self, now: Moment) -> Opening {
        let most = self.concurrency_told.map_or(self.concurrency, |told| told.min(self.concurrency)).max(1);
        // After a refusal one call at a time feels its way, until one is let through: a whole volley of them would be
        // refused together.
        if self.in_flight >= if self.strikes > 0 { 1 } else { most } {
            return Opening::AfterReply;
        }
        let mut at = self.shut_until;
        for window in &mut self.windows {
            window.forget(now);
            let counted = window.spent.len() + usize::from(self.in_flight);
            if counted < window.calls as usize {
                continue;
            }
            match window.spent.get(counted - window.calls as usize) {
                Some(oldest) => at = at.max(window.end_of(*oldest)),
                None => return Opening::AfterReply,
            }
        }
        if at <= now { Opening::Now } else { Opening::At(at) }
    }

    /// A call starts. Returns how many calls have to be reserved durably before it leaves: 0 while a reserve lasts.
    #[must_use = "the reserve has to be durable before the call leaves"]
    pub fn start(&mut self) -> u32 {
        self.in_flight += 1;
        let Some(window) = self.windows.iter().find(|window| !window.told) else { return 0 };
        if self.reserve_left > 0 {
            self.reserve_left -= 1;
            return 0;
        }
        let block = (window.calls / 20).clamp(RESERVE_MIN, RESERVE_MAX);
        self.reserve_left = block - 1;
        block
    }

    /// A call came back, whatever became of it.
    pub fn finish(&mut self, now: Moment, told: &LimitHeaders) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for window in &mut self.windows {
            window.spent.push_back(now);
        }
        self.learn(now, told);
    }

    /// A refusal or a failed connection: everybody waits, at least as long as was told, longer with each in a row. A
    /// call that fails while everybody waits had left before: it shows the same trouble, not one more.
    pub fn shut(&mut self, now: Moment, told: Option<std::time::Duration>, jitter: u64) {
        if self.shut_until(now).is_none() {
            self.strikes = self.strikes.saturating_add(1);
        }
        let backoff = backoff_ms(self.strikes);
        let told = told.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(GATE_MAX_MS));
        let wait = told.max(backoff).min(GATE_MAX_MS);
        let spread = jitter % (wait / 10).max(1);
        self.shut_until = self.shut_until.max(Moment(now.0 + wait + spread));
    }

    /// An answer that was no refusal: the next pause begins small again.
    pub fn cleared(&mut self) {
        self.strikes = 0;
    }

    /// Until when everybody waits, when that is later than `now`.
    pub fn shut_until(&self, now: Moment) -> Option<Moment> {
        (self.shut_until > now).then_some(self.shut_until)
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Calls that may still start in the tightest window, for show; `None` without a limit.
    pub fn left(&mut self, now: Moment) -> Option<u32> {
        let in_flight = u32::from(self.in_flight);
        self.windows
            .iter_mut()
            .map(|window| {
                window.forget(now);
                window.calls.saturating_sub(u32::try_from(window.spent.len()).unwrap_or(u32::MAX) + in_flight)
            })
            .min()
    }

    /// How long one call lasts at the limit: what it costs to send a call that could have waited.
    pub fn call_cost_ms(&self) -> u64 {
        self.windows.iter().map(|window| window.length_ms / u64::from(window.calls)).max().unwrap_or(0)
    }

    fn learn(&mut self, now: Moment, told: &LimitHeaders) {
        if let Some(limit) = told.concurrency.filter(|limit| *limit > 0) {
            self.concurrency_told = Some(limit);
        }
        if let (Some(limit), Some(length)) = (told.limit, told.window) {
            self.learn_window(limit, u64::try_from(length.as_millis()).unwrap_or(GATE_MAX_MS).max(1));
        }
        if let (Some(remaining), Some(index)) = (told.remaining, self.windows.iter().position(|window| window.told)) {
            self.learn_remaining(index, now, remaining);
        }
        if told.remaining == Some(0)
            && let Some(wait) = told.wait
        {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(GATE_MAX_MS).min(GATE_MAX_MS);
            self.shut_until = self.shut_until.max(Moment(now.0 + wait));
        }
    }

    /// The server announces a window: it holds beside the tenant's own.
    fn learn_window(&mut self, limit: u32, length_ms: u64) {
        let length_ms = length_ms.min(TOLD_WINDOW_MAX_MS);
        let calls = limit.saturating_sub(kept_of(self.keep_free, length_ms)).clamp(1, TOLD_CALLS_MAX);
        match self.windows.iter_mut().find(|window| window.told) {
            Some(window) => {
                window.calls = calls;
                window.length_ms = length_ms;
            }
            None => {
                let spent = self.windows.first().map(|window| window.spent.clone()).unwrap_or_default();
                self.windows.push(Window { told: true, calls, length_ms, spent });
            }
        }
    }

    /// Other users of the subscription spend its calls too, so what the server says is left is believed: what we
    /// thought we had beyond that counts as spent now.
    fn learn_remaining(&mut self, index: usize, now: Moment, remaining: u32) {
        let kept = kept_of(self.keep_free, self.windows[index].length_ms);
        let in_flight = u32::from(self.in_flight);
        let window = &mut self.windows[index];
        window.forget(now);
        let counted = u32::try_from(window.spent.len()).unwrap_or(u32::MAX).saturating_add(in_flight);
        let thought = window.calls.saturating_sub(counted);
        for _ in remaining.saturating_sub(kept)..thought {
            window.spent.push_back(now);
        }
    }
}

impl Window {
    fn forget(&mut self, now: Moment) {
        while self.spent.front().is_some_and(|spent| self.end_of(*spent) <= now) {
            self.spent.pop_front();
        }
    }

    /// When a call answered at that moment counts no more. Moments are whole milliseconds, rounded down: it may have
    /// been answered almost one later.
    fn end_of(&self, spent: Moment) -> Moment {
        Moment(spent.0.saturating_add(self.length_ms).saturating_add(1))
    }
}

/// Our own pause after so many refusals or failures in a row.
pub(super) fn backoff_ms(in_a_row: u32) -> u64 {
    BACKOFF_FIRST_MS.saturating_mul(1 << in_a_row.saturating_sub(1).min(20)).min(BACKOFF_MAX_MS)
}

fn length_ms(rate: Rate) -> u64 {
    u64::try_from(rate.window.as_millis()).unwrap_or(GATE_MAX_MS).max(1)
}

/// How many calls of a window of that length belong to others, rounded up.
fn kept_of(keep_free: Option<Rate>, window_ms: u64) -> u32 {
    keep_free.map_or(0, |rate| {
        u32::try_from(u64::from(rate.calls).saturating_mul(window_ms).div_ceil(length_ms(rate))).unwrap_or(u32::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits(calls: u32, window: u64, concurrency: u16) -> Limits {
        Limits {
            requests: Some(Rate { calls, window: Duration::from_millis(window) }),
            keep_free: None,
            concurrency,
            batch_size: 50,
            act_timeout: Duration::from_secs(120),
            poll_timeout: Duration::from_secs(20),
        }
    }

    #[test]
    fn a_window_never_holds_more_calls_than_allowed() {
        let mut limiter = Limiter::new(&limits(3, 1000, 8), []);
        let (mut now, mut answered) = (Moment(0), Vec::new());
        while answered.len() < 20 {
            match limiter.opening(now) {
                Opening::Now => {
                    let _ = limiter.start();
                    limiter.finish(now, &LimitHeaders::default());
                    answered.push(now.0);
                }
                Opening::At(at) => now = at,
                Opening::AfterReply => panic!("nothing is in flight"),
            }
        }
        assert!(answered.windows(4).all(|four| four[3] - four[0] > 1000), "{answered:?}");
        assert_eq!(answered[19], 6006);
    }

    #[test]
    fn a_call_in_flight_counts_until_a_window_after_its_answer() {
        let mut limiter = Limiter::new(&limits(1, 1000, 8), []);
        let _ = limiter.start();
        assert_eq!(limiter.opening(Moment(5000)), Opening::AfterReply);
        limiter.finish(Moment(5000), &LimitHeaders::default());
        assert_eq!(limiter.opening(Moment(5000)), Opening::At(Moment(6001)));
    }

    /// Answered at 5000.9 and started again at 6000.1, the server would count two calls in 999.2 ms.
    #[test]
    fn a_moment_that_was_rounded_down_ages_a_millisecond_longer() {
        let mut limiter = Limiter::new(&limits(1, 1000, 8), [Moment(5000)]);
        assert_eq!(limiter.opening(Moment(6000)), Opening::At(Moment(6001)));
        assert_eq!(limiter.opening(Moment(6001)), Opening::Now);
    }

    #[test]
    fn concurrency_is_the_smaller_of_ours_and_theirs() {
        let mut limiter = Limiter::new(&limits(100, 1000, 2), []);
        let _ = limiter.start();
        assert_eq!(limiter.opening(Moment(0)), Opening::Now);
        let _ = limiter.start();
        assert_eq!(limiter.opening(Moment(0)), Opening::AfterReply);
        limiter.finish(Moment(0), &LimitHeaders { concurrency: Some(1), ..LimitHeaders::default() });
        assert_eq!(limiter.opening(Moment(0)), Opening::AfterReply);
    }

    #[test]
    fn what_the_server_says_is_left_is_believed_and_some_is_kept_free() {
        let mut own = limits(100, 1000, 8);
        own.keep_free = Some(Rate { calls: 10, window: Duration::from_secs(1) });
        let mut limiter = Limiter::new(&own, []);
        assert_eq!(limiter.left(Moment(0)), Some(90));
        let _ = limiter.start();
        let told = LimitHeaders {
            limit: Some(50),
            window: Some(Duration::from_secs(2)),
            remaining: Some(25),
            ..LimitHeaders::default()
        };
        limiter.finish(Moment(0), &told);
        assert_eq!(limiter.left(Moment(0)), Some(5), "25 left, 20 of a two-second window kept free");
        assert_eq!(limiter.left(Moment(2000)), Some(5));
        assert_eq!(limiter.left(Moment(2001)), Some(30));
    }

    #[test]
    fn a_gate_waits_as_told_or_backs_off_and_never_longer_than_an_hour() {
        let mut limiter = Limiter::new(&limits(100, 1000, 8), []);
        limiter.shut(Moment(0), None, 0);
        assert_eq!(limiter.opening(Moment(0)), Opening::At(Moment(1000)));
        limiter.shut(Moment(1000), None, 0);
        assert_eq!(limiter.opening(Moment(1000)), Opening::At(Moment(3000)));
        limiter.shut(Moment(3000), Some(Duration::from_secs(30)), 0);
        assert_eq!(limiter.opening(Moment(3000)), Opening::At(Moment(33_000)));
        limiter.shut(Moment(33_000), Some(Duration::from_secs(90_000)), 0);
        assert_eq!(limiter.opening(Moment(33_000)), Opening::At(Moment(3_633_000)));
    }

    #[test]
    fn calls_that_fail_together_are_one_trouble() {
        let mut limiter = Limiter::new(&limits(100, 1000, 8), []);
        for _ in 0..8 {
            limiter.shut(Moment(10), None, 0);
        }
        assert_eq!(limiter.opening(Moment(10)), Opening::At(Moment(1010)));
        limiter.shut(Moment(20), Some(Duration::from_secs(5)), 0);
        assert_eq!(limiter.opening(Moment(20)), Opening::At(Moment(5020)), "what is told holds all the same");
        limiter.shut(Moment(5020), None, 0);
        assert_eq!(limiter.opening(Moment(5020)), Opening::At(Moment(7020)));
    }

    #[test]
    fn after_a_refusal_one_call_at_a_time_feels_its_way() {
        let mut limiter = Limiter::new(&limits(100, 1000, 8), []);
        limiter.shut(Moment(0), None, 0);
        assert_eq!(limiter.opening(Moment(1000)), Opening::Now);
        let _ = limiter.start();
        assert_eq!(limiter.opening(Moment(1000)), Opening::AfterReply);
        limiter.finish(Moment(1100), &LimitHeaders::default());
        limiter.cleared();
        let _ = limiter.start();
        assert_eq!(limiter.opening(Moment(1100)), Opening::Now);
    }

    /// Gateways that mean "no limit" announce huge ones, and a hostile one may announce anything.
    #[test]
    fn announced_limits_are_believed_within_bounds() {
        for (limit, window_s, remaining) in
            [(u32::MAX, 3600, 0), (50_000_000, 1, 0), (2, 10_000_000_000, 0), (1, u64::MAX / 1000, 0), (0, 0, 0)]
        {
            let mut limiter = Limiter::new(&limits(100, 1000, 8), []);
            let _ = limiter.start();
            let told = LimitHeaders {
                limit: Some(limit),
                window: Some(Duration::from_secs(window_s)),
                remaining: Some(remaining),
                ..LimitHeaders::default()
            };
            limiter.finish(Moment(1000), &told);
            let counted: usize = limiter.windows.iter().map(|window| window.spent.len()).sum();
            assert!(counted <= TOLD_CALLS_MAX as usize + 2, "{counted} moments for {limit} in {window_s} s");
            match limiter.opening(Moment(1000)) {
                Opening::At(at) => assert!(at.0 <= 1001 + TOLD_WINDOW_MAX_MS, "{limit} in {window_s} s: {at:?}"),
                other => panic!("nothing is left of {limit} in {window_s} s, and yet {other:?}"),
            }
        }
    }

    #[test]
    fn calls_of_earlier_processes_count() {
        let mut limiter = Limiter::new(&limits(2, 1000, 8), [Moment(100), Moment(400)]);
        assert_eq!(limiter.opening(Moment(500)), Opening::At(Moment(1101)));
    }

    #[test]
    fn calls_are_reserved_in_blocks_before_they_leave() {
        let mut limiter = Limiter::new(&limits(60, 1000, 100), []);
        let reserved: Vec<u32> = (0..7).map(|_| limiter.start()).collect();
        assert_eq!(reserved, [3, 0, 0, 3, 0, 0, 3]);
    }
}
