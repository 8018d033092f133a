//! A playbook as it is written, and its JSON Schema: both come from these types.

use super::approval::ApprovalFile;
use super::caution::{OnUnknown, Overlap, Window};
use super::control::{Percent, WaveSize};
use super::flow::After;
use super::released::AbsolutePath;
use super::schedule::Span;
use crate::tenant::{
    ActTimeout, ColumnEntries, Deadline, GuardsFile, Length, Name, Pause, PollTimeout, ProtectedFile, Rate, Word,
};
use crate::yaml::{AnyText, Count, Entries, Field, FromText, NumberOrText, Refusal, Version, Written};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The JSON Schema (draft 2020-12) of a playbook, for editors and for checks in a pipeline.
pub fn schema() -> Value {
    schemars::schema_for!(PlaybookFile).to_value()
}

/// A playbook: which events, which actions in which steps, under which limits, with which reports.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "quell playbook")]
pub(super) struct PlaybookFile {
    /// The version of this file's form.
    pub(super) version: Field<Version>,
    /// The playbook's name; it becomes part of every run's name.
    pub(super) name: Field<Written<Label>>,
    /// What it is for.
    #[serde(default)]
    pub(super) description: Field<AnyText>,
    /// The tenant's name.
    #[serde(default)]
    pub(super) tenant: Field<Written<Name>>,
    /// Variables that a run may or must be given.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}))]
    pub(super) vars: Field<Entries<VarFile>>,
    /// A template over `vars`: the comment of every act.
    #[serde(default)]
    pub(super) comment: Field<AnyText>,
    /// Where events come from.
    #[serde(default)]
    pub(super) events: Field<Vec<Field<SourceFile>>>,
    /// The column by which events belong together: steps follow each other on each of its values. Without it: the host.
    #[serde(default)]
    pub(super) target: Field<Written<Word>>,
    /// What is done, in this order.
    #[schemars(extend("minItems" = 1))]
    pub(super) steps: Field<Vec<Field<StepFile>>>,
    /// What tightens the tenant's limits.
    #[serde(default)]
    pub(super) limits: Field<LimitsFile>,
    /// What tightens the tenant's polling.
    #[serde(default)]
    pub(super) polling: Field<PollingFile>,
    /// What happens to an action's further acts once one of its items is unknown. Without it: `continue` for actions
    /// that are `repeat_safe`, else `stop`.
    #[serde(default)]
    pub(super) on_unknown: Field<OnUnknown>,
    /// How long a success keeps later runs from repeating it.
    #[serde(default)]
    #[schemars(extend("default" = "30d"))]
    pub(super) dedupe_window: Field<Written<Window>>,
    /// What a run does while another one of this playbook goes on; `wait` is at most an hour.
    #[serde(default)]
    #[schemars(extend("default" = "forbid"))]
    pub(super) overlap: Field<Written<Overlap>>,
    /// Targets that are released together: cumulative sizes, as numbers or shares. Without it: all at once.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub(super) waves: Field<Vec<Field<NumberOrText<WaveSize>>>>,
    /// What opens the next wave.
    #[serde(default)]
    pub(super) promote: Field<PromoteFile>,
    /// How many failures the run takes before it stops.
    #[serde(default)]
    pub(super) failure_budget: Field<BudgetFile>,
    /// A file that stops the run while it is there, looked for before every act; an absolute path, the same from every folder.
    #[serde(default)]
    pub(super) stop_file: Field<Written<AbsolutePath>>,
    /// An address that has to answer 200 before every act, asked without the token; anything else stops the run.
    #[serde(default)]
    pub(super) go_url: Field<Written<GoUrl>>,
    /// When it may act: `mon-fri 22:00-06:00 Europe/Berlin`. Without it: at any time.
    #[serde(default)]
    pub(super) windows: Field<Vec<Field<Written<Span>>>>,
    /// When it may not act: `2026-12-24 to 2026-12-27 06:00 Europe/Berlin`.
    #[serde(default)]
    pub(super) blackouts: Field<Vec<Field<Written<Span>>>>,
    /// Who must have signed a plan before it is carried out.
    #[serde(default)]
    pub(super) require_approval: Field<ApprovalFile>,
    /// How much a plan may do before it is held, at most what the tenant allows.
    #[serde(default)]
    pub(super) guards: Field<GuardsFile>,
    /// What must not be acted on, besides what the tenant protects.
    #[serde(default)]
    pub(super) protected: Field<ProtectedFile>,
    /// Reports to write at the end.
    #[serde(default)]
    pub(super) reports: Field<Vec<Field<ReportFile>>>,
}

