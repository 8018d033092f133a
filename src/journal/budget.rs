//! The calls of a tenant's window that all its runs share: reserved in one transaction before they leave, and accounted
//! for when they were answered, so that a crash can only under-use them.
//!
//! What a run has reserved and not accounted for counts as spent just now; when its process is gone, as spent when that
//! is found. Times are of the machine's own clock since it was started, which all its processes share: setting the wall
//! clock makes no call older. It plans nothing: an ask gets what fits, or the time to ask again.

use super::schema::from_sqlite;
use super::{StoreError, lock};
use crate::engine::fact::Moment;
use crate::engine::{Ask, Granted};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer ago than any window of a limit: 32 days.
const KEPT_MS: i64 = 32 * 24 * 3600 * 1000;
/// When others hold what is missing, and nobody knows for how long.
const ASK_AGAIN_MS: i64 = 50;
/// What clocks that show whole milliseconds may differ by: so little is waited for here and not asked for again.
const ROUNDING_MS: u64 = 3;
/// Moments of a window that are told apart. In a window of more calls they are rounded up, to be read in no time.
const MOMENTS_MAX: u64 = 10_000;

/// A run's part in the budget of its tenant.
#[derive(Debug)]
pub(super) struct Budget {
    run: i64,
    clock: Clock,
    folder: PathBuf,
    /// What the table says of this run.
    reserved: i64,
}

/// Milliseconds since 1970 by a clock that only goes forward, as long as the machine is not started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clock {
    boot: String,
    zero: i64,
}

