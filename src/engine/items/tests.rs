//! When a step's turn comes: by default, after what it names, on released targets alone.

use super::*;
use crate::plan::When;

/// Items as `(step, target)`.
fn items(of: &[(u16, u32)], rules: &[Rule]) -> Items {
    let shape =
        |(step, target): &(u16, u32)| ItemShape::new(*step, *target, EventType::File, &format!("agent-{target}"), "1");
    Items::new(of.iter().map(shape), rules.to_vec())
}

fn opened(of: &[(u16, u32)]) -> Items {
    let mut items = items(of, &[]);
    items.release(items.targets());
    items
}

fn numbers(items: Vec<ItemId>) -> Vec<u32> {
    items.into_iter().map(|item| item.0).collect()
}

#[test]
fn the_next_step_of_a_target_opens_when_all_of_the_one_before_succeeded() {
    let mut items = items(&[(0, 0), (1, 0), (0, 0), (0, 1), (1, 1)], &[]);
    assert_eq!(numbers(items.release(2)), [0, 2, 3]);
    assert_eq!((items.waiting(), items.released_and_done()), (2, (5, 0)));
    assert!(items.settle(ItemId(0), End::Succeeded).is_empty());
    assert_eq!(numbers(items.settle(ItemId(2), End::Succeeded)), [1]);
    assert_eq!(items.state(ItemId(4)), Some(State::Waiting));
    assert_eq!(numbers(items.settle(ItemId(3), End::Succeeded)), [4]);
    assert_eq!((items.waiting(), items.released_and_done()), (0, (5, 3)));
}

#[test]
fn nothing_opens_on_a_target_that_is_not_released() {
    let mut items = items(&[(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)], &[]);
    assert_eq!(numbers(items.release(1)), [0]);
    assert!(items.settle(ItemId(2), End::Succeeded).is_empty(), "an earlier run did it");
    assert_eq!((items.waiting(), items.released_and_done()), (1, (2, 0)));
    assert!(items.settle(ItemId(4), End::Other).is_empty());
    assert_eq!(items.shut(2), None);
    assert_eq!(numbers(items.release(2)), [3]);
    assert_eq!(items.released_and_done(), (4, 1));
    assert!(items.release(2).is_empty() && items.release(1).is_empty(), "released once");
    assert!(items.release(3).is_empty());
    assert_eq!((items.released(), items.released_and_done()), (3, (5, 2)));
}

#[test]
fn a_step_that_an_earlier_run_did_is_passed_over_once_the_steps_before_it_succeeded() {
    let mut items = opened(&[(0, 0), (1, 0), (2, 0)]);
    assert!(items.settle(ItemId(1), End::Succeeded).is_empty(), "its turn has not come");
    assert_eq!(numbers(items.settle(ItemId(0), End::Succeeded)), [2]);
}

#[test]
fn a_step_of_which_a_part_was_done_before_opens_for_the_rest() {
    let mut items = opened(&[(0, 0), (1, 0), (1, 0), (2, 0)]);
    assert!(items.settle(ItemId(1), End::Succeeded).is_empty());
    assert_eq!(numbers(items.settle(ItemId(0), End::Succeeded)), [2]);
    assert_eq!(numbers(items.settle(ItemId(2), End::Succeeded)), [3]);
}

