//! The driver over a store in memory and the simulator in process, in virtual time: runs of hours take moments.

mod crashes;
mod seeds;
mod workers;
mod world;

use super::*;
use crate::engine::fact::{Settled, StopReason};
use crate::simulator::{Delay, Options, Script, ScriptedAnswer, ThrottleKind, ThrottleStatus};
use crate::tenant::Rate;
use http::StatusCode;
use std::time::Duration;
use world::{World, hosts, two_steps};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Answers take about 30 ms, some ten times that; remediations about a second.
fn lively() -> Options {
    Options {
        latency: Delay::LogNormal { median: ms(30), sigma: 0.8 },
        settle: Delay::LogNormal { median: ms(900), sigma: 0.6 },
        ..Options::default()
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_items_in_two_steps_all_succeed_and_stand_in_the_ledger() {
    let mut world = World::new(lively(), two_steps(250));
    let ending = world.run().await;
    assert_eq!((ending.progress.settled, ending.progress.succeeded, ending.died), (500, 500, 0));
    assert!(world.simulator.counters().max_in_flight <= 8);
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_first_step_bars_the_second_and_no_other_target() {
    let mut world = World::new(Options { fail_percent: 20.0, ..lively() }, two_steps(250));
    let progress = world.run().await.progress;
    assert!(progress.failed > 0 && progress.barred > 0 && progress.succeeded > 0);
    assert_eq!(progress.succeeded + progress.failed + progress.barred, 500);
    assert_eq!(world.simulator.ledger().entries.len() as u64, 500 - progress.barred);
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn shuffled_dropped_and_repeated_ids_give_no_item_the_outcome_of_another() {
    for seed in 1..=3 {
        let options = Options {
            seed,
            shuffle_ids: true,
            drop_ids_percent: 7.0,
            repeat_ids_percent: 7.0,
            fail_percent: 30.0,
            ..lively()
        };
        let mut world = World::new(options, hosts(500));
        let progress = world.run().await.progress;
        assert_eq!(world.simulator.counters().carried_out, 500, "every item is carried out whatever its id");
        assert!(progress.unclear > 20 && progress.failed > 80, "{progress:?}");
        assert_eq!(progress.succeeded + progress.failed + progress.unclear, 500);
        world.check_truth();
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_the_tenant_file_names_is_never_met() {
    for announce_limits in [true, false] {
        for throttle_kind in [ThrottleKind::RollingWindow, ThrottleKind::TokenBucket] {
            let rate = Rate { calls: 50, window: ms(1000) };
            let options = Options {
                requests: Some(rate),
                concurrency: Some(8),
                refusals_cost: true,
                announce_limits,
                throttle_kind,
                ..lively()
            };
            let mut world = World::new(options, hosts(500));
            world.header.limits.requests = Some(rate);
            let ending = world.run().await;
            let counters = world.simulator.counters();
            assert_eq!(ending.progress.succeeded, 500);
            assert_eq!((counters.throttled, ending.progress.throttled), (0, 0), "{announce_limits} {throttle_kind:?}");
            assert!(counters.max_in_flight <= 8);
            let took = world.elapsed();
            let least = (counters.posts + counters.gets) / 50 - 1;
            assert!(took.as_secs() >= least && took.as_secs() <= 2 * least + 10, "{took:?} for {counters:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenants_default_limit_is_kept_over_hours_in_two_calls_at_once() {
    let rate = Rate { calls: 300, window: Duration::from_secs(3600) };
    let options = Options { requests: Some(rate), concurrency: Some(2), settle: Delay::Fixed(ms(20_000)), ..lively() };
    let mut world = World::new(options, hosts(500));
    world.header.limits.requests = Some(rate);
    world.header.limits.concurrency = 2;
    world.header.polling.first_after = Duration::from_secs(15);
    world.header.polling.interval = Duration::from_secs(30);
    world.header.polling.interval_max = Duration::from_secs(600);
    world.header.polling.deadline = Duration::from_secs(4 * 3600);
    let progress = world.run().await.progress;
    let counters = world.simulator.counters();
    assert_eq!((progress.succeeded, counters.throttled), (500, 0));
    assert!(counters.max_in_flight <= 2);
    let hours = world.elapsed().as_secs_f64() / 3600.0;
    assert!((1.0..4.0).contains(&hours), "{hours} hours");
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn refusals_of_an_understated_limit_are_waited_out_as_told() {
    for throttle_status in [ThrottleStatus::TooManyRequests, ThrottleStatus::Conflict] {
        let rate = Rate { calls: 20, window: Duration::from_secs(10) };
        let options = Options { requests: Some(rate), throttle_status, refusals_cost: true, ..lively() };
        let mut world = World::new(options, hosts(300));
        world.header.limits.requests = None;
        world.header.limits.concurrency = 40;
        world.header.limits.batch_size = 5;
        let progress = world.run().await.progress;
        let throttled = world.simulator.counters().throttled;
        assert_eq!((progress.succeeded, progress.throttled), (300, throttled));
        assert!((1..=40).contains(&throttled), "only calls that had left before the first refusal: {throttled}");
        world.check_truth();
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_do_not_say_how_long_to_wait_are_backed_off_from() {
    let rate = Rate { calls: 30, window: Duration::from_secs(10) };
    let options =
        Options { requests: Some(rate), throttle_status: ThrottleStatus::Conflict, announce_limits: false, ..lively() };
    let mut world = World::new(options, hosts(200));
    world.header.limits.requests = None;
    let progress = world.run().await.progress;
    let counters = world.simulator.counters();
    assert_eq!(progress.succeeded, 200);
    assert!(counters.throttled > 0 && counters.throttled < (counters.posts + counters.gets) / 2, "{counters:?}");
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_once_is_read_anew() {
    let mut world = World::new(lively(), hosts(120));
    let unauthorized = || ScriptedAnswer::of(StatusCode::UNAUTHORIZED, "");
    let polls = vec![ScriptedAnswer::default(), unauthorized()];
    world.simulator.script(Script { acts: vec![unauthorized()], polls, ..Script::default() });
    let progress = world.run().await.progress;
    assert_eq!((progress.succeeded, progress.posts), (120, 4));
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_for_good_ends_the_run_with_everything_unsent() {
    let mut world = World::new(Options { token: Some("another".into()), ..lively() }, hosts(120));
    let progress = world.run().await.progress;
    assert_eq!((progress.sent, progress.settled), (0, 0));
    assert!(world.facts().iter().any(|fact| fact.what == What::Stopping { why: StopReason::SignIn }));
    assert!(world.simulator.counters().posts <= 16, "one round with each token");
}

#[tokio::test(start_paused = true)]
async fn remediations_that_are_not_there_at_first_settle_all_the_same() {
    let mut world = World::new(Options { not_found_for: Duration::from_secs(8), ..lively() }, hosts(200));
    let progress = world.run().await.progress;
    assert_eq!(progress.succeeded, 200);
    assert!(world.simulator.counters().not_found > 0);
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn what_never_settles_is_still_queued_at_its_deadline_and_not_before() {
    let mut world = World::new(Options { never_settle_percent: 25.0, ..lively() }, hosts(200));
    let progress = world.run().await.progress;
    let never = world.ledger_of(crate::simulator::Fate::NeverSettles);
    assert_eq!((progress.still_queued, progress.succeeded), (never, 200 - never));
    assert!(never > 20);
    assert!(world.elapsed() >= world.header.polling.deadline);
    assert!(world.elapsed() < world.header.polling.deadline + Duration::from_secs(30));
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn a_moments_outage_ends_no_run_however_many_calls_are_in_flight() {
    let mut world = World::new(lively(), hosts(500));
    world.header.limits.batch_size = 10;
    let acts = vec![ScriptedAnswer::cut_before(); 8];
    world.simulator.script(Script { acts, ..Script::default() });
    let progress = world.run().await.progress;
    assert_eq!((progress.succeeded, progress.posts), (500, 58));
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn connections_that_break_leave_no_doubt_but_where_there_is_one() {
    let options = Options { break_before_percent: 10.0, break_after_percent: 2.0, break_poll_percent: 5.0, ..lively() };
    let mut world = World::new(options, hosts(500));
    world.header.limits.batch_size = 5;
    let progress = world.run().await.progress;
    let counters = world.simulator.counters();
    assert!(counters.broken_before > 0 && counters.broken_after > 0 && counters.broken_polls > 0);
    assert_eq!(progress.unclear, 5 * counters.broken_after);
    world.check_truth();
}

#[tokio::test(start_paused = true)]
async fn a_signal_drains_for_as_long_as_it_is_to_and_a_second_one_leaves_at_once() {
    for (drain, signals, least, most) in
        [(None, 1, 20, 24), (Some(90), 1, 90, 94), (Some(0), 1, 0, 1), (Some(90), 2, 0, 1)]
    {
        let mut world = World::new(Options { never_settle_percent: 100.0, ..lively() }, hosts(100));
        let (send, stops) = mpsc::channel(2);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            for reason in [StopReason::Signal, StopReason::SignalAgain].into_iter().take(signals) {
                let _ = send.send(Order::Stop(reason)).await;
            }
            std::future::pending::<()>().await;
        });
        let mut driver = world.driver();
        drain.into_iter().for_each(|drain| driver.engine.drains_for(Duration::from_secs(drain)));
        let ending = driver.run(stops, crate::driver::NobodyLooks, |_, _| {}).await.expect("the store is well");
        assert_eq!((ending.progress.settled, ending.progress.stopping), (0, true));
        let took = world.elapsed().as_secs() - 3;
        assert!((least..=most).contains(&took), "{took} s after {signals} signals");
        assert_eq!(world.facts().last().map(|fact| fact.what.clone()), Some(What::Ended { complete: false }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_without_items_ends_at_once() {
    let mut world = World::new(lively(), Vec::new());
    assert_eq!(world.run().await.progress.items, 0);
    assert_eq!(world.simulator.counters().posts, 0);
    assert_eq!(world.facts().last().map(|fact| fact.what.clone()), Some(What::Ended { complete: true }));
}

#[tokio::test(start_paused = true)]
async fn a_word_that_no_tenant_file_lists_times_out() {
    let mut options = Options { never_settle_percent: 50.0, ..lively() };
    options.status_words.queued = "Wird verarbeitet".into();
    let mut world = World::new(options, hosts(60));
    world.header.statuses.pending = vec!["queued".to_owned()];
    world.run().await;
    let timed_out = world.outcomes().values().filter(|ends| ends.as_slice() == [Some(Settled::TimedOut)]).count();
    assert_eq!(timed_out as u64, world.ledger_of(crate::simulator::Fate::NeverSettles));
    world.check_truth();
}

/// Acts through the simulator; the task of every poll dies.
struct PollsDie(crate::api::Api);

impl Caller for PollsDie {
    async fn act(
        &self,
        action: &crate::tenant::Action,
        items: &[crate::engine::call::ItemBody],
        comment: &str,
    ) -> Reply {
        self.0.act(action, items, comment).await
    }

    async fn poll(&self, _: &crate::tenant::Action, _: &str) -> Reply {
        // The runtime catches it; the hook that would print it is passed by.
        std::panic::resume_unwind(Box::new("the task dies"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_whose_task_died_is_no_answer_by_which_anything_times_out() {
    let mut world = World::new(lively(), hosts(3));
    let Driver { run, header, engine, store, head, api, beginning, clock } = world.driver();
    let api = Arc::new(PollsDie(Arc::into_inner(api).expect("nobody else has it")));
    let driver = Driver { run, header, engine, store, head, api, beginning, clock };
    let (_send, stops) = mpsc::channel(1);
    let ending = driver.run(stops, crate::driver::NobodyLooks, |_, _| {}).await.expect("the store is well");
    assert_eq!((ending.progress.sent, ending.progress.settled), (3, 0));
    assert!(ending.died > 3);
    assert_eq!(world.run().await.progress.succeeded, 3);
}
