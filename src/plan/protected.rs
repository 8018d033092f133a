//! Protected targets: which items of a plan must not be carried out.
//!
//! Rules are compiled once. A rule matches an item when each of its matchers does, and a matcher does so when one of its
//! patterns fits, or when the row does not say what it looks at (unless the rule says `if_missing: ignore`). The first
//! rule that matches is the one that people are told of. A rule that looks at the host alone protects the agent: one row
//! that says it is enough, also one that no step selects, since exports name hosts in some rows and leave them out, or
//! name old ones, in others. Exact names are looked up, patterns are found by the longest text in them, so that a row
//! costs microseconds however many rules there are.

mod columns;
mod index;
mod text;

use super::guards::{self, Blocked, Guard, Hold};
use super::problems::{Origin, Problems};
use super::release::Sizes;
use super::{Plan, PlannedFile, Work, act_key, digest, targets};
use crate::events::{Event, Events, snake_case};
use crate::inert;
use crate::playbook::Playbook;
use crate::problem::{Place, Problem};
use crate::tenant::{Matcher, OnMatch, Protected, Rule, Tenant};
use columns::ColumnTexts;
use index::{Hits, Index};
use std::collections::{BTreeMap, HashMap};
use text::Kind;

/// How many rules a plan may have in all.
const RULES_MAX: usize = 10_000;
/// How many bytes all patterns with wildcards may have together.
const PATTERNS_BYTES_MAX: usize = 1 << 20;
/// How many rows a hold names.
const ROWS_NAMED_MAX: usize = 5;

/// The rules of a plan, and what happens to what they match.
pub(super) struct Rules {
    rules: Vec<Compiled>,
    dimensions: Vec<Dimension>,
    columns: ColumnTexts,
    on_match: OnMatch,
    /// Whether `on_match: skip` would be of use in the playbook.
    may_be_skipped: bool,
    /// Whether they are for a plan that takes up a run, which has no filter.
    takes_up: bool,
    /// Agents, as they are compared, of which a row said that a rule about hosts has them: the first such rule.
    agents: HashMap<String, u32>,
}

struct Compiled {
    name: String,
    /// Indices of the dimensions that its matchers look at; each matcher has one.
    dimensions: Vec<usize>,
    ignores_missing: bool,
    /// Whether it looks at nothing but the host, so that what one row says holds for its agent.
    of_host: bool,
}

/// What rules look at: one kind of text in one set of columns, with all their patterns of it.
struct Dimension {
    look: Look,
    /// Indices into [`ColumnTexts`].
    columns: Vec<usize>,
    index: Index,
    /// Rules that look here first and take what is missing for a match, ascending.
    if_missing: Vec<u32>,
    /// Rules that look here first.
    first: Vec<bool>,
}

/// Which columns, read how.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    kind: Kind,
    columns: Vec<String>,
}

/// What of a plan matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    pub(super) holds: Vec<Hold>,
    pub(super) blocked: Vec<Blocked>,
}

/// A rule that matches an item, and what the row does not say when it matches for that alone.
struct Match {
    rule: u32,
    missing: Option<usize>,
}

impl Rules {
    /// Those of the tenant, then those of the playbook.
    pub(super) fn compile(work: &Work<'_>, tenant: &Tenant, origin: &Origin, problems: &mut Problems) -> Self {
        let own = match work {
            Work::Playbook(Playbook { protected, .. }) => Some(protected),
            Work::AdHoc(_) => None,
        };
        Self::of(own, tenant, origin, problems)
    }

