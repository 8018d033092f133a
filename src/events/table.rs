//! CSV and TSV: a header, then one event a row.
//!
//! A row of another width is never shifted into place. Where a stray quote may have swallowed rows, the whole file is
//! refused, also when bad rows may be put aside: nobody could list the swallowed ones.

use super::columns::{self, Layout, Wanted};
use super::field::{self, Field, Given, shown};
use super::record::{Malformed, Record, Records};
use super::sink::{Bad, RowAt, Sink, shortened};
use super::text::Text;
use super::{Event, SourceRequest};
use crate::noun::count;
use crate::problem::Problem;
use crate::tenant::{ColumnSource, EventType};
use std::borrow::Cow;
use std::io::Read;

/// The columns of a table.
const COLUMNS_MAX: usize = 1000;
/// What else separates columns, for a hint.
const OTHER_DELIMITERS: [(u8, &str); 4] = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars"), (b',', "commas")];

/// Reads a table to its end.
pub(super) fn read<R: Read>(
    text: &mut Text<R>,
    delimiter: u8,
    source: &SourceRequest<'_>,
    sink: &mut Sink,
) -> Result<(), Problem> {
    let mut records = Records::new(text, delimiter);
    if !records.advance().map_err(|malformed| bad_header(&malformed, &records, delimiter, sink))? {
        return Ok(());
    }
    let mut table = Table::new(&records, delimiter, source, sink)?;
    loop {
        match records.advance() {
            Ok(true) => table.row(&records, sink)?,
            Ok(false) => return Ok(()),
            Err(malformed) => return Err(bad_record(&malformed, &records, sink)),
        }
    }
}

/// Where a value comes from.
enum Get {
    Nowhere,
    Constant(String),
    Cell { index: usize, default: Option<String> },
}

/// A column that is almost called like an optional field would be taken for an attribute, and its word ignored.
fn refuse_near_miss(field: Field, layout: &Layout, header: &[String]) -> Result<(), (String, String)> {
    let plain = |name: &str| columns::snake_case(name).replace('_', "");
    let near = header.iter().find(|name| plain(name) == plain(field.name()) && !layout.names_column(name));
    let Some(near) = near else { return Ok(()) };
    let message = format!("the column {} is almost called {}", shown(near), field.name());
    Err((message, columns::suggestion(&[(field, near)])))
}

impl Get {
    fn of(source: &ColumnSource, header: &[String]) -> Self {
        match source {
            ColumnSource::Constant(text) => Self::Constant(text.clone()),
            ColumnSource::Column { name, default } => {
                match (header.iter().position(|column| column == name), default) {
                    (Some(index), default) => Self::Cell { index, default: default.clone() },
                    (None, Some(default)) => Self::Constant(default.clone()),
                    (None, None) => Self::Nowhere,
                }
            }
        }
    }

    fn from<'a>(&'a self, record: &Record<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Nowhere => None,
            Self::Constant(text) => Some(Cow::Borrowed(text)),
            Self::Cell { index, default } => match (record.cell(*index), default) {
                (text, Some(default)) if text.is_empty() => Some(Cow::Borrowed(default)),
                (text, _) => Some(text),
            },
        }
    }

    fn index(&self) -> Option<usize> {
        match self {
            Self::Cell { index, .. } => Some(*index),
            _ => None,
        }
    }
}

struct Table {
    header: Vec<String>,
    own: [Get; Field::COUNT],
    /// Each with its name as JSON, quotes and colon included.
    attributes: Vec<(String, Get)>,
    /// Whether the last cell must be known to be whole, and whether it is the event type, which shows that itself.
    last_is_named: bool,
    last_is_event_type: bool,
    delimiter: u8,
    scratch: String,
}

impl Table {
    fn new<R: Read>(
        records: &Records<'_, R>,
        delimiter: u8,
        source: &SourceRequest<'_>,
        sink: &Sink,
    ) -> Result<Self, Problem> {
        let record = records.record();
        let header: Vec<String> = (0..record.cells.len()).map(|index| record.cell(index).into_owned()).collect();
        let refuse = |message: String, help: String| Problem {
            line_text: Some(shortened(&records.first_line())),
            ..sink.of_line(records.line(), Some(records.byte()), format!("header: {message}"), help)
        };
        check_header(&header).map_err(|(message, help)| refuse(message, help.to_owned()))?;
        let has = |name: &str| header.iter().any(|column| column == name);
        let layout = columns::choose(source.columns, source.mappings, &has, &header).map_err(|unfit| {
            let help = separated_by(record.raw, header.len(), delimiter).unwrap_or(unfit.help);
            refuse(unfit.message, help)
        })?;
        Self::with(header, &layout, delimiter).map_err(|(message, help)| refuse(message, help))
    }

