//! One line of an allowed signers file: `principals [options] keytype base64-key [comment]`.

use super::{Entry, Patterns};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use ssh_key::public::{KeyData, PublicKey};
use std::ops::Range;

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Which bytes of it.
    pub(super) range: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    fn new(range: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: Some(help.into()) }
    }
}

/// A word of a line and where it stands.
struct Word<'a> {
    text: &'a str,
    range: Range<usize>,
}

/// Options, as far as they were read.
#[derive(Default)]
struct Options {
    namespaces: Option<Patterns>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// Reads a line; nothing for one that is empty or a comment.
pub(super) fn read(line: &str) -> Result<Option<Entry>, Wrong> {
    let mut words = Words { line, at: 0 };
    let Some(principals) = words.next()?.filter(|word| !word.text.starts_with('#')) else { return Ok(None) };
    let name = unquoted(principals.text);
    let patterns = Patterns::read(name).filter(|_| !name.contains('"'));
    let patterns = patterns.ok_or_else(|| {
        Wrong::new(principals.range, "these principals cannot be read", "write NAME, or NAME,NAME without spaces")
    })?;
    let missing = |range: Range<usize>| {
        Wrong::new(range, "no key follows the principals", "a line is `PRINCIPALS [OPTIONS] KEYTYPE KEY [COMMENT]`")
    };
    let end = line.len()..line.len();
    let mut word = words.next()?.ok_or_else(|| missing(end.clone()))?;
    let mut options = Options::default();
    if !is_key_type(word.text) {
        options = read_options(&word)?;
        word = words.next()?.ok_or_else(|| missing(end.clone()))?;
    }
    let base64 = words.next()?.ok_or_else(|| missing(end))?;
    let key = read_key(&word, &base64)?;
    let Options { namespaces, valid_after, valid_before } = options;
    Ok(Some(Entry { principals: patterns, namespaces, valid_after, valid_before, key }))
}

/// Words between spaces and tabs; what stands in quotes is one word with what is around it.
struct Words<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<Option<Word<'a>>, Wrong> {
        let rest = &self.line[self.at..];
        let start = self.at + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
        let rest = &self.line[start..];
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            !quoted && matches!(c, ' ' | '\t')
        });
        let range = start..start + end.unwrap_or(rest.len());
        if quoted && end.is_none() {
            return Err(Wrong::new(range, "a quote is not closed", "write `\"` before and after the text"));
        }
        self.at = range.end;
        let text = &self.line[range.clone()];
        Ok((!text.is_empty()).then_some(Word { text, range }))
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Options never begin like this.
fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|begin| word.starts_with(begin))
}

fn read_key(kind: &Word<'_>, base64: &Word<'_>) -> Result<KeyData, Wrong> {
    let range = kind.range.start..base64.range.end;
    if !is_key_type(kind.text) {
        let message = format!("`{}` is no kind of key", kind.text);
        return Err(Wrong::new(
            kind.range.clone(),
            message,
            "write all options as one word, with commas and no spaces",
        ));
    }
    if kind.text.contains("-cert-") {
        return Err(Wrong::new(range, "a certificate is not read", "write the key of the person"));
    }
    let written = format!("{} {}", kind.text, base64.text);
    let key = PublicKey::from_openssh(&written).ok();
    // One key has one way of writing: what would be read and written differently is not what somebody copied.
    let key = key.filter(|key| key.to_openssh().is_ok_and(|again| again == written));
    let help = "copy the line of the person's .pub file";
    key.map(KeyData::from).ok_or_else(|| Wrong::new(range, "this key cannot be read", help))
}

fn read_options(word: &Word<'_>) -> Result<Options, Wrong> {
    let mut options = Options::default();
    let mut start = word.range.start;
    for option in split_at_commas(word.text) {
        let range = start..start + option.len();
        start = range.end + 1;
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        // OpenSSH reads the names of options in any case.
        let name = name.to_ascii_lowercase();
        let value = || {
            let quoted = value.filter(|value| value.len() >= 2 && value.starts_with('"') && value.ends_with('"'));
            let value = quoted.map(unquoted).filter(|value| !value.contains(['"', '\\']));
            value.ok_or_else(|| {
                Wrong::new(range.clone(), format!("`{name}` needs a text in quotes"), format!("write {name}=\"…\""))
            })
        };
        let is_twice = match name.as_str() {
            "namespaces" => {
                let patterns = Patterns::read(value()?);
                let wrong =
                    || Wrong::new(range.clone(), "these namespaces cannot be read", "write namespaces=\"git,quell\"");
                options.namespaces.replace(patterns.ok_or_else(wrong)?).is_some()
            }
            "valid-after" => options.valid_after.replace(read_time(value()?, &range)?).is_some(),
            "valid-before" => options.valid_before.replace(read_time(value()?, &range)?).is_some(),
            "cert-authority" => {
                let help = "quell proves keys and no certificates: give each person a line with the key";
                return Err(Wrong::new(range, "a certificate authority is not followed", help));
            }
            _ => {
                let help = "known are namespaces=\"…\", valid-after=\"…\" and valid-before=\"…\"";
                let written = option.split('=').next().unwrap_or_default();
                return Err(Wrong::new(range, format!("there is no option `{written}`"), help));
            }
        };
        if is_twice {
            return Err(Wrong::new(range, format!("`{name}` is written twice"), "write it once"));
        }
    }
    Ok(options)
}

fn split_at_commas(options: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    options.split(move |c| {
        quoted ^= c == '"';
        !quoted && c == ','
    })
}

/// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`.
fn read_time(text: &str, range: &Range<usize>) -> Result<Timestamp, Wrong> {
    let wrong = |message: &str| Wrong::new(range.clone(), message, "write YYYYMMDDHHMMSSZ, as in 20270131235959Z");
    let Some(digits) = text.strip_suffix(['Z', 'z']) else {
        return Err(wrong("this time is not in UTC: without Z it would mean another moment on every machine"));
    };
    if !digits.bytes().all(|c| c.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
        return Err(wrong("this is no time"));
    }
    let number = |range: Range<usize>| digits.get(range).map_or(Some(0), |part| part.parse::<i8>().ok());
    let time = || {
        let year = digits.get(..4)?.parse::<i16>().ok()?;
        let date = Date::new(year, number(4..6)?, number(6..8)?).ok()?;
        let time = jiff::civil::Time::new(number(8..10)?, number(10..12)?, number(12..14)?, 0).ok()?;
        DateTime::from_parts(date, time).to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    time().ok_or_else(|| wrong("this is no time"))
}
