//! What must hold after every fault, whatever it was: read from the tenant's own ledger, the journal, the report and
//! everything that was written.
//!
//! [`check`] holds I1 to I8 and I10 of the table of faults after a command; [`check_end`] holds I9 when the fault is
//! over. Both say what is broken, each sentence with the invariant's name. They share no code with what they judge but
//! the reading of the journal. What only a case can know (counts, exit code, that its fault took place) they leave to it.

use super::bench::{Bench, Done};
use quell::engine::fact::{ItemId, What};
use quell::engine::tag;
use quell::journal::{self, RunReader};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A command that has ended, and what it may have cost.
pub(crate) struct Scene<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) done: &'a Done,
    /// The JSON report that the command was asked for, by its name in the bench's folder.
    pub(crate) report: &'a str,
    /// The token that must be nowhere, and the files that hold it on purpose.
    pub(crate) secret: &'a str,
    pub(crate) secret_is_in: &'a [&'a str],
    /// Connections to other origins than the tenant's.
    pub(crate) strangers: usize,
    /// Acts and polls that came anywhere, and the most there may be of them together.
    pub(crate) acts: usize,
    pub(crate) polls: usize,
    pub(crate) calls_max: usize,
    /// How long the command took, and the longest it may.
    pub(crate) took: Duration,
    pub(crate) time_max: Duration,
}

/// What is broken after a command.
pub(crate) fn check(scene: &Scene<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let ledger = scene.bench.ledger();
    let entries = ledger["entries"].as_array().expect("entries");
    let runs = runs(scene.bench);
    at_most_one_act(entries, &runs, &mut broken);
    every_act_has_an_intent(entries, &runs, scene.acts, &mut broken);
    let text = std::fs::read_to_string(scene.bench.path(scene.report)).ok();
    match text.as_deref().map(serde_json::from_str::<Value>) {
        Some(Ok(report)) => {
            let id = report["run"]["id"].as_str().unwrap_or_default();
            match runs.iter().find(|run| run.id == id) {
                Some(run) => everything_is_accounted_for(&report, run, &mut broken),
                None => broken.push(format!("I2: no run in the journal is called {id:?}")),
            }
            what_is_said_is_true(&report, entries, &mut broken);
            the_exit_code_is_the_true_one(&report, scene.done, &mut broken);
        }
        Some(Err(error)) => broken.push(format!("I2: the JSON report cannot be read: {error}")),
        None if matches!(scene.done.code, Some(1 | 2 | 3 | 7 | 8)) && !scene.done.stderr.is_empty() => {}
        None => broken.push(format!("I5: exit {:?} without a report or a word", scene.done.code)),
    }
    the_secret_is_nowhere(scene, &mut broken);
    if scene.strangers > 0 {
        broken.push(format!("I7: {} connections left the tenant's origin", scene.strangers));
    }
    if scene.acts + scene.polls > scene.calls_max {
        let Scene { acts, polls, calls_max, .. } = scene;
        broken.push(format!("I8: {acts} acts and {polls} polls, at most {calls_max} calls"));
    }
    if scene.took > scene.time_max {
        broken.push(format!("I8: it took {:?}, at most {:?}", scene.took, scene.time_max));
    }
    outputs_are_inert(scene, &mut broken);
    broken
}

/// I9, once the fault is over: `resume` ends, and one more `resume` sends no act and gives the same report, byte for
/// byte. A command that left nothing to do counts as the first of the two: `report` is the JSON report that it wrote.
/// `go_on` makes the command that takes the run up and writes a JSON report of that name; `acts` says how many acts came
/// anywhere until now. How the last of them ended; its report is `end.json`.
pub(crate) fn check_end(
    bench: &Bench,
    report: &str,
    go_on: impl Fn(&str) -> Command,
    acts: impl Fn() -> usize,
    broken: &mut Vec<String>,
) -> Done {
    let is_complete = bench.report(report)["run"]["complete"] == true;
    let last = if is_complete {
        report
    } else {
        bench.done(go_on("taken-up.json"));
        "taken-up.json"
    };
    let before = acts();
    let again = bench.done(go_on("end.json"));
    if acts() != before {
        broken.push(format!("I9: one more resume sent {} acts", acts() - before));
    }
    let (one, other) = (lasting(bench, last), lasting(bench, "end.json"));
    if one != other || one.is_none() {
        broken.push(format!("I9: one more resume reports something else\n{one:?}\n{other:?}"));
    }
    again
}

/// A report as it has to stay. When a run that cannot be complete was looked at last is part of its report: each look
/// changes that one time.
fn lasting(bench: &Bench, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(bench.path(name)).ok()?;
    let report: Value = serde_json::from_str(&text).ok()?;
    let ended = report["run"]["ended"].to_string();
    Some(if report["run"]["complete"] == true { text } else { text.replacen(&ended, "null", 1) })
}

