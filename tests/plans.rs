//! Plan files by the real binary, held against the tenant's ledger: what is carried out is what the plan holds, once, and
//! whatever is refused was refused before anything was sent.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;

use bench::{Bench, Done};
use quell::simulator::{Delay, Options, Script, ScriptedAnswer, Simulator};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

const PLAN: &str = "plan events.csv --action quarantine-file --tenant tenant.yaml -o p.plan";
const APPLY: &str = "apply p.plan --yes --quiet --report json=r.json";

fn bench(options: Options) -> (Bench, Simulator) {
    let (bench, simulator) = Bench::serving(options);
    bench.events(10);
    bench.change_tenant("batch_size: 50", "batch_size: 2");
    bench.change_tenant("concurrency: 8", "concurrency: 1");
    (bench, simulator)
}

fn prompt() -> Options {
    Options { settle: Delay::None, ..Options::default() }
}

fn quell(bench: &Bench, command: &str) -> Done {
    bench.done(bench.quell(&command.split(' ').collect::<Vec<_>>()))
}

#[track_caller]
fn says(bench: &Bench, command: &str, code: i32, words: &str) -> Done {
    let done = quell(bench, command);
    assert!(
        done.code == Some(code) && (done.stderr.contains(words) || done.stdout.contains(words)),
        "{command}: {words:?} is not in what ended with {:?}:\n{}{}",
        done.code,
        done.stdout,
        done.stderr
    );
    done
}

/// Acts on each event under each action, in the tenant's ledger.
fn acts(simulator: &Simulator) -> BTreeMap<(i64, String), usize> {
    let mut all = BTreeMap::new();
    for entry in simulator.ledger().entries {
        *all.entry((entry.item.action_id, entry.item.event_id)).or_default() += 1;
    }
    all
}

fn count(report: &Value, outcome: &str) -> u64 {
    report["summary"]["outcomes"][outcome].as_u64().expect("a count")
}

fn run_of(report: &Value) -> String {
    report["run"]["id"].as_str().expect("a name").to_owned()
}

fn write(bench: &Bench, name: &str, text: &str) {
    fs::write(bench.path(name), text).expect("it is written");
}

/// Sums depend on the tenant's port, and positions in the plan on nothing that matters.
fn masked(text: &str) -> String {
    let sums = regex::Regex::new("[0-9a-f]{64}").expect("a pattern");
    sums.replace_all(text, "<sha256>").into_owned()
}

fn read(bench: &Bench, name: &str) -> String {
    fs::read_to_string(bench.path(name)).expect("it is there")
}

/// A playbook that says more than the command line can.
fn playbook(bench: &Bench, more: &str) {
    let steps = "steps: [{name: away, action: quarantine-file}]";
    write(
        bench,
        "p.yaml",
        &format!("version: 1\nname: p\ntenant: simulator\nevents: [{{file: events.csv}}]\n{steps}\n{more}\n"),
    );
}

#[test]
fn what_is_carried_out_is_what_the_plan_holds_and_only_once() {
    let (bench, simulator) = bench(prompt());
    let planned = says(&bench, PLAN, 0, "10 items on 10 hosts");
    assert!(planned.stderr.contains("the plan is written to p.plan; `quell apply p.plan` carries it out"));
    let shown = says(&bench, "show p.plan", 0, "10 items on 10 hosts").stdout;
    assert!(planned.stdout.contains(&shown), "what was planned is what is shown");
    assert_eq!(simulator.counters().posts, 0);
    says(&bench, APPLY, 0, "all 10 items succeeded");
    let report = bench.report("r.json");
    bench.check_truth(&report);
    assert_eq!(
        shown.lines().last(),
        Some(format!("digest   {}", report["run"]["digest"].as_str().expect("one")).as_str())
    );
    let done = says(&bench, APPLY, 3, "this plan was carried out before");
    let run = run_of(&report);
    let help = format!("\nhelp: `quell show {run}` says what came of it, and `quell retry` tries again what failed\n");
    assert!(done.stderr.ends_with(&help), "{}", done.stderr);
    assert_eq!(done.stderr.matches(&run).count(), 1, "{}", done.stderr);
    assert_eq!(acts(&simulator).values().sum::<usize>(), 10);
}

