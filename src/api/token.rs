//! The bearer token: read when it is first needed, read again after the API refused it, and never shown.
//!
//! A token that could be read by others, or that would not survive as one header value, is refused with a reason; the
//! reason never holds any of it. Readings are numbered from 1, failed ones included, so that a caller can tell "the old
//! token was refused again" from "the new one was refused too".

use crate::engine::sent_or_not::inert;
use crate::tenant::Auth;
use http::HeaderValue;
use rustix::fs::OFlags;
use rustix::io::Errno;
use secrecy::{ExposeSecret, SecretString};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest token, in bytes: servers refuse longer headers.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// How long a token command may take.
pub const TOKEN_COMMAND_MAX: Duration = Duration::from_secs(30);

/// The shortest token that is looked for in foreign text: anything shorter is found in innocent words.
const REDACTED_BYTES_MIN: usize = 8;

/// Where the token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// An environment variable.
    Env(String),
    /// A file that only we can read.
    File(PathBuf),
    /// A program and its arguments, run without a shell.
    Command(Vec<String>),
    /// A token that is at hand already: the simulator's.
    Given(SecretString),
}

/// Why there is no usable token. No variant holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The variable does not exist.
    #[error("the environment variable {0} is not set; it must hold the API token")]
    NotSet(String),
    /// The file cannot be opened or read.
    #[error("the token file {} cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file is not what a secret should be in.
    #[error("the token file {} {what}", file.display())]
    UnsafeFile {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        what: &'static str,
    },
    /// The command could not be run, or failed.
    #[error("the token command {program:?} {what}")]
    Command {
        /// The program, without its arguments: they may hold secrets.
        program: String,
        /// What went wrong; at most 200 inert characters of its standard error.
        what: String,
    },
    /// What was read cannot be a token.
    #[error("the token from {origin} {what}")]
    Unusable {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl TokenSource {
    /// The tenant's way to a token; a `--token-file` on the command line wins.
    pub fn new(auth: &Auth, token_file: Option<&Path>) -> Self {
        match (token_file, auth) {
            (Some(file), _) => Self::File(file.to_owned()),
            (None, Auth::TokenEnv(name)) => Self::Env(name.clone()),
            (None, Auth::TokenFile(file)) => Self::File(file.clone()),
            (None, Auth::TokenCommand(argv)) => Self::Command(argv.clone()),
        }
    }

    /// Reads the token once.
    async fn read(&self) -> Result<SecretString, TokenError> {
        let bytes = match self {
            Self::Env(name) => read_env(name)?,
            Self::File(file) => read_file(file)?,
            Self::Command(argv) => read_command(argv, TOKEN_COMMAND_MAX).await?,
            Self::Given(token) => token.expose_secret().as_bytes().to_vec(),
        };
        usable(bytes).map_err(|what| TokenError::Unusable { origin: self.origin(), what })
    }

    fn origin(&self) -> String {
        match self {
            Self::Env(name) => format!("the environment variable {name}"),
            Self::File(file) => format!("the file {}", file.display()),
            Self::Command(argv) => format!("the command {:?}", program(argv)),
            Self::Given(_) => "the simulator".to_owned(),
        }
    }
}

/// A token and the number of the reading it came from.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) generation: u32,
    secret: Arc<SecretString>,
}

impl Token {
    /// `Bearer …`, marked so that no `Debug` shows it.
    pub(super) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.secret.expose_secret()))
            .expect("a usable token is printable ASCII");
        value.set_sensitive(true);
        value
    }

    /// Foreign text without the token: a server may send back what it was sent.
    pub(super) fn redact(&self, text: String) -> String {
        let token = self.secret.expose_secret();
        if token.len() < REDACTED_BYTES_MIN || !text.contains(token) {
            return text;
        }
        text.replace(token, "[token]")
    }
}

/// The token of the run, shared by all calls.
#[derive(Debug)]
pub(super) struct Tokens {
    source: TokenSource,
    /// Held while reading, so that callers who need the next token wait for one reading instead of starting their own.
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    generation: u32,
    secret: Option<Arc<SecretString>>,
}

impl Tokens {
    pub(super) fn new(source: TokenSource) -> Self {
        Self { source, state: tokio::sync::Mutex::default() }
    }

