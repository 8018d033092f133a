//! From a tenant file as it is written to a tenant: defaults, and what several keys mean together.
//!
//! Whatever could be read is checked, also when other parts of the file could not.

use super::columns::read_columns;
use super::file::{ActionFile, AuthFile, FillFile, LimitsFile, PollingFile, StatusesFile, TenantFile, WordsFile};
use super::{Action, ApiVersion, Auth, FillField, Limits, Name, Polling, RequestType, Statuses, Tenant, Word, fold};
use super::{read_guards, read_protected};
use crate::problem::{Place, Problem, listed, nearest};
use crate::yaml::{AnyText, Entries, Field, FromText as _, Hint, Reader, Refusal, Spanned, Written};
use std::collections::HashMap;

const REFERENCE: &str =
    "a token never stands in a file: name where it is with `token_env`, `token_file` or `token_command`";

const HINTS: [Hint; 5] = [
    Hint { key: "token", help: REFERENCE },
    Hint { key: "password", help: REFERENCE },
    Hint { key: "secret", help: REFERENCE },
    Hint { key: "jwt", help: REFERENCE },
    Hint { key: "api_key", help: REFERENCE },
];

pub(super) fn read(file_name: &str, text: &str) -> Result<Tenant, Vec<Problem>> {
    let reader = Reader::new(file_name, text).with_hints(&HINTS).with_hidden(&["auth"]);
    let tenant = reader.read::<TenantFile>().read().and_then(|file| tenant(&reader, file.value, file.place));
    reader.finish(tenant)
}

fn tenant(reader: &Reader<'_>, file: TenantFile, place: Place) -> Option<Tenant> {
    let version = reader.require(file.version, "version", place);
    let name = reader.require(file.name, "name", place);
    let base_url = reader.require(file.base_url, "base_url", place);
    let user = reader.require(file.user, "user", place).map(|user| not_empty(reader, user));
    let user_id = reader.require(file.user_id, "user_id", place).map(|user| not_empty(reader, user));
    let auth = auth(reader, file.auth);
    let actions = reader.require(file.actions, "actions", place).map(|actions| self::actions(reader, actions));
    let statuses = statuses(reader, file.statuses);
    let limits = limits(reader, file.limits);
    let polling = polling(reader, file.polling);
    let columns = file.columns.value().map_or_else(Vec::new, |Entries(mappings)| {
        check_names(reader, &mappings, "column mapping");
        let read =
            |(name, entries): (Spanned<String>, Field<_>)| Some((name.value, read_columns(reader, entries.read()?)));
        mappings.into_iter().filter_map(read).collect()
    });
    let guards = file.guards.value().map(|guards| read_guards(reader, guards)).unwrap_or_default();
    for (place, message, help) in guards.strangers(actions.as_deref().unwrap_or_default()).filter(|_| actions.is_some())
    {
        reader.report_help(place, message, help);
    }
    let protected = file.protected.value().map(|protected| read_protected(reader, protected)).unwrap_or_default();
    version?;
    Some(Tenant {
        name: name?.value.0.0,
        base_url: base_url?.value.0.0,
        api_version: file.api_version.value().unwrap_or(ApiVersion::V1),
        user: user?,
        user_id: user_id?,
        auth: auth?,
        actions: actions?,
        statuses,
        limits,
        polling,
        columns,
        guards,
        protected,
    })
}

fn not_empty(reader: &Reader<'_>, text: Spanned<AnyText>) -> String {
    let Spanned { value: AnyText(value), place } = text;
    match Word::from_text(&value) {
        Err(Refusal::Because(why)) => reader.report(place, why),
        Err(Refusal::SomethingElse) => reader.report(place, format!("expected {}", Word::expected())),
        Ok(_) => {}
    }
    value
}

fn auth(reader: &Reader<'_>, field: Field<AuthFile>) -> Option<Auth> {
    let Spanned { value: file, place } = match field {
        Field::Absent => return Some(Auth::TokenEnv("QUELL_TOKEN".to_owned())),
        field => field.read()?,
    };
    let AuthFile { token_env, token_file, token_command } = file;
    let written = [token_env.is_present(), token_file.is_present(), token_command.is_present()];
    if written.into_iter().filter(|is| *is).count() != 1 {
        let message = "expected exactly one of `token_env`, `token_file` and `token_command`";
        reader.report_help(place, message, "without `auth` the token is taken from the variable QUELL_TOKEN");
        return None;
    }
    if let Some(Written(name)) = token_env.value() {
        return Some(Auth::TokenEnv(name.0));
    }
    if let Some(Written(path)) = token_file.value() {
        return Some(Auth::TokenFile(path.0.into()));
    }
    let Spanned { value: words, place } = token_command.read()?;
    let words: Vec<String> = words.into_iter().filter_map(Field::value).map(|word| word.0).collect();
    if words.first().is_none_or(String::is_empty) {
        reader.report(place, "expected a program and its arguments, found no program");
    }
    Some(Auth::TokenCommand(words))
}

