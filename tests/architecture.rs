//! What must stay true of the code as a whole: which room may know which, how long a file may be, and what the pure
//! rooms never touch.
//!
//! It reads the sources as text. Whatever is wrong is told as `file:line: what`, all of it at once. It knows no types:
//! it holds imports and words, not meanings.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The rooms in the order in which one may know another: each may know what it lists, and lists only rooms above it,
/// so that there is no way around in a circle. The name is the module's: `src/NAME.rs` with all below `src/NAME/`.
const ROOMS: [(&str, &[&str]); 22] = [
    ("inert", &[]),
    ("noun", &[]),
    ("problem", &["inert"]),
    ("yaml", &["inert", "problem"]),
    ("tenant", &["inert", "problem", "yaml"]),
    ("playbook", &["inert", "problem", "yaml", "tenant"]),
    ("events", &["inert", "noun", "problem", "tenant"]),
    ("plan", &["inert", "noun", "problem", "yaml", "tenant", "playbook", "events"]),
    // It proves that people have signed a plan; who asks, and what is then done, is not its business.
    ("approval", &["inert", "noun", "problem", "yaml", "tenant", "playbook", "events", "plan"]),
    ("engine", &["inert", "tenant", "events", "plan"]),
    ("run", &["engine"]),
    // The store and the way to the API carry the engine's facts and calls, and do not know each other.
    ("journal", &["inert", "tenant", "events", "plan", "engine", "run"]),
    ("api", &["inert", "tenant", "plan", "engine"]),
    ("driver", &["inert", "tenant", "plan", "engine", "run", "journal", "api"]),
    // A report is made of plan and facts, wherever they were kept.
    ("report", &["inert", "noun", "tenant", "playbook", "events", "plan", "engine", "run"]),
    // It stands for a server: what it shares with the client is the vendor's documents and the tenant's words.
    ("simulator", &["inert", "tenant"]),
    // What a test file says; whoever carries it out is a command.
    ("scenario", &["problem", "yaml", "tenant", "playbook", "engine", "report"]),
    ("fuzzing", &["inert", "problem", "tenant", "playbook", "events", "plan", "engine", "run", "api", "report"]),
    ("error", &["inert", "problem", "engine", "journal", "api", "driver", "report"]),
    ("cli", &["tenant", "playbook", "engine", "report", "error"]),
    ("commands", &EVERYTHING),
    ("main", &["error", "cli", "commands"]),
];

/// Commands wire all parts together.
const EVERYTHING: [&str; 19] = [
    "inert",
    "noun",
    "problem",
    "yaml",
    "tenant",
    "playbook",
    "events",
    "plan",
    "approval",
    "engine",
    "run",
    "journal",
    "api",
    "driver",
    "report",
    "simulator",
    "scenario",
    "error",
    "cli",
];

const LINES_MAX: usize = 450;

/// Files that may be longer, up to how long, and why.
const LONGER: [(&str, usize, &str); 4] = [
    ("src/engine/tests.rs", 680, "the scenarios share one harness, and each is a few lines"),
    ("src/plan/build/tests.rs", 700, "one fixture and one sentence for each rule of planning"),
    ("tests/faults_input.rs", 700, "one table: an entry for each way in which a file can be wrong"),
    ("src/events/tests.rs", 720, "tables of inputs and what is said of them"),
];

/// The rooms that decide and never act.
const PURE: [&str; 2] = ["engine", "plan"];

/// What a pure room does not touch outside of its tests: clocks, timers, chance, the system, channels.
const IMPURE: [&str; 12] = [
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "rand",
    "fastrand",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "mpsc",
];

/// What stands nowhere in code.
const NOWHERE: [(&str, &str); 5] = [
    ("todo!", "it would panic"),
    ("unimplemented!", "it would panic"),
    ("#[ignore", "a test that is not run holds nothing"),
    ("#[allow(", "write #[expect(…, reason = \"…\")]"),
    ("#![allow(", "write #![expect(…, reason = \"…\")]"),
];

#[test]
fn rooms_know_only_what_they_may() {
    let mut wrong = Wrong::default();
    for (place, (room, may)) in ROOMS.iter().enumerate() {
        let above: Vec<&str> = ROOMS[..place].iter().map(|(name, _)| *name).collect();
        for known in may.iter().filter(|known| !above.contains(*known)) {
            wrong.say("tests/architecture.rs", 0, &format!("`{room}` may know `{known}`, which is not above it"));
        }
    }
    let mut seen = 0;
    for file in sources("src") {
        let room = file.room();
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            if room != "lib" {
                wrong.say(&file.path, 1, &format!("the room `{room}` is not in the table"));
            }
            continue;
        };
        for (line, known) in file.imports() {
            seen += 1;
            // Tests of a room may set the stage with anything, above all the simulator: it is what they have for an API.
            if known != room && !may.contains(&known.as_str()) && !file.path.contains("/tests") {
                wrong.say(&file.path, line, &format!("`{room}` may not know `{known}`"));
            }
        }
    }
    wrong.none();
    assert!(seen > 200, "only {seen} imports were found: they are not read as they are written");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code = "use crate::plan::{Plan, show};\nuse crate::{api, engine::{call, fact}, run};\nlet x = crate::yaml::load;\n\
                // crate::cli\nlet s = \"crate::error\"; let c = '\"'; let l: &'a str = r#\"crate::main\"#;\n\
                use super::super::journal::Store;\npub(crate) fn f() {}\npub(in crate::report) use super::item;\n\
                /* crate::cli /* nested */ */ type X = crate::tenant::Y;";
    let file = Source { path: "src/report/text.rs".to_owned(), text: code.to_owned(), code: code_of(code) };
    let found: Vec<String> = file.imports().into_iter().map(|(line, room)| format!("{line} {room}")).collect();
    assert_eq!(found, ["1 plan", "2 api", "2 engine", "2 run", "3 yaml", "6 journal", "8 report", "9 tenant"]);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut wrong = Wrong::default();
    for file in sources("src").into_iter().chain(sources("tests")) {
        let lines = file.text.lines().count();
        let max = LONGER.iter().find(|(path, ..)| *path == file.path).map_or(LINES_MAX, |(_, max, _)| *max);
        if lines > max {
            wrong.say(
                &file.path,
                max + 1,
                &format!("it has {lines} lines, at most {max}: it probably holds two things"),
            );
        }
        if !file.text.starts_with("//!") {
            wrong.say(&file.path, 1, "it does not begin with `//!`, what it is for and what it refuses");
        }
        if file.path.ends_with("/mod.rs") {
            wrong.say(&file.path, 1, "name it after its module, beside the folder");
        }
    }
    for (path, ..) in LONGER {
        let lines = std::fs::read_to_string(path).map(|text| text.lines().count());
        if !lines.is_ok_and(|lines| lines > LINES_MAX) {
            wrong.say("tests/architecture.rs", 0, &format!("{path} needs no exception any more"));
        }
    }
    wrong.none();
}

