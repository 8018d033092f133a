//! Every row of the sent-or-not table, and the shapes of answers that faults produce.

use super::*;

/// What a row of the table comes to, without its message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Class {
    NotSent,
    NotSentForGood,
    Throttled,
    Unauthorized,
    WrongPlace,
    Rejected(u16),
    Unknown,
    Accepted(Vec<&'static str>),
}
use Class::*;

fn class_of(reply: &ActReply) -> Class {
    match reply {
        ActReply::Accepted { ids } => Accepted(ids.iter().map(|id| &*Box::leak(id.clone().into_boxed_str())).collect()),
        ActReply::Rejected { status, .. } => Rejected(*status),
        ActReply::Unreadable { .. } => Unknown,
        ActReply::NotCarriedOut { why, .. } => match why {
            NotCarriedOut::NotSent => NotSent,
            NotCarriedOut::NotSentForGood => NotSentForGood,
            NotCarriedOut::Throttled => Throttled,
            NotCarriedOut::Unauthorized => Unauthorized,
            NotCarriedOut::WrongPlace => WrongPlace,
        },
    }
}

fn answer(status: u16, limited: bool, body: SeenBody) -> Seen {
    Seen::Answer(Answered { status, content_type: Some("application/json".to_owned()), limited, body })
}

fn ids(of: &[&str]) -> SeenBody {
    SeenBody::Ids(of.iter().map(|id| Some((*id).to_owned())).collect())
}

fn every_body() -> Vec<SeenBody> {
    vec![
        ids(&["RTF_a"]),
        ids(&[]),
        SeenBody::NoIds("nope".to_owned()),
        SeenBody::NotJson("<html>".to_owned()),
        SeenBody::Empty,
        SeenBody::DuplicateKey("status".to_owned()),
        SeenBody::TooManyValues,
        SeenBody::CutShort(7),
        SeenBody::TimedOut(7),
        SeenBody::TooLong(9),
    ]
}

#[test]
fn without_an_answer_the_taken_body_decides() {
    let table = [
        (Phase::Local, NotSent),
        (Phase::Lookup, NotSent),
        (Phase::Connect, NotSent),
        (Phase::Tls, NotSent),
        (Phase::Certificate, NotSentForGood),
        (Phase::Proxy, NotSentForGood),
        (Phase::After, NotSent),
    ];
    for (phase, not_taken) in table {
        for timed_out in [false, true] {
            for (body_taken, expected) in [(false, not_taken.clone()), (true, Unknown)] {
                let seen = Seen::NoAnswer(NoAnswer { phase, body_taken, timed_out, what: "reset".to_owned() });
                assert_eq!(class_of(&judge(&seen)), expected, "{seen:?}");
            }
        }
    }
}

/// Every status from 100 to 599, with and without limit headers, with every kind of body.
#[test]
fn with_an_answer_the_status_decides_unless_it_is_a_success() {
    for status in 100..=599 {
        for limited in [false, true] {
            for body in every_body() {
                let expected = match status {
                    200..=299 => match &body {
                        SeenBody::Ids(ids) if ids.is_empty() => Accepted(vec![]),
                        SeenBody::Ids(_) => Accepted(vec!["RTF_a"]),
                        _ => Unknown,
                    },
                    401 => Unauthorized,
                    404 | 405 | 410 | 415 => WrongPlace,
                    429 => Throttled,
                    409 => {
                        if limited {
                            Throttled
                        } else {
                            Unknown
                        }
                    }
                    400 | 403 | 413 | 422 => match &body {
                        SeenBody::NoIds(_) | SeenBody::Empty => Rejected(status),
                        SeenBody::DuplicateKey(_) | SeenBody::TooManyValues => Rejected(status),
                        SeenBody::Ids(ids) if ids.is_empty() => Rejected(status),
                        _ => Unknown,
                    },
                    _ => Unknown,
                };
                let seen = answer(status, limited, body);
                assert_eq!(class_of(&judge(&seen)), expected, "{seen:?}");
            }
        }
    }
}

