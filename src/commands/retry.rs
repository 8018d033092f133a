//! `quell retry`: some items of a run once more, as a new run that is linked to it.
//!
//! What failed, was rejected or was never sent goes by its outcome. What may have been carried out goes only when a person
//! found that it was not, or by name with a reason, and never for an action that is not safe to repeat. An item goes only
//! when the earlier steps of its target are done, or go with it.

use super::confirm::{self, Asking};
use super::inputs::Prepared;
use super::plan::tell_next;
use super::run::{Going, carry_out, runtime};
use super::standing::Standing;
use super::taken::{same_tenant, simulator_of};
use super::{approvals, held, plan_file, protected, report_paths, say, tell};
use crate::cli::{Keeping, Retrying, Running, Taking};
use crate::engine::fact::ItemId;
use crate::engine::{Outcome, Permission};
use crate::error::{ExitCode, Failure};
use crate::noun::count;
use crate::plan::{self, ItemRow, Origin, OriginKind, Permitted, Plan, show};
use crate::report::{Ending, words};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// What was asked.
pub struct Order {
    /// What is to be done again.
    pub retrying: Retrying,
    /// How the run is looked at.
    pub taking: Taking,
    /// What is asked of the state folder.
    pub keeping: Keeping,
    /// How to work.
    pub running: Running,
    /// The state folder.
    pub state: PathBuf,
}

/// Plans, shows, asks, and carries out.
pub fn execute(order: &Order) -> Result<ExitCode, Failure> {
    let Order { retrying, taking, keeping, running, state } = order;
    if let Some(output) = &retrying.output {
        plan_file::check_place(output, &taking.tenant.clone().into_iter().collect::<Vec<_>>())?;
    }
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let standing = Standing::read(state, Some(&retrying.run))?;
    same_tenant(standing.header(), taking)?;
    let earlier = standing.meta().clone();
    let chosen = choose(&standing, retrying)?;
    let permitted = permitted(&chosen, order);
    let origin = Origin {
        kind: OriginKind::Retry,
        run: earlier.id.clone(),
        permitted: permitted.as_ref().map(|permitted| Permitted {
            items: permitted.items.iter().map(|item| item.0).collect(),
            reason: permitted.reason.clone(),
        }),
        left_out: Vec::new(),
    };
    let header = approvals::with_signers_of_now(standing.header())?;
    let mut plan = plan::retry(&header, chosen.into_iter().map(|(row, _)| row).collect(), origin);
    protected::judge_again(&mut plan, standing.header(), taking)?;
    let simulator = earlier.simulated.then(|| simulator_of(standing.header()));
    drop(standing);
    let may_be_repeated = permitted.as_ref().map_or(&[][..], |permitted| &permitted.items);
    if retrying.dry_run {
        say(&show::text(&plan))?;
        confirm::tell_of_earlier(&confirm::skipped(&plan, may_be_repeated, state)?, running);
        tell("dry run: no connection was opened, nothing was sent");
        return Ok(held::code(&plan));
    }
    if let Some(output) = &retrying.output {
        plan_file::write(&plan, output)?;
        say(&show::text(&plan))?;
        tell_next(&plan, output);
        held::check(&plan, "nothing was sent")?;
        return Ok(ExitCode::Fine);
    }
    report_paths::check(running, None, state)?;
    held::refuse(&plan, running)?;
    approvals::refuse_without(&plan, running)?;
    let asking = Asking { yes: retrying.yes, look_first: "it with --dry-run", runtime: &runtime };
    let approved = confirm::show_and_ask(&plan, may_be_repeated, &asking, running, (state, *keeping))?;
    let going = Going { running, state, permitted, once: false, approved };
    runtime.block_on(carry_out(Prepared { plan, simulator }, going))
}

/// The plan of a retry made once more from its run, with the items of this one. It is refused when one of them is no item
/// of the run, or may not go again: it was put together by hand, or more is known of the run by now.
pub(super) fn again(plan: &Plan, origin: &Origin, standing: &Standing) -> Result<Plan, Failure> {
    let endings = standing.endings();
    let rows = standing.rows()?;
    let refused = |item: u32, why: &str| {
        let run = crate::inert::terminal(&origin.run).into_owned();
        Failure::Held(format!(
            "item {item} of this plan {why} run {run}; nothing was sent\n\
             help: plan the retry again; no quell plans that, or more is known of the run by now"
        ))
    };
    let named: BTreeSet<u32> = origin.permitted.iter().flat_map(|permitted| &permitted.items).copied().collect();
    let mut chosen: HashMap<u32, Why> = HashMap::new();
    // A retry keeps the order of its run.
    let mut rest = rows.iter();
    for (number, item) in (0..).zip(&plan.items) {
        let event = &plan.events[item.event as usize];
        let row = rest.find(|row| row.step == item.step && row.event == *event);
        let row = row.ok_or_else(|| refused(number, "is none of"))?;
        let ending = &endings[row.item as usize];
        let why = match named.contains(&number) {
            true => may_be_permitted(standing, row, ending).map(|()| Why::Permitted)?,
            false if ending.surely_not_done() == Some(true) => Why::Outcome,
            false => return Err(refused(number, &format!("is item {}, which is not surely not done, of", row.item))),
        };
        chosen.insert(row.item, why);
    }
    if leave_out_what_builds_on_nothing(&rows, endings, &mut chosen) > 0 {
        return Err(Failure::Held(format!(
            "this plan goes on with targets of which an earlier step is not done in run {}; nothing was sent\n\
             help: plan the retry again; no quell plans that, or more is known of the run by now",
            crate::inert::terminal(&origin.run)
        )));
    }
    let header = approvals::with_signers_of_now(standing.header())?;
    let origin = Origin { left_out: Vec::new(), ..origin.clone() };
    Ok(plan::retry(&header, rows.into_iter().filter(|row| chosen.contains_key(&row.item)).collect(), origin))
}

