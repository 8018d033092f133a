//! A process that only polls: it sends nothing, and looks once more at what was open at its deadline.

use super::*;

const LATE: u64 = 10_000 * SECOND;

fn only_polls() -> Input {
    Input::Started(Box::new(Beginning { only_polls: true, ..Beginning::default() }))
}

/// Items that are queued until long after their deadline and then have this word.
fn late(word: &'static str) -> World {
    let status = move |_: u32, age: u64| if age >= LATE { word } else { "queued" };
    World::new(header(1, 2), &on_own_agents(3), Model { status: Box::new(status), ..Model::default() })
}

fn poll_later(world: &mut World) -> Progress {
    world.crash();
    world.now = Moment(world.now.0 + LATE);
    assert_eq!(world.go(only_polls(), Moment(u64::MAX)), Then::Finished);
    world.engine.progress()
}

#[test]
fn what_was_still_queued_settles_by_one_later_poll() {
    let mut world = late("success");
    let progress = world.finish();
    assert_eq!((progress.still_queued, progress.settled), (3, 3));
    let polls = world.started.len();
    let progress = poll_later(&mut world);
    assert_eq!((progress.still_queued, progress.succeeded, progress.settled, progress.posts), (0, 3, 3, 2));
    assert_eq!(world.started.len() - polls, 3, "one look each");
    assert_eq!(world.last(), &What::Ended { complete: true });
    let facts = world.facts.len();
    let progress = poll_later(&mut world);
    assert_eq!((progress.succeeded, world.facts.len() - facts), (3, 2), "resumed and ended, nothing else");
}

#[test]
fn what_is_still_queued_stays_so_and_can_be_looked_at_again() {
    let mut world = late("queued");
    world.finish();
    for _ in 0..3 {
        let progress = poll_later(&mut world);
        assert_eq!((progress.still_queued, progress.settled), (3, 3));
    }
}

#[test]
fn a_word_that_no_list_has_makes_it_timed_out_and_a_listed_one_queued_again() {
    let mut world = late("whatever");
    world.finish();
    let progress = poll_later(&mut world);
    assert_eq!((progress.still_queued, progress.failed), (0, 3));
    world.model.status = Box::new(|_, _| "queued");
    assert_eq!(poll_later(&mut world).still_queued, 3);
}

#[test]
fn a_late_detail_about_something_else_or_none_changes_nothing() {
    let detail = |agent: &str, unique: &str| {
        PollReply::Detail(Box::new(Detail {
            status: Some("success".into()),
            agent_id: Some(agent.into()),
            unique_id: Some(unique.into()),
            ..Detail::default()
        }))
    };
    let foreign = [
        detail("agent-9", "u9"),
        detail("agent-0", "u9"),
        PollReply::Detail(Box::new(Detail { status: Some("success".into()), ..Detail::default() })),
        PollReply::NotFound { status: 404 },
        PollReply::Failed { message: "500".into() },
    ];
    for reply in foreign {
        let mut world = late("queued");
        world.finish();
        let copy = reply.clone();
        world.model.poll = Box::new(move |_, _| Some(copy.clone()));
        let progress = poll_later(&mut world);
        assert_eq!((progress.still_queued, progress.succeeded), (3, 0), "{reply:?}");
    }
}

#[test]
fn it_sends_nothing_and_a_later_resume_does() {
    let mut world = World::new(header(1, 1), &on_own_agents(6), Model::default());
    world.header.limits.concurrency = 1;
    world.engine = Engine::new("test-1", &world.header, world.shapes.iter().copied(), []);
    let _ = world.turn(Input::Started(Box::default()));
    let acts = world.engine.progress().posts;
    let progress = poll_later(&mut world);
    assert_eq!(progress.posts, acts);
    assert_eq!(world.last(), &What::Ended { complete: false });
    world.crash();
    let progress = world.finish();
    assert_eq!(progress.posts, 6);
    assert_eq!(world.last(), &What::Ended { complete: true });
}
