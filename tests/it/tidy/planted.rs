//! A fault planted for every rule, and what looks like one and is none.

use super::{
    rules::{self, Pure},
    source::{self, Source},
};

/// `path`, then the text of the file, and so on.
fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    source::read(files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect())
}

/// Violations as `file:line` alone.
#[track_caller]
fn check(violations: &[String], expected: &[&str]) {
    let places = violations
        .iter()
        .map(|line| line.split(": ").next().expect("a split has a first part"))
        .collect::<Vec<_>>();
    assert_eq!(places, expected, "{violations:#?}");
}

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
    check(&rules::packages(&sources, &[], table), &["src/a/mod.rs:4", "src/b/mod.rs:2", "Cargo.toml"]);
    let manifest = "[package]\nname = 1\n[dependencies]\na-b = \"1\"\n# c = 1\n[dev-dependencies]\nd = { e = \"1\" }\n[lints.f]\ng = 1";
    assert_eq!(rules::dependencies(manifest).into_iter().collect::<Vec<_>>(), ["a-b", "d"]);
}

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
fn forbidden() {
    let sources = sources(&[
        ("src/a.rs", "// todo!()\nlet todo = \"todo!()\";\ntodo!();"),
        ("src/b.rs", "unsafe {}"),
        ("src/c.rs", "#![allow(unsafe_code)]\nunsafe {}"),
        ("src/d.rs", "a.unwrap_or(b)\n.unwrap();\n#[cfg(test)]\nmod t { a.unwrap() }"),
        ("tests/e.rs", "a.unwrap();\n#[ignore = \"slow\"]\nfn f() {}"),
    ]);
    let words: [(&[&str], _, _); 3] =
        [(&["todo", "!"], None, ""), (&["#", "[", "ignore"], None, ""), (&["unsafe"], Some("src/b.rs"), "")];
    check(&rules::forbidden(&sources, &words), &["src/a.rs:3", "src/c.rs:2", "src/d.rs:2", "tests/e.rs:2"]);
}

#[test]
fn sleeps() {
    let sources = sources(&[
        ("src/a.rs", "fn product() { sleep(1) }"),
        ("tests/b.rs", "fn wait() { while !(|| { ready() })() {\nif x { sleep(1) }\n}\nsleep(2);\n}"),
        (
            "tests/c.rs",
            "fn wait() { loop { sleep(1) } }\nfn named() { sleep(1) }\nfn for_luck() {\nthread::sleep(2) }",
        ),
    ]);
    check(&rules::sleeps(&sources, &[("tests/c.rs", "named", "…")]), &["tests/b.rs:4", "tests/c.rs:4"]);
}

#[test]
fn pure() {
    let deny = "#![deny(clippy::disallowed_methods, clippy::disallowed_types)]\n";
    let fields = "struct S { a: HashMap<K, HashMap<K, V, Fixed>>,\nb: HashMap<K, Vec<V>, Fixed> }";
    let sources = sources(&[
        ("src/a/mod.rs", &format!("{deny}use std::{{fmt, net::{{IpAddr,\nTcpStream}}}};")),
        ("src/b/mod.rs", fields),
        ("src/b/file.rs", "fn f() { std::fs::read(p) }\n#[cfg(test)]\nfn g() { std::fs::read(p) }"),
        ("src/shell/mod.rs", "use std::net::TcpStream;"),
    ]);
    let law = Pure {
        wings: &[],
        folders: &["a", "b"],
        paths: &["std::fs", "std::net::TcpStream"],
        hasher: "Fixed",
    };
    check(
        &rules::pure(&sources, &law),
        &["src/a/mod.rs:3", "src/b/mod.rs:1", "src/b/mod.rs:1", "src/b/file.rs:1"],
    );
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

#[test]
fn commands() {
    let help = "About.\n\nCommands:\n  deploy   Go\n           on\n  ssh-setup\n\nOptions:\n  -v\n";
    let verbs = rules::verbs(help);
    assert_eq!(verbs.iter().copied().collect::<Vec<_>>(), ["deploy", "ssh-setup"]);
    let readme = "zkops is, `zkops deploy`, `zkops <verb>` and `zkops fly`.\n\n```sh\n$ sudo ./zkops -v deploy x\nA=1 zkops ssh-setup && zkops swim\nzkops: error\nzkops 0.1.0\n```\nzkops runs\n";
    check(&rules::commands("README.md", readme, &verbs), &["README.md:1", "README.md:5"]);
}

#[test]
fn places() {
    let text = "/etc/hosts\nin /etc/\nbuild/etc/x\nexample.org/x\nhttps://example.org\n";
    check(&rules::places("f", text, &["/etc/", "https://example"]), &["f:1", "f:2", "f:5"]);
}
