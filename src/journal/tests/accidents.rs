//! Whatever happens to the files: a run is whole, or it is refused.

use super::*;
use rusqlite::Connection;
use std::fs;

/// With this variable set to a number, so many times more bits are flipped.
const DENSITY: &str = "QUELL_TEST_FLIPS_TIMES";

fn database(state: &Path) -> std::path::PathBuf {
    state.join(TENANT).join("journal.sqlite")
}

fn head_file(state: &Path) -> std::path::PathBuf {
    state.join(TENANT).join("contain-0612-7f3.head")
}

#[test]
fn a_changed_row_is_found_and_named() {
    let change = |sql: &str| {
        let state = written(&history());
        Connection::open(database(state.path())).unwrap().execute_batch(sql).unwrap();
        let said = text(resume(state.path(), None), state.path());
        let path = "the journal STATE/prod-eu/journal.sqlite is damaged: ";
        said.strip_prefix(path).unwrap_or(&said).to_owned()
    };
    let plan_changed = "the plan of run contain-0612-7f3 is not the one it began with";
    for (sql, expected) in [
        (
            "UPDATE facts SET body = replace(body, '\"index\":1', '\"index\":2') WHERE seq = 9",
            "facts 8 to 10 were changed in run contain-0612-7f3",
        ),
        ("UPDATE facts SET at = at + 1 WHERE seq = 3", "facts 3 to 3 were changed in run contain-0612-7f3"),
        (
            "UPDATE facts SET hash = NULL WHERE seq = 12",
            "fact 12 of run contain-0612-7f3, which its head file names, is missing or changed",
        ),
        ("UPDATE facts SET body = ' ' || body WHERE seq = 1", "facts 1 to 1 were changed in run contain-0612-7f3"),
        (
            "UPDATE facts SET seq = -seq WHERE seq IN (4, 5); UPDATE facts SET seq = 9 + seq WHERE seq < 0",
            "facts 4 to 4 were changed in run contain-0612-7f3",
        ),
        ("DELETE FROM facts WHERE seq = 4", "fact 4 is missing in run contain-0612-7f3"),
        (
            "DELETE FROM facts WHERE seq = 12",
            "fact 12 of run contain-0612-7f3, which its head file names, is missing or changed",
        ),
        ("DELETE FROM facts", "fact 12 of run contain-0612-7f3, which its head file names, is missing or changed"),
        (
            "DELETE FROM facts WHERE seq > 10; UPDATE heads SET sequence = 10, hash = (SELECT hash FROM facts WHERE seq = 10)",
            "run contain-0612-7f3 ends at fact 10, but its head file names fact 12",
        ),
        (
            "UPDATE heads SET hash = zeroblob(32)",
            "the stored head is not that of the last fact in run contain-0612-7f3",
        ),
        ("UPDATE events SET unique_id = '-1' WHERE row = 5", plan_changed),
        ("UPDATE events SET attributes = '{}' WHERE row = 12", plan_changed),
        ("UPDATE items SET event = 1 WHERE item = 17", plan_changed),
        ("UPDATE items SET item = 99 WHERE item = 17", "some of the items 0 to 17 are missing in run contain-0612-7f3"),
        (
            "UPDATE rows_without_item SET n = -1 WHERE n = 0",
            "some of the rows without an item 0 to 1 are missing in run contain-0612-7f3",
        ),
        ("UPDATE events SET id = 99 WHERE row = 12", "some of the events 0 to 11 are missing in run contain-0612-7f3"),
        ("UPDATE rows_without_item SET reason = 'x'", plan_changed),
        ("UPDATE runs SET header = replace(header, '\"batch_size\":50', '\"batch_size\":51')", plan_changed),
        ("UPDATE runs SET meta = replace(meta, '\"simulated\":false', '\"simulated\":true')", plan_changed),
        ("DELETE FROM events WHERE row = 3", "some of the events 0 to 11 are missing in run contain-0612-7f3"),
        ("DELETE FROM runs", "run contain-0612-7f3 is missing, but its head is there"),
        ("UPDATE runs SET id = 'other'", "run contain-0612-7f3 is missing, but its head is there"),
        ("DELETE FROM heads", "a row is missing"),
    ] {
        assert_eq!(change(sql), expected, "{sql}");
    }
}

