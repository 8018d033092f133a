//! What the simulated tenant remembers: every item it carried out, compactly, and what is counted.
//!
//! An item costs about 230 bytes: one text for its three ids, no remediation id (it is put together again when asked
//! for), and 16 bytes in the index.

use super::chance::{Chance, Of, Uuid, hash_texts, mix};
use super::ledger::{Counters, Refused};
use super::limiter::Limiter;
use super::options::Options;
use super::request::{ActItem, ID_BYTES_MAX};
use super::script::{Queues, Script, Statuses};
use crate::tenant::{EventType, RequestType};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What an act says of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct SimItem {
    pub action_id: i64,
    pub agent_id: String,
    pub event_id: String,
    pub event_type: EventType,
    pub pid: u32,
    pub unique_id: String,
}

/// Who acted, and why: an act's query parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[expect(missing_docs, reason = "the API's own parameters")]
pub struct Submitter {
    pub user: String,
    pub user_id: String,
    /// Empty when none was given.
    pub comment: String,
}

/// What an item comes to in the end. It is known from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Fate {
    Succeeds,
    Fails,
    NeverSettles,
}

/// Why a remediation cannot be put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It is there already.
    #[error("remediation {0:?} is there already")]
    Known(String),
    /// The simulator has no such action.
    #[error("the simulator has no action {0}")]
    UnknownAction(i64),
    /// An id of the item is longer than the simulator takes.
    #[error("an id of remediation {0:?} is too long")]
    TooLong(String),
}

pub(super) struct State {
    pub(super) counters: Counters,
    pub(super) limiter: Limiter,
    pub(super) script: Queues,
    pub(super) refused: Vec<Refused>,
    pub(super) in_flight: u64,
    pub(super) items: Vec<Item>,
    /// By [`Item::tag`].
    index: HashMap<Uuid, u32>,
    /// The text of restored remediation ids that are not as this simulator would have made them, by item.
    foreign_ids: HashMap<u32, Box<str>>,
    batches: u32,
    /// The newest [`Submission`] that put remediations back: they come one by one, mostly from one run.
    restored_by: Option<Arc<Submission>>,
}

/// One item that was carried out.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Agent id, event id and unique id, one after the other.
    text: Box<str>,
    /// The uuid at the end of its remediation id.
    pub(super) tag: Uuid,
    /// Since the simulator's start, in milliseconds.
    pub(super) accepted: u64,
    /// From acceptance to its final status, in milliseconds.
    settle: u64,
    pub(super) submission: Arc<Submission>,
    pub(super) pid: u32,
    /// Index into [`Options::actions`].
    pub(super) action: u16,
    agent_len: u16,
    event_len: u16,
    pub(super) event_type: EventType,
    pub(super) fate: Fate,
    pub(super) restored: bool,
}

/// What all items of one act share.
#[derive(Debug)]
pub(super) struct Submission {
    /// From 1; 0 for what was put back.
    pub(super) batch: u32,
    /// The key of its first item, from which its request id follows.
    pub(super) key: u64,
    pub(super) by: Submitter,
}

/// What a detail shows.
pub(super) struct Found {
    pub(super) item: Item,
    /// The final state, once it is reached.
    pub(super) settled: Option<Fate>,
    /// The status that a script has this poll show.
    pub(super) scripted: Option<String>,
}

impl Item {
    pub(super) fn agent_id(&self) -> &str {
        &self.text[..usize::from(self.agent_len)]
    }

    pub(super) fn event_id(&self) -> &str {
        &self.text[usize::from(self.agent_len)..][..usize::from(self.event_len)]
    }

    /// What it is, as a script names it.
    fn key(&self, options: &Options) -> u64 {
        let action = options.actions[usize::from(self.action)].id;
        key_of([self.agent_id(), self.event_id(), self.unique_id()], self.pid, action)
    }

    pub(super) fn unique_id(&self) -> &str {
        &self.text[usize::from(self.agent_len) + usize::from(self.event_len)..]
    }

    /// Since the simulator's start, in milliseconds; none for what never settles.
    pub(super) fn settles(&self) -> Option<u64> {
        (self.fate != Fate::NeverSettles).then(|| self.accepted.saturating_add(self.settle))
    }
}

impl SimItem {
    fn key(&self) -> u64 {
        key_of([&self.agent_id, &self.event_id, &self.unique_id], self.pid, self.action_id)
    }
}

