//! A folder as a clone of the repository has it, and the binary in surroundings that hold nothing of this machine.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// A folder of its own, with copies of `playbooks/` and `examples/`.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn with_what_is_shipped() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["playbooks", "examples"] {
            copy(&Path::new(super::ROOT).join(name), &folder.path().join(name));
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn command(&self) -> Command {
        command(self.path())
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Replaces a text that must be there.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replace(from, to));
    }
}

/// A process that ends with its test, also when that fails.
pub(crate) struct Started(pub(crate) Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The playbooks, as one would type them at the root.
pub(crate) fn shipped() -> Vec<String> {
    let entries = fs::read_dir(Path::new(super::ROOT).join("playbooks")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut playbooks: Vec<String> =
        names.filter(|name| name.ends_with(".yaml")).map(|name| format!("playbooks/{name}")).collect();
    playbooks.sort();
    playbooks
}

/// Without home, token, proxies and settings of whoever runs the tests.
pub(crate) fn command(folder: impl AsRef<Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.current_dir(folder).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// What it prints when it ends well.
pub(crate) fn stdout(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.code(), Some(0), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

pub(crate) fn json_of(command: &mut Command) -> Value {
    serde_json::from_str(&stdout(command)).unwrap()
}

pub(crate) fn code(command: &mut Command) -> i32 {
    command.output().unwrap().status.code().expect("no signal")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let inside: PathBuf = entry.unwrap().path();
        let target = to.join(inside.file_name().unwrap());
        if inside.is_dir() {
            copy(&inside, &target);
        } else {
            fs::copy(&inside, &target).unwrap();
        }
    }
}
