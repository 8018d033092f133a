//! Facts as a journal holds them, one line of JSON each: replay refuses what cannot follow, and the report agrees.

use super::ground;
use crate::engine::fact::Fact;
use crate::plan::Plan;
use crate::report::Folding;
use std::sync::LazyLock;

static PLAN: LazyLock<Plan> = LazyLock::new(ground::small_plan);

/// Whatever the engine takes, the report takes, and they say the same. Lines that are no facts are passed over.
pub(super) fn facts(data: &[u8]) {
    let mut engine = ground::engine_of(&PLAN, Vec::new());
    let shapes = PLAN.items.iter().map(|item| (item.step, item.target));
    let mut folding = Folding::new(&PLAN.header, shapes).expect("the plan has its own steps");
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(fact) = serde_json::from_slice::<Fact>(line) else { continue };
        let text = serde_json::to_vec(&fact).expect("facts can be written");
        let again: Fact = serde_json::from_slice(&text).expect("and read again");
        assert_eq!(again, fact, "a fact survives being written");
        if engine.apply(&fact).is_err() {
            // The report need not see it: it may stop here, or take it for what it says.
            let _ = folding.add(fact);
            return;
        }
        let shown = format!("{fact:?}");
        folding.add(fact).unwrap_or_else(|refused| panic!("the engine takes {shown}, and the report says: {refused}"));
    }
    ground::agree(&mut engine, &PLAN.header, &folding.finish(&PLAN.header));
}
