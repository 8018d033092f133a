//! Filters that cannot judge some rows: told once for each filter, where it is written, with how many rows, the first ones,
//! and what to write so that it can. Nothing is wrong with such rows, so nobody is told to mend them.

use super::filter::{Filter, FilterError};
use super::problems::{Origin, Problems};
use super::select::{BadRow, FailedFilter, FilterOf, ReadyStep};
use crate::noun::count;
use crate::problem::Place;
use std::collections::BTreeMap;

/// How many reasons are told, and how many rows of each.
const REASONS_SHOWN_MAX: usize = 3;
const ROWS_SHOWN_MAX: usize = 5;
/// How long a filter may be that is repeated in an advice, in characters.
const FILTER_CHARS_MAX: usize = 100;

/// Tells of each filter of the steps, and of `--where`, that cannot judge a row.
pub(super) fn report(
    bad: &[BadRow],
    steps: &[ReadyStep],
    flag: Option<(&str, &Filter)>,
    origin: &Origin,
    problems: &mut Problems,
) {
    let mut by_filter: BTreeMap<FilterOf, Vec<(u32, &str)>> = BTreeMap::new();
    for row in bad {
        if let Some(FailedFilter { of, why }) = &row.filter {
            by_filter.entry(*of).or_default().push((row.place.row, why));
        }
    }
    for (of, rows) in by_filter {
        let (source, place, filter, origin, whose) = match of {
            FilterOf::Step(step) => {
                let step = &steps[usize::from(step)];
                let Some((source, place, filter)) = &step.filter else { continue };
                (source.as_str(), *place, filter, origin, format!("the filter of step {}", step.name))
            }
            FilterOf::Flag => {
                let Some((source, filter)) = flag else { continue };
                (source, Place::default(), filter, &Origin::CommandLine, "--where".to_owned())
            }
        };
        let message = format!("{whose} cannot judge {}: {}", count(rows.len(), "row"), reasons(&rows));
        let error = FilterError { message, range: 0..source.len(), help: Some(advice(source, filter, &rows)) };
        problems.push(origin.filter_problem(source, place, error));
    }
}

/// `int() is given an empty text (rows 3, 7), …`, the commonest first.
fn reasons(rows: &[(u32, &str)]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    rows.iter().for_each(|(row, why)| by_reason.entry(why).or_default().push(*row));
    let mut by_reason: Vec<_> = by_reason.into_iter().collect();
    by_reason.sort_by_key(|(_, rows)| (std::cmp::Reverse(rows.len()), rows[0]));
    let one = |(why, rows): &(&str, Vec<u32>)| {
        let shown: Vec<String> = rows.iter().take(ROWS_SHOWN_MAX).map(u32::to_string).collect();
        let more = if rows.len() > ROWS_SHOWN_MAX { ", …" } else { "" };
        format!("{why} ({} {}{more})", if rows.len() == 1 { "row" } else { "rows" }, shown.join(", "))
    };
    let shown: Vec<String> = by_reason.iter().take(REASONS_SHOWN_MAX).map(one).collect();
    let more = by_reason.len().saturating_sub(REASONS_SHOWN_MAX);
    let more = if more > 0 { format!(" and {}", count(more, "more reason")) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// What to write: a condition before the filter that such rows do not meet, for what is false together with an error is
/// false.
fn advice(source: &str, filter: &Filter, rows: &[(u32, &str)]) -> String {
    const OR: &str = "--partial-input leaves them out of every step";
    let has = |words: &str| rows.iter().any(|(_, why)| why.contains(words));
    if has("not true or false") {
        return "compare what it gives with something, as in verdict == \"MALICIOUS\"".to_owned();
    }
    let column = rows.iter().find_map(|(_, why)| given_to(source, why)).or_else(|| match filter.columns() {
        [only] => Some(&*only.name),
        _ => None,
    });
    let Some(column) = column else {
        return format!("say first what such rows are, as in `COLUMN != \"\" && (…)`, or {OR}");
    };
    let text = match () {
        () if has("no whole number") => Some(format!("{column}.matches(\"^-?[0-9]{{1,18}}$\")")),
        () if has("no number") => Some(format!("{column}.matches(\"^-?[0-9]+([.][0-9]+)?$\")")),
        () if has("empty text") => Some(format!("{column} != \"\"")),
        () => None,
    };
    let null = (text.is_none() || has("to null")).then(|| format!("{column} != null"));
    let condition = null.into_iter().chain(text).collect::<Vec<_>>().join(" && ");
    if source.contains("||") || source.contains('?') {
        // Before the whole it would also say no to rows that another part selects.
        return format!("write `{condition} && ` before the part that fails, so that it says no to such rows, or {OR}");
    }
    let rest = if source.contains('\n') || source.chars().count() > FILTER_CHARS_MAX { "…" } else { source.trim() };
    format!("have it say no to such rows, as in `{condition} && ({rest})`, or {OR}")
}

/// The column that the function is given of which a reason speaks: `score` of `int() is given …` and `int(score) >= 8`.
fn given_to<'s>(source: &'s str, why: &str) -> Option<&'s str> {
    let (function, _) = why.split_once("() is given ")?;
    let (_, rest) = source.split_once(&format!("{function}("))?;
    let (argument, _) = rest.split_once(')')?;
    let argument = argument.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!argument.is_empty() && argument.chars().all(is_name)).then_some(argument)
}

