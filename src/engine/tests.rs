//! The engine against a small model of the API in virtual time: no IO, no waiting.

use super::call::{ActReply, Detail, LimitHeaders, PollReply, ReplyBody};
use super::fact::{NotCarriedOut, Settled};
use super::*;
use crate::plan::PlanHeader;
use crate::plan::{OnUnknown, PlannedStep, PlannedTenant};
use crate::tenant::{Action, ApiVersion, Auth, EventType, Limits, Polling, Rate, RequestType, Statuses};
use items::ItemShape;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

mod earlier_runs;
mod late_polls;
mod released;
mod table;
mod unknown;

const SECOND: u64 = 1000;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn header(steps: usize, batch_size: u16) -> PlanHeader {
    let action = |n: usize| Action {
        name: format!("action-{n}"),
        id: n as i64,
        event_types: vec![EventType::File],
        reversible: false,
        inverse: None,
        repeat_safe: false,
        fill: Vec::new(),
        request_type: RequestType::ActivityLog,
        shown_as: vec!["Quarantine File".to_owned()],
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    PlanHeader {
        playbook: "test".into(),
        description: String::new(),
        comment: "INC-7".into(),
        tenant: PlannedTenant {
            name: "t".into(),
            base_url: "https://h".into(),
            api_version: ApiVersion::V1,
            user: "u".into(),
            user_id: "i".into(),
            auth: Auth::TokenEnv("QUELL_TOKEN".into()),
            simulated: false,
        },
        steps: (0..steps)
            .map(|n| PlannedStep {
                name: format!("s{n}"),
                action: action(n),
                filter: None,
                on_unknown: OnUnknown::Continue,
                inverse_id: None,
                inverse: None,
                flow: crate::plan::PlannedFlow::default(),
            })
            .collect(),
        limits: Limits {
            requests: Some(Rate { calls: 10, window: secs(1) }),
            keep_free: None,
            concurrency: 4,
            batch_size,
            act_timeout: secs(120),
            poll_timeout: secs(20),
        },
        polling: Polling {
            first_after: secs(2),
            interval: secs(4),
            interval_max: secs(60),
            deadline: secs(600),
            not_found_grace: secs(10),
        },
        statuses: Statuses { succeeded: words(&["success"]), failed: words(&["failed"]), pending: words(&["queued"]) },
        dedupe_window: crate::playbook::DEDUPE_WINDOW,
        overlap: crate::plan::Overlap::Forbid,
        release: crate::plan::PlannedRelease::default(),
        guards: crate::plan::PlannedGuards::default(),
        blocked: Vec::new(),
        sources: vec![],
        rows: 0,
        reports: vec![],
        tool_version: "0.1.0".to_owned(),
        files: Vec::new(),
        origin: None,
        approval: None,
        digest: String::new(),
    }
}

type AnswerActs = Box<dyn Fn(u32, &[String]) -> ActReply>;

/// What the model does with the n-th act (from 1), and with each item.
struct Model {
    act: AnswerActs,
    status: Box<dyn Fn(u32, u64) -> &'static str>,
    act_limits: Box<dyn Fn(u32) -> LimitHeaders>,
    poll: Box<dyn Fn(u32, u64) -> Option<PollReply>>,
    latency: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            act: Box::new(|_, ids| ActReply::Accepted { ids: ids.to_vec() }),
            status: Box::new(|_, age| if age >= 3 * SECOND { "success" } else { "queued" }),
            act_limits: Box::new(|_| LimitHeaders::default()),
            poll: Box::new(|_, _| None),
            latency: 50,
        }
    }
}

/// A run of the engine against the model.
struct World {
    model: Model,
    header: PlanHeader,
    shapes: Vec<ItemShape>,
    engine: Engine,
    facts: Vec<Fact>,
    now: Moment,
    replies: BinaryHeap<Reverse<(u64, u64)>>,
    bodies: HashMap<u64, Reply>,
    started: Vec<(u64, Call)>,
    /// Item of each accepted remediation, and when it was accepted.
    accepted: HashMap<RemediationRef, (u32, u64)>,
    token: u32,
    /// Whether somebody looks whenever the engine asks for it.
    looks: bool,
}

