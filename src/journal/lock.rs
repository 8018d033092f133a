//! Locks of the kernel on files in a tenant's folder: whoever dies, however it dies, holds none any more.
//!
//! The first line of a lock's file says who holds it, for the message that others get; nothing is decided by it. No lock
//! is ever broken, and no link is followed. A file is removed by its holder alone, while it holds it: what counts is the
//! lock on the file that stands at the path, so whoever got hold of a removed one tries again.

use super::StoreError;
use super::folder::{self, io_error};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two tries of a lock that somebody else has.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// A lock that is not waited for is tried for so long: others may look at this moment who lives, and a new holder needs
/// a moment to say who it is.
const LOOK_MAX: Duration = Duration::from_millis(60);
/// How often a file may be removed between its opening and its locking before something is wrong.
const REPLACED_MAX: u32 = 100;
/// The longest holder that is shown, in characters.
const HOLDER_CHARS_MAX: usize = 200;
/// The longest part of a playbook's name that is seen in its lock's name.
const STEM_CHARS_MAX: usize = 40;

const RUN_PREFIX: &str = "run-";
const ACTING_PREFIX: &str = "acts-";
const ENDING: &str = ".lock";

/// The lock of a playbook on a tenant: two runs of one playbook do not overlap.
#[derive(Debug)]
pub struct PlaybookLock(Lock);

impl PlaybookLock {
    /// Takes it, or fails at once naming its holder.
    pub fn take(state: &Path, tenant: &str, playbook: &str) -> Result<Self, StoreError> {
        let path = folder::private_folder(state, tenant)?.join(playbook_file(playbook));
        let does = format!("is carrying out the playbook {playbook:?}");
        Lock::take_within(&path, &does, LOOK_MAX).map(|lock| Self(lock.passing()))
    }

    /// Says with which run it is held.
    pub(super) fn announce(&self, run: &str) -> Result<(), StoreError> {
        self.0.announce(run)
    }
}

/// Who works on this run, when somebody does.
pub fn holder_of_run(state: &Path, tenant: &str, run: &str) -> Result<Option<String>, StoreError> {
    let path = state.join(tenant).join(run_file(run));
    Ok(if is_held(&path)? { Some(holder(&path)?) } else { None })
}

/// The lock of a run, for whoever works on it.
pub(super) fn take_run(folder: &Path, run: &str) -> Result<Lock, StoreError> {
    // Which run it is stands in the file's name and in what is said of its holder.
    Lock::take_within(&folder.join(run_file(run)), &format!("is working on run {run}"), LOOK_MAX).map(Lock::passing)
}

/// The lock of a run that may still send something.
pub(super) fn take_acting(folder: &Path, run: &str) -> Result<Lock, StoreError> {
    let path = folder.join(format!("{ACTING_PREFIX}{run}{ENDING}"));
    Lock::take_within(&path, &format!("is working on run {run}"), LOOK_MAX).map(Lock::passing)
}

/// Whether some process works on this run.
pub(super) fn is_live(folder: &Path, run: &str) -> Result<bool, StoreError> {
    is_held(&folder.join(run_file(run)))
}

/// The runs that processes work on and may still send something of, by name.
pub(super) fn live_runs(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut live = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| io_error("read", folder, e))? {
        let name = entry.map_err(|e| io_error("read", folder, e))?.file_name();
        let run = name.to_str().and_then(|name| name.strip_prefix(ACTING_PREFIX)?.strip_suffix(ENDING));
        if let Some(run) = run
            && is_held(&folder.join(&name))?
        {
            live.push(run.to_owned());
        }
    }
    live.sort();
    Ok(live)
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    /// Its file goes with it.
    passing: bool,
}

impl Lock {
    /// Takes the lock on the file at that path, which is created when it is not there. After `wait` it fails, saying of
    /// the holder what it does.
    pub(super) fn take_within(path: &Path, does: &str, wait: Duration) -> Result<Self, StoreError> {
        let began = Instant::now();
        let mut replaced = 0;
        loop {
            let file = open(path)?;
            match file.try_lock() {
                // Whoever removed the file while it was held made a second lock possible: what counts is what stands there.
                Ok(()) if folder::is_still_at(&file, path)? => {
                    let lock = Self { file, path: path.to_owned(), passing: false };
                    lock.say(&format!("process {}", std::process::id()))?;
                    return Ok(lock);
                }
                Ok(()) if replaced < REPLACED_MAX => replaced += 1,
                Ok(()) => return Err(io_error("lock", path, "it is replaced again and again")),
                Err(TryLockError::WouldBlock) if began.elapsed() < wait => std::thread::sleep(TRY_EVERY),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Held { holder: holder(path)?, at: does.to_owned() });
                }
                Err(TryLockError::Error(e)) => return Err(io_error("lock", path, e)),
            }
        }
    }

    /// Says with which run it is held.
    pub(super) fn announce(&self, run: &str) -> Result<(), StoreError> {
        self.say(&format!("process {} with run {run}", std::process::id()))
    }

    fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    fn say(&self, who: &str) -> Result<(), StoreError> {
        let mut file = &self.file;
        let mut write = || {
            file.rewind()?;
            file.write_all(format!("{who}\n").as_bytes())?;
            file.set_len(who.len() as u64 + 1)
        };
        write().map_err(|e| io_error("write", &self.path, e))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.passing && folder::is_still_at(&self.file, &self.path).unwrap_or(false) {
            // A file that stays is no lock: it is only taken over by the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file of a lock, or creates it empty and private.
pub(super) fn open(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    // Said by name before the system says it by number.
    folder::is_plain_file(path)?;
    let opened = options.open(path).and_then(|file| restrict(&file).map(|()| file));
    opened.map_err(|e| io_error("open", path, e))
}

/// Whether another process, or another value of this one, holds the lock on that file.
fn is_held(path: &Path) -> Result<bool, StoreError> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(io_error("open", path, e)),
    };
    is_locked(&file).map_err(|e| io_error("lock", path, e))
}

