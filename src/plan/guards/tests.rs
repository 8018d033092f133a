//! What holds for a plan, what it counts, what is said; and by chance: a plan is held exactly when a recount says so, and
//! what `raise` says lifts that hold.

use super::*;
use crate::events::{Event, Events, RowPlace};
use crate::plan::{AdHoc, Narrowing, Request, Work, build, show as shown};
use crate::playbook::{self, Playbook};
use crate::problem::{Problem, render};
use crate::tenant::{self, Estate, EventType, PercentOf, Tenant};
use std::collections::BTreeMap;
use std::path::Path;

fn tenant(more: &str) -> Tenant {
    let text = format!(
        "version: 1\nname: prod-eu\nbase_url: https://h.example\nuser: u\nuser_id: i\nactions:\n  \
         kill: {{id: 2, event_types: [FILE]}}\n  delete: {{id: 4, event_types: [FILE]}}\n  \
         quarantine: {{id: 3, event_types: [FILE], reversible: true}}\n  \
         swap: {{id: 9, event_types: [FILE], reversible: true, fill: {{agent_id: unique_id}}}}\n{more}"
    );
    tenant::read("tenants/prod-eu.yaml", &text).unwrap_or_else(|problems| panic!("{}", render(&problems, false)))
}

/// A playbook whose steps take the events whose ids begin with their letter.
fn playbook(more: &str) -> Playbook {
    let step = |action: &str| {
        format!("  - {{name: {action}, action: {action}, where: 'event_id.startsWith(\"{action}\")'}}\n")
    };
    let steps: String = ["kill", "delete", "quarantine", "swap"].map(step).concat();
    let text = format!("version: 1\nname: p\nsteps:\n{steps}{more}");
    playbook::read(Path::new("p.yaml"), &text).unwrap_or_else(|problems| panic!("{}", render(&problems, false)))
}

/// Events `action@host`, as many as the number before says: `3 kill@h1`.
fn events(words: &str) -> Events {
    let mut rows: Vec<Event> = Vec::new();
    for word in words.split(", ").filter(|word| !word.is_empty()) {
        let (number, what) = word.split_once(' ').expect("a number");
        let (action, host) = what.split_once('@').expect("a host");
        for _ in 0..number.parse::<u32>().expect("a number") {
            rows.push(event(action, host, u32::try_from(rows.len()).expect("few") + 1));
        }
    }
    Events { sources: vec!["e.csv".into()], rows, ..Events::default() }
}

fn event(action: &str, host: &str, row: u32) -> Event {
    Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: host.into(),
        event_id: format!("{action}-{row}").into(),
        event_type: EventType::File,
        pid: 0,
        unique_id: format!("u{row}").into(),
        action: None,
        attributes: "{}".into(),
    }
}

fn plan(tenant: &Tenant, work: Work<'_>, rows: &str) -> Result<Plan, Vec<Problem>> {
    let (vars, narrowing) = (BTreeMap::new(), Narrowing::default());
    build(Request {
        work,
        tenant,
        vars,
        events: events(rows),
        narrowing,
        partial: false,
        simulated: false,
        files: Vec::new(),
    })
}

/// The lines by which the plan is held, without `HELD by`.
fn check(tenants: &str, playbooks: &str, rows: &str, expected: &[&str]) {
    let plan = plan(&tenant(tenants), Work::Playbook(&playbook(playbooks)), rows).expect("a plan");
    let held = shown::holds(&plan);
    let held: Vec<&str> = held.iter().map(|line| line.trim_start_matches("HELD by ")).collect();
    assert_eq!(held, expected, "{tenants} | {playbooks} | {rows}");
    assert_eq!(judge(&plan), plan.header.guards.holds, "judged again it is the same");
}

