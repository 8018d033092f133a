//! A source's bytes as text: hashed, decoded and checked while they stream by.
//!
//! UTF-8 with or without a byte order mark and UTF-16 with one are read. Everything else is refused by name and byte:
//! NUL, invalid UTF-8, unpaired surrogates. Nothing is ever replaced: `encoding_rs_io` would put U+FFFD in an id.
//!
//! Offsets are those of the original bytes, for UTF-16 and after a byte order mark too.

use sha2::{Digest, Sha256};
use std::io::Read;

/// How much is read at once; small sources need not clear that much memory.
const CHUNK_BYTES_MIN: usize = 4 * 1024;
const CHUNK_BYTES_MAX: usize = 128 * 1024;

/// Why the bytes of a source are not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("cannot read it: {0}")]
    Io(String),
    #[error("byte {at} is 0x{byte:02X}, which is not UTF-8 there")]
    NotUtf8 { at: u64, byte: u8 },
    #[error("byte {at} is NUL")]
    Nul { at: u64 },
    #[error("byte {at} is NUL: this looks like UTF-16 without a byte order mark")]
    Utf16WithoutMark { at: u64 },
    #[error("it begins with the byte order mark of UTF-32")]
    Utf32,
    #[error("byte {at} is half of a UTF-16 surrogate pair")]
    Surrogate { at: u64 },
    #[error("it ends in the middle of a character, at byte {at}")]
    CutCharacter { at: u64 },
}

impl Broken {
    /// Where the first bad byte is.
    pub(super) fn byte(&self) -> Option<u64> {
        match *self {
            Self::Io(_) => None,
            Self::Utf32 => Some(0),
            Self::NotUtf8 { at, .. }
            | Self::Nul { at }
            | Self::Utf16WithoutMark { at }
            | Self::Surrogate { at }
            | Self::CutCharacter { at } => Some(at),
        }
    }

    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::Io(_) => "nothing was read; try again",
            Self::NotUtf8 { .. } => {
                "save it as UTF-8; for Latin-1 or Windows-1252: `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`"
            }
            Self::Nul { .. } => "the file is damaged or not text; export it again",
            Self::Utf16WithoutMark { .. } => "save it as UTF-8, or convert it: `iconv -f UTF-16LE -t UTF-8 OLD > NEW`",
            Self::Utf32 => "save it as UTF-8, or convert it: `iconv -f UTF-32 -t UTF-8 OLD > NEW`",
            Self::Surrogate { .. } => "the file is damaged; export it again, best as UTF-8",
            Self::CutCharacter { .. } => "the file was cut; copy or export it again",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Undecided,
    Utf8,
    Utf16 { big_endian: bool },
}

/// A buffered window on the decoded text: [`Text::rest`] is what was read and not consumed yet.
pub(super) struct Text<R> {
    from: R,
    hash: Sha256,
    encoding: Encoding,
    chunk_bytes: usize,
    /// Bytes that are read and not decoded: the first four, an incomplete UTF-16 unit or pair.
    raw: Vec<u8>,
    /// Original offset of the end of what was decoded.
    decoded: u64,
    /// Decoded bytes; only `start..valid` may be looked at.
    ready: Vec<u8>,
    start: usize,
    valid: usize,
    line: u32,
    byte: u64,
    after_cr: bool,
    ended: bool,
    broken: Option<Broken>,
}