#[test]
fn a_failure_bars_the_later_steps_of_its_target_alone_and_once() {
    for end in [End::Failed, End::Other] {
        let mut items = opened(&[(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]);
        assert!(items.settle(ItemId(0), end).is_empty());
        assert_eq!(items.shut(0), Some(Shut::Barred { by: 0 }));
        let (shut, ready) = items.bar(0, 0);
        assert_eq!((numbers(shut), ready.len()), (vec![1, 2], 0));
        assert_eq!(items.shut(0), None, "said once");
        assert_eq!(items.state(ItemId(2)), Some(State::Barred));
        assert_eq!(items.state(ItemId(4)), Some(State::Waiting));
        assert_eq!((items.waiting(), items.released_and_done()), (1, (5, 3)));
        assert!(items.bars(0, 0) && !items.bars(1, 0) && !items.bars(7, 0));
    }
}

#[test]
fn a_failure_bars_what_waits_behind_a_step_that_an_earlier_run_did() {
    for first in [0, 1] {
        let mut items = opened(&[(0, 0), (1, 0), (2, 0), (1, 1)]);
        for (item, end) in [(ItemId(first), 0), (ItemId(1 - first), 1)]
            .map(|(item, _)| (item, if item == ItemId(0) { End::Failed } else { End::Succeeded }))
        {
            assert!(items.settle(item, end).is_empty());
        }
        assert_eq!(items.shut(0), Some(Shut::Barred { by: 0 }));
        assert_eq!(numbers(items.bar(0, 0).0), [2]);
        assert_eq!(items.shut(0), None, "said once");
    }
}

#[test]
fn a_target_that_begins_with_a_later_step_begins_there() {
    let mut items = items(&[(1, 0), (0, 1)], &[]);
    assert_eq!(numbers(items.release(2)), [0, 1]);
}

/// What becomes of step 1, which waits for step 0 by `rule`, once step 0's two items ended so.
fn follows(rule: Rule, ends: [End; 2]) -> &'static str {
    let mut items = items(&[(0, 0), (0, 0), (1, 0)], &[Rule::default(), rule]);
    items.release(1);
    let early = items.settle(ItemId(0), ends[0]);
    let shut_early = items.shut(0);
    let ready = items.settle(ItemId(1), ends[1]);
    match (early.is_empty(), shut_early, ready.is_empty(), items.shut(0)) {
        (true, Some(_), true, Some(_)) => "never, at once",
        (true, None, true, Some(_)) => "never",
        (true, None, false, None) => "opens",
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_follows_another_as_it_says() {
    use End::{Failed, Other, Succeeded};
    let after = |when| Rule { after: Some((0, when)), ..Rule::default() };
    for (ends, default, succeeded, failed, settled) in [
        ([Succeeded, Succeeded], "opens", "opens", "never", "opens"),
        ([Failed, Succeeded], "never, at once", "never, at once", "opens", "opens"),
        ([Failed, Failed], "never, at once", "never, at once", "opens", "opens"),
        ([Succeeded, Failed], "never", "never", "opens", "opens"),
        ([Other, Succeeded], "never, at once", "never, at once", "never", "opens"),
        ([Succeeded, Other], "never", "never", "never", "opens"),
        ([Other, Failed], "never, at once", "never, at once", "opens", "opens"),
    ] {
        assert_eq!(follows(Rule::default(), ends), default, "by default after {ends:?}");
        assert_eq!(follows(after(When::Succeeded), ends), succeeded, "after succeeded, {ends:?}");
        assert_eq!(follows(after(When::Failed), ends), failed, "after failed, {ends:?}");
        assert_eq!(follows(after(When::Settled), ends), settled, "after settled, {ends:?}");
    }
}

#[test]
fn a_step_without_items_counts_as_succeeded() {
    for (when, opens) in [(When::Succeeded, true), (When::Settled, true), (When::Failed, false)] {
        let rule = Rule { after: Some((0, when)), ..Rule::default() };
        let mut items = items(&[(1, 0), (0, 1)], &[Rule::default(), rule]);
        assert_eq!(numbers(items.release(2)), if opens { vec![0, 1] } else { vec![1] }, "{when:?}");
        assert_eq!(items.shut(0), (!opens).then_some(Shut::Unmet { step: 1 }), "{when:?}");
        assert_eq!(items.is_unmet(0, 1), !opens);
    }
}

#[test]
fn what_was_passed_over_keeps_nobody_from_its_turn_and_did_not_succeed() {
    // kill; isolate after kill failed; one step by default; one after isolate succeeded; one after isolate settled.
    let after = |step, when| Rule { after: Some((step, when)), ..Rule::default() };
    let rules =
        [Rule::default(), after(0, When::Failed), Rule::default(), after(1, When::Succeeded), after(1, When::Settled)];
    let mut items = items(&[(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)], &rules);
    items.release(1);
    assert!(items.settle(ItemId(0), End::Succeeded).is_empty(), "step 1 has to be passed over first");
    assert_eq!(items.shut(0), Some(Shut::Unmet { step: 1 }));
    let (shut, ready) = items.pass_over(0, 1);
    assert_eq!((numbers(shut), numbers(ready)), (vec![1], vec![2, 4]));
    assert_eq!(items.shut(0), Some(Shut::Unmet { step: 3 }));
    assert_eq!(numbers(items.pass_over(0, 3).0), [3]);
    assert_eq!(items.shut(0), None);
}

#[test]
fn a_failed_step_lets_no_later_step_go_that_does_not_say_so() {
    // kill; quarantine after kill; delete after quarantine: what was skipped has not succeeded.
    let after = |step| Rule { after: Some((step, When::Succeeded)), ..Rule::default() };
    let mut items = items(&[(0, 0), (1, 0), (2, 0)], &[Rule::default(), after(0), after(1)]);
    items.release(1);
    assert!(items.settle(ItemId(0), End::Failed).is_empty());
    for step in [1, 2] {
        assert_eq!(items.shut(0), Some(Shut::Unmet { step }));
        let (shut, ready) = items.pass_over(0, step);
        assert_eq!((numbers(shut), ready.len()), (vec![u32::from(step)], 0));
    }
}

#[test]
fn an_allowed_failure_leaves_the_order_alone_and_no_other_end_does() {
    let allowed = Rule { allow_failure: true, ..Rule::default() };
    for (end, opens) in [(End::Failed, true), (End::Succeeded, true), (End::Other, false)] {
        let mut items = items(&[(0, 0), (1, 0)], &[allowed, Rule::default()]);
        items.release(1);
        assert_eq!(!items.settle(ItemId(0), end).is_empty(), opens, "{end:?}");
        assert_eq!(items.shut(0).is_none(), opens, "{end:?}");
    }
}

#[test]
fn an_item_expires_by_its_own_time() {
    let mut shapes =
        [(0, 0), (0, 1), (1, 1)].map(|(step, target)| ItemShape::new(step, target, EventType::File, "a", "1"));
    shapes[1].expires = Some(1_000);
    let items = Items::new(shapes.into_iter(), Vec::new());
    let expired = |at| (0..3).filter(|item| items.is_expired(ItemId(*item), at)).collect::<Vec<_>>();
    assert_eq!((expired(1_000), expired(1_001)), (vec![], vec![1]));
    assert!(!items.is_expired(ItemId(9), u64::MAX));
}

#[test]
fn an_event_of_the_future_has_no_age() {
    let mut shape = ItemShape::new(0, 0, EventType::File, "a", "1");
    // Of the moment 10,000,000, and good for 1,000.
    shape.expires = Some(10_001_000);
    let rule = Rule { max_event_age_ms: Some(1_000), ..Rule::default() };
    let items = Items::new([shape].into_iter(), vec![rule]);
    let skew = 5 * 60_000;
    let moments = [0, 10_000_000 - skew - 1, 10_000_000 - skew, 10_001_000, 10_001_001];
    assert_eq!(moments.map(|at| items.is_expired(ItemId(0), at)), [true, true, false, false, true]);
}

#[test]
fn an_item_takes_few_bytes() {
    assert!(std::mem::size_of::<Item>() <= 24);
    assert!(std::mem::size_of::<Group>() <= 24);
}
