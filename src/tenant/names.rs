//! Names and words: what may be called what, and when two are the same.

use super::Action;
use crate::yaml::{FromText, Refusal};
use schemars::{Schema, json_schema};

const NAME_CHARS_MAX: usize = 64;
/// What an environment variable may be called.
const ENV_CHARS_MAX: usize = 128;

/// A word as it is compared: without case, spaces, hyphens and underscores.
pub(crate) fn fold(word: &str) -> String {
    word.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// The index of the action that an event file means by this word. No two actions of a tenant are alike in that way.
pub(crate) fn action_by_word(actions: &[Action], word: &str) -> Option<usize> {
    let word = fold(word);
    actions.iter().position(|action| fold(&action.name) == word)
}

/// The name of a tenant, an action, a column mapping or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl FromText for Name {
    fn expected() -> String {
        "a name of lower-case letters, digits, `-` and `_`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let mut chars = text.chars();
        let is_name = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
        match is_name {
            true if text.len() > NAME_CHARS_MAX => {
                Err(Refusal::Because(format!("a name has at most {NAME_CHARS_MAX} characters")))
            }
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::SomethingElse),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$", "maxLength": NAME_CHARS_MAX})
    }
}

/// Text of at least one visible character, without control characters and white space around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

impl FromText for Word {
    fn expected() -> String {
        "text".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::Because("expected text, found an empty one".to_owned()));
        }
        if text.trim() != text || text.chars().any(char::is_control) {
            let what = "white space around it and no control characters";
            return Err(Refusal::Because(format!("expected text with no {what}")));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvName(pub(crate) String);

impl FromText for EnvName {
    fn expected() -> String {
        "the name of an environment variable, like `QUELL_TOKEN`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        // A token that was pasted here is longer than names are, or has other characters.
        let is_name = text.len() <= ENV_CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name { Ok(Self(text.to_owned())) } else { Err(Refusal::SomethingElse) }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": ENV_CHARS_MAX})
    }
}
