//! What can go wrong with the files that operators hand over, and what must happen: each case is one injected fault met
//! by the real binary, with the exit code and the words that are expected, and nothing sent.
//!
//! The tenant is a listener on loopback that counts who connects. A token is there and `--yes` is given, so that only
//! the fault keeps a run from acting; that a run without a fault does connect is held too. The rows are those of the
//! table of faults that the main job owns: 1 to 15, 17 and 92.

#[path = "harness/binary.rs"]
mod binary;

use binary::{Folder, PLAYBOOK, Said, TENANT};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// The rows of the table that are held here.
const OWNED: [u32; 17] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 92];

const CANARY: &str = "eyJhbGciOi.CANARY-4711.c2ln";

const HEADER: &str = "agent_id,event_id,event_type,pid,unique_id,host\n";
const GOOD: &str = "\
agent_id,event_id,event_type,pid,unique_id,host
host-1,RTF_1,FILE,0,1152921504606846977,web-01
host-1,RTF_2,FILE,0,-4611686018427387904,web-01
host-2,RTF_3,FILE,0,3170534137668829185,db-02
";

const RUN: &str = "run hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --yes --state-dir state";
const KILL: &str = "run hits.csv --action kill-process --tenant tenants/prod-eu.yaml --yes --state-dir state";
const BY_COLUMN: &str = "run hits.csv --tenant tenants/prod-eu.yaml --yes --state-dir state";
const PLAYBOOK_RUN: &str = "run p.yaml --yes --state-dir state";
const PLAN: &str = "plan hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --format json";

/// A fault, and what must come of it.
struct Case {
    row: u32,
    what: String,
    inject: Box<dyn Fn(&Folder)>,
    command: &'static str,
    limits: &'static str,
    then: Then,
}

/// Whether the folder and what was said are as they should be.
type Judge = Box<dyn Fn(&Folder, &Said) -> bool>;

enum Then {
    /// This exit code, and these words on standard error.
    Refused(i32, &'static str),
    /// A plan of which this is true.
    Planned(Box<dyn Fn(&Value) -> bool>),
    /// This exit code, and the folder and what was said are as they should be.
    Ended(i32, Judge),
}

/// `hits.csv` holds `content`; the run is refused with exit 2 and these words.
fn refused(row: u32, what: &str, content: impl Into<Vec<u8>>, says: &'static str) -> Case {
    let content = content.into();
    assert_ne!(content, GOOD.as_bytes(), "{what}: nothing is injected");
    let inject = Box::new(move |folder: &Folder| {
        folder.write("hits.csv", &content);
    });
    Case { row, what: what.to_owned(), inject, command: RUN, limits: "", then: Then::Refused(2, says) }
}

/// `p.yaml` holds `content`; the run is refused with exit 2 and these words.
fn refused_playbook(row: u32, what: &str, content: impl Into<Vec<u8>>, says: &'static str) -> Case {
    let content = content.into();
    let inject = Box::new(move |folder: &Folder| {
        folder.write("p.yaml", &content);
    });
    Case { inject, command: PLAYBOOK_RUN, ..refused(row, what, "", says) }
}

/// `hits.csv` holds `content`, and the plan that is made of it is as it should be.
fn planned(row: u32, what: &str, content: impl Into<Vec<u8>>, is_right: impl Fn(&Value) -> bool + 'static) -> Case {
    Case { command: PLAN, then: Then::Planned(Box::new(is_right)), ..refused(row, what, content, "") }
}

impl Case {
    fn by(self, command: &'static str) -> Self {
        Self { command, ..self }
    }

    fn with(self, inject: impl Fn(&Folder) + 'static) -> Self {
        Self { inject: Box::new(inject), ..self }
    }

