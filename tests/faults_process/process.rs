//! Rows 54 to 60: signals, panics and limits of the process.

use super::bench::Done;
use super::world::{World, ms, prompt};
use super::{Case, Met, case, check_left, held_by_unit_test, items_with};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer};
use rustix::process::{Resource, Signal};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(super) fn cases() -> Vec<Case> {
    [kills(), kills_while_resuming(), signals(), streams(), suspended(), panics(), memory(), descriptors()]
        .into_iter()
        .flatten()
        .collect()
}

/// Answers take so long that a kill finds acts in flight.
fn slow() -> Options {
    Options { latency: Delay::Fixed(ms(25)), ..prompt() }
}

/// An act that is carried out, and whose answer comes so much later.
fn held(delay: Duration) -> ScriptedAnswer {
    ScriptedAnswer { delay, ..ScriptedAnswer::default() }
}

/// Whether a file with this ending is there.
fn is_there(folder: &Path, ending: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(ending)))
}

fn kills() -> Vec<Case> {
    let when = |what, holds: fn(&World) -> bool| {
        case(54, what, move || {
            let world = World::new(40, slow());
            let done = world.killed_when(|| holds(&world));
            let fired = done.code.is_none();
            Met::new(world, done, fired, "it ended by the signal")
        })
        .killed()
    };
    // Before so many writes, syncs, creations, renamings and removals of files: from the folder's own making on.
    let before_step = |step: u32| {
        case(54, format!("killed before step {step} of all that it does to files"), move || {
            let world = World::new(20, slow());
            let done = world.done(world.in_system(world.run(), &[("QUELL_FAULT_KILL", &step.to_string())]));
            let fired = done.code.is_none() && world.has_happened("killed");
            Met::new(world, done, fired, "it was killed from within the system call")
        })
        .killed()
    };
    let mut cases = vec![
        when("killed when its head file is there", |world| is_there(&world.state(""), ".head")),
        when("killed with its first act in flight", |world| world.posts() >= 1),
        when("killed with a later act in flight", |world| world.posts() >= 5),
        when("killed while it polls", |world| world.simulator.counters().gets >= 15),
    ];
    cases.extend([1, 2, 4, 7, 12, 20, 33, 54, 70, 87, 104, 121, 138, 155].map(before_step));
    cases
}

fn kills_while_resuming() -> Vec<Case> {
    vec![
        case(55, "killed ten times in a row while it resumes", || {
            let world = World::new(60, slow());
            let mut done = world.killed_when(|| world.posts() >= 3);
            let (mut killed, mut doubt) = (0, BTreeSet::new());
            for step in [3, 5, 8, 13, 21, 30, 40, 50, 60, 70] {
                doubt.extend(check_left(&world));
                done = world.done(world.in_system(world.go_on(), &[("QUELL_FAULT_KILL", &step.to_string())]));
                killed += u32::from(done.code.is_none());
            }
            Met { doubt, ..Met::new(world, done, killed == 10, "ten of them were killed") }
        })
        .killed(),
    ]
}

