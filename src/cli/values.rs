//! How single values are read from the command line and the environment.

use crate::playbook::ReportFormat;
use std::path::PathBuf;

/// The XDG state folder's `quell`: `~/.local/state/quell` unless the environment says otherwise.
pub(super) fn default_state_dir() -> Result<PathBuf, String> {
    use etcetera::BaseStrategy;
    etcetera::base_strategy::Xdg::new()
        .ok()
        .and_then(|dirs| dirs.state_dir())
        .map(|state| state.join("quell"))
        .ok_or_else(|| "no home folder is known; give --state-dir or QUELL_STATE_DIR".to_owned())
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(super) fn report_format(word: &str) -> Result<ReportFormat, String> {
    crate::report::parse_format(word).map_err(|e| e.to_string())
}

pub(super) fn report(text: &str) -> Result<(ReportFormat, PathBuf), String> {
    let (format, path) = pair(text).map_err(|_| "expected FORMAT=PATH, for example json=report.json".to_owned())?;
    if path.is_empty() {
        return Err("the path is missing after `=`".to_owned());
    }
    Ok((report_format(&format)?, PathBuf::from(path)))
}

pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e| format!("{e}; expected for example `30s`"))?;
    std::time::Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// How long a stop may poll, at most.
const DRAIN_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

pub(super) fn drain(text: &str) -> Result<std::time::Duration, String> {
    duration(text).and_then(|drain| if drain > DRAIN_MAX { Err("it is at most 24h".to_owned()) } else { Ok(drain) })
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected a number from 0 to 100".to_owned()),
    }
}

/// The longest name of an operator, in characters.
const OPERATOR_CHARS_MAX: usize = 100;

pub(super) fn operator(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is not empty".to_owned()),
        name if name.chars().any(char::is_control) => Err("a name has no control characters".to_owned()),
        name if name.chars().count() > OPERATOR_CHARS_MAX => {
            Err(format!("a name has at most {OPERATOR_CHARS_MAX} characters"))
        }
        name => Ok(name.to_owned()),
    }
}

/// The longest reason or note, in characters.
const REASON_CHARS_MAX: usize = 1000;

pub(super) fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a reason is not empty".to_owned()),
        text if text.chars().any(char::is_control) => Err("a reason is one line without control characters".to_owned()),
        text if text.chars().count() > REASON_CHARS_MAX => {
            Err(format!("a reason has at most {REASON_CHARS_MAX} characters"))
        }
        text => Ok(text.to_owned()),
    }
}

/// Who is at it when nobody says so: the user of the CI job, else of this machine.
pub(super) fn default_operator() -> Option<String> {
    let known = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "SUDO_USER", "USER", "LOGNAME"];
    let mut names = known.iter().filter_map(|name| std::env::var(name).ok());
    names.find_map(|name| operator(&name).ok()).or_else(user_of_this_process)
}

/// By the system's list of users, or else by number: containers often set no variable.
fn user_of_this_process() -> Option<String> {
    let id = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    });
    name.and_then(|name| operator(name).ok()).or_else(|| Some(format!("user {id}")))
}

pub(super) fn rate(text: &str) -> Result<crate::tenant::Rate, String> {
    text.parse()
}
