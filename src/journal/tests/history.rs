//! What a later run is told of earlier ones, and that it is told nothing wrong.

use super::*;
use crate::engine::DoneBefore;
use crate::engine::fact::{Before, Finding};
use crate::plan::When;
use std::time::Duration;

const DAY_MS: u64 = 24 * 3600 * 1000;
const WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);
/// The time of [`at`]`(0, …)`.
const EPOCH: u64 = 1_790_000_000_000;

/// One item for every event: its number is the event's. Step 1 is action 7, and step 0 is action 8, which undoes it.
pub(super) fn plain_plan(events: std::ops::Range<u32>, step: u16) -> Plan {
    let mut plan = Plan { header: header(events.len() as u32), ..plan(0) };
    let action = |name: &str, id| Action { reversible: true, ..Action::plain(name, id, EventType::File) };
    let planned =
        |name, id, inverse| PlannedStep { action: action(name, id), inverse_id: Some(inverse), ..super::step(name) };
    plan.header.steps = vec![planned("release", 8, 7), planned("quarantine", 7, 8)];
    plan.items = (0..events.len() as u32).map(|event| PlannedItem { event, step, target: event }).collect();
    plan.events = events.map(|n| Event { event_type: EventType::File, ..event(n) }).collect();
    plan
}

pub(super) fn begin_with(state: &Path, id: &str, plan: &Plan) -> SqliteRun {
    Journal::open(state, TENANT).unwrap().begin(&meta(id, 1), plan).unwrap()
}

fn act(batch: u32, items: std::ops::Range<u32>) -> Vec<Fact> {
    vec![at(u64::from(batch) * 1000, submitting(batch, items))]
}

pub(super) fn became(item: u32, outcome: Settled) -> What {
    What::Settled { item: ItemId(item), outcome, of: None, by: None, status: None, message: None }
}

fn found(item: u32, finding: Finding) -> What {
    let items = vec![ItemId(item)];
    What::Resolved { items, finding, note: "seen".to_owned(), by: None, remediation: None, status: None }
}

fn lost(batch: u32) -> What {
    What::Unanswered { batch: BatchId(batch), message: "closed".to_owned(), lost: false }
}

/// Everything that a run over the same fourteen events is told, as `item: run end`.
fn told(run: &SqliteRun, now: u64, permitted: &[ItemId]) -> Vec<String> {
    let all = (0..14).map(ItemId);
    let found = run.done_before(all, Question { now: Moment(EPOCH + now), window: WINDOW, permitted }).unwrap();
    let mut told: Vec<(u32, String)> = Vec::new();
    for DoneBefore { items, run, became } in found {
        told.extend(items.iter().map(|item| (item.0, format!("{}: {run} {became:?}", item.0))));
    }
    told.sort();
    told.into_iter().map(|(_, text)| text).collect()
}

/// A run in which each item ends in another way; the one after it is in none of its batches.
pub(super) fn every_way() -> Vec<Vec<Fact>> {
    vec![
        vec![at(0, What::Started)],
        vec![at(1, submitting(1, 0..9)), at(1, submitting(2, 9..10)), at(1, submitting(3, 10..11))],
        vec![at(2, accepted(1, 9)), at(3, lost(2))],
        vec![at(3, What::Rejected { batch: BatchId(3), status: 400, message: "no".to_owned() })],
        vec![
            at(4, became(0, Settled::Succeeded)),
            at(5, became(1, Settled::Failed)),
            at(6, became(2, Settled::StillQueued)),
            at(7, became(3, Settled::TimedOut)),
            at(8, became(4, Settled::Unknown)),
            at(9, became(5, Settled::Unmatched)),
            at(9, became(6, Settled::Unknown)),
            at(9, became(7, Settled::Unknown)),
        ],
        vec![at(10, found(6, Finding::CarriedOut)), at(11, found(7, Finding::NotCarriedOut))],
        vec![at(12, submitting(4, 11..13))],
        vec![at(13, What::Returned { batch: BatchId(4), why: NotCarriedOut::NotSent, message: "refused".to_owned() })],
        vec![at(14, submitting(5, 11..12))],
    ]
}

#[test]
fn only_what_failed_or_was_never_carried_out_may_be_tried_again() {
    let state = tempfile::tempdir().unwrap();
    append_all(&mut begin_with(state.path(), "first", &plain_plan(0..14, 1)), &every_way());
    let second = begin_with(state.path(), "second", &plain_plan(0..14, 1));
    let unclear = [
        "2: first StillQueued",
        "3: first TimedOut",
        "4: first Unknown",
        "5: first Unmatched",
        "8: first Open",
        "9: first Unknown",
        "11: first Open",
    ];
    let mut all = unclear.to_vec();
    all.insert(0, "0: first Succeeded");
    all.insert(5, "6: first CarriedOut");
    let window = 30 * DAY_MS;
    assert_eq!(told(&second, 1000, &[]), all);
    // What a clock that was ahead dated later than now is fresh.
    assert_eq!(told(&second, 0, &[]), all);
    assert_eq!(told(&second, window + 4, &[]), all);
    assert_eq!(told(&second, window + 5, &[]), all[1..]);
    assert_eq!(told(&second, window * 100, &[]), unclear);
    assert_eq!(
        told(&second, window * 100, &[ItemId(4), ItemId(1), ItemId(11)]),
        [&unclear[..2], &unclear[3..]].concat(),
        "a permit lifts doubt, and not what is on its way"
    );
    drop(second);
    // Nobody is told of what it did itself.
    let first = resume(state.path(), Some("first")).unwrap().run;
    assert_eq!(told(&first, 1000, &[]), [""; 0]);
}

