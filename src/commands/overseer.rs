//! Who looks whether a run may act: requests of other processes, the state folder's `STOP`, and what the playbook names:
//! its stop file, its address that has to say yes, its windows. It also hears what is typed on the run's own terminal.
//!
//! It looks before every act, and every second while a run waits; the address is asked before acts alone. What it cannot
//! look at counts as a stop: a sign that cannot be read may be one.

use super::run::wall_clock;
use super::tell;
use super::typed::Typed;
use crate::api::Go;
use crate::driver::{Order, Overseer};
use crate::engine::Promotion;
use crate::engine::fact::{Moment, StopReason};
use crate::error::Failure;
use crate::inert;
use crate::journal::{Requests, StoreError, stop_of_all};
use crate::plan::PlanHeader;
use crate::playbook::Schedule;
use crate::report::words;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often requests are looked for while a run waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Watch {
    requests: Requests,
    signs: Signs,
    go: Option<Go>,
    /// The run's own terminal, and who works at it.
    typed: Option<(Typed, Option<String>)>,
    /// A stop is said once.
    stopped: bool,
    looked: Option<Instant>,
    /// Heard and not handed on yet: to look may be cut short.
    heard: Vec<Order>,
}

/// What forbids acts while it is there.
#[derive(Default)]
struct Signs {
    stop_files: Vec<PathBuf>,
    schedule: Schedule,
}

impl Signs {
    fn of(state: &Path, header: &PlanHeader) -> Self {
        let stop_file = header.release.stop_file.as_ref().map(PathBuf::from);
        let stop_files = std::iter::once(stop_of_all(state)).chain(stop_file).collect();
        Self { stop_files, schedule: header.release.schedule.clone() }
    }

    /// What forbids acts now, in words.
    fn forbid(&self) -> Option<(StopReason, String)> {
        let there = self.stop_files.iter().find(|path| is_there(path));
        let there = there.map(|path| {
            (StopReason::StopFile, format!("the stop file {} is there", inert::terminal(&path.display().to_string())))
        });
        let closed = || self.schedule.forbids(wall_clock().0).map(|why| (StopReason::Window, why));
        there.or_else(closed)
    }
}

impl Watch {
    /// For a process that works on this run. What forbids acts is nothing to one that only polls.
    pub(super) fn of_run(
        state: &Path,
        header: &PlanHeader,
        (run, only_polls): (&str, bool),
        typed: Option<(Typed, Option<String>)>,
    ) -> Result<Self, Failure> {
        let requests = Requests::of_run(state, &header.tenant.name, run);
        let (signs, go) = match only_polls {
            true => (Signs::default(), None),
            false => (Signs::of(state, header), go_of(header)?),
        };
        Ok(Self { requests, signs, go, typed, stopped: false, looked: None, heard: Vec::new() })
    }

    fn look(&mut self) -> Result<Vec<Order>, StoreError> {
        let mut orders: Vec<Order> = self.requests.take_promotion()?.map(Order::Promote).into_iter().collect();
        orders.extend(self.typed());
        if self.requests.take_stop()? {
            orders.extend(self.stop(StopReason::Operator, "`quell stop` was given"));
        } else if let Some((why, words)) = self.signs.forbid() {
            orders.extend(self.stop(why, &words));
        }
        Ok(orders)
    }

    /// What was said on the terminal.
    fn typed(&mut self) -> Option<Order> {
        let (typed, by) = self.typed.as_mut()?;
        let wave = typed.promoted()?;
        Some(Order::Promote(Promotion { wave: Some(wave), by: by.clone(), reason: None }))
    }

    /// An order to stop, the first time; why is said even when it is quiet.
    fn stop(&mut self, why: StopReason, words: &str) -> Option<Order> {
        if std::mem::replace(&mut self.stopped, true) {
            return None;
        }
        tell(&format!("stopping: {words}; no further acts, open items are polled for a while"));
        Some(Order::Stop(why))
    }

    fn orders(&mut self) -> Vec<Order> {
        self.looked = Some(Instant::now());
        match self.look() {
            Ok(orders) => orders,
            Err(e) => {
                let words = format!("it cannot be told whether it is to stop: {e}");
                self.stop(StopReason::StopFile, &words).into_iter().collect()
            }
        }
    }
}

impl Overseer for Watch {
    fn heard(&mut self) -> Vec<Order> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            let orders = self.orders();
            self.heard.extend(orders);
        }
        std::mem::take(&mut self.heard)
    }

    async fn before_act(&mut self) -> Vec<Order> {
        let orders = self.orders();
        self.heard.extend(orders);
        if let (Some(go), false) = (self.go.clone(), self.stopped)
            && let Err(why) = go.ask().await
        {
            let order = self.stop(StopReason::GoUrl, &inert::terminal(&why));
            self.heard.extend(order);
        }
        std::mem::take(&mut self.heard)
    }

    fn wall(&self) -> Moment {
        wall_clock()
    }

    fn look_every(&self) -> Option<Duration> {
        Some(LOOK_EVERY)
    }
}

/// Refuses to begin or to take up what would stop at once.
pub(super) async fn refuse_if_forbidden(state: &Path, header: &PlanHeader) -> Result<(), Failure> {
    let signs = Signs::of(state, header);
    if let Some((why, words)) = signs.forbid() {
        let opens = signs.schedule.opens(wall_clock().0).filter(|_| why == StopReason::Window);
        let help = match (why, opens) {
            (StopReason::Window, Some(at)) => {
                format!("it may act again from {}", words::time(Moment(at)))
            }
            (StopReason::Window, None) => "it may not act again within a year".to_owned(),
            _ => "remove it when acting may go on".to_owned(),
        };
        return Err(Failure::Held(format!("{words}; nothing was sent\nhelp: {help}")));
    }
    if let Some(go) = go_of(header)?
        && let Err(why) = go.ask().await
    {
        return Err(Failure::Held(format!("{}; only 200 is a yes; nothing was sent", inert::terminal(&why))));
    }
    Ok(())
}

fn go_of(header: &PlanHeader) -> Result<Option<Go>, Failure> {
    header.release.go_url.as_deref().map(Go::new).transpose().map_err(Failure::Usage)
}

/// Whether anything has this name; what cannot be looked at counts.
fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(e) if e.kind() == std::io::ErrorKind::NotFound)
}
