//! How old an event may be when it is sent: a process id may belong to something else by now.
//!
//! The time is read from the event's column `event_time`, with its zone: RFC 3339, the same with an offset without a
//! colon (`+0000`, as the API writes it), or seconds or milliseconds since 1970. A time without a zone is refused: read in
//! the wrong one, an old event would look young.

use super::filter::ColumnReader;
use super::{Plan, PlannedItem, PlannedStep};
use crate::events::Event;
use crate::noun::count;

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

/// What is doubtful of the times that events say, in one sentence: so old or so far ahead that the column or its unit is
/// probably another. Under `max_event_age` such events are too old, or of the future, whenever they are sent.
pub(super) fn implausible(plan: &Plan) -> Option<String> {
    let mut reader = ColumnReader::of_names([COLUMN]);
    let (mut rows, mut bounded, mut first): (u32, u32, Option<(u32, String)>) = (0, 0, None);
    let items: Vec<&PlannedItem> = plan.to_send().map(|(_, item)| item).collect();
    for of_event in items.chunk_by(|one, other| one.event == other.event) {
        let event = &plan.events[of_event[0].event as usize];
        let text =
            reader.read(event).ok().and_then(|row| row.text(COLUMN).ok().flatten().map(|text| text.into_owned()));
        let Some(text) = text.filter(|text| moment(text).is_some_and(|at| !PLAUSIBLE_MS.contains(&at))) else {
            continue;
        };
        rows += 1;
        let has_bound = |item: &&PlannedItem| plan.header.steps[usize::from(item.step)].flow.max_event_age.is_some();
        bounded += of_event.iter().filter(|item| has_bound(item)).count() as u32;
        first = first.or(Some((event.place.row, text)));
    }
    let (row, text) = first?;
    let read = moment(&text).and_then(|at| jiff::Timestamp::from_millisecond(at.cast_signed()).ok());
    let read = read.map(|at| at.to_string()).filter(|at| *at != text);
    let read = read.map_or_else(String::new, |at| format!(", read as {at}"));
    let skipped = match bounded {
        0 => String::new(),
        many => format!("; {} under max_event_age will be skipped", count(many, "item")),
    };
    Some(format!(
        "the {COLUMN} of {} is not plausible, first that of row {row}: {}{read}{skipped}",
        count(rows, "event"),
        crate::inert::shorten(&text, 60)
    ))
}

/// From the year 2010 to 2100: earlier there was no such API, and an export of times to come there is not.
const PLAUSIBLE_MS: std::ops::Range<u64> = 1_262_304_000_000..4_102_444_800_000;

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

    #[test]
    fn a_time_that_can_hardly_be_one_is_said_with_its_count_its_first_row_and_what_follows() {
        let steps =
            |age: &str| format!("steps: [{{name: kill, action: kill{age}}}, {{name: take, action: quarantine}}]\n");
        let said = |age: &str, times: &[&str]| {
            let columns: Vec<String> = times.iter().map(|time| format!("{{\"event_time\":\"{time}\"}}")).collect();
            let rows: Vec<_> = columns.iter().map(|columns| ("PROCESS", "a1", columns.as_str())).collect();
            implausible(&crate::plan::fixture::plan(&steps(age), "", &rows))
        };
        let age = ", max_event_age: 1h";
        let plausible = ["2026-06-12T03:40:00Z", "1781265600", "1781265600000", "2010-01-01T00:00:00Z"];
        assert_eq!(said(age, &plausible), None);
        assert_eq!(said("", &["", "yesterday", "2026-06-12"]), None, "what is no time is none");
        assert_eq!(
            said(age, &["1781265600", "0", "1975-01-01T00:00:00Z"]).as_deref(),
            Some(
                "the event_time of 2 events is not plausible, first that of row 2: 0, read as 1970-01-01T00:00:00Z; 2 items \
                 under max_event_age will be skipped"
            )
        );
        assert_eq!(
            said("", &["1781265600", "178126560000"]).as_deref(),
            Some(
                "the event_time of 1 event is not plausible, first that of row 2: 178126560000, read as 1975-08-24T15:36:00Z"
            )
        );
        assert!(said("", &["2999-01-01T00:00:00Z"]).is_some());
    }
}