#[test]
fn a_later_act_that_undid_it_frees_an_item_and_an_earlier_one_does_not() {
    let state = tempfile::tempdir().unwrap();
    let step = |id: &str, step: u16, outcomes: [Settled; 3]| {
        let mut run = begin_with(state.path(), id, &plain_plan(0..3, step));
        run.append(run.head(), &act(1, 0..3)).unwrap();
        run.append(run.head(), &[at(2, accepted(1, 3))]).unwrap();
        let ends: Vec<_> = (0..).zip(outcomes).map(|(item, outcome)| at(3, became(item, outcome))).collect();
        run.append(run.head(), &ends).unwrap();
    };
    use Settled::{Failed, Succeeded, Unknown};
    let now = |of: u16| {
        let name = format!("ask-{}", fastrand::u32(..));
        told(&begin_with(state.path(), &name, &plain_plan(0..3, of)), 1000, &[])
    };
    step("one", 1, [Succeeded, Unknown, Succeeded]);
    assert_eq!(now(1), ["0: one Succeeded", "1: one Unknown", "2: one Succeeded"]);
    assert_eq!(now(0), [""; 0]);
    step("two", 0, [Succeeded, Succeeded, Failed]);
    assert_eq!(now(1), ["2: one Succeeded"]);
    assert_eq!(now(0), ["0: two Succeeded", "1: two Succeeded"]);
    step("three", 1, [Failed, Succeeded, Unknown]);
    assert_eq!(now(1), ["1: three Succeeded", "2: three Unknown"]);
    assert_eq!(now(0), ["0: two Succeeded"]);
    // One that may have undone it does not count.
    step("four", 0, [Unknown, Unknown, Unknown]);
    assert_eq!(now(1), ["1: three Succeeded", "2: three Unknown"]);
    assert_eq!(now(0), ["0: four Unknown", "1: four Unknown", "2: four Unknown"]);
}

#[test]
fn a_simulated_run_leaves_no_trace_and_hears_of_none() {
    let state = tempfile::tempdir().unwrap();
    let begin = |id: &str, simulated| {
        let meta = RunMeta { simulated, ..meta(id, 1) };
        Journal::open(state.path(), TENANT).unwrap().begin(&meta, &plain_plan(0..14, 1)).unwrap()
    };
    append_all(&mut begin("played", true), &every_way());
    let mut real = begin("real", false);
    assert_eq!(told(&real, 1000, &[]), [""; 0]);
    append_all(&mut real, &every_way());
    drop(real);
    assert_eq!(told(&begin("played-again", true), 1000, &[]), [""; 0]);
    assert_eq!(told(&begin("real-again", false), 1000, &[]).len(), 9);
}

#[test]
fn what_is_told_is_grouped_and_each_fact_stays_small() {
    let state = tempfile::tempdir().unwrap();
    let plan = plain_plan(0..2500, 1);
    let mut first = begin_with(state.path(), "first", &plan);
    first.append(first.head(), &[at(1, submitting(1, 0..2400))]).unwrap();
    let lost = What::Unanswered { batch: BatchId(1), message: String::new(), lost: true };
    first.append(first.head(), &[at(2, lost), at(3, submitting(2, 2400..2450))]).unwrap();
    drop(first);
    let told = begin_with(state.path(), "second", &plan).done_before((0..2500).rev().map(ItemId), at_any_time(WINDOW));
    let told: Vec<_> = told.unwrap().into_iter().map(|told| (told.became, told.items[0].0, told.items.len())).collect();
    let unknown = Before::Unknown;
    assert_eq!(told, [(Before::Open, 2400, 50), (unknown, 0, 1000), (unknown, 1000, 1000), (unknown, 2000, 400)]);
}

#[test]
fn who_reads_before_a_run_begins_is_told_what_the_run_is_told() {
    let state = tempfile::tempdir().unwrap();
    let plan = plain_plan(0..14, 1);
    let permitted = [ItemId(5)];
    let question = Question { now: Moment(EPOCH + 40), window: WINDOW, permitted: &permitted };
    assert_eq!(done_before(state.path(), &plan, question).unwrap(), []);
    append_all(&mut begin_with(state.path(), "first", &plan), &every_way());
    let mut live = begin_with(state.path(), "live", &plain_plan(13..20, 1));
    append_all(&mut live, &[vec![at(30, What::Started)]]);
    let read = done_before(state.path(), &plan, question).unwrap();
    let run = begin_with(state.path(), "second", &plan);
    assert_eq!(read, run.done_before((0..14).map(ItemId), question).unwrap());
    assert!(read.iter().any(|before| before.became == Before::Planned) && read.len() > 3, "{read:?}");
}

