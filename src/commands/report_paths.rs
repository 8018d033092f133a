//! Whether the reports that are asked for can be made, before anything is sent: their templates, their paths, and that
//! none of them would replace a file that the run needs.

use crate::cli::{Running, Selection};
use crate::engine::fact::Moment;
use crate::error::Failure;
use crate::playbook::{Playbook, ReportFormat};
use crate::problem::Problem;
use crate::report::{self, ReportError};
use crate::run::RunMeta;
use std::path::{Path, PathBuf};

/// What is wrong with a playbook's `reports`, each at its place.
pub fn problems_of(playbook: &Playbook) -> Vec<Problem> {
    let file = playbook.file.to_string_lossy();
    let problem = |request: &crate::playbook::ReportRequest, error: &ReportError| {
        Problem::new(&*file, request.path.place, format!("this report cannot be made: {error}"))
            .with_line_of(&playbook.text)
    };
    let mut problems = Vec::new();
    for request in &playbook.reports {
        let path = report::render_path(&request.path.value, &some_run(&playbook.name)).map(drop);
        let format = match &request.format {
            ReportFormat::Template(template) => {
                report::check_format(&ReportFormat::Template(beside(playbook, template)))
            }
            plain => report::check_format(plain),
        };
        problems
            .extend([path, format].iter().filter_map(|checked| checked.as_ref().err()).map(|e| problem(request, e)));
    }
    problems
}

/// A template's path is relative to the playbook that names it, as the paths of its events are.
pub fn beside(playbook: &Playbook, template: &Path) -> PathBuf {
    playbook.file.parent().unwrap_or(Path::new("")).join(template)
}

/// Refuses `--report`s that cannot be made, or that would replace each other or a file that the run reads.
pub fn check(running: &Running, selection: Option<&Selection>, state: &Path) -> Result<(), Failure> {
    let inputs = |selection: &Selection| -> Vec<PathBuf> {
        [&selection.file].into_iter().chain(&selection.events).chain(&selection.tenant.tenant).cloned().collect()
    };
    check_beside(running, &selection.map(inputs).unwrap_or_default(), state)
}

/// As [`check`], with these inputs.
pub fn check_beside(running: &Running, inputs: &[PathBuf], state: &Path) -> Result<(), Failure> {
    let state = whereabouts(state);
    let mut taken: Vec<(PathBuf, String)> = Vec::new();
    taken.extend(inputs.iter().map(|input| (whereabouts(input), format!("the input {}", input.display()))));
    for (format, path) in &running.reports {
        report::check_format(format).map_err(|e| Failure::Usage(e.to_string()))?;
        let place = whereabouts(path);
        if place.starts_with(&state) {
            return Err(Failure::Usage(format!("the report {} would lie in the state folder", path.display())));
        }
        if let Some((_, what)) = taken.iter().find(|(known, _)| *known == place) {
            return Err(Failure::Usage(format!("the report {} would replace {what}", path.display())));
        }
        taken.push((place, format!("another report, {}", path.display())));
    }
    Ok(())
}

/// A path as the system sees it, also when the file itself is not there yet.
pub(super) fn whereabouts(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(there) = absolute.canonicalize() {
        return there;
    }
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => whereabouts(folder).join(name),
        _ => absolute,
    }
}

/// A run that stands for the one to come, to see whether its paths can be made.
fn some_run(playbook: &str) -> RunMeta {
    RunMeta {
        id: format!("{playbook}-0101-000"),
        playbook: playbook.to_owned(),
        tenant: "tenant".to_owned(),
        created: Moment(0),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        simulated: false,
        state_warning: None,
        operator: None,
        retry_of: None,
        undo_of: None,
        approvals: Vec::new(),
    }
}
