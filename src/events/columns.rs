//! Which column is which: native names, a mapping that was asked for, or the tenant's mapping that fits the header.
//!
//! It never guesses. A near miss (`Agent ID`) is refused with the mapping that would be right.

use super::field::{Field, shown};
use crate::tenant::{ColumnSource, Columns};

/// How many of the names seen a message lists.
const NAMES_SHOWN: usize = 20;

/// Where one of the event's own fields comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of [`Field::names`], if it is there.
    Native,
    Mapped(ColumnSource),
}

/// Where everything comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// In the order of [`Field::ALL`].
    pub(super) own: [Wanted; Field::COUNT],
    /// Attributes that the mapping names.
    pub(super) attributes: Vec<(String, ColumnSource)>,
}

/// Why no layout fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) message: String,
    pub(super) help: String,
}

impl Layout {
    fn native() -> Self {
        Self { own: std::array::from_fn(|_| Wanted::Native), attributes: Vec::new() }
    }

    /// Takes the mapping apart; fields that it does not name stay native.
    pub(super) fn of(columns: &Columns) -> Result<Self, Unfit> {
        let mut layout = Self::native();
        for (name, source) in &columns.0 {
            let twice = match Field::ALL.into_iter().find(|field| field.name() == name) {
                Some(field) => {
                    let before = std::mem::replace(&mut layout.own[field as usize], Wanted::Mapped(source.clone()));
                    before != Wanted::Native
                }
                None => {
                    layout.attributes.push((name.clone(), source.clone()));
                    layout.attributes.iter().filter(|(other, _)| other == name).count() > 1
                }
            };
            if twice {
                let message = format!("the mapping names {} twice", shown(name));
                return Err(Unfit { message, help: "name each field once".to_owned() });
            }
            if let (Some(field), false) = (Field::named(name), Field::ALL.iter().any(|field| field.name() == name)) {
                let message = format!("the mapping names {}, which would be a further attribute", shown(name));
                return Err(Unfit { message, help: format!("in mappings the field is called {}", field.name()) });
            }
        }
        Ok(layout)
    }

    /// Every column or path that the mapping names, with whether it may be missing.
    pub(super) fn mapped(&self) -> impl Iterator<Item = (&str, bool)> {
        let own = self.own.iter().filter_map(|wanted| match wanted {
            Wanted::Mapped(source) => Some(source),
            Wanted::Native => None,
        });
        own.chain(self.attributes.iter().map(|(_, source)| source)).filter_map(|source| match source {
            ColumnSource::Column { name, default } => Some((name.as_str(), default.is_some())),
            ColumnSource::Constant(_) => None,
        })
    }

    /// Whether the mapping uses this very column, so that it is not read by its native name too.
    pub(super) fn names_column(&self, column: &str) -> bool {
        self.mapped().any(|(name, _)| name == column)
    }

    /// Mapped columns without a default that are not there.
    pub(super) fn missing_columns(&self, has: &dyn Fn(&str) -> bool) -> Vec<&str> {
        self.mapped().filter(|(name, may_be_missing)| !may_be_missing && !has(name)).map(|(name, _)| name).collect()
    }

    /// Required fields that come from nowhere.
    fn missing_fields(&self, has: &dyn Fn(&str) -> bool) -> Vec<Field> {
        let comes = |field: &Field| match &self.own[*field as usize] {
            Wanted::Mapped(_) => true,
            Wanted::Native => field.names().into_iter().any(|name| has(name) && !self.names_column(name)),
        };
        Field::REQUIRED.into_iter().filter(|field| !comes(field)).collect()
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        self.missing_columns(has).is_empty() && self.missing_fields(has).is_empty()
    }
}

