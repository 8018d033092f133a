//! What a person is told when a file or a command line is wrong: through the real binary, every word of it.
//!
//! Each snapshot holds the command, its exit code and standard error. Wherever there is a file, the problem stands at
//! `file:line:column` with the offending line and what to do next; nothing is sent, nothing is written.

#[path = "harness/binary.rs"]
mod binary;

use binary::{Folder, PLAYBOOK, Said, TENANT};

/// Files that replace good ones, and the command that meets them.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    command: &'static str,
}

fn case(name: &'static str, command: &'static str) -> Case {
    Case { name, files: Vec::new(), command }
}

impl Case {
    fn with(mut self, file: &'static str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((file, content.as_ref().to_vec()));
        self
    }

    /// The good playbook with one thing in it changed.
    fn playbook(self, from: &str, to: &str) -> Self {
        assert!(PLAYBOOK.contains(from), "{from}");
        self.with("p.yaml", PLAYBOOK.replace(from, to))
    }

    /// The good tenant with one thing in it changed.
    fn tenant(self, from: &str, to: &str) -> Self {
        assert!(TENANT.contains(from), "{from}");
        self.with("tenants/prod-eu.yaml", TENANT.replace(from, to))
    }

    /// Meets the mistakes and gives what was said of them.
    fn check(&self) -> String {
        let folder = Folder::new();
        for (name, content) in &self.files {
            folder.write(name, content);
        }
        let said = folder.says(&self.command.split(' ').collect::<Vec<_>>());
        self.judge(&folder, &said);
        said.stderr
    }

    fn judge(&self, folder: &Folder, said: &Said) {
        let text = format!("$ quell {}\nexit {}\n\n{}", self.command, said.code, said.stderr);
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "snapshots/problems" }, {
            insta::assert_snapshot!(self.name, text);
        });
        assert_eq!(said.code, 2, "{}", self.name);
        assert_eq!(said.stdout, "", "{}: data goes to standard output, problems do not", self.name);
        assert!(!folder.path().join(".local").exists(), "{}: a state folder was made", self.name);
    }
}

/// The `file:line:column` of every error, in the order in which they are told.
fn places(said: &str) -> Vec<&str> {
    let errors = said.matches("error: ").count();
    let places: Vec<&str> = said.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect();
    assert_eq!(places.len(), errors, "each error has a place: {said}");
    places
}

const HEADER: &str = "agent_id,event_id,event_type,pid,unique_id,verdict,score\n";

