//! Rows 66 to 69 and 73 to 76: disks that fill up, fail, turn read-only or forget; reports that cannot be written.

use super::bench::Going;
use super::world::{BATCH, CONCURRENCY, World, copy, ms, prompt};
use super::{Case, Met, case, held_by_unit_test};
use quell::simulator::{Options, Script, ScriptedAnswer};
use rustix::process::Resource;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) fn cases() -> Vec<Case> {
    [full(), failing_syncs(), partial_writes(), entries(), places(), reports(), read_only()]
        .into_iter()
        .flatten()
        .collect()
}

/// Two calls a second, one at a time, and no poll for three seconds: each fact comes alone.
fn one_by_one(items: u64) -> World {
    let world = World::new(items, Options { requests: Some("1/500ms".parse().expect("a rate")), ..prompt() });
    world.bench.change_tenant("concurrency: 2", "concurrency: 1");
    world.bench.change_tenant("first_after: 50ms", "first_after: 2s");
    world
}

/// Waits until the journal has so many intents and so many answers.
fn wait_for(world: &World, going: &mut Going, intents: usize, answers: usize) {
    let there = |world: &World| {
        // The database may be in the making.
        let log = world.state("journal.sqlite-wal").exists() && world.posts() > 0;
        log && world.intents().is_some_and(|found| (found.items.len(), found.answered.len()) >= (intents, answers))
    };
    assert!(going.wait_until(|| there(world)), "it ended too soon");
}

/// From now on no file of the process can grow beyond so much more than the journal's log has now.
fn fill_up(world: &World, room: u64) {
    let log = fs::metadata(world.state("journal.sqlite-wal")).expect("a log").len();
    world.limit(Resource::Fsize, log + room);
}

fn full() -> Vec<Case> {
    let mut cases = vec![
        case(66, "the disk is full when an intent is written", || {
            let world = one_by_one(10);
            let mut going = world.start(&world.run());
            wait_for(&world, &mut going, 1, 1);
            fill_up(&world, 0);
            let done = going.wait();
            let intents = world.intents().expect("a run");
            let fired = world.posts() == 1 && intents.items.len() == 1 && intents.answered.len() == 1;
            Met::new(world, done, fired, "the second act has neither an intent nor was it sent")
        })
        .breaks_off(7)
        .says("nothing more is sent")
        .then_resumes(0, &[]),
        case(67, "the disk is full when an answer is written", || {
            let world = one_by_one(10);
            let held = ScriptedAnswer { delay: ms(800), ..ScriptedAnswer::default() };
            world.simulator.script(Script { acts: vec![ScriptedAnswer::default(), held], ..Script::default() });
            let mut going = world.start(&world.run());
            wait_for(&world, &mut going, 2, 1);
            fill_up(&world, 0);
            let done = going.wait();
            let ledger = world.simulator.ledger();
            let lost = ledger.entries.iter().filter(|entry| entry.batch == 2);
            let told = lost.filter(|entry| done.stderr.contains(&entry.remediation_id)).count();
            Met::new(world, done, told as u64 == BATCH, "the ids of the second act are told, and nowhere else")
        })
        .breaks_off(7)
        .says("could not be recorded")
        .then_resumes(5, &[("unknown", BATCH)]),
    ];
    if can_mount() {
        cases.extend([200, 260, 330].map(tmpfs_of));
    }
    cases
}

/// Whether a folder can be mounted that only the process under test sees.
fn can_mount() -> bool {
    let mut tried = Command::new("unshare");
    tried.args(["--mount", "--map-root-user", "mount", "-t", "tmpfs", "quell", "/mnt"]);
    ended_well(&mut tried)
}

fn ended_well(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A disk of so many KiB: whatever is written first beyond it fails. Other processes do not see it, so what is on it is
/// put aside at the end.
fn tmpfs_of(kilobytes: u64) -> Case {
    case(66, format!("a disk of {kilobytes} KiB"), move || {
        let world = World::new(60, prompt());
        let state = world.bench.state();
        fs::create_dir(&state).expect("the place of the disk");
        let inner = format!(
            "mount -t tmpfs -o size={kilobytes}k quell '{0}' && \"$@\"; code=$?; cp -a '{0}' '{0}.kept' && exit $code",
            state.display()
        );
        let run = world.run();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--map-root-user", "sh", "-c", &inner, "sh"])
            .arg(run.get_program())
            .args(run.get_args());
        let mut command = world.bench.at_home(command);
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let done = world.done(command);
        fs::remove_dir(&state).expect("nothing was written below the disk");
        fs::rename(world.path("state.kept"), &state).expect("what was on it is put aside");
        let fired = done.stderr.contains("disk is full") || done.stderr.contains("No space left");
        Met::new(world, done, fired, "it says that the disk is full")
    })
    .breaks_off(7)
}

/// The Nth sync of the run fails, and would succeed if it were tried again.
fn failing_syncs() -> Vec<Case> {
    let nth = |of: &'static str, variable: &'static str, nth: u32| {
        case(68, format!("sync {nth} of a {of} fails"), move || {
            let world = World::new(20, prompt());
            let done = world.done(world.in_system(world.run(), &[(variable, &nth.to_string())]));
            let log = world.system_log();
            let failed = log.iter().position(|(what, _)| what == "failed");
            let after = failed.map_or(0, |at| log[at..].iter().filter(|(what, _)| what == "connect").count());
            // Calls that had started before it may only come to their connection after it.
            let fired = failed.is_some() && after as u64 <= CONCURRENCY;
            Met::new(world, done, fired, "a sync failed, and no call was started after it")
        })
        .breaks_off(7)
    };
    let files = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 21].map(|n| nth("file", "QUELL_FAULT_SYNC", n));
    // Most later ones are SQLite's own, which it does not look at: a head file that is ahead of what is left tells of it.
    let folders = [1, 2].map(|n| nth("folder", "QUELL_FAULT_SYNC_FOLDER", n));
    files.into_iter().chain(folders).collect()
}

