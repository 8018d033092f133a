//! The example jobs do what they say: their scripts are run as cron, the runners and the kubelet would run them, with a
//! `quell` that ends with any code. It first asks the real one whether it understands the command line, so that no
//! example can show a flag that does not exist.

use super::ROOT;
use super::folder::{Folder, shipped};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Ends with the code in `CODE_<subcommand>`; 99 when the real one does not understand the command line. With `SIGNAL`,
/// a run has its shell be told to end, and then expects to be told so itself.
const STAND_IN: &str = r#"#!/bin/sh
"$REAL" "$@" --help > /dev/null || exit 99
echo "$1" >> "$CALLS"
if [ "$1" = run ] && [ -n "$SIGNAL" ]; then
    trap 'exit 6' TERM
    kill -TERM "$PPID"
    left=3000000
    while [ "$left" -gt 0 ]; do left=$((left - 1)); done
    exit 98
fi
eval "exit \${CODE_$1:-0}"
"#;

/// What a job carries out, one process after the other, as long as they end well.
struct Job {
    name: &'static str,
    processes: Vec<Vec<String>>,
    /// Codes that do not fail the job.
    tolerated: Vec<i64>,
}

fn nightly() -> [Job; 4] {
    let github = yaml("github-actions.md", 1);
    let gitlab = &yaml("gitlab-ci.md", 0)["nightly-sweep"];
    let pod = &yaml("kubernetes.md", 0)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    [
        Job::new("cron", vec![vec!["sh".into(), "-c".into(), fences("cron.md", "sh").remove(0)]]),
        Job::new("GitHub", steps(&github["jobs"]["sweep"])),
        Job {
            tolerated: gitlab["allow_failure"]["exit_codes"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_i64)
                .collect(),
            ..Job::new("GitLab", vec![script(gitlab)])
        },
        Job::new("Kubernetes", vec![[texts(&pod["command"]), texts(&pod["args"])].concat()]),
    ]
}

#[test]
fn a_nightly_job_fails_exactly_when_somebody_has_to_do_something() {
    for job in nightly() {
        let pairs = (0..=9).map(|run| (0, run)).chain((1..=9).map(|resume| (resume, 0)));
        for (resume, run) in pairs.chain([(4, 5), (4, 9), (9, 4), (9, 9)]) {
            let codes = [("CODE_resume", resume.to_string()), ("CODE_run", run.to_string())];
            let (ended, calls) = job.carry_out(&codes);
            // A resumed run that is finished, with whatever outcomes, does not keep the night's own from running; but
            // what failed in it is not forgotten.
            let resumed = matches!(resume, 0 | 4 | 9);
            let expected = match (resume, run) {
                (4, 0 | 9) => 4,
                (0 | 9, 0 | 9) => 0,
                (0 | 4 | 9, run) => run,
                (resume, _) => resume,
            };
            assert_eq!(ended, expected, "{}: resume ends with {resume}, run with {run}", job.name);
            let expected: &[&str] = if resumed { &["resume", "run"] } else { &["resume"] };
            assert_eq!(calls, expected, "{}: resume ends with {resume}", job.name);
        }
    }
}

#[test]
fn a_pod_that_is_told_to_end_tells_quell_and_ends_as_it_does() {
    let [.., kubernetes] = nightly();
    assert_eq!(kubernetes.carry_out(&[("SIGNAL", "yes".to_owned())]), (6, vec!["resume".into(), "run".into()]));
}

#[test]
fn a_change_is_planned_for_review_and_a_mistake_fails_it() {
    let github = Job::new("GitHub", steps(&yaml("github-actions.md", 0)["jobs"]["plan"]));
    let gitlab = Job::new("GitLab", vec![script(&yaml("gitlab-ci.md", 0)["plan"])]);
    for job in [github, gitlab] {
        let (ended, calls) = job.carry_out(&[]);
        assert_eq!((ended, calls.len()), (0, 2 + shipped().len()), "{}", job.name);
        assert!(calls[..2] == ["check", "test"] && calls[2..].iter().all(|call| call == "plan"), "{}", job.name);
        for wrong in ["CODE_check", "CODE_test", "CODE_plan"] {
            assert_eq!(job.carry_out(&[(wrong, "2".to_owned())]).0, 2, "{}: {wrong}", job.name);
        }
    }
}

