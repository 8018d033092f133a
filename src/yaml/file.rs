//! Reads a YAML file's bytes: what it is and its size are looked at before anything is read, and only UTF-8 is accepted.
//! Links are followed: that is how configuration is mounted.

use super::secrets;
use crate::problem::{Place, Problem, unreadable};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Larger files are refused unread.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// The file's text. The problem names the file as it was given.
pub fn load(path: &Path) -> Result<String, Problem> {
    let problem = |message: String| Problem::new(path.display().to_string(), Place::default(), message);
    let bytes = read(path).map_err(|error| {
        let unread = problem(unreadable(&error));
        match error.kind() {
            io::ErrorKind::NotFound => unread.with_help("what is typed is relative to the folder you are in"),
            io::ErrorKind::IsADirectory => unread.with_help("name a file in it"),
            _ => unread,
        }
    })?;
    let Some(bytes) = bytes else {
        return Err(problem(too_big()).with_help("put events into a file of their own, as CSV or JSON lines"));
    };
    String::from_utf8(bytes).map_err(|error| {
        let (place, message) = not_utf_8(error.as_bytes(), error.utf8_error().valid_up_to());
        let text = String::from_utf8_lossy(error.as_bytes());
        let refused = Problem { place, ..problem(message).with_help("save the file as UTF-8") };
        refused.with_line_of(&secrets::redact(&text, secrets::of_text(&text)))
    })
}

pub(super) fn too_big() -> String {
    format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20)
}

/// `None` when it is larger than allowed.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Looked at before it is opened: to open a pipe is to wait for who writes it.
    let found = path.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::other("it is a pipe or a device, not a regular file"));
    }
    let mut file = File::open(path)?;
    if file.metadata()?.len() > FILE_BYTES_MAX as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.by_ref().take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= FILE_BYTES_MAX).then_some(bytes))
}

/// Where it is not, and how: the first `good` bytes are UTF-8.
fn not_utf_8(bytes: &[u8], good: usize) -> (Place, String) {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return (Place::default(), "the file is UTF-16".to_owned());
    }
    let before = &bytes[..good];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = Place {
        line: count(before.iter().filter(|byte| **byte == b'\n').count()) + 1,
        column: count(String::from_utf8_lossy(&before[line_start..]).chars().count()) + 1,
        length: 1,
        byte: Some(good as u64),
    };
    (place, format!("the byte 0x{:02x} here is not UTF-8", bytes[good]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], line: u32, column: u32, message: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, bytes).expect("a file");
        let problem = load(&path).expect_err("it is refused");
        assert_eq!((problem.place.line, problem.place.column, &*problem.message), (line, column, message));
    }

    #[test]
    fn only_utf_8_is_read() {
        check(b"a: b\nc: \xc3\xbc\xff", 2, 5, "the byte 0xff here is not UTF-8");
        check(b"\xff\xfea\0", 0, 0, "the file is UTF-16");
    }

    #[test]
    fn a_huge_file_is_refused_by_its_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("huge.yaml");
        File::create(&path).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");
        assert_eq!(load(&path).expect_err("it is refused").message, "the file is larger than 16 MiB");
    }

    #[test]
    fn what_the_system_refuses_is_said_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(load(folder.path()).expect_err("a folder").message, "this is a folder, not a file");
        assert_eq!(load(&folder.path().join("none")).expect_err("nothing").message, "there is no such file");
    }
}
