//! The records of a CSV or TSV file, strictly as RFC 4180 writes them, with any line end.
//!
//! The `csv` crate is lenient where this must not be: a stray quote makes it swallow rows without an error. Here a quote
//! inside an unquoted cell, text after a closing quote and an open quote at the end are faults. Cells are slices of
//! the record; nothing is copied but cells with doubled quotes.

use super::text::{Broken, Text};
use std::borrow::Cow;
use std::io::Read;

/// The longest record, in bytes: an open quote must not collect a whole file.
pub(super) const ROW_BYTES_MAX: usize = 1 << 20;

/// What is wrong with the quotes, or with the bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// `ab"c`
    #[error("a quote stands inside the unquoted cell that is number {cell}, at byte {at}")]
    StrayQuote { cell: usize, at: u64 },
    /// `"ab"c`
    #[error("text follows the closing quote of cell {cell}, at byte {at}")]
    AfterQuote { cell: usize, at: u64 },
    /// The file ends inside quotes.
    #[error("the quote that opens cell {cell} at byte {at} is never closed")]
    OpenQuote { cell: usize, at: u64 },
    /// Longer than [`ROW_BYTES_MAX`].
    #[error("it is longer than {ROW_BYTES_MAX} bytes")]
    TooLong,
    /// Longer than [`ROW_BYTES_MAX`] because of a quote.
    #[error("it is longer than {ROW_BYTES_MAX} bytes; the quote that opens cell {cell} at byte {at} is not closed")]
    TooLongInQuotes { cell: usize, at: u64 },
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Where a cell's text stands in its record, without the quotes around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) start: usize,
    pub(super) end: usize,
    has_doubled_quotes: bool,
    /// Whether a line ends inside it.
    pub(super) spans_lines: bool,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// As it stands in the file, without its line end.
    pub(super) raw: &'a str,
    pub(super) cells: &'a [Cell],
    /// Whether a line end follows; only the last record of a file may lack it.
    pub(super) terminated: bool,
}

impl<'a> Record<'a> {
    /// A cell's text.
    pub(super) fn cell(&self, index: usize) -> Cow<'a, str> {
        let cell = self.cells[index];
        let text = &self.raw[cell.start..cell.end];
        if cell.has_doubled_quotes { Cow::Owned(text.replace("\"\"", "\"")) } else { Cow::Borrowed(text) }
    }
}

/// Splits a text into records. The record that was read last can be looked at until the next is asked for.
pub(super) struct Records<'t, R> {
    text: &'t mut Text<R>,
    delimiter: u8,
    cells: Vec<Cell>,
    /// The last record's length, without and with its line end.
    length: usize,
    length_with_end: usize,
    terminated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Plain,
    Quoted,
    /// After a quote inside quotes: the closing one, or the first of two.
    QuoteInQuotes,
}

impl<'t, R: Read> Records<'t, R> {
    pub(super) fn new(text: &'t mut Text<R>, delimiter: u8) -> Self {
        Self { text, delimiter, cells: Vec::new(), length: 0, length_with_end: 0, terminated: true }
    }

    /// The line on which the record that was read last, or is malformed, begins.
    pub(super) fn line(&self) -> u32 {
        self.text.line()
    }

    /// The offset at which it begins.
    pub(super) fn byte(&self) -> u64 {
        self.text.byte()
    }

    /// The line of an offset within it.
    pub(super) fn line_at(&self, at: u64) -> u32 {
        self.text.line_at(at)
    }

