//! What people say in a test, when its time has come, and the hours in which the playbook may act.

use crate::driver::{Order, Overseer};
use crate::engine::Promotion;
use crate::engine::fact::{Moment, StopReason};
use crate::playbook::Schedule;
use crate::scenario::{Said, Saying};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How often windows are looked at while a run waits, as in earnest.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A run in which more happens than this is ended: whoever waits for a test wants to know.
pub(super) const LOOKS_MAX: u32 = 100_000;

/// See the module. Addresses and stop files are not asked: a test opens no connection and looks at no file.
pub(super) struct People<'a> {
    began: Instant,
    /// When the run began, in milliseconds since 1970.
    begins: u64,
    /// What is still to be said.
    pub(super) sayings: VecDeque<&'a Saying>,
    schedule: &'a Schedule,
    is_closed: bool,
    /// How often it was looked.
    looks: u32,
}

impl<'a> People<'a> {
    pub(super) fn new(begins: u64, sayings: &'a [Saying], schedule: &'a Schedule) -> Self {
        Self { began: Instant::now(), begins, sayings: sayings.iter().collect(), schedule, is_closed: false, looks: 0 }
    }

    /// Whether the run was ended because it would not end.
    pub(super) fn had_enough(&self) -> bool {
        self.looks > LOOKS_MAX
    }

    /// What the clock on the wall shows in the test.
    fn now(&self) -> Moment {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment(self.begins.saturating_add(passed))
    }

    fn orders(&mut self) -> Vec<Order> {
        let passed = self.began.elapsed();
        let mut orders = Vec::new();
        while let Some(saying) = self.sayings.front().copied().filter(|saying| saying.after.value <= passed) {
            self.sayings.pop_front();
            orders.push(match &saying.what {
                Said::Stop => Order::Stop(StopReason::Operator),
                Said::Promote(reason) => Order::Promote(Promotion {
                    wave: None,
                    by: Some("a person of the test".to_owned()),
                    reason: reason.clone(),
                }),
            });
        }
        if !self.is_closed && self.schedule.forbids(self.now().0).is_some() {
            self.is_closed = true;
            orders.push(Order::Stop(StopReason::Window));
        }
        orders
    }
}

impl Overseer for &mut People<'_> {
    fn heard(&mut self) -> Vec<Order> {
        self.looks += 1;
        let mut orders = self.orders();
        if self.had_enough() {
            orders.push(Order::Stop(StopReason::SignalAgain));
        }
        orders
    }

    async fn before_act(&mut self) -> Vec<Order> {
        self.orders()
    }

    fn wall(&self) -> Moment {
        self.now()
    }

    fn look_every(&self) -> Option<Duration> {
        if !self.schedule.is_empty() {
            return Some(LOOK_EVERY);
        }
        let next = self.sayings.front()?;
        Some(next.after.value.saturating_sub(self.began.elapsed()).max(Duration::from_millis(1)))
    }
}
