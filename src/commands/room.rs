//! Whether the system gives a run what it needs before it begins: threads, and open files for all calls at once.
//!
//! A run that meets such a limit in the middle would take its own failures for the network's. So it asks first, makes fewer
//! calls at once where that helps, and refuses with the number where it does not.

use super::tell;
use crate::error::Failure;
use crate::noun::count;
use crate::plan::PlanHeader;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::borrow::Cow;
use std::sync::Mutex;
use std::thread::Builder;

/// Threads of the runtime: two workers, and two for what waits on files and names.
const THREADS: usize = 4;
/// Open files beside those of calls: streams, the runtime's own, the journal twice, its locks, a report, a command for the
/// token.
const FILES_KEPT: u64 = 28;
/// Open files of a call: its connection, one that is kept for the next poll, its slot.
const FILES_PER_CALL: u64 = 3;

/// Fails when there is no room for the threads: the runtime would panic over it, and then wait for itself.
pub(super) fn for_threads() -> Result<(), Failure> {
    let gate = Mutex::new(());
    let shut = gate.lock();
    let started = std::thread::scope(|scope| {
        // All of them are there at the same time before the first may end.
        let waits = || drop(gate.lock());
        let started = (0..THREADS).try_for_each(|_| Builder::new().spawn_scoped(scope, waits).map(drop));
        drop(shut);
        started
    });
    started.map_err(|e| Failure::Bug(format!("the runtime cannot start its threads: {e}")))
}

/// Fails when there is no room for the open files of one call.
pub(super) fn for_files() -> Result<(), Failure> {
    let (least, files) = (FILES_KEPT + FILES_PER_CALL, files(FILES_KEPT + FILES_PER_CALL));
    if files >= least {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "this process may have {files} open files, and a run needs at least {least}\nhelp: `ulimit -n` sets the number"
    )))
}

/// The same header with as many calls at once as there is room for.
pub(super) fn fitted(header: &PlanHeader) -> Result<Cow<'_, PlanHeader>, Failure> {
    let asked = u64::from(header.limits.concurrency);
    let files = files(FILES_KEPT + FILES_PER_CALL * asked);
    let room = files.saturating_sub(FILES_KEPT) / FILES_PER_CALL;
    if room >= asked {
        return Ok(Cow::Borrowed(header));
    }
    let calls = count(room, "call");
    tell(&format!("this process may have {files} open files: {calls} at once, and not {asked}"));
    let mut header = header.clone();
    header.limits.concurrency = u16::try_from(room).unwrap_or(u16::MAX).max(1);
    Ok(Cow::Owned(header))
}

/// How many files may be open, after asking for so many.
fn files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(now) = current.filter(|now| *now < wanted) else { return u64::MAX };
    let raised = wanted.min(maximum.unwrap_or(u64::MAX));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => now,
    }
}
