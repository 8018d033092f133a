//! Events: the rows of the input files, each checked and located.
//!
//! It decides nothing about actions. A row is either read whole and unaltered or refused with its row and byte.

use crate::tenant::EventType;

/// What was read from all sources, in order.
#[derive(Debug, Default)]
pub struct Events {
    /// The sources' names as the user wrote them; `<stdin>`, and `playbook.yaml` for inline events.
    pub sources: Vec<String>,
    /// The rows that were read whole, in input order.
    pub rows: Vec<Event>,
    /// The rows that were refused (only when bad rows are allowed; otherwise reading fails with all problems).
    pub refused: Vec<RefusedRow>,
    /// SHA-256 of each source's bytes as they were read, in hexadecimal.
    pub digests: Vec<String>,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowPlace {
    /// Number of the row over all sources, from 1: data rows only.
    pub row: u32,
    /// Index into [`Events::sources`].
    pub source: u16,
    /// Line on which the row begins in its source, from 1.
    pub line: u32,
}

/// One detection on one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands in the input.
    pub place: RowPlace,
    /// Printable ASCII without spaces, 1 to 256 bytes, unaltered.
    pub agent_id: Box<str>,
    /// Printable ASCII without spaces, 1 to 256 bytes, unaltered.
    pub event_id: Box<str>,
    /// The kind of event.
    pub event_type: EventType,
    /// The process id; 0 where none is given (never for `PROCESS`).
    pub pid: u32,
    /// Always text: a signed 64-bit number or a uuid.
    pub unique_id: Box<str>,
    /// The action column's word as written, where the file has one and the cell is not empty.
    pub action: Option<Box<str>>,
    /// Every other column, as the text of one JSON object in column order, under the names of the input.
    pub attributes: Box<str>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Where it stands.
    pub place: RowPlace,
    /// Byte offset of the row in its source.
    pub byte: u64,
    /// Why, as one line.
    pub reason: String,
}
