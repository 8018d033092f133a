//! Faults of the network: rows 19 to 24, 27, and 29 to 34.

use crate::bench::Bench;
use crate::case::{Case, DELETE, Met, case, facts, held, inject, repeated, unknown, unknown_or_held};
use crate::namespaces::{self, with_own_names};
use crate::relay::{Deed, Inject, Kind, Reach, Relay};
use crate::wire::Answer;
use quell::engine::fact::{NotCarriedOut, What};
use quell::simulator::{Delay, Options};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let all = [
        nobody_is_there(),
        resets_before_the_request_is_read(),
        carried_out_without_an_answer(),
        too_late(),
        half_an_answer(),
        stale_connections(),
        proxies(),
        names_that_move(),
        slow_and_endless(),
        half_open(),
        http2(),
        broken_ipv6(),
        gone_while_polling(),
    ];
    all.into_iter().flatten().collect()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Acts of which the journal says that they were not sent, in these words.
fn not_sent(met: &Met<'_>, words: &str) -> usize {
    let returned = |fact: &&What| match fact {
        What::Returned { why: NotCarriedOut::NotSent, message, .. } => message.contains(words),
        _ => false,
    };
    met.facts.iter().filter(returned).count()
}

fn nobody_is_there() -> Vec<Case> {
    let mut cases = vec![
        case(19, "connections are refused")
            .reach(Reach::Asleep)
            .took_place(|met| not_sent(met, "cannot connect: Connection refused") == 5)
            .ends(8, &[("not_started", 6)], 0)
            .later(0, &[("succeeded", 6)], 6)
            .slow(),
        case(19, "connections are refused for a moment")
            .reach(Reach::Asleep)
            .meanwhile(|going, relay, bench| {
                assert!(going.wait_until(|| facts(bench).iter().any(|fact| matches!(fact, What::Returned { .. }))));
                relay.heal();
            })
            .took_place(|met| not_sent(met, "cannot connect: Connection refused") > 0)
            .ends(0, &[("succeeded", 6)], 6),
    ];
    if namespaces::can_be_had() {
        cases.push(
            case(19, "the network cannot be reached")
                .wrapped(|_, command, is_over| if is_over { command } else { namespaces::without_network(&command) })
                .took_place(|met| not_sent(met, "cannot connect: Network is unreachable") == 5)
                .ends(8, &[("not_started", 6)], 0)
                .later(0, &[("succeeded", 6)], 6)
                .slow(),
        );
        cases.push(
            case(19, "the tenant's name is not known")
                .url(|relay| relay.url().replace("127.0.0.1", "localhost"))
                .wrapped(|bench, command, is_over| {
                    with_own_names(bench, &command, if is_over { "127.0.0.1 localhost\n" } else { "\n" })
                })
                .took_place(|met| not_sent(met, "the name lookup failed") == 5)
                .ends(8, &[("not_started", 6)], 0)
                .later(0, &[("succeeded", 6)], 6)
                .slow(),
        );
    }
    cases
}

/// In the clear, whether the body was taken is a race with the reset, and either is the truth; with TLS it never is.
fn resets_before_the_request_is_read() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, deed) in [("closed", Deed::Closed), ("reset", Deed::Reset)] {
        cases.push(
            case(20, format!("the connection is {what} before the request is read"))
                .connections(0..1, deed)
                .ends(0, &[("succeeded", 6)], 6)
                .ends(5, &[("unknown", 2), ("succeeded", 4)], 4),
        );
        cases.push(
            case(20, format!("the connection is {what} before the request is read, and acting is held back"))
                .action(DELETE)
                .connections(0..1, deed)
                .ends(0, &[("succeeded", 6)], 6)
                .ends(5, &[("unknown", 2), ("not_started", 4)], 0),
        );
        cases.push(
            case(20, format!("the connection is {what} while TLS is agreed on"))
                .reach(Reach::Tls)
                .action(DELETE)
                .connections(0..1, deed)
                .ends(0, &[("succeeded", 6)], 6)
                .holds("the journal says so", |met| not_sent(met, "") == 1),
        );
    }
    cases.push(
        case(20, "every connection is reset while TLS is agreed on")
            .reach(Reach::Tls)
            .action(DELETE)
            .connections(0..1000, Deed::Reset)
            .ends(8, &[("not_started", 6)], 0)
            .later(0, &[("succeeded", 6)], 6)
            .holds("five attempts", |met| not_sent(met, "") == 5)
            .slow(),
    );
    cases
}

