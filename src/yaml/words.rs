//! Words for people: near misses, lists of what is known, and what the parser means.

use super::tree::DEPTH_MAX;
use serde_saphyr::granit_parser::ErrorKind;

/// The candidate that was probably meant, if one is near enough.
pub(crate) fn did_you_mean<'c, S: AsRef<str>>(word: &str, candidates: &'c [S]) -> Option<&'c str> {
    /// How alike two words must be, from 0 to 1.
    const ALIKE_MIN: f64 = 0.87;
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let alike = |candidate: &'c S| {
        let candidate = candidate.as_ref();
        (strsim::jaro_winkler(&plain(word), &plain(candidate)), candidate)
    };
    let best = candidates.iter().map(alike).filter(|(alike, _)| *alike >= ALIKE_MIN);
    // Among equals the first: the answer must not depend on chance.
    best.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, candidate)| candidate)
}

/// "`a`, `b` and `c`".
pub(crate) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What the parser refused, and what to do about it.
pub(super) fn of_invalid(kind: &ErrorKind) -> (String, Option<&'static str>) {
    use ErrorKind as K;
    const TABS: &str = "indent with spaces";
    const COLON: &str = "a text that contains `: ` needs quotes; otherwise look at the indentation of this line";
    let (what, help) = match kind {
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation | K::TabInPlainScalar => {
            ("a tab cannot be used here".to_owned(), Some(TABS))
        }
        K::UnclosedFlowCollection { open } => (format!("the bracket `{open}` is never closed"), None),
        K::MismatchedFlowCollectionEnd { open, close } => {
            (format!("the bracket `{open}` is closed by `{close}`"), None)
        }
        K::MisplacedFlowCollectionEnd => ("this bracket closes nothing".to_owned(), None),
        K::UnclosedQuotedScalar => ("the quote is never closed".to_owned(), None),
        K::UnknownQuotedScalarEscape => {
            ("unknown escape in double quotes".to_owned(), Some("write `\\\\` for a backslash, or use single quotes"))
        }
        K::MappingValueNotAllowed => ("a `:` cannot stand here".to_owned(), Some(COLON)),
        K::SimpleKeyExpected | K::InvalidSimpleKey => ("expected `key: value`".to_owned(), Some(COLON)),
        K::InvalidIndentation | K::ExpectedBlockMappingKey | K::ExpectedBlockSequenceEntry => {
            ("this line does not fit the lines before it".to_owned(), Some("look at its indentation"))
        }
        K::ExpectedFlowMappingSeparator => ("expected `,` or `}` here".to_owned(), None),
        K::ExpectedFlowSequenceSeparator => ("expected `,` or `]` here".to_owned(), None),
        K::UnexpectedCharacter { character } => {
            (format!("a value cannot begin with `{}`", character.escape_default()), Some("put the value in quotes"))
        }
        K::RecursionLimitExceeded => (format!("nested deeper than {DEPTH_MAX} levels"), None),
        other => (format!("this is not valid YAML: {other}"), None),
    };
    (what, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let known = ["base_url", "api_version", "user", "user_id", "event_types"];
        for (word, meant) in [
            ("baseurl", Some("base_url")),
            ("BASE-URL", Some("base_url")),
            ("api_versoin", Some("api_version")),
            ("usr", Some("user")),
            ("event_type", Some("event_types")),
            ("xyz", None),
            ("api_token", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, &known), meant, "{word}");
        }
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b"]), "`a` and `b`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
