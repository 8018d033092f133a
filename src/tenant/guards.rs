//! Guards as a tenant or a playbook writes them: how many items, hosts and actions a plan may have before it is held.
//!
//! This is what was written, with its places. What holds for a plan is decided where plans are made: a tenant's guards
//! are ceilings, a playbook's are wishes below them. It opens no file: a list of hosts that is named is read by whoever
//! reads files, and stands here as a number then.

use super::{Name, Word};
use crate::problem::{Place, listed, nearest};
use crate::yaml::{Entries, Field, FromText, NumberOrText, Reader, Refusal, Spanned};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;

/// `guards:` of a tenant or a playbook, or the flags that stand for it; what is not written is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guards {
    /// Items in all.
    pub max_items: Option<Spanned<u32>>,
    /// Hosts in all: different agent ids.
    pub max_hosts: Option<Spanned<u32>>,
    /// Items on one host.
    pub max_per_host: Option<Spanned<u32>>,
    /// Items of irreversible actions that have no cap of their own.
    pub max_irreversible: Option<Spanned<u32>>,
    /// Items of each of these actions, in file order.
    pub max_per_action: Vec<(Spanned<String>, Spanned<u32>)>,
    /// Hosts, as a share of a number of hosts.
    pub max_percent_of: Option<Spanned<PercentOf>>,
}

/// `{of: 2000, percent: 10%}`
#[derive(Debug, Clone, PartialEq)]
pub struct PercentOf {
    /// All hosts there are.
    pub of: Estate,
    /// 0 to 100.
    pub percent: u8,
}

/// How many hosts there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Estate {
    /// So many.
    Hosts(u32),
    /// As many as this file lists; nobody has read it yet.
    Unread(Spanned<String>),
    /// As many as a file listed.
    Listed(HostList),
}

/// A file of agent ids, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostList {
    /// Its name as it was written.
    pub file: String,
    /// Where it was read.
    pub path: std::path::PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many different ids stand in it.
    pub hosts: u32,
}

/// How much a plan may do before it is held.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Guards")]
pub(crate) struct GuardsFile {
    /// Items in all.
    #[serde(default)]
    max_items: Field<u32>,
    /// Hosts in all.
    #[serde(default)]
    max_hosts: Field<u32>,
    /// Items on one host.
    #[serde(default)]
    max_per_host: Field<u32>,
    /// Items of irreversible actions that have no cap of their own in `max_per_action`.
    #[serde(default)]
    max_irreversible: Field<u32>,
    /// Items of an action, by its name.
    #[serde(default)]
    max_per_action: Field<Entries<u32>>,
    /// Hosts, as a share of all hosts there are.
    #[serde(default)]
    max_percent_of: Field<PercentOfFile>,
}

/// Hosts, as a share of all hosts there are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PercentOf")]
struct PercentOfFile {
    /// A number of hosts, or a file of agent ids, one a line, relative to this file.
    of: Field<NumberOrText<EstateText>>,
    /// From 0 to 100, with or without `%`.
    percent: Field<NumberOrText<Percent>>,
}

/// Checks guards; what is wrong is reported.
pub(crate) fn read_guards(reader: &Reader<'_>, file: GuardsFile) -> Guards {
    let GuardsFile { max_items, max_hosts, max_per_host, max_irreversible, max_per_action, max_percent_of } = file;
    let caps = max_per_action.value().map_or_else(Vec::new, |Entries(caps)| caps);
    let max_per_action = caps.into_iter().filter_map(|(name, cap)| Some((name, cap.read()?))).collect::<Vec<_>>();
    for (name, _) in &max_per_action {
        if Name::from_text(&name.value).is_err() {
            reader.report(name.place, format!("expected {}, found `{}`", Name::expected(), name.value));
        }
    }
    let percent_of = max_percent_of.read().and_then(|Spanned { value: file, place }| {
        let of = reader.require(file.of, "of", place);
        let percent = reader.require(file.percent, "percent", place);
        let (of, NumberOrText(Percent(percent))) = (of?, percent?.value);
        let of = match of.value.0 {
            EstateText::Hosts(hosts) => Estate::Hosts(hosts),
            EstateText::File(file) => Estate::Unread(Spanned { value: file, place: of.place }),
        };
        Some(Spanned { value: PercentOf { of, percent }, place })
    });
    Guards {
        max_items: max_items.read(),
        max_hosts: max_hosts.read(),
        max_per_host: max_per_host.read(),
        max_irreversible: max_irreversible.read(),
        max_per_action,
        max_percent_of: percent_of,
    }
}

