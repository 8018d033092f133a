//! A store in memory, for runs that nobody has to find again (`quell test`) and for tests of what stands above it: it can
//! fail at a chosen append, and outlives its driver.
//!
//! Facts are kept as the texts that a journal would hold, with the same chain, so that a test that reads them back also
//! shows that they survive being written.

use super::chain::PlanHash;
use super::{Head, ItemBody, Store, StoreError};
use crate::engine::fact::{BatchId, Fact, ItemId, Moment, RemediationRef, What};
use crate::engine::{Ask, Granted, Wish};
use crate::plan::Plan;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the chosen append fails. After each of them its owner is refused everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailAt {
    /// Nothing of it is durable: a full disk.
    Before,
    /// All of it is durable, and the caller does not learn so: a crash in between.
    After,
    /// It is written and its sync fails: whoever takes the run over finds it, unless the power is cut before.
    Sync,
    /// Only this many of its facts are written. A transaction is whole or absent: whoever takes the run over finds none.
    Short(usize),
}

/// One owner's hold on a run in memory. [`MemoryStore::take_over`] gives another one, and this one's appends then fail.
#[derive(Debug)]
pub struct MemoryStore {
    owner: u64,
    ended: Option<String>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    owner: u64,
    bodies: Vec<ItemBody>,
    facts: Vec<(Moment, String)>,
    accepted: HashMap<BatchId, Vec<String>>,
    head: Head,
    /// When calls were answered, and what the owner has reserved beyond that.
    spent: Vec<Moment>,
    reserved: (u64, u32),
    appends: u64,
    fail: Option<(u64, FailAt)>,
    /// What stands behind the last transaction that is whole and synced.
    tail: Tail,
}

/// What the system holds of appends that failed.
#[derive(Debug, Default)]
struct Tail {
    /// A whole transaction that was not synced.
    unsynced: Option<Transaction>,
    /// Facts of one that is not whole.
    torn: Vec<(Moment, String)>,
}

/// What one append makes durable.
#[derive(Debug, Clone)]
struct Transaction {
    facts: Vec<(Moment, String)>,
    accepted: Vec<(BatchId, Vec<String>)>,
    head: Head,
}

impl MemoryStore {
    /// A run of this plan without facts.
    pub fn new(plan: &Plan) -> Self {
        let bodies = plan.items.iter().map(|item| {
            let event = &plan.events[item.event as usize];
            ItemBody {
                agent_id: event.agent_id.clone(),
                event_id: event.event_id.clone(),
                event_type: event.event_type,
                pid: event.pid,
                unique_id: event.unique_id.clone(),
            }
        });
        Self::with_bodies(bodies.collect())
    }

    /// A run whose items send these bodies.
    pub fn with_bodies(bodies: Vec<ItemBody>) -> Self {
        let head = PlanHash::new("", "").finish();
        let (facts, accepted, spent) = (Vec::new(), HashMap::new(), Vec::new());
        let (appends, fail, tail) = (0, None, Tail::default());
        let shared = Shared { owner: 0, bodies, facts, accepted, head, spent, reserved: (0, 0), appends, fail, tail };
        Self { owner: 0, ended: None, shared: Arc::new(Mutex::new(shared)) }
    }

    /// Takes the run over, as a resuming process does. It has all whole transactions that the system holds, and no
    /// failure pending.
    pub fn take_over(&self) -> Self {
        let mut shared = self.shared();
        shared.owner += 1;
        shared.fail = None;
        let Tail { unsynced, torn } = std::mem::take(&mut shared.tail);
        drop(torn);
        unsynced.into_iter().for_each(|found| shared.keep(found));
        Self { owner: shared.owner, ended: None, shared: Arc::clone(&self.shared) }
    }

    /// Takes the run over after the power was cut: what was not synced is gone.
    pub fn take_over_after_power_cut(&self) -> Self {
        self.shared().tail = Tail::default();
        self.take_over()
    }

    /// Looks at the run without owning it: for a test that reads the facts while, or after, another one writes them.
    pub fn observer(&self) -> Self {
        let ended = Some("it only looks on".to_owned());
        Self { owner: u64::MAX, ended, shared: Arc::clone(&self.shared) }
    }

    /// Lets the append with this number fail, counted from 1 over all owners.
    pub fn fail_at(&self, append: u64, when: FailAt) {
        self.shared().fail = Some((append, when));
    }

    /// How many appends were tried.
    pub fn appends(&self) -> u64 {
        self.shared().appends
    }

