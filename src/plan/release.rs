//! How a plan is released: which targets make a wave, what opens the next one, and how many failures stop the run.
//!
//! **The failure budget.** A failure is an item that failed, was rejected, timed out, is unknown or unmatched;
//! `still_queued` is none, nor is what failed, was rejected or timed out in a step with `allow_failure`. `count: N`
//! tolerates N failures; `percent: p` tolerates N = ⌊p × planned items / 100⌋. The run stops at failure N + 1, once
//! `min_settled` items have settled. With `strict` open items and failures together never exceed N + 1.

use super::build::Work;
use super::problems::{Origin, Problems};
use super::{Plan, targets};
use crate::playbook::{FailureBudget, Percent, Playbook, Promote, Schedule, Tolerated, WaveSize};
use crate::yaml::Spanned;
use serde::{Deserialize, Serialize};

/// How a plan is released.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlannedRelease {
    /// The column by which events belong to a target; absent: the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// For each wave how many targets it and those before it hold: targets are numbered in this order. Empty: all at once.
    #[serde(default)]
    pub waves: Vec<u32>,
    /// Sizes that are written and release no further target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedWave>,
    /// What opens the next wave.
    #[serde(default)]
    pub promote: Promote,
    /// How many failures stop the run; `None` in plans that were made before there was a budget.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// A file that stops the run while it is there, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_file: Option<String>,
    /// An address that has to answer 200 before every act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_url: Option<String>,
    /// When it may act.
    #[serde(default)]
    pub schedule: Schedule,
}

/// A size of a wave that does not grow beyond those before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedWave {
    /// As it is written: `5%`.
    pub written: String,
    /// How many targets that is.
    pub targets: u32,
    /// How many the waves before it hold.
    pub before: u32,
}

/// How many failures stop a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Failures that are tolerated (N): one more stops the run.
    pub tolerated: u32,
    /// How it is written: `10%`, `5`.
    pub written: String,
    /// Items that must have settled before it is judged.
    pub min_settled: u32,
    /// Whether open items count as failures until they have settled.
    pub strict: bool,
}

impl Budget {
    fn of(budget: FailureBudget, items: u32) -> Self {
        let FailureBudget { tolerated, min_settled, strict } = budget;
        Self { tolerated: tolerated.among(items), written: tolerated.to_string(), min_settled, strict }
    }
}

/// The worst that can have happened by the time the run stops by itself: `quell plan` says it for each wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstCase {
    /// Number of the wave, from 1.
    pub wave: u32,
    /// Targets that are released with it and have such items.
    pub targets: u32,
    /// Items of these targets.
    pub items: u32,
    /// Items of this wave that may be carried out badly before nothing more is sent.
    pub bad: u32,
}

/// How the work that was asked for is released; `waves` are those of the command line.
pub(super) fn release(work: &Work<'_>, sizes: Sizes, origin: &Origin, found: &mut Problems) -> PlannedRelease {
    let (waves, promote, budget, target) = match work {
        Work::Playbook(Playbook { release, target, .. }) => (
            release.waves.as_slice(),
            release.promote.as_ref().map(|promote| promote.value).unwrap_or_default(),
            release.failure_budget,
            target.as_ref().map(|column| column.value.clone()),
        ),
        Work::AdHoc(ad_hoc) => {
            let budget = ad_hoc.failure_budget.map_or_else(FailureBudget::default, FailureBudget::tolerating);
            (ad_hoc.waves.as_slice(), Promote::default(), budget, None)
        }
    };
    let (waves, dropped) = cumulative(waves, sizes, origin, found);
    let (stop_file, go_url, schedule) = match work {
        Work::Playbook(Playbook { release, .. }) => {
            (release.stop_file.clone(), release.go_url.clone(), release.schedule.clone())
        }
        Work::AdHoc(_) => (None, None, Schedule::default()),
    };
    let budget = Some(Budget::of(budget, sizes.items));
    PlannedRelease { target, waves, dropped, promote, budget, stop_file, go_url, schedule }
}

/// Rounded up; what does not grow is dropped, and said to be. One wave is none.
fn cumulative(
    written: &[Spanned<WaveSize>],
    sizes: Sizes,
    origin: &Origin,
    found: &mut Problems,
) -> (Vec<u32>, Vec<DroppedWave>) {
    let (mut waves, mut dropped): (Vec<u32>, Vec<DroppedWave>) = (Vec::new(), Vec::new());
    let targets = sizes.acted;
    for size in written {
        let (count, before) = (size.value.of(targets), waves.last().copied().unwrap_or(0));
        if count > before {
            waves.push(count);
        } else if targets > 0 {
            dropped.push(DroppedWave { written: size.value.to_string(), targets: count, before });
        }
    }
    if let (Some(last), Some(size)) = (waves.last(), written.last())
        && *last < targets
    {
        let message =
            format!("the last wave ({}) leaves {} of {targets} targets unreleased", size.value, targets - last);
        let help = Some("sizes are cumulative: end with `100%`, or select fewer events".to_owned());
        found.push(origin.problem(size.place, "--waves", message, help));
    }
    (sizes.ends(waves), dropped)
}