impl World {
    /// Items as `(step, target)`; each target is an agent of its own.
    fn new(header: PlanHeader, items: &[(u16, u32)], model: Model) -> Self {
        let shapes: Vec<ItemShape> = items
            .iter()
            .enumerate()
            .map(|(n, (step, target))| {
                ItemShape::new(*step, *target, EventType::File, &format!("agent-{target}"), &format!("u{n}"))
            })
            .collect();
        let engine = Engine::new("test-1", &header, shapes.iter().copied(), []);
        Self {
            model,
            header,
            shapes,
            engine,
            facts: Vec::new(),
            now: Moment(1_000_000),
            replies: BinaryHeap::new(),
            bodies: HashMap::new(),
            started: Vec::new(),
            accepted: HashMap::new(),
            token: 1,
            looks: false,
        }
    }

    /// One turn, and those in which it gets what it wishes for: nobody shares the tenant with it.
    fn turn(&mut self, input: Input) -> Then {
        let mut then = self.one_turn(input);
        while then != Then::Finished {
            let wish = self.engine.wish();
            if wish.slots != self.engine.slots() {
                then = self.one_turn(Input::Slots(wish.slots));
            } else if wish.calls > 0 {
                let ask = self.engine.ask(self.now, wish.calls).expect("there is a limit");
                then = self.one_turn(Input::Granted(Granted { calls: ask.calls, next: self.now }));
            } else {
                break;
            }
        }
        then
    }

    fn one_turn(&mut self, input: Input) -> Then {
        let mut turn = self.engine.turn(self.now, input).expect("a legal turn");
        while turn.asks && self.looks {
            let more = self.engine.turn(self.now, Input::Cleared(self.now)).expect("a legal turn");
            turn.record.extend(more.record);
            turn.calls.extend(more.calls);
            (turn.asks, turn.then) = (more.asks, more.then);
        }
        self.facts.extend(turn.record);
        for call in turn.calls {
            self.answer(&call);
            self.started.push((self.now.0, call));
        }
        turn.then
    }

    fn answer(&mut self, call: &Call) {
        let at = self.now.0 + self.model.latency;
        let (body, limits) = match &call.what {
            CallWhat::Act { batch, items, .. } => {
                let ids: Vec<String> = items.iter().map(|item| format!("R_{}", item.0)).collect();
                let body = (self.model.act)(batch.0, &ids);
                if let ActReply::Accepted { ids } = &body {
                    for (index, id) in ids.iter().enumerate() {
                        let item = id.trim_start_matches("R_").parse().unwrap_or(u32::MAX);
                        let of = RemediationRef { batch: *batch, index: index as u16 };
                        self.accepted.insert(of, (item, at));
                    }
                }
                (ReplyBody::Act(body), (self.model.act_limits)(batch.0))
            }
            CallWhat::Poll { of, .. } => {
                let (item, since) = self.accepted[of];
                let age = at - since;
                let body = (self.model.poll)(item, age).unwrap_or_else(|| self.detail(item, age));
                (ReplyBody::Poll(body), LimitHeaders::default())
            }
        };
        self.bodies.insert(call.id.0, Reply { token: self.token, limits, body });
        self.replies.push(Reverse((at, call.id.0)));
    }

    fn detail(&self, item: u32, age: u64) -> PollReply {
        let target = self.target(item);
        PollReply::Detail(Box::new(Detail {
            status: Some((self.model.status)(item, age).to_owned()),
            agent_id: Some(format!("agent-{target}")),
            unique_id: Some(format!("u{item}")),
            action: Some("Quarantine File".to_owned()),
            ..Detail::default()
        }))
    }

    fn target(&self, item: u32) -> u32 {
        self.shapes[item as usize].target
    }

