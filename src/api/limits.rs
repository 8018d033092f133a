//! What an answer says about limits: in its headers, and by the limit codes in its body.
//!
//! It decides nothing about waiting, not even how long is too long. What it cannot read it leaves out.

use super::json::Json;
use crate::engine::call::LimitHeaders;
use http::HeaderMap;
use std::time::Duration;

/// The vendor's codes for "too many at once" and "too many in the window".
const LIMIT_CODES: [&str; 2] = ["1960", "1965"];

const CONCURRENCY_LIMIT: [&str; 2] = ["x-concurrency-limit-limit", "x-concurrencylimit-limit"];
const CONCURRENCY_RUNNING: [&str; 2] = ["x-concurrency-limit-running", "x-concurrencylimit-running"];

/// Reads the limit headers. A date in `Retry-After` is taken relative to the answer's own `Date`, so that neither
/// clock needs to be right; without a `Date` it says nothing.
pub fn limit_headers(headers: &HeaderMap) -> LimitHeaders {
    let to_wait = number(headers, "x-ratelimit-towait-sec").map(Duration::from_secs);
    LimitHeaders {
        limit: number(headers, "x-ratelimit-limit").map(saturated),
        window: number(headers, "x-ratelimit-window-sec").map(Duration::from_secs),
        remaining: number(headers, "x-ratelimit-remaining").map(saturated),
        wait: to_wait.max(retry_after(headers)),
        concurrency: first_number(headers, CONCURRENCY_LIMIT).map(|number| number.try_into().unwrap_or(u16::MAX)),
    }
}

/// Whether the headers of a 409 say that a limit refused it. Some gateways send limit headers with every answer, so
/// only what says that a limit *was reached* counts: no calls left, a time to wait, no room beside those that run. All
/// else is an ordinary conflict, and that is never sent again by itself.
pub(super) fn headers_refuse(headers: &HeaderMap) -> bool {
    let limits = limit_headers(headers);
    let running = first_number(headers, CONCURRENCY_RUNNING);
    // A limit of none at all is how some say that there is no limit.
    let limit = limits.concurrency.filter(|limit| *limit > 0);
    let full = running.zip(limit).is_some_and(|(running, limit)| running >= u64::from(limit));
    full || limits.remaining == Some(0) || limits.wait.is_some_and(|wait| !wait.is_zero())
}

/// Whether a body carries a limit code where the API puts its codes: never merely somewhere in a text, for an id may
/// contain the same digits.
pub(super) fn body_refuses(body: &[u8]) -> bool {
    match Json::read(body) {
        Ok(json) => has_limit_code(&json),
        Err(_) => xml_has_limit_code(&String::from_utf8_lossy(body)),
    }
}

fn has_limit_code(json: &Json) -> bool {
    match json {
        Json::Object(members) => members.iter().any(|(key, value)| {
            let names_code = ["code", "errorCode", "error_code"].iter().any(|name| name.eq_ignore_ascii_case(key));
            let is_limit = || value.as_shown().is_some_and(|code| LIMIT_CODES.contains(&code.trim()));
            (names_code && is_limit()) || has_limit_code(value)
        }),
        Json::List(values) => values.iter().any(has_limit_code),
        Json::Null | Json::Scalar(_) | Json::Text(_) => false,
    }
}

