//! A fault planted for every rule, and what looks like one and is none.

mod documents;
mod files;
mod imports;
mod pure;
mod words;

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
