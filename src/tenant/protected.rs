//! Protected targets as they are written: in a tenant, in a playbook, and in files of rules that both may name.
//!
//! This is what was written, checked and with its places. Which rows match is decided where plans are made. It opens no
//! file: whoever reads the files that are named adds their rules.

use super::Word;
use crate::problem::Problem;
use crate::yaml::{Entries, Field, FromText, NumberOrText, Reader, Refusal, Spanned, Version, Written};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::IpAddr;

/// How many rules a file may have, and a plan in all.
const RULES_MAX: usize = 10_000;
/// How long a pattern may be, in bytes.
const PATTERN_BYTES_MAX: usize = 1024;

/// `protected:` of a tenant or a playbook.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Protected {
    /// What happens to a plan of which something matches; `None` is not said.
    pub on_match: Option<Spanned<OnMatch>>,
    /// Files of rules that nobody has read yet.
    pub files: Vec<Spanned<String>>,
    /// The rules, those of files that were read before those that are written in place.
    pub rules: Vec<Rule>,
    /// The files that were read.
    pub read: Vec<RulesFile>,
}

/// A file of rules, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesFile {
    /// Its name as it was written.
    pub file: String,
    /// Where it was read.
    pub path: std::path::PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// What happens to a plan of which something matches a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMatch {
    /// It is held: nothing is sent.
    Hold,
    /// Its items that match are blocked, the others are carried out.
    Skip,
}

/// One rule: every matcher has to match.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it protects, in the words of whoever wrote it.
    pub name: String,
    /// At least one.
    pub matchers: Vec<Matcher>,
    /// Whether what a row does not say does not match; otherwise it does.
    pub ignores_missing: bool,
}

/// What is looked at, and what it must be like: one of these is enough.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// Patterns of host names.
    Host(Vec<String>),
    /// Agent ids.
    AgentId(Vec<String>),
    /// Networks.
    Cidr(Vec<IpNet>),
    /// Patterns of paths.
    Path(Vec<String>),
    /// Patterns of the file names of processes.
    Process(Vec<String>),
    /// Patterns of tags.
    Tag(Vec<String>),
    /// Patterns of any other column.
    Attribute {
        /// In snake case.
        column: String,
        /// The patterns.
        patterns: Vec<String>,
    },
}

/// The JSON Schema (draft 2020-12) of a file of rules, for editors and for checks in a pipeline.
pub fn protected_schema() -> serde_json::Value {
    schemars::schema_for!(RulesFileFile).to_value()
}

/// Reads a file of rules; `file` is what problems call it. All problems are found at once.
pub fn read_protected_file(file: &str, text: &str) -> Result<Vec<Rule>, Vec<Problem>> {
    let reader = Reader::new(file, text);
    let rules = reader.read::<RulesFileFile>().read().and_then(|file| {
        let version = reader.require(file.value.version, "version", file.place);
        let rules = reader.require(file.value.rules, "rules", file.place);
        version?;
        Some(read_rules(&reader, rules?.value))
    });
    reader.finish(rules)
}

/// Protected targets: a file of rules that tenants and playbooks name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "quell protected targets")]
struct RulesFileFile {
    /// The version of this file's form.
    version: Field<Version>,
    /// What must not be acted on.
    rules: Field<Vec<Field<RuleFile>>>,
}

/// What must not be acted on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Protected")]
pub(crate) struct ProtectedFile {
    /// What happens to a plan of which something matches: it is held, or the items that match are left out.
    #[serde(default)]
    #[schemars(extend("default" = "hold"))]
    on_match: Field<OnMatch>,
    /// Files of rules, relative to this file.
    #[serde(default)]
    files: Field<Vec<Field<Written<Word>>>>,
    /// Rules.
    #[serde(default)]
    rules: Field<Vec<Field<RuleFile>>>,
}

