//! Faults in the details that are polled: rows 38 to 43, and 51 to 53.

use crate::case::{Case, Counts, DELETE, case, inject, repeated};
use crate::meeting::Met;
use crate::relay::{Inject, Kind};
use crate::wire::Answer;
use quell::simulator::{Delay, Options};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let all = [
        about_something_else(),
        not_there_yet(),
        never_there(),
        status_words(),
        changed_minds(),
        stuck(),
        what_nobody_asked_for(),
        ambiguous_json(),
        times(),
    ];
    all.into_iter().flatten().collect()
}

/// The first of the agents, and one that there is not.
const FIRST: &str = "00000000-0000-4000-8000-000000000000";
const NOBODY: &str = "00000000-0000-4000-8000-0000deadbeef";

/// Details as the tenant sends them, changed; what is no detail stays as it is.
fn detail(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Inject {
    inject(move |call| {
        let answer = call.forward();
        if answer.status != 200 {
            return call.send(&answer);
        }
        let mut json = answer.json();
        change(&mut json);
        call.send(&answer.with_body(json.to_string()));
    })
}

/// The same, for the remediation of the first agent alone.
fn first_detail(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Inject {
    detail(move |json| {
        if json["agentId"] == FIRST {
            change(json);
        }
    })
}

fn about_something_else() -> Vec<Case> {
    let mut cases = Vec::new();
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("another agent", |json| json["agentId"] = json!(NOBODY)),
        ("another file", |json| json["uniqueId"] = json!("4711")),
        ("another action", |json| json["action"] = json!("Unquarantine Host")),
        ("another run's act", |json| json["comments"] = json!("INC-1 [quell other-0101-abc/1]")),
    ];
    for (what, change) in changes {
        cases.push(case(38, format!("a detail about {what}")).polls(0..1000, &first_detail(change)).ends(
            5,
            &[("unmatched", 1), ("succeeded", 5)],
            6,
        ));
        // First it is queued and its own; then it is settled and something else.
        let later = first_detail(move |json| {
            if json["status"] != "queued" {
                change(json);
            }
        });
        cases.push(
            case(38, format!("a detail that is later about {what}"))
                .tenant(Options { settle: Delay::Fixed(Duration::from_millis(150)), ..Options::default() })
                .polls(0..1000, &later)
                .ends(5, &[("unmatched", 1), ("succeeded", 5)], 6),
        );
    }
    let copy = first_detail(|json| {
        json["agentId"] = json!("00000000-0000-4000-8000-000000000001");
        json["uniqueId"] = json!("7000000000001");
    });
    cases.push(
        case(38, "two details about the same item")
            .polls(0..1000, &copy)
            .ends(5, &[("unknown", 1), ("succeeded", 5)], 6)
            .ends(5, &[("unmatched", 1), ("succeeded", 5)], 6),
    );
    cases
}

fn not_there_yet() -> Vec<Case> {
    vec![
        case(39, "nothing is there for a moment after acceptance")
            .tenant(Options { settle: Delay::None, not_found_for: Duration::from_millis(1_500), ..Options::default() })
            .took_place(|met| met.simulator.counters().not_found > 0)
            .ends(0, &[("succeeded", 6)], 6)
            .calls_max(200),
        case(39, "nothing is there for longer than the grace")
            .tenant(Options { settle: Delay::None, not_found_for: Duration::from_millis(1_500), ..Options::default() })
            .edit("not_found_grace: 10s", "not_found_grace: 100ms")
            .took_place(|met| met.simulator.counters().not_found > 0)
            .ends(0, &[("succeeded", 6)], 6)
            .calls_max(200),
    ]
}

fn never_there() -> Vec<Case> {
    let gone = |status: u16| inject(move |call| call.send(&Answer::new(status, &[], "")));
    let mut cases = Vec::new();
    for (what, status) in [("404", 404), ("410", 410), ("204", 204), ("an empty 200", 200)] {
        cases.push(
            case(40, format!("{what} for ever"))
                .deadline("1s")
                .polls(0..1000, &gone(status))
                .ends(4, &[("timed_out", 6)], 6)
                .later(4, &[("timed_out", 6)], 6)
                .calls_max(150),
        );
    }
    let seen = Mutex::new(HashSet::new());
    let then_gone = inject(move |call| {
        let is_first = seen.lock().expect("nobody holds it").insert(call.request.target().to_owned());
        if is_first { call.pass() } else { call.send(&Answer::new(404, &[], "")) }
    });
    cases.push(
        case(40, "queued, and then gone for ever")
            .tenant(Options { never_settle_percent: 100.0, ..Options::default() })
            .deadline("1s")
            .polls(0..1000, &then_gone)
            .ends(9, &[("still_queued", 6)], 6)
            .calls_max(150),
    );
    for (what, status) in [("403", 403), ("500", 500)] {
        cases.push(
            case(40, format!("{what} for ever"))
                .deadline("1s")
                .polls(0..1000, &gone(status))
                .ends(4, &[("timed_out", 6)], 6)
                .calls_max(150),
        );
    }
    cases
}

fn status_words() -> Vec<Case> {
    let mut cases = Vec::new();
    let words: [(&str, Value, i32, Counts); 15] = [
        ("a word in capitals", json!("SUCCESS"), 0, &[("succeeded", 6)]),
        ("a word with a space", json!("Success "), 0, &[("succeeded", 6)]),
        ("a word between line ends", json!("\r\n success\t"), 0, &[("succeeded", 6)]),
        ("a word that is nearly one", json!("successful"), 4, &[("timed_out", 6)]),
        ("a word that holds one", json!("not success"), 4, &[("timed_out", 6)]),
        ("a word with an accent", json!("succe\u{301}ss"), 4, &[("timed_out", 6)]),
        ("a word that nobody knows", json!("\u{1b}[31mZustand 7\u{202e}"), 4, &[("timed_out", 6)]),
        ("no word", json!(""), 4, &[("timed_out", 6)]),
        ("null", json!(null), 4, &[("timed_out", 6)]),
        ("a number", json!(5), 4, &[("timed_out", 6)]),
        ("true", json!(true), 4, &[("timed_out", 6)]),
        ("a list", json!(["success"]), 4, &[("timed_out", 6)]),
        ("an object", json!({"value": "success"}), 4, &[("timed_out", 6)]),
        ("a listed pending word", json!("Queued"), 9, &[("still_queued", 6)]),
        ("a listed failed word", json!("FAILED"), 4, &[("failed", 6)]),
    ];
    for (what, word, code, counts) in words {
        cases.push(
            case(41, format!("the status is {what}"))
                .deadline("1s")
                .polls(0..1000, &detail(move |json| json["status"] = word.clone()))
                .ends(code, counts, 6)
                .calls_max(150),
        );
    }
    let missing = detail(|json| drop(json.as_object_mut().expect("an object").remove("status")));
    cases.push(
        case(41, "there is no status")
            .deadline("1s")
            .polls(0..1000, &missing)
            .ends(4, &[("timed_out", 6)], 6)
            .calls_max(150),
    );
    let named_otherwise = detail(|json| {
        let status = json.as_object_mut().expect("an object").remove("status").expect("a status");
        json["Status"] = status;
    });
    cases.push(
        case(41, "the status is under another name")
            .deadline("1s")
            .polls(0..1000, &named_otherwise)
            .ends(4, &[("timed_out", 6)], 6)
            .calls_max(150),
    );
    let later_known = Mutex::new(HashSet::new());
    let at_first_unknown = detail(move |json| {
        if later_known.lock().expect("nobody holds it").insert(json["agentId"].to_string()) {
            json["status"] = json!("warming up");
        }
    });
    cases.push(
        case(41, "an unknown word comes before a known one")
            .polls(0..1000, &at_first_unknown)
            .ends(0, &[("succeeded", 6)], 6)
            .holds("each was polled twice", |met| met.relay.count(Kind::Poll) == 12),
    );
    cases
}

/// The first final word counts, and nobody asks again: the relay says the other one to whoever does.
fn changed_minds() -> Vec<Case> {
    let flips = |first: &'static str, then: &'static str| {
        let asked = Mutex::new(HashSet::new());
        detail(move |json| {
            let is_first = asked.lock().expect("nobody holds it").insert(json["agentId"].to_string());
            json["status"] = json!(if is_first { first } else { then });
        })
    };
    let asked_once = |met: &Met<'_>| {
        let polls: Vec<&String> =
            met.calls.iter().filter(|call| call.kind == Kind::Poll).map(|call| &call.target).collect();
        polls.len() == 6 && polls.iter().collect::<HashSet<_>>().len() == 6
    };
    let mut cases = Vec::new();
    for action in [crate::case::QUARANTINE, DELETE] {
        cases.push(
            case(42, format!("success becomes failed, {action}"))
                .action(action)
                .polls(0..1000, &flips("success", "failed"))
                .ends(0, &[("succeeded", 6)], 6)
                .later(0, &[("succeeded", 6)], 6)
                .holds("each was asked for once", asked_once),
        );
        cases.push(
            case(42, format!("failed becomes success, {action}"))
                .action(action)
                .polls(0..1000, &flips("failed", "success"))
                .ends(4, &[("failed", 6)], 6)
                .later(4, &[("failed", 6)], 6)
                .holds("each was asked for once", asked_once),
        );
    }
    // One item is late, so that others are asked for while it goes on.
    let first_is_late = |first: &'static str, then: &'static str| {
        let asked = Mutex::new(HashSet::new());
        detail(move |json| {
            let agent = json["agentId"].to_string();
            let is_first = asked.lock().expect("nobody holds it").insert(agent.clone());
            json["status"] = json!(match (agent.contains(FIRST), is_first) {
                (true, true) => "queued",
                (_, true) => first,
                (true, false) => "success",
                (false, false) => then,
            });
        })
    };
    cases.push(
        case(42, "success becomes failed while another item of the act is open")
            .items(6, 6)
            .polls(0..1000, &first_is_late("success", "failed"))
            .ends(0, &[("succeeded", 6)], 6)
            .holds("only the open one was asked for again", |met| met.relay.count(Kind::Poll) == 7),
    );
    cases
}