/// How much a plan does, as waves and budget count it. Targets on which everything is blocked come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Targets on which something is to be sent.
    acted: u32,
    /// All targets.
    targets: u32,
    /// Items that are to be sent.
    items: u32,
}

impl Sizes {
    pub(super) fn of(plan: &Plan) -> Self {
        let (mut acted, mut items) = (0, 0);
        for (_, item) in plan.to_send() {
            (acted, items) = (acted.max(item.target + 1), items + 1);
        }
        Self { acted, targets: targets::count(&plan.items), items }
    }

    /// Ends of waves: fewer than two are none, and the last one takes the targets along on which nothing is sent.
    fn ends(self, mut waves: Vec<u32>) -> Vec<u32> {
        match waves.last_mut() {
            Some(last) => *last = (*last).max(self.targets),
            None => return waves,
        }
        if waves.len() < 2 { Vec::new() } else { waves }
    }
}

impl PlannedRelease {
    /// For some of the plan's items, planned once more: waves of the same sizes, as far as there are targets, and the
    /// budget of so many items.
    pub(super) fn among(&self, sizes: Sizes) -> Self {
        let mut waves: Vec<u32> = self.waves.iter().map(|end| *end.min(&sizes.acted)).collect();
        waves.dedup();
        let (waves, items) = (sizes.ends(waves), sizes.items);
        let budget = self.budget.clone().map(|budget| match budget.written.strip_suffix('%').map(str::parse::<u8>) {
            Some(Ok(percent)) => Budget { tolerated: Tolerated::Percent(Percent(percent)).among(items), ..budget },
            _ => budget,
        });
        Self { waves, dropped: Vec::new(), budget, ..self.clone() }
    }

    /// The wave of a target, from 0.
    pub fn wave_of(&self, target: u32) -> usize {
        self.waves.partition_point(|end| *end <= target)
    }

    /// The targets of each wave, `all` being how many there are.
    pub fn ranges(&self, all: u32) -> Vec<std::ops::Range<u32>> {
        let ends: &[u32] = if self.waves.is_empty() { &[all] } else { &self.waves };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, end)| start..*end).collect()
    }

    /// The worst case of each wave, given how many items each target has that will be acted on.
    ///
    /// A gate that tolerates F failures lets the next wave begin with at most F of them. A strict budget bounds what is
    /// open and failed together; any other lets the whole wave go before the first answer says how it went.
    pub fn worst_cases(&self, items_of_target: &[u32]) -> Vec<WorstCase> {
        let ranges = self.ranges(items_of_target.len() as u32).into_iter().zip(1..);
        ranges
            .map(|(range, wave)| {
                let of_wave = &items_of_target[range.start as usize..range.end as usize];
                let items: u32 = of_wave.iter().sum();
                let targets = of_wave.iter().filter(|items| **items > 0).count() as u32;
                let bad = match &self.budget {
                    Some(budget) if budget.strict => items.min(budget.tolerated.saturating_add(1)),
                    _ => items,
                };
                WorstCase { wave, targets, items, bad }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::fixture::plan;
    use crate::plan::show;

    #[test]
    fn sizes_that_do_not_grow_are_dropped_and_the_plan_says_which_and_why() {
        let agents: Vec<String> = (0..8).map(|host| format!("a{host}")).collect();
        let rows: Vec<_> = agents.iter().map(|agent| ("FILE", agent.as_str(), "{}")).collect();
        let digest_of = |waves: &str| {
            let plan = plan(&format!("steps: [{{name: take, action: quarantine}}]\nwaves: {waves}\n"), "", &rows);
            let said = show::text(&plan).lines().find(|line| line.starts_with("waves dropped")).map(str::to_owned);
            (plan.header.release.waves.clone(), said, plan.header.digest)
        };
        let check = |waves: &str, expected: &[u32], said: Option<&str>| {
            let (planned, told, _) = digest_of(waves);
            assert_eq!((&planned[..], told.as_deref()), (expected, said), "{waves}");
        };
        check("[1, 5, 100%]", &[1, 5, 8], None);
        check(
            "[5, 1, \"100%\"]",
            &[5, 8],
            Some("waves dropped, as they release no further target: 1 (1 target, after 5)"),
        );
        check("[100%, 8]", &[], Some("waves dropped, as they release no further target: 8 (8 targets, after 8)"));
        check(
            "[1, 5%, 10%, 100%]",
            &[1, 8],
            Some("waves dropped, as they release no further target: 5% (1 target, after 1), 10% (1 target, after 1)"),
        );
        assert_ne!(digest_of("[5, 1, 100%]").2, digest_of("[5, 100%]").2, "what is said is part of the plan");
    }
}
