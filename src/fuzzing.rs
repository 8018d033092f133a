//! What fuzzers call: each target takes bytes, and panics when something is said of them that cannot be.
//!
//! The same functions run under libFuzzer (`fuzz/`) and over mutated seeds in `cargo test` (`tests/properties.rs`). They
//! hold more than "it does not panic": what is read adds up, what is refused says where, and nothing succeeds without
//! being called so. No command uses this; it opens no file and no connection.

mod answers;
mod driven;
mod files;
mod ground;
mod journal;
mod texts;

pub use driven::{Driven, drive};

/// What is fuzzed: it takes any bytes and panics when something is wrong.
pub type Target = fn(&[u8]);

/// All targets by name. Each has a folder of seeds and a binary of its name below `fuzz/`.
pub const TARGETS: [(&str, Target); 11] = [
    ("playbook", files::playbook),
    ("tenant", files::tenant),
    ("events", files::events),
    ("plan_file", files::plan_file),
    ("act_reply", answers::act_reply),
    ("poll_reply", answers::poll_reply),
    ("limit_headers", answers::limit_headers),
    ("facts", journal::facts),
    ("run", driven::run),
    ("filter", texts::filter),
    ("template", texts::template),
];

/// Runs one target.
///
/// # Panics
/// When there is no such target, and when what it holds does not hold.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1(data);
}
