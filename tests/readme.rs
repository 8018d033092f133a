//! What the documents say is so: files that are shown are read back, commands that are shown parse, transcripts are
//! played again, and every file and test that is named is there.

use clap::Parser;
use clap::error::ErrorKind;
use quell::cli::Typed;
use quell::error::EXIT_CODES;
use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The playbook of which README shows the mistakes.
const OOPS: &str = "\
version: 1
name: oops
tenant: example
events: [{file: first.csv, colums: console}]
steps:
  - {name: kill, action: kill-process, where: 'int(score) >= 8'}
notify: [{slack: {env: SLACK_URL}}]
";

#[test]
fn shown_files_pass_the_check_that_users_run() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = yaml_blocks();
    assert!(blocks.len() >= 2, "a tenant and a playbook are shown");
    for (name, text) in blocks {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::write(folder.path().join("playbooks/report.md.tera"), "{{ run.id }}").unwrap();
    let (code, said) = quell(folder.path(), &["check", "."]);
    assert_eq!((code, said.as_str()), (Some(0), "3 files checked, no problems\n"));
}

#[test]
fn what_is_shown_as_a_default_is_one() {
    let (name, shown) = yaml_blocks().into_iter().find(|(name, _)| name.starts_with("tenants/")).unwrap();
    let rest: Vec<&str> = shown.lines().filter(|line| !line.contains("# default")).collect();
    assert!(shown.lines().count() > rest.len() + 10, "defaults are marked");
    // Guards and rules have no defaults, and hold the lines on which they stand.
    let tenant = |text: &str| quell::tenant::Tenant {
        guards: Default::default(),
        protected: Default::default(),
        ..quell::tenant::read(&name, text).expect("a tenant")
    };
    assert_eq!(tenant(&rest.join("\n")), tenant(&shown));
}

#[test]
fn every_key_is_shown() {
    let shown = |kinds: &[&str]| -> BTreeSet<String> {
        let blocks = yaml_blocks().into_iter().filter(|(name, _)| kinds.iter().any(|kind| name.starts_with(kind)));
        let word = Regex::new("[a-z_]+").unwrap();
        blocks
            .flat_map(|(_, text)| word.find_iter(&text).map(|word| word.as_str().to_owned()).collect::<Vec<_>>())
            .collect()
    };
    // A playbook's limits and polling are the tenant's, so README shows their keys once.
    for (kinds, schema) in
        [(&["tenants/"][..], quell::tenant::schema()), (&["playbooks/", "tenants/"][..], quell::playbook::schema())]
    {
        let mut keys = BTreeSet::new();
        keys_of(&schema, &mut keys);
        assert!(keys.len() > 20, "{keys:?}");
        let missing: Vec<_> = keys.difference(&shown(kinds)).cloned().collect();
        assert_eq!(missing, [""; 0], "README does not show these keys of {kinds:?}");
    }
}

#[test]
fn transcripts_are_what_the_commands_print() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("oops.yaml"), OOPS).unwrap();
    let mut played = 0;
    for (command, expected) in transcripts(&read("README.md")) {
        let words = words_of(&command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (_, said) = quell(folder.path(), &words[1..]);
        assert_eq!(masked(&said), masked(&expected), "$ {command}");
        played += 1;
    }
    assert!(played >= 4, "{played} commands were played");
}

#[test]
fn every_command_that_is_shown_parses() {
    let mut parsed = 0;
    for document in documents() {
        for command in commands(&read(&document)) {
            let words = words_of(&command);
            let name_only = words.len() == 2 && !words[1].starts_with('-');
            match Typed::try_parse_from(&words) {
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {}
                // `quell report` in a sentence names the subcommand.
                Err(e) if name_only && e.kind() == ErrorKind::MissingRequiredArgument => {}
                Err(e) => panic!("{document} shows {command:?}, which does not parse: {e}"),
            }
            parsed += 1;
        }
    }
    assert!(parsed > 30, "{parsed} commands were found");
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let readme = read("README.md");
    let row = Regex::new(r"(?m)^\| (\d+) \| (.+) \|$").unwrap();
    let rows: Vec<String> = row.captures_iter(&readme).map(|row| format!("{:>3}  {}", &row[1], &row[2])).collect();
    let last = readme.lines().find(|line| line.starts_with("Where several apply: ")).unwrap();
    assert_eq!(format!("Exit codes:\n{}\n{last}", rows.join("\n")), EXIT_CODES);
}

#[test]
fn the_two_commands_are_what_ci_runs_and_name_a_playbook_that_is_there() {
    let readme = read("README.md");
    let (first, _) = readme.split_once("```sh\n").unwrap().1.split_once("```").unwrap();
    let lines: Vec<&str> = first.lines().collect();
    let [run, test] = lines[..] else { panic!("two commands: {lines:?}") };
    assert_eq!(test, "cargo test");
    let playbook = run.split(' ').find(|word| word.starts_with("playbooks/")).unwrap();
    assert!(root().join(playbook).is_file(), "{playbook} is not there");
    let ci = read(".ci/run");
    for command in lines {
        assert!(ci.lines().any(|line| line.trim() == command), ".ci/run does not run {command:?} as it is");
    }
}

