//! The simulator against the vendor's pages, and against its own promises: deterministic, strict, honest.

mod faults;
mod limits;
mod refusals;
mod served;

use super::*;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

const ACT: &str = "/ioc/v1/remediation-actions/performAction?user=jd&userId=u-1&comment=INC-7";
const AGENT: &str = "4ea39afb-be5a-47a3-ae66-cdcfe0494007";

/// What came of a call in process.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    /// What came of the body, and whether it came whole.
    body: String,
    whole: bool,
    broken: Option<Broken>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn ids(&self) -> Vec<String> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_value(self.json()["remediationIds"].clone()).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn call(simulator: &Simulator, request: Request<Body>) -> Got {
    let (parts, mut body) = simulator.router().oneshot(request).await.unwrap().into_parts();
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    let broken = parts.extensions.get::<Broken>().copied();
    Got { status: parts.status, headers: parts.headers, body: String::from_utf8(bytes).unwrap(), whole, broken }
}

fn post(path: &str, body: impl ToString) -> Request<Body> {
    let request = Request::builder().method(Method::POST).uri(path).header("authorization", "Bearer t");
    request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

async fn act(simulator: &Simulator, items: &[Value]) -> Got {
    call(simulator, post(ACT, Value::from(items))).await
}

async fn poll(simulator: &Simulator, id: &str) -> Got {
    let path = format!("/ioc/v1/remediation-actions/activityLog/{id}");
    call(simulator, Request::get(path).header("authorization", "Bearer t").body(Body::empty()).unwrap()).await
}

/// A file to be put in quarantine, the n-th of its host.
fn file(agent: &str, n: usize) -> Value {
    let (event, unique) = (format!("event-{n}"), format!("-{n}"));
    json!({"actionId": 9002, "agentId": agent, "eventId": event, "eventType": "FILE", "pid": 0, "uniqueId": unique})
}

fn files(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| file(&format!("agent-{}", n / 3), n)).collect()
}

fn settling_at_once() -> Options {
    Options { settle: Delay::None, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn an_act_answers_ids_of_the_vendors_shape_and_both_versions_are_there() {
    for version in ["/ioc", "/ioc/v1"] {
        let simulator = Simulator::new(Options::default());
        let path = format!("{version}/remediation-actions/performAction?user=jd&userId=u-1");
        let process = json!([{"actionId": 9001, "agentId": AGENT, "eventId": "e", "eventType": "PROCESS", "pid": 7, "uniqueId": "-5"}]);
        let of_file = call(&simulator, post(&path, json!([file(AGENT, 1)]))).await;
        let of_process = call(&simulator, post(&path, process)).await;
        assert_eq!(
            of_file.body,
            r#"{"remediationIds":["RTF_4ea39afb-be5a-47a3-ae66-cdcfe0494007_2-2025_a922f59b-71b2-3cc0-b729-abd3b7591748"]}"#
        );
        assert_eq!(of_file.header("content-type"), Some("application/json"));
        assert!(of_process.ids()[0].starts_with("RTP_4ea39afb-be5a-47a3-ae66-cdcfe0494007_2-2025_"));
        let detail = format!("{version}/remediation-actions/activityLog/{}", of_file.ids()[0]);
        let request = Request::get(detail).header("authorization", "Bearer t").body(Body::empty()).unwrap();
        assert_eq!(call(&simulator, request).await.json()["status"], "queued");
    }
}

#[tokio::test(start_paused = true)]
async fn a_detail_has_every_field_of_the_vendors_sample_in_its_order() {
    let simulator = Simulator::new(Options::default());
    let host = json!({"actionId": 9005, "agentId": AGENT, "eventId": AGENT, "eventType": "AGENT", "pid": 0, "uniqueId": AGENT});
    let id = act(&simulator, &[host]).await.ids().remove(0);
    tokio::time::advance(Duration::from_secs(1)).await;
    let detail = poll(&simulator, &id).await.json();
    insta::assert_snapshot!(serde_json::to_string_pretty(&detail).unwrap());
    let names: Vec<&String> = detail.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "action",
            "eventSource",
            "status",
            "requestTime",
            "requestTimestamp",
            "executionTime",
            "remediationEventId",
            "requestId",
            "manifestId",
            "uniqueId",
            "userId",
            "agentId",
            "hostName",
            "platform",
            "interfaces",
            "comments",
            "statusMessage",
            "allowResponseAction",
            "remediationPayload",
            "id",
            "type",
            "user",
        ]
    );
    let payload: Value = serde_json::from_str(detail["remediationPayload"].as_str().unwrap()).unwrap();
    assert!(payload["excludedWhitelistingConfig"]["excludedIpConfigs"].is_array());
}

