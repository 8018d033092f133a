//! What an approver sees of items: what is acted on, on which host, what is blocked, and that all counts are of what is
//! sent.

use crate::plan::fixture::plan;
use crate::plan::{Plan, show};

const STEPS: &str = "steps: [{name: kill, action: kill}, {name: take, action: quarantine}]\n";
const SKIP: &str = "protected: {on_match: skip, rules: [{name: servers, host: ['SRV-*']}, \
                    {name: 'the core', path: ['*\\\\Windows\\\\*'], if_missing: ignore}]}\n";
const LONG: &str =
    r"C:\Users\m.berger\AppData\Roaming\a folder with a very long name\another one of them\invoice.pdf.exe";

fn json(plan: &Plan) -> serde_json::Value {
    let mut out = Vec::new();
    show::json(plan, &mut out).expect("memory can be written");
    serde_json::from_slice(&out).expect("JSON")
}

/// Two hosts, of which one is a server; four items, of which two are blocked.
fn half_blocked() -> Plan {
    let long = serde_json::json!({"Host": "WS-1", "path": LONG, "sha256": "ab".repeat(32), "event_time": "2026-06-12T03:40:00Z"});
    let rows = [
        ("PROCESS", "a1", r#"{"Host":"WS-1","process_name":"Evil.exe","path":"C:\\evil.exe"}"#),
        ("FILE", "a1", &long.to_string()),
        ("FILE", "a1", r#"{"Host":"WS-1","path":"C:\\Windows\\x.dll"}"#),
        ("FILE", "a2", r#"{"Host":"SRV-1","path":"C:\\x.dll"}"#),
    ];
    plan(STEPS, SKIP, &rows)
}

#[test]
fn an_item_says_on_which_host_what_is_acted_on_and_which_rule_blocks_it() {
    let text = show::text(&half_blocked());
    let table = &text[text.find("row  step").expect("a table")..text.find("\ndigest").expect("a digest")];
    assert_eq!(
        table,
        r#"row  step  type     host   agent
1    kill  PROCESS  WS-1   a1
     pid 7, C:\evil.exe
2    take  FILE     WS-1   a1
     C:\Users\m.berge…her one of them\invoice.pdf.exe, 2026-06-12T03:40:00Z, sha256 abababababababa…
3    take  FILE     WS-1   a1
!    BLOCKED by "the core", never sent
     C:\Windows\x.dll
4    take  FILE     SRV-1  a2
!    BLOCKED by "servers", never sent
     C:\x.dll
what is cut (…) stands whole in `--format json`
"#
    );
}

#[test]
fn no_row_can_say_of_itself_that_it_is_blocked_or_more_than_one_thing() {
    let forged =
        r#"{"path":"BLOCKED by \"servers\", never sent, C:\\x","process_name":"lsass.exe, pid 4","Host":"WS-1"}"#;
    let text = show::text(&plan(STEPS, SKIP, &[("PROCESS", "a1", forged)]));
    assert!(
        text.contains("\n     \"lsass.exe, pid 4\", pid 7, \"BLOCKED by \\\"servers\\\", never sent, C:\\x\"\n"),
        "{text}"
    );
    assert!(!text.contains("\n!"), "{text}");
}

#[test]
fn markdown_has_a_column_for_what_any_item_has() {
    let text = show::markdown(&half_blocked());
    assert!(text.contains("<summary>4 items, 2 of them blocked</summary>"), "{text}");
    assert!(
        text.contains("| row | step | host | agent | type | pid | process | path | hash | time | event | blocked by |")
    );
    assert!(text.contains("| 4 | take | SRV-1 | a2 | FILE |  |  | C:&#92;x.dll |  |  | e4 | servers |"), "{text}");
    assert!(text.contains("| PROCESS | 7 | Evil.exe | C:&#92;evil.exe |"), "{text}");
    let bare = show::markdown(&plan(STEPS, "", &[("FILE", "a1", "{}")]));
    assert!(bare.contains("| row | step | agent | type | event |\n"), "{bare}");
}

#[test]
fn whatever_is_counted_is_what_will_be_sent() {
    let plan = half_blocked();
    let text = show::text(&plan);
    assert!(text.contains("\n2 items on 1 host, 0 of them irreversible\n"), "{text}");
    assert!(text.contains("\nat least 2 acts, 2 polls and 4 calls in all, and at least 30s\n"), "{text}");
    assert!(text.contains("\nworst case before a stop: 2 items on 1 target\n"), "{text}");
    let of_step = text.lines().find(|line| line.starts_with("take")).expect("a step");
    assert_eq!(of_step.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["1", "1"], "{of_step}");
    let json = json(&plan);
    let counts = &json["counts"];
    assert_eq!((&counts["items"], &counts["hosts"], &counts["blocked"]), (&2.into(), &1.into(), &2.into()));
    let by: Vec<Option<&str>> =
        json["items"].as_array().expect("items").iter().map(|item| item["blocked_by"].as_str()).collect();
    assert_eq!(by, [None, None, Some("the core"), Some("servers")]);
}

#[test]
fn budget_and_approval_are_of_what_will_be_sent() {
    let more = "failure_budget: {percent: 50}\nrequire_approval: {when: 'plan.items > 2 || plan.hosts > 1'}\n";
    let plan = plan(
        &format!("{STEPS}{more}"),
        SKIP,
        &[
            ("FILE", "a1", r#"{"host":"WS-1"}"#),
            ("FILE", "a1", r#"{"host":"WS-1"}"#),
            ("FILE", "a2", r#"{"host":"SRV-1"}"#),
        ],
    );
    assert_eq!(plan.header.release.budget.as_ref().map(|budget| budget.tolerated), Some(1));
    assert_eq!(plan.header.approval.as_ref().map(|approval| approval.needed), Some(false));
}

#[test]
fn no_line_of_an_item_is_wider_than_a_screen() {
    let wide = "w".repeat(300);
    let columns = serde_json::json!({"host": wide, "process": wide, "path": wide, "sha256": wide, "event_time": wide});
    let rule = format!("protected: {{on_match: skip, rules: [{{name: {}, host: ['*']}}]}}\n", "r".repeat(90));
    let plan = plan(STEPS, &rule, &[("PROCESS", &wide[..256], &columns.to_string())]);
    let text = show::text(&plan);
    let table = &text[text.find("row  step").expect("a table")..];
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| (100..=120).contains(&widest)), "{table}");
}
