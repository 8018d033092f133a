//! Every state of an item against every fact, as one table that is compared whole: what [`Engine::apply`] makes of the
//! item, or that it refuses.
//!
//! Each state is built by really applying facts. The report's fold hears the same ones: what the engine takes the fold
//! must take, and the two must agree on what became of every item and on every count.

use super::*;
use crate::engine::fact::Before;
use crate::engine::items::State;
use crate::report::{Ending, Folded, Folding, Skipped};
use given::*;
use std::fmt::Write;

mod given;

/// The engine and the fold side by side.
struct Both {
    engine: Engine,
    heard: Vec<Fact>,
}

impl Both {
    fn new() -> Self {
        let shapes = SHAPES.iter().enumerate().map(|(n, (step, target))| {
            ItemShape::new(*step, *target, EventType::File, &format!("agent-{target}"), &format!("u{n}"))
        });
        Self { engine: Engine::new("test-1", &header(3, 5), shapes, []), heard: Vec::new() }
    }

    fn hear(&mut self, what: &What) -> Result<(), Illegal> {
        let fact = Fact { at: Moment(1_000 + self.heard.len() as u64), what: what.clone() };
        self.engine.apply(&fact)?;
        self.heard.push(fact);
        Ok(())
    }

    fn folded(&self) -> Result<Folded, String> {
        let header = header(3, 5);
        let mut folding = Folding::new(&header, SHAPES.into_iter()).expect("the plan has these steps");
        for fact in &self.heard {
            folding.add(fact.clone()).map_err(|refused| refused.to_string())?;
        }
        Ok(folding.finish(&header))
    }