#[test]
fn every_file_and_test_that_is_named_is_there() {
    let file = Regex::new(r"`((?:src|tests|docs|examples|\.ci)/[A-Za-z0-9_./-]*)`").unwrap();
    let link = Regex::new(r"\]\(([A-Za-z0-9_./-]+)(?:#[a-z-]*)?\)").unwrap();
    let test = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`").unwrap();
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        gather(&root().join(folder), "rs", &mut |path| sources += &std::fs::read_to_string(path).unwrap());
    }
    for document in documents() {
        let text = read(&document);
        for named in file.captures_iter(&text) {
            assert!(root().join(&named[1]).exists(), "{document} names {}, which is not there", &named[1]);
        }
        let folder = root().join(&document).parent().unwrap().to_owned();
        for named in link.captures_iter(&text).filter(|named| !named[1].starts_with("http")) {
            assert!(folder.join(&named[1]).exists(), "{document} links to {}, which is not there", &named[1]);
        }
        for named in test.captures_iter(&text) {
            let there = sources.contains(&format!("fn {}(", &named[1]));
            assert!(there, "{document} names the test {}, which is not there", &named[1]);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"))
}

/// All Markdown of the repository's top and of `docs`, by path from the root.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |path: &Path| {
        let name = path.strip_prefix(root()).ok().and_then(Path::to_str);
        found.push(name.expect("documents stand below the root").to_owned());
    };
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        add(&root().join(name));
    }
    gather(&root().join("docs"), "md", &mut add);
    found.sort();
    found
}

fn gather(folder: &Path, ending: &str, found: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            gather(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found(&path);
        }
    }
}

/// Fenced blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// README's YAML blocks: name, which is the comment on their first line, and text.
fn yaml_blocks() -> Vec<(String, String)> {
    let readme = read("README.md");
    let name =
        |block: &str| block.strip_prefix("# ").and_then(|block| block.lines().next()).expect("a name first").to_owned();
    blocks(&readme, "yaml").into_iter().map(|block| (name(block), block.to_owned())).collect()
}

/// The property names of a JSON Schema, at any depth.
fn keys_of(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            if let Some(serde_json::Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| keys_of(value, keys));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys_of(value, keys)),
        _ => {}
    }
}

/// `$ quell …` lines of console blocks, each with what follows it.
fn transcripts(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for block in blocks(text, "console") {
        let mut said: Option<&mut String> = None;
        for line in block.lines() {
            match (line.strip_prefix("$ "), &mut said) {
                (Some(command), _) => {
                    found.push((command.to_owned(), String::new()));
                    said = found.last_mut().map(|(_, said)| said);
                }
                (None, Some(said)) => **said += &format!("{line}\n"),
                (None, None) => {}
            }
        }
    }
    found
}

/// Every command of ours: lines of shell and console blocks, and code within sentences and tables.
fn commands(text: &str) -> Vec<String> {
    let in_blocks = ["sh", "console"].into_iter().flat_map(|language| blocks(text, language)).flat_map(str::lines);
    let outside = text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2));
    let ours = |line: &str| {
        // Code in a sentence may go on in the next line.
        let line = line.replace('\n', " ");
        let line = line.trim().trim_start_matches("$ ");
        let ours = match line.strip_prefix("cargo run ") {
            Some(rest) => rest.split_once("-- ").map(|(_, rest)| format!("quell {rest}")),
            None => line.starts_with("quell ").then(|| line.to_owned()),
        };
        ours.filter(|line| !line.contains('…'))
    };
    in_blocks.chain(outside).filter_map(ours).collect()
}

/// A command line's words, as a shell without expansions splits them, up to a pipe, redirection or comment.
fn words_of(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in command.chars() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '>' | ';' | '&' | '#') if word.is_none() => return words,
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// Runs the binary in a folder that holds its state too; gives its code, and all it said: standard output first.
fn quell(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.current_dir(folder).env("QUELL_STATE_DIR", folder.join("state")).env_remove("QUELL_TENANT");
    let output = command.args(words).output().expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("it writes UTF-8"))
}

/// Without what differs from run to run: names of runs, times, and how often was polled meanwhile.
fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, by) in [
        (r"first-\d{4}-[0-9a-f]+", "first-RUN"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"took      .*, from", "took SOME, from"),
        (r"operator  .*", "operator  SOMEBODY"),
        (r"\d+ polls?, \d", "N polls, N"),
    ] {
        text = Regex::new(pattern).expect("written here").replace_all(&text, by).into_owned();
    }
    text.trim_end().to_owned()
}
