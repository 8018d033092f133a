//! What may follow what in one run: the part of the checker's account that needs nothing of the model.

use super::checker::{Answer, BatchLog, End, RunLog};
use super::world::World;
use crate::engine::fact::Settled;
use crate::tenant::EventType;
use std::collections::HashSet;

impl RunLog {
    /// Whether these items may be sent in one act now.
    pub(super) fn may_submit(
        &self,
        world: &World,
        step: u16,
        event_type: EventType,
        items: &[u32],
    ) -> Result<(), String> {
        if self.stopping {
            return Err("it stopped sending".to_owned());
        }
        if items.is_empty() || items.len() > usize::from(world.header.limits.batch_size) {
            return Err("it has too many items or none".to_owned());
        }
        let action = world.header.steps[usize::from(step)].action.id;
        if let Some(item) = self.holding.iter().find(|item| world.step(**item).action.id == action) {
            return Err(format!("its action is held back by item {item}, which is unknown and not resolved"));
        }
        let agents: HashSet<&str> = items.iter().map(|item| &*world.event(*item).agent_id).collect();
        if agents.len() < items.len() {
            return Err("it has two items of an agent".to_owned());
        }
        for item in items {
            let (_, own_step, _) = world.items[*item as usize];
            if own_step != step || world.event(*item).event_type != event_type {
                return Err(format!("item {item} is of another step or type"));
            }
            if let Some(end) = self.ends[*item as usize] {
                return Err(format!("item {item} has ended already: {end:?}"));
            }
            let before = self.last_batch[*item as usize].and_then(|batch| self.batches.get(&batch));
            if before.is_some_and(|before| before.answer != Some(Answer::Returned)) {
                return Err(format!("item {item} may have been carried out by its last act"));
            }
        }
        Ok(())
    }

    fn succeeded(&self, item: usize) -> bool {
        matches!(self.ends[item], Some(End::Settled(Settled::Succeeded) | End::Before(true)))
    }

    /// An act has its answer, once.
    pub(super) fn answer(&mut self, batch: u32, answer: Answer) -> Result<&mut BatchLog, String> {
        let known = self.batches.get_mut(&batch).ok_or("there is no such batch")?;
        match known.answer.replace(answer) {
            None => Ok(known),
            Some(before) => Err(format!("it was {before:?} before")),
        }
    }

    /// An item has its outcome, once.
    pub(super) fn end(&mut self, item: u32, end: End) -> Result<(), String> {
        match self.ends.get_mut(item as usize) {
            Some(none @ None) => {
                *none = Some(end);
                self.ended_at[item as usize] = self.now;
                Ok(())
            }
            Some(Some(before)) => Err(format!("item {item} ended as {before:?} before")),
            None => Err(format!("there is no item {item}")),
        }
    }

    /// Every item of an act has its outcome.
    pub(super) fn end_batch(&mut self, batch: u32, end: End) -> Result<Vec<u32>, String> {
        let items: Vec<u32> =
            (0..).zip(&self.last_batch).filter(|(_, last)| **last == Some(batch)).map(|(item, _)| item).collect();
        items.iter().try_for_each(|item| self.end(*item, end))?;
        Ok(items)
    }

    /// The later steps of a target are not sent: an item of that step must have ended without success.
    pub(super) fn bar(&mut self, world: &World, target: u32, step: u16) -> Result<(), String> {
        let of = |item: usize| (world.items[item].2 == target).then(|| world.items[item].1);
        let all = 0..self.ends.len();
        let ended = |item: usize| self.first_ends.get(&(item as u32)).copied().or(self.ends[item]);
        let failed = |item: usize| of(item) == Some(step) && ended(item).is_some() && !self.succeeded(item);
        if !all.clone().any(failed) {
            return Err("nothing of that step has failed".to_owned());
        }
        let follows = |step: u16| world.header.steps[usize::from(step)].flow.after.is_none();
        for item in all.filter(|item| of(*item).is_some_and(|other| other > step && follows(other))) {
            self.ends[item].get_or_insert(End::Barred);
        }
        Ok(())
    }
}
