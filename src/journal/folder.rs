//! The state folder on disk: one folder per tenant, private to its user, with a gate through which one process at a
//! time goes.
//!
//! It knows files and nothing of their content. It follows no symbolic link below the state folder, and what it creates
//! is durable when it returns. Files are opened by path and then compared with what stands there, so that a link put in
//! place in between is noticed too.

use super::StoreError;
use super::lock::Lock;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the database in a tenant's folder.
const DATABASE: &str = "journal.sqlite";
const GATE: &str = "lock";
/// How long a process waits for another one that is at the gate: it opens, proves, begins or takes up a run there,
/// and says what of it will not be sent.
const GATE_WAIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 300 });
/// Longest name of a tenant, in bytes: file systems take 255.
const TENANT_BYTES_MAX: usize = 200;

/// A tenant's folder, with this process at its gate. While this value lives, no other process (and no other value)
/// opens the journal for writing, begins a run or takes one up; runs that have begun go on.
#[derive(Debug)]
pub(super) struct TenantFolder {
    /// Without symbolic links in it.
    pub(super) path: PathBuf,
    gate: Lock,
}

impl TenantFolder {
    /// Creates what is missing and goes to the gate, waiting for whoever is there.
    pub(super) fn take(state: &Path, tenant: &str) -> Result<Self, StoreError> {
        Self::take_within(state, tenant, GATE_WAIT)
    }

    /// See [`TenantFolder::take`].
    pub(super) fn take_within(state: &Path, tenant: &str, wait: Duration) -> Result<Self, StoreError> {
        let path = private_folder(state, tenant)?;
        let gate = Lock::take_within(&path.join(GATE), "is using this state folder", wait)?;
        Ok(Self { path, gate })
    }

    /// Where the database stands.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Writes into the gate's file with which run this process is there, for the message that others get.
    pub(super) fn announce(&self, run: &str) -> Result<(), StoreError> {
        self.gate.announce(run)
    }
}

/// The folder of a tenant, without symbolic links in it; what is missing is created.
pub(super) fn private_folder(state: &Path, tenant: &str) -> Result<PathBuf, StoreError> {
    let shown = state.join(tenant);
    if !is_tenant_name(tenant) {
        return Err(io_error("open", &shown, "a tenant's name is a-z, 0-9, - and _, and begins with no - or _"));
    }
    create_folder(state)?;
    create_folder(&shown)?;
    let path = fs::canonicalize(&shown).map_err(|e| io_error("open", &shown, e))?;
    restrict(&path, 0o700)?;
    Ok(path)
}

/// `[a-z0-9][a-z0-9_-]*`
pub(super) fn is_tenant_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= TENANT_BYTES_MAX
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|c| plain(c) || c == b'-' || c == b'_')
}

/// The folders that may be those of tenants, by name. None when there is no state folder.
pub(super) fn tenants(state: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(state) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error("read", state, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| io_error("read", state, e))?;
        let is_folder = entry.file_type().map_err(|e| io_error("read", &entry.path(), e))?.is_dir();
        if !is_folder || !entry.file_name().to_str().is_some_and(is_tenant_name) {
            continue;
        }
        found.push(entry.path());
    }
    found.sort();
    Ok(found)
}

/// Where a tenant's database stands, without symbolic links in it; `None` when there is none.
pub(super) fn database_in(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let path = match fs::canonicalize(folder) {
        Ok(path) => path.join(DATABASE),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("read", folder, e)),
    };
    Ok(is_plain_file(&path)?.then_some(path))
}

/// Whether a file stands there; anything that is no plain file is refused.
pub(super) fn is_plain_file(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(found) => Err(io_error("open", path, format!("it is {}, not a plain file", kind(&found)))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io_error("open", path, e)),
    }
}

/// Opens a file for reading and writing, or creates it empty and private. Says whether it created it.
pub(super) fn open_or_create(path: &Path) -> Result<(File, bool), StoreError> {
    let created = !is_plain_file(path)?;
    // `create_new` never follows a link, not even one that points nowhere.
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).create_new(created);
    let file = match options.open(path) {
        Err(e) if created && e.kind() == ErrorKind::AlreadyExists => return open_or_create(path),
        other => other.map_err(|e| io_error("open", path, e))?,
    };
    if !is_still_at(&file, path)? {
        return Err(io_error("open", path, "it was replaced while it was opened"));
    }
    if created {
        sync_parent(path)?;
    }
    restrict(path, 0o600)?;
    Ok((file, created))
}

/// Puts a file with this content in place, whole or not at all.
pub(super) fn create_whole(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension("tmp");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_error("write", &temporary, e)),
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|e| io_error("write", path, e))?;
    sync_parent(path)
}

/// Removes a file durably; one that is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io_error("remove", path, e)),
    }
}

/// An error of the system about a file.
pub(super) fn io_error(doing: &'static str, path: &Path, cause: impl ToString) -> StoreError {
    StoreError::Io { doing, path: path.display().to_string(), cause: cause.to_string() }
}

/// What tells this machine from others to which a state folder may be copied: 16 hex digits of a hash over the machine id,
/// or else the host name. Hashed, because a machine id is not to be shown around.
pub(super) fn this_host() -> String {
    let sources = ["/etc/machine-id", "/proc/sys/kernel/hostname", "/etc/hostname"];
    let mut names = sources.iter().filter_map(|file| fs::read_to_string(file).ok());
    let name = names.find(|text| !text.trim().is_empty()).unwrap_or_default();
    let hash = Sha256::digest(format!("quell host {}", name.trim()));
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn kind(found: &fs::Metadata) -> &'static str {
    match found.file_type() {
        t if t.is_symlink() => "a symbolic link",
        t if t.is_dir() => "a folder",
        _ => "something else",
    }
}

fn create_folder(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(found) => return Err(io_error("open", path, format!("it is {}, not a folder", kind(&found)))),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(io_error("open", path, e)),
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        create_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => create_folder(path),
        Err(e) => Err(io_error("create", path, e)),
    }
}

/// An entry of a folder is durable only once the folder itself is.
fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(|e| io_error("write", parent, e))
}

/// Takes away what others may do with it. The state folder itself is left as it is: it may be a mount with its own rules.
fn restrict(path: &Path, mode: u32) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(path).map_err(|e| io_error("open", path, e))?;
    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| io_error("restrict", path, e))
}

pub(super) fn is_still_at(file: &File, path: &Path) -> Result<bool, StoreError> {
    let ours = file.metadata().map_err(|e| io_error("open", path, e))?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io_error("open", path, e)),
    }
}
