//! What is read from tenant files, and what people are told of those that cannot be read.

use super::*;
use crate::problem::render;
use insta::assert_snapshot;
use serde_json::Value;

/// Every key there is.
const FULL: &str = "\
version: 1
name: prod-eu
base_url: https://gateway.qg2.apps.qualys.eu/
api_version: v1
user: svc-edr
user_id: 42fc0000-0000-0000-0000-000000000000
auth: {token_command: [vault, read, -field=jwt, edr/prod]}   # or token_file, token_env (default QUELL_TOKEN)
actions:            # reversible and repeat_safe are false unless said otherwise
  kill-process:    {id: 2, event_types: [PROCESS]}
  quarantine-file: {id: 3, event_types: [FILE], reversible: true, inverse: release-file, repeat_safe: true}
  release-file:    {id: 5, event_types: [FILE], reversible: true, inverse: quarantine-file, repeat_safe: true}
  delete-file:     {id: 4, event_types: [FILE], request_type: quarantinedItem, shown_as: [Delete File]}
  isolate-host:    {id: 0, event_types: [AGENT], reversible: true, inverse: release-host, fill: {event_id: agent_id, unique_id: agent_id}}
  release-host:    {id: 1, event_types: [AGENT], reversible: true, inverse: isolate-host, fill: {event_id: agent_id, unique_id: agent_id}}
statuses: {succeeded: [success], failed: [failed, failure, error], pending: [queued, in progress, pending]}
limits: {requests: 300/h, keep_free: 60/h, concurrency: 2, batch_size: 50, act_timeout: 2m, poll_timeout: 20s}
polling: {first_after: 15s, interval: 30s, interval_max: 10m, deadline: 4h, not_found_grace: 2m}
columns:            # named mappings; picked by the file's header
  console: {agent_id: Agent ID, event_id: Event ID, event_type: Type, unique_id: Unique ID, pid: {column: PID, default: 0}, event_time: Detected, source: {constant: console}}
