//! Puts a plan together, or says everything that stands against it.
//!
//! Each part reports its own problems and gives back what it could make, so that one pass finds all of them. A plan is
//! only made when there are none.

use super::filter::{ColumnReader, Filter, FilterError};
use super::select::{BadRow, ReadyStep, Selection};
use super::{Plan, PlanHeader, PlannedItem, PlannedReport, PlannedStep, PlannedTenant, RowWithoutItem};
use super::{digest, repeats, select, settings};
use crate::events::{Event, Events};
use crate::playbook::{Playbook, ReportFormat};
use crate::problem::{Place, Problem};
use crate::tenant::{Action, Tenant};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many rows that cannot be judged are named one by one.
const BAD_ROWS_SHOWN_MAX: usize = 50;
/// How many steps a plan may have.
const STEPS_MAX: usize = 1000;

/// What a plan is made of.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub work: Work<'a>,
    /// With whom.
    pub tenant: &'a Tenant,
    /// Values given for the playbook's variables.
    pub vars: BTreeMap<String, String>,
    /// The rows.
    pub events: Events,
    /// Whether a row that cannot be judged is left out, rather than refusing the plan.
    pub partial: bool,
    /// Whether the built-in simulator stands in for the tenant.
    pub simulated: bool,
}

/// A playbook, or what stands for one on the command line.
#[derive(Debug)]
pub enum Work<'a> {
    /// From a file.
    Playbook(&'a Playbook),
    /// From the command line.
    AdHoc(AdHoc),
}

/// One action over an event file, without a playbook.
#[derive(Debug, Default)]
pub struct AdHoc {
    /// The event file's stem.
    pub name: String,
    /// `--action`; without it each row's action column says what to do.
    pub action: Option<String>,
    /// `--where`
    pub filter: Option<String>,
    /// `--comment`, taken as it is.
    pub comment: Option<String>,
    /// `--report`
    pub reports: Vec<PlannedReport>,
}

/// Makes the plan.
///
/// # Errors
/// All problems, those of the playbook before those of rows.
pub fn build(request: Request<'_>) -> Result<Plan, Vec<Problem>> {
    let mut problems = Problems::default();
    let origin = Origin::of(&request.work);
    let vars = settings::vars(&request.work, &request.vars, &origin, &mut problems);
    let comment = settings::comment(&request.work, &vars, &origin, &mut problems);
    let (limits, polling) = settings::tightened(&request.work, request.tenant, &origin, &mut problems);
    check_tenant(&request, &origin, &mut problems);
    let Request { work, tenant, events, partial, simulated, .. } = request;
    let steps = compiled_steps(&work, tenant, &events, &vars, &origin, &mut problems);
    check_columns(&steps, &events, &origin, &mut problems);
    let steps: Vec<ReadyStep> = steps.into_iter().filter_map(|step| step.ready(&tenant.actions)).collect();

    let rows = u32::try_from(events.rows.len() + events.refused.len()).unwrap_or(u32::MAX);
    let Events { sources, rows: all_events, refused, .. } = events;
    // Rows are judged only by filters that can judge: one wrong column would make every row a problem of its own.
    let selection = if problems.is_empty() {
        let mut selection = select::select(&steps, &tenant.actions, &all_events, by_column(&work));
        let repeated = repeats::find(&selection.chosen, &all_events);
        if by_column(&work) {
            report_contradictions(&repeated, &steps, &all_events, &sources, &mut problems);
        }
        selection.leave_out(&repeated, &all_events);
        if !partial {
            report_bad_rows(&selection.bad, &sources, &mut problems);
        }
        selection
    } else {
        Selection::default()
    };
    problems.none()?;

    let mut without = selection.without;
    without.extend(selection.bad.into_iter().map(BadRow::into_row_without_item));
    without.extend(refused.into_iter().map(|row| RowWithoutItem {
        row: row.place.row,
        source: row.place.source,
        line: row.place.line,
        byte: Some(row.byte),
        reason: format!("refused: {}", row.reason),
    }));
    without.sort_by_key(|row| row.row);
    let (kept, items) = number(all_events, &selection.chosen);
    let (playbook, description, reports) = match work {
        Work::Playbook(playbook) => {
            (playbook.name.clone(), playbook.description.clone(), playbook.reports.iter().map(planned_report).collect())
        }
        Work::AdHoc(ad_hoc) => (ad_hoc.name, String::new(), ad_hoc.reports),
    };
    let header = PlanHeader {
        playbook,
        description,
        comment,
        tenant: planned_tenant(tenant, simulated),
        steps: steps.into_iter().map(ReadyStep::into_planned).collect(),
        limits,
        polling,
        statuses: tenant.statuses.clone(),
        sources,
        rows,
        reports,
        digest: String::new(),
    };
    let mut plan = Plan { header, events: kept, items, rows_without_item: without };
    plan.header.digest = digest::digest(&plan);
    Ok(plan)
}

