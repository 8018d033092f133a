//! From what was selected on the command line to a plan: finds and reads the playbook, its tenant and its events, and
//! says all problems of all of them in one pass.

use crate::cli::Selection;
use crate::error::Failure;
use crate::events::{self, Events, Input, SourceRequest};
use crate::plan::{self, AdHoc, Plan, Work};
use crate::playbook::{self, ColumnsChoice, LimitsPatch, Playbook, PollingPatch, SourceFrom};
use crate::problem::{Place, Problem};
use crate::simulator::{Options, SimAction, Simulator};
use crate::tenant::{self, ColumnSource, Columns, Tenant};
use crate::yaml;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the built-in simulator pretends to be.
const SIMULATOR_URL: &str = "http://127.0.0.1";

/// A plan and what it takes to carry it out.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// The simulator that stands in for the tenant, if one does.
    pub simulator: Option<Simulator>,
}

/// Reads everything and plans.
pub fn prepare(selection: &Selection, simulate: bool) -> Result<Prepared, Failure> {
    if is_yaml(&selection.file) { from_playbook(selection, simulate) } else { from_events(selection, simulate) }
}

/// Whether a file is a playbook or tenant by its ending.
pub fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

fn from_playbook(selection: &Selection, simulate: bool) -> Result<Prepared, Failure> {
    refuse_what_is_for_events(selection)?;
    let text = read_yaml(&selection.file)?;
    let (playbook, mut problems) = playbook::examine(&selection.file, &text);
    let asked = playbook.as_ref().map(|playbook| playbook.tenant.as_ref().map(|name| name.value.as_str()));
    let whole = problems.is_empty();
    let located = match find_tenant(selection, asked, simulate, &mut problems) {
        Ok(located) => located,
        Err(_) if !whole => return Err(Failure::Problems(problems)),
        Err(failure) => return Err(failure),
    };
    let (Some(mut playbook), Some((tenant, simulator))) = (playbook, located) else {
        return Err(Failure::Problems(problems));
    };
    if !whole {
        problems.extend(against_tenant(&playbook, &tenant));
        return Err(Failure::Problems(problems));
    }
    if simulate {
        // The simulator's own limits and polling are far quicker than any tenant's: tightening makes no sense there.
        playbook.limits = LimitsPatch::default();
        playbook.polling = PollingPatch::default();
    }
    let events = keep(read_playbook_events(selection, &playbook, &tenant, &mut problems), &mut problems);
    let Some(events) = events else { return Err(Failure::Problems(problems)) };
    plan_it(selection, Work::Playbook(&playbook), &tenant, events, simulator, problems)
}

fn from_events(selection: &Selection, simulate: bool) -> Result<Prepared, Failure> {
    if !selection.events.is_empty() {
        return Err(Failure::Usage("--events replaces a playbook's events; FILE is an events file already".to_owned()));
    }
    if !selection.vars.is_empty() {
        return Err(Failure::Usage("--var sets a playbook's variables; an events file has none".to_owned()));
    }
    let mut problems = Vec::new();
    let located = find_tenant(selection, Some(None), simulate, &mut problems)?;
    let Some((tenant, simulator)) = located else { return Err(Failure::Problems(problems)) };
    let mapped = mapped_columns(selection);
    let source = SourceRequest {
        input: input_of(&selection.file, selection.file.clone()),
        columns: mapped.as_ref(),
        mappings: &tenant.columns,
        empty_ok: false,
        format: None,
    };
    let read = events::read(&events::Request { sources: vec![source], partial: selection.partial_input });
    let Some(events) = keep(read, &mut problems) else { return Err(Failure::Problems(problems)) };
    let stem = if selection.file == Path::new("-") { None } else { selection.file.file_stem() };
    let ad_hoc = AdHoc {
        name: stem.map_or_else(|| "stdin".to_owned(), |stem| stem.to_string_lossy().into_owned()),
        action: selection.action.clone(),
        filter: selection.filter.clone(),
        comment: selection.comment.clone(),
        reports: Vec::new(),
    };
    plan_it(selection, Work::AdHoc(ad_hoc), &tenant, events, simulator, problems)
}

fn plan_it(
    selection: &Selection,
    work: Work<'_>,
    tenant: &Tenant,
    events: Events,
    simulator: Option<Simulator>,
    mut problems: Vec<Problem>,
) -> Result<Prepared, Failure> {
    let mut vars = std::collections::BTreeMap::new();
    for (name, value) in &selection.vars {
        if vars.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::Usage(format!("--var {name} is given twice")));
        }
    }
    let partial = selection.partial_input;
    let request = plan::Request { work, tenant, vars, events, partial, simulated: simulator.is_some() };
    match keep(plan::build(request), &mut problems) {
        Some(plan) if problems.is_empty() => Ok(Prepared { plan, simulator }),
        _ => Err(Failure::Problems(problems)),
    }
}

