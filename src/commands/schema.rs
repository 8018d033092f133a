//! `quell schema`: the JSON Schema of a kind of file, from the types that read it.

use super::say;
use crate::cli::SchemaKind;
use crate::error::{ExitCode, Failure};
use crate::{playbook, scenario, tenant};

/// Prints the schema.
pub fn execute(kind: SchemaKind) -> Result<ExitCode, Failure> {
    let schema = match kind {
        SchemaKind::Playbook => playbook::schema(),
        SchemaKind::Tenant => tenant::schema(),
        SchemaKind::Protected => tenant::protected_schema(),
        SchemaKind::Tests => scenario::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|e| Failure::Bug(e.to_string()))?;
    say(&format!("{text}\n"))?;
    Ok(ExitCode::Fine)
}
