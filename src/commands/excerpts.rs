//! Problems of events as people want to see them: with the line of their file, and at the playbook's line where it is
//! the playbook that names a file wrongly.
//!
//! Events are streamed and plans keep no text, so the few lines that are shown are looked up afterwards. It changes
//! nothing of what is wrong, and a file that cannot be looked at again is shown without its line.

use crate::inert::shorten;
use crate::playbook::{Playbook, SourceFrom};
use crate::problem::Problem;
use crate::yaml::Spanned;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// How far a file is read to find a line again.
const BYTES_MAX: u64 = 1 << 30;
/// How much of a line is shown, in characters.
const LINE_CHARS_MAX: usize = 200;

/// Completes problems of the event files, whose names stand beside their paths, and of the playbook's own events.
pub(super) fn complete(problems: &mut [Problem], playbook: Option<&Playbook>, files: &[(String, PathBuf)]) {
    for problem in problems.iter_mut().filter(|problem| problem.line_text.is_none()) {
        if let Some(playbook) = playbook {
            place_in_playbook(problem, playbook);
        }
    }
    for (name, path) in files {
        let bare =
            |problem: &&mut Problem| problem.line_text.is_none() && problem.place.line > 0 && *problem.file == **name;
        let wanted = problems.iter_mut().filter(bare).map(|problem| (problem.place.line, String::new())).collect();
        let lines = lines_of(path, wanted);
        for problem in problems.iter_mut().filter(bare) {
            problem.line_text = lines.get(&problem.place.line).cloned().filter(|line| !line.is_empty());
        }
    }
}

fn place_in_playbook(problem: &mut Problem, playbook: &Playbook) {
    let file = playbook.file.to_string_lossy();
    if *problem.file == *file {
        *problem = std::mem::replace(problem, Problem::new("", problem.place, "")).with_line_of(&playbook.text);
        return;
    }
    let names_it = |(name, _): &(&Spanned<String>, &PathBuf)| name.value == *problem.file;
    let mut names = playbook.events.iter().filter_map(|source| match &source.from {
        SourceFrom::File(name) => Some((name, &source.file)),
        SourceFrom::Stdin | SourceFrom::Inline(_) => None,
    });
    if problem.place.line == 0
        && let Some((name, named_in)) = names.find(names_it)
    {
        let message = format!("{}: {}", name.value, problem.message);
        let placed = match *named_in == playbook.file {
            true => Problem::new(&*file, name.place, message).with_line_of(&playbook.text),
            false => Problem::new(&*named_in.to_string_lossy(), name.place, message),
        };
        *problem = Problem { help: problem.help.take(), ..placed };
    }
}

/// The lines with these numbers, as far as they can be found again.
fn lines_of(path: &Path, mut wanted: BTreeMap<u32, String>) -> HashMap<u32, String> {
    let last = wanted.last_key_value().map_or(0, |(line, _)| *line);
    // Looked at before it is opened: opening a pipe waits for somebody to write into it.
    let is_regular = path.symlink_metadata().is_ok_and(|seen| seen.is_file());
    if !is_regular || last == 0 {
        return HashMap::new();
    }
    let Ok(file) = File::open(path) else { return HashMap::new() };
    let mut bytes = BufReader::new(file.take(BYTES_MAX));
    let (mut number, mut line) = (1, Vec::new());
    // Any line end counts as one, as it does where events are read.
    while number <= last && next_line(&mut bytes, &mut line).unwrap_or(false) {
        if let Some(text) = wanted.get_mut(&number) {
            let start = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
            *text = shorten(&String::from_utf8_lossy(start), LINE_CHARS_MAX).into_owned();
        }
        number += 1;
    }
    // What was not one byte a character was counted in other lines than these.
    let is_utf_16 = wanted.get(&1).is_some_and(|first| first.contains('\0'));
    if is_utf_16 { HashMap::new() } else { wanted.into_iter().collect() }
}

/// The next line without its end, at most 1 MiB of it; false at the end of the file.
fn next_line(bytes: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    const KEPT_MAX: usize = 1 << 20;
    line.clear();
    let mut any = false;
    loop {
        let buffer = bytes.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let text = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&text[..text.len().min(KEPT_MAX.saturating_sub(line.len()))]);
        let Some(end) = end else {
            let length = buffer.len();
            bytes.consume(length);
            continue;
        };
        let is_return = buffer[end] == b'\r';
        bytes.consume(end + 1);
        if is_return && bytes.fill_buf()?.first() == Some(&b'\n') {
            bytes.consume(1);
        }
        return Ok(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Place;

    fn shown(content: &[u8], lines: &[u32]) -> Vec<Option<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, content).expect("a file");
        let at = |line: &u32| Problem::new("a.csv", Place { line: *line, ..Place::default() }, "no");
        let mut problems: Vec<Problem> = lines.iter().map(at).collect();
        complete(&mut problems, None, &[("a.csv".to_owned(), path)]);
        problems.into_iter().map(|problem| problem.line_text).collect()
    }

    #[test]
    fn lines_are_found_again_whatever_ends_them() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown(b"\xef\xbb\xbfone\r\ntwo\rthree\n\nf\xe4ve", &[5, 1, 3, 2, 9, 0]),
            [text("f\u{fffd}ve"), text("one"), text("three"), text("two"), None, None]
        );
        assert_eq!(shown(b"", &[1]), [None]);
        assert_eq!(
            shown(&[b"x".repeat(300), b"\ny".to_vec()].concat(), &[1, 2]),
            [text(&format!("{}…", "x".repeat(199))), text("y")]
        );
    }

    #[test]
    fn a_file_that_is_not_there_any_more_is_shown_without_its_line() {
        let mut problems = [Problem::new("a.csv", Place { line: 1, ..Place::default() }, "no")];
        complete(&mut problems, None, &[("a.csv".to_owned(), PathBuf::from("/nowhere/a.csv"))]);
        assert_eq!(problems[0].line_text, None);
    }
}
