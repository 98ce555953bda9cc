//! Faults for the rules about the layout of a file.

use super::{check, sources};
use crate::tidy::rules::shape as rules;

#[test]
fn functions() {
    let sources = sources(&[
        ("src/a.rs", "fn long() {\n\n\n}\nfn short() {\n}"),
        ("src/b.rs", "impl A {\n    pub(super) async fn long(\n        b: B,\n    ) {\n    }\n}"),
        ("src/c.rs", "#[cfg(test)]\nmod tests { fn long() {\n\n\n} }"),
        ("tests/d.rs", "fn long() {\n\n\n}"),
    ]);
    check(&rules::functions(&sources, 3), &["src/a.rs:1", "src/b.rs:2"]);
}

#[test]
fn constants() {
    let sources = sources(&[
        ("src/a.rs", "//! A.\nuse b::C;\nconst EARLY: u8 = 1;\npub fn f() {}\nconst LAST: u8 = 2;"),
        ("src/b.rs", "pub const TABLE: [u8; 1] = [1];\nstatic EARLY: u8 = 1;\nstruct B;"),
        (
            "src/c.rs",
            "fn f() { const INNER: u8 = 1; }\nimpl C { const OWN: u8 = 1; fn g() {} }\nconst LAST: u8 = 1;\n#[cfg(test)]\nmod tests { fn h() {} }",
        ),
        ("src/d/tests.rs", "const EARLY: u8 = 1;\n#[test]\nfn t() {}"),
        ("src/d/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("tests/e.rs", "const EARLY: u8 = 1;\nfn f() {}"),
    ]);
    check(&rules::constants(&sources), &["src/a.rs:3", "src/b.rs:2", "src/d/tests.rs:1"]);
}

#[test]
fn layout() {
    let sources = sources(&[
        (
            "src/a/mod.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n#[test]\nfn t() {} }\n#[cfg(test)]\nmod fake;",
        ),
        ("src/a/fake.rs", "fn double() {}"),
        (
            "src/b/mod.rs",
            "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more_tests;\n#[cfg(test)]\nmod test_world;",
        ),
        ("src/b/tests/part.rs", "#[tokio::test]\nasync fn t() {}"),
        ("src/b/more_tests.rs", ""),
        ("src/b/test_world.rs", ""),
        ("src/c.rs", "#[cfg(test)]\nmod check {\n#[test]\nfn t() {} }"),
        ("src/d.rs", "fn f() {}\n#[test]\nfn t() {}\n#[tokio::test(start_paused = true)]\nasync fn u() {}"),
        ("src/latest.rs", "fn contest() {}"),
    ]);
    check(
        &rules::layout(&sources),
        &["src/b/more_tests.rs:1", "src/b/test_world.rs:1", "src/c.rs:2", "src/d.rs:2", "src/d.rs:4"],
    );
}

#[test]
fn hooks() {
    let two = "fn f() {\nif mutants::on(A) {}\nif bent::b() {}\n}";
    let sources = sources(&[
        ("src/a/mod.rs", two),
        ("src/a/bent.rs", two),
        (
            "src/b.rs",
            "use crate::mutants::{self, Mutant};\nfn f() { if mutants::on(Mutant::A) || mutants::on(Mutant::B) {} }\nfn g() { bent::c() }",
        ),
        ("src/mutants/mod.rs", two),
        ("src/c.rs", "#[cfg(test)]\nmod tests { fn f() {\nmutants::a();\nmutants::b();\n} }"),
    ]);
    check(&rules::hooks(&sources, &["mutants", "bent"], "src/mutants/"), &["src/a/mod.rs:1"]);
}
