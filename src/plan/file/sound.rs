//! What holds for every plan that quell makes, and that the engine relies on. A plan whose digest and sum are right but
//! for which this does not hold was put together by hand.

use crate::plan::Plan;

/// What cannot be true of a plan, in one line; `None` when nothing was found.
pub(super) fn amiss(plan: &Plan) -> Option<String> {
    let header = &plan.header;
    let steps = header.steps.len();
    for (number, step) in header.steps.iter().enumerate() {
        if let Some((after, _)) = step.flow.after.filter(|(after, _)| usize::from(*after) >= number) {
            return Some(format!(
                "step {number} waits for step {after}, which does not come before it ({steps} steps)"
            ));
        }
    }
    let targets = crate::plan::targets::count(&plan.items);
    let waves = &header.release.waves;
    if !waves.is_sorted_by(|earlier, later| earlier < later) {
        return Some(format!("its waves end at targets {waves:?}: each has to end behind the one before"));
    }
    if let Some(last) = waves.last().filter(|last| **last != targets) {
        return Some(format!("its last wave ends at target {last}, and there are {targets}"));
    }
    let count = plan.items.len();
    let blocked = header.blocked.iter().map(|blocked| ("blocked", &blocked.items));
    let permitted = header.origin.iter().filter_map(|origin| origin.permitted.as_ref());
    for (what, items) in blocked.chain(permitted.map(|permitted| ("permitted", &permitted.items))) {
        if !items.is_sorted_by(|earlier, later| earlier < later) {
            return Some(format!("the items that are {what} are not in order"));
        }
        if let Some(item) = items.last().filter(|item| **item as usize >= count) {
            return Some(format!("item {item} is {what}, and there are {count}"));
        }
    }
    None
}