#[test]
fn a_head_file_may_be_behind_but_not_ahead_or_gone() {
    let older = |end: usize| {
        let state = written(&history()[..end]);
        fs::read(head_file(state.path())).unwrap()
    };
    let state = written(&history());
    for (content, expected) in [
        (Some(older(0)), "no error"),
        (Some(older(4)), "no error"),
        (
            Some(Vec::new()),
            "the journal STATE/prod-eu/contain-0612-7f3.head is damaged: it holds no readable head of its run",
        ),
        (
            None,
            "the journal STATE/prod-eu/contain-0612-7f3.head is damaged: it is gone, but run contain-0612-7f3 is not finished",
        ),
    ] {
        let copied = copy(state.path());
        fs::remove_file(head_file(copied.path())).unwrap();
        content.into_iter().for_each(|content| fs::write(head_file(copied.path()), content).unwrap());
        assert_eq!(text(resume(copied.path(), None), copied.path()), expected);
    }
    fs::remove_file(head_file(state.path())).unwrap();
    let other = Journal::open(state.path(), TENANT).and_then(|journal| journal.begin(&meta("other", 2), &plan(12)));
    let gone = text(other, state.path());
    assert!(gone.ends_with("it is gone, but run contain-0612-7f3 is not finished"), "for new runs too: {gone}");
    let state = written(&history());
    let behind = written(&history()[..5]);
    fs::copy(head_file(state.path()), head_file(behind.path())).unwrap();
    assert_eq!(
        text(resume(behind.path(), None), behind.path()),
        "the journal STATE/prod-eu/journal.sqlite is damaged: run contain-0612-7f3 ends at fact 7, but its head file names fact 12"
    );
}

/// Only while it is made does a database have a journal to roll back, which a reader cannot do.
#[test]
fn a_database_whose_making_was_cut_off_holds_no_run_and_is_made_anew() {
    let (making, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for made in [&making, &state] {
        drop(Journal::open(made.path(), TENANT).unwrap());
        fs::remove_file(database(made.path())).unwrap();
    }
    let maker = Connection::open(database(making.path())).unwrap();
    maker
        .execute_batch("PRAGMA cache_size = 1; CREATE TABLE t(x); BEGIN; INSERT INTO t VALUES (zeroblob(99999))")
        .unwrap();
    for ending in ["", "-journal"] {
        let name = format!("journal.sqlite{ending}");
        fs::copy(making.path().join(TENANT).join(&name), state.path().join(TENANT).join(&name)).unwrap();
    }
    assert!(fs::metadata(state.path().join(TENANT).join("journal.sqlite-journal")).unwrap().len() > 512);
    assert_eq!(runs(state.path()).unwrap().runs, []);
    assert!(matches!(RunReader::open(state.path(), None), Err(StoreError::NoRun(_))));
}

#[test]
fn a_head_whose_run_is_not_in_the_database_is_told_to_readers_too() {
    let state = written(&history());
    let other = head_file(state.path()).with_file_name("gone-0612-001.head");
    fs::copy(head_file(state.path()), other).unwrap();
    let missing = "the journal STATE/prod-eu/gone-0612-001.head is damaged: it holds no readable head of its run";
    assert_eq!(text(RunReader::open(state.path(), None), state.path()), missing);
    assert_eq!(text(runs(state.path()), state.path()), missing);
}

/// The head that an act rests on was synced, so the next write goes to the other slot, and tearing that loses nothing.
#[test]
fn the_head_that_an_act_rests_on_is_left_alone_by_the_next_write() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 1);
    let mut rests_on = 0;
    for facts in history() {
        let head = run.append(run.head(), &facts).unwrap();
        if facts.iter().any(|fact| matches!(fact.what, What::Submitting { .. })) {
            rests_on = head.sequence;
        }
        let heads = String::from_utf8(fs::read(head_file(state.path())).unwrap()).unwrap();
        assert!(heads.contains(&format!("sequence {rests_on}\n")), "{heads}");
    }
    assert!(run.head().sequence > rests_on && rests_on > 0);
}

