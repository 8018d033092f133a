//! The terminal's summary, understood at a glance: one verdict line, what needs a person, what to do next.
//!
//! No escape code is written unless colour is asked for, colour never carries what the words do not say, and all foreign
//! text is made inert.

use super::explain::Explained;
use super::pick::{self, Limits, Picked};
use super::totals::{RowsWithoutItem, Totals};
use super::view::{ItemView, RowView, RunView};
use super::words::{self, Tone};
use super::{ReportError, Source, inert};
use crate::engine::Outcome;
use crate::engine::fact::StopReason;
use crate::noun::count;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;

/// How many rows without item are shown.
const SHOWN_MAX: usize = 20;
/// How many items that need a person are put together by how they ended.
const GROUPED_MAX: usize = 10_000;
/// How many such groups are shown, and how many items of each.
const GROUPS_MAX: usize = 10;
const SHOWN_OF_GROUP_MAX: usize = 3;
/// How many characters of a reason are shown.
const REASON_CHARACTERS_MAX: usize = 160;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// No escape codes at all: files, pipes.
    Never,
    /// A terminal that shows them.
    Always,
}

/// Writes the summary.
pub fn text(source: &Source<'_>, colour: Colour, out: &mut dyn Write) -> Result<(), ReportError> {
    let picked = Picked::of(source, Limits { needs_person_max: GROUPED_MAX, others_max: 0 })?;
    let verdict = Verdict::of(&picked);
    let paint = Paint(colour);
    let id = inert::terminal(&source.run.id);
    let simulated = if source.run.simulated { "simulated, " } else { "" };
    writeln!(out, "{id}: {} ({simulated}exit code {})", paint.tone(verdict.tone, &verdict.words), source.exit_code)?;
    run(source, &picked, out)?;
    counts(&picked, paint, out)?;
    needs_person(source, &picked, paint, out)?;
    skipped(&picked, out)?;
    rows_without_item(source, out)?;
    if let Some(next) = verdict.next(&source.run.id) {
        writeln!(out, "\nnext: {}", inert::terminal(&next))?;
    }
    Ok(())
}

/// How the run stands, in one line.
pub(super) struct Verdict {
    pub(super) tone: Tone,
    pub(super) words: String,
    next: Option<Next>,
}

