//! `quell test`: playbooks against the simulator in virtual time, and what came of it against what was expected.
//!
//! Nothing of a state folder, a token or a connection is touched: runs are kept in memory, and hours pass at once.

mod pick;
mod rehearsal;
mod people;
mod verdict;

use super::{check, inputs, say};
use crate::error::{ExitCode, Failure};
use crate::noun::count;
use crate::problem::{self, Problem};
use crate::report::inert;
use crate::scenario::{self, Scenario, Suite};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// What a file of tests ends with.
pub(super) const ENDING: &str = ".test.yaml";

/// Runs the tests of files and of folders of them; `only` keeps those whose name contains it.
pub fn execute(files: &[PathBuf], only: Option<&str>) -> Result<ExitCode, Failure> {
    let suites = read_all(&found(files)?)?;
    let is_wanted = |test: &Scenario| only.is_none_or(|only| test.name.value.contains(only));
    let colour = std::io::stdout().is_terminal();
    let (mut ran, mut failed) = (0_usize, 0_usize);
    for suite in &suites {
        let wanted: Vec<&Scenario> = suite.tests.iter().filter(|test| is_wanted(test)).collect();
        if wanted.is_empty() {
            continue;
        }
        say(&format!("{}\n", inert::terminal(&suite.file.to_string_lossy())))?;
        for test in wanted {
            let (text, wrong) = carry_out(suite, test, colour)?;
            ran += 1;
            failed += usize::from(wrong);
            say(&text)?;
        }
    }
    if ran == 0 {
        let only = only.map(inert::terminal).unwrap_or_default();
        return Err(Failure::Usage(format!("no test's name contains {only:?}")));
    }
    say(&format!("{}, {failed} failed\n", count(ran, "test")))?;
    Ok(if failed == 0 { ExitCode::Fine } else { ExitCode::SomeFailed })
}

/// The files of tests in what was named: a playbook stands for its own, `NAME.test.yaml` beside it or in `tests/`.
fn found(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for file in files {
        if file.is_dir() {
            let mut inside = Vec::new();
            check::gather(file, check::FOLDER_DEPTH_MAX, &mut inside)?;
            found.extend(inside.into_iter().filter(|file| is_suite(file)));
        } else if is_suite(file) {
            found.push(file.clone());
        } else if inputs::is_yaml(file) {
            found.push(tests_of(file));
        } else {
            let shown = inert::terminal(&file.to_string_lossy()).into_owned();
            return Err(Failure::Usage(format!("{shown}: a file of tests ends with {ENDING}")));
        }
    }
    let mut known = HashSet::new();
    found.retain(|file| known.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    if found.is_empty() {
        return Err(Failure::Usage(format!("there is no file that ends with {ENDING} in what was named")));
    }
    Ok(found)
}

/// The tests of a playbook.
fn tests_of(playbook: &Path) -> PathBuf {
    let stem = playbook.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let [beside, inside] = ["", "tests"].map(|folder| playbook.with_file_name(folder).join(format!("{stem}{ENDING}")));
    if inside.exists() && !beside.exists() { inside } else { beside }
}

/// Whether a file holds tests, by its name.
pub(super) fn is_suite(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

/// All files, or all problems of all of them.
fn read_all(files: &[PathBuf]) -> Result<Vec<Suite>, Failure> {
    let mut problems = Vec::new();
    let mut suites = Vec::new();
    for file in files {
        suites.extend(read_suite(file, &mut problems));
    }
    if problems.is_empty() { Ok(suites) } else { Err(Failure::Problems(problems)) }
}

/// A file of tests, and whether the playbook is there that it is about: without it every test of a refusal would pass.
pub(super) fn read_suite(file: &Path, problems: &mut Vec<Problem>) -> Option<Suite> {
    let text = inputs::read_yaml(file, problems)?;
    let suite = match scenario::read(file, &text) {
        Ok(suite) => suite,
        Err(more) => {
            problems.extend(more);
            return None;
        }
    };
    let playbook = &suite.playbook;
    if !verdict::beside(&suite, &playbook.value).is_file() {
        let problem = Problem::new(&*file.to_string_lossy(), playbook.place, "there is no such playbook");
        let problem = problem.with_help("the path is relative to the folder of this file");
        problems.push(problem.with_line_of(&suite.text));
        return None;
    }
    Some(suite)
}

/// One test, in words, and whether it failed.
fn carry_out(suite: &Suite, test: &Scenario, colour: bool) -> Result<(String, bool), Failure> {
    let (came, problems) = verdict::judge(suite, test)?;
    let name = inert::terminal(&test.name.value).into_owned();
    let mut text = String::new();
    let told = match came {
        Some(came) => {
            let (acts, polls) = (count(came.counters.posts, "act"), count(came.counters.gets, "poll"));
            format!(" ({acts}, {polls}, {})", verdict::duration(came.took))
        }
        None => String::new(),
    };
    let is_wrong = !problems.is_empty();
    let verdict = if is_wrong { "FAILED" } else { "ok    " };
    // Writing into a text cannot fail.
    let _ = writeln!(text, "  {verdict}  {name}{told}");
    if is_wrong {
        let problems: Vec<Problem> = problems.into_iter().map(|problem| with_line(problem, suite)).collect();
        for line in problem::render(&problems, colour).lines() {
            let _ = writeln!(text, "{}{line}", if line.is_empty() { "" } else { "          " });
        }
    }
    Ok((text, is_wrong))
}

/// A problem of the file of tests, with its line.
fn with_line(problem: Problem, suite: &Suite) -> Problem {
    match problem.line_text.is_none() && *problem.file == *suite.file.to_string_lossy() {
        true => problem.with_line_of(&suite.text),
        false => problem,
    }
}
