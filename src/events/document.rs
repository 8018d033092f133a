//! A JSON document: an array of objects, an object that holds them as `data`, or one object.
//!
//! Its records are cut out of the stream by their brackets and parsed one by one, so that each has its place and
//! nothing but one record is held. (serde_json can stream an array from a reader, but then no record has a place.) A
//! document whose syntax is broken is refused whole: where the next record begins is then a guess.

use super::SourceRequest;
use super::field::shown;
use super::json::{Binder, bad_bytes};
use super::object::{self, Object};
use super::record::ROW_BYTES_MAX;
use super::sink::Sink;
use super::text::Text;
use crate::problem::Problem;
use std::io::Read;

/// Reads a document to its end.
pub(super) fn read<R: Read>(text: &mut Text<R>, source: &SourceRequest<'_>, sink: &mut Sink) -> Result<(), Problem> {
    let mut document = Document { text, binder: Binder::new(source), sink };
    match document.peek()? {
        None => return Ok(()),
        Some(b'[') => document.elements()?,
        Some(b'{') => document.object()?,
        Some(_) => return Err(document.unexpected("an array or an object")),
    }
    if document.peek()?.is_some() {
        let help = "when the file holds one object a line, call it .jsonl";
        return Err(Problem { help: Some(help.to_owned()), ..document.unexpected("the end of the file") });
    }
    document.binder.finish(document.sink)
}

struct Document<'t, 's, R> {
    text: &'t mut Text<R>,
    binder: Binder<'s>,
    sink: &'t mut Sink,
}

impl<R: Read> Document<'_, '_, R> {
    /// Skips space and looks at the next byte.
    fn peek(&mut self) -> Result<Option<u8>, Problem> {
        loop {
            let rest = self.text.rest();
            let space = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            let found = space.map(|at| rest[at]);
            let skip = space.unwrap_or(rest.len());
            self.text.consume(skip);
            if found.is_some() {
                return Ok(found);
            }
            if !self.text.fill().map_err(|broken| bad_bytes(&broken, self.text, self.sink))? {
                return Ok(None);
            }
        }
    }

    /// Takes this byte, after any space, or says that it is missing.
    fn expect(&mut self, wanted: u8, name: &str) -> Result<(), Problem> {
        if self.peek()? != Some(wanted) {
            return Err(self.unexpected(name));
        }
        self.text.consume(1);
        Ok(())
    }

