//! Problems as text, in the manner of a compiler. Whatever came from a file is made inert first: a terminal must not
//! obey what a playbook or an export contains.

use super::{Place, Problem};
use crate::inert::escaped;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::collections::HashMap;

/// Longer lines are cut around the column.
const LINE_CHARS_MAX: usize = 200;
/// What is kept before the column of a line that is cut.
const CHARS_BEFORE: usize = 60;
/// What is kept of a line that is cut.
const CHARS_KEPT: usize = 160;
/// Wider than any line that is left, so that lines are cut in one place only.
const WIDTH: usize = 4 * LINE_CHARS_MAX;
/// Stands for the file's name while rendering: the renderer would count columns in the line as it is shown, cut and
/// escaped. No other text that is rendered can contain it.
const STAND_IN: &str = "\u{e000}";

/// The problems as text for a terminal or a log: by file in the order in which files first appear, then by place.
/// Empty for no problems; otherwise it ends with a line end.
pub fn render(problems: &[Problem], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let mut out = String::new();
    for problem in in_order(problems) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&render_one(problem, &renderer));
        out.push('\n');
    }
    out
}

fn in_order(problems: &[Problem]) -> Vec<&Problem> {
    let mut files = HashMap::new();
    for problem in problems {
        let next = files.len();
        files.entry(&*problem.file).or_insert(next);
    }
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| (files[&*problem.file], problem.place.line, problem.place.column));
    sorted
}

fn render_one(problem: &Problem, renderer: &Renderer) -> String {
    let place = problem.place;
    let title = Level::ERROR.primary_title(escaped(&problem.message));
    let excerpt = problem.line_text.as_deref().filter(|_| place.line > 0).map(|line| Excerpt::new(line, place));
    let shown_as = excerpt.as_ref().map(|excerpt| format!("{STAND_IN}:{}:{}", place.line, excerpt.column()));
    let mut group = match excerpt {
        Some(Excerpt { text, start, end }) => {
            let mark = AnnotationKind::Primary.span(start..end);
            title.element(Snippet::source(text).path(STAND_IN).line_start(place.line as usize).annotation(mark))
        }
        None => title.element(Origin::path(location(problem))),
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(escaped(help)));
    }
    let rendered = renderer.render(&[group]);
    match shown_as {
        Some(shown_as) => rendered.replacen(&shown_as, &location(problem), 1),
        None => rendered,
    }
}

/// `file:line:column`, as far as they are known.
fn location(problem: &Problem) -> String {
    let (file, Place { line, column, .. }) = (escaped(&problem.file), problem.place);
    match (line, column) {
        (0, _) => file,
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    }
}

/// The part of a line that is shown, inert, and the byte range in it that is wrong.
struct Excerpt {
    text: String,
    start: usize,
    end: usize,
}

impl Excerpt {
    fn new(line: &str, place: Place) -> Self {
        let total = line.chars().count();
        let (first, last) = match place.column {
            0 => (total - line.trim_start().chars().count(), line.trim_end().chars().count()),
            column => (column as usize - 1, column as usize - 1 + place.length.max(1) as usize),
        };
        let (first, last) = (first.min(total), last.min(total));
        let (from, to) = match total {
            0..=LINE_CHARS_MAX => (0, total),
            _ => {
                let from = first.saturating_sub(CHARS_BEFORE).min(total - CHARS_KEPT);
                (from, from + CHARS_KEPT)
            }
        };
        let part = |a: usize, b: usize| -> String {
            escaped(&line.chars().skip(a).take(b.saturating_sub(a)).map(tab_to_space).collect::<String>())
        };
        let mut text = if from > 0 { "…".to_owned() } else { String::new() };
        text.push_str(&part(from, first));
        let start = text.len();
        text.push_str(&part(first, last.min(to)));
        let end = text.len();
        text.push_str(&part(last.min(to), to));
        if to < total {
            text.push('…');
        }
        Self { text, start, end }
    }
}

impl Excerpt {
    /// The column at which the renderer believes the problem to be.
    fn column(&self) -> usize {
        self.text[..self.start].chars().count() + 1
    }
}

/// A tab is shown as one space, so that carets stand under what they mean.
fn tab_to_space(c: char) -> char {
    if c == '\t' { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inert::hides;
    use insta::assert_snapshot;

    fn place(line: u32, column: u32, length: u32) -> Place {
        Place { line, column, length, byte: None }
    }

    #[test]
    fn a_problem_says_what_where_and_what_next() {
        let problem = Problem::new("a.yaml", place(2, 6, 3), "unknown key `foo`")
            .with_line_of("one: 1\ntwo: foo\n")
            .with_help("did you mean `bar`?");
        assert_snapshot!(render(&[problem], false));
    }

    #[test]
    fn problems_are_ordered_by_file_as_it_first_appears_and_then_by_place() {
        let problems = [
            Problem::new("b.yaml", place(9, 1, 1), "third"),
            Problem::new("a.yaml", place(1, 1, 1), "fourth"),
            Problem::new("b.yaml", place(2, 0, 0), "second"),
            Problem::new("b.yaml", place(0, 0, 0), "first").with_help("look"),
        ];
        assert_snapshot!(render(&problems, false));
    }

    #[test]
    fn foreign_text_is_inert_everywhere() {
        let evil = "x\u{1b}[31m\u{202e}y\u{7}\u{9b}";
        let problem = Problem::new(format!("{evil}.yaml"), place(1, 1, 20), format!("found {evil}\n"))
            .with_line_of(&format!("{evil} z"))
            .with_help(evil);
        let text = render(&[problem], false);
        assert!(text.chars().all(|c| c == '\n' || !hides(c)), "{text:?}");
        assert_snapshot!(text);
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let line = format!("{}WRONG{}", "a".repeat(5_000), "b".repeat(5_000));
        let problem = |column, length| Problem::new("a.yaml", place(1, column, length), "no").with_line_of(&line);
        assert_snapshot!(render(&[problem(5_001, 5), problem(1, 1), problem(10_005, 1), problem(3, 9_000)], false));
    }

    #[test]
    fn a_place_outside_the_line_and_a_whole_line_are_shown() {
        let beyond = Problem::new("a.yaml", place(1, 40, 7), "beyond").with_line_of("short");
        let whole = Problem::new("a.yaml", place(2, 0, 0), "the whole line").with_line_of("\n\t all of it ");
        assert_snapshot!(render(&[beyond, whole], false));
    }

    #[test]
    fn colour_is_only_there_when_it_is_asked_for() {
        let problem = [Problem::new("a.yaml", place(1, 1, 1), "no").with_line_of("a")];
        assert!(!render(&problem, false).contains('\u{1b}'));
        assert!(render(&problem, true).contains('\u{1b}'));
        assert_eq!(render(&[], true), "");
    }
}