#[test]
fn what_a_run_that_goes_on_will_not_send_is_not_left_to_it() {
    let left_to_it = |after: Option<(u16, When)>| {
        let state = tempfile::tempdir().unwrap();
        let mut plan = plain_plan(0..8, 1);
        plan.header.steps[1].flow.after = after;
        let mut live = begin_with(state.path(), "live", &plan);
        let items = |item: u32| vec![ItemId(item)];
        append_all(
            &mut live,
            &[
                vec![at(0, What::Started), at(0, What::Blocked { items: items(0), rule: "core".to_owned() })],
                vec![at(1, What::Expired { items: items(1) }), at(1, What::Unmet { step: 1, targets: vec![2] })],
                vec![at(2, What::Barred { target: 3, step: 0 }), at(2, What::Barred { target: 4, step: 1 })],
                vec![at(2, What::Unmet { step: 0, targets: vec![4] }), at(3, submitting(1, 5..6)), at(4, lost(1))],
                vec![at(5, found(5, Finding::NotCarriedOut)), at(6, submitting(2, 6..7))],
                vec![at(7, What::Rejected { batch: BatchId(2), status: 400, message: String::new() })],
            ],
        );
        told(&begin_with(state.path(), "second", &plan), 1000, &[])
    };
    assert_eq!(left_to_it(None), ["4: live Planned", "7: live Planned"]);
    // A step with a condition of its own has its turn whatever bars those that follow each other.
    assert_eq!(left_to_it(Some((0, When::Settled))), ["3: live Planned", "4: live Planned", "7: live Planned"]);
}

/// Both steps for each event, the first one undone by the second.
fn there_and_back(events: u32) -> Plan {
    let mut plan = plain_plan(0..events, 0);
    plan.items = (0..events).flat_map(|event| [0, 1].map(|step| PlannedItem { event, step, target: event })).collect();
    plan
}

#[test]
fn what_an_earlier_step_of_the_same_run_undoes_is_done_again() {
    let state = tempfile::tempdir().unwrap();
    let plan = there_and_back(1);
    let tonight = |id: &str| begin_with(state.path(), id, &plan);
    let done = |run: &mut SqliteRun, item: u32| {
        let batch = item + 1;
        run.append(run.head(), &[at(1, submitting(batch, item..item + 1)), at(2, accepted(batch, 1))]).unwrap();
        run.append(run.head(), &[at(3, became(item, Settled::Succeeded))]).unwrap();
    };
    let ask = |run: &SqliteRun, items: &[u32]| {
        let question = Question { now: Moment(EPOCH + 1000), window: WINDOW, permitted: &[] };
        let found = run.done_before(items.iter().copied().map(ItemId), question).unwrap();
        found.into_iter().flat_map(|before| before.items).map(|item| item.0).collect::<Vec<_>>()
    };
    let mut first = tonight("first");
    assert_eq!(ask(&first, &[0, 1]), [0; 0]);
    done(&mut first, 0);
    done(&mut first, 1);
    drop(first);
    // The first step was undone; the second undoes what the first will have done by then.
    let mut second = tonight("second");
    assert_eq!(ask(&second, &[0, 1]), [0; 0]);
    // Alone it was done before.
    assert_eq!(ask(&second, &[1]), [1]);
    // Taken up again after the first step was sent: what the run sent itself counts.
    second.append(second.head(), &[at(5, What::Started), at(6, submitting(1, 0..1))]).unwrap();
    assert_eq!(ask(&second, &[1]), [0; 0]);
    drop(second);
    let read = done_before(state.path(), &plan, at_any_time(WINDOW)).unwrap();
    let mut items: Vec<_> = read.iter().flat_map(|before| before.items.iter().map(|item| item.0)).collect();
    items.sort_unstable();
    assert_eq!(items, [0, 1], "the first step may have been done, and the second builds on it");
}

#[test]
fn a_permission_lifts_the_doubts_that_were_there_when_it_was_given() {
    let state = tempfile::tempdir().unwrap();
    let unknown = |id: &str| {
        let mut run = begin_with(state.path(), id, &plain_plan(0..1, 1));
        append_all(&mut run, &[act(1, 0..1), vec![at(2000, lost(1))]]);
    };
    unknown("before");
    let mut own = begin_with(state.path(), "own", &plain_plan(0..1, 1));
    append_all(&mut own, &[vec![at(0, What::Started)]]);
    assert_eq!(told(&own, 3000, &[ItemId(0)]), [""; 0]);
    unknown("since");
    assert_eq!(told(&own, 3000, &[ItemId(0)]), ["0: since Unknown"]);
}