    /// Goes on until the engine is finished or `until`.
    fn go(&mut self, first: Input, until: Moment) -> Then {
        let lost = if matches!(first, Input::Started(_)) { self.engine.unanswered_acts() } else { Vec::new() };
        let mut then = self.turn(first);
        for batch in lost {
            then = self.turn(Input::Lost { batch });
        }
        while then != Then::Finished {
            let reply = self.replies.peek().map(|Reverse((at, _))| *at);
            let tick = if let Then::WaitUntil(at) = then { Some(at.0) } else { None };
            let next = reply.into_iter().chain(tick).min().expect("the engine waits for something that comes");
            if next > until.0 {
                return then;
            }
            self.now = Moment(next.max(self.now.0));
            then = if reply == Some(next) {
                let Reverse((_, call)) = self.replies.pop().expect("a reply");
                let reply = self.bodies.remove(&call).expect("its body");
                self.turn(Input::Replied { call: CallId(call), reply })
            } else {
                self.turn(Input::Ticked)
            };
        }
        then
    }

    fn finish(&mut self) -> Progress {
        assert_eq!(self.go(Input::Started(Box::default()), Moment(u64::MAX)), Then::Finished);
        self.engine.progress()
    }

    /// To its end, with a look whenever one is asked for.
    fn go_cleared(&mut self) {
        self.looks = true;
        self.finish();
    }

    /// A crash now: another process takes the run up from its facts.
    fn crash(&mut self) {
        let mut engine = Engine::new("test-1", &self.header, self.shapes.iter().copied(), []);
        for fact in &self.facts {
            engine.apply(fact).expect("facts replay");
        }
        self.replies.clear();
        self.bodies.clear();
        self.engine = engine;
    }

    fn outcomes(&self) -> Vec<(u32, String)> {
        let mut outcomes: Vec<(u32, String)> = Vec::new();
        for fact in &self.facts {
            if let What::Settled { item, outcome, .. } = &fact.what {
                outcomes.push((item.0, format!("{outcome:?}")));
            }
        }
        outcomes.sort();
        outcomes
    }

    /// How often each item stood in an intent that was not returned.
    fn sent(&self) -> HashMap<u32, u32> {
        let mut sent = HashMap::new();
        let mut batches = HashMap::new();
        for fact in &self.facts {
            match &fact.what {
                What::Submitting { batch, items, .. } => {
                    batches.insert(*batch, items.clone());
                    items.iter().for_each(|item| *sent.entry(item.0).or_default() += 1);
                }
                What::Returned { batch, .. } => {
                    batches[batch].iter().for_each(|item| *sent.entry(item.0).or_default() -= 1);
                }
                _ => {}
            }
        }
        sent
    }

    fn acts(&self) -> Vec<(u64, Vec<u32>)> {
        self.started
            .iter()
            .filter_map(|(at, call)| match &call.what {
                CallWhat::Act { items, .. } => Some((*at, items.iter().map(|item| item.0).collect())),
                CallWhat::Poll { .. } => None,
            })
            .collect()
    }

    fn last(&self) -> &What {
        &self.facts.last().expect("facts").what
    }
}

fn on_own_agents(n: u32) -> Vec<(u16, u32)> {
    (0..n).map(|target| (0, target)).collect()
}

#[test]
fn everything_is_sent_once_and_settles() {
    let mut world = World::new(header(1, 5), &on_own_agents(23), Model::default());
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.posts, progress.settled), (23, 5, 23));
    assert!(world.sent().values().all(|times| *times == 1));
    assert_eq!(world.last(), &What::Ended { complete: true });
}

#[test]
fn calls_of_any_window_and_in_flight_stay_within_the_limits() {
    let mut world = World::new(header(1, 1), &on_own_agents(60), Model { latency: 130, ..Model::default() });
    world.finish();
    let starts: Vec<u64> = world.started.iter().map(|(at, _)| *at).collect();
    assert!(starts.windows(11).all(|calls| calls[10] - calls[0] >= SECOND), "more than 10 calls in a second");
    for at in &starts {
        let in_flight = starts.iter().filter(|start| **start <= *at && *at < **start + 130).count();
        assert!(in_flight <= 4, "{in_flight} in flight at {at}");
    }
}

