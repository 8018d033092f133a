//! What a seed's plan says of order, waves, budgets, age and protection, and the checker's own account of them: written
//! from the rules, and not from how the engine keeps to them.

use super::checker::{End, RunLog};
use super::world::{World, pick};
use crate::engine::fact::{Fact, Finding, ItemId, Settled, StopReason, What};
use crate::plan::{Budget, Percent, PlannedFlow, PlannedRelease, Promote, When};
use fastrand::Rng;
use std::time::Duration;

/// What the facts said so far of waves and failures.
#[derive(Debug, Clone, Default)]
pub(super) struct Released {
    /// Waves opened after the first.
    pub(super) opened: usize,
    pub(super) awaiting: bool,
    forgiven: usize,
    forgiven_by_gate: usize,
    /// Items that a person found to have gone well.
    well: Vec<u32>,
    blocked: bool,
}

/// What steps may say of their order: mostly nothing.
pub(super) fn flows(chance: &mut Rng, steps: usize) -> Vec<PlannedFlow> {
    let some = chance.u32(0..2) == 0;
    let when = [When::Succeeded, When::Failed, When::Settled];
    let flow = |step: usize, chance: &mut Rng| PlannedFlow {
        after: (some && step > 0 && chance.bool()).then(|| (chance.u16(0..step as u16), *pick(chance, &when))),
        once: false,
        allow_failure: some && chance.u32(0..4) == 0,
        max_event_age: (some && chance.u32(0..5) == 0).then(|| Duration::from_secs(chance.u64(1..600))),
    };
    (0..steps).map(|step| flow(step, chance)).collect()
}

pub(super) fn release(chance: &mut Rng, targets: u32, items: u32) -> PlannedRelease {
    let mut waves: Vec<u32> = Vec::new();
    if chance.u32(0..3) == 0 {
        waves = (1..targets).filter(|_| chance.u32(0..3) == 0).collect();
        waves.push(targets);
    }
    if waves.len() < 2 {
        waves.clear();
    }
    let time = |chance: &mut Rng| (chance.u32(0..4) == 0).then(|| Duration::from_secs(chance.u64(1..400)));
    let promote = Promote {
        settled: Percent(*pick(chance, &[100, 100, 90, 50, 0])),
        failures: *pick(chance, &[0, 0, 1, 3]),
        within: time(chance),
        confirm_within: time(chance),
    };
    let budget = (chance.u32(0..2) == 0).then(|| {
        let strict = chance.bool();
        let min_settled = if strict { 0 } else { chance.u32(0..6) };
        Budget { tolerated: chance.u32(0..=items.min(6)), written: String::new(), min_settled, strict }
    });
    PlannedRelease { target: None, waves, promote, budget, ..PlannedRelease::default() }
}

/// Items that a rule protects, by seed.
pub(super) fn protected(chance: &mut Rng, items: u32) -> Vec<ItemId> {
    if chance.u32(0..6) > 0 { Vec::new() } else { (0..items).filter(|_| chance.u32(0..4) == 0).map(ItemId).collect() }
}

impl World {
    fn target_of(&self, item: usize) -> u32 {
        self.items[item].2
    }

    fn flow(&self, step: u16) -> &PlannedFlow {
        &self.header.steps[usize::from(step)].flow
    }

    /// Targets below this are released after so many waves.
    fn released(&self, opened: usize) -> u32 {
        self.header.release.waves.get(opened).copied().unwrap_or(u32::MAX)
    }
}

impl RunLog {
    /// Whether this item's end is a failure that budgets and gates count.
    fn failed(&self, world: &World, item: usize) -> bool {
        let allowed = world.flow(world.items[item].1).allow_failure;
        let counted = match self.ends[item] {
            Some(End::Settled(Settled::Unknown | Settled::Unmatched) | End::Unanswered) => true,
            Some(End::Settled(Settled::Failed | Settled::TimedOut) | End::Rejected) => !allowed,
            _ => false,
        };
        counted && !self.released.well.contains(&(item as u32))
    }

    fn failures(&self, world: &World) -> usize {
        (0..self.ends.len()).filter(|item| self.failed(world, *item)).count()
    }

    /// Items that were sent and have no outcome.
    fn open(&self) -> usize {
        (0..self.ends.len()).filter(|item| self.outcome(*item) == crate::engine::Outcome::Open).count()
    }

    /// Failures that were none after all are forgiven to nobody else.
    pub(super) fn forgive_no_more(&mut self, world: &World) {
        let failures = self.failures(world);
        self.released.forgiven = self.released.forgiven.min(failures);
        self.released.forgiven_by_gate = self.released.forgiven_by_gate.min(failures);
    }