/// What goes on from here.
enum Next {
    /// A person looks.
    Look,
    Resume,
    /// A person lets the next wave begin; whether its conditions hold.
    Promote(bool),
    /// An operator lets it go on beyond its failure budget.
    Continue,
    /// What is not settled may settle yet.
    Poll,
    /// Items with these outcomes may go again.
    Retry(BTreeSet<&'static str>),
    /// A person looks at what an earlier run left.
    LookElsewhere,
}

impl Verdict {
    /// The worst that holds, in the order of the exit codes.
    pub(super) fn of(picked: &Picked<'_>) -> Self {
        let (summary, totals) = (&picked.summary, &picked.summary.totals);
        let n = |outcome| u64::from(totals.judged.of(outcome));
        let items = count(summary.items, "item");
        let good = n(Outcome::Succeeded) + n(Outcome::Skipped);
        let refused = summary.rows_without_item.refused;
        let unclear = n(Outcome::Unknown) + n(Outcome::Unmatched);
        // What was never sent alone waits for something else that has to be done first.
        let not_sent = words::outcome(Outcome::NotStarted);
        let next = match () {
            () if unclear > 0 => Some(Next::Look),
            () if !totals.complete => Some(match totals.stopped {
                Some(StopReason::Gate) => Next::Promote(totals.asks),
                Some(StopReason::Budget) => Next::Continue,
                None if totals.asks => Next::Promote(true),
                _ => Next::Resume,
            }),
            () if n(Outcome::StillQueued) + n(Outcome::TimedOut) > 0 => Some(Next::Poll),
            () if picked.again.iter().any(|of| *of != not_sent) => Some(Next::Retry(picked.again.clone())),
            () => (picked.skipped_in_doubt > 0).then_some(Next::LookElsewhere),
        };
        let (tone, words) = match () {
            () if unclear > 0 => {
                let of = [(Outcome::Unknown, n(Outcome::Unknown)), (Outcome::Unmatched, n(Outcome::Unmatched))];
                let of = of.into_iter().filter(|&(_, n)| n > 0).map(|(of, n)| format!("{n} {}", words::outcome(of)));
                let of = of.collect::<Vec<_>>().join(" and ");
                let early = if totals.complete { String::new() } else { format!("; {}", early(totals)) };
                (Tone::Bad, format!("a person must look: {of} of {items}{early}"))
            }
            () if !totals.complete => {
                (Tone::Bad, format!("{}; {} of {items} succeeded", early(totals), n(Outcome::Succeeded)))
            }
            () if summary.items == 0 => (Tone::Good, "nothing to do, no row became an item".to_owned()),
            () if good == summary.items && refused > 0 => {
                let words = all_well(n(Outcome::Succeeded), n(Outcome::Skipped));
                (Tone::Bad, format!("{words}, but {} refused", were(refused, "row")))
            }
            () if good == summary.items => (Tone::Good, all_well(n(Outcome::Succeeded), n(Outcome::Skipped))),
            () if n(Outcome::StillQueued) == summary.items => {
                (Tone::Neutral, format!("no host has answered yet: {items} still queued"))
            }
            () if good + n(Outcome::StillQueued) == summary.items => {
                (Tone::Neutral, format!("finished well, {} of {items} still queued", n(Outcome::StillQueued)))
            }
            () => (Tone::Bad, format!("finished, {} of {items} did not succeed", summary.items - good)),
        };
        Self { tone, words, next }
    }