#[test]
fn steps_of_a_target_follow_each_other_and_a_failure_bars_the_rest() {
    let items = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)];
    let status = |item: u32, _| if item == 2 { "failed" } else { "success" };
    let mut world = World::new(header(3, 10), &items, Model { status: Box::new(status), ..Model::default() });
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.failed, progress.barred), (2, 1, 2));
    let order: Vec<Vec<u32>> = world.acts().into_iter().map(|(_, items)| items).collect();
    assert_eq!(order, [vec![0, 2], vec![1]]);
    assert!(world.facts.iter().any(|fact| fact.what == What::Barred { target: 1, step: 0 }));
}

#[test]
fn a_throttled_act_is_sent_again_after_the_wait_it_was_told() {
    let act = |batch: u32, ids: &[String]| match batch {
        1 => ActReply::NotCarriedOut { why: NotCarriedOut::Throttled, message: "429".into() },
        _ => ActReply::Accepted { ids: ids.to_vec() },
    };
    let act_limits = |batch| LimitHeaders { wait: (batch == 1).then(|| secs(30)), ..LimitHeaders::default() };
    let model = Model { act: Box::new(act), act_limits: Box::new(act_limits), ..Model::default() };
    let mut world = World::new(header(1, 5), &on_own_agents(3), model);
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.throttled, progress.posts), (3, 1, 2));
    let acts = world.acts();
    assert!(acts[1].0 - acts[0].0 >= 30 * SECOND, "{acts:?}");
}

#[test]
fn an_act_without_a_readable_answer_is_never_sent_again() {
    let act = |batch: u32, ids: &[String]| match batch {
        2 => ActReply::Unreadable { message: "503".into() },
        _ => ActReply::Accepted { ids: ids.to_vec() },
    };
    let mut world = World::new(header(1, 2), &on_own_agents(6), Model { act: Box::new(act), ..Model::default() });
    let progress = world.finish();
    assert_eq!((progress.succeeded, progress.unclear, progress.settled), (4, 2, 6));
    assert!(world.sent().values().all(|times| *times == 1));
}

#[test]
fn a_storm_of_unanswered_acts_stops_acting_and_leaves_the_rest_unsent() {
    let act = |_: u32, _: &[String]| ActReply::Unreadable { message: "503".into() };
    let mut header = header(1, 1);
    header.limits.concurrency = 1;
    let mut world = World::new(header, &on_own_agents(9), Model { act: Box::new(act), ..Model::default() });
    let progress = world.finish();
    assert_eq!((progress.unclear, progress.posts), (2, 2));
    assert_eq!(world.last(), &What::Ended { complete: false });
}

/// An id that belonged to an item and then shows another event: its success is not that item's.
#[test]
fn a_success_of_something_else_is_not_taken_for_the_items_own() {
    let foreign = |_: u32, age: u64| {
        (age >= 3 * SECOND).then(|| {
            PollReply::Detail(Box::new(Detail {
                status: Some("success".into()),
                agent_id: Some("somebody-else".into()),
                ..Detail::default()
            }))
        })
    };
    let mut world = World::new(header(1, 5), &on_own_agents(2), Model { poll: Box::new(foreign), ..Model::default() });
    let progress = world.finish();
    assert!(world.facts.iter().any(|fact| matches!(fact.what, What::Paired { .. })), "they were proven first");
    assert_eq!((progress.succeeded, progress.unclear), (0, 2));
    world.crash();
    assert_eq!(world.engine.progress().settled, 2);
}

