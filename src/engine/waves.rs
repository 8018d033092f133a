//! When the next wave of targets may begin, and when failures stop the run.
//!
//! The gate between two waves is judged over everything released so far. It opens by itself, or waits for a person once
//! its conditions hold. Time enters through `now` alone. What the failure budget counts is in [`crate::plan::release`].

use super::fact::{Fact, ItemId, Moment, Settled, StopReason, What};
use super::items::Shut;
use super::state::{Engine, Illegal};
use std::collections::BTreeMap;

/// A gate that is not open yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Number of the wave that it keeps back, from 1.
    pub wave: u16,
    /// How many waves there are.
    pub waves: u16,
    /// Items released so far.
    pub released: u64,
    /// … of which have their outcome.
    pub settled: u64,
    /// … of which failed, as the budget counts it, since a person last opened a gate.
    pub failures: u64,
    /// Whether the newest wave shows how it goes: not where its items are still queued and nothing else is known of it.
    pub shows: bool,
    /// Whether its conditions hold, and the newest wave shows something.
    pub met: bool,
    /// Whether it waits for a person, and until when.
    pub awaits: Option<Moment>,
}

/// Who opens a gate, and why although its conditions do not hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Promotion {
    /// The wave that is meant, from 1; absent: the next one. What is meant for one gate opens no later one.
    pub wave: Option<u16>,
    /// The operator, as far as known.
    pub by: Option<String>,
    /// Needed where the conditions do not hold.
    pub reason: Option<String>,
}

/// What the hosts of the newest wave have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NewestWave {
    /// Its targets begin with this number.
    first: u32,
    /// Items that the API called a success or a failure.
    answered: u64,
    /// Items that are still queued at their deadline: their hosts are off.
    silent: u64,
}

impl NewestWave {
    /// A wave begins with this target.
    pub(super) fn beginning_with(first: u32) -> Self {
        Self { first, ..Self::default() }
    }

    /// An item of this target has this outcome now.
    pub(super) fn hear(&mut self, target: u32, outcome: Settled) {
        match outcome {
            _ if target < self.first => {}
            Settled::Succeeded | Settled::Failed => self.answered += 1,
            Settled::StillQueued => self.silent += 1,
            Settled::TimedOut | Settled::Unknown | Settled::Unmatched => {}
        }
    }

    /// An item of this target is no longer still queued.
    pub(super) fn found(&mut self, target: u32) {
        self.silent -= u64::from(target >= self.first);
    }

    /// Whether it shows how it goes: where all hosts are off it shows nothing. A wave in which nothing was to be sent has
    /// nothing to show.
    fn says_something(self) -> bool {
        self.silent == 0 || self.answered > 0
    }
}

/// What a gate does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turnstile {
    /// The next wave begins.
    Opens,
    /// A person is asked from now on.
    Asks,
    /// Nothing changes before this moment by itself.
    Waits(Option<Moment>),
    /// It took too long.
    Late,
}

impl Engine {
    /// The gate before the next wave; `None` when all targets are released.
    pub fn gate(&self) -> Option<Gate> {
        let wave = self.config.waves.iter().position(|end| *end > self.items.released())?;
        let (released, settled) = self.items.released_and_done();
        let failures = self.failures.saturating_sub(self.forgiven_by_gate);
        let promote = &self.config.promote;
        let enough = u128::from(settled) * 100 >= u128::from(released) * u128::from(promote.settled.0);
        let shows = self.newest_wave.says_something();
        let met = enough && failures <= u64::from(promote.failures) && shows;
        let wait = promote.confirm_within.map(|wait| wait.as_millis() as u64);
        let awaits = self.awaiting_since.zip(wait).map(|(since, wait)| Moment(since.0.saturating_add(wait)));
        let (wave, waves) = (wave as u16 + 1, self.config.waves.len() as u16);
        Some(Gate { wave, waves, released, settled, failures, shows, met, awaits })
    }

    pub(super) fn turnstile(&self) -> Option<Turnstile> {
        if self.stopping.is_some() || self.only_polls {
            return None;
        }
        let gate = self.gate()?;
        let promote = &self.config.promote;
        Some(match (gate.met, promote.confirm_within, gate.awaits) {
            (true, None, _) => Turnstile::Opens,
            (true, Some(_), None) => Turnstile::Asks,
            (true, Some(_), Some(until)) if until <= self.now => Turnstile::Late,
            (true, Some(_), Some(until)) => Turnstile::Waits(Some(until)),
            (false, ..) => {
                let until =
                    promote.within.map(|within| Moment(self.gate_since.0.saturating_add(within.as_millis() as u64)));
                match until {
                    Some(until) if until <= self.now => Turnstile::Late,
                    until => Turnstile::Waits(until),
                }
            }
        })
    }

