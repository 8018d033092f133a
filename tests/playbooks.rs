//! What is shipped for others to copy: the playbooks, the example events, tenants and jobs. Each is read, planned and
//! carried out by the binary itself, as somebody would who has just cloned the repository.
//!
//! Nothing here is listed by hand: what lies in `playbooks/` is tested because it lies there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../examples/make_events.rs"]
#[expect(dead_code, reason = "the program's `main`, which writes the files, is not what is tested")]
mod make_events;

#[path = "playbooks/folder.rs"]
mod folder;
#[path = "playbooks/jobs.rs"]
mod jobs;

use folder::{Folder, Started, code, command, json_of, shipped, stdout};
use quell::tenant::{self, Limits, Polling, Statuses, Tenant};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TENANT: &str = "playbooks/tenants/example.yaml";
const SIMULATOR_TENANT: &str = "examples/tenant.yaml";

#[test]
fn the_plan_of_every_playbook_is_as_reviewed() {
    for playbook in shipped() {
        let stem = Path::new(&playbook).file_stem().unwrap().to_string_lossy().into_owned();
        for format in ["text", "markdown", "json"] {
            let plan = stdout(command(ROOT).args(["plan", &playbook, "--format", format]));
            insta::assert_snapshot!(format!("{stem}_{format}"), plan);
        }
    }
}

#[test]
fn a_plan_has_the_same_bytes_in_any_folder_time_zone_and_language() {
    let (here, there) = (Folder::with_what_is_shipped(), Folder::with_what_is_shipped());
    let surroundings = [(&here, "Pacific/Auckland", "de_DE.UTF-8"), (&there, "America/St_Johns", "C")];
    for playbook in shipped() {
        for format in ["text", "markdown", "json"] {
            let [one, other] = surroundings.map(|(folder, zone, language)| {
                let mut plan = folder.command();
                plan.env("TZ", zone).env("LANG", language).env("LC_ALL", language);
                stdout(plan.args(["plan", &playbook, "--format", format]))
            });
            assert_eq!(one, other, "{playbook}");
        }
    }
}

#[test]
fn a_plan_opens_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let folder = Folder::with_what_is_shipped();
    let address = format!("http://{}", listener.local_addr().unwrap());
    folder.replace(TENANT, "https://gateway.example.invalid", &address);
    folder.replace(SIMULATOR_TENANT, "http://127.0.0.1:8787", &address);
    for playbook in shipped() {
        // The plan names the address, so it is this tenant that was not asked.
        assert!(stdout(folder.command().args(["plan", &playbook])).contains(&address), "{playbook}");
    }
    let events = [
        "plan",
        "examples/events.csv",
        "--max-items",
        "1000",
        "--max-hosts",
        "250",
        "--action",
        "quarantine-file",
        "--tenant",
        SIMULATOR_TENANT,
        "--format",
        "json",
    ];
    assert_eq!(json_of(folder.command().args(events))["tenant"]["base_url"], address);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);

    // The listener would have noticed: a run does connect.
    let mut run = folder.command();
    run.args(["run", "playbooks/lift-isolation.yaml", "--yes", "--state-dir", "state"]).env("QUELL_TOKEN", "any");
    let mut run = Started(run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    while listener.accept().is_err() {
        assert_eq!(run.0.try_wait().unwrap(), None, "the run ended without a connection");
        std::thread::yield_now();
    }
}