    /// The present token; reads it when there is none. An error comes with the number of the failed reading.
    pub(super) async fn current(&self) -> Result<Token, (u32, TokenError)> {
        let mut state = self.state.lock().await;
        if let Some(secret) = &state.secret {
            return Ok(Token { generation: state.generation, secret: Arc::clone(secret) });
        }
        state.generation = state.generation.saturating_add(1);
        let generation = state.generation;
        let secret = Arc::new(self.source.read().await.map_err(|error| (generation, error))?);
        state.secret = Some(Arc::clone(&secret));
        Ok(Token { generation, secret })
    }

    /// The API refused this token: the next call reads it anew. Another caller may have said so before.
    pub(super) async fn refused(&self, generation: u32) {
        let mut state = self.state.lock().await;
        if state.generation == generation {
            state.secret = None;
        }
    }
}

/// One line end after the token is an editor's habit; anything else that is not printable ASCII is refused: it would
/// end the header, or never match.
fn usable(bytes: Vec<u8>) -> Result<SecretString, &'static str> {
    let token = bytes.strip_suffix(b"\n").map_or(&*bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
    if token.is_empty() {
        return Err("is empty");
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err("is longer than 16 KiB; that is not a token");
    }
    if token.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err("has more than one line; it must be the token alone");
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err("holds a space, a control character or a character outside ASCII; it must be the token alone");
    }
    let token = String::from_utf8(token.to_vec()).expect("ASCII is UTF-8");
    Ok(SecretString::from(token))
}

fn read_env(name: &str) -> Result<Vec<u8>, TokenError> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(name).map(OsStringExt::into_vec).ok_or_else(|| TokenError::NotSet(name.to_owned()))
}

/// Checks the opened file, not its name: a name can mean another file a moment later.
fn read_file(file: &Path) -> Result<Vec<u8>, TokenError> {
    let unsafe_file = |what| TokenError::UnsafeFile { file: file.to_owned(), what };
    let unreadable = |error: std::io::Error| match error.raw_os_error() {
        Some(code) if code == Errno::LOOP.raw_os_error() => unsafe_file("is a link; name the file itself"),
        _ => TokenError::Unreadable { file: file.to_owned(), why: error.to_string() },
    };
    // Without NONBLOCK, opening a pipe would wait for its writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("open flags fit the system's own type");
    let mut opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unsafe_file("is not a regular file"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(unsafe_file("can be read or written by others; chmod 600 it"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_file("belongs to another user; use a file of your own"));
    }
    let mut bytes = Vec::new();
    opened.by_ref().take(READ_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A line end and one byte more than a token may have: enough to tell that it is too long.
const READ_BYTES_MAX: u64 = TOKEN_BYTES_MAX as u64 + 3;

fn program(argv: &[String]) -> String {
    argv.first().map(|program| inert(program, 100)).unwrap_or_default()
}

async fn read_command(argv: &[String], time_max: Duration) -> Result<Vec<u8>, TokenError> {
    let failed = |what: String| TokenError::Command { program: program(argv), what };
    let Some((program, arguments)) = argv.split_first() else {
        return Err(failed("is empty".to_owned()));
    };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    let outputs = (child.stdout.take(), child.stderr.take());
    let work = async {
        // Both are read to their end, however long, so that the program never waits for us; only the start is kept.
        let (out, words, status) = tokio::join!(start_of(outputs.0), start_of(outputs.1), child.wait());
        Ok::<_, std::io::Error>((out?, words?, status?))
    };
    let (out, words, status) = match tokio::time::timeout(time_max, work).await {
        Err(_) => return Err(failed(format!("did not end within {} s", time_max.as_secs()))),
        Ok(Err(error)) => return Err(failed(format!("cannot be read: {error}"))),
        Ok(Ok(done)) => done,
    };
    if !status.success() {
        let words = inert(&without(&out, &String::from_utf8_lossy(&words)), 200);
        let colon = if words.is_empty() { "" } else { ": " };
        return Err(failed(format!("failed with {status}{colon}{words}")));
    }
    Ok(out)
}

/// A failing program may have printed a token already, and may print it on both streams.
fn without(out: &[u8], words: &str) -> String {
    let out = String::from_utf8_lossy(out);
    let token = out.trim();
    if token.len() < REDACTED_BYTES_MIN { words.to_owned() } else { words.replace(token, "[token]") }
}

async fn start_of(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let Some(mut stream) = stream else { return Ok(start) };
    (&mut stream).take(READ_BYTES_MAX).read_to_end(&mut start).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(start)
}

#[cfg(test)]
mod tests;
