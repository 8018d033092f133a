//! What the journal promises, each promise by the accident that would break it.

mod accidents;
mod beside;
mod files;
mod flips;
mod golden;
mod history;
mod index;
mod memory;
mod pruning;
mod reading;
mod size;

use super::*;
use crate::engine::fact::{BatchId, Moment, NotCarriedOut, PairedBy, Settled, What};
use crate::events::{Event, RowPlace};
use crate::plan::{OnUnknown, Plan, PlanHeader, PlannedItem, PlannedStep, PlannedTenant, RowWithoutItem};
use crate::run::RunMeta;
use crate::tenant::EventType;
use crate::tenant::{Action, ApiVersion, Auth, Limits, Polling, Statuses};
use std::path::Path;

const TENANT: &str = "prod-eu";

fn meta(id: &str, created: u64) -> RunMeta {
    RunMeta {
        id: id.to_owned(),
        playbook: "contain".to_owned(),
        tenant: TENANT.to_owned(),
        created: Moment(created),
        tool_version: "0.1.0".to_owned(),
        simulated: false,
        state_warning: None,
        operator: None,
        retry_of: None,
        undo_of: None,
        approvals: Vec::new(),
    }
}

fn step(name: &str) -> PlannedStep {
    let action = Action { reversible: true, ..Action::plain(name, 7, EventType::File) };
    PlannedStep {
        name: name.to_owned(),
        action,
        filter: None,
        on_unknown: OnUnknown::Stop,
        inverse_id: None,
        inverse: None,
        flow: crate::plan::PlannedFlow::default(),
    }
}

fn header(rows: u32) -> PlanHeader {
    PlanHeader {
        playbook: "contain".to_owned(),
        description: "é\u{1F600}".to_owned(),
        comment: "ticket 7".to_owned(),
        tenant: PlannedTenant {
            name: TENANT.to_owned(),
            base_url: "https://gateway.example".to_owned(),
            api_version: ApiVersion::V1,
            user: "u".to_owned(),
            user_id: "i".to_owned(),
            auth: Auth::TokenEnv("QUELL_TOKEN".to_owned()),
            simulated: false,
        },
        steps: vec![step("isolate"), step("quarantine")],
        limits: Limits { requests: None, ..Limits::default() },
        polling: Polling::default(),
        statuses: Statuses { succeeded: vec!["success".to_owned()], failed: Vec::new(), pending: Vec::new() },
        dedupe_window: crate::playbook::DEDUPE_WINDOW,
        overlap: crate::plan::Overlap::Forbid,
        release: crate::plan::PlannedRelease::default(),
        guards: crate::plan::PlannedGuards::default(),
        blocked: Vec::new(),
        sources: vec!["export.csv".to_owned()],
        rows,
        reports: Vec::new(),
        tool_version: "0.1.0".to_owned(),
        files: Vec::new(),
        origin: None,
        approval: None,
        digest: "0".repeat(64),
    }
}

