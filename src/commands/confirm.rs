//! What a person sees before a run begins, and the question on the terminal.
//!
//! What earlier runs did is looked up before the question: the number that is typed is that of the hosts on which
//! something will be carried out. It is judged again when the run begins, and then more may be skipped, never less.

use super::progress::announce;
use super::run::wall_clock;
use super::tell;
use crate::cli::Running;
use crate::engine::DoneBefore;
use crate::engine::fact::{Before, ItemId};
use crate::error::Failure;
use crate::journal::{self, Question};
use crate::plan::{Plan, PlanHeader, show};
use crate::report::inert;
use serde_json::json;
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// Shows what will be done and asks for it, unless `yes`. Whoever is asked has to see what for, however quiet it is to
/// be. Returns what was shown as skipped.
pub(super) fn show_and_ask(
    plan: &Plan,
    permitted: &[ItemId],
    yes: bool,
    running: &Running,
    state: &Path,
) -> Result<Vec<DoneBefore>, Failure> {
    if yes {
        announce(running, "planned", &show::text(plan), facts_of(plan));
        return Ok(Vec::new());
    }
    tell(&show::text(plan));
    let skipped = skipped(plan, permitted, state)?;
    tell_of_earlier(&skipped, &Running { quiet: false, ..running.clone() });
    ask(plan, &skipped)?;
    Ok(skipped)
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
    json!({"playbook": playbook, "tenant": tenant.name, "rows": rows, "items": plan.items.len(), "digest": digest})
}

/// Asks on the terminal: who carries on types how many hosts are concerned.
fn ask(plan: &Plan, skipped: &[DoneBefore]) -> Result<(), Failure> {
    let skipped: HashSet<ItemId> = skipped.iter().flat_map(|before| before.items.iter().copied()).collect();
    let sent = (0..).map(ItemId).zip(&plan.items).filter(|(item, _)| !skipped.contains(item));
    let (mut items, mut targets) = (0, HashSet::new());
    for (_, item) in sent {
        items += 1;
        targets.insert(item.target);
    }
    if items == 0 {
        return Ok(());
    }
    let tenant = inert::terminal(&plan.header.tenant.name).into_owned();
    let mut err = std::io::stderr().lock();
    let count = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let (hosts, items) = (count(targets.len(), "host"), count(items, "item"));
    let _ = write!(err, "{tenant}, {hosts}, {items}: type {} to carry this out: ", targets.len());
    let _ = err.flush();
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| Failure::Held(format!("the answer could not be read: {e}; nothing was sent")))?;
    if answer.trim() == targets.len().to_string() {
        return Ok(());
    }
    Err(Failure::Held("not confirmed; nothing was sent".to_owned()))
}