fn signals() -> Vec<Case> {
    // Forty acts of one call each in a second at most: there is something left to stop.
    let limited = || Options { requests: Some("40/s".parse().expect("a rate")), ..prompt() };
    let stopped = |name: &str, signal: Signal| {
        case(56, format!("{name} while it acts"), move || {
            let world = World::new(60, limited());
            world.bench.change_tenant("batch_size: 5", "batch_size: 1");
            let mut going = world.bench.start(world.run());
            assert!(going.wait_until(|| world.posts() >= 5), "it ended before the signal");
            going.signal(signal);
            let done = going.wait();
            let left = world.posts() < 60 && items_with(&world.report(), "unknown").is_empty();
            Met::new(world, done, left, "acts were left, and those in flight were awaited")
        })
        .ends(6, &[])
        .says("no further acts")
        .then_resumes(0, &[])
    };
    vec![
        stopped("SIGINT", Signal::INT),
        stopped("SIGTERM", Signal::TERM),
        stopped("SIGHUP", Signal::HUP),
        case(56, "SIGINT while an answer is awaited: it is heard", || {
            let world = World::new(30, prompt());
            world.simulator.script(Script { acts: vec![held(ms(700)); 2], ..Script::default() });
            let mut going = world.bench.start(world.run());
            assert!(going.wait_until(|| world.posts() >= 2), "it ended before the signal");
            going.signal(Signal::INT);
            let done = going.wait();
            let heard = items_with(&world.report(), "succeeded").len() == 10 && world.posts() == 2;
            Met::new(world, done, heard, "two acts were sent, their answers heard, their items polled")
        })
        .ends(6, &[])
        .then_resumes(0, &[]),
        case(56, "SIGINT and again while an answer is awaited: it leaves at once", || {
            let world = World::new(30, prompt());
            world.simulator.script(Script { acts: vec![held(ms(20_000)); 2], ..Script::default() });
            let (began, done) = (Instant::now(), twice(&world, || world.posts() >= 2));
            Met::new(world, done, began.elapsed() < ms(15_000), "it did not wait for the answers")
        })
        .breaks_off(6),
        case(56, "SIGTERM, then SIGTERM, while it polls: what was accepted is open", || {
            let world = World::new(10, Options { never_settle_percent: 100.0, ..prompt() });
            world.bench.change_tenant("deadline: 5m", "deadline: 3s");
            let done = twice(&world, || world.simulator.counters().gets >= 10);
            let open = items_with(&world.report(), "open").len() == 10;
            Met::new(world, done, open, "ten items are open")
        })
        .ends(6, &[])
        .then_resumes(9, &[("still_queued", 10)]),
        case(56, "SIGHUP under nohup changes nothing", move || {
            let world = World::new(60, limited());
            let mut going = world.bench.start(world.through("trap '' HUP", &world.run()));
            assert!(going.wait_until(|| world.posts() >= 3), "it ended before the signal");
            going.signal(Signal::HUP);
            let sent = !going.has_ended();
            let done = going.wait();
            Met::new(world, done, sent, "it was going on when the signal came")
        }),
    ]
}

/// Starts the run, and sends a signal when this is so, and once more when the first is heard.
fn twice(world: &World, holds: impl FnMut() -> bool) -> Done {
    let mut going = world.bench.start(world.run());
    assert!(going.wait_until(holds), "it ended before the signal");
    going.signal(Signal::TERM);
    let heard = || {
        let entries = fs::read_dir(world.bench.folder.path()).expect("a folder").flatten();
        let mut stderrs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("stderr"));
        stderrs.any(|entry| fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("stopping")))
    };
    assert!(going.wait_until(heard), "it ended with the first signal");
    going.signal(Signal::TERM);
    going.wait()
}

fn streams() -> Vec<Case> {
    let with = |what, shell: &'static str| {
        case(56, what, move || {
            let world = World::new(20, prompt());
            let done = world.done(world.through(shell, &world.run()));
            let silent = done.stdout.is_empty();
            Met::new(world, done, silent, "nothing reached standard output")
        })
    };
    vec![
        with("standard output is closed", "exec >&-"),
        with("all of its streams are closed", "exec <&- >&- 2>&-"),
        case(56, "who read its output went away", || {
            let world = World::new(20, prompt());
            let mut run = world.run();
            let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
            drop((child.stdout.take(), child.stderr.take()));
            let code = child.wait().expect("it ends").code();
            let done = Done { code, stdout: String::new(), stderr: String::new() };
            Met::new(world, done, true, "both pipes were closed when it began")
        }),
        with("standard output is full", "exec >/dev/full").ends(7, &[]).then_resumes(0, &[]).says("No space left"),
    ]
}

