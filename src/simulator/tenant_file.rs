//! A tenant file that fits a simulator: its actions, limits as generous as its own, and quick polling.

use super::options::{Options, SimAction};
use crate::tenant::{Rate, RequestType};
use std::fmt::Write;
use std::time::Duration;

const USER: &str = "simulated-user";
const USER_ID: &str = "00000000-0000-4000-8000-000000000000";
/// Calls at once, where the simulator has no limit.
const CONCURRENCY: u16 = 8;

const INVERSES: [(&str, &str); 4] = [
    ("quarantine-file", "release-file"),
    ("release-file", "quarantine-file"),
    ("isolate-host", "release-host"),
    ("release-host", "isolate-host"),
];

const COLUMNS: &str = "\
columns:
  console: {agent_id: Agent ID, event_id: Event ID, event_type: Type, unique_id: Unique ID, pid: {column: PID, default: 0}, event_time: Detected}
";

/// See [`super::Simulator::tenant_yaml`].
pub(super) fn tenant_yaml(options: &Options, base_url: &str) -> String {
    let width = options.actions.iter().map(|action| action.name.len() + 1).max().unwrap_or(0);
    let mut actions = String::new();
    for action in &options.actions {
        let name = format!("{}:", plain(&action.name));
        writeln!(actions, "  {name:<width$} {{{}}}", action_fields(action, &options.actions))
            .expect("a string can always be written to");
    }
    format!(
        "\
# The built-in simulator as a tenant. The action ids are its own, not the real ones: nobody publishes those.
version: 1
name: simulator
base_url: {base_url}
api_version: v1
user: {user}
user_id: {user_id}
{auth}
actions:
{actions}\
statuses: {{succeeded: [{succeeded}], failed: [{failed}], pending: [{queued}]}}
limits: {{requests: {requests}, concurrency: {concurrency}, batch_size: 50, act_timeout: 30s, poll_timeout: 10s}}
polling: {{first_after: 200ms, interval: 500ms, interval_max: 5s, deadline: 5m, not_found_grace: {grace}}}
{COLUMNS}",
        base_url = plain(base_url),
        user = plain(options.user.as_deref().unwrap_or(USER)),
        user_id = plain(options.user_id.as_deref().unwrap_or(USER_ID)),
        auth = match options.token {
            Some(_) => "auth: {token_env: QUELL_TOKEN}",
            None => "auth: {token_command: [echo, any-token-will-do]}",
        },
        succeeded = plain(&options.status_words.succeeded),
        failed = plain(&options.status_words.failed),
        queued = plain(&options.status_words.queued),
        requests = options.requests.map_or("unlimited".into(), rate),
        concurrency = options.concurrency.unwrap_or(CONCURRENCY),
        grace = duration(options.not_found_for.saturating_mul(2).max(Duration::from_secs(10))),
    )
}

fn action_fields(action: &SimAction, all: &[SimAction]) -> String {
    let kinds: Vec<&str> = action.event_types.iter().map(|kind| kind.as_str()).collect();
    let mut fields = vec![format!("id: {}", action.id), format!("event_types: [{}]", kinds.join(", "))];
    // What a client must know of the default actions, and a server does not.
    let inverse = INVERSES.iter().find(|(name, _)| *name == action.name).map(|(_, inverse)| *inverse);
    if let Some(inverse) = inverse.filter(|inverse| all.iter().any(|other| other.name == *inverse)) {
        fields.push(format!("reversible: true, inverse: {inverse}"));
    }
    match action.name.as_str() {
        "quarantine-file" | "release-file" => fields.push("repeat_safe: true".into()),
        "isolate-host" | "release-host" => fields.push("fill: {event_id: agent_id, unique_id: agent_id}".into()),
        _ => {}
    }
    if action.request_type == RequestType::QuarantinedItem {
        fields.push("request_type: quarantinedItem".into());
    }
    fields.push(format!("shown_as: [{}]", plain(&action.shown_as)));
    fields.join(", ")
}

/// As it is where YAML reads it as the same text, else in quotes; every JSON string is YAML.
fn plain(text: &str) -> String {
    let word =
        text.split(' ').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'));
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if word && !text.starts_with('-') && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        text.into()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

fn rate(rate: Rate) -> String {
    match duration(rate.window).strip_prefix('1') {
        Some(unit) if unit.starts_with(|c: char| c.is_ascii_alphabetic()) => format!("{}/{unit}", rate.calls),
        _ => format!("{}/{}", rate.calls, duration(rate.window)),
    }
}

/// In the largest unit that is exact.
fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".into(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}
