//! A tenant of our own: the vendor's endpoints on loopback or in process, with a ledger of what it carried out.
//!
//! It is as strict as the vendor's pages and deterministic: ids, fates and settle times follow from the seed and the
//! item, latencies and broken connections from the seed and the order of calls. Time is tokio's, so it runs under
//! virtual time too. Its action ids are its own; nobody publishes the real ones.
//!
//! It refuses to listen anywhere but on loopback, and never counts a refused call as carried out.

mod options;
mod state;
mod ledger;
mod limiter;
mod request;
mod detail;
mod script;
mod calls;
mod answer;
mod serving;
mod tenant_file;
mod chance;

#[cfg(test)]
mod tests;

pub use answer::Broken;
pub use ledger::{Counters, Entry, Ledger, Refused};
pub use options::{Delay, Options, SimAction, StatusWords, ThrottleKind, ThrottleStatus};
pub use script::{Cut, Script, ScriptedAnswer, ScriptedItem};
pub use serving::Served;
pub use state::{Fate, RestoreError, SimItem, Submitter};

use chance::Chance;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// A simulated tenant. Clones share everything.
#[derive(Clone)]
pub struct Simulator(Arc<Shared>);

struct Shared {
    options: Options,
    chance: Chance,
    started: Instant,
    state: Mutex<State>,
}

impl Simulator {
    /// A tenant that has carried out nothing yet. Its clock starts here, at [`Options::epoch_ms`]; call it inside the
    /// runtime whose time it shall follow.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Shared {
            chance: Chance::new(options.seed),
            started: Instant::now(),
            state: Mutex::new(State::new(&options)),
            options,
        }))
    }

    /// The vendor's endpoints in both versions and `GET /_simulator/ledger`, to be served or called in process.
    pub fn router(&self) -> axum::Router {
        calls::router(self.clone())
    }

    /// A copy of everything that was carried out or refused until now.
    pub fn ledger(&self) -> Ledger {
        self.state().ledger(&self.0.options)
    }

    /// The counters alone, which cost nothing however much was carried out.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// Appends to what is scripted for the next calls and connections.
    pub fn script(&self, script: Script) {
        self.state().append_script(script);
    }

    /// How many polls have shown what is scripted for this item.
    pub fn shown(&self, item: &SimItem) -> usize {
        self.state().shown(item)
    }

    /// Puts back a remediation that an earlier process accepted: it counts as carried out earlier, and settles from
    /// now on by the same rules.
    pub fn restore(&self, remediation_id: &str, item: &SimItem, by: &Submitter) -> Result<(), RestoreError> {
        let now = self.elapsed();
        self.state().restore(&self.0.options, self.0.chance, now, remediation_id, item, by)
    }

    /// Serves on loopback until [`Served::shutdown`] or until the handle is dropped. Anything but a loopback address
    /// is refused. To be called inside a runtime.
    pub fn serve(&self, listener: tokio::net::TcpListener) -> std::io::Result<Served> {
        serving::serve(self.clone(), listener)
    }

    /// A tenant file for this simulator at that address.
    pub fn tenant_yaml(&self, base_url: &str) -> String {
        tenant_file::tenant_yaml(&self.0.options, base_url)
    }

    /// What it was made with.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held is a bug that its own test shows; the ledger stays readable.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> std::time::Duration {
        self.0.started.elapsed()
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
