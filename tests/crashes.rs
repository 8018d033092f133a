//! Processes killed in the middle, and disks that fill up: nothing is carried out twice, everything unsent is carried
//! out by `resume`, and in doubt is just what was in flight.
//!
//! `QUELL_TEST_KILLS=2000 cargo test --test crashes` kills so many processes that have an act in flight.

#[path = "support/bench.rs"]
mod bench;
#[path = "crashes/first_fact.rs"]
mod first_fact;
#[path = "crashes/holding.rs"]
mod holding;
#[path = "support/intents.rs"]
mod intents;

use bench::Bench;
use holding::{Hold, Holding};
use intents::Intents;
use quell::engine::fact::{BatchId, ItemId};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer, Simulator};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Items of a run that is killed again and again.
const ITEMS: usize = 160;
const BATCH: usize = 4;
const CONCURRENCY: usize = 4;
/// How often a run is killed before it is left to come to its end.
const KILLS_PER_RUN: usize = 12;
/// Processes with an act in flight that are killed, where nobody asks for more.
const KILLS: u64 = 200;
/// Runs that are killed at the same time: most of a kill is waiting.
const AT_ONCE: usize = 4;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Answers take some 8 ms, so that most moments find acts in flight.
fn bench(hosts: usize) -> (Bench, Simulator) {
    let latency = Delay::LogNormal { median: ms(8), sigma: 0.7 };
    let options = Options { latency, settle: Delay::Fixed(ms(20)), ..Options::default() };
    let (bench, simulator) = Bench::serving(options);
    bench.events(hosts);
    bench.change_tenant("batch_size: 50", &format!("batch_size: {BATCH}"));
    bench.change_tenant("concurrency: 8", &format!("concurrency: {CONCURRENCY}"));
    bench.change_tenant("first_after: 200ms, interval: 500ms", "first_after: 50ms, interval: 100ms");
    (bench, simulator)
}

/// The command that begins the run, or takes it up where there is one; by its name, as it may have been killed when
/// only its reports were missing.
fn go_on(bench: &Bench, begun: Option<&Intents>) -> Command {
    let mut command = begun.map_or_else(|| bench.run(&[]), |intents| bench.quell(&["resume", &intents.run]));
    command.args(["--quiet", "--report", "json=r.json"]);
    command
}

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// As soon as so many more acts than before have arrived: they are in flight.
    Acts(u64),
    /// As soon as so many more polls than before have arrived.
    Polls(u64),
    /// Right after the journal's log has grown so often.
    Log(u32),
    /// Right after the head file was written so often.
    Head(u32),
    /// When one of its acts, after so many others, is held there.
    Held(Hold, u32),
}

impl Moment {
    /// Whatever the seed says; most kills find acts in flight.
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..20) {
            0 => Self::After(ms(random.u64(1..250))),
            1..=6 => Self::Acts(random.u64(1..5)),
            7 => Self::Polls(random.u64(1..30)),
            8..=10 => Self::Log(random.u32(1..12)),
            11..=13 => Self::Head(random.u32(1..10)),
            14 | 15 => Self::Held(Hold::HalfRead, random.u32(..4)),
            16 | 17 => Self::Held(Hold::Answered, random.u32(..4)),
            _ => Self::Held(Hold::HalfAnswered, random.u32(..4)),
        }
    }
}

/// A run that is killed.
struct Life {
    bench: Bench,
    simulator: Simulator,
    way: Holding,
}

impl Life {
    fn new(items: usize) -> Self {
        let (bench, simulator) = bench(items);
        let way = Holding::new(&bench.url);
        bench.change_tenant(&bench.url, &way.url());
        Self { bench, simulator, way }
    }

