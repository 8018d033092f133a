//! The endpoints: a request becomes an answer, or a connection that breaks.
//!
//! The order is a gateway's: token, limits, then the request itself. Whatever changes the ledger happens before any
//! waiting, so that a caller who gives up is treated as the vendor would: what it sent has been carried out.

use super::answer::{Answer, Broken, broken_response, limit_headers};
use super::chance::Of;
use super::ledger::{REFUSED_MAX, Refused};
use super::limiter::{Standing, Verdict};
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
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use std::time::Duration;

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
