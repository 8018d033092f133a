//! Words of a test file that are read as one piece of text: a row of statuses, a moment, an outcome.

use crate::engine::Outcome;
use crate::report::words;
use crate::yaml::{FromText, Refusal};
use schemars::{Schema, json_schema};

/// How often one status may be repeated.
const TIMES_MAX: u32 = 10_000;

/// `queued ×3 → failed`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statuses(pub(super) Vec<String>);

impl FromText for Statuses {
    fn expected() -> String {
        "statuses in their order, as in `queued ×3 → failed`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let mut statuses = Vec::new();
        for part in text.replace("->", "→").split('→') {
            let (word, times) = repeated(part.trim())?;
            statuses.extend(std::iter::repeat_n(word.to_owned(), times as usize));
        }
        Ok(Self(statuses))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

/// A status and how often it is shown: `queued ×3`, `queued x3`, `queued`.
fn repeated(part: &str) -> Result<(&str, u32), Refusal> {
    let last = part.rsplit_once(' ').and_then(|(word, times)| {
        let digits = times.strip_prefix(['×', 'x'])?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| (word.trim(), digits.parse().unwrap_or(u32::MAX)))
    });
    match last.unwrap_or((part, 1)) {
        ("", _) => Err(Refusal::SomethingElse),
        (_, times) if times == 0 || times > TIMES_MAX => {
            Err(Refusal::Because(format!("a status is shown from 1 to {TIMES_MAX} times")))
        }
        found => Ok(found),
    }
}

/// `2026-06-12T03:40:00Z`, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begins(pub(super) u64);

impl FromText for Begins {
    fn expected() -> String {
        "a moment with its zone, as in `2026-06-12T03:40:00Z`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| Refusal::SomethingElse)?;
        let before = || Refusal::Because("a run does not begin before 1970".to_owned());
        u64::try_from(moment.as_millisecond()).map(Self).map_err(|_| before())
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// `succeeded`, `still_queued`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutcomeWord(pub(super) Outcome);

impl OutcomeWord {
    pub(super) fn of(text: &str) -> Option<Outcome> {
        words::OUTCOMES.into_iter().find(|outcome| words::outcome(*outcome) == text)
    }

    pub(super) fn all() -> impl Iterator<Item = &'static str> {
        words::OUTCOMES.into_iter().map(words::outcome)
    }
}

impl FromText for OutcomeWord {
    fn expected() -> String {
        "an outcome, as in `succeeded` or `not_started`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let known = || Self::all().collect::<Vec<_>>().join(", ");
        Self::of(text).map(Self).ok_or_else(|| Refusal::Because(format!("the outcomes are {}", known())))
    }

    fn schema() -> Schema {
        let all: Vec<&str> = Self::all().collect();
        json_schema!({"enum": all})
    }
}
