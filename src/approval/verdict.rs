//! Which approvals count, and whether they are enough. Pure: texts and the moment come in.
//!
//! People are counted, not signatures: whoever shares a key or a name is one. Each approval that does not count is told
//! with the first reason that was found.

use super::file::{Approval, SignatureFile};
use super::key::{self, NAMESPACE};
use super::signers::Signers;
use super::{Requirement, Subject};
use crate::inert;
use crate::noun::count;
use crate::problem::{self, Problem};
use crate::tenant::show_duration;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How far the clocks of who signs and who applies may be apart.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// An approval that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valid {
    /// Who signed.
    pub author: String,
    /// With which key, as `SHA256:…`.
    pub key: String,
    /// When.
    pub at: Timestamp,
    /// From when on it does not count any more: by its own word or by the plan's `ttl`, whichever is earlier.
    pub until: Timestamp,
    /// What was noted.
    pub note: Option<String>,
}

/// Why a plan is not approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file of signatures cannot be read; none of them is looked at.
    #[error("the signatures cannot be read: {0}")]
    Unreadable(String),
    /// The allowed signers file cannot be read.
    #[error("the allowed signers cannot be read:\n{}", problem::render(.0, false).trim_end())]
    Signers(Vec<Problem>),
    /// Nobody says who applies the plan, so it cannot be told whether that person has signed.
    #[error("nobody says who applies the plan, and that person's own signature does not count")]
    NoOperator,
    /// Too few people have signed.
    #[error("{}", too_few(*.people, *.min, .others))]
    TooFew {
        /// How many people's approvals count.
        people: usize,
        /// How many are needed.
        min: u16,
        /// The approvals that do not count, in the order of the file.
        others: Vec<NotCounted>,
    },
}

/// An approval that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCounted {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Whose it says it is.
    pub author: String,
    /// Why not.
    pub why: Why,
}

/// Why an approval does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The signature is not one over what is said.
    #[error("its signature is not good")]
    BadSignature,
    /// It was made for something else.
    #[error("it was signed for `{}` and not for `{NAMESPACE}`", inert::terminal(.0))]
    OtherNamespace(String),
    /// By a key of a kind that is not known.
    #[error("{0}")]
    UnknownKind(String),
    /// Nobody touched the hardware key.
    #[error("its hardware key was not touched")]
    Untouched,
    /// The key is not in the allowed signers file.
    #[error("its key is not in the allowed signers file")]
    UnknownKey,
    /// The key is somebody else's.
    #[error("the allowed signers file does not give its key to that name")]
    OtherPrincipal,
    /// The key is for something else.
    #[error("the allowed signers file does not allow its key the namespace `{NAMESPACE}`")]
    NamespaceNotAllowed,
    /// The key is not yet to be used.
    #[error("its key is valid only after {0}")]
    KeyNotYetValid(Timestamp),
    /// The key is not to be used any more.
    #[error("its key was valid only before {0}")]
    KeyNoLongerValid(Timestamp),
    /// It approves another plan.
    #[error("it approves another plan")]
    OtherPlan,
    /// It approves the same plan in a file with other bytes.
    #[error("it approves another file of this plan")]
    OtherFile,
    /// It was made later than now.
    #[error("it was made in the future, at {0}")]
    FromTheFuture(Timestamp),
    /// Its own time is over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// The plan's `ttl` is over.
    #[error("it was made at {at}, longer than {} ago", show_duration(*.ttl))]
    TooOld {
        /// When it was made.
        at: Timestamp,
        /// How long it counted.
        ttl: Duration,
    },
    /// Whoever applies the plan has signed it.
    #[error("it is the operator's own")]
    Operators,
    /// The same person has signed already.
    #[error("its signer is the one of approval {0}: a shared key or name is one person")]
    SamePerson(usize),
}

/// Proves a plan's approvals: those that count, of at least as many people as are needed, one for each of them.
///
/// # Errors
/// What is missing, with the reason of each approval that does not count.
pub fn verify(
    requirement: &Requirement,
    subject: &Subject,
    signatures: &str,
    allowed_signers: &str,
    operator: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Valid>, Refused> {
    let file = SignatureFile::read(signatures).map_err(Refused::Unreadable)?;
    let signers = Signers::read("allowed signers", allowed_signers).map_err(Refused::Signers)?;
    let operator = match operator {
        _ if !requirement.not_author => None,
        Some(operator) => Some(operator),
        None => return Err(Refused::NoOperator),
    };
    let judge = Judge { requirement, subject, signers: &signers, operator, now };
    let (mut people, mut others) = (People::default(), Vec::new());
    for (approval, number) in file.approvals.iter().zip(1..) {
        match judge.judge(approval) {
            Ok(valid) => people.add(number, valid),
            Err(why) => others.push(NotCounted { number, author: approval.payload.author.clone(), why }),
        }
    }
    let count = people.count();
    let (valid, same) = people.into_parts();
    if count >= usize::from(requirement.min) {
        return Ok(valid);
    }
    others.extend(same);
    others.sort_by_key(|other| other.number);
    Err(Refused::TooFew { people: count, min: requirement.min, others })
}

struct Judge<'a> {
    requirement: &'a Requirement,
    subject: &'a Subject,
    signers: &'a Signers,
    /// Whose own signature does not count.
    operator: Option<&'a str>,
    now: Timestamp,
}

