//! Sent or not: what an act's client saw decides whether the act was carried out, surely was not, or may have been.
//!
//! Everything about "never twice" hangs on this one table, so it is one pure function, [`judge`]. Its rule of thumb:
//! only what *proves* that nothing was carried out may be sent again; whatever is left over is
//! [`ActReply::Unreadable`]. It repairs nothing: an answer that is nearly readable is not readable.
//!
//! It opens no connection, reads no clock, and makes every foreign text inert before it passes it on.

use super::call::ActReply;
use super::fact::NotCarriedOut;

/// The longest message of a reply, in characters.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// The most ids that one answer may name: five for each item of the largest batch. More is not an answer to our act.
pub const IDS_MAX: usize = 1_000;

/// The longest remediation id, in bytes. Real ones have about 90.
pub const ID_BYTES_MAX: usize = 200;

/// What the client of an act saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// No status line and headers came back.
    NoAnswer(NoAnswer),
    /// A status line and headers came back.
    Answer(Answered),
}

/// A call that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// How far it came.
    pub phase: Phase,
    /// Whether a byte of the request's body was taken from us. Taken bytes may have reached the server.
    pub body_taken: bool,
    /// Whether a time limit of ours ended it.
    pub timed_out: bool,
    /// What the client said of it.
    pub what: String,
}

/// How far a call without an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Refused on this machine: the request could not be built.
    Local,
    /// Looking up the host's name.
    Lookup,
    /// Connecting.
    Connect,
    /// Agreeing on TLS, where another attempt may go better.
    Tls,
    /// The peer's certificate, or a TLS version or cipher that is not acceptable: another attempt cannot go better.
    Certificate,
    /// A proxy that demands credentials before it opens a tunnel.
    Proxy,
    /// After the connection stood.
    After,
}

/// An answer to an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// The `Content-Type` as it came.
    pub content_type: Option<String>,
    /// Whether limit headers, or a limit code in the body, say that a limit refused the call.
    pub limited: bool,
    /// The body.
    pub body: SeenBody,
}

/// The body of an answer, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenBody {
    /// A JSON object whose `remediationIds` is a list; `None` stands for an element that is not text.
    Ids(Vec<Option<String>>),
    /// JSON without such a list: the API's words.
    NoIds(String),
    /// Not JSON: the text itself.
    NotJson(String),
    /// Nothing.
    Empty,
    /// JSON that names a key twice in one object: which of the two counts is anybody's guess.
    DuplicateKey(String),
    /// JSON with more values than are read.
    TooManyValues,
    /// It ended early, after so many bytes.
    CutShort(usize),
    /// It was still coming when the time limit ended it, after so many bytes.
    TimedOut(usize),
    /// It is longer than so many bytes, which is all that is read.
    TooLong(usize),
}

/// Says what became of an act. Total: every combination has a class, and the class of doubt is
/// [`ActReply::Unreadable`].
pub fn judge(seen: &Seen) -> ActReply {
    match seen {
        Seen::NoAnswer(none) => judge_no_answer(none),
        Seen::Answer(answered) => judge_answer(answered),
    }
}

/// Whether a remediation id may be put into a URL or shown: 1 to 200 bytes of `A-Z a-z 0-9 _ . # -`, no leading dot.
pub fn safe_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'#' | b'-');
    (1..=ID_BYTES_MAX).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(allowed)
}

/// Makes foreign text inert and short: one line, runs of white space as one space, control characters (ANSI's escape
/// among them), direction marks and invisible characters replaced by U+FFFD, at most `chars_max` characters.
pub fn inert(text: &str, chars_max: usize) -> String {
    // Four times the length leaves room for white space that collapses without reading all of a huge text.
    let start = text.chars().take(chars_max.saturating_mul(4));
    let mut shown = String::new();
    let mut length = 0;
    let mut gap = false;
    for char in start {
        if char.is_whitespace() {
            gap = true;
            continue;
        }
        let with_gap = usize::from(gap && length > 0);
        if length + with_gap + 1 > chars_max {
            break;
        }
        if with_gap == 1 {
            shown.push(' ');
        }
        shown.push(if crate::inert::acts(char) { char::REPLACEMENT_CHARACTER } else { char });
        length += with_gap + 1;
        gap = false;
    }
    shown
}

fn judge_no_answer(none: &NoAnswer) -> ActReply {
    let message = describe_no_answer(none);
    // Whatever the phase claims to be: bytes that were taken may have arrived. TLS 1.3 can refuse a client after the
    // request left, so even a certificate error is no proof once the body is gone.
    if none.body_taken {
        return ActReply::Unreadable { message };
    }
    let why = match none.phase {
        Phase::Certificate | Phase::Proxy => NotCarriedOut::NotSentForGood,
        Phase::Local | Phase::Lookup | Phase::Connect | Phase::Tls | Phase::After => NotCarriedOut::NotSent,
    };
    ActReply::NotCarriedOut { why, message }
}

