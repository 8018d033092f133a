//! Each case is a list of facts over a plan of four items: steps `kill` and `quarantine` on targets 0 and 1.

use super::*;
use crate::engine::fact::NotCarriedOut;
use crate::engine::fact::{Moment, StopReason};
use crate::report::tests::header;
use crate::tenant::EventType;
use proptest::prelude::*;

fn run(facts: Vec<What>) -> Result<Folded, FoldError> {
    let facts = (1_000..).zip(facts).map(|(at, what)| Fact { at: Moment(at), what });
    fold(&header(), [(0, 0), (1, 0), (0, 1), (1, 1)].into_iter(), facts)
}

#[track_caller]
fn endings(facts: Vec<What>) -> Vec<String> {
    let folded = run(facts).expect("these facts fit the plan");
    let sum = folded.totals.outcomes.sum(&words::OUTCOMES);
    assert_eq!(sum, 4, "every item has one outcome");
    folded.endings.iter().map(shown).collect()
}

/// One line for an ending: outcome, status, message, id, pairing, reason; `-` where there is none.
fn shown(ending: &Ending) -> String {
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let parts = [
        words::outcome(ending.outcome).to_owned(),
        or_none(ending.status.as_deref()),
        or_none(ending.status_message.as_deref()),
        or_none(ending.remediation.as_ref().map(|remediation| &*remediation.id)),
        or_none(ending.paired_by.map(words::paired_by)),
        or_none(ending.reason.as_deref()),
    ];
    parts.join(" | ")
}

#[track_caller]
fn first(facts: Vec<What>, expected: &str) {
    assert_eq!(endings(facts)[0], expected);
}

#[track_caller]
fn odd(facts: Vec<What>, fact: u64, what: Oddity) {
    assert_eq!(run(facts), Err(FoldError { fact, what }));
}

fn submitting(batch: u32, items: &[u32]) -> What {
    let items = items.iter().copied().map(ItemId).collect();
    What::Submitting { batch: BatchId(batch), step: 0, event_type: EventType::File, items }
}

