//! From a plan file to a plan, or the line that is not as it has to be.
//!
//! Every line is held against what would be written of it; then the digest and the sum are computed again. What cannot
//! be true of any plan (a step that is not there, an item twice) is refused before, so that nothing later meets it.

use super::lines::{self, Counts, Entry, EventLine, First, Last, RowLine};
use super::{BEGINNING, FILE_BYTES_MAX, FORMAT, HEADER_BYTES_MAX, LINE_BYTES_MAX, PlanFileError};
use crate::events::Event;
use crate::inert;
use crate::plan::{Plan, PlanHeader, PlannedItem, RowWithoutItem, digest};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::io::BufRead;

/// Reads a plan. What it gives writes the very bytes that were read.
///
/// # Errors
/// When the file cannot be read, is too large, or is not in every byte what [`super::write`] gives for its plan.
pub fn read(from: &mut dyn BufRead) -> Result<Plan, PlanFileError> {
    let mut file = Reading { from, line: Vec::new(), number: 0, bytes: 0, sum: Sha256::new() };
    let mut header = file.header()?;
    let mut items = Items::default();
    let (mut events, mut rows) = (Vec::new(), Vec::new());
    let mut written = Vec::new();
    loop {
        if file.line.starts_with(br#"{"event":"#) && rows.is_empty() {
            events.push(event(
                &file,
                &header,
                u32::try_from(events.len()).unwrap_or(u32::MAX),
                &mut items,
                &mut written,
            )?);
        } else if file.line.starts_with(br#"{"row_without_item":"#) {
            rows.push(row(&file, &mut written)?);
        } else {
            break;
        }
        file.go_on()?;
    }
    let counts = Counts { events: events.len(), items: items.0.len(), rows_without_item: rows.len() };
    file.end(counts)?;
    let items = items.in_order().map_err(|what| file.wrong(what))?;
    let said = std::mem::take(&mut header.digest);
    let mut plan = Plan { header, events, items, rows_without_item: rows };
    plan.header.digest = digest::digest(&plan);
    if plan.header.digest != said {
        let what = "the digest is not that of this plan: something in it was changed".to_owned();
        return Err(PlanFileError::Line { line: 1, what });
    }
    match super::sound::amiss(&plan) {
        None => Ok(plan),
        Some(what) => Err(PlanFileError::Line { line: 1, what: format!("no quell made this plan: {what}") }),
    }
}

/// A file and the line that was read last, with its end.
struct Reading<'a> {
    from: &'a mut dyn BufRead,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    /// Over all lines before this one.
    sum: Sha256,
}

impl Reading<'_> {
    /// Reads the next line; there has to be one.
    fn go_on(&mut self) -> Result<(), PlanFileError> {
        if self.next_line()? {
            return Ok(());
        }
        Err(self.wrong("the file ends before its last line: it was cut".to_owned()))
    }

    /// Reads the next line; false at the end of the file.
    fn next_line(&mut self) -> Result<bool, PlanFileError> {
        self.sum.update(&self.line);
        self.line.clear();
        self.number += 1;
        loop {
            let found = match self.from.fill_buf() {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                found => found?,
            };
            let end = found.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(found.len(), |end| end + 1);
            if self.line.len() + taken > LINE_BYTES_MAX {
                let bytes_max = LINE_BYTES_MAX as u64;
                return Err(PlanFileError::TooLarge { what: format!("line {}", self.number), bytes_max });
            }
            self.line.extend_from_slice(&found[..taken]);
            self.from.consume(taken);
            self.bytes += taken as u64;
            if self.bytes > FILE_BYTES_MAX {
                return Err(PlanFileError::TooLarge { what: "the file".to_owned(), bytes_max: FILE_BYTES_MAX });
            }
            if end.is_some() {
                return Ok(true);
            }
            if taken == 0 {
                return match self.line.is_empty() {
                    true => Ok(false),
                    false => Err(self.wrong("the line has no end: the file was cut".to_owned())),
                };
            }
        }
    }

    /// First line and header. The line after them has been read then.
    fn header(&mut self) -> Result<PlanHeader, PlanFileError> {
        let is_plan = self.next_line()? && self.line.starts_with(BEGINNING);
        if !is_plan {
            return Err(PlanFileError::NoPlan);
        }
        let first: First<'_> = self.parsed()?;
        if first.quell != FORMAT {
            return Err(PlanFileError::Format { found: first.quell.into_owned() });
        }
        let tool = first.tool.clone().into_owned();
        let mut keys = Map::new();
        keys.insert("digest".to_owned(), Value::String(first.digest.into_owned()));
        keys.insert("tool_version".to_owned(), Value::String(tool.clone()));
        let mut read = vec![self.line.clone()];
        let mut bytes = 0;
        loop {
            self.go_on()?;
            if !self.line.starts_with(br#"{"header":"#) {
                break;
            }
            bytes += self.line.len();
            if bytes > HEADER_BYTES_MAX {
                let bytes_max = HEADER_BYTES_MAX as u64;
                return Err(PlanFileError::TooLarge { what: "the header".to_owned(), bytes_max });
            }
            self.parsed::<Entry<'_>>()?.add_to(&mut keys).map_err(|what| self.wrong(what))?;
            read.push(self.line.clone());
        }
        let header: PlanHeader = serde_json::from_value(Value::Object(keys)).map_err(|e| PlanFileError::Line {
            line: self.number,
            what: format!(
                "the header before this line cannot be read: {}{}",
                inert::terminal(&e.to_string()),
                of_other_version(&tool)
            ),
        })?;
        let mut written = vec![lines::of_first(&header)?];
        written.extend(lines::of_header(&header)?);
        let differs = (0..written.len().max(read.len())).find(|line| written.get(*line) != read.get(*line));
        match differs {
            None => Ok(header),
            Some(line) => {
                let what = format!("this line is not as quell writes it{}", of_other_version(&tool));
                Err(PlanFileError::Line { line: line as u64 + 1, what })
            }
        }
    }

    /// The last line, and nothing after it.
    fn end(&mut self, counts: Counts) -> Result<(), PlanFileError> {
        let sum = lines::hexadecimal(self.sum.clone());
        let last: Last<'_> = self.parsed()?;
        if last.end != counts {
            return Err(self.wrong(format!(
                "it counts {} events, {} items and {} rows without an item, and there are {}, {} and {}",
                last.end.events,
                last.end.items,
                last.end.rows_without_item,
                counts.events,
                counts.items,
                counts.rows_without_item
            )));
        }
        if last.sha256 != sum {
            return Err(self.wrong("the sum is not that of the lines before: something in them was changed".to_owned()));
        }
        self.is_written_as(&lines::of_last(counts, &sum)?)?;
        match self.next_line()? {
            false => Ok(()),
            true => Err(self.wrong("there is something after the last line".to_owned())),
        }
    }

    fn parsed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, PlanFileError> {
        serde_json::from_slice(&self.line).map_err(|e| {
            let place = if e.column() > 0 { format!(" at column {}", e.column()) } else { String::new() };
            let whole = e.to_string();
            let words = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(words, _)| words);
            self.wrong(format!("this line cannot be read: {}{place}", inert::terminal(words)))
        })
    }

    fn is_written_as(&self, written: &[u8]) -> Result<(), PlanFileError> {
        if self.line == written { Ok(()) } else { Err(self.wrong("this line is not as quell writes it".to_owned())) }
    }

    fn wrong(&self, what: String) -> PlanFileError {
        PlanFileError::Line { line: self.number, what }
    }
}