    /// Within so much memory for data and processor time, as the shell's `ulimit` counts them.
    fn within(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    fn ends(self, code: i32, is_right: impl Fn(&Folder, &Said) -> bool + 'static) -> Self {
        Self { then: Then::Ended(code, Box::new(is_right)), ..self }
    }

    /// What is wrong with what came of it.
    fn meet(&self) -> Result<(), String> {
        let tenant = Listener::new();
        let folder = tenant.folder();
        (self.inject)(&folder);
        let said = said(&folder, self.command, self.limits)?;
        let Said { code, stdout, stderr } = &said;
        let (expected, is_right) = match &self.then {
            Then::Refused(code, says) => (*code, stderr.contains(says)),
            Then::Planned(is_right) => (0, serde_json::from_str(stdout).is_ok_and(|plan| is_right(&plan))),
            Then::Ended(code, is_right) => (*code, is_right(&folder, &said)),
        };
        if *code != expected || !is_right {
            return Err(format!("exit {code}, expected {expected}\n{stdout}\n{stderr}"));
        }
        match tenant.connections() {
            0 if stdout.contains(CANARY) || stderr.contains(CANARY) => Err("the token is shown".to_owned()),
            0 if *code == 2 && folder.path().join("state").exists() => Err("a state folder was made".to_owned()),
            0 => Ok(()),
            seen => Err(format!("{seen} connections were opened")),
        }
    }
}

fn said(folder: &Folder, command: &str, limits: &str) -> Result<Said, String> {
    let arguments: Vec<&str> = command.split(' ').collect();
    let mut command = folder.quell(&arguments);
    if !limits.is_empty() {
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")]).arg(env!("CARGO_BIN_EXE_quell"));
        limited.args(arguments).current_dir(folder.path()).env_clear().env("HOME", folder.path());
        command = limited;
    }
    command.env("QUELL_TOKEN", CANARY).stdin(Stdio::null());
    let output = output_in_time(command)?;
    if output.status.code().is_none() {
        return Err(format!("it was ended: {}, {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Said::of(&output))
}

/// The output of a command that is ended when it waits for ever.
fn output_in_time(mut command: Command) -> Result<Output, String> {
    const TIME_MAX: Duration = Duration::from_secs(120);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let id = child.id().to_string();
    let (done, waiting) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(TIME_MAX) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-9", &id]).status();
        }
    });
    let output = child.wait_with_output().map_err(|error| error.to_string());
    drop(done);
    watch.join().map_err(|_| "the watch died".to_owned())?;
    output
}

/// A tenant that answers every call with 401 and counts the connections.
struct Listener {
    base_url: String,
    seen: Arc<AtomicUsize>,
}

impl Listener {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let _ =
                    stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { base_url, seen }
    }