fn judge_answer(answered: &Answered) -> ActReply {
    let not_carried_out = |why| ActReply::NotCarriedOut { why, message: describe_answer(answered) };
    match answered.status {
        200..=299 => judge_success(answered),
        400 | 403 | 413 | 422 if is_the_apis_own(answered) => {
            ActReply::Rejected { status: answered.status, message: describe_refusal(answered) }
        }
        401 => not_carried_out(NotCarriedOut::Unauthorized),
        404 | 405 | 410 | 415 => not_carried_out(NotCarriedOut::WrongPlace),
        409 if answered.limited => not_carried_out(NotCarriedOut::Throttled),
        429 => not_carried_out(NotCarriedOut::Throttled),
        _ => ActReply::Unreadable { message: describe_answer(answered) },
    }
}

/// Whether a refusal can be taken for the API's own word. A page for people may come from a filter on the way back, which
/// replaces answers to acts that were carried out; one that did not come whole may be such a page; and what names ids was
/// not refused as a whole.
fn is_the_apis_own(answered: &Answered) -> bool {
    let said_to_be_page = answered.content_type.as_deref().is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        ["text/html", "application/xhtml+xml"].iter().any(|page| page.eq_ignore_ascii_case(kind))
    });
    let own = match &answered.body {
        SeenBody::Ids(ids) => ids.is_empty(),
        SeenBody::NotJson(text) => !is_page(text),
        SeenBody::NoIds(_) | SeenBody::Empty | SeenBody::DuplicateKey(_) | SeenBody::TooManyValues => true,
        SeenBody::CutShort(_) | SeenBody::TimedOut(_) | SeenBody::TooLong(_) => false,
    };
    own && !said_to_be_page
}

/// HTML, whatever it is called: a page may follow an XML declaration or a comment.
fn is_page(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["<html", "<!doctype html", "<head", "<body"].iter().any(|mark| text.contains(mark))
}

/// An empty list is accepted with no id: the API called it a success, and items without an id become unknown by
/// pairing. Elements that are no usable id keep their place as empty text, so that positions still mean something.
fn judge_success(answered: &Answered) -> ActReply {
    match &answered.body {
        SeenBody::Ids(ids) if ids.len() <= IDS_MAX => {
            let usable = |id: &Option<String>| id.as_deref().filter(|id| safe_id(id)).unwrap_or_default().to_owned();
            ActReply::Accepted { ids: ids.iter().map(usable).collect() }
        }
        _ => ActReply::Unreadable { message: describe_answer(answered) },
    }
}

/// One line about a call that brought no answer, at most [`MESSAGE_CHARS_MAX`] characters, inert.
pub fn describe_no_answer(none: &NoAnswer) -> String {
    let phase = match (none.phase, none.body_taken) {
        (_, true) => "sent, but no answer came",
        (Phase::Local, false) => "the request could not be built",
        (Phase::Lookup, false) => "the name lookup failed",
        (Phase::Connect, false) => "cannot connect",
        (Phase::Tls, false) => "cannot agree on TLS",
        (Phase::Certificate, false) => "the connection cannot be trusted",
        (Phase::Proxy, false) => "the proxy refuses",
        (Phase::After, false) => "the connection ended before anything was sent",
    };
    let time = if none.timed_out { " in time" } else { "" };
    inert(&format!("{phase}{time}: {}", none.what), MESSAGE_CHARS_MAX)
}

/// One line about an answer, at most [`MESSAGE_CHARS_MAX`] characters, inert:
/// `HTTP 502, text/html: <html>bad gateway</html>`.
pub fn describe_answer(answered: &Answered) -> String {
    let kind = match &answered.content_type {
        // A content type is a foreign text too; a long one would crowd out the words.
        Some(kind) => inert(kind, 60),
        None => "no content type".to_owned(),
    };
    let words = match &answered.body {
        SeenBody::Ids(ids) if ids.len() > IDS_MAX => format!("it names {} ids, at most {IDS_MAX} are read", ids.len()),
        SeenBody::Ids(ids) => format!("it names {} ids", ids.len()),
        SeenBody::NoIds(words) | SeenBody::NotJson(words) => words.clone(),
        SeenBody::Empty => "an empty body".to_owned(),
        SeenBody::DuplicateKey(key) => format!("unreadable, the key \"{}\" comes twice", inert(key, 40)),
        SeenBody::TooManyValues => "unreadable, too many values".to_owned(),
        SeenBody::CutShort(bytes) => format!("cut short after {bytes} bytes"),
        SeenBody::TimedOut(bytes) => format!("not complete in time, {bytes} bytes came"),
        SeenBody::TooLong(bytes) => format!("longer than {bytes} bytes"),
    };
    inert(&format!("HTTP {}, {kind}: {words}", answered.status), MESSAGE_CHARS_MAX)
}

/// The API's own words where there are some: the status stands beside them.
fn describe_refusal(answered: &Answered) -> String {
    match &answered.body {
        SeenBody::NoIds(words) => inert(words, MESSAGE_CHARS_MAX),
        _ => describe_answer(answered),
    }
}

#[cfg(test)]
mod tests;