#[test]
fn a_database_that_is_gone_empty_or_older_is_refused_for_new_runs_too() {
    let state = tempfile::tempdir().unwrap();
    let complete = vec![vec![at(1, What::Ended { complete: true })]];
    append_all(&mut begin(state.path(), "first", 1), &complete);
    let older = fs::read(database(state.path())).unwrap();
    append_all(&mut begin(state.path(), "second", 2), &complete);
    let heads = head::runs_with_head(&state.path().join(TENANT)).unwrap();
    assert_eq!(heads, ["second"], "a finished run's head is forgotten once a newer run has one");
    for (content, expected) in [
        (Some(older), "run second is missing, but its head is there"),
        (Some(Vec::new()), "run second is missing, but its head is there"),
        (None, "it is gone, but the head of run second is there"),
    ] {
        fs::remove_file(database(state.path())).unwrap();
        content.into_iter().for_each(|content| fs::write(database(state.path()), content).unwrap());
        let said = text(Journal::open(state.path(), TENANT), state.path());
        assert_eq!(said, format!("the journal STATE/prod-eu/journal.sqlite is damaged: {expected}"));
    }
}

/// The state that a killed process leaves: the log is not folded in.
fn killed() -> (tempfile::TempDir, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 1);
    append_all(&mut run, &history());
    let copied = copy(state.path());
    drop(run);
    (state, copied)
}

/// Resumes and compares: everything is there, or it was refused. Returns whether it was refused.
fn whole_or_refused(state: &Path, hurt: &str) -> bool {
    let Ok(resumed) = resume(state, None) else { return true };
    let mut run = resumed.run;
    let reader = run.reader().unwrap();
    assert_eq!(facts_of(&reader).unwrap(), flat(&history()), "{hurt}");
    assert_eq!(reader.rows_without_item().unwrap(), plan(12).rows_without_item, "{hurt}");
    assert_eq!(resumed.header, header(12), "{hurt}");
    let items: Vec<_> = (0..18).map(ItemId).collect();
    let pids: Vec<_> = run.bodies(&items).unwrap().iter().map(|body| body.pid).collect();
    let expected: Vec<_> = plan(12).items.iter().map(|item| item.event).collect();
    assert_eq!(pids, expected, "{hurt}");
    // Where ids are found is in no hash: the right one, or damage.
    match run.remediation_id(RemediationRef { batch: BatchId(3), index: 1 }) {
        Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{hurt}: {error}"),
        Ok(id) => assert_eq!(id, "b3c5a1f0-0003-4bbb-8ccc-000000000001", "{hurt}"),
    }
    false
}

/// What a folder holds, but for the locks and the index over the log, which every opening may write. An empty log is as
/// good as none.
fn bytes_of(state: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(state.join(TENANT)).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, bytes)| !name.ends_with("lock") && !name.ends_with("-shm") && !bytes.is_empty())
        .collect();
    files.sort();
    files
}

/// Behind a damage in the log there may be sound transactions, which a person can still get at.
#[test]
fn what_is_refused_is_left_as_it_is() {
    let (_state, killed) = killed();
    let log = fs::read(killed.path().join(TENANT).join("journal.sqlite-wal")).unwrap();
    let whole_log = |_: &Path| {};
    let torn_log = |state: &Path| {
        let mut log = log.clone();
        let middle = log.len() / 2;
        log[middle] ^= 1;
        fs::write(state.join(TENANT).join("journal.sqlite-wal"), log).unwrap();
    };
    let changed_plan = |state: &Path| {
        let database = Connection::open(database(state)).unwrap();
        schema::fold_log_on_close(&database, false).unwrap();
        database.execute_batch("UPDATE events SET pid = 77 WHERE row = 5").unwrap();
    };
    let gone_head = |state: &Path| fs::remove_file(head_file(state)).unwrap();
    let hurts = [
        ("torn log", &torn_log as &dyn Fn(&Path), true),
        ("changed plan", &changed_plan, true),
        ("head gone", &gone_head, true),
        ("nothing", &whole_log, false),
    ];
    for (name, hurt, refused) in hurts {
        let copied = copy(killed.path());
        hurt(copied.path());
        let before = bytes_of(copied.path());
        let _ = RunReader::open(copied.path(), None).and_then(|reader| facts_of(&reader));
        assert!(bytes_of(copied.path()) == before, "{name}: a reader wrote");
        assert_eq!(resume(copied.path(), None).is_err(), refused, "{name}");
        assert_eq!(bytes_of(copied.path()) == before, refused, "{name}");
    }
}

