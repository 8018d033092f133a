//! Items that an earlier run carried out, or may have.

use super::*;
use crate::engine::DoneBefore;
use crate::engine::fact::Before;

fn beginning(of: &[(&[u32], Before)]) -> Input {
    let done_before = of.iter().map(|(items, became)| DoneBefore {
        items: items.iter().map(|item| ItemId(*item)).collect(),
        run: "earlier".into(),
        became: *became,
    });
    Input::Started(Box::new(Beginning { done_before: done_before.collect(), ..Beginning::default() }))
}

fn go(world: &mut World, first: Input) -> Progress {
    assert_eq!(world.go(first, Moment(u64::MAX)), Then::Finished);
    world.engine.progress()
}

#[test]
fn what_was_done_before_is_skipped_and_the_rest_is_sent() {
    let mut world = World::new(header(1, 2), &on_own_agents(6), Model::default());
    let progress = go(&mut world, beginning(&[(&[0, 3], Before::Succeeded), (&[4], Before::Unknown)]));
    assert_eq!((progress.skipped, progress.succeeded, progress.settled), (3, 3, 6));
    assert!(!world.sent().contains_key(&0) && !world.sent().contains_key(&3) && !world.sent().contains_key(&4));
    assert_eq!(world.last(), &What::Ended { complete: true });
}

#[test]
fn a_run_of_which_all_was_done_before_sends_nothing() {
    let mut world = World::new(header(2, 2), &[(0, 0), (1, 0)], Model::default());
    let progress = go(&mut world, beginning(&[(&[0, 1], Before::Succeeded)]));
    assert_eq!((progress.skipped, progress.posts, progress.settled), (2, 0, 2));
    assert_eq!(world.last(), &What::Ended { complete: true });
}

#[test]
fn a_later_step_builds_on_what_was_done_before_and_not_on_what_only_may_have_been() {
    let items = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)];
    let mut world = World::new(header(2, 2), &items, Model::default());
    let before = [(&[0][..], Before::Succeeded), (&[2], Before::CarriedOut), (&[4], Before::TimedOut)];
    let progress = go(&mut world, beginning(&before));
    let mut sent: Vec<u32> = world.sent().into_keys().collect();
    sent.sort_unstable();
    assert_eq!(sent, [1, 3]);
    assert_eq!((progress.skipped, progress.succeeded, progress.barred), (3, 2, 1));
}

#[test]
fn a_step_in_the_middle_that_was_done_before_is_passed_over_in_its_turn() {
    let items = [(0, 0), (1, 0), (2, 0)];
    let mut world = World::new(header(3, 2), &items, Model::default());
    let progress = go(&mut world, beginning(&[(&[1], Before::Succeeded)]));
    assert_eq!((progress.skipped, progress.succeeded, progress.posts), (1, 2, 2));
}

/// Once it waited for ever: only the step right behind the failed one was looked at.
#[test]
fn a_failure_before_a_step_that_was_done_before_bars_what_is_behind_it_and_the_run_ends() {
    let items = [(0, 0), (1, 0), (2, 0)];
    let mut world = World::new(header(3, 2), &items, Model { status: Box::new(|_, _| "failed"), ..Model::default() });
    let progress = go(&mut world, beginning(&[(&[1], Before::Succeeded)]));
    assert_eq!((progress.skipped, progress.failed, progress.barred), (1, 1, 1));
    assert_eq!(world.last(), &What::Ended { complete: true });
}

/// Between a crash and the resume, another run may have done what is pending here.
#[test]
fn what_another_run_did_meanwhile_is_skipped_by_a_resume() {
    let mut world = World::new(header(1, 1), &on_own_agents(5), Model::default());
    world.header.limits.concurrency = 1;
    let _ = world.turn(Input::Started(Box::default()));
    let sent: Vec<u32> = world.sent().into_keys().collect();
    let pending: Vec<u32> = (0..5).filter(|item| !sent.contains(item)).collect();
    world.crash();
    assert_eq!(world.engine.pending().map(|item| item.0).collect::<Vec<_>>(), pending);
    let progress = go(&mut world, beginning(&[(&pending, Before::Open)]));
    assert_eq!((progress.skipped, progress.posts), (pending.len() as u64, sent.len() as u64));
}

#[test]
fn what_was_sent_cannot_be_done_before() {
    let mut world = World::new(header(1, 5), &on_own_agents(2), Model::default());
    world.finish();
    let fact = What::DoneBefore { items: vec![ItemId(0)], run: "earlier".into(), became: Before::Succeeded };
    assert!(world.engine.apply(&Fact { at: world.now, what: fact }).is_err());
}
