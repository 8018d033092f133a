//! Waves, the gates between them, the failure budget, age, and that nobody acts without a look where one is asked for.

use super::*;
use crate::engine::fact::Before;
use crate::plan::{Budget, Percent, PlannedFlow, PlannedRelease, Promote, When};
use proptest::prelude::*;
use std::collections::HashSet;

fn budget(tolerated: u32, min_settled: u32, strict: bool) -> Option<Budget> {
    Some(Budget { tolerated, written: String::new(), min_settled, strict })
}

fn with(release: PlannedRelease, batch_size: u16) -> PlanHeader {
    PlanHeader { release, ..header(1, batch_size) }
}

fn waves(ends: &[u32]) -> PlannedRelease {
    PlannedRelease { waves: ends.to_vec(), ..PlannedRelease::default() }
}

fn failing(items: &'static [u32]) -> Model {
    Model {
        status: Box::new(move |item, age| match (age >= 3 * SECOND, items.contains(&item)) {
            (false, _) => "queued",
            (true, true) => "failed",
            (true, false) => "success",
        }),
        ..Model::default()
    }
}

fn stopped(world: &World) -> Option<StopReason> {
    world.facts.iter().rev().find_map(|fact| match fact.what {
        What::Stopping { why } => Some(why),
        _ => None,
    })
}

/// Items in the order in which they were sent.
fn sent_in_order(world: &World) -> Vec<u32> {
    world.acts().into_iter().flat_map(|(_, items)| items).collect()
}

#[test]
fn each_wave_is_sent_when_the_one_before_has_settled() {
    let mut world = World::new(with(waves(&[1, 4, 10]), 50), &on_own_agents(10), Model::default());
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.waves), (10, (3, 3)));
    let acts: Vec<Vec<u32>> = world.acts().into_iter().map(|(_, items)| items).collect();
    assert_eq!(acts, [vec![0], vec![1, 2, 3], vec![4, 5, 6, 7, 8, 9]]);
    let starts: Vec<u64> = world.acts().into_iter().map(|(at, _)| at).collect();
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= 3 * SECOND), "{starts:?}");
}

#[test]
fn one_failure_in_a_wave_keeps_the_next_one_back_and_a_reason_lets_it_begin() {
    let mut world = World::new(with(waves(&[2, 10]), 50), &on_own_agents(10), failing(&[1]));
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.failed, progress.waves), (1, 1, (1, 2)));
    assert_eq!((stopped(&world), world.last()), (Some(StopReason::Gate), &What::Ended { complete: false }));
    let gate = world.engine.gate().expect("a wave waits");
    assert_eq!((gate.wave, gate.waves, gate.released, gate.settled, gate.failures, gate.met), (2, 2, 2, 2, 1, false));
    // A person who gives no reason changes nothing; with one the rest goes.
    for (reason, succeeded) in [(None, 1), (Some("the host was off".to_owned()), 9)] {
        world.crash();
        let promotion = Some(Promotion { wave: Some(2), by: Some("alice".into()), reason });
        let beginning = Beginning { promotion, ..Beginning::default() };
        world.go(Input::Started(Box::new(beginning)), Moment(u64::MAX));
        assert_eq!(world.engine.progress().succeeded, succeeded);
    }
    assert_eq!(world.last(), &What::Ended { complete: true });
}

/// Items that never settle; the others succeed.
fn queued_for_ever(items: &'static [u32]) -> Model {
    Model {
        status: Box::new(move |item, age| match age >= 3 * SECOND && !items.contains(&item) {
            true => "success",
            false => "queued",
        }),
        ..Model::default()
    }
}

#[test]
fn a_first_wave_whose_hosts_are_all_off_shows_nothing_and_opens_no_other() {
    let mut world = World::new(with(waves(&[2, 10]), 50), &on_own_agents(10), queued_for_ever(&[0, 1]));
    let progress = world.finish();
    assert_eq!((progress.still_queued, progress.sent, stopped(&world)), (2, 2, Some(StopReason::Gate)));
    let gate = world.engine.gate().expect("a wave waits");
    assert_eq!((gate.settled, gate.failures, gate.met), (2, 0, false));
    world.crash();
    let reason = Some("they are off for the holidays".to_owned());
    let promotion = Some(Promotion { wave: Some(2), by: Some("alice".into()), reason });
    world.go(Input::Started(Box::new(Beginning { promotion, ..Beginning::default() })), Moment(u64::MAX));
    assert_eq!(world.engine.progress().succeeded, 8);
    assert_eq!(world.last(), &What::Ended { complete: true });
    // One that answers is enough, and what an earlier wave showed speaks for no later one.
    let mut world = World::new(with(waves(&[2, 10]), 50), &on_own_agents(10), queued_for_ever(&[0]));
    assert_eq!((world.finish().succeeded, stopped(&world)), (9, None));
    let mut world = World::new(with(waves(&[1, 3, 10]), 50), &on_own_agents(10), queued_for_ever(&[1, 2]));
    let progress = world.finish();
    assert_eq!((progress.sent, progress.waves, stopped(&world)), (3, (2, 3), Some(StopReason::Gate)));
}

