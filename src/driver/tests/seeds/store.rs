//! The store of a seed's processes: one in memory, which can fail at a read, and tells when the process shall die with
//! an append. Whoever checks hears every fact once it is durable.

use super::model::Model;
use crate::engine::call::ItemBody;
use crate::engine::fact::{Fact, ItemId, RemediationRef};
use crate::engine::{Ask, Granted, Wish};
use crate::journal::{Head, MemoryStore, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// See the module.
pub(super) struct SeedStore {
    pub(super) inner: MemoryStore,
    pub(super) model: Model,
    pub(super) run: usize,
    /// The read with this number fails, counted down; 0 for none.
    pub(super) read_fails: Arc<AtomicU64>,
    /// Told after a failed append when the process dies with it.
    pub(super) dies: Option<Arc<Notify>>,
}

impl SeedStore {
    fn read_fails(&self) -> Result<(), StoreError> {
        let left = self.read_fails.load(Ordering::Relaxed);
        self.read_fails.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            return Err(StoreError::Io { doing: "read", path: "memory".into(), cause: "the disk is gone".into() });
        }
        Ok(())
    }
}

impl Store for SeedStore {
    fn append(&mut self, expected: Head, facts: &[Fact]) -> Result<Head, StoreError> {
        let before = self.inner.head();
        let result = self.inner.append(expected, facts);
        if self.inner.head() != before {
            self.model.durable(self.run, facts);
        }
        if let (Err(_), Some(dies)) = (&result, &self.dies) {
            dies.notify_one();
        }
        result
    }

    fn reserve(&mut self, ask: &Ask) -> Result<Granted, StoreError> {
        Ok(self.model.state().budget.reserve(ask))
    }

    fn slots(&mut self, wish: &Wish) -> Result<u16, StoreError> {
        self.inner.slots(wish)
    }

    fn bodies(&mut self, items: &[ItemId]) -> Result<Vec<ItemBody>, StoreError> {
        self.read_fails()?;
        self.inner.bodies(items)
    }

    fn remediation_id(&mut self, of: RemediationRef) -> Result<String, StoreError> {
        self.read_fails()?;
        self.inner.remediation_id(of)
    }
}
