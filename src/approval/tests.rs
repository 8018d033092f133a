//! Who is believed, who is not, and what is said of it: one table, with keys made from fixed seeds.

mod bytes;
mod vectors;

use super::*;
use jiff::Timestamp;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

const NOW: &str = "2026-11-22T04:00:00Z";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The test key of that number.
fn key(number: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
}

fn subject() -> Subject {
    Subject { plan_digest: "ab".repeat(32), file_sha256: [15; 32] }
}

/// Made twenty minutes ago, for a day.
fn payload(author: &str) -> Payload {
    Payload {
        subject: subject(),
        author: author.to_owned(),
        at: time("2026-11-22T03:40:00Z"),
        expires: time("2026-11-23T03:40:00Z"),
        note: None,
    }
}

fn signed(number: u8, payload: &Payload) -> String {
    let line = payload.line().expect("a sound payload");
    format!("{line}\n{}", sign(&line, &key(number)).expect("an Ed25519 key signs"))
}

fn by(number: u8, author: &str) -> String {
    signed(number, &payload(author))
}

fn signer(principals: &str, options: &str, number: u8) -> String {
    let key = key(number).public_key().to_openssh().expect("a public key");
    format!("{principals} {options}{}{key}\n", if options.is_empty() { "" } else { " " })
}

/// What is judged; every test changes what it is about.
struct World {
    requirement: Requirement,
    subject: Subject,
    signatures: String,
    signers: String,
    operator: Option<&'static str>,
    now: &'static str,
}

/// Alice has signed, Bob applies, and one signature is enough.
fn world() -> World {
    World {
        requirement: Requirement { min: 1, not_author: true, ttl: DAY },
        subject: subject(),
        signatures: by(1, "alice@example.com"),
        signers: signer("alice@example.com", "", 1) + &signer("bob@example.com", "namespaces=\"git,quell\"", 2),
        operator: Some("bob"),
        now: NOW,
    }
}

impl World {
    fn verdict(&self) -> Result<Vec<Valid>, Refused> {
        let Self { requirement, subject, signatures, signers, operator, now } = self;
        verify(requirement, subject, signatures, signers, *operator, time(now))
    }

    fn said(&self) -> String {
        match self.verdict() {
            Ok(valid) => valid.iter().map(|valid| valid.author.as_str()).collect::<Vec<_>>().join(", "),
            Err(refused) => refused.to_string(),
        }
    }
}

#[track_caller]
fn check(name: &str, change: impl FnOnce(&mut World), expected: &str) {
    let mut world = world();
    change(&mut world);
    assert_eq!(world.said(), expected, "{name}");
}

/// What is said when alice's approval, the only one, does not count.
#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut World), why: &str) {
    let expected = format!("0 of 1 approval\n  approval 1, by alice@example.com, does not count: {why}");
    check(name, change, &expected);
}

#[test]
fn a_good_approval_counts_and_says_whose_it_is() {
    let mut world = world();
    world.signatures =
        signed(1, &Payload { note: Some("INC-7, see the \u{202e}chat".to_owned()), ..payload("alice@example.com") });
    let valid = world.verdict().expect("it counts");
    let said: Vec<String> = valid.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["alice@example.com at 2026-11-22T03:40:00Z, until 2026-11-23T03:40:00Z, by \
          SHA256:fe85JkIjo8VPe+XqXJGH5Mau1EMFdK1OdKvJUFicyA8: INC-7, see the �chat"]
    );
}

#[test]
fn what_stands_against_one_approval_is_told() {
    let other = |change: &dyn Fn(&mut Payload)| {
        let mut changed = payload("alice@example.com");
        change(&mut changed);
        signed(1, &changed)
    };
    refused("another plan", |w| w.subject.plan_digest = "ac".repeat(32), "it approves another plan");
    refused("another file", |w| w.subject.file_sha256[31] = 14, "it approves another file of this plan");
    refused("expired", |w| w.now = "2026-11-23T03:40:00Z", "it expired at 2026-11-23T03:40:00Z");
    let long = other(&|p| p.expires = time("2027-11-22T00:00:00Z"));
    let old = "it was made at 2026-11-22T03:40:00Z, longer than 24h ago";
    refused("older than the plan takes", |w| (w.signatures, w.now) = (long, "2026-11-23T03:40:00Z"), old);
    let future = "it was made in the future, at 2026-11-22T03:40:00Z";
    refused("made in the future", |w| w.now = "2026-11-22T03:34:59Z", future);
    refused(
        "a payload that was changed",
        |w| w.signatures = w.signatures.replace("22T03:40", "22T03:41"),
        "its signature is not good",
    );
    refused(
        "a key that nobody knows",
        |w| w.signatures = by(3, "alice@example.com"),
        "its key is not in the allowed signers file",
    );
    let not_hers = "the allowed signers file does not give its key to that name";
    refused("the key of somebody else", |w| w.signatures = by(2, "alice@example.com"), not_hers);
    refused("a name in other letters", |w| w.signers = signer("Alice@example.com", "", 1), not_hers);
    refused("denied by a pattern", |w| w.signers = signer("*@example.com,!alice@*", "", 1), not_hers);
    let not_for_quell = "the allowed signers file does not allow its key the namespace `quell`";
    refused("a key for git", |w| w.signers = signer("alice@example.com", "namespaces=\"git\"", 1), not_for_quell);
    refused(
        "a key for all but quell",
        |w| w.signers = signer("alice@example.com", "namespaces=\"*,!quell\"", 1),
        not_for_quell,
    );
    let early = "its key is valid only after 2026-11-22T03:40:01Z";
    refused("a key of later", |w| w.signers = signer("alice@example.com", "valid-after=\"20261122034001Z\"", 1), early);
    let late = "its key was valid only before 2026-11-22T03:39:59Z";
    refused(
        "a key of earlier",
        |w| w.signers = signer("alice@example.com", "valid-before=\"20261122033959Z\"", 1),
        late,
    );
    let withdrawn = "its key was valid only before 2026-11-22T03:59:59Z";
    refused(
        "a key withdrawn since",
        |w| w.signers = signer("alice@example.com", "valid-before=\"20261122035959Z\"", 1),
        withdrawn,
    );
    for (operator, name) in [
        ("alice@example.com", "the whole name"),
        ("ALICE@Example.com", "in other letters"),
        ("alice", "the part before the @"),
        ("Alice", "that part in other letters"),
        ("alice@build-7", "that part with another rest"),
    ] {
        refused(name, |w| w.operator = Some(operator), "it is the operator's own");
    }
}

