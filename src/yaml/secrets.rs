//! What an excerpt must not show: values under keys that hold secrets, under keys that look as if they did, and what
//! stands before the `@` of a URL.
//!
//! A file that is refused is often refused because somebody pasted a token into it.

use super::tree::Node;
use std::borrow::Cow;
use std::ops::Range;

/// Keys that contain one of these look as if they held a secret.
const SECRET_WORDS: [&str; 9] =
    ["token", "secret", "passw", "jwt", "bearer", "credential", "api_key", "apikey", "authorization"];

/// The byte ranges of secret values, in file order. A value reaches to whatever comes after it.
pub(super) fn of_tree(root: &Node<'_>, hidden: &[&str]) -> Vec<Range<usize>> {
    let mut starts = Vec::new();
    collect(root, false, hidden, &mut starts);
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([usize::MAX]);
    starts.iter().zip(ends).filter(|((_, secret), _)| *secret).map(|((start, _), end)| *start..end).collect()
}

/// The same where there is no tree, because the file is not valid: whatever follows such a key, up to the next line
/// that is not indented deeper.
pub(super) fn of_text(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut within: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-', '\t']).len();
        if within.is_some_and(|of| indent <= of && !line.trim().is_empty()) {
            within = None;
        }
        if within.is_some() {
            ranges.push(start..start + line.len());
        } else if let Some(colon) = colon_after_secret(line) {
            ranges.push(start + colon + 1..start + line.len());
            within = Some(indent);
        }
        start += line.len();
    }
    ranges
}

/// The text with everything in these ranges but white space replaced; columns, bytes and lines stay where they are.
pub(super) fn redact(text: &str, mut secrets: Vec<Range<usize>>) -> Cow<'_, str> {
    secrets.extend(user_names_and_passwords(text));
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    secrets.sort_by_key(|range| range.start);
    let mut secrets = secrets.iter().peekable();
    let hide = |(at, c): (usize, char)| {
        while secrets.next_if(|range| range.end <= at).is_some() {}
        let is_secret = secrets.peek().is_some_and(|range| range.start <= at);
        match c.len_utf8() {
            _ if !is_secret || c.is_whitespace() => c,
            1 => '*',
            2 => '·',
            3 => '•',
            _ => '🔒',
        }
    };
    Cow::Owned(text.char_indices().map(hide).collect())
}

/// What stands between `://` and `@` in a URL.
fn user_names_and_passwords(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices("://").filter_map(|(at, slashes)| {
        let start = at + slashes.len();
        let is_end = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'');
        let end = text[start..].find(is_end).map_or(text.len(), |length| start + length);
        text[start..end].rfind('@').map(|length| start..start + length)
    })
}

/// Every place where a key or scalar begins, in file order, and whether it is secret.
fn collect(node: &Node<'_>, secret: bool, hidden: &[&str], starts: &mut Vec<(usize, bool)>) {
    match node {
        Node::Scalar { .. } | Node::Refused { .. } => starts.push((node.at().start(), secret)),
        Node::List { items, .. } => items.iter().for_each(|item| collect(item, secret, hidden, starts)),
        Node::Mapping { entries, .. } => {
            for entry in entries {
                starts.push((entry.key.at.start(), false));
                let text = &*entry.key.text;
                collect(&entry.value, secret || hidden.contains(&text) || looks_secret(text), hidden, starts);
            }
        }
    }
}

fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// Where the colon is that ends the first key that looks secret.
fn colon_after_secret(line: &str) -> Option<usize> {
    let line = line.to_ascii_lowercase();
    let after = |word: &&str| Some(line.find(word)? + word.len());
    let first = SECRET_WORDS.iter().chain(&["auth"]).filter_map(after).min()?;
    Some(first + line[first..].find(':')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_tree_whatever_follows_a_secret_key_is_hidden() {
        let text = "name: a\nauth:\n  token: eyJ\n   more\nuser: b\nmy_password: \"x\nbase_url: c\n";
        let shown = redact(text, of_text(text)).into_owned();
        assert_eq!(shown, "name: a\nauth:\n  ****** ***\n   ****\nuser: b\nmy_password: **\nbase_url: c\n");
    }

    #[test]
    fn what_is_hidden_keeps_its_length_in_bytes_and_characters() {
        let text = "a: https://mü:漢🚒@host/x@y\nb: http://host/x@y\n";
        let shown = redact(text, Vec::new()).into_owned();
        assert_eq!(shown, "a: https://*·*•🔒@host/x@y\nb: http://host/x@y\n");
        assert_eq!(shown.len(), text.len());
    }
}
