//! The least acts, and the least rounds of waiting for a first poll, of a run in which everything succeeds.
//!
//! Then steps that go after a failure do not go, and neither does what waits for them, or for what is blocked. An act holds
//! items of one step and one event type. With `settled: 100%` a wave begins when all before it have ended, so that each
//! wave needs acts of its own; with less, only what has to have settled before the next one may.

use crate::plan::{Plan, PlannedStep, When};
use crate::tenant::EventType;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Least {
    pub(super) acts: u64,
    /// Items that are sent.
    pub(super) items: u64,
    /// How often something is waited for whose first poll comes after a pause: steps after steps, waves after waves.
    pub(super) rounds: u32,
}

/// An item that is sent: its step, its target, its type, its agent.
struct Going<'p> {
    step: u16,
    target: u32,
    kind: EventType,
    agent: &'p str,
}

/// A step on a target.
#[derive(Debug, Clone, Copy)]
struct Group {
    step: u16,
    /// Whether any of its items is.
    is_blocked: bool,
    /// Whether any of its items is not.
    has_unblocked: bool,
    /// Whether its turn comes.
    goes: bool,
    /// Whether its turn does not come and those behind it, which follow the default, have theirs all the same.
    is_passed_over: bool,
    /// In which round of its target, from 1.
    round: u32,
}

pub(super) fn least(plan: &Plan) -> Least {
    let release = &plan.header.release;
    let targets = crate::plan::targets::count(&plan.items);
    let groups = groups(plan, targets);
    let going: Vec<Going<'_>> = plan
        .to_send()
        .filter(|(_, item)| groups[item.target as usize].iter().any(|group| group.step == item.step && group.goes))
        .map(|(_, item)| Going {
            step: item.step,
            target: item.target,
            kind: plan.events[item.event as usize].event_type,
            agent: plan.agent_of(item),
        })
        .collect();
    let batch_size = u64::from(plan.header.limits.batch_size.max(1));
    let (acts, rounds) = match release.promote.settled.0 {
        100.. => {
            let wave_of = |target| release.wave_of(target);
            (acts(&going, wave_of, batch_size), rounds(&groups, &going, wave_of))
        }
        percent => {
            let own = own_of_waves(plan, &going, &release.ranges(targets), percent);
            let apart: u64 = own.iter().map(|items| items.div_ceil(batch_size)).sum();
            let begun = u32::try_from(own.iter().filter(|items| **items > 0).count()).unwrap_or(u32::MAX);
            (acts(&going, |_| 0, batch_size).max(apart), rounds(&groups, &going, |_| 0).max(begun))
        }
    };
    Least { acts, items: going.len() as u64, rounds }
}

/// By target, its steps in order, as the engine judges their turns when whatever is sent succeeds.
fn groups(plan: &Plan, targets: u32) -> Vec<Vec<Group>> {
    let mut of_targets: Vec<Vec<Group>> = vec![Vec::new(); targets as usize];
    let blocked = plan.blocked();
    for (number, item) in (0_u32..).zip(&plan.items) {
        let groups = &mut of_targets[item.target as usize];
        let is_blocked = blocked.rule_of(number).is_some();
        match groups.iter_mut().find(|group| group.step == item.step) {
            Some(group) => {
                group.is_blocked |= is_blocked;
                group.has_unblocked |= !is_blocked;
            }
            None => {
                // Most targets have one, and there may be a million of them.
                groups.reserve_exact(1);
                groups.push(Group {
                    step: item.step,
                    is_blocked,
                    has_unblocked: !is_blocked,
                    goes: false,
                    is_passed_over: false,
                    round: 0,
                });
            }
        }
    }
    for groups in &mut of_targets {
        groups.sort_by_key(|group| group.step);
        for place in 0..groups.len() {
            let (before, rest) = groups.split_at_mut(place);
            judge(before, &mut rest[0], &plan.header.steps);
        }
    }
    of_targets
}

