//! Answers: what the endpoints say, and how a scripted answer or a broken connection stands in its place.
//!
//! Nothing is decided or counted here.

use super::limiter::{Standing, Verdict};
use super::options::ThrottleStatus;
use super::script::{Cut, ScriptedAnswer};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// An extension on answers that must not arrive: whoever serves closes the connection instead, whoever calls in
/// process reports an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Whether the call was carried out before.
    pub carried_out: bool,
}

/// What a call comes to, before script and latency.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) carried_out: bool,
    pub(super) broken: bool,
}

impl Answer {
    pub(super) fn of(status: StatusCode, body: Bytes) -> Self {
        Self { status, headers: HeaderMap::new(), body, carried_out: false, broken: false }
    }

    pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::of(status, body.into());
        answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    pub(super) fn error(status: StatusCode, message: &str) -> Self {
        let body = serde_json::json!({ "errorCode": status.as_u16().to_string(), "message": message });
        Self::json(status, body.to_string())
    }

    pub(super) fn unauthorized() -> Self {
        Self::json(StatusCode::UNAUTHORIZED, r#"{"authentication_exceptions":["FailedLoginException"]}"#)
    }

    /// With the codes that the vendor's classic APIs give, so that a 409 can be told from any other without headers.
    pub(super) fn throttled(verdict: Verdict, status: ThrottleStatus) -> Self {
        let status = match status {
            ThrottleStatus::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            ThrottleStatus::Conflict => StatusCode::CONFLICT,
        };
        let (code, message) = match verdict {
            Verdict::Busy => ("1960", "this API cannot be run again until a running call has finished"),
            _ => ("1965", "this API cannot be run again before the rate limit allows it"),
        };
        let body = serde_json::json!({ "errorCode": code, "message": message });
        Self::json(status, body.to_string())
    }

    pub(super) fn broken(carried_out: bool) -> Self {
        Self { carried_out, broken: true, ..Self::of(StatusCode::OK, Bytes::new()) }
    }

    pub(super) fn response(self, script: ScriptedAnswer) -> Response {
        let body = script.body.unwrap_or(self.body);
        let body = match script.cut {
            Some(Cut::MidBody(bytes)) => Body::new(CutBody::new(&body, bytes)),
            _ => Body::from(body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = script.status.unwrap_or(self.status);
        *response.headers_mut() = self.headers;
        let scripted: HeaderMap = script.headers.into_iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        response.headers_mut().extend(scripted);
        response
    }
}

pub(super) fn broken_response(broken: Broken) -> Response {
    // The status is for whoever overlooks the extension: it claims nothing.
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(broken);
    response
}

pub(super) fn limit_headers(headers: &mut HeaderMap, standing: &Standing) {
    let mut set = |name: &'static str, value: u64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    };
    if let Some(rate) = standing.rate {
        set("x-ratelimit-limit", rate.calls.into());
        set("x-ratelimit-window-sec", whole_seconds(rate.window));
        set("x-ratelimit-remaining", standing.remaining.into());
    }
    if let Some(most) = standing.concurrency {
        set("x-concurrency-limit-limit", most.into());
        set("x-concurrency-limit-running", standing.running.into());
    }
    if let Verdict::TooMany(wait) = standing.verdict {
        set("x-ratelimit-towait-sec", whole_seconds(wait));
        set("retry-after", whole_seconds(wait));
    }
}

/// Rounded up: who waits that long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A body that promises more than comes, and fails after it.
struct CutBody {
    data: Option<Bytes>,
    promised: u64,
    flushed: bool,
}

impl CutBody {
    fn new(body: &Bytes, bytes: usize) -> Self {
        let data = body.slice(..bytes.min(body.len()));
        Self { promised: body.len().max(data.len() + 1) as u64, data: Some(data), flushed: false }
    }
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(http_body::Frame::data(data))));
        }
        if !self.flushed {
            // hyper drops what it has not written yet when a body fails; one pause lets it write.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.promised)
    }
}

/// Turns the extension [`Broken`] into the error that makes hyper close the connection.
pub(super) fn answer_or_break(response: Result<Response, Infallible>) -> Result<Response, BrokenConnection> {
    let Ok(response) = response;
    match response.extensions().get::<Broken>() {
        Some(_) => Err(BrokenConnection),
        None => Ok(response),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the simulator breaks this connection")]
pub(super) struct BrokenConnection;
