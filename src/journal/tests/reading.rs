//! What goes in comes out, also while it is being written.

use super::*;

#[test]
fn what_was_written_is_read_back() {
    let state = tempfile::tempdir().unwrap();
    let plan = plan(5000);
    let meta = meta("contain-0612-7f3", 1);
    let mut run = Journal::open(state.path(), TENANT).unwrap().begin(&meta, &plan).unwrap();
    append_all(&mut run, &history());
    drop(run);
    let resumed = resume(state.path(), None).unwrap();
    assert_eq!((&resumed.meta, &resumed.header, resumed.other_host), (&meta, &plan.header, None));
    let reader = resumed.run.reader().unwrap();
    assert_eq!(facts_of(&reader).unwrap(), flat(&history()));
    assert_eq!(reader.rows_without_item().unwrap(), plan.rows_without_item);
    let pairs: Vec<_> = plan.items.iter().map(|item| (item.step, item.target)).collect();
    assert_eq!(reader.item_steps_and_targets().unwrap(), pairs);
    let mut number = 0;
    reader
        .for_each_item(|row| {
            let item = plan.items[number];
            assert_eq!((row.item as usize, row.step, row.target), (number, item.step, item.target));
            assert_eq!(row.event, plan.events[item.event as usize]);
            number += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(number, 7500);
}

#[test]
fn bodies_and_ids_come_back_in_the_order_asked_for() {
    let state = written(&history());
    let mut run = resume(state.path(), None).unwrap().run;
    let plan = plan(12);
    let bodies = run.bodies(&[ItemId(7), ItemId(0), ItemId(7)]).unwrap();
    let sent: Vec<_> = bodies.iter().map(|body| (&*body.event_id, body.pid, body.event_type)).collect();
    let event = |item: usize| &plan.events[plan.items[item].event as usize];
    let expected: Vec<_> =
        [7, 0, 7].map(|item| (&*event(item).event_id, event(item).pid, event(item).event_type)).into();
    assert_eq!(sent, expected);
    assert_eq!((&bodies[0].agent_id, &bodies[0].unique_id), (&event(7).agent_id, &event(7).unique_id));
    for (batch, index, id) in
        [(3, 2, "b3c5a1f0-0003-4bbb-8ccc-000000000002"), (2, 0, "b3c5a1f0-0002-4bbb-8ccc-000000000000")]
    {
        assert_eq!(run.remediation_id(RemediationRef { batch: BatchId(batch), index }).unwrap(), id);
    }
}

#[test]
fn ids_are_found_past_those_at_hand() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "a", 1);
    let facts: Vec<_> = (1..=200).map(|batch| at(1, accepted(batch, 2))).collect();
    run.append(run.head(), &facts, None).unwrap();
    for batch in [1, 200, 1, 100] {
        let id = run.remediation_id(RemediationRef { batch: BatchId(batch), index: 1 }).unwrap();
        assert_eq!(id, format!("b3c5a1f0-{batch:04}-4bbb-8ccc-000000000001"));
    }
}

#[test]
fn what_is_not_there_ends_the_store() {
    let state = written(&history());
    let mut run = resume(state.path(), None).unwrap().run;
    let of = |batch, index| RemediationRef { batch: BatchId(batch), index };
    let missing = text(run.remediation_id(of(2, 3)), state.path());
    assert_eq!(missing, "the journal STATE/prod-eu/journal.sqlite is damaged: the answer to batch 2 has no id 3");
    assert_eq!(
        text(run.append(run.head(), &[], None), state.path()),
        format!("this process no longer owns the run: an earlier failure ended it: {missing}")
    );
}

#[test]
fn a_reader_and_the_writer_do_not_wait_for_each_other() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 1);
    append_all(&mut run, &history());
    let reader = RunReader::open(state.path(), None).unwrap();
    let mut seen = 0;
    let reached = reader.for_each_fact(|_| {
        seen += 1;
        run.append(run.head(), &[at(3000, What::Resumed { by: None, only_polls: false })], None).map(drop)
    });
    // What was added while it read belongs to the next reading.
    assert_eq!((seen, reached.unwrap().sequence, run.head().sequence), (12, 12, 24));
    assert_eq!(facts_of(&reader).unwrap().len(), 24);
}

#[test]
fn runs_are_listed_over_all_tenants_oldest_first() {
    let state = tempfile::tempdir().unwrap();
    assert_eq!(runs(&state.path().join("nothing-here")).unwrap().runs, []);
    let complete = [vec![at(5, What::Ended { complete: true })]];
    append_all(&mut begin(state.path(), "b", 20), &complete);
    append_all(&mut begin(state.path(), "c", 30), &[vec![at(6, What::Ended { complete: false })]]);
    let other = Journal::open(state.path(), "test_1").unwrap();
    append_all(&mut other.begin(&RunMeta { tenant: "test_1".into(), ..meta("a", 10) }, &plan(3)).unwrap(), &[]);
    let listed: Vec<_> = runs(state.path())
        .unwrap()
        .runs
        .into_iter()
        .map(|run| {
            (
                run.meta.id,
                run.meta.tenant,
                run.facts,
                run.items,
                run.rows_without_item,
                run.ended,
                run.last.map(|at| at.0),
            )
        })
        .collect();
    let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
    assert_eq!(
        listed,
        [
            (a, "test_1".to_owned(), 0, 5, 1, None, None),
            (b, TENANT.to_owned(), 1, 18, 2, Some(true), Some(1_790_000_000_005)),
            (c, TENANT.to_owned(), 1, 18, 2, Some(false), Some(1_790_000_000_006)),
        ]
    );
}

