//! What the API of a driven run answers, as bytes choose, or well.

use super::World;
use crate::engine::call::{ActReply, Detail, LimitHeaders, PollReply};
use crate::engine::fact::{BatchId, ItemId, NotCarriedOut, RemediationRef};
use crate::engine::tag;
use crate::fuzzing::ground::RUN;
use std::time::Duration;

impl World<'_> {
    pub(super) fn limits(&mut self) -> LimitHeaders {
        let numbers = [None, Some(0), Some(1), Some(50), Some(u32::MAX)];
        let seconds = |of: Option<u32>| of.map(|seconds| Duration::from_secs(seconds.into()));
        let (limit, remaining) = (self.choices.one_of(&numbers), self.choices.one_of(&numbers));
        let (window, wait) = (seconds(self.choices.one_of(&numbers)), seconds(self.choices.one_of(&numbers)));
        LimitHeaders { limit, window, remaining, wait, concurrency: self.choices.one_of(&[None, Some(0), Some(1)]) }
    }

    pub(super) fn act_reply(&mut self, batch: BatchId, items: &[ItemId], well: bool) -> ActReply {
        let message = "said so".to_owned();
        let mut owners: Vec<Option<ItemId>> = items.iter().copied().map(Some).collect();
        match if well { 0 } else { self.choices.below(16) } {
            0..=4 => {}
            5 => owners.reverse(),
            6 => drop(owners.remove(0)),
            7 => owners.push(None),
            8 => owners[0] = None,
            9 => owners = vec![owners[0]; owners.len()],
            10 => return ActReply::Rejected { status: 400, message },
            11 => return ActReply::Unreadable { message },
            _ => {
                use NotCarriedOut::{NotSent, NotSentForGood, Throttled, Unauthorized, WrongPlace};
                let all = [Throttled, NotSent, Unauthorized, Throttled, NotSentForGood, WrongPlace];
                return ActReply::NotCarriedOut { why: self.choices.one_of(&all), message };
            }
        }
        let id = |owner: &Option<ItemId>| owner.map_or(String::new(), |item| format!("R_{}", item.0));
        let ids = owners.iter().map(id).collect();
        self.ids.insert(batch, owners);
        ActReply::Accepted { ids }
    }

    pub(super) fn poll_reply(&mut self, of: RemediationRef, well: bool) -> PollReply {
        let message = "said so".to_owned();
        let Some(item) = self.ids[&of.batch][usize::from(of.index)] else {
            return PollReply::NotFound { status: 404 };
        };
        let stuck = item.0 as usize % 8 == self.stuck;
        let (words, kind) = match (well, stuck) {
            (true, true) => (3 + item.0 as usize % 2, 0),
            (true, false) => (0, 0),
            (false, _) => (self.choices.below(6), self.choices.below(14)),
        };
        let word = [Some("Success "), Some("success"), Some("failed"), Some("queued"), Some("odd"), None][words];
        let (mut detail, mut of_items) = (self.detail(item, of, word), vec![item]);
        match kind {
            0..=5 => {}
            6 => {
                (detail.agent_id, detail.unique_id, detail.comments) = (None, None, None);
                of_items = (0..self.plan.items.len() as u32).map(ItemId).collect();
            }
            7 => {
                detail.agent_id = Some("agent-of-others".to_owned());
                of_items.clear();
            }
            8 => {
                detail.comments = Some("[quell other-0611-001/1]".to_owned());
                of_items.clear();
            }
            9 => return PollReply::NotFound { status: 404 },
            10 => return PollReply::Throttled,
            11 => return PollReply::Unauthorized,
            12 => return PollReply::Failed { message },
            _ => return PollReply::NoAnswer { message, for_good: self.choices.below(4) == 3 },
        }
        if word.is_some_and(|word| word.trim().eq_ignore_ascii_case("success")) {
            self.said.extend(of_items.into_iter().map(|item| (of, item)));
        }
        PollReply::Detail(Box::new(detail))
    }

    fn detail(&self, item: ItemId, of: RemediationRef, word: Option<&str>) -> Detail {
        let planned = self.plan.items[item.0 as usize];
        let event = &self.plan.events[planned.event as usize];
        Detail {
            status: word.map(str::to_owned),
            status_message: None,
            agent_id: Some(event.agent_id.to_string()),
            unique_id: Some(event.unique_id.to_string()),
            action: self.plan.header.steps[usize::from(planned.step)].action.shown_as.first().cloned(),
            comments: Some(tag::comment_of("INC-7", RUN, of.batch)),
        }
    }
}
