//! How old an event may be when it is sent: a process id may belong to something else by now.
//!
//! The time is read from the event's column `event_time`, with its zone: RFC 3339, the same with an offset without a
//! colon (`+0000`, as the API writes it), or seconds or milliseconds since 1970. A time without a zone is refused: read in
//! the wrong one, an old event would look young.

use super::PlannedStep;
use super::filter::ColumnReader;
use crate::events::Event;

/// The column.
pub const COLUMN: &str = "event_time";
/// Digits of what counts as seconds; longer numbers are milliseconds.
const SECONDS_DIGITS_MAX: usize = 11;

/// Until when the event may be sent under this step, in milliseconds since 1970; `None` without a bound.
///
/// # Errors
/// What is wrong with its time, in one line.
pub fn expires(step: &PlannedStep, event: &Event) -> Result<Option<u64>, String> {
    let Some(age) = step.flow.max_event_age else { return Ok(None) };
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    moment_of(event).map(|moment| Some(moment.saturating_add(age)))
}

/// The event's time in milliseconds since 1970.
pub(super) fn moment_of(event: &Event) -> Result<u64, String> {
    let mut reader = ColumnReader::of_names([COLUMN]);
    let row = reader.read(event)?;
    let text = row.text(COLUMN)?.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| format!("it has no `{COLUMN}`, by which `max_event_age` judges"))?;
    moment(&text).ok_or_else(|| {
        let shown = crate::inert::shorten(&text, 60);
        format!("`{COLUMN}` is no time with a zone, as 2026-06-12T03:40:00Z: {:?}", shown)
    })
}

fn moment(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        let number: u64 = text.parse().ok()?;
        let millis = if text.len() <= SECONDS_DIGITS_MAX { number.checked_mul(1000) } else { Some(number) };
        return millis.filter(|millis| *millis <= MOMENT_MAX_MS);
    }
    let timestamp: jiff::Timestamp = match text.parse() {
        Ok(timestamp) => timestamp,
        Err(_) => {
            let zoned = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?;
            zoned.to_timestamp().ok()?
        }
    };
    u64::try_from(timestamp.as_millisecond()).ok()
}

/// The end of the year 9999: numbers beyond are micro- or nanoseconds, and would never be too old.
const MOMENT_MAX_MS: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone_or_not_at_all() {
        let noon = 1_781_265_600_000;
        for (text, is) in [
            ("2026-06-12T12:00:00Z", Some(noon)),
            ("2026-06-12 12:00:00Z", Some(noon)),
            ("2026-06-12T14:00:00+02:00", Some(noon)),
            ("2026-06-12T14:00:00.250+0200", Some(noon + 250)),
            ("2026-06-12T12:00:00.000+0000", Some(noon)),
            ("1781265600", Some(noon)),
            ("1781265600000", Some(noon)),
            ("0", Some(0)),
            ("1781265600000000", None),
            ("1781265600000000000", None),
            ("2026-06-12T12:00:00", None),
            ("2026-06-12", None),
            ("12/06/2026 12:00", None),
            ("1969-12-31T23:59:59Z", None),
            ("-5", None),
            ("1.5e9", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(moment(text), is, "{text:?}");
        }
    }
}