fn carried_out_without_an_answer() -> Vec<Case> {
    let closed = inject(|call| {
        call.forward();
        call.close();
    });
    let reset = inject(|call| {
        call.forward();
        call.reset();
    });
    let mut cases = Vec::new();
    for (what, executes, fault) in [
        ("carried out, and closed without an answer", true, &closed),
        ("carried out, and reset without an answer", true, &reset),
        ("read whole, and closed", false, &inject(|call| call.close())),
        ("read whole, and reset", false, &inject(|call| call.reset())),
    ] {
        cases.extend([unknown(21, what, executes, fault), held(21, what, executes, fault)]);
    }
    cases.push(
        case(21, "carried out with TLS, and closed without an answer").reach(Reach::Tls).acts(0..1, &closed).ends(
            5,
            &[("unknown", 2), ("succeeded", 4)],
            6,
        ),
    );
    cases.push(
        case(21, "two acts in a row are not answered")
            .acts(0..100, &closed)
            .ends(5, &[("unknown", 4), ("not_started", 2)], 4)
            .later(5, &[("unknown", 4), ("succeeded", 2)], 6)
            .holds("two acts", |met| met.relay.count(Kind::Act) == 2),
    );
    cases.push(
        case(21, "all acts in flight are not answered")
            .action(DELETE)
            .items(12, 2)
            .concurrency(3)
            .acts(
                0..100,
                &inject(|call| {
                    std::thread::sleep(ms(300));
                    call.forward();
                    call.close();
                }),
            )
            .ends(5, &[("unknown", 6), ("not_started", 6)], 6)
            .later(5, &[("unknown", 6), ("not_started", 6)], 6),
    );
    cases
}

fn too_late() -> Vec<Case> {
    let late = inject(|call| {
        let answer = call.forward();
        std::thread::sleep(ms(3_000));
        call.send(&answer);
    });
    let never = inject(|call| call.hold());
    let mut cases = Vec::new();
    for (what, executes, fault) in
        [("the answer comes after the time limit", true, &late), ("no answer comes", false, &never)]
    {
        cases.extend([unknown(22, what, executes, fault), held(22, what, executes, fault)]);
    }
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|case| {
            case.hurried().holds("the report says so", |met| {
                met.of("unknown", "reason").iter().all(|reason| reason.contains("no answer came in time"))
            })
        })
        .collect();
    cases.push(repeated(22, "the answer to a poll comes after the time limit", &late).hurried());
    cases
}

/// What is left of a good answer: each is read by nobody as the answer that it was.
fn half_an_answer() -> Vec<Case> {
    type Spoil = fn(&Answer) -> Vec<u8>;
    let spoils: [(&str, Spoil); 11] = [
        ("half a status line", |_| b"HTTP/1.1 200 O".to_vec()),
        ("half the headers", |answer| answer.head().into_bytes()),
        ("half the body", |answer| {
            let bytes = answer.bytes();
            bytes[..bytes.len() - answer.body.len() / 2].to_vec()
        }),
        ("all but the last byte", |answer| {
            let bytes = answer.bytes();
            bytes[..bytes.len() - 1].to_vec()
        }),
        ("a length that is too long", |answer| framed(answer, answer.body.len() + 20, &answer.body)),
        ("a length that is too short", |answer| framed(answer, answer.body.len() - 20, &answer.body)),
        ("two lengths", |answer| {
            let head = format!("{}content-length: 5\r\ncontent-length: {}\r\n\r\n", answer.head(), answer.body.len());
            [head.as_bytes(), &answer.body].concat()
        }),
        ("a length below nothing", |answer| {
            [answer.head().as_bytes(), b"content-length: -1\r\n\r\n", &answer.body[..9]].concat()
        }),
        ("a bad chunk", |answer| chunked(answer, "zz\r\n")),
        ("a chunk that does not end", |answer| chunked(answer, "ffff\r\n")),
        ("no last chunk", |answer| chunked(answer, "")),
    ];
    let mut cases = Vec::new();
    for (turn, (what, spoil)) in spoils.into_iter().enumerate() {
        let fault = inject(move |call| {
            let answer = call.forward();
            call.raw(spoil(&answer));
        });
        cases.push(unknown_or_held(turn, 23, what, true, &fault));
        cases.push(repeated(23, &format!("{what}, of a detail"), &fault));
    }
    cases
}

