//! A tenant: the YAML file without secrets that says where the API is, which actions exist and what may be asked of it.
//!
//! This file holds the validated types. Nothing here is optional that a run needs: every default is written where it
//! is documented. It opens no connection and reads no secret: a file that contains one is refused without showing it.

mod quantity;
mod names;
mod address;
mod columns;
mod guards;
mod protected;
mod file;
mod check;

pub use file::schema;
pub use guards::{Estate, Guards, HostList, PercentOf, percent_of};
pub use protected::{Matcher, OnMatch, Protected, Rule, RulesFile, protected_schema, read_protected_file};
pub use quantity::show_duration;

pub(crate) use columns::{ColumnEntries, misspelt_field, read_columns};
pub(crate) use guards::{GuardsFile, read_guards};
pub(crate) use names::{Name, Word, action_by_word, fold};
pub(crate) use protected::{ProtectedFile, read_protected};
pub(crate) use quantity::{ActTimeout, Deadline, Length, Pause, PollTimeout};

use crate::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Reads a tenant file's text. `file_name` is what problems call the file. All problems are found at once.
pub fn read(file_name: &str, text: &str) -> Result<Tenant, Vec<Problem>> {
    check::read(file_name, text)
}

/// Everything a run needs to know of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// The tenant's name, as playbooks write it.
    pub name: String,
    /// Scheme, host, port and path prefix, without a trailing slash: `https://gateway.qg2.apps.qualys.eu`.
    pub base_url: String,
    /// Which form of the API's paths is used.
    pub api_version: ApiVersion,
    /// The `user` query parameter of every act.
    pub user: String,
    /// The `userId` query parameter of every act.
    pub user_id: String,
    /// Where the token comes from; never the token itself.
    pub auth: Auth,
    /// The actions this tenant knows, in file order.
    pub actions: Vec<Action>,
    /// What the status words of the API mean.
    pub statuses: Statuses,
    /// How much may be asked of the API.
    pub limits: Limits,
    /// When remediations are looked at.
    pub polling: Polling,
    /// Named column mappings for event files, in file order.
    pub columns: Vec<(String, Columns)>,
    /// Ceilings that no playbook and no flag may raise.
    pub guards: Guards,
    /// What must not be acted on.
    pub protected: Protected,
}

/// The two published forms of the API's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// `/ioc/v1/remediation-actions/…`
    V1,
    /// `/ioc/remediation-actions/…`
    Unversioned,
}

/// Where the bearer token comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// The name of an environment variable; `QUELL_TOKEN` by default.
    TokenEnv(String),
    /// A file whose whole content is the token. Relative paths are relative to the tenant file.
    TokenFile(std::path::PathBuf),
    /// A program and its arguments; it prints the token on standard output. Run without a shell.
    TokenCommand(Vec<String>),
}

/// One action of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The name that playbooks use: `quarantine-file`.
    pub name: String,
    /// The API's `actionId`. No value is built in: nobody publishes their meaning.
    pub id: i64,
    /// The kinds of event it can be applied to; never empty.
    pub event_types: Vec<EventType>,
    /// Whether it can be undone. Default false.
    pub reversible: bool,
    /// The name of the action that undoes it.
    pub inverse: Option<String>,
    /// Whether carrying it out twice does no more harm than once. Default false.
    pub repeat_safe: bool,
    /// Fields of the request that are taken from other fields: `event_id: agent_id`.
    pub fill: Vec<(FillField, FillField)>,
    /// Which detail endpoint shows its remediations. Default `activityLog`.
    pub request_type: RequestType,
    /// The words by which the detail's `action` names it (`Quarantine Host`); empty: not compared.
    pub shown_as: Vec<String>,
}

#[cfg(test)]
impl Action {
    /// An action with the default of everything that a tenant file need not say.
    pub(crate) fn plain(name: &str, id: i64, event_type: EventType) -> Self {
        Self {
            name: name.to_owned(),
            id,
            event_types: vec![event_type],
            reversible: false,
            inverse: None,
            repeat_safe: false,
            fill: Vec::new(),
            request_type: RequestType::ActivityLog,
            shown_as: Vec::new(),
        }
    }
}

/// A field of an event that `fill` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the event's field of that name")]
pub enum FillField {
    AgentId,
    EventId,
    UniqueId,
}