#[test]
fn nothing_is_left_half_done() {
    let mut wrong = Wrong::default();
    for file in sources("src").into_iter().chain(sources("tests")) {
        for (number, line) in file.code.lines().enumerate() {
            for (word, why) in NOWHERE {
                if line.contains(word) {
                    wrong.say(&file.path, number + 1, &format!("`{word}`: {why}"));
                }
            }
        }
        for (number, line) in file.text.lines().enumerate() {
            // Put together here, or this line would find itself.
            for word in [["TO", "DO"].concat(), ["FIX", "ME"].concat()] {
                if line.contains(&word) {
                    wrong.say(&file.path, number + 1, &format!("{word}: finish it, or write down why it is absent"));
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn decisions_touch_no_clock_no_chance_and_no_system() {
    let mut wrong = Wrong::default();
    let mut read = 0;
    for file in sources("src").into_iter().filter(|file| PURE.contains(&file.room()) && !file.is_test()) {
        read += 1;
        let tests_begin = file.code.find("#[cfg(test)]").unwrap_or(file.code.len());
        for (number, line) in file.code[..tests_begin].lines().enumerate() {
            for word in IMPURE.into_iter().filter(|word| has_word(line, word)) {
                wrong.say(
                    &file.path,
                    number + 1,
                    &format!("`{word}` in a room that only decides: take it as an argument"),
                );
            }
        }
    }
    wrong.none();
    assert!(read > 15, "only {read} files were read");
}

/// What was found, told at once.
#[derive(Default)]
struct Wrong(String);

impl Wrong {
    fn say(&mut self, path: &str, line: usize, what: &str) {
        let _ = writeln!(self.0, "{path}:{line}: {what}");
    }

    #[track_caller]
    fn none(&self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

struct Source {
    /// From the package's root, with `/`.
    path: String,
    text: String,
    /// The text without comments and what stands in quotes, line for line.
    code: String,
}

impl Source {
    /// `src/plan/filter.rs` is in the room `plan`.
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The rooms that the code names, each with its line: through `crate::`, through the crate's own name in the
    /// binary, or through enough `super::` to leave its room.
    fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let prefix = if self.room() == "main" { "quell::" } else { "crate::" };
        for (at, _) in self.code.match_indices(prefix) {
            let begins = !self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if begins {
                let line = self.line(at);
                found.extend(rooms_named(&self.code[at + prefix.len()..]).into_iter().map(|room| (line, room)));
            }
        }
        let depth = self.path.matches('/').count();
        for (at, _) in self.code.match_indices(&"super::".repeat(depth)) {
            let rest = self.code[at..].trim_start_matches("super::");
            let known = rooms_named(rest).into_iter().filter(|room| ROOMS.iter().any(|(name, _)| name == room));
            found.extend(known.map(|room| (self.line(at), room)));
        }
        found.sort();
        found
    }

    fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// The first names of a path or of a group of paths: `plan::x` and `{plan::{x, y}, run}`.
fn rooms_named(path: &str) -> Vec<String> {
    let name = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = Vec::new();
    let (mut depth, mut begins) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

/// All Rust files below a folder of the package, in order of their paths.
fn sources(folder: &str) -> Vec<Source> {
    fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                gather(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    gather(&root.join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "there are no sources in {folder}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        let path = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").replace('\\', "/");
        Source { path, code: code_of(&text), text }
    };
    paths.into_iter().map(read).collect()
}

/// The text with comments, strings and characters blanked; line ends stay, so that lines keep their numbers.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped_length(rest, code.chars().last());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// How many bytes of a comment, string or character begin here; 0 where none does.
fn skipped_length(rest: &str, before: Option<char>) -> usize {
    let is_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if let Some(hashes) = raw_string_hashes(rest).filter(|_| !is_word) {
        let end = format!("\"{}", "#".repeat(hashes));
        let begin = rest.find('"').expect("it begins with one") + 1;
        return rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len());
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    // A character, and not a lifetime: it ends after one character or an escape.
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => quoted_length(rest, '\''),
        (Some('\''), Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 0,
    }
}

fn raw_string_hashes(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}
