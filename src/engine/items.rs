//! The items of a run as numbers: which step and target each belongs to, where it stands, and when the next step of a
//! target may begin.
//!
//! A group is the items of one step on one target. Groups of a target open one after the other: the next opens when
//! all items of the one before have succeeded; when one has not, the later groups are barred.

use super::fact::{BatchId, ItemId};
use super::pairing::fingerprint;
use crate::tenant::EventType;
use std::collections::HashMap;

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
}

impl ItemShape {
    /// The shape of a planned item.
    pub fn new(step: u16, target: u32, event_type: EventType, agent_id: &str, unique_id: &str) -> Self {
        Self { step, target, event_type, agent: fingerprint(agent_id), unique: fingerprint(unique_id) }
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
    /// An earlier step of its target is not done.
    Waiting,
    /// It may be sent.
    Ready,
    /// Its intent is written.
    Submitting,
    /// The API took it.
    Accepted,
    /// It has its outcome.
    Done,
    /// An earlier step of its target did not succeed.
    Barred,
}

#[derive(Debug)]
struct Group {
    target: u32,
    step: u16,
    first: u32,
    len: u32,
    unsettled: u32,
    /// How many of its items wait for the steps before.
    waiting: u32,
    failed: bool,
    /// Whether all steps before have succeeded.
    open: bool,
}

impl Items {
    /// Arranges the items of a plan. Every item is waiting until [`Items::open_first`].
    pub fn new(shapes: impl Iterator<Item = ItemShape>) -> Self {
        let mut agents = Vec::new();
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut keys = Vec::new();
        let mut items: Vec<Item> = Vec::new();
        for shape in shapes {
            let agent = *numbers.entry(shape.agent).or_insert_with(|| {
                agents.push(shape.agent);
                (agents.len() - 1) as u32
            });
            keys.push((shape.target, shape.step, ItemId(items.len() as u32)));
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
                    let first = place as u32;
                    let (len, unsettled, waiting, failed, open) = (1, 1, 1, false, false);
                    groups.push(Group { target: *target, step: *step, first, len, unsettled, waiting, failed, open });
                }
            }
            items[item.0 as usize].group = (groups.len() - 1) as u32;
        }
        let order = keys.into_iter().map(|(_, _, item)| item).collect();
        Self { items, groups, order, agents }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Where an item stands; `None` when there is no such item.
    pub fn state(&self, item: ItemId) -> Option<State> {
        self.items.get(item.0 as usize).map(|item| item.state)
    }

    /// Index of an item's step.
    pub fn step(&self, item: ItemId) -> u16 {
        self.group(item).step
    }

    /// An item's kind.
    pub fn event_type(&self, item: ItemId) -> EventType {
        self.item(item).event_type
    }

