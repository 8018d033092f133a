//! One run by hand in which everything happens, in every format.

mod fixture;
mod agree;
mod explain;
mod files;

pub(super) use fixture::{Fixture, header};

use super::*;
use crate::engine::Outcome;
use crate::engine::fact::StopReason;
use fixture::{ATTRIBUTES, rows_without_item, run_meta};
use proptest::prelude::*;
use std::path::Path;

#[track_caller]
fn rendered(format: &ReportFormat) -> String {
    Fixture::everything().render(format).expect("the run adds up")
}

#[test]
fn text_of_everything() {
    insta::assert_snapshot!(rendered(&ReportFormat::Text));
}

#[test]
fn markdown_of_everything() {
    insta::assert_snapshot!(rendered(&ReportFormat::Markdown));
}

#[test]
fn json_of_everything() {
    insta::assert_snapshot!(rendered(&ReportFormat::Json));
}

#[test]
fn csv_of_everything() {
    insta::assert_snapshot!(rendered(&ReportFormat::Csv).replace("\r\n", "␍\n"));
}

#[test]
fn html_of_everything() {
    insta::assert_snapshot!(rendered(&ReportFormat::Html));
}

#[test]
fn the_example_template_renders() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/report.md.tera");
    insta::assert_snapshot!(rendered(&ReportFormat::Template(path)));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for format in ["text", "markdown", "json", "csv", "html"] {
        let format = parse_format(format).expect("it is a format");
        assert_eq!(rendered(&format), rendered(&format), "{format:?}");
    }
}

#[test]
fn colour_changes_no_word() {
    let plain = rendered(&ReportFormat::Text);
    let mut coloured = Vec::new();
    Fixture::everything().with(|source| text(source, Colour::Always, &mut coloured)).expect("the run adds up");
    let coloured = String::from_utf8(coloured).expect("reports are UTF-8");
    assert!(coloured.contains('\u{1b}'));
    let stripped = ["\u{1b}[32m", "\u{1b}[1;31m", "\u{1b}[33m", "\u{1b}[0m"];
    assert_eq!(stripped.iter().fold(coloured, |text, code| text.replace(code, "")), plain);
}

#[test]
fn nothing_but_line_ends_acts_on_a_terminal() {
    for format in ["text", "markdown", "json", "csv", "html"] {
        let text = rendered(&parse_format(format).expect("it is a format"));
        let acting = text.replace("\r\n", "\n").chars().filter(|&c| c != '\n' && inert::acts(c)).collect::<String>();
        assert_eq!(acting, "", "{format}");
    }
}

#[test]
fn json_is_exact_and_one_item_a_line() {
    let text = rendered(&ReportFormat::Json);
    let all: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    for (item, attributes) in ATTRIBUTES.iter().enumerate() {
        let expected: serde_json::Value = serde_json::from_str(attributes).expect("it is JSON");
        assert_eq!(all["items"][item]["attributes"], expected);
    }
    assert_eq!(all["rows_without_item"][1]["reason"], rows_without_item()[1].reason.as_str());
    assert_eq!(all["items"][4]["status_message"], "</td><td>no such event\u{202e}");
    assert!(text.contains("12345678901234567890123"), "numbers keep their digits");
    assert_eq!(text.lines().filter(|line| line.starts_with("{\"item\":")).count(), 12);
}

#[test]
fn json_csv_and_text_agree() {
    let json: serde_json::Value = serde_json::from_str(&rendered(&ReportFormat::Json)).expect("it is JSON");
    let csv = rendered(&ReportFormat::Csv);
    let text = rendered(&ReportFormat::Text);
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    let heads = reader.headers().expect("it has a head").clone();
    let at = |name: &str| heads.iter().position(|head| head == name).expect("the column is there");
    let records: Vec<_> = reader.records().map(|record| record.expect("it is CSV")).collect();
    for outcome in words::OUTCOMES {
        let word = words::outcome(outcome);
        let expected = json["summary"]["outcomes"][word].as_u64().expect("every outcome is counted");
        let items = json["items"].as_array().expect("a list").iter();
        assert_eq!(items.filter(|item| item["outcome"] == word).count() as u64, expected, "JSON items, {word}");
        let of_items = records.iter().filter(|record| !record[at("item")].is_empty());
        assert_eq!(of_items.filter(|record| &record[at("outcome")] == word).count() as u64, expected, "CSV, {word}");
        assert!(text.contains(&format!("{expected:9} {word}\n")), "text, {word}");
        assert!(expected > 0, "the run has every outcome");
    }
    let rows: std::collections::BTreeSet<u32> =
        records.iter().map(|record| record[at("row")].parse().expect("a number")).collect();
    assert_eq!(rows.into_iter().collect::<Vec<_>>(), (1..=12).collect::<Vec<u32>>(), "every row is in the CSV");
    let order: Vec<u32> = records.iter().map(|record| record[at("row")].parse().expect("a number")).collect();
    assert!(order.is_sorted(), "in input order: {order:?}");
}

