//! What the API answers: replies to acts and to polls, and headers that speak of limits.
//!
//! An answer is written as `STATUS`, then header lines, an empty line, and the body; after the status may stand `cut`,
//! `late` or `long` for a body that could not be had whole.

use super::ground::{self, Process, START, TENANT};
use crate::api::answer::{Answer, BodyFault, Carried};
use crate::api::transport::{Request, Transport};
use crate::api::{self, Api, TokenSource};
use crate::engine::call::{ActReply, CallWhat, ItemBody, LimitHeaders, PollReply, Reply, ReplyBody};
use crate::engine::fact::{NotCarriedOut, Settled, What};
use crate::engine::sent_or_not::MESSAGE_CHARS_MAX;
use crate::engine::{Input, Then};
use crate::inert;
use crate::plan::Plan;
use crate::tenant::{Action, Meaning};
use bytes::Bytes;
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{BoxFuture, ready};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::sync::LazyLock;

const TOKEN: &str = "the-token-of-the-fuzzer";
/// The longest that an answer may make us wait: the longest window that may be announced, and a little.
const WAIT_MAX_MS: u64 = 25 * 3_600_000;

static PLAN: LazyLock<Plan> = LazyLock::new(ground::two_files);

/// Answers every request alike.
struct Same(u16, HeaderMap, Result<Bytes, BodyFault>);

impl Transport for Same {
    fn carry(&self, _: Request) -> BoxFuture<'_, Carried> {
        let answer = Answer { status: self.0, headers: self.1.clone(), body: self.2.clone() };
        ready(Carried::Answer(answer)).boxed()
    }
}

