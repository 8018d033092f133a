//! What a person signs: one line of JSON in one way of writing.
//!
//! A line that quell would not write itself, byte for byte, is refused: what a person reads and what is proven are the
//! same then.

use super::Subject;
use crate::inert;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What every payload of this version begins with.
const VERSION: &str = "quell.approval/1";
/// How long a signer's name may be, in characters.
const AUTHOR_CHARS_MAX: usize = 200;
/// How long a note may be, in characters.
const NOTE_CHARS_MAX: usize = 1000;
/// How long a line may be, in bytes: a name and a note of the widest characters fit, escaped.
const LINE_BYTES_MAX: usize = 32 * 1024;

/// What one person says of one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// What is approved.
    pub subject: Subject,
    /// By whom: a principal of the allowed signers file.
    pub author: String,
    /// When, in whole seconds.
    pub at: Timestamp,
    /// From when on it does not count any more, in whole seconds.
    pub expires: Timestamp,
    /// What the person wants to be remembered.
    pub note: Option<String>,
}

/// As it is written; the order of the fields is the order in the line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    approval: String,
    plan: String,
    file_sha256: String,
    author: String,
    at: String,
    expires: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Payload {
    /// The line that is signed, without a line end.
    ///
    /// # Errors
    /// When a part of it could not be read back: what a signer's name and a note may be.
    pub fn line(&self) -> Result<String, String> {
        let Self { subject, author, at, expires, note } = self;
        sound_author(author)?;
        note.as_deref().map_or(Ok(()), sound_note)?;
        sound_times(*at, *expires)?;
        let written = Written {
            approval: VERSION.to_owned(),
            plan: subject.plan_digest.clone(),
            file_sha256: hexadecimal(&subject.file_sha256),
            author: author.clone(),
            at: at.to_string(),
            expires: expires.to_string(),
            note: note.clone(),
        };
        let mut line = Vec::new();
        inert::json(&mut line, &written).map_err(|error| error.to_string())?;
        String::from_utf8(line).map_err(|error| error.to_string())
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("it has {} bytes, at most {LINE_BYTES_MAX} are read", line.len()));
        }
        let written: Written =
            serde_json::from_str(line).map_err(|_| format!("it is no `{VERSION}` as quell writes it"))?;
        let Written { approval, plan, file_sha256, author, at, expires, note } = written;
        if approval != VERSION {
            return Err(format!("it is no `{VERSION}`: this quell reads no other"));
        }
        let _: [u8; 32] = bytes(&plan).ok_or("its plan is no SHA-256")?;
        let file_sha256 = bytes(&file_sha256).ok_or("its file_sha256 is no SHA-256")?;
        let subject = Subject { plan_digest: plan, file_sha256 };
        let time = |text: &str| text.parse::<Timestamp>().map_err(|_| "its times are no times".to_owned());
        let payload = Self { subject, author, at: time(&at)?, expires: time(&expires)?, note };
        match payload.line()? == line {
            true => Ok(payload),
            false => Err("it is not written as quell writes it".to_owned()),
        }
    }
}

/// A moment in whole seconds, as payloads have them.
pub fn now_in_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Whether a name can be a signer's: what OpenSSH's file could not name, or takes for a pattern, is refused.
///
/// # Errors
/// What is wrong with it.
pub fn sound_author(author: &str) -> Result<(), String> {
    if author.is_empty() {
        return Err("a signer's name is not empty".to_owned());
    }
    if author.chars().count() > AUTHOR_CHARS_MAX {
        return Err(format!("a signer's name has at most {AUTHOR_CHARS_MAX} characters"));
    }
    let is_wrong = |c: char| c.is_whitespace() || inert::hides(c) || matches!(c, '*' | '?' | '!' | ',' | '"' | '#');
    match author.chars().find(|c| is_wrong(*c)) {
        Some(c) => Err(format!("a signer's name has no `{}`", inert::escaped(&c.to_string()))),
        None => Ok(()),
    }
}

fn sound_note(note: &str) -> Result<(), String> {
    match () {
        () if note.trim() != note || note.is_empty() => {
            Err("a note is not empty and has no spaces around it".to_owned())
        }
        () if note.contains(char::is_control) => Err("a note is one line without control characters".to_owned()),
        () if note.chars().count() > NOTE_CHARS_MAX => Err(format!("a note has at most {NOTE_CHARS_MAX} characters")),
        () => Ok(()),
    }
}

fn sound_times(at: Timestamp, expires: Timestamp) -> Result<(), String> {
    match () {
        () if at.subsec_nanosecond() != 0 || expires.subsec_nanosecond() != 0 => {
            Err("its times are not in whole seconds".to_owned())
        }
        () if expires <= at => Err("it expires before it was made".to_owned()),
        () => Ok(()),
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes in lower-case hexadecimal.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if text.len() != 64 || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
