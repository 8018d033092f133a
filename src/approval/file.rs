//! `PLAN.sig`: approvals one after the other, each a line that says what is approved and an armored signature over the
//! bytes of that line.
//!
//! Reading is strict: a file that quell would not write back byte for byte is refused as a whole, so that no byte of it
//! can be changed without being noticed.

use super::payload::Payload;
use ssh_key::{LineEnding, SshSig};

/// How large a file of signatures may be, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// How many approvals a file may hold.
const APPROVALS_MAX: usize = 100;
/// What an armored signature begins with.
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
/// What an armored signature ends with.
const END: &str = "-----END SSH SIGNATURE-----\n";

/// The approvals of one plan, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignatureFile {
    /// Each of them.
    pub approvals: Vec<Approval>,
}

/// One person's approval. That it was read says nothing of whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What is said.
    pub payload: Payload,
    /// The line that was signed, without its line end.
    pub line: String,
    /// The signature.
    pub signature: SshSig,
}

impl Approval {
    /// From the line that was signed and an armored signature over it, as `ssh-keygen -Y sign` gives it.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn new(line: &str, armored: &str) -> Result<Self, String> {
        let payload = Payload::read(line)?;
        let wrong = "its signature is no armored SSH signature as quell writes it";
        let signature = SshSig::from_pem(armored).map_err(|_| wrong.to_owned())?;
        let approval = Self { payload, line: line.to_owned(), signature };
        match approval.armored()? == armored {
            true => Ok(approval),
            false => Err(wrong.to_owned()),
        }
    }

    /// Whether the signature is one over the line, by the key that it names. Whose key that is, is another question.
    ///
    /// # Errors
    /// Why not.
    pub fn prove(&self) -> Result<(), super::Why> {
        super::key::prove(self)
    }

    fn armored(&self) -> Result<String, String> {
        let armored = self.signature.to_pem(LineEnding::LF).map_err(|error| error.to_string())?;
        Ok(if armored.ends_with('\n') { armored } else { armored + "\n" })
    }
}

impl SignatureFile {
    /// Reads a file's text; an empty one holds no approval.
    ///
    /// # Errors
    /// Which approval is wrong, and what about it, in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > FILE_BYTES_MAX {
            return Err(format!("it has {} bytes, at most {FILE_BYTES_MAX} are read", text.len()));
        }
        let mut approvals = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if approvals.len() == APPROVALS_MAX {
                return Err(format!("it holds more than {APPROVALS_MAX} approvals"));
            }
            let begins_on = text[..text.len() - rest.len()].matches('\n').count() + 1;
            let (approval, after) = read_one(rest).map_err(|why| format!("line {begins_on}: {why}"))?;
            approvals.push(approval);
            rest = after;
        }
        let read = Self { approvals };
        match read.text()? == text {
            true => Ok(read),
            false => Err("it is not written as quell writes it".to_owned()),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a signature cannot be written.
    pub fn text(&self) -> Result<String, String> {
        let mut text = String::new();
        for approval in &self.approvals {
            text.push_str(&approval.line);
            text.push('\n');
            text.push_str(&approval.armored()?);
        }
        Ok(text)
    }
}

fn read_one(text: &str) -> Result<(Approval, &str), String> {
    let (line, rest) = text.split_once('\n').ok_or("an approval is cut off")?;
    if !rest.starts_with(BEGIN) {
        return Err("no SSH signature follows this line".to_owned());
    }
    let end = rest.find(END).ok_or("its signature is cut off")? + END.len();
    let (armored, rest) = rest.split_at(end);
    Ok((Approval::new(line, armored)?, rest))
}
