//! Rows 95, 96 and 98: a run taken up with another tenant's file, repeats that were ordered carelessly, journals that were
//! copied to another machine.

use super::bench::Done;
use super::world::{World, copy, ms, prompt};
use super::{Case, Met, case, check_left};
use quell::engine::fact::What;
use quell::journal::RunReader;
use quell::simulator::{Delay, Options, Script, ScriptedAnswer};
use rustix::process::Signal;
use std::fs;
use std::process::Command;

pub(super) fn cases() -> Vec<Case> {
    [other_tenants(), repeats(), copies()].into_iter().flatten().collect()
}

/// A run that was killed before all was sent.
fn killed() -> (World, Done) {
    let world = World::new(40, Options { latency: Delay::Fixed(ms(15)), ..prompt() });
    let done = world.killed_when(|| world.posts() >= 3);
    (world, done)
}

/// A run taken up with a tenant file in which this was changed: held back, nothing is sent.
fn other_tenants() -> Vec<Case> {
    let changed = |what, from: &'static str, to: &'static str, by: fn(&World) -> Command| {
        case(95, what, move || {
            let (world, _) = killed();
            let sent = world.simulator.counters().posts;
            let tenant = fs::read_to_string(world.path("tenant.yaml")).expect("a tenant");
            let from = if from.is_empty() { world.bench.url.clone() } else { from.to_owned() };
            assert!(tenant.contains(&from), "{from} is in {tenant}");
            fs::write(world.path("other.yaml"), tenant.replacen(&from, to, 1)).expect("another tenant");
            let done = world.done(by(&world));
            let nothing = world.posts() == sent;
            Met::new(world, done, nothing, "nothing was sent")
        })
        .breaks_off(3)
        .says("the run was planned with")
    };
    let resume = |world: &World| world.quell("resume --tenant other.yaml");
    let poll = |world: &World| world.quell("poll --tenant other.yaml");
    let by_variable = |world: &World| {
        let mut command = world.quell("resume");
        command.env("QUELL_TENANT", world.path("other.yaml"));
        command
    };
    vec![
        changed("the tenant file names another address", "", "http://127.0.0.1:9", resume),
        changed("another address, named by the environment", "", "http://127.0.0.1:9", by_variable),
        changed("another address, and it would only poll", "", "http://127.0.0.1:9", poll),
        changed("the tenant file names another user", "user: simulated-user", "user: somebody", resume),
        changed("the tenant file names another account", "user_id: \"0000", "user_id: \"1000", resume),
        changed("the tenant file speaks another version", "api_version: v1", "api_version: unversioned", resume),
        case(95, "the tenant file is as it was", || {
            let (world, done) = killed();
            world.change_later(&[], &["--tenant", "tenant.yaml"]);
            Met::new(world, done, true, "the file is given")
        })
        .killed(),
    ]
}

/// A run of this action whose second act of five was carried out and not answered; its items are 5 to 9.
fn with_unknown_items(action: &str) -> World {
    let world = World::new(20, prompt());
    world.bench.change_tenant("concurrency: 2", "concurrency: 1");
    let acts = vec![ScriptedAnswer::default(), ScriptedAnswer::cut_after()];
    world.simulator.script(Script { acts, ..Script::default() });
    let run = world.quell(&format!(
        "run events.csv --action {action} --tenant tenant.yaml --yes --report json=r.json --report csv=r.csv \
         --max-irreversible 20"
    ));
    let done = world.done(run);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    world
}

