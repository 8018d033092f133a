//! Faults in the answers to acts, and what stands in their place: rows 25, 26, 35 to 37, 51 and 52.

use crate::case::{Case, DELETE, Met, QUARANTINE, case, held, inject, repeated, unknown, unknown_or_held};
use crate::relay::{Exchange, Inject, Kind};
use crate::wire::Answer;
use quell::simulator::{Delay, Options};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    [redirects(), pages(), fewer_ids(), odd_ids(), shuffled_ids(), what_nobody_asked_for(), ambiguous_json()]
        .into_iter()
        .flatten()
        .collect()
}

/// An answer to act with, after it was carried out: made of what the tenant answered.
fn instead(change: impl Fn(&Answer) -> Answer + Send + Sync + 'static) -> Inject {
    inject(move |call| {
        let answer = call.forward();
        call.send(&change(&answer));
    })
}

/// The same, for one that only changes the ids.
fn ids(change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> Inject {
    instead(move |answer| {
        let mut json = answer.json();
        let ids = json["remediationIds"].as_array_mut().expect("ids");
        change(ids);
        answer.clone().with_body(json.to_string())
    })
}

/// To the same path of another origin, and to the very same place, where it would be carried out once more.
fn redirects() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        type Place = fn(&Exchange<'_>) -> String;
        let places: [(&str, Place); 3] = [
            ("another host", |call| format!("{}{}", call.elsewhere(), call.request.target())),
            ("the same host", |call| call.request.target().to_owned()),
            ("the same host's login", |_| "/login".to_owned()),
        ];
        for (turn, (where_to, place)) in places.into_iter().enumerate() {
            let moved = move |call: &mut Exchange<'_>| {
                let location = place(call);
                call.send(&Answer::new(status, &[("location", &location)], ""));
            };
            let after = inject(move |call| {
                call.forward();
                moved(call);
            });
            cases.push(unknown_or_held(turn, 25, &format!("{status} to {where_to}"), true, &after));
            cases.push(repeated(25, &format!("{status} to {where_to}, of a poll"), &inject(moved)));
        }
    }
    cases
}

/// What proxies, portals and filters put in the place of an answer, with signs that act on a terminal.
fn pages() -> Vec<Case> {
    const PAGE: &str = "<!DOCTYPE html><html><head><title>\u{1b}[2J\u{1b}]0;owned\u{7}Sign in\u{202e}</title></head>\
                        <body onload=alert(1)>Please accept the terms of this network. \0\u{85}</body></html>";
    let page = |status: u16, kind: &'static str| {
        inject(move |call| {
            let long = format!("{PAGE}{}", "padding ".repeat(500));
            call.send(&Answer::new(status, &[("content-type", kind)], long));
        })
    };
    let message_is_short = |met: &Met<'_>| {
        let reasons = met.of("unknown", "reason");
        // Our own words, and at most 200 characters of theirs.
        !reasons.is_empty() && reasons.iter().all(|reason| reason.chars().count() <= 260)
    };
    let mut cases = Vec::new();
    let kinds = [
        (200, "text/html"),
        (200, "text/html; charset=utf-8"),
        (200, "application/json"),
        (202, "text/html"),
        (203, "text/plain"),
        (400, "text/html"),
        (403, "text/html"),
        (403, "application/json"),
        (500, "text/html"),
        (511, "text/html"),
    ];
    for (turn, (status, kind)) in kinds.into_iter().enumerate() {
        let what = format!("a page with {status} as {kind}");
        let of_act = unknown_or_held(turn, 26, &what, false, &page(status, kind));
        let of_act = of_act.holds("the message is short", message_is_short).holds("it names the kind", move |met| {
            met.of("unknown", "reason").iter().all(|reason| reason.contains(&format!("HTTP {status}, {kind}")))
        });
        cases.push(of_act);
        cases.push(repeated(26, &format!("{what}, of a poll"), &page(status, kind)));
    }
    let login = inject(|call| {
        call.send(&Answer::new(302, &[("location", "/login?next=%2F"), ("content-type", "text/html")], PAGE));
    });
    cases.push(held(26, "302 to a login page", false, &login));
    let after = instead(|_| Answer::new(200, &[("content-type", "text/html")], PAGE));
    cases.push(unknown(26, "a page in place of a good answer", true, &after));
    cases.push(unknown(26, "a success without a body", true, &instead(|_| Answer::new(200, &[], ""))));
    cases.push(unknown(26, "204", true, &instead(|_| Answer::new(204, &[], ""))));
    cases
}