    fn of(own: Option<&Protected>, tenant: &Tenant, origin: &Origin, problems: &mut Problems) -> Self {
        let (on_match, may_be_skipped) = on_match(&tenant.protected, own, tenant, origin, problems);
        let mut making = Self {
            rules: Vec::new(),
            dimensions: Vec::new(),
            columns: ColumnTexts::default(),
            on_match,
            may_be_skipped,
            takes_up: false,
            agents: HashMap::new(),
        };
        for protected in [Some(&tenant.protected), own].into_iter().flatten() {
            for file in &protected.files {
                let message = format!("nobody has read the rules of {}", file.value);
                problems.push(origin.problem(file.place, "--tenant", message, None));
            }
            protected.rules.iter().for_each(|rule| making.add(rule));
        }
        let bytes: usize = making.dimensions.iter().map(|dimension| dimension.index.pattern_bytes()).sum();
        if making.rules.len() > RULES_MAX {
            let message = format!("there are {} rules of protected targets, at most {RULES_MAX}", making.rules.len());
            problems.push(origin.problem(Place::default(), "--tenant", message, None));
        } else if bytes > PATTERNS_BYTES_MAX {
            let message = format!("the patterns of protected targets have {bytes} bytes, at most {PATTERNS_BYTES_MAX}");
            let help = "names without `*` and `?` do not count".to_owned();
            problems.push(origin.problem(Place::default(), "--tenant", message, Some(help)));
        } else if let Err(why) = making.dimensions.iter_mut().try_for_each(|dimension| dimension.index.finish()) {
            let message = format!("the patterns of protected targets cannot be compiled: {why}");
            problems.push(origin.problem(Place::default(), "--tenant", message, None));
        }
        making
    }

    fn add(&mut self, rule: &Rule) {
        let number = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let mut dimensions = Vec::new();
        for matcher in &rule.matchers {
            let at = self.dimension(Look::of(matcher));
            self.dimensions[at].index.add(matcher, number);
            dimensions.push(at);
        }
        if let Some(first) = dimensions.first() {
            let dimension = &mut self.dimensions[*first];
            dimension.first.resize(self.rules.len(), false);
            dimension.first.push(true);
            if !rule.ignores_missing {
                dimension.if_missing.push(number);
            }
        }
        let of_host = dimensions.iter().all(|at| self.dimensions[*at].look.is_of_host()) && !dimensions.is_empty();
        let (name, ignores_missing) = (rule.name.clone(), rule.ignores_missing);
        self.rules.push(Compiled { name, dimensions, ignores_missing, of_host });
    }

    fn dimension(&mut self, look: Look) -> usize {
        if let Some(known) = self.dimensions.iter().position(|known| known.look == look) {
            return known;
        }
        let columns = look.columns.iter().map(|name| self.columns.index_of(name)).collect();
        let index = Index::new(look.kind);
        self.dimensions.push(Dimension { look, columns, index, if_missing: Vec::new(), first: Vec::new() });
        self.dimensions.len() - 1
    }

    /// A column of which the last cell may have been cut tells nobody from anybody.
    pub(super) fn check_columns(&self, events: &Events, problems: &mut Problems) {
        let looked_at = |column: &str| self.columns.names().any(|name| name == column);
        if let Some(cut) = events.unended.iter().find(|column| looked_at(&snake_case(column))) {
            let file = events.sources.last().map_or("<events>", String::as_str);
            let message = format!(
                "the last row has no line end, so its {cut:?}, by which protected targets are told, may have been cut"
            );
            let help = "copy the events file again; if it is whole, end it with a line end";
            problems.push(Problem::new(file, Place::default(), message).with_help(help));
        }
    }

    /// Takes from all rows which agents are protected, before steps and filters choose among the rows.
    pub(super) fn learn(&mut self, events: &[Event]) {
        if !self.rules.iter().any(|rule| rule.of_host) {
            return;
        }
        for event in events {
            let Some(hits) = self.hits(event, &event.agent_id) else { continue };
            let says = |rule: u32| {
                let Compiled { of_host, dimensions, .. } = &self.rules[rule as usize];
                *of_host && dimensions.iter().all(|at| hits[*at].has(rule))
            };
            // Each matcher of such a rule has to be said, the first too.
            let candidates = hits.iter().flat_map(|hits| &hits.rules).copied();
            if let Some(rule) = candidates.filter(|rule| says(*rule)).min() {
                self.agents
                    .entry(compared(&event.agent_id))
                    .and_modify(|first| *first = rule.min(*first))
                    .or_insert(rule);
            }
        }
    }

