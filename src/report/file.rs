//! Reports as files: whole or not at all, and only where the playbook said.
//!
//! A report is written beside its place and renamed, so a reader never sees half of one and a failure leaves the old one. A
//! link at that place is refused, and a path from a playbook cannot leave the working folder.

use super::{ReportError, Source, template};
use crate::playbook::ReportFormat;
use crate::run::RunMeta;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

/// Writes a report to a file; its folders are made.
pub fn write_file(format: &ReportFormat, source: &Source<'_>, path: &Path) -> Result<(), ReportError> {
    let failed = |doing: &'static str| {
        move |cause: io::Error| ReportError::File { doing, path: path.display().to_string(), cause }
    };
    refuse_occupied(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed("create the folder of"))?;
    let beside = beside(folder).map_err(failed("create"))?;
    let mut out = BufWriter::new(beside.as_file());
    super::write(format, source, &mut out).map_err(|error| match error {
        ReportError::Output(cause) => failed("write")(cause),
        other => other,
    })?;
    out.flush().map_err(failed("write"))?;
    drop(out);
    beside.as_file().sync_all().map_err(failed("write"))?;
    beside.persist(path).map_err(|error| failed("rename to")(error.error))?;
    sync_folder(folder).map_err(failed("write the folder of"))
}

/// The path of a report: a template over `run.id`, `run.playbook` and `run.tenant`. The result is a relative path
/// without `..`; a value that is no plain file name is an error.
pub fn render_path(template: &str, run: &RunMeta) -> Result<PathBuf, ReportError> {
    let wrong = |message: String| ReportError::Template { path: template.to_owned(), line: 0, column: 0, message };
    let mut plain = Vec::new();
    for (name, value) in [("id", &run.id), ("playbook", &run.playbook), ("tenant", &run.tenant)] {
        if is_plain_name(value) {
            plain.push((name, value.as_str()));
        } else if template.contains(&format!("run.{name}")) {
            return Err(wrong(format!("run.{name} is {value:?}, which cannot be part of a report's path")));
        }
    }
    let path = PathBuf::from(template::render_path(template, &plain)?);
    let within = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match path.file_name() {
        Some(_) if within => Ok(path),
        Some(_) => Err(wrong(format!("the report's path {path:?} leaves the working folder; use a path below it"))),
        None => Err(wrong(format!("the report's path {path:?} names no file"))),
    }
}

fn is_plain_name(value: &str) -> bool {
    !value.is_empty()
        && !value.starts_with('.')
        && !value.contains(['/', '\\', ':'])
        && !value.contains(super::inert::acts)
}

fn refuse_occupied(path: &Path) -> Result<(), ReportError> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    let kind = there.file_type();
    let what = match () {
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_dir() => "a folder",
        () if !kind.is_file() => "something that is no plain file",
        () => return Ok(()),
    };
    Err(ReportError::Occupied { path: path.display().to_string(), what })
}

/// A new file of a random name; others may read it as far as the process's mask lets them.
fn beside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".quell-report-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
