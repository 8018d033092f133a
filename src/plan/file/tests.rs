//! Plans written and read back: whole, the same, and refused once a byte is another.

use super::*;
use crate::events::{Event, Events, RowPlace};
use crate::inert;
use crate::inert::tests::hostile;
use crate::plan::guards::Blocked;
use crate::plan::{AdHoc, FileRole, Leaving, LeftOut, Origin, OriginKind, Permitted, PlannedFile, PlannedReport};
use crate::plan::{PlanHeader, Request, RowWithoutItem, Work, build, digest};
use crate::tenant::EventType;
use proptest::prelude::*;
use std::collections::BTreeMap;

const TENANT: &str = "{version: 1, name: t, base_url: https://h.example, api_version: v1, user: u, user_id: i, \
                      actions: {quarantine: {id: 3, event_types: [FILE], reversible: true, inverse: release}, \
                      release: {id: 5, event_types: [FILE], reversible: true, inverse: quarantine}}}";

fn event(row: u32, attributes: &str) -> Event {
    Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: format!("a{}", row % 2).into(),
        event_id: format!("e{row}").into(),
        event_type: EventType::File,
        pid: 0,
        unique_id: "1".into(),
        action: None,
        attributes: attributes.into(),
    }
}

/// Two steps on rows 1 and 2, and a third row without an item.
fn small() -> Plan {
    let tenant = crate::tenant::read("tenant.yaml", TENANT).expect("a tenant");
    let rows = vec![event(1, r#"{"host":"x"}"#), event(2, "{}"), event(2, "{}")];
    let events = Events { sources: vec!["hits.csv".into()], rows, ..Events::default() };
    let work = Work::AdHoc(AdHoc { name: "hits".into(), action: Some("quarantine".into()), ..AdHoc::default() });
    let file = PlannedFile { role: FileRole::Events, name: "hits.csv".into(), sha256: "0".repeat(64) };
    let vars = BTreeMap::new();
    let request = Request {
        work,
        tenant: &tenant,
        vars,
        events,
        narrowing: Default::default(),
        partial: false,
        simulated: false,
        files: vec![file],
    };
    sealed(build(request).expect("a plan"))
}

fn sealed(mut plan: Plan) -> Plan {
    plan.header.digest = digest::digest(&plan);
    plan
}

fn written(plan: &Plan) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(plan, &mut bytes).expect("memory can be written");
    bytes
}

fn back(bytes: &[u8]) -> Result<Plan, PlanFileError> {
    read(&mut &bytes[..])
}

fn refusal(bytes: &[u8]) -> String {
    match back(bytes).expect_err("it is refused") {
        PlanFileError::Line { line, what } => format!("{line}: {what}"),
        other => other.to_string(),
    }
}

/// The file with sums and counts that fit again, as somebody who forges it would write it.
fn forged(change: impl FnOnce(&mut Vec<String>)) -> Vec<u8> {
    let text = String::from_utf8(written(&small())).expect("UTF-8");
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    all.pop();
    change(&mut all);
    let mut bytes = Vec::new();
    let mut lines = Lines::new(&mut bytes);
    all.iter().for_each(|line| lines.push(format!("{line}\n").as_bytes()).expect("memory can be written"));
    let count = |kind: &str| all.iter().filter(|line| line.starts_with(kind)).count();
    let items = all.iter().map(|line| line.matches("{\"item\":").count()).sum();
    lines.last(count("{\"event\""), items, count("{\"row_without")).expect("memory can be written");
    bytes
}

#[test]
fn a_plan_file_is_lines_that_a_reviewer_can_read() {
    insta::assert_snapshot!(String::from_utf8(written(&small())).expect("UTF-8"));
}

#[test]
fn what_was_written_is_read_back() {
    let plan = small();
    assert_eq!(back(&written(&plan)).expect("a plan"), plan);
    let empty = sealed(Plan { events: vec![], items: vec![], rows_without_item: vec![], ..small() });
    assert_eq!(back(&written(&empty)).expect("a plan"), empty);
}

#[test]
fn every_changed_byte_is_refused() {
    let bytes = written(&small());
    for at in 0..bytes.len() {
        for change in [1, 0x20] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert!(back(&changed).is_err(), "byte {at} ^ {change:#x}");
        }
    }
}

#[test]
fn a_file_that_was_cut_or_grew_is_refused() {
    let bytes = written(&small());
    for end in 0..bytes.len() {
        assert!(back(&bytes[..end]).is_err(), "cut at {end}");
    }
    for more in ["\n", "{}\n", "x"] {
        assert!(back(&[&bytes, more.as_bytes()].concat()).is_err(), "{more:?}");
    }
}