fn judge(before: &[Group], group: &mut Group, steps: &[PlannedStep]) {
    let after = steps.get(usize::from(group.step)).and_then(|step| step.flow.after);
    let waits_for: Vec<&Group> = match after {
        None => before.iter().collect(),
        Some((awaited, _)) => before.iter().filter(|earlier| earlier.step == awaited).collect(),
    };
    group.goes = match after {
        None => waits_for.iter().all(|earlier| !earlier.is_blocked && (earlier.goes || earlier.is_passed_over)),
        Some((_, When::Succeeded)) => waits_for.iter().all(|earlier| !earlier.is_blocked && earlier.goes),
        Some((_, When::Settled)) => true,
        Some((_, When::Failed)) => false,
    };
    group.is_passed_over = !group.goes && after.is_some();
    let rounds = if group.goes { waits_for.iter().map(|earlier| earlier.round).max().unwrap_or(0) } else { 0 };
    group.round = rounds + u32::from(group.goes && group.has_unblocked);
}

/// Acts where no two waves share one.
fn acts(going: &[Going<'_>], wave_of: impl Fn(u32) -> usize, batch_size: u64) -> u64 {
    type Lane<'p> = (u64, BTreeMap<&'p str, u64>);
    let mut lanes: BTreeMap<(usize, u16, EventType), Lane<'_>> = BTreeMap::new();
    for item in going {
        let (items, of_agents) = lanes.entry((wave_of(item.target), item.step, item.kind)).or_default();
        *items += 1;
        *of_agents.entry(item.agent).or_default() += 1;
    }
    let fullest = |of_agents: &BTreeMap<&str, u64>| of_agents.values().copied().max().unwrap_or(0);
    lanes.values().map(|(items, of_agents)| items.div_ceil(batch_size).max(fullest(of_agents))).sum()
}

/// The longest chains of steps, one wave after the other: on a target by what they wait for, on a host one at a time.
fn rounds(groups: &[Vec<Group>], going: &[Going<'_>], wave_of: impl Fn(u32) -> usize) -> u32 {
    let mut longest: BTreeMap<usize, u32> = BTreeMap::new();
    let mut chain = |wave, rounds: u32| {
        let longest = longest.entry(wave).or_default();
        *longest = rounds.max(*longest);
    };
    let mut steps: BTreeMap<(usize, &str), BTreeSet<u16>> = BTreeMap::new();
    for item in going {
        steps.entry((wave_of(item.target), item.agent)).or_default().insert(item.step);
    }
    for ((wave, _), steps) in steps {
        chain(wave, steps.len() as u32);
    }
    for (target, groups) in (0_u32..).zip(groups) {
        groups.iter().for_each(|group| chain(wave_of(target), group.round));
    }
    longest.values().sum()
}

/// How many items of each wave have to be sent, at the least, before the next one may begin; of the last wave, all that are
/// left. What is not sent may settle first.
fn own_of_waves(plan: &Plan, going: &[Going<'_>], waves: &[Range<u32>], percent: u8) -> Vec<u64> {
    let up_to = |targets: &mut dyn Iterator<Item = u32>| -> Vec<u64> {
        let mut of_wave = vec![0_u64; waves.len()];
        targets.for_each(|target| of_wave[waves.partition_point(|wave| wave.end <= target)] += 1);
        let mut sum = 0;
        of_wave.iter_mut().for_each(|items| {
            sum += *items;
            *items = sum;
        });
        of_wave
    };
    let released = up_to(&mut plan.items.iter().map(|item| item.target));
    let to_go = up_to(&mut going.iter().map(|item| item.target));
    let own = |wave: usize| {
        let has_to_go = match wave + 1 == waves.len() {
            true => to_go[wave],
            false => {
                let settled = (released[wave] * u64::from(percent)).div_ceil(100);
                settled.saturating_sub(released[wave] - to_go[wave])
            }
        };
        has_to_go.saturating_sub(wave.checked_sub(1).map_or(0, |before| to_go[before]))
    };
    (0..waves.len()).map(own).collect()
}

#[cfg(test)]
mod tests;
