//! Whose turn it is on a target: by default a step's when every earlier one succeeded, with `after` when the step that is
//! named ended as it says.
//!
//! It decides about groups and knows neither time nor batches.

use super::{Group, Items, State};
use crate::engine::fact::ItemId;
use crate::plan::{PlanHeader, PlannedStep, When};

/// When a step's turn comes on a target, and what its failures mean for the steps behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// An earlier step and how it must have ended; absent: every earlier step has succeeded.
    pub after: Option<(u16, When)>,
    /// Whether its failures keep no later step from its turn.
    pub allow_failure: bool,
    /// How old its events may be, in milliseconds, when they are sent.
    pub max_event_age_ms: Option<u64>,
}

impl Rule {
    /// Those of a plan's steps, in order.
    pub fn of(header: &PlanHeader) -> Vec<Self> {
        let rule = |step: &PlannedStep| Self {
            after: step.flow.after,
            allow_failure: step.flow.allow_failure,
            max_event_age_ms: step.flow.max_event_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        };
        header.steps.iter().map(rule).collect()
    }
}

/// How an item ended, as far as later steps ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was carried out well.
    Succeeded,
    /// It failed, was rejected or timed out.
    Failed,
    /// Nobody knows, or it was not sent.
    Other,
}

/// A step whose turn will not come on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// Steps follow each other, and this earlier one did not succeed.
    Barred {
        /// The step that did not succeed.
        by: u16,
    },
    /// What the step waits for cannot come true any more.
    Unmet {
        /// The step that waits.
        step: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Closed,
    Open,
    Barred,
    Unmet,
}

/// Which ends some of its items have had, apart from success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    AllWell,
    SomeFailed,
    SomeOther,
    Both,
}

/// Whether a rule has come true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    True,
    NotYet,
    /// It will not, because of this step.
    Never(u16),
}

impl Items {
    /// The next step of a released target whose turn will not come and of which items wait for it.
    pub fn shut(&self, target: u32) -> Option<Shut> {
        if target >= self.released {
            return None;
        }
        self.judged(self.places_of(target)).find_map(|(place, verdict)| {
            let Group { step, waiting, .. } = self.groups[place];
            match (verdict, self.rule(step).after) {
                _ if waiting == 0 => None,
                (Verdict::Never(by), None) => Some(Shut::Barred { by }),
                (Verdict::Never(_), Some(_)) => Some(Shut::Unmet { step }),
                _ => None,
            }
        })
    }

    /// Whether this step cannot let the steps behind it, which follow the default, have their turn on this target.
    pub fn bars(&self, target: u32, step: u16) -> bool {
        let has_failed = |place: usize| self.groups[place].standing != Standing::Barred && self.never_passes(place);
        self.place_of(target, step).is_some_and(has_failed)
    }

    /// Shuts the later steps of a target that follow the default; returns the items that were waiting, and those that are
    /// ready because of it.
    pub fn bar(&mut self, target: u32, step: u16) -> (Vec<ItemId>, Vec<ItemId>) {
        let later = self.places_of(target).filter(|place| self.groups[*place].step > step);
        let later: Vec<usize> = later.filter(|place| self.rule(self.groups[*place].step).after.is_none()).collect();
        let shut = later.into_iter().flat_map(|place| self.close(place, Standing::Barred)).collect();
        (shut, self.opened_on(target))
    }

    /// Whether what this step waits for cannot come true on this target.
    pub fn is_unmet(&self, target: u32, step: u16) -> bool {
        let Some(after) = self.rule(step).after else { return false };
        matches!(self.verdict_after(target, after), Verdict::Never(_))
    }

    /// Shuts a step of a target; returns the items that were waiting, and those that are ready because of it.
    pub fn pass_over(&mut self, target: u32, step: u16) -> (Vec<ItemId>, Vec<ItemId>) {
        let place = self.place_of(target, step);
        let shut = place.map(|place| self.close(place, Standing::Unmet)).unwrap_or_default();
        (shut, self.opened_on(target))
    }

