//! Steps as they were asked for become steps that can judge rows: the action found, the filter compiled, its columns
//! known to exist. What fails is reported and left out, so that the other steps are checked all the same.

use super::build::Work;
use super::filter::{ColumnReader, Filter, FilterError};
use super::problems::{Origin, Problems};
use super::select::{self, ReadyStep};
use super::{PlannedFlow, event_age};
use crate::events::{Event, Events, snake_case};
use crate::playbook::{Flow, Playbook, Step};
use crate::problem::{Place, listed, nearest};
use crate::tenant::{Action, EventType, FillField, Tenant};
use std::collections::BTreeMap;

/// How many steps a plan may have.
const STEPS_MAX: usize = 1000;
/// How many column names a help lists.
const COLUMNS_SHOWN_MAX: usize = 20;

pub(super) fn compiled_steps(
    work: &Work<'_>,
    tenant: &Tenant,
    events: &Events,
    vars: &BTreeMap<String, String>,
    origin: &Origin,
    problems: &mut Problems,
) -> Vec<CompiledStep> {
    let wanted: Vec<Wanted<'_>> = match work {
        Work::Playbook(playbook) => playbook.steps.iter().map(Wanted::from_step).collect(),
        Work::AdHoc(ad_hoc) => {
            let names: Vec<&str> = match &ad_hoc.action {
                Some(action) => vec![action],
                None => select::actions_of_rows(&tenant.actions, &events.rows),
            };
            if names.is_empty() && !events.rows.is_empty() {
                let found = if events.rows.iter().all(|event| event.action.is_none()) {
                    "the events name none"
                } else {
                    "the events name none that the tenant has"
                };
                let message = format!("nothing says which action to take: {found}");
                let help = Some(format!(
                    "give --action NAME; the tenant {} has {}",
                    tenant.name,
                    listed(names_of(&tenant.actions))
                ));
                problems.push(origin.problem(Place::default(), "--action", message, help));
            }
            names.into_iter().map(|name| Wanted::ad_hoc(name, ad_hoc.filter.as_deref())).collect()
        }
    };
    if wanted.len() > STEPS_MAX {
        let message = format!("there are {} steps, at most {STEPS_MAX} are carried out", wanted.len());
        problems.push(origin.problem(wanted[STEPS_MAX].action_place, "--action", message, None));
        return Vec::new();
    }
    let names: Vec<&str> = wanted.iter().map(|step| step.name).collect();
    wanted.iter().map(|step| step.compile(tenant, vars, &names, origin, problems)).collect()
}

/// Whether filters can be compiled, where no tenant says what its actions are.
pub(super) fn check_filters(
    playbook: &Playbook,
    vars: &BTreeMap<String, String>,
    origin: &Origin,
    problems: &mut Problems,
) {
    for step in &playbook.steps {
        Wanted::from_step(step).compile_filter(vars, origin, problems);
    }
}

/// A step as it was asked for.
struct Wanted<'a> {
    name: &'a str,
    action: &'a str,
    action_place: Place,
    filter: Option<(&'a str, Place)>,
    flow: Option<&'a Flow>,
}

impl<'a> Wanted<'a> {
    fn from_step(step: &'a Step) -> Self {
        Self {
            name: &step.name.value,
            action: &step.action.value,
            action_place: step.action.place,
            filter: step.filter.as_ref().map(|filter| (filter.value.as_str(), filter.place)),
            flow: Some(&step.flow),
        }
    }

    fn ad_hoc(action: &'a str, filter: Option<&'a str>) -> Self {
        Self {
            name: action,
            action,
            action_place: Place::default(),
            filter: filter.map(|filter| (filter, Place::default())),
            flow: None,
        }
    }

    fn compile(
        &self,
        tenant: &Tenant,
        vars: &BTreeMap<String, String>,
        steps: &[&str],
        origin: &Origin,
        problems: &mut Problems,
    ) -> CompiledStep {
        let action = tenant.actions.iter().position(|action| action.name == self.action);
        if action.is_none() {
            let near = nearest(self.action, names_of(&tenant.actions));
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let help = Some(format!("{near}the tenant {} has {}", tenant.name, listed(names_of(&tenant.actions))));
            let message = format!("there is no action `{}`", self.action);
            problems.push(origin.problem(self.action_place, "--action", message, help));
        }
        let filter = self.compile_filter(vars, origin, problems);
        if let (Some(Flow { once: true, .. }), Some(action)) = (self.flow, action) {
            self.check_once(&tenant.actions[action], origin, problems);
        }
        let age_place = self.flow.and_then(|flow| flow.max_event_age.as_ref()).map(|age| age.place);
        CompiledStep { name: self.name.to_owned(), action, filter, flow: self.planned_flow(steps), age_place }
    }

    /// One item for a whole target is about its host: the action has to take hosts, and to say which event that is.
    fn check_once(&self, action: &Action, origin: &Origin, problems: &mut Problems) {
        let fills = |field| action.fill.iter().any(|(to, from)| *to == field && *from == FillField::AgentId);
        let message = if !action.event_types.contains(&EventType::Agent) {
            format!("`once: target` makes an item of the type AGENT, which `{}` does not take", action.name)
        } else if !fills(FillField::EventId) || !fills(FillField::UniqueId) {
            format!(
                "`once: target` needs an action that says by `fill` which event a host is; `{}` does not",
                action.name
            )
        } else {
            return;
        };
        let help = "the tenant's action needs event_types: [AGENT] and fill: {event_id: agent_id, unique_id: agent_id}";
        problems.push(origin.problem(self.action_place, "--action", message, Some(help.to_owned())));
    }

