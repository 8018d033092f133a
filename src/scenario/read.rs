//! From a test file as it is written to tests: what several keys mean together. Whatever could be read is checked, also
//! when other parts of the file could not.

use super::file::{
    CallFile, DefaultsFile, ExpectFile, ExpectItemsFile, ItemsFile, LoseFile, SaidFile, SayingFile, SimulatorFile,
    SuiteFile, TestFile, Time,
};
use super::statuses::OutcomeWord;
use super::{
    Becomes, Behaviour, Expected, ExpectedItems, Pick, Said, Saying, Scenario, ScriptedCall, ScriptedItems, Suite,
};
use crate::engine::Outcome;
use crate::playbook::{Source, SourceFile, read_sources};
use crate::problem::{Place, Problem, nearest};
use crate::tenant::Word;
use crate::yaml::{AnyText, Entries, Field, Reader, Spanned, Written};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// How many tests a file may have.
const TESTS_MAX: usize = 1000;
/// When a run begins unless its test says otherwise: 2026-01-01T12:00:00Z.
const BEGINS_MS: u64 = 1_767_268_800_000;
/// How late a call may be that something is scripted for.
const CALL_MAX: u32 = 100_000;

/// Reads the text of a test file; `file` is what problems call it. All problems are found at once.
pub fn read(file: &Path, text: &str) -> Result<Suite, Vec<Problem>> {
    let reader = Reader::new(&file.display().to_string(), text);
    let parsed = reader.read::<SuiteFile>().read();
    let suite = parsed.and_then(|parsed| suite(&reader, parsed, file, text));
    reader.finish(suite)
}

fn suite(reader: &Reader<'_>, parsed: Spanned<SuiteFile>, file: &Path, text: &str) -> Option<Suite> {
    let Spanned { value: parsed, place } = parsed;
    reader.require(parsed.version, "version", place);
    let playbook = reader.require(parsed.playbook, "playbook", place).map(word);
    let tests = reader.require(parsed.tests, "tests", place);
    if let Some(tests) = &tests {
        match tests.value.len() {
            0 => reader.report(tests.place, "expected at least one test, found none"),
            many if many > TESTS_MAX => {
                reader.report(tests.place, format!("there are {many} tests, at most {TESTS_MAX} go into one file"));
            }
            _ => {}
        }
    }
    let defaults = Defaults::of(reader, parsed.defaults.value().unwrap_or_default(), file);
    let mut lines = HashMap::new();
    let mut scenarios = Vec::new();
    for test in tests.into_iter().flat_map(|tests| tests.value).filter_map(Field::read) {
        let Some(scenario) = scenario(reader, test, &defaults, file) else { continue };
        if let Some(line) = lines.insert(scenario.name.value.clone(), scenario.name.place.line) {
            reader.report(scenario.name.place, format!("the test on line {line} has this name too"));
        }
        scenarios.push(scenario);
    }
    Some(Suite { file: file.to_owned(), text: text.into(), playbook: playbook?, tests: scenarios })
}

/// What a test has that does not give its own.
struct Defaults {
    tenant: Option<Spanned<String>>,
    vars: Vec<(Spanned<String>, String)>,
    events: Option<Vec<Source>>,
    begins: u64,
}

impl Defaults {
    fn of(reader: &Reader<'_>, defaults: DefaultsFile, file: &Path) -> Self {
        Self {
            tenant: defaults.tenant.read().map(word),
            vars: vars(defaults.vars),
            events: sources(reader, defaults.events, file),
            begins: defaults.begins.value().map_or(BEGINS_MS, |begins| begins.0.0),
        }
    }
}

fn vars(vars: Field<Entries<AnyText>>) -> Vec<(Spanned<String>, String)> {
    let Some(Entries(vars)) = vars.value() else { return Vec::new() };
    vars.into_iter().filter_map(|(name, value)| Some((name, value.value()?.0))).collect()
}

/// Events of a test's own; none at all are written as a source that says so.
fn sources(reader: &Reader<'_>, events: Field<Vec<Field<SourceFile>>>, file: &Path) -> Option<Vec<Source>> {
    let events = events.read()?;
    if events.value.is_empty() {
        let help = "for a day without events: `events: [{inline: [], empty: ok}]`";
        reader.report_help(events.place, "expected at least one source, found none", help);
    }
    Some(read_sources(reader, events.value, file))
}

