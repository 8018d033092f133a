//! Files that people write: playbooks, tenants, events.

use super::ground::{self, TENANT};
use crate::events::{self, Format, SourceRequest};
use crate::inert;
use crate::plan::{self, Plan};
use crate::playbook;
use crate::problem::{Problem, render};
use crate::tenant::{self, EventType};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// A playbook is planned, or everything against it stands inside of the file.
pub(super) fn playbook(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (read, problems) = playbook::read_in_part(Path::new("p.yaml"), text);
    stand_inside(&problems, text);
    let Some(playbook) = read.filter(|_| problems.is_empty()) else {
        assert!(!problems.is_empty(), "what cannot be read has a problem");
        return;
    };
    stand_inside(&plan::check(&playbook, None), text);
    let vars: BTreeMap<String, String> =
        playbook.vars.iter().map(|var| (var.name.value.clone(), "9".to_owned())).collect();
    let rows = vec![
        ground::event(1, 0, 1, EventType::File),
        ground::event(2, 1, 2, EventType::Process),
        ground::event(3, 0, 1, EventType::File),
    ];
    let bytes = vec![Some(40), Some(80), Some(120)];
    let sources = vec!["e.csv".to_owned()];
    let events = events::Events { sources, rows, bytes, ..events::Events::default() };
    let work = plan::Work::Playbook(&playbook);
    let request = plan::Request {
        work,
        tenant: &TENANT,
        vars,
        events,
        narrowing: plan::Narrowing::default(),
        partial: true,
        simulated: true,
        files: Vec::new(),
    };
    match plan::build(request) {
        Ok(plan) => adds_up(&plan),
        Err(problems) => {
            assert!(!problems.is_empty(), "what cannot be planned has a problem");
            stand_inside(&problems, text);
        }
    }
}

fn adds_up(plan: &Plan) {
    let limits = &plan.header.limits;
    assert_eq!(plan.header.rows as usize, plan.events.len() + plan.rows_without_item.len(), "every row");
    assert!(plan.items.iter().all(|item| usize::from(item.step) < plan.header.steps.len()), "steps of items");
    let used: HashSet<u32> = plan.items.iter().map(|item| item.event).collect();
    assert_eq!(used.len(), plan.events.len(), "every event that is kept has an item");
    assert!(limits.concurrency <= TENANT.limits.concurrency, "a playbook only tightens");
    assert!((1..=TENANT.limits.batch_size).contains(&limits.batch_size), "a playbook only tightens");
    assert!(limits.requests.is_none_or(|rate| rate.calls > 0 && !rate.window.is_zero()), "a window holds something");
}

/// A plan file is what its plan would be written as, or it is refused; whatever is read can be shown.
pub(super) fn plan_file(data: &[u8]) {
    match plan::file::read(&mut &data[..]) {
        Ok(plan) => {
            let mut written = Vec::new();
            plan::file::write(&plan, &mut written).expect("what was read can be written");
            assert_eq!(written, data, "a plan file is what is written of its plan");
            assert!(!plan::show::text(&plan).contains(|c| inert::acts(c) && c != '\n'), "text that acts");
            assert!(plan::diff::diff(&plan, &plan).is_empty(), "a plan does not differ from itself");
        }
        Err(refused) => assert!(!refused.to_string().contains('\n'), "a refusal is one line"),
    }
}

/// A tenant names no address but an own one without encryption, or everything against it stands inside of the file.
pub(super) fn tenant(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let tenant = match tenant::read("t.yaml", text) {
        Ok(tenant) => tenant,
        Err(problems) => {
            assert!(!problems.is_empty(), "what cannot be read has a problem");
            return stand_inside(&problems, text);
        }
    };
    let url = &tenant.base_url;
    let loopback = ["http://127.", "http://localhost", "http://[::1]"];
    assert!(url.starts_with("https://") || loopback.iter().any(|own| url.starts_with(own)), "{url}");
    assert!(!url.contains('@') && !url.ends_with('/'), "{url}");
    assert!((1..=200).contains(&tenant.limits.batch_size) && tenant.limits.concurrency > 0, "{:?}", tenant.limits);
    assert!(tenant.actions.iter().all(|action| !action.event_types.is_empty()), "an action is for something");
    let words = tenant.statuses.succeeded.iter().chain(&tenant.statuses.failed).chain(&tenant.statuses.pending);
    let folded: Vec<String> = words.map(|word| word.trim().to_lowercase()).collect();
    assert_eq!(folded.iter().collect::<HashSet<_>>().len(), folded.len(), "a word means one thing");
}