#[test]
fn acts_that_are_refused_end_the_run_though_polls_work() {
    for (why, stop) in [
        (NotCarriedOut::Unauthorized, StopReason::SignIn),
        (NotCarriedOut::Throttled, StopReason::Unreachable),
        (NotCarriedOut::NotSent, StopReason::Unreachable),
    ] {
        let act = move |batch: u32, ids: &[String]| match batch {
            1 => ActReply::Accepted { ids: ids.to_vec() },
            _ => ActReply::NotCarriedOut { why, message: "no".into() },
        };
        let status = |_: u32, _| "queued";
        let mut header = header(1, 1);
        header.polling.deadline = secs(30 * 24 * 3600);
        header.polling.interval_max = secs(10);
        let model = Model { act: Box::new(act), status: Box::new(status), ..Model::default() };
        let mut world = World::new(header, &on_own_agents(5), model);
        // Each reading of the token gives a new one: the model answers with the number of the reading.
        let mut then = world.go(Input::Started(Box::default()), Moment(1_000_100));
        for step in 1..20_000 {
            if then == Then::Finished || world.engine.progress().stopping {
                break;
            }
            world.token = 1 + world.engine.progress().posts as u32;
            then = world.go(Input::Ticked, Moment(1_000_100 + step * 5 * SECOND));
        }
        assert!(world.facts.iter().any(|fact| fact.what == What::Stopping { why: stop }), "{why:?} goes on for ever");
        assert!(world.engine.progress().posts <= 24, "{why:?}: {} acts", world.engine.progress().posts);
    }
}

/// However many items are open: the network's absence is one trouble, and nobody times out because of it.
#[test]
fn without_a_network_at_the_deadline_the_process_leaves_and_items_stay_open() {
    let gone = |_: u32, _: u64| Some(PollReply::NoAnswer { message: "gone".into(), for_good: false });
    let mut world = World::new(header(1, 50), &on_own_agents(500), Model { poll: Box::new(gone), ..Model::default() });
    let progress = world.finish();
    assert_eq!((progress.settled, progress.sent), (0, 500));
    let took = world.now.0 - 1_000_000;
    assert!(took < 3 * 3600 * SECOND, "it took {} s", took / SECOND);
    assert_eq!(world.last(), &What::Ended { complete: false });
}

#[test]
fn polls_that_are_throttled_for_ever_do_not_keep_a_run_for_ever() {
    let throttled = |_: u32, _: u64| Some(PollReply::Throttled);
    let model = Model { poll: Box::new(throttled), ..Model::default() };
    let mut world = World::new(header(1, 50), &on_own_agents(20), model);
    assert_eq!(world.finish().settled, 0);
    assert!(world.now.0 - 1_000_000 < 6 * 3600 * SECOND);
}

/// Polls that are answered in between say nothing of acts.
#[test]
fn acts_that_are_left_unanswered_stop_acting_though_polls_work() {
    let act = |batch: u32, ids: &[String]| match batch {
        1 => ActReply::Accepted { ids: ids.to_vec() },
        _ => ActReply::Unreadable { message: "503".into() },
    };
    let mut header = header(1, 1);
    header.limits.concurrency = 1;
    header.limits.requests = Some(Rate { calls: 1, window: secs(4) });
    let mut world = World::new(header, &on_own_agents(9), Model { act: Box::new(act), ..Model::default() });
    let progress = world.finish();
    let polls_between =
        world.started.iter().skip(1).take(3).filter(|(_, call)| matches!(call.what, CallWhat::Poll { .. })).count();
    assert_eq!((progress.posts, progress.unclear, progress.succeeded), (3, 2, 1));
    assert!(polls_between > 0, "a poll was answered between the acts");
}

#[test]
fn an_api_that_cannot_be_reached_ends_the_run_with_everything_unsent() {
    let act = |_: u32, _: &[String]| ActReply::NotCarriedOut { why: NotCarriedOut::NotSent, message: "refused".into() };
    let mut world = World::new(header(1, 5), &on_own_agents(5), Model { act: Box::new(act), ..Model::default() });
    let progress = world.finish();
    assert_eq!((progress.sent, progress.settled, progress.posts), (0, 0, 5));
    assert!(world.facts.iter().any(|fact| fact.what == What::Stopping { why: StopReason::Unreachable }));
}