impl State {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            counters: Counters::default(),
            limiter: Limiter::new(options),
            script: Queues::default(),
            refused: Vec::new(),
            in_flight: 0,
            items: Vec::new(),
            index: HashMap::new(),
            foreign_ids: HashMap::new(),
            batches: 0,
            restored_by: None,
        }
    }

    /// Appends to what is scripted.
    pub(super) fn append_script(&mut self, mut script: Script) {
        for scripted in std::mem::take(&mut script.items) {
            self.script.items.insert(scripted.item.key(), Statuses::new(scripted.statuses));
        }
        self.script.append(script);
    }

    pub(super) fn shown(&self, item: &SimItem) -> usize {
        self.script.items.get(&item.key()).map_or(0, Statuses::shown)
    }

    /// What a script makes of an item.
    fn scripted_fate(&self, options: &Options, key: u64) -> Option<Fate> {
        let words = &options.status_words;
        let last = self.script.items.get(&key)?.last()?;
        Some(match last {
            last if last == words.succeeded => Fate::Succeeds,
            last if last == words.failed => Fate::Fails,
            _ => Fate::NeverSettles,
        })
    }

    /// Carries an act out and says which ids its answer names, in its order.
    pub(super) fn carry_out(
        &mut self,
        options: &Options,
        chance: Chance,
        now: Duration,
        by: Submitter,
        act: &[ActItem<'_>],
    ) -> Vec<String> {
        self.batches += 1;
        let key = act.first().map_or(0, |first| item_key(options, first));
        let submission = Arc::new(Submission { batch: self.batches, key, by });
        let mut ids = Vec::with_capacity(act.len());
        for item in act {
            let key = item_key(options, item);
            let fails = self.script.fails(&options.actions[item.action].name, &item.agent_id);
            let mut item = new_item(options, chance, now, key, item, Arc::clone(&submission));
            let scripted = self.scripted_fate(options, key).or(fails.then_some(Fate::Fails));
            item.fate = scripted.unwrap_or(item.fate);
            ids.push((key, self.add(options, chance, key, item)));
        }
        self.counters.carried_out += act.len() as u64;
        answered_ids(options, chance, ids)
    }

    /// See [`super::Simulator::restore`].
    pub(super) fn restore(
        &mut self,
        options: &Options,
        chance: Chance,
        now: Duration,
        id: &str,
        item: &SimItem,
        by: &Submitter,
    ) -> Result<(), RestoreError> {
        let action = options.actions.iter().position(|action| action.id == item.action_id);
        let action = action.ok_or(RestoreError::UnknownAction(item.action_id))?;
        if [&item.agent_id, &item.event_id, &item.unique_id].iter().any(|id| id.len() > ID_BYTES_MAX) {
            return Err(RestoreError::TooLong(id.into()));
        }
        if self.position(options, id).is_some() {
            return Err(RestoreError::Known(id.into()));
        }
        let act_item = ActItem {
            action,
            agent_id: item.agent_id.as_str().into(),
            event_id: item.event_id.as_str().into(),
            event_type: item.event_type,
            pid: item.pid,
            unique_id: item.unique_id.as_str().into(),
        };
        let key = item_key(options, &act_item);
        let submission = match &self.restored_by {
            Some(last) if last.by == *by => Arc::clone(last),
            _ => Arc::new(Submission { batch: 0, key, by: by.clone() }),
        };
        self.restored_by = Some(Arc::clone(&submission));
        let mut item = Item { restored: true, ..new_item(options, chance, now, key, &act_item, submission) };
        item.tag = own_tag(id).unwrap_or_else(|| foreign_tag(id));
        if remediation_id(options, &item) != id {
            item.tag = foreign_tag(id);
            self.foreign_ids.insert(self.next_number(), id.into());
        }
        self.insert(item);
        Ok(())
    }

    /// The remediation of that id, if that endpoint shows it by now.
    pub(super) fn find(&mut self, options: &Options, now: Duration, shown_by: RequestType, id: &str) -> Option<Found> {
        let item = self.items.get(self.position(options, id)? as usize)?;
        let age = millis(now).saturating_sub(item.accepted);
        let hidden = !item.restored && age < millis(options.not_found_for);
        if hidden || options.actions[usize::from(item.action)].request_type != shown_by {
            return None;
        }
        let settled = item.settles().is_some_and(|at| millis(now) >= at).then_some(item.fate);
        let item = item.clone();
        let scripted = match self.script.items.is_empty() {
            true => None,
            false => self.script.items.get_mut(&item.key(options)).and_then(Statuses::next),
        };
        Some(Found { item, settled, scripted })
    }

    /// The remediation id of the item of that number.
    pub(super) fn id_of(&self, options: &Options, number: u32, item: &Item) -> String {
        match self.foreign_ids.get(&number) {
            Some(id) => id.to_string(),
            None => remediation_id(options, item),
        }
    }

    /// Gives the item an id of its own and keeps it. The same item carried out again gets another one.
    fn add(&mut self, options: &Options, chance: Chance, key: u64, mut item: Item) -> String {
        let mut nth = key;
        loop {
            item.tag = Uuid::new(chance.draw(Of::Id, nth));
            if !self.index.contains_key(&item.tag) {
                let id = remediation_id(options, &item);
                self.insert(item);
                return id;
            }
            nth = mix(nth);
        }
    }

    fn insert(&mut self, item: Item) {
        self.index.insert(item.tag, self.next_number());
        self.items.push(item);
    }

    fn next_number(&self) -> u32 {
        u32::try_from(self.items.len()).expect("four thousand million items do not fit into memory")
    }

    fn position(&self, options: &Options, id: &str) -> Option<u32> {
        let known_by = |tag: Uuid| {
            let number = *self.index.get(&tag)?;
            let item = self.items.get(number as usize)?;
            (self.id_of(options, number, item) == id).then_some(number)
        };
        own_tag(id)
            .and_then(known_by)
            .or_else(|| if self.foreign_ids.is_empty() { None } else { known_by(foreign_tag(id)) })
    }
}

