//! The fuzz targets over their seeds, and over seeds that were changed a little: what libFuzzer runs for long, every test
//! run does for a moment. `QUELL_TEST_CHANGES=20000` makes the moment longer.
//!
//! A failing input is printed, and to be kept as a seed in `fuzz/corpus/TARGET/`.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use quell::fuzzing;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What stands in many inputs and is hard to come upon byte by byte.
const WORDS: [&str; 40] = [
    "\n",
    "\r\n",
    "\"",
    "\"\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "- ",
    "---\n",
    "\u{feff}",
    "\u{202e}",
    "\0",
    "\\u0000",
    "{{ ",
    " }}",
    "{% for x in items %}",
    "{% endfor %}",
    " && ",
    " == ",
    "matches(\"",
    "(((((",
    "-1",
    "0",
    "18446744073709551616",
    "1e999",
    "null",
    "true",
    "&a ",
    "*a",
    "FILE",
    "PROCESS",
    "success",
    "200\n",
    "409\n",
    "Retry-After: 9999999999\n",
    "ü漢",
];

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    Byte(Index, u8),
    Word(Index, Index),
    Cut(Index, Index),
    Again(Index, Index),
    /// From there on, the rest of another seed.
    Other(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        (at(), at()).prop_map(|(place, word)| Change::Word(place, word)),
        (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Again(from, to)),
        (at(), at(), at()).prop_map(|(place, seed, from)| Change::Other(place, seed, from)),
    ]
}

fn changed(seeds: &[Vec<u8>], first: Index, changes: &[Change]) -> Vec<u8> {
    let mut data = first.get(seeds).clone();
    let part = |data: &[u8], a: &Index, b: &Index| {
        let (a, b) = (a.index(data.len() + 1), b.index(data.len() + 1));
        // Long parts are rarely what matters: most of the input stays as it is.
        let (from, to) = (a.min(b), a.max(b));
        from..to.min(from + 64)
    };
    for change in changes {
        match change {
            Change::Byte(..) if data.is_empty() => {}
            Change::Byte(place, byte) => {
                let place = place.index(data.len());
                data[place] = *byte;
            }
            Change::Word(place, word) => {
                let place = place.index(data.len() + 1);
                data.splice(place..place, word.get(&WORDS).bytes());
            }
            Change::Cut(from, to) => drop(data.drain(part(&data, from, to))),
            Change::Again(from, to) => {
                let part = part(&data, from, to);
                let copy = data[part.clone()].to_vec();
                data.splice(part.start..part.start, copy);
            }
            Change::Other(place, seed, from) => {
                let other = seed.get(seeds);
                data.truncate(place.index(data.len() + 1));
                data.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    data
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

fn holds(target: &str, data: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| fuzzing::run(target, data))).is_ok()
}

/// Its seeds as they are, then as many changed ones.
#[track_caller]
fn check(target: &str, times: u32) {
    let seeds = seeds(target);
    assert!(seeds.len() > 2, "{target} has hardly a seed");
    for (path, data) in &seeds {
        assert!(holds(target, data), "{} does not hold", path.display());
    }
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, data)| data).collect();
    let times = std::env::var("QUELL_TEST_CHANGES").ok().map_or(times, |times| times.parse().expect("a number"));
    let config = Config { cases: times, failure_persistence: None, ..Config::default() };
    let changes = (any::<Index>(), prop::collection::vec(change(), 0..6));
    let result = TestRunner::new(config).run(&changes, |(first, changes)| {
        let data = changed(&seeds, first, &changes);
        prop_assert!(holds(target, &data), "keep it in fuzz/corpus/{}: {:?}", target, data.escape_ascii().to_string());
        Ok(())
    });
    result.unwrap_or_else(|failed| panic!("{target}: {failed}"));
}

#[test]
fn playbooks_are_planned_or_refused_with_a_place() {
    check("playbook", 300);
}

#[test]
fn tenants_are_sound_or_refused_with_a_place() {
    check("tenant", 600);
}

#[test]
fn every_row_of_an_event_file_is_read_whole_or_refused() {
    check("events", 2000);
}

#[test]
fn an_act_is_accepted_or_tried_again_only_by_what_proves_it() {
    check("act_reply", 2000);
}

#[test]
fn an_item_succeeds_only_by_a_detail_about_it() {
    check("poll_reply", 2000);
}

#[test]
fn no_header_makes_a_run_wait_for_ever() {
    check("limit_headers", 1000);
}

#[test]
fn facts_that_cannot_follow_are_refused_and_the_report_agrees() {
    check("facts", 3000);
}

/// Crashes, signals, people and an API that answers anything: counts add up, replay is what live was, nothing is sent
/// twice, no window holds too many calls, and the run ends.
#[test]
fn a_run_driven_by_chance_keeps_every_promise() {
    check("run", 200);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let bytes = prop::collection::vec(any::<u8>(), 20..500);
    let result = TestRunner::new(config).run(&bytes, |data| {
        prop_assert!(holds("run", &data), "keep it in fuzz/corpus/run: {:?}", data.escape_ascii().to_string());
        Ok(())
    });
    result.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn filters_compile_or_say_where_not() {
    check("filter", 400);
}

#[test]
fn a_plan_file_is_what_would_be_written_of_its_plan_or_it_is_refused() {
    check("plan_file", 400);
}

#[test]
fn templates_render_within_bounds_or_say_what_is_wrong() {
    check("template", 400);
}

#[test]
fn every_target_has_a_binary_and_every_binary_a_target() {
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("it has a manifest");
    let mut names: Vec<&str> = fuzzing::TARGETS.iter().map(|(name, _)| *name).collect();
    for name in &names {
        let binary = fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).expect("its binary");
        assert!(binary.contains(&format!("fuzzing::run(\"{name}\", data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
    names.sort_unstable();
    let mut folders: Vec<String> = fs::read_dir(folder("corpus"))
        .expect("the seeds")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    folders.sort_unstable();
    assert_eq!(folders, names, "a folder of seeds for each target");
    let this = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file!())).expect("this file");
    for name in names {
        assert!(this.contains(&format!("check(\"{name}\", ")), "no test runs {name}");
    }
}
