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
}

/// What both attempts find in an unhurt folder.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    resumed: Option<(Vec<Fact>, Vec<ItemBody>, Vec<DoneBefore>)>,
    begun: Option<Vec<DoneBefore>>,
}

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

/// What a kill leaves after each append of the second run: a finished run in the database, one that goes on in the log.
fn killed() -> Vec<Files> {
    let state = folder();
    fs::create_dir(state.path().join(TENANT)).unwrap();
    let small = rusqlite::Connection::open(state.path().join(TENANT).join("journal.sqlite")).unwrap();
    small.execute_batch("PRAGMA page_size = 512; CREATE TABLE x(x); DROP TABLE x").unwrap();
    drop(small);
    use Settled::{Failed, StillQueued, Succeeded, TimedOut, Unknown};
    let mut first = begin_with(state.path(), "first", &plain_plan(0..6, 1));
    let ends = [Succeeded, Failed, StillQueued, TimedOut, Unknown, Succeeded];
    let mut facts = vec![at(0, What::Started), at(1, submitting(1, 0..6)), at(2, accepted(1, 6))];
    facts.extend((0..).zip(ends).map(|(item, outcome)| at(3, became(item, outcome))));
    facts.push(at(4, What::Ended { complete: true }));
    append_all(&mut first, &[facts]);
    drop(first);
    let mut second = begin_with(state.path(), "second", &plain_plan(6..9, 1));
    let mut left = vec![files_of(state.path())];
    let lost = What::Unanswered { batch: BatchId(1), message: "closed".to_owned(), lost: false };
    for facts in [
        vec![at(10, What::Started), at(11, submitting(1, 0..1))],
        vec![at(12, lost), at(12, submitting(2, 1..2))],
        vec![at(13, accepted(2, 1)), at(14, became(1, Succeeded))],
    ] {
        append_all(&mut second, &[facts]);
        left.push(files_of(state.path()));
    }
    left
}

impl Bench {
    fn new(files: &Files) -> Self {
        let folder = folder();
        let state = folder.path().to_owned();
        fs::create_dir(state.join(TENANT)).unwrap();
        let sound = Seen { resumed: None, begun: None };
        let mut bench = Self { _folder: folder, state, files: files.clone(), sound };
        bench.mend();
        bench.sound.resumed = bench.resume().ok();
        bench.mend();
        bench.sound.begun = bench.begin().ok();
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

    fn resume(&self) -> Result<(Vec<Fact>, Vec<ItemBody>, Vec<DoneBefore>), StoreError> {
        let mut run = Journal::open(&self.state, TENANT)?.resume("second")?.run;
        let facts = facts_of(&run.reader()?)?;
        let bodies = run.bodies(&[ItemId(0), ItemId(1), ItemId(2)])?;
        Ok((facts, bodies, run.done_before((0..3).map(ItemId), NOW, WINDOW, &[])?))
    }

    fn begin(&self) -> Result<Vec<DoneBefore>, StoreError> {
        let run = Journal::open(&self.state, TENANT)?.begin(&meta("third", 3), &plain_plan(0..9, 1))?;
        run.done_before((0..9).map(ItemId), NOW, WINDOW, &[])
    }

    /// Both attempts in the hurt folder; how many of them were refused.
    fn attempt(&self, hurt: impl Fn(), what: &str) -> u32 {
        hurt();
        let before = files_of(&self.state);
        let untouched = |wanted: &str| {
            let same = |(a, b): (&(String, Vec<u8>), &(String, Vec<u8>))| a == b;
            let after: Files = files_of(&self.state).into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
            let before: Vec<_> = before.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
            assert!(before.len() == after.len() && before.into_iter().zip(&after).all(same), "{what}: {wanted}");
        };
        let mut refused = 0;
        match self.resume() {
            Ok(seen) => {
                assert_eq!(Some(seen), self.sound.resumed, "{what}");
                self.mend();
                hurt();
            }
            Err(_) => {
                untouched("a refused resume wrote");
                refused += 1;
            }
        }
        match self.begin() {
            Ok(seen) => assert_eq!(Some(seen), self.sound.begun, "{what}"),
            Err(_) => refused += 1,
        }
        self.mend();
        refused
    }
}

/// Runs the trials with these numbers on all processors.
fn on_all_processors(files: &Files, trials: usize, trial: impl Fn(&Bench, usize) -> u32 + Sync) -> u32 {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        let work = (0..threads).map(|first| {
            let trial = &trial;
            scope.spawn(move || {
                let bench = Bench::new(files);
                (first..trials).step_by(threads).map(|number| trial(&bench, number)).sum::<u32>()
            })
        });
        work.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn every_flipped_byte_of_what_a_kill_leaves_is_harmless_or_refused() {
    let left = killed().pop().unwrap();
    println!("{:?}", left.iter().map(|(n, b)| (n, b.len())).collect::<Vec<_>>());
    for (name, bytes) in &left {
        let begun = std::time::Instant::now();
        let refused = on_all_processors(&left, bytes.len().min(400), |bench, position| {
            let mut hurt = bytes.clone();
            // Every bit has its turn, and now and then all of them together.
            hurt[position] ^= if position % 9 == 8 { 0xff } else { 1 << (position % 9) };
            bench.attempt(|| fs::write(bench.path(name), &hurt).unwrap(), &format!("byte {position} of {name}"))
        });
        println!(
            "{name}: {} bytes, {refused} of {} attempts refused, {:?}",
            bytes.len(),
            2 * bytes.len(),
            begun.elapsed()
        );
    }
}
