//! Which calls of which process may be in flight: a slot for each that all runs of the tenant together may have, each
//! slot a lock of the kernel on a file.
//!
//! A process takes the slots that it has calls for and gives them back when it has none. Whoever holds none and needs
//! one says so by the lock `waiting`; then everybody who has some gives one back after a call. A process that goes
//! first says by the lock `hungry` that it lacks something, and as long as it does the others start nothing. It gives no
//! slot to two, and it knows nothing of what is called.

use super::StoreError;
use super::folder::io_error;
use super::lock;
use crate::engine::Wish;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After a slot was given back, whoever waits has so long to take it.
const REST: Duration = Duration::from_millis(50);

/// This process's part of a tenant's slots.
#[derive(Debug)]
pub(super) struct Slots {
    folder: PathBuf,
    held: BTreeMap<u16, File>,
    /// Files of slots that were held before: opening them once is enough.
    free: BTreeMap<u16, File>,
    waiting: Flag,
    hungry: Flag,
    goes_first: bool,
    /// One slot is given back as soon as it is not in use.
    owes: bool,
    gave: Option<Instant>,
}

impl Slots {
    /// None is held yet.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            held: BTreeMap::new(),
            free: BTreeMap::new(),
            waiting: Flag::new(folder.join("waiting.lock")),
            hungry: Flag::new(folder.join("hungry.lock")),
            goes_first: false,
            owes: false,
            gave: None,
        }
    }

    /// From now on this process goes before those that do not.
    pub(super) fn go_first(&mut self) {
        self.goes_first = true;
    }

    /// Takes what is wished for and can be had, gives back the rest, and says how many calls may be in flight.
    pub(super) fn share(&mut self, wish: &Wish) -> Result<u16, StoreError> {
        if self.steps_back(wish)? {
            self.owes = false;
            self.waiting.lower()?;
            self.keep(wish.in_flight, wish.most)?;
            return Ok(0);
        }
        self.keep(wish.slots.max(wish.in_flight), wish.most)?;
        let somebody_waits = self.waiting.is_up_elsewhere()?;
        let rests = self.gave.is_some_and(|gave| gave.elapsed() < REST);
        self.owes |= somebody_waits && !rests && !self.goes_first;
        self.owes &= !self.held.is_empty();
        let mut most = wish.slots;
        if self.owes {
            most = most.min(self.count() - 1);
            if wish.in_flight <= most {
                self.keep(most, wish.most)?;
                self.owes = false;
                self.gave = Some(Instant::now());
            }
        } else if !(rests && self.held.is_empty()) && (self.held.is_empty() || !somebody_waits || self.goes_first) {
            self.take(wish.slots, wish.most)?;
        }
        if self.held.is_empty() && wish.slots > 0 {
            self.waiting.raise()?
        } else {
            self.waiting.lower()?
        }
        Ok(most.min(self.count()))
    }

    /// Whether somebody goes first who lacks something.
    fn steps_back(&mut self, wish: &Wish) -> Result<bool, StoreError> {
        if !self.goes_first {
            return self.hungry.is_up_elsewhere();
        }
        if wish.lacks {
            self.hungry.raise()?
        } else {
            self.hungry.lower()?
        }
        Ok(false)
    }

    fn count(&self) -> u16 {
        u16::try_from(self.held.len()).unwrap_or(u16::MAX)
    }

    /// Gives back all but so many: first those that are none any more, then the lowest, which a run that may have fewer
    /// calls in flight depends on.
    fn keep(&mut self, count: u16, most: u16) -> Result<(), StoreError> {
        while self.count() > count {
            let beyond = self.held.range(most..).next_back().map(|(number, _)| *number);
            let Some(number) = beyond.or_else(|| self.held.keys().next().copied()) else { return Ok(()) };
            if let Some(file) = self.held.remove(&number) {
                file.unlock().map_err(|e| io_error("unlock", &self.path_of(number), e))?;
                self.free.insert(number, file);
            }
        }
        Ok(())
    }

    /// Takes free slots until so many are held, or there are no more.
    fn take(&mut self, count: u16, most: u16) -> Result<(), StoreError> {
        for number in (0..most).rev() {
            if self.count() >= count {
                break;
            }
            if self.held.contains_key(&number) {
                continue;
            }
            let path = self.path_of(number);
            let file = match self.free.remove(&number) {
                Some(file) => file,
                None => lock::open(&path)?,
            };
            match file.try_lock() {
                Ok(()) => self.held.insert(number, file),
                Err(TryLockError::WouldBlock) => self.free.insert(number, file),
                Err(TryLockError::Error(e)) => return Err(io_error("lock", &path, e)),
            };
        }
        Ok(())
    }

    fn path_of(&self, number: u16) -> PathBuf {
        self.folder.join(format!("slot-{number}.lock"))
    }
}

/// Something that a process says to all others by holding a lock.
#[derive(Debug)]
struct Flag {
    path: PathBuf,
    file: Option<File>,
    up: bool,
}