/// What only an events file can have must not be given for a playbook: it would be ignored.
fn refuse_what_is_for_events(selection: &Selection) -> Result<(), Failure> {
    for (given, flag, key) in [
        (selection.action.is_some(), "--action", "each step names its action"),
        (selection.filter.is_some(), "--where", "each step has its `where`"),
        (selection.comment.is_some(), "--comment", "write `comment` in the playbook"),
        (!selection.map.is_empty(), "--map", "write `columns` in the playbook or the tenant"),
    ] {
        if given {
            return Err(Failure::Usage(format!("{flag} is for events files; in a playbook {key}")));
        }
    }
    Ok(())
}

/// `--map`, as a mapping.
fn mapped_columns(selection: &Selection) -> Option<Columns> {
    let column = |name: &String| ColumnSource::Column { name: name.clone(), default: None };
    let columns = selection.map.iter().map(|(field, name)| (field.clone(), column(name))).collect::<Vec<_>>();
    (!columns.is_empty()).then_some(Columns(columns))
}

fn read_playbook_events(
    selection: &Selection,
    playbook: &Playbook,
    tenant: &Tenant,
    problems: &mut Vec<Problem>,
) -> Result<Events, Vec<Problem>> {
    let mut sources = Vec::new();
    for (place, source) in playbook.events.iter().enumerate() {
        let columns = match &source.columns {
            None => None,
            Some(choice) => match &choice.value {
                ColumnsChoice::InPlace(columns) => Some(columns),
                ColumnsChoice::Named(name) => {
                    let named = tenant.columns.iter().find(|(known, _)| known == name).map(|(_, columns)| columns);
                    if named.is_none() {
                        problems.push(no_such_columns(playbook, choice.place, name, tenant));
                    }
                    named
                }
            },
        };
        let inputs = if selection.events.is_empty() {
            vec![source_input(playbook, source)]
        } else if place == 0 {
            selection.events.iter().map(|file| input_of(file, file.clone())).collect()
        } else {
            Vec::new()
        };
        for input in inputs {
            let empty_ok = source.empty_ok;
            sources.push(SourceRequest { input, columns, mappings: &tenant.columns, empty_ok, format: None });
        }
    }
    if playbook.events.is_empty() {
        for file in &selection.events {
            let input = input_of(file, file.clone());
            sources.push(SourceRequest {
                input,
                columns: None,
                mappings: &tenant.columns,
                empty_ok: false,
                format: None,
            });
        }
    }
    if sources.is_empty() {
        let file = playbook.file.to_string_lossy();
        let problem = Problem::new(&*file, Place::default(), "the playbook names no events")
            .with_help("add `events: [{file: export.csv}]`, or give --events FILE");
        return Err(vec![problem]);
    }
    events::read(&events::Request { sources, partial: selection.partial_input })
}

/// What stands against a playbook with this tenant, before any event is read.
pub fn against_tenant(playbook: &Playbook, tenant: &Tenant) -> Vec<Problem> {
    let mut problems = plan::check(playbook, tenant);
    for choice in playbook.events.iter().filter_map(|source| source.columns.as_ref()) {
        if let ColumnsChoice::Named(name) = &choice.value
            && !tenant.columns.iter().any(|(known, _)| known == name)
        {
            problems.push(no_such_columns(playbook, choice.place, name, tenant));
        }
    }
    problems
}

fn no_such_columns(playbook: &Playbook, place: Place, name: &str, tenant: &Tenant) -> Problem {
    let known: Vec<&str> = tenant.columns.iter().map(|(name, _)| name.as_str()).collect();
    let help = match known.as_slice() {
        [] => format!("tenant {} has no column mappings", tenant.name),
        known => format!("tenant {} has: {}", tenant.name, known.join(", ")),
    };
    Problem::new(&*playbook.file.to_string_lossy(), place, format!("there is no column mapping `{name}`"))
        .with_line_of(&playbook.text)
        .with_help(help)
}

fn source_input(playbook: &Playbook, source: &playbook::Source) -> Input {
    match &source.from {
        SourceFrom::Stdin => Input::Stdin,
        SourceFrom::File(name) => {
            let folder = playbook.file.parent().unwrap_or(Path::new(""));
            Input::File { name: name.value.clone(), path: folder.join(&name.value) }
        }
        SourceFrom::Inline(events) => Input::Inline {
            name: playbook.file.to_string_lossy().into_owned(),
            events: events.iter().map(|event| (event.place, event.value.clone())).collect(),
        },
    }
}

