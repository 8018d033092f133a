//! The view: what JSON reports hold and templates see, under the same names.
//!
//! These names are public: fields are only ever added.

use super::explain::{Explained, explained};
use super::{Ending, ReportError, Source, Summary, words};
use crate::engine::Outcome;
use crate::engine::fact::{PairedBy, StopReason};
use crate::plan::{ItemRow, RowWithoutItem};
use serde::Serialize;

/// The schema's name and major version.
pub(super) const SCHEMA: &str = "quell.report/1";

#[derive(Serialize)]
pub(super) struct RunView<'a> {
    pub(super) id: &'a str,
    pub(super) playbook: &'a str,
    pub(super) tenant: &'a str,
    pub(super) base_url: &'a str,
    pub(super) description: &'a str,
    pub(super) comment: &'a str,
    pub(super) started: String,
    /// Null while the run goes on, or after it was killed.
    pub(super) ended: Option<String>,
    pub(super) tool_version: &'a str,
    pub(super) simulated: bool,
    /// What is doubtful about the place of its journal.
    pub(super) state_warning: Option<&'a str>,
    /// Who began it, as far as known.
    pub(super) operator: Option<&'a str>,
    /// The run of which it is a retry.
    pub(super) retry_of: Option<&'a str>,
    /// The run that it undoes.
    pub(super) undo_of: Option<&'a str>,
    pub(super) digest: &'a str,
    pub(super) complete: bool,
    pub(super) stopped: Option<StopReason>,
    pub(super) exit_code: u8,
}

impl<'a> RunView<'a> {
    pub(super) fn of(source: &Source<'a>) -> Self {
        let (run, header, totals) = (source.run, source.header, &source.folded.totals);
        Self {
            id: &run.id,
            playbook: &run.playbook,
            tenant: &run.tenant,
            base_url: &header.tenant.base_url,
            description: &header.description,
            comment: &header.comment,
            started: words::time(totals.first.unwrap_or(run.created)),
            ended: totals.last.filter(|_| totals.ended).map(words::time),
            tool_version: &run.tool_version,
            simulated: run.simulated,
            state_warning: run.state_warning.as_deref(),
            operator: run.operator.as_deref(),
            retry_of: run.retry_of.as_deref(),
            undo_of: run.undo_of.as_deref(),
            digest: &header.digest,
            complete: totals.complete,
            stopped: totals.stopped,
            exit_code: source.exit_code,
        }
    }
}

#[derive(Serialize)]
pub(super) struct SummaryView {
    pub(super) rows: u64,
    pub(super) items: u64,
    pub(super) rows_without_item: u64,
    pub(super) outcomes: super::Outcomes,
    pub(super) calls: CallsView,
    /// Null when there is one wave alone.
    pub(super) waves: Option<WavesView>,
    /// What explains the failures, when one attribute's value does.
    pub(super) explained: Option<Explained>,
    pub(super) approvals: Vec<String>,
    /// Guards that were raised above their defaults.
    pub(super) raised: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct WavesView {
    pub(super) begun: u16,
    pub(super) all: usize,
    pub(super) asks: bool,
    pub(super) opened: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct CallsView {
    pub(super) posts: u64,
    pub(super) gets: u64,
    pub(super) gets_at_least: bool,
    pub(super) throttled: u64,
}

impl SummaryView {
    pub(super) fn of(source: &Source<'_>, summary: &Summary) -> Result<Self, ReportError> {
        let totals = &summary.totals;
        let all = source.header.release.waves.len();
        let (begun, asks, opened) = (totals.promoted + 1, totals.asks, totals.promotions.clone());
        Ok(Self {
            waves: (all > 1).then_some(WavesView { begun, all, asks, opened }),
            explained: explained(source)?,
            approvals: source.approvals(),
            raised: source.header.guards.raised(),
            rows: summary.rows,
            items: summary.items,
            rows_without_item: summary.rows_without_item.all(),
            outcomes: totals.outcomes,
            calls: CallsView {
                posts: totals.posts,
                gets: totals.gets,
                gets_at_least: totals.gets_at_least,
                throttled: totals.throttled,
            },
        })
    }
}

/// One item; `A` is its attributes as the format wants them.
#[derive(Serialize)]
pub(super) struct ItemView<'a, A> {
    pub(super) item: u32,
    pub(super) row: u32,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) step: &'a str,
    pub(super) event_id: &'a str,
    pub(super) agent_id: &'a str,
    pub(super) event_type: &'static str,
    pub(super) pid: u32,
    pub(super) unique_id: &'a str,
    pub(super) action: &'a str,
    pub(super) action_id: i64,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<&'a str>,
    pub(super) remediation_id: Option<&'a str>,
    pub(super) paired_by: Option<PairedBy>,
    pub(super) status: Option<&'a str>,
    pub(super) status_message: Option<&'a str>,
    pub(super) batch: Option<u32>,
    /// What a person found out.
    pub(super) resolution: Option<&'static str>,
    /// How, and by whom.
    pub(super) resolution_note: Option<&'a str>,
    pub(super) attributes: A,
}

impl<'a, A> ItemView<'a, A> {
    pub(super) fn of(
        source: &'a Source<'_>,
        row: &'a ItemRow,
        ending: &'a Ending,
        attributes: A,
    ) -> Result<Self, ReportError> {
        let (place, event) = (row.event.place, &row.event);
        let wrong = || ReportError::DoesNotAddUp(format!("item {} names a step or source that is not there", row.item));
        let step = source.header.steps.get(usize::from(row.step)).ok_or_else(wrong)?;
        Ok(Self {
            item: row.item,
            row: place.row,
            file: source.file(place.source).ok_or_else(wrong)?,
            line: place.line,
            step: &step.name,
            event_id: &event.event_id,
            agent_id: &event.agent_id,
            event_type: event.event_type.as_str(),
            pid: event.pid,
            unique_id: &event.unique_id,
            action: &step.action.name,
            action_id: step.action.id,
            outcome: ending.outcome,
            reason: ending.reason.as_deref(),
            remediation_id: ending.remediation.as_ref().map(|remediation| &*remediation.id),
            paired_by: ending.paired_by,
            status: ending.status.as_deref(),
            status_message: ending.status_message.as_deref(),
            batch: ending.batch.map(|batch| batch.0),
            resolution: ending.resolution.as_ref().map(|resolution| words::finding(resolution.finding)),
            resolution_note: ending.resolution.as_ref().map(|resolution| resolution.note.as_str()),
            attributes,
        })
    }

    /// Why it stands where it stands, in one sentence for a person: our reason and what the API said.
    pub(super) fn because(&self) -> String {
        let api = [self.status, self.status_message];
        let api: Vec<&str> = api.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        let found =
            self.resolution.map(|found| format!("resolved as {found}: {}", self.resolution_note.unwrap_or_default()));
        let parts = self.reason.map(str::to_owned).into_iter().chain(Some(api.join(": "))).chain(found);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

#[derive(Serialize)]
pub(super) struct RowView<'a> {
    pub(super) row: u32,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) byte: Option<u64>,
    pub(super) reason: &'a str,
}

impl<'a> RowView<'a> {
    pub(super) fn of(source: &Source<'a>, row: &'a RowWithoutItem) -> Result<Self, ReportError> {
        let wrong = || ReportError::DoesNotAddUp(format!("row {} names a source that is not there", row.row));
        let file = source.header.sources.get(usize::from(row.source)).ok_or_else(wrong)?;
        Ok(Self { row: row.row, file, line: row.line, byte: row.byte, reason: &row.reason })
    }
}
