//! How steps follow each other on one target, and how old an event may be for one of them.

use super::file::Label;
use crate::yaml::{FromText, Refusal, Spanned};
use schemars::{Schema, json_schema};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a step says of the others and of its events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flow {
    /// When its turn comes; without it, when every earlier step of the target has succeeded.
    pub after: Option<Spanned<After>>,
    /// Whether there is one item for each target, rather than one for each event (`once: target`).
    pub once: bool,
    /// Whether its failures leave the failure budget, the gates between waves and the order of steps alone.
    pub allow_failure: bool,
    /// How old an event may be, by its `event_time`, when it is sent.
    pub max_event_age: Option<Spanned<Duration>>,
}

/// `after: kill failed`: an earlier step, and how it must have ended on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The earlier step's name.
    pub step: String,
    /// How it must have ended.
    pub when: When,
}

/// How an earlier step must have ended on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Every item of it succeeded, or it has none there.
    #[default]
    Succeeded,
    /// Every item of it has an outcome, and one or more failed, were rejected or timed out.
    Failed,
    /// Every item of it has an outcome, whichever.
    Settled,
}

impl When {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Settled => "settled",
        }
    }
}

impl FromText for After {
    fn expected() -> String {
        "an earlier step, as in `kill`, `kill failed` or `kill settled`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let (step, when) = match text.split_once(' ') {
            None => (text, When::Succeeded),
            Some((step, "succeeded")) => (step, When::Succeeded),
            Some((step, "failed")) => (step, When::Failed),
            Some((step, "settled")) => (step, When::Settled),
            Some(_) => return Err(Refusal::SomethingElse),
        };
        Label::from_text(step).map(|Label(step)| Self { step, when })
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*( (succeeded|failed|settled))?$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_a_step_and_how_it_ended() {
        let read = |text| After::from_text(text).ok().map(|After { step, when }| format!("{step} {}", when.as_str()));
        for (text, meant) in [
            ("kill", Some("kill succeeded")),
            ("kill succeeded", Some("kill succeeded")),
            ("kill failed", Some("kill failed")),
            ("kill-2 settled", Some("kill-2 settled")),
            ("", None),
            ("kill  failed", None),
            ("kill fails", None),
            ("kill failed twice", None),
            ("ki ll", None),
        ] {
            assert_eq!(read(text).as_deref(), meant, "{text:?}");
        }
    }
}