/// Chooses by what is there. `seen` is for messages.
pub(super) fn choose(
    asked: Option<&Columns>,
    mappings: &[(String, Columns)],
    has: &dyn Fn(&str) -> bool,
    seen: &[String],
) -> Result<Layout, Unfit> {
    if let Some(columns) = asked {
        let layout = Layout::of(columns)?;
        let missing = layout.missing_columns(has);
        return if !missing.is_empty() {
            Err(no_such_columns(&missing, seen))
        } else if layout.fits(has) {
            Ok(layout)
        } else {
            Err(no_such_fields(&layout.missing_fields(has), &[], seen))
        };
    }
    let native = Layout::native();
    if native.fits(has) {
        return Ok(native);
    }
    let mut fitting = Vec::new();
    let mut lacking = Vec::new();
    for (name, columns) in mappings {
        let layout = Layout::of(columns).map_err(|unfit| Unfit {
            message: format!("the tenant's mapping {}: {}", shown(name), unfit.message),
            ..unfit
        })?;
        if layout.fits(has) {
            fitting.push((name, layout));
        } else {
            // A mapping of which nothing is there was made for other files.
            if layout.mapped().any(|(column, _)| has(column)) {
                let columns = layout.missing_columns(has).into_iter().map(str::to_owned);
                let fields = layout.missing_fields(has).into_iter().map(|field| field.name().to_owned());
                lacking.push((name.as_str(), columns.chain(fields).collect::<Vec<_>>()));
            }
        }
    }
    match fitting.len() {
        0 => Err(no_such_fields(&native.missing_fields(has), &lacking, seen)),
        1 => Ok(fitting.remove(0).1),
        _ => {
            let names: Vec<_> = fitting.iter().map(|(name, _)| name.as_str()).collect();
            Err(Unfit {
                message: format!("several of the tenant's mappings fit: {}", names.join(", ")),
                help: format!("say which: `columns: {}` at the source", names[0]),
            })
        }
    }
}

/// The name among those seen that was probably meant.
pub(super) fn near_miss(field: Field, seen: &[String]) -> Option<&str> {
    let plain = |name: &str| snake_case(name).replace('_', "");
    let wanted = plain(field.name());
    let distance = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or(name);
        strsim::osa_distance(&plain(name), &wanted).min(strsim::osa_distance(&plain(last), &wanted))
    };
    // Three letters are too few to err in.
    let most = usize::from(wanted.len() > 3);
    let candidates = seen.iter().filter(|name| Field::named(name).is_none_or(|other| other == field));
    candidates.map(|name| (distance(name), name.as_str())).filter(|(far, _)| *far <= most).min().map(|(_, name)| name)
}

/// How to name a column for a field.
pub(super) fn suggestion(pairs: &[(Field, &str)]) -> String {
    let flags: Vec<_> = pairs.iter().map(|(field, name)| format!("--map {}={name:?}", field.name())).collect();
    let yaml: Vec<_> = pairs.iter().map(|(field, name)| format!("{}: {name:?}", field.name())).collect();
    format!("did you mean `{}`? In a playbook: `columns: {{{}}}`", flags.join(" "), yaml.join(", "))
}