    /// Where the item stands: the engine's word, and where that is no more than "done", the report's.
    fn sign(&mut self, ending: &Ending) -> &'static str {
        let item = ItemId(IT);
        let unclear = self.engine.unclear.get(&item).copied();
        let late = self.engine.late.contains_key(&of(ITS, 0));
        let no_answer = ending.reason.as_deref().is_some_and(|reason| reason.contains("no readable answer"));
        match (self.engine.items.state(item).expect("it is in the plan"), unclear.map(|of| of.outcome)) {
            (State::Waiting, _) if !self.engine.started => "nb",
            (State::Waiting, _) => "wa",
            (State::Ready, _) if self.engine.is_held(1) => "he",
            (State::Ready, _) if self.engine.batch_of(item).is_some() => "rt",
            (State::Ready, _) => "re",
            (State::Submitting, _) => "su",
            (State::Accepted, _) if self.is_paired() => "pa",
            (State::Accepted, _) => "ac",
            (State::Barred, _) => "ba",
            (State::Done, Some(Settled::Unknown)) if !no_answer => "ni",
            (State::Done, Some(Settled::Unknown)) => {
                if unclear.is_some_and(|of| of.holds) {
                    "na"
                } else {
                    "lo"
                }
            }
            (State::Done, Some(Settled::Unmatched)) => "um",
            (State::Done, Some(Settled::StillQueued)) => {
                if late {
                    "lq"
                } else {
                    "qu"
                }
            }
            (State::Done, Some(Settled::TimedOut)) => {
                if late {
                    "lt"
                } else {
                    "to"
                }
            }
            (State::Done, _) => match ending.outcome {
                Outcome::Succeeded => "ok",
                Outcome::Failed => "fa",
                Outcome::Rejected => "rj",
                Outcome::Blocked => "bl",
                Outcome::Skipped => match ending.skipped {
                    Some(Skipped::DoneBefore) => "db",
                    Some(Skipped::MayBeDone) => "dm",
                    Some(Skipped::Expired) => "ex",
                    Some(Skipped::Unmet) | None => "??",
                },
                Outcome::Unknown => "ru",
                Outcome::Unmatched => "rm",
                Outcome::TimedOut => "rx",
                _ => "??",
            },
        }
    }

    fn is_paired(&self) -> bool {
        let (agent, unique) = self.engine.items.fingerprints(ItemId(IT));
        let named = pairing::Named { agent: Some(agent), unique: Some(unique), foreign: false };
        match self.engine.batches.get(&BatchId(ITS)) {
            Some(state::Stage::Accepted(batch)) if batch.ids() > 0 => batch.evidence(0, named).is_none(),
            _ => false,
        }
    }

    /// What engine and report say differently.
    fn differences(&mut self, folded: &Folded) -> Vec<String> {
        let mut found = Vec::new();
        for (item, ending) in (0..).map(ItemId).zip(&folded.endings) {
            let state = self.engine.items.state(item).expect("it is in the plan");
            let unclear = self.engine.unclear.get(&item).map(|unclear| unclear.outcome);
            let fits = match (state, ending.outcome) {
                (State::Waiting | State::Ready | State::Barred, Outcome::NotStarted) => true,
                (State::Submitting | State::Accepted, Outcome::Open) => true,
                (State::Done, Outcome::Unknown) => unclear == Some(Settled::Unknown) || ending.resolution.is_some(),
                (State::Done, Outcome::Unmatched) => unclear == Some(Settled::Unmatched) || ending.resolution.is_some(),
                (State::Done, Outcome::TimedOut) => unclear == Some(Settled::TimedOut) || ending.resolution.is_some(),
                (State::Done, Outcome::StillQueued) => unclear == Some(Settled::StillQueued),
                (State::Done, Outcome::NotStarted | Outcome::Open) => false,
                (State::Done, _) => unclear.is_none(),
                _ => false,
            };
            if !fits {
                let outcome = ending.outcome;
                found.push(format!("item {} is {state:?}, {unclear:?} and reported as {outcome:?}", item.0));
            }
        }
        let (live, totals) = (self.engine.progress(), &folded.totals);
        let n = |outcomes: &[Outcome]| totals.outcomes.sum(outcomes);
        let barred = (0..4).filter(|item| self.engine.items.state(ItemId(*item)) == Some(State::Barred)).count();
        for (what, engine, report) in [
            ("succeeded", live.succeeded, n(&[Outcome::Succeeded])),
            ("failed", live.failed, n(&[Outcome::Failed, Outcome::Rejected, Outcome::TimedOut])),
            ("unclear", live.unclear, n(&[Outcome::Unknown, Outcome::Unmatched])),
            ("still queued", live.still_queued, n(&[Outcome::StillQueued])),
            ("skipped", live.skipped, n(&[Outcome::Skipped])),
            ("blocked", live.blocked, n(&[Outcome::Blocked])),
            ("barred", live.barred, barred as u64),
            ("settled", live.settled, 4 - n(&[Outcome::Open, Outcome::NotStarted]) + barred as u64),
            ("sent", live.sent, 4 - n(&[Outcome::Skipped, Outcome::Blocked, Outcome::NotStarted])),
            ("acts", live.posts, totals.posts),
            ("polls", live.gets, totals.gets),
            ("throttled", live.throttled, totals.throttled),
        ] {
            if engine != report {
                found.push(format!("{what}: {engine} and reported as {report}"));
            }
        }
        found
    }
}

/// What becomes of the item: its new sign, `·` where nothing of it changes, `!` where the fact is refused.
fn cell(state: &StateRow, (name, before, what): &FactRow, wrong: &mut String) -> &'static str {
    let mut both = Both::new();
    for what in &state.2 {
        both.hear(what).unwrap_or_else(|refused| panic!("the state {} cannot be reached: {refused}", state.0));
    }
    let folded = both.folded().expect("the fold takes what the engine took");
    let was = both.sign(&folded.endings[IT as usize]);
    if before.iter().chain([what]).try_for_each(|what| both.hear(what)).is_err() {
        return "!";
    }
    let mut say = |what: String| writeln!(wrong, "{} / {name}: {what}", state.0).expect("texts can be written");
    match both.folded() {
        Ok(folded) => {
            both.differences(&folded).into_iter().for_each(say);
            let is = both.sign(&folded.endings[IT as usize]);
            if is == was { "·" } else { is }
        }
        Err(refused) => {
            say(format!("the engine takes it and the report says that {refused}"));
            "?"
        }
    }
}

