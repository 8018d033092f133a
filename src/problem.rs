//! A problem in a file that a person wrote: what is wrong, where, and what to do next.
//!
//! Every reader of files returns problems as data; only [`render`] turns them into text. It does not decide exit codes.

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
