//! The endpoints: a request becomes an answer, or a connection that breaks.
//!
//! The order is a gateway's: token, limits, then the request itself. Whatever changes the ledger happens before any
//! waiting, so that a caller who gives up is treated as the vendor would: what it sent has been carried out.

use super::chance::Of;
use super::ledger::{REFUSED_MAX, Refused};
use super::limiter::{Standing, Verdict};
use super::options::ThrottleStatus;
use super::request::{self, BODY_BYTES_MAX, Refusal};
use super::script::{Cut, ScriptedAnswer};
use super::{Simulator, detail};
use crate::tenant::RequestType;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
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

pub(super) fn router(simulator: Simulator) -> Router {
    let mut router = Router::new().route("/_simulator/ledger", get(ledger));
    for prefix in ["/ioc", "/ioc/v1"] {
        router = router
            .route(&format!("{prefix}/remediation-actions/performAction"), post(act))
            .route(&format!("{prefix}/remediation-actions/{{request_type}}/{{remediation_id}}"), get(poll));
    }
    router.fallback(not_there).method_not_allowed_fallback(not_allowed).with_state(simulator)
}

async fn act(State(simulator): State<Simulator>, request: Request) -> Response {
    let mut call = Call::arrive(simulator, Kind::Act);
    let script = call.script();
    let answer = if script.carry_out { call.act(request).await } else { call.untouched(script.cut, request).await };
    call.finish(answer, script).await
}

async fn poll(
    State(simulator): State<Simulator>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let Ok(Path((request_type, id))) = path else {
        return not_there(State(simulator), request.method().clone(), request.uri().clone()).await;
    };
    let mut call = Call::arrive(simulator, Kind::Poll);
    let script = call.script();
    let answer = if script.carry_out {
        call.poll(&request_type, &id, request.headers())
    } else {
        call.untouched(script.cut, request).await
    };
    call.finish(answer, script).await
}

async fn ledger(State(simulator): State<Simulator>) -> axum::Json<super::Ledger> {
    axum::Json(simulator.ledger())
}

async fn not_there(State(simulator): State<Simulator>, method: Method, uri: Uri) -> Response {
    refuse_route(simulator, method, StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path())).await
}

async fn not_allowed(State(simulator): State<Simulator>, method: Method, uri: Uri) -> Response {
    let message = format!("{method} is not allowed at {}", uri.path());
    refuse_route(simulator, method, StatusCode::METHOD_NOT_ALLOWED, message).await
}

async fn refuse_route(simulator: Simulator, method: Method, status: StatusCode, message: String) -> Response {
    let kind = if method == Method::GET || method == Method::HEAD { Kind::Poll } else { Kind::Act };
    let call = Call::arrive(simulator, kind);
    let answer = call.refuse(Refusal::new(status, message));
    call.finish(answer, ScriptedAnswer::default()).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Act,
    Poll,
}

/// A call from its arrival to its answer, or to its caller's leaving.
struct Call {
    simulator: Simulator,
    kind: Kind,
    /// From 1, over acts and polls.
    number: u64,
    /// How the limits stood when it was let through.
    standing: Option<Standing>,
}

/// What a call comes to, before script and latency.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    carried_out: bool,
    broken: bool,
}

impl Call {
    fn arrive(simulator: Simulator, kind: Kind) -> Self {
        let mut state = simulator.state();
        match kind {
            Kind::Act => state.counters.posts += 1,
            Kind::Poll => state.counters.gets += 1,
        }
        state.in_flight += 1;
        state.counters.max_in_flight = state.counters.max_in_flight.max(state.in_flight);
        let number = state.counters.posts + state.counters.gets;
        drop(state);
        Self { simulator, kind, number, standing: None }
    }

    fn script(&self) -> ScriptedAnswer {
        let mut state = self.simulator.state();
        let queue = match self.kind {
            Kind::Act => &mut state.script.acts,
            Kind::Poll => &mut state.script.polls,
        };
        queue.pop_front().unwrap_or_default()
    }

    async fn act(&mut self, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        if let Err(answer) = self.admit(&parts.headers) {
            return *answer;
        }
        let simulator = self.simulator.clone();
        let (options, chance) = (&simulator.0.options, simulator.0.chance);
        if chance.happens(Of::BreakBefore, self.number, options.break_before_percent) {
            return Answer::broken(false);
        }
        let checked = async {
            request::content_type(&parts.headers)?;
            let Query(parameters) = Query::try_from_uri(&parts.uri)
                .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
            let by = request::submitter(parameters, options)?;
            Ok((by, read(body).await?))
        };
        let (by, body) = match checked.await {
            Ok(checked) => checked,
            Err(refusal) => return self.refuse(refusal),
        };
        let items = match request::items(&body, options) {
            Ok(items) => items,
            Err(refusal) => return self.refuse(refusal),
        };
        let ids = {
            let mut state = simulator.state();
            state.counters.acts_carried_out += 1;
            state.carry_out(options, chance, simulator.elapsed(), by, &items)
        };
        if chance.happens(Of::BreakAfter, self.number, options.break_after_percent) {
            return Answer::broken(true);
        }
        let body = serde_json::json!({ "remediationIds": ids }).to_string();
        Answer { carried_out: true, ..Answer::json(StatusCode::OK, body) }
    }