fn fewer_ids() -> Vec<Case> {
    let first_is_missing = ids(|ids| drop(ids.remove(0)));
    let last_is_missing = ids(|ids| drop(ids.pop()));
    let mut cases = Vec::new();
    for (what, fault) in [("the first", &first_is_missing), ("the last", &last_is_missing)] {
        cases.push(
            case(35, format!("{what} id is missing"))
                .acts(0..1, fault)
                .ends(5, &[("unknown", 1), ("succeeded", 5)], 6)
                .holds("nothing was sent again", |met| met.relay.count(Kind::Act) == 3),
        );
        cases.push(
            case(35, format!("{what} id is missing, and acting is held back"))
                .action(DELETE)
                .items(2, 2)
                .acts(0..1, fault)
                .ends(5, &[("unknown", 1), ("succeeded", 1)], 2),
        );
    }
    cases.push(
        case(35, "one id for five items that were carried out, shuffled before")
            .tenant(Options { shuffle_ids: true, fail_percent: 40.0, ..prompt() })
            .items(5, 5)
            .acts(0..1, &ids(|ids| ids.truncate(1)))
            .ends(5, &[("unknown", 4), ("succeeded", 1)], 5)
            .ends(5, &[("unknown", 4), ("failed", 1)], 5),
    );
    cases
}

fn prompt() -> Options {
    Options { settle: Delay::None, ..Options::default() }
}

