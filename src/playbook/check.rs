//! From a playbook as it is written to a playbook: what several keys mean together.
//!
//! Whatever could be read is checked, also when other parts of the file could not.

use super::caution::{Caution, DEDUPE_WINDOW};
use super::file::{
    ColumnsFile, Label, LimitsFile, PlaybookFile, PollingFile, ReportFile, SourceFile, StepFile, VarFile,
};
use super::released::{self, FlowFile, ReleaseFile};
use super::{ColumnsChoice, LimitsPatch, Playbook, PollingPatch, ReportFormat, ReportRequest, Source, SourceFrom};
use super::{Step, VarDeclaration};
use crate::problem::{Place, Problem, listed};
use crate::tenant::{Word, read_columns, read_guards, read_protected};
use crate::yaml::{AnyText, Entries, Field, Hint, Reader, Spanned, Written};
use std::collections::HashMap;
use std::path::Path;

const NOT_YET: &str = "this version of quell does not carry it out, so a file must not promise it: remove it";

const HINTS: [Hint; 2] =
    [Hint { key: "notify", help: NOT_YET }, Hint { key: "when", help: "a step's filter is called `where`" }];

pub(super) fn read(file: &Path, text: &str) -> (Option<Playbook>, Vec<Problem>) {
    let reader = Reader::new(&file.display().to_string(), text).with_hints(&HINTS);
    let parsed = reader.read::<PlaybookFile>().read();
    let playbook = parsed.map(|parsed| playbook(&reader, parsed.value, parsed.place, file, text));
    reader.end(playbook)
}

/// What could be read; whatever could not is a problem already.
fn playbook(reader: &Reader<'_>, parsed: PlaybookFile, place: Place, file: &Path, text: &str) -> Playbook {
    reader.require(parsed.version, "version", place);
    let name = reader.require(parsed.name, "name", place).map(|name| name.value.0.0);
    let steps = reader.require(parsed.steps, "steps", place).map(|steps| self::steps(reader, steps));
    let are_vars_known = !parsed.vars.is_refused();
    let mut playbook = Playbook {
        file: file.to_owned(),
        text: text.into(),
        name: name.unwrap_or_default(),
        description: parsed.description.value().map(|text| text.0).unwrap_or_default(),
        tenant: parsed.tenant.read().map(|tenant| tenant.map(|name| name.0.0)),
        vars: parsed.vars.value().map(|vars| self::vars(reader, vars)).unwrap_or_default(),
        comment: parsed.comment.read().map(|comment| comment.map(|text| text.0)),
        events: parsed.events.value().map(|sources| read_sources(reader, sources, file)).unwrap_or_default(),
        target: parsed.target.read().map(|column| column.map(|column| column.0.0)),
        steps: steps.unwrap_or_default(),
        limits: parsed.limits.value().map(limits).unwrap_or_default(),
        polling: parsed.polling.value().map(polling).unwrap_or_default(),
        caution: Caution {
            on_unknown: parsed.on_unknown.value(),
            dedupe_window: parsed.dedupe_window.value().map_or(DEDUPE_WINDOW, |window| window.0.0),
            overlap: parsed.overlap.value().map(|overlap| overlap.0).unwrap_or_default(),
        },
        release: released::release(
            reader,
            ReleaseFile {
                waves: parsed.waves,
                promote: parsed.promote,
                budget: parsed.failure_budget,
                stop_file: parsed.stop_file,
                go_url: parsed.go_url,
                windows: parsed.windows,
                blackouts: parsed.blackouts,
            },
        ),
        require_approval: parsed.require_approval.read().map(|file| file.value.read(file.place, reader)),
        guards: parsed.guards.value().map(|guards| read_guards(reader, guards)).unwrap_or_default(),
        protected: parsed.protected.value().map(|protected| read_protected(reader, protected)).unwrap_or_default(),
        reports: parsed.reports.value().map(|reports| self::reports(reader, reports)).unwrap_or_default(),
    };
    if !are_vars_known {
        // What names variables cannot be judged then: each would seem to be undeclared.
        playbook.comment = None;
        playbook.steps.iter_mut().for_each(|step| step.filter = None);
        playbook.require_approval.iter_mut().for_each(|approval| approval.when = None);
    }
    playbook
}

