//! What the command line leaves out of a plan: `--where`, `--hosts` and `--limit` over what the steps select.
//!
//! A row that a step selects and that is left out here stays a row of the plan, without an item and with its reason.
//! Rows are left out before repeats are looked for, so that the first row that is left stands for the others; `--limit`
//! comes last and counts rows that have items.

use super::filter::{ColumnReader, Filter};
use super::select::{BadRow, Chosen, FailedFilter, FilterOf, Selection, row_without_item};
use crate::events::Event;
use std::collections::HashSet;

/// What was asked. By default nothing is left out.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    /// `--where` beside a playbook: a filter over all its steps.
    pub filter: Option<String>,
    /// `--hosts`
    pub hosts: Option<HostsFile>,
    /// `--limit`: how many rows have items.
    pub limit: Option<u32>,
}

/// A file of agent ids, as it was read.
#[derive(Debug, Clone, Default)]
pub struct HostsFile {
    /// Its name as it was typed, without folders of this machine.
    pub name: String,
    /// Where it was read.
    pub path: std::path::PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// The ids in it, exactly as agents have to be called.
    pub ids: HashSet<String>,
}

impl Selection {
    /// Leaves out rows of other hosts, and rows to which the filter says no.
    pub(super) fn narrow(
        &mut self,
        hosts: Option<&HostsFile>,
        filter: Option<&Filter>,
        events: &[Event],
        bytes: &[Option<u64>],
    ) {
        if hosts.is_none() && filter.is_none() {
            return;
        }
        let mut reader = ColumnReader::new(filter.into_iter());
        let chosen = std::mem::take(&mut self.chosen);
        for of_row in chosen.chunk_by(|one, other| one.event == other.event) {
            let index = of_row[0].event as usize;
            let event = &events[index];
            if let Some(hosts) = hosts.filter(|hosts| !hosts.ids.contains(&*event.agent_id)) {
                self.without.push(row_without_item(event.place, format!("left out: not in --hosts {}", hosts.name)));
                continue;
            }
            match filter.map_or(Ok(true), |filter| reader.read(event).and_then(|row| filter.selects(&row))) {
                Ok(true) => self.chosen.extend_from_slice(of_row),
                Ok(false) => {
                    self.without.push(row_without_item(event.place, "left out: --where says no".to_owned()));
                }
                Err(why) => {
                    let byte = bytes.get(index).copied().flatten();
                    let reason = format!("--where: {why}");
                    let filter = Some(FailedFilter { of: FilterOf::Flag, why });
                    self.bad.push(BadRow { place: event.place, byte, reason, filter });
                }
            }
        }
    }

    /// Keeps the first rows that have items.
    pub(super) fn limit(&mut self, rows: Option<u32>, events: &[Event]) {
        let Some(rows) = rows else { return };
        let place = |chosen: &Chosen| events[chosen.event as usize].place;
        // What stands for a whole target is of the row that it is made from.
        let mut of_rows = self.chosen.chunk_by(|one, other| place(one) == place(other));
        let kept: usize = of_rows.by_ref().take(rows as usize).map(<[Chosen]>::len).sum();
        let left_out = of_rows.map(|of_row| place(&of_row[0]));
        self.without.extend(left_out.map(|place| row_without_item(place, format!("left out: --limit {rows}"))));
        self.chosen.truncate(kept);
    }
}