impl<R: Read> Text<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            hash: Sha256::new(),
            encoding: Encoding::Undecided,
            chunk_bytes: CHUNK_BYTES_MIN,
            raw: Vec::new(),
            decoded: 0,
            ready: Vec::new(),
            start: 0,
            valid: 0,
            line: 1,
            byte: 0,
            after_cr: false,
            ended: false,
            broken: None,
        }
    }

    /// Text that was read and not consumed; valid UTF-8 up to where a character may be cut by the caller.
    pub(super) fn rest(&self) -> &[u8] {
        &self.ready[self.start..self.valid]
    }

    /// The line of the first byte of [`Text::rest`], from 1.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The original offset of the first byte of [`Text::rest`].
    pub(super) fn byte(&self) -> u64 {
        self.byte
    }

    /// How many original bytes these first `length` bytes of [`Text::rest`] were.
    pub(super) fn original_length(&self, length: usize) -> u64 {
        match self.encoding {
            Encoding::Utf16 { .. } => self.rest()[..length].iter().map(|&byte| utf16_bytes(byte)).sum(),
            _ => length as u64,
        }
    }

    /// Moves past the first `length` bytes of [`Text::rest`].
    pub(super) fn consume(&mut self, length: usize) {
        self.byte += self.original_length(length);
        let (lines, after_cr) = count_line_ends(&self.ready[self.start..self.start + length], self.after_cr);
        self.line = self.line.saturating_add(lines);
        self.after_cr = after_cr;
        self.start += length;
    }

    /// Reads more; `false` at the end. What is good before a bad byte is given out first, then the fault.
    pub(super) fn fill(&mut self) -> Result<bool, Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.ended {
            return Ok(false);
        }
        self.ready.copy_within(self.start.., 0);
        self.ready.truncate(self.ready.len() - self.start);
        self.valid -= self.start;
        self.start = 0;
        let before = self.valid;
        loop {
            match self.step() {
                Err(broken) if self.valid == before => {
                    self.broken = Some(broken.clone());
                    return Err(broken);
                }
                Err(broken) => {
                    self.broken = Some(broken);
                    return Ok(true);
                }
                Ok(()) if self.valid > before => return Ok(true),
                Ok(()) if self.ended => return Ok(false),
                Ok(()) => {}
            }
        }
    }

    /// The line on which the original offset `at` lies; `at` is not before [`Text::byte`].
    pub(super) fn line_at(&self, at: u64) -> u32 {
        let mut byte = self.byte;
        let rest = self.rest();
        let length = rest.iter().position(|&b| {
            let here = byte;
            byte += if matches!(self.encoding, Encoding::Utf16 { .. }) { utf16_bytes(b) } else { 1 };
            here >= at
        });
        self.line.saturating_add(count_line_ends(&rest[..length.unwrap_or(rest.len())], self.after_cr).0)
    }

    /// SHA-256 of all original bytes, in hexadecimal. To be asked at the end.
    pub(super) fn digest(self) -> String {
        hexadecimal(&self.hash.finalize())
    }

    fn step(&mut self) -> Result<(), Broken> {
        self.chunk_bytes = (self.chunk_bytes * 2).min(CHUNK_BYTES_MAX);
        match self.encoding {
            Encoding::Undecided => self.decide(),
            Encoding::Utf8 => {
                let from = self.ready.len();
                self.ready.resize(from + self.chunk_bytes, 0);
                let count = read_some(&mut self.from, &mut self.ready[from..]);
                self.ready.truncate(from + *count.as_ref().unwrap_or(&0));
                self.ended = count? == 0;
                self.hash.update(&self.ready[from..]);
                self.validate()
            }
            Encoding::Utf16 { big_endian } => {
                let from = self.raw.len();
                self.raw.resize(from + self.chunk_bytes, 0);
                let count = read_some(&mut self.from, &mut self.raw[from..]);
                self.raw.truncate(from + *count.as_ref().unwrap_or(&0));
                self.ended = count? == 0;
                self.hash.update(&self.raw[from..]);
                self.decode_utf16(big_endian)
            }
        }
    }

    /// Looks at the first four bytes.
    fn decide(&mut self) -> Result<(), Broken> {
        let mut first = [0; 4];
        let mut length = 0;
        while length < first.len() && !self.ended {
            let count = read_some(&mut self.from, &mut first[length..])?;
            self.ended = count == 0;
            length += count;
        }
        let first = &first[..length];
        self.hash.update(first);
        let (encoding, mark) = match first {
            [0xFF, 0xFE, 0, 0] | [0, 0, 0xFE, 0xFF] => return Err(Broken::Utf32),
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16 { big_endian: false }, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16 { big_endian: true }, 2),
            [0, b, ..] | [b, 0, ..] if *b != 0 => {
                return Err(Broken::Utf16WithoutMark { at: u64::from(first[0] != 0) });
            }
            _ => (Encoding::Utf8, 0),
        };
        self.encoding = encoding;
        self.byte = mark as u64;
        self.decoded = mark as u64;
        match encoding {
            Encoding::Utf16 { big_endian } => {
                self.raw.extend_from_slice(&first[mark..]);
                self.decode_utf16(big_endian)
            }
            _ => {
                self.ready.extend_from_slice(&first[mark..]);
                self.validate()
            }
        }
    }

    /// Moves `valid` over what is whole UTF-8 without NUL.
    fn validate(&mut self) -> Result<(), Broken> {
        let fresh = &self.ready[self.valid..];
        let (good, bad) = match std::str::from_utf8(fresh) {
            Ok(_) => (fresh.len(), None),
            Err(error) => {
                let good = error.valid_up_to();
                let at = self.decoded + good as u64;
                let bad = match error.error_len() {
                    Some(_) => Some(Broken::NotUtf8 { at, byte: fresh[good] }),
                    None if self.ended => Some(Broken::CutCharacter { at }),
                    None => None,
                };
                (good, bad)
            }
        };
        // Looking first with `contains`, which is several times faster than `position`.
        let nul = if fresh[..good].contains(&0) { fresh[..good].iter().position(|&b| b == 0) } else { None };
        let (good, bad) = match nul {
            Some(nul) => (nul, Some(Broken::Nul { at: self.decoded + nul as u64 })),
            None => (good, bad),
        };
        self.valid += good;
        self.decoded += good as u64;
        bad.map_or(Ok(()), Err)
    }

    fn decode_utf16(&mut self, big_endian: bool) -> Result<(), Broken> {
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let mut used = 0;
        let mut bad = None;
        while let Some(first) = self.raw.get(used..used + 2) {
            let at = self.decoded + used as u64;
            let pair = self.raw.get(used + 2..used + 4).map(|second| [unit(first), unit(second)]);
            let units = match (unit(first), &pair) {
                (0xD800..=0xDBFF, None) => break,
                (0xD800..=0xDBFF, Some(pair)) => &pair[..],
                (single, _) => &[single][..],
            };
            match char::decode_utf16(units.iter().copied()).next() {
                Some(Ok('\0')) => bad = Some(Broken::Nul { at }),
                Some(Ok(char)) => {
                    let mut utf8 = [0; 4];
                    self.ready.extend_from_slice(char.encode_utf8(&mut utf8).as_bytes());
                    used += char.len_utf16() * 2;
                    continue;
                }
                _ => bad = Some(Broken::Surrogate { at }),
            }
            break;
        }
        self.raw.drain(..used);
        self.decoded += used as u64;
        self.valid = self.ready.len();
        if bad.is_none() && self.ended && !self.raw.is_empty() {
            bad = Some(Broken::CutCharacter { at: self.decoded });
        }
        bad.map_or(Ok(()), Err)
    }
}

