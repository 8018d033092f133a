//! What the vendor's pages demand of a request. It decides from the request alone and carries nothing out.
//!
//! What the pages leave open is refused rather than guessed at: unknown or repeated query parameters, unknown or
//! repeated fields, empty ids.

use super::options::{Options, SimAction};
use super::state::Submitter;
use crate::tenant::EventType;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use std::borrow::Cow;

/// The vendor's limit on one bulk request.
pub(super) const ITEMS_MAX: usize = 200;
/// The longest id that is taken; ids seen in public are far shorter.
pub(super) const ID_BYTES_MAX: usize = 1024;
/// Enough for 200 objects of the longest ids.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request that is refused for what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

/// One object of an act, known to be right.
#[derive(Debug)]
pub(super) struct ActItem<'a> {
    /// Index into [`Options::actions`].
    pub(super) action: usize,
    pub(super) agent_id: Cow<'a, str>,
    pub(super) event_id: Cow<'a, str>,
    pub(super) event_type: EventType,
    pub(super) pid: u32,
    pub(super) unique_id: Cow<'a, str>,
}

/// Whether the one `Authorization` header is `Bearer`, one space, and a token that is let in.
pub(super) fn authorized(headers: &HeaderMap, token: Option<&str>) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return false };
    let Some(given) = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")) else { return false };
    match token {
        Some(token) => given == token,
        None => !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_graphic()),
    }
}

/// Reads who acts, and why, from an act's query and checks it.
pub(super) fn submitter(parameters: Vec<(String, String)>, options: &Options) -> Result<Submitter, Refusal> {
    let (mut user, mut user_id, mut comment) = (None, None, None);
    for (name, value) in parameters {
        let slot = match name.as_str() {
            "user" => &mut user,
            "userId" => &mut user_id,
            "comment" => &mut comment,
            _ => return Err(Refusal::bad(format!("unknown query parameter {name:?}"))),
        };
        if slot.replace(value).is_some() {
            return Err(Refusal::bad(format!("query parameter {name:?} is given twice")));
        }
    }
    let mandatory = |value: Option<String>, name: &str, only: Option<&str>| {
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Refusal::bad(format!("query parameter {name:?} is mandatory")))?;
        if only.is_some_and(|only| value != only) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, format!("{name} {value:?} may not act")));
        }
        Ok(value)
    };
    Ok(Submitter {
        user: mandatory(user, "user", options.user.as_deref())?,
        user_id: mandatory(user_id, "userId", options.user_id.as_deref())?,
        comment: comment.unwrap_or_default(),
    })
}

/// `application/json`, with parameters or without.
pub(super) fn content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("content type {given:?} is not application/json")))
}

/// Reads and checks an act's body.
pub(super) fn items<'a>(body: &'a [u8], options: &Options) -> Result<Vec<ActItem<'a>>, Refusal> {
    let objects: Vec<Object<'a>> =
        serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body cannot be read: {error}")))?;
    if objects.is_empty() || objects.len() > ITEMS_MAX {
        let n = objects.len();
        return Err(Refusal::bad(format!("one request holds 1 to {ITEMS_MAX} events, this one holds {n}")));
    }
    let mut items: Vec<ActItem<'a>> = Vec::with_capacity(objects.len());
    for (index, Object(fields)) in objects.into_iter().enumerate() {
        let item = item(fields, options)
            .map_err(|refusal| Refusal { message: format!("event {}: {}", index + 1, refusal.message), ..refusal })?;
        if let Some(first) = items.first().filter(|first| first.event_type != item.event_type) {
            let (is, was) = (item.event_type, first.event_type);
            return Err(Refusal::bad(format!("event {}: {is} in a request of {was}", index + 1)));
        }
        items.push(item);
    }
    Ok(items)
}

/// An object of exactly these fields; serde's derive alone would take an array in its place.
struct Object<'a>(Fields<'a>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields<'a> {
    action_id: i64,
    #[serde(borrow)]
    agent_id: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    pid: u32,
    #[serde(borrow)]
    unique_id: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap;
        impl<'de> serde::de::Visitor<'de> for OnlyMap {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(OnlyMap).map(Self)
    }
}

fn item<'a>(fields: Fields<'a>, options: &Options) -> Result<ActItem<'a>, Refusal> {
    for (name, id) in [("agentId", &fields.agent_id), ("eventId", &fields.event_id), ("uniqueId", &fields.unique_id)] {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(Refusal::bad(format!("{name} must have 1 to {ID_BYTES_MAX} bytes")));
        }
    }
    let event_type = event_type(&fields.event_type)?;
    let action = options.actions.iter().position(|action| action.id == fields.action_id);
    let action = action.ok_or_else(|| Refusal::bad(format!("unknown actionId {}", fields.action_id)))?;
    let SimAction { shown_as, event_types, .. } = &options.actions[action];
    if !event_types.contains(&event_type) {
        return Err(Refusal::bad(format!("{shown_as:?} cannot be applied to {event_type}")));
    }
    if options.forbidden_agents.contains(fields.agent_id.as_ref()) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, format!("no permission for agent {:?}", fields.agent_id)));
    }
    let Fields { agent_id, event_id, pid, unique_id, .. } = fields;
    Ok(ActItem { action, agent_id, event_id, event_type, pid, unique_id })
}

fn event_type(word: &str) -> Result<EventType, Refusal> {
    let known = EventType::ALL.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| Refusal::bad(format!("unknown eventType {word:?}")))
}
