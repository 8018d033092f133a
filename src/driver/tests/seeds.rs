//! Thousands of runs, each from one number: engine, driver, store and a model of the API in virtual time.
//!
//! A seed chooses plan, limits, latencies, faults, crashes, signals and clocks ([`world`], [`process`], [`life`]); the
//! model of the API ([`model`], [`acts`], [`polls`]) alone knows what was carried out; the checker ([`checker`],
//! [`verdict`], [`watch`]) holds facts and report against it. The same seed gives the same bytes.
//!
//! `QUELL_TEST_SEEDS=1000000` runs so many. `QUELL_TEST_SEED=n` runs that one and prints its story.

mod acts;
mod budget;
mod checker;
mod kinds;
mod life;
mod model;
mod polls;
mod process;
mod release;
mod run_log;
mod store;
mod verdict;
mod watch;
mod world;

use kinds::Seen;
use life::{Came, of_seed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many seeds run without being asked for more.
const SEEDS: u64 = 20_000;
/// From so many on every kind of fault must have been seen.
const SEEDS_ENOUGH: u64 = 3_000;
/// One seed in so many runs twice, to the same bytes.
const TWICE: u64 = 50;
/// So many failing seeds are told.
const TOLD: usize = 10;

#[test]
fn whatever_happens_nothing_is_done_twice_nothing_is_lost_and_the_report_is_true() {
    if let Some(seed) = asked("QUELL_TEST_SEED") {
        return tell_one(seed);
    }
    let seeds = asked("QUELL_TEST_SEEDS").unwrap_or(SEEDS);
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let (sum, failed) = (Mutex::new(Seen::default()), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut seen = Seen::default();
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds) {
                    match try_one(seed) {
                        Ok(came) => seen.add(&came.seen),
                        Err(wrong) => failed.lock().expect("no thread dies with it").push((seed, wrong)),
                    }
                }
                sum.lock().expect("no thread dies with it").add(&seen);
            });
        }
    });
    let (seen, mut failed) = (sum.into_inner().expect("all ended"), failed.into_inner().expect("all ended"));
    println!("{seeds} seeds in {:.0?} on {threads} threads, {} failed\n{seen}", began.elapsed(), failed.len());
    failed.sort();
    let told: String = failed.iter().take(TOLD).map(|(seed, wrong)| told(*seed, wrong)).collect();
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{told}", failed.len());
    assert!(seeds < SEEDS_ENOUGH || seen.never().is_empty(), "never seen: {:?}", seen.never());
}

fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Runs a seed, some twice. What is wrong with it otherwise.
fn try_one(seed: u64) -> Result<Came, String> {
    let twice = seed.is_multiple_of(TWICE);
    let run = || catch_unwind(AssertUnwindSafe(|| of_seed(seed, false, twice))).map_err(|_| "it panicked".to_owned());
    let came = run()?;
    if twice && run()?.bytes != came.bytes {
        return Err("it gave other bytes when it ran again".to_owned());
    }
    if came.wrong.is_empty() { Ok(came) } else { Err(came.wrong.join("\n    ")) }
}

fn told(seed: u64, wrong: &str) -> String {
    let command = "cargo test --lib driver::tests::seeds -- --nocapture";
    format!("  seed {seed}: {wrong}\n    its story: QUELL_TEST_SEED={seed} {command}\n")
}

fn tell_one(seed: u64) {
    let came = of_seed(seed, true, true);
    let again = of_seed(seed, false, true);
    assert!(again.bytes == came.bytes, "it gave other bytes when it ran again");
    assert!(came.wrong.is_empty(), "seed {seed}: {:#?}", came.wrong);
}
