//! Items that may be sent, and which of them go together: one lane for each step and event type, at most one item of
//! an agent in a batch, agents in turn.

use super::fact::{ItemId, Moment};
use std::collections::{HashMap, HashSet, VecDeque};

/// The ready items of one step and event type.
#[derive(Debug, Default)]
pub struct Lane {
    /// Ready items of each agent that has some, oldest first.
    waiting: HashMap<u32, VecDeque<ItemId>>,
    /// Agents in the order in which they are served. May name agents that have nothing left; never trusted alone.
    turns: VecDeque<u32>,
    len: usize,
    /// Since when the lane has not been empty.
    since: Moment,
}

impl Lane {
    /// How many items are ready.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is ready.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Since when items have been ready.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// How many agents have ready items: the largest batch that could be made now.
    pub fn agents(&self) -> usize {
        self.waiting.len()
    }

    /// An item becomes ready.
    pub fn push(&mut self, agent: u32, item: ItemId, now: Moment) {
        if self.len == 0 {
            self.since = now;
        }
        self.len += 1;
        let items = self.waiting.entry(agent).or_default();
        if items.is_empty() {
            self.turns.push_back(agent);
        }
        items.push_back(item);
    }

    /// The next batch, without taking it: taking is what the intent does when it is applied.
    pub fn peek(&self, most: usize) -> Vec<ItemId> {
        let mut agents = HashSet::with_capacity(most.min(self.turns.len()));
        let mut items = Vec::with_capacity(most.min(self.waiting.len()));
        for agent in &self.turns {
            if items.len() == most {
                break;
            }
            if let Some(first) = self.waiting.get(agent).and_then(VecDeque::front)
                && agents.insert(*agent)
            {
                items.push(*first);
            }
        }
        items
    }

    /// Takes one item out; false when it is not here. Its agent, when it has more, goes to the end of the turns.
    pub fn take(&mut self, agent: u32, item: ItemId) -> bool {
        let Some(items) = self.waiting.get_mut(&agent) else { return false };
        let Some(place) = items.iter().position(|ready| *ready == item) else { return false };
        items.remove(place);
        self.len -= 1;
        let more = !items.is_empty();
        if !more {
            self.waiting.remove(&agent);
        }
        while self.turns.front().is_some_and(|first| *first != agent && !self.waiting.contains_key(first)) {
            self.turns.pop_front();
        }
        match self.turns.front() {
            Some(first) if *first == agent => {
                self.turns.pop_front();
            }
            _ => self.turns.retain(|turn| *turn != agent),
        }
        if more {
            self.turns.push_back(agent);
        }
        true
    }

    /// Takes one item out that will not be sent; false when it is not here. However many go, all in all it costs no more
    /// than they came to.
    pub fn remove(&mut self, agent: u32, item: ItemId) -> bool {
        let Some(items) = self.waiting.get_mut(&agent) else { return false };
        let Some(place) = items.iter().position(|ready| *ready == item) else { return false };
        items.remove(place);
        self.len -= 1;
        if items.is_empty() {
            self.waiting.remove(&agent);
        }
        while self.turns.front().is_some_and(|first| !self.waiting.contains_key(first)) {
            self.turns.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(items: &[(u32, u32)]) -> Lane {
        let mut lane = Lane::default();
        for (agent, item) in items {
            lane.push(*agent, ItemId(*item), Moment(0));
        }
        lane
    }

    fn next(lane: &mut Lane, most: usize, items: &[(u32, u32)]) -> Vec<u32> {
        let batch = lane.peek(most);
        for item in &batch {
            let agent = items.iter().find(|(_, known)| *known == item.0).map(|(agent, _)| *agent);
            assert!(lane.take(agent.expect("a known item"), *item));
        }
        batch.into_iter().map(|item| item.0).collect()
    }

    #[test]
    fn a_batch_holds_one_item_of_an_agent_and_agents_take_turns() {
        let items = [(7, 0), (7, 1), (7, 2), (8, 3), (9, 4)];
        let mut lane = lane(&items);
        assert_eq!(next(&mut lane, 50, &items), [0, 3, 4]);
        assert_eq!(next(&mut lane, 50, &items), [1]);
        assert_eq!(next(&mut lane, 50, &items), [2]);
        assert!(lane.is_empty());
        assert!(lane.peek(50).is_empty());
    }

    #[test]
    fn a_full_batch_leaves_the_rest_in_order() {
        let items = [(1, 0), (2, 1), (3, 2), (1, 3)];
        let mut lane = lane(&items);
        assert_eq!(next(&mut lane, 2, &items), [0, 1]);
        assert_eq!(next(&mut lane, 2, &items), [2, 3]);
    }

    #[test]
    fn items_that_are_removed_leave_the_turns_of_the_others_as_they_are() {
        let items = [(7, 0), (7, 1), (8, 2), (9, 3)];
        let mut lane = lane(&items);
        assert!(lane.remove(8, ItemId(2)) && !lane.remove(8, ItemId(2)));
        assert!(lane.remove(7, ItemId(0)));
        assert_eq!((lane.len(), lane.agents()), (2, 2));
        // An agent that comes back has a second place in the turns and still goes once.
        lane.push(8, ItemId(4), Moment(1));
        let items = [(7, 1), (8, 4), (9, 3)];
        assert_eq!(next(&mut lane, 50, &items), [1, 4, 3]);
        assert!(lane.is_empty() && lane.peek(50).is_empty());
    }

    #[test]
    fn an_item_is_taken_once() {
        let mut lane = lane(&[(1, 0)]);
        assert!(lane.take(1, ItemId(0)));
        assert!(!lane.take(1, ItemId(0)));
        assert_eq!(lane.len(), 0);
    }
}