impl Flag {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, up: false }
    }

    /// Raises it. Where somebody else has it up, or looks at this very moment, it is not ours yet: it is raised anew with
    /// every wish.
    fn raise(&mut self) -> Result<(), StoreError> {
        if !self.up {
            self.up = match self.file()?.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(e)) => return Err(io_error("lock", &self.path, e)),
            };
        }
        Ok(())
    }

    fn lower(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.up) {
            let lowered = self.file()?.unlock();
            lowered.map_err(|e| io_error("unlock", &self.path, e))?;
        }
        Ok(())
    }

    /// Whether somebody else has it up.
    fn is_up_elsewhere(&mut self) -> Result<bool, StoreError> {
        if self.up {
            return Ok(false);
        }
        let locked = lock::is_locked(self.file()?);
        locked.map_err(|e| io_error("lock", &self.path, e))
    }

    fn file(&mut self) -> Result<&File, StoreError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => lock::open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(in_flight: u16, slots: u16) -> Wish {
        Wish { in_flight, slots, most: 2, lacks: false, ..Wish::default() }
    }

    /// Two processes, and what each gets.
    fn two() -> (tempfile::TempDir, Slots, Slots) {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (Slots::new(folder.path()), Slots::new(folder.path()));
        (folder, one, two)
    }

    #[test]
    fn all_together_have_no_more_than_there_are_and_give_back_what_they_do_not_need() {
        let (_folder, mut one, mut two) = two();
        assert_eq!(one.share(&wish(0, 1)).unwrap(), 1);
        assert_eq!(two.share(&wish(0, 2)).unwrap(), 1);
        assert_eq!(two.share(&wish(1, 2)).unwrap(), 1);
        assert_eq!(one.share(&wish(0, 0)).unwrap(), 0);
        assert_eq!(two.share(&wish(1, 2)).unwrap(), 2);
        drop(two);
        assert_eq!(one.share(&wish(0, 2)).unwrap(), 2, "whoever is gone holds none");
    }

    #[test]
    fn whoever_has_none_gets_one_after_a_call() {
        let (_folder, mut one, mut two) = two();
        assert_eq!(one.share(&wish(0, 2)).unwrap(), 2);
        assert_eq!(one.share(&wish(2, 2)).unwrap(), 2);
        assert_eq!(two.share(&wish(0, 2)).unwrap(), 0);
        // Both calls are in flight: one slot is owed, and stays owed.
        assert_eq!(one.share(&wish(2, 2)).unwrap(), 1);
        assert_eq!((one.share(&wish(2, 2)).unwrap(), two.share(&wish(0, 2)).unwrap()), (1, 0));
        assert_eq!(one.share(&wish(1, 2)).unwrap(), 1);
        assert_eq!(two.share(&wish(0, 2)).unwrap(), 1);
        // Each has one, nobody waits, and both would like more.
        assert_eq!((one.share(&wish(1, 2)).unwrap(), two.share(&wish(1, 2)).unwrap()), (1, 1));
    }

    #[test]
    fn the_only_slot_goes_from_hand_to_hand() {
        let (_folder, mut one, mut two) = two();
        let one_slot = |in_flight| Wish { most: 1, ..wish(in_flight, 1) };
        assert_eq!(one.share(&one_slot(0)).unwrap(), 1);
        assert_eq!(two.share(&one_slot(0)).unwrap(), 0);
        assert_eq!(one.share(&one_slot(1)).unwrap(), 0);
        assert_eq!(one.share(&one_slot(0)).unwrap(), 0, "given back, and not taken again at once");
        assert_eq!(two.share(&one_slot(0)).unwrap(), 1);
        assert_eq!(two.share(&one_slot(1)).unwrap(), 1, "nobody waits yet");
        assert_eq!(one.share(&one_slot(0)).unwrap(), 0);
        assert_eq!(two.share(&one_slot(1)).unwrap(), 0);
        assert_eq!((two.share(&one_slot(0)).unwrap(), one.share(&one_slot(0)).unwrap()), (0, 0), "it rests");
        std::thread::sleep(REST);
        assert_eq!(one.share(&one_slot(0)).unwrap(), 1);
    }

    #[test]
    fn a_run_that_may_have_fewer_in_flight_finds_its_slot() {
        let (_folder, mut two_at_once, mut one_at_once) = two();
        assert_eq!(two_at_once.share(&wish(0, 2)).unwrap(), 2);
        let one = Wish { most: 1, ..wish(0, 1) };
        assert_eq!(one_at_once.share(&one).unwrap(), 0);
        assert_eq!(two_at_once.share(&wish(1, 2)).unwrap(), 1);
        assert_eq!(one_at_once.share(&one).unwrap(), 1);
    }

    #[test]
    fn while_one_that_goes_first_lacks_something_the_others_start_nothing() {
        let (_folder, mut ordinary, mut first) = two();
        first.go_first();
        assert_eq!(ordinary.share(&wish(0, 2)).unwrap(), 2);
        let lacking = Wish { lacks: true, ..wish(0, 2) };
        assert_eq!(first.share(&lacking).unwrap(), 0);
        assert_eq!(ordinary.share(&wish(2, 2)).unwrap(), 0);
        assert_eq!(ordinary.share(&wish(1, 2)).unwrap(), 0);
        assert_eq!(first.share(&lacking).unwrap(), 1);
        assert_eq!(ordinary.share(&wish(0, 2)).unwrap(), 0);
        assert_eq!(first.share(&Wish { lacks: true, ..wish(1, 2) }).unwrap(), 2);
        // It has what it needs, and later needs less.
        assert_eq!(first.share(&wish(2, 2)).unwrap(), 2);
        assert_eq!(ordinary.share(&wish(0, 2)).unwrap(), 0);
        assert_eq!(first.share(&wish(2, 2)).unwrap(), 2, "it gives none to those that wait");
        assert_eq!(first.share(&wish(1, 1)).unwrap(), 1);
        assert_eq!(ordinary.share(&wish(0, 2)).unwrap(), 1);
    }
}
