//! Which id is whose: shuffled, repeated, missing and foreign ids, one table row at a time.

use super::*;

/// Items 0, 1, … on the agents given, with unique ids `u0`, `u1`, ….
fn batch(agents: &[&str], ids: &[&str]) -> Batch {
    let members = agents
        .iter()
        .enumerate()
        .map(|(n, agent)| Member::new(ItemId(n as u32), fingerprint(agent), fingerprint(&format!("u{n}"))))
        .collect();
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    Batch::new(0, members, &ids, true)
}

fn named(agent: Option<&str>, unique: Option<&str>) -> Named {
    Named { agent: agent.map(fingerprint), unique: unique.map(fingerprint), foreign: false }
}

fn end(outcome: Settled) -> End {
    End { outcome, status: None, message: None }
}

/// Reads details `(place, agent, unique, outcome)` and says what was ruled: `item:id:outcome`.
fn ruled(mut batch: Batch, details: &[(usize, Option<&str>, Option<&str>, Settled)]) -> Vec<String> {
    let mut said = Vec::new();
    let mut hear = |batch: &mut Batch| {
        for ruling in batch.rulings() {
            assert!(batch.settle(ruling.item, ruling.index.map(usize::from)), "item settled twice: {ruling:?}");
            let id = ruling.index.map_or("-".to_owned(), |index| index.to_string());
            let by = ruling.by.map_or(String::new(), |by| format!(" by {by:?}"));
            said.push(format!("{}:{id}:{:?}{by}", ruling.item.0, ruling.end.outcome));
        }
    };
    hear(&mut batch);
    for (place, agent, unique, outcome) in details {
        let named = named(*agent, *unique);
        match batch.evidence(*place, named) {
            Some((item, by)) => assert!(batch.pair(*place, item, by)),
            None => batch.remember(*place, named),
        }
        batch.end(*place, end(*outcome));
        hear(&mut batch);
    }
    assert!(batch.rulings().is_empty());
    said
}

use Settled::{Failed, StillQueued, Succeeded};

#[test]
fn the_detail_decides_and_not_the_position() {
    let got = ruled(
        batch(&["a", "b"], &["r1", "r2"]),
        &[(0, Some("b"), Some("u1"), Succeeded), (1, Some("a"), Some("u0"), Failed)],
    );
    assert_eq!(got, ["1:0:Succeeded by AgentAndUniqueId", "0:1:Failed by AgentAndUniqueId"]);
}

#[test]
fn an_agent_alone_is_proof_when_no_other_item_is_on_it() {
    let got =
        ruled(batch(&["a", "b"], &["r1", "r2"]), &[(0, Some("a"), None, Succeeded), (1, Some("b"), None, Failed)]);
    assert_eq!(got, ["0:0:Succeeded by Agent", "1:1:Failed by Agent"]);
}

#[test]
fn with_fewer_ids_than_items_the_details_say_who_has_none() {
    let got = ruled(
        batch(&["a", "b", "c"], &["r1", "r2"]),
        &[(0, Some("c"), None, Succeeded), (1, Some("a"), None, Succeeded)],
    );
    assert_eq!(got, ["2:0:Succeeded by Agent", "0:1:Succeeded by Agent", "1:-:Unknown"]);
}

#[test]
fn no_ids_at_all_leave_everything_unknown_at_once() {
    assert_eq!(ruled(batch(&["a", "b"], &[]), &[]), ["0:-:Unknown", "1:-:Unknown"]);
}

#[test]
fn an_id_that_comes_twice_counts_once() {
    let got = ruled(batch(&["a", "b"], &["r1", "r1"]), &[(0, Some("a"), Some("u0"), Succeeded)]);
    assert_eq!(got, ["0:0:Succeeded by AgentAndUniqueId", "1:-:Unknown"]);
}

#[test]
fn two_ids_proven_for_one_item_settle_it_once() {
    let got = ruled(
        batch(&["a", "b"], &["r1", "r2"]),
        &[(0, Some("a"), Some("u0"), Succeeded), (1, Some("a"), Some("u0"), Failed)],
    );
    assert_eq!(got, ["0:0:Succeeded by AgentAndUniqueId", "1:-:Unknown"]);
}

#[test]
fn a_detail_about_something_else_is_never_a_success() {
    let other_agent = ruled(batch(&["a"], &["r1"]), &[(0, Some("z"), None, Succeeded)]);
    let other_event = ruled(batch(&["a"], &["r1"]), &[(0, Some("a"), Some("u9"), Succeeded)]);
    assert_eq!(other_agent, ["0:-:Unmatched"]);
    assert_eq!(other_event, ["0:-:Unmatched"]);
}

#[test]
fn candidates_that_end_alike_share_the_outcome() {
    let got = ruled(batch(&["a", "b"], &["r1", "r2"]), &[(0, None, None, Succeeded), (1, None, None, Succeeded)]);
    assert_eq!(got, ["0:0:Succeeded by AllAlike", "1:1:Succeeded by AllAlike"]);
}