/// `<CODE>1965</CODE>`, as the classic API answers.
fn xml_has_limit_code(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let codes = text.split("<code>").skip(1).filter_map(|rest| rest.split_once("</code>"));
    codes.into_iter().any(|(code, _)| LIMIT_CODES.contains(&code.trim()))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(seconds) = number(headers, "retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    let told = httpdate::parse_http_date(text(headers, "retry-after")?).ok()?;
    let now = httpdate::parse_http_date(text(headers, "date")?).ok()?;
    Some(told.duration_since(now).unwrap_or_default())
}

fn first_number(headers: &HeaderMap, names: [&str; 2]) -> Option<u64> {
    names.into_iter().find_map(|name| number(headers, name))
}

/// Decimal digits and nothing else; more than fit count as the largest.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = text(headers, name)?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn saturated(number: u64) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(of: &[(&str, &str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect()
    }

    fn none() -> LimitHeaders {
        LimitHeaders::default()
    }

    fn wait(seconds: u64) -> LimitHeaders {
        LimitHeaders { wait: Some(Duration::from_secs(seconds)), ..none() }
    }

    #[test]
    fn every_header_and_every_form() {
        let all = LimitHeaders {
            limit: Some(300),
            window: Some(Duration::from_secs(3600)),
            remaining: Some(0),
            wait: Some(Duration::from_secs(90)),
            concurrency: Some(2),
        };
        let table: &[(&[(&str, &str)], LimitHeaders)] = &[
            (&[], none()),
            (
                &[
                    ("X-RateLimit-Limit", "300"),
                    ("X-RateLimit-Window-Sec", "3600"),
                    ("X-RateLimit-Remaining", "0"),
                    ("X-RateLimit-ToWait-Sec", "90"),
                    ("X-Concurrency-Limit-Limit", "2"),
                    ("X-Concurrency-Limit-Running", "1"),
                ],
                all,
            ),
            (&[("X-ConcurrencyLimit-Limit", "4")], LimitHeaders { concurrency: Some(4), ..none() }),
            (&[("X-ConcurrencyLimit-Limit", "70000")], LimitHeaders { concurrency: Some(u16::MAX), ..none() }),
            (&[("Retry-After", " 7 ")], wait(7)),
            (&[("Retry-After", "0")], wait(0)),
            (&[("Retry-After", "7"), ("X-RateLimit-ToWait-Sec", "9")], wait(9)),
            (&[("Retry-After", "9"), ("X-RateLimit-ToWait-Sec", "7")], wait(9)),
            (&[("Retry-After", "rubbish"), ("X-RateLimit-ToWait-Sec", "7")], wait(7)),
            (&[("Retry-After", "3601")], wait(3601)),
            (&[("Retry-After", "99999999999999999999999")], wait(u64::MAX)),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT"), ("Date", NOW)], wait(60)),
            (&[("Retry-After", "Sunday, 06-Nov-94 08:50:37 GMT"), ("Date", NOW)], wait(60)),
            (&[("Retry-After", "Sun Nov  6 08:50:37 1994"), ("Date", NOW)], wait(60)),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:40:00 GMT"), ("Date", NOW)], wait(0)),
            (
                &[("Retry-After", "Fri, 06 Nov 2099 08:49:37 GMT"), ("Date", NOW)],
                wait(105 * 365 * 86_400 + 26 * 86_400),
            ),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")], none()),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT"), ("Date", "yesterday")], none()),
            (&[("Retry-After", "-5")], none()),
            (&[("Retry-After", "1.5")], none()),
            (&[("Retry-After", "")], none()),
            (&[("Retry-After", "\u{e9}")], none()),
            (&[("X-RateLimit-Limit", "many")], none()),
            (&[("X-RateLimit-Limit", "99999999999")], LimitHeaders { limit: Some(u32::MAX), ..none() }),
        ];
        for (given, expected) in table {
            assert_eq!(limit_headers(&headers(given)), *expected, "{given:?}");
        }
    }

    #[test]
    fn only_headers_that_say_a_limit_was_reached_make_a_conflict_a_refusal() {
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("Content-Type", "text/html")], false),
            (&[("X-RateLimit-Limit", "rubbish")], false),
            (&[("X-RateLimit-Limit", "300")], false),
            (&[("X-RateLimit-Limit", "300"), ("X-RateLimit-Window-Sec", "3600")], false),
            (&[("Retry-After", "0")], false),
            (&[("Retry-After", "soon")], false),
            (&[("X-Concurrency-Limit-Limit", "2")], false),
            (&[("X-Concurrency-Limit-Running", "2")], false),
            (&[("X-Concurrency-Limit-Limit", "2"), ("X-Concurrency-Limit-Running", "1")], false),
            (&[("X-Concurrency-Limit-Limit", "0"), ("X-Concurrency-Limit-Running", "0")], false),
            (&[("X-Concurrency-Limit-Limit", "2"), ("X-Concurrency-Limit-Running", "3")], true),
            (&[("X-RateLimit-Remaining", "0")], true),
            (&[("X-RateLimit-ToWait-Sec", "10"), ("X-RateLimit-Remaining", "5")], true),
            (&[("Retry-After", "10")], true),
            (&[("X-Concurrency-Limit-Limit", "2"), ("X-Concurrency-Limit-Running", "2")], true),
            (
                &[
                    ("X-ConcurrencyLimit-Limit", "2"),
                    ("X-RateLimit-Remaining", "200"),
                    ("X-ConcurrencyLimit-Running", "2"),
                ],
                true,
            ),
            // Headers that come with every answer, on a conflict that has another reason.
            (&[("X-RateLimit-Limit", "300"), ("X-RateLimit-Remaining", "299"), ("X-RateLimit-ToWait-Sec", "0")], false),
        ];
        for (given, expected) in table {
            assert_eq!(headers_refuse(&headers(given)), *expected, "{given:?}");
        }
    }

    #[test]
    fn codes_count_only_in_their_place() {
        let table = [
            (r#"{"errorCode":1960,"message":"x"}"#, true),
            (r#"{"errorCode":"1965"}"#, true),
            (r#"{"_error":{"code":" 1965 "}}"#, true),
            (r#"{"errors":[{"code":1960}]}"#, true),
            ("<SIMPLE_RETURN><RESPONSE><CODE> 1965 </CODE></RESPONSE></SIMPLE_RETURN>", true),
            (r#"{"errorCode":1905,"message":"1965"}"#, false),
            (r#"{"eventId":"1960"}"#, false),
            (r#"{"errorCode":19650}"#, false),
            ("<CODE>2000</CODE><ID>1965</ID>", false),
            ("busy since 1965", false),
            ("", false),
        ];
        for (body, expected) in table {
            assert_eq!(body_refuses(body.as_bytes()), expected, "{body}");
        }
    }
}
