//! Answers to a poll.

use super::*;
use crate::api::token::{TokenSource, Tokens};
use crate::engine::sent_or_not::NoAnswer;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

async fn check(carried: Carried, expected: PollReply) {
    let token = Tokens::new(TokenSource::Given("a-token-for-tests".into())).current().await.unwrap();
    assert_eq!(read_poll(&carried, &token), expected, "{carried:?}");
}

fn with_headers(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Carried {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
    Carried::Answer(Answer { status, headers, body: Ok(Bytes::from(body.to_owned())) })
}

fn answer(status: u16, body: &str) -> Carried {
    with_headers(status, &[(CONTENT_TYPE.as_str(), "application/json")], body)
}

fn status(word: Option<&str>) -> PollReply {
    PollReply::Detail(Box::new(Detail { status: word.map(str::to_owned), ..Detail::default() }))
}

fn failed_with(message: &str) -> PollReply {
    PollReply::Failed { message: message.to_owned() }
}

#[tokio::test]
async fn the_vendors_sample() {
    let body = r#"{"action":"Quarantine Host","eventSource":"EDR","status":"success",
        "requestTime":"2025-02-26T10:18:50.000+00:00","requestTimestamp":1740565130495,
        "executionTime":"2025-02-26T10:17:08.000+00:00","uniqueId":"4bf85eb9","userId":"qaedr_jd","agentId":"x82",
        "interfaces":[{"interfaceName":"ens192"},{"interfaceName":"ens192"}],"comments":"QHost",
        "statusMessage":"Applied Successfully","allowResponseAction":1,"remediationPayload":"{\"a\":1}","id":"XXX",
        "type":"AGENT","user":"John Doe"}"#;
    let expected = Detail {
        status: Some("success".to_owned()),
        status_message: Some("Applied Successfully".to_owned()),
        agent_id: Some("x82".to_owned()),
        unique_id: Some("4bf85eb9".to_owned()),
        action: Some("Quarantine Host".to_owned()),
        comments: Some("QHost".to_owned()),
    };
    check(answer(200, body), PollReply::Detail(Box::new(expected))).await;
}

#[tokio::test]
async fn statuses_as_they_come() {
    let table = [
        ("{}", None),
        (r#"{"status":null}"#, None),
        (r#"{"status":7}"#, Some("7")),
        (r#"{"status":true}"#, Some("true")),
        (r#"{"status":["success"]}"#, None),
        (r#"{"status":{"status":"success"}}"#, None),
        (r#"{"status":""}"#, Some("")),
        (r#"{"status":" Success\u0000 "}"#, Some(" Success\0 ")),
        (r#"{"Status":"success"}"#, None),
        (r#"{"x":[{"status":"success"}],"y":{"z":[null,{}]},"requestTime":-5}"#, None),
    ];
    for (body, expected) in table {
        check(answer(200, body), status(expected)).await;
    }
}

#[tokio::test]
async fn long_texts_and_large_payloads() {
    let body = format!(r#"{{"status":"{}","remediationPayload":"{}"}}"#, "é".repeat(501), "x".repeat(10_000_000));
    check(answer(200, &body), status(Some(&"é".repeat(500)))).await;
}

#[tokio::test]
async fn a_unique_id_that_is_a_number_keeps_every_digit() {
    let unique_id = Some("-9223372036854775808".to_owned());
    let expected = PollReply::Detail(Box::new(Detail { unique_id, ..Detail::default() }));
    check(answer(200, r#"{"uniqueId":-9223372036854775808}"#), expected).await;
}

#[tokio::test]
async fn answers_without_a_detail() {
    let not_found = |status| PollReply::NotFound { status };
    let table = [
        (answer(204, ""), not_found(204)),
        (answer(404, "<html>"), not_found(404)),
        (answer(410, ""), not_found(410)),
        (answer(200, ""), not_found(200)),
        (answer(200, " \r\n"), not_found(200)),
        (answer(401, ""), PollReply::Unauthorized),
        (answer(429, ""), PollReply::Throttled),
        (with_headers(409, &[("x-ratelimit-remaining", "0")], ""), PollReply::Throttled),
        (answer(409, r#"{"code":"1965"}"#), PollReply::Throttled),
        (answer(409, ""), failed_with("HTTP 409, application/json: an empty body")),
        (answer(403, r#"{"errorCode":1,"message":"no"}"#), failed_with("HTTP 403, application/json: no (1)")),
        (
            with_headers(503, &[("content-type", "text/html"), ("retry-after", "5")], "<b>\u{1b}[0m\n\nbusy"),
            failed_with("HTTP 503, text/html: <b>\u{fffd}[0m busy"),
        ),
        (
            with_headers(302, &[("location", "https://evil/")], ""),
            failed_with("HTTP 302, no content type: an empty body"),
        ),
        (answer(200, "<html>log in"), failed_with("HTTP 200, application/json: <html>log in")),
        (answer(200, "null"), failed_with("HTTP 200, application/json: null")),
        (answer(200, "[{}]"), failed_with("HTTP 200, application/json: [{}]")),
        (
            answer(200, r#"{"status":"success","status":"failed"}"#),
            failed_with("HTTP 200, application/json: unreadable, the key \"status\" comes twice"),
        ),
    ];
    for (carried, expected) in table {
        check(carried, expected).await;
    }
}

#[tokio::test]
async fn broken_bodies() {
    let broken = |status, fault| Carried::Answer(Answer { status, headers: HeaderMap::new(), body: Err(fault) });
    let none = |message: &str| PollReply::NoAnswer { message: message.to_owned(), for_good: false };
    let table = [
        (broken(200, BodyFault::CutShort(3)), none("HTTP 200, no content type: cut short after 3 bytes")),
        (broken(200, BodyFault::TimedOut(3)), none("HTTP 200, no content type: not complete in time, 3 bytes came")),
        (broken(200, BodyFault::TooLong(3)), failed_with("HTTP 200, no content type: longer than 3 bytes")),
        (broken(404, BodyFault::CutShort(3)), PollReply::NotFound { status: 404 }),
    ];
    for (carried, expected) in table {
        check(carried, expected).await;
    }
}

#[tokio::test]
async fn no_answer_says_whether_another_attempt_can_help() {
    let table = [
        (Phase::Local, false),
        (Phase::Lookup, false),
        (Phase::Connect, false),
        (Phase::Tls, false),
        (Phase::Certificate, true),
        (Phase::Proxy, true),
        (Phase::After, false),
    ];
    for (phase, for_good) in table {
        let none = NoAnswer { phase, body_taken: false, timed_out: false, what: "w".to_owned() };
        let message = describe_no_answer(&none);
        check(Carried::NoAnswer(none), PollReply::NoAnswer { message, for_good }).await;
    }
}
