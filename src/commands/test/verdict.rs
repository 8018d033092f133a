//! What came of a test, held against what it expects: each difference is a problem at the line that expects otherwise.

use super::pick::Picking;
use super::rehearsal::{self, Came};
use crate::cli::Selection;
use crate::commands::inputs::{self, Rehearsed};
use crate::engine::Outcome;
use crate::error::Failure;
use crate::noun::count;
use crate::plan::{Plan, is_held};
use crate::problem::Problem;
use crate::report::Ending;
use crate::report::words;
use crate::scenario::{Expected, ExpectedItems, OutcomeCounts, Said, Saying, Scenario, ScriptedCall, Suite};
use crate::yaml::Spanned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many items a difference lists.
const LISTED_MAX: usize = 5;

/// Plans and carries out what a test describes. `None`: no run followed from the plan.
pub(super) fn judge(suite: &Suite, test: &Scenario) -> Result<(Option<Came>, Vec<Problem>), Failure> {
    let here = Here { suite, test };
    let rehearsed = match inputs::rehearse(&selection(suite, test), test.events.as_deref()) {
        Ok(rehearsed) => rehearsed,
        Err(Failure::Problems(problems)) => {
            let problems = problems.into_iter().map(|problem| here.placed(problem)).collect();
            return Ok((None, here.refused(problems)));
        }
        Err(other) => return Ok((None, vec![here.problem(&test.name, other.to_string())])),
    };
    let expect = &test.expect;
    if let Some(refused) = &expect.refused {
        return Ok((None, vec![here.problem(refused, "the plan is not refused")]));
    }
    let Rehearsed { plan, vars } = &rehearsed;
    let mut wrong = here.approval(plan).into_iter().collect::<Vec<_>>();
    let mut holds = is_held(plan);
    holds.extend(plan.header.release.schedule.forbids(test.begins));
    wrong.extend(here.held(&holds));
    if !holds.is_empty() || expect.ends_with_the_plan() {
        return Ok((None, wrong));
    }
    let picking = Picking { file: &suite.file, plan, vars };
    let came = match rehearsal::carry_out(test, &picking)? {
        Ok(came) => came,
        Err(problem) => {
            wrong.push(problem);
            return Ok((None, wrong));
        }
    };
    if came.had_enough {
        let message = format!(
            "its run was ended: it polls on and on, {} in {} of its own time",
            count(came.counters.gets, "poll"),
            duration(came.took)
        );
        return Ok((None, vec![here.problem(&test.name, message)]));
    }
    wrong.extend(here.run(&came, plan));
    for items in &expect.items {
        wrong.extend(expected_items(items, &came, &picking).err());
    }
    wrong.extend(here.unused(&came));
    Ok((Some(came), wrong))
}

/// What `quell plan` would have been given.
fn selection(suite: &Suite, test: &Scenario) -> Selection {
    let vars = test.vars.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect();
    let tenant = test.tenant.as_ref().map(|tenant| beside(suite, &tenant.value));
    Selection::of_playbook(beside(suite, &suite.playbook.value), tenant, vars)
}

/// A file that a test names.
pub(super) fn beside(suite: &Suite, name: &str) -> PathBuf {
    suite.file.parent().unwrap_or(Path::new("")).join(name)
}

/// A test in its file.
struct Here<'a> {
    suite: &'a Suite,
    test: &'a Scenario,
}