fn input_of(name: &Path, path: PathBuf) -> Input {
    if name == Path::new("-") { Input::Stdin } else { Input::File { name: name.to_string_lossy().into_owned(), path } }
}

/// Finds and reads the tenant. `asked` is what the playbook says: `None` when it could not be read at all.
fn find_tenant(
    selection: &Selection,
    asked: Option<Option<&str>>,
    simulate: bool,
    problems: &mut Vec<Problem>,
) -> Result<Option<(Tenant, Option<Simulator>)>, Failure> {
    let named = asked.flatten();
    let file = match (&selection.tenant.tenant, named) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(name)) => search_tenant(&selection.file, name),
        (None, None) => None,
    };
    let Some(file) = file else {
        return match (asked, simulate) {
            (None, _) => Ok(None),
            (_, true) => Ok(Some(simulated(None)?)),
            (Some(Some(name)), false) => Err(Failure::Usage(format!(
                "tenant {name:?}: there is no tenants/{name}.yaml beside {} or above it\nhelp: give --tenant FILE, or \
                 --simulate to try it without one",
                selection.file.display()
            ))),
            (Some(None), false) => Err(Failure::Usage(
                "no tenant is named\nhelp: give --tenant FILE, or --simulate to try it without one".to_owned(),
            )),
        };
    };
    let tenant = read_tenant(&file, problems)?;
    let Some(tenant) = tenant else { return Ok(None) };
    if let Some(name) = named.filter(|name| *name != tenant.name) {
        return Err(Failure::Usage(format!(
            "the playbook is for tenant {name:?}, but {} is {:?}",
            file.display(),
            tenant.name
        )));
    }
    if simulate { Ok(Some(simulated(Some(tenant))?)) } else { Ok(Some((tenant, None))) }
}

/// Reads a tenant file; its problems are added to the others.
pub fn read_tenant(file: &Path, problems: &mut Vec<Problem>) -> Result<Option<Tenant>, Failure> {
    let text = read_yaml(file)?;
    let mut tenant = keep(tenant::read(&file.to_string_lossy(), &text), problems);
    if let Some(Tenant { auth: tenant::Auth::TokenFile(token), .. }) = &mut tenant {
        *token = file.parent().unwrap_or(Path::new("")).join(&token);
    }
    Ok(tenant)
}

/// `tenants/NAME.yaml` beside the playbook or in a folder above it, up to the repository's root; outside of a
/// repository no further than the folder above.
pub fn search_tenant(playbook: &Path, name: &str) -> Option<PathBuf> {
    let absolute = std::path::absolute(playbook).ok()?;
    let folders: Vec<&Path> = absolute.ancestors().skip(1).collect();
    let root = folders.iter().position(|folder| folder.join(".git").exists());
    let last = root.unwrap_or(1);
    let given = playbook.parent().unwrap_or(Path::new(""));
    (0..=last.min(folders.len().saturating_sub(1))).find_map(|up| {
        let found = folders[up].join("tenants").join(format!("{name}.yaml"));
        // Shown as the user would write it, so that messages hold no path of this machine.
        let shown = given.join("../".repeat(up)).join("tenants").join(format!("{name}.yaml"));
        found.is_file().then(|| if shown.is_file() { shown } else { found })
    })
}

/// The built-in simulator and its tenant; with the actions, columns and words of the tenant it stands in for.
fn simulated(tenant: Option<Tenant>) -> Result<(Tenant, Option<Simulator>), Failure> {
    let mut options = Options { latency: crate::simulator::Delay::None, ..Options::default() };
    if let Some(tenant) = &tenant {
        options.actions = tenant.actions.iter().map(SimAction::from).collect();
    }
    let simulator = Simulator::new(options);
    let yaml = simulator.tenant_yaml(SIMULATOR_URL);
    let mut stand_in = tenant::read("the simulator's tenant", &yaml).map_err(Failure::Problems)?;
    if let Some(tenant) = tenant {
        stand_in.actions = tenant.actions;
        stand_in.columns = tenant.columns;
    }
    Ok((stand_in, Some(simulator)))
}

/// Reads a file that a person wrote, within its size limit.
pub fn read_yaml(file: &Path) -> Result<Arc<str>, Failure> {
    yaml::load(file).map(Arc::from).map_err(|problem| Failure::Problems(vec![problem]))
}

fn keep<T>(read: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(more) => {
            problems.extend(more);
            None
        }
    }
}
