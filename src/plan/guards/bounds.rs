//! What holds for a plan: the defaults, what the playbook or flags say instead, and the tenant's ceilings over both.
//!
//! What nobody sets is the lower of default and ceiling. What is set above the ceiling is a problem at its place, and so
//! is a cap for an action that the tenant does not have.

use super::{Bound, Guard, MAX_HOSTS, MAX_IRREVERSIBLE, MAX_ITEMS, MAX_PER_HOST, PlannedGuards, SetBy, Share};
use crate::plan::Work;
use crate::plan::problems::{Origin, Problems};
use crate::problem::Problem;
use crate::tenant::{Estate, Guards, PercentOf, Tenant};
use crate::yaml::Spanned;

/// The guards of a plan that is made of this. They have not judged it yet.
pub(in crate::plan) fn effective(
    work: &Work<'_>,
    tenant: &Tenant,
    origin: &Origin,
    problems: &mut Problems,
) -> PlannedGuards {
    let (given, by_flags) = match work {
        Work::Playbook(playbook) => (&playbook.guards, false),
        Work::AdHoc(ad_hoc) => (&*ad_hoc.guards, true),
    };
    let mut making = Making { tenant, origin, problems, set_by: if by_flags { SetBy::Flag } else { SetBy::Playbook } };
    let ceilings = &tenant.guards;
    let mut bounds = vec![
        making.number(Guard::MaxItems, MAX_ITEMS, given.max_items.as_ref(), ceilings.max_items.as_ref()),
        making.number(Guard::MaxHosts, MAX_HOSTS, given.max_hosts.as_ref(), ceilings.max_hosts.as_ref()),
        making.number(Guard::MaxPerHost, MAX_PER_HOST, given.max_per_host.as_ref(), ceilings.max_per_host.as_ref()),
        making.number(
            Guard::MaxIrreversible,
            MAX_IRREVERSIBLE,
            given.max_irreversible.as_ref(),
            ceilings.max_irreversible.as_ref(),
        ),
    ];
    bounds.extend(making.share(given.max_percent_of.as_ref(), ceilings.max_percent_of.as_ref()));
    bounds.extend(making.caps(given));
    PlannedGuards { bounds, by_flags, holds: Vec::new() }
}

/// The share that was written; of hosts that nobody has read it is a share of none.
fn share_of(percent_of: &PercentOf) -> Guard {
    let (of, file) = match &percent_of.of {
        Estate::Hosts(hosts) => (*hosts, None),
        Estate::Listed(list) => (list.hosts, Some((list.file.clone(), list.sha256.clone()))),
        Estate::Unread(file) => (0, Some((file.value.clone(), String::new()))),
    };
    Guard::MaxPercentOf(Share { of, percent: percent_of.percent, file })
}

struct Making<'a> {
    tenant: &'a Tenant,
    origin: &'a Origin,
    problems: &'a mut Problems,
    set_by: SetBy,
}

impl Making<'_> {
    fn number(
        &mut self,
        guard: Guard,
        default: u32,
        given: Option<&Spanned<u32>>,
        ceiling: Option<&Spanned<u32>>,
    ) -> Bound {
        let ceiling = ceiling.map(|ceiling| ceiling.value);
        let (most, set_by) = match (given, ceiling) {
            (Some(given), _) => (self.below(&guard, given.clone(), ceiling), self.set_by),
            (None, Some(ceiling)) if ceiling < default => (ceiling, SetBy::Tenant),
            (None, _) => (default, SetBy::Default),
        };
        Bound { guard, most, default: Some(default), ceiling, set_by }
    }

    /// The value, which must not be above the ceiling.
    fn below(&mut self, guard: &Guard, given: Spanned<u32>, ceiling: Option<u32>) -> u32 {
        if let Some(ceiling) = ceiling.filter(|ceiling| given.value > *ceiling) {
            let of = match guard {
                Guard::MaxPerAction(name) => format!("{}: {name}", guard.word()),
                guard => guard.word().to_owned(),
            };
            let tenant = &self.tenant.name;
            let message = match guard {
                Guard::MaxPercentOf(_) => {
                    format!(
                        "`{of}` allows {} hosts, more than the {ceiling} that the tenant {tenant} allows",
                        given.value
                    )
                }
                _ => format!("`{of}` ({}) is more than the tenant {tenant} allows, {ceiling}", given.value),
            };
            let help = "the tenant's guards are ceilings: change them first, or take less".to_owned();
            self.problems.push(self.problem(guard, &given, message, help));
        }
        given.value
    }

    fn problem<T>(&self, guard: &Guard, at: &Spanned<T>, message: String, help: String) -> Problem {
        self.origin.problem(at.place, &format!("--{}", guard.word().replace('_', "-")), message, Some(help))
    }

    /// The playbook's share, or else the tenant's: it is a ceiling and a guard in one.
    fn share(&mut self, given: Option<&Spanned<PercentOf>>, ceiling: Option<&Spanned<PercentOf>>) -> Option<Bound> {
        let allowed = ceiling.and_then(|ceiling| ceiling.value.hosts());
        let (written, set_by) = match (given, ceiling) {
            (Some(given), _) => (given, self.set_by),
            (None, Some(ceiling)) => (ceiling, SetBy::Tenant),
            (None, None) => return None,
        };
        let guard = share_of(&written.value);
        for unread in [given, ceiling].into_iter().flatten().filter(|share| share.value.hosts().is_none()) {
            let message = "nobody has read how many hosts there are".to_owned();
            let help = "give their number: {of: 2000, percent: 10}".to_owned();
            self.problems.push(self.problem(&guard, unread, message, help));
        }
        let hosts = written.value.hosts()?;
        let most = match set_by {
            SetBy::Tenant => hosts,
            _ => self.below(&guard, Spanned { value: hosts, place: written.place }, allowed),
        };
        Some(Bound { guard, most, default: None, ceiling: allowed, set_by })
    }

    /// Caps of actions, by name: those of the tenant hold for everybody.
    fn caps(&mut self, given: &Guards) -> Vec<Bound> {
        for (place, message, help) in given.strangers(&self.tenant.actions) {
            self.problems.push(self.origin.problem(place, "--max-per-action", message, Some(help)));
        }
        let cap_in = |guards: &'_ Guards, name: &str| {
            guards.max_per_action.iter().find(|(of, _)| of.value == name).map(|(_, cap)| cap.clone())
        };
        let mut bounds = Vec::new();
        for action in &self.tenant.actions {
            let guard = Guard::MaxPerAction(action.name.clone());
            let ceiling = cap_in(&self.tenant.guards, &action.name).map(|cap| cap.value);
            let (most, set_by) = match (cap_in(given, &action.name), ceiling) {
                (Some(cap), _) => (self.below(&guard, cap, ceiling), self.set_by),
                (None, Some(ceiling)) => (ceiling, SetBy::Tenant),
                (None, None) => continue,
            };
            // A cap of its own takes an irreversible action out of `max_irreversible`, which allows none by default.
            let default = (!action.reversible && set_by != SetBy::Tenant).then_some(MAX_IRREVERSIBLE);
            bounds.push(Bound { guard, most, default, ceiling, set_by });
        }
        bounds
    }
}
