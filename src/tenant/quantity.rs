//! Rates and durations as people write them: `300/h`, `100/15m`, `1h 30m`.

use super::{Limits, Rate};
use crate::yaml::{FromText, Refusal, Written};
use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};
use schemars::{Schema, json_schema};
use std::fmt;
use std::time::Duration;

/// The longest window of a rate.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);
/// More calls than this in one window are a slip of the finger.
const CALLS_MAX: u32 = 1_000_000;
const DURATION_PATTERN: &str = "[0-9]+(h|m|s|ms)( ?[0-9]+(h|m|s|ms))*";

const HOUR_MS: u64 = 3_600_000;

/// How long an act may take.
pub(crate) type ActTimeout = Written<Length<1, HOUR_MS>>;
/// How long a poll may take.
pub(crate) type PollTimeout = Written<Length<1, HOUR_MS>>;
/// Times between polls.
pub(crate) type Pause = Written<Length<1, { 24 * HOUR_MS }>>;
/// How long an item is looked at: at most 30 days.
pub(crate) type Deadline = Written<Length<1, { 30 * 24 * HOUR_MS }>>;

/// The duration in one way of writing, which is also read: `1h 30m`.
pub fn show_duration(duration: Duration) -> String {
    printer(Spacing::BetweenUnits).unsigned_duration_to_string(&duration)
}

impl Rate {
    /// Whether keeping to this rate means keeping to `other` too, whichever window one looks at: `200/24h` keeps to
    /// `300/h`, `1000/24h` does not (all of it may come within one hour).
    pub(crate) fn keeps_to(self, other: Self) -> bool {
        let windows = other.window.as_nanos().div_ceil(self.window.as_nanos());
        u128::from(self.calls) * windows <= u128::from(other.calls)
    }

    /// Its share of a window of that length, rounded up.
    fn share_of(self, window: Duration) -> u32 {
        let share = (u128::from(self.calls) * window.as_nanos()).div_ceil(self.window.as_nanos());
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// Whether it allows fewer calls than `other` in the long run.
    pub(crate) fn is_less_than(self, other: Self) -> bool {
        u128::from(self.calls) * other.window.as_nanos() < u128::from(other.calls) * self.window.as_nanos()
    }
}

impl Limits {
    /// The calls that a run may make, what is kept free taken off: at least one in a window. `None` without a limit.
    pub fn usable_calls(&self) -> Option<Rate> {
        let Rate { calls, window } = self.requests?;
        let kept = self.keep_free.map_or(0, |kept| kept.share_of(window));
        Some(Rate { calls: calls.saturating_sub(kept).max(1), window })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = printer(Spacing::None).unsigned_duration_to_string(&self.window);
        match window.as_str() {
            "1h" | "1m" | "1s" => write!(f, "{}/{}", self.calls, &window[1..]),
            _ => write!(f, "{}/{window}", self.calls),
        }
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    /// Reads a rate as people write it.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_flag(text)
    }
}

impl FromText for Rate {
    fn expected() -> String {
        "a rate like `300/h`, `50/s` or `100/15m`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let (calls, window) = text.split_once('/').ok_or(Refusal::SomethingElse)?;
        if calls.is_empty() || !calls.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::SomethingElse);
        }
        let calls = calls.parse().ok().filter(|calls| (1..=CALLS_MAX).contains(calls));
        let calls = calls.ok_or_else(|| Refusal::Because(format!("a rate has from 1 to {CALLS_MAX} calls")))?;
        let window = match window {
            "h" | "m" | "s" | "ms" => read_duration(&format!("1{window}")),
            _ => read_duration(window),
        };
        let window = window.ok_or(Refusal::SomethingElse)?;
        if window.is_zero() || window > WINDOW_MAX {
            let most = show_duration(WINDOW_MAX);
            return Err(Refusal::Because(format!("a rate's window is longer than nothing and at most {most}")));
        }
        Ok(Self { calls, window })
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": format!("^[0-9]+/((h|m|s|ms)|{DURATION_PATTERN})$")})
    }
}

/// The tenant's `requests`: a rate, or the word `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requests(pub(crate) Option<Rate>);

impl FromText for Requests {
    fn expected() -> String {
        format!("{}, or `unlimited`", Rate::expected())
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text == "unlimited" { Ok(Self(None)) } else { Rate::from_text(text).map(|rate| Self(Some(rate))) }
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"const": "unlimited"}, Rate::schema()]})
    }
}