fn framed(answer: &Answer, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("{}content-length: {length}\r\n\r\n", answer.head());
    [head.as_bytes(), body].concat()
}

/// The whole body as one chunk, and then this.
fn chunked(answer: &Answer, rest: &str) -> Vec<u8> {
    let head = format!("{}transfer-encoding: chunked\r\n\r\n{:x}\r\n", answer.head(), answer.body.len());
    [head.as_bytes(), &answer.body, b"\r\n", rest.as_bytes()].concat()
}

/// Only polls use a connection again, so only they can meet one that has died meanwhile.
fn stale_connections() -> Vec<Case> {
    let dies_when_used_again = |end: fn(&mut crate::relay::Exchange<'_>)| {
        inject(move |call| if call.before > 0 { end(call) } else { call.pass() })
    };
    let settles_late = || Options { settle: Delay::Fixed(ms(400)), ..Options::default() };
    let stale = |what: &str, fault: &Inject| {
        case(24, what)
            .tenant(settles_late())
            .items(8, 2)
            .acts(0..100, fault)
            .polls(0..6, fault)
            .ends(0, &[("succeeded", 8)], 8)
            .holds("no act met it", |met| met.relay.count(Kind::Act) == 4)
    };
    vec![
        stale("a kept connection is closed when it is used again", &dies_when_used_again(|call| call.close())),
        stale("a kept connection is reset when it is used again", &dies_when_used_again(|call| call.reset())),
        stale(
            "a kept connection is closed while nobody uses it",
            &inject(|call| {
                let answer = call.forward();
                call.raw(answer.bytes());
            }),
        ),
    ]
}

fn proxies() -> Vec<Case> {
    let answered = |status: u16| {
        inject(move |call| {
            let page = format!("<html><body>{status} from a proxy</body></html>");
            call.send(&Answer::new(status, &[("content-type", "text/html")], page));
        })
    };
    let mut cases = Vec::new();
    for (turn, status) in [407, 502, 504].into_iter().enumerate() {
        let what = format!("a proxy answers an act with {status}");
        cases.push(unknown_or_held(turn, 27, &what, false, &answered(status)));
        cases.push(repeated(27, &format!("a proxy answers a poll with {status}"), &answered(status)));
    }
    let after = inject(|call| {
        call.forward();
        call.send(&Answer::new(504, &[], ""));
    });
    cases.push(held(27, "a proxy gives up on an act that is carried out", true, &after));
    let through_proxy = |what: &str, status| {
        case(27, what)
            .url(|_| "https://tenant.invalid".to_owned())
            .variable("HTTPS_PROXY", Relay::url)
            .action(DELETE)
            .tunnels(0..100, &answered(status))
            .ends(8, &[("not_started", 6)], 0)
            .later(0, &[("succeeded", 6)], 6)
            .holds("it is told of", |met| met.done.stderr.contains("calls go through the proxy 127.0.0.1:"))
    };
    cases.push(
        through_proxy("a proxy wants to know who asks for a tunnel", 407)
            .holds("it stops at once", |met| met.relay.count(Kind::Tunnel) == 1),
    );
    cases.push(
        through_proxy("a proxy cannot open a tunnel", 502)
            .holds("it is tried again", |met| met.relay.count(Kind::Tunnel) == 5)
            .slow(),
    );
    cases
}