#[test]
fn a_signature_for_something_else_does_not_count() {
    let line = payload("alice@example.com").line().expect("sound");
    let signature = key(1).sign("git", HashAlg::Sha512, line.as_bytes()).expect("it signs");
    let armored = signature.to_pem(LineEnding::LF).expect("it is written");
    refused("for git", |w| w.signatures = format!("{line}\n{armored}"), "it was signed for `git` and not for `quell`");
}

#[test]
fn what_stands_against_nobody_counts() {
    check("as it is", |_| {}, "alice@example.com");
    check("a moment before it expires", |w| w.now = "2026-11-23T03:39:59Z", "alice@example.com");
    check("clocks that differ a little", |w| w.now = "2026-11-22T03:35:00Z", "alice@example.com");
    check("a pattern", |w| w.signers = signer("*@example.com", "", 1), "alice@example.com");
    check(
        "a second line for the key",
        |w| w.signers = signer("bob@example.com", "", 1) + &w.signers,
        "alice@example.com",
    );
    check(
        "sha256",
        |w| {
            let line = payload("alice@example.com").line().expect("sound");
            let signature = key(1).sign(NAMESPACE, HashAlg::Sha256, line.as_bytes()).expect("it signs");
            w.signatures = format!("{line}\n{}", signature.to_pem(LineEnding::LF).expect("it is written"));
        },
        "alice@example.com",
    );
    check(
        "the operator where that is allowed",
        |w| (w.requirement.not_author, w.operator) = (false, Some("alice")),
        "alice@example.com",
    );
    check(
        "nobody where that is allowed",
        |w| (w.requirement.not_author, w.operator) = (false, None),
        "alice@example.com",
    );
    check("a name that only begins alike", |w| w.operator = Some("al"), "alice@example.com");
    check("a name without letters", |w| w.operator = Some("@"), "alice@example.com");
}

#[test]
fn people_are_counted_and_not_signatures() {
    let (alice, bob) = ("alice@example.com", "bob@example.com");
    let two = |signatures: Vec<String>, signers: String| {
        move |w: &mut World| {
            (w.requirement.min, w.signatures, w.operator) = (2, signatures.concat(), Some("carol"));
            w.signers += &signers;
        }
    };
    check("two people", two(vec![by(1, alice), by(2, bob)], String::new()), "alice@example.com, bob@example.com");
    check(
        "one, and one that nobody knows",
        two(vec![by(1, alice), by(3, bob)], String::new()),
        "1 of 2 approvals\n  approval 2, by bob@example.com, does not count: its key is not in the allowed signers file",
    );
    let same = "1 of 2 approvals\n  approval 2, by SECOND, does not count: its signer is the one of approval 1: a shared \
                key or name is one person";
    check("the same twice", two(vec![by(1, alice), by(1, alice)], String::new()), &same.replace("SECOND", alice));
    check(
        "two keys of one",
        two(vec![by(1, alice), by(3, alice)], signer(alice, "", 3)),
        &same.replace("SECOND", alice),
    );
    check(
        "two names of one key",
        two(vec![by(1, alice), by(1, bob)], signer(bob, "", 1)),
        &same.replace("SECOND", bob),
    );
    let letters = signer("ALICE@example.com", "", 3);
    check(
        "one name in two ways",
        two(vec![by(1, alice), by(3, "ALICE@example.com")], letters),
        &same.replace("SECOND", "ALICE@example.com"),
    );
    // Alice and Bob seem to be two until a third approval is by Alice with Bob's key.
    check(
        "tied by a third",
        two(vec![by(1, alice), by(2, bob), by(2, alice)], signer(alice, "", 2)),
        "1 of 2 approvals\n  approval 2, by bob@example.com, does not count: its signer is the one of approval 1: a shared \
         key or name is one person\n  approval 3, by alice@example.com, does not count: its signer is the one of approval 1: \
         a shared key or name is one person",
    );
    check(
        "an old one and its renewal",
        |w| {
            let old =
                Payload { at: time("2026-11-20T03:40:00Z"), expires: time("2026-11-21T03:40:00Z"), ..payload(alice) };
            w.signatures = signed(1, &old) + &by(1, alice);
        },
        "alice@example.com",
    );
    check("nobody", |w| w.signatures = String::new(), "0 of 1 approval");
    check(
        "without an operator",
        |w| w.operator = None,
        "nobody says who applies the plan, and that person's own signature does not count",
    );
}

