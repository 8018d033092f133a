//! Which rows match which rules, what becomes of them, and what it costs.

use super::*;
use crate::events::RowPlace;
use crate::plan::{AdHoc, Narrowing, Request, build, show};
use crate::playbook;
use crate::problem::render;
use crate::tenant::{self, EventType};
use crate::yaml::Spanned;
use std::path::Path;
use std::time::{Duration, Instant};

fn tenant(protected: &str) -> Tenant {
    let text = format!(
        "version: 1\nname: t\nbase_url: https://h.example\nuser: u\nuser_id: i\nactions:\n  \
         q: {{id: 3, event_types: [FILE], reversible: true}}\n  \
         swap: {{id: 9, event_types: [FILE], reversible: true, fill: {{agent_id: unique_id}}}}\n{protected}"
    );
    tenant::read("t.yaml", &text).unwrap_or_else(|problems| panic!("{}", render(&problems, false)))
}

fn event(row: u32, attributes: &str) -> Event {
    Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: format!("Agent-{row}").into(),
        event_id: format!("e{row}").into(),
        event_type: EventType::File,
        pid: 0,
        unique_id: "Agent-2".into(),
        action: None,
        attributes: attributes.into(),
    }
}

fn planned(protected: &str, work: Work<'_>, rows: &[&str]) -> Result<Plan, Vec<Problem>> {
    of_events(protected, work, rows.iter().zip(1..).map(|(attributes, row)| event(row, attributes)).collect())
}

fn of_events(protected: &str, work: Work<'_>, rows: Vec<Event>) -> Result<Plan, Vec<Problem>> {
    let events = Events { sources: vec!["e.csv".into()], rows, ..Events::default() };
    let (tenant, vars, narrowing) = (tenant(protected), BTreeMap::new(), Narrowing::default());
    build(Request {
        work,
        tenant: &tenant,
        vars,
        events,
        narrowing,
        partial: false,
        simulated: false,
        files: Vec::new(),
    })
}

fn by(action: &str) -> Work<'static> {
    Work::AdHoc(AdHoc { name: "e".into(), action: Some(action.into()), ..AdHoc::default() })
}

/// Whether a row with these columns matches a rule.
fn check(rule: &str, attributes: &str, expected: bool) {
    let plan =
        planned(&format!("protected: {{rules: [{{name: r, {rule}}}]}}\n"), by("q"), &[attributes]).expect("a plan");
    let held = plan.header.guards.holds.iter().any(|hold| hold.guard == Guard::Protected("r".into()));
    assert_eq!(held, expected, "{rule} on {attributes}");
}