#[test]
fn the_commands_in_the_heads_of_playbooks_and_tenants_are_understood() {
    for file in shipped().into_iter().chain(["examples/tenant.yaml".to_owned()]) {
        let text = fs::read_to_string(Path::new(ROOT).join(&file)).unwrap();
        let head = text.lines().take_while(|line| line.starts_with('#'));
        let commands: Vec<&str> = head.filter_map(|line| line.strip_prefix("#   ")).collect();
        assert!(commands.iter().all(|command| command.starts_with("quell ")), "{file}: {commands:?}");
        if file.starts_with("playbooks/") {
            assert_eq!(commands[0], format!("quell run {file} --simulate --yes"));
        }
        assert!(!commands.is_empty(), "{file} does not say how to try it");
        for command in commands {
            assert_eq!(
                Job::new("head", vec![vec!["sh".into(), "-c".into(), command.into()]]).carry_out(&[]).0,
                0,
                "{command}"
            );
        }
    }
    let wrong = Job::new("wrong", vec![vec!["sh".into(), "-c".into(), "quell run x.csv --actoin y".into()]]);
    assert_eq!(wrong.carry_out(&[]).0, 99, "a flag that does not exist must be found");
}

impl Job {
    fn new(name: &'static str, processes: Vec<Vec<String>>) -> Self {
        Self { name, processes, tolerated: Vec::new() }
    }

    /// The code it ends with, and the subcommands that were called.
    fn carry_out(&self, env: &[(&str, String)]) -> (i64, Vec<String>) {
        let folder = Folder::with_what_is_shipped();
        let calls = folder.path().join("calls");
        let bin = stand_ins(&folder);
        // What the jobs call /srv/quell, with the clone in it, is this folder.
        let srv = folder.path().to_str().unwrap();
        std::os::unix::fs::symlink(srv, folder.path().join("repository")).unwrap();
        let mut ended = 0;
        for process in &self.processes {
            let process: Vec<String> = process.iter().map(|word| word.replace("/srv/quell", srv)).collect();
            let mut command = Command::new(&process[0]);
            command.args(&process[1..]).current_dir(srv).env_clear().envs(env.iter().map(|(name, code)| (name, code)));
            command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
            command.env("REAL", env!("CARGO_BIN_EXE_quell")).env("CALLS", &calls);
            command.env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"));
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            ended = i64::from(status.code().expect("no signal"));
            if ended != 0 {
                break;
            }
        }
        let calls = fs::read_to_string(calls).unwrap_or_default();
        (if self.tolerated.contains(&ended) { 0 } else { ended }, calls.lines().map(str::to_owned).collect())
    }
}

/// A folder with a `quell` and a `logger` that do nothing.
fn stand_ins(folder: &Folder) -> PathBuf {
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, text) in [("quell", STAND_IN), ("logger", "#!/bin/sh\n")] {
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

/// The scripts of a GitHub job, each in a shell of its own.
fn steps(job: &Value) -> Vec<Vec<String>> {
    let scripts = job["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str());
    scripts.map(|script| vec!["bash".into(), "-e".into(), "-c".into(), script.into()]).collect()
}

/// The lines of a GitLab job, all in one shell.
fn script(job: &Value) -> Vec<String> {
    vec!["bash".into(), "-eo".into(), "pipefail".into(), "-c".into(), texts(&job["script"]).join("\n")]
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn yaml(file: &str, nth: usize) -> Value {
    serde_saphyr::from_str(&fences(file, "yaml")[nth]).unwrap()
}

/// The fenced texts of that kind.
fn fences(file: &str, kind: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("examples/jobs").join(file)).unwrap();
    let begin = format!("```{kind}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}
