//! How a run stands: read from the journal, folded, and written as reports. It takes no lock and changes nothing.

use crate::engine::{Gate, Outcome, tag};
use crate::error::{ExitCode, Failure, RunVerdict, run_exit_code};
use crate::journal::{RunReader, StoreError};
use crate::plan::{ItemRow, PlanHeader, PlannedReport, RowWithoutItem};
use crate::playbook::ReportFormat;
use crate::report::{self, Colour, Ending, Folded, Folding, Outcomes, ReportError, RowsWithoutItem, Source, Visitor};
use crate::run::RunMeta;
use std::io::{self, Write};
use std::path::Path;

/// The longest line about one item, in characters.
const LINE_CHARS_MAX: usize = 400;

/// A run, its items and what became of them.
pub struct Standing {
    reader: RunReader,
    folded: Folded,
    rows_without_item: Vec<RowWithoutItem>,
    exit_code: ExitCode,
}

impl Standing {
    /// Reads a run by its name or an unambiguous beginning of it; the newest when none is given.
    pub fn read(state: &Path, run: Option<&str>) -> Result<Self, Failure> {
        Self::of(RunReader::open(state, run)?, false)
    }

    /// How the run of this reader stands. `bug` says that a task of it died in this process.
    pub fn of(reader: RunReader, bug: bool) -> Result<Self, Failure> {
        let steps_and_targets = reader.item_steps_and_targets()?;
        let wrong = |e: report::FoldError| ReportError::DoesNotAddUp(e.to_string());
        let mut folding = Folding::new(reader.header(), steps_and_targets.into_iter()).map_err(wrong)?;
        let mut odd = None;
        reader.for_each_fact(|fact| {
            if odd.is_none() {
                odd = folding.add(fact).err();
            }
            Ok(())
        })?;
        if let Some(odd) = odd {
            return Err(wrong(odd).into());
        }
        let folded = folding.finish(reader.header());
        let totals = &folded.totals;
        let rows_without_item = reader.rows_without_item()?;
        let refused_rows = RowsWithoutItem::of(&rows_without_item).refused > 0;
        let verdict = RunVerdict { complete: totals.complete, stopped: totals.stopped, refused_rows, bug };
        let exit_code = run_exit_code(verdict, |outcome| u64::from(totals.judged.of(outcome)));
        Ok(Self { reader, folded, rows_without_item, exit_code })
    }

    /// How a run stands, by its tenant and its whole name.
    pub fn of_tenant(state: &Path, tenant: &str, run: &str) -> Result<Self, Failure> {
        Self::of(RunReader::of_tenant(state, tenant, run)?, false)
    }

    /// What is known of the run.
    pub fn meta(&self) -> &RunMeta {
        self.reader.meta()
    }

    /// What holds for all its items.
    pub fn header(&self) -> &PlanHeader {
        self.reader.header()
    }

    /// The gate before its next wave; `None` when all targets are released.
    pub fn gate(&self) -> Result<Option<Gate>, Failure> {
        Ok(super::taken::engine_of(&self.reader)?.gate())
    }

    /// What became of each item, in item order.
    pub fn endings(&self) -> &[Ending] {
        &self.folded.endings
    }

