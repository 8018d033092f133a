//! The run as a state machine without IO: [`Engine::turn`] takes the time and one input, and says which facts to
//! write down, which calls to start, and what to wait for.
//!
//! There is no clock, timer, random source or channel in here, and no string that is kept: only numbers.

pub mod call;
pub mod fact;
pub mod sent_or_not;

/// The final or present state of an item, as users name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The API called it a success.
    Succeeded,
    /// The API called it a failure.
    Failed,
    /// The API refused it; it was not carried out.
    Rejected,
    /// The deadline passed and the API still calls it pending.
    StillQueued,
    /// The deadline passed without a status we know.
    TimedOut,
    /// Accepted, or awaiting its answer, when the run stopped.
    Open,
    /// Sent, no readable answer.
    Unknown,
    /// Accepted, but no id can be told to be its own.
    Unmatched,
    /// Nothing to do, and why.
    Skipped,
    /// A rule forbade it.
    Blocked,
    /// The run stopped, or an earlier step did not succeed, before it.
    NotStarted,
}