#[test]
fn every_playbook_runs_to_its_end_against_the_simulator_and_writes_its_reports() {
    let folder = Folder::with_what_is_shipped();
    let started: Vec<(String, Child)> = shipped()
        .into_iter()
        .map(|playbook| {
            let mut run = folder.command();
            // A state folder for each: runs on one tenant go one after the other.
            run.args(["run", &playbook, "--simulate", "--yes", "--state-dir", &format!("state/{playbook}")]);
            (playbook, run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (playbook, run) in started {
        let ended = run.wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{playbook}: {told}");
        let id = told.lines().find_map(|line| line.strip_prefix("run ")).expect("a run says its name");
        let plan = json_of(folder.command().args(["plan", &playbook, "--format", "json"]));
        let reports = plan["reports"].as_array().unwrap();
        assert!(!reports.is_empty(), "{playbook} asks for no report");
        for report in reports {
            let path = report["path"].as_str().unwrap().replace("{{ run.id }}", id);
            assert!(path.starts_with("out/") && !folder.read(&path).is_empty(), "{playbook}: {path}");
        }
        let report = ["report", id, "--format", "json", "--state-dir", &format!("state/{playbook}")];
        let summary = &json_of(folder.command().args(report))["summary"];
        assert_eq!(summary["items"], plan["counts"]["items"], "{playbook}");
        assert_eq!(summary["outcomes"]["succeeded"], plan["counts"]["items"], "{playbook}");
    }
}

#[test]
fn the_events_of_every_playbook_show_what_each_step_takes_and_what_none_takes() {
    for playbook in shipped() {
        let plan = json_of(command(ROOT).args(["plan", &playbook, "--format", "json"]));
        let items = plan["items"].as_array().unwrap();
        for step in plan["steps"].as_array().unwrap() {
            assert!(items.iter().any(|item| item["step"] == step["name"]), "{playbook}: {step}");
        }
        assert!(plan["counts"]["rows_without_item"].as_u64() > Some(0), "{playbook}");
        assert!(!plan["description"].as_str().unwrap().is_empty(), "{playbook}");
        assert!(!plan["comment"].as_str().unwrap().is_empty(), "{playbook}");
    }
}

#[test]
fn a_night_without_detections_is_a_good_night() {
    let folder = Folder::with_what_is_shipped();
    let events = folder.read("playbooks/events/nightly-sweep.csv");
    folder.write("empty.csv", &format!("{}\n", events.lines().next().unwrap()));
    let run =
        ["run", "playbooks/nightly-sweep.yaml", "--events", "empty.csv", "--simulate", "--yes", "--state-dir", "s"];
    assert_eq!(code(folder.command().args(run)), 0);
    // Without `empty: ok` it is refused: an export that broke off looks the same.
    folder.replace("playbooks/nightly-sweep.yaml", ", empty: ok", "");
    assert_eq!(code(folder.command().args(run)), 2);
}

#[test]
fn everything_that_is_shipped_passes_the_check() {
    let shipped = shipped().len();
    let said = stdout(command(ROOT).args(["check", "playbooks", "examples"]));
    let tests = std::fs::read_dir(Path::new(ROOT).join("playbooks/tests")).unwrap().count();
    // Tenants and what is protected too; the simulator's tenant; five files of the walk-through.
    assert_eq!(
        said,
        format!(
            "{} files checked, no problems
",
            shipped + tests + 8
        )
    );
    assert!(shipped >= 5);
}

#[test]
fn the_commented_tenant_has_every_key_and_its_defaults() {
    let text = Folder::with_what_is_shipped().read(TENANT);
    let tenant = tenant::read(TENANT, &text).expect("a tenant");
    assert_eq!(tenant.statuses, Statuses::default());
    assert_eq!(tenant.polling, Polling::default());
    assert_eq!(Limits { keep_free: None, ..tenant.limits }, Limits::default());
    let (schema, mut keys) = (tenant::schema(), Vec::new());
    properties(&schema, &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        assert!(text.contains(&format!("{key}:")), "the commented tenant does not show `{key}`");
    }
}

#[test]
fn the_example_events_are_what_their_program_writes() {
    let folder = Folder::with_what_is_shipped();
    for (path, made) in [(make_events::CSV, make_events::csv()), (make_events::JSON_LINES, make_events::json_lines())] {
        assert!(folder.read(path) == made, "{path} is old: cargo run --example make_events");
    }
}

#[test]
fn a_console_export_is_recognised_by_its_header_and_plans_to_a_thousand_items() {
    let plan = ["plan", "examples/events.csv", "--action", "quarantine-file", "--tenant", SIMULATOR_TENANT];
    assert_eq!(code(command(ROOT).args(plan)), 3, "as shipped it is held");
    let raised = ["--max-items", "1000", "--max-hosts", "250", "--format", "json"];
    let plan = json_of(command(ROOT).args(plan).args(raised));
    assert_eq!(plan["counts"]["items"], 1000);
    assert_eq!(plan["counts"]["rows_without_item"], 0);
    assert!((190..=210).contains(&plan["counts"]["hosts"].as_u64().unwrap()));
    // Only the mapping `console` knows this name.
    assert_eq!(plan["items"][0]["attributes"]["event_time"], "2026-06-12T00:00:00Z");
}

#[test]
fn the_api_s_own_records_are_recognised_by_their_paths() {
    for (action, items) in [("kill-process", 18), ("quarantine-file", 36)] {
        let plan = ["plan", "examples/events.jsonl", "--action", action, "--tenant", SIMULATOR_TENANT];
        let plan = json_of(command(ROOT).args(plan).args(["--format", "json", "--max-irreversible", "18"]));
        assert_eq!((plan["counts"]["rows"].as_u64(), plan["counts"]["items"].as_u64()), (Some(60), Some(items)));
        let attributes = &plan["items"][0]["attributes"];
        assert_eq!(attributes["host"], attributes["asset"]["hostName"]);
    }
    let filter = "indicator2 != null && indicator2.exists(i, i.threat_name.contains(\"CoinMiner\"))";
    let plan = ["plan", "examples/events.jsonl", "--action", "kill-process", "--tenant", SIMULATOR_TENANT];
    let plan =
        json_of(command(ROOT).args(plan).args(["--where", filter, "--format", "json", "--max-irreversible", "18"]));
    let items = plan["items"].as_array().unwrap();
    let is_miner = |item: &Value| item["attributes"]["indicator2"][0]["threatName"] == "CoinMiner.XMRig";
    assert!(!items.is_empty() && items.iter().all(is_miner));
}

/// The two terminals of the example tenant's first lines.
#[test]
fn the_example_tenant_fits_the_simulator_and_a_thousand_items_are_carried_out() {
    let folder = Folder::with_what_is_shipped();
    let mut simulator = folder.command();
    simulator.args(["simulate", "--port", "0", "--write-tenant", "written.yaml"]).stdout(Stdio::piped());
    let mut simulator = Started(simulator.stderr(Stdio::null()).spawn().unwrap());
    let mut said = String::new();
    BufReader::new(simulator.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    let url = said.trim().strip_prefix("simulated tenant on ").expect("it says its address").to_owned();

    folder.replace(SIMULATOR_TENANT, "http://127.0.0.1:8787", &url);
    let [ours, its] = [SIMULATOR_TENANT, "written.yaml"].map(|file| tenant::read(file, &folder.read(file)).unwrap());
    let run = ["run", "examples/events.csv", "--action", "quarantine-file", "--tenant", SIMULATOR_TENANT, "--yes"];
    let code = code(folder.command().args(run).args([
        "--quiet",
        "--state-dir",
        "state",
        "--report",
        "json=r.json",
        "--max-items",
        "1000",
        "--max-hosts",
        "250",
    ]));

    assert_eq!(Tenant { columns: its.columns.clone(), statuses: its.statuses.clone(), ..ours }, its);
    assert_eq!(code, 0);
    let report: Value = serde_json::from_str(&folder.read("r.json")).unwrap();
    assert_eq!(report["summary"]["outcomes"]["succeeded"], 1000);
}

/// Every name of a property, wherever it stands in a schema.
fn properties<'s>(schema: &'s Value, keys: &mut Vec<&'s str>) {
    match schema {
        Value::Object(members) => {
            // `properties` below `not` and the like only repeats names.
            let named = members.get("properties").and_then(Value::as_object);
            keys.extend(named.into_iter().flat_map(|named| named.keys().map(String::as_str)));
            members.values().for_each(|member| properties(member, keys));
        }
        Value::Array(elements) => elements.iter().for_each(|element| properties(element, keys)),
        _ => {}
    }
}
