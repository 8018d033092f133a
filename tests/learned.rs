//! What a plan learns from earlier runs: it is said beside the plan, and the plan stays the same to the byte.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests look at more of it")]
mod bench;

use bench::Bench;
use quell::simulator::{Delay, Options};
use std::fs;
use std::time::Duration;

const PLAN: [&str; 6] = ["plan", "events.csv", "--action", "quarantine-file", "--tenant", "tenant.yaml"];

#[test]
fn how_long_items_took_is_said_on_standard_error_and_is_no_part_of_the_plan() {
    let settle = Delay::Fixed(Duration::from_millis(700));
    let (bench, simulator) = Bench::serving(Options { settle, ..Options::default() });
    bench.events(5);
    let plan = |more: &[&str]| bench.done(bench.quell(&[&PLAN[..], more].concat()));
    let before = plan(&["-o", "before.plan"]);
    assert!(before.code == Some(0) && !before.stderr.contains("learned"), "{}", before.stderr);
    assert_eq!(bench.done(bench.run(&["--quiet"])).code, Some(0));
    let after = plan(&["-o", "after.plan"]);
    assert_eq!(after.stdout, before.stdout);
    let read = |name: &str| fs::read(bench.path(name)).expect("a plan");
    assert_eq!(read("before.plan"), read("after.plan"));
    let told: Vec<&str> = after.stderr.lines().take(3).collect();
    assert_eq!(told.len(), 3, "{}", after.stderr);
    assert_eq!(told[0], "the plan is written to after.plan; `quell apply after.plan` carries it out");
    assert_eq!(told[1], "learned from 1 earlier run, not part of the plan:");
    assert!(
        told[2].starts_with("quarantine-file: half had settled after ") && told[2].ends_with(" (of 5 items)"),
        "{told:?}"
    );
    assert!(after.stderr.contains("if it goes so again, nine in ten are known after about "), "{}", after.stderr);
    // Another action was never seen, and a folder without runs teaches nothing.
    let other = bench.done(bench.quell(&["plan", "events.csv", "--action", "delete-file", "--tenant", "tenant.yaml"]));
    assert!(!other.stderr.contains("learned"), "{}", other.stderr);
    assert!(!plan(&["--state-dir", "nowhere"]).stderr.contains("learned"));
    // What cannot be read is said, and the plan is made all the same.
    let folder = fs::read_dir(bench.state()).expect("the state folder").map(|entry| entry.expect("an entry").path());
    let folder = folder.into_iter().find(|path| path.join("journal.sqlite").exists()).expect("the tenant's folder");
    let broken = bench.path("broken").join(folder.file_name().expect("a name"));
    fs::create_dir_all(&broken)
        .and_then(|()| fs::write(broken.join("journal.sqlite"), "no journal"))
        .expect("a journal");
    let broken = plan(&["--state-dir", "broken"]);
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(0), before.stdout.as_str()));
    assert!(broken.stderr.contains("nothing is learned from earlier runs: "), "{}", broken.stderr);
    assert_eq!(simulator.ledger().entries.len(), 5);
}
