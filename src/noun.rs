//! Numbers with their nouns.

use std::fmt::Display;

/// `1 item`, `12 items`.
pub fn count<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    if n == N::from(1) { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
