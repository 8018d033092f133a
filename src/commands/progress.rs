//! How a run's progress is told while it goes on: bars on a terminal, plain lines every few seconds elsewhere, JSON
//! lines, or nothing. It only ever writes to standard error.

use super::tell;
use crate::cli::{LogFormat, Running};
use crate::engine::Progress;
use crate::report::words;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often bars are drawn anew.
const TICK_EVERY: Duration = Duration::from_millis(250);

/// Tells one thing beside the progress: words for people, an object of one line for machines, nothing when quiet.
pub fn announce(running: &Running, event: &str, words: &str, mut fields: serde_json::Value) {
    match (running.quiet, running.log) {
        (true, _) => {}
        (false, LogFormat::Human) => tell(words),
        (false, LogFormat::Json) => {
            fields["event"] = event.into();
            tell(&fields.to_string());
        }
    }
}

/// Tells of one run, until dropped.
pub struct Teller {
    latest: Arc<Mutex<Progress>>,
    bars: Option<Bars>,
    lines: Option<JoinHandle<()>>,
    began: Instant,
}

struct Bars {
    all: MultiProgress,
    sent: ProgressBar,
    settled: ProgressBar,
}

impl Teller {
    /// Begins to tell. Lines are written by a task of their own, so that they also come while nothing happens.
    pub fn new(run: &str, running: &Running) -> Self {
        let began = Instant::now();
        let latest = Arc::new(Mutex::new(Progress::default()));
        let bars = running.log == LogFormat::Human && std::io::stderr().is_terminal();
        let (bars, lines) = match (running.quiet, bars) {
            (true, _) => (None, None),
            (false, true) => (Some(Bars::new(run)), None),
            (false, false) => (None, Some(tokio::spawn(lines(run.to_owned(), running.log, began, latest.clone())))),
        };
        Self { latest, bars, lines, began }
    }