/// Lower-case hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[digit as usize]))
        .collect()
}

/// How many bytes of UTF-16 a byte of UTF-8 stands for: the whole character is counted at its first byte.
fn utf16_bytes(byte: u8) -> u64 {
    match byte {
        0x80..=0xBF => 0,
        0xF0.. => 4,
        _ => 2,
    }
}

/// CR, LF and CRLF each end one line; a CRLF may be split between two calls.
fn count_line_ends(bytes: &[u8], after_cr: bool) -> (u32, bool) {
    let Some(&last) = bytes.last() else { return (0, after_cr) };
    let mut lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    if after_cr && bytes[0] == b'\n' {
        lines -= 1;
    }
    if bytes.contains(&b'\r') {
        lines += bytes.iter().filter(|&&byte| byte == b'\r').count();
        lines -= bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    }
    (u32::try_from(lines).unwrap_or(u32::MAX), last == b'\r')
}

fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Broken> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.map_err(|error| Broken::Io(error.to_string())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A reader that gives `step` bytes at once, so that every boundary is met.
    pub(in crate::events) struct Drip<'a>(pub(in crate::events) &'a [u8], pub(in crate::events) usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(buffer.len());
            self.0.read(&mut buffer[..count])
        }
    }

    fn decode(bytes: &[u8], step: usize) -> (String, Option<Broken>) {
        let mut text = Text::new(Drip(bytes, step));
        let broken = loop {
            match text.fill() {
                Ok(true) => {}
                Ok(false) => break None,
                Err(broken) => break Some(broken),
            }
        };
        (String::from_utf8(text.rest().to_vec()).unwrap(), broken)
    }

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn every_encoding_is_read_or_refused_by_name_and_byte() {
        let odd = [utf16("ab", false), vec![b'x']].concat();
        let lone = [utf16("ab", false), 0xD800_u16.to_le_bytes().to_vec(), utf16("c", false)[2..].to_vec()].concat();
        let cases: Vec<(&[u8], &str, Option<Broken>)> = vec![
            (b"", "", None),
            (b"a", "a", None),
            ("aä€😀\r\n".as_bytes(), "aä€😀\r\n", None),
            (b"\xEF\xBB\xBFab", "ab", None),
            (b"ab\xE9cd", "ab", Some(Broken::NotUtf8 { at: 2, byte: 0xE9 })),
            (b"\xEF\xBB\xBFab\xFF", "ab", Some(Broken::NotUtf8 { at: 5, byte: 0xFF })),
            (b"abcd\xE2\x82", "abcd", Some(Broken::CutCharacter { at: 4 })),
            (b"abcde\0f", "abcde", Some(Broken::Nul { at: 5 })),
            (b"a\0b\0", "", Some(Broken::Utf16WithoutMark { at: 1 })),
            (b"\0a\0b", "", Some(Broken::Utf16WithoutMark { at: 0 })),
            (b"\xFF\xFE\0\0a\0\0\0", "", Some(Broken::Utf32)),
            (&odd, "ab", Some(Broken::CutCharacter { at: 6 })),
            (&lone, "ab", Some(Broken::Surrogate { at: 6 })),
        ];
        for (bytes, text, broken) in cases {
            for step in [1, 2, 3, 7, 4096] {
                assert_eq!(decode(bytes, step), (text.to_owned(), broken.clone()), "{bytes:?} by {step}");
            }
        }
        for big_endian in [false, true] {
            let bytes = utf16("aä€😀b", big_endian);
            for step in [1, 2, 3, 4096] {
                assert_eq!(decode(&bytes, step), ("aä€😀b".to_owned(), None));
            }
        }
    }

    #[test]
    fn lines_and_offsets_are_those_of_the_original() {
        let original = "a\rb\r\nc\n€😀x";
        let places = |bytes: &[u8]| {
            let mut text = Text::new(Drip(bytes, 3));
            while text.fill() == Ok(true) {}
            let chars: Vec<usize> = original.chars().map(char::len_utf8).collect();
            let mut places = vec![(text.line(), text.byte())];
            for length in chars {
                text.consume(length);
                places.push((text.line(), text.byte()));
            }
            places
        };
        let lines = [1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4];
        let with = |bytes: [u64; 11]| -> Vec<(u32, u64)> { lines.into_iter().zip(bytes).collect() };
        assert_eq!(places(original.as_bytes()), with([0, 1, 2, 3, 4, 5, 6, 7, 10, 14, 15]));
        let marked = [b"\xEF\xBB\xBF", original.as_bytes()].concat();
        assert_eq!(places(&marked), with([3, 4, 5, 6, 7, 8, 9, 10, 13, 17, 18]));
        assert_eq!(places(&utf16(original, true)), with([2, 4, 6, 8, 10, 12, 14, 16, 18, 22, 24]));
    }

    #[test]
    fn the_digest_is_over_the_original_bytes() {
        let mut text = Text::new(&b"\xEF\xBB\xBFabc"[..]);
        while text.fill() == Ok(true) {}
        assert_eq!(text.digest(), hexadecimal(&Sha256::digest(b"\xEF\xBB\xBFabc")));
    }
}
