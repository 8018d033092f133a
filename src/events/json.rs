//! JSON objects as events: how members become fields, for lines, documents and events written in a playbook.
//!
//! The layout is chosen by the first object that can be read, and then holds for all.

use super::columns::{self, Layout, Wanted};
use super::field::{self, Field, Given, shown};
use super::object::{self, Object};
use super::record::ROW_BYTES_MAX;
use super::sink::{Bad, RowAt, Sink, shortened};
use super::text::{Broken, Text, hexadecimal};
use super::{Event, Format, SourceRequest};
use crate::problem::{Place, Problem};
use crate::tenant::ColumnSource;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::Read;

/// How many names of a record messages and suggestions look at.
const NAMES_MAX: usize = 200;

/// Tells the format by the first bytes: `[` begins a document, `{` a document or lines, anything else is a table.
///
/// A first line that is a whole object, with more after it, is the first of many, unless it holds them all as `data`.
pub(super) fn sniff<R: Read>(text: &mut Text<R>) -> Result<Format, Broken> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    loop {
        let start = text.rest().iter().position(|byte| !is_space(byte));
        let rest = &text.rest()[start.unwrap_or(0)..];
        match (start, rest.first()) {
            (Some(_), Some(b'[')) => return Ok(Format::Json),
            (Some(_), Some(b'{')) => {
                if let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                    return Ok(if is_one_of_many(&rest[..end]) { Format::JsonLines } else { Format::Json });
                }
            }
            (Some(_), _) => return Ok(Format::Csv),
            (None, _) => {}
        }
        if text.rest().len() > ROW_BYTES_MAX || !text.fill()? {
            return Ok(if start.is_some() { Format::Json } else { Format::Csv });
        }
    }
}

fn is_one_of_many(line: &[u8]) -> bool {
    let object = std::str::from_utf8(line).ok().and_then(|line| Object::parse(line).ok());
    object.is_some_and(|object| !object.find("data").is_some_and(|data| data.starts_with('[')))
}

/// Reads one object a line. A last line without line end counts: its closing brace shows that it is whole.
pub(super) fn read_lines<R: Read>(
    text: &mut Text<R>,
    source: &SourceRequest<'_>,
    sink: &mut Sink,
) -> Result<(), Problem> {
    let mut binder = Binder::new(source);
    while let Some(length) = line_length(text, sink)? {
        let (line, byte) = (text.line(), text.byte());
        // A line ends before an ASCII byte or at the end of checked text.
        let raw = std::str::from_utf8(&text.rest()[..length]).expect("lines end between characters of checked text");
        if !raw.trim_ascii().is_empty() {
            let at = sink.row(line, Some(byte), 0)?;
            binder.take(raw, at, Some(raw), sink)?;
        }
        let end = usize::from(text.rest().len() > length);
        text.consume(length + end);
    }
    binder.finish(sink)
}

/// The length of the line that begins here, without its end; `None` at the end of the text.
fn line_length<R: Read>(text: &mut Text<R>, sink: &mut Sink) -> Result<Option<usize>, Problem> {
    let mut seen = 0;
    loop {
        let found = text.rest()[seen..].iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        seen = found.map_or(text.rest().len(), |at| seen + at);
        if seen > ROW_BYTES_MAX {
            let at = sink.row(text.line(), Some(text.byte()), 0)?;
            let what = format!("it is longer than {ROW_BYTES_MAX} bytes");
            return Err(sink.of_row(at, &what, "leave members out, or end each object's line"));
        }
        if found.is_some() {
            return Ok(Some(seen));
        }
        match text.fill() {
            Ok(true) => {}
            Ok(false) => return Ok((seen > 0).then_some(seen)),
            Err(broken) => return Err(bad_bytes(&broken, text, sink)),
        }
    }
}

/// Bad bytes in the row that begins here.
pub(super) fn bad_bytes<R: Read>(broken: &Broken, text: &Text<R>, sink: &Sink) -> Problem {
    let mut problem = sink.broken(broken, broken.byte().map_or(0, |at| text.line_at(at)));
    problem.message = format!("row {}, byte {}: {}", sink.next_row(), text.byte(), problem.message);
    problem
}

/// Reads events that are written in a playbook; their digest is that of their compact JSON, each with a line end.
pub(super) fn read_inline(
    events: &[(Place, Map<String, Value>)],
    source: &SourceRequest<'_>,
    sink: &mut Sink,
) -> Result<String, Problem> {
    let mut binder = Binder::new(source);
    let mut digest = Sha256::new();
    for (place, members) in events {
        let raw = Value::Object(members.clone()).to_string();
        digest.update(&raw);
        digest.update("\n");
        let at = sink.row(place.line, place.byte, place.column)?;
        binder.take(&raw, at, None, sink)?;
    }
    binder.finish(sink)?;
    Ok(hexadecimal(&digest.finalize()))
}

