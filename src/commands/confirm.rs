//! What a person sees before a run begins, and the question on the terminal.
//!
//! What earlier runs did is looked up before the question: the number that is typed is that of the hosts on which
//! something will be carried out. It is judged again when the run begins, and then more may be skipped, never less.

use super::held;
use super::progress::announce;
use super::run::{shapes, wall_clock};
use super::terminal::{self, Question as Asked};
use super::{overseer, tell};
use crate::cli::{Keeping, Running};
use crate::engine::fact::{Before, ItemId};
use crate::engine::{Approval, Beginning, DoneBefore, Engine, Input, Turn};
use crate::error::Failure;
use crate::journal::{self, Place, Question, StoreError};
use crate::noun::count;
use crate::plan::{Plan, PlanHeader, show};
use crate::report::inert;
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// What was said before a run, and to what a person said yes.
#[derive(Debug, Default)]
pub struct Approved {
    /// What was shown as skipped. It is skipped whatever happened since.
    pub(super) skipped: Vec<DoneBefore>,
    /// What is doubtful about the state folder.
    pub(super) state_warning: Option<String>,
    /// Who approved the plan.
    pub(super) approvals: Vec<Approval>,
}

/// How it is asked for.
pub(super) struct Asking<'a> {
    /// Whether nobody is asked.
    pub(super) yes: bool,
    /// What shows the same without asking.
    pub(super) look_first: &'a str,
    /// Where signs to stop are looked at.
    pub(super) runtime: &'a tokio::runtime::Runtime,
}

/// Shows what will be done and asks for it, unless `yes`. Whoever is asked has to see what for, however quiet it is to
/// be. Nobody is asked for what is refused anyway: that is judged before.
pub(super) fn show_and_ask(
    plan: &Plan,
    permitted: &[ItemId],
    asking: &Asking<'_>,
    running: &Running,
    (state, keeping): (&Path, Keeping),
) -> Result<Approved, Failure> {
    let yes = asking.yes;
    if !yes {
        asking.runtime.block_on(overseer::refuse_if_forbidden(state, &plan.header))?;
    }
    if yes {
        announce(running, "planned", &show::text(plan), facts_of(plan));
    } else {
        tell(&show::text(plan));
    }
    if plan.header.tenant.simulated {
        ask(plan, &[], asking)?;
        return Ok(Approved::default());
    }
    let state_warning = look_at(state, &plan.header.tenant.name, keeping, running)?;
    let skipped = if yes { Vec::new() } else { skipped(plan, permitted, state)? };
    tell_of_earlier(&skipped, &Running { quiet: false, ..running.clone() });
    ask(plan, &skipped, asking)?;
    Ok(Approved { skipped, state_warning, approvals: Vec::new() })
}

/// What a run with this plan would skip if it began now. Simulated runs skip nothing.
pub(super) fn skipped(plan: &Plan, permitted: &[ItemId], state: &Path) -> Result<Vec<DoneBefore>, Failure> {
    if plan.header.tenant.simulated {
        return Ok(Vec::new());
    }
    let question = Question { now: wall_clock(), window: plan.header.dedupe_window, permitted };
    Ok(journal::done_before(state, plan, question)?)
}

/// What is skipped: what is judged so now, and what was shown so.
pub(super) fn and_what_was_shown(mut judged: Vec<DoneBefore>, shown: Vec<DoneBefore>) -> Vec<DoneBefore> {
    let known: HashSet<ItemId> = judged.iter().flat_map(|before| before.items.iter().copied()).collect();
    judged.extend(shown.into_iter().filter_map(|mut before| {
        before.items.retain(|item| !known.contains(item));
        (!before.items.is_empty()).then_some(before)
    }));
    judged
}

/// What will not be sent because of other runs, in one line.
pub(super) fn tell_of_earlier(done_before: &[DoneBefore], running: &Running) {
    let of = |is: &dyn Fn(Before) -> bool| -> usize {
        done_before.iter().filter(|before| is(before.became)).map(|before| before.items.len()).sum()
    };
    let done = of(&Before::is_done);
    let planned = of(&|became| became == Before::Planned);
    let doubtful = of(&|_| true) - done - planned;
    let parts = [
        (done, "done by earlier runs"),
        (doubtful, "perhaps done by earlier runs (`quell show --needs-me`)"),
        (planned, "left to a run that is going on"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !parts.is_empty() {
        let words = format!("skipped: {}", parts.join(", "));
        let fields = json!({"done": done, "may_have_been_done": doubtful, "left_to_others": planned});
        announce(running, "skipped", &words, fields);
    }
}

/// What a machine wants to know of a plan before it is carried out.
fn facts_of(plan: &Plan) -> serde_json::Value {
    let PlanHeader { playbook, tenant, rows, digest, .. } = &plan.header;
    json!({"playbook": playbook, "tenant": tenant.name, "rows": rows, "items": plan.counts().0, "digest": digest})
}

/// What is doubtful about the state folder, said even when it is quiet: on it rests that nothing is done twice.
fn look_at(state: &Path, tenant: &str, keeping: Keeping, running: &Running) -> Result<Option<String>, Failure> {
    let place = journal::place_of(state)?;
    let warning = place.warning();
    if let (Place::Volatile(_), Some(warning), false) = (place, &warning, keeping.allow_volatile) {
        return Err(StoreError::Volatile { warning: warning.clone() }.into());
    }
    let loud = Running { quiet: false, ..running.clone() };
    if let Some(warning) = &warning {
        announce(&loud, "state_warning", warning, json!({}));
    }
    if journal::runs(state)?.runs.iter().any(|run| run.meta.tenant == tenant) {
        return Ok(warning);
    }
    if keeping.require_history {
        return Err(StoreError::NoHistory { tenant: tenant.to_owned(), state: state.display().to_string() }.into());
    }
    let words =
        format!("this state folder knows of no earlier run on {tenant}: whatever was done before is done again");
    announce(&loud, "no_history", &words, json!({}));
    Ok(warning)
}

/// How many items may be sent, and to how many hosts, if all goes well: by the engine's own rules, and never fewer than will
/// be.
fn to_send(plan: &Plan, skipped: &[DoneBefore]) -> Result<(usize, usize), Failure> {
    let mut engine = Engine::new("question", &plan.header, shapes(plan), []);
    let beginning =
        Beginning { blocked: held::blocked(&plan.header), done_before: skipped.to_vec(), ..Beginning::default() };
    // It is heard and not decided on: nothing starts, no wave begins.
    engine
        .hear(wall_clock(), Input::Started(Box::new(beginning)), &mut Turn::default())
        .map_err(|e| Failure::Bug(format!("the plan cannot be begun: {e}")))?;
    let pending: Vec<ItemId> = engine.pending().collect();
    let agents: HashSet<&str> = pending.iter().map(|item| plan.agent_of(&plan.items[item.0 as usize])).collect();
    Ok((pending.len(), agents.len()))
}

/// Asks on the terminal, unless `yes` or nothing is left to send: who carries on types how many hosts are concerned.
fn ask(plan: &Plan, skipped: &[DoneBefore], asking: &Asking<'_>) -> Result<(), Failure> {
    if asking.yes {
        return Ok(());
    }
    let (items, hosts) = to_send(plan, skipped)?;
    if items == 0 {
        return Ok(());
    }
    let tenant = inert::terminal(&plan.header.tenant.name);
    terminal::ask(&Asked {
        of: &format!("{tenant}, {}, {}", count(hosts, "host"), count(items, "item")),
        hosts,
        to: "carry this out",
        nothing: "nothing was sent",
        look_first: asking.look_first,
    })
}