/// A header as an identifier: `Agent ID` becomes `agent_id`, `hostName` `host_name`, `SHA-256` `sha_256`.
///
/// What is an identifier in small letters stays as it is. Otherwise ASCII letters and digits make words; everything
/// else separates them, and so does the step from a small letter or a digit to a capital one. What would begin with
/// a digit gets a `_` before it; no word at all becomes `_`.
pub fn snake_case(header: &str) -> String {
    let is_identifier = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if header.bytes().all(is_identifier)
        && !header.starts_with(|first: char| first.is_ascii_digit())
        && !header.is_empty()
    {
        return header.to_owned();
    }
    let chars: Vec<char> = header.chars().collect();
    let mut name = String::with_capacity(header.len() + 4);
    for (at, &char) in chars.iter().enumerate() {
        if !char.is_ascii_alphanumeric() {
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
            continue;
        }
        if char.is_ascii_uppercase() && at > 0 && !name.ends_with('_') && !name.is_empty() {
            let before = chars[at - 1];
            let next_is_small = chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
            if before.is_ascii_lowercase() || before.is_ascii_digit() || next_is_small {
                name.push('_');
            }
        }
        name.push(char.to_ascii_lowercase());
    }
    if name.ends_with('_') {
        name.pop();
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

fn no_such_columns(missing: &[&str], seen: &[String]) -> Unfit {
    let missing: Vec<_> = missing.iter().map(|name| shown(name)).collect();
    Unfit {
        message: format!("the mapping names columns that are not there: {}; it has {}", missing.join(", "), list(seen)),
        help: "names are compared exactly; correct the mapping, or give the column a default".to_owned(),
    }
}

fn no_such_fields(missing: &[Field], lacking: &[(&str, Vec<String>)], seen: &[String]) -> Unfit {
    let names: Vec<_> = missing.iter().map(|field| field.name()).collect();
    let near: Vec<_> = missing.iter().filter_map(|field| Some((*field, near_miss(*field, seen)?))).collect();
    let mut help = if near.is_empty() && seen.len() == 1 {
        "the first line names the columns: remove what stands before it".to_owned()
    } else if near.is_empty() {
        let pairs: Vec<_> = names.iter().map(|name| format!("{name}: COLUMN")).collect();
        format!("name the columns: `columns: {{{}}}` at the source, or `--map {}=COLUMN`", pairs.join(", "), names[0])
    } else {
        let named = |field: &&Field| near.iter().any(|(near, _)| near == *field);
        let others: Vec<_> = missing.iter().filter(|field| !named(field)).map(|field| field.name()).collect();
        let and = if others.is_empty() { "" } else { "; and name the columns of " };
        format!("{}{and}{}", suggestion(&near), others.join(", "))
    };
    for (name, lacks) in lacking {
        let lacks: Vec<_> = lacks.iter().map(|column| shown(column)).collect();
        help.push_str(&format!("; the tenant's mapping {name} lacks {}", lacks.join(", ")));
    }
    Unfit { message: format!("required columns are missing: {}; it has {}", names.join(", "), list(seen)), help }
}

fn list(seen: &[String]) -> String {
    let mut names: Vec<_> = seen.iter().take(NAMES_SHOWN).map(|name| shown(name)).collect();
    if seen.len() > NAMES_SHOWN {
        names.push(format!("and {} more", seen.len() - NAMES_SHOWN));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_identifiers() {
        for (header, name) in [
            ("Agent ID", "agent_id"),
            ("agentId", "agent_id"),
            ("AGENT_ID", "agent_id"),
            ("hostName", "host_name"),
            ("SHA-256", "sha_256"),
            ("SHA256", "sha256"),
            ("MD5 Hash", "md5_hash"),
            ("HTTPServer", "http_server"),
            ("asset.agentId", "asset_agent_id"),
            ("  Score (max) ", "score_max"),
            ("indicator2", "indicator2"),
            ("2nd", "_2nd"),
            ("_x", "_x"),
            ("x__y_", "x__y_"),
            ("X__y_", "x_y"),
            ("Größe", "gr_e"),
            ("", "_"),
            ("%", "_"),
        ] {
            assert_eq!(snake_case(header), name, "{header:?}");
        }
    }

    fn column(name: &str) -> ColumnSource {
        ColumnSource::Column { name: name.to_owned(), default: None }
    }

    fn mapping(pairs: &[(&str, ColumnSource)]) -> Columns {
        Columns(pairs.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect())
    }

    fn console(extra: &[(&str, ColumnSource)]) -> Columns {
        let mut columns = mapping(&[
            ("agent_id", column("Agent ID")),
            ("event_id", column("Event ID")),
            ("event_type", column("Type")),
            ("unique_id", column("Unique ID")),
        ]);
        columns.0.extend(mapping(extra).0);
        columns
    }

    fn chosen(asked: Option<&Columns>, mappings: &[(&str, Columns)], header: &str) -> Result<Layout, Unfit> {
        let seen: Vec<String> = header.split(',').map(str::to_owned).collect();
        let mappings: Vec<_> = mappings.iter().map(|(name, columns)| ((*name).to_owned(), columns.clone())).collect();
        choose(asked, &mappings, &|name| seen.iter().any(|column| column == name), &seen)
    }

    const CONSOLE: &str = "Agent ID,Event ID,Type,Unique ID,Detected";

    #[test]
    fn native_names_win_then_the_one_mapping_that_fits() {
        let plain = console(&[]);
        let dated = console(&[("event_time", column("Detected"))]);
        let other = console(&[("event_time", column("Found"))]);
        let native = "agent_id,eventId,event_type,uniqueId";
        assert_eq!(chosen(None, &[("console", plain.clone())], native), Ok(Layout::native()));
        assert_eq!(
            chosen(None, &[("other", other.clone()), ("console", dated.clone())], CONSOLE),
            Ok(Layout::of(&dated).unwrap())
        );
        assert_eq!(
            chosen(None, &[("a", plain.clone()), ("b", dated)], CONSOLE),
            Err(Unfit {
                message: "several of the tenant's mappings fit: a, b".to_owned(),
                help: "say which: `columns: a` at the source".to_owned()
            })
        );
        let unfit = chosen(None, &[("other", other)], CONSOLE).unwrap_err();
        assert_eq!(
            unfit.message,
            "required columns are missing: agent_id, event_id, event_type, unique_id; \
             it has \"Agent ID\", \"Event ID\", \"Type\", \"Unique ID\", \"Detected\""
        );
        assert_eq!(
            unfit.help,
            "did you mean `--map agent_id=\"Agent ID\" --map event_id=\"Event ID\" --map unique_id=\"Unique ID\"`? In a \
             playbook: `columns: {agent_id: \"Agent ID\", event_id: \"Event ID\", unique_id: \"Unique ID\"}`; \
             and name the columns of event_type; the tenant's mapping other lacks \"Found\""
        );
    }

    #[test]
    fn a_mapping_that_is_asked_for_must_fit() {
        let wrong = console(&[("event_time", column("Found"))]);
        let unfit = chosen(Some(&wrong), &[], CONSOLE).unwrap_err();
        assert!(
            unfit.message.starts_with("the mapping names columns that are not there: \"Found\"; it has \"Agent ID\"")
        );
        let optional = ColumnSource::Column { name: "Found".to_owned(), default: Some("never".to_owned()) };
        assert!(chosen(Some(&console(&[("event_time", optional)])), &[], CONSOLE).is_ok());
        let part = mapping(&[("agent_id", column("Host"))]);
        assert!(chosen(Some(&part), &[], "Host,event_id,event_type,unique_id").is_ok());
        let unfit = chosen(Some(&part), &[], "Host,event_id,event_type").unwrap_err();
        assert!(unfit.message.starts_with("required columns are missing: unique_id; it has"));
        let twice = mapping(&[("host", column("a")), ("host", column("b"))]);
        assert_eq!(chosen(Some(&twice), &[], "a,b").unwrap_err().message, "the mapping names \"host\" twice");
        let camel = mapping(&[("agentId", column("a"))]);
        assert_eq!(chosen(Some(&camel), &[], "a").unwrap_err().help, "in mappings the field is called agent_id");
    }

    #[test]
    fn near_misses_are_near() {
        let near = |field, name: &str| near_miss(field, &[name.to_owned()]).is_some();
        for name in ["Agent ID", "AGENT_ID", " agent_id", "agent_ids", "asset.agentId", "agentid", "\u{feff}agent_id"] {
            assert!(near(Field::AgentId, name), "{name}");
        }
        for name in ["event_id", "Event ID", "agent", "id", "host"] {
            assert!(!near(Field::AgentId, name), "{name}");
        }
        assert!(near(Field::Pid, "PID") && near(Field::Pid, "process.pid") && !near(Field::Pid, "id"));
    }
}
