//! The head file of a run: how far its chain of facts surely reached, kept apart from the database.
//!
//! SQLite drops committed transactions that follow a damaged one in its log without a word; a chain that does not reach
//! its head file shows it. The file is written after the commit, so it may be behind the chain and never ahead of it.
//!
//! Two slots on two disk blocks, each with its own checksum, are written in place: 0.05 ms with its sync, against 0.3 ms
//! for a new file, a rename and a sync of the folder. The slot that was last synced is never the one that is written, so
//! a torn write leaves it readable. Commits that need no sync are written too, unsynced: a killed process loses nothing.

use super::folder::{self, io_error};
use super::{Head, StoreError};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "head";
/// Distance of the two slots: a disk block each, so that tearing one cannot touch the other.
const SLOT_STEP_BYTES: usize = 4096;
const SLOT_BYTES: usize = 512;
const FILE_BYTES: usize = SLOT_STEP_BYTES + SLOT_BYTES;

/// An open head file.
#[derive(Debug)]
pub(super) struct HeadFile {
    path: PathBuf,
    file: File,
    run: String,
    /// The slot that the next write goes to: never the one last synced.
    free_slot: usize,
}

impl HeadFile {
    /// Puts the file of this run in place, holding `head`, durably. One that stood there is replaced.
    pub(super) fn create(folder: &Path, run: &str, head: Head) -> Result<Self, StoreError> {
        let path = path_of(folder, run);
        folder::is_plain_file(&path)?;
        let mut content = vec![b' '; FILE_BYTES];
        content[..SLOT_BYTES].copy_from_slice(&slot_text(run, head));
        content[FILE_BYTES - 1] = b'\n';
        folder::create_whole(&path, &content)?;
        let (file, _) = folder::open_or_create(&path)?;
        Ok(Self { path, file, run: run.to_owned(), free_slot: 1 })
    }

    /// Writes a head whose facts are already durable; when `synced`, it is durable itself on return.
    pub(super) fn write(&mut self, head: Head, synced: bool) -> Result<(), StoreError> {
        let offset = self.free_slot * SLOT_STEP_BYTES;
        let write = || {
            self.file.write_all_at(&slot_text(&self.run, head), offset as u64)?;
            if synced { self.file.sync_data() } else { Ok(()) }
        };
        write().map_err(|e| io_error("write", &self.path, e))?;
        if synced {
            self.free_slot = 1 - self.free_slot;
        }
        Ok(())
    }
}

/// Where the head of this run stands.
pub(super) fn path_of(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{run}.{EXTENSION}"))
}

/// What the head file of a run says: the later of its readable slots. `None` when there is no such file.
pub(super) fn read(folder: &Path, run: &str) -> Result<Option<Head>, StoreError> {
    let path = path_of(folder, run);
    if !folder::is_plain_file(&path)? {
        return Ok(None);
    }
    let content = std::fs::read(&path).map_err(|e| io_error("read", &path, e))?;
    let slots = [0, SLOT_STEP_BYTES].into_iter().filter_map(|from| content.get(from..from + SLOT_BYTES));
    let head = slots.filter_map(|slot| parse_slot(run, slot)).max_by_key(|head| head.sequence);
    match head {
        Some(head) => Ok(Some(head)),
        None => Err(StoreError::Damaged {
            path: path.display().to_string(),
            what: "it holds no readable head of its run".to_owned(),
        }),
    }
}

/// The runs that have a head file in this folder.
pub(super) fn runs_with_head(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| io_error("read", folder, e))? {
        let path = entry.map_err(|e| io_error("read", folder, e))?.path();
        let run = path.file_stem().and_then(|stem| stem.to_str());
        if let (Some(run), true) = (run, path.extension().is_some_and(|e| e == EXTENSION)) {
            runs.push(run.to_owned());
        }
    }
    runs.sort();
    Ok(runs)
}

fn slot_text(run: &str, head: Head) -> [u8; SLOT_BYTES] {
    let said = format!("quell head 1\nrun {run}\nsequence {}\nhash {}\n", head.sequence, hex(&head.hash));
    let text = format!("{said}check {}\n", hex(&Sha256::digest(said.as_bytes())));
    let mut slot = [b' '; SLOT_BYTES];
    slot[..text.len()].copy_from_slice(text.as_bytes());
    slot
}

/// A slot is what we would have written for the head it names, to the byte; anything else is no head.
fn parse_slot(run: &str, slot: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(slot).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let head = Head { sequence: field("sequence")?.parse().ok()?, hash: parse_hex(field("hash")?)? };
    (slot_text(run, head) == slot).then_some(head)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}
