//! What a run costs: items per second, CPU per item and peak memory of the client, for several sizes of input.
//!
//! `cargo run --release --example benchmark -- 1000 10000 100000` builds the binary, starts `quell simulate` without any
//! delay in one process, and `quell run` over that many rows in another, several times each. The simulator's cost is
//! not counted. It reads `/proc` and so needs Linux.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each size; the median is printed.
const RUNS: usize = 5;
/// How many rows one agent has.
const ROWS_PER_AGENT: usize = 5;
/// Clock ticks a second in `/proc/PID/stat`, the same on every Linux this runs on.
const TICKS: f64 = 100.0;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let sizes: Vec<usize> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() { vec![1_000, 10_000, 100_000] } else { sizes };
    let quell = build()?;
    let folder = tempfile::tempdir()?;
    println!("{:>9}  {:>9}  {:>12}  {:>9}  {:>9}", "items", "seconds", "items/second", "µs CPU/item", "peak MiB");
    for size in sizes {
        let events = folder.path().join(format!("{size}.csv"));
        std::fs::write(&events, rows(size))?;
        let mut costs = Vec::new();
        for run in 0..RUNS {
            costs.push(one(&quell, folder.path(), &events, &format!("{size}-{run}"))?);
        }
        let median = |pick: fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(pick).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        let (seconds, cpu, peak) = (median(|c| c.seconds), median(|c| c.cpu), median(|c| c.peak_mib));
        println!(
            "{size:>9}  {seconds:>9.2}  {:>12.0}  {:>11.1}  {peak:>9.1}",
            size as f64 / seconds,
            cpu * 1e6 / size as f64
        );
    }
    Ok(())
}

/// What one run took of the client.
struct Cost {
    seconds: f64,
    cpu: f64,
    peak_mib: f64,
}

fn build() -> Result<PathBuf, Error> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo).args(["build", "--release", "--bin", "quell"]).status()?;
    if !status.success() {
        return Err("the binary does not build".into());
    }
    // The example stands in target/release/examples, the binary one folder above.
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(Path::parent).ok_or("no target folder")?;
    Ok(folder.join("quell"))
}

fn rows(count: usize) -> String {
    let mut csv = String::from("agent_id,event_id,event_type,pid,unique_id,host,path,sha256,score\n");
    for n in 0..count {
        let agent = n / ROWS_PER_AGENT;
        let _ = writeln!(
            csv,
            "6b1f0c52-8a1e-4f6b-9d51-{agent:012x},RTF_{n:08}-52c9-4a35-8c11-9a2d7c6e0002,FILE,0,{},host-{agent},\
             C:\\Users\\Public\\sample-{n}.exe,{n:064x},{}",
            1_152_921_504_606_846_976_u64 + n as u64,
            n % 11
        );
    }
    csv
}

fn one(quell: &Path, folder: &Path, events: &Path, name: &str) -> Result<Cost, Error> {
    let tenant = folder.join(format!("{name}.yaml"));
    let mut simulator = Command::new(quell)
        .args(["simulate", "--port", "0", "--write-tenant"])
        .arg(&tenant)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = simulator.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut String::new())?;
    // Settled at once and looked at at once: nothing waits but for the API.
    let text = std::fs::read_to_string(&tenant)?;
    let quick = text.lines().map(quicker).collect::<Vec<_>>().join("\n");
    std::fs::write(&tenant, quick)?;
    let cost = client(quell, folder, events, &tenant, name);
    simulator.kill()?;
    simulator.wait()?;
    cost
}

/// The simulator's tenant polls as people watch: this one polls at once, in full batches.
fn quicker(line: &str) -> String {
    let key = line.trim_start().split(':').next().unwrap_or_default();
    match key {
        "polling" => "polling: {first_after: 1ms, interval: 1ms, interval_max: 1s, deadline: 10m, not_found_grace: 1s}",
        "limits" => "limits: {requests: unlimited, concurrency: 16, batch_size: 200}",
        _ => line,
    }
    .to_owned()
}

fn client(quell: &Path, folder: &Path, events: &Path, tenant: &Path, name: &str) -> Result<Cost, Error> {
    let started = Instant::now();
    let child = Command::new(quell)
        .arg("run")
        .arg(events)
        .args(["--max-items", "10000000", "--max-hosts", "10000000", "--max-per-host", "10000000"])
        .args(["--action", "quarantine-file", "--yes", "--quiet", "--tenant"])
        .arg(tenant)
        .arg("--state-dir")
        .arg(folder.join(format!("{name}-state")))
        .arg("--report")
        .arg(format!("json={}", folder.join(format!("{name}.json")).display()))
        .stdout(Stdio::null())
        .spawn()?;
    watch(child, started)
}

/// Samples the client's memory until it has ended, and reads its CPU time before it is reaped.
fn watch(mut child: Child, started: Instant) -> Result<Cost, Error> {
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let mut peak_kib = 0.0_f64;
    let cpu = loop {
        let stat = std::fs::read_to_string(proc.join("stat"))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
            break ticks / TICKS;
        }
        let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = peak.and_then(|rest| rest.split_whitespace().next()) {
            peak_kib = peak_kib.max(kib.parse()?);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = started.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("the run ended with {status}").into());
    }
    Ok(Cost { seconds, cpu, peak_mib: peak_kib / 1024.0 })
}
