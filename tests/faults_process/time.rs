//! Rows 77 to 79: clocks that are wrong, that jump, and that others have.

use super::bench::Done;
use super::world::{CANARY, World, ms, prompt};
use super::{Case, Met, case, check_left};
use http::{HeaderValue, StatusCode, header};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

const DAY: i64 = 86_400_000;
const YEAR: i64 = 365 * DAY;

pub(super) fn cases() -> Vec<Case> {
    [between_crash_and_resume(), while_it_runs(), other_clocks(), tokens()].into_iter().flatten().collect()
}

/// Sets how far the wall clock of changed systems is off.
fn set_clock(world: &World, off: i64) -> String {
    let file = world.path("clock");
    // Put in place whole: it is read at any moment.
    fs::write(world.path("clock.new"), off.to_string()).expect("it is written");
    fs::rename(world.path("clock.new"), &file).expect("it is put in place");
    file.display().to_string()
}

/// Killed by a clock that is off by the first, resumed by one that is off by the second.
fn jumps(what: &'static str, first: i64, second: i64) -> Case {
    case(77, what, move || {
        let world = World::new(40, Options { latency: Delay::Fixed(ms(20)), ..prompt() });
        let clock = set_clock(&world, first);
        let mut going = world.bench.start(world.in_system(world.run(), &[("QUELL_FAULT_CLOCK", &clock)]));
        assert!(going.wait_until(|| world.posts() >= 4), "it ended too soon");
        going.signal(rustix::process::Signal::KILL);
        let done = going.wait();
        set_clock(&world, second);
        world.change_later(&[("QUELL_FAULT_CLOCK", &clock)], &[]);
        let fired = world.has_happened("clock");
        Met::new(world, done, fired, "it asked for the time")
    })
    .killed()
}

fn between_crash_and_resume() -> Vec<Case> {
    vec![
        jumps("a day back between crash and resume", 0, -DAY),
        jumps("ten years forward between crash and resume", 0, 10 * YEAR),
        jumps("ten years forward before the crash, right after it", 10 * YEAR, 0),
        jumps("before 1970 at the resume", 0, -60 * YEAR),
        jumps("a second twice, as at a leap second", 0, -1_000),
        case(77, "another time zone at the resume", || {
            let world = World::new(40, prompt());
            let mut run = world.run();
            run.env("TZ", "America/New_York");
            let mut going = world.bench.start(run);
            assert!(going.wait_until(|| world.posts() >= 3), "it ended too soon");
            going.signal(rustix::process::Signal::KILL);
            let done = going.wait();
            world.change_later(&[("TZ", "Pacific/Auckland")], &[]);
            let fired = done.code.is_none();
            Met::new(world, done, fired, "it was killed in one zone and goes on in another")
        })
        .killed(),
        case(77, "the deadline passes between crash and resume: all is polled once before anything times out", || {
            let world = World::new(20, prompt());
            world.bench.change_tenant("first_after: 50ms", "first_after: 5s");
            let answered = || world.posts() >= 4 && world.intents().is_some_and(|intents| intents.answered.len() >= 4);
            let done = world.killed_when(answered);
            assert_eq!((world.simulator.counters().gets, check_left(&world).len()), (0, 0), "nothing was polled");
            let clock = set_clock(&world, 10 * YEAR);
            world.change_later(&[("QUELL_FAULT_CLOCK", &clock)], &[]);
            let fired = done.code.is_none();
            Met::new(world, done, fired, "it was killed before it polled")
        })
        .killed(),
    ]
}

