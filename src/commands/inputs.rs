//! From what was selected on the command line to a plan: finds and reads the playbook, its tenant and its events, and
//! says all problems of all of them in one pass.

pub use super::above::search_tenant;
use super::located::{Located, find_tenant};
use super::{approvals, beside, excerpts, planned_files, report_paths};
use crate::cli::Selection;
use crate::error::Failure;
use crate::events::{self, Events, Input, SourceRequest};
use crate::plan::{self, AdHoc, FileRole, Narrowing, Plan, PlannedFile, Work};
use crate::playbook::{self, ColumnsChoice, LimitsPatch, Playbook, PollingPatch, SourceFrom};
use crate::problem::{Place, Problem, listed, nearest};
use crate::simulator::Simulator;
use crate::tenant::{self, ColumnSource, Columns, Tenant};
use crate::yaml::{self, Spanned};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    let vars = vars(selection)?;
    let narrowing = beside::narrowing(selection)?;
    let mut problems = Vec::new();
    let playbook = read_playbook(&selection.file, &mut problems);
    problems.extend(playbook.iter().flat_map(report_paths::problems_of));
    refuse_to_guess_columns(selection, playbook.as_ref())?;
    let located = match &playbook {
        Some(playbook) => find_tenant(selection, Some(playbook), simulate, &mut problems)?,
        // Nothing of the playbook is known; the tenant that was given is checked all the same.
        None => {
            selection.tenant.tenant.as_ref().and_then(|file| read_tenant(file, &mut problems));
            None
        }
    };
    let (mut playbook, tenant, simulator, file) = match (playbook, located) {
        (Some(playbook), Some(Located { tenant, simulator, file })) => (playbook, tenant, simulator, file),
        (playbook, _) => {
            problems.extend(playbook.iter().flat_map(|playbook| plan::check(playbook, None)));
            return Err(Failure::Problems(problems));
        }
    };
    if simulate {
        // The simulator's own limits and polling are far quicker than any tenant's: tightening makes no sense there.
        playbook.limits = LimitsPatch::default();
        playbook.polling = PollingPatch::default();
    }
    let signers = approvals::read_signers(&playbook, &mut problems);
    let events = read_playbook_events(selection, &playbook, &tenant, &mut problems);
    let own = planned_files::planned(FileRole::Playbook, &playbook.file, playbook.text.as_bytes());
    let inputs: Vec<Input> = inputs_of(selection, &playbook).into_iter().map(|(_, input)| input).collect();
    let files = [own].into_iter().chain(file).chain(planned_files::of_events(&inputs, events.as_ref()));
    let beside = [
        beside::planned_files(&playbook.guards, Some(&playbook.protected)),
        beside::planned_files(&tenant.guards, Some(&tenant.protected)),
        hosts_file(&narrowing),
    ];
    let files = files.chain(signers.as_ref().map(approvals::SignersFile::planned));
    let files = files.chain(beside.concat()).collect();
    let (work, simulated) = (Work::Playbook(&playbook), simulator.is_some());
    let request = Wanted { work, vars, tenant: &tenant, narrowing, simulated, files };
    let planned = plan_it(selection, request, events, &mut problems);
    approvals::require_signers(&playbook, planned.as_ref(), signers.is_some(), &mut problems);
    if let (Some(plan), true) = (planned, problems.is_empty()) {
        return Ok(Prepared { plan, simulator });
    }
    let inputs = inputs.into_iter().filter_map(as_file).collect::<Vec<_>>();
    excerpts::complete(&mut problems, Some(&playbook), &inputs);
    Err(Failure::Problems(problems))
}

