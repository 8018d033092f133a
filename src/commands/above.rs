//! Files that are found rather than named: beside a file that was, or in a folder above it.
//!
//! It looks no further up than the repository's root, and says what it found as the user would write it.

use std::path::{Path, PathBuf};

/// `tenants/NAME.yaml` beside the playbook or in a folder above it.
pub fn search_tenant(playbook: &Path, name: &str) -> Option<PathBuf> {
    search_above(playbook, &Path::new("tenants").join(format!("{name}.yaml")))
}

/// A file beside the playbook or in a folder above it, up to the repository's root; outside of a repository no further
/// than the folder above.
pub(super) fn search_above(playbook: &Path, wanted: &Path) -> Option<PathBuf> {
    let given = playbook.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The real folder: `..` in what was typed must not lead through folders that are not above it.
    let folder = given.canonicalize().ok()?;
    let folders: Vec<&Path> = folder.ancestors().collect();
    let root = folders.iter().position(|folder| folder.join(".git").exists());
    let last = root.unwrap_or(1);
    let given = playbook.parent().unwrap_or(Path::new(""));
    (0..=last.min(folders.len().saturating_sub(1))).find_map(|up| {
        let found = folders[up].join(wanted);
        // Shown as the user would write it, so that messages hold no path of this machine.
        let shown = given.join("../".repeat(up)).join(wanted);
        found.is_file().then(|| if shown.is_file() { shown } else { found })
    })
}
