//! Where events come from, and how their columns are called: what was typed, what a playbook says, what a test puts in its
//! place.

use super::inputs::at;
use crate::cli::Selection;
use crate::error::Failure;
use crate::events::Input;
use crate::playbook::{self, ColumnsChoice, Playbook, SourceFrom};
use crate::problem::{Place, Problem, listed, nearest};
use crate::tenant::{self, ColumnSource, Columns, Tenant};
use std::path::{Path, PathBuf};

/// `--map`, as a mapping.
pub(super) fn mapped_columns(selection: &Selection, problems: &mut Vec<Problem>) -> Option<Columns> {
    for (place, (field, column)) in selection.map.iter().enumerate() {
        let flag = format!("--map {field}={column}");
        if let Some(own) = tenant::misspelt_field(field) {
            let problem = Problem::new(flag, Place::default(), format!("`{field}` is not a field of an event"));
            problems.push(problem.with_help(format!("did you mean `{own}`?")));
        } else if selection.map[..place].iter().any(|(earlier, _)| earlier == field) {
            problems.push(Problem::new(flag, Place::default(), format!("`{field}` is mapped twice")));
        }
    }
    let column = |name: &String| ColumnSource::Column { name: name.clone(), default: None };
    let columns = selection.map.iter().map(|(field, name)| (field.clone(), column(name))).collect::<Vec<_>>();
    (!columns.is_empty()).then_some(Columns(columns))
}

/// `--events` takes the place of all of a playbook's sources. When these are read in different ways, nobody can say
/// which of them is meant, and a guess may make isolations of detections.
pub(super) fn refuse_to_guess_columns(selection: &Selection, playbook: Option<&Playbook>) -> Result<(), Failure> {
    let Some(playbook) = playbook.filter(|_| !selection.events.is_empty()) else { return Ok(()) };
    let how = |source: &playbook::Source| (source.columns.as_ref().map(|choice| choice.value.clone()), source.empty_ok);
    let mut ways = playbook.events.iter().map(how);
    let first = ways.next();
    if ways.all(|way| Some(&way) == first.as_ref()) {
        return Ok(());
    }
    Err(Failure::Usage(
        "--events replaces all of the playbook's sources, and these differ in `columns` or `empty`: it cannot be known \
         how to read the new file\nhelp: change the files that the playbook names, or give each source the same columns"
            .to_owned(),
    ))
}

/// Where events come from, each with the source of the playbook that says how it is read: what replaces the
/// playbook's files is read as the first of them.
pub(super) fn inputs_of<'a>(
    selection: &Selection,
    playbook: &'a Playbook,
) -> Vec<(Option<&'a playbook::Source>, Input)> {
    if selection.events.is_empty() {
        return playbook.events.iter().map(|source| (Some(source), source_input(source))).collect();
    }
    selection.events.iter().map(|file| (playbook.events.first(), input_of(file, file.clone()))).collect()
}

pub(super) fn as_file(input: Input) -> Option<(String, PathBuf)> {
    match input {
        Input::File { name, path } => Some((name, path)),
        Input::Stdin | Input::Inline { .. } => None,
    }
}

/// How a source's columns are called; an error is a problem already.
pub(super) fn columns_of<'a>(
    playbook: &'a Playbook,
    source: Option<&'a playbook::Source>,
    tenant: &'a Tenant,
    problems: &mut Vec<Problem>,
) -> Result<Option<&'a Columns>, ()> {
    let Some(choice) = source.and_then(|source| source.columns.as_ref()) else { return Ok(None) };
    match &choice.value {
        ColumnsChoice::InPlace(columns) => Ok(Some(columns)),
        ColumnsChoice::Named(name) => match tenant.columns.iter().find(|(known, _)| known == name) {
            Some((_, columns)) => Ok(Some(columns)),
            None => {
                problems.push(no_such_columns(playbook, source, (choice.place, name), tenant));
                Err(())
            }
        },
    }
}

fn no_such_columns(
    playbook: &Playbook,
    source: Option<&playbook::Source>,
    (place, name): (Place, &str),
    tenant: &Tenant,
) -> Problem {
    let known = || tenant.columns.iter().map(|(name, _)| name.as_str());
    let help = match (nearest(name, known()), known().next()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(_)) => format!("the tenant {} has {}", tenant.name, listed(known())),
        (None, None) => format!("the tenant {} has no column mappings", tenant.name),
    };
    let message = format!("there is no column mapping `{name}`");
    match source.filter(|source| source.file != playbook.file) {
        Some(source) => Problem::new(&*source.file.to_string_lossy(), place, message),
        None => at(playbook, place, message),
    }
    .with_help(help)
}

fn source_input(source: &playbook::Source) -> Input {
    match &source.from {
        SourceFrom::Stdin => Input::Stdin,
        SourceFrom::File(name) => {
            let folder = source.file.parent().unwrap_or(Path::new(""));
            Input::File { name: name.value.clone(), path: folder.join(&name.value) }
        }
        SourceFrom::Inline(events) => Input::Inline {
            name: source.file.to_string_lossy().into_owned(),
            events: events.iter().map(|event| (event.place, event.value.clone())).collect(),
        },
    }
}

pub(super) fn input_of(name: &Path, path: PathBuf) -> Input {
    if name == Path::new("-") { Input::Stdin } else { Input::File { name: name.to_string_lossy().into_owned(), path } }
}
