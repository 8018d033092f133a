//! What earlier runs of the tenant did, or may have done, of a run's items: what keeps one act from being done twice.
//!
//! It judges and records nothing. Whatever was or may have been carried out counts, without an end, until a person or a
//! later poll finds out more; a success counts for a while; an act that was undone since counts no more.

use super::acts;
use super::keys::{ItemKeys, Keys};
use super::reader::RunReader;
use super::schema::{self, from_sqlite};
use super::to_come::NotToCome;
use super::{SqliteRun, StoreError, folder, lock};
use crate::engine::DoneBefore;
use crate::engine::fact::{Before, ItemId, Moment};
use crate::plan::{self, ActKey, Plan};
use rusqlite::{Connection, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// Items that one [`DoneBefore`] names at most: it becomes one fact.
const ITEMS_A_FACT_MAX: usize = 1000;

/// The latest act with a key that was or may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Latest {
    sent: i64,
    run: i64,
    became: Before,
}

/// What the index says about the keys that are asked for.
#[derive(Debug, Default)]
struct Past {
    /// By the place of a key among those asked for: the latest act of another run that still counts.
    acts: HashMap<usize, Latest>,
    /// … and the latest act that was surely carried out, or that the run itself sent: what it undoes counts no more.
    carried_out: HashMap<usize, i64>,
}

/// What is asked of the history.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The time by which ages are told.
    pub now: Moment,
    /// For how long a success counts.
    pub window: Duration,
    /// Items for which no doubt counts that was there when the run began: what is surely done or on its way does.
    pub permitted: &'a [ItemId],
}

impl SqliteRun {
    /// Which of the pending items another run of this tenant carried out, or may have: those that succeeded or were found
    /// carried out not longer than the window ago, and without an end those of which nobody knows for sure. An
    /// item whose inverse was carried out by a later act is free again. Of several acts that count the one sent last decides.
    /// Simulated runs have no past.
    ///
    /// What another run that is going on at this moment has in its plan is left to that one.
    ///
    /// In the order of run and end, with at most 1000 items each, in their order. It fails when the index of acts is not
    /// whole: nothing may be sent then.
    pub fn done_before(
        &self,
        pending: impl IntoIterator<Item = ItemId>,
        question: Question<'_>,
    ) -> Result<Vec<DoneBefore>, StoreError> {
        let Some(item_keys) = self.item_keys() else { return Ok(Vec::new()) };
        let mut pending: Vec<_> = pending.into_iter().collect();
        pending.sort_unstable();
        let history = History { connection: self.connection(), path: self.database(), own: Some(self.key()) };
        let mut asked = Vec::with_capacity(pending.len());
        let snapshot = history.snapshot()?;
        item_keys.for_each(&snapshot, self.database(), |keys| {
            if pending.binary_search(&keys.item).is_ok() {
                asked.push(keys);
            }
        })?;
        drop(snapshot);
        history.judge(&asked, question)
    }
}

/// What [`SqliteRun::done_before`] would say of a new run with this plan, by what can be read at this moment without going
/// to the gate. A journal of schema 1 has no index to ask: it says nothing of what stands in it.
pub fn done_before(state: &Path, plan: &Plan, question: Question<'_>) -> Result<Vec<DoneBefore>, StoreError> {
    let Some(path) = folder::database_in(&state.join(&plan.header.tenant.name))? else { return Ok(Vec::new()) };
    let Some(connection) = schema::open_for_reading(&path)? else { return Ok(Vec::new()) };
    if schema::version(&connection, &path)?.is_none_or(|version| version < 2) {
        return Ok(Vec::new());
    }
    let asked = (0..).map(ItemId).zip(&plan.items).map(|(item, planned)| {
        let (event, step) = (&plan.events[planned.event as usize], &plan.header.steps[usize::from(planned.step)]);
        let sent = event.sent();
        Keys {
            item,
            step: planned.step,
            target: planned.target,
            does: plan::act_key(step, sent),
            undone_by: plan::inverse_key(step, sent),
        }
    });
    History { connection: &connection, path: &path, own: None }.judge(&asked.collect::<Vec<_>>(), question)
}

/// The acts and plans of a tenant's runs, as the one that asks sees them.
struct History<'a> {
    connection: &'a Connection,
    path: &'a Path,
    own: Option<i64>,
}

