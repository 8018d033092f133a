//! What one attribute's value explains, and what it does not.

use super::fixture::Fixture;
use crate::engine::Outcome;
use crate::report::explain::explained;

/// Items as `platform/zone`, the first `failed` of which failed.
fn explains(items: &[(&str, u32)], failed: usize) -> Option<String> {
    let all: Vec<&str> =
        items.iter().flat_map(|(attributes, n)| std::iter::repeat_n(*attributes, *n as usize)).collect();
    let mut fixture = Fixture::many(all.len() as u32, Outcome::Succeeded, "x");
    for (number, attributes) in all.iter().enumerate() {
        let (platform, zone) = attributes.split_once('/').expect("two attributes");
        let event = &mut fixture.rows[number].event;
        event.attributes = format!(r#"{{"platform":"{platform}","zone":"{zone}","n":{number}}}"#).into();
        event.agent_id = format!("agent-{number}").into();
        if number < failed {
            fixture.folded.endings[number].outcome = Outcome::Failed;
        }
    }
    fixture.recount();
    fixture.with(|source| explained(source).expect("it adds up")).map(|found| found.words())
}

#[test]
fn a_value_that_nearly_all_failures_have_and_few_others_explains_them() {
    for (name, items, failed, words) in [
        (
            "the example of the documents",
            &[("LINUX/a", 38), ("WINDOWS/a", 2), ("WINDOWS/a", 60)][..],
            40,
            Some("38 of 40 failures: platform LINUX"),
        ),
        ("all of both", &[("LINUX/a", 10), ("WINDOWS/a", 10)], 10, Some("10 of 10 failures: platform LINUX")),
        ("too few have it", &[("LINUX/a", 8), ("WINDOWS/a", 4), ("WINDOWS/a", 20)], 12, None),
        ("most others have it too", &[("LINUX/a", 10), ("LINUX/a", 11), ("WINDOWS/a", 9)], 10, None),
        (
            "the others have it less",
            &[("LINUX/b", 10), ("LINUX/a", 4), ("WINDOWS/a", 6)],
            10,
            Some("10 of 10 failures: zone b"),
        ),
        ("too few failures", &[("LINUX/a", 4), ("WINDOWS/a", 40)], 4, None),
        ("nothing went well", &[("LINUX/a", 40)], 40, None),
    ] {
        assert_eq!(explains(items, failed).as_deref(), words, "{name}");
    }
}