fn repeats() -> Vec<Case> {
    let refused = |what, action: &'static str, code: i32, says: &'static str, arguments: &'static [&'static str]| {
        case(96, what, move || {
            let world = with_unknown_items(action);
            let (sent, run) = (world.posts(), world.intents().expect("a run").run);
            let mut retry = world.quell(&format!("retry {run}"));
            let done = world.done({
                retry.args(arguments);
                retry
            });
            let nothing = world.posts() == sent && world.intents().expect("a run").run == run;
            Met::new(world, done, nothing, "nothing was sent, and no run begun")
        })
        .said(code)
        .says(says)
    };
    const UNKNOWN: &str = "--outcome=unknown";
    let (safe, unsafe_twice) = ("quarantine-file", "delete-file");
    vec![
        refused("by outcome alone", safe, 2, "they may have been carried out: 5 items", &[UNKNOWN, "--yes"]),
        refused("without a reason", safe, 2, "--reason", &[UNKNOWN, "--permit-repeat=5", "--yes"]),
        refused("with an empty reason", safe, 2, "reason", &[UNKNOWN, "--permit-repeat=5", "--reason=", "--yes"]),
        refused("with nobody to confirm it", safe, 3, "no terminal", &[UNKNOWN, "--permit-repeat=5", "--reason=sure"]),
        refused(
            "of what succeeded",
            safe,
            3,
            "item 0 is succeeded, which is not done again",
            &[UNKNOWN, "--permit-repeat=0,5", "--reason=sure", "--yes"],
        ),
        refused(
            "of what is not there",
            safe,
            2,
            "has no item 20",
            &[UNKNOWN, "--permit-repeat=20", "--reason=sure", "--yes"],
        ),
        refused(
            "of an action that is not safe to repeat",
            unsafe_twice,
            3,
            "item 5 would carry out delete-file twice, which the tenant does not call repeat_safe",
            &[UNKNOWN, "--permit-repeat=5", "--reason=sure", "--yes"],
        ),
        case(96, "by number, with a reason: these and no others", move || {
            let world = with_unknown_items(safe);
            let run = world.intents().expect("a run").run;
            let mut retry =
                world.quell(&format!("retry {run} --outcome failed --permit-repeat 6,8 --yes --operator bob"));
            retry.args(["--reason", "harmless twice"]);
            let done = world.done(retry);
            let ledger = world.simulator.ledger();
            let twice: Vec<_> =
                ledger.carried_out_more_than_once().iter().map(|group| group[0].item.event_id.clone()).collect();
            let said = permits(&world) == [(2, "bob".to_owned(), "harmless twice".to_owned())];
            let fired = said && twice == ["RTF_6_1", "RTF_8_1"];
            Met::new(world, done, fired, "two were carried out twice, and the permit is in the journal")
        })
        .said(0),
    ]
}

/// How many items were permitted, by whom and why, in the newest run.
fn permits(world: &World) -> Vec<(usize, String, String)> {
    let reader = RunReader::open(&world.bench.state(), None).expect("a run");
    let mut permits = Vec::new();
    let walked = reader.for_each_fact(|fact| {
        if let What::Permitted { items, by, reason } = fact.what {
            permits.push((items.len(), by.unwrap_or_default(), reason));
        }
        Ok(())
    });
    walked.expect("the chain of facts is whole");
    permits
}

/// As if another machine had written last.
fn moved(world: &World) {
    let database = rusqlite::Connection::open(world.state("journal.sqlite")).expect("a database");
    let changed = database.execute("UPDATE heads SET host = 'elsewhere'", []).expect("another host");
    assert_eq!(changed, 1, "there is one run");
}

fn copies() -> Vec<Case> {
    let refused = |what, command: &'static str, code: i32, says: &'static str| {
        case(98, what, move || {
            let (world, _) = killed();
            moved(&world);
            let (before, sent) = (world.files(), world.simulator.counters());
            let done = world.done(world.quell(command));
            let nothing = world.files() == before && world.simulator.counters() == sent;
            world.change_later(&[], &["--adopt", "--reason", "the disk was moved"]);
            Met::new(world, done, nothing, "nothing was sent, and no file was changed")
        })
        .breaks_off(code)
        .says(says)
    };
    let elsewhere = "was last written on another machine (elsewhere)";
    vec![
        refused("a copied journal is resumed", "resume", 7, elsewhere),
        refused("a copied journal is polled", "poll", 7, elsewhere),
        refused("a copied journal is taken over without a reason", "resume --adopt", 2, "--reason"),
        case(98, "findings are given to a copied journal", || {
            let world = with_unknown_items("quarantine-file");
            moved(&world);
            let before = world.files();
            let done = world.done(world.quell("resolve 5 --as carried-out --note seen"));
            let nothing = world.files() == before;
            world.change_later(&[], &["--adopt", "--reason", "the disk was moved"]);
            Met::new(world, done, nothing, "no file was changed")
        })
        .breaks_off(7)
        .says(elsewhere)
        .then_resumes(5, &[("unknown", 5)]),
        case(98, "a journal is copied while its run goes on", || {
            let world = World::new(40, Options { latency: Delay::Fixed(ms(15)), ..prompt() });
            let mut going = world.bench.start(world.run());
            assert!(going.wait_until(|| world.posts() >= 3), "it ended too soon");
            going.signal(Signal::STOP);
            world.await_quiet();
            let there = World::new(40, prompt());
            copy(&world.bench.state(), &there.bench.state());
            moved(&there);
            let sent = world.simulator.counters();
            let refused = there.done(there.quell("resume"));
            assert_eq!(refused.code, Some(7), "{}", refused.stderr);
            assert_eq!(world.simulator.counters().posts, sent.posts, "the other one sent nothing");
            assert_eq!(there.posts(), 0);
            going.signal(Signal::CONT);
            let going_on = !going.has_ended();
            let done = going.wait();
            assert!(check_left(&world).is_empty());
            Met::new(world, done, going_on, "the first one was still at it")
        }),
    ]
}
