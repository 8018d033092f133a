//! Workers that panic: what they were at is in doubt or done again, and the run says that it met a bug.

use super::super::*;
use super::world::{World, hosts};
use super::{lively, ms};
use crate::api::Api;
use crate::engine::call::ItemBody;
use crate::engine::fact::Settled;
use crate::tenant::Action;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The API, but the second act dies after it was carried out, and every seventh poll before it is made.
struct Dying {
    api: Arc<Api>,
    acts: AtomicU32,
    polls: AtomicU32,
}

impl Caller for Dying {
    async fn act(&self, action: &Action, items: &[ItemBody], comment: &str) -> Reply {
        let reply = self.api.act(action, items, comment).await;
        assert!(self.acts.fetch_add(1, Ordering::SeqCst) != 1, "a bug after an act");
        reply
    }

    async fn poll(&self, action: &Action, remediation_id: &str) -> Reply {
        assert!(self.polls.fetch_add(1, Ordering::SeqCst) % 7 != 6, "a bug before a poll");
        self.api.poll(action, remediation_id).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_leaves_its_act_unknown_and_its_poll_is_made_again() {
    let mut world = World::new(lively(), hosts(60));
    world.header.limits.batch_size = 10;
    let Driver { run, header, engine, store, head, api, beginning, clock } = world.driver();
    let api = Arc::new(Dying { api, acts: AtomicU32::new(0), polls: AtomicU32::new(0) });
    let driver = Driver { run, header, engine, store, head, api: Arc::clone(&api), beginning, clock };
    let (_send, stops) = mpsc::channel(1);
    let ended =
        tokio::time::timeout(Duration::from_secs(600), driver.run(stops, crate::driver::NobodyLooks, |_, _| {})).await;
    let ending = ended.expect("it ends").expect("the store is well");
    let polls = api.polls.load(Ordering::SeqCst);
    assert_eq!(ending.died, 1 + polls / 7, "every death is told");
    assert!(polls > 50 && world.elapsed() > ms(0));
    let unknown = world.outcomes().values().filter(|ends| ends.as_slice() == [Some(Settled::Unknown)]).count();
    assert_eq!((ending.progress.succeeded, unknown), (50, 10));
    world.check_truth();
}