/// The detail endpoint's `requestType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the API's own two words")]
pub enum RequestType {
    #[serde(rename = "activityLog")]
    ActivityLog,
    #[serde(rename = "quarantinedItem")]
    QuarantinedItem,
}

/// The kinds of event. `FILE`, `PROCESS` and `AGENT` are documented, the others observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the API's own words")]
pub enum EventType {
    File,
    Process,
    Agent,
    Mutex,
    Network,
    Registry,
}

impl EventType {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 6] = [Self::File, Self::Process, Self::Agent, Self::Mutex, Self::Network, Self::Registry];

    /// The API's word: `FILE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "FILE",
            Self::Process => "PROCESS",
            Self::Agent => "AGENT",
            Self::Mutex => "MUTEX",
            Self::Network => "NETWORK",
            Self::Registry => "REGISTRY",
        }
    }

    /// Reads the API's word without regard to case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The API's status words by what they mean. Compared trimmed and without case; a word in no list settles nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// Default: `success`.
    pub succeeded: Vec<String>,
    /// Default: `failed`, `failure`, `error`.
    pub failed: Vec<String>,
    /// Default: `queued`, `in progress`, `pending`.
    pub pending: Vec<String>,
}

impl Default for Statuses {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            succeeded: words(&["success"]),
            failed: words(&["failed", "failure", "error"]),
            pending: words(&["queued", "in progress", "pending"]),
        }
    }
}

impl Statuses {
    /// What the API's status word means.
    pub fn meaning(&self, word: &str) -> Meaning {
        let word = word.trim().to_lowercase();
        let is_in = |words: &[String]| words.iter().any(|known| known.trim().to_lowercase() == word);
        if is_in(&self.succeeded) {
            Meaning::Succeeded
        } else if is_in(&self.failed) {
            Meaning::Failed
        } else if is_in(&self.pending) {
            Meaning::Pending
        } else {
            Meaning::Unlisted
        }
    }
}

/// What a status word says of a remediation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It was carried out.
    Succeeded,
    /// It failed.
    Failed,
    /// It is not settled yet.
    Pending,
    /// The tenant does not say: it settles nothing.
    Unlisted,
}

/// How much may be asked of the API, over acts and polls together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Calls per rolling window; `None` is the tenant's explicit `unlimited`. Default 300 per hour.
    pub requests: Option<Rate>,
    /// Calls of the window left to other users of the subscription. Default 0.
    pub keep_free: Option<Rate>,
    /// Calls in flight at once. Default 2.
    pub concurrency: u16,
    /// Items in one act, 1 to 200. Default 50.
    pub batch_size: u16,
    /// How long an act may take before its answer counts as lost. Default 2 min.
    pub act_timeout: Duration,
    /// How long a poll may take. Default 20 s.
    pub poll_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Some(Rate { calls: 300, window: Duration::from_secs(3600) }),
            keep_free: None,
            concurrency: 2,
            batch_size: 50,
            act_timeout: Duration::from_secs(120),
            poll_timeout: Duration::from_secs(20),
        }
    }
}

/// So many calls in any window of that length: `300/h`, `50/s`, `100/15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Calls, at least 1.
    pub calls: u32,
    /// The window's length, at least 1 ms.
    pub window: Duration,
}

/// When remediations are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// From acceptance to the first poll. Default 15 s.
    pub first_after: Duration,
    /// From the first poll to the second; it grows from there. Default 30 s.
    pub interval: Duration,
    /// The longest pause between two polls of one item. Default 10 min.
    pub interval_max: Duration,
    /// From acceptance to the last poll. Default 4 h.
    pub deadline: Duration,
    /// How long "not found" after acceptance is expected. Default 2 min.
    pub not_found_grace: Duration,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            first_after: Duration::from_secs(15),
            interval: Duration::from_secs(30),
            interval_max: Duration::from_secs(600),
            deadline: Duration::from_secs(4 * 3600),
            not_found_grace: Duration::from_secs(120),
        }
    }
}

/// A mapping from our field names to the columns of an event file, in file order. Names that are none of the event's
/// own fields become attributes of that name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Columns(pub Vec<(String, ColumnSource)>);

/// Where a mapped field's text comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnSource {
    /// A column by its exact header, or a dotted path into a JSON record.
    Column {
        /// Header or path.
        name: String,
        /// What stands for a missing or empty cell; without it such a cell is refused where the field is required.
        default: Option<String>,
    },
    /// The same text in every row.
    Constant(String),
}

#[cfg(test)]
mod tests;