#[test]
fn candidates_that_end_differently_are_unmatched() {
    let got = ruled(batch(&["a", "b"], &["r1", "r2"]), &[(0, None, None, Succeeded), (1, None, None, Failed)]);
    assert_eq!(got, ["0:-:Unmatched", "1:-:Unmatched"]);
}

#[test]
fn too_few_vague_ids_prove_nobody_even_when_alike() {
    let got = ruled(
        batch(&["a", "a", "a"], &["r1", "r2"]),
        &[(0, Some("a"), None, Succeeded), (1, Some("a"), None, Succeeded)],
    );
    assert_eq!(got, ["0:-:Unmatched", "1:-:Unmatched", "2:-:Unmatched"]);
}

#[test]
fn proofs_narrow_down_what_is_vague() {
    let got =
        ruled(batch(&["a", "b"], &["r1", "r2"]), &[(0, None, None, Failed), (1, Some("a"), Some("u0"), Succeeded)]);
    assert_eq!(got, ["0:1:Succeeded by AgentAndUniqueId", "1:0:Failed by OnlyOneLeft"]);
}

#[test]
fn an_only_item_with_an_only_id_needs_no_names() {
    assert_eq!(ruled(batch(&["a"], &["r1"]), &[(0, None, None, StillQueued)]), ["0:0:StillQueued by OnlyOneLeft"]);
}

#[test]
fn unusable_ids_leave_their_item_unmatched() {
    assert_eq!(
        ruled(batch(&["a", "b"], &["", "r2"]), &[(1, Some("b"), None, Succeeded)]),
        ["0:-:Unmatched", "1:1:Succeeded by Agent"]
    );
}

#[test]
fn more_ids_than_items_keep_what_is_proven() {
    let got = ruled(batch(&["a"], &["r1", "r2"]), &[(1, Some("a"), Some("u0"), Succeeded)]);
    assert_eq!(got, ["0:1:Succeeded by AgentAndUniqueId"]);
}

#[test]
fn an_id_that_later_describes_something_else_contradicts_its_item() {
    let mut batch = batch(&["a", "b"], &["r1", "r2"]);
    assert!(batch.pair(0, ItemId(0), PairedBy::Agent));
    assert_eq!(batch.contradicts(0, named(Some("a"), Some("u0"))), None);
    assert_eq!(batch.contradicts(0, named(None, None)), None, "it says less, not something else");
    for other in [named(Some("z"), None), named(Some("b"), None), Named { foreign: true, ..Named::default() }] {
        assert_eq!(batch.contradicts(0, other), Some(ItemId(0)), "{other:?}");
    }
    assert!(batch.settle(ItemId(0), Some(0)));
    assert_eq!(batch.contradicts(0, named(Some("z"), None)), None, "it is settled already");
}

/// As after a crash: what was settled from an id without proof is known, the id's detail is not.
#[test]
fn an_id_that_settled_an_item_blocks_and_settles_no_other() {
    let mut batch = batch(&["a", "b"], &["r1", "r2"]);
    assert!(batch.pair(0, ItemId(0), PairedBy::Agent));
    assert!(batch.settle(ItemId(1), Some(1)));
    assert_eq!(batch.worth_reading().collect::<Vec<_>>(), [0]);
    batch.end(0, end(Failed));
    assert_eq!(batch.rulings().len(), 1);
}

#[test]
fn the_agent_in_an_id_guides_which_is_read_for_whom() {
    let members: Vec<Member> =
        ["a", "b", "c"].iter().enumerate().map(|(n, a)| Member::new(ItemId(n as u32), fingerprint(a), 0)).collect();
    let ids: Vec<String> = ["RTF_c_1-2026_x", "other", "RTP_a_1-2026_y"].map(str::to_owned).into();
    assert_eq!(guess(&members, &ids), [Some(2), Some(1), Some(0)]);
}

/// Whatever the details say, no item is settled twice and none is left when all ids have ended.
#[test]
fn every_item_is_ruled_once_whatever_is_said() {
    let choices = [Some("a"), Some("b"), Some("z"), None];
    let uniques = [Some("u0"), Some("u1"), None];
    let outcomes = [Succeeded, Failed];
    for ids in [vec!["r1"], vec!["r1", "r2"], vec!["r1", "r2", "r3"], vec!["r1", "r1"], vec!["", "r2"]] {
        for seed in 0..choices.len().pow(3) * uniques.len().pow(3) * 8 {
            let mut rest = seed;
            let mut pick = |n: usize| {
                let choice = rest % n;
                rest /= n;
                choice
            };
            let details: Vec<_> = (0..ids.len())
                .filter(|place| !ids[*place].is_empty() && !ids[..*place].contains(&ids[*place]))
                .map(|place| (place, choices[pick(4)], uniques[pick(3)], outcomes[pick(2)]))
                .collect();
            let got = ruled(batch(&["a", "b"], &ids), &details);
            assert_eq!(got.len(), 2, "ids {ids:?} details {details:?}: {got:?}");
        }
    }
}
