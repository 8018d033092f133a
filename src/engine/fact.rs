//! Facts: the things that happened in a run, in the past tense, as they stand in the journal.
//!
//! This is a promise to files on disk: fields are only ever added, with a default. The engine's own state is rebuilt
//! from facts and is never stored.

use crate::tenant::EventType;
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch on the run clock: wall time at the start plus monotonic time since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// Index of an item in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub u32);

/// Number of a call within its run, from 1. Acts and polls share the numbers; polls are not in the journal by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

/// Number of a batch within its run, from 1: the acts in the order in which their intents were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub u32);

/// One returned remediation id: its batch and its position in the answer, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RemediationRef {
    /// The batch whose answer named it.
    pub batch: BatchId,
    /// Position in [`What::Accepted`]`::ids`.
    pub index: u16,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When, on the run clock.
    pub at: Moment,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum What {
    /// The run began.
    Started,
    /// The run was taken up again by another process.
    Resumed {
        /// The operator, as far as known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Whether this process only polls: it looks once more at what was still open at its deadline.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        only_polls: bool,
    },
    /// The journal was last written on another machine, and an operator took it over.
    Adopted {
        /// Who, as far as known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        reason: String,
    },
    /// An earlier run carried these items out, or may have: this run does not send them.
    DoneBefore {
        /// The items.
        items: Vec<ItemId>,
        /// The earlier run's name.
        run: String,
        /// What became of them there.
        became: Before,
    },
    /// An operator permitted to send these items although an earlier run may have carried them out.
    Permitted {
        /// The items.
        items: Vec<ItemId>,
        /// Who, as far as known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        reason: String,
    },
    /// The intent: these items are about to be sent in one act.
    Submitting {
        /// The batch.
        batch: BatchId,
        /// Index of the step.
        step: u16,
        /// Their common kind.
        event_type: EventType,
        /// The items, in the order in which they are sent.
        items: Vec<ItemId>,
    },
    /// The API accepted the batch and named these remediations, in its order; unusable ids are kept as empty text.
    Accepted {
        /// The batch.
        batch: BatchId,
        /// The ids as they came.
        ids: Vec<String>,
    },
    /// The API refused the batch for what it is; nothing of it was carried out.
    Rejected {
        /// The batch.
        batch: BatchId,
        /// HTTP status.
        status: u16,
        /// The API's words, shortened.
        message: String,
    },
    /// The batch was surely not carried out; its items are pending again.
    Returned {
        /// The batch.
        batch: BatchId,
        /// Why.
        why: NotCarriedOut,
        /// What was seen, shortened.
        message: String,
    },
    /// The batch was sent and no readable answer came: its items are unknown and never sent again by themselves.
    Unanswered {
        /// The batch.
        batch: BatchId,
        /// What was seen, shortened.
        message: String,
        /// Whether our own process ended before an answer was recorded, rather than the API leaving it without one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// An item of this step became unknown: no further act of the step's action is sent until a person has looked.
    Held {
        /// Index of the step.
        step: u16,
    },
    /// All that held this step's action back was resolved.
    Released {
        /// Index of the step.
        step: u16,
    },
    /// A person let all actions go on although items are unknown.
    Continued {
        /// Who, as far as known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        reason: String,
    },
    /// A person found out what became of items. It stands beside their outcome and changes nothing of it.
    Resolved {
        /// The items; each was unknown, unmatched or timed out.
        items: Vec<ItemId>,
        /// What was found.
        finding: Finding,
        /// How, in the person's words; may be empty when a remediation proves it.
        note: String,
        /// Who, as far as known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The remediation whose detail proved it, by the id that the person gave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remediation: Option<String>,
        /// The API's status word of that remediation as it came, shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
    },
    /// A remediation was seen with a status word it did not have before, and is still open.
    Seen {
        /// The remediation.
        of: RemediationRef,
        /// The word, shortened.
        status: String,
    },
    /// A remediation's detail showed which item it belongs to.
    Paired {
        /// The remediation.
        of: RemediationRef,
        /// The item.
        item: ItemId,
        /// How it was shown.
        by: PairedBy,
    },
    /// An item reached its outcome.
    Settled {
        /// The item.
        item: ItemId,
        /// Its outcome.
        outcome: Settled,
        /// The remediation it was read from, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<RemediationRef>,
        /// How the two were tied together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<PairedBy>,
        /// The API's status word as it came, shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// The API's status message or our reason, shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// An earlier step did not succeed on this target: the items of its later steps will not be sent in this run.
    Barred {
        /// The target.
        target: u32,
        /// Index of the step that did not succeed.
        step: u16,
    },
    /// What this step waits for (`after`) cannot come true on these targets any more: its items there are skipped.
    Unmet {
        /// Index of the step.
        step: u16,
        /// The targets.
        targets: Vec<u32>,
    },
    /// A rule protects these items: they are not sent.
    Blocked {
        /// The items.
        items: Vec<ItemId>,
        /// The rule's name.
        rule: String,
    },
    /// The events of these items are older by now than their step allows: they are not sent.
    Expired {
        /// The items.
        items: Vec<ItemId>,
    },
    /// Somebody whom the playbook trusts approved the plan that this run carries out.
    Approved {
        /// Whose signature it is.
        by: String,
        /// The fingerprint of the key.
        key: String,
        /// When it was given, as it says itself: RFC 3339.
        given: String,
        /// Until when it holds, as it says itself: RFC 3339.
        expires: String,
    },
    /// The conditions for the next wave hold, and a person has to say yes.
    Awaiting {
        /// Number of the wave that waits, from 1.
        wave: u16,
    },
    /// The targets of the next wave were released.
    Promoted {
        /// Its number, from 1.
        wave: u16,
        /// The operator, as far as known, when a person opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Whether its conditions held, so that the reason was not needed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        held: bool,
    },
    /// No further act will be sent by this process.
    Stopping {
        /// Why.
        why: StopReason,
    },
    /// Calls that left no other trace.
    Tallied {
        /// Polls since the last such fact.
        gets: u32,
        /// Calls refused for a limit since the last such fact.
        throttled: u32,
    },
    /// This process ended its work on the run; `complete` when nothing is left to do.
    Ended {
        /// Whether every item has its final outcome.
        complete: bool,
    },
}

/// Why a batch was surely not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotCarriedOut {
    /// It never left this machine, or nothing took it.
    NotSent,
    /// Name lookup, certificate or proxy: trying again cannot help.
    NotSentForGood,
    /// A limit refused it.
    Throttled,
    /// The token was refused.
    Unauthorized,
    /// The API is not where the tenant says.
    WrongPlace,
}

/// The outcomes that an item can reach through [`What::Settled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// The API called it a success.
    Succeeded,
    /// The API called it a failure.
    Failed,
    /// The deadline passed and the API still calls it pending.
    StillQueued,
    /// The deadline passed without a status we know.
    TimedOut,
    /// It was sent, and nothing readable says what became of it.
    Unknown,
    /// It was accepted, and no id can be told to be its own.
    Unmatched,
}