#[test]
fn a_log_cut_short_anywhere_is_whole_or_refused() {
    let (_state, killed) = killed();
    let log = fs::read(killed.path().join(TENANT).join("journal.sqlite-wal")).unwrap();
    let mut refused = 0;
    let cuts: Vec<_> = (0..log.len()).step_by(1031).chain([log.len() - 1]).collect();
    for &cut in &cuts {
        let copied = copy(killed.path());
        fs::write(copied.path().join(TENANT).join("journal.sqlite-wal"), &log[..cut]).unwrap();
        refused += u32::from(whole_or_refused(copied.path(), &format!("log cut at {cut} of {}", log.len())));
    }
    assert_eq!(refused as usize, cuts.len(), "every cut takes facts away");
}

#[test]
fn one_flipped_bit_in_what_a_kill_leaves_is_harmless_or_refused() {
    // Every trial takes milliseconds of syncing, and there are as many as bytes: by default a sample of them.
    let density = std::env::var(DENSITY).map_or(1, |times| times.parse().unwrap());
    let (_state, killed) = killed();
    let closed = written(&history());
    for (state, name, stride, refused_min_percent) in [
        (&killed, "journal.sqlite", 197, 1),
        (&killed, "journal.sqlite-wal", 761, 99),
        (&killed, "contain-0612-7f3.head", 53, 0),
        (&closed, "journal.sqlite", 197, 10),
    ] {
        let content = fs::read(state.path().join(TENANT).join(name)).unwrap();
        let (mut refused, mut tried) = (0, 0);
        for position in (0..content.len()).step_by((stride / density).max(1)) {
            tried += 1;
            let copied = copy(state.path());
            let mut hurt = content.clone();
            hurt[position] ^= 1 << (position % 8);
            fs::write(copied.path().join(TENANT).join(name), hurt).unwrap();
            refused += u32::from(whole_or_refused(copied.path(), &format!("bit of byte {position} in {name}")));
        }
        assert!(refused * 100 >= refused_min_percent * tried, "{name}: only {refused} of {tried} were noticed");
    }
    assert!(!whole_or_refused(killed.path(), "untouched"));
    assert!(!whole_or_refused(closed.path(), "untouched"));
}

#[test]
fn a_full_disk_ends_the_store_and_what_was_durable_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 1);
    append_all(&mut run, &history());
    let before = run.head();
    run.connection().pragma_update(None, "max_page_count", 1).unwrap();
    let many: Vec<_> = (10..100).map(|batch| at(3000, accepted(batch, 50))).collect();
    let full = "cannot write STATE/prod-eu/journal.sqlite: the disk is full";
    assert_eq!(text(run.append(before, &many), state.path()), full);
    assert_eq!(
        text(run.append(before, &[]), state.path()),
        format!("this process no longer owns the run: an earlier failure ended it: {full}")
    );
    assert!(matches!(run.bodies(&[ItemId(0)]), Err(StoreError::TakenOver(_))));
    drop(run);
    let mut resumed = resume(state.path(), None).unwrap();
    assert_eq!(resumed.head, before);
    let head = resumed.run.append(before, &many).unwrap();
    assert_eq!(head.sequence, before.sequence + 90);
}

