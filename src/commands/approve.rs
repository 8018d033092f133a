//! `quell approve`: shows what a plan would do, asks, signs it, and writes the signature beside it.
//!
//! It refuses early what could never count: a plan that is held or needs nobody, a key or name that the allowed signers
//! file does not know. Nothing is sent, no token is read.

mod key;
mod signature_file;

pub use signature_file::path_of;
pub(super) use signature_file::text_of;

use self::key::Key;
use super::terminal::{self, Question};
use super::{approvals, held, plan_file, say, tell};
use crate::approval::{
    self, Approval, NAMESPACE, NotCounted, Payload, Refused, Requirement, SignatureFile, Signers, Subject,
};
use crate::cli::Approving;
use crate::error::{ExitCode, Failure};
use crate::noun::count;
use crate::plan::{Plan, show};
use crate::report::inert;
use crate::tenant::show_duration;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Reads the plan file and signs it.
pub fn execute(order: &Approving) -> Result<ExitCode, Failure> {
    let plan = plan_file::read(&order.plan)?;
    held::check(&plan, "nothing was signed")?;
    requirement(&plan)?;
    let subject = approvals::subject_of(&plan)?;
    let signers = approvals::signers_of(&plan, &order.plan)?;
    let name = signers.path.to_string_lossy().into_owned();
    let read = Read { subject: &subject, plan: &plan, signers_name: &name, signers_text: &signers.text };
    approve(order, read, Timestamp::now())
}

/// A plan file that was read, and the allowed signers file that it was planned with.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// What is approved.
    pub subject: &'a Subject,
    /// The plan in it.
    pub plan: &'a Plan,
    /// The allowed signers file's name, as it is shown.
    pub signers_name: &'a str,
    /// Its text.
    pub signers_text: &'a str,
}

/// Shows, asks, signs, writes.
///
/// # Errors
/// When the plan needs nobody's approval, when the signature could not count, when nobody agrees, or when something
/// cannot be read, signed or written.
pub fn approve(order: &Approving, read: Read<'_>, now: Timestamp) -> Result<ExitCode, Failure> {
    let plan = read.plan;
    // No signature lets a plan pass that its guards hold.
    held::check(plan, "nothing was signed")?;
    let requirement = requirement(plan)?;
    let signers = Signers::read(read.signers_name, read.signers_text).map_err(Failure::Problems)?;
    let before = signature_file::read(&path_of(&order.plan))?;
    let lasts = lasts(order.ttl, requirement.ttl)?;
    let now = approval::now_in_seconds(now);
    let key = Key::find(order.key.as_deref(), order.default_key.as_deref())?;
    let author = author(order.author.as_deref(), &key, &signers, read.signers_name)?;
    refuse_what_cannot_count(&key, &author, &signers, read.signers_name, now)?;
    tell(&show::text(plan));
    tell_of(&before, read, &requirement, now)?;
    ask(order, plan, &author, &key)?;
    let expires = now.checked_add(lasts).map_err(|_| Failure::Usage("--ttl ends after the year 9999".to_owned()))?;
    let note = order.note.clone();
    let payload = Payload { subject: read.subject.clone(), author, at: now, expires, note };
    let line = payload.line().map_err(Failure::Usage)?;
    let signed = key.sign(&line)?;
    let after = signature_file::append(&order.plan, signed)?;
    let (people, _) = judged(&after, read, &requirement, now)?;
    report(order, &after, people, requirement.min)?;
    Ok(ExitCode::Fine)
}

fn requirement(plan: &Plan) -> Result<Requirement, Failure> {
    let approval = plan.header.approval.as_ref();
    let wanted = approval.and_then(Requirement::of).filter(|_| !plan.header.tenant.simulated);
    wanted.ok_or_else(|| {
        let why = match approval {
            _ if plan.header.tenant.simulated => "it is simulated, and reaches nothing real".to_owned(),
            Some(approval) => inert::terminal(&approval.shown(plan.counts().0)).into_owned(),
            None => "its playbook asks for none".to_owned(),
        };
        Failure::Usage(format!("this plan needs no approval: {why}\nhelp: `quell apply` carries it out as it is"))
    })
}

/// How long the signature says that it counts.
fn lasts(asked: Option<Duration>, ttl: Duration) -> Result<SignedDuration, Failure> {
    if let Some(asked) = asked.filter(|asked| *asked > ttl) {
        let (asked, ttl) = (show_duration(asked), show_duration(ttl));
        return Err(Failure::Usage(format!("--ttl {asked}: this plan takes no signature for longer than {ttl}")));
    }
    let whole = Duration::from_secs(asked.unwrap_or(ttl).as_secs());
    if whole.is_zero() {
        return Err(Failure::Usage("--ttl is at least 1s".to_owned()));
    }
    SignedDuration::try_from(whole).map_err(|_| Failure::Usage("--ttl is too long".to_owned()))
}

