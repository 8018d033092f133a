//! A plan: the playbook applied to its events. Deterministic: the same files give the same plan, whatever the clock,
//! the folder, the time zone or the past.
//!
//! It reads no file and asks nobody; readers hand it what they read.

mod act_key;
mod approval;
mod blocked;
mod build;
pub mod diff;
mod digest;
pub mod event_age;
pub mod file;
pub mod filter;
#[cfg(test)]
mod fixture;
pub mod forecast;
pub mod guards;
mod held;
mod narrow;
mod origin;
mod problems;
pub mod release;
mod protected;
mod repeats;
mod retry;
mod select;
mod settings;
pub mod show;
mod steps;
mod targets;
pub mod undo;
mod unjudged;

pub use crate::playbook::{OnUnknown, Overlap, Percent, Promote, When};
pub use act_key::{ActKey, Sent, act_key, inverse_key};
pub use approval::{PlannedApproval, approval_asked};
pub use blocked::BlockedItems;
pub use build::{AdHoc, Request, Work, build, check};
pub use guards::{Blocked, Guard, Hold, PlannedGuards};
pub use held::is_held;
pub use narrow::{HostsFile, Narrowing};
pub use origin::{FileRole, Leaving, LeftOut, Origin, OriginKind, Permitted, PlannedFile, STDIN, amiss_with};
pub use protected::protect;
pub use release::{Budget, DroppedWave, PlannedRelease};
pub use retry::retry;

use crate::events::Event;
use crate::tenant::{Action, ApiVersion, Auth, Limits, Polling, Statuses};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a run carries out.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What holds for all items.
    pub header: PlanHeader,
    /// The events that items refer to, in input order.
    pub events: Vec<Event>,
    /// The units of work, ordered by row, then step.
    pub items: Vec<PlannedItem>,
    /// Rows that no item stands for, in input order, each with its reason.
    pub rows_without_item: Vec<RowWithoutItem>,
}

/// What holds for all items of a plan. It is stored with the run; inputs are never read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanHeader {
    /// The playbook's name, or the event file's stem when there is no playbook.
    pub playbook: String,
    /// The playbook's description; may be empty.
    pub description: String,
    /// The comment every act carries, before the run's tag is added.
    pub comment: String,
    /// The tenant, as far as a run needs it.
    pub tenant: PlannedTenant,
    /// The steps in order; items name them by index.
    pub steps: Vec<PlannedStep>,
    /// The tenant's limits, tightened by the playbook.
    pub limits: Limits,
    /// The tenant's polling, tightened by the playbook.
    pub polling: Polling,
    /// What status words mean.
    pub statuses: Statuses,
    /// How long a success keeps later runs from repeating it.
    #[serde(default = "default_dedupe_window")]
    pub dedupe_window: Duration,
    /// What happens while another run of the playbook goes on.
    #[serde(default)]
    pub overlap: Overlap,
    /// How its targets are released, and how many failures stop it.
    #[serde(default)]
    pub release: PlannedRelease,
    /// How much it may do, and whether it is held.
    #[serde(default)]
    pub guards: PlannedGuards,
    /// Items that are not carried out, by the rule that protects their targets.
    #[serde(default)]
    pub blocked: Vec<Blocked>,
    /// Where rows came from, as the user wrote it.
    pub sources: Vec<String>,
    /// Rows read, refused ones included.
    pub rows: u32,
    /// Reports to write: format and path template.
    pub reports: Vec<PlannedReport>,
    /// The version of quell that made the plan; empty in headers that were stored before it was kept.
    #[serde(default)]
    pub tool_version: String,
    /// The files that were read for it.
    #[serde(default)]
    pub files: Vec<PlannedFile>,
    /// The run whose items it takes up.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Who must have signed the plan, and whether its totals ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<PlannedApproval>,
    /// SHA-256 over everything above and all items, in hexadecimal.
    pub digest: String,
}

/// The tenant as the plan keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `tenant::Tenant`")]
pub struct PlannedTenant {
    pub name: String,
    pub base_url: String,
    pub api_version: ApiVersion,
    pub user: String,
    pub user_id: String,
    pub auth: Auth,
    /// Whether the built-in simulator stands in for it.
    pub simulated: bool,
}

/// One step of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step's name.
    pub name: String,
    /// The tenant's action, whole.
    pub action: Action,
    /// The filter as written, for show.
    pub filter: Option<String>,
    /// What happens to the action's further acts once one of its items is unknown.
    #[serde(default)]
    pub on_unknown: OnUnknown,
    /// The API's `actionId` of the action that undoes it.
    #[serde(default)]
    pub inverse_id: Option<i64>,
    /// That action, whole; older headers have only its id.
    #[serde(default)]
    pub inverse: Option<Action>,
    /// How it follows the other steps, and how old its events may be.
    #[serde(default)]
    pub flow: PlannedFlow,
}

/// How a step follows the others on a target, and how old its events may be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlannedFlow {
    /// An earlier step, by its index, and how it must have ended; absent: every earlier step has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<(u16, When)>,
    /// Whether there is one item for each target, rather than one for each event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// Whether its failures leave the failure budget, the gates between waves and the order of steps alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_failure: bool,
    /// How old an event may be, by its `event_time`, when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_event_age: Option<Duration>,
}

/// That of headers which were stored before there was one.
fn default_dedupe_window() -> Duration {
    crate::playbook::DEDUPE_WINDOW
}

/// A report that the plan asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedReport {
    /// `text`, `markdown`, `json`, `csv`, `html`, or `template:PATH`.
    pub format: String,
    /// A template over `run`.
    pub path: String,
}

/// The unit of work: one event, one step. Its number is its index in [`Plan::items`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedItem {
    /// Index into [`Plan::events`].
    pub event: u32,
    /// Index into [`PlanHeader::steps`].
    pub step: u16,
    /// Number of its target, dense from 0 in order of first appearance.
    pub target: u32,
}

/// A row that became no item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowWithoutItem {
    /// Number of the row over all sources, from 1.
    pub row: u32,
    /// Index into [`PlanHeader::sources`].
    pub source: u16,
    /// Line in its source, from 1.
    pub line: u32,
    /// Byte offset in its source, for refused rows.
    pub byte: Option<u64>,
    /// Why, as one line: `duplicate of row 3`, `no step selects it: …`, `refused: …`.
    pub reason: String,
}

/// An item together with its event: what a store gives back and a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// The item's number in the plan, from 0.
    pub item: u32,
    /// Index into [`PlanHeader::steps`].
    pub step: u16,
    /// Number of its target.
    pub target: u32,
    /// The event.
    pub event: Event,
}

impl Plan {
    /// The agent that the act on an item is sent to.
    pub fn agent_of(&self, item: &PlannedItem) -> &str {
        let [agent, ..] = self.ids_of(item);
        agent
    }

    /// Agent, event and unique id as the act on an item sends them.
    pub fn ids_of(&self, item: &PlannedItem) -> [&str; 3] {
        let action = &self.header.steps[usize::from(item.step)].action;
        act_key::filled(action, &self.events[item.event as usize].sent())
    }
}

impl Event {
    /// What an act sends of it.
    pub fn sent(&self) -> Sent<'_> {
        let Self { agent_id, event_id, event_type, pid, unique_id, .. } = self;
        Sent { agent_id, event_id, event_type: *event_type, pid: *pid, unique_id }
    }
}
