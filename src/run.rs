//! A run's identity: its speakable name and what is known of it before its first fact.

use crate::engine::Approval;
use crate::engine::fact::Moment;
use serde::{Deserialize, Serialize};

/// What stands in the journal's header for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMeta {
    /// Speakable and unique in its state folder: `contain-0612-7f3` (playbook, month and day, three or more hex digits).
    pub id: String,
    /// The playbook's name.
    pub playbook: String,
    /// The tenant's name.
    pub tenant: String,
    /// When it was created: the run clock's start.
    pub created: Moment,
    /// The version of quell that created it.
    pub tool_version: String,
    /// Whether the built-in simulator stood in for the tenant.
    pub simulated: bool,
    /// What is doubtful about the place where its journal is kept, when something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_warning: Option<String>,
    /// Who began it, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The run of which this one is a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// The run that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<String>,
    /// Who approved its plan. Its first facts say so too; a process that was killed never came to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
}
