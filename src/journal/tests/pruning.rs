//! Old runs go, those that anybody may still need stay, and what is left is whole.

use super::history::{became, begin_with, plain_plan};
use super::*;
use std::time::Duration;

const DAY_MS: u64 = 24 * 3600 * 1000;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn days(days: u64) -> Duration {
    Duration::from_millis(days * DAY_MS)
}

/// A run over these events that sent them all and ended; each item's outcome, if any.
fn run(state: &Path, id: &str, events: std::ops::Range<u32>, step: u16, outcomes: &[Option<Settled>], complete: bool) {
    let count = events.len() as u32;
    let mut run = begin_with(state, id, &plain_plan(events, step));
    let ends = (0..).zip(outcomes).filter_map(|(item, outcome)| Some(at(3, became(item, (*outcome)?))));
    let mut facts = vec![at(1, submitting(1, 0..count)), at(2, accepted(1, count))];
    facts.extend(ends);
    facts.push(at(4, What::Ended { complete }));
    append_all(&mut run, &[facts]);
}

fn pruned(state: &Path, older: Duration, after_days: u64, dry: bool) -> (Vec<String>, Vec<String>) {
    let now = Moment(1_790_000_000_004 + after_days * DAY_MS);
    let pruned = prune(state, Some(TENANT), older, now, dry).unwrap();
    let gone = pruned.gone.into_iter().map(|run| run.id).collect();
    (gone, pruned.spared.into_iter().map(|(run, why)| format!("{}: {why}", run.id)).collect())
}

fn all_verify(state: &Path) -> Vec<String> {
    let all = runs(state).unwrap().runs;
    all.into_iter().map(|run| verify(state, Some(&run.meta.id)).unwrap().meta.id).collect()
}

#[test]
fn only_what_nobody_needs_goes() {
    use Settled::{Failed, Succeeded, Unknown};
    let state = tempfile::tempdir().unwrap();
    run(state.path(), "failed", 0..2, 1, &[Some(Failed), Some(Failed)], true);
    run(state.path(), "done", 2..4, 1, &[Some(Succeeded), Some(Failed)], true);
    run(state.path(), "unclear", 4..6, 1, &[Some(Unknown), Some(Succeeded)], true);
    run(state.path(), "undo", 4..5, 0, &[Some(Succeeded)], true);
    run(state.path(), "partly", 6..8, 1, &[Some(Failed), None], false);
    run(state.path(), "newest", 8..9, 1, &[Some(Failed)], true);
    let unclear = "unclear: what became of 1 of its acts is not known: poll or resolve them";
    let partly = "partly: it did not end complete";
    let newest = "newest: it is the newest run of its tenant";

    let recent = ["failed", "done", "unclear", "undo"].map(|run| format!("{run}: it ended not long enough ago"));
    let (gone, spared) = pruned(state.path(), days(29), 29, false);
    assert_eq!((gone.len(), &spared[..4], &spared[4..]), (0, &recent[..], &[partly.to_owned(), newest.to_owned()][..]));

    // Thirty days at least, however short the time that is asked for.
    let (gone, spared) = pruned(state.path(), days(1), 29, true);
    let keeps = "1 of its successes keep later runs from repeating them";
    let expected =
        [format!("done: {keeps}"), unclear.to_owned(), format!("undo: {keeps}"), partly.into(), newest.into()];
    assert_eq!((gone, spared), (vec!["failed".to_owned()], expected.to_vec()));

    let expected = [unclear, "undo: its acts undid those of another run, which is kept", partly, newest];
    let gone_and_spared = (vec!["failed".to_owned(), "done".to_owned()], expected.map(str::to_owned).to_vec());
    let before = all_verify(state.path());
    assert_eq!(pruned(state.path(), days(30), 40, true), gone_and_spared);
    assert_eq!(all_verify(state.path()), before, "a dry one removes nothing");
    assert_eq!(pruned(state.path(), days(30), 40, false), gone_and_spared);
    assert_eq!(all_verify(state.path()), ["newest", "partly", "unclear", "undo"].map(str::to_owned));
    assert_eq!(pruned(state.path(), days(30), 40, false).0, [""; 0]);

    // What was kept still says so, and the names, rows and events of new runs are their own.
    let next = begin_with(state.path(), "next", &plain_plan(0..9, 1));
    let told = next
        .done_before(
            (0..9).map(ItemId),
            Question { now: Moment(1_790_000_000_004 + 40 * DAY_MS), window: days(30), permitted: &[] },
        )
        .unwrap();
    let told: Vec<_> = told.into_iter().flat_map(|told| told.items).collect();
    assert_eq!(told, [ItemId(7)]);
    drop(next);
    assert_eq!(all_verify(state.path()).len(), 5);
    let database = rusqlite::Connection::open(state.path().join(TENANT).join("journal.sqlite")).unwrap();
    database.execute_batch("VACUUM").unwrap();
    drop(database);
    assert_eq!(all_verify(state.path()).len(), 5, "shrinking it changes nothing");
}