/// Where problems of the work itself are located.
#[derive(Debug)]
pub(super) enum Origin {
    File { name: Arc<str>, text: Arc<str> },
    CommandLine,
}

impl Origin {
    fn of(work: &Work<'_>) -> Self {
        match work {
            Work::Playbook(playbook) => {
                Self::File { name: playbook.file.display().to_string().into(), text: Arc::clone(&playbook.text) }
            }
            Work::AdHoc(_) => Self::CommandLine,
        }
    }

    /// A problem at a place of the playbook, or of the flag that stands for it.
    pub(super) fn problem(&self, place: Place, flag: &str, message: String, help: Option<String>) -> Problem {
        match self {
            Self::File { name, text } => {
                let line_text = usize::try_from(place.line)
                    .ok()
                    .and_then(|line| line.checked_sub(1))
                    .and_then(|line| text.lines().nth(line))
                    .map(str::to_owned);
                Problem { file: Arc::clone(name), place, message, line_text, help }
            }
            Self::CommandLine => Problem { file: flag.into(), place, message, line_text: None, help },
        }
    }

    fn filter_problem(&self, source: &str, place: Place, error: FilterError) -> Problem {
        let before = source.get(..error.range.start).map_or(0, |text| text.chars().count());
        let length = source.get(error.range.clone()).map_or(1, |text| text.chars().count().max(1));
        let (before, length) = (u32::try_from(before).unwrap_or(u32::MAX), u32::try_from(length).unwrap_or(1));
        match self {
            Self::CommandLine => Problem {
                file: "--where".into(),
                place: Place { line: 1, column: before + 1, length, byte: None },
                message: error.message,
                line_text: (!source.contains('\n')).then(|| source.to_owned()),
                help: error.help,
            },
            Self::File { .. } => {
                let mut problem = self.problem(place, "", error.message, error.help);
                // The place is the scalar's. Only where the line holds the expression as it is, unescaped and
                // unfolded, can it be narrowed to what is wrong.
                let line = problem.line_text.as_deref().unwrap_or_default();
                let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(0);
                let from = line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte);
                if let Some(offset) = line[from..].find(source) {
                    let skipped = line[from..from + offset].chars().count();
                    problem.place.column += u32::try_from(skipped).unwrap_or(0) + before;
                    problem.place.length = length;
                    problem.place.byte = None;
                }
                problem
            }
        }
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn none(&mut self) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.0)) }
    }
}

fn by_column(work: &Work<'_>) -> bool {
    matches!(work, Work::AdHoc(AdHoc { action: None, .. }))
}

fn check_tenant(request: &Request<'_>, origin: &Origin, problems: &mut Problems) {
    if let Work::Playbook(Playbook { tenant: Some(wanted), .. }) = &request.work {
        let given = &request.tenant.name;
        if wanted.value != *given {
            let message = format!("this playbook is for the tenant {:?}, not for {given:?}", wanted.value);
            problems.push(origin.problem(wanted.place, "--tenant", message, None));
        }
    }
}