/// One run, as the journal has it.
struct Run {
    id: String,
    /// What each item would do.
    deeds: BTreeMap<ItemId, String>,
    rows_without_item: usize,
    /// The deeds of each intent, by its tag.
    intents: BTreeMap<String, BTreeSet<String>>,
    /// What an operator permitted to repeat.
    permitted: Vec<String>,
}

/// Every run of the state folder; none when there is no folder yet.
fn runs(bench: &Bench) -> Vec<Run> {
    let listed = journal::runs(&bench.state()).expect("the journals can be read").runs;
    listed.into_iter().map(|run| read(&bench.state(), &run.meta.tenant, &run.meta.id)).collect()
}

fn read(state: &Path, tenant: &str, id: &str) -> Run {
    let reader = RunReader::of_tenant(state, tenant, id).expect("the run is there");
    let mut run = Run {
        id: id.to_owned(),
        deeds: BTreeMap::new(),
        rows_without_item: reader.rows_without_item().expect("rows").len(),
        intents: BTreeMap::new(),
        permitted: Vec::new(),
    };
    let items = reader.for_each_item(|row| {
        let action = reader.header().steps[usize::from(row.step)].action.id;
        let event = &row.event;
        let deed = format!("{action} {} {} {} {}", event.agent_id, event.event_id, event.pid, event.unique_id);
        run.deeds.insert(ItemId(row.item), deed);
        Ok(())
    });
    items.expect("the plan can be read");
    let facts = reader.for_each_fact(|fact| {
        let deeds_of = |items: &[ItemId]| items.iter().map(|item| run.deeds[item].clone()).collect::<Vec<_>>();
        match fact.what {
            What::Submitting { batch, items, .. } => {
                run.intents.insert(tag::tag(id, batch), deeds_of(&items).into_iter().collect());
            }
            What::Permitted { items, .. } => run.permitted.extend(deeds_of(&items)),
            _ => {}
        }
        Ok(())
    });
    facts.expect("the chain of facts is whole");
    run
}

/// What tells one deed from another, in a ledger and in a report.
fn deed(of: &Value) -> String {
    let text = |field: &str| of[field].as_str().map_or_else(|| of[field].to_string(), str::to_owned);
    ["action_id", "agent_id", "event_id", "pid", "unique_id"].map(text).join(" ")
}

fn at_most_one_act(entries: &[Value], runs: &[Run], broken: &mut Vec<String>) {
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        *done.entry(deed(entry)).or_default() += 1;
    }
    for (deed, times) in done {
        let permitted = runs.iter().flat_map(|run| &run.permitted).filter(|other| **other == deed).count();
        if times > 1 + permitted {
            broken.push(format!("I1: {deed} was carried out {times} times, {permitted} repeats were permitted"));
        }
    }
}

fn every_act_has_an_intent(entries: &[Value], runs: &[Run], acts: usize, broken: &mut Vec<String>) {
    let intents: BTreeMap<&String, &BTreeSet<String>> = runs.iter().flat_map(|run| &run.intents).collect();
    if acts > intents.len() {
        broken.push(format!("I4: {acts} acts were sent, the journal has {} intents", intents.len()));
    }
    for entry in entries.iter().filter(|entry| entry["restored"] != true) {
        let comment = entry["comment"].as_str().unwrap_or_default();
        let intended = intents.iter().find(|(tag, _)| comment.ends_with(tag.as_str())).map(|(_, deeds)| *deeds);
        if !intended.is_some_and(|deeds| deeds.contains(&deed(entry))) {
            broken.push(format!("I4: carried out without an intent: {entry}"));
        }
    }
}

