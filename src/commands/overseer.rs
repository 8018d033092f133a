//! Who looks whether a run may act: requests of other processes, the state folder's `STOP`, the playbook's stop file.
//!
//! It looks before every act, and every second while a run waits. What it cannot look at counts as a stop: a sign that
//! cannot be read may be one.

use super::tell;
use crate::driver::{Order, Overseer};
use crate::engine::fact::StopReason;
use crate::error::Failure;
use crate::journal::{Requests, StoreError};
use crate::plan::PlanHeader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often requests are looked for while a run waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Watch {
    requests: Requests,
    stop_file: Option<PathBuf>,
    /// A stop is said once.
    stopped: bool,
    looked: Option<Instant>,
}

impl Watch {
    /// For a process that begins to work on this run: requests that are there were meant for another one.
    pub(super) fn of_run(state: &Path, header: &PlanHeader, run: &str) -> Result<Self, Failure> {
        let requests = Requests::of_run(state, &header.tenant.name, run);
        requests.clear()?;
        let stop_file = header.release.stop_file.as_ref().map(PathBuf::from);
        Ok(Self { requests, stop_file, stopped: false, looked: None })
    }

    fn look(&mut self) -> Result<Vec<Order>, StoreError> {
        let mut orders: Vec<Order> = self.requests.take_promotion()?.map(Order::Promote).into_iter().collect();
        let mut stop = |why| orders.push(Order::Stop(why));
        if self.requests.take_stop()? {
            stop(StopReason::Operator);
        } else if self.requests.all_stop() || self.stop_file.as_deref().is_some_and(is_there) {
            stop(StopReason::StopFile);
        }
        Ok(orders)
    }

    fn orders(&mut self) -> Vec<Order> {
        self.looked = Some(Instant::now());
        let orders = self.look().unwrap_or_else(|e| {
            if !self.stopped {
                tell(&format!("it cannot be told whether this run is to stop, so it does: {e}"));
            }
            vec![Order::Stop(StopReason::StopFile)]
        });
        let is_new = |order: &Order| !matches!(order, Order::Stop(_)) || !std::mem::replace(&mut self.stopped, true);
        orders.into_iter().filter(is_new).collect()
    }
}

impl Overseer for Watch {
    fn heard(&mut self) -> Vec<Order> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) { Vec::new() } else { self.orders() }
    }

    async fn before_act(&mut self) -> Vec<Order> {
        self.orders()
    }

    fn look_every(&self) -> Option<Duration> {
        Some(LOOK_EVERY)
    }
}

/// Refuses to begin or to take up what would stop at once.
pub(super) fn refuse_if_stopped(state: &Path, header: &PlanHeader) -> Result<(), Failure> {
    let stop_file = header.release.stop_file.as_ref().map(PathBuf::from);
    let signs = std::iter::once(crate::journal::stop_of_all(state)).chain(stop_file);
    match signs.into_iter().find(|path| is_there(path)) {
        Some(path) => Err(Failure::Held(format!(
            "the stop file {} is there; nothing was sent\nhelp: remove it when acting may go on",
            crate::inert::terminal(&path.display().to_string())
        ))),
        None => Ok(()),
    }
}

/// Whether anything has this name; what cannot be looked at counts.
fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(e) if e.kind() == std::io::ErrorKind::NotFound)
}
