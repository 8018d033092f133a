//! Processes killed in the middle, and disks that fill up: nothing is carried out twice, everything unsent is carried
//! out by `resume`, and in doubt is just what was in flight.
//!
//! `QUELL_TEST_KILLS=500 cargo test --test crashes` kills more often.

#[path = "support/bench.rs"]
mod bench;

use bench::Bench;
use quell::engine::fact::{BatchId, ItemId, What};
use quell::engine::tag;
use quell::journal::{RunReader, StoreError};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer, Simulator};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

const ITEMS: usize = 600;
const BATCH: usize = 10;
const CONCURRENCY: usize = 4;
const KILLS: usize = 28;

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

/// What the journal says of a run's acts.
struct Journal {
    run: String,
    /// The items of each intent.
    intents: BTreeMap<BatchId, Vec<ItemId>>,
    answered: BTreeSet<BatchId>,
}

impl Journal {
    /// `None` when no run has begun.
    fn read(bench: &Bench) -> Option<Self> {
        let reader = match RunReader::open(&bench.state(), None) {
            Ok(reader) => reader,
            Err(StoreError::NoRun(_)) => return None,
            Err(e) => panic!("the journal cannot be read: {e}"),
        };
        let (mut intents, mut answered) = (BTreeMap::new(), BTreeSet::new());
        let walked = reader.for_each_fact(|fact| {
            match fact.what {
                What::Submitting { batch, items, .. } => {
                    intents.insert(batch, items);
                }
                What::Accepted { batch, .. }
                | What::Rejected { batch, .. }
                | What::Returned { batch, .. }
                | What::Unanswered { batch, .. } => {
                    answered.insert(batch);
                }
                _ => {}
            }
            Ok(())
        });
        walked.expect("the chain of facts is whole");
        Some(Self { run: reader.meta().id.clone(), intents, answered })
    }

    /// The items of intents without a durable answer.
    fn in_doubt(&self) -> BTreeSet<ItemId> {
        let open = self.intents.iter().filter(|(batch, _)| !self.answered.contains(batch));
        open.flat_map(|(_, items)| items.iter().copied()).collect()
    }

    /// Everything that was carried out has an intent in the journal.
    fn check_covers(&self, ledger: &Value) {
        let tags: BTreeSet<String> = self.intents.keys().map(|batch| tag::tag(&self.run, *batch)).collect();
        for entry in ledger["entries"].as_array().expect("entries") {
            let comment = entry["comment"].as_str().expect("a comment");
            assert!(tags.contains(comment), "carried out without an intent: {entry}");
        }
    }
}

/// The command that begins the run, or takes it up where there is one; by its name, as it may have been killed when
/// only its reports were missing.
fn go_on(bench: &Bench, begun: Option<&Journal>) -> Command {
    let mut command = begun.map_or_else(|| bench.run(&[]), |journal| bench.quell(&["resume", &journal.run]));
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
}

impl Moment {
    /// Whatever the seed says; most kills fall into the part that sends.
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..4) {
            0 => Self::After(ms(random.u64(1..350))),
            1 | 2 => Self::Acts(random.u64(1..8)),
            _ => Self::Polls(random.u64(1..60)),
        }
    }
}

/// Starts the run or takes it up, and kills it then. `Some` with the items in doubt when it was killed in time.
fn kill_at(bench: &Bench, simulator: &Simulator, moment: Moment) -> Option<BTreeSet<ItemId>> {
    let before = simulator.counters();
    let known = Journal::read(bench);
    let mut going = bench.start(go_on(bench, known.as_ref()));
    let reached = match moment {
        Moment::After(time) => {
            std::thread::sleep(time);
            true
        }
        Moment::Acts(acts) => going.wait_until(|| simulator.counters().posts >= before.posts + acts),
        Moment::Polls(polls) => going.wait_until(|| simulator.counters().gets >= before.gets + polls),
    };
    if !reached || going.has_ended() {
        assert!(matches!(going.wait().code, Some(0 | 5)), "it ended by itself");
        return None;
    }
    going.signal(Signal::KILL);
    if going.wait().code.is_some() {
        return None;
    }
    let before: BTreeSet<BatchId> = known.map(|journal| journal.intents.into_keys().collect()).unwrap_or_default();
    let journal = Journal::read(bench)?;
    journal.check_covers(&bench.ledger());
    let in_doubt = journal.in_doubt();
    assert!(in_doubt.len() <= BATCH * CONCURRENCY, "{} items are in doubt after {moment:?}", in_doubt.len());
    // What an earlier kill left in doubt was settled as unknown before this process sent anything of its own.
    let own = journal.intents.keys().any(|batch| !before.contains(batch));
    assert!(!own || journal.answered.is_superset(&before), "{moment:?}");
    Some(in_doubt)
}