fn everything_is_accounted_for(report: &Value, run: &Run, broken: &mut Vec<String>) {
    let items = report["items"].as_array().cloned().unwrap_or_default();
    let listed: Vec<(u64, String)> =
        items.iter().map(|item| (item["item"].as_u64().unwrap_or(u64::MAX), deed(item))).collect();
    let planned: Vec<(u64, String)> = run.deeds.iter().map(|(item, deed)| (item.0.into(), deed.clone())).collect();
    if listed != planned {
        broken.push(format!("I2: the report lists {} items, the plan has {}", listed.len(), planned.len()));
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    items.iter().for_each(|item| *counts.entry(item["outcome"].as_str().unwrap_or("none")).or_default() += 1);
    let said = report["summary"]["outcomes"].as_object().cloned().unwrap_or_default();
    let said: BTreeMap<&str, u64> =
        said.iter().filter_map(|(name, n)| Some((name.as_str(), n.as_u64().filter(|n| *n > 0)?))).collect();
    if counts != said {
        broken.push(format!("I2: the summary counts {said:?}, the items are {counts:?}"));
    }
    let rows: BTreeSet<u64> = items.iter().filter_map(|item| item["row"].as_u64()).collect();
    let without = report["rows_without_item"].as_array().map_or(0, Vec::len);
    if without != run.rows_without_item || report["summary"]["rows"] != (rows.len() + without) as u64 {
        broken.push(format!("I2: {} rows with and {without} without an item are not all rows", rows.len()));
    }
}

fn what_is_said_is_true(report: &Value, entries: &[Value], broken: &mut Vec<String>) {
    let own = format!("[quell {}/", report["run"]["id"].as_str().unwrap_or_default());
    let mut carried_out: BTreeMap<String, &Value> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["comment"].as_str().is_some_and(|text| text.contains(&own))) {
        carried_out.insert(deed(entry), entry);
    }
    for item in report["items"].as_array().into_iter().flatten() {
        let entry = carried_out.remove(&deed(item));
        let outcome = item["outcome"].as_str().unwrap_or_default();
        if outcome == "succeeded" && !entry.is_some_and(|entry| entry["fate"] == "succeeds") {
            broken.push(format!("I3: the tenant's ledger does not call it a success ({entry:?}): {item}"));
        }
        if let Some(entry) = entry
            && ["rejected", "not_started", "skipped", "blocked"].contains(&outcome)
        {
            broken.push(format!("I3: it was carried out ({entry}): {item}"));
        }
        if let (Some(id), Some(entry)) = (item["remediation_id"].as_str(), entry)
            && outcome == "succeeded"
            && id != entry["remediation_id"]
        {
            broken.push(format!("I3: the id is that of something else, not {}: {item}", entry["remediation_id"]));
        }
    }
    for entry in carried_out.into_values() {
        broken.push(format!("I3: carried out, and no item of the report: {entry}"));
    }
}

/// The published order: 7, 1, 5, 6, 8, 4, 9. What a person found out about an item counts as its outcome.
fn the_exit_code_is_the_true_one(report: &Value, done: &Done, broken: &mut Vec<String>) {
    let run = &report["run"];
    let outcome = |item: &Value| match item["resolution"].as_str() {
        Some("succeeded" | "carried_out") => "succeeded".to_owned(),
        Some(_) => "failed".to_owned(),
        None => item["outcome"].as_str().unwrap_or_default().to_owned(),
    };
    let outcomes: BTreeSet<String> = report["items"].as_array().into_iter().flatten().map(outcome).collect();
    let any = |names: &[&str]| names.iter().any(|name| outcomes.contains(*name));
    let refused = |row: &Value| row["reason"].as_str().is_some_and(|reason| reason.starts_with("refused"));
    let refused_rows = report["rows_without_item"].as_array().into_iter().flatten().any(refused);
    let cut_off = ["unreachable", "wrong_place", "sign_in"].iter().any(|why| run["stopped"] == *why);
    let code = if any(&["unknown", "unmatched"]) {
        5
    } else if run["complete"] == false {
        if cut_off { 8 } else { 6 }
    } else if refused_rows || any(&["failed", "rejected", "timed_out", "blocked", "not_started"]) {
        4
    } else if any(&["still_queued"]) {
        9
    } else {
        0
    };
    // A report that could not be written, a full disk or a bug say so themselves, and win.
    let other = matches!(done.code, Some(1 | 7)) && done.stderr.contains("error: ");
    if !other && done.code != Some(code) {
        broken.push(format!("I5: exit {:?}, but its outcomes {outcomes:?} make it {code}", done.code));
    }
    if run["exit_code"] != code {
        broken.push(format!("I5: the report says {}, but its outcomes {outcomes:?} make it {code}", run["exit_code"]));
    }
}

fn the_secret_is_nowhere(scene: &Scene<'_>, broken: &mut Vec<String>) {
    for path in files_below(scene.bench.folder.path()) {
        let spared = scene.secret_is_in.iter().any(|name| scene.bench.path(name) == path);
        let content = std::fs::read(&path).unwrap_or_default();
        if !spared && String::from_utf8_lossy(&content).contains(scene.secret) {
            broken.push(format!("I6: the token is in {}", path.display()));
        }
    }
}

/// What is meant for people and their tools holds nothing that acts on a terminal: controls but line ends and tabs,
/// and signs that turn the direction of text.
fn outputs_are_inert(scene: &Scene<'_>, broken: &mut Vec<String>) {
    let acts = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut outputs =
        vec![("stdout".to_owned(), scene.done.stdout.clone()), ("stderr".to_owned(), scene.done.stderr.clone())];
    for path in files_below(scene.bench.folder.path()) {
        let is_report =
            path.extension().is_some_and(|kind| ["json", "csv", "md", "html", "txt"].iter().any(|k| kind == *k));
        if is_report {
            outputs.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap_or_default()));
        }
    }
    for (name, text) in outputs {
        // CSV ends its lines with CR LF.
        if let Some(at) = text.replace("\r\n", "\n").find(acts) {
            broken.push(format!("I10: a character that acts stands at byte {at} of {name}"));
        }
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
