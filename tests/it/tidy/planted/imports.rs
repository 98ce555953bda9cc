//! Faults for the rules about imports and packages.

use super::{check, sources};
use crate::tidy::rules::imports as rules;

#[test]
fn imports() {
    let table: &[(&str, &[&str])] = &[
        ("ids", &[]),
        ("low", &[]),
        ("high", &["low"]),
        ("top", &[]),
        ("main.rs", &["top"]),
        ("in_wing", &[]),
        ("beside", &["in_wing"]),
    ];
    let sources = sources(&[
        (
            "src/low/mod.rs",
            "use crate::ids::Id;\nuse crate::{low::x, high::Y};\n#[cfg(test)]\nuse crate::top;",
        ),
        ("src/low/part.rs", "fn f() { super::super::high::g(); super::high::h(); crate::VERSION }"),
        ("src/high/mod.rs", "// crate::top\nuse crate::low;\nfn f() -> crate::top::T { \"crate::top\" }"),
        ("src/main.rs", "fn main() { zkops::top::main();\nzkops::high::main() }"),
        ("src/wing/mod.rs", "pub mod in_wing;\nuse crate::high;"),
        ("src/wing/in_wing/mod.rs", "use crate::wing::beside;\nuse crate::low;\nuse super::beside::X;"),
        ("src/wing/beside/part.rs", "use super::mine;\nuse super::super::in_wing::Y;"),
        ("engine/src/low/more.rs", "use crate::ids;\nuse crate::high;"),
    ]);
    check(
        &rules::imports(&sources, &["wing"], table),
        &[
            "src/low/mod.rs:2",
            "src/low/part.rs:1",
            "src/high/mod.rs:3",
            "src/main.rs:2",
            "src/wing/in_wing/mod.rs:1",
            "src/wing/in_wing/mod.rs:2",
            "src/wing/in_wing/mod.rs:3",
            "engine/src/low/more.rs:2",
        ],
    );
}

#[test]
fn rows() {
    let things = ["a", "b"].map(str::to_owned).into();
    let violations = rules::rows("T", ["b", "c"].into_iter(), &things);
    assert_eq!(
        violations,
        ["tests/it/tidy.rs: T: `a` has no row: add it", "tests/it/tidy.rs: T: `c` is gone: take its row out"]
    );
}

#[test]
fn packages() {
    let table: &[(&str, &[&str])] =
        &[("for-a", &["a"]), ("for-all", &["*"]), ("for-tests", &[]), ("for-none", &["a"])];
    let sources = sources(&[
        ("src/a/mod.rs", "use for_a::X;\n#[derive(for_all::Y)]\nstruct Z;\nfn f() { for_tests::g() }"),
        ("src/b/mod.rs", "use {for_all::X};\nuse for_a as other;\n#[cfg(test)]\nuse for_tests::*;"),
    ]);
    check(
        &rules::packages("Cargo.toml", &sources, &[], table),
        &["src/a/mod.rs:4", "src/b/mod.rs:2", "Cargo.toml"],
    );
    let manifest = "[package]\nname = 1\n[dependencies]\na-b = \"1\"\n# c = 1\n[dev-dependencies]\nd = { e = \"1\" }\n[lints.f]\ng = 1";
    assert_eq!(rules::dependencies(manifest).into_iter().collect::<Vec<_>>(), ["a-b", "d"]);
}

#[test]
fn allowances() {
    let table: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a", "c"]), ("c", &["a"])];
    let sources = sources(&[
        ("src/b/mod.rs", "use crate::a::X;\n#[cfg(test)]\nmod tests { use crate::c::Y; }"),
        ("src/wing/c/mod.rs", "fn f() { crate::a::g() }"),
    ]);
    let violations = rules::allowances(&sources, &["wing"], table);
    assert_eq!(violations, ["tests/it/tidy.rs: IMPORTS: `b` does not import `c`: take it out of its row"]);
}

#[test]
fn owners() {
    const SHARED: &[&str] = &["b", "c"];
    let table: &[(&str, &[&str])] =
        &[("one-package", &["a", "b"]), ("two", SHARED), ("three", &[]), ("four", &["*"])];
    let sources = sources(&[
        ("src/a.rs", ""),
        ("src/a/mod.rs", "fn f() { one_package::g() }"),
        ("src/b/mod.rs", "#[cfg(test)]\nuse one_package::X;"),
    ]);
    let violations = rules::owners(&sources, &[], table, &[SHARED, &["*"]]);
    assert_eq!(violations.len(), 1, "{violations:#?}");
    assert!(violations[0].contains("`b` does not use `one-package`"), "{violations:#?}");
}
