//! Where bytes come from: a regular file or standard input, and nothing else.
//!
//! Links, directories, devices, pipes and files of the kernel are refused by name before a byte is read, and a file
//! that changes while it is read is refused after it.

use crate::problem::unreadable;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{}", unreadable(.0))]
    Io(#[from] io::Error),
    #[error("it is {0}, not a regular file")]
    Kind(&'static str),
    #[error("it is a file of the kernel, not a regular file")]
    Kernel,
    #[error("it was replaced or changed while it was read")]
    Changed,
}

impl Refused {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::Io(_) => "check the path; relative ones are relative to the file that names them",
            Self::Kind("a symbolic link") => "name the file itself, or pipe it in and read `-`",
            Self::Kind("a directory") => "name a file in it",
            Self::Kind(_) | Self::Kernel => "copy it to a file, or pipe it in and read `-`",
            Self::Changed => "wait until whoever writes it is done",
        }
    }
}

/// A regular file that was opened, with what it was like then.
#[derive(Debug)]
pub(super) struct Regular {
    pub(super) file: File,
    opened: Metadata,
}

impl Regular {
    /// Looks first and opens then, since opening a pipe would wait for its writer.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let seen = path.symlink_metadata()?;
        regular(&seen)?;
        let file = File::open(path)?;
        let opened = file.metadata()?;
        regular(&opened)?;
        if !same(&seen, &opened) {
            return Err(Refused::Changed);
        }
        Ok(Self { file, opened })
    }

    /// To be asked when all was read.
    pub(super) fn is_unchanged(&self) -> Result<(), Refused> {
        let now = self.file.metadata()?;
        if same(&self.opened, &now) { Ok(()) } else { Err(Refused::Changed) }
    }
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (before.dev(), before.ino()) != (after.dev(), after.ino()) {
            return false;
        }
    }
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

fn regular(metadata: &Metadata) -> Result<(), Refused> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return Err(Refused::Kind("a symbolic link"));
    }
    if kind.is_dir() {
        return Err(Refused::Kind("a directory"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Err(Refused::Kind("a named pipe"));
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Err(Refused::Kind("a device"));
        }
        if kind.is_socket() {
            return Err(Refused::Kind("a socket"));
        }
    }
    if !kind.is_file() {
        return Err(Refused::Kind("something else"));
    }
    if is_of_kernel(metadata) { Err(Refused::Kernel) } else { Ok(()) }
}

/// `/proc` and `/sys` hold what calls itself regular files, of length 0 and with other content at every reading. They
/// are told by their device, so that a path into them by another way is refused too.
#[cfg(unix)]
fn is_of_kernel(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &str| Path::new(path).metadata().ok().map(|found| found.dev());
    let root = device("/");
    ["/proc", "/sys"].into_iter().filter_map(device).any(|kernel| Some(kernel) != root && kernel == metadata.dev())
}

#[cfg(not(unix))]
fn is_of_kernel(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn refusal(path: &Path) -> String {
        Regular::open(path).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("good.csv"), "x").unwrap();
        assert!(Regular::open(&at("good.csv")).is_ok());
        assert_eq!(refusal(folder.path()), "it is a directory, not a regular file");
        assert_eq!(refusal(&at("none.csv")), "there is no such file");
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_sockets_and_devices_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("good.csv"), "x").unwrap();
        std::os::unix::fs::symlink(at("good.csv"), at("link.csv")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.csv")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe.csv")).status().unwrap().success());
        assert_eq!(refusal(&at("link.csv")), "it is a symbolic link, not a regular file");
        assert_eq!(refusal(&at("socket.csv")), "it is a socket, not a regular file");
        assert_eq!(refusal(&at("pipe.csv")), "it is a named pipe, not a regular file");
        assert_eq!(refusal(Path::new("/dev/null")), "it is a device, not a regular file");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_of_the_kernel_are_refused() {
        assert_eq!(refusal(Path::new("/proc/version")), "it is a file of the kernel, not a regular file");
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let regular = Regular::open(file.path()).unwrap();
        assert!(regular.is_unchanged().is_ok());
        file.write_all(b"d").unwrap();
        assert_eq!(regular.is_unchanged().unwrap_err().to_string(), "it was replaced or changed while it was read");
    }
}
