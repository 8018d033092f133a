//! What the input says of an event beside what is sent of it: the host's name, the process, the path, a hash, the time.
//! An approver has to see what is acted on, and an agent id is no name.
//!
//! Columns are called as the input or the tenant's mapping calls them. They are known by the names below, in snake case;
//! objects are looked into, and what is nearer to the top is taken first. Nothing is decided by this: it is shown.

use crate::events::{Event, snake_case};
use crate::plan::event_age;
use serde_json::{Map, Value};

/// How deep objects are looked into.
const DEPTH_MAX: usize = 3;

const HOST: &[&str] = &["host", "hostname", "host_name", "asset_name", "computer_name", "device_name"];
const PROCESS: &[&str] = &["process", "process_name", "image"];
const PATH: &[&str] = &["path", "file_path", "image_path", "full_path", "file_full_path", "process_path", "file_name"];
const HASH: &[&str] = &[
    "sha256",
    "sha_256",
    "sha256_hash",
    "file_sha256",
    "process_sha256",
    "hash",
    "file_hash",
    "sha1",
    "md5",
    "md5_hash",
];
const TIME: &[&str] = &[event_age::COLUMN, "date_time", "detected", "timestamp"];
const KINDS: [&[&str]; 5] = [HOST, PROCESS, PATH, HASH, TIME];

/// What is known; `None` where the input does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub(super) host: Option<String>,
    pub(super) process: Option<String>,
    pub(super) path: Option<String>,
    /// The column's name, and the hash.
    pub(super) hash: Option<(String, String)>,
    pub(super) time: Option<String>,
}

/// A text, how deep it lies, and which of the names its column has.
struct Found {
    depth: usize,
    rank: usize,
    name: String,
    text: String,
}

impl Known {
    /// Of this event.
    pub(super) fn of(event: &Event) -> Self {
        let mut found = [const { None }; KINDS.len()];
        if let Ok(Value::Object(columns)) = serde_json::from_str(&event.attributes) {
            look(&columns, "", 0, &mut found);
        }
        let [host, process, path, hash, time] = found;
        let text = |found: Option<Found>| found.map(|found| found.text);
        Self {
            host: text(host),
            process: text(process),
            path: text(path),
            hash: hash.map(|found| (found.name, found.text)),
            time: text(time),
        }
    }
}

fn look(columns: &Map<String, Value>, above: &str, depth: usize, found: &mut [Option<Found>; KINDS.len()]) {
    for (name, value) in columns {
        let name = snake_case(name);
        if let (Value::Object(inside), true) = (value, depth < DEPTH_MAX && !name.starts_with("parent")) {
            look(inside, &name, depth + 1, found);
        }
        let Some(text) = text_of(value) else { continue };
        let whole = format!("{above}_{name}");
        for (kind, best) in KINDS.iter().zip(found.iter_mut()) {
            let Some(rank) = kind.iter().position(|known| *known == name || *known == whole) else { continue };
            if best.as_ref().is_none_or(|best| (depth, rank) < (best.depth, best.rank)) {
                *best = Some(Found { depth, rank, name: kind[rank].to_owned(), text: text.clone() });
            }
        }
    }
}

/// A value in one line; nothing for what is empty, and for objects.
fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => values.iter().filter_map(text_of).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Object(_) => String::new(),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::RowPlace;
    use crate::tenant::EventType;

    fn known(attributes: &str) -> [String; 5] {
        let event = Event {
            place: RowPlace { row: 1, source: 0, line: 1 },
            agent_id: "a".into(),
            event_id: "e".into(),
            event_type: EventType::File,
            pid: 0,
            unique_id: "u".into(),
            action: None,
            attributes: attributes.into(),
        };
        let Known { host, process, path, hash, time } = Known::of(&event);
        let hash = hash.map(|(name, text)| format!("{name}={text}"));
        [host, process, path, hash, time].map(Option::unwrap_or_default)
    }

    #[test]
    fn columns_are_known_by_their_names_however_they_are_written_and_nested() {
        for (attributes, expected) in [
            (
                r#"{"Host":"WS-1","Path":"C:\\a.exe","SHA256":"ab","event_time":"t"}"#,
                ["WS-1", "", "C:\\a.exe", "sha256=ab", "t"],
            ),
            (
                r#"{"asset":{"hostName":"WS-2"},"process":{"name":"a.exe","imagePath":"/a"}}"#,
                ["WS-2", "a.exe", "/a", "", ""],
            ),
            (r#"{"parentProcess":{"imagePath":"/not/it"},"md5":"cd","Detected":17}"#, ["", "", "", "md5=cd", "17"]),
            (r#"{"asset":{"host":"deep"},"hostname":"near","host_name":"later"}"#, ["near", "", "", "", ""]),
            (r#"{"host":" ","path":null,"image":["a","b"]}"#, ["", "a, b", "", "", ""]),
            ("no object", ["", "", "", "", ""]),
        ] {
            assert_eq!(known(attributes), expected.map(str::to_owned), "{attributes}");
        }
    }
}