/// A variable that a run may or must be given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Var")]
#[schemars(extend("not" = {"required": ["required", "default"], "properties": {"required": {"const": true}}}))]
pub(super) struct VarFile {
    /// Whether a run without it is refused.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) required: Field<bool>,
    /// What stands for it when it is not given.
    #[serde(default)]
    pub(super) default: Field<AnyText>,
}

/// One place that events come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Source", extend("oneOf" = [{"required": ["file"]}, {"required": ["inline"]}]))]
pub(crate) struct SourceFile {
    /// A path relative to the playbook's folder, or `-` for standard input.
    #[serde(default)]
    pub(super) file: Field<Written<Word>>,
    /// Events written here.
    #[serde(default)]
    pub(super) inline: Field<Vec<Field<InlineEvent>>>,
    /// One of the tenant's named mappings, or a mapping written here.
    #[serde(default)]
    pub(super) columns: Field<ColumnsFile>,
    /// `ok` when a source without rows is fine.
    #[serde(default)]
    pub(super) empty: Field<EmptyFile>,
}

/// How columns are named.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "quell::ByKind", rename_all = "lowercase")]
#[schemars(rename = "Columns", untagged)]
pub(crate) enum ColumnsFile {
    /// One of the tenant's named mappings.
    Text(Written<Name>),
    /// A mapping written in place.
    Mapping(ColumnEntries),
}

/// `empty: ok`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Empty")]
pub(crate) enum EmptyFile {
    /// A source without rows is fine.
    Ok,
}

/// One action over the events that its filter selects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Step")]
pub(super) struct StepFile {
    /// Unique within the playbook.
    pub(super) name: Field<Written<Label>>,
    /// The tenant's action, by name.
    pub(super) action: Field<Written<Name>>,
    /// A CEL expression over the event's columns and `vars`.
    #[serde(default, rename = "where")]
    pub(super) filter: Field<AnyText>,
    /// An earlier step and how it must have ended on the target: `kill`, `kill failed`, `kill settled`. Without it: every
    /// earlier step has succeeded.
    #[serde(default)]
    pub(super) after: Field<Written<After>>,
    /// `target`: one item for each target rather than one for each event.
    #[serde(default)]
    pub(super) once: Field<OnceFile>,
    /// Whether its failures leave the failure budget, the gates between waves and the order of steps alone.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) allow_failure: Field<bool>,
    /// How old an event may be, by its `event_time`, when it is sent.
    #[serde(default)]
    pub(super) max_event_age: Field<EventAge>,
}

/// How old an event may be: at most 30 days.
pub(super) type EventAge = Written<Length<1000, { 30 * 24 * 3_600_000 }>>;
/// How long a wave may take, or a person.
pub(super) type GateTime = Written<Length<1000, { 7 * 24 * 3_600_000 }>>;

/// `once: target`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Once")]
pub(super) enum OnceFile {
    /// One item for each target.
    Target,
}

/// What opens the next wave. Without it: all of the items released so far have an outcome, and none failed, was rejected,
/// timed out, is unknown or unmatched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Promote")]
pub(super) struct PromoteFile {
    /// How many of the items released so far must have an outcome, at least 1%.
    #[serde(default)]
    #[schemars(extend("default" = "100%", "not" = {"enum": [0, "0", "0%"]}))]
    pub(super) settled: Field<NumberOrText<Percent>>,
    /// How many of them may have failed, been rejected, timed out, or be unknown or unmatched.
    #[serde(default)]
    #[schemars(extend("default" = 0))]
    pub(super) failures: Field<u32>,
    /// How long a wave may take to get there; then the run stops.
    #[serde(default)]
    pub(super) within: Field<GateTime>,
    /// A person has to say yes then, within this time; else the run stops.
    #[serde(default)]
    pub(super) confirm_within: Field<GateTime>,
}

/// How many failures the run takes: failed, rejected, timed out, unknown and unmatched items. One more stops it: no
/// further act, what is open is polled to its end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FailureBudget", extend("oneOf" = [{"required": ["count"]}, {"required": ["percent"]}]))]
pub(super) struct BudgetFile {
    /// So many are tolerated.
    #[serde(default)]
    pub(super) count: Field<u32>,
    /// This share of the planned items is tolerated, rounded down.
    #[serde(default)]
    #[schemars(extend("default" = 10))]
    pub(super) percent: Field<NumberOrText<Percent>>,
    /// How many items must have settled before it is judged: 20 with `percent`, 0 with `count` and with `strict`.
    #[serde(default)]
    pub(super) min_settled: Field<u32>,
    /// Open items count as failures until they have settled, so that the budget is never exceeded.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) strict: Field<bool>,
}