#[test]
fn a_reason_that_was_not_needed_is_kept_and_forgives_nothing() {
    let promote = Promote { failures: 1, confirm_within: Some(secs(1800)), ..Promote::default() };
    let release = PlannedRelease { promote, ..waves(&[2, 3, 5]) };
    let mut world = World::new(with(release, 50), &on_own_agents(5), failing(&[0, 2]));
    world.go(Input::Started(Box::default()), Moment(1_000_000 + 600 * SECOND));
    let promotion = |reason: &str| {
        Input::Promote(Promotion { wave: None, by: Some("alice".into()), reason: Some(reason.to_owned()) })
    };
    world.go(promotion("looked at host 0"), Moment(1_000_000 + 1200 * SECOND));
    let promoted = world.facts.iter().find_map(|fact| match &fact.what {
        What::Promoted { wave, reason, held, .. } => Some((*wave, reason.clone(), *held)),
        _ => None,
    });
    assert_eq!(promoted, Some((2, Some("looked at host 0".to_owned()), true)));
    // The first failure still counts, so the second is one too many.
    assert!(world.engine.gate().is_some_and(|gate| gate.failures == 2 && !gate.met));
}

#[test]
fn a_gate_opens_with_the_share_and_the_failures_that_it_takes() {
    let promote = Promote { settled: Percent(50), failures: 1, ..Promote::default() };
    let release = PlannedRelease { promote, ..waves(&[4, 10]) };
    // Item 0 never settles, item 1 fails: half of the first wave is enough.
    let model = Model {
        status: Box::new(|item, age| match item {
            0 => "queued",
            1 if age >= 3 * SECOND => "failed",
            2 if age < 20 * SECOND => "queued",
            _ if age >= 3 * SECOND => "success",
            _ => "queued",
        }),
        ..Model::default()
    };
    let mut world = World::new(with(release, 50), &on_own_agents(10), model);
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.failed, progress.still_queued), (8, 1, 1));
    let second = world.acts()[1].0;
    assert!(second < world.acts()[0].0 + 20 * SECOND, "it waited for item 2");
}

#[test]
fn a_wave_that_takes_too_long_stops_the_run_and_what_is_open_is_polled_to_its_end() {
    let promote = Promote { within: Some(secs(60)), ..Promote::default() };
    let release = PlannedRelease { promote, ..waves(&[2, 4]) };
    let slow =
        Model { status: Box::new(|_, age| if age >= 100 * SECOND { "success" } else { "queued" }), ..Model::default() };
    let mut world = World::new(with(release, 50), &on_own_agents(4), slow);
    let progress = world.finish();
    assert_eq!((progress.succeeded, stopped(&world)), (2, Some(StopReason::Gate)));
    let stop = world.facts.iter().find(|fact| matches!(fact.what, What::Stopping { .. })).expect("it stopped");
    assert_eq!(stop.at, Moment(1_000_000 + 60 * SECOND));
    // By now the wave has settled: whoever takes it up goes on.
    world.crash();
    assert_eq!(world.finish().succeeded, 4);
}

#[test]
fn a_person_is_asked_and_has_so_long_to_say_yes() {
    let promote = Promote { confirm_within: Some(secs(1800)), ..Promote::default() };
    let release = || PlannedRelease { promote, ..waves(&[1, 3]) };
    let mut world = World::new(with(release(), 50), &on_own_agents(3), Model::default());
    assert_eq!(world.finish().succeeded, 1);
    assert_eq!(stopped(&world), Some(StopReason::Gate));
    let asked = world.facts.iter().find(|fact| fact.what == What::Awaiting { wave: 2 }).expect("it asked").at;
    assert_eq!(world.facts.last().expect("it ended").at, Moment(asked.0 + 1800 * SECOND));

    let mut world = World::new(with(release(), 50), &on_own_agents(3), Model::default());
    let then = world.go(Input::Started(Box::default()), Moment(1_000_000 + 600 * SECOND));
    assert_ne!(then, Then::Finished);
    assert!(world.engine.gate().is_some_and(|gate| gate.met && gate.awaits.is_some()));
    // What is meant for another wave opens none.
    let promotion = |wave| Input::Promote(Promotion { wave: Some(wave), by: Some("alice".into()), reason: None });
    world.turn(promotion(3));
    assert!(world.engine.gate().is_some());
    world.go(promotion(2), Moment(u64::MAX));
    assert_eq!(world.engine.progress().succeeded, 3);
    let promoted = |fact: &&Fact| matches!(&fact.what, What::Promoted { by: Some(by), .. } if by == "alice");
    assert!(world.facts.iter().any(|fact| promoted(&fact)));
}