fn from_events(selection: &Selection, simulate: bool) -> Result<Prepared, Failure> {
    if !selection.events.is_empty() {
        return Err(Failure::Usage("--events replaces a playbook's events; FILE is an events file already".to_owned()));
    }
    if !selection.vars.is_empty() {
        return Err(Failure::Usage("--var sets a playbook's variables; an events file has none".to_owned()));
    }
    let mut guards = selection.guards.guards().map_err(Failure::Usage)?;
    let narrowing = Narrowing { filter: None, ..beside::narrowing(selection)? };
    let mut problems = Vec::new();
    beside::count_hosts_of_flag(&mut guards, &mut problems);
    let mapped = mapped_columns(selection, &mut problems);
    let located = find_tenant(selection, None, simulate, &mut problems)?;
    let (Some(Located { tenant, simulator, file }), true) = (located, problems.is_empty()) else {
        return Err(Failure::Problems(problems));
    };
    let source = SourceRequest {
        input: input_of(&selection.file, selection.file.clone()),
        columns: mapped.as_ref(),
        mappings: &tenant.columns,
        empty_ok: false,
        format: None,
    };
    let read = events::read(&events::Request { sources: vec![source], partial: selection.partial_input });
    let events = keep(read, &mut problems).filter(|events| has_a_good_row(events, &selection.file, &mut problems));
    let stem = if selection.file == Path::new("-") { None } else { selection.file.file_stem() };
    let of_flag = beside::planned_files(&guards, None);
    let ad_hoc = AdHoc {
        name: stem.map_or_else(|| "stdin".to_owned(), |stem| stem.to_string_lossy().into_owned()),
        action: selection.action.clone(),
        filter: selection.filter.clone(),
        comment: selection.comment.clone(),
        reports: Vec::new(),
        waves: selection.waves.iter().map(|size| Spanned { value: *size, place: Place::default() }).collect(),
        failure_budget: selection.failure_budget,
        guards: Box::new(guards),
    };
    let (work, simulated) = (Work::AdHoc(ad_hoc), simulator.is_some());
    let input = input_of(&selection.file, selection.file.clone());
    let files = file.into_iter().chain(planned_files::of_events([&input], events.as_ref()));
    let files = files.chain([of_flag, beside::planned_files(&tenant.guards, Some(&tenant.protected))].concat());
    let files = files.chain(hosts_file(&narrowing)).collect();
    let request = Wanted { work, vars: BTreeMap::new(), tenant: &tenant, narrowing, simulated, files };
    let planned = plan_it(selection, request, events, &mut problems);
    if let (Some(plan), true) = (planned, problems.is_empty()) {
        return Ok(Prepared { plan, simulator });
    }
    excerpts::complete(&mut problems, None, &as_file(input).into_iter().collect::<Vec<_>>());
    Err(Failure::Problems(problems))
}

/// The file of `--hosts`.
fn hosts_file(narrowing: &Narrowing) -> Vec<PlannedFile> {
    let file = |hosts: &plan::HostsFile| planned_files::summed(FileRole::Hosts, &hosts.path, &hosts.sha256);
    narrowing.hosts.iter().map(file).collect()
}

/// What is planned, but for its events.
struct Wanted<'a> {
    work: Work<'a>,
    vars: BTreeMap<String, String>,
    tenant: &'a Tenant,
    narrowing: Narrowing,
    simulated: bool,
    files: Vec<PlannedFile>,
}

/// Plans. Without events, or with problems already, only to find more of them.
fn plan_it(
    selection: &Selection,
    wanted: Wanted<'_>,
    events: Option<Events>,
    problems: &mut Vec<Problem>,
) -> Option<Plan> {
    let Wanted { work, vars, tenant, narrowing, simulated, files } = wanted;
    if let (Some(hosts), Some(events)) = (&narrowing.hosts, &events) {
        beside::tell_of_strangers(hosts, events);
    }
    // Rows are judged only where all of them could be read.
    let partial = selection.partial_input || events.is_none();
    let events = events.unwrap_or_default();
    let request = plan::Request { work, tenant, vars, events, narrowing, partial, simulated, files };
    keep(plan::build(request), problems)
}

/// `--var`, each once.
fn vars(selection: &Selection) -> Result<BTreeMap<String, String>, Failure> {
    let mut vars = BTreeMap::new();
    for (name, value) in &selection.vars {
        if vars.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::Usage(format!("--var {name} is given twice")));
        }
    }
    Ok(vars)
}

/// What only an events file can have must not be given for a playbook: it would be ignored.
fn refuse_what_is_for_events(selection: &Selection) -> Result<(), Failure> {
    for (given, flag, key) in [
        (selection.action.is_some(), "--action", "each of a playbook's steps names its own"),
        (selection.comment.is_some(), "--comment", "a playbook has its own, `comment`"),
        (!selection.map.is_empty(), "--map", "a playbook's events have `columns`"),
        (!selection.waves.is_empty(), "--waves", "a playbook has its own, `waves`"),
        (selection.failure_budget.is_some(), "--failure-budget", "a playbook has its own, `failure_budget`"),
    ] {
        if given {
            return Err(Failure::Usage(format!("{flag} is for events files; {key}")));
        }
    }
    if let Some((flag, key)) = selection.guards.given().next() {
        return Err(Failure::Usage(format!("{flag} is for events files; a playbook says it itself: `{key}`")));
    }
    Ok(())
}

