//! How a poll's answer is read: leniently where fields are concerned, strictly where the text itself is doubtful.
//!
//! It settles nothing: a status is passed on as it came.

use super::answer::{Answer, BodyFault, Carried};
use super::json::Json;
use super::token::Token;
use crate::engine::call::{Detail, PollReply};
use crate::engine::sent_or_not::{Phase, describe_answer, describe_no_answer};

/// The longest text of a detail, in characters.
pub const DETAIL_CHARS_MAX: usize = 500;

/// Reads how a poll ended.
pub(super) fn read_poll(carried: &Carried, token: &Token) -> PollReply {
    match carried {
        Carried::Answer(answer) => read_answer(answer, token),
        Carried::NoAnswer(none) => PollReply::NoAnswer {
            message: describe_no_answer(none),
            for_good: matches!(none.phase, Phase::Certificate | Phase::Proxy),
        },
    }
}

fn read_answer(answer: &Answer, token: &Token) -> PollReply {
    match answer.status {
        401 => return PollReply::Unauthorized,
        204 | 404 | 410 => return PollReply::NotFound { status: answer.status },
        _ if answer.is_limited() => return PollReply::Throttled,
        200..=299 => {}
        _ => return failed(answer, token),
    }
    match &answer.body {
        Ok(body) if body.trim_ascii().is_empty() => PollReply::NotFound { status: answer.status },
        Ok(body) => match Json::read(body) {
            Ok(json @ Json::Object(_)) => PollReply::Detail(Box::new(detail(&json, token))),
            Ok(_) | Err(_) => failed(answer, token),
        },
        Err(BodyFault::TooLong(_)) => failed(answer, token),
        Err(BodyFault::CutShort(_) | BodyFault::TimedOut(_)) => {
            PollReply::NoAnswer { message: describe_answer(&answer.read_words(token)), for_good: false }
        }
    }
}

fn failed(answer: &Answer, token: &Token) -> PollReply {
    PollReply::Failed { message: describe_answer(&answer.read_words(token)) }
}

fn detail(json: &Json, token: &Token) -> Detail {
    let text = |key| json.get(key).and_then(Json::as_shown).map(|text| shortened(token.redact(text.to_owned())));
    Detail {
        status: text("status"),
        status_message: text("statusMessage"),
        agent_id: text("agentId"),
        unique_id: text("uniqueId"),
        action: text("action"),
        comments: text("comments"),
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(DETAIL_CHARS_MAX) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
