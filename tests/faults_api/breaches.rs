//! The checker is checked: after a good run, each invariant is broken on purpose, and that has to be seen.

use crate::bench::{Bench, Done};
use crate::case::{self, CANARY, case, inject};
use crate::invariants::{self, Scene};
use crate::wire::Answer;
use quell::simulator::{Delay, Options};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Six items, of which the tenant carries out all, and one fails.
fn good() -> (Bench, Done) {
    let options = Options { settle: Delay::None, forbidden_agents: [agent(5)].into(), ..Options::default() };
    let (bench, _) = Bench::serving(options);
    bench.events(6);
    bench.change_tenant("batch_size: 50", "batch_size: 5");
    let done = bench.done(bench.run(&["--report", "json=r.json"]));
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    bench.check_truth(&bench.report("r.json"));
    (bench, done)
}

fn agent(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

fn scene<'a>(bench: &'a Bench, done: &'a Done) -> Scene<'a> {
    let long = Duration::from_secs(60);
    Scene {
        bench,
        done,
        report: "r.json",
        secret: CANARY,
        secret_is_in: &[],
        strangers: 0,
        acts: 2,
        polls: 5,
        calls_max: 7,
        took: Duration::ZERO,
        time_max: long,
    }
}

/// Replaces text in the JSON report; it has to be there.
fn report_says(bench: &Bench, from: &str, to: &str) {
    let text = std::fs::read_to_string(bench.path("r.json")).expect("the report is there");
    assert!(text.contains(from), "{from:?} is not in {text}");
    std::fs::write(bench.path("r.json"), text.replacen(from, to, 1)).expect("it is written");
}

/// Acts past the binary, as a client would that does it twice, with this comment.
fn act(bench: &Bench, n: usize, comment: &str) {
    let address = bench.url.strip_prefix("http://").expect("an http URL");
    let (agent, unique) = (agent(n), 7_000_000_000_000_usize + n);
    let body = format!(
        r#"[{{"actionId":9002,"agentId":"{agent}","eventId":"RTF_{n}_1","eventType":"FILE","pid":0,"uniqueId":"{unique}"}}]"#
    );
    let mut stream = TcpStream::connect(address).expect("the tenant listens");
    let head = format!(
        "POST /ioc/v1/remediation-actions/performAction?user=u&userId=i&comment={comment} HTTP/1.1\r\nhost: t\r\n\
         authorization: Bearer x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("it is asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn every_breach_is_seen() {
    type Breach = fn(&Bench, &mut Scene<'_>);
    let breaches: [(&str, &str, Breach); 17] = [
        ("I1: ", "an item is carried out twice", |bench, _| {
            act(bench, 0, &format!("[quell {}/1]", id(bench)).replace(' ', "%20"));
        }),
        ("I4: ", "an act without an intent", |bench, _| {
            act(bench, 0, &format!("[quell {}/7]", id(bench)).replace(' ', "%20"));
        }),
        ("I4: ", "an act without a comment", |bench, _| act(bench, 0, "")),
        ("I4: ", "an act in whose intent it is not", |bench, _| {
            act(bench, 0, &format!("[quell {}/2]", id(bench)).replace(' ', "%20"));
        }),
        ("I4: ", "an act more than intents", |_, scene| (scene.acts, scene.calls_max) = (3, 100)),
        ("I2: ", "an item is missing", |bench, _| report_says(bench, "{\"item\":0,", "{\"item\":9,")),
        ("I2: ", "the summary counts one too many", |bench, _| {
            report_says(bench, "\"succeeded\":5,", "\"succeeded\":6,");
        }),
        ("I2: ", "a row is missing", |bench, _| report_says(bench, "\"rows\":6,", "\"rows\":7,")),
        ("I3: ", "a success that is none", |bench, _| {
            report_says(bench, "\"outcome\":\"rejected\"", "\"outcome\":\"succeeded\"");
        }),
        ("I3: ", "carried out and said to be rejected", |bench, _| {
            report_says(bench, "\"outcome\":\"succeeded\"", "\"outcome\":\"rejected\"");
        }),
        ("I3: ", "the id of something else", |bench, _| {
            report_says(bench, "\"remediation_id\":\"RTF", "\"remediation_id\":\"RTX");
        }),
        ("I5: ", "another exit code in the report", |bench, _| {
            report_says(bench, "\"exit_code\":4", "\"exit_code\":0")
        }),
        ("I5: ", "outcomes that make another code", |bench, _| {
            report_says(bench, "\"outcome\":\"rejected\"", "\"outcome\":\"unknown\"");
        }),
        ("I6: ", "the token is in a file", |bench, _| {
            std::fs::create_dir_all(bench.path("a/b")).expect("a folder");
            std::fs::write(bench.path("a/b/c"), format!("\u{0}{CANARY}")).expect("a file");
        }),
        ("I7: ", "a connection to another origin", |_, scene| scene.strangers = 1),
        ("I8: ", "a call too many", |_, scene| scene.calls_max = 6),
        ("I10: ", "a sign that acts", |bench, _| {
            std::fs::write(bench.path("r.csv"), "a,b\r\nc,\u{1b}[2J\r\n").expect("a file");
        }),
    ];
    let (bench, done) = good();
    assert_eq!(invariants::check(&scene(&bench, &done)), Vec::<String>::new());
    for (name, what, breach) in breaches {
        let (bench, done) = good();
        let mut scene = scene(&bench, &done);
        breach(&bench, &mut scene);
        let broken = invariants::check(&scene);
        assert!(broken.iter().any(|broken| broken.starts_with(name)), "{what}: {broken:?}");
    }
}

fn id(bench: &Bench) -> String {
    bench.report("r.json")["run"]["id"].as_str().expect("a name").to_owned()
}

#[test]
fn a_fault_that_does_not_take_place_and_an_end_that_is_not_expected_fail_their_case() {
    let unavailable = inject(|call| call.send(&Answer::new(503, &[], "")));
    let never = case(0, "beyond all acts").acts(50..51, &unavailable).ends(0, &[("succeeded", 6)], 6);
    assert_eq!(sentences(&never), ["the fault did not take place"]);
    let otherwise = case(0, "an end that does not come").acts(0..1, &unavailable).ends(0, &[("succeeded", 6)], 6);
    assert!(sentences(&otherwise)[0].starts_with("it ended with Some(5)"), "{:?}", sentences(&otherwise));
}

/// What is wrong, without what was said.
fn sentences(case: &case::Case) -> Vec<String> {
    let mut broken = case.meet();
    broken.pop();
    broken
}