impl Here<'_> {
    fn problem<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Problem {
        Problem::new(&*self.suite.file.to_string_lossy(), at.place, message)
    }

    /// A problem of what the test gives, which has no place for whoever finds it, at the place where the test gives it.
    fn placed(&self, problem: Problem) -> Problem {
        let var = |(name, _): &&(Spanned<String>, String)| *problem.file == format!("--var {}", name.value);
        if let Some((name, _)) = self.test.vars.iter().find(var) {
            return Problem { help: problem.help, ..self.problem(name, problem.message) };
        }
        let tenant = self.test.tenant.as_ref().filter(|_| problem.place.line == 0);
        match tenant.filter(|tenant| *problem.file == *beside(self.suite, &tenant.value).to_string_lossy()) {
            Some(tenant) => self.problem(tenant, format!("{}: {}", tenant.value, problem.message)),
            None => problem,
        }
    }

    /// The plan is refused: as expected, or else what is wrong with it.
    fn refused(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let Some(expected) = &self.test.expect.refused else { return problems };
        if problems.iter().any(|problem| problem.message.contains(&expected.value)) {
            return Vec::new();
        }
        let mut told = vec![self.problem(expected, "the plan is refused for another reason")];
        told.extend(problems);
        told
    }

    fn approval(&self, plan: &Plan) -> Option<Problem> {
        let expected = self.test.expect.approval.as_ref()?;
        let needed = plan.header.approval.as_ref().is_some_and(|approval| approval.needed);
        let message = if needed { "the plan needs approval" } else { "the plan needs no approval" };
        (needed != expected.value).then(|| self.problem(expected, message))
    }

    fn held(&self, holds: &[String]) -> Vec<Problem> {
        let expected = &self.test.expect.held;
        if expected.is_empty() && !holds.is_empty() {
            let message = format!("the plan is held: {}", holds.join("; "));
            let help = "say `held: […]` where that is what is expected".to_owned();
            return vec![self.problem(&self.test.name, message).with_help(help)];
        }
        let mut wrong = Vec::new();
        for words in expected.iter().filter(|words| !holds.iter().any(|hold| hold.contains(&words.value))) {
            let message = match holds {
                [] => "the plan is not held".to_owned(),
                holds => format!("the plan is held, and not for this: {}", holds.join("; ")),
            };
            wrong.push(self.problem(words, message));
        }
        wrong
    }

    fn run(&self, came: &Came, plan: &Plan) -> Vec<Problem> {
        let Expected { exit_code, outcomes, acts, polls_at_most, throttled_at_most, waves, took_at_most, .. } =
            &self.test.expect;
        let mut wrong = Vec::new();
        let code = came.exit_code as u8;
        if let Some(expected) = exit_code.as_ref().filter(|expected| expected.value != code) {
            wrong.push(self.problem(expected, format!("the exit code is {code}")));
        }
        if let Some(expected) = outcomes {
            wrong.extend(self.outcomes(expected, came, plan));
        }
        // As the run tells it: a refusal that is scripted is one too.
        let (counters, throttled) = (&came.counters, came.folded.totals.throttled);
        if let Some(expected) = acts.as_ref().filter(|expected| u64::from(expected.value) != counters.posts) {
            wrong.push(self.problem(expected, format!("there were {}", count(counters.posts, "act"))));
        }
        if let Some(most) = polls_at_most.as_ref().filter(|most| u64::from(most.value) < counters.gets) {
            wrong.push(self.problem(most, format!("there were {}", count(counters.gets, "poll"))));
        }
        if let Some(most) = throttled_at_most.as_ref().filter(|most| u64::from(most.value) < throttled) {
            wrong.push(self.problem(most, format!("{} refused for a limit", count(throttled, "call"))));
        }
        let all = (plan.header.release.waves.len() as u16).max(1);
        let begun = came.waves.min(all);
        if let Some(expected) = waves.as_ref().filter(|expected| expected.value != begun) {
            wrong.push(self.problem(expected, format!("{} of {all} began", count(begun, "wave"))));
        }
        if let Some(most) = took_at_most.as_ref().filter(|most| most.value < came.took) {
            wrong.push(self.problem(most, format!("it took {}", duration(came.took))));
        }
        wrong
    }

    fn outcomes(&self, expected: &Spanned<OutcomeCounts>, came: &Came, plan: &Plan) -> Vec<Problem> {
        let found = &came.folded.totals.outcomes;
        let mut wrong = Vec::new();
        for (outcome, number) in &expected.value {
            let there = found.of(outcome.value);
            if there != number.value {
                let word = words::outcome(outcome.value);
                let message = format!("{there} {word}, not {}{}", number.value, listed(came, plan, outcome.value));
                wrong.push(self.problem(number, message));
            }
        }
        let is_named = |outcome: Outcome| expected.value.iter().any(|(named, _)| named.value == outcome);
        for (outcome, there) in found.iter().filter(|(outcome, there)| *there > 0 && !is_named(*outcome)) {
            let message = format!("{there} {}{}", words::outcome(outcome), listed(came, plan, outcome));
            wrong.push(self.problem(expected, message).with_help("an outcome that is not named is expected of none"));
        }
        wrong
    }

    /// What was written and did not happen: a test that shows less than it says.
    fn unused(&self, came: &Came) -> Vec<Problem> {
        let Scenario { people, simulator, .. } = self.test;
        let mut wrong = Vec::new();
        for saying in people.iter().skip(people.len() - came.unsaid) {
            let message = format!("nobody heard this: the run had ended after {}", duration(came.took));
            wrong.push(self.problem(&saying.after, message));
        }
        for (items, shown) in
            simulator.items.iter().zip(&came.shown).filter(|(items, shown)| **shown < items.statuses.len())
        {
            let message = match *shown {
                0 => "no poll ever showed this: none of these items was sent and looked at".to_owned(),
                shown => format!("polls showed only the first {shown} of these {} statuses", items.statuses.len()),
            };
            wrong.push(self.problem(&items.of, message));
        }
        let said = people.iter().take(people.len() - came.unsaid);
        let promotes: Vec<&Saying> = said.filter(|saying| matches!(saying.what, Said::Promote(_))).collect();
        if let Some(vain) = promotes.get(came.promoted) {
            let message = format!(
                "of {} to promote, {} let a wave begin: the others came before the gate's conditions held, or there was no gate",
                count(promotes.len(), "word"),
                came.promoted
            );
            wrong.push(self.problem(&vain.after, message));
        }
        let calls = [(&simulator.acts, came.counters.posts, "act"), (&simulator.polls, came.counters.gets, "poll")];
        for (scripted, made, noun) in calls {
            let never = |call: &&ScriptedCall| u64::from(call.number.value) > made;
            wrong.extend(scripted.iter().filter(never).map(|call| {
                self.problem(&call.number, format!("this never happened: there were {}", count(made, noun)))
            }));
        }
        wrong
    }
}