    fn with(header: Vec<String>, layout: &Layout, delimiter: u8) -> Result<Self, (String, String)> {
        let mut own = [const { Get::Nowhere }; Field::COUNT];
        for field in Field::ALL {
            own[field as usize] = match &layout.own[field as usize] {
                Wanted::Mapped(source) => Get::of(source, &header),
                Wanted::Native => match native(field, layout, &header)? {
                    Some(index) => Get::Cell { index, default: None },
                    None => {
                        refuse_near_miss(field, layout, &header)?;
                        Get::Nowhere
                    }
                },
            };
        }
        let attributes = attributes(&header, &own, layout)?;
        let last = header.len() - 1;
        let last_is_event_type = own[Field::EventType as usize].index() == Some(last);
        let last_is_named = own.iter().any(|get| get.index() == Some(last)) || layout.names_column(&header[last]);
        let attributes =
            attributes.into_iter().map(|(name, get)| (format!("{}:", serde_json::Value::from(name)), get)).collect();
        Ok(Self { header, own, attributes, last_is_named, last_is_event_type, delimiter, scratch: String::new() })
    }

    fn row<R: Read>(&mut self, records: &Records<'_, R>, sink: &mut Sink) -> Result<(), Problem> {
        let record = records.record();
        let at = sink.row(records.line(), Some(records.byte()), 0)?;
        self.refuse_swallowed(&record, at, sink)?;
        match self.event(&record, at) {
            Ok(event) => {
                if !record.terminated && !self.last_is_event_type {
                    sink.unended(&self.header[self.header.len() - 1]);
                }
                sink.take(event, at);
            }
            Err(bad) => {
                let line = record.raw.split(['\r', '\n']).next();
                sink.refuse(at, bad, line);
            }
        }
        Ok(())
    }

    fn event(&mut self, record: &Record<'_>, at: RowAt) -> Result<Event, Vec<Bad>> {
        self.check_shape(record)?;
        let given = self.own.each_ref().map(|get| match get.from(record) {
            Some(text) if !text.is_empty() => Given::Text(text),
            _ => Given::Missing,
        });
        let fields = field::check(given).map_err(|bad| {
            bad.into_iter().map(|(field, why)| self.bad_value(record, field, &why)).collect::<Vec<_>>()
        })?;
        self.scratch.clear();
        self.scratch.push('{');
        for (name, get) in &self.attributes {
            let Some(text) = get.from(record) else { continue };
            if self.scratch.len() > 1 {
                self.scratch.push(',');
            }
            self.scratch.push_str(name);
            push_json(&mut self.scratch, &text);
        }
        self.scratch.push('}');
        Ok(fields.into_event(at.place, &self.scratch))
    }

    /// What is wrong with a row before its values are looked at.
    fn check_shape(&self, record: &Record<'_>) -> Result<(), Vec<Bad>> {
        let (cells, columns) = (record.cells.len(), self.header.len());
        if cells != columns {
            let mut bad = Bad::new(format!("it has {}, the header has {columns}", count(cells, "cell")));
            if !record.terminated {
                bad.reason.push_str(", and no line end follows: the file was probably cut");
            }
            let help = if cells > columns {
                "a cell that holds the separator must stand in quotes"
            } else {
                "empty cells need their separators too; copy or export the file again"
            };
            return Err(vec![bad.help(help)]);
        }
        let is_header = |(index, name): (usize, &String)| record.cell(index) == name.as_str();
        if self.header.iter().enumerate().all(is_header) {
            return Err(vec![Bad::new("it repeats the header").help("give each table its own file")]);
        }
        if !record.terminated && self.last_is_named {
            let last = record.cell(cells - 1);
            // No kind's word begins another's, so a whole word was not cut.
            if !(self.last_is_event_type && EventType::parse(&last).is_some()) {
                let name = shown(&self.header[cells - 1]);
                let reason = format!("no line end follows, so the cell {name} may have been cut: {}", shown(&last));
                return Err(vec![Bad {
                    span: span(record, cells - 1),
                    ..Bad::new(reason).help("copy the file again; if it is whole, end it with a line end")
                }]);
            }
        }
        Ok(())
    }

    fn bad_value(&self, record: &Record<'_>, field: Field, why: &field::BadValue) -> Bad {
        let get = &self.own[field as usize];
        let label = match get.index().map(|index| &self.header[index]) {
            Some(column) if column != field.name() => format!("{} (column {})", field.name(), shown(column)),
            _ => field.name().to_owned(),
        };
        let near = match get {
            Get::Nowhere => columns::near_miss(field, &self.header).map(|name| columns::suggestion(&[(field, name)])),
            _ => None,
        };
        Bad {
            reason: format!("{label} {why}"),
            help: near.or_else(|| why.help()),
            span: get.index().and_then(|index| span(record, index)),
        }
    }