#[test]
fn a_refused_token_gets_one_successor() {
    let refused = ActReply::NotCarriedOut { why: NotCarriedOut::Unauthorized, message: "401".into() };
    let twice = refused.clone();
    let act = move |batch: u32, ids: &[String]| match batch {
        1 => refused.clone(),
        _ => ActReply::Accepted { ids: ids.to_vec() },
    };
    let mut world = World::new(header(1, 5), &on_own_agents(5), Model { act: Box::new(act), ..Model::default() });
    assert_eq!(world.finish().succeeded, 5);

    let act = move |_: u32, _: &[String]| twice.clone();
    let mut world = World::new(header(1, 5), &on_own_agents(5), Model { act: Box::new(act), ..Model::default() });
    world.go(Input::Started(Box::default()), world.now);
    world.token = 2;
    world.go(Input::Ticked, Moment(u64::MAX));
    assert_eq!(world.engine.progress().posts, 2, "one with each token");
    assert!(world.facts.iter().any(|fact| fact.what == What::Stopping { why: StopReason::SignIn }));
}

#[test]
fn a_batch_that_is_refused_for_what_it_is_ends_and_others_go_on() {
    let act = |batch: u32, ids: &[String]| match batch {
        1 => ActReply::Rejected { status: 400, message: "bad".into() },
        _ => ActReply::Accepted { ids: ids.to_vec() },
    };
    let mut world = World::new(header(1, 2), &on_own_agents(4), Model { act: Box::new(act), ..Model::default() });
    let progress = world.finish();
    assert_eq!((progress.failed, progress.succeeded), (2, 2));
}

#[test]
fn at_the_deadline_a_pending_item_is_still_queued_and_an_unlisted_word_times_out() {
    let status = |item: u32, _| if item == 0 { "queued" } else { "Quarantaine réussie" };
    let mut world = World::new(header(1, 5), &on_own_agents(2), Model { status: Box::new(status), ..Model::default() });
    world.finish();
    assert_eq!(world.outcomes(), [(0, "StillQueued".to_owned()), (1, "TimedOut".to_owned())]);
    let (accepted, ended) = (1_000_050, world.facts.last().expect("facts").at.0);
    assert!(ended >= accepted + 600 * SECOND, "nothing times out before its deadline");
}

#[test]
fn not_found_is_normal_at_first_and_times_out_at_the_deadline() {
    let poll = |item: u32, age: u64| (item == 0 || age < 20 * SECOND).then_some(PollReply::NotFound { status: 404 });
    let mut world = World::new(header(1, 5), &on_own_agents(2), Model { poll: Box::new(poll), ..Model::default() });
    world.finish();
    assert_eq!(world.outcomes(), [(0, "TimedOut".to_owned()), (1, "Succeeded".to_owned())]);
}

#[test]
fn shuffled_ids_give_each_item_its_own_outcome() {
    let act = |_: u32, ids: &[String]| ActReply::Accepted { ids: ids.iter().rev().cloned().collect() };
    let status = |item: u32, _| if item.is_multiple_of(2) { "failed" } else { "success" };
    let model = Model { act: Box::new(act), status: Box::new(status), ..Model::default() };
    let mut world = World::new(header(1, 10), &on_own_agents(5), model);
    world.finish();
    let outcomes: Vec<String> = world.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, ["Failed", "Succeeded", "Failed", "Succeeded", "Failed"]);
}

#[test]
fn an_item_without_an_id_is_unknown_and_the_detail_says_which() {
    let act = |_: u32, ids: &[String]| ActReply::Accepted { ids: ids[1..].to_vec() };
    let mut world = World::new(header(1, 10), &on_own_agents(3), Model { act: Box::new(act), ..Model::default() });
    world.finish();
    let outcomes: Vec<String> = world.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, ["Unknown", "Succeeded", "Succeeded"]);
}