impl History<'_> {
    fn judge(&self, asked: &[Keys], question: Question<'_>) -> Result<Vec<DoneBefore>, StoreError> {
        let Question { now, window, permitted } = question;
        let permitted: BTreeSet<_> = permitted.iter().collect();
        let mut wanted: Vec<ActKey> =
            asked.iter().flat_map(|keys| [Some(keys.does), keys.undone_by]).flatten().collect();
        wanted.sort_unstable();
        wanted.dedup();
        // Before the index is read: a run that is not there any more has all its acts in what is read from here on, and
        // at the gate nobody else begins meanwhile.
        let live = lock::live_runs(self.path.parent().unwrap_or(Path::new(".")))?;
        let mut past = Past::default();
        let names = acts::prove(self.connection, self.path, |run, act| {
            let Ok(place) = wanted.binary_search(&act.key) else { return };
            let became = act.became.0;
            // What the run itself has sent undoes it or bars what comes after it.
            if became.is_done() || Some(run) == self.own {
                let last = past.carried_out.entry(place).or_insert(act.sent);
                *last = act.sent.max(*last);
            }
            if Some(run) != self.own && counts(became, act.at, now, window) {
                let this = Latest { sent: act.sent, run, became };
                let last = past.acts.entry(place).or_insert(this);
                *last = (*last).max(this);
            }
        })?;
        let planned = self.planned(&live, &names, &wanted)?;
        let place = |key: &ActKey| wanted.binary_search(key).ok();
        // A permission is for the doubts that were there when it was given: when its run began.
        let is_lifted = |found: &Latest, item: &ItemId| {
            matches!(found.became, Before::Unknown | Before::Unmatched | Before::TimedOut)
                && permitted.contains(item)
                && self.own.is_none_or(|own| found.run < own)
        };
        let mut by_step: Vec<&Keys> = asked.iter().collect();
        by_step.sort_by_key(|keys| (keys.step, keys.item));
        // What earlier steps of this very run will do: whatever that undoes is to be done again.
        let mut to_do: HashSet<usize> = HashSet::new();
        let mut told = Vec::new();
        for step in by_step.chunk_by(|one, other| one.step == other.step) {
            let mut of_step = Vec::new();
            for keys in step {
                let undone = keys.undone_by.as_ref().and_then(place).is_some_and(|place| to_do.contains(&place));
                let found = past.judge(keys, &wanted);
                let found = found.filter(|found| !(undone && found.became.is_done() || is_lifted(found, &keys.item)));
                let does = place(&keys.does);
                match (found, does.and_then(|place| planned.get(&place))) {
                    (Some(found), _) => {
                        let name = names.get(&found.run).expect("a row of a run that is not there is damage");
                        told.push((name.clone(), found.became, keys.item));
                    }
                    (None, Some(run)) => told.push((run.clone(), Before::Planned, keys.item)),
                    (None, None) => of_step.extend(does),
                }
            }
            to_do.extend(of_step);
        }
        told.sort_by_key(|(_, _, item)| *item);
        Ok(grouped(told.into_iter()))
    }

    /// By the place of a key among those asked for: the run that is going on beside this one and has it in its plan.
    fn planned(
        &self,
        live: &[String],
        names: &BTreeMap<i64, String>,
        wanted: &[ActKey],
    ) -> Result<HashMap<usize, String>, StoreError> {
        let mut planned = HashMap::new();
        for run in live {
            let Some((key, name)) = names.iter().find(|(key, name)| *name == run && Some(**key) != self.own) else {
                continue;
            };
            let failed = |e| from_sqlite("read", self.path, e);
            let reader = RunReader::open_in(self.path, *key)?;
            if reader.meta().simulated {
                continue;
            }
            reader.verify_plan()?;
            let not_to_come = NotToCome::of(&reader)?;
            let keys = ItemKeys::of_run(self.connection, *key, &reader.header().steps).map_err(failed)?;
            let snapshot = self.snapshot()?;
            keys.for_each(&snapshot, self.path, |keys| {
                if let Ok(place) = wanted.binary_search(&keys.does)
                    && !not_to_come.holds(&keys)
                {
                    planned.entry(place).or_insert_with(|| name.clone());
                }
            })?;
        }
        Ok(planned)
    }

    fn snapshot(&self) -> Result<Transaction<'_>, StoreError> {
        self.connection.unchecked_transaction().map_err(|e| from_sqlite("read", self.path, e))
    }
}

impl Past {
    fn judge(&self, keys: &Keys, wanted: &[ActKey]) -> Option<Latest> {
        let place = |key: &ActKey| wanted.binary_search(key).ok();
        let latest = *self.acts.get(&place(&keys.does)?)?;
        let undone = keys.undone_by.as_ref().and_then(place).and_then(|place| self.carried_out.get(&place));
        if undone.is_some_and(|undone| *undone > latest.sent) { None } else { Some(latest) }
    }
}

/// Whether what became of an act keeps others from repeating it. What a clock that was ahead dated later than now is
/// fresh.
pub(super) fn counts(became: Before, at: Moment, now: Moment, window: Duration) -> bool {
    !became.is_done() || u128::from(now.0.saturating_sub(at.0)) <= window.as_millis()
}

fn grouped(found: impl Iterator<Item = (String, Before, ItemId)>) -> Vec<DoneBefore> {
    let mut groups: BTreeMap<(String, Before), Vec<ItemId>> = BTreeMap::new();
    for (run, became, item) in found {
        groups.entry((run, became)).or_default().push(item);
    }
    let facts = groups.into_iter().flat_map(|((run, became), items)| {
        let portions: Vec<_> = items.chunks(ITEMS_A_FACT_MAX).map(<[ItemId]>::to_vec).collect();
        portions.into_iter().map(move |items| DoneBefore { items, run: run.clone(), became })
    });
    facts.collect()
}