    /// A quoted cell may hold lines. It may not be an id, it may not change the row's width, and it may not look like
    /// the end of one row and the beginning of another: then two stray quotes swallowed what lies between.
    fn refuse_swallowed(&self, record: &Record<'_>, at: RowAt, sink: &Sink) -> Result<(), Problem> {
        let Some(index) = record.cells.iter().position(|cell| cell.spans_lines) else { return Ok(()) };
        let refuse = |what: String| {
            let help = "look for a stray quote from here on; a quote inside a cell is written twice";
            Err(Problem {
                line_text: record.raw.split(['\r', '\n']).next().map(shortened),
                ..sink.of_row(at, &format!("{what}; a stray quote has probably swallowed rows"), help)
            })
        };
        let columns = self.header.len();
        if record.cells.len() != columns {
            let cells = count(record.cells.len(), "cell");
            return refuse(format!("it has {cells}, the header has {columns}, and a quoted one spans lines"));
        }
        let is_id = |get: &&Get| get.index().is_some_and(|index| record.cells[index].spans_lines);
        if let Some(field) = Field::ALL.into_iter().find(|field| is_id(&&self.own[*field as usize])) {
            let column = self.own[field as usize].index().map_or("", |index| &self.header[index]);
            return refuse(format!("{} (column {}) holds a line end", field.name(), shown(column)));
        }
        for index in (index..record.cells.len()).filter(|index| record.cells[*index].spans_lines) {
            if self.holds_rows(&record.cell(index), index) {
                return refuse(format!("the column {} holds what looks like rows", shown(&self.header[index])));
            }
        }
        if !record.terminated && record.cell(columns - 1).ends_with(['\r', '\n']) {
            return refuse("its last cell ends with the file's last line end".to_owned());
        }
        Ok(())
    }

    /// Whether this text, in this column, is the rest of a row, then any lines, then the beginning of a row, or has a
    /// whole row among its lines. Two ids that fit where they would stand are enough: text hardly has that by chance.
    fn holds_rows(&self, text: &str, column: usize) -> bool {
        let split = |line: &'_ str| line.split(char::from(self.delimiter)).map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<&str> = text.split(['\r', '\n']).collect();
        let (first, last) = (split(lines[0]), split(lines[lines.len() - 1]));
        let joined = [last.get(..column).unwrap_or(&[]), first.as_slice()].concat();
        let is_joined = last.len() == column + 1 && self.looks_like_row(&joined, Some(column));
        is_joined || lines[1..].iter().any(|line| self.looks_like_row(&split(line), None))
    }

    /// Whether these cells could be a row; `except` is not looked at.
    fn looks_like_row(&self, cells: &[String], except: Option<usize>) -> bool {
        let fits = |field: &&Field| match self.own[**field as usize].index() {
            Some(index) if Some(index) != except => {
                cells.get(index).is_some_and(|cell| field::is_plausible(**field, cell))
            }
            _ => false,
        };
        cells.len() == self.header.len() && Field::REQUIRED.iter().filter(fits).count() >= 2
    }
}

/// The column that natively holds the field, unless the mapping uses it for something else.
fn native(field: Field, layout: &Layout, header: &[String]) -> Result<Option<usize>, (String, String)> {
    let mut names = field.names().to_vec();
    names.dedup();
    let index = |name: &str| header.iter().position(|column| column == name && !layout.names_column(name));
    let found: Vec<usize> = names.into_iter().filter_map(index).collect();
    match found[..] {
        [] => Ok(None),
        [index] => Ok(Some(index)),
        _ => {
            let [ours, theirs] = field.names();
            let help = format!("say which: `columns: {{{ours}: {theirs}}}` at the source");
            Err((format!("both {ours} and {theirs} are there"), help))
        }
    }
}

