//! The words, numbers, times and durations that every format shares, so that no two reports name a thing differently.
//!
//! It formats; it knows nothing of items and escapes nothing: see [`super::inert`].

use crate::engine::Outcome;
use crate::engine::fact::{Before, Finding, Moment, NotCarriedOut, PairedBy, StopReason};
use crate::tenant::show_duration;
use std::time::Duration;

/// All outcomes, in the order in which reports count them.
pub const OUTCOMES: [Outcome; 11] = [
    Outcome::Succeeded,
    Outcome::Failed,
    Outcome::Rejected,
    Outcome::StillQueued,
    Outcome::TimedOut,
    Outcome::Open,
    Outcome::Unknown,
    Outcome::Unmatched,
    Outcome::Skipped,
    Outcome::Blocked,
    Outcome::NotStarted,
];

/// The outcomes that a person must look at, the most urgent first.
pub const NEEDS_PERSON: [Outcome; 5] =
    [Outcome::Unknown, Outcome::Unmatched, Outcome::TimedOut, Outcome::Rejected, Outcome::Failed];

/// The outcome's word as users write it: `still_queued`.
pub fn outcome(of: Outcome) -> &'static str {
    match of {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Rejected => "rejected",
        Outcome::StillQueued => "still_queued",
        Outcome::TimedOut => "timed_out",
        Outcome::Open => "open",
        Outcome::Unknown => "unknown",
        Outcome::Unmatched => "unmatched",
        Outcome::Skipped => "skipped",
        Outcome::Blocked => "blocked",
        Outcome::NotStarted => "not_started",
    }
}

/// Whether somebody must look at such an item: time and `resume` alone will not mend it.
pub fn needs_person(of: Outcome) -> bool {
    NEEDS_PERSON.contains(&of)
}

/// How the items of an outcome stand, for colours: always shown together with the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Done.
    Good,
    /// Not done, or not for certain.
    Bad,
    /// Not finished, or nothing to do.
    Neutral,
}

pub(super) fn tone(of: Outcome) -> Tone {
    match of {
        Outcome::Succeeded => Tone::Good,
        Outcome::Skipped | Outcome::Open | Outcome::StillQueued | Outcome::NotStarted => Tone::Neutral,
        Outcome::Blocked => Tone::Bad,
        of if needs_person(of) => Tone::Bad,
        _ => Tone::Neutral,
    }
}

/// How an id was tied to an item, as the JSON report writes it.
pub(super) fn paired_by(by: PairedBy) -> &'static str {
    match by {
        PairedBy::AgentAndUniqueId => "agent_and_unique_id",
        PairedBy::Agent => "agent",
        PairedBy::UniqueId => "unique_id",
        PairedBy::OnlyOneLeft => "only_one_left",
        PairedBy::AllAlike => "all_alike",
    }
}

/// What became of an item in an earlier run, for the middle of a sentence.
pub(super) fn before(became: Before) -> &'static str {
    match became {
        Before::Succeeded => "succeeded in",
        Before::CarriedOut => "was found to be carried out by",
        Before::Open => "was sent and is still open in",
        Before::StillQueued => "is still queued in",
        Before::TimedOut => "timed out in",
        Before::Unknown => "is unknown in",
        Before::Unmatched => "is unmatched in",
        Before::Planned => "is in the plan of the running",
    }
}

/// What a person found, as the JSON report writes it.
pub fn finding(of: Finding) -> &'static str {
    match of {
        Finding::CarriedOut => "carried_out",
        Finding::NotCarriedOut => "not_carried_out",
        Finding::Succeeded => "succeeded",
        Finding::Failed => "failed",
    }
}

/// Why no further act was sent, for the middle of a sentence.
pub(super) fn stop_reason(why: StopReason) -> &'static str {
    match why {
        StopReason::Signal => "it was asked to stop",
        StopReason::SignalAgain => "it was told to stop at once",
        StopReason::Unreachable => "the API cannot be reached",
        StopReason::WrongPlace => "the API is not where the tenant says",
        StopReason::SignIn => "sign-in failed",
        StopReason::Unanswered => "several acts in a row were left without an answer",
        StopReason::Held => "an item is unknown, and no further act of its action is sent until a person has looked",
        StopReason::Budget => "there were more failures than its failure budget takes",
        StopReason::Gate => "the next wave could not begin",
        StopReason::Operator => "`quell stop` was given",
        StopReason::StopFile => "a stop file is there",
        StopReason::GoUrl => "the address that has to say yes did not",
        StopReason::Window => "the time in which it may act is over",
    }
}

/// Why a batch was surely not carried out, for the middle of a sentence.
pub(super) fn not_carried_out(why: NotCarriedOut) -> &'static str {
    match why {
        NotCarriedOut::NotSent | NotCarriedOut::NotSentForGood => "it was not sent",
        NotCarriedOut::Throttled => "a limit refused it",
        NotCarriedOut::Unauthorized => "the token was refused",
        NotCarriedOut::WrongPlace => "the API is not where the tenant says",
    }
}

/// Who approved, when, and until when it counted.
pub(super) fn approval(by: &str, given: &str, expires: &str) -> String {
    format!("{by}, given {given}, until {expires}")
}

/// A moment as RFC 3339 in UTC with milliseconds: `2024-06-12T03:00:00.000Z`. Moments beyond the year 9999 are the
/// last one of it.
pub fn time(at: Moment) -> String {
    let last = jiff::Timestamp::MAX;
    let milliseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(last);
    format!("{at:.3}")
}

/// A length of time by its two largest units, as durations are written everywhere: `850ms`, `12s`, `3m 5s`, `97h 2m`.
pub fn duration(milliseconds: u64) -> String {
    let shown_to = match milliseconds {
        0..1_000 => 1,
        1_000..3_600_000 => 1_000,
        3_600_000.. => 60_000,
    };
    show_duration(Duration::from_millis(milliseconds / shown_to * shown_to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_are_serialised() {
        for of in OUTCOMES {
            assert_eq!(serde_json::to_value(of).expect("JSON"), outcome(of));
        }
        for by in
            [PairedBy::AgentAndUniqueId, PairedBy::Agent, PairedBy::UniqueId, PairedBy::OnlyOneLeft, PairedBy::AllAlike]
        {
            assert_eq!(serde_json::to_value(by).expect("JSON"), paired_by(by));
        }
    }

    #[test]
    fn each_outcome_is_counted_at_its_own_place() {
        for (index, of) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(of as usize, index, "{of:?}");
        }
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        let cases: [(u64, &str); 12] = [
            (0, "0s"),
            (1, "1ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (185_000, "3m 5s"),
            (3_599_999, "59m 59s"),
            (3_600_000, "1h"),
            (86_399_000, "23h 59m"),
            (90_061_000, "25h 1m"),
            (u64::MAX, "5124095576030h 25m"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(milliseconds), expected);
        }
    }

    #[test]
    fn times_are_utc_and_never_fail() {
        assert_eq!(time(Moment(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(Moment(1_718_161_200_500)), "2024-06-12T03:00:00.500Z");
        assert!(time(Moment(u64::MAX)).starts_with("9999-12-3"), "{}", time(Moment(u64::MAX)));
    }
}
