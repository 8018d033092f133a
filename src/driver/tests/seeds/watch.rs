//! Watches that calls stay within what the tenant file states and what answers told, over all processes.
//!
//! A server may count a call at any moment between its start and its answer. So a call that starts may find, within the
//! window that ends with it, no more others that could still be counted than the limit allows.

use crate::tenant::{Limits, Rate};

/// See the module. All times are milliseconds of the world.
#[derive(Debug)]
pub(super) struct Watch {
    calls_max: Option<(usize, u64)>,
    concurrency: usize,
    /// How many calls may be in flight by the last answer that said so, since when, and by the one before.
    told_concurrency: (u64, Option<usize>, Option<usize>),
    spans: Vec<Span>,
    /// From when until when nothing may start.
    shut: (u64, u64),
}

#[derive(Debug)]
struct Span {
    call: u64,
    from: u64,
    /// `None` while it is in flight.
    until: Option<u64>,
}

impl Watch {
    pub(super) fn new(limits: &Limits) -> Self {
        let calls_max = limits.requests.map(|rate| {
            let kept = limits.keep_free.map_or(0, |kept| (u64::from(kept.calls) * ms(rate)).div_ceil(ms(kept)));
            (u64::from(rate.calls).saturating_sub(kept).max(1) as usize, ms(rate))
        });
        let concurrency = usize::from(limits.concurrency);
        Self { calls_max, concurrency, told_concurrency: (0, None, None), spans: Vec::new(), shut: (0, 0) }
    }

    /// A process begins: what the last one was told is gone with it.
    pub(super) fn process(&mut self) {
        self.told_concurrency = (0, None, None);
        self.shut = (0, 0);
    }

    /// A call starts; what is wrong with that.
    pub(super) fn start(&mut self, now: u64, call: u64) -> Option<String> {
        let wrong = self.judge(now);
        self.spans.push(Span { call, from: now, until: None });
        wrong
    }

    fn judge(&mut self, now: u64) -> Option<String> {
        // What starts in the very millisecond in which an answer comes may have been decided on before it came.
        let (told_at, until) = self.shut;
        if told_at < now && now < until {
            return Some(format!("a call starts {} ms before the wait that was told is over", until - now));
        }
        let in_flight = self.spans.iter().filter(|span| span.until.is_none()).count();
        let (told_at, told, before) = self.told_concurrency;
        let told = if told_at < now { told } else { before.max(told) };
        let most = told.map_or(self.concurrency, |told| told.min(self.concurrency));
        if in_flight >= most {
            return Some(format!("a call starts while {in_flight} are in flight, at most {most} may be"));
        }
        let (most, window) = self.calls_max?;
        self.spans.retain(|span| span.until.is_none_or(|until| until + window > now));
        let counted = self.spans.len();
        (counted >= most).then(|| format!("a call starts while {counted} count in its window, at most {most} may"))
    }

    /// A call was answered, or its process died.
    pub(super) fn end(&mut self, now: u64, call: u64) {
        if let Some(span) = self.spans.iter_mut().find(|span| span.call == call) {
            span.until.get_or_insert(now);
            debug_assert!(span.from <= now);
        }
        if self.calls_max.is_none() {
            self.spans.retain(|span| span.until.is_none());
        }
    }

    /// An answer told everybody to wait.
    pub(super) fn told_to_wait(&mut self, now: u64, wait: u64) {
        let until = now + wait.min(3_600_000);
        if until > self.shut.1 {
            let told_at = if self.shut.1 > now { self.shut.0 } else { now };
            self.shut = (told_at, until);
        }
    }

    /// An answer told how many calls may be in flight.
    pub(super) fn told_concurrency(&mut self, now: u64, most: u16) {
        let (told_at, told, before) = self.told_concurrency;
        let before = if told_at < now { told.or(Some(self.concurrency)) } else { before };
        self.told_concurrency = (now, Some(usize::from(most)), before);
    }
}

fn ms(rate: Rate) -> u64 {
    rate.window.as_millis() as u64
}
