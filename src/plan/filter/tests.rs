//! Filters as users write them: what they select, what is refused and where, and that hostile ones end.

use super::*;
use crate::events::{Event, RowPlace};
use crate::tenant::EventType;

fn event(attributes: &str) -> Event {
    Event {
        place: RowPlace { row: 1, source: 0, line: 2 },
        agent_id: "agent-1".into(),
        event_id: "RTF_1".into(),
        event_type: EventType::File,
        pid: 42,
        unique_id: "-77".into(),
        action: None,
        attributes: attributes.into(),
    }
}

fn vars() -> BTreeMap<String, String> {
    [("sha256", "abc"), ("pattern", "^C:.*exe$")].map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

fn evaluate(source: &str, attributes: &str) -> Result<bool, String> {
    let filter = Filter::compile(source, &vars()).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let event = event(attributes);
    let mut reader = ColumnReader::new(std::iter::once(&filter));
    let row = reader.read(&event)?;
    filter.selects(&row)
}

const ROW: &str = r#"{"Verdict":"MALICIOUS","Score":"8","n":8,"big":18446744073709551615,"half":0.5,"none":null,
    "threatName":"Ab\u0301c","file":{"fullPath":"C:\\x.exe","size":12},"indicator2":[{"verdict":"A"},{"verdict":"B"}],
    "Path With  Spaces!":"p"}"#;

#[test]
fn expressions_answer_over_all_kinds_of_columns() {
    let cases = [
        ("verdict == \"MALICIOUS\"", true),
        ("int(score) >= 8", true),
        ("n >= 8 && n < 9 && n == 8.0", true),
        ("half == 0.5 && big > 9", true),
        ("none == null && absent_here == null", true),
        ("absent_here == 'x'", false),
        ("threat_name.contains('b')", true),
        ("file.full_path.endsWith('.exe') && file.size == 12", true),
        ("has(file.size) && !has(file.sha256)", true),
        ("indicator2.exists(i, i.verdict == 'B')", true),
        ("indicator2.all(i, i.verdict in ['A', 'B'])", true),
        ("['A', 'Z'].exists(v, indicator2.size() == 2 && v == 'Z')", true),
        ("path_with_spaces == 'p'", true),
        (
            "agent_id == 'agent-1' && event_id == 'RTF_1' && event_type == 'FILE' && pid == 42 && unique_id == '-77'",
            true,
        ),
        ("vars.sha256 == 'abc' && has(vars.sha256)", true),
        ("file.full_path.matches(vars.pattern)", true),
        ("matches(verdict, '(?i)^mal')", true),
        ("verdict.lowerAscii().trim() == 'malicious'", true),
        ("score == '8' ? pid > 41 : false", true),
        ("!(verdict in ['OK', 'SUSPICIOUS'])", true),
        ("verdict != 'OK' // why not", true),
        ("verdict in [r,\"a\\\"b\", r'\\', '''x'y''', 'MALICIOUS']", true),
        ("'(((' == '(((' && r'\\' == '\\\\'", true),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source, ROW), Ok(expected), "{source}");
    }
}

