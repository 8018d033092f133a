//! Who may have the files, and in which state they are refused.

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let run = begin(state.path(), "a", 1);
    let database = state.path().join(TENANT).join("journal.sqlite");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 3).unwrap();
    let in_log = copy(state.path());
    drop(run);
    for state in [state, in_log] {
        let folder = state.path().join(TENANT);
        // All but the lock; an empty log and its index may appear beside a database that is looked at.
        let files = || {
            let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
            files.retain(|(path, bytes)| {
                !bytes.is_empty() && !path.ends_with("lock") && !path.ends_with("journal.sqlite-shm")
            });
            files.sort();
            files
        };
        let before = files();
        assert!(before.len() >= 2, "database and head file");
        let newer = "the journal STATE/prod-eu/journal.sqlite has schema 3, this quell reads up to 2";
        assert_eq!(text(Journal::open(state.path(), TENANT), state.path()), newer);
        assert_eq!(text(verify(state.path(), None), state.path()), newer);
        assert_eq!(text(unresolved(state.path()), state.path()), newer);
        let pruned = prune(state.path(), Some(TENANT), std::time::Duration::ZERO, Moment(0), false);
        assert_eq!(text(pruned, state.path()), newer);
        assert_eq!(text(RunReader::open(state.path(), None), state.path()), newer);
        assert!(files() == before);
    }
}

#[test]
fn what_is_no_journal_is_refused() {
    let state = tempfile::tempdir().unwrap();
    drop(Journal::open(state.path(), TENANT).unwrap());
    let database = state.path().join(TENANT).join("journal.sqlite");
    let refused = |expected: &str| {
        let path = "the journal STATE/prod-eu/journal.sqlite is damaged: ";
        assert_eq!(text(Journal::open(state.path(), TENANT), state.path()), format!("{path}{expected}"));
    };
    fs::write(&database, "quell ".repeat(1000)).unwrap();
    refused("file is not a database");
    fs::remove_file(&database).unwrap();
    rusqlite::Connection::open(&database).unwrap().execute_batch("CREATE TABLE other(x)").unwrap();
    refused("it is not a journal of quell");
}

#[test]
fn folders_and_files_are_private() {
    let outer = tempfile::tempdir().unwrap();
    let state = outer.path().join("deep").join("state");
    let run = begin(&state, "a", 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = state.join(TENANT);
    assert_eq!([mode(&state), mode(&folder)], [0o700, 0o700]);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path())))
        .collect();
    names.sort();
    let expected = ["a.head", "journal.sqlite", "journal.sqlite-shm", "journal.sqlite-wal", "lock", "run-a.lock"];
    assert_eq!(names, expected.map(|name| (name.to_owned(), 0o600)));
    drop(run);
    for (path, loose) in [(folder.clone(), 0o755), (folder.join("lock"), 0o644)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
        drop(Journal::open(&state, TENANT).unwrap());
        assert_eq!(mode(&path) & 0o077, 0, "{path:?}");
    }
}

#[test]
fn a_link_in_place_of_anything_is_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    let check = |place: &str, to: &Path| {
        let outer = tempfile::tempdir().unwrap();
        let state = outer.path().join("state");
        drop(begin(&state, "a", 1));
        let link = if place.is_empty() { state.clone() } else { state.join(place) };
        if link.exists() {
            fs::rename(&link, outer.path().join("moved")).unwrap();
        }
        symlink(to, &link).unwrap();
        let said = text(resume(&state, Some("a")), outer.path());
        assert!(said.contains("it is a symbolic link"), "{place}: {said}");
    };
    let target = elsewhere.path().join("target");
    for place in ["", TENANT] {
        check(place, elsewhere.path());
    }
    for name in ["lock", "run-a.lock", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "a.head"] {
        check(&format!("{TENANT}/{name}"), &target);
        assert!(!target.exists(), "{name}: a file was made through a link");
    }
}

#[test]
fn only_plain_names_become_folders_and_files() {
    let state = tempfile::tempdir().unwrap();
    for name in ["", "..", "a/b", "A", "-a", "_a", "ü", "a b", &"a".repeat(201)] {
        assert!(matches!(Journal::open(state.path(), name), Err(StoreError::Io { .. })), "{name:?}");
    }
    for id in ["", "..", "a/b", "-a", "ü", &"a".repeat(101)] {
        let begun = Journal::open(state.path(), TENANT).unwrap().begin(&meta(id, 1), &plan(1));
        assert!(matches!(begun, Err(StoreError::Io { .. })), "{id:?}");
    }
    assert_eq!(runs(state.path()).unwrap().runs, []);
}

#[test]
fn a_name_cannot_be_used_twice() {
    let state = tempfile::tempdir().unwrap();
    drop(begin(state.path(), "contain-0612-7f3", 1));
    let again = Journal::open(state.path(), TENANT).unwrap().begin(&meta("CONTAIN-0612-7f3", 2), &plan(2));
    assert!(matches!(again, Err(StoreError::Io { .. })));
    let resumed = resume(state.path(), None).unwrap();
    assert_eq!((resumed.meta.created, resumed.head.sequence), (Moment(1), 0));
}
