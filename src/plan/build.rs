//! Puts a plan together, or says everything that stands against it.
//!
//! Each part reports its own problems and gives back what it could make, so that one pass finds all of them. A plan is
//! only made when there are none.

use super::narrow::Narrowing;
use super::problems::{self, Origin, Problems};
use super::protected::{Matches, Rules};
use super::release::Sizes;
use super::select::{BadRow, ReadyStep, Selection};
use super::steps::{CompiledStep, check_ages, check_columns, check_filters, compiled_steps};
use super::{Plan, PlanHeader, PlannedFile, PlannedRelease, PlannedReport, PlannedTenant, RowWithoutItem};
use super::{approval, digest, guards, release, repeats, select, settings, targets, unjudged};
use crate::events::{Events, RefusedRow};
use crate::playbook::{Caution, Playbook, ReportFormat, Tolerated, WaveSize};
use crate::problem::Problem;
use crate::tenant::{Guards, Tenant};
use crate::yaml::Spanned;
use std::collections::BTreeMap;

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
    /// What the command line leaves out.
    pub narrowing: Narrowing,
    /// Whether a row that cannot be judged is left out, rather than refusing the plan.
    pub partial: bool,
    /// Whether the built-in simulator stands in for the tenant.
    pub simulated: bool,
    /// The files that all this was read from.
    pub files: Vec<PlannedFile>,
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
    /// `--waves`
    pub waves: Vec<Spanned<WaveSize>>,
    /// `--failure-budget`
    pub failure_budget: Option<Tolerated>,
    /// `--max-items` and its like.
    pub guards: Box<Guards>,
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
    let guards = guards::bounds::effective(&request.work, request.tenant, &origin, &mut found);
    let mut protected = Rules::compile(&request.work, request.tenant, &origin, &mut found);
    let Request { work, tenant, events, narrowing, partial, simulated, files, .. } = request;
    let steps = compiled_steps(&work, tenant, &events, &vars, &origin, &mut found);
    check_columns(&steps, &events, &origin, &mut found);
    let column = match &work {
        Work::Playbook(playbook) => playbook.target.as_ref(),
        Work::AdHoc(_) => None,
    };
    targets::check_column(column, &events.rows, &origin, &mut found);
    check_ages(&steps, tenant, &events.rows, &origin, &mut found);
    approval::check(&work, Some(tenant), &vars, &origin, &mut found);
    let flag = narrowing.filter.as_ref().map(|filter| CompiledStep::of_flag(filter, &vars, &mut found));
    check_columns(flag.as_slice(), &events, &Origin::CommandLine, &mut found);
    let only = flag.and_then(CompiledStep::into_filter);
    protected.check_columns(&events, &mut found);
    protected.learn(&events.rows);
    let steps: Vec<ReadyStep> = steps.into_iter().filter_map(|step| step.ready(&tenant.actions)).collect();

    let rows = u32::try_from(events.rows.len() + events.refused.len()).unwrap_or(u32::MAX);
    let Events { sources, rows: mut all_events, bytes, refused, .. } = events;
    // Rows are judged only by filters that can judge: one wrong column would make every row a problem of its own.
    let mut selection = Selection::default();
    let mut targets = targets::Targets::default();
    if found.is_empty() {
        selection = select::select(&steps, &tenant.actions, &all_events, &bytes, by_column(&work));
        selection.narrow(narrowing.hosts.as_ref(), only.as_ref(), &all_events, &bytes);
        if by_column(&work) {
            let contradictions = repeats::contradictions(&selection.chosen, &steps, &all_events);
            let rows = problems::Rows { events: &all_events, bytes: &bytes, sources: &sources };
            problems::report_contradictions(&contradictions, &steps, &rows, &mut found);
        }
        targets = targets::targets(column, &mut selection, (&all_events, &bytes));
        let expanded = targets::once(&steps, &mut selection, (all_events, &bytes), targets);
        (all_events, targets) = (expanded.events, expanded.targets);
        problems::report_bad_rows(&expanded.split, &sources, &mut found);
        let repeats = repeats::find(&selection.chosen, &steps, &all_events);
        selection.leave_out(&repeats, &all_events);
        if steps.iter().any(|step| step.flow.once) {
            targets::forget_rows_with_item(&mut selection, &all_events);
        }
        selection.limit(narrowing.limit, &all_events);
        if !partial {
            let flag = narrowing.filter.as_deref().zip(only.as_ref());
            unjudged::report(&selection.bad, &steps, flag, &origin, &mut found);
            problems::report_bad_rows(&selection.bad, &sources, &mut found);
        }
    }
    found.none()?;

    let (kept, items) = targets::number(all_events, &selection.chosen, &targets);
    let without = rows_without_item(selection.without, selection.bad, refused);
    let caution = match work {
        Work::Playbook(playbook) => playbook.caution,
        Work::AdHoc(_) => Caution::default(),
    };
    let (playbook, description, reports) = match &work {
        Work::Playbook(playbook) => (
            playbook.name.clone(),
            playbook.description.clone(),
            playbook.reports.iter().map(|report| planned_report(report, playbook)).collect(),
        ),
        Work::AdHoc(ad_hoc) => (ad_hoc.name.clone(), String::new(), ad_hoc.reports.clone()),
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
        release: PlannedRelease::default(),
        guards,
        blocked: Vec::new(),
        sources: sources.into_iter().map(without_folders_of_this_machine).collect(),
        rows,
        reports,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        files,
        origin: None,
        approval: None,
        digest: String::new(),
    };
    let mut plan = Plan { header, events: kept, items, rows_without_item: without };
    let Matches { holds, blocked } = protected.judge(&plan);
    plan.header.blocked = blocked;
    targets::blocked_last(&mut plan);
    plan.header.guards.holds = guards::judge(&plan);
    plan.header.guards.holds.extend(holds);
    // Of what is left when rules have blocked theirs.
    plan.header.release = release::release(&work, Sizes::of(&plan), &origin, &mut found);
    plan.header.approval = approval::planned(&work, &vars, &approval::totals(&plan, tenant), &origin, &mut found);
    found.none()?;
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
        let (events, narrowing, files) = (Events::default(), Narrowing::default(), Vec::new());
        let request = Request { work, tenant, vars, events, narrowing, partial: true, simulated: false, files };
        return build(request).err().unwrap_or_default();
    }
    let mut found = Problems::default();
    let origin = Origin::of(&work);
    let vars = settings::vars(&work, &vars, &origin, &mut found);
    settings::comment(&work, &vars, &origin, &mut found);
    check_filters(playbook, &vars, &origin, &mut found);
    approval::check(&work, None, &vars, &origin, &mut found);
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