#[test]
fn a_plan_is_held_by_each_guard_and_says_what_raising_takes() {
    let in_playbook = |key: &str| format!("raise it with guards: {{{key}}} in the playbook");
    check(
        "",
        "",
        "200 quarantine@h1",
        &[&format!("max_per_host: 200 items on the host h1, at most 50; {}", in_playbook("max_per_host: 200"))],
    );
    check("", "", "40 quarantine@h1, 1 quarantine@h2", &[]);
    check(
        "",
        "guards: {max_per_host: 201}\n",
        "201 quarantine@h1",
        &[&format!("max_items: 201 items, at most 200; {}", in_playbook("max_items: 201"))],
    );
    let hosts: Vec<String> = (0..101).map(|n| format!("1 quarantine@h{n}")).collect();
    check("", "", &hosts[..100].join(", "), &[]);
    check(
        "",
        "",
        &hosts.join(", "),
        &[&format!("max_hosts: 101 hosts, at most 100; {}", in_playbook("max_hosts: 101"))],
    );
    check(
        "",
        "",
        "1 kill@h1, 2 delete@h2",
        &[&format!(
            "max_irreversible: 3 items of irreversible actions, at most 0; {}",
            in_playbook("max_irreversible: 3")
        )],
    );
    check(
        "",
        "guards: {max_per_action: {kill: 1}}\n",
        "2 kill@h1, 1 delete@h2",
        &[
            &format!(
                "max_irreversible: 1 item of irreversible actions, at most 0; {}",
                in_playbook("max_irreversible: 1")
            ),
            &format!("max_per_action: 2 items of kill, at most 1; {}", in_playbook("max_per_action: {kill: 2}")),
        ],
    );
    check(
        "",
        "guards: {max_percent_of: {of: 30, percent: 10%}}\n",
        "1 quarantine@a, 1 quarantine@b, 1 quarantine@c",
        &[],
    );
    check(
        "",
        "guards: {max_percent_of: {of: 39, percent: 10}}\n",
        "1 quarantine@a, 1 quarantine@b, 1 quarantine@c, 1 quarantine@d",
        &[&format!(
            "max_percent_of: 4 hosts where 10% of 39 are allowed, at most 3; {}",
            in_playbook("max_percent_of: {of: 39, percent: 11}")
        )],
    );
    check(
        "",
        "guards: {max_percent_of: {of: 1, percent: 10}}\n",
        "1 quarantine@a, 1 quarantine@b",
        &[&format!(
            "max_percent_of: 2 hosts where 10% of 1 are allowed, at most 0; {}",
            "there are more hosts than it is a share of: count those that there are, and correct `of`"
        )],
    );
}

#[test]
fn hosts_are_agents_as_they_are_sent_and_spelled() {
    check("", "guards: {max_hosts: 2}\n", "1 quarantine@h1, 1 quarantine@H1", &[]);
    check(
        "",
        "guards: {max_hosts: 2}\n",
        "1 quarantine@h1, 1 quarantine@H1, 1 quarantine@h-1",
        &["max_hosts: 3 hosts, at most 2; raise it with guards: {max_hosts: 3} in the playbook"],
    );
    // `swap` sends the unique id as the agent, so these are three hosts.
    check(
        "",
        "guards: {max_hosts: 2}\n",
        "3 swap@h1",
        &["max_hosts: 3 hosts, at most 2; raise it with guards: {max_hosts: 3} in the playbook"],
    );
}

#[test]
fn the_tenants_guards_are_ceilings() {
    check(
        "guards: {max_items: 3}\n",
        "",
        "4 quarantine@h1",
        &[
            "max_items: 4 items, at most 3; the tenant allows no more than 3: take fewer, or raise the tenant's guards first \
         and then guards: {max_items: 4} in the playbook",
        ],
    );
    check(
        "guards: {max_items: 1500}\n",
        "",
        "51 quarantine@h1, 50 quarantine@h2, 50 quarantine@h3, 50 quarantine@h4",
        &[
            "max_items: 201 items, at most 200; raise it with guards: {max_items: 201} in the playbook (the tenant allows 1500)",
            "max_per_host: 51 items on the host h1, at most 50; raise it with guards: {max_per_host: 51} in the playbook",
        ],
    );
    // A ceiling for an action is no consent to what cannot be undone.
    check(
        "guards: {max_per_action: {kill: 5}}\n",
        "",
        "1 kill@h1",
        &[
            "max_irreversible: 1 item of irreversible actions, at most 0; raise it with guards: {max_irreversible: 1} in the \
         playbook",
        ],
    );
    check("guards: {max_per_action: {kill: 5}}\n", "guards: {max_per_action: {kill: 4}}\n", "4 kill@h1", &[]);
    check(
        "guards: {max_per_action: {quarantine: 1}}\n",
        "",
        "2 quarantine@h1",
        &[
            "max_per_action: 2 items of quarantine, at most 1; the tenant allows no more than 1: take fewer, or raise the \
         tenant's guards first and then guards: {max_per_action: {quarantine: 2}} in the playbook",
        ],
    );
    check(
        "guards: {max_percent_of: {of: 10, percent: 10}}\n",
        "",
        "1 quarantine@a, 1 quarantine@b",
        &[
            "max_percent_of: 2 hosts where 10% of 10 are allowed, at most 1; the tenant allows no more than 1: take fewer, or \
         raise the tenant's guards first and then guards: {max_percent_of: {of: 10, percent: 20}} in the playbook",
        ],
    );
}

