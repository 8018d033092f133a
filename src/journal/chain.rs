//! The hashes that prove a run whole: one over its plan, from which a chain over its facts starts.
//!
//! What is hashed are the stored texts, byte for byte, so that an old journal stays whole when a newer quell would write
//! the same fact differently. Every part has a length or a fixed size: no two different contents hash the same bytes.

use super::Head;
use crate::engine::fact::Moment;
use crate::events::Event;
use crate::plan::{PlannedItem, RowWithoutItem};
use sha2::{Digest, Sha256};

/// Hashes a plan as it is stored: header first, then events, items and rows without an item, each in order.
pub(super) struct PlanHash(Sha256);

impl PlanHash {
    pub(super) fn new(meta: &str, header: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.text("quell journal 1");
        hash.text(meta);
        hash.text(header);
        hash
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.0.update(b"e");
        self.number(event.place.row);
        self.number(event.place.source.into());
        self.number(event.place.line);
        self.number(event.pid);
        self.text(&event.agent_id);
        self.text(&event.event_id);
        self.text(event.event_type.as_str());
        self.text(&event.unique_id);
        self.optional(event.action.as_deref());
        self.text(&event.attributes);
    }

    pub(super) fn item(&mut self, item: &PlannedItem) {
        self.0.update(b"i");
        self.number(item.event);
        self.number(item.step.into());
        self.number(item.target);
    }

    pub(super) fn row_without_item(&mut self, row: &RowWithoutItem) {
        self.0.update(b"r");
        self.number(row.row);
        self.number(row.source.into());
        self.number(row.line);
        self.0.update([u8::from(row.byte.is_some())]);
        self.0.update(row.byte.unwrap_or_default().to_be_bytes());
        self.text(&row.reason);
    }

    /// The head of a run without facts.
    pub(super) fn finish(self) -> Head {
        Head { sequence: 0, hash: self.0.finalize().into() }
    }

    fn number(&mut self, number: u32) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.0.update([u8::from(text.is_some())]);
        self.text(text.unwrap_or_default());
    }
}

impl Head {
    /// The head after one more fact with this stored body.
    pub(super) fn then(self, at: Moment, body: &str) -> Self {
        let sequence = self.sequence + 1;
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(sequence.to_be_bytes());
        hash.update(at.0.to_be_bytes());
        hash.update(body.as_bytes());
        Self { sequence, hash: hash.finalize().into() }
    }
}