    /// Something that changes with each append: the log's length, and the head file's content.
    fn trace(&self, of_head: bool) -> Vec<u8> {
        let folder = self.bench.state().join("simulator");
        if !of_head {
            let length = fs::metadata(folder.join("journal.sqlite-wal")).map_or(0, |log| log.len());
            return length.to_be_bytes().to_vec();
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let head: Option<PathBuf> = entries.into_iter().find(|path| path.extension().is_some_and(|of| of == "head"));
        head.and_then(|path| fs::read(path).ok()).unwrap_or_default()
    }

    /// Starts the run or takes it up, and kills it then. `Some` with the intents without an answer and their items when it
    /// was killed in time.
    fn kill_at(&self, moment: Moment) -> Option<(usize, BTreeSet<ItemId>)> {
        let Self { bench, simulator, way } = self;
        let before = simulator.counters();
        let known = Intents::read(&bench.state());
        if let Moment::Held(how, after) = moment {
            way.hold(how, after);
        }
        let mut going = bench.start(go_on(bench, known.as_ref()));
        let mut grown = |of_head: bool, times: u32| {
            let (mut last, mut seen) = (self.trace(of_head), 0);
            going.wait_until(|| {
                let now = self.trace(of_head);
                seen += u32::from(now != last);
                last = now;
                seen >= times
            })
        };
        let reached = match moment {
            Moment::Log(times) => grown(false, times),
            Moment::Head(times) => grown(true, times),
            Moment::After(time) => {
                let began = Instant::now();
                going.wait_until(|| began.elapsed() >= time)
            }
            Moment::Acts(acts) => going.wait_until(|| simulator.counters().posts >= before.posts + acts),
            Moment::Polls(polls) => going.wait_until(|| simulator.counters().gets >= before.gets + polls),
            Moment::Held(..) => going.wait_until(|| way.has_reached()),
        };
        if !reached || going.has_ended() {
            assert!(matches!(going.wait().code, Some(0 | 5)), "it ended by itself");
            return None;
        }
        going.signal(Signal::KILL);
        if going.wait().code.is_some() {
            return None;
        }
        let before: BTreeSet<BatchId> = known.map(|intents| intents.items.into_keys().collect()).unwrap_or_default();
        let Some(intents) = Intents::read(&bench.state()) else {
            assert_eq!(simulator.counters().posts, 0, "there is no run, so nothing was sent");
            return Some((0, BTreeSet::new()));
        };
        intents.check_covers(&bench.ledger());
        let in_doubt = intents.in_doubt();
        assert!(in_doubt.len() <= BATCH * CONCURRENCY, "{} items are in doubt after {moment:?}", in_doubt.len());
        // What an earlier kill left in doubt was settled as unknown before this process sent anything of its own.
        let own = intents.items.keys().any(|batch| !before.contains(batch));
        assert!(!own || intents.answered.is_superset(&before), "{moment:?}");
        if matches!(moment, Moment::Held(..)) {
            assert!(!in_doubt.is_empty(), "an act that is held is in doubt: {moment:?}");
        }
        Some((intents.unanswered().filter(|(batch, _)| !before.contains(batch)).count(), in_doubt))
    }
}

/// Takes the run up a last time and holds what it reports against the ledger.
fn complete(bench: &Bench, in_doubt: &BTreeSet<ItemId>, items: usize, label: &str) {
    let done = bench.done(go_on(bench, Intents::read(&bench.state()).as_ref()));
    let code = if in_doubt.is_empty() { 0 } else { 5 };
    assert_eq!(done.code, Some(code), "{label}: {}{}", done.stdout, done.stderr);
    let report = bench.report("r.json");
    bench.check_truth(&report);
    let of = |outcome: &str| -> BTreeSet<ItemId> {
        let rows = report["items"].as_array().expect("items").iter().filter(|item| item["outcome"] == outcome);
        rows.map(|item| ItemId(item["item"].as_u64().expect("a number") as u32)).collect()
    };
    let (unknown, succeeded) = (of("unknown"), of("succeeded"));
    assert_eq!(&unknown, in_doubt, "{label}: unknown is just what was in flight");
    assert_eq!(unknown.len() + succeeded.len(), items, "{label}: everything else was carried out");
    Intents::read(&bench.state()).expect("a run").check_covers(&bench.ledger());
}

/// What all kills together came to.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    with_an_act_in_flight: u64,
    acts: usize,
    items: usize,
    repeated: usize,
    lost: usize,
    unknown: usize,
    in_doubt: usize,
}

/// One run, killed again and again at the seed's moments, and then left to come to its end.
fn killed_by_seed(seed: u64, wanted: u64, tally: &Mutex<Tally>) {
    let tally = || tally.lock().expect("nobody panics with it");
    let mut random = fastrand::Rng::with_seed(seed);
    let life = Life::new(ITEMS);
    let (mut in_doubt, mut moments) = (BTreeSet::new(), Vec::new());
    while moments.len() < KILLS_PER_RUN && tally().with_an_act_in_flight < wanted {
        let moment = Moment::random(&mut random);
        moments.push(moment);
        let Some((acts, items)) = life.kill_at(moment) else { break };
        let mut tally = tally();
        tally.kills += 1;
        tally.with_an_act_in_flight += u64::from(acts > 0);
        tally.acts += acts;
        in_doubt.extend(items);
    }
    complete(&life.bench, &in_doubt, ITEMS, &format!("seed {seed}, killed at {moments:?}"));
    // Counted once more, from the ledger and the report alone.
    let report = life.bench.report("r.json");
    let count = |outcome: &str| report["summary"]["outcomes"][outcome].as_u64().expect("a count") as usize;
    let mut tally = tally();
    tally.items += ITEMS;
    tally.repeated += life.simulator.ledger().carried_out_more_than_once().len();
    tally.lost += ITEMS - count("succeeded") - count("unknown");
    tally.unknown += count("unknown");
    tally.in_doubt += in_doubt.len();
}