#[tokio::test(start_paused = true)]
async fn an_item_is_not_found_then_queued_then_settled() {
    let options = Options {
        settle: Delay::Fixed(Duration::from_secs(600)),
        not_found_for: Duration::from_secs(60),
        status_words: StatusWords { queued: "In Progress".into(), ..StatusWords::default() },
        ..Options::default()
    };
    let simulator = Simulator::new(options);
    let id = act(&simulator, &[file(AGENT, 1)]).await.ids().remove(0);
    let mut seen = Vec::new();
    for seconds in [0, 59, 1, 539, 1] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let got = poll(&simulator, &id).await;
        seen.push((got.status.as_u16(), got.json()["status"].as_str().map(str::to_owned)));
    }
    let word = |word: &str| Some(word.to_owned());
    let queued = (200, word("In Progress"));
    assert_eq!(seen, [(404, None), (404, None), queued.clone(), queued, (200, word("success"))]);
    assert_eq!(simulator.counters().not_found, 2);
}

#[tokio::test(start_paused = true)]
async fn fates_ids_and_times_follow_from_the_item_and_not_from_the_order() {
    let options = Options {
        settle: Delay::LogNormal { median: Duration::from_secs(60), sigma: 1.0 },
        never_settle_percent: 10.0,
        fail_percent: 20.0,
        ..Options::default()
    };
    let mut histories = Vec::new();
    for sizes in [1, 7, 200] {
        let simulator = Simulator::new(options.clone());
        let mut items = files(0..400);
        if sizes == 7 {
            items.reverse();
        }
        for batch in items.chunks(sizes) {
            act(&simulator, batch).await;
        }
        let mut history = Vec::new();
        for pause in [0, 60, 86_400] {
            tokio::time::advance(Duration::from_secs(pause)).await;
            for entry in simulator.ledger().entries {
                let detail = poll(&simulator, &entry.remediation_id).await.json();
                history.push((entry.remediation_id, pause, entry.fate, detail["status"].to_string()));
            }
        }
        history.sort();
        histories.push(history);
    }
    assert!(histories[0] == histories[1] && histories[1] == histories[2]);
    let count = |pause: u64, word: &str| histories[0].iter().filter(|h| h.1 == pause && h.3 == word).count();
    assert_eq!((count(0, r#""queued""#), count(86_400, r#""queued""#)), (400, 37));
    assert_eq!((count(86_400, r#""failed""#), count(86_400, r#""success""#)), (63, 300));
    assert!((120..240).contains(&count(60, r#""queued""#)), "{}", count(60, r#""queued""#));
}

#[tokio::test(start_paused = true)]
async fn another_seed_is_another_tenant() {
    let mut ids = Vec::new();
    for seed in [1, 2] {
        let simulator = Simulator::new(Options { seed, ..Options::default() });
        ids.push(act(&simulator, &[file(AGENT, 1)]).await.ids());
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn ids_come_shuffled_dropped_and_repeated() {
    let plain = Simulator::new(Options::default());
    let right = act(&plain, &files(0..200)).await.ids();
    let ids = async |options: Options| act(&Simulator::new(options), &files(0..200)).await.ids();
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids.dedup();
        ids
    };

    let shuffled = ids(Options { shuffle_ids: true, ..Options::default() }).await;
    assert_ne!(shuffled, right);
    assert_eq!(sorted(&shuffled), sorted(&right));

    let dropped = ids(Options { drop_ids_percent: 10.0, ..Options::default() }).await;
    assert_eq!(dropped.len(), 181);
    assert!(dropped.iter().all(|id| right.contains(id)));

    let repeated = ids(Options { repeat_ids_percent: 10.0, ..Options::default() }).await;
    assert_eq!((repeated.len(), sorted(&repeated).len()), (200, 178));
    assert!(repeated.iter().all(|id| right.contains(id)));
}

#[tokio::test(start_paused = true)]
async fn the_ledger_tells_what_was_carried_out_and_what_more_than_once() {
    let simulator = Simulator::new(Options { fail_percent: 100.0, ..Options::default() });
    act(&simulator, &files(0..3)).await;
    act(&simulator, &[file("agent-0", 1)]).await;
    let mut other_action = file("agent-0", 1);
    other_action["actionId"] = json!(9004);
    act(&simulator, &[other_action]).await;
    act(&simulator, &[json!({"actionId": 9002})]).await;

    let ledger = simulator.ledger();
    let mut ids: Vec<&str> = ledger.entries.iter().map(|entry| entry.remediation_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "an item that is carried out again gets another id");
    let repeated = ledger.carried_out_more_than_once();
    let orders: Vec<Vec<u32>> = repeated.iter().map(|group| group.iter().map(|entry| entry.order).collect()).collect();
    assert_eq!(orders, [[2, 4]]);
    let counted =
        Counters { posts: 4, acts_carried_out: 3, carried_out: 5, refused: 1, max_in_flight: 1, ..Counters::default() };
    assert_eq!(ledger.counters, counted);

    let served = call(&simulator, Request::get("/_simulator/ledger").body(Body::empty()).unwrap()).await.json();
    assert_eq!(served, serde_json::to_value(&ledger).unwrap());
    let id = &ledger.entries[3].remediation_id;
    assert_eq!(
        served["entries"][3],
        json!({"remediation_id": id, "action_id": 9002, "agent_id": "agent-0", "event_id": "event-1", "event_type": "FILE",
            "pid": 0, "unique_id": "-1", "comment": "INC-7", "batch": 2, "order": 4, "accepted_ms": 0, "fate": "fails", "settles_ms": 1000,
            "restored": false})
    );
}

#[tokio::test(start_paused = true)]
async fn a_remediation_is_put_back_in_a_new_process() {
    let options = Options { not_found_for: Duration::from_secs(60), ..Options::default() };
    let earlier = Simulator::new(options.clone());
    act(&earlier, &files(0..2)).await;
    let simulator = Simulator::new(options);
    let by = Submitter { user: "jd".into(), user_id: "u-1".into(), comment: "INC-7".into() };
    let first = &earlier.ledger().entries[0];
    for id in [first.remediation_id.as_str(), "RTF_elsewhere_12-2024_1cd0f7c3-4c2e-3c0e-9fb9-a9e3a9d45a4f", "ü/odd"] {
        assert_eq!(simulator.restore(id, &first.item, &by), Ok(()), "{id}");
        assert_eq!(simulator.restore(id, &first.item, &by), Err(RestoreError::Known(id.into())));
    }
    let unknown = SimItem { action_id: 1, ..first.item.clone() };
    assert_eq!(simulator.restore("x", &unknown, &by), Err(RestoreError::UnknownAction(1)));

    let statuses = async || {
        let mut statuses = Vec::new();
        for id in [&first.remediation_id, "%C3%BC%2Fodd", "x"] {
            statuses.push(poll(&simulator, id).await.json()["status"].as_str().map(str::to_owned));
        }
        statuses
    };
    assert_eq!(statuses().await, [Some("queued".into()), Some("queued".into()), None]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(statuses().await, [Some("success".into()), Some("success".into()), None]);

    let again = act(&simulator, &files(0..1)).await.ids();
    assert_ne!(again[0], first.remediation_id);
    let ledger = simulator.ledger();
    let flags: Vec<(bool, u32, u32)> = ledger.entries.iter().map(|e| (e.restored, e.batch, e.order)).collect();
    assert_eq!(flags, [(true, 0, 1), (true, 0, 2), (true, 0, 3), (false, 1, 4)]);
    assert_eq!(
        (&ledger.entries[0].remediation_id, &*ledger.entries[2].remediation_id),
        (&first.remediation_id, "ü/odd")
    );
    assert_eq!((ledger.counters.carried_out, ledger.carried_out_more_than_once()[0].len()), (1, 4));
}

#[test]
fn an_item_is_small() {
    assert!(std::mem::size_of::<state::Item>() <= 64);
}

#[test]
fn the_tenant_file_fits_the_options() {
    insta::assert_snapshot!("tenant_default", Simulator::new(Options::default()).tenant_yaml("http://127.0.0.1:8080"));
    let actions = vec![SimAction {
        name: "null".into(),
        id: 1,
        event_types: vec![crate::tenant::EventType::File, crate::tenant::EventType::Mutex],
        shown_as: "a: [b], \"c\"".into(),
        request_type: crate::tenant::RequestType::QuarantinedItem,
    }];
    let odd = Options {
        actions,
        requests: Some(crate::tenant::Rate { calls: 7, window: Duration::from_secs(900) }),
        concurrency: Some(2),
        token: Some("secret".into()),
        user: Some("# no comment".into()),
        not_found_for: Duration::from_millis(7_500),
        ..Options::default()
    };
    let yaml = Simulator::new(odd).tenant_yaml("http://[::1]:9");
    insta::assert_snapshot!("tenant_odd", yaml);
    let read: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(read["actions"]["null"]["shown_as"], json!(["a: [b], \"c\""]));
    assert_eq!((&read["user"], &read["base_url"]), (&json!("# no comment"), &json!("http://[::1]:9")));
    assert!(!yaml.contains("secret"));
}
