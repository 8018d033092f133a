//! Reports of runs that were driven by chance: they say the same, row for row, and their counts add up to the exit code.

use crate::engine::Outcome;
use crate::engine::fact::{Finding, StopReason};
use crate::error::{RunVerdict, run_exit_code};
use crate::fuzzing::{Driven, drive};
use crate::plan::ItemRow;
use crate::report::{Ending, ReportError, RowsWithoutItem, Source, Visitor, inert, parse_format, words, write};
use proptest::prelude::*;
use serde_json::Value;

/// A report in that format, as a command would write it.
fn rendered(driven: &Driven, format: &str) -> String {
    let Driven { plan, folded, .. } = driven;
    let items = |visit: &mut Visitor<'_>| -> Result<(), ReportError> {
        for (item, planned) in (0..).zip(&plan.items) {
            let event = plan.events[planned.event as usize].clone();
            visit(ItemRow { item, step: planned.step, target: planned.target, event })?;
        }
        Ok(())
    };
    let source = Source {
        run: &super::fixture::run_meta(),
        header: &plan.header,
        folded,
        items: &items,
        rows_without_item: &plan.rows_without_item,
        exit_code: exit_code(driven),
    };
    let mut out = Vec::new();
    write(&parse_format(format).expect("it is a format"), &source, &mut out).expect("the run adds up");
    String::from_utf8(out).expect("reports are UTF-8")
}

fn exit_code(driven: &Driven) -> u8 {
    let totals = &driven.folded.totals;
    let refused_rows = RowsWithoutItem::of(&driven.plan.rows_without_item).refused > 0;
    let verdict = RunVerdict { complete: totals.complete, stopped: totals.stopped, refused_rows, bug: false };
    run_exit_code(verdict, |outcome| u64::from(totals.judged.of(outcome))) as u8
}

/// The code, from the endings and not from any count.
fn code_by_hand(driven: &Driven) -> u8 {
    let judged = |ending: &Ending| match ending.resolution.as_ref().map(|resolution| resolution.finding) {
        None => ending.outcome,
        Some(Finding::CarriedOut | Finding::Succeeded) => Outcome::Succeeded,
        Some(Finding::NotCarriedOut | Finding::Failed) => Outcome::Failed,
    };
    let all: Vec<Outcome> = driven.folded.endings.iter().map(judged).collect();
    let any = |of: &[Outcome]| all.iter().any(|outcome| of.contains(outcome));
    let totals = &driven.folded.totals;
    let refused = driven.plan.rows_without_item.iter().any(|row| row.reason.starts_with("refused"));
    let no_way = [StopReason::Unreachable, StopReason::WrongPlace, StopReason::SignIn];
    match (totals.complete, totals.stopped) {
        _ if any(&[Outcome::Unknown, Outcome::Unmatched]) => 5,
        (false, Some(why)) if no_way.contains(&why) => 8,
        (false, _) => 6,
        _ if refused || any(&[Outcome::Failed, Outcome::Rejected, Outcome::TimedOut]) => 4,
        _ if any(&[Outcome::NotStarted, Outcome::Blocked]) => 4,
        _ if any(&[Outcome::StillQueued]) => 9,
        _ => 0,
    }
}

/// A row as every format that holds all of them has it: item, row, outcome, agent, remediation, status, reason, batch.
type Row = [String; 9];

fn of_json(json: &Value) -> Vec<Row> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => inert::csv_cell(text).into_owned(),
        other => other.to_string(),
    };
    let items = json["items"].as_array().expect("a list").iter().map(|item| {
        ["item", "row", "outcome", "agent_id", "remediation_id", "status", "reason", "batch", "resolution"]
            .map(|key| text(&item[key]))
    });
    let rows = json["rows_without_item"].as_array().expect("a list").iter().map(|row| {
        let reason = text(&row["reason"]);
        let outcome = if reason.starts_with("refused") { "refused" } else { "skipped" };
        let none = String::new;
        [none(), text(&row["row"]), outcome.to_owned(), none(), none(), none(), reason, none(), none()]
    });
    let mut all: Vec<Row> = items.chain(rows).collect();
    all.sort_by_key(|row| (row[1].parse::<u32>().expect("a number"), row[0].parse::<u32>().ok()));
    all
}

