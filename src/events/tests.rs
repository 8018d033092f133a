//! What a reader of event files sees; each fault of an input has its test by name.

use super::*;
use crate::tenant::ColumnSource;

/// One source that is read from standard input in a stated format.
struct Case<'a> {
    format: Option<Format>,
    columns: Option<&'a Columns>,
    mappings: &'a [(String, Columns)],
    empty_ok: bool,
    partial: bool,
}

const CSV: Case<'_> = Case { format: Some(Format::Csv), columns: None, mappings: &[], empty_ok: false, partial: false };
const TSV: Case<'_> = Case { format: Some(Format::Tsv), ..CSV };
const JSON: Case<'_> = Case { format: Some(Format::Json), ..CSV };
const LINES: Case<'_> = Case { format: Some(Format::JsonLines), ..CSV };
const SNIFFED: Case<'_> = Case { format: None, ..CSV };

impl Case<'_> {
    fn read(&self, bytes: impl AsRef<[u8]>) -> Result<Events, Vec<Problem>> {
        let source = SourceRequest {
            input: Input::Stdin,
            columns: self.columns,
            mappings: self.mappings,
            empty_ok: self.empty_ok,
            format: self.format,
        };
        read_with(&Request { sources: vec![source], partial: self.partial }, &mut bytes.as_ref())
    }

    /// The rows as lines: number, line, fields, attributes.
    fn rows(&self, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.read(bytes).unwrap().rows.iter().map(line).collect()
    }

    /// The problems as lines: place, message, help.
    fn problems(&self, bytes: impl AsRef<[u8]>) -> Vec<String> {
        self.read(bytes).unwrap_err().iter().map(problem).collect()
    }

    /// The one problem's message.
    fn problem(&self, bytes: impl AsRef<[u8]>) -> String {
        let problems = self.read(bytes).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].message.clone()
    }

    /// The one problem's help.
    fn help(&self, bytes: impl AsRef<[u8]>) -> String {
        self.read(bytes).unwrap_err()[0].help.clone().unwrap()
    }
}

fn line(event: &Event) -> String {
    let Event { place, agent_id, event_id, event_type, pid, unique_id, action, attributes } = event;
    let action = action.as_deref().unwrap_or("-");
    format!("{}@{} {agent_id} {event_id} {event_type} {pid} {unique_id} {action} {attributes}", place.row, place.line)
}

fn problem(problem: &Problem) -> String {
    let Place { line, column, length, byte } = problem.place;
    let byte = byte.map_or("-".to_owned(), |byte| byte.to_string());
    let help = problem.help.as_deref().unwrap_or("-");
    format!("{line}:{column}+{length} {byte} | {} | {help}", problem.message)
}

fn column(name: &str, default: Option<&str>) -> ColumnSource {
    ColumnSource::Column { name: name.to_owned(), default: default.map(str::to_owned) }
}

fn mapping<const N: usize>(pairs: [(&str, ColumnSource); N]) -> Columns {
    Columns(pairs.into_iter().map(|(name, source)| (name.to_owned(), source)).collect())
}

/// A tenant's mapping for a console's export.
fn console() -> Columns {
    mapping([
        ("agent_id", column("Agent ID", None)),
        ("event_id", column("Event ID", None)),
        ("event_type", column("Type", None)),
        ("unique_id", column("Unique ID", None)),
        ("pid", column("PID", Some("0"))),
        ("event_time", column("Detected", None)),
    ])
}

const HEADER: &str = "agent_id,event_id,event_type,pid,unique_id,host\n";