#[test]
fn the_same_files_give_the_same_bytes_and_another_folder_the_same_digest() {
    let (bench, _) = bench(prompt());
    says(&bench, PLAN, 0, "");
    says(&bench, &PLAN.replace("p.plan", "again.plan"), 0, "");
    assert_eq!(read(&bench, "p.plan"), read(&bench, "again.plan"));
    fs::create_dir(bench.path("jobs")).expect("a folder");
    let mut command = bench.quell(&[
        "plan",
        "../events.csv",
        "--action",
        "quarantine-file",
        "--tenant",
        "../tenant.yaml",
        "-o",
        "../other.plan",
    ]);
    command.current_dir(bench.path("jobs"));
    assert_eq!(bench.done(command).code, Some(0));
    let (here, there) = (read(&bench, "p.plan"), read(&bench, "other.plan"));
    assert_eq!(here.lines().next(), there.lines().next(), "the digest");
    assert!(there.contains("\"name\":\"../events.csv\"") && !there.contains(&bench.path("").display().to_string()));
    // It names files as they are seen from where it was made.
    says(&bench, "apply other.plan --yes --quiet", 3, "events ../events.csv: there is no such file");
}

/// Each is refused before anything is sent, and before the state folder is touched.
#[test]
fn whatever_is_refused_was_refused_before_anything_was_sent() {
    let (bench, simulator) = bench(prompt());
    playbook(&bench, "");
    says(&bench, "plan p.yaml --tenant tenant.yaml -o p.plan", 0, "");
    let (plan, tenant) = (read(&bench, "p.plan"), read(&bench, "tenant.yaml"));
    write(&bench, "other.yaml", &tenant.replace("name: simulator", "name: elsewhere"));
    let mut told = String::new();
    let mut refused = |command: &str, code: i32, words: &str| {
        let done = says(&bench, command, code, words);
        told += &format!("$ quell {command}\nexit {code}\n{}\n", masked(&done.stderr));
        assert_eq!((simulator.counters().posts, simulator.counters().gets), (0, 0), "{command}");
        assert!(!bench.state().exists(), "{command}: the state folder was touched");
    };
    for file in ["p.yaml", "events.csv", "tenant.yaml"] {
        let text = read(&bench, file);
        write(&bench, file, &format!("{text}\n"));
        refused(APPLY, 3, &format!("{file} was "));
        fs::remove_file(bench.path(file)).expect("it was there");
        refused(APPLY, 3, &format!("{file}: there is no such file"));
        write(&bench, file, &text);
    }
    for flag in
        ["events=e.csv", "var=a=b", "where=true", "limit=3", "hosts=h", "max-items=9", "waves=1", "partial-input"]
    {
        let name = flag.split('=').next().expect("a name");
        refused(&format!("{APPLY} --{flag}"), 2, &format!("--{name}: a plan is carried out as it is; plan again"));
    }
    refused(&format!("{APPLY} --tenant other.yaml"), 3, "`name` is elsewhere now");
    refused(&format!("{APPLY} --simulate"), 2, "it reaches simulator; nothing was sent");
    refused(&format!("{APPLY} --report html=p.plan"), 2, "would replace the input p.plan");
    refused(&format!("{APPLY} --report html=events.csv"), 2, "would replace the input events.csv");
    refused("apply events.csv --yes", 2, "this is no plan file");
    refused("apply none.plan --yes", 2, "there is no such file");
    for at in (20..plan.len()).step_by(plan.len() / 20) {
        let mut bytes = plan.clone().into_bytes();
        bytes[at] ^= 1;
        fs::write(bench.path("p.plan"), bytes).expect("it is written");
        says(&bench, APPLY, 3, "nothing was sent");
        assert_eq!((simulator.counters().posts, bench.state().exists()), (0, false), "byte {at}");
    }
    insta::assert_snapshot!(told);
    write(&bench, "p.plan", &plan);
    says(&bench, APPLY, 0, "all 10 items succeeded");
}

#[test]
fn nothing_of_a_plan_needs_anybody() {
    let (bench, _) = bench(prompt());
    says(&bench, PLAN, 0, "");
    let done = says(&bench, "show p.plan --needs-me", 2, "p.plan is a plan, of which nothing has run");
    assert!(done.stderr.contains("help: `quell show p.plan` shows what it would do"), "{}", done.stderr);
}

