//! One process of a run: how it comes to its end, and what is around it (its store, its clock, its signals).
//!
//! A process that dies is its driver's future, dropped: nothing of it goes on, as nothing of a killed process does.

use super::kinds::Kind;
use super::model::{Client, Model};
use super::store::SeedStore;
use super::world::pick;
use crate::driver::{Driver, DriverError, Ending, Order};
use crate::engine::fact::{BatchId, StopReason};
use crate::journal::FailAt;
use fastrand::Rng;
use futures::FutureExt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Longer than any process needs: thirty years of its own time.
const LIFE_MAX: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// What happens to a process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Nothing.
    Ends,
    /// Killed after so many milliseconds.
    Killed(u64),
    /// Killed with its n-th append.
    Dies(u64, FailAt),
    /// Its n-th append fails, and it lives to see it.
    StoreFails(u64, FailAt),
    /// The n-th read for a call fails.
    ReadFails(u64),
    /// A signal after so many milliseconds, and perhaps another one so much later.
    Signal(u64, Option<u64>),
    /// It stands still after so many milliseconds for so many.
    Suspended(u64, u64),
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Well(Ending),
    /// It was killed.
    Killed,
    /// Its store failed; the ids it handed back.
    Store(Vec<(BatchId, Vec<String>)>),
    /// A bug.
    Illegal(String),
}

impl Fate {
    /// What happens to a process in the chaos.
    pub(super) fn new(chance: &mut Rng) -> Self {
        let ms = |chance: &mut Rng| {
            let most = 1 << chance.u32(1..18);
            chance.u64(0..most)
        };
        let append = |chance: &mut Rng| {
            let most = *pick(chance, &[1, 4, 15, 60]);
            chance.u64(1..=most)
        };
        let when = |chance: &mut Rng| *pick(chance, &[FailAt::Before, FailAt::After]);
        match chance.u32(0..13) {
            0..4 => Self::Killed(ms(chance)),
            4..7 => Self::Dies(append(chance), when(chance)),
            7 => Self::StoreFails(append(chance), when(chance)),
            8 => Self::ReadFails(append(chance)),
            9 => Self::Signal(ms(chance), None),
            10 => Self::Signal(ms(chance), Some(ms(chance))),
            11 => Self::Suspended(ms(chance), *pick(chance, &[1_000, 60_000, 3_600_000])),
            _ => Self::Ends,
        }
    }

    /// Sets the store up for it.
    pub(super) fn prepare(self, store: &mut SeedStore) {
        let next = store.inner.appends();
        match self {
            Self::Dies(append, when) => {
                store.inner.fail_at(next + append, when);
                store.dies = Some(Arc::new(Notify::new()));
            }
            Self::StoreFails(append, when) => store.inner.fail_at(next + append, when),
            Self::ReadFails(read) => store.read_fails = Arc::new(AtomicU64::new(read)),
            _ => {}
        }
    }
}

/// Lets a process live until its end.
pub(super) async fn live(model: &Model, fate: Fate, driver: Driver<SeedStore, Client>) -> Ended {
    let (send, stops) = mpsc::channel(2);
    let dies = driver.store.dies.clone();
    let run = driver.run(stops, crate::driver::NobodyLooks, |_, _| {});
    let ended = tokio::time::timeout(LIFE_MAX, drive(model, fate, run, &send, dies)).await;
    drop(send);
    // Calls that were in flight are dropped by the runtime in its turn.
    tokio::task::yield_now().await;
    let ended = match ended {
        Err(_) => Ended::Illegal("it lives for ever".to_owned()),
        Ok(None) => Ended::Killed,
        Ok(Some(Ok(ending))) => Ended::Well(ending),
        Ok(Some(Err(DriverError::Store { unrecorded, .. }))) => Ended::Store(unrecorded),
        Ok(Some(Err(DriverError::Illegal { cause, .. }))) => Ended::Illegal(cause.0),
    };
    note(model, fate, &ended);
    ended
}

/// Drives it to its end, if it comes to one before it is killed.
async fn drive<T>(
    model: &Model,
    fate: Fate,
    run: impl Future<Output = T>,
    send: &mpsc::Sender<Order>,
    dies: Option<Arc<Notify>>,
) -> Option<T> {
    match fate {
        Fate::Ends | Fate::StoreFails(..) | Fate::ReadFails(_) => Some(run.await),
        Fate::Killed(at) => tokio::time::timeout(Duration::from_millis(at), run).await.ok(),
        Fate::Dies(..) => {
            let dies = dies.unwrap_or_default();
            let ended = tokio::select! {
                biased;
                () = dies.notified() => None,
                ended = run => Some(ended),
            };
            // With no act in flight it came to see that its store had failed: it is dead all the same.
            ended.filter(|_| dies.notified().now_or_never().is_none())
        }
        Fate::Signal(at, again) => Some(signalled(model, run, send, at, again).await),
        Fate::Suspended(at, long) => Some(suspended(model, run, at, long).await),
    }
}

fn note(model: &Model, fate: Fate, ended: &Ended) {
    let mut state = model.state();
    let kind = match (fate, ended) {
        (Fate::Killed(_), Ended::Killed) => Kind::Killed,
        (Fate::Dies(_, FailAt::Before), Ended::Killed) => Kind::CrashBefore,
        (Fate::Dies(_, FailAt::After), Ended::Killed) => Kind::CrashAfter,
        (Fate::StoreFails(_, FailAt::Before), Ended::Store(_)) => Kind::StoreFailsBefore,
        (Fate::StoreFails(_, FailAt::After), Ended::Store(_)) => Kind::StoreFailsAfter,
        (Fate::ReadFails(_), Ended::Store(_)) => Kind::ReadFails,
        _ => return,
    };
    state.seen.note(kind);
}

/// One or two signals on the way.
async fn signalled<T>(
    model: &Model,
    run: impl Future<Output = T>,
    send: &mpsc::Sender<Order>,
    at: u64,
    again: Option<u64>,
) -> T {
    let signals = async {
        tokio::time::sleep(Duration::from_millis(at)).await;
        model.state().seen.note(Kind::Signal);
        let mut gone = send.send(Order::Stop(StopReason::Signal)).await.is_err();
        if let Some(again) = again {
            tokio::time::sleep(Duration::from_millis(again)).await;
            model.state().seen.note(Kind::SignalAgain);
            gone |= send.send(Order::Stop(StopReason::SignalAgain)).await.is_err();
        }
        // Whoever listens is the run, and it ends first.
        assert!(!gone, "the run heard the signal");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = run => ended,
        () = signals => unreachable!("signals wait for ever"),
    }
}

/// The process stands still for a while; the network and the API do not.
async fn suspended<T>(model: &Model, run: impl Future<Output = T>, at: u64, long: u64) -> T {
    let from = Instant::now() + Duration::from_millis(at);
    let until = from + Duration::from_millis(long);
    let (mut run, mut wake) = (pin!(run), pin!(tokio::time::sleep_until(until)));
    let mut noted = false;
    std::future::poll_fn(move |context| {
        if Instant::now() >= from && wake.as_mut().poll(context).is_pending() {
            if !std::mem::replace(&mut noted, true) {
                model.state().seen.note(Kind::Suspended);
            }
            return Poll::Pending;
        }
        run.as_mut().poll(context)
    })
    .await
}
