//! A first look at an expression's characters, before the parser sees it: its length, its nesting, texts that are
//! never closed. The parser recurses on what it reads, so its depth is bounded here; and it speaks of tokens, so the
//! commonest mistakes are named here in plain words.

use super::{FilterError, SOURCE_BYTES_MAX};
use crate::inert::shorten;
use cel::ParseError;
use std::ops::Range;

/// How many operators and brackets an expression may have, those between `&&` and `||` together. 100 comparisons fit.
const OPERATIONS_MAX: usize = 250;

/// Checks what can be checked without parsing.
pub(super) fn check(source: &str) -> Result<(), FilterError> {
    let error = |message: String, range: Range<usize>, help: &str| {
        Err(FilterError { message, range, help: (!help.is_empty()).then(|| help.to_owned()) })
    };
    if source.trim().is_empty() {
        return error("the filter is empty".into(), 0..1, "leave `where` out to select every event");
    }
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the filter has {} bytes, at most {SOURCE_BYTES_MAX} are read", source.len());
        return error(message, 0..1, "compare with a column of the events instead of a long list");
    }
    let mut brackets = Vec::new();
    let mut operations = 0;
    for token in tokens(source) {
        match token.kind {
            TokenKind::Open => brackets.push(token.range.clone()),
            TokenKind::Close if brackets.pop().is_none() => {
                return error("this bracket closes nothing".into(), token.range, "");
            }
            TokenKind::Unclosed => {
                return error("this text is never closed".into(), token.range, "end it with a quote");
            }
            TokenKind::Assign => {
                return error("a single = is no comparison".into(), token.range, "write == to compare");
            }
            TokenKind::Close | TokenKind::Operator => {}
        }
        operations += usize::from(token.kind != TokenKind::Close);
        if operations > OPERATIONS_MAX {
            let message = format!("the filter has more than {OPERATIONS_MAX} operators and brackets");
            return error(message, token.range, "compare with a list: sha256 in [\"…\", \"…\"]");
        }
    }
    match brackets.pop() {
        Some(range) => error("this bracket is never closed".into(), range, ""),
        None => Ok(()),
    }
}

/// What the parser found, with its place in bytes.
pub(super) fn syntax_error(source: &str, error: &ParseError) -> FilterError {
    let start = byte_of(source, error.pos.0, error.pos.1);
    let length = source[start..].chars().next().map_or(1, char::len_utf8);
    let words = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    // The list of everything that could have stood there helps nobody.
    let words = words.split(" expecting ").next().unwrap_or_default();
    let unexpected =
        ["mismatched input", "extraneous input", "no viable alternative at input", "token recognition error"];
    let message = if !unexpected.iter().any(|beginning| words.starts_with(beginning)) {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("the filter cannot be read: {}", shorten(&words, 120))
    } else if words.contains("<EOF>") {
        "the filter ends too early".to_owned()
    } else {
        let found = words.split_once('\'').map_or("this", |(_, found)| found.trim_end_matches('\''));
        format!("`{}` cannot stand here", shorten(found, 120))
    };
    FilterError {
        message,
        range: start..start + length,
        help: Some("filters are CEL expressions, such as: verdict == \"MALICIOUS\" && int(score) >= 8".into()),
    }
}

/// The byte at a line and column, both from 1; columns count characters.
fn byte_of(source: &str, line: isize, column: isize) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &source[start..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Open,
    Close,
    /// Anything that nests without a bracket. `&&` and `||` do not: the parser balances them.
    Operator,
    Assign,
    Unclosed,
}

#[derive(Debug)]
struct Token {
    kind: TokenKind,
    range: Range<usize>,
}

/// The tokens that matter here; texts and comments are stepped over as the language defines them.
fn tokens(source: &str) -> impl Iterator<Item = Token> + '_ {
    let bytes = source.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = bytes.get(at) {
            let start = at;
            at += 1;
            let kind = match byte {
                b'"' | b'\'' => match end_of_text(source, start) {
                    Some(end) => {
                        at = end;
                        continue;
                    }
                    None => TokenKind::Unclosed,
                },
                b'/' if bytes.get(at) == Some(&b'/') => {
                    at = source[start..].find('\n').map_or(source.len(), |line| start + line);
                    continue;
                }
                b'(' | b'[' | b'{' => TokenKind::Open,
                b')' | b']' | b'}' => TokenKind::Close,
                b'=' | b'!' | b'<' | b'>' => {
                    let double = bytes.get(at) == Some(&b'=');
                    at += usize::from(double);
                    if byte == b'=' && !double { TokenKind::Assign } else { TokenKind::Operator }
                }
                b'+' | b'-' | b'*' | b'/' | b'%' | b'?' => TokenKind::Operator,
                b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                    at += bytes[at..].iter().take_while(|byte| word(byte)).count();
                    if &source[start..at] != "in" {
                        continue;
                    }
                    TokenKind::Operator
                }
                _ => continue,
            };
            return Some(Token { kind, range: start..at.max(start + 1) });
        }
        None
    })
}

/// Where the text that begins with a quote at `start` ends; `r` before it switches escapes off.
fn end_of_text(source: &str, start: usize) -> Option<usize> {
    let bytes = source.as_bytes();
    let quote = bytes[start];
    // The prefix is r, br or rb; a longer word before the quote is no prefix.
    let prefix = bytes[..start].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let raw = prefix <= 2 && bytes[start - prefix..start].iter().any(|byte| byte.eq_ignore_ascii_case(&b'r'));
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if !raw => at += 2,
            b'\n' | b'\r' if !triple => return None,
            _ if byte == quote && !triple => return Some(at + 1),
            _ if triple && bytes[at..].starts_with(&[quote; 3]) => return Some(at + 3),
            _ => at += 1,
        }
    }
    None
}
