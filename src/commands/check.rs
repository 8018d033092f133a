//! `quell check`: every problem of all playbooks, tenants and protected targets in one pass. It reads no events and opens no connection.

use super::inputs::{is_yaml, read_playbook, read_tenant, read_yaml, search_tenant};
use super::{report_paths, say, tell, test};
use crate::error::{ExitCode, Failure};
use crate::noun::count;
use crate::plan;
use crate::problem::{Place, Problem};
use crate::tenant::{self, Tenant};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How deep folders are looked through.
pub(super) const FOLDER_DEPTH_MAX: usize = 16;

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
    let mut tenants = Tenants::default();
    let given = tenant.and_then(|file| tenants.read(file, &mut problems));
    for file in &found {
        check(file, given.as_deref(), &mut tenants, &mut problems);
    }
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    say(&format!("{} checked, no problems\n", count(found.len(), "file")))?;
    Ok(ExitCode::Fine)
}

/// The .yaml files in a folder and its folders, in order of their names.
pub(super) fn gather(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
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

fn check(file: &Path, given: Option<&Tenant>, tenants: &mut Tenants, problems: &mut Vec<Problem>) {
    if !is_yaml(file) {
        let problem = Problem::new(file.to_string_lossy(), Place::default(), "this is no playbook and no tenant");
        problems.push(problem.with_help("both end with .yaml; events are checked by `quell plan`"));
        return;
    }
    if test::is_suite(file) {
        test::read_suite(file, problems);
        return;
    }
    let Some(text) = read_yaml(file, problems) else { return };
    if is_tenant(&text) {
        tenants.read(file, problems);
        return;
    }
    if is_protected(&text) {
        problems.extend(tenant::read_protected_file(&file.to_string_lossy(), &text).err().into_iter().flatten());
        return;
    }
    let Some(playbook) = read_playbook(file, problems) else { return };
    problems.extend(report_paths::problems_of(&playbook));
    let named = playbook.tenant.as_ref();
    let found = named.filter(|_| given.is_none()).and_then(|name| search_tenant(file, &name.value));
    if let (Some(name), None, None) = (named, given, &found) {
        let (file, name) = (file.to_string_lossy(), &name.value);
        tell(&format!("{file}: there is no file of the tenant {name}, so actions and limits were not checked"));
    }
    let found = found.and_then(|found| tenants.read(&found, problems));
    problems.extend(plan::check(&playbook, given.or(found.as_deref())));
}

/// Tenants that were read: many playbooks name the same one, and its problems are told once.
#[derive(Default)]
struct Tenants(HashMap<PathBuf, Option<Rc<Tenant>>>);

impl Tenants {
    fn read(&mut self, file: &Path, problems: &mut Vec<Problem>) -> Option<Rc<Tenant>> {
        let same = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        self.0.entry(same).or_insert_with(|| read_tenant(file, problems).map(Rc::new)).clone()
    }
}

/// Whether it holds rules of protected targets: they have a key that nothing else has.
fn is_protected(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("rules:")) && !text.lines().any(|line| line.starts_with("steps:"))
}

/// Whether more of its keys are those of a tenant than those of a playbook: a file may lack any of them.
fn is_tenant(text: &str) -> bool {
    const TENANT: [&str; 7] = ["base_url", "api_version", "user", "user_id", "auth", "actions", "statuses"];
    const PLAYBOOK: [&str; 7] = ["tenant", "steps", "events", "vars", "comment", "reports", "description"];
    let keys: Vec<&str> = text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key).collect();
    let count = |known: &[&str]| known.iter().filter(|known| keys.contains(known)).count();
    count(&TENANT) > count(&PLAYBOOK)
}