fn partial_writes() -> Vec<Case> {
    let in_system = |what: &'static str, mode: &'static str| {
        case(69, what, move || {
            let world = World::new(20, prompt());
            let done = world.done(world.in_system(world.run(), &[("QUELL_FAULT_WRITES", mode)]));
            let fired = world.has_happened(mode);
            Met::new(world, done, fired, "writes came to less than was asked for")
        })
    };
    vec![
        in_system("every write takes half of what it is given", "short"),
        in_system("every other write is interrupted", "interrupted"),
        case(69, "a write of the journal's log ends in the middle of a page, and no more fits", || {
            let world = one_by_one(10);
            let mut going = world.start(&world.run());
            wait_for(&world, &mut going, 1, 1);
            let before = fs::metadata(world.state("journal.sqlite-wal")).expect("a log").len();
            fill_up(&world, 1_500);
            let done = going.wait();
            let after = fs::metadata(world.state("journal.sqlite-wal")).expect("a log").len();
            Met::new(world, done, after == before + 1_500, "a part of it is there")
        })
        .breaks_off(7)
        .then_resumes(0, &[]),
    ]
}

fn entries() -> Vec<Case> {
    vec![
        case(73, "entries of folders are durable before anything is sent", || {
            let world = World::new(10, prompt());
            let done = {
                let folder = world.bench.folder.path().display().to_string();
                world.done(world.in_system(world.run(), &[("QUELL_FAULT_FOLDER", &folder)]))
            };
            let log = world.system_log();
            let sent = log.iter().position(|(what, _)| what == "connect").expect("something is sent");
            let made = log[..sent].iter().enumerate().filter(|(_, (what, path))| {
                // A lock is held, not kept, and the index over the log is made anew whenever it is missing.
                matches!(what.as_str(), "create" | "rename")
                    && ![".lock", "/lock", "-shm", ".tmp"].iter().any(|ending| path.ends_with(ending))
            });
            let mut seen = 0;
            for (at, (_, path)) in made {
                let folder = Path::new(path).parent().and_then(Path::to_str).expect("a folder");
                let synced = log[at..sent].iter().any(|(what, synced)| what == "sync" && synced == folder);
                assert!(synced, "the entry of {path} is not durable when the first act leaves");
                seen += 1;
            }
            Met::new(world, done, seen >= 5, "folders, database, log and head file were made")
        }),
        case(73, "an intent and its head are durable before its act is sent", || {
            let world = one_by_one(10);
            let done = world.done(world.in_system(world.run(), &[("QUELL_FAULT_WRITES", "told")]));
            let log = world.system_log();
            // Acts come before the first poll, each over a connection of its own.
            let sent: Vec<usize> = (0..log.len()).filter(|at| log[*at].0 == "connect").take(2).collect();
            for at in &sent {
                let last = |ending: &str| {
                    let of_file = |(_, path): &&(String, String)| path.ends_with(ending);
                    log[..*at].iter().rfind(of_file).map(|(what, _)| what.as_str())
                };
                assert_eq!((last("-wal"), last(".head")), (Some("sync"), Some("sync")), "when an act leaves");
            }
            let fired = sent.len() == 2 && world.has_happened("told");
            Met::new(world, done, fired, "writes, syncs and connections were seen")
        }),
    ]
}

