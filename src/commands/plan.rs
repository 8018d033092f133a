//! `quell plan`: the dry run. It needs no token, opens no connection, touches no state, and says so.

use super::{held, inputs, say};
use crate::cli::{PlanFormat, Selection};
use crate::error::{ExitCode, Failure};
use crate::plan::show;
use crate::report::ReportError;

const FIRST: &str = "dry run: no token is needed, no connection is opened, nothing is sent";
const LAST: &str = "dry run: no connection was opened, nothing was sent";

/// Prints the plan, also one that is held: then the code says so.
pub fn execute(selection: &Selection, format: PlanFormat, simulate: bool) -> Result<ExitCode, Failure> {
    let plan = inputs::prepare(selection, simulate)?.plan;
    match format {
        PlanFormat::Text => say(&format!("{FIRST}\n\n{}\n{LAST}\n", show::text(&plan)))?,
        PlanFormat::Markdown => say(&format!("*{FIRST}*\n\n{}\n*{LAST}*\n", show::markdown(&plan)))?,
        PlanFormat::Json => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            match show::json(&plan, &mut out).and_then(|()| std::io::Write::flush(&mut out)) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(ReportError::Output(e))?,
                _ => {}
            }
        }
    }
    Ok(held::code(&plan))
}
