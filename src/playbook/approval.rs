//! `require_approval`: whether people must have signed a plan before it is carried out, how many, and how recently.
//!
//! It says what is asked for. Whether a plan needs it is judged where the plan is made, and signatures are proven in
//! [`crate::approval`]. The allowed signers file is named here and not opened.

use super::caution::Window;
use crate::problem::Place;
use crate::tenant::Word;
use crate::yaml::{AnyText, Count, Field, Reader, Spanned, Written};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How many signatures are asked for, unless a playbook says otherwise.
const MIN: u16 = 1;
/// How many may be asked for.
const MIN_MOST: u16 = 16;
/// How long a signature counts, unless a playbook says otherwise.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// What a playbook asks of people before a plan of it is carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct RequireApproval {
    /// How many people must have signed, at least 1.
    pub min: u16,
    /// Whether the signature of the operator who applies the plan does not count.
    pub not_author: bool,
    /// How long a signature counts from the moment it was made.
    pub ttl: Duration,
    /// A CEL expression over the plan's totals; absent: always.
    pub when: Option<Spanned<String>>,
    /// The allowed signers file, relative to the playbook; absent: the nearest `allowed_signers`.
    pub allowed_signers: Option<Spanned<String>>,
    /// Where it is written.
    pub place: Place,
}

/// People who must have signed a plan before it is carried out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RequireApproval")]
pub(super) struct ApprovalFile {
    /// How many people must have signed.
    #[serde(default)]
    #[schemars(extend("default" = MIN))]
    min: Field<Count<MIN, MIN_MOST>>,
    /// Whether the signature of the operator who applies the plan does not count.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    not_author: Field<bool>,
    /// How long a signature counts.
    #[serde(default)]
    #[schemars(extend("default" = "24h"))]
    ttl: Field<Written<Window>>,
    /// A CEL expression over the plan's totals: `plan.items`, `plan.hosts`, `plan.irreversible`, `plan.rows`,
    /// `plan.actions["NAME"]`. Without it an approval is always needed.
    #[serde(default)]
    when: Field<AnyText>,
    /// The allowed signers file, relative to the playbook. Without it: `allowed_signers` beside the playbook or in a
    /// folder above it.
    #[serde(default)]
    allowed_signers: Field<Written<Word>>,
}

impl ApprovalFile {
    /// What is meant; an empty `when` is a problem and not "always".
    pub(super) fn read(self, place: Place, reader: &Reader<'_>) -> RequireApproval {
        let when = self.when.read().map(|when| when.map(|AnyText(text)| text));
        if let Some(empty) = when.as_ref().filter(|when| when.value.trim().is_empty()) {
            let help = "without `when` an approval is always needed";
            reader.report_help(empty.place, "this condition is empty", help);
        }
        RequireApproval {
            min: self.min.value().map_or(MIN, |Count(min)| min),
            not_author: self.not_author.value().unwrap_or(true),
            ttl: self.ttl.value().map_or(TTL, |Written(Window(ttl))| ttl),
            when: when.filter(|when| !when.value.trim().is_empty()),
            allowed_signers: self.allowed_signers.read().map(|file| file.map(|Written(Word(path))| path)),
            place,
        }
    }
}
