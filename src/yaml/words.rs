//! What the parser means, in words for people.

use super::tree::DEPTH_MAX;
use serde_saphyr::granit_parser::ErrorKind;

/// What the parser refused, and what to do about it.
pub(super) fn of_invalid(kind: &ErrorKind) -> (String, Option<&'static str>) {
    use ErrorKind as K;
    const BRACKET: &str =
        "look for a bracket or brace before it that is not closed; a text that contains `: ` needs quotes";
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
        K::UnclosedQuotedScalar => {
            ("the quote is never closed".to_owned(), Some("a quote inside single quotes is written twice: `''`"))
        }
        K::UnknownQuotedScalarEscape => {
            ("unknown escape in double quotes".to_owned(), Some("write `\\\\` for a backslash, or use single quotes"))
        }
        K::MappingValueNotAllowed => ("a `:` cannot stand here".to_owned(), Some(COLON)),
        K::InvalidColonPlacement => ("a `:` cannot stand here".to_owned(), Some(BRACKET)),
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