    /// The durable facts, read back from their texts.
    pub fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        let read = |(at, body): &(Moment, String)| Ok(Fact { at: *at, what: parse(body)? });
        self.shared().facts.iter().map(read).collect()
    }

    /// The end of the chain.
    pub fn head(&self) -> Head {
        self.shared().head
    }

    /// The moments from which calls age when a new owner begins at `now`: what the last one had reserved and not
    /// accounted for may have been spent until then.
    pub fn spent(&self, now: Moment) -> Vec<Moment> {
        let shared = self.shared();
        let reserved = std::iter::repeat_n(now, shared.reserved.1 as usize);
        shared.spent.iter().copied().chain(reserved).collect()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A test that panicked elsewhere must not hide behind a second panic; an append is all or nothing in any case.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guarded<T>(&mut self, work: impl FnOnce(&mut Shared, u64) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(why) = &self.ended {
            return Err(StoreError::TakenOver(format!("an earlier failure ended it: {why}")));
        }
        let result = work(&mut self.shared(), self.owner);
        self.ended = result.as_ref().err().map(ToString::to_string);
        result
    }
}

impl Shared {
    fn keep(&mut self, made: Transaction) {
        let Transaction { mut facts, accepted, head } = made;
        self.facts.append(&mut facts);
        self.accepted.extend(accepted);
        self.head = head;
    }
}

impl Transaction {
    fn of(mut head: Head, facts: &[Fact]) -> Result<Self, StoreError> {
        let (mut texts, mut accepted) = (Vec::with_capacity(facts.len()), Vec::new());
        for fact in facts {
            let body = serde_json::to_string(&fact.what).map_err(|e| injected(&e.to_string()))?;
            head = head.then(fact.at, &body);
            texts.push((fact.at, body));
            if let What::Accepted { batch, ids } = &fact.what {
                accepted.push((*batch, ids.clone()));
            }
        }
        Ok(Self { facts: texts, accepted, head })
    }
}

impl Store for MemoryStore {
    fn append(&mut self, expected: Head, facts: &[Fact]) -> Result<Head, StoreError> {
        self.guarded(|shared, owner| {
            shared.appends += 1;
            let fail = shared.fail.filter(|(append, _)| *append == shared.appends).map(|(_, when)| when);
            if owner != shared.owner || expected != shared.head {
                return Err(StoreError::TakenOver("another process has written to it".to_owned()));
            }
            let made = Transaction::of(shared.head, facts)?;
            let head = made.head;
            match fail {
                None => {
                    shared.keep(made);
                    Ok(head)
                }
                Some(FailAt::Before) => Err(injected("the disk is full")),
                Some(FailAt::After) => {
                    shared.keep(made);
                    Err(injected("the process was killed"))
                }
                Some(FailAt::Sync) => {
                    shared.tail.unsynced = Some(made);
                    Err(injected("syncing failed"))
                }
                Some(FailAt::Short(count)) => {
                    shared.tail.torn = made.facts.into_iter().take(count).collect();
                    Err(injected("writing ended early"))
                }
            }
        })
    }

    fn reserve(&mut self, ask: &Ask) -> Result<Granted, StoreError> {
        self.guarded(|shared, owner| {
            if owner != shared.owner {
                return Err(StoreError::TakenOver("another process has written to it".to_owned()));
            }
            if shared.reserved.0 != owner {
                shared.spent.extend(std::iter::repeat_n(ask.at, shared.reserved.1 as usize));
            }
            shared.spent.extend(&ask.answered);
            let counts = |spent: &&Moment| spent.0 + ask.window_ms >= ask.at.0;
            let spent: Vec<Moment> = shared.spent.iter().filter(counts).copied().collect();
            let counted = u32::try_from(spent.len()).unwrap_or(u32::MAX).saturating_add(ask.open);
            let calls = ask.most.saturating_sub(counted).min(ask.calls);
            shared.reserved = (owner, ask.open + calls);
            let oldest = spent.iter().min().copied().unwrap_or(ask.at);
            Ok(Granted { calls, next: Moment(oldest.0 + ask.window_ms + 1) })
        })
    }

    fn slots(&mut self, wish: &Wish) -> Result<u16, StoreError> {
        self.guarded(|_, _| Ok(wish.slots))
    }

    fn bodies(&mut self, items: &[ItemId]) -> Result<Vec<ItemBody>, StoreError> {
        self.guarded(|shared, _| {
            let body = |item: &ItemId| shared.bodies.get(item.0 as usize).cloned();
            let all: Option<Vec<_>> = items.iter().map(body).collect();
            all.ok_or_else(|| damaged("an item is missing".to_owned()))
        })
    }

    fn remediation_id(&mut self, of: RemediationRef) -> Result<String, StoreError> {
        self.guarded(|shared, _| {
            let id = shared.accepted.get(&of.batch).and_then(|ids| ids.get(usize::from(of.index)));
            id.cloned().ok_or_else(|| damaged(format!("the answer to batch {} has no id {}", of.batch.0, of.index)))
        })
    }
}

fn parse(body: &str) -> Result<What, StoreError> {
    serde_json::from_str(body).map_err(|e| damaged(format!("a fact cannot be read: {e}")))
}

fn injected(cause: &str) -> StoreError {
    StoreError::Io { doing: "write", path: "memory".to_owned(), cause: cause.to_owned() }
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged { path: "memory".to_owned(), what }
}
