//! Users' own templates (Tera), over the view that the JSON report holds.
//!
//! A template sees `run`, `summary`, `items` (all that need a person and the first 10,000 others), `items_left_out` and
//! `rows_without_item`, and nothing else: there is no function that reads files, environment, time or randomness, and
//! no other file can be included. A name that the report does not have is an error, in conditions too. Texts hold no
//! control characters; names that end in `.html`, `.htm`, `.xml` or `.svg` (with or without `.tera`) are escaped.

use super::fields::{self, Misnamed};
use super::pick::{Limits, Picked};
use super::view::{ItemView, RowView, RunView, SummaryView};
use super::{ReportError, Source, attributes, inert};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tera::{Context, Tera};

const LIMITS: Limits = Limits { needs_person_max: usize::MAX, others_max: 10_000 };
/// How large a template may be.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;
/// How large what it renders may be.
const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// How many numbers a template may count through.
const RANGES_MAX: u64 = 1_000_000;
/// Names that are escaped as HTML.
const ESCAPED: [&str; 8] = [".html", ".htm", ".xml", ".svg", ".html.tera", ".htm.tera", ".xml.tera", ".svg.tera"];

pub(super) fn write(source: &Source<'_>, path: &Path, out: &mut dyn Write) -> Result<(), ReportError> {
    let (name, text) = read_named(path)?;
    out.write_all(&render_text(&name, &text, source)?)?;
    Ok(())
}

/// What a template of this text renders; its name decides how it is escaped, and stands in its errors.
pub fn render_text(name: &str, text: &str, source: &Source<'_>) -> Result<Vec<u8>, ReportError> {
    let tera = checked(name, text, &fields::TOP, fields::RUN)?;
    render(&tera, name, &context(source)?)
}

/// Whether a user's template can be read and names only what a report has.
pub(super) fn check(path: &Path) -> Result<(), ReportError> {
    let (name, text) = read_named(path)?;
    checked(&name, &text, &fields::TOP, fields::RUN).map(drop)
}

fn read_named(path: &Path) -> Result<(String, String), ReportError> {
    let name = path.display().to_string();
    let text =
        read(path).map_err(|cause| ReportError::File { doing: "read the template", path: name.clone(), cause })?;
    Ok((name, text))
}

/// Renders a report's path from the values that may be part of one.
pub(super) fn render_path(template: &str, run: &[(&str, &str)]) -> Result<String, ReportError> {
    let tera = checked(template, template, &["run"], fields::RUN_IN_PATH)?;
    let values: Map<String, Value> = run.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
    let mut context = Context::new();
    context.insert("run", &values);
    tera.render(template, &context).map_err(|error| located(template, &error))
}

/// A Tera instance with our filters and escaping, and no template yet.
pub(super) fn tera() -> Tera {
    let mut tera = Tera::new();
    tera.autoescape_on(ESCAPED);
    tera.set_escape_fn(inert::html);
    let spent = AtomicU64::new(0);
    tera.register_function("range", move |kwargs: tera::Kwargs, _: &tera::State| range(&kwargs, &spent));
    tera.register_filter("markdown", |text: &str, _: tera::Kwargs, _: &tera::State| inert::markdown(text));
    tera.register_filter("csv_cell", |text: &str, _: tera::Kwargs, _: &tera::State| inert::csv_cell(text).into_owned());
    tera.register_filter("one_line", |text: &str, _: tera::Kwargs, _: &tera::State| inert::terminal(text).into_owned());
    tera
}

/// Tera's `range(start=0, end, step_by=1)`, with a limit over all calls: loops in loops would never end otherwise.
fn range(kwargs: &tera::Kwargs, spent: &AtomicU64) -> tera::TeraResult<Vec<i64>> {
    let (start, end) = (kwargs.get::<i64>("start")?.unwrap_or(0), kwargs.must_get::<i64>("end")?);
    let step = usize::try_from(kwargs.get::<i64>("step_by")?.unwrap_or(1)).ok().filter(|&step| step > 0);
    let step = step.ok_or_else(|| tera::Error::message("`step_by` of `range` must be at least 1"))?;
    let length = end.saturating_sub(start).max(0).unsigned_abs().div_ceil(step as u64);
    if spent.fetch_add(length, Ordering::Relaxed).saturating_add(length) > RANGES_MAX {
        return Err(tera::Error::message(format!("all calls of `range` together give more than {RANGES_MAX} numbers")));
    }
    Ok((start..end).step_by(step).collect())
}

/// Renders into memory up to the limit, so that a template that fails or runs wild writes nothing.
pub(super) fn render(tera: &Tera, name: &str, context: &Context) -> Result<Vec<u8>, ReportError> {
    let mut capped = Capped { bytes: Vec::new(), over: false };
    let rendered = tera.render_to(name, context, &mut capped);
    if capped.over {
        let message = format!("it renders more than {} MiB; show fewer items or fields", OUTPUT_BYTES_MAX >> 20);
        return Err(ReportError::Template { path: name.to_owned(), line: 0, column: 0, message });
    }
    rendered.map_err(|error| located(name, &error))?;
    Ok(capped.bytes)
}

