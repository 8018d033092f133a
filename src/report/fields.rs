//! The names that templates may use, and the check that a template uses no other.
//!
//! Tera takes a misspelt field in a condition for false, so a report would silently leave things out. Here every `a.b`
//! of a template is looked at before it is rendered. Names below `attributes` are the input's own and are not checked;
//! `x["name"]` is never checked.

/// What stands at the top.
pub(super) const TOP: [&str; 5] = ["run", "summary", "items", "items_left_out", "rows_without_item"];

pub(super) const RUN: &[&str] = &[
    "id",
    "playbook",
    "tenant",
    "base_url",
    "description",
    "comment",
    "started",
    "ended",
    "tool_version",
    "simulated",
    "state_warning",
    "operator",
    "retry_of",
    "undo_of",
    "digest",
    "complete",
    "stopped",
    "exit_code",
];
/// What of `run` may be part of a report's path.
pub(super) const RUN_IN_PATH: &[&str] = &["id", "playbook", "tenant"];
pub(super) const SUMMARY: &[&str] =
    &["rows", "items", "rows_without_item", "outcomes", "calls", "waves", "explained", "approvals", "raised"];
pub(super) const OUTCOMES: &[&str] = &[
    "succeeded",
    "failed",
    "rejected",
    "still_queued",
    "timed_out",
    "open",
    "unknown",
    "unmatched",
    "skipped",
    "blocked",
    "not_started",
];
pub(super) const CALLS: &[&str] = &["posts", "gets", "gets_at_least", "throttled"];
pub(super) const ITEM: &[&str] = &[
    "item",
    "row",
    "file",
    "line",
    "step",
    "event_id",
    "agent_id",
    "event_type",
    "pid",
    "unique_id",
    "action",
    "action_id",
    "outcome",
    "reason",
    "remediation_id",
    "paired_by",
    "status",
    "status_message",
    "batch",
    "resolution",
    "resolution_note",
    "attributes",
];
pub(super) const ROW: &[&str] = &["row", "file", "line", "byte", "reason"];
const LOOP: &[&str] = &["index", "index0", "first", "last", "length"];

/// A name that the report does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misnamed {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    pub(super) message: String,
}

/// Checks every dotted name; below `run` only these are known.
pub(super) fn check(template: &str, run: &'static [&'static str]) -> Result<(), Misnamed> {
    for name in names(template) {
        let mut path = name.parts.iter();
        let Some((_, root)) = path.next() else { continue };
        let mut known = below_root(root, run);
        for (at, field) in path {
            if !known.iter().any(|names| names.contains(field)) {
                return Err(misnamed(template, *at, field, &known.concat()));
            }
            known = match *field {
                "attributes" => break,
                "outcomes" => vec![OUTCOMES],
                "calls" => vec![CALLS],
                _ => anywhere(),
            };
        }
    }
    Ok(())
}

/// The error for a variable that nothing defines.
pub(super) fn unknown_variable(template: &str, variable: &str, known: &[&str]) -> Misnamed {
    let at = names(template).into_iter().filter_map(|name| name.parts.first().copied());
    let at = at.filter(|&(_, root)| root == variable).map(|(at, _)| at).next().unwrap_or(0);
    misnamed(template, at, variable, known)
}

fn below_root(root: &str, run: &'static [&'static str]) -> Vec<&'static [&'static str]> {
    match root {
        "run" => vec![run],
        "summary" => vec![SUMMARY],
        "loop" => vec![LOOP],
        _ => anywhere(),
    }
}

/// A template's own variables can hold any part of the view.
fn anywhere() -> Vec<&'static [&'static str]> {
    vec![ITEM, ROW, RUN, SUMMARY, OUTCOMES, CALLS]
}

fn misnamed(template: &str, at: usize, name: &str, known: &[&str]) -> Misnamed {
    let before = &template[..at];
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    let slips_max = if name.chars().count() > 4 { 2 } else { 1 };
    let slips = |known: &&&str| strsim::damerau_levenshtein(known, name);
    let nearest = known.iter().min_by_key(slips).filter(|known| slips(known) <= slips_max);
    let help = nearest.map(|known| format!(", did you mean `{known}`?")).unwrap_or_default();
    let message = format!("the report has no `{name}`{help}");
    Misnamed { line: before.matches('\n').count() + 1, column, message }
}

/// A dotted name: each part with its byte offset.
struct Name<'t> {
    parts: Vec<(usize, &'t str)>,
}

/// All names inside of `{{ }}` and `{% %}`, without those in strings and raw blocks.
fn names(template: &str) -> Vec<Name<'_>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some((start, close)) = next_tag(template, at) {
        if close == "#}" {
            at = template[start..].find(close).map_or(template.len(), |end| start + end + 2);
            continue;
        }
        let end = tag_end(template, start, close);
        let inside = &template[start..end];
        if close == "%}" && inside.trim_matches(['-', ' ', '\t', '\n', '\r']) == "raw" {
            at = raw_end(template, end);
            continue;
        }
        names_of_tag(inside, start, &mut all);
        at = end;
    }
    all
}