fn compiled_steps(
    work: &Work<'_>,
    tenant: &Tenant,
    events: &Events,
    vars: &BTreeMap<String, String>,
    origin: &Origin,
    problems: &mut Problems,
) -> Vec<CompiledStep> {
    let wanted: Vec<Wanted<'_>> = match work {
        Work::Playbook(playbook) => playbook.steps.iter().map(Wanted::from_step).collect(),
        Work::AdHoc(ad_hoc) => {
            let names: Vec<&str> = match &ad_hoc.action {
                Some(action) => vec![action],
                None => select::actions_of_rows(&tenant.actions, &events.rows),
            };
            if names.is_empty() && !events.rows.is_empty() {
                let message = "nothing says which action to take: no row has a known one".to_owned();
                let help = Some(format!("pass --action NAME; {} has {}", tenant.name, names_of(&tenant.actions)));
                problems.push(origin.problem(Place::default(), "--action", message, help));
            }
            names.into_iter().map(|name| Wanted::ad_hoc(name, ad_hoc.filter.as_deref())).collect()
        }
    };
    if wanted.len() > STEPS_MAX {
        let message = format!("there are {} steps, at most {STEPS_MAX} are carried out", wanted.len());
        problems.push(origin.problem(wanted[STEPS_MAX].action_place, "--action", message, None));
        return Vec::new();
    }
    wanted.into_iter().map(|step| step.compile(tenant, vars, origin, problems)).collect()
}

/// A step as it was asked for.
struct Wanted<'a> {
    name: &'a str,
    action: &'a str,
    action_place: Place,
    filter: Option<(&'a str, Place)>,
}

impl<'a> Wanted<'a> {
    fn from_step(step: &'a crate::playbook::Step) -> Self {
        Self {
            name: &step.name.value,
            action: &step.action.value,
            action_place: step.action.place,
            filter: step.filter.as_ref().map(|filter| (filter.value.as_str(), filter.place)),
        }
    }

    fn ad_hoc(action: &'a str, filter: Option<&'a str>) -> Self {
        Self {
            name: action,
            action,
            action_place: Place::default(),
            filter: filter.map(|filter| (filter, Place::default())),
        }
    }

    fn compile(
        self,
        tenant: &Tenant,
        vars: &BTreeMap<String, String>,
        origin: &Origin,
        problems: &mut Problems,
    ) -> CompiledStep {
        let action = tenant.actions.iter().position(|action| action.name == self.action);
        if action.is_none() {
            let near = super::filter::nearest(self.action, tenant.actions.iter().map(|action| action.name.as_str()));
            let near = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
            let help = Some(format!("{near}{} has {}", tenant.name, names_of(&tenant.actions)));
            let message = format!("there is no action {:?}", self.action);
            problems.push(origin.problem(self.action_place, "--action", message, help));
        }
        let filter = match self.filter {
            None => None,
            Some((source, place)) => match Filter::compile(source, vars) {
                Ok(filter) => Some((source.to_owned(), place, filter)),
                Err(errors) => {
                    errors.into_iter().for_each(|error| problems.push(origin.filter_problem(source, place, error)));
                    None
                }
            },
        };
        CompiledStep { name: self.name.to_owned(), action, filter }
    }
}

/// A step as far as it could be made; what is missing is a problem already.
struct CompiledStep {
    name: String,
    action: Option<usize>,
    filter: Option<(String, Place, Filter)>,
}

impl CompiledStep {
    fn ready(self, actions: &[Action]) -> Option<ReadyStep> {
        let index = self.action?;
        Some(ReadyStep { name: self.name, action: actions[index].clone(), action_index: index, filter: self.filter })
    }
}