#[test]
fn a_playbook_above_a_ceiling_is_refused_at_its_place() {
    let ceilings = "guards: {max_items: 10, max_per_action: {kill: 2}, max_percent_of: {of: 100, percent: 10}}\n";
    let wanted = "guards: {max_items: 11, max_per_action: {kill: 3, kil: 1}, max_percent_of: {of: 200, percent: 10}}\n";
    let problems = plan(&tenant(ceilings), Work::Playbook(&playbook(wanted)), "").expect_err("refused");
    insta::assert_snapshot!("a_playbook_above_a_ceiling", render(&problems, false));
    let guards = Box::new(tenant::Guards::of_flags([Some(11), None, None, None], vec![("kil".to_owned(), 1)], None));
    let ad_hoc = AdHoc { name: "e".into(), action: Some("kill".into()), guards, ..AdHoc::default() };
    let problems = plan(&tenant(ceilings), Work::AdHoc(ad_hoc), "").expect_err("refused");
    insta::assert_snapshot!("a_flag_above_a_ceiling", render(&problems, false));
}

#[test]
fn what_holds_and_what_was_raised_is_one_line() {
    for (tenants, playbooks, line) in [
        ("", "", "guards: 200 items, 100 hosts, 50 a host, 0 irreversible"),
        (
            "guards: {max_items: 1500, max_hosts: 30, max_per_action: {delete: 0}}\n",
            "guards: {max_items: 1500, max_per_host: 10, max_irreversible: 300, max_per_action: {kill: 100}}\n",
            "guards: 1500 items, 30 hosts, 10 a host, 300 irreversible, 100 kill, 0 delete; raised: max_items 200 → 1500 \
             (playbook), max_irreversible 0 → 300 (playbook), max_per_action kill 0 → 100 (playbook)",
        ),
        (
            "guards: {max_percent_of: {of: 2000, percent: 5}}\n",
            "",
            "guards: 200 items, 100 hosts, 50 a host, 0 irreversible, 100 hosts (5% of 2000)",
        ),
    ] {
        let plan = plan(&tenant(tenants), Work::Playbook(&playbook(playbooks)), "").expect("a plan");
        assert_eq!(show::line(&plan.header.guards).as_deref(), Some(line));
        assert!(shown::text(&plan).contains(line));
    }
}

#[test]
fn flags_raise_guards_for_an_events_file() {
    let of = |numbers, caps: &[(&str, u32)]| {
        let caps = caps.iter().map(|(name, cap)| ((*name).to_owned(), *cap)).collect();
        let guards = Box::new(tenant::Guards::of_flags(numbers, caps, None));
        let ad_hoc = AdHoc { name: "e".into(), action: Some("kill".into()), guards, ..AdHoc::default() };
        plan(&tenant(""), Work::AdHoc(ad_hoc), "3 kill@h1").expect("a plan")
    };
    let none = [None; 4];
    let held = shown::holds(&of(none, &[]));
    assert_eq!(
        held,
        ["HELD by max_irreversible: 3 items of irreversible actions, at most 0; raise it with --max-irreversible 3"]
    );
    assert_eq!(shown::holds(&of([None, None, None, Some(3)], &[])), [""; 0]);
    let capped = of(none, &[("kill", 3)]);
    assert_eq!(shown::holds(&capped), [""; 0]);
    assert_eq!(capped.header.guards.raised(), ["max_per_action kill 0 → 3 (flag)"]);
    assert!(shown::holds(&of(none, &[("kill", 2)]))[0].ends_with("raise it with --max-per-action kill=3"));
}

