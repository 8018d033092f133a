//! One step at a time on each host: while items of one step are ready or on their way there, those of another wait.
//!
//! Where a target is a host and its steps follow each other this holds by itself; it is needed where two steps have their
//! turn at once, and where two targets share a host.

use super::fact::ItemId;
use std::collections::BTreeMap;

/// What each host is at.
#[derive(Debug)]
pub(super) struct Hosts {
    /// By agent: the step, and how many of its items are ready or on their way; 0: it is free.
    at: Vec<(u32, u16)>,
    /// Items that wait for their host, by agent, step and number.
    parked: BTreeMap<(u32, u16, ItemId), ()>,
}

impl Hosts {
    /// All free.
    pub(super) fn new(agents: usize) -> Self {
        Self { at: vec![(0, 0); agents], parked: BTreeMap::new() }
    }

    /// An item's turn has come. Whether it may be sent; else it waits for its host.
    pub(super) fn admit(&mut self, agent: u32, step: u16, item: ItemId) -> bool {
        let (active, at) = &mut self.at[agent as usize];
        if *active > 0 && *at != step {
            self.parked.insert((agent, step, item), ());
            return false;
        }
        (*active, *at) = (*active + 1, step);
        true
    }

    /// An item that was admitted has its outcome. The items that may be sent because its host is free now.
    pub(super) fn leave(&mut self, agent: u32) -> Vec<ItemId> {
        let (active, _) = &mut self.at[agent as usize];
        *active -= 1;
        if *active > 0 {
            return Vec::new();
        }
        let first = (agent, 0, ItemId(0))..=(agent, u16::MAX, ItemId(u32::MAX));
        let Some((_, step, _)) = self.parked.range(first).next().map(|(key, ())| *key) else { return Vec::new() };
        let all = (agent, step, ItemId(0))..=(agent, step, ItemId(u32::MAX));
        let items: Vec<ItemId> = self.parked.range(all).map(|((_, _, item), ())| *item).collect();
        for item in &items {
            self.parked.remove(&(agent, step, *item));
        }
        self.at[agent as usize] = (items.len() as u32, step);
        items
    }

    /// Takes an item out that waits for its host and will not be sent; false when it is not here.
    pub(super) fn forget(&mut self, agent: u32, step: u16, item: ItemId) -> bool {
        self.parked.remove(&(agent, step, item)).is_some()
    }

    /// Whether an item waits for its host.
    pub(super) fn keeps_some(&self) -> bool {
        !self.parked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(items: &[ItemId]) -> Vec<u32> {
        items.iter().map(|item| item.0).collect()
    }

    #[test]
    fn items_of_one_step_go_together_and_those_of_another_wait_for_the_last_of_them() {
        let mut hosts = Hosts::new(2);
        assert!(hosts.admit(0, 1, ItemId(0)) && hosts.admit(0, 1, ItemId(1)));
        assert!(hosts.admit(1, 2, ItemId(2)), "another host is free");
        assert!(!hosts.admit(0, 3, ItemId(5)) && !hosts.admit(0, 2, ItemId(3)) && !hosts.admit(0, 2, ItemId(4)));
        assert!(hosts.leave(0).is_empty());
        assert!(hosts.keeps_some());
        assert_eq!(numbers(&hosts.leave(0)), [3, 4], "the earliest step first, all of it");
        assert!(hosts.leave(0).is_empty());
        assert_eq!(numbers(&hosts.leave(0)), [5]);
        assert!(hosts.leave(0).is_empty());
        assert!(!hosts.keeps_some());
        assert!(hosts.admit(0, 0, ItemId(6)));
    }

    #[test]
    fn an_item_that_will_not_be_sent_waits_no_more() {
        let mut hosts = Hosts::new(1);
        assert!(hosts.admit(0, 0, ItemId(0)) && !hosts.admit(0, 1, ItemId(1)));
        assert!(hosts.forget(0, 1, ItemId(1)) && !hosts.forget(0, 1, ItemId(1)));
        assert!(hosts.leave(0).is_empty());
    }
}
