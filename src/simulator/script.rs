//! Answers that a test writes in advance, so that every way an act can end is made on purpose.
//!
//! Queues, one for acts and one for polls: each call takes the next answer; when none is left, calls are genuine again.
//! What fails is said by action and agent, as which call that will be depends on the client.

use super::state::SimItem;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// What shall become of the next calls and connections.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// One for each of the next acts.
    pub acts: Vec<ScriptedAnswer>,
    /// One for each of the next polls.
    pub polls: Vec<ScriptedAnswer>,
    /// What the details of items show, one status after the other.
    pub items: Vec<ScriptedItem>,
    /// So many of the next accepted connections are closed before a byte is read. Only where it is served.
    pub close_connections: u32,
    /// What is carried out from now on fails where it is this action, by its name, on this agent.
    pub failing: Vec<(String, String)>,
}

/// What each poll of an item's remediations shows; the last word stays. It ends at once as its last word says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedItem {
    /// Which.
    pub item: SimItem,
    /// What a detail's `status` says, from the first poll on; at least one.
    pub statuses: Vec<String>,
}

/// What shall become of one call. The default is the genuine answer.
#[derive(Debug, Clone)]
pub struct ScriptedAnswer {
    /// Whether the call is looked at at all: an act that is right is then carried out, a wrong one is still refused.
    /// Without it the call touches nothing, neither limits nor remediations.
    pub carry_out: bool,
    /// Instead of the genuine status (200 when nothing was carried out).
    pub status: Option<StatusCode>,
    /// Replace genuine headers of the same name. `Content-Length` is not for here: [`Cut::MidBody`] makes a wrong one.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Instead of the genuine body (empty when nothing was carried out).
    pub body: Option<Bytes>,
    /// How much later than usual the answer comes. What is carried out is carried out before.
    pub delay: Duration,
    /// How much of the answer comes.
    pub cut: Option<Cut>,
}

/// Where an answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Not a byte of it comes, the connection closes.
    Unanswered,
    /// So many bytes of the body come, under a length that promises more; then the connection closes.
    MidBody(usize),
}

impl Default for ScriptedAnswer {
    fn default() -> Self {
        Self { carry_out: true, status: None, headers: Vec::new(), body: None, delay: Duration::ZERO, cut: None }
    }
}

impl ScriptedAnswer {
    /// An answer out of nowhere: nothing is carried out.
    pub fn of(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { carry_out: false, status: Some(status), body: Some(body.into()), ..Self::default() }
    }

    /// Nothing is carried out and the connection dies.
    pub fn cut_before() -> Self {
        Self { carry_out: false, cut: Some(Cut::Unanswered), ..Self::default() }
    }

    /// It is carried out, and then the connection dies.
    pub fn cut_after() -> Self {
        Self { cut: Some(Cut::Unanswered), ..Self::default() }
    }

    /// The same with this header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What is left of the scripts.
#[derive(Debug, Default)]
pub(super) struct Queues {
    pub(super) acts: VecDeque<ScriptedAnswer>,
    pub(super) polls: VecDeque<ScriptedAnswer>,
    pub(super) close_connections: u32,
    /// By the key of the item.
    pub(super) items: HashMap<u64, Statuses>,
    failing: HashSet<(String, String)>,
}

/// What is shown of one item.
#[derive(Debug)]
pub(super) struct Statuses {
    words: Vec<String>,
    /// How many polls there were.
    shown: usize,
}

impl Statuses {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self { words, shown: 0 }
    }

    /// How many polls there were.
    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    /// What is shown in the end.
    pub(super) fn last(&self) -> Option<&str> {
        self.words.last().map(String::as_str)
    }

    /// What this poll shows.
    pub(super) fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.shown).or(self.words.last());
        self.shown += 1;
        word.cloned()
    }
}

impl Queues {
    pub(super) fn append(&mut self, script: Script) {
        self.acts.extend(script.acts);
        self.polls.extend(script.polls);
        self.close_connections = self.close_connections.saturating_add(script.close_connections);
        self.failing.extend(script.failing);
    }

    /// Whether that action is to fail on that agent.
    pub(super) fn fails(&self, action: &str, agent_id: &str) -> bool {
        !self.failing.is_empty() && self.failing.contains(&(action.to_owned(), agent_id.to_owned()))
    }
}
