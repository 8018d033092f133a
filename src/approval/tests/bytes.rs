//! Every single byte of what was signed, of the signature and of the allowed signers, changed in two ways: it is refused,
//! or it changes nothing that counts.

use super::*;

/// The text with one byte changed, for each byte and each way; texts that are no UTF-8 any more are refused by whoever
/// reads the file, and are not among them.
fn changed(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    [1, 0x20].into_iter().flat_map(move |bit| {
        (0..text.len()).filter_map(move |at| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= bit;
            String::from_utf8(bytes).ok().map(|text| (at, text))
        })
    })
}

#[test]
fn every_byte_of_the_signatures_counts() {
    let note = Some("INC-7".to_owned());
    let both = signed(1, &Payload { note, ..payload("alice@example.com") }) + &by(2, "bob@example.com");
    let mut world = World { signatures: both.clone(), operator: Some("carol"), ..world() };
    world.requirement.min = 2;
    assert_eq!(world.said(), "alice@example.com, bob@example.com");
    let mut tried = 0;
    for (at, text) in changed(&both) {
        world.signatures = text;
        assert!(world.verdict().is_err(), "byte {at} of {both:?}");
        tried += 1;
    }
    assert!(tried > 1900, "{tried}");
}

#[test]
fn every_byte_of_what_is_approved_counts() {
    let mut world = world();
    let digest = world.subject.plan_digest.clone();
    for (at, text) in changed(&digest) {
        world.subject.plan_digest = text;
        assert!(world.verdict().is_err(), "byte {at} of the digest");
    }
    world.subject.plan_digest = digest;
    for at in 0..32 {
        for bit in [1, 0x20] {
            world.subject.file_sha256[at] ^= bit;
            assert!(world.verdict().is_err(), "byte {at} of the file's hash");
            world.subject.file_sha256[at] ^= bit;
        }
    }
    assert!(world.verdict().is_ok());
}

#[test]
fn a_byte_of_the_allowed_signers_counts_or_says_nothing() {
    let options = "namespaces=\"git,quell\",valid-after=\"20260101Z\"";
    let signers = format!("# who may\n{}", signer("*@example.com", options, 1).replace('\n', " of alice\n"));
    let mut world = World { signers: signers.clone(), ..world() };
    let good = world.verdict().expect("it counts");
    let mut harmless = Vec::new();
    for (at, text) in changed(&signers) {
        world.signers = text;
        if let Ok(valid) = world.verdict() {
            assert_eq!(valid, good);
            harmless.push(at);
        }
    }
    // What may change: comments, another namespace, options' names in capitals, and a date that stays in the past.
    let says_nothing = |at: usize| {
        let part = |text: &str| signers.find(text).map(|start| start..start + text.len()).expect("a part");
        ["# who may", "of alice\n", "namespaces", "git", "valid-after", "20260101Z"]
            .iter()
            .any(|text| part(text).contains(&at))
    };
    let counting: Vec<usize> = harmless.iter().copied().filter(|at| !says_nothing(*at)).collect();
    assert_eq!(counting, [0; 0], "{signers}");
    assert!(harmless.len() > 20, "comments may change: {harmless:?}");
}

#[test]
fn no_text_makes_it_panic() {
    let good = by(1, "alice@example.com") + &signer("\"a,b\"", "namespaces=\"x\"", 1);
    let mut world = world();
    for cut in 0..good.len() {
        for (signatures, signers) in [(&good[..cut], &good[cut..]), (&good[cut..], &good[..cut])] {
            (world.signatures, world.signers) = (signatures.to_owned(), signers.to_owned());
            assert!(world.verdict().is_err());
        }
    }
}