    /// Lets the next waves begin whose time has come, asks for a person, or gives up; and stops when there were too many
    /// failures.
    pub(super) fn look_at_gates(&mut self, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        // With nothing left to keep back there is nothing to stop.
        let unsent = self.progress.items - self.progress.settled - self.open_items;
        if unsent > 0 && self.is_over_budget() {
            self.stop(StopReason::Budget, record)?;
        }
        while self.started {
            match self.turnstile() {
                Some(Turnstile::Opens) => self.open_gate(Promotion::default(), record)?,
                Some(Turnstile::Asks) => {
                    let wave = self.gate().map_or(0, |gate| gate.wave);
                    self.note(record, What::Awaiting { wave })?;
                }
                Some(Turnstile::Late) => return self.stop(StopReason::Gate, record),
                Some(Turnstile::Waits(_)) | None => break,
            }
        }
        Ok(())
    }

    /// A person opens the gate. Without a reason it opens only when its conditions hold; whoever asks has looked before.
    pub(super) fn promoted(&mut self, promotion: Promotion, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        match self.gate() {
            // What is stopping begins no wave: whoever takes the run up is asked again.
            _ if self.stopping.is_some() || self.only_polls => Ok(()),
            Some(gate) if promotion.wave.is_some_and(|meant| meant != gate.wave) => Ok(()),
            Some(gate) if gate.met || promotion.reason.is_some() => self.open_gate(promotion, record),
            _ => Ok(()),
        }
    }

    fn open_gate(&mut self, Promotion { by, reason, .. }: Promotion, record: &mut Vec<Fact>) -> Result<(), Illegal> {
        let Some(gate) = self.gate() else { return Ok(()) };
        let from = self.items.released();
        let held = gate.met && reason.is_some();
        self.note(record, What::Promoted { wave: gate.wave, by, reason, held })?;
        self.shut_what_cannot_come(from..self.items.released(), record)
    }

    /// Steps of these targets whose turn cannot come: one fact for each that is barred, one for all targets on which a step
    /// waits in vain.
    pub(super) fn shut_what_cannot_come(
        &mut self,
        targets: std::ops::Range<u32>,
        record: &mut Vec<Fact>,
    ) -> Result<(), Illegal> {
        let mut look: Vec<u32> = targets.collect();
        while !look.is_empty() {
            let mut unmet: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
            let mut again = Vec::new();
            for target in look {
                match self.items.shut(target) {
                    Some(Shut::Barred { by }) => self.note(record, What::Barred { target, step: by })?,
                    Some(Shut::Unmet { step }) => unmet.entry(step).or_default().push(target),
                    None => continue,
                }
                again.push(target);
            }
            for (step, targets) in unmet {
                self.note(record, What::Unmet { step, targets })?;
            }
            look = again;
        }
        Ok(())
    }

    /// Failures that the budget counts, since an operator last said to go on.
    fn counted_failures(&self) -> u64 {
        self.failures.saturating_sub(self.forgiven)
    }

    /// Whether there were more failures than the run takes.
    pub fn is_over_budget(&self) -> bool {
        let Some(budget) = &self.config.budget else { return false };
        let settled =
            self.progress.succeeded + self.progress.failed + self.progress.unclear + self.progress.still_queued;
        self.counted_failures() > u64::from(budget.tolerated) && settled >= u64::from(budget.min_settled)
    }

    /// How many items a strict budget lets out now, besides those that are open; `None` without one.
    pub(super) fn room_in_budget(&self) -> Option<u64> {
        let budget = self.config.budget.as_ref().filter(|budget| budget.strict)?;
        let taken = self.counted_failures() + self.open_items;
        Some((u64::from(budget.tolerated) + 1).saturating_sub(taken))
    }

    /// Whether this outcome is a failure that the budget and the gates count. Nobody can allow what nobody knows.
    pub(super) fn is_failure(&self, item: ItemId, outcome: Settled) -> bool {
        match outcome {
            Settled::Succeeded | Settled::StillQueued => false,
            Settled::Unknown | Settled::Unmatched => true,
            Settled::Failed | Settled::TimedOut => {
                let step = self.config.steps.get(usize::from(self.items.step(item)));
                !step.is_some_and(|step| step.allow_failure)
            }
        }
    }
}