#[test]
fn what_cannot_be_read_is_refused_whole() {
    let good = by(1, "alice@example.com");
    let unreadable = |name: &str, text: String, why: &str| {
        check(name, |w| w.signatures = text, &format!("the signatures cannot be read: {why}"));
    };
    unreadable("garbage", "garbage".to_owned(), "line 1: an approval is cut off");
    unreadable("two lines of it", "garbage\nmore\n".to_owned(), "line 1: no SSH signature follows this line");
    unreadable("behind a good one", format!("{good}x"), "line 8: an approval is cut off");
    unreadable("an empty line", format!("{good}\n"), "line 8: no SSH signature follows this line");
    unreadable("cut", good[..good.len() - 3].to_owned(), "line 1: its signature is cut off");
    unreadable("line ends of Windows", good.replace('\n', "\r\n"), "line 1: no SSH signature follows this line");
    let line = |from: &str, to: &str| good.replacen(from, to, 1);
    let other = "line 1: it is not written as quell writes it";
    unreadable("a space more", line("{\"approval", "{ \"approval"), other);
    unreadable("a note of nothing", line("\"}\n", "\",\"note\":null}\n"), other);
    unreadable("another way to write a letter", line("alice", "\\u0061lice"), other);
    unreadable("another time zone", line("03:40:00Z", "04:40:00+01:00"), other);
    unreadable(
        "an unknown key",
        line("\"}\n", "\",\"more\":1}\n"),
        "line 1: it is no `quell.approval/1` as quell writes it",
    );
    unreadable(
        "a key twice",
        line("\"}\n", "\",\"plan\":\"x\"}\n"),
        "line 1: it is no `quell.approval/1` as quell writes it",
    );
    unreadable(
        "another version",
        line("approval/1", "approval/2"),
        "line 1: it is no `quell.approval/1`: this quell reads no other",
    );
    unreadable("a short digest", line("abab", ""), "line 1: its plan is no SHA-256");
    unreadable("capital digits", line("\"0f0f", "\"0F0f"), "line 1: its file_sha256 is no SHA-256");
    unreadable("a name that is a pattern", line("alice@", "*@"), "line 1: a signer's name has no `*`");
    unreadable("no name", line("alice@example.com", ""), "line 1: a signer's name is not empty");
    unreadable("parts of a second", line("03:40:00Z", "03:40:00.5Z"), "line 1: its times are not in whole seconds");
    unreadable("an end before the beginning", line("23T03:40", "21T03:40"), "line 1: it expires before it was made");
    let unarmored = "line 1: its signature is no armored SSH signature as quell writes it";
    unreadable("lines of another length", line("SIGNATURE-----\nU1N", "SIGNATURE-----\nU1\nN"), unarmored);
    unreadable("too many", good.repeat(101), "it holds more than 100 approvals");
    check(
        "signers",
        |w| w.signers.push_str("carol\n"),
        "the allowed signers cannot be read:\nerror: no key follows the principals\n --> allowed signers:3:6\n  |\n3 | \
         carol\n  |      ^\n  |\n  = help: a line is `PRINCIPALS [OPTIONS] KEYTYPE KEY [COMMENT]`",
    );
}

#[test]
fn a_name_or_note_that_could_not_be_read_back_is_not_signed() {
    for author in ["", "a b", "a,b", "a*", "a?", "!a", "a\"", "#a", "a\u{200d}b", "a\nb", &"a".repeat(201)] {
        assert!(Payload { author: author.to_owned(), ..payload("x") }.line().is_err(), "{author:?}");
    }
    for note in ["", " x", "x\n", "a\tb", &"a".repeat(1001)] {
        assert!(Payload { note: Some(note.to_owned()), ..payload("x") }.line().is_err(), "{note:?}");
    }
}

#[test]
fn nothing_is_asked_for_where_a_plan_needs_nothing() {
    let planned =
        PlannedApproval { min: 2, not_author: false, ttl: DAY, when: None, needed: true, vars: Default::default() };
    assert_eq!(Requirement::of(&planned), Some(Requirement { min: 2, not_author: false, ttl: DAY }));
    assert_eq!(Requirement::of(&PlannedApproval { needed: false, ..planned }), None);
}