#[test]
fn the_widest_window_of_any_run_decides() {
    let state = tempfile::tempdir().unwrap();
    run(state.path(), "done", 0..1, 1, &[Some(Settled::Succeeded)], true);
    let mut plan = plain_plan(0..1, 1);
    plan.header.dedupe_window = YEAR;
    drop(begin_with(state.path(), "wide", &plan));
    let spared = pruned(state.path(), days(90), 364, false).1;
    assert_eq!(spared[0], "done: 1 of its successes keep later runs from repeating them");
    assert_eq!(pruned(state.path(), days(90), 366, false).0, ["done"]);
}

/// Its window would be forgotten with it, and the next one would let go what it still forbids.
#[test]
fn the_newest_run_with_the_widest_window_stays() {
    let state = tempfile::tempdir().unwrap();
    for id in ["wide", "wide-too"] {
        let mut plan = plain_plan(0..1, 1);
        plan.header.dedupe_window = YEAR;
        let ended = vec![at(0, What::Started), at(1, What::Ended { complete: true })];
        append_all(&mut begin_with(state.path(), id, &plan), &[ended]);
    }
    run(state.path(), "done", 0..1, 1, &[Some(Settled::Succeeded)], true);
    run(state.path(), "newest", 1..2, 1, &[Some(Settled::Failed)], true);
    for _ in 0..2 {
        let (gone, spared) = pruned(state.path(), days(60), 100, false);
        assert!(gone == ["wide"] || gone.is_empty(), "{gone:?}");
        let widest = "wide-too: its dedupe_window, the widest of all, says how long successes are kept";
        assert_eq!((spared[0].as_str(), spared.len()), (widest, 3), "{spared:?}");
    }
}

#[test]
fn a_journal_that_is_not_whole_or_in_use_loses_nothing() {
    let state = tempfile::tempdir().unwrap();
    let ended = |id: &str| run(state.path(), id, 0..2, 1, &[Some(Settled::Failed), Some(Settled::Failed)], true);
    ended("one");
    ended("two");
    let other = Journal::open(state.path(), "other").unwrap();
    drop(other.begin(&RunMeta { tenant: "other".into(), ..meta("elsewhere", 1) }, &plan(3)).unwrap());
    let held = Journal::open(state.path(), TENANT).unwrap();
    let all = |dry| prune(state.path(), None, days(0), Moment(u64::MAX / 2), dry).unwrap();
    let refused = all(false);
    assert!(matches!(refused.refused[..], [StoreError::Held { .. }]), "{refused:?}");
    assert_eq!((refused.gone.len(), refused.spared.len()), (0, 1));
    drop(held);
    let database = rusqlite::Connection::open(state.path().join(TENANT).join("journal.sqlite")).unwrap();
    database.execute_batch("UPDATE facts SET at = at + 1 WHERE run = 2 AND seq = 1").unwrap();
    assert!(matches!(all(false).refused[..], [StoreError::Damaged { .. }]));
    database.execute_batch("UPDATE facts SET at = at - 1 WHERE run = 2 AND seq = 1").unwrap();
    drop(database);
    let gone: Vec<_> = all(false).gone.into_iter().map(|run| run.id).collect();
    assert_eq!(gone, ["one"]);
    assert!(matches!(prune(state.path(), Some("none"), days(0), Moment(0), true), Err(StoreError::NoRun(_))));
    assert!(!state.path().join("none").exists());
}
