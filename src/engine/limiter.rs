//! How many calls may start, and when the next one may: rolling windows, concurrency, and the gate that a refusal
//! closes for everybody.
//!
//! It counts a call from its start until a whole window after its answer, which is the longest that any server could
//! count it: so no window of the server can hold more calls than ours. What it shares with other runs of the tenant it
//! is granted from outside: calls of the window by reservation, calls at once by slots. Both are soft state, and it
//! starts with none. It knows no clock; every method is told the time.

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
/// More calls than are due are reserved for no longer than this at the full rate: what is reserved is kept from others.
const RESERVE_AHEAD_MS: u64 = 100;

/// When a call may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Now.
    Now,
    /// Not before this moment.
    At(Moment),
    /// Not before a call in flight is answered.
    AfterReply,
    /// As soon as one more slot is ours, or a call is reserved.
    AfterGrant,
}

/// What is wanted of what all runs of the tenant share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Calls in flight: as many slots are in use.
    pub in_flight: u16,
    /// Slots that could be put to use now, those in use included.
    pub slots: u16,
    /// How many there are.
    pub most: u16,
    /// Calls to reserve before another one may start; 0: none.
    pub calls: u32,
    /// A call is due and cannot start for lack of what is shared.
    pub lacks: bool,
}

/// A reservation to be made, with the account of what became of the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The moment of asking, on the run's clock.
    pub at: Moment,
    /// Calls wanted; 0: only the account is given.
    pub calls: u32,
    /// Calls that the window holds at most, over all runs.
    pub most: u32,
    /// The window's length.
    pub window_ms: u64,
    /// When calls were answered since the last account, oldest first.
    pub answered: Vec<Moment>,
    /// Calls that were reserved before and are not answered, or not started.
    pub open: u32,
}

