//! `quell check`: every problem of all playbooks and tenants in one pass. It reads no events and opens no connection.

use super::inputs::{against_tenant, is_yaml, read_tenant, read_yaml, search_tenant};
use super::say;
use crate::error::{ExitCode, Failure};
use crate::playbook;
use crate::problem::Problem;
use crate::tenant::Tenant;
use std::path::{Path, PathBuf};

/// How deep folders are looked through.
const FOLDER_DEPTH_MAX: usize = 16;

/// Checks files and folders of them.
pub fn execute(files: &[PathBuf], tenant: Option<&Path>) -> Result<ExitCode, Failure> {
    let mut found = Vec::new();
    for file in files {
        gather(file, FOLDER_DEPTH_MAX, &mut found)?;
    }
    if found.is_empty() {
        return Err(Failure::Usage("there is no .yaml file in what was named".to_owned()));
    }
    let mut problems = Vec::new();
    let given = match tenant {
        Some(file) => read_tenant(file, &mut problems)?,
        None => None,
    };
    for file in &found {
        check(file, given.as_ref(), &mut problems)?;
    }
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    let files = if found.len() == 1 { "1 file".to_owned() } else { format!("{} files", found.len()) };
    say(&format!("{files} checked, no problems\n"))?;
    Ok(ExitCode::Fine)
}

fn gather(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let wrong = |e: std::io::Error| Failure::Usage(format!("cannot read {}: {e}", path.display()));
    let mut entries = std::fs::read_dir(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (inside, kind) = (entry.path(), entry.file_type().map_err(wrong)?);
        if kind.is_dir() && depth > 0 {
            gather(&inside, depth - 1, found)?;
        } else if kind.is_file() && is_yaml(&inside) {
            found.push(inside);
        }
    }
    Ok(())
}

fn check(file: &Path, given: Option<&Tenant>, problems: &mut Vec<Problem>) -> Result<(), Failure> {
    if !is_yaml(file) {
        return Err(Failure::Usage(format!(
            "{} is no playbook and no tenant; events are checked by `quell plan`",
            file.display()
        )));
    }
    let text = read_yaml(file)?;
    if is_tenant(&text) {
        read_tenant(file, problems)?;
        return Ok(());
    }
    let (playbook, more) = playbook::examine(file, &text);
    problems.extend(more);
    let Some(playbook) = playbook else { return Ok(()) };
    let named = playbook.tenant.as_ref().and_then(|name| search_tenant(file, &name.value));
    let of_its_own = match (given, named) {
        (None, Some(found)) => read_tenant(&found, problems)?,
        _ => None,
    };
    if let Some(tenant) = given.or(of_its_own.as_ref()) {
        problems.extend(against_tenant(&playbook, tenant));
    }
    Ok(())
}

/// A tenant says where its API is; a playbook never does.
fn is_tenant(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("base_url:") || line.starts_with("user_id:"))
        && !text.lines().any(|line| line.starts_with("steps:"))
}
