//! Puts a plan together, or says everything that stands against it.
//!
//! Each part reports its own problems and gives back what it could make, so that one pass finds all of them. A plan is
//! only made when there are none.

use super::problems::{self, Origin, Problems};
use super::select::{BadRow, ReadyStep, Selection};
use super::steps::{check_columns, check_filters, compiled_steps};
use super::{Plan, PlanHeader, PlannedItem, PlannedReport, PlannedTenant, RowWithoutItem};
use super::{digest, repeats, select, settings};
use crate::events::{Event, Events, RefusedRow};
use crate::playbook::{Caution, Playbook, ReportFormat};
use crate::problem::Problem;
use crate::tenant::Tenant;
use std::collections::{BTreeMap, HashMap};

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
    let mut found = Problems::default();
    let origin = Origin::of(&request.work);
    let vars = settings::vars(&request.work, &request.vars, &origin, &mut found);
    let comment = settings::comment(&request.work, &vars, &origin, &mut found);
    let (limits, polling) = settings::tightened(&request.work, request.tenant, &origin, &mut found);
    check_tenant(&request, &origin, &mut found);
    let Request { work, tenant, events, partial, simulated, .. } = request;
    let steps = compiled_steps(&work, tenant, &events, &vars, &origin, &mut found);
    check_columns(&steps, &events, &origin, &mut found);
    let steps: Vec<ReadyStep> = steps.into_iter().filter_map(|step| step.ready(&tenant.actions)).collect();

    let rows = u32::try_from(events.rows.len() + events.refused.len()).unwrap_or(u32::MAX);
    let Events { sources, rows: all_events, bytes, refused, .. } = events;
    // Rows are judged only by filters that can judge: one wrong column would make every row a problem of its own.
    let mut selection = Selection::default();
    if found.is_empty() {
        selection = select::select(&steps, &tenant.actions, &all_events, &bytes, by_column(&work));
        if by_column(&work) {
            let contradictions = repeats::contradictions(&selection.chosen, &steps, &all_events);
            let rows = problems::Rows { events: &all_events, bytes: &bytes, sources: &sources };
            problems::report_contradictions(&contradictions, &steps, &rows, &mut found);
        }
        let repeats = repeats::find(&selection.chosen, &steps, &all_events);
        selection.leave_out(&repeats, &all_events);
        if !partial {
            problems::report_bad_rows(&selection.bad, &sources, &mut found);
        }
    }
    found.none()?;

    let without = rows_without_item(selection.without, selection.bad, refused);
    let (kept, items) = number(all_events, &selection.chosen);
    let caution = match work {
        Work::Playbook(playbook) => playbook.caution,
        Work::AdHoc(_) => Caution::default(),
    };
    let (playbook, description, reports) = match work {
        Work::Playbook(playbook) => (
            playbook.name.clone(),
            playbook.description.clone(),
            playbook.reports.iter().map(|report| planned_report(report, playbook)).collect(),
        ),
        Work::AdHoc(ad_hoc) => (ad_hoc.name, String::new(), ad_hoc.reports),
    };
    let header = PlanHeader {
        playbook,
        description,
        comment,
        tenant: planned_tenant(tenant, simulated),
        steps: steps.into_iter().map(|step| step.into_planned(caution.on_unknown, &tenant.actions)).collect(),
        limits,
        polling,
        statuses: tenant.statuses.clone(),
        dedupe_window: caution.dedupe_window,
        overlap: caution.overlap,
        sources: sources.into_iter().map(without_folders_of_this_machine).collect(),
        rows,
        reports,
        digest: String::new(),
    };
    let mut plan = Plan { header, events: kept, items, rows_without_item: without };
    plan.header.digest = digest::digest(&plan);
    Ok(plan)
}

/// What stands against a playbook, whatever the events and the values of its variables: with this tenant, or with any
/// where none is known.
pub fn check(playbook: &Playbook, tenant: Option<&Tenant>) -> Vec<Problem> {
    let required = playbook.vars.iter().filter(|var| var.required);
    let vars = required.map(|var| (var.name.value.clone(), "value".to_owned())).collect();
    let work = Work::Playbook(playbook);
    if let Some(tenant) = tenant {
        let request = Request { work, tenant, vars, events: Events::default(), partial: true, simulated: false };
        return build(request).err().unwrap_or_default();
    }
    let mut found = Problems::default();
    let origin = Origin::of(&work);
    let vars = settings::vars(&work, &vars, &origin, &mut found);
    settings::comment(&work, &vars, &origin, &mut found);
    check_filters(playbook, &vars, &origin, &mut found);
    found.none().err().unwrap_or_default()
}

fn by_column(work: &Work<'_>) -> bool {
    matches!(work, Work::AdHoc(AdHoc { action: None, .. }))
}

fn check_tenant(request: &Request<'_>, origin: &Origin, problems: &mut Problems) {
    if request.simulated {
        return;
    }
    if let Work::Playbook(Playbook { tenant: Some(wanted), .. }) = &request.work {
        let given = &request.tenant.name;
        if wanted.value != *given {
            let message = format!("this playbook is for the tenant `{}`, not for `{given}`", wanted.value);
            let help = format!("give --tenant the file of `{}`, or correct this name", wanted.value);
            problems.push(origin.problem(wanted.place, "--tenant", message, Some(help)));
        }
    }
}

/// In input order: rows that no step has, rows that cannot be judged, rows that could not be read.
fn rows_without_item(
    mut without: Vec<RowWithoutItem>,
    bad: Vec<BadRow>,
    refused: Vec<RefusedRow>,
) -> Vec<RowWithoutItem> {
    without.extend(bad.into_iter().map(BadRow::into_row_without_item));
    without.extend(refused.into_iter().map(|row| RowWithoutItem {
        row: row.place.row,
        source: row.place.source,
        line: row.place.line,
        byte: Some(row.byte),
        reason: format!("refused: {}", row.reason),
    }));
    without.sort_by_key(|row| row.row);
    without
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

/// A plan holds no absolute path: the same files give the same plan wherever they lie.
fn without_folders_of_this_machine(source: String) -> String {
    let path = std::path::Path::new(&source);
    match path.file_name() {
        Some(name) if path.is_absolute() => name.to_string_lossy().into_owned(),
        _ => source,
    }
}

/// A template's path is relative to the playbook that names it, as those of its events are.
fn planned_report(report: &crate::playbook::ReportRequest, playbook: &Playbook) -> PlannedReport {
    let format = match &report.format {
        ReportFormat::Text => "text".to_owned(),
        ReportFormat::Markdown => "markdown".to_owned(),
        ReportFormat::Json => "json".to_owned(),
        ReportFormat::Csv => "csv".to_owned(),
        ReportFormat::Html => "html".to_owned(),
        ReportFormat::Template(path) => {
            format!("template:{}", playbook.file.parent().unwrap_or(std::path::Path::new("")).join(path).display())
        }
    };
    PlannedReport { format, path: report.path.value.clone() }
}

#[cfg(test)]
mod tests;
