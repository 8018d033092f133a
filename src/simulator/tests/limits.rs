//! Limits are counted as a server counts them, to the nanosecond, and announced as it announces them.

use super::*;
use crate::tenant::Rate;

fn limited(calls: u32, seconds: u64) -> Options {
    let requests = Some(Rate { calls, window: Duration::from_secs(seconds) });
    Options { requests, ..settling_at_once() }
}

/// After each pause in milliseconds one poll: whether it was let through.
async fn pass(simulator: &Simulator, pauses: &[u64]) -> Vec<bool> {
    let mut passed = Vec::new();
    for &pause in pauses {
        tokio::time::advance(Duration::from_millis(pause)).await;
        passed.push(poll(simulator, "none").await.status != StatusCode::TOO_MANY_REQUESTS);
    }
    passed
}

#[tokio::test(start_paused = true)]
async fn a_rolling_window_holds_so_many_calls_wherever_it_lies() {
    let simulator = Simulator::new(limited(3, 10));
    let pauses = [0, 4_000, 4_000, 1_999, 1, 0, 3_999, 1];
    assert_eq!(pass(&simulator, &pauses).await, [true, true, true, false, true, false, false, true]);
    assert_eq!(simulator.counters().throttled, 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_costs_where_the_options_say_so() {
    let simulator = Simulator::new(Options { refusals_cost: true, ..limited(2, 10) });
    // The refusal at 9 s is the second call in the window until 19 s.
    assert_eq!(
        pass(&simulator, &[0, 1_000, 8_000, 1_000, 1_000, 8_999, 1]).await,
        [true, true, false, false, false, false, false]
    );
    assert_eq!(pass(&simulator, &[10_000, 0, 0]).await, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_of_the_same_capacity_refills_evenly() {
    let simulator = Simulator::new(Options { throttle_kind: ThrottleKind::TokenBucket, ..limited(4, 8) });
    let pauses = [0, 0, 0, 0, 0, 1_999, 1, 0, 8_000, 0, 0, 0, 0];
    let passed = [true, true, true, true, false, false, true, false, true, true, true, true, false];
    assert_eq!(pass(&simulator, &pauses).await, passed);
}

#[tokio::test(start_paused = true)]
async fn limits_are_announced_and_refusals_say_how_long() {
    let names = [
        "x-ratelimit-limit",
        "x-ratelimit-window-sec",
        "x-ratelimit-remaining",
        "x-ratelimit-towait-sec",
        "retry-after",
        "x-concurrency-limit-limit",
        "x-concurrency-limit-running",
    ];
    let shown = |got: &Got| names.map(|name| got.header(name).unwrap_or("-").to_owned()).join(" ");
    for (announce_limits, first, second) in
        [(true, "1 3600 0 - - 2 1", "1 3600 0 3599 3599 2 0"), (false, "- - - - - - -", "- - - - - - -")]
    {
        let simulator = Simulator::new(Options { announce_limits, concurrency: Some(2), ..limited(1, 3600) });
        let admitted = act(&simulator, &[file(AGENT, 1)]).await;
        tokio::time::advance(Duration::from_millis(1_500)).await;
        let refused = act(&simulator, &[file(AGENT, 2)]).await;
        assert_eq!((shown(&admitted), shown(&refused)), (first.into(), second.into()));
        assert_eq!((refused.status.as_u16(), refused.json()["errorCode"].as_str()), (429, Some("1965")));
        let counters = simulator.counters();
        assert_eq!((counters.posts, counters.carried_out, counters.throttled, counters.refused), (2, 1, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_as_told_is_let_through() {
    for throttle_kind in [ThrottleKind::RollingWindow, ThrottleKind::TokenBucket] {
        for refusals_cost in [false, true] {
            let simulator = Simulator::new(Options { throttle_kind, refusals_cost, ..limited(3, 7) });
            pass(&simulator, &[0, 1_100, 1_100]).await;
            let refused = poll(&simulator, "none").await;
            let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            let found = pass(&simulator, &[wait * 1000]).await;
            assert_eq!(found, [true], "{throttle_kind:?} {refusals_cost} {wait}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_at_once_and_a_classic_refusal() {
    let simulator = Simulator::new(Options {
        latency: Delay::Fixed(Duration::from_secs(1)),
        concurrency: Some(2),
        throttle_status: ThrottleStatus::Conflict,
        ..Options::default()
    });
    let polls: Vec<_> = (0..5).map(|_| poll(&simulator, "none")).collect();
    let got = futures::future::join_all(polls).await;
    let statuses: Vec<u16> = got.iter().map(|got| got.status.as_u16()).collect();
    assert_eq!(statuses, [404, 404, 409, 409, 409]);
    assert_eq!(
        (got[2].json()["errorCode"].as_str(), got[2].header("x-concurrency-limit-running")),
        (Some("1960"), Some("2"))
    );
    assert_eq!((simulator.counters().max_in_flight, simulator.counters().throttled), (5, 3));
    assert_eq!(poll(&simulator, "none").await.status.as_u16(), 404);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_early_gives_the_place_back_and_has_acted() {
    let simulator = Simulator::new(Options {
        latency: Delay::Fixed(Duration::from_secs(60)),
        concurrency: Some(1),
        ..Options::default()
    });
    let patience = Duration::from_secs(5);
    for n in 0..3 {
        assert!(tokio::time::timeout(patience, act(&simulator, &[file(AGENT, n)])).await.is_err());
    }
    let counters = simulator.counters();
    assert_eq!((counters.carried_out, counters.throttled, counters.max_in_flight), (3, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn latencies_follow_from_the_seed_and_the_order_of_calls() {
    let latency = Delay::LogNormal { median: Duration::from_millis(800), sigma: 0.5 };
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let simulator = Simulator::new(Options { seed, latency, ..Options::default() });
        let mut took = Vec::new();
        for _ in 0..200 {
            let start = tokio::time::Instant::now();
            poll(&simulator, "none").await;
            took.push(start.elapsed());
        }
        runs.push(took);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let shorter = runs[0].iter().filter(|took| **took < Duration::from_millis(800)).count();
    assert!((80..120).contains(&shorter), "{shorter} of 200 below the median");
}
