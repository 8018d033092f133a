//! Everything that the pages do not allow is refused, and is in the ledger as refused.

use super::*;

/// One act on a fresh simulator: the status and the message.
async fn check(name: &str, options: Options, request: Request<Body>, status: u16, message: &str) {
    let simulator = Simulator::new(options);
    let got = call(&simulator, request).await;
    let answered = got.json();
    // Where in the body it is, is serde's affair.
    let answered = answered["message"].as_str().unwrap().split(" at line ").next().unwrap();
    assert_eq!((got.status.as_u16(), answered), (status, message), "{name}");
    let ledger = simulator.ledger();
    let refused: Vec<(u64, u16, &str)> =
        ledger.refused.iter().map(|r| (r.call, r.status.as_u16(), r.message.as_str())).collect();
    assert!(matches!(refused[..], [(1, s, m)] if s == status && m.starts_with(message)), "{name}: {refused:?}");
    assert_eq!((ledger.counters.refused, ledger.counters.carried_out, ledger.entries.len()), (1, 0, 0), "{name}");
}

#[tokio::test(start_paused = true)]
async fn bodies() {
    let with = |change: fn(&mut Value)| {
        let mut items = vec![file(AGENT, 1), file(AGENT, 2)];
        change(&mut items[1]);
        Value::from(items).to_string()
    };
    let read = "the body cannot be read: ";
    let fields = "`actionId`, `agentId`, `eventId`, `eventType`, `pid`, `uniqueId`";
    let cases = [
        ("not JSON", "x".into(), format!("{read}expected value")),
        ("no array", file(AGENT, 1).to_string(), format!("{read}invalid type: map, expected a sequence")),
        ("array of arrays", "[[9002]]".into(), format!("{read}invalid type: sequence, expected an object")),
        ("two values", format!("{}[]", with(|_| ())), format!("{read}trailing characters")),
        ("empty", "[]".into(), "one request holds 1 to 200 events, this one holds 0".into()),
        ("201", Value::from(files(0..201)).to_string(), "one request holds 1 to 200 events, this one holds 201".into()),
        (
            "unique id a number",
            with(|i| i["uniqueId"] = json!(5)),
            format!("{read}invalid type: integer `5`, expected a string"),
        ),
        ("pid a text", with(|i| i["pid"] = json!("5")), format!("{read}invalid type: string \"5\", expected u32")),
        (
            "pid a fraction",
            with(|i| i["pid"] = json!(1.5)),
            format!("{read}invalid type: floating point `1.5`, expected u32"),
        ),
        ("pid negative", with(|i| i["pid"] = json!(-1)), format!("{read}invalid value: integer `-1`, expected u32")),
        ("null", with(|i| i["agentId"] = Value::Null), format!("{read}invalid type: null, expected a string")),
        ("missing", with(|i| drop(i.as_object_mut().unwrap().remove("pid"))), format!("{read}missing field `pid`")),
        ("unknown", with(|i| i["x"] = json!(1)), format!("{read}unknown field `x`, expected one of {fields}")),
        ("twice", with(|_| ()).replacen("\"pid\":0", "\"pid\":0,\"pid\":0", 1), format!("{read}duplicate field `pid`")),
        ("action", with(|i| i["actionId"] = json!(0)), "event 2: unknown actionId 0".into()),
        ("kind unknown", with(|i| i["eventType"] = json!("file")), "event 2: unknown eventType \"file\"".into()),
        (
            "kind of the action",
            with(|i| i["eventType"] = json!("AGENT")),
            "event 2: \"Quarantine File\" cannot be applied to AGENT".into(),
        ),
        (
            "kinds mixed",
            with(|i| (i["actionId"], i["eventType"]) = (json!(9005), json!("AGENT"))),
            "event 2: AGENT in a request of FILE".into(),
        ),
        ("empty id", with(|i| i["eventId"] = json!("")), "event 2: eventId must have 1 to 1024 bytes".into()),
        (
            "long id",
            with(|i| i["agentId"] = json!("x".repeat(1025))),
            "event 2: agentId must have 1 to 1024 bytes".into(),
        ),
    ];
    for (name, body, message) in cases {
        check(name, Options::default(), post(ACT, body), 400, &message).await;
    }
    let huge = " ".repeat(1024 * 1024 + 1);
    let message = "the body cannot be read: length limit exceeded";
    check("too large", Options::default(), post(ACT, huge), 413, message).await;
}

