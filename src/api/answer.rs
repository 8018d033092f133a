//! What came back, before anyone judges it; and how an act's answer is read.
//!
//! Every foreign text passes through the token's redaction here, before it is shortened: half a token is a secret too.

use super::json::{Json, JsonError};
use super::limits::{body_refuses, headers_refuse};
use super::token::Token;
use crate::engine::sent_or_not::{Answered, NoAnswer, SeenBody};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// How a request ended.
#[derive(Debug)]
pub enum Carried {
    /// With a status line and headers.
    Answer(Answer),
    /// Without.
    NoAnswer(NoAnswer),
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body, or why it could not be had whole.
    pub body: Result<Bytes, BodyFault>,
}

/// Why a body could not be had whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The connection ended, or the framing was wrong, after so many bytes.
    CutShort(usize),
    /// The time was up after so many bytes.
    TimedOut(usize),
    /// It is longer than so many bytes, which is all that is read.
    TooLong(usize),
}

impl Answer {
    /// Reads the answer to an act.
    pub(super) fn read_act(&self, token: &Token) -> Answered {
        self.read(token, |json| match json.get("remediationIds") {
            Some(Json::List(ids)) => Some(SeenBody::Ids(ids.iter().map(|id| text_of(id, token)).collect())),
            _ => None,
        })
    }

    /// Reads an answer of which only the words matter.
    pub(super) fn read_words(&self, token: &Token) -> Answered {
        self.read(token, |_| None)
    }

    fn read(&self, token: &Token, ids: impl FnOnce(&Json) -> Option<SeenBody>) -> Answered {
        let body = match &self.body {
            Err(BodyFault::CutShort(bytes)) => SeenBody::CutShort(*bytes),
            Err(BodyFault::TimedOut(bytes)) => SeenBody::TimedOut(*bytes),
            Err(BodyFault::TooLong(bytes)) => SeenBody::TooLong(*bytes),
            Ok(body) if body.trim_ascii().is_empty() => SeenBody::Empty,
            Ok(body) => {
                let as_text = || token.redact(start_as_text(body));
                match Json::read(body) {
                    Ok(json) => {
                        ids(&json).unwrap_or_else(|| SeenBody::NoIds(words(&json, token).unwrap_or_else(as_text)))
                    }
                    Err(JsonError::DuplicateKey(key)) => SeenBody::DuplicateKey(token.redact(key)),
                    Err(JsonError::TooManyValues) => SeenBody::TooManyValues,
                    Err(JsonError::NotJson) => SeenBody::NotJson(as_text()),
                }
            }
        };
        Answered { status: self.status, content_type: self.content_type(token), limited: self.is_limited(), body }
    }

    /// Whether a limit refused the call: always with 429, and with 409 where headers or a code say so.
    pub(super) fn is_limited(&self) -> bool {
        match self.status {
            429 => true,
            409 => headers_refuse(&self.headers) || self.body.as_ref().is_ok_and(|body| body_refuses(body)),
            _ => false,
        }
    }

    fn content_type(&self, token: &Token) -> Option<String> {
        let value = self.headers.get(CONTENT_TYPE)?;
        Some(token.redact(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    }
}

fn text_of(id: &Json, token: &Token) -> Option<String> {
    match id {
        Json::Text(text) => Some(token.redact(text.clone())),
        _ => None,
    }
}

/// The words of the API's error forms: `{errorCode, message}`, `{_error: {…}}`, `{authentication_exceptions: […]}`.
fn words(json: &Json, token: &Token) -> Option<String> {
    let inner = ["_error", "error", "authentication_exceptions"].iter().find_map(|key| json.get(key));
    let inner = match inner {
        Some(Json::List(list)) => list.first(),
        other => other,
    };
    let source = inner.unwrap_or(json);
    let message = ["message", "errorMessage", "error_description", "text", "detail"]
        .iter()
        .find_map(|key| source.get(key)?.as_shown())
        .or_else(|| source.as_shown())?;
    let code = ["errorCode", "code", "error_code"].iter().find_map(|key| source.get(key)?.as_shown());
    Some(token.redact(match code {
        Some(code) => format!("{message} ({code})"),
        None => message.to_owned(),
    }))
}

/// As much as can matter to a message, with room for a token that is taken out of it.
fn start_as_text(body: &[u8]) -> String {
    const BYTES: usize = 64 * 1024;
    String::from_utf8_lossy(&body[..body.len().min(BYTES)]).into_owned()
}