#[test]
fn hosts_match_without_regard_to_case_in_any_of_their_columns_whole_or_by_their_first_label() {
    for (attributes, expected) in [
        (r#"{"Host":"DC-01"}"#, true),
        (r#"{"hostName":"dc-01"}"#, true),
        (r#"{"Host Name":" dc-01 "}"#, true),
        (r#"{"host":"web-1","hostname":"DC-9"}"#, true),
        (r#"{"host":"DC-01.corp.example"}"#, true),
        (r#"{"host":"ber-dc7.corp.example."}"#, true),
        (r#"{"host":"web-1"}"#, false),
        (r#"{"host":"dc.corp.example"}"#, false),
        (r#"{"host":["web-1","dc-2"]}"#, true),
        (r#"{"host":null,"asset":{"hostName":"dc-2"}}"#, false),
    ] {
        check("host: ['DC-*', '*-DC?'], if_missing: ignore", attributes, expected);
    }
}

#[test]
fn agents_match_as_they_are_and_as_they_are_sent() {
    check("agent_id: [agent-1]", "{}", true);
    check("agent_id: [agent-10, '*']", "{}", false);
    check("agent_id: [AGENT-2]", "{}", false);
    let rules = "protected: {rules: [{name: r, agent_id: [AGENT-2]}]}\n";
    assert_eq!(planned(rules, by("swap"), &["{}"]).expect("a plan").header.guards.holds.len(), 1);
}

#[test]
fn addresses_match_networks_however_they_are_written() {
    for (attributes, expected) in [
        (r#"{"ip":"10.1.2.3"}"#, true),
        (r#"{"IP Address":"192.168.0.1, 10.1.0.9"}"#, true),
        (r#"{"ip":"192.168.0.1;10.1.0.9"}"#, true),
        (r#"{"ip":"192.168.0.1 10.1.0.9:443"}"#, true),
        (r#"{"ip":["192.168.0.1","10.1.0.9/24"]}"#, true),
        (r#"{"ip":"::ffff:10.1.2.3"}"#, true),
        (r#"{"ip":"fd00::1%eth0"}"#, true),
        (r#"{"ip":"[fd00::1]:443"}"#, true),
        (r#"{"ip":"10.2.0.7"}"#, true),
        (r#"{"ip":"10.2.0.8"}"#, false),
        (r#"{"ip":"fe80::1"}"#, false),
        (r#"{"ip":""}"#, false),
    ] {
        check("cidr: [10.1.0.0/16, 'fd00::/8', 10.2.0.7], if_missing: ignore", attributes, expected);
    }
    // What is no address does not say which one it is.
    check("cidr: [10.1.0.0/16]", r#"{"ip":"10.2.0.1"}"#, false);
    check("cidr: [10.1.0.0/16]", r#"{"ip":"10.2.0.1, unknown"}"#, true);
    check("cidr: [10.1.0.0/16], if_missing: ignore", r#"{"ip":"10.2.0.1, unknown"}"#, false);
}

#[test]
fn paths_match_whatever_their_case_and_separators() {
    let rule = r"path: ['*\System32\config\*', /etc/passwd, 'C:\Windows\explorer.exe'], if_missing: ignore";
    for (attributes, expected) in [
        (r#"{"path":"C:\\Windows\\SYSTEM32\\Config\\SAM"}"#, true),
        (r#"{"file_path":"c:/windows/system32/config/deep/er/SAM"}"#, true),
        (r#"{"Image Path":"\\\\?\\C:\\Windows\\\\System32\\config\\SAM"}"#, true),
        (r#"{"path":"\"C:\\windows\\Explorer.EXE\""}"#, true),
        (r#"{"path":"C:\\Windows\\System32\\configs"}"#, false),
        (r#"{"path":"/etc/passwd"}"#, true),
        (r#"{"path":"/etc/passwd.bak"}"#, false),
        (r#"{"path":"\\\\?\\C:\\Windows\\explorer.exe"}"#, true),
        (r#"{"path":"\\??\\C:\\Windows\\explorer.exe"}"#, true),
        (r#"{"path":"\\\\.\\C:\\Windows\\explorer.exe"}"#, true),
        (r#"{"path":"C:\\Users\\..\\Windows\\.\\explorer.exe"}"#, true),
        (r#"{"path":"C:\\WINDOWS.\\explorer.exe "}"#, true),
        (r#"{"path":"file:///C:/Windows/explorer.exe"}"#, true),
        (r#"{"path":"\\Device\\HarddiskVolume3\\Windows\\explorer.exe"}"#, true),
        (r#"{"path":"/var/../etc/passwd"}"#, true),
        (r#"{"path":"/../etc/passwd"}"#, true),
        (r#"{"path":"\\Device\\HarddiskVolume3\\explorer.exe"}"#, false),
    ] {
        check(rule, attributes, expected);
    }
}

#[test]
fn processes_match_by_their_file_name_and_tags_one_by_one() {
    for (attributes, expected) in [
        (r#"{"process":"LSASS.exe"}"#, true),
        (r#"{"image":"C:\\Windows\\System32\\lsass.exe"}"#, true),
        (r#"{"Process Name":"/usr/lib/systemd/systemd-logind"}"#, true),
        (r#"{"process":"lsass.exe.tmp"}"#, false),
        (r#"{"image":"C:\\lsass.exe\\other.exe"}"#, false),
    ] {
        check("process: [lsass.exe, 'systemd*'], if_missing: ignore", attributes, expected);
    }
    for (attributes, expected) in [
        (r#"{"tags":["blue","Crown Jewels"]}"#, true),
        (r#"{"tags":"blue; crown jewels"}"#, true),
        (r#"{"Tags":"blue, crown jewels, red"}"#, true),
        (r#"{"tags":[{"name":"crown jewels"}]}"#, true),
        (r#"{"tags":"blue crown jewels"}"#, false),
        (r#"{"tags":[]}"#, false),
    ] {
        check("tag: [crown*], if_missing: ignore", attributes, expected);
    }
    check("attribute: {asset_group: [Crown*]}", r#"{"Asset Group":"crown jewels"}"#, true);
    check("attribute: {zone: ['0']}", r#"{"zone":0}"#, true);
    check("attribute: {zone: ['0']}", r#"{"zone":"10"}"#, false);
}

#[test]
fn what_a_row_does_not_say_counts_as_a_match_unless_the_rule_ignores_it() {
    for attributes in ["{}", r#"{"host":null}"#, r#"{"host":""}"#, r#"{"host":"  "}"#, r#"{"name":"DC-1"}"#] {
        check("host: [DC-*]", attributes, true);
        check("host: [DC-*], if_missing: match", attributes, true);
        check("host: [DC-*], if_missing: ignore", attributes, false);
    }
    let plan = planned(
        "protected: {rules: [{name: r, host: [DC-*]}]}\n",
        by("q"),
        &["{}", r#"{"host":"DC-1"}"#, r#"{"host":"web"}"#, "{}"],
    );
    assert_eq!(
        show::holds(&plan.expect("a plan")),
        ["HELD by protected \"r\": 3 items (rows 1, 2, 4); 2 for want of host, hostname, host_name, where only \
          `if_missing: ignore` in the rule would let them pass; leave their agents out by a filter on agent_id"]
    );
}

#[test]
fn one_row_that_names_a_protected_host_protects_its_agent_in_all_rows() {
    let rules = "protected: {on_match: skip, rules: [{name: dc, host: ['DC-*'], if_missing: ignore}]}\n";
    // Rows of three agents; only the second says who it is, and a filter may leave that row out.
    let rows = [r#"{"host":""}"#, r#"{"host":"DC-01"}"#, r#"{"host":"WS-9"}"#, r#"{"host":"WS-1"}"#];
    let agents = ["a", "A", "A", "b"];
    for filter in [None, Some("host != 'DC-01'".to_owned())] {
        let kept_out = usize::from(filter.is_some());
        let work = Work::AdHoc(AdHoc { name: "e".into(), action: Some("q".into()), filter, ..AdHoc::default() });
        let events = rows.iter().zip(agents).zip(1..).map(|((row, agent), number)| {
            let event = event(number, row);
            Event { agent_id: agent.into(), ..event }
        });
        let plan = of_events(rules, work, events.collect()).expect("a plan");
        let [Blocked { rule, items }] = &plan.header.blocked[..] else { panic!("{:?}", plan.header.blocked) };
        assert_eq!(rule, "dc");
        let blocked: Vec<u32> =
            items.iter().map(|item| plan.events[plan.items[*item as usize].event as usize].place.row).collect();
        assert_eq!(
            blocked,
            [1, 2, 3][..].iter().copied().filter(|row| kept_out == 0 || *row != 2).collect::<Vec<u32>>()
        );
    }
}

#[test]
fn waves_are_of_targets_on_which_something_is_done_and_the_last_one_takes_the_others_along() {
    let rules = "protected: {on_match: skip, rules: [{name: dc, host: ['DC-*']}]}\n";
    let waves = |sizes: &[&str], hosts: &[&str]| -> (Vec<u32>, Vec<u32>, usize) {
        let rows: Vec<String> = hosts.iter().map(|host| format!(r#"{{"host":"{host}"}}"#)).collect();
        let waves = sizes.iter().map(|size| Spanned { value: size.parse().expect("a size"), place: Place::default() });
        let ad_hoc = AdHoc { name: "e".into(), action: Some("q".into()), waves: waves.collect(), ..AdHoc::default() };
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let plan = planned(rules, Work::AdHoc(ad_hoc), &rows).expect("a plan");
        let release = &plan.header.release;
        (release.waves.clone(), plan.items.iter().map(|item| item.target).collect(), release.dropped.len())
    };
    let nine_of_ten = [&["DC-1"; 9][..], &["WS-1"; 11]].concat();
    // A tenth of the eleven that are acted on, and not of all twenty.
    let (ends, targets, dropped) = waves(&["10%", "100%"], &nine_of_ten);
    assert_eq!((ends.as_slice(), dropped), (&[2, 20][..], 0));
    assert_eq!((targets[0], targets[9], targets[19]), (11, 0, 10));
    // No wave is of protected targets alone, so that nobody is asked for one.
    let (ends, _, dropped) = waves(&["1", "5", "100%"], &["DC-1", "WS-1", "DC-2", "WS-2", "DC-3"]);
    assert_eq!((ends.as_slice(), dropped), (&[1, 5][..], 1));
    assert_eq!(waves(&["1", "100%"], &["DC-1", "WS-1", "DC-2"]), (Vec::new(), vec![1, 0, 2], 1));
    assert_eq!(waves(&["1", "100%"], &["DC-1", "DC-2"]), (Vec::new(), vec![0, 1], 0));
}

#[test]
fn every_matcher_of_a_rule_has_to_match_and_one_pattern_of_each() {
    let rule = "host: [DC-*, AD-*], tag: [prod]";
    for (attributes, expected, ignoring) in [
        (r#"{"host":"ad-1","tags":"prod"}"#, true, true),
        (r#"{"host":"ad-1","tags":"test"}"#, false, false),
        (r#"{"host":"web","tags":"prod"}"#, false, false),
        (r#"{"host":"ad-1"}"#, true, false),
        (r#"{"tags":"prod"}"#, true, false),
        (r#"{"host":"web"}"#, false, false),
        ("{}", true, false),
    ] {
        check(rule, attributes, expected);
        check(&format!("{rule}, if_missing: ignore"), attributes, ignoring);
    }
}

const RULES: &str = "rules: [{name: first, host: [DC-*]}, {name: second, host: ['*-1']}]";

#[test]
fn matches_hold_the_plan_or_are_blocked_by_the_first_rule_that_has_them() {
    let rows = [r#"{"host":"web-1"}"#, r#"{"host":"DC-1"}"#, r#"{"host":"db"}"#, r#"{"host":"DC-2"}"#];
    let held = planned(&format!("protected: {{{RULES}}}\n"), by("q"), &rows).expect("a plan");
    assert_eq!(
        show::holds(&held),
        [
            "HELD by protected \"first\": 2 items (rows 2, 4); leave their agents out by a filter on agent_id",
            "HELD by protected \"second\": 1 item (row 1); leave their agents out by a filter on agent_id",
        ]
    );
    let skipped = planned(&format!("protected: {{on_match: skip, {RULES}}}\n"), by("q"), &rows).expect("a plan");
    let blocked = |rule: &str, items: &[u32]| Blocked { rule: rule.to_owned(), items: items.to_vec() };
    assert_eq!(skipped.header.blocked, [blocked("first", &[1, 3]), blocked("second", &[0])]);
    assert_eq!((show::holds(&skipped), skipped.items.len()), (Vec::new(), 4));
    assert!(show::text(&skipped).contains("3 items are blocked, never sent, by \"first\" 2, \"second\" 1"));
    assert_ne!(held.header.digest, skipped.header.digest);
}

#[test]
fn a_playbook_adds_rules_and_softens_only_what_its_tenant_leaves_open() {
    let rows = [r#"{"host":"DC-1"}"#, r#"{"host":"mine"}"#];
    let of = |tenants: &str, own: &str| {
        let text = format!("version: 1\nname: p\nsteps: [{{name: q, action: q}}]\nprotected: {{{own}}}\n");
        let playbook = playbook::read(Path::new("p.yaml"), &text).expect("a playbook");
        planned(&format!("protected: {{{tenants}}}\n"), Work::Playbook(&playbook), &rows)
            .map(|plan| (plan.header.guards.holds.len(), plan.header.blocked.len()))
            .map_err(|problems| render(&problems, false))
    };
    let (theirs, own) = ("rules: [{name: a, host: [DC-*]}]", "rules: [{name: b, host: [mine]}]");
    assert_eq!(of(theirs, own), Ok((2, 0)));
    assert_eq!(of(theirs, "on_match: skip"), Ok((0, 1)));
    assert_eq!(of(&format!("on_match: skip, {theirs}"), own), Ok((0, 2)));
    assert_eq!(of(&format!("on_match: skip, {theirs}"), &format!("on_match: hold, {own}")), Ok((2, 0)));
    assert_eq!(of(&format!("on_match: hold, {theirs}"), own), Ok((2, 0)));
    insta::assert_snapshot!(of(&format!("on_match: hold, {theirs}"), "on_match: skip").expect_err("refused"));
}

#[test]
fn a_cell_that_may_have_been_cut_tells_nobody_from_anybody() {
    let tenant = tenant("protected: {rules: [{name: r, host: [DC-01]}]}\n");
    let rows = vec![event(1, r#"{"Host Name":"DC-0"}"#)];
    let events = Events { sources: vec!["e.csv".into()], rows, unended: vec!["Host Name".into()], ..Events::default() };
    let (work, vars, narrowing) = (by("q"), BTreeMap::new(), Narrowing::default());
    let request =
        Request { work, tenant: &tenant, vars, events, narrowing, partial: false, simulated: false, files: Vec::new() };
    insta::assert_snapshot!(render(&build(request).expect_err("refused"), false));
}

#[test]
fn too_many_rules_or_patterns_are_refused() {
    let mut many = tenant("");
    let rule = |n: usize, pattern: String| Rule {
        name: format!("r{n}"),
        matchers: vec![Matcher::Path(vec![pattern])],
        ignores_missing: true,
    };
    let refused = |tenant: &Tenant| {
        let (work, vars, narrowing) = (by("q"), BTreeMap::new(), Narrowing::default());
        let events = Events { sources: vec!["e.csv".into()], rows: vec![event(1, "{}")], ..Events::default() };
        let request =
            Request { work, tenant, vars, events, narrowing, partial: false, simulated: false, files: Vec::new() };
        build(request).err().map(|problems| problems[0].message.clone())
    };
    many.protected.rules = (0..RULES_MAX).map(|n| rule(n, format!("/a/{n}"))).collect();
    assert_eq!(refused(&many), None);
    many.protected.rules.push(rule(RULES_MAX, "/b".into()));
    assert_eq!(refused(&many).as_deref(), Some("there are 10001 rules of protected targets, at most 10000"));
    many.protected.rules = (0..1_100).map(|n| rule(n, format!("*{n:01000}"))).collect();
    let told = refused(&many).expect("refused");
    assert_eq!(told, "the patterns of protected targets have 1101100 bytes, at most 1048576");
}

/// Prints what a row costs with ten thousand rules; a cost that grows with the number of rules fails.
#[test]
fn a_row_costs_microseconds_however_many_rules_there_are() {
    const ROWS: u32 = 2_000;
    let cost = |rules: usize| {
        let list: Vec<String> = (0..rules)
            .map(|n| match n % 4 {
                0 => format!("{{name: r{n}, agent_id: [a-{n}]}}"),
                1 => format!("{{name: r{n}, host: ['srv-{n}-*'], if_missing: ignore}}"),
                2 => format!("{{name: r{n}, path: ['*\\app{n}\\*.exe'], if_missing: ignore}}"),
                _ => format!("{{name: r{n}, cidr: [10.{}.{}.0/24], if_missing: ignore}}", n / 256 % 256, n % 256),
            })
            .collect();
        let tenant = tenant(&format!("protected: {{rules: [{}]}}\n", list.join(", ")));
        let (mut problems, work) = (Problems::default(), by("q"));
        let mut rules = Rules::compile(&work, &tenant, &Origin::CommandLine, &mut problems);
        assert!(problems.is_empty());
        let event = event(1, r#"{"host":"web-17","path":"C:\\Users\\x\\app\\y.exe","ip":"192.168.3.4","sha256":"00"}"#);
        let started = Instant::now();
        assert!((0..ROWS).all(|_| rules.first_match(&event, "a").is_none()));
        started.elapsed() / ROWS
    };
    let (few, many) = (cost(10), cost(RULES_MAX));
    println!("{few:?} a row with 10 rules, {many:?} with {RULES_MAX}");
    assert!(many < few * 5 + Duration::from_micros(100), "{few:?}, {many:?}");
}
