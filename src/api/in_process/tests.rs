//! The router in the place of the network, under virtual time.

use super::*;
use crate::api::tests::{action, item, tenant};
use crate::api::{Api, TokenSource};
use crate::engine::call::{ActReply, PollReply, ReplyBody};
use crate::engine::fact::NotCarriedOut;
use crate::plan::PlannedTenant;
use crate::tenant::ApiVersion;
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use std::collections::HashMap;

/// What a simulator marks a cut connection with.
#[derive(Clone)]
struct Cut {
    carried_out: bool,
}

/// Does what the comment says.
async fn perform(Query(query): Query<HashMap<String, String>>, headers: HeaderMap, body: String) -> Response<Body> {
    assert_eq!(headers[AUTHORIZATION], "Bearer tok");
    match query["comment"].as_str() {
        "accept" => format!(r#"{{"remediationIds":["{}"]}}"#, body.len()).into_response(),
        "cut before" => ([("x", "y")], axum::Extension(Cut { carried_out: false }), "").into_response(),
        "cut after" => ([("x", "y")], axum::Extension(Cut { carried_out: true }), "").into_response(),
        "sleep" => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            "late".into_response()
        }
        "endless" => Body::from(vec![b' '; 9 * 1024 * 1024]).into_response(),
        other => (StatusCode::BAD_REQUEST, format!("what is {other}?")).into_response(),
    }
}

fn api() -> Api {
    let detail = |Path(id): Path<String>| async move { format!(r#"{{"comments":"{}"}}"#, id) };
    let router = Router::new()
        .route("/ioc/remediation-actions/performAction", post(perform))
        .route("/ioc/remediation-actions/activityLog/{id}", get(detail));
    let tenant = PlannedTenant {
        base_url: "http://simulator".to_owned(),
        api_version: ApiVersion::Unversioned,
        simulated: true,
        ..tenant()
    };
    let cut: CutConnection = |extensions| extensions.get::<Cut>().map(|cut| cut.carried_out);
    Api::new(&tenant, TokenSource::Given("tok".into()), InProcess::new(router, &Limits::default(), cut)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn acts() {
    let not_sent = "the connection ended before anything was sent: connection closed before message completed";
    let table = [
        ("accept", ActReply::Accepted { ids: vec!["89".to_owned()] }),
        ("cut before", ActReply::NotCarriedOut { why: NotCarriedOut::NotSent, message: not_sent.to_owned() }),
        ("cut after", unreadable("sent, but no answer came: connection closed before message completed")),
        ("sleep", unreadable("sent, but no answer came in time: operation timed out")),
        ("endless", unreadable("HTTP 200, no content type: longer than 8388608 bytes")),
        (
            "nonsense",
            ActReply::Rejected {
                status: 400,
                message: "HTTP 400, text/plain; charset=utf-8: what is nonsense?".to_owned(),
            },
        ),
    ];
    for (comment, expected) in table {
        let begun = tokio::time::Instant::now();
        let reply = api().act(&action(), &[item()], comment).await;
        assert_eq!(reply.body, ReplyBody::Act(expected), "{comment}");
        let slept = if comment == "sleep" { 120 } else { 0 };
        assert_eq!(begun.elapsed().as_secs(), slept, "{comment}");
    }
}

fn unreadable(message: &str) -> ActReply {
    ActReply::Unreadable { message: message.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_poll_names_its_id_as_one_segment() {
    let reply = api().poll(&action(), "RTP###1").await;
    let ReplyBody::Poll(PollReply::Detail(detail)) = reply.body else { panic!("{reply:?}") };
    assert_eq!(detail.comments.as_deref(), Some("RTP###1"));
}