    /// The elements of the array that begins here, each an event.
    fn elements(&mut self) -> Result<(), Problem> {
        self.text.consume(1);
        if self.peek()? == Some(b']') {
            self.text.consume(1);
            return Ok(());
        }
        loop {
            if self.peek()?.is_none() {
                return Err(self.unexpected("a record"));
            }
            let at = self.sink.row(self.text.line(), Some(self.text.byte()), 0)?;
            let raw = self.value()?;
            // Broken syntax ends the document; any other fault is the record's own.
            if let Err(error) = serde_json::from_str::<&serde_json::value::RawValue>(&raw) {
                let help = "the file is damaged or was cut; export it again";
                return Err(self.sink.of_row(at, &object::reason(&error), help));
            }
            self.binder.take(&raw, at, None, self.sink)?;
            match self.peek()? {
                Some(b',') => self.text.consume(1),
                Some(b']') => {
                    self.text.consume(1);
                    return Ok(());
                }
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    /// The object that begins here: one event, or what holds them as `data`. The other members are kept without that
    /// array, as a record of their own, and must be sound too.
    fn object(&mut self) -> Result<(), Problem> {
        let (line, byte) = (self.text.line(), self.text.byte());
        let mut outline = String::from("{");
        let mut holds_data = false;
        self.text.consume(1);
        loop {
            match self.peek()? {
                Some(b'}') if outline.len() == 1 => break,
                Some(b'"') => {}
                _ => return Err(self.unexpected("a member's name")),
            }
            let key = self.value()?;
            self.expect(b':', "`:`")?;
            outline.push_str(&key);
            outline.push(':');
            if self.peek()? == Some(b'[') && key == "\"data\"" {
                outline.push_str("null");
                holds_data = true;
                self.elements()?;
            } else {
                let value = self.value()?;
                outline.push_str(&value);
            }
            if outline.len() > ROW_BYTES_MAX {
                return Err(self.too_long());
            }
            match self.peek()? {
                Some(b'}') => break,
                Some(b',') => self.text.consume(1),
                _ => return Err(self.unexpected("`,` or `}`")),
            }
            outline.push(',');
        }
        self.text.consume(1);
        outline.push('}');
        if holds_data {
            let sound = Object::parse(&outline);
            let help = "the file is damaged; export it again";
            return sound.map(drop).map_err(|error| self.sink.of_line(line, Some(byte), object::reason(&error), help));
        }
        let at = self.sink.row(line, Some(byte), 0)?;
        self.binder.take(&outline, at, None, self.sink)
    }

    /// Takes the value that begins here: up to its closing bracket or quote, or what ends a number or a word.
    fn value(&mut self) -> Result<String, Problem> {
        let mut scan = Scan::default();
        let mut at = 0;
        loop {
            let rest = self.text.rest();
            if let Some(length) = scan.go(rest, &mut at) {
                if length > ROW_BYTES_MAX {
                    return Err(self.too_long());
                }
                // Values begin and end beside ASCII bytes of checked text.
                let raw = std::str::from_utf8(&rest[..length]).expect("values end between characters of checked text");
                let raw = raw.to_owned();
                self.text.consume(length);
                return if raw.is_empty() { Err(self.unexpected("a value")) } else { Ok(raw) };
            }
            if scan.line_end_in_string {
                let what = "a line ends inside a string: a quote is missing or stray";
                let help = "in a string a line end is written \\n; the file is damaged or was cut";
                let (line, byte) = (self.text.line(), self.text.byte());
                let what = format!("in the value at byte {byte}, {what}");
                return Err(self.sink.of_line(line, Some(byte), what, help));
            }
            if at > ROW_BYTES_MAX {
                return Err(self.too_long());
            }
            if !self.text.fill().map_err(|broken| bad_bytes(&broken, self.text, self.sink))? {
                if scan.is_scalar() {
                    scan.ended = true;
                    continue;
                }
                let (line, byte) = (self.text.line(), self.text.byte());
                let what = format!("the file ends inside the value that begins at byte {byte}");
                return Err(self.sink.of_line(line, Some(byte), what, "the file was probably cut; copy it again"));
            }
        }
    }

    fn too_long(&self) -> Problem {
        let (line, byte) = (self.text.line(), self.text.byte());
        let what = format!("the value at byte {byte} is longer than {ROW_BYTES_MAX} bytes");
        self.sink.of_line(line, Some(byte), what, "leave members out, or look for a missing bracket or quote")
    }

    /// A problem about the byte that is next.
    fn unexpected(&self, wanted: &str) -> Problem {
        let (line, byte) = (self.text.line(), self.text.byte());
        let rest = self.text.rest();
        let rest = &rest[..rest.len().min(4)];
        let found = rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        let found = found.map_or("the file ends".to_owned(), |char| format!("it is {}", shown(&char.to_string())));
        let help = "the file is damaged, was cut, or is no JSON; export it again";
        self.sink.of_line(line, Some(byte), format!("expected {wanted} at byte {byte}, but {found}"), help)
    }
}

/// Finds where a value ends, over any number of pieces.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    line_end_in_string: bool,
    /// No more text comes.
    ended: bool,
}

impl Scan {
    fn is_scalar(&self) -> bool {
        self.depth == 0 && !self.in_string
    }

    /// Goes on at `at`; gives the length when the value ends.
    fn go(&mut self, rest: &[u8], at: &mut usize) -> Option<usize> {
        while let Some(&byte) = rest.get(*at) {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    b'\r' | b'\n' => {
                        self.line_end_in_string = true;
                        return None;
                    }
                    _ => {}
                }
                if self.is_scalar() {
                    return Some(*at + 1);
                }
            } else {
                match byte {
                    b'"' if self.depth == 0 && *at > 0 => return Some(*at),
                    b'"' => self.in_string = true,
                    b'{' | b'[' if self.depth == 0 && *at > 0 => return Some(*at),
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth == 0 => return Some(*at),
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Some(*at + 1);
                        }
                    }
                    b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(*at),
                    _ => {}
                }
            }
            *at += 1;
        }
        self.ended.then_some(*at)
    }
}
