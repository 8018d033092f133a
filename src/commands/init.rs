//! `quell init`: a starter folder that works at once with `--simulate`. It never overwrites anything.

use super::say;
use crate::error::{ExitCode, Failure};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

const FILES: [(&str, &str); 4] = [
    ("tenants/example.yaml", include_str!("init/tenant.yaml")),
    ("protected/core.yaml", include_str!("../../playbooks/protected/core.yaml")),
    ("playbooks/first.yaml", include_str!("init/playbook.yaml")),
    ("playbooks/first.csv", include_str!("init/events.csv")),
];

/// Writes the starter files.
pub fn execute(folder: &Path) -> Result<ExitCode, Failure> {
    if let Some((there, _)) = FILES.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(Failure::Usage(format!(
            "{} is there already, nothing was written\nhelp: give a folder of its own: quell init DIR",
            folder.join(there).display()
        )));
    }
    let mut said = String::new();
    for (name, text) in FILES {
        let path = folder.join(name);
        write_new(&path, text).map_err(|e| Failure::Usage(format!("cannot write {}: {e}", path.display())))?;
        said.push_str(&format!("wrote {}\n", path.display()));
    }
    let playbook = folder.join("playbooks/first.yaml");
    say(&format!("{said}\ntry it:\n  quell plan {0}\n  quell run {0} --simulate --yes\n", playbook.display()))?;
    Ok(ExitCode::Fine)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