    pub(super) fn is_over_budget(&self, world: &World) -> bool {
        let Some(budget) = &world.header.release.budget else { return false };
        let settled =
            self.ends.iter().filter(|end| matches!(end, Some(End::Settled(_) | End::Rejected | End::Unanswered)));
        self.failures(world).saturating_sub(self.released.forgiven) > budget.tolerated as usize
            && settled.count() >= budget.min_settled as usize
    }

    /// Whether these items may be sent now, by waves, budget, age, order and host; they are in no batch yet.
    pub(super) fn may_be_released(&self, world: &World, step: u16, at: u64, items: &[u32]) -> Result<(), String> {
        let release = &world.header.release;
        if self.is_over_budget(world) {
            return Err("the failure budget is used up".to_owned());
        }
        if let Some(budget) = release.budget.as_ref().filter(|budget| budget.strict) {
            let failures = self.failures(world).saturating_sub(self.released.forgiven);
            let together = failures + self.open() + items.len();
            if together > budget.tolerated as usize + 1 {
                return Err(format!("open items and failures together are {together}"));
            }
        }
        for item in items.iter().map(|item| *item as usize) {
            if world.protected.contains(&ItemId(item as u32)) {
                return Err(format!("item {item} is protected"));
            }
            let target = world.target_of(item);
            if target >= world.released(self.released.opened) {
                return Err(format!("item {item} is of a wave that has not begun"));
            }
            if is_too_old(world, item, at) {
                return Err(format!("item {item} is too old, or of the future"));
            }
            if !self.turn(world, target, step) {
                return Err(format!("the turn of item {item} has not come"));
            }
            let agent = world.shapes[item].agent;
            let other = |other: &usize| {
                world.shapes[*other].agent == agent
                    && world.items[*other].1 != step
                    && self.outcome(*other) == crate::engine::Outcome::Open
            };
            if let Some(other) = (0..self.ends.len()).find(other) {
                return Err(format!("item {item} is sent while another step's item {other} is under way on its host"));
            }
        }
        Ok(())
    }

    /// How a step stands on a target: whether all of its items have ended, all well, some failed.
    fn standing(&self, world: &World, target: u32, step: u16) -> Standing {
        let of = (0..self.ends.len()).filter(|item| world.items[*item].2 == target && world.items[*item].1 == step);
        let mut standing = Standing { settled: true, failed: false, other: false, shut: false };
        for item in of {
            // What was settled late changes nothing for later steps.
            match self.first_ends.get(&(item as u32)).copied().or(self.ends[item]) {
                None => standing.settled = false,
                Some(End::Settled(Settled::Succeeded) | End::Before(true)) => {}
                Some(End::Settled(Settled::Failed | Settled::TimedOut) | End::Rejected) => standing.failed = true,
                Some(End::Barred | End::Unmet) => standing.shut = true,
                Some(_) => standing.other = true,
            }
        }
        standing
    }

    /// Whether the turn of a step has come on a target.
    fn turn(&self, world: &World, target: u32, step: u16) -> bool {
        match world.flow(step).after {
            None => (0..step).all(|earlier| {
                let standing = self.standing(world, target, earlier);
                let barred = standing.shut && world.flow(earlier).after.is_none();
                let failed = standing.failed && !world.flow(earlier).allow_failure;
                standing.settled && !failed && !standing.other && !barred
            }),
            Some((awaited, when)) => {
                let standing = self.standing(world, target, awaited);
                match when {
                    When::Succeeded => standing.settled && !standing.failed && !standing.other && !standing.shut,
                    When::Failed => standing.settled && standing.failed && !standing.shut,
                    When::Settled => standing.settled,
                }
            }
        }
    }

    /// A step waits in vain on a target: its items end.
    pub(super) fn unmet(&mut self, world: &World, target: u32, step: u16) -> Result<(), String> {
        let Some((awaited, when)) = world.flow(step).after else { return Err("it waits for none".to_owned()) };
        let standing = self.standing(world, target, awaited);
        let never = match when {
            When::Succeeded => standing.failed || standing.other || standing.shut,
            When::Failed => standing.shut || standing.settled && !standing.failed,
            When::Settled => false,
        };
        if !never || target >= world.released(self.released.opened) {
            return Err("it need not wait in vain".to_owned());
        }
        for item in (0..self.ends.len()).filter(|item| world.items[*item].2 == target && world.items[*item].1 == step) {
            if self.ends[item].is_none() && self.last_batch[item].is_none() {
                self.end(item as u32, End::Unmet)?;
            }
        }
        Ok(())
    }

