//! Reports as files.

use super::*;
use std::fs;

fn write_to(path: &Path) -> Result<(), ReportError> {
    Fixture::everything().with(|source| write_file(&ReportFormat::Json, source, path))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_report_is_written_whole_and_replaced_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a/b/report.json");
    write_to(&path).expect("it is written");
    fs::write(&path, "old").expect("it can be overwritten");
    write_to(&path).expect("it is written again");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), rendered(&ReportFormat::Json));
    assert_eq!(names(path.parent().expect("it has one")), ["report.json"], "nothing is left beside it");
}

#[test]
fn a_failure_leaves_the_old_report_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.json");
    fs::write(&path, "old").expect("it can be written");
    let mut fixture = Fixture::everything();
    fixture.rows.pop();
    let result = fixture.with(|source| write_file(&ReportFormat::Json, source, &path));
    assert!(matches!(result, Err(ReportError::DoesNotAddUp(_))), "{result:?}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
    assert_eq!(names(folder.path()), ["report.json"]);
}

#[test]
fn an_unwritable_place_is_named_with_its_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("it can be written");
    let path = folder.path().join("file/report.json");
    let error = write_to(&path).expect_err("a file is no folder").to_string();
    assert!(error.starts_with(&format!("cannot create the folder of {}: ", path.display())), "{error}");
    let error = write_to(folder.path()).expect_err("a folder is no report").to_string();
    assert!(error.contains("there is a folder at this path"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_planted_link_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (canary, path) = (folder.path().join("canary"), folder.path().join("report.json"));
    for target in [canary.clone(), folder.path().join("nowhere")] {
        fs::write(&canary, "alive").expect("it can be written");
        std::os::unix::fs::symlink(&target, &path).expect("it can be linked");
        let error = write_to(&path).expect_err("it is a link").to_string();
        assert!(error.contains("there is a symbolic link at this path"), "{error}");
        assert_eq!(fs::read_to_string(&canary).expect("it is there"), "alive");
        assert_eq!(names(folder.path()), ["canary", "report.json"]);
        fs::remove_file(&path).expect("it can be removed");
    }
}

#[test]
fn paths_are_rendered_strictly() {
    let path = |template: &str| render_path(template, &run_meta()).map_err(|error| error.to_string());
    assert_eq!(path("out/{{ run.id }}.html"), Ok(PathBuf::from("out/contain-0612-7f3.html")));
    assert_eq!(path("./{{ run.tenant }}/{{ run.playbook | upper }}.json"), Ok(PathBuf::from("./prod-eu/CONTAIN.json")));
    for (template, message) in [
        ("{{ run.idd }}", "{{ run.idd }}:1:8: the report has no `idd`, did you mean `id`?"),
        ("{{ rn.id }}", "{{ rn.id }}:1:4: the report has no `rn`, did you mean `run`?"),
        ("{{ items }}", "{{ items }}:1:4: the report has no `items`"),
        ("{% if run.digest %}x{% endif %}y", "{% if run.digest %}x{% endif %}y:1:11: the report has no `digest`"),
        ("{{ run.id", "{{ run.id:1:10: unexpected end of input"),
        (
            "../{{ run.id }}",
            "../{{ run.id }}: the report's path \"../contain-0612-7f3\" leaves the working folder; use a path below it",
        ),
        ("/etc/x", "/etc/x: the report's path \"/etc/x\" leaves the working folder; use a path below it"),
        ("a/..", "a/..: the report's path \"a/..\" names no file"),
        ("", ": the report's path \"\" names no file"),
    ] {
        assert_eq!(path(template), Err(message.to_owned()), "{template}");
    }
}

#[test]
fn a_value_that_is_no_file_name_never_becomes_part_of_a_path() {
    for value in ["../up", "a/b", "a\\b", "c:x", ".hidden", "", "a\0b", "a\u{202e}b"] {
        let run = RunMeta { tenant: value.to_owned(), ..run_meta() };
        for template in ["out/{{ run.tenant }}.csv", "out/{{ run[\"tenant\"] }}.csv"] {
            assert!(render_path(template, &run).is_err(), "{value:?} in {template}");
        }
        assert!(render_path("tenant/{{ run.id }}.csv", &run).is_ok());
    }
}
