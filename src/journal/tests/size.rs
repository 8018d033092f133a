//! What a row costs on disk.

use super::*;

/// Bytes that a row may cost beyond its own text, with all facts of an item that ran well.
const BYTES_A_ROW_MAX: u64 = 420;

#[test]
fn a_hundred_thousand_rows_and_their_facts_stay_small() {
    let (rows, settled_rows) = (100_000, 500);
    let state = tempfile::tempdir().unwrap();
    let mut plan = plan(rows);
    plan.items = (0..rows).map(|event| PlannedItem { event, step: 1, target: event / 2 }).collect();
    let size = || std::fs::metadata(state.path().join(TENANT).join("journal.sqlite")).unwrap().len();
    drop(Journal::open(state.path(), TENANT).unwrap().begin(&meta("a", 1), &plan).unwrap());
    let (text, planned) = (plan.events.iter().map(text_bytes).sum::<u64>(), size());
    let mut run = resume(state.path(), None).unwrap().run;
    for (batch, first) in (1..).zip((0..settled_rows).step_by(50)) {
        run.append(run.head(), &[at(1, submitting(batch, first..first + 50))], None).unwrap();
        run.append(run.head(), &[at(2, accepted(batch, 50))], None).unwrap();
        // The dearest case: every item's end in a transaction of its own.
        for n in 0..50 {
            run.append(run.head(), &[at(3, settled(first + n, batch, n as u16))], None).unwrap();
        }
    }
    drop(run);
    let of_plan = (planned - text) / u64::from(rows);
    let of_facts = (size() - planned) / u64::from(settled_rows);
    println!("{of_plan} bytes of plan and {of_facts} of facts a row, beyond {} of text", text / u64::from(rows));
    assert!(of_plan + of_facts <= BYTES_A_ROW_MAX, "{of_plan} + {of_facts}");
}

fn text_bytes(event: &Event) -> u64 {
    let texts = [&event.agent_id, &event.event_id, &event.unique_id, &event.attributes];
    let action = event.action.as_deref().unwrap_or_default();
    let bytes = texts.map(|text| text.len()).iter().sum::<usize>() + event.event_type.as_str().len() + action.len();
    bytes as u64
}
