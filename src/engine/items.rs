//! The items of a run as numbers: which step and target each belongs to, where it stands, and when a step of a target may
//! begin.
//!
//! A group is the items of one step on one target. It opens when its target is released and its step's rule has come
//! true there: by default when every earlier group of the target succeeded, with `after` when the one that is named ended
//! as it says. A group whose rule can no longer come true is shut: that is a decision, and so a fact; opening follows
//! from the facts before.

mod turns;

pub use turns::{End, Rule, Shut};

use super::fact::{BatchId, ItemId};
use super::pairing::fingerprint;
use crate::events::Event;
use crate::plan::{PlanHeader, event_age};
use crate::tenant::EventType;
use std::collections::HashMap;
use turns::{Ends, Standing};

/// What the engine has to know of an item at the start.
#[derive(Debug, Clone, Copy)]
pub struct ItemShape {
    /// Index of its step.
    pub step: u16,
    /// Number of its target.
    pub target: u32,
    /// Its kind.
    pub event_type: EventType,
    /// Fingerprint of its agent id.
    pub agent: u64,
    /// Fingerprint of its unique id.
    pub unique: u64,
    /// Until when it may be sent, in milliseconds since 1970.
    pub expires: Option<u64>,
}

/// How far ahead of this machine's clock an event's time may be: hosts' clocks differ by minutes.
const AHEAD_MAX_MS: u64 = 5 * 60_000;

impl ItemShape {
    /// The shape of a planned item that may be sent at any time.
    pub fn new(step: u16, target: u32, event_type: EventType, agent_id: &str, unique_id: &str) -> Self {
        let (agent, unique) = (fingerprint(agent_id), fingerprint(unique_id));
        Self { step, target, event_type, agent, unique, expires: None }
    }

    /// The shape of an item of this plan. What has no time that can be read, where its step asks for one, is never sent.
    pub fn of(header: &PlanHeader, (step, target): (u16, u32), event: &Event) -> Self {
        let planned = header.steps.get(usize::from(step));
        let expires = planned.and_then(|planned| event_age::expires(planned, event).unwrap_or(Some(0)));
        Self { expires, ..Self::new(step, target, event.event_type, &event.agent_id, &event.unique_id) }
    }
}

/// All items of a run: 24 bytes each, besides their groups and agents.
#[derive(Debug)]
pub struct Items {
    items: Vec<Item>,
    groups: Vec<Group>,
    /// The items ordered by group.
    order: Vec<ItemId>,
    /// Fingerprints of the agents by number.
    agents: Vec<u64>,
    /// By step; what is not there follows the default.
    rules: Vec<Rule>,
    /// Until when each item may be sent; empty when none has a bound.
    expires: Vec<u64>,
    /// Targets with a smaller number are released.
    released: u32,
    /// Items of released targets: all, those that have their outcome, those whose turn has not come.
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    released: u64,
    done: u64,
    waiting: u64,
}

#[derive(Debug)]
struct Item {
    unique: u64,
    agent: u32,
    group: u32,
    /// The last batch it was in; 0 before the first.
    batch: u32,
    event_type: EventType,
    state: State,
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its target is not released, or the turn of its step has not come.
    Waiting,
    /// It may be sent.
    Ready,
    /// Its intent is written.
    Submitting,
    /// The API took it.
    Accepted,
    /// It has its outcome.
    Done,
    /// Its step's turn will not come on its target.
    Barred,
}

#[derive(Debug)]
struct Group {
    target: u32,
    first: u32,
    len: u32,
    unsettled: u32,
    /// How many of its items wait for their turn.
    waiting: u32,
    step: u16,
    standing: Standing,
    ends: Ends,
}

