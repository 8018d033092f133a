//! Writes the example events: `examples/events.csv` in the shape of a console's export, and `examples/events.jsonl` in
//! the shape of the API's event records. From the root of the repository: `cargo run --example make_events`.
//!
//! Hosts, files and hashes are invented. Nothing is random: every value follows from a counter, so that the files are the
//! same on every machine and at any time; a test compares them with what is written here.

use serde_json::json;
use std::fmt::Write;

/// Where the console's export is kept.
pub(crate) const CSV: &str = "examples/events.csv";
/// Where the API's records are kept.
pub(crate) const JSON_LINES: &str = "examples/events.jsonl";

const CSV_ROWS: u64 = 1000;
const JSON_RECORDS: u64 = 60;
const AGENTS: u64 = 220;
/// 2026-06-12T00:00:00Z, in seconds since the Unix epoch: when the first event was detected.
const FIRST_DETECTION: i64 = 1_781_222_400;

fn main() -> std::io::Result<()> {
    std::fs::write(CSV, csv())?;
    std::fs::write(JSON_LINES, json_lines())
}

/// 1,000 detections of files on about 200 hosts, as a console exports them.
pub(crate) fn csv() -> String {
    let mut out = String::from("Agent ID,Event ID,Type,PID,Unique ID,Host,Path,SHA256,Verdict,Score,Threat,Detected\n");
    for row in 0..CSV_ROWS {
        let Detection { host, found, event, path } = detection(row);
        writeln!(
            out,
            "{},{},FILE,,{},{},{},{},{},{},{},{}",
            host.agent,
            event_id("RTF", &host.agent, event),
            unique_id(event),
            host.name,
            cell(&path),
            sha256(found.threat),
            found.verdict,
            found.score,
            found.threat,
            detected(row, "%Y-%m-%dT%H:%M:%SZ"),
        )
        .expect("a string can always be written to");
    }
    out
}

/// 60 records of files, processes and connections, as the API gives them: every third is a process, and the last of ten
/// a connection without an indicator.
pub(crate) fn json_lines() -> String {
    let mut out = String::new();
    for row in 0..JSON_RECORDS {
        let Detection { host, found, event, path } = detection(CSV_ROWS + row);
        let (kind, prefix, what) = match row % 10 {
            9 => ("NETWORK", "RTP", "ESTABLISHED"),
            2 | 5 | 8 => ("PROCESS", "RTP", "RUNNING"),
            _ => ("FILE", "RTF", "CREATED"),
        };
        let mut record = json!({
            "id": event_id(prefix, &host.agent, event),
            "type": kind,
            "action": what,
            "dateTime": detected(CSV_ROWS + row, "%Y-%m-%dT%H:%M:%S.000+0000"),
            "uniqueId": unique_id(event),
            "asset": {"agentId": host.agent, "hostName": host.name, "platform": host.platform},
        });
        if kind == "PROCESS" {
            record["process"] = json!({"pid": 1000 + mix(event) % 60_000, "processName": file_name(&path)});
        }
        if kind != "NETWORK" {
            record["file"] = json!({"fullPath": path, "sha256": sha256(found.threat)});
            record["indicator2"] =
                json!([{"verdict": found.verdict, "score": found.score, "threatName": found.threat}]);
        }
        writeln!(out, "{record}").expect("a string can always be written to");
    }
    out
}

/// What is found, again and again.
struct Found {
    threat: &'static str,
    verdict: &'static str,
    score: &'static str,
    windows: &'static str,
    unix: &'static str,
}