fn steps(reader: &Reader<'_>, files: Spanned<Vec<Field<StepFile>>>) -> Vec<Step> {
    if files.value.is_empty() {
        reader.report_help(files.place, "expected at least one step, found none", "a step is `{name: …, action: …}`");
    }
    let mut first_lines = HashMap::new();
    let mut earlier = Vec::new();
    let read = |file: Field<StepFile>| {
        let Spanned { value: file, place } = file.read()?;
        let StepFile { after, once, allow_failure, max_event_age, .. } = file;
        let flow = released::flow(reader, FlowFile { after, once, allow_failure, max_event_age }, &earlier);
        let name = reader.require(file.name, "name", place);
        let action = reader.require(file.action, "action", place);
        let filter = file.filter.read().map(|filter| filter.map(|AnyText(text)| text));
        let filter = filter.filter(|filter| {
            let is_empty = filter.value.trim().is_empty();
            if is_empty {
                reader.report_help(filter.place, "this filter is empty", "without `where` a step takes every event");
            }
            !is_empty
        });
        let name = name.map(|name| name.map(|Written(Label(name))| name));
        if let Some(name) = &name
            && let Some(line) = first_lines.insert(name.value.clone(), name.place.line)
        {
            let message = format!("there is a step `{}` already, on line {line}", name.value);
            reader.report_help(name.place, message, "give each step a name of its own");
        }
        let name = name.unwrap_or(Spanned { value: String::new(), place });
        earlier.push(name.value.clone());
        Some(Step { name, action: action?.map(|action| action.0.0), filter, flow })
    };
    files.value.into_iter().filter_map(read).collect()
}