fn while_it_runs() -> Vec<Case> {
    let jumps = |what, to: i64| {
        case(77, what, move || {
            let world = World::new(40, Options { settle: Delay::Fixed(ms(300)), ..prompt() });
            let clock = set_clock(&world, 0);
            let mut going = world.bench.start(world.in_system(world.run(), &[("QUELL_FAULT_CLOCK", &clock)]));
            assert!(going.wait_until(|| world.posts() >= 2), "it ended too soon");
            set_clock(&world, to);
            let jumped = !going.has_ended();
            let done = going.wait();
            world.change_later(&[("QUELL_FAULT_CLOCK", &clock)], &[]);
            let fired = jumped && world.has_happened("clock");
            Met::new(world, done, fired, "it was going on when the clock jumped")
        })
    };
    vec![
        jumps("a day back while it runs", -DAY),
        jumps("ten years forward while it runs", 10 * YEAR),
        jumps("an hour forward while it runs, as in spring", DAY / 24),
    ]
}

/// The first act is refused for a limit, with a date to come back at; how long the next one was waited for.
fn told_by_date(world: &World, skew: i64, wait: Duration, run: std::process::Command) -> (Done, Duration) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds_now().saturating_add_signed(skew));
    let date = |at| HeaderValue::from_str(&httpdate::fmt_http_date(at)).expect("a header");
    let refusal = ScriptedAnswer::of(StatusCode::TOO_MANY_REQUESTS, "")
        .with_header(header::DATE, date(now))
        .with_header(header::RETRY_AFTER, date(now + wait));
    world.simulator.script(Script { acts: vec![refusal], ..Script::default() });
    let mut going = world.bench.start(run);
    assert!(going.wait_until(|| world.posts() >= 1), "it ended too soon");
    let refused = Instant::now();
    assert!(going.wait_until(|| world.posts() >= 2), "it ended too soon");
    let waited = refused.elapsed();
    (going.wait(), waited)
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn other_clocks() -> Vec<Case> {
    const TOLD: Duration = Duration::from_secs(3);
    let skewed = |what, servers: i64, ours: Option<i64>| {
        case(78, what, move || {
            let world = World::new(10, prompt());
            world.bench.change_tenant("concurrency: 2", "concurrency: 1");
            let mut run = world.run();
            if let Some(off) = ours {
                let clock = set_clock(&world, off);
                run = world.in_system(run, &[("QUELL_FAULT_CLOCK", &clock)]);
            }
            let (done, waited) = told_by_date(&world, servers, TOLD, run);
            let in_time = waited >= TOLD - ms(200) && waited <= TOLD + ms(1_500);
            assert!(in_time, "it waited {waited:?}, and was told {TOLD:?}");
            let refused = world.simulator.counters().untouched == 1;
            Met::new(world, done, refused, "one act was refused")
        })
    };
    vec![
        skewed("the server's clock is three hours behind", -3 * 3_600, None),
        skewed("the server's clock is ten years ahead", 10 * YEAR / 1_000, None),
        skewed("our own clock is a day ahead", 0, Some(DAY)),
    ]
}

fn tokens() -> Vec<Case> {
    let expired = CANARY.contains("eyJleHAiOjEwMDAwMDAwMDA");
    vec![
        case(79, "by its own words the token has expired, and the API lets it in", move || {
            let world = World::new(20, prompt());
            let done = world.done(world.run());
            let let_in = expired && world.simulator.counters().unauthorized == 0;
            Met::new(world, done, let_in, "the token says 2001, and was never refused")
        }),
        case(79, "the token is younger than the clock", move || {
            let world = World::new(20, prompt());
            let clock = set_clock(&world, -50 * YEAR);
            let done = world.done(world.in_system(world.run(), &[("QUELL_FAULT_CLOCK", &clock)]));
            let fired = world.has_happened("clock");
            Met::new(world, done, fired, "the clock says that it is 1976 or so")
        }),
        case(79, "the API no longer lets the token in", || {
            let world = World::new(20, Options { token: Some("another-token-than-ours".into()), ..prompt() });
            let done = world.done(world.run());
            world.change_later(&[("QUELL_TOKEN", "another-token-than-ours")], &[]);
            let refused = world.simulator.counters().unauthorized > 0;
            Met::new(world, done, refused, "the tenant refused the token")
        })
        .ends(8, &[])
        .then_resumes(0, &[]),
    ]
}
