//! What a plan takes from the playbook's head: the values of its variables, its comment, and its tightened limits.
//!
//! A playbook may ask less of the API than the tenant allows, never more.

use super::build::Work;
use super::problems::{Origin, Problems};
use crate::inert::shorten;
use crate::playbook::Playbook;
use crate::problem::{Place, Problem, listed, nearest};
use crate::tenant::{Limits, Polling, Tenant};
use std::collections::BTreeMap;

/// How long a comment may be, in characters, once its variables are put in.
const COMMENT_CHARS_MAX: usize = 400;
/// How long a comment's template may be, in bytes.
const TEMPLATE_BYTES_MAX: usize = 2_000;

/// The value of every declared variable.
pub(super) fn vars(
    work: &Work<'_>,
    given: &BTreeMap<String, String>,
    origin: &Origin,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let declared = match work {
        Work::Playbook(playbook) => playbook.vars.as_slice(),
        Work::AdHoc(_) => &[],
    };
    let names = || declared.iter().map(|declaration| declaration.name.value.as_str());
    for name in given.keys().filter(|name| names().all(|known| known != *name)) {
        let help = match nearest(name, names()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if declared.is_empty() => Some("variables are declared under a playbook's `vars`".into()),
            None => Some(format!("the playbook declares {}", listed(names()))),
        };
        let problem = Problem::new(format!("--var {name}"), Place::default(), format!("there is no variable `{name}`"));
        problems.push(Problem { help, ..problem });
    }
    let mut values = BTreeMap::new();
    for declaration in declared {
        let name = &declaration.name.value;
        if !given.contains_key(name) && declaration.required {
            let message = format!("the variable `{name}` has no value");
            let help = Some(format!("give --var {name}=VALUE"));
            problems.push(origin.problem(declaration.name.place, "--var", message, help));
        }
        let value = given.get(name).or(declaration.default.as_ref()).cloned().unwrap_or_default();
        values.insert(name.clone(), value);
    }
    values
}

/// The comment of every act.
pub(super) fn comment(
    work: &Work<'_>,
    vars: &BTreeMap<String, String>,
    origin: &Origin,
    problems: &mut Problems,
) -> String {
    let (made, place) = match work {
        Work::Playbook(Playbook { comment: Some(template), .. }) => (render(&template.value, vars), template.place),
        Work::AdHoc(ad_hoc) => (Ok(ad_hoc.comment.clone().unwrap_or_default()), Place::default()),
        Work::Playbook(_) => return String::new(),
    };
    match made.and_then(sound) {
        Ok(comment) => comment,
        Err((message, help)) => {
            problems.push(origin.problem(place, "--comment", message, help));
            String::new()
        }
    }
}

type Wrong = (String, Option<String>);

fn sound(comment: String) -> Result<String, Wrong> {
    let length = comment.chars().count();
    if length > COMMENT_CHARS_MAX {
        return Err((format!("the comment has {length} characters, at most {COMMENT_CHARS_MAX} are sent"), None));
    }
    match comment.chars().find(|letter| letter.is_control()) {
        Some(control) => {
            Err((format!("the comment contains the control character U+{:04X}", u32::from(control)), None))
        }
        None => Ok(comment),
    }
}

/// Puts variables in. Only `{{ … }}`: statements could loop, and a comment needs none.
fn render(template: &str, vars: &BTreeMap<String, String>) -> Result<String, Wrong> {
    if !template.contains("{{") && !template.contains("{%") && !template.contains("{#") {
        return Ok(template.to_owned());
    }
    if template.len() > TEMPLATE_BYTES_MAX {
        return Err((format!("the comment has {} bytes, at most {TEMPLATE_BYTES_MAX} are read", template.len()), None));
    }
    if template.contains("{%") {
        return Err(("a comment has no statements".into(), Some("write {{ vars.NAME }}".into())));
    }
    let mut tera = tera::Tera::new();
    tera.register_function("range", |_: tera::Kwargs, _: &tera::State| -> tera::TeraResult<tera::Value> {
        Err(tera::Error::message("a comment cannot count"))
    });
    let mut context = tera::Context::new();
    context.insert("vars", vars);
    let rendered = tera.add_raw_template("comment", template).and_then(|()| tera.render("comment", &context));
    rendered.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let first = first.split(". Available").next().unwrap_or_default();
        let names: Vec<String> = vars.keys().map(|name| format!("{{{{ vars.{name} }}}}")).collect();
        let help = (!names.is_empty()).then(|| format!("a comment may use {}", listed(&names)));
        let mut why = shorten(first, 200).into_owned();
        // Tera's sentences begin with a capital letter, ours do not.
        if let Some(initial) = why.get_mut(..1) {
            initial.make_ascii_lowercase();
        }
        (format!("the comment cannot be made: {why}"), help)
    })
}

/// The tenant's limits and polling, tightened by the playbook.
pub(super) fn tightened(
    work: &Work<'_>,
    tenant: &Tenant,
    origin: &Origin,
    problems: &mut Problems,
) -> (Limits, Polling) {
    let Work::Playbook(playbook) = work else { return (tenant.limits.clone(), tenant.polling.clone()) };
    let mut widened = |(place, message): (Place, String)| {
        let help = Some("a playbook may only tighten what the tenant allows".to_owned());
        problems.push(origin.problem(place, "", message, help));
    };
    let limits = tenant.limits.tightened_by(&playbook.limits).unwrap_or_else(|wider| {
        wider.into_iter().for_each(&mut widened);
        tenant.limits.clone()
    });
    let polling = tenant.polling.tightened_by(&playbook.polling).unwrap_or_else(|wider| {
        wider.into_iter().for_each(&mut widened);
        tenant.polling.clone()
    });
    (limits, polling)
}