#[test]
fn a_first_signal_drains_and_a_second_leaves_at_once() {
    let status = |_: u32, _| "queued";
    let mut world =
        World::new(header(1, 1), &on_own_agents(40), Model { status: Box::new(status), ..Model::default() });
    world.go(Input::Started(Box::default()), Moment(1_001_500));
    let (sent, stopped) = (world.acts().len(), world.now.0);
    let then = world.go(Input::Stop(StopReason::Signal), Moment(1_005_000));
    assert_ne!(then, Then::Finished, "polling goes on for a while");
    assert_eq!(world.acts().len(), sent, "no act after the signal");
    assert_eq!(world.go(Input::Ticked, Moment(u64::MAX)), Then::Finished);
    assert!(world.now.0 >= stopped + DRAIN_MS && world.now.0 < stopped + DRAIN_MS + 5 * SECOND);
    assert_eq!(world.last(), &What::Ended { complete: false });

    let mut world = World::new(header(1, 1), &on_own_agents(40), Model::default());
    world.go(Input::Started(Box::default()), Moment(1_001_500));
    let _ = world.turn(Input::Stop(StopReason::Signal));
    assert_eq!(world.turn(Input::Stop(StopReason::SignalAgain)), Then::Finished);
}

/// A crash after any moment: nothing is sent twice, everything that was not sent is, and what was in flight is unknown.
#[test]
fn a_crash_at_any_moment_repeats_nothing_and_loses_nothing() {
    for cut in (0..8_000).step_by(37) {
        let items: Vec<(u16, u32)> = (0..30).map(|n| ((n % 2) as u16, n / 2)).collect();
        let mut world = World::new(header(2, 4), &items, Model::default());
        world.go(Input::Started(Box::default()), Moment(1_000_000 + cut));
        world.crash();
        let lost = world.engine.unanswered_acts();
        let in_flight: usize = world
            .facts
            .iter()
            .filter_map(|fact| match &fact.what {
                What::Submitting { batch, items, .. } if lost.contains(batch) => Some(items.len()),
                _ => None,
            })
            .sum();
        assert_eq!(world.go(Input::Started(Box::default()), Moment(u64::MAX)), Then::Finished);
        let progress = world.engine.progress();
        assert!(world.sent().values().all(|times| *times == 1), "cut at {cut}");
        assert_eq!(progress.unclear as usize, in_flight, "cut at {cut}");
        assert_eq!(progress.succeeded + progress.barred + progress.unclear, 30, "cut at {cut}");
        assert_eq!(world.last(), &What::Ended { complete: true });
    }
}

#[test]
fn replay_gives_the_state_that_live_had() {
    let mut world = World::new(header(1, 5), &on_own_agents(23), Model::default());
    let live = world.finish();
    world.crash();
    let replayed = world.engine.progress();
    assert_eq!(
        (replayed.settled, replayed.succeeded, replayed.posts, replayed.gets),
        (live.settled, live.succeeded, live.posts, live.gets)
    );
}

#[test]
fn facts_that_cannot_follow_each_other_are_refused() {
    let fact = |what: What| Fact { at: Moment(1), what };
    let submit = |items: &[u32]| What::Submitting {
        batch: BatchId(1),
        step: 0,
        event_type: EventType::File,
        items: items.iter().copied().map(fact::ItemId).collect(),
    };
    let accept = What::Accepted { batch: BatchId(1), ids: vec!["R".into()] };
    let settle = What::Settled {
        item: fact::ItemId(0),
        outcome: Settled::Succeeded,
        of: None,
        by: None,
        status: None,
        message: None,
    };
    for (name, facts) in [
        ("begun twice", vec![What::Started, What::Started]),
        ("sent before the start", vec![submit(&[0])]),
        ("an item that does not exist", vec![What::Started, submit(&[9])]),
        ("sent twice", vec![What::Started, submit(&[0]), submit(&[0])]),
        ("an empty batch", vec![What::Started, submit(&[])]),
        ("answered without being sent", vec![What::Started, accept.clone()]),
        ("answered twice", vec![What::Started, submit(&[0]), accept.clone(), accept.clone()]),
        ("settled before it was accepted", vec![What::Started, submit(&[0]), settle.clone()]),
        ("settled twice", vec![What::Started, submit(&[0]), accept, settle.clone(), settle]),
    ] {
        let mut engine =
            Engine::new("t", &header(1, 5), [ItemShape::new(0, 0, EventType::File, "a", "u")].into_iter(), []);
        let legal = facts.into_iter().all(|what| engine.apply(&fact(what)).is_ok());
        assert!(!legal, "{name} was accepted");
    }
}
