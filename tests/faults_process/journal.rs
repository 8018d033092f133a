//! Rows 64, 65 and 70 to 72: journals of other versions, journals that were hurt, replaced or taken away. What is refused
//! is left as it is, sends nothing, and goes on once it is whole again.

use super::bench::Done;
use super::intents::Intents;
use super::world::{FRAME, World, copy, ms, prompt};
use super::{Case, Met, case, check_left};
use quell::simulator::{Delay, Options};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use std::fs;

pub(super) fn cases() -> Vec<Case> {
    [versions(), tails(), flips(), replaced()].into_iter().flatten().collect()
}

/// A run that was killed with some acts answered, some in flight and some not sent.
fn killed() -> World {
    loop {
        let world = World::new(40, Options { latency: Delay::Fixed(ms(15)), ..prompt() });
        let done = world.killed_when(|| world.posts() >= 4);
        assert_eq!(done.code, None, "it was killed");
        if world.posts() < 8 && world.is_at_its_head() {
            return world;
        }
    }
}

/// The state folder as it is now, kept aside.
fn keep(world: &World, name: &str) {
    copy(&world.bench.state(), &world.path(name));
}

/// Puts back what was kept aside.
fn put_back(world: &World, name: &str) {
    fs::remove_dir_all(world.bench.state()).expect("it can be removed");
    copy(&world.path(name), &world.bench.state());
}