    fn close(&mut self, place: usize, standing: Standing) -> Vec<ItemId> {
        let shut = self.waiting_in(place);
        for item in &shut {
            self.set(*item, State::Barred);
        }
        let group = &mut self.groups[place];
        group.standing = standing;
        group.unsettled -= shut.len() as u32;
        shut
    }

    pub(super) fn opened_on(&mut self, target: u32) -> Vec<ItemId> {
        if target >= self.released {
            return Vec::new();
        }
        self.open(self.places_of(target))
    }

    /// Opens the groups of a target whose rule has come true; returns the items that are ready because of it.
    pub(super) fn open(&mut self, places: std::ops::Range<usize>) -> Vec<ItemId> {
        let is_closed = |place: usize| self.groups[place].standing == Standing::Closed;
        let judged = self.judged(places).filter(|(place, verdict)| *verdict == Verdict::True && is_closed(*place));
        let opens: Vec<usize> = judged.map(|(place, _)| place).collect();
        let mut ready = Vec::new();
        for place in opens {
            self.groups[place].standing = Standing::Open;
            ready.extend(self.waiting_in(place));
        }
        for item in &ready {
            self.set(*item, State::Ready);
        }
        ready
    }

    fn waiting_in(&self, place: usize) -> Vec<ItemId> {
        let waiting = |item: &ItemId| self.item(*item).state == State::Waiting;
        self.members(place).iter().copied().filter(waiting).collect()
    }

    /// The groups of a target, each with whether its rule has come true: one pass, for rules look back.
    fn judged(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = (usize, Verdict)> + '_ {
        let mut by_default = Verdict::True;
        places.map(move |place| {
            let group = &self.groups[place];
            let verdict = match self.rule(group.step).after {
                None => by_default,
                Some(after) => self.verdict_after(group.target, after),
            };
            by_default = match by_default {
                Verdict::Never(by) => Verdict::Never(by),
                _ if self.never_passes(place) => Verdict::Never(group.step),
                _ if group.unsettled > 0 => Verdict::NotYet,
                so_far => so_far,
            };
            (place, verdict)
        })
    }

    /// Whether what is waited for has come true on a target. What an earlier run judged is not known here: a retry of the
    /// step alone that goes after a failure is skipped.
    fn verdict_after(&self, target: u32, (step, when): (u16, When)) -> Verdict {
        let Some(place) = self.place_of(target, step) else {
            // A step that has no item there counts as succeeded.
            return if when == When::Failed { Verdict::Never(step) } else { Verdict::True };
        };
        let group = &self.groups[place];
        let shut = matches!(group.standing, Standing::Barred | Standing::Unmet);
        match when {
            When::Succeeded if shut || group.ends != Ends::AllWell => Verdict::Never(step),
            When::Failed if shut => Verdict::Never(step),
            _ if group.unsettled > 0 => Verdict::NotYet,
            When::Failed if !group.ends.has_failed() => Verdict::Never(step),
            _ => Verdict::True,
        }
    }

    /// Whether a group keeps those behind it, which follow the default, from their turn. What was passed over does not.
    fn never_passes(&self, place: usize) -> bool {
        let group = &self.groups[place];
        let allowed = self.rule(group.step).allow_failure;
        group.standing == Standing::Barred
            || match group.ends {
                Ends::AllWell => false,
                Ends::SomeFailed => !allowed,
                Ends::SomeOther | Ends::Both => true,
            }
    }

    fn rule(&self, step: u16) -> Rule {
        self.rules.get(usize::from(step)).copied().unwrap_or_default()
    }
}

impl Ends {
    pub(super) fn and(self, end: End) -> Self {
        match (self, end) {
            (ends, End::Succeeded) => ends,
            (Self::AllWell | Self::SomeFailed, End::Failed) => Self::SomeFailed,
            (Self::AllWell | Self::SomeOther, End::Other) => Self::SomeOther,
            _ => Self::Both,
        }
    }

    fn has_failed(self) -> bool {
        matches!(self, Self::SomeFailed | Self::Both)
    }
}