/// Takes the run up a last time and holds what it reports against the ledger.
fn complete(bench: &Bench, in_doubt: &BTreeSet<ItemId>, items: usize, label: &str) {
    let done = bench.done(go_on(bench, Journal::read(bench).as_ref()));
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
    Journal::read(bench).expect("a run").check_covers(&bench.ledger());
}

/// Runs of 600 items, killed again and again, each by the seed's moments, until enough processes have died.
#[test]
fn killed_at_any_moment_and_resumed_nothing_is_done_twice_and_nothing_is_lost() {
    let wanted =
        std::env::var("QUELL_TEST_KILLS").ok().map_or(KILLS, |n| n.parse().expect("QUELL_TEST_KILLS is a number"));
    let (mut killed, mut doubtful, mut seed) = (0, 0, 0);
    while killed < wanted {
        seed += 1;
        let mut random = fastrand::Rng::with_seed(seed);
        let (bench, simulator) = bench(ITEMS);
        let mut in_doubt = BTreeSet::new();
        let mut moments = Vec::new();
        for _ in 0..7 {
            let moment = Moment::random(&mut random);
            moments.push(moment);
            let Some(left) = kill_at(&bench, &simulator, moment) else { break };
            killed += 1;
            in_doubt.extend(left);
        }
        doubtful += in_doubt.len();
        complete(&bench, &in_doubt, ITEMS, &format!("seed {seed}, killed at {moments:?}"));
    }
    assert!(doubtful > 0, "some were killed with acts in flight");
}

/// Killed while it takes up what was killed before, in the moment before it sends anything.
#[test]
fn killed_again_and_again_while_it_resumes_it_comes_to_the_same_end() {
    let (bench, simulator) = bench(120);
    let mut in_doubt = kill_at(&bench, &simulator, Moment::Acts(3)).expect("it was killed");
    for after in [1, 5, 10, 20, 30, 40, 50, 60, 80, 100] {
        in_doubt.extend(kill_at(&bench, &simulator, Moment::After(ms(after))).into_iter().flatten());
    }
    complete(&bench, &in_doubt, 120, "ten kills in a row");
}

#[test]
fn killed_while_its_acts_are_held_these_items_are_unknown_and_the_rest_is_carried_out() {
    let (bench, simulator) = bench(100);
    let held = ScriptedAnswer { delay: ms(20_000), ..ScriptedAnswer::default() };
    let never = ScriptedAnswer { carry_out: false, ..held.clone() };
    let acts = vec![ScriptedAnswer::default(), held, never];
    simulator.script(Script { acts, ..Script::default() });
    let in_doubt = kill_at(&bench, &simulator, Moment::Polls(10)).expect("it was killed");
    assert!(in_doubt.len() >= 2 * BATCH, "both held acts are in doubt: {in_doubt:?}");
    complete(&bench, &in_doubt, 100, "held acts");
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
        command.args(["--quiet", "--report", "json=r.json"]);
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
        let Some(journal) = Journal::read(&bench) else {
            assert_eq!(carried_out, 0, "{label}");
            continue;
        };
        journal.check_covers(&bench.ledger());
        complete(&bench, &journal.in_doubt(), 150, &label);
    }
    assert!(in_the_middle > 0, "some runs were cut off in the middle");
}