/// Lets every command that would go on with the run try: each is refused with exit code 7 and these words, nothing is
/// sent, and no file that counts is touched. What the last one said.
fn refused(world: &World, run: &str, says: &str) -> Done {
    let (files, posts) = (world.files(), world.simulator.counters());
    let mut last = None;
    for command in
        [world.quell(&format!("resume {run}")), world.quell(&format!("poll {run}")), world.quell("resume"), world.run()]
    {
        let shown = format!("{:?}", command.get_args().next());
        let done = world.done(command);
        assert_eq!(done.code, Some(7), "{shown}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(says), "{shown}: {says:?} is missing in {}", done.stderr);
        assert!(world.files() == files, "{shown}: files were changed");
        assert_eq!(world.simulator.counters(), posts, "{shown}: something was sent");
        last = Some(done);
    }
    last.expect("commands were tried")
}

/// A database beside its writer's: closing it leaves the log as it is.
fn database(world: &World) -> Connection {
    let database = Connection::open(world.state("journal.sqlite")).expect("a database");
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("the log stays");
    database
}

/// A killed run is hurt, refused by everything with these words, put back, and goes on.
fn hurt(row: u32, what: &'static str, says: &'static str, hurt: impl Fn(&World) + Send + Sync + 'static) -> Case {
    case(row, what, move || {
        let world = killed();
        keep(&world, "kept");
        let run = world.intents().expect("a run").run;
        let before = world.files();
        hurt(&world);
        let changed = world.files() != before;
        let done = refused(&world, &run, says);
        put_back(&world, "kept");
        Met::new(world, done, changed, "files differ from what the kill left")
    })
    .breaks_off(7)
}

fn versions() -> Vec<Case> {
    vec![
        case(64, "a journal that the first release left is read", || {
            let world = World::new(1, prompt());
            let folder = world.bench.state().join("prod-eu");
            fs::create_dir_all(&folder).expect("a folder");
            let released = Connection::open(folder.join("journal.sqlite")).expect("a database");
            released.execute_batch(include_str!("../../src/journal/tests/schema_1.sql")).expect("the first schema");
            drop(released);
            fs::copy(
                concat!(env!("CARGO_MANIFEST_DIR"), "/src/journal/tests/schema_1.head"),
                folder.join("contain-0612-7f3.head"),
            )
            .expect("its head file");
            let done = world.done(world.quell("journal verify contain-0612-7f3"));
            let whole = done.stdout.contains("schema     1") && done.stdout.contains("18 items");
            Met::new(world, done, whole, "it is of the first schema, and all its items are there")
        })
        .said(0)
        .says("run contain-0612-7f3 is whole"),
        hurt(64, "the journal is of a newer schema", "has schema 99, this quell reads up to", |world| {
            database(world).pragma_update(None, "user_version", 99).expect("a newer version");
        }),
        hurt(65, "a newer version wrote a fact that this one does not know", "a_wave_was_released", |world| {
            let database = database(world);
            let sql = "SELECT run, sequence, hash FROM heads";
            let (run, sequence, hash): (i64, i64, Vec<u8>) =
                database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("a head");
            let (at, body) = (4_000_000_000_000_i64, r#"{"fact":"a_wave_was_released","wave":2}"#);
            let mut chain = Sha256::new();
            chain.update(&hash);
            chain.update((sequence + 1).to_be_bytes());
            chain.update(at.to_be_bytes());
            chain.update(body);
            let hash = chain.finalize().to_vec();
            let insert = "INSERT INTO facts(run, seq, at, body, hash) VALUES(?1, ?2, ?3, ?4, ?5)";
            database.execute(insert, params![run, sequence + 1, at, body, hash]).expect("a fact");
            let update = "UPDATE heads SET sequence = ?2, hash = ?3 WHERE run = ?1";
            database.execute(update, params![run, sequence + 1, hash]).expect("a head");
        }),
    ]
}

fn tails() -> Vec<Case> {
    let damaged = "its head file names";
    let log = "journal.sqlite-wal";
    let harmless = |what, change: fn(&World)| {
        case(70, what, move || {
            let world = killed();
            let before = world.files();
            change(&world);
            let changed = world.files() != before;
            let done = Done { code: None, stdout: String::new(), stderr: String::new() };
            Met::new(world, done, changed, "files differ from what the kill left")
        })
        .killed()
    };
    vec![
        harmless("half a page stands behind the last transaction", |world| {
            world.change("journal.sqlite-wal", |log| {
                let last = log[log.len() - FRAME..][..FRAME / 2].to_vec();
                log.extend(last);
            });
        }),
        harmless("zeroes stand behind the last transaction", |world| {
            world.change("journal.sqlite-wal", |log| log.resize(log.len() + 3 * FRAME, 0));
        }),
        harmless("the newest head, which was not synced, is torn", |world| {
            let head = world.head();
            world.change(&head, |head| {
                let sequence = |slot: usize| {
                    let text = String::from_utf8_lossy(&head[slot..slot + 512]).into_owned();
                    let line = text.lines().find_map(|line| line.strip_prefix("sequence ").map(str::to_owned));
                    line.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
                };
                let newest = if sequence(0) > sequence(4096) { 0 } else { 4096 };
                head[newest + 40..newest + 512].fill(0);
            });
        }),
        hurt(70, "the last page of the log is cut in half", damaged, move |world| {
            world.change(log, |log| log.truncate(log.len() - FRAME / 2));
        }),
        hurt(70, "the last page of the log is zeroes", damaged, move |world| {
            world.change(log, |log| {
                let from = log.len() - FRAME;
                log[from..].fill(0);
            });
        }),
        hurt(70, "two pages of the log changed their places", damaged, move |world| {
            world.change(log, |log| {
                let end = log.len();
                let (last, before) = (log[end - FRAME..].to_vec(), log[end - 2 * FRAME..end - FRAME].to_vec());
                assert!(last != before, "they differ");
                log.truncate(end - 2 * FRAME);
                log.extend(last);
                log.extend(before);
            });
        }),
        hurt(70, "a page in the middle of the log is zeroes", damaged, move |world| {
            world.change(log, |log| {
                let middle = 32 + (log.len() - 32) / FRAME / 2 * FRAME;
                log[middle..middle + FRAME].fill(0);
            });
        }),
    ]
}

/// One bit in each of so many places of a file: refused and left as it is, or harmless and reported truthfully; no act
/// is sent because of it. Every byte of every file is tried where the journal is tested by itself.
fn flips() -> Vec<Case> {
    let flipped = |what: &'static str, name: fn(&World) -> String, places: usize, refused_min: usize| {
        case(71, what, move || {
            // All acts are answered and none is in doubt, so that whatever goes on has only to poll.
            let world = World::new(20, Options { settle: Delay::Fixed(ms(100)), ..prompt() });
            world.bench.change_tenant("first_after: 50ms", "first_after: 400ms");
            let done = world.killed_when(|| answered(&world) == 4);
            assert_eq!((done.code, world.posts()), (None, 4), "it was killed when all was answered");
            keep(&world, "kept");
            let run = world.intents().expect("a run").run;
            let mut random = fastrand::Rng::with_seed(71);
            let (mut refused, mut last) = (0, done);
            for _ in 0..places {
                let name = name(&world);
                let mut hurt = String::new();
                world.change(&name, |content| {
                    let (at, bit) = (random.usize(..content.len()), random.u8(..8));
                    content[at] ^= 1 << bit;
                    hurt = format!("bit {bit} of byte {at} in {name}");
                });
                let files = world.files();
                last = world.done(world.quell(&format!("resume {run} --report json=r.json")));
                assert_eq!(world.posts(), 4, "{hurt}: an act was sent");
                match last.code {
                    Some(7) => {
                        refused += 1;
                        assert!(world.files() == files, "{hurt}: what was refused was changed");
                    }
                    Some(0) => world.bench.check_truth(&world.report()),
                    code => panic!("{hurt}: exit code {code:?}, {}{}", last.stdout, last.stderr),
                }
                put_back(&world, "kept");
            }
            last.code = None;
            Met::new(world, last, refused >= refused_min, "some were noticed")
        })
        .killed()
        .then_resumes(0, &[])
    };
    vec![
        flipped("a bit of the log flips", |_| "journal.sqlite-wal".to_owned(), 10, 9),
        flipped("a bit of the database flips", |_| "journal.sqlite".to_owned(), 8, 0),
        flipped("a bit of the head file flips", World::head, 8, 0),
    ]
}

fn answered(world: &World) -> usize {
    if world.posts() < 4 { 0 } else { world.intents().map_or(0, |intents| intents.answered.len()) }
}

fn replaced() -> Vec<Case> {
    let remove = |world: &World, name: &str| {
        let path = world.state(name);
        if path.exists() {
            fs::remove_file(path).expect("it can be removed");
        }
    };
    vec![
        hurt(72, "the journal is deleted", " head ", move |world| {
            ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"].iter().for_each(|name| remove(world, name));
        }),
        hurt(72, "the journal is empty", " head ", move |world| {
            ["journal.sqlite-wal", "journal.sqlite-shm"].iter().for_each(|name| remove(world, name));
            fs::write(world.state("journal.sqlite"), "").expect("it can be emptied");
        }),
        hurt(72, "the journal's log is deleted", "is missing, but its head is there", move |world| {
            ["journal.sqlite-wal", "journal.sqlite-shm"].iter().for_each(|name| remove(world, name));
        }),
        hurt(72, "the head file is deleted", "it is gone, but run", move |world| remove(world, &world.head())),
        case(72, "the journal is an older copy of itself", move || {
            let world = World::new(40, Options { latency: Delay::Fixed(ms(15)), ..prompt() });
            let mut going = world.bench.start(world.run());
            assert!(going.wait_until(|| world.posts() >= 2), "it ended too soon");
            going.signal(Signal::STOP);
            keep(&world, "older");
            going.signal(Signal::CONT);
            assert!(going.wait_until(|| world.posts() >= 6), "it ended too soon");
            going.signal(Signal::KILL);
            assert_eq!(going.wait().code, None);
            world.await_quiet();
            keep(&world, "kept");
            let run = world.intents().expect("a run").run;
            let before = Intents::read(&world.path("older")).map_or(0, |older| older.items.len());
            for name in ["journal.sqlite", "journal.sqlite-wal"] {
                let older = world.path("older").join("simulator").join(name);
                fs::copy(older, world.state(name)).expect("an older copy");
            }
            remove(&world, "journal.sqlite-shm");
            let done = refused(&world, &run, "its head file names");
            put_back(&world, "kept");
            let fired = before < world.intents().expect("a run").items.len() && !check_left(&world).is_empty();
            Met::new(world, done, fired, "the copy has fewer intents")
        })
        .breaks_off(7),
    ]
}