    /// What of the plan matches.
    pub(super) fn judge(&mut self, plan: &Plan) -> Matches {
        if self.rules.is_empty() {
            return Matches::default();
        }
        let mut matched: BTreeMap<u32, Vec<(u32, Option<usize>)>> = BTreeMap::new();
        let mut last: Option<(u32, &str, Option<Match>)> = None;
        for (number, item) in (0_u32..).zip(&plan.items) {
            let event = &plan.events[item.event as usize];
            let [sent_to, ..] = act_key::filled(&plan.header.steps[usize::from(item.step)].action, &event.sent());
            if last.as_ref().is_none_or(|(of, agent, _)| *of != item.event || *agent != sent_to) {
                last = Some((item.event, sent_to, self.first_match(event, sent_to)));
            }
            if let Some((.., Some(Match { rule, missing }))) = &last {
                matched.entry(*rule).or_default().push((number, *missing));
            }
        }
        match self.on_match {
            OnMatch::Hold => {
                let holds = matched.into_iter().map(|(rule, items)| self.hold(plan, rule, &items)).collect();
                Matches { holds, blocked: Vec::new() }
            }
            OnMatch::Skip => {
                let blocked = matched.into_iter().map(|(rule, items)| Blocked {
                    rule: self.rules[rule as usize].name.clone(),
                    items: items.into_iter().map(|(item, _)| item).collect(),
                });
                Matches { holds: Vec::new(), blocked: blocked.collect() }
            }
        }
    }

    /// The first rule that matches the event, whose act is sent to this agent.
    fn first_match(&mut self, event: &Event, sent_to: &str) -> Option<Match> {
        let Some(hits) = self.hits(event, sent_to) else {
            // What cannot be read may be anything.
            return Some(Match { rule: 0, missing: None });
        };
        let of_agent = [&*event.agent_id, sent_to].into_iter().filter_map(|agent| self.agents.get(&compared(agent)));
        let of_agent = of_agent.min().map(|rule| Match { rule: *rule, missing: None });
        let matches = |rule: u32| {
            let compiled = &self.rules[rule as usize];
            compiled
                .dimensions
                .iter()
                .all(|at| hits[*at].has(rule) || (hits[*at].is_missing && !compiled.ignores_missing))
        };
        let mut first: Option<u32> = None;
        for (dimension, hits) in self.dimensions.iter().zip(&hits) {
            let of_missing = dimension.if_missing.iter().filter(|_| hits.is_missing);
            let of_hits = hits.rules.iter().filter(|rule| dimension.first.get(**rule as usize) == Some(&true));
            for candidates in [&mut of_missing.copied() as &mut dyn Iterator<Item = u32>, &mut of_hits.copied()] {
                let found =
                    candidates.take_while(|rule| first.is_none_or(|first| *rule < first)).find(|rule| matches(*rule));
                first = found.or(first);
            }
        }
        let of_row = first.map(|rule| {
            let compiled = &self.rules[rule as usize];
            Match { rule, missing: compiled.dimensions.iter().copied().find(|at| !hits[*at].has(rule)) }
        });
        of_agent.into_iter().chain(of_row).min_by_key(|found| found.rule)
    }

    /// What each dimension finds in the row; nothing when its columns cannot be read.
    fn hits(&mut self, event: &Event, sent_to: &str) -> Option<Vec<Hits>> {
        let cells = self.columns.read(event).ok()?;
        let hits = self.dimensions.iter().map(|dimension| match dimension.look.kind {
            Kind::Agent => dimension.index.find([&*event.agent_id, sent_to].into_iter()),
            _ => dimension.index.find(dimension.columns.iter().flat_map(|at| &cells[*at]).map(String::as_str)),
        });
        Some(hits.collect())
    }