/// More ids, none, and what is no id: how each is taken stands beside it.
fn odd_ids() -> Vec<Case> {
    let body = |text: &'static str| instead(move |answer| answer.clone().with_body(text));
    let mut cases = Vec::new();
    let texts = [
        ("null instead of ids", r#"{"remediationIds":null}"#),
        ("an object instead of ids", r#"{"remediationIds":{"0":"RTF_1"}}"#),
        ("one text instead of ids", r#"{"remediationIds":"RTF_1"}"#),
        ("a success that says nothing of ids", r#"{"status":"ok"}"#),
        ("a list", r#"["RTF_1","RTF_2"]"#),
        ("a text", r#""RTF_1""#),
        ("an error with status 200", r#"{"errorCode":"500","message":"internal error"}"#),
        ("an empty object", "{}"),
        ("an empty list of ids", r#"{"remediationIds":[]}"#),
    ];
    for (turn, (what, text)) in texts.into_iter().enumerate() {
        cases.push(unknown_or_held(turn, 36, what, true, &body(text)));
    }
    let more = ids(|ids| ids.push(json!("RTF_00000000-0000-4000-8000-00000000beef_2-2025_nobodys")));
    cases.push(case(36, "one id more").acts(0..100, &more).ends(0, &[("succeeded", 6)], 6));
    let foreign_first = ids(|ids| ids.insert(0, json!("RTF_00000000-0000-4000-8000-00000000beef_2-2025_nobodys")));
    cases.push(case(36, "one id more, before the others").acts(0..100, &foreign_first).ends(0, &[("succeeded", 6)], 6));
    let too_many = ids(|ids| ids.extend((0..1_000).map(|n| json!(format!("RTF_{n}")))));
    cases.push(unknown(36, "more ids than an act can have", true, &too_many));
    let twice = ids(|ids| ids[1] = ids[0].clone());
    cases.push(case(36, "the same id twice").acts(0..1, &twice).ends(5, &[("unknown", 1), ("succeeded", 5)], 6));
    let numbers = ids(|ids| *ids = vec![json!(1), json!(2)]);
    cases.push(case(36, "numbers").acts(0..1, &numbers).ends(5, &[("unmatched", 2), ("succeeded", 4)], 6));
    let one_number = ids(|ids| ids[0] = json!(7));
    cases.push(case(36, "a number among ids").acts(0..1, &one_number).ends(
        5,
        &[("unmatched", 1), ("succeeded", 5)],
        6,
    ));
    let nulls = ids(|ids| *ids = vec![Value::Null, json!({}), json!([])]);
    cases.push(case(36, "null, an object and a list").acts(0..1, &nulls).ends(
        5,
        &[("unmatched", 2), ("succeeded", 4)],
        6,
    ));
    let unsafe_ids = ids(|ids| *ids = vec![json!("../../performAction"), json!("//evil.example/x")]);
    cases.push(case(36, "ids that lead elsewhere").acts(0..1, &unsafe_ids).ends(
        5,
        &[("unmatched", 2), ("succeeded", 4)],
        6,
    ));
    let of_another_batch = ids(|ids| *ids = vec![json!("RTF_unknown_1"), json!("RTF_unknown_2")]);
    cases.push(case(36, "ids that nobody knows").deadline("1s").acts(0..1, &of_another_batch).ends(
        4,
        &[("timed_out", 2), ("succeeded", 4)],
        6,
    ));
    cases
}

fn shuffled_ids() -> Vec<Case> {
    let reversed = ids(|ids| ids.reverse());
    let told_by_row = |met: &Met<'_>| {
        met.bench.check_truth(&met.report);
        true
    };
    let failing = || Options { fail_percent: 40.0, ..prompt() };
    let counts = |case: Case| {
        case.ends(4, &[("succeeded", 6), ("failed", 6)], 12)
            .ends(4, &[("succeeded", 7), ("failed", 5)], 12)
            .ends(4, &[("succeeded", 8), ("failed", 4)], 12)
            .ends(4, &[("succeeded", 9), ("failed", 3)], 12)
    };
    let mut cases = vec![
        counts(case(37, "ids come in reverse").tenant(failing()).items(12, 6).acts(0..100, &reversed))
            .holds("each row has the tenant's truth", told_by_row),
        counts(case(37, "ids come in any order").tenant(Options { shuffle_ids: true, ..failing() }).items(12, 6))
            .took_place(|met| met.simulator.options().shuffle_ids)
            .holds("each row has the tenant's truth", told_by_row),
    ];
    // An id that looks as if it were of another agent: its detail is what counts.
    let agents_swapped = ids(|ids| ids.swap(0, 1));
    for action in [QUARANTINE, DELETE] {
        cases.push(
            case(37, format!("the agents in two ids are swapped, {action}"))
                .action(action)
                .acts(0..100, &agents_swapped)
                .ends(0, &[("succeeded", 6)], 6)
                .holds("each row has the tenant's truth", told_by_row),
        );
    }
    cases
}

fn what_nobody_asked_for() -> Vec<Case> {
    let more = |change: fn(&mut Value)| {
        instead(move |answer| {
            let mut json = answer.json();
            change(&mut json);
            answer.clone().with_body(json.to_string())
        })
    };
    let fields = more(|json| {
        json["_links"] = json!({"self": null, "next": [null, [null, {"a": null}]]});
        json["text"] = json!("{\"remediationIds\":[\"RTF_nobodys\"]}");
        json["number"] = json!(1e308);
    });
    let large = instead(|answer| {
        let more = format!("{{\"payload\":\"{}\",", "MARKED ".repeat(1_000_000)).into_bytes();
        answer.clone().with_body([&more, &answer.body[1..]].concat())
    });
    let marked = |answer: &Answer| {
        let body = [b"\xEF\xBB\xBF \r\n", answer.body.as_slice(), b"\r\n\t "].concat();
        answer.clone().with_body(body)
    };
    vec![
        case(51, "fields that nobody knows in an act's answer").acts(0..100, &fields).ends(0, &[("succeeded", 6)], 6),
        case(51, "seven megabytes more in an act's answer")
            .acts(0..1, &large)
            .ends(0, &[("succeeded", 6)], 6)
            .holds("it is in no report", |met| !met.report.to_string().contains("MARKED")),
        case(51, "a byte order mark and white space around an act's answer").acts(0..100, &instead(marked)).ends(
            0,
            &[("succeeded", 6)],
            6,
        ),
    ]
}

/// Texts of which two readers may think differently, or that are no JSON at all.
fn ambiguous_json() -> Vec<Case> {
    let spoiled = |change: fn(&str) -> String| {
        instead(move |answer| {
            let text = String::from_utf8(answer.body.clone()).expect("text");
            answer.clone().with_body(change(&text))
        })
    };
    let mut cases = Vec::new();
    let faults = [
        ("the ids twice", spoiled(|text| text.replacen('{', r#"{"remediationIds":["RTF_other"],"#, 1))),
        (
            "the ids twice, once written with an escape",
            spoiled(|text| text.replacen('{', r#"{"remediation\u0049ds":["RTF_other"],"#, 1)),
        ),
        ("a key twice, deep inside", spoiled(|text| text.replacen('{', r#"{"x":[{"a":1,"a":2}],"#, 1))),
        ("a number without end", spoiled(|text| text.replacen('{', r#"{"x":1e999,"#, 1))),
        ("half a character", spoiled(|text| text.replacen('{', r#"{"x":"\ud800","#, 1))),
        ("a text after the text", spoiled(|text| format!("{text}{text}"))),
        ("a text that ends early", spoiled(|text| text[..text.len() - 1].to_owned())),
        (
            "ten thousand lists in one another",
            spoiled(|text| text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(10_000), "]".repeat(10_000)), 1)),
        ),
        ("a comment", spoiled(|text| format!("/* */{text}"))),
        ("a comma too many", spoiled(|text| text.replace("]}", ",]}"))),
    ];
    for (turn, (what, fault)) in faults.into_iter().enumerate() {
        cases.push(unknown_or_held(turn, 52, what, true, &fault));
    }
    let not_utf8 = instead(|answer| {
        let body = String::from_utf8(answer.body.clone()).expect("text").replacen('{', "{\"x\":\"?\",", 1);
        answer
            .clone()
            .with_body(body.into_bytes().into_iter().map(|b| if b == b'?' { 0xFF } else { b }).collect::<Vec<_>>())
    });
    cases.push(unknown(52, "bytes that are no UTF-8", true, &not_utf8));
    cases
}