/// A duration within bounds, both in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length<const LEAST_MS: u64, const MOST_MS: u64>(pub(crate) Duration);

impl<const LEAST_MS: u64, const MOST_MS: u64> FromText for Length<LEAST_MS, MOST_MS> {
    fn expected() -> String {
        "a duration like `30s`, `2m` or `1h 30m`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let duration = read_duration(text).ok_or(Refusal::SomethingElse)?;
        let (least, most) = (Duration::from_millis(LEAST_MS), Duration::from_millis(MOST_MS));
        if (least..=most).contains(&duration) {
            return Ok(Self(duration));
        }
        let bounds = format!("from {} to {}", show_duration(least), show_duration(most));
        Err(Refusal::Because(format!("expected a duration {bounds}, found {}", show_duration(duration))))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": format!("^{DURATION_PATTERN}$")})
    }
}

/// Whole hours, minutes, seconds and milliseconds, each once and the larger first. jiff reads more (`2 hours ago`,
/// `1.5h`, `PT1H`); one way of writing is enough in a file that others review.
fn read_duration(text: &str) -> Option<Duration> {
    let is_in_our_form = text.split(' ').all(|part| {
        part.starts_with(|c: char| c.is_ascii_digit())
            && part.ends_with(['h', 'm', 's'])
            && part.chars().all(|c| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's'))
    });
    if !is_in_our_form {
        return None;
    }
    SpanParser::new().parse_unsigned_duration(text).ok()
}

fn printer(spacing: Spacing) -> SpanPrinter {
    SpanPrinter::new().designator(Designator::Compact).spacing(spacing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<u64> {
        read_duration(text).map(|duration| duration.as_millis() as u64)
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "1m 30s"),
            ("2m", 120_000, "2m"),
            ("1h 30m", 5_400_000, "1h 30m"),
            ("1h30m", 5_400_000, "1h 30m"),
            ("250ms", 250, "250ms"),
            ("720h", 2_592_000_000, "720h"),
            ("1s 5ms", 1_005, "1s 5ms"),
            ("0s", 0, "0s"),
        ] {
            assert_eq!(ms(text), Some(millis), "{text}");
            assert_eq!(show_duration(Duration::from_millis(millis)), shown);
            assert_eq!(ms(shown), Some(millis), "what is shown is read again");
        }
        for text in [
            "",
            "s",
            "30",
            "1d",
            "1.5h",
            "PT1H",
            "1 h",
            "30m 1h",
            "1h 1h",
            "-30s",
            "30s ago",
            "1h  30m",
            " 30s",
            "30s ",
            "1h, 30m",
            "30 parsecs",
            "99999999999999999999h",
            "1us",
            "1hm",
        ] {
            assert_eq!(ms(text), None, "{text:?}");
        }
    }

    #[test]
    fn rates_are_read_and_shown() {
        for (text, calls, seconds) in [
            ("300/h", 300, 3600),
            ("50/s", 50, 1),
            ("7/m", 7, 60),
            ("100/15m", 100, 900),
            ("1/1h30m", 1, 5400),
            ("5/24h", 5, 86400),
        ] {
            let rate = Rate { calls, window: Duration::from_secs(seconds) };
            assert_eq!(Rate::from_text(text), Ok(rate), "{text}");
            assert_eq!(rate.to_string(), text);
        }
        for text in ["300", "/h", "-1/h", "+1/h", "1.5/h", "300/", "300/d", "300/1d", "300 /h", "300/ h", "unlimited"] {
            assert_eq!(Rate::from_text(text), Err(Refusal::SomethingElse), "{text}");
        }
        for text in ["0/h", "1000001/h", "99999999999/h", "1/0s", "1/25h"] {
            assert!(matches!(Rate::from_text(text), Err(Refusal::Because(_))), "{text}");
        }
        assert_eq!(Requests::from_text("unlimited"), Ok(Requests(None)));
    }

    #[test]
    fn a_rate_keeps_to_another_in_every_window() {
        for (one, other, keeps) in [
            ("300/h", "300/h", true),
            ("299/h", "300/h", true),
            ("301/h", "300/h", false),
            ("5/m", "300/h", true),
            ("6/m", "300/h", false),
            ("200/24h", "300/h", true),
            ("1000/24h", "300/h", false),
            ("299/59m", "300/h", false),
            ("150/59m", "300/h", true),
        ] {
            let rate = |text| Rate::from_text(text).expect("a rate");
            assert_eq!(rate(one).keeps_to(rate(other)), keeps, "{one} within {other}");
        }
    }
}