/// Items of the new plan that are sent although they may have been carried out.
fn permitted(chosen: &[(ItemRow, Why)], Order { retrying, running, .. }: &Order) -> Option<Permission> {
    let (_, reason) = retrying.permit.as_ref()?;
    let named = (0..).zip(chosen).filter(|(_, (_, why))| *why == Why::Permitted);
    let items: Vec<ItemId> = named.map(|(item, _)| ItemId(item)).collect();
    let permission = Permission { items, by: running.operator.clone(), reason: reason.clone() };
    (!permission.items.is_empty()).then_some(permission)
}

/// Why an item goes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It was surely not carried out, or failed.
    Outcome,
    /// It was named, and may be carried out twice.
    Permitted,
}

/// The items that go again, in item order.
fn choose(standing: &Standing, retrying: &Retrying) -> Result<Vec<(ItemRow, Why)>, Failure> {
    let endings = standing.endings();
    let named: BTreeSet<u32> = retrying.permit.iter().flat_map(|(items, _)| items.iter().copied()).collect();
    let rows = standing.rows()?;
    let unknown = named.iter().find(|item| **item as usize >= endings.len());
    if let Some(item) = unknown {
        return Err(Failure::Usage(format!("run {} has no item {item}", standing.meta().id)));
    }
    let mut chosen: HashMap<u32, Why> = HashMap::new();
    let mut doubtful = Vec::new();
    for row in &rows {
        let ending = &endings[row.item as usize];
        if named.contains(&row.item) {
            may_be_permitted(standing, row, ending)?;
            chosen.insert(row.item, Why::Permitted);
        } else if retrying.outcomes.contains(&ending.outcome) {
            match ending.surely_not_done() {
                Some(true) => drop(chosen.insert(row.item, Why::Outcome)),
                Some(false) => {}
                None => doubtful.push(row.item),
            }
        }
    }
    tell_of_doubtful(&doubtful, &standing.meta().id);
    let left = leave_out_what_builds_on_nothing(&rows, endings, &mut chosen);
    if left > 0 {
        tell(&format!(
            "left out, since an earlier step on the same target is not done in run {}: {}\n\
             help: name the outcomes of the earlier steps too, as in --outcome failed,not_started; what is done by now is \
             skipped",
            standing.meta().id,
            count(left, "item")
        ));
    }
    if chosen.is_empty() {
        return Err(Failure::Usage(format!("run {} has no such item that may go again", standing.meta().id)));
    }
    let why = |row: ItemRow| chosen.get(&row.item).map(|why| (row, *why));
    Ok(rows.into_iter().filter_map(why).collect())
}

fn may_be_permitted(standing: &Standing, row: &ItemRow, ending: &Ending) -> Result<(), Failure> {
    let refused =
        |why: String| Err(Failure::Held(format!("--permit-repeat: item {} {why}; nothing was sent", row.item)));
    let action = &standing.header().steps[usize::from(row.step)].action;
    match (ending.surely_not_done(), ending.outcome) {
        (Some(true), of) => {
            return refused(format!("is {} and surely not done: --outcome is enough", words::outcome(of)));
        }
        (Some(false), _) => return refused("was found to be carried out, and is not done again".to_owned()),
        (None, _) => {}
    }
    match ending.outcome {
        Outcome::Unknown | Outcome::Unmatched | Outcome::TimedOut if action.repeat_safe => Ok(()),
        Outcome::Unknown | Outcome::Unmatched | Outcome::TimedOut => refused(format!(
            "would carry out {} twice, which the tenant does not call repeat_safe",
            crate::report::inert::terminal(&action.name)
        )),
        of => refused(format!("is {}, which is not done again", words::outcome(of))),
    }
}

fn tell_of_doubtful(doubtful: &[u32], run: &str) {
    if doubtful.is_empty() {
        return;
    }
    let shown: Vec<String> = doubtful.iter().take(10).map(u32::to_string).collect();
    let more = if doubtful.len() > 10 { ", …" } else { "" };
    tell(&format!(
        "left out, since they may have been carried out: {} ({}{more})\n\
         help: look first, `quell show --needs-me {run}`; then `quell resolve`, or --permit-repeat ITEM.. --reason TEXT",
        count(doubtful.len(), "item"),
        shown.join(", ")
    ));
}

/// Takes out items that an earlier step of their target keeps from being sent; how many.
fn leave_out_what_builds_on_nothing(rows: &[ItemRow], endings: &[Ending], chosen: &mut HashMap<u32, Why>) -> usize {
    // The earliest step of each target that is neither done nor goes again.
    let mut blocked: HashMap<u32, u16> = HashMap::new();
    for row in rows {
        if !chosen.contains_key(&row.item) && !endings[row.item as usize].is_done() {
            let first = blocked.entry(row.target).or_insert(row.step);
            *first = row.step.min(*first);
        }
    }
    let before = chosen.len();
    for row in rows {
        if blocked.get(&row.target).is_some_and(|step| *step < row.step) {
            chosen.remove(&row.item);
        }
    }
    before - chosen.len()
}
