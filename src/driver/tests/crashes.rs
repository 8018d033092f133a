//! Processes that die, and stores that fail, at every moment there is.

use super::world::{World, hosts, two_steps};
use super::{lively, ms};
use crate::driver::DriverError;
use crate::engine::fact::{ItemId, Settled, What};
use crate::journal::FailAt;
use crate::simulator::Options;
use std::collections::HashSet;
use tokio::sync::mpsc;
use tokio::time::timeout;

fn options() -> Options {
    Options { fail_percent: 10.0, ..lively() }
}

fn world(items: Vec<crate::plan::PlannedItem>) -> World {
    let mut world = World::new(options(), items);
    world.header.limits.batch_size = 4;
    world.header.limits.concurrency = 3;
    world
}

/// After all crashes and the last resume: the truth, and no more doubt than there has to be.
fn check_after(world: &World, lost: &HashSet<ItemId>, when: &str) {
    world.check_truth();
    let unknown: HashSet<ItemId> = world
        .outcomes()
        .into_iter()
        .filter(|(_, ends)| ends.contains(&Some(Settled::Unknown)))
        .map(|(item, _)| item)
        .collect();
    assert_eq!(&unknown, lost, "unknown is just what was in flight; {when}");
    assert_eq!(world.facts().last().map(|fact| fact.what.clone()), Some(What::Ended { complete: true }), "{when}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_at_any_moment_repeats_nothing_and_loses_nothing() {
    let mut in_doubt = 0;
    for at in (0..2_500).step_by(79) {
        let mut world = world(two_steps(15));
        let (_send, stops) = mpsc::channel(1);
        let died = timeout(ms(at), world.run_until(stops)).await.is_err();
        let lost = if died { world.lost() } else { HashSet::new() };
        assert!(lost.len() <= 4 * 3, "at most what was in flight: {} at {at} ms", lost.len());
        in_doubt += lost.len();
        if died {
            world.run().await;
        }
        check_after(&world, &lost, &format!("killed at {at} ms"));
    }
    assert!(in_doubt > 10, "acts were in flight often enough: {in_doubt}");
}

#[tokio::test(start_paused = true)]
async fn processes_that_die_one_after_the_other_come_to_the_same_end() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = world(hosts(60));
        let mut lost = HashSet::new();
        loop {
            let (_send, stops) = mpsc::channel(1);
            if timeout(ms(random.u64(1..700)), world.run_until(stops)).await.is_ok() {
                break;
            }
            lost.extend(world.lost());
        }
        check_after(&world, &lost, &format!("seed {seed}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_at_any_append_has_an_intent_for_all_that_was_carried_out() {
    for when in [FailAt::Before, FailAt::After] {
        let mut append = 0;
        loop {
            append += 1;
            let mut world = world(two_steps(5));
            let driver = world.driver();
            driver.store.fail_at(append, when);
            let (_send, stops) = mpsc::channel(1);
            let ended = driver.run(stops, crate::driver::NobodyLooks, |_, _| {}).await;
            let label = format!("append {append} fails {when:?} it is durable");
            let failed = match ended {
                Ok(_) => break,
                Err(DriverError::Store { unrecorded, .. }) => unrecorded,
                Err(other) => panic!("{label}: {other}"),
            };
            check_unrecorded(&world, &failed, &label);
            let lost = world.lost();
            world.run().await;
            check_after(&world, &lost, &label);
        }
        assert!(append > 20, "the run had {append} appends");
    }
}

/// Every id that the API named and no fact holds was handed back.
fn check_unrecorded(world: &World, failed: &[(crate::engine::fact::BatchId, Vec<String>)], label: &str) {
    let told: HashSet<&String> = failed.iter().flat_map(|(_, ids)| ids).collect();
    let mut recorded = HashSet::new();
    for fact in world.facts() {
        if let What::Accepted { ids, .. } = fact.what {
            recorded.extend(ids);
        }
    }
    for entry in world.simulator.ledger().entries {
        let known = recorded.contains(&entry.remediation_id) || told.contains(&entry.remediation_id);
        assert!(known, "{} is lost; {label}", entry.remediation_id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_wait_for_acts_of_a_run_that_lost_its_store() {
    let mut world = world(hosts(12));
    let driver = world.driver();
    driver.store.fail_at(2, FailAt::Before);
    let acts = vec![crate::simulator::ScriptedAnswer { delay: ms(25_000), ..Default::default() }; 3];
    world.simulator.script(crate::simulator::Script { acts, ..Default::default() });
    let (send, stops) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::time::sleep(ms(100)).await;
        let _ = send.send(crate::driver::Order::Stop(crate::engine::fact::StopReason::Signal)).await;
        tokio::time::sleep(ms(100)).await;
        let _ = send.send(crate::driver::Order::Stop(crate::engine::fact::StopReason::SignalAgain)).await;
        std::future::pending::<()>().await;
    });
    let ended = driver.run(stops, crate::driver::NobodyLooks, |_, _| {}).await;
    assert!(matches!(ended, Err(DriverError::Store { .. })), "{ended:?}");
    assert!(world.elapsed() < ms(1_000), "{:?}", world.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_taken_over_sends_nothing_more() {
    let mut world = world(hosts(40));
    let old = world.driver();
    let new = world.driver();
    let (_send, stops) = mpsc::channel(1);
    let ended = old.run(stops, crate::driver::NobodyLooks, |_, _| {}).await;
    assert!(matches!(ended, Err(DriverError::Store { .. })), "{ended:?}");
    assert_eq!(world.simulator.counters().posts, 0);
    let (_send, stops) = mpsc::channel(1);
    assert_eq!(
        new.run(stops, crate::driver::NobodyLooks, |_, _| {}).await.expect("it owns the run").progress.settled,
        40
    );
    world.check_truth();
}