/// What tightens the tenant's limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct LimitsFile {
    /// Fewer calls in any window of that length.
    #[serde(default)]
    pub(super) requests: Field<Written<Rate>>,
    /// More calls left to other users of the subscription.
    #[serde(default)]
    pub(super) keep_free: Field<Written<Rate>>,
    /// Fewer calls in flight at once.
    #[serde(default)]
    pub(super) concurrency: Field<Count<1, 256>>,
    /// Fewer items in one act.
    #[serde(default)]
    pub(super) batch_size: Field<Count<1, 200>>,
    /// A shorter time for an act.
    #[serde(default)]
    pub(super) act_timeout: Field<ActTimeout>,
    /// A shorter time for a poll.
    #[serde(default)]
    pub(super) poll_timeout: Field<PollTimeout>,
}

/// What tightens the tenant's polling.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Polling")]
pub(super) struct PollingFile {
    /// A longer time before the first poll.
    #[serde(default)]
    pub(super) first_after: Field<Pause>,
    /// A longer time before the second poll.
    #[serde(default)]
    pub(super) interval: Field<Pause>,
    /// A longer pause between polls.
    #[serde(default)]
    pub(super) interval_max: Field<Pause>,
    /// A shorter time to the last poll.
    #[serde(default)]
    pub(super) deadline: Field<Deadline>,
    /// A shorter time in which "not found" is expected.
    #[serde(default)]
    pub(super) not_found_grace: Field<Pause>,
}

/// A report to write at the end: one format and its path, or a template and a path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Report", extend("oneOf" = [
    {"required": ["text"]}, {"required": ["markdown"]}, {"required": ["json"]}, {"required": ["csv"]},
    {"required": ["html"]}, {"required": ["template"]},
]))]
#[schemars(extend("dependentRequired" = {"template": ["path"], "path": ["template"]}))]
pub(super) struct ReportFile {
    /// Path of a report as plain text.
    #[serde(default)]
    pub(super) text: Field<Written<Word>>,
    /// Path of a report as Markdown.
    #[serde(default)]
    pub(super) markdown: Field<Written<Word>>,
    /// Path of a report as JSON.
    #[serde(default)]
    pub(super) json: Field<Written<Word>>,
    /// Path of a report as CSV.
    #[serde(default)]
    pub(super) csv: Field<Written<Word>>,
    /// Path of a report as HTML.
    #[serde(default)]
    pub(super) html: Field<Written<Word>>,
    /// A template of one's own, by its file.
    #[serde(default)]
    pub(super) template: Field<Written<Word>>,
    /// Where the template's text goes.
    #[serde(default)]
    pub(super) path: Field<Written<Word>>,
}

/// An http address; https, or http on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoUrl(pub(super) String);

impl FromText for GoUrl {
    fn expected() -> String {
        "an address like `https://change.example.com/INC-7`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let url: http::Uri = text.parse().map_err(|_| Refusal::SomethingElse)?;
        let host = url.host().filter(|host| !host.is_empty()).ok_or(Refusal::SomethingElse)?;
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(Refusal::Because("a name or a password never stands in a file".to_owned()));
        }
        match url.scheme_str() {
            Some("https") => Ok(Self(text.to_owned())),
            Some("http") if local => Ok(Self(text.to_owned())),
            Some("http") => Err(Refusal::Because("http is for this machine alone: write https".to_owned())),
            _ => Err(Refusal::SomethingElse),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^https?://[^@]+$"})
    }
}

/// The name of a playbook or step: it becomes part of other names and of lines that people type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label(pub(super) String);

impl Label {
    const CHARS_MAX: usize = 64;
}

impl FromText for Label {
    fn expected() -> String {
        "a name of letters, digits, `-` and `_`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let is_label = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        match is_label {
            true if text.len() > Self::CHARS_MAX => {
                Err(Refusal::Because(format!("a name has at most {} characters", Self::CHARS_MAX)))
            }
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::SomethingElse),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$", "maxLength": Self::CHARS_MAX})
    }
}

/// An event that is written in the playbook. Numbers that JSON would write in another way stay text, so nothing of an
/// id is lost.
#[derive(Debug)]
pub(crate) struct InlineEvent(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for InlineEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InlineEventVisitor)
    }
}

struct InlineEventVisitor;

impl<'de> Visitor<'de> for InlineEventVisitor {
    type Value = InlineEvent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InlineEvent, A::Error> {
        let mut event = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            event.insert(name, value);
        }
        Ok(InlineEvent(event))
    }
}

impl JsonSchema for InlineEvent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "event".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}