fn answer_of(data: &[u8]) -> Option<(u16, HeaderMap, Result<Bytes, BodyFault>)> {
    let mut rest = data;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, more) = rest.split_at(end);
        rest = more.get(1..).unwrap_or_default();
        line
    };
    let first = std::str::from_utf8(line()).ok()?;
    let (status, fault) = first.split_once(' ').unwrap_or((first, ""));
    let status = status.parse().ok().filter(|status| (200..600).contains(status))?;
    let mut headers = HeaderMap::new();
    loop {
        let header = line();
        let Some(colon) = header.iter().position(|byte| *byte == b':') else { break };
        let (name, value) = (&header[..colon], header[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let body = match fault {
        "cut" => Err(BodyFault::CutShort(rest.len())),
        "late" => Err(BodyFault::TimedOut(rest.len())),
        "long" => Err(BodyFault::TooLong(rest.len())),
        _ => Ok(Bytes::copy_from_slice(rest)),
    };
    Some((status, headers, body))
}

fn api(answer: (u16, HeaderMap, Result<Bytes, BodyFault>)) -> Api {
    let token = TokenSource::Given(TOKEN.into());
    Api::new(&PLAN.header.tenant, token, Same(answer.0, answer.1, answer.2)).expect("the example's address is one")
}

fn action() -> &'static Action {
    TENANT.actions.iter().find(|action| action.name == "quarantine-file").expect("the example has it")
}

/// What a body says under a key, read without any of our own code.
fn under(body: &Result<Bytes, BodyFault>, key: &str) -> Option<Value> {
    let body = body.as_ref().ok()?;
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice::<Value>(body).ok()?.get(key).cloned()
}

/// An act is accepted only by a list of ids, refused only by a status that refuses, and tried again only where the status
/// proves that nothing was carried out.
pub(super) fn act_reply(data: &[u8]) {
    let Some(answer) = answer_of(data) else { return };
    let (status, _, body) = answer.clone();
    let event = &PLAN.events[0];
    let items = [ItemBody {
        agent_id: event.agent_id.clone(),
        event_id: event.event_id.clone(),
        event_type: event.event_type,
        pid: event.pid,
        unique_id: event.unique_id.clone(),
    }];
    let reply = block_on(api(answer).act(action(), &items, "INC-7"));
    assert!(!format!("{reply:?}").contains(TOKEN), "the token is in {reply:?}");
    let ReplyBody::Act(reply) = reply.body else { panic!("{reply:?} answers no act") };
    match &reply {
        ActReply::Accepted { ids } => {
            assert!((200..300).contains(&status), "accepted with {status}");
            let Some(Value::Array(named)) = under(&body, "remediationIds") else { panic!("accepted without ids") };
            assert_eq!(ids.len(), named.len(), "every id keeps its place");
            for (id, named) in ids.iter().zip(&named) {
                assert!(id.is_empty() || (api::safe_id(id) && named.as_str() == Some(id)), "{id:?} for {named}");
            }
        }
        ActReply::Rejected { status: said, message } => {
            assert!(*said == status && [400, 403, 413, 422].contains(&status), "rejected with {status}");
            is_inert(message);
        }
        ActReply::NotCarriedOut { why, message } => {
            let proves = match why {
                NotCarriedOut::Unauthorized => status == 401,
                NotCarriedOut::WrongPlace => [404, 405, 410, 415].contains(&status),
                NotCarriedOut::Throttled => [409, 429].contains(&status),
                NotCarriedOut::NotSent | NotCarriedOut::NotSentForGood => false,
            };
            assert!(proves, "{why:?} with {status}");
            is_inert(message);
        }
        ActReply::Unreadable { message } => is_inert(message),
    }
}

fn is_inert(message: &str) {
    assert!(message.chars().count() <= MESSAGE_CHARS_MAX, "{message:?} is long");
    assert!(!message.chars().any(inert::acts), "{message:?} acts on a terminal");
}

/// An item succeeds only by an answer of 2xx that names it and has a word that is listed.
pub(super) fn poll_reply(data: &[u8]) {
    let Some(answer) = answer_of(data) else { return };
    let (status, _, body) = answer.clone();
    let reply = block_on(api(answer).poll(action(), "RTF_agent-0_1"));
    assert!(!format!("{reply:?}").contains(TOKEN), "the token is in {reply:?}");
    if let ReplyBody::Poll(PollReply::Failed { message } | PollReply::NoAnswer { message, .. }) = &reply.body {
        is_inert(message);
    }
    let mut process = accepted();
    let (_, calls, _) = process.hear(Input::Ticked).expect("time passes");
    let poll = calls.iter().find_map(|call| match call.what {
        CallWhat::Poll { of, .. } if of.index == 0 => Some(call.id),
        _ => None,
    });
    let call = poll.expect("its first poll is due");
    let (record, _, then) = process.hear(Input::Replied { call, reply }).expect("any answer can be heard");
    waits_within_reason(&process, then);
    for fact in record {
        let What::Settled { item, outcome: Settled::Succeeded, .. } = fact.what else { continue };
        let event = &PLAN.events[PLAN.items[item.0 as usize].event as usize];
        let text = |key| under(&body, key).and_then(|value| value.as_str().map(str::to_owned));
        let word = text("status").expect("a success has a word");
        assert!((200..300).contains(&status), "succeeded with {status}");
        assert_eq!(TENANT.statuses.meaning(&word), Meaning::Succeeded, "{word:?}");
        let (agent, unique) = (text("agentId"), under(&body, "uniqueId"));
        let unique = unique.map(|unique| unique.as_str().map_or(unique.to_string(), str::to_owned));
        let named = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        assert!(named(&agent).is_some() || unique.is_some(), "the detail names no item");
        assert!(named(&agent).is_none_or(|agent| *agent == *event.agent_id), "it is about {agent:?}");
        assert!(unique.is_none_or(|unique| unique.is_empty() || *unique == *event.unique_id), "it is another event");
    }
}

/// A run of which the first act was accepted, at the time of its first polls: two items on two agents.
fn accepted() -> Process {
    let mut process = Process::new(ground::engine_of(&PLAN, Vec::new()), START);
    let (_, mut calls, _) = process.hear(Input::Started(Box::default())).expect("it begins");
    let quarantine =
        |call: &crate::engine::call::Call| matches!(&call.what, CallWhat::Act { items, .. } if items.len() == 2);
    let Some(place) = calls.iter().position(quarantine) else { panic!("no batch of two: {calls:?}") };
    let call = calls.swap_remove(place).id;
    let ids = vec!["RTF_agent-0_1".to_owned(), "RTF_agent-1_2".to_owned()];
    let body = ReplyBody::Act(ActReply::Accepted { ids });
    let reply = Reply { token: 1, limits: LimitHeaders::default(), body };
    process.hear(Input::Replied { call, reply }).expect("it is accepted");
    process.now.0 += 15_000;
    process
}

fn waits_within_reason(process: &Process, then: Then) {
    if let Then::WaitUntil(at) = then {
        let wait = at.0.saturating_sub(process.now.0);
        assert!(wait <= WAIT_MAX_MS, "it waits for {wait} ms");
    }
}

/// Header lines: what they say of waiting is heard, and nobody can make a run wait for ever.
pub(super) fn limit_headers(data: &[u8]) {
    let Some((_, headers, _)) = answer_of(&[b"429\n", data].concat()) else { return };
    let limits = read_limits(&headers);
    let mut process = Process::new(ground::engine_of(&PLAN, Vec::new()), START);
    let (_, calls, _) = process.hear(Input::Started(Box::default())).expect("it begins");
    for call in calls {
        let (why, message) = (NotCarriedOut::Throttled, "429".to_owned());
        let body = ReplyBody::Act(ActReply::NotCarriedOut { why, message });
        let reply = Reply { token: 1, limits: limits.clone(), body };
        let (_, more, then) = process.hear(Input::Replied { call: call.id, reply }).expect("any answer can be heard");
        assert!(more.is_empty(), "a refusal makes everybody wait");
        waits_within_reason(&process, then);
    }
}

fn read_limits(headers: &HeaderMap) -> LimitHeaders {
    let limits = api::limit_headers(headers);
    let told = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    for name in ["retry-after", "x-ratelimit-towait-sec"] {
        if let Some(seconds) = told(name).filter(|_| !headers[name].as_bytes().starts_with(b"+")) {
            let wait = limits.wait.map_or(0, |wait| wait.as_secs());
            assert!(wait >= u64::from(seconds), "{name} says {seconds} s, {wait} s are heard");
        }
    }
    limits
}