/// As when a name leads to another server: whoever answers now cannot show the tenant's name.
fn names_that_move() -> Vec<Case> {
    vec![
        case(29, "another server answers in the middle of a run")
            .reach(Reach::Tls)
            .connections(1..1000, Deed::Impostor)
            .ends(8, &[("open", 2), ("not_started", 4)], 2)
            .later(0, &[("succeeded", 6)], 6)
            .holds("it heard nothing", |met| met.calls.len() == 1),
        case(29, "another server answers from the start")
            .reach(Reach::Tls)
            .connections(0..1000, Deed::Impostor)
            .ends(8, &[("not_started", 6)], 0)
            .later(0, &[("succeeded", 6)], 6)
            .holds("it heard nothing, and nobody asked again", |met| met.calls.is_empty() && met.relay.fired() == 1),
    ]
}

fn slow_and_endless() -> Vec<Case> {
    let trickle = inject(|call| {
        call.endless(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", ms(0));
    });
    let slow = inject(|call| {
        call.forward();
        call.trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b" ", ms(50));
    });
    let slow_headers = inject(|call| call.trickle(b"HTTP/1.1 200 OK\r\nx-header: ", b"x", ms(50)));
    let endless = inject(|call| call.trickle(b"HTTP/1.1 200 OK\r\n\r\n", &[b' '; 65_536], ms(0)));
    let ten_gigabytes = inject(|call| {
        call.trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", &[b' '; 65_536], ms(0));
    });
    let informed = inject(|call| call.endless(b"HTTP/1.1 102 Processing\r\n\r\n", ms(1)));
    let unfolds = gzip_bomb();
    let bomb = inject(move |call| {
        let answer = Answer::new(200, &[("content-encoding", "gzip")], unfolds.clone());
        call.send(&answer);
    });
    let mut cases = Vec::new();
    let faults = [
        ("headers for ever", false, &trickle, true),
        ("one byte at a time", true, &slow, true),
        ("headers one byte at a time", false, &slow_headers, true),
        ("an endless body", false, &endless, false),
        ("ten gigabytes", false, &ten_gigabytes, false),
        ("the answer is about to come, for ever", false, &informed, true),
        ("a few bytes that unfold to many", false, &bomb, false),
    ];
    for (turn, (what, executes, fault, hurried)) in faults.into_iter().enumerate() {
        let of_act = unknown_or_held(turn, 30, what, executes, fault);
        let of_poll = repeated(30, &format!("{what}, of a detail"), fault);
        for case in [of_act, of_poll] {
            let case = case.wrapped(|bench, command, _| little_memory(bench, &command));
            cases.push(if hurried { case.hurried() } else { case });
        }
    }
    cases
}

/// Data of at most 192 MiB: what holds an answer whole that is not capped needs more.
fn little_memory(_: &Bench, command: &std::process::Command) -> std::process::Command {
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -d 196608; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    limited
}

/// Some 200 KB of gzip that unfold to 32 MB of spaces: a literal, then copies of it, 258 bytes at a time.
fn gzip_bomb() -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let mut put = |value: u32, count: u32, lowest_first: bool| {
        for place in 0..count {
            let shift = if lowest_first { place } else { count - 1 - place };
            bits.push(value >> shift & 1 == 1);
        }
    };
    // The last block, with fixed codes; a space is 0x30 + 32 in eight bits.
    put(0b1, 1, true);
    put(0b01, 2, true);
    put(0x30 + u32::from(b' '), 8, false);
    for _ in 0..32 * 1024 * 1024 / 258 {
        // Length 258 is code 285, in eight bits 11000101; distance 1 is code 0, in five bits.
        put(0b1100_0101, 8, false);
        put(0, 5, false);
    }
    put(0, 7, false);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |number, bit| number << 1 | u8::from(*bit))));
    gzip.extend([0; 8]);
    gzip
}

