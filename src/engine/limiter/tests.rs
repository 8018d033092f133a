//! The limiter alone, and as one of several that share.

use super::*;
use std::time::Duration;

fn limits(calls: u32, window: u64, concurrency: u16) -> Limits {
    Limits {
        requests: Some(Rate { calls, window: Duration::from_millis(window) }),
        keep_free: None,
        concurrency,
        batch_size: 50,
        act_timeout: Duration::from_secs(120),
        poll_timeout: Duration::from_secs(20),
    }
}

/// A limiter that nobody shares with: it has all slots, and whatever it reserves is granted.
fn alone(limits: &Limits, spent: impl IntoIterator<Item = Moment>) -> Limiter {
    let mut limiter = Limiter::new(limits, spent);
    limiter.share(u16::MAX);
    limiter.grant(Moment(0), Granted { calls: u32::MAX, next: Moment(0) });
    limiter
}

#[test]
fn a_window_never_holds_more_calls_than_allowed() {
    let mut limiter = alone(&limits(3, 1000, 8), []);
    let (mut now, mut answered) = (Moment(0), Vec::new());
    while answered.len() < 20 {
        match limiter.opening(now) {
            Opening::Now => {
                limiter.start();
                limiter.finish(now, &LimitHeaders::default());
                answered.push(now.0);
            }
            Opening::At(at) => now = at,
            other => panic!("nothing is in flight, and yet {other:?}"),
        }
    }
    assert!(answered.windows(4).all(|four| four[3] - four[0] > 1000), "{answered:?}");
    assert_eq!(answered[19], 6006);
}

#[test]
fn a_call_in_flight_counts_until_a_window_after_its_answer() {
    let mut limiter = alone(&limits(1, 1000, 8), []);
    limiter.start();
    assert_eq!(limiter.opening(Moment(5000)), Opening::AfterReply);
    limiter.finish(Moment(5000), &LimitHeaders::default());
    assert_eq!(limiter.opening(Moment(5000)), Opening::At(Moment(6001)));
}

/// Answered at 5000.9 and started again at 6000.1, the server would count two calls in 999.2 ms.
#[test]
fn a_moment_that_was_rounded_down_ages_a_millisecond_longer() {
    let mut limiter = alone(&limits(1, 1000, 8), [Moment(5000)]);
    assert_eq!(limiter.opening(Moment(6000)), Opening::At(Moment(6001)));
    assert_eq!(limiter.opening(Moment(6001)), Opening::Now);
}

#[test]
fn concurrency_is_the_smaller_of_ours_and_theirs() {
    let mut limiter = alone(&limits(100, 1000, 2), []);
    limiter.start();
    assert_eq!(limiter.opening(Moment(0)), Opening::Now);
    limiter.start();
    assert_eq!(limiter.opening(Moment(0)), Opening::AfterReply);
    limiter.finish(Moment(0), &LimitHeaders { concurrency: Some(1), ..LimitHeaders::default() });
    assert_eq!(limiter.opening(Moment(0)), Opening::AfterReply);
}

#[test]
fn what_the_server_says_is_left_is_believed_and_some_is_kept_free() {
    let mut own = limits(100, 1000, 8);
    own.keep_free = Some(Rate { calls: 10, window: Duration::from_secs(1) });
    let mut limiter = alone(&own, []);
    assert_eq!(limiter.left(Moment(0)), Some(90));
    limiter.start();
    let told = LimitHeaders {
        limit: Some(50),
        window: Some(Duration::from_secs(2)),
        remaining: Some(25),
        ..LimitHeaders::default()
    };
    limiter.finish(Moment(0), &told);
    assert_eq!(limiter.left(Moment(0)), Some(5), "25 left, 20 of a two-second window kept free");
    assert_eq!(limiter.left(Moment(2000)), Some(5));
    assert_eq!(limiter.left(Moment(2001)), Some(30));
}

