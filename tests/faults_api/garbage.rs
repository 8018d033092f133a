//! Answers that nobody thought of: random bytes in the place of answers, and good answers of which random bytes are
//! others. No case expects an end: the invariants hold, whatever it is.
//!
//! What was carried out keeps its status line: a server that carries out and says otherwise cannot be told from one that
//! does not.

use crate::case::{CANARY, Case, case, inject};
use crate::relay::{Exchange, Inject};
use crate::wire::Answer;
use fastrand::Rng;
use quell::simulator::{Delay, Options};
use std::time::Duration;

/// How many seeds are tried.
const SEEDS: u64 = 24;

/// One case for each seed; `QUELL_TEST_SEEDS=500` tries more.
pub(crate) fn cases() -> Vec<Case> {
    let seeds = std::env::var("QUELL_TEST_SEEDS").ok().map_or(SEEDS, |n| n.parse().expect("a number"));
    (0..seeds).map(of_seed).collect()
}

fn of_seed(seed: u64) -> Case {
    let mut random = Rng::with_seed(seed);
    let options = Options {
        fail_percent: 30.0,
        shuffle_ids: random.bool(),
        settle: Delay::Fixed(Duration::from_millis(random.u64(0..200))),
        ..Options::default()
    };
    let action = if random.bool() { crate::case::QUARANTINE } else { crate::case::DELETE };
    case(23, format!("garbage of seed {seed}"))
        .action(action)
        .tenant(options)
        .items(8, 2)
        .concurrency(random.usize(1..4))
        .deadline("1500ms")
        .hurried()
        .acts(0..2, &spoils(random.u64(..)))
        .polls(0..4, &spoils(random.u64(..)))
        .calls_max(400)
}

/// Something else for each call.
fn spoils(seed: u64) -> Inject {
    inject(move |call| {
        let place = call.request.target().bytes().fold(seed, |sum, byte| sum.rotate_left(5) ^ u64::from(byte));
        let mut random = Rng::with_seed(place);
        match random.u8(..5) {
            0 => call.raw(bytes(&mut random, 300)),
            1 => call.send(&any_answer(&mut random)),
            2 => flipped(call, &mut random),
            3 => cut(call, &mut random),
            _ => mixed(call, &mut random),
        }
    })
}

fn bytes(random: &mut Rng, most: usize) -> Vec<u8> {
    (0..random.usize(..most)).map(|_| random.u8(..)).collect()
}

/// Well formed, of any status but those for what comes later, and without sense.
fn any_answer(random: &mut Rng) -> Answer {
    let kinds = ["text/html", "application/json", "", "application/xml; charset=\"", "\u{b5}"];
    let waits = ["1", "-1", "0", "Sun, 06 Nov 1994", "1e3", " "];
    let headers = [
        ("content-type", *random.choice(kinds).as_ref().expect("some")),
        ("retry-after", *random.choice(waits).as_ref().expect("some")),
        ("x-ratelimit-remaining", "0"),
    ];
    Answer::new(random.u16(200..600), &headers[..random.usize(..=3)], bytes(random, 200))
}

/// A good answer, some bytes behind its status line are others.
fn flipped(call: &mut Exchange<'_>, random: &mut Rng) {
    let mut bytes = call.forward().bytes();
    let first = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for _ in 0..random.usize(1..4) {
        let place = random.usize(first..bytes.len());
        bytes[place] ^= 1 << random.u8(..8);
    }
    call.raw(bytes);
}

/// A good answer up to somewhere.
fn cut(call: &mut Exchange<'_>, random: &mut Rng) {
    let bytes = call.forward().bytes();
    let end = random.usize(..bytes.len());
    if random.bool() { call.raw(&bytes[..end]) } else { call.raw_and_reset(&bytes[..end]) }
}

/// A good answer whose body has a piece twice, a piece of something else, or the token in it.
fn mixed(call: &mut Exchange<'_>, random: &mut Rng) {
    let answer = call.forward();
    let mut body = answer.body.clone();
    let (from, to) = (random.usize(..body.len()), random.usize(..body.len()));
    let piece = match random.u8(..3) {
        0 => body[from.min(to)..from.max(to)].to_vec(),
        1 => bytes(random, 40),
        _ => format!("{CANARY}.first").into_bytes(),
    };
    let place = random.usize(..body.len());
    body.splice(place..place, piece);
    call.send(&answer.with_body(body));
}
