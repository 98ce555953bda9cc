//! Faults for the rules about files.

use super::{check, sources};
use crate::tidy::rules::files as rules;

#[test]
fn files() {
    let sources = sources(&[
        ("src/a.rs", "//! Good.\n\n"),
        ("src/b.rs", "// Bad.\n"),
        ("src/c.rs", "//! Long.\n\n\n"),
        ("src/d.rs", "//! Long, for a reason.\n\n\n"),
        ("src/e.rs", "//! No longer.\n"),
    ]);
    let long = [("src/d.rs", "…"), ("src/e.rs", "…")];
    check(&rules::files(&sources, 2, &long), &["src/b.rs:1", "src/c.rs:3", "src/e.rs:1"]);
}

#[test]
fn included() {
    let sources = sources(&[
        ("src/a/mod.rs", "const X: &str = include_str!(\"../../data/x\");"),
        ("tests/it/b.rs", "const Y: &str = include_str!(\"../../data/y\");"),
    ]);
    let files = ["data/x".to_owned(), "data/y".to_owned()];
    check(&rules::included(&sources, &files, false), &["data/y:1"]);
    check(&rules::included(&sources, &files, true), &["data/x:1"]);
}
