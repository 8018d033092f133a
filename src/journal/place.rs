//! What kind of file system a state folder lies on: whether what is written there survives a restart, and whether a lock
//! there keeps everybody else out.
//!
//! It reads only the kind that the system names. An unknown kind is taken for a local disk: most are.

use super::StoreError;
use super::folder::io_error;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A local disk, as far as anybody can tell.
    Disk,
    /// Gone with the next restart: the name of its kind.
    Volatile(&'static str),
    /// Shared over the network, where locks and syncs may promise more than they keep.
    Remote(&'static str),
    /// A layer of a container, gone when the container is removed.
    Layer(&'static str),
}

/// The kinds that are told apart, by the number that `statfs` gives.
const KINDS: [(u64, Place); 9] = [
    (0x0102_1994, Place::Volatile("tmpfs")),
    (0x8584_58f6, Place::Volatile("ramfs")),
    (0x6969, Place::Remote("nfs")),
    (0xff53_4d42, Place::Remote("cifs")),
    (0xfe53_4d42, Place::Remote("smb2")),
    (0x0102_1997, Place::Remote("9p")),
    (0x00c3_6400, Place::Remote("ceph")),
    (0x6573_5546, Place::Remote("fuse")),
    (0x794c_7630, Place::Layer("overlay")),
];

impl Place {
    /// One sentence for people; `None` for a disk.
    pub fn warning(self) -> Option<String> {
        match self {
            Self::Disk => None,
            Self::Volatile(kind) => {
                Some(format!("the state folder is on {kind}: after a restart nothing is known of what this run did"))
            }
            Self::Remote(kind) => {
                Some(format!("the state folder is on {kind}: whether its locks and syncs hold depends on the server"))
            }
            Self::Layer(kind) => Some(format!(
                "the state folder is on {kind}: it goes with its container, and what this run did is then not known"
            )),
        }
    }
}

/// What a state folder lies on, or what it will lie on when it is made.
pub fn place_of(state: &Path) -> Result<Place, StoreError> {
    let there = nearest_that_exists(state);
    let found = rustix::fs::statfs(&there).map_err(|e| io_error("look at", &there, e))?;
    Ok(kind_of(found.f_type as u64))
}

fn kind_of(number: u64) -> Place {
    // Some systems give the number as a signed one.
    let number = number & 0xffff_ffff;
    KINDS.into_iter().find(|(known, _)| *known == number).map_or(Place::Disk, |(_, place)| place)
}

fn nearest_that_exists(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find(|folder| folder.exists()).map(Path::to_owned);
    found.unwrap_or_else(|| PathBuf::from("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_and_only_a_disk_needs_no_warning() {
        assert_eq!(kind_of(0x0102_1994), Place::Volatile("tmpfs"));
        assert_eq!(kind_of(0xffff_ffff_ff53_4d42), Place::Remote("cifs"), "sign-extended");
        assert_eq!(kind_of(0xef53), Place::Disk);
        assert!(KINDS.iter().all(|(_, place)| place.warning().is_some()) && Place::Disk.warning().is_none());
    }

    #[test]
    fn what_is_not_there_yet_lies_where_its_parent_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("not/there/yet");
        assert_eq!(place_of(&deep).expect("it is looked at"), place_of(folder.path()).expect("it is looked at"));
    }

    #[test]
    fn memory_is_seen_as_such_where_the_system_has_it() {
        let shm = Path::new("/dev/shm");
        if shm.is_dir() && std::fs::read_to_string("/proc/mounts").is_ok_and(|m| m.contains(" /dev/shm tmpfs ")) {
            assert_eq!(place_of(shm).expect("it is looked at"), Place::Volatile("tmpfs"));
        }
    }
}
