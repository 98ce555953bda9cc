//! Faults for the rules about circles and arrows.

use super::{check, sources};
use crate::tidy::rules::circles::{self as rules, Arrows};

#[test]
fn circles() {
    let sources = sources(&[
        // Two files, one of them through a name that the table of contents hands on.
        ("src/a/mod.rs", "mod one;\nmod two;\npub use two::Two;\nuse one::One;"),
        ("src/a/one.rs", "//! One.\nuse super::Two;\nfn f() {}"),
        ("src/a/two.rs", "fn f() { super::one::f() }"),
        // Three files of two rooms; the arrow back is a path in code, behind a module that is imported.
        ("src/b/mod.rs", "pub mod x;\npub mod y;"),
        ("src/b/x.rs", "use crate::c;\nfn f() { c::z::g() }"),
        ("src/b/y.rs", "use crate::b::x;"),
        ("src/c/mod.rs", "pub mod z;"),
        ("engine/src/c/z.rs", "use crate::b;\nfn g() { b::y::h() }"),
        // None: with the own table of contents, in tests, in texts, by a name of another place.
        ("src/d/mod.rs", "pub mod p;\npub mod q;\npub struct D;\nuse p::P;"),
        (
            "src/d/p.rs",
            "use super::D;\nuse super::q::Q;\n#[cfg(test)]\nmod tests { use super::super::q::Q; }",
        ),
        (
            "src/d/q.rs",
            "#[cfg(test)]\nmod tests { use crate::d::p::P; }\nfn f() { \"crate::d::p\"; p::other() }",
        ),
        ("src/main.rs", "use zkops::d::p;"),
    ]);
    let violations = Arrows::of(&sources).circles();
    check(&violations, &["engine/src/c/z.rs:2", "src/a/one.rs:2"]);
    assert!(
        violations[1].contains("src/a/one.rs → src/a/two.rs → src/a/one.rs (2 files in all)"),
        "{violations:?}"
    );
    assert!(
        violations[0]
            .contains("engine/src/c/z.rs → src/b/y.rs → src/b/x.rs → engine/src/c/z.rs (3 files in all)"),
        "{violations:?}"
    );
}

#[test]
fn up() {
    let sources = sources(&[
        (
            "src/low/a.rs",
            "use crate::low::b;\nuse crate::high::room::C;\n#[cfg(test)]\nmod tests { use crate::top; }",
        ),
        ("engine/src/low/b.rs", "use crate::top;"),
        ("src/low/mod.rs", "mod a;\nmod b;"),
        ("src/high/mod.rs", "pub mod room;"),
        ("src/high/room.rs", "use crate::low::b;\nfn f() {\ncrate::top::g() }"),
        ("src/top.rs", "use crate::high::room;"),
    ]);
    check(
        &Arrows::of(&sources).up(&["low", "high", "top.rs"]),
        &["engine/src/low/b.rs:1", "src/high/room.rs:3", "src/low/a.rs:2"],
    );
}

#[test]
fn descends() {
    let table: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a", "c"]), ("c", &["a", "b"]), ("d", &["d"])];
    let violations = rules::descends(table);
    assert_eq!(violations.len(), 2, "{violations:#?}");
    assert!(violations[0].contains("`b` may import `c`") && violations[1].contains("`d` may import `d`"));
}
