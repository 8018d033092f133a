//! One fault: a tenant, a relay that spoils its calls, the real binary between them, and what must come of it.
//!
//! After its own expectations every case is held against the invariants; then its fault is healed, the run is taken up
//! to its end, and everything is held once more. A fault that did not take place fails its case.

use crate::bench::{Bench, Going};
use crate::meeting::Met;
use crate::relay::{Deed, Exchange, Fault, Inject, Kind, Reach, Relay};
use quell::simulator::{Delay, Options};
use std::any::Any;
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;

/// What every token begins with, and what stands nowhere.
pub(crate) const CANARY: &str = "eyJhbGciOi.CANARY-4711";
const TOKEN: &str = "eyJhbGciOi.CANARY-4711.first";

/// Repeating it does no more harm than doing it once: acting goes on after an unknown item.
pub(crate) const QUARANTINE: &str = "quarantine-file";
/// It is not to be repeated: an unknown item holds it back.
pub(crate) const DELETE: &str = "delete-file";

/// Outcomes that there are, and how many items have them.
pub(crate) type Counts = &'static [(&'static str, u64)];

/// A fault, and what must come of it. By default six items on as many hosts go out in three acts, one after the other.
pub(crate) struct Case {
    pub(crate) row: u32,
    pub(crate) what: String,
    /// Whether it takes so long that it has to begin early.
    pub(crate) is_slow: bool,
    /// Whether nothing ends the fault, so that the run is not taken up after it.
    pub(crate) lasts: bool,
    pub(crate) action: &'static str,
    pub(crate) items: usize,
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    pub(crate) options: Options,
    pub(crate) edits: Vec<(&'static str, String)>,
    pub(crate) files: Vec<(&'static str, String)>,
    pub(crate) reach: Reach,
    pub(crate) url: Option<OfRelay<String>>,
    pub(crate) variables: Vec<(&'static str, OfRelay<String>)>,
    pub(crate) wrap: Option<Wrap>,
    pub(crate) beside: Option<OfRelay<Box<dyn Any>>>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) meanwhile: Option<fn(&mut Going, &Relay, &Bench)>,
    pub(crate) took_place: Option<fn(&Met<'_>) -> bool>,
    pub(crate) ends: Vec<Ending>,
    pub(crate) later: Option<Ending>,
    pub(crate) holds: Vec<(String, Judge)>,
    pub(crate) calls_max: usize,
}

/// What can only be known once the relay is there.
pub(crate) type OfRelay<T> = fn(&Relay) -> T;

/// Another command around the binary; whether the fault is over.
pub(crate) type Wrap = fn(&Bench, Command, bool) -> Command;

pub(crate) type Judge = Box<dyn Fn(&Met<'_>) -> bool + Send>;

/// How a run may end: with this code, these outcomes, and so many items carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) code: i32,
    pub(crate) counts: Counts,
    pub(crate) carried_out: u64,
}

/// A case that does nothing yet.
pub(crate) fn case(row: u32, what: impl Into<String>) -> Case {
    Case {
        row,
        what: what.into(),
        is_slow: false,
        lasts: false,
        action: QUARANTINE,
        items: 6,
        batch: 2,
        concurrency: 1,
        options: Options { settle: Delay::None, ..Options::default() },
        edits: Vec::new(),
        files: Vec::new(),
        reach: Reach::Plain,
        url: None,
        variables: vec![("QUELL_TOKEN", |_| TOKEN.to_owned())],
        wrap: None,
        beside: None,
        faults: Vec::new(),
        meanwhile: None,
        took_place: None,
        ends: Vec::new(),
        later: None,
        holds: Vec::new(),
        calls_max: 80,
    }
}

/// What a fault does to a call.
pub(crate) fn inject(inject: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Inject {
    Arc::new(inject)
}

/// The first act meets this and leaves its items unknown; acting goes on. `executes` says whether the fault has the
/// tenant carry the act out.
pub(crate) fn unknown(row: u32, what: &str, executes: bool, fault: &Inject) -> Case {
    case(row, format!("{what}, and acting goes on"))
        .acts(0..1, fault)
        .ends(5, &[("unknown", 2), ("succeeded", 4)], if executes { 6 } else { 4 })
        .holds("three acts", |met| met.relay.count(Kind::Act) == 3)
}

/// The same for an action that is not to be repeated: acting is held back, also when the run is taken up.
pub(crate) fn held(row: u32, what: &str, executes: bool, fault: &Inject) -> Case {
    let carried_out = if executes { 2 } else { 0 };
    case(row, format!("{what}, and acting is held back"))
        .action(DELETE)
        .acts(0..1, fault)
        .ends(5, &[("unknown", 2), ("not_started", 4)], carried_out)
        .later(5, &[("unknown", 2), ("not_started", 4)], carried_out)
        .holds("one act", |met| met.relay.count(Kind::Act) == 1)
}

/// One of the two, in turn: of many faults that are alike, each half meets the one kind of action.
pub(crate) fn unknown_or_held(turn: usize, row: u32, what: &str, executes: bool, fault: &Inject) -> Case {
    if turn.is_multiple_of(2) { unknown(row, what, executes, fault) } else { held(row, what, executes, fault) }
}

/// The first poll meets this, and it makes no difference: it is made again.
pub(crate) fn repeated(row: u32, what: &str, fault: &Inject) -> Case {
    case(row, what)
        .polls(0..1, fault)
        .ends(0, &[("succeeded", 6)], 6)
        .holds("it was made again", |met| met.relay.count(Kind::Poll) >= 7)
}

impl Case {
    pub(crate) fn action(self, action: &'static str) -> Self {
        Self { action, ..self }
    }

    pub(crate) fn items(self, items: usize, batch: usize) -> Self {
        Self { items, batch, ..self }
    }

    pub(crate) fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    pub(crate) fn tenant(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Changes the tenant file.
    pub(crate) fn edit(mut self, from: &'static str, to: impl Into<String>) -> Self {
        self.edits.push((from, to.into()));
        self
    }

    /// A file of this user alone, with this content.
    pub(crate) fn file(mut self, name: &'static str, content: String) -> Self {
        self.files.push((name, content));
        self
    }

    /// The time from acceptance to the last poll.
    pub(crate) fn deadline(self, deadline: &str) -> Self {
        self.edit("deadline: 20s", format!("deadline: {deadline}"))
    }

    /// The time in which acts and polls must be answered.
    pub(crate) fn hurried(self) -> Self {
        self.edit("act_timeout: 20s, poll_timeout: 20s", "act_timeout: 2s, poll_timeout: 2s")
    }

    pub(crate) fn reach(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The tenant's address, where it is not the relay's own.
    pub(crate) fn url(self, url: fn(&Relay) -> String) -> Self {
        Self { url: Some(url), ..self }
    }

    pub(crate) fn variable(mut self, name: &'static str, value: fn(&Relay) -> String) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn wrapped(self, wrap: Wrap) -> Self {
        Self { wrap: Some(wrap), ..self }
    }

    /// What has to be there while the binary works.
    pub(crate) fn beside(self, beside: fn(&Relay) -> Box<dyn Any>) -> Self {
        Self { beside: Some(beside), ..self }
    }

    pub(crate) fn acts(mut self, range: Range<usize>, fault: &Inject) -> Self {
        self.faults.push(Fault::Calls(Kind::Act, range, Arc::clone(fault)));
        self
    }

    pub(crate) fn polls(mut self, range: Range<usize>, fault: &Inject) -> Self {
        self.faults.push(Fault::Calls(Kind::Poll, range, Arc::clone(fault)));
        self
    }

    pub(crate) fn tunnels(mut self, range: Range<usize>, fault: &Inject) -> Self {
        self.faults.push(Fault::Calls(Kind::Tunnel, range, Arc::clone(fault)));
        self
    }

    pub(crate) fn connections(mut self, range: Range<usize>, deed: Deed) -> Self {
        self.faults.push(Fault::Connections(range, deed));
        self
    }

    /// What happens while the binary works.
    pub(crate) fn meanwhile(self, meanwhile: fn(&mut Going, &Relay, &Bench)) -> Self {
        Self { meanwhile: Some(meanwhile), ..self }
    }

    /// What shows that the fault took place, where the relay cannot count it.
    pub(crate) fn took_place(self, took_place: fn(&Met<'_>) -> bool) -> Self {
        Self { took_place: Some(took_place), ..self }
    }

    /// How it may end; said twice, either is right, and never, any is in which the invariants hold.
    pub(crate) fn ends(mut self, code: i32, counts: Counts, carried_out: u64) -> Self {
        self.ends.push(Ending { code, counts, carried_out });
        self
    }

    /// How it ends when it is taken up after the fault.
    pub(crate) fn later(self, code: i32, counts: Counts, carried_out: u64) -> Self {
        Self { later: Some(Ending { code, counts, carried_out }), ..self }
    }

    pub(crate) fn holds(mut self, what: &str, judge: impl Fn(&Met<'_>) -> bool + Send + 'static) -> Self {
        self.holds.push((what.to_owned(), Box::new(judge)));
        self
    }

    /// The most calls that it may cost, resumes included.
    pub(crate) fn calls_max(self, calls_max: usize) -> Self {
        Self { calls_max, ..self }
    }

    pub(crate) fn lasting(self) -> Self {
        Self { lasts: true, ..self }
    }

    pub(crate) fn slow(self) -> Self {
        Self { is_slow: true, ..self }
    }
}