/// Turns the objects of one source into events.
pub(super) struct Binder<'s> {
    source: &'s SourceRequest<'s>,
    layout: Option<Layout>,
    /// Mapped paths without a default that no object had so far: probably misspelt.
    unseen: Vec<String>,
    scratch: String,
}

impl<'s> Binder<'s> {
    pub(super) fn new(source: &'s SourceRequest<'s>) -> Self {
        Self { source, layout: None, unseen: Vec::new(), scratch: String::new() }
    }

    /// Takes the object that is written as `raw`, or refuses it; an error ends the source. `line` is for show.
    pub(super) fn take(&mut self, raw: &str, at: RowAt, line: Option<&str>, sink: &mut Sink) -> Result<(), Problem> {
        let object = match Object::parse(raw) {
            Ok(object) => object,
            Err(error) => {
                let reason = object::reason(&error);
                let is_repeated = reason.ends_with("stands twice");
                let help = if is_repeated { "keep one of them" } else { "each event is one JSON object" };
                let span = line.and_then(|line| object::span_of(&error, line));
                sink.refuse(at, vec![Bad { span, ..Bad::new(reason).help(help) }], line);
                return Ok(());
            }
        };
        let layout = match self.layout.take() {
            Some(layout) => layout,
            None => self.choose(&object, at, line, sink)?,
        };
        self.unseen.retain(|path| object.find(path).is_none());
        match event(&object, &layout, at, raw, &mut self.scratch) {
            Ok(event) => sink.take(event, at),
            Err(bad) => sink.refuse(at, bad, line),
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// To be called after the last object.
    pub(super) fn finish(self, sink: &Sink) -> Result<(), Problem> {
        if self.unseen.is_empty() {
            return Ok(());
        }
        let paths: Vec<_> = self.unseen.iter().map(|path| shown(path)).collect();
        let message = format!("the mapping names what no record has: {}", paths.join(", "));
        Err(sink.of_file(message, "correct the path, or give it a default"))
    }

    /// Records may differ in what they hold, so a mapping that was asked for is taken as it is, and a record that has
    /// some of the native names is one with a fault.
    fn choose(&mut self, object: &Object<'_>, at: RowAt, line: Option<&str>, sink: &Sink) -> Result<Layout, Problem> {
        let has = |path: &str| object.find(path).is_some();
        let is_native = Field::REQUIRED.iter().any(|field| field.names().into_iter().any(has));
        let chosen = match self.source.columns {
            Some(asked) => Layout::of(asked),
            None => {
                let paths = object.paths(NAMES_MAX);
                match columns::choose(None, self.source.mappings, &has, &paths) {
                    Err(_) if is_native => Layout::of(&crate::tenant::Columns::default()),
                    chosen => chosen,
                }
            }
        };
        let layout = chosen.map_err(|unfit| Problem {
            line_text: line.map(shortened),
            ..sink.of_row(at, &unfit.message, unfit.help)
        })?;
        self.unseen =
            layout.mapped().filter(|(_, may_be_missing)| !may_be_missing).map(|(p, _)| p.to_owned()).collect();
        Ok(layout)
    }
}

fn event(object: &Object<'_>, layout: &Layout, at: RowAt, raw: &str, scratch: &mut String) -> Result<Event, Vec<Bad>> {
    let mut used = vec![false; object.members.len()];
    let mut given = [const { Given::Missing }; Field::COUNT];
    for field in Field::ALL {
        given[field as usize] = own(object, layout, field, &mut used)?;
    }
    let fields = field::check(given).map_err(|bad| {
        bad.into_iter().map(|(field, why)| bad_value(object, layout, field, &why, raw)).collect::<Vec<_>>()
    })?;
    push_attributes(object, layout, &used, scratch)?;
    Ok(fields.into_event(at.place, scratch))
}

/// What the object has for a field; marks the member that holds it.
fn own<'a>(object: &Object<'a>, layout: &'a Layout, field: Field, used: &mut [bool]) -> Result<Given<'a>, Vec<Bad>> {
    let source = match &layout.own[field as usize] {
        Wanted::Mapped(source) => source,
        Wanted::Native => {
            let [ours, theirs] = field.names();
            let native = |name: &str| object.position(name).filter(|_| !layout.names_column(name));
            return match (native(ours), native(theirs)) {
                (Some(first), Some(second)) if first != second => {
                    Err(vec![Bad::new(format!("both {ours} and {theirs} are there")).help("give only one of them")])
                }
                (Some(index), _) | (None, Some(index)) => {
                    used[index] = true;
                    Ok(object::given(object.members[index].1))
                }
                (None, None) => Ok(Given::Missing),
            };
        }
    };
    match source {
        ColumnSource::Constant(text) => Ok(Given::Text(Cow::Borrowed(text))),
        ColumnSource::Column { name, default } => {
            if let Some(index) = object.position(name) {
                used[index] = true;
            }
            let found = object.find(name).map_or(Given::Missing, object::given);
            match (found, default) {
                (Given::Missing, Some(default)) => Ok(Given::Text(Cow::Borrowed(default))),
                (found, _) => Ok(found),
            }
        }
    }
}

fn bad_value(object: &Object<'_>, layout: &Layout, field: Field, why: &field::BadValue, raw: &str) -> Bad {
    let found = match &layout.own[field as usize] {
        Wanted::Mapped(ColumnSource::Column { name, .. }) => object.find(name),
        Wanted::Mapped(ColumnSource::Constant(_)) => None,
        Wanted::Native => {
            let index = field.names().into_iter().find_map(|name| object.position(name));
            index.map(|index| object.members[index].1)
        }
    };
    let (label, near) = match &layout.own[field as usize] {
        Wanted::Mapped(ColumnSource::Column { name, .. }) if name != field.name() => {
            (format!("{} (column {})", field.name(), shown(name)), None)
        }
        Wanted::Native if field.names().into_iter().all(|name| object.position(name).is_none()) => {
            let paths = object.paths(NAMES_MAX);
            let near = columns::near_miss(field, &paths).map(|name| columns::suggestion(&[(field, name)]));
            (field.name().to_owned(), near)
        }
        _ => (field.name().to_owned(), None),
    };
    let span = found.and_then(|value| object::span_within(value, raw));
    Bad { help: near.or_else(|| why.help()), span, ..Bad::new(format!("{label} {why}")) }
}

/// Every member that is none of the event's own, then what the mapping adds.
fn push_attributes(object: &Object<'_>, layout: &Layout, used: &[bool], out: &mut String) -> Result<(), Vec<Bad>> {
    let mut names: Vec<&str> = Vec::with_capacity(object.members.len() + layout.attributes.len());
    out.clear();
    out.push('{');
    for (index, (key, value)) in object.members.iter().enumerate() {
        let before = names.len();
        for (name, source) in &layout.attributes {
            if let ColumnSource::Column { name: column, default } = source
                && column == key
            {
                push_member(out, name, Some(value), default.as_deref());
                names.push(name);
            }
        }
        if names.len() == before && !used[index] {
            push_member(out, key, Some(value), None);
            names.push(key);
        }
    }
    for (name, source) in &layout.attributes {
        match source {
            ColumnSource::Constant(text) => push_member(out, name, None, Some(text)),
            ColumnSource::Column { name: column, .. } if object.position(column).is_some() => continue,
            ColumnSource::Column { name: column, default } => match (object.find(column), default) {
                (None, None) => continue,
                (found, default) => push_member(out, name, found, default.as_deref()),
            },
        }
        names.push(name);
    }
    out.push('}');
    check_names(names)
}

fn check_names(mut names: Vec<&str>) -> Result<(), Vec<Bad>> {
    if let Some(name) = names.iter().find(|name| Field::named(name).is_some()) {
        let bad = Bad::new(format!("{} is there too, beside what is mapped", shown(name)));
        return Err(vec![bad.help("map it to a name of its own, or leave the field out of the mapping")]);
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let bad = Bad::new(format!("the mapping's name {} is also a member of its own", shown(pair[0])));
            Err(vec![bad.help("choose another name in the mapping")])
        }
        None => Ok(()),
    }
}

/// A default stands for what is missing, null or empty.
fn push_member(out: &mut String, name: &str, value: Option<&str>, default: Option<&str>) {
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str(&Value::from(name).to_string());
    out.push(':');
    let value = value.filter(|value| default.is_none() || !matches!(*value, "null" | "\"\""));
    match (value, default) {
        (Some(value), _) => object::push_compact(out, value),
        (None, Some(default)) => out.push_str(&Value::from(default).to_string()),
        (None, None) => out.push_str("null"),
    }
}