/// What was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// So many calls; 0 to as many as were asked for.
    pub calls: u32,
    /// When it is worth to ask again, if none was granted.
    pub next: Moment,
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
    /// Calls that may be in flight in this process, of those that all runs together may have.
    slots: u16,
    /// Calls that are reserved and not started.
    reserved: u32,
    /// Not before then is it worth to ask for more.
    ask_from: Moment,
    /// When calls were answered that the account does not know of.
    answered: Vec<Moment>,
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
            slots: 0,
            reserved: 0,
            ask_from: Moment(0),
            answered: Vec::new(),
        }
    }

    /// When the next call may start.
    pub fn opening(&mut self, now: Moment) -> Opening {
        if self.in_flight >= self.most_at_once() {
            return Opening::AfterReply;
        }
        let at = match self.windows_open(now) {
            Some(at) => at.max(self.shut_until),
            None => return Opening::AfterReply,
        };
        let unreserved = self.reserved == 0 && self.shares_window();
        match () {
            () if at > now => Opening::At(at),
            () if self.in_flight >= self.slots => Opening::AfterGrant,
            () if unreserved && self.ask_from > now => Opening::At(self.ask_from),
            () if unreserved => Opening::AfterGrant,
            () => Opening::Now,
        }
    }

    /// How many more calls could be in flight, slots apart.
    pub fn room(&self) -> u16 {
        self.most_at_once().saturating_sub(self.in_flight)
    }

    /// What is wanted when so many calls are due that have not started.
    pub fn wish(&mut self, now: Moment, due: usize) -> Wish {
        let due = u16::try_from(due).unwrap_or(u16::MAX).min(self.room());
        let most = self.concurrency();
        let none = Wish { in_flight: self.in_flight, slots: self.in_flight, most, calls: 0, lacks: false };
        if due == 0 || self.shut_until > now {
            return none;
        }
        if self.windows_open(now).is_none_or(|at| at > now) {
            return Wish { lacks: true, ..none };
        }
        let slots = self.in_flight + due;
        let unreserved = self.reserved == 0 && self.shares_window();
        let asks = unreserved && self.ask_from <= now && self.slots > self.in_flight;
        let calls = if asks { self.block(u32::from(due)) } else { 0 };
        Wish { slots, calls, lacks: unreserved || self.slots <= self.in_flight, ..none }
    }

    /// The reservation of so many calls; `None` when no window is shared. It has to be answered before the next one.
    pub fn ask(&mut self, at: Moment, calls: u32) -> Option<Ask> {
        let window = self.windows.iter().find(|window| !window.told)?;
        let open = u32::from(self.in_flight) + self.reserved;
        let answered = std::mem::take(&mut self.answered);
        Some(Ask { at, calls, most: window.calls, window_ms: window.length_ms, answered, open })
    }

    /// The account at the end of a process: what is reserved and was not started is given back.
    pub fn settle(&mut self, at: Moment) -> Option<Ask> {
        let left = std::mem::take(&mut self.reserved);
        let ask = self.ask(at, 0)?;
        (left > 0 || !ask.answered.is_empty()).then_some(ask)
    }

    /// The answer to an ask.
    pub fn grant(&mut self, now: Moment, granted: Granted) {
        self.reserved += granted.calls;
        if granted.calls == 0 {
            self.ask_from = granted.next.max(Moment(now.0 + 1));
        }
    }

    /// How many calls this process may have in flight from now on; those that are in flight go on.
    pub fn share(&mut self, slots: u16) {
        self.slots = slots;
    }

    /// See [`Limiter::share`].
    pub fn slots(&self) -> u16 {
        self.slots
    }

    /// A call starts.
    pub fn start(&mut self) {
        self.in_flight += 1;
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// A call came back, whatever became of it.
    pub fn finish(&mut self, now: Moment, told: &LimitHeaders) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for window in &mut self.windows {
            window.spent.push_back(now);
        }
        if self.shares_window() {
            self.answered.push(now);
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

    /// Whether there is a window that all runs of the tenant share: a told one is everybody's own business.
    fn shares_window(&self) -> bool {
        self.windows.iter().any(|window| !window.told)
    }

    /// After a refusal one call at a time feels its way, until one is let through: a whole volley of them would be
    /// refused together.
    fn most_at_once(&self) -> u16 {
        if self.strikes > 0 { 1 } else { self.concurrency() }
    }

    /// The smaller of ours and theirs.
    fn concurrency(&self) -> u16 {
        self.concurrency_told.map_or(self.concurrency, |told| told.min(self.concurrency)).max(1)
    }

    /// When the windows let the next call start, the past included; `None`: not before a call in flight is answered.
    fn windows_open(&mut self, now: Moment) -> Option<Moment> {
        let mut at = Moment(0);
        for window in &mut self.windows {
            window.forget(now);
            let counted = window.spent.len() + usize::from(self.in_flight);
            if counted >= window.calls as usize {
                let oldest = window.spent.get(counted - window.calls as usize)?;
                at = at.max(window.end_of(*oldest));
            }
        }
        Some(at)
    }

    /// How many calls to reserve when so many are due.
    fn block(&self, due: u32) -> u32 {
        let Some(window) = self.windows.iter().find(|window| !window.told) else { return 0 };
        let ahead = u64::from(window.calls) * RESERVE_AHEAD_MS / window.length_ms;
        let wanted = due.max(u32::try_from(ahead).unwrap_or(RESERVE_MAX));
        wanted.min((window.calls / 20).clamp(RESERVE_MIN, RESERVE_MAX))
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

    /// A limiter that nobody shares with: it has all slots, and whatever it reserves is granted.
    fn alone(limits: &Limits, spent: impl IntoIterator<Item = Moment>) -> Limiter {
        let mut limiter = Limiter::new(limits, spent);
        limiter.share(u16::MAX);
        limiter.grant(Moment(0), Granted { calls: u32::MAX, next: Moment(0) });
        limiter
    }

    #[test]
    fn a_window_never_holds_more_calls_than_allowed() {
        let mut limiter = alone(&limits(3, 1000, 8), []);
        let (mut now, mut answered) = (Moment(0), Vec::new());
        while answered.len() < 20 {
            match limiter.opening(now) {
                Opening::Now => {
                    limiter.start();
                    limiter.finish(now, &LimitHeaders::default());
                    answered.push(now.0);
                }
                Opening::At(at) => now = at,
                other => panic!("nothing is in flight, and yet {other:?}"),
            }
        }
        assert!(answered.windows(4).all(|four| four[3] - four[0] > 1000), "{answered:?}");
        assert_eq!(answered[19], 6006);
    }

    #[test]
    fn a_call_in_flight_counts_until_a_window_after_its_answer() {
        let mut limiter = alone(&limits(1, 1000, 8), []);
        limiter.start();
        assert_eq!(limiter.opening(Moment(5000)), Opening::AfterReply);
        limiter.finish(Moment(5000), &LimitHeaders::default());
        assert_eq!(limiter.opening(Moment(5000)), Opening::At(Moment(6001)));
    }

    /// Answered at 5000.9 and started again at 6000.1, the server would count two calls in 999.2 ms.
    #[test]
    fn a_moment_that_was_rounded_down_ages_a_millisecond_longer() {
        let mut limiter = alone(&limits(1, 1000, 8), [Moment(5000)]);
        assert_eq!(limiter.opening(Moment(6000)), Opening::At(Moment(6001)));
        assert_eq!(limiter.opening(Moment(6001)), Opening::Now);
    }

    #[test]
    fn concurrency_is_the_smaller_of_ours_and_theirs() {
        let mut limiter = alone(&limits(100, 1000, 2), []);
        limiter.start();
        assert_eq!(limiter.opening(Moment(0)), Opening::Now);
        limiter.start();
        assert_eq!(limiter.opening(Moment(0)), Opening::AfterReply);
        limiter.finish(Moment(0), &LimitHeaders { concurrency: Some(1), ..LimitHeaders::default() });
        assert_eq!(limiter.opening(Moment(0)), Opening::AfterReply);
    }

    #[test]
    fn what_the_server_says_is_left_is_believed_and_some_is_kept_free() {
        let mut own = limits(100, 1000, 8);
        own.keep_free = Some(Rate { calls: 10, window: Duration::from_secs(1) });
        let mut limiter = alone(&own, []);
        assert_eq!(limiter.left(Moment(0)), Some(90));
        limiter.start();
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
        let mut limiter = alone(&limits(100, 1000, 8), []);
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
        let mut limiter = alone(&limits(100, 1000, 8), []);
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
        let mut limiter = alone(&limits(100, 1000, 8), []);
        limiter.shut(Moment(0), None, 0);
        assert_eq!(limiter.opening(Moment(1000)), Opening::Now);
        limiter.start();
        assert_eq!(limiter.opening(Moment(1000)), Opening::AfterReply);
        limiter.finish(Moment(1100), &LimitHeaders::default());
        limiter.cleared();
        limiter.start();
        assert_eq!(limiter.opening(Moment(1100)), Opening::Now);
    }

    /// Gateways that mean "no limit" announce huge ones, and a hostile one may announce anything.
    #[test]
    fn announced_limits_are_believed_within_bounds() {
        for (limit, window_s, remaining) in
            [(u32::MAX, 3600, 0), (50_000_000, 1, 0), (2, 10_000_000_000, 0), (1, u64::MAX / 1000, 0), (0, 0, 0)]
        {
            let mut limiter = alone(&limits(100, 1000, 8), []);
            limiter.start();
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
        let mut limiter = alone(&limits(2, 1000, 8), [Moment(100), Moment(400)]);
        assert_eq!(limiter.opening(Moment(500)), Opening::At(Moment(1101)));
    }

    #[test]
    fn a_call_starts_with_a_slot_and_a_reservation_and_not_before() {
        let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
        assert_eq!(limiter.opening(Moment(0)), Opening::AfterGrant);
        let wish = limiter.wish(Moment(0), 9);
        assert_eq!(wish, Wish { in_flight: 0, slots: 4, most: 4, calls: 0, lacks: true }, "slots come first");
        limiter.share(2);
        assert_eq!((limiter.wish(Moment(0), 9).calls, limiter.opening(Moment(0))), (3, Opening::AfterGrant));
        let ask = limiter.ask(Moment(0), 3).expect("a window is shared");
        assert_eq!((ask.most, ask.window_ms, ask.answered.len(), ask.open), (60, 1000, 0, 0));
        limiter.grant(Moment(0), Granted { calls: 2, next: Moment(0) });
        assert_eq!((limiter.opening(Moment(0)), limiter.wish(Moment(0), 1).lacks), (Opening::Now, false));
        limiter.start();
        limiter.start();
        assert_eq!(limiter.opening(Moment(0)), Opening::AfterGrant, "two slots are in use");
        limiter.finish(Moment(7), &LimitHeaders::default());
        let ask = limiter.ask(Moment(8), 1).expect("a window is shared");
        assert_eq!((ask.answered, ask.open), (vec![Moment(7)], 1));
    }

    #[test]
    fn what_is_not_granted_is_asked_for_again_at_the_time_that_was_told() {
        let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
        limiter.share(4);
        limiter.grant(Moment(10), Granted { calls: 0, next: Moment(500) });
        assert_eq!(limiter.opening(Moment(10)), Opening::At(Moment(500)));
        assert_eq!((limiter.wish(Moment(10), 1).calls, limiter.wish(Moment(10), 1).lacks), (0, true));
        assert_eq!((limiter.wish(Moment(500), 1).calls, limiter.opening(Moment(500))), (3, Opening::AfterGrant));
        // Whoever is told a moment that has passed does not ask without end.
        limiter.grant(Moment(500), Granted { calls: 0, next: Moment(400) });
        assert_eq!(limiter.opening(Moment(500)), Opening::At(Moment(501)));
    }

    #[test]
    fn no_more_is_reserved_than_is_due_or_would_be_spent_in_a_moment() {
        let block = |calls, window, due| alone(&limits(calls, window, 8), []).block(due);
        assert_eq!([block(60, 1000, 1), block(60, 1000, 2), block(60, 1000, 8)], [3, 3, 3]);
        assert_eq!([block(300, 3_600_000, 1), block(300, 3_600_000, 8), block(300, 3_600_000, 40)], [1, 8, 15]);
        assert_eq!([block(5, 1000, 1), block(5, 1000, 8), block(50_000, 1000, 1)], [1, 1, 500]);
    }

    #[test]
    fn a_process_that_ends_gives_back_what_it_did_not_start() {
        let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
        assert_eq!(limiter.settle(Moment(0)), None, "there is nothing to tell");
        limiter.share(4);
        limiter.grant(Moment(0), Granted { calls: 3, next: Moment(0) });
        limiter.start();
        let ask = limiter.settle(Moment(5)).expect("two calls are given back");
        assert_eq!((ask.calls, ask.open), (0, 1));
        let unlimited = Limits { requests: None, ..limits(1, 1, 4) };
        assert_eq!(Limiter::new(&unlimited, []).settle(Moment(0)), None);
    }

    #[test]
    fn nothing_shared_is_wanted_while_everybody_has_to_wait() {
        let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
        limiter.shut(Moment(0), None, 0);
        let none = Wish { in_flight: 0, slots: 0, most: 4, calls: 0, lacks: false };
        assert_eq!(limiter.wish(Moment(0), 4), none);
        assert_eq!(limiter.wish(Moment(1000), 4), Wish { slots: 1, lacks: true, ..none }, "one feels its way");
        let mut full = Limiter::new(&limits(1, 1000, 4), [Moment(0)]);
        assert_eq!(full.wish(Moment(0), 4), Wish { lacks: true, ..none });
    }
}
