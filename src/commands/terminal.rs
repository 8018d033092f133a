//! The terminal itself, where a question is asked: standard input may be the events, and standard error a file.
//!
//! It is found by its name, `/dev/tty`; where a process has none, standard input is taken if it is a terminal. Nothing is
//! read from anything else: an answer that came with the events would be nobody's.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

/// Where a person can be asked.
pub(super) enum Terminal {
    /// The terminal of this process.
    Own(File),
    /// Standard input, which is one.
    Input,
}

impl Terminal {
    /// The terminal, if there is one.
    pub(super) fn find() -> Option<Self> {
        match OpenOptions::new().read(true).write(true).open("/dev/tty") {
            Ok(own) => Some(Self::Own(own)),
            Err(_) => io::stdin().is_terminal().then_some(Self::Input),
        }
    }

    /// Asks, and waits for a line.
    pub(super) fn ask(&mut self, question: &str) -> io::Result<String> {
        let mut answer = String::new();
        match self {
            Self::Own(own) => {
                own.write_all(question.as_bytes())?;
                BufReader::new(own).read_line(&mut answer)?;
            }
            Self::Input => {
                let mut err = io::stderr().lock();
                err.write_all(question.as_bytes()).and_then(|()| err.flush())?;
                io::stdin().read_line(&mut answer)?;
            }
        }
        Ok(answer)
    }
}
