//! What the reader does with any file, whatever type is read from it.

use super::*;
use crate::problem::render;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::{Duration, Instant};

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Outer {
    name: Field<String>,
    #[serde(default)]
    list: Field<Vec<Field<Inner>>>,
    #[serde(default)]
    words: Field<Vec<Field<Spanned<Word>>>>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inner {
    /// Without a field around it: its failure is its struct's.
    number: u16,
    text: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    Up,
    Down,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    let reader = Reader::new("a.yaml", text);
    let value = reader.read().value();
    reader.finish(value)
}

fn messages(text: &str) -> Vec<String> {
    let problems = read::<Outer>(text).expect_err("it is refused");
    problems
        .iter()
        .map(|problem| {
            format!("{}:{}+{} {}", problem.place.line, problem.place.column, problem.place.length, problem.message)
        })
        .collect()
}

#[test]
fn a_good_file_becomes_its_type_with_places_in_characters_and_bytes() {
    let text = "\u{feff}# ü\nname: 'ü' # x\nlist:\n- {number: 1}\n- number: 2\n  text: \"ü\"\nwords: [ up ]\n";
    let outer: Outer = read(text).expect("it is good");
    let Field::Read(name) = &outer.name else { panic!("a name") };
    assert_eq!((name.value.as_str(), name.place.line, name.place.column, name.place.length), ("ü", 2, 7, 3));
    let words = outer.words.value().expect("words");
    let Field::Read(word) = &words[0] else { panic!("a word") };
    assert_eq!((&word.value.value, word.value.place), (&Word::Up, word.place));
    let list: Vec<Inner> = outer.list.value().expect("a list").into_iter().filter_map(Field::value).collect();
    assert_eq!(list, [Inner { number: 1, text: None }, Inner { number: 2, text: Some("ü".to_owned()) }]);
}

#[test]
fn a_byte_offset_points_into_the_file_as_it_is() {
    let text = "\u{feff}# ü\nname: ü\n";
    let outer: Outer = read(text).expect("it is good");
    let Field::Read(name) = outer.name else { panic!("a name") };
    let byte = usize::try_from(name.place.byte.expect("a byte")).expect("small");
    assert_eq!(&text[byte..], "ü\n");
}

#[test]
fn ordinary_structs_report_all_they_can() {
    assert_eq!(
        messages(
            "name: a\nlist: [{number: x}, {nmber: 1}, {number: 70000}, {number: 1, text: 2}, {}]\nwords: [up, dwn, 1]\n"
        ),
        [
            "2:17+1 expected a whole number, found text \"x\"",
            "2:21+10 missing key `number`",
            "2:22+5 unknown key `nmber`",
            "2:42+5 expected a whole number, found the number 70000",
            "2:68+1 expected text, found the number 2",
            "2:72+2 missing key `number`",
            "3:13+3 expected one of `up` and `down`, found text \"dwn\"",
            "3:18+1 expected one of `up` and `down`, found the number 1",
        ]
    );
}

#[test]
fn what_yaml_can_do_and_our_files_do_not_need_is_refused() {
    for (text, told) in [
        ("", &["0:0+0 the file is empty"][..]),
        ("---\n...\n", &["0:0+0 the file is empty"]),
        ("[]", &["1:1+2 expected a mapping, found an empty list"]),
        ("name: a\nname: b\nname: c\n", &["2:1+4 the key `name` is here twice", "3:1+4 the key `name` is here twice"]),
        (
            "name: &x a\nlist: *x\n",
            &["1:7+2 anchors like `&x` are not supported", "2:7+2 aliases like `*name` are not supported"],
        ),
        ("name: *none\n", &["1:7+5 aliases like `*name` are not supported"]),
        ("name: !!str a\n", &["1:7+5 tags like `!!str` are not supported"]),
        ("? [a]\n: b\nname: a\n", &["1:3+3 a key must be a word or text"]),
        ("name: a\n~: b\n", &["2:1+1 unknown key `~`"]),
        ("name: a\n: b\n", &["2:1+1 a key must be a word or text"]),
        ("name: a\n---\nname: b\n", &["2:1+3 a second document begins here"]),
        ("name: a\0b\n", &["1:8+1 a value cannot begin with `\\u{0}`"]),
        ("name: ~\n", &["1:7+1 expected text, found nothing"]),
        ("name:\n", &["1:1+4 expected text, found nothing"]),
    ] {
        assert_eq!(messages(text), told, "{text:?}");
    }
}

#[test]
fn many_problems_end_with_their_number() {
    let list: String = (0..150).map(|n| format!("k{n}: 1\n")).collect();
    let found = messages(&format!("name: a\n{list}"));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100], "101:1+3 and 50 more problems in this file");
    let doubled = "name: a\n".repeat(150);
    assert_eq!(messages(&doubled).len(), 101);
}

#[test]
fn hostile_files_are_refused_quickly() {
    let laughs: String = (1..10).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(9))).collect();
    for (name, text) in [
        ("billion laughs", format!("a0: &a0 [lol]\n{laughs}")),
        ("deep lists", "[".repeat(100_000)),
        ("deep mappings", "{a: ".repeat(100_000)),
        ("deep blocks", (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("deep dashes", "- ".repeat(100_000)),
        ("many quotes", "\"".repeat(100_000)),
        ("many keys", "? ".repeat(100_000)),
        ("many anchors", "&a ".repeat(100_000)),
        ("a long key", format!("{}: a", "k".repeat(1 << 20))),
        ("a huge scalar", "a".repeat(FILE_BYTES_MAX + 1)),
        ("a file full of unknown keys", (0..20_000).map(|n| format!("k{n}: 1\n")).collect()),
    ] {
        let before = Instant::now();
        let found = read::<Outer>(&text).expect_err(name);
        let took = before.elapsed();
        assert!(!found.is_empty() && found.len() <= 101, "{name}");
        // Generous for a build without optimisation on a busy machine; what it guards against takes minutes.
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
        assert!(render(&found, false).len() < 100_000, "{name}");
    }
}

#[test]
fn nodes_are_counted_before_any_is_kept() {
    let text = "name: a\nlist: [{a: 1}, {b}, c]\n";
    // The mapping, two keys, a text, the list, its two mappings with a key and a value each, and a word.
    assert!(!tree::has_more_nodes(text, 12));
    assert!(tree::has_more_nodes(text, 11));
    let event = "- {agent_id: a1, event_id: e1, event_type: FILE, unique_id: 5, pid: 1, a: b, c: d, e: f, g: h}\n";
    let events = format!("inline:\n{}", event.repeat(1_000));
    assert!(!tree::has_more_nodes(&events, tree::NODES_MAX / 100), "100,000 such events must fit");
}

#[test]
fn events_written_in_a_file_may_be_many() {
    #[derive(Deserialize)]
    struct Events {
        inline: Field<Vec<Field<Entries<AnyText>>>>,
    }
    let event = "- {agent_id: a1, event_id: e1, event_type: FILE, unique_id: 1234567890123, pid: 1}\n";
    let events: Events = read(&format!("inline:\n{}", event.repeat(10_000))).expect("they are read");
    assert_eq!(events.inline.value().expect("a list").len(), 10_000);
}
