//! The files that a plan was made from: named so that they are found again, and held against what is there when the plan
//! is carried out.
//!
//! Names are relative to the working folder, never absolute: a plan is carried out where it was made, or in another copy
//! of that folder. What is summed up are the very bytes that were read; nothing is read a second time to sum it up.

use crate::error::Failure;
use crate::events::{Events, Input};
use crate::noun::count;
use crate::plan::{FileRole, PlannedFile, STDIN};
use crate::report::inert;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Bytes that are read at once.
const PORTION_BYTES: usize = 64 << 10;

/// A file of which these bytes were read.
pub(super) fn planned(role: FileRole, path: &Path, bytes: &[u8]) -> PlannedFile {
    let mut sum = Sha256::new();
    sum.update(bytes);
    PlannedFile { role, name: relative(path), sha256: hexadecimal(sum) }
}

/// A file whose sum is known from reading it.
pub(super) fn summed(role: FileRole, path: &Path, sha256: &str) -> PlannedFile {
    PlannedFile { role, name: relative(path), sha256: sha256.to_owned() }
}

/// The files among these inputs, each with the sum that reading it gave; none while there are problems. What stands in the
/// playbook has no file.
pub(super) fn of_events<'a>(
    inputs: impl IntoIterator<Item = &'a Input>,
    events: Option<&'a Events>,
) -> impl Iterator<Item = PlannedFile> {
    let sums = events.map_or(&[][..], |events| events.digests.as_slice());
    inputs.into_iter().zip(sums).filter_map(|(input, sum)| {
        let name = match input {
            Input::File { path, .. } => relative(path),
            Input::Stdin => STDIN.to_owned(),
            Input::Inline { .. } => return None,
        };
        Some(PlannedFile { role: FileRole::Events, name, sha256: sum.clone() })
    })
}

/// Whether each of these files is still what it was; all that is not is told at once. Standard input is not read again.
pub(super) fn check_unchanged(files: &[PlannedFile]) -> Result<(), Failure> {
    let wrong: Vec<String> = files.iter().filter(|file| file.name != STDIN).filter_map(amiss).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Held(format!(
        "{} of this plan {} not what it was planned with; nothing was sent\n{}\n\
         help: plan again, and look at what the plan is now; names are relative to the folder you are in",
        count(wrong.len(), "file"),
        if wrong.len() == 1 { "is" } else { "are" },
        wrong.join("\n")
    )))
}

/// What is wrong with a file, in one line.
fn amiss(file: &PlannedFile) -> Option<String> {
    let shown = format!("  {} {}", file.role.as_str().replace('_', " "), inert::terminal(&file.name));
    match sum_of(Path::new(&file.name)) {
        Ok(now) if now == file.sha256 => None,
        Ok(now) => Some(format!("{shown} was {}, and is {now}", inert::terminal(&file.sha256))),
        Err(e) => Some(format!("{shown}: {}", crate::problem::unreadable(&e))),
    }
}

/// The sum of a file's bytes now. What is no file is not opened: to open a pipe is to wait for who writes it.
fn sum_of(path: &Path) -> io::Result<String> {
    let found = path.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::other("it is a pipe or a device, not a regular file"));
    }
    let mut file = File::open(path)?;
    let (mut sum, mut portion) = (Sha256::new(), vec![0; PORTION_BYTES]);
    loop {
        match file.read(&mut portion) {
            Ok(0) => return Ok(hexadecimal(sum)),
            Ok(read) => sum.update(&portion[..read]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn hexadecimal(sum: Sha256) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path of a file as seen from the working folder. Its folder is looked up, so that `..` and links lead where they
/// lead; the file itself is not followed, since it is read by that name.
pub(super) fn relative(path: &Path) -> String {
    let shown = || path.to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(from), Ok(to), Some(name)) = (Path::new(".").canonicalize(), folder.canonicalize(), path.file_name())
    else {
        return shown();
    };
    between(&from, &to.join(name)).to_string_lossy().into_owned()
}

/// The way from one absolute folder to a file.
fn between(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    up.chain(to[common..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_from_the_working_folder() {
        for (from, to, expected) in [
            ("/w", "/w/a.csv", "a.csv"),
            ("/w", "/w/tenants/a.yaml", "tenants/a.yaml"),
            ("/w/jobs", "/w/a.csv", "../a.csv"),
            ("/w/jobs/x", "/srv/a.csv", "../../../srv/a.csv"),
            ("/", "/a.csv", "a.csv"),
        ] {
            assert_eq!(between(Path::new(from), Path::new(to)), Path::new(expected), "{from} {to}");
        }
    }

    #[test]
    fn every_byte_of_every_file_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let texts = ["version: 1\nname: sweep\nsteps: []\n", "version: 1\nname: t\n", "agent_id,event_id\na1,e1\n"];
        let path = |number: usize| folder.path().join(number.to_string());
        let mut files = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            std::fs::write(path(number), text).expect("a file");
            let name = path(number).to_string_lossy().into_owned();
            files.push(PlannedFile { name, ..planned(FileRole::Events, Path::new("x"), text.as_bytes()) });
        }
        assert!(check_unchanged(&files).is_ok());
        for (number, text) in texts.iter().enumerate() {
            for (at, change) in (0..text.len()).flat_map(|at| [(at, 1), (at, 0x20)]) {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= change;
                std::fs::write(path(number), bytes).expect("a file");
                assert!(check_unchanged(&files).is_err(), "file {number}, byte {at} ^ {change:#x}");
            }
            std::fs::write(path(number), text).expect("a file");
        }
        assert!(check_unchanged(&files).is_ok());
    }

    #[test]
    fn what_is_gone_or_changed_is_told_with_both_sums_and_the_rest_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for name in ["same", "other"] {
            std::fs::write(at(name), name).expect("a file");
        }
        let file = |name: &str, bytes: &[u8]| PlannedFile {
            name: at(name),
            ..planned(FileRole::Events, Path::new("x"), bytes)
        };
        let stdin = PlannedFile { name: STDIN.to_owned(), ..file("same", b"whatever was piped in") };
        assert!(check_unchanged(&[file("same", b"same"), stdin]).is_ok());
        let changed = file("other", b"as it was");
        let said = check_unchanged(&[file("same", b"same"), changed.clone(), file("gone", b"")]).expect_err("refused");
        let said = said.to_string();
        let now = planned(FileRole::Events, Path::new("x"), b"other").sha256;
        assert!(
            said.starts_with("2 files of this plan are not what it was planned with; nothing was sent\n"),
            "{said}"
        );
        assert!(said.contains(&format!("other was {}, and is {now}\n", changed.sha256)), "{said}");
        assert!(said.contains("gone: there is no such file\n") && !said.contains("same"), "{said}");
    }
}
