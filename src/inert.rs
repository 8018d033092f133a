//! Text from outside, made inert: the one table of characters that act on a reader's screen or hide from the reader,
//! and what is shown in their place.
//!
//! Every part that shows foreign text uses it, so that no two differ in what they let through. It never fails and never
//! makes text disappear. It knows no markup: what Markdown, HTML and spreadsheets take for markup is told in
//! [`crate::report::inert`].

use serde::Serialize;
use serde_json::ser::Formatter;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// What stands in for a character that must not be shown.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Whether a character acts on what surrounds it, or is never shown: controls, direction, line separators, invisible
/// signs, tags, and the code points that XML forbids. Joiners and variation selectors stay: scripts and emoji need them.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// Whether a reader of what was typed would miss a character: all that [`acts`], and joiners, fillers, variation
/// selectors and characters of private use, which most fonts leave blank.
pub fn hides(c: char) -> bool {
    acts(c)
        || matches!(c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200c}' | '\u{200d}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// For one line of a terminal or log: no control, bidirectional or invisible character, no line end.
pub fn terminal(text: &str) -> Cow<'_, str> {
    let shown = |c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if acts(c) => REPLACEMENT,
        c => c,
    };
    if text.chars().all(|c| shown(c) == c) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(shown).collect())
    }
}

/// For text that may have several lines: as [`terminal`], but line feeds and tabs stay; CR LF becomes LF.
pub fn lines(text: &str) -> Cow<'_, str> {
    let stays = |c| matches!(c, '\n' | '\t') || !acts(c);
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").chars().map(|c| if stays(c) { c } else { REPLACEMENT }).collect())
}

/// For somebody who looks for a mistake in that very text: all that [`hides`] as visible escapes, `\u{1b}`.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) {
            write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String cannot fail");
        } else {
            out.push(c);
        }
    }
    out
}

/// Shortens to so many characters, the last of them `…` where something was cut off.
pub fn shorten(text: &str, characters_max: usize) -> Cow<'_, str> {
    if text.chars().nth(characters_max).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect())
}

/// Writes a value as JSON on one line, all that [`acts`] as `\u` escapes: this changes no value.
pub fn json<T: Serialize + ?Sized>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, OneInertLine);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// Compact, on one line, with acting characters escaped; they can only stand inside of strings.
struct OneInertLine;

impl Formatter for OneInertLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        json_text(writer, fragment)
    }

    /// JSON that is kept as it was read; line ends in it stand between its tokens.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.contains(['\n', '\r', '\t']) {
            return json_text(writer, &fragment.replace(['\n', '\r', '\t'], " "));
        }
        json_text(writer, fragment)
    }
}

fn json_text<W: ?Sized + Write>(writer: &mut W, mut text: &str) -> io::Result<()> {
    while let Some((at, found)) = text.char_indices().find(|&(_, c)| acts(c)) {
        writer.write_all(&text.as_bytes()[..at])?;
        for unit in found.encode_utf16(&mut [0; 2]) {
            write!(writer, "\\u{unit:04x}")?;
        }
        text = &text[at + found.len_utf8()..];
    }
    writer.write_all(text.as_bytes())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_names_what_acts_and_what_only_hides() {
        let acting = "\0\u{7}\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{200b}\u{200e}\u{2028}\u{202e}\u{2066}\u{feff}\u{fff9}\u{e0041}";
        let hiding = "\u{200c}\u{200d}\u{fe0f}\u{3164}\u{e000}\u{f8ff}\u{e0100}\u{10fffd}";
        let plain = " aÄ漢ع🚒�`|<=\\\u{301}";
        assert!(acting.chars().all(|c| acts(c) && hides(c)));
        assert!(hiding.chars().all(|c| !acts(c) && hides(c)));
        assert!(plain.chars().all(|c| !acts(c) && !hides(c)));
    }

    #[test]
    fn a_terminal_shows_that_something_stood_there() {
        for (text, expected) in [
            ("plain ü 漢 👩‍🚒", "plain ü 漢 👩‍🚒"),
            ("\u{1b}[31mred\u{1b}[0m", "�[31mred�[0m"),
            ("two\r\nlines\tand", "two  lines and"),
            ("exe\u{202e}gpj.", "exe�gpj."),
            ("\u{9b}2J\u{7f}\0", "�2J��"),
            ("", ""),
        ] {
            assert_eq!(terminal(text), expected);
        }
    }

    #[test]
    fn what_was_typed_is_shown_with_escapes() {
        assert_eq!(escaped("agent\u{200d}_id\u{202e} ü"), "agent\\u{200d}_id\\u{202e} ü");
    }

    #[test]
    fn shortened_text_says_so() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(shorten("ab", 0), "…");
    }

    /// Any characters, with those that matter far more often than chance would bring them.
    pub(crate) fn hostile() -> impl Strategy<Value = String> {
        let telling =
            "=+-@%|＝\\`'\"<>&#[]()\t\r\n\u{1b}\u{9b}\u{7f}\u{202e}\u{2066}\u{200f}\u{feff}\u{200d}\u{e000}0a ";
        let telling: Vec<char> = telling.chars().collect();
        let one = prop_oneof![3 => proptest::sample::select(telling), 1 => any::<char>()];
        proptest::collection::vec(one, 0..24).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn no_text_acts_wherever_it_is_shown(text in hostile()) {
            let shown = terminal(&text);
            prop_assert!(!shown.contains(acts), "{shown:?}");
            prop_assert_eq!(shown.chars().count(), text.chars().count());
            prop_assert!(!lines(&text).contains(|c| acts(c) && !matches!(c, '\n' | '\t')), "{text:?}");
            prop_assert!(!escaped(&text).contains(hides), "{text:?}");
        }

        #[test]
        fn json_keeps_every_value_and_acts_nowhere(text in hostile()) {
            let mut out = Vec::new();
            json(&mut out, &serde_json::json!({ &text: [&text] })).expect("memory can be written");
            let out = String::from_utf8(out).expect("UTF-8");
            prop_assert!(!out.contains(acts), "{out:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&out).expect("JSON"), serde_json::json!({ &text: [&text] }));
        }
    }
}
