//! A fault planted for every rule, and what looks like one and is none.

mod circles;
mod dead;
mod documents;
mod files;
mod imports;
mod pure;
mod shape;
mod uses;
mod words;

use super::rules;
use super::source::{self, Source};

/// `path`, then the text of the file, and so on.
pub(crate) fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    source::read(files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect())
}

/// Violations as `file:line` alone.
#[track_caller]
pub(crate) fn check(violations: &[String], expected: &[&str]) {
    let places = violations
        .iter()
        .map(|line| line.split(": ").next().expect("a split has a first part"))
        .collect::<Vec<_>>();
    assert_eq!(places, expected, "{violations:#?}");
}

#[test]
fn owed() {
    let violations = || {
        ["src/a/b.rs:1: circles: x", "src/a/b.rs:1: public: y", "src/c.rs:2: circles: z"]
            .map(str::to_owned)
            .into()
    };
    let known = [("circles", "src/a/", "…"), ("public", "src/c.rs", "…"), ("circles", "src/d", "…")];
    check(&rules::owed("circles", violations(), &known), &["src/a/b.rs:1", "src/c.rs:2", "tests/it/tidy.rs"]);
    check(&rules::owed("uses", violations(), &known), &["src/a/b.rs:1", "src/a/b.rs:1", "src/c.rs:2"]);
}
