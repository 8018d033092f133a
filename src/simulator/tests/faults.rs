//! Connections that break, and answers that a test writes.

use super::*;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, LOCATION};

/// What a client of one act sees, and what the ledger then holds.
async fn scripted(answer: ScriptedAnswer) -> (Got, Counters) {
    let simulator = Simulator::new(settling_at_once());
    simulator.script(Script { acts: vec![answer], ..Script::default() });
    let got = act(&simulator, &[file(AGENT, 1)]).await;
    let after = act(&simulator, &[file(AGENT, 2)]).await;
    assert_eq!((after.ids().len(), after.broken), (1, None), "only the next act is scripted");
    (got, simulator.counters())
}

#[tokio::test(start_paused = true)]
async fn every_way_an_act_can_end_can_be_made() {
    let genuine = ScriptedAnswer::default;
    let status = |status| ScriptedAnswer { status: Some(status), ..genuine() };
    let text = |body: &'static str| ScriptedAnswer { body: Some(body.into()), ..genuine() };
    let cut = |cut, carry_out| ScriptedAnswer { cut: Some(cut), carry_out, ..genuine() };
    let ids = r#"{"remediationIds":["RTF"#;
    // name, script, status, start of the body, whole, carried out
    let cases = [
        ("genuine", genuine(), 200, ids, true, true),
        ("cut before", ScriptedAnswer::cut_before(), 502, "", true, false),
        ("cut after", ScriptedAnswer::cut_after(), 502, "", true, true),
        ("cut in the body", cut(Cut::MidBody(23), true), 200, ids, false, true),
        ("cut at the body's end", cut(Cut::MidBody(9_999), true), 200, ids, false, true),
        ("cut in an empty body", cut(Cut::MidBody(0), false), 200, "", false, false),
        ("500 though carried out", status(StatusCode::INTERNAL_SERVER_ERROR), 500, ids, true, true),
        ("503 out of nowhere", ScriptedAnswer::of(StatusCode::SERVICE_UNAVAILABLE, "busy"), 503, "busy", true, false),
        ("captive portal", text("<html>"), 200, "<html>", true, true),
        ("redirect", ScriptedAnswer::of(StatusCode::FOUND, ""), 302, "", true, false),
    ];
    for (name, script, status, body, whole, carried_out) in cases {
        let unanswered = script.cut == Some(Cut::Unanswered);
        let cut = script.cut.is_some();
        let (got, counters) = scripted(script).await;
        assert_eq!((got.status.as_u16(), got.whole), (status, whole), "{name}");
        assert!(if body.is_empty() { got.body.is_empty() } else { got.body.starts_with(body) }, "{name}: {}", got.body);
        assert_eq!(got.broken, unanswered.then_some(Broken { carried_out }), "{name}");
        assert_eq!(counters.carried_out, 1 + u64::from(carried_out), "{name}");
        let broken = (u64::from(!carried_out && unanswered), u64::from(carried_out && cut));
        assert_eq!((counters.broken_before, counters.broken_after), broken, "{name}");
        let Counters { posts, acts_carried_out, refused, throttled, unauthorized, broken_before, untouched, .. } =
            counters;
        let accounted = acts_carried_out + refused + throttled + unauthorized + broken_before + untouched;
        assert_eq!(posts, accounted, "{name}: every act counts once");
    }
}

#[tokio::test(start_paused = true)]
async fn scripted_headers_replace_genuine_ones_and_delays_come_after_the_deed() {
    let answer = ScriptedAnswer { delay: Duration::from_secs(90), ..ScriptedAnswer::default() }
        .with_header(CONTENT_TYPE, HeaderValue::from_static("text/html"))
        .with_header(LOCATION, HeaderValue::from_static("/login"));
    let start = tokio::time::Instant::now();
    let (got, counters) = scripted(answer).await;
    assert_eq!((start.elapsed(), counters.carried_out), (Duration::from_secs(90), 2));
    let types: Vec<&[u8]> = got.headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes).collect();
    assert_eq!((types, got.header("location")), (vec![b"text/html".as_slice()], Some("/login")));
}

