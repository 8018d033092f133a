//! From what is written about order, waves and budgets to what it means: conditions that name earlier steps, waves that
//! grow, budgets that do not contradict themselves.

use super::control::{FailureBudget, MIN_SETTLED, Percent, Promote, Release, Tolerated, WAVES_MAX, WaveSize};
use super::file::{BudgetFile, GoUrl, OnceFile, PromoteFile};
use super::flow::{After, Flow};
use super::schedule::{Schedule, Span};
use crate::problem::{listed, nearest};
use crate::yaml::{Field, FromText, NumberOrText, Reader, Refusal, Spanned, Written};
use schemars::{Schema, json_schema};

/// The keys of a step that say when its turn comes and what it takes.
pub(super) struct FlowFile {
    pub(super) after: Field<Written<After>>,
    pub(super) once: Field<OnceFile>,
    pub(super) allow_failure: Field<bool>,
    pub(super) max_event_age: Field<super::file::EventAge>,
}

/// `earlier` are the names of the steps before, in order.
pub(super) fn flow(reader: &Reader<'_>, file: FlowFile, earlier: &[String]) -> Flow {
    let once = file.once.is_present();
    let after = file.after.read().map(|after| after.map(|Written(after)| after));
    if let Some(Spanned { value: After { step, .. }, place }) = &after
        && !earlier.contains(step)
    {
        let message = format!("there is no earlier step `{step}`");
        let names = || earlier.iter().map(String::as_str);
        let help = match nearest(step, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if earlier.is_empty() => "the first step has none to wait for: remove `after`".to_owned(),
            None => format!("a step waits for one that stands before it: {}", listed(names())),
        };
        reader.report_help(*place, message, help);
    }
    let max_event_age = file.max_event_age.read().map(|age| age.map(|age| age.0.0));
    if let (true, Some(age)) = (once, &max_event_age) {
        let help = "it stands for all events of its target, which have a time each: remove one of the two";
        reader.report_help(age.place, "a step with `once: target` has no `max_event_age`", help);
    }
    Flow { after, once, allow_failure: file.allow_failure.value().unwrap_or(false), max_event_age }
}

/// The keys that say how a run is released and what stops it.
pub(super) struct ReleaseFile {
    pub(super) waves: Field<Vec<Field<NumberOrText<WaveSize>>>>,
    pub(super) promote: Field<PromoteFile>,
    pub(super) budget: Field<BudgetFile>,
    pub(super) stop_file: Field<Written<AbsolutePath>>,
    pub(super) go_url: Field<Written<GoUrl>>,
    pub(super) windows: Field<Vec<Field<Written<Span>>>>,
    pub(super) blackouts: Field<Vec<Field<Written<Span>>>>,
}

pub(super) fn release(reader: &Reader<'_>, file: ReleaseFile) -> Release {
    let ReleaseFile { waves, promote, budget, stop_file, go_url, windows, blackouts } = file;
    let are_waves_written = waves.is_present();
    let waves = waves.read().map(|waves| self::waves(reader, waves)).unwrap_or_default();
    let promote = promote.read().map(|file| file.map(|file| self::promote(reader, file)));
    if let (Some(promote), false) = (&promote, are_waves_written) {
        let help = "add `waves: [1, 10%, 100%]`, or remove `promote`";
        reader.report_help(promote.place, "`promote` has no meaning without `waves`", help);
    }
    let failure_budget = budget.read().map(|file| self::budget(reader, file)).unwrap_or_default();
    let stop_file = stop_file.value().map(|Written(AbsolutePath(path))| path);
    let go_url = go_url.value().map(|Written(GoUrl(url))| url);
    let schedule = Schedule { windows: spans(reader, windows), blackouts: spans(reader, blackouts) };
    Release { waves, promote, failure_budget, stop_file, go_url, schedule }
}

fn waves(reader: &Reader<'_>, waves: Spanned<Vec<Field<NumberOrText<WaveSize>>>>) -> Vec<Spanned<WaveSize>> {
    let Spanned { value: fields, place } = waves;
    let written = fields.len();
    if written == 0 {
        reader.report_help(place, "expected at least one wave, found none", "without `waves` all targets go at once");
    }
    if written > WAVES_MAX {
        reader.report(place, format!("there are {written} waves, at most {WAVES_MAX} are carried out"));
    }
    let sizes: Vec<Spanned<WaveSize>> =
        fields.into_iter().filter_map(|field| Some(field.read()?.map(|NumberOrText(size)| size))).collect();
    if let Some(Spanned { value: last @ WaveSize::Percent(Percent(0..=99)), place }) = sizes.last() {
        let help = "sizes are cumulative: end with `100%`, or select fewer events";
        reader.report_help(*place, format!("the last wave ({last}) leaves targets that are never released"), help);
    }
    sizes
}

fn spans(reader: &Reader<'_>, field: Field<Vec<Field<Written<Span>>>>) -> Vec<Span> {
    let Some(Spanned { value: fields, place }) = field.read() else { return Vec::new() };
    if fields.is_empty() {
        reader.report(place, "expected at least one, found none");
    }
    fields.into_iter().filter_map(|field| field.value().map(|Written(span)| span)).collect()
}

fn promote(reader: &Reader<'_>, file: PromoteFile) -> Promote {
    let default = Promote::default();
    let settled = file.settled.read();
    if let Some(none) = settled.as_ref().filter(|share| share.value.0.0 == 0) {
        let help = "give at least 1%; for no gates leave `waves` out";
        reader.report_help(none.place, "`settled: 0%` opens every wave at once", help);
    }
    let time = |field: Field<super::file::GateTime>| field.value().map(|length| length.0.0);
    Promote {
        settled: settled.map_or(default.settled, |share| share.value.0),
        failures: file.failures.value().unwrap_or(default.failures),
        within: time(file.within),
        confirm_within: time(file.confirm_within),
    }
}

fn budget(reader: &Reader<'_>, file: Spanned<BudgetFile>) -> FailureBudget {
    let Spanned { value: file, place } = file;
    let tolerated = match (file.count.is_present(), file.percent.is_present()) {
        (true, false) => file.count.value().map(Tolerated::Count),
        (false, true) => file.percent.value().map(|NumberOrText(percent)| Tolerated::Percent(percent)),
        _ => {
            let help = "`count: 5` tolerates 5 failures, `percent: 10` a tenth of the planned items";
            reader.report_help(place, "expected exactly one of `count` and `percent`", help);
            None
        }
    };
    let tolerated = tolerated.unwrap_or(FailureBudget::default().tolerated);
    let strict = file.strict.value().unwrap_or(false);
    let by_default = match tolerated {
        Tolerated::Percent(_) if !strict => MIN_SETTLED,
        _ => 0,
    };
    let min_settled = file.min_settled.read();
    if let (true, Some(min)) = (strict, min_settled.as_ref().filter(|min| min.value > 0)) {
        let help = "a strict budget is judged from the first item on: write `min_settled: 0`, or leave it out";
        reader.report_help(min.place, "`strict: true` has no `min_settled`", help);
    }
    FailureBudget { tolerated, min_settled: min_settled.map_or(by_default, |min| min.value), strict }
}

/// A path that is the same file from every folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AbsolutePath(pub(super) String);

impl FromText for AbsolutePath {
    fn expected() -> String {
        "an absolute path like `/etc/quell/halt`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.contains(char::is_control) {
            return Err(Refusal::SomethingElse);
        }
        match std::path::Path::new(text).is_absolute() {
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::Because(
                "it is relative, and a run resumed in another folder would look elsewhere; write an absolute path"
                    .to_owned(),
            )),
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^/"})
    }
}