/// Every column that is none of the event's own, in column order, then what the mapping adds.
fn attributes(header: &[String], own: &[Get], layout: &Layout) -> Result<Vec<(String, Get)>, (String, String)> {
    let mut attributes: Vec<(String, Get)> = Vec::new();
    for (index, column) in header.iter().enumerate() {
        let mapped = layout.attributes.iter().filter(|(_, source)| is_column(source, column));
        let before = attributes.len();
        attributes.extend(mapped.map(|(name, source)| (name.clone(), Get::of(source, header))));
        if attributes.len() == before && !own.iter().any(|get| get.index() == Some(index)) {
            attributes.push((column.clone(), Get::Cell { index, default: None }));
        }
    }
    for (name, source) in &layout.attributes {
        if !header.iter().any(|column| is_column(source, column)) {
            attributes.push((name.clone(), Get::of(source, header)));
        }
    }
    for (at, (name, _)) in attributes.iter().enumerate() {
        if Field::named(name).is_some() {
            let help = "map it to a name of its own, or leave the field out of the mapping".to_owned();
            return Err((format!("the column {} is there too, beside the one that is mapped", shown(name)), help));
        }
        if attributes[..at].iter().any(|(other, _)| other == name) {
            let help = "choose another name in the mapping".to_owned();
            return Err((format!("the mapping's name {} is also a column of its own", shown(name)), help));
        }
    }
    Ok(attributes)
}

fn is_column(source: &ColumnSource, column: &str) -> bool {
    matches!(source, ColumnSource::Column { name, .. } if name == column)
}

fn check_header(header: &[String]) -> Result<(), (String, &'static str)> {
    if header.len() > COLUMNS_MAX {
        return Err((format!("it has {} columns; at most {COLUMNS_MAX} are read", header.len()), "leave columns out"));
    }
    let mut sorted: Vec<_> = header.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1] && !pair[0].is_empty()) {
        return Err((format!("the column {} is there twice", shown(pair[0])), "rename or remove one of them"));
    }
    for (index, name) in header.iter().enumerate() {
        if name.is_empty() {
            let what = format!("column {} has no name", index + 1);
            return Err((what, "name it, or remove it; a separator at the line's end makes one column more"));
        }
        if name.contains(['\r', '\n']) {
            return Err((format!("the name of column {} holds a line end", index + 1), "look for a stray quote"));
        }
    }
    Ok(())
}

/// A hint when the header is rather separated by something else.
fn separated_by(line: &str, columns: usize, delimiter: u8) -> Option<String> {
    let others = OTHER_DELIMITERS.into_iter().filter(|(other, _)| *other != delimiter);
    let counted = others.map(|(other, name)| (line.bytes().filter(|byte| *byte == other).count(), other, name));
    let (most, other, name) = counted.max_by_key(|(count, ..)| *count)?;
    let advice = match other {
        b'\t' => "name the file .tsv",
        b',' => "name the file .csv",
        _ => "save it with commas, or with tabs as .tsv",
    };
    (most >= columns && most > 0).then(|| format!("the line looks separated by {name}: {advice}"))
}

fn bad_header<R: Read>(malformed: &Malformed, records: &Records<'_, R>, delimiter: u8, sink: &Sink) -> Problem {
    let line = records.first_line();
    let problem = match malformed {
        Malformed::Broken(broken) => return bad_bytes(broken, records, sink),
        _ => sink.of_line(records.line(), Some(records.byte()), format!("header: {malformed}"), quotes(malformed)),
    };
    let help = separated_by(&line, line.matches(char::from(delimiter)).count() + 1, delimiter).or(problem.help);
    Problem { line_text: Some(shortened(&line)), help, ..problem }
}

fn bad_record<R: Read>(malformed: &Malformed, records: &Records<'_, R>, sink: &mut Sink) -> Problem {
    if let Malformed::Broken(broken) = malformed {
        return bad_bytes(broken, records, sink);
    }
    match sink.row(records.line(), Some(records.byte()), 0) {
        Ok(at) => Problem {
            line_text: Some(shortened(&records.first_line())),
            ..sink.of_row(at, &malformed.to_string(), quotes(malformed))
        },
        Err(problem) => problem,
    }
}

fn bad_bytes<R: Read>(broken: &super::text::Broken, records: &Records<'_, R>, sink: &Sink) -> Problem {
    let mut problem = sink.broken(broken, broken.byte().map_or(0, |at| records.line_at(at)));
    problem.message = format!("row {}, byte {}: {}", sink.next_row(), records.byte(), problem.message);
    problem
}

fn quotes(malformed: &Malformed) -> &'static str {
    match malformed {
        Malformed::TooLong => "leave columns out",
        _ => "a cell with quotes, separators or line ends stands in quotes, and a quote inside it is written twice",
    }
}

/// Column and length of a cell, where the row is one line.
fn span(record: &Record<'_>, index: usize) -> Option<(u32, u32)> {
    let cell = record.cells.get(index)?;
    if record.cells.iter().any(|cell| cell.spans_lines) {
        return None;
    }
    let chars = |text: &str| u32::try_from(text.chars().count()).ok();
    Some((chars(&record.raw[..cell.start])? + 1, chars(&record.raw[cell.start..cell.end])?.max(1)))
}

/// Appends a text as a JSON string.
fn push_json(out: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push_str(&serde_json::Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}
