//! What is read from allowed signers files, and what is said of those that are refused.

use super::*;
use crate::problem::render;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML0OcmMrPIwUPXUVEB7gjFmsi4JCTgFdA6++g8AgYqT";

fn read(text: &str) -> Result<Signers, String> {
    Signers::read("allowed_signers", text).map_err(|problems| render(&problems, false))
}

#[test]
fn lines_are_read_as_openssh_reads_them() {
    for (text, names) in [
        (format!("a@x {KEY}"), "a@x"),
        (format!("a@x,b@x {KEY} a comment, \"of words"), "a@x b@x"),
        (format!("\t a@x\tnamespaces=\"git,quell\"  {KEY}"), "a@x"),
        (format!("\"a@x\" NameSpaces=\"quell\",VALID-AFTER=\"20260101Z\",valid-before=\"203001011200Z\" {KEY}"), "a@x"),
        (format!("*@x,!b@x,c?@x,d@x {KEY}"), "d@x"),
        (format!("# {KEY}\n\n   \n#\r\na@x {KEY}\r\nb@x {KEY}\n"), "a@x b@x"),
        (format!("\u{feff}a@x {KEY}"), "a@x"),
        (String::new(), ""),
    ] {
        let signers = read(&text).unwrap_or_else(|said| panic!("{text}: {said}"));
        let key = signers.entries.first().map(|entry| entry.key.clone());
        let found = key.map(|key| signers.names_of(&key).join(" ")).unwrap_or_default();
        assert_eq!(found, names, "{text}");
    }
}

#[test]
fn lines_that_are_refused_are_told_with_their_place() {
    let lines = [
        "a@x".to_owned(),
        "a@x ssh-ed25519".to_owned(),
        "a@x ssh-ed25519 AAAA".to_owned(),
        KEY.replacen("ssh-ed25519", "a@x ssh-rsa", 1),
        "a@x ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
        format!("a@x,, {KEY}"),
        format!("!{KEY}"),
        format!("\"a@x {KEY}"),
        format!("a@x cert-authority {KEY}"),
        format!("a@x namespaces=\"quell\",cert-authority {KEY}"),
        format!("a@x restrict {KEY}"),
        format!("a@x namespaces=quell {KEY}"),
        format!("a@x namespaces {KEY}"),
        format!("a@x namespaces=\"\" {KEY}"),
        format!("a@x namespaces=\"quell\",namespaces=\"git\" {KEY}"),
        format!("a@x namespaces=\"quell\", valid-after=\"20260101Z\" {KEY}"),
        format!("a@x valid-after=\"20260101\" {KEY}"),
        format!("a@x valid-after=\"20261301Z\" {KEY}"),
        format!("a@x valid-before=\"2026010Z\" {KEY}"),
        format!("a@x valid-before=\"20260101240000Z\" {KEY}"),
    ];
    insta::assert_snapshot!(read(&lines.join("\n")).expect_err("each line is refused"));
}

#[test]
fn patterns_match_as_openssh_matches_them() {
    for (pattern, text, expected) in [
        ("a@x", "a@x", true),
        ("a@x", "A@x", false),
        ("a@x", "a@xy", false),
        ("*", "", true),
        ("*", "anything", true),
        ("*@x", "a@x", true),
        ("*@x", "a@y@x", true),
        ("*@x", "@x", true),
        ("*@x", "a@xx", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("?", "a", true),
        ("?", "ä", true),
        ("?", "", false),
        ("?*", "", false),
        ("a@x,b@x", "b@x", true),
        ("*@x,!b@x", "b@x", false),
        ("!b@x,*@x", "b@x", false),
        ("!b@x", "a@x", false),
        ("*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ] {
        let patterns = Patterns::read(pattern).expect("patterns");
        assert_eq!(patterns.match_one(text), expected, "{pattern} against {text}");
    }
}

#[test]
fn a_line_that_allows_wins_over_one_that_does_not() {
    let key = KeyData::from(ssh_key::PublicKey::from_openssh(KEY).expect("a key"));
    let now: Timestamp = "2026-11-22T04:00:00Z".parse().expect("a time");
    let said = |text: &str| read(text).expect("signers").allow(&key, "a@x", "quell", &[now]).err();
    let lines = [
        (format!("b@x {KEY}\n"), Why::OtherPrincipal),
        (format!("a@x namespaces=\"git\" {KEY}\n"), Why::NamespaceNotAllowed),
        (
            format!("a@x valid-before=\"20260101Z\" {KEY}\n"),
            Why::KeyNoLongerValid("2026-01-01T00:00:00Z".parse().expect("a time")),
        ),
    ];
    assert_eq!(said(""), Some(Why::UnknownKey));
    let mut all = String::new();
    for (line, why) in lines {
        all += &line;
        assert_eq!(said(&all), Some(why), "the line that comes nearest is told");
    }
    assert_eq!(said(&format!("{all}a@x {KEY}")), None);
    assert_eq!(said(&format!("a@x {KEY}\n{all}")), None);
}
