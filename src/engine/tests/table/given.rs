//! The states and the facts of the table: how each state is reached, and what each fact is.

use crate::engine::fact::*;
use crate::tenant::EventType;

/// The plan: the item has one before it on its target and one after it, and another one is on a target of its own.
pub(super) const SHAPES: [(u16, u32); 4] = [(0, 0), (1, 0), (1, 1), (2, 0)];
pub(super) const EARLIER: u32 = 0;
pub(super) const IT: u32 = 1;
pub(super) const OTHER: u32 = 2;
pub(super) const NONE: u32 = 7;
/// Batches: of the earlier item, of the item, of the other one, one that comes anew, and one that never was.
pub(super) const FIRST: u32 = 1;
pub(super) const ITS: u32 = 2;
pub(super) const OTHERS: u32 = 8;
pub(super) const NEXT: u32 = 9;
pub(super) const NEVER: u32 = 77;

/// A state: its sign in the table, what it is, and the facts that lead to it.
pub(super) type StateRow = (&'static str, &'static str, Vec<What>);
/// A fact: what it is, what happens to the other item before it, and the fact.
pub(super) type FactRow = (String, Vec<What>, What);

pub(super) fn items(of: &[u32]) -> Vec<ItemId> {
    of.iter().copied().map(ItemId).collect()
}

pub(super) fn of(batch: u32, index: u16) -> RemediationRef {
    RemediationRef { batch: BatchId(batch), index }
}

pub(super) fn submitting(batch: u32, step: u16, of: &[u32]) -> What {
    What::Submitting { batch: BatchId(batch), step, event_type: EventType::File, items: items(of) }
}