#[test]
fn a_gate_waits_as_told_or_backs_off_and_never_longer_than_an_hour() {
    let mut limiter = alone(&limits(100, 1000, 8), []);
    limiter.shut(Moment(0), None, 0);
    assert_eq!(limiter.opening(Moment(0)), Opening::At(Moment(1000)));
    limiter.shut(Moment(1000), None, 0);
    assert_eq!(limiter.opening(Moment(1000)), Opening::At(Moment(3000)));
    limiter.shut(Moment(3000), Some(Duration::from_secs(30)), 0);
    assert_eq!(limiter.opening(Moment(3000)), Opening::At(Moment(33_000)));
    limiter.shut(Moment(33_000), Some(Duration::from_secs(90_000)), 0);
    assert_eq!(limiter.opening(Moment(33_000)), Opening::At(Moment(3_633_000)));
}

#[test]
fn calls_that_fail_together_are_one_trouble() {
    let mut limiter = alone(&limits(100, 1000, 8), []);
    for _ in 0..8 {
        limiter.shut(Moment(10), None, 0);
    }
    assert_eq!(limiter.opening(Moment(10)), Opening::At(Moment(1010)));
    limiter.shut(Moment(20), Some(Duration::from_secs(5)), 0);
    assert_eq!(limiter.opening(Moment(20)), Opening::At(Moment(5020)), "what is told holds all the same");
    limiter.shut(Moment(5020), None, 0);
    assert_eq!(limiter.opening(Moment(5020)), Opening::At(Moment(7020)));
}

#[test]
fn after_a_refusal_one_call_at_a_time_feels_its_way() {
    let mut limiter = alone(&limits(100, 1000, 8), []);
    limiter.shut(Moment(0), None, 0);
    assert_eq!(limiter.opening(Moment(1000)), Opening::Now);
    limiter.start();
    assert_eq!(limiter.opening(Moment(1000)), Opening::AfterReply);
    limiter.finish(Moment(1100), &LimitHeaders::default());
    limiter.cleared();
    limiter.start();
    assert_eq!(limiter.opening(Moment(1100)), Opening::Now);
}

/// Gateways that mean "no limit" announce huge ones, and a hostile one may announce anything.
#[test]
fn announced_limits_are_believed_within_bounds() {
    for (limit, window_s, remaining) in
        [(u32::MAX, 3600, 0), (50_000_000, 1, 0), (2, 10_000_000_000, 0), (1, u64::MAX / 1000, 0), (0, 0, 0)]
    {
        let mut limiter = alone(&limits(100, 1000, 8), []);
        limiter.start();
        let told = LimitHeaders {
            limit: Some(limit),
            window: Some(Duration::from_secs(window_s)),
            remaining: Some(remaining),
            ..LimitHeaders::default()
        };
        limiter.finish(Moment(1000), &told);
        let counted: usize = limiter.windows.iter().map(|window| window.spent.len()).sum();
        assert!(counted <= TOLD_CALLS_MAX as usize + 2, "{counted} moments for {limit} in {window_s} s");
        match limiter.opening(Moment(1000)) {
            Opening::At(at) => assert!(at.0 <= 1001 + TOLD_WINDOW_MAX_MS, "{limit} in {window_s} s: {at:?}"),
            other => panic!("nothing is left of {limit} in {window_s} s, and yet {other:?}"),
        }
    }
}

#[test]
fn calls_of_earlier_processes_count() {
    let mut limiter = alone(&limits(2, 1000, 8), [Moment(100), Moment(400)]);
    assert_eq!(limiter.opening(Moment(500)), Opening::At(Moment(1101)));
}

