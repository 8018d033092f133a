//! Guards in words: what holds, what was raised, why a plan is held and what to write so that it is not.

use super::{Blocked, Bound, Guard, Hold, PlannedGuards, SetBy, Share};
use crate::inert::{shorten, terminal};
use crate::noun::count;
use serde_json::{Value, json};

/// How long a name from a file may be where it is shown, in characters.
const NAME_CHARS_MAX: usize = 120;

/// One line: what holds, and what was raised. `None` for plans that have no guards.
pub(in crate::plan) fn line(guards: &PlannedGuards) -> Option<String> {
    if guards.bounds.is_empty() {
        return None;
    }
    let bounds: Vec<String> = guards.bounds.iter().filter_map(bound).collect();
    let raised = match raised(guards).join(", ") {
        raised if raised.is_empty() => String::new(),
        raised => format!("; raised: {raised}"),
    };
    Some(format!("guards: {}{raised}", bounds.join(", ")))
}

fn bound(bound: &Bound) -> Option<String> {
    let most = bound.most;
    Some(match &bound.guard {
        Guard::MaxItems => count(most, "item"),
        Guard::MaxHosts => count(most, "host"),
        Guard::MaxPerHost => format!("{most} a host"),
        Guard::MaxIrreversible => format!("{most} irreversible"),
        Guard::MaxPercentOf(share) => format!("{} ({})", count(most, "host"), of_all(share)),
        Guard::MaxPerAction(action) => format!("{most} {}", inert(action)),
        Guard::Protected(_) => return None,
    })
}

/// `10% of 2000`, `10% of 2000 in hosts.txt`
fn of_all(Share { of, percent, file }: &Share) -> String {
    let file = file.as_ref().map_or_else(String::new, |(file, _)| format!(" in {}", inert(file)));
    format!("{percent}% of {of}{file}")
}

/// See [`PlannedGuards::raised`].
pub(super) fn raised(guards: &PlannedGuards) -> Vec<String> {
    let raised = guards.bounds.iter().filter_map(|bound| {
        let default = bound.default.filter(|default| bound.most > *default)?;
        let by = match bound.set_by {
            SetBy::Playbook => "playbook",
            SetBy::Flag => "flag",
            SetBy::Default | SetBy::Tenant => return None,
        };
        let of = match &bound.guard {
            Guard::MaxPerAction(action) => format!(" {}", inert(action)),
            _ => String::new(),
        };
        Some(format!("{}{of} {default} → {} ({by})", bound.guard.word(), bound.most))
    });
    raised.collect()
}

/// What to write so that so many are within the bound: a flag, or the playbook's key. Empty where no number is right.
pub(super) fn raise(bound: &Bound, found: u32, by_flags: bool) -> String {
    let word = bound.guard.word();
    let flag = word.replace('_', "-");
    match (&bound.guard, by_flags) {
        (Guard::MaxPerAction(action), true) => format!("--{flag} {}={found}", inert(action)),
        (Guard::MaxPerAction(action), false) => format!("guards: {{{word}: {{{}: {found}}}}}", inert(action)),
        (Guard::MaxPercentOf(share), by_flags) => {
            let Some((of, percent)) = share_for(share, found) else { return String::new() };
            if by_flags {
                format!("--{flag} {of}={percent}")
            } else {
                format!("guards: {{{word}: {{of: {of}, percent: {percent}}}}}")
            }
        }
        (_, true) => format!("--{flag} {found}"),
        (_, false) => format!("guards: {{{word}: {found}}}"),
    }
}

/// The least share of the same hosts that holds so many. There is none of fewer hosts than those, and how many there are in
/// truth nobody here knows.
fn share_for(share: &Share, found: u32) -> Option<(String, u64)> {
    let percent = u64::from(found).saturating_mul(100).div_ceil(u64::from(share.of.max(1)));
    let of = || share.file.as_ref().map_or_else(|| share.of.to_string(), |(file, _)| inert(file));
    (percent <= 100).then(|| (of(), percent))
}

/// One loud line for each hold, and what to do.
pub(in crate::plan) fn holds(guards: &PlannedGuards) -> Vec<String> {
    guards.holds.iter().map(|hold| one_hold(hold, guards.by_flags)).collect()
}