#[test]
fn what_is_blocked_counts_nowhere() {
    let (tenant, playbook) = (tenant(""), playbook(""));
    let mut plan = plan(&tenant, Work::Playbook(&playbook), "3 kill@h1, 60 quarantine@h2").expect("a plan");
    assert_eq!(judge(&plan).len(), 2);
    plan.header.blocked = vec![Blocked { rule: "r".into(), items: (0..13).collect() }];
    assert_eq!(judge(&plan), []);
}

#[test]
fn a_plan_that_leaves_out_what_was_found_is_held_all_the_same() {
    let mut plan = plan(&tenant(""), Work::Playbook(&playbook("")), "3 kill@h1, 60 quarantine@h2").expect("a plan");
    let found = shown::holds(&plan);
    assert_eq!((found.len(), crate::plan::is_held(&plan)), (2, found.clone()));
    plan.header.guards.holds.clear();
    assert_eq!((shown::holds(&plan), crate::plan::is_held(&plan)), (Vec::new(), found));
}

#[test]
fn a_header_that_was_stored_before_there_were_guards_has_none() {
    let mut plan = plan(&tenant(""), Work::Playbook(&playbook("")), "3 kill@h1").expect("a plan");
    let mut stored = serde_json::to_value(&plan.header).expect("JSON");
    assert_eq!(serde_json::from_value::<crate::plan::PlanHeader>(stored.clone()).expect("a header"), plan.header);
    let fields = stored.as_object_mut().expect("an object");
    assert!(fields.remove("guards").is_some() && fields.remove("blocked").is_some());
    plan.header = serde_json::from_value(stored).expect("an older header");
    assert_eq!((&plan.header.guards, judge(&plan)), (&PlannedGuards::default(), Vec::new()));
    assert_eq!(show::line(&plan.header.guards), None);
}

const ACTIONS: [&str; 3] = ["kill", "delete", "quarantine"];

/// Guards as flags say them.
#[derive(Debug, Clone, Default)]
struct Flags {
    numbers: [Option<u32>; 4],
    caps: BTreeMap<&'static str, u32>,
    share: Option<(u32, u8)>,
}

impl Flags {
    fn by_chance(chance: &mut fastrand::Rng) -> Self {
        let mut number = |most: u32| chance.bool().then(|| chance.u32(..most));
        let numbers = [number(12), number(5), number(6), number(8)];
        let caps = ACTIONS.into_iter().filter_map(|action| Some((action, number(5)?))).collect();
        let share = number(12).map(|of| (of + 1, chance.u8(..=100)));
        Self { numbers, caps, share }
    }

    /// With what a hold says: `--max-items 7`, `--max-per-action kill=3`, `--max-percent-of 10=20`.
    fn raised(&self, raise: &str) -> Self {
        let mut flags = self.clone();
        let (flag, value) = raise.split_once(' ').expect("a flag and its value");
        let names = ["--max-items", "--max-hosts", "--max-per-host", "--max-irreversible"];
        if let Some(at) = names.iter().position(|name| *name == flag) {
            flags.numbers[at] = Some(value.parse().expect("a number"));
            return flags;
        }
        let (of, value) = value.split_once('=').expect("of what");
        match flag {
            "--max-per-action" => {
                let action = ACTIONS.into_iter().find(|action| *action == of).expect("an action");
                flags.caps.insert(action, value.parse().expect("a number"));
            }
            "--max-percent-of" => flags.share = Some((of.parse().expect("hosts"), value.parse().expect("a share"))),
            other => panic!("{other}"),
        }
        flags
    }

