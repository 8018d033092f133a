//! Calls against a scripted transport: what is asked, what is said of it, and what never appears in it.

use super::answer::{Answer, BodyFault};
use super::*;
use crate::engine::sent_or_not::Phase;
use crate::tenant::{ApiVersion, Auth, EventType};
use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures::future::BoxFuture;
use secrecy::SecretString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CANARY: &str = "eyJhbGciOi.CANARY-4711.c2ln";

/// Answers from a list and keeps what was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<Carried>>>,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Script {
    fn of(answers: Vec<Carried>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers)), ..Self::default() }
    }

    fn bearers(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| request.bearer.to_str().unwrap().to_owned()).collect()
    }
}

impl Transport for Script {
    fn carry(&self, request: Request) -> BoxFuture<'_, Carried> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().remove(0);
        Box::pin(async { answer })
    }
}

pub(super) fn tenant() -> PlannedTenant {
    PlannedTenant {
        name: "prod".to_owned(),
        base_url: "https://gateway.example".to_owned(),
        api_version: ApiVersion::V1,
        user: "jdoe".to_owned(),
        user_id: "u-1".to_owned(),
        auth: Auth::TokenEnv("QUELL_TOKEN".to_owned()),
        simulated: false,
    }
}

pub(super) fn action() -> Action {
    Action::plain("kill", 3, EventType::Process)
}

pub(super) fn item() -> ItemBody {
    ItemBody {
        agent_id: "a".into(),
        event_id: "e".into(),
        event_type: EventType::Process,
        pid: 7,
        unique_id: "u".into(),
    }
}

fn given() -> TokenSource {
    TokenSource::Given(SecretString::from(CANARY))
}

fn answer_with(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Carried {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        })
        .collect();
    Carried::Answer(Answer { status, headers, body: Ok(Bytes::from(body.into())) })
}

fn answer(status: u16, body: &str) -> Carried {
    answer_with(status, &[("content-type", "application/json")], body)
}

async fn act_once(carried: Carried) -> Reply {
    let api = Api::new(&tenant(), given(), Script::of(vec![carried])).unwrap();
    api.act(&action(), &[item()], "why [quell r/1]").await
}

fn act_reply(reply: &Reply) -> &ActReply {
    let ReplyBody::Act(reply) = &reply.body else { panic!("it answers a poll") };
    reply
}