#[test]
fn what_is_amiss_is_told_by_its_line() {
    let line_of = |all: &[String], beginning: &str| {
        all.iter().position(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("no {beginning}"))
    };
    let replace = |beginning: &'static str, from: &'static str, to: &'static str| {
        forged(move |all| {
            let at = line_of(all, beginning);
            assert!(all[at].contains(from), "{from:?} is not in {}", all[at]);
            all[at] = all[at].replacen(from, to, 1);
        })
    };
    let text = String::from_utf8(written(&small())).expect("UTF-8");
    let number = |beginning: &str| 1 + text.lines().position(|line| line.starts_with(beginning)).expect("a line");
    let (first_event, rows) = (number("{\"event\""), number("{\"header\":\"rows\""));
    for (bytes, expected) in [
        (
            b"version: 1\n".to_vec(),
            "this is no plan file: its first line does not begin with {\"quell\":\"plan/".to_owned(),
        ),
        (replace("{\"quell\"", "plan/1", "plan/9"), "its format is \"plan/9\", this quell reads \"plan/1\"".to_owned()),
        (
            replace("{\"event\"", "\"e1\"", "\"e7\""),
            "1: the digest is not that of this plan: something in it was changed".to_owned(),
        ),
        (
            replace("{\"event\"", "\"pid\":0", "\"pid\": 0"),
            format!("{first_event}: this line is not as quell writes it"),
        ),
        (
            replace("{\"event\"", "\"pid\":0", "\"pid\":x"),
            format!("{first_event}: this line cannot be read: expected value at column 97"),
        ),
        (
            replace("{\"event\"", "\"step\":0", "\"step\":4"),
            format!("{first_event}: item 0 is of step 4, which this plan does not have"),
        ),
        (
            replace("{\"event\"", "\"source\":0", "\"source\":4"),
            format!("{first_event}: there is no source 4 in this plan"),
        ),
        (
            replace("{\"event\"", "FILE", "AGENT"),
            format!("{first_event}: item 0 is of a step whose action does not take AGENT events"),
        ),
        (
            replace("{\"event\"", "\"item\":0", "\"item\":1"),
            format!("{}: item 0 is missing, or another is there twice", first_event + 4),
        ),
        (
            replace("{\"event\"", "\"target\":0", "\"target\":2"),
            format!("{}: item 0 is of target 2, and there are fewer", first_event + 4),
        ),
        (replace("{\"header\":\"rows\"", "3", "3,\"x\":1"), format!("{}: this line is not as quell writes it", rows)),
        (
            forged(|all| drop(all.remove(1))),
            format!("{}: the header before this line cannot be read: missing field `playbook`", first_event - 1),
        ),
        (
            forged(|all| all.insert(1, "{\"header\":\"new\",\"value\":1}".to_owned())),
            "2: this line is not as quell writes it".to_owned(),
        ),
        (forged(|all| all.insert(2, all[1].clone())), "3: this key of the header is there twice".to_owned()),
        (forged(|all| all.swap(1, 2)), "2: this line is not as quell writes it".to_owned()),
    ] {
        assert_eq!(refusal(&bytes), expected);
    }
    let bytes = forged(|all| all[0] = all[0].replace(env!("CARGO_PKG_VERSION"), "0.0.9"));
    assert_eq!(back(&bytes).expect("the version is not what is planned").header.tool_version, "0.0.9");
    let bytes = forged(|all| {
        all[0] = all[0].replace(env!("CARGO_PKG_VERSION"), "0.0.9");
        all.remove(1);
    });
    let own = env!("CARGO_PKG_VERSION");
    assert!(refusal(&bytes).ends_with(&format!("; quell \"0.0.9\" made this plan, and this is quell {own}")));
}

#[test]
fn items_need_not_be_in_the_order_of_their_events() {
    let mut plan = small();
    plan.items.reverse();
    // And an event of which there is no item.
    plan.events.push(event(9, "{}"));
    let plan = sealed(plan);
    assert_eq!(back(&written(&plan)).expect("a plan"), plan);
}

#[test]
fn a_line_and_a_header_have_a_limit() {
    let mut plan = small();
    plan.events[0].attributes = format!("{{\"x\":\"{}\"}}", "y".repeat(LINE_BYTES_MAX)).into();
    let said = write(&plan, &mut std::io::sink()).expect_err("too large").to_string();
    assert!(said.starts_with("line ") && said.ends_with(" has more than 33554432 bytes"), "{said}");
    let endless = [written(&small()), vec![b'x'; LINE_BYTES_MAX + 1]].concat();
    assert!(refusal(&endless).ends_with(" has more than 33554432 bytes"));
}

/// Attributes as readers make them, and some that no reader makes.
fn attributes() -> impl Strategy<Value = String> {
    let object = hostile().prop_map(|text| serde_json::json!({ &text: &text }).to_string());
    let pretty = hostile().prop_map(|text| format!("{{\r\n \"a\" : {}\t}} ", serde_json::json!(text)));
    let telling = [
        r#"{"n":12345678901234567890123.10e2,"n":1E+5}"#,
        r#"{"lone":"\ud800","same":"\u0041\/"}"#,
        "{ }",
        " {}",
        "[1]",
        "",
        "{",
        "\u{202e}",
        "{\"a\":\"\u{200b}\"}",
    ];
    prop_oneof![object, pretty, hostile(), proptest::sample::select(telling.to_vec()).prop_map(str::to_owned)]
}