pub(super) fn accepted(batch: u32, ids: &[&str]) -> What {
    What::Accepted { batch: BatchId(batch), ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

pub(super) fn rejected(batch: u32) -> What {
    What::Rejected { batch: BatchId(batch), status: 400, message: "no".into() }
}

pub(super) fn returned(batch: u32) -> What {
    What::Returned { batch: BatchId(batch), why: NotCarriedOut::Throttled, message: "429".into() }
}

pub(super) fn unanswered(batch: u32, lost: bool) -> What {
    What::Unanswered { batch: BatchId(batch), message: "reset".into(), lost }
}

pub(super) fn paired(of: RemediationRef, item: u32) -> What {
    What::Paired { of, item: ItemId(item), by: PairedBy::AgentAndUniqueId }
}

pub(super) fn settled(item: u32, outcome: Settled, of: Option<RemediationRef>) -> What {
    What::Settled { item: ItemId(item), outcome, of, by: None, status: of.map(|_| "word".into()), message: None }
}

pub(super) fn resumed(only_polls: bool) -> What {
    What::Resumed { by: None, only_polls }
}

pub(super) fn done_before(of: &[u32], became: Before) -> What {
    What::DoneBefore { items: items(of), run: "earlier".into(), became }
}

pub(super) fn blocked(of: &[u32]) -> What {
    What::Blocked { items: items(of), rule: "domain controllers".into() }
}

pub(super) fn permitted(of: &[u32]) -> What {
    What::Permitted { items: items(of), by: None, reason: "seen".into() }
}

pub(super) fn resolved(of: &[u32]) -> What {
    let (note, by, remediation, status) = ("seen".into(), None, None, None);
    What::Resolved { items: items(of), finding: Finding::NotCarriedOut, note, by, remediation, status }
}

pub(super) fn states() -> Vec<StateRow> {
    let after = |facts: &[What], more: &[What]| [facts, more].concat();
    let id = Some(of(ITS, 0));
    let opened = after(
        &[What::Started, submitting(FIRST, 0, &[EARLIER]), accepted(FIRST, &["R_0"])],
        &[settled(EARLIER, Settled::Succeeded, Some(of(FIRST, 0)))],
    );
    let sent = after(&opened, &[submitting(ITS, 1, &[IT])]);
    let taken = after(&sent, &[accepted(ITS, &["R_1"])]);
    let own = after(&taken, &[paired(of(ITS, 0), IT)]);
    let queued = after(&own, &[settled(IT, Settled::StillQueued, id)]);
    let timed_out = after(&own, &[settled(IT, Settled::TimedOut, id)]);
    let unknown = after(&sent, &[unanswered(ITS, false)]);
    let unmatched = after(&taken, &[settled(IT, Settled::Unmatched, None)]);
    let barring = [What::Started, submitting(FIRST, 0, &[EARLIER]), rejected(FIRST)];
    let late = after(&queued, &[resumed(true)]);
    vec![
        ("nb", "the run has not begun", vec![]),
        ("wa", "waiting: an earlier step of its target is not done", vec![What::Started]),
        ("re", "ready", opened.clone()),
        ("rt", "returned: surely not carried out, ready again", after(&sent, &[returned(ITS)])),
        ("he", "ready, in an action that is held back", after(&opened, &[What::Held { step: 1 }])),
        ("su", "submitting: its intent is written", sent.clone()),
        ("ac", "accepted, its id not proven", taken.clone()),
        ("pa", "accepted and paired", own.clone()),
        ("ok", "succeeded", after(&own, &[settled(IT, Settled::Succeeded, id)])),
        ("fa", "failed", after(&own, &[settled(IT, Settled::Failed, id)])),
        ("rj", "rejected", after(&sent, &[rejected(ITS)])),
        ("qu", "still queued at its deadline", queued),
        ("to", "timed out at its deadline", timed_out.clone()),
        ("na", "unknown: no readable answer", unknown.clone()),
        ("lo", "unknown: our process died before its answer", after(&sent, &[unanswered(ITS, true)])),
        (
            "ni",
            "unknown: accepted, and no id came for it",
            after(&sent, &[accepted(ITS, &[]), settled(IT, Settled::Unknown, None)]),
        ),
        ("um", "unmatched", unmatched.clone()),
        ("ba", "barred by an earlier step", after(&barring, &[What::Barred { target: 0, step: 0 }])),
        ("db", "done by an earlier run", after(&opened, &[done_before(&[IT], Before::Succeeded)])),
        ("dm", "perhaps done by an earlier run", after(&opened, &[done_before(&[IT], Before::Unknown)])),
        ("bl", "protected by a rule", after(&opened, &[blocked(&[IT])])),
        ("ex", "its event was too old", after(&opened, &[What::Expired { items: items(&[IT]) }])),
        ("ru", "unknown, and resolved by a person", after(&unknown, &[resolved(&[IT])])),
        ("rm", "unmatched, and resolved by a person", after(&unmatched, &[resolved(&[IT])])),
        ("rx", "timed out, and resolved by a person", after(&timed_out, &[resolved(&[IT])])),
        ("lq", "still queued, looked at once more", late.clone()),
        ("lt", "timed out, looked at once more", after(&timed_out, &[resumed(true)])),
        ("lr", "looked at once more, and then resolved", after(&timed_out, &[resumed(true), resolved(&[IT])])),
        ("ls", "looked at once more, and succeeded", after(&late, &[settled(IT, Settled::Succeeded, id)])),
    ]
}

pub(super) fn facts() -> Vec<FactRow> {
    let mut rows: Vec<FactRow> = Vec::new();
    let alone = |rows: &mut Vec<FactRow>, facts: Vec<(&str, What)>| {
        rows.extend(facts.into_iter().map(|(name, what)| (name.to_owned(), vec![], what)));
    };
    let sent = vec![submitting(OTHERS, 1, &[OTHER])];
    let taken = [sent.clone(), vec![accepted(OTHERS, &["R_2"])]].concat();
    let unclear = [sent.clone(), vec![unanswered(OTHERS, false)]].concat();
    let of_process = vec![
        ("started", What::Started),
        ("resumed", resumed(false)),
        ("resumed to poll only", resumed(true)),
        (
            "approved",
            What::Approved { by: "a@b".into(), key: "SHA256:x".into(), given: "t".into(), expires: "t".into() },
        ),
        ("awaiting: a wave, of one", What::Awaiting { wave: 2 }),
        ("promoted: a wave, of one", What::Promoted { wave: 2, by: None, reason: None, held: false }),
        ("unmet: its step, which waits for none", What::Unmet { step: 1, targets: vec![0] }),
        ("adopted", What::Adopted { by: None, reason: "moved".into() }),
        ("continued", What::Continued { by: None, reason: "seen".into() }),
        ("stopping", What::Stopping { why: StopReason::Signal }),
        ("tallied", What::Tallied { gets: 3, throttled: 1 }),
        ("ended, not complete", What::Ended { complete: false }),
        ("ended, complete", What::Ended { complete: true }),
    ];
    alone(&mut rows, of_process);
    for (whom, item) in [("it", IT), ("another", OTHER), ("none", NONE)] {
        let named = [
            (format!("done before: {whom}"), done_before(&[item], Before::Succeeded)),
            (format!("perhaps done before: {whom}"), done_before(&[item], Before::Unmatched)),
            (format!("blocked: {whom}"), blocked(&[item])),
            (format!("expired: {whom}"), What::Expired { items: items(&[item]) }),
            (format!("permitted: {whom}"), permitted(&[item])),
            (format!("submitting: {whom}"), submitting(NEXT, 1, &[item])),
        ];
        rows.extend(named.map(|(name, what)| (name, vec![], what)));
    }
    let of_type = What::Submitting { batch: BatchId(NEXT), step: 1, event_type: EventType::Agent, items: items(&[IT]) };
    alone(
        &mut rows,
        vec![
            ("submitting: it and another", submitting(NEXT, 1, &[IT, OTHER])),
            ("submitting: it twice", submitting(NEXT, 1, &[IT, IT])),
            ("submitting: it, in another step", submitting(NEXT, 0, &[IT])),
            ("submitting: it, as another type", of_type),
            ("submitting: it, in a batch that was", submitting(FIRST, 1, &[IT])),
            ("submitting: it, in the last number", submitting(u32::MAX, 1, &[IT])),
            ("submitting: nothing", submitting(NEXT, 1, &[])),
        ],
    );
    for (whose, batch, before) in [("its", ITS, &vec![]), ("another", OTHERS, &sent), ("no", NEVER, &vec![])] {
        let answers = [
            (format!("accepted: {whose} batch, an id"), accepted(batch, &["R"])),
            (format!("accepted: {whose} batch, no id"), accepted(batch, &[])),
            (format!("rejected: {whose} batch"), rejected(batch)),
            (format!("returned: {whose} batch"), returned(batch)),
            (format!("unanswered: {whose} batch"), unanswered(batch, false)),
            (format!("lost: {whose} batch"), unanswered(batch, true)),
        ];
        rows.extend(answers.map(|(name, what)| (name, before.clone(), what)));
    }
    for (whose, step) in [("its", 1), ("another", 0), ("no", 9)] {
        rows.push((format!("held: {whose} step"), vec![], What::Held { step }));
        rows.push((format!("released: {whose} step"), vec![], What::Released { step }));
    }
    rows.push(("resolved: it".into(), vec![], resolved(&[IT])));
    rows.push(("resolved: another".into(), unclear, resolved(&[OTHER])));
    rows.push(("resolved: none".into(), vec![], resolved(&[NONE])));
    let refs = [
        ("its id", of(ITS, 0), &vec![]),
        ("another's id", of(OTHERS, 0), &taken),
        ("an id beyond its own", of(ITS, 4), &vec![]),
        ("an id of no batch", of(NEVER, 0), &vec![]),
    ];
    for (whose, of, before) in refs {
        rows.push((format!("seen: {whose}"), before.clone(), What::Seen { of, status: "queued".into() }));
        for (whom, item) in [("it", IT), ("another", OTHER), ("none", NONE)] {
            rows.push((format!("paired: {whose} with {whom}"), before.clone(), paired(of, item)));
            let name = format!("succeeded: {whom}, by {whose}");
            rows.push((name, before.clone(), settled(item, Settled::Succeeded, Some(of))));
        }
    }
    let outcomes = [Settled::Failed, Settled::StillQueued, Settled::TimedOut, Settled::Unknown, Settled::Unmatched];
    for outcome in outcomes {
        rows.push((format!("{outcome:?}: it, by its id"), vec![], settled(IT, outcome, Some(of(ITS, 0)))));
    }
    for outcome in outcomes.into_iter().chain([Settled::Succeeded]) {
        rows.push((format!("{outcome:?}: it, by no id"), vec![], settled(IT, outcome, None)));
    }
    for (whose, target) in [("its", 0), ("another", 1), ("no", 9)] {
        for step in [0, 1, 2, 9] {
            rows.push((format!("barred: {whose} target, by step {step}"), vec![], What::Barred { target, step }));
        }
    }
    rows
}