#[tokio::test]
async fn an_act_is_one_request_with_everything_in_it() {
    let script = Script::of(vec![answer(200, r#"{"remediationIds":["RTP_1"]}"#)]);
    let api = Api::new(&tenant(), given(), script.clone()).unwrap();
    let reply = api.act(&action(), &[item()], "why [quell r/1]").await;
    assert_eq!(
        reply,
        Reply {
            token: 1,
            limits: LimitHeaders::default(),
            body: ReplyBody::Act(ActReply::Accepted { ids: vec!["RTP_1".to_owned()] })
        }
    );
    let asked = script.asked.lock().unwrap();
    let [request] = asked.as_slice() else { panic!("one request, not {}", asked.len()) };
    assert_eq!(
        request.url,
        "https://gateway.example/ioc/v1/remediation-actions/performAction\
         ?user=jdoe&userId=u-1&comment=why%20%5Bquell%20r%2F1%5D"
    );
    let RequestWhat::Act(body) = &request.what else { panic!("it is a poll") };
    let expected = r#"[{"actionId":3,"agentId":"a","eventId":"e","eventType":"PROCESS","pid":7,"uniqueId":"u"}]"#;
    assert_eq!(body, expected);
    assert_eq!(request.bearer.to_str().unwrap(), format!("Bearer {CANARY}"));
}

/// Answers as they come, through reading and judging together.
#[tokio::test]
async fn answers_to_an_act() {
    let unreadable = |message: &str| ActReply::Unreadable { message: message.to_owned() };
    let accepted = |ids: &[&str]| ActReply::Accepted { ids: ids.iter().map(|id| (*id).to_owned()).collect() };
    let rejected = |status, message: &str| ActReply::Rejected { status, message: message.to_owned() };
    let not = |why, message: &str| ActReply::NotCarriedOut { why, message: message.to_owned() };
    let million = format!(r#"{{"remediationIds":[{}"x"]}}"#, r#""x","#.repeat(1_000_000));
    let payload = format!(r#"{{"remediationIds":["RTF_1"],"payload":"{}"}}"#, "x".repeat(1_000_000));
    let cut = |status| Carried::Answer(Answer { status, headers: HeaderMap::new(), body: Err(BodyFault::CutShort(9)) });
    let table = [
        (answer(200, r#"{"remediationIds":[]}"#), accepted(&[])),
        (answer(200, r#"{"remediationIds":["a",null,12,"b",["c"],"d/e"]}"#), accepted(&["a", "", "", "b", "", ""])),
        (answer(202, r#"{"other":{"deep":[null]},"remediationIds":["a"]}"#), accepted(&["a"])),
        (answer(200, &payload), accepted(&["RTF_1"])),
        (
            answer(200, r#"{"remediationIds":null}"#),
            unreadable(r#"HTTP 200, application/json: {"remediationIds":null}"#),
        ),
        (answer(200, r#"{"remediationIds":"a"}"#), unreadable(r#"HTTP 200, application/json: {"remediationIds":"a"}"#)),
        (answer(200, r#"["a"]"#), unreadable(r#"HTTP 200, application/json: ["a"]"#)),
        (
            answer(200, r#"{"remediationIds":["a"],"remediationIds":["b"]}"#),
            unreadable("HTTP 200, application/json: unreadable, the key \"remediationIds\" comes twice"),
        ),
        (
            answer(200, r#"{"remediationIds":["a"],"x":{"k":1,"k":2}}"#),
            unreadable("HTTP 200, application/json: unreadable, the key \"k\" comes twice"),
        ),
        (answer(200, &million), unreadable("HTTP 200, application/json: unreadable, too many values")),
        (
            answer(200, r#"{"remediationIds":["a"]"#),
            unreadable(r#"HTTP 200, application/json: {"remediationIds":["a"]"#),
        ),
        (answer(200, ""), unreadable("HTTP 200, application/json: an empty body")),
        (cut(200), unreadable("HTTP 200, no content type: cut short after 9 bytes")),
        (cut(401), not(NotCarriedOut::Unauthorized, "HTTP 401, no content type: cut short after 9 bytes")),
        (
            answer_with(200, &[("content-type", "text/html")], "<html>log in"),
            unreadable("HTTP 200, text/html: <html>log in"),
        ),
        (
            answer_with(302, &[("location", "https://evil/")], ""),
            unreadable("HTTP 302, no content type: an empty body"),
        ),
        (answer(400, r#"{"errorCode":1905,"message":"bad\nitem"}"#), rejected(400, "bad item (1905)")),
        (answer(403, r#"{"_error":{"message":"no permission"}}"#), rejected(403, "no permission")),
        (answer(422, r#"{"authentication_exceptions":["x y"]}"#), rejected(422, "x y")),
        (
            answer_with(403, &[("content-type", "text/html; charset=utf-8")], "<h1>blocked"),
            unreadable("HTTP 403, text/html; charset=utf-8: <h1>blocked"),
        ),
        (
            answer_with(409, &[("x-concurrency-limit-limit", "2"), ("x-concurrency-limit-running", "1")], ""),
            unreadable("HTTP 409, no content type: an empty body"),
        ),
        (answer(413, ""), rejected(413, "HTTP 413, application/json: an empty body")),
        (answer(409, r#"{"message":"exists"}"#), unreadable("HTTP 409, application/json: exists")),
        (
            answer(409, r#"{"errorCode":1960,"message":"busy"}"#),
            not(NotCarriedOut::Throttled, "HTTP 409, application/json: busy (1960)"),
        ),
        (answer(404, ""), not(NotCarriedOut::WrongPlace, "HTTP 404, application/json: an empty body")),
        (answer(410, "gone"), not(NotCarriedOut::WrongPlace, "HTTP 410, application/json: gone")),
        (answer(503, "x"), unreadable("HTTP 503, application/json: x")),
    ];
    for (carried, expected) in table {
        let shown = format!("{carried:?}").chars().take(300).collect::<String>();
        assert_eq!(act_reply(&act_once(carried).await), &expected, "{shown}");
    }
}

#[tokio::test]
async fn limits_come_with_the_reply() {
    let reply = act_once(answer_with(429, &[("x-ratelimit-towait-sec", "30"), ("x-ratelimit-limit", "300")], "")).await;
    let expected = LimitHeaders { limit: Some(300), wait: Some(Duration::from_secs(30)), ..LimitHeaders::default() };
    assert_eq!(reply.limits, expected);
}

#[tokio::test]
async fn an_unsafe_id_is_never_asked_for() {
    let script = Script::default();
    let api = Api::new(&tenant(), given(), script.clone()).unwrap();
    for id in ["", "..", "//host/x", "a\r\nX: y"] {
        let reply = api.poll(&action(), id).await;
        assert!(matches!(reply.body, ReplyBody::Poll(PollReply::Failed { .. })), "{id:?}: {reply:?}");
    }
    assert_eq!(script.asked.lock().unwrap().len(), 0);
}

/// A server that sends back what it was sent must not get the token into a journal or a report.
#[tokio::test]
async fn the_token_is_in_no_reply_and_no_debug_output() {
    let escaped: String = CANARY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    // At the end of what is shown, so that shortening before redacting would leave half of it.
    let late = format!("{}{CANARY}", "x".repeat(150));
    let bodies = [
        format!(r#"{{"remediationIds":["{CANARY}"]}}"#),
        format!(r#"{{"remediationIds":["{escaped}"]}}"#),
        format!(r#"{{"message":"{escaped}","errorCode":"{CANARY}"}}"#),
        format!(r#"{{"{CANARY}":1,"{CANARY}":2}}"#),
        format!(r#"{{"status":"{escaped}","comments":"{CANARY}","agentId":"{CANARY}"}}"#),
        format!("<html>{CANARY}"),
        late.clone(),
        format!(r#"{{"message":"{late}"}}"#),
    ];
    for body in &bodies {
        for status in [200, 400, 401, 409, 500] {
            let kind = format!("text/{CANARY}");
            let carried = || answer_with(status, &[("content-type", &kind)], body.as_str());
            let script = Script::of(vec![carried(), carried()]);
            let api = Api::new(&tenant(), given(), script.clone()).unwrap();
            let act = api.act(&action(), &[item()], "c").await;
            let poll = api.poll(&action(), "RTF_1").await;
            let all = format!("{act:?} {poll:?} {api:?} {:?}", script.asked.lock().unwrap());
            for part in ["CANARY", "eyJhbGciOi", "4711"] {
                assert!(!all.contains(part), "{status} {body}: {all}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_client_says_is_redacted_too() {
    let none = NoAnswer {
        phase: Phase::After,
        body_taken: true,
        timed_out: false,
        what: format!("{}{CANARY}", "x".repeat(150)),
    };
    let reply = act_once(Carried::NoAnswer(none)).await;
    let ActReply::Unreadable { message } = act_reply(&reply) else { panic!("{reply:?}") };
    assert_eq!(message, &format!("sent, but no answer came: {}[token]", "x".repeat(150)));
}

/// A token file that changes between two readings.
struct TokenFile(tempfile::NamedTempFile);

impl TokenFile {
    fn new(token: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), token).unwrap();
        Self(file)
    }

    fn source(&self) -> TokenSource {
        TokenSource::File(self.0.path().to_owned())
    }
}

#[tokio::test]
async fn a_refused_token_is_read_anew_for_the_next_call() {
    let file = TokenFile::new("first\n");
    let ok = || answer(200, r#"{"remediationIds":["a"]}"#);
    let script = Script::of(vec![ok(), answer(401, ""), ok(), answer(401, ""), answer(401, ""), ok()]);
    let api = Api::new(&tenant(), file.source(), script.clone()).unwrap();
    let mut generations = vec![];
    for token in ["first", "second", "second", "second", "third", "fourth"] {
        std::fs::write(file.0.path(), token).unwrap();
        generations.push(api.act(&action(), &[item()], "").await.token);
    }
    // The second call still carries the first token: nobody refused it before.
    let expected = ["Bearer first", "Bearer first", "Bearer second", "Bearer second", "Bearer third", "Bearer fourth"];
    assert_eq!(script.bearers(), expected);
    assert_eq!(generations, [1, 1, 2, 2, 3, 4]);
}

/// Refuses every token, once three callers have theirs on the way.
struct RefusesThree(tokio::sync::Barrier);

impl Transport for RefusesThree {
    fn carry(&self, _: Request) -> BoxFuture<'_, Carried> {
        Box::pin(async {
            self.0.wait().await;
            answer(401, "")
        })
    }
}

#[tokio::test]
async fn concurrent_refusals_of_one_token_cause_one_reading() {
    let file = TokenFile::new("first");
    let api = Api::new(&tenant(), file.source(), RefusesThree(tokio::sync::Barrier::new(3))).unwrap();
    let action = action();
    for generation in 1..=3 {
        let polls = [(); 3].map(|()| api.poll(&action, "RTF_1"));
        let expected = unsent(generation, ReplyBody::Poll(PollReply::Unauthorized));
        assert_eq!(futures::future::join_all(polls).await, vec![expected; 3]);
    }
    // A refusal that comes late, of a token that is no longer used, changes nothing.
    assert_eq!(api.tokens.current().await.unwrap().generation, 4);
    api.tokens.refused(3).await;
    assert_eq!(api.tokens.current().await.unwrap().generation, 4);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let script = Script::default();
    let missing = TokenSource::File("/nonexistent/token".into());
    let api = Api::new(&tenant(), missing, script.clone()).unwrap();
    let message = "the token file /nonexistent/token cannot be read: No such file or directory (os error 2)";
    assert_eq!(api.check_token().await.unwrap_err().to_string(), message);
    let act = api.act(&action(), &[item()], "").await;
    let why = NotCarriedOut::Unauthorized;
    assert_eq!(act, unsent(2, ReplyBody::Act(ActReply::NotCarriedOut { why, message: message.to_owned() })));
    let poll = api.poll(&action(), "RTF_1").await;
    assert_eq!(poll, unsent(3, ReplyBody::Poll(PollReply::Unauthorized)));
    assert_eq!(script.asked.lock().unwrap().len(), 0);
}
