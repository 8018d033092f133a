//! The store in memory behaves as the one on disk does.

use super::*;

#[test]
fn both_stores_build_the_same_chain_and_give_the_same_answers() {
    let state = tempfile::tempdir().unwrap();
    let plan = plan(12);
    let mut disk = begin(state.path(), "a", 1);
    let mut memory = MemoryStore::new(&plan);
    for facts in history() {
        let head = memory.append(memory.head(), &facts).unwrap();
        assert_eq!(disk.append(disk.head(), &facts).unwrap().sequence, head.sequence);
    }
    assert_eq!(memory.facts().unwrap(), facts_of(&disk.reader().unwrap()).unwrap());
    let items: Vec<_> = (0..18).rev().map(ItemId).collect();
    assert_eq!(memory.bodies(&items).unwrap(), disk.bodies(&items).unwrap());
    for (batch, index) in [(2, 0), (3, 2)] {
        let of = RemediationRef { batch: BatchId(batch), index };
        assert_eq!(memory.remediation_id(of).unwrap(), disk.remediation_id(of).unwrap());
    }
}

#[test]
fn it_fails_where_it_is_told_to_and_goes_on_from_what_was_durable() {
    for (when, after_kill, after_power_cut) in [
        (FailAt::Before, 1, 1),
        (FailAt::After, 3, 3),
        (FailAt::Sync, 3, 1),
        (FailAt::Short(0), 1, 1),
        (FailAt::Short(1), 1, 1),
        (FailAt::Short(2), 1, 1),
    ] {
        for (cut, durable) in [(false, after_kill), (true, after_power_cut)] {
            let mut store = MemoryStore::with_bodies(Vec::new());
            store.fail_at(2, when);
            let head = store.append(store.head(), &[at(0, What::Started)]).unwrap();
            let resumed = || at(1, What::Resumed { by: None, only_polls: false });
            let failed = store.append(head, &[resumed(), at(1, accepted(1, 2))]);
            assert!(matches!(failed, Err(StoreError::Io { .. })), "{when:?}");
            // The first error is final, whatever it was.
            assert!(matches!(store.append(store.head(), &[]), Err(StoreError::TakenOver(_))), "{when:?}");
            assert!(matches!(store.bodies(&[]), Err(StoreError::TakenOver(_))), "{when:?}");
            let mut next = if cut { store.take_over_after_power_cut() } else { store.take_over() };
            let found = (next.facts().unwrap().len(), next.appends());
            assert_eq!(found, (durable, 2), "{when:?}");
            let id = next.remediation_id(RemediationRef { batch: BatchId(1), index: 1 });
            assert_eq!(id.is_ok(), durable > 1, "{when:?}");
            let mut next = next.take_over();
            next.append(next.head(), &[resumed()]).unwrap();
            assert_eq!(next.facts().unwrap().len(), durable + 1, "{when:?}: what was synced stays");
            assert_eq!(next.take_over_after_power_cut().facts().unwrap().len(), durable + 1, "{when:?}");
        }
    }
}

#[test]
fn only_the_last_owner_appends() {
    let mut first = MemoryStore::with_bodies(Vec::new());
    let mut second = first.take_over();
    assert!(matches!(first.append(first.head(), &[]), Err(StoreError::TakenOver(_))));
    second.append(second.head(), &[at(0, What::Started)]).unwrap();
    let mut observer = first.observer();
    assert_eq!(observer.facts().unwrap().len(), 1);
    assert!(matches!(observer.append(observer.head(), &[]), Err(StoreError::TakenOver(_))));
}