fn half_open() -> Vec<Case> {
    let in_pieces = inject(|call| {
        let answer = call.forward();
        call.in_pieces(&answer.bytes());
    });
    let gone = inject(|call| call.hold());
    vec![
        case(31, "answers come byte by byte").acts(0..2, &in_pieces).polls(0..2, &in_pieces).ends(
            0,
            &[("succeeded", 6)],
            6,
        ),
        case(31, "somebody takes the connection and never reads from it")
            .hurried()
            .action(DELETE)
            .connections(0..1, Deed::Ignored)
            .ends(5, &[("unknown", 2), ("not_started", 4)], 0),
        repeated(31, "the peer is gone without a word in a poll", &gone).hurried(),
    ]
}

/// Where HTTP/2 is offered, an act does not take it: what it can refuse, nobody can refuse to an act.
fn http2() -> Vec<Case> {
    const GO_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const REFUSED_STREAM: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    let offered = |what: &str, frames| {
        case(32, what)
            .reach(Reach::Tls)
            .action(DELETE)
            .connections(0..5, Deed::Http2(frames))
            .ends(0, &[("succeeded", 6)], 6)
            .holds("three acts, none of them with HTTP/2", |met| met.relay.count(Kind::Act) == 3)
            .holds("two polls met it", |met| met.relay.fired() == 2)
    };
    vec![offered("the server goes away", GO_AWAY), offered("the server refuses the stream", REFUSED_STREAM)]
}

fn broken_ipv6() -> Vec<Case> {
    if !namespaces::can_be_had() {
        // A name with two addresses needs a table of names of one's own; the address itself does not.
        return vec![
            case(33, "IPv6 is broken")
                .url(|relay| relay.url().replace("127.0.0.1", "[::1]"))
                .took_place(|met| not_sent(met, "cannot connect") == 5)
                .ends(8, &[("not_started", 6)], 0)
                .slow(),
        ];
    }
    let two_addresses = |what: &str| {
        case(33, what)
            .url(|relay| relay.url().replace("127.0.0.1", "localhost"))
            .wrapped(|bench, command, _| with_own_names(bench, &command, "::1 localhost\n127.0.0.1 localhost\n"))
            .took_place(|met| {
                let order = std::fs::read_to_string(met.bench.path("addresses")).unwrap_or_default();
                order.starts_with("::1 ") && order.contains("127.0.0.1 ") && namespaces::ipv6_is_broken(met.relay)
            })
            .ends(0, &[("succeeded", 6)], 6)
    };
    vec![
        two_addresses("the IPv6 address refuses"),
        two_addresses("the IPv6 address swallows what it is sent").beside(namespaces::swallow_ipv6),
    ]
}

fn gone_while_polling() -> Vec<Case> {
    let gone = inject(|call| call.reset());
    let slow_tenant = || Options { settle: Delay::Fixed(ms(700)), ..Options::default() };
    vec![
        case(34, "the network is gone for a while")
            .tenant(slow_tenant())
            .polls(3..5, &gone)
            .ends(0, &[("succeeded", 6)], 6)
            .holds("everybody waits longer each time", |met| met.pauses().iter().any(|pause| *pause > ms(1_900))),
        case(34, "the network is gone beyond the deadline")
            .tenant(Options { settle: Delay::Fixed(ms(8_000)), ..Options::default() })
            .deadline("2s")
            .polls(3..1000, &gone)
            .ends(8, &[("open", 6)], 6)
            .later(0, &[("succeeded", 6)], 6)
            .holds("few calls were made", |met| met.relay.count(Kind::Poll) <= 3 + 6)
            .slow(),
        case(34, "the network is gone beyond the deadline, and only then something else happens")
            .tenant(Options { never_settle_percent: 100.0, ..Options::default() })
            .deadline("2s")
            .polls(3..1000, &gone)
            .ends(8, &[("open", 6)], 6)
            .later(9, &[("still_queued", 6)], 6)
            .slow(),
    ]
}