/// Written out by hand, so that the loop above and the function cannot be wrong together.
#[test]
fn the_rows_that_hurt_most() {
    let words = || SeenBody::NoIds("no".to_owned());
    let table = [
        ("redirect", answer(302, false, SeenBody::Empty), Unknown),
        ("redirect that repeats the method", answer(307, false, SeenBody::Empty), Unknown),
        ("plain conflict", answer(409, false, words()), Unknown),
        ("conflict with limit headers", answer(409, true, words()), Throttled),
        ("service unavailable that says when to come back", answer(503, true, words()), Unknown),
        ("bad gateway", answer(502, false, SeenBody::NotJson("<html>".to_owned())), Unknown),
        ("gateway timeout", answer(504, false, SeenBody::Empty), Unknown),
        ("proxy refusal that is an answer to the act", answer(407, false, SeenBody::Empty), Unknown),
        ("request timeout", answer(408, false, SeenBody::Empty), Unknown),
        ("error that names ids", answer(500, false, ids(&["RTF_a"])), Unknown),
        ("captive portal", answer(200, false, SeenBody::NotJson("<html>log in".to_owned())), Unknown),
        ("no content", answer(204, false, SeenBody::Empty), Unknown),
        ("ids null", answer(200, false, SeenBody::NoIds("{\"remediationIds\":null}".to_owned())), Unknown),
        ("bad token whose answer was cut", answer(401, false, SeenBody::CutShort(3)), Unauthorized),
        ("one bad item", answer(400, false, words()), Rejected(400)),
        ("created", answer(201, false, ids(&["RTP_a", "RTP_b"])), Accepted(vec!["RTP_a", "RTP_b"])),
    ];
    for (name, seen, expected) in table {
        assert_eq!(class_of(&judge(&seen)), expected, "{name}");
    }
}

/// Whoever filters answers on their way back says no to an act that may have been carried out.
#[test]
fn a_refusal_that_may_be_a_filters_is_unknown() {
    let xml = "<?xml version=\"1.0\"?><RESPONSE><CODE>1905</CODE></RESPONSE>";
    let page = || SeenBody::NotJson("<html><h1>Blocked</h1>".to_owned());
    let text = |text: &str| SeenBody::NotJson(text.to_owned());
    let json = || SeenBody::NoIds("no".to_owned());
    let table = [
        (Some("application/json"), json(), true),
        (None, json(), true),
        (Some("text/xml"), text(xml), true),
        (Some("text/plain"), text("no such action"), true),
        (None, text("no such action"), true),
        (Some("application/json"), SeenBody::Empty, true),
        (None, SeenBody::Empty, true),
        (Some("application/json"), ids(&[]), true),
        (Some("text/html"), page(), false),
        (Some("text/html; charset=utf-8"), text("blocked"), false),
        (Some("Text/HTML ;charset=utf-8"), SeenBody::Empty, false),
        (Some("text/html"), json(), false),
        (Some("application/xhtml+xml"), text(xml), false),
        (Some("application/json"), page(), false),
        (None, page(), false),
        (None, text("\u{feff}\n<!-- x --><!DOCTYPE HTML>\n<title>x"), false),
        (None, text("<?xml version=\"1.0\"?><HTML xmlns=\"x\">"), false),
        (Some("application/json"), SeenBody::CutShort(7), false),
        (Some("application/json"), SeenBody::TimedOut(7), false),
        (Some("application/json"), SeenBody::TooLong(7), false),
        (Some("application/json"), ids(&["RTF_a"]), false),
    ];
    for (kind, body, own) in table {
        for status in [400, 403, 413, 422] {
            let content_type = kind.map(str::to_owned);
            let seen = Seen::Answer(Answered { status, content_type, limited: false, body: body.clone() });
            let expected = if own { Rejected(status) } else { Unknown };
            assert_eq!(class_of(&judge(&seen)), expected, "{seen:?}");
        }
        // A path that is not there is not there, whoever says so.
        for status in [404, 405, 410, 415] {
            let content_type = kind.map(str::to_owned);
            let seen = Seen::Answer(Answered { status, content_type, limited: false, body: body.clone() });
            assert_eq!(class_of(&judge(&seen)), WrongPlace, "{seen:?}");
        }
    }
}

#[test]
fn ids_that_cannot_be_used_keep_their_place() {
    let long = "a".repeat(ID_BYTES_MAX + 1);
    let body = SeenBody::Ids(
        [Some("RTF_1"), None, Some(""), Some("../x"), Some("RTF#2"), Some(&long), Some("http://h/"), Some("a\r\nb")]
            .into_iter()
            .map(|id| id.map(str::to_owned))
            .collect(),
    );
    let expected = Accepted(vec!["RTF_1", "", "", "", "RTF#2", "", "", ""]);
    assert_eq!(class_of(&judge(&answer(200, false, body))), expected);
}

