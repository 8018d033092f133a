//! `quell resolve`: writes down what a person found out about items that are unknown, unmatched or timed out.
//!
//! A finding stands beside the outcome and changes nothing of it. Of remediation ids that were copied from a console
//! nothing is believed: each is read, and its detail must name the very item and carry the tag of its batch.

use super::run::{connect, runtime, wall_clock};
use super::standing::Standing;
use super::taken::{Sends, Taken};
use super::{say, tell, unresolved};
use crate::api::Api;
use crate::api::safe_id;
use crate::cli::{Found, LogFormat, Resolving, Running, Taking};
use crate::engine::call::{Detail, PollReply, ReplyBody};
use crate::engine::fact::{BatchId, Before, Fact, Finding, ItemId, Moment, Settled, What};
use crate::engine::limiter::{Limiter, Opening};
use crate::engine::{Engine, Resolution};
use crate::error::{ExitCode, Failure, worst};
use crate::inert;
use crate::journal::{Head, SqliteRun, Store};
use crate::noun::count;
use crate::plan::PlanHeader;
use crate::problem::{Place, Problem};
use crate::report::words;
use crate::tenant::{Action, Meaning};
use crate::yaml;
use std::path::Path;
use std::time::Duration;

/// What a person can resolve.
const RESOLVABLE: [Before; 3] = [Before::Unknown, Before::Unmatched, Before::TimedOut];
/// How often a read that a limit or the network kept from being answered is tried.
const TRIES_MAX: u32 = 5;
/// How often it is looked whether another run of the tenant has left room for a call.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Writes the findings down.
pub fn execute(resolving: &Resolving, taking: &Taking, state: &Path) -> Result<ExitCode, Failure> {
    let (tenant, id) = choose(resolving.run.as_deref(), state)?;
    let ids = match &resolving.found {
        Found::Ids(file) => Some(ids_of(file)?),
        Found::Items { .. } => None,
    };
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let running = only_reading(resolving);
    let taken = runtime.block_on(Taken::up(state, &tenant, &id, taking, &running, Sends::Nothing))?;
    let adopted = taken.adopted(taking);
    let Taken { resumed, engine, simulator, spent } = taken;
    let (store, head, header, by) = (resumed.run, resumed.head, resumed.header, resolving.operator.clone());
    let limiter = Limiter::new(&header.limits, spent);
    let mut desk = Desk { id, engine, store, head, header, by, limiter, adopted };
    match (&resolving.found, ids) {
        (Found::Items { items, batch, finding, note }, _) => desk.by_word(items, *batch, *finding, note),
        (Found::Ids(_), ids) => {
            let api = connect(&desk.header, simulator.as_ref(), &running)?;
            runtime.block_on(async {
                api.check_token().await?;
                desk.by_ids(&api, &ids.unwrap_or_default()).await
            })
        }
    }
}

/// The run that was named, or the newest that has something to resolve; with its tenant.
fn choose(run: Option<&str>, state: &Path) -> Result<(String, String), Failure> {
    if let Some(run) = run {
        return unresolved::named(run, state);
    }
    let newest = unresolved::runs_with(state, &RESOLVABLE)?.pop();
    newest.ok_or_else(|| Failure::Usage("no run of this state folder has anything to resolve".to_owned()))
}

fn only_reading(resolving: &Resolving) -> Running {
    Running {
        reports: Vec::new(),
        token_file: resolving.token_file.clone(),
        operator: resolving.operator.clone(),
        priority: false,
        drain: Duration::from_secs(20),
        quiet: true,
        log: LogFormat::Human,
    }
}

/// One id a line; empty lines and those that begin with `#` say nothing.
fn ids_of(file: &Path) -> Result<Vec<(u32, String)>, Failure> {
    let text = yaml::load(file).map_err(|problem| Failure::Problems(vec![problem]))?;
    let lines = (1..).zip(text.trim_start_matches('\u{feff}').lines()).map(|(number, line)| (number, line.trim()));
    let mut problems = Vec::new();
    let mut ids: Vec<(u32, String)> = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if safe_id(line) {
            if !ids.iter().any(|(_, known)| known == line) {
                ids.push((number, line.to_owned()));
            }
            continue;
        }
        let place = Place { line: number, column: 1, ..Place::default() };
        let shown = inert::shorten(&inert::terminal(line), 60).into_owned();
        let problem = Problem::new(file.display().to_string(), place, format!("`{shown}` is no remediation id"));
        problems.push(Problem { help: Some("one id a line, as the console shows it".to_owned()), ..problem });
    }
    match (problems.is_empty(), ids.is_empty()) {
        (false, _) => Err(Failure::Problems(problems)),
        (true, true) => Err(Failure::Usage(format!("{} holds no remediation id", file.display()))),
        (true, false) => Ok(ids),
    }
}

