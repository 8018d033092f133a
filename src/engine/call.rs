//! What the engine asks of the outside, and what the outside may answer.

use super::fact::{BatchId, CallId, ItemId, NotCarriedOut, RemediationRef};
use crate::tenant::EventType;
use std::time::Duration;

/// One call to the API. Self-contained: with the plan and the journal, any worker could carry it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its number within the run.
    pub id: CallId,
    /// What to do.
    pub what: CallWhat,
}

/// See [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallWhat {
    /// `performAction` over these items. Its intent is durable before it is given to anyone.
    Act {
        /// The batch.
        batch: BatchId,
        /// Index of the step, which names the action.
        step: u16,
        /// The items in the order in which they are sent.
        items: Vec<ItemId>,
    },
    /// Reads one remediation's detail.
    Poll {
        /// Which.
        of: RemediationRef,
        /// Index of the step, whose action names the request type.
        step: u16,
    },
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Which token was used: 1 for the first that was read, one more for each later reading.
    pub token: u32,
    /// What the headers said about limits.
    pub limits: LimitHeaders,
    /// The answer itself.
    pub body: ReplyBody,
}

/// See [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyBody {
    /// To an act.
    Act(ActReply),
    /// To a poll.
    Poll(PollReply),
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActReply {
    /// Accepted; the ids as they came, those outside the safe alphabet replaced by empty text.
    Accepted {
        /// In the API's order.
        ids: Vec<String>,
    },
    /// Refused for what it is.
    Rejected {
        /// HTTP status.
        status: u16,
        /// The API's words, at most 200 characters, inert.
        message: String,
    },
    /// Surely not carried out.
    NotCarriedOut {
        /// Why.
        why: NotCarriedOut,
        /// What was seen, at most 200 characters, inert.
        message: String,
    },
    /// Sent, and no readable answer.
    Unreadable {
        /// What was seen, at most 200 characters, inert.
        message: String,
    },
}

/// What a poll brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollReply {
    /// The detail object.
    Detail(Box<Detail>),
    /// 404, 410, 204 or an empty 2xx.
    NotFound {
        /// HTTP status.
        status: u16,
    },
    /// A limit refused it.
    Throttled,
    /// The token was refused.
    Unauthorized,
    /// Any other answer: 403, 5xx, a redirect, something unreadable.
    Failed {
        /// What was seen, at most 200 characters, inert.
        message: String,
    },
    /// No answer: the network, a time limit.
    NoAnswer {
        /// What was seen, at most 200 characters, inert.
        message: String,
        /// Whether trying again cannot help: a bad certificate, a proxy that refuses.
        for_good: bool,
    },
}

/// The fields of a detail that decide or are shown; each is optional in the API. Texts are kept as they came, at most
/// 500 characters each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the API's own fields")]
pub struct Detail {
    pub status: Option<String>,
    pub status_message: Option<String>,
    pub agent_id: Option<String>,
    pub unique_id: Option<String>,
    pub action: Option<String>,
    pub comments: Option<String>,
}

/// What an answer's headers said about limits. Any may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitHeaders {
    /// `X-RateLimit-Limit`
    pub limit: Option<u32>,
    /// `X-RateLimit-Window-Sec`
    pub window: Option<Duration>,
    /// `X-RateLimit-Remaining`
    pub remaining: Option<u32>,
    /// The larger of `X-RateLimit-ToWait-Sec` and `Retry-After`; dates are taken relative to the answer's `Date`.
    pub wait: Option<Duration>,
    /// `X-Concurrency-Limit-Limit` or `X-ConcurrencyLimit-Limit`
    pub concurrency: Option<u16>,
}

/// What an act sends of an item, before the action's `fill`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `events::Event`")]
pub struct ItemBody {
    pub agent_id: Box<str>,
    pub event_id: Box<str>,
    pub event_type: EventType,
    pub pid: u32,
    pub unique_id: Box<str>,
}
