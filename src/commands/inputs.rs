//! From what was selected on the command line to a plan: finds and reads the playbook, its tenant and its events, and
//! says all problems of all of them in one pass.

pub use super::above::search_tenant;
use super::located::{Located, find_tenant};
use super::sources::{as_file, columns_of, input_of, inputs_of, mapped_columns, refuse_to_guess_columns};
use super::{approvals, beside, excerpts, planned_files, report_paths, test};
use crate::cli::Selection;
use crate::error::Failure;
use crate::events::{self, Events, Input, SourceRequest};
use crate::plan::{self, AdHoc, FileRole, Narrowing, Plan, PlannedFile, Work};
use crate::playbook::{self, LimitsPatch, Playbook, PollingPatch, SourceFrom, VarDeclaration};
use crate::problem::{Place, Problem};
use crate::simulator::Simulator;
use crate::tenant::{self, Tenant};
use crate::yaml::{self, Spanned};
use std::collections::BTreeMap;
use std::path::Path;
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
    if test::is_suite(&selection.file) {
        let file = crate::inert::terminal(&selection.file.to_string_lossy()).into_owned();
        return Err(Failure::Usage(format!("{file} holds tests of a playbook\nhelp: `quell test {file}` runs them")));
    }
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
    let (mut playbook, located) = match (playbook, located) {
        (Some(playbook), Some(located)) => (playbook, located),
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
    let simulated = located.simulator.is_some();
    plan_playbook(selection, Read { playbook, located, vars, narrowing, simulated }, problems)
}

/// The plan of a playbook for a test: with the limits and polling of its tenant, where there is one, and simulated.
/// `events` replace the playbook's own.
pub(super) fn rehearse(selection: &Selection, events: Option<&[playbook::Source]>) -> Result<Rehearsed, Failure> {
    let (vars, narrowing) = (vars(selection)?, Narrowing::default());
    let mut problems = Vec::new();
    let Some(mut playbook) = read_playbook(&selection.file, &mut problems) else {
        return Err(Failure::Problems(problems));
    };
    if let Some(events) = events {
        playbook.events = events.to_vec();
    }
    if let Some(place) = playbook.events.iter().find(|source| matches!(source.from, SourceFrom::Stdin)) {
        let file = place.file.to_string_lossy();
        let problem = Problem::new(&*file, Place::default(), "these events come from standard input");
        return Err(Failure::Problems(vec![problem.with_help("give the test `events` of its own")]));
    }
    let has_none = playbook.tenant.is_none() && selection.tenant.tenant.is_none();
    let Some(located) = find_tenant(selection, Some(&playbook), has_none, &mut problems)? else {
        return Err(Failure::Problems(problems));
    };
    let value = |var: &VarDeclaration| {
        let value = vars.get(&var.name.value).or(var.default.as_ref());
        (var.name.value.clone(), value.cloned().unwrap_or_default())
    };
    let known = playbook.vars.iter().map(value).collect();
    let read = Read { playbook, located, vars, narrowing, simulated: true };
    plan_playbook(selection, read, problems).map(|prepared| Rehearsed { plan: prepared.plan, vars: known })
}

/// A plan for a test, and the values of its variables.
pub(super) struct Rehearsed {
    pub(super) plan: Plan,
    pub(super) vars: BTreeMap<String, String>,
}

/// What a plan is made of, but for its events.
struct Read {
    playbook: Playbook,
    located: Located,
    vars: BTreeMap<String, String>,
    narrowing: Narrowing,
    simulated: bool,
}

/// Reads the events of a playbook and plans.
fn plan_playbook(selection: &Selection, read: Read, mut problems: Vec<Problem>) -> Result<Prepared, Failure> {
    let Read { playbook, located: Located { tenant, simulator, file }, vars, narrowing, simulated } = read;
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
    let work = Work::Playbook(&playbook);
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

pub(super) fn at(playbook: &Playbook, place: Place, message: String) -> Problem {
    Problem::new(&*playbook.file.to_string_lossy(), place, message).with_line_of(&playbook.text)
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
        // As seen from the working folder: however the tenant was found, by a playbook or a plan, it is the same path.
        *token = Path::new(&planned_files::relative(file)).parent().unwrap_or(Path::new("")).join(&token);
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