fn scenario(reader: &Reader<'_>, test: Spanned<TestFile>, defaults: &Defaults, file: &Path) -> Option<Scenario> {
    let Spanned { value: test, place } = test;
    let name = reader.require(test.name, "name", place).and_then(|name| not_empty(reader, name.map(|text| text.0)));
    let expect = reader.require(test.expect, "expect", place);
    let mut vars = vars(test.vars);
    let is_given = |name: &str| vars.iter().any(|(given, _)| given.value == name);
    let others: Vec<_> = defaults.vars.iter().filter(|(name, _)| !is_given(&name.value)).cloned().collect();
    vars.extend(others);
    let people = list(test.people, |saying| self::saying(reader, saying));
    if let Some(late) = people.windows(2).find(|two| two[1].after.value < two[0].after.value) {
        reader.report_help(late[1].after.place, "this is said before what stands above it", "keep them in their order");
    }
    let expect = expect.map(|expect| expected(reader, expect));
    let simulator = test.simulator.read();
    if expect.as_ref().is_some_and(Expected::ends_with_the_plan) {
        for place in
            people.first().map(|said| said.after.place).into_iter().chain(simulator.as_ref().map(|of| of.place))
        {
            reader.report(place, "where the plan is held or refused nothing is run: this never happens");
        }
    }
    Some(Scenario {
        tenant: test.tenant.read().map(word).or_else(|| defaults.tenant.clone()),
        vars,
        events: sources(reader, test.events, file).or_else(|| defaults.events.clone()),
        begins: test.begins.value().map_or(defaults.begins, |begins| begins.0.0),
        simulator: behaviour(reader, simulator.map(|simulator| simulator.value).unwrap_or_default()),
        people,
        expect: expect?,
        name: name?,
    })
}

fn behaviour(reader: &Reader<'_>, file: SimulatorFile) -> Behaviour {
    let time = |field: Field<Time>, default| field.value().map_or(default, |time| time.0.0);
    Behaviour {
        latency: time(file.latency, Duration::ZERO),
        settle: time(file.settle, Duration::from_secs(1)),
        not_found_for: time(file.not_found_for, Duration::ZERO),
        requests: file.requests.value().map(|rate| rate.0),
        items: list(file.items, |items| scripted(reader, items)),
        acts: calls(reader, file.acts),
        polls: calls(reader, file.polls),
    }
}

fn scripted(reader: &Reader<'_>, items: Spanned<ItemsFile>) -> Option<ScriptedItems> {
    let Spanned { value: items, place } = items;
    let statuses = reader.require(items.statuses, "statuses", place);
    let of = pick((items.step, items.row, items.filter), place);
    let Spanned { value: Written(statuses), place } = statuses?;
    Some(ScriptedItems { of, statuses: statuses.0, place })
}

fn pick((step, row, filter): (Field<Written<Word>>, Field<u32>, Field<AnyText>), place: Place) -> Spanned<Pick> {
    let filter = filter.read().map(|filter| filter.map(|text| text.0));
    Spanned { value: Pick { step: step.read().map(word), row: row.read(), filter }, place }
}

/// Calls that something becomes of, by their number.
fn calls(reader: &Reader<'_>, files: Field<Vec<Field<CallFile>>>) -> Vec<ScriptedCall> {
    let mut calls: Vec<ScriptedCall> = list(files, |call| self::call(reader, call));
    calls.sort_by_key(|call| call.number.value);
    for two in calls.windows(2).filter(|two| two[0].number.value == two[1].number.value) {
        let message = format!("call {} is scripted on line {} already", two[1].number.value, two[0].number.place.line);
        reader.report(two[1].number.place, message);
    }
    calls
}

fn call(reader: &Reader<'_>, call: Spanned<CallFile>) -> Option<ScriptedCall> {
    let Spanned { value: call, place } = call;
    let number = reader.require(call.number, "number", place);
    if let Some(number) = number.as_ref().filter(|number| !(1..=CALL_MAX).contains(&number.value)) {
        reader.report(number.place, format!("calls are counted from 1, and scripted up to {CALL_MAX}"));
        return None;
    }
    let ways = [call.lose.is_present(), call.status.is_present(), call.late.is_present()];
    if ways.iter().filter(|way| **way).count() != 1 {
        reader.report_help(place, "expected exactly one of `lose`, `status` and `late`", "give each call one of them");
        return None;
    }
    let wait = call.wait.read();
    if let (Some(wait), false) = (&wait, call.status.is_present()) {
        reader.report(wait.place, "`wait` belongs to `status`: a lost call says nothing");
    }
    let becomes = match (call.lose.value(), call.status.value(), call.late.value()) {
        (Some(LoseFile::Call), ..) => Becomes::LostBefore,
        (Some(LoseFile::Answer), ..) => Becomes::LostAfter,
        (_, Some(status), _) => Becomes::Refused { status: status.0, wait: wait.map(|wait| wait.value.0.0) },
        (.., Some(late)) => Becomes::Late(late.0.0),
        (None, None, None) => return None,
    };
    Some(ScriptedCall { number: number?, becomes })
}

fn saying(reader: &Reader<'_>, saying: Spanned<SayingFile>) -> Option<Saying> {
    let Spanned { value: saying, place } = saying;
    let after = reader.require(saying.after, "after", place);
    let say = reader.require(saying.say, "say", place);
    let reason = saying.reason.read().and_then(|reason| not_empty(reader, reason.map(|text| text.0)));
    let what = match say?.value {
        SaidFile::Promote => Said::Promote(reason.map(|reason| reason.value)),
        SaidFile::Stop => {
            if let Some(reason) = reason {
                reader.report(reason.place, "`stop` needs no reason, and keeps none");
            }
            Said::Stop
        }
    };
    Some(Saying { after: after?.map(|time| time.0.0), what })
}