fn suspended() -> Vec<Case> {
    vec![
        case(57, "suspended for longer than an act may take, then woken", || {
            let rate = Options { requests: Some("20/s".parse().expect("a rate")), ..prompt() };
            let world = World::new(60, Options { announce_limits: false, ..rate });
            world.bench.change_tenant("act_timeout: 30s", "act_timeout: 1s");
            world.bench.change_tenant("concurrency: 2", "concurrency: 1");
            world.simulator.script(Script { acts: vec![held(ms(0)), held(ms(30_000))], ..Script::default() });
            let mut going = world.bench.start(world.run());
            assert!(going.wait_until(|| world.posts() >= 2), "it ended before it was suspended");
            going.signal(Signal::STOP);
            let before = world.simulator.counters();
            std::thread::sleep(ms(1_500));
            let asleep = world.simulator.counters().posts == before.posts;
            going.signal(Signal::CONT);
            let done = going.wait();
            // The tenant counts by itself and refuses what is too much.
            let burst = world.simulator.counters().throttled;
            Met::new(world, done, asleep && burst == 0, "it sent nothing while suspended, and no burst after it")
        })
        .ends(5, &[("unknown", 5)]),
    ]
}

fn panics() -> Vec<Case> {
    vec![
        held_by_unit_test(
            58,
            "a worker panics",
            "src/driver/tests/workers.rs",
            "a_worker_that_panics_leaves_its_act_unknown_and_its_poll_is_made_again",
        ),
        case(58, "a template that calls itself for ever", || {
            let world = World::new(10, prompt());
            let endless = "{% component a() %}{{ <a/> }}{% endcomponent a %}{{ <a/> }}";
            fs::write(world.path("endless.tera"), endless).expect("a template");
            let mut run = world.run();
            run.args(["--report", "template:endless.tera=r.txt"]);
            let done = world.done(run);
            let fired = !world.path("r.txt").exists();
            Met::new(world, done, fired, "this report was not made")
        })
        .ends(7, &[])
        .then_resumes(0, &[]),
    ]
}

fn memory() -> Vec<Case> {
    let from_the_start = |kilobytes: u64| {
        case(59, format!("{kilobytes} KiB of address space from the start"), move || {
            let world = World::new(10, prompt());
            let done = world.done(world.through(&format!("ulimit -v {kilobytes}"), &world.run()));
            let refused = done.code != Some(0) && world.posts() == 0;
            Met::new(world, Done { code: None, ..done }, refused, "it did not get as far as to act")
        })
        .killed()
    };
    vec![
        from_the_start(36_000),
        from_the_start(45_000),
        case(59, "no memory is left in the middle", || {
            let world = World::new(40, slow());
            let going = world.start(&world.run());
            let mut going = going;
            assert!(going.wait_until(|| world.posts() >= 3), "it ended too soon");
            // What an allocator has only reserved counts here when it is used, unlike for the address space.
            world.limit(Resource::Data, 4096);
            // What does not fit into what it has already.
            let large = ScriptedAnswer { body: Some(vec![b' '; 4 << 20].into()), ..ScriptedAnswer::default() };
            world.simulator.script(Script { polls: vec![large; 40], ..Script::default() });
            let done = going.wait();
            let fired = done.code.is_none();
            Met::new(world, done, fired, "it could not get memory and ended by a signal")
        })
        .killed(),
    ]
}

fn descriptors() -> Vec<Case> {
    let with = |what, limit: u32| {
        case(60, what, move || {
            let world = World::new(60, slow());
            world.bench.change_tenant("batch_size: 5, ", "batch_size: 1, ");
            world.bench.change_tenant("concurrency: 2", "concurrency: 64");
            let done = world.done(world.through(&format!("ulimit -n {limit}"), &world.run()));
            let at_once = world.simulator.counters().max_in_flight;
            Met::new(world, done, at_once <= 1, "fewer calls at once than the tenant allows")
        })
    };
    vec![
        with("32 open files: fewer calls at once", 32).says("may have 32 open files: 1 call at once, and not 64"),
        with("24 open files: refused with the number", 24)
            .said(2)
            .says("may have 24 open files, and a run needs at least 31"),
    ]
}