#[test]
fn a_run_is_found_by_name_beginning_or_age() {
    let state = tempfile::tempdir().unwrap();
    let ended = |complete| [vec![at(5, What::Ended { complete })]];
    for (id, created, complete) in
        [("contain-0612-7f3", 1, false), ("contain-0612-7f3a", 2, false), ("clean-0613-001", 3, true)]
    {
        append_all(&mut begin(state.path(), id, created), &ended(complete));
    }
    let read = |run| match RunReader::open(state.path(), run) {
        Ok(reader) => reader.meta().id.clone(),
        Err(error) => error.to_string(),
    };
    let resumed = |run| match resume(state.path(), run) {
        Ok(resumed) => resumed.meta.id,
        Err(error) => error.to_string(),
    };
    for (given, found) in [
        (Some("contain-0612-7f3"), "contain-0612-7f3"),
        (Some("CONTAIN-0612-7F3A"), "contain-0612-7f3a"),
        (Some("cl"), "clean-0613-001"),
        (Some("cont"), r#""cont" fits more than one run: contain-0612-7f3, contain-0612-7f3a; write more of the name"#),
        (Some("%"), r#"there is no run "%" in this state folder"#),
    ] {
        assert_eq!((read(given), resumed(given)), (found.to_owned(), found.to_owned()), "{given:?}");
    }
    assert_eq!(read(None), "clean-0613-001");
    assert_eq!(resumed(None), "contain-0612-7f3a");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(text(RunReader::open(empty.path(), None), empty.path()), "there is no run in this state folder");
    assert_eq!(text(resume(empty.path(), None), empty.path()), "there is no unfinished run in this state folder");
}

#[test]
fn a_new_run_gets_a_name_that_is_free_in_every_tenant() {
    let state = tempfile::tempdir().unwrap();
    let day = jiff::civil::date(2026, 6, 12);
    let name = |playbook: &str| Journal::open(state.path(), TENANT).unwrap().free_run_id(playbook, day, 7).unwrap();
    let mut names = Vec::new();
    for _ in 0..17 {
        let name = name("contain");
        let other = Journal::open(state.path(), "other").unwrap();
        drop(other.begin(&meta(&name.to_uppercase(), 1), &plan(1)).unwrap());
        names.push(name);
    }
    let (three, four) = names.split_at(16);
    assert!(three.iter().all(|name| name.len() == "contain-0612-7f3".len() && name.starts_with("contain-0612-")));
    assert_eq!(four[0].len(), "contain-0612-7f30".len());
    assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 17);
    for (playbook, stem) in [("über export (2)", "ber-export--2"), ("日本", "run"), ("a/../b", "a----b")] {
        let name = name(playbook);
        assert_eq!(name.strip_suffix(&name[name.len() - 3..]).unwrap(), format!("{stem}-0612-"));
    }
}

const DAY: u64 = 24 * 3600 * 1000;

fn charge(run: &mut SqliteRun, at: u64, calls: u32) {
    let charge = Charge { at: Moment(at), calls };
    assert_eq!(run.append(run.head(), &[], Some(charge)).unwrap(), run.head());
}

fn charges(state: &Path, now: u64) -> Vec<(u64, u32)> {
    let charges = Journal::open(state, TENANT).unwrap().charges(Moment(now)).unwrap();
    charges.iter().map(|charge| (charge.at.0, charge.calls)).collect()
}

#[test]
fn charges_of_all_runs_count_until_they_are_old() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "a", DAY);
    for (at, calls) in [(DAY, 5), (2 * DAY, 7), (2 * DAY, 1)] {
        charge(&mut run, at, calls);
    }
    drop(run);
    assert_eq!(charges(state.path(), 3 * DAY), [(DAY, 5), (2 * DAY, 7), (2 * DAY, 1)]);
    let mut run = begin(state.path(), "b", 34 * DAY);
    charge(&mut run, 34 * DAY, 2);
    drop(run);
    drop(begin(state.path(), "c", 34 * DAY));
    assert_eq!(charges(state.path(), 34 * DAY), [(2 * DAY, 7), (2 * DAY, 1), (34 * DAY, 2)]);
}

#[test]
fn a_clock_that_was_far_ahead_neither_blocks_for_years_nor_forgets() {
    let (state, years) = (tempfile::tempdir().unwrap(), 3650 * DAY);
    charge(&mut begin(state.path(), "a", 40 * DAY), 40 * DAY, 5);
    // A run begun and charged ten years ahead: what is genuine stays.
    charge(&mut begin(state.path(), "ahead", years), years, 7);
    assert_eq!(charges(state.path(), years), [(40 * DAY, 5), (years, 7)]);
    // Back at the right time its calls count as of now, and with the next charge they begin to age.
    assert_eq!(charges(state.path(), 41 * DAY), [(40 * DAY, 5), (41 * DAY, 7)]);
    charge(&mut begin(state.path(), "b", 41 * DAY), 41 * DAY, 1);
    assert_eq!(charges(state.path(), 42 * DAY), [(40 * DAY, 5), (41 * DAY, 7), (41 * DAY, 1)]);
}

