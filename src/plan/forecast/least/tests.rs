//! The least acts and rounds of plans: by waves, by steps, by what is blocked, by what goes after a failure.

use super::*;
use crate::plan::fixture::plan;

/// Acts, items, rounds: a file on each of so many hosts, and a process on the first ones.
fn check(playbook: &str, files: usize, processes: usize, expected: (u64, u64, u32)) {
    let agents: Vec<String> = (0..files.max(processes)).map(|host| format!("a{host}")).collect();
    let rows: Vec<_> = agents
        .iter()
        .take(files)
        .map(|agent| ("FILE", agent.as_str(), "{}"))
        .chain(agents.iter().take(processes).map(|agent| ("PROCESS", agent.as_str(), "{}")))
        .collect();
    let Least { acts, items, rounds } = least(&plan(playbook, "", &rows));
    assert_eq!((acts, items, rounds), expected, "{playbook}");
}

const TAKE: &str = "steps: [{name: take, action: quarantine}]\n";
const BOTH: &str = "steps: [{name: kill, action: kill}, {name: take, action: quarantine}]\n";

#[test]
fn each_wave_and_each_step_in_it_needs_acts_of_its_own() {
    check(TAKE, 8, 0, (1, 8, 1));
    check(&format!("{TAKE}waves: [1, 2, 4, 100%]\n"), 8, 0, (4, 8, 4));
    check(&format!("{BOTH}waves: [1, 2, 4, 100%]\n"), 8, 3, (7, 11, 7));
}

#[test]
fn a_gate_that_takes_a_share_lets_acts_hold_items_of_two_waves() {
    // 90% of 1 item is that item, of 11 items 10: the last wave begins with one left, which may go with it.
    check(&format!("{TAKE}waves: [1, 11, 100%]\npromote: {{settled: 90%}}\n"), 14, 0, (3, 14, 3));
    // Half of 2 items is one of them, so the other may go with the rest.
    check(&format!("{TAKE}waves: [2, 100%]\npromote: {{settled: 50%}}\n"), 14, 0, (2, 14, 2));
    // Nothing has to have settled.
    check(&format!("{TAKE}waves: [1, 2, 3, 100%]\npromote: {{settled: 1%, failures: 9}}\n"), 4, 0, (2, 4, 2));
}

#[test]
fn what_goes_after_a_failure_and_what_waits_for_it_is_not_counted() {
    let delete = "{name: delete, action: delete, after: take failed}";
    let again = "{name: kill, action: kill, after: delete}";
    check(&format!("steps: [{{name: take, action: quarantine}}, {delete}, {again}]\n"), 3, 2, (1, 3, 1));
    // Of a host that has no item of the step that is waited for, it counts as succeeded.
    check("steps: [{name: take, action: quarantine}, {name: kill, action: kill, after: take}]\n", 1, 3, (2, 4, 2));
}

#[test]
fn what_is_blocked_is_not_sent_and_neither_is_what_follows_it_by_default() {
    let rule = "protected: {on_match: skip, rules: [{name: core, path: ['*core*'], if_missing: ignore}]}\n";
    let rows = [
        ("PROCESS", "a1", r#"{"path":"core"}"#),
        ("FILE", "a1", "{}"),
        ("PROCESS", "a2", "{}"),
        ("FILE", "a2", r#"{"path":"core"}"#),
        ("FILE", "a2", "{}"),
    ];
    let of = |playbook: &str| least(&plan(playbook, rule, &rows));
    assert_eq!(of(BOTH), Least { acts: 2, items: 2, rounds: 2 });
    let settled = "steps: [{name: kill, action: kill}, {name: take, action: quarantine, after: kill settled}]\n";
    assert_eq!(of(settled), Least { acts: 2, items: 3, rounds: 2 });
}