fn names_of(actions: &[Action]) -> String {
    actions.iter().map(|action| action.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A column that no row has is a mistake in the filter; one that only some rows have is null in the others.
fn check_columns(steps: &[CompiledStep], events: &Events, origin: &Origin, problems: &mut Problems) {
    let filters = || steps.iter().filter_map(|step| step.filter.as_ref());
    let missing = ColumnReader::new(filters().map(|(_, _, filter)| filter)).missing(&events.rows);
    if missing.is_empty() || events.rows.is_empty() {
        return;
    }
    let names = ColumnReader::all_names(&events.rows);
    let mut said = Vec::new();
    for (source, place, filter) in filters() {
        for column in filter.columns().iter().filter(|column| missing.contains(&column.name)) {
            let key = (source, *place, &column.name);
            if said.contains(&key) {
                continue;
            }
            said.push(key);
            let known = names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if names.len() > 20 { ", …" } else { "" };
            let help = match super::filter::nearest(&column.name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the events have {known}{more}"),
            };
            let error = FilterError {
                message: format!("no event has a column {:?}", column.name),
                range: column.range.clone(),
                help: Some(help),
            };
            problems.push(origin.filter_problem(source, *place, error));
        }
    }
}

fn report_bad_rows(bad: &[BadRow], sources: &[String], problems: &mut Problems) {
    for row in bad.iter().take(BAD_ROWS_SHOWN_MAX) {
        let help = "--partial-input leaves such rows out and says so".to_owned();
        problems.push(row_problem(row.place, sources, row.reason.clone(), Some(help)));
    }
    if let Some(next) = bad.get(BAD_ROWS_SHOWN_MAX) {
        let message = format!("{} more rows cannot be judged", bad.len() - BAD_ROWS_SHOWN_MAX);
        problems.push(row_problem(next.place, sources, message, None));
    }
}

fn report_contradictions(
    repeated: &repeats::Repeats,
    steps: &[ReadyStep],
    events: &[Event],
    sources: &[String],
    problems: &mut Problems,
) {
    let event = |chosen: select::Chosen| &events[chosen.event as usize];
    let action = |chosen: select::Chosen| &steps[usize::from(chosen.step)].action.name;
    for (index, &(first, other)) in repeated.contradictions.iter().enumerate() {
        let place = event(other).place;
        if index == BAD_ROWS_SHOWN_MAX {
            let message = format!("{} more rows contradict earlier ones", repeated.contradictions.len() - index);
            problems.push(row_problem(place, sources, message, None));
            return;
        }
        let (row, here, there) = (event(first).place.row, action(other), action(first));
        let message = format!("{here} contradicts row {row}, which asks {there} for the same event");
        let help = Some("keep one of them, or write a playbook whose steps say which comes first".to_owned());
        problems.push(row_problem(place, sources, message, help));
    }
}

fn row_problem(place: crate::events::RowPlace, sources: &[String], message: String, help: Option<String>) -> Problem {
    let file = sources.get(usize::from(place.source)).map_or("<events>", String::as_str);
    Problem {
        file: file.into(),
        place: Place { line: place.line, ..Place::default() },
        message: format!("row {}: {message}", place.row),
        line_text: None,
        help,
    }
}

/// Keeps the events that became items, and gives each host its number.
fn number(all: Vec<Event>, chosen: &[select::Chosen]) -> (Vec<Event>, Vec<PlannedItem>) {
    let mut used = chosen.iter().map(|chosen| chosen.event).peekable();
    let mut kept = Vec::new();
    for (index, event) in (0_u32..).zip(all) {
        if used.peek() == Some(&index) {
            kept.push(event);
            while used.next_if_eq(&index).is_some() {}
        }
    }
    let mut targets: HashMap<&str, u32> = HashMap::new();
    let mut items = Vec::with_capacity(chosen.len());
    let (mut event, mut last) = (0_u32, None);
    for one in chosen {
        event += u32::from(last.is_some_and(|last| last != one.event));
        last = Some(one.event);
        let next = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        let target = *targets.entry(&kept[event as usize].agent_id).or_insert(next);
        items.push(PlannedItem { event, step: one.step, target });
    }
    (kept, items)
}

fn planned_tenant(tenant: &Tenant, simulated: bool) -> PlannedTenant {
    PlannedTenant {
        name: tenant.name.clone(),
        base_url: tenant.base_url.clone(),
        api_version: tenant.api_version,
        user: tenant.user.clone(),
        user_id: tenant.user_id.clone(),
        auth: tenant.auth.clone(),
        simulated,
    }
}

fn planned_report(report: &crate::playbook::ReportRequest) -> PlannedReport {
    let format = match &report.format {
        ReportFormat::Text => "text".to_owned(),
        ReportFormat::Markdown => "markdown".to_owned(),
        ReportFormat::Json => "json".to_owned(),
        ReportFormat::Csv => "csv".to_owned(),
        ReportFormat::Html => "html".to_owned(),
        ReportFormat::Template(path) => format!("template:{}", path.display()),
    };
    PlannedReport { format, path: report.path.value.clone() }
}

impl ReadyStep {
    fn into_planned(self) -> PlannedStep {
        PlannedStep { name: self.name, action: self.action, filter: self.filter.map(|(source, ..)| source) }
    }
}

#[cfg(test)]
mod tests;
