//! What a person types on the run's own terminal while a wave waits for them.
//!
//! Nothing is read before a person is asked, what was typed earlier is thrown away, and only whoever has the terminal reads
//! from it: a process in the background that did would be stopped by the system.

use rustix::fs::OFlags;
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The word that lets a wave begin.
pub(super) const WORD: &str = "promote";
/// A longer line is no word of ours.
const LINE_BYTES_MAX: usize = 256;

/// The wave that a person is asked for, as far as there is one: whoever hears the run's facts says so, and whoever looks at
/// the terminal asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<AtomicU16>);

impl Asked {
    /// A wave waits for a person from now on. To be called before the person is told: what was typed earlier is no answer,
    /// and is thrown away.
    pub(super) fn for_wave(&self, wave: u16) {
        if let Some(terminal) = Typed::find(self.clone()).filter(Typed::is_in_front) {
            // That it stays is no harm: it was hardly the word.
            let _ = tcflush(&terminal.terminal, QueueSelector::IFlush);
        }
        self.0.store(wave, Ordering::Relaxed);
    }

    /// Nobody is asked any more.
    pub(super) fn for_none(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn wave(&self) -> Option<u16> {
        Some(self.0.load(Ordering::Relaxed)).filter(|wave| *wave > 0)
    }
}

/// See the module.
pub(super) struct Typed {
    terminal: File,
    asked: Asked,
    /// The wave that was asked for when it was last looked.
    last: Option<u16>,
    line: Vec<u8>,
}

impl Typed {
    /// The terminal of this process, if it has one.
    pub(super) fn find(asked: Asked) -> Option<Self> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open("/dev/tty");
        opened.ok().map(|terminal| Self { terminal, asked, last: None, line: Vec::new() })
    }

    /// Whether anybody could answer here.
    pub(super) fn is_in_front(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp())
    }

    /// The wave that a person has just let begin.
    pub(super) fn promoted(&mut self) -> Option<u16> {
        let asked = self.asked.wave();
        if asked != self.last {
            self.last = asked;
            self.line.clear();
        }
        let wave = asked?;
        let is_said = self.lines().iter().any(|line| line.trim() == WORD);
        is_said.then_some(wave)
    }

    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut portion = [0; LINE_BYTES_MAX];
        // Nothing to read is an error of its kind, and so is a terminal that is gone: then nobody answers here.
        while self.is_in_front()
            && let Ok(length @ 1..) = self.terminal.read(&mut portion)
        {
            for byte in &portion[..length] {
                if *byte == b'\n' {
                    lines.push(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned());
                } else if self.line.len() < LINE_BYTES_MAX {
                    self.line.push(*byte);
                }
            }
        }
        lines
    }
}
