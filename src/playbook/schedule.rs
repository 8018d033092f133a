//! When a playbook may act: windows outside of which it does not, blackouts in which it does not, each in a named zone.
//!
//! Times are what the clocks of that zone show: a window from 22:00 to 06:00 is the night there, whether daylight saving
//! begins in it or not. Whether it is time is asked with a moment; nothing here reads a clock.

use crate::yaml::{FromText, Refusal};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::{Schema, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far ahead the next opening is looked for, in minutes: a year and a day.
const LOOK_AHEAD_MIN: i64 = 366 * 24 * 60;

/// When a playbook may act; without windows at any time that no blackout covers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// It acts only in one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Span>,
    /// It does not act in any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Span>,
}

/// `mon-fri 22:00-06:00 Europe/Berlin`, or `2026-12-24 00:00 to 2026-12-27 06:00 Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Span {
    times: Times,
    zone: String,
    written: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    /// Days by number from Monday, and minutes from midnight; where `to` is not after `from` it ends on the next day.
    Weekly {
        days: [bool; 7],
        from: i64,
        to: i64,
    },
    Once {
        from: DateTime,
        to: DateTime,
    },
}

impl Schedule {
    /// Whether there is anything to ask.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.blackouts.is_empty()
    }

    /// Why acting is forbidden at this moment, in milliseconds since 1970: `None` when it is not.
    pub fn forbids(&self, at: u64) -> Option<String> {
        let moment = moment(at);
        if let Some(blackout) = self.blackouts.iter().find(|blackout| blackout.covers(moment) != Some(false)) {
            return Some(format!("the blackout {blackout} forbids it now"));
        }
        if self.windows.is_empty() || self.windows.iter().any(|window| window.covers(moment) == Some(true)) {
            return None;
        }
        let windows: Vec<&str> = self.windows.iter().map(|window| window.written.as_str()).collect();
        Some(format!("it is not in its windows now ({})", windows.join("; ")))
    }

    /// How long the longest window is; `None` without windows.
    pub fn longest_window(&self) -> Option<std::time::Duration> {
        self.windows.iter().map(Span::length).max()
    }

    /// When acting is allowed next, after a moment at which it is not, in milliseconds since 1970, to the minute.
    pub fn opens(&self, at: u64) -> Option<u64> {
        let minute = 60_000;
        let first = at / minute + 1;
        (first..first + LOOK_AHEAD_MIN.unsigned_abs()).map(|n| n * minute).find(|at| self.forbids(*at).is_none())
    }
}

fn moment(at: u64) -> Timestamp {
    i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::MAX)
}

impl Span {
    /// `None` when nobody knows: its zone is gone.
    fn covers(&self, at: Timestamp) -> Option<bool> {
        let zone = TimeZone::get(&self.zone).ok()?;
        let local = at.to_zoned(zone).datetime();
        Some(match &self.times {
            Times::Once { from, to } => *from <= local && local < *to,
            Times::Weekly { days, from, to } => {
                let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
                let today = days[usize::from(local.weekday().to_monday_zero_offset().unsigned_abs())];
                let yesterday = local.weekday().previous().to_monday_zero_offset();
                let yesterday = days[usize::from(yesterday.unsigned_abs())];
                if from < to {
                    today && (*from..*to).contains(&minute)
                } else {
                    today && minute >= *from || yesterday && minute < *to
                }
            }
        })
    }

    /// How long it is by the clock on the wall.
    fn length(&self) -> std::time::Duration {
        let minutes = match &self.times {
            Times::Weekly { from, to, .. } if from < to => to - from,
            Times::Weekly { from, to, .. } => 24 * 60 - from + to,
            Times::Once { from, to } => to.duration_since(*from).as_mins(),
        };
        std::time::Duration::from_secs(minutes.unsigned_abs() * 60)
    }

    fn read(text: &str) -> Result<Self, Refusal> {
        let (rest, zone) = text.rsplit_once(' ').ok_or(Refusal::SomethingElse)?;
        if TimeZone::get(zone).is_err() || !(zone.contains('/') || zone == "UTC") {
            return Err(Refusal::Because(format!(
                "there is no time zone `{zone}`; write one like `Europe/Berlin` or `UTC`"
            )));
        }
        let times = match rest.split_once(" to ") {
            Some((from, to)) => {
                let (from, to) = (date_time(from, "00:00")?, date_time(to, "24:00")?);
                if from >= to {
                    return Err(Refusal::Because("it ends before it begins".to_owned()));
                }
                Times::Once { from, to }
            }
            None => {
                let (days, hours) = rest.split_once(' ').unwrap_or(("mon-sun", rest));
                let (from, to) = hours.split_once('-').ok_or(Refusal::SomethingElse)?;
                let (from, to) = (minutes(from)?, minutes(to)?);
                if from == to || from == 24 * 60 {
                    return Err(Refusal::Because("it has no length".to_owned()));
                }
                Times::Weekly { days: self::days(days)?, from, to }
            }
        };
        Ok(Self { times, zone: zone.to_owned(), written: text.to_owned() })
    }
}

/// `22:00`, to `24:00`.
fn minutes(text: &str) -> Result<i64, Refusal> {
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i64::from);
    let (hour, minute) = text.split_once(':').ok_or(Refusal::SomethingElse)?;
    match (two(hour), two(minute)) {
        (Some(hour), Some(minute)) if hour < 24 && minute < 60 || (hour, minute) == (24, 0) => Ok(hour * 60 + minute),
        _ => Err(Refusal::SomethingElse),
    }
}