/// A header of another version may have other keys.
fn of_other_version(tool: &str) -> String {
    let own = env!("CARGO_PKG_VERSION");
    if tool == own { String::new() } else { format!("; quell {tool:?} made this plan, and this is quell {own}") }
}

fn event(
    file: &Reading<'_>,
    header: &PlanHeader,
    number: u32,
    items: &mut Items,
    written: &mut Vec<u8>,
) -> Result<Event, PlanFileError> {
    let line: EventLine<'_> = file.parsed()?;
    let (event, own) = line.into_parts(number);
    if usize::from(event.place.source) >= header.sources.len() {
        return Err(file.wrong(format!("there is no source {} in this plan", event.place.source)));
    }
    for pair in own.windows(2) {
        if pair[0].0 >= pair[1].0 {
            return Err(file.wrong("the items of this event are not in order".to_owned()));
        }
    }
    for (number, item) in &own {
        let Some(step) = header.steps.get(usize::from(item.step)) else {
            return Err(file.wrong(format!("item {number} is of step {}, which this plan does not have", item.step)));
        };
        if !step.action.event_types.contains(&event.event_type) {
            let what = format!("item {number} is of a step whose action does not take {} events", event.event_type);
            return Err(file.wrong(what));
        }
    }
    lines::of_event(&event, own.iter().copied(), header, written)?;
    file.is_written_as(written)?;
    items.0.extend(own);
    Ok(event)
}

fn row(file: &Reading<'_>, written: &mut Vec<u8>) -> Result<RowWithoutItem, PlanFileError> {
    let row = file.parsed::<RowLine<RowWithoutItem>>()?.row_without_item;
    lines::of_row(&row, written)?;
    file.is_written_as(written)?;
    Ok(row)
}

/// Items with their numbers, as they came.
#[derive(Default)]
struct Items(Vec<(u32, PlannedItem)>);

impl Items {
    /// The items in order of their numbers: each from 0 once, and no target beyond them.
    fn in_order(self) -> Result<Vec<PlannedItem>, String> {
        let Self(mut items) = self;
        if !items.is_sorted_by_key(|(number, _)| *number) {
            items.sort_by_key(|(number, _)| *number);
        }
        let amiss = (0_u32..).zip(&items).find(|(expected, (number, _))| expected != number);
        if let Some((expected, _)) = amiss {
            return Err(format!("item {expected} is missing, or another is there twice"));
        }
        match items.iter().find(|(_, item)| item.target as usize >= items.len()) {
            Some((number, item)) => Err(format!("item {number} is of target {}, and there are fewer", item.target)),
            None => Ok(items.into_iter().map(|(_, item)| item).collect()),
        }
    }
}
