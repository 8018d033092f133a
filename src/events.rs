//! Events: the rows of the input files, each checked and located.
//!
//! It decides nothing about actions. A row is either read whole and unaltered or refused with its row and byte; a
//! source that cannot be trusted as a whole (its encoding, its quotes, its header) is refused whole. Every problem of
//! every source is found in one reading, and sources are streamed: what stays in memory is the rows.

mod columns;
mod document;
mod field;
mod json;
mod object;
mod record;
mod sink;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;

use crate::problem::{Place, Problem};
use crate::tenant::{Columns, EventType};
use sink::Sink;
use source::{Refused, Regular};
use std::io::Read;
use std::path::{Path, PathBuf};
use text::Text;

pub use columns::snake_case;

/// What was read from all sources, in order.
#[derive(Debug, Default)]
pub struct Events {
    /// The sources' names as the user wrote them; `<stdin>`, and `playbook.yaml` for inline events.
    pub sources: Vec<String>,
    /// The rows that were read whole, in input order.
    pub rows: Vec<Event>,
    /// Byte offset of each of these rows in its source, `None` for events that have no bytes of their own; as long as
    /// `rows`, or empty.
    pub bytes: Vec<Option<u64>>,
    /// The rows that were refused (only when bad rows are allowed; otherwise reading fails with all problems).
    pub refused: Vec<RefusedRow>,
    /// Columns of which the last cell may have been cut, since no line end follows it: rows are as whole as they have
    /// to be, but no filter may judge by these.
    pub unended: Vec<String>,
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

/// What to read.
#[derive(Debug)]
pub struct Request<'a> {
    /// The sources, in order.
    pub sources: Vec<SourceRequest<'a>>,
    /// Whether a bad row is put aside instead of failing the reading. Faults of a whole source stay fatal.
    pub partial: bool,
}

/// One source, and how to read it.
#[derive(Debug)]
pub struct SourceRequest<'a> {
    /// Where it is.
    pub input: Input,
    /// The mapping that was asked for. It must fit; fields that it does not name are taken by their native names.
    pub columns: Option<&'a Columns>,
    /// The tenant's named mappings: without [`SourceRequest::columns`] and native names, the one that fits is taken.
    pub mappings: &'a [(String, Columns)],
    /// Whether no rows are fine.
    pub empty_ok: bool,
    /// By default the ending of a file decides, and the first bytes of standard input.
    pub format: Option<Format>,
}

/// See [`SourceRequest`].
#[derive(Debug)]
pub enum Input {
    /// A regular file.
    File {
        /// As the user wrote it.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// Standard input, which can be read once.
    Stdin,
    /// Events that are written in a playbook.
    Inline {
        /// The playbook's name as the user wrote it.
        name: String,
        /// Each with its place in the playbook.
        events: Vec<(Place, serde_json::Map<String, serde_json::Value>)>,
    },
}

impl Input {
    /// The name that messages and reports give it.
    pub fn name(&self) -> &str {
        match self {
            Self::File { name, .. } | Self::Inline { name, .. } => name,
            Self::Stdin => "<stdin>",
        }
    }
}

/// How a source is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, separated by commas, with any line end.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// An array of objects, `{"data": [..]}`, or one object.
    Json,
    /// One object a line.
    JsonLines,
}

impl Format {
    /// By a file's ending: `.csv`, `.tsv`, `.json`, `.jsonl`, `.ndjson`, without regard to case.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// Reads all sources, or says everything that is wrong with them.
///
/// Problems of a row begin with `row N, byte B:`, where N counts the data rows of all sources and B is the row's offset
/// in the original bytes of its file.
///
/// The last row of a CSV file may lack its line end; then nothing shows that its last cell is whole. Such a row is
/// refused when that cell is one of the event's own fields or named by the mapping, and taken when it is a further
/// attribute. (An event type is taken: no kind's word begins another's.)
pub fn read(request: &Request<'_>) -> Result<Events, Vec<Problem>> {
    read_with(request, &mut std::io::stdin().lock())
}

/// As [`read`], with another standard input.
pub(crate) fn read_with(request: &Request<'_>, stdin: &mut dyn Read) -> Result<Events, Vec<Problem>> {
    let mut sink = Sink::new(request.partial);
    let mut stdin = Some(stdin);
    for source in &request.sources {
        sink.begin(source.input.name());
        let digest = read_source(source, &mut stdin, &mut sink);
        sink.end(digest, source.empty_ok);
    }
    sink.finish()
}

/// Reads one source and gives the digest of its bytes; an error ends its reading.
fn read_source(
    source: &SourceRequest<'_>,
    stdin: &mut Option<&mut dyn Read>,
    sink: &mut Sink,
) -> Result<String, Problem> {
    match &source.input {
        Input::Inline { events, .. } => json::read_inline(events, source, sink),
        Input::Stdin => match stdin.take() {
            Some(stdin) => read_text(Text::new(stdin), source.format, source, sink),
            None => Err(sink.of_file("standard input can be read only once", "name it in one source")),
        },
        Input::File { path, .. } => {
            let refuse = |refused: Refused, sink: &Sink| sink.of_file(refused.to_string(), refused.help());
            let regular = Regular::open(path).map_err(|refused| refuse(refused, sink))?;
            let Some(format) = source.format.or_else(|| Format::of(path)) else {
                let endings = "known endings: .csv, .tsv, .json, .jsonl, .ndjson";
                return Err(sink.of_file("its ending does not say how it is written", endings));
            };
            let digest = read_text(Text::new(&regular.file), Some(format), source, sink)?;
            regular.is_unchanged().map_err(|refused| refuse(refused, sink))?;
            Ok(digest)
        }
    }
}

fn read_text<R: Read>(
    mut text: Text<R>,
    format: Option<Format>,
    source: &SourceRequest<'_>,
    sink: &mut Sink,
) -> Result<String, Problem> {
    let format = match format {
        Some(format) => format,
        None => {
            json::sniff(&mut text).map_err(|broken| sink.broken(&broken, text.line_at(broken.byte().unwrap_or(0))))?
        }
    };
    match format {
        Format::Csv => table::read(&mut text, b',', source, sink)?,
        Format::Tsv => table::read(&mut text, b'\t', source, sink)?,
        Format::Json => document::read(&mut text, source, sink)?,
        Format::JsonLines => json::read_lines(&mut text, source, sink)?,
    }
    Ok(text.digest())
}