#[tokio::test(start_paused = true)]
async fn a_scripted_act_that_is_wrong_is_refused_all_the_same() {
    let simulator = Simulator::new(Options::default());
    simulator.script(Script { acts: vec![ScriptedAnswer::cut_after()], ..Script::default() });
    let got = act(&simulator, &[]).await;
    let counters = simulator.counters();
    assert_eq!(got.broken, Some(Broken { carried_out: false }));
    assert_eq!((counters.refused, counters.carried_out, counters.broken_before, counters.broken_after), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn polls_have_a_queue_of_their_own() {
    let simulator = Simulator::new(settling_at_once());
    let lie = ScriptedAnswer { body: Some(r#"{"status":"Success "}"#.into()), ..ScriptedAnswer::default() };
    simulator.script(Script {
        polls: vec![ScriptedAnswer::cut_before(), ScriptedAnswer::default(), lie],
        ..Script::default()
    });
    let id = act(&simulator, &[file(AGENT, 1)]).await.ids().remove(0);
    assert!(poll(&simulator, &id).await.broken.is_some());
    assert_eq!(poll(&simulator, &id).await.json()["status"], "success");
    assert_eq!(poll(&simulator, &id).await.json(), json!({"status": "Success "}));
    let counters = simulator.counters();
    assert_eq!((counters.gets, counters.broken_polls, counters.broken_before), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_script_lets_fail_fails_whenever_it_comes_and_the_ledger_says_when() {
    let settle = Delay::Fixed(Duration::from_millis(300));
    let simulator = Simulator::new(Options { settle, never_settle_percent: 100.0, ..Options::default() });
    let before = act(&simulator, &[file(AGENT, 1)]).await.ids().remove(0);
    let named = |action: &str, agent: &str| (action.to_owned(), agent.to_owned());
    let failing = vec![named("quarantine-file", AGENT), named("delete-file", "other")];
    simulator.script(Script { failing, ..Script::default() });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failed = act(&simulator, &[file(AGENT, 2)]).await.ids().remove(0);
    let other = act(&simulator, &[file("other", 3)]).await.ids().remove(0);
    tokio::time::sleep(Duration::from_millis(299)).await;
    assert_eq!(poll(&simulator, &failed).await.json()["status"], "queued");
    tokio::time::sleep(Duration::from_millis(1)).await;
    for (id, status) in [(before, "queued"), (failed, "failed"), (other, "queued")] {
        assert_eq!(poll(&simulator, &id).await.json()["status"], status);
    }
    let times: Vec<_> =
        simulator.ledger().entries.iter().map(|entry| (entry.accepted_ms, entry.fate, entry.settles_ms)).collect();
    let never = |accepted| (accepted, Fate::NeverSettles, None);
    assert_eq!(times, [never(0), (1_000, Fate::Fails, Some(1_300)), never(1_000)]);
}

#[tokio::test(start_paused = true)]
async fn so_many_connections_break_and_the_ledger_knows_when() {
    let simulator = Simulator::new(Options {
        break_before_percent: 20.0,
        break_after_percent: 25.0,
        break_poll_percent: 10.0,
        ..settling_at_once()
    });
    let (mut before, mut after, mut polls) = (0, 0, 0);
    for n in 0..500 {
        match act(&simulator, &[file(AGENT, n)]).await.broken {
            Some(Broken { carried_out: false }) => before += 1,
            Some(Broken { carried_out: true }) => after += 1,
            None => {}
        }
        polls += u64::from(poll(&simulator, "none").await.broken.is_some());
    }
    let counters = simulator.counters();
    assert_eq!((before, after, polls), (counters.broken_before, counters.broken_after, counters.broken_polls));
    assert_eq!((before, after, polls), (100, 106, 55));
    assert_eq!(counters.carried_out, 500 - before);
    assert!(simulator.ledger().carried_out_more_than_once().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_item_shows_the_statuses_that_are_scripted_for_it_and_no_other_does() {
    let simulator = Simulator::new(Options { settle: Delay::None, ..Options::default() });
    let item = SimItem {
        action_id: 9002,
        agent_id: AGENT.to_owned(),
        event_id: "event-1".to_owned(),
        event_type: crate::tenant::EventType::File,
        pid: 0,
        unique_id: "-1".to_owned(),
    };
    let statuses = ["queued", "queued", "failed"].map(str::to_owned).to_vec();
    simulator.script(Script { items: vec![ScriptedItem { item, statuses }], ..Script::default() });
    let ids = act(&simulator, &[file(AGENT, 1), file(AGENT, 2)]).await.ids();
    let mut seen = Vec::new();
    for id in [&ids[0], &ids[0], &ids[0], &ids[0], &ids[1]] {
        let detail = poll(&simulator, id).await.json();
        seen.push(detail["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["queued", "queued", "failed", "failed", "success"]);
    let fates: Vec<Fate> = simulator.ledger().entries.iter().map(|entry| entry.fate).collect();
    assert_eq!(fates, [Fate::Fails, Fate::Succeeds]);
}