#[test]
fn a_row_that_cannot_be_judged_says_why() {
    let cases = [
        ("score == 8", "==: compares text with a number: convert one with int(), double() or string()"),
        ("score != 0", "!=: compares text with a number: convert one with int(), double() or string()"),
        ("n in ['8', '9']", "in: compares a number with text: convert one with int(), double() or string()"),
        ("score", "the filter gives text, not true or false"),
        ("int(verdict) > 1", "int() is given a text that is no whole number"),
        ("score > 7", "_>_ cannot be applied to string and int"),
        ("absent_here > 7", "_>_ cannot be applied to null_type and int"),
        ("file.sha256 == 'x'", "there is no \"sha256\" in this row; has() tells whether there is one"),
        ("n / 0 == 1", "division by zero"),
        ("verdict.exists(v, true)", "iterable is needed, string is given"),
    ];
    for (source, expected) in cases {
        assert_eq!(evaluate(source, ROW), Err(expected.to_owned()), "{source}");
    }
    assert_eq!(
        evaluate("verdict == 'x'", r#"{"Verdict":"x","verdict":"y"}"#),
        Err("two columns are called verdict in a filter".to_owned())
    );
}

#[test]
fn what_is_wrong_is_found_when_compiling_with_its_place() {
    let cases = [
        ("", "the filter is empty", ""),
        ("verdict = 'x'", "a single = is no comparison", "="),
        ("verdict == 'x", "this text is never closed", "'"),
        ("(verdict == 'x'", "this bracket is never closed", "("),
        ("verdict == 'x')", "this bracket closes nothing", ")"),
        ("a b", "`b` cannot stand here", "b"),
        ("'é' == x..y", "`..` cannot stand here", "."),
        ("a ==", "the filter ends too early", ""),
        ("'é' == vars.sha265", "there is no variable `sha265`", "vars.sha265"),
        ("vars == 'x'", "vars alone has no value", "vars"),
        ("'é' == lower(a)", "there is no function `lower`", "lower"),
        ("a.contains()", "value.contains() does not take 0 arguments", "("),
        ("contains(a, 'x')", "contains() does not take 2 arguments", "("),
        ("a.matches(b)", "the pattern is not the same for all rows", "b"),
        ("'é' == '' || a.matches('(')", "this is no regular expression: unclosed group", "'('"),
        ("a.map(x, x)", "map and filter are not available here", "("),
        ("a.exists(x, b.exists(y, y == x))", "a loop in a loop cannot go through a column", "("),
        ("[a + a].exists(x, x == 'y')", "a loop cannot go through a sum", "+"),
        ("a.?b", "the filter cannot be read: unsupported syntax '.?'", "."),
        ("T{a: 1} == 1", "filters know no message types", "{"),
    ];
    for (source, message, wrong) in cases {
        let errors = Filter::compile(source, &vars()).expect_err(source);
        let first = &errors[0];
        assert_eq!(first.message, message, "{source}");
        assert_eq!(source.get(first.range.clone()).unwrap_or_default(), wrong, "{source}: {errors:?}");
    }
}

#[test]
fn all_mistakes_of_one_expression_are_found_together() {
    let errors = Filter::compile("lower(a) == vars.nope && b.matches('[')", &vars()).expect_err("three mistakes");
    let found: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn help_names_what_was_probably_meant() {
    let help = |source: &str| Filter::compile(source, &vars()).expect_err(source).remove(0).help.unwrap_or_default();
    assert_eq!(help("a.startswith('x')"), "did you mean `startsWith`?");
    assert_eq!(help("a == vars.sha265"), "did you mean `vars.sha256`?");
    assert_eq!(help("contains(a, 'x')"), "write value.contains(…)");
    assert_eq!(help("a.int() == 1"), "write int(…)");
}

#[test]
fn hostile_expressions_are_refused_and_never_overflow_the_stack() {
    let repeat = |part: &str, times: usize| part.repeat(times);
    let cases = [
        vec!["1"; 1000].join("+") + " == 1",
        vec!["1"; 240].join("+") + " == 1",
        repeat("(", 240) + "1" + &repeat(")", 240),
        repeat("(", 7000),
        repeat("[", 240) + "1" + &repeat("]", 240),
        repeat("!", 3000) + "true",
        repeat("true ? true : ", 240) + "true",
        "a".to_owned() + &repeat("[0]", 240),
        "a".to_owned() + &repeat(".size()", 240),
        vec!["a"; 1200].join(" in "),
        vec!["a"; 240].join(" == "),
        vec!["a"; 7000].join("."),
        repeat("]a(", 1000),
        repeat("\u{1F600}", 4000),
        repeat("x", SOURCE_BYTES_MAX + 1),
        "a.exists(x, x.exists(y, y.exists(z, true)))".to_owned(),
        "a.matches('(a{1000}){1000}')".to_owned(),
    ];
    for source in cases {
        let short: String = source.chars().take(40).collect();
        match Filter::compile(&source, &vars()) {
            Err(errors) => assert!(!errors.is_empty(), "{short}"),
            // Long but shallow: its evaluation must fit a test thread's stack of 2 MB.
            Ok(filter) => {
                let event = event(r#"{"a":"x"}"#);
                let mut reader = ColumnReader::new(std::iter::once(&filter));
                let row = reader.read(&event).expect("a readable row");
                assert!(short.starts_with("!!!") || filter.selects(&row).is_err(), "{short}");
            }
        }
    }
}

#[test]
fn the_deepest_accepted_expression_fits_a_small_stack() {
    let deepest = (1..200)
        .map(|times| "true == (".repeat(times) + "true" + &")".repeat(times))
        .take_while(|source| Filter::compile(source, &vars()).is_ok())
        .last()
        .expect("one level is accepted");
    assert_eq!(deepest.matches("==").count(), 24);
    let evaluated = std::thread::Builder::new().stack_size(1536 * 1024).spawn(move || evaluate(&deepest, "{}"));
    assert_eq!(evaluated.expect("a thread").join().expect("no overflow"), Ok(true));
}

#[test]
fn a_long_list_of_hashes_and_a_hundred_comparisons_fit() {
    let hashes: Vec<String> = (0..200).map(|number| format!("\"{number:064x}\"")).collect();
    assert_eq!(evaluate(&format!("verdict in [{}]", hashes.join(", ")), ROW), Ok(false));
    let terms: Vec<String> = (0..100).map(|number| format!("(verdict == '{number}' && pid == 42)")).collect();
    let errors = Filter::compile(&terms.join(" || "), &vars()).expect_err("300 operators and brackets");
    assert_eq!(errors[0].message, "the filter has more than 250 operators and brackets");
    assert_eq!(evaluate(&terms[..80].join(" || "), ROW), Ok(false));
}

#[test]
fn columns_that_no_event_has_are_known_after_as_few_events_as_possible() {
    let filter = Filter::compile("verdict == 'x' && nope == 1 && later == 2 && pid > 0", &vars()).expect("compiles");
    let names: Vec<&str> = filter.columns().iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["verdict", "nope", "later", "pid"]);
    let events = [event(r#"{"Verdict":"x"}"#), event(r#"{"Later":null}"#)];
    let mut reader = ColumnReader::new(std::iter::once(&filter));
    assert_eq!(reader.missing(&events), [Box::<str>::from("nope")]);
    let names = ColumnReader::all_names(&events);
    assert_eq!(
        names.iter().map(String::as_str).collect::<Vec<_>>(),
        ["agent_id", "event_id", "event_type", "later", "pid", "unique_id", "verdict"]
    );
}

/// Prints what a row costs; a regression to seconds per thousand rows fails.
#[test]
fn a_row_costs_microseconds() {
    let columns: Vec<String> = (0..30).map(|number| format!("\"Column {number}\":\"some text {number}\"")).collect();
    let event =
        event(&format!("{{{},\"Verdict\":\"MALICIOUS\",\"Score\":\"9\",\"Path\":\"C:\\\\x.exe\"}}", columns.join(",")));
    let filters: Vec<Filter> = [
        "verdict == 'MALICIOUS' && int(score) >= 8",
        "verdict in ['A', 'B', 'MALICIOUS'] && path.matches('(?i)^c:.*[.]exe$')",
    ]
    .iter()
    .map(|source| Filter::compile(source, &vars()).expect("compiles"))
    .collect();
    let mut reader = ColumnReader::new(filters.iter());
    let rows = 2_000;
    let started = std::time::Instant::now();
    for _ in 0..rows {
        let row = reader.read(&event).expect("a readable row");
        assert!(filters.iter().all(|filter| filter.selects(&row) == Ok(true)));
    }
    let each = started.elapsed() / rows;
    println!("{each:?} for each row of 33 columns under two filters");
    assert!(each < std::time::Duration::from_millis(3), "{each:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, ..Default::default() })]

    /// The parser never panics, and whatever compiles can be evaluated.
    #[test]
    fn any_text_is_compiled_or_refused(parts in proptest::collection::vec(proptest::sample::select(vec![
        "a", "b.c", "vars", "vars.sha256", "(", ")", "[", "]", "{", "}", ",", ":", "?", ".", "==", "!=", "in", "&&", "||", "!",
        "-", "+", "%", "1", "1.5", "0x", "18446744073709551616", "'x'", "r'\\d'", "\"", "b'q'", ".exists(x, x == 'x')", "has(a.b)",
        ".matches('[a')", "true", "null", "é", "\u{202e}", "`", "\n", "//", " ", "@in", "$", "T{", "as", "'\\u00'", "'\\x", ".size()",
    ]), 0..12)) {
        let source = parts.concat();
        match Filter::compile(&source, &vars()) {
            Ok(filter) => {
                let event = event(ROW);
                let mut reader = ColumnReader::new(std::iter::once(&filter));
                let row = reader.read(&event).expect("a readable row");
                let _answer_or_reason = filter.selects(&row);
            }
            Err(errors) => {
                proptest::prop_assert!(!errors.is_empty());
                for error in errors {
                    proptest::prop_assert!(error.message != "this expression cannot be read", "{}", source);
                    proptest::prop_assert!(error.range.start < error.range.end);
                }
            }
        }
    }
}
