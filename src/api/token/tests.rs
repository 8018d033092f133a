//! Which tokens are refused, and that no refusal shows one.

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

const CANARY: &str = "CANARY-eyJhbGciOi";

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

async fn check_command(script: &str) -> Result<String, String> {
    read(&TokenSource::Command(shell(script))).await
}

async fn read(source: &TokenSource) -> Result<String, String> {
    let read = source.read().await;
    let shown = format!("{read:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    read.map(|token| token.expose_secret().to_owned()).map_err(|error| {
        assert!(!error.to_string().contains("CANARY"), "{error}");
        error.to_string()
    })
}

#[test]
fn what_may_be_a_token() {
    let longest = "x".repeat(TOKEN_BYTES_MAX);
    let one_line = "has more than one line; it must be the token alone";
    let characters = "holds a space, a control character or a character outside ASCII; it must be the token alone";
    let table: &[(&[u8], Result<&str, &str>)] = &[
        (b"abc", Ok("abc")),
        (b"abc\n", Ok("abc")),
        (b"abc\r\n", Ok("abc")),
        (longest.as_bytes(), Ok(&longest)),
        (b"", Err("is empty")),
        (b"\n", Err("is empty")),
        (b"\r\n", Err("is empty")),
        (b"abc\n\n", Err(one_line)),
        (b"abc\r", Err(one_line)),
        (b"abc\r\nX-Evil: 1", Err(one_line)),
        (b"\nabc", Err(one_line)),
        (b"a c", Err(characters)),
        (b"abc ", Err(characters)),
        (b"Bearer abc", Err(characters)),
        (b"a\0c", Err(characters)),
        (b"a\tc", Err(characters)),
        ("ab\u{e9}".as_bytes(), Err(characters)),
        (b"\xEF\xBB\xBFabc", Err(characters)),
        (b"a\xff", Err(characters)),
        (&[b'x'; TOKEN_BYTES_MAX + 1], Err("is longer than 16 KiB; that is not a token")),
    ];
    for (bytes, expected) in table {
        let token = usable(bytes.to_vec()).map(|token| token.expose_secret().to_owned());
        assert_eq!(token.as_deref(), expected.as_ref().map(|text| &**text), "{bytes:?}");
    }
}

#[tokio::test]
async fn token_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, mode) in
        [("0600", 0o600), ("0400", 0o400), ("0644", 0o644), ("0640", 0o640), ("0620", 0o620), ("0604", 0o604)]
    {
        std::fs::write(path(name), format!("{CANARY}\n")).unwrap();
        std::fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    }
    symlink(path("0600"), path("link")).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    std::fs::write(path("long"), "x".repeat(TOKEN_BYTES_MAX * 2)).unwrap();
    std::fs::set_permissions(path("long"), Permissions::from_mode(0o600)).unwrap();
    let open = "can be read or written by others; chmod 600 it";
    let table = [
        ("0600", None),
        ("0400", None),
        ("0644", Some(open)),
        ("0640", Some(open)),
        ("0620", Some(open)),
        ("0604", Some(open)),
        ("link", Some("is a link; name the file itself")),
        ("folder", Some("is not a regular file")),
        ("missing", Some("cannot be read: No such file or directory (os error 2)")),
    ];
    for (name, refusal) in table {
        let expected = match refusal {
            None => Ok(CANARY.to_owned()),
            Some(what) => Err(format!("the token file {} {what}", path(name).display())),
        };
        assert_eq!(read(&TokenSource::File(path(name))).await, expected, "{name}");
    }
    let expected =
        format!("the token from the file {} is longer than 16 KiB; that is not a token", path("long").display());
    assert_eq!(read(&TokenSource::File(path("long"))).await, Err(expected));
}

#[tokio::test]
async fn a_file_of_another_user_is_refused() {
    // Root's own; for root itself there is no file of another user that is certain to exist.
    if rustix::process::geteuid().is_root() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, CANARY).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
        let expected = format!("the token file {} belongs to another user; use a file of your own", file.display());
        assert_eq!(read(&TokenSource::File(file)).await, Err(expected));
    }
}

#[tokio::test]
async fn token_commands() {
    let refused = |what: &str| Err(format!("the token command \"/bin/sh\" {what}"));
    assert_eq!(check_command("echo CANARY-x").await, Ok("CANARY-x".to_owned()));
    assert_eq!(check_command("echo 'no vault' >&2; exit 3").await, refused("failed with exit status: 3: no vault"));
    assert_eq!(check_command("exit 3").await, refused("failed with exit status: 3"));
    let leaking = "echo CANARY-eyJhbGciOi; echo bad CANARY-eyJhbGciOi >&2; exit 1";
    assert_eq!(check_command(leaking).await, refused("failed with exit status: 1: bad [token]"));
    let escape = "printf '\\033[31mred\\n' >&2; exit 1";
    assert_eq!(check_command(escape).await, refused("failed with exit status: 1: \u{fffd}[31mred"));
    let chatty =
        "i=0; while [ $i -lt 3000 ]; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; i=$((i+1)); done; echo CANARY-x";
    assert_eq!(check_command(chatty).await, Ok("CANARY-x".to_owned()));
    let empty = "the token from the command \"/bin/sh\" is empty";
    assert_eq!(check_command("true").await, Err(empty.to_owned()));
    let missing = TokenSource::Command(vec!["/nonexistent/vault".to_owned(), "CANARY".to_owned()]);
    let expected = "the token command \"/nonexistent/vault\" cannot be run: No such file or directory (os error 2)";
    assert_eq!(read(&missing).await, Err(expected.to_owned()));
    assert_eq!(read(&TokenSource::Command(vec![])).await, Err("the token command \"\" is empty".to_owned()));
}

#[tokio::test]
async fn arguments_reach_the_command_without_a_shell() {
    let source = TokenSource::Command(["/bin/echo", "$HOME;`id`"].map(str::to_owned).to_vec());
    assert_eq!(read(&source).await, Ok("$HOME;`id`".to_owned()));
}

#[tokio::test]
async fn a_command_that_hangs_is_ended() {
    let begun = std::time::Instant::now();
    let error = read_command(&shell("sleep 20"), Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.to_string(), "the token command \"/bin/sh\" did not end within 0 s");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_missing_variable() {
    let source = TokenSource::Env("QUELL_NO_SUCH_VARIABLE".to_owned());
    let expected = "the environment variable QUELL_NO_SUCH_VARIABLE is not set; it must hold the API token";
    assert_eq!(read(&source).await, Err(expected.to_owned()));
}

#[test]
fn a_file_on_the_command_line_wins() {
    let auth = Auth::TokenEnv("X".to_owned());
    let file = Path::new("/run/token");
    assert!(matches!(TokenSource::new(&auth, Some(file)), TokenSource::File(path) if path == file));
    assert!(matches!(TokenSource::new(&auth, None), TokenSource::Env(name) if name == "X"));
}

#[test]
fn debug_shows_no_token() {
    let source = TokenSource::Given(SecretString::from(CANARY));
    let token = Token { generation: 1, secret: Arc::new(SecretString::from(CANARY)) };
    let all = format!("{source:?} {token:?} {:?} {:?}", token.header(), Tokens::new(source.clone()));
    assert!(!all.contains("CANARY"), "{all}");
}