    /// Every item with its event, in item order.
    pub fn rows(&self) -> Result<Vec<ItemRow>, Failure> {
        let mut rows = Vec::with_capacity(self.folded.endings.len());
        self.reader.for_each_item(|row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Items whose outcome is not for certain, or not final, and that no person has resolved, with their outcome.
    pub fn unresolved(&self) -> impl Iterator<Item = (u32, Outcome)> + '_ {
        let unsure = |of: Outcome| {
            matches!(
                of,
                Outcome::Unknown | Outcome::Unmatched | Outcome::TimedOut | Outcome::Open | Outcome::StillQueued
            )
        };
        (0..)
            .zip(&self.folded.endings)
            .filter(move |(_, ending)| ending.resolution.is_none() && unsure(ending.outcome))
            .map(|(item, ending)| (item, ending.outcome))
    }

    /// One line for each of these items, in item order.
    pub fn described(&self, items: impl Iterator<Item = u32>) -> Result<Vec<String>, Failure> {
        let wanted: std::collections::BTreeSet<u32> = items.collect();
        let mut lines = Vec::new();
        self.reader.for_each_item(|row| {
            if wanted.contains(&row.item) {
                let ending = &self.folded.endings[row.item as usize];
                let batch = ending.batch.map(|batch| format!(", tag {}", tag::tag(&self.meta().id, batch)));
                let id = ending.remediation.as_ref().map(|remediation| format!(", remediation {}", remediation.id));
                let step = &self.header().steps[usize::from(row.step)].name;
                let event = &row.event;
                let line = format!(
                    "item {}: step {step}, agent {}, event {}{}{}",
                    row.item,
                    event.agent_id,
                    event.event_id,
                    batch.unwrap_or_default(),
                    id.unwrap_or_default()
                );
                lines.push(report::inert::shorten(&report::inert::terminal(&line), LINE_CHARS_MAX).into_owned());
            }
            Ok(())
        })?;
        Ok(lines)
    }

    /// Whether every item has its final outcome.
    pub fn is_complete(&self) -> bool {
        self.folded.totals.complete
    }

    /// The code that a command which carried out this run ends with.
    pub fn exit_code(&self) -> ExitCode {
        self.exit_code
    }

    /// Items by outcome.
    pub fn outcomes(&self) -> &Outcomes {
        &self.folded.totals.outcomes
    }

    /// The summary for a terminal, on standard output.
    pub fn say_text(&self, colour: Colour) -> Result<(), Failure> {
        self.to_stdout(|source, out| report::text(source, colour, out))
    }

    /// A report on standard output.
    pub fn say(&self, format: &ReportFormat) -> Result<(), Failure> {
        self.to_stdout(|source, out| report::write(format, source, out))
    }

    /// A report in a file: there whole, or not at all.
    pub fn write_file(&self, format: &ReportFormat, path: &Path) -> Result<(), Failure> {
        self.with_source(|source| report::write_file(format, source, path))?;
        Ok(())
    }

    /// Writes the reports that the plan asks for, each for itself; what went wrong.
    pub fn write_planned(&self) -> Vec<Failure> {
        let write = |planned: &PlannedReport| {
            let format = report::parse_format(&planned.format)?;
            let path = report::render_path(&planned.path, self.reader.meta())?;
            self.write_file(&format, &path)
        };
        self.reader.header().reports.iter().filter_map(|planned| write(planned).err()).collect()
    }

    fn to_stdout(
        &self,
        write: impl FnOnce(&Source<'_>, &mut dyn Write) -> Result<(), ReportError>,
    ) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let written = self.with_source(|source| write(source, &mut out)).and_then(|()| Ok(out.flush()?));
        match written {
            Err(ReportError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    fn with_source(&self, write: impl FnOnce(&Source<'_>) -> Result<(), ReportError>) -> Result<(), ReportError> {
        let items = |visit: &mut Visitor<'_>| {
            let mut stopped = None;
            let read = self.reader.for_each_item(|row| {
                visit(row).map_err(|e| {
                    stopped = Some(e);
                    StoreError::TakenOver("the report stopped".to_owned())
                })
            });
            match (stopped, read) {
                (Some(e), _) => Err(ReportError::Output(e)),
                (None, Err(e)) => Err(ReportError::Items(e.to_string())),
                (None, Ok(())) => Ok(()),
            }
        };
        write(&Source {
            run: self.reader.meta(),
            header: self.reader.header(),
            folded: &self.folded,
            items: &items,
            rows_without_item: &self.rows_without_item,
            exit_code: self.exit_code as u8,
        })
    }
}
