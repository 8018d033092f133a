//! A playbook may tighten what its tenant permits, never widen it: whoever reviews tenants need not read playbooks.
//!
//! Tighter is: fewer calls in every window, more of them kept free, fewer in flight, smaller batches, shorter times
//! for a call; later and rarer polls, an earlier deadline, a shorter time in which "not found" is expected (later
//! polls spend less, earlier ends claim less). Saying the tenant's own value again is fine.

use super::{LimitsPatch, PollingPatch};
use crate::problem::Place;
use crate::tenant::{Limits, Polling, Rate, show_duration};
use crate::yaml::Spanned;
use std::time::Duration;

impl Limits {
    /// These limits with the playbook's in their place; every one that would widen them comes back with its place.
    pub fn tightened_by(&self, patch: &LimitsPatch) -> Result<Limits, Vec<(Place, String)>> {
        let mut wider = Vec::new();
        let limits = Limits {
            requests: tighter_requests(&mut wider, self.requests, patch.requests.as_ref()),
            keep_free: more_kept_free(&mut wider, self.keep_free, patch.keep_free.as_ref()),
            concurrency: fewer(&mut wider, "concurrency", self.concurrency, patch.concurrency.as_ref()),
            batch_size: fewer(&mut wider, "batch_size", self.batch_size, patch.batch_size.as_ref()),
            act_timeout: shorter(&mut wider, "act_timeout", self.act_timeout, patch.act_timeout.as_ref()),
            poll_timeout: shorter(&mut wider, "poll_timeout", self.poll_timeout, patch.poll_timeout.as_ref()),
        };
        if let (None, Some(free)) = (limits.requests, &patch.keep_free) {
            let message = "`keep_free` has no meaning while the tenant's `requests` is `unlimited`";
            wider.push((free.place, message.to_owned()));
        }
        if let (Some(requests), Some(free)) = (limits.requests, limits.keep_free)
            && !free.is_less_than(requests)
            && let Some(place) = place_of(patch.keep_free.as_ref()).or(place_of(patch.requests.as_ref()))
        {
            wider.push((place, format!("keeping {free} free leaves nothing of {requests}")));
        }
        if wider.is_empty() { Ok(limits) } else { Err(wider) }
    }
}

impl Polling {
    /// This polling with the playbook's in its place; every part that would widen it comes back with its place.
    pub fn tightened_by(&self, patch: &PollingPatch) -> Result<Polling, Vec<(Place, String)>> {
        let mut wider = Vec::new();
        let polling = Polling {
            first_after: longer(&mut wider, "first_after", self.first_after, patch.first_after.as_ref()),
            interval: longer(&mut wider, "interval", self.interval, patch.interval.as_ref()),
            interval_max: longer(&mut wider, "interval_max", self.interval_max, patch.interval_max.as_ref()),
            deadline: shorter(&mut wider, "deadline", self.deadline, patch.deadline.as_ref()),
            not_found_grace: shorter(
                &mut wider,
                "not_found_grace",
                self.not_found_grace,
                patch.not_found_grace.as_ref(),
            ),
        };
        if wider.is_empty() {
            let intervals = place_of(patch.interval.as_ref()).or(place_of(patch.interval_max.as_ref()));
            let deadline = place_of(patch.deadline.as_ref()).or(place_of(patch.first_after.as_ref()));
            wider = polling.contradictions(intervals.unwrap_or_default(), deadline.unwrap_or_default());
        }
        if wider.is_empty() { Ok(polling) } else { Err(wider) }
    }
}

/// What would widen the tenant's, with its place.
type Wider = Vec<(Place, String)>;

fn tighter_requests(wider: &mut Wider, tenant: Option<Rate>, patch: Option<&Spanned<Rate>>) -> Option<Rate> {
    let Some(Spanned { value: rate, place }) = patch else { return tenant };
    if let Some(tenant) = tenant.filter(|tenant| !rate.keeps_to(*tenant)) {
        wider.push((*place, format!("`requests` ({rate}) may exceed the tenant's {tenant}")));
    }
    Some(*rate)
}

fn more_kept_free(wider: &mut Wider, tenant: Option<Rate>, patch: Option<&Spanned<Rate>>) -> Option<Rate> {
    let Some(Spanned { value: rate, place }) = patch else { return tenant };
    if let Some(tenant) = tenant.filter(|tenant| rate.is_less_than(*tenant)) {
        wider.push((*place, format!("`keep_free` ({rate}) is less than the tenant's {tenant}")));
    }
    Some(*rate)
}

fn fewer(wider: &mut Wider, key: &str, tenant: u16, patch: Option<&Spanned<u16>>) -> u16 {
    let Some(Spanned { value, place }) = patch else { return tenant };
    if *value > tenant {
        wider.push((*place, format!("`{key}` ({value}) is more than the tenant's {tenant}")));
    }
    *value
}

fn shorter(wider: &mut Wider, key: &str, tenant: Duration, patch: Option<&Spanned<Duration>>) -> Duration {
    let Some(Spanned { value, place }) = patch else { return tenant };
    if *value > tenant {
        wider.push((*place, against(key, *value, "longer", tenant)));
    }
    *value
}

fn longer(wider: &mut Wider, key: &str, tenant: Duration, patch: Option<&Spanned<Duration>>) -> Duration {
    let Some(Spanned { value, place }) = patch else { return tenant };
    if *value < tenant {
        wider.push((*place, against(key, *value, "shorter", tenant)));
    }
    *value
}

fn against(key: &str, value: Duration, than: &str, tenant: Duration) -> String {
    let (value, tenant) = (show_duration(value), show_duration(tenant));
    format!("`{key}` ({value}) is {than} than the tenant's {tenant}")
}

fn place_of<T>(patch: Option<&Spanned<T>>) -> Option<Place> {
    patch.map(|spanned| spanned.place)
}