#[test]
fn an_append_that_expects_another_head_or_finds_one_is_refused() {
    let taken = "this process no longer owns the run: another process has written to it";
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "a", 1);
    let old = run.head();
    run.append(old, &[at(0, What::Started)]).unwrap();
    assert_eq!(text(run.append(old, &[at(0, What::Started)]), state.path()), taken);
    drop(run);
    // Whoever got past the lock is found by the head in the database.
    let mut run = resume(state.path(), Some("a")).unwrap().run;
    Connection::open(database(state.path())).unwrap().execute_batch("UPDATE heads SET sequence = 2").unwrap();
    assert_eq!(
        text(run.append(run.head(), &[at(1, What::Resumed { by: None, only_polls: false })]), state.path()),
        taken
    );
}

#[test]
fn a_finished_run_can_be_taken_up_again_by_name_and_is_unfinished_then() {
    let state = tempfile::tempdir().unwrap();
    let complete = || vec![vec![at(1, What::Ended { complete: true })]];
    append_all(&mut begin(state.path(), "contain-0612-7f3", 1), &complete());
    append_all(&mut begin(state.path(), "newer", 2), &complete());
    assert!(!head_file(state.path()).exists());
    let mut run = resume(state.path(), Some("contain")).unwrap().run;
    run.append(run.head(), &[at(2, What::Resumed { by: None, only_polls: false })]).unwrap();
    drop(run);
    assert_eq!(resume(state.path(), None).unwrap().meta.id, "contain-0612-7f3");
    fs::remove_file(head_file(state.path())).unwrap();
    assert!(matches!(resume(state.path(), None), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_folder_that_was_written_on_another_machine_is_told() {
    let state = written(&history());
    Connection::open(database(state.path())).unwrap().execute_batch("UPDATE heads SET host = 'elsewhere'").unwrap();
    let mut resumed = resume(state.path(), None).unwrap();
    assert_eq!(resumed.other_host.as_deref(), Some("elsewhere"));
    resumed.run.append(resumed.head, &[at(9000, What::Resumed { by: None, only_polls: false })]).unwrap();
    drop(resumed);
    assert_eq!(resume(state.path(), None).unwrap().other_host, None);
}

#[test]
fn a_database_copied_alone_is_not_taken_for_one_in_which_nothing_happened() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 1);
    Connection::open(database(state.path())).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    append_all(&mut run, &history());
    let copied = tempfile::tempdir().unwrap();
    fs::create_dir(copied.path().join(TENANT)).unwrap();
    fs::copy(database(state.path()), database(copied.path())).unwrap();
    assert_eq!(runs(copied.path()).unwrap().runs[0].facts, 0, "all that was done is in the log");
    let gone = "the journal STATE/prod-eu/contain-0612-7f3.head is damaged: it is gone, but run contain-0612-7f3 is not finished";
    assert_eq!(text(resume(copied.path(), None), copied.path()), gone);
    let anew = Journal::open(copied.path(), TENANT).and_then(|journal| journal.begin(&meta("new", 2), &plan(12)));
    assert_eq!(text(anew, copied.path()), gone);
}

#[test]
fn a_head_file_of_a_run_that_never_came_to_be_stops_nobody() {
    let state = tempfile::tempdir().unwrap();
    drop(begin(state.path(), "a", 1));
    // Killed between the head file and the commit.
    head::HeadFile::create(&state.path().join(TENANT), "b", Head { sequence: 0, hash: [7; 32] }).unwrap();
    assert_eq!(resume(state.path(), Some("a")).unwrap().head.sequence, 0);
    let run = begin(state.path(), "b", 2);
    assert_eq!(head::read(&state.path().join(TENANT), "b").unwrap(), Some(run.head()));
    drop(run);
    head::HeadFile::create(&state.path().join(TENANT), "c", Head { sequence: 1, hash: [7; 32] }).unwrap();
    let missing = "the journal STATE/prod-eu/journal.sqlite is damaged: run c is missing, but its head is there";
    assert_eq!(text(Journal::open(state.path(), TENANT), state.path()), missing);
}
