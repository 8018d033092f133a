//! Row 68 in the system itself: every sync of a run fails once, by `strace`; and row 54: killed at system calls of every
//! kind. Only where it is asked for: `strace` is on few machines, and not every container lets it work.

use super::bench::Done;
use super::check_left;
use super::truth;
use super::world::{World, prompt};
use std::path::Path;
use std::process::Command;

/// With this variable set, the tests below do something.
const ASKED_FOR: &str = "QUELL_TEST_STRACE";

/// The run under `strace` with this injection.
fn injected(world: &World, injection: &str) -> Done {
    let run = world.run();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-o"]).arg(world.path("trace"));
    command.args(["-e", &format!("trace=connect,{}", injection.split(':').next().expect("calls"))]);
    command.args(["-e", &format!("inject={injection}")]).arg(run.get_program()).args(run.get_args());
    let mut command = world.bench.at_home(command);
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    world.done(command)
}

/// Resumes what was left, as it is, and holds the end against the ledger.
fn resume(world: &World, label: &str) {
    let doubt = check_left(world);
    let done = world.done(world.go_on());
    let code = Some(if doubt.is_empty() { 0 } else { 5 });
    assert_eq!(done.code, code, "{label}: {}{}", done.stdout, done.stderr);
    truth::check(world, &done);
    truth::check_settled(world, code);
}

#[test]
fn every_sync_of_a_run_fails_once_and_nothing_is_carried_out_that_the_journal_does_not_know() {
    if std::env::var_os(ASKED_FOR).is_none() {
        println!("not asked for: set {ASKED_FOR}");
        return;
    }
    let (mut failed, mut in_the_middle, mut passed) = (0, 0, 0);
    for nth in 1..200 {
        let world = World::new(20, prompt());
        let done = injected(&world, &format!("fsync,fdatasync:error=EIO:when={nth}"));
        let trace = std::fs::read_to_string(world.path("trace")).expect("a trace");
        let Some(hit) = trace.lines().find(|line| line.contains("(INJECTED)")) else {
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            println!("{failed} syncs failed, {in_the_middle} of them after an act had left, {passed} passed over");
            assert!(failed > 10 && in_the_middle > 5);
            return;
        };
        let label = format!("sync {nth}, {hit}");
        // SQLite does not look at how a sync of a folder went: a head file that is ahead of what is left tells of it. Nor
        // does it when it folds the log in at the very end: the log stays, and nothing is sent any more.
        let path = hit.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        let sends = trace.split_once(hit).is_some_and(|(_, rest)| rest.contains("connect("));
        let passed_over = done.code == Some(0) && (Path::new(path).is_dir() || !sends);
        assert!(passed_over || done.code == Some(7), "{label}: {}{}", done.stdout, done.stderr);
        failed += 1;
        passed += u32::from(passed_over);
        in_the_middle += u32::from(world.posts() > 0);
        resume(&world, &label);
    }
    panic!("a run of twenty items has not so many syncs");
}

#[test]
fn killed_at_system_calls_of_every_kind_nothing_is_repeated_and_nothing_is_lost() {
    if std::env::var_os(ASKED_FOR).is_none() {
        println!("not asked for: set {ASKED_FOR}");
        return;
    }
    let mut killed = 0;
    for calls in ["pwrite64", "fsync", "writev", "recvfrom", "connect", "fcntl", "epoll_wait", "futex", "openat"] {
        for nth in [1, 2, 3, 5, 9, 17, 33] {
            let world = World::new(20, prompt());
            let done = injected(&world, &format!("{calls}:signal=KILL:when={nth}"));
            killed += u32::from(done.code != Some(0));
            resume(&world, &format!("{calls} {nth}"));
        }
    }
    println!("killed {killed} times");
    assert!(killed > 30, "only {killed} were killed");
}