fn one_hold(hold: &Hold, by_flags: bool) -> String {
    let Hold { guard, host, found, limit, ceiling, raise, rows } = hold;
    let what = match guard {
        Guard::MaxItems => count(*found, "item"),
        Guard::MaxHosts => count(*found, "host"),
        Guard::MaxPercentOf(share) => format!("{} where {} are allowed", count(*found, "host"), of_all(share)),
        Guard::MaxPerHost => {
            format!("{} on the host {}", count(*found, "item"), inert(host.as_deref().unwrap_or_default()))
        }
        Guard::MaxIrreversible => format!("{} of irreversible actions", count(*found, "item")),
        Guard::MaxPerAction(action) => format!("{} of {}", count(*found, "item"), inert(action)),
        Guard::Protected(rule) => {
            let named: Vec<String> = rows.iter().map(u32::to_string).collect();
            let more = if rows.len() < *found as usize { ", …" } else { "" };
            let word = if rows.len() == 1 { "row" } else { "rows" };
            return format!(
                "HELD by protected \"{}\": {} ({word} {}{more}); {raise}",
                inert(rule),
                count(*found, "item"),
                named.join(", ")
            );
        }
    };
    let place = if by_flags { "" } else { " in the playbook" };
    let how = match ceiling {
        _ if raise.is_empty() => {
            "there are more hosts than it is a share of: count those that there are, and correct `of`".to_owned()
        }
        Some(ceiling) if ceiling < found => {
            format!(
                "the tenant allows no more than {ceiling}: take fewer, or raise the tenant's guards first and then {raise}{place}"
            )
        }
        Some(ceiling) => format!("raise it with {raise}{place} (the tenant allows {ceiling})"),
        None => format!("raise it with {raise}{place}"),
    };
    format!("HELD by {}: {what}, at most {limit}; {how}", guard.word())
}

/// How many items are blocked, by which rules; `None` when none is.
pub(in crate::plan) fn blocked(blocked: &[Blocked]) -> Option<String> {
    let items: usize = blocked.iter().map(|blocked| blocked.items.len()).sum();
    let of = |items: usize| if blocked.len() > 1 { format!(" {items}") } else { String::new() };
    let rules = blocked.iter().map(|blocked| format!("\"{}\"{}", inert(&blocked.rule), of(blocked.items.len())));
    (items > 0).then(|| {
        let are = if items == 1 { "is" } else { "are" };
        format!(
            "{} {are} blocked, never sent, by {}",
            count(u32::try_from(items).unwrap_or(u32::MAX), "item"),
            rules.collect::<Vec<_>>().join(", ")
        )
    })
}

/// Guards for programs.
pub(in crate::plan) fn json_of(guards: &PlannedGuards) -> Value {
    let about = |guard: &Guard| match guard {
        Guard::MaxPerAction(action) => json!({"action": action}),
        Guard::MaxPercentOf(Share { of, percent, file }) => {
            let (file, sha256) = file.as_ref().map_or((None, None), |(file, sha256)| (Some(file), Some(sha256)));
            json!({"of": of, "percent": percent, "file": file, "sha256": sha256})
        }
        Guard::Protected(rule) => json!({"rule": rule}),
        Guard::MaxItems | Guard::MaxHosts | Guard::MaxPerHost | Guard::MaxIrreversible => Value::Null,
    };
    let bounds = guards.bounds.iter().map(|Bound { guard, most, default, ceiling, set_by }| {
        json!({"guard": guard.word(), "about": about(guard), "most": most, "default": default, "ceiling": ceiling,
            "set_by": set_by})
    });
    let holds = guards.holds.iter().map(|Hold { guard, host, found, limit, ceiling, raise, rows }| {
        json!({"guard": guard.word(), "about": about(guard), "host": host, "found": found, "limit": limit,
            "ceiling": ceiling, "raise": raise, "rows": rows})
    });
    json!({"bounds": bounds.collect::<Vec<_>>(), "raised": raised(guards), "holds": holds.collect::<Vec<_>>()})
}

fn inert(text: &str) -> String {
    terminal(&shorten(text, NAME_CHARS_MAX)).into_owned()
}
