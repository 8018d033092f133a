//! Which items of a plan are never sent, since a rule protects what they are about. Whatever is counted or said of what a
//! plan will do leaves them out here.

use super::{Plan, PlannedItem};
use std::collections::{BTreeSet, HashMap};

/// The items that are blocked, by their numbers, each with its rule.
#[derive(Debug)]
pub struct BlockedItems<'p>(HashMap<u32, &'p str>);

impl<'p> BlockedItems<'p> {
    /// The rule that blocks an item.
    pub fn rule_of(&self, item: u32) -> Option<&'p str> {
        self.0.get(&item).copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Plan {
    /// The items that are never sent.
    pub fn blocked(&self) -> BlockedItems<'_> {
        let of = self.header.blocked.iter();
        BlockedItems(of.flat_map(|of| of.items.iter().map(|item| (*item, of.rule.as_str()))).collect())
    }

    /// The items that are not blocked, with their numbers: what is sent, if earlier runs did none of it.
    pub fn to_send(&self) -> impl Iterator<Item = (u32, &PlannedItem)> {
        let blocked = self.blocked();
        (0_u32..).zip(&self.items).filter(move |(number, _)| blocked.rule_of(*number).is_none())
    }

    /// How many items that is, and on how many hosts: different agents, as acts name them.
    pub fn counts(&self) -> (usize, usize) {
        let agents = self.to_send().map(|(_, item)| self.agent_of(item));
        (self.to_send().count(), agents.collect::<BTreeSet<_>>().len())
    }
}