fn any_event() -> impl Strategy<Value = Event> {
    let texts = (hostile(), hostile(), hostile(), proptest::option::of(hostile()), attributes());
    (texts, any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(texts, row, line, pid)| {
        let (agent, id, unique, action, attributes) = texts;
        Event {
            place: RowPlace { row, source: 0, line },
            agent_id: agent.into(),
            event_id: id.into(),
            event_type: EventType::File,
            pid,
            unique_id: unique.into(),
            action: action.map(Box::from),
            attributes: attributes.into(),
        }
    })
}

fn any_origin() -> impl Strategy<Value = Origin> {
    (hostile(), hostile(), proptest::collection::vec(any::<u32>(), 0..3), any::<bool>()).prop_map(
        |(run, reason, items, is_undo)| Origin {
            kind: if is_undo { OriginKind::Undo } else { OriginKind::Retry },
            run: run.clone(),
            permitted: (!items.is_empty()).then(|| Permitted { items, reason: reason.clone() }),
            left_out: vec![LeftOut { step: run, state: Leaving::NobodyKnows, reason, count: 1, items: "7".into() }],
        },
    )
}

prop_compose! {
    fn any_plan()(
        texts in proptest::collection::vec(hostile(), 8),
        events in proptest::collection::vec(any_event(), 0..5),
        of in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 0..8),
        rows in proptest::collection::vec((any::<u32>(), proptest::option::of(any::<u64>()), hostile()), 0..4),
        origin in proptest::option::of(any_origin()),
    ) -> Plan {
        let mut plan = small();
        let count = if events.is_empty() { 0 } else { of.len() };
        plan.items = of[..count].iter().map(|(event, target)| PlannedItem {
            event: event.index(events.len()) as u32, step: 0, target: target.index(count) as u32,
        }).collect();
        plan.events = events;
        plan.rows_without_item = rows.into_iter().map(|(row, byte, reason)| RowWithoutItem {
            row, source: 0, line: row, byte, reason,
        }).collect();
        let header = &mut plan.header;
        [
            &mut header.playbook, &mut header.description, &mut header.comment, &mut header.tenant.user,
            &mut header.sources[0], &mut header.steps[0].name, &mut header.files[0].name,
        ].into_iter().zip(&texts).for_each(|(to, text)| to.clone_from(text));
        header.steps[0].filter = Some(texts[7].clone());
        header.reports = texts[..3].iter().map(|text| PlannedReport { format: text.clone(), path: text.clone() }).collect();
        header.origin = origin;
        if let Some(permitted) = header.origin.as_mut().and_then(|origin| origin.permitted.as_mut()) {
            permitted.items.retain(|item| (*item as usize) < count);
            permitted.items.sort_unstable();
            permitted.items.dedup();
        }
        sealed(plan)
    }
}

proptest! {
    #[test]
    fn any_plan_comes_back_and_nothing_in_its_file_acts(plan in any_plan()) {
        let bytes = written(&plan);
        prop_assert_eq!(&written(&plan), &bytes);
        let text = String::from_utf8(bytes).expect("UTF-8");
        prop_assert!(!text.contains(|c| inert::acts(c) && c != '\n'), "{:?}", text);
        let read = back(text.as_bytes());
        prop_assert!(read.is_ok(), "{:?}\n{}", read, text);
        prop_assert_eq!(read.expect("a plan"), plan);
    }

    #[test]
    fn a_change_anywhere_in_any_plan_is_refused(plan in any_plan(), at in any::<proptest::sample::Index>(), by in 1..=255_u8) {
        let mut bytes = written(&plan);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(back(&bytes).is_err());
    }
}

#[test]
fn what_no_plan_can_say_is_refused_although_its_sums_are_right() {
    let refused = |what: &str, change: fn(&mut PlanHeader)| {
        let mut plan = small();
        change(&mut plan.header);
        assert_eq!(refusal(&written(&sealed(plan))), format!("1: no quell made this plan: {what}"));
    };
    assert!(back(&written(&sealed(small()))).is_ok());
    refused("step 0 waits for step 0, which does not come before it (1 steps)", |header| {
        header.steps[0].flow.after = Some((0, crate::playbook::When::Failed));
    });
    refused("its waves end at targets [2, 2]: each has to end behind the one before", |header| {
        header.release.waves = vec![2, 2];
    });
    refused("its last wave ends at target 1, and there are 2", |header| header.release.waves = vec![1]);
    refused("its last wave ends at target 3, and there are 2", |header| header.release.waves = vec![1, 3]);
    refused("item 9 is blocked, and there are 2", |header| {
        header.blocked = vec![Blocked { rule: "r".into(), items: vec![0, 9] }];
    });
    refused("the items that are blocked are not in order", |header| {
        header.blocked = vec![Blocked { rule: "r".into(), items: vec![1, 0] }];
    });
}
