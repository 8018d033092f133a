//! What a killed process leaves, hurt in every place: each attempt to go on from it, or to begin anew over the same
//! items, is refused and touches nothing, or finds exactly what it would have found.
//!
//! The journal is small, with pages of 512 bytes, so that every byte of every file is tried, not a sample of them.

use super::history::{became, begin_with, plain_plan};
use super::*;
use crate::engine::DoneBefore;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);
const NOW: Moment = Moment(1_790_000_000_000 + 60_000);

/// The files of a tenant, by name.
type Files = Vec<(String, Vec<u8>)>;

/// A folder that one thread hurts and mends again. In memory where there is such a place: nothing here is about syncs.
struct Bench {
    _folder: tempfile::TempDir,
    state: PathBuf,
    files: Files,
    sound: Seen,
    plan: Plan,
}

/// What both attempts find in an unhurt folder.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    resumed: Option<Resume>,
    begun: Option<Vec<DoneBefore>>,
}

/// The end of the chain of facts, what would be sent, what earlier runs did.
type Resume = (Head, Vec<ItemBody>, Vec<DoneBefore>);

fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn files_of(state: &Path) -> Files {
    let mut files: Files = fs::read_dir(state.join(TENANT))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| name != "lock" && !name.ends_with("-shm"))
        .collect();
    files.sort();
    files
}

const PAGE_BYTES: usize = 512;

/// What a kill leaves after each append of a run: most of it in the database, the last append in the log. An earlier run
/// is finished.
fn killed() -> Vec<Files> {
    let state = folder();
    fs::create_dir(state.path().join(TENANT)).unwrap();
    let database = state.path().join(TENANT).join("journal.sqlite");
    let small = format!("PRAGMA page_size = {PAGE_BYTES}; CREATE TABLE x(x); DROP TABLE x");
    rusqlite::Connection::open(&database).unwrap().execute_batch(&small).unwrap();
    use Settled::{Failed, StillQueued, Succeeded, TimedOut, Unknown};
    let mut first = begin_with(state.path(), "first", &plain_plan(0..6, 1));
    let ends = [Succeeded, Failed, StillQueued, TimedOut, Unknown, Succeeded];
    let mut facts = vec![at(0, What::Started), at(1, submitting(1, 0..6)), at(2, accepted(1, 6))];
    facts.extend((0..).zip(ends).map(|(item, outcome)| at(3, became(item, outcome))));
    facts.push(at(4, What::Ended { complete: true }));
    append_all(&mut first, &[facts]);
    drop(first);
    let mut second = begin_with(state.path(), "second", &plain_plan(6..9, 1));
    let lost = What::Unanswered { batch: BatchId(1), message: "closed".to_owned(), lost: true };
    let appends = [
        vec![at(10, What::Started), at(11, submitting(1, 0..1))],
        vec![at(12, lost), at(12, submitting(2, 1..2))],
        vec![at(13, accepted(2, 1)), at(14, became(1, Succeeded)), at(14, submitting(3, 2..3))],
    ];
    let fold = |facts: Vec<Fact>| {
        fold_in(&database);
        append_all(&mut second, &[facts]);
        files_of(state.path())
    };
    appends.into_iter().map(fold).collect()
}

/// Folds the log in, as SQLite does now and then, and leaves it empty.
fn fold_in(database: &Path) {
    let database = rusqlite::Connection::open(database).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// The bytes of the database that stand in the log too: as long as the log is sound, nobody reads them.
fn masked(log: &[u8]) -> Vec<std::ops::Range<usize>> {
    let frames = log[32..].chunks(24 + PAGE_BYTES);
    let page = |frame: &[u8]| u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    frames.map(page).map(|page| (page - 1) * PAGE_BYTES..page * PAGE_BYTES).collect()
}

fn bytes<'a>(files: &'a Files, name: &str) -> &'a [u8] {
    &files.iter().find(|(found, _)| found == name).unwrap().1
}

impl Bench {
    fn new(files: &Files) -> Self {
        let folder = folder();
        let state = folder.path().to_owned();
        fs::create_dir(state.join(TENANT)).unwrap();
        let sound = Seen { resumed: None, begun: None };
        let mut bench = Self { _folder: folder, state, files: files.clone(), sound, plan: plain_plan(0..9, 1) };
        bench.mend();
        bench.sound.resumed = bench.open().and_then(|journal| bench.resume(journal)).ok();
        bench.mend();
        bench.sound.begun = bench.open().and_then(|journal| bench.begin(journal)).ok();
        bench.mend();
        assert!(bench.sound.resumed.is_some() && bench.sound.begun.is_some());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.join(TENANT).join(name)
    }

