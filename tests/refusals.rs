//! What would have been done wrongly without a word, and is refused or counted instead: on the real binary, without a
//! connection.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const HEADER: &str = "agent_id,event_id,event_type,pid,unique_id";

/// Exit code and all that is said by `quell` in a folder with the starter's tenant and an event file.
fn quell(events: &str, args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(in_folder(folder.path(), &["init", "."]).0, Some(0));
    let tenant = fs::read_to_string(folder.path().join("tenants/example.yaml")).expect("a tenant");
    let isolate =
        "actions:\n  isolate-host: {id: 0, event_types: [AGENT], fill: {event_id: agent_id, unique_id: agent_id}}";
    let tenant = tenant.replacen("actions:", isolate, 1).replace("../protected/core.yaml", "mine.yaml");
    fs::write(folder.path().join("tenant.yaml"), tenant).expect("a tenant");
    let mine = "version: 1\nrules: [{name: mine, agent_id: [m1]}]\n";
    fs::write(folder.path().join("mine.yaml"), mine).expect("what is protected");
    fs::write(folder.path().join("e.csv"), events).expect("events");
    in_folder(folder.path(), args)
}

fn in_folder(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

const QUARANTINE: [&str; 6] = ["plan", "e.csv", "--tenant", "tenant.yaml", "--action", "quarantine-file"];

#[test]
fn a_filter_does_not_judge_by_a_cell_that_may_have_been_cut() {
    let events = format!("{HEADER},score\na1,e1,FILE,,u1,9");
    let (code, said) = quell(&events, &[&QUARANTINE[..], &["--where", "int(score) < 10"]].concat());
    assert!(code == Some(2) && said.contains("may have been cut"), "{said}");
    let (code, said) = quell(&events, &QUARANTINE);
    assert_eq!(code, Some(0), "nothing is judged by it here: {said}");
    let (code, said) = quell(&format!("{events}\n"), &[&QUARANTINE[..], &["--where", "int(score) < 10"]].concat());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn rows_that_name_one_event_contradict_each_other_whatever_else_they_say_of_it() {
    let events = format!("{HEADER},action\na1,e1,FILE,,u1,quarantine-file\na1,e1,FILE,7,u2,release-file\n");
    let (code, said) = quell(&events, &QUARANTINE[..4]);
    assert!(code == Some(2) && said.contains("row 2, byte 81: release-file contradicts row 1"), "{said}");
}

#[test]
fn what_would_be_sent_twice_is_sent_once() {
    let events = format!("{HEADER}\na1,e1,AGENT,0,u1\na1,e2,AGENT,0,u2\na2,e3,AGENT,0,u3\n");
    let (code, said) = quell(
        &events,
        &["plan", "e.csv", "--tenant", "tenant.yaml", "--action", "isolate-host", "--max-irreversible", "2"],
    );
    assert!(
        code == Some(0) && said.contains("2 items on 2 hosts") && said.contains("duplicate: row 2 (row 1)"),
        "{said}"
    );
}

#[test]
fn leaving_bad_rows_out_does_not_leave_nothing() {
    let events = format!("{HEADER}\na 1,e1,FILE,0,u1\n");
    let (code, said) = quell(&events, &[&QUARANTINE[..], &["--partial-input"]].concat());
    assert!(code == Some(2) && said.contains("no row is left"), "{said}");
}

#[test]
fn a_run_that_left_rows_out_does_not_end_with_0() {
    let events = format!("{HEADER}\na1,e1,FILE,0,u1\na 1,e2,FILE,0,u2\n");
    let run = ["run", "e.csv", "--tenant", "tenant.yaml", "--action", "quarantine-file", "--yes", "--quiet"];
    let rest = ["--simulate", "--partial-input", "--state-dir", "state"];
    let (code, said) = quell(&events, &[&run[..], &rest].concat());
    assert!(code == Some(4) && said.contains("the one item succeeded, but 1 row was refused"), "{said}");
}

#[test]
fn an_action_column_that_is_almost_called_so_is_not_taken_for_an_attribute() {
    let events = format!("{HEADER},Action\na1,e1,FILE,0,u1,release-file\n");
    let (code, said) = quell(&events, &QUARANTINE);
    assert!(code == Some(2) && said.contains("\"Action\" is almost called action"), "{said}");
}

#[test]
fn a_report_replaces_no_input_no_other_report_and_nothing_of_the_state_folder() {
    let events = format!("{HEADER}\na1,e1,FILE,0,u1\n");
    let run = ["run", "e.csv", "--tenant", "tenant.yaml", "--action", "quarantine-file", "--yes", "--quiet"];
    for (reports, why) in [
        (&["csv=./e.csv"][..], "would replace the input e.csv"),
        (&["html=tenant.yaml"], "would replace the input tenant.yaml"),
        (&["json=r", "csv=./r"], "would replace another report"),
        (&["json=state/example/journal.sqlite"], "would lie in the state folder"),
    ] {
        let reports: Vec<&str> = reports.iter().flat_map(|report| ["--report", report]).collect();
        let (code, said) = quell(&events, &[&run[..], &["--simulate", "--state-dir", "state"], &reports].concat());
        assert!(code == Some(2) && said.contains(why), "{reports:?}: {said}");
    }
}

#[test]
fn other_events_are_not_read_by_a_guess() {
    let sources = "[{file: e.csv, columns: {event_type: {constant: AGENT}}}, {file: e.csv}]";
    let playbook = format!(
        "version: 1\nname: p\nevents: {sources}\nsteps: [{{name: isolate, action: isolate-host}}]\nreports: [{{json: ../x}}]\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.yaml"), &playbook).expect("a playbook");
    fs::write(folder.path().join("e.csv"), format!("{HEADER}\na1,e1,FILE,0,u1\n")).expect("events");
    let (code, said) = in_folder(folder.path(), &["plan", "p.yaml", "--simulate", "--events", "e.csv"]);
    assert!(code == Some(2) && said.contains("it cannot be known how to read the new file"), "{said}");
    // And a report that could not be written is found before anything is sent, at its place.
    let (code, said) = in_folder(folder.path(), &["check", "p.yaml"]);
    assert!(code == Some(2) && said.contains("this report cannot be made") && said.contains("p.yaml:5:"), "{said}");
}
