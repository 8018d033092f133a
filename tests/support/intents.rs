//! What the journal says of a run's acts: which were about to be sent, and which have a durable answer.
//!
//! It reads the state folder beside whoever writes it. What cannot be read is a failure of the test, unless there is no
//! run yet.

use quell::engine::fact::{BatchId, ItemId, Moment, What};
use quell::engine::tag;
use quell::journal::{RunReader, StoreError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// See the module.
pub(crate) struct Intents {
    /// The run's name.
    pub(crate) run: String,
    /// The items of each intent.
    pub(crate) items: BTreeMap<BatchId, Vec<ItemId>>,
    /// The intents that have a durable answer.
    pub(crate) answered: BTreeSet<BatchId>,
}

impl Intents {
    /// Of the newest run; `None` when no run has begun.
    pub(crate) fn read(state: &Path) -> Option<Self> {
        let reader = match RunReader::open(state, None) {
            Ok(reader) => reader,
            Err(StoreError::NoRun(_)) => return None,
            Err(e) => panic!("the journal cannot be read: {e}"),
        };
        let (mut items_of, mut answered) = (BTreeMap::new(), BTreeSet::new());
        let mut last = Moment(0);
        let walked = reader.for_each_fact(|fact| {
            assert!(fact.at >= last, "facts follow each other in time, whatever the clock says: {fact:?}");
            last = fact.at;
            match fact.what {
                What::Submitting { batch, items, .. } => {
                    items_of.insert(batch, items);
                }
                What::Accepted { batch, .. }
                | What::Rejected { batch, .. }
                | What::Returned { batch, .. }
                | What::Unanswered { batch, .. } => {
                    answered.insert(batch);
                }
                _ => {}
            }
            Ok(())
        });
        walked.expect("the chain of facts is whole");
        Some(Self { run: reader.meta().id.clone(), items: items_of, answered })
    }

    /// The intents without a durable answer.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (&BatchId, &Vec<ItemId>)> {
        self.items.iter().filter(|(batch, _)| !self.answered.contains(batch))
    }

    /// Their items.
    pub(crate) fn in_doubt(&self) -> BTreeSet<ItemId> {
        self.unanswered().flat_map(|(_, items)| items.iter().copied()).collect()
    }

    /// Everything that was carried out has an intent in the journal.
    pub(crate) fn check_covers(&self, ledger: &Value) {
        let tags: BTreeSet<String> = self.items.keys().map(|batch| tag::tag(&self.run, *batch)).collect();
        for entry in ledger["entries"].as_array().expect("entries") {
            let comment = entry["comment"].as_str().expect("a comment");
            assert!(tags.contains(comment), "carried out without an intent: {entry}");
        }
    }
}
