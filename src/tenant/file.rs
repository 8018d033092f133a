//! A tenant file as it is written, and its JSON Schema: both come from these types.

use super::address::BaseUrl;
use super::names::EnvName;
use super::quantity::Requests;
use super::{ActTimeout, ApiVersion, ColumnEntries, Deadline, EventType, FillField, Name, Pause, PollTimeout, Rate};
use super::{GuardsFile, ProtectedFile, RequestType, Word};
use crate::yaml::{AnyText, Count, Entries, Field, Version, Written};
use schemars::JsonSchema;
use serde::Deserialize;

/// The JSON Schema (draft 2020-12) of a tenant file, for editors and for checks in a pipeline.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(TenantFile).to_value()
}

/// A list of words.
pub(super) type WordsFile = Vec<Field<Written<Word>>>;

/// A tenant of Qualys EDR: where its API is, which actions it knows and what may be asked of it. No secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "quell tenant")]
pub(super) struct TenantFile {
    /// The version of this file's form.
    pub(super) version: Field<Version>,
    /// The tenant's name, as playbooks write it.
    pub(super) name: Field<Written<Name>>,
    /// Where the API is: https, or http on this machine.
    pub(super) base_url: Field<Written<BaseUrl>>,
    /// Which form of the API's paths is used.
    #[serde(default)]
    #[schemars(extend("default" = "v1"))]
    pub(super) api_version: Field<ApiVersion>,
    /// The `user` of every act.
    pub(super) user: Field<AnyText>,
    /// The `userId` of every act.
    pub(super) user_id: Field<AnyText>,
    /// Where the token comes from; the token itself never stands in a file.
    #[serde(default)]
    pub(super) auth: Field<AuthFile>,
    /// The actions by name.
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z0-9][a-z0-9_-]*$"}))]
    pub(super) actions: Field<Entries<ActionFile>>,
    /// What the API's status words mean. A word in no list settles nothing.
    #[serde(default)]
    pub(super) statuses: Field<StatusesFile>,
    /// How much may be asked of the API.
    #[serde(default)]
    pub(super) limits: Field<LimitsFile>,
    /// When remediations are looked at.
    #[serde(default)]
    pub(super) polling: Field<PollingFile>,
    /// Named mappings from our fields to an event file's columns.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9][a-z0-9_-]*$"}))]
    pub(super) columns: Field<Entries<ColumnEntries>>,
    /// Ceilings that no playbook and no flag may raise. What is not named has none.
    #[serde(default)]
    pub(super) guards: Field<GuardsFile>,
    /// What must not be acted on.
    #[serde(default)]
    pub(super) protected: Field<ProtectedFile>,
}

/// Where the bearer token comes from: exactly one of these. Without it: the environment variable QUELL_TOKEN.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Auth", extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct AuthFile {
    /// The name of an environment variable that holds the token.
    #[serde(default)]
    pub(super) token_env: Field<Written<EnvName>>,
    /// A file whose whole content is the token.
    #[serde(default)]
    pub(super) token_file: Field<Written<Word>>,
    /// A program and its arguments; it prints the token on standard output.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub(super) token_command: Field<Vec<Field<AnyText>>>,
}

/// One action of the tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Action")]
pub(super) struct ActionFile {
    /// The API's `actionId` in this tenant.
    pub(super) id: Field<i64>,
    /// The kinds of event it can be applied to.
    #[schemars(extend("minItems" = 1, "uniqueItems" = true))]
    pub(super) event_types: Field<Vec<Field<EventType>>>,
    /// Whether it can be undone.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) reversible: Field<bool>,
    /// The action that undoes it.
    #[serde(default)]
    pub(super) inverse: Field<Written<Name>>,
    /// Whether carrying it out twice does no more harm than once.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) repeat_safe: Field<bool>,
    /// Fields of the request that are taken from other fields.
    #[serde(default)]
    pub(super) fill: Field<FillFile>,
    /// Which detail endpoint shows its remediations.
    #[serde(default)]
    #[schemars(extend("default" = "activityLog"))]
    pub(super) request_type: Field<RequestType>,
    /// The words by which a remediation's detail names the action.
    #[serde(default)]
    pub(super) shown_as: Field<WordsFile>,
}

/// Which field of the request is filled from which field of the event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fill")]
pub(super) struct FillFile {
    /// What the agent id is taken from.
    #[serde(default)]
    pub(super) agent_id: Field<FillField>,
    /// What the event id is taken from.
    #[serde(default)]
    pub(super) event_id: Field<FillField>,
    /// What the unique id is taken from.
    #[serde(default)]
    pub(super) unique_id: Field<FillField>,
}

/// The API's status words by what they mean; compared without case.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Statuses")]
pub(super) struct StatusesFile {
    /// It was carried out.
    #[serde(default)]
    #[schemars(extend("default" = ["success"], "minItems" = 1))]
    pub(super) succeeded: Field<WordsFile>,
    /// It failed.
    #[serde(default)]
    #[schemars(extend("default" = ["failed", "failure", "error"]))]
    pub(super) failed: Field<WordsFile>,
    /// It is not settled yet.
    #[serde(default)]
    #[schemars(extend("default" = ["queued", "in progress", "pending"]))]
    pub(super) pending: Field<WordsFile>,
}

/// How much may be asked of the API, over acts and polls together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct LimitsFile {
    /// Calls in any window of that length, or `unlimited`.
    #[serde(default)]
    #[schemars(extend("default" = "300/h"))]
    pub(super) requests: Field<Written<Requests>>,
    /// Calls left to other users of the subscription.
    #[serde(default)]
    pub(super) keep_free: Field<Written<Rate>>,
    /// Calls in flight at once.
    #[serde(default)]
    #[schemars(extend("default" = 2))]
    pub(super) concurrency: Field<Count<1, 256>>,
    /// Items in one act.
    #[serde(default)]
    #[schemars(extend("default" = 50))]
    pub(super) batch_size: Field<Count<1, 200>>,
    /// How long an act may take before its answer counts as lost.
    #[serde(default)]
    #[schemars(extend("default" = "2m"))]
    pub(super) act_timeout: Field<ActTimeout>,
    /// How long a poll may take.
    #[serde(default)]
    #[schemars(extend("default" = "20s"))]
    pub(super) poll_timeout: Field<PollTimeout>,
}

/// When remediations are looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Polling")]
pub(super) struct PollingFile {
    /// From acceptance to the first poll.
    #[serde(default)]
    #[schemars(extend("default" = "15s"))]
    pub(super) first_after: Field<Pause>,
    /// From the first poll to the second; it grows from there.
    #[serde(default)]
    #[schemars(extend("default" = "30s"))]
    pub(super) interval: Field<Pause>,
    /// The longest pause between two polls.
    #[serde(default)]
    #[schemars(extend("default" = "10m"))]
    pub(super) interval_max: Field<Pause>,
    /// From acceptance to the last poll.
    #[serde(default)]
    #[schemars(extend("default" = "4h"))]
    pub(super) deadline: Field<Deadline>,
    /// How long "not found" after acceptance is expected.
    #[serde(default)]
    #[schemars(extend("default" = "2m"))]
    pub(super) not_found_grace: Field<Pause>,
}