fn expected(reader: &Reader<'_>, expect: Spanned<ExpectFile>) -> Expected {
    let Spanned { value: file, place } = expect;
    let text = |text: Spanned<AnyText>| not_empty(reader, text.map(|text| text.0));
    let is_held_written = file.held.is_present();
    let is_anything_written = [
        file.refused.is_present(),
        is_held_written,
        file.approval.is_present(),
        file.exit_code.is_present(),
        file.outcomes.is_present(),
        file.items.is_present(),
        file.acts.is_present(),
        file.polls_at_most.is_present(),
        file.throttled_at_most.is_present(),
        file.waves.is_present(),
        file.took_at_most.is_present(),
    ];
    let expected = Expected {
        refused: file.refused.read().and_then(text),
        held: list(file.held, text),
        approval: file.approval.read(),
        exit_code: file.exit_code.read().map(|code| code.map(|code| code.0 as u8)),
        outcomes: file.outcomes.read().map(|outcomes| outcomes.map(|entries| self::outcomes(reader, entries))),
        items: list(not_none(reader, file.items), |items| expected_items(reader, items)),
        acts: file.acts.read(),
        polls_at_most: file.polls_at_most.read(),
        throttled_at_most: file.throttled_at_most.read(),
        waves: file.waves.read().map(|waves| waves.map(|waves| waves.0)),
        took_at_most: file.took_at_most.read().map(|time| time.map(|time| time.0.0)),
    };
    let of_the_run = [
        expected.exit_code.as_ref().map(|exit_code| exit_code.place),
        expected.outcomes.as_ref().map(|outcomes| outcomes.place),
        expected.items.first().map(|items| items.of.place),
        expected.acts.as_ref().map(|acts| acts.place),
        expected.polls_at_most.as_ref().map(|polls| polls.place),
        expected.throttled_at_most.as_ref().map(|throttled| throttled.place),
        expected.waves.as_ref().map(|waves| waves.place),
        expected.took_at_most.as_ref().map(|took| took.place),
    ];
    if is_held_written && expected.held.is_empty() {
        reader.report_help(place, "`held` names nothing", "name the guards or rules that hold: `held: [max_items]`");
    }
    let of_a_plan =
        [expected.held.first().map(|held| held.place), expected.approval.as_ref().map(|needed| needed.place)];
    if let (Some(_), Some(place)) = (&expected.refused, of_a_plan.iter().flatten().next()) {
        reader.report(*place, "where the plan is refused there is no plan to expect this of");
    }
    if let (true, Some(place)) = (expected.ends_with_the_plan(), of_the_run.iter().flatten().next()) {
        reader.report(*place, "where the plan is held or refused nothing is run: there is none of this to expect");
    }
    if !is_anything_written.contains(&true) {
        reader.report_help(place, "this test expects nothing", "say what has to come of it: `exit_code: 0`");
    }
    expected
}

fn outcomes(reader: &Reader<'_>, Entries(entries): Entries<u32>) -> Vec<(Spanned<Outcome>, Spanned<u32>)> {
    let mut known = Vec::new();
    for (word, count) in entries {
        let Some(outcome) = OutcomeWord::of(&word.value) else {
            let help = match nearest(&word.value, OutcomeWord::all()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the outcomes are {}", OutcomeWord::all().collect::<Vec<_>>().join(", ")),
            };
            reader.report_help(word.place, format!("there is no outcome `{}`", word.value), help);
            continue;
        };
        known.extend(count.read().map(|count| (Spanned { value: outcome, place: word.place }, count)));
    }
    known
}

fn expected_items(reader: &Reader<'_>, items: Spanned<ExpectItemsFile>) -> Option<ExpectedItems> {
    let Spanned { value: file, place } = items;
    if !file.outcome.is_present() && !file.count.is_present() && !file.reason.is_present() {
        reader.report_help(place, "this says which items, and not what became of them", "add `outcome: succeeded`");
        return None;
    }
    Some(ExpectedItems {
        of: pick((file.step, file.row, file.filter), place),
        outcome: file.outcome.read().map(|outcome| outcome.map(|word| word.0.0)),
        count: file.count.read(),
        reason: file.reason.read().and_then(|reason| not_empty(reader, reason.map(|text| text.0))),
    })
}

/// A list that says nothing is a slip.
fn not_none<T>(reader: &Reader<'_>, list: Field<Vec<T>>) -> Field<Vec<T>> {
    if let Field::Read(Spanned { value, place }) = &list
        && value.is_empty()
    {
        reader.report(*place, "expected at least one, found none");
    }
    list
}

/// Words that somebody says, or that are looked for: none are contained in everything.
fn not_empty(reader: &Reader<'_>, text: Spanned<String>) -> Option<Spanned<String>> {
    if text.value.trim().is_empty() {
        reader.report(text.place, "expected words, found none");
        return None;
    }
    Some(text)
}

fn list<F, T>(files: Field<Vec<Field<F>>>, read: impl FnMut(Spanned<F>) -> Option<T>) -> Vec<T> {
    files.value().unwrap_or_default().into_iter().filter_map(Field::read).filter_map(read).collect()
}

fn word(text: Spanned<Written<Word>>) -> Spanned<String> {
    text.map(|text| text.0.0)
}
