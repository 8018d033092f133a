//! What stands between a plan that needs people's approval and its run: the allowed signers file is found and read when
//! the plan is made, and whoever would carry the plan out without a plan file is told how to go on.

use super::above::search_above;
use super::inputs::{read_playbook, read_yaml, tenant_of};
use super::progress::announce;
use super::{approve, planned_files, tell};
use crate::approval::{self, Requirement, Signers, Subject, Valid};
use crate::cli::Running;
use crate::engine::Approval;
use crate::error::Failure;
use crate::plan::{self, FileRole, Plan, PlanHeader, PlannedApproval, PlannedFile, file};
use crate::playbook::{Playbook, RequireApproval};
use crate::problem::{Place, Problem};
use crate::report::inert;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the file is called where a playbook names none.
const NAME: &str = "allowed_signers";

/// An allowed signers file that was found and can be read.
pub struct SignersFile {
    /// Where it is.
    pub path: PathBuf,
    /// The very text that was read.
    pub text: Arc<str>,
}

impl SignersFile {
    /// As a plan keeps it.
    pub(super) fn planned(&self) -> PlannedFile {
        planned_files::planned(FileRole::AllowedSigners, &self.path, self.text.as_bytes())
    }
}

/// Finds and reads the allowed signers of a playbook that asks for approval: the file that it names, or the nearest one of
/// that name. What is wrong with it is a problem; that none was found is one only where one is named.
pub(super) fn read_signers(playbook: &Playbook, problems: &mut Vec<Problem>) -> Option<SignersFile> {
    let RequireApproval { allowed_signers, .. } = playbook.require_approval.as_ref()?;
    let path = match allowed_signers {
        Some(named) => {
            let path = playbook.file.parent().unwrap_or(Path::new("")).join(&named.value);
            if !path.exists() {
                let message = format!("there is no file `{}` beside this playbook", named.value);
                problems.push(at(playbook, named.place, message).with_help("write who may approve into it"));
                return None;
            }
            path
        }
        None => search_above(&playbook.file, Path::new(NAME))?,
    };
    let text = read_yaml(&path, problems)?;
    match Signers::read(&path.to_string_lossy(), &text) {
        Ok(_) => Some(SignersFile { path, text }),
        Err(more) => {
            problems.extend(more);
            None
        }
    }
}

/// A plan that needs approval and knows nobody who could give it is a mistake of the playbook, not something to find out
/// when it is to be approved. The simulator needs nobody.
pub(super) fn require_signers(playbook: &Playbook, plan: Option<&Plan>, are_there: bool, problems: &mut Vec<Problem>) {
    let Some(RequireApproval { allowed_signers: None, place, .. }) = playbook.require_approval.as_ref() else { return };
    let is_needed = plan.is_some_and(|plan| needed(plan).is_some() && !plan.header.tenant.simulated);
    if is_needed && !are_there && problems.is_empty() {
        let message = format!("there is no {NAME} beside this playbook or above it, so nobody could approve its plan");
        let help = "write one line for each person who may: NAME KEYTYPE KEY";
        problems.push(at(playbook, *place, message).with_help(help));
    }
}

/// Refuses to carry out a plan that needs approval and cannot have one: signatures are bound to a plan file. The simulator
/// reaches nothing real, so there it is only said.
pub(super) fn refuse_without(plan: &Plan, running: &Running) -> Result<(), Failure> {
    let Some(approval) = needed(plan) else { return Ok(()) };
    let shown = inert::terminal(&approval.shown(plan.counts().0)).into_owned();
    if plan.header.tenant.simulated {
        let words = format!("approval: this is simulated; in earnest the plan would be held ({shown})");
        announce(running, "approval_needed", &words, json!({"approval": shown}));
        return Ok(());
    }
    let command = if plan.header.origin.is_some() { "retry" } else { "plan" };
    Err(Failure::Held(format!(
        "this plan needs approval ({shown}); nothing was sent\nhelp: write it to a file with `quell {command} … -o PLAN`, \
         have it signed with `quell approve PLAN`, then `quell apply PLAN`"
    )))
}

