//! The catalogue is complete and unambiguous, and the switch is where it should be.

use std::collections::BTreeSet;

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
    let docs = include_str!("../../../docs/testing.md");
    for mutant in Mutant::ALL {
        let rows = docs.matches(&format!("\n| `{}` |", mutant.name())).count();
        assert_eq!(rows, 1, "docs/testing.md has {rows} rows for {}", mutant.name());
    }
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