/// In whose name: as asked, or as the allowed signers file names the key's owner, or as git knows the person.
fn author(asked: Option<&str>, key: &Key, signers: &Signers, file: &str) -> Result<String, Failure> {
    if let Some(asked) = asked {
        approval::sound_author(asked).map_err(|why| Failure::Usage(format!("--author: {why}")))?;
        return Ok(asked.to_owned());
    }
    match signers.names_of(key.public()).as_slice() {
        [only] => Ok((*only).to_owned()),
        names => {
            let email = key::git(&["config", "--get", "user.email"]);
            let email = email.filter(|email| names.is_empty() || names.contains(&email.as_str()));
            email.filter(|email| approval::sound_author(email).is_ok()).ok_or_else(|| {
                let file = inert::terminal(file);
                Failure::Usage(format!("{file} does not say whose key this is\nhelp: give --author NAME"))
            })
        }
    }
}

/// A signature that could never count is useless, and its author would learn of it when it is too late.
fn refuse_what_cannot_count(
    key: &Key,
    author: &str,
    signers: &Signers,
    file: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let public = key.public();
    let allowed = approval::check_key(public)
        .and_then(|()| signers.allow(public, author, NAMESPACE, &[now]).map_err(|why| why.to_string()));
    allowed.map_err(|why| {
        Failure::Held(format!(
            "a signature by {} with {} would not count: {why}; nothing was signed\nhelp: {} says whose keys count; give \
             --key or --author, or have your line added there and plan again",
            inert::terminal(author),
            approval::fingerprint(public),
            inert::terminal(file),
        ))
    })
}

/// Whoever signs types how many hosts are concerned, as whoever carries out.
fn ask(order: &Approving, plan: &Plan, author: &str, key: &Key) -> Result<(), Failure> {
    let who = format!("as {} with {}", inert::terminal(author), approval::fingerprint(key.public()));
    if order.yes {
        tell(&format!("signing {who}"));
        return Ok(());
    }
    let (items, hosts) = plan.counts();
    let tenant = inert::terminal(&plan.header.tenant.name);
    terminal::ask(&Question {
        of: &format!("{tenant}, {}, {}", count(hosts, "host"), count(items, "item")),
        hosts,
        to: &format!("approve this {who}"),
        nothing: "nothing was signed",
        look_first: "`quell show PLAN`",
    })
}

/// The approvals that are there already, each with whether it counts.
fn tell_of(before: &SignatureFile, read: Read<'_>, requirement: &Requirement, now: Timestamp) -> Result<(), Failure> {
    let (_, others) = judged(before, read, requirement, now)?;
    for (known, number) in before.approvals.iter().zip(1..) {
        let by = format!("approval {number}, by {} at {}", inert::terminal(&known.payload.author), known.payload.at);
        match others.iter().find(|other| other.number == number) {
            Some(NotCounted { why, .. }) => tell(&format!("{by}, does not count: {why}")),
            None => tell(&by),
        }
    }
    Ok(())
}

/// What the file says now.
fn report(order: &Approving, after: &SignatureFile, people: usize, min: u16) -> Result<(), Failure> {
    let Some(Approval { payload: Payload { author, expires, .. }, .. }) = after.approvals.last() else {
        return Err(Failure::Bug("what was signed is not there".to_owned()));
    };
    let plan = inert::terminal(&order.plan.to_string_lossy()).into_owned();
    let next =
        if people >= usize::from(min) { format!(": `quell apply {plan}` carries it out") } else { String::new() };
    let of = count(u32::from(min), "approval");
    // More than are needed are no news.
    let people = people.min(usize::from(min));
    say(&format!("{plan}.sig: approved by {}, until {expires}\n{people} of {of}{next}\n", inert::terminal(author)))
}

/// How many people's approvals count, as for an operator who has not signed, and which do not.
fn judged(
    file: &SignatureFile,
    read: Read<'_>,
    requirement: &Requirement,
    now: Timestamp,
) -> Result<(usize, Vec<NotCounted>), Failure> {
    let text = file.text().map_err(Failure::Bug)?;
    // More than can ever be there: what is wanted is the count and the reasons.
    let all = Requirement { not_author: false, min: u16::MAX, ..*requirement };
    match approval::verify(&all, read.subject, &text, read.signers_text, None, now) {
        Err(Refused::TooFew { people, others, .. }) => Ok((people, others)),
        Err(other) => Err(Failure::Bug(other.to_string())),
        Ok(_) => Err(Failure::Bug("more approvals than a file can hold".to_owned())),
    }
}
