//! The terminal itself, where a question is asked: standard input may be the events, and standard error a file.
//!
//! It is found by its name, `/dev/tty`; where a process has none, standard input is taken if it is a terminal. Nothing is
//! read from anything else: an answer that came with the events would be nobody's.

use crate::error::Failure;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

/// Where a person can be asked.
enum Terminal {
    /// The terminal of this process.
    Own(File),
    /// Standard input, which is one.
    Input,
}

impl Terminal {
    /// The terminal, if there is one.
    fn find() -> Option<Self> {
        match OpenOptions::new().read(true).write(true).open("/dev/tty") {
            Ok(own) => Some(Self::Own(own)),
            Err(_) => io::stdin().is_terminal().then_some(Self::Input),
        }
    }

    /// Asks, and waits for a line.
    fn ask(&mut self, question: &str) -> io::Result<String> {
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

/// What a person agrees to, or not.
pub(super) struct Question<'a> {
    /// What is asked, up to the number: `prod-eu, 3 hosts, 5 items`.
    pub(super) of: &'a str,
    /// How many hosts are concerned: that number is the yes.
    pub(super) hosts: usize,
    /// What for: `carry this out`.
    pub(super) to: &'a str,
    /// What was not done without a yes: `nothing was sent`.
    pub(super) nothing: &'a str,
    /// What to look at where there is no terminal to ask on: `quell show PLAN`.
    pub(super) look_first: &'a str,
}

/// Asks on the terminal: who agrees types how many hosts are concerned, and nothing else is a yes.
pub(super) fn ask(question: &Question<'_>) -> Result<(), Failure> {
    let Question { of, hosts, to, nothing, look_first } = question;
    let nobody = || {
        Failure::Held(format!(
            "there is no terminal to ask on; {nothing}\nhelp: look at {look_first} first, then give --yes"
        ))
    };
    let answer = Terminal::find()
        .ok_or_else(nobody)?
        .ask(&format!("{of}: type {hosts} to {to}: "))
        .map_err(|e| Failure::Held(format!("the answer could not be read: {e}; {nothing}")))?;
    if answer.trim() == hosts.to_string() {
        return Ok(());
    }
    Err(Failure::Held(format!("not confirmed; {nothing}")))
}
