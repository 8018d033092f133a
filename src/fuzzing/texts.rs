//! What people write inside of files: filters and report templates.

use super::driven::{Driven, drive};
use super::ground;
use crate::plan::ItemRow;
use crate::plan::filter::{ColumnReader, Filter};
use crate::report::{self, ReportError, Source, Visitor};
use crate::run::RunMeta;
use crate::tenant::EventType;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A filter compiles or says where not, and judges every row or says why not, in one short line.
pub(super) fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let vars = BTreeMap::from([("ticket".to_owned(), "INC-7".to_owned())]);
    let filter = match Filter::compile(text, &vars) {
        Ok(filter) => filter,
        Err(errors) => {
            assert!(!errors.is_empty(), "what does not compile has an error");
            for error in errors {
                assert!(!error.message.is_empty(), "{error:?} says nothing");
                let (start, end) = (error.range.start, error.range.end);
                assert!(start < end && end <= text.len() + 1, "{error:?} is outside of {} bytes", text.len());
            }
            return;
        }
    };
    for column in filter.columns() {
        assert!(column.range.end <= text.len(), "{column:?} is outside of the text");
    }
    let mut reader = ColumnReader::new(std::iter::once(&filter));
    for event in [ground::event(1, 0, 1, EventType::File), ground::event(2, 1, 9, EventType::Process)] {
        let row = reader.read(&event).expect("the attributes are an object");
        let judged = filter.selects(&row);
        assert_eq!(judged, filter.selects(&row), "the same row is judged alike");
        if let Err(reason) = judged {
            assert!(reason.chars().count() <= 200 && !reason.contains('\n'), "{reason:?}");
        }
    }
}

static DRIVEN: LazyLock<Driven> = LazyLock::new(|| {
    let bytes: Vec<u8> = (0..200_u32).map(|n| (n * 37 % 251) as u8).collect();
    drive(&bytes).expect("these bytes make a plan")
});

/// A template of a report, and of a report's path: what it renders is bounded, what is wrong is said in one line.
pub(super) fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let run = RunMeta {
        id: ground::RUN.to_owned(),
        playbook: "fuzz".to_owned(),
        tenant: "simulator".to_owned(),
        created: ground::START,
        tool_version: "0.1.0".to_owned(),
        simulated: true,
        state_warning: None,
        operator: None,
        retry_of: None,
        undo_of: None,
        approvals: Vec::new(),
    };
    let plan = &DRIVEN.plan;
    let items = |visit: &mut Visitor<'_>| -> Result<(), ReportError> {
        for (item, planned) in (0..).zip(&plan.items) {
            let event = plan.events[planned.event as usize].clone();
            visit(ItemRow { item, step: planned.step, target: planned.target, event })?;
        }
        Ok(())
    };
    let source = Source {
        run: &run,
        header: &plan.header,
        folded: &DRIVEN.folded,
        items: &items,
        rows_without_item: &plan.rows_without_item,
        exit_code: 5,
    };
    match report::render_template("t.html.tera", text, &source) {
        Ok(rendered) => assert!(rendered.len() <= 64 << 20, "{} bytes", rendered.len()),
        Err(error) => is_one_error(&error, text),
    }
    if let Err(error) = report::render_path(text, &run) {
        assert!(!error.to_string().is_empty(), "an error says something");
    }
}

fn is_one_error(error: &ReportError, text: &str) {
    let ReportError::Template { line, message, .. } = error else { panic!("{error} is no fault of a template") };
    assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
    assert!(*line <= text.split('\n').count(), "{error} is behind the last line");
}