    fn connections(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// A folder without a fault, whose tenant this is.
    fn folder(&self) -> Folder {
        let folder = Folder::new();
        folder.write("tenants/prod-eu.yaml", TENANT.replace("https://gateway.example", &self.base_url));
        folder.write("hits.csv", GOOD).write("p.yaml", simple_playbook());
        folder
    }
}

/// A playbook over `hits.csv` that every good row fits to.
fn simple_playbook() -> String {
    "version: 1\nname: sweep\ntenant: prod-eu\nevents: [{file: hits.csv}]\n\
     steps: [{name: quarantine, action: quarantine-file}]\n"
        .to_owned()
}

fn rows(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

/// `agent/event` of every item.
fn items(plan: &Value) -> Vec<String> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let all = plan["items"].as_array().expect("items").iter();
    all.map(|item| format!("{}/{}", text(item, "agent_id"), text(item, "event_id"))).collect()
}

/// `row: reason` of every row without an item.
fn without_item(plan: &Value) -> Vec<String> {
    let all = plan["rows_without_item"].as_array().expect("rows").iter();
    all.map(|row| format!("{}: {}", row["row"], row["reason"].as_str().unwrap_or_default())).collect()
}

fn utf_16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn a_run_without_a_fault_does_connect() {
    for command in [RUN, PLAYBOOK_RUN] {
        let tenant = Listener::new();
        let said = said(&tenant.folder(), command, "").expect("it ends");
        assert_eq!(said.code, 8, "{}", said.stderr);
        assert!(tenant.connections() > 0, "what counts connections sees none");
    }
}

#[test]
fn every_owned_row_holds() {
    let cases: Vec<Case> = [
        stray_quotes(),
        ragged_rows(),
        cut_files(),
        encodings(),
        headers(),
        the_same_event_twice(),
        ids(),
        process_ids(),
        yaml_bombs(),
        yaml_forms(),
        many_rows(),
        no_rows(),
        what_is_no_regular_file(),
        dry_runs(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut wrong = String::new();
    for case in &cases {
        if let Err(why) = case.meet() {
            let _ = writeln!(wrong, "row {}, {}: {why}", case.row, case.what);
        }
    }
    let met: BTreeSet<u32> = cases.iter().map(|case| case.row).collect();
    println!("{} of {} owned rows, {} cases", met.len(), OWNED.len(), cases.len());
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(met, BTreeSet::from(OWNED), "an owned row has no case");
}

fn stray_quotes() -> Vec<Case> {
    let open = GOOD.replace("RTF_2,FILE,0,-4611686018427387904,web-01", "RTF_2,FILE,0,-4611686018427387904,\"web-01");
    let in_id = GOOD.replace("host-1,RTF_2", "host-1,\"RTF_2");
    let pair = GOOD.replacen(",web-01\n", ",\"web-01\n", 1).replace("db-02\n", "db-02\"\n");
    let block = rows("h,a,FILE,0,1,\"x\nh,b,FILE,0,2,y\nh,c,FILE,0,3,z\"\nh,d,FILE,0,4,w\n");
    let in_an_id = rows("h,\"a\nh,b\",FILE,0,2,y\nh,d,FILE,0,4,w\n");
    vec![
        refused(1, "a quote in an attribute is never closed", open, "row 2, byte 95: the quote that opens cell 6 at byte 136 is never closed"),
        refused(1, "a quote in an id is never closed", in_id, "row 2, byte 95: the quote that opens cell 2 at byte 102 is never closed"),
        refused(1, "a quote is closed far below", pair, "a stray quote has probably swallowed rows"),
        refused(2, "two quotes swallow a block", block.clone(), "row 1, byte 48: the column \"host\" holds what looks like rows"),
        refused(2, "and it is no use to leave bad rows out", block, "a stray quote has probably swallowed rows").by(
            "run hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --yes --state-dir state --partial-input",
        ),
        refused(2, "an id holds a line end", in_an_id, "row 1, byte 48: event_id (column \"event_id\") holds a line end"),
    ]
}

fn ragged_rows() -> Vec<Case> {
    let missing = GOOD.replace("host-1,RTF_2,FILE,0,", "host-1,RTF_2,FILE,0");
    let extra = GOOD.replace("host-1,RTF_2,FILE", "host-1,RTF_2,FILE,");
    vec![
        refused(3, "a separator is missing", missing.clone(), "row 2, byte 95: it has 5 cells, the header has 6"),
        refused(3, "a separator too many", extra, "row 2, byte 95: it has 7 cells, the header has 6"),
        planned(3, "the others are taken as they are", missing, |plan| {
            items(plan) == ["host-1/RTF_1", "host-2/RTF_3"]
                && without_item(plan) == ["2: refused: it has 5 cells, the header has 6"]
        })
        .by("plan hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --format json --partial-input"),
    ]
}

/// Every prefix that ends in the last row: refused, or the rows that are whole and no others.
fn cut_files() -> Vec<Case> {
    let last_row = GOOD.trim_end().rfind('\n').expect("rows") + 1;
    let cut = |length: usize| {
        let is_whole = length >= GOOD.len() - "db-02\n".len();
        if is_whole {
            planned(4, &format!("cut after {length} bytes, in an attribute"), &GOOD[..length], |plan| {
                items(plan) == ["host-1/RTF_1", "host-1/RTF_2", "host-2/RTF_3"]
            })
        } else {
            refused(4, &format!("cut after {length} bytes"), &GOOD[..length], "row 3, byte 143: it has ")
        }
    };
    let in_named = rows("h,a,FILE,0,1152921504606846977,x\n").replace(",host\n", "\n").replace(",x\n", "");
    let mut cases: Vec<Case> = (last_row + 1..GOOD.len()).step_by(5).map(cut).collect();
    cases.push(refused(
        4,
        "cut in the last id",
        in_named,
        "row 1, byte 43: no line end follows, so the cell \"unique_id\" may have been cut",
    ));
    cases
}

fn encodings() -> Vec<Case> {
    let whole = |plan: &Value| items(plan) == ["host-1/RTF_1", "host-1/RTF_2", "host-2/RTF_3"];
    let marked = |bytes: Vec<u8>, mark: &[u8]| [mark.to_vec(), bytes].concat();
    vec![
        planned(5, "UTF-8 with a byte order mark", marked(GOOD.into(), b"\xef\xbb\xbf"), whole),
        planned(5, "UTF-16, little end first", marked(utf_16(GOOD, u16::to_le_bytes), b"\xff\xfe"), whole),
        planned(5, "UTF-16, big end first", marked(utf_16(GOOD, u16::to_be_bytes), b"\xfe\xff"), whole),
        planned(5, "CR alone ends lines", GOOD.replace('\n', "\r"), whole),
        planned(5, "CR LF ends lines", GOOD.replace('\n', "\r\n"), whole),
        refused(
            5,
            "Latin-1",
            [rows("h,a,FILE,0,1,").into_bytes(), b"k\xfcche\n".to_vec()].concat(),
            "byte 62 is 0xFC, which is not UTF-8",
        ),
        refused(5, "NUL", rows("h,a,FILE,0,1,k\0\n"), "byte 62 is NUL"),
        refused(5, "UTF-16 without a mark", utf_16(GOOD, u16::to_le_bytes), "byte 1 is NUL"),
    ]
}

fn headers() -> Vec<Case> {
    let missing = "required columns are missing: agent_id, event_id, event_type, unique_id; it has";
    vec![
        refused(6, "semicolons", GOOD.replace(',', ";"), "the line looks separated by semicolons"),
        refused(6, "tabs in a .csv", GOOD.replace(',', "\t"), "the line looks separated by tabs: name the file .tsv"),
        refused(6, "a preamble", format!("Detections of 12 June\n\n{GOOD}"), missing),
        refused(
            6,
            "two header rows",
            GOOD.replacen(HEADER, &HEADER.repeat(2), 1),
            "row 1, byte 48: it repeats the header",
        ),
        refused(6, "two tables", format!("{GOOD}{GOOD}"), "row 4, byte 189: it repeats the header"),
        refused(
            6,
            "two tables of other widths",
            format!("{GOOD}\nname,count\nx,1\n"),
            "row 4, byte 190: it has 2 cells, the header has 6",
        ),
        refused(7, "a header twice", GOOD.replacen("pid", "host", 1), "header: the column \"host\" is there twice"),
        refused(
            7,
            "a near miss",
            GOOD.replacen("agent_id", "Agent ID", 1),
            "did you mean `--map agent_id=\"Agent ID\"`?",
        ),
        refused(7, "swapped columns", rows("RTF_aaaa-bbbb_1,aaaa-bbbb,FILE,0,1,x\n"), "the two columns look swapped"),
    ]
}

fn the_same_event_twice() -> Vec<Case> {
    let second = "h,a,FILE,0,1,x\n";
    let by_word = |words: [&str; 2]| {
        let row = |word: &str| format!("h,a,FILE,1,{word}\n");
        format!("agent_id,event_id,event_type,unique_id,action\n{}{}", row(words[0]), row(words[1]))
    };
    let contradiction = by_word(["Quarantine File", "release_file"]);
    let once = |plan: &Value| items(plan) == ["h/a"] && without_item(plan) == ["2: duplicate of row 1"];
    vec![
        planned(8, "in one file", rows(&second.repeat(2)), once),
        planned(8, "in one file, with other attributes", rows(&format!("{second}h,a,FILE,0,1,y\n")), once),
        planned(8, "across two files", rows(second), once).by("plan p.yaml --format json").with(move |folder| {
            folder.write("p.yaml", simple_playbook().replace("{file: hits.csv}", "{file: hits.csv}, {file: more.csv}"));
            folder.write("hits.csv", rows(second)).write("more.csv", rows(second));
        }),
        refused(
            9,
            "contradictory actions",
            contradiction.clone(),
            "row 2, byte 73: release-file contradicts row 1, which asks quarantine-file",
        )
        .by(BY_COLUMN),
        // Steps say which comes first.
        planned(9, "in ordered steps", contradiction.clone(), |plan| items(plan) == ["h/a", "h/a"])
            .by("plan p.yaml --format json")
            .with(move |folder| {
                folder.write("hits.csv", &contradiction);
                let release = "{name: quarantine, action: quarantine-file}, {name: release, action: release-file}";
                folder
                    .write("p.yaml", simple_playbook().replace("{name: quarantine, action: quarantine-file}", release));
            }),
    ]
}

fn ids() -> Vec<Case> {
    let row = |agent: &str, event: &str, unique: &str| rows(&format!("{agent},{event},FILE,0,{unique},x\n"));
    vec![
        refused(
            10,
            "a space in an id",
            row("host 1", "a", "1"),
            "row 1, byte 48: agent_id has a space at byte 4: \"host 1\"",
        ),
        refused(10, "a space after an id", row("h", "a ", "1"), "event_id has a space at byte 1: \"a \""),
        refused(
            10,
            "a letter that only looks right",
            row("h\u{43e}st", "a", "1"),
            "agent_id has 'о' (U+043E) at byte 1",
        ),
        refused(10, "a letter that is not seen", row("h\u{200b}", "a", "1"), "(U+200B) at byte 1, which no id has"),
        refused(
            10,
            "an id from a spreadsheet",
            row("h", "a", "1.15292E+18"),
            "unique_id is a number as a spreadsheet rewrites it",
        ),
        refused(
            10,
            "an event id from a spreadsheet",
            row("h", "1.2E+12", "1"),
            "event_id is a number as a spreadsheet rewrites it",
        ),
        planned(10, "case and leading zeros stay", rows("h,a#_-,FILE,0,007,x\nH,a#_-,FILE,0,007,x\n"), |plan| {
            items(plan) == ["h/a#_-", "H/a#_-"] && plan["items"][0]["unique_id"] == "007"
        }),
    ]
}

fn process_ids() -> Vec<Case> {
    let refused_pid =
        |what: &str, pid: &str, says| refused(11, what, rows(&format!("h,a,PROCESS,{pid},1,x\n")), says).by(KILL);
    vec![
        refused_pid("0", "0", "pid is 0 or missing, and a PROCESS event needs it"),
        refused_pid("none", "", "pid is 0 or missing, and a PROCESS event needs it"),
        refused_pid("negative", "-1", "plain digits: \"-1\""),
        refused_pid("above 32 bits", "4294967296", "plain digits: \"4294967296\""),
        refused_pid("with a fraction", "12.0", "plain digits: \"12.0\""),
        refused_pid("hexadecimal", "0x1f", "plain digits: \"0x1f\""),
        refused_pid("octal", "017", "plain digits: \"017\""),
        refused(11, "for a file, negative", rows("h,a,FILE,-1,1,x\n"), "plain digits: \"-1\""),
        planned(11, "the largest", rows("h,a,PROCESS,4294967295,1,x\n"), |plan| {
            plan["items"][0]["pid"] == 4_294_967_295_u32
        })
        .by("plan hits.csv --action kill-process --tenant tenants/prod-eu.yaml --format json --max-irreversible 1"),
        planned(11, "0 where no process is meant", rows("h,a,FILE,0,1,x\n"), |plan| plan["items"][0]["pid"] == 0),
    ]
}

/// 64 MiB of data and a second of processor time, also in a build that is not optimised.
const SMALL: &str = "ulimit -d 65536 && ulimit -t 1";
/// The same where as much as may be must be read: that takes longer in a build that is not optimised.
const SMALL_READ_WHOLE: &str = if cfg!(debug_assertions) { "ulimit -d 65536 && ulimit -t 10" } else { SMALL };

fn yaml_bombs() -> Vec<Case> {
    let laughs = |levels: usize| {
        let level = |n: usize| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(", "));
        let begin = "version: 1\nname: x\nl0: &l0 [lol]\n".to_owned();
        (1..levels).map(level).fold(begin, |text, level| text + &level)
    };
    let quadratic = format!("version: 1\nname: &a {}\nvars: [{}]\n", "x".repeat(50_000), vec!["*a"; 50_000].join(","));
    let deep = |open: &str| format!("version: 1\nname: x\nvars: {}\n", open.repeat(100_000));
    let scalar = format!("version: 1\nname: {}\n", "x".repeat(15 << 20));
    let bomb = |what: &str, text: String, says| refused_playbook(12, what, text, says).by("check p.yaml").within(SMALL);
    let control = |_: &Folder, said: &Said| said.stdout == "1 file checked, no problems\n";
    vec![
        bomb("a billion laughs", laughs(12), "anchors like `&l0` are not supported"),
        bomb("quadratic aliases", quadratic, "anchors like `&a` are not supported"),
        bomb("100,000 brackets", deep("["), "nested deeper than"),
        bomb("100,000 braces", deep("{a: "), "nested deeper than"),
        bomb("100,000 dashes", deep("\n- "), "p.yaml"),
        bomb("a scalar of 15 MiB", scalar, "a name has at most 64 characters").within(SMALL_READ_WHOLE),
        bomb("a scalar of 1 GiB", String::new(), "the file is larger than 16 MiB").with(|folder| {
            let file = std::fs::File::create(folder.path().join("p.yaml")).expect("a file");
            file.set_len(1 << 30).expect("a sparse file");
        }),
        // The limits themselves stop nobody.
        bomb("none", simple_playbook(), "").ends(0, control),
    ]
}

fn yaml_forms() -> Vec<Case> {
    let good = simple_playbook();
    let form = |what: &str, text: String, says| refused_playbook(13, what, text, says);
    vec![
        form("a key twice", good.replace("name: sweep\n", "name: sweep\nname: other\n"), "p.yaml:3:1"),
        form("an unknown key", good.replace("steps:", "stepz:"), "did you mean `steps`?"),
        form("a tag", good.replace("sweep", "!!python/object:os.system sweep"), "p.yaml:2:7"),
        form("several documents", format!("{good}---\n{good}"), "a second document begins here"),
        form("an empty file", String::new(), "the file is empty"),
        form("nothing but comments", "# later\n".to_owned(), "the file is empty"),
    ]
}

/// 256 MiB of data, and half a minute of processor time in a build that is not optimised.
fn many_rows() -> Vec<Case> {
    let many = || {
        let mut text = HEADER.to_owned();
        for row in 0..200_000 {
            let _ = writeln!(text, "host-{},RTF_{row},FILE,0,{row},some further text of this row", row % 5_000);
        }
        text
    };
    let shown = "plan hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --max-items 200000 --max-hosts 5000 --max-per-host 40";
    let is_right = |_: &Folder, said: &Said| said.stdout.contains("200000 items on 5000 hosts");
    vec![
        planned(14, "200,000 rows", "x", |_| false)
            .with(move |folder| {
                folder.write("hits.csv", many());
            })
            .by(shown)
            .within("ulimit -d 262144 && ulimit -t 30")
            .ends(0, is_right),
    ]
}

fn no_rows() -> Vec<Case> {
    let allowed = "run p.yaml --yes --state-dir state --report json=r.json";
    let reports_none = |folder: &Folder, _: &Said| {
        let report = std::fs::read(folder.path().join("r.json")).expect("a report");
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        (&report["summary"]["rows"], &report["summary"]["items"]) == (&Value::from(0), &Value::from(0))
    };
    vec![
        refused(15, "a header alone", HEADER, "it has no rows"),
        refused(15, "nothing at all", "", "it has no rows"),
        refused(15, "an array without elements", "", "it has no rows")
            .with(|folder| {
                folder.write("hits.json", "[]");
            })
            .by("run hits.json --action quarantine-file --tenant tenants/prod-eu.yaml --yes --state-dir state"),
        refused(15, "where that is fine", HEADER, "")
            .with(|folder| {
                folder.write("hits.csv", HEADER);
                folder.write("p.yaml", simple_playbook().replace("hits.csv}", "hits.csv, empty: ok}"));
            })
            .by(allowed)
            .ends(0, reports_none),
    ]
}

fn what_is_no_regular_file() -> Vec<Case> {
    let instead = |what: &str, make: fn(&std::path::Path), says| {
        refused(17, what, "x", says).with(move |folder| {
            let path = folder.path().join("hits.csv");
            std::fs::remove_file(&path).expect("the good file");
            make(&path);
        })
    };
    let fifo = |path: &std::path::Path| {
        assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
    };
    let named = |what: &str, command, says| refused(17, what, "x", says).by(command);
    vec![
        instead("a named pipe", fifo, "it is a named pipe, not a regular file"),
        instead(
            "a folder",
            |path| std::fs::create_dir(path).expect("a folder"),
            "it is a directory, not a regular file",
        ),
        instead(
            "a link",
            |path| {
                std::fs::write(path.with_extension("real.csv"), GOOD).expect("a file");
                std::os::unix::fs::symlink(path.with_extension("real.csv"), path).expect("a link");
            },
            "it is a symbolic link, not a regular file",
        ),
        instead(
            "a link to nowhere",
            |path| {
                std::os::unix::fs::symlink("nowhere.csv", path).expect("a link");
            },
            "it is a symbolic link, not a regular file",
        ),
        instead(
            "a socket",
            |path| {
                std::os::unix::net::UnixListener::bind(path).expect("a socket");
            },
            "it is a socket, not a regular file",
        ),
        instead("nothing", |_| {}, "there is no such file"),
        named(
            "a device",
            "run /dev/zero --action quarantine-file --tenant tenants/prod-eu.yaml --yes --state-dir state",
            "it is a device, not a regular file",
        ),
        named(
            "a file of the kernel",
            "run /proc/version --action quarantine-file --tenant tenants/prod-eu.yaml --yes --state-dir state",
            "it is a file of the kernel",
        ),
        refused(17, "a playbook that is a named pipe", "x", "it is a pipe or a device").by(PLAYBOOK_RUN).with(
            move |folder| {
                let path = folder.path().join("p.yaml");
                std::fs::remove_file(&path).expect("the good file");
                fifo(&path);
            },
        ),
    ]
}

fn dry_runs() -> Vec<Case> {
    const FIRST: &str = "dry run: no token is needed, no connection is opened, nothing is sent";
    const LAST: &str = "dry run: no connection was opened, nothing was sent";
    let says_so = |_: &Folder, said: &Said| {
        let lines: Vec<&str> = said.stdout.lines().map(|line| line.trim_matches('*')).collect();
        lines.first() == Some(&FIRST) && lines.last() == Some(&LAST)
    };
    let dry = |what: &str, command| {
        refused(92, what, "x", "").with(|_| {}).by(command).within("unset QUELL_TOKEN").ends(0, says_so)
    };
    let real = |what: &str, command| {
        // Without the terminal of whoever runs the tests.
        let alone = "exec setsid --wait \"$0\" \"$@\"";
        let mut case = refused(92, what, "x", "").with(|_| {}).by(command).within(alone);
        case.then = Then::Refused(3, "there is no terminal to ask on");
        case
    };
    vec![
        dry("`plan`", "plan p.yaml"),
        dry("`plan` in Markdown", "plan p.yaml --format markdown"),
        dry("`run --dry-run`", "run p.yaml --dry-run --state-dir state"),
        dry(
            "`run --dry-run` of events",
            "run hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --dry-run",
        ),
        real("a real run that nobody agreed to", "run p.yaml --state-dir state"),
        real(
            "a real run of events that nobody agreed to",
            "run hits.csv --action quarantine-file --tenant tenants/prod-eu.yaml --state-dir state",
        ),
    ]
}

#[test]
fn the_good_playbook_of_all_tests_is_good() {
    let folder = Folder::new();
    assert_eq!(folder.says(&["plan", "p.yaml"]).code, 0, "{PLAYBOOK}");
}