fn actions(reader: &Reader<'_>, entries: Spanned<Entries<ActionFile>>) -> Vec<Action> {
    let Spanned { value: Entries(entries), place } = entries;
    if entries.is_empty() {
        reader.report(place, "expected at least one action, found none");
    }
    check_names(reader, &entries, "action");
    let names: Vec<String> = entries.iter().map(|(name, _)| name.value.clone()).collect();
    let read = |(name, file): (Spanned<String>, Field<ActionFile>)| action(reader, name.value, file.read()?, &names);
    entries.into_iter().filter_map(read).collect()
}

fn action(reader: &Reader<'_>, name: String, file: Spanned<ActionFile>, names: &[String]) -> Option<Action> {
    let Spanned { value: file, place } = file;
    let id = reader.require(file.id, "id", place);
    let event_types = reader.require(file.event_types, "event_types", place).map(|types| {
        if types.value.is_empty() {
            reader.report(types.place, "expected at least one event type, found none");
        }
        distinct(reader, types.value, |kind| kind.to_string())
    });
    if let Field::Read(inverse) = &file.inverse {
        let may_be_reversible = matches!(&file.reversible, Field::Read(Spanned { value: true, .. }) | Field::Refused);
        check_inverse(reader, &name, inverse, names, may_be_reversible);
    }
    let fill = file.fill.value().map_or_else(Vec::new, |fill| self::fill(reader, fill));
    let shown_as = file.shown_as.value().map_or_else(Vec::new, |words| words_of(reader, words));
    Some(Action {
        name,
        id: id?.value,
        event_types: event_types?,
        reversible: file.reversible.value().unwrap_or(false),
        inverse: file.inverse.value().map(|inverse| inverse.0.0),
        repeat_safe: file.repeat_safe.value().unwrap_or(false),
        fill,
        request_type: file.request_type.value().unwrap_or(RequestType::ActivityLog),
        shown_as,
    })
}

fn check_inverse(
    reader: &Reader<'_>,
    action: &str,
    inverse: &Spanned<Written<Name>>,
    names: &[String],
    may_be_reversible: bool,
) {
    let (name, place) = (&inverse.value.0.0, inverse.place);
    if name == action {
        reader.report(place, format!("`{name}` cannot be its own inverse"));
    } else if !names.contains(name) {
        let help = match nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the actions of this tenant are {}", listed(names)),
        };
        reader.report_help(place, format!("there is no action `{name}`"), help);
    } else if !may_be_reversible {
        let message = format!("`{action}` has an inverse and is not reversible");
        reader.report_help(place, message, "add `reversible: true`, or remove `inverse`");
    }
}

/// What is filled from what, in file order. A source that is itself filled would depend on the order.
fn fill(reader: &Reader<'_>, file: FillFile) -> Vec<(FillField, FillField)> {
    let fields = [
        (FillField::AgentId, file.agent_id),
        (FillField::EventId, file.event_id),
        (FillField::UniqueId, file.unique_id),
    ];
    let mut pairs: Vec<(FillField, Spanned<FillField>)> =
        fields.into_iter().filter_map(|(target, source)| Some((target, source.read()?))).collect();
    pairs.sort_by_key(|(_, source)| (source.place.line, source.place.column));
    for (target, source) in &pairs {
        if *target == source.value {
            reader.report(source.place, "a field cannot be filled from itself");
        } else if pairs.iter().any(|(filled, _)| *filled == source.value) {
            let message = "this field is itself filled from another one";
            reader.report_help(source.place, message, "name the field that it is filled from");
        }
    }
    pairs.into_iter().map(|(target, source)| (target, source.value)).collect()
}

fn statuses(reader: &Reader<'_>, field: Field<StatusesFile>) -> Statuses {
    let defaults = Statuses::default();
    let Some(Spanned { value: file, .. }) = field.read() else { return defaults };
    let lists = [
        ("succeeded", file.succeeded, defaults.succeeded),
        ("failed", file.failed, defaults.failed),
        ("pending", file.pending, defaults.pending),
    ];
    let mut seen: HashMap<String, &str> = HashMap::new();
    // Words that stay because their list is not written come first, so that what is written is what gets reported.
    for (list, field, default) in &lists {
        if !field.is_present() {
            seen.extend(default.iter().map(|word| (word.to_lowercase(), *list)));
        }
    }
    let mut take = |(list, field, default): (&'static str, Field<WordsFile>, Vec<String>)| {
        let Some(Spanned { value: words, place }) = field.read() else { return default };
        if list == "succeeded" && words.is_empty() {
            reader.report_help(place, "no word means success", "without one, nothing ever succeeds");
        }
        let words = words.into_iter().filter_map(Field::read);
        let words = words.map(|word| {
            if let Some(earlier) = seen.insert(word.value.0.0.to_lowercase(), list) {
                let message = format!("`{}` is in the list `{earlier}` already", word.value.0.0);
                reader.report_help(word.place, message, "a word means one thing; case makes no difference");
            }
            word.value.0.0
        });
        words.collect()
    };
    let [succeeded, failed, pending] = lists;
    Statuses { succeeded: take(succeeded), failed: take(failed), pending: take(pending) }
}