guards: {max_items: 1500, max_hosts: 300, max_per_host: 40, max_irreversible: 300, max_per_action: {isolate-host: 50, delete-file: 0}, max_percent_of: {of: hosts.txt, percent: 10%}}
protected:
  on_match: hold
  files: [../protected/core.yaml]
  rules:
  - {name: domain controllers, host: [DC-*, \"*-DC?\"], if_missing: ignore}
  - {name: servers, cidr: [10.1.0.0/16, \"fd00::/8\", 10.2.0.7], tag: [prod, 7], attribute: {asset_group: [crown*], zone: [\"0\"]}}
  - {name: core, agent_id: [A-1], path: ['*\\\\System32\\\\config\\\\*'], process: [lsass.exe], if_missing: match}
";

/// Only what must be there; cases append to it.
const SMALL: &str = "\
version: 1
name: t
base_url: https://t.example
user: u
user_id: 7
actions: {kill: {id: 2, event_types: [PROCESS]}}
";

fn problems(text: &str) -> String {
    match read("tenants/t.yaml", text) {
        Ok(tenant) => format!("no problem: {tenant:#?}"),
        Err(problems) => render(&problems, false),
    }
}

fn json(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("valid YAML")
}

fn is_valid(text: &str) -> bool {
    jsonschema::validator_for(&schema()).expect("a valid schema").is_valid(&json(text))
}

/// The small tenant with one line replaced.
fn with(line: &str, other: &str) -> String {
    assert!(SMALL.contains(line), "{line}");
    SMALL.replace(line, other)
}

#[test]
fn every_key_is_read() {
    let tenant = read("full.yaml", FULL).expect("a tenant");
    insta::assert_debug_snapshot!(tenant);
}

#[test]
fn what_is_not_written_has_its_documented_default() {
    let tenant = read("small.yaml", SMALL).expect("a tenant");
    let second = Duration::from_secs(1);
    assert_eq!(tenant.api_version, ApiVersion::V1);
    assert_eq!(tenant.auth, Auth::TokenEnv("QUELL_TOKEN".to_owned()));
    assert_eq!(tenant.user_id, "7");
    assert_eq!(tenant.statuses.failed, ["failed", "failure", "error"]);
    assert_eq!(tenant.limits.requests.map(|rate| rate.to_string()), Some("300/h".to_owned()));
    assert_eq!((tenant.limits.keep_free, tenant.limits.concurrency, tenant.limits.batch_size), (None, 2, 50));
    assert_eq!((tenant.limits.act_timeout, tenant.limits.poll_timeout), (120 * second, 20 * second));
    assert_eq!((tenant.polling.first_after, tenant.polling.interval), (15 * second, 30 * second));
    assert_eq!((tenant.polling.interval_max, tenant.polling.deadline), (600 * second, 4 * 3600 * second));
    assert_eq!(tenant.polling.not_found_grace, 120 * second);
    let [kill] = &tenant.actions[..] else { panic!("one action") };
    assert!(!kill.reversible && !kill.repeat_safe && kill.inverse.is_none() && kill.fill.is_empty());
    assert_eq!((kill.request_type, kill.shown_as.len()), (RequestType::ActivityLog, 0));
    assert!(tenant.columns.is_empty());
    let unlimited = format!("{SMALL}limits: {{requests: unlimited}}\n");
    assert_eq!(read("t", &unlimited).expect("a tenant").limits.requests, None);
}

#[test]
fn actions_are_found_by_the_word_of_an_action_column() {
    let tenant = read("full.yaml", FULL).expect("a tenant");
    let meant = |word| action_by_word(&tenant.actions, word).map(|index| tenant.actions[index].id);
    for word in ["kill-process", "Kill Process", "KILL_PROCESS", "killprocess", "kill\u{a0}process"] {
        assert_eq!(meant(word), Some(2), "{word}");
    }
    assert_eq!(meant("delete-file"), Some(4));
    assert_eq!(meant("kill"), None);
}

#[test]
fn a_status_word_means_what_the_tenant_says() {
    let statuses = Statuses::default();
    for (word, meaning) in [
        ("Success", Meaning::Succeeded),
        (" FAILURE\n", Meaning::Failed),
        ("In Progress", Meaning::Pending),
        ("in_progress", Meaning::Unlisted),
        ("", Meaning::Unlisted),
        ("succeeded", Meaning::Unlisted),
    ] {
        assert_eq!(statuses.meaning(word), meaning, "{word:?}");
    }
}

#[test]
fn mistakes_are_told_where_they_are() {
    let cases: &[(&str, String)] = &[
        ("nothing but a word", "hello\n".to_owned()),
        ("an empty file", "# nothing\n".to_owned()),
        ("all required keys missing", "name: t\n".to_owned()),
        ("a future version", with("version: 1", "version: 2")),
        ("a typo in a key", with("base_url:", "baseurl:")),
        ("an unknown key", format!("{SMALL}colour: blue\n")),
        ("a key twice", format!("{SMALL}name: again\n")),
        (
            "guards",
            format!(
                "{SMALL}guards: {{max_item: 5, max_hosts: -1, max_per_host: many, max_per_action: {{kil: 1, KILL: 2, kill: x}}, \
                     max_percent_of: {{of: 0, percent: 101}}}}\n"
            ),
        ),
        ("a share", format!("{SMALL}guards: {{max_percent_of: {{of: [1], percent: 1.5}}}}\n")),
        ("a share of nothing", format!("{SMALL}guards: {{max_percent_of: {{percent: 10%}}}}\n")),
        (
            "protected targets",
            format!(
                "{SMALL}protected:\n  on_match: stop\n  files: [a.yaml, a.yaml, \" \"]\n  rules:\n  - {{host: [a]}}\n  - {{name: n}}\n  - {{name: n, host: [], if_missing: no}}\n  \
                 - {{name: c, cidr: [10.0.0.1/8, 300.1.1.1, 10.0.0.0/33, \"::1\"]}}\n  - {{name: p, process: [a/b, \"C:\\\\x\"]}}\n  \
                 - {{name: q, attribute: {{Asset Group: [a], agent_id: [b], pid: [4], zone: []}}}}\n  - {{name: r, attribute: {{}}}}\n  - {{name: s, hosts: [a]}}\n"
            ),
        ),
        ("an upper-case name", with("name: t", "name: Prod EU")),
        ("a number for a name", with("name: t", "name: 2024")),
        ("an empty value", with("name: t", "name:")),
        ("no encryption", with("https://t.example", "http://t.example")),
        ("a password in the URL", with("https://t.example", "https://u:p@t.example")),
        ("a query in the URL", with("https://t.example", "https://t.example/?a=b")),
        ("no URL", with("https://t.example", "t.example")),
        ("an empty user", with("user: u", "user: ''")),
        ("two places for a token", format!("{SMALL}auth: {{token_env: A, token_file: b}}\n")),
        ("no place for a token", format!("{SMALL}auth: {{}}\n")),
        ("an unknown api version", format!("{SMALL}api_version: v2\n")),
        ("no actions", with("{kill: {id: 2, event_types: [PROCESS]}}", "{}")),
        ("an action without id and types", with("{id: 2, event_types: [PROCESS]}", "{}")),
        ("an id in words", with("id: 2", "id: two")),
        ("an id in quotes", with("id: 2", "id: '2'")),
        ("a misspelt event type", with("[PROCESS]", "[PROCES, file, FILE, FILE]")),
        ("an event type without brackets", with("[PROCESS]", "PROCESS")),
        ("no event types", with("[PROCESS]", "[]")),
        ("an inverse that is not there", with("id: 2", "id: 2, reversible: true, inverse: kil")),
        ("an inverse of itself", with("id: 2", "id: 2, reversible: true, inverse: kill")),
        ("yes for true", with("id: 2", "id: 2, reversible: yes")),
        ("names that are too like", with("{kill: {", "{kill_it: {id: 1, event_types: [FILE]}, kill-it: {")),
        ("a field filled from itself", with("id: 2", "id: 2, fill: {event_id: event_id}")),
        ("a field filled from a filled one", with("id: 2", "id: 2, fill: {event_id: unique_id, unique_id: agent_id}")),
        ("an unknown field", with("id: 2", "id: 2, fill: {event: agent_id, event_id: host}")),
        ("a status word with two meanings", format!("{SMALL}statuses: {{succeeded: [success, Error]}}\n")),
        ("no word for success", format!("{SMALL}statuses: {{succeeded: []}}\n")),
        (
            "limits out of bounds",
            format!(
                "{SMALL}limits: {{requests: lots, concurrency: 0, batch_size: 201, act_timeout: 30, poll_timeout: 0s}}\n"
            ),
        ),
        ("numbers that are text", format!("{SMALL}limits: {{concurrency: '2', batch_size: 5.5}}\n")),
        ("nothing left", format!("{SMALL}limits: {{requests: 1/m, keep_free: 60/h}}\n")),
        ("nothing to keep free of", format!("{SMALL}limits: {{requests: unlimited, keep_free: 60/h}}\n")),
        (
            "times that contradict each other",
            format!("{SMALL}polling: {{interval: 11m, first_after: 5h, not_found_grace: 3d}}\n"),
        ),
        (
            "columns",
            format!(
                "{SMALL}columns:\n  a: {{AgentID: x, pid: {{column: PID, constant: 1}}, event_id: [x]}}\n  b: {{}}\n  \
                 C: {{x: {{constant: a, default: b}}, y: ''}}\n"
            ),
        ),
        ("an unclosed bracket", format!("{SMALL}limits: {{requests: 300/h\n")),
        ("a tab", format!("{SMALL}limits:\n\trequests: 300/h\n")),
        ("an alias", format!("{SMALL}limits: &l {{requests: 300/h}}\npolling: *l\n")),
        ("a tag", format!("{SMALL}api_version: !!str v1\n")),
        ("a merge key", format!("{SMALL}limits: {{<<: {{requests: 1/h}}}}\n")),
        ("two documents", format!("{SMALL}---\n{SMALL}")),
    ];
    let told: Vec<String> = cases.iter().map(|(name, text)| format!("=== {name}\n{}", problems(text))).collect();
    assert!(told.iter().all(|text| text.contains("error: ")), "{told:#?}");
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_token_in_a_file_is_never_shown() {
    let cases: &[String] = &[
        format!("{SMALL}auth: {{token: eyJSECRET}}\n"),
        format!("{SMALL}auth: {{token: eyJSECRET, tokn_env: SECRET}}\n"),
        format!("{SMALL}auth: {{token_env: eyJ.SECRET}}\n"),
        format!("{SMALL}auth: {{token_env: [SECRET]}}\n"),
        format!("{SMALL}auth: {{token_command: curl SECRET}}\n"),
        format!("{SMALL}auth: SECRET\n"),
        format!("{SMALL}auth:\n  token: >-\n    SECRET\n    SECRET\n  token_envv: x\n"),
        format!("{SMALL}auth: {{token: \"SECRET\n    SECRET\", foo: bar}}\n"),
        format!("{SMALL}api_token: SECRET\n"),
        format!("{SMALL}auth: {{token: SECRET\n"),
        format!("{SMALL}auth:\n  token: \"SECRET\n"),
        format!("{SMALL}auth:\n  token: a: SECRET\n"),
        format!("{SMALL}auth: {{token: SECRET}}\nauth: {{token: SECRET}}\n"),
    ];
    let told: Vec<String> = cases.iter().map(|text| problems(text)).collect();
    for text in &told {
        assert!(text.contains("error: ") && !text.contains("SECRET"), "{text}");
    }
    assert_snapshot!(told.join("\n"));
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    assert!(is_valid(FULL));
    assert!(is_valid(SMALL));
    for text in [
        with("name: t", "nam: t"),
        with("id: 2", "id: 2, reversable: true"),
        with("[PROCESS]", "[PROCES]"),
        with("[PROCESS]", "[]"),
        with("https://t.example", "ftp://t.example"),
        with("{kill: ", "{Kill It: "),
        format!("{SMALL}auth: {{token: x}}\n"),
        format!("{SMALL}auth: {{token_env: A, token_file: b}}\n"),
        format!("{SMALL}limits: {{batch_size: 201}}\n"),
        format!("{SMALL}limits: {{requests: lots}}\n"),
        format!("{SMALL}polling: {{deadline: 4 hours}}\n"),
        format!("{SMALL}guards: {{max_items: many}}\n"),
        format!("{SMALL}guards: {{max_percent_of: {{of: 0, percent: 10}}}}\n"),
        format!("{SMALL}guards: {{max_percent_of: {{of: a.txt, percent: 101}}}}\n"),
        format!("{SMALL}protected: {{on_match: stop}}\n"),
        format!("{SMALL}protected: {{rules: [{{name: n, if_missing: ignore}}]}}\n"),
        format!("{SMALL}protected: {{rules: [{{name: n, host: []}}]}}\n"),
        format!("{SMALL}protected: {{rules: [{{name: n, process: [a/b]}}]}}\n"),
        format!("{SMALL}protected: {{rules: [{{name: n, attribute: {{}}}}]}}\n"),
        format!("{SMALL}protected: {{rules: [{{name: n, attribute: {{Asset Group: [a]}}}}]}}\n"),
        format!("{SMALL}columns: {{a: {{pid: {{default: 0}}}}}}\n"),
    ] {
        assert!(!is_valid(&text), "{text}");
        assert!(read("t", &text).is_err(), "{text}");
    }
}

#[test]
fn the_schema_asks_for_exactly_the_keys_the_reader_asks_for() {
    let full: Value = json(FULL);
    let required = schema()["required"].clone();
    let required: Vec<&str> = required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for key in full.as_object().expect("a mapping").keys() {
        let mut without = full.clone();
        without.as_object_mut().expect("a mapping").remove(key);
        let read = read("t", &without.to_string());
        assert_eq!(read.is_err(), required.contains(&&**key), "{key}");
    }
}

#[test]
fn the_schema_is_as_documented() {
    assert_snapshot!(serde_json::to_string_pretty(&schema()).expect("JSON"));
}