impl Budget {
    /// Opens the budget for a run that this process holds the lock of. What an earlier process of the run had reserved is
    /// spent from now on.
    pub(super) fn open(connection: &mut Connection, folder: &Path, run: i64) -> rusqlite::Result<Self> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let clock = match Clock::stored(&transaction)? {
            Some(clock) => clock,
            None => Clock::set(&transaction)?,
        };
        let now = clock.now();
        transaction.execute("DELETE FROM spent WHERE at < ?1", [now - KEPT_MS])?;
        // A clock that was far ahead must not let its calls count as fresh for years: they age from now, once.
        transaction.execute("UPDATE spent SET at = ?1 WHERE at > ?1", [now])?;
        let budget = Self { run, clock, folder: folder.to_owned(), reserved: 0 };
        budget.spend_reserved(&transaction, run, now)?;
        transaction.commit()?;
        Ok(budget)
    }

    /// Answers one ask: as many calls as fit beside what all runs have spent within the window, or have reserved.
    pub(super) fn reserve(
        &mut self,
        connection: &mut Connection,
        path: &Path,
        ask: &Ask,
    ) -> Result<Granted, StoreError> {
        let now = self.clock.now();
        let failed = |e| from_sqlite("write", path, e);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        for (run, id) in self.others(&transaction).map_err(failed)? {
            if !lock::is_live(&self.folder, &id)? {
                self.spend_reserved(&transaction, run, now).map_err(failed)?;
            }
        }
        self.account(&transaction, ask, now).map_err(failed)?;
        let mut granted = self.fitting(&transaction, ask, now).map_err(failed)?;
        let early = granted.next.0 - ask.at.0;
        if granted.calls == 0 && (1..=ROUNDING_MS).contains(&early) {
            std::thread::sleep(Duration::from_millis(early));
            granted = self.fitting(&transaction, ask, self.clock.now()).map_err(failed)?;
        }
        let reserved = i64::from(ask.open) + i64::from(granted.calls);
        self.enter(&transaction, reserved).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.reserved = reserved;
        Ok(granted)
    }

    /// Enters what the run has reserved and not accounted for. What stays as it was is not written again.
    fn enter(&self, transaction: &Transaction<'_>, reserved: i64) -> rusqlite::Result<()> {
        if reserved == self.reserved {
            return Ok(());
        }
        transaction.prepare_cached("DELETE FROM reserved WHERE run = ?1")?.execute([self.run])?;
        if reserved > 0 {
            let sql = "INSERT INTO reserved(run, calls) VALUES(?1, ?2)";
            transaction.prepare_cached(sql)?.execute([self.run, reserved])?;
        }
        Ok(())
    }

    /// Enters when the run's calls were answered.
    fn account(&self, transaction: &Transaction<'_>, ask: &Ask, now: i64) -> rusqlite::Result<()> {
        let grain = if u64::from(ask.most) > MOMENTS_MAX { (ask.window_ms / MOMENTS_MAX).max(1) } else { 1 };
        let mut moments: BTreeMap<i64, u32> = BTreeMap::new();
        for answered in &ask.answered {
            // Both clocks show whole milliseconds, rounded down: one more is never too early.
            let at = now - ask.at.0.saturating_sub(answered.0).cast_signed() + 1;
            *moments.entry(at.cast_unsigned().next_multiple_of(grain).cast_signed()).or_default() += 1;
        }
        let mut insert = transaction.prepare_cached("INSERT INTO spent(at, calls, run) VALUES(?1, ?2, ?3)")?;
        moments.into_iter().try_for_each(|(at, calls)| insert.execute(params![at, calls, self.run]).map(drop))
    }

    /// How many of the calls asked for fit, and if none does, when one will.
    fn fitting(&self, transaction: &Transaction<'_>, ask: &Ask, now: i64) -> rusqlite::Result<Granted> {
        let window = ask.window_ms.cast_signed();
        let others = "SELECT coalesce(sum(calls), 0) FROM reserved WHERE run <> ?1";
        let others: i64 = transaction.prepare_cached(others)?.query_row([self.run], |row| row.get(0))?;
        let mut spent = transaction.prepare_cached("SELECT at, calls FROM spent WHERE at >= ?1 ORDER BY at")?;
        let spent: Vec<(i64, i64)> =
            spent.query_map([now - window], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let counted = spent.iter().map(|(_, calls)| calls).sum::<i64>() + others + i64::from(ask.open);
        let left = i64::from(ask.most) - counted;
        if left > 0 || ask.calls == 0 {
            let calls = u32::try_from(left.clamp(0, i64::from(ask.calls))).unwrap_or(0);
            return Ok(Granted { calls, next: ask.at });
        }
        let mut missing = 1 - left;
        let freed = spent.iter().find(|(_, calls)| {
            missing -= calls;
            missing <= 0
        });
        let wait = freed.map_or(ASK_AGAIN_MS, |(at, _)| at + window + 1 - now);
        Ok(Granted { calls: 0, next: Moment(ask.at.0 + wait.max(1).cast_unsigned()) })
    }

    /// The other runs that have something reserved: number and name.
    fn others(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<(i64, String)>> {
        let sql = "SELECT r.run, r.id FROM reserved o JOIN runs r ON r.run = o.run WHERE o.run <> ?1 AND o.calls > 0";
        transaction.prepare_cached(sql)?.query_map([self.run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// What a run whose process is gone had reserved may have been spent until now, and from now on it ages.
    fn spend_reserved(&self, transaction: &Transaction<'_>, run: i64, now: i64) -> rusqlite::Result<()> {
        transaction.execute(
            "INSERT INTO spent(at, calls, run) SELECT ?2, calls, run FROM reserved WHERE run = ?1 AND calls > 0",
            [run, now],
        )?;
        transaction.execute("DELETE FROM reserved WHERE run = ?1", [run]).map(drop)
    }
}

/// The moments from which the calls of all runs age, oldest first, when it is `now` on the clock of the one that asks.
/// What a run had reserved that nobody works on counts as spent now; what live ones have reserved is their own account.
pub(super) fn spent(
    connection: &Connection,
    folder: &Path,
    path: &Path,
    now: Moment,
) -> Result<Vec<Moment>, StoreError> {
    let failed = |e| from_sqlite("read", path, e);
    let wall = wall_ms();
    let machine = Clock::stored(connection).map_err(failed)?.map_or(wall, |clock| clock.now());
    let mut rows: Vec<(i64, u32)> = connection
        .prepare("SELECT min(at, ?1) - ?1, calls FROM spent")
        .and_then(|mut statement| statement.query_map([machine], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(failed)?;
    let reserved: Vec<(String, u32)> = connection
        .prepare("SELECT r.id, o.calls FROM reserved o JOIN runs r ON r.run = o.run")
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(failed)?;
    for (run, calls) in reserved {
        if !lock::is_live(folder, &run)? {
            rows.push((0, calls));
        }
    }
    rows.sort_unstable();
    let moments = rows.into_iter().flat_map(|(ago, calls)| {
        let moment = Moment(now.0.saturating_sub(ago.unsigned_abs()));
        std::iter::repeat_n(moment, calls as usize)
    });
    Ok(moments.collect())
}

impl Clock {
    /// The clock that others on this machine go by; `None` when the machine was started since, or is another one.
    fn stored(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let boot = boot();
        let sql = "SELECT zero FROM budget_clock WHERE boot = ?1";
        let zero = connection.query_row(sql, [&boot], |row| row.get(0)).optional()?;
        Ok(zero.map(|zero| Self { boot, zero }))
    }

    /// Sets it by the wall.
    fn set(transaction: &Transaction<'_>) -> rusqlite::Result<Self> {
        let clock = Self { boot: boot(), zero: wall_ms() - since_boot_ms() };
        transaction.execute("DELETE FROM budget_clock", [])?;
        transaction.execute("INSERT INTO budget_clock(boot, zero) VALUES(?1, ?2)", params![clock.boot, clock.zero])?;
        Ok(clock)
    }

    fn now(&self) -> i64 {
        self.zero + since_boot_ms()
    }
}

fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Which start of the machine this is. Where the system does not say, all are one, and the wall is believed.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Since the machine was started, its sleep included.
#[cfg(target_os = "linux")]
fn since_boot_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn since_boot_ms() -> i64 {
    wall_ms()
}