    /// Number of an item's agent, dense from 0.
    pub fn agent(&self, item: ItemId) -> u32 {
        self.item(item).agent
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

    /// An item is being sent in this batch.
    pub fn submit(&mut self, item: ItemId, batch: BatchId) {
        let item = &mut self.items[item.0 as usize];
        item.batch = batch.0;
        item.state = State::Submitting;
    }

    /// Sets where an item stands.
    pub fn set(&mut self, item: ItemId, state: State) {
        let item = &mut self.items[item.0 as usize];
        self.groups[item.group as usize].waiting -= u32::from(item.state == State::Waiting);
        item.state = state;
    }

    /// Opens the first group of every target; returns the items that are ready, in plan order.
    pub fn open_first(&mut self) -> Vec<ItemId> {
        let mut ready: Vec<ItemId> = Vec::new();
        for place in 0..self.groups.len() {
            if place == 0 || self.groups[place - 1].target != self.groups[place].target {
                ready.extend_from_slice(self.members(place));
                self.groups[place].open = true;
            }
        }
        ready.sort_unstable();
        for item in &ready {
            self.set(*item, State::Ready);
        }
        ready
    }

    /// An item reached its outcome. Returns the items that are ready now because their group opens.
    pub fn settle(&mut self, item: ItemId, succeeded: bool) -> Vec<ItemId> {
        self.set(item, State::Done);
        let mut place = self.items[item.0 as usize].group as usize;
        let group = &mut self.groups[place];
        group.unsettled -= 1;
        group.failed |= !succeeded;
        let mut ready = Vec::new();
        // A group of which every item was done by an earlier run is passed over.
        while ready.is_empty() && self.groups[place].is_passed() && self.has_next(place) {
            place += 1;
            self.groups[place].open = true;
            let waiting = |item: &ItemId| self.item(*item).state == State::Waiting;
            ready = self.members(place).iter().copied().filter(waiting).collect();
            for item in &ready {
                self.set(*item, State::Ready);
            }
        }
        ready
    }

    /// The target and step that bar later steps because of this item: once, when its group has failed and later items
    /// of the target still wait.
    pub fn bars(&self, item: ItemId) -> Option<(u32, u16)> {
        let place = self.item(item).group as usize;
        let group = &self.groups[place];
        let mut later = self.groups[place + 1..].iter().take_while(|later| later.target == group.target);
        (group.failed && later.any(|later| later.waiting > 0)).then_some((group.target, group.step))
    }

    /// Whether an item of this step has not succeeded on this target.
    pub fn has_failed(&self, target: u32, step: u16) -> bool {
        let place = self.groups.binary_search_by_key(&(target, step), |group| (group.target, group.step));
        place.is_ok_and(|place| self.groups[place].failed)
    }

    /// Bars the later steps of a target; returns how many items that were waiting will not be sent.
    pub fn bar(&mut self, target: u32, step: u16) -> usize {
        let start = self.groups.partition_point(|group| (group.target, group.step) <= (target, step));
        let mut barred = 0;
        for place in start..self.groups.len() {
            if self.groups[place].target != target {
                break;
            }
            for item in self.members(place).to_vec() {
                if self.item(item).state == State::Waiting {
                    self.set(item, State::Barred);
                    barred += 1;
                }
            }
        }
        barred
    }

    fn has_next(&self, place: usize) -> bool {
        self.groups.get(place + 1).is_some_and(|next| next.target == self.groups[place].target)
    }

    fn members(&self, place: usize) -> &[ItemId] {
        self.members_of(&self.groups[place])
    }

    fn members_of(&self, group: &Group) -> &[ItemId] {
        &self.order[group.first as usize..(group.first + group.len) as usize]
    }

    fn item(&self, item: ItemId) -> &Item {
        &self.items[item.0 as usize]
    }

    fn group(&self, item: ItemId) -> &Group {
        &self.groups[self.item(item).group as usize]
    }
}

impl Group {
    /// Whether the next group of its target may open.
    fn is_passed(&self) -> bool {
        self.open && self.unsettled == 0 && !self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items as `(step, target)`.
    fn items(of: &[(u16, u32)]) -> Items {
        Items::new(
            of.iter()
                .map(|(step, target)| ItemShape::new(*step, *target, EventType::File, &format!("agent-{target}"), "1")),
        )
    }

    fn numbers(items: Vec<ItemId>) -> Vec<u32> {
        items.into_iter().map(|item| item.0).collect()
    }

    #[test]
    fn the_next_step_of_a_target_opens_when_all_of_the_one_before_succeeded() {
        let mut items = items(&[(0, 0), (1, 0), (0, 0), (0, 1), (1, 1)]);
        assert_eq!(numbers(items.open_first()), [0, 2, 3]);
        assert!(items.settle(ItemId(0), true).is_empty());
        assert_eq!(numbers(items.settle(ItemId(2), true)), [1]);
        assert_eq!(items.state(ItemId(4)), Some(State::Waiting));
        assert_eq!(numbers(items.settle(ItemId(3), true)), [4]);
    }

    #[test]
    fn a_step_that_an_earlier_run_did_is_passed_over_once_the_steps_before_it_succeeded() {
        let mut items = items(&[(0, 0), (1, 0), (2, 0)]);
        assert_eq!(numbers(items.open_first()), [0]);
        assert!(items.settle(ItemId(1), true).is_empty(), "its turn has not come");
        assert_eq!(numbers(items.settle(ItemId(0), true)), [2]);
    }

    #[test]
    fn a_step_of_which_a_part_was_done_before_opens_for_the_rest() {
        let mut items = items(&[(0, 0), (1, 0), (1, 0), (2, 0)]);
        items.open_first();
        assert!(items.settle(ItemId(1), true).is_empty());
        assert_eq!(numbers(items.settle(ItemId(0), true)), [2]);
        assert_eq!(numbers(items.settle(ItemId(2), true)), [3]);
    }

    #[test]
    fn a_failure_bars_what_waits_behind_a_step_that_an_earlier_run_did() {
        let mut items = items(&[(0, 0), (1, 0), (2, 0)]);
        items.open_first();
        items.settle(ItemId(1), true);
        items.settle(ItemId(0), false);
        assert_eq!(items.bars(ItemId(0)), Some((0, 0)));
        assert_eq!(items.bar(0, 0), 1);
        assert_eq!(items.bars(ItemId(0)), None, "said once");
    }

    #[test]
    fn a_failure_bars_the_later_steps_of_its_target_alone() {
        let mut items = items(&[(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]);
        items.open_first();
        assert!(items.settle(ItemId(0), false).is_empty());
        assert_eq!(items.bars(ItemId(0)), Some((0, 0)));
        assert_eq!(items.bar(0, 0), 2);
        assert_eq!(items.bars(ItemId(0)), None, "said once");
        assert_eq!(items.state(ItemId(2)), Some(State::Barred));
        assert_eq!(items.state(ItemId(4)), Some(State::Waiting));
    }

    #[test]
    fn a_step_behind_one_that_an_earlier_run_did_is_barred_too() {
        let mut items = items(&[(0, 0), (1, 0), (2, 0), (1, 1)]);
        items.open_first();
        assert!(items.settle(ItemId(1), true).is_empty());
        assert!(items.settle(ItemId(0), false).is_empty());
        assert_eq!(items.bars(ItemId(0)), Some((0, 0)));
        assert_eq!(items.bar(0, 0), 1);
        assert_eq!(items.bars(ItemId(0)), None, "said once");
    }

    #[test]
    fn a_target_that_begins_with_a_later_step_begins_there() {
        let mut items = items(&[(1, 0), (0, 1)]);
        assert_eq!(numbers(items.open_first()), [0, 1]);
    }

    #[test]
    fn an_item_takes_few_bytes() {
        assert!(std::mem::size_of::<Item>() <= 24);
        assert!(std::mem::size_of::<Group>() <= 24);
    }
}