    fn poll(&mut self, request_type: &str, id: &str, headers: &HeaderMap) -> Answer {
        if let Err(answer) = self.admit(headers) {
            return *answer;
        }
        let simulator = self.simulator.clone();
        let (options, chance) = (&simulator.0.options, simulator.0.chance);
        if chance.happens(Of::BreakPoll, self.number, options.break_poll_percent) {
            return Answer::broken(false);
        }
        let shown_by = match request_type {
            "activityLog" => RequestType::ActivityLog,
            "quarantinedItem" => RequestType::QuarantinedItem,
            other => return self.refuse(Refusal::new(StatusCode::NOT_FOUND, format!("unknown requestType {other:?}"))),
        };
        let mut state = simulator.state();
        match state.find(options, simulator.elapsed(), shown_by, id) {
            Some(found) => {
                drop(state);
                Answer::json(StatusCode::OK, detail::detail(&simulator, &found))
            }
            None => {
                state.counters.not_found += 1;
                Answer::error(StatusCode::NOT_FOUND, "no such remediation")
            }
        }
    }

    /// The script alone answers. The request is read whole all the same, unless nothing answers it.
    async fn untouched(&self, cut: Option<Cut>, request: Request) -> Answer {
        self.simulator.state().counters.untouched += u64::from(cut != Some(Cut::Unanswered));
        if cut != Some(Cut::Unanswered) {
            // Whatever comes of reading it, the script answers.
            drop(read(request.into_body()).await);
        }
        Answer::of(StatusCode::OK, Bytes::new())
    }

    /// Token and limits.
    fn admit(&mut self, headers: &HeaderMap) -> Result<(), Box<Answer>> {
        let options = &self.simulator.0.options;
        let mut state = self.simulator.state();
        if !request::authorized(headers, options.token.as_deref()) {
            state.counters.unauthorized += 1;
            return Err(Answer::unauthorized().into());
        }
        let now = u64::try_from(self.simulator.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let standing = state.limiter.ask(now);
        if standing.verdict == Verdict::Admitted {
            drop(state);
            self.standing = Some(standing);
            return Ok(());
        }
        state.counters.throttled += 1;
        drop(state);
        let mut answer = Answer::throttled(standing.verdict, options.throttle_status);
        if options.announce_limits {
            limit_headers(&mut answer.headers, &standing);
        }
        Err(answer.into())
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        let Refusal { status, message } = refusal;
        let answer = Answer::error(status, &message);
        let mut state = self.simulator.state();
        state.counters.refused += 1;
        if state.refused.len() < REFUSED_MAX {
            state.refused.push(Refused { call: self.number, status, message });
        }
        answer
    }

    async fn finish(self, mut answer: Answer, script: ScriptedAnswer) -> Response {
        let options = &self.simulator.0.options;
        if let Some(standing) = self.standing.as_ref().filter(|_| options.announce_limits) {
            limit_headers(&mut answer.headers, standing);
        }
        let unanswered = answer.broken || script.cut == Some(Cut::Unanswered);
        if unanswered || script.cut.is_some() {
            self.count_broken(&answer, unanswered);
        }
        let wait = self.simulator.0.chance.delay(Of::Latency, self.number, options.latency) + script.delay;
        if wait > Duration::ZERO {
            tokio::time::sleep(wait).await;
        }
        if unanswered {
            return broken_response(Broken { carried_out: answer.carried_out });
        }
        answer.response(script)
    }

    /// Each act counts once: one that was refused, and then cut, stays refused.
    fn count_broken(&self, answer: &Answer, unanswered: bool) {
        let mut state = self.simulator.state();
        match self.kind {
            Kind::Poll => state.counters.broken_polls += 1,
            Kind::Act if answer.carried_out => state.counters.broken_after += 1,
            Kind::Act if unanswered && answer.status.is_success() => state.counters.broken_before += 1,
            Kind::Act => {}
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.simulator.state();
        state.in_flight -= 1;
        if self.standing.is_some() {
            state.limiter.leave();
        }
    }
}

impl Answer {
    fn of(status: StatusCode, body: Bytes) -> Self {
        Self { status, headers: HeaderMap::new(), body, carried_out: false, broken: false }
    }

    fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::of(status, body.into());
        answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    fn error(status: StatusCode, message: &str) -> Self {
        let body = serde_json::json!({ "errorCode": status.as_u16().to_string(), "message": message });
        Self::json(status, body.to_string())
    }

    fn unauthorized() -> Self {
        Self::json(StatusCode::UNAUTHORIZED, r#"{"authentication_exceptions":["FailedLoginException"]}"#)
    }

    /// With the codes that the vendor's classic APIs give, so that a 409 can be told from any other without headers.
    fn throttled(verdict: Verdict, status: ThrottleStatus) -> Self {
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

    fn broken(carried_out: bool) -> Self {
        Self { carried_out, broken: true, ..Self::of(StatusCode::OK, Bytes::new()) }
    }

    fn response(self, script: ScriptedAnswer) -> Response {
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

fn broken_response(broken: Broken) -> Response {
    // The status is for whoever overlooks the extension: it claims nothing.
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(broken);
    response
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let status = match error.is::<http_body_util::LengthLimitError>() {
            true => StatusCode::PAYLOAD_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        };
        Refusal::new(status, format!("the body cannot be read: {error}"))
    })
}

fn limit_headers(headers: &mut HeaderMap, standing: &Standing) {
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