impl Guards {
    /// What was typed, which stands in no file: items, hosts, items a host, irreversible items; caps; a share.
    pub fn of_flags(numbers: [Option<u32>; 4], caps: Vec<(String, u32)>, share: Option<PercentOf>) -> Self {
        fn typed<T>(value: T) -> Spanned<T> {
            Spanned { value, place: Place::default() }
        }
        let [max_items, max_hosts, max_per_host, max_irreversible] = numbers.map(|number| number.map(typed));
        let max_per_action = caps.into_iter().map(|(name, cap)| (typed(name), typed(cap))).collect();
        let max_percent_of = share.map(typed);
        Self { max_items, max_hosts, max_per_host, max_irreversible, max_per_action, max_percent_of }
    }

    /// The caps of actions that are not there: where, what, and what to do.
    pub(crate) fn strangers<'a>(
        &'a self,
        actions: &'a [super::Action],
    ) -> impl Iterator<Item = (Place, String, String)> + 'a {
        let names = || actions.iter().map(|action| action.name.as_str());
        let caps = self.max_per_action.iter().filter(move |(name, _)| names().all(|known| known != name.value));
        caps.map(move |(name, _)| {
            let near = nearest(&name.value, names());
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the actions of this tenant are {}", listed(names())),
            };
            (name.place, format!("there is no action `{}`", name.value), help)
        })
    }
}

impl PercentOf {
    /// How many hosts that are, rounded down; `None` while nobody has read how many there are.
    pub fn hosts(&self) -> Option<u32> {
        let of = match &self.of {
            Estate::Hosts(hosts) => *hosts,
            Estate::Listed(list) => list.hosts,
            Estate::Unread(_) => return None,
        };
        u32::try_from(u64::from(of) * u64::from(self.percent) / 100).ok()
    }
}

/// Reads `OF=PERCENT`, as a flag has it.
pub fn percent_of(text: &str) -> Result<PercentOf, String> {
    let wrong = |refusal| match refusal {
        Refusal::Because(why) => why,
        Refusal::SomethingElse => "expected FILE=PERCENT or NUMBER=PERCENT, for example 2000=10%".to_owned(),
    };
    let (of, percent) = text.rsplit_once('=').ok_or_else(|| wrong(Refusal::SomethingElse))?;
    let Percent(percent) = Percent::from_text(percent).map_err(wrong)?;
    let of = match EstateText::from_text(of).map_err(wrong)? {
        EstateText::Hosts(hosts) => Estate::Hosts(hosts),
        EstateText::File(file) => Estate::Unread(Spanned { value: file, place: Place::default() }),
    };
    Ok(PercentOf { of, percent })
}

/// A number of hosts, or the name of a file that lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum EstateText {
    Hosts(u32),
    File(String),
}

impl FromText for EstateText {
    fn expected() -> String {
        "a number of hosts, or a file of agent ids".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            return match text.parse() {
                Ok(0) => Err(Refusal::Because("a share of no hosts is none: give the number of all hosts".to_owned())),
                Ok(hosts) => Ok(Self::Hosts(hosts)),
                Err(_) => Err(Refusal::Because("there are not so many hosts".to_owned())),
            };
        }
        Word::from_text(text).map(|Word(file)| Self::File(file))
    }

    fn schema() -> Schema {
        json_schema!({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}]})
    }
}

/// A share, in whole per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Percent(u8);

impl FromText for Percent {
    fn expected() -> String {
        "a whole number of per cent from 0 to 100, like `10` or `10%`".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        let number = digits.parse().ok().filter(|percent| *percent <= 100);
        number.filter(|_| digits.bytes().all(|c| c.is_ascii_digit())).map(Self).ok_or(Refusal::SomethingElse)
    }

    fn schema() -> Schema {
        json_schema!({"oneOf": [
            {"type": "integer", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": "^(100|[0-9]{1,2})%?$"},
        ]})
    }
}
