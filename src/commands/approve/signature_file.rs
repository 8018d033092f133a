//! `PLAN.sig` on disk: read whole, written whole. Two who sign at the same time on one machine come one after the other.

use crate::approval::{Approval, FILE_BYTES_MAX, SignatureFile};
use crate::commands::plan_file::SIGNATURES;
use crate::error::Failure;
use crate::problem::{Place, Problem, unreadable};
use crate::report::ReportError;
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where a plan's signatures are: its path with `.sig`.
pub fn path_of(plan: &Path) -> PathBuf {
    let mut path = plan.as_os_str().to_owned();
    path.push(".");
    path.push(SIGNATURES);
    path.into()
}

/// The text of a plan's signatures, for whoever proves them; nothing where there is no file. What cannot be read holds the
/// plan back.
///
/// # Errors
/// When the file cannot be read.
pub(in crate::commands) fn text_of(path: &Path) -> Result<String, Failure> {
    match read_text(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(e) => {
            let path = crate::inert::terminal(&path.to_string_lossy()).into_owned();
            Err(Failure::Held(format!("{path} cannot be read: {}; nothing was sent", unreadable(&e))))
        }
        Ok(text) => Ok(text),
    }
}

/// The signatures that are there; none where there is no file.
///
/// # Errors
/// When the file cannot be read, or is not as quell writes it.
pub(super) fn read(path: &Path) -> Result<SignatureFile, Failure> {
    let problem = |message: String| Problem::new(&*path.to_string_lossy(), Place::default(), message);
    let text = match read_text(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(SignatureFile::default()),
        Err(e) => return Err(Failure::Problems(vec![problem(unreadable(&e))])),
    };
    SignatureFile::read(&text).map_err(|why| {
        let problem = problem(format!("the signatures cannot be read: {why}"));
        let help =
            "no byte of it may differ from what quell wrote: restore it, or remove it and have everybody sign again";
        Failure::Problems(vec![problem.with_help(help)])
    })
}

fn read_text(path: &Path) -> io::Result<String> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    // One byte more than is read, so that a longer file is told from one that is just as long.
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Adds an approval to a plan's signatures: the new file is written beside the old one, synced, and takes its place.
///
/// # Errors
/// When the file cannot be read or written; then it is as it was.
pub(super) fn append(plan: &Path, approval: Approval) -> Result<SignatureFile, Failure> {
    let path = path_of(plan);
    let failed = |doing: &'static str| {
        let path = path.display().to_string();
        move |cause: io::Error| Failure::Report(ReportError::File { doing, path, cause })
    };
    let lock = File::open(plan).map_err(failed("lock the plan of"))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed("lock the plan of")(e.into()))?;
    let mut file = read(&path)?;
    file.approvals.push(approval);
    let text = file.text().map_err(Failure::Bug)?;
    // What could not be read back is not written.
    SignatureFile::read(&text).map_err(Failure::Usage)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = beside(folder).map_err(failed("create"))?;
    beside.write_all(text.as_bytes()).map_err(failed("write"))?;
    beside.as_file().sync_all().map_err(failed("write"))?;
    beside.persist(&path).map_err(|e| failed("rename to")(e.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write the folder of"))?;
    Ok(file)
}

/// A new file of a random name; others may read it as far as the process's mask lets them.
fn beside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".quell-sig-").permissions(fs::Permissions::from_mode(0o666));
    builder.tempfile_in(folder)
}
