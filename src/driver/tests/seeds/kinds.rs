//! The one table of everything that a seed can do to a run, and how often each was seen.
//!
//! A kind counts when it has really happened to a call, an answer or a process, not when it was merely chosen.

use crate::engine::Outcome;
use crate::engine::fact::{StopReason, What};
use crate::report::words::OUTCOMES;
use std::fmt;

macro_rules! kinds {
    ($($kind:ident: $words:literal,)+) => {
        /// See the module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind,)+
        }

        const KINDS: &[(Kind, &str)] = &[$((Kind::$kind, $words),)+];
    };
}

kinds! {
    NotSent: "the act never left this machine",
    NotSentForGood: "the certificate or a proxy refuses",
    ExecutedNoAnswer: "carried out, then no answer",
    ExecutedLate: "carried out after we had given up",
    NotExecutedNoAnswer: "taken, not carried out, no answer",
    ExecutedUnreadable: "carried out, the answer unreadable",
    NotExecutedUnreadable: "not carried out, the answer unreadable",
    ExecutedServerError: "carried out and answered with 5xx",
    NotExecutedServerError: "not carried out and answered with 5xx",
    Redirected: "the act is redirected",
    Conflict: "409 without a limit",
    FilterPage: "a filter's page instead of the answer",
    Rejected: "the batch is refused for what it is",
    ThrottledTold: "act throttled, the wait told",
    ThrottledUntold: "act throttled, no wait told",
    ThrottledFar: "act throttled, a wait beyond all measure",
    ConflictLimited: "409 that names a limit",
    Unauthorized: "act refused for its token",
    SignInFails: "two tokens refused in a row",
    WrongPlace: "no such path for acts",
    ActDies: "the task of an act dies",
    ArrivesAfterDeath: "an act of a dead process arrives later",
    Shuffled: "ids shuffled",
    TooFew: "fewer ids than items",
    TooMany: "more ids than items",
    Repeated: "an id twice",
    EmptyList: "no id at all",
    Unusable: "an id that cannot be used",
    Stranger: "an id of something else",
    AnotherItem: "a detail about another item",
    Wanders: "a detail that later is about another item",
    OtherAction: "a detail of another action",
    NoAgent: "details without agent",
    NoUnique: "details without unique id",
    NoNames: "details without both",
    ForeignTag: "a detail with a foreign tag",
    CutTag: "a detail with a cut tag",
    OddWord: "a status word with other case and blanks",
    UnlistedWord: "a status word that no list has",
    NoWord: "no status word",
    Flips: "a terminal word flips",
    NeverSettles: "a remediation never settles",
    NotFoundAWhile: "404 for a while",
    NotFoundForEver: "404 for ever",
    Gone: "410",
    PollFailed: "a poll fails",
    PollFailedTold: "a poll fails, the wait told",
    PollThrottledTold: "a poll is throttled, the wait told",
    PollThrottledUntold: "a poll is throttled, no wait told",
    PollNoAnswer: "a poll without answer",
    PollNoAnswerForGood: "a poll without hope of an answer",
    PollUnauthorized: "a poll refused for its token",
    PollDies: "the task of a poll dies",
    Outage: "the network is gone for a while",
    WindowTold: "headers tell a window",
    LittleRemains: "headers tell that others spent the calls",
    ConcurrencyTold: "headers tell how many at once",
    NonsenseTold: "headers tell nonsense",
    Killed: "killed at some moment",
    CrashBefore: "killed just before an append is durable",
    CrashAfter: "killed just after an append is durable",
    CrashInRecovery: "killed at the first append of a resume",
    CrashesInARow: "three processes killed in a row",
    StoreFailsBefore: "the store fails before an append is durable",
    StoreFailsAfter: "the store fails after an append is durable",
    ReadFails: "the store cannot be read for a call",
    Signal: "a signal",
    SignalAgain: "a second signal",
    Suspended: "suspended and continued",
    ClockBack: "the clock is set back between processes",
    ClockForward: "the clock is set years ahead between processes",
    Held: "an action is held back",
    Resolved: "a person resolves",
    Continued: "a person lets it go on",
    OnlyPolled: "a process that only polls",
    SettledLate: "an item settles after its deadline",
    LaterRun: "a later run over the same items",
    DoneBefore: "a later run leaves out what was or may have been done",
    BackToTheFirst: "the first run goes on after a later one",
    Permitted: "a repeat is permitted",
    WaveOpened: "a wave begins by itself",
    Asked: "a person is asked for a wave",
    Promoted: "a person lets a wave begin",
    GateShut: "a gate stays shut",
    OverBudget: "the failure budget is used up",
    Unmet: "a step waits in vain",
    Expired: "an event is too old",
    Protected: "a rule protects items",
}

/// How often each kind and each outcome was seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    kinds: [u64; KINDS.len()],
    outcomes: [u64; OUTCOMES.len()],
    /// Acts, polls, processes, runs, facts.
    pub(super) acts: u64,
    pub(super) polls: u64,
    pub(super) processes: u64,
    pub(super) runs: u64,
    pub(super) facts: u64,
}

impl Default for Seen {
    fn default() -> Self {
        let (acts, polls, processes, runs, facts) = (0, 0, 0, 0, 0);
        Self { kinds: [0; KINDS.len()], outcomes: [0; OUTCOMES.len()], acts, polls, processes, runs, facts }
    }
}

impl Kind {
    /// What a fact says of waves, budgets and rules.
    pub(super) fn of_release(what: &What) -> Option<Self> {
        match what {
            What::Promoted { by: None, .. } => Some(Self::WaveOpened),
            What::Promoted { .. } => Some(Self::Promoted),
            What::Awaiting { .. } => Some(Self::Asked),
            What::Stopping { why: StopReason::Gate } => Some(Self::GateShut),
            What::Stopping { why: StopReason::Budget } => Some(Self::OverBudget),
            What::Unmet { .. } => Some(Self::Unmet),
            What::Expired { .. } => Some(Self::Expired),
            What::Blocked { .. } => Some(Self::Protected),
            _ => None,
        }
    }
}

impl Seen {
    pub(super) fn note(&mut self, kind: Kind) {
        self.kinds[kind as usize] += 1;
    }

    pub(super) fn note_outcomes(&mut self, outcome: Outcome, count: u64) {
        self.outcomes[outcome as usize] += count;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.kinds.iter_mut().zip(other.kinds).for_each(|(sum, one)| *sum += one);
        self.outcomes.iter_mut().zip(other.outcomes).for_each(|(sum, one)| *sum += one);
        self.acts += other.acts;
        self.polls += other.polls;
        self.processes += other.processes;
        self.runs += other.runs;
        self.facts += other.facts;
    }

    /// Kinds and outcomes that never were.
    pub(super) fn never(&self) -> Vec<String> {
        let kinds =
            KINDS.iter().filter(|(kind, _)| self.kinds[*kind as usize] == 0).map(|(_, words)| (*words).to_owned());
        let outcomes = OUTCOMES.into_iter().filter(|outcome| self.outcomes[*outcome as usize] == 0);
        kinds.chain(outcomes.map(|outcome| format!("{outcome:?}"))).collect()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acts, polls, processes, runs, facts, .. } = self;
        writeln!(f, "{runs} runs, {processes} processes, {acts} acts, {polls} polls, {facts} facts")?;
        for (kind, words) in KINDS {
            writeln!(f, "{:>10}  {words}", self.kinds[*kind as usize])?;
        }
        for outcome in OUTCOMES {
            writeln!(f, "{:>10}  items {}", self.outcomes[outcome as usize], crate::report::words::outcome(outcome))?;
        }
        Ok(())
    }
}