fn of_csv(csv: &str) -> Vec<Row> {
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    let heads = reader.headers().expect("it has a head").clone();
    let at = ["item", "row", "outcome", "agent_id", "remediation_id", "status", "reason", "batch", "resolution"]
        .map(|name| heads.iter().position(|head| head == name).expect("the column is there"));
    reader.records().map(|record| at.map(|at| record.as_ref().expect("it is CSV")[at].to_owned())).collect()
}

/// What becomes of the items of these runs must be of every kind that facts bring, or the property shows little.
#[test]
fn runs_by_chance_end_in_every_way() {
    let mut seen: Vec<&str> = Vec::new();
    let mut codes: Vec<u8> = Vec::new();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..250 {
        let bytes: Vec<u8> = (0..300).map(|_| random.u8(..)).collect();
        let Some(driven) = drive(&bytes) else { continue };
        seen.extend(driven.folded.endings.iter().map(|ending| words::outcome(ending.outcome)));
        codes.push(exit_code(&driven));
    }
    let missing: Vec<&str> =
        words::OUTCOMES.map(words::outcome).into_iter().filter(|word| !seen.contains(word)).collect();
    // A run is driven to its end, where nothing is open; no rule blocks yet.
    assert_eq!(missing, ["open", "blocked"]);
    assert!([0, 4, 5].iter().all(|code| codes.contains(code)), "{codes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_format_says_the_same_of_every_row(bytes in proptest::collection::vec(any::<u8>(), 20..400), cut in 0..40_usize) {
        let Some(mut driven) = drive(&bytes) else { return Ok(()) };
        // Reports are made of runs that go on, too: the facts end anywhere.
        if cut > 0 {
            driven.facts.truncate(driven.facts.len().saturating_sub(cut).max(1));
            let shapes = driven.plan.items.iter().map(|item| (item.step, item.target));
            driven.folded = crate::report::fold(&driven.plan.header, shapes, driven.facts.iter().cloned()).expect("fits");
        }
        prop_assert_eq!(exit_code(&driven), code_by_hand(&driven));
        let json: Value = serde_json::from_str(&rendered(&driven, "json")).expect("it is JSON");
        prop_assert_eq!(&json["run"]["exit_code"], exit_code(&driven));
        let (rows, csv) = (of_json(&json), of_csv(&rendered(&driven, "csv")));
        prop_assert_eq!(&rows, &csv);
        let mut numbers: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), driven.plan.header.rows as usize, "every row of the input is there");
        let (text, markdown, html) =
            (rendered(&driven, "text"), rendered(&driven, "markdown"), rendered(&driven, "html"));
        for outcome in words::OUTCOMES.map(words::outcome) {
            let n = rows.iter().filter(|row| !row[0].is_empty() && row[2] == outcome).count();
            prop_assert_eq!(&json["summary"]["outcomes"][outcome], n, "JSON, {}", outcome);
            prop_assert_eq!(text.contains(&format!("\n  {n:7} {outcome}\n")), n > 0, "text, {}", outcome);
            prop_assert_eq!(markdown.contains(&format!("\n| {outcome} | {n} |\n")), n > 0, "Markdown, {}", outcome);
let counted = format!("<td class=\"outcome\">{outcome}</td><td class=\"n\">{n}</td>");
            prop_assert_eq!(html.contains(&counted), n > 0, "HTML, {}", outcome);
        }
        let all = format!("| **all** | **{}** |", driven.plan.items.len());
        prop_assert!(markdown.contains(&all), "Markdown");
        let calls = &json["summary"]["calls"];
        prop_assert_eq!(&calls["posts"], driven.folded.totals.posts);
        prop_assert_eq!(&calls["gets"], driven.folded.totals.gets);
    }
}