    /// Steps before this one are known by their place; a name that is none of them is a problem of the playbook already.
    fn planned_flow(&self, steps: &[&str]) -> PlannedFlow {
        let Some(Flow { after, once, allow_failure, max_event_age }) = self.flow else { return PlannedFlow::default() };
        let after = after.as_ref().and_then(|after| {
            let earlier = steps.iter().position(|name| *name == after.value.step)?;
            Some((u16::try_from(earlier).ok()?, after.value.when))
        });
        let max_event_age = max_event_age.as_ref().map(|age| age.value);
        PlannedFlow { after, once: *once, allow_failure: *allow_failure, max_event_age }
    }

    fn compile_filter(
        &self,
        vars: &BTreeMap<String, String>,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<(String, Place, Filter)> {
        let (source, place) = self.filter?;
        match Filter::compile(source, vars) {
            Ok(filter) => Some((source.to_owned(), place, filter)),
            Err(errors) => {
                errors.into_iter().for_each(|error| problems.push(origin.filter_problem(source, place, error)));
                None
            }
        }
    }
}

/// A step as far as it could be made; what is missing is a problem already.
pub(super) struct CompiledStep {
    name: String,
    action: Option<usize>,
    filter: Option<(String, Place, Filter)>,
    flow: PlannedFlow,
    /// Where its `max_event_age` stands.
    age_place: Option<Place>,
}

impl CompiledStep {
    /// `--where` beside a playbook, which is a filter as those of steps are.
    pub(super) fn of_flag(filter: &str, vars: &BTreeMap<String, String>, problems: &mut Problems) -> Self {
        let wanted = Wanted { filter: Some((filter, Place::default())), ..Wanted::ad_hoc("--where", None) };
        let filter = wanted.compile_filter(vars, &Origin::CommandLine, problems);
        Self { name: wanted.name.to_owned(), action: None, filter, flow: PlannedFlow::default(), age_place: None }
    }

    /// What of it judges rows.
    pub(super) fn into_filter(self) -> Option<Filter> {
        self.filter.map(|(.., filter)| filter)
    }

    pub(super) fn ready(self, actions: &[Action]) -> Option<ReadyStep> {
        let index = self.action?;
        let Self { name, filter, flow, .. } = self;
        Some(ReadyStep { name, action: actions[index].clone(), action_index: index, filter, flow })
    }
}

fn names_of(actions: &[Action]) -> impl Iterator<Item = &str> {
    actions.iter().map(|action| action.name.as_str())
}

/// Events without any time are told once for each step that judges by it, where it could take any of them.
pub(super) fn check_ages(
    steps: &[CompiledStep],
    tenant: &Tenant,
    events: &[Event],
    origin: &Origin,
    problems: &mut Problems,
) {
    let column = event_age::COLUMN;
    for (step, place) in steps.iter().filter_map(|step| Some((step, step.age_place?))) {
        let types = step.action.map_or(&[][..], |action| &tenant.actions[action].event_types);
        let takes = |event: &Event| step.flow.once || types.contains(&event.event_type);
        if events.iter().any(takes) && !ColumnReader::of_names([column]).missing(events).is_empty() {
            let message = format!("no event has a column `{column}`, by which `max_event_age` judges");
            let help = format!("name the column with their times in the mapping, for example `{column}: Detected`");
            problems.push(origin.problem(place, "", message, Some(help)));
        }
    }
}

/// A column that no row has is a mistake in the filter; one that only some rows have is null in the others.
pub(super) fn check_columns(steps: &[CompiledStep], events: &Events, origin: &Origin, problems: &mut Problems) {
    let filters = || steps.iter().filter_map(|step| step.filter.as_ref());
    let unended: Vec<String> = events.unended.iter().map(|column| snake_case(column)).collect();
    for (source, place, filter) in filters() {
        if let Some(column) = filter.columns().iter().find(|column| unended.iter().any(|cut| **cut == *column.name)) {
            let error = FilterError {
                message: format!("the last row has no line end, so its {:?} may have been cut", column.name),
                range: column.range.clone(),
                help: Some("copy the events file again; if it is whole, end it with a line end".to_owned()),
            };
            problems.push(origin.filter_problem(source, *place, error));
        }
    }
    let missing = ColumnReader::new(filters().map(|(_, _, filter)| filter)).missing(&events.rows);
    if missing.is_empty() || events.rows.is_empty() {
        return;
    }
    let names = ColumnReader::all_names(&events.rows);
    let mut said = Vec::new();
    for (source, place, filter) in filters() {
        for column in filter.columns().iter().filter(|column| missing.contains(&column.name)) {
            let key = (source, *place, &column.name);
            if said.contains(&key) {
                continue;
            }
            said.push(key);
            let known = names.iter().take(COLUMNS_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if names.len() > COLUMNS_SHOWN_MAX { ", …" } else { "" };
            let help = match nearest(&column.name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the events have {known}{more}"),
            };
            let error = FilterError {
                message: format!("no event has a column `{}`", column.name),
                range: column.range.clone(),
                help: Some(help),
            };
            problems.push(origin.filter_problem(source, *place, error));
        }
    }
}