/// Where the next tag's inside begins, and what closes it.
fn next_tag(template: &str, from: usize) -> Option<(usize, &'static str)> {
    let mut at = from;
    while let Some(found) = template.get(at..)?.find('{') {
        let inside = at + found + 2;
        match template.as_bytes().get(at + found + 1) {
            Some(b'{') => return Some((inside, "}}")),
            Some(b'%') => return Some((inside, "%}")),
            Some(b'#') => return Some((inside, "#}")),
            _ => at = at + found + 1,
        }
    }
    None
}

/// The end of a tag: its closing sign outside of strings.
fn tag_end(template: &str, start: usize, close: &str) -> usize {
    let mut at = start;
    while at < template.len() && !template[at..].starts_with(close) {
        at = match string_end(template, at) {
            Some(end) => end,
            None => at + template[at..].chars().next().map_or(1, char::len_utf8),
        };
    }
    at.min(template.len())
}

/// The end of the string that begins here, if one does.
fn string_end(text: &str, at: usize) -> Option<usize> {
    let quote = text[at..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut escaped = false;
    for (offset, c) in text[at + 1..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1 + offset + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Where the text goes on after the `endraw` tag.
fn raw_end(template: &str, from: usize) -> usize {
    let mut at = from;
    while let Some((start, close)) = next_tag(template, at) {
        let end = template[start..].find(close).map_or(template.len(), |end| start + end);
        if close == "%}" && template[start..end].contains("endraw") {
            return end;
        }
        at = start;
    }
    template.len()
}

fn names_of_tag<'t>(inside: &'t str, offset: usize, all: &mut Vec<Name<'t>>) {
    let mut at = 0;
    // Whether what stands just before continues a name: `a.`, `a[0].`, `f().`
    let mut continues = false;
    while at < inside.len() {
        let rest = &inside[at..];
        let first = rest.chars().next().unwrap_or(' ');
        if let Some(end) = string_end(inside, at) {
            (at, continues) = (end, false);
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let part = (offset + at, &rest[..length]);
            match all.last_mut().filter(|_| continues) {
                Some(name) => name.parts.push(part),
                None => all.push(Name { parts: vec![part] }),
            }
            at += length;
            continues = false;
        } else if first.is_ascii_digit() {
            at += rest.find(|c: char| !c.is_alphanumeric() && c != '.' && c != '_').unwrap_or(rest.len());
            continues = false;
        } else {
            let dotted = first == '.' && at > 0 && !inside[..at].ends_with([' ', '\n', '\t', '.']);
            let after_bracket = dotted && inside[..at].trim_end_matches('?').ends_with([']', ')']);
            if after_bracket {
                // The name inside of the brackets is not what is continued: begin anew below an unknown root.
                all.push(Name { parts: vec![(offset + at, "")] });
            }
            continues = dotted;
            at += first.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fails(template: &str, line: usize, column: usize, message: &str) {
        assert_eq!(check(template, RUN), Err(Misnamed { line, column, message: message.to_owned() }));
    }

    #[test]
    fn misspelt_fields_are_found_where_tera_would_not() {
        fails("a\n{% if item.statu == 'x' %}", 2, 12, "the report has no `statu`, did you mean `status`?");
        fails("{% if run.outcome %}", 1, 11, "the report has no `outcome`");
        fails("{{ summary.outcomes.succeded }}", 1, 21, "the report has no `succeded`, did you mean `succeeded`?");
        fails("{{ items[0].outcom }}", 1, 13, "the report has no `outcom`, did you mean `outcome`?");
        fails("ü{{ \"}}\" ~ run.tennant }}", 1, 16, "the report has no `tennant`, did you mean `tenant`?");
        fails("{% raw %}{{ a.b }}{% endraw %}{{ a.b }}", 1, 36, "the report has no `b`");
        fails("{{ item?.nope }}", 1, 10, "the report has no `nope`");
        fails("{{ loop.indx }}", 1, 9, "the report has no `indx`, did you mean `index`?");
    }

    #[test]
    fn names_that_exist_pass() {
        for template in [
            "{{ item.attributes.anything.at.all }} {{ item.attributes[\"a.b\"] }}",
            "{# run.nope #}run.nope {{ 'run.nope' }} {{ 1.5 }} {{ run.id | default(value=\"x.y\") }}",
            "{% for k, v in summary.outcomes %}{{ loop.index }} {{ k }}{% endfor %} {{ summary.calls.posts }}",
            "{%- raw -%}{{ a.b }}{% if %}{%- endraw -%}{{ run.id }}",
            "{{ unclosed.",
            "{",
            "{{ a ~ \"unclosed",
        ] {
            assert_eq!(check(template, RUN), Ok(()), "{template}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_template_makes_it_panic(template in "[{}%#a-z.\"'\\[\\]ü\\\\ \n-]{0,40}") {
            let _ = check(&template, RUN);
        }
    }
}