    fn mend(&self) {
        for entry in fs::read_dir(self.state.join(TENANT)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        self.files.iter().for_each(|(name, bytes)| fs::write(self.path(name), bytes).unwrap());
    }

    fn open(&self) -> Result<Journal, StoreError> {
        Journal::open(&self.state, TENANT)
    }

    /// Takes up the run that was killed. Its chain was proven up to its head: the facts are those that made it.
    fn resume(&self, journal: Journal) -> Result<Resume, StoreError> {
        let Resumed { mut run, head, .. } = journal.resume("second")?;
        let bodies = run.bodies(&[ItemId(0), ItemId(1), ItemId(2)])?;
        Ok((head, bodies, run.done_before((0..3).map(ItemId), Question { now: NOW, window: WINDOW, permitted: &[] })?))
    }

    /// Begins a run over the items of both.
    fn begin(&self, journal: Journal) -> Result<Vec<DoneBefore>, StoreError> {
        let run = journal.begin(&meta("third", 3), &self.plan)?;
        run.done_before((0..9).map(ItemId), Question { now: NOW, window: WINDOW, permitted: &[] })
    }

    /// Attempts in the hurt folder; how many were made, and how many of them were refused.
    fn attempt(&self, hurt: impl Fn(), attempts: Attempts, what: &str) -> [u32; 2] {
        hurt();
        let before = non_empty(files_of(&self.state));
        let untouched = |error: StoreError| {
            let now = non_empty(files_of(&self.state));
            let differs =
                |name: &String| before.iter().find(|file| file.0 == *name) != now.iter().find(|file| file.0 == *name);
            let names = before.iter().chain(&now).map(|(name, _)| name);
            let written: Vec<_> = names.filter(|name| differs(name)).collect();
            assert!(written.is_empty(), "{what}: refusing it wrote {written:?}: {error}");
        };
        let mut counts = [0, 0];
        if attempts != Attempts::Begin {
            match self.open().and_then(|journal| self.resume(journal)) {
                Ok(seen) => assert_eq!(Some(seen), self.sound.resumed, "{what}"),
                Err(error) => {
                    untouched(error);
                    counts[1] += 1;
                }
            }
            counts[0] += 1;
            self.mend();
        }
        if attempts != Attempts::Resume {
            hurt();
            match self.open().and_then(|journal| self.begin(journal)) {
                Ok(seen) => assert_eq!(Some(seen), self.sound.begun, "{what}"),
                Err(_) => counts[1] += 1,
            }
            counts[0] += 1;
            self.mend();
        }
        counts
    }

    /// Every byte of a file in this range is hurt, one at a time. Returns attempts and refusals.
    fn flip(files: &Files, name: &str, within: std::ops::Range<usize>, attempts: Option<Attempts>) -> [u32; 2] {
        let content = bytes(files, name);
        on_all_processors(files, within.len(), |bench, trial| {
            let position = within.start + trial;
            let mut hurt = content.to_vec();
            hurt[position] ^= flipped(position);
            let by_turns = if position.is_multiple_of(2) { Attempts::Begin } else { Attempts::Resume };
            let attempts = if std::env::var_os(BOTH).is_some() { Attempts::Both } else { attempts.unwrap_or(by_turns) };
            let flip = || fs::write(bench.path(name), &hurt).unwrap();
            bench.attempt(flip, attempts, &format!("byte {position} of {name}"))
        })
    }
}

/// An empty log is as good as none, and what a lock's file says of its last holder goes with the next one.
fn non_empty(mut files: Files) -> Files {
    files.retain(|(name, bytes)| !bytes.is_empty() && !name.ends_with(".lock"));
    files
}

/// Runs the trials with these numbers on all processors, and adds up what they count.
fn on_all_processors(files: &Files, trials: usize, trial: impl Fn(&Bench, usize) -> [u32; 2] + Sync) -> [u32; 2] {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        let work = (0..threads).map(|first| {
            let trial = &trial;
            scope.spawn(move || {
                let bench = Bench::new(files);
                (first..trials).step_by(threads).map(|number| trial(&bench, number)).fold([0, 0], add)
            })
        });
        work.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).fold([0, 0], add)
    })
}

/// Which bits of a byte are flipped: each has its turn, and now and then all of them together.
fn flipped(position: usize) -> u8 {
    if position % 9 == 8 { 0xff } else { 1 << (position % 9) }
}

fn add(a: [u32; 2], b: [u32; 2]) -> [u32; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// What is tried after a byte was hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempts {
    Resume,
    Begin,
    Both,
}

/// With this variable set, both are tried after every byte. By default they take turns.
const BOTH: &str = "QUELL_TEST_FLIPS_BOTH";