#[test]
fn a_token_beside_the_tenant_is_found_however_the_tenant_was() {
    let (bench, simulator) = bench(prompt());
    for folder in ["tenants", "playbooks"] {
        fs::create_dir(bench.path(folder)).expect("a folder");
    }
    bench.change_tenant("{token_command: [echo, any-token-will-do]}", "{token_file: ../secrets/token}");
    fs::rename(bench.path("tenant.yaml"), bench.path("tenants/simulator.yaml")).expect("it is moved");
    playbook(&bench, "");
    write(&bench, "playbooks/p.yaml", &read(&bench, "p.yaml").replace("events.csv", "../events.csv"));
    // The plan needs no token: the folder of it comes later.
    says(&bench, "plan playbooks/p.yaml -o p.plan", 0, "10 items");
    fs::create_dir(bench.path("secrets")).expect("a folder");
    write(&bench, "secrets/token", "any\n");
    fs::set_permissions(bench.path("secrets/token"), fs::Permissions::from_mode(0o600)).expect("it is ours alone");
    says(&bench, APPLY, 0, "all 10 items succeeded");
    assert_eq!(acts(&simulator).len(), 10);
}

#[test]
fn a_plan_is_written_over_an_older_plan_and_over_nothing_else() {
    let (bench, _) = bench(prompt());
    let events = read(&bench, "events.csv");
    for (output, words) in [
        ("events.csv", "would replace the input events.csv"),
        ("./tenant.yaml", "would replace the input tenant.yaml"),
        ("notes.txt", "would replace a file that is no plan"),
        (".", "would replace something that is no regular file"),
        ("p.plan.sig", "cannot end in .sig: the signatures of a plan are called so"),
        ("-", "has to be a file"),
    ] {
        write(&bench, "notes.txt", "mine");
        says(&bench, &PLAN.replace("p.plan", output), 2, words);
    }
    assert_eq!((read(&bench, "events.csv"), read(&bench, "notes.txt")), (events, "mine".to_owned()));
    says(&bench, PLAN, 0, "");
    bench.events(3);
    says(&bench, PLAN, 0, "3 items on 3 hosts");
    says(&bench, "show p.plan", 0, "3 items on 3 hosts");
}

#[test]
fn plans_are_compared_and_their_exit_code_can_tell() {
    let (bench, simulator) = bench(prompt());
    let plan = PLAN.replace(" -o p.plan", "");
    says(&bench, &format!("{PLAN} --detailed-exitcode"), 10, "10 items");
    says(&bench, &format!("{plan} --where false --detailed-exitcode"), 0, "0 items");
    says(
        &bench,
        &format!("{plan} --diff p.plan --detailed-exitcode"),
        0,
        "no difference: both plans are the same (10 items)",
    );
    bench.events(9);
    let differs = format!("{plan} --diff p.plan");
    let done = says(&bench, &differs, 0, "items: 0 added, 1 removed, 0 changed, 9 as before");
    assert!(
        done.stdout.contains("\n  - quarantine-file on agent 00000000-0000-4000-8000-000000000009: FILE event RTF_9_1")
    );
    assert!(done.stdout.contains("\n  files.events events.csv.sha256: ") && done.stdout.contains("\n  rows: 10 → 9\n"));
    says(&bench, &format!("{differs} --detailed-exitcode"), 10, "1 removed");
    says(&bench, &format!("{differs} --format json"), 2, "cannot be used with");
    says(&bench, &plan.replace("plan events.csv", "plan events.csv --diff tenant.yaml"), 2, "this is no plan file");
    assert_eq!(simulator.counters().posts, 0);
}

#[test]
fn a_plan_file_is_shown_in_each_format_and_a_run_is_not() {
    let (bench, _) = bench(prompt());
    says(&bench, PLAN, 0, "");
    says(&bench, "show p.plan --format markdown", 0, "### quell plan: events on simulator");
    let json = says(&bench, "show p.plan --format json", 0, "").stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let files: Vec<_> = json["files"].as_array().expect("files").iter().map(|file| file["role"].as_str()).collect();
    assert_eq!(files, [Some("tenant"), Some("events")]);
    fs::rename(bench.path("p.plan"), bench.path("reviewed")).expect("it is moved");
    says(&bench, "show reviewed", 0, "10 items on 10 hosts");
    says(
        &bench,
        "show events-0612-7f3 --format json",
        2,
        "`quell report events-0612-7f3 --format …` writes a report of a run",
    );
    says(&bench, "show --format json", 2, "no file is named");
}