/// A run whose findings are written down.
struct Desk {
    id: String,
    engine: Engine,
    store: SqliteRun,
    head: Head,
    header: PlanHeader,
    by: Option<String>,
    limiter: Limiter,
    /// Why the journal of another machine is taken over: said with the first finding.
    adopted: Option<String>,
}

/// What a remediation of a person's list came to.
enum Told {
    /// Written down, in words.
    Resolved(String),
    /// It is an item's own, and not settled yet.
    NotYet(String),
    /// Nothing is known by it.
    Nothing(String),
}

impl Desk {
    /// What a person says.
    fn by_word(
        &mut self,
        items: &[u32],
        batch: Option<u32>,
        finding: Finding,
        note: &str,
    ) -> Result<ExitCode, Failure> {
        let unclear: Vec<(ItemId, Settled)> = self.engine.resolvable().collect();
        let wanted: Vec<ItemId> = match batch {
            Some(batch) => {
                let of_batch = |item: &ItemId| self.engine.batch_of(*item) == Some(BatchId(batch));
                unclear.iter().map(|(item, _)| *item).filter(of_batch).collect()
            }
            None => items.iter().map(|item| ItemId(*item)).collect(),
        };
        if let Some(other) = wanted.iter().find(|item| !unclear.iter().any(|(known, _)| known == *item)) {
            return Err(Failure::Usage(format!(
                "item {} of run {} is not unknown, unmatched or timed out\n\
                 help: `quell show --needs-me {}` lists those that are",
                other.0, self.id, self.id
            )));
        }
        if wanted.is_empty() {
            let batch = batch.unwrap_or_default();
            return Err(Failure::Usage(format!("batch {batch} of run {} has no item to resolve", self.id)));
        }
        let mut wanted = wanted;
        wanted.sort_unstable();
        wanted.dedup();
        let (note, by, resolved) = (note.to_owned(), self.by.clone(), wanted.len());
        let shown = wanted.iter().map(|item| item.0).collect::<Vec<_>>().into_iter();
        self.resolve(Resolution { items: wanted, finding, note, by, remediation: None, status: None })?;
        say(&format!("{} of run {} resolved as {}:\n", count(resolved, "item"), self.id, words::finding(finding)))?;
        for line in Standing::of(self.store.reader()?, false)?.described(shown)? {
            say(&format!("  {line}\n"))?;
        }
        self.say_what_is_left()?;
        Ok(ExitCode::Fine)
    }

    /// What remediation ids show.
    async fn by_ids(&mut self, api: &Api, ids: &[(u32, String)]) -> Result<ExitCode, Failure> {
        let mut code = ExitCode::Fine;
        for (line, id) in ids {
            let told = match self.read(api, id).await {
                Ok(Some(detail)) => self.settle_by(id, &detail)?,
                Ok(None) => Told::Nothing("the API knows no such id".to_owned()),
                Err(failure) => {
                    self.settle()?;
                    return Err(failure);
                }
            };
            let (words, this) = match told {
                Told::Resolved(words) => {
                    say(&format!("{}: {words}\n", inert::terminal(id)))?;
                    continue;
                }
                Told::NotYet(words) => (words, ExitCode::StillQueued),
                Told::Nothing(words) => (words, ExitCode::SomeFailed),
            };
            code = worst(code, this);
            tell(&format!("line {line}: {}: {words}; nothing is written down for it", inert::terminal(id)));
        }
        self.settle()?;
        self.say_what_is_left()?;
        Ok(code)
    }

    /// Ties one remediation to its item, when its detail proves whose it is and says how it ended: what the API still calls
    /// pending may yet be carried out, and keeps its item as it is.
    fn settle_by(&mut self, id: &str, detail: &Detail) -> Result<Told, Failure> {
        let Some((item, _)) = self.engine.proven_by(detail) else {
            return Ok(Told::Nothing(
                "its detail does not prove to be that of an item that is to be resolved".to_owned(),
            ));
        };
        let word = detail.status.clone().unwrap_or_default();
        let shown = inert::shorten(&inert::terminal(&word), 60).into_owned();
        let finding = match self.engine.meaning(&word) {
            Meaning::Succeeded => Finding::Succeeded,
            Meaning::Failed => Finding::Failed,
            Meaning::Pending | Meaning::Unlisted => {
                return Ok(Told::NotYet(format!(
                    "it is item {}'s own, and its status is {shown:?}: look later",
                    item.0
                )));
            }
        };
        let (note, by, status) = (String::new(), self.by.clone(), Some(word));
        let remediation = Some(id.to_owned());
        self.resolve(Resolution { items: vec![item], finding, note, by, remediation, status })?;
        Ok(Told::Resolved(format!(
            "item {} is resolved as {}, its status is {shown:?}",
            item.0,
            words::finding(finding)
        )))
    }