    fn hold(&self, plan: &Plan, rule: u32, items: &[(u32, Option<usize>)]) -> Hold {
        let row = |item: u32| plan.events[plan.items[item as usize].event as usize].place.row;
        let mut rows: Vec<u32> = items.iter().map(|(item, _)| row(*item)).collect();
        rows.dedup();
        rows.truncate(ROWS_NAMED_MAX);
        let silent: Vec<usize> = items.iter().filter_map(|(_, missing)| *missing).collect();
        let silent = match (silent.first(), silent.len()) {
            (None, _) => String::new(),
            (Some(at), many) => {
                let of = if many == items.len() { "all".to_owned() } else { many.to_string() };
                let columns = self.dimensions[*at].look.columns.join(", ");
                format!("{of} for want of {columns}, where only `if_missing: ignore` in the rule would let them pass; ")
            }
        };
        let Compiled { name, of_host, .. } = &self.rules[rule as usize];
        // A filter by what some rows say would leave the others of the agent, which match all the same.
        let by = if *of_host { "their agents out by a filter on agent_id" } else { "these rows out by a filter" };
        let or_block = if self.may_be_skipped { ", or have them blocked with protected: {on_match: skip}" } else { "" };
        let way_out = match self.takes_up {
            true => {
                "the tenant protects it today: change its rules first where it has to be done all the same".to_owned()
            }
            false => format!("leave {by}{or_block}"),
        };
        Hold {
            guard: Guard::Protected(name.clone()),
            host: None,
            found: u32::try_from(items.len()).unwrap_or(u32::MAX),
            limit: 0,
            ceiling: None,
            raise: format!("{silent}{way_out}"),
            rows,
        }
    }
}

/// Judges a plan that takes up a run by what its tenant protects today: rows and actions are those of the run, the rules are
/// not. `files` is what the rules were read from.
///
/// # Errors
/// The rules cannot be compiled.
pub fn protect(plan: &mut Plan, tenant: &Tenant, files: Vec<PlannedFile>) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    let compiled = Rules::of(None, tenant, &Origin::CommandLine, &mut problems);
    problems.none()?;
    let mut rules = Rules { takes_up: true, ..compiled };
    rules.learn(&plan.events);
    let Matches { holds, blocked } = rules.judge(plan);
    plan.header.blocked = blocked;
    targets::blocked_last(plan);
    plan.header.release = plan.header.release.among(Sizes::of(plan));
    plan.header.guards.holds = guards::judge(plan);
    plan.header.guards.holds.extend(holds);
    plan.header.files.extend(files);
    plan.header.digest = digest::digest(plan);
    Ok(())
}

impl Look {
    fn of(matcher: &Matcher) -> Self {
        let (kind, columns): (_, &[&str]) = match matcher {
            Matcher::Host(_) => (Kind::Host, &["host", "hostname", "host_name"]),
            Matcher::AgentId(_) => (Kind::Agent, &[]),
            Matcher::Cidr(_) => (Kind::Address, &["ip", "ip_address"]),
            Matcher::Path(_) => (Kind::Path, &["path", "file_path", "image_path"]),
            Matcher::Process(_) => (Kind::Process, &["process", "process_name", "image"]),
            Matcher::Tag(_) => (Kind::Tag, &["tags"]),
            Matcher::Attribute { column, .. } => return Self { kind: Kind::Any, columns: vec![column.clone()] },
        };
        Self { kind, columns: columns.iter().map(|column| (*column).to_owned()).collect() }
    }

    fn is_of_host(&self) -> bool {
        matches!(self.kind, Kind::Agent | Kind::Host | Kind::Address | Kind::Tag)
    }
}

/// An agent as it is compared with others.
fn compared(agent: &str) -> String {
    text::pattern(Kind::Agent, agent)
}

/// What happens to what matches, and whether the playbook may have it skipped. A playbook may be stricter than its tenant,
/// and milder only where the tenant does not say.
fn on_match(
    tenants: &Protected,
    own: Option<&Protected>,
    tenant: &Tenant,
    origin: &Origin,
    problems: &mut Problems,
) -> (OnMatch, bool) {
    let (tenants, own_word) = (tenants.on_match.as_ref(), own.and_then(|own| own.on_match.as_ref()));
    let insists = tenants.is_some_and(|word| word.value == OnMatch::Hold);
    if let Some(skip) = own_word.filter(|word| insists && word.value == OnMatch::Skip) {
        let message =
            format!("the tenant {} holds every plan that matches what it protects", inert::terminal(&tenant.name));
        let help = "its `on_match: hold` cannot be softened here: remove this, and leave such rows out by a filter";
        problems.push(origin.problem(skip.place, "", message, Some(help.to_owned())));
    }
    let word = own_word.or(tenants).map_or(OnMatch::Hold, |word| word.value);
    (word, own.is_some() && !insists)
}

#[cfg(test)]
mod tests;