/// Fails every item; how many were carried out by the time the run stopped.
fn carried_out_until_stopped(items: u32, budget: Option<Budget>, batch_size: u16) -> (u64, Option<StopReason>) {
    let release = PlannedRelease { budget, ..PlannedRelease::default() };
    let all_fail =
        Model { status: Box::new(|_, age| if age >= 3 * SECOND { "failed" } else { "queued" }), ..Model::default() };
    let mut world = World::new(with(release, batch_size), &on_own_agents(items), all_fail);
    let progress = world.finish();
    (progress.failed, stopped(&world))
}

#[test]
fn fifty_items_at_ten_per_cent_strict_stop_at_the_sixth_failure() {
    // The published formula: N = floor(10 × 50 / 100) = 5, and it stops at N + 1.
    assert_eq!(carried_out_until_stopped(50, budget(5, 0, true), 50), (6, Some(StopReason::Budget)));
    assert_eq!(carried_out_until_stopped(50, budget(5, 0, true), 4), (6, Some(StopReason::Budget)));
    assert_eq!(carried_out_until_stopped(50, budget(0, 0, true), 50), (1, Some(StopReason::Budget)));
    // A plain one stops sending, and what was sent by then is what it overshoots by: here the whole first batch, which is all.
    assert_eq!(carried_out_until_stopped(50, budget(5, 0, false), 50), (50, None));
    // It is judged when enough have settled, and never when none are left to keep back.
    assert_eq!(carried_out_until_stopped(5, budget(5, 0, true), 50), (5, None));
    assert_eq!(carried_out_until_stopped(30, budget(2, 40, false), 50), (30, None));
}

#[test]
fn an_operator_may_let_a_run_go_on_beyond_its_budget() {
    let release = PlannedRelease { budget: budget(1, 0, true), ..PlannedRelease::default() };
    let mut world = World::new(with(release, 1), &on_own_agents(8), failing(&[0, 1, 2]));
    assert_eq!((world.finish().failed, stopped(&world)), (2, Some(StopReason::Budget)));
    world.crash();
    assert_eq!(
        (world.finish().failed, stopped(&world)),
        (2, Some(StopReason::Budget)),
        "resuming alone changes nothing"
    );
    world.crash();
    let beginning = Beginning { continued: Some("known bad hosts".into()), ..Beginning::default() };
    world.go(Input::Started(Box::new(beginning)), Moment(u64::MAX));
    let progress = world.engine.progress();
    assert_eq!((progress.failed, progress.succeeded), (3, 5));
}

#[test]
fn failures_that_a_step_allows_are_no_failures_to_budget_and_gate() {
    let release = PlannedRelease { budget: budget(0, 0, true), ..waves(&[1, 3]) };
    let mut header = with(release, 5);
    header.steps[0].flow = PlannedFlow { allow_failure: true, ..PlannedFlow::default() };
    let mut world = World::new(header, &on_own_agents(3), failing(&[0, 1, 2]));
    let progress = world.finish();
    assert_eq!((progress.failed, stopped(&world), world.last()), (3, None, &What::Ended { complete: true }));
}

#[test]
fn a_step_goes_where_the_one_that_it_names_failed() {
    // kill; quarantine after kill settled; isolate after quarantine failed.
    let mut header = header(3, 5);
    header.steps[1].flow.after = Some((0, When::Settled));
    header.steps[2].flow.after = Some((1, When::Failed));
    let items: Vec<(u16, u32)> = (0..3).flat_map(|target| (0..3).map(move |step| (step, target))).collect();
    // Target 0: all well. Target 1: the kill fails. Target 2: the quarantine fails.
    let mut world = World::new(header, &items, failing(&[3, 7]));
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.failed, progress.skipped), (5, 2, 2));
    let sent: HashSet<u32> = sent_in_order(&world).into_iter().collect();
    assert_eq!(sent, HashSet::from([0, 1, 3, 4, 6, 7, 8]));
    assert!(world.facts.iter().any(|fact| matches!(fact.what, What::Unmet { step: 2, .. })));
}