#[test]
fn events_from_standard_input_are_in_the_plan_and_not_read_again() {
    let (bench, simulator) = bench(prompt());
    let mut command =
        bench.quell(&["plan", "-", "--action", "quarantine-file", "--tenant", "tenant.yaml", "-o", "p.plan"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(read(&bench, "events.csv").as_bytes()).expect("it is read");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    assert!(read(&bench, "p.plan").contains("{\"role\":\"events\",\"name\":\"-\""));
    fs::remove_file(bench.path("events.csv")).expect("it was there");
    says(&bench, "apply p.plan --yes", 0, "standard input was read for this plan; it is not read again");
    assert_eq!(acts(&simulator).len(), 10);
}

#[test]
fn of_two_that_carry_out_one_plan_at_once_one_is_refused() {
    for overlap in ["", "overlap: wait"] {
        let (bench, simulator) =
            bench(Options { settle: Delay::Fixed(Duration::from_millis(300)), ..Options::default() });
        playbook(&bench, overlap);
        says(&bench, "plan p.yaml --tenant tenant.yaml -o p.plan", 0, "");
        let apply = || bench.start(bench.quell(&["apply", "p.plan", "--yes", "--quiet"]));
        let going = [apply(), apply(), apply()];
        let mut codes: Vec<_> = going.into_iter().map(|one| one.wait().code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(3), Some(3)], "{overlap}");
        assert!(acts(&simulator).len() == 10 && acts(&simulator).values().all(|acts| *acts == 1), "{overlap}");
    }
}

#[test]
fn a_run_that_was_cut_short_is_resumed_and_not_applied_again() {
    let (bench, simulator) = bench(Options { settle: Delay::Fixed(Duration::from_secs(60)), ..Options::default() });
    says(&bench, PLAN, 0, "");
    let mut going = bench.start(bench.quell(&["apply", "p.plan", "--yes", "--quiet"]));
    assert!(going.wait_until(|| simulator.counters().posts >= 2));
    going.signal(Signal::KILL);
    assert_eq!(going.wait().code, None);
    let done = says(&bench, APPLY, 3, "of this plan is not finished; nothing was sent");
    assert!(done.stderr.contains("help: `quell resume events-"), "{}", done.stderr);
    assert!(acts(&simulator).values().all(|acts| *acts == 1));
}

#[test]
fn a_retry_can_be_a_plan_that_remembers_its_run_and_what_may_be_repeated() {
    let (bench, simulator) = bench(prompt());
    simulator.script(Script { acts: vec![ScriptedAnswer::cut_before()], ..Script::default() });
    says(
        &bench,
        "run events.csv --action quarantine-file --tenant tenant.yaml --yes --quiet --report json=r.json",
        5,
        "",
    );
    let first = bench.report("r.json");
    let run = run_of(&first);
    let retry = format!("retry {run} --outcome failed --permit-repeat 0,1 --reason looked -o again.plan");
    says(&bench, &format!("{retry} --yes"), 2, "cannot be used with");
    let posts = simulator.counters().posts;
    says(&bench, &retry, 0, "2 items on 2 hosts");
    says(&bench, "show again.plan", 0, &format!("retry of {run}"));
    assert_eq!(simulator.counters().posts, posts);
    says(&bench, "apply again.plan --yes --quiet --report json=again.json", 0, "all 2 items succeeded");
    let again = bench.report("again.json");
    assert_eq!((again["run"]["retry_of"].as_str(), count(&again, "succeeded")), (Some(run.as_str()), 2));
    let listed = quell(&bench, "runs --format json").stdout;
    assert!(
        listed.lines().next().is_some_and(|newest| newest.contains(&format!("\"retry_of\":\"{run}\""))),
        "{listed}"
    );
    assert!(acts(&simulator).len() == 10 && acts(&simulator).values().all(|acts| *acts == 1));
    // Elsewhere nobody knows of that run, and of what it did.
    let elsewhere = "apply again.plan --yes --state-dir elsewhere";
    says(&bench, elsewhere, 3, &format!("this plan takes up run {run}, which this state folder does not know"));
}

#[test]
fn an_undo_restores_what_was_carried_out_once_and_says_what_it_leaves() {
    let (bench, simulator) = bench(Options { fail_percent: 30.0, seed: 3, ..prompt() });
    let act = ScriptedAnswer::default;
    simulator.script(Script { acts: vec![act(), ScriptedAnswer::cut_after(), act()], ..Script::default() });
    let run = "run events.csv --action quarantine-file --tenant tenant.yaml --yes --quiet --report json=r.json";
    says(&bench, run, 5, "");
    let first = bench.report("r.json");
    let (succeeded, failed, unknown) = (count(&first, "succeeded"), count(&first, "failed"), count(&first, "unknown"));
    assert!(succeeded > 2 && failed > 0 && unknown == 2, "{first}");
    let undo = format!("undo {} -o u.plan", run_of(&first));
    let posts = simulator.counters().posts;
    let done = says(&bench, &undo, 0, &format!("{succeeded} items on {succeeded} hosts"));
    for words in
        ["its outcome is unknown: nobody knows whether it was done", "its outcome is failed: there is nothing to undo"]
    {
        assert!(done.stdout.contains(words), "{words} is not in {}", done.stdout);
    }
    assert_eq!(simulator.counters().posts, posts, "an undo only plans");
    let quarantined: Vec<String> = first["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|item| item["outcome"] == "succeeded")
        .map(|item| item["event_id"].as_str().expect("an event").to_owned())
        .collect();
    quell(&bench, "apply u.plan --yes --quiet --report json=u.json");
    let undone = bench.report("u.json");
    assert_eq!(undone["run"]["comment"], format!("undo of {}", run_of(&first)).as_str());
    assert_eq!((&undone["run"]["undo_of"], &undone["run"]["retry_of"]), (&first["run"]["id"], &Value::Null));
    let of = format!("undo of {}", run_of(&first));
    let listed = quell(&bench, "runs").stdout;
    assert!(listed.lines().next().is_some_and(|newest| newest.ends_with(&of)) && listed.matches(&of).count() == 1);
    let report = |format: &str| quell(&bench, &format!("report {} --format {format}", run_of(&undone))).stdout;
    for (format, line) in [
        ("text", format!("  undo of   {}\n", run_of(&first))),
        ("markdown", format!("- undo of: `{}`\n", run_of(&first))),
        ("html", format!("<dt>undo of</dt><dd>{}</dd>\n", run_of(&first))),
    ] {
        assert!(report(format).contains(&line), "{format}: {}", report(format));
    }
    let released: Vec<String> = {
        let acts = acts(&simulator);
        let release = *acts.keys().map(|(action, _)| action).max().expect("acts");
        assert!(acts.values().all(|acts| *acts == 1), "each file once: {acts:?}");
        acts.into_keys().filter(|(action, _)| *action == release).map(|(_, event)| event).collect()
    };
    let mut expected = quarantined;
    expected.sort();
    assert_eq!(released, expected);
    // The run is what it was, and so is the plan that undoes it.
    says(&bench, &undo, 0, "");
    says(&bench, "apply u.plan --yes --quiet", 3, "this plan was carried out before");
}

#[test]
fn a_run_that_cannot_be_undone_gives_no_plan() {
    let (bench, _) = bench(prompt());
    bench.change_tenant("{id: 9004, event_types: [FILE]", "{id: 9004, event_types: [FILE], reversible: true");
    says(&bench, "run events.csv --action delete-file --tenant tenant.yaml --yes --quiet --report json=r.json", 0, "");
    let run = run_of(&bench.report("r.json"));
    let done = says(&bench, &format!("undo {run} -o u.plan"), 2, "has nothing that can be undone; no plan was written");
    assert!(
        done.stderr.contains(
            "delete-file: 10 items: the tenant names no action that undoes delete-file (items 0-9 of the run)"
        )
    );
    assert!(!bench.path("u.plan").exists());
    says(&bench, "undo none-0612-7f3 -o u.plan", 2, "there is no run");
    let plan = "plan events.csv --action delete-file --tenant tenant.yaml --with-undo";
    says(
        &bench,
        plan,
        0,
        "\nundo:\n  delete-file: 10 items cannot be undone: the tenant names no action that undoes delete-file\n",
    );
    says(
        &bench,
        &plan.replace("delete", "quarantine"),
        0,
        "  quarantine-file: 10 items can be undone by release-file\n",
    );
}

#[test]
fn a_plan_for_the_simulator_is_carried_out_by_it() {
    let (bench, simulator) = bench(prompt());
    says(&bench, &format!("{PLAN} --simulate"), 0, "nothing real is reached");
    says(&bench, "apply p.plan --yes --quiet --simulate", 0, "all 10 items succeeded (simulated");
    says(&bench, "apply p.plan --yes --quiet", 3, "this plan was carried out before");
    assert_eq!(simulator.counters().posts, 0);
}