    /// The command that goes on from here.
    fn next(&self, run: &str) -> Option<String> {
        Some(match self.next.as_ref()? {
            Next::Look => format!("quell show --needs-me {run}"),
            Next::Resume => format!("quell resume {run}"),
            Next::Promote(true) => format!("quell promote {run}"),
            Next::Promote(false) => format!("quell promote {run} --reason TEXT"),
            Next::Continue => format!("quell resume {run} --continue --reason TEXT"),
            Next::Poll => format!("quell poll {run}"),
            Next::Retry(outcomes) => {
                let outcomes: Vec<&str> = outcomes.iter().copied().collect();
                format!("quell retry {run} --outcome {}", outcomes.join(","))
            }
            Next::LookElsewhere => "quell show --needs-me".to_owned(),
        })
    }
}

/// How an incomplete run stands.
fn early(totals: &Totals) -> String {
    match (totals.stopped, totals.ended) {
        (Some(why), _) => format!("stopped early, {}", words::stop_reason(why)),
        (None, true) => "stopped early".to_owned(),
        (None, false) => "still going on or interrupted".to_owned(),
    }
}

fn were(n: u64, what: &str) -> String {
    format!("{} {}", count(n, what), if n == 1 { "was" } else { "were" })
}

fn all_well(succeeded: u64, skipped: u64) -> String {
    match (succeeded, skipped) {
        (1, 0) => "the one item succeeded".to_owned(),
        (all, 0) => format!("all {} succeeded", count(all, "item")),
        (0, all) => format!("nothing to do, {} skipped", count(all, "item")),
        (succeeded, skipped) => format!("{} succeeded, {skipped} skipped", count(succeeded, "item")),
    }
}

fn run(source: &Source<'_>, picked: &Picked<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let view = RunView::of(source);
    let totals = &source.folded.totals;
    let simulated = if view.simulated { "; simulated, no real tenant was touched" } else { "" };
    let tenant = format!("{} at {}{simulated}", view.tenant, view.base_url);
    let took = match (totals.first, totals.last) {
        (Some(first), Some(last)) => words::duration(last.0.saturating_sub(first.0)),
        _ => "nothing happened yet".to_owned(),
    };
    let ended = view.ended.as_deref().unwrap_or("no end recorded");
    let calls = format!("{}, {}, {} refused for a limit", count(totals.posts, "act"), totals.polls(), totals.throttled);
    writeln!(out)?;
    for (name, value) in [
        (
            "playbook",
            [view.playbook, view.description].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(": "),
        ),
        ("tenant", tenant),
        ("comment", view.comment.to_owned()),
        ("took", format!("{took}, from {} to {ended}", view.started)),
        ("calls", calls),
    ] {
        if !value.is_empty() {
            writeln!(out, "  {name:9} {}", inert::terminal(&value))?;
        }
    }
    for (name, value) in released(source, picked) {
        writeln!(out, "  {name:9} {}", inert::terminal(&value))?;
    }
    Ok(())
}

/// What there is to say of who began it, and of waves, approvals and failures, each with its name.
pub(super) fn released(source: &Source<'_>, picked: &Picked<'_>) -> Vec<(&'static str, String)> {
    let totals = &source.folded.totals;
    let all = source.header.release.waves.len();
    let asks = if totals.asks { ", the next one waits for a person" } else { "" };
    let waves = (all > 1 && totals.first.is_some())
        .then(|| format!("{} of {all} began{asks}", usize::from(totals.promoted) + 1));
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let lines = [
        ("operator", said(&source.run.operator)),
        ("retry of", said(&source.run.retry_of)),
        ("undo of", said(&source.run.undo_of)),
        ("note", said(&source.run.state_warning)),
        ("waves", waves.unwrap_or_default()),
        ("opened", totals.promotions.join("; ")),
        ("approved", source.approvals().join("; ")),
        ("raised", source.header.guards.raised().join("; ")),
        ("failures", picked.explained.as_ref().map(Explained::words).unwrap_or_default()),
    ];
    lines.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn counts(picked: &Picked<'_>, paint: Paint, out: &mut dyn Write) -> Result<(), ReportError> {
    let summary = &picked.summary;
    let (items, rows) = (count(summary.items, "item"), count(summary.rows, "row"));
    writeln!(out, "\n{items} from {} of {rows}", summary.rows_with_item)?;
    for (outcome, n) in summary.totals.outcomes.iter().filter(|&(_, n)| n > 0) {
        writeln!(out, "  {n:7} {}", paint.tone(words::tone(outcome), words::outcome(outcome)))?;
    }
    if summary.totals.resolved > 0 {
        writeln!(
            out,
            "  {:7} of these resolved by a person: the verdict counts what was found",
            summary.totals.resolved
        )?;
    }
    if summary.rows_without_item.all() > 0 {
        let without = summary.rows_without_item;
        writeln!(out, "{} without item: {}", count(without.all(), "row"), by_reason(without))?;
    }
    Ok(())
}

/// The kinds of rows without item that there are, in a few words.
pub(super) fn by_reason(rows: RowsWithoutItem) -> String {
    let kinds = [
        (rows.duplicate, "duplicate"),
        (rows.not_selected, "selected by no step"),
        (rows.refused, "refused"),
        (rows.other, "for other reasons"),
    ];
    let kinds = kinds.into_iter().filter(|&(n, _)| n > 0);
    kinds.map(|(n, kind)| format!("{n} {kind}")).collect::<Vec<_>>().join(", ")
}

fn needs_person(
    source: &Source<'_>,
    picked: &Picked<'_>,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if picked.needs_person.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nneeds a person:")?;
    let views = pick::views(source, &picked.needs_person)?;
    let groups = alike(&views);
    for group in groups.iter().take(GROUPS_MAX) {
        let first = group[0];
        let outcome = paint.tone(words::tone(first.outcome), words::outcome(first.outcome));
        let because = first.because();
        let word = words::outcome(first.outcome);
        let because = because.strip_prefix(word).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&because);
        let why = inert::shorten(&inert::terminal(because), REASON_CHARACTERS_MAX).into_owned();
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        writeln!(out, "  {} {outcome}{why}", group.len())?;
        for item in group.iter().take(SHOWN_OF_GROUP_MAX) {
            writeln!(out, "    {}", place(item))?;
        }
        if group.len() > SHOWN_OF_GROUP_MAX {
            writeln!(out, "    and {} more", group.len() - SHOWN_OF_GROUP_MAX)?;
        }
    }
    let of_other_groups: usize = groups.iter().skip(GROUPS_MAX).map(Vec::len).sum();
    left_out(source, picked.needs_person_left_out() + of_other_groups as u64, out)
}

/// Because of which runs items were skipped.
fn skipped(picked: &Picked<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut reasons: Vec<(&str, u64)> = picked.skipped.iter().map(|(why, n)| (*why, *n)).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    writeln!(out, "\nskipped:")?;
    for (why, n) in reasons.iter().take(GROUPS_MAX) {
        let why = why.strip_prefix("it ").unwrap_or(why);
        writeln!(out, "  {n} {}", inert::shorten(&inert::terminal(why), REASON_CHARACTERS_MAX))?;
    }
    let more = reasons.len().saturating_sub(GROUPS_MAX);
    if more > 0 {
        writeln!(out, "  and for {}", count(more, "other reason"))?;
    }
    Ok(())
}

/// Items that ended the same way for the same reason, in the order of their first ones.
fn alike<'a, 'v>(views: &'a [ItemView<'v, ()>]) -> Vec<Vec<&'a ItemView<'v, ()>>> {
    let mut places: HashMap<(Outcome, String), usize> = HashMap::new();
    let mut groups: Vec<Vec<&ItemView<'_, ()>>> = Vec::new();
    for view in views {
        let place = *places.entry((view.outcome, view.because())).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(view),
            None => groups.push(vec![view]),
        }
    }
    groups
}