#[tokio::test(start_paused = true)]
async fn parameters() {
    let mandatory = |name: &str| format!("query parameter {name:?} is mandatory");
    let cases = [
        ("", 400, mandatory("user")),
        ("?user=&userId=u", 400, mandatory("user")),
        ("?user=u&comment=c", 400, mandatory("userId")),
        ("?user=u&userid=u", 400, "unknown query parameter \"userid\"".into()),
        ("?user=u&userId=u&user=u", 400, "query parameter \"user\" is given twice".into()),
        ("?user=u&userId=x", 403, "userId \"x\" may not act".into()),
        ("?user=x&userId=u", 403, "user \"x\" may not act".into()),
    ];
    for (query, status, message) in cases {
        let options = Options { user: Some("u".into()), user_id: Some("u".into()), ..Options::default() };
        let path = format!("/ioc/remediation-actions/performAction{query}");
        check(query, options, post(&path, json!([file(AGENT, 1)])), status, &message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn places_types_and_permissions() {
    let one = || json!([file(AGENT, 1)]).to_string();
    let mut untyped = post(ACT, one());
    untyped.headers_mut().remove("content-type");
    let mut text = post(ACT, one());
    text.headers_mut().insert("content-type", http::HeaderValue::from_static("text/json"));
    let forbidden = Options { forbidden_agents: [AGENT.to_owned()].into(), ..Options::default() };
    let v2 = post("/ioc/v2/remediation-actions/performAction", one());
    let get_act = Request::get("/ioc/remediation-actions/performAction").body(Body::empty()).unwrap();
    let other = Request::get("/ioc/remediation-actions/other/x").header("authorization", "Bearer t");
    let cases = [
        ("no type", Options::default(), untyped, 415, "content type \"\" is not application/json".into()),
        ("text", Options::default(), text, 415, "content type \"text/json\" is not application/json".into()),
        ("agent", forbidden, post(ACT, one()), 403, format!("event 1: no permission for agent {AGENT:?}")),
        (
            "version",
            Options::default(),
            v2,
            404,
            "there is nothing at /ioc/v2/remediation-actions/performAction".into(),
        ),
        (
            "method",
            Options::default(),
            get_act,
            405,
            "GET is not allowed at /ioc/remediation-actions/performAction".into(),
        ),
        (
            "not UTF-8",
            Options::default(),
            Request::get("/ioc/remediation-actions/activityLog/%ff").body(Body::empty()).unwrap(),
            404,
            "there is nothing at /ioc/remediation-actions/activityLog/%ff".into(),
        ),
        (
            "request type",
            Options::default(),
            other.body(Body::empty()).unwrap(),
            404,
            "unknown requestType \"other\"".into(),
        ),
    ];
    for (name, options, request, status, message) in cases {
        check(name, options, request, status, &message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tokens() {
    let only = |token: &str| Some(token.to_owned());
    let cases: [(Option<String>, &[&str], bool); 9] = [
        (None, &["Bearer anything"], true),
        (None, &["Bearer "], false),
        (None, &["Bearer  two"], false),
        (None, &["bearer anything"], false),
        (None, &["Basic anything"], false),
        (None, &[], false),
        (None, &["Bearer a", "Bearer a"], false),
        (only("right"), &["Bearer right"], true),
        (only("right"), &["Bearer wrong"], false),
    ];
    for (token, given, let_in) in cases {
        let simulator = Simulator::new(Options { token, ..Options::default() });
        let mut request = post(ACT, json!([file(AGENT, 1)]));
        request.headers_mut().remove("authorization");
        for value in given {
            request.headers_mut().append("authorization", http::HeaderValue::from_static(value));
        }
        let got = call(&simulator, request).await;
        let counters = simulator.counters();
        let (status, carried_out, unauthorized) = if let_in { (200, 1, 0) } else { (401, 0, 1) };
        assert_eq!(
            (got.status.as_u16(), counters.carried_out, counters.unauthorized),
            (status, carried_out, unauthorized)
        );
        if !let_in {
            assert_eq!(got.body, r#"{"authentication_exceptions":["FailedLoginException"]}"#, "{given:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_remediation_is_shown_by_its_own_endpoint_only() {
    let mut options = settling_at_once();
    options.actions[1].request_type = crate::tenant::RequestType::QuarantinedItem;
    let simulator = Simulator::new(options);
    let id = act(&simulator, &[file(AGENT, 1)]).await.ids().remove(0);
    let request = |kind: &str, id: &str| {
        let path = format!("/ioc/remediation-actions/{kind}/{id}");
        Request::get(path).header("authorization", "Bearer t").body(Body::empty()).unwrap()
    };
    let upper = id.to_uppercase();
    for (kind, id, status) in
        [("quarantinedItem", &id, 200), ("activityLog", &id, 404), ("quarantinedItem", &upper, 404)]
    {
        assert_eq!(call(&simulator, request(kind, id)).await.status.as_u16(), status, "{kind} {id}");
    }
}