fn event(n: u32) -> Event {
    Event {
        place: RowPlace { row: n + 1, source: 0, line: n + 2 },
        agent_id: format!("agent-{:08}-4f1b-8b55-7a3a{:012}", n / 2, n).into(),
        event_id: format!("RTF_{n:032}").into(),
        event_type: EventType::ALL[n as usize % 6],
        pid: n,
        unique_id: format!("-{:019}", n).into(),
        action: n.is_multiple_of(2).then(|| "Quarantine".into()),
        attributes: format!(r#"{{"host":"pc-{n:06}","user":"ACME\\u{n}","path":"C:\\temp\\{n}.exe"}}"#).into(),
    }
}

/// `events` events, two items for every even one, a row without an item for every sixth.
fn plan(events: u32) -> Plan {
    let items = (0..events).flat_map(|event| {
        let steps = if event.is_multiple_of(2) { 0..2 } else { 1..2 };
        steps.map(move |step| PlannedItem { event, step, target: event / 2 })
    });
    let rows = (0..events).step_by(6).map(|row| RowWithoutItem {
        row: row + 1,
        source: 0,
        line: row + 2,
        byte: (row % 12 == 0).then_some(u64::from(row) * 100),
        reason: format!("duplicate of row {row}"),
    });
    Plan {
        header: header(events),
        events: (0..events).map(event).collect(),
        items: items.collect(),
        rows_without_item: rows.collect(),
    }
}

fn at(ms: u64, what: What) -> Fact {
    Fact { at: Moment(1_790_000_000_000 + ms), what }
}

fn submitting(batch: u32, items: std::ops::Range<u32>) -> What {
    let items = items.map(ItemId).collect();
    What::Submitting { batch: BatchId(batch), step: 1, event_type: EventType::File, items }
}

fn accepted(batch: u32, count: u32) -> What {
    let ids = (0..count).map(|n| format!("b3c5a1f0-{batch:04}-4bbb-8ccc-{n:012}")).collect();
    What::Accepted { batch: BatchId(batch), ids }
}

fn settled(item: u32, batch: u32, index: u16) -> What {
    What::Settled {
        item: ItemId(item),
        outcome: Settled::Succeeded,
        of: Some(RemediationRef { batch: BatchId(batch), index }),
        by: Some(PairedBy::AgentAndUniqueId),
        status: Some("success".to_owned()),
        message: None,
    }
}

/// A run's facts, grouped by the appends that write them: an act is under way at the end.
fn history() -> Vec<Vec<Fact>> {
    let returned =
        What::Returned { batch: BatchId(1), why: NotCarriedOut::Throttled, message: "429 \"slow down\"".to_owned() };
    vec![
        vec![at(0, What::Started)],
        vec![at(1, submitting(1, 0..3))],
        vec![at(900, returned)],
        vec![at(1000, submitting(2, 0..3)), at(1000, submitting(3, 3..6))],
        vec![at(1500, accepted(2, 3)), at(1501, accepted(3, 3))],
        vec![at(2000, settled(1, 2, 0)), at(2001, settled(0, 2, 1)), at(2002, settled(2, 2, 2))],
        vec![at(2500, submitting(4, 6..9))],
        vec![at(2600, What::Tallied { gets: 3, throttled: 0 })],
    ]
}

fn append_all(run: &mut SqliteRun, history: &[Vec<Fact>]) {
    for facts in history {
        run.append(run.head(), facts).unwrap();
    }
}

/// A run with `history`, its plan and folder. The lock is free again.
fn written(history: &[Vec<Fact>]) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 1);
    append_all(&mut run, history);
    state
}

/// What is asked when no success is old.
fn at_any_time(window: std::time::Duration) -> Question<'static> {
    Question { now: Moment(0), window, permitted: &[] }
}

/// As the first append does, here without a fact.
fn leave_gate(mut run: SqliteRun) -> SqliteRun {
    let head = run.head();
    assert_eq!(run.append(head, &[]).unwrap(), head);
    run
}

fn begin(state: &Path, id: &str, created: u64) -> SqliteRun {
    leave_gate(Journal::open(state, TENANT).unwrap().begin(&meta(id, created), &plan(12)).unwrap())
}

/// Takes a run up as the command does.
fn resume(state: &Path, run: Option<&str>) -> Result<Resumed, StoreError> {
    let journal = Journal::open(state, TENANT)?;
    let id = match run {
        Some(run) => RunReader::open(state, Some(run))?.meta().id.clone(),
        None => {
            runs(state)?.newest_unfinished()?.ok_or_else(|| StoreError::NoRun("unfinished run".to_owned()))?.meta.id
        }
    };
    let Resumed { run, meta, header, head, other_host } = journal.resume(&id)?;
    Ok(Resumed { run: leave_gate(run), meta, header, head, other_host })
}

fn facts_of(reader: &RunReader) -> Result<Vec<Fact>, StoreError> {
    let mut facts = Vec::new();
    reader.for_each_fact(|fact| {
        facts.push(fact);
        Ok(())
    })?;
    Ok(facts)
}

fn flat(history: &[Vec<Fact>]) -> Vec<Fact> {
    history.iter().flatten().cloned().collect()
}

/// Copies a tenant's folder as it stands, which is what a kill leaves, into a state folder of its own.
fn copy(state: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    std::fs::create_dir(to.path().join(TENANT)).unwrap();
    for entry in std::fs::read_dir(state.join(TENANT)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.path().join(TENANT).join(entry.file_name())).unwrap();
    }
    to
}

fn text<T>(result: Result<T, StoreError>, state: &Path) -> String {
    let error = result.err().map(|e| e.to_string()).unwrap_or_else(|| "no error".to_owned());
    error.replace(std::fs::canonicalize(state).unwrap().to_str().unwrap(), "STATE")
}