/// `2026-12-24`, `2026-12-24 18:30`; without a time it is this one.
fn date_time(text: &str, without: &str) -> Result<DateTime, Refusal> {
    let (date, time) = text.split_once(' ').unwrap_or((text, without));
    let date: jiff::civil::Date = date.parse().map_err(|_| Refusal::SomethingElse)?;
    let start = date.at(0, 0, 0, 0);
    start.checked_add(minutes(time)?.minutes()).map_err(|_| Refusal::SomethingElse)
}

/// `mon`, `mon-fri`, `fri-mon`, `mon,wed,fri`.
fn days(text: &str) -> Result<[bool; 7], Refusal> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let of = |name: &str| NAMES.iter().position(|known| *known == name).ok_or(Refusal::SomethingElse);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (of(first)?, of(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

impl FromText for Span {
    fn expected() -> String {
        "times and their zone, as in `mon-fri 22:00-06:00 Europe/Berlin` or `2026-12-24 to 2026-12-27 06:00 UTC`"
            .to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        Self::read(text)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^.+ [A-Za-z0-9_+/-]+$"})
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.written
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::read(&text).map_err(|_| format!("{text:?} are no times that this quell knows"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let moment: Timestamp = text.parse().expect(text);
        moment.as_millisecond().unsigned_abs()
    }

    fn window(text: &str) -> Schedule {
        Schedule { windows: vec![Span::read(text).expect(text)], blackouts: Vec::new() }
    }

    #[test]
    fn a_window_is_what_the_clocks_of_its_zone_show() {
        for (text, moment, open) in [
            // 2026-06-12 is a Friday.
            ("22:00-06:00 Europe/Berlin", "2026-06-12T19:59:00Z", false),
            ("22:00-06:00 Europe/Berlin", "2026-06-12T20:00:00Z", true),
            ("22:00-06:00 Europe/Berlin", "2026-06-13T03:59:59Z", true),
            ("22:00-06:00 Europe/Berlin", "2026-06-13T04:00:00Z", false),
            // In winter an hour later by UTC.
            ("22:00-06:00 Europe/Berlin", "2026-01-12T20:30:00Z", false),
            ("22:00-06:00 Europe/Berlin", "2026-01-12T21:00:00Z", true),
            // The night from Friday to Saturday belongs to Friday.
            ("mon-fri 22:00-06:00 UTC", "2026-06-13T05:59:00Z", true),
            ("mon-fri 22:00-06:00 UTC", "2026-06-13T22:30:00Z", false),
            ("mon-fri 22:00-06:00 UTC", "2026-06-15T05:00:00Z", false),
            ("sat,sun 00:00-24:00 UTC", "2026-06-13T23:59:59Z", true),
            ("sat,sun 00:00-24:00 UTC", "2026-06-15T00:00:00Z", false),
            ("fri-mon 08:00-09:00 UTC", "2026-06-14T08:30:00Z", true),
            ("fri-mon 08:00-09:00 UTC", "2026-06-16T08:30:00Z", false),
            ("2026-06-12 to 2026-06-13 06:00 Asia/Tokyo", "2026-06-11T15:00:00Z", true),
            ("2026-06-12 to 2026-06-13 06:00 Asia/Tokyo", "2026-06-12T21:00:00Z", false),
            // The night in which daylight saving begins has no 02:30, and the window is still that night.
            ("02:00-04:00 Europe/Berlin", "2026-03-29T01:30:00Z", true),
            ("02:00-04:00 Europe/Berlin", "2026-03-29T00:59:00Z", false),
        ] {
            assert_eq!(window(text).forbids(at(moment)).is_none(), open, "{text} at {moment}");
        }
    }

    #[test]
    fn a_blackout_wins_and_the_next_opening_is_told() {
        let schedule = Schedule {
            windows: vec![Span::read("22:00-06:00 UTC").expect("a window")],
            blackouts: vec![Span::read("2026-12-24 to 2026-12-27 UTC").expect("a blackout")],
        };
        let why = schedule.forbids(at("2026-12-24T23:00:00Z")).expect("it is forbidden");
        assert_eq!(why, "the blackout 2026-12-24 to 2026-12-27 UTC forbids it now");
        assert_eq!(schedule.opens(at("2026-12-24T23:00:30Z")), Some(at("2026-12-28T00:00:00Z")));
        let why = schedule.forbids(at("2026-12-28T12:00:00Z")).expect("it is forbidden");
        assert_eq!(why, "it is not in its windows now (22:00-06:00 UTC)");
        assert_eq!(schedule.opens(at("2026-12-28T12:00:00Z")), Some(at("2026-12-28T22:00:00Z")));
        let past = window("2020-01-01 to 2020-01-02 UTC");
        assert_eq!(past.opens(at("2026-01-01T00:00:00Z")), None);
        assert!(Schedule::default().forbids(0).is_none() && Schedule::default().is_empty());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "22:00-06:00",
            "22:00-06:00 Berlin",
            "22:00-06:00 Europe/Nowhere",
            "22-6 UTC",
            "22:00-22:00 UTC",
            "24:00-06:00 UTC",
            "25:00-06:00 UTC",
            "22:60-06:00 UTC",
            "monday 22:00-06:00 UTC",
            "mon-fry 22:00-06:00 UTC",
            "mon 22:00 UTC",
            "2026-12-27 to 2026-12-24 UTC",
            "2026-13-01 to 2026-12-24 UTC",
            "2026-12-24 UTC",
        ] {
            assert!(Span::read(text).is_err(), "{text:?}");
        }
        let span = Span::read("mon-fri 22:00-06:00 Europe/Berlin").expect("a window");
        let json = serde_json::to_string(&span).expect("JSON");
        assert_eq!(json, "\"mon-fri 22:00-06:00 Europe/Berlin\"");
        assert_eq!(serde_json::from_str::<Span>(&json).expect("read"), span);
    }
}