fn place(item: &ItemView<'_, ()>) -> String {
    let step = if item.step == item.action { item.step.to_owned() } else { format!("{} ({})", item.step, item.action) };
    let all = format!(
        "item {}: row {} ({}:{}), step {step}, agent {}, event {}",
        item.item, item.row, item.file, item.line, item.agent_id, item.event_id
    );
    inert::terminal(&all).into_owned()
}

fn rows_without_item(source: &Source<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let (shown, more) = pick::first_rows(source, SHOWN_MAX);
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nrows without item:")?;
    for row in shown {
        let row = RowView::of(source, row)?;
        let byte = row.byte.map(|byte| format!(", byte {byte}")).unwrap_or_default();
        let line = format!("row {} ({}:{}{byte}): {}", row.row, row.file, row.line, row.reason);
        writeln!(out, "  {}", inert::shorten(&inert::terminal(&line), REASON_CHARACTERS_MAX))?;
    }
    left_out(source, more as u64, out)
}

fn left_out(source: &Source<'_>, more: u64, out: &mut dyn Write) -> Result<(), ReportError> {
    if more > 0 {
        let whole = pick::everything_is_in(source).unwrap_or_else(|| "the JSON and CSV reports".to_owned());
        writeln!(out, "  and {more} more: all are in {}", inert::terminal(&whole))?;
    }
    Ok(())
}

/// Colours of the basic set, readable on dark and light.
#[derive(Clone, Copy)]
struct Paint(Colour);

impl Paint {
    fn tone(self, tone: Tone, words: &str) -> String {
        match (self.0, tone) {
            (Colour::Never, _) => words.to_owned(),
            (Colour::Always, Tone::Good) => format!("\u{1b}[32m{words}\u{1b}[0m"),
            (Colour::Always, Tone::Bad) => format!("\u{1b}[1;31m{words}\u{1b}[0m"),
            (Colour::Always, Tone::Neutral) => format!("\u{1b}[33m{words}\u{1b}[0m"),
        }
    }
}
