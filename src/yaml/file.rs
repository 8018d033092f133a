//! Reads a YAML file's bytes: its size is looked at before anything is read, and only UTF-8 is accepted.

use crate::problem::{Place, Problem};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Larger files are refused unread.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// The file's text. The problem names the file as it was given.
pub fn load(path: &Path) -> Result<String, Problem> {
    let problem = |message: String| Problem::new(path.display().to_string(), Place::default(), message);
    let bytes = read(path).map_err(|error| problem(in_words(&error)))?;
    let Some(bytes) = bytes else {
        return Err(problem(too_big()).with_help("put events into a file of their own, as CSV or JSON lines"));
    };
    decode(bytes).map_err(|(place, message)| Problem { place, ..problem(message).with_help("save the file as UTF-8") })
}

pub(super) fn too_big() -> String {
    format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20)
}

/// `None` when it is larger than allowed. A regular file's size is known before; a pipe's is not.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() > FILE_BYTES_MAX as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.by_ref().take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= FILE_BYTES_MAX).then_some(bytes))
}

fn decode(bytes: Vec<u8>) -> Result<String, (Place, String)> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err((Place::default(), "the file is UTF-16".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..good];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Place {
            line: count(before.iter().filter(|byte| **byte == b'\n').count()) + 1,
            column: count(String::from_utf8_lossy(&before[line_start..]).chars().count()) + 1,
            length: 1,
            byte: Some(good as u64),
        };
        (place, format!("the byte 0x{:02x} here is not UTF-8", error.as_bytes()[good]))
    })
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "the file may not be read".to_owned(),
        io::ErrorKind::IsADirectory => "this is a folder, not a file".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    }
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