    /// What there is of a malformed record, up to its first line end.
    pub(super) fn first_line(&self) -> String {
        let rest = self.text.rest();
        let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..length]).into_owned()
    }

    /// Moves to the next record; `false` at the end. A line without any byte is none.
    pub(super) fn advance(&mut self) -> Result<bool, Malformed> {
        self.text.consume(std::mem::take(&mut self.length_with_end));
        loop {
            if !self.tokenise()? {
                return Ok(false);
            }
            if self.length > 0 {
                return Ok(true);
            }
            self.text.consume(std::mem::take(&mut self.length_with_end));
        }
    }

    /// The record that [`Records::advance`] moved to.
    pub(super) fn record(&self) -> Record<'_> {
        let raw = &self.text.rest()[..self.length];
        // A record ends before an ASCII byte or at the end of checked text.
        let raw = std::str::from_utf8(raw).expect("records end between characters of checked text");
        Record { raw, cells: &self.cells, terminated: self.terminated }
    }

    fn tokenise(&mut self) -> Result<bool, Malformed> {
        self.cells.clear();
        self.length = 0;
        let mut state = State::CellStart;
        let mut cell = Cell { start: 0, end: 0, has_doubled_quotes: false, spans_lines: false };
        let mut at = 0;
        loop {
            let rest = self.text.rest();
            let Some(&byte) = rest.get(at) else {
                if at > ROW_BYTES_MAX {
                    return Err(self.too_long(state, cell));
                }
                if self.text.fill()? {
                    continue;
                }
                return self.end_of_text(state, cell, at);
            };
            match (state, byte) {
                (State::CellStart | State::Plain | State::QuoteInQuotes, b'\r' | b'\n') => {
                    self.end_cell(state, cell, at);
                    return self.end_of_line(at, byte);
                }
                (State::CellStart | State::Plain | State::QuoteInQuotes, _) if byte == self.delimiter => {
                    self.end_cell(state, cell, at);
                    cell = Cell { start: at + 1, end: 0, has_doubled_quotes: false, spans_lines: false };
                    state = State::CellStart;
                }
                (State::CellStart, b'"') => {
                    cell.start = at + 1;
                    state = State::Quoted;
                }
                (State::CellStart, _) => state = State::Plain,
                (State::Plain, b'"') => {
                    return Err(Malformed::StrayQuote { cell: self.cells.len() + 1, at: self.original(at) });
                }
                (State::Plain, _) => at += plain_length(&rest[at..], self.delimiter) - 1,
                (State::Quoted, b'"') => state = State::QuoteInQuotes,
                (State::Quoted, _) => cell.spans_lines |= matches!(byte, b'\r' | b'\n'),
                (State::QuoteInQuotes, b'"') => {
                    cell.has_doubled_quotes = true;
                    state = State::Quoted;
                }
                (State::QuoteInQuotes, _) => {
                    return Err(Malformed::AfterQuote { cell: self.cells.len() + 1, at: self.original(at) });
                }
            }
            at += 1;
        }
    }

    fn end_cell(&mut self, state: State, mut cell: Cell, at: usize) {
        cell.end = if state == State::QuoteInQuotes { at - 1 } else { at };
        self.cells.push(cell);
    }

    fn end_of_line(&mut self, at: usize, byte: u8) -> Result<bool, Malformed> {
        if at > ROW_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        self.length = at;
        self.length_with_end = at + 1;
        self.terminated = true;
        if byte == b'\r' {
            // A fault in what follows is reported when that is read.
            if at + 1 == self.text.rest().len() {
                let _more = self.text.fill().unwrap_or(false);
            }
            if self.text.rest().get(at + 1) == Some(&b'\n') {
                self.length_with_end = at + 2;
            }
        }
        Ok(true)
    }

    fn end_of_text(&mut self, state: State, cell: Cell, at: usize) -> Result<bool, Malformed> {
        if state == State::Quoted {
            return Err(Malformed::OpenQuote { cell: self.cells.len() + 1, at: self.original(cell.start - 1) });
        }
        if at == 0 {
            return Ok(false);
        }
        self.end_cell(state, cell, at);
        self.length = at;
        self.length_with_end = at;
        self.terminated = false;
        Ok(true)
    }

    fn too_long(&self, state: State, cell: Cell) -> Malformed {
        match state {
            State::Quoted => {
                Malformed::TooLongInQuotes { cell: self.cells.len() + 1, at: self.original(cell.start - 1) }
            }
            _ => Malformed::TooLong,
        }
    }

    fn original(&self, at: usize) -> u64 {
        self.text.byte() + self.text.original_length(at)
    }
}

