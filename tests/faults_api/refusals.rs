//! Calls that are refused: for a limit, for the token, for what they are, or because nothing is there. Rows 44, 45, and
//! 47 to 50.

use crate::case::{CANARY, Case, case, held, inject, unknown};
use crate::meeting::Met;
use crate::relay::{Exchange, Inject, Kind};
use crate::wire::Answer;
use quell::simulator::{Delay, Options, ThrottleStatus};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    [limits(), storms(), tokens(), forbidden(), bad_requests(), not_there()].into_iter().flatten().collect()
}

/// An answer that nothing was done for.
fn refuse(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Inject {
    inject(move |call| call.send(&Answer::new(status, headers, body)))
}

const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Who was told to wait waits, and then it is carried out, once.
fn limits() -> Vec<Case> {
    let seconds = Duration::from_secs;
    type Headers = &'static [(&'static str, &'static str)];
    let told: [(&str, u16, Headers, &str, u64); 13] = [
        ("in seconds", 429, &[("retry-after", "2")], "", 2),
        ("in another header", 429, &[("x-ratelimit-towait-sec", "2")], "", 2),
        ("in both headers", 429, &[("x-ratelimit-towait-sec", "1"), ("retry-after", "2")], "", 2),
        ("as a date", 429, &[("retry-after", "Sun, 06 Nov 1994 08:49:39 GMT"), ("date", NOW)], "", 2),
        ("as an old date", 429, &[("retry-after", "Sunday, 06-Nov-94 08:49:39 GMT"), ("date", NOW)], "", 2),
        ("as a date of C", 429, &[("retry-after", "Sun Nov  6 08:49:39 1994"), ("date", NOW)], "", 2),
        ("as a date that has passed", 429, &[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), ("date", NOW)], "", 1),
        ("as rubbish", 429, &[("retry-after", "soon")], "", 1),
        ("as less than nothing", 429, &[("retry-after", "-5")], "", 1),
        ("not at all", 429, &[], "", 1),
        ("with a conflict", 409, &[("x-ratelimit-towait-sec", "2")], "", 2),
        ("with a code for too many at once", 409, &[], r#"{"errorCode":"1960","message":"busy"}"#, 1),
        (
            "with a code for too many",
            409,
            &[],
            "<SIMPLE_RETURN><RESPONSE><CODE>1965</CODE></RESPONSE></SIMPLE_RETURN>",
            1,
        ),
    ];
    let mut cases = Vec::new();
    for (what, status, headers, body, wait) in told {
        let fault = refuse(status, headers, body);
        cases.push(
            case(44, format!("an act is told {what} how long to wait"))
                .acts(0..1, &fault)
                .ends(0, &[("succeeded", 6)], 6)
                .holds("one act more, after the wait", move |met| {
                    met.relay.count(Kind::Act) == 4 && waited(met, Kind::Act, 0, seconds(wait))
                }),
        );
        cases.push(
            case(44, format!("a poll is told {what} how long to wait"))
                .items(6, 6)
                .polls(0..1, &fault)
                .ends(0, &[("succeeded", 6)], 6)
                .holds("everybody waited", move |met| waited(met, Kind::Poll, 0, seconds(wait))),
        );
    }
    cases.push(
        case(44, "a storm of refusals")
            .acts(0..3, &refuse(429, &[("retry-after", "1")], ""))
            .ends(0, &[("succeeded", 6)], 6)
            .holds("three acts more, each after a longer wait", move |met| {
                met.relay.count(Kind::Act) == 6 && (0..3).all(|n| waited(met, Kind::Act, n, seconds(1 << n)))
            })
            .slow(),
    );
    cases.push(
        case(44, "all callers share one gate")
            .items(12, 1)
            .concurrency(4)
            .acts(4..5, &refuse(429, &[("retry-after", "2")], ""))
            .ends(0, &[("succeeded", 12)], 12)
            .holds("nobody called meanwhile", |met| {
                // Calls in flight may have arrived after it, and no others.
                met.pauses().iter().skip(4).any(|pause| *pause > Duration::from_millis(1_800))
            }),
    );
    for (what, header) in
        [("for ever", "99999999999999999999"), ("until the year 2099", "Fri, 06 Nov 2099 08:49:37 GMT")]
    {
        let fault = inject(move |call| call.send(&Answer::new(429, &[("retry-after", header), ("date", NOW)], "")));
        cases.push(
            case(44, format!("it is told to wait {what}"))
                .acts(0..1000, &fault)
                .meanwhile(|going, relay, _| {
                    assert!(going.wait_until(|| relay.fired() > 0));
                    std::thread::sleep(Duration::from_secs(2));
                    going.signal(Signal::INT);
                })
                .ends(6, &[("not_started", 6)], 0)
                .later(0, &[("succeeded", 6)], 6)
                .holds("one act", |met| met.relay.count(Kind::Act) == 1),
        );
    }
    for status in [ThrottleStatus::TooManyRequests, ThrottleStatus::Conflict] {
        let limited = Options {
            settle: Delay::None,
            requests: Some("3/s".parse().expect("a rate")),
            throttle_status: status,
            refusals_cost: true,
            ..Options::default()
        };
        cases.push(
            case(44, format!("a tenant with limits that its file does not tell of, {status:?}"))
                .tenant(limited)
                .edit("requests: 3/s", "requests: unlimited")
                .items(8, 1)
                // More at once than the tenant takes in a second: its answers cannot teach that before.
                .concurrency(8)
                .took_place(|met| met.simulator.counters().throttled > 0)
                .ends(0, &[("succeeded", 8)], 8)
                .holds("few were refused", |met| met.simulator.counters().throttled <= 8),
        );
    }
    let conflict = refuse(409, &[], r#"{"message":"conflict"}"#);
    cases.push(unknown(44, "a conflict that speaks of no limit", false, &conflict));
    cases
}

/// After the call of that kind and number the next one of any kind came no sooner, and not much later.
fn waited(met: &Met<'_>, kind: Kind, number: usize, wait: Duration) -> bool {
    let places: Vec<usize> = (0..met.calls.len()).filter(|place| met.calls[*place].kind == kind).collect();
    let pauses = met.pauses();
    let pause = places.get(number).and_then(|place| pauses.get(*place));
    // The clock of the run counts whole milliseconds.
    pause.is_some_and(|pause| *pause + Duration::from_millis(2) > wait && *pause < wait * 2 + Duration::from_secs(10))
}

fn storms() -> Vec<Case> {
    let mut cases = Vec::new();
    type Headers = &'static [(&'static str, &'static str)];
    let storms: [(&str, u16, Headers); 4] = [
        ("503", 503, &[]),
        ("503 with a time to wait", 503, &[("retry-after", "1")]),
        ("500", 500, &[]),
        ("408", 408, &[]),
    ];
    for (what, status, headers) in storms {
        // Where it is told to wait, everybody waits twice as long each time.
        let polls = if headers.is_empty() { 9 } else { 2 };
        let fault = refuse(status, headers, "busy");
        cases.push(unknown(45, &format!("one {what}"), false, &fault));
        cases.push(
            case(45, format!("a storm of {what}"))
                .acts(0..1000, &fault)
                .ends(5, &[("unknown", 4), ("not_started", 2)], 0)
                .later(5, &[("unknown", 4), ("succeeded", 2)], 2)
                .holds("no act was sent again", |met| met.relay.count(Kind::Act) == 2),
        );
        cases.push(
            case(45, format!("a storm of {what} held back"))
                .action(crate::case::DELETE)
                .acts(0..1000, &fault)
                .ends(5, &[("unknown", 2), ("not_started", 4)], 0)
                .later(5, &[("unknown", 2), ("not_started", 4)], 0)
                .holds("one act", |met| met.relay.count(Kind::Act) == 1),
        );
        cases.push(
            case(45, format!("a storm of {what} over polls"))
                .polls(0..polls, &fault)
                .ends(0, &[("succeeded", 6)], 6)
                .holds("each poll was made again", move |met| met.relay.count(Kind::Poll) == 6 + polls),
        );
    }
    let after = inject(|call| {
        call.forward();
        call.send(&Answer::new(503, &[("retry-after", "1")], ""));
    });
    cases.push(unknown(45, "503 after it was carried out", true, &after));
    cases.push(held(45, "503 after it was carried out", true, &after));
    cases
}

/// A token file that the relay, as whoever rotates tokens would, replaces when the old one is refused.
fn tokens() -> Vec<Case> {
    fn renew(call: &mut Exchange<'_>) {
        let path = call.folder().join("token");
        std::fs::write(&path, format!("{CANARY}.renewed")).expect("a token");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode is set");
        call.send(&Answer::new(401, &[], r#"{"authentication_exceptions":["FailedLoginException"]}"#));
    }
    let renewed = inject(renew);
    let refused = refuse(401, &[("content-type", "text/html")], "<html>who are you</html>");
    let with_file = |what: &str| {
        case(47, what)
            .edit("auth: {token_env: QUELL_TOKEN}", "auth: {token_file: token}")
            .file("token", format!("{CANARY}.first"))
    };
    let new_token = |met: &Met<'_>| {
        let last = met.calls.last().expect("a call");
        last.head.contains(&format!("authorization: Bearer {CANARY}.renewed\r\n"))
    };
    let mut cases = vec![
        with_file("the first act's token is refused")
            .acts(0..1, &renewed)
            .ends(0, &[("succeeded", 6)], 6)
            .holds("one act more", |met| met.relay.count(Kind::Act) == 4)
            .holds("the new token was read", new_token),
        with_file("a token is refused in the middle")
            .acts(1..2, &renewed)
            .ends(0, &[("succeeded", 6)], 6)
            .holds("one act more", |met| met.relay.count(Kind::Act) == 4)
            .holds("the new token was read", new_token),
        with_file("a token is refused to a poll")
            .polls(2..3, &renewed)
            .ends(0, &[("succeeded", 6)], 6)
            .holds("one poll more", |met| met.relay.count(Kind::Poll) == 7)
            .holds("the new token was read", new_token),
        with_file("two acts in flight are refused one token")
            .concurrency(2)
            .acts(
                0..2,
                &inject(|call| {
                    std::thread::sleep(Duration::from_millis(200));
                    renew(call);
                }),
            )
            .ends(0, &[("succeeded", 6)], 6)
            .holds("two acts more", |met| met.relay.count(Kind::Act) == 5),
    ];
    cases.push(
        case(47, "every token is refused")
            .acts(0..1000, &refused)
            .ends(8, &[("not_started", 6)], 0)
            .later(0, &[("succeeded", 6)], 6)
            .holds("one attempt more", |met| met.relay.count(Kind::Act) == 2),
    );
    cases.push(
        case(47, "every token is refused in the middle")
            .acts(1..1000, &refused)
            .polls(0..1000, &refused)
            .ends(8, &[("open", 2), ("not_started", 4)], 2)
            .later(0, &[("succeeded", 6)], 6),
    );
    cases.push(
        case(47, "every token is refused to polls")
            .items(6, 6)
            .polls(0..1000, &refused)
            .ends(8, &[("open", 6)], 6)
            .later(0, &[("succeeded", 6)], 6)
            .holds("one attempt more", |met| met.relay.count(Kind::Poll) == 2),
    );
    cases
}

fn forbidden() -> Vec<Case> {
    let agent = "00000000-0000-4000-8000-000000000003";
    let forbids = || Options { settle: Delay::None, forbidden_agents: [agent.to_owned()].into(), ..Options::default() };
    let says_why = |met: &Met<'_>| {
        met.of("rejected", "status").iter().all(|status| status == "HTTP 403")
            && met.of("rejected", "status_message").iter().all(|words| words.contains("no permission for agent"))
    };
    let mut cases = Vec::new();
    for action in [crate::case::QUARANTINE, crate::case::DELETE] {
        cases.push(
            case(48, format!("one host of three acts is forbidden, {action}"))
                .action(action)
                .tenant(forbids())
                .took_place(|met| met.simulator.counters().refused == 1)
                .ends(4, &[("rejected", 2), ("succeeded", 4)], 4)
                .later(4, &[("rejected", 2), ("succeeded", 4)], 4)
                .holds("it says why", says_why)
                .holds("three acts", |met| met.relay.count(Kind::Act) == 3),
        );
    }
    cases.push(
        case(48, "one host of one act is forbidden")
            .items(6, 6)
            .tenant(forbids())
            .took_place(|met| met.simulator.counters().refused == 1)
            .ends(4, &[("rejected", 6)], 0)
            .holds("it says why", says_why)
            .holds("one act", |met| met.relay.count(Kind::Act) == 1),
    );
    cases
}

/// The act that names one event is refused whole, and nobody takes it to pieces.
fn bad_requests() -> Vec<Case> {
    let mut cases = Vec::new();
    for (status, body) in [
        (400, r#"{"errorCode":"400","message":"event 2: uniqueId is not known"}"#),
        (422, r#"{"_error":{"code":"EDR-1","message":"event 2: uniqueId is not known"}}"#),
        (413, "event 2: uniqueId is not known"),
        (400, "<SIMPLE_RETURN><TEXT>event 2: uniqueId is not known</TEXT></SIMPLE_RETURN>"),
    ] {
        let bad = inject(move |call| {
            let is_bad = String::from_utf8_lossy(&call.request.body).contains("RTF_3_1");
            if is_bad { call.send(&Answer::new(status, &[], body)) } else { call.pass() }
        });
        cases.push(
            case(49, format!("one event of three acts is bad, {status} {}", &body[..1]))
                .acts(0..1000, &bad)
                .ends(4, &[("rejected", 2), ("succeeded", 4)], 4)
                .later(4, &[("rejected", 2), ("succeeded", 4)], 4)
                .holds("three acts", |met| met.relay.count(Kind::Act) == 3)
                .holds("it says why", |met| {
                    let words = met.of("rejected", "status_message");
                    words.len() == 2 && words.iter().all(|words| words.contains("event 2: uniqueId is not known"))
                }),
        );
    }
    cases
}

fn not_there() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [404, 405, 410, 415] {
        let gone =
            inject(move |call| call.send(&Answer::new(status, &[("content-type", "text/html")], "<html>?</html>")));
        for version in ["v1", "unversioned"] {
            cases.push(
                case(50, format!("{status} in the place of the API, {version}"))
                    .edit("api_version: v1", format!("api_version: {version}"))
                    .acts(0..1000, &gone)
                    .ends(8, &[("not_started", 6)], 0)
                    .later(0, &[("succeeded", 6)], 6)
                    .holds("one act", |met| met.calls.len() == 1),
            );
        }
        cases.push(
            case(50, format!("{status} from the second act on"))
                .acts(1..1000, &gone)
                .ends(8, &[("succeeded", 2), ("not_started", 4)], 2)
                .later(0, &[("succeeded", 6)], 6)
                .holds("two acts", |met| met.relay.count(Kind::Act) == 2),
        );
    }
    cases
}
