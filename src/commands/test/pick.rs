//! Which items of a plan a test speaks of.

use crate::plan::Plan;
use crate::plan::filter::{ColumnReader, Filter};
use crate::problem::{Problem, nearest};
use crate::scenario::Pick;
use crate::yaml::Spanned;
use std::collections::BTreeMap;
use std::path::Path;

/// A plan, and what filters over its items know.
pub(super) struct Picking<'a> {
    pub(super) file: &'a Path,
    pub(super) plan: &'a Plan,
    pub(super) vars: &'a BTreeMap<String, String>,
}

impl Picking<'_> {
    /// The numbers of the items that are picked, in plan order.
    ///
    /// # Errors
    /// What is wrong with the words that pick them, at their place; also when they pick none.
    pub(super) fn items(&self, of: &Spanned<Pick>) -> Result<Vec<u32>, Problem> {
        let pick = &of.value;
        let step = pick.step.as_ref().map(|step| self.step(step)).transpose()?;
        let filter = pick.filter.as_ref().map(|filter| self.filter(filter)).transpose()?;
        let mut reader = ColumnReader::new(filter.iter());
        let mut items = Vec::new();
        for (number, item) in (0_u32..).zip(&self.plan.items) {
            let event = &self.plan.events[item.event as usize];
            if step.is_some_and(|step| step != item.step)
                || pick.row.as_ref().is_some_and(|row| row.value != event.place.row)
            {
                continue;
            }
            if let (Some(filter), Some(written)) = (&filter, &pick.filter) {
                let judged = reader.read(event).and_then(|row| filter.selects(&row));
                let wrong = |why| self.problem(written, format!("row {}: {why}", event.place.row));
                if !judged.map_err(wrong)? {
                    continue;
                }
            }
            items.push(number);
        }
        if items.is_empty() { Err(self.problem(of, "no item of the plan is meant by this")) } else { Ok(items) }
    }

    fn step(&self, step: &Spanned<String>) -> Result<u16, Problem> {
        let names = || self.plan.header.steps.iter().map(|step| step.name.as_str());
        let found = (0_u16..).zip(names()).find(|(_, name)| *name == step.value).map(|(number, _)| number);
        found.ok_or_else(|| {
            let problem = self.problem(step, format!("the plan has no step `{}`", step.value));
            let known = || format!("its steps are {}", names().collect::<Vec<_>>().join(", "));
            problem
                .with_help(nearest(&step.value, names()).map_or_else(known, |near| format!("did you mean `{near}`?")))
        })
    }

    fn filter(&self, written: &Spanned<String>) -> Result<Filter, Problem> {
        let filter = Filter::compile(&written.value, self.vars).map_err(|errors| {
            let first = errors.into_iter().next();
            let (message, help) = first.map(|error| (error.message, error.help)).unwrap_or_default();
            let problem = self.problem(written, message);
            Problem { help, ..problem }
        })?;
        let missing = ColumnReader::new(std::iter::once(&filter)).missing(&self.plan.events);
        match missing.first() {
            Some(column) => Err(self.problem(written, format!("no event of the plan has a column `{column}`"))),
            None => Ok(filter),
        }
    }

    pub(super) fn problem<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Problem {
        Problem::new(&*self.file.to_string_lossy(), at.place, message)
    }
}