/// Paths with commas, quotes and other alphabets occur: people call their files what they like.
const FOUND: [Found; 8] = [
    Found {
        threat: "Trojan.AgentTesla",
        verdict: "MALICIOUS",
        score: "9",
        windows: r"C:\Users\{user}\Downloads\Invoice, June.pdf.exe",
        unix: "/home/{user}/Downloads/invoice.run",
    },
    Found {
        threat: "Stealer.RedLine",
        verdict: "MALICIOUS",
        score: "10",
        windows: r"C:\Users\{user}\AppData\Local\Temp\setup_{n}.exe",
        unix: "/tmp/.setup_{n}",
    },
    Found {
        threat: "CoinMiner.XMRig",
        verdict: "MALICIOUS",
        score: "8",
        windows: r"C:\ProgramData\update\svchosts.exe",
        unix: "/dev/shm/.x/xmrig",
    },
    Found {
        threat: "Adware.Bundlore",
        verdict: "SUSPICIOUS",
        score: "5",
        windows: r"C:\Users\{user}\Downloads\Player (1).exe",
        unix: r#"/home/{user}/Downloads/"Player".run"#,
    },
    Found {
        threat: "Script.Downloader",
        verdict: "SUSPICIOUS",
        score: "6",
        windows: r"C:\Users\{user}\AppData\Roaming\start_{n}.hta",
        unix: "/var/tmp/start_{n}.sh",
    },
    Found {
        threat: "Worm.Andromeda",
        verdict: "MALICIOUS",
        score: "10",
        windows: r"E:\AUTORUN\Фото {n}.exe",
        unix: "/media/usb/AUTORUN/Фото {n}",
    },
    Found {
        threat: "WebShell.PHP",
        verdict: "MALICIOUS",
        score: "7",
        windows: r"C:\inetpub\wwwroot\uploads\avatar_{n}.php",
        unix: "/var/www/uploads/avatar_{n}.php",
    },
    Found {
        threat: "RiskTool.PsExec",
        verdict: "SUSPICIOUS",
        score: "3",
        windows: r"C:\Tools\psexec.exe",
        unix: "/opt/tools/psexec.py",
    },
];

const USERS: [&str; 12] = [
    "a.kowalski",
    "b.haddad",
    "c.meyer",
    "d.silva",
    "e.novak",
    "f.rossi",
    "g.tanaka",
    "h.olsen",
    "i.petrov",
    "j.doe",
    "k.lang",
    "müller",
];

struct Host {
    agent: String,
    name: String,
    platform: &'static str,
}

/// One detection, and the number that everything about it follows from.
struct Detection {
    host: Host,
    found: &'static Found,
    event: u64,
    path: String,
}

fn detection(row: u64) -> Detection {
    let event = mix(row + 1);
    // Some hosts have one detection, others a dozen: the smaller of two draws comes up more often.
    let host = host((event % AGENTS).min((event >> 32) % AGENTS));
    let found = &FOUND[usize::try_from(mix(event) % 8).expect("a number below 8")];
    let path = if host.platform == "Windows" { found.windows } else { found.unix };
    let user = USERS[usize::try_from(mix(event + 1) % 12).expect("a number below 12")];
    let path = path.replace("{user}", user).replace("{n}", &(event % 900 + 100).to_string());
    Detection { host, found, event, path }
}

fn host(number: u64) -> Host {
    let (name, platform) = match number % 5 {
        0 => (format!("SRV-APP-{number:03}"), "Linux"),
        1 => (format!("SRV-WEB-{number:03}"), "Windows"),
        _ => (format!("WS-{number:04}"), "Windows"),
    };
    Host { agent: uuid(mix(number ^ 0xa9e7), mix(number ^ 0x51ed)), name, platform }
}

fn event_id(prefix: &str, agent: &str, event: u64) -> String {
    format!("{prefix}_{agent}_{}", uuid(mix(event ^ 0x0e0e), mix(event ^ 0x1d1d)))
}

/// A signed 64-bit number, as text.
fn unique_id(event: u64) -> String {
    mix(event ^ 0x0d0d).cast_signed().to_string()
}

/// Of the form of a random uuid.
fn uuid(high: u64, low: u64) -> String {
    let (time, version) = (high >> 16, high & 0xfff);
    let (variant, node) = (((low >> 48) & 0x3fff) | 0x8000, low & 0xffff_ffff_ffff);
    format!("{:08x}-{:04x}-4{version:03x}-{variant:04x}-{node:012x}", time >> 16, time & 0xffff)
}

/// Of the form of a SHA-256; the same for all files of one threat.
fn sha256(threat: &str) -> String {
    let seed = threat.bytes().fold(7, |sum, byte| mix(sum ^ u64::from(byte)));
    (0..4).map(|part| format!("{:016x}", mix(seed + part))).collect()
}

fn detected(row: u64, format: &str) -> String {
    let seconds = FIRST_DETECTION + i64::try_from(row * 86).expect("a few thousand rows");
    let moment = jiff::Timestamp::from_second(seconds).expect("a moment of our times");
    moment.strftime(format).to_string()
}

fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// In quotes where it must be.
fn cell(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// SplitMix64: neighbouring numbers become far apart, and no two become one.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
