//! What a journal that fits its plan never says.

/// A fact that cannot be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fact {fact} of the run {what}; the journal does not fit the plan")]
pub struct FoldError {
    /// The fact's number, from 1; 0 for the plan itself.
    pub fact: u64,
    /// What is wrong with it.
    pub what: Oddity,
}

/// See [`FoldError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Oddity {
    #[error("names item {0}, which the plan does not have")]
    Item(u32),
    #[error("names step {0}, which the plan does not have")]
    Step(u16),
    #[error("names target {0}, which the plan does not have")]
    Target(u32),
    #[error("names batch {0}, which was never sent")]
    Batch(u32),
    #[error("names id {index} of batch {batch}, which the answer does not have")]
    Remediation { batch: u32, index: u16 },
    #[error("sends batch {0} again")]
    BatchAgain(u32),
    #[error("sends item {item} again, which batch {batch} may have carried out")]
    ItemAgain { item: u32, batch: u32 },
    #[error("answers batch {0} again")]
    AnswerAgain(u32),
    #[error("settles item {0}, which was not sent")]
    NeverSent(u32),
    #[error("says that item {0}, which was sent, was not sent after all")]
    SentAndLeftOut(u32),
    #[error("settles item {0} after a person has resolved it")]
    SettledAfterFinding(u32),
    #[error("resolves item {0}, which is neither unknown nor unmatched nor timed out")]
    NotUnclear(u32),
}
