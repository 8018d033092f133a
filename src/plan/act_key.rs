//! What an act does, as a number: two items with the same key would do the same to the same thing, whichever run, row or
//! step they belong to.
//!
//! A key is over what is sent, after the action's `fill`: the action's id, agent, event, type, process and unique id. For
//! an action on hosts it is the action's id and the agent alone. The tenant is not in it: keys of different tenants never
//! meet. It is 128 bits of SHA-256, so that a million keys need 16 MB and a journal no copies of texts.

use super::PlannedStep;
use crate::tenant::{Action, EventType, FillField};
use sha2::{Digest, Sha256};

/// See the module.
pub type ActKey = [u8; 16];

/// What an act sends of an event, before the action's `fill`.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in `events::Event`")]
pub struct Sent<'a> {
    pub agent_id: &'a str,
    pub event_id: &'a str,
    pub event_type: EventType,
    pub pid: u32,
    pub unique_id: &'a str,
}

/// The key of an act of this step on this event.
pub fn act_key(step: &PlannedStep, sent: Sent<'_>) -> ActKey {
    key(&step.action, step.action.id, sent)
}

/// The key of the act that undoes it, when the tenant knows one.
pub fn inverse_key(step: &PlannedStep, sent: Sent<'_>) -> Option<ActKey> {
    step.inverse_id.map(|id| key(&step.action, id, sent))
}

pub(super) fn key(action: &Action, id: i64, sent: Sent<'_>) -> ActKey {
    let id = id.to_le_bytes();
    let [agent, event, unique] = filled(action, &sent);
    if sent.event_type == EventType::Agent {
        return fingerprint(&[b"host", &id, agent.as_bytes()]);
    }
    let (kind, pid) = (sent.event_type.as_str(), sent.pid.to_le_bytes());
    fingerprint(&[b"event", &id, agent.as_bytes(), event.as_bytes(), kind.as_bytes(), &pid, unique.as_bytes()])
}

/// Agent, event and unique id as the action sends them.
pub(super) fn filled<'a>(action: &Action, sent: &Sent<'a>) -> [&'a str; 3] {
    let own = |field| match field {
        FillField::AgentId => sent.agent_id,
        FillField::EventId => sent.event_id,
        FillField::UniqueId => sent.unique_id,
    };
    [FillField::AgentId, FillField::EventId, FillField::UniqueId]
        .map(|field| own(action.fill.iter().find(|(to, _)| *to == field).map_or(field, |(_, from)| *from)))
}

/// 128 bits over several texts.
pub(super) fn fingerprint(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&hash.finalize()[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::OnUnknown;

    fn step(name: &str, action: Action, inverse_id: Option<i64>) -> PlannedStep {
        PlannedStep {
            name: name.to_owned(),
            action,
            filter: None,
            on_unknown: OnUnknown::Stop,
            inverse_id,
            inverse: None,
            flow: crate::plan::PlannedFlow::default(),
        }
    }

    const FILE: Sent<'_> = Sent { agent_id: "a", event_id: "e", event_type: EventType::File, pid: 0, unique_id: "u" };

    #[test]
    fn whatever_is_sent_tells_acts_on_events_apart_and_the_step_does_not() {
        let step_of = |name, id| step(name, Action::plain("x", id, EventType::File), None);
        let key = act_key(&step_of("one", 3), FILE);
        assert_eq!(key, act_key(&step_of("two", 3), FILE));
        for other in [
            act_key(&step_of("one", 4), FILE),
            act_key(&step_of("one", 3), Sent { agent_id: "b", ..FILE }),
            act_key(&step_of("one", 3), Sent { event_id: "f", ..FILE }),
            act_key(&step_of("one", 3), Sent { event_type: EventType::Process, ..FILE }),
            act_key(&step_of("one", 3), Sent { pid: 1, ..FILE }),
            act_key(&step_of("one", 3), Sent { unique_id: "v", ..FILE }),
            act_key(&step_of("one", 3), Sent { agent_id: "ae", event_id: "", ..FILE }),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn acts_on_a_host_are_the_same_whatever_event_they_came_from() {
        let action = Action::plain("isolate", 0, EventType::Agent);
        let host = Sent { event_type: EventType::Agent, ..FILE };
        let isolate = step("s", action.clone(), Some(1));
        assert_eq!(act_key(&isolate, host), act_key(&isolate, Sent { event_id: "f", unique_id: "v", ..host }));
        let release = step("r", Action { id: 1, ..action }, Some(0));
        assert_eq!(inverse_key(&isolate, host), Some(act_key(&release, host)));
        assert_eq!(inverse_key(&release, host), Some(act_key(&isolate, host)));
        assert_ne!(act_key(&isolate, host), act_key(&release, host));
    }
}
