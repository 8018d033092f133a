//! The real binary over state folders that are not as they should be: another tenant's journal that cannot be read, a
//! run that another machine wrote. Tenants are simulated.

use quell::cli::{Selection, TenantArg};
use quell::commands::inputs;
use quell::engine::fact::Moment;
use quell::journal::Journal;
use quell::run::RunMeta;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code, standard output and standard error, with the folder's own path as `FOLDER`.
fn quell(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.args(args).current_dir(folder).env_clear().env("QUELL_STATE_DIR", folder.join("state"));
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let real = fs::canonicalize(folder).expect("the folder is there");
    let text = |bytes| String::from_utf8(bytes).expect("text").replace(&*real.to_string_lossy(), "FOLDER");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder with the demonstration files.
fn demo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(quell(folder.path(), &["init", "demo"]).0, Some(0));
    folder
}

#[test]
fn another_tenants_damaged_journal_is_told_of_and_stops_no_run() {
    let folder = demo();
    let damaged = folder.path().join("state").join("other");
    fs::create_dir_all(&damaged).expect("a tenant's folder");
    fs::write(damaged.join("journal.sqlite"), "rubbish ".repeat(1000)).expect("a damaged journal");
    let said = "error: the journal FOLDER/state/other/journal.sqlite is damaged: file is not a database\nhelp: leave the \
                folder as it is: \"When it is refused\" in docs/journal.md says what to do\n";

    // There is nothing else yet: nothing can be listed.
    assert_eq!(quell(folder.path(), &["runs"]), (Some(7), String::new(), said.to_owned()));

    let run = ["run", "demo/playbooks/first.yaml", "--simulate", "--yes", "--quiet"];
    let (code, summary, errors) = quell(folder.path(), &run);
    assert!(matches!(code, Some(0 | 4 | 5)) && errors.is_empty(), "{code:?} {errors}");

    let (code, listed, errors) = quell(folder.path(), &["runs"]);
    assert_eq!((code, listed.lines().count(), errors.as_str()), (Some(0), 1, said));
    let id = listed.split_whitespace().next().expect("a run");
    assert_eq!(quell(folder.path(), &["show", id]), (Some(0), summary, String::new()));

    // Which run is the newest cannot be told, and where an unknown one is neither.
    for args in [vec!["show"], vec!["resume"], vec!["show", "contain"]] {
        let (code, _, errors) = quell(folder.path(), &args);
        assert!(code == Some(7) && errors.contains("FOLDER/state/other/journal.sqlite"), "{args:?}: {errors}");
    }
}

/// A job that only resumes must not stay green when its journal was deleted or emptied.
#[test]
fn a_journal_that_is_gone_is_no_empty_one() {
    for emptied in [false, true] {
        let folder = demo();
        let run = ["run", "demo/playbooks/first.yaml", "--simulate", "--yes", "--quiet"];
        assert_eq!(quell(folder.path(), &run).0, Some(0));
        let tenant = folder.path().join("state/simulator");
        for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
            let _absent_after_a_clean_end = fs::remove_file(tenant.join(name));
        }
        if emptied {
            fs::write(tenant.join("journal.sqlite"), "").expect("an empty file");
        }
        for args in [&["runs"][..], &["resume"], &["show"], &["report", "--format", "json"], &run] {
            let (code, said, errors) = quell(folder.path(), args);
            assert!(code == Some(7) && errors.contains(" head "), "{args:?}: {code:?} {said} {errors}");
        }
    }
}

/// Everything in a tenant's folder but the lock; the log's index and an empty log may come and go.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file")))
        .filter(|(name, bytes)| name != "lock" && !name.ends_with("-shm") && !bytes.is_empty())
        .collect();
    files.sort();
    files
}

/// A newer quell wrote here once, and then an older one is used again.
#[test]
fn a_journal_from_the_future_is_refused_and_left_as_it_is() {
    let folder = demo();
    let run = ["run", "demo/playbooks/first.yaml", "--simulate", "--yes", "--quiet"];
    assert_eq!(quell(folder.path(), &run).0, Some(0));
    let tenant = folder.path().join("state/simulator");
    let database = rusqlite::Connection::open(tenant.join("journal.sqlite")).expect("a database");
    database.pragma_update(None, "user_version", 1000).expect("a version");
    drop(database);
    let before = content(&tenant);
    for args in [&["runs"][..], &["resume"], &["show"], &["report", "--format", "json"], &run] {
        let (code, said, errors) = quell(folder.path(), args);
        assert!(code == Some(7) && errors.contains("has schema 1000"), "{args:?}: {code:?} {said} {errors}");
        assert!(content(&tenant) == before, "{args:?} changed it");
    }
}

#[test]
fn a_run_that_another_machine_wrote_is_refused_until_it_is_taken_over_with_a_reason() {
    let folder = demo();
    let selection = Selection {
        file: folder.path().join("demo/playbooks/first.yaml"),
        tenant: TenantArg { tenant: None },
        events: Vec::new(),
        vars: Vec::new(),
        action: None,
        filter: None,
        limit: None,
        hosts: None,
        guards: quell::cli::GuardArgs::default(),
        comment: None,
        map: Vec::new(),
        partial_input: false,
        waves: Vec::new(),
        failure_budget: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let plan = inputs::prepare(&selection, true).expect("a plan").plan;
    let tenant = plan.header.tenant.name.clone();
    for id in ["first-0612-001", "first-0612-002"] {
        let state = folder.path().join("state");
        let meta = RunMeta {
            id: id.to_owned(),
            playbook: plan.header.playbook.clone(),
            tenant: tenant.clone(),
            created: Moment(1_790_000_000_000),
            tool_version: "0.1.0".to_owned(),
            simulated: true,
            state_warning: None,
            operator: None,
            retry_of: None,
            undo_of: None,
            approvals: Vec::new(),
        };
        drop(Journal::open(&state, &tenant).and_then(|journal| journal.begin(&meta, &plan)).expect("a run"));
        let database = rusqlite::Connection::open(state.join(&tenant).join("journal.sqlite")).expect("a database");
        database.execute("UPDATE heads SET host = 'elsewhere'", []).expect("a changed host");
        drop(database);
        let (code, _, errors) = quell(folder.path(), &["resume", id, "--quiet"]);
        assert_eq!(code, Some(7), "{errors}");
        assert!(errors.contains("was last written on another machine (elsewhere)"), "{errors}");
        let (code, _, errors) = quell(folder.path(), &["resume", id, "--quiet", "--adopt"]);
        assert_eq!(code, Some(2), "a reason is needed: {errors}");
        let (code, _, errors) =
            quell(folder.path(), &["resume", id, "--quiet", "--adopt", "--reason", "the disk was moved"]);
        assert!(matches!(code, Some(0 | 4 | 5)), "{code:?} {errors}");
        // From now on it is ours.
        let (code, _, errors) = quell(folder.path(), &["resume", id, "--quiet"]);
        assert!(matches!(code, Some(0 | 4 | 5)), "{code:?} {errors}");
    }
}
