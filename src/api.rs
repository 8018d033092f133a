//! The API over HTTP: a call becomes a request, an answer becomes a reply.
//!
//! [`Api`] builds the URL and the body, adds the token, has a [`Transport`] carry them once, and says what came of it.
//! It decides nothing: neither waiting nor repeating nor pairing happens here. A refused token is read anew for the
//! next call; whether there is a next call is not decided here either.
//!
//! No reply, error or `Debug` output holds the token, and every message is one inert line.

pub mod answer;
pub mod detail;
mod go;
pub mod http;
pub mod in_process;
mod json;
pub mod limits;
pub mod request;
mod taken;
pub mod token;
pub mod transport;

pub use self::http::{Http, HttpError};
pub use crate::engine::sent_or_not::safe_id;
pub use go::Go;
pub use in_process::InProcess;
pub use limits::limit_headers;
pub use request::BaseUrlError;
pub use token::{TokenError, TokenSource};
pub use transport::Transport;

use crate::engine::call::{ActReply, ItemBody, LimitHeaders, PollReply, Reply, ReplyBody};
use crate::engine::fact::NotCarriedOut;
use crate::engine::sent_or_not::{MESSAGE_CHARS_MAX, NoAnswer, Seen, inert, judge};
use crate::plan::PlannedTenant;
use crate::tenant::Action;
use answer::Carried;
use request::{Urls, act_body};
use std::fmt;
use token::{Token, Tokens};
use transport::{Request, RequestWhat};

/// One tenant's API.
pub struct Api {
    urls: Urls,
    tokens: Tokens,
    transport: Box<dyn Transport>,
}

impl Api {
    /// Reads no token and opens no connection.
    pub fn new(
        tenant: &PlannedTenant,
        token: TokenSource,
        transport: impl Transport + 'static,
    ) -> Result<Self, BaseUrlError> {
        Ok(Self { urls: Urls::new(tenant)?, tokens: Tokens::new(token), transport: Box::new(transport) })
    }

    /// Reads the token if it was not read yet, so that a command can fail before anything is sent.
    pub async fn check_token(&self) -> Result<(), TokenError> {
        self.tokens.current().await.map(drop).map_err(|(_, error)| error)
    }

    /// Has an action carried out on these items: exactly one request, or none if there is no token.
    pub async fn act(&self, action: &Action, items: &[ItemBody], comment: &str) -> Reply {
        let token = match self.tokens.current().await {
            Ok(token) => token,
            Err((generation, error)) => {
                let why = NotCarriedOut::Unauthorized;
                let message = inert(&error.to_string(), MESSAGE_CHARS_MAX);
                return unsent(generation, ReplyBody::Act(ActReply::NotCarriedOut { why, message }));
            }
        };
        let what = RequestWhat::Act(act_body(action, items).into());
        let carried = self.carry(self.urls.act(comment), &token, what).await;
        let limits = limits_of(&carried);
        let seen = match carried {
            Carried::Answer(answer) => Seen::Answer(answer.read_act(&token)),
            Carried::NoAnswer(none) => Seen::NoAnswer(none),
        };
        let reply = judge(&seen);
        if matches!(reply, ActReply::NotCarriedOut { why: NotCarriedOut::Unauthorized, .. }) {
            self.tokens.refused(token.generation).await;
        }
        Reply { token: token.generation, limits, body: ReplyBody::Act(reply) }
    }

    /// Reads the detail of one remediation. An id that is not safe is never asked for.
    pub async fn poll(&self, action: &Action, remediation_id: &str) -> Reply {
        let Some(url) = self.urls.detail(action.request_type, remediation_id) else {
            let message = "the remediation id cannot be asked for: it is empty or holds unsafe characters".to_owned();
            return unsent(0, ReplyBody::Poll(PollReply::Failed { message }));
        };
        let token = match self.tokens.current().await {
            Ok(token) => token,
            Err((generation, _)) => return unsent(generation, ReplyBody::Poll(PollReply::Unauthorized)),
        };
        let carried = self.carry(url, &token, RequestWhat::Poll).await;
        let reply = detail::read_poll(&carried, &token);
        if reply == PollReply::Unauthorized {
            self.tokens.refused(token.generation).await;
        }
        Reply { token: token.generation, limits: limits_of(&carried), body: ReplyBody::Poll(reply) }
    }

    async fn carry(&self, url: String, token: &Token, what: RequestWhat) -> Carried {
        match self.transport.carry(Request { url, bearer: token.header(), what }).await {
            Carried::NoAnswer(none) => Carried::NoAnswer(NoAnswer { what: token.redact(none.what), ..none }),
            answer @ Carried::Answer(_) => answer,
        }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("urls", &self.urls).finish_non_exhaustive()
    }
}

fn unsent(token: u32, body: ReplyBody) -> Reply {
    Reply { token, limits: LimitHeaders::default(), body }
}

fn limits_of(carried: &Carried) -> LimitHeaders {
    match carried {
        Carried::Answer(answer) => limit_headers(&answer.headers),
        Carried::NoAnswer(_) => LimitHeaders::default(),
    }
}

#[cfg(test)]
mod tests;
