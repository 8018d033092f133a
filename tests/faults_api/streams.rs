//! Faults in how an answer comes: too slowly, without end, in pieces, never, or by another protocol. Rows 30 to 32.

use crate::bench::Bench;
use crate::case::{Case, DELETE, case, inject, repeated, unknown_or_held};
use crate::relay::{Deed, Kind, Reach};
use crate::wire::Answer;
use std::process::Command;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    [slow_and_endless(), half_open(), http2()].into_iter().flatten().collect()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
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
fn little_memory(_: &Bench, command: &Command) -> Command {
    let mut limited = Command::new("sh");
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
            .holds("two polls met it or more, as acts came before or after them", |met| met.relay.fired() >= 2)
    };
    vec![offered("the server goes away", GO_AWAY), offered("the server refuses the stream", REFUSED_STREAM)]
}
