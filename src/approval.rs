//! Approvals: people's signatures over a plan, proven here and offline, before it is carried out.
//!
//! An approval is bound to content: it names the plan's digest and the SHA-256 of the plan file, and is signed as git
//! signs (SSHSIG, see OpenSSH's `PROTOCOL.sshsig`) with a key that the allowed signers file knows. This room reads no file,
//! asks no clock and starts no program: texts and the time come in, a verdict goes out. Whatever it cannot prove does not
//! count, and it says why.

mod payload;
mod file;
mod signers;
mod key;
mod verdict;

pub use file::{Approval, FILE_BYTES_MAX, SignatureFile};
pub use key::{NAMESPACE, check_key, fingerprint, sign};
pub use payload::{Payload, now_in_seconds, sound_author};
pub use signers::{SIGNERS_BYTES_MAX, Signers};
pub use verdict::{CLOCK_SKEW_MAX, NotCounted, Refused, Valid, Why, verify};

use crate::plan::PlannedApproval;
use std::time::Duration;

/// What is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The plan's digest, 64 hexadecimal digits.
    pub plan_digest: String,
    /// SHA-256 of the plan file's bytes.
    pub file_sha256: [u8; 32],
}

/// What has to be there before a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// How many people must have signed, at least 1.
    pub min: u16,
    /// Whether the signature of the operator who applies the plan does not count.
    pub not_author: bool,
    /// How long a signature counts from the moment it was made.
    pub ttl: Duration,
}

impl Requirement {
    /// What a plan asks for; `None` where its totals ask for nothing.
    pub fn of(planned: &PlannedApproval) -> Option<Self> {
        let PlannedApproval { min, not_author, ttl, when: _, needed, vars: _ } = planned;
        needed.then_some(Self { min: *min, not_author: *not_author, ttl: *ttl })
    }
}

#[cfg(test)]
mod tests;
