//! What a plan takes from the playbook's head: the values of its variables, its comment, and its tightened limits.
//!
//! A playbook may ask less of the API than the tenant allows, never more.

use super::build::Work;
use super::filter::nearest;
use super::problems::{Origin, Problems};
use crate::playbook::{LimitsPatch, Playbook, PollingPatch};
use crate::problem::Place;
use crate::tenant::{Limits, Polling, Rate, Tenant};
use crate::yaml::Spanned;
use std::collections::BTreeMap;
use std::time::Duration;

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
            Some(near) => Some(format!("did you mean {near}?")),
            None if declared.is_empty() => Some("variables are declared under a playbook's `vars`".into()),
            None => Some(format!("it declares {}", names().collect::<Vec<_>>().join(", "))),
        };
        problems.push(origin.problem(Place::default(), "--var", format!("there is no variable {name:?}"), help));
    }
    let mut values = BTreeMap::new();
    for declaration in declared {
        let name = &declaration.name.value;
        if !given.contains_key(name) && declaration.required {
            let message = format!("the variable {name:?} has no value");
            let help = Some(format!("pass --var {name}=VALUE"));
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
        let names: Vec<String> = vars.keys().map(|name| format!("vars.{name}")).collect();
        let help = (!names.is_empty()).then(|| format!("a comment may use {}", names.join(", ")));
        (format!("the comment cannot be made: {}", first.chars().take(200).collect::<String>()), help)
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
    let mut loosened = |place: Place, message: String| {
        let help = Some("a playbook may only tighten what the tenant allows".to_owned());
        problems.push(origin.problem(place, "", message, help));
    };
    let limits = tightened_limits(&tenant.limits, &playbook.limits, &mut loosened);
    let polling = tightened_polling(&tenant.polling, &playbook.polling, &mut loosened);
    (limits, polling)
}

type Loosened<'a> = dyn FnMut(Place, String) + 'a;

fn tightened_limits(tenant: &Limits, patch: &LimitsPatch, loosened: &mut Loosened<'_>) -> Limits {
    let mut limits = Limits {
        concurrency: at_most("concurrency", tenant.concurrency, patch.concurrency.as_ref(), loosened),
        batch_size: at_most("batch_size", tenant.batch_size, patch.batch_size.as_ref(), loosened),
        act_timeout: at_most_time("act_timeout", tenant.act_timeout, patch.act_timeout.as_ref(), loosened),
        poll_timeout: at_most_time("poll_timeout", tenant.poll_timeout, patch.poll_timeout.as_ref(), loosened),
        ..tenant.clone()
    };
    if let Some(asked) = &patch.requests {
        match tenant.requests {
            Some(allowed) if !within(asked.value, allowed) => {
                let (asked_text, allowed) = (rate_text(asked.value), rate_text(allowed));
                loosened(asked.place, format!("requests: {asked_text} can exceed the tenant's {allowed}"));
            }
            _ => limits.requests = Some(asked.value),
        }
    }
    if let Some(asked) = &patch.keep_free {
        match tenant.keep_free {
            Some(kept) if in_window(asked.value, kept.window) < u128::from(kept.calls) => {
                let (asked_text, kept) = (rate_text(asked.value), rate_text(kept));
                loosened(asked.place, format!("keep_free: {asked_text} is less than the tenant's {kept}"));
            }
            _ => limits.keep_free = Some(asked.value),
        }
    }
    if usable_calls(&limits).is_some_and(|(calls, _)| calls == 0) {
        let place = patch.keep_free.as_ref().or(patch.requests.as_ref()).map_or(Place::default(), |asked| asked.place);
        loosened(place, "keep_free leaves no call for this run".into());
    }
    limits
}

fn tightened_polling(tenant: &Polling, patch: &PollingPatch, loosened: &mut Loosened<'_>) -> Polling {
    let polling = Polling {
        first_after: at_least_time("first_after", tenant.first_after, patch.first_after.as_ref(), loosened),
        interval: at_least_time("interval", tenant.interval, patch.interval.as_ref(), loosened),
        interval_max: at_least_time("interval_max", tenant.interval_max, patch.interval_max.as_ref(), loosened),
        deadline: at_most_time("deadline", tenant.deadline, patch.deadline.as_ref(), loosened),
        not_found_grace: at_most_time(
            "not_found_grace",
            tenant.not_found_grace,
            patch.not_found_grace.as_ref(),
            loosened,
        ),
    };
    if polling.interval > polling.interval_max {
        let place = patch.interval.as_ref().map_or(Place::default(), |asked| asked.place);
        let (interval, max) = (time_text(polling.interval), time_text(polling.interval_max));
        loosened(place, format!("interval: {interval} is longer than interval_max, which is {max}"));
    }
    polling
}

fn at_most(name: &str, tenant: u16, asked: Option<&Spanned<u16>>, loosened: &mut Loosened<'_>) -> u16 {
    match asked {
        Some(asked) if asked.value > tenant => {
            loosened(asked.place, format!("{name}: {} is more than the tenant's {tenant}", asked.value));
            tenant
        }
        Some(asked) if asked.value == 0 => {
            loosened(asked.place, format!("{name}: nothing can be done with 0"));
            tenant
        }
        Some(asked) => asked.value,
        None => tenant,
    }
}

fn at_most_time(
    name: &str,
    tenant: Duration,
    asked: Option<&Spanned<Duration>>,
    loosened: &mut Loosened<'_>,
) -> Duration {
    match asked {
        Some(asked) if asked.value > tenant => {
            let (asked_text, tenant_text) = (time_text(asked.value), time_text(tenant));
            loosened(asked.place, format!("{name}: {asked_text} is longer than the tenant's {tenant_text}"));
            tenant
        }
        Some(asked) => asked.value,
        None => tenant,
    }
}

fn at_least_time(
    name: &str,
    tenant: Duration,
    asked: Option<&Spanned<Duration>>,
    loosened: &mut Loosened<'_>,
) -> Duration {
    match asked {
        Some(asked) if asked.value < tenant => {
            let (asked_text, tenant_text) = (time_text(asked.value), time_text(tenant));
            loosened(asked.place, format!("{name}: {asked_text} is shorter than the tenant's {tenant_text}"));
            tenant
        }
        Some(asked) => asked.value,
        None => tenant,
    }
}

/// Whether every window of `allowed` holds when `asked` is kept. `10/s` is not within `300/h`, and `300/h`, which may
/// come in one burst, is not within `10/s`.
fn within(asked: Rate, allowed: Rate) -> bool {
    in_window(asked, allowed.window) <= u128::from(allowed.calls)
}

/// The most calls that a rate allows in a window of that length.
fn in_window(rate: Rate, window: Duration) -> u128 {
    let windows = window.as_nanos().div_ceil(rate.window.as_nanos().max(1));
    windows.saturating_mul(u128::from(rate.calls))
}

/// The calls a run may make in a window, what is kept free taken off; `None` without a limit.
pub(super) fn usable_calls(limits: &Limits) -> Option<(u32, Duration)> {
    let rate = limits.requests?;
    let kept = limits.keep_free.map_or(0, |kept| in_window(kept, rate.window));
    Some((rate.calls.saturating_sub(u32::try_from(kept).unwrap_or(u32::MAX)), rate.window))
}

/// `300/h`, `100/15m`
pub(super) fn rate_text(rate: Rate) -> String {
    let window = time_text(rate.window);
    let unit = window.strip_prefix('1').filter(|unit| matches!(*unit, "h" | "m" | "s" | "d" | "ms"));
    format!("{}/{}", rate.calls, unit.unwrap_or(&window))
}

/// `1h30m`, `15s`, `0s`, `250ms`; parts of a millisecond are not shown.
pub(super) fn time_text(time: Duration) -> String {
    let mut rest = time.as_millis();
    let mut text = String::new();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            text += &format!("{count}{unit}");
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}
