//! What people and signals say to a run while it goes on, and who looks whether it may act.

use crate::engine::Input;
use crate::engine::Promotion;
use crate::engine::fact::{Moment, StopReason};
use std::time::Duration;

/// Said to a run while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Send no further act.
    Stop(StopReason),
    /// Let the next wave begin.
    Promote(Promotion),
}

impl From<Order> for Input {
    fn from(order: Order) -> Self {
        match order {
            Order::Stop(why) => Self::Stop(why),
            Order::Promote(promotion) => Self::Promote(promotion),
        }
    }
}

/// Looks at what lies outside of a run and may forbid it to act: files, addresses, the time of day.
pub trait Overseer: Send {
    /// What was said since the last look. It costs little, and waits for nobody.
    fn heard(&mut self) -> Vec<Order>;
    /// Asked right before an act starts: whatever forbids it is an order to stop.
    fn before_act(&mut self) -> impl Future<Output = Vec<Order>> + Send;
    /// What the clock on the wall shows, which goes on while the machine sleeps.
    fn wall(&self) -> Moment;
    /// How long a run that waits may go without a look; `None` when there is nothing to look at.
    fn look_every(&self) -> Option<Duration>;
}

/// Nobody looks: nothing outside forbids anything.
#[derive(Debug, Clone, Copy)]
pub struct NobodyLooks;

impl Overseer for NobodyLooks {
    fn heard(&mut self) -> Vec<Order> {
        Vec::new()
    }

    async fn before_act(&mut self) -> Vec<Order> {
        Vec::new()
    }

    fn wall(&self) -> Moment {
        Moment::default()
    }

    fn look_every(&self) -> Option<Duration> {
        None
    }
}