/// `--map`, as a mapping.
fn mapped_columns(selection: &Selection, problems: &mut Vec<Problem>) -> Option<Columns> {
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

/// Reads what the playbook's sources hold, or what `--events` names in their place. `None`: there are problems.
fn read_playbook_events(
    selection: &Selection,
    playbook: &Playbook,
    tenant: &Tenant,
    problems: &mut Vec<Problem>,
) -> Option<Events> {
    let is_whole = problems.is_empty();
    let mut sources = Vec::new();
    for (source, input) in inputs_of(selection, playbook) {
        // Who waits for standard input should not wait to be told of a mistake that is known already.
        if !is_whole && matches!(input, Input::Stdin) {
            continue;
        }
        let Ok(columns) = columns_of(playbook, source, tenant, problems) else { continue };
        let empty_ok = source.is_some_and(|source| source.empty_ok);
        sources.push(SourceRequest { input, columns, mappings: &tenant.columns, empty_ok, format: None });
    }
    if is_whole && playbook.events.is_empty() && selection.events.is_empty() {
        let file = playbook.file.to_string_lossy();
        let problem = Problem::new(&*file, Place::default(), "the playbook names no events")
            .with_help("add `events: [{file: export.csv}]`, or give --events FILE");
        problems.push(problem);
    }
    let events = keep(events::read(&events::Request { sources, partial: selection.partial_input }), problems);
    let events = events.filter(|events| has_a_good_row(events, &playbook.file, problems));
    events.filter(|_| problems.is_empty())
}

/// Rows that are bad may be left out, but not all of them: nothing would be done, and nobody told.
fn has_a_good_row(events: &Events, file: &Path, problems: &mut Vec<Problem>) -> bool {
    let Some(first) = events.refused.first().filter(|_| events.rows.is_empty()) else { return true };
    let message =
        format!("no row is left: all {} were refused, the first because: {}", events.refused.len(), first.reason);
    problems.push(Problem::new(&*file.to_string_lossy(), Place::default(), message));
    false
}

/// `--events` takes the place of all of a playbook's sources. When these are read in different ways, nobody can say
/// which of them is meant, and a guess may make isolations of detections.
fn refuse_to_guess_columns(selection: &Selection, playbook: Option<&Playbook>) -> Result<(), Failure> {
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
fn inputs_of<'a>(selection: &Selection, playbook: &'a Playbook) -> Vec<(Option<&'a playbook::Source>, Input)> {
    if selection.events.is_empty() {
        return playbook.events.iter().map(|source| (Some(source), source_input(playbook, source))).collect();
    }
    selection.events.iter().map(|file| (playbook.events.first(), input_of(file, file.clone()))).collect()
}

fn as_file(input: Input) -> Option<(String, PathBuf)> {
    match input {
        Input::File { name, path } => Some((name, path)),
        Input::Stdin | Input::Inline { .. } => None,
    }
}

/// How a source's columns are called; an error is a problem already.
fn columns_of<'a>(
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
                problems.push(no_such_columns(playbook, choice.place, name, tenant));
                Err(())
            }
        },
    }
}

fn no_such_columns(playbook: &Playbook, place: Place, name: &str, tenant: &Tenant) -> Problem {
    let known = || tenant.columns.iter().map(|(name, _)| name.as_str());
    let help = match (nearest(name, known()), known().next()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(_)) => format!("the tenant {} has {}", tenant.name, listed(known())),
        (None, None) => format!("the tenant {} has no column mappings", tenant.name),
    };
    at(playbook, place, format!("there is no column mapping `{name}`")).with_help(help)
}

pub(super) fn at(playbook: &Playbook, place: Place, message: String) -> Problem {
    Problem::new(&*playbook.file.to_string_lossy(), place, message).with_line_of(&playbook.text)
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

/// Reads a playbook as far as it can be read; its problems are added to the others.
pub fn read_playbook(file: &Path, problems: &mut Vec<Problem>) -> Option<Playbook> {
    let text = read_yaml(file, problems)?;
    let (mut playbook, more) = playbook::read_in_part(file, &text);
    problems.extend(more);
    if let Some(playbook) = &mut playbook {
        beside::complete_playbook(playbook, file, problems);
    }
    playbook
}

/// Reads a tenant file; its problems are added to the others.
pub fn read_tenant(file: &Path, problems: &mut Vec<Problem>) -> Option<Tenant> {
    read_tenant_file(file, problems).map(|(tenant, _)| tenant)
}

pub(super) fn read_tenant_file(file: &Path, problems: &mut Vec<Problem>) -> Option<(Tenant, PlannedFile)> {
    let text = read_yaml(file, problems)?;
    let mut tenant = keep(tenant::read(&file.to_string_lossy(), &text), problems)?;
    if let tenant::Auth::TokenFile(token) = &mut tenant.auth {
        *token = file.parent().unwrap_or(Path::new("")).join(&token);
    }
    beside::complete_tenant(&mut tenant, file, problems);
    Some((tenant, planned_files::planned(FileRole::Tenant, file, text.as_bytes())))
}

/// A tenant file on its own.
pub fn tenant_of(file: &Path) -> Result<Tenant, Failure> {
    let mut problems = Vec::new();
    read_tenant(file, &mut problems).ok_or(Failure::Problems(problems))
}

/// Reads a file that a person wrote, within its size limit.
pub fn read_yaml(file: &Path, problems: &mut Vec<Problem>) -> Option<Arc<str>> {
    keep(yaml::load(file).map(Arc::from).map_err(|problem| vec![problem]), problems)
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
