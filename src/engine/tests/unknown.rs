//! What an unknown item holds back, and what lets it go on.

use super::*;
use crate::engine::Resolution;
use crate::engine::fact::Finding;
use crate::plan::OnUnknown;

/// Two steps with an action of their own each; `stop` for both. The second batch of the run is left unanswered.
fn world(items: &[(u16, u32)]) -> World {
    let mut header = header(2, 1);
    header.limits.concurrency = 1;
    header.steps.iter_mut().for_each(|step| step.on_unknown = OnUnknown::Stop);
    let act = |batch: u32, ids: &[String]| match batch {
        2 => ActReply::Unreadable { message: "502".into() },
        _ => ActReply::Accepted { ids: ids.to_vec() },
    };
    World::new(header, items, Model { act: Box::new(act), ..Model::default() })
}

fn resolution(items: &[u32], finding: Finding) -> Resolution {
    let items = items.iter().map(|item| ItemId(*item)).collect();
    Resolution { items, finding, note: "seen".into(), by: None, remediation: None, status: None }
}

fn has(world: &World, what: &What) -> bool {
    world.facts.iter().any(|fact| fact.what == *what)
}

#[test]
fn no_further_act_of_an_action_is_sent_once_an_item_of_it_is_unknown_and_the_rest_goes_on() {
    // Items 0 to 3 have the first action, items 4 and 5 the second.
    let mut world = world(&[(0, 0), (0, 1), (0, 2), (0, 3), (1, 4), (1, 5)]);
    let progress = world.finish();
    assert_eq!((progress.posts, progress.unclear, progress.succeeded), (4, 1, 3));
    assert!(has(&world, &What::Held { step: 0 }) && !has(&world, &What::Held { step: 1 }));
    assert!(has(&world, &What::Stopping { why: StopReason::Held }));
    assert_eq!(world.last(), &What::Ended { complete: false });
}

#[test]
fn a_resume_of_what_is_held_only_polls() {
    let mut world = world(&[(0, 0), (0, 1), (0, 2)]);
    world.finish();
    world.crash();
    let progress = world.finish();
    assert_eq!((progress.posts, progress.succeeded, progress.unclear), (2, 1, 1));
}

#[test]
fn what_a_person_found_lets_the_action_go_on_and_changes_no_outcome() {
    let mut world = world(&[(0, 0), (0, 1), (0, 2)]);
    world.finish();
    world.crash();
    let facts = world.engine.resolve(world.now, resolution(&[1], Finding::NotCarriedOut)).expect("it is unknown");
    assert_eq!(facts[1].what, What::Released { step: 0 });
    assert_eq!(facts[2].what, What::Ended { complete: false });
    world.facts.extend(facts);
    world.crash();
    let progress = world.finish();
    assert_eq!((progress.posts, progress.succeeded, progress.unclear), (3, 2, 1), "the unknown item is not sent again");
}

#[test]
fn a_person_lets_it_go_on_and_the_next_unknown_holds_again() {
    let mut world = world(&[(0, 0), (0, 1), (0, 2), (0, 3)]);
    world.model.act = Box::new(|batch, ids| match batch {
        2 | 3 => ActReply::Unreadable { message: "502".into() },
        _ => ActReply::Accepted { ids: ids.to_vec() },
    });
    world.finish();
    let go_on = || Input::Started(Box::new(Beginning { continued: Some("seen".into()), ..Beginning::default() }));
    for (posts, unclear) in [(3, 2), (4, 2)] {
        world.crash();
        world.go(go_on(), Moment(u64::MAX));
        let progress = world.engine.progress();
        assert_eq!((progress.posts, progress.unclear), (posts, unclear));
    }
}

/// Our own death says nothing bad of the API.
#[test]
fn an_act_that_a_crash_left_without_an_answer_holds_nothing_back() {
    let mut world = world(&[(0, 0), (0, 1), (0, 2)]);
    world.model.act = Box::new(|_, ids| ActReply::Accepted { ids: ids.to_vec() });
    let _ = world.turn(Input::Started(Box::default()));
    world.crash();
    let progress = world.finish();
    assert_eq!((progress.posts, progress.unclear, progress.succeeded), (3, 1, 2));
}

#[test]
fn an_item_without_an_id_of_its_own_holds_its_action_too() {
    let mut world = world(&[(0, 0), (0, 1), (0, 2)]);
    world.model.act = Box::new(|batch, ids| match batch {
        1 => ActReply::Accepted { ids: Vec::new() },
        _ => ActReply::Accepted { ids: ids.to_vec() },
    });
    let progress = world.finish();
    assert_eq!((progress.posts, progress.unclear), (1, 1));
}

#[test]
fn only_what_is_unclear_can_be_resolved_and_a_finding_can_be_corrected() {
    let mut world = world(&[(0, 0), (0, 1)]);
    world.finish();
    assert_eq!(world.engine.unclear().collect::<Vec<_>>(), [(ItemId(1), Settled::Unknown)]);
    for items in [&[0][..], &[1, 0], &[7]] {
        assert!(world.engine.resolve(world.now, resolution(items, Finding::CarriedOut)).is_err(), "{items:?}");
    }
    assert!(world.engine.resolve(world.now, resolution(&[1], Finding::NotCarriedOut)).is_ok());
    assert_eq!(world.engine.unclear().count(), 0);
    assert!(world.engine.resolve(world.now, resolution(&[1], Finding::CarriedOut)).is_ok());
}

/// Answers that come together are heard together: the one that lets acts go on does not come before the one that holds
/// them back.
#[test]
fn no_act_is_decided_on_while_an_answer_that_forbids_it_is_there() {
    let mut world = world(&[(0, 0), (0, 1), (0, 2), (0, 3)]);
    world.header.limits.concurrency = 2;
    world.engine = Engine::new("test-1", &world.header, world.shapes.iter().copied(), []);
    let granted = Input::Granted(Granted { calls: 8, next: Moment(1) });
    let inputs = [Input::Started(Box::default()), Input::Slots(2), granted];
    let calls: Vec<Call> =
        inputs.into_iter().flat_map(|input| world.engine.turn(Moment(1), input).expect("it begins").calls).collect();
    let answers = [ActReply::Accepted { ids: vec!["id-1".into()] }, ActReply::Unreadable { message: "502".into() }];
    let mut turn = Turn::default();
    for (call, body) in calls.iter().zip(answers) {
        let reply = Reply { token: 1, limits: LimitHeaders::default(), body: ReplyBody::Act(body) };
        world.engine.hear(Moment(2), Input::Replied { call: call.id, reply }, &mut turn).expect("it was made");
    }
    world.engine.decide(&mut turn).expect("it can follow");
    assert_eq!((calls.len(), turn.calls.len()), (2, 0), "{turn:?}");
    assert!(turn.record.iter().any(|fact| fact.what == What::Held { step: 0 }));
}