fn expected_items(expected: &ExpectedItems, came: &Came, picking: &Picking<'_>) -> Result<(), Problem> {
    let items = picking.items(&expected.of)?;
    if let Some(number) = expected.count.as_ref().filter(|number| number.value as usize != items.len()) {
        return Err(picking.problem(number, format!("there are {}", count(items.len(), "item"))));
    }
    let ending = |item: &u32| &came.folded.endings[*item as usize];
    if let Some(outcome) = &expected.outcome
        && let Some(other) = items.iter().find(|item| ending(item).outcome != outcome.value)
    {
        return Err(picking.problem(outcome, described(picking.plan, *other, ending(other))));
    }
    if let Some(reason) = &expected.reason
        && let Some(other) = items.iter().find(|item| !why(ending(item)).contains(&reason.value))
    {
        return Err(picking.problem(reason, described(picking.plan, *other, ending(other))));
    }
    Ok(())
}

/// `row 3 kill`
pub(super) fn place_of(plan: &Plan, item: u32) -> String {
    let item = &plan.items[item as usize];
    let step = &plan.header.steps[usize::from(item.step)].name;
    format!("row {} {step}", plan.events[item.event as usize].place.row)
}

/// `row 3 kill: failed (Access denied)`
fn described(plan: &Plan, item: u32, ending: &Ending) -> String {
    let why = why(ending);
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    format!("{}: {}{why}", place_of(plan, item), words::outcome(ending.outcome))
}

/// How long a run took, as it is said everywhere.
pub(super) fn duration(took: Duration) -> String {
    words::duration(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

/// Our reason and the API's words.
fn why(ending: &Ending) -> String {
    let texts = [&ending.reason, &ending.status, &ending.status_message];
    texts.into_iter().flatten().map(|text| &**text).collect::<Vec<_>>().join(", ")
}

/// The first items of an outcome.
fn listed(came: &Came, plan: &Plan, outcome: Outcome) -> String {
    let mut items = (0_u32..).zip(&came.folded.endings).filter(|(_, ending)| ending.outcome == outcome);
    let first: Vec<String> = items.by_ref().take(LISTED_MAX).map(|(item, _)| place_of(plan, item)).collect();
    let more = if items.next().is_some() { ", …" } else { "" };
    if first.is_empty() { String::new() } else { format!(" ({}{more})", first.join(", ")) }
}