    /// Hears how far the run is.
    pub fn hear(&self, progress: &Progress) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = *progress;
        if let Some(bars) = &self.bars {
            bars.show(progress, self.began.elapsed());
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            lines.abort();
        }
        if let Some(bars) = &self.bars {
            // The summary that follows says it all: bars would only repeat it.
            bars.sent.finish_and_clear();
            bars.settled.finish_and_clear();
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn new(run: &str) -> Self {
        let all = MultiProgress::new();
        let bar = |template: &str, name: &str| {
            let style =
                ProgressStyle::with_template(template).expect("the template is written here").progress_chars("=> ");
            let bar = all.add(ProgressBar::new(0).with_style(style).with_prefix(name.to_owned()));
            bar.enable_steady_tick(TICK_EVERY);
            bar
        };
        let sent = bar("{prefix:>8} [{bar:30}] {pos}/{len}  {msg}", "sent");
        let settled = bar("{prefix:>8} [{bar:30}] {pos}/{len}  {msg}", "settled");
        sent.set_message(run.to_owned());
        Self { all, sent, settled }
    }

    fn show(&self, progress: &Progress, elapsed: Duration) {
        self.sent.set_length(progress.items);
        self.settled.set_length(progress.items);
        self.sent.set_position(progress.sent + progress.barred + progress.skipped);
        self.settled.set_position(progress.settled);
        self.settled.set_message(figures(progress, elapsed));
    }
}

async fn lines(run: String, log: LogFormat, began: Instant, latest: Arc<Mutex<Progress>>) {
    let mut every = tokio::time::interval(LINE_EVERY);
    every.tick().await;
    loop {
        every.tick().await;
        let progress = *latest.lock().unwrap_or_else(PoisonError::into_inner);
        match log {
            LogFormat::Human => tell(&line(&run, &progress, began.elapsed())),
            LogFormat::Json => tell(&json(&run, &progress, began.elapsed())),
        }
    }
}

/// `contain-0612-7f3: 120 of 1000 settled (2 failed), 300 sent, 4 calls left, about 3 min to go`
fn line(run: &str, progress: &Progress, elapsed: Duration) -> String {
    let Progress { items, settled, sent, .. } = progress;
    format!("{run}: {settled} of {items} settled, {sent} sent; {}", figures(progress, elapsed))
}

fn figures(progress: &Progress, elapsed: Duration) -> String {
    let mut parts = vec![format!("{} succeeded", progress.succeeded)];
    for (count, word) in [
        (progress.failed, "failed"),
        (progress.unclear, "unclear"),
        (progress.still_queued, "still queued"),
        (progress.barred, "not started"),
        (progress.skipped, "skipped"),
        (u64::from(progress.in_flight), "calls in flight"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if let Some(left) = progress.calls_left {
        parts.push(format!("{left} calls left"));
    }
    // However long a person takes says nothing of how fast the run is.
    let left = time_to_go(progress, elapsed).filter(|_| progress.awaits.is_none());
    match (progress.waits_until, left) {
        (Some(_), _) => parts.push("waiting after a refusal or a failed call".to_owned()),
        (None, Some(left)) => parts.push(format!("about {} to go", crate::tenant::show_duration(left))),
        (None, None) => {}
    }
    if let Some((wave, until)) = progress.awaits {
        parts.push(format!("waiting until {} for a person to let wave {wave} begin", words::time(until)));
    }
    if progress.stopping {
        parts.push("stopping: no further acts".to_owned());
    }
    parts.join(", ")
}

/// What is left at the pace so far; nothing before there is a pace.
fn time_to_go(progress: &Progress, elapsed: Duration) -> Option<Duration> {
    let left = progress.items.checked_sub(progress.settled).filter(|left| *left > 0)?;
    // What was skipped took no time.
    let worked = progress.settled.checked_sub(progress.skipped).filter(|worked| *worked > 0)?;
    let seconds = elapsed.as_secs_f64() / worked as f64 * left as f64;
    Some(Duration::from_secs(seconds.ceil() as u64))
}

fn json(run: &str, progress: &Progress, elapsed: Duration) -> String {
    json!({
        "event": "progress",
        "run": run,
        "seconds": elapsed.as_secs(),
        "items": progress.items,
        "sent": progress.sent,
        "settled": progress.settled,
        "succeeded": progress.succeeded,
        "failed": progress.failed,
        "unclear": progress.unclear,
        "still_queued": progress.still_queued,
        "not_started": progress.barred,
        "skipped": progress.skipped,
        "posts": progress.posts,
        "gets": progress.gets,
        "throttled": progress.throttled,
        "in_flight": progress.in_flight,
        "calls_left": progress.calls_left,
        "awaits": progress.awaits.map(|(wave, until)| json!({"wave": wave, "until": words::time(until)})),
        "stopping": progress.stopping,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fact::Moment;

    #[test]
    fn a_line_says_how_far_the_run_is() {
        let progress = Progress {
            items: 1000,
            sent: 300,
            settled: 120,
            succeeded: 110,
            failed: 8,
            unclear: 2,
            calls_left: Some(4),
            ..Progress::default()
        };
        assert_eq!(
            line("contain-0612-7f3", &progress, Duration::from_secs(60)),
            "contain-0612-7f3: 120 of 1000 settled, 300 sent; 110 succeeded, 8 failed, 2 unclear, 4 calls left, about \
             7m 20s to go"
        );
        let awaits = Some((2, Moment(1_718_161_200_000)));
        for seconds in [60, 6000] {
            let waiting = Progress { items: 1000, sent: 10, settled: 10, succeeded: 10, awaits, ..Progress::default() };
            let elapsed = Duration::from_secs(seconds);
            assert_eq!(
                line("r", &waiting, elapsed),
                "r: 10 of 1000 settled, 10 sent; 10 succeeded, waiting until 2024-06-12T03:00:00.000Z for a person to let \
                 wave 2 begin"
            );
            assert!(json("r", &waiting, elapsed).contains(r#""awaits":{"wave":2,"until":"2024-06-12T03:00:00.000Z"}"#));
        }
        let done = Progress { items: 3, settled: 3, succeeded: 3, ..Progress::default() };
        assert_eq!(line("r", &done, Duration::from_secs(60)), "r: 3 of 3 settled, 0 sent; 3 succeeded");
    }
}
