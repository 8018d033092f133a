//! HTML: one page without script or outside resources, for a browser, a mail, a printer.
//!
//! It is an embedded template like a user's own, with the same escaping. Colours only repeat what the words say.

use super::pick::{self, Limits, Picked};
use super::text::{Verdict, by_reason, released};
use super::view::{RowView, RunView, SummaryView};
use super::words::{self, Tone};
use super::{ReportError, Source, inert, template};
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use tera::Context;

const PAGE: &str = include_str!("templates/report.html");
/// Its name, for its errors and its escaping.
const NAME: &str = "report.html";
const LIMITS: Limits = Limits { needs_person_max: 5_000, others_max: 5_000 };
/// How many rows without item are shown.
const ROWS_MAX: usize = 2_000;

pub(super) fn write(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let picked = Picked::of(source, LIMITS)?;
    let mut tera = template::tera();
    let broken = |error: tera::Error| ReportError::DoesNotAddUp(format!("the built-in page: {error}"));
    tera.add_raw_template(NAME, PAGE).map_err(broken)?;
    out.write_all(&template::render(&tera, NAME, &context(source, &picked)?)?)?;
    Ok(())
}

#[derive(Serialize)]
struct Count {
    word: &'static str,
    tone: &'static str,
    items: u32,
    /// Of all items, for the bar.
    percent: String,
}

fn context(source: &Source<'_>, picked: &Picked<'_>) -> Result<Context, ReportError> {
    let verdict = Verdict::of(picked);
    let (summary, totals) = (&picked.summary, &source.folded.totals);
    let (rows, rows_left_out) = pick::first_rows(source, ROWS_MAX);
    let rows = rows.iter().map(|row| RowView::of(source, row)).collect::<Result<Vec<_>, _>>()?;
    let took = totals.first.zip(totals.last).map(|(first, last)| words::duration(last.0.saturating_sub(first.0)));
    let mut context = Context::new();
    context.insert("title", &inert::terminal(&source.run.id));
    context.insert("verdict", &verdict.words);
    context.insert("tone", tone(verdict.tone));
    context.insert("run", &RunView::of(source));
    context.insert("took", &took);
    context.insert("summary", &SummaryView::of(source, summary)?);
    let line = |(name, value): (&'static str, String)| {
        HashMap::from([("name", name.to_owned()), ("value", inert::terminal(&value).into_owned())])
    };
    context.insert("released", &released(source, picked).into_iter().map(line).collect::<Vec<_>>());
    context.insert("rows_with_item", &summary.rows_with_item);
    context.insert("by_reason", &by_reason(summary.rows_without_item));
    context.insert("counts", &counts(picked));
    context.insert("needs_person", &shown(source, &picked.needs_person)?);
    context.insert("needs_person_left_out", &picked.needs_person_left_out());
    context.insert("others", &shown(source, &picked.others)?);
    context.insert("others_left_out", &picked.others_left_out());
    context.insert("rows_without_item", &rows);
    context.insert("rows_left_out", &rows_left_out);
    context.insert("elsewhere", &pick::everything_is_in(source));
    Ok(context)
}

/// An item's line, with what the view does not say by itself.
#[derive(Serialize)]
struct Line<'a> {
    row: u32,
    place: String,
    agent_id: &'a str,
    event_id: &'a str,
    event_type: &'a str,
    step: &'a str,
    action: &'a str,
    outcome: &'static str,
    tone: &'static str,
    because: String,
    remediation_id: Option<&'a str>,
    paired_by: Option<&'static str>,
}

fn shown(source: &Source<'_>, items: &[(crate::plan::ItemRow, &super::Ending)]) -> Result<tera::Value, ReportError> {
    let views = pick::views(source, items)?;
    let lines = views.iter().map(|item| Line {
        row: item.row,
        place: format!("{}:{}", item.file, item.line),
        agent_id: item.agent_id,
        event_id: item.event_id,
        event_type: item.event_type,
        step: item.step,
        action: item.action,
        outcome: words::outcome(item.outcome),
        tone: tone(words::tone(item.outcome)),
        because: item.because(),
        remediation_id: item.remediation_id,
        paired_by: item.paired_by.map(words::paired_by),
    });
    Ok(tera::Value::from_serializable(&lines.collect::<Vec<_>>()))
}

fn counts(picked: &Picked<'_>) -> Vec<Count> {
    let all = picked.summary.items.max(1);
    let there = picked.summary.totals.outcomes.iter().filter(|&(_, items)| items > 0);
    let count = |(outcome, items): (_, u32)| {
        let tenths = u64::from(items) * 1_000 / all;
        let percent = format!("{}.{}", tenths / 10, tenths % 10);
        Count { word: words::outcome(outcome), tone: tone(words::tone(outcome)), items, percent }
    };
    there.map(count).collect()
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Neutral => "neutral",
    }
}