/// One rule: every matcher that is written has to match, each by one of its patterns. In patterns `*` stands for any
/// text and `?` for one character.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule", extend("anyOf" = [
    {"required": ["host"]}, {"required": ["agent_id"]}, {"required": ["cidr"]}, {"required": ["path"]},
    {"required": ["process"]}, {"required": ["tag"]}, {"required": ["attribute"]},
]))]
pub(crate) struct RuleFile {
    /// What it protects.
    name: Field<Written<Word>>,
    /// Host names.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    host: Field<Vec<Field<NumberOrText<Pattern>>>>,
    /// Agent ids, whole.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    agent_id: Field<Vec<Field<NumberOrText<Word>>>>,
    /// Networks, like `10.0.0.0/8`, or single addresses.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    cidr: Field<Vec<Field<NumberOrText<Network>>>>,
    /// Paths; `\` and `/` are alike.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    path: Field<Vec<Field<NumberOrText<Pattern>>>>,
    /// File names of processes.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    process: Field<Vec<Field<NumberOrText<ProcessName>>>>,
    /// Tags.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    tag: Field<Vec<Field<NumberOrText<Pattern>>>>,
    /// Any other columns, in snake case.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1, "propertyNames" = {"pattern": "^[a-z_][a-z0-9_]*$"}))]
    attribute: Field<Entries<Vec<Field<NumberOrText<Pattern>>>>>,
    /// What a row that does not say it counts as: a match, unless this is `ignore`.
    #[serde(default)]
    if_missing: Field<IfMissing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum IfMissing {
    /// It counts as a match.
    Match,
    /// It does not.
    Ignore,
}

/// Checks protected targets; what is wrong is reported.
pub(crate) fn read_protected(reader: &Reader<'_>, file: ProtectedFile) -> Protected {
    let mut files: Vec<Spanned<String>> = Vec::new();
    for file in file.files.value().into_iter().flatten().filter_map(Field::read) {
        let file = file.map(|Written(Word(file))| file);
        if files.iter().any(|earlier| earlier.value == file.value) {
            reader.report(file.place, format!("`{}` is in this list twice", file.value));
        }
        files.push(file);
    }
    let rules = file.rules.value().map(|rules| read_rules(reader, rules)).unwrap_or_default();
    Protected { on_match: file.on_match.read(), files, rules, read: Vec::new() }
}

fn read_rules(reader: &Reader<'_>, files: Vec<Field<RuleFile>>) -> Vec<Rule> {
    let mut first_lines = HashMap::new();
    let mut rules = Vec::new();
    for Spanned { value: file, place } in files.into_iter().filter_map(Field::read) {
        if rules.len() == RULES_MAX {
            reader.report(place, format!("there are more than {RULES_MAX} rules"));
            break;
        }
        let name = reader.require(file.name, "name", place).map(|name| name.map(|Written(Word(name))| name));
        if let Some(name) = &name
            && let Some(line) = first_lines.insert(name.value.clone(), name.place.line)
        {
            let message = format!("there is a rule `{}` already, on line {line}", name.value);
            reader.report_help(name.place, message, "give each rule a name of its own: it is what people are told");
        }
        let ignores_missing = matches!(file.if_missing.value(), Some(IfMissing::Ignore));
        let mut matchers = Vec::new();
        let texts = |patterns: Vec<Pattern>| patterns.into_iter().map(|Pattern(text)| text).collect::<Vec<_>>();
        let mut any = false;
        let mut add = |written: bool, matcher: Option<Matcher>| {
            any |= written;
            matchers.extend(matcher);
        };
        add(file.host.is_present(), listed_values(reader, file.host).map(|list| Matcher::Host(texts(list))));
        let ids = |list: Vec<Word>| Matcher::AgentId(list.into_iter().map(|Word(id)| id).collect());
        add(file.agent_id.is_present(), listed_values(reader, file.agent_id).map(ids));
        let nets = |list: Vec<Network>| Matcher::Cidr(list.into_iter().map(|Network(net)| net).collect());
        add(file.cidr.is_present(), listed_values(reader, file.cidr).map(nets));
        add(file.path.is_present(), listed_values(reader, file.path).map(|list| Matcher::Path(texts(list))));
        let names = |list: Vec<ProcessName>| Matcher::Process(list.into_iter().map(|ProcessName(name)| name).collect());
        add(file.process.is_present(), listed_values(reader, file.process).map(names));
        add(file.tag.is_present(), listed_values(reader, file.tag).map(|list| Matcher::Tag(texts(list))));
        let columns = file.attribute.is_present();
        for (column, patterns) in file.attribute.value().map_or_else(Vec::new, |Entries(columns)| columns) {
            check_column(reader, &column);
            let patterns = listed_values(reader, patterns);
            let matcher = patterns.map(|list| Matcher::Attribute { column: column.value, patterns: texts(list) });
            add(true, matcher);
        }
        add(columns, None);
        if !any || (columns && matchers.is_empty()) {
            let help = "add what tells them: host, agent_id, cidr, path, process, tag or attribute";
            reader.report_help(place, "this rule says nothing of what it protects", help);
        }
        rules.push(Rule { name: name.map(|name| name.value).unwrap_or_default(), matchers, ignores_missing });
    }
    rules
}

/// The values of a list that could be read. An empty one would never match, without a word.
fn listed_values<T>(reader: &Reader<'_>, list: Field<Vec<Field<NumberOrText<T>>>>) -> Option<Vec<T>> {
    let Spanned { value: list, place } = list.read()?;
    if list.is_empty() {
        reader.report_help(place, "this list is empty, so the rule would protect nothing", "remove the rule");
    }
    Some(list.into_iter().filter_map(Field::value).map(|NumberOrText(value)| value).collect())
}

/// Columns are named as filters name them. An event's own fields are no columns.
fn check_column(reader: &Reader<'_>, column: &Spanned<String>) {
    let is_identifier = column.value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && column.value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match column.value.as_str() {
        "agent_id" => reader.report_help(column.place, "an agent's id is no attribute", "write `agent_id: [ID]`"),
        "event_id" | "event_type" | "pid" | "unique_id" | "action" => {
            let message = format!("`{}` is a field of the event, not a column beside it", column.value);
            reader.report_help(column.place, message, "leave such rows out with `where` or --where");
        }
        _ if !is_identifier => {
            let message = format!("`{}` is not the name of a column in snake case", column.value);
            reader.report_help(column.place, message, "the column `Asset Group` is `asset_group` here, as in filters");
        }
        _ => {}
    }
}

/// What a text must be like: `*` stands for any text, `?` for one character, all else for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(String);

impl FromText for Pattern {
    fn expected() -> String {
        "a pattern like `DC-*`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(Refusal::Because(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes")));
        }
        Word::from_text(text).map(|Word(text)| Self(text))
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "integer"], "minLength": 1, "maxLength": PATTERN_BYTES_MAX})
    }
}

/// A pattern of a process's file name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessName(String);

impl FromText for ProcessName {
    fn expected() -> String {
        "a process's file name, or a pattern of it, like `lsass.exe`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.contains(['/', '\\']) {
            return Err(Refusal::Because(
                "a process is told by its file name alone; folders belong to `path`".to_owned(),
            ));
        }
        Pattern::from_text(text).map(|Pattern(text)| Self(text))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": PATTERN_BYTES_MAX, "pattern": r"^[^/\\]+$"})
    }
}

/// A network, or one address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Network(IpNet);

impl FromText for Network {
    fn expected() -> String {
        "a network like `10.0.0.0/8`, or an address".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(IpNet::from(address)));
        }
        let net: IpNet = text.parse().map_err(|_| Refusal::SomethingElse)?;
        if net.trunc() != net {
            return Err(Refusal::Because(format!("{net} is one address of the network {}: write that", net.trunc())));
        }
        Ok(Self(net))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"})
    }
}