#[test]
fn two_steps_whose_turn_has_come_go_one_after_the_other_on_a_host() {
    let mut header = header(3, 5);
    header.steps[1].flow.after = Some((0, When::Settled));
    header.steps[2].flow.after = Some((0, When::Settled));
    let mut world = World::new(header, &[(0, 0), (2, 0), (1, 0), (2, 0)], Model::default());
    assert_eq!(world.finish().succeeded, 4);
    let acts: Vec<Vec<u32>> = world.acts().into_iter().map(|(_, items)| items).collect();
    assert_eq!(acts, [vec![0], vec![2], vec![1], vec![3]]);
    let settled = |item: u32| {
        let of = |fact: &&Fact| matches!(&fact.what, What::Settled { item: other, .. } if other.0 == item);
        world.facts.iter().find(of).expect("it settled").at.0
    };
    assert!(world.acts()[2].0 >= settled(2));
}

#[test]
fn what_is_too_old_when_its_turn_comes_is_skipped_and_the_rest_goes() {
    let mut header = header(2, 5);
    header.limits.requests = None;
    let mut world = World::new(header, &[(0, 0), (1, 0), (0, 1), (1, 1)], Model::default());
    // The second steps' turn comes after three seconds.
    world.shapes[1].expires = Some(1_002_000);
    world.shapes[3].expires = Some(1_060_000);
    world.crash();
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.skipped), (3, 1));
    assert!(world.facts.iter().any(|fact| fact.what == What::Expired { items: vec![ItemId(1)] }));
    assert!(!sent_in_order(&world).contains(&1));
}

#[test]
fn what_a_rule_protects_is_never_sent_and_keeps_later_steps_of_its_target_back() {
    let mut world = World::new(header(2, 5), &[(0, 0), (1, 0), (0, 1), (1, 1)], Model::default());
    let blocked = vec![(vec![ItemId(0)], "domain controllers".to_owned())];
    // An earlier run did it: that it is protected is said all the same.
    let done_before = vec![DoneBefore { items: vec![ItemId(0)], run: "r".into(), became: Before::Succeeded }];
    let beginning = Beginning { blocked, done_before, ..Beginning::default() };
    world.go(Input::Started(Box::new(beginning)), Moment(u64::MAX));
    let progress = world.engine.progress();
    assert_eq!((progress.blocked, progress.barred, progress.succeeded, progress.skipped), (1, 1, 2, 0));
    assert_eq!(sent_in_order(&world), [2, 3]);
}

#[test]
fn no_act_starts_without_a_look_where_one_is_asked_for() {
    let mut world = World::new(header(1, 5), &on_own_agents(10), Model::default());
    world.engine.asks_before_acts();
    world.turn(Input::Started(Box::default()));
    for _ in 0..3 {
        let turn = world.engine.turn(world.now, Input::Ticked).expect("a legal turn");
        assert!(turn.asks && turn.calls.is_empty(), "{turn:?}");
    }
    let turn = world.engine.turn(world.now, Input::Cleared(world.now)).expect("a legal turn");
    assert!(!turn.asks && turn.calls.len() == 1, "{turn:?}");
    let mut stopped = World::new(header(1, 5), &on_own_agents(10), Model::default());
    stopped.engine.asks_before_acts();
    stopped.turn(Input::Started(Box::default()));
    let mut turn = Turn::default();
    for input in [Input::Cleared(stopped.now), Input::Stop(StopReason::StopFile)] {
        stopped.engine.hear(stopped.now, input, &mut turn).expect("legal");
    }
    stopped.engine.decide(&mut turn).expect("legal");
    assert!(turn.calls.is_empty() && !turn.asks, "{turn:?}");
}

#[test]
fn events_grow_old_by_the_wall_also_while_the_machine_sleeps() {
    let sent_after = |slept: u64| {
        let mut world = World::new(header(1, 5), &on_own_agents(3), Model::default());
        let until = world.now.0 + 3600 * SECOND;
        world.shapes.iter_mut().for_each(|shape| shape.expires = Some(until));
        world.crash();
        world.engine.asks_before_acts();
        world.turn(Input::Started(Box::default()));
        // The run's clock has not moved.
        let wall = Moment(world.now.0 + slept * SECOND);
        let turn = world.engine.turn(world.now, Input::Cleared(wall)).expect("a legal turn");
        let expired = turn.record.iter().any(|fact| matches!(&fact.what, What::Expired { items } if items.len() == 3));
        (turn.calls.len(), expired)
    };
    assert_eq!(sent_after(0), (1, false));
    assert_eq!(sent_after(3600), (1, false));
    assert_eq!(sent_after(3601), (0, true));
}

