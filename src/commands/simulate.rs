//! `quell simulate`: a tenant on loopback, until it is told to stop.

use super::{say, tell};
use crate::cli::SimulateArgs;
use crate::error::{ExitCode, Failure};
use crate::simulator::{Delay, Options, Simulator};
use std::time::Duration;

/// Serves until a signal.
pub fn execute(args: &SimulateArgs) -> Result<ExitCode, Failure> {
    let runtime = super::run::runtime()?;
    runtime.block_on(serve(args))
}

async fn serve(args: &SimulateArgs) -> Result<ExitCode, Failure> {
    let wrong = |e: std::io::Error| Failure::Usage(format!("cannot listen on 127.0.0.1:{}: {e}", args.port));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", args.port)).await.map_err(wrong)?;
    let simulator = Simulator::new(options(args));
    let served = simulator.serve(listener).map_err(wrong)?;
    let url = served.base_url();
    if let Some(path) = &args.write_tenant {
        std::fs::write(path, simulator.tenant_yaml(&url))
            .map_err(|e| Failure::Usage(format!("cannot write {}: {e}", path.display())))?;
    }
    say(&format!("simulated tenant on {url}\nledger: {url}/_simulator/ledger\n"))?;
    tell("stop it with Ctrl-C");
    wait_for_a_signal().await?;
    served.shutdown().await;
    let counters = simulator.counters();
    tell(&format!(
        "{} acts, {} polls, {} items carried out, {} calls throttled",
        counters.posts, counters.gets, counters.carried_out, counters.throttled
    ));
    Ok(ExitCode::Fine)
}

async fn wait_for_a_signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|e| Failure::Bug(format!("signals cannot be heard: {e}")));
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
    Ok(())
}

fn options(args: &SimulateArgs) -> Options {
    Options {
        seed: args.seed,
        latency: delay(args.latency, 0.0),
        settle: delay(args.settle, args.settle_sigma),
        never_settle_percent: args.never_settle,
        fail_percent: args.fail,
        not_found_for: args.not_found_for,
        shuffle_ids: args.shuffle_ids,
        drop_ids_percent: args.drop_ids,
        repeat_ids_percent: args.repeat_ids,
        requests: args.requests,
        concurrency: args.concurrency,
        break_before_percent: args.break_before,
        break_after_percent: args.break_after,
        ..Options::default()
    }
}

fn delay(median: Duration, sigma: f64) -> Delay {
    match (median.is_zero(), sigma > 0.0) {
        (true, _) => Delay::None,
        (false, false) => Delay::Fixed(median),
        (false, true) => Delay::LogNormal { median, sigma },
    }
}
