//! What a report for people shows of many items: those that need a person first, then others, each up to a limit.

use super::explain::{Explained, explained};
use super::view::ItemView;
use super::{Ending, ReportError, Skipped, Source, Summary, words};
use crate::engine::Outcome;
use crate::plan::{ItemRow, RowWithoutItem};
use crate::playbook::ReportFormat;
use std::collections::{BTreeMap, BTreeSet};

/// How many items to show of each kind.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) needs_person_max: usize,
    pub(super) others_max: usize,
}

/// The items to show.
pub(super) struct Picked<'a> {
    pub(super) summary: Summary,
    /// The most urgent outcome first, in item order within one.
    pub(super) needs_person: Vec<(ItemRow, &'a Ending)>,
    /// In item order.
    pub(super) others: Vec<(ItemRow, &'a Ending)>,
    /// Why items were skipped, and how many for each reason.
    pub(super) skipped: BTreeMap<&'a str, u64>,
    /// Outcomes after which items may go again by `retry`, nobody having to permit it.
    pub(super) again: BTreeSet<&'static str>,
    /// Items that were skipped although nobody knows that they were done.
    pub(super) skipped_in_doubt: u64,
    /// What explains the failures.
    pub(super) explained: Option<Explained>,
}

impl<'a> Picked<'a> {
    /// Picks in one pass; it never holds more than the limits per outcome.
    pub(super) fn of(source: &Source<'a>, limits: Limits) -> Result<Self, ReportError> {
        let mut urgent: Vec<Vec<(ItemRow, &Ending)>> = vec![Vec::new(); words::NEEDS_PERSON.len()];
        let mut others = Vec::new();
        let mut skipped = BTreeMap::new();
        let (mut again, mut skipped_in_doubt) = (BTreeSet::new(), 0);
        let summary = source.each_item(|row, _| {
            let Some(ending) = source.folded.endings.get(row.item as usize) else { return Ok(()) };
            if ending.outcome == Outcome::Skipped {
                *skipped.entry(ending.reason.as_deref().unwrap_or_default()).or_default() += 1;
                skipped_in_doubt += u64::from(ending.skipped == Some(Skipped::MayBeDone));
            }
            if ending.surely_not_done() == Some(true) {
                again.insert(words::outcome(ending.outcome));
            }
            let open = words::NEEDS_PERSON.iter().position(|&outcome| outcome == ending.outcome);
            match open.filter(|_| ending.resolution.is_none()) {
                Some(rank) if urgent[rank].len() < limits.needs_person_max => urgent[rank].push((row, ending)),
                None if others.len() < limits.others_max => others.push((row, ending)),
                _ => {}
            }
            Ok(())
        })?;
        let needs_person = urgent.into_iter().flatten().take(limits.needs_person_max).collect();
        let explained = explained(source)?;
        Ok(Self { summary, needs_person, others, skipped, again, skipped_in_doubt, explained })
    }

    /// How many items that need a person are not shown.
    pub(super) fn needs_person_left_out(&self) -> u64 {
        self.summary.totals.needs_person() - self.needs_person.len() as u64
    }

    /// How many other items are not shown.
    pub(super) fn others_left_out(&self) -> u64 {
        let others = self.summary.items - self.summary.totals.needs_person();
        others - self.others.len() as u64
    }
}

/// Items as views without attributes.
pub(super) fn views<'a>(
    source: &'a Source<'_>,
    items: &'a [(ItemRow, &'a Ending)],
) -> Result<Vec<ItemView<'a, ()>>, ReportError> {
    items.iter().map(|(row, ending)| ItemView::of(source, row, ending, ())).collect()
}

/// The first rows without item and how many are left out.
pub(super) fn first_rows<'a>(source: &Source<'a>, rows_max: usize) -> (&'a [RowWithoutItem], usize) {
    let shown = source.rows_without_item.len().min(rows_max);
    (&source.rows_without_item[..shown], source.rows_without_item.len() - shown)
}

/// Where everything stands: the run's own JSON or CSV report, if it writes one.
pub(super) fn everything_is_in(source: &Source<'_>) -> Option<String> {
    let whole = source
        .header
        .reports
        .iter()
        .find(|report| matches!(super::parse_format(&report.format), Ok(ReportFormat::Json | ReportFormat::Csv)))?;
    super::render_path(&whole.path, source.run).ok().map(|path| path.display().to_string())
}
