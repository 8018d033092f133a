//! Who carries calls: the whole API, or a part of it that can only read.

use crate::api::Api;
use crate::engine::call::{ActReply, ItemBody, LimitHeaders, Reply, ReplyBody};
use crate::engine::fact::NotCarriedOut;
use crate::tenant::Action;

/// Carries calls, one request each.
pub trait Caller: Send + Sync + 'static {
    /// Has an action carried out on these items: at most one request.
    fn act(&self, action: &Action, items: &[ItemBody], comment: &str) -> impl Future<Output = Reply> + Send;
    /// Reads the detail of one remediation.
    fn poll(&self, action: &Action, remediation_id: &str) -> impl Future<Output = Reply> + Send;
}

impl Caller for Api {
    async fn act(&self, action: &Action, items: &[ItemBody], comment: &str) -> Reply {
        Self::act(self, action, items, comment).await
    }

    async fn poll(&self, action: &Action, remediation_id: &str) -> Reply {
        Self::poll(self, action, remediation_id).await
    }
}

/// An API of which nothing is used that changes anything: no act can leave through it, whatever it is asked.
#[derive(Debug)]
pub struct OnlyPolls(pub Api);

impl Caller for OnlyPolls {
    async fn act(&self, _: &Action, _: &[ItemBody], _: &str) -> Reply {
        let (why, message) = (NotCarriedOut::NotSentForGood, "this process only polls".to_owned());
        let body = ReplyBody::Act(ActReply::NotCarriedOut { why, message });
        Reply { token: 0, limits: LimitHeaders::default(), body }
    }

    async fn poll(&self, action: &Action, remediation_id: &str) -> Reply {
        self.0.poll(action, remediation_id).await
    }
}