#[test]
fn a_call_starts_with_a_slot_and_a_reservation_and_not_before() {
    let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
    assert_eq!(limiter.opening(Moment(0)), Opening::AfterGrant);
    let wish = limiter.wish(Moment(0), 9);
    assert_eq!(wish, Wish { in_flight: 0, slots: 4, most: 4, calls: 0, lacks: true }, "slots come first");
    limiter.share(2);
    assert_eq!((limiter.wish(Moment(0), 9).calls, limiter.opening(Moment(0))), (3, Opening::AfterGrant));
    let ask = limiter.ask(Moment(0), 3).expect("a window is shared");
    assert_eq!((ask.most, ask.window_ms, ask.answered.len(), ask.open), (60, 1000, 0, 0));
    limiter.grant(Moment(0), Granted { calls: 2, next: Moment(0) });
    assert_eq!((limiter.opening(Moment(0)), limiter.wish(Moment(0), 1).lacks), (Opening::Now, false));
    limiter.start();
    limiter.start();
    assert_eq!(limiter.opening(Moment(0)), Opening::AfterGrant, "two slots are in use");
    limiter.finish(Moment(7), &LimitHeaders::default());
    let ask = limiter.ask(Moment(8), 1).expect("a window is shared");
    assert_eq!((ask.answered, ask.open), (vec![Moment(7)], 1));
}

#[test]
fn what_is_not_granted_is_asked_for_again_at_the_time_that_was_told() {
    let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
    limiter.share(4);
    limiter.grant(Moment(10), Granted { calls: 0, next: Moment(500) });
    assert_eq!(limiter.opening(Moment(10)), Opening::At(Moment(500)));
    assert_eq!((limiter.wish(Moment(10), 1).calls, limiter.wish(Moment(10), 1).lacks), (0, true));
    assert_eq!((limiter.wish(Moment(500), 1).calls, limiter.opening(Moment(500))), (3, Opening::AfterGrant));
    // Whoever is told a moment that has passed does not ask without end.
    limiter.grant(Moment(500), Granted { calls: 0, next: Moment(400) });
    assert_eq!(limiter.opening(Moment(500)), Opening::At(Moment(501)));
}

#[test]
fn no_more_is_reserved_than_is_due_or_would_be_spent_in_a_moment() {
    let block = |calls, window, due| alone(&limits(calls, window, 8), []).block(due);
    assert_eq!([block(60, 1000, 1), block(60, 1000, 2), block(60, 1000, 8)], [3, 3, 3]);
    assert_eq!([block(300, 3_600_000, 1), block(300, 3_600_000, 8), block(300, 3_600_000, 40)], [1, 8, 15]);
    assert_eq!([block(5, 1000, 1), block(5, 1000, 8), block(50_000, 1000, 1)], [1, 1, 500]);
}

#[test]
fn a_process_that_ends_gives_back_what_it_did_not_start() {
    let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
    assert_eq!(limiter.settle(Moment(0)), None, "there is nothing to tell");
    limiter.share(4);
    limiter.grant(Moment(0), Granted { calls: 3, next: Moment(0) });
    limiter.start();
    let ask = limiter.settle(Moment(5)).expect("two calls are given back");
    assert_eq!((ask.calls, ask.open), (0, 1));
    let unlimited = Limits { requests: None, ..limits(1, 1, 4) };
    assert_eq!(Limiter::new(&unlimited, []).settle(Moment(0)), None);
}

#[test]
fn nothing_shared_is_wanted_while_everybody_has_to_wait() {
    let mut limiter = Limiter::new(&limits(60, 1000, 4), []);
    limiter.shut(Moment(0), None, 0);
    let none = Wish { in_flight: 0, slots: 0, most: 4, calls: 0, lacks: false };
    assert_eq!(limiter.wish(Moment(0), 4), none);
    assert_eq!(limiter.wish(Moment(1000), 4), Wish { slots: 1, lacks: true, ..none }, "one feels its way");
    let mut full = Limiter::new(&limits(1, 1000, 4), [Moment(0)]);
    assert_eq!(full.wish(Moment(0), 4), none, "its own limit keeps it back, not the others");
}
