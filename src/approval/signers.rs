//! The allowed signers file: whose keys count, for what, and when. The format is OpenSSH's (`ssh-keygen(1)`, "ALLOWED
//! SIGNERS"), so that one file serves git and quell.
//!
//! Where OpenSSH passes over a line that it cannot read, quell refuses the file: a person who believes to be allowed, or a
//! key that was meant to be limited, should not be found out at three in the morning. It refuses certificate authorities,
//! and times without `Z`, which would mean something else on every machine.

mod line;

use super::verdict::Why;
use crate::problem::{Place, Problem};
use jiff::Timestamp;
use line::Wrong;
use ssh_key::public::KeyData;
use std::sync::Arc;

/// How large an allowed signers file may be, in bytes.
pub const SIGNERS_BYTES_MAX: usize = 1024 * 1024;
/// How many problems of one file are told.
const PROBLEMS_MAX: usize = 100;

/// Who may approve.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    entries: Vec<Entry>,
}

/// One line.
#[derive(Debug, Clone)]
struct Entry {
    principals: Patterns,
    /// `None`: for everything.
    namespaces: Option<Patterns>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
    key: KeyData,
}

impl Signers {
    /// Reads a file's text; `name` is what problems call the file.
    ///
    /// # Errors
    /// Every line that cannot be read, with its place.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let name: Arc<str> = name.into();
        if text.len() > SIGNERS_BYTES_MAX {
            let message = format!("this file has {} bytes, at most {SIGNERS_BYTES_MAX} are read", text.len());
            return Err(vec![Problem::new(name, Place::default(), message)]);
        }
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for (line, number) in text.trim_start_matches('\u{feff}').split('\n').zip(1_u32..) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            match line::read(line) {
                Ok(entry) => entries.extend(entry),
                Err(_) if problems.len() == PROBLEMS_MAX => {}
                Err(Wrong { range, message, help }) => {
                    let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                    let column = count(&line[..range.start]) + 1;
                    let length = count(&line[range]).max(1);
                    let problem =
                        Problem::new(Arc::clone(&name), Place { line: number, column, length, byte: None }, message);
                    problems.push(Problem { line_text: Some(line.to_owned()), help, ..problem });
                }
            }
        }
        if problems.is_empty() { Ok(Self { entries }) } else { Err(problems) }
    }

    /// The names that stand for a key, as far as they are written out.
    pub fn names_of(&self, key: &KeyData) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for pattern in self.entries.iter().filter(|entry| entry.key == *key).flat_map(|entry| &entry.principals.0) {
            if !pattern.denies && !pattern.glob.contains(['*', '?']) && !names.contains(&pattern.glob.as_str()) {
                names.push(&pattern.glob);
            }
        }
        names
    }

    /// Whether some line allows this key to this signer, for this purpose, at all of these moments.
    ///
    /// # Errors
    /// What the line that comes nearest lacks.
    pub fn allow(&self, key: &KeyData, author: &str, namespace: &str, moments: &[Timestamp]) -> Result<(), Why> {
        let mut nearest = Why::UnknownKey;
        for entry in self.entries.iter().filter(|entry| entry.key == *key) {
            match entry.allows(author, namespace, moments) {
                Ok(()) => return Ok(()),
                Err(why) if rank(&why) > rank(&nearest) => nearest = why,
                Err(_) => {}
            }
        }
        Err(nearest)
    }
}

/// How far an entry was followed before it said no.
fn rank(why: &Why) -> u8 {
    match why {
        Why::OtherPrincipal => 1,
        Why::NamespaceNotAllowed => 2,
        Why::KeyNotYetValid(_) | Why::KeyNoLongerValid(_) => 3,
        _ => 0,
    }
}

impl Entry {
    fn allows(&self, author: &str, namespace: &str, moments: &[Timestamp]) -> Result<(), Why> {
        if !self.principals.match_one(author) {
            return Err(Why::OtherPrincipal);
        }
        if self.namespaces.as_ref().is_some_and(|allowed| !allowed.match_one(namespace)) {
            return Err(Why::NamespaceNotAllowed);
        }
        for moment in moments {
            match (self.valid_after, self.valid_before) {
                (Some(after), _) if *moment < after => return Err(Why::KeyNotYetValid(after)),
                (_, Some(before)) if *moment > before => return Err(Why::KeyNoLongerValid(before)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `*@example.com,!eve@example.com`: a text matches when some pattern does and none that begins with `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    denies: bool,
    /// `*` stands for any characters, `?` for one.
    glob: String,
}

impl Patterns {
    /// `None` when one of them is empty.
    fn read(list: &str) -> Option<Self> {
        let read = |pattern: &str| {
            let (denies, glob) = pattern.strip_prefix('!').map_or((false, pattern), |glob| (true, glob));
            (!glob.is_empty()).then(|| Pattern { denies, glob: glob.to_owned() })
        };
        list.split(',').map(read).collect::<Option<_>>().map(Self)
    }

    fn match_one(&self, text: &str) -> bool {
        let matching = |denies| self.0.iter().any(|pattern| pattern.denies == denies && is_match(&pattern.glob, text));
        matching(false) && !matching(true)
    }
}

/// In time of at most the product of the lengths: after a mismatch only the last `*` takes one character more.
fn is_match(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                g = at + 1;
                t = taken + 1;
            }
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