fn places() -> Vec<Case> {
    let kinds = "kinds_are_told_apart_and_only_a_disk_needs_no_warning";
    let mut cases =
        vec![held_by_unit_test(74, "file systems that forget or are shared", "src/journal/place.rs", kinds)];
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    if !mounts.contains(" /dev/shm tmpfs ") {
        return cases;
    }
    let in_memory = |allowed: bool| {
        let world = World::new(10, prompt());
        let state = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
        let mut run = world.run();
        run.env("QUELL_STATE_DIR", state.path().join("state")).env_remove("QUELL_ALLOW_VOLATILE_STATE");
        if allowed {
            run.arg("--allow-volatile-state");
        }
        let done = world.done(run);
        let made = state.path().join("state").exists();
        if made {
            // Where the checks of every case look for it.
            copy(&state.path().join("state"), &world.bench.state());
        }
        (world, done, made)
    };
    cases.push(
        case(74, "the state folder is in memory", move || {
            let (world, done, made) = in_memory(false);
            let nothing = !made && world.posts() == 0;
            Met::new(world, done, nothing, "no state folder was made and nothing was sent")
        })
        .said(7)
        .says("--allow-volatile-state"),
    );
    cases.push(
        case(74, "the state folder is in memory, and that is acceptable", move || {
            let (world, done, made) = in_memory(true);
            let report = fs::read_to_string(world.path("r.json")).expect("a report");
            let stated = made && report.contains("the state folder is on tmpfs");
            Met::new(world, done, stated, "the report says so")
        })
        .says("the state folder is on tmpfs"),
    );
    cases
}

fn reports() -> Vec<Case> {
    vec![
        case(75, "the folder of a report turns into a file while the run goes on", || {
            let world = World::new(40, prompt());
            fs::create_dir(world.path("out")).expect("a folder");
            let mut run = world.run();
            run.args(["--report", "json=out/r.json"]);
            let mut going = world.bench.start(run);
            assert!(going.wait_until(|| world.posts() >= 2), "it ended too soon");
            fs::remove_dir(world.path("out")).expect("it is empty");
            fs::write(world.path("out"), "in the way").expect("a file");
            let done = going.wait();
            let again = world.done(world.quell("report --format json -o later.json"));
            assert_eq!(again.code, Some(0), "{}", again.stderr);
            let same = fs::read(world.path("later.json")).ok() == fs::read(world.path("r.json")).ok();
            Met::new(world, done, same, "the other report is whole, and can be made again later")
        })
        .ends(7, &[])
        .says("out/r.json")
        .then_resumes(0, &[]),
    ]
}

fn read_only() -> Vec<Case> {
    let mut cases = vec![
        case(76, "the disk turns read-only in the middle", || {
            let world = World::new(40, Options { latency: quell::simulator::Delay::Fixed(ms(30)), ..prompt() });
            let now = world.path("now").display().to_string();
            let run = world.in_system(world.run(), &[("QUELL_FAULT_WRITES", &format!("readonly:{now}"))]);
            let mut going = world.bench.start(run);
            assert!(going.wait_until(|| world.posts() >= 3), "it ended too soon");
            fs::write(now, "").expect("a file");
            let done = going.wait();
            let fired = world.has_happened("readonly") && world.posts() < 8;
            Met::new(world, done, fired, "a write was refused, and not all was sent")
        })
        .breaks_off(7),
    ];
    if let Some(other) = other_user() {
        cases.push(
            case(76, "the state folder may not be written to any more when it is resumed", move || {
                let world = World::new(40, prompt());
                let killed = world.killed_when(|| world.posts() >= 2);
                assert_eq!(killed.code, None);
                let before = (world.files(), world.posts());
                let set = |mode: u32| {
                    let all =
                        fs::read_dir(world.state("")).expect("a folder").map(|entry| entry.expect("an entry").path());
                    let files: Vec<_> = all.collect();
                    for path in &files {
                        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode can be changed");
                    }
                };
                set(0o400);
                let done = world.done(world.through("true", &as_user(&world, other, world.go_on())));
                set(0o600);
                let untouched = (world.files(), world.posts()) == before;
                Met::new(world, done, untouched, "nothing was changed, nothing was sent")
            })
            .breaks_off(7),
        );
    }
    cases
}

/// How a user without privileges is reached: as ourselves, or from root through `setpriv`. Root is let through whatever
/// the mode of a file is; where there is no other user to be, this case is left out.
#[derive(Debug, Clone, Copy)]
enum User {
    Ourselves,
    Other,
}

fn other_user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return Some(User::Ourselves);
    }
    let mut tried = Command::new("setpriv");
    tried.args(DROPPED).args([env!("CARGO_BIN_EXE_quell"), "--version"]);
    ended_well(&mut tried).then_some(User::Other)
}

/// Root, but held to the modes of files.
const DROPPED: [&str; 2] = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];

fn as_user(world: &World, user: User, command: Command) -> Command {
    match user {
        User::Ourselves => command,
        User::Other => {
            let mut outer = Command::new("setpriv");
            outer.args(DROPPED).arg(command.get_program()).args(command.get_args());
            let mut outer = world.bench.at_home(outer);
            outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            outer
        }
    }
}
