//! A test file as it is written, and its JSON Schema: both come from these types.

use super::statuses::{Begins, OutcomeWord, Statuses};
use crate::playbook::SourceFile;
use crate::tenant::{Length, Rate, Word};
use crate::yaml::{AnyText, Count, Entries, Field, Version, Written};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The JSON Schema (draft 2020-12) of a file of tests, for editors and for checks in a pipeline.
pub fn schema() -> Value {
    schemars::schema_for!(SuiteFile).to_value()
}

/// The tests of one playbook: runs in virtual time against the simulator, and what is expected of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "quell playbook tests")]
pub(super) struct SuiteFile {
    /// The version of this file's form.
    pub(super) version: Field<Version>,
    /// The playbook, relative to the folder of this file.
    pub(super) playbook: Field<Written<Word>>,
    /// What each test has that does not give its own.
    #[serde(default)]
    pub(super) defaults: Field<DefaultsFile>,
    /// One run each.
    #[schemars(extend("minItems" = 1))]
    pub(super) tests: Field<Vec<Field<TestFile>>>,
}

/// What each test has that does not give its own; of `vars` each variable for itself.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Defaults")]
pub(super) struct DefaultsFile {
    /// A tenant file in place of the one that the playbook names.
    #[serde(default)]
    pub(super) tenant: Field<Written<Word>>,
    /// Values of the playbook's variables.
    #[serde(default)]
    pub(super) vars: Field<Entries<AnyText>>,
    /// Events in place of the playbook's own.
    #[serde(default)]
    pub(super) events: Field<Vec<Field<SourceFile>>>,
    /// What time it is when a run begins.
    #[serde(default)]
    #[schemars(extend("default" = "2026-01-01T12:00:00Z"))]
    pub(super) begins: Field<Written<Begins>>,
}

/// One run, and what is expected of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Test")]
pub(super) struct TestFile {
    /// What it shows; unique within the file.
    pub(super) name: Field<AnyText>,
    /// A tenant file in place of the one that the playbook names, relative to the folder of this file.
    #[serde(default)]
    pub(super) tenant: Field<Written<Word>>,
    /// Values of the playbook's variables.
    #[serde(default)]
    pub(super) vars: Field<Entries<AnyText>>,
    /// Events in place of the playbook's own; files are relative to the folder of this file.
    #[serde(default)]
    pub(super) events: Field<Vec<Field<SourceFile>>>,
    /// What time it is when the run begins.
    #[serde(default)]
    #[schemars(extend("default" = "2026-01-01T12:00:00Z"))]
    pub(super) begins: Field<Written<Begins>>,
    /// How the tenant behaves.
    #[serde(default)]
    pub(super) simulator: Field<SimulatorFile>,
    /// What people say to the run while it goes on.
    #[serde(default)]
    pub(super) people: Field<Vec<Field<SayingFile>>>,
    /// What has to come of it.
    pub(super) expect: Field<ExpectFile>,
}

/// A time in a test: at most 30 days.
pub(super) type Time = Written<Length<0, { 30 * 24 * 3_600_000 }>>;

/// How the simulated tenant behaves. Its limits are those of the tenant file.
#[derive(Debug, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Simulator")]
pub(super) struct SimulatorFile {
    /// From a call to its answer.
    #[serde(default)]
    #[schemars(extend("default" = "0s"))]
    pub(super) latency: Field<Time>,
    /// From acceptance to the final status, where no statuses are given.
    #[serde(default)]
    #[schemars(extend("default" = "1s"))]
    pub(super) settle: Field<Time>,
    /// How long a new remediation answers 404.
    #[serde(default)]
    #[schemars(extend("default" = "0s"))]
    pub(super) not_found_for: Field<Time>,
    /// How many calls it really lets through, where that is not what the tenant file says.
    #[serde(default)]
    pub(super) requests: Field<Written<Rate>>,
    /// What the statuses of certain items are.
    #[serde(default)]
    pub(super) items: Field<Vec<Field<ItemsFile>>>,
    /// What becomes of certain acts.
    #[serde(default)]
    pub(super) acts: Field<Vec<Field<CallFile>>>,
    /// What becomes of certain polls.
    #[serde(default)]
    pub(super) polls: Field<Vec<Field<CallFile>>>,
}

/// What polls of some items show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Items")]
pub(super) struct ItemsFile {
    /// The step's name.
    #[serde(default)]
    pub(super) step: Field<Written<Word>>,
    /// The number of the row, from 1.
    #[serde(default)]
    pub(super) row: Field<u32>,
    /// A CEL expression over the event's columns and `vars`.
    #[serde(default, rename = "where")]
    pub(super) filter: Field<AnyText>,
    /// One for each poll, from the first on; the last one stays: `queued ×3 → failed`.
    pub(super) statuses: Field<Written<Statuses>>,
}