impl Judge<'_> {
    fn judge(&self, approval: &Approval) -> Result<Valid, Why> {
        key::prove(approval)?;
        let payload = &approval.payload;
        let key = approval.signature.public_key();
        // Now too, and not only when it was made: a key that is withdrawn could say that it signed before.
        self.signers.allow(key, &payload.author, NAMESPACE, &[payload.at, self.now])?;
        if payload.subject.plan_digest != self.subject.plan_digest {
            return Err(Why::OtherPlan);
        }
        if payload.subject.file_sha256 != self.subject.file_sha256 {
            return Err(Why::OtherFile);
        }
        let until = self.in_time(payload.at, payload.expires)?;
        if self.operator.is_some_and(|operator| is_same_person(operator, &payload.author)) {
            return Err(Why::Operators);
        }
        Ok(Valid {
            author: payload.author.clone(),
            key: key::fingerprint(key),
            at: payload.at,
            until,
            note: payload.note.clone(),
        })
    }

    /// The moment until which it counts.
    fn in_time(&self, at: Timestamp, expires: Timestamp) -> Result<Timestamp, Why> {
        if at > later(self.now, CLOCK_SKEW_MAX) {
            return Err(Why::FromTheFuture(at));
        }
        if self.now >= expires {
            return Err(Why::Expired(expires));
        }
        let ttl = self.requirement.ttl;
        match later(at, ttl) {
            until if self.now >= until => Err(Why::TooOld { at, ttl }),
            until => Ok(until.min(expires)),
        }
    }
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Whether an operator and a signer may be the same: `alice`, `Alice@example.com` and `alice@build-7` are. Rather once
/// too often than that somebody approves what is their own.
fn is_same_person(operator: &str, author: &str) -> bool {
    let (operator, author) = (operator.trim().to_lowercase(), author.to_lowercase());
    let before_at = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let names = |name: &str| [name.to_owned(), before_at(name)];
    names(&operator).iter().any(|name| !name.is_empty() && names(&author).contains(name))
}

/// Approvals that count, by people.
#[derive(Default)]
struct People {
    approvals: Vec<(usize, Valid)>,
    /// For each approval the first one of the same person.
    first: Vec<usize>,
}

impl People {
    fn add(&mut self, number: usize, valid: Valid) {
        let name = valid.author.to_lowercase();
        let is_same = |(_, other): &(usize, Valid)| other.key == valid.key || other.author.to_lowercase() == name;
        let known = self.approvals.iter().zip(&self.first);
        let same: BTreeSet<usize> = known.filter(|(other, _)| is_same(other)).map(|(_, first)| *first).collect();
        let first = same.first().copied().unwrap_or(self.approvals.len());
        // An approval may tie people together who seemed to be two.
        self.first.iter_mut().filter(|known| same.contains(known)).for_each(|known| *known = first);
        self.approvals.push((number, valid));
        self.first.push(first);
    }

    fn count(&self) -> usize {
        (0..).zip(&self.first).filter(|(index, first)| index == *first).count()
    }

    /// The first approval of each person, and those that add nobody.
    fn into_parts(self) -> (Vec<Valid>, Vec<NotCounted>) {
        let numbers: Vec<usize> = self.approvals.iter().map(|(number, _)| *number).collect();
        let (mut valid, mut others) = (Vec::new(), Vec::new());
        for ((index, (number, approval)), first) in (0..).zip(self.approvals).zip(self.first) {
            if index == first {
                valid.push(approval);
            } else {
                others.push(NotCounted { number, author: approval.author, why: Why::SamePerson(numbers[first]) });
            }
        }
        (valid, others)
    }
}

fn too_few(people: usize, min: u16, others: &[NotCounted]) -> String {
    let mut text = format!("{people} of {}", count(u32::from(min), "approval"));
    for NotCounted { number, author, why } in others {
        let author = inert::terminal(author);
        text += &format!("\n  approval {number}, by {author}, does not count: {why}");
    }
    text
}

impl fmt::Display for Valid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { author, key, at, until, note } = self;
        write!(f, "{} at {at}, until {until}, by {key}", inert::terminal(author))?;
        match note {
            Some(note) => write!(f, ": {}", inert::terminal(note)),
            None => Ok(()),
        }
    }
}
