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
        // What our own limits keep back is not lacking because of others.
        if due == 0 || self.shut_until > now || self.windows_open(now).is_none_or(|at| at > now) {
            return none;
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
mod tests;
