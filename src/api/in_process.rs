//! The API in process: requests go straight to a router, so that a run of hours passes in virtual time.
//!
//! It behaves as the network does where that matters: the time limits hold, bodies are capped, and a cut connection is
//! a call without an answer.

use super::answer::{Answer, BodyFault, Carried};
use super::taken::{Taken, TakenBody};
use super::transport::{Request, RequestWhat, Transport};
use crate::engine::sent_or_not::{NoAnswer, Phase};
use crate::tenant::Limits;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Extensions, Method, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;
use tower::ServiceExt;

/// Tells from a response's extensions whether it stands for a cut connection, and whether the request had been carried
/// out by then.
pub type CutConnection = fn(&Extensions) -> Option<bool>;

/// A router in the place of the network.
#[derive(Debug, Clone)]
pub struct InProcess {
    router: Router,
    cut: CutConnection,
    act_timeout: Duration,
    poll_timeout: Duration,
}

impl InProcess {
    /// `cut` recognises the responses that stand for a cut connection.
    pub fn new(router: Router, limits: &Limits, cut: CutConnection) -> Self {
        Self { router, cut, act_timeout: limits.act_timeout, poll_timeout: limits.poll_timeout }
    }

    async fn answered(&self, request: http::Request<Body>, bytes_max: usize) -> Carried {
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        match (self.cut)(response.extensions()) {
            Some(carried_out) => Carried::NoAnswer(NoAnswer {
                phase: Phase::After,
                // The router reads the body to know what it is asked, so that it was read here proves nothing: a
                // connection cut before the act stands for one that was cut before the body left.
                body_taken: carried_out,
                timed_out: false,
                what: "connection closed before message completed".to_owned(),
            }),
            None => Carried::Answer(whole(response, bytes_max).await),
        }
    }
}

impl Transport for InProcess {
    fn carry(&self, request: Request) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            let bytes_max = request.what.answer_bytes_max();
            let (method, body, taken, time_max) = match request.what {
                RequestWhat::Act(json) => {
                    let (body, taken) = TakenBody::new(json);
                    (Method::POST, Body::new(body), taken, self.act_timeout)
                }
                RequestWhat::Poll => (Method::GET, Body::empty(), Taken::default(), self.poll_timeout),
            };
            let built = http::Request::builder()
                .method(method)
                .uri(&request.url)
                .header(CONTENT_TYPE, "application/json")
                .header(AUTHORIZATION, request.bearer)
                .body(body);
            let built = match built {
                Ok(built) => built,
                Err(error) => return no_answer(Phase::Local, &taken, false, error.to_string()),
            };
            match tokio::time::timeout(time_max, self.answered(built, bytes_max)).await {
                Ok(carried) => carried,
                Err(_) => no_answer(Phase::After, &taken, true, "operation timed out".to_owned()),
            }
        })
    }
}

fn no_answer(phase: Phase, taken: &Taken, timed_out: bool, what: String) -> Carried {
    Carried::NoAnswer(NoAnswer { phase, body_taken: taken.is_set(), timed_out, what })
}

async fn whole(response: Response<Body>, bytes_max: usize) -> Answer {
    let (head, body) = response.into_parts();
    let body = match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok::<Bytes, _>(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyFault::TooLong(bytes_max)),
        Err(_) => Err(BodyFault::CutShort(0)),
    };
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

#[cfg(test)]
mod tests;
