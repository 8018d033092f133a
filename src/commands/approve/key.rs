//! The key to sign with: found as git finds it, used in this process where that can be, and else through `ssh-keygen`, as
//! git does, which knows agents, passphrases and hardware keys.

use crate::approval::{self, Approval, NAMESPACE};
use crate::error::Failure;
use crate::problem::unreadable;
use crate::report::inert;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, PrivateKey, PublicKey};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How large a key's file may be, in bytes.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// A key that can sign.
#[derive(Debug)]
pub(super) enum Key {
    /// Unencrypted, and of a kind that signs here.
    Here(Box<PrivateKey>),
    /// Everything else.
    SshKeygen {
        /// The file that it is told.
        file: PathBuf,
        /// Whether the file is only the public half, made for this, and an agent has the other.
        by_agent: Option<tempfile::TempPath>,
        /// The public half.
        public: KeyData,
    },
}

impl Key {
    /// The key that was named, or git's when it signs with SSH keys, or the usual one.
    pub(super) fn find(named: Option<&Path>, usual: Option<&Path>) -> Result<Self, Failure> {
        if let Some(named) = named {
            return Self::at(named);
        }
        if git(&["config", "--get", "gpg.format"]).as_deref() == Some("ssh")
            && let Some(key) = git(&["config", "--type=path", "--get", "user.signingkey"])
        {
            let literal = key.strip_prefix("key::").or_else(|| key.starts_with("ssh-").then_some(key.as_str()));
            return match literal {
                Some(literal) => Self::of_agent(literal),
                None => Self::at(Path::new(&key)),
            };
        }
        match usual {
            Some(usual) if usual.exists() => Self::at(usual),
            _ => Err(Failure::Usage(
                "there is no key to sign with: git signs with none (`gpg.format` ssh and `user.signingkey`), and there is no \
                 ~/.ssh/id_ed25519\nhelp: give --key FILE"
                    .to_owned(),
            )),
        }
    }

    fn at(file: &Path) -> Result<Self, Failure> {
        let text = read(file)?;
        if let Ok(private) = PrivateKey::from_openssh(&text) {
            if signs_here(&private) {
                return Ok(Self::Here(Box::new(private)));
            }
            let public = private.public_key().key_data().clone();
            return Ok(Self::SshKeygen { file: file.to_owned(), by_agent: None, public });
        }
        if let Ok(public) = PublicKey::from_openssh(&text) {
            return Ok(Self::SshKeygen { file: file.to_owned(), by_agent: None, public: public.into() });
        }
        // Keys of other programs' formats are for ssh-keygen; what they are says their public half.
        let mut beside = file.as_os_str().to_owned();
        beside.push(".pub");
        let public = read(Path::new(&beside)).ok().and_then(|text| PublicKey::from_openssh(&text).ok());
        let public = public.ok_or_else(|| {
            let file = inert::terminal(&file.to_string_lossy()).into_owned();
            Failure::Usage(format!(
                "{file}: this is no SSH key, and there is none in {file}.pub\nhelp: name a private key, or the .pub file of one \
                 that an agent or a hardware key has"
            ))
        })?;
        Ok(Self::SshKeygen { file: file.to_owned(), by_agent: None, public: public.into() })
    }

    /// A key that git's configuration holds as text: an agent has its private half.
    fn of_agent(literal: &str) -> Result<Self, Failure> {
        let public = PublicKey::from_openssh(literal)
            .map_err(|_| Failure::Usage("git's user.signingkey cannot be read\nhelp: give --key FILE".to_owned()))?;
        let failed = |e: std::io::Error| Failure::Usage(format!("cannot write the key for ssh-keygen: {e}"));
        let mut file = tempfile::Builder::new().prefix("quell-key-").suffix(".pub").tempfile().map_err(failed)?;
        file.write_all(literal.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        let path = file.into_temp_path();
        Ok(Self::SshKeygen { file: path.to_path_buf(), by_agent: Some(path), public: public.into() })
    }

    /// Its public half.
    pub(super) fn public(&self) -> &KeyData {
        match self {
            Self::Here(private) => private.public_key().key_data(),
            Self::SshKeygen { public, .. } => public,
        }
    }

    /// Signs a payload's line, and looks at what came of it before anybody else does.
    pub(super) fn sign(&self, line: &str) -> Result<Approval, Failure> {
        let armored = match self {
            Self::Here(private) => {
                approval::sign(line, private).map_err(|e| Failure::Bug(format!("cannot sign: {e}")))?
            }
            Self::SshKeygen { file, by_agent, .. } => by_ssh_keygen(line, file, by_agent.is_some())?,
        };
        let wrong = |why: String| Failure::Held(format!("the signature cannot be used: {why}; nothing was written"));
        let approval = Approval::new(line, &armored).map_err(wrong)?;
        if approval.signature.public_key() != self.public() {
            return Err(wrong("it was made with another key".to_owned()));
        }
        approval.prove().map_err(|why| wrong(why.to_string()))?;
        Ok(approval)
    }
}

/// Whether it is unencrypted and of a kind that ssh-key signs with in this process.
fn signs_here(key: &PrivateKey) -> bool {
    let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384];
    let kind = match key.algorithm() {
        Algorithm::Ed25519 => true,
        Algorithm::Ecdsa { curve } => curves.contains(&curve),
        _ => false,
    };
    kind && !key.is_encrypted()
}

fn read(file: &Path) -> Result<String, Failure> {
    let shown = || inert::terminal(&file.to_string_lossy()).into_owned();
    let wrong = |e: &std::io::Error| Failure::Usage(format!("{}: {}", shown(), unreadable(e)));
    if file.metadata().map_err(|e| wrong(&e))?.len() > KEY_BYTES_MAX {
        return Err(Failure::Usage(format!("{}: this is no SSH key: it has more than {KEY_BYTES_MAX} bytes", shown())));
    }
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(KEY_BYTES_MAX).read_to_string(&mut text)).map_err(|e| wrong(&e))?;
    Ok(text)
}

/// What git says, without its line end; nothing where there is no git or where it knows nothing.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?.trim_end().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

/// The line goes in and the signature comes out; what it asks, it asks on the terminal.
fn by_ssh_keygen(line: &str, file: &Path, by_agent: bool) -> Result<String, Failure> {
    let failed = |why: String| Failure::Held(format!("ssh-keygen did not sign: {why}; nothing was signed"));
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(file);
    if by_agent {
        command.arg("-U");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|e| {
        failed(format!("it cannot be started ({e})\nhelp: this key needs OpenSSH's ssh-keygen on the PATH"))
    })?;
    let mut stdin = child.stdin.take().ok_or_else(|| Failure::Bug("ssh-keygen has no input".to_owned()))?;
    // When it is gone already, its exit status says more than the broken pipe.
    let written = stdin.write_all(line.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    written.map_err(|e| failed(e.to_string()))?;
    String::from_utf8(output.stdout).map_err(|_| failed("what it wrote is no text".to_owned()))
}
