//! The files that a tenant, a playbook or a flag names beside itself: rules of protected targets, and lists of agent ids.
//!
//! What is wrong in such a file is told at its place in it; that it cannot be read at all, where it is named.

use super::{planned_files, tell};
use crate::cli::Selection;
use crate::error::Failure;
use crate::events::Events;
use crate::noun::count;
use crate::plan::{FileRole, HostsFile, Narrowing, PlannedFile};
use crate::playbook::Playbook;
use crate::problem::{Place, Problem, unreadable};
use crate::report::inert;
use crate::tenant::{Estate, Guards, HostList, Protected, RulesFile, Tenant, read_protected_file};
use crate::yaml;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a list of agent ids may be, in bytes: a million of them fit.
const LIST_BYTES_MAX: u64 = 64 << 20;
/// How many problems of one list are told.
const PROBLEMS_MAX: usize = 20;
/// How long an agent id may be, in bytes, as in events.
const AGENT_ID_BYTES_MAX: usize = 256;
/// How many ids a line on standard error names.
const IDS_SHOWN_MAX: usize = 5;

/// Reads what a playbook names.
pub(super) fn complete_playbook(playbook: &mut Playbook, file: &Path, problems: &mut Vec<Problem>) {
    let text = Arc::clone(&playbook.text);
    let problem = |place, message| Problem::new(&*file.to_string_lossy(), place, message).with_line_of(&text);
    let namer = Namer { folder: file.parent().unwrap_or(Path::new("")), problem: &problem };
    namer.complete(&mut playbook.guards, &mut playbook.protected, problems);
}

/// Reads what a tenant names. Problems come without its line: a tenant's may hold what is not to be shown.
pub(super) fn complete_tenant(tenant: &mut Tenant, file: &Path, problems: &mut Vec<Problem>) {
    let problem = |place, message| Problem::new(&*file.to_string_lossy(), place, message);
    let namer = Namer { folder: file.parent().unwrap_or(Path::new("")), problem: &problem };
    namer.complete(&mut tenant.guards, &mut tenant.protected, problems);
}

/// Counts the hosts of `--max-percent-of FILE=PERCENT`.
pub(super) fn count_hosts_of_flag(guards: &mut Guards, problems: &mut Vec<Problem>) {
    let problem = |_, message| Problem::new("--max-percent-of", Place::default(), message);
    Namer { folder: Path::new(""), problem: &problem }.count_hosts(guards, problems);
}

/// What the command line leaves out.
pub(super) fn narrowing(selection: &Selection) -> Result<Narrowing, Failure> {
    let hosts = selection.hosts.as_deref().map(hosts_file).transpose()?;
    Ok(Narrowing { filter: selection.filter.clone(), hosts, limit: selection.limit })
}

/// Who names a file: where the name is looked for, and how a problem at its place is told.
struct Namer<'a> {
    /// The folder that names are relative to.
    folder: &'a Path,
    /// A problem at a place of what names it.
    problem: &'a dyn Fn(Place, String) -> Problem,
}

impl Namer<'_> {
    /// Reads what guards and protected targets name.
    fn complete(&self, guards: &mut Guards, protected: &mut Protected, problems: &mut Vec<Problem>) {
        self.count_hosts(guards, problems);
        let mut of_files = Vec::new();
        for file in std::mem::take(&mut protected.files) {
            let path = self.folder.join(&file.value);
            let read = yaml::load(&path).map_err(|problem| {
                vec![(self.problem)(file.place, format!("{} cannot be read: {}", file.value, problem.message))]
            });
            let rules = read.and_then(|text| {
                let sha256 = hex(&Sha256::digest(text.as_bytes()));
                read_protected_file(&path.to_string_lossy(), &text).map(|rules| (rules, sha256))
            });
            match rules {
                Ok((rules, sha256)) => {
                    of_files.extend(rules);
                    protected.read.push(RulesFile { file: file.value, path, sha256 });
                }
                Err(more) => problems.extend(more),
            }
        }
        protected.rules.splice(0..0, of_files);
    }

    /// Counts the hosts of the list that a share is taken of.
    fn count_hosts(&self, guards: &mut Guards, problems: &mut Vec<Problem>) {
        let Some(share) = &mut guards.max_percent_of else { return };
        let Estate::Unread(file) = &share.value.of else { return };
        let path = self.folder.join(&file.value);
        match read_list(&path) {
            Ok((ids, sha256)) => {
                let hosts = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                share.value.of = Estate::Listed(HostList { file: file.value.clone(), path, sha256, hosts });
            }
            Err(NoList::Unreadable(why)) => {
                problems.push((self.problem)(file.place, format!("{} cannot be read: {why}", file.value)));
                guards.max_percent_of = None;
            }
            Err(NoList::Wrong(more)) => {
                problems.extend(more);
                guards.max_percent_of = None;
            }
        }
    }
}