/// A file of [`HEADER`] and these rows.
fn csv(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

#[test]
fn the_same_events_are_read_from_every_format() {
    let rows = [
        r#"1@2 a-1 E_1 FILE 0 -57 - {"host":"é \"x\""}"#,
        r#"2@3 a-2 E_2 PROCESS 4711 4bf85eb9-206f quarantine-file {"host":""}"#,
    ];
    let table = "agent_id,eventId,event_type,pid,uniqueId,host,action\n\
                 a-1,E_1,file,,-57,\"é \"\"x\"\"\",\n\
                 a-2,E_2,PROCESS,4711,4bf85eb9-206f,,quarantine-file\n";
    assert_eq!(CSV.rows(table), rows);
    assert_eq!(SNIFFED.rows(table), rows);
    assert_eq!(TSV.rows(table.replace(',', "\t")), rows);
    for end in ["\r\n", "\r"] {
        assert_eq!(CSV.rows(table.replace('\n', end)), rows);
    }
    let first = r#"{"agent_id": "a-1", "event_id": "E_1", "event_type": "FILE", "pid": null, "unique_id": -57, "host": "é \"x\"", "action": null}"#;
    let second = r#"{"agentId":"a-2","eventId":"E_2","eventType":"PROCESS","pid":4711,"uniqueId":"4bf85eb9-206f","host":"","action":"quarantine-file"}"#;
    let lines = format!("\n{first}\r\n{second}");
    assert_eq!(LINES.rows(&lines), rows);
    assert_eq!(SNIFFED.rows(&lines), rows);
    for document in [
        format!("[\n{first},\n{second}]"),
        format!("{{\"data\" : [\n{first}\r\n,{second}\n], \"more\": {{}} }}\n"),
        format!("{{\"n\":2,\"data\":[\r\n{first}, \r\n{second}]}}"),
    ] {
        assert_eq!(JSON.rows(&document), rows, "{document}");
        assert_eq!(SNIFFED.rows(&document), rows, "{document}");
    }
    let pretty = second.replace(',', ",\n");
    assert_eq!(JSON.rows(&pretty)[0], rows[1].replace("2@3", "1@1"));
    assert_eq!(SNIFFED.rows(&pretty)[0], rows[1].replace("2@3", "1@1"));
    assert_eq!(SNIFFED.rows(second)[0], rows[1].replace("2@3", "1@1"));
}

#[test]
fn attributes_keep_names_order_and_digits() {
    let table = "z,agent_id,event_id,event_type,unique_id,Host Name,a\n1.0,a,b,FILE,c,\"x\n\ty\",\n";
    assert_eq!(CSV.rows(table), [r#"1@2 a b FILE 0 c - {"z":"1.0","Host Name":"x\n\ty","a":""}"#]);
    let object = r#"{"z": 1.10, "agent_id": "a", "n": {"x" : [1, 2 ]}, "event_id": 12345678901234567890123, "event_type": "FILE", "unique_id": -9223372036854775808, "big": 123456789012345678901234567890, "k\"": null}"#;
    let row = r#"1@1 a 12345678901234567890123 FILE 0 -9223372036854775808 - {"z":1.10,"n":{"x":[1,2]},"big":123456789012345678901234567890,"k\"":null}"#;
    assert_eq!(LINES.rows(object), [row]);
}

#[test]
fn a_mapping_takes_columns_constants_defaults_and_paths() {
    let tenant = [("console".to_owned(), console())];
    let table = "Detected,Agent ID,Event ID,Type,Unique ID,PID,Host\nnoon,a,b,PROCESS,c,7,h\n,d,e,FILE,f,,\n";
    let rows = [
        r#"1@2 a b PROCESS 7 c - {"event_time":"noon","Host":"h"}"#,
        r#"2@3 d e FILE 0 f - {"event_time":"","Host":""}"#,
    ];
    assert_eq!(Case { mappings: &tenant, ..CSV }.rows(table), rows);
    assert_eq!(Case { columns: Some(&tenant[0].1), ..CSV }.rows(table), rows);

    let api = mapping([
        ("agent_id", column("asset.agentId", None)),
        ("event_id", column("id", None)),
        ("event_type", column("type", None)),
        ("pid", column("process.pid", Some("0"))),
        ("unique_id", column("id", None)),
        ("action", ColumnSource::Constant("kill-process".to_owned())),
        ("verdict", column("indicator2.0.verdict", Some("NONE"))),
        ("event_action", column("action", Some(""))),
        ("source", ColumnSource::Constant("api".to_owned())),
    ]);
    let mut records = String::new();
    for record in [
        r#"{"asset":{"agentId":"a","hostName":"h"},"action":"RUNNING","id":"E1","type":"PROCESS","process":{"pid":9},"indicator2":[{"verdict":"BAD","score":8}]}"#,
        r#"{"id":"E2","type":"FILE","asset":{"agentId":"b"}}"#,
    ] {
        records.push_str(record);
        records.push('\n');
    }
    let rows = [
        r#"1@1 a E1 PROCESS 9 E1 kill-process {"asset":{"agentId":"a","hostName":"h"},"event_action":"RUNNING","process":{"pid":9},"indicator2":[{"verdict":"BAD","score":8}],"verdict":"BAD","source":"api"}"#,
        r#"2@2 b E2 FILE 0 E2 kill-process {"asset":{"agentId":"b"},"verdict":"NONE","event_action":"","source":"api"}"#,
    ];
    assert_eq!(Case { columns: Some(&api), ..LINES }.rows(&records), rows);
    assert_eq!(Case { mappings: &[("api".to_owned(), api.clone())], ..SNIFFED }.rows(&records), rows);
}

#[test]
fn a_mapping_that_cannot_hold_is_refused() {
    let with = |extra: [(&str, ColumnSource); 1]| {
        let mut columns = mapping([("agent_id", column("host", None))]);
        columns.0.extend(mapping(extra).0);
        columns
    };
    let table = "agent_id,host,event_id,event_type,unique_id,note\na,h,e,FILE,u,n\n";
    let plain = with([("note", column("note", None))]);
    assert_eq!(
        Case { columns: Some(&plain), ..CSV }.problem(table),
        r#"header: the column "agent_id" is there too, beside the one that is mapped"#
    );
    let renamed = with([("old_id", column("agent_id", None))]);
    assert_eq!(
        Case { columns: Some(&renamed), ..CSV }.rows(table),
        [r#"1@2 h e FILE 0 u - {"old_id":"a","note":"n"}"#]
    );
    let clash = mapping([("note", column("host", None))]);
    assert_eq!(
        Case { columns: Some(&clash), ..CSV }.problem(table),
        r#"header: the mapping's name "note" is also a column of its own"#
    );
    let record = r#"{"agent_id":"a","host":"h","event_id":"e","event_type":"FILE","unique_id":"u","note":"n"}"#;
    assert_eq!(
        Case { columns: Some(&plain), ..LINES }.problem(record),
        r#"row 1, byte 0: "agent_id" is there too, beside what is mapped"#
    );
    assert_eq!(
        Case { columns: Some(&clash), ..LINES }.problem(record),
        r#"row 1, byte 0: the mapping's name "note" is also a member of its own"#
    );
    let misspelt = mapping([("event_time", column("asset.tiem", None))]);
    assert_eq!(
        Case { columns: Some(&misspelt), ..LINES }.problem(record),
        r#"the mapping names what no record has: "asset.tiem""#
    );
    assert_eq!(
        CSV.problem("agent_id,agentId,event_id,event_type,unique_id\na,b,e,FILE,u\n"),
        "header: both agent_id and agentId are there"
    );
    let both = record.replace("\"host\"", "\"agentId\"");
    assert_eq!(LINES.problem(both), "row 1, byte 0: both agent_id and agentId are there");
}

#[test]
fn fault_1_one_stray_quote_is_refused_where_it_opens() {
    let bytes = csv("a,b,FILE,,c,\"h\nd,e,FILE,,f,i\n");
    for partial in [false, true] {
        assert_eq!(
            Case { partial, ..CSV }.problems(&bytes),
            [
                "2:0+0 48 | row 1, byte 48: the quote that opens cell 6 at byte 60 is never closed | a cell with quotes, \
              separators or line ends stands in quotes, and a quote inside it is written twice"
            ]
        );
    }
    let shown = CSV.read(&bytes).unwrap_err().remove(0).line_text;
    assert_eq!(shown.as_deref(), Some("a,b,FILE,,c,\"h"));
    assert_eq!(
        CSV.problem(csv("a,b,FILE,,c,h\nd,e\"x,FILE,,f,i\n")),
        "row 2, byte 62: a quote stands inside the unquoted cell that is number 2, at byte 65"
    );
    assert_eq!(
        CSV.problem(csv("a,\"b\"x,FILE,,c,h\n")),
        "row 1, byte 48: text follows the closing quote of cell 2, at byte 53"
    );
    let long = "x".repeat(2 << 20);
    assert_eq!(
        CSV.problem(csv(&format!("a,b,FILE,,c,\"{long}"))),
        "row 1, byte 48: it is longer than 1048576 bytes; the quote that opens cell 6 at byte 60 is not closed"
    );
}

#[test]
fn fault_2_two_stray_quotes_are_refused_also_when_bad_rows_may_be_put_aside() {
    for partial in [false, true] {
        let case = Case { partial, ..CSV };
        assert_eq!(
            case.problem(csv("a,\"b,FILE,,c,h\nd,e\",FILE,,f,i\n")),
            "row 1, byte 48: event_id (column \"event_id\") holds a line end; a stray quote has probably swallowed rows"
        );
        assert_eq!(
            case.problem(csv("a,b,FILE,,c,\"h\nx,y,FILE,,z,k\nd,e,FILE,,f,i\"\ng,h,FILE,,i,j\n")),
            "row 1, byte 48: the column \"host\" holds what looks like rows; a stray quote has probably swallowed rows"
        );
        assert_eq!(
            case.problem(csv("a,b,FILE,,c,\"h\nd,e\",FILE,,f,i\n")),
            "row 1, byte 48: it has 10 cells, the header has 6, and a quoted one spans lines; \
             a stray quote has probably swallowed rows"
        );
    }
    let rows = CSV.rows(csv("a,b,FILE,,c,\"one,two\nthree\"\n"));
    assert_eq!(rows, [r#"1@2 a b FILE 0 c - {"host":"one,two\nthree"}"#]);
}

#[test]
fn faults_1_and_2_no_one_or_two_quotes_anywhere_change_a_row() {
    for header in [
        "agent_id,event_id,event_type,unique_id,host",
        "host,agent_id,event_id,event_type,unique_id",
        "agent_id,event_id,host,event_type,unique_id",
    ] {
        let rows = |number: usize| -> String {
            let cell = |name: &str| match name {
                "host" => format!("h{number}"),
                "event_type" => "FILE".to_owned(),
                name => format!("{}{number}", &name[..1]),
            };
            header.split(',').map(cell).collect::<Vec<_>>().join(",")
        };
        let good = format!("{header}\n{}\n{}\n{}\n", rows(1), rows(2), rows(3));
        let expected = CSV.rows(&good);
        let mut accepted = 0;
        for first in 0..=good.len() {
            let mut one = good.clone();
            one.insert(first, '"');
            for second in first..=one.len() {
                let mut two = one.clone();
                two.insert(second, '"');
                // What is read as a whole is read so when bad rows are put aside too.
                if let Ok(events) = (Case { partial: true, ..CSV }).read(&two) {
                    assert!(events.rows.len() + events.refused.len() >= 3, "{two:?}");
                    assert!(events.rows.iter().all(|row| expected.contains(&line(row))), "{two:?}");
                    accepted += 1;
                }
            }
            assert!(CSV.read(&one).is_err(), "{one:?}");
        }
        // Two quotes around a cell say the same as none.
        assert!(accepted >= 40, "{accepted}");
    }
}

#[test]
fn fault_3_a_ragged_row_is_refused_and_never_shifted() {
    let bytes = csv("a,b,FILE,,c,h\nd,e,FILE,f,i\ng,h,i,FILE,,j,k\n");
    assert_eq!(
        CSV.problems(&bytes),
        [
            "3:0+0 62 | row 2, byte 62: it has 5 cells, the header has 6 | empty cells need their separators too; \
             copy or export the file again; --partial-input leaves such rows out",
            "4:0+0 75 | row 3, byte 75: it has 7 cells, the header has 6 | a cell that holds the separator must \
             stand in quotes",
        ]
    );
    let events = Case { partial: true, ..CSV }.read(&bytes).unwrap();
    assert_eq!(events.rows.len(), 1);
    let refused: Vec<_> =
        events.refused.iter().map(|row| (row.place.row, row.place.line, row.byte, &*row.reason)).collect();
    assert_eq!(
        refused,
        [(2, 3, 62, "it has 5 cells, the header has 6"), (3, 4, 75, "it has 7 cells, the header has 6")]
    );
}

#[test]
fn fault_4_a_cut_file_never_gives_a_row_that_was_not_whole() {
    let endings = [
        ("agent_id,event_id,host,event_type,unique_id", "a{n},b{n},\"h\"\"{n}, x\",FILE,c{n}77", false),
        ("agent_id,event_id,unique_id,host,event_type", "a{n},b{n},c{n},h{n},PROCESS", false),
        ("agent_id,event_id,event_type,unique_id,host,pid", "a{n},b{n},PROCESS,c{n},h{n},55{n}", false),
        ("unique_id,agent_id,event_id,event_type,host", "c{n}77,a{n},b{n},FILE,\"host {n}\"", true),
    ];
    for (header, row, last_is_attribute) in endings {
        let row = if header.contains("pid") { row.to_owned() } else { row.replace("PROCESS", "AGENT") };
        let rows: Vec<_> = (1..4).map(|n: u32| row.replace("{n}", &n.to_string())).collect();
        let good = format!("{header}\r\n{}\r\n", rows.join("\r\n"));
        let whole = CSV.read(&good).unwrap().rows;
        let mut unterminated = 0;
        for length in 0..good.len() {
            for partial in [false, true] {
                let Ok(cut) = (Case { partial, ..CSV }).read(&good[..length]) else { continue };
                let ended = good[..length].ends_with(['\r', '\n']);
                for (at, event) in cut.rows.iter().enumerate() {
                    let mut expected = whole[at].clone();
                    if last_is_attribute && !ended && at + 1 == cut.rows.len() {
                        expected.attributes = event.attributes.clone();
                    }
                    assert_eq!(*event, expected, "{:?}", &good[..length]);
                    unterminated += usize::from(!ended && at + 1 == cut.rows.len() && cut.refused.is_empty());
                }
            }
        }
        let takes_unterminated = last_is_attribute || header.ends_with("event_type");
        assert_eq!(unterminated > 0, takes_unterminated, "{header}");
    }
    let cut = "agent_id,event_id,event_type,unique_id\na,b,FILE,c";
    assert_eq!(
        CSV.problems(cut),
        ["2:10+1 39 | row 1, byte 39: no line end follows, so the cell \"unique_id\" may have been cut: \"c\" | \
          copy the file again; if it is whole, end it with a line end; --partial-input leaves such rows out"]
    );
    assert_eq!(
        CSV.problem("agent_id,event_id,event_type,unique_id\na,b,FI"),
        "row 1, byte 39: it has 3 cells, the header has 4, and no line end follows: the file was probably cut"
    );
}

#[test]
fn fault_4_a_cut_json_file_never_gives_a_row_that_was_not_whole() {
    let record = |n: u32| {
        format!(
            "{{\"agent_id\":\"a{n}\",\"event_id\":\"b{n}\",\"event_type\":\"FILE\",\"unique_id\":{n}77,\"h\":[1,{{\"x\":2}}]}}"
        )
    };
    let lines = format!("{}\n{}\n", record(1), record(2));
    let whole = LINES.rows(&lines);
    for length in 0..lines.len() {
        for case in [&LINES, &SNIFFED, &Case { partial: true, ..LINES }] {
            if let Ok(cut) = case.read(&lines[..length]) {
                let rows: Vec<_> = cut.rows.iter().map(line).collect();
                assert_eq!(rows, whole[..rows.len()], "{:?}", &lines[..length]);
            }
        }
    }
    for document in
        [format!("[{},{}]", record(1), record(2)), format!("{{\"data\":[{},{}],\"n\":2}}", record(1), record(2))]
    {
        assert_eq!(JSON.rows(&document).len(), 2);
        for length in 0..document.len() {
            for case in [&JSON, &SNIFFED, &Case { partial: true, ..JSON }] {
                assert!(case.read(&document[..length]).is_err(), "{:?}", &document[..length]);
            }
        }
    }
}

#[test]
fn fault_5_encodings_are_read_or_refused_by_name_with_the_byte() {
    let good = csv("a,b,FILE,,c,h€\r\n");
    let expected = CSV.rows(&good);
    let utf16 = |big_endian: bool| -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(good.encode_utf16());
        units.flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    for bytes in [format!("\u{feff}{good}").into_bytes(), utf16(true), utf16(false)] {
        assert_eq!(CSV.rows(&bytes), expected);
        assert_eq!(SNIFFED.rows(&bytes), expected);
    }
    let record = r#"{"agent_id":"a","event_id":"b","event_type":"FILE","unique_id":"c"}"#;
    for mut bytes in
        [csv("a,b,FILE,,c,h\nd,e,FILE,,f,").into_bytes(), format!("{record}\n{{\"agent_id\":\"").into_bytes()]
    {
        let case = if bytes.starts_with(b"{") { LINES } else { CSV };
        let (row, at) = (bytes.iter().rposition(|&byte| byte == b'\n').unwrap() + 1, bytes.len());
        bytes.extend_from_slice(b"\xE9t\xE9\n");
        let line = bytes[..row].iter().filter(|&&byte| byte == b'\n').count() + 1;
        assert_eq!(
            case.problems(&bytes),
            [format!(
                "{line}:0+0 {at} | row 2, byte {row}: byte {at} is 0xE9, which is not UTF-8 there | save it as UTF-8; \
                 for Latin-1 or Windows-1252: `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`"
            )]
        );
        bytes[at] = 0;
        assert_eq!(case.problem(&bytes), format!("row 2, byte {row}: byte {at} is NUL"));
    }
    assert_eq!(
        CSV.problem(&utf16(false)[2..]),
        "row 1, byte 0: byte 1 is NUL: this looks like UTF-16 without a byte order mark"
    );
}

#[test]
fn fault_6_a_wrong_delimiter_a_preamble_and_second_headers_are_refused() {
    let semicolons = csv("a,b,FILE,,c,h\n").replace(',', ";");
    assert_eq!(
        CSV.problems(&semicolons),
        ["1:0+0 0 | header: required columns are missing: agent_id, event_id, event_type, unique_id; it has \
          \"agent_id;event_id;event_type;pid;unique_id;host\" | the line looks separated by semicolons: save it with \
          commas, or with tabs as .tsv"]
    );
    assert_eq!(CSV.help(semicolons.replace(';', "\t")), "the line looks separated by tabs: name the file .tsv");
    assert_eq!(TSV.help(semicolons.replace(';', ",")), "the line looks separated by commas: name the file .csv");
    assert_eq!(
        CSV.help("\"Agent ID\";\"Event ID\"\n\"a\";\"b\"\n"),
        "the line looks separated by semicolons: save it with commas, or with tabs as .tsv"
    );
    assert_eq!(
        CSV.problem(format!("Report of today\n{}", csv("a,b,FILE,,c,h\n"))),
        "header: required columns are missing: agent_id, event_id, event_type, unique_id; it has \"Report of today\""
    );
    assert_eq!(CSV.problem(csv(&csv("a,b,FILE,,c,h\n"))), "row 1, byte 48: it repeats the header");
    let tables = CSV.read(csv("a,b,FILE,,c,h\n\nhost,os\nx,y\n")).unwrap_err();
    assert_eq!(
        tables.iter().map(|problem| (problem.place.line, &*problem.message)).collect::<Vec<_>>(),
        [
            (4, "row 2, byte 63: it has 2 cells, the header has 6"),
            (5, "row 3, byte 71: it has 2 cells, the header has 6")
        ]
    );
}

#[test]
fn fault_7_headers_that_are_double_or_nearly_right_are_refused() {
    assert_eq!(
        CSV.problem("agent_id,event_id,event_type,unique_id,host,host\na,b,FILE,c,h,i\n"),
        "header: the column \"host\" is there twice"
    );
    assert_eq!(CSV.problem("agent_id,event_id,event_type,unique_id,\na,b,FILE,c,\n"), "header: column 5 has no name");
    assert_eq!(
        CSV.problem("agent_id,event_id,event_type,unique_id,\"a\nb\"\n"),
        "header: the name of column 5 holds a line end"
    );
    let many: Vec<_> = (0..1001).map(|number| format!("c{number}")).collect();
    assert_eq!(CSV.problem(many.join(",")), "header: it has 1001 columns; at most 1000 are read");
    assert_eq!(
        CSV.problems("Agent ID,event_id,event_type,unique_id\na,b,FILE,c\n"),
        [
            "1:0+0 0 | header: required columns are missing: agent_id; it has \"Agent ID\", \"event_id\", \"event_type\", \
          \"unique_id\" | did you mean `--map agent_id=\"Agent ID\"`? In a playbook: `columns: {agent_id: \"Agent ID\"}`"
        ]
    );
    assert_eq!(
        LINES.problems(r#"{"Agent ID":"a","event_id":"b","event_type":"FILE","unique_id":"c"}"#),
        ["1:0+0 0 | row 1, byte 0: agent_id is missing or empty | did you mean `--map agent_id=\"Agent ID\"`? In a \
          playbook: `columns: {agent_id: \"Agent ID\"}`"]
    );
    assert_eq!(
        LINES.help(r#"{"asset":{"agentId":"a"},"id":"b","type":"FILE"}"#),
        "did you mean `--map agent_id=\"asset.agentId\"`? In a playbook: `columns: {agent_id: \"asset.agentId\"}`; and name the columns of event_id, event_type, unique_id"
    );
    assert_eq!(
        CSV.help("agent_id,event_id,event_type,unique_id,PID\na,b,PROCESS,c,7\n"),
        "did you mean `--map pid=\"PID\"`? In a playbook: `columns: {pid: \"PID\"}`"
    );
}

#[test]
fn faults_10_and_11_name_the_row_the_byte_and_the_column() {
    let columns = console();
    let table = "Agent ID,Event ID,Type,Unique ID,PID,Detected\nä,b ,FILE,1.2E+12,010,\na,b,PROCESS,c,,\n";
    assert_eq!(
        Case { columns: Some(&columns), ..CSV }.problems(table),
        [
            "2:1+1 46 | row 1, byte 46: agent_id (column \"Agent ID\") has 'ä' (U+00E4) at byte 0, which no id has: \
             \"ä\" | ids are printable ASCII; copy them from the source; --partial-input leaves such rows out",
            "2:3+2 46 | row 1, byte 46: event_id (column \"Event ID\") has a space at byte 1: \"b \" | ids are taken as \
             they are; nothing is trimmed",
            "2:19+3 46 | row 1, byte 46: pid (column \"PID\") is no process id, a whole number from 0 to 4294967295 in \
             plain digits: \"010\" | -",
            "2:11+7 46 | row 1, byte 46: unique_id (column \"Unique ID\") is a number as a spreadsheet rewrites it, its \
             digits are lost: \"1.2E+12\" | export again and do not save the file from a spreadsheet",
            "3:15+1 70 | row 2, byte 70: pid (column \"PID\") is 0 or missing, and a PROCESS event needs it | -",
        ]
    );
    let events = Case { columns: Some(&columns), partial: true, ..CSV }.read(table).unwrap();
    assert_eq!(events.refused.len(), 2);
    assert_eq!(events.refused[1].reason, "pid (column \"PID\") is 0 or missing, and a PROCESS event needs it");
    let record = r#"{"agent_id":1e5,"event_id":["b"],"event_type":true,"unique_id":1.0,"pid":-1}"#;
    assert_eq!(
        LINES.problems(record).iter().map(|problem| problem.split(" | ").nth(1).unwrap()).collect::<Vec<_>>(),
        [
            "row 1, byte 0: agent_id is a number with a fraction or an exponent, not text",
            "row 1, byte 0: event_id is an array, not text",
            "row 1, byte 0: event_type is true or false, not text",
            "row 1, byte 0: pid is no process id, a whole number from 0 to 4294967295 in plain digits: \"-1\"",
            "row 1, byte 0: unique_id is a number with a fraction or an exponent, not text",
        ]
    );
}

#[test]
fn fault_15_no_rows_are_refused_unless_that_is_fine() {
    for (case, bytes) in [
        (&CSV, ""),
        (&CSV, HEADER),
        (&CSV, "\n\n"),
        (&JSON, "[]"),
        (&JSON, "{\"data\":[]}"),
        (&LINES, "\n \n"),
        (&SNIFFED, ""),
    ] {
        assert_eq!(
            case.problems(bytes),
            ["0:0+0 - | it has no rows | `empty: ok` at the source allows that"],
            "{bytes:?}"
        );
        let events = Case { empty_ok: true, ..*case }.read(bytes).unwrap();
        assert_eq!((events.rows.len(), events.digests.len()), (0, 1));
    }
    assert!(Case { empty_ok: true, ..CSV }.read("agent_id,event_i").is_err());
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let record = r#"{"agent_id":"a","event_id":"b","event_type":"FILE","unique_id":"c"}"#;
    for (document, expected) in [
        ("5", "1:0+0 0 | expected an array or an object at byte 0, but it is \"5\""),
        ("[1]", "1:0+0 1 | row 1, byte 1: expected an object, found a number"),
        ("[R,]", "1:0+0 69 | in"),
        ("[R R]", "1:0+0 69 | expected `,` or `]` at byte 69, but it is \"{\""),
        ("[R", "1:0+0 68 | expected `,` or `]` at byte 68, but the file ends"),
        ("R\nR", "2:0+0 68 | expected the end of the file at byte 68, but it is \"{\""),
        ("[R]]", "1:0+0 69 | expected the end of the file at byte 69, but it is \"]\""),
        ("{\"data\":[R],\"data\":[]}", "1:0+0 0 | the key \"data\" stands twice"),
        ("{\"data\":[R],\"n\":01}", "1:0+0 0 | invalid number"),
        (
            "[R,\n{\"a\":\"x\n\"}]",
            "2:0+0 70 | in the value at byte 70, a line ends inside a string: a quote is missing or stray",
        ),
        ("[R,{\"a\":[}]}]", "1:0+0 69 | row 2, byte 69: a value is missing or is no JSON"),
        ("[R,{\"a\":1,\"a\":1}]", "1:0+0 69 | row 2, byte 69: the key \"a\" stands twice"),
    ] {
        let problems = JSON.problems(document.replace('R', record));
        if !expected.ends_with("in") {
            assert_eq!(problems[0].rsplit_once(" | ").unwrap().0, expected, "{document}");
        }
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
    let lines = format!("{record}\n{{\"agent_id\":\n[]\n{record} x\n");
    assert_eq!(LINES.problems(&lines).len(), 3);
    let events = Case { partial: true, ..LINES }.read(&lines).unwrap();
    let refused: Vec<_> =
        events.refused.iter().map(|row| format!("{} {} {}", row.place.row, row.byte, row.reason)).collect();
    assert_eq!(
        refused,
        [
            "2 68 it ends too early: the file was probably cut",
            "3 81 expected an object, found an array",
            "4 84 something follows the object"
        ]
    );
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(LINES.problem(&long), "row 1, byte 0: it is longer than 1048576 bytes");
    assert_eq!(JSON.problem(format!("[{long}]")), "the value at byte 1 is longer than 1048576 bytes");
}

#[test]
fn every_problem_of_every_source_is_found_and_capped() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &str| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        SourceRequest {
            input: Input::File { name: name.to_owned(), path: folder.path().join(name) },
            columns: None,
            mappings: &[],
            empty_ok: false,
            format: None,
        }
    };
    let stdin = || SourceRequest { input: Input::Stdin, ..file("unused.csv", "") };
    let sources = vec![
        file("many.csv", &csv(&"a,b,FILE,,c\n".repeat(250))),
        file("good.CSV", &csv("a,b,FILE,,c,h\n")),
        file("odd.txt", "x"),
        SourceRequest {
            input: Input::File { name: "none.csv".to_owned(), path: folder.path().join("none.csv") },
            ..stdin()
        },
        stdin(),
        stdin(),
        file("last.json", "[1]"),
    ];
    let problems = read_with(&Request { sources, partial: false }, &mut &b"x"[..]).unwrap_err();
    let messages: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.file, problem.message)).collect();
    assert_eq!(problems.len(), 101 + 5);
    assert_eq!(messages[99], "many.csv: row 100, byte 1236: it has 5 cells, the header has 6");
    assert_eq!(
        messages[100..],
        [
            "many.csv: … and 150 more",
            "odd.txt: its ending does not say how it is written",
            "none.csv: there is no such file",
            "<stdin>: header: required columns are missing: agent_id, event_id, event_type, unique_id; it has \"x\"",
            "<stdin>: standard input can be read only once",
            "last.json: row 252, byte 1: expected an object, found a number",
        ]
    );
}

#[test]
fn rows_are_numbered_over_all_sources_and_each_has_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, csv("a,b,FILE,,c,h\n")).unwrap();
    let inline = |unique_id: &str| {
        let object =
            format!(r#"{{"agent_id":"x","event_id":"y","event_type":"FILE","unique_id":{unique_id},"n":1.5}}"#);
        (Place { line: 9, column: 5, length: 1, byte: None }, serde_json::from_str(&object).unwrap())
    };
    let sources = |events| {
        let file = Input::File { name: "a.csv".to_owned(), path: path.clone() };
        let events = Input::Inline { name: "playbook.yaml".to_owned(), events };
        [file, events]
            .map(|input| SourceRequest { input, columns: None, mappings: &[], empty_ok: false, format: None })
            .into()
    };
    let events = read(&Request { sources: sources(vec![inline("\"z\""), inline("-5")]), partial: false }).unwrap();
    assert_eq!(
        events.rows.iter().map(line).collect::<Vec<_>>(),
        [r#"1@2 a b FILE 0 c - {"host":"h"}"#, r#"2@9 x y FILE 0 z - {"n":1.5}"#, r#"3@9 x y FILE 0 -5 - {"n":1.5}"#]
    );
    assert_eq!(events.sources, ["a.csv", "playbook.yaml"]);
    assert_eq!(events.rows[2].place.source, 1);
    // As sha256sum prints it.
    assert_eq!(events.digests[0], "20dce9f6af0410f0a9c67a6a5825ebbe15675a457a66fa2619f1e951c1b48ea1");
    let problems = read(&Request { sources: sources(vec![inline("null")]), partial: false }).unwrap_err();
    assert_eq!(
        problem(&problems[0]),
        "9:5+1 - | row 2: unique_id is missing or empty | --partial-input leaves such rows out"
    );
}

#[test]
fn fault_17_only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folder.csv");
    std::fs::create_dir(&path).unwrap();
    let source = SourceRequest {
        input: Input::File { name: "folder.csv".to_owned(), path },
        columns: None,
        mappings: &[],
        empty_ok: true,
        format: None,
    };
    let problems = read(&Request { sources: vec![source], partial: true }).unwrap_err();
    assert_eq!(problem(&problems[0]), "0:0+0 - | it is a directory, not a regular file | name a file in it");
}

#[test]
fn foreign_text_in_messages_is_inert() {
    let message = CSV.problem(csv("\u{1b}[31m\u{202e}a,b,FILE,,c,h\n"));
    assert_eq!(
        message,
        "row 1, byte 48: agent_id has '\\u{1b}' (U+001B) at byte 0, which no id has: \"\\u{1b}[31m\\u{202e}a\""
    );
}