fn limits(reader: &Reader<'_>, field: Field<LimitsFile>) -> Limits {
    let defaults = Limits::default();
    let Some(Spanned { value: file, .. }) = field.read() else { return defaults };
    let is_readable = !file.requests.is_refused();
    let requests = file.requests.value().map_or(defaults.requests, |requests| requests.0.0);
    let keep_free = file.keep_free.read();
    if let Some(Spanned { value: Written(rate), place }) = keep_free.clone().filter(|_| is_readable) {
        match requests {
            None => reader.report(place, "`keep_free` has no meaning while `requests` is `unlimited`"),
            Some(requests) if !rate.is_less_than(requests) => {
                let message = format!("keeping {rate} free leaves nothing of {requests}");
                reader.report_help(place, message, "`keep_free` is less than `requests`");
            }
            Some(_) => {}
        }
    }
    Limits {
        requests,
        keep_free: keep_free.map(|rate| rate.value.0),
        concurrency: file.concurrency.value().map_or(defaults.concurrency, |count| count.0),
        batch_size: file.batch_size.value().map_or(defaults.batch_size, |count| count.0),
        act_timeout: file.act_timeout.value().map_or(defaults.act_timeout, |length| length.0.0),
        poll_timeout: file.poll_timeout.value().map_or(defaults.poll_timeout, |length| length.0.0),
    }
}

fn polling(reader: &Reader<'_>, field: Field<PollingFile>) -> Polling {
    let defaults = Polling::default();
    let Some(Spanned { value: file, place }) = field.read() else { return defaults };
    let is_readable = [&file.first_after, &file.interval, &file.interval_max].iter().all(|field| !field.is_refused())
        && !file.deadline.is_refused();
    let (interval, interval_max, deadline) = (file.interval.read(), file.interval_max.read(), file.deadline.read());
    let intervals_at = interval.as_ref().or(interval_max.as_ref()).map_or(place, |length| length.place);
    let deadline_at = deadline.as_ref().map_or(place, |length| length.place);
    let polling = Polling {
        first_after: file.first_after.value().map_or(defaults.first_after, |length| length.0.0),
        interval: interval.map_or(defaults.interval, |length| length.value.0.0),
        interval_max: interval_max.map_or(defaults.interval_max, |length| length.value.0.0),
        deadline: deadline.map_or(defaults.deadline, |length| length.value.0.0),
        not_found_grace: file.not_found_grace.value().map_or(defaults.not_found_grace, |length| length.0.0),
    };
    // A default in place of what cannot be read would accuse the wrong key.
    if is_readable {
        for (place, message) in polling.contradictions(intervals_at, deadline_at) {
            reader.report(place, message);
        }
    }
    polling
}

impl Polling {
    /// What cannot be true together, at the place of the intervals or of the deadline.
    pub(crate) fn contradictions(&self, intervals: Place, deadline: Place) -> Vec<(Place, String)> {
        let mut found = Vec::new();
        if self.interval > self.interval_max {
            let (least, most) = (super::show_duration(self.interval), super::show_duration(self.interval_max));
            found.push((intervals, format!("`interval` ({least}) is longer than `interval_max` ({most})")));
        }
        if self.first_after >= self.deadline {
            let (first, last) = (super::show_duration(self.first_after), super::show_duration(self.deadline));
            found.push((deadline, format!("the first poll (after {first}) is not before the deadline ({last})")));
        }
        found
    }
}

/// Names that are keys: well formed, and no two alike.
fn check_names<T>(reader: &Reader<'_>, entries: &[(Spanned<String>, T)], what: &str) {
    let mut seen: HashMap<String, &Spanned<String>> = HashMap::new();
    for (name, _) in entries {
        match Name::from_text(&name.value) {
            Err(Refusal::SomethingElse) => {
                reader.report(name.place, format!("expected {}, found `{}`", Name::expected(), name.value));
            }
            Err(Refusal::Because(why)) => reader.report(name.place, why),
            Ok(_) => {}
        }
        if let Some(first) = seen.get(&fold(&name.value)) {
            let message = format!("the {what} `{}` is too like `{}`", name.value, first.value);
            let help = "names are told apart without case, hyphens, underscores and spaces: rename one of them";
            reader.report_help(name.place, message, help);
        } else {
            seen.insert(fold(&name.value), name);
        }
    }
}

fn words_of(reader: &Reader<'_>, words: WordsFile) -> Vec<String> {
    distinct(reader, words, |word| word.0.0.clone()).into_iter().map(|word| word.0.0).collect()
}

/// The elements that could be read; one that is there twice is reported.
fn distinct<T>(reader: &Reader<'_>, items: Vec<Field<T>>, show: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    for Spanned { value, place } in items.into_iter().filter_map(Field::read) {
        let shown = show(&value);
        if seen.contains(&shown) {
            reader.report(place, format!("`{shown}` is in this list twice"));
        }
        seen.push(shown);
        kept.push(value);
    }
    kept
}