#[cfg(test)]
mod tests {
    use crate::plan::fixture::planned;
    use crate::problem::Problem;

    const ROWS: [(&str, &str, &str); 6] = [
        ("FILE", "a1", r#"{"score":"9"}"#),
        ("FILE", "a2", r#"{"score":""}"#),
        ("FILE", "a3", r#"{"score":"high"}"#),
        ("FILE", "a4", r#"{"score":""}"#),
        ("FILE", "a5", r#"{"score":null,"other":"x"}"#),
        ("FILE", "a6", r#"{"score":"1.5"}"#),
    ];

    fn problems(filter: &str, rows: &[(&str, &str, &str)]) -> Vec<Problem> {
        planned(&format!("steps: [{{name: take, action: quarantine, where: '{filter}'}}]\n"), "", rows)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn a_filter_that_cannot_judge_rows_is_told_once_where_it_is_written() {
        let found = problems("int(score) >= 8", &ROWS);
        let [Problem { file, place, message, help, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&**file, place.line, place.column, place.length), ("p.yaml", 3, 50, 15));
        assert_eq!(
            message,
            "the filter of step take cannot judge 5 rows: int() is given an empty text (rows 2, 4), \
             int() is given a text that is no whole number (rows 3, 6), int cannot be applied to null_type (row 5)"
        );
        assert_eq!(
            help.as_deref(),
            Some(
                "have it say no to such rows, as in `score != null && score.matches(\"^-?[0-9]{1,18}$\") && (int(score) >= 8)`, or --partial-input \
                 leaves them out of every step"
            )
        );
    }

    #[test]
    fn what_it_advises_can_judge_the_rows() {
        for (filter, rows) in [
            ("int(score) >= 8", &ROWS[..4]),
            ("double(score) >= 8.0", &ROWS[..4]),
            ("int(score) >= 8", &[ROWS[0], ROWS[1]]),
            ("int(score) >= 8", &ROWS),
            ("score.startsWith(\"9\")", &[ROWS[0], ROWS[4]]),
        ] {
            let found = problems(filter, rows);
            let [Problem { help: Some(help), .. }] = &found[..] else { panic!("{filter}: {found:?}") };
            let advised = help.split('`').nth(1).expect("an example");
            assert!(advised.ends_with(&format!("({filter})")), "{help}");
            assert_eq!(problems(advised, rows), [], "{filter}: {help}");
        }
        let found = problems("score", &ROWS[..1]);
        assert_eq!(
            found[0].help.as_deref(),
            Some("compare what it gives with something, as in verdict == \"MALICIOUS\"")
        );
        // What another part selects stays selected.
        let found = problems("other == \"x\" || int(score) > 8", &ROWS);
        let [Problem { help: Some(help), .. }] = &found[..] else { panic!("{found:?}") };
        let advised = help.split('`').nth(1).expect("an example");
        assert_eq!(problems(&format!("other == \"x\" || {advised}int(score) > 8"), &ROWS), [], "{help}");
    }
}