/// What became of an item in an earlier run, as far as it keeps a later one from sending it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// The API called it a success, not longer ago than the window of the later run.
    Succeeded,
    /// A person found that it was carried out.
    CarriedOut,
    /// It was sent, and that run does not know yet what became of it.
    Open,
    /// The API still called it pending at the deadline.
    StillQueued,
    /// It had no status we know at the deadline.
    TimedOut,
    /// It was sent, and nothing readable says what became of it.
    Unknown,
    /// It was accepted, and no id can be told to be its own.
    Unmatched,
    /// A run that is going on has it in its plan.
    Planned,
}

impl Before {
    /// Whether it is done, so that later steps may build on it.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::CarriedOut)
    }
}

/// What a person found out about an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It was carried out; how it ended is not known, or not yet.
    CarriedOut,
    /// It was not carried out.
    NotCarriedOut,
    /// The detail of its remediation calls it a success.
    Succeeded,
    /// The detail of its remediation calls it a failure.
    Failed,
}

impl Finding {
    /// Whether it was carried out, as far as known well.
    pub fn is_well(self) -> bool {
        matches!(self, Self::CarriedOut | Self::Succeeded)
    }
}

/// How a remediation id was tied to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairedBy {
    /// The detail names the item's agent and unique id.
    AgentAndUniqueId,
    /// The detail names the item's agent, and no other item of the batch is on it.
    Agent,
    /// The detail names the item's unique id and no agent.
    UniqueId,
    /// It was the only id and the only item left.
    OnlyOneLeft,
    /// The candidates cannot be told apart and all ended alike.
    AllAlike,
}

/// Why no further act is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A signal, or the operator.
    Signal,
    /// The second signal: leave at once.
    SignalAgain,
    /// The API cannot be reached.
    Unreachable,
    /// The API is not where the tenant says.
    WrongPlace,
    /// Sign-in failed.
    SignIn,
    /// Several acts in a row were left without an answer.
    Unanswered,
    /// Acts of an action are held back: an item of it is unknown.
    Held,
    /// There were more failures than the failure budget takes.
    Budget,
    /// The next wave may not begin: too many failures, too late, or nobody said yes.
    Gate,
    /// `quell stop`.
    Operator,
    /// A stop file is there.
    StopFile,
    /// The address that has to say yes did not.
    GoUrl,
    /// The time in which the playbook may act is over.
    Window,
}