fn stuck() -> Vec<Case> {
    let never = || Options { never_settle_percent: 100.0, ..Options::default() };
    let mut cases = Vec::new();
    for action in [crate::case::QUARANTINE, DELETE] {
        cases.push(
            case(43, format!("hosts are offline, {action}"))
                .action(action)
                .tenant(never())
                .deadline("1s")
                .took_place(|met| met.relay.count(Kind::Poll) > 6)
                .ends(9, &[("still_queued", 6)], 6)
                .later(9, &[("still_queued", 6)], 6)
                .calls_max(150),
        );
    }
    cases
}

fn what_nobody_asked_for() -> Vec<Case> {
    let fields = detail(|json| {
        json["_embedded"] = json!({"a": null, "b": [null, {"c": [null]}]});
        json["statusHistory"] = json!([{"status": "failed"}, {"status": "queued"}]);
        json["text"] = json!("{\"status\":\"failed\"}");
        json["interfaces"] = json!(null);
        json["hostName"] = json!({"name": null});
    });
    let large = inject(|call| {
        let answer = call.forward();
        let text = String::from_utf8(answer.body.clone()).expect("text");
        let (before, after) = text.split_once(r#""remediationPayload":"{}""#).expect("it has a payload");
        let payload = "MARKED ".repeat(1_500_000);
        call.send(&answer.with_body(format!(r#"{before}"remediationPayload":"{payload}"{after}"#)));
    });
    let object = detail(|json| json["remediationPayload"] = json!({"status": "failed", "agentId": NOBODY}));
    let nulls = detail(|json| {
        for field in ["hostName", "platform", "comments", "statusMessage", "requestId", "action"] {
            json[field] = Value::Null;
        }
    });
    let case = |what: &str, fault| case(51, what).polls(0..3, fault).ends(0, &[("succeeded", 6)], 6);
    vec![
        case("fields that nobody knows in a detail", &fields),
        case("ten megabytes of payload", &large)
            .holds("it is in no report", |met| !met.report.to_string().contains("MARKED")),
        case("a payload that is no text", &object),
        case("null wherever it may be", &nulls),
    ]
}

fn ambiguous_json() -> Vec<Case> {
    let spoiled = |change: fn(&str) -> String| {
        inject(move |call| {
            let answer = call.forward();
            let text = String::from_utf8(answer.body.clone()).expect("text");
            call.send(&answer.with_body(change(&text)));
        })
    };
    let mut cases = Vec::new();
    for (what, fault) in [
        ("the status twice in a detail", spoiled(|text| text.replacen('{', r#"{"status":"failed","#, 1))),
        ("the agent twice in a detail", spoiled(|text| text.replacen('{', r#"{"agentId":"nobody","#, 1))),
        ("a key twice deep in a detail", spoiled(|text| text.replacen('{', r#"{"x":{"y":[{"z":1,"z":2}]},"#, 1))),
        ("a number without end in a detail", spoiled(|text| text.replacen('{', r#"{"x":1e999,"#, 1))),
        ("half a character in a detail", spoiled(|text| text.replacen('{', r#"{"x":"\udc00","#, 1))),
        ("a list instead of a detail", spoiled(|text| format!("[{text}]"))),
        ("a text instead of a detail", spoiled(|_| "\"success\"".to_owned())),
        ("two details", spoiled(|text| format!("{text}{text}"))),
    ] {
        cases.push(repeated(52, what, &fault));
    }
    cases
}

fn times() -> Vec<Case> {
    let with = |what: &str, request: Value, execution: Value| {
        let fault = detail(move |json| {
            json["requestTime"] = request.clone();
            json["executionTime"] = execution.clone();
            json["requestTimestamp"] = request.clone();
        });
        case(53, what).polls(0..1000, &fault).ends(0, &[("succeeded", 6)], 6)
    };
    vec![
        with(
            "executed before it was requested",
            json!("2025-02-26T10:18:50.000+00:00"),
            json!("2025-02-26T10:18:49.000+00:00"),
        ),
        with("no time at all", Value::Null, Value::Null),
        with("times that cannot be", json!("2025-02-30T25:61:61Z"), json!("0000-00-00")),
        with("numbers beyond all measure", json!(1e308), json!(-9_223_372_036_854_775_808_i64)),
        with("lists and objects", json!([2025, 2, 26]), json!({"seconds": -1})),
        with("a very long text", json!("9".repeat(100_000)), json!("\u{1b}[2J")),
    ]
}