    /// The next wave begins: its conditions hold, or a person said so.
    pub(super) fn promoted(&mut self, world: &World, wave: u16, by_person: bool, forced: bool) -> Result<(), String> {
        let release = &world.header.release;
        if usize::from(wave) != self.released.opened + 2 || usize::from(wave) > release.waves.len() {
            return Err("it is not the next wave".to_owned());
        }
        if release.promote.confirm_within.is_some() && !by_person {
            return Err("a person has to say yes".to_owned());
        }
        if !forced {
            self.gate_holds(world)?;
        }
        if forced {
            self.released.forgiven_by_gate = self.failures(world);
        }
        self.released.opened += 1;
        self.released.awaiting = false;
        Ok(())
    }

    pub(super) fn gate_holds(&self, world: &World) -> Result<(), String> {
        let promote = &world.header.release.promote;
        let until = world.released(self.released.opened);
        let items: Vec<usize> = (0..self.ends.len()).filter(|item| world.target_of(*item) < until).collect();
        let settled = items.iter().filter(|item| self.ends[**item].is_some()).count();
        if settled * 100 < items.len() * usize::from(promote.settled.0) {
            return Err(format!("{settled} of {} items have settled", items.len()));
        }
        let failures = self.failures(world).saturating_sub(self.released.forgiven_by_gate);
        if failures > promote.failures as usize {
            return Err(format!("{failures} have failed"));
        }
        let first = self.released.opened.checked_sub(1).map_or(0, |before| world.released(before));
        let ends = |of: &[Settled]| {
            let is_of =
                |item: &&usize| matches!(self.ends[**item], Some(End::Settled(outcome)) if of.contains(&outcome));
            items.iter().filter(|item| world.target_of(**item) >= first).filter(is_of).count()
        };
        let (silent, answered) = (ends(&[Settled::StillQueued]), ends(&[Settled::Succeeded, Settled::Failed]));
        if silent > 0 && answered == 0 {
            return Err(format!("{silent} are still queued, and no host of the newest wave answered"));
        }
        Ok(())
    }

    /// Facts about release that need no more than the run's own account.
    pub(super) fn hear_release(&mut self, world: &World, fact: &Fact) -> Result<(), String> {
        match &fact.what {
            What::Continued { .. } => self.released.forgiven = self.failures(world),
            What::Resumed { .. } => self.released.awaiting = false,
            What::Resolved { items, finding, .. } => {
                let well = matches!(finding, Finding::CarriedOut | Finding::Succeeded);
                self.released.well.retain(|item| !items.contains(&ItemId(*item)));
                self.released.well.extend(items.iter().filter(|_| well).map(|item| item.0));
                self.forgive_no_more(world);
            }
            What::Blocked { items, .. } => {
                if *items != world.protected || std::mem::replace(&mut self.released.blocked, true) {
                    return Err("it is not what is protected".to_owned());
                }
                items.iter().try_for_each(|item| self.end(item.0, End::Blocked))?;
            }
            What::Expired { items } => {
                for item in items {
                    if !is_too_old(world, item.0 as usize, fact.at.0) {
                        return Err(format!("item {} is not too old", item.0));
                    }
                    self.end(item.0, End::Expired)?;
                }
            }
            What::Stopping { why: StopReason::Budget } if !self.is_over_budget(world) => {
                return Err("the failure budget is not used up".to_owned());
            }
            What::Stopping { why: StopReason::Gate } => {
                let asks = world.header.release.promote.confirm_within.is_some();
                if self.gate_holds(world).is_ok() && !asks
                    || self.released.opened + 1 >= world.header.release.waves.len()
                {
                    return Err("the gate need not stay shut".to_owned());
                }
            }
            What::Unmet { step, targets } => {
                targets.iter().try_for_each(|target| self.unmet(world, *target, *step))?;
            }
            What::Awaiting { wave } => {
                let next = usize::from(*wave) == self.released.opened + 2;
                if !next || world.header.release.promote.confirm_within.is_none() || self.released.awaiting {
                    return Err("nobody need be asked".to_owned());
                }
                self.released.awaiting = true;
                self.gate_holds(world)?;
            }
            What::Promoted { wave, by, reason, held } => {
                self.promoted(world, *wave, by.is_some(), reason.is_some() && !held)?;
            }
            _ => {}
        }
        Ok(())
    }
}

struct Standing {
    settled: bool,
    failed: bool,
    other: bool,
    shut: bool,
}

/// Whether an item's event is older than its step allows at this moment, or dated more than five minutes ahead of it.
fn is_too_old(world: &World, item: usize, at: u64) -> bool {
    let age =
        world.step(item as u32).flow.max_event_age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    world.shapes[item].expires.is_some_and(|until| until < at || until - age > at + 300_000)
}
