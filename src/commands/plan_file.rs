//! Plan files on disk: read whole or refused, written whole or not at all, and never over something else.

use super::report_paths::whereabouts;
use crate::error::Failure;
use crate::inert;
use crate::plan::file::{self, BEGINNING, PlanFileError};
use crate::plan::{Plan, STDIN};
use crate::report::ReportError;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// How plan files are called, by custom.
const ENDING: &str = "plan";
/// How the file with a plan's signatures ends.
pub(super) const SIGNATURES: &str = "sig";

/// Reads a plan file. What is no plan is a mistake; a plan that is not as it was written is held back.
pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let shown = inert::terminal(&path.to_string_lossy()).into_owned();
    let mistake = |what: &str| Failure::Usage(format!("{shown}: {what}"));
    let found = path.metadata().map_err(|e| mistake(&crate::problem::unreadable(&e)))?;
    if !found.is_file() {
        return Err(mistake("this is no plan file: it is not a regular file"));
    }
    let opened = File::open(path).map_err(|e| mistake(&crate::problem::unreadable(&e)))?;
    file::read(&mut BufReader::new(opened)).map_err(|error| match error {
        PlanFileError::NoPlan => {
            Failure::Usage(format!("{shown}: {error}\nhelp: `quell plan FILE -o PLAN` writes one"))
        }
        PlanFileError::Io(e) => mistake(&crate::problem::unreadable(&e)),
        PlanFileError::Line { line, what } => held(&format!("{shown}:{line}"), &what),
        other @ (PlanFileError::Format { .. } | PlanFileError::TooLarge { .. }) => held(&shown, &other.to_string()),
    })
}

fn held(place: &str, what: &str) -> Failure {
    Failure::Held(format!(
        "{place}: {}; nothing was sent\nhelp: a plan is carried out as it was written: take it from where it was reviewed, or plan again",
        inert::terminal(what)
    ))
}

/// Whether a name on the command line means a plan file rather than a run.
pub(super) fn is_meant(name: &str) -> bool {
    let path = Path::new(name);
    path.is_file() && (path.extension().is_some_and(|ending| ending == ENDING) || is_plan(path))
}

/// Whether a file begins as a plan does.
fn is_plan(path: &Path) -> bool {
    let mut beginning = [0; BEGINNING.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut beginning)).is_ok() && beginning == BEGINNING
}

/// Whether a plan may be written there: not over what it is made from, and over nothing but an older plan.
pub(super) fn check_place<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    let shown = path.display();
    let refused = |what: String| Err(Failure::Usage(format!("the plan {shown} {what}")));
    if path == Path::new(STDIN) {
        return refused("has to be a file: give its name after -o".to_owned());
    }
    if path.extension().is_some_and(|ending| ending == SIGNATURES) {
        return refused(format!("cannot end in .{SIGNATURES}: the signatures of a plan are called so"));
    }
    let place = whereabouts(path);
    if let Some(input) = inputs.into_iter().find(|input| whereabouts(input) == place) {
        return refused(format!("would replace the input {}", input.display()));
    }
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(there) if !there.is_file() => refused("would replace something that is no regular file".to_owned()),
        Ok(_) if is_plan(path) => Ok(()),
        Ok(_) => refused("would replace a file that is no plan".to_owned()),
    }
}

/// The files that a plan was made from, as paths.
pub(super) fn inputs_of(plan: &Plan) -> Vec<PathBuf> {
    plan.header.files.iter().filter(|file| file.name != STDIN).map(|file| PathBuf::from(&file.name)).collect()
}

/// Writes a plan file: there whole, or as it was before.
pub(super) fn write(plan: &Plan, path: &Path) -> Result<(), Failure> {
    check_place(path, &inputs_of(plan))?;
    let failed = |doing: &'static str| {
        move |cause: io::Error| Failure::Report(ReportError::File { doing, path: path.display().to_string(), cause })
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = beside(folder).map_err(failed("create"))?;
    let mut out = BufWriter::new(beside.as_file());
    file::write(plan, &mut out).map_err(|error| match error {
        PlanFileError::Io(cause) => failed("write")(cause),
        other => Failure::Usage(format!("the plan {} cannot be written: {other}", path.display())),
    })?;
    out.flush().map_err(failed("write"))?;
    drop(out);
    beside.as_file().sync_all().map_err(failed("write"))?;
    beside.persist(path).map_err(|error| failed("rename to")(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write the folder of"))
}

/// A new file of a random name; others may read it as far as the process's mask lets them.
fn beside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".quell-plan-").permissions(fs::Permissions::from_mode(0o666));
    builder.tempfile_in(folder)
}