#[test]
fn repeated_ids_stay_repeated() {
    let reply = judge(&answer(200, false, ids(&["RTF_1", "RTF_1"])));
    assert_eq!(class_of(&reply), Accepted(vec!["RTF_1", "RTF_1"]));
}

#[test]
fn more_ids_than_any_batch_has_are_no_answer_to_it() {
    let many = |count| answer(200, false, SeenBody::Ids(vec![Some("RTF_1".to_owned()); count]));
    assert_eq!(class_of(&judge(&many(IDS_MAX))), Accepted(vec!["RTF_1"; IDS_MAX]));
    let ActReply::Unreadable { message } = judge(&many(IDS_MAX + 1)) else { panic!("it must not be accepted") };
    assert_eq!(message, "HTTP 200, application/json: it names 1001 ids, at most 1000 are read");
}

#[test]
fn safe_ids() {
    let longest = "a".repeat(ID_BYTES_MAX);
    let too_long = "a".repeat(ID_BYTES_MAX + 1);
    let good =
        ["RTF_4ea39afb-be5a-47a3-ae66-cdcfe0494007_2-2025_2c3afaac", "a", "a.b", "RTP###1", "-", longest.as_str()];
    let bad =
        ["", ".", "..", ".a", "a/b", "//host", "a b", "a%2e", "é", "a\n", "a\\b", "a?b", "a:b", too_long.as_str()];
    for id in good {
        assert!(safe_id(id), "{id:?} is safe");
    }
    for id in bad {
        assert!(!safe_id(id), "{id:?} is not safe");
    }
}

#[test]
fn messages() {
    let none = |phase, body_taken, timed_out| {
        judge(&Seen::NoAnswer(NoAnswer { phase, body_taken, timed_out, what: "operation timed out".to_owned() }))
    };
    let html = Answered {
        status: 502,
        content_type: Some("text/html".to_owned()),
        limited: false,
        body: SeenBody::NotJson("<html>\r\n  <h1>\u{1b}[31mbad\u{202e} gateway</h1>".to_owned()),
    };
    let refused = answer(403, false, SeenBody::NoIds("agent is not licensed (1905)".to_owned()));
    let table = [
        (none(Phase::Connect, false, true), "cannot connect in time: operation timed out"),
        (none(Phase::After, true, true), "sent, but no answer came in time: operation timed out"),
        (judge(&Seen::Answer(html)), "HTTP 502, text/html: <html> <h1>\u{fffd}[31mbad\u{fffd} gateway</h1>"),
        (judge(&refused), "agent is not licensed (1905)"),
        (judge(&answer(400, false, SeenBody::Empty)), "HTTP 400, application/json: an empty body"),
        (judge(&answer(200, false, SeenBody::CutShort(7))), "HTTP 200, application/json: cut short after 7 bytes"),
        (
            judge(&answer(200, false, SeenBody::DuplicateKey("remediationIds".to_owned()))),
            "HTTP 200, application/json: unreadable, the key \"remediationIds\" comes twice",
        ),
    ];
    for (reply, expected) in table {
        let (ActReply::Rejected { message, .. }
        | ActReply::NotCarriedOut { message, .. }
        | ActReply::Unreadable { message }) = reply
        else {
            panic!("it was accepted")
        };
        assert_eq!(message, expected);
    }
}

#[test]
fn inert_text_is_one_short_line() {
    let table = [
        ("plain", 200, "plain"),
        ("  a \r\n\t b  ", 200, "a b"),
        ("\u{1b}[2J\u{7}\u{0}x\u{9b}", 200, "\u{fffd}[2J\u{fffd}\u{fffd}x\u{fffd}"),
        ("a\u{202e}b\u{2066}c\u{200f}d\u{feff}", 200, "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
        ("héllo wörld", 5, "héllo"),
        ("ab cd", 3, "ab"),
        ("", 5, ""),
    ];
    for (text, chars_max, expected) in table {
        assert_eq!(inert(text, chars_max), expected, "{text:?}");
    }
    assert_eq!(inert(&"x".repeat(10_000), 200).len(), 200);
}
