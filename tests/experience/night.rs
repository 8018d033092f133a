//! A folder with the walk-through's files, a tenant that has the actions which they name, and people at terminals in it.

use super::bench::{Bench, Going};
use super::signers;
use quell::simulator::{Delay, Options, SimAction, Simulator};
use quell::tenant;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the night is about.
pub(crate) const SHA: &str = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
/// The address in the tenant file.
const ADDRESS: &str = "https://gateway.qg2.apps.qualys.eu";
/// How many times as fast time goes.
const HURRY: &str = "20";

/// See the module.
pub(crate) struct Night {
    pub(crate) bench: Bench,
    pub(crate) simulator: Simulator,
    since: String,
}

/// Somebody, and what they saw: each command, and what was printed for it.
pub(crate) struct Person<'n> {
    night: &'n Night,
    name: &'static str,
    pub(crate) told: Vec<(String, String)>,
}

/// A command that goes on at a terminal.
pub(crate) struct Begun {
    command: String,
    going: Going,
    /// Open for as long as the command may look at it.
    _terminal: Option<File>,
    shown: String,
}

impl Night {
    /// Everything that is carried out settles so much later.
    pub(crate) fn new(settle: Delay) -> Self {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/walkthrough");
        let text = fs::read_to_string(files.join("tenants/prod-eu.yaml")).expect("the tenant");
        let actions = tenant::read("prod-eu.yaml", &text).expect("a tenant").actions;
        let actions: Vec<SimAction> = actions.iter().map(SimAction::from).collect();
        let (bench, simulator) = Bench::serving(Options { settle, actions, ..Options::default() });
        copy(&files, bench.folder.path());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
        let night = Self { bench, simulator, since: now.to_string() };
        night.change("tenants/prod-eu.yaml", |text| {
            let auth = text.lines().find(|line| line.starts_with("auth: ")).expect("where the token comes from");
            let text = text.replace(auth, "auth: {token_file: ../token}");
            assert!(text.contains(ADDRESS));
            text.replace(ADDRESS, &night.bench.url)
        });
        night.write("token", "any\n");
        fs::set_permissions(night.bench.path("token"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("the token is nobody else's");
        let today = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let of_then = regex::Regex::new(r"2026-06-12T\d\d:\d\d:\d\dZ").expect("a pattern");
        for events in ["hits.csv", "tests/export.csv"] {
            night.change(events, |text| of_then.replace_all(text, today.as_str()).into_owned());
        }
        for (name, number) in [("alice", 1), ("bob", 2)] {
            fs::create_dir_all(night.bench.path(&format!("home/{name}/.ssh"))).expect("a folder");
            night.write(&format!("home/{name}/.ssh/id_ed25519"), &signers::key(number));
        }
        night.write("allowed_signers", &signers::signer("alice@example.com", 1));
        night
    }

    pub(crate) fn person(&self, name: &'static str) -> Person<'_> {
        Person { night: self, name, told: Vec::new() }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.bench.path(name), text).expect("it is written");
    }

    fn change(&self, name: &str, change: impl FnOnce(&str) -> String) {
        let text = fs::read_to_string(self.bench.path(name)).expect("it is there");
        self.write(name, &change(&text));
    }

    /// A command line for a shell, in which `quell` is the binary.
    fn shell(&self, line: &str, person: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        let mut command = self.bench.at_home(command);
        let binary = Path::new(env!("CARGO_BIN_EXE_quell")).parent().expect("a folder");
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).env("USER", person).env("HOME", self.bench.path(&format!("home/{person}")));
        command.env("LD_PRELOAD", hurry()).env("QUELL_HURRY", HURRY).env("QUELL_HURRY_SINCE", &self.since);
        command
    }

    /// Until the run's next wave waits for a person.
    pub(crate) fn waits_for_a_person(&self, begun: &mut Begun) {
        let asks = || self.bench.done(self.shell("quell show", "carol")).stdout.contains("waits for a person");
        assert!(begun.wait_until(asks), "{} ended", begun.command);
    }

    /// How many items of each action the tenant has carried out.
    pub(crate) fn acts(&self) -> BTreeMap<i64, usize> {
        let mut acts = BTreeMap::new();
        for entry in self.simulator.ledger().entries {
            *acts.entry(entry.item.action_id).or_default() += 1;
        }
        acts
    }

    /// Whether every command that the walk-through shows was typed, and printed what it shows: `…` stands for lines that
    /// are left out, and what differs from night to night is not compared.
    #[track_caller]
    pub(crate) fn is_told_by_the_walk_through(&self, people: &[&Person<'_>]) {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/walkthrough.md");
        let page = fs::read_to_string(page).expect("the page");
        let told: Vec<(String, String)> = people
            .iter()
            .flat_map(|person| &person.told)
            .map(|(line, said)| (self.masked(line), self.masked(said)))
            .collect();
        let blocks = page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        let mut shown = 0;
        for command in blocks.flat_map(|block| block.split("$ quell ").skip(1)) {
            let (line, expected) = command.split_once('\n').expect("a line");
            let (line, expected) = (self.masked(&format!("quell {line}")), self.masked(expected));
            let said: Vec<&str> =
                told.iter().filter(|(typed, _)| *typed == line).map(|(_, said)| said.as_str()).collect();
            assert!(!said.is_empty(), "{line} is shown and was not typed");
            assert!(
                said.iter().any(|said| fits(&expected, said)),
                "{line} printed\n{}\nand not\n{expected}",
                said.join("\n")
            );
            shown += 1;
        }
        assert!(shown >= 9, "{shown} commands are shown");
    }

    fn masked(&self, text: &str) -> String {
        let mut text = text.replace(&self.bench.url, ADDRESS);
        for (pattern, by) in [
            (r"contain-\d{4}-[0-9a-f]{3}", "contain-RUN"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
            (r"took      .*, from", "took      SOME, from"),
            (r"calls     .* acts?, .* polls?", "calls     SOME"),
            (r"digest   [0-9a-f]{64}", "digest   SHA256"),
        ] {
            text = regex::Regex::new(pattern).expect("a pattern").replace_all(&text, by).into_owned();
        }
        text
    }

    /// The name of the newest run of a playbook.
    pub(crate) fn run(&self, playbook: &str) -> String {
        let runs = self.bench.done(self.shell("quell runs", "carol")).stdout;
        let is_run = |word: &&str| word.strip_prefix(playbook).is_some_and(|rest| rest.starts_with('-'));
        runs.split_whitespace().find(is_run).expect("a run").to_owned()
    }
}

impl Begun {
    /// Waits until something is so; false when the command ended before.
    pub(crate) fn wait_until(&mut self, holds: impl FnMut() -> bool) -> bool {
        self.going.wait_until(holds)
    }
}

/// Whether these lines are those, where `…` stands for any lines.
fn fits(expected: &str, said: &str) -> bool {
    let mut said: &[&str] = &said.trim_end().lines().map(str::trim_end).collect::<Vec<_>>();
    let parts: Vec<Vec<&str>> =
        expected.trim_end().lines().collect::<Vec<_>>().split(|line| *line == "…").map(<[&str]>::to_vec).collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let at = match (index, last) {
            (0, _) => said.starts_with(part).then_some(0),
            (_, true) => said.ends_with(part).then(|| said.len() - part.len()),
            _ => (0..=said.len().saturating_sub(part.len())).find(|at| said[*at..].starts_with(part)),
        };
        let Some(at) = at else { return false };
        said = &said[at + part.len()..];
    }
    said.is_empty()
}

impl Person<'_> {
    /// What the last command said.
    pub(crate) fn last(&self) -> &str {
        self.told.last().map_or("", |(_, said)| said)
    }

    /// Types a command that asks nothing, and does not wait for its end.
    pub(crate) fn starts(&mut self, line: &str) -> Begun {
        let going = self.night.bench.start(self.night.shell(line, self.name));
        Begun { command: line.to_owned(), going, _terminal: None, shown: String::new() }
    }

    /// Types a command and sees what it says: results, then everything else.
    #[track_caller]
    pub(crate) fn does(&mut self, line: &str, code: i32) {
        let done = self.night.bench.done(self.night.shell(line, self.name));
        assert_eq!(done.code, Some(code), "{line}: {}{}", done.stdout, done.stderr);
        self.told.push((line.to_owned(), done.stdout + &done.stderr));
    }

    /// Types a command that asks, and the answer.
    #[track_caller]
    pub(crate) fn answers(&mut self, line: &str, answer: &str, code: i32) {
        let begun = self.begins(line, answer);
        self.ends(begun, code);
    }

    /// The same, and does not wait for its end.
    pub(crate) fn begins(&mut self, line: &str, answer: &str) -> Begun {
        let (mut ours, theirs) = terminal();
        let shell = self.night.shell(line, self.name);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(shell.get_program()).args(shell.get_args());
        let mut command = self.night.bench.at_home(command);
        command.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TERM", "dumb").env("NO_COLOR", "1").stdin(theirs);
        let going = self.night.bench.start(command);
        let (mut shown, mut buffer) = (String::new(), [0; 4096]);
        while !shown.ends_with(": ") {
            match ours.read(&mut buffer) {
                Ok(length) if length > 0 => shown += &String::from_utf8_lossy(&buffer[..length]),
                _ => break,
            }
        }
        writeln!(ours, "{answer}").expect("it can be typed on");
        shown += answer;
        Begun { command: line.to_owned(), going, _terminal: Some(ours), shown }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(&mut self, begun: Begun, code: i32) {
        let Begun { command, going, _terminal, shown } = begun;
        let done = going.wait();
        assert_eq!(done.code, Some(code), "{command}: {shown}{}{}", done.stdout, done.stderr);
        self.told.push((command, format!("{}{}\n{}", done.stderr, shown, done.stdout)));
    }
}

/// A terminal: our end, and the other one as a standard input.
fn terminal() -> (File, Stdio) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it can be opened");
    let name = ptsname(&ours, Vec::new()).expect("its name");
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
    (File::from(ours), Stdio::from(theirs))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("it is copied")),
        }
    }
}

/// What stands before the C library; made once, by the compiler that SQLite was made with.
fn hurry() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (made, kept) = (folder.join(format!("hurry.{}.so", std::process::id())), folder.join("hurry.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/hurry.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let built = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(source).status();
        assert!(built.expect("README asks for a C compiler").success(), "hurry.c does not compile");
        fs::rename(made, &kept).expect("it is put in place");
        kept
    })
}
