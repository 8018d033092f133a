//! What must hold once a process has ended: counts, the report, the ledger, and what other runs did.

use super::checker::{Answer, End, RunLog};
use super::kinds::Kind;
use super::life::Life;
use super::process::{Ended, Fate};
use crate::driver::Ending;
use crate::engine::Outcome;
use crate::engine::call::ActReply;
use crate::engine::fact::Settled;
use crate::error::{ExitCode, RunVerdict, run_exit_code};
use crate::events::{Event, RowPlace};
use crate::playbook::ReportFormat;
use crate::report::{Folded, Source, Visitor, fold, write};
use crate::run::RunMeta;
use std::fmt::Write;

impl Life {
    /// A process has ended.
    pub(super) fn after(&mut self, run: usize, fate: Fate, ended: &Ended) {
        self.killed_in_a_row = if matches!(ended, Ended::Killed) { self.killed_in_a_row + 1 } else { 0 };
        let mut state = self.model.state();
        state.tell(|| format!("the process ended: {ended:?}"));
        if self.killed_in_a_row >= 3 {
            state.seen.note(Kind::CrashesInARow);
        }
        let (process, log) = (state.process, &state.runs.0[run]);
        let mut wrong = Vec::new();
        match ended {
            Ended::Well(ending) => wrong.extend(judge_progress(ending, log)),
            Ended::Killed => {}
            Ended::Illegal(what) => wrong.push(format!("it met something that cannot be: {what}")),
            Ended::Store(_) if matches!(fate, Fate::Ends | Fate::Killed(_)) => {
                wrong.push("its store failed by itself".to_owned());
            }
            Ended::Store(unrecorded) => {
                for (number, batch) in log.batches.iter().filter(|(_, b)| b.process == process && b.answer.is_none()) {
                    let Some(ActReply::Accepted { ids }) = &batch.delivered else { continue };
                    if !unrecorded.iter().any(|(batch, told)| batch.0 == *number && told == ids) {
                        wrong.push(format!("the ids of batch {number} are lost: {unrecorded:?}"));
                    }
                }
            }
        }
        wrong.into_iter().for_each(|what| state.wrong(format!("run {run}, process {process}: {what}")));
        drop(state);
        let folded = self.fold(run);
        self.judge(run, &folded);
    }

    /// The report's fold over a run's facts.
    pub(super) fn fold(&self, run: usize) -> Folded {
        let facts = self.model.state().runs.0[run].facts.clone();
        let items = self.world.items.iter().map(|(_, step, target)| (*step, *target));
        fold(&self.world.header, items, facts.into_iter()).expect("the facts fit the plan")
    }

    /// Every item has one outcome, which is what the facts and the ledger say.
    pub(super) fn judge(&self, run: usize, folded: &Folded) {
        let mut state = self.model.state();
        let log = &state.runs.0[run];
        let mut wrong = Vec::new();
        let counted: u32 = folded.totals.outcomes.iter().map(|(_, count)| count).sum();
        if folded.endings.len() != self.world.items.len() || counted as usize != folded.endings.len() {
            wrong.push(format!("{counted} outcomes of {} items", self.world.items.len()));
        }
        for (item, ending) in folded.endings.iter().enumerate() {
            if ending.outcome != log.outcome(item) {
                wrong.push(format!("item {item} is {:?} and reported as {:?}", log.outcome(item), ending.outcome));
            }
            use Outcome::{Blocked, NotStarted, Rejected, Skipped, Succeeded};
            let executed = !log.rems[item].is_empty();
            if executed && matches!(ending.outcome, Rejected | NotStarted | Blocked | Skipped) {
                wrong.push(format!("item {item} was carried out and is {:?}", ending.outcome));
            }
            if !executed && ending.outcome == Succeeded {
                wrong.push(format!("item {item} succeeded and was not carried out"));
            }
        }
        for rem in state.rems.iter().filter_map(|rem| rem.of).filter(|of| of.0 == run) {
            let answer = log.batches.get(&rem.1).and_then(|batch| batch.answer);
            if matches!(answer, Some(Answer::Returned | Answer::Rejected)) {
                wrong.push(format!("batch {} was carried out and is {answer:?}", rem.1));
            }
        }
        wrong.extend(judge_exit_code(folded));
        wrong.into_iter().for_each(|what| state.wrong(format!("run {run}: {what}")));
    }

    /// No run carries out what another one did or may have done, unless it may.
    pub(super) fn judge_over_runs(&self) {
        let folds: Vec<Folded> = (0..self.stores.len()).map(|run| self.fold(run)).collect();
        let mut state = self.model.state();
        let mut wrong = Vec::new();
        for item in 0..self.world.items.len() {
            let rems = state.runs.0.iter().flat_map(|log| log.rems[item].iter());
            let sent_by = rems.filter_map(|rem| {
                let (run, batch, _) = state.rems[*rem].of?;
                Some((state.runs.0[run].batches.get(&batch)?.process, run))
            });
            // In the order of sending: what was sent first may arrive last.
            let mut runs: Vec<(u32, usize)> = sent_by.collect();
            runs.sort_unstable();
            let runs: Vec<usize> = runs.into_iter().map(|(_, run)| run).collect();
            for two in runs.windows(2) {
                let ending = &folds[two[0]].endings[item];
                use crate::engine::fact::Finding::Failed;
                let found_failed = ending.resolution.as_ref().is_some_and(|found| found.finding == Failed);
                let free = ending.outcome == Outcome::Failed || found_failed;
                if !free && !self.permitted.contains(&(two[1], item as u32)) {
                    wrong.push(format!(
                        "item {item} is {:?} in run {} and was carried out by run {} too",
                        ending.outcome, two[0], two[1]
                    ));
                }
            }
        }
        wrong.into_iter().for_each(|what| state.wrong(what));
    }