/// The template as parsed, all its names checked: Tera itself takes a misspelt one in a condition for false.
fn checked(name: &str, text: &str, top: &[&str], run: &'static [&'static str]) -> Result<Tera, ReportError> {
    let mut tera = tera();
    tera.add_raw_template(name, text).map_err(|error| located(name, &error))?;
    let misnamed = |found: Misnamed| ReportError::Template {
        path: name.to_owned(),
        line: found.line,
        column: found.column,
        message: found.message,
    };
    let unknown = tera.get_template_variables(name).map_err(|error| located(name, &error))?;
    let mut unknown: Vec<&str> = unknown.into_iter().filter(|variable| !top.contains(variable)).collect();
    unknown.sort_unstable();
    if let Some(variable) = unknown.first() {
        return Err(misnamed(fields::unknown_variable(text, variable, top)));
    }
    fields::check(text, run).map_err(misnamed)?;
    Ok(tera)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    file.take(TEMPLATE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > TEMPLATE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn context(source: &Source<'_>) -> Result<Context, ReportError> {
    let picked = Picked::of(source, LIMITS)?;
    let left_out = picked.others_left_out();
    let summary = SummaryView::of(source, &picked.summary)?;
    let mut picked: Vec<_> = picked.needs_person.into_iter().chain(picked.others).collect();
    picked.sort_by_key(|(row, _)| row.item);
    let mut items = Vec::with_capacity(picked.len());
    for (row, ending) in &picked {
        let pairs = attributes::of(row)?.0.into_iter();
        let values: Map<String, Value> = pairs.map(|(name, value)| (name, attributes::as_value(&value))).collect();
        items.push(inert_value(&ItemView::of(source, row, ending, values)?)?);
    }
    let rows = source.rows_without_item.iter();
    let rows = rows.map(|row| inert_value(&RowView::of(source, row)?)).collect::<Result<Vec<_>, _>>()?;
    let mut context = Context::new();
    context.insert_value("run", inert_value(&RunView::of(source))?);
    context.insert_value("summary", inert_value(&summary)?);
    context.insert_value("items", tera::Value::from(items));
    context.insert_value("items_left_out", left_out.into());
    context.insert_value("rows_without_item", tera::Value::from(rows));
    Ok(context)
}

/// A value for Tera whose texts cannot act on a terminal, whatever the template is for.
fn inert_value(value: &impl Serialize) -> Result<tera::Value, ReportError> {
    let mut value = serde_json::to_value(value).map_err(|error| ReportError::Output(error.into()))?;
    make_inert(&mut value);
    Ok(tera::Value::from_serializable(&value))
}

fn make_inert(value: &mut Value) {
    match value {
        Value::String(text) => *text = inert::lines(text).into_owned(),
        Value::Array(all) => all.iter_mut().for_each(make_inert),
        Value::Object(map) => {
            let entries = std::mem::take(map).into_iter();
            *map = entries
                .map(|(name, mut value)| {
                    make_inert(&mut value);
                    (inert::lines(&name).into_owned(), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What Tera says of a missing value at the end of a path.
const UNDEFINED: &str = "Tried to render a variable that is undefined";

/// Tera's error with its place. What it says may hold data, so it is made inert.
fn located(name: &str, error: &tera::Error) -> ReportError {
    let (line, column, message) = match error.kind() {
        tera::ErrorKind::SyntaxError(report) | tera::ErrorKind::RenderingError(report) => {
            (report.span().start_line, report.span().start_col + 1, report.message().to_owned())
        }
        _ => from_words(&error.to_string()),
    };
    if message.starts_with(UNDEFINED) {
        let message = "there is no such value here; use `| default(value=\"\")` where it may be missing".to_owned();
        return ReportError::Template { path: name.to_owned(), line, column, message };
    }
    let message = inert::shorten(&inert::terminal(&message), 500).into_owned();
    ReportError::Template { path: name.to_owned(), line, column, message: lower_first(&message) }
}

/// Unknown filters and the like come as ready-made text: `error: …`, then ` --> name:line:column`.
fn from_words(text: &str) -> (usize, usize, String) {
    let mut lines = text.lines();
    let message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let place = lines.next().filter(|line| line.trim_start().starts_with("--> ")).unwrap_or_default();
    let mut numbers = place.rsplit(':').map_while(|number| number.trim().parse().ok());
    let column = numbers.next();
    match (numbers.next(), column) {
        (Some(line), Some(column)) => (line, column, message),
        _ => (0, 0, message),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Memory that refuses to grow beyond the limit.
struct Capped {
    bytes: Vec<u8>,
    over: bool,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