#[test]
fn killed_at_any_moment_and_resumed_nothing_is_done_twice_and_nothing_is_lost() {
    let wanted =
        std::env::var("QUELL_TEST_KILLS").ok().map_or(KILLS, |n| n.parse().expect("QUELL_TEST_KILLS is a number"));
    let (tally, next, began) = (Mutex::new(Tally::default()), AtomicU64::new(1), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while tally.lock().expect("nobody panics with it").with_an_act_in_flight < wanted {
                    killed_by_seed(next.fetch_add(1, Ordering::SeqCst), wanted, &tally);
                }
            });
        }
    });
    let took = began.elapsed().as_secs();
    let Tally { kills, with_an_act_in_flight, acts, items, repeated, lost, unknown, in_doubt } =
        tally.into_inner().expect("nobody panicked with it");
    println!(
        "{kills} kills, {with_an_act_in_flight} of them with acts in flight: {acts} acts; of {items} items {repeated} \
         repeated, {lost} lost, {unknown} unknown = {in_doubt} of intents without a durable answer; {took} s"
    );
    assert_eq!((repeated, lost, unknown), (0, 0, in_doubt));
    assert!(with_an_act_in_flight >= wanted);
}

/// Killed while it takes up what was killed before, in the moment before it sends anything.
#[test]
fn killed_again_and_again_while_it_resumes_it_comes_to_the_same_end() {
    let life = Life::new(120);
    let (_, mut in_doubt) = life.kill_at(Moment::Acts(3)).expect("it was killed");
    let after = [1, 5, 10, 20, 30, 40, 50, 60, 80, 100].map(|time| Moment::After(ms(time)));
    let at_writes = [1, 1, 2, 2, 3].map(Moment::Log).into_iter().chain([1, 1, 2, 3].map(Moment::Head));
    for moment in after.into_iter().chain(at_writes) {
        in_doubt.extend(life.kill_at(moment).into_iter().flat_map(|(_, items)| items));
    }
    complete(&life.bench, &in_doubt, 120, "nineteen kills in a row");
}

/// What the tenant got of an act is what was carried out, wherever it stopped; what we know of it is the same.
#[test]
fn killed_with_an_act_held_at_each_point_it_is_unknown_whatever_became_of_it() {
    for (how, carried_out) in [(Hold::HalfRead, false), (Hold::Answered, true), (Hold::HalfAnswered, true)] {
        let life = Life::new(40);
        life.bench.change_tenant(&format!("concurrency: {CONCURRENCY}"), "concurrency: 1");
        let (acts, in_doubt) = life.kill_at(Moment::Held(how, 3)).expect("it was killed");
        assert_eq!((acts, in_doubt.len()), (1, BATCH), "{how:?}");
        complete(&life.bench, &in_doubt, 40, &format!("{how:?}"));
        let missing = 40 - life.simulator.ledger().entries.len();
        let held = missing == BATCH;
        assert_eq!(held, !carried_out, "{how:?}: {missing} items were not carried out");
    }
}

#[test]
fn killed_while_its_acts_are_held_these_items_are_unknown_and_the_rest_is_carried_out() {
    let life = Life::new(100);
    let simulator = &life.simulator;
    let held = ScriptedAnswer { delay: ms(20_000), ..ScriptedAnswer::default() };
    let never = ScriptedAnswer { carry_out: false, ..held.clone() };
    let acts = vec![ScriptedAnswer::default(), held, never];
    simulator.script(Script { acts, ..Script::default() });
    let (_, in_doubt) = life.kill_at(Moment::Polls(10)).expect("it was killed");
    assert!(in_doubt.len() >= 2 * BATCH, "both held acts are in doubt: {in_doubt:?}");
    complete(&life.bench, &in_doubt, 100, "held acts");
    let unknown_and_done = simulator.ledger().entries.len();
    assert!((100 - in_doubt.len() + BATCH..100).contains(&unknown_and_done), "one was carried out, one was not");
}

/// A limit on file sizes stands for a disk without room: the first write beyond it fails.
#[test]
fn a_disk_that_fills_up_ends_the_run_with_exit_7_and_nothing_is_carried_out_that_the_journal_does_not_know() {
    let (mut in_the_middle, mut blocks) = (0, 80);
    loop {
        blocks += blocks / 3;
        let (bench, simulator) = bench(150);
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f $0; exec \"$@\"", &blocks.to_string(), env!("CARGO_BIN_EXE_quell")]);
        command.args(["run", "events.csv", "--action", "quarantine-file", "--tenant", "tenant.yaml", "--yes"]);
        command.args(bench::GUARDS).args(["--quiet", "--report", "json=r.json"]);
        let done = bench.done(bench.at_home(command));
        let label = format!("{blocks} blocks: {}", done.stderr);
        if done.code == Some(0) {
            bench.check_truth(&bench.report("r.json"));
            break;
        }
        assert_eq!(done.code, Some(7), "{label}");
        assert!(done.stderr.starts_with("error: ") || done.stderr.contains("\nerror: "), "{label}");
        let carried_out = simulator.counters().carried_out;
        in_the_middle += u32::from((1..150).contains(&carried_out));
        let Some(intents) = Intents::read(&bench.state()) else {
            assert_eq!(carried_out, 0, "{label}");
            continue;
        };
        intents.check_covers(&bench.ledger());
        complete(&bench, &intents.in_doubt(), 150, &label);
    }
    assert!(in_the_middle > 0, "some runs were cut off in the middle");
}