fn rows(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

#[test]
fn six_mistakes_are_six_located_errors_in_one_pass() {
    let said = case("playbook_with_six_mistakes", "run p.yaml --yes")
        .with(
            "p.yaml",
            "version: 1\nname: night ly\ntenant: prod-eu\nevents: [{file: hits.csv, empty: yes}]\nsteps:\n  \
             - {name: kill, action: kill-proces, when: 'true'}\n  \
             - {name: quarantine, action: quarantine-file, where: 'int(score) = 8'}\nlimits: {batch_size: 80}\n",
        )
        .check();
    assert_eq!(
        places(&said),
        ["p.yaml:2:7", "p.yaml:4:34", "p.yaml:6:26", "p.yaml:6:39", "p.yaml:7:68", "p.yaml:8:22"]
    );
}

#[test]
fn mistakes_of_playbook_and_tenant_come_in_one_pass() {
    let said = case("playbook_and_tenant_with_mistakes", "plan p.yaml")
        .playbook("int(score) >= 8'}", "int(scroe) >= vars.level'}\nlimit: {batch_size: 10}")
        .tenant("user: svc-edr\n", "usr: svc-edr\n")
        .check();
    assert_eq!(places(&said), ["p.yaml:9:71", "p.yaml:10:1", "tenants/prod-eu.yaml:1:1", "tenants/prod-eu.yaml:4:1"]);
}

#[test]
fn mistakes_of_playbook_and_events_come_in_one_pass() {
    let said = case("playbook_and_events_with_mistakes", "plan p.yaml")
        .playbook("int(score) >= 8'}", "int(scroe) >= vars.level'}\nlimit: {batch_size: 10}")
        .with("hits.csv", rows("host 1,RTP_1,PROCESS,1,1,BAD,9\n"))
        .check();
    assert_eq!(places(&said), ["p.yaml:9:71", "p.yaml:10:1", "hits.csv:2:1"]);
}

#[test]
fn playbooks() {
    let plan = "plan p.yaml";
    for case in [
        case("playbook_key_twice", plan).playbook("comment:", "name: other\ncomment:"),
        case("playbook_key_that_is_not_carried_out", plan).playbook("vars:", "notify: []\nvars:"),
        case("playbook_with_an_alias", plan)
            .playbook("vars: {ticket: {default: INC-1}}", "vars: &v {ticket: {default: INC-1}}\nlimits: *v"),
        case("playbook_with_a_tag", plan).playbook("version: 1", "version: !!str 1"),
        case("playbook_of_two_documents", plan).playbook("vars:", "---\nvars:"),
        case("playbook_that_is_empty", plan).with("p.yaml", "# nothing yet\n"),
        case("playbook_that_is_a_list", plan).with("p.yaml", "- version: 1\n- name: sweep\n"),
        case("playbook_with_an_open_bracket", plan).playbook("[{file: hits.csv}]", "[{file: hits.csv}"),
        case("playbook_with_a_tab", plan).playbook("  - {name: kill", "\t- {name: kill"),
        case("playbook_with_an_open_quote", plan).playbook("'int(score) >= 8'", "'int(score) >= 8"),
        case("playbook_in_latin_1", plan).with("p.yaml", b"version: 1\nname: k\xfcche\n"),
        case("playbook_that_is_not_there", "plan playbooks/p.yaml"),
        case("playbook_that_is_a_folder", "plan tenants.yaml").with("tenants.yaml/x", ""),
        case("playbook_action_unknown", plan).playbook("action: quarantine-file", "action: quarantine-fil"),
        case("playbook_filter_cut_short", plan).playbook("int(score) >= 8", "int(score) >="),
        case("playbook_filter_with_an_unknown_function", plan).playbook("int(score) >= 8", "score.startswith(\"8\")"),
        case("playbook_filter_with_an_unknown_column", plan).playbook("verdict ==", "verdikt =="),
        case("playbook_filter_that_fails_on_rows", plan)
            .with("hits.csv", rows("h,e1,FILE,0,1,BAD,high\nh,e2,FILE,0,2,BAD,9\nh,e3,FILE,0,3,BAD,\n")),
        case("playbook_filter_with_a_bad_pattern", plan).playbook("int(score) >= 8", "verdict.matches(\"(a\")"),
        case("playbook_filter_over_several_lines", plan)
            .playbook("where: 'int(score) >= 8'}", "where: \"true &&\\\n      nope(1)\"}"),
        case("playbook_that_widens_limits", plan).playbook(
            "vars:",
            "limits: {requests: 400/h, concurrency: 3}\npolling: {interval: 1s, deadline: 5h}\nvars:",
        ),
        case("playbook_variable_without_a_value", plan).playbook("{default: INC-1}", "{required: true}"),
        case("playbook_comment_with_an_unknown_variable", plan).playbook("vars.ticket }}", "vars.tickte }}"),
        case("playbook_for_no_tenant", plan).playbook("tenant: prod-eu\n", ""),
        case("playbook_for_a_tenant_that_is_not_there", plan).playbook("tenant: prod-eu", "tenant: prod-us"),
        case("playbook_for_another_tenant", "plan p.yaml --tenant tenants/prod-eu.yaml")
            .playbook("tenant: prod-eu", "tenant: prod-us"),
        case("playbook_source_that_is_two", plan).playbook("{file: hits.csv}", "{file: hits.csv, inline: []}"),
        case("playbook_source_that_is_not_there", plan).playbook("hits.csv", "hitz.csv"),
        case("playbook_column_mapping_unknown", plan).playbook("{file: hits.csv}", "{file: hits.csv, columns: consol}"),
        case("playbook_inline_event_with_mistakes", plan).playbook(
            "{file: hits.csv}",
            "{inline: [{agent_id: h, event_id: 1.2E+12, event_type: FIEL, unique_id: 1, pid: -1}]}",
        ),
        case("playbook_without_steps", plan).with("p.yaml", "version: 1\nname: sweep\nsteps: []\n"),
    ] {
        case.check();
    }
}

#[test]
fn tenants() {
    let check = "check tenants";
    for case in [
        case("tenant_with_mistakes", check).with(
            "tenants/prod-eu.yaml",
            "version: 2\nname: Prod EU\nbase_url: http://gateway.example/\napi_version: v2\nuser: ''\nactions:\n  kill-process: {id: two, event_types: [PROCES]}\n  \
             kill_process: {id: 2, event_types: []}\n  quarantine-file: {id: 3, event_types: [FILE], inverse: relase-file}\n\
             limits: {requests: 300 per hour, batch_size: 201, act_timeout: 2 minutes}\npolling: {interval: 20m}\nstatuses: {failed: [success]}\n",
        ),
        case("tenant_with_a_token_in_it", check).tenant("user: svc-edr", "token: eyJhbGciOi.CANARY.c2ln\nuser: svc-edr"),
        case("tenant_with_a_token_in_auth", check).tenant("user: svc-edr", "auth: {token_env: eyJhbGciOi.CANARY.c2ln}\nuser: svc-edr"),
        case("tenant_with_a_password_in_its_url", check).tenant("https://gateway", "https://me:secret@gateway"),
        case("tenant_that_is_not_there", "plan p.yaml --tenant prod.yaml"),
        case("tenant_with_nothing_in_it", check).with("tenants/prod-eu.yaml", ""),
    ] {
        case.check();
    }
}

#[test]
fn tables() {
    let plan = "plan p.yaml";
    for case in [
        case("csv_with_a_ragged_row", plan).with("hits.csv", rows("h,e1,FILE,0,1,BAD,9\nh,e2,FILE,0,2,BAD\nh,e3,FILE,0,3,BAD,9,x\n")),
        case("csv_with_bad_values", plan).with(
            "hits.csv",
            rows("h 1,1.2E+12,FIEL,0x10,,BAD,9\nh,e2,PROCESS,,2,BAD,9\nh\u{200d}1,e3,FILE,-1,3,BAD,9\nh,\u{1b}[31mred,FILE,0,4,BAD,9\n"),
        ),
        case("csv_with_near_misses_in_its_header", "plan hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml")
            .with("hits.csv", "Agent ID,Event Id,Type,UniqueID\nh,e1,FILE,1\n"),
        case("csv_with_a_column_twice", plan).with("hits.csv", "agent_id,event_id,event_type,unique_id,pid,pid\nh,e1,FILE,1,2,3\n"),
        case("csv_with_semicolons", plan).with("hits.csv", "agent_id;event_id;event_type;unique_id\nh;e1;FILE;1\n"),
        case("csv_with_a_preamble", plan).with("hits.csv", format!("Detections of 12 June\n\n{}", rows("h,e1,FILE,0,1,BAD,9\n"))),
        case("csv_with_a_stray_quote", plan).with("hits.csv", rows("h,e1,FILE,0,1,\"BAD,9\nh,e2,FILE,0,2,BAD,9\nh,e3,FILE,0,3,BAD,9\n")),
        case("csv_that_was_cut", plan).with("hits.csv", rows("h,e1,FILE,0,1,BAD,9\nh,e2,FILE,0,31705341")),
        case("csv_without_rows", plan).with("hits.csv", HEADER),
        case("csv_in_latin_1", plan).with("hits.csv", [HEADER.as_bytes(), b"h,e1,FILE,0,1,B\xe4D,9\n"].concat()),
        case("csv_of_an_unknown_ending", "plan hits.xlsx --action quarantine-file --tenant tenants/prod-eu.yaml").with("hits.xlsx", "PK"),
        case("csv_with_an_unknown_action", "plan hits.csv --tenant tenants/prod-eu.yaml")
            .with("hits.csv", "agent_id,event_id,event_type,unique_id,action\nh,e1,FILE,1,Quarantine File\nh,e2,FILE,2,Erase\n"),
        case("csv_with_contradictory_actions", "plan hits.csv --tenant tenants/prod-eu.yaml")
            .with("hits.csv", "agent_id,event_id,event_type,unique_id,action\nh,e1,FILE,1,quarantine-file\nh,e1,FILE,1,release-file\n"),
        case("csv_without_an_action", "plan hits.csv --tenant tenants/prod-eu.yaml"),
        case("csv_with_swapped_columns", plan).with("hits.csv", rows("RTF_aaaaaaaa-1_7,aaaaaaaa-1,FILE,0,1,BAD,9\n")),
    ] {
        case.check();
    }
}

#[test]
fn json() {
    let lines = "plan hits.jsonl --action quarantine-file --tenant tenants/prod-eu.yaml";
    let array = "plan hits.json --action quarantine-file --tenant tenants/prod-eu.yaml";
    let good = r#"{"agent_id":"h","event_id":"e1","event_type":"FILE","unique_id":"1"}"#;
    for case in [
        case("json_lines_with_mistakes", lines).with(
            "hits.jsonl",
            format!(
                "{good}\n{{\"agent_id\":\"h\",\"event_id\":}}\n{{\"agent_id\":\"h\",\"agent_id\":\"i\"}}\n[1]\n\
                 {{\"agent_id\":[\"h\"],\"event_id\":\"e\",\"event_type\":\"FILE\",\"unique_id\":1.5}}\n"
            ),
        ),
        case("json_lines_that_were_cut", lines).with("hits.jsonl", format!("{good}\n{}", &good[..40])),
        case("json_that_was_cut", array).with("hits.json", format!("[{good},\n{good}")),
        case("json_with_a_near_miss", array).with("hits.json", format!("[{}]", good.replace("agent_id", "agent.id"))),
        case("json_that_is_html", array).with("hits.json", "<html><body>sign in</body></html>"),
    ] {
        case.check();
    }
}

#[test]
fn command_lines() {
    for case in [
        case(
            "command_events_beside_an_events_file",
            "plan hits.csv --events hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml",
        ),
        case("command_action_beside_a_playbook", "run p.yaml --action kill-process --yes"),
        case("command_guard_beside_a_playbook", "plan p.yaml --max-per-action kill-process=5"),
        case("command_map_beside_a_playbook", "plan p.yaml --map pid=PID"),
        case("command_comment_beside_a_playbook", "plan p.yaml --comment INC-7"),
        case(
            "command_var_beside_an_events_file",
            "plan hits.csv --var ticket=INC-7 --action quarantine-file --tenant tenants/prod-eu.yaml",
        ),
        case("command_dry_run_with_yes", "run p.yaml --dry-run --yes"),
        case("command_var_unknown", "plan p.yaml --var tickte=INC-7"),
        case("command_var_twice", "plan p.yaml --var ticket=1 --var ticket=2"),
        case("command_var_without_a_value", "plan p.yaml --var ticket"),
        case(
            "command_where_with_a_mistake",
            "plan hits.csv --where int(score)>=eight(1) --action quarantine-fil --tenant tenants/prod-eu.yaml",
        ),
        case(
            "command_map_of_an_unknown_field",
            "plan hits.csv --map agentid=agent_id --action quarantine-file --tenant tenants/prod-eu.yaml",
        ),
        case(
            "command_map_of_one_field_twice",
            "plan hits.csv --map pid=pid --map pid=score --action quarantine-file --tenant tenants/prod-eu.yaml",
        ),
        case("command_token_as_an_argument", "run p.yaml --yes --token eyJhbGciOi"),
        case("command_token_file_for_the_simulator", "run p.yaml --yes --simulate --token-file token"),
        case("command_report_of_an_unknown_format", "run p.yaml --yes --report pdf=r.pdf"),
        case("command_report_without_a_path", "run p.yaml --yes --report json"),
        case("command_quiet_with_a_log", "run p.yaml --yes --quiet --log json"),
        case("command_report_without_a_format", "report --state-dir state"),
        case("command_run_that_is_not_there", "show contain-0612-7f3 --state-dir state"),
        case("command_without_a_file", "plan"),
        case("command_that_is_none", "paln p.yaml"),
        case("command_check_of_events", "check p.yaml hits.csv"),
        case("command_check_of_nothing", "check empty").with("empty/readme.md", ""),
        case("command_init_where_files_are", "init .").with("playbooks/first.yaml", "mine"),
    ] {
        case.check();
    }
}
