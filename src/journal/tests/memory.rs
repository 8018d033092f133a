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
    for (when, durable) in [(FailAt::Before, 1), (FailAt::After, 2)] {
        let mut store = MemoryStore::with_bodies(Vec::new());
        store.fail_at(2, when);
        let head = store.append(store.head(), &[at(0, What::Started)]).unwrap();
        let failed = store.append(head, &[at(1, What::Resumed { by: None, only_polls: false })]);
        assert!(matches!(failed, Err(StoreError::Io { .. })));
        assert!(matches!(store.append(store.head(), &[]), Err(StoreError::TakenOver(_))));
        let mut next = store.take_over();
        assert_eq!((next.facts().unwrap().len(), next.appends()), (durable, 2));
        next.append(next.head(), &[at(2, What::Resumed { by: None, only_polls: false })]).unwrap();
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