/// `RTF` for files; for processes and hosts `RTP` is seen, and it is taken for all others too.
fn remediation_id(options: &Options, item: &Item) -> String {
    let prefix = if item.event_type == EventType::File { "RTF" } else { "RTP" };
    let (month, year) = options.month;
    format!("{prefix}_{}_{month}-{year}_{}", item.agent_id(), item.tag)
}

fn own_tag(id: &str) -> Option<Uuid> {
    Uuid::from_first_half(id.get(id.len().checked_sub(36)?..)?)
}

fn foreign_tag(id: &str) -> Uuid {
    Uuid::new(hash_texts(&[id]))
}

/// What an item's fate and times follow from: what it is, not when it came.
fn item_key(options: &Options, item: &ActItem<'_>) -> u64 {
    key_of([&item.agent_id, &item.event_id, &item.unique_id], item.pid, options.actions[item.action].id)
}

fn key_of(texts: [&str; 3], pid: u32, action: i64) -> u64 {
    mix(mix(hash_texts(&texts) ^ u64::from(pid)) ^ action as u64)
}

/// The item with its fate, still without its tag.
fn new_item(
    options: &Options,
    chance: Chance,
    now: Duration,
    key: u64,
    item: &ActItem<'_>,
    submission: Arc<Submission>,
) -> Item {
    let fate = if chance.happens(Of::NeverSettles, key, options.never_settle_percent) {
        Fate::NeverSettles
    } else if chance.happens(Of::Fails, key, options.fail_percent) {
        Fate::Fails
    } else {
        Fate::Succeeds
    };
    let length = |text: &str| u16::try_from(text.len()).expect("ids are at most ID_BYTES_MAX bytes long");
    Item {
        text: [item.agent_id.as_ref(), &item.event_id, &item.unique_id].concat().into(),
        tag: Uuid::new(0),
        accepted: millis(now),
        settle: millis(chance.delay(Of::Settle, key, options.settle)),
        submission,
        pid: item.pid,
        action: u16::try_from(item.action).expect("nobody lists 65,536 actions"),
        agent_len: length(&item.agent_id),
        event_len: length(&item.event_id),
        event_type: item.event_type,
        fate,
        restored: false,
    }
}

/// The ids as the answer names them: some in place of others, some missing, in another order, as the options say.
fn answered_ids(options: &Options, chance: Chance, ids: Vec<(u64, String)>) -> Vec<String> {
    let mut answered = Vec::with_capacity(ids.len());
    for (index, (key, id)) in ids.iter().enumerate() {
        if chance.happens(Of::DropId, *key, options.drop_ids_percent) {
            continue;
        }
        let repeated = ids.len() > 1 && chance.happens(Of::RepeatId, *key, options.repeat_ids_percent);
        let id = if repeated { &ids[(index + 1) % ids.len()].1 } else { id };
        answered.push((chance.draw(Of::Order, *key), id.clone()));
    }
    if options.shuffle_ids {
        answered.sort_by_key(|(order, _)| *order);
    }
    answered.into_iter().map(|(_, id)| id).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
