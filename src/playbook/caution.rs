//! What a playbook says about acts that may have been carried out already: by this run, by an earlier one, by one that
//! is still going on.

use crate::tenant::{Length, show_duration};
use crate::yaml::{FromText, Refusal};
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How long a success keeps later runs from repeating it, unless a playbook says otherwise.
pub const DEDUPE_WINDOW: Duration = Duration::from_millis(30 * DAY_MS);
/// How long `overlap: wait` waits.
const OVERLAP_WAIT: Duration = Duration::from_millis(HOUR_MS);

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caution {
    /// `None`: `continue` for actions that are safe to repeat, else `stop`.
    pub on_unknown: Option<OnUnknown>,
    /// How long a success keeps later runs from repeating it.
    pub dedupe_window: Duration,
    /// What happens while another run of the playbook goes on.
    pub overlap: Overlap,
}

impl Default for Caution {
    fn default() -> Self {
        Self { on_unknown: None, dedupe_window: DEDUPE_WINDOW, overlap: Overlap::Forbid }
    }
}

/// What happens to an action's further acts once one of its items is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// None is sent until a person has looked.
    #[default]
    Stop,
    /// They are sent.
    Continue,
}

/// What a run does while another one of its playbook goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It does not begin.
    #[default]
    Forbid,
    /// It waits for the other one's end, at most so long.
    Wait(Duration),
}

impl FromText for Overlap {
    fn expected() -> String {
        "`forbid`, `wait` or a longest wait like `wait 30m`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text.split_once(' ') {
            None if text == "forbid" => Ok(Self::Forbid),
            None if text == "wait" => Ok(Self::Wait(OVERLAP_WAIT)),
            Some(("wait", longest)) => Length::<1000, DAY_MS>::from_text(longest).map(|Length(wait)| Self::Wait(wait)),
            _ => Err(Refusal::SomethingElse),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^(forbid|wait( [0-9]+(h|m|s|ms))*)$"})
    }
}

/// A time in days or shorter units: from one minute to ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(pub Duration);

impl Window {
    const LEAST: Duration = Duration::from_secs(60);
    const MOST: Duration = Duration::from_millis(3650 * DAY_MS);
}

impl FromText for Window {
    fn expected() -> String {
        "a duration like `30d`, `36h` or `1h 30m`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let days = text.strip_suffix('d').filter(|days| !days.is_empty() && days.bytes().all(|c| c.is_ascii_digit()));
        let duration = match days {
            Some(days) => {
                let days: u64 = days.parse().unwrap_or(u64::MAX);
                Duration::from_millis(days.saturating_mul(DAY_MS))
            }
            None => Length::<0, { u64::MAX }>::from_text(text)?.0,
        };
        if (Self::LEAST..=Self::MOST).contains(&duration) {
            return Ok(Self(duration));
        }
        Err(Refusal::Because(format!("expected a duration from {} to 3650d", show_duration(Self::LEAST))))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]+d|[0-9]+(h|m|s|ms)( ?[0-9]+(h|m|s|ms))*)$"})
    }
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_flag(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_in_days_and_shorter_units() {
        for (text, hours) in [("30d", Some(720)), ("36h", Some(36)), ("1d", Some(24)), ("3650d", Some(87_600))] {
            let read = text.parse().ok().map(|Window(window)| window.as_secs() / 3600);
            assert_eq!(read, hours, "{text}");
        }
        for text in ["", "d", "0d", "3651d", "99999999999999999999d", "1.5d", "59s", "-1d", "1d 2h", "30 d"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn overlaps_are_read() {
        let read = |text| Overlap::from_text(text).ok();
        assert_eq!(read("forbid"), Some(Overlap::Forbid));
        assert_eq!(read("wait"), Some(Overlap::Wait(Duration::from_secs(3600))));
        assert_eq!(read("wait 90m"), Some(Overlap::Wait(Duration::from_secs(5400))));
        for text in ["", "wait ", "wait 0s", "wait 25h", "forbid 1h", "Wait", "queue"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
