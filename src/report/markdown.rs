//! Markdown for a pull request or an incident channel: what needs a person first, the rest up to a limit.
//!
//! The whole stays under 60,000 bytes (a GitHub comment ends at 65,536). Foreign text stands in code spans only, in which no
//! mention, link or HTML is live.

use super::pick::{self, Limits, Picked};
use super::text::{Verdict, by_reason, released};
use super::view::{ItemView, RowView, RunView};
use super::words::{self, Tone};
use super::{ReportError, Source, inert};
use crate::noun::count;
use std::io::Write;

const LIMITS: Limits = Limits { needs_person_max: 40, others_max: 20 };
/// How many rows without item are shown.
const ROWS_MAX: usize = 20;
/// How many characters of one cell are shown.
const CELL_CHARACTERS_MAX: usize = 60;
/// How many characters of a reason are shown.
const REASON_CHARACTERS_MAX: usize = 120;

pub(super) fn write(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let picked = Picked::of(source, LIMITS)?;
    let verdict = Verdict::of(&picked);
    let sign = match verdict.tone {
        Tone::Good => "✅",
        Tone::Bad => "❌",
        Tone::Neutral => "⏳",
    };
    writeln!(out, "## {sign} {}: {}\n", cell(&source.run.id), verdict.words)?;
    run(source, &picked, out)?;
    counts(&picked, out)?;
    if !picked.needs_person.is_empty() {
        writeln!(out, "### Needs a person\n")?;
        items(pick::views(source, &picked.needs_person)?, out)?;
        left_out(source, picked.needs_person_left_out(), out)?;
    }
    if !picked.others.is_empty() {
        writeln!(out, "### Other items\n")?;
        items(pick::views(source, &picked.others)?, out)?;
        left_out(source, picked.others_left_out(), out)?;
    }
    rows_without_item(source, out)
}

fn run(source: &Source<'_>, picked: &Picked<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let (view, totals) = (RunView::of(source), &source.folded.totals);
    let simulated = if view.simulated { ", **simulated**: no real tenant was touched" } else { "" };
    writeln!(out, "- tenant {} at {}{simulated}", cell(view.tenant), cell(view.base_url))?;
    writeln!(out, "- playbook {}{}", cell(view.playbook), after(": ", &long_cell(view.description)))?;
    if !view.comment.is_empty() {
        writeln!(out, "- comment {}", long_cell(view.comment))?;
    }
    let took = match (totals.first, totals.last) {
        (Some(first), Some(last)) => words::duration(last.0.saturating_sub(first.0)),
        _ => "nothing happened yet".to_owned(),
    };
    writeln!(out, "- took {took}, from {} to {}", view.started, view.ended.as_deref().unwrap_or("no end recorded"))?;
    for (name, value) in released(source, picked) {
        writeln!(out, "- {name}: {}", long_cell(&value))?;
    }
    let (acts, polls) = (count(totals.posts, "act"), totals.polls());
    writeln!(out, "- {acts}, {polls}, {} refused for a limit; exit code {}\n", totals.throttled, view.exit_code)?;
    Ok(())
}

fn counts(picked: &Picked<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let summary = &picked.summary;
    writeln!(out, "| outcome | items |\n|---|---:|")?;
    for (outcome, n) in summary.totals.outcomes.iter().filter(|&(_, n)| n > 0) {
        writeln!(out, "| {} | {n} |", words::outcome(outcome))?;
    }
    writeln!(out, "| **all** | **{}** |\n", summary.items)?;
    let rows = count(summary.rows, "row");
    writeln!(out, "{rows}: {} with item, {} without{}.\n", summary.rows_with_item, summary.rows_without_item.all(), {
        after(": ", &by_reason(summary.rows_without_item))
    })?;
    Ok(())
}

fn items(items: Vec<ItemView<'_, ()>>, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "| row | agent | event | step | outcome | why |\n|---:|---|---|---|---|---|")?;
    for item in items {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            item.row,
            cell(item.agent_id),
            cell(item.event_id),
            cell(item.step),
            words::outcome(item.outcome),
            long_cell(&item.because()),
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn rows_without_item(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let (shown, more) = pick::first_rows(source, ROWS_MAX);
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "### Rows without item\n\n| row | where | why |\n|---:|---|---|")?;
    for row in shown {
        let row = RowView::of(source, row)?;
        let place = format!("{}:{}", row.file, row.line);
        writeln!(out, "| {} | {} | {} |", row.row, cell(&place), long_cell(row.reason))?;
    }
    writeln!(out)?;
    left_out(source, more as u64, out)
}

fn left_out(source: &Source<'_>, more: u64, out: &mut dyn Write) -> Result<(), ReportError> {
    if more > 0 {
        let whole = pick::everything_is_in(source).map(|path| cell(&path));
        writeln!(out, "And {more} more: all are in {}.\n", whole.as_deref().unwrap_or("the JSON and CSV reports"))?;
    }
    Ok(())
}

fn cell(text: &str) -> String {
    inert::markdown(&inert::shorten(text, CELL_CHARACTERS_MAX))
}

fn long_cell(text: &str) -> String {
    inert::markdown(&inert::shorten(text, REASON_CHARACTERS_MAX))
}

fn after(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}") }
}