/// What is signed: the plan, and the bytes of its file. Reading a plan file proves that writing the plan gives those very
/// bytes, so nothing has to be read a second time.
pub(super) fn subject_of(plan: &Plan) -> Result<Subject, Failure> {
    struct Sum(Sha256);
    impl Write for Sum {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sum = Sum(Sha256::new());
    file::write(plan, &mut sum).map_err(|error| Failure::Bug(error.to_string()))?;
    Ok(Subject { plan_digest: plan.header.digest.clone(), file_sha256: sum.0.finalize().into() })
}

/// The header of a run that is taken up, with the allowed signers file that its playbook had, as that file is now: the plan
/// to come is held to it. Where nobody has to approve, nothing is read.
pub(super) fn with_signers_of_now(run: &PlanHeader) -> Result<PlanHeader, Failure> {
    let mut header = run.clone();
    let is_needed = run.approval.as_ref().is_some_and(|approval| approval.needed) && !run.tenant.simulated;
    for file in header.files.iter_mut().filter(|file| is_needed && file.role == FileRole::AllowedSigners) {
        let mut problems = Vec::new();
        let path = PathBuf::from(&file.name);
        let text = read_yaml(&path, &mut problems).ok_or(Failure::Problems(problems))?;
        Signers::read(&file.name, &text).map_err(Failure::Problems)?;
        file.sha256 = SignersFile { path, text }.planned().sha256;
    }
    if !is_needed {
        header.files.retain(|file| file.role != FileRole::AllowedSigners);
    }
    Ok(header)
}

/// The allowed signers file that a plan was made with, as it must still be. Of a run whose journal names none the nearest
/// one counts, beside the plan or above it.
pub(super) fn signers_of(plan: &Plan, path: &Path) -> Result<SignersFile, Failure> {
    let planned = plan.header.files.iter().find(|file| file.role == FileRole::AllowedSigners);
    let found = match planned {
        Some(planned) => Some(PathBuf::from(&planned.name)),
        None => plan.header.origin.as_ref().and_then(|_| search_above(path, Path::new(NAME))),
    };
    let path = found.ok_or_else(|| {
        let why = "this plan names no allowed signers, so nobody could approve it";
        Failure::Held(format!("{why}\nhelp: plan again; a retry or an undo needs {NAME} beside the plan or above it"))
    })?;
    let mut problems = Vec::new();
    let text = read_yaml(&path, &mut problems).ok_or(Failure::Problems(problems))?;
    let found = SignersFile { path, text };
    if planned.is_some_and(|planned| found.planned().sha256 != planned.sha256) {
        let name = inert::terminal(&found.path.to_string_lossy()).into_owned();
        return Err(Failure::Held(format!("{name} is not what the plan was made with\nhelp: plan again")));
    }
    Ok(found)
}

/// Whether the people who have to approve a plan file did so, and still do; who they are is said.
pub(super) fn check(plan: &Plan, path: &Path, operator: Option<&str>) -> Result<Vec<Approval>, Failure> {
    is_of_its_playbook(plan)?;
    let needed = needed(plan).filter(|_| !plan.header.tenant.simulated);
    let Some(requirement) = needed.and_then(Requirement::of) else { return Ok(Vec::new()) };
    let signers = signers_of(plan, path)?;
    let signatures = approve::path_of(path);
    let shown = inert::terminal(&path.to_string_lossy()).into_owned();
    let text = approve::text_of(&signatures)?;
    let verdict =
        approval::verify(&requirement, &subject_of(plan)?, &text, &signers.text, operator, jiff::Timestamp::now());
    let valid = verdict.map_err(|refused| {
        Failure::Held(format!(
            "{shown} is not approved: {refused}\nnothing was sent\nhelp: `quell approve {shown}` signs it"
        ))
    })?;
    valid.iter().for_each(|valid| tell(&format!("approved by {valid}")));
    let approval = |valid: Valid| Approval {
        by: valid.author,
        key: valid.key,
        given: valid.at.to_string(),
        expires: valid.until.to_string(),
    };
    Ok(valid.into_iter().map(approval).collect())
}

/// Whether the plan asks for what its playbook asks for, its condition judged once more: a plan that was put together by
/// hand could ask for nothing. The simulator needs nobody.
fn is_of_its_playbook(plan: &Plan) -> Result<(), Failure> {
    let file = |role| plan.header.files.iter().find(|file| file.role == role).map(|file| Path::new(&file.name));
    let (Some(path), false) = (file(FileRole::Playbook), plan.header.tenant.simulated) else { return Ok(()) };
    let mut problems = Vec::new();
    let playbook = read_playbook(path, &mut problems).ok_or(Failure::Problems(problems))?;
    let tenant = match file(FileRole::Tenant) {
        Some(tenant) => tenant_of(tenant)?,
        None => {
            return Err(Failure::Held("this plan names no tenant file; nothing was sent\nhelp: plan again".to_owned()));
        }
    };
    let asked = plan::approval_asked(&playbook, plan, &tenant).map_err(Failure::Problems)?;
    // A plan that was made before they were kept names no values, and is judged by those that the playbook has itself.
    let besides_vars = |approval: Option<PlannedApproval>| {
        approval.map(|approval| PlannedApproval { vars: Default::default(), ..approval })
    };
    if besides_vars(plan.header.approval.clone()) == besides_vars(asked) {
        return Ok(());
    }
    let name = inert::terminal(&path.to_string_lossy()).into_owned();
    Err(Failure::Held(format!(
        "{name} asks for other approvals than this plan says; nothing was sent\nhelp: plan again"
    )))
}

/// What is asked of people, where something is and something would be done.
pub(super) fn needed(plan: &Plan) -> Option<&PlannedApproval> {
    plan.header.approval.as_ref().filter(|approval| approval.needed && plan.counts().0 > 0)
}

fn at(playbook: &Playbook, place: Place, message: String) -> Problem {
    Problem::new(&*playbook.file.to_string_lossy(), place, message).with_line_of(&playbook.text)
}