/// The files that were read, for the plan: rules of protected targets, and the list that a share of hosts is taken of.
pub(super) fn planned_files(guards: &Guards, protected: Option<&Protected>) -> Vec<PlannedFile> {
    let rules = protected.into_iter().flat_map(|protected| &protected.read);
    let mut files: Vec<PlannedFile> =
        rules.map(|read| planned_files::summed(FileRole::Protected, &read.path, &read.sha256)).collect();
    if let Some(Estate::Listed(list)) = guards.max_percent_of.as_ref().map(|share| &share.value.of) {
        files.push(planned_files::summed(FileRole::Inventory, &list.path, &list.sha256));
    }
    files
}

/// Reads `--hosts FILE`.
fn hosts_file(path: &Path) -> Result<HostsFile, Failure> {
    let shown = path.to_string_lossy();
    let (ids, sha256) = read_list(path).map_err(|no_list| match no_list {
        NoList::Unreadable(why) => Failure::Usage(format!("--hosts {shown}: {why}")),
        NoList::Wrong(problems) => Failure::Problems(problems),
    })?;
    // A plan names no folder of this machine.
    let name = path.file_name().filter(|_| path.is_absolute()).map(PathBuf::from);
    let name = name.as_deref().unwrap_or(path).to_string_lossy().into_owned();
    Ok(HostsFile { name, path: path.to_owned(), sha256, ids })
}

/// Ids that no row has are told: a list of yesterday, or of another tenant, leaves out more than was meant.
pub(super) fn tell_of_strangers(hosts: &HostsFile, events: &Events) {
    let known: HashSet<&str> = events.rows.iter().map(|event| &*event.agent_id).collect();
    let mut strangers: Vec<&str> = hosts.ids.iter().map(String::as_str).filter(|id| !known.contains(id)).collect();
    if strangers.is_empty() {
        return;
    }
    strangers.sort_unstable();
    let shown: Vec<_> = strangers.iter().take(IDS_SHOWN_MAX).map(|id| inert::terminal(id)).collect();
    let more = if strangers.len() > IDS_SHOWN_MAX { ", …" } else { "" };
    let (have, name) = (if strangers.len() == 1 { "is" } else { "are" }, inert::terminal(&hosts.name));
    tell(&format!(
        "{} of --hosts {name} {have} in no row: {}{more}",
        count(strangers.len() as u64, "id"),
        shown.join(", ")
    ));
}

/// Why there is no list.
enum NoList {
    /// It cannot be read at all.
    Unreadable(String),
    /// Something in it is no agent id.
    Wrong(Vec<Problem>),
}

/// The different ids of a list, one a line, and the SHA-256 of its bytes. Empty lines and comments (`#`) are passed over.
fn read_list(path: &Path) -> Result<(HashSet<String>, String), NoList> {
    let bytes = read_bytes(path).map_err(|error| NoList::Unreadable(unreadable(&error)))?;
    let file = path.to_string_lossy();
    let sha256 = hex(&Sha256::digest(&bytes));
    let wrong = |line: u32, message: String| {
        Problem::new(&*file, Place { line, ..Place::default() }, message)
            .with_help("one agent id a line; `#` begins a comment")
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(NoList::Wrong(vec![wrong(0, "the file is not UTF-8".to_owned())]));
    };
    let (mut ids, mut problems) = (HashSet::new(), Vec::new());
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1_u32..) {
        let id = match line.find('#') {
            Some(at) if line[..at].ends_with([' ', '\t']) || at == 0 => &line[..at],
            _ => line,
        };
        let id = id.trim();
        if id.is_empty() {
            continue;
        }
        if id.len() > AGENT_ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("an agent id is 1 to {AGENT_ID_BYTES_MAX} printable ASCII characters without spaces");
            problems.push(wrong(number, message));
            if problems.len() == PROBLEMS_MAX {
                break;
            }
        }
        ids.insert(id.to_owned());
    }
    if ids.is_empty() && problems.is_empty() {
        problems.push(wrong(0, "no agent id stands in this file".to_owned()));
    }
    if problems.is_empty() { Ok((ids, sha256)) } else { Err(NoList::Wrong(problems)) }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: to open a pipe is to wait for who writes it.
    let found = path.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::other("it is a pipe or a device, not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", LIST_BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