/// How many bytes from the first on are ordinary text of an unquoted cell; at least 1.
fn plain_length(rest: &[u8], delimiter: u8) -> usize {
    let special = |&byte: &u8| byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
    rest.iter().skip(1).position(special).map_or(rest.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::text::tests::Drip;
    use proptest::prelude::*;

    type Found = (Vec<(u32, u64, Vec<String>)>, Option<Malformed>);

    fn records(bytes: &[u8], step: usize) -> Found {
        let mut text = Text::new(Drip(bytes, step));
        let mut records = Records::new(&mut text, b',');
        let mut found = Vec::new();
        loop {
            match records.advance() {
                Ok(true) => {
                    let record = records.record();
                    let cells = (0..record.cells.len()).map(|index| record.cell(index).into_owned()).collect();
                    found.push((records.line(), records.byte(), cells));
                }
                Ok(false) => return (found, None),
                Err(malformed) => return (found, Some(malformed)),
            }
        }
    }

    fn check(text: &str, expected: &[(u32, u64, &[&str])], malformed: Option<Malformed>) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, byte, cells)| (*line, *byte, cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()))
            .collect();
        for step in [1, 2, 3, 1000] {
            assert_eq!(records(text.as_bytes(), step), (expected.clone(), malformed.clone()), "{text:?} by {step}");
        }
    }

    #[test]
    fn cells_are_read_with_any_line_end() {
        check("", &[], None);
        check("\r\n\n\r", &[], None);
        check("a,b\nc,d\n", &[(1, 0, &["a", "b"]), (2, 4, &["c", "d"])], None);
        check("a,b\rc,d", &[(1, 0, &["a", "b"]), (2, 4, &["c", "d"])], None);
        check("a,b\r\n\r\nc,\r\n", &[(1, 0, &["a", "b"]), (3, 7, &["c", ""])], None);
        check(",\n", &[(1, 0, &["", ""])], None);
        check("\"a\"\"b\",\"\"\n\",\"", &[(1, 0, &["a\"b", ""]), (2, 10, &[","])], None);
        check("\"a\r\nb\",c\nd,e\n", &[(1, 0, &["a\r\nb", "c"]), (3, 9, &["d", "e"])], None);
        check("\"\"\"\"", &[(1, 0, &["\""])], None);
    }

    #[test]
    fn stray_quotes_are_faults_at_their_byte() {
        check("a,b\"c\n", &[], Some(Malformed::StrayQuote { cell: 2, at: 3 }));
        check("x\na,\"b\"c\n", &[(1, 0, &["x"])], Some(Malformed::AfterQuote { cell: 2, at: 7 }));
        check("a,\"b\nc,d\n", &[], Some(Malformed::OpenQuote { cell: 2, at: 2 }));
        check("a,\"b\"\"", &[], Some(Malformed::OpenQuote { cell: 2, at: 2 }));
        check("a,b\nc\0", &[(1, 0, &["a", "b"])], Some(Malformed::Broken(Broken::Nul { at: 5 })));
    }

    #[test]
    fn a_record_has_a_limit() {
        let long = "x".repeat(ROW_BYTES_MAX);
        assert_eq!(records(format!("{long}\n").as_bytes(), 1 << 20).1, None);
        for end in ["x", "x\n", "x,y\n"] {
            assert_eq!(records(format!("{long}{end}{long}").as_bytes(), 1 << 20).1, Some(Malformed::TooLong));
        }
        let open = format!("a,\"{long}{long}");
        assert_eq!(records(open.as_bytes(), 4096).1, Some(Malformed::TooLongInQuotes { cell: 2, at: 2 }));
    }

    proptest! {
        /// What is accepted means the same to the csv crate.
        #[test]
        fn accepted_text_reads_as_the_csv_crate_reads_it(text in "[ab,\"\r\n]{0,24}", step in 1..5usize) {
            let (found, malformed) = records(text.as_bytes(), step);
            if malformed.is_none() {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
                let oracle: Vec<Vec<String>> =
                    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
                let found: Vec<Vec<String>> = found.into_iter().map(|(_, _, cells)| cells).collect();
                prop_assert_eq!(found, oracle);
            }
        }

        /// What the csv crate writes is read back.
        #[test]
        fn written_cells_come_back(cells in prop::collection::vec(prop::collection::vec("[ab,\"\r\né]{0,6}", 2..4), 0..4)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &cells {
                writer.write_record(row).unwrap();
            }
            let (found, malformed) = records(&writer.into_inner().unwrap(), 3);
            prop_assert_eq!(malformed, None);
            let found: Vec<Vec<String>> = found.into_iter().map(|(_, _, cells)| cells).collect();
            prop_assert_eq!(found, cells);
        }
    }
}