impl Items {
    /// Arranges the items of a plan. Every item is waiting until its target is released. `rules` are those of the steps, in
    /// order; a step without one follows the default.
    pub fn new(shapes: impl Iterator<Item = ItemShape>, rules: Vec<Rule>) -> Self {
        let mut agents = Vec::new();
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut keys = Vec::new();
        let mut items: Vec<Item> = Vec::new();
        let mut expires: Vec<u64> = Vec::new();
        for shape in shapes {
            let agent = *numbers.entry(shape.agent).or_insert_with(|| {
                agents.push(shape.agent);
                (agents.len() - 1) as u32
            });
            keys.push((shape.target, shape.step, ItemId(items.len() as u32)));
            if let Some(until) = shape.expires {
                expires.resize(items.len(), u64::MAX);
                expires.push(until);
            }
            let event_type = shape.event_type;
            items.push(Item { unique: shape.unique, agent, group: 0, batch: 0, event_type, state: State::Waiting });
        }
        keys.sort_unstable();
        let mut groups: Vec<Group> = Vec::new();
        for (place, (target, step, item)) in keys.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if group.target == *target && group.step == *step => {
                    group.len += 1;
                    group.unsettled += 1;
                    group.waiting += 1;
                }
                _ => {
                    let (first, standing, ends) = (place as u32, Standing::Closed, Ends::AllWell);
                    let (target, step, len, unsettled, waiting) = (*target, *step, 1, 1, 1);
                    groups.push(Group { target, first, len, unsettled, waiting, step, standing, ends });
                }
            }
            items[item.0 as usize].group = (groups.len() - 1) as u32;
        }
        let order = keys.into_iter().map(|(_, _, item)| item).collect();
        Self { items, groups, order, agents, rules, expires, released: 0, counts: Counts::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many targets there are.
    pub fn targets(&self) -> u32 {
        self.groups.last().map_or(0, |group| group.target + 1)
    }

    /// How many targets are released.
    pub fn released(&self) -> u32 {
        self.released
    }

    /// How many items the released targets have, and how many of them have their outcome.
    pub fn released_and_done(&self) -> (u64, u64) {
        (self.counts.released, self.counts.done)
    }

    /// How many items of released targets wait for the turn of their step.
    pub fn waiting(&self) -> u64 {
        self.counts.waiting
    }

    /// Where an item stands; `None` when there is no such item.
    pub fn state(&self, item: ItemId) -> Option<State> {
        self.items.get(item.0 as usize).map(|item| item.state)
    }

    /// Index of an item's step.
    pub fn step(&self, item: ItemId) -> u16 {
        self.group(item).step
    }

    /// Number of an item's target.
    pub fn target(&self, item: ItemId) -> u32 {
        self.group(item).target
    }

    /// An item's kind.
    pub fn event_type(&self, item: ItemId) -> EventType {
        self.item(item).event_type
    }

    /// Number of an item's agent, dense from 0.
    pub fn agent(&self, item: ItemId) -> u32 {
        self.item(item).agent
    }

    /// How many agents there are.
    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Fingerprints of an item's agent id and unique id.
    pub fn fingerprints(&self, item: ItemId) -> (u64, u64) {
        let item = self.item(item);
        (self.agents[item.agent as usize], item.unique)
    }

    /// The last batch an item was in.
    pub fn batch(&self, item: ItemId) -> Option<BatchId> {
        self.items.get(item.0 as usize).map(|item| BatchId(item.batch))
    }

    /// Whether an item's event is too old to be sent at this moment, in milliseconds since 1970, or so far ahead of it that
    /// its time cannot be right: then nobody knows how old it is.
    pub fn is_expired(&self, item: ItemId, at: u64) -> bool {
        let Some(until) = self.expires.get(item.0 as usize).filter(|until| **until < u64::MAX) else { return false };
        let age = self.rules.get(usize::from(self.step(item))).and_then(|rule| rule.max_event_age_ms);
        let is_ahead = age.is_some_and(|age| until.saturating_sub(age) > at.saturating_add(AHEAD_MAX_MS));
        *until < at || is_ahead
    }

    /// An item is being sent in this batch.
    pub fn submit(&mut self, item: ItemId, batch: BatchId) {
        let item = &mut self.items[item.0 as usize];
        item.batch = batch.0;
        item.state = State::Submitting;
    }

    /// Sets where an item stands.
    pub fn set(&mut self, item: ItemId, state: State) {
        let item = &mut self.items[item.0 as usize];
        let group = &mut self.groups[item.group as usize];
        let waited = u32::from(item.state == State::Waiting);
        group.waiting -= waited;
        if group.target < self.released {
            self.counts.waiting -= u64::from(waited);
            self.counts.done += u64::from(state.is_final()) - u64::from(item.state.is_final());
        }
        item.state = state;
    }

    /// Releases all targets below this number. Returns the items that are ready now, in plan order.
    pub fn release(&mut self, to: u32) -> Vec<ItemId> {
        let from = self.released;
        self.released = self.released.max(to);
        let start = self.groups.partition_point(|group| group.target < from);
        let mut ready: Vec<ItemId> = Vec::new();
        let mut place = start;
        while let Some(group) = self.groups.get(place).filter(|group| group.target < to) {
            let target = group.target;
            let first = place;
            while let Some(group) = self.groups.get(place).filter(|group| group.target == target) {
                self.counts.released += u64::from(group.len);
                self.counts.done += u64::from(group.len - group.unsettled);
                self.counts.waiting += u64::from(group.waiting);
                place += 1;
            }
            ready.extend(self.open(first..place));
        }
        ready.sort_unstable();
        ready
    }

    /// An item reached its outcome. Returns the items that are ready now because their group opens.
    pub fn settle(&mut self, item: ItemId, end: End) -> Vec<ItemId> {
        self.set(item, State::Done);
        let place = self.items[item.0 as usize].group as usize;
        let group = &mut self.groups[place];
        group.unsettled -= 1;
        group.ends = group.ends.and(end);
        let target = group.target;
        self.opened_on(target)
    }

    fn places_of(&self, target: u32) -> std::ops::Range<usize> {
        let start = self.groups.partition_point(|group| group.target < target);
        let len = self.groups[start..].iter().take_while(|group| group.target == target).count();
        start..start + len
    }

    fn place_of(&self, target: u32, step: u16) -> Option<usize> {
        self.groups.binary_search_by_key(&(target, step), |group| (group.target, group.step)).ok()
    }

    fn members(&self, place: usize) -> &[ItemId] {
        let group = &self.groups[place];
        &self.order[group.first as usize..(group.first + group.len) as usize]
    }

    fn item(&self, item: ItemId) -> &Item {
        &self.items[item.0 as usize]
    }

    fn group(&self, item: ItemId) -> &Group {
        &self.groups[self.item(item).group as usize]
    }
}

impl State {
    fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Barred)
    }
}

#[cfg(test)]
mod tests;