fn vars(reader: &Reader<'_>, Entries(entries): Entries<VarFile>) -> Vec<VarDeclaration> {
    let read = |(name, file): (Spanned<String>, Field<VarFile>)| {
        if !is_identifier(&name.value) {
            let message = format!("`{}` cannot be the name of a variable", name.value);
            reader.report_help(name.place, message, "use letters, digits and `_`, and no digit first");
        }
        let (required, default) = match file.value() {
            Some(file) => (file.required.value().unwrap_or(false), file.default.read()),
            None => (false, None),
        };
        if let Some(default) = default.as_ref().filter(|_| required) {
            let message = format!("`{}` is required, so its default is never used", name.value);
            reader.report_help(default.place, message, "remove `required: true` or `default`");
        }
        VarDeclaration { name, required, default: default.map(|text| text.value.0) }
    };
    entries.into_iter().map(read).collect()
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Where events come from, as this file says it.
pub(crate) fn read_sources(reader: &Reader<'_>, files: Vec<Field<SourceFile>>, named_in: &Path) -> Vec<Source> {
    let mut stdin_line = None;
    let read = |file: Field<SourceFile>| {
        let Spanned { value: file, place } = file.read()?;
        let are_columns_known = !file.columns.is_refused();
        let columns = file.columns.read().map(|columns| self::columns(reader, columns));
        let from = match (file.file, file.inline) {
            (Field::Absent, Field::Absent) | (Field::Read(_) | Field::Refused, Field::Read(_) | Field::Refused) => {
                reader.report_help(
                    place,
                    "expected exactly one of `file` and `inline`",
                    "each source is an element of its own",
                );
                return None;
            }
            (Field::Absent, inline) => {
                let events = inline.value()?.into_iter().filter_map(Field::read);
                SourceFrom::Inline(events.map(|event| event.map(|event| event.0)).collect())
            }
            (path, _) => {
                let path = path.read()?.map(|Written(Word(path))| path);
                if path.value != "-" {
                    SourceFrom::File(path)
                } else {
                    if let Some(line) = stdin_line.replace(path.place.line) {
                        let message = format!("standard input is read already, on line {line}");
                        reader.report_help(path.place, message, "it can be read once only: name a file");
                    }
                    SourceFrom::Stdin
                }
            }
        };
        // Read without its mapping, such a source would seem to lack its columns.
        let empty_ok = file.empty.is_present();
        are_columns_known.then(|| Source { from, columns, empty_ok, file: named_in.to_owned() })
    };
    files.into_iter().filter_map(read).collect()
}

fn columns(reader: &Reader<'_>, columns: Spanned<ColumnsFile>) -> Spanned<ColumnsChoice> {
    let place = columns.place;
    let value = match columns.value {
        ColumnsFile::Text(name) => ColumnsChoice::Named(name.0.0),
        ColumnsFile::Mapping(entries) => {
            ColumnsChoice::InPlace(read_columns(reader, Spanned { value: entries, place }))
        }
    };
    Spanned { value, place }
}

fn limits(file: LimitsFile) -> LimitsPatch {
    LimitsPatch {
        requests: file.requests.read().map(|rate| rate.map(|rate| rate.0)),
        keep_free: file.keep_free.read().map(|rate| rate.map(|rate| rate.0)),
        concurrency: file.concurrency.read().map(|count| count.map(|count| count.0)),
        batch_size: file.batch_size.read().map(|count| count.map(|count| count.0)),
        act_timeout: file.act_timeout.read().map(|length| length.map(|length| length.0.0)),
        poll_timeout: file.poll_timeout.read().map(|length| length.map(|length| length.0.0)),
    }
}

fn polling(file: PollingFile) -> PollingPatch {
    PollingPatch {
        first_after: file.first_after.read().map(|length| length.map(|length| length.0.0)),
        interval: file.interval.read().map(|length| length.map(|length| length.0.0)),
        interval_max: file.interval_max.read().map(|length| length.map(|length| length.0.0)),
        deadline: file.deadline.read().map(|length| length.map(|length| length.0.0)),
        not_found_grace: file.not_found_grace.read().map(|length| length.map(|length| length.0.0)),
    }
}

fn reports(reader: &Reader<'_>, files: Vec<Field<ReportFile>>) -> Vec<ReportRequest> {
    let mut first_lines = HashMap::new();
    let read = |file: Field<ReportFile>| {
        let request = report(reader, file.read()?)?;
        if let Some(line) = first_lines.insert(request.path.value.clone(), request.path.place.line) {
            let message = format!("the report on line {line} is written to this path too");
            reader.report_help(request.path.place, message, "give each report a path of its own");
        }
        Some(request)
    };
    files.into_iter().filter_map(read).collect()
}

fn report(reader: &Reader<'_>, file: Spanned<ReportFile>) -> Option<ReportRequest> {
    const KINDS: [&str; 6] = ["text", "markdown", "json", "csv", "html", "template"];
    let Spanned { value: file, place } = file;
    let fields = [file.text, file.markdown, file.json, file.csv, file.html, file.template];
    let mut written = KINDS.into_iter().zip(fields).filter(|(_, field)| field.is_present());
    let (Some((kind, field)), None) = (written.next(), written.next()) else {
        reader.report_help(place, "expected exactly one kind of report", format!("the kinds are {}", listed(KINDS)));
        return None;
    };
    let value = field.read().map(|value| value.map(|Written(Word(text))| text));
    let format = match kind {
        "text" => ReportFormat::Text,
        "markdown" => ReportFormat::Markdown,
        "json" => ReportFormat::Json,
        "csv" => ReportFormat::Csv,
        "html" => ReportFormat::Html,
        _ => {
            let path = reader.require(file.path, "path", place)?.map(|Written(Word(path))| path);
            return Some(ReportRequest { format: ReportFormat::Template(value?.value.into()), path });
        }
    };
    if let Some(path) = file.path.read() {
        let help = format!("write the path as `{kind}: …`");
        reader.report_help(path.place, "`path` belongs to `template` only", help);
    }
    Some(ReportRequest { format, path: value? })
}