/// What becomes of one call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Call", extend("oneOf" = [{"required": ["lose"]}, {"required": ["status"]}, {"required": ["late"]}]))]
#[schemars(extend("dependentRequired" = {"wait": ["status"]}))]
pub(super) struct CallFile {
    /// Which call of its kind, from 1.
    #[schemars(extend("minimum" = 1))]
    pub(super) number: Field<u32>,
    /// What of it is lost.
    #[serde(default)]
    pub(super) lose: Field<LoseFile>,
    /// It is not carried out, and answered with this HTTP status.
    #[serde(default)]
    pub(super) status: Field<Count<400, 599>>,
    /// How long the answer says to wait.
    #[serde(default)]
    pub(super) wait: Field<Time>,
    /// It is carried out, and its answer comes so much later.
    #[serde(default)]
    pub(super) late: Field<Time>,
}

/// What of a call is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Lose")]
pub(super) enum LoseFile {
    /// The call: nothing is carried out.
    Call,
    /// The answer: it is carried out.
    Answer,
}

/// What a person says to a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Saying")]
pub(super) struct SayingFile {
    /// How long after the run began.
    pub(super) after: Field<Time>,
    /// What.
    pub(super) say: Field<SaidFile>,
    /// Why: with it the next wave begins also where its conditions do not hold.
    #[serde(default)]
    pub(super) reason: Field<AnyText>,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Said")]
pub(super) enum SaidFile {
    /// The next wave may begin.
    Promote,
    /// No further act.
    Stop,
}

/// What has to come of a test. What is not given is not looked at, but that a plan that is held or refused fails the test
/// unless it says so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Expect", extend("minProperties" = 1))]
pub(super) struct ExpectFile {
    /// The plan is refused, with a message that contains this.
    #[serde(default)]
    pub(super) refused: Field<AnyText>,
    /// The plan is held, and each of these stands in what it is told: `max_items`, the name of a rule.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub(super) held: Field<Vec<Field<AnyText>>>,
    /// Whether the plan needs approval.
    #[serde(default)]
    pub(super) approval: Field<bool>,
    /// The run's exit code.
    #[serde(default)]
    pub(super) exit_code: Field<Count<0, 10>>,
    /// How many items have each outcome; none have one that is not named.
    #[serde(default)]
    #[schemars(schema_with = "outcomes_schema")]
    pub(super) outcomes: Field<Entries<u32>>,
    /// What became of certain items.
    #[serde(default)]
    pub(super) items: Field<Vec<Field<ExpectItemsFile>>>,
    /// How many acts arrived.
    #[serde(default)]
    pub(super) acts: Field<u32>,
    /// How many polls arrived at most.
    #[serde(default)]
    pub(super) polls_at_most: Field<u32>,
    /// How many calls a limit refused at most.
    #[serde(default)]
    pub(super) throttled_at_most: Field<u32>,
    /// How many waves began.
    #[serde(default)]
    pub(super) waves: Field<Count<0, 100>>,
    /// How long it took at most, from the first fact to the last.
    #[serde(default)]
    pub(super) took_at_most: Field<Time>,
}

/// What became of some items: all that are picked, and there has to be one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExpectItems")]
#[schemars(extend("anyOf" = [{"required": ["outcome"]}, {"required": ["count"]}, {"required": ["reason"]}]))]
pub(super) struct ExpectItemsFile {
    /// The step's name.
    #[serde(default)]
    pub(super) step: Field<Written<Word>>,
    /// The number of the row, from 1.
    #[serde(default)]
    pub(super) row: Field<u32>,
    /// A CEL expression over the event's columns and `vars`.
    #[serde(default, rename = "where")]
    pub(super) filter: Field<AnyText>,
    /// What each of them came to.
    #[serde(default)]
    pub(super) outcome: Field<Written<OutcomeWord>>,
    /// How many they are.
    #[serde(default)]
    pub(super) count: Field<u32>,
    /// What is contained in the reason of each of them, or in the API's words.
    #[serde(default)]
    pub(super) reason: Field<AnyText>,
}

/// Outcomes are known words.
fn outcomes_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let words: Vec<&str> = OutcomeWord::all().collect();
    schemars::json_schema!({
        "type": "object",
        "propertyNames": {"enum": words},
        "additionalProperties": {"type": "integer", "minimum": 0},
    })
}