/// A place that is given lies in the text, and what is said can be shown anywhere.
fn stand_inside(problems: &[Problem], text: &str) {
    // YAML knows more ends of a line than these: a file that has others may have more lines.
    let plain = !text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']);
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        let place = problem.place;
        if let Some(byte) = place.byte {
            assert!(byte <= text.len() as u64, "{problem:?} is behind the end");
        }
        if plain && place.line > 0 {
            let line = lines.get(place.line as usize - 1);
            let line = line.unwrap_or_else(|| panic!("{problem:?} is behind the last line"));
            assert!(place.column as usize <= line.chars().count() + 1, "{problem:?} is behind its line");
        }
        assert!(place.column == 0 || place.length > 0, "{problem:?} marks nothing");
        assert!(!problem.message.is_empty(), "{problem:?} says nothing");
    }
    if !problems.is_empty() {
        can_be_shown(problems);
    }
}

fn can_be_shown(problems: &[Problem]) {
    let shown = render(problems, false);
    let acting: String = shown.chars().filter(|c| *c != '\n' && inert::acts(*c)).collect();
    assert!(acting.is_empty(), "{acting:?} acts on a terminal");
}

/// The first byte says how the file is written (`c`, `t`, `j`, `l`); in upper case, bad rows are put aside.
pub(super) fn events(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let partial = kind.is_ascii_uppercase();
    let format = match kind.to_ascii_lowercase() {
        b'c' => Some(Format::Csv),
        b't' => Some(Format::Tsv),
        b'j' => Some(Format::Json),
        b'l' => Some(Format::JsonLines),
        _ => None,
    };
    let read = || {
        let (input, mappings) = (events::Input::Stdin, TENANT.columns.as_slice());
        let source = SourceRequest { input, columns: None, mappings, empty_ok: true, format };
        events::read_with(&events::Request { sources: vec![source], partial }, &mut &*data)
    };
    let events = match read() {
        Ok(events) => events,
        Err(problems) => {
            assert!(!problems.is_empty(), "what cannot be read has a problem");
            let behind = problems.iter().find(|problem| problem.place.byte.is_some_and(|at| at > data.len() as u64));
            assert!(behind.is_none(), "{behind:?} is behind the end");
            return can_be_shown(&problems);
        }
    };
    let again = read().expect("what was read once can be read again");
    assert!(events.rows == again.rows && events.refused == again.refused, "the same bytes give the same rows");
    assert!(partial || events.refused.is_empty(), "a bad row refuses the file");
    assert!(events.bytes.is_empty() || events.bytes.len() == events.rows.len(), "a byte for each row");
    let mut numbers: Vec<u32> = events.rows.iter().map(|row| row.place.row).collect();
    numbers.extend(events.refused.iter().map(|row| row.place.row));
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "every row has its number: {numbers:?}");
    events.rows.iter().for_each(|row| is_whole(row, format, data));
    every_line_counts(data, format, numbers.len());
}

fn is_whole(row: &events::Event, format: Option<Format>, data: &[u8]) {
    let good = |id: &str| (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(good(&row.agent_id) && good(&row.event_id), "{row:?}");
    assert!(row.pid > 0 || row.event_type != EventType::Process, "{row:?} kills nothing");
    let attributes: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(&row.attributes);
    assert!(attributes.is_ok(), "{row:?}: its attributes are no object");
    // Where nothing is escaped, a value stands in the file as it was taken.
    if matches!(format, Some(Format::Csv | Format::Tsv)) && std::str::from_utf8(data).is_ok() && !data.contains(&b'"') {
        let there = |text: &str| data.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(there(&row.agent_id) && there(&row.event_id), "{row:?} is not in the file");
    }
}

/// Where a line is a row, every line that is not empty is one, but for a table's head.
fn every_line_counts(data: &[u8], format: Option<Format>, rows: usize) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = text.trim_start_matches('\u{feff}');
    if text.contains(['\r', '\0']) || rows == 0 {
        return;
    }
    let filled = text.lines().filter(|line| !line.trim_matches([' ', '\t']).is_empty()).count();
    match format {
        Some(Format::JsonLines) => assert_eq!(rows, filled, "lines"),
        Some(Format::Csv | Format::Tsv) if !text.contains('"') => assert_eq!(rows, filled - 1, "lines"),
        _ => {}
    }
}