#[test]
fn polls_do_not_take_the_turn_of_an_act_that_waits_for_a_look() {
    let mut plan = header(1, 1);
    plan.limits = Limits { requests: None, concurrency: 1, ..plan.limits };
    let slow =
        Model { status: Box::new(|_, age| if age >= 60 * SECOND { "success" } else { "queued" }), ..Model::default() };
    let mut world = World::new(plan, &on_own_agents(6), slow);
    world.engine.asks_before_acts();
    world.go_cleared();
    let calls: Vec<bool> = world.started.iter().map(|(_, call)| matches!(call.what, CallWhat::Act { .. })).collect();
    let last = calls.iter().rposition(|is_act| *is_act).expect("acts");
    assert!(last <= 11, "acts and polls take turns: {calls:?}");
    assert_eq!(world.engine.progress().succeeded, 6);
}

/// A plan of up to so many targets and how its items end.
fn any_release() -> impl Strategy<Value = (u32, Vec<u32>, PlannedRelease, Vec<bool>, u16)> {
    let ends = prop::collection::btree_set(1_u32..12, 0..4);
    let budgets = prop::option::of((0_u32..6, 0_u32..6, any::<bool>()));
    (1_u32..14, ends, budgets, prop::collection::vec(prop::bool::weighted(0.3), 28), 1_u16..8).prop_map(
        |(targets, ends, written, fails, batch_size)| {
            let mut waves: Vec<u32> = ends.into_iter().filter(|end| *end < targets).collect();
            if !waves.is_empty() {
                waves.push(targets);
            }
            let budget = written.and_then(|(n, min, strict)| budget(n, if strict { 0 } else { min }, strict));
            let promote = Promote { failures: 2, ..Promote::default() };
            let release = PlannedRelease { waves: waves.clone(), promote, budget, ..PlannedRelease::default() };
            (targets, waves, release, fails, batch_size)
        },
    )
}

/// How many generated plans are driven; `PROPTEST_CASES` asks for more.
const PLANS: u32 = 2_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn waves_never_overlap_and_a_strict_budget_is_never_overshot(
        (targets, waves, release, fails, batch_size) in any_release()
    ) {
        let items: Vec<(u16, u32)> = (0..targets).flat_map(|target| [(0, target), (1, target)]).collect();
        let model = Model {
            status: Box::new(move |item, age| match age >= 3 * SECOND {
                false => "queued",
                true if fails[item as usize] => "failed",
                true => "success",
            }),
            ..Model::default()
        };
        let mut plan = header(2, batch_size);
        plan.limits.requests = None;
        plan.release = release.clone();
        let mut world = World::new(plan, &items, model);
        let progress = world.finish();
        let wave_of = |item: u32| waves.partition_point(|end| *end <= items[item as usize].1);
        let (mut open, mut failed, mut ended) = (HashSet::new(), 0_usize, HashSet::new());
        for fact in &world.facts {
            match &fact.what {
                What::Submitting { items: sent, .. } => {
                    for item in sent.iter().map(|item| item.0) {
                        let wave = wave_of(item);
                        let earlier = (0..items.len() as u32).filter(|other| wave_of(*other) < wave);
                        for other in earlier {
                            prop_assert!(!open.contains(&other), "wave {wave} begins while {other} is open");
                        }
                        prop_assert!(open.insert(item) && !ended.contains(&item));
                    }
                    if let Some(budget) = release.budget.as_ref().filter(|budget| budget.strict) {
                        prop_assert!(open.len() + failed <= budget.tolerated as usize + 1);
                    }
                }
                What::Settled { item, outcome, .. } => {
                    open.remove(&item.0);
                    ended.insert(item.0);
                    failed += usize::from(*outcome == Settled::Failed);
                }
                _ => {}
            }
        }
        if let Some(budget) = release.budget.as_ref().filter(|budget| budget.strict) {
            prop_assert!(failed <= budget.tolerated as usize + 1);
        }
        prop_assert_eq!(progress.failed, failed as u64);
        // Nothing is left behind without a reason that is said.
        prop_assert!(stopped(&world).is_some() || progress.settled == items.len() as u64);
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(PLANS)
}