#[test]
fn every_flipped_byte_of_what_a_kill_leaves_is_harmless_or_refused() {
    let left = killed().pop().unwrap();
    let (database, log, head) = ("journal.sqlite", "journal.sqlite-wal", "second.head");
    let all = |name| 0..bytes(&left, name).len();
    // A head file has one reader. Where it reads the same, everything that follows is the same; else both ways are tried.
    let bench = Bench::new(&left);
    let read = || super::head::read(&bench.state.join(TENANT), "second").ok();
    let sound = read();
    let is_read = |position: &usize| {
        let mut hurt = bytes(&left, head).to_vec();
        hurt[*position] ^= flipped(*position);
        fs::write(bench.path(head), &hurt).unwrap();
        read() != sound
    };
    let told: Vec<_> = all(head).filter(is_read).collect();
    let flips = told.iter().map(|position| Bench::flip(&left, head, *position..position + 1, Some(Attempts::Both)));
    let head_counts = add(flips.fold([0, 0], add), [(all(head).len() - told.len()) as u32, 0]);
    let log_counts = Bench::flip(&left, log, all(log), None);
    let database_counts = Bench::flip(&left, database, all(database), None);
    // What the log hides is tried once more without the log.
    let folded = Bench::new(&left);
    fold_in(&folded.path(database));
    let without_log = files_of(&folded.state);
    let hidden = masked(bytes(&left, log)).into_iter();
    let hidden_counts = hidden.map(|page| Bench::flip(&without_log, database, page, None)).fold([0, 0], add);
    for (what, bytes, [attempts, refused]) in [
        (head, all(head).len(), head_counts),
        (log, all(log).len(), log_counts),
        (database, all(database).len(), database_counts),
        ("what the log hides", masked(bytes(&left, log)).iter().map(|page| page.len()).sum(), hidden_counts),
    ] {
        println!(
            "{what}: {bytes} bytes flipped one at a time, {refused} of {attempts} attempts refused, the others as without"
        );
        assert!(attempts as usize >= bytes, "{what}");
    }
    assert_eq!(log_counts[0], log_counts[1], "every byte of the log holds the last append");
    assert!(database_counts[1] > 0 && hidden_counts[1] > 0);
}

#[test]
fn a_log_cut_at_any_byte_is_refused() {
    let left = killed().pop().unwrap();
    let log = "journal.sqlite-wal";
    let content = bytes(&left, log);
    let [attempts, refused] = on_all_processors(&left, content.len(), |bench, length| {
        let cut = || fs::write(bench.path(log), &content[..length]).unwrap();
        cut();
        let seen = RunReader::of_tenant(&bench.state, TENANT, "second").and_then(|run| run.for_each_fact(|_| Ok(())));
        assert!(matches!(seen, Err(StoreError::Damaged { .. })), "shown as it never was, cut at {length}: {seen:?}");
        bench.mend();
        bench.attempt(cut, Attempts::Resume, &format!("log cut at {length}"))
    });
    println!("the log cut at each of {attempts} lengths: {refused} refused");
    assert_eq!([attempts, refused], [content.len() as u32; 2], "every cut takes the last append away");
}

/// Files that are gone, emptied, or come from an earlier moment, in every combination: what goes on reaches the head.
#[test]
fn files_of_different_moments_are_refused_or_reach_the_head() {
    let moments = killed();
    let last = moments.last().unwrap();
    let names = ["journal.sqlite", "journal.sqlite-wal", "second.head"];
    let choices = moments.len() + 2;
    let (mut refused, mut went_on) = (0, 0);
    let bench = Bench::new(last);
    for choice in 0..choices.pow(3) {
        let picks = [choice % choices, choice / choices % choices, choice / choices / choices];
        for (name, pick) in names.into_iter().zip(picks) {
            match moments.get(pick) {
                Some(files) => fs::write(bench.path(name), bytes(files, name)).unwrap(),
                None if pick == moments.len() => fs::write(bench.path(name), "").unwrap(),
                None => fs::remove_file(bench.path(name)).unwrap(),
            }
        }
        let there = head::read(&bench.state.join(TENANT), "second").ok().flatten();
        match bench.open().and_then(|journal| journal.resume("second")) {
            Ok(resumed) => {
                let head = there.expect("a run that is not finished has a head file");
                assert!(resumed.head.sequence >= head.sequence, "{picks:?}");
                let whole = facts_of(&resumed.run.reader().unwrap()).unwrap();
                assert_eq!(whole.len() as u64, resumed.head.sequence, "{picks:?}");
                drop(resumed);
                verify(&bench.state, Some("second")).unwrap();
                went_on += 1;
            }
            Err(error) => {
                // A database that is shorter than the log believes cannot be read.
                let refusal =
                    matches!(error, StoreError::Damaged { .. } | StoreError::NoRun(_) | StoreError::Io { .. });
                assert!(refusal, "{picks:?}: {error}");
                refused += 1;
            }
        }
        bench.mend();
    }
    println!("{refused} combinations refused, {went_on} went on from what their head file names");
    // Each with a head file that is as old or older: the moments themselves, and the database alone, which holds what was
    // appended until the moment before.
    assert_eq!(went_on, 16);
}