    /// Reads one detail, under any of the request types that the run's actions have; `None` when there is no such id.
    async fn read(&mut self, api: &Api, id: &str) -> Result<Option<Detail>, Failure> {
        let mut actions: Vec<Action> = Vec::new();
        for step in &self.header.steps {
            if !actions.iter().any(|known| known.request_type == step.action.request_type) {
                actions.push(step.action.clone());
            }
        }
        for action in &actions {
            if let Some(detail) = self.read_as(api, action, id).await? {
                return Ok(Some(detail));
            }
        }
        Ok(None)
    }

    async fn read_as(&mut self, api: &Api, action: &Action, id: &str) -> Result<Option<Detail>, Failure> {
        let mut last = String::new();
        for _ in 0..TRIES_MAX {
            self.await_turn().await?;
            let reply = api.poll(action, id).await;
            let now = self.now();
            self.limiter.finish(now, &reply.limits);
            match reply.body {
                ReplyBody::Poll(PollReply::Detail(detail)) => return Ok(Some(*detail)),
                ReplyBody::Poll(PollReply::NotFound { .. }) => return Ok(None),
                ReplyBody::Poll(PollReply::Throttled) => last = "a limit refused every try".to_owned(),
                ReplyBody::Poll(PollReply::Unauthorized) => last = "the token was refused".to_owned(),
                ReplyBody::Poll(PollReply::Failed { message } | PollReply::NoAnswer { message, .. }) => last = message,
                ReplyBody::Act(_) => return Err(Failure::Bug("a poll was answered like an act".to_owned())),
            }
            self.limiter.shut(now, reply.limits.wait, 0);
        }
        Err(Failure::Api(format!("{} cannot be read: {last}", inert::terminal(id))))
    }

    /// Waits until the tenant's limits have room for a call beside those of other runs, and reserves it.
    async fn await_turn(&mut self) -> Result<(), Failure> {
        loop {
            let now = self.now();
            let wish = self.limiter.wish(now, 1);
            let slots = self.store.slots(&wish)?;
            self.limiter.share(slots);
            if wish.calls > 0
                && slots > 0
                && let Some(ask) = self.limiter.ask(now, wish.calls)
            {
                let granted = self.store.reserve(&ask)?;
                self.limiter.grant(now, granted);
            }
            let wait = match self.limiter.opening(now) {
                Opening::Now => break,
                Opening::At(moment) => Duration::from_millis(moment.0.saturating_sub(now.0)),
                Opening::AfterReply | Opening::AfterGrant => LOOK_EVERY,
            };
            tokio::time::sleep(wait).await;
        }
        self.limiter.start();
        Ok(())
    }

    /// What was done with the reserved calls is entered, and the rest given back.
    fn settle(&mut self) -> Result<(), Failure> {
        let now = self.now();
        match self.limiter.settle(now) {
            Some(account) => Ok(self.store.reserve(&account).map(drop)?),
            None => Ok(()),
        }
    }

    fn resolve(&mut self, resolution: Resolution) -> Result<(), Failure> {
        let now = self.now();
        let mut facts = Vec::new();
        if let Some(reason) = self.adopted.take() {
            let fact = Fact { at: now, what: What::Adopted { by: self.by.clone(), reason } };
            self.engine.apply(&fact).map_err(|e| Failure::Bug(e.0))?;
            facts.push(fact);
        }
        facts.extend(self.engine.resolve(now, resolution).map_err(|e| Failure::Bug(e.0))?);
        self.append(&facts)
    }

    fn append(&mut self, facts: &[Fact]) -> Result<(), Failure> {
        self.head = self.store.append(self.head, facts)?;
        Ok(())
    }

    fn left_to_resolve(&self) -> impl Iterator<Item = (ItemId, Settled)> + '_ {
        self.engine.unclear().filter(|(_, outcome)| *outcome != Settled::StillQueued)
    }

    fn say_what_is_left(&self) -> Result<(), Failure> {
        let left = self.left_to_resolve().count();
        let id = &self.id;
        if left > 0 {
            return say(&format!(
                "{} of run {id} still to be looked at: `quell show --needs-me {id}`\n",
                count(left, "item")
            ));
        }
        match self.engine.pending().next() {
            Some(_) => say(&format!("nothing is left to be looked at; `quell resume {id}` goes on\n")),
            None => say("nothing is left to be looked at\n"),
        }
    }

    fn now(&self) -> Moment {
        wall_clock().max(self.engine.now())
    }
}