    /// All that is written of this seed: what journals hold, and reports.
    pub(super) fn bytes(&self) -> String {
        let mut bytes = String::new();
        for (run, store) in self.stores.iter().enumerate() {
            let facts = store.facts().expect("facts are read back");
            if facts != self.model.state().runs.0[run].facts {
                self.model.state().wrong(format!("the store of run {run} holds other facts"));
            }
            for fact in &facts {
                let _ = writeln!(bytes, "{}", serde_json::to_string(fact).expect("a fact is JSON"));
            }
            bytes.push_str(&self.report(run));
        }
        bytes
    }

    fn report(&self, run: usize) -> String {
        let folded = self.fold(run);
        let mut header = self.world.header.clone();
        let mut rows: Vec<usize> = self.world.items.iter().map(|(event, ..)| *event).collect();
        rows.dedup();
        header.rows = rows.len() as u32;
        let meta = RunMeta {
            id: self.model.state().runs.name_of(run).to_owned(),
            playbook: "seed".into(),
            tenant: "seed".into(),
            created: crate::engine::fact::Moment(0),
            tool_version: String::new(),
            simulated: false,
            state_warning: None,
            operator: None,
            retry_of: None,
            undo_of: None,
            approvals: Vec::new(),
        };
        let items = |visit: &mut Visitor<'_>| {
            for (number, (event, step, target)) in self.world.items.iter().enumerate() {
                let body = &self.world.events[*event];
                let event = Event {
                    place: RowPlace { row: *event as u32 + 1, source: 0, line: *event as u32 + 2 },
                    agent_id: body.agent_id.clone(),
                    event_id: body.event_id.clone(),
                    event_type: body.event_type,
                    pid: body.pid,
                    unique_id: body.unique_id.clone(),
                    action: None,
                    attributes: "{}".into(),
                };
                visit(crate::plan::ItemRow { item: number as u32, step: *step, target: *target, event })?;
            }
            Ok(())
        };
        let (folded, header) = (&folded, &header);
        let source = Source { run: &meta, header, folded, items: &items, rows_without_item: &[], exit_code: 0 };
        let mut text = Vec::new();
        write(&ReportFormat::Json, &source, &mut text).expect("the report adds up");
        String::from_utf8(text).expect("a report is text")
    }
}

/// What the engine says of itself is what its facts say.
fn judge_progress(ending: &Ending, log: &RunLog) -> Option<String> {
    let count = |of: &[Outcome]| (0..log.ends.len()).filter(|item| of.contains(&log.outcome(*item))).count() as u64;
    let barred = log.ends.iter().filter(|end| **end == Some(End::Barred)).count() as u64;
    let progress = ending.progress;
    use Outcome::{Blocked, Failed, Rejected, Skipped, StillQueued, Succeeded, TimedOut, Unknown, Unmatched};
    let same = progress.settled == log.ends.iter().flatten().count() as u64
        && progress.succeeded == count(&[Succeeded])
        && progress.failed == count(&[Failed, Rejected, TimedOut])
        && progress.still_queued == count(&[StillQueued])
        && progress.unclear == count(&[Unknown, Unmatched])
        && progress.skipped == count(&[Skipped])
        && progress.blocked == count(&[Blocked])
        && progress.barred == barred;
    (!same).then(|| format!("the engine's own counts are {progress:?}"))
}

/// The exit code is 0 only when everything succeeded or had been done before.
fn judge_exit_code(folded: &Folded) -> Option<String> {
    let (complete, stopped) = (folded.totals.complete, folded.totals.stopped);
    let verdict = RunVerdict { complete, stopped, refused_rows: false, bug: false };
    let code = run_exit_code(verdict, |of| u64::from(folded.totals.judged.of(of)));
    let done = |outcome| u64::from(folded.totals.judged.of(outcome));
    let all = done(Outcome::Succeeded) + done(Outcome::Skipped) == folded.endings.len() as u64;
    (code == ExitCode::Fine && !all).then(|| "exit code 0, and not everything succeeded".to_owned())
}

impl RunLog {
    /// An item's outcome by the checker's own account.
    pub(super) fn outcome(&self, item: usize) -> Outcome {
        let batch = self.last_batch[item].and_then(|batch| self.batches.get(&batch));
        match self.ends[item] {
            Some(End::Settled(Settled::Succeeded)) => Outcome::Succeeded,
            Some(End::Settled(Settled::Failed)) => Outcome::Failed,
            Some(End::Settled(Settled::StillQueued)) => Outcome::StillQueued,
            Some(End::Settled(Settled::TimedOut)) => Outcome::TimedOut,
            Some(End::Settled(Settled::Unknown) | End::Unanswered) => Outcome::Unknown,
            Some(End::Settled(Settled::Unmatched)) => Outcome::Unmatched,
            Some(End::Rejected) => Outcome::Rejected,
            Some(End::Before(_) | End::Unmet | End::Expired) => Outcome::Skipped,
            Some(End::Blocked) => Outcome::Blocked,
            Some(End::Barred) => Outcome::NotStarted,
            None if batch.is_some_and(|batch| batch.answer != Some(Answer::Returned)) => Outcome::Open,
            None => Outcome::NotStarted,
        }
    }
}