/// Whether somebody else has this file locked for itself. It must not be locked through this very value.
pub(super) fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// What the first line of a lock's file says.
fn holder(path: &Path) -> Result<String, StoreError> {
    let said = match fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        other => other.map_err(|e| io_error("read", path, e))?,
    };
    let line = said.lines().next().filter(|line| !line.is_empty()).unwrap_or("another process");
    Ok(line.chars().filter(|c| !c.is_control()).take(HOLDER_CHARS_MAX).collect())
}

fn restrict(file: &File) -> io::Result<()> {
    match file.metadata()?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(0o600)),
    }
}

fn run_file(run: &str) -> String {
    format!("{RUN_PREFIX}{run}{ENDING}")
}

/// Names of playbooks hold any characters, and may differ in their case alone: the hash tells them apart.
fn playbook_file(playbook: &str) -> String {
    let stem: String = playbook.chars().filter(char::is_ascii_alphanumeric).take(STEM_CHARS_MAX).collect();
    let hash = Sha256::digest(playbook.as_bytes());
    let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("playbook-{stem}-{hash}{ENDING}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn said<T>(result: Result<T, StoreError>) -> String {
        result.map_or_else(|e| e.to_string(), |_| "taken".to_owned())
    }

    #[test]
    fn a_lock_is_free_again_when_its_holder_is_gone_and_names_it_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let take = || Lock::take_within(&path, "is at it", Duration::ZERO);
        let lock = take().unwrap();
        let process = std::process::id();
        assert_eq!(said(take()), format!("process {process} is at it"));
        lock.announce("contain-0612-7f3").unwrap();
        assert_eq!(said(take()), format!("process {process} with run contain-0612-7f3 is at it"));
        drop(lock);
        assert_eq!(said(take()), "taken");
        assert!(path.exists(), "one that is not passing keeps its file");
    }

    #[test]
    fn whoever_waits_gets_a_lock_that_comes_free_and_its_file_goes_with_the_last_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = Lock::take_within(&path, "", Duration::ZERO).unwrap().passing();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::take_within(&path, "", Duration::from_secs(30)).map(Lock::passing)
        });
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiting.is_finished());
        drop(held);
        let taken = waiting.join().unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        drop(taken);
        assert!(!path.exists() && !is_held(&path).unwrap());
    }

    #[test]
    fn of_many_that_take_and_leave_one_lock_no_two_ever_have_it() {
        use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let (inside, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let lock = Lock::take_within(&path, "", Duration::from_secs(60)).unwrap().passing();
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        taken.fetch_add(1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 200);
    }

    #[test]
    fn runs_that_may_still_send_something_are_known_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let worked_on = take_run(folder.path(), "a-0612-001").unwrap();
        let acting = take_acting(folder.path(), "a-0612-001").unwrap();
        let polled = take_run(folder.path(), "b-0612-002").unwrap();
        fs::write(folder.path().join("acts-killed.lock"), "process 1\n").unwrap();
        assert_eq!(live_runs(folder.path()).unwrap(), ["a-0612-001"]);
        assert!(is_live(folder.path(), "b-0612-002").unwrap(), "it is worked on, though nothing of it is sent");
        let process = std::process::id();
        let held = format!("process {process} is working on run a-0612-001");
        assert_eq!(said(take_run(folder.path(), "a-0612-001")), held);
        drop(acting);
        assert!(live_runs(folder.path()).unwrap().is_empty());
        drop((worked_on, polled));
        assert_eq!(said(take_run(folder.path(), "a-0612-001")), "taken");
    }

    #[test]
    fn playbooks_of_any_name_have_a_lock_each() {
        let state = tempfile::tempdir().unwrap();
        let names =
            ["contain", "Contain", "../../x", "", "a b", "ä", &"x".repeat(300), &"x".repeat(301), "a/b", "run-a"];
        let held: Vec<_> = names.iter().map(|name| PlaybookLock::take(state.path(), "t", name).unwrap()).collect();
        assert!(said(PlaybookLock::take(state.path(), "t", "a/b")).contains(r#"is carrying out the playbook "a/b""#));
        assert_eq!(said(PlaybookLock::take(state.path(), "u", "a/b")), "taken", "another tenant is another matter");
        let files = || fs::read_dir(state.path().join("t")).unwrap().count();
        assert_eq!(files(), names.len());
        drop(held);
        assert_eq!(files(), 0);
    }

    #[test]
    fn a_link_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("run-a.lock"), folder.path().join("target"));
        symlink(&target, &path).unwrap();
        assert!(said(take_run(folder.path(), "a")).contains("it is a symbolic link"));
        assert!(is_live(folder.path(), "a").is_err());
        assert!(!target.exists());
    }
}
