//! The real binary in a folder of its own: files are written, a command is run, and what it said is looked at.
//!
//! Nothing of the environment reaches it but what a test gives it: no token, no state folder, no tenant, no proxy.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A tenant that everything in the good playbook fits to.
pub(crate) const TENANT: &str = "\
version: 1
name: prod-eu
base_url: https://gateway.example
user: svc-edr
user_id: 42fc0000-0000-0000-0000-000000000000
actions:
  kill-process: {id: 2, event_types: [PROCESS]}
  quarantine-file: {id: 3, event_types: [FILE], reversible: true, inverse: release-file}
  release-file: {id: 5, event_types: [FILE], reversible: true, inverse: quarantine-file}
columns:
  console: {agent_id: Agent ID, event_id: Event ID, event_type: Type, unique_id: Unique ID}
";

/// A playbook without a mistake.
pub(crate) const PLAYBOOK: &str = "\
version: 1
name: sweep
tenant: prod-eu
vars: {ticket: {default: INC-1}}
comment: \"{{ vars.ticket }}\"
events: [{file: hits.csv}]
steps:
  - {name: kill, action: kill-process, where: 'verdict == \"MALICIOUS\"'}
  - {name: quarantine, action: quarantine-file, where: 'int(score) >= 8'}
guards: {max_irreversible: 10}
";

/// Events without a mistake.
pub(crate) const EVENTS: &str = "\
agent_id,event_id,event_type,pid,unique_id,verdict,score
host-1,RTP_1,PROCESS,4312,-4611686018427387904,MALICIOUS,9
host-1,RTF_2,FILE,0,1152921504606846977,MALICIOUS,9
host-2,RTF_3,FILE,0,3170534137668829185,SUSPICIOUS,8
";

/// A folder with `tenants/prod-eu.yaml`, `p.yaml` and `hits.csv`, all good.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

/// What a command said, and how it ended.
pub(crate) struct Said {
    /// The exit code; a signal is none.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self { folder: tempfile::tempdir().expect("a folder") };
        folder.write("tenants/prod-eu.yaml", TENANT).write("p.yaml", PLAYBOOK).write("hits.csv", EVENTS);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
        self
    }

    /// The binary, with this folder as its working folder and home, and nothing on standard input.
    pub(crate) fn quell(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("QUELL_ALLOW_VOLATILE_STATE", "true")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn says(&self, arguments: &[&str]) -> Said {
        Said::of(&self.quell(arguments).output().expect("it starts"))
    }
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
        }
    }
}
