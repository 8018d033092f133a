//! Foreign text made inert for the place where it lands: host names, status messages, cells of event files.
//!
//! Only the JSON report carries such text unaltered (escaped where it must be). Everywhere else characters that act on
//! the reader's screen are replaced by `�`, which says that something stood there, and markup loses its meaning. These
//! functions never fail and never make text disappear.

use std::borrow::Cow;
use std::io::{self, Write};

pub use crate::inert::{acts, lines, shorten, terminal};

/// For a table cell or a sentence of Markdown: a code span, in which no mention, link, reference, HTML or emphasis is
/// live on any renderer. `|` becomes `¦`, for no escape of it is safe both in a table and after a backslash.
pub fn markdown(text: &str) -> String {
    let text = terminal(text).trim().replace('|', "¦");
    if text.is_empty() {
        return text;
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if text.starts_with('`') || text.ends_with('`') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// For a cell of a CSV file that a spreadsheet may open: what could be taken for a formula gets a leading `'`, except
/// plain numbers. Quoting is left to the writer.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let text = lines(text);
    let starts_formula = text.starts_with(['\t', '\n']) || text.trim_start().starts_with(FORMULA_SIGNS);
    if starts_formula && !is_plain_number(&text) { Cow::Owned(format!("'{text}")) } else { text }
}

/// For HTML, XML and SVG, elements and quoted attributes alike: as [`lines`], with the five entities.
pub fn html(text: &str, out: &mut dyn Write) -> io::Result<()> {
    for c in lines(text).chars() {
        match c {
            '&' => out.write_all(b"&amp;")?,
            '<' => out.write_all(b"&lt;")?,
            '>' => out.write_all(b"&gt;")?,
            '"' => out.write_all(b"&quot;")?,
            '\'' => out.write_all(b"&#39;")?,
            c => out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?,
        }
    }
    Ok(())
}

/// What begins a formula or a command in some spreadsheet, with the full-width forms that some fold.
const FORMULA_SIGNS: [char; 12] = ['=', '+', '-', '@', '%', '|', '＝', '＋', '－', '＠', '％', '｜'];

fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inert::tests::hostile;
    use proptest::prelude::*;

    #[test]
    fn markdown_is_one_code_span() {
        for (text, expected) in [
            ("host", "`host`"),
            ("@security <b>#12</b>", "`@security <b>#12</b>`"),
            ("a|b\\|c", "`a¦b\\¦c`"),
            ("[x](http://e)\n# h", "`[x](http://e) # h`"),
            ("a`b", "``a`b``"),
            ("``", "``` `` ```"),
            (" \n ", ""),
            ("", ""),
        ] {
            assert_eq!(markdown(text), expected);
        }
    }

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+49", "+49"),
            ("-1234567890123456789", "-1234567890123456789"),
            ("-1-1", "'-1-1"),
            ("-", "'-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =cmd|' /C calc'!A0", "'  =cmd|' /C calc'!A0"),
            ("％a", "'％a"),
            ("\ta", "'\ta"),
            ("\r\n=a", "'\n=a"),
            ("\u{feff}=a", "�=a"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(csv_cell(text), expected);
        }
    }

    #[test]
    fn html_has_no_live_character() {
        let mut out = Vec::new();
        html("<a href=\"x\" title='y'>&\u{1b}\u{202e}\r\n</a>", &mut out).expect("memory can be written");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;��\n&lt;/a&gt;"
        );
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula(text in hostile()) {
            let cell = csv_cell(&text);
            prop_assert!(!cell.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')), "{cell:?}");
            let begins = cell.trim_start().starts_with(FORMULA_SIGNS) || cell.starts_with(['\t', '\n', '\r']);
            prop_assert!(!begins || is_plain_number(&cell), "{cell:?}");
        }

        #[test]
        fn every_cell_of_a_markdown_table_stays_one_code_span(text in hostile()) {
            let cell = markdown(&text);
            prop_assert!(!cell.contains(['|', '\n', '\r']), "{cell:?}");
            if !cell.is_empty() {
                let fence = cell.len() - cell.trim_start_matches('`').len();
                let inside = &cell[fence..cell.len() - fence];
                prop_assert!(cell.ends_with(&"`".repeat(fence)) && !inside.is_empty(), "{cell:?}");
                prop_assert!(!inside.starts_with('`') && !inside.ends_with('`'), "{cell:?}");
                prop_assert!(inside.split(|c| c != '`').all(|run| run.len() != fence), "{cell:?}");
            }
        }

        #[test]
        fn no_html_is_live(text in hostile()) {
            let mut out = Vec::new();
            html(&text, &mut out).expect("memory can be written");
            let shown = String::from_utf8(out).expect("UTF-8");
            prop_assert!(!shown.contains(['<', '>', '"', '\'']), "{shown:?}");
        }
    }
}
