//! The detail of a remediation: every field of the vendor's sample, in its order.
//!
//! What the simulator cannot know (host name, platform, interfaces) follows from the agent, so that it is the same in
//! every detail of one host.

use super::Simulator;
use super::chance::{Of, hash_texts, mix};
use super::state::{Fate, Found};
use crate::tenant::EventType;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    action: &'a str,
    event_source: &'static str,
    status: &'a str,
    request_time: String,
    request_timestamp: u64,
    execution_time: String,
    remediation_event_id: String,
    request_id: String,
    manifest_id: String,
    unique_id: &'a str,
    user_id: &'a str,
    agent_id: &'a str,
    host_name: String,
    platform: &'static str,
    interfaces: [Interface; 2],
    comments: &'a str,
    status_message: &'static str,
    allow_response_action: u8,
    remediation_payload: String,
    id: String,
    r#type: &'static str,
    user: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    interface_name: &'static str,
    mac_address: String,
    gateway_address: String,
    ip_address: String,
}

/// The detail as the API sends it.
pub(super) fn detail(simulator: &Simulator, found: &Found) -> Vec<u8> {
    let (options, chance) = (&simulator.0.options, simulator.0.chance);
    let item = &found.item;
    let by = &item.submission.by;
    let tag = item.tag.bits();
    let agent = chance.draw(Of::Agent, hash_texts(&[item.agent_id()]));
    let requested = options.epoch_ms.saturating_add(item.accepted);
    let uuid = |of| chance.uuid(of, tag).to_string();
    let words = &options.status_words;
    let (status, status_message) = match (&found.scripted, found.settled) {
        (Some(word), _) if *word == words.failed => (word, failure(chance.draw(Of::Message, tag))),
        (Some(word), _) => (word, "As scripted"),
        (None, None) => (&words.queued, "Request sent to the agent"),
        (None, Some(Fate::Succeeds)) => (&words.succeeded, "Applied Successfully"),
        (None, Some(Fate::Fails | Fate::NeverSettles)) => (&words.failed, failure(chance.draw(Of::Message, tag))),
    };
    let detail = Detail {
        action: &options.actions[usize::from(item.action)].shown_as,
        event_source: "EDR",
        status,
        request_time: timestamp(requested),
        request_timestamp: requested,
        execution_time: timestamp(executed(requested, agent)),
        remediation_event_id: uuid(Of::EventUuid),
        request_id: chance.uuid(Of::RequestUuid, item.submission.key).to_string(),
        manifest_id: uuid(Of::ManifestUuid),
        unique_id: item.unique_id(),
        user_id: &by.user_id,
        agent_id: item.agent_id(),
        host_name: format!("sim-{:05x}", agent >> 44),
        platform: if agent & 1 == 0 { "WINDOWS" } else { "LINUX" },
        interfaces: interfaces(agent),
        comments: &by.comment,
        status_message,
        allow_response_action: 1,
        remediation_payload: payload(item.event_type, agent),
        id: uuid(Of::RecordUuid),
        r#type: item.event_type.as_str(),
        user: &by.user,
    };
    serde_json::to_vec(&detail).expect("texts and numbers always make JSON")
}

/// By the agent's own clock, up to two minutes off: the vendor's sample was executed before it was requested, and
/// queued remediations have an execution time too.
fn executed(requested: u64, agent: u64) -> u64 {
    (requested + mix(agent) % 240_000).saturating_sub(120_000)
}

fn failure(drawn: u64) -> &'static str {
    ["File not found", "Process not found", "Access denied", "Agent could not carry out the request"]
        [(drawn % 4) as usize]
}

fn interfaces(agent: u64) -> [Interface; 2] {
    let [_, _, _, d, e, f, g, h] = agent.to_be_bytes();
    let interface = |ip_address: String| Interface {
        interface_name: if agent & 1 == 0 { "Ethernet0" } else { "ens192" },
        mac_address: format!("02:00:{d:02X}:{e:02X}:{f:02X}:{g:02X}"),
        gateway_address: "10.0.0.1".into(),
        ip_address,
    };
    [
        interface(ip_v4(agent)),
        interface(format!("fe80:0:0:0:{:x}:{:x}:{:x}:{:x}", d, e, f, u16::from(g) << 8 | u16::from(h))),
    ]
}

fn ip_v4(agent: u64) -> String {
    let [.., f, g, h] = agent.to_be_bytes();
    format!("10.{f}.{g}.{h}")
}

/// JSON inside a string: for hosts shaped as in the vendor's sample; for other kinds the shape is unknown.
fn payload(event_type: EventType, agent: u64) -> String {
    if event_type != EventType::Agent {
        return "{}".into();
    }
    let ip = ip_v4(agent);
    format!(
        r#"{{"excludedWhitelistingConfig":{{"excludedIpConfigs":[{{"ipAddress":"{ip}","subnetMask":"255.255.255.255","platform":0,"type":"V4"}}],"excludedDomainConfigs":[{{"domain":"example.com","platform":0}}]}}}}"#
    )
}

/// As the API writes it: whole seconds, written with milliseconds and `+00:00`.
fn timestamp(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00").to_string()
}
