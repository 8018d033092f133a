//! What a playbook says of how fast a run may go on: waves of targets, the gates between them, and how many failures it
//! takes.

use super::schedule::Schedule;
use crate::yaml::{FromText, Refusal, Spanned};
use schemars::{Schema, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How many waves there may be.
pub(crate) const WAVES_MAX: usize = 100;
/// How many items must have settled before the budget is judged, unless a playbook says otherwise.
pub const MIN_SETTLED: u32 = 20;

/// How a run is released, and what stops it by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Release {
    /// Cumulative sizes of the waves, in targets; empty: all at once.
    pub waves: Vec<Spanned<WaveSize>>,
    /// What opens the next wave, and where that stands.
    pub promote: Option<Spanned<Promote>>,
    /// How many failures the run takes.
    pub failure_budget: FailureBudget,
    /// A file that stops the run while it is there; relative to the working folder.
    pub stop_file: Option<String>,
    /// An address that has to answer 200 before every act.
    pub go_url: Option<String>,
    /// When it may act.
    pub schedule: Schedule,
}

/// The size of a wave together with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveSize {
    /// So many targets.
    Targets(u32),
    /// A share of all targets, rounded up.
    Percent(Percent),
}

/// A whole number of hundredths, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(pub u8);

/// What opens the next wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Promote {
    /// How many of the items released so far must have an outcome.
    pub settled: Percent,
    /// How many of them may have failed, been rejected, timed out, or be unknown or unmatched.
    pub failures: u32,
    /// How long the wave may take to get there.
    pub within: Option<Duration>,
    /// Whether a person has to say yes then, and how long they have for it.
    pub confirm_within: Option<Duration>,
}

impl Default for Promote {
    fn default() -> Self {
        Self { settled: Percent(100), failures: 0, within: None, confirm_within: None }
    }
}

/// How many failures a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureBudget {
    /// How many are tolerated.
    pub tolerated: Tolerated,
    /// How many items must have settled before it is judged.
    pub min_settled: u32,
    /// Whether open items count as failures until they have settled.
    pub strict: bool,
}

/// How many failures are tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerated {
    /// So many.
    Count(u32),
    /// A share of the planned items, rounded down.
    Percent(Percent),
}

impl Default for FailureBudget {
    fn default() -> Self {
        Self { tolerated: Tolerated::Percent(Percent(10)), min_settled: MIN_SETTLED, strict: false }
    }
}

impl Tolerated {
    /// The number of failures that are tolerated among so many planned items: one more stops the run.
    pub fn among(self, items: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(Percent(percent)) => (u64::from(items) * u64::from(percent) / 100) as u32,
        }
    }
}

impl WaveSize {
    /// The number of targets, of so many in all.
    pub fn of(self, targets: u32) -> u32 {
        match self {
            Self::Targets(count) => count.min(targets),
            Self::Percent(Percent(percent)) => (u64::from(targets) * u64::from(percent)).div_ceil(100) as u32,
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl fmt::Display for WaveSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Targets(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}"),
        }
    }
}

impl fmt::Display for Tolerated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}"),
        }
    }
}

/// Digits alone: no sign, no leading zero but `0` itself, no exponent.
fn whole(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

impl FromText for Percent {
    fn expected() -> String {
        "whole per cent from 0 to 100, as in `5%`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let number = whole(text.strip_suffix('%').unwrap_or(text));
        match number.and_then(|number| u8::try_from(number).ok()) {
            Some(percent) if percent <= 100 => Ok(Self(percent)),
            _ => Err(Refusal::SomethingElse),
        }
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": "^(100|[1-9]?[0-9])%?$"},
        ]})
    }
}

impl FromText for WaveSize {
    fn expected() -> String {
        "a number of targets or a share of them, as in `5` or `10%`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let size = match text.strip_suffix('%') {
            Some(_) => Percent::from_text(text).map(Self::Percent)?,
            None => Self::Targets(whole(text).ok_or(Refusal::SomethingElse)?),
        };
        match size {
            Self::Targets(0) | Self::Percent(Percent(0)) => {
                Err(Refusal::Because("a wave has at least one target".to_owned()))
            }
            size => Ok(size),
        }
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": "^([1-9][0-9]*|(100|[1-9][0-9]?)%)$"},
        ]})
    }
}

impl std::str::FromStr for Tolerated {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = match text.strip_suffix('%') {
            Some(_) => Percent::from_text(text).ok().map(Self::Percent),
            None => whole(text).map(Self::Count),
        };
        read.ok_or_else(|| "expected a number of failures or a share of the items, as in `5` or `10%`".to_owned())
    }
}

impl FailureBudget {
    /// The budget that tolerates so many, judged as by default.
    pub fn tolerating(tolerated: Tolerated) -> Self {
        let min_settled = if matches!(tolerated, Tolerated::Percent(_)) { MIN_SETTLED } else { 0 };
        Self { tolerated, min_settled, strict: false }
    }
}

impl std::str::FromStr for WaveSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_flag(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_waves_are_targets_or_shares_rounded_up() {
        for (text, of_37, of_1000) in
            [("1", 1, 1), ("50", 37, 50), ("1%", 1, 10), ("10%", 4, 100), ("100%", 37, 1000), ("99%", 37, 990)]
        {
            let size: WaveSize = text.parse().expect(text);
            assert_eq!((size.of(37), size.of(1000)), (of_37, of_1000), "{text}");
            assert_eq!(size.to_string(), text);
        }
        for text in ["", "0", "0%", "101%", "-1", "1.5", "5 %", "%", "01", "1e3", "99999999999"] {
            assert!(text.parse::<WaveSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_failures_is_rounded_down() {
        let ten = Tolerated::Percent(Percent(10));
        for (items, tolerated) in
            [(0, 0), (9, 0), (10, 1), (19, 1), (50, 5), (1_000_000, 100_000), (u32::MAX, 429_496_729)]
        {
            assert_eq!(ten.among(items), tolerated, "{items}");
        }
        assert_eq!(Tolerated::Count(5).among(3), 5);
    }
}