fn accepted(batch: u32, ids: &[&str]) -> What {
    What::Accepted { batch: BatchId(batch), ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

fn of(batch: u32, index: u16) -> RemediationRef {
    RemediationRef { batch: BatchId(batch), index }
}

fn seen(of: RemediationRef, status: &str) -> What {
    What::Seen { of, status: status.to_owned() }
}

fn paired(of: RemediationRef, item: u32) -> What {
    What::Paired { of, item: ItemId(item), by: PairedBy::Agent }
}

fn settled(
    item: u32,
    outcome: Settled,
    of: Option<RemediationRef>,
    status: Option<&str>,
    message: Option<&str>,
) -> What {
    let (status, message) = (status.map(str::to_owned), message.map(str::to_owned));
    What::Settled { item: ItemId(item), outcome, of, by: of.map(|_| PairedBy::AgentAndUniqueId), status, message }
}

fn returned(batch: u32, why: NotCarriedOut) -> What {
    What::Returned { batch: BatchId(batch), why, message: "429".to_owned() }
}

#[test]
fn an_item_without_facts_is_not_started_and_says_why() {
    first(vec![], "not_started | - | - | - | - | the run has not reached it");
    first(vec![What::Started], "not_started | - | - | - | - | the run has not reached it");
    first(
        vec![What::Started, What::Stopping { why: StopReason::SignIn }, What::Ended { complete: false }],
        "not_started | - | - | - | - | the run stopped before it: sign-in failed",
    );
    first(
        vec![What::Started, What::Ended { complete: false }],
        "not_started | - | - | - | - | the run stopped before it",
    );
}

#[test]
fn a_resumed_run_forgets_why_it_stopped() {
    let facts = vec![
        What::Started,
        What::Stopping { why: StopReason::Signal },
        What::Ended { complete: false },
        What::Resumed { by: None, only_polls: false },
    ];
    first(facts.clone(), "not_started | - | - | - | - | the run has not reached it");
    let totals = run(facts).expect("fits").totals;
    assert_eq!((totals.stopped, totals.complete, totals.ended), (None, false, false));
}

#[test]
fn later_steps_of_a_barred_target_say_which_step_did_not_succeed() {
    let all = endings(vec![What::Started, What::Barred { target: 1, step: 0 }]);
    assert_eq!(all[1], "not_started | - | - | - | - | the run has not reached it", "another target");
    assert_eq!(all[2], "not_started | - | - | - | - | the run has not reached it", "the step itself");
    assert_eq!(all[3], "not_started | - | - | - | - | step `kill` did not succeed on this target");
}

#[test]
fn what_was_sent_is_open_until_it_settles() {
    first(vec![submitting(1, &[0])], "open | - | - | - | - | sent in batch 1, its answer is still awaited");
    let facts = vec![submitting(1, &[0, 2]), accepted(1, &["A", "B"])];
    first(facts.clone(), "open | - | - | - | - | accepted in batch 1, not settled yet");
    let facts = [facts, vec![seen(of(1, 1), "queued"), paired(of(1, 1), 0), seen(of(1, 1), "in progress")]].concat();
    first(facts, "open | in progress | - | B | agent | accepted in batch 1, not settled yet");
}

#[test]
fn a_later_pairing_replaces_an_earlier_one() {
    let facts = vec![submitting(1, &[0, 2]), accepted(1, &["A", "B"]), paired(of(1, 0), 0), paired(of(1, 1), 0)];
    first(facts, "open | - | - | B | agent | accepted in batch 1, not settled yet");
}

#[test]
fn answers_other_than_acceptance() {
    let rejected = What::Rejected { batch: BatchId(1), status: 400, message: "bad event".to_owned() };
    first(
        vec![submitting(1, &[0]), rejected],
        "rejected | HTTP 400 | bad event | - | - | the API refused batch 1; it was not carried out",
    );
    let unanswered = What::Unanswered { batch: BatchId(1), message: "reset".to_owned(), lost: false };
    first(
        vec![submitting(1, &[0]), unanswered],
        "unknown | - | - | - | - | sent in batch 1, no readable answer came: reset",
    );
}

#[test]
fn a_returned_item_is_as_if_never_sent() {
    let facts = vec![submitting(1, &[0]), returned(1, NotCarriedOut::Throttled), What::Ended { complete: false }];
    first(
        facts.clone(),
        "not_started | - | - | - | - | the run stopped before it; batch 1 was not carried out, a limit refused it: 429",
    );
    first(
        [facts, vec![submitting(2, &[0])]].concat(),
        "open | - | - | - | - | sent in batch 2, its answer is still awaited",
    );
}

#[test]
fn settled_items_carry_what_the_api_said_or_why_we_say_so() {
    let with = |settled| vec![submitting(1, &[0]), accepted(1, &["A"]), settled];
    let a = Some(of(1, 0));
    let cases = [
        (
            settled(0, Settled::Succeeded, a, Some("Success"), Some("done")),
            "succeeded | Success | done | A | agent_and_unique_id | -",
        ),
        (
            settled(0, Settled::Failed, a, Some("failed"), Some("locked")),
            "failed | failed | locked | A | agent_and_unique_id | -",
        ),
        (
            settled(0, Settled::StillQueued, a, Some("queued"), None),
            "still_queued | queued | - | A | agent_and_unique_id | the deadline passed while the API still called it pending",
        ),
        (
            settled(0, Settled::TimedOut, a, Some("odd"), None),
            "timed_out | odd | - | A | agent_and_unique_id | the deadline passed with a status word that no list has",
        ),
        (
            settled(0, Settled::TimedOut, None, None, None),
            "timed_out | - | - | - | - | the deadline passed without a status",
        ),
        (settled(0, Settled::Unknown, None, None, Some("bad id")), "unknown | - | - | - | - | bad id"),
        (
            settled(0, Settled::Unknown, None, None, None),
            "unknown | - | - | - | - | sent in batch 1, and nothing readable says what became of it",
        ),
        (
            settled(0, Settled::Unmatched, None, None, None),
            "unmatched | - | - | - | - | accepted in batch 1, and no id can be told to be its own",
        ),
    ];
    for (settled, expected) in cases {
        first(with(settled), expected);
    }
}

#[test]
fn only_open_still_queued_and_timed_out_are_replaced() {
    let a = Some(of(1, 0));
    let later = settled(0, Settled::Succeeded, a, Some("success"), None);
    for (before, replaced) in [
        (Settled::StillQueued, true),
        (Settled::TimedOut, true),
        (Settled::Succeeded, false),
        (Settled::Failed, false),
        (Settled::Unknown, false),
        (Settled::Unmatched, false),
    ] {
        let before = settled(0, before, None, Some("before"), None);
        let all = run(vec![submitting(1, &[0]), accepted(1, &["A"]), before.clone(), later.clone()]).expect("fits");
        assert_eq!(all.endings[0].status.as_deref() == Some("success"), replaced, "{before:?}");
    }
    let unanswered = What::Unanswered { batch: BatchId(1), message: String::new(), lost: false };
    let late = settled(0, Settled::Failed, None, Some("failed"), None);
    first(
        vec![submitting(1, &[0]), unanswered, late],
        "unknown | - | - | - | - | sent in batch 1, no readable answer came",
    );
}

#[test]
fn a_word_seen_by_a_later_poll_is_the_status() {
    let facts = vec![
        submitting(1, &[0]),
        accepted(1, &["A"]),
        settled(0, Settled::StillQueued, Some(of(1, 0)), Some("queued"), None),
        seen(of(1, 0), "in progress"),
    ];
    first(
        facts,
        "still_queued | in progress | - | A | agent_and_unique_id | the deadline passed while the API still called it pending",
    );
}

#[test]
fn totals_count_calls_and_remember_the_last_process() {
    let folded = run(vec![
        What::Started,
        submitting(1, &[0]),
        returned(1, NotCarriedOut::NotSent),
        submitting(2, &[0]),
        accepted(2, &[""]),
        What::Tallied { gets: 3, throttled: 1 },
        What::Tallied { gets: u32::MAX, throttled: 1 },
        What::Stopping { why: StopReason::Unanswered },
        What::Ended { complete: true },
    ]);
    let totals = folded.expect("fits").totals;
    assert_eq!((totals.posts, totals.gets, totals.throttled), (2, u64::from(u32::MAX) + 3, 2));
    assert_eq!((totals.first, totals.last), (Some(Moment(1_000)), Some(Moment(1_008))));
    assert_eq!((totals.stopped, totals.complete, totals.ended), (Some(StopReason::Unanswered), true, true));
    assert!(!totals.gets_at_least);
}

#[test]
fn polls_are_at_least_so_many_when_a_process_did_not_end_its_work() {
    let at_least = |more: &[What]| {
        let mut facts = vec![What::Started, submitting(1, &[0]), accepted(1, &["A"])];
        facts.extend(more.iter().cloned());
        run(facts).expect("fits").totals.gets_at_least
    };
    let resumed = What::Resumed { by: None, only_polls: false };
    let ended = What::Ended { complete: false };
    assert!(at_least(&[]), "it goes on, or was killed");
    assert!(!at_least(std::slice::from_ref(&ended)));
    assert!(!at_least(&[ended.clone(), resumed.clone(), ended.clone()]));
    assert!(at_least(&[resumed, ended]), "the first process never ended");
}

#[test]
fn facts_that_cannot_be_true_are_errors_with_their_number() {
    let sent = || submitting(1, &[0]);
    let done = |item| settled(item, Settled::Succeeded, None, None, None);
    odd(vec![What::Started, submitting(1, &[4])], 2, Oddity::Item(4));
    odd(
        vec![What::Submitting { batch: BatchId(1), step: 2, event_type: EventType::File, items: vec![] }],
        1,
        Oddity::Step(2),
    );
    odd(vec![accepted(1, &["A"])], 1, Oddity::Batch(1));
    odd(vec![sent(), sent()], 2, Oddity::BatchAgain(1));
    odd(vec![sent(), submitting(2, &[0])], 2, Oddity::ItemAgain { item: 0, batch: 1 });
    odd(vec![submitting(1, &[0, 0])], 1, Oddity::ItemAgain { item: 0, batch: 1 });
    odd(vec![sent(), accepted(1, &["A"]), returned(1, NotCarriedOut::NotSent)], 3, Oddity::AnswerAgain(1));
    odd(vec![sent(), seen(of(1, 0), "x")], 2, Oddity::Remediation { batch: 1, index: 0 });
    odd(vec![sent(), accepted(1, &["A"]), paired(of(1, 1), 0)], 3, Oddity::Remediation { batch: 1, index: 1 });
    odd(vec![sent(), accepted(1, &["A"]), paired(of(1, 0), 9)], 3, Oddity::Item(9));
    odd(vec![done(0)], 1, Oddity::NeverSent(0));
    odd(vec![sent(), returned(1, NotCarriedOut::NotSent), done(0)], 3, Oddity::NeverSent(0));
    odd(vec![done(u32::MAX)], 1, Oddity::Item(u32::MAX));
    odd(vec![What::Barred { target: 2, step: 0 }], 1, Oddity::Target(2));
    odd(vec![What::Barred { target: 0, step: 2 }], 1, Oddity::Step(2));
    let plan = fold(&header(), [(2, 0)].into_iter(), std::iter::empty());
    assert_eq!(plan, Err(FoldError { fact: 0, what: Oddity::Step(2) }));
}

#[test]
fn repeated_texts_are_kept_once() {
    let folded = run(vec![
        submitting(1, &[0]),
        submitting(2, &[2]),
        accepted(1, &["A"]),
        accepted(2, &["B"]),
        { settled(0, Settled::Failed, None, Some("failed"), Some("locked")) },
        settled(2, Settled::Failed, None, Some("failed"), Some("locked")),
    ])
    .expect("fits");
    let texts = |item: usize| folded.endings[item].status_message.clone().expect("there is one");
    assert!(Arc::ptr_eq(&texts(0), &texts(2)));
}

fn any_fact() -> impl Strategy<Value = What> {
    let batch = || (0..4_u32).prop_map(BatchId);
    let item = || (0..5_u32).prop_map(ItemId);
    let of = || (0..4_u32, 0..3_u16).prop_map(|(batch, index)| of(batch, index));
    let outcome = proptest::sample::select(vec![Settled::Succeeded, Settled::StillQueued, Settled::Unmatched]);
    prop_oneof![
        Just(What::Resumed { by: None, only_polls: false }),
        (batch(), proptest::collection::vec(item(), 0..3))
            .prop_map(|(batch, items)| { What::Submitting { batch, step: 0, event_type: EventType::File, items } }),
        (batch(), 0..3_usize).prop_map(|(batch, ids)| What::Accepted { batch, ids: vec!["A".to_owned(); ids] }),
        batch().prop_map(|batch| What::Returned { batch, why: NotCarriedOut::NotSent, message: String::new() }),
        batch().prop_map(|batch| What::Unanswered { batch, message: String::new(), lost: false }),
        of().prop_map(|of| seen(of, "queued")),
        (of(), item()).prop_map(|(of, item)| paired(of, item.0)),
        (item(), outcome).prop_map(|(item, outcome)| settled(item.0, outcome, None, None, None)),
        (0..3_u32, 0..3_u16).prop_map(|(target, step)| What::Barred { target, step }),
    ]
}

proptest! {
    #[test]
    fn no_facts_make_it_panic_and_nothing_succeeds_by_itself(facts in proptest::collection::vec(any_fact(), 0..12)) {
        let called_so = |item: usize| {
            facts.iter().any(|fact| {
                matches!(fact, What::Settled { item: id, outcome: Settled::Succeeded, .. } if id.0 as usize == item)
            })
        };
        if let Ok(folded) = run(facts.clone()) {
            prop_assert_eq!(folded.totals.outcomes.sum(&words::OUTCOMES), 4);
            for (item, ending) in folded.endings.iter().enumerate() {
                prop_assert!(ending.outcome != Outcome::Succeeded || called_so(item));
            }
        }
    }
}