#[test]
fn a_summary_that_does_not_add_up_is_refused_in_every_format() {
    type Break = (&'static str, fn(&mut Fixture));
    let breaks: [Break; 5] = [
        ("a row is missing", |it| it.header.rows += 1),
        ("a listed row is missing", |it| drop(it.without.pop())),
        ("an item is missing", |it| drop(it.rows.pop())),
        ("an outcome is counted twice", |it| it.folded.totals.outcomes.add(Outcome::Failed)),
        ("an item comes twice", |it| it.rows[3] = it.rows[2].clone()),
    ];
    for (what, break_it) in breaks {
        let mut fixture = Fixture::everything();
        break_it(&mut fixture);
        for format in ["text", "markdown", "json", "csv", "html"] {
            let result = fixture.render(&parse_format(format).expect("it is a format"));
            assert!(matches!(result, Err(ReportError::DoesNotAddUp(_))), "{what}, {format}: {result:?}");
        }
    }
    let summary = Fixture::everything().with(|source| source.summary()).expect("the run adds up");
    assert!(summary.adds_up());
    assert!(!Summary { rows: 13, ..summary.clone() }.adds_up());
    assert!(!Summary { items: 11, ..summary }.adds_up());
}

#[test]
fn verdicts() {
    use Outcome::*;
    let verdict = |outcomes: &[Outcome], complete: bool, stopped: Option<StopReason>| {
        let mut fixture = Fixture::many(outcomes.len() as u32, Succeeded, "x");
        for (ending, &outcome) in fixture.folded.endings.iter_mut().zip(outcomes) {
            let skipped = (outcome == Skipped).then_some(crate::report::Skipped::DoneBefore);
            (ending.outcome, ending.skipped) = (outcome, skipped);
        }
        fixture.recount();
        let totals = &mut fixture.folded.totals;
        (totals.complete, totals.stopped, totals.ended) = (complete, stopped, true);
        let text = fixture.render(&ReportFormat::Text).expect("it adds up");
        let first = text.lines().next().and_then(|line| line.split_once(": ")).expect("a verdict").1.to_owned();
        let next = text.lines().last().filter(|line| line.starts_with("next: ")).unwrap_or("-").to_owned();
        (first.replace(" (exit code 5)", ""), next.replace("next: ", ""))
    };
    type Case = (&'static [Outcome], bool, Option<StopReason>, &'static str, &'static str);
    let cases: [Case; 13] = [
        (&[], true, None, "nothing to do, no row became an item", "-"),
        (&[Succeeded], true, None, "the one item succeeded", "-"),
        (&[Succeeded, Succeeded], true, None, "all 2 items succeeded", "-"),
        (&[Succeeded, Skipped], true, None, "1 item succeeded, 1 skipped", "-"),
        (
            &[Succeeded, StillQueued],
            true,
            None,
            "finished well, 1 of 2 items still queued",
            "quell poll contain-0612-7f3",
        ),
        (
            &[StillQueued, StillQueued],
            true,
            None,
            "no host has answered yet: 2 items still queued",
            "quell poll contain-0612-7f3",
        ),
        (
            &[Succeeded, Failed, NotStarted],
            true,
            None,
            "finished, 2 of 3 items did not succeed",
            "quell retry contain-0612-7f3 --outcome failed,not_started",
        ),
        (&[Succeeded, NotStarted], true, None, "finished, 1 of 2 items did not succeed", "-"),
        (&[Failed, TimedOut], true, None, "finished, 2 of 2 items did not succeed", "quell poll contain-0612-7f3"),
        (&[Succeeded, Blocked], true, None, "finished, 1 of 2 items did not succeed", "-"),
        (&[Succeeded, Open], false, None, "stopped early; 1 of 2 items succeeded", "quell resume contain-0612-7f3"),
        (
            &[Succeeded, NotStarted],
            false,
            Some(StopReason::Unreachable),
            "stopped early, the API cannot be reached; 1 of 2 items succeeded",
            "quell resume contain-0612-7f3",
        ),
        (
            &[Unknown, Unmatched, Failed],
            true,
            None,
            "a person must look: 1 unknown and 1 unmatched of 3 items",
            "quell show --needs-me contain-0612-7f3",
        ),
    ];
    for (outcomes, complete, stopped, first, next) in cases {
        assert_eq!(verdict(outcomes, complete, stopped), (first.to_owned(), next.to_owned()), "{outcomes:?}");
    }
}

#[test]
fn markdown_fits_a_comment_whatever_the_texts() {
    for text in ["漢".repeat(5_000), "`".repeat(5_000), "|&<".repeat(2_000)] {
        let mut fixture = Fixture::many(300, Outcome::Failed, &text);
        fixture.folded.endings[100..].iter_mut().for_each(|ending| ending.outcome = Outcome::Succeeded);
        let row = RowWithoutItem { row: 301, source: 0, line: 1, byte: None, reason: format!("refused: {text}") };
        fixture.without = vec![row; 100];
        fixture.header.rows += 100;
        fixture.header.description = text.clone();
        fixture.recount();
        let markdown = fixture.render(&ReportFormat::Markdown).expect("it adds up");
        assert!(markdown.len() < 60_000, "{} bytes", markdown.len());
        assert!(markdown.contains("And 60 more: all are in `out/contain-0612-7f3.csv`."), "{markdown}");
        assert!(markdown.contains("And 180 more"), "{markdown}");
        for line in markdown.lines().filter(|line| line.starts_with("| 1 ")) {
            assert_eq!(line.matches('|').count(), 7, "{line}");
        }
    }
}

#[test]
fn text_puts_items_that_ended_alike_together_and_says_what_it_left_out() {
    let text = Fixture::many(25, Outcome::Unknown, "x").render(&ReportFormat::Text).expect("it adds up");
    assert_eq!(text.lines().filter(|line| line.starts_with("  25 unknown: ")).count(), 1, "{text}");
    assert_eq!(text.matches("\n    item ").count(), 3, "{text}");
    assert!(text.contains("\n    and 22 more\n"), "{text}");
    let text = Fixture::many(10_050, Outcome::Unknown, "x").render(&ReportFormat::Text).expect("it adds up");
    assert!(text.contains("\n  and 50 more: all are in out/contain-0612-7f3.csv\n"), "{text}");
}

#[test]
fn an_error_of_the_items_is_passed_on() {
    let fixture = Fixture::everything();
    fixture.with(|source| {
        let items = |_: &mut Visitor<'_>| Err(ReportError::Items("the disk is gone".to_owned()));
        let source = Source { items: &items, ..*source };
        let error = write(&ReportFormat::Json, &source, &mut Vec::new()).expect_err("there are no items");
        assert_eq!(error.to_string(), "cannot read the items of the run: the disk is gone");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_changes_the_structure_of_any_format(text in crate::inert::tests::hostile()) {
        let mut fixture = Fixture::everything();
        for (row, ending) in fixture.rows.iter_mut().zip(&mut fixture.folded.endings) {
            row.event.agent_id = text.as_str().into();
            row.event.attributes = serde_json::json!({"host": text, text.as_str(): text}).to_string().into();
            (ending.reason, ending.status_message) = (Some(text.as_str().into()), Some(text.as_str().into()));
        }
        fixture.header.description.clone_from(&text);
        fixture.without[0].reason.clone_from(&text);
        for format in ["text", "markdown", "json", "csv", "html"] {
            let shown = fixture.render(&parse_format(format).expect("it is a format")).expect("it adds up");
            let acting = shown.chars().filter(|&c| inert::acts(c) && !matches!(c, '\n' | '\r' | '\t'));
            prop_assert_eq!(acting.count(), 0, "{}", format);
        }
        let html = fixture.render(&ReportFormat::Html).expect("it adds up");
        let plain = rendered(&ReportFormat::Html);
        for tag in ["<tr", "<td", "<p", "<h"] {
            prop_assert_eq!(html.matches(tag).count(), plain.matches(tag).count(), "{}", tag);
        }
        let markdown = fixture.render(&ReportFormat::Markdown).expect("it adds up");
        prop_assert_eq!(markdown.lines().count(), rendered(&ReportFormat::Markdown).lines().count());
        let items = markdown.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 7);
        prop_assert_eq!(items.count(), 12 + 2, "items and their heads");
        let csv = fixture.render(&ReportFormat::Csv).expect("it adds up");
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
        let records: Vec<_> = reader.records().map(|record| record.expect("every record has as many cells")).collect();
        prop_assert_eq!(records.len(), 1 + 12 + 2);
        for cell in records.iter().flatten() {
            prop_assert_eq!(&inert::csv_cell(cell), cell, "a cell that was defused once needs it no more");
        }
    }
}