#[test]
fn a_clock_set_back_between_a_crash_and_its_resume_forgets_no_call() {
    let state = tempfile::tempdir().unwrap();
    let mut plan = plan(3);
    let window = std::time::Duration::from_secs(3600);
    plan.header.limits.requests = Some(crate::tenant::Rate { calls: 300, window });
    let start = at(0, What::Started).at.0;
    let mut run = Journal::open(state.path(), TENANT).unwrap().begin(&meta("a", start), &plan).unwrap();
    charge(&mut run, start, 2);
    run.append(run.head(), &[at(1000, What::Started)], None).unwrap();
    drop(run);
    let journal = Journal::open(state.path(), TENANT).unwrap();
    let run = RunReader::of_tenant(state.path(), TENANT, "a").unwrap();
    let spent = |wall| crate::commands::taken::spent_before(Moment(wall), &run, &journal).unwrap();
    // The run's clock stands at its last fact, and does not follow the wall back.
    assert_eq!(spent(start - DAY), [Moment(start + 1000); 2]);
    assert_eq!(spent(start + 5000), [Moment(start + 5000); 2]);
}

#[test]
fn another_tenants_journal_that_cannot_be_read_hides_nothing_and_stops_nobody() {
    let state = tempfile::tempdir().unwrap();
    drop(begin(state.path(), "contain-0612-7f3", 1));
    for (tenant, id) in [("damaged", "lost"), ("newer", "later")] {
        drop(Journal::open(state.path(), tenant).unwrap().begin(&meta(id, 2), &plan(1)).unwrap());
    }
    let database = |tenant: &str| state.path().join(tenant).join("journal.sqlite");
    std::fs::write(database("damaged"), "rubbish ".repeat(1000)).unwrap();
    rusqlite::Connection::open(database("newer")).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let damaged = "the journal STATE/damaged/journal.sqlite is damaged: file is not a database";
    let newer = "the journal STATE/newer/journal.sqlite has schema 9, this quell reads up to 2";

    let listed = runs(state.path()).unwrap();
    let ids: Vec<_> = listed.runs.iter().map(|run| run.meta.id.as_str()).collect();
    let shown: Vec<_> = listed.unreadable.into_iter().map(|e| text::<()>(Err(e), state.path())).collect();
    assert_eq!((ids, shown), (vec!["contain-0612-7f3"], vec![damaged.to_owned(), newer.to_owned()]));

    let opened = |run| text(RunReader::open(state.path(), run), state.path());
    for run in ["contain-0612-7f3", "CONTAIN"] {
        assert_eq!(opened(Some(run)), "no error");
    }
    let hidden = format!("what cannot be read: {damaged}; {newer}");
    let newest = format!("which run is the newest cannot be told: name the run; {hidden}");
    assert_eq!(opened(Some("lost")), format!(r#"no run "lost" was found; {hidden}"#));
    assert_eq!(opened(None), newest);
    assert_eq!(text(runs(state.path()).unwrap().newest_unfinished(), state.path()), newest);

    let journal = Journal::open(state.path(), TENANT).unwrap();
    let day = jiff::civil::date(2026, 6, 12);
    assert!(journal.free_run_id("contain", day, 7).unwrap().starts_with("contain-0612-"));
    assert_eq!(journal.resume("contain-0612-7f3").unwrap().head.sequence, 0);

    std::fs::remove_dir_all(state.path().join(TENANT)).unwrap();
    assert_eq!(text(runs(state.path()), state.path()), format!("no journal can be read; {hidden}"));
    std::fs::remove_dir_all(state.path().join("damaged")).unwrap();
    assert_eq!(text(runs(state.path()), state.path()), newer);
}

#[test]
fn a_run_is_read_through_its_own_tenant() {
    let state = tempfile::tempdir().unwrap();
    let mut run = begin(state.path(), "contain-0612-7f3", 7);
    let read = |tenant: &str, id: &str| match RunReader::of_tenant(state.path(), tenant, id) {
        Ok(reader) => (reader.meta().id.clone(), reader.last_moment().unwrap().0),
        Err(error) => (error.to_string(), 0),
    };
    assert_eq!(read(TENANT, "contain-0612-7f3"), ("contain-0612-7f3".to_owned(), 7));
    run.append(run.head(), &[at(3, What::Started)], None).unwrap();
    assert_eq!(read(TENANT, "contain-0612-7f3"), ("contain-0612-7f3".to_owned(), 1_790_000_000_003));
    for (tenant, id) in [(TENANT, "contain"), ("other", "contain-0612-7f3"), ("..", "contain-0612-7f3")] {
        assert_eq!(read(tenant, id).0, format!("there is no run {id:?} in this state folder"), "{tenant}");
    }
}
