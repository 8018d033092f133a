//! A problem in a file that a person wrote: what is wrong, where, and what to do next.
//!
//! Every reader of files returns problems as data; only [`render`] turns them into text. It does not decide exit codes.

mod render;
mod words;

pub use render::render;

pub(crate) use words::{listed, nearest, unreadable};

use std::sync::Arc;

/// A place in a file. Lines and columns count from 1 (columns in characters); `length` is in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1; 0 when the problem concerns the whole file.
    pub line: u32,
    /// Column in characters, from 1; 0 when the problem concerns a whole line or row.
    pub column: u32,
    /// How many characters are wrong, at least 1 where `column` is given.
    pub length: u32,
    /// Byte offset from the start of the file, where the reader knows it.
    pub byte: Option<u64>,
}

/// One problem of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as the user typed it; `<stdin>` for standard input.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Place,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The offending line of the file without its line end, when it can be shown.
    pub line_text: Option<String>,
    /// What to do next.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without an excerpt and without help.
    pub fn new(file: impl Into<Arc<str>>, place: Place, message: impl Into<String>) -> Self {
        Self { file: file.into(), place, message: message.into(), line_text: None, help: None }
    }

    /// Says what to do next.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Shows the line of `text` (the whole file) on which the problem is; nothing when the place names no line of it.
    #[must_use]
    pub fn with_line_of(mut self, text: &str) -> Self {
        self.line_text = line_at(text, self.place).map(str::to_owned);
        self
    }
}

/// The line of `text` at `place`, without its line end and without a byte order mark.
fn line_at(text: &str, place: Place) -> Option<&str> {
    let byte = place.byte.and_then(|byte| usize::try_from(byte).ok()).filter(|&byte| text.is_char_boundary(byte));
    let line = match (place.line, byte) {
        (0, _) => return None,
        // Counting lines from the start would make a hundred problems at the end of a long file cost a hundred reads.
        (_, Some(byte)) => {
            let start = text[..byte].rfind('\n').map_or(0, |end| end + 1);
            text[start..].split('\n').next()?
        }
        (line, None) => text.split('\n').nth(line as usize - 1)?,
    };
    Some(line.strip_suffix('\r').unwrap_or(line).trim_start_matches('\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, byte: Option<u64>) -> Place {
        Place { line, column: 1, length: 1, byte }
    }

    #[test]
    fn the_offending_line_is_found_by_number_and_by_byte() {
        let text = "\u{feff}one\r\nzwei\nüber";
        assert_eq!(line_at(text, at(1, None)), Some("one"));
        assert_eq!(line_at(text, at(1, Some(4))), Some("one"));
        assert_eq!(line_at(text, at(2, Some(8))), Some("zwei"));
        assert_eq!(line_at(text, at(3, Some(text.len() as u64))), Some("über"));
        assert_eq!(line_at(text, at(3, None)), Some("über"));
        assert_eq!(line_at(text, at(0, None)), None);
        assert_eq!(line_at(text, at(9, None)), None);
    }
}
