//! Plans for tests, from the texts that a user would write.

use super::{Narrowing, Plan, Request, Work, build};
use crate::events::{Event, Events, RowPlace};
use crate::playbook;
use crate::problem::{Problem, render};
use crate::tenant::{self, EventType};
use std::collections::BTreeMap;
use std::path::Path;

const TENANT: &str = "version: 1
name: t
base_url: https://h.example
user: u
user_id: i
actions:
  kill: {id: 2, event_types: [PROCESS], reversible: true}
  quarantine: {id: 3, event_types: [FILE], reversible: true}
  delete: {id: 4, event_types: [FILE]}
guards: {max_irreversible: 100}
";

/// A row: its type, its agent, its other columns as a JSON object.
pub(super) type Written<'a> = (&'a str, &'a str, &'a str);

/// The plan of a playbook, without its first two lines, for a tenant with `more` in its file.
pub(super) fn planned(playbook: &str, more: &str, rows: &[Written<'_>]) -> Result<Plan, Vec<Problem>> {
    let shown = |problems: Vec<Problem>| -> ! { panic!("{}", render(&problems, false)) };
    let tenant = tenant::read("t.yaml", &format!("{TENANT}{more}")).unwrap_or_else(|problems| shown(problems));
    let text = format!("version: 1\nname: p\n{playbook}");
    let playbook = playbook::read(Path::new("p.yaml"), &text).unwrap_or_else(|problems| shown(problems));
    let rows = rows.iter().zip(1_u32..).map(|((kind, agent, attributes), row)| Event {
        place: RowPlace { row, source: 0, line: row + 1 },
        agent_id: (*agent).into(),
        event_id: format!("e{row}").into(),
        event_type: EventType::parse(kind).expect("a type"),
        pid: if *kind == "PROCESS" { 7 } else { 0 },
        unique_id: format!("u{row}").into(),
        action: None,
        attributes: (*attributes).into(),
    });
    let events = Events { sources: vec!["e.csv".into()], rows: rows.collect(), ..Events::default() };
    let (vars, narrowing, files) = (BTreeMap::new(), Narrowing::default(), Vec::new());
    let (work, tenant) = (Work::Playbook(&playbook), &tenant);
    build(Request { work, tenant, vars, events, narrowing, partial: false, simulated: false, files })
}

/// The same where there is one.
pub(super) fn plan(playbook: &str, more: &str, rows: &[Written<'_>]) -> Plan {
    planned(playbook, more, rows).unwrap_or_else(|problems| panic!("{}", render(&problems, false)))
}