#[test]
fn every_state_meets_every_fact_as_the_table_says() {
    let (states, facts) = (states(), facts());
    let mut table = String::new();
    for (sign, what, _) in &states {
        writeln!(table, "{sign}  {what}").expect("texts can be written");
    }
    writeln!(table, "·   nothing of the item changes\n!   refused\n").expect("texts can be written");
    let signs: Vec<&str> = states.iter().map(|(sign, ..)| *sign).collect();
    writeln!(table, "{:42} {}", "", signs.join(" ")).expect("texts can be written");
    let mut wrong = String::new();
    for fact in &facts {
        let cells: Vec<String> = states.iter().map(|state| format!("{:2}", cell(state, fact, &mut wrong))).collect();
        writeln!(table, "{:42} {}", fact.0, cells.join(" ").trim_end()).expect("texts can be written");
    }
    insta::assert_snapshot!(table);
    assert!(wrong.is_empty(), "engine and report differ:\n{wrong}");
}

/// Each of these was once taken: the run would have gone on with a state that nothing that happened leads to.
#[test]
fn facts_that_no_run_writes_are_refused() {
    let begun = || vec![What::Started, submitting(FIRST, 0, &[EARLIER]), accepted(FIRST, &["R_0"])];
    let late = || {
        let open = settled(EARLIER, Settled::TimedOut, Some(of(FIRST, 0)));
        [begun(), vec![open, What::Ended { complete: false }, resumed(true)]].concat()
    };
    let both = || [begun(), vec![submitting(OTHERS, 1, &[OTHER]), accepted(OTHERS, &["R_2"])]].concat();
    let success = |item, id| settled(item, Settled::Succeeded, Some(id));
    let queued = || [begun(), vec![settled(EARLIER, Settled::StillQueued, Some(of(FIRST, 0)))]].concat();
    let cases: [(&str, Vec<What>, What); 11] = [
        ("done before the run began: the beginning would make it ready", vec![], done_before(&[EARLIER], Before::Open)),
        ("the last batch number: the next one would overflow", begun(), submitting(u32::MAX, 1, &[OTHER])),
        ("complete with items that wait: nobody would take them up", begun(), What::Ended { complete: true }),
        ("read from another batch's id: that batch's own item would lose it", both(), success(EARLIER, of(OTHERS, 0))),
        ("barred by a step that did not fail", begun(), What::Barred { target: 0, step: 0 }),
        ("barred on no target", begun(), What::Barred { target: 9, step: 0 }),
        ("settled late after a person resolved it", [late(), vec![resolved(&[EARLIER])]].concat(), {
            success(EARLIER, of(FIRST, 0))
        }),
        ("resolved while it is queued", queued(), resolved(&[EARLIER])),
        ("permitted, and not in the plan", begun(), permitted(&[NONE])),
        ("seen, and never accepted", begun(), What::Seen { of: of(NEVER, 0), status: "queued".into() }),
        ("more ids than there are numbers for them", vec![What::Started, submitting(FIRST, 0, &[EARLIER])], {
            accepted(FIRST, &["R"; 70_000])
        }),
    ];
    for (name, facts, last) in cases {
        let mut both = Both::new();
        facts.iter().for_each(|what| both.hear(what).unwrap_or_else(|refused| panic!("{name}: {refused}")));
        assert!(both.hear(&last).is_err(), "{name}");
    }
    let far = Fact { at: Moment(u64::MAX), what: What::Started };
    assert!(Both::new().engine.apply(&far).is_err(), "sums with this moment overflow");
}

#[test]
fn every_kind_of_fact_is_in_the_table() {
    let kind = |what: &What| {
        let text = serde_json::to_value(what).expect("facts are JSON");
        text["fact"].as_str().expect("each has a kind").to_owned()
    };
    let mut kinds: Vec<String> = facts().iter().map(|(_, _, what)| kind(what)).collect();
    kinds.sort();
    kinds.dedup();
    let unknown = serde_json::from_str::<Fact>(r#"{"at":1,"fact":"none"}"#).expect_err("there is no such fact");
    let all: Vec<String> = unknown.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(all.len() >= 20, "serde names all variants: {unknown}");
    let missing: Vec<&String> = all.iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
