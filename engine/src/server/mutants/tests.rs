//! The catalogue is complete and unambiguous, and the switch is where it should be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Mutant;

#[test]
fn names_are_unique_and_parse_back() {
    let names: BTreeSet<&str> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
    assert_eq!(names.len(), Mutant::ALL.len());
    for mutant in Mutant::ALL {
        assert_eq!(Mutant::parse(mutant.name()), Some(mutant));
        let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(mutant.name().chars().all(kebab), "{}", mutant.name());
    }
    assert_eq!(Mutant::parse("none"), None);
}

#[test]
fn every_mutant_stands_in_the_table_of_the_docs() {
    let docs = include_str!("../../../../docs/testing.md");
    for mutant in Mutant::ALL {
        let rows = docs.matches(&format!("\n| `{}` |", mutant.name())).count();
        assert_eq!(rows, 1, "docs/testing.md has {rows} rows for {}", mutant.name());
    }
}

#[test]
fn every_mutant_is_asked_for() {
    let text: String = ["process", "replica", "store", "tree", "zab"]
        .into_iter()
        .flat_map(below)
        .map(|(_, text)| text)
        .collect();
    let unasked = |mutant: &Mutant| !text.contains(&format!("on(Mutant::{mutant:?})"));
    assert_eq!(Mutant::ALL.into_iter().filter(unasked).collect::<Vec<_>>(), []);
}

#[test]
fn rules_ask_only_the_wrong_version_beside_them() {
    let files = ["process", "replica", "store", "tree", "zab"].into_iter().flat_map(below);
    let hooks = files.filter(|(path, text)| !path.ends_with("bent.rs") && text.contains("mutants::"));
    let hooks: Vec<PathBuf> = hooks.map(|(path, _)| path).collect();
    assert_eq!(hooks, [] as [&Path; 0], "say in bent.rs what the mutant does, and ask there");
}

/// The files of a room, with their text.
#[expect(clippy::disallowed_methods, reason = "what is read is the source")]
fn below(room: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server").join(room)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a room is a folder") {
            let path = entry.expect("a folder can be read").path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push((path.clone(), fs::read_to_string(&path).expect("sources are text"))),
            }
        }
    }
    files
}

#[cfg(not(feature = "mutants"))]
#[test]
fn without_the_feature_nothing_is_on() {
    const { assert!(!super::on(Mutant::QuorumOffByOne)) };
}

#[cfg(feature = "mutants")]
#[test]
#[expect(clippy::disallowed_methods, reason = "the switch is a thread's own: this needs a second one")]
fn one_mutant_of_one_thread_is_on() {
    assert!(Mutant::ALL.iter().all(|mutant| !super::on(*mutant)));
    super::switch_on(Some(Mutant::QuorumOffByOne));
    assert!(super::on(Mutant::QuorumOffByOne) && !super::on(Mutant::AckBeforeFsync));
    assert_eq!(super::reached(), 1);
    let elsewhere = std::thread::spawn(|| super::on(Mutant::QuorumOffByOne)).join();
    assert!(!elsewhere.expect("the thread only asks"));
    super::switch_on(None);
    assert!(!super::on(Mutant::QuorumOffByOne) && super::reached() == 0);
}