    fn plan(&self, tenant: &Tenant, rows: &[(usize, u32)]) -> Plan {
        let caps = self.caps.iter().map(|(name, cap)| ((*name).to_owned(), *cap)).collect();
        let share = self.share.map(|(of, percent)| PercentOf { of: Estate::Hosts(of), percent });
        let guards = Box::new(tenant::Guards::of_flags(self.numbers, caps, share));
        let mut events = events("");
        for ((action, host), row) in rows.iter().zip(1..) {
            let mut event = event(ACTIONS[*action], &format!("h{host}"), row);
            event.action = Some(ACTIONS[*action].into());
            events.rows.push(event);
        }
        let (work, vars) = (Work::AdHoc(AdHoc { name: "e".into(), guards, ..AdHoc::default() }), BTreeMap::new());
        let narrowing = Narrowing::default();
        build(Request { work, tenant, vars, events, narrowing, partial: false, simulated: false, files: Vec::new() })
            .expect("a plan")
    }

    /// Counts over the rows themselves, in the words of the promise: which guards are exceeded.
    fn recount(&self, rows: &[(usize, u32)]) -> Vec<&'static str> {
        let of_action = |wanted: &str| rows.iter().filter(|(action, _)| ACTIONS[*action] == wanted).count();
        let mut hosts: Vec<u32> = rows.iter().map(|(_, host)| *host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let fullest = hosts.iter().map(|host| rows.iter().filter(|(_, of)| of == host).count()).max().unwrap_or(0);
        let irreversible: usize =
            ["kill", "delete"].into_iter().filter(|action| !self.caps.contains_key(action)).map(of_action).sum();
        let [items, max_hosts, per_host, max_irreversible] = self.numbers;
        let above = |n: usize, most: Option<u32>, default: usize| n > most.map_or(default, |most| most as usize);
        let mut held = Vec::new();
        let mut say = |is_exceeded: bool, guard| held.extend(is_exceeded.then_some(guard));
        say(above(rows.len(), items, 200), "max_items");
        say(above(hosts.len(), max_hosts, 100), "max_hosts");
        say(above(fullest, per_host, 50), "max_per_host");
        say(above(irreversible, max_irreversible, 0), "max_irreversible");
        // More than the share, without a rounding of its own.
        say(
            self.share.is_some_and(|(of, share)| hosts.len() * 100 > of as usize * usize::from(share)),
            "max_percent_of",
        );
        for action in ACTIONS {
            say(self.caps.get(action).is_some_and(|cap| of_action(action) > *cap as usize), "max_per_action");
        }
        held
    }
}

#[test]
fn a_hundred_thousand_plans_are_held_exactly_when_a_recount_says_so_and_raising_lifts_each_hold() {
    const PLANS: u32 = 100_000;
    let (tenant, mut chance) = (tenant(""), fastrand::Rng::with_seed(7));
    let words = |plan: &Plan| plan.header.guards.holds.iter().map(|hold| hold.guard.word()).collect::<Vec<_>>();
    let mut held = 0;
    for number in 0..PLANS {
        let flags = Flags::by_chance(&mut chance);
        let rows: Vec<(usize, u32)> = (0..chance.usize(..9)).map(|_| (chance.usize(..3), chance.u32(..4))).collect();
        let plan = flags.plan(&tenant, &rows);
        assert_eq!(words(&plan), flags.recount(&rows), "{flags:?} {rows:?}");
        held += u32::from(!plan.header.guards.holds.is_empty());
        // A tenth of them is enough for what costs a plan a hold.
        for hold in plan.header.guards.holds.iter().filter(|hold| number % 10 == 0 && !hold.raise.is_empty()) {
            let raised = flags.raised(&hold.raise).plan(&tenant, &rows);
            assert!(raised.header.guards.holds.iter().all(|left| !is_same(left, hold)), "{hold:?} {flags:?} {rows:?}");
        }
    }
    assert!(held > PLANS / 4 && held < PLANS / 100 * 99, "{held} of {PLANS} were held");
}

/// Another share is the same guard, another action is not.
fn is_same(one: &Hold, other: &Hold) -> bool {
    one.guard.word() == other.guard.word() && (!matches!(one.guard, Guard::MaxPerAction(_)) || one.guard == other.guard)
}
